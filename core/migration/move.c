/* move.c - see move.h. */
#include "migration/move.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

static const char *const STATES[] = {"moving", "moved", "dropped"};
static const char *const SOURCES[] = {"", "memory", "storage"};
#define COUNT(names) (sizeof(names) / sizeof *(names))

const char *move_state_name(enum move_state state)
{
    return STATES[state];
}

char *move_key(const char *name, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, MOVE_PREFIX "%.*s", NAME_MAX_LENGTH, name);
    return key;
}

static bool read_node(const json_t *record, const char *key, bool may_be_empty, char *node)
{
    return json_read_text(record, key, node, NAME_MAX_LENGTH + 1) &&
           ((may_be_empty && !node[0]) || parse_name(node, "node", NULL) == VIOS_OK);
}

static bool read_record(const json_t *record, struct move *move)
{
    int64_t version;
    int state = json_get_choice(record, "state", STATES, COUNT(STATES));
    int source = json_get_choice(record, "source", SOURCES, COUNT(SOURCES));
    const json_t *drains = json_object_get(record, "drains");
    if (state < 0 || source < 0 || !json_is_boolean(drains)) {
        return false;
    }
    move->state = (enum move_state)state;
    move->source = (enum move_source)source;
    move->drains = json_is_true(drains);
    return json_read_integer(record, "v", 1, 1, &version) &&
           json_read_integer(record, "incarnation", 1, INT64_MAX, &move->incarnation) &&
           json_read_integer(record, "generation", 0, INT64_MAX, &move->generation) &&
           read_node(record, "from", false, move->from) &&
           read_node(record, "target", true, move->target) &&
           json_read_text(record, "cause", move->cause, sizeof move->cause) &&
           json_read_text(record, "error", move->error, sizeof move->error) &&
           json_read_text(record, "began", move->began, sizeof move->began) &&
           json_read_text(record, "ended", move->ended, sizeof move->ended);
}

int move_parse(const struct store_value *value, struct move *move, struct vios_error *error)
{
    const char *name = value->key + strlen(MOVE_PREFIX);
    json_t *record = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
    *move = (struct move){.revision = value->revision};
    bool good = strncmp(value->key, MOVE_PREFIX, strlen(MOVE_PREFIX)) == 0 &&
                parse_name(name, "lpar", NULL) == VIOS_OK && read_record(record, move);
    json_decref(record);
    if (!good) {
        return error_set(error, VIOS_E_CORRUPT, value->key, "run \"vios db check\"",
                         "the record of a move is damaged");
    }
    snprintf(move->name, sizeof move->name, "%s", name);
    return VIOS_OK;
}

char *move_format(const struct move *move)
{
    return json_into_text(json_pack(
        "{s:i, s:s, s:s, s:b, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "v", 1, "state",
        STATES[move->state], "cause", move->cause, "drains", (int)move->drains, "from", move->from,
        "incarnation", (json_int_t)move->incarnation, "generation", (json_int_t)move->generation,
        "target", move->target, "source", SOURCES[move->source], "error", move->error, "began",
        move->began, "ended", move->ended));
}
