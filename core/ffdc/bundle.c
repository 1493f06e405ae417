/* bundle.c - see bundle.h. */
#include "ffdc/bundle.h"

#include "net/crypto.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COPY_SIZE ((size_t)64 * 1024)
#define OBJECT "bundle"
#define DAMAGED_HINT "use those of the other nodes"

static bool is_part(const char *text, size_t length)
{
    static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    return length > 0 && text[0] != '.' && strspn(text, ALLOWED) >= length;
}

bool bundle_name_is_valid(const char *name)
{
    size_t length = strlen(name), first = strcspn(name, "/");
    if (length >= BUNDLE_NAME_SIZE || !is_part(name, first)) {
        return false;
    }
    return first == length || is_part(name + first + 1, length - first - 1);
}

/* --- writing --- */

struct bundle_writer {
    struct archive *archive;
    int fd;
    int folder_fd; /* the caller's */
    char name[NAME_MAX + 1];
    char temporary[NAME_MAX + 1];
};

static int cannot_write(struct bundle_writer *writer, struct vios_error *error)
{
    int number = archive_errno(writer->archive);
    const char *why = archive_error_string(writer->archive);
    return error_set(error, number == ENOSPC || number == EDQUOT ? VIOS_E_NO_SPACE : VIOS_E_IO,
                     OBJECT, NULL, "cannot write %s: %.200s", writer->name, why ? why : "?");
}

void bundle_abandon(struct bundle_writer *writer)
{
    if (!writer) {
        return;
    }
    archive_write_free(writer->archive);
    if (writer->fd >= 0) {
        close(writer->fd);
        unlinkat(writer->folder_fd, writer->temporary, 0);
    }
    free(writer);
}

static bool begin_archive(struct bundle_writer *writer)
{
    writer->archive = archive_write_new();
    return writer->archive && archive_write_set_format_ustar(writer->archive) == ARCHIVE_OK &&
           archive_write_add_filter_zstd(writer->archive) == ARCHIVE_OK &&
           archive_write_open_fd(writer->archive, writer->fd) == ARCHIVE_OK;
}

int bundle_create(struct bundle_writer **writer, int folder_fd, const char *name,
                  struct vios_error *error)
{
    struct bundle_writer *made = calloc(1, sizeof *made);
    *writer = NULL;
    if (!made) {
        return error_no_memory(error, OBJECT);
    }
    made->folder_fd = folder_fd;
    snprintf(made->name, sizeof made->name, "%s", name);
    snprintf(made->temporary, sizeof made->temporary, ".%.200s.tmp", name);
    unlinkat(folder_fd, made->temporary, 0); /* of a daemon that was killed */
    made->fd = openat(folder_fd, made->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made->fd < 0) {
        int status = error_set_errno(error, name, "cannot be made");
        bundle_abandon(made);
        return status;
    }
    if (!begin_archive(made)) {
        bundle_abandon(made);
        return error_no_memory(error, OBJECT);
    }
    *writer = made;
    return VIOS_OK;
}

int bundle_add_begin(struct bundle_writer *writer, const char *name, uint64_t size,
                     struct vios_error *error)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry) {
        return error_no_memory(error, OBJECT);
    }
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_mtime(entry, time(NULL), 0);
    int status = archive_write_header(writer->archive, entry) == ARCHIVE_OK
                     ? VIOS_OK
                     : cannot_write(writer, error);
    archive_entry_free(entry);
    return status;
}

int bundle_add_data(struct bundle_writer *writer, const void *data, size_t size,
                    struct vios_error *error)
{
    return archive_write_data(writer->archive, data, size) == (la_ssize_t)size
               ? VIOS_OK
               : cannot_write(writer, error);
}

int bundle_add(struct bundle_writer *writer, const char *name, const void *data, size_t size,
               struct vios_error *error)
{
    int status = bundle_add_begin(writer, name, size, error);
    return status == VIOS_OK && size > 0 ? bundle_add_data(writer, data, size, error) : status;
}

int bundle_add_file(struct bundle_writer *writer, const char *name, int fd, uint64_t size,
                    struct vios_error *error)
{
    char *data = malloc(COPY_SIZE);
    uint64_t done = 0;
    int status =
        data ? bundle_add_begin(writer, name, size, error) : error_no_memory(error, OBJECT);
    while (status == VIOS_OK && done < size) {
        size_t want = size - done < COPY_SIZE ? (size_t)(size - done) : COPY_SIZE;
        ssize_t got = pread(fd, data, want, (off_t)done);
        if (got <= 0) {
            status = error_set_errno(error, name, "cannot read what was collected");
        } else {
            status = bundle_add_data(writer, data, (size_t)got, error);
            done += (uint64_t)got;
        }
    }
    free(data);
    return status;
}

int bundle_finish(struct bundle_writer *writer, struct vios_error *error)
{
    int status = VIOS_OK;
    if (archive_write_close(writer->archive) != ARCHIVE_OK) {
        status = cannot_write(writer, error);
    } else if (fsync(writer->fd) != 0) {
        status = error_set_errno(error, writer->name, "fsync");
    } else if (renameat(writer->folder_fd, writer->temporary, writer->folder_fd, writer->name) !=
               0) {
        status = error_set_errno(error, writer->name, "rename");
    } else if (fsync(writer->folder_fd) != 0) {
        status = error_set_errno(error, writer->name, "fsync of the folder");
    }
    bundle_abandon(writer);
    return status;
}

/* --- reading --- */

struct bundle_reader {
    struct archive *archive;
    unsigned members;
};

static int damaged(struct bundle_reader *reader, struct vios_error *error)
{
    const char *why = archive_error_string(reader->archive);
    return error_set(error, VIOS_E_CORRUPT, OBJECT, DAMAGED_HINT,
                     "it is damaged or ends too soon: %.200s", why ? why : "no reason given");
}

int bundle_open(struct bundle_reader **reader, int fd, struct vios_error *error)
{
    struct bundle_reader *made = calloc(1, sizeof *made);
    *reader = NULL;
    if (made) {
        made->archive = archive_read_new();
    }
    if (!made || !made->archive) {
        free(made);
        return error_no_memory(error, OBJECT);
    }
    archive_read_support_filter_zstd(made->archive);
    archive_read_support_format_tar(made->archive);
    if (lseek(fd, 0, SEEK_SET) < 0 ||
        archive_read_open_fd(made->archive, fd, COPY_SIZE) != ARCHIVE_OK) {
        int status = damaged(made, error);
        bundle_close(made);
        return status;
    }
    *reader = made;
    return VIOS_OK;
}

static const char *find_bad(const struct bundle_reader *reader, struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    return reader->members > BUNDLE_MEMBERS_MAX        ? "too many members"
           : !name || !bundle_name_is_valid(name)      ? "a name that no bundle has"
           : archive_entry_hardlink(entry)             ? "a link"
           : archive_entry_filetype(entry) != AE_IFREG ? "what is no plain file"
           : !archive_entry_size_is_set(entry)         ? "a member without a size"
           : archive_entry_size(entry) < 0 || archive_entry_size(entry) > BUNDLE_MEMBER_MAX
               ? "a member that is too large"
               : NULL;
}

int bundle_next(struct bundle_reader *reader, struct bundle_member *member,
                struct vios_error *error)
{
    struct archive_entry *entry;
    int result = archive_read_next_header(reader->archive, &entry);
    if (result == ARCHIVE_EOF) {
        return archive_filter_bytes(reader->archive, 0) > 0 ? 0 : damaged(reader, error);
    }
    if (result != ARCHIVE_OK) {
        return damaged(reader, error);
    }
    reader->members++;
    const char *bad = find_bad(reader, entry);
    if (bad) {
        return error_set(error, VIOS_E_CORRUPT, OBJECT, DAMAGED_HINT, "it has %s", bad);
    }
    snprintf(member->name, sizeof member->name, "%s", archive_entry_pathname(entry));
    member->size_bytes = (uint64_t)archive_entry_size(entry);
    return 1;
}

ssize_t bundle_read(struct bundle_reader *reader, void *data, size_t size, struct vios_error *error)
{
    la_ssize_t got = archive_read_data(reader->archive, data, size);
    return got < 0 ? damaged(reader, error) : (ssize_t)got;
}

int bundle_take(struct bundle_reader *reader, const struct bundle_member *member, size_t limit,
                char **data, size_t *size, struct vios_error *error)
{
    *data = NULL;
    if (member->size_bytes > limit) {
        return error_set(error, VIOS_E_NO_SPACE, member->name, NULL, "it is larger than %zu bytes",
                         limit);
    }
    char *made = malloc((size_t)member->size_bytes + 1);
    if (!made) {
        return error_no_memory(error, OBJECT);
    }
    size_t done = 0;
    ssize_t got = 1;
    while (done < member->size_bytes && got > 0) {
        got = bundle_read(reader, made + done, (size_t)member->size_bytes - done, error);
        done += got > 0 ? (size_t)got : 0;
    }
    if (done < member->size_bytes) {
        free(made);
        return got < 0 ? (int)got : damaged(reader, error);
    }
    made[done] = 0;
    *data = made;
    *size = done;
    return VIOS_OK;
}

void bundle_close(struct bundle_reader *reader)
{
    if (reader) {
        archive_read_free(reader->archive);
        free(reader);
    }
}

/* --- digest --- */

static int digest_all(int fd, EVP_MD_CTX *context, uint64_t *size_bytes, struct vios_error *error)
{
    char *data = malloc(COPY_SIZE);
    ssize_t got = 1;
    *size_bytes = 0;
    while (data && (got = pread(fd, data, COPY_SIZE, (off_t)*size_bytes)) > 0) {
        EVP_DigestUpdate(context, data, (size_t)got);
        *size_bytes += (uint64_t)got;
    }
    free(data);
    return !data     ? error_no_memory(error, OBJECT)
           : got < 0 ? error_set_errno(error, OBJECT, "cannot be read")
                     : VIOS_OK;
}

int bundle_digest(int fd, char digest[BUNDLE_DIGEST_SIZE], uint64_t *size_bytes,
                  struct vios_error *error)
{
    uint8_t bytes[DIGEST_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int status = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL)
                     ? digest_all(fd, context, size_bytes, error)
                     : error_no_memory(error, OBJECT);
    if (status == VIOS_OK) {
        EVP_DigestFinal_ex(context, bytes, NULL);
        crypto_hex(bytes, sizeof bytes, digest);
    }
    EVP_MD_CTX_free(context);
    return status;
}
