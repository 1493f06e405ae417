/* test_datagram.c - sealed keep-alives: there and back, each reason to drop one, starts and
 * incarnations, and ring keys that change without an outage. */
#include "net/datagram.h"
#include "tests/tap.h"

struct packet {
    uint8_t bytes[DATAGRAM_MAX];
    size_t size;
};

static const struct datagram_key KEY_7 = {7, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                              11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                              22, 23, 24, 25, 26, 27, 28, 29, 30, 31}};
static const struct datagram_key KEY_8 = {8, {8}};
static const struct datagram_key OTHER_7 = {7, {1}};

static struct datagram *make(const char *node, const struct datagram_key *key)
{
    struct datagram *datagram;
    is_int(datagram_new(&datagram, node, NULL), VIOS_OK);
    is_int(datagram_set_keys(datagram, key, 1, key->id, NULL), VIOS_OK);
    return datagram;
}

static struct datagram *sender_at(const char *node, int64_t incarnation, int64_t start)
{
    struct datagram *sender = make(node, &KEY_7);
    is_int(datagram_begin(sender, incarnation, start, NULL), VIOS_OK);
    return sender;
}

static struct datagram *receiver_of(const char *node)
{
    struct datagram *receiver = make("n2", &KEY_7);
    is_int(datagram_know(receiver, node, NULL), VIOS_OK);
    return receiver;
}

static struct packet seal(struct datagram *sender, const char *text)
{
    struct packet packet;
    is_int(datagram_seal(sender, text, strlen(text), packet.bytes, &packet.size, NULL), VIOS_OK);
    return packet;
}

static struct datagram_message message;

static enum datagram_verdict open_packet(struct datagram *receiver, const struct packet *packet)
{
    memset(&message, 0, sizeof message);
    return datagram_open(receiver, packet->bytes, packet->size, &message);
}

#define IS_VERDICT(got, want)                                                                      \
    is_text(datagram_verdict_name(got), datagram_verdict_name(DATAGRAM_##want))

/* Made with another library from what datagram_format.h says. */
static const char VECTOR[] = "76696f7301020000000000070000000000000004000000012345678900000000"
                             "000000016e31fb126c20f7fa95c45aac8b2ce3c38dbcc1f19d74c8";

static void the_format_is_what_it_says(void)
{
    char hex[2 * DATAGRAM_MAX + 1] = "";
    struct datagram *sender = sender_at("n1", 4, 0x123456789);
    struct datagram *receiver = receiver_of("n1");
    struct packet packet = seal(sender, "hello");
    for (size_t i = 0; i < packet.size; i++) {
        snprintf(hex + 2 * i, 3, "%02x", packet.bytes[i]);
    }
    is_text(hex, VECTOR);
    IS_VERDICT(open_packet(receiver, &packet), GOOD);
    is_text(message.node, "n1");
    is_int(message.incarnation, 4);
    is_int(message.start, 0x123456789);
    is_int(message.counter, 1);
    is_int(message.size, 5);
    is_text((char *)message.body, "hello");
    datagram_free(sender);
    datagram_free(receiver);
}

static void sizes_have_limits(void)
{
    char longest[64] = "";
    static uint8_t body[DATAGRAM_BODY_MAX + 1];
    struct packet packet;
    memset(longest, 'n', 63);
    memset(body, 'b', sizeof body);
    struct datagram *sender = sender_at(longest, 1, 1), *receiver = receiver_of(longest);
    is_int(datagram_seal(sender, body, sizeof body, packet.bytes, &packet.size, NULL),
           VIOS_E_NO_SPACE);
    is_int(datagram_seal(sender, body, DATAGRAM_BODY_MAX, packet.bytes, &packet.size, NULL),
           VIOS_OK);
    ok(packet.size <= DATAGRAM_MAX, "%zu bytes", packet.size);
    IS_VERDICT(open_packet(receiver, &packet), GOOD);
    is_int(message.size, DATAGRAM_BODY_MAX);
    ok(memcmp(message.body, body, DATAGRAM_BODY_MAX) == 0, "the body");
    is_int(datagram_seal(sender, NULL, 0, packet.bytes, &packet.size, NULL), VIOS_OK);
    IS_VERDICT(open_packet(receiver, &packet), GOOD);
    is_int(message.size, 0);
    datagram_free(sender);
    datagram_free(receiver);
}

static void what_is_cut_or_changed_is_dropped(void)
{
    struct datagram *sender = sender_at("n1", 4, 5), *receiver = receiver_of("n1");
    struct packet packet = seal(sender, "hello");
    const size_t least = 36 + 2 + 16; /* head, name, tag */
    for (size_t size = 0; size < packet.size; size++) {
        struct packet cut = packet;
        cut.size = size;
        enum datagram_verdict verdict = open_packet(receiver, &cut);
        ok(verdict == (size < least ? DATAGRAM_TRUNCATED : DATAGRAM_FORGED), "%zu bytes: %s", size,
           datagram_verdict_name(verdict));
    }
    for (size_t bit = 0; bit < 8 * packet.size; bit++) {
        struct packet changed = packet;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ok(open_packet(receiver, &changed) != DATAGRAM_GOOD, "bit %zu changed", bit);
        is_text(message.node, ""); /* nothing was filled */
    }
    struct packet more = packet;
    more.bytes[more.size++] = 0;
    IS_VERDICT(open_packet(receiver, &more), FORGED);
    more.size = DATAGRAM_MAX + 1;
    IS_VERDICT(datagram_open(receiver, more.bytes, more.size, &message), TRUNCATED);
    IS_VERDICT(open_packet(receiver, &packet), GOOD); /* none of them has moved anything */
    datagram_free(sender);
    datagram_free(receiver);
}

static void strangers_are_dropped(void)
{
    struct datagram *sender = sender_at("n1", 4, 5), *receiver = make("n2", &KEY_7);
    struct packet packet = seal(sender, "x");
    IS_VERDICT(open_packet(receiver, &packet), UNKNOWN_SENDER);
    is_int(datagram_know(receiver, "n1", NULL), VIOS_OK);
    is_int(datagram_know(receiver, "no name", NULL), VIOS_E_USAGE);
    IS_VERDICT(open_packet(receiver, &packet), GOOD);
    is_int(datagram_know(receiver, "n1", NULL), VIOS_OK);
    IS_VERDICT(open_packet(receiver, &packet), REPLAYED); /* knowing again changes nothing */
    datagram_forget(receiver, "n1");
    datagram_forget(receiver, "n1");
    packet = seal(sender, "x");
    IS_VERDICT(open_packet(receiver, &packet), UNKNOWN_SENDER);
    struct datagram *forger = make("n1", &OTHER_7); /* has another ring key under the same id */
    is_int(datagram_begin(forger, 4, 5, NULL), VIOS_OK);
    is_int(datagram_know(receiver, "n1", NULL), VIOS_OK);
    packet = seal(forger, "x");
    IS_VERDICT(open_packet(receiver, &packet), FORGED);
    packet = seal(sender, "x");
    memcpy(packet.bytes + 36, "n3", 2); /* in another's name */
    is_int(datagram_know(receiver, "n3", NULL), VIOS_OK);
    IS_VERDICT(open_packet(receiver, &packet), FORGED);
    datagram_free(forger);
    datagram_free(sender);
    datagram_free(receiver);
}

static void nothing_is_taken_twice(void)
{
    enum { COUNT = 3 * DATAGRAM_WINDOW };
    static struct packet packets[COUNT + 1]; /* by counter */
    struct datagram *sender = sender_at("n1", 4, 5), *receiver = receiver_of("n1");
    for (int i = 1; i <= COUNT; i++) {
        packets[i] = seal(sender, "x");
    }
    IS_VERDICT(open_packet(receiver, &packets[1]), GOOD);
    IS_VERDICT(open_packet(receiver, &packets[1]), REPLAYED);
    IS_VERDICT(open_packet(receiver, &packets[3]), GOOD);
    IS_VERDICT(open_packet(receiver, &packets[2]), GOOD); /* overtaken on the way */
    IS_VERDICT(open_packet(receiver, &packets[2]), REPLAYED);
    const int top = DATAGRAM_WINDOW + 500;
    IS_VERDICT(open_packet(receiver, &packets[top]), GOOD);
    IS_VERDICT(open_packet(receiver, &packets[top - DATAGRAM_WINDOW + 1]), GOOD);
    IS_VERDICT(open_packet(receiver, &packets[top - DATAGRAM_WINDOW + 1]), REPLAYED);
    IS_VERDICT(open_packet(receiver, &packets[top - DATAGRAM_WINDOW]), REPLAYED); /* too late */
    /* every other one of a window, backwards; then all of it again */
    for (int i = top - 1; i > top - DATAGRAM_WINDOW + 1; i -= 2) {
        ok(open_packet(receiver, &packets[i]) == DATAGRAM_GOOD, "counter %d", i);
    }
    for (int i = top; i > top - DATAGRAM_WINDOW; i--) {
        bool fresh = (top - i) % 2 == 0 && i != top && i != top - DATAGRAM_WINDOW + 1;
        ok((open_packet(receiver, &packets[i]) == DATAGRAM_GOOD) == fresh, "again %d", i);
    }
    for (int i = top - DATAGRAM_WINDOW; i <= top; i++) {
        ok(open_packet(receiver, &packets[i]) == DATAGRAM_REPLAYED, "and again %d", i);
    }
    IS_VERDICT(open_packet(receiver, &packets[COUNT]), GOOD); /* over a whole window */
    IS_VERDICT(open_packet(receiver, &packets[COUNT - 1]), GOOD);
    IS_VERDICT(open_packet(receiver, &packets[top]), REPLAYED);
    datagram_free(sender);
    datagram_free(receiver);
}

static void an_old_start_never_comes_back(void)
{
    struct datagram *first = sender_at("n1", 4, 100), *second = sender_at("n1", 4, 200);
    struct datagram *third = sender_at("n1", 5, 50), *receiver = receiver_of("n1");
    struct packet of_first = seal(first, "1"), later_of_first = seal(first, "1");
    struct packet of_second = seal(second, "2"), of_third = seal(third, "3");
    IS_VERDICT(open_packet(receiver, &of_first), GOOD);
    IS_VERDICT(open_packet(receiver, &of_second), GOOD); /* its counter begins anew */
    is_int(message.counter, 1);
    IS_VERDICT(open_packet(receiver, &later_of_first), STALE);
    IS_VERDICT(open_packet(receiver, &of_first), STALE);
    IS_VERDICT(open_packet(receiver, &of_second), REPLAYED);
    IS_VERDICT(open_packet(receiver, &of_third), GOOD); /* a higher incarnation, any start */
    IS_VERDICT(open_packet(receiver, &of_second), STALE);
    IS_VERDICT(open_packet(receiver, &of_third), REPLAYED);
    datagram_free(first);
    datagram_free(second);
    datagram_free(third);
    datagram_free(receiver);
}

static void the_record_may_say_more_than_was_seen(void)
{
    struct datagram *first = sender_at("n1", 4, 100), *second = sender_at("n1", 4, 200);
    struct datagram *receiver = receiver_of("n1");
    struct packet of_first = seal(first, "1"), of_second = seal(second, "2");
    datagram_expect(receiver, "n1", 4, 200); /* it had been restarted before we were */
    IS_VERDICT(open_packet(receiver, &of_first), STALE);
    IS_VERDICT(open_packet(receiver, &of_second), GOOD);
    datagram_expect(receiver, "n1", 4, 200);
    IS_VERDICT(open_packet(receiver, &of_second), REPLAYED);
    datagram_expect(receiver, "n1", 4, 100); /* news that come late */
    IS_VERDICT(open_packet(receiver, &of_first), STALE);
    IS_VERDICT(open_packet(receiver, &of_second), REPLAYED);
    datagram_expect(receiver, "n9", 4, 100); /* of nobody */
    datagram_free(first);
    datagram_free(second);
    datagram_free(receiver);
}

static void a_forged_start_changes_nothing(void)
{
    struct datagram *sender = sender_at("n1", 4, 5), *forger = make("n1", &OTHER_7);
    struct datagram *receiver = receiver_of("n1");
    is_int(datagram_begin(forger, 9, 9, NULL), VIOS_OK);
    struct packet good = seal(sender, "x"), forged = seal(forger, "x");
    IS_VERDICT(open_packet(receiver, &good), GOOD);
    IS_VERDICT(open_packet(receiver, &forged), FORGED);
    good = seal(sender, "x");
    IS_VERDICT(open_packet(receiver, &good), GOOD);
    datagram_free(sender);
    datagram_free(forger);
    datagram_free(receiver);
}

static void ring_keys_change_without_an_outage(void)
{
    const struct datagram_key both[2] = {KEY_7, KEY_8};
    struct datagram *sender = sender_at("n1", 4, 5), *receiver = receiver_of("n1");
    struct packet old = seal(sender, "x"), kept = seal(sender, "x");
    is_int(datagram_set_keys(sender, both, 2, 8, NULL), VIOS_OK);
    struct packet early = seal(sender, "x");
    is_int(early.bytes[11], 8);
    IS_VERDICT(open_packet(receiver, &old), GOOD);
    IS_VERDICT(open_packet(receiver, &early), UNKNOWN_KEY);
    is_int(datagram_set_keys(receiver, both, 2, 7, NULL), VIOS_OK);
    IS_VERDICT(open_packet(receiver, &early), GOOD);
    is_int(message.counter, 3);                        /* one count over both keys */
    IS_VERDICT(open_packet(receiver, &old), REPLAYED); /* one window too */
    IS_VERDICT(open_packet(receiver, &kept), GOOD);
    is_int(datagram_set_keys(receiver, &KEY_8, 1, 8, NULL), VIOS_OK);
    is_int(datagram_set_keys(sender, both, 2, 7, NULL), VIOS_OK);
    struct packet late = seal(sender, "x");
    IS_VERDICT(open_packet(receiver, &late), UNKNOWN_KEY);
    is_int(datagram_set_keys(sender, &KEY_8, 1, 8, NULL), VIOS_OK);
    late = seal(sender, "x");
    IS_VERDICT(open_packet(receiver, &late), GOOD);
    datagram_free(sender);
    datagram_free(receiver);
}

static void a_nonce_is_never_used_twice(void)
{
    struct vios_error error = {0};
    struct datagram *sender = make("n1", &KEY_7);
    struct packet packet;
    is_int(datagram_seal(sender, "x", 1, packet.bytes, &packet.size, &error), VIOS_E_LOCKED);
    is_int(datagram_begin(sender, 4, 5, NULL), VIOS_OK);
    struct packet one = seal(sender, "x");
    is_int(datagram_begin(sender, 4, 5, NULL), VIOS_OK);
    struct packet two = seal(sender, "x");
    is_int(two.bytes[35], one.bytes[35] + 1); /* the counter goes on */
    is_int(datagram_begin(sender, 4, 4, NULL), VIOS_E_STALE);
    is_int(datagram_begin(sender, 3, 9, NULL), VIOS_E_STALE);
    is_int(datagram_begin(sender, 5, 5, NULL), VIOS_OK);
    struct packet next = seal(sender, "x");
    is_int(next.bytes[35], 1);
    ok(memcmp(next.bytes + 38, one.bytes + 38, 1 + 16) != 0, "under another key");
    int64_t before = datagram_start_make();
    for (int i = 0; i < 1000; i++) { /* within a millisecond they may be in any order */
        ok(datagram_start_make() >> 20 >= before >> 20, "starts grow");
    }
    datagram_free(sender);
}

static void keys_are_checked(void)
{
    const struct datagram_key twice[2] = {KEY_7, OTHER_7};
    struct datagram *datagram = make("n1", &KEY_7);
    struct datagram_key fresh, other;
    is_int(datagram_set_keys(datagram, twice, 2, 7, NULL), VIOS_E_INVALID);
    is_int(datagram_set_keys(datagram, &KEY_7, 1, 8, NULL), VIOS_E_INVALID);
    is_int(datagram_set_keys(datagram, &KEY_7, 0, 7, NULL), VIOS_E_INVALID);
    is_int(datagram_key_make(&fresh, 9, NULL), VIOS_OK);
    is_int(datagram_key_make(&other, 9, NULL), VIOS_OK);
    is_int(fresh.id, 9);
    ok(memcmp(fresh.bytes, other.bytes, sizeof fresh.bytes) != 0, "each key is new");
    struct datagram *bad;
    is_int(datagram_new(&bad, "no name", NULL), VIOS_E_USAGE);
    datagram_free(datagram);
}

static void every_verdict_is_counted(void)
{
    struct datagram *sender = sender_at("n1", 4, 5), *receiver = receiver_of("n1");
    struct packet packet = seal(sender, "x");
    open_packet(receiver, &packet);
    open_packet(receiver, &packet);
    open_packet(receiver, &packet);
    packet.size = 3;
    open_packet(receiver, &packet);
    is_int(datagram_counts(receiver)[DATAGRAM_GOOD], 1);
    is_int(datagram_counts(receiver)[DATAGRAM_REPLAYED], 2);
    is_int(datagram_counts(receiver)[DATAGRAM_TRUNCATED], 1);
    is_int(datagram_counts(receiver)[DATAGRAM_FORGED], 0);
    datagram_free(sender);
    datagram_free(receiver);
}

static void many_senders_are_told_apart(void)
{
    enum { SENDERS = 100 };
    struct datagram *receiver = make("n2", &KEY_7), *senders[SENDERS];
    char name[16];
    for (int i = 0; i < SENDERS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        senders[i] = sender_at(name, 1, 1);
        is_int(datagram_know(receiver, name, NULL), VIOS_OK);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SENDERS; i++) {
            snprintf(name, sizeof name, "m%d", i);
            struct packet packet = seal(senders[i], name);
            IS_VERDICT(open_packet(receiver, &packet), GOOD);
            is_text(message.node, name);
            IS_VERDICT(open_packet(receiver, &packet), REPLAYED);
        }
        datagram_forget(receiver, "m3"); /* the last one takes its place */
        is_int(datagram_know(receiver, "m3", NULL), VIOS_OK);
    }
    for (int i = 0; i < SENDERS; i++) {
        datagram_free(senders[i]);
    }
    datagram_free(receiver);
}

int main(void)
{
    RUN(the_format_is_what_it_says);
    RUN(sizes_have_limits);
    RUN(what_is_cut_or_changed_is_dropped);
    RUN(strangers_are_dropped);
    RUN(nothing_is_taken_twice);
    RUN(an_old_start_never_comes_back);
    RUN(the_record_may_say_more_than_was_seen);
    RUN(a_forged_start_changes_nothing);
    RUN(ring_keys_change_without_an_outage);
    RUN(a_nonce_is_never_used_twice);
    RUN(keys_are_checked);
    RUN(every_verdict_is_counted);
    RUN(many_senders_are_told_apart);
    return tap_done();
}
