/* caller_primary.c - see caller_primary.h. */
#include "event/caller_primary.h"

#include "node/driver.h"
#include "node/members.h"
#include "node/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "HOST:PORT" of a member that was alive once; else "". */
static void address_of(const struct member *member, char address[CALLER_ADDRESS_SIZE])
{
    char text[MEMBER_PORT_SIZE];
    address[0] = '\0';
    if (member->port > 0) {
        ports_address(member->address, member->port, text, sizeof text);
        snprintf(address, CALLER_ADDRESS_SIZE, "%s", text + strlen("tcp:"));
    }
}

static bool find_address(struct node *node, const char *name, char address[CALLER_ADDRESS_SIZE])
{
    struct member *members = NULL;
    size_t count = 0;
    if (node_members(node, &members, &count) != VIOS_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].name, name) == 0) {
            address_of(&members[i], address);
        }
    }
    free(members);
    return address[0] != '\0';
}

json_t *caller_addresses(struct node *node)
{
    struct member *members = NULL;
    char name[NAME_MAX_LENGTH + 1], address[CALLER_ADDRESS_SIZE];
    size_t count = 0;
    json_t *addresses = json_array();
    caller_primary(node, name, address);
    if (address[0]) {
        json_array_append_new(addresses, json_string(address));
    }
    if (node_members(node, &members, &count) != VIOS_OK) {
        return addresses;
    }
    for (size_t i = 0; i < count; i++) {
        address_of(&members[i], address);
        if (address[0] && strcmp(members[i].name, name) != 0) {
            json_array_append_new(addresses, json_string(address));
        }
    }
    free(members);
    return addresses;
}

void caller_primary(struct node *node, char name[NAME_MAX_LENGTH + 1],
                    char address[CALLER_ADDRESS_SIZE])
{
    int64_t now_ms, epoch;
    name[0] = address[0] = '\0';
    if (!node->driver) {
        return;
    }
    const struct agent *agent = driver_lock(node->driver, &now_ms);
    snprintf(name, NAME_MAX_LENGTH + 1, "%s", agent_primary(agent, &epoch));
    driver_unlock(node->driver);
    if (!find_address(node, name, address)) {
        name[0] = '\0';
    }
}
