/* peer.c - see peer.h. */
#include "daemon/peer.h"

#include "base/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ACTOR_NODE "node:"
#define ACTOR_NAME_MAX 90

/* An address: IPv4, IPv6 with its zone, or "UNKNOWN" as sshd says. */
static bool is_address(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (!isalnum((unsigned char)*at) && !strchr(".:%_-", *at)) {
            return false;
        }
    }
    return true;
}

/* A name that goes into records: printable. */
static bool is_user(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (!isprint((unsigned char)*at)) {
            return false;
        }
    }
    return true;
}

static int read_from(const json_t *object, char from[CALL_FROM_SIZE], struct vios_error *error)
{
    if (!json_read_text(object, "from", from, CALL_FROM_SIZE) || !is_address(from)) {
        return error_set(error, VIOS_E_INVALID, "from", NULL, "it is not an address");
    }
    return VIOS_OK;
}

int peer_limit(struct connection_peer *peer, const json_t *parameters, struct vios_error *error)
{
    const json_t *role = json_object_get(parameters, "role");
    size_t known = (role != NULL) + (size_t)(json_object_get(parameters, "from") != NULL);
    enum role most = ROLE_ADMIN;
    char from[CALL_FROM_SIZE];
    if (!json_is_object(parameters) || json_object_size(parameters) != known) {
        return error_set(error, VIOS_E_INVALID, "rpc.limit", NULL,
                         "its parameters are role and from, and no others");
    }
    if (role) {
        most = json_is_string(role) ? role_parse(json_string_value(role)) : ROLE_NOBODY;
        if (most == ROLE_NOBODY) {
            return error_set(error, VIOS_E_INVALID, "rpc.limit", NULL,
                             "role is not viewer, operator or admin");
        }
    }
    int status = read_from(parameters, from, error);
    if (status != VIOS_OK) {
        return status;
    }
    peer->role = most < peer->role ? most : peer->role;
    if (!peer->from[0]) {
        snprintf(peer->from, sizeof peer->from, "%s", from);
    }
    return VIOS_OK;
}

int peer_caller(const struct connection_peer *peer, const json_t *message,
                struct connection_peer *caller, struct vios_error *error)
{
    const json_t *actor = json_object_get(message, "actor");
    const char *name = json_get_text(actor, "name");
    const char *role = json_get_text(actor, "role");
    *caller = *peer;
    if (!actor) {
        return VIOS_OK;
    }
    if (!peer->speaks_for_others) {
        return error_set(error, VIOS_E_DENIED, peer->actor, NULL,
                         "only the daemon of a member may call for others");
    }
    if (!name || !role || strlen(name) > ACTOR_NAME_MAX) {
        return error_set(error, VIOS_E_INVALID, "actor", NULL,
                         "it has no name of at most %d bytes, or no role", ACTOR_NAME_MAX);
    }
    if (!json_read_text(actor, "user", caller->user, sizeof caller->user) ||
        !is_user(caller->user)) {
        return error_set(error, VIOS_E_INVALID, "actor", NULL, "its user is no name");
    }
    enum role theirs = role_parse(role);
    caller->role = theirs < caller->role ? theirs : caller->role;
    snprintf(caller->actor, sizeof caller->actor, "%s@%.63s", name,
             peer->actor + strlen(ACTOR_NODE));
    return read_from(actor, caller->from, error);
}
