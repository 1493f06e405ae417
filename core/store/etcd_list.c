/*
 * etcd_list.c - lists: all prefixes at one revision, and one request when they are short.
 *
 * The first request is a txn without compares and with a range for each prefix. etcd answers it as
 * it answers a range: it asks its majority, and reads one snapshot. What a prefix has beyond its
 * share of that page follows page by page, at the same revision.
 */
#include "store/etcd_connection.h"

#include <string.h>

struct listing {
    struct etcd_connection *connection;
    const char *const *prefixes;
    size_t count;
    struct store_gather gathers[STORE_PREFIXES_MAX];
    bool more[STORE_PREFIXES_MAX]; /* the prefix has keys behind those gathered */
    size_t bytes;
    int64_t revision;
};

/* Keys must grow, or a page would not follow the one before; and be those asked for. */
static int check_page(struct listing *listing, size_t index, size_t from,
                      struct operation *operation)
{
    const struct store_gather *gather = &listing->gathers[index];
    const char *prefix = listing->prefixes[index];
    for (size_t i = from; i < gather->count; i++) {
        const struct store_value *value = &gather->values[i];
        if (strncmp(value->key, prefix, strlen(prefix)) != 0 ||
            (i > 0 && strcmp(gather->values[i - 1].key, value->key) >= 0)) {
            return operation_fail(operation, VIOS_E_CORRUPT, "etcd", NULL,
                                  "a list whose keys are not in order, or not those asked for");
        }
        listing->bytes += strlen(value->key) + strlen(value->json);
    }
    if (listing->bytes > (size_t)ETCD_LIST_BYTES_MAX) {
        return operation_fail(operation, VIOS_E_NO_SPACE, "store", NULL,
                              "a list has at most %ld bytes", ETCD_LIST_BYTES_MAX);
    }
    return VIOS_OK;
}

static int take_page(struct listing *listing, size_t index, const json_t *range,
                     struct operation *operation)
{
    struct store_gather *gather = &listing->gathers[index];
    size_t before = gather->count;
    int status = etcd_json_values(range, listing->connection->data_space, false, gather,
                                  &listing->more[index], operation);
    return status == VIOS_OK ? check_page(listing, index, before, operation) : status;
}

static struct etcd_range range_of(const struct listing *listing, size_t index)
{
    return (struct etcd_range){.space = listing->connection->data_space,
                               .key = listing->prefixes[index],
                               .prefix = true,
                               .limit = ETCD_PAGE_KEYS};
}

/* All prefixes share the page, so that the answer of many is no larger than that of one. */
static int list_first(struct listing *listing, struct operation *operation)
{
    struct etcd_range ranges[STORE_PREFIXES_MAX];
    const json_t *parts[STORE_PREFIXES_MAX];
    struct etcd_header header;
    json_t *answer;
    for (size_t i = 0; i < listing->count; i++) {
        ranges[i] = range_of(listing, i);
        ranges[i].limit = ETCD_PAGE_KEYS / (unsigned)listing->count;
    }
    int status =
        etcd_call(listing->connection, ETCD_TXN_PATH, etcd_json_ranges(ranges, listing->count),
                  &answer, &header, NULL, operation);
    if (status == VIOS_OK) {
        status = etcd_json_ranges_answer(answer, listing->count, parts, &operation->error);
    }
    if (status == VIOS_OK && header.revision < 1) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "etcd", NULL, "a list of no revision");
    }
    listing->revision = header.revision;
    for (size_t i = 0; i < listing->count && status == VIOS_OK; i++) {
        status = take_page(listing, i, parts[i], operation);
    }
    json_decref(answer);
    return status;
}

static int list_next(struct listing *listing, size_t index, struct operation *operation)
{
    struct store_gather *gather = &listing->gathers[index];
    struct etcd_range range = range_of(listing, index);
    size_t before = gather->count;
    range.revision = listing->revision;
    range.after = gather->values[before - 1].key;
    int status =
        etcd_call_range(listing->connection, &range, gather, &listing->more[index], operation);
    return status == VIOS_OK ? check_page(listing, index, before, operation) : status;
}

static void listing_clear(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        store_gather_clear(&listing->gathers[i]);
    }
    listing->bytes = 0;
}

static int list_once(struct listing *listing, struct operation *operation)
{
    listing_clear(listing);
    int status = list_first(listing, operation);
    for (size_t i = 0; i < listing->count; i++) {
        while (status == VIOS_OK && listing->more[i]) {
            status = list_next(listing, i, operation);
        }
    }
    return status;
}

int etcd_list(void *state, const char *const *prefixes, size_t count, struct store_list *lists,
              int64_t *revision, struct operation *operation)
{
    struct listing listing = {.connection = state, .prefixes = prefixes, .count = count};
    int status = VIOS_E_COMPACTED;
    for (int tries = 0; tries < ETCD_LIST_ANEW_MAX && status == VIOS_E_COMPACTED; tries++) {
        status = list_once(&listing, operation);
    }
    for (size_t i = 0; i < count; i++) {
        lists[i] = (struct store_list){listing.gathers[i].values, listing.gathers[i].count};
    }
    *revision = listing.revision;
    return status;
}
