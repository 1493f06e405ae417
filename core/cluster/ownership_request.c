/*
 * ownership_request.c - the commits of an ownership: which records they compare, and what they put.
 * Members of a record that are not known here stay as they are.
 */
#include "cluster/ownership_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ownership_request_clear(struct ownership *ownership)
{
    free(ownership->lpar_text);
    free(ownership->hibernation_text);
    ownership->lpar_text = ownership->hibernation_text = NULL;
    for (size_t i = 0; i < OWNERSHIP_DISKS_MAX; i++) {
        free(ownership->lu_keys[i]);
        free(ownership->lu_texts[i]);
        ownership->lu_keys[i] = ownership->lu_texts[i] = NULL;
    }
}

static struct ownership_request *begin_request(struct ownership *ownership)
{
    struct ownership_request *request = &ownership->request;
    memset(request, 0, sizeof *request);
    ownership_request_clear(ownership);
    request->compares[request->compare_count++] =
        (struct store_compare){STORE_REVISION_IS, ownership->lpar_key, ownership->known.revision};
    request->compares[request->compare_count++] =
        (struct store_compare){STORE_ABSENT, ownership->fence_key, 0};
    return request;
}

static void put_lpar(struct ownership *ownership, json_t *record)
{
    struct ownership_request *request = &ownership->request;
    ownership->lpar_text = json_dumps(record, JSON_COMPACT);
    json_decref(record);
    assert(ownership->lpar_text);
    request->changes[request->change_count++] =
        (struct store_change){ownership->lpar_key, ownership->lpar_text};
}

/* The record with another owner (taken over; NULL: nobody), for a QEMU that is to start in that
 * generation. */
static json_t *record_of(const struct ownership *ownership, json_t *owner, int64_t generation)
{
    json_t *record = json_deep_copy(ownership->record);
    json_object_set_new(record, "owner", owner ? owner : json_null());
    json_object_set_new(record, "generation", json_integer((json_int_t)generation));
    json_object_del(record, "start");
    return record;
}

static void set_wanted(const struct ownership *ownership, json_t *record)
{
    if (ownership->wanted) {
        json_object_set_new(record, "wanted", json_string(ownership->wanted));
    }
}

/* One that goes on keeps the QEMU that started in an earlier generation. */
static void keep_start(const struct ownership *ownership, json_t *record)
{
    json_t *start = json_object_get(ownership->record, "start");
    json_object_set_new(record, "start",
                        start ? json_incref(start)
                              : json_integer((json_int_t)ownership->known.generation));
}

void ownership_request_own(struct ownership *ownership)
{
    struct ownership_request *request = begin_request(ownership);
    json_t *record = record_of(ownership,
                               json_pack("{s:s, s:I}", "node", ownership->node, "incarnation",
                                         (json_int_t)ownership->incarnation),
                               ownership->known.generation + 1);
    if (ownership_gives(ownership->kind) || ownership->kind == OWNERSHIP_CONTINUE) {
        keep_start(ownership, record);
    }
    if (!ownership_gives(ownership->kind)) {
        set_wanted(ownership, record);
    }
    if (ownership->kind == OWNERSHIP_TAKEOVER) {
        request->compares[request->compare_count++] = (struct store_compare){
            STORE_REVISION_IS, ownership->owner_fence_key, ownership->fence_revision};
        json_object_set_new(record, "job", json_null());
        json_object_set_new(record, "taken",
                            json_pack("{s:s, s:I}", "node", ownership->known.owner, "incarnation",
                                      (json_int_t)ownership->known.incarnation));
    }
    put_lpar(ownership, record);
    if (ownership->kind == OWNERSHIP_RESTORE) {
        request->compares[request->compare_count++] = (struct store_compare){
            STORE_REVISION_IS, ownership->hibernation_key, ownership->hibernation_revision};
        request->changes[request->change_count++] =
            (struct store_change){ownership->hibernation_key, NULL};
    }
}

void ownership_request_give_up(struct ownership *ownership)
{
    struct ownership_request *request = begin_request(ownership);
    json_t *record = record_of(ownership, NULL, ownership->known.generation);
    set_wanted(ownership, record);
    put_lpar(ownership, record);
    if (ownership->kind == OWNERSHIP_HIBERNATE) {
        json_t *saved = ownership->saved ? json_deep_copy(ownership->saved) : json_object();
        json_object_set_new(saved, "v", json_integer(1));
        json_object_set_new(saved, "generation",
                            json_integer((json_int_t)ownership->known.generation));
        ownership->hibernation_text = json_dumps(saved, JSON_COMPACT);
        json_decref(saved);
        assert(ownership->hibernation_text);
        request->changes[request->change_count++] =
            (struct store_change){ownership->hibernation_key, ownership->hibernation_text};
    }
}

void ownership_request_hand_over(struct ownership *ownership)
{
    struct ownership_request *request = begin_request(ownership);
    request->compares[request->compare_count++] =
        (struct store_compare){STORE_ABSENT, ownership->target_fence_key, 0};
    put_lpar(ownership, record_of(ownership,
                                  json_pack("{s:s, s:I}", "node", ownership->target, "incarnation",
                                            (json_int_t)ownership->target_incarnation),
                                  ownership->known.generation + 1));
}

/* --- the disks of a takeover --- */

char *ownership_disk_file(const char *key, int64_t generation, char name[OWNERSHIP_FILE_SIZE])
{
    assert(strncmp(key, "/lu/", strlen("/lu/")) == 0);
    snprintf(name, OWNERSHIP_FILE_SIZE, "%.50s.%lld", key + strlen("/lu/"), (long long)generation);
    return name;
}

/* The record with its new file, the old one among the dead. NULL: it is damaged. */
static char *lu_with_file(const struct ownership *ownership, const struct store_value *lu)
{
    char name[OWNERSHIP_FILE_SIZE];
    json_t *record = json_loads(lu->json, 0, NULL);
    json_t *file = json_object_get(record, "file"), *dead = json_object_get(record, "dead");
    char *text = NULL;
    ownership_disk_file(lu->key, ownership->known.generation, name);
    if (json_is_string(file) && (!dead || json_is_array(dead))) {
        if (!dead) {
            dead = json_array();
            json_object_set_new(record, "dead", dead);
        }
        if (strcmp(json_string_value(file), name) != 0) {
            json_array_append(dead, file);
        }
        json_object_set_new(record, "file", json_string(name));
        text = json_dumps(record, JSON_COMPACT);
    }
    json_decref(record);
    return text;
}

int ownership_request_disks(struct ownership *ownership, const struct store_value *lus,
                            size_t count, struct vios_error *error)
{
    struct ownership_request *request = begin_request(ownership);
    for (size_t i = 0; i < count; i++) {
        char *text = lu_with_file(ownership, &lus[i]);
        if (!text) {
            return error_set(error, VIOS_E_INVALID, lus[i].key, "run vios db check",
                             "the record is damaged");
        }
        ownership->lu_keys[i] = strdup(lus[i].key);
        ownership->lu_texts[i] = text;
        request->compares[request->compare_count++] =
            (struct store_compare){STORE_REVISION_IS, ownership->lu_keys[i], lus[i].revision};
        request->changes[request->change_count++] =
            (struct store_change){ownership->lu_keys[i], text};
    }
    json_t *record = json_deep_copy(ownership->record);
    json_object_del(record, "taken");
    put_lpar(ownership, record);
    return VIOS_OK;
}
