/* Proves: the methods of job and db answer what the shell shows, and refuse what they must. */
#include "node/job_methods.h"

#include "base/file.h"
#include "node/node.h"
#include "tests/tap.h"

#include <semaphore.h>

#define PATIENCE_MS 20000

static char address[160];
static struct node node;
static sem_t entered, released;
static int progress_done;

static int run_gate(struct job *job)
{
    job_progress(job, 5, 10, "pages");
    sem_post(&entered);
    return operation_wait(&job->operation, -1, 0);
}

static int run_quick(struct job *job)
{
    job->result = json_pack("{s:i}", "made", 7);
    return VIOS_OK;
}

static const struct job_step GATE_STEPS[] = {{"gate", run_gate, NULL}};
static const struct job_kind GATE = {"test.gate", GATE_STEPS, 1, 1};
static const struct job_step QUICK_STEPS[] = {{"quick", run_quick, NULL}};
static const struct job_kind QUICK = {"test.quick", QUICK_STEPS, 1, 1};
static const struct job_kind *const KINDS[] = {&GATE, &QUICK};

static char told[JOB_ID_SIZE];

static void note_progress(struct call *call, const char *job, int64_t done, int64_t total,
                          const char *unit)
{
    (void)call;
    if (total == 0) { /* only which job it is */
        snprintf(told, sizeof told, "%s", job);
        return;
    }
    is_text(job, "j-1");
    is_int(total, 10);
    is_text(unit, "pages");
    progress_done = (int)done;
    sem_post(&released);
}

static const struct call_operations OPERATIONS = {.progress = note_progress};

static const struct method *row_of(const struct method_group *group, const char *name)
{
    for (size_t i = 0; i < group->count; i++) {
        if (strcmp(group->methods[i].name, name) == 0) {
            return &group->methods[i];
        }
    }
    printf("# no method %s\n", name);
    exit(1);
}

static struct vios_error last_error;

/* Calls `name` with one text parameter; the result is the caller's. */
static int call(const struct method_group *group, const char *name, const char *parameter,
                const char *value, json_t **result)
{
    struct operation operation;
    struct call call = {.node = &node, .operations = &OPERATIONS};
    json_t *parameters = parameter ? json_pack("{s:s}", parameter, value) : json_object();
    operation_start(&operation, PATIENCE_MS, NULL);
    *result = NULL;
    int status = row_of(group, name)->call(&call, parameters, result, &operation);
    last_error = operation.error;
    json_decref(parameters);
    return status;
}

static const char *text_at(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void submit(const struct job_kind *kind, char id[JOB_ID_SIZE])
{
    struct operation operation;
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(job_submit(node.jobs, kind, "lpar \"web1\"", NULL, NULL, id, &operation), VIOS_OK);
}

static void a_job_is_waited_for_with_progress_and_cancelled(void)
{
    char id[JOB_ID_SIZE];
    json_t *result;
    submit(&GATE, id);
    sem_wait(&entered);
    is_int(call(&job_methods, "job.cancel", "job", id, &result), VIOS_OK);
    is_text(text_at(result, "id"), id);
    json_decref(result);
    is_int(call(&job_methods, "job.wait", "job", id, &result), VIOS_E_CANCELLED);
    is_int(progress_done, 5);
    is_text(told, id);
    json_decref(result);
    is_int(call(&job_methods, "job.cancel", "job", id, &result), VIOS_E_CONFLICT);
}

static void a_finished_job_is_shown(void)
{
    char id[JOB_ID_SIZE];
    json_t *result;
    submit(&QUICK, id);
    is_int(call(&job_methods, "job.wait", "job", id, &result), VIOS_OK);
    is_text(text_at(result, "state"), "done");
    is_text(text_at(result, "kind"), "test.quick");
    is_int(json_integer_value(json_object_get(json_object_get(result, "result"), "made")), 7);
    json_decref(result);
    is_int(call(&job_methods, "job.list", NULL, NULL, &result), VIOS_OK);
    is_int(json_array_size(result), 2);
    const char *fields[] = {"id", "kind", "object", "state", "progress", "node"};
    for (size_t i = 0; i < 6; i++) {
        ok(json_object_get(json_array_get(result, 1), fields[i]) != NULL, "has %s", fields[i]);
    }
    json_decref(result);
}

static void an_unknown_job_is_named(void)
{
    json_t *result;
    told[0] = '\0';
    is_int(call(&job_methods, "job.show", "job", "j-77", &result), VIOS_E_NOT_FOUND);
    is_text(last_error.object, "job \"j-77\"");
    is_int(call(&job_methods, "job.wait", "job", "web1", &result), VIOS_E_NOT_FOUND);
    is_text(told, "");
}

static void put(const char *key, const char *json)
{
    struct store *store;
    struct operation operation;
    struct store_change change = {key, json};
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(node_store(&node, &store, &operation), VIOS_OK);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
    node_store_return(&node, store);
}

static void the_status_counts_what_is_there(void)
{
    json_t *result;
    put("/lpar/web1", "{\"v\":1}");
    put("/lpar/web2", "{\"v\":1}");
    is_int(call(&db_methods, "db.status", NULL, NULL, &result), VIOS_OK);
    is_text(text_at(result, "address"), address);
    is_text(text_at(result, "state"), "OK");
    is_int(json_integer_value(json_object_get(json_object_get(result, "kinds"), "lpar")), 2);
    ok(json_integer_value(json_object_get(result, "size_bytes")) > 0, "has a size");
    json_decref(result);
    is_int(call(&db_methods, "db.check", NULL, NULL, &result), VIOS_OK);
    is_text(text_at(result, "state"), "OK");
    json_decref(result);
}

static void a_backup_goes_to_a_whole_path(void)
{
    char path[160];
    json_t *result;
    snprintf(path, sizeof path, "%s/backup.db", tap_folder());
    is_int(call(&db_methods, "db.backup", "path", "backup.db", &result), VIOS_E_USAGE);
    is_int(call(&db_methods, "db.backup", "path", path, &result), VIOS_OK);
    is_text(text_at(result, "path"), path);
    json_decref(result);
    is_int(call(&db_methods, "db.backup", "path", path, &result), VIOS_E_EXISTS);
}

static void records_are_shown_but_no_secrets(void)
{
    json_t *result;
    put("/lpar/web1", "{\"v\":1,\"name\":\"web1\"}");
    put("/token/x", "{\"v\":1,\"hash\":\"secret\"}");
    is_int(call(&db_methods, "db.get", "key", "/lpar/web1", &result), VIOS_OK);
    is_int(json_array_size(result), 1);
    const json_t *record = json_array_get(result, 0);
    is_text(text_at(record, "key"), "/lpar/web1");
    is_text(text_at(json_object_get(record, "value"), "name"), "web1");
    json_decref(result);
    is_int(call(&db_methods, "db.get", "key", "/lpar/", &result), VIOS_OK);
    is_int(json_array_size(result), 2);
    json_decref(result);
    is_int(call(&db_methods, "db.get", "key", "/", &result), VIOS_OK);
    char *text = json_dumps(result, JSON_COMPACT);
    ok(strstr(text, "web1") && !strstr(text, "secret"), "%s", text);
    free(text);
    json_decref(result);
    is_int(call(&db_methods, "db.get", "key", "/token/x", &result), VIOS_E_DENIED);
    is_int(call(&db_methods, "db.get", "key", "/lpar/none", &result), VIOS_E_NOT_FOUND);
    is_int(call(&db_methods, "db.get", "key", "a b", &result), VIOS_E_INVALID);
}

int main(void)
{
    struct store *store;
    struct operation operation;
    sem_init(&entered, 0, 0);
    sem_init(&released, 0, 0);
    snprintf(address, sizeof address, "sqlite:%s/vios.db", tap_folder());
    operation_start(&operation, PATIENCE_MS, NULL);
    is_int(store_open(&store, address, true, &operation), VIOS_OK);
    store_close(store);
    node.name = "n1";
    node.stores = store_pool_new(address);
    is_int(jobs_start(&node.jobs, address, "n1", 1, KINDS, 2, &node, &operation.error), VIOS_OK);
    RUN(a_job_is_waited_for_with_progress_and_cancelled);
    RUN(a_finished_job_is_shown);
    RUN(an_unknown_job_is_named);
    RUN(the_status_counts_what_is_there);
    RUN(a_backup_goes_to_a_whole_path);
    RUN(records_are_shown_but_no_secrets);
    jobs_stop(node.jobs);
    store_pool_free(node.stores);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
