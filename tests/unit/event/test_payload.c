/* test_payload.c - payload files: events of a wrong form are refused with the reason, a file comes
 * back as it went, and one that was changed or cut off anywhere is refused. */
#include "event/payload.h"

#include "base/json.h"
#include "net/crypto.h"
#include "tests/tap.h"

#define WALL_MS 1764158400123

/* --- events --- */

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    ok(json != NULL, "not JSON: %s", text);
    return json;
}

static void an_event_comes_as_its_line(void)
{
    json_t *data = parse("{\"a\":1}"), *json;
    const struct event event = {.class = "node",
                                .object = "n2",
                                .operation = "down",
                                .old_state = "up",
                                .new_state = "down",
                                .correlator = "17",
                                .data = data};
    is_int(event_to_json(&event, WALL_MS, &json, NULL), VIOS_OK);
    char *text = json_dumps(json, JSON_COMPACT);
    is_text(text, "{\"time\":\"2025-11-26T12:00:00.123Z\",\"class\":\"node\",\"object\":\"n2\","
                  "\"operation\":\"down\",\"old\":\"up\",\"new\":\"down\",\"correlator\":\"17\","
                  "\"data\":{\"a\":1}}");
    is_int(event_check(json, NULL), VIOS_OK);
    free(text);
    json_decref(json);
    json_decref(data);
}

static void what_is_not_said_is_no_member(void)
{
    json_t *json;
    const struct event event = {.class = "node", .object = "n2", .operation = "added"};
    is_int(event_to_json(&event, WALL_MS, &json, NULL), VIOS_OK);
    is_int(json_object_size(json), 4);
    json_decref(json);
}

static void refused(const struct event *event, const char *message)
{
    json_t *json = NULL;
    struct vios_error error = {0};
    is_int(event_to_json(event, WALL_MS, &json, &error), VIOS_E_USAGE);
    is_int(error.code, VIOS_E_USAGE);
    is_text(error.message, message);
    is_text(error.hint, "see \"vios help event emit\"");
    ok(json == NULL, "an object is left");
}

static void each_wrong_word_is_refused(void)
{
    static const char *const WORDS[] = {
        NULL, "", "Node", "no de", "a-b", "\xc3\xa4", "abcdefghijklmnopqrstuvwxyz012345"};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        struct event event = {.class = WORDS[i], .object = "o", .operation = "made"};
        refused(&event, "its class and its operation must be words of a-z, 0-9 and _");
        event = (struct event){.class = "test", .object = "o", .operation = WORDS[i]};
        refused(&event, "its class and its operation must be words of a-z, 0-9 and _");
    }
}

static void each_wrong_text_is_refused(void)
{
    char longest[EVENT_OBJECT_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct event event = {.class = "test", .operation = "made"};
    refused(&event, "its object must be a text of 1 to 255 bytes");
    event.object = "";
    refused(&event, "its object must be a text of 1 to 255 bytes");
    event.object = longest;
    refused(&event, "its object must be a text of 1 to 255 bytes");
    event.object = "\xff";
    refused(&event, "its texts must be UTF-8");
    longest[EVENT_STATE_MAX + 1] = '\0';
    const char *wrong[] = {"", longest};
    for (size_t i = 0; i < 6; i++) {
        struct event other = {.class = "test", .object = "o", .operation = "made"};
        *(i % 3 == 0   ? &other.old_state
          : i % 3 == 1 ? &other.new_state
                       : &other.correlator) = wrong[i / 3];
        refused(&other, "its states must be texts of 1 to 63 bytes");
    }
}

static void wrong_data_is_refused(void)
{
    json_t *list = json_array(), *large = json_object();
    struct event event = {.class = "test", .object = "o", .operation = "made", .data = list};
    refused(&event, "its data must be an object");
    char *text = malloc(EVENT_LINE_MAX + 1);
    memset(text, 'x', EVENT_LINE_MAX);
    text[EVENT_LINE_MAX] = '\0';
    json_object_set_new(large, "a", json_string(text));
    event.data = large;
    refused(&event, "it is longer than 8191 bytes");
    free(text);
    json_decref(list);
    json_decref(large);
}

/* The longest line that fits is taken by a file too. */
static void the_longest_event_fits(void)
{
    json_t *data = json_object(), *json = NULL;
    const struct event event = {.class = "test", .object = "o", .operation = "made", .data = data};
    struct payload payload = {.cluster = "c", .node = "n1", .incarnation = 1}, back;
    char *pad = calloc(1, EVENT_LINE_MAX), *text;
    size_t size, length = 0;
    while (length < EVENT_LINE_MAX - 1) {
        memset(pad, 'x', length > 0 ? strlen(pad) + EVENT_LINE_MAX - 1 - length : 1);
        json_object_set_new(data, "a", json_string(pad));
        json_decref(json);
        is_int(event_to_json(&event, WALL_MS, &json, NULL), VIOS_OK);
        length = json_dumpb(json, NULL, 0, JSON_COMPACT);
    }
    is_int(length, EVENT_LINE_MAX - 1);
    payload_name(&payload);
    payload.events[payload.count++] = json;
    is_int(payload_format(&payload, &text, &size, NULL), VIOS_OK);
    is_int(payload_parse(text, size, &back, NULL), VIOS_OK);
    payload_clear(&back);
    payload_clear(&payload);
    free(text);
    free(pad);
    json_decref(data);
}

static void an_object_is_checked(void)
{
    static const struct {
        const char *json, *message;
    } CASES[] = {
        {"[]", "its class and its operation must be words of a-z, 0-9 and _"},
        {"{}", "its class and its operation must be words of a-z, 0-9 and _"},
        {"{\"time\":\"t\",\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\",\"x\":1}",
         "it has other members than those of an event"},
        {"{\"time\":\"t\",\"class\":1,\"object\":\"o\",\"operation\":\"b\"}",
         "its class and its operation must be words of a-z, 0-9 and _"},
        {"{\"time\":\"t\",\"class\":\"a\",\"object\":1,\"operation\":\"b\"}",
         "its object must be a text of 1 to 255 bytes"},
        {"{\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\"}", "it has no time"},
        {"{\"time\":\"\",\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\"}", "it has no time"},
        {"{\"time\":\"t\",\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\",\"new\":null}",
         "its states must be texts of 1 to 63 bytes"},
        {"{\"time\":\"t\",\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\",\"data\":\"d\"}",
         "its data must be an object"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct vios_error error = {0};
        json_t *json = parse(CASES[i].json);
        is_int(event_check(json, &error), VIOS_E_CORRUPT);
        if (i > 0) {
            is_text(error.message, CASES[i].message);
        }
        json_decref(json);
    }
    is_int(event_check(NULL, NULL), VIOS_E_CORRUPT);
}

/* --- files --- */

static void fill(struct payload *payload, size_t count)
{
    *payload = (struct payload){
        .cluster = "lab", .node = "n1", .incarnation = 4, .epoch = 7, .derived = 12};
    payload_name(payload);
    for (size_t i = 0; i < count; i++) {
        char object[24];
        snprintf(object, sizeof object, "o%zu", i);
        const struct event event = {.class = "test", .object = object, .operation = "made"};
        is_int(event_to_json(&event, WALL_MS, &payload->events[payload->count++], NULL), VIOS_OK);
    }
}

static void comes_back(size_t count)
{
    struct payload payload, back;
    char *text, *again;
    size_t size, size_again;
    fill(&payload, count);
    is_int(payload_format(&payload, &text, &size, NULL), VIOS_OK);
    is_int(strlen(text), size);
    struct vios_error error = {0};
    ok(payload_parse(text, size, &back, &error) == VIOS_OK, "%s", error.message);
    is_text(back.cluster, "lab");
    is_text(back.node, "n1");
    is_text(back.name, payload.name);
    is_int(back.incarnation, 4);
    is_int(back.epoch, 7);
    is_int(back.derived, 12);
    is_int(back.count, count);
    for (size_t i = 0; i < back.count; i++) {
        ok(json_equal(back.events[i], payload.events[i]), "event %zu differs", i);
    }
    is_int(payload_format(&back, &again, &size_again, NULL), VIOS_OK);
    is_text(again, text);
    free(text);
    free(again);
    payload_clear(&payload);
    payload_clear(&back);
    is_int(back.count, 0);
}

static void a_file_comes_back(void)
{
    comes_back(1);
    comes_back(2);
    comes_back(PAYLOAD_EVENTS_MAX);
}

/* Nothing is left of it. `message` NULL: any. */
static bool is_refused(const char *text, size_t size, const char *message)
{
    struct payload payload;
    struct vios_error error = {0};
    int status = payload_parse(text, size, &payload, &error);
    bool empty = payload.count == 0 && !payload.name[0];
    ok(empty, "something is left of it");
    if (message) {
        is_text(error.message, message);
        is_text(error.object, "payload file");
    }
    payload_clear(&payload);
    return status == VIOS_E_CORRUPT && error.code == VIOS_E_CORRUPT && empty;
}

/* A file of one event whose header is `header` with the digest that fits it put into its "%s". */
static char *with_header(const char *header)
{
    static const char EVENT[] =
        "{\"time\":\"t\",\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\"}\n";
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_TEXT_SIZE], blank[2048], whole[2048], *text = NULL;
    const char *gap = strstr(header, "DIGEST");
    int before = gap ? (int)(gap - header) : (int)strlen(header);
    const char *behind = gap ? gap + strlen("DIGEST") : "";
    snprintf(blank, sizeof blank, "%.*s%s", before, header, behind);
    is_int(crypto_digest(blank, strlen(blank), EVENT, strlen(EVENT), digest, NULL), VIOS_OK);
    crypto_hex(digest, sizeof digest, hex);
    snprintf(whole, sizeof whole, "%.*s%s%s", before, header, gap ? hex : "", behind);
    ok(asprintf(&text, "%s\n%s", whole, EVENT) > 0, "no memory");
    return text;
}

#define UUID "00000000-1111-4222-8333-444444444444"
#define CLUSTER "\"cluster\":\"c\","
#define NODE "\"node\":\"n1\","
#define INCARNATION "\"incarnation\":4,"
#define EPOCH "\"epoch\":7,"
#define DERIVED "\"derived\":0,"
#define FILE_NAME "\"name\":\"4-" UUID "\","
#define COUNT "\"count\":1,"
#define DIGEST "\"digest\":\"DIGEST\"}"

static void each_wrong_header_is_refused(void)
{
    static const char *const WRONG[] = {
        "{\"v\":2," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{" CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME "\"count\":1}",
        "{\"v\":1,\"x\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1,\"cluster\":\"-\"," NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1,\"cluster\":1," NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER "\"node\":\"a/b\"," INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER "\"node\":\"..\"," INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE "\"incarnation\":0," EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE "\"incarnation\":5," EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION "\"epoch\":-1," DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION "\"epoch\":1.5," DERIVED FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH "\"derived\":-1," FILE_NAME COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED "\"name\":\"4\"," COUNT DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME "\"count\":0," DIGEST,
        "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME "\"count\":129," DIGEST,
        "{ \"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "{" CLUSTER "\"v\":1," NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST,
        "[]",
        "nothing",
        "",
    };
    char *text =
        with_header("{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT DIGEST);
    struct payload payload;
    ok(payload_parse(text, strlen(text), &payload, NULL) == VIOS_OK, "the right one: %s", text);
    payload_clear(&payload);
    free(text);
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        text = with_header(WRONG[i]);
        ok(is_refused(text, strlen(text), "its first line is no header"), "taken: %s", text);
        free(text);
    }
}

static void a_header_has_an_end(void)
{
    char name[PAYLOAD_HEADER_MAX + 8];
    memset(name, 'x', sizeof name);
    ok(is_refused(name, sizeof name, "its first line is no header"), "without a newline");
    name[PAYLOAD_HEADER_MAX] = '\n';
    ok(is_refused(name, sizeof name, "its first line is no header"), "a newline behind the limit");
    ok(is_refused("", 0, "its first line is no header"), "nothing");
}

static void the_count_must_fit(void)
{
    char *text = with_header("{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME
                             "\"count\":2," DIGEST);
    ok(is_refused(text, strlen(text), "it has fewer events than its header says"), "too few");
    free(text);
    struct payload payload;
    size_t size;
    fill(&payload, 2);
    is_int(payload_format(&payload, &text, &size, NULL), VIOS_OK);
    char *longer = realloc(text, size + 2);
    longer[size] = ' ';
    ok(is_refused(longer, size + 1, "its digest is another one than its header says"),
       "bytes behind the end");
    free(longer);
    payload_clear(&payload);
}

/* A right digest over one event more than the header says. */
static void nothing_is_behind_the_last_event(void)
{
    uint8_t digest[DIGEST_SIZE];
    static const char HEADER[] = "{\"v\":1," CLUSTER NODE INCARNATION EPOCH DERIVED FILE_NAME COUNT;
    static const char EVENTS[] =
        "{\"time\":\"t\",\"class\":\"a\",\"object\":\"o\",\"operation\":\"b\"}\n\n";
    char blank[1024], hex[DIGEST_TEXT_SIZE], text[2048];
    snprintf(blank, sizeof blank, "%s\"digest\":\"\"}", HEADER);
    is_int(crypto_digest(blank, strlen(blank), EVENTS, strlen(EVENTS), digest, NULL), VIOS_OK);
    crypto_hex(digest, sizeof digest, hex);
    snprintf(text, sizeof text, "%s\"digest\":\"%s\"}\n%s", HEADER, hex, EVENTS);
    ok(is_refused(text, strlen(text), "something is behind its last event"), "%s", text);
}

static void one_changed_bit_is_refused(void)
{
    struct payload payload;
    char *text;
    size_t size;
    fill(&payload, 3);
    is_int(payload_format(&payload, &text, &size, NULL), VIOS_OK);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        ok(is_refused(text, size, NULL), "bit %zu of byte %zu", bit % 8, bit / 8);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
    free(text);
    payload_clear(&payload);
}

static void one_cut_off_is_refused(void)
{
    struct payload payload;
    char *text;
    size_t size;
    fill(&payload, 2);
    is_int(payload_format(&payload, &text, &size, NULL), VIOS_OK);
    for (size_t length = 0; length < size; length++) {
        char *part = malloc(length + 1); /* so that a sanitizer sees a look behind it */
        memcpy(part, text, length);
        part = realloc(part, length ? length : 1);
        ok(is_refused(part, length, NULL), "%zu of %zu bytes", length, size);
        free(part);
    }
    free(text);
    payload_clear(&payload);
}

/* --- names --- */

static void names_are_checked(void)
{
    static const char *const WRONG[] = {"",
                                        "4",
                                        "4-",
                                        "-" UUID,
                                        "0-" UUID,
                                        "04-" UUID,
                                        "+4-" UUID,
                                        "4-" UUID "x",
                                        "4-" UUID ".damaged",
                                        "x4-" UUID,
                                        "9223372036854775808-" UUID,
                                        "99999999999999999999999999-" UUID,
                                        ".4-" UUID ".17.0.tmp",
                                        "4/" UUID};
    int64_t incarnation = 0;
    struct payload payload = {.incarnation = INT64_MAX};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        ok(!payload_name_is_valid(WRONG[i], NULL), "taken: \"%s\"", WRONG[i]);
    }
    ok(payload_name_is_valid("4-" UUID, &incarnation), "a right one");
    is_int(incarnation, 4);
    payload_name(&payload);
    ok(payload_name_is_valid(payload.name, &incarnation), "%s", payload.name);
    ok(incarnation == INT64_MAX, "the largest");
    char first[PAYLOAD_NAME_SIZE];
    snprintf(first, sizeof first, "%s", payload.name);
    payload_name(&payload);
    ok(strcmp(first, payload.name) != 0, "the same name twice");
}

int main(void)
{
    RUN(an_event_comes_as_its_line);
    RUN(what_is_not_said_is_no_member);
    RUN(each_wrong_word_is_refused);
    RUN(each_wrong_text_is_refused);
    RUN(wrong_data_is_refused);
    RUN(the_longest_event_fits);
    RUN(an_object_is_checked);
    RUN(a_file_comes_back);
    RUN(each_wrong_header_is_refused);
    RUN(a_header_has_an_end);
    RUN(the_count_must_fit);
    RUN(nothing_is_behind_the_last_event);
    RUN(one_changed_bit_is_refused);
    RUN(one_cut_off_is_refused);
    RUN(names_are_checked);
    return tap_done();
}
