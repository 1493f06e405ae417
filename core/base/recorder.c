/*
 * recorder.c - the ring in a mapped file.
 *
 * The file: one header of HEADER_SIZE bytes, then the slots. A slot whose sequence is 0 is empty
 * or being written. The kernel writes the pages back whether or not the process lives on.
 */
#include "base/recorder.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x313052534f495600) /* "\0VIOSR01" */
#define HEADER_SIZE 4096
#define SLOTS_MAX (1u << 20)

struct header {
    uint64_t magic;
    uint64_t slots;
    _Atomic uint64_t next; /* the sequence number of the next entry, from 1 */
};

struct slot {
    _Atomic uint64_t sequence;
    int64_t wall_ms;
    int64_t boot_ms;
    char part[16];
    char text[200];
};

struct recorder {
    struct header *header;
    struct slot *slots;
    size_t size;
};

static size_t file_size(uint64_t slots)
{
    return HEADER_SIZE + (size_t)slots * sizeof(struct slot);
}

static bool fits(const struct header *header, size_t size)
{
    return size >= HEADER_SIZE && header->magic == MAGIC && header->slots >= 1 &&
           header->slots <= SLOTS_MAX && file_size(header->slots) == size;
}

static int map(struct recorder *recorder, int fd, size_t size, int protection,
               struct vios_error *error)
{
    void *address = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) {
        return error_set_errno(error, NULL, "mmap of the flight recorder");
    }
    recorder->header = address;
    recorder->slots = (struct slot *)((char *)address + HEADER_SIZE);
    recorder->size = size;
    return VIOS_OK;
}

/* An existing ring of this size is gone on with; anything else makes way. */
static int open_file(const char *path, size_t slots, bool *fresh, struct vios_error *error)
{
    struct header header = {0};
    struct stat status;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &status) != 0) {
        goto failed;
    }
    *fresh = status.st_size == 0;
    if (!*fresh && (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
                    !fits(&header, (size_t)status.st_size) || header.slots != slots)) {
        char old[4096];
        snprintf(old, sizeof old, "%s.old", path);
        close(fd);
        if (rename(path, old) != 0) {
            return error_set_errno(error, path, "cannot be put aside");
        }
        *fresh = true;
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0 || (*fresh && ftruncate(fd, (off_t)file_size(slots)) != 0)) {
        goto failed;
    }
    return fd;
failed:;
    int code = error_set_errno(error, path, "cannot be opened");
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

int recorder_open(struct recorder **recorder, const char *path, size_t slots,
                  struct vios_error *error)
{
    bool fresh = false;
    if (slots < 1 || slots > SLOTS_MAX) {
        return error_set(error, VIOS_E_INVALID, path, NULL, "%zu slots", slots);
    }
    struct recorder *made = calloc(1, sizeof *made);
    if (!made) {
        return error_no_memory(error, path);
    }
    int fd = open_file(path, slots, &fresh, error);
    int status = fd < 0 ? fd : map(made, fd, file_size(slots), PROT_READ | PROT_WRITE, error);
    if (fd >= 0) {
        close(fd);
    }
    if (status != VIOS_OK) {
        free(made);
        return status;
    }
    if (fresh) {
        made->header->slots = slots;
        atomic_store(&made->header->next, 1);
        made->header->magic = MAGIC;
    }
    *recorder = made;
    return VIOS_OK;
}

void recorder_close(struct recorder *recorder)
{
    if (recorder) {
        munmap(recorder->header, recorder->size);
        free(recorder);
    }
}

void recorder_note(struct recorder *recorder, const char *part, const char *format, ...)
{
    if (!recorder) {
        return;
    }
    uint64_t sequence = atomic_fetch_add(&recorder->header->next, 1);
    struct slot *slot = &recorder->slots[sequence % recorder->header->slots];
    atomic_store(&slot->sequence, 0);
    slot->wall_ms = clock_wall_ms();
    slot->boot_ms = clock_now_ms();
    snprintf(slot->part, sizeof slot->part, "%s", part);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(slot->text, sizeof slot->text, format, arguments);
    va_end(arguments);
    atomic_store(&slot->sequence, sequence);
}

/* False for a slot that is empty, or was being written while we copied it. */
static bool copy_slot(struct slot *slot, struct recorder_entry *entry)
{
    uint64_t before = atomic_load(&slot->sequence);
    entry->sequence = before;
    entry->wall_ms = slot->wall_ms;
    entry->boot_ms = slot->boot_ms;
    memcpy(entry->part, slot->part, sizeof entry->part);
    memcpy(entry->text, slot->text, sizeof entry->text);
    entry->part[sizeof entry->part - 1] = '\0';
    entry->text[sizeof entry->text - 1] = '\0';
    return before != 0 && atomic_load(&slot->sequence) == before;
}

int recorder_read(const char *path, void (*each)(void *context, const struct recorder_entry *),
                  void *context, struct vios_error *error)
{
    struct recorder ring = {0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int code = error_set_errno(error, path, "cannot be read");
        if (fd >= 0) {
            close(fd);
        }
        return code;
    }
    if (status.st_size < HEADER_SIZE) {
        close(fd);
        return error_set(error, VIOS_E_CORRUPT, path, NULL, "is not a flight recorder");
    }
    int code = map(&ring, fd, (size_t)status.st_size, PROT_READ, error);
    close(fd);
    if (code != VIOS_OK) {
        return code;
    }
    if (!fits(ring.header, ring.size)) {
        munmap(ring.header, ring.size);
        return error_set(error, VIOS_E_CORRUPT, path, NULL, "is not a flight recorder");
    }
    uint64_t next = atomic_load(&ring.header->next), count = ring.header->slots;
    for (uint64_t sequence = next > count ? next - count : 1; sequence < next; sequence++) {
        struct recorder_entry entry;
        if (copy_slot(&ring.slots[sequence % count], &entry) && entry.sequence >= sequence) {
            each(context, &entry);
        }
    }
    munmap(ring.header, ring.size);
    return VIOS_OK;
}
