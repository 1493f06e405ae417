/* manifest.c - see manifest.h. */
#include "ffdc/manifest.h"

#include "base/json.h"
#include "ffdc/plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OBJECT "manifest"
#define COUNT_MAX INT32_MAX
#define OFFSET_MAX_MS (INT64_C(1000) * 60 * 60 * 24 * 36500)
#define PART_BYTES_MAX (INT64_C(1) << 40)

static const char *const PRIORITIES[] = {"high", "medium", "low"};
static const char *const STATES[] = {"capturing", "done", "deleting"};
static const char *const PARTS[] = {"ok", "missing", "late"};

/* --- words --- */

int manifest_check_correlator(const char *text, struct vios_error *error)
{
    size_t length = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz");
    if (length == 0 || text[length] || length >= MANIFEST_CORRELATOR_SIZE) {
        return error_set(error, VIOS_E_USAGE, "correlator", "see \"vios ffdc list\"",
                         "\"%.40s\" is no correlator", text);
    }
    return VIOS_OK;
}

const char *manifest_priority_name(enum manifest_priority priority)
{
    return PRIORITIES[priority];
}

int manifest_priority_parse(const char *text, enum manifest_priority *priority,
                            struct vios_error *error)
{
    for (int i = PRIORITY_HIGH; i <= PRIORITY_LOW; i++) {
        if (strcmp(text, PRIORITIES[i]) == 0) {
            *priority = (enum manifest_priority)i;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, "priority", "give high, medium or low",
                     "\"%.20s\" is no priority", text);
}

int manifest_check_component(const char *text, struct vios_error *error)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (text[length] || length >= MANIFEST_COMPONENT_SIZE || text[0] < 'a' || text[0] > 'z') {
        return error_set(error, VIOS_E_USAGE, "component",
                         "give a word of a-z, 0-9 and -, such as lpar", "\"%.40s\" is no component",
                         text);
    }
    return VIOS_OK;
}

const char *manifest_part_name(enum part_state state)
{
    return PARTS[state];
}

/* --- reading --- */

static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool read_plain(const json_t *json, const char *key, char *out, size_t size)
{
    return json_read_text(json, key, out, size) && is_plain(out);
}

static bool read_name(const json_t *json, char out[NAME_MAX_LENGTH + 1])
{
    return json_read_text(json, "node", out, NAME_MAX_LENGTH + 1) &&
           parse_name(out, "node", NULL) == VIOS_OK;
}

int64_t manifest_parse_time(const char *text)
{
    struct tm tm = {0};
    int ms = 0, end = 0;
    int got = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                     &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &end);
    if (got != 7 || end != (int)strlen("2026-11-23T12:00:00.000Z") || text[end]) {
        return -1;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t seconds = timegm(&tm);
    return seconds < 0 || ms < 0 ? -1 : seconds * 1000 + ms;
}

/* Written back it must be the same: "2026-02-31" is no date. */
static bool read_time(const json_t *json, const char *key, char out[CLOCK_TEXT_SIZE])
{
    char again[CLOCK_TEXT_SIZE];
    if (!json_read_text(json, key, out, CLOCK_TEXT_SIZE)) {
        return false;
    }
    int64_t ms = manifest_parse_time(out);
    return ms >= 0 && strcmp(clock_format(ms, again), out) == 0;
}

static bool read_choice(const json_t *json, const char *key, const char *const *names, int *choice)
{
    *choice = json_get_choice(json, key, names, 3);
    return *choice >= 0;
}

static bool read_digest(const json_t *json, struct manifest_node *node)
{
    bool missing = node->state == PART_MISSING;
    return json_read_text(json, "digest", node->digest, sizeof node->digest) &&
           strspn(node->digest, "0123456789abcdef") == (missing ? 0u : 64u) &&
           strlen(node->digest) == (missing ? 0u : 64u) && missing == (node->size_bytes == 0);
}

static const char *find_bad_node(const json_t *json, struct manifest_node *node)
{
    int64_t size = 0;
    int state = 0;
    memset(node, 0, sizeof *node);
    const char *bad = !read_name(json, node->node)                            ? "node"
                      : !read_choice(json, "state", PARTS, &state)            ? "state of a node"
                      : !read_plain(json, "why", node->why, sizeof node->why) ? "why"
                      : state == PART_MISSING && !node->why[0]                ? "why"
                      : !json_read_integer(json, "size_bytes", 0, PART_BYTES_MAX, &size)
                          ? "size_bytes"
                      : !json_read_integer(json, "epoch", 0, INT64_MAX, &node->epoch) ? "epoch"
                      : !json_read_integer(json, "clock_offset_ms", -OFFSET_MAX_MS, OFFSET_MAX_MS,
                                           &node->clock_offset_ms)
                          ? "clock_offset_ms"
                          : NULL;
    node->state = (enum part_state)state;
    node->size_bytes = (uint64_t)size;
    return bad ? bad : read_digest(json, node) ? NULL : "digest";
}

bool manifest_node_read(const json_t *json, struct manifest_node *node)
{
    return find_bad_node(json, node) == NULL;
}

static const char *find_bad_nodes(const json_t *list, struct manifest *manifest)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list) || json_array_size(list) > MANIFEST_NODES_MAX) {
        return "nodes";
    }
    json_array_foreach((json_t *)list, i, item)
    {
        const char *bad = find_bad_node(item, &manifest->nodes[i]);
        if (bad) {
            return bad;
        }
        if (i > 0 && strcmp(manifest->nodes[i - 1].node, manifest->nodes[i].node) >= 0) {
            return "order of nodes";
        }
    }
    manifest->node_count = json_array_size(list);
    return NULL;
}

static const char *find_bad(const json_t *json, struct manifest *manifest)
{
    int priority = 0, state = 0;
    const char *bad =
        json_get_integer(json, "v") != 1 ? "v"
        : !json_read_text(json, "correlator", manifest->correlator, sizeof manifest->correlator) ||
                manifest_check_correlator(manifest->correlator, NULL) < 0
            ? "correlator"
        : !read_time(json, "time", manifest->time)                                  ? "time"
        : !read_time(json, "last", manifest->last)                                  ? "last"
        : !json_read_integer(json, "count", 1, COUNT_MAX, &manifest->count)         ? "count"
        : !read_plain(json, "trigger", manifest->trigger, sizeof manifest->trigger) ? "trigger"
        : !json_read_text(json, "component", manifest->component, sizeof manifest->component) ||
                manifest_check_component(manifest->component, NULL) < 0
            ? "component"
        : !read_plain(json, "signature", manifest->signature, sizeof manifest->signature)
            ? "signature"
        : !read_name(json, manifest->node)                                        ? "node"
        : !read_choice(json, "priority", PRIORITIES, &priority)                   ? "priority"
        : !read_choice(json, "state", STATES, &state)                             ? "state"
        : !json_read_integer(json, "left_out", 0, COUNT_MAX, &manifest->left_out) ? "left_out"
                                                                                  : NULL;
    manifest->priority = (enum manifest_priority)priority;
    manifest->state = (enum manifest_state)state;
    return bad ? bad : find_bad_nodes(json_object_get(json, "nodes"), manifest);
}

int manifest_parse(const char *text, size_t size, struct manifest *manifest,
                   struct vios_error *error)
{
    memset(manifest, 0, sizeof *manifest);
    json_t *json =
        size <= MANIFEST_TEXT_MAX ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *bad = json_is_object(json) ? find_bad(json, manifest) : "form";
    json_decref(json);
    return bad ? error_set(error, VIOS_E_CORRUPT, OBJECT, "look at the bundles beside it",
                           "it is damaged: it has a bad %s", bad)
               : VIOS_OK;
}

/* --- writing --- */

/* Texts of errors and callers, cut where they did not fit, may end in half a character. What JSON
 * would escape is replaced, so that the longest manifest is within its limit. */
static json_t *plain(const char *text)
{
    char copy[MANIFEST_SIGNATURE_SIZE];
    snprintf(copy, sizeof copy, "%s", text);
    plain_text(copy);
    for (char *at = copy; *at; at++) {
        *at = *at == '"' || *at == '\\' ? '\'' : *at;
    }
    return json_string(copy);
}

json_t *manifest_node_json(const struct manifest_node *node)
{
    return json_pack("{s:s, s:s, s:o, s:I, s:s, s:I, s:I}", "node", node->node, "state",
                     PARTS[node->state], "why", plain(node->why), "size_bytes",
                     (json_int_t)node->size_bytes, "digest", node->digest, "clock_offset_ms",
                     (json_int_t)node->clock_offset_ms, "epoch", (json_int_t)node->epoch);
}

char *manifest_format(const struct manifest *manifest)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < manifest->node_count; i++) {
        json_array_append_new(nodes, manifest_node_json(&manifest->nodes[i]));
    }
    return json_into_text(json_pack(
        "{s:i, s:s, s:s, s:s, s:I, s:o, s:s, s:s, s:o, s:s, s:s, s:I, s:o}", "v", 1, "correlator",
        manifest->correlator, "time", manifest->time, "last", manifest->last, "count",
        (json_int_t)manifest->count, "trigger", plain(manifest->trigger), "component",
        manifest->component, "priority", PRIORITIES[manifest->priority], "signature",
        plain(manifest->signature), "node", manifest->node, "state", STATES[manifest->state],
        "left_out", (json_int_t)manifest->left_out, "nodes", nodes));
}

char *manifest_file(const struct manifest *manifest, char name[MANIFEST_FILE_SIZE])
{
    char date[16] = "", time[16] = "";
    (void)sscanf(manifest->time, "%4[0-9]-%2[0-9]-%2[0-9]T", date, date + 4, date + 6);
    (void)sscanf(manifest->time + strcspn(manifest->time, "T"), "T%2[0-9]:%2[0-9]:%2[0-9]", time,
                 time + 2, time + 4);
    snprintf(name, MANIFEST_FILE_SIZE, "csnap_%s_%s_by_%s_%s_c%s.tar.zst", date, time,
             manifest->component, PRIORITIES[manifest->priority], manifest->correlator);
    return name;
}

int64_t manifest_time_ms(const struct manifest *manifest)
{
    return manifest_parse_time(manifest->time);
}

/* --- nodes --- */

struct manifest_node *manifest_find(struct manifest *manifest, const char *node)
{
    for (size_t i = 0; i < manifest->node_count; i++) {
        if (strcmp(manifest->nodes[i].node, node) == 0) {
            return &manifest->nodes[i];
        }
    }
    return NULL;
}

struct manifest_node *manifest_add(struct manifest *manifest, const char *node, const char *why)
{
    size_t at = manifest->node_count;
    if (at == MANIFEST_NODES_MAX) {
        manifest->left_out++;
        return NULL;
    }
    while (at > 0 && strcmp(manifest->nodes[at - 1].node, node) > 0) {
        manifest->nodes[at] = manifest->nodes[at - 1];
        at--;
    }
    manifest->node_count++;
    manifest->nodes[at] = (struct manifest_node){.state = PART_MISSING};
    snprintf(manifest->nodes[at].node, sizeof manifest->nodes[at].node, "%s", node);
    snprintf(manifest->nodes[at].why, sizeof manifest->nodes[at].why, "%s", why);
    return &manifest->nodes[at];
}

uint64_t manifest_size_bytes(const struct manifest *manifest)
{
    uint64_t size = 0;
    for (size_t i = 0; i < manifest->node_count; i++) {
        size += manifest->nodes[i].size_bytes;
    }
    return size;
}
