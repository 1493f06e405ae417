/*
 * synced.h - in which order a test program's files are synced and named. It has fsync(2),
 * fdatasync(2), renameat(2) and linkat(2) of its own, which do the same and note it:
 *
 *     synced_begin(folder);
 *     file_replace(...);
 *     is_text(synced(), "temporary rename:f folder");
 *
 * A word is the name of the file that was synced, "folder" for a folder, "temporary" for a name
 * that begins with a dot; only below `folder`, whose path has no links in it.
 */
#ifndef TESTS_SYNCED_H
#define TESTS_SYNCED_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t synced_lock = PTHREAD_MUTEX_INITIALIZER;
static char synced_below[128], synced_words[4096];

static void synced_note(const char *kind, const char *name)
{
    pthread_mutex_lock(&synced_lock);
    size_t used = strlen(synced_words);
    snprintf(synced_words + used, sizeof synced_words - used, "%s%s%s", used ? " " : "", kind,
             name[0] == '.' ? "temporary" : name);
    pthread_mutex_unlock(&synced_lock);
}

/* False when it is none of ours. */
static bool synced_path(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
    return synced_below[0] && strncmp(path, synced_below, strlen(synced_below)) == 0;
}

static void synced_file(int fd)
{
    char path[PATH_MAX];
    struct stat status;
    if (synced_path(fd, path) && fstat(fd, &status) == 0) {
        synced_note("", S_ISDIR(status.st_mode) ? "folder" : strrchr(path, '/') + 1);
    }
}

int fsync(int fd)
{
    synced_file(fd);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    synced_file(fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    char path[PATH_MAX];
    if (synced_path(to_fd, path)) {
        synced_note("rename:", to);
    }
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    char path[PATH_MAX];
    if (synced_path(to_fd, path)) {
        synced_note("link:", to);
    }
    return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

static void synced_begin(const char *folder)
{
    pthread_mutex_lock(&synced_lock);
    snprintf(synced_below, sizeof synced_below, "%s", folder);
    synced_words[0] = '\0';
    pthread_mutex_unlock(&synced_lock);
}

/* The words since then; the next synced_begin() writes over them. */
static const char *synced(void)
{
    return synced_words;
}

#endif
