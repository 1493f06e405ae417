/* io_kept.c - see io_kept.h. */
#include "node/io_kept.h"

#include "base/json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct batch {
    json_t *description;
    struct io_descriptors descriptors;
};

struct state {
    struct batch *batches;
    size_t count;
    json_int_t revision; /* io's, when it gave the first batch; -1: nothing yet */
};

struct io_kept {
    pthread_mutex_t lock; /* held over a whole give or take */
    struct state states[IO_KEPT_COUNT];
    pthread_mutex_t revision_lock; /* of the revisions, which are looked at meanwhile */
};

static const char *const names[IO_KEPT_COUNT] = {"arena", "pager", "listeners"};

const char *io_kept_name(enum io_kept_what what)
{
    return names[what];
}

static void state_clear(struct state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        json_decref(state->batches[i].description);
        io_descriptors_close(&state->batches[i].descriptors);
    }
    free(state->batches);
    *state = (struct state){.revision = -1};
}

struct io_kept *io_kept_new(void)
{
    struct io_kept *kept = calloc(1, sizeof *kept);
    if (kept) {
        pthread_mutex_init(&kept->lock, NULL);
        pthread_mutex_init(&kept->revision_lock, NULL);
        for (int what = 0; what < IO_KEPT_COUNT; what++) {
            kept->states[what].revision = -1;
        }
    }
    return kept;
}

void io_kept_free(struct io_kept *kept)
{
    if (!kept) {
        return;
    }
    for (int what = 0; what < IO_KEPT_COUNT; what++) {
        state_clear(&kept->states[what]);
    }
    pthread_mutex_destroy(&kept->revision_lock);
    pthread_mutex_destroy(&kept->lock);
    free(kept);
}

enum io_kept_what io_kept_changed_by(const json_t *request)
{
    static const struct {
        const char *word;
        enum io_kept_what what;
    } rows[] = {{"listen", IO_KEPT_LISTENERS}, {"unlisten", IO_KEPT_LISTENERS},
                {"grant", IO_KEPT_ARENA},      {"revoke", IO_KEPT_ARENA},
                {"export", IO_KEPT_PAGER},     {"drop", IO_KEPT_PAGER},
                {"regions", IO_KEPT_PAGER},    {"claim", IO_KEPT_PAGER},
                {"standby", IO_KEPT_PAGER},    {"open", IO_KEPT_PAGER}};
    const char *word = json_get_text(request, "do");
    for (size_t i = 0; word && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].word, word) == 0) {
            return rows[i].what;
        }
    }
    return IO_KEPT_COUNT;
}

/* --- asking for it --- */

/* Each descriptor has its place, and each place its descriptor. */
static bool is_whole(enum io_kept_what what, const json_t *description, size_t descriptors)
{
    const json_t *exports = json_object_get(description, "exports");
    const json_t *item;
    size_t index, expected = 0;
    switch (what) {
    case IO_KEPT_ARENA:
        return json_is_integer(json_object_get(description, "size_bytes")) && descriptors == 1;
    case IO_KEPT_LISTENERS: {
        const json_t *list = json_object_get(description, "listeners");
        return json_is_array(list) && json_array_size(list) == descriptors;
    }
    default:
        json_array_foreach(exports, index, item)
        {
            const json_t *place = json_object_get(item, "descriptor");
            if (!json_is_null(place) &&
                json_integer_value(place) != (json_int_t)expected++) { /* in order */
                return false;
            }
        }
        return json_is_array(exports) && expected == descriptors;
    }
}

static int append(struct state *state, json_t *description,
                  const struct io_descriptors *descriptors, struct operation *operation)
{
    struct batch *batches = NULL;
    if (state->count < IO_KEPT_BATCHES_MAX) {
        batches = realloc(state->batches, (state->count + 1) * sizeof *batches);
    }
    if (!batches) {
        return operation_fail(operation, VIOS_E_NO_SPACE, "io", NULL,
                              "no room for what it gives: %zu batches", state->count);
    }
    state->batches = batches;
    batches[state->count++] =
        (struct batch){.description = json_incref(description), .descriptors = *descriptors};
    return VIOS_OK;
}

/* One batch. `after` becomes the name behind which the next one begins, or NULL after the last. */
static int fetch_batch(enum io_kept_what what, const struct io_kept_way *way, json_t **after,
                       struct state *state, bool *answered, struct operation *operation)
{
    struct io_descriptors descriptors = {.count = 0};
    json_t *answer = NULL;
    json_t *request =
        json_pack("{s:s, s:s, s:O*}", "do", "give", "what", names[what], "after", *after);
    int status =
        way->exchange(way->context, request, NULL, &answer, &descriptors, answered, operation);
    json_decref(request);
    if (status != VIOS_OK) {
        return status;
    }
    json_t *description = json_object_get(answer, "description");
    json_t *next = json_object_get(answer, "next");
    if (!is_whole(what, description, descriptors.count) || (next && json_equal(next, *after))) {
        status = operation_fail(operation, VIOS_E_CORRUPT, "io", NULL,
                                "what it gives as its %s is not whole", names[what]);
    } else {
        status = append(state, description, &descriptors, operation);
    }
    if (status != VIOS_OK) {
        io_descriptors_close(&descriptors);
    } else if (state->count == 1) {
        state->revision = json_get_integer(answer, "revision");
    }
    json_decref(*after);
    *after = json_incref(next);
    json_decref(answer);
    return status;
}

int io_kept_fetch(struct io_kept *kept, enum io_kept_what what, const struct io_kept_way *way,
                  bool *answered, struct operation *operation)
{
    struct state fresh = {.revision = -1};
    json_t *after = NULL;
    int status;
    pthread_mutex_lock(&kept->lock);
    do {
        status = fetch_batch(what, way, &after, &fresh, answered, operation);
    } while (status == VIOS_OK && after);
    if (status == VIOS_OK) {
        struct state old = kept->states[what];
        pthread_mutex_lock(&kept->revision_lock);
        kept->states[what] = fresh;
        pthread_mutex_unlock(&kept->revision_lock);
        fresh = old;
    }
    state_clear(&fresh);
    pthread_mutex_unlock(&kept->lock);
    json_decref(after);
    return status;
}

bool io_kept_is_stale(struct io_kept *kept, enum io_kept_what what, const json_t *statistics)
{
    const json_t *revisions = json_object_get(statistics, "revisions");
    const json_t *revision = json_object_get(revisions, names[what]);
    pthread_mutex_lock(&kept->revision_lock);
    bool stale = kept->states[what].revision != json_integer_value(revision);
    pthread_mutex_unlock(&kept->revision_lock);
    return revision && stale;
}

/* --- handing it over --- */

static int take(struct io_kept *kept, enum io_kept_what what, const struct io_kept_way *way,
                struct operation *operation)
{
    const struct state *state = &kept->states[what];
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && i < state->count; i++) {
        bool answered;
        json_t *request = json_pack("{s:s, s:s, s:O}", "do", "take", "what", names[what],
                                    "description", state->batches[i].description);
        status = way->exchange(way->context, request, &state->batches[i].descriptors, NULL, NULL,
                               &answered, operation);
        json_decref(request);
    }
    return status;
}

int io_kept_hand_over(struct io_kept *kept, const struct io_kept_way *way,
                      struct operation *operation)
{
    static const enum io_kept_what order[] = {IO_KEPT_ARENA, IO_KEPT_PAGER, IO_KEPT_LISTENERS};
    int status = VIOS_OK;
    pthread_mutex_lock(&kept->lock);
    for (size_t i = 0; status == VIOS_OK && i < sizeof order / sizeof order[0]; i++) {
        status = take(kept, order[i], way, operation);
    }
    pthread_mutex_unlock(&kept->lock);
    return status;
}
