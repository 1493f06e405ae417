/* retrieve.c - see retrieve.h. */
#include "event/retrieve.h"

#include "base/clock.h"
#include "base/json.h"
#include "event/event_file.h"
#include "node/others.h"

#include <string.h>

#define NAP_FIRST_MS 20
#define NAP_MOST_MS 1000
#define ASK_TIMEOUT_MS 5000

/* From the producer's own daemon. */
static int ask_producer(struct node *node, const struct event_record *record,
                        struct payload *payload, struct operation *operation)
{
    struct operation asking;
    json_t *result = NULL;
    operation_start(&asking, ASK_TIMEOUT_MS, operation->cancel);
    int status = others_ask(node, record->node, "daemon.event_payload",
                            json_pack("{s:s}", "name", record->name), &result, &asking);
    const char *text = json_get_text(result, "text");
    if (status == VIOS_OK && text) {
        status = event_file_parse(text, strlen(text), node, record->node, record->name, payload,
                                  &asking.error);
    }
    json_decref(result);
    return text ? status : VIOS_E_NOT_FOUND;
}

static int read_payload(struct node *node, const struct event_record *record,
                        struct payload *payload, struct operation *operation)
{
    int status = event_file_read(node, record->node, record->name, payload, &operation->error);
    if (status == VIOS_OK && payload->count != record->count) {
        payload_clear(payload);
        status = operation_fail(operation, VIOS_E_CORRUPT, "payload file", NULL,
                                "it has another count of events than its record");
    }
    return status;
}

/* Old events' files are removed before their records: what has no record is not kept any more. */
static bool is_kept(struct node *node, const struct event_record *record,
                    struct operation *operation)
{
    struct store *store;
    struct operation asking;
    char key[EVENT_KEY_SIZE];
    bool has = true;
    event_record_key(record->node, record->name, key);
    operation_start(&asking, ASK_TIMEOUT_MS, operation->cancel);
    int status = node_store(node, &store, &asking);
    if (status == VIOS_OK) {
        status = node_has_record(store, key, &has, &asking);
        node_store_return(node, store);
    }
    return status != VIOS_OK || has;
}

/* The file, or what its producer says. */
static int try_once(struct node *node, const struct event_record *record, int64_t missing_ms,
                    struct payload *payload, struct operation *operation)
{
    int status = read_payload(node, record, payload, operation);
    if (status != VIOS_OK && missing_ms > RETRIEVE_ASK_MS &&
        ask_producer(node, record, payload, operation) == VIOS_OK) {
        status = VIOS_OK;
    }
    return status;
}

/* One that is damaged stays so. */
static bool is_hopeless(struct node *node, const struct event_record *record, int status,
                        int64_t missing_ms, struct operation *operation)
{
    return missing_ms > RETRIEVE_ASK_MS &&
           (status == VIOS_E_CORRUPT || missing_ms > RETRIEVE_PATIENCE_MS ||
            !is_kept(node, record, operation));
}

int retrieve(struct node *node, const struct event_record *record, int64_t *since_ms,
             struct payload *payload, struct operation *operation)
{
    int64_t nap_ms = NAP_FIRST_MS;
    *since_ms = *since_ms > 0 ? *since_ms : clock_now_ms();
    for (;;) {
        int64_t missing_ms = clock_now_ms() - *since_ms;
        int status = try_once(node, record, missing_ms, payload, operation);
        if (status == VIOS_OK) {
            return status;
        }
        if (is_hopeless(node, record, status, missing_ms, operation)) {
            return status == VIOS_E_CORRUPT ? status : VIOS_E_NOT_FOUND;
        }
        status = operation_sleep(operation, nap_ms);
        if (status != VIOS_OK) {
            return status;
        }
        nap_ms = 2 * nap_ms < NAP_MOST_MS ? 2 * nap_ms : NAP_MOST_MS;
    }
}
