/*
 * hibernation_file.c - writes a hibernation file from stdin, and reads one to stdout, to measure
 * and to try it out. Its key is no secret.
 *
 *   hibernation_file write FILE [--encrypt] [--workers N] <DATA
 *   hibernation_file read FILE [--workers N] >DATA
 *   hibernation_file verify FILE [--workers N]
 */
#include "base/clock.h"
#include "hibernation/reader.h"
#include "hibernation/writer.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UUID "00000000-0000-4000-8000-000000000001"
#define CONFIGURATION                                                                              \
    "{\"v\":1,\"hash\":\"0000000000000000000000000000000000000000000000000000000000000000\","      \
    "\"spec\":{}}"
#define PIPE_SIZE (1 << 20)

struct words {
    const char *what, *file;
    bool encrypt;
    unsigned workers;
};

static const struct hibernation_key KEY = {.id = 1, .bytes = "not a secret"};

static int write_file(const struct words *words, struct operation *operation)
{
    struct hibernation_writer *writer;
    struct hibernation_writing writing = {
        .folder_fd = AT_FDCWD,
        .name = words->file,
        .header = {.cluster = UUID,
                   .lpar = UUID,
                   .name = "measured",
                   .node = "n1",
                   .generation = 1,
                   .memory_bytes = 1 << 20,
                   .machine = "none",
                   .qemu = "none",
                   .created_ms = clock_wall_ms(),
                   .encrypted = words->encrypt},
        .configuration = CONFIGURATION,
        .key = &KEY,
        .workers = words->workers,
    };
    writing.folder_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = hibernation_writer_begin(&writer, &writing, &operation->error);
    if (status == VIOS_OK) {
        status = hibernation_writer_drain(writer, HIBERNATION_STREAM, STDIN_FILENO, operation);
        if (status == VIOS_OK) {
            status = hibernation_writer_finish(writer, NULL, operation);
        } else {
            hibernation_writer_abandon(writer);
        }
    }
    close(writing.folder_fd);
    return status;
}

static int read_file(const struct words *words, struct operation *operation)
{
    struct hibernation_reader *reader;
    struct hibernation_reading reading = {.folder_fd = AT_FDCWD,
                                          .name = words->file,
                                          .keys = &KEY,
                                          .key_count = 1,
                                          .workers = words->workers};
    int status = hibernation_reader_open(&reader, &reading, &operation->error);
    if (status == VIOS_OK && strcmp(words->what, "verify") == 0) {
        status = hibernation_reader_verify(reader, operation);
    } else if (status == VIOS_OK) {
        status = hibernation_reader_stream_to(reader, HIBERNATION_STREAM, STDOUT_FILENO, operation);
    }
    hibernation_reader_close(reader);
    return status;
}

static bool take_words(int count, char **texts, struct words *words)
{
    static const struct option OPTIONS[] = {
        {"encrypt", no_argument, NULL, 'e'}, {"workers", required_argument, NULL, 'w'}, {0}};
    int option;
    while ((option = getopt_long(count, texts, "", OPTIONS, NULL)) != -1) {
        if (option == 'e') {
            words->encrypt = true;
        } else if (option == 'w') {
            words->workers = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            return false;
        }
    }
    if (count - optind != 2) {
        return false;
    }
    words->what = texts[optind];
    words->file = texts[optind + 1];
    return strcmp(words->what, "write") == 0 || strcmp(words->what, "read") == 0 ||
           strcmp(words->what, "verify") == 0;
}

int main(int count, char **texts)
{
    struct words words = {0};
    struct operation operation;
    char line[1024];
    if (!take_words(count, texts, &words)) {
        fprintf(stderr,
                "usage: hibernation_file write|read|verify FILE [--encrypt] [--workers N]\n");
        return 2;
    }
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    fcntl(strcmp(words.what, "write") == 0 ? STDIN_FILENO : STDOUT_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    int status = strcmp(words.what, "write") == 0 ? write_file(&words, &operation)
                                                  : read_file(&words, &operation);
    if (status < 0) {
        fprintf(stderr, "hibernation_file: %s\n",
                error_format(&operation.error, line, sizeof line));
    }
    return status < 0 ? 1 : 0;
}
