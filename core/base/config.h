/*
 * config.h - what a node must know before it has a store: /etc/vios/vios.conf, `key = value`,
 * `#` to the end of a line. One table feeds the file, the options of `vios daemon`,
 * `config get/set/list` and the manual.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_NAME,
    CONFIG_PATH,
    CONFIG_TEXT,
    CONFIG_SIZE,
    CONFIG_DURATION,
    CONFIG_INTEGER,
    CONFIG_BOOLEAN
};

struct config_row {
    const char *key;
    enum config_type type;
    const char *default_text; /* NULL: must be given */
    const char *help;         /* one line */
    int64_t maximum;          /* of an integer; 0: INT32_MAX */
};

/* The table, in the manual's order: node, address, port, state_dir, run_dir, store,
 * repository, page_memory, ttl, keepalive, log, ... */
const struct config_row *config_rows(size_t *count);

struct config;

/* Defaults only; config_load and config_set lay values over them. */
struct config *config_new(void);
void config_free(struct config *config);

/* Reads a file; an unknown key, a bad value or a key given twice is an error with its line, and
 * nothing of the file is taken. */
int config_load(struct config *config, const char *path, struct vios_error *error);

/* One value, validated by its type. */
int config_set(struct config *config, const char *key, const char *text, struct vios_error *error);

/* The text of a value as given, or its default; NULL when neither. Aborts for a key that the
 * table does not have. */
const char *config_text(const struct config *config, const char *key);
uint64_t config_size(const struct config *config, const char *key);
int64_t config_duration_ms(const struct config *config, const char *key);
int64_t config_integer(const struct config *config, const char *key);

/* "file", "option" or "default": where the value came from. */
const char *config_origin(const struct config *config, const char *key);

/* Rewrites `path` so that `key` has this value, keeping comments and order. */
int config_save(const char *path, const char *key, const char *text, struct vios_error *error);

#endif
