/* validate.c - see validate.h. The checks, as rows of a table. */
#include "lpar/validate.h"

#include "base/json.h"
#include "lpar/disks.h"
#include "lpar/guest.h"
#include "lpar/network.h"
#include "lpar/qemu_facts.h"
#include "lpar/saved.h"
#include "lpar/saved_pages.h"
#include "lpar/spec.h"
#include "node/members.h"
#include "paging/hand_over.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS 5000 /* QEMU or io */
#define MARGIN_BYTES (INT64_C(64) << 20)
#define NOT_MADE 1 /* a check that says nothing, for another one has failed */

struct subject {
    struct node *node;
    struct store *store;
    const struct lpar *lpar;
    struct validation *validation;
};

static int refuse(const struct subject *subject, int code, const char *hint, const char *what,
                  struct operation *operation)
{
    char object[96];
    return operation_fail(operation, code, lpar_object(subject->lpar->name, object), hint, "%s",
                          what);
}

static bool is_hibernated(const struct lpar *lpar)
{
    return !lpar->owner[0] && lpar->wanted == LPAR_HIBERNATED;
}

/* --- where it runs --- */

static int check_running(const struct subject *subject, struct operation *operation)
{
    const struct lpar *lpar = subject->lpar;
    const struct node *node = subject->node;
    struct guest_status now = {.state = "stopped"};
    char what[120];
    struct guest *guest = lpars_find(node->lpars, lpar->name);
    bool own = strcmp(lpar->owner, node->name) == 0 && lpar->owner_incarnation == node->incarnation;
    if (guest && guest_is_connected(guest)) {
        guest_status(guest, &now);
    }
    guest_release(guest);
    if (own && strcmp(now.state, "running") == 0) {
        return VIOS_OK;
    }
    snprintf(what, sizeof what, "only a running guest can be %s, and it is %s",
             subject->validation->what == VALIDATE_MIGRATE ? "migrated" : "hibernated", now.state);
    return refuse(subject, VIOS_E_CONFLICT, "see lpar show", what, operation);
}

static int check_pages(const struct subject *subject, struct operation *operation)
{
    return saved_pages_held(subject->node, subject->lpar, &subject->validation->pages_bytes,
                            operation);
}

/* Only what is known of them goes along, and they must be where the other node reaches them. */
static int check_pages_reach(const struct subject *subject, struct operation *operation)
{
    uint64_t bytes = 0;
    int status = saved_pages_size(subject->node, subject->lpar, &bytes, operation);
    return status == VIOS_OK ? paging_hand_over_check(subject->node, subject->lpar->name, operation)
                             : status;
}

/* Whoever cannot write its disks could not stand still either. */
static int check_storage(const struct subject *subject, struct operation *operation)
{
    struct operation asking;
    json_t *answer = NULL;
    operation_start(&asking, ASK_MS, operation->cancel);
    int status = io_client_call(subject->node->io, json_pack("{s:s}", "do", "statistics"), NULL, 0,
                                &answer, &asking);
    const char *gate = json_get_word(json_object_get(answer, "gate"), "state");
    if (status == VIOS_OK && strcmp(gate, "open") != 0) {
        status = operation_fail(&asking, VIOS_E_LOCKED, "io", "see cluster status",
                                "its gate is closed: the disks take nothing now");
    }
    json_decref(answer);
    operation->error = asking.error;
    return status;
}

static int check_space(const struct subject *subject, struct operation *operation)
{
    char need[PARSE_SIZE_TEXT], have[PARSE_SIZE_TEXT], what[120];
    const struct lpar *lpar = subject->lpar;
    /* what cannot be compressed grows a little */
    uint64_t free_bytes, bytes = lpar->memory_bytes + subject->validation->pages_bytes;
    uint64_t wanted = bytes + bytes / 20 + MARGIN_BYTES;
    int folder = saved_folder(subject->node, subject->store, operation);
    if (folder < 0) {
        return folder;
    }
    int status = saved_free_bytes(folder, &free_bytes, &operation->error);
    close(folder);
    if (status == VIOS_OK && free_bytes < wanted) {
        snprintf(what, sizeof what, "no space in the repository (need %s, free %s)",
                 size_format(wanted, need), size_format(free_bytes, have));
        status =
            refuse(subject, VIOS_E_NO_SPACE, "remove what is not needed there", what, operation);
    }
    return status;
}

/* Its version, for the node where it is to go on. */
static int check_monitor(const struct subject *subject, struct operation *operation)
{
    struct operation asking;
    struct guest *guest = lpars_find(subject->node->lpars, subject->lpar->name);
    if (!guest || !guest_is_connected(guest)) {
        guest_release(guest);
        return NOT_MADE;
    }
    operation_start(&asking, ASK_MS, operation->cancel);
    int status = guest_qemu_version(guest, subject->validation->qemu, &asking);
    guest_release(guest);
    operation->error = asking.error;
    return status;
}

/* --- where it is to go on --- */

static int check_hibernated(const struct subject *subject, struct operation *operation)
{
    char what[120], hint[120];
    const struct lpar *lpar = subject->lpar;
    if (lpar->owner[0]) {
        snprintf(what, sizeof what, "it runs on node \"%s\"", lpar->owner);
        return refuse(subject, VIOS_E_CONFLICT,
                      "reset it: lpar reset; to move it, hibernate it first: lpar hibernate", what,
                      operation);
    }
    snprintf(hint, sizeof hint, "start it: lpar start %s", lpar->name);
    return is_hibernated(lpar)
               ? VIOS_OK
               : refuse(subject, VIOS_E_CONFLICT, hint, "it is not hibernated", operation);
}

static int check_file(const struct subject *subject, struct operation *operation)
{
    struct saved saved;
    struct hibernation_reader *reader;
    const struct lpar *lpar = subject->lpar;
    if (!is_hibernated(lpar)) {
        return NOT_MADE;
    }
    int status = saved_load(subject->store, lpar->name, &saved, operation);
    if (status == VIOS_OK) {
        status = saved_open(subject->node, subject->store, lpar, &saved, &reader, operation);
    }
    if (status == VIOS_OK) {
        snprintf(subject->validation->qemu, sizeof subject->validation->qemu, "%s",
                 hibernation_reader_header(reader)->qemu);
        status = saved_pages_check(subject->node, lpar, reader, operation);
        hibernation_reader_close(reader);
    }
    return status;
}

/* That it is up is known: it is being asked. */
static int check_node(const struct subject *subject, struct operation *operation)
{
    char object[96], hint[120];
    const char *name = subject->node->name;
    if (node_member_state(subject->node, name) != MEMBER_DRAINED) {
        return VIOS_OK;
    }
    snprintf(object, sizeof object, "node \"%.63s\"", name);
    snprintf(hint, sizeof hint, "choose another one, or say: node restore %s", name);
    return operation_fail(operation, VIOS_E_CONFLICT, object, hint, "it is drained");
}

/* The node whose files its disks are: where it runs, or ran. */
static int find_home(const struct subject *subject, char home[NAME_MAX_LENGTH + 1],
                     struct operation *operation)
{
    struct saved saved = {0};
    const struct lpar *lpar = subject->lpar;
    int status =
        lpar->owner[0] ? VIOS_OK : saved_load(subject->store, lpar->name, &saved, operation);
    snprintf(home, NAME_MAX_LENGTH + 1, "%s", lpar->owner[0] ? lpar->owner : saved.node);
    return status;
}

/* A file of the same name on another node is another disk than the one that its memory knows. */
static int check_own_files(const struct subject *subject, struct operation *operation)
{
    char home[NAME_MAX_LENGTH + 1], what[160];
    const struct lpar *lpar = subject->lpar;
    size_t i = 0;
    while (i < lpar->disk_count && lpar->disks[i].lu[0]) {
        i++;
    }
    int status = VIOS_OK;
    if (i < lpar->disk_count) {
        if (!lpar->owner[0] && !is_hibernated(lpar)) {
            return NOT_MADE;
        }
        status = find_home(subject, home, operation);
        if (status == VIOS_OK && strcmp(home, subject->node->name) != 0) {
            snprintf(what, sizeof what, "its %s is a file of node \"%s\"", lpar->disks[i].id, home);
            status =
                refuse(subject, VIOS_E_INVALID,
                       "restart it there, or put its disks on LUs: lu create", what, operation);
        }
    }
    return status == VIOS_OK ? spec_check_files(lpar, &operation->error) : status;
}

static int check_disks(const struct subject *subject, struct operation *operation)
{
    return disks_check(subject->node, subject->store, subject->lpar, operation);
}

static int check_accel(const struct subject *subject, struct operation *operation)
{
    return spec_check_accel(subject->lpar, &operation->error);
}

static int check_machine(const struct subject *subject, struct operation *operation)
{
    return qemu_facts_check(lpars_qemu(subject->node->lpars), subject->lpar,
                            subject->validation->qemu, operation);
}

static int check_network(const struct subject *subject, struct operation *operation)
{
    const struct lpar *lpar = subject->lpar;
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < lpar->nic_count; i++) {
        if (lpar->nics[i].backend == NIC_BRIDGE) {
            status = network_check_bridge(lpar->nics[i].bridge, &operation->error);
        }
    }
    return status;
}

static int check_memory(const struct subject *subject, struct operation *operation)
{
    return lpars_check_memory(subject->node->lpars, subject->lpar, &operation->error);
}

/* --- the tables --- */

struct check {
    const char *name;
    int (*run)(const struct subject *subject, struct operation *operation);
    unsigned of; /* bits of enum validate_what */
};

enum {
    HIBERNATE = 1 << VALIDATE_HIBERNATE,
    RESTART = 1 << VALIDATE_RESTART,
    MOVE = 1 << VALIDATE_MOVE,
    MIGRATE = 1 << VALIDATE_MIGRATE,
    SOURCE = HIBERNATE | MIGRATE,
    TARGET = RESTART | MOVE
};

/* What costs most is last but for the memory, which changes most. */
static const struct check CHECKS[] = {
    {"state", check_running, SOURCE},      {"pages", check_pages, HIBERNATE},
    {"pages", check_pages_reach, MIGRATE}, {"storage", check_storage, SOURCE},
    {"space", check_space, HIBERNATE},     {"qemu", check_monitor, SOURCE},
    {"state", check_hibernated, RESTART},  {"node", check_node, TARGET},
    {"files", check_own_files, TARGET},    {"disks", check_disks, TARGET},
    {"accel", check_accel, TARGET},        {"network", check_network, TARGET},
    {"hibernation", check_file, RESTART},  {"machine", check_machine, TARGET},
    {"memory", check_memory, TARGET},
};

static int note(struct validation *validation, const char *name, int status,
                const struct vios_error *error)
{
    char why[sizeof error->object + sizeof error->message + 2] = "";
    if (status < 0) {
        snprintf(why, sizeof why, "%s: %s", error->object, error->message);
    }
    return json_array_append_new(validation->checks,
                                 json_pack("{s:s, s:b, s:s, s:s}", "check", name, "ok",
                                           status == VIOS_OK, "why", why, "hint",
                                           status < 0 ? error->hint : ""));
}

int validate(struct node *node, struct store *store, const struct lpar *lpar,
             struct validation *validation, struct operation *operation)
{
    const struct subject subject = {node, store, lpar, validation};
    struct vios_error first = {0};
    for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
        if (!(CHECKS[i].of & 1u << validation->what)) {
            continue;
        }
        operation->error = (struct vios_error){0};
        int status = CHECKS[i].run(&subject, operation);
        if (status < 0 && first.code == VIOS_OK) {
            first = operation->error;
            first.code = status;
        }
        if (validation->checks && status != NOT_MADE) {
            note(validation, CHECKS[i].name, status, &operation->error);
        } else if (status < 0) {
            break;
        }
    }
    operation->error = first;
    return first.code;
}
