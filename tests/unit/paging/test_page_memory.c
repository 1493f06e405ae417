/*
 * Page memory: grants, admission, who may see what, that nothing leaks when a slot is used
 * again, and that the arena is whole after its process was killed at any moment.
 */
/* limit: 60 */
#include "paging/page_memory.h"

#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define LPAR_A "11111111-1111-4111-8111-111111111111"
#define LPAR_B "22222222-2222-4222-8222-222222222222"
#define PAGE 4096u
#define EXPORTS 16

static struct nbd_export *exports[EXPORTS]; /* as io would keep them */
static struct nbd_export *dropped[1024];    /* closed at the end: as old connections would */
static size_t dropped_count;
static struct worker *workers[1];     /* never started: requests run on this thread */
static _Atomic bool slow_add, in_add; /* the next `add` takes 100 ms; it is at it */

void nbd_request_done(struct nbd_request *request, int error)
{
    request->error = error;
}

static void add(void *context, struct nbd_export *export)
{
    (void)context;
    if (slow_add) {
        in_add = true;
        usleep(100000);
        slow_add = in_add = false;
    }
    for (size_t i = 0; i < EXPORTS; i++) {
        if (!exports[i]) {
            exports[i] = export;
            return;
        }
    }
}

static void forget(struct nbd_export *export)
{
    for (size_t i = 0; i < EXPORTS; i++) {
        exports[i] = exports[i] == export ? NULL : exports[i];
    }
}

static void drop(void *context, struct nbd_export *export)
{
    (void)context;
    forget(export);
    if (dropped_count < sizeof dropped / sizeof dropped[0]) {
        dropped[dropped_count++] = export;
    }
}

static const struct page_memory_hooks hooks = {.add = add, .drop = drop};

static struct nbd_export *find(const char *lpar, const char *tail)
{
    char name[160];
    snprintf(name, sizeof name, "page/%s/%s", lpar, tail);
    for (size_t i = 0; i < EXPORTS; i++) {
        if (exports[i] && strcmp(exports[i]->name, name) == 0) {
            return exports[i];
        }
    }
    return NULL;
}

static struct page_memory *open_memory(uint64_t size)
{
    struct page_memory *memory = NULL;
    struct vios_error error;
    is_int(page_memory_open(&memory, -1, size, workers, 1, &hooks, &error), VIOS_OK);
    return memory;
}

static void close_memory(struct page_memory *memory)
{
    for (size_t i = 0; i < EXPORTS; i++) {
        if (exports[i]) {
            drop(NULL, exports[i]);
        }
    }
    while (dropped_count > 0) {
        struct nbd_export *export = dropped[--dropped_count];
        export->operations->close(export, NULL);
    }
    page_memory_free(memory);
}

static int grant(struct page_memory *memory, const char *lpar, const char *node,
                 uint64_t generation, uint64_t number, uint64_t pages, struct vios_error *error)
{
    struct page_memory_region region = {.number = number, .size_bytes = pages * PAGE};
    return page_memory_grant(memory, lpar, node, generation, &region, 1, error);
}

static int request(struct nbd_export *export, uint16_t command, uint64_t offset, uint32_t length,
                   void *data, uint64_t *holes)
{
    struct nbd_request r = {.command = command,
                            .offset = offset,
                            .length = length,
                            .data = data,
                            .holes = holes,
                            .export = export,
                            .error = -1};
    export->operations->submit(export, &r);
    return r.error;
}

static uint64_t used(struct page_memory *memory)
{
    json_t *statistics = page_memory_statistics(memory);
    uint64_t bytes = (uint64_t)json_integer_value(json_object_get(statistics, "used_bytes"));
    json_decref(statistics);
    return bytes;
}

/* --- tests --- */

static void keeps_pages_and_shows_holes(void)
{
    struct page_memory *memory = open_memory(16 * PAGE);
    uint8_t page[4 * PAGE], back[4 * PAGE];
    uint64_t holes = 0;
    struct vios_error error;
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 8, &error), VIOS_OK);
    struct nbd_export *export = find(LPAR_A, "0.1/1");
    if (ok(export != NULL, "the export is there")) {
        is_text(export->node, "n1");
        memset(page, 7, sizeof page);
        memset(page + PAGE, 0, PAGE);
        is_int(request(export, NBD_WRITE, PAGE, sizeof page, page, NULL), 0);
        is_int(used(memory), 3 * PAGE);
        is_int(request(export, NBD_READ, PAGE, sizeof back, back, &holes), 0);
        is_int(holes, 2);
        ok(memcmp(back, page, PAGE) == 0, "the page is the same");
        is_int(request(export, NBD_WRITE, PAGE + 100, 3, (char *)"abc", NULL), 0);
        is_int(request(export, NBD_WRITE, 2 * PAGE + 100, 3, (char *)"abc", NULL), 0);
        holes = 0;
        is_int(request(export, NBD_READ, 2 * PAGE + 99, 5, back, &holes), 0);
        is_int(holes, 0);
        ok(memcmp(back, "\0abc\0", 5) == 0, "a part of a page");
        is_int(request(export, NBD_TRIM, 0, 8 * PAGE, NULL, NULL), 0);
        is_int(used(memory), 0);
    }
    close_memory(memory);
}

static void admits_no_more_than_there_is(void)
{
    struct page_memory *memory = open_memory(16 * PAGE);
    struct vios_error error;
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 10, &error), VIOS_OK);
    is_int(grant(memory, LPAR_B, "n2", 1, 1, 7, &error), VIOS_E_NO_SPACE);
    ok(strstr(error.message, "28672 bytes are wanted, 24576 of 65536") != NULL, "%s",
       error.message);
    is_int(grant(memory, LPAR_B, "n2", 1, 1, 6, &error), VIOS_OK);
    page_memory_revoke(memory, LPAR_A);
    ok(!find(LPAR_A, "0.1/1"), "a revoked export is gone");
    struct page_memory_region two[2] = {{0, 1, 4 * PAGE}, {1, 1, 6 * PAGE}};
    is_int(page_memory_grant(memory, LPAR_A, "n1", 2, two, 2, &error), VIOS_OK);
    two[0] = two[1];
    is_int(page_memory_grant(memory, LPAR_A, "n1", 2, two, 1, &error), VIOS_OK);
    ok(!find(LPAR_A, "0.1/2") && find(LPAR_A, "1.1/2"), "a grant lists all regions");
    is_int(grant(memory, LPAR_A, "n1", 0, 1, 1, &error), VIOS_E_STALE);
    is_int(page_memory_grant(memory, LPAR_A, "n1", 2, &(struct page_memory_region){0, 1, 100}, 1,
                             &error),
           VIOS_E_USAGE);
    is_int(grant(memory, "no-uuid", "n1", 1, 1, 1, &error), VIOS_E_USAGE);
    close_memory(memory);
}

static void fences_older_connections(void)
{
    struct page_memory *memory = open_memory(16 * PAGE);
    struct vios_error error;
    char name[160], byte = 1;
    is_int(grant(memory, LPAR_A, "n1", 3, 1, 4, &error), VIOS_OK);
    struct nbd_export *first = find(LPAR_A, "0.1/3");
    is_int(request(first, NBD_WRITE, 0, 1, &byte, NULL), 0);

    snprintf(name, sizeof name, "page/%s/0.5/3", LPAR_A);
    is_int(page_memory_raise(memory, name, "n2", &error), VIOS_E_NOT_FOUND);
    is_int(page_memory_raise(memory, "page/x/0.5/3", "n1", &error), VIOS_E_NOT_FOUND);
    is_int(page_memory_raise(memory, "page/" LPAR_A "/0.5/2", "n1", &error), VIOS_E_NOT_FOUND);
    is_int(page_memory_raise(memory, "page/" LPAR_A "/0.5/4", "n1", &error), VIOS_E_NOT_FOUND);
    is_int(page_memory_raise(memory, name, "n1", &error), VIOS_OK);
    struct nbd_export *second = find(LPAR_A, "0.5/3");
    is_int(request(first, NBD_READ, 0, 1, &byte, &(uint64_t){0}), ESHUTDOWN);
    byte = 0;
    is_int(request(second, NBD_READ, 0, 1, &byte, &(uint64_t){0}), 0);
    is_int(byte, 1);

    is_int(grant(memory, LPAR_A, "n1", 3, 2, 4, &error), VIOS_OK);
    ok(find(LPAR_A, "0.5/3") == second, "an older number in a grant changes nothing");
    is_int(grant(memory, LPAR_A, "n1", 2, 9, 4, &error), VIOS_E_STALE);
    is_int(page_memory_claim(memory, LPAR_A, 2, "n4", &error), VIOS_E_STALE);
    is_int(page_memory_claim(memory, LPAR_A, 4, "n4", &error), VIOS_OK);
    is_int(request(second, NBD_READ, 0, 1, &byte, &(uint64_t){0}), ESHUTDOWN);
    is_int(page_memory_raise(memory, name, "n1", &error), VIOS_E_NOT_FOUND);
    struct nbd_export *third = find(LPAR_A, "0.5/4");
    is_text(third->node, "n4");
    is_text(third->description, second->description);
    close_memory(memory);
}

static void *raise_slowly(void *memory)
{
    slow_add = true;
    page_memory_raise(memory, "page/" LPAR_A "/0.2/1", "n1", NULL);
    return NULL;
}

/* Two connections of a pager's, on two workers: the first export must not be added after the
 * second has taken its place. */
static void tells_of_changes_in_order(void)
{
    struct page_memory *memory = open_memory(16 * PAGE);
    struct vios_error error;
    pthread_t thread;
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 4, &error), VIOS_OK);
    is_int(pthread_create(&thread, NULL, raise_slowly, memory), 0);
    while (!in_add) {
        usleep(100);
    }
    is_int(page_memory_raise(memory, "page/" LPAR_A "/0.3/1", "n1", &error), VIOS_OK);
    pthread_join(thread, NULL);
    ok(find(LPAR_A, "0.3/1") != NULL, "the last one is served");
    ok(!find(LPAR_A, "0.2/1"), "the one before is not");
    close_memory(memory);
}

static void leaks_no_byte(void)
{
    struct page_memory *memory = open_memory(8 * PAGE);
    struct vios_error error;
    uint8_t data[8 * PAGE], part = 9;
    memset(data, 0xA5, sizeof data);
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 8, &error), VIOS_OK);
    struct nbd_export *old = find(LPAR_A, "0.1/1");
    is_int(request(old, NBD_WRITE, 0, sizeof data, data, NULL), 0);
    page_memory_revoke(memory, LPAR_A);
    is_int(grant(memory, LPAR_B, "n1", 1, 1, 8, &error), VIOS_OK);
    struct nbd_export *new = find(LPAR_B, "0.1/1");
    ok(strcmp(old->description, new->description) != 0, "another entry has another serial");
    is_int(request(old, NBD_READ, 0, sizeof data, data, &(uint64_t){0}), ESHUTDOWN);
    for (uint64_t i = 0; i < 8; i++) {
        is_int(request(new, NBD_WRITE, i * PAGE + 17, 1, &part, NULL), 0);
    }
    uint64_t holes = 0;
    is_int(request(new, NBD_READ, 0, sizeof data, data, &holes), 0);
    is_int(holes, 0);
    size_t other = 0;
    for (size_t i = 0; i < sizeof data; i++) {
        other += data[i] != (i % PAGE == 17 ? 9 : 0);
    }
    is_int(other, 0);
    close_memory(memory);
}

/* As a plain user who may lock 64 KiB. */
static void serve_unlocked(void)
{
    struct rlimit limit = {65536, 65536};
    struct vios_error error;
    uint8_t page[PAGE], back[PAGE] = {0};
    uint64_t holes = 0;
    is_int(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (getuid() == 0) {
        is_int(setgid(65534), 0);
        is_int(setuid(65534), 0);
        prctl(PR_SET_DUMPABLE, 1); /* else /proc/self/fd is not its own any more */
    }
    struct page_memory *memory = open_memory(2048 * PAGE);
    json_t *statistics = page_memory_statistics(memory);
    const char *why = json_string_value(json_object_get(statistics, "why"));
    ok(json_is_false(json_object_get(statistics, "locked")), "it says that it is not locked");
    ok(strncmp(why, "cannot lock ", 12) == 0 &&
           strstr(why, "the limit is 65536: raise LimitMEMLOCK") != NULL,
       "why: %s", why);
    json_decref(statistics);
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 2048, &error), VIOS_OK);
    memset(page, 9, sizeof page);
    struct nbd_export *export = find(LPAR_A, "0.1/1");
    is_int(request(export, NBD_WRITE, 2047 * PAGE, PAGE, page, NULL), 0);
    is_int(request(export, NBD_READ, 2047 * PAGE, PAGE, back, &holes), 0);
    ok(memcmp(page, back, PAGE) == 0, "it serves all the same");
    close_memory(memory);
}

static void says_when_it_may_not_lock(void)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        serve_unlocked();
        fflush(stdout);
        _exit(tap_bad);
    }
    is_int(waitpid(pid, &status, 0), pid);
    is_int(status, 0);
}

static void says_when_it_is_locked(void)
{
    struct page_memory *memory = open_memory(16 * PAGE); /* fits the smallest usual limit */
    json_t *statistics = page_memory_statistics(memory);
    ok(json_is_true(json_object_get(statistics, "locked")), "it is locked: %s",
       json_string_value(json_object_get(statistics, "why")));
    json_decref(statistics);
    close_memory(memory);
}

static void takes_over_only_what_is_whole(void)
{
    struct page_memory *memory = open_memory(8 * PAGE), *again = NULL;
    struct vios_error error;
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 8, &error), VIOS_OK);
    int fd = dup(page_memory_descriptor(memory));
    is_int(page_memory_open(&again, fd, 0, workers, 1, &hooks, &error), VIOS_E_LOCKED);
    close_memory(memory);
    is_int(page_memory_open(&again, fd, 0, workers, 1, &hooks, &error), VIOS_OK);
    ok(find(LPAR_A, "0.1/1") != NULL, "the grant is found again");
    close_memory(again);
    is_int((int)pwrite(fd, "damaged!", 8, 0), 8);
    is_int(page_memory_open(&again, fd, 0, workers, 1, &hooks, &error), VIOS_E_CORRUPT);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    is_int(page_memory_open(&again, fd, 0, workers, 1, &hooks, &error), VIOS_E_INVALID);
    close(fd);
    memory = open_memory(0);
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 1, &error), VIOS_E_NO_SPACE);
    close_memory(memory);
}

/* --- kill -9 at any moment --- */

#define CRASH_PAGES 64
#define CRASH_ROUNDS 40

/* Writes, frees, and grants B anew, for ever; each page of A carries its number's byte. `shared`
 * counts turns, so that the parent kills it in the middle of work. */
static void crash_child(struct page_memory *memory, unsigned seed, volatile uint64_t *shared)
{
    uint8_t data[PAGE];
    for (;;) {
        struct nbd_export *a = find(LPAR_A, "0.1/1"), *b = find(LPAR_B, "0.1/1");
        uint64_t page = (uint64_t)rand_r(&seed) % CRASH_PAGES;
        memset(data, (int)page + 1, sizeof data);
        request(a, rand_r(&seed) % 4 ? NBD_WRITE : NBD_TRIM, page * PAGE, PAGE, data, NULL);
        memset(data, 0xBB, sizeof data);
        request(b, NBD_WRITE, page * PAGE, PAGE, data, NULL);
        if (page == 0) {
            page_memory_revoke(memory, LPAR_B);
            grant(memory, LPAR_B, "n2", 1, 1, CRASH_PAGES, NULL);
        }
        ++*shared;
    }
}

static size_t wrong_bytes(struct nbd_export *export, uint8_t base, bool by_page)
{
    uint8_t data[PAGE];
    size_t wrong = 0;
    for (uint64_t page = 0; page < CRASH_PAGES; page++) {
        uint64_t hole = 0;
        is_int(request(export, NBD_READ, page * PAGE, PAGE, data, &hole), 0);
        uint8_t want = (uint8_t)(base + (by_page ? page : 0));
        for (size_t i = 0; !hole && i < PAGE; i++) {
            wrong += data[i] != want;
        }
    }
    return wrong;
}

static void crash_check(int fd)
{
    struct page_memory *memory = NULL;
    struct vios_error error;
    if (!is_int(page_memory_open(&memory, fd, 0, workers, 1, &hooks, &error), VIOS_OK)) {
        return;
    }
    is_int(wrong_bytes(find(LPAR_A, "0.1/1"), 1, true), 0);
    page_memory_revoke(memory, LPAR_B);
    page_memory_revoke(memory, LPAR_A);
    is_int(used(memory), 0);
    /* every slot must be there, and zero around what is written now */
    is_int(grant(memory, LPAR_A, "n1", 1, 1, 2 * CRASH_PAGES, &error), VIOS_OK);
    struct nbd_export *export = find(LPAR_A, "0.1/1");
    for (uint64_t i = 0; i < 2 * CRASH_PAGES; i++) {
        uint8_t data[PAGE];
        uint8_t byte = 1;
        is_int(request(export, NBD_WRITE, i * PAGE, 1, &byte, NULL), 0);
        is_int(request(export, NBD_READ, i * PAGE, PAGE, data, &(uint64_t){0}), 0);
        ok(data[0] == 1 && data[1] == 0 && memcmp(data + 1, data + 2, PAGE - 2) == 0,
           "slot %llu has bytes of before", (unsigned long long)i);
    }
    close_memory(memory);
}

static void survives_kill_at_any_moment(void)
{
    volatile uint64_t *shared =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned round = 0; round < CRASH_ROUNDS && !tap_bad; round++) {
        struct page_memory *memory = open_memory(2 * CRASH_PAGES * PAGE);
        int fd = dup(page_memory_descriptor(memory));
        close_memory(memory);
        *shared = 0;
        pid_t child = fork();
        if (child == 0) {
            if (page_memory_open(&memory, fd, 0, workers, 1, &hooks, NULL) == VIOS_OK) {
                grant(memory, LPAR_A, "n1", 1, 1, CRASH_PAGES, NULL);
                grant(memory, LPAR_B, "n2", 1, 1, CRASH_PAGES, NULL);
                crash_child(memory, round, shared);
            }
            _exit(1);
        }
        while (*shared < 200 + round * 7) {
            usleep(50);
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        crash_check(fd);
        close(fd);
    }
    munmap((void *)shared, PAGE);
}

int main(void)
{
    RUN(keeps_pages_and_shows_holes);
    RUN(admits_no_more_than_there_is);
    RUN(fences_older_connections);
    RUN(tells_of_changes_in_order);
    RUN(leaks_no_byte);
    RUN(says_when_it_may_not_lock);
    RUN(says_when_it_is_locked);
    RUN(takes_over_only_what_is_whole);
    RUN(survives_kill_at_any_moment);
    return tap_done();
}
