/* fuzz_disk_header.c - the first and last bytes of a disk file: a known format, or refused. */
#include "image/disk_header.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum disk_format format;
    struct vios_error error = {0};
    size_t head = size < DISK_HEAD_SIZE ? size : DISK_HEAD_SIZE;
    size_t tail = size < DISK_TAIL_SIZE ? size : DISK_TAIL_SIZE;
    int status = disk_header_check(data, head, data + size - tail, tail, "disk", &format, &error);
    assert(status == VIOS_OK || (status == VIOS_E_INVALID && error.message[0]));
    assert(format < DISK_FORMAT_COUNT);
    return 0;
}
