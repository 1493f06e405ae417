/* export.c - see export.h. Guests' names are gathered from all bundles first. */
#include "ffdc/export.h"

#include "ffdc/bundle.h"
#include "ffdc/redact.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDS_FILE "db.jsonl" /* as the table of collectors has it */
#define COPY_SIZE ((size_t)64 * 1024)

struct exporting {
    struct bundle_writer *writer;
    struct redactor *redactor; /* NULL: as it is */
    struct export_result *result;
    void (*note)(void *context, const char *text);
    void *context;
    int status; /* the first failure of the writer */
    struct vios_error *error;
};

static void note(struct exporting *exporting, const char *node, const char *name, const char *why)
{
    char text[600];
    snprintf(text, sizeof text, "%s%s%s: %s", node, name ? "/" : "", name ? name : "", why);
    exporting->note(exporting->context, text);
}

/* --- names --- */

static void gather_names(void *context, const char *node, int fd)
{
    struct exporting *exporting = context;
    struct bundle_reader *reader;
    struct bundle_member member;
    struct vios_error ignored;
    (void)node; /* a damaged one is told of later */
    if (bundle_open(&reader, fd, &ignored) != VIOS_OK) {
        return;
    }
    while (bundle_next(reader, &member, &ignored) == 1) {
        char *text;
        size_t size;
        if (strcmp(member.name, RECORDS_FILE) == 0 &&
            bundle_take(reader, &member, EXPORT_TEXT_MAX, &text, &size, &ignored) == VIOS_OK) {
            redactor_add_records(exporting->redactor, text);
            free(text);
        }
    }
    bundle_close(reader);
}

/* --- members --- */

static int add_redacted(struct exporting *exporting, const char *name, const char *text,
                        size_t size)
{
    char *shown = NULL;
    size_t shown_size;
    int status =
        redactor_run(exporting->redactor, text, size, &shown, &shown_size, exporting->error);
    if (status == VIOS_OK) {
        status = bundle_add(exporting->writer, name, shown, shown_size, exporting->error);
    }
    free(shown);
    return status;
}

/* A failure to read is that of a damaged bundle, and returned; one to write ends all. */
static int copy_redacted(struct exporting *exporting, struct bundle_reader *reader,
                         const struct bundle_member *member, const char *node, const char *name,
                         struct vios_error *why)
{
    char *text = NULL;
    size_t size = 0;
    int status = bundle_take(reader, member, EXPORT_TEXT_MAX, &text, &size, why);
    if (status == VIOS_E_NO_SPACE || (status == VIOS_OK && memchr(text, 0, size))) {
        exporting->result->left_out++;
        note(exporting, node, member->name, "it is no text, or too long, and is left out");
        free(text);
        return VIOS_OK;
    }
    if (status == VIOS_OK) {
        exporting->status = add_redacted(exporting, name, text, size);
        exporting->result->files++;
    }
    free(text);
    return status;
}

static int copy_plain(struct exporting *exporting, struct bundle_reader *reader,
                      const struct bundle_member *member, const char *name, struct vios_error *why)
{
    char *data = malloc(COPY_SIZE);
    ssize_t got = 1;
    exporting->status =
        data ? bundle_add_begin(exporting->writer, name, member->size_bytes, exporting->error)
             : error_no_memory(exporting->error, "bundle");
    while (exporting->status == VIOS_OK && got > 0) {
        got = bundle_read(reader, data, COPY_SIZE, why);
        if (got > 0) {
            exporting->status =
                bundle_add_data(exporting->writer, data, (size_t)got, exporting->error);
        }
    }
    free(data);
    exporting->result->files++;
    return got < 0 ? (int)got : VIOS_OK;
}

static int copy_members(struct exporting *exporting, struct bundle_reader *reader, const char *node,
                        struct vios_error *why)
{
    struct bundle_member member;
    int status = 1;
    while (exporting->status == VIOS_OK && (status = bundle_next(reader, &member, why)) == 1) {
        char name[BUNDLE_NAME_SIZE + NAME_MAX_LENGTH + 2];
        snprintf(name, sizeof name, "%s/%s", node, member.name);
        if (!bundle_name_is_valid(name)) {
            return error_set(why, VIOS_E_CORRUPT, NULL, NULL, "it has a name that no bundle has");
        }
        status = exporting->redactor ? copy_redacted(exporting, reader, &member, node, name, why)
                                     : copy_plain(exporting, reader, &member, name, why);
        if (status != VIOS_OK) {
            return status;
        }
    }
    return status < 0 ? status : VIOS_OK;
}

static void copy_bundle(void *context, const char *node, int fd)
{
    struct exporting *exporting = context;
    struct bundle_reader *reader = NULL;
    struct vios_error why = {0};
    if (exporting->status != VIOS_OK) {
        return;
    }
    int status = bundle_open(&reader, fd, &why);
    if (status == VIOS_OK) {
        status = copy_members(exporting, reader, node, &why);
    }
    if (status != VIOS_OK) {
        exporting->result->damaged++;
        note(exporting, node, NULL, why.message);
    }
    bundle_close(reader);
}

static int add_manifest(struct exporting *exporting, const struct reader_places *places,
                        const char *correlator)
{
    struct manifest *manifest = malloc(sizeof *manifest);
    struct vios_error why = {0};
    char *text = NULL;
    int status = VIOS_OK;
    if (!manifest || reader_manifest(places, correlator, manifest, &why) != VIOS_OK) {
        note(exporting, MANIFEST_NAME, NULL, why.message);
    } else if ((text = manifest_format(manifest)) != NULL) {
        status = exporting->redactor ? add_redacted(exporting, MANIFEST_NAME, text, strlen(text))
                                     : bundle_add(exporting->writer, MANIFEST_NAME, text,
                                                  strlen(text), exporting->error);
        exporting->result->files++;
    }
    free(text);
    free(manifest);
    return status;
}

/* --- the archive --- */

static int write_all(struct exporting *exporting, const struct reader_places *places,
                     const char *correlator)
{
    if (exporting->redactor) {
        reader_each_bundle(places, correlator, gather_names, exporting);
    }
    exporting->status = add_manifest(exporting, places, correlator);
    size_t bundles = reader_each_bundle(places, correlator, copy_bundle, exporting);
    if (exporting->status == VIOS_OK && bundles == 0) {
        char object[96];
        snprintf(object, sizeof object, "incident \"%.31s\"", correlator);
        return error_set(exporting->error, VIOS_E_NOT_FOUND, object,
                         "see \"vios ffdc list\", or give --dir", "there are no bundles of it");
    }
    return exporting->status;
}

static int write_archive(struct exporting *exporting, const struct reader_places *places,
                         const char *correlator, int folder_fd, const char *name)
{
    struct stat info;
    int status = bundle_create(&exporting->writer, folder_fd, name, exporting->error);
    if (status != VIOS_OK) {
        return status;
    }
    status = write_all(exporting, places, correlator);
    if (status != VIOS_OK) {
        bundle_abandon(exporting->writer);
        return status;
    }
    status = bundle_finish(exporting->writer, exporting->error);
    if (status == VIOS_OK && fstatat(folder_fd, name, &info, 0) == 0) {
        exporting->result->size_bytes = (uint64_t)info.st_size;
    }
    return status;
}

int export_run(const struct reader_places *places, const char *correlator, const char *path,
               bool redact, void (*note_to)(void *context, const char *text), void *context,
               struct export_result *result, struct vios_error *error)
{
    struct exporting exporting = {
        .result = result, .note = note_to, .context = context, .error = error};
    char folder[PATH_MAX], name[PATH_MAX];
    memset(result, 0, sizeof *result);
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(name, sizeof name, "%s", path);
    if (access(path, F_OK) == 0) {
        return error_set(error, VIOS_E_EXISTS, path, "give another name", "it is there already");
    }
    exporting.redactor = redact ? redactor_new() : NULL;
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = redact && !exporting.redactor ? error_no_memory(error, NULL)
                 : fd < 0                      ? error_set_errno(error, path, "no such folder")
                          : write_archive(&exporting, places, correlator, fd, basename(name));
    if (fd >= 0) {
        close(fd);
    }
    redactor_free(exporting.redactor);
    return status;
}
