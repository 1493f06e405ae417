/* test_handoff.c - what a source of a migration sends is read as it was written, in whatever pieces
 * it comes; anything else is refused. */
#include "lpar/handoff.h"

#include "tests/tap.h"

static uint8_t stream[4096];
static size_t written;

static void put(enum handoff_kind kind, const char *text)
{
    handoff_head(stream + written, kind, strlen(text));
    memcpy(stream + written + HANDOFF_HEAD, text, strlen(text));
    written += HANDOFF_HEAD + strlen(text);
}

struct seen {
    char state[64], pages[64];
    bool end;
    int status;
    struct vios_error error;
};

static void note(struct seen *seen, int kind, const uint8_t *piece, size_t size)
{
    char *text = kind == HANDOFF_STATE ? seen->state : seen->pages;
    if (kind == HANDOFF_END) {
        seen->end = true;
    } else {
        strncat(text, (const char *)piece, size);
    }
}

static struct seen read_in(size_t step)
{
    struct seen seen = {.end = false};
    struct handoff handoff = {.have = 0};
    for (size_t at = 0; at < written && seen.status >= 0; at += step) {
        const uint8_t *data = stream + at, *piece = NULL;
        size_t left = written - at < step ? written - at : step, size;
        do {
            seen.status = handoff_take(&handoff, &data, &left, &piece, &size, &seen.error);
            if (seen.status > 0) {
                note(&seen, seen.status, piece, size);
            }
        } while (seen.status > 0);
    }
    return seen;
}

static void it_is_read_as_it_was_written(void)
{
    written = 0;
    put(HANDOFF_STATE, "memory, ");
    put(HANDOFF_STATE, "devices");
    put(HANDOFF_PAGES, "sums");
    put(HANDOFF_END, "");
    for (size_t step = 1; step < written + 2; step++) {
        const struct seen seen = read_in(step);
        is_text(seen.state, "memory, devices");
        is_text(seen.pages, "sums");
        ok(seen.end && seen.status == HANDOFF_NONE, "in steps of %zu: %d", step, seen.status);
    }
}

static void one_that_is_cut_short_has_no_end(void)
{
    written = 0;
    put(HANDOFF_STATE, "memory");
    put(HANDOFF_END, "");
    written--;
    ok(!read_in(written).end, "it has an end");
}

static void is_refused(const char *what)
{
    const struct seen seen = read_in(sizeof stream);
    ok(seen.status == VIOS_E_INVALID, "%s: %d", what, seen.status);
    is_text(seen.error.message, "what came from the source is damaged");
}

static void anything_else_is_refused(void)
{
    written = 0;
    put(HANDOFF_PAGES, "sums");
    put(HANDOFF_STATE, "memory");
    is_refused("state behind pages");
    written = 0;
    put(HANDOFF_END, "");
    put(HANDOFF_END, "");
    is_refused("something behind the end");
    written = 0;
    put(HANDOFF_STATE, "");
    is_refused("an empty piece");
    written = 0;
    put((enum handoff_kind)7, "x");
    is_refused("an unknown kind");
    written = 0;
    put(HANDOFF_STATE, "x");
    handoff_head(stream, HANDOFF_STATE, HANDOFF_PIECE_MAX + 1);
    is_refused("a piece that is too large");
    written = 0;
    put(HANDOFF_END, "x");
    is_refused("an end with something in it");
}

int main(void)
{
    RUN(it_is_read_as_it_was_written);
    RUN(one_that_is_cut_short_has_no_end);
    RUN(anything_else_is_refused);
    return tap_done();
}
