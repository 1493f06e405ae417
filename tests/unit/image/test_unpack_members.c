/*
 * test_unpack_members.c - members that could leave their folder, or are no plain files, are refused
 * by name, and leave nothing behind.
 */
#include "tests/unit/image/unpacking.h"

/* Refused by the listing; unpacking it writes nothing outside the folder either. */
static void is_refused(int fd, int code, const char *object, const char *why)
{
    int folder_fd = open_folder();
    is_int(run_list(fd, LIMIT), code);
    is_int(operation.error.code, code);
    is_text(operation.error.object, object);
    ok(strstr(operation.error.message, why) != NULL, "message is \"%s\", want \"%s\"",
       operation.error.message, why);
    ok(operation.error.hint[0] != 0, "no hint");
    memset(&list, 0, sizeof list);
    list.kind = UNPACK_TAR;
    ok(run_to(fd, folder_fd) != VIOS_OK, "unpacked what is refused");
    is_int(count_entries(folder), 0);
    is_int(count_entries(tap_folder()), 1);
    close(folder_fd);
    close(fd);
}

static int one_member(const char *name, unsigned type, const char *target)
{
    struct packed packed;
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FILTER_NONE);
    pack_any(&packed, name, type, target, "x", type == AE_IFREG && !target);
    return pack_fd(&packed);
}

static void names_that_could_leave_the_folder(void)
{
    static const char LEAVES[] = "its path could leave the folder that it is unpacked to";
    static const char DEEP[] = "it is in a folder of a folder";
    static const char PLAIN[] = "it is no plain name";
    static const struct {
        const char *name, *object, *why;
    } ROWS[] = {
        {"../x", MEMBER("../x"), LEAVES},
        {"/x", MEMBER("/x"), LEAVES},
        {".hidden/x", MEMBER(".hidden/x"), LEAVES},
        {"a/../b", MEMBER("a/../b"), DEEP},
        {"./a/b/c", MEMBER("./a/b/c"), DEEP},
        {"/etc/cron", MEMBER("/etc/cron"), DEEP},
        {"../../x", MEMBER("../../x"), DEEP},
        {"a//b", MEMBER("a//b"), DEEP},
        {"././a", MEMBER("./a"), LEAVES},
        {"..", MEMBER(".."), PLAIN},
        {"a/..", MEMBER("a/.."), PLAIN},
        {".x", MEMBER(".x"), PLAIN},
        {"-x", MEMBER("-x"), PLAIN},
        {"a b", MEMBER("a b"), PLAIN},
        {"a\\b", MEMBER("a\\b"), PLAIN},
        {"a\033[2Jb", MEMBER("a?[2Jb"), PLAIN},
        {"a\nb", MEMBER("a?b"), PLAIN},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        is_refused(one_member(ROWS[i].name, AE_IFREG, NULL), VIOS_E_INVALID, ROWS[i].object,
                   ROWS[i].why);
    }
}

static void names_that_are_too_long(void)
{
    char name[MEMBER_NAME_SIZE + 8], object[128];
    memset(name, 'n', sizeof name);
    name[MEMBER_NAME_SIZE] = 0;
    snprintf(object, sizeof object, "archive member \"%.70s\"", name);
    is_refused(one_member(name, AE_IFREG, NULL), VIOS_E_INVALID, object, "it is no plain name");
    memcpy(name + MEMBER_NAME_SIZE, "/x", 3);
    is_refused(one_member(name, AE_IFREG, NULL), VIOS_E_INVALID, object,
               "the name of its folder is too long");
}

/* Bytes that are no UTF-8, which a pax header cannot hold. */
static void names_that_are_no_text(void)
{
    unsigned char blocks[3 * 512] = {0};
    tar_header(blocks, "a\xff\xfe", 0, '0');
    is_refused(bytes_fd(blocks, sizeof blocks), VIOS_E_INVALID, MEMBER("a??"),
               "it is no plain name");
    struct packed packed;
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE);
    pack_file(&packed, "\xc3\xa4.img", "x");
    pack_end(&packed);
    int fd = bytes_fd(packed.data, packed.size);
    is_int(run_list(fd, LIMIT), VIOS_E_INVALID);
    is_text(operation.error.object, MEMBER("??.img"));
    close(fd);
    free(packed.data);
}

static void members_that_are_no_files(void)
{
    is_refused(one_member("a", AE_IFLNK, "/etc/passwd"), VIOS_E_INVALID, MEMBER("a"),
               "it is a symbolic link");
    is_refused(one_member("a", AE_IFREG, "/etc/passwd"), VIOS_E_INVALID, MEMBER("a"),
               "it is a hard link");
    is_refused(one_member("a", AE_IFCHR, NULL), VIOS_E_INVALID, MEMBER("a"), "it is a device");
    is_refused(one_member("a", AE_IFBLK, NULL), VIOS_E_INVALID, MEMBER("a"), "it is a device");
    is_refused(one_member("a", AE_IFIFO, NULL), VIOS_E_INVALID, MEMBER("a"), "it is a FIFO");
}

static void members_twice_and_in_two_folders(void)
{
    static const char *const PAIRS[][4] = {
        {"a", "a", MEMBER("a"), "it is there twice"},
        {"a", "./a", MEMBER("a"), "it is there twice"},
        {"x/a", "y/b", MEMBER("y/b"), "the members are in different folders"},
        {"a", "y/b", MEMBER("y/b"), "the members are in different folders"},
        {"y/b", "a", MEMBER("a"), "the members are in different folders"}};
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        struct packed packed;
        pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE);
        pack_file(&packed, PAIRS[i][0], "1");
        pack_file(&packed, PAIRS[i][1], "2");
        int fd = pack_fd(&packed);
        is_int(run_list(fd, LIMIT), VIOS_E_INVALID);
        is_text(operation.error.object, PAIRS[i][2]);
        is_text(operation.error.message, PAIRS[i][3]);
        close(fd);
    }
}

static void too_many_members(void)
{
    int fd = many_members(UNPACK_MEMBERS_MAX, AE_IFREG);
    is_int(run_list(fd, LIMIT), VIOS_OK);
    is_int((long long)list.count, UNPACK_MEMBERS_MAX);
    close(fd);
    fd = many_members(UNPACK_MEMBERS_MAX + 1, AE_IFREG);
    is_int(run_list(fd, LIMIT), VIOS_E_INVALID);
    is_text(operation.error.object, MEMBER("m32"));
    is_text(operation.error.message, "there are too many members");
    close(fd);
    fd = many_members(UNPACK_FOLDERS_MAX + 1, AE_IFDIR);
    is_int(run_list(fd, LIMIT), VIOS_E_INVALID);
    is_text(operation.error.message, "there are too many folders");
    close(fd);
}

int main(void)
{
    RUN(names_that_could_leave_the_folder);
    RUN(names_that_are_too_long);
    RUN(names_that_are_no_text);
    RUN(members_that_are_no_files);
    RUN(members_twice_and_in_two_folders);
    RUN(too_many_members);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
