/* fuzz_storage_records.c - records of LUs and pools, and the marker of a repository: refused with a
 * reason, or written back they are read as the same. */
#include "storage/lu.h"
#include "storage/pool.h"
#include "storage/repository.h"
#include "tests/fuzz/text.h"

#define UDID "11111111-2222-4333-8444-555555555555"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_lu(const char *text)
{
    struct lu lu = {0}, again;
    struct vios_error error = {0};
    if (lu_parse(UDID, text, &lu, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_CORRUPT && error.message[0]);
        return;
    }
    assert(!strchr(lu.file, '/') && lu.file[0] != '.' && lu.size_bytes <= LU_SIZE_MAX);
    char *json = lu_format(&lu, text);
    assert(json && lu_parse(UDID, json, &again, NULL) == VIOS_OK);
    char *second = lu_format(&again, json);
    assert(second && strcmp(json, second) == 0);
    free(second);
    free(json);
}

static void try_pool(const char *text)
{
    struct pool pool = {0}, again;
    struct vios_error error = {0};
    if (pool_parse("p1", text, &pool, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_CORRUPT && error.message[0]);
        return;
    }
    char *json = pool_format(&pool);
    assert(json && pool_parse("p1", json, &again, NULL) == VIOS_OK);
    assert(again.overcommit == pool.overcommit && again.state == pool.state);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vios_error error = {0};
    char *text = text_of(data, size);
    try_lu(text);
    try_pool(text);
    int status = repository_check_marker(text, UDID, &error);
    assert(status == VIOS_OK || (status == VIOS_E_INVALID && error.message[0]));
    free(text);
    return 0;
}
