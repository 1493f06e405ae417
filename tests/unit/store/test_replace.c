/* Proves: a store's content is read without being touched, and replaced by another one; a process
 * that ends at any step of that leaves the old content, the new one, or a store that is refused and
 * can be replaced again; who has the file open is seen; a file that lost its name is not written.
 * needs: heavy
 * limit: 120 */
#include "tests/unit/store/etcd_store.h"

#include "store/replace.h"

#include <limits.h>

#define OLD "{\"v\":1,\"is\":\"old\"}"
#define NEW "{\"v\":1,\"is\":\"new\"}"
#define MANY 250 /* more than one commit takes */

static char place[PATH_MAX + 128]; /* the address under test */

static void fresh_place(const char *name)
{
    snprintf(place, sizeof place, "sqlite:%s/%s.db", tap_folder(), name);
}

static const char *place_path(void)
{
    return place + strlen("sqlite:");
}

static void make_old(void)
{
    char key[64];
    struct store *store = open_or_exit(place);
    suite_put(store, "/cluster", OLD);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "/old/%d", i);
        suite_put(store, key, OLD);
    }
    store_close(store);
}

static struct store_value new_values[MANY];

static struct store_list new_list(void)
{
    static char keys[MANY][32];
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], i == 0 ? "/cluster" : "/new/%03d", i);
        new_values[i] = (struct store_value){keys[i], (char *)NEW, 5000, 5000};
    }
    return (struct store_list){new_values, MANY};
}

static int replace(char aside[PATH_MAX + 64])
{
    struct operation operation = suite_operation();
    struct store_list list = new_list();
    int status = store_replace(place, &list, 5000, aside, &operation);
    ok(status == VIOS_OK || status == VIOS_E_LOCKED, "replace: %s", operation.error.message);
    return status;
}

/* What reading it says, and "old", "new", "mixed" or "" of its values. */
static int read_state(const char **state)
{
    struct operation operation = suite_operation();
    struct store_reading reading;
    size_t old = 0;
    int status = store_read(place, "", &reading, &operation);
    for (size_t i = 0; i < reading.list.count; i++) {
        old += strcmp(reading.list.values[i].json, OLD) == 0;
    }
    *state = reading.list.count == 0                  ? ""
             : old == reading.list.count && old == 6  ? "old"
             : old == 0 && reading.list.count == MANY ? "new"
                                                      : "mixed";
    store_reading_clear(&reading);
    return status;
}

static void is_new(void)
{
    const char *state;
    struct store *store = open_or_exit(place);
    is_text(suite_json(store, "/cluster"), NEW);
    is_text(suite_json(store, "/old/1"), "");
    is_text(suite_json(store, "/new/249"), NEW);
    is_int(suite_put(store, "/after", NEW), VIOS_OK);
    is_int(suite_put(store, "/after", NULL), VIOS_OK);
    store_close(store);
    is_int(read_state(&state), VIOS_OK);
    is_text(state, "new");
}

/* --- files --- */

static void an_absent_file_is_read_as_such(void)
{
    const char *state;
    fresh_place("absent");
    is_int(read_state(&state), VIOS_E_NOT_FOUND);
    is_text(state, "");
    is_int(access(place_path(), F_OK), -1);
}

static void a_file_is_replaced_and_kept(void)
{
    char aside[PATH_MAX + 64];
    const char *state;
    fresh_place("kept");
    make_old();
    is_int(replace(aside), VIOS_OK);
    ok(strstr(aside, "kept.db.replaced-") != NULL, "aside: %s", aside);
    is_new();
    struct store *store = open_or_exit(place);
    ok(suite_now(store) >= 5000, "its revision goes on from there");
    store_close(store);
    snprintf(place, sizeof place, "sqlite:%s", aside);
    is_int(read_state(&state), VIOS_OK);
    is_text(state, "old");
}

static void a_new_file_is_made(void)
{
    char aside[PATH_MAX + 64];
    fresh_place("made");
    is_int(replace(aside), VIOS_OK);
    is_text(aside, "");
    is_new();
}

static void a_damaged_file_is_replaced_and_kept(void)
{
    char aside[PATH_MAX + 64];
    const char *state;
    fresh_place("damaged");
    make_old();
    is_int(truncate(place_path(), 5000), 0);
    is_int(read_state(&state), VIOS_E_CORRUPT);
    is_int(replace(aside), VIOS_OK);
    ok(strstr(aside, "damaged.db.damaged-") != NULL, "aside: %s", aside);
    is_new();
}

static void an_empty_or_lost_file_is_replaced(void)
{
    char aside[PATH_MAX + 64];
    struct store *store;
    struct operation operation;
    fresh_place("lost");
    make_old();
    is_int(truncate(place_path(), 0), 0);
    is_int(open_at(place, true, &store, &operation), VIOS_E_CORRUPT);
    is_int(replace(aside), VIOS_OK);
    is_int(unlink(place_path()), 0);
    is_int(open_at(place, true, &store, &operation), VIOS_E_CORRUPT);
    is_int(replace(aside), VIOS_OK);
    is_new();
}

/* Another process that has the store open until it is told to end. */
static pid_t open_elsewhere(int *tell)
{
    int ready[2], go[2];
    char byte = 0;
    if (pipe(ready) != 0 || pipe(go) != 0) {
        exit(1);
    }
    pid_t child = fork();
    if (child == 0) {
        struct store *store = open_or_exit(place);
        close(go[1]);
        _exit(write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 0 && store ? 0 : 1);
    }
    close(go[0]);
    is_int(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    *tell = go[1];
    return child;
}

static void a_file_in_use_is_left_alone(void)
{
    char aside[PATH_MAX + 64], who[64];
    int tell;
    fresh_place("used");
    make_old();
    pid_t child = open_elsewhere(&tell);
    struct operation operation = suite_operation();
    is_int(store_check_unused(place, &operation), VIOS_E_LOCKED);
    snprintf(who, sizeof who, "process %ld has it open", (long)child);
    is_text(operation.error.message, who);
    is_int(replace(aside), VIOS_E_LOCKED);
    close(tell);
    waitpid(child, NULL, 0);
    is_int(store_check_unused(place, &operation), VIOS_OK);
    struct store *store = open_or_exit(place);
    is_text(suite_json(store, "/cluster"), OLD);
    store_close(store);
}

static void a_file_that_lost_its_name_is_not_used(void)
{
    char aside[PATH_MAX + 64];
    struct store_value value;
    fresh_place("moved");
    make_old();
    struct store *store = open_or_exit(place);
    is_text(suite_json(store, "/cluster"), OLD);
    is_int(replace(aside), VIOS_OK); /* its own process is not seen */
    struct operation operation = suite_operation();
    is_int(store_get(store, "/cluster", &value, &operation), VIOS_E_CORRUPT);
    ok(strstr(operation.error.message, "replaced or removed"), "%s", operation.error.message);
    is_int(suite_put(store, "/cluster", OLD), VIOS_E_CORRUPT);
    store_close(store);
    is_new();
}

static void a_retired_store_is_not_found(void)
{
    char aside[PATH_MAX + 64];
    struct store *store;
    struct operation operation;
    fresh_place("retired");
    make_old();
    operation = suite_operation();
    is_int(store_retire(place, aside, &operation), VIOS_OK);
    ok(access(aside, F_OK) == 0, "it is kept");
    is_int(open_at(place, true, &store, &operation), VIOS_E_CORRUPT);
}

/* --- an end at any step --- */

static bool killed_at(const char *step)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        char aside[PATH_MAX + 64], where[64];
        struct operation operation = suite_operation();
        struct store_list list = new_list();
        snprintf(where, sizeof where, "db.restore:%s", step);
        setenv("VIOS_CRASH_AT", where, 1);
        store_replace(place, &list, 5000, aside, &operation);
        _exit(1);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* In a process of its own: this one would know which etcd store it saw before. */
static void apart(void (*work)(void))
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        tap_bad = false;
        work();
        fflush(stdout);
        _exit(tap_bad);
    }
    waitpid(child, &status, 0);
    ok(status == 0, "all held");
}

static const char *want; /* "old", "new" or "refused" */

static void open_it(void)
{
    struct store *store = NULL;
    struct operation operation;
    int status = open_at(place, true, &store, &operation);
    const char *got = status == VIOS_E_CORRUPT                          ? "refused"
                      : status != VIOS_OK                               ? "?"
                      : strcmp(suite_json(store, "/cluster"), OLD) == 0 ? "old"
                                                                        : "new";
    ok(strcmp(got, want) == 0, "%s, want %s", got, want);
    if (status == VIOS_OK) {
        bool old = strcmp(suite_json(store, "/old/4"), OLD) == 0;
        ok(old == (strcmp(got, "old") == 0), "whole");
    } else {
        ok(strstr(operation.error.hint, "db restore"), "the hint: %s", operation.error.hint);
    }
    store_close(store);
}

static void replace_it(void)
{
    char aside[PATH_MAX + 64];
    is_int(replace(aside), VIOS_OK);
}

/* Then it is replaced again. */
static void end_at(const char *step, const char *wanted)
{
    want = wanted;
    apart(make_old);
    ok(killed_at(step), "%s was passed", step);
    apart(open_it);
    apart(replace_it);
    apart(is_new);
}

static void a_file_survives_an_end_at_any_step(void)
{
#ifndef VIOS_TEST_HOOKS
    SKIP("needs a build with VIOS_TEST_HOOKS");
#endif
    static const char *const steps[][2] = {{"written", "old"},
                                           {"ready", "old"},
                                           {"away", "refused"},
                                           {"aside", "refused"},
                                           {"placed", "new"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        fresh_place(steps[i][0]);
        end_at(steps[i][0], steps[i][1]);
    }
}

static void what_was_written_can_be_read_after_an_end(void)
{
#ifndef VIOS_TEST_HOOKS
    SKIP("needs a build with VIOS_TEST_HOOKS");
#endif
    char left[PATH_MAX + 16];
    const char *state;
    fresh_place("left");
    make_old();
    store_replace_left(place, left);
    is_text(left, "");
    killed_at("aside");
    store_replace_left(place, left);
    snprintf(place, sizeof place, "%s", left);
    is_int(read_state(&state), VIOS_OK);
    is_text(state, "new");
}

/* --- an etcd --- */

static void an_etcd_is_replaced(void)
{
    char aside[PATH_MAX + 64];
    const char *state;
    etcd_servers_address(&servers, 0, "?prefix=/vios/replaced", place, sizeof place);
    is_int(read_state(&state), VIOS_E_NOT_FOUND);
    apart(replace_it);
    apart(is_new);
    is_int(replace(aside), VIOS_OK);
    is_text(aside, "");
    is_new();
    apart(replace_it);
    struct store *store;
    struct operation operation;
    is_int(open_at(place, true, &store, &operation), VIOS_E_CORRUPT);
    ok(strstr(operation.error.message, "another one than before"), "%s", operation.error.message);
}

static void an_etcd_survives_an_end_at_any_step(void)
{
#ifndef VIOS_TEST_HOOKS
    SKIP("needs a build with VIOS_TEST_HOOKS");
#endif
    static const char *const steps[][2] = {{"begun", "refused"},
                                           {"batch", "refused"},
                                           {"put", "refused"},
                                           {"deleted", "refused"},
                                           {"placed", "new"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char parameters[64];
        snprintf(parameters, sizeof parameters, "?prefix=/vios/%s", steps[i][0]);
        etcd_servers_address(&servers, 0, parameters, place, sizeof place);
        end_at(steps[i][0], steps[i][1]);
    }
}

int main(void)
{
    RUN(an_absent_file_is_read_as_such);
    RUN(a_file_is_replaced_and_kept);
    RUN(a_new_file_is_made);
    RUN(a_damaged_file_is_replaced_and_kept);
    RUN(an_empty_or_lost_file_is_replaced);
    RUN(a_file_in_use_is_left_alone);
    RUN(a_file_that_lost_its_name_is_not_used);
    RUN(a_retired_store_is_not_found);
    RUN(a_file_survives_an_end_at_any_step);
    RUN(what_was_written_can_be_read_after_an_end);
    if (etcd_installed()) {
        etcd_start(&servers, 1, "etcd");
        RUN(an_etcd_is_replaced);
        RUN(an_etcd_survives_an_end_at_any_step);
    }
    return etcd_done();
}
