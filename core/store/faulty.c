/* faulty.c - the n-th call fails as planned; all others go to the wrapped store. */
#include "store/faulty.h"

#include "store/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct faulty {
    struct store *inner;
    struct faulty_plan plans[FAULTY_PLANS_MAX];
    size_t plan_count;
    unsigned calls[FAULTY_CALLS]; /* made so far, by kind */
    bool disconnected;
};

static const char *const CALL_NAMES[FAULTY_CALLS] = {"get", "list", "commit", "watch"};

static const char *const FAULT_NAMES[] = {"conflict",  "unknown_done", "unknown_not_done",
                                          "timeout",   "unreachable",  "delay",
                                          "disconnect"};

#define FAULT_COUNT (sizeof FAULT_NAMES / sizeof FAULT_NAMES[0])

static int unreachable(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_UNREACHABLE, "store", NULL, "fault: unreachable");
}

static int unknown(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_UNKNOWN, "store", "read again",
                          "fault: the outcome is not known");
}

/* Counts the call. VIOS_OK: go on; `*after` (may be NULL) is set when it must claim not to
 * know once it is done. */
static int strike(struct faulty *faulty, enum faulty_call call, bool *after,
                  struct operation *operation)
{
    unsigned number = ++faulty->calls[call];
    for (size_t i = 0; i < faulty->plan_count && !faulty->disconnected; i++) {
        const struct faulty_plan *plan = &faulty->plans[i];
        if (plan->call != call || plan->nth != number) {
            continue;
        }
        switch (plan->fault) {
        case FAULTY_CONFLICT:
            return operation_fail(operation, VIOS_E_CONFLICT, "store", NULL, "fault: conflict");
        case FAULTY_UNKNOWN_DONE:
            if (after) {
                *after = true;
                return VIOS_OK;
            }
            return unknown(operation);
        case FAULTY_UNKNOWN_NOT_DONE:
            return unknown(operation);
        case FAULTY_TIMEOUT:
            return operation_fail(operation, VIOS_E_TIMEOUT, "store", NULL, "fault: timed out");
        case FAULTY_UNREACHABLE:
            return unreachable(operation);
        case FAULTY_DELAY:
            return operation_sleep(operation, FAULTY_DELAY_MS);
        case FAULTY_DISCONNECT:
            faulty->disconnected = true;
        }
    }
    return faulty->disconnected ? unreachable(operation) : VIOS_OK;
}

static void faulty_close(void *state)
{
    struct faulty *faulty = state;
    store_close(faulty->inner);
    free(faulty);
}

static int faulty_get(void *state, const char *key, struct store_value *value,
                      struct operation *operation)
{
    struct faulty *faulty = state;
    int status = strike(faulty, FAULTY_GET, NULL, operation);
    return status == VIOS_OK ? store_get(faulty->inner, key, value, operation) : status;
}

static int faulty_list(void *state, const char *const *prefixes, size_t count,
                       struct store_list *lists, int64_t *revision, struct operation *operation)
{
    struct faulty *faulty = state;
    int status = strike(faulty, FAULTY_LIST, NULL, operation);
    return status == VIOS_OK
               ? store_list_many(faulty->inner, prefixes, count, lists, revision, operation)
               : status;
}

static int faulty_commit(void *state, const struct store_compare *compares, size_t compare_count,
                         const struct store_change *changes, size_t change_count, int64_t *revision,
                         struct operation *operation)
{
    struct faulty *faulty = state;
    bool after = false;
    int status = strike(faulty, FAULTY_COMMIT, &after, operation);
    if (status == VIOS_OK) {
        status = store_commit(faulty->inner, compares, compare_count, changes, change_count,
                              revision, operation);
    }
    return status == VIOS_OK && after ? unknown(operation) : status;
}

static int faulty_watch_open(void *state, void **watch, const char *prefix, int64_t revision,
                             struct operation *operation)
{
    struct faulty *faulty = state;
    struct store_watch *inner = NULL;
    int status = strike(faulty, FAULTY_WATCH_OPEN, NULL, operation);
    if (status == VIOS_OK) {
        status = store_watch_open(&inner, faulty->inner, prefix, revision, operation);
    }
    *watch = inner;
    return status;
}

static int faulty_watch_next(void *watch, struct store_change_list *changes,
                             struct operation *operation)
{
    return store_watch_next(watch, changes, operation);
}

static void faulty_watch_close(void *watch)
{
    store_watch_close(watch);
}

static int faulty_compact(void *state, int64_t revision, struct operation *operation)
{
    return store_compact(((struct faulty *)state)->inner, revision, operation);
}

static int faulty_backup(void *state, const char *path, struct operation *operation)
{
    return store_backup(((struct faulty *)state)->inner, path, operation);
}

static int faulty_check(void *state, struct operation *operation)
{
    return store_check(((struct faulty *)state)->inner, operation);
}

static const struct store_backend FAULTY_BACKEND = {
    .name = "faulty",
    .close = faulty_close,
    .get = faulty_get,
    .list = faulty_list,
    .commit = faulty_commit,
    .watch_open = faulty_watch_open,
    .watch_next = faulty_watch_next,
    .watch_close = faulty_watch_close,
    .compact = faulty_compact,
    .backup = faulty_backup,
    .check = faulty_check,
};

struct store *faulty_wrap(struct store *inner, const struct faulty_plan *plans, size_t count)
{
    struct faulty *faulty = count <= FAULTY_PLANS_MAX ? calloc(1, sizeof *faulty) : NULL;
    if (!faulty) {
        store_close(inner);
        return NULL;
    }
    faulty->inner = inner;
    for (size_t i = 0; i < count; i++) {
        faulty->plans[i] = plans[i];
    }
    faulty->plan_count = count;
    return store_wrap(&FAULTY_BACKEND, faulty);
}

static bool find_name(const char *const *names, size_t count, const char *name, unsigned *index)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* "commit.3=unknown_done" */
static bool parse_plan(const char *text, struct faulty_plan *plan)
{
    char call[16];
    char fault[24];
    unsigned call_index;
    unsigned fault_index;
    if (sscanf(text, "%15[a-z].%u=%23[a-z_]", call, &plan->nth, fault) != 3 ||
        !find_name(CALL_NAMES, FAULTY_CALLS, call, &call_index) ||
        !find_name(FAULT_NAMES, FAULT_COUNT, fault, &fault_index)) {
        return false;
    }
    plan->call = (enum faulty_call)call_index;
    plan->fault = (enum faulty_fault)fault_index;
    return true;
}

int faulty_open(struct store **store, const char *text, bool create, struct operation *operation)
{
    struct faulty_plan plans[FAULTY_PLANS_MAX];
    size_t count = 0;
    char words[512];
    const char *address = strchr(text, ':');
    if (!address || (size_t)(address - text) >= sizeof words) {
        return operation_fail(operation, VIOS_E_USAGE, "store", NULL, "not PLAN:address");
    }
    memcpy(words, text, (size_t)(address - text));
    words[address - text] = '\0';
    char *rest = words;
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        if (count == FAULTY_PLANS_MAX || !parse_plan(word, &plans[count++])) {
            return operation_fail(operation, VIOS_E_USAGE, "store", NULL,
                                  "\"%s\" is not call.nth=fault", word);
        }
    }
    struct store *inner;
    int status = store_open(&inner, address + 1, create, operation);
    if (status == VIOS_OK) {
        *store = faulty_wrap(inner, plans, count);
        if (!*store) {
            status = operation_no_memory(operation, "store");
        }
    }
    return status;
}
