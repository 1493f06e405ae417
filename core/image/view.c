/* view.c - see view.h. */
#include "image/view.h"

#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static json_t *clone_json(const struct lu *lu)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "lu", lu->name, "pool", lu->pool, "udid", lu->udid,
                     "lpar", lu->lpar);
}

static json_t *files_json(const struct image *image)
{
    json_t *files = json_array();
    for (size_t i = 0; i < image->file_count; i++) {
        const struct image_file *file = &image->files[i];
        json_array_append_new(
            files, json_pack("{s:s, s:s, s:I, s:s}", "name", file->name, "handle", file->udid,
                             "size_bytes", (json_int_t)file->size_bytes, "digest", file->digest));
    }
    return files;
}

static json_t *head_json(const struct image *image)
{
    char digest[CHUNKS_TEXT_SIZE];
    image_digest(image, digest);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "handle", image->handle, "name",
                  image->name, "version", image->version, "architecture", image->architecture,
                  "pool", image->pool, "size_bytes", (json_int_t)image_size(image), "digest",
                  digest, "source", image->source, "created", image->created);
    assert(json);
    return json;
}

int view_image(struct store *store, const struct image *image, json_t **shown,
               struct operation *operation)
{
    struct lu *clones;
    size_t count;
    int status = image_dependents(store, image, &clones, &count, operation);
    if (status < 0) {
        return status;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, clone_json(&clones[i]));
    }
    free(clones);
    *shown = head_json(image);
    json_object_set_new(*shown, "files", files_json(image));
    json_object_set_new(*shown, "dependents", list);
    return VIOS_OK;
}

/* How many LUs are linked clones of the image's files. */
static size_t count_clones(const struct store_list *lus, const struct image *image)
{
    size_t count = 0;
    struct lu lu;
    for (size_t i = 0; i < lus->count; i++) {
        if (lu_parse(lus->values[i].key + strlen("/lu/"), lus->values[i].json, &lu, NULL) ==
            VIOS_OK) {
            count += image_has_clone(image, &lu);
        }
    }
    return count;
}

static int compare_names(const void *one, const void *other)
{
    const json_t *a = *(json_t *const *)one, *b = *(json_t *const *)other;
    return strcmp(json_get_text(a, "name"), json_get_text(b, "name"));
}

/* Takes over the objects; a new array. */
static json_t *sorted(json_t **objects, size_t count)
{
    json_t *list = json_array();
    if (count > 0) {
        qsort(objects, count, sizeof(json_t *), compare_names);
    }
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, objects[i]);
    }
    return list;
}

int view_images(struct store *store, json_t **list, struct operation *operation)
{
    static const char *const PREFIXES[] = {"/image/", "/lu/"};
    struct store_list lists[2];
    struct image image;
    size_t count = 0;
    int status = store_list_many(store, PREFIXES, 2, lists, NULL, operation);
    if (status < 0) {
        return status;
    }
    json_t **objects = calloc(lists[0].count + 1, sizeof(json_t *));
    if (!objects) {
        status = operation_no_memory(operation, NULL);
    }
    for (size_t i = 0; status == VIOS_OK && i < lists[0].count; i++) {
        status = image_parse(lists[0].values[i].key + strlen(PREFIXES[0]), lists[0].values[i].json,
                             &image, &operation->error);
        if (status == VIOS_OK && image.state == IMAGE_READY) {
            json_t *json = head_json(&image);
            json_object_set_new(json, "files", json_integer((json_int_t)image.file_count));
            json_object_set_new(json, "dependents",
                                json_integer((json_int_t)count_clones(&lists[1], &image)));
            objects[count++] = json;
        }
    }
    store_list_clear(&lists[0]);
    store_list_clear(&lists[1]);
    json_t *all = sorted(objects, count);
    free(objects);
    if (status == VIOS_OK) {
        *list = all;
    } else {
        json_decref(all);
    }
    return status;
}
