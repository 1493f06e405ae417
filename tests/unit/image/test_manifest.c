/*
 * test_manifest.c - the manifest of an OVA: its lines in all their spellings, and files that are
 * what it says, are others, or lack. Digests are those that sha1sum(1) and its sisters give.
 */
#include "image/manifest.h"

#include "base/file.h"
#include "image/file_digest.h"
#include "tests/tap.h"
#include "tests/unit/image/archives.h"

#include <fcntl.h>

/* Of "first text". */
#define SHA1 "3174582911e0cafcc46f3ad4aa8c557a715cf01a"
#define SHA256 "fa0343363edb8cb3ed1c098a47c28e56a7d7c8ade8dce7ed408b12b6280dd135"
#define SHA512_HEAD "760a8e37b5929d5a492a53237dd7167378141c26cf68eb8e3946ef1ec48df788"
#define SHA512_TAIL "d895631a91c98730441b1f4a83dd8a27a7a706adeecf6274b683eff213f0e89c"

static struct operation operation;

/* --- lines --- */

static void lines_are_read(void)
{
    static const char *const LINES[] = {"SHA256(disk1.vmdk)= 0aBc", "SHA256 (disk1.vmdk) = 0aBc",
                                        "SHA256(disk1.vmdk)=0aBc", "SHA256(disk1.vmdk) = 0aBc",
                                        "SHA256 (disk1.vmdk)= 0aBc  "};
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        char algorithm[16] = "", name[MEMBER_NAME_SIZE] = "", hex[129] = "";
        struct vios_error error = {0};
        ok(manifest_parse_line(LINES[i], algorithm, name, hex, &error) == VIOS_OK, "%s",
           error.message);
        is_text(algorithm, "SHA256");
        is_text(name, "disk1.vmdk");
        is_text(hex, "0aBc");
    }
}

static void is_no_line(const char *line)
{
    char algorithm[16], name[MEMBER_NAME_SIZE], hex[129];
    struct vios_error error = {0};
    ok(manifest_parse_line(line, algorithm, name, hex, &error) == VIOS_E_INVALID, "took \"%s\"",
       line);
    is_text(error.object, "manifest");
    ok(strstr(error.message, "it has a line that is none: \"") != NULL, "%s", error.message);
    ok(error.hint[0] != 0, "no hint");
}

static void lines_that_are_none(void)
{
    static const char *const LINES[] = {"",
                                        " ",
                                        "SHA256",
                                        "SHA256(a)",
                                        "SHA256(a)=",
                                        "(a)= 00",
                                        "SHA256()= 00",
                                        "SHA256(a= 00",
                                        "SHA256(a)= 0g",
                                        "SHA256(a)= 00 x",
                                        "SHA256[a]= 00",
                                        "SHA256(../a)= 00",
                                        "SHA256(/a)= 00",
                                        "SHA256(a/b)= 00",
                                        "SHA256(.a)= 00",
                                        "SHA256(a b)= 00",
                                        "SHA256(a)) = 00",
                                        "0123456789abcdef(a)= 00"};
    char line[512], many[200];
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        is_no_line(LINES[i]);
    }
    memset(many, 'a', sizeof many);
    snprintf(line, sizeof line, "SHA256(%.128s)= 00", many);
    is_no_line(line);
    snprintf(line, sizeof line, "SHA512(a)= %.129s", many);
    is_no_line(line);
}

/* --- folders --- */

static int open_folder(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/f", tap_folder());
    is_int(file_remove_tree(path, NULL), VIOS_OK);
    ok(mkdir(path, 0700) == 0, "mkdir");
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* What the check of this manifest says about a folder with "a.vmdk", which has "first text". */
static int check(const char *manifest, size_t size)
{
    int folder = open_folder();
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(file_replace(folder, "a.vmdk", "first text", 10, 0600, NULL), VIOS_OK);
    if (manifest) {
        is_int(file_replace(folder, "web.mf", manifest, size, 0600, NULL), VIOS_OK);
    }
    int status = manifest_check(folder, NULL, &operation);
    close(folder);
    return status;
}

static void right_manifests(void)
{
    static const char *const TEXTS[] = {"",
                                        "\n\n",
                                        "SHA256(a.vmdk)= " SHA256 "\n",
                                        "SHA256(a.vmdk)= " SHA256,
                                        "SHA1(a.vmdk)= " SHA1 "\r\n",
                                        "sha512 (a.vmdk) = " SHA512_HEAD SHA512_TAIL
                                        "\n\nSHA1(a.vmdk)= " SHA1 "\n"};
    is_int(check(NULL, 0), VIOS_OK);
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        ok(check(TEXTS[i], strlen(TEXTS[i])) == VIOS_OK, "%s: %s", TEXTS[i],
           operation.error.message);
    }
}

static void is_wrong(const char *text, size_t size, int code, const char *object, const char *why)
{
    is_int(check(text, size), code);
    is_int(operation.error.code, code);
    is_text(operation.error.object, object);
    ok(strstr(operation.error.message, why) != NULL, "message is \"%s\", want \"%s\"",
       operation.error.message, why);
    ok(operation.error.hint[0] != 0, "no hint");
}

#define WRONG(text, code, object, why) is_wrong(text, sizeof(text) - 1, code, object, why)

static void wrong_manifests(void)
{
    static const char A[] = "archive member \"a.vmdk\"";
    WRONG("SHA256(a.vmdk)= 00\n", VIOS_E_CORRUPT, A, "its SHA256 is not what the manifest says");
    WRONG("SHA1(a.vmdk)= " SHA256 "\n", VIOS_E_CORRUPT, A,
          "its SHA1 is not what the manifest says");
    WRONG("SHA256(b.vmdk)= " SHA256 "\n", VIOS_E_CORRUPT, "archive member \"b.vmdk\"",
          "the manifest names it, and it is not there");
    WRONG("MD5(a.vmdk)= 00\n", VIOS_E_INVALID, "digest", "\"MD5\" is no digest that is known");
    WRONG("SHA256(a.vmdk)= " SHA256 "\nrub\377ish\n", VIOS_E_INVALID, "manifest",
          "it has a line that is none: \"rub?ish\"");
    WRONG("SHA256(a.vmdk)= " SHA256 "\n\0rubbish\n", VIOS_E_INVALID, "manifest", "it is no text");
}

static void a_link_is_not_followed(void)
{
    static const char TEXT[] = "SHA1(b)= " SHA1 "\n";
    int folder = open_folder();
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(file_replace(folder, "a", "first text", 10, 0600, NULL), VIOS_OK);
    is_int(file_replace(folder, "web.mf", TEXT, sizeof TEXT - 1, 0600, NULL), VIOS_OK);
    ok(symlinkat("a", folder, "b") == 0, "symlink");
    is_int(manifest_check(folder, NULL, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, "archive member \"b\"");
    close(folder);
}

static void a_manifest_that_is_too_large(void)
{
    static char text[MANIFEST_SIZE_MAX + 1];
    memset(text, '\n', sizeof text);
    is_int(check(text, sizeof text - 1), VIOS_OK);
    ok(check(text, sizeof text) < 0, "took one of %zu bytes", sizeof text);
    ok(operation.error.message[0] != 0, "no message");
}

static void a_cancel_is_heard(void)
{
    struct cancel *cancel = cancel_new();
    char hex[FILE_DIGEST_TEXT];
    int fd = bytes_fd("first text", 10);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(file_digest(fd, "SHA256", hex, NULL, &operation), VIOS_OK);
    is_text(hex, SHA256);
    cancel_trigger(cancel);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    is_int(file_digest(fd, "SHA256", hex, NULL, &operation), VIOS_E_CANCELLED);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(file_digest(-1, "SHA256", hex, NULL, &operation), VIOS_E_SYSTEM);
    is_text(operation.error.object, "digest");
    ok(strstr(operation.error.message, "cannot read the file") != NULL, "%s",
       operation.error.message);
    close(fd);
    cancel_free(cancel);
}

/* An OVA, from the archive to its manifest. */
static void an_ova(void)
{
    struct packed packed;
    struct unpack_list list;
    int folder = open_folder();
    pack_begin(&packed, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE);
    pack_file(&packed, "web.ovf", "<Envelope/>");
    pack_file(&packed, "web.mf", "SHA256(web-disk1.vmdk)= " SHA256 "\n");
    pack_file(&packed, "web-disk1.vmdk", "first text");
    int fd = pack_fd(&packed);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(unpack_list(fd, 4096, &list, NULL, &operation), VIOS_OK);
    is_int(unpack_to(fd, folder, &list, NULL, &operation), VIOS_OK);
    ok(manifest_check(folder, NULL, &operation) == VIOS_OK, "%s", operation.error.message);
    is_int(file_replace(folder, "web-disk1.vmdk", "other", 5, 0600, NULL), VIOS_OK);
    is_int(manifest_check(folder, NULL, &operation), VIOS_E_CORRUPT);
    close(folder);
    close(fd);
}

int main(void)
{
    RUN(lines_are_read);
    RUN(lines_that_are_none);
    RUN(right_manifests);
    RUN(wrong_manifests);
    RUN(a_link_is_not_followed);
    RUN(a_manifest_that_is_too_large);
    RUN(a_cancel_is_heard);
    RUN(an_ova);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
