/* saved.c - see saved.h. */
#include "lpar/saved.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "hibernation/configuration.h"
#include "net/crypto.h"
#include "storage/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define KEY "/secret/hibernation"
#define FOLDER_MODE 0700
#define LU_RANDOM 8 /* digits at the end of a file's name */

/* --- the record --- */

static bool is_file_name(const char *text)
{
    return text && text[0] && text[0] != '.' && !strchr(text, '/') &&
           strlen(text) <= HIBERNATION_FILE_NAME_MAX;
}

static bool read_record(const json_t *json, struct saved *saved)
{
    const char *lu = "", *file = "", *node = "", *time = "", *content = "";
    json_int_t generation = -1, size = -1, memory = -1;
    int version = 0, encrypted = 0;
    if (json_unpack((json_t *)json, "{s:i, s:I, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:b}", "v",
                    &version, "generation", &generation, "lu", &lu, "content", &content,
                    "size_bytes", &size, "memory_bytes", &memory, "file", &file, "node", &node,
                    "time", &time, "encrypted", &encrypted) != 0 ||
        version != 1 || generation < 0 || size < 0 || memory < 0 || !is_file_name(lu) ||
        strcmp(content, "memory") != 0 || parse_uuid(file, NULL) != VIOS_OK ||
        parse_name(node, "node", NULL) != VIOS_OK || strlen(time) >= SAVED_TIME_SIZE) {
        return false;
    }
    snprintf(saved->lu, sizeof saved->lu, "%s", lu);
    snprintf(saved->file, sizeof saved->file, "%s", file);
    snprintf(saved->node, sizeof saved->node, "%s", node);
    snprintf(saved->time, sizeof saved->time, "%s", time);
    saved->generation = generation;
    saved->size_bytes = (uint64_t)size;
    saved->memory_bytes = (uint64_t)memory;
    saved->encrypted = encrypted;
    return true;
}

int saved_parse(const struct store_value *value, struct saved *saved, struct vios_error *error)
{
    json_t *json = json_loads(value->json, JSON_REJECT_DUPLICATES, NULL);
    *saved = (struct saved){.revision = value->revision};
    bool good = read_record(json, saved);
    json_decref(json);
    return good ? VIOS_OK
                : error_set(error, VIOS_E_CORRUPT, value->key, "run \"vios db check\"",
                            "the record of a hibernation is damaged");
}

json_t *saved_to_json(const struct saved *saved)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:b}", "lu", saved->lu, "content",
                     "memory", "size_bytes", (json_int_t)saved->size_bytes, "memory_bytes",
                     (json_int_t)saved->memory_bytes, "file", saved->file, "node", saved->node,
                     "time", saved->time, "encrypted", (int)saved->encrypted);
}

int saved_load(struct store *store, const char *name, struct saved *saved,
               struct operation *operation)
{
    char key[STORE_KEY_MAX], object[96];
    struct store_value value;
    snprintf(key, sizeof key, SAVED_PREFIX "%s", name);
    int status = store_get(store, key, &value, operation);
    if (status == VIOS_OK) {
        status = saved_parse(&value, saved, &operation->error);
        store_value_clear(&value);
    } else if (status == VIOS_E_NOT_FOUND) {
        status = operation_fail(operation, VIOS_E_NOT_FOUND, lpar_object(name, object),
                                "see hibernation list", "it is not hibernated");
    }
    return status;
}

bool saved_is_current(const struct lpar *lpar, const struct saved *saved)
{
    return lpar->wanted == LPAR_HIBERNATED && !lpar->owner[0] &&
           lpar->generation == saved->generation;
}

/* --- its place --- */

int saved_folder(struct node *node, struct store *store, struct operation *operation)
{
    const char *repository;
    char path[PATH_MAX];
    struct vios_error *error = &operation->error;
    int status = repository_check(node, store, false, operation);
    if (status == VIOS_OK) {
        status = repository_path(node, "hibernation", &repository, error);
    }
    if (status < 0) {
        return status;
    }
    int length = snprintf(path, sizeof path, "%s/" SAVED_FOLDER, repository);
    if (length >= (int)sizeof path) {
        return error_set(error, VIOS_E_INVALID, "repository", "mount it elsewhere",
                         "its path is too long");
    }
    status = file_make_folders(path, FOLDER_MODE, error);
    if (status < 0) {
        return status;
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder >= 0 ? folder : error_set_errno(error, path, "cannot be opened");
}

int saved_free_bytes(int folder, uint64_t *bytes, struct vios_error *error)
{
    struct statvfs space;
    if (fstatvfs(folder, &space) != 0) {
        return error_set_errno(error, "repository", "cannot say how much is free");
    }
    *bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return VIOS_OK;
}

void saved_sweep(int folder, const char *lu)
{
    size_t length = strlen(lu);
    const struct dirent *entry;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    while (listing && (entry = readdir(listing)) != NULL) {
        const char *name = entry->d_name;
        if (name[0] == '.' && strncmp(name + 1, lu, length) == 0 && name[1 + length] == '.') {
            unlinkat(folder, name, 0);
        }
    }
    if (listing) {
        closedir(listing);
    } else if (copy >= 0) {
        close(copy);
    }
}

/* How long the name of a file of the LPAR `name` is at the start of `text`: NAME-GENERATION-, and
 * eight hex digits. 0: there is none. */
static size_t lu_length(const char *text, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(text, name, length) != 0 || text[length++] != '-') {
        return 0;
    }
    size_t digits = strspn(text + length, "0123456789");
    length += digits;
    if (digits == 0 || text[length++] != '-' ||
        strspn(text + length, "0123456789abcdef") < LU_RANDOM) {
        return 0;
    }
    return length + LU_RANDOM;
}

static bool is_of(const char *entry, const char *name)
{
    bool temporary = entry[0] == '.';
    size_t length = lu_length(entry + temporary, name);
    return length > 0 && entry[temporary + length] == (temporary ? '.' : 0);
}

int saved_remove_others(int folder, const char *name, const char *keep, json_t *removed,
                        struct operation *operation)
{
    const struct dirent *entry;
    int status = VIOS_OK, copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    if (!listing) {
        status = error_set_errno(&operation->error, SAVED_FOLDER, "cannot be listed");
        if (copy >= 0) {
            close(copy);
        }
        return status;
    }
    while ((entry = readdir(listing)) != NULL) {
        if (!is_of(entry->d_name, name) || strcmp(entry->d_name, keep) == 0) {
            continue;
        }
        if (unlinkat(folder, entry->d_name, 0) == 0) {
            json_array_append_new(removed, json_string(entry->d_name));
        } else if (status == VIOS_OK) {
            status = error_set_errno(&operation->error, entry->d_name, "cannot be removed");
        }
    }
    closedir(listing);
    return status;
}

int saved_remove(struct node *node, struct store *store, const char *lu,
                 struct operation *operation)
{
    int folder = saved_folder(node, store, operation);
    if (folder < 0) {
        return folder;
    }
    saved_sweep(folder, lu);
    int status = unlinkat(folder, lu, 0) == 0 || errno == ENOENT
                     ? VIOS_OK
                     : error_set_errno(&operation->error, lu, "cannot be removed");
    close(folder);
    return status;
}

int saved_forget(struct store *store, const char *name, const struct saved *saved,
                 struct operation *operation)
{
    char key[STORE_KEY_MAX];
    snprintf(key, sizeof key, SAVED_PREFIX "%s", name);
    const struct store_compare same = {
        .kind = STORE_REVISION_IS, .key = key, .revision = saved->revision};
    const struct store_change change = {.key = key};
    return store_commit(store, &same, 1, &change, 1, NULL, operation);
}

int saved_discard(struct node *node, struct store *store, const char *name,
                  struct operation *operation)
{
    struct saved saved;
    int status = saved_load(store, name, &saved, operation);
    if (status < 0) {
        /* a damaged record is for "vios db check" */
        return status == VIOS_E_NOT_FOUND || status == VIOS_E_CORRUPT ? VIOS_OK : status;
    }
    if (saved_remove(node, store, saved.lu, operation) < 0) {
        log_warning("lpar", "%s stays in the repository: %s", saved.lu, operation->error.message);
        return VIOS_OK;
    }
    return saved_forget(store, name, &saved, operation);
}

static int put_back(struct store *store, const char *name, const json_t *record, int64_t generation,
                    struct operation *operation)
{
    char key[STORE_KEY_MAX];
    json_t *json = json_deep_copy(record);
    snprintf(key, sizeof key, SAVED_PREFIX "%s", name);
    json_object_set_new(json, "v", json_integer(1));
    json_object_set_new(json, "generation", json_integer((json_int_t)generation));
    const struct store_compare absent = {.kind = STORE_ABSENT, .key = key};
    char *text = json_into_text(json);
    const struct store_change change = {.key = key, .json = text};
    int status = text ? store_commit(store, &absent, 1, &change, 1, NULL, operation)
                      : operation_no_memory(operation, key);
    free(text);
    return status == VIOS_E_CONFLICT ? VIOS_OK : status; /* there is one, perhaps ours */
}

int saved_used_up(struct node *node, struct store *store, const char *name, const json_t *record,
                  int64_t generation, struct operation *operation)
{
    struct saved left;
    const char *lu = json_get_word(record, "lu");
    if (saved_remove(node, store, lu, operation) < 0) {
        log_warning("lpar", "%s stays in the repository: %s", lu, operation->error.message);
        return put_back(store, name, record, generation, operation);
    }
    int status = saved_load(store, name, &left, operation); /* that an earlier try put back */
    if (status == VIOS_OK && strcmp(left.lu, lu) == 0) {
        return saved_forget(store, name, &left, operation);
    }
    return status == VIOS_E_NOT_FOUND || status == VIOS_E_CORRUPT ? VIOS_OK : status;
}

/* --- the key --- */

static int read_key(struct store *store, struct hibernation_key *key, struct operation *operation)
{
    json_t *record = NULL;
    int status = node_record(store, KEY, &record, NULL, operation);
    if (status == VIOS_OK) {
        json_int_t id = json_get_integer(record, "id");
        const char *hex = json_get_word(record, "key");
        key->id = (uint32_t)id;
        if (id < 1 || id > UINT32_MAX || !crypto_unhex(hex, key->bytes, sizeof key->bytes)) {
            status = operation_fail(operation, VIOS_E_CORRUPT, KEY, "run \"vios db check\"",
                                    "the record of the hibernations' key is damaged");
        }
    }
    json_decref(record);
    return status;
}

static int make_key(struct store *store, struct operation *operation)
{
    uint8_t bytes[HIBERNATION_KEY_SIZE];
    char hex[2 * HIBERNATION_KEY_SIZE + 1], *text;
    const struct store_compare absent = {.kind = STORE_ABSENT, .key = KEY};
    struct store_change change = {.key = KEY};
    int status = crypto_random(bytes, sizeof bytes, &operation->error);
    if (status < 0) {
        return status;
    }
    crypto_hex(bytes, sizeof bytes, hex);
    change.json = text = json_into_text(json_pack("{s:i, s:i, s:s}", "v", 1, "id", 1, "key", hex));
    status = text ? store_commit(store, &absent, 1, &change, 1, NULL, operation)
                  : operation_no_memory(operation, KEY);
    crypto_forget(text);
    return status == VIOS_E_CONFLICT ? VIOS_OK : status; /* somebody else was first */
}

int saved_key(struct store *store, bool make, struct hibernation_key *key,
              struct operation *operation)
{
    int status = read_key(store, key, operation);
    if (status == VIOS_E_NOT_FOUND && make) {
        status = make_key(store, operation);
        if (status == VIOS_OK || status == VIOS_E_UNKNOWN) {
            status = read_key(store, key, operation);
        }
    }
    return status;
}

/* --- the file --- */

int saved_cluster(struct store *store, char uuid[UUID_TEXT_SIZE], struct operation *operation)
{
    json_t *cluster = NULL;
    int status = node_record(store, "/cluster", &cluster, NULL, operation);
    if (status == VIOS_OK && parse_uuid(json_get_word(cluster, "uuid"), NULL) != VIOS_OK) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "/cluster", "run \"vios db check\"",
                                "it has no uuid");
    }
    if (status == VIOS_OK) {
        snprintf(uuid, UUID_TEXT_SIZE, "%s", json_get_word(cluster, "uuid"));
    }
    json_decref(cluster);
    return status;
}

/* That it is the file that the record means, of an LPAR that is made of the same things now. */
static int check_file(const struct hibernation_reader *reader, const struct lpar *lpar,
                      const struct saved *saved, struct vios_error *error)
{
    char object[HIBERNATION_OBJECT_SIZE], hash[65];
    struct hibernation_configuration configuration;
    const char *text = hibernation_reader_configuration(reader);
    hibernation_object(lpar->name, object);
    if (strcmp(hibernation_reader_header(reader)->file, saved->file) != 0) {
        return error_set(error, VIOS_E_INVALID, object, "see hibernation show",
                         "is another file than the one that was saved");
    }
    int status = hibernation_configuration_parse(text, strlen(text), &configuration, error);
    if (status < 0) {
        return status;
    }
    lpar_adapter_hash(lpar, hash);
    if (strcmp(hash, configuration.hash) != 0) {
        status = error_set(error, VIOS_E_INVALID, object, "make its adapters what they were",
                           "was saved with other adapters than the LPAR has now");
    }
    hibernation_configuration_clear(&configuration);
    return status;
}

int saved_open(struct node *node, struct store *store, const struct lpar *lpar,
               const struct saved *saved, struct hibernation_reader **reader,
               struct operation *operation)
{
    char cluster[UUID_TEXT_SIZE];
    struct hibernation_key key;
    *reader = NULL;
    int status = saved_cluster(store, cluster, operation);
    if (status == VIOS_OK) {
        status = saved_key(store, false, &key, operation);
    }
    int folder = status == VIOS_OK ? saved_folder(node, store, operation) : status;
    if (folder < 0) {
        return folder;
    }
    const struct hibernation_expected expected = {.name = lpar->name,
                                                  .cluster = cluster,
                                                  .lpar = lpar->uuid,
                                                  .generation = lpar->generation,
                                                  .memory_bytes = lpar->memory_bytes,
                                                  .machine = lpar->machine};
    const struct hibernation_reading reading = {.folder_fd = folder,
                                                .name = saved->lu,
                                                .expected = &expected,
                                                .keys = &key,
                                                .key_count = 1};
    status = hibernation_reader_open(reader, &reading, &operation->error);
    close(folder);
    explicit_bzero(&key, sizeof key);
    if (status == VIOS_OK) {
        status = check_file(*reader, lpar, saved, &operation->error);
    }
    if (status < 0) {
        hibernation_reader_close(*reader);
        *reader = NULL;
    }
    return status;
}
