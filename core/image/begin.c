/* begin.c - see begin.h. */
#include "image/begin.h"

#include "base/json.h"
#include "storage/pool.h"

#include <stdio.h>
#include <string.h>

static int take_word(const json_t *parameters, const char *key, char out[IMAGE_WORD_SIZE],
                     struct vios_error *error)
{
    const char *word = json_get_text(parameters, key);
    if (word && (!word[0] || strlen(word) >= IMAGE_WORD_SIZE ||
                 word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "._+~-")])) {
        return error_set(error, VIOS_E_USAGE, key, "give one word of letters, digits and ._+~-",
                         "\"%.60s\" is no valid %s", word, key);
    }
    snprintf(out, IMAGE_WORD_SIZE, "%s", word ? word : "");
    return VIOS_OK;
}

/* "/srv/debian12.qcow2.zst" is called debian12. */
static int name_from_source(const char *source, char name[NAME_MAX_LENGTH + 1],
                            struct vios_error *error)
{
    const char *slash = strrchr(source, '/');
    const char *base = slash ? slash + 1 : source;
    size_t length = strcspn(base, ".");
    snprintf(name, NAME_MAX_LENGTH + 1, "%.*s", (int)(length <= NAME_MAX_LENGTH ? length : 0),
             base);
    return parse_name(name, "image", NULL) == VIOS_OK
               ? VIOS_OK
               : error_set(error, VIOS_E_USAGE, "image", "give --name NAME",
                           "the source \"%.200s\" gives no name", source);
}

int image_begin(const json_t *parameters, const char *source, struct image *image,
                struct vios_error *error)
{
    const char *name = json_get_text(parameters, "name");
    uuid_make(image->handle);
    clock_format(clock_wall_ms(), image->created);
    int status = take_word(parameters, "version", image->version, error);
    if (status == VIOS_OK) {
        status = take_word(parameters, "architecture", image->architecture, error);
    }
    if (status == VIOS_OK && !name) {
        return name_from_source(source, image->name, error);
    }
    snprintf(image->name, sizeof image->name, "%s", name ? name : "");
    return status == VIOS_OK ? parse_name(image->name, "image", error) : status;
}

int image_choose_pool(struct node *node, const json_t *parameters, char name[NAME_MAX_LENGTH + 1],
                      struct operation *operation)
{
    struct store *store = NULL;
    struct pool pool;
    int status = node_store(node, &store, operation);
    if (status == VIOS_OK) {
        status = pool_choose(store, json_get_text(parameters, "pool"), &pool, operation);
        node_store_return(node, store);
    }
    if (status == VIOS_OK) {
        status = pool_check(node, &pool, &operation->error);
        snprintf(name, NAME_MAX_LENGTH + 1, "%s", pool.name);
    }
    return status;
}
