/* test_keepalive.c - messages between nodes as bytes: each kind there and back, the limits, and
 * everything that is not exactly one message. */
#include "cluster/keepalive.h"
#include "tests/tap.h"

#define AT_VERSION 0
#define AT_KIND 1
#define AT_FLAGS 2
#define AT_ZERO 3
#define AT_INCARNATION 4
#define AT_WALL 28
#define AT_PRIMARY 60 /* behind the fixed part */

static uint8_t data[KEEPALIVE_SIZE_MAX + 1];
static struct keepalive sent, got;

static void make(enum keepalive_kind kind)
{
    sent = (struct keepalive){.kind = kind,
                              .flags = KEEPALIVE_SLOW | KEEPALIVE_STORE_OK,
                              .incarnation = 7,
                              .start = INT64_MAX,
                              .epoch = 41,
                              .wall_ms = 1700000000123,
                              .members = UINT64_MAX,
                              .round = UINT64_C(0x8000000000000001),
                              .incarnation_of = 3,
                              .primary = "n1",
                              .name = "n2",
                              .reason = "role: drained (member, not drained)",
                              .row_count = 2,
                              .row = {"n1", "n3.site-b"}};
}

static void same(void)
{
    is_int(got.kind, sent.kind);
    is_int(got.flags, sent.flags);
    is_int((long long)got.incarnation, (long long)sent.incarnation);
    is_int((long long)got.start, (long long)sent.start);
    is_int((long long)got.epoch, (long long)sent.epoch);
    is_int(got.wall_ms, sent.wall_ms);
    ok(got.members == sent.members, "members differ");
    ok(got.round == sent.round, "rounds differ");
    is_int((long long)got.incarnation_of, (long long)sent.incarnation_of);
    is_text(got.primary, sent.primary);
    is_text(got.name, sent.name);
    is_text(got.reason, sent.reason);
    is_int((long long)got.row_count, (long long)sent.row_count);
    for (size_t i = 0; i < sent.row_count && i < got.row_count; i++) {
        is_text(got.row[i], sent.row[i]);
    }
}

static void each_kind_comes_back_as_it_was(void)
{
    for (int kind = KEEPALIVE_ROW; kind <= KEEPALIVE_KIND_LAST; kind++) {
        make((enum keepalive_kind)kind);
        ok(keepalive_read(&got, data, keepalive_write(&sent, data)), "kind %d is refused", kind);
        same();
    }
}

static void an_empty_one_comes_back_as_it_was(void)
{
    sent = (struct keepalive){.kind = KEEPALIVE_ROW};
    size_t size = keepalive_write(&sent, data);
    is_int((long long)size, AT_PRIMARY + 4);
    ok(keepalive_read(&got, data, size), "it is refused");
    same();
}

static void fill(char *text, size_t length)
{
    memset(text, 'x', length);
    text[length] = '\0';
}

static void make_largest(enum keepalive_kind kind)
{
    make(kind);
    fill(sent.primary, NAME_MAX_LENGTH);
    sent.name[0] = sent.reason[0] = '\0';
    sent.row_count = KEEPALIVE_ROW_MAX;
    for (size_t i = 0; i < KEEPALIVE_ROW_MAX; i++) {
        fill(sent.row[i], NAME_MAX_LENGTH);
    }
}

static void a_reason_leaves_less_room_for_the_row(void)
{
    make_largest(KEEPALIVE_ELECT);
    fill(sent.name, NAME_MAX_LENGTH);
    fill(sent.reason, KEEPALIVE_REASON_MAX);
    size_t size = keepalive_write(&sent, data);
    ok(size <= KEEPALIVE_SIZE_MAX, "%zu bytes", size);
    ok(keepalive_read(&got, data, size), "it is refused");
    is_text(got.reason, sent.reason);
    is_int((long long)got.row_count, 14);
}

static void the_largest_row_fits(void)
{
    make_largest(KEEPALIVE_ROW);
    size_t size = keepalive_write(&sent, data);
    ok(size <= KEEPALIVE_SIZE_MAX, "%zu bytes", size);
    ok(keepalive_read(&got, data, size), "it is refused");
    same();
}

static void every_truncation_is_refused(void)
{
    make(KEEPALIVE_PROMISE);
    size_t size = keepalive_write(&sent, data);
    for (size_t i = 0; i < size; i++) {
        uint8_t *exact = malloc(i ? i : 1); /* so that reading beyond it is seen under ASan */
        memcpy(exact, data, i);
        ok(!keepalive_read(&got, exact, i), "%zu of %zu bytes are taken", i, size);
        free(exact);
    }
}

static void what_is_behind_is_refused(void)
{
    make(KEEPALIVE_ROW);
    size_t size = keepalive_write(&sent, data);
    data[size] = 0;
    ok(!keepalive_read(&got, data, size + 1), "a byte behind is taken");
    ok(!keepalive_read(&got, data, sizeof data), "more than the largest is taken");
}

static bool taken_with(size_t at, uint8_t value)
{
    make(KEEPALIVE_ROW);
    size_t size = keepalive_write(&sent, data);
    data[at] = value;
    return keepalive_read(&got, data, size);
}

static void the_head_is_validated(void)
{
    ok(taken_with(AT_VERSION, KEEPALIVE_VERSION), "the right version is refused");
    ok(!taken_with(AT_VERSION, KEEPALIVE_VERSION + 1), "the next version is taken");
    ok(!taken_with(AT_VERSION, 0), "version 0 is taken");
    ok(!taken_with(AT_KIND, 0), "kind 0 is taken");
    ok(!taken_with(AT_KIND, KEEPALIVE_KIND_LAST + 1), "an unknown kind is taken");
    ok(!taken_with(AT_FLAGS, 4), "an unknown flag is taken");
    ok(!taken_with(AT_ZERO, 1), "the reserved byte is taken");
}

static void numbers_that_do_not_fit_are_refused(void)
{
    for (size_t i = 0; i < 3; i++) { /* incarnation, start, epoch */
        ok(!taken_with(AT_INCARNATION + 8 * i, 0x80), "number %zu is taken", i);
    }
    ok(!taken_with(AT_WALL, 0x80), "a negative time is taken");
    ok(taken_with(AT_WALL + 8, 0x80), "a hash with the highest bit is refused");
    ok(taken_with(AT_WALL + 16, 0x80), "a round with the highest bit is refused");
    ok(!taken_with(AT_WALL + 24, 0x80), "the incarnation of a promise is taken");
}

/* With `text` in place of one of the texts. */
static bool taken_as(char *place, const char *text)
{
    snprintf(place, NAME_MAX_LENGTH + 1, "%s", text);
    return keepalive_read(&got, data, keepalive_write(&sent, data));
}

static void names_are_validated(void)
{
    static const char *const bad[] = {"-n1", ".n1", "n 1", "n/1", "n\"1", "n\n1", "n\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make(KEEPALIVE_ROW);
        ok(!taken_as(sent.primary, bad[i]), "primary \"%s\" is taken", bad[i]);
        make(KEEPALIVE_ROW);
        ok(!taken_as(sent.name, bad[i]), "name \"%s\" is taken", bad[i]);
        make(KEEPALIVE_ROW);
        ok(!taken_as(sent.row[1], bad[i]), "\"%s\" in the row is taken", bad[i]);
    }
    make(KEEPALIVE_ROW);
    ok(!taken_as(sent.row[0], ""), "nobody in the row is taken");
    ok(!taken_with(AT_PRIMARY + 1, 0), "a zero in a name is taken");
}

static void lengths_are_validated(void)
{
    ok(!taken_with(AT_PRIMARY, 1), "a length that is too short is taken");
    ok(!taken_with(AT_PRIMARY, 3), "a length that is too long is taken");
    ok(!taken_with(AT_PRIMARY, NAME_MAX_LENGTH + 1), "a name that is too long is taken");
    ok(!taken_with(AT_PRIMARY, UINT8_MAX), "the longest text is taken");
}

static void a_row_that_is_too_long_is_cut_and_not_taken(void)
{
    make(KEEPALIVE_ROW);
    sent.row_count = KEEPALIVE_ROW_MAX;
    for (size_t i = 0; i < KEEPALIVE_ROW_MAX; i++) {
        snprintf(sent.row[i], sizeof sent.row[i], "n%zu", i);
    }
    size_t size = keepalive_write(&sent, data);
    size_t count_at = AT_PRIMARY + 3 + 3 + 1 + strlen(sent.reason);
    is_int(data[count_at], KEEPALIVE_ROW_MAX);
    data[count_at]++;
    memcpy(data + size, "\2n9", 3);
    ok(!keepalive_read(&got, data, size + 3), "17 in a row are taken");
    data[count_at]--;
    ok(keepalive_read(&got, data, size), "16 in a row are refused");
}

static void a_reason_need_not_be_ascii(void)
{
    make(KEEPALIVE_ELECT);
    snprintf(sent.reason, sizeof sent.reason, "repository: /srv/\xc3\xa4\n is away");
    ok(keepalive_read(&got, data, keepalive_write(&sent, data)), "it is refused");
    is_text(got.reason, "repository: /srv/??? is away");
}

int main(void)
{
    RUN(each_kind_comes_back_as_it_was);
    RUN(an_empty_one_comes_back_as_it_was);
    RUN(the_largest_row_fits);
    RUN(a_reason_leaves_less_room_for_the_row);
    RUN(every_truncation_is_refused);
    RUN(what_is_behind_is_refused);
    RUN(the_head_is_validated);
    RUN(numbers_that_do_not_fit_are_refused);
    RUN(names_are_validated);
    RUN(lengths_are_validated);
    RUN(a_row_that_is_too_long_is_cut_and_not_taken);
    RUN(a_reason_need_not_be_ascii);
    return tap_done();
}
