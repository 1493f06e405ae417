/* Proves: the configuration file is taken whole or not at all, with its line in the error; values
 * have their origin; saving keeps comments and order. */
#include "base/config.h"
#include "base/file.h"
#include "tests/tap.h"

#include <fcntl.h>

static struct vios_error error;
static char path[256];

static int load(struct config *config, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        exit(1);
    }
    fputs(text, file);
    fclose(file);
    return config_load(config, path, &error);
}

static void has_defaults(void)
{
    struct config *config = config_new();
    is_text(config_text(config, "address"), "127.0.0.1");
    is_int(config_integer(config, "port"), 7440);
    is_int(config_duration_ms(config, "ttl"), 5000);
    is_int(config_duration_ms(config, "keepalive"), 200);
    is_int(config_size(config, "page_memory"), 0);
    is_text(config_text(config, "node"), NULL);
    is_text(config_origin(config, "ttl"), "default");
    config_free(config);
}

static void each_default_fits_its_type(void)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    struct config *config = config_new();
    for (size_t i = 0; i < count; i++) {
        ok(rows[i].help && rows[i].help[0], "%s has help", rows[i].key);
        if (rows[i].default_text && rows[i].default_text[0]) {
            ok(config_set(config, rows[i].key, rows[i].default_text, &error) == VIOS_OK, "%s: %s",
               rows[i].key, error.message);
        }
    }
    config_free(config);
}

static void takes_a_file(void)
{
    struct config *config = config_new();
    is_int(load(config, "# a node\n\nnode = n1   # its name\n\tttl=2s\r\npage_memory = 1.5G\n"
                        "repository = /srv/vios repository"),
           VIOS_OK);
    is_text(config_text(config, "node"), "n1");
    is_int(config_duration_ms(config, "ttl"), 2000);
    is_int(config_size(config, "page_memory"), INT64_C(1610612736));
    is_text(config_text(config, "repository"), "/srv/vios repository");
    is_text(config_origin(config, "node"), "file");
    is_int(config_set(config, "node", "n2", &error), VIOS_OK);
    is_text(config_text(config, "node"), "n2");
    is_text(config_origin(config, "node"), "option");
    config_free(config);
}

static void refuses_a_bad_file_whole(void)
{
    static const struct {
        const char *text, *line, *reason;
    } rows[] = {
        {"node = n2\nnod = n1\n", ":2", "no configuration key \"nod\""},
        {"node = n2\nnode = n1\n", ":2", "given twice"},
        {"node = n2\n\nttl = soon\n", ":3", "ttl: \"soon\" is not a duration"},
        {"node = n2\nport = 70000000000\n", ":2", "number"},
        {"node = n2\nport = 65536\n", ":2", "port: \"65536\""},
        {"node = n2\nstate_dir = here\n", ":2", "not an absolute path"},
        {"node = n2\npage_memory = -1\n", ":2", "not a size"},
        {"node = a/b\n", ":1", "node: \"a/b\" is no name"},
        {"node\n", ":1", "has no ="},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *config = config_new();
        is_int(load(config, rows[i].text), VIOS_E_USAGE);
        ok(strstr(error.object, rows[i].line) != NULL, "%s, want %s", error.object, rows[i].line);
        ok(strstr(error.message, rows[i].reason) != NULL, "%s", error.message);
        is_text(config_text(config, "node"), NULL);
        config_free(config);
    }
}

static void hints_at_the_key_meant(void)
{
    struct config *config = config_new();
    is_int(config_set(config, "page_memry", "1G", &error), VIOS_E_USAGE);
    is_text(error.hint, "did you mean \"page_memory\"?");
    is_int(config_load(config, "/nonexistent/vios.conf", &error), VIOS_E_NOT_FOUND);
    is_text(error.object, "/nonexistent/vios.conf");
    config_free(config);
}

static void saves_in_place(void)
{
    struct config *config = config_new();
    char *text = NULL;
    size_t size;
    load(config, "# mine\nttl = 5s # slow\nnode = n1\n");
    is_int(config_save(path, "ttl", "2s", &error), VIOS_OK);
    is_int(config_save(path, "port", "7441", &error), VIOS_OK);
    is_int(config_save(path, "ttl", "never", &error), VIOS_E_USAGE);
    is_int(config_save(path, "nosuch", "1", &error), VIOS_E_USAGE);
    is_int(file_read(AT_FDCWD, path, 1000, &text, &size, &error), VIOS_OK);
    is_text(text, "# mine\nttl = 2s\nnode = n1\nport = 7441\n");
    free(text);
    config_free(config);
}

/* What is behind it would be lost. */
static void a_nul_byte_is_refused(void)
{
    static const char text[] = "node = n1\n\0ttl = 5s\n";
    struct config *config = config_new();
    int fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    is_int(file_replace(fd, "vios.conf", text, sizeof text - 1, 0600, &error), VIOS_OK);
    close(fd);
    is_int(config_load(config, path, &error), VIOS_E_USAGE);
    is_text(error.message, "the file holds a NUL byte");
    is_int(config_save(path, "ttl", "2s", &error), VIOS_E_USAGE);
    is_text(error.message, "the file holds a NUL byte");
    config_free(config);
}

int main(void)
{
    snprintf(path, sizeof path, "%s/vios.conf", tap_folder());
    RUN(has_defaults);
    RUN(each_default_fits_its_type);
    RUN(takes_a_file);
    RUN(refuses_a_bad_file_whole);
    RUN(hints_at_the_key_meant);
    RUN(saves_in_place);
    RUN(a_nul_byte_is_refused);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
