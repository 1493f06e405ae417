/* manifest.c - see manifest.h. */
#include "image/manifest.h"

#include "base/file.h"
#include "image/file_digest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

int manifest_parse_line(const char *line, char algorithm[16], char name[MEMBER_NAME_SIZE],
                        char hex[129], struct vios_error *error)
{
    int end = 0;
    char shown[MEMBER_SHOWN_SIZE];
    int got = sscanf(line, "%15[A-Za-z0-9-] (%127[^)]) = %128[0-9a-fA-F] %n", algorithm, name, hex,
                     &end); /* a space in it stands for any number of them, or none */
    if (got != 3 || end == 0 || line[end] || member_check_name(name, NULL) < 0) {
        return error_set(error, VIOS_E_INVALID, "manifest", "bring the archive there again",
                         "it has a line that is none: \"%.100s\"", member_show(line, shown));
    }
    return VIOS_OK;
}

static int check_file(int folder_fd, const char *algorithm, const char *name, const char *hex,
                      const struct copy_progress *progress, struct operation *operation)
{
    char found[FILE_DIGEST_TEXT] = "", object[96];
    snprintf(object, sizeof object, "archive member \"%.70s\"", name);
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return operation_fail(operation, VIOS_E_CORRUPT, object, "bring the archive there again",
                              "the manifest names it, and it is not there");
    }
    int status = file_digest(fd, algorithm, found, progress, operation);
    close(fd);
    if (status == VIOS_OK && strcasecmp(found, hex) != 0) {
        status = operation_fail(operation, VIOS_E_CORRUPT, object, "bring the archive there again",
                                "its %s is not what the manifest says", algorithm);
    }
    return status;
}

static int check_lines(int folder_fd, char *text, const struct copy_progress *progress,
                       struct operation *operation)
{
    char algorithm[16], name[MEMBER_NAME_SIZE], hex[129], *line;
    int status = VIOS_OK;
    while (status == VIOS_OK && (line = strsep(&text, "\n")) != NULL) {
        line[strcspn(line, "\r")] = 0;
        if (line[0]) {
            status = manifest_parse_line(line, algorithm, name, hex, &operation->error);
            if (status == VIOS_OK) {
                status = check_file(folder_fd, algorithm, name, hex, progress, operation);
            }
        }
    }
    return status;
}

int manifest_check(int folder_fd, const struct copy_progress *progress, struct operation *operation)
{
    char manifest[MEMBER_NAME_SIZE], *text = NULL;
    size_t size;
    int status = unpack_find_manifest(folder_fd, manifest, &operation->error);
    if (status < 0 || !manifest[0]) {
        return status;
    }
    status = file_read(folder_fd, manifest, MANIFEST_SIZE_MAX, &text, &size, &operation->error);
    if (status == VIOS_OK && strlen(text) != size) {
        status = operation_fail(operation, VIOS_E_INVALID, "manifest",
                                "bring the archive there again", "it is no text");
    }
    if (status == VIOS_OK) {
        status = check_lines(folder_fd, text, progress, operation);
    }
    free(text);
    return status;
}
