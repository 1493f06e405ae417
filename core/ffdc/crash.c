/* crash.c - see crash.h. */
#include "ffdc/crash.h"

#include "base/backtrace.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "ffdc/collectors.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "running"
#define MARK_MAX 4096
#define RECORDER "recorder"
#define RECORDER_MAX (64 << 20) /* bytes */
#define REBOOTED "rebooted"     /* in STATE_DIR: the copy is of a daemon of another boot */

static void read_boot_id(char text[UUID_TEXT_SIZE])
{
    char *data = NULL;
    size_t size;
    text[0] = 0;
    if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &data, &size, NULL) == VIOS_OK) {
        snprintf(text, UUID_TEXT_SIZE, "%.36s", data);
    }
    free(data);
}

/* Whether there is a mark, and of which boot. */
static bool read_mark(int state_dir_fd, char boot_id[UUID_TEXT_SIZE])
{
    char *data = NULL;
    size_t size = 0;
    boot_id[0] = 0;
    if (file_read(state_dir_fd, MARK, MARK_MAX, &data, &size, NULL) == VIOS_E_NOT_FOUND) {
        return false;
    }
    json_t *json = data ? json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_read_text(json, "boot_id", boot_id, UUID_TEXT_SIZE);
    json_decref(json);
    free(data);
    return true;
}

static int copy_recorder(int state_dir_fd, bool rebooted, struct vios_error *error)
{
    char *data = NULL;
    size_t size;
    if (faccessat(state_dir_fd, COLLECTOR_CRASHED, F_OK, 0) == 0) {
        return VIOS_OK;
    }
    int status = file_read(state_dir_fd, RECORDER, RECORDER_MAX, &data, &size, error);
    if (status == VIOS_OK) {
        status = file_replace(state_dir_fd, COLLECTOR_CRASHED, data, size, 0600, error);
    }
    if (status == VIOS_OK && rebooted) {
        status = file_replace(state_dir_fd, REBOOTED, "", 0, 0600, error);
    } else {
        unlinkat(state_dir_fd, REBOOTED, 0);
    }
    free(data);
    return status;
}

static int put_mark(int state_dir_fd, const char *boot_id, struct vios_error *error)
{
    char text[128];
    int length = snprintf(text, sizeof text, "{\"v\":1,\"boot_id\":\"%s\",\"pid\":%ld}\n", boot_id,
                          (long)getpid());
    return file_replace(state_dir_fd, MARK, text, (size_t)length, 0600, error);
}

/* It died of a signal, maybe when its mark was gone already. */
static bool left_backtrace(int state_dir_fd)
{
    struct stat info;
    return fstatat(state_dir_fd, BACKTRACE_DAEMON, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           info.st_size > 0;
}

int crash_look(int state_dir_fd, const char *state_dir, struct vios_error *error)
{
    char before[UUID_TEXT_SIZE], boot_id[UUID_TEXT_SIZE];
    struct vios_error copying;
    read_boot_id(boot_id);
    bool marked = read_mark(state_dir_fd, before);
    if (marked || left_backtrace(state_dir_fd)) {
        bool rebooted = marked && strcmp(before, boot_id) != 0;
        log_warning("ffdc", "the daemon before this one did not end by itself%s",
                    rebooted ? ", on another boot" : "");
        if (copy_recorder(state_dir_fd, rebooted, &copying) != VIOS_OK) {
            log_warning("ffdc", "its flight recorder in %s is not kept: %s", state_dir,
                        copying.message);
        }
    }
    return put_mark(state_dir_fd, boot_id, error);
}

void crash_end(int state_dir_fd)
{
    unlinkat(state_dir_fd, MARK, 0);
}

static void take_part(void *context, const struct recorder_entry *entry)
{
    memcpy(context, entry->part, sizeof entry->part);
}

bool crash_signal(struct node *node, char signature[MANIFEST_SIGNATURE_SIZE], const char **trigger)
{
    char path[PATH_MAX + 32], part[sizeof((struct recorder_entry *)0)->part] = "";
    if (faccessat(node->state_dir_fd, COLLECTOR_CRASHED, F_OK, 0) != 0) {
        return false;
    }
    snprintf(path, sizeof path, "%s/" COLLECTOR_CRASHED, node->state_dir);
    if (recorder_read(path, take_part, part, NULL) != VIOS_OK) {
        snprintf(part, sizeof part, "unreadable");
    }
    bool rebooted = faccessat(node->state_dir_fd, REBOOTED, F_OK, 0) == 0;
    *trigger = rebooted ? "node crash" : "daemon crash";
    snprintf(signature, MANIFEST_SIGNATURE_SIZE, "%s on %s, last in %s", *trigger, node->name,
             part);
    return true;
}

/* The next incident is not to have it again. */
static void set_cores_aside(struct node *node)
{
    char name[NAME_MAX + 16];
    struct dirent *entry;
    DIR *folder = opendir(node->run_dir);
    while (folder && (entry = readdir(folder)) != NULL) {
        if (collector_is_core(entry->d_name)) {
            snprintf(name, sizeof name, "captured-%s", entry->d_name);
            renameat(dirfd(folder), entry->d_name, dirfd(folder), name);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

void crash_forget(struct node *node, const char *component)
{
    if (strcmp(component, CRASH_COMPONENT) == 0) {
        unlinkat(node->state_dir_fd, COLLECTOR_CRASHED, 0);
        unlinkat(node->state_dir_fd, BACKTRACE_DAEMON BACKTRACE_CRASHED, 0);
        set_cores_aside(node);
    } else if (strcmp(component, CRASH_COMPONENT_IO) == 0) {
        unlinkat(node->run_dir_fd, BACKTRACE_IO BACKTRACE_CRASHED, 0);
        set_cores_aside(node);
    }
}
