/* Proves: each word of a user is taken whole or refused, and a refusal leaves the value alone. */
#include "base/parse.h"
#include "tests/tap.h"

static struct vios_error error;

static void takes_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } rows[] = {
        {"0", 0},
        {"512", 512},
        {"64K", 65536},
        {"64k", 65536},
        {"64KiB", 65536},
        {"1.5G", UINT64_C(1610612736)},
        {"2T", UINT64_C(2) << 40},
        {"0.25M", 262144},
        {"4611686018427387904", UINT64_C(1) << 62},
        {"4194304T", UINT64_C(1) << 62},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 1;
        ok(parse_size(rows[i].text, &bytes, &error) == VIOS_OK, "%s: %s", rows[i].text,
           error.message);
        is_int(bytes, rows[i].bytes);
    }
}

static void refuses_what_is_no_size(void)
{
    static const char *const rows[] = {
        "",
        "-1",
        "+1",
        " 1",
        "1 ",
        "K",
        "1X",
        "1KK",
        "1.5.5G",
        "0x10",
        "1e3",
        "1,5G",
        "1 G",
        "4611686018427387905",
        "4194305T",
        "99999999999999999999",
        "1.1234567890123456789G",
        ".5G",
        "5.G",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 7;
        error_set(&error, VIOS_OK, NULL, NULL, "%s", "");
        ok(parse_size(rows[i], &bytes, &error) == VIOS_E_USAGE, "\"%s\" is taken", rows[i]);
        ok(bytes == 7, "\"%s\" changed the value", rows[i]);
        ok(strstr(error.message, "is not a size") && error.hint[0], "%s", error.message);
    }
}

static void takes_durations(void)
{
    int64_t ms = 0;
    is_int(parse_duration("200ms", &ms, &error), VIOS_OK);
    is_int(ms, 200);
    is_int(parse_duration("5", &ms, &error), VIOS_OK);
    is_int(ms, 5000);
    is_int(parse_duration("1.5s", &ms, &error), VIOS_OK);
    is_int(ms, 1500);
    is_int(parse_duration("2m", &ms, &error), VIOS_OK);
    is_int(ms, 120000);
    is_int(parse_duration("1d", &ms, &error), VIOS_OK);
    is_int(ms, 86400000);
    is_int(parse_duration("1y", &ms, &error), VIOS_E_USAGE);
    is_text(error.message, "\"1y\" is not a duration");
    is_int(parse_duration("99999999999d", &ms, &error), VIOS_E_USAGE);
    is_int(parse_duration("", &ms, &error), VIOS_E_USAGE);
    is_int(ms, 86400000);
}

static void bounds_integers(void)
{
    int64_t value = 0;
    is_int(parse_integer("-5", -5, 5, &value, &error), VIOS_OK);
    is_int(value, -5);
    is_int(parse_integer("6", -5, 5, &value, &error), VIOS_E_USAGE);
    ok(strstr(error.hint, "from -5 to 5") != NULL, "%s", error.hint);
    static const char *const rows[] = {
        "", "-", "+1", "1.0", "1 ", " 1", "0x1", "--1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ok(parse_integer(rows[i], -5, 5, &value, &error) == VIOS_E_USAGE, "\"%s\"", rows[i]);
    }
    is_int(value, -5);
}

static void takes_booleans(void)
{
    bool value = false;
    is_int(parse_boolean("Yes", &value, &error), VIOS_OK);
    ok(value, "yes is true");
    is_int(parse_boolean("off", &value, &error), VIOS_OK);
    ok(!value, "off is false");
    is_int(parse_boolean("maybe", &value, &error), VIOS_E_USAGE);
    is_text(error.hint, "give yes or no");
}

static void checks_names(void)
{
    char longest[NAME_MAX_LENGTH + 2];
    memset(longest, 'a', sizeof longest);
    longest[NAME_MAX_LENGTH] = '\0';
    is_int(parse_name(longest, "node", &error), VIOS_OK);
    longest[NAME_MAX_LENGTH] = 'a';
    longest[NAME_MAX_LENGTH + 1] = '\0';
    is_int(parse_name(longest, "node", &error), VIOS_E_USAGE);
    is_int(parse_name("Web-1.b_2", "node", &error), VIOS_OK);
    static const char *const rows[] = {"",   ".a",  "-a",       "_a",        "a/b", "a b",
                                       "..", "a\n", "\xc3\xa9", "a\xc3\xa9", "a:b"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ok(parse_name(rows[i], "node", &error) == VIOS_E_USAGE, "\"%s\" is taken", rows[i]);
    }
    ok(strstr(error.message, "node") != NULL, "says for what: %s", error.message);
}

static void makes_uuids(void)
{
    char first[UUID_TEXT_SIZE], second[UUID_TEXT_SIZE];
    uuid_make(first);
    uuid_make(second);
    is_int(parse_uuid(first, &error), VIOS_OK);
    ok(first[14] == '4' && strchr("89ab", first[19]), "version 4: %s", first);
    ok(strcmp(first, second) != 0, "two are not the same");
    is_int(parse_uuid("", &error), VIOS_E_USAGE);
    is_int(parse_uuid("123E4567-e89b-42d3-a456-426614174000", &error), VIOS_E_USAGE);
    is_int(parse_uuid("123e4567-e89b-42d3-a456-4266141740001", &error), VIOS_E_USAGE);
    is_int(parse_uuid("123e4567xe89b-42d3-a456-426614174000", &error), VIOS_E_USAGE);
}

static void checks_mac_addresses(void)
{
    char mac[18] = "unchanged";
    is_int(parse_mac("01:00:5e:00:00:01", mac, &error), VIOS_E_USAGE);
    is_int(parse_mac("52:54:00:12:34", mac, &error), VIOS_E_USAGE);
    is_int(parse_mac("52-54-00-12-34-56", mac, &error), VIOS_E_USAGE);
    is_int(parse_mac("52:54:00:12:34:5g", mac, &error), VIOS_E_USAGE);
    is_text(mac, "unchanged");
    is_int(parse_mac("52:54:00:AB:cd:EF", mac, &error), VIOS_OK);
    is_text(mac, "52:54:00:ab:cd:ef");
}

static void finds_what_is_near(void)
{
    static const char *const names[] = {"web1", "web2", "database", "mail", ""};
    char out[64];
    parse_nearest("web3", names, 5, 3, out, sizeof out);
    is_text(out, "\"web1\", \"web2\"");
    parse_nearest("databse", names, 5, 3, out, sizeof out);
    is_text(out, "\"database\"");
    parse_nearest("data", names, 5, 3, out, sizeof out);
    is_text(out, "\"database\"");
    parse_nearest("zzzzzz", names, 5, 3, out, sizeof out);
    is_text(out, "");
    parse_nearest("web3", names, 5, 1, out, sizeof out);
    is_text(out, "\"web1\"");
    parse_nearest("web3", names, 5, 3, out, 10);
    is_text(out, "\"web1\"");
    parse_nearest("web3", names, 0, 3, out, sizeof out);
    is_text(out, "");
}

static void sizes_for_people(void)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 bytes"},          {1023, "1023 bytes"},    {1024, "1 KiB"},
                {1536, "1.5 KiB"},       {10ULL << 30, "10 GiB"}, {(10ULL << 30) - 1, "9.9 GiB"},
                {UINT64_MAX, "15.9 EiB"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[PARSE_SIZE_TEXT];
        is_text(size_format(rows[i].bytes, text), rows[i].text);
    }
}

int main(void)
{
    RUN(takes_sizes);
    RUN(refuses_what_is_no_size);
    RUN(takes_durations);
    RUN(bounds_integers);
    RUN(takes_booleans);
    RUN(checks_names);
    RUN(makes_uuids);
    RUN(checks_mac_addresses);
    RUN(finds_what_is_near);
    RUN(sizes_for_people);
    return tap_done();
}
