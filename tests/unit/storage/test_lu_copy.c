/* test_lu_copy.c - a clone whose pool gets full, or whose copy is cancelled, in the middle: the LU
 * is gone again, and the error says where and how much. What copies is played here. */
#include "storage/sparse_copy.h"
#include "tests/unit/storage/jobs_world.h"

#define UDID "11111111-2222-4333-8444-555555555555"
#define SOURCE "22222222-2222-4333-8444-555555555555"
#define SIZE (1 << 20)

static int copy_fails;

int sparse_clone(int from, int to, struct vios_error *error)
{
    (void)from, (void)to;
    return error_set(error, VIOS_E_INVALID, "file", NULL, "the file system does not clone");
}

int sparse_copy(int from, int to, uint64_t size_bytes, struct chunks *chunks,
                const struct copy_progress *progress, struct operation *operation)
{
    (void)from, (void)chunks;
    is_int((int)size_bytes, SIZE);
    is_int(pwrite(to, "x", 1, 0), 1);
    progress->told(progress->context, 1, size_bytes);
    return copy_fails == VIOS_E_NO_SPACE
               ? operation_fail(operation, copy_fails, "/r/pools/p1/lu/file", "make room",
                                "no space: 4096 bytes are missing (8192 to be written, 4096 free)")
               : operation_fail(operation, copy_fails, "file", "look at the disk",
                                "the device failed");
}

static void put_source(void)
{
    struct lu lu;
    make_pool_world();
    lu_begin(&lu, SOURCE, "old", "p1", SIZE, false);
    lu.state = LU_READY;
    close(put_lu(&lu));
}

static int clone_it(struct operation *operation)
{
    json_t *result = NULL;
    put_source();
    int status = run_job(&lu_clone_job,
                         json_pack("{s:s, s:s, s:s, s:s, s:i}", "source", SOURCE, "udid", UDID,
                                   "name", "new", "pool", "p1", "size_bytes", SIZE),
                         &result, operation);
    json_decref(result);
    is_int((int)count_keys("/lu/"), 1);
    is_int((int)count_keys("/lu-name/"), 1);
    is_int(count_files("pools/p1/lu"), 1);
    return status;
}

static void a_pool_that_gets_full(void)
{
    struct operation operation;
    copy_fails = VIOS_E_NO_SPACE;
    is_int(clone_it(&operation), VIOS_E_NO_SPACE);
    is_text(operation.error.message,
            "no space in pool \"p1\": 4096 bytes are missing (8192 to be written, 4096 free)");
    is_text(operation.error.hint, "give --pool, or remove LUs");
}

static void a_disk_that_fails(void)
{
    struct operation operation;
    copy_fails = VIOS_E_IO;
    is_int(clone_it(&operation), VIOS_E_IO);
    is_text(operation.error.message, "the device failed");
}

int main(void)
{
    RUN(a_pool_that_gets_full);
    RUN(a_disk_that_fails);
    end_world();
    return tap_done();
}
