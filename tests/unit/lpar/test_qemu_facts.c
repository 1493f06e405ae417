/* Proves: the QEMU of this node is asked what it has, and is refused what it lacks: a machine type,
 * a CPU model, and the state of a newer one; bug fixes do not count. */
#include "lpar/qemu.h"
#include "lpar/qemu_facts.h"
#include "tests/tap.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct qemu_facts *facts;
static struct operation operation;

static int check(const char *machine, const char *cpu, const char *version)
{
    struct lpar lpar = {.name = "g"};
    snprintf(lpar.machine, sizeof lpar.machine, "%s", machine);
    snprintf(lpar.cpu, sizeof lpar.cpu, "%s", cpu);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    return qemu_facts_check(facts, &lpar, version, &operation);
}

static void refuses(const char *machine, const char *cpu, const char *version, const char *why)
{
    is_int(check(machine, cpu, version), VIOS_E_INVALID);
    ok(strstr(operation.error.message, why) != NULL, "it says so: %s", operation.error.message);
    is_text(operation.error.object, "lpar \"g\"");
}

static void what_it_has_is_fine(void)
{
    is_int(check(LPAR_MACHINE, LPAR_CPU, ""), VIOS_OK);
    is_int(check("pc", LPAR_CPU, ""), VIOS_OK); /* an alias */
    is_int(check(LPAR_MACHINE, "max", "2.5.0"), VIOS_OK);
    is_int(check(LPAR_MACHINE, LPAR_CPU, "7.2.9999"), VIOS_OK);
}

static void what_it_lacks_is_refused(void)
{
    refuses("pc-i440fx-99.9", LPAR_CPU, "", "has no machine type \"pc-i440fx-99.9\"");
    refuses(LPAR_MACHINE, "nonesuch", "", "has no CPU model \"nonesuch\"");
    refuses(LPAR_MACHINE, LPAR_CPU, "99.0.0", "is of QEMU 99.0.0, and this node has an older one");
}

static void what_was_not_answered_is_asked_again(void)
{
    struct cancel *cancel = cancel_new();
    const struct lpar lpar = {.name = "g", .machine = LPAR_MACHINE, .cpu = LPAR_CPU};
    qemu_facts_free(facts);
    facts = qemu_facts_new();
    cancel_trigger(cancel);
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    is_int(qemu_facts_check(facts, &lpar, "", &operation), VIOS_E_CANCELLED);
    is_int(check(LPAR_MACHINE, LPAR_CPU, ""), VIOS_OK);
    cancel_free(cancel);
}

int main(void)
{
    if (access(QEMU_PROGRAM, X_OK) != 0) {
        printf("1..0 # SKIP there is no QEMU\n");
        return 0;
    }
    facts = qemu_facts_new();
    RUN(what_it_has_is_fine);
    RUN(what_it_lacks_is_refused);
    RUN(what_was_not_answered_is_asked_again);
    qemu_facts_free(facts);
    return tap_done();
}
