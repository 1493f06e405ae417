/* view.c - LPARs as people and scripts see them. See the header. */
#include "lpar/view.h"

#include "base/json.h"
#include "lpar/guest.h"
#include "lpar/restart_state.h"
#include "node/members.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct seen {
    char state[VIEW_STATE_SIZE];
    char why[200];
    int64_t qemu_pid;
};

static bool node_is_up(struct node *node, const char *name)
{
    enum member_state state = node_member_state(node, name);
    return state == MEMBER_UP || state == MEMBER_DRAINED;
}

/* Its owner wrote it, not one of before. */
static bool is_of_owner(const json_t *run, const struct lpar *lpar)
{
    return strcmp(json_get_word(run, "node"), lpar->owner) == 0 &&
           json_get_integer(run, "incarnation") == lpar->owner_incarnation;
}

/* What its last owner wrote. */
static void see_published(struct store *store, const struct lpar *lpar, struct seen *seen,
                          struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct store_value value;
    snprintf(key, sizeof key, "/lpar-run/%s", lpar->name);
    if (store_get(store, key, &value, operation) < 0) {
        return;
    }
    json_t *json = json_loads(value.json, 0, NULL);
    const char *why = json_get_text(json, "why");
    const char *state = json_get_text(json, "state");
    snprintf(seen->why, sizeof seen->why, "%s", why ? why : "");
    if (lpar->owner[0] && state && is_of_owner(json, lpar)) {
        snprintf(seen->state, sizeof seen->state, "%s",
                 strcmp(state, "stopped") == 0 ? "starting" : state);
        seen->qemu_pid = json_get_integer(json, "qemu_pid");
    }
    json_decref(json);
    store_value_clear(&value);
}

static void see(struct node *node, struct store *store, const struct lpar *lpar, struct seen *seen,
                struct operation *operation)
{
    struct guest *guest = lpars_find(node->lpars, lpar->name);
    struct guest_status status;
    memset(seen, 0, sizeof *seen);
    snprintf(seen->state, sizeof seen->state, "%s",
             lpar->owner[0]                    ? "starting"
             : lpar->wanted == LPAR_HIBERNATED ? "hibernated"
                                               : "stopped");
    if (guest && strcmp(lpar->owner, node->name) == 0) {
        guest_status(guest, &status);
        snprintf(seen->state, sizeof seen->state, "%s", status.state);
        snprintf(seen->why, sizeof seen->why, "%s", status.why);
        seen->qemu_pid = status.qemu_pid;
    } else if (lpar->owner[0] && strcmp(lpar->owner, node->name) != 0 &&
               !node_is_up(node, lpar->owner)) {
        snprintf(seen->state, sizeof seen->state, "unknown");
        snprintf(seen->why, sizeof seen->why, "node \"%s\" is not up", lpar->owner);
    } else {
        see_published(store, lpar, seen, operation);
    }
    if (strcmp(seen->state, "running") == 0 && lpar->wanted == LPAR_STOPPED && lpar->job[0]) {
        snprintf(seen->state, sizeof seen->state, "stopping");
    }
    guest_release(guest);
}

void view_state(struct node *node, struct store *store, const struct lpar *lpar,
                char state[VIEW_STATE_SIZE], struct operation *operation)
{
    struct seen seen;
    see(node, store, lpar, &seen, operation);
    snprintf(state, VIEW_STATE_SIZE, "%s", seen.state);
}

/* The spec's lists without what only QEMU wants. */
static json_t *shown_list(const json_t *spec, const char *key)
{
    json_t *list = json_deep_copy(json_object_get(spec, key)), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        json_object_del(item, "slot");
    }
    return list;
}

static json_t *show(struct node *node, struct store *store, const struct lpar *lpar,
                    struct operation *operation)
{
    struct seen seen;
    struct restart_facts restart;
    see(node, store, lpar, &seen, operation);
    restart_state_read(store, lpar, node->name, &restart, operation);
    json_t *spec = lpar_spec_json(lpar);
    json_t *shown = json_pack(
        "{s:s, s:s, s:s, s:o, s:I, s:I, s:i, s:o, s:o, s:I, s:s, s:s, s:o, s:s, s:b, s:s}", "name",
        lpar->name, "state", seen.state, "wanted", lpar_wanted_name(lpar->wanted), "node",
        json_string(lpar->owner), "qemu_pid", (json_int_t)seen.qemu_pid, "memory_mib",
        (json_int_t)(lpar->memory_bytes >> 20), "cpus", lpar->cpus, "disks",
        shown_list(spec, "disks"), "nics", shown_list(spec, "nics"), "generation",
        (json_int_t)lpar->generation, "uuid", lpar->uuid, "why", seen.why, "job",
        json_string(lpar->job), "accel", lpar->accel, "movable",
        lpar_is_shared(lpar) && !lpar->kernel[0], "restart_state",
        restart_state_name(restart_state(&restart)));
    assert(shown);
    json_decref(spec);
    return shown;
}

/* What another record says of it; NULL, and no error, when there is none. */
static json_t *look_up(struct store *store, const char *prefix, const char *name,
                       struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *record = NULL;
    struct vios_error before = operation->error;
    snprintf(key, sizeof key, "%s%s", prefix, name);
    (void)node_record(store, key, &record, NULL, operation);
    operation->error = before;
    return record;
}

/* When its state became what it is; "" when nobody knows. */
static json_t *since_of(struct store *store, const char *name, struct operation *operation)
{
    json_t *run = look_up(store, "/lpar-run/", name, operation);
    json_t *text = json_string(json_get_word(run, "since"));
    json_decref(run);
    return text;
}

/* How it was moved last, or is now (migration/move.h), for people; "" when it never was. */
static json_t *move_of(struct store *store, const char *name, struct operation *operation)
{
    json_t *move = look_up(store, "/migration/", name, operation);
    const char *source = json_get_word(move, "source"), *error = json_get_word(move, "error");
    const char *ended = json_get_word(move, "ended");
    json_t *text =
        move ? json_sprintf("%s from %s, for %s%s%s%s%s%s%s", json_get_word(move, "state"),
                            json_get_word(move, "from"), json_get_word(move, "cause"),
                            source[0] ? ", with its " : "", source, error[0] ? ": " : "", error,
                            ended[0] ? ", at " : "", ended)
             : json_string("");
    json_decref(move);
    return text;
}

int view_show(struct node *node, struct store *store, const char *name, json_t **shown,
              struct operation *operation)
{
    struct lpar lpar;
    int status = lpar_load(store, name, &lpar, operation);
    if (status < 0) {
        return status;
    }
    char hash[65];
    lpar_adapter_hash(&lpar, hash);
    *shown = show(node, store, &lpar, operation);
    json_t *spec = lpar_spec_json(&lpar);
    json_object_set(*shown, "boot", json_object_get(spec, "boot"));
    json_object_set(*shown, "machine", json_object_get(spec, "machine"));
    json_object_set(*shown, "cpu", json_object_get(spec, "cpu"));
    json_object_set(*shown, "autostart", json_object_get(spec, "autostart"));
    json_object_set_new(*shown, "adapter_hash", json_string(hash));
    json_object_set_new(*shown, "since", since_of(store, name, operation));
    json_object_set_new(*shown, "move", move_of(store, name, operation));
    json_decref(spec);
    return VIOS_OK;
}

int view_names(struct store *store, const char *prefix, json_t **names, struct operation *operation)
{
    char key[STORE_KEY_MAX + 1];
    struct store_list list;
    *names = json_array();
    int length = snprintf(key, sizeof key, "/lpar/%s", prefix);
    if (length > STORE_KEY_MAX || strchr(prefix, '/') || !store_key_is_valid(key)) {
        return VIOS_OK;
    }
    int status = store_list(store, key, &list, NULL, operation);
    if (status < 0) {
        json_decref(*names);
        *names = NULL;
        return status;
    }
    for (size_t i = 0; i < list.count && i < VIEW_NAMES_MAX; i++) {
        json_array_append_new(*names, json_string(list.values[i].key + strlen("/lpar/")));
    }
    store_list_clear(&list);
    return VIOS_OK;
}

int view_list(struct node *node, struct store *store, json_t **out, struct operation *operation)
{
    struct store_list list;
    int status = store_list(store, "/lpar/", &list, NULL, operation);
    if (status < 0) {
        return status;
    }
    *out = json_array();
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        struct lpar lpar;
        status = lpar_parse(list.values[i].json, &lpar, &operation->error);
        if (status == VIOS_OK) {
            json_array_append_new(*out, show(node, store, &lpar, operation));
        }
    }
    store_list_clear(&list);
    if (status < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
