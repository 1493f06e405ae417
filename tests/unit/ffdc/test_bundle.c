/* Proves: a bundle is there whole or not at all, is read back as it was written, and one that is
 * damaged, or that somebody else made, is refused and harms nobody. */
#include "ffdc/bundle.h"

#include "base/file.h"
#include "tests/tap.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#define BIG 300000

static struct vios_error error;
static int folder;

static int make_bundle(const char *name)
{
    struct bundle_writer *writer;
    static char big[BIG];
    FILE *file = tmpfile();
    memset(big, 'b', sizeof big);
    fwrite(big, 1, sizeof big, file);
    fflush(file);
    is_int(bundle_create(&writer, folder, name, &error), VIOS_OK);
    is_int(bundle_add(writer, "part.json", "{}", 2, &error), VIOS_OK);
    is_int(bundle_add_file(writer, "n1/big", fileno(file), BIG - 1, &error), VIOS_OK);
    is_int(bundle_add_begin(writer, "short", 10, &error), VIOS_OK);
    is_int(bundle_add_data(writer, "abc", 3, &error), VIOS_OK);
    is_int(bundle_add(writer, "empty", "", 0, &error), VIOS_OK);
    fclose(file);
    return bundle_finish(writer, &error);
}

static void it_is_read_as_it_was_written(void)
{
    static const char *const NAMES[] = {"part.json", "n1/big", "short", "empty"};
    static const uint64_t SIZES[] = {2, BIG - 1, 10, 0};
    struct bundle_reader *reader;
    struct bundle_member member;
    is_int(make_bundle("a.tar.zst"), VIOS_OK);
    int fd = openat(folder, "a.tar.zst", O_RDONLY);
    is_int(bundle_open(&reader, fd, &error), VIOS_OK);
    for (int i = 0; i < 4; i++) {
        char *text;
        size_t size;
        is_int(bundle_next(reader, &member, &error), 1);
        is_text(member.name, NAMES[i]);
        is_int(member.size_bytes, SIZES[i]);
        is_int(bundle_take(reader, &member, BIG, &text, &size, &error), VIOS_OK);
        is_int(size, SIZES[i]);
        ok(i != 1 || (text[0] == 'b' && text[BIG - 2] == 'b'), "its bytes are there");
        ok(i != 2 || memcmp(text, "abc\0\0\0\0\0\0\0", 10) == 0, "what is missing is zeroes");
        free(text);
    }
    is_int(bundle_next(reader, &member, &error), 0);
    bundle_close(reader);
    close(fd);
}

static void it_has_no_name_before_it_is_whole(void)
{
    struct bundle_writer *writer;
    struct stat info;
    is_int(bundle_create(&writer, folder, "b.tar.zst", &error), VIOS_OK);
    is_int(bundle_add(writer, "part.json", "{}", 2, &error), VIOS_OK);
    is_int(fstatat(folder, "b.tar.zst", &info, 0), -1);
    bundle_abandon(writer);
    is_int(fstatat(folder, ".b.tar.zst.tmp", &info, 0), -1);
    is_int(bundle_create(&writer, -1, "b.tar.zst", &error), VIOS_E_SYSTEM);
    is_text(error.object, "b.tar.zst");
}

/* However short it is cut: an error, and none that says nothing. */
static void a_cut_one_is_damaged(void)
{
    char *data;
    size_t size;
    is_int(make_bundle("c.tar.zst"), VIOS_OK);
    is_int(file_read(folder, "c.tar.zst", 1 << 20, &data, &size, &error), VIOS_OK);
    for (size_t length = 0; length < size; length += 7) {
        struct bundle_reader *reader = NULL;
        struct bundle_member member;
        int fd = openat(folder, "cut", O_RDWR | O_CREAT | O_TRUNC, 0600);
        is_int(write(fd, data, length), length);
        int status = bundle_open(&reader, fd, &error);
        while (status >= 0 && (status = bundle_next(reader, &member, &error)) == 1) {
            char *text = NULL;
            size_t taken;
            status = bundle_take(reader, &member, BIG, &text, &taken, &error);
            free(text);
        }
        is_int(status, VIOS_E_CORRUPT);
        is_text(error.hint, "use those of the other nodes");
        bundle_close(reader);
        close(fd);
    }
    free(data);
}

static void write_foreign(const char *name, unsigned type, int64_t size)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    int fd = openat(folder, "foreign", O_RDWR | O_CREAT | O_TRUNC, 0600);
    archive_write_set_format_pax(archive);
    archive_write_add_filter_zstd(archive);
    archive_write_open_fd(archive, fd);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_size(entry, size);
    if (type == AE_IFLNK) {
        archive_entry_set_symlink(entry, "/etc/passwd");
    }
    archive_write_header(archive, entry);
    archive_entry_free(entry);
    archive_write_free(archive);
    close(fd);
}

static void what_no_bundle_has_is_refused(void)
{
    static const struct {
        const char *name, *why;
        unsigned type;
        int64_t size;
    } CASES[] = {
        {"../x", "it has a name that no bundle has", AE_IFREG, 0},
        {"/x", "it has a name that no bundle has", AE_IFREG, 0},
        {"a/b/c", "it has a name that no bundle has", AE_IFREG, 0},
        {".x", "it has a name that no bundle has", AE_IFREG, 0},
        {"a b", "it has a name that no bundle has", AE_IFREG, 0},
        {"x", "it has what is no plain file", AE_IFLNK, 0},
        {"x", "it has what is no plain file", AE_IFIFO, 0},
        {"x", "it has a member that is too large", AE_IFREG, BUNDLE_MEMBER_MAX + 1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct bundle_reader *reader;
        struct bundle_member member;
        write_foreign(CASES[i].name, CASES[i].type, CASES[i].size);
        int fd = openat(folder, "foreign", O_RDONLY);
        is_int(bundle_open(&reader, fd, &error), VIOS_OK);
        is_int(bundle_next(reader, &member, &error), VIOS_E_CORRUPT);
        is_text(error.message, CASES[i].why);
        bundle_close(reader);
        close(fd);
    }
}

static void more_than_asked_for_is_not_taken(void)
{
    struct bundle_reader *reader;
    struct bundle_member member;
    char *text;
    size_t size;
    int fd = openat(folder, "a.tar.zst", O_RDONLY);
    is_int(bundle_open(&reader, fd, &error), VIOS_OK);
    is_int(bundle_next(reader, &member, &error), 1);
    is_int(bundle_take(reader, &member, 1, &text, &size, &error), VIOS_E_NO_SPACE);
    is_text(error.object, "part.json");
    bundle_close(reader);
    close(fd);
}

static void its_digest_is_that_of_the_file(void)
{
    char digest[BUNDLE_DIGEST_SIZE];
    uint64_t size;
    int fd = openat(folder, "text", O_RDWR | O_CREAT, 0600);
    is_int(write(fd, "abc", 3), 3);
    is_int(bundle_digest(fd, digest, &size, &error), VIOS_OK);
    is_text(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    is_int(size, 3);
    close(fd);
}

int main(void)
{
    folder = open(tap_folder(), O_RDONLY | O_DIRECTORY);
    RUN(it_is_read_as_it_was_written);
    RUN(it_has_no_name_before_it_is_whole);
    RUN(a_cut_one_is_damaged);
    RUN(what_no_bundle_has_is_refused);
    RUN(more_than_asked_for_is_not_taken);
    RUN(its_digest_is_that_of_the_file);
    close(folder);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
