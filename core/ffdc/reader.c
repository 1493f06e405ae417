/* reader.c - see reader.h. */
#include "ffdc/reader.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUNDLE_PREFIX "csnap_"
#define BUNDLE_SUFFIX ".tar.zst"

static int open_folder(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

/* The names in a folder that `wanted` takes, sorted; the caller's. Closes `fd`. */
static char **names_in(int fd, bool (*wanted)(const char *name), size_t *count)
{
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    char **names = calloc(READER_INCIDENTS_MAX, sizeof *names);
    struct dirent *entry;
    *count = 0;
    while (folder && names && *count < READER_INCIDENTS_MAX && (entry = readdir(folder)) != NULL) {
        char *name = wanted(entry->d_name) ? strdup(entry->d_name) : NULL;
        if (name) {
            names[(*count)++] = name;
        }
    }
    if (folder) {
        closedir(folder);
    } else if (fd >= 0) {
        close(fd);
    }
    if (*count > 0) {
        qsort(names, *count, sizeof *names, compare_names);
    }
    return names;
}

static bool is_correlator(const char *name)
{
    return manifest_check_correlator(name, NULL) == VIOS_OK;
}

static bool is_node(const char *name)
{
    return parse_name(name, "node", NULL) == VIOS_OK;
}

static bool is_bundle(const char *name)
{
    size_t length = strlen(name), end = strlen(BUNDLE_SUFFIX);
    return strncmp(name, BUNDLE_PREFIX, strlen(BUNDLE_PREFIX)) == 0 && length > end &&
           strcmp(name + length - end, BUNDLE_SUFFIX) == 0;
}

/* --- manifests --- */

static int read_manifest(const char *place, const char *correlator, struct manifest *manifest,
                         struct vios_error *error)
{
    char path[PATH_MAX + MANIFEST_CORRELATOR_SIZE + 2], *text = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", place, correlator);
    int fd = open_folder(AT_FDCWD, path);
    if (fd < 0) {
        return error_set_errno(error, path, "cannot be opened");
    }
    int status = file_read(fd, MANIFEST_NAME, MANIFEST_TEXT_MAX, &text, &size, error);
    if (status == VIOS_OK) {
        status = manifest_parse(text, size, manifest, error);
    }
    if (status == VIOS_OK && strcmp(manifest->correlator, correlator) != 0) {
        status = error_set(error, VIOS_E_CORRUPT, path, NULL,
                           "its manifest is that of another incident, %s", manifest->correlator);
    }
    free(text);
    close(fd);
    return status;
}

int reader_manifest(const struct reader_places *places, const char *correlator,
                    struct manifest *manifest, struct vios_error *error)
{
    struct vios_error first = {0}, here;
    for (size_t i = 0; i < places->count; i++) {
        int status = read_manifest(places->paths[i], correlator, manifest, &here);
        if (status == VIOS_OK) {
            return VIOS_OK;
        }
        if (status != VIOS_E_NOT_FOUND && first.code == VIOS_OK) {
            first = here;
        }
    }
    if (first.code != VIOS_OK) {
        *error = first;
        return first.code;
    }
    char object[96];
    snprintf(object, sizeof object, "incident \"%.31s\"", correlator);
    return error_set(error, VIOS_E_NOT_FOUND, object, "see \"vios ffdc list\", or give --dir",
                     "nothing of it is in %.200s", places->count > 0 ? places->paths[0] : "");
}

static bool is_earlier(const struct reader_places *places, size_t place, const char *correlator)
{
    struct manifest *manifest = malloc(sizeof *manifest);
    bool earlier = false;
    for (size_t i = 0; i < place && manifest && !earlier; i++) {
        earlier = read_manifest(places->paths[i], correlator, manifest, NULL) == VIOS_OK;
    }
    free(manifest);
    return earlier;
}

static void each_in(const struct reader_places *places, size_t place,
                    void (*each)(void *context, const struct manifest *manifest),
                    void (*bad)(void *context, const char *correlator,
                                const struct vios_error *why),
                    void *context)
{
    size_t count;
    char **names = names_in(open_folder(AT_FDCWD, places->paths[place]), is_correlator, &count);
    struct manifest *manifest = malloc(sizeof *manifest);
    for (size_t i = 0; i < count && manifest; i++) {
        struct vios_error why;
        if (is_earlier(places, place, names[i])) {
            continue;
        }
        int status = read_manifest(places->paths[place], names[i], manifest, &why);
        if (status == VIOS_OK) {
            each(context, manifest);
        } else if (status != VIOS_E_NOT_FOUND) {
            bad(context, names[i], &why);
        }
    }
    free(manifest);
    free_names(names, count);
}

void reader_each_incident(const struct reader_places *places,
                          void (*each)(void *context, const struct manifest *manifest),
                          void (*bad)(void *context, const char *correlator,
                                      const struct vios_error *why),
                          void *context)
{
    for (size_t i = 0; i < places->count; i++) {
        each_in(places, i, each, bad, context);
    }
}

/* --- bundles --- */

static size_t each_of_node(int incident, const char *node,
                           void (*each)(void *context, const char *node, int fd), void *context)
{
    size_t count, opened = 0;
    int folder = open_folder(incident, node);
    int copy = folder >= 0 ? fcntl(folder, F_DUPFD_CLOEXEC, 3) : -1;
    char **names = names_in(copy, is_bundle, &count);
    for (size_t i = 0; i < count; i++) {
        int fd = openat(folder, names[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
            each(context, node, fd);
            close(fd);
            opened++;
        }
    }
    if (folder >= 0) {
        close(folder);
    }
    free_names(names, count);
    return opened;
}

size_t reader_each_bundle(const struct reader_places *places, const char *correlator,
                          void (*each)(void *context, const char *node, int fd), void *context)
{
    size_t opened = 0;
    for (size_t place = 0; place < places->count; place++) {
        char path[PATH_MAX + MANIFEST_CORRELATOR_SIZE + 2];
        size_t count;
        snprintf(path, sizeof path, "%s/%s", places->paths[place], correlator);
        int incident = open_folder(AT_FDCWD, path);
        int copy = incident >= 0 ? fcntl(incident, F_DUPFD_CLOEXEC, 3) : -1;
        char **names = names_in(copy, is_node, &count);
        for (size_t i = 0; i < count; i++) {
            opened += each_of_node(incident, names[i], each, context);
        }
        if (incident >= 0) {
            close(incident);
        }
        free_names(names, count);
    }
    return opened;
}
