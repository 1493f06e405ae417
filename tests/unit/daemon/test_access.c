/* test_access.c - the role of a user, by the groups that the user database counts it into. */
#include "daemon/access.h"

#include "base/config.h"
#include "tests/tap.h"

#include <grp.h>
#include <pwd.h>

#define NO_SUCH_UID 4123456789u

static char own_group[ACCESS_GROUP_SIZE]; /* "": the database does not know us */

static struct access_verdict judge(const struct access_rules *rules, uid_t uid)
{
    struct access_verdict verdict;
    access_judge(rules, uid, &verdict);
    return verdict;
}

static void root_and_oneself_are_admin(void)
{
    struct access_verdict verdict;
    struct access_rules rules = {0};
    ok(access_is_own(&rules, 0, &verdict) && verdict.allowed, "root");
    is_int(verdict.role, ROLE_ADMIN);
    ok(access_is_own(&rules, geteuid(), &verdict), "oneself");
    ok(!access_is_own(&rules, NO_SUCH_UID, &verdict), "nobody else");
}

static void a_group_gives_its_role(void)
{
    if (!own_group[0]) {
        SKIP("this user is in no user database");
    }
    for (enum role role = ROLE_VIEWER; role <= ROLE_ADMIN; role++) {
        struct access_rules rules = {0};
        snprintf(rules.groups[role], sizeof rules.groups[role], "%s", own_group);
        struct access_verdict verdict = judge(&rules, getuid());
        ok(verdict.allowed && verdict.role == role, "%s", role_name(role));
        is_text(verdict.user, getpwuid(getuid())->pw_name);
    }
}

static void the_highest_role_counts(void)
{
    if (!own_group[0]) {
        SKIP("this user is in no user database");
    }
    struct access_rules rules = {0};
    snprintf(rules.groups[ROLE_VIEWER], sizeof rules.groups[0], "%s", own_group);
    snprintf(rules.groups[ROLE_OPERATOR], sizeof rules.groups[0], "%s", own_group);
    snprintf(rules.groups[ROLE_ADMIN], sizeof rules.groups[0], "no-such-group");
    is_int(judge(&rules, getuid()).role, ROLE_OPERATOR);
}

static void who_is_in_no_group_is_refused(void)
{
    struct access_rules rules = {.groups = {"no-such-group", "", "no-such-group"}};
    ok(!judge(&rules, getuid()).allowed, "one in other groups");
    ok(!judge(&rules, NO_SUCH_UID).allowed, "one whom the database does not know");
    rules.allow_viewers = true;
    ok(judge(&rules, NO_SUCH_UID).allowed, "unless all may look");
    is_int(judge(&rules, NO_SUCH_UID).role, ROLE_VIEWER);
    is_text(judge(&rules, NO_SUCH_UID).user, "");
}

static void the_configuration_names_the_groups(void)
{
    struct vios_error error = {0};
    struct access_rules rules;
    struct config *config = config_new();
    is_int(access_read(&rules, config, &error), VIOS_OK);
    is_text(rules.groups[ROLE_ADMIN], "vios-admin");
    is_text(rules.groups[ROLE_OPERATOR], "vios-operator");
    is_text(rules.groups[ROLE_VIEWER], "vios-viewer");
    is_int(access_refuse(&rules, "uid:7", &error), VIOS_E_DENIED);
    is_text(error.message, "this daemon serves root, its own user, and members of: vios-admin, "
                           "vios-operator, vios-viewer");
    is_int(config_set(config, "admin_group", "", &error), VIOS_OK);
    is_int(config_set(config, "viewer_group", "users", &error), VIOS_OK);
    is_int(access_read(&rules, config, &error), VIOS_OK);
    is_text(rules.groups[ROLE_ADMIN], "");
    access_refuse(&rules, "uid:7", &error);
    is_text(error.message,
            "this daemon serves root, its own user, and members of: vios-operator, users");
    char longest[ACCESS_GROUP_SIZE + 1];
    memset(longest, 'g', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    is_int(config_set(config, "operator_group", longest, &error), VIOS_OK);
    is_int(access_read(&rules, config, &error), VIOS_E_USAGE);
    config_free(config);
}

int main(void)
{
    const struct passwd *user = getpwuid(getuid());
    const struct group *group = user ? getgrgid(user->pw_gid) : NULL;
    if (group) {
        snprintf(own_group, sizeof own_group, "%s", group->gr_name);
    }
    RUN(root_and_oneself_are_admin);
    RUN(a_group_gives_its_role);
    RUN(the_highest_role_counts);
    RUN(who_is_in_no_group_is_refused);
    RUN(the_configuration_names_the_groups);
    return tap_done();
}
