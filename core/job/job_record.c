/* job_record.c - the record of a job to JSON and back. */
#include "job/job_record.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct state_row job_state_rows[JOB_STATES] = {
    [JOB_RUNNING] = {"running", STATE_BIT(JOB_UNDOING) | STATE_BIT(JOB_DONE)},
    [JOB_UNDOING] = {"undoing", STATE_BIT(JOB_FAILED) | STATE_BIT(JOB_CANCELLED)},
    [JOB_DONE] = {"done", 0},
    [JOB_FAILED] = {"failed", 0},
    [JOB_CANCELLED] = {"cancelled", 0},
};

char *job_record_key(const char *id, char key[JOB_KEY_SIZE])
{
    snprintf(key, JOB_KEY_SIZE, "/job/%s", id);
    return key;
}

long job_record_number(const char *id)
{
    char *end;
    if (strncmp(id, "j-", 2) != 0 || id[2] < '1' || id[2] > '9') {
        return -1;
    }
    long number = strtol(id + 2, &end, 10);
    return *end == '\0' ? number : -1;
}

static bool find_state(const char *name, enum job_state *state)
{
    for (unsigned i = 0; i < JOB_STATES; i++) {
        if (strcmp(job_state_rows[i].name, name) == 0) {
            *state = (enum job_state)i;
            return true;
        }
    }
    return false;
}

static void decode_error(const json_t *json, struct vios_error *error)
{
    const char *code = NULL;
    const char *object = NULL;
    const char *message = NULL;
    const char *hint = NULL;
    if (json_is_object(json) &&
        json_unpack((json_t *)json, "{s:s, s?s, s:s, s?s}", "code", &code, "object", &object,
                    "message", &message, "hint", &hint) == 0) {
        error_set(error, error_code(code), object, hint, "%s", message);
    }
}

static json_t *encode_error(const struct vios_error *error)
{
    if (error->code == VIOS_OK) {
        return json_null();
    }
    return json_pack("{s:s, s:s, s:s, s:s}", "code", error_name(error->code), "object",
                     error->object, "message", error->message, "hint", error->hint);
}

/* A reference to the object in `json`, NULL when it is none. */
static json_t *object_of(json_t *json)
{
    return json_is_object(json) ? json_incref(json) : NULL;
}

static bool copy_texts(struct job_record *record, const char *const texts[5])
{
    char **const places[5] = {&record->kind, &record->object, &record->operation, &record->node,
                              &record->actor};
    for (int i = 0; i < 5; i++) {
        *places[i] = texts[i] ? strdup(texts[i]) : NULL;
        if (texts[i] && !*places[i]) {
            return false;
        }
    }
    return true;
}

static bool decode_object(json_t *json, struct job_record *record)
{
    const char *texts[5] = {NULL};
    const char *state = NULL;
    const char *created = NULL;
    const char *changed = NULL;
    json_int_t incarnation = 0;
    json_int_t step = 0;
    json_int_t writes = 0;
    int cancel = 0;
    if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:b, s:s, s:s}", "kind",
                    &texts[0], "object", &texts[1], "operation", &texts[2], "node", &texts[3],
                    "incarnation", &incarnation, "state", &state, "step", &step, "writes", &writes,
                    "cancel", &cancel, "created", &created, "changed", &changed) != 0 ||
        step < 0 || !find_state(state, &record->state)) {
        return false;
    }
    texts[4] = json_get_text(json, "actor");
    record->incarnation = incarnation;
    record->step = (size_t)step;
    record->writes = writes;
    record->cancel = cancel;
    record->progress = object_of(json_object_get(json, "progress"));
    record->data = object_of(json_object_get(json, "state_data"));
    record->result = object_of(json_object_get(json, "result"));
    decode_error(json_object_get(json, "error"), &record->error);
    snprintf(record->created, sizeof record->created, "%s", created);
    snprintf(record->changed, sizeof record->changed, "%s", changed);
    return copy_texts(record, texts);
}

int job_record_decode(const struct store_value *value, struct job_record *record,
                      struct vios_error *error)
{
    memset(record, 0, sizeof *record);
    json_t *json = json_loads(value->json, 0, NULL);
    bool good = strncmp(value->key, "/job/", 5) == 0 && job_record_number(value->key + 5) > 0 &&
                json && decode_object(json, record);
    json_decref(json);
    if (!good) {
        job_record_clear(record);
        return error_set(error, VIOS_E_CORRUPT, value->key, NULL, "not the record of a job");
    }
    snprintf(record->id, sizeof record->id, "%s", value->key + 5);
    return VIOS_OK;
}

static json_t *common(const struct job_record *record)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:O?, s:o, s:s, s:s}", "kind", record->kind,
                     "object", record->object, "node", record->node, "state",
                     job_state_rows[record->state].name, "step", (json_int_t)record->step,
                     "progress", record->progress, "error", encode_error(&record->error), "created",
                     record->created, "changed", record->changed);
}

static json_t *with_rest(json_t *json, const struct job_record *record)
{
    json_t *rest = json_pack("{s:s, s:s?, s:I, s:b, s:O?}", "operation", record->operation, "actor",
                             record->actor, "incarnation", (json_int_t)record->incarnation,
                             "cancel", (int)record->cancel, "result", record->result);
    if (!json || !rest || json_object_update(json, rest) != 0) {
        json_decref(json);
        json = NULL;
    }
    json_decref(rest);
    return json;
}

char *job_record_encode(const struct job_record *record)
{
    json_t *json = with_rest(common(record), record);
    json_t *rest = json_pack("{s:i, s:I, s:O?}", "v", 1, "writes", (json_int_t)record->writes,
                             "state_data", record->data);
    char *text =
        json && rest && json_object_update(json, rest) == 0 ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    json_decref(rest);
    return text;
}

json_t *job_record_describe(const struct job_record *record, bool whole)
{
    json_t *json = common(record);
    if (whole) {
        json = with_rest(json, record);
    }
    if (json && json_object_set_new(json, "id", json_string(record->id)) != 0) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

bool job_record_finished(const struct job_record *record)
{
    return record->state != JOB_RUNNING && record->state != JOB_UNDOING;
}

void job_record_clear(struct job_record *record)
{
    free(record->kind);
    free(record->object);
    free(record->operation);
    free(record->actor);
    free(record->node);
    json_decref(record->progress);
    json_decref(record->data);
    json_decref(record->result);
    memset(record, 0, sizeof *record);
}
