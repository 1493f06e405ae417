/*
 * database.h - the simulated VIOS DB: a revisioned store with the compares and the four outcomes
 * of core/store/store.h. It may be slow or away, for all or for one node; requests and answers may
 * be lost, and a commit whose outcome is unknown may land much later, also when its sender is dead.
 * Texts, once committed, stay where they are until the world ends.
 */
#ifndef SIM_DATABASE_H
#define SIM_DATABASE_H

#include "store/store.h"
#include "tests/sim/world.h"

#define DATABASE_PREFIXES_MAX 6
#define DATABASE_COMPARES_MAX 20
#define DATABASE_CHANGES_MAX 20

struct database;

enum database_kind { DATABASE_LIST, DATABASE_READ, DATABASE_COMMIT };

struct database_answer {
    int status;
    int64_t revision;
    struct store_value value;                       /* of a read */
    struct store_list lists[DATABASE_PREFIXES_MAX]; /* of a list; gone when this returns */
};

struct database_request {
    enum database_kind kind;
    const char *key;
    const char *prefixes[DATABASE_PREFIXES_MAX];
    size_t prefix_count;
    const struct store_compare *compares;
    size_t compare_count;
    const struct store_change *changes;
    size_t change_count;
    void (*answered)(void *context, const struct database_answer *answer);
    void *context;
};

struct database *database_new(struct world *world);
void database_free(struct database *database);

/* Copies the request; answers to the process, once, if it lives then. */
void database_ask(struct database *database, struct process *process,
                  const struct database_request *request);

/* For all who look from outside: what is there now; NULL when absent. */
const struct store_value *database_look(const struct database *database, const char *key);
/* All below the prefix. */
const struct store_value *const *database_look_list(const struct database *database,
                                                    const char *prefix, size_t *count);

/* Written before the world begins. */
void database_put(struct database *database, const char *key, const char *json);

/* Faults: until when (true time) it is away or slow. `node` NULL: for all. */
void database_away(struct database *database, struct node *node, int64_t until_us);
void database_slow(struct database *database, int64_t until_us);
void database_heal(struct database *database);

#endif
