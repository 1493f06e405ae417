/* test_ring.c - the record of the ring key: its change, and everything that is no such record. */
#include "net/crypto.h"
#include "node/ring.h"
#include "tests/tap.h"

static struct vios_error error;

static void is_written_and_read_back(void)
{
    struct ring ring, back;
    is_int(ring_make(&ring, &error), VIOS_OK);
    is_int(ring.count, 1);
    is_int(ring.seal, 1);
    char *text = ring_format(&ring);
    is_int(ring_parse(text, &back, &error), VIOS_OK);
    char *again = ring_format(&back);
    is_text(again, text);
    crypto_forget(again);
    crypto_forget(text);
}

static void changes_in_three_steps(void)
{
    struct ring ring;
    is_int(ring_make(&ring, &error), VIOS_OK);
    struct datagram_key first = ring.keys[0];
    is_int(ring_add(&ring, &error), VIOS_OK);
    is_int(ring.count, 2);
    is_int(ring.seal, 1);
    is_int(ring_newest(&ring), 2);
    is_int(ring_add(&ring, &error), VIOS_E_LOCKED);
    ring.seal = ring_newest(&ring);
    ring_drop_old(&ring);
    is_int(ring.count, 1);
    is_int(ring.keys[0].id, 2);
    ok(memcmp(ring.keys[0].bytes, first.bytes, sizeof first.bytes) != 0, "another key");
}

static void refuses_what_is_none(void)
{
#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    static const char *const bad[] = {
        "",
        "[]",
        "{\"v\":1}",
        "{\"keys\":[],\"seal\":1}",
        "{\"keys\":[{\"id\":1,\"key\":\"00\"}],\"seal\":1}",
        "{\"keys\":[{\"id\":0,\"key\":\"" KEY "\"}],\"seal\":0}",
        "{\"keys\":[{\"id\":4294967296,\"key\":\"" KEY "\"}],\"seal\":4294967296}",
        "{\"keys\":[{\"id\":1,\"key\":\"" KEY "\"}],\"seal\":2}",
        "{\"keys\":[{\"id\":1,\"key\":\"" KEY "\"},{\"id\":1,\"key\":\"" KEY "\"}],\"seal\":1}",
        "{\"keys\":[{\"id\":1,\"key\":\"" KEY "\"},{\"id\":2,\"key\":\"" KEY "\"},"
        "{\"id\":3,\"key\":\"" KEY "\"}],\"seal\":1}",
    };
    struct ring ring = {.count = 7};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ok(ring_parse(bad[i], &ring, &error) == VIOS_E_CORRUPT, "%s", bad[i]);
    }
    is_int(ring.count, 7);
    is_int(
        ring_parse("{\"v\":1,\"keys\":[{\"id\":9,\"key\":\"" KEY "\"}],\"seal\":9}", &ring, &error),
        VIOS_OK);
    is_int(ring.keys[0].id, 9);
}

int main(void)
{
    RUN(is_written_and_read_back);
    RUN(changes_in_three_steps);
    RUN(refuses_what_is_none);
    return tap_done();
}
