/* Proves: a file is replaced whole or not at all, and durably; reading is bounded, and a tree is
 * removed without following links. */
#include "base/file.h"
#include "tests/synced.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct vios_error error;
static int folder_fd;

static int count_entries(void)
{
    int count = 0;
    DIR *folder = opendir(tap_folder());
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

static void replaces_whole_files(void)
{
    char *data = NULL;
    size_t size = 0;
    struct stat status;
    is_int(file_replace(folder_fd, "f", "one", 3, 0640, &error), VIOS_OK);
    is_int(file_replace(folder_fd, "f", "second", 6, 0600, &error), VIOS_OK);
    is_int(file_read(folder_fd, "f", 100, &data, &size, &error), VIOS_OK);
    is_text(data, "second");
    is_int(size, 6);
    is_int(fstatat(folder_fd, "f", &status, 0), 0);
    is_int(status.st_mode & 0777, 0600);
    is_int(count_entries(), 1);
    free(data);
}

static void what_has_the_name_is_on_the_disk(void)
{
    synced_begin(tap_folder());
    is_int(file_replace(folder_fd, "f", "third", 5, 0600, &error), VIOS_OK);
    is_text(synced(), "temporary rename:f folder");
}

static void leaves_nothing_when_it_cannot(void)
{
    is_int(mkdirat(folder_fd, "taken", 0700), 0);
    int before = count_entries();
    ok(file_replace(folder_fd, "taken", "x", 1, 0600, &error) != VIOS_OK, "a folder is replaced");
    ok(error.object[0] && error.message[0], "%s: %s", error.object, error.message);
    is_int(count_entries(), before);
    is_int(unlinkat(folder_fd, "taken", AT_REMOVEDIR), 0);
    ok(file_replace(-1, "x", "x", 1, 0600, &error) != VIOS_OK, "no folder");
    char name[300];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    ok(file_replace(folder_fd, name, "x", 1, 0600, &error) != VIOS_OK, "a name too long");
}

static void bounds_reading(void)
{
    char *data = NULL;
    size_t size = 0;
    is_int(file_replace(folder_fd, "f", "12345678", 8, 0600, &error), VIOS_OK);
    is_int(file_read(folder_fd, "f", 8, &data, &size, &error), VIOS_OK);
    free(data);
    ok(file_read(folder_fd, "f", 7, &data, &size, &error) != VIOS_OK, "above its limit");
    ok(strstr(error.message, "7 bytes") != NULL, "%s", error.message);
    is_int(file_read(folder_fd, "absent", 7, &data, &size, &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "absent");
    ok(file_read(folder_fd, ".", 7, &data, &size, &error) != VIOS_OK, "a folder");
}

static void makes_folders(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/a/b/c", tap_folder());
    is_int(file_make_folders(path, 0700, &error), VIOS_OK);
    is_int(file_make_folders(path, 0700, &error), VIOS_OK);
    snprintf(path, sizeof path, "%s/f/x", tap_folder());
    ok(file_make_folders(path, 0700, &error) != VIOS_OK, "below a file");
    snprintf(path, sizeof path, "%s/f", tap_folder());
    ok(file_make_folders(path, 0700, &error) != VIOS_OK, "in place of a file");
    ok(error.message[0], "has a reason");
}

static void removes_trees_but_not_what_links_point_to(void)
{
    char path[256], kept[256];
    snprintf(path, sizeof path, "%s/a", tap_folder());
    snprintf(kept, sizeof kept, "%s/kept", tap_folder());
    is_int(mkdir(kept, 0700), 0);
    int fd = openat(folder_fd, "kept/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ok(fd >= 0, "kept/file is made");
    close(fd);
    is_int(symlinkat(kept, folder_fd, "a/b/link"), 0);
    is_int(file_remove_tree(path, &error), VIOS_OK);
    is_int(access(path, F_OK), -1);
    snprintf(kept, sizeof kept, "%s/kept/file", tap_folder());
    is_int(access(kept, F_OK), 0);
    is_int(file_remove_tree(path, &error), VIOS_OK);
}

static void writes_all(void)
{
    int pipes[2];
    char data[8] = "";
    is_int(pipe(pipes), 0);
    is_int(file_write_all(pipes[1], "abcd", 4, &error), VIOS_OK);
    close(pipes[1]);
    is_int(read(pipes[0], data, sizeof data), 4);
    is_text(data, "abcd");
    close(pipes[0]);
    is_int(file_write_all(-1, data, 3, &error), VIOS_E_SYSTEM);
    ok(strstr(error.message, "Bad file descriptor") != NULL, "%s", error.message);
}

int main(void)
{
    folder_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RUN(replaces_whole_files);
    RUN(what_has_the_name_is_on_the_disk);
    RUN(leaves_nothing_when_it_cannot);
    RUN(bounds_reading);
    RUN(makes_folders);
    RUN(removes_trees_but_not_what_links_point_to);
    RUN(writes_all);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
