/* Proves: the records of several nodes come in one order, by their clocks' offsets; a clock that
 * was set does not change that of one boot; each is there once, with its epoch; lines that are none
 * are counted. */
#include "ffdc/timeline.h"

#include "tests/tap.h"

static struct timeline *timeline;
static size_t bad;

#define LINE(sequence, wall, boot, part, text)                                                     \
    "{\"sequence\":" #sequence ",\"wall_ms\":" #wall ",\"boot_ms\":" #boot ",\"part\":\"" part     \
    "\",\"text\":\"" text "\"}\n"

static void add(const char *node, int64_t offset_ms, int64_t epoch, const char *text)
{
    char *copy = strdup(text);
    struct vios_error error;
    is_int(timeline_add(timeline, node, offset_ms, epoch, copy, &bad, &error), VIOS_OK);
    free(copy);
}

/* "n1:text@time/epoch n2:..." */
static void shows(const char *wanted)
{
    char got[2048] = "";
    size_t count, used = 0;
    const struct timeline_entry *entries = timeline_sort(timeline, &count);
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%s:%s@%lld/%lld", i ? " " : "",
                                 entries[i].node, entries[i].text, (long long)entries[i].time_ms,
                                 (long long)entries[i].epoch);
    }
    is_text(got, wanted);
    timeline_free(timeline);
    timeline = timeline_new();
}

static void offsets_are_taken_away(void)
{
    add("n1", 0, 3, LINE(1, 1000, 10, "a", "one") LINE(2, 1500, 510, "a", "three"));
    add("n2", 5000, 3, LINE(1, 6200, 99200, "a", "two") LINE(2, 6600, 99600, "a", "four"));
    shows("n1:one@1000/3 n2:two@1200/3 n1:three@1500/3 n2:four@1600/3");
}

static void a_clock_that_was_set_changes_nothing(void)
{
    add("n1", 0, 1,
        LINE(1, 90000, 100, "a", "one") LINE(2, 1200, 200, "a", "two")
            LINE(3, 1300, 300, "a", "three"));
    shows("n1:one@1100/1 n1:two@1200/1 n1:three@1300/1");
}

static void another_boot_has_its_own_time(void)
{
    add("n1", 0, 1, LINE(1, 1000000, 900000, "a", "one") LINE(2, 2000000, 500, "a", "two"));
    shows("n1:one@1000000/1 n1:two@2000000/1");
}

static void epochs_are_followed(void)
{
    add("n1", 0, 9,
        LINE(1, 1, 1, "a", "x") LINE(2, 2, 2, "cluster", "primary is n1, epoch 3")
            LINE(3, 3, 3, "a", "y") LINE(4, 4, 4, "cluster", "no primary, epoch 4")
                LINE(5, 5, 5, "a", ", epoch 7"));
    shows("n1:x@1/0 n1:primary is n1, epoch 3@2/3 n1:y@3/3 n1:no primary, epoch 4@4/4 "
          "n1:, epoch 7@5/4");
}

/* The ring of a daemon that crashed is gone on with by the next one. */
static void what_is_twice_is_shown_once(void)
{
    add("n1", 0, 1, LINE(1, 1, 1, "a", "one") LINE(2, 2, 2, "a", "crash"));
    add("n1", 0, 1,
        LINE(1, 1, 1, "a", "one") LINE(2, 2, 2, "a", "crash") LINE(3, 3, 3, "a", "new"));
    shows("n1:one@1/1 n1:crash@2/1 n1:new@3/1");
}

static void lines_that_are_none_are_counted(void)
{
    add("n1", 0, 1,
        "\n{\n{}\n[1]\n" LINE(0, 1, 1, "a", "zero") LINE(1, 1, 1, "far too long a part", "x")
            LINE(2, 2, 2, "a", "good"));
    is_int(bad, 5);
    shows("n1:good@2/1");
}

static void nothing_is_in_order(void)
{
    add("n1", 0, 1, "");
    is_int(bad, 0);
    shows("");
}

int main(void)
{
    timeline = timeline_new();
    RUN(offsets_are_taken_away);
    RUN(a_clock_that_was_set_changes_nothing);
    RUN(another_boot_has_its_own_time);
    RUN(epochs_are_followed);
    RUN(what_is_twice_is_shown_once);
    RUN(lines_that_are_none_are_counted);
    RUN(nothing_is_in_order);
    timeline_free(timeline);
    return tap_done();
}
