/* sqlite_file.c - which files may hold a store: local ones, and never a new one in the place
 * of one that was lost. */
#include "store/sqlite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int (*sqlite_file_statfs)(const char *path, struct statfs *result) = statfs;

static const struct {
    unsigned long type;
    const char *name;
} NETWORK_TYPES[] = {
    {0x6969, "NFS"},        {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB2"},   {0x517b, "SMB"},
    {0x00c36400, "CephFS"}, {0x01021997, "9p"},
    {0x5346414f, "AFS"},    {0x0bd00bd0, "Lustre"},
    {0x01161970, "GFS2"},   {0x7461636f, "OCFS2"},
    {0x47504653, "GPFS"},   {0x73757245, "Coda"},
    {0x19830326, "BeeGFS"}, {0x65735546, "FUSE (which may be a network file system)"},
};

const char *sqlite_file_network_name(long type)
{
    for (size_t i = 0; i < sizeof NETWORK_TYPES / sizeof NETWORK_TYPES[0]; i++) {
        if (NETWORK_TYPES[i].type == ((unsigned long)type & 0xffffffff)) {
            return NETWORK_TYPES[i].name;
        }
    }
    return NULL;
}

static int refuse_network(const char *path, struct operation *operation)
{
    char folder[PATH_MAX];
    struct statfs result;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        slash[slash == folder ? 1 : 0] = '\0';
    } else {
        snprintf(folder, sizeof folder, ".");
    }
    if (sqlite_file_statfs(path, &result) != 0 && sqlite_file_statfs(folder, &result) != 0) {
        return error_set_errno(&operation->error, path, "folder of the store");
    }
    const char *name = sqlite_file_network_name((long)result.f_type);
    if (name) {
        return operation_fail(operation, VIOS_E_INVALID, path,
                              "put it on a local disk; nodes on other machines need etcd",
                              "the store's file lies on %s", name);
    }
    return VIOS_OK;
}

/* The folder of the watches appears only after the file was made whole. */
static bool was_in_use(const char *path)
{
    char folder[PATH_MAX];
    struct stat status;
    int length = snprintf(folder, sizeof folder, "%s.watch", path);
    return length < (int)sizeof folder && stat(folder, &status) == 0;
}

int sqlite_file_inspect(const char *path, enum sqlite_file *found, struct operation *operation)
{
    struct stat status;
    if (strlen(path) >= PATH_MAX - 16 || !path[0]) {
        return operation_fail(operation, VIOS_E_USAGE, "store", "use sqlite:/path/to/file",
                              "the path is empty or too long");
    }
    int refused = refuse_network(path, operation);
    if (refused != VIOS_OK) {
        return refused;
    }
    if (stat(path, &status) == 0) {
        *found = status.st_size == 0 ? SQLITE_FILE_EMPTY : SQLITE_FILE_THERE;
    } else if (errno == ENOENT) {
        *found = SQLITE_FILE_ABSENT;
    } else {
        return error_set_errno(&operation->error, path, "file of the store");
    }
    if (*found != SQLITE_FILE_ABSENT && !S_ISREG(status.st_mode)) {
        return operation_fail(operation, VIOS_E_INVALID, path, NULL, "not a plain file");
    }
    if (*found != SQLITE_FILE_THERE && was_in_use(path)) {
        return operation_fail(operation, VIOS_E_CORRUPT, path,
                              "vios db restore FILE, or remove the folder *.watch beside it to "
                              "begin anew",
                              "the store's file is %s although it was in use",
                              *found == SQLITE_FILE_EMPTY ? "empty" : "gone");
    }
    return VIOS_OK;
}
