/* view.c - see view.h. */
#include "ffdc/view.h"

#include <string.h>

static const char *state_name(enum manifest_state state)
{
    return state == MANIFEST_CAPTURING ? "capturing" : state == MANIFEST_DONE ? "done" : "deleting";
}

static json_t *head(const struct manifest *manifest, json_t *nodes)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "correlator",
                     manifest->correlator, "time", manifest->time, "last", manifest->last,
                     "trigger", manifest->trigger, "component", manifest->component, "priority",
                     manifest_priority_name(manifest->priority), "node", manifest->node, "state",
                     state_name(manifest->state), "count", (json_int_t)manifest->count,
                     "size_bytes", (json_int_t)manifest_size_bytes(manifest), "left_out",
                     (json_int_t)manifest->left_out, "nodes", nodes);
}

json_t *view_row(const struct manifest *manifest)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < manifest->node_count; i++) {
        const struct manifest_node *node = &manifest->nodes[i];
        json_array_append_new(nodes, json_pack("{s:s, s:s}", "node", node->node, "state",
                                               manifest_part_name(node->state)));
    }
    return head(manifest, nodes);
}

json_t *view_incident(const struct manifest *manifest)
{
    char file[MANIFEST_FILE_SIZE];
    json_t *nodes = json_array();
    for (size_t i = 0; i < manifest->node_count; i++) {
        json_array_append_new(nodes, manifest_node_json(&manifest->nodes[i]));
    }
    json_t *shown = head(manifest, nodes);
    json_object_set_new(shown, "signature", json_string(manifest->signature));
    json_object_set_new(shown, "file", json_string(manifest_file(manifest, file)));
    return shown;
}
