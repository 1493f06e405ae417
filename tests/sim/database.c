/* database.c - see database.h: entries sorted by key; what becomes of a request is drawn when it is
 * sent. */
#include "tests/sim/database.h"

#include "tests/sim/node.h"
#include "tests/sim/oracle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256 * 1024)

struct chunk {
    struct chunk *next;
    size_t used;
    char data[CHUNK];
};

struct database {
    struct world *world;
    struct store_value **entries;
    size_t count, capacity;
    int64_t revision;
    int64_t away_until_us, slow_until_us;
    struct chunk *chunks;
    struct pending *pending; /* all that are on their way */
};

/* A request on its way, or its answer. */
struct pending {
    struct database *database;
    struct process *process;
    uint64_t life;
    struct database_request request;
    struct store_compare compares[DATABASE_COMPARES_MAX];
    struct store_change changes[DATABASE_CHANGES_MAX];
    int64_t deadline_us;
    struct database_answer answer;
    struct store_value *values; /* of all lists, one behind the other */
    size_t value_count;
    size_t next_prefix;
    struct pending *next, **link;
};

static struct pending *pending_new(struct database *database)
{
    struct pending *pending = sim_alloc(sizeof *pending);
    pending->database = database;
    return pending;
}

static void pending_link(struct pending *pending)
{
    struct database *database = pending->database;
    pending->next = database->pending;
    pending->link = &database->pending;
    if (pending->next) {
        pending->next->link = &pending->next;
    }
    database->pending = pending;
}

static void pending_free(struct pending *pending)
{
    *pending->link = pending->next;
    if (pending->next) {
        pending->next->link = pending->link;
    }
    free(pending->values);
    free(pending);
}

/* --- texts --- */

static char *keep(struct database *database, const char *text)
{
    size_t size = strlen(text) + 1;
    assert(size <= CHUNK);
    if (!database->chunks || database->chunks->used + size > CHUNK) {
        struct chunk *chunk = malloc(sizeof *chunk);
        assert(chunk);
        chunk->next = database->chunks;
        chunk->used = 0;
        database->chunks = chunk;
    }
    char *kept = database->chunks->data + database->chunks->used;
    memcpy(kept, text, size);
    database->chunks->used += size;
    return kept;
}

struct database *database_new(struct world *world)
{
    struct database *database = sim_alloc(sizeof *database);
    database->world = world;
    return database;
}

void database_free(struct database *database)
{
    while (database->pending) {
        pending_free(database->pending);
    }
    for (size_t i = 0; i < database->count; i++) {
        free(database->entries[i]);
    }
    while (database->chunks) {
        struct chunk *next = database->chunks->next;
        free(database->chunks);
        database->chunks = next;
    }
    free(database->entries);
    free(database);
}

/* --- entries --- */

/* The first entry not below `key`. */
static size_t find_place(const struct database *database, const char *key)
{
    size_t low = 0, high = database->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(database->entries[middle]->key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct store_value *database_look(const struct database *database, const char *key)
{
    size_t place = find_place(database, key);
    bool found = place < database->count && strcmp(database->entries[place]->key, key) == 0;
    return found ? database->entries[place] : NULL;
}

const struct store_value *const *database_look_list(const struct database *database,
                                                    const char *prefix, size_t *count)
{
    size_t first = find_place(database, prefix), length = strlen(prefix);
    *count = 0;
    while (first + *count < database->count &&
           strncmp(database->entries[first + *count]->key, prefix, length) == 0) {
        (*count)++;
    }
    return (const struct store_value *const *)database->entries + first;
}

static void remove_entry(struct database *database, size_t place)
{
    free(database->entries[place]);
    database->count--;
    memmove(&database->entries[place], &database->entries[place + 1],
            (database->count - place) * sizeof(struct store_value *));
}

static void add_entry(struct database *database, size_t place, const char *key)
{
    if (database->count == database->capacity) {
        database->capacity = database->capacity ? 2 * database->capacity : 64;
        database->entries =
            realloc(database->entries, database->capacity * sizeof(struct store_value *));
        assert(database->entries);
    }
    memmove(&database->entries[place + 1], &database->entries[place],
            (database->count - place) * sizeof(struct store_value *));
    database->count++;
    database->entries[place] = sim_alloc(sizeof(struct store_value));
    database->entries[place]->key = keep(database, key);
    database->entries[place]->created = database->revision;
}

static void change(struct database *database, const char *key, const char *json)
{
    size_t place = find_place(database, key);
    bool found = place < database->count && strcmp(database->entries[place]->key, key) == 0;
    if (!json) {
        if (found) {
            remove_entry(database, place);
        }
        return;
    }
    if (!found) {
        add_entry(database, place, key);
    }
    database->entries[place]->json = keep(database, json);
    database->entries[place]->revision = database->revision;
}

void database_put(struct database *database, const char *key, const char *json)
{
    database->revision++;
    change(database, key, json);
}

/* --- what a request does --- */

static bool compares_hold(const struct pending *pending)
{
    for (size_t i = 0; i < pending->request.compare_count; i++) {
        const struct store_compare *compare = &pending->compares[i];
        const struct store_value *value = database_look(pending->database, compare->key);
        bool holds = compare->kind == STORE_ABSENT ? !value
                     : compare->kind == STORE_EXISTS
                         ? value != NULL
                         : value && value->revision == compare->revision;
        if (!holds) {
            return false;
        }
    }
    return true;
}

static void execute_commit(struct pending *pending)
{
    struct database *database = pending->database;
    if (!compares_hold(pending)) {
        pending->answer.status = VIOS_E_CONFLICT;
        return;
    }
    oracle_commit(database->world, pending->changes, pending->request.change_count);
    database->revision++;
    for (size_t i = 0; i < pending->request.change_count; i++) {
        world_note(database->world, "store %lld: %s = %s", (long long)database->revision,
                   pending->changes[i].key,
                   pending->changes[i].json ? pending->changes[i].json : "(gone)");
        change(database, pending->changes[i].key, pending->changes[i].json);
    }
    pending->answer.status = VIOS_OK;
    pending->answer.revision = database->revision;
}

static void execute_read(struct pending *pending)
{
    const struct store_value *value = database_look(pending->database, pending->request.key);
    pending->answer.status = value ? VIOS_OK : VIOS_E_NOT_FOUND;
    if (value) {
        pending->answer.value = *value;
    }
}

static void execute_list(struct pending *pending)
{
    size_t count;
    const struct store_value *const *found = database_look_list(
        pending->database, pending->request.prefixes[pending->next_prefix], &count);
    pending->values =
        realloc(pending->values, (pending->value_count + count + 1) * sizeof *pending->values);
    assert(pending->values);
    for (size_t i = 0; i < count; i++) {
        pending->values[pending->value_count++] = *found[i];
    }
    pending->answer.lists[pending->next_prefix++].count = count;
    pending->answer.status = VIOS_OK;
}

/* --- on its way --- */

static void deliver(void *context)
{
    struct pending *pending = context;
    size_t first = 0;
    for (size_t i = 0; i < pending->request.prefix_count; i++) {
        pending->answer.lists[i].values = pending->values + first;
        first += pending->answer.lists[i].count;
    }
    pending->request.answered(pending->request.context, &pending->answer);
    pending_free(pending);
}

/* The answer travels back, or the deadline comes first. */
static void answer(struct pending *pending, int64_t delay_us)
{
    struct world *world = pending->database->world;
    int64_t left_us = pending->deadline_us - world->now_us;
    if (pending->process->life != pending->life || !pending->process->alive) {
        pending_free(pending);
        return;
    }
    if (delay_us > left_us) {
        bool commit = pending->request.kind == DATABASE_COMMIT;
        pending->answer.status = commit ? VIOS_E_UNKNOWN : VIOS_E_TIMEOUT;
        delay_us = left_us > 0 ? left_us : 0;
    }
    process_post(pending->process, delay_us, deliver, pending);
}

static int64_t travel_us(struct database *database)
{
    struct world *world = database->world;
    int64_t base_us = world->swarm.store_latency_us;
    int64_t delay_us = random_between(&world->store_random, base_us / 2, base_us * 2);
    if (world->now_us < database->slow_until_us) {
        delay_us += random_below(&world->store_random, world->swarm.slow_us);
    }
    return delay_us;
}

static void land_late(void *context)
{
    struct pending *pending = context;
    struct database *database = pending->database;
    if (database->world->now_us < database->away_until_us) {
        world_post(database->world, database->away_until_us - database->world->now_us + 1,
                   land_late, pending);
        return;
    }
    execute_commit(pending);
    world_note(database->world, "store: a late commit of %s: %s", pending->process->node->name,
               pending->answer.status == VIOS_OK ? "landed" : "conflict");
    pending_free(pending);
}

/* A copy of it lands some time. */
static void also_late(const struct pending *pending, int64_t delay_us)
{
    struct pending *late = pending_new(pending->database);
    *late = *pending;
    late->values = NULL;
    pending_link(late);
    world_post(pending->database->world, delay_us, land_late, late);
}

static void unknown(struct pending *pending)
{
    bool commit = pending->request.kind == DATABASE_COMMIT;
    pending->answer.status = commit ? VIOS_E_UNKNOWN : VIOS_E_TIMEOUT;
    answer(pending, pending->deadline_us - pending->database->world->now_us);
}

static void is_away(struct pending *pending)
{
    struct world *world = pending->database->world;
    int64_t ticket = random_below(&world->store_random, 100);
    bool commit = pending->request.kind == DATABASE_COMMIT;
    if (ticket < 40) {
        pending->answer.status = VIOS_E_UNREACHABLE;
        answer(pending, random_between(&world->store_random, 1, 50) * MS);
        return;
    }
    if (commit && ticket < 60 && world->swarm.on[FEATURE_STORE_UNKNOWN]) {
        also_late(pending, random_below(&world->store_random, world->swarm.late_us));
    }
    unknown(pending);
}

static bool away(const struct pending *pending)
{
    const struct database *database = pending->database;
    int64_t now_us = database->world->now_us;
    return now_us < database->away_until_us || now_us < pending->process->node->store_away_until_us;
}

static void arrive(void *context)
{
    struct pending *pending = context;
    struct world *world = pending->database->world;
    struct random *random = &world->store_random;
    bool calm = world->calm;
    if (away(pending)) {
        is_away(pending);
    } else if (!calm && random_chance(random, world->swarm.lost_request_ppm)) {
        unknown(pending);
    } else if (pending->request.kind == DATABASE_LIST) {
        execute_list(pending);
        if (pending->next_prefix < pending->request.prefix_count) {
            world_post(world, travel_us(pending->database), arrive, pending);
        } else {
            answer(pending, travel_us(pending->database));
        }
    } else if (pending->request.kind == DATABASE_READ) {
        execute_read(pending);
        answer(pending, travel_us(pending->database));
    } else if (!calm && random_chance(random, world->swarm.late_ppm)) {
        also_late(pending, random_below(random, world->swarm.late_us));
        unknown(pending);
    } else {
        execute_commit(pending);
        bool lost = !calm && random_chance(random, world->swarm.lost_answer_ppm);
        answer(pending, lost ? INT64_MAX / 2 : travel_us(pending->database));
    }
}

void database_ask(struct database *database, struct process *process,
                  const struct database_request *request)
{
    struct pending *pending = pending_new(database);
    assert(request->compare_count <= DATABASE_COMPARES_MAX &&
           request->change_count <= DATABASE_CHANGES_MAX);
    pending_link(pending);
    pending->process = process;
    pending->life = process->life;
    pending->request = *request;
    pending->deadline_us = database->world->now_us + database->world->swarm.store_deadline_us;
    pending->request.key = request->key ? keep(database, request->key) : NULL;
    for (size_t i = 0; i < request->compare_count; i++) {
        pending->compares[i] = request->compares[i];
        pending->compares[i].key = keep(database, request->compares[i].key);
    }
    for (size_t i = 0; i < request->change_count; i++) {
        const char *json = request->changes[i].json;
        pending->changes[i].key = keep(database, request->changes[i].key);
        pending->changes[i].json = json ? keep(database, json) : NULL;
    }
    world_post(database->world, travel_us(database), arrive, pending);
}

/* --- faults --- */

void database_away(struct database *database, struct node *node, int64_t until_us)
{
    int64_t *away_until_us = node ? &node->store_away_until_us : &database->away_until_us;
    *away_until_us = until_us > *away_until_us ? until_us : *away_until_us;
}

void database_slow(struct database *database, int64_t until_us)
{
    database->slow_until_us = until_us;
}

void database_heal(struct database *database)
{
    database->away_until_us = database->slow_until_us = 0;
}
