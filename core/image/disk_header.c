/* disk_header.c - see disk_header.h. */
#include "image/disk_header.h"

#include <stdbool.h>
#include <string.h>

#define QCOW2_DATA_FILE 4u /* incompatible features of a qcow2 */
#define QCOW2_CORRUPT 2u
#define QCOW2_KNOWN 0x1fu
#define VHD_FIXED 2
#define VHD_DYNAMIC 3
#define SECTOR 512
#define VMDK_TEXT_MAX (20 * SECTOR)

static const char *const NAMES[DISK_FORMAT_COUNT] = {"raw", "qcow2", "vmdk", "vhd", "vhdx"};

const char *disk_format_name(enum disk_format format)
{
    return NAMES[format];
}

bool disk_format_parse(const char *name, enum disk_format *format)
{
    for (int i = 0; i < DISK_FORMAT_COUNT; i++) {
        if (strcmp(name, NAMES[i]) == 0) {
            *format = (enum disk_format)i;
            return true;
        }
    }
    return false;
}

static uint64_t big(const uint8_t *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static uint64_t little(const uint8_t *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = size; i > 0; i--) {
        number = number << 8 | at[i - 1];
    }
    return number;
}

static bool begins(const uint8_t *data, size_t size, const char *magic, size_t magic_size)
{
    return size >= magic_size && memcmp(data, magic, magic_size) == 0;
}

static int refuse(const char *name, const char *hint, const char *why, struct vios_error *error)
{
    return error_set(error, VIOS_E_INVALID, name, hint, "refused: %s", why);
}

static int check_qcow2(const uint8_t *head, size_t size, const char *name, struct vios_error *error)
{
    if (size < 72) {
        return refuse(name, NULL, "the qcow2 header is cut", error);
    }
    uint64_t version = big(head + 4, 4);
    if (version != 2 && version != 3) {
        return refuse(name, NULL, "the qcow version is neither 2 nor 3", error);
    }
    if (big(head + 8, 8) != 0) {
        return refuse(name, "flatten it with: qemu-img convert -O qcow2",
                      "the qcow2 has a backing file", error);
    }
    if (big(head + 32, 4) != 0) {
        return refuse(name, "decrypt it first", "the qcow2 is encrypted", error);
    }
    if (version == 2) {
        return VIOS_OK;
    }
    if (size < 104) {
        return refuse(name, NULL, "the qcow2 header is cut", error);
    }
    uint64_t features = big(head + 72, 8);
    if (features & QCOW2_DATA_FILE) {
        return refuse(name, "convert it to one file", "the qcow2 has an external data file", error);
    }
    if (features & QCOW2_CORRUPT) {
        return refuse(name, "mend it with: qemu-img check -r all", "the qcow2 is marked corrupt",
                      error);
    }
    return features & ~(uint64_t)QCOW2_KNOWN
               ? refuse(name, NULL, "the qcow2 has features that are not known", error)
               : VIOS_OK;
}

/* True when the text of a VMDK says `word` somewhere. */
static bool says(const uint8_t *text, size_t size, const char *word)
{
    return memmem(text, size, word, strlen(word)) != NULL;
}

static int check_vmdk(const uint8_t *head, size_t size, const char *name, struct vios_error *error)
{
    static const char *const OTHERS = "the vmdk has its extents in other files";
    static const char *const ONE_FILE = "convert it to one file";
    if (size < SECTOR) {
        return refuse(name, NULL, "the vmdk header is cut", error);
    }
    uint64_t at = little(head + 28, 8);
    if (little(head + 12, 8) == 0) { /* a reader would go by the text alone */
        return refuse(name, ONE_FILE, OTHERS, error);
    }
    if (at == 0 || at >= size / SECTOR) {
        return refuse(name, NULL, "the vmdk has no description at its beginning", error);
    }
    const uint8_t *text = head + at * SECTOR;
    size_t length = size - (size_t)at * SECTOR;
    length = length < VMDK_TEXT_MAX ? length : VMDK_TEXT_MAX;
    if (says(text, length, "parentFileNameHint")) {
        return refuse(name, "flatten it with: qemu-img convert -O vmdk",
                      "the vmdk has a backing file", error);
    }
    if (!says(text, length, "createType=\"monolithicSparse\"") &&
        !says(text, length, "createType=\"streamOptimized\"")) {
        return refuse(name, ONE_FILE, OTHERS, error);
    }
    return VIOS_OK;
}

static int check_vhd(const uint8_t *footer, size_t size, const char *name, struct vios_error *error)
{
    if (size < SECTOR) {
        return refuse(name, NULL, "the vhd header is cut", error);
    }
    uint64_t type = big(footer + 60, 4);
    return type == VHD_FIXED || type == VHD_DYNAMIC
               ? VIOS_OK
               : refuse(name, "flatten it first",
                        "the vhd is neither fixed nor dynamic: it needs "
                        "another file",
                        error);
}

int disk_header_check(const uint8_t *head, size_t head_size, const uint8_t *tail, size_t tail_size,
                      const char *name, enum disk_format *format, struct vios_error *error)
{
    static const char VMDK_TEXT[] = "# Disk DescriptorFile";
    *format = DISK_RAW;
    if (begins(head, head_size, "QFI\xfb", 4)) {
        *format = DISK_QCOW2;
        return check_qcow2(head, head_size, name, error);
    }
    if (begins(head, head_size, "KDMV", 4)) {
        *format = DISK_VMDK;
        return check_vmdk(head, head_size, name, error);
    }
    if (begins(head, head_size, VMDK_TEXT, strlen(VMDK_TEXT)) ||
        begins(head, head_size, "COWD", 4)) {
        *format = DISK_VMDK;
        return refuse(name, "convert it to one file", "the vmdk has its extents in other files",
                      error);
    }
    if (begins(head, head_size, "vhdxfile", 8)) {
        *format = DISK_VHDX;
        return VIOS_OK;
    }
    if (begins(head, head_size, "conectix", 8)) {
        *format = DISK_VHD;
        return check_vhd(head, head_size, name, error);
    }
    if (begins(tail, tail_size, "conectix", 8)) {
        *format = DISK_VHD;
        return check_vhd(tail, tail_size, name, error);
    }
    return VIOS_OK;
}
