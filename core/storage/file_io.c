/*
 * file_io.c - reads, writes, holes. Data buffers are the server's and aligned to pages, offsets and
 * lengths to the export's minimum block, so that O_DIRECT needs no bouncing.
 */
#include "storage/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#define ZEROES_SIZE (64u * 1024)

static const uint8_t zeroes[ZEROES_SIZE] __attribute__((aligned(4096)));

static int read_all(int fd, uint8_t *data, uint64_t offset, uint32_t length)
{
    while (length > 0) {
        ssize_t got = pread(fd, data, length, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : EIO; /* the file was cut under us */
        }
        data += got;
        offset += (uint64_t)got;
        length -= (uint32_t)got;
    }
    return 0;
}

static int write_all(int fd, const uint8_t *data, uint64_t offset, uint32_t length)
{
    while (length > 0) {
        ssize_t put = pwrite(fd, data, length, (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : EIO;
        }
        data += put;
        offset += (uint64_t)put;
        length -= (uint32_t)put;
    }
    return 0;
}

static int write_zeroes(int fd, uint64_t offset, uint32_t length)
{
    while (length > 0) {
        uint32_t now = length < ZEROES_SIZE ? length : ZEROES_SIZE;
        int error = write_all(fd, zeroes, offset, now);
        if (error) {
            return error;
        }
        offset += now;
        length -= now;
    }
    return 0;
}

static int allocate(int fd, int mode, const struct nbd_request *request)
{
    int status;
    do {
        status = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)request->offset,
                           (off_t)request->length);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

static bool cannot(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV;
}

static int zero(int fd, const struct nbd_request *request)
{
    bool keep = request->flags & NBD_FLAG_NO_HOLE;
    int error = allocate(fd, keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE, request);
    return cannot(error) ? write_zeroes(fd, request->offset, request->length) : error;
}

static int trim(int fd, const struct nbd_request *request)
{
    int error = allocate(fd, FALLOC_FL_PUNCH_HOLE, request);
    return cannot(error) ? 0 : error; /* a hint */
}

/* Whole blocks within [start, end) of the request's range are holes. */
static void mark(struct nbd_request *request, uint64_t start, uint64_t end)
{
    uint64_t first = request->offset / NBD_BLOCK;
    uint64_t range_end = request->offset + request->length;
    for (uint64_t block = (start + NBD_BLOCK - 1) / NBD_BLOCK;
         block * NBD_BLOCK < end && ((block + 1) * NBD_BLOCK <= end || end == range_end); block++) {
        uint64_t bit = block - first;
        request->holes[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
}

static int block_status(int fd, struct nbd_request *request)
{
    uint64_t at = request->offset, end = request->offset + request->length;
    while (at < end) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA);
        if (data < 0 && errno != ENXIO) {
            return errno == EINVAL ? 0 : errno; /* no such seeking here: all is data */
        }
        uint64_t hole_end = data < 0 || (uint64_t)data > end ? end : (uint64_t)data;
        mark(request, at, hole_end);
        if (hole_end == end) {
            break;
        }
        off_t hole = lseek(fd, (off_t)hole_end, SEEK_HOLE);
        if (hole < 0) {
            return errno;
        }
        at = (uint64_t)hole;
    }
    return 0;
}

static int run(int fd, struct nbd_request *request)
{
    switch (request->command) {
    case NBD_READ:
        return read_all(fd, request->data, request->offset, request->length);
    case NBD_WRITE:
        return write_all(fd, request->data, request->offset, request->length);
    case NBD_TRIM:
        return trim(fd, request);
    case NBD_WRITE_ZEROES:
        return zero(fd, request);
    case NBD_BLOCK_STATUS:
        return block_status(fd, request);
    case NBD_FLUSH:
        return 0;
    default:
        return EINVAL;
    }
}

int file_io_run(int fd, struct nbd_request *request)
{
    int error = run(fd, request);
    bool sync = request->command == NBD_FLUSH || (request->flags & NBD_FLAG_FUA);
    bool changes = request->command != NBD_READ && request->command != NBD_BLOCK_STATUS;
    if (!error && sync && changes && fdatasync(fd) != 0) {
        return errno == EROFS || errno == EINVAL ? 0 : errno; /* nothing there to be synced */
    }
    return error;
}

uint32_t file_io_alignment(int fd)
{
    void *block = NULL;
    if (posix_memalign(&block, NBD_BLOCK, NBD_BLOCK) != 0) {
        return NBD_BLOCK;
    }
    ssize_t got = pread(fd, block, 512, 512);
    free(block);
    return got >= 0 ? 512 : NBD_BLOCK;
}
