/* files.h - writes a hibernation file into the test's folder, and opens it. */
#ifndef TESTS_UNIT_HIBERNATION_FILES_H
#define TESTS_UNIT_HIBERNATION_FILES_H

#include "hibernation/reader.h"
#include "hibernation/writer.h"
#include "tests/hibernation_file.h"
#include "tests/tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)
#define FILE_NAME "web1.6"

static int folder_fd;
static struct operation operation;

static struct hibernation_writer *begin_file(bool encrypted)
{
    struct hibernation_writer *writer = NULL;
    struct hibernation_writing writing = {.folder_fd = folder_fd,
                                          .name = FILE_NAME,
                                          .header = file_header(encrypted),
                                          .configuration = CONFIGURATION,
                                          .key = &FILE_KEY,
                                          .workers = 2};
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = hibernation_writer_begin(&writer, &writing, &operation.error);
    ok(status == VIOS_OK, "%s", operation.error.message);
    return writer;
}

static int put(struct hibernation_writer *writer, enum hibernation_kind kind, const void *data,
               size_t size)
{
    int status = hibernation_writer_write(writer, kind, data, size, &operation);
    ok(status == VIOS_OK, "%s", operation.error.message);
    return status;
}

/* A file of a stream and pages. */
__attribute__((unused)) static uint64_t make_file(bool encrypted, const void *stream,
                                                  size_t stream_size, const void *pages,
                                                  size_t pages_size)
{
    uint64_t size = 0;
    struct hibernation_writer *writer = begin_file(encrypted);
    put(writer, HIBERNATION_STREAM, stream, stream_size);
    put(writer, HIBERNATION_PAGES, pages, pages_size);
    int status = hibernation_writer_finish(writer, &size, &operation);
    ok(status == VIOS_OK, "%s", operation.error.message);
    return size;
}

static struct hibernation_expected expected; /* as usual_reading() has it, to be changed */

static struct hibernation_reading usual_reading(void)
{
    expected = (struct hibernation_expected){.name = "web1",
                                             .cluster = CLUSTER_UUID,
                                             .lpar = LPAR_UUID,
                                             .generation = 6,
                                             .memory_bytes = MEMORY_BYTES,
                                             .machine = "pc-i440fx-7.2"};
    return (struct hibernation_reading){.folder_fd = folder_fd,
                                        .name = FILE_NAME,
                                        .expected = &expected,
                                        .keys = &FILE_KEY,
                                        .key_count = 1,
                                        .workers = 2};
}

__attribute__((unused)) static struct hibernation_reader *open_usual(void)
{
    struct hibernation_reader *reader;
    struct hibernation_reading reading = usual_reading();
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status = hibernation_reader_open(&reader, &reading, &operation.error);
    ok(status == VIOS_OK, "%s", operation.error.message);
    return reader;
}

/* How many files the folder has. */
__attribute__((unused)) static int count_files(void)
{
    int count = 0;
    DIR *folder = opendir(tap_folder());
    for (struct dirent *entry; (entry = readdir(folder));) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(folder);
    return count;
}

/* Bytes that do not compress, the same each time. */
__attribute__((unused)) static void fill_noise(uint8_t *data, size_t size)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[i] = (uint8_t)(state >> 32);
    }
}

__attribute__((unused)) static void fill_text(uint8_t *data, size_t size)
{
    char line[64] = "";
    for (size_t i = 0, at = 0; i < size; i++, at++) {
        if (!line[at]) {
            at = 0;
            snprintf(line, sizeof line, "line %zu of a text that compresses\n", i);
        }
        data[i] = (uint8_t)line[at];
    }
}

#endif
