/* access.c - see access.h. */
#include "daemon/access.h"

#include "base/config.h"
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_START 4096 /* bytes for an entry of the user database */
#define ENTRY_MAX (4 * 1024 * 1024)
#define GROUPS_START 64

static const char *const KEYS[ROLE_ADMIN + 1] = {"viewer_group", "operator_group", "admin_group"};

/* What is no printable ASCII becomes "?": names go into records and logs. */
static void copy_name(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s", name);
    for (char *at = out; *at; at++) {
        if (!isprint((unsigned char)*at)) {
            *at = '?';
        }
    }
}

/* The user's entry; free() `*buffer`. False: there is none, or it cannot be had. */
static bool find_user(uid_t uid, struct passwd *user, char **buffer)
{
    struct passwd *found = NULL;
    *buffer = NULL;
    for (size_t size = ENTRY_START; size <= ENTRY_MAX; size *= 2) {
        char *larger = realloc(*buffer, size);
        if (!larger) {
            return false;
        }
        *buffer = larger;
        int failed = getpwuid_r(uid, user, larger, size, &found);
        if (failed != ERANGE) {
            return failed == 0 && found;
        }
    }
    return false;
}

static bool find_group(const char *name, gid_t *gid)
{
    struct group group, *found = NULL;
    char *buffer = NULL;
    int failed = ERANGE;
    for (size_t size = ENTRY_START; failed == ERANGE && size <= ENTRY_MAX; size *= 2) {
        char *larger = realloc(buffer, size);
        if (!larger) {
            break;
        }
        buffer = larger;
        failed = getgrnam_r(name, &group, buffer, size, &found);
    }
    bool there = failed == 0 && found;
    if (there) {
        *gid = group.gr_gid;
    }
    free(buffer);
    return there;
}

/* The ids of the user's groups, as initgroups() would set them; free() them. NULL: none known. */
static gid_t *list_groups(const struct passwd *user, int *count)
{
    gid_t *list = NULL;
    int wanted = GROUPS_START, room = 0;
    while (wanted > room && wanted <= ACCESS_GROUPS_MAX) {
        gid_t *larger = realloc(list, (size_t)wanted * sizeof *list);
        if (!larger) {
            break;
        }
        list = larger;
        room = wanted;
        if (getgrouplist(user->pw_name, user->pw_gid, list, &wanted) >= 0) {
            *count = wanted;
            return list;
        }
    }
    free(list);
    return NULL;
}

static bool is_among(const char *group, const gid_t *list, int count)
{
    gid_t gid;
    bool among = false;
    if (!group[0] || !find_group(group, &gid)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        among = among || list[i] == gid;
    }
    return among;
}

/* The highest role that one of the groups gives; ROLE_NOBODY: none does. */
static enum role role_of(const struct access_rules *rules, const gid_t *list, int count)
{
    for (enum role role = ROLE_ADMIN; role >= ROLE_VIEWER; role--) {
        if (is_among(rules->groups[role], list, count)) {
            return role;
        }
    }
    return ROLE_NOBODY;
}

static int read_group(char group[ACCESS_GROUP_SIZE], const char *key, const struct config *config,
                      struct vios_error *error)
{
    const char *name = config_text(config, key);
    if (strlen(name) >= ACCESS_GROUP_SIZE) {
        return error_set(error, VIOS_E_USAGE, key, NULL, "the name of a group has at most %d bytes",
                         ACCESS_GROUP_SIZE - 1);
    }
    snprintf(group, ACCESS_GROUP_SIZE, "%s", name);
    return VIOS_OK;
}

int access_read(struct access_rules *rules, const struct config *config, struct vios_error *error)
{
    struct passwd user;
    char *buffer = NULL;
    *rules = (struct access_rules){0};
    int status = parse_boolean(config_text(config, "allow_viewers"), &rules->allow_viewers, error);
    for (enum role role = ROLE_VIEWER; status == VIOS_OK && role <= ROLE_ADMIN; role++) {
        status = read_group(rules->groups[role], KEYS[role], config, error);
    }
    if (status == VIOS_OK && find_user(geteuid(), &user, &buffer)) {
        copy_name(rules->own_user, sizeof rules->own_user, user.pw_name);
    }
    free(buffer);
    return status;
}

bool access_is_own(const struct access_rules *rules, uid_t uid, struct access_verdict *verdict)
{
    if (uid != 0 && uid != geteuid()) {
        return false;
    }
    *verdict = (struct access_verdict){.allowed = true, .role = ROLE_ADMIN};
    copy_name(verdict->user, sizeof verdict->user, uid == geteuid() ? rules->own_user : "root");
    return true;
}

void access_judge(const struct access_rules *rules, uid_t uid, struct access_verdict *verdict)
{
    struct passwd user;
    char *buffer;
    enum role role = ROLE_NOBODY;
    *verdict = (struct access_verdict){.role = ROLE_VIEWER, .allowed = rules->allow_viewers};
    if (find_user(uid, &user, &buffer)) {
        int count = 0;
        gid_t *list = list_groups(&user, &count);
        copy_name(verdict->user, sizeof verdict->user, user.pw_name);
        role = role_of(rules, list, count);
        free(list);
    }
    free(buffer);
    if (role != ROLE_NOBODY) {
        verdict->role = role;
        verdict->allowed = true;
    }
}

int access_refuse(const struct access_rules *rules, const char *actor, struct vios_error *error)
{
    char names[3 * (ACCESS_GROUP_SIZE + 2) + 1] = "";
    size_t used = 0;
    for (enum role role = ROLE_ADMIN; role >= ROLE_VIEWER; role--) {
        const char *group = rules->groups[role];
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 group[0] && used > 0 ? ", " : "", group);
    }
    return error_set(error, VIOS_E_DENIED, actor,
                     "ask to be put into one of its groups, or for \"allow_viewers = yes\"",
                     "this daemon serves root, its own user, and members of: %s",
                     names[0] ? names : "no group");
}
