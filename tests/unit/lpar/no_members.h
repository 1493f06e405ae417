/* no_members.h - stands in for node/members.h in a test without a cluster: there is nobody. */
#ifndef TESTS_LPAR_NO_MEMBERS_H
#define TESTS_LPAR_NO_MEMBERS_H

#include "node/members.h"

int node_members(struct node *where, struct member **members, size_t *count)
{
    (void)where;
    *members = NULL;
    *count = 0;
    return VIOS_OK;
}

enum member_state node_member_state(struct node *where, const char *name)
{
    (void)where;
    (void)name;
    return MEMBER_DOWN;
}

#endif
