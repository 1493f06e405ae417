/*
 * history.c - the history file.
 *
 * Shells only append, each under the lock, and remember how far they have read: so each sees
 * the others' lines in one order and nobody overwrites anybody. Trimming writes a new file and
 * renames it, under the same lock, which is a file of its own for that reason; a shell that
 * finds another inode has seen all of what is in it but the end.
 */
#include "shell/history.h"

#include "base/file.h"
#include "net/token.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct shell_history {
    int folder_fd;
    off_t offset; /* read so far */
    ino_t inode;  /* of the file that `offset` is in; 0: none yet */
};

#define HISTORY_NAME "history"
#define LOCK_NAME "history.lock"
#define HISTORY_BYTES_MAX (64 * 1024 * 1024)

static int state_folder(char *path, size_t size, struct vios_error *error)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int used;
    if (state && state[0] == '/') {
        used = snprintf(path, size, "%s/vios", state);
    } else if (home && home[0] == '/') {
        used = snprintf(path, size, "%s/.local/state/vios", home);
    } else {
        return error_set(error, VIOS_E_NOT_FOUND, "history", "set HOME or XDG_STATE_HOME",
                         "there is no folder to keep it in");
    }
    if (used < 0 || (size_t)used >= size) {
        return error_set(error, VIOS_E_USAGE, "history", NULL,
                         "the path of its folder is too long");
    }
    return VIOS_OK;
}

int shell_history_open(struct shell_history **history, struct vios_error *error)
{
    char path[PATH_MAX];
    int status = state_folder(path, sizeof path, error);
    if (status == VIOS_OK) {
        status = file_make_folders(path, 0700, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return error_set_errno(error, path, "cannot be opened");
    }
    *history = calloc(1, sizeof **history);
    if (!*history) {
        close(folder_fd);
        return error_no_memory(error, NULL);
    }
    (*history)->folder_fd = folder_fd;
    return VIOS_OK;
}

void shell_history_free(struct shell_history *history)
{
    if (history) {
        close(history->folder_fd);
        free(history);
    }
}

bool shell_history_keeps(const char *line)
{
    static const char *const secrets[] = {"password", "passwd", "passphrase", "secret",
                                          "--token",  "token=", TOKEN_PREFIX};
    if (line[0] == '\0' || isspace((unsigned char)line[0]) ||
        strlen(line) > SHELL_HISTORY_ENTRY_MAX) {
        return false;
    }
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (strcasestr(line, secrets[i])) {
            return false;
        }
    }
    return true;
}

static int lock(struct shell_history *history, struct vios_error *error)
{
    int fd = openat(history->folder_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(error, LOCK_NAME, "cannot be opened");
    }
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            int status = error_set_errno(error, LOCK_NAME, "cannot be locked");
            close(fd);
            return status;
        }
    }
    return fd;
}

/* In place: "\n" and "\\" become what they stand for. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (in[0] == '\\' && in[1]) {
            in++;
            *out++ = (char)(*in == 'n' ? '\n' : *in);
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
}

/* The line as it stands in the file, with its newline; NULL: no memory. */
static char *escape(const char *line)
{
    char *text = malloc(2 * strlen(line) + 2);
    char *out = text;
    for (const char *in = line; text && *in; in++) {
        if (*in == '\n' || *in == '\\') {
            *out++ = '\\';
        }
        *out++ = (char)(*in == '\n' ? 'n' : *in);
    }
    if (text) {
        *out++ = '\n';
        *out = '\0';
    }
    return text;
}

/* Writes the last SHELL_HISTORY_MAX of `count` lines to a new file in place of the old. */
static int trim(struct shell_history *history, const char *data, size_t size, size_t count,
                struct vios_error *error)
{
    const char *from = data;
    for (size_t drop = count - SHELL_HISTORY_MAX; drop > 0; drop--) {
        const char *end = memchr(from, '\n', size - (size_t)(from - data));
        from = end + 1;
    }
    return file_replace(history->folder_fd, HISTORY_NAME, from, size - (size_t)(from - data), 0600,
                        error);
}

static size_t count_lines(const char *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        count += data[i] == '\n';
    }
    return count;
}

/* Where the unread part of `data` begins, the file being `info`. */
static size_t unread_from(const struct shell_history *history, const struct stat *info, size_t size)
{
    if (history->inode == 0) {
        return 0;
    }
    bool same = history->inode == info->st_ino && (size_t)history->offset <= size;
    return same ? (size_t)history->offset : size;
}

static int read_locked(struct shell_history *history, shell_history_each *each, void *context,
                       struct vios_error *error)
{
    char *data;
    size_t size;
    struct stat info;
    if (fstatat(history->folder_fd, HISTORY_NAME, &info, 0) != 0) {
        return errno == ENOENT ? VIOS_OK : error_set_errno(error, HISTORY_NAME, "cannot be read");
    }
    int status =
        file_read(history->folder_fd, HISTORY_NAME, HISTORY_BYTES_MAX, &data, &size, error);
    if (status != VIOS_OK) {
        return status;
    }
    size_t from = unread_from(history, &info, size);
    size_t count = count_lines(data, size);
    if (count > 2 * SHELL_HISTORY_MAX) {
        status = trim(history, data, size, count, error);
        if (status == VIOS_OK && fstatat(history->folder_fd, HISTORY_NAME, &info, 0) != 0) {
            status = error_set_errno(error, HISTORY_NAME, "cannot be read");
        }
    }
    history->inode = info.st_ino;
    history->offset = info.st_size;
    for (char *line = data + from; line < data + size;) {
        char *end = memchr(line, '\n', size - (size_t)(line - data));
        if (!end) {
            break;
        }
        *end = '\0';
        unescape(line);
        if (each && *line) {
            each(context, line);
        }
        line = end + 1;
    }
    free(data);
    return status;
}

int shell_history_read(struct shell_history *history, shell_history_each *each, void *context,
                       struct vios_error *error)
{
    int lock_fd = lock(history, error);
    if (lock_fd < 0) {
        return lock_fd;
    }
    int status = read_locked(history, each, context, error);
    close(lock_fd);
    return status;
}

static int append(struct shell_history *history, const char *line, struct vios_error *error)
{
    int fd =
        openat(history->folder_fd, HISTORY_NAME, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(error, HISTORY_NAME, "cannot be written");
    }
    char *text = escape(line);
    int status =
        text ? file_write_all(fd, text, strlen(text), error) : error_no_memory(error, NULL);
    struct stat info;
    if (fstat(fd, &info) == 0) {
        history->inode = info.st_ino;
        history->offset = info.st_size;
    }
    free(text);
    close(fd);
    return status;
}

int shell_history_add(struct shell_history *history, const char *line, shell_history_each *each,
                      void *context, struct vios_error *error)
{
    int lock_fd = lock(history, error);
    if (lock_fd < 0) {
        return lock_fd;
    }
    int status = read_locked(history, each, context, error);
    if (status == VIOS_OK) {
        status = append(history, line, error);
    }
    close(lock_fd);
    return status;
}
