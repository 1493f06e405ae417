/* test_move.c - the record of a move: written and read again, and refused when anything in it is
 * wrong. */
#include "migration/move.h"
#include "tests/tap.h"

#include <stdlib.h>

static int parse(const char *key, const char *json, struct move *move)
{
    char key_text[128], text[1024];
    struct vios_error error = {0};
    snprintf(key_text, sizeof key_text, "%s", key);
    snprintf(text, sizeof text, "%s", json);
    const struct store_value value = {.key = key_text, .json = text, .revision = 7};
    int status = move_parse(&value, move, &error);
    ok((status == VIOS_OK) == (error.message[0] == '\0'), "%s: \"%s\"", json, error.message);
    return status;
}

#define RECORD(version, state, from, incarnation, source)                                          \
    "{\"v\":" version ",\"state\":" state ",\"cause\":\"split 2\",\"drains\":false,\"from\":" from \
    ",\"incarnation\":" incarnation ",\"generation\":3,\"target\":\"\",\"source\":" source         \
    ",\"error\":\"\",\"began\":\"2026-11-27T00:00:00.000Z\",\"ended\":\"\"}"
#define GOOD RECORD("1", "\"moving\"", "\"n4\"", "1", "\"\"")

static void what_is_written_is_read(void)
{
    struct move move;
    is_int(parse("/migration/web1", GOOD, &move), VIOS_OK);
    is_text(move.name, "web1");
    is_text(move.from, "n4");
    is_text(move.cause, "split 2");
    is_int(move.state, MOVE_MOVING);
    is_int(move.incarnation, 1);
    is_int(move.generation, 3);
    is_int(move.revision, 7);
    char *json = move_format(&move);
    is_text(json, GOOD);
    free(json);
    move.state = MOVE_MOVED;
    move.source = MOVE_FROM_MEMORY;
    json = move_format(&move);
    is_int(parse("/migration/web1", json, &move), VIOS_OK);
    is_int(move.state, MOVE_MOVED);
    is_int(move.source, MOVE_FROM_MEMORY);
    free(json);
}

static void anything_wrong_is_refused(void)
{
    static const char *const WRONG[] = {
        "",
        "[]",
        "{}",
        RECORD("2", "\"moving\"", "\"n4\"", "1", "\"\""),
        RECORD("1", "\"moves\"", "\"n4\"", "1", "\"\""),
        RECORD("1", "7", "\"n4\"", "1", "\"\""),
        RECORD("1", "\"moving\"", "\"\"", "1", "\"\""),
        RECORD("1", "\"moving\"", "\"n/4\"", "1", "\"\""),
        RECORD("1", "\"moving\"", "\"n4\"", "0", "\"\""),
        RECORD("1", "\"moving\"", "\"n4\"", "\"1\"", "\"\""),
        RECORD("1", "\"moving\"", "\"n4\"", "1", "\"tape\""),
    };
    struct move move;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        is_int(parse("/migration/web1", WRONG[i], &move), VIOS_E_CORRUPT);
    }
    is_int(parse("/migration/a/b", GOOD, &move), VIOS_E_CORRUPT);
    is_int(parse("/migrations/web1", GOOD, &move), VIOS_E_CORRUPT);
}

int main(void)
{
    RUN(what_is_written_is_read);
    RUN(anything_wrong_is_refused);
    return tap_done();
}
