/* boot.c - see boot.h. */
#include "daemon/boot.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "net/datagram.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_FILE "boot"
#define BOOT_FILE_MAX 4096
#define BOOT_ID_SIZE 40
#define WATCH_MS 100 /* between two looks at a foreign record */

struct boot {
    char id[BOOT_ID_SIZE];
    int64_t incarnation; /* 0: never ran */
    int64_t start;
};

struct own_record {
    int64_t revision; /* 0: none */
    int64_t incarnation, start, n;
};

/* --- the file --- */

static int read_boot_id(char id[BOOT_ID_SIZE], struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    int status =
        file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_FILE_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        snprintf(id, BOOT_ID_SIZE, "%.36s", text);
        free(text);
    }
    return status;
}

static int read_boot(struct node *node, struct boot *boot, struct vios_error *error)
{
    char *text = NULL;
    size_t size;
    memset(boot, 0, sizeof *boot);
    int status = file_read(node->state_dir_fd, BOOT_FILE, BOOT_FILE_MAX, &text, &size, error);
    if (status == VIOS_E_NOT_FOUND) {
        memset(error, 0, sizeof *error);
        return VIOS_OK;
    }
    if (status != VIOS_OK) {
        return status;
    }
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *id = json_get_text(json, "boot_id");
    free(text);
    if (!id) {
        json_decref(json);
        return error_set(error, VIOS_E_CORRUPT, "boot", "remove the file in the state folder",
                         "the file that names the last boot is damaged");
    }
    snprintf(boot->id, sizeof boot->id, "%s", id);
    boot->incarnation = json_get_integer(json, "incarnation");
    boot->start = json_get_integer(json, "start");
    json_decref(json);
    return VIOS_OK;
}

static int write_boot(struct node *node, const struct boot *boot, struct vios_error *error)
{
    json_t *json = json_pack("{s:i, s:s, s:I, s:I}", "v", 1, "boot_id", boot->id, "incarnation",
                             (json_int_t)boot->incarnation, "start", (json_int_t)boot->start);
    char *text = json_into_text(json);
    if (!text) {
        return error_no_memory(error, NULL);
    }
    int status = file_replace(node->state_dir_fd, BOOT_FILE, text, strlen(text), 0600, error);
    free(text);
    return status;
}

/* --- the record --- */

static int read_own(struct store *store, const struct node *node, struct own_record *own,
                    struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *record;
    memset(own, 0, sizeof *own);
    snprintf(key, sizeof key, "/alive/%s", node->name);
    int status = node_record(store, key, &record, &own->revision, operation);
    if (status == VIOS_E_NOT_FOUND) {
        memset(&operation->error, 0, sizeof operation->error);
        return VIOS_OK;
    }
    if (status == VIOS_OK) {
        own->incarnation = json_get_integer(record, "incarnation");
        own->start = json_get_integer(record, "start");
        own->n = json_get_integer(record, "n");
        json_decref(record);
    }
    return status;
}

/* The record changes while we look: its writer lives. */
static int watch_foreign(struct store *store, const struct node *node, struct own_record *own,
                         struct operation *operation)
{
    int64_t until_ms = clock_now_ms() + config_duration_ms(node->config, "ttl");
    int64_t revision = own->revision;
    while (clock_now_ms() < until_ms) {
        int status = operation_sleep(operation, WATCH_MS);
        if (status == VIOS_OK) {
            status = read_own(store, node, own, operation);
        }
        if (status != VIOS_OK) {
            return status;
        }
        if (own->revision != revision) {
            return operation_fail(operation, VIOS_E_CONFLICT, node->name,
                                  "give this node another name, or end the other daemon",
                                  "another daemon runs under the name of this node");
        }
    }
    return VIOS_OK;
}

static int is_fenced(struct store *store, const struct node *node, int64_t incarnation,
                     bool *fenced, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, "/fence/%s/%lld", node->name, (long long)incarnation);
    return node_has_record(store, key, fenced, operation);
}

/* No daemon wrote the record: it is of an incarnation that nobody was (restore/plan.h). */
static bool is_restored(const struct own_record *own)
{
    return own->revision > 0 && own->start == 0;
}

/* The highest incarnation of a node of this name that was fenced; one that was removed is. 0: none.
 */
static int highest_fence(struct store *store, const struct node *node, int64_t *highest,
                         struct operation *operation)
{
    char prefix[STORE_KEY_MAX];
    struct store_list list;
    *highest = 0;
    snprintf(prefix, sizeof prefix, "/fence/%s/", node->name);
    int status = store_list(store, prefix, &list, NULL, operation);
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        int64_t one = strtoll(list.values[i].key + strlen(prefix), NULL, 10);
        *highest = one > *highest ? one : *highest;
    }
    if (status == VIOS_OK) {
        store_list_clear(&list);
    }
    return status;
}

/* The fence of the incarnation that the record shows, if there is one, ends with ours; without a
 * record it is the last one that ran here, or under this name anywhere. After a
 * restore ours is above both, for the one that ran here last may run still. */
static int choose_incarnation(struct store *store, const struct node *node, const struct boot *boot,
                              const char *boot_id, const struct own_record *own,
                              struct boot_choice *choice, struct operation *operation)
{
    bool known = own->revision == 0 || own->start == boot->start;
    bool same_boot = known && boot->incarnation > 0 && strcmp(boot->id, boot_id) == 0;
    int64_t before = own->revision > 0 ? own->incarnation : boot->incarnation;
    int64_t removed = 0;
    bool fenced = false;
    int status = own->revision > 0 ? VIOS_OK : highest_fence(store, node, &removed, operation);
    before = removed > before ? removed : before;
    int64_t highest = before > boot->incarnation ? before : boot->incarnation;
    if (status == VIOS_OK) {
        status = is_fenced(store, node, before, &fenced, operation);
    }
    choice->incarnation = same_boot ? highest : highest + 1;
    if (fenced) {
        choice->rejoins = before;
        choice->incarnation = highest > before && !is_restored(own) ? highest : highest + 1;
    }
    choice->known_n = own->n;
    choice->known_revision = own->revision;
    return status;
}

static int choose(struct store *store, struct node *node, struct boot_choice *choice,
                  struct operation *operation)
{
    struct boot boot = {0};
    struct own_record own = {0};
    char id[BOOT_ID_SIZE];
    int status = read_boot_id(id, &operation->error);
    if (status == VIOS_OK) {
        status = read_boot(node, &boot, &operation->error);
    }
    if (status == VIOS_OK) {
        status = read_own(store, node, &own, operation);
    }
    if (status == VIOS_OK && own.revision > 0 && own.start != boot.start && !is_restored(&own)) {
        status = watch_foreign(store, node, &own, operation);
    }
    if (status == VIOS_OK) {
        status = choose_incarnation(store, node, &boot, id, &own, choice, operation);
    }
    if (status != VIOS_OK) {
        return status;
    }
    choice->start = boot.start = datagram_start_make();
    boot.incarnation = choice->incarnation;
    snprintf(boot.id, sizeof boot.id, "%s", id);
    return write_boot(node, &boot, &operation->error);
}

int boot_choose(struct node *node, struct boot_choice *choice, struct operation *operation)
{
    struct store *store;
    int status = node_store(node, &store, operation);
    memset(choice, 0, sizeof *choice);
    if (status == VIOS_OK) {
        status = choose(store, node, choice, operation);
        node_store_return(node, store);
    }
    return status;
}
