/* config.c - the table of keys, the file, and the values laid over the defaults. */
#include "base/config.h"

#include "base/file.h"
#include "base/parse.h"

#include <assert.h>
#include <ctype.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE_MAX (64 * 1024)
#define CONFIG_PATH_MAX 4096

static const struct config_row ROWS[] = {
    {"node", CONFIG_NAME, NULL, "name of this node"},
    {"address", CONFIG_TEXT, "127.0.0.1", "address that the other nodes reach this one at"},
    {"port", CONFIG_INTEGER, "7440", "TCP and UDP port; 0 takes a free one", 65535},
    {"nbd_port", CONFIG_INTEGER, "10809", "TCP port for page traffic; 0 takes a free one", 65535},
    {"state_dir", CONFIG_PATH, "/var/lib/vios", "what must survive a boot"},
    {"run_dir", CONFIG_PATH, "/run/vios", "sockets, and what belongs to one boot"},
    {"store", CONFIG_TEXT, "",
     "the VIOS DB: sqlite:/path, etcd:URL,...; empty: vios.db in state_dir"},
    {"repository", CONFIG_PATH, "", "the shared folder that every node mounts"},
    {"page_memory", CONFIG_SIZE, "0", "memory lent to the guests of other nodes"},
    {"ttl", CONFIG_DURATION, "5s", "a node silent for so long is taken for dead"},
    {"keepalive", CONFIG_DURATION, "200ms", "time between two keep-alives"},
    {"admin_group", CONFIG_TEXT, "vios-admin", "users in this group may do everything"},
    {"operator_group", CONFIG_TEXT, "vios-operator", "users in this one run guests and look"},
    {"viewer_group", CONFIG_TEXT, "vios-viewer", "users in this one look"},
    {"allow_viewers", CONFIG_BOOLEAN, "no", "let other users of this machine look, not change"},
    {"guest_uid_base", CONFIG_INTEGER, "2000000000", "first user id for guests, when root"},
    {"program_dir", CONFIG_PATH, "", "where io and place are; empty: beside the daemon"},
    {"log", CONFIG_TEXT, "notice", "error, warning, notice or debug; +json behind it: as JSON"},
};
#define ROW_COUNT (sizeof ROWS / sizeof ROWS[0])

struct value {
    char *text; /* NULL: the default */
    const char *origin;
};

struct config {
    struct value values[ROW_COUNT];
};

const struct config_row *config_rows(size_t *count)
{
    *count = ROW_COUNT;
    return ROWS;
}

static int find_row(const char *key)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(ROWS[i].key, key) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int check_path(const char *text, struct vios_error *error)
{
    if ((*text && *text != '/') || strlen(text) >= CONFIG_PATH_MAX) {
        return error_set(error, VIOS_E_USAGE, NULL, "give a path from the root",
                         "\"%.60s\" is not an absolute path", text);
    }
    return VIOS_OK;
}

static int check_value(const struct config_row *row, const char *text, struct vios_error *error)
{
    uint64_t size;
    int64_t number;
    bool boolean;
    for (const char *at = text; *at; at++) {
        if (iscntrl((unsigned char)*at) || *at == '#') {
            return error_set(error, VIOS_E_USAGE, NULL, NULL,
                             "the value of \"%s\" holds a control byte or #", row->key);
        }
    }
    switch (row->type) {
    case CONFIG_NAME:
        return parse_name(text, row->key, error);
    case CONFIG_PATH:
        return check_path(text, error);
    case CONFIG_TEXT:
        return VIOS_OK;
    case CONFIG_SIZE:
        return parse_size(text, &size, error);
    case CONFIG_DURATION:
        return parse_duration(text, &number, error);
    case CONFIG_INTEGER:
        return parse_integer(text, 0, row->maximum ? row->maximum : INT32_MAX, &number, error);
    case CONFIG_BOOLEAN:
        return parse_boolean(text, &boolean, error);
    }
    return VIOS_OK;
}

static int unknown_key(const char *key, struct vios_error *error)
{
    const char *names[ROW_COUNT];
    char hint[160];
    for (size_t i = 0; i < ROW_COUNT; i++) {
        names[i] = ROWS[i].key;
    }
    parse_hint(key, names, ROW_COUNT, "run \"vios config list\"", hint, sizeof hint);
    return error_set(error, VIOS_E_USAGE, NULL, hint, "no configuration key \"%.60s\"", key);
}

struct config *config_new(void)
{
    return calloc(1, sizeof(struct config));
}

void config_free(struct config *config)
{
    for (size_t i = 0; config && i < ROW_COUNT; i++) {
        free(config->values[i].text);
    }
    free(config);
}

static int set_row(struct config *config, int row, const char *text, const char *origin,
                   struct vios_error *error)
{
    int status = check_value(&ROWS[row], text, error);
    if (status != VIOS_OK) {
        if (error) {
            snprintf(error->object, sizeof error->object, "%s", ROWS[row].key);
        }
        return status;
    }
    char *copy = strdup(text);
    if (!copy) {
        return error_no_memory(error, NULL);
    }
    free(config->values[row].text);
    config->values[row] = (struct value){copy, origin};
    return VIOS_OK;
}

int config_set(struct config *config, const char *key, const char *text, struct vios_error *error)
{
    int row = find_row(key);
    return row < 0 ? unknown_key(key, error) : set_row(config, row, text, "option", error);
}

/* --- the file --- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1])) {
        text[--length] = '\0';
    }
    return text;
}

/* Cuts a line into key and value; *key is NULL for one that says nothing. */
static int split_line(char *line, char **key, char **value, struct vios_error *error)
{
    line[strcspn(line, "#")] = '\0';
    line = trim(line);
    *key = NULL;
    if (!*line) {
        return VIOS_OK;
    }
    char *equals = strchr(line, '=');
    if (!equals) {
        return error_set(error, VIOS_E_USAGE, NULL, "write: key = value",
                         "\"%.60s\" has no =", line);
    }
    *equals = '\0';
    *key = trim(line);
    *value = trim(equals + 1);
    return VIOS_OK;
}

static int take_line(struct config *config, char *line, struct vios_error *error)
{
    char *key, *value;
    int status = split_line(line, &key, &value, error);
    if (status != VIOS_OK || !key) {
        return status;
    }
    int row = find_row(key);
    if (row < 0) {
        return unknown_key(key, error);
    }
    if (config->values[row].text) {
        return error_set(error, VIOS_E_USAGE, NULL, "keep one of them", "\"%s\" is given twice",
                         key);
    }
    return set_row(config, row, value, "file", error);
}

static int take_text(struct config *config, char *text, const char *path, struct vios_error *error)
{
    int number = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        struct vios_error inner = {0};
        number++;
        if (take_line(config, line, &inner) != VIOS_OK) {
            char object[96];
            snprintf(object, sizeof object, "%.80s:%d", path, number);
            return error_set(error, VIOS_E_USAGE, object, inner.hint, "%s%s%s", inner.object,
                             inner.object[0] ? ": " : "", inner.message);
        }
    }
    return VIOS_OK;
}

/* free() `*text`, which is whole. */
static int read_text(const char *path, char **text, struct vios_error *error)
{
    size_t size;
    int status = file_read(AT_FDCWD, path, CONFIG_FILE_MAX, text, &size, error);
    if (status == VIOS_OK && strlen(*text) != size) {
        free(*text);
        return error_set(error, VIOS_E_USAGE, path, NULL, "the file holds a NUL byte");
    }
    return status;
}

int config_load(struct config *config, const char *path, struct vios_error *error)
{
    char *text;
    int status = read_text(path, &text, error);
    if (status != VIOS_OK) {
        return status;
    }
    struct config *read = config_new();
    if (!read) {
        free(text);
        return error_no_memory(error, NULL);
    }
    status = take_text(read, text, path, error);
    for (size_t i = 0; status == VIOS_OK && i < ROW_COUNT; i++) {
        if (read->values[i].text) {
            free(config->values[i].text);
            config->values[i] = read->values[i];
            read->values[i].text = NULL;
        }
    }
    config_free(read);
    free(text);
    return status;
}

/* --- reading --- */

static int known_row(const char *key)
{
    int row = find_row(key);
    assert(row >= 0);
    return row;
}

const char *config_text(const struct config *config, const char *key)
{
    int row = known_row(key);
    return config->values[row].text ? config->values[row].text : ROWS[row].default_text;
}

uint64_t config_size(const struct config *config, const char *key)
{
    uint64_t size = 0;
    parse_size(config_text(config, key), &size, NULL);
    return size;
}

int64_t config_duration_ms(const struct config *config, const char *key)
{
    int64_t ms = 0;
    parse_duration(config_text(config, key), &ms, NULL);
    return ms;
}

int64_t config_integer(const struct config *config, const char *key)
{
    int64_t value = 0;
    parse_integer(config_text(config, key), 0, INT32_MAX, &value, NULL);
    return value;
}

const char *config_origin(const struct config *config, const char *key)
{
    const struct value *value = &config->values[known_row(key)];
    return value->text ? value->origin : "default";
}

/* --- writing --- */

/* Copies the file's lines to `out`, the key's own replaced; true when it was there. */
static bool rewrite(char *text, const char *key, const char *value, FILE *out)
{
    bool found = false;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *copy = strdup(line), *its_key = NULL, *its_value;
        if (copy && split_line(copy, &its_key, &its_value, NULL) == VIOS_OK && its_key &&
            strcmp(its_key, key) == 0) {
            fprintf(out, "%s = %s\n", key, value);
            found = true;
        } else if (rest || *line) {
            fprintf(out, "%s\n", line);
        }
        free(copy);
    }
    return found;
}

static int save_text(const char *path, char *text, const char *key, const char *value,
                     struct vios_error *error)
{
    char *made = NULL, folder[CONFIG_PATH_MAX], name[CONFIG_PATH_MAX];
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);
    if (!out) {
        return error_no_memory(error, NULL);
    }
    if (!rewrite(text, key, value, out)) {
        fprintf(out, "%s = %s\n", key, value);
    }
    fclose(out);
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(name, sizeof name, "%s", path);
    int directory_fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = directory_fd < 0
                     ? error_set_errno(error, path, "its folder cannot be opened")
                     : file_replace(directory_fd, basename(name), made, size, 0644, error);
    if (directory_fd >= 0) {
        close(directory_fd);
    }
    free(made);
    return status;
}

int config_save(const char *path, const char *key, const char *text, struct vios_error *error)
{
    char *old;
    int row = find_row(key);
    int status = row < 0 ? unknown_key(key, error) : check_value(&ROWS[row], text, error);
    if (status != VIOS_OK) {
        return status;
    }
    status = read_text(path, &old, error);
    if (status == VIOS_E_NOT_FOUND) {
        old = strdup("");
        status = old ? VIOS_OK : error_no_memory(error, NULL);
    }
    if (status == VIOS_OK) {
        status = save_text(path, old, key, text, error);
        free(old);
    }
    return status;
}
