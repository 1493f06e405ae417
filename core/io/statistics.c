/* statistics.c - asks each export on its home worker, all of one worker in one task. */
#include "io/statistics.h"

#include "io/handover.h"

#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

struct survey {
    struct task task;
    struct worker *worker;
    struct nbd_export **exports;
    json_t **objects; /* as many */
    size_t count;
    sem_t *done;
};

static json_int_t load(const _Atomic uint64_t *value)
{
    return (json_int_t)atomic_load_explicit(value, memory_order_relaxed);
}

static json_t *percentiles_us(const struct histogram *histogram)
{
    return json_pack("{s:f, s:f, s:f}", "p50", (double)histogram_percentile(histogram, 500) / 1000,
                     "p99", (double)histogram_percentile(histogram, 990) / 1000, "p999",
                     (double)histogram_percentile(histogram, 999) / 1000);
}

static const char *state_name(enum nbd_export_state state)
{
    static const char *const names[] = {"open", "standby", "draining", "dropped"};
    return names[state];
}

static json_t *describe(struct nbd_export *export)
{
    const struct nbd_counters *counters = export->counters;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I}", "name", export->name, "lpar", export->lpar, "serving",
        state_name(export->state), "size_bytes", (json_int_t) export->size, "connections",
        (json_int_t) export->connections, "in_flight", (json_int_t) export->in_flight);
    if (object && counters) {
        json_t *counts =
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "reads", load(&counters->reads),
                      "writes", load(&counters->writes), "flushes", load(&counters->flushes),
                      "trims", load(&counters->trims), "zeroes", load(&counters->zeroes), "errors",
                      load(&counters->errors), "read_bytes", load(&counters->read_bytes),
                      "written_bytes", load(&counters->written_bytes));
        json_object_update(object, counts);
        json_decref(counts);
        json_object_set_new(object, "read_us", percentiles_us(&counters->read_ns));
        json_object_set_new(object, "write_us", percentiles_us(&counters->write_ns));
    }
    if (object && export->operations->statistics) {
        export->operations->statistics(export, object);
    }
    return object;
}

static void survey_there(struct task *task)
{
    struct survey *survey = (struct survey *)task;
    for (size_t i = 0; i < survey->count; i++) {
        if (survey->exports[i]->home == survey->worker) {
            survey->objects[i] = describe(survey->exports[i]);
        }
    }
    sem_post(survey->done);
}

static json_t *describe_exports(struct io *io)
{
    size_t count;
    struct nbd_export **all = exports_all(io->exports, &count);
    json_t **objects = calloc(count + 1, sizeof(json_t *));
    struct survey surveys[IO_WORKERS_MAX];
    json_t *list = json_array();
    sem_t done;
    sem_init(&done, 0, 0);
    for (size_t i = 0; all && objects && i < io->worker_count; i++) {
        surveys[i] =
            (struct survey){{.run = survey_there}, io->workers[i], all, objects, count, &done};
        worker_post(io->workers[i], &surveys[i].task);
    }
    for (size_t i = 0; all && objects && i < io->worker_count;) {
        i += sem_wait(&done) == 0;
    }
    for (size_t i = 0; all && i < count; i++) {
        exports_release(all[i]);
        if (objects && objects[i]) {
            json_array_append_new(list, objects[i]);
        }
    }
    sem_destroy(&done);
    free(objects);
    free(all);
    return list;
}

static json_t *describe_gate(struct io *io)
{
    struct gate_state state;
    gate_state(io->gate, &state);
    return json_pack("{s:s, s:I, s:I, s:i}", "state", state.open ? "open" : "closed", "until_stop",
                     (json_int_t)state.until_stop_ms, "until_kill", (json_int_t)state.until_kill_ms,
                     "gated_in_flight", (int)state.in_flight);
}

json_t *statistics_make(struct io *io)
{
    json_t *memory = io->memory ? page_memory_statistics(io->memory) : NULL;
    if (!memory) {
        memory = json_pack("{s:I, s:i, s:i, s:I, s:b, s:s, s:[]}", "size_bytes",
                           (json_int_t)io->page_memory_bytes, "granted_bytes", 0, "used_bytes", 0,
                           "free_bytes", (json_int_t)io->page_memory_bytes, "locked", 0, "why",
                           "not needed yet", "entries");
    }
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "pid", (int)getpid(), "gate",
                     describe_gate(io), "page_memory", memory, "exports", describe_exports(io),
                     "guests", guests_describe(io->guests), "peers", peers_describe(io->peers),
                     "revisions", handover_revisions(io), "connections",
                     (int)nbd_server_connections(io->server));
}
