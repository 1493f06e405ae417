/* image.c - see image.h. */
#include "image/image.h"

#include "base/json.h"
#include "store/missing.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_PREFIX "/image/"
#define NAME_PREFIX "/image-name/"
#define LU_PREFIX "/lu/"

static const char *const STATE_NAMES[] = {"ready", "making", "deleting"};

char *image_object(const char *name, char text[96])
{
    snprintf(text, 96, "image \"%.63s\"", name);
    return text;
}

char *image_key(const char *handle, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, IMAGE_PREFIX "%s", handle);
    return key;
}

char *image_name_key(const char *name, char key[STORE_KEY_MAX])
{
    snprintf(key, STORE_KEY_MAX, NAME_PREFIX "%s", name);
    return key;
}

char *image_name_record(const char *handle, char json[64])
{
    snprintf(json, 64, "{\"v\":1,\"handle\":\"%s\"}", handle);
    return json;
}

/* --- the record --- */

static bool take_name(const json_t *json, const char *key, char out[NAME_MAX_LENGTH + 1])
{
    return json_read_text(json, key, out, NAME_MAX_LENGTH + 1) &&
           parse_name(out, key, NULL) == VIOS_OK;
}

static bool take_state(const json_t *json, enum image_state *state)
{
    int choice = json_get_choice(json, "state", STATE_NAMES, 3);
    *state = choice < 0 ? IMAGE_MAKING : (enum image_state)choice;
    return choice >= 0;
}

static bool is_digest(const char *text)
{
    size_t length = strspn(text, "0123456789abcdef");
    return !text[length] && (length == 0 || length == CHUNKS_TEXT_SIZE - 1);
}

static bool take_file(const json_t *json, struct image_file *file)
{
    const json_t *size = json_object_get(json, "size_bytes");
    file->size_bytes = (uint64_t)json_integer_value(size);
    return json_read_text(json, "name", file->name, sizeof file->name) && file->name[0] &&
           json_read_text(json, "lu", file->udid, sizeof file->udid) &&
           parse_uuid(file->udid, NULL) == VIOS_OK && json_is_integer(size) &&
           json_integer_value(size) >= 0 && file->size_bytes <= LU_SIZE_MAX &&
           json_read_text(json, "digest", file->digest, sizeof file->digest) &&
           is_digest(file->digest);
}

static bool take_files(const json_t *json, struct image *image)
{
    const json_t *list = json_object_get(json, "files");
    size_t i;
    json_t *item;
    if (!json_is_array(list) || json_array_size(list) > IMAGE_FILES_MAX) {
        return false;
    }
    json_array_foreach((json_t *)list, i, item)
    {
        if (!take_file(item, &image->files[i])) {
            return false;
        }
    }
    image->file_count = json_array_size(list);
    return true;
}

static const char *find_bad(const json_t *json, struct image *image)
{
    return json_get_integer(json, "v") != 1                                          ? "v"
           : !take_name(json, "name", image->name)                                   ? "name"
           : !take_name(json, "pool", image->pool)                                   ? "pool"
           : !json_read_text(json, "version", image->version, sizeof image->version) ? "version"
           : !json_read_text(json, "architecture", image->architecture, sizeof image->version)
               ? "architecture"
           : !take_state(json, &image->state)                                        ? "state"
           : !json_read_text(json, "job", image->job, sizeof image->job)             ? "job"
           : !json_read_text(json, "source", image->source, sizeof image->source)    ? "source"
           : !json_read_text(json, "tag", image->tag, sizeof image->tag)             ? "tag"
           : !json_read_text(json, "created", image->created, sizeof image->created) ? "created"
           : !take_files(json, image)                                                ? "files"
                                                                                     : NULL;
}

int image_parse(const char *handle, const char *text, struct image *image, struct vios_error *error)
{
    char object[96];
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    memset(image, 0, sizeof *image);
    const char *bad = parse_uuid(handle, NULL) < 0 ? "handle" : find_bad(json, image);
    if (!bad) {
        snprintf(image->handle, sizeof image->handle, "%s", handle);
    }
    json_decref(json);
    return bad ? error_set(error, VIOS_E_CORRUPT, image_object(handle, object),
                           "look at it with db get", "its record has a bad \"%s\"", bad)
               : VIOS_OK;
}

static void set(json_t *json, const char *key, const char *text)
{
    if (text[0]) {
        json_object_set_new(json, key, json_string(text));
    }
}

char *image_format(const struct image *image)
{
    json_t *files = json_array();
    for (size_t i = 0; i < image->file_count; i++) {
        const struct image_file *file = &image->files[i];
        json_t *item = json_pack("{s:s, s:s, s:I}", "name", file->name, "lu", file->udid,
                                 "size_bytes", (json_int_t)file->size_bytes);
        set(item, "digest", file->digest);
        json_array_append_new(files, item);
    }
    json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:o}", "v", 1, "name", image->name, "pool",
                             image->pool, "state", STATE_NAMES[image->state], "files", files);
    if (!json) {
        return NULL;
    }
    set(json, "version", image->version);
    set(json, "architecture", image->architecture);
    set(json, "job", image->job);
    set(json, "source", image->source);
    set(json, "tag", image->tag);
    set(json, "created", image->created);
    return json_into_text(json);
}

/* --- the store --- */

int image_load(struct store *store, const char *handle, struct image *image,
               struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct store_value value = {0};
    int status = store_get(store, image_key(handle, key), &value, operation);
    if (status == VIOS_OK) {
        status = image_parse(handle, value.json, image, &operation->error);
        image->revision = value.revision;
    } else if (status == VIOS_E_NOT_FOUND) {
        status = operation_fail(operation, status, image_object(handle, object), NULL,
                                "there is no such image");
    }
    store_value_clear(&value);
    return status;
}

int image_name_handle(struct store *store, const char *name, char handle[UUID_TEXT_SIZE],
                      struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct store_value value = {0};
    int status = store_get(store, image_name_key(name, key), &value, operation);
    if (status == VIOS_OK) {
        json_t *json = json_loads(value.json, 0, NULL);
        if (!json_read_text(json, "handle", handle, UUID_TEXT_SIZE) ||
            parse_uuid(handle, NULL) < 0) {
            status = operation_fail(operation, VIOS_E_CORRUPT, image_object(name, object),
                                    "look at it with db get", "the record of its name is damaged");
        }
        json_decref(json);
    }
    store_value_clear(&value);
    return status;
}

/* An image, or the image of the file whose handle this is. */
static int find_handle(struct store *store, const char *handle, struct image *image,
                       struct operation *operation)
{
    struct lu lu;
    int status = image_load(store, handle, image, operation);
    if (status == VIOS_E_NOT_FOUND) {
        status = lu_load(store, handle, &lu, NULL, operation);
        if (status == VIOS_OK) {
            status = lu.image[0] ? image_load(store, lu.image, image, operation) : VIOS_E_NOT_FOUND;
        }
    }
    return status;
}

int image_find(struct store *store, const char *word, struct image *image,
               struct operation *operation)
{
    char handle[UUID_TEXT_SIZE];
    int status = VIOS_E_NOT_FOUND;
    if (parse_uuid(word, NULL) == VIOS_OK) {
        status = find_handle(store, word, image, operation);
    } else if (parse_name(word, "image", NULL) == VIOS_OK) {
        status = image_name_handle(store, word, handle, operation);
        if (status == VIOS_OK) {
            status = image_load(store, handle, image, operation);
        }
    }
    if (status == VIOS_OK && image->state != IMAGE_READY) {
        status = VIOS_E_NOT_FOUND;
    }
    return status == VIOS_E_NOT_FOUND ? store_missing(store, NAME_PREFIX, "image", word,
                                                      "there is no such image", operation)
                                      : status;
}

bool image_has_clone(const struct image *image, const struct lu *lu)
{
    for (size_t i = 0; lu->origin[0] && i < image->file_count; i++) {
        if (strcmp(lu->origin, image->files[i].udid) == 0) {
            return true;
        }
    }
    return false;
}

int image_dependents(struct store *store, const struct image *image, struct lu **clones,
                     size_t *count, struct operation *operation)
{
    struct store_list list;
    *clones = NULL;
    *count = 0;
    int status = store_list(store, LU_PREFIX, &list, NULL, operation);
    if (status < 0) {
        return status;
    }
    struct lu *found = calloc(list.count + 1, sizeof *found);
    if (!found) {
        status = operation_no_memory(operation, NULL);
    }
    for (size_t i = 0; status == VIOS_OK && i < list.count; i++) {
        struct lu *lu = &found[*count];
        status = lu_parse(list.values[i].key + strlen(LU_PREFIX), list.values[i].json, lu,
                          &operation->error);
        *count += status == VIOS_OK && image_has_clone(image, lu);
    }
    store_list_clear(&list);
    if (status == VIOS_OK) {
        *clones = found;
    } else {
        free(found);
    }
    return status;
}

/* --- what is known of it --- */

void image_digest(const struct image *image, char hex[CHUNKS_TEXT_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char text[IMAGE_FILES_MAX * (CHUNKS_TEXT_SIZE + 32)];
    size_t used = 0;
    hex[0] = 0;
    for (size_t i = 0; i < image->file_count; i++) {
        if (!image->files[i].digest[0]) {
            return;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%llu %s\n",
                                 (unsigned long long)image->files[i].size_bytes,
                                 image->files[i].digest);
    }
    SHA256((const unsigned char *)text, used, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
}

uint64_t image_size(const struct image *image)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < image->file_count; i++) {
        bytes += image->files[i].size_bytes;
    }
    return bytes;
}

void image_file_lu(const struct image *image, size_t i, struct lu *lu)
{
    memset(lu, 0, sizeof *lu);
    snprintf(lu->udid, sizeof lu->udid, "%s", image->files[i].udid);
    snprintf(lu->name, sizeof lu->name, "%s.%zu", image->handle, i);
    snprintf(lu->pool, sizeof lu->pool, "%s", image->pool);
    snprintf(lu->file, sizeof lu->file, "%s", image->files[i].udid);
    snprintf(lu->image, sizeof lu->image, "%s", image->handle);
    snprintf(lu->job, sizeof lu->job, "%s", image->job);
    lu->size_bytes = image->files[i].size_bytes;
    lu->state = image->state == IMAGE_READY    ? LU_READY
                : image->state == IMAGE_MAKING ? LU_MAKING
                                               : LU_DELETING;
}
