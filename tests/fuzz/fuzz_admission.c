/* fuzz_admission.c - the parameters of node.admit, which anybody may call: refused with a reason,
 * or all of them are what a member's record and a token's key are made of. */
#include "base/parse.h"
#include "daemon/parameters.h"
#include "node/members.h"
#include "node/membership.h"
#include "node/ports.h"
#include "tests/fuzz/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct method *admit(void)
{
    size_t i = 0;
    while (strcmp(node_methods.methods[i].name, "node.admit") != 0) {
        i++;
        assert(i < node_methods.count);
    }
    return &node_methods.methods[i];
}

static void look_at(const struct applicant *applicant)
{
    struct sockaddr_storage at;
    socklen_t size;
    assert(parse_name(applicant->node, "node", NULL) == VIOS_OK);
    assert(ports_parse(applicant->address, 1, &at, &size, NULL) == VIOS_OK);
    assert(strncmp(applicant->run_dir, "unix:/", 6) == 0);
    assert(strlen(applicant->run_dir) < MEMBER_ADDRESS_SIZE);
    assert(strlen(applicant->token.id) == TOKEN_ID_SIZE - 1);
    assert(strspn(applicant->token.id, "0123456789abcdef") == TOKEN_ID_SIZE - 1);
    assert(strcmp(applicant->key + strlen("/token/"), applicant->token.id) == 0);
    char *record = membership_record(applicant->node, applicant->address, applicant->run_dir,
                                     applicant->role, applicant->level, "");
    assert(record);
    free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct operation operation;
    json_t *checked = NULL;
    char *text = text_of(data, size);
    json_t *given = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    int status =
        parameters_check(admit()->parameters, admit()->flags, given, &checked, &operation.error);
    if (status == VIOS_OK) {
        struct applicant applicant;
        status = membership_read_applicant(checked, &applicant, &operation);
        if (status == VIOS_OK) {
            look_at(&applicant);
        }
        token_forget(&applicant.token);
    }
    assert(status == VIOS_OK || (operation.error.code == status && operation.error.message[0]));
    json_decref(checked);
    json_decref(given);
    free(text);
    return 0;
}
