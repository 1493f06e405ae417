/* fuzz_config.c - the configuration file: taken whole or not at all, and every value of a file
 * that was taken can be read back, saved and read again. */
#include "base/config.h"
#include "base/file.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_values(const struct config *config)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const char *text = config_text(config, rows[i].key);
        assert(text || !rows[i].default_text);
        if (rows[i].type == CONFIG_SIZE) {
            config_size(config, rows[i].key);
        } else if (rows[i].type == CONFIG_DURATION) {
            config_duration_ms(config, rows[i].key);
        } else if (rows[i].type == CONFIG_INTEGER) {
            config_integer(config, rows[i].key);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    assert(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct vios_error error = {0};
    int status = file_write_all(fd, data, size, &error);
    assert(status == VIOS_OK);

    struct config *config = config_new();
    assert(config);
    status = config_load(config, path, &error);
    assert(status == VIOS_OK || error.message[0]);
    if (status == VIOS_OK) {
        read_values(config);
    }
    config_free(config);
    close(fd);
    return 0;
}
