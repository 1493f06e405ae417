/*
 * device.c - one device, one round.
 *
 * The order keeps pages safe. A region's number in io may run ahead of the record's (io drops a
 * replica first and acknowledges without it); the record follows. A replacement goes the other
 * way: first the record, under a higher number, then the grant on the new node, then io here.
 */
#include "paging/device.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "paging/paging.h"
#include "paging/placement.h"
#include "paging/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A replica whose node is up but whose page server stays away this many ttls is replaced. */
#define LOST_TTLS 2

json_t *paging_find_export(const json_t *statistics, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(statistics, "exports"), index, item)
    {
        const char *text = json_get_text(item, "name");
        if (text && strcmp(text, name) == 0) {
            return item;
        }
    }
    return NULL;
}

static const struct member *find_member(const struct paging_round *round, const char *name)
{
    for (size_t i = 0; i < round->member_count; i++) {
        if (strcmp(round->members[i].name, name) == 0) {
            return &round->members[i];
        }
    }
    return NULL;
}

/* A build with VIOS_TEST_HOOKS takes the way to another machine where VIOS_PAGES_BY_TCP is set. */
static bool must_use_tcp(void)
{
#ifdef VIOS_TEST_HOOKS
    return getenv("VIOS_PAGES_BY_TCP") != NULL;
#else
    return false;
#endif
}

/* The member's socket for this node, when both are on one machine: they have one address, and the
 * socket is there. Two machines may have an address in common, such as 127.0.0.1 by mistake. */
static bool find_socket(const struct paging_round *round, const struct member *member, char *text,
                        size_t size)
{
    struct stat socket;
    const char *own = config_text(round->node->config, "address");
    if (strcmp(member->address, own) != 0 || strncmp(member->nbd, "unix:", 5) != 0 ||
        must_use_tcp()) {
        return false;
    }
    snprintf(text, size, "%s/peer/%s.sock", member->nbd, round->node->name);
    return stat(text + 5, &socket) == 0 && S_ISSOCK(socket.st_mode);
}

/* The address of `node`'s page server for this node: paging_address over a round. */
static const char *page_server(void *context, const char *node, char *text, size_t size)
{
    const struct paging_round *round = context;
    const struct member *member = find_member(round, node);
    if (member && find_socket(round, member, text, size)) {
        return text;
    }
    if (!member || !member->nbd_tls[0]) {
        return NULL;
    }
    snprintf(text, size, "%s", member->nbd_tls);
    return text;
}

static int call_io(struct paging_round *round, json_t *request)
{
    struct operation *operation = round->operation;
    return io_client_call(round->node->io, request, NULL, 0, NULL, operation);
}

/* --- granting page memory --- */

/* What io has granted already for one region of this LPAR; NULL: nothing. */
static json_t *find_entry(const struct paging_round *round, const char *uuid, json_int_t region)
{
    json_t *memory = json_object_get(round->statistics, "page_memory");
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(memory, "entries"), index, item)
    {
        const char *lpar = json_get_text(item, "lpar");
        if (lpar && strcmp(lpar, uuid) == 0 && json_get_integer(item, "region") == region) {
            return item;
        }
    }
    return NULL;
}

/* The number does not count: the pager raises it where it connects anew, and a grant that did so
 * would close the connections to the replicas that are well. */
static bool entry_is_current(const json_t *entry, const struct paging_view *view)
{
    const char *node = json_get_text(entry, "node");
    return entry && node && strcmp(node, view->owner) == 0 &&
           json_get_integer(entry, "generation") >= view->generation;
}

/* A restart that came to nothing had this generation on another node. */
static bool entry_is_void(const json_t *entry, const struct paging_view *view)
{
    return json_get_integer(entry, "generation") == view->generation &&
           strcmp(json_get_word(entry, "node"), view->owner) != 0;
}

static size_t count_entries(const struct paging_round *round, const char *uuid)
{
    json_t *memory = json_object_get(round->statistics, "page_memory");
    size_t index, count = 0;
    json_t *item;
    json_array_foreach(json_object_get(memory, "entries"), index, item)
    {
        const char *lpar = json_get_text(item, "lpar");
        count += lpar && strcmp(lpar, uuid) == 0;
    }
    return count;
}

static int grant(struct paging_round *round, const struct paging_view *view)
{
    json_t *regions = paging_record_grants(&view->record, round->node->name);
    size_t wanted = json_array_size(regions);
    bool current = wanted == 0 || count_entries(round, view->record.uuid) == wanted;
    bool other = false; /* of a device that was removed a moment ago */
    size_t index;
    json_t *item;
    json_array_foreach(regions, index, item)
    {
        json_int_t region = json_get_integer(item, "index");
        json_t *entry = find_entry(round, view->record.uuid, region);
        current = current && entry_is_current(entry, view);
        other = other || (entry && (entry_is_void(entry, view) ||
                                    !json_equal(json_object_get(entry, "size_bytes"),
                                                json_object_get(item, "size_bytes"))));
    }
    if (other) {
        call_io(round, json_pack("{s:s, s:s}", "do", "revoke", "lpar", view->record.uuid));
        current = false;
    }
    if (current) {
        json_decref(regions);
        return VIOS_OK;
    }
    int status = call_io(round, json_pack("{s:s, s:s, s:s, s:I, s:o}", "do", "grant", "lpar",
                                          view->record.uuid, "node", view->owner, "generation",
                                          (json_int_t)view->generation, "regions", regions));
    return status == VIOS_E_STALE ? VIOS_OK : status; /* io is ahead: the record will follow */
}

/* --- the pager of an LPAR hosted here --- */

/* The LPAR may run anew: its regions begin empty, under new numbers. A pager that has this
 * generation already is of a restart that came to nothing. */
static int begin_generation(struct paging_round *round, struct paging_view *view, const char *name)
{
    view->record.generation = view->record.start = view->generation;
    view->record.plan = (struct paging_plan){.job = ""};
    for (size_t i = 0; i < view->record.region_count; i++) {
        view->record.regions[i].number++;
    }
    int status = paging_view_commit(round->store, view, round->operation);
    if (status == VIOS_OK && paging_find_export(round->statistics, name)) {
        status = call_io(round, json_pack("{s:s, s:s}", "do", "drop", "name", name));
    }
    return status;
}

int paging_device_export(struct paging_round *round, const struct paging_view *view,
                         const char *name, int state)
{
    const struct paging_record *record = &view->record;
    json_t *backend =
        json_pack("{s:s, s:I, s:I, s:s, s:o, s:o}", "kind", "pager", "generation",
                  (json_int_t)view->generation, "size_bytes", (json_int_t)record->size_bytes,
                  "policy", paging_policy_name(record->policy), "disk",
                  record->disk[0] ? json_string(record->disk) : json_null(), "regions",
                  paging_record_regions(record, page_server, round));
    json_t *request = json_pack("{s:s, s:s, s:s, s:b, s:o}", "do", "export", "name", name, "lpar",
                                record->uuid, "replace", state >= 0, "backend", backend);
    return io_client_call(round->node->io, request, &state, state >= 0 ? 1 : 0, NULL,
                          round->operation);
}

/* What io says of one region; NULL: nothing. */
static json_t *io_region(const json_t *export, size_t index)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(export, "regions"), i, item)
    {
        if (json_get_integer(item, "index") == (json_int_t)index) {
            return item;
        }
    }
    return NULL;
}

static json_t *io_replica(const json_t *region, const char *node)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(region, "replicas"), i, item)
    {
        if (strcmp(json_get_word(item, "node"), node) == 0) {
            return item;
        }
    }
    return NULL;
}

/* The pager does not know all nodes of the record, or where they are now: one may have had no
 * address yet, or has another since its io began anew. Its own number may have met the record's by
 * chance, when it lost a replica while that one was being replaced, so numbers alone do not tell.
 */
static bool lacks_replicas(struct paging_round *round, const struct paging_region *region,
                           const json_t *known)
{
    for (size_t r = 0; r < region->replica_count; r++) {
        char text[PAGING_PATH_SIZE];
        const json_t *replica = io_replica(known, region->replicas[r]);
        const char *address = page_server(round, region->replicas[r], text, sizeof text);
        if (!replica || (address && strcmp(json_get_word(replica, "address"), address) != 0)) {
            return true;
        }
    }
    return false;
}

static int follow_numbers(struct paging_round *round, struct paging_view *view,
                          const json_t *export)
{
    bool behind = false, ahead = false;
    if (view->record.policy == PAGING_DISK) {
        return VIOS_OK; /* nobody else serves it: its numbers are for nobody */
    }
    for (size_t i = 0; i < view->record.region_count; i++) {
        int64_t number = json_get_integer(io_region(export, i), "number");
        behind = behind || view->record.regions[i].number < number;
        ahead = ahead || view->record.regions[i].number > number ||
                lacks_replicas(round, &view->record.regions[i], io_region(export, i));
    }
    if (ahead) {
        return call_io(round, json_pack("{s:s, s:s, s:o}", "do", "regions", "lpar",
                                        view->record.uuid, "regions",
                                        paging_record_regions(&view->record, page_server, round)));
    }
    if (!behind) {
        return VIOS_OK;
    }
    for (size_t i = 0; i < view->record.region_count; i++) {
        view->record.regions[i].number = json_get_integer(io_region(export, i), "number");
    }
    return paging_view_commit(round->store, view, round->operation);
}

/* --- replacing what is lost --- */

/* How long this replica has been lost, in ms; starts or ends the count as its state says. */
static int64_t lost_for_ms(struct paging_round *round, const struct paging_view *view,
                           size_t region, const char *node, bool lost)
{
    char key[160];
    snprintf(key, sizeof key, "%s/%zu/%s", view->record.uuid, region, node);
    if (!lost) {
        json_object_del(round->lost, key);
        return 0;
    }
    json_t *since = json_object_get(round->lost, key);
    if (!since) {
        json_object_set_new(round->lost, key, json_integer(clock_now_ms()));
        return 0;
    }
    return clock_now_ms() - json_integer_value(since);
}

static bool should_replace(struct paging_round *round, const struct paging_view *view,
                           size_t region, const char *node, bool lost)
{
    int64_t lost_ms = lost_for_ms(round, view, region, node, lost);
    const struct member *member = find_member(round, node);
    bool down = !member || member->state == MEMBER_DOWN;
    return lost && (down || lost_ms > LOST_TTLS * config_duration_ms(round->node->config, "ttl"));
}

struct placement_node *paging_placement_nodes(const struct paging_round *round)
{
    struct placement_node *nodes = calloc(round->member_count + 1, sizeof *nodes);
    for (size_t i = 0; nodes && i < round->member_count; i++) {
        const struct member *member = &round->members[i];
        memcpy(nodes[i].name, member->name, sizeof nodes[i].name);
        nodes[i].usable = member->state == MEMBER_UP;
        nodes[i].size_bytes = member->page_memory_bytes;
        for (size_t v = 0; v < round->view_count; v++) {
            const struct paging_record *record = &round->views[v].record;
            for (size_t r = 0; r < record->region_count; r++) {
                if (paging_region_find(&record->regions[r], member->name) >= 0) {
                    nodes[i].used_bytes += record->regions[r].size_bytes;
                }
            }
        }
    }
    return nodes;
}

static int replace(struct paging_round *round, struct paging_view *view, size_t region,
                   const char *node, int64_t number)
{
    struct placement_node *nodes = paging_placement_nodes(round);
    if (!nodes) {
        return operation_no_memory(round->operation, NULL);
    }
    char lost[NAME_MAX_LENGTH + 1];
    snprintf(lost, sizeof lost, "%s", node);
    struct vios_error error = {0};
    int status =
        paging_place_again(nodes, round->member_count, &view->record, region, lost, number, &error);
    free(nodes);
    if (status != VIOS_OK) {
        return VIOS_OK; /* nowhere to go yet: it stays DEGRADED, the next round tries again */
    }
    status = paging_view_commit(round->store, view, round->operation);
    if (status == VIOS_OK) {
        lost_for_ms(round, view, region, lost, false);
        recorder_note(round->node->recorder, "paging", "lpar %s region %zu: %s replaced",
                      view->record.lpar, region, lost);
        log_notice("paging", "lpar %s: the pages of region %zu leave node %s", view->record.lpar,
                   region, lost);
    }
    return status;
}

static int replace_lost(struct paging_round *round, struct paging_view *view, const json_t *export)
{
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < view->record.region_count; i++) {
        json_t *region = io_region(export, i);
        int64_t number = json_get_integer(region, "number");
        size_t index;
        json_t *item;
        json_array_foreach(json_object_get(region, "replicas"), index, item)
        {
            const char *node = json_get_text(item, "node");
            const char *state = json_get_text(item, "state");
            bool lost = state && strcmp(state, "lost") == 0;
            if (node && paging_region_find(&view->record.regions[i], node) >= 0 &&
                should_replace(round, view, i, node, lost)) {
                status = replace(round, view, i, node, number + 1);
                break;
            }
        }
    }
    return status;
}

/* --- telling the others --- */

/* io's regions without the counts, for progress alone is no news, and without what the members'
 * records say; a new reference. */
static json_t *regions_to_tell(const json_t *export)
{
    static const char *const COUNTS[] = {"pages_filled", "pages_total", "pages_in", "pages_out",
                                         "address"};
    json_t *regions = json_deep_copy(json_object_get(export, "regions"));
    size_t index, inner;
    json_t *region, *replica;
    json_array_foreach(regions, index, region)
    {
        json_array_foreach(json_object_get(region, "replicas"), inner, replica)
        {
            for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
                json_object_del(replica, COUNTS[i]);
            }
        }
    }
    return regions;
}

/* /paging-run/NAME: what the other nodes show of a device hosted here; written on change. */
static int publish(struct paging_round *round, const struct paging_view *view, const json_t *export)
{
    const char *lpar = view->record.lpar;
    const char *state = json_get_text(export, "state");
    json_t *run = json_pack("{s:i, s:s, s:s, s:s, s:o}", "v", 1, "node", round->node->name,
                            "device", view->record.job, "state", state ? state : "DOWN", "regions",
                            regions_to_tell(export));
    if (!run || json_equal(run, json_object_get(round->published, lpar))) {
        json_decref(run);
        return VIOS_OK;
    }
    char key[PAGING_KEY_SIZE], record[PAGING_KEY_SIZE];
    char *json = json_dumps(run, JSON_COMPACT);
    struct store_compare exists = {STORE_EXISTS, paging_record_key(lpar, record), 0};
    struct store_change change = {paging_run_key(lpar, key), json};
    int status = json ? store_commit(round->store, &exists, 1, &change, 1, NULL, round->operation)
                      : VIOS_E_SYSTEM;
    free(json);
    if (status == VIOS_OK) {
        json_object_set(round->published, lpar, run);
    }
    json_decref(run);
    return status;
}

/* Says it once, and to the other nodes; `paging show` here sees that there is no pager. */
static int tell_gone(struct paging_round *round, const struct paging_view *view, const char *name)
{
    json_t *down = json_pack("{s:s, s:[]}", "state", "DOWN", "regions");
    if (!json_object_get(round->lost, name)) {
        json_object_set_new(round->lost, name, json_true());
        log_error("paging",
                  "lpar %s: its pages cannot be found again, because io and the daemon ended "
                  "together; stop the guest and start it again",
                  view->record.lpar);
        recorder_note(round->node->recorder, "paging", "lpar %s: the pager's state is lost",
                      view->record.lpar);
    }
    int status = publish(round, view, down);
    json_decref(down);
    return status;
}

/*
 * An empty pager is right for a guest that is about to begin, and for one that never had the
 * device. Under a QEMU that pages to it already, it would give zeroes for what the guest put there.
 */
static int export_anew(struct paging_round *round, const struct paging_view *view, const char *name,
                       bool begins)
{
    const struct paging_guest_operations *guest = paging_guest(round->node);
    int uses = 0;
    if (!begins && !guest) {
        return operation_fail(round->operation, VIOS_E_TIMEOUT, name, NULL,
                              "the guests are not taken up yet");
    }
    if (!begins) {
        uses = guest->uses(round->node, view->record.lpar, round->operation);
    }
    return uses == 0  ? paging_device_export(round, view, name, -1)
           : uses > 0 ? tell_gone(round, view, name)
                      : uses;
}

static int host(struct paging_round *round, struct paging_view *view)
{
    char name[160];
    json_t *export = NULL;
    paging_export_name(view->record.uuid, view->generation, name, sizeof name);
    if (view->begins) {
        int status = begin_generation(round, view, name);
        if (status != VIOS_OK) {
            return status;
        }
    } else {
        export = paging_find_export(round->statistics, name);
    }
    if (!export) {
        return export_anew(round, view, name, view->begins);
    }
    json_object_del(round->lost, name);
    int status = follow_numbers(round, view, export);
    if (status == VIOS_OK) {
        status = replace_lost(round, view, export);
    }
    return status == VIOS_OK ? publish(round, view, export) : status;
}

int paging_device_reconcile(struct paging_round *round, struct paging_view *view)
{
    if (view->asleep) {
        return VIOS_OK;
    }
    int status = grant(round, view);
    if (strcmp(view->owner, round->node->name) == 0) {
        int hosted = host(round, view);
        status = status == VIOS_OK ? hosted : status;
    }
    return status;
}

/* --- giving back --- */

static const struct paging_view *find_view(const struct paging_round *round, const char *uuid)
{
    for (size_t i = 0; i < round->view_count; i++) {
        if (strcmp(round->views[i].record.uuid, uuid) == 0) {
            return &round->views[i];
        }
    }
    return NULL;
}

static bool has_grant(const struct paging_view *view, const char *node)
{
    for (size_t i = 0; view && !view->asleep && i < view->record.region_count; i++) {
        if (paging_region_find(&view->record.regions[i], node) >= 0) {
            return true;
        }
    }
    return false;
}

static void sweep_memory(struct paging_round *round)
{
    json_t *memory = json_object_get(round->statistics, "page_memory");
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(memory, "entries"), index, item)
    {
        const char *uuid = json_get_text(item, "lpar");
        if (uuid && !has_grant(find_view(round, uuid), round->node->name)) {
            call_io(round, json_pack("{s:s, s:s}", "do", "revoke", "lpar", uuid));
        }
    }
}

/* It is the pager of the device, or the one that would be if a migration to this node succeeds. */
static bool is_wanted(const struct paging_round *round, const struct paging_view *view,
                      const char *name)
{
    char own[160] = "", planned[160] = "";
    if (view && strcmp(view->owner, round->node->name) == 0) {
        paging_export_name(view->record.uuid, view->generation, own, sizeof own);
    }
    if (view && view->is_planned && strcmp(view->record.plan.target, round->node->name) == 0) {
        paging_export_name(view->record.uuid, view->record.plan.generation, planned,
                           sizeof planned);
    }
    return strcmp(name, own) == 0 || strcmp(name, planned) == 0;
}

static void sweep_pagers(struct paging_round *round)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(round->statistics, "exports"), index, item)
    {
        const char *name = json_get_text(item, "name");
        const char *uuid = json_get_text(item, "lpar");
        const char *kind = json_get_text(item, "kind");
        if (!name || !uuid || !kind || strcmp(kind, "pager") != 0) {
            continue;
        }
        const struct paging_view *view = find_view(round, uuid);
        if (!is_wanted(round, view, name)) {
            call_io(round, json_pack("{s:s, s:s}", "do", "drop", "name", name));
        }
    }
}

/* A device of this name may come again, and must be published then. */
static void sweep_published(struct paging_round *round)
{
    const char *lpar;
    void *next;
    json_t *value;
    json_object_foreach_safe(round->published, next, lpar, value)
    {
        bool there = false;
        for (size_t i = 0; i < round->view_count; i++) {
            there = there || strcmp(round->views[i].record.lpar, lpar) == 0;
        }
        if (!there) {
            json_object_del(round->published, lpar);
        }
    }
}

void paging_device_sweep(struct paging_round *round)
{
    if (round->views_whole) {
        sweep_pagers(round);
        sweep_memory(round);
        sweep_published(round);
    }
}
