/* fuzz_ownership.c - the records of a guest as a damaged VIOS DB may hold them: what is done to it
 * is refused with a reason, or each of its commits puts a record that is one.
 *
 * Lines: a digit for what is done and a letter for the outcome of each commit; /lpar/L,
 * /hibernation/L, the owner's fence and the record of a disk; then /lpar/L at each reading. */
#include "cluster/ownership.h"
#include "tests/fuzz/text.h"

#define STEPS_MAX 64
#define DISK_KEY "/lu/11111111-2222-4333-8444-555555555555"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int outcome_of(char letter)
{
    return letter == 'c'   ? VIOS_E_CONFLICT
           : letter == 'u' ? VIOS_E_UNKNOWN
           : letter == 't' ? VIOS_E_TIMEOUT
                           : VIOS_OK;
}

/* NULL after the last one. */
static char *next_line(char **rest)
{
    return strsep(rest, "\n");
}

static void check_request(const struct ownership *ownership)
{
    const struct ownership_request *request = ownership_request(ownership);
    assert(request->compare_count >= 2 && request->compare_count <= OWNERSHIP_COMPARES_MAX);
    assert(request->change_count >= 1 && request->change_count <= OWNERSHIP_CHANGES_MAX);
    for (size_t i = 0; i < request->change_count; i++) {
        const struct store_change *change = &request->changes[i];
        json_t *record = change->json ? json_loads(change->json, 0, NULL) : NULL;
        assert(!change->json || json_is_object(record));
        if (strcmp(change->key, "/lpar/web") == 0) {
            const json_t *generation = json_object_get(record, "generation");
            assert(json_is_integer(generation) && json_integer_value(generation) >= 0);
        }
        json_decref(record);
    }
}

static void fence_disks(struct ownership *ownership, char *disk)
{
    struct vios_error error = {0};
    struct store_value lu = {.key = (char *)DISK_KEY, .json = disk, .revision = 40};
    if (!disk || ownership_disks_fenced(ownership, &lu, 1, &error) != VIOS_OK) {
        assert(!disk || (error.code == VIOS_E_INVALID && error.message[0]));
        assert(ownership_disks_fenced(ownership, NULL, 0, NULL) == VIOS_OK);
    }
}

static void drive(struct ownership *ownership, const char *outcomes, char *disk, char *rest)
{
    int64_t revision = 100;
    for (int step = 0; step < STEPS_MAX; step++) {
        struct store_value lpar = {.key = (char *)"/lpar/web", .revision = ++revision};
        switch (ownership_next(ownership)) {
        case OWNERSHIP_COMMIT:
            check_request(ownership);
            ownership_committed(ownership, outcome_of(*outcomes), revision);
            outcomes += *outcomes != '\0';
            break;
        case OWNERSHIP_READ:
            lpar.json = next_line(&rest);
            ownership_read(ownership, lpar.json ? VIOS_OK : VIOS_E_NOT_FOUND, &lpar);
            break;
        case OWNERSHIP_DISKS:
            fence_disks(ownership, disk);
            break;
        case OWNERSHIP_RUN:
        case OWNERSHIP_GO_ON:
        case OWNERSHIP_END:
            assert(ownership_why(ownership)[0] && ownership_generation(ownership) >= 0);
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), *rest = text;
    const char *doing = next_line(&rest);
    struct store_value lpar = {
        .key = (char *)"/lpar/web", .json = next_line(&rest), .revision = 10};
    struct store_value hibernation = {.json = next_line(&rest), .revision = 20};
    struct store_value fence = {.json = next_line(&rest), .revision = 30};
    char *disk = next_line(&rest);
    struct ownership_facts facts = {.node = "n1",
                                    .incarnation = 3,
                                    .lpar = &lpar,
                                    .hibernation = hibernation.json ? &hibernation : NULL,
                                    .fence = fence.json ? &fence : NULL,
                                    .wanted = "running",
                                    .target = "n2",
                                    .target_incarnation = 5};
    struct ownership *ownership = NULL;
    struct vios_error error = {0};
    if (doing[0] >= '0' && doing[0] <= '0' + OWNERSHIP_RELEASE && lpar.json) {
        int status =
            ownership_begin(&ownership, (enum ownership_kind)(doing[0] - '0'), &facts, &error);
        assert(status == VIOS_OK ? ownership != NULL : !ownership && error.message[0]);
    }
    if (ownership) {
        drive(ownership, doing + 1, disk, rest);
    }
    ownership_free(ownership);
    free(text);
    return 0;
}
