/* test_file_backend.c - files as back ends: data, holes, locks, and what the gate holds back. */
#include "base/clock.h"
#include "nbd/server.h"
#include "storage/file_backend.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FILE_SIZE (1u << 20)
#define PATIENCE_MS 20000

static struct worker *home;
static struct file_pool *pool;
static char path[128];
static uint8_t *buffer;
static bool no_holes; /* the file system cannot punch any */
static uint64_t holes[64];
static bool is_done;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    errno = EOPNOTSUPP;
    return no_holes ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

static void done(struct nbd_request *request)
{
    (void)request;
    is_done = true;
}

static void make_file(off_t size)
{
    snprintf(path, sizeof path, "%s/file", tap_folder());
    unlink(path);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    is_int(ftruncate(fd, size), 0);
    close(fd);
}

static struct nbd_export *open_as(struct gate *gate, bool direct, bool read_only)
{
    struct nbd_export *export = NULL;
    struct vios_error error = {0};
    struct file_configuration configuration = {.name = "lu/x/1",
                                               .lpar = "",
                                               .path = path,
                                               .fd = -1,
                                               .direct = direct,
                                               .gated = gate != NULL,
                                               .read_only = read_only};
    int status = file_backend_open(&export, &configuration, pool, gate, home, &error);
    ok(status == VIOS_OK, "open: %s", error.message);
    return export;
}

static struct nbd_request request;

static void submit(struct nbd_export *export, uint16_t command, uint16_t flags, uint64_t offset,
                   uint32_t length)
{
    memset(holes, 0, sizeof holes);
    request = (struct nbd_request){.command = command,
                                   .flags = flags,
                                   .offset = offset,
                                   .length = length,
                                   .data = buffer,
                                   .holes = holes,
                                   .export = export,
                                   .done = done};
    is_done = false;
    export->operations->submit(export, &request);
}

/* Its error, or -1 when it did not end within `patience_ms`. */
static int await(int64_t patience_ms)
{
    int64_t until_ms = clock_now_ms() + patience_ms;
    while (!is_done && clock_now_ms() < until_ms) {
        worker_turn(home, 10);
    }
    return is_done ? request.error : -1;
}

static int run(struct nbd_export *export, uint16_t command, uint16_t flags, uint64_t offset,
               uint32_t length)
{
    submit(export, command, flags, offset, length);
    return await(PATIENCE_MS);
}

static void end(struct nbd_export *export)
{
    export->operations->close(export, NULL);
}

static void data_and_holes(bool direct)
{
    make_file(FILE_SIZE);
    struct nbd_export *export = open_as(NULL, direct, false);
    is_int(export->size, FILE_SIZE);
    memset(buffer, 0x5a, 65536);
    is_int(run(export, NBD_WRITE, NBD_FLAG_FUA, 65536, 65536), 0);
    is_int(run(export, NBD_FLUSH, 0, 0, 0), 0);
    memset(buffer, 0, 65536);
    is_int(run(export, NBD_READ, 0, 65536, 65536), 0);
    ok(buffer[0] == 0x5a && buffer[65535] == 0x5a, "read back");
    is_int(run(export, NBD_BLOCK_STATUS, 0, 0, 196608), 0);
    is_int(holes[0], 0xffff0000ffffull); /* 16 blocks of hole, 16 of data, 16 of hole */
    is_int(run(export, NBD_TRIM, 0, 65536, 32768), 0);
    is_int(run(export, NBD_BLOCK_STATUS, 0, 65536, 65536), 0);
    is_int(holes[0], 0xff);
    is_int(run(export, NBD_WRITE_ZEROES, NBD_FLAG_NO_HOLE, 98304, 16384), 0);
    is_int(run(export, NBD_WRITE_ZEROES, 0, 114688, 16384), 0);
    is_int(run(export, NBD_READ, 0, 65536, 65536), 0);
    bool zero = true;
    for (int i = 0; i < 65536; i++) {
        zero = zero && buffer[i] == 0;
    }
    ok(zero, "all zero again");
    end(export);
}

static void buffered(void)
{
    data_and_holes(false);
}

static void direct(void)
{
    data_and_holes(true);
}

/* How many bytes of the export are not `byte`, from `start` up to `end`. */
static uint64_t others(struct nbd_export *export, uint8_t byte, uint64_t start, uint64_t end)
{
    uint64_t count = 0;
    for (uint64_t at = start; at < end; at += 4096) {
        is_int(run(export, NBD_READ, 0, at, 4096), 0);
        for (int i = 0; i < 4096; i++) {
            count += buffer[i] != byte;
        }
    }
    return count;
}

static void zeroes_are_written_where_no_hole_can_be(void)
{
    make_file(FILE_SIZE);
    struct nbd_export *export = open_as(NULL, false, false);
    memset(buffer, 0x5a, 65536);
    for (uint64_t at = 0; at < FILE_SIZE; at += 65536) {
        is_int(run(export, NBD_WRITE, 0, at, 65536), 0);
    }
    no_holes = true;
    is_int(run(export, NBD_WRITE_ZEROES, 0, 65536, 196608), 0);
    is_int(run(export, NBD_WRITE_ZEROES, NBD_FLAG_NO_HOLE, 524288, 4096), 0);
    is_int(run(export, NBD_TRIM, 0, 0, 65536), 0); /* a hint */
    no_holes = false;
    is_int(others(export, 0x5a, 0, 65536), 0);
    is_int(others(export, 0, 65536, 262144), 0);
    is_int(others(export, 0x5a, 262144, 524288), 0);
    is_int(others(export, 0, 524288, 528384), 0);
    is_int(others(export, 0x5a, 528384, FILE_SIZE), 0);
    end(export);
}

static void a_file_that_was_cut_gives_errors(void)
{
    make_file(FILE_SIZE);
    struct nbd_export *export = open_as(NULL, false, false);
    is_int(truncate(path, 4096), 0);
    is_int(run(export, NBD_READ, 0, 8192, 4096), EIO);
    end(export);
}

static void a_file_that_grew_is_measured_again(void)
{
    make_file(FILE_SIZE);
    struct nbd_export *export = open_as(NULL, true, false);
    is_int(truncate(path, 2 * FILE_SIZE + 100), 0);
    is_int(export->size, FILE_SIZE);
    is_int(export->operations->measure(export), 0);
    is_int(export->size, 2 * FILE_SIZE);
    is_int(run(export, NBD_READ, 0, 2 * FILE_SIZE - 4096, 4096), 0);
    is_int(truncate(path, FILE_SIZE), 0);
    is_int(export->operations->measure(export), EINVAL);
    is_int(export->size, 2 * FILE_SIZE);
    end(export);
}

static void what_cannot_be_opened(void)
{
    struct nbd_export *export;
    struct vios_error error = {0};
    struct file_configuration configuration = {.name = "x", .lpar = "", .path = path, .fd = -1};
    make_file(0);
    is_int(file_backend_open(&export, &configuration, pool, NULL, home, &error), VIOS_E_INVALID);
    is_text(error.message, "the file holds not even one block");
    configuration.path = "/dev/null";
    is_int(file_backend_open(&export, &configuration, pool, NULL, home, &error), VIOS_E_INVALID);
    is_text(error.message, "is neither a file nor a block device");
    configuration.path = "/nosuch/file";
    is_int(file_backend_open(&export, &configuration, pool, NULL, home, &error), VIOS_E_NOT_FOUND);
}

static void a_locked_file_is_refused_after_a_while(void)
{
    make_file(FILE_SIZE);
    struct nbd_export *export;
    struct vios_error error = {0};
    struct file_configuration configuration = {.name = "x", .lpar = "", .path = path, .fd = -1};
    int fd = open(path, O_RDWR);
    is_int(flock(fd, LOCK_EX), 0);
    is_int(file_backend_open(&export, &configuration, pool, NULL, home, &error), VIOS_E_LOCKED);
    is_text(error.message, "another process has it locked");
    close(fd);
    struct nbd_export *first = open_as(NULL, false, true), *second = open_as(NULL, false, true);
    end(first); /* readers share */
    end(second);
}

/* --- the gate --- */

static const struct gate_operations FAKE; /* a clock of our own */

static void a_gated_file_is_used_without_its_lock(void)
{
    struct gate *gate;
    make_file(FILE_SIZE);
    is_int(gate_new(&gate, &FAKE, NULL, NULL), VIOS_OK);
    int fd = open(path, O_RDWR);
    is_int(flock(fd, LOCK_EX), 0); /* of a node that is frozen */
    struct nbd_export *export = open_as(gate, false, false);
    end(export);
    close(fd);
    gate_free(gate);
}

static void one_that_another_node_serves_is_not_waited_for(void)
{
    struct gate *gate;
    struct nbd_export *export = NULL;
    struct vios_error error = {0};
    make_file(FILE_SIZE);
    is_int(gate_new(&gate, &FAKE, NULL, NULL), VIOS_OK);
    int fd = open(path, O_RDWR);
    is_int(flock(fd, LOCK_EX), 0);
    struct file_configuration configuration = {
        .name = "lu/x/1", .lpar = "", .path = path, .fd = -1, .gated = true, .shared = true};
    int64_t began_ms = clock_now_ms();
    is_int(file_backend_open(&export, &configuration, pool, gate, home, &error), VIOS_OK);
    ok(clock_now_ms() - began_ms < FILE_LOCK_WAIT_MS, "it waited");
    end(export);
    configuration.gated = false; /* a file of this node alone is nobody else's */
    is_int(file_backend_open(&export, &configuration, pool, NULL, home, &error), VIOS_E_LOCKED);
    close(fd);
    gate_free(gate);
}

static _Atomic int64_t time_ms;

static int64_t now(void *context)
{
    (void)context;
    return atomic_load(&time_ms);
}

static void arm(void *context, int64_t kill_ms)
{
    (void)context;
    (void)kill_ms;
}

static void disarm(void *context)
{
    (void)context;
}

static uint8_t byte_in_file(off_t offset)
{
    uint8_t byte = 0xff;
    int fd = open(path, O_RDONLY);
    is_int(pread(fd, &byte, 1, offset), 1);
    close(fd);
    return byte;
}

static void wait_until_written(off_t offset, uint8_t byte)
{
    for (int i = 0; i < 10000 && byte_in_file(offset) != byte; i++) {
        usleep(1000);
    }
}

static const struct gate_operations FAKE = {now, arm, disarm, NULL};

/* An export behind a new gate, still closed, with a write of a block of sevens before it. */
static struct nbd_export *write_to_closed(struct gate **gate)
{
    make_file(FILE_SIZE);
    atomic_store(&time_ms, 100);
    is_int(gate_new(gate, &FAKE, NULL, NULL), VIOS_OK);
    struct nbd_export *export = open_as(*gate, false, false);
    memset(buffer, 7, 4096);
    submit(export, NBD_WRITE, 0, 0, 4096);
    return export;
}

static void a_gated_file_waits_for_the_gate(void)
{
    struct gate *gate;
    struct nbd_export *export = write_to_closed(&gate);
    is_int(await(100), -1); /* closed: nothing happens */
    is_int(byte_in_file(0), 0);
    is_int(gate_serve(gate, 200, 300, NULL), VIOS_OK);
    is_int(await(PATIENCE_MS), 0);
    is_int(byte_in_file(0), 7);
    memset(buffer, 8, 4096);
    submit(export, NBD_WRITE, 0, 4096, 4096);
    wait_until_written(4096, 8); /* and its answer is not yet looked at */
    atomic_store(&time_ms, 200);
    is_int(await(100), -1); /* closed meanwhile: no answer leaves */
    is_int(gate_serve(gate, 1000, 1000, NULL), VIOS_OK);
    is_int(await(PATIENCE_MS), 0);
    struct gate_state state;
    gate_state(gate, &state);
    is_int(state.in_flight, 0);
    end(export);
    gate_free(gate);
}

static void what_a_dropped_export_held_back_is_never_done(void)
{
    struct gate *gate;
    struct nbd_export *export = write_to_closed(&gate);
    is_int(await(50), -1);
    nbd_export_drop(export);
    is_int(await(PATIENCE_MS), ESHUTDOWN);
    is_int(gate_serve(gate, 200, 300, NULL), VIOS_OK); /* the next incarnation's */
    is_int(await(50), ESHUTDOWN);
    is_int(byte_in_file(0), 0);
    end(export);
    gate_free(gate);
}

static int closed_count;

static void count_closed(struct nbd_export *export)
{
    (void)export;
    closed_count++;
}

static void a_dropped_export_ends_while_the_gate_is_closed(void)
{
    struct gate *gate;
    make_file(FILE_SIZE);
    atomic_store(&time_ms, 100);
    is_int(gate_new(&gate, &FAKE, NULL, NULL), VIOS_OK);
    is_int(gate_serve(gate, 200, 300, NULL), VIOS_OK);
    struct nbd_export *export = open_as(gate, false, false);
    memset(buffer, 8, 4096);
    submit(export, NBD_WRITE, 0, 0, 4096);
    wait_until_written(0, 8);
    atomic_store(&time_ms, 200);
    is_int(await(50), -1); /* it was done, and nobody may hear of it */
    nbd_export_drop(export);
    is_int(await(PATIENCE_MS), 0); /* nobody does: its connections are closed */
    closed_count = 0;
    export->operations->close(export, count_closed);
    for (int i = 0; i < 1000 && closed_count == 0; i++) {
        worker_turn(home, 10);
    }
    is_int(closed_count, 1);
    gate_free(gate);
}

int main(void)
{
    buffer = aligned_alloc(4096, 65536);
    if (!buffer || worker_adopt(&home, NULL) != VIOS_OK ||
        file_pool_new(&pool, 2, NULL) != VIOS_OK) {
        return 1;
    }
    RUN(buffered);
    RUN(direct);
    RUN(zeroes_are_written_where_no_hole_can_be);
    RUN(a_file_that_was_cut_gives_errors);
    RUN(a_file_that_grew_is_measured_again);
    RUN(what_cannot_be_opened);
    RUN(a_locked_file_is_refused_after_a_while);
    RUN(a_gated_file_is_used_without_its_lock);
    RUN(one_that_another_node_serves_is_not_waited_for);
    RUN(a_gated_file_waits_for_the_gate);
    RUN(what_a_dropped_export_held_back_is_never_done);
    RUN(a_dropped_export_ends_while_the_gate_is_closed);
    file_pool_free(pool);
    worker_abandon(home);
    free(buffer);
    unlink(path);
    rmdir(tap_folder());
    return tap_done();
}
