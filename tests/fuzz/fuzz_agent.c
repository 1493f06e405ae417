/* fuzz_agent.c - the records of a cluster as a damaged VIOS DB may hold them, a line with a key, a
 * blank and JSON each: an agent that lists them over and over, and whose commits are taken or not
 * as the first line says, letter by letter, goes on, and shows what it knows. */
#include "cluster/agent.h"
#include "tests/fuzz/text.h"

#define STEPS 120
#define STEP_MS 100
#define VALUES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct store_value values[VALUES_MAX];
    size_t count;
    const char *outcomes, *outcome;
    struct agent_request requests[AGENT_LANES]; /* not answered yet */
    bool asked[AGENT_LANES];
    int64_t revision;
} world;

static void send_nothing(void *context, const char *node, const uint8_t *data, size_t size)
{
    (void)context, (void)node, (void)data, (void)size;
}

static void take_request(void *context, const struct agent_request *request)
{
    (void)context;
    assert(!world.asked[request->lane]);
    for (size_t i = 0; i < request->change_count; i++) {
        json_t *record = json_loads(request->changes[i].json, 0, NULL);
        assert(json_is_object(record));
        json_decref(record);
    }
    world.asked[request->lane] = true;
    world.requests[request->lane] = *request;
}

static void serve(void *context, int64_t until_stop_ms, int64_t until_kill_ms)
{
    (void)context;
    assert(until_stop_ms < until_kill_ms);
}

static bool note_promises(void *context, bool are_made)
{
    (void)context, (void)are_made;
    return true;
}

static void take_notice(void *context, const struct agent_notice *notice)
{
    (void)context, (void)notice;
}

static void extend(void *context, json_t *record)
{
    (void)context, (void)record;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct store_value *)a)->key, ((const struct store_value *)b)->key);
}

/* As a store gives them: sorted, each key once. */
static void read_values(char *text)
{
    size_t kept = 0;
    world.count = 0;
    for (char *line; (line = strsep(&text, "\n")) && world.count < VALUES_MAX;) {
        char *json = strchr(line, ' ');
        if (json && store_key_is_valid((*json = '\0', line))) {
            world.values[world.count++] = (struct store_value){line, json + 1, 1, 1};
        }
    }
    qsort(world.values, world.count, sizeof world.values[0], by_key);
    for (size_t i = 0; i < world.count; i++) {
        if (kept == 0 || strcmp(world.values[kept - 1].key, world.values[i].key) != 0) {
            world.values[kept++] = world.values[i];
        }
    }
    world.count = kept;
}

/* A value whose JSON begins with a blank has been written anew at each listing. */
static int64_t revision_of(const struct store_value *value)
{
    return value->json[0] == ' ' ? world.revision : 1 + (value - world.values);
}

static void list(struct roster_listing *listing, struct store_value parts[][VALUES_MAX])
{
    for (size_t part = 0; part < ROSTER_PREFIXES; part++) {
        struct store_list *values = roster_listing_part(listing, part);
        *values = (struct store_list){parts[part], 0};
        for (size_t i = 0; i < world.count; i++) {
            const char *prefix = roster_prefix(part);
            if (strncmp(world.values[i].key, prefix, strlen(prefix)) == 0) {
                values->values[values->count] = world.values[i];
                values->values[values->count++].revision = revision_of(&world.values[i]);
            }
        }
    }
}

static struct store_value *find(const char *key)
{
    for (size_t i = 0; i < world.count; i++) {
        if (strcmp(world.values[i].key, key) == 0) {
            return &world.values[i];
        }
    }
    return NULL;
}

static int next_outcome(void)
{
    char letter = *world.outcome ? *world.outcome++ : *(world.outcome = world.outcomes);
    return letter == 'c'   ? VIOS_E_CONFLICT
           : letter == 'u' ? VIOS_E_UNKNOWN
           : letter == 't' ? VIOS_E_TIMEOUT
                           : VIOS_OK;
}

static void answer(struct agent *agent, enum agent_lane lane, int64_t now_ms)
{
    static struct store_value parts[ROSTER_PREFIXES][VALUES_MAX];
    struct roster_listing listing;
    struct store_value value;
    const struct agent_request *request = &world.requests[lane];
    struct agent_answer answer = {.lane = lane, .revision = ++world.revision};
    world.asked[lane] = false;
    if (request->kind == AGENT_LIST) {
        list(&listing, parts);
        answer.listing = &listing;
    } else if (request->kind == AGENT_READ) {
        const struct store_value *found = find(request->key);
        answer.status = found ? VIOS_OK : VIOS_E_NOT_FOUND;
        value = found ? *found : (struct store_value){0};
        value.revision = found ? revision_of(found) : 0;
        answer.value = &value;
    } else {
        answer.status = next_outcome();
    }
    agent_answered(agent, &answer, now_ms);
}

static void show(const struct agent *agent, int64_t now_ms)
{
    json_t *const shown[] = {agent_show_primary(agent, now_ms),
                             agent_explain_primary(agent, now_ms), agent_show_history(agent),
                             agent_show_matrix(agent, now_ms)};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        char *text = json_dumps(shown[i], JSON_COMPACT);
        assert(text);
        free(text);
        json_decref(shown[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), *rest = text;
    const struct agent_settings settings = {
        .name = "n1",
        .incarnation = 3,
        .start = 7,
        .level = 1,
        .ttl_ms = 1000,
        .keepalive_ms = 100,
        .outlet = {.send = send_nothing,
                   .request = take_request,
                   .serve = serve,
                   .promised = note_promises,
                   .notice = take_notice,
                   .extend = extend},
    };
    world.outcomes = world.outcome = strsep(&rest, "\n");
    world.revision = VALUES_MAX;
    memset(world.asked, 0, sizeof world.asked);
    read_values(rest);
    int64_t now_ms = 1000000;
    struct agent *agent = agent_new(&settings, now_ms, now_ms);
    assert(agent);
    for (int step = 0; step < STEPS; step++, now_ms += STEP_MS) {
        agent_tick(agent, now_ms, now_ms);
        for (int lane = 0; lane < AGENT_LANES; lane++) {
            if (world.asked[lane]) {
                answer(agent, (enum agent_lane)lane, now_ms);
            }
        }
    }
    show(agent, now_ms);
    agent_free(agent);
    free(text);
    return 0;
}
