/* test_rpc.c - the framing: whole, split, joined, too long, malformed, with bytes. */
#include "net/rpc.h"
#include "tests/tap.h"

static struct vios_error error;

static int push_text(struct rpc_framer *framer, const char *text)
{
    return rpc_framer_push(framer, text, strlen(text), &error);
}

static void pops_two_lines_of_one_read(void)
{
    struct rpc_framer *framer = rpc_framer_new();
    struct rpc_message message;
    push_text(framer, "{\"jsonrpc\":\"2.0\",\"id\":1}\n{\"jsonrpc\":\"2.0\",\"id\":2}\n{\"js");
    for (int id = 1; id <= 2; id++) {
        is_int(rpc_framer_pop(framer, &message, &error), 1);
        is_int(json_integer_value(json_object_get(message.json, "id")), id);
        is_int(message.data_size, 0);
        json_decref(message.json);
    }
    is_int(rpc_framer_pop(framer, &message, &error), 0);
    rpc_framer_free(framer);
}

static void takes_a_message_byte_by_byte(void)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"bytes\",\"params\":"
                               "{\"id\":3,\"count\":4,\"end\":true}}\nab\ncNEXT";
    struct rpc_framer *framer = rpc_framer_new();
    struct rpc_message message;
    size_t whole = sizeof text - 1 - 4;
    for (size_t i = 0; i < whole; i++) {
        is_int(rpc_framer_pop(framer, &message, &error), 0);
        is_int(rpc_framer_push(framer, text + i, 1, &error), VIOS_OK);
    }
    is_int(rpc_framer_pop(framer, &message, &error), 1);
    is_int(message.data_size, 4);
    ok(message.data && memcmp(message.data, "ab\nc", 4) == 0, "the raw bytes");
    json_decref(message.json);
    rpc_framer_free(framer);
}

static void refuses_malformed_lines(void)
{
    static const char *const lines[] = {
        "garbage\n",
        "\n",
        "[]\n",
        "{}\n",
        "{\"jsonrpc\":\"1.0\"}\n",
        "{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\"}\n",
        "{\"jsonrpc\":\"2.0\"} trailing\n",
        "{\"jsonrpc\":\"2.0\",\"x\":\"\\u0000\"}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"bytes\"}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"bytes\",\"params\":{\"id\":1,\"end\":false,"
        "\"count\":-1}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"bytes\",\"params\":{\"id\":1,\"end\":false,"
        "\"count\":262145}}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"bytes\",\"params\":{\"id\":1,\"end\":false,"
        "\"count\":1e3}}\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct rpc_framer *framer = rpc_framer_new();
        struct rpc_message message;
        push_text(framer, lines[i]);
        ok(rpc_framer_pop(framer, &message, &error) == VIOS_E_INVALID, "line %zu: %s", i, lines[i]);
        ok(error.message[0] != '\0', "line %zu has a reason", i);
        push_text(framer, "{\"jsonrpc\":\"2.0\"}\n");
        ok(rpc_framer_pop(framer, &message, &error) == VIOS_E_INVALID, "line %zu: stays broken", i);
        rpc_framer_free(framer);
    }
}

static void bounds_a_line(void)
{
    struct rpc_framer *framer = rpc_framer_new();
    struct rpc_message message;
    static char block[64 * 1024];
    memset(block, ' ', sizeof block);
    int status = 0;
    for (int i = 0; i < 40 && status == 0; i++) {
        is_int(rpc_framer_push(framer, block, sizeof block, &error), VIOS_OK);
        status = rpc_framer_pop(framer, &message, &error);
    }
    is_int(status, VIOS_E_INVALID);
    ok(strstr(error.message, "more than 1048576 bytes") != NULL, "%s", error.message);
    rpc_framer_free(framer);
}

static void bounds_what_waits(void)
{
    struct rpc_framer *framer = rpc_framer_new();
    static char block[256 * 1024];
    int status = 0;
    for (int i = 0; i < 40 && status == 0; i++) {
        status = rpc_framer_push(framer, block, sizeof block, &error);
    }
    is_int(status, VIOS_E_NO_SPACE);
    rpc_framer_free(framer);
}

static void formats_what_it_parses(void)
{
    json_t *sent = json_pack("{s:s, s:i, s:s}", "jsonrpc", "2.0", "id", 7, "text", "a\nb\xc3\xa9");
    size_t size = 0;
    char *line = rpc_format(sent, &size);
    is_int(strlen(line), size);
    ok(strchr(line, '\n') == line + size - 1, "one line: %s", line);
    struct rpc_framer *framer = rpc_framer_new();
    struct rpc_message message;
    rpc_framer_push(framer, line, size, &error);
    is_int(rpc_framer_pop(framer, &message, &error), 1);
    ok(json_equal(message.json, sent), "the same object");
    json_decref(message.json);
    json_decref(sent);
    free(line);
    rpc_framer_free(framer);
}

static void errors_travel(void)
{
    struct vios_error sent, got;
    error_set(&sent, VIOS_E_NO_SPACE, "pool \"p0\"", "remove LUs", "only %d left", 3);
    json_t *json = rpc_error_to_json(&sent);
    is_int(json_integer_value(json_object_get(json, "code")), -32000);
    is_int(rpc_error_from_json(json, &got), VIOS_E_NO_SPACE);
    is_text(got.object, "pool \"p0\"");
    is_text(got.hint, "remove LUs");
    is_text(got.message, "only 3 left");
    json_decref(json);
}

static void foreign_errors_travel_too(void)
{
    struct vios_error got;
    json_t *json = json_pack("{s:i, s:s}", "code", -32601, "message", "no such method");
    is_int(rpc_error_from_json(json, &got), VIOS_E_SYSTEM);
    is_text(got.message, "no such method");
    json_decref(json);
    error_set(&got, VIOS_E_INVALID, "x", NULL, "bad byte \xff");
    json = rpc_error_to_json(&got);
    ok(json != NULL, "bytes that are no text do not lose the error");
    json_decref(json);
}

int main(void)
{
    RUN(pops_two_lines_of_one_read);
    RUN(takes_a_message_byte_by_byte);
    RUN(refuses_malformed_lines);
    RUN(bounds_a_line);
    RUN(bounds_what_waits);
    RUN(formats_what_it_parses);
    RUN(errors_travel);
    RUN(foreign_errors_travel_too);
    return tap_done();
}
