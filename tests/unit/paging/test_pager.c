/*
 * The pager: mirroring, loss and return of replicas, bad copies, refill, and both processes
 * killed at any moment, against page servers that are processes of their own.
 */
/* needs: heavy */
/* limit: 120 */
#include "paging/page.h"
#include "tests/unit/paging/nodes.h"

static uint8_t device[DEVICE_PAGES * PAGE], back[DEVICE_PAGES * PAGE];

static void fill(uint8_t *data, size_t size, unsigned seed)
{
    for (size_t i = 0; i + 4 <= size; i += 4) {
        unsigned value = (unsigned)rand_r(&seed);
        memcpy(data + i, &value, 4);
    }
}

/* Writes a pattern over the whole device, with some zero pages. */
static void write_pattern(unsigned seed)
{
    fill(device, sizeof device, seed);
    memset(device + 7 * PAGE, 0, 3 * PAGE);
    is_int(guest_io(NBD_WRITE, 0, sizeof device, device), 0);
}

static void check_pattern(const char *when)
{
    memset(back, 0xEE, sizeof back);
    is_int(guest_io(NBD_READ, 0, sizeof back, back), 0);
    ok(memcmp(device, back, sizeof back) == 0, "the pages differ %s", when);
}

/* Flips a byte in the page server's copy of a page. */
static bool corrupt(int number, const uint8_t *page)
{
    uint8_t copy[PAGE];
    off_t size = lseek(kept[number], 0, SEEK_END);
    for (off_t at = 0; at < size; at += PAGE) {
        if (pread(kept[number], copy, PAGE, at) == PAGE && memcmp(copy, page, PAGE) == 0) {
            copy[100] ^= 1;
            return pwrite(kept[number], copy, PAGE, at) == PAGE;
        }
    }
    return ok(false, "page server %d does not have the page", number);
}

static long long pages_with_contents(void)
{
    long long count = 0;
    for (size_t i = 0; i < DEVICE_PAGES; i++) {
        count += !page_is_zero(device + i * PAGE, PAGE);
    }
    return count;
}

static void mirrors_and_reads_back(void)
{
    uint8_t small[1024];
    setup(2);
    is_int(guest_io(NBD_READ, 0, sizeof back, back), 0);
    ok(back[0] == 0 && memcmp(back, back + 1, sizeof back - 1) == 0, "it begins as zeroes");
    write_pattern(1);
    check_pattern("at once");
    is_int(host_counter("pages_out"), DEVICE_PAGES - 3);
    is_int(host_counter("zero_pages"), 3);
    is_int(host_counter("pages_held"), DEVICE_PAGES - 3);
    fill(small, sizeof small, 2);
    memcpy(device + 5 * PAGE - 512, small, 1024);
    is_int(guest_io(NBD_WRITE, 5 * PAGE - 512, 1024, small), 0);
    memcpy(device + 8 * PAGE + 512, small, 512);
    is_int(guest_io(NBD_WRITE, 8 * PAGE + 512, 512, small), 0);
    check_pattern("after parts of pages");
    is_int(guest_io(NBD_READ, 8 * PAGE + 256, 512, back), 0);
    ok(memcmp(back, device + 8 * PAGE + 256, 512) == 0, "a part of a page");
    memset(device + 20 * PAGE, 0, 50 * PAGE);
    is_int(guest_io(NBD_TRIM, 20 * PAGE, 50 * PAGE, NULL), 0);
    memset(device + 90 * PAGE + 100, 0, PAGE);
    is_int(guest_io(NBD_WRITE_ZEROES, 90 * PAGE + 100, PAGE, NULL), 0);
    check_pattern("after zeroes");
    is_int(host_counter("pages_held"), pages_with_contents());
    host_await("OK");
    teardown();
}

static void a_lost_replica_loses_nothing(void)
{
    setup(2);
    write_pattern(3);
    host_await("OK");
    node_kill(0);
    check_pattern("with one replica killed");
    fill(device + 40 * PAGE, 9 * PAGE, 4);
    is_int(guest_io(NBD_WRITE, 40 * PAGE, 9 * PAGE, device + 40 * PAGE), 0);
    host_await("DEGRADED");
    node_start(0); /* with its memory: only 9 pages are copied */
    host_await("OK");
    node_kill(1);
    host_await("DEGRADED");
    check_pattern("after the other came back and this was killed");
    node_forget(1);
    node_start(1); /* emptied */
    host_await("OK");
    node_kill(0);
    check_pattern("from the one that was emptied and filled again");
    teardown();
}

static void a_third_node_is_filled(void)
{
    setup(3);
    write_pattern(5);
    host_await("OK");
    node_kill(0);
    host_await("DEGRADED");
    host_set_regions(2, 1);
    host_await("OK");
    node_kill(1);
    check_pattern("from the third node");
    teardown();
}

static void a_stopped_replica_stalls_no_guest(void)
{
    late_ms = 300;
    setup(2);
    write_pattern(6);
    host_await("OK");
    kill(pids[0], SIGSTOP);
    waitpid(pids[0], NULL, WUNTRACED); /* before that, it may still answer */
    write_pattern(7);
    check_pattern("beside a stopped replica");
    host_await("DEGRADED");
    kill(pids[0], SIGCONT);
    host_await("OK");
    node_kill(1);
    check_pattern("from the one that had been stopped");
    teardown();
}

static void await_text(const char *text)
{
    int64_t until = clock_now_ms() + WAIT_MS;
    do {
        json_decref(host_statistics());
    } while (!strstr(shared[HOST].text, text) && clock_now_ms() < until);
    ok(strstr(shared[HOST].text, text) != NULL, "no %s: %s", text, shared[HOST].text);
}

/* Starts replica 0 such that it never answers what it is filled with; the guest goes on. */
static void a_frozen_fill(unsigned seed)
{
    shared[0].frozen = 1;
    shared[0].has_frozen = 0;
    node_start(0);
    await_text("filling");
    write_pattern(seed);
    check_pattern("beside a replica that is being filled and frozen");
    write_pattern(seed + 1);
    is_int(guest_io(NBD_TRIM, 60 * PAGE, 9 * PAGE, NULL), 0);
    memset(device + 60 * PAGE, 0, 9 * PAGE);
    check_pattern("again");
    ok(shared[0].has_frozen, "it was frozen");
    await_text("filling"); /* and not lost, for which late_ms is too long */
    shared[0].frozen = 0;
    host_await("OK");
    node_kill(1);
    host_await("DEGRADED");
    check_pattern("from the one that was filled");
    node_start(1);
    host_await("OK");
}

static void a_slow_fill_stalls_no_guest(void)
{
    late_ms = WAIT_MS;
    setup(2);
    write_pattern(14);
    host_await("OK");
    node_forget(0);
    host_await("DEGRADED");
    a_frozen_fill(15); /* it lacks all */
    node_kill(0);
    host_await("DEGRADED");
    fill(device + 40 * PAGE, 9 * PAGE, 17);
    is_int(guest_io(NBD_WRITE, 40 * PAGE, 9 * PAGE, device + 40 * PAGE), 0);
    a_frozen_fill(18); /* it lacks nine pages, and gets what is written to others */
    teardown();
}

/* A region of 100 pages on servers 0 and 1, and one of the rest on 1 and 2. */
static void setup_two_regions(void)
{
    region_count = 2;
    memset(regions, 0, sizeof regions);
    regions[0] = (struct pager_region){.number = 1, .size_bytes = 100 * PAGE};
    regions[1] = (struct pager_region){
        .index = 1, .number = 1, .offset = 100 * PAGE, .size_bytes = (DEVICE_PAGES - 100) * PAGE};
    region_replica(&regions[0], 0);
    region_replica(&regions[0], 1);
    region_replica(&regions[1], 1);
    region_replica(&regions[1], 2);
    setup(3);
}

static void write_over_the_border(unsigned seed)
{
    fill(device + 99 * PAGE, 2 * PAGE, seed);
    is_int(guest_io(NBD_WRITE, 99 * PAGE, 2 * PAGE, device + 99 * PAGE), 0);
    fill(device + 100 * PAGE - 700, 1500, seed + 1); /* parts of pages */
    is_int(guest_io(NBD_WRITE, 100 * PAGE - 700, 1500, device + 100 * PAGE - 700), 0);
    is_int(guest_io(NBD_READ, 100 * PAGE - 600, 1200, back), 0);
    ok(memcmp(back, device + 100 * PAGE - 600, 1200) == 0, "a part of both pages");
}

static void several_regions_are_one_device(void)
{
    setup_two_regions();
    write_pattern(20);
    write_over_the_border(21);
    check_pattern("over two regions");
    host_await("OK");
    node_kill(0);
    host_await("DEGRADED");
    write_over_the_border(23);
    is_int(guest_io(NBD_WRITE_ZEROES, 97 * PAGE + 5, 6 * PAGE, NULL), 0);
    memset(device + 97 * PAGE + 5, 0, 6 * PAGE);
    check_pattern("with the first region's first replica killed");
    node_kill(HOST);
    node_start(HOST);
    check_pattern("by a successor");
    is_int(host_counter("pages_held"), pages_with_contents());
    node_kill(2);
    check_pattern("from the one that both have");
    node_start(0);
    node_start(2);
    host_await("OK");
    node_kill(1);
    host_await("DEGRADED");
    check_pattern("from those that came back");
    teardown();
}

static void a_region_without_replicas_stops_only_itself(void)
{
    stall_ms = 500;
    setup_two_regions();
    write_pattern(24);
    host_await("OK");
    node_kill(1);
    node_kill(2);
    host_await("DOWN");
    is_int(guest_io(NBD_READ, 99 * PAGE, PAGE, back), 0);
    ok(memcmp(back, device + 99 * PAGE, PAGE) == 0, "the first region is served");
    is_int(guest_io(NBD_READ, 99 * PAGE, 2 * PAGE, back), EIO);
    is_int(guest_io(NBD_READ, 100 * PAGE, PAGE, back), EIO);
    teardown();
}

static void a_claim_takes_the_pages_along(void)
{
    setup(2);
    write_pattern(25);
    host_await("OK");
    is_int(node_claim(HOST, 5), VIOS_OK);
    host_await("DOWN"); /* page memory knows the owner of 1 only */
    is_int(node_claim(0, 5), VIOS_OK);
    is_int(node_claim(1, 5), VIOS_OK);
    host_await("OK");
    is_int(host_counter("generation"), 5);
    check_pattern("under the new generation");
    is_int(host_counter("lost_pages"), 0);
    is_int(node_claim(HOST, 5), VIOS_OK);
    is_int(node_claim(HOST, 4), VIOS_E_STALE);
    is_text(shared[HOST].text, "generation 4 is older than 5");
    is_int(node_claim(0, 4), VIOS_E_STALE);
    write_pattern(26);
    generation = 5;
    node_kill(HOST);
    node_start(HOST);
    host_await("OK");
    check_pattern("by a successor");
    teardown();
}

static void a_claim_meets_requests_on_their_way(void)
{
    struct guest_call flying_calls[8];
    setup(2);
    write_pattern(27);
    host_await("OK");
    for (uint64_t claimed = 2; claimed < 12; claimed++) {
        fill(device, sizeof device, (unsigned)claimed);
        for (unsigned i = 0; i < 8; i++) {
            size_t at = i * (sizeof device / 8);
            guest_start(&flying_calls[i], NBD_WRITE, at, sizeof device / 8, device + at);
        }
        is_int(node_claim(0, claimed), VIOS_OK);
        is_int(node_claim(HOST, claimed), VIOS_OK);
        is_int(node_claim(1, claimed), VIOS_OK);
        for (unsigned i = 0; i < 8; i++) {
            is_int(guest_wait(&flying_calls[i]), 0);
        }
    }
    host_await("OK");
    check_pattern("after ten claims");
    node_kill(0);
    host_await("DEGRADED");
    check_pattern("from one replica");
    teardown();
}

static void a_bad_copy_is_repaired(void)
{
    setup(2);
    write_pattern(8);
    host_await("OK");
    corrupt(0, device + 30 * PAGE);
    corrupt(1, device + 33 * PAGE);
    check_pattern("with a bad copy in each");
    ok(host_counter("checksum_errors") >= 1, "it is counted");
    long long repairs = host_counter("repairs");
    ok(repairs >= 1, "%lld repairs", repairs);
    corrupt(0, device + 50 * PAGE);
    corrupt(1, device + 50 * PAGE);
    is_int(guest_io(NBD_READ, 50 * PAGE, PAGE, back), EIO);
    is_int(guest_io(NBD_READ, 51 * PAGE, PAGE, back), 0);
    is_int(guest_io(NBD_WRITE, 50 * PAGE, PAGE, device + 50 * PAGE), 0);
    check_pattern("after the lost page was written again");
    teardown();
}

static void with_no_replica_requests_wait_then_fail(void)
{
    struct guest_call call;
    stall_ms = 500;
    setup(2);
    write_pattern(9);
    host_await("OK");
    node_kill(0);
    node_kill(1);
    host_await("DOWN");
    is_int(guest_io(NBD_READ, 0, PAGE, back), EIO);
    fill(device, PAGE, 10);
    is_int(guest_io(NBD_WRITE, 0, PAGE, device), EIO);
    stall_ms = 10000;
    node_start(0);
    node_start(1);
    host_await("OK");
    is_int(guest_io(NBD_WRITE, 0, PAGE, device), 0);
    check_pattern("after all came back");
    node_kill(HOST); /* the longer limit, by a successor */
    node_start(HOST);
    host_await("OK");
    node_kill(0);
    node_kill(1);
    host_await("DOWN");
    fill(device + PAGE, PAGE, 11);
    guest_start(&call, NBD_WRITE, PAGE, PAGE, device + PAGE);
    node_start(1);
    is_int(guest_wait(&call), 0);
    node_start(0);
    host_await("OK");
    check_pattern("after a write that waited");
    teardown();
}

/* The guest's page stays locked until it is known which of its two contents it has. */
static void what_gave_up_waiting_unlocks_nothing(void)
{
    struct guest_call call;
    stall_ms = 2000;
    setup(2);
    write_pattern(28);
    host_await("OK");
    node_kill(0);
    node_kill(1);
    host_await("DOWN");
    fill(device, PAGE, 29);
    is_int(guest_io(NBD_WRITE, 0, PAGE, device), EIO);
    is_int(guest_io(NBD_READ, 0, PAGE, back), EIO); /* behind that one */
    fill(device, PAGE, 30);
    guest_start(&call, NBD_WRITE, 0, PAGE, device);
    node_start(0);
    node_start(1);
    int error = guest_wait(&call);
    host_await("OK");
    if (error) { /* a slow machine */
        is_int(guest_io(NBD_WRITE, 0, PAGE, device), 0);
    }
    check_pattern("after all came back");
    teardown();
}

static void a_single_replica_moves(void)
{
    policy = PAGER_SINGLE;
    setup(2);
    write_pattern(12);
    host_await("OK");
    host_set_regions(1, -1);
    int64_t until = clock_now_ms() + WAIT_MS;
    do {
        json_decref(host_statistics());
    } while (strstr(shared[HOST].text, "\"n0\"") && clock_now_ms() < until);
    node_kill(0);
    host_await("OK");
    check_pattern("after a live move");
    teardown();
}

static void a_disk_may_take_the_place(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/paging", tap_folder());
    policy = PAGER_DISK;
    disk = path;
    setup(0);
    write_pattern(13);
    check_pattern("on a disk");
    is_int(guest_io(NBD_TRIM, 20 * PAGE, 50 * PAGE, NULL), 0);
    memset(device + 20 * PAGE, 0, 50 * PAGE);
    node_kill(HOST);
    node_start(HOST);
    check_pattern("on a disk, by a successor");
    int fd = open(path, O_WRONLY);
    is_int((int)pwrite(fd, "wrong", 5, 3 * PAGE), 5);
    close(fd);
    is_int(guest_io(NBD_READ, 3 * PAGE, PAGE, back), EIO);
    is_int(host_counter("checksum_errors"), 1);
    is_int(truncate(path, 2 * PAGE), 0);
    is_int(guest_io(NBD_READ, 5 * PAGE, PAGE, back), EIO);
    host_await("OK");
    teardown();
    disk = NULL;
}

static void refuses_bad_configurations(void)
{
    struct nbd_export *export;
    struct vios_error error;
    struct pager_hooks hooks = {0};
    struct pager_region bad = {.number = 1, .size_bytes = 100};
    struct pager_configuration c = {.name = "paging/x/1",
                                    .lpar = LPAR,
                                    .generation = 1,
                                    .size_bytes = 100,
                                    .regions = &bad,
                                    .region_count = 1};
    is_int(pager_open(&export, &c, -1, NULL, &hooks, &error), VIOS_E_INVALID);
    bad.size_bytes = c.size_bytes = PAGE;
    is_int(pager_open(&export, &c, -1, NULL, &hooks, &error), VIOS_E_INVALID);
    ok(strstr(error.message, "0 replicas") != NULL, "%s", error.message);
    region_replica(&bad, 1);
    region_replica(&bad, 1);
    is_int(pager_open(&export, &c, -1, NULL, &hooks, &error), VIOS_E_INVALID);
    ok(strstr(error.message, "twice") != NULL, "%s", error.message);
    c.region_count = 0;
    is_int(pager_open(&export, &c, -1, NULL, &hooks, &error), VIOS_E_INVALID);
    c.lpar = "x";
    is_int(pager_open(&export, &c, -1, NULL, &hooks, &error), VIOS_E_USAGE);
}

/* --- random work under random failures, compared with an array --- */

#define FLIGHT 8

static struct guest_call calls[FLIGHT];
static uint8_t flying[FLIGHT][8 * PAGE];
static uint64_t flying_page[FLIGHT];
static unsigned flying_count[FLIGHT];

static void finish(unsigned i)
{
    int error = guest_wait(&calls[i]);
    size_t offset = flying_page[i] * PAGE, size = flying_count[i] * PAGE;
    if (error == ECONNRESET && calls[i].request.command != NBD_READ) {
        error = guest_io(calls[i].request.command, offset, (uint32_t)size, flying[i]);
    } else if (error == ECONNRESET) {
        error = guest_io(NBD_READ, offset, (uint32_t)size, flying[i]);
    }
    if (!is_int(error, 0)) {
        json_decref(host_statistics());
        printf("# %s\n", shared[HOST].text);
    }
    if (calls[i].request.command == NBD_READ) {
        ok(memcmp(flying[i], device + offset, size) == 0, "page %llu+%u read wrong",
           (unsigned long long)flying_page[i], flying_count[i]);
    }
    flying_count[i] = 0;
}

/* Requests in flight never overlap, so the array says what each must give. */
static void start_random(unsigned i, unsigned *seed)
{
    uint64_t page = (uint64_t)i * (DEVICE_PAGES / FLIGHT) + (uint64_t)rand_r(seed) % 24;
    unsigned count = 1 + (unsigned)rand_r(seed) % 8, what = (unsigned)rand_r(seed) % 8;
    uint16_t command = what < 4 ? NBD_WRITE : what < 5 ? NBD_TRIM : NBD_READ;
    flying_page[i] = page;
    flying_count[i] = count;
    if (command == NBD_WRITE) {
        fill(flying[i], count * PAGE, (unsigned)rand_r(seed));
        memcpy(device + page * PAGE, flying[i], count * PAGE);
    } else if (command == NBD_TRIM) {
        memset(device + page * PAGE, 0, count * PAGE);
    }
    guest_start(&calls[i], command, page * PAGE, count * PAGE, flying[i]);
}

static void random_steps(unsigned *seed, unsigned steps)
{
    for (unsigned step = 0; step < steps && !tap_bad; step++) {
        unsigned i = (unsigned)rand_r(seed) % FLIGHT;
        if (flying_count[i]) {
            finish(i);
        }
        start_random(i, seed);
    }
}

static void finish_all(void)
{
    for (unsigned i = 0; i < FLIGHT; i++) {
        if (flying_count[i]) {
            finish(i);
        }
    }
}

/* Kills one of the replicas or the host in mid-work, and starts it again. */
static void random_failures(unsigned seed, bool host)
{
    printf("# seed %u\n", seed);
    setup(2);
    memset(device, 0, sizeof device);
    for (unsigned round = 0; round < 12 && !tap_bad; round++) {
        int victim = host ? HOST : (int)((unsigned)rand_r(&seed) % 2);
        random_steps(&seed, 50 + (unsigned)rand_r(&seed) % 100);
        node_kill(victim);
        if (!host) {
            host_await("DEGRADED"); /* else "OK" below might be the one of before */
        } else {
            node_start(victim);
            random_steps(&seed, 30);
            continue;
        }
        random_steps(&seed, 100);
        if (rand_r(&seed) % 2) {
            node_forget(victim);
        }
        shared[victim].frozen = rand_r(&seed) % 2; /* while it is being filled */
        node_start(victim);
        random_steps(&seed, 50);
        shared[victim].frozen = 0;
        random_steps(&seed, 50);
        finish_all();
        host_await("OK");
    }
    finish_all();
    check_pattern("at the end");
    host_await("OK");
    node_kill(0);
    host_await("DEGRADED");
    check_pattern("from the second replica");
    node_start(0);
    host_await("OK");
    node_kill(1);
    check_pattern("from the first replica");
    teardown();
}

static unsigned seed_of_run(void)
{
    const char *given = getenv("VIOS_SEED");
    return given ? (unsigned)atoi(given) : (unsigned)clock_now_ms();
}

static void random_work_while_replicas_die(void)
{
    random_failures(seed_of_run(), false);
}

static void random_work_while_the_host_dies(void)
{
    random_failures(seed_of_run(), true);
}

int main(void)
{
    RUN(refuses_bad_configurations);
    RUN(mirrors_and_reads_back);
    RUN(a_lost_replica_loses_nothing);
    RUN(a_third_node_is_filled);
    RUN(a_stopped_replica_stalls_no_guest);
    RUN(a_slow_fill_stalls_no_guest);
    RUN(several_regions_are_one_device);
    RUN(a_region_without_replicas_stops_only_itself);
    RUN(a_claim_takes_the_pages_along);
    RUN(a_claim_meets_requests_on_their_way);
    RUN(a_bad_copy_is_repaired);
    RUN(with_no_replica_requests_wait_then_fail);
    RUN(what_gave_up_waiting_unlocks_nothing);
    RUN(a_single_replica_moves);
    RUN(a_disk_may_take_the_place);
    RUN(random_work_while_replicas_die);
    RUN(random_work_while_the_host_dies);
    return tap_done();
}
