/* renewal.c - see renewal.h. */
#include "cluster/renewal.h"

#include <assert.h>
#include <string.h>

void renewal_begin(struct renewal *renewal, int64_t incarnation, int64_t start, int64_t n,
                   int64_t revision)
{
    memset(renewal, 0, sizeof *renewal);
    renewal->incarnation = incarnation;
    renewal->start = start;
    renewal->n = n;
    renewal->revision = revision;
}

int64_t renewal_attempt(struct renewal *renewal, int64_t now_ms)
{
    renewal->n++;
    renewal->sent_ms[renewal->n % RENEWAL_ATTEMPTS] = now_ms;
    return renewal->n;
}

static void note_success(struct renewal *renewal, int64_t n, int64_t revision)
{
    int64_t sent_ms = renewal->sent_ms[n % RENEWAL_ATTEMPTS];
    renewal->revision = revision;
    if (sent_ms > renewal->renewed_ms) {
        renewal->renewed_ms = sent_ms;
    }
}

void renewal_succeeded(struct renewal *renewal, int64_t revision)
{
    assert(revision > renewal->revision);
    note_success(renewal, renewal->n, revision);
}

enum renewal_reading renewal_read(struct renewal *renewal, int64_t incarnation, int64_t start,
                                  int64_t n, int64_t revision)
{
    bool ours = incarnation == renewal->incarnation && start == renewal->start;
    if (ours && n <= renewal->n) {
        if (n > renewal->n - RENEWAL_ATTEMPTS) {
            note_success(renewal, n, revision);
        }
        renewal->revision = revision;
        return RENEWAL_OURS;
    }
    if (revision == renewal->revision) {
        return RENEWAL_BEFORE_US;
    }
    /* Once one of ours succeeded, what was sent before it compares a revision that is gone. */
    if (ours || incarnation > renewal->incarnation || renewal->renewed_ms > 0) {
        return RENEWAL_FOREIGN;
    }
    renewal->revision = revision;
    return RENEWAL_PREDECESSOR;
}

void renewal_read_absent(struct renewal *renewal)
{
    renewal->revision = 0;
}
