/* incident.c - see incident.h. */
#include "ffdc/incident.h"

#include "base/json.h"
#include "base/log.h"
#include "net/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "/incident/"
#define NUMBER_KEY "/incident-number"
#define SIGNATURE_PREFIX "/incident-signature/"
#define SIGNATURE_BYTES 16 /* of the digest */
#define KEY_SIZE 96

static void incident_key(const char *correlator, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, PREFIX "%s", correlator);
}

static int signature_key(const char *signature, char key[KEY_SIZE], struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    int status = crypto_digest(signature, strlen(signature), "", 0, digest, error);
    if (status == VIOS_OK) {
        snprintf(key, KEY_SIZE, SIGNATURE_PREFIX);
        crypto_hex(digest, SIGNATURE_BYTES, key + strlen(key));
    }
    return status;
}

static char *incident_object(const char *correlator, char object[96])
{
    snprintf(object, 96, "incident \"%.31s\"", correlator);
    return object;
}

int incident_read(struct store *store, const char *correlator, struct manifest *manifest,
                  int64_t *revision, struct operation *operation)
{
    struct store_value value = {0};
    char key[KEY_SIZE], object[96];
    incident_key(correlator, key);
    int status = store_get(store, key, &value, operation);
    if (status == VIOS_E_NOT_FOUND) {
        operation_fail(operation, status, incident_object(correlator, object),
                       "see \"vios ffdc list\"", "there is no such incident");
    }
    if (status == VIOS_OK) {
        status = manifest_parse(value.json, strlen(value.json), manifest, &operation->error);
        *revision = value.revision;
    }
    store_value_clear(&value);
    return status;
}

/* Commits the manifest as the first of `changes`; the others are the caller's. */
static int write_record(struct store *store, const struct manifest *manifest,
                        const struct store_compare *compares, size_t compare_count,
                        struct store_change *changes, size_t change_count,
                        struct operation *operation)
{
    char key[KEY_SIZE];
    char *text = manifest_format(manifest);
    if (!text) {
        return operation_no_memory(operation, NULL);
    }
    incident_key(manifest->correlator, key);
    changes[0] = (struct store_change){.key = key, .json = text};
    int status =
        store_commit(store, compares, compare_count, changes, change_count, NULL, operation);
    changes[0] = (struct store_change){0};
    free(text);
    return status;
}

int incident_change(struct store *store, const char *correlator,
                    bool (*change)(void *context, struct manifest *manifest), void *context,
                    struct manifest *manifest, struct operation *operation)
{
    struct store_tries tries = {0};
    char key[KEY_SIZE];
    int status;
    incident_key(correlator, key);
    do {
        int64_t revision = 0;
        struct store_change record;
        status = incident_read(store, correlator, manifest, &revision, operation);
        if (status == VIOS_OK && change(context, manifest)) {
            struct store_compare same = {STORE_REVISION_IS, key, revision};
            status = write_record(store, manifest, &same, 1, &record, 1, operation);
        }
    } while (store_try_again(&tries, &status));
    return status;
}

int incident_add(struct store *store, const struct manifest *manifest, struct operation *operation)
{
    char key[KEY_SIZE];
    struct store_change record;
    incident_key(manifest->correlator, key);
    struct store_compare absent = {STORE_ABSENT, key, 0};
    int status = write_record(store, manifest, &absent, 1, &record, 1, operation);
    return status == VIOS_E_CONFLICT ? VIOS_OK : status;
}

/* --- a new one, or one more of the same --- */

/* What the key says, and the compare that keeps it so; an absent one says nothing. */
static int read_word(struct store *store, const char *key, json_t **record,
                     struct store_compare *compare, struct operation *operation)
{
    struct store_value value = {0};
    int status = store_get(store, key, &value, operation);
    *record = status == VIOS_OK ? json_loads(value.json, JSON_REJECT_DUPLICATES, NULL) : NULL;
    *compare = status == VIOS_OK ? (struct store_compare){STORE_REVISION_IS, key, value.revision}
                                 : (struct store_compare){STORE_ABSENT, key, 0};
    store_value_clear(&value);
    return status == VIOS_E_NOT_FOUND ? VIOS_OK : status;
}

struct opening {
    struct manifest *manifest; /* as it was given */
    char signature[KEY_SIZE];
    struct store_compare compares[3]; /* number, signature, record */
    char earlier[MANIFEST_CORRELATOR_SIZE];
    int64_t number;
};

static int look(struct store *store, struct opening *opening, struct operation *operation)
{
    json_t *number = NULL, *signature = NULL;
    int status = read_word(store, NUMBER_KEY, &number, &opening->compares[0], operation);
    if (status == VIOS_OK) {
        status = read_word(store, opening->signature, &signature, &opening->compares[1], operation);
    }
    opening->earlier[0] = 0;
    if (!json_read_text(signature, "correlator", opening->earlier, sizeof opening->earlier) ||
        manifest_check_correlator(opening->earlier, NULL) < 0) {
        opening->earlier[0] = 0;
    }
    opening->number = json_get_integer(number, "last") + 1;
    json_decref(number);
    json_decref(signature);
    return status;
}

static int write_new(struct store *store, struct opening *opening, struct operation *operation)
{
    struct manifest *manifest = opening->manifest;
    char key[KEY_SIZE], number[64], signature[96];
    snprintf(manifest->correlator, sizeof manifest->correlator, "%lld", (long long)opening->number);
    incident_key(manifest->correlator, key);
    snprintf(number, sizeof number, "{\"v\":1,\"last\":%lld}", (long long)opening->number);
    snprintf(signature, sizeof signature, "{\"v\":1,\"correlator\":\"%s\"}", manifest->correlator);
    opening->compares[2] = (struct store_compare){STORE_ABSENT, key, 0};
    struct store_change changes[] = {
        {NULL, NULL}, {NUMBER_KEY, number}, {opening->signature, signature}};
    return write_record(store, manifest, opening->compares, 3, changes, 3, operation);
}

struct repeat {
    const struct manifest *seen;
    bool over; /* too old, or being deleted */
};

static bool count_more(void *context, struct manifest *manifest)
{
    struct repeat *repeat = context;
    int64_t age_ms = manifest_time_ms(repeat->seen) - manifest_time_ms(manifest);
    repeat->over = manifest->state == MANIFEST_DELETING || age_ms > INCIDENT_AGE_MS ||
                   strcmp(manifest->signature, repeat->seen->signature) != 0;
    if (!repeat->over) {
        int64_t count = manifest->count + repeat->seen->count;
        manifest->count = count < INT32_MAX ? count : INT32_MAX;
        memcpy(manifest->last, repeat->seen->last, sizeof manifest->last);
    }
    return !repeat->over;
}

/* VIOS_E_NOT_FOUND: there is none that still counts. */
static int count_repeat(struct store *store, const char *correlator, struct manifest *manifest,
                        struct operation *operation)
{
    struct manifest *earlier = malloc(sizeof *earlier);
    struct repeat repeat = {.seen = manifest};
    int status = earlier
                     ? incident_change(store, correlator, count_more, &repeat, earlier, operation)
                     : operation_no_memory(operation, NULL);
    if (status == VIOS_OK && repeat.over) {
        status = VIOS_E_NOT_FOUND;
    }
    if (status == VIOS_OK) {
        *manifest = *earlier;
    }
    free(earlier);
    return status == VIOS_E_CORRUPT ? VIOS_E_NOT_FOUND : status;
}

int incident_open(struct store *store, struct manifest *manifest, bool *repeated,
                  struct operation *operation)
{
    struct opening opening = {.manifest = manifest};
    struct store_tries tries = {0};
    *repeated = false;
    int status = signature_key(manifest->signature, opening.signature, &operation->error);
    if (status != VIOS_OK) {
        return status;
    }
    do {
        status = look(store, &opening, operation);
        if (status == VIOS_OK && opening.earlier[0]) {
            status = count_repeat(store, opening.earlier, manifest, operation);
            if (status != VIOS_E_NOT_FOUND) {
                *repeated = status == VIOS_OK;
                return status;
            }
            status = VIOS_OK;
        }
        if (status == VIOS_OK) {
            status = write_new(store, &opening, operation);
        }
    } while (store_try_again(&tries, &status));
    return status;
}

/* --- all of them --- */

static int compare_times(const void *one, const void *other)
{
    const struct manifest *const *left = one, *const *right = other;
    int order = strcmp((*left)->time, (*right)->time);
    return order ? order : strcmp((*left)->correlator, (*right)->correlator);
}

static size_t parse_all(const struct store_list *list, struct manifest **manifests)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct vios_error error;
        const struct store_value *value = &list->values[i];
        struct manifest *manifest = malloc(sizeof *manifest);
        if (manifest &&
            manifest_parse(value->json, strlen(value->json), manifest, &error) == VIOS_OK) {
            manifests[count++] = manifest;
        } else {
            log_warning("ffdc", "the record %s is left out: it is damaged", value->key);
            free(manifest);
        }
    }
    return count;
}

int incident_each(struct store *store, void (*each)(void *context, const struct manifest *),
                  void *context, struct operation *operation)
{
    struct store_list list = {0};
    int status = store_list(store, PREFIX, &list, NULL, operation);
    struct manifest **manifests = calloc(list.count + 1, sizeof *manifests);
    if (status == VIOS_OK && !manifests) {
        status = operation_no_memory(operation, NULL);
    }
    if (status == VIOS_OK) {
        size_t count = parse_all(&list, manifests);
        qsort(manifests, count, sizeof *manifests, compare_times);
        for (size_t i = 0; i < count; i++) {
            each(context, manifests[i]);
            free(manifests[i]);
        }
    }
    free(manifests);
    store_list_clear(&list);
    return status;
}

int incident_forget(struct store *store, const struct manifest *manifest,
                    struct operation *operation)
{
    char key[KEY_SIZE], signature[KEY_SIZE];
    json_t *record = NULL;
    struct store_compare same;
    incident_key(manifest->correlator, key);
    int status = signature_key(manifest->signature, signature, &operation->error);
    if (status == VIOS_OK) {
        status = read_word(store, signature, &record, &same, operation);
    }
    if (status == VIOS_OK) {
        bool own = strcmp(json_get_word(record, "correlator"), manifest->correlator) == 0;
        struct store_change gone[] = {{key, NULL}, {signature, NULL}};
        status = store_commit(store, &same, 1, gone, own ? 2 : 1, NULL, operation);
    }
    json_decref(record);
    return status;
}
