/* Proves: addresses, guests' names and long hex give way to aliases that are the same for the
 * same, and nothing else does. */
#include "ffdc/redact.h"

#include "tests/tap.h"

static struct redactor *redactor;

static void becomes(const char *text, const char *wanted)
{
    char *out = NULL;
    size_t size = 0;
    struct vios_error error;
    is_int(redactor_run(redactor, text, strlen(text), &out, &size, &error), VIOS_OK);
    is_text(out, wanted);
    is_int(size, strlen(wanted));
    free(out);
}

static void addresses_go(void)
{
    becomes("to 192.0.2.1:7440, from 192.0.2.2.", "to address-1:7440, from address-2.");
    becomes("[2001:db8::1]:7440 and 192.0.2.1", "[address-3]:7440 and address-1");
    becomes("mac=52:54:00:12:34:56", "mac=address-4");
    becomes("0: 0100007F:1F90 00000000:0000 0A", "0: address-5:1F90 address-6:0000 0A");
    becomes("00000000000000000000000001000000:B1", "hex-1:B1");
}

static void what_is_no_address_stays(void)
{
    static const char TEXT[] =
        "2026-11-23T12:00:01.000Z 12:00:01 1.2.3 v1.2.3.4 300.1.1.1 a:b dead";
    becomes(TEXT, "2026-11-23T12:00:01.000Z 12:00:01 1.2.3 v1.2.3.4 300.1.1.1 a:b dead");
}

static void hex_goes(void)
{
    becomes("key=0123456789abcdef0123456789abcdef;", "key=hex-2;");
    becomes("0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcde");
    becomes("c0ffee00-1111-4222-8333-444455556666", "c0ffee00-1111-4222-8333-444455556666");
}

static void guests_go(void)
{
    redactor_add_records(redactor, "{\"key\":\"/lpar/web1\",\"revision\":7,\"value\":{}}\n"
                                   "{\"key\":\"/lpar/db.example\",\"revision\":8,\"value\":{}}\n"
                                   "{\"key\":\"/lu/web2\",\"revision\":8,\"value\":{}}\n");
    becomes("web1: started, web1-disk0, lpar \"web1\"",
            "guest-1: started, guest-1-disk0, lpar \"guest-1\"");
    becomes("web10 myweb1 web2", "web10 myweb1 web2");
    becomes("/lpar/db.example/x", "/lpar/guest-2/x");
    becomes("web1", "guest-1");
}

static void anything_is_taken(void)
{
    char *out;
    size_t size;
    becomes("", "");
    is_int(redactor_run(redactor, "a\0web1\xff", 7, &out, &size, NULL), VIOS_OK);
    is_int(size, 10);
    ok(memcmp(out, "a\0guest-1\xff", 10) == 0, "NULs and broken characters stay");
    free(out);
}

int main(void)
{
    redactor = redactor_new();
    RUN(addresses_go);
    RUN(what_is_no_address_stays);
    RUN(hex_goes);
    RUN(guests_go);
    RUN(anything_is_taken);
    redactor_free(redactor);
    return tap_done();
}
