/* disk_format.c - see disk_format.h. */
#include "image/disk_format.h"

#include "base/json.h"
#include "image/qemu_img.h"
#include "storage/chunk_walk.h"
#include "storage/copy_error.h"
#include "storage/sparse_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INFO_MEMORY_BYTES (1UL << 30)
#define INFO_CPU_S 10
#define CHECK_LEAKS 3 /* exit status of qemu-img check: clusters that nobody uses, no harm */
#define CONVERT_MEMORY_BYTES (2UL << 30)
#define SOURCE_SIZE 160

static const char *const DRIVERS[DISK_FORMAT_COUNT] = {"raw", "qcow2", "vmdk", "vpc", "vhdx"};

/* The driver is always said, and nothing behind the file is opened. */
static void put_source(enum disk_format format, char source[SOURCE_SIZE])
{
    snprintf(source, SOURCE_SIZE,
             "json:{\"driver\":\"%s\",%s\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}",
             DRIVERS[format],
             format == DISK_QCOW2 || format == DISK_VMDK ? "\"backing\":null," : "", QEMU_IMG_FROM);
}

/* --- looking at it --- */

struct output {
    char text[QEMU_IMG_OUTPUT_MAX];
    size_t size;
};

static void collect(void *context, const char *text, size_t size)
{
    struct output *output = context;
    size_t room = sizeof output->text - output->size;
    size = size < room ? size : room;
    memcpy(output->text + output->size, text, size);
    output->size += size;
}

/* Runs qemu-img with a JSON answer, which is the caller's. `passes` as in struct qemu_img. */
static int ask(int fd, const char *name, const char *const *arguments, int passes, json_t **answer,
               struct operation *operation)
{
    struct output *output = calloc(1, sizeof *output);
    if (!output) {
        return operation_fail(operation, VIOS_E_NO_SPACE, NULL, NULL, "no memory");
    }
    struct qemu_img run = {.arguments = arguments,
                           .name = name,
                           .from = fd,
                           .to = -1,
                           .memory_bytes = INFO_MEMORY_BYTES,
                           .cpu_s = INFO_CPU_S,
                           .passes = passes,
                           .output = collect,
                           .context = output};
    int status = qemu_img_run(&run, operation);
    if (status == VIOS_OK) {
        *answer = json_loadb(output->text, output->size, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(*answer)) {
            json_decref(*answer);
            *answer = NULL;
            status = operation_fail(operation, VIOS_E_INVALID, name, NULL,
                                    "qemu-img gave no JSON of it");
        }
    }
    free(output);
    return status;
}

static int read_answer(const json_t *answer, const char *name, struct disk_info *info,
                       struct vios_error *error)
{
    const json_t *data = json_object_get(json_object_get(answer, "format-specific"), "data");
    json_int_t size = json_get_integer(answer, "virtual-size");
    const char *format = json_get_text(answer, "format");
    const char *why = NULL;
    if (!format || strcmp(format, DRIVERS[info->format]) != 0) {
        why = "it is of another format inside";
    } else if (json_object_get(answer, "backing-filename")) {
        why = "it has a backing file";
    } else if (json_object_get(data, "data-file")) {
        why = "it has an external data file";
    } else if (json_is_true(json_object_get(answer, "encrypted"))) {
        why = "it is encrypted";
    } else if (json_is_true(json_object_get(data, "corrupt"))) {
        why = "it is marked corrupt";
    } else if (size < 0 || (uint64_t)size > CHUNKS_SIZE_MAX) {
        why = "its virtual size is beyond 16 TiB";
    }
    if (why) {
        return error_set(error, VIOS_E_INVALID, name, NULL, "refused: %s", why);
    }
    info->virtual_size_bytes = (uint64_t)size;
    return VIOS_OK;
}

static int read_header(int fd, const char *name, struct disk_info *info, struct vios_error *error)
{
    uint8_t tail[DISK_TAIL_SIZE];
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return error_set_errno(error, name, "cannot look at it");
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(error, VIOS_E_INVALID, name, NULL, "is no regular file");
    }
    uint8_t *head = malloc(DISK_HEAD_SIZE);
    if (!head) {
        return error_set(error, VIOS_E_NO_SPACE, name, NULL, "no memory");
    }
    off_t end = status.st_size > DISK_TAIL_SIZE ? status.st_size - DISK_TAIL_SIZE : 0;
    ssize_t head_size = pread(fd, head, DISK_HEAD_SIZE, 0);
    ssize_t tail_size = pread(fd, tail, sizeof tail, end);
    int result = VIOS_OK;
    if (head_size < 0 || tail_size < 0) {
        result = error_set_errno(error, name, "cannot be read");
    } else {
        info->virtual_size_bytes = (uint64_t)status.st_size;
        info->allocated_bytes = (uint64_t)status.st_blocks * 512;
        result = disk_header_check(head, (size_t)head_size, tail, (size_t)tail_size, name,
                                   &info->format, error);
    }
    free(head);
    return result;
}

/* That its tables point to nothing behind its end, which QEMU would read as zeroes. */
static int check_tables(int fd, const char *name, const struct disk_info *info, const char *source,
                        struct operation *operation)
{
    json_t *answer = NULL;
    const char *const arguments[] = {"qemu-img", "check", "-U", "--output=json", source, NULL};
    if (info->format == DISK_VHD) {
        return VIOS_OK; /* qemu-img has no check for it */
    }
    int status = ask(fd, name, arguments, CHECK_LEAKS, &answer, operation);
    json_decref(answer);
    return status;
}

int disk_inspect(int fd, const char *name, struct disk_info *info, struct operation *operation)
{
    char source[SOURCE_SIZE];
    json_t *answer = NULL;
    *info = (struct disk_info){0};
    int status = operation_check(operation);
    if (status == VIOS_OK) {
        status = read_header(fd, name, info, &operation->error);
    }
    if (status < 0 || info->format == DISK_RAW) {
        return status;
    }
    put_source(info->format, source);
    const char *const arguments[] = {"qemu-img", "info", "-U", "--output=json", source, NULL};
    status = ask(fd, name, arguments, 0, &answer, operation);
    if (status == VIOS_OK) {
        status = read_answer(answer, name, info, &operation->error);
    }
    json_decref(answer);
    return status == VIOS_OK ? check_tables(fd, name, info, source, operation) : status;
}

int disk_look_again(int fd, const char *name, uint64_t virtual_size_bytes, struct disk_info *info,
                    struct vios_error *error)
{
    *info = (struct disk_info){0};
    int status = read_header(fd, name, info, error);
    if (status == VIOS_OK && info->format != DISK_RAW) {
        info->virtual_size_bytes = virtual_size_bytes;
    }
    return status;
}

/* --- converting --- */

struct conversion {
    int to;
    uint64_t size_bytes;
    struct chunks *chunks;
    const struct copy_progress *progress;
    char line[32]; /* of qemu-img's progress, as far as it came */
    size_t length;
};

static void tell(const struct conversion *conversion, uint64_t done)
{
    if (conversion->progress && conversion->progress->told) {
        conversion->progress->told(conversion->progress->context, done, 2 * conversion->size_bytes);
    }
}

/* "    (12.34/100%)\r" again and again. What was written is sent to the device meanwhile. */
static void follow_progress(void *context, const char *text, size_t size)
{
    struct conversion *conversion = context;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\r' && text[i] != '\n') {
            if (conversion->length < sizeof conversion->line - 1) {
                conversion->line[conversion->length++] = text[i];
            }
            continue;
        }
        conversion->line[conversion->length] = 0;
        conversion->length = 0;
        char *open = strchr(conversion->line, '(');
        double percent = open ? strtod(open + 1, NULL) : 0;
        if (percent > 0 && percent <= 100) {
            tell(conversion, (uint64_t)((double)conversion->size_bytes * percent / 100));
            sync_file_range(conversion->to, 0, 0, SYNC_FILE_RANGE_WRITE);
        }
    }
}

static void digesting(void *context, uint64_t done, uint64_t total)
{
    tell(context, total + done);
}

static int digest_chunk(void *context, size_t index, const uint8_t *data, size_t size,
                        struct vios_error *error)
{
    struct conversion *conversion = context;
    sync_file_range(conversion->to, (off_t)(index * CHUNK_SIZE), (off_t)size,
                    SYNC_FILE_RANGE_WRITE);
    return chunk_digest(data, size, conversion->chunks->digests + index * CHUNK_DIGEST_SIZE, error);
}

/* How much of the disk is data, for the error about a full file system. */
static uint64_t data_bytes(int from, const char *name, const struct disk_info *info,
                           const char *source, struct operation *operation)
{
    json_t *answer = NULL;
    const char *const arguments[] = {"qemu-img", "measure", "--output=json", "-O", "raw",
                                     source,     NULL};
    struct operation asking = *operation;
    uint64_t bytes = info->allocated_bytes;
    if (ask(from, name, arguments, 0, &answer, &asking) == VIOS_OK) {
        bytes = (uint64_t)json_get_integer(answer, "required");
    }
    json_decref(answer);
    return bytes;
}

static int run_convert(int from, const char *name, const struct disk_info *info,
                       struct conversion *conversion, struct operation *operation)
{
    char source[SOURCE_SIZE];
    put_source(info->format, source);
    const char *const arguments[] = {"qemu-img",
                                     "convert",
                                     "-p",
                                     "-n",
                                     "-W",
                                     "-m",
                                     "16",
                                     "--target-is-zero",
                                     "--target-image-opts",
                                     source,
                                     "driver=raw,file.driver=file,file.filename=" QEMU_IMG_TO,
                                     NULL};
    struct qemu_img run = {.arguments = arguments,
                           .name = name,
                           .from = from,
                           .to = conversion->to,
                           .memory_bytes = CONVERT_MEMORY_BYTES,
                           .output = follow_progress,
                           .context = conversion};
    int status = qemu_img_run(&run, operation);
    if (status == VIOS_E_NO_SPACE) {
        struct stat have = {0};
        uint64_t bytes = data_bytes(from, name, info, source, operation);
        fstat(conversion->to, &have);
        uint64_t written = (uint64_t)have.st_blocks * 512;
        status = copy_error_full(conversion->to, bytes > written ? bytes - written : 0,
                                 &operation->error);
    }
    return status;
}

static int convert_other(int from, const char *name, const struct disk_info *info,
                         struct conversion *conversion, struct operation *operation)
{
    struct copy_progress progress = {digesting, conversion};
    struct chunk_walk walk = {.fd = conversion->to,
                              .size_bytes = conversion->size_bytes,
                              .visit = digest_chunk,
                              .context = conversion};
    int status = VIOS_OK;
    if (ftruncate(conversion->to, 0) != 0 ||
        ftruncate(conversion->to, (off_t)conversion->size_bytes) != 0) {
        status = copy_error(conversion->to, "cannot set its size", 0, &operation->error);
    }
    if (status == VIOS_OK) {
        status = chunks_make(conversion->chunks, conversion->size_bytes, &operation->error);
    }
    if (status == VIOS_OK) {
        status = run_convert(from, name, info, conversion, operation);
    }
    if (status == VIOS_OK) {
        status = chunk_walk(&walk, &progress, operation);
    }
    if (status == VIOS_OK && fsync(conversion->to) != 0) {
        status = copy_error(conversion->to, "cannot sync", 0, &operation->error);
    }
    return status;
}

int disk_convert(int from, const char *name, const struct disk_info *info, int to,
                 struct chunks *chunks, const struct copy_progress *progress,
                 struct operation *operation)
{
    *chunks = (struct chunks){0};
    if (info->format == DISK_RAW) {
        return sparse_copy(from, to, info->virtual_size_bytes, chunks, progress, operation);
    }
    struct conversion conversion = {
        .to = to, .size_bytes = info->virtual_size_bytes, .chunks = chunks, .progress = progress};
    int status = convert_other(from, name, info, &conversion, operation);
    if (status < 0) {
        chunks_clear(chunks);
    }
    return status;
}
