/* disks.c - see disks.h. */
#include "lpar/disks.h"

#include "storage/lu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(const struct node *node, const struct lu *lu, bool read_only,
                      struct vios_error *error)
{
    char path[PATH_MAX], object[96];
    struct stat file;
    int status = lu_path(node, lu, path, error);
    if (status < 0) {
        return status;
    }
    /* O_NONBLOCK: a FIFO must not hang us. */
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return error_set(error, VIOS_E_INVALID, lu_object(lu->name, object),
                         "see pool list there, or start it on another node",
                         "its file cannot be opened in pool \"%s\" on node \"%s\": %s", lu->pool,
                         node->name, strerror(errno));
    }
    bool regular = fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    close(fd);
    return regular ? VIOS_OK
                   : error_set(error, VIOS_E_INVALID, lu_object(lu->name, object), NULL,
                               "what is in the place of its file in pool \"%s\" on node \"%s\" is "
                               "no regular file",
                               lu->pool, node->name);
}

/* An LU of a record that was written without its LPAR's name is nobody else's. */
static int check_disk(struct node *node, struct store *store, const struct lpar *lpar,
                      const struct lpar_disk *disk, struct operation *operation)
{
    struct lu lu;
    char object[96];
    int status = lu_load(store, disk->lu, &lu, NULL, operation);
    if (status == VIOS_E_NOT_FOUND || (status == VIOS_OK && lu.state != LU_READY)) {
        return operation_fail(operation, VIOS_E_NOT_FOUND, lpar_object(lpar->name, object),
                              "see lpar show", "its %s is gone: there is no LU %s", disk->id,
                              disk->lu);
    }
    if (status == VIOS_OK && lu.lpar[0] && strcmp(lu.lpar, lpar->name) != 0) {
        return operation_fail(operation, VIOS_E_CONFLICT, lu_object(lu.name, object), NULL,
                              "it is a disk of lpar \"%s\"", lu.lpar);
    }
    return status == VIOS_OK ? check_file(node, &lu, disk->read_only, &operation->error) : status;
}

int disks_check(struct node *node, struct store *store, const struct lpar *lpar,
                struct operation *operation)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        if (lpar->disks[i].lu[0]) {
            status = check_disk(node, store, lpar, &lpar->disks[i], operation);
        }
    }
    return status;
}

int disks_check_free(struct store *store, const struct lpar *lpar, struct operation *operation)
{
    struct lu lu;
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        if (lpar->disks[i].lu[0]) {
            status = lu_load(store, lpar->disks[i].lu, &lu, NULL, operation);
            if (status == VIOS_OK) {
                status = lu_check_lock(&lu, NULL, &operation->error);
            }
        }
    }
    return status;
}
