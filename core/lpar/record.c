/* record.c - the records of LPARs, in and out. See the header. */
#include "lpar/record.h"

#include "base/clock.h"
#include "base/json.h"
#include "node/node.h"
#include "store/missing.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const wanted_names[] = {"stopped", "running", "hibernated"};

char *lpar_object(const char *name, char text[96])
{
    snprintf(text, 96, "lpar \"%s\"", name);
    return text;
}

void lpar_backend_format(const struct lpar_nic *nic, char *text, size_t size)
{
    if (nic->backend == NIC_BRIDGE) {
        snprintf(text, size, "bridge:%s", nic->bridge);
    } else {
        snprintf(text, size, "%s", nic->backend == NIC_USER ? "user" : "none");
    }
}

static bool is_interface(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "_.-");
    return length > 0 && length < 16 && !text[length] && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

int lpar_backend_parse(const char *text, struct lpar_nic *nic, struct vios_error *error)
{
    nic->bridge[0] = 0;
    if (strcmp(text, "user") == 0) {
        nic->backend = NIC_USER;
    } else if (strcmp(text, "none") == 0) {
        nic->backend = NIC_NONE;
    } else if (strncmp(text, "bridge:", 7) == 0 && is_interface(text + 7)) {
        nic->backend = NIC_BRIDGE;
        snprintf(nic->bridge, sizeof nic->bridge, "%s", text + 7);
    } else {
        return error_set(error, VIOS_E_USAGE, "nic", "give user, bridge:BR or none",
                         "\"%s\" is no kind of network", text);
    }
    return VIOS_OK;
}

/* --- reading: each helper returns false and leaves the member's name in `bad` --- */

struct reader {
    const char *bad; /* the first member that was wrong */
};

static void get_text(struct reader *reader, const json_t *object, const char *key, char *out,
                     size_t size, bool needed)
{
    if (!json_read_text(object, key, out, size) || (needed && !out[0])) {
        reader->bad = reader->bad ? reader->bad : key;
    }
}

static int64_t get_integer(struct reader *reader, const json_t *object, const char *key,
                           int64_t minimum, int64_t maximum)
{
    int64_t number;
    if (json_read_integer(object, key, minimum, maximum, &number)) {
        return number;
    }
    reader->bad = reader->bad ? reader->bad : key;
    return minimum;
}

static bool get_boolean(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_boolean(value)) {
        reader->bad = reader->bad ? reader->bad : key;
    }
    return json_is_true(value);
}

/* Words that go into QEMU's option lists, where a comma would begin another option. */
static void check_word(struct reader *reader, const char *text, const char *key)
{
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-")]) {
        reader->bad = reader->bad ? reader->bad : key;
    }
}

static void get_disk(struct reader *reader, const json_t *object, struct lpar_disk *disk)
{
    get_text(reader, object, "id", disk->id, sizeof disk->id, true);
    bool shared = json_object_get(object, "lu") != NULL;
    get_text(reader, object, "lu", disk->lu, sizeof disk->lu, shared);
    get_text(reader, object, "file", disk->file, sizeof disk->file, !shared);
    get_text(reader, object, "serial", disk->serial, sizeof disk->serial, true);
    disk->slot = (int)get_integer(reader, object, "slot", 3, 31);
    disk->read_only = get_boolean(reader, object, "read_only");
    check_word(reader, disk->id, "id");
    check_word(reader, disk->serial, "serial");
    if (shared && parse_uuid(disk->lu, NULL) < 0) {
        reader->bad = reader->bad ? reader->bad : "lu";
    }
    if (shared ? disk->file[0] : disk->file[0] != '/') {
        reader->bad = reader->bad ? reader->bad : "file";
    }
}

static void get_nic(struct reader *reader, const json_t *object, struct lpar_nic *nic)
{
    char text[32];
    get_text(reader, object, "id", nic->id, sizeof nic->id, true);
    get_text(reader, object, "mac", text, sizeof text, true);
    nic->slot = (int)get_integer(reader, object, "slot", 3, 31);
    check_word(reader, nic->id, "id");
    if (parse_mac(text, nic->mac, NULL) < 0) {
        reader->bad = reader->bad ? reader->bad : "mac";
    }
    get_text(reader, object, "backend", text, sizeof text, true);
    if (lpar_backend_parse(text, nic, NULL) < 0) {
        reader->bad = reader->bad ? reader->bad : "backend";
    }
}

static size_t get_list(struct reader *reader, const json_t *object, const char *key, size_t most)
{
    const json_t *list = json_object_get(object, key);
    if (!json_is_array(list) || json_array_size(list) > most) {
        reader->bad = reader->bad ? reader->bad : key;
        return 0;
    }
    return json_array_size(list);
}

static void get_spec(struct reader *reader, const json_t *spec, struct lpar *lpar)
{
    const json_t *boot = json_object_get(spec, "boot");
    get_text(reader, spec, "machine", lpar->machine, sizeof lpar->machine, true);
    get_text(reader, spec, "accel", lpar->accel, sizeof lpar->accel, true);
    get_text(reader, spec, "cpu", lpar->cpu, sizeof lpar->cpu, true);
    check_word(reader, lpar->machine, "machine");
    check_word(reader, lpar->cpu, "cpu");
    if (strcmp(lpar->accel, "tcg") != 0 && strcmp(lpar->accel, "kvm") != 0) {
        reader->bad = reader->bad ? reader->bad : "accel";
    }
    lpar->cpus = (int)get_integer(reader, spec, "cpus", 1, LPAR_CPUS_MAX);
    lpar->memory_bytes =
        (uint64_t)get_integer(reader, spec, "memory_bytes", LPAR_MEMORY_MIN, LPAR_MEMORY_MAX);
    get_text(reader, boot, "kernel", lpar->kernel, sizeof lpar->kernel, false);
    get_text(reader, boot, "initrd", lpar->initrd, sizeof lpar->initrd, false);
    get_text(reader, boot, "append", lpar->append, sizeof lpar->append, false);
    lpar->disk_count = get_list(reader, spec, "disks", LPAR_DISKS_MAX);
    for (size_t i = 0; i < lpar->disk_count; i++) {
        get_disk(reader, json_array_get(json_object_get(spec, "disks"), i), &lpar->disks[i]);
    }
    lpar->nic_count = get_list(reader, spec, "nics", LPAR_NICS_MAX);
    for (size_t i = 0; i < lpar->nic_count; i++) {
        get_nic(reader, json_array_get(json_object_get(spec, "nics"), i), &lpar->nics[i]);
    }
    lpar->serial_console = get_boolean(reader, spec, "serial_console");
    lpar->autostart = get_boolean(reader, spec, "autostart");
}

static void get_head(struct reader *reader, const json_t *json, struct lpar *lpar)
{
    (void)get_integer(reader, json, "v", 1, 1);
    get_text(reader, json, "uuid", lpar->uuid, sizeof lpar->uuid, true);
    get_text(reader, json, "name", lpar->name, sizeof lpar->name, true);
    get_text(reader, json, "job", lpar->job, sizeof lpar->job, false);
    lpar->generation = lpar->start = get_integer(reader, json, "generation", 0, INT64_MAX);
    if (json_object_get(json, "start")) {
        lpar->start = get_integer(reader, json, "start", 0, lpar->generation);
    }
    const json_t *owner = json_object_get(json, "owner");
    if (json_is_object(owner)) {
        get_text(reader, owner, "node", lpar->owner, sizeof lpar->owner, true);
        lpar->owner_incarnation = get_integer(reader, owner, "incarnation", 0, INT64_MAX);
    } else if (!json_is_null(owner)) {
        reader->bad = reader->bad ? reader->bad : "owner";
    }
    lpar->taken = json_object_get(json, "taken") != NULL;
    int wanted = json_get_choice(json, "wanted", wanted_names, 3);
    lpar->wanted = wanted < 0 ? LPAR_STOPPED : (enum lpar_wanted)wanted;
    if (wanted < 0) {
        reader->bad = reader->bad ? reader->bad : "wanted";
    }
    if (parse_uuid(lpar->uuid, NULL) < 0) {
        reader->bad = reader->bad ? reader->bad : "uuid";
    }
    if (parse_name(lpar->name, "LPAR", NULL) < 0) {
        reader->bad = reader->bad ? reader->bad : "name";
    }
}

int lpar_parse(const char *text, struct lpar *lpar, struct vios_error *error)
{
    struct reader reader = {NULL};
    memset(lpar, 0, sizeof *lpar);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        reader.bad = "{}";
    } else {
        get_head(&reader, json, lpar);
        get_spec(&reader, json_object_get(json, "spec"), lpar);
    }
    json_decref(json);
    if (reader.bad) {
        char object[96];
        return error_set(error, VIOS_E_CORRUPT, lpar_object(lpar->name, object),
                         "look at it with db get", "its record has a bad \"%s\"", reader.bad);
    }
    return VIOS_OK;
}

/* --- writing --- */

static json_t *disks_json(const struct lpar *lpar)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lpar->disk_count; i++) {
        const struct lpar_disk *disk = &lpar->disks[i];
        json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:s, s:b}", "id", disk->id, "slot",
                                              disk->slot, disk->lu[0] ? "lu" : "file",
                                              disk->lu[0] ? disk->lu : disk->file, "serial",
                                              disk->serial, "read_only", disk->read_only));
    }
    return list;
}

static json_t *nics_json(const struct lpar *lpar)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lpar->nic_count; i++) {
        const struct lpar_nic *nic = &lpar->nics[i];
        char backend[32];
        lpar_backend_format(nic, backend, sizeof backend);
        json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:s}", "id", nic->id, "slot",
                                              nic->slot, "mac", nic->mac, "backend", backend));
    }
    return list;
}

static json_t *boot_json(const struct lpar *lpar)
{
    if (!lpar->kernel[0]) {
        return json_pack("{s:[s]}", "order", lpar->disk_count ? lpar->disks[0].id : "none");
    }
    json_t *boot = json_pack("{s:s, s:s}", "kernel", lpar->kernel, "append", lpar->append);
    if (lpar->initrd[0]) {
        json_object_set_new(boot, "initrd", json_string(lpar->initrd));
    }
    return boot;
}

void lpar_raise(struct lpar *lpar)
{
    lpar->start = ++lpar->generation;
}

bool lpar_is_shared(const struct lpar *lpar)
{
    size_t shared = 0;
    for (size_t i = 0; i < lpar->disk_count; i++) {
        shared += lpar->disks[i].lu[0] != 0;
    }
    return shared > 0 && shared == lpar->disk_count;
}

bool lpar_moves(const struct lpar *lpar)
{
    return lpar->wanted == LPAR_RUNNING && lpar_is_shared(lpar) && !lpar->kernel[0];
}

const char *lpar_wanted_name(enum lpar_wanted wanted)
{
    return wanted_names[wanted];
}

json_t *lpar_spec_json(const struct lpar *lpar)
{
    json_t *spec = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:b, s:b}", "machine",
                             lpar->machine, "accel", lpar->accel, "cpu", lpar->cpu, "cpus",
                             lpar->cpus, "memory_bytes", (json_int_t)lpar->memory_bytes, "boot",
                             boot_json(lpar), "disks", disks_json(lpar), "nics", nics_json(lpar),
                             "serial_console", lpar->serial_console, "autostart", lpar->autostart);
    assert(spec);
    return spec;
}

char *lpar_format(const struct lpar *lpar)
{
    json_t *owner = lpar->owner[0] ? json_pack("{s:s, s:I}", "node", lpar->owner, "incarnation",
                                               (json_int_t)lpar->owner_incarnation)
                                   : json_null();
    json_t *json = json_pack("{s:i, s:s, s:s, s:I, s:o, s:s, s:o, s:o}", "v", 1, "uuid", lpar->uuid,
                             "name", lpar->name, "generation", (json_int_t)lpar->generation,
                             "owner", owner, "wanted", lpar_wanted_name(lpar->wanted), "job",
                             lpar->job[0] ? json_string(lpar->job) : json_null(), "spec",
                             lpar_spec_json(lpar));
    assert(json);
    if (lpar->owner[0] && lpar->start != lpar->generation) {
        json_object_set_new(json, "start", json_integer((json_int_t)lpar->start));
    }
    char *text = json_into_text(json);
    assert(text);
    return text;
}

void lpar_adapter_hash(const struct lpar *lpar, char hash[65])
{
    json_t *spec = lpar_spec_json(lpar);
    size_t i;
    json_t *disk;
    json_object_del(spec, "autostart");
    json_object_del(spec, "boot");
    json_array_foreach(json_object_get(spec, "disks"), i, disk)
    {
        json_object_del(disk, "file");
    }
    char *text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
    assert(text);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text, strlen(text), digest);
    for (size_t k = 0; k < sizeof digest; k++) {
        snprintf(hash + 2 * k, 3, "%02x", digest[k]);
    }
    free(text);
    json_decref(spec);
}

/* --- the store --- */

static void record_key(const char *name, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, "/lpar/%s", name);
}

int lpar_load(struct store *store, const char *name, struct lpar *lpar, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    struct store_value value;
    record_key(name, key);
    int status = store_get(store, key, &value, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return store_missing(store, "/lpar/", "lpar", name, "there is no such LPAR", operation);
    }
    if (status < 0) {
        return status;
    }
    status = lpar_parse(value.json, lpar, &operation->error);
    lpar->revision = value.revision;
    store_value_clear(&value);
    return status;
}

int lpar_save(struct store *store, struct lpar *lpar, struct operation *operation)
{
    char key[STORE_KEY_MAX], fence[STORE_KEY_MAX], object[96];
    record_key(lpar->name, key);
    snprintf(fence, sizeof fence, "/fence/%s/%lld", lpar->owner,
             (long long)lpar->owner_incarnation);
    char *json = lpar_format(lpar);
    struct store_compare compares[] = {{STORE_REVISION_IS, key, lpar->revision},
                                       {STORE_ABSENT, fence, 0}};
    struct store_change change = {key, json};
    int64_t revision = 0;
    int status =
        store_commit(store, compares, lpar->owner[0] ? 2 : 1, &change, 1, &revision, operation);
    if (status == VIOS_OK) {
        lpar->revision = revision;
    } else if (status == VIOS_E_CONFLICT && strcmp(operation->error.object, fence) == 0) {
        status = operation_fail(operation, VIOS_E_STALE, lpar_object(lpar->name, object),
                                "wait until its daemon has rejoined",
                                "node \"%s\" is fenced and may run no guest", lpar->owner);
    }
    free(json);
    return status;
}

static char *format_run(const struct lpar_run *run)
{
    char since[CLOCK_TEXT_SIZE];
    return json_into_text(
        json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "v", 1, "state", run->state, "why",
                  run->why, "node", run->node, "incarnation", (json_int_t)run->incarnation,
                  "generation", (json_int_t)run->generation, "qemu_pid", (json_int_t)run->qemu_pid,
                  "since", clock_format(clock_wall_ms(), since)));
}

/* 1: somebody has said something later. */
static int publish_once(struct store *store, const char *key, const char *text, int64_t generation,
                        struct operation *operation)
{
    json_t *before = NULL;
    struct store_compare compare = {.kind = STORE_ABSENT, .key = key};
    const struct store_change change = {key, text};
    int status = node_record(store, key, &before, &compare.revision, operation);
    compare.kind = status == VIOS_OK ? STORE_REVISION_IS : STORE_ABSENT;
    bool late = json_get_integer(before, "generation") > generation;
    json_decref(before);
    if (status < 0 && status != VIOS_E_NOT_FOUND) {
        return status;
    }
    return late ? 1 : store_commit(store, &compare, 1, &change, 1, NULL, operation);
}

int lpar_publish(struct store *store, const char *name, const struct lpar_run *run,
                 struct operation *operation)
{
    char key[STORE_KEY_MAX], *text = format_run(run);
    struct store_tries tries = {0};
    int status;
    snprintf(key, sizeof key, "/lpar-run/%s", name);
    if (!text) {
        return operation_no_memory(operation, NULL);
    }
    do {
        status = publish_once(store, key, text, run->generation, operation);
    } while (store_try_again(&tries, &status));
    free(text);
    return status < 0 ? status : VIOS_OK;
}
