/*
 * archives.h - archives made in memory for the tests of what reads them: good ones by libarchive's
 * write side, and a few that it would not write.
 */
#ifndef TESTS_UNIT_IMAGE_ARCHIVES_H
#define TESTS_UNIT_IMAGE_ARCHIVES_H

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARCHIVES_MAX ((size_t)1 << 20) /* bytes of one */

struct packed {
    struct archive *archive;
    char *data;
    size_t size;
};

/* `filter` is an ARCHIVE_FILTER_X; `format` an ARCHIVE_FORMAT_X. */
static inline void pack_begin(struct packed *packed, int format, int filter)
{
    packed->data = malloc(ARCHIVES_MAX);
    packed->archive = archive_write_new();
    packed->size = 0;
    assert(packed->data && packed->archive);
    assert(archive_write_set_format(packed->archive, format) == ARCHIVE_OK);
    assert(archive_write_add_filter(packed->archive, filter) == ARCHIVE_OK);
    archive_write_set_bytes_in_last_block(packed->archive, 1);
    assert(archive_write_open_memory(packed->archive, packed->data, ARCHIVES_MAX, &packed->size) ==
           ARCHIVE_OK);
}

/* `type` is an AE_IFX; `target` is where a link leads, a hard one for a regular file. */
static inline void pack_any(struct packed *packed, const char *name, unsigned type,
                            const char *target, const void *data, size_t size)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)size);
    if (target && type == AE_IFLNK) {
        archive_entry_set_symlink(entry, target);
    } else if (target) {
        archive_entry_set_hardlink(entry, target);
    }
    assert(archive_write_header(packed->archive, entry) >= ARCHIVE_WARN);
    assert(size == 0 || archive_write_data(packed->archive, data, size) == (la_ssize_t)size);
    archive_entry_free(entry);
}

static inline void pack_file(struct packed *packed, const char *name, const char *text)
{
    pack_any(packed, name, AE_IFREG, NULL, text, strlen(text));
}

/* A descriptor of these bytes. */
static inline int bytes_fd(const void *data, size_t size)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    return fd;
}

/* Ends it; `packed->data` is the caller's. */
static inline void pack_end(struct packed *packed)
{
    assert(archive_write_close(packed->archive) == ARCHIVE_OK);
    archive_write_free(packed->archive);
    packed->archive = NULL;
}

static inline int pack_fd(struct packed *packed)
{
    pack_end(packed);
    int fd = bytes_fd(packed->data, packed->size);
    free(packed->data);
    return fd;
}

/* A header of a tar (ustar) at `block`, 512 bytes, with what no good packer writes. */
static inline void tar_header(unsigned char *block, const char *name, uint64_t size, char type)
{
    unsigned sum = 0;
    memset(block, 0, 512);
    memcpy(block, name, strlen(name));
    memcpy(block + 100, "0000644", 8);
    memcpy(block + 108, "0000000", 8);
    memcpy(block + 116, "0000000", 8);
    block[124] = 0x80; /* the size in base 256 */
    for (int i = 0; i < 8; i++) {
        block[135 - i] = (unsigned char)(size >> (8 * i));
    }
    memcpy(block + 136, "00000000000", 12);
    block[156] = (unsigned char)type;
    memcpy(block + 257, "ustar\00000", 8);
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++) {
        sum += block[i];
    }
    for (int i = 5; i >= 0; i--, sum /= 8) {
        block[148 + i] = (unsigned char)('0' + sum % 8);
    }
    block[154] = 0;
}

#endif
