/*
 * test_file.c - what goes into a hibernation file comes out of it: of any size and content, in any
 * pieces, encrypted or not; what is said of it too; and what cannot be written leaves nothing.
 */
#include "base/file.h"
#include "hibernation/configuration.h"
#include "hibernation/footer.h"
#include "tests/file_limit.h"
#include "tests/loop_mount.h"
#include "tests/synced.h"
#include "tests/unit/hibernation/files.h"

#include <pthread.h>

struct collected {
    const uint8_t *want;
    size_t size, at;
    bool same;
};

static int collect(void *context, const void *data, size_t size, struct operation *unused)
{
    struct collected *collected = context;
    (void)unused;
    collected->same = collected->same && collected->at + size <= collected->size &&
                      memcmp(collected->want + collected->at, data, size) == 0;
    collected->at += size;
    return VIOS_OK;
}

static void comes_out(struct hibernation_reader *reader, enum hibernation_kind kind,
                      const uint8_t *want, size_t size)
{
    struct collected collected = {.want = want, .size = size, .same = true};
    int status = hibernation_reader_stream(reader, kind, collect, &collected, &operation);
    ok(status == VIOS_OK, "%s", operation.error.message);
    is_int(collected.at, size);
    ok(collected.same, "other bytes");
}

/* Through a file and back. */
static void round_trip(bool encrypted, const uint8_t *stream, size_t stream_size,
                       const uint8_t *pages, size_t pages_size)
{
    struct hibernation_sizes sizes;
    uint64_t size = make_file(encrypted, stream, stream_size, pages, pages_size);
    struct hibernation_reader *reader = open_usual();
    if (!reader) {
        return;
    }
    hibernation_reader_sizes(reader, &sizes);
    is_int(sizes.stream_bytes, stream_size);
    is_int(sizes.pages_bytes, pages_size);
    is_int(sizes.stored_bytes, size);
    is_int(sizes.blocks, (stream_size + MIB - 1) / MIB + (pages_size + MIB - 1) / MIB);
    is_int(hibernation_reader_verify(reader, &operation), VIOS_OK);
    comes_out(reader, HIBERNATION_STREAM, stream, stream_size);
    comes_out(reader, HIBERNATION_PAGES, pages, pages_size);
    hibernation_reader_close(reader);
    is_int(count_files(), 1);
}

static const size_t SIZES[] = {0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17};
#define SIZE_COUNT (sizeof SIZES / sizeof SIZES[0])
#define LARGEST (3 * MIB + 17)

static void all_sizes(void (*fill)(uint8_t *, size_t))
{
    uint8_t *data = calloc(1, LARGEST);
    if (fill) {
        fill(data, LARGEST);
    }
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (int encrypted = 0; encrypted < 2; encrypted++) {
            round_trip(encrypted, data, SIZES[i], data + 5, SIZES[SIZE_COUNT - 1 - i] / 2);
        }
    }
    free(data);
}

static void text_comes_back(void)
{
    all_sizes(fill_text);
}

static void noise_comes_back(void)
{
    all_sizes(fill_noise);
}

static void zeroes_come_back_and_take_nothing(void)
{
    static const uint8_t zeroes[3 * MIB];
    all_sizes(NULL);
    ok(make_file(false, zeroes, sizeof zeroes, zeroes, 0) < 1000, "zeroes take room");
}

static void many_blocks_come_back(void)
{
    size_t size = 40 * MIB + 3;
    uint8_t *data = calloc(1, size);
    for (size_t i = 0; i < 40; i += 3) { /* text, noise, zeroes, and again */
        fill_text(data + i * MIB, MIB);
        fill_noise(data + (i + 1) * MIB, i + 1 < 40 ? MIB : 3);
    }
    round_trip(false, data, size, data, size / 2);
    round_trip(true, data, size, data, size / 2);
    free(data);
}

/* Who found blocks that do not compress looks again at each, and sees those that do. */
static void text_after_noise_is_compressed(void)
{
    size_t size = 64 * MIB;
    uint8_t *data = malloc(size);
    fill_noise(data, size / 2);
    fill_text(data + size / 2, size / 2);
    round_trip(false, data, size, data, 0);
    uint64_t stored = make_file(false, data, size, data, 0);
    ok(stored > size / 2 && stored < size / 2 + 4 * MIB, "%llu bytes", (unsigned long long)stored);
    free(data);
}

static void any_pieces_make_the_same_file(void)
{
    size_t size = 2 * MIB + 100, step = 1;
    uint8_t *data = malloc(size);
    fill_text(data, size);
    struct hibernation_writer *writer = begin_file(false);
    for (size_t at = 0; at < size; at += step, step = step * 7 % 300007 + 1) {
        put(writer, HIBERNATION_STREAM, data + at, step < size - at ? step : size - at);
    }
    is_int(hibernation_writer_finish(writer, NULL, &operation), VIOS_OK);
    struct hibernation_reader *reader = open_usual();
    comes_out(reader, HIBERNATION_STREAM, data, size);
    hibernation_reader_close(reader);
    free(data);
}

/* --- pipes --- */

struct feed {
    int fd;
    const uint8_t *data;
    size_t size;
};

static void *feed(void *argument)
{
    struct feed *what = argument;
    file_write_all(what->fd, what->data, what->size, NULL);
    close(what->fd);
    return NULL;
}

static void a_pipe_is_drained(void)
{
    int ends[2];
    pthread_t thread;
    size_t size = 3 * MIB + 5;
    uint8_t *data = malloc(size);
    fill_text(data, size);
    is_int(pipe2(ends, O_CLOEXEC), 0);
    struct feed what = {ends[1], data, size};
    struct hibernation_writer *writer = begin_file(true);
    pthread_create(&thread, NULL, feed, &what);
    is_int(hibernation_writer_drain(writer, HIBERNATION_STREAM, ends[0], &operation), VIOS_OK);
    put(writer, HIBERNATION_PAGES, "page", 4); /* the block begun for the stream's end is taken */
    pthread_join(thread, NULL);
    close(ends[0]);
    is_int(hibernation_writer_finish(writer, NULL, &operation), VIOS_OK);
    struct hibernation_reader *reader = open_usual();
    comes_out(reader, HIBERNATION_STREAM, data, size);
    comes_out(reader, HIBERNATION_PAGES, (const uint8_t *)"page", 4);
    hibernation_reader_close(reader);
    free(data);
}

static void *swallow(void *argument)
{
    struct feed *what = argument;
    uint8_t *got = malloc(what->size + 1);
    size_t at = 0;
    for (ssize_t part; (part = read(what->fd, got + at, what->size + 1 - at)) > 0;) {
        at += (size_t)part;
    }
    what->data = got;
    what->size = at;
    return NULL;
}

static void it_is_delivered_into_a_pipe(void)
{
    int ends[2];
    pthread_t thread;
    size_t size = 2 * MIB + 5;
    uint8_t *data = malloc(size);
    fill_noise(data, size);
    make_file(false, data, size, "", 0);
    is_int(pipe2(ends, O_CLOEXEC), 0);
    struct feed what = {.fd = ends[0], .size = size};
    struct hibernation_reader *reader = open_usual();
    pthread_create(&thread, NULL, swallow, &what);
    int status = hibernation_reader_stream_to(reader, HIBERNATION_STREAM, ends[1], &operation);
    ok(status == VIOS_OK, "%s", operation.error.message);
    ok(!(fcntl(ends[1], F_GETFL) & O_NONBLOCK), "the pipe is left non-blocking");
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    is_int(what.size, size);
    is_int(memcmp(what.data, data, size), 0);
    hibernation_reader_close(reader);
    free((void *)what.data);
    free(data);
}

static void a_pipe_that_takes_no_more_is_given_up(void)
{
    int ends[2];
    static const uint8_t zeroes[2 * MIB];
    make_file(false, zeroes, sizeof zeroes, "", 0);
    is_int(pipe2(ends, O_CLOEXEC), 0);
    struct hibernation_reader *reader = open_usual();
    operation_start(&operation, 50, NULL);
    is_int(hibernation_reader_stream_to(reader, HIBERNATION_STREAM, ends[1], &operation),
           VIOS_E_TIMEOUT);
    hibernation_reader_close(reader);
    close(ends[0]);
    close(ends[1]);
}

static int refuse(void *context, const void *data, size_t size, struct operation *asked)
{
    (void)data;
    (void)size;
    ++*(int *)context;
    return operation_fail(asked, VIOS_E_IO, "QEMU", NULL, "it ended");
}

static void what_the_sink_says_ends_it(void)
{
    static const uint8_t zeroes[4 * MIB];
    int calls = 0;
    make_file(false, zeroes, sizeof zeroes, "", 0);
    struct hibernation_reader *reader = open_usual();
    is_int(hibernation_reader_stream(reader, HIBERNATION_STREAM, refuse, &calls, &operation),
           VIOS_E_IO);
    is_text(operation.error.object, "QEMU");
    is_int(calls, 1);
    hibernation_reader_close(reader);
}

/* --- what is said of it --- */

static void its_header_and_configuration_come_back(void)
{
    struct hibernation_header want = file_header(true);
    struct hibernation_configuration configuration;
    make_file(true, "abc", 3, "", 0);
    struct hibernation_reader *reader = open_usual();
    const struct hibernation_header *got = hibernation_reader_header(reader);
    is_text(got->cluster, want.cluster);
    is_text(got->lpar, want.lpar);
    is_text(got->name, want.name);
    is_text(got->node, want.node);
    is_int(got->incarnation, want.incarnation);
    is_int(got->generation, want.generation);
    is_int(got->memory_bytes, want.memory_bytes);
    is_text(got->machine, want.machine);
    is_text(got->qemu, want.qemu);
    is_int(got->created_ms, want.created_ms);
    is_int(got->encrypted, true);
    is_int(got->key_id, FILE_KEY.id);
    is_int(parse_uuid(got->file, NULL), VIOS_OK);
    const char *text = hibernation_reader_configuration(reader);
    is_text(text, CONFIGURATION);
    is_int(hibernation_configuration_parse(text, strlen(text), &configuration, NULL), VIOS_OK);
    is_text(configuration.hash, ADAPTER_HASH);
    is_int(json_integer_value(json_object_get(configuration.spec, "cpus")), 1);
    hibernation_configuration_clear(&configuration);
    hibernation_reader_close(reader);
}

static void what_is_encrypted_does_not_show(void)
{
    static const char secret[] = "correct horse battery staple";
    char *data;
    size_t size;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        make_file(encrypted, secret, sizeof secret, "", 0);
        is_int(file_read(folder_fd, FILE_NAME, MIB, &data, &size, NULL), VIOS_OK);
        bool shows = memmem(data, size, secret, sizeof secret) != NULL;
        ok(shows != encrypted, "encrypted: %d", encrypted);
        free(data);
    }
}

static void only_its_owner_may_read_it(void)
{
    struct stat status;
    make_file(false, "abc", 3, "", 0);
    is_int(fstatat(folder_fd, FILE_NAME, &status, 0), 0);
    is_int(status.st_mode & 0777, 0600);
}

static void progress_is_counted(void)
{
    struct hibernation_progress progress;
    uint8_t *data = malloc(3 * MIB);
    fill_text(data, 3 * MIB);
    uint64_t size = make_file(false, data, 3 * MIB, data, 5);
    struct hibernation_reader *reader = open_usual();
    is_int(hibernation_reader_verify(reader, &operation), VIOS_OK);
    hibernation_reader_progress(reader, &progress);
    is_int(progress.plain_bytes, 3 * MIB + 5);
    is_int(progress.blocks, 4);
    ok(progress.stored_bytes > 0 && progress.stored_bytes < size, "%llu",
       (unsigned long long)progress.stored_bytes);
    hibernation_reader_close(reader);
    free(data);
}

static void a_configuration_is_made(void)
{
    struct vios_error error;
    char *text = NULL;
    json_t *spec = json_pack("{s:i}", "cpus", 1);
    is_int(hibernation_configuration_format(spec, ADAPTER_HASH, &text, &error), VIOS_OK);
    is_text(text, CONFIGURATION);
    free(text);
    is_int(hibernation_configuration_format(spec, "short", &text, &error), VIOS_E_CORRUPT);
    is_text(error.message, "its configuration is wrong: hash is no SHA-256");
    ok(!text, "a text is left");
    json_decref(spec);
}

/* --- what cannot be written --- */

static void bad_words_are_refused(void)
{
    struct hibernation_writer *writer;
    struct hibernation_writing good = {.folder_fd = folder_fd,
                                       .name = FILE_NAME,
                                       .header = file_header(false),
                                       .configuration = CONFIGURATION,
                                       .key = &FILE_KEY};
    struct hibernation_writing writing = good;
    struct vios_error error;
    writing.header.generation = 0;
    is_int(hibernation_writer_begin(&writer, &writing, &error), VIOS_E_INVALID);
    is_text(error.object, "hibernation of \"web1\"");
    is_text(error.message, "the generation of its header is wrong");
    writing = good;
    writing.configuration = "{}";
    is_int(hibernation_writer_begin(&writer, &writing, &error), VIOS_E_CORRUPT);
    is_text(error.message, "its configuration is wrong: v is not 1");
    writing = good;
    writing.name = "../web1";
    is_int(hibernation_writer_begin(&writer, &writing, &error), VIOS_E_INVALID);
    is_text(error.message, "cannot have the name ../web1");
    writing = good;
    writing.folder_fd = -1;
    is_int(hibernation_writer_begin(&writer, &writing, &error), VIOS_E_SYSTEM);
    ok(!writer, "a writer is left");
    is_int(count_files(), 0);
}

static void pages_follow_the_stream(void)
{
    struct hibernation_writer *writer = begin_file(false);
    put(writer, HIBERNATION_PAGES, "page", 4);
    is_int(hibernation_writer_write(writer, HIBERNATION_STREAM, "late", 4, &operation),
           VIOS_E_USAGE);
    is_text(operation.error.message, "the stream comes before the pages");
    is_int(hibernation_writer_finish(writer, NULL, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "bytes of it are missing");
    is_int(count_files(), 0);
}

/* With the file as large as `limit`, nothing of it is left. */
static void cannot_be_larger(rlim_t limit, const uint8_t *data, size_t size)
{
    struct hibernation_writer *writer = begin_file(false);
    limit_files(limit);
    int status = hibernation_writer_write(writer, HIBERNATION_STREAM, data, size, &operation);
    if (status == VIOS_OK) {
        status = hibernation_writer_finish(writer, NULL, &operation);
    } else {
        hibernation_writer_abandon(writer);
    }
    limit_files(RLIM_INFINITY);
    is_int(status, VIOS_E_SYSTEM);
    is_text(operation.error.object, "hibernation of \"web1\"");
    is_text(operation.error.message, "cannot be written: File too large");
    is_int(count_files(), 0);
}

static void a_file_that_cannot_be_written_is_gone(void)
{
    size_t size = 30 * MIB;
    uint8_t *data = malloc(size);
    fill_noise(data, size);
    uint64_t whole = make_file(false, data, 2 * MIB, "", 0);
    is_int(unlinkat(folder_fd, FILE_NAME, 0), 0);
    cannot_be_larger(5 * MIB + 1000, data, size); /* while there are more bytes to come */
    cannot_be_larger(whole - 1, data, 2 * MIB);   /* the trailer's last byte */
    cannot_be_larger(whole - sizeof(struct hibernation_wire_trailer) - 50, data, 2 * MIB);
    free(data);
}

/* The other folder is a file system of 4 MiB. */
static void a_full_disk_says_so(void)
{
    char small[128], image[1] = "";
    size_t size = 8 * MIB;
    int whole_folder = folder_fd;
    uint8_t *data = malloc(size);
    snprintf(small, sizeof small, "%s/small", tap_folder());
    mkdir(small, 0700);
    if (!loop_shell("mount -t tmpfs -o size=4m none \"$2\"", image, small)) {
        rmdir(small);
        free(data);
        SKIP("no mount: this needs root");
    }
    folder_fd = open(small, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fill_noise(data, size);
    struct hibernation_writer *writer = begin_file(false);
    int status = hibernation_writer_write(writer, HIBERNATION_STREAM, data, size, &operation);
    if (status == VIOS_OK) {
        status = hibernation_writer_finish(writer, NULL, &operation);
    } else {
        hibernation_writer_abandon(writer);
    }
    is_int(status, VIOS_E_NO_SPACE);
    is_text(operation.error.object, "hibernation of \"web1\"");
    is_text(operation.error.message, "cannot be written: No space left on device");
    is_text(operation.error.hint, "make room in the repository");
    close(folder_fd);
    folder_fd = whole_folder;
    ok(loop_shell("[ -z \"$(ls -A \"$2\")\" ] && umount \"$2\"", image, small), "umount");
    is_int(rmdir(small), 0);
    free(data);
}

static void it_is_on_the_disk_before_it_has_its_name(void)
{
    synced_begin(tap_folder());
    make_file(false, "abc", 3, "", 0);
    is_text(synced(), "temporary rename:" FILE_NAME " folder");
}

static void one_that_was_there_stays_until_the_end(void)
{
    make_file(false, "old", 3, "", 0);
    struct hibernation_writer *writer = begin_file(false);
    put(writer, HIBERNATION_STREAM, "new", 3);
    is_int(count_files(), 2);
    hibernation_writer_abandon(writer);
    is_int(count_files(), 1);
    struct hibernation_reader *reader = open_usual();
    comes_out(reader, HIBERNATION_STREAM, (const uint8_t *)"old", 3);
    hibernation_reader_close(reader);
}

static void a_cancel_ends_writing(void)
{
    static const uint8_t zeroes[2 * MIB];
    struct cancel *cancel = cancel_new();
    struct hibernation_writer *writer = begin_file(false);
    operation.cancel = cancel;
    put(writer, HIBERNATION_STREAM, zeroes, sizeof zeroes);
    cancel_trigger(cancel);
    is_int(hibernation_writer_write(writer, HIBERNATION_STREAM, zeroes, 1, &operation),
           VIOS_E_CANCELLED);
    is_int(hibernation_writer_finish(writer, NULL, &operation), VIOS_E_INVALID);
    is_int(count_files(), 0);
    cancel_free(cancel);
}

static void a_cancel_ends_finishing(void)
{
    struct cancel *cancel = cancel_new();
    struct hibernation_writer *writer = begin_file(false);
    operation.cancel = cancel;
    put(writer, HIBERNATION_STREAM, "abc", 3);
    cancel_trigger(cancel);
    is_int(hibernation_writer_finish(writer, NULL, &operation), VIOS_E_CANCELLED);
    is_text(operation.error.object, "hibernation of \"web1\"");
    is_int(count_files(), 0);
    cancel_free(cancel);
}

static void a_cancel_ends_the_wait_for_bytes(void)
{
    int ends[2];
    is_int(pipe2(ends, O_CLOEXEC), 0);
    struct hibernation_writer *writer = begin_file(false);
    operation_start(&operation, 50, NULL);
    is_int(hibernation_writer_drain(writer, HIBERNATION_STREAM, ends[0], &operation),
           VIOS_E_TIMEOUT);
    hibernation_writer_abandon(writer);
    is_int(count_files(), 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_cancel_ends_reading(void)
{
    static const uint8_t zeroes[2 * MIB];
    struct cancel *cancel = cancel_new();
    make_file(false, zeroes, sizeof zeroes, "", 0);
    struct hibernation_reader *reader = open_usual();
    operation.cancel = cancel;
    cancel_trigger(cancel);
    is_int(hibernation_reader_verify(reader, &operation), VIOS_E_CANCELLED);
    hibernation_reader_close(reader);
    cancel_free(cancel);
}

static void blocks_have_a_limit(void)
{
    struct hibernation_footer footer = {.count = HIBERNATION_BLOCKS_MAX};
    struct hibernation_entry entry = {.kind = HIBERNATION_STREAM};
    struct vios_error error;
    is_int(hibernation_footer_add(&footer, &entry, &error), VIOS_E_NO_SPACE);
    is_text(error.message, "more than 4194304 blocks");
}

#define RUN_IN_EMPTY(function)                                                                     \
    unlinkat(folder_fd, FILE_NAME, 0);                                                             \
    RUN(function)

int main(void)
{
    folder_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RUN_IN_EMPTY(text_comes_back);
    RUN_IN_EMPTY(noise_comes_back);
    RUN_IN_EMPTY(zeroes_come_back_and_take_nothing);
    RUN_IN_EMPTY(many_blocks_come_back);
    RUN_IN_EMPTY(text_after_noise_is_compressed);
    RUN_IN_EMPTY(any_pieces_make_the_same_file);
    RUN_IN_EMPTY(a_pipe_is_drained);
    RUN_IN_EMPTY(it_is_delivered_into_a_pipe);
    RUN_IN_EMPTY(a_pipe_that_takes_no_more_is_given_up);
    RUN_IN_EMPTY(what_the_sink_says_ends_it);
    RUN_IN_EMPTY(its_header_and_configuration_come_back);
    RUN_IN_EMPTY(what_is_encrypted_does_not_show);
    RUN_IN_EMPTY(only_its_owner_may_read_it);
    RUN_IN_EMPTY(progress_is_counted);
    RUN_IN_EMPTY(a_configuration_is_made);
    RUN_IN_EMPTY(bad_words_are_refused);
    RUN_IN_EMPTY(pages_follow_the_stream);
    RUN_IN_EMPTY(a_file_that_cannot_be_written_is_gone);
    RUN_IN_EMPTY(a_full_disk_says_so);
    RUN_IN_EMPTY(it_is_on_the_disk_before_it_has_its_name);
    RUN_IN_EMPTY(one_that_was_there_stays_until_the_end);
    RUN_IN_EMPTY(a_cancel_ends_writing);
    RUN_IN_EMPTY(a_cancel_ends_finishing);
    RUN_IN_EMPTY(a_cancel_ends_the_wait_for_bytes);
    RUN_IN_EMPTY(a_cancel_ends_reading);
    RUN_IN_EMPTY(blocks_have_a_limit);
    close(folder_fd);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
