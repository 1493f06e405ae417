/* validations.c - see validations.h. */
#include "lpar/validations.h"

#include "base/json.h"
#include "lpar/lookup.h"
#include "lpar/place.h"
#include "lpar/validate.h"
#include "node/others.h"

#include <stdio.h>
#include <string.h>

#define NODE_MS 30000 /* for all checks of a node; its repository may hang */

static const char *const WORDS[] = {[VALIDATE_HIBERNATE] = "hibernate",
                                    [VALIDATE_RESTART] = "restart",
                                    [VALIDATE_MOVE] = "move",
                                    [VALIDATE_MIGRATE] = "migrate"};

static int parse_what(const char *word, enum validate_what *what, struct vios_error *error)
{
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (strcmp(word, WORDS[i]) == 0) {
            *what = (enum validate_what)i;
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, "what", "give hibernate, restart, move or migrate",
                     "\"%.40s\" cannot be validated", word);
}

int lpar_call_validate_here(struct call *call, const json_t *parameters, json_t **result,
                            struct operation *operation)
{
    struct lpar lpar;
    struct store *store = NULL;
    struct validation validation = {0};
    int status = parse_what(json_get_word(parameters, "what"), &validation.what, &operation->error);
    if (status == VIOS_OK) {
        status = lpar_of_call(call, parameters, &lpar, operation);
    }
    if (status == VIOS_OK) {
        status = node_store(call->node, &store, operation);
    }
    if (status < 0) {
        return status;
    }
    validation.checks = json_array();
    snprintf(validation.qemu, sizeof validation.qemu, "%s", json_get_word(parameters, "qemu"));
    (void)validate(call->node, store, &lpar, &validation, operation);
    node_store_return(call->node, store);
    *result = json_pack("{s:s, s:o}", "qemu", validation.qemu, "checks", validation.checks);
    return VIOS_OK;
}

/* --- from a job --- */

static int first_failure(const char *node, const char *lpar, const json_t *checks,
                         struct operation *operation)
{
    size_t i;
    json_t *check;
    char object[96];
    json_array_foreach(checks, i, check)
    {
        if (!json_is_true(json_object_get(check, "ok"))) {
            return operation_fail(operation, VIOS_E_CONFLICT, lpar_object(lpar, object),
                                  json_get_word(check, "hint"), "node \"%s\" does not take it: %s",
                                  node, json_get_word(check, "why"));
        }
    }
    return VIOS_OK;
}

int validations_require(struct node *node, const char *target, const char *lpar, const char *qemu,
                        struct operation *operation)
{
    json_t *answer = NULL;
    struct operation limited;
    operation_start(&limited, NODE_MS, operation->cancel);
    int status = others_ask(
        node, target, "daemon.validate",
        json_pack("{s:s, s:s, s:s}", "name", lpar, "what", WORDS[VALIDATE_MOVE], "qemu", qemu),
        &answer, &limited);
    if (status == VIOS_OK) {
        status = first_failure(target, lpar, json_object_get(answer, "checks"), &limited);
    }
    operation->error = limited.error;
    json_decref(answer);
    return status;
}

/* --- from anywhere --- */

struct asking {
    struct call *call;
    const char *lpar;
    json_t *checks;
    char qemu[HIBERNATION_WORD_SIZE];
};

static void note_failure(struct asking *asking, const struct vios_error *error)
{
    char why[sizeof error->object + sizeof error->message + 2];
    snprintf(why, sizeof why, "%s: %s", error->object, error->message);
    json_array_append_new(asking->checks, json_pack("{s:s, s:b, s:s, s:s}", "check", "node", "ok",
                                                    0, "why", why, "hint", error->hint));
}

/* VIOS_OK, too, when the node does not answer: that is a check that failed. */
static int ask(struct asking *asking, const char *node, enum validate_what what,
               struct operation *operation)
{
    json_t *answer = NULL;
    struct operation limited;
    struct call *call = asking->call;
    json_t *parameters = json_pack("{s:s, s:s, s:s}", "name", asking->lpar, "what", WORDS[what],
                                   "qemu", asking->qemu);
    operation_start(&limited, NODE_MS, operation->cancel);
    int status;
    if (strcmp(node, call->node->name) == 0) {
        status = lpar_call_validate_here(call, parameters, &answer, &limited);
        json_decref(parameters);
    } else {
        status = others_call(call, node, "daemon.validate", parameters, &answer, &limited);
    }
    if (status == VIOS_E_UNREACHABLE || status == VIOS_E_TIMEOUT) {
        note_failure(asking, &limited.error);
        status = VIOS_OK;
    } else if (status == VIOS_OK) {
        json_array_extend(asking->checks, json_object_get(answer, "checks"));
        snprintf(asking->qemu, sizeof asking->qemu, "%s", json_get_word(answer, "qemu"));
    }
    operation->error = limited.error;
    json_decref(answer);
    return status;
}

static bool all_good(const json_t *checks)
{
    size_t i;
    json_t *check;
    json_array_foreach(checks, i, check)
    {
        if (!json_is_true(json_object_get(check, "ok"))) {
            return false;
        }
    }
    return true;
}

/* Where it would be: "" when it fits nowhere, which then is a check that failed. */
static int choose(struct asking *asking, const struct lpar *lpar, const json_t *parameters,
                  char node[NAME_MAX_LENGTH + 1], struct operation *operation)
{
    char why[96];
    int status = place_of_call(asking->call, lpar, parameters, node, why, operation);
    if (status == VIOS_E_NO_SPACE) {
        node[0] = 0;
        note_failure(asking, &operation->error);
        status = VIOS_OK;
    }
    return status;
}

/* Which of the two nodes are asked, and about what. */
struct parts {
    bool source, target;
    enum validate_what source_as, target_as;
};

static int parse_parts(const json_t *parameters, const struct lpar *lpar, struct parts *parts,
                       struct vios_error *error)
{
    const char *only = json_get_word(parameters, "only");
    enum validate_what what = VALIDATE_MOVE;
    bool runs = lpar->owner[0] != 0;
    if (only[0] && (parse_what(only, &what, error) < 0 || what == VALIDATE_MOVE)) {
        return error_set(error, VIOS_E_USAGE, "only", "give hibernate, restart or migrate",
                         "\"%.40s\" is not validated alone", only);
    }
    bool migrates = what == VALIDATE_MIGRATE;
    *parts = (struct parts){.source = only[0] ? what != VALIDATE_RESTART : runs,
                            .target = what != VALIDATE_HIBERNATE,
                            .source_as = migrates ? VALIDATE_MIGRATE : VALIDATE_HIBERNATE,
                            .target_as =
                                migrates || (runs && !only[0]) ? VALIDATE_MOVE : VALIDATE_RESTART};
    return VIOS_OK;
}

int lpar_call_validate(struct call *call, const json_t *parameters, json_t **result,
                       struct operation *operation)
{
    struct lpar lpar;
    struct parts parts = {0};
    char node[NAME_MAX_LENGTH + 1] = "";
    int status = lpar_of_call(call, parameters, &lpar, operation);
    if (status == VIOS_OK) {
        status = parse_parts(parameters, &lpar, &parts, &operation->error);
    }
    if (status < 0) {
        return status;
    }
    struct asking asking = {.call = call, .lpar = lpar.name, .checks = json_array()};
    if (parts.source) {
        status =
            ask(&asking, lpar.owner[0] ? lpar.owner : call->node->name, parts.source_as, operation);
    }
    if (status == VIOS_OK && parts.target) {
        status = choose(&asking, &lpar, parameters, node, operation);
    }
    if (status == VIOS_OK && node[0]) {
        status = ask(&asking, node, parts.target_as, operation);
    }
    if (status == VIOS_OK) {
        *result = json_pack("{s:s, s:s, s:b, s:O}", "lpar", lpar.name, "node", node, "ok",
                            all_good(asking.checks), "checks", asking.checks);
    }
    json_decref(asking.checks);
    return status;
}
