/* test_negotiation.c - the NBD handshake: every option, well formed and not. */
#include "base/clock.h"
#include "tests/unit/nbd/client.h"

static void go_says_what_the_export_is(void)
{
    char data[8192];
    uint32_t size, seen = 0, type;
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    put_option(fd, NBD_OPT_GO, data, make_go(data, MEMORY_NAME, 4));
    while ((type = get_answer(fd, NBD_OPT_GO, data, &size)) == NBD_REP_INFO) {
        uint16_t info = (uint16_t)(data[0] << 8 | data[1]);
        seen |= 1u << info;
        if (info == NBD_INFO_EXPORT) {
            uint64_t bytes;
            memcpy(&bytes, data + 2, 8);
            is_int(be64toh(bytes), MEMORY_SIZE);
            is_int((uint8_t)data[11], 0x6d); /* flush, fua, trim, zeroes; no DF */
        } else if (info == NBD_INFO_NAME) {
            is_text(data + 2, MEMORY_NAME);
        } else if (info == NBD_INFO_DESCRIPTION) {
            is_text(data + 2, "a test");
        } else if (info == NBD_INFO_BLOCK_SIZE) {
            is_int(size, sizeof(struct nbd_wire_info_block_size));
        }
    }
    is_int(type, NBD_REP_ACK);
    is_int(seen, 15);
    hang_up(fd);
}

static void export_name_goes_at_once(void)
{
    for (int zeroes = 0; zeroes < 2; zeroes++) {
        uint8_t reply[10 + NBD_EXPORT_NAME_ZEROES];
        fresh();
        int fd = connect_as(MEMORY_IDENTITY);
        greet(fd, zeroes ? 1 : 3);
        put_option(fd, NBD_OPT_EXPORT_NAME, MEMORY_NAME, strlen(MEMORY_NAME));
        ok(get(fd, reply, zeroes ? sizeof reply : 10), "the answer");
        put_request(fd, NBD_FLUSH, 0, 7, 0, 0);
        is_int(get_simple(fd, 7), 0);
        hang_up(fd);
    }
}

static void others_see_no_export(void)
{
    char data[8192], unknown[8192];
    uint32_t size, unknown_size;
    fresh();
    int fd = connect_as("lpar:0f");
    greet(fd, 3);
    is_int(simple_option(fd, NBD_OPT_LIST, "", 0), NBD_REP_ACK);
    size_t go_size = make_go(data, MEMORY_NAME, 0);
    put_option(fd, NBD_OPT_GO, data, go_size);
    is_int(get_answer(fd, NBD_OPT_GO, data, &size), NBD_REP_ERR_UNKNOWN);
    put_option(fd, NBD_OPT_GO, unknown, make_go(unknown, "nosuch", 0));
    is_int(get_answer(fd, NBD_OPT_GO, unknown, &unknown_size), NBD_REP_ERR_UNKNOWN);
    is_text(data, unknown); /* word for word the same */
    is_text(data, "no such export");
    put_option(fd, NBD_OPT_EXPORT_NAME, MEMORY_NAME, strlen(MEMORY_NAME));
    ok(is_closed(fd), "EXPORT_NAME of an unknown export disconnects");
    hang_up(fd);
}

static void list_names_the_exports(void)
{
    char data[8192];
    uint32_t size;
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    put_option(fd, NBD_OPT_LIST, "", 0);
    is_int(get_answer(fd, NBD_OPT_LIST, data, &size), NBD_REP_SERVER);
    is_text(data + 4, MEMORY_NAME);
    is_int(get_answer(fd, NBD_OPT_LIST, data, &size), NBD_REP_ACK);
    is_int(simple_option(fd, NBD_OPT_LIST, "x", 1), NBD_REP_ERR_INVALID);
    hang_up(fd);
}

static void info_stays_in_the_handshake(void)
{
    char data[8192];
    uint32_t size;
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    put_option(fd, NBD_OPT_INFO, data, make_go(data, MEMORY_NAME, 0));
    is_int(get_answer(fd, NBD_OPT_INFO, data, &size), NBD_REP_INFO);
    is_int(get_answer(fd, NBD_OPT_INFO, data, &size), NBD_REP_INFO);
    is_int(get_answer(fd, NBD_OPT_INFO, data, &size), NBD_REP_ACK);
    is_int(memory.holders, 0);
    is_int(simple_option(fd, NBD_OPT_LIST, "x", 1), NBD_REP_ERR_INVALID);
    hang_up(fd);
}

static void meta_contexts(void)
{
    char data[8192];
    uint32_t size;
    static const char all[] = "\0\0\0\6memory\0\0\0\0";
    static const char base[] = "\0\0\0\6memory\0\0\0\1\0\0\0\5base:";
    static const char other[] = "\0\0\0\6memory\0\0\0\1\0\0\0\5qemu:";
    static const char nosuch[] = "\0\0\0\6nosuch\0\0\0\0";
    static const char cut[] = "\0\0\0\6memory\0\0\0\2\0\0\0\5base:";
    uint32_t option = NBD_OPT_LIST_META_CONTEXT;
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    is_int(simple_option(fd, option, all, sizeof all - 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_STRUCTURED_REPLY, "", 0), NBD_REP_ACK);
    put_option(fd, option, all, sizeof all - 1);
    is_int(get_answer(fd, option, data, &size), NBD_REP_META_CONTEXT);
    is_text(data + 4, "base:allocation");
    is_int(get_answer(fd, option, data, &size), NBD_REP_ACK);
    put_option(fd, option, base, sizeof base - 1);
    is_int(get_answer(fd, option, data, &size), NBD_REP_META_CONTEXT);
    is_int(get_answer(fd, option, data, &size), NBD_REP_ACK);
    is_int(simple_option(fd, option, other, sizeof other - 1), NBD_REP_ACK);
    is_int(simple_option(fd, option, nosuch, sizeof nosuch - 1), NBD_REP_ERR_UNKNOWN);
    is_int(simple_option(fd, option, cut, sizeof cut - 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_SET_META_CONTEXT, all, sizeof all - 1), NBD_REP_ACK);
    is_int(memory.holders, 0);
    hang_up(fd);
}

static void malformed_options_are_refused(void)
{
    static const char long_name[] = "\0\0\1\0memory\0\0";
    static const char short_infos[] = "\0\0\0\6memory\0\2\0\0";
    static const char trailing[] = "\0\0\0\6memory\0\0x";
    static const char inner_nul[] = "\0\0\0\6mem\0ry\0\0";
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    is_int(simple_option(fd, NBD_OPT_GO, "", 0), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_GO, long_name, sizeof long_name - 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_GO, short_infos, sizeof short_infos - 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_GO, trailing, sizeof trailing - 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_GO, inner_nul, sizeof inner_nul - 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_STRUCTURED_REPLY, "x", 1), NBD_REP_ERR_INVALID);
    is_int(simple_option(fd, NBD_OPT_STARTTLS, "", 0), NBD_REP_ERR_POLICY);
    is_int(simple_option(fd, 99, "what", 4), NBD_REP_ERR_UNSUP);
    is_int(simple_option(fd, NBD_OPT_LIST, "", 0), NBD_REP_SERVER); /* it still works */
    hang_up(fd);
}

static void a_long_option_is_read_over(void)
{
    static char large[100000];
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    is_int(simple_option(fd, NBD_OPT_GO, large, sizeof large), NBD_REP_ERR_TOO_BIG);
    is_int(simple_option(fd, NBD_OPT_STRUCTURED_REPLY, "", 0), NBD_REP_ACK);
    hang_up(fd);
}

static void nonsense_disconnects(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {"\0\0\0\4", 4},                                  /* a flag we do not know */
        {"\0\0\0\3IHAVEOPX\0\0\0\3\0\0\0\0", 20},         /* a wrong magic */
        {"\0\0\0\3IHAVEOPT\0\0\0\3\xff\xff\xff\xff", 20}, /* a length beyond reason */
        {"\0\0\0\3IHAVEOPT\0\0\0\2\0\0\0\0", 20},         /* ABORT */
        {"\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\6mem\0ry", 26},  /* EXPORT_NAME with a NUL */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nbd_wire_greeting greeting;
        fresh();
        int fd = connect_as(MEMORY_IDENTITY);
        ok(get(fd, &greeting, sizeof greeting), "a greeting comes");
        put(fd, rows[i].bytes, rows[i].size);
        ok(is_closed(fd), "row %zu disconnects", i);
        hang_up(fd);
    }
}

static void too_many_options_disconnect(void)
{
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    greet(fd, 3);
    for (int i = 0; i < NBD_OPTIONS_MAX; i++) {
        is_int(simple_option(fd, 99, "", 0), NBD_REP_ERR_UNSUP);
    }
    put_option(fd, 99, "", 0);
    ok(is_closed(fd), "one more disconnects");
    hang_up(fd);
}

static void bytes_may_come_one_by_one(void)
{
    static const char script[] = "\0\0\0\3IHAVEOPT\0\0\0\x08\0\0\0\0"
                                 "IHAVEOPT\0\0\0\x03\0\0\0\0";
    char data[8192];
    uint32_t size;
    struct nbd_wire_greeting greeting;
    fresh();
    int fd = connect_as(MEMORY_IDENTITY);
    ok(get(fd, &greeting, sizeof greeting), "a greeting comes");
    for (size_t i = 0; i < sizeof script - 1; i++) {
        put(fd, script + i, 1);
    }
    is_int(get_answer(fd, NBD_OPT_STRUCTURED_REPLY, data, &size), NBD_REP_ACK);
    is_int(get_answer(fd, NBD_OPT_LIST, data, &size), NBD_REP_SERVER);
    hang_up(fd);
}

static void a_silent_client_is_not_waited_for_for_ever(void)
{
    fresh();
    struct nbd_wire_greeting greeting;
    int fd = connect_as(MEMORY_IDENTITY);
    int64_t begun_ms = clock_now_ms();
    ok(get(fd, &greeting, sizeof greeting), "a greeting comes");
    while (clock_now_ms() - begun_ms < 2 * NBD_HANDSHAKE_MS && nbd_server_connections(server) > 0) {
        worker_turn(worker, 1000);
    }
    ok(clock_now_ms() - begun_ms >= NBD_HANDSHAKE_MS - 100, "it had its time");
    ok(is_closed(fd), "closed");
    hang_up(fd);
}

int main(void)
{
    if (worker_adopt(&worker, NULL) != VIOS_OK) {
        return 1;
    }
    RUN(go_says_what_the_export_is);
    RUN(export_name_goes_at_once);
    RUN(others_see_no_export);
    RUN(list_names_the_exports);
    RUN(info_stays_in_the_handshake);
    RUN(meta_contexts);
    RUN(malformed_options_are_refused);
    RUN(a_long_option_is_read_over);
    RUN(nonsense_disconnects);
    RUN(too_many_options_disconnect);
    RUN(bytes_may_come_one_by_one);
    RUN(a_silent_client_is_not_waited_for_for_ever);
    worker_abandon(worker);
    return tap_done();
}
