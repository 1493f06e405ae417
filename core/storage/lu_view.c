/* lu_view.c - see lu_view.h. */
#include "storage/lu_view.h"

#include "base/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LU_PREFIX "/lu/"
#define STAT_BLOCK 512 /* of st_blocks */

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static json_t *used_bytes(const struct node *node, const struct lu *lu)
{
    char path[PATH_MAX];
    struct stat status;
    if (lu_path(node, lu, path, NULL) != VIOS_OK || stat(path, &status) != 0) {
        return json_null();
    }
    return json_integer((json_int_t)status.st_blocks * STAT_BLOCK);
}

static json_t *make_view(const struct node *node, const struct lu *lu)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:b, s:o}", "name", lu->name, "udid", lu->udid,
                     "pool", lu->pool, "size_bytes", (json_int_t)lu->size_bytes, "used_bytes",
                     used_bytes(node, lu), "mapped_to", text_or_null(lu->lpar), "thick", lu->thick,
                     "origin", text_or_null(lu->origin));
}

static int compare_views(const void *left, const void *right)
{
    static const char *const KEYS[] = {"pool", "name"};
    const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
    int result = 0;
    for (size_t i = 0; i < 2 && result == 0; i++) {
        result = strcmp(json_get_text(a, KEYS[i]), json_get_text(b, KEYS[i]));
    }
    return result;
}

/* The records are sorted by UDID. */
static json_t *sorted(json_t **views, size_t count)
{
    json_t *list = json_array();
    if (count > 0) {
        qsort(views, count, sizeof *views, compare_views);
    }
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, views[i]);
    }
    return list;
}

int lu_view_list(struct node *node, struct store *store, const char *pool, json_t **result,
                 struct operation *operation)
{
    struct store_list list;
    struct lu lu;
    size_t count = 0;
    int status = store_list(store, LU_PREFIX, &list, NULL, operation);
    json_t **views = status == VIOS_OK ? calloc(list.count + 1, sizeof *views) : NULL;
    for (size_t i = 0; views && status == VIOS_OK && i < list.count; i++) {
        status = lu_parse(list.values[i].key + strlen(LU_PREFIX), list.values[i].json, &lu,
                          &operation->error);
        bool shown = status == VIOS_OK && lu.state == LU_READY && !lu.image[0] &&
                     (!pool || strcmp(pool, lu.pool) == 0);
        if (shown) {
            views[count++] = make_view(node, &lu);
        }
    }
    store_list_clear(&list);
    if (status == VIOS_OK && !views) {
        return operation_no_memory(operation, NULL);
    }
    json_t *all = sorted(views, count);
    free(views);
    if (status == VIOS_OK) {
        *result = all;
    } else {
        json_decref(all);
    }
    return status;
}

int lu_view_show(struct node *node, struct store *store, const char *word, json_t **view,
                 struct operation *operation)
{
    static const char *const AS_RECORDED[] = {"file", "dead", "created"};
    char path[PATH_MAX] = "";
    struct lu lu;
    struct store_value value = {0};
    int status = lu_find(store, word, &lu, &value, operation);
    if (status != VIOS_OK) {
        return status;
    }
    json_t *record = json_loads(value.json, 0, NULL);
    *view = make_view(node, &lu);
    lu_path(node, &lu, path, NULL);
    json_object_set_new(*view, "path", json_string(path));
    for (size_t i = 0; i < 3; i++) {
        json_t *member = json_object_get(record, AS_RECORDED[i]);
        json_object_set_new(*view, AS_RECORDED[i], member ? json_incref(member) : json_null());
    }
    json_object_set_new(*view, "image", text_or_null(lu.image));
    json_object_set_new(*view, "job", text_or_null(lu.job));
    json_decref(record);
    store_value_clear(&value);
    return status;
}
