/* lu.c - see lu.h. */
#include "storage/lu.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_file_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "_.-");
    return length > 0 && length < LU_FILE_SIZE && !text[length] && text[0] != '.';
}

static char *lu_object(const char *udid, char text[96])
{
    snprintf(text, 96, "lu \"%.63s\"", udid);
    return text;
}

int lu_parse(const char *udid, const char *text, struct lu *lu, struct vios_error *error)
{
    char object[96];
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *pool = json_string_value(json_object_get(json, "pool"));
    const char *file = json_string_value(json_object_get(json, "file"));
    const char *bad = json_integer_value(json_object_get(json, "v")) != 1  ? "v"
                      : !pool || parse_name(pool, "pool", NULL) != VIOS_OK ? "pool"
                      : !file || !is_file_name(file)                       ? "file"
                                                                           : NULL;
    memset(lu, 0, sizeof *lu);
    if (!bad) {
        snprintf(lu->udid, sizeof lu->udid, "%s", udid);
        snprintf(lu->pool, sizeof lu->pool, "%s", pool);
        snprintf(lu->file, sizeof lu->file, "%s", file);
    }
    json_decref(json);
    return bad ? error_set(error, VIOS_E_CORRUPT, lu_object(udid, object), "look at it with db get",
                           "its record has a bad \"%s\"", bad)
               : VIOS_OK;
}

int lu_load(struct store *store, const char *udid, struct lu *lu, struct store_value *value,
            struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct store_value found = {0};
    snprintf(key, sizeof key, "/lu/%s", udid);
    int status = store_get(store, key, &found, operation);
    if (status == VIOS_E_NOT_FOUND) {
        return operation_fail(operation, status, lu_object(udid, object), NULL,
                              "there is no such LU");
    }
    if (status == VIOS_OK) {
        status = lu_parse(udid, found.json, lu, &operation->error);
    }
    if (status == VIOS_OK && value) {
        *value = found;
    } else {
        store_value_clear(&found);
    }
    return status;
}

int lu_folder(const struct node *node, const struct lu *lu, char path[PATH_MAX],
              struct vios_error *error)
{
    char object[96];
    const char *repository = config_text(node->config, "repository");
    if (!repository || !repository[0]) {
        return error_set(error, VIOS_E_INVALID, lu_object(lu->udid, object),
                         "set repository in the configuration", "this node has no repository");
    }
    int length = snprintf(path, PATH_MAX, "%s/pools/%s/lu", repository, lu->pool);
    return length < PATH_MAX - LU_FILE_SIZE
               ? VIOS_OK
               : error_set(error, VIOS_E_INVALID, lu_object(lu->udid, object),
                           "mount the repository elsewhere", "its path is too long");
}

int lu_path(const struct node *node, const struct lu *lu, char path[PATH_MAX],
            struct vios_error *error)
{
    int status = lu_folder(node, lu, path, error);
    if (status == VIOS_OK) {
        size_t length = strlen(path);
        snprintf(path + length, PATH_MAX - length, "/%s", lu->file);
    }
    return status;
}
