/*
 * test_description.c - image.json: what is said is taken over whole, everything else is refused by
 * the name of the member that is wrong; and files are compared with what is said of them.
 */
#include "image/description.h"

#include "tests/tap.h"
#include "tests/unit/image/archives.h"

#include <fcntl.h>

/* Of "first text". */
#define HEX "fa0343363edb8cb3ed1c098a47c28e56a7d7c8ade8dce7ed408b12b6280dd135"
#define FILES "\"files\":[{\"name\":\"d.qcow2\"}]"

static struct image_description description;

static int parse(const char *text, struct vios_error *error)
{
    memset(error, 0, sizeof *error);
    return description_parse(text, strlen(text), &description, error);
}

static void all_members_are_taken(void)
{
    struct vios_error error;
    ok(parse("{\"v\":1, \"name\":\"debian12\", \"version\":\"12.7+1~a\", \"architecture\":"
             "\"x86_64\", \"files\":[{\"name\":\"disk.qcow2\", \"format\":\"qcow2\", "
             "\"size_bytes\":10, \"digest\":\"sha256:" HEX "\"}, {\"name\":\"b.raw\"}]}",
             &error) == VIOS_OK,
       "%s", error.message);
    is_text(description.name, "debian12");
    is_text(description.version, "12.7+1~a");
    is_text(description.architecture, "x86_64");
    is_int((long long)description.file_count, 2);
    is_text(description.files[0].name, "disk.qcow2");
    is_text(description.files[0].format, "qcow2");
    is_int((long long)description.files[0].size_bytes, 10);
    is_text(description.files[0].digest, HEX);
    is_text(description.files[1].name, "b.raw");
    is_text(description.files[1].format, "");
    is_int((long long)description.files[1].size_bytes, 0);
    is_text(description.files[1].digest, "");
}

static void what_may_be_left_out(void)
{
    struct vios_error error;
    ok(parse("{\"v\":1,\"name\":\"a\"," FILES "}", &error) == VIOS_OK, "%s", error.message);
    is_text(description.version, "");
    is_text(description.architecture, "");
}

/* Refused about `object`, and nothing of it is left. */
static void is_bad(const char *text, const char *object, const char *message)
{
    struct vios_error error;
    ok(parse(text, &error) == VIOS_E_INVALID, "took %s", text);
    is_int(error.code, VIOS_E_INVALID);
    is_text(error.object, object);
    ok(strstr(error.message, message) != NULL, "%s gives \"%s\", want \"%s\"", text, error.message,
       message);
    is_text(description.name, "");
    is_text(description.files[0].name, "");
    is_int((long long)description.file_count, 0);
}

static void texts_that_are_no_object(void)
{
    is_bad("", "image.json", "it is no JSON object: ");
    is_bad("{", "image.json", "it is no JSON object: ");
    is_bad("[]", "image.json", "it is no JSON object: it is something else");
    is_bad("{\"v\":1,\"v\":1}", "image.json", "it is no JSON object: duplicate object key");
    is_bad("{\"v\":1}x", "image.json", "it is no JSON object: end of file expected");
    is_bad("{\"name\":\"a\\u0000b\"}", "image.json", "it is no JSON object: ");
    is_bad("\xff", "image.json", "it is no JSON object: ");
}

static void members_that_are_wrong(void)
{
    static const struct {
        const char *members, *bad;
    } ROWS[] = {
        {"\"name\":\"a\"," FILES, "v"},
        {"\"v\":2,\"name\":\"a\"," FILES, "v"},
        {"\"v\":\"1\",\"name\":\"a\"," FILES, "v"},
        {"\"v\":1.0,\"name\":\"a\"," FILES, "v"},
        {"\"v\":1," FILES, "name"},
        {"\"v\":1,\"name\":7," FILES, "name"},
        {"\"v\":1,\"name\":\"\"," FILES, "name"},
        {"\"v\":1,\"name\":\"../a\"," FILES, "name"},
        {"\"v\":1,\"name\":\"a\",\"version\":7," FILES, "version"},
        {"\"v\":1,\"name\":\"a\",\"version\":\"\"," FILES, "version"},
        {"\"v\":1,\"name\":\"a\",\"version\":\"1 2\"," FILES, "version"},
        {"\"v\":1,\"name\":\"a\",\"version\":\"0123456789012345678901234567890123456789012345678901"
         "234567890123\"," FILES,
         "version"},
        {"\"v\":1,\"name\":\"a\",\"architecture\":\"a/b\"," FILES, "architecture"},
        {"\"v\":1,\"name\":\"a\",\"architecture\":null," FILES, "architecture"},
        {"\"v\":1,\"name\":\"a\",\"extra\":1," FILES, "extra"},
        {"\"v\":1,\"name\":\"a\",\"\\u001b[2J\\u00e4\":1," FILES, "?[2J??"},
        {"\"v\":1,\"name\":\"a\"", "files"},
        {"\"v\":1,\"name\":\"a\",\"files\":[]", "files"},
        {"\"v\":1,\"name\":\"a\",\"files\":{}", "files"},
        {"\"v\":1,\"name\":\"a\",\"files\":[7]", "files"},
        {"\"v\":1,\"name\":\"a\",\"files\":[{}]", "files"},
        {"\"v\":1,\"name\":\"a\",\"files\":[{\"name\":7}]", "files"},
        {"\"v\":1,\"name\":\"a\",\"files\":[{\"name\":\"1\"},{\"name\":\"2\"},{\"name\":\"3\"},"
         "{\"name\":\"4\"},{\"name\":\"5\"},{\"name\":\"6\"},{\"name\":\"7\"},{\"name\":\"8\"},"
         "{\"name\":\"9\"}]",
         "files"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char text[512], message[64];
        snprintf(text, sizeof text, "{%s}", ROWS[i].members);
        snprintf(message, sizeof message, "it has a bad \"%s\"", ROWS[i].bad);
        is_bad(text, "image.json", message);
    }
}

static void files_that_are_wrong(void)
{
    static const struct {
        const char *members, *bad;
    } ROWS[] = {
        {"\"path\":\"x\"", "path"},
        {"\"format\":\"iso\"", "format"},
        {"\"format\":\"\"", "format"},
        {"\"format\":7", "format"},
        {"\"format\":\"qcow2xxx\"", "format"},
        {"\"size_bytes\":0", "size_bytes"},
        {"\"size_bytes\":-1", "size_bytes"},
        {"\"size_bytes\":1.5", "size_bytes"},
        {"\"size_bytes\":\"1\"", "size_bytes"},
        {"\"digest\":\"\"", "digest"},
        {"\"digest\":7", "digest"},
        {"\"digest\":\"" HEX "\"", "digest"},
        {"\"digest\":\"sha1:" HEX "\"", "digest"},
        {"\"digest\":\"sha256:" HEX "0\"", "digest"},
        {"\"digest\":\"sha256:\"", "digest"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char text[512], message[64];
        snprintf(text, sizeof text, "{\"v\":1,\"name\":\"a\",\"files\":[{\"name\":\"d\",%s}]}",
                 ROWS[i].members);
        snprintf(message, sizeof message, "it has a bad \"%s\"", ROWS[i].bad);
        is_bad(text, "image.json", message);
    }
    is_bad("{\"v\":1,\"name\":\"a\",\"files\":[{\"name\":\"d\"},{\"name\":\"d\"}]}", "image.json",
           "it names \"d\" twice");
}

static void names_of_files(void)
{
    static const char *const GOOD[] = {"a", "0", "a..b", "a-b_c.qcow2", "A."};
    static const char *const BAD[] = {"",     ".",   "..",  ".a",   "-a",       "_a",   "a/b",
                                      "../a", "a b", "a\n", "a\\b", "\xc3\xa4", "a\x7f"};
    char name[MEMBER_NAME_SIZE + 1];
    struct vios_error error = {0};
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        ok(member_check_name(GOOD[i], &error) == VIOS_OK, "refused \"%s\"", GOOD[i]);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        ok(member_check_name(BAD[i], &error) == VIOS_E_INVALID, "took \"%s\"", BAD[i]);
    }
    is_text(error.message, "\"a?\" is no good name for a file");
    is_text(error.hint, "use letters, digits and ._- in it, a letter or digit first");
    memset(name, 'a', sizeof name);
    name[MEMBER_NAME_SIZE] = 0;
    is_int(member_check_name(name, &error), VIOS_E_INVALID);
    name[MEMBER_NAME_SIZE - 1] = 0;
    is_int(member_check_name(name, &error), VIOS_OK);
    is_bad("{\"v\":1,\"name\":\"a\",\"files\":[{\"name\":\"../d\"}]}", "",
           "\"../d\" is no good name for a file");
}

static void files_are_what_is_said(void)
{
    struct operation operation;
    struct description_file file = {.name = "d", .size_bytes = 10, .digest = HEX};
    int fd = bytes_fd("first text", 10);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    ok(description_check_file(fd, &file, NULL, &operation) == VIOS_OK, "%s",
       operation.error.message);
    file.size_bytes = 11;
    is_int(description_check_file(fd, &file, NULL, &operation), VIOS_E_CORRUPT);
    is_text(operation.error.object, "file \"d\"");
    is_text(operation.error.message, "it has 10 bytes, its description says 11");
    is_text(operation.error.hint, "bring it there again");
    file.size_bytes = 0;
    file.digest[0] = '!';
    is_int(description_check_file(fd, &file, NULL, &operation), VIOS_E_CORRUPT);
    ok(strstr(operation.error.message, "its SHA-256 is " HEX ", its description says !") != NULL,
       "%s", operation.error.message);
    file.digest[0] = 0;
    is_int(description_check_file(fd, &file, NULL, &operation), VIOS_OK);
    close(fd);
    is_int(description_check_file(-1, &file, NULL, &operation), VIOS_E_SYSTEM);
    ok(strstr(operation.error.message, "cannot look at it") != NULL, "%s", operation.error.message);
}

int main(void)
{
    RUN(all_members_are_taken);
    RUN(what_may_be_left_out);
    RUN(texts_that_are_no_object);
    RUN(members_that_are_wrong);
    RUN(files_that_are_wrong);
    RUN(names_of_files);
    RUN(files_are_what_is_said);
    return tap_done();
}
