/* test_peer.c - what a connection may be limited to, and on whose behalf calls are made. */
#include "daemon/peer.h"
#include "tests/tap.h"

static const struct connection_peer LOCAL = {
    .role = ROLE_ADMIN, .actor = "uid:1000", .user = "alice"};
static const struct connection_peer MEMBER = {
    .role = ROLE_ADMIN, .speaks_for_others = true, .actor = "node:n2"};

static int limit(struct connection_peer *peer, const char *parameters)
{
    struct vios_error error = {0};
    json_t *json = json_loads(parameters, 0, NULL);
    int status = peer_limit(peer, json, &error);
    json_decref(json);
    return status;
}

static int caller_of(const struct connection_peer *peer, const char *message,
                     struct connection_peer *caller)
{
    struct vios_error error = {0};
    json_t *json = json_loads(message, 0, NULL);
    int status = peer_caller(peer, json, caller, &error);
    json_decref(json);
    return status;
}

static void a_role_is_lowered_and_never_raised(void)
{
    struct connection_peer peer = LOCAL;
    is_int(limit(&peer, "{\"role\":\"operator\"}"), VIOS_OK);
    is_int(peer.role, ROLE_OPERATOR);
    is_int(limit(&peer, "{\"role\":\"admin\"}"), VIOS_OK);
    is_int(peer.role, ROLE_OPERATOR);
    is_int(limit(&peer, "{\"role\":\"viewer\"}"), VIOS_OK);
    is_int(limit(&peer, "{}"), VIOS_OK);
    is_int(peer.role, ROLE_VIEWER);
}

static void what_is_no_role_changes_nothing(void)
{
    static const char *const bad[] = {"{\"role\":\"root\"}",   "{\"role\":\"\"}",
                                      "{\"role\":3}",          "{\"role\":null}",
                                      "{\"role\":\"nobody\"}", "{\"role\":\"viewer\",\"from\":1}",
                                      "[\"viewer\"]",          "{\"rule\":\"viewer\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct connection_peer peer = LOCAL;
        ok(limit(&peer, bad[i]) == VIOS_E_INVALID, "%s", bad[i]);
        is_int(peer.role, ROLE_ADMIN);
    }
}

static void where_from_is_said_once(void)
{
    struct connection_peer peer = LOCAL;
    is_int(limit(&peer, "{\"from\":\"2001:db8::7%eth0\"}"), VIOS_OK);
    is_int(limit(&peer, "{\"from\":\"192.0.2.1\"}"), VIOS_OK);
    is_text(peer.from, "2001:db8::7%eth0");
    peer = LOCAL;
    is_int(limit(&peer, "{\"from\":\"192.0.2.1 \\u001b[2J\"}"), VIOS_E_INVALID);
    is_text(peer.from, "");
}

static void one_calls_for_oneself(void)
{
    struct connection_peer caller, peer = LOCAL;
    limit(&peer, "{\"from\":\"192.0.2.1\",\"role\":\"viewer\"}");
    is_int(caller_of(&peer, "{}", &caller), VIOS_OK);
    is_text(caller.actor, "uid:1000");
    is_text(caller.user, "alice");
    is_text(caller.from, "192.0.2.1");
    is_int(caller.role, ROLE_VIEWER);
    is_int(caller_of(&peer, "{\"actor\":{\"name\":\"x\",\"role\":\"admin\"}}", &caller),
           VIOS_E_DENIED);
}

static void a_member_tells_all_about_its_caller(void)
{
    struct connection_peer caller;
    is_int(caller_of(&MEMBER,
                     "{\"actor\":{\"name\":\"uid:7\",\"role\":\"operator\",\"user\":\"bob\","
                     "\"from\":\"192.0.2.9\"}}",
                     &caller),
           VIOS_OK);
    is_text(caller.actor, "uid:7@n2");
    is_text(caller.user, "bob");
    is_text(caller.from, "192.0.2.9");
    is_int(caller.role, ROLE_OPERATOR);
    is_int(caller_of(&MEMBER, "{\"actor\":{\"name\":\"uid:7\",\"role\":\"admin\"}}", &caller),
           VIOS_OK);
    is_text(caller.user, "");
    is_int(caller_of(&MEMBER,
                     "{\"actor\":{\"name\":\"uid:7\",\"role\":\"admin\",\"user\":\"a\\nb\"}}",
                     &caller),
           VIOS_E_INVALID);
    struct connection_peer limited = MEMBER;
    limit(&limited, "{\"role\":\"viewer\"}");
    is_int(caller_of(&limited, "{\"actor\":{\"name\":\"uid:7\",\"role\":\"admin\"}}", &caller),
           VIOS_OK);
    is_int(caller.role, ROLE_VIEWER);
}

int main(void)
{
    RUN(a_role_is_lowered_and_never_raised);
    RUN(what_is_no_role_changes_nothing);
    RUN(where_from_is_said_once);
    RUN(one_calls_for_oneself);
    RUN(a_member_tells_all_about_its_caller);
    return tap_done();
}
