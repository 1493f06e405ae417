/*
 * departure.c - see departure.h.
 *
 * One thread follows the journal and pokes the other, which hibernates: it has a few jobs at work,
 * waits for the oldest of them, and looks again.
 */
#include "migration/departure.h"

#include "base/log.h"
#include "base/thread.h"
#include "lpar/guest.h"
#include "lpar/hibernate.h"
#include "lpar/hold.h"
#include "migration/move.h"
#include "node/changes.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOK_MS 10000

struct departure {
    struct node *node;
    struct runner journal, jobs;
    int poke; /* eventfd */
    char ids[DEPARTURE_AT_ONCE][JOB_ID_SIZE];
    size_t count; /* of jobs at work, the oldest first */
    bool again;   /* somebody is still to leave who could not yet: a pause first */
};

/* A guest that is to leave. */
struct leaver {
    char name[NAME_MAX_LENGTH + 1];
    uint64_t memory_bytes;
};

/* --- whom --- */

static bool is_from_here(const struct node *node, const struct move *move)
{
    return move->state == MOVE_MOVING && strcmp(move->from, node->name) == 0 &&
           move->incarnation == node->incarnation;
}

static bool has_guest(struct node *node, const char *name)
{
    struct guest *guest = lpars_find(node->lpars, name);
    guest_release(guest);
    return guest != NULL;
}

/* It runs, and nobody is at work on it. */
static bool can_leave(struct node *node, struct store *store, const char *name,
                      struct leaver *leaver, struct operation *operation)
{
    struct lpar lpar;
    struct guest_status now = {.state = ""};
    struct guest *guest = lpars_find(node->lpars, name);
    if (guest && guest_is_connected(guest)) {
        guest_status(guest, &now);
    }
    guest_release(guest);
    if (strcmp(now.state, "running") != 0 || lpar_load(store, name, &lpar, operation) != VIOS_OK ||
        lpar_is_held(store, &lpar, operation)) {
        return false;
    }
    *leaver = (struct leaver){.memory_bytes = lpar.memory_bytes};
    snprintf(leaver->name, sizeof leaver->name, "%s", lpar.name);
    return true;
}

static int by_memory(const void *a, const void *b)
{
    const struct leaver *one = a, *other = b;
    return one->memory_bytes != other->memory_bytes ? (one->memory_bytes > other->memory_bytes) -
                                                          (one->memory_bytes < other->memory_bytes)
                                                    : strcmp(one->name, other->name);
}

/* free() `*leavers`. `*others`: how many are to leave and cannot yet. */
static int find_leavers(struct node *node, struct store *store, struct leaver **leavers,
                        size_t *count, size_t *others, struct operation *operation)
{
    struct store_list list;
    struct vios_error ignored;
    *leavers = NULL;
    *count = *others = 0;
    int status = store_list(store, MOVE_PREFIX, &list, NULL, operation);
    if (status != VIOS_OK) {
        return status;
    }
    *leavers = calloc(list.count + 1, sizeof **leavers);
    for (size_t i = 0; *leavers && i < list.count; i++) {
        struct move move;
        if (move_parse(&list.values[i], &move, &ignored) == VIOS_OK && is_from_here(node, &move) &&
            has_guest(node, move.name)) {
            bool can = can_leave(node, store, move.name, &(*leavers)[*count], operation);
            *count += can;
            *others += !can;
        }
    }
    store_list_clear(&list);
    if (*leavers) {
        qsort(*leavers, *count, sizeof **leavers, by_memory);
    }
    return *leavers ? VIOS_OK : operation_no_memory(operation, "migration");
}

/* --- their jobs --- */

static void submit(struct departure *departure, const char *name, struct operation *operation)
{
    char object[96];
    struct node *node = departure->node;
    int status = job_submit(node->jobs, &lpar_hibernate_job, lpar_object(name, object),
                            json_pack("{s:s}", "name", name), NULL,
                            departure->ids[departure->count], operation);
    if (status == VIOS_OK) {
        departure->count++;
        recorder_note(node->recorder, "migration", "%s leaves: it is hibernated", name);
        log_notice("migration", "%s leaves this node: it is hibernated", name);
    } else {
        departure->again = true;
        log_warning("migration", "%s does not leave: %s", name, operation->error.message);
    }
}

static void submit_some(struct departure *departure)
{
    struct node *node = departure->node;
    struct store *store = NULL;
    struct leaver *leavers = NULL;
    size_t count = 0, others = 0;
    struct operation operation;
    operation_start(&operation, LOOK_MS, departure->jobs.cancel);
    int status = node_store(node, &store, &operation);
    if (status == VIOS_OK) {
        status = find_leavers(node, store, &leavers, &count, &others, &operation);
    }
    node_store_return(node, store);
    if (status != VIOS_OK) {
        departure->again = true;
        log_debug("migration", "who is to leave is not known: %s", operation.error.message);
    }
    for (size_t i = 0; i < count && departure->count < DEPARTURE_AT_ONCE; i++) {
        submit(departure, leavers[i].name, &operation);
    }
    departure->again = departure->again || (others > 0 && departure->count == 0);
    free(leavers);
}

/* Until the oldest job is over. */
static void await_oldest(struct departure *departure)
{
    json_t *result = NULL;
    struct operation waiting;
    operation_start(&waiting, OPERATION_NO_DEADLINE, departure->jobs.cancel);
    int status = job_wait(departure->node->jobs, departure->ids[0], NULL, NULL, &result, &waiting);
    json_decref(result);
    if (status != VIOS_OK && status != VIOS_E_CANCELLED) {
        departure->again = true;
        log_warning("migration", "%s: %s", waiting.error.object, waiting.error.message);
    }
    memmove(departure->ids[0], departure->ids[1], sizeof departure->ids - sizeof departure->ids[0]);
    departure->count--;
}

static void *hibernate(void *argument)
{
    struct departure *departure = argument;
    while (!cancel_triggered(departure->jobs.cancel)) {
        struct operation waiting;
        eventfd_t ignored;
        eventfd_read(departure->poke, &ignored); /* fails when nobody poked */
        if (!departure->again) {
            submit_some(departure);
        }
        if (departure->count > 0) {
            await_oldest(departure);
            continue;
        }
        operation_start(&waiting, departure->again ? DEPARTURE_PAUSE_MS : OPERATION_NO_DEADLINE,
                        departure->jobs.cancel);
        (void)operation_wait(&waiting, departure->poke, POLLIN);
        departure->again = false;
    }
    return NULL;
}

/* --- the journal --- */

static void poke(void *context)
{
    struct departure *departure = context;
    eventfd_write(departure->poke, 1); /* fails only when it is full: readable all the same */
}

static void *follow_journal(void *argument)
{
    struct departure *departure = argument;
    changes_follow(departure->node, MOVE_PREFIX, "migration", poke, departure,
                   departure->journal.cancel);
    return NULL;
}

int departure_start(struct departure **departure, struct node *node, struct vios_error *error)
{
    struct departure *made = calloc(1, sizeof *made);
    *departure = NULL;
    if (!made) {
        return error_no_memory(error, "migration");
    }
    made->node = node;
    made->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int status = made->poke >= 0 ? runner_start(&made->journal, "departure", follow_journal, made,
                                                "migration", error)
                                 : error_set_errno(error, "migration", "cannot make a descriptor");
    if (status == VIOS_OK) {
        status = runner_start(&made->jobs, "departures", hibernate, made, "migration", error);
    }
    if (status != VIOS_OK) {
        departure_stop(made);
        return status;
    }
    *departure = made;
    return VIOS_OK;
}

void departure_stop(struct departure *departure)
{
    if (!departure) {
        return;
    }
    runner_stop(&departure->journal);
    runner_stop(&departure->jobs);
    if (departure->poke >= 0) {
        close(departure->poke);
    }
    free(departure);
}
