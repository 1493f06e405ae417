/* test_caller_ring.c - the ring of lines: places, what falls out of it, and what a filter takes. */
#include "event/caller_ring.h"

#include "tests/unit/event/posts.h"

#define TURN 16384

static const struct event_filter ALL = {0};

static void fill(struct caller_ring *ring, int64_t from, int64_t to, size_t padding)
{
    for (int64_t i = from; i <= to; i++) {
        caller_ring_add(ring, post_new(i, i % 2 ? "node" : "lpar", "n1", padding));
    }
}

static void what_is_behind_the_floor_is_found(void)
{
    uint64_t place;
    struct caller_ring *ring = caller_ring_new(8, 1 << 20);
    caller_ring_reset(ring, 100);
    is_int(caller_ring_newest(ring), 100);
    ok(!caller_ring_find(ring, 99, &place), "older than the floor");
    ok(caller_ring_find(ring, 100, &place) && place == caller_ring_end(ring), "nothing yet");
    fill(ring, 101, 105, 10);
    ok(caller_ring_find(ring, 103, &place), "in the ring");
    is_int(caller_ring_end(ring) - place, 2);
    ok(caller_ring_find(ring, 999, &place) && place == caller_ring_end(ring), "ahead");
    caller_ring_add(ring, post_new(105, "node", "n1", 0));
    is_int(caller_ring_newest(ring), 105);
    is_int(caller_ring_end(ring), 5); /* a repeat is no second event */
    caller_ring_free(ring);
}

static void the_oldest_fall_out(void)
{
    uint64_t place, early;
    struct caller_ring *ring = caller_ring_new(8, 1 << 20);
    caller_ring_reset(ring, 0);
    ok(caller_ring_find(ring, 0, &early), "the beginning");
    fill(ring, 1, 20, 10);
    ok(!caller_ring_has(ring, early), "the place is gone");
    is_int(caller_ring_floor(ring), 12);
    ok(!caller_ring_find(ring, 11, &place) && caller_ring_find(ring, 12, &place), "8 are kept");
    ok(caller_ring_has(ring, place), "and their places");
    caller_ring_free(ring);
    ring = caller_ring_new(1024, 10000);
    fill(ring, 1, 100, 500);
    ok(caller_ring_floor(ring) > 80 && caller_ring_floor(ring) < 100, "bytes count: %lld",
       (long long)caller_ring_floor(ring));
    caller_ring_reset(ring, 200);
    ok(!caller_ring_find(ring, 199, &place) && caller_ring_find(ring, 200, &place), "emptied");
    caller_ring_free(ring);
}

static void whole_lines_are_taken_in_order(void)
{
    char data[TURN];
    uint64_t place;
    int64_t after = 0;
    int lines = 0;
    struct caller_ring *ring = caller_ring_new(128, 1 << 20);
    fill(ring, 1, 100, 500);
    ok(caller_ring_find(ring, after, &place), "from the start");
    size_t queued = caller_ring_bytes(ring, place), taken = 0, size;
    while ((size = caller_ring_take(ring, &ALL, &place, &after, data, sizeof data)) > 0) {
        taken += size;
        ok(size <= sizeof data && data[size - 1] == '\n', "whole");
        for (size_t i = 0; i < size; i++) {
            lines += data[i] == '\n';
        }
        is_int(caller_ring_bytes(ring, place), (long long)(queued - taken));
    }
    is_int(lines, 100);
    is_int(after, 100);
    is_int(taken, (long long)queued);
    caller_ring_free(ring);
}

static void a_filter_skips_and_still_moves_on(void)
{
    char data[TURN];
    uint64_t place;
    int64_t after = 10;
    struct event_filter filter;
    struct caller_ring *ring = caller_ring_new(16384, 1 << 24);
    is_int(event_filter_parse("lpar", NULL, &filter, NULL), VIOS_OK);
    fill(ring, 1, 20, 10);
    ok(caller_ring_find(ring, 0, &place), "from the start");
    size_t size = caller_ring_take(ring, &filter, &place, &after, data, sizeof data);
    ok(strncmp(data, "{\"event\":{\"seq\":12,", 19) == 0, "what it has is left out: %.30s", data);
    is_int(after, 20);
    size_t lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    is_int(lines, 5);
    event_filter_clear(&filter);
    is_int(event_filter_parse("pool", NULL, &filter, NULL), VIOS_OK);
    fill(ring, 21, 10000, 10);
    is_int(caller_ring_take(ring, &filter, &place, &after, data, sizeof data), 0);
    is_int(after, 20 + RING_VISITS_MAX); /* no longer than a turn */
    event_filter_clear(&filter);
    caller_ring_free(ring);
}

int main(void)
{
    RUN(what_is_behind_the_floor_is_found);
    RUN(the_oldest_fall_out);
    RUN(whole_lines_are_taken_in_order);
    RUN(a_filter_skips_and_still_moves_on);
    return tap_done();
}
