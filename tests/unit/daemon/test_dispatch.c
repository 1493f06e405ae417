/* test_dispatch.c - who may call what: each role and a method of each; without a cluster. */
#include "daemon/dispatch.h"
#include "node/method.h"
#include "node/node.h"
#include "tests/tap.h"

static int run_nothing(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    (void)call, (void)parameters, (void)result, (void)operation;
    return VIOS_OK;
}

static const struct method METHODS[] = {
    {"test.nobody", "", ROLE_NOBODY, METHOD_UNCONFIGURED, run_nothing},
    {"test.viewer", "", ROLE_VIEWER, METHOD_UNCONFIGURED, run_nothing},
    {"test.operator", "", ROLE_OPERATOR, METHOD_UNCONFIGURED, run_nothing},
    {"test.admin", "", ROLE_ADMIN, METHOD_UNCONFIGURED, run_nothing},
    {"test.member", "", ROLE_VIEWER, 0, run_nothing},
};
static const struct method_group group = {METHODS, sizeof METHODS / sizeof METHODS[0]};
static const struct method_group *const groups[] = {&group, NULL};
static struct node node = {.name = "n1", .method_groups = groups};

static int check(enum role role, const char *name, struct vios_error *error)
{
    const struct method *method;
    json_t *parameters = NULL;
    *error = (struct vios_error){0};
    int status = dispatch_check(&node, role, name, NULL, &method, &parameters, error);
    json_decref(parameters);
    return status;
}

static void each_role_may_do_its_own_and_what_is_below(void)
{
    struct vios_error error;
    char want[80];
    for (enum role role = ROLE_NOBODY; role <= ROLE_ADMIN; role++) {
        for (size_t i = 0; i < 4; i++) {
            bool may = role >= METHODS[i].role;
            int status = check(role, METHODS[i].name, &error);
            ok(status == (may ? VIOS_OK : VIOS_E_DENIED), "%s by %s: %s", METHODS[i].name,
               role_name(role), error_name(status));
            snprintf(want, sizeof want, "it needs the role %s; yours is %s",
                     role_name(METHODS[i].role), role_name(role));
            is_text(error.message, may ? "" : want);
            is_text(error.object, may ? "" : METHODS[i].name);
        }
    }
}

static void a_name_that_is_none_is_nobodys(void)
{
    struct vios_error error;
    is_int(role_parse("operator"), ROLE_OPERATOR);
    is_int(role_parse("root"), ROLE_NOBODY);
    is_int(check(ROLE_ADMIN, "test.viewers", &error), VIOS_E_USAGE);
    is_text(error.message, "there is no method \"test.viewers\"");
}

static void without_a_cluster_few_may_be_called(void)
{
    struct vios_error error;
    is_int(check(ROLE_VIEWER, "test.member", &error), VIOS_E_UNREACHABLE);
    is_text(error.message, "it belongs to no cluster yet");
    atomic_store(&node.active, true);
    is_int(check(ROLE_VIEWER, "test.member", &error), VIOS_OK);
    atomic_store(&node.active, false);
}

int main(void)
{
    RUN(each_role_may_do_its_own_and_what_is_below);
    RUN(a_name_that_is_none_is_nobodys);
    RUN(without_a_cluster_few_may_be_called);
    return tap_done();
}
