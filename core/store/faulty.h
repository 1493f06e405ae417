/*
 * faulty.h - a store that fails on demand, for tests: it wraps another one and makes the n-th
 * call of a kind end in a given way. Reached by address only in a build with VIOS_TEST_HOOKS:
 * "faulty:PLAN:sqlite:/path", PLAN = call.nth=fault[,...], as in
 * "commit.3=unknown_done,get.1=delay".
 */
#ifndef STORE_FAULTY_H
#define STORE_FAULTY_H

#include "store/store.h"

#define FAULTY_PLANS_MAX 16
#define FAULTY_DELAY_MS 50

enum faulty_call { FAULTY_GET, FAULTY_LIST, FAULTY_COMMIT, FAULTY_WATCH_OPEN, FAULTY_CALLS };

enum faulty_fault {
    FAULTY_CONFLICT,         /* nothing done */
    FAULTY_UNKNOWN_DONE,     /* done, and says it does not know */
    FAULTY_UNKNOWN_NOT_DONE, /* not done, and says it does not know */
    FAULTY_TIMEOUT,          /* never sent */
    FAULTY_UNREACHABLE,      /* never sent */
    FAULTY_DELAY,            /* FAULTY_DELAY_MS late, or until the deadline or cancel */
    FAULTY_DISCONNECT        /* this call and all that follow are unreachable */
};

struct faulty_plan {
    enum faulty_call call;
    unsigned nth; /* 1 is the first call of its kind on this connection */
    enum faulty_fault fault;
};

/* Takes over `inner`; NULL without memory. */
struct store *faulty_wrap(struct store *inner, const struct faulty_plan *plans, size_t count);

/* "PLAN:address", see above. VIOS_E_USAGE for a plan that does not parse. */
int faulty_open(struct store **store, const char *text, bool create, struct operation *operation);

#endif
