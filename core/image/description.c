/* description.c - see description.h. */
#include "image/description.h"

#include "base/json.h"
#include "image/disk_header.h"
#include "image/file_digest.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OBJECT "image.json"
#define DIGEST_PREFIX "sha256:"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

const char *member_show(const char *text, char shown[MEMBER_SHOWN_SIZE])
{
    size_t i = 0;
    for (; text[i] && i < MEMBER_SHOWN_SIZE - 1; i++) {
        shown[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    }
    shown[i] = 0;
    return shown;
}

int member_check_name(const char *name, struct vios_error *error)
{
    char shown[MEMBER_SHOWN_SIZE];
    size_t length = strlen(name);
    bool good = length > 0 && length < MEMBER_NAME_SIZE && strspn(name, LETTERS DIGITS) > 0 &&
                strspn(name, LETTERS DIGITS "._-") == length;
    return good ? VIOS_OK
                : error_set(error, VIOS_E_INVALID, NULL,
                            "use letters, digits and ._- in it, a letter or digit first",
                            "\"%.100s\" is no good name for a file", member_show(name, shown));
}

static int bad(const char *member, struct vios_error *error)
{
    char shown[MEMBER_SHOWN_SIZE];
    return error_set(error, VIOS_E_INVALID, OBJECT, "see IMAGES in vios(1)",
                     "it has a bad \"%.60s\"", member_show(member, shown));
}

/* Every member must be one of `known`, which ends with NULL. */
static int check_members(const json_t *object, const char *const *known, struct vios_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) {
            i++;
        }
        if (!known[i]) {
            return bad(key, error);
        }
    }
    return VIOS_OK;
}

/* A text of one word; absent is "". */
static int take_word(const json_t *object, const char *member, char *out, size_t size,
                     struct vios_error *error)
{
    const json_t *value = json_object_get(object, member);
    const char *text = json_string_value(value);
    out[0] = 0;
    if (!value) {
        return VIOS_OK;
    }
    if (!text || !text[0] || json_string_length(value) != strlen(text) || strlen(text) >= size ||
        strspn(text, LETTERS DIGITS "._+~-:") != strlen(text)) {
        return bad(member, error);
    }
    snprintf(out, size, "%s", text);
    return VIOS_OK;
}

static int take_format(const json_t *object, struct description_file *file,
                       struct vios_error *error)
{
    enum disk_format format;
    int status = take_word(object, "format", file->format, sizeof file->format, error);
    return status == VIOS_OK && file->format[0] && !disk_format_parse(file->format, &format)
               ? bad("format", error)
               : status;
}

static int take_digest(const json_t *object, struct description_file *file,
                       struct vios_error *error)
{
    char text[sizeof DIGEST_PREFIX + CHUNKS_TEXT_SIZE];
    int status = take_word(object, "digest", text, sizeof text, error);
    const char *hex = text + strlen(DIGEST_PREFIX);
    if (status < 0 || !text[0]) {
        return status;
    }
    if (strncmp(text, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) != 0 ||
        strlen(hex) != CHUNKS_TEXT_SIZE - 1 || strspn(hex, "0123456789abcdef") != strlen(hex)) {
        return bad("digest", error);
    }
    snprintf(file->digest, sizeof file->digest, "%s", hex);
    return VIOS_OK;
}

static int take_size(const json_t *object, struct description_file *file, struct vios_error *error)
{
    const json_t *value = json_object_get(object, "size_bytes");
    if (value && (!json_is_integer(value) || json_integer_value(value) <= 0)) {
        return bad("size_bytes", error);
    }
    file->size_bytes = (uint64_t)json_integer_value(value);
    return VIOS_OK;
}

static int take_file(const json_t *object, struct description_file *file, struct vios_error *error)
{
    static const char *const MEMBERS[] = {"name", "format", "size_bytes", "digest", NULL};
    const char *name = json_get_text(object, "name");
    if (!json_is_object(object) || !name) {
        return bad("files", error);
    }
    int status = check_members(object, MEMBERS, error);
    if (status == VIOS_OK) {
        status = member_check_name(name, error);
    }
    if (status == VIOS_OK) {
        snprintf(file->name, sizeof file->name, "%s", name);
        status = take_format(object, file, error);
    }
    if (status == VIOS_OK) {
        status = take_size(object, file, error);
    }
    return status == VIOS_OK ? take_digest(object, file, error) : status;
}

static int take_files(const json_t *json, struct image_description *description,
                      struct vios_error *error)
{
    size_t i;
    json_t *item;
    const json_t *list = json_object_get(json, "files");
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > DESCRIPTION_FILES_MAX) {
        return bad("files", error);
    }
    json_array_foreach((json_t *)list, i, item)
    {
        int status = take_file(item, &description->files[i], error);
        for (size_t k = 0; status == VIOS_OK && k < i; k++) {
            if (strcmp(description->files[k].name, description->files[i].name) == 0) {
                status = error_set(error, VIOS_E_INVALID, OBJECT, NULL, "it names \"%.100s\" twice",
                                   description->files[i].name);
            }
        }
        if (status < 0) {
            return status;
        }
    }
    description->file_count = json_array_size(list);
    return VIOS_OK;
}

static int take_all(const json_t *json, struct image_description *description,
                    struct vios_error *error)
{
    static const char *const MEMBERS[] = {"v", "name", "version", "architecture", "files", NULL};
    const char *name = json_get_text(json, "name");
    int status = check_members(json, MEMBERS, error);
    if (status == VIOS_OK && json_get_integer(json, "v") != 1) {
        status = bad("v", error);
    }
    if (status == VIOS_OK && (!name || parse_name(name, "image", NULL) < 0)) {
        status = bad("name", error);
    }
    if (status == VIOS_OK) {
        snprintf(description->name, sizeof description->name, "%s", name);
        status =
            take_word(json, "version", description->version, sizeof description->version, error);
    }
    if (status == VIOS_OK) {
        status = take_word(json, "architecture", description->architecture,
                           sizeof description->architecture, error);
    }
    return status == VIOS_OK ? take_files(json, description, error) : status;
}

int description_parse(const char *text, size_t size, struct image_description *description,
                      struct vios_error *error)
{
    json_error_t why;
    char shown[MEMBER_SHOWN_SIZE];
    memset(description, 0, sizeof *description);
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    int status = json_is_object(json)
                     ? take_all(json, description, error)
                     : error_set(error, VIOS_E_INVALID, OBJECT, NULL, "it is no JSON object: %s",
                                 json ? "it is something else" : member_show(why.text, shown));
    json_decref(json);
    if (status < 0) {
        memset(description, 0, sizeof *description);
    }
    return status;
}

/* --- its files --- */

int description_check_file(int fd, const struct description_file *file,
                           const struct copy_progress *progress, struct operation *operation)
{
    struct stat info;
    char hex[FILE_DIGEST_TEXT] = "", object[96];
    snprintf(object, sizeof object, "file \"%.80s\"", file->name);
    if (fstat(fd, &info) != 0) {
        return error_set_errno(&operation->error, object, "cannot look at it");
    }
    if (file->size_bytes && (uint64_t)info.st_size != file->size_bytes) {
        return operation_fail(operation, VIOS_E_CORRUPT, object, "bring it there again",
                              "it has %lld bytes, its description says %llu",
                              (long long)info.st_size, (unsigned long long)file->size_bytes);
    }
    int status = file->digest[0] ? file_digest(fd, "sha256", hex, progress, operation) : VIOS_OK;
    if (status == VIOS_OK && file->digest[0] && strcmp(hex, file->digest) != 0) {
        status = operation_fail(operation, VIOS_E_CORRUPT, object, "bring it there again",
                                "its SHA-256 is %s, its description says %s", hex, file->digest);
    }
    return status;
}
