/*
 * access.h - what role the users of this machine have at the daemon's socket. Root and the daemon's
 * own user are admin. Anybody else has the highest role whose group the user database counts them
 * into: not the groups that their process has, which may be others. Who is in none of them is a
 * viewer when `allow_viewers` says so, and refused else. Where the user database fails, a user is
 * in no group.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include "base/error.h"
#include "node/method.h"

#include <stdbool.h>
#include <sys/types.h>

#define ACCESS_GROUP_SIZE 64   /* of a group's name, with its NUL */
#define ACCESS_GROUPS_MAX 4096 /* of one user; with more of them it counts as in none */

struct config;

struct access_rules {
    bool allow_viewers;
    char groups[ROLE_ADMIN + 1][ACCESS_GROUP_SIZE]; /* by role; "": no such group */
    char own_user[CALL_USER_SIZE];                  /* the daemon's */
};

/* Who one user is. */
struct access_verdict {
    bool allowed; /* to call anything at all */
    enum role role;
    char user[CALL_USER_SIZE]; /* the name; "": the user database has none */
};

int access_read(struct access_rules *rules, const struct config *config, struct vios_error *error);

/* True, and the verdict, for root and the daemon's own user: asks nobody, and never blocks. */
bool access_is_own(const struct access_rules *rules, uid_t uid, struct access_verdict *verdict);

/* For everybody else. Asks the user database, which may be far away: blocks. */
void access_judge(const struct access_rules *rules, uid_t uid, struct access_verdict *verdict);

/* VIOS_E_DENIED, for one who is not allowed. */
int access_refuse(const struct access_rules *rules, const char *actor, struct vios_error *error);

#endif
