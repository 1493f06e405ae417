/* image_store.c - see image_store.h. */
#include "image/image_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_MAX (2 + 2 * IMAGE_FILES_MAX)

struct batch {
    struct store_change changes[CHANGES_MAX];
    char keys[CHANGES_MAX][STORE_KEY_MAX];
    char names[IMAGE_FILES_MAX + 1][64]; /* what stands at the keys of names */
    char *texts[IMAGE_FILES_MAX + 1];    /* the records */
    size_t count, text_count;
};

int image_load_own(struct store *store, const char *handle, const char *job, struct image *image,
                   struct operation *operation)
{
    int status = image_load(store, handle, image, operation);
    return status == VIOS_E_NOT_FOUND || (status == VIOS_OK && strcmp(image->job, job) != 0)
               ? 1
               : status;
}

/* The key is in keys[count] already. */
static void add(struct batch *batch, const char *json)
{
    batch->changes[batch->count].key = batch->keys[batch->count];
    batch->changes[batch->count++].json = json;
}

static void add_image(struct batch *batch, const struct image *image)
{
    char *text = image_format(image);
    image_key(image->handle, batch->keys[batch->count]);
    batch->texts[batch->text_count++] = text;
    add(batch, text);
}

static void add_lus(struct batch *batch, const struct image *image)
{
    for (size_t i = 0; i < image->file_count; i++) {
        struct lu lu;
        image_file_lu(image, i, &lu);
        char *text = lu_format(&lu, NULL);
        lu_key(lu.udid, batch->keys[batch->count]);
        batch->texts[batch->text_count++] = text;
        add(batch, text);
        lu_name_key(&lu, batch->keys[batch->count]);
        add(batch, lu_name_record(&lu, batch->names[i]));
    }
}

static void forget_lus(struct batch *batch, const struct image *image)
{
    for (size_t i = 0; i < image->file_count; i++) {
        struct lu lu;
        image_file_lu(image, i, &lu);
        lu_key(lu.udid, batch->keys[batch->count]);
        add(batch, NULL);
        lu_name_key(&lu, batch->keys[batch->count]);
        add(batch, NULL);
    }
}

/* Also frees what the batch holds. `also` (NULL: nothing) must be absent too. */
static int commit(struct store *store, const struct image *image, struct batch *batch,
                  const char *also, struct operation *operation)
{
    char key[STORE_KEY_MAX];
    bool whole = true;
    struct store_compare compares[] = {
        {STORE_REVISION_IS, image_key(image->handle, key), image->revision},
        {STORE_ABSENT, also, 0}};
    for (size_t i = 0; i < batch->text_count; i++) {
        whole = whole && batch->texts[i];
    }
    int status = whole ? store_commit(store, compares, also ? 2 : 1, batch->changes, batch->count,
                                      NULL, operation)
                       : operation_no_memory(operation, NULL);
    for (size_t i = 0; i < batch->text_count; i++) {
        free(batch->texts[i]);
    }
    return status;
}

int image_commit(struct store *store, const struct image *image, struct operation *operation)
{
    struct batch batch = {.count = 0};
    add_image(&batch, image);
    add_lus(&batch, image);
    return commit(store, image, &batch, NULL, operation);
}

int image_forget_files(struct store *store, const struct image *image, struct operation *operation)
{
    struct batch batch = {.count = 0};
    struct image without = *image;
    without.file_count = 0;
    add_image(&batch, &without);
    forget_lus(&batch, image);
    return commit(store, image, &batch, NULL, operation);
}

int image_forget(struct store *store, const struct image *image, struct operation *operation)
{
    struct batch batch = {.count = 0};
    forget_lus(&batch, image);
    image_key(image->handle, batch.keys[batch.count]);
    add(&batch, NULL);
    image_name_key(image->name, batch.keys[batch.count]);
    add(&batch, NULL);
    return commit(store, image, &batch, NULL, operation);
}

int image_rename(struct store *store, const struct image *image, const char *name,
                 struct operation *operation)
{
    struct batch batch = {.count = 0};
    struct image renamed = *image;
    char key[STORE_KEY_MAX], object[96];
    snprintf(renamed.name, sizeof renamed.name, "%s", name);
    add_image(&batch, &renamed);
    image_name_key(image->name, batch.keys[batch.count]);
    add(&batch, NULL);
    image_name_key(name, batch.keys[batch.count]);
    add(&batch, image_name_record(image->handle, batch.names[0]));
    int status = commit(store, image, &batch, image_name_key(name, key), operation);
    return status == VIOS_E_CONFLICT && strcmp(operation->error.object, key) == 0
               ? operation_fail(operation, VIOS_E_EXISTS, image_object(name, object),
                                "choose another name", "there is an image of this name")
               : status;
}
