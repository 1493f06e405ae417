/* fuzz_etcd.c - what an etcd may answer: the first byte says to what (one range or several, a
 * commit with or without a mark, a watch, a status, a token, an error), the rest is the answer.
 * What a watch accepts must be in order, and all keys must be ours. */
#include "store/etcd_address.h"
#include "store/etcd_json.h"
#include "tests/fuzz/text.h"

#include <stdlib.h>
#include <string.h>

#define SPACE "/vios/:data"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_values(const struct store_gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        const struct store_value *value = &gather->values[i];
        if (!value->key[0] || strlen(value->key) > STORE_KEY_MAX || value->revision < 1 ||
            value->created > value->revision ||
            (value->json && strlen(value->json) > STORE_VALUE_MAX)) {
            abort();
        }
    }
}

static void try_watch(const char *text, size_t size)
{
    struct operation operation;
    struct etcd_watch_message message;
    struct store_gather gather = {0};
    int64_t before = 2;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = etcd_json_watch_message(text, size, SPACE, before, &message, &gather, &operation);
    check_values(&gather);
    for (size_t i = 0; i < gather.count && status == VIOS_OK; i++) {
        if (gather.values[i].revision <= 2 || gather.values[i].revision < before) {
            abort();
        }
        before = gather.values[i].revision;
    }
    store_gather_clear(&gather);
}

static void try_range(const json_t *answer)
{
    struct operation operation;
    struct store_gather gather = {0};
    bool more;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    etcd_json_values(answer, SPACE, false, &gather, &more, &operation);
    check_values(&gather);
    store_gather_clear(&gather);
}

static void try_ranges(const json_t *answer)
{
    const json_t *parts[2];
    struct vios_error error;
    if (etcd_json_ranges_answer(answer, 2, parts, &error) == VIOS_OK) {
        try_range(parts[0]);
        try_range(parts[1]);
    }
}

static void try_commit(const json_t *answer, bool marked)
{
    const struct store_compare compares[] = {{STORE_ABSENT, "/a", 0}, {STORE_EXISTS, "/b", 0}};
    struct etcd_txn txn = {.space = SPACE,
                           .compares = compares,
                           .compare_count = 2,
                           .look = true,
                           .mark_key = marked ? "/vios/:mark/a" : NULL,
                           .mark_void = marked ? "1 void" : NULL};
    struct etcd_seen seen[3];
    struct vios_error error;
    bool succeeded;
    if (etcd_json_txn_answer(answer, &txn, &succeeded, seen, &error) == VIOS_OK && !succeeded) {
        for (size_t i = 0; i < (marked ? 3 : 2); i++) {
            if (seen[i].mod_revision < 0 || strlen(seen[i].value) > ETCD_MARK_MAX) {
                abort();
            }
        }
    }
}

static void try_answer(unsigned kind, const char *text, size_t size)
{
    struct etcd_header header;
    struct etcd_status member;
    struct vios_error error;
    json_t *answer;
    char *token = NULL;
    if (etcd_json_answer(text, size, &answer, &header, &error) != VIOS_OK) {
        return;
    }
    if (kind == 0) {
        try_range(answer);
        try_ranges(answer);
    } else if (kind <= 2) {
        try_commit(answer, kind == 2);
    } else if (kind == 3) {
        etcd_json_status(answer, &member, &error);
    } else {
        etcd_json_token(answer, &token, &error);
    }
    free(token);
    json_decref(answer);
}

static void try_address(const char *text, size_t size)
{
    struct etcd_address address;
    char *copy = text_of(text, size);
    if (etcd_address_parse(&address, copy, NULL) == VIOS_OK) {
        if (address.endpoint_count == 0 || !address.user != !address.password_file) {
            abort();
        }
        etcd_address_clear(&address);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct etcd_refusal refusal;
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    switch (data[0] % 8) {
    case 5:
        etcd_json_refusal(text, size - 1, &refusal);
        break;
    case 6:
        try_watch(text, size - 1);
        break;
    case 7:
        try_address(text, size - 1);
        break;
    default:
        try_answer(data[0] % 8, text, size - 1);
    }
    return 0;
}
