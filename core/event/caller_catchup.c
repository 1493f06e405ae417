/* caller_catchup.c - see caller_catchup.h. */
#include "event/caller_catchup.h"

#include "base/thread.h"
#include "event/caller_words.h"

#include <stdlib.h>
#include <string.h>

/* What is asked, and then answered. */
struct question {
    bool asked, answered;
    uint64_t number;      /* of the state */
    int64_t after, floor; /* of older events */
    struct caller_state *state;
    struct caller_batch *batch;
    struct vios_error error;
};

struct lane {
    struct caller_catchup *catchup;
    void (*work)(struct caller_catchup *catchup, struct question *question);
    struct question question; /* under the lock */
    pthread_t thread;
    bool started;
};

struct caller_catchup {
    struct callers_settings settings;
    void (*answered)(void *context);
    void *context;
    struct cancel *cancel;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    bool stopping;
    uint64_t resets, numbers;
    struct lane state, older;
};

void caller_state_release(struct caller_state *state)
{
    if (state && --state->references == 0) {
        free(state->text);
        free(state);
    }
}

void caller_batch_release(struct caller_batch *batch)
{
    if (batch && --batch->references == 0) {
        for (size_t i = 0; i < batch->count; i++) {
            free(batch->posts[i]);
        }
        free(batch);
    }
}

static void forget(struct question *question)
{
    caller_state_release(question->state);
    caller_batch_release(question->batch);
    *question = (struct question){0};
}

/* --- the work --- */

static void look_at_state(struct caller_catchup *catchup, struct question *question)
{
    struct operation operation;
    json_t *json = NULL;
    int64_t as_of = 0;
    operation_start(&operation, CATCHUP_STATE_MS, catchup->cancel);
    int status = catchup->settings.state(catchup->settings.node, &json, &as_of, &operation);
    if (status != VIOS_OK) {
        question->error = operation.error;
        question->error.code = status;
        return;
    }
    struct caller_state *state = calloc(1, sizeof *state);
    char *text = caller_words_state(json, as_of);
    if (!state || !text) {
        free(state);
        free(text);
        error_no_memory(&question->error, "state");
        return;
    }
    *state =
        (struct caller_state){.references = 1, .as_of = as_of, .size = strlen(text), .text = text};
    question->state = state;
}

static void look_for_older(struct caller_catchup *catchup, struct question *question)
{
    struct operation operation;
    struct caller_batch *batch = calloc(1, sizeof *batch);
    if (!batch) {
        error_no_memory(&question->error, "events");
        return;
    }
    batch->references = 1;
    operation_start(&operation, CATCHUP_OLDER_MS, catchup->cancel);
    int status = catchup->settings.older(catchup->settings.node, question->after, batch->posts,
                                         &batch->count, &operation);
    if (status != VIOS_OK) {
        caller_batch_release(batch);
        question->error = operation.error;
        question->error.code = status;
        return;
    }
    batch->from = question->after;
    batch->through = batch->count > 0 ? batch->posts[batch->count - 1]->sequence : question->floor;
    question->batch = batch;
}

/* --- the threads --- */

static void *run(void *argument)
{
    struct lane *lane = argument;
    struct caller_catchup *catchup = lane->catchup;
    pthread_mutex_lock(&catchup->lock);
    while (!catchup->stopping) {
        if (!lane->question.asked || lane->question.answered) {
            pthread_cond_wait(&catchup->asked, &catchup->lock);
            continue;
        }
        uint64_t resets = catchup->resets;
        struct question question = lane->question;
        lane->question.asked = false;
        pthread_mutex_unlock(&catchup->lock);
        lane->work(catchup, &question);
        pthread_mutex_lock(&catchup->lock);
        if (resets != catchup->resets) {
            forget(&question);
            continue;
        }
        question.asked = lane->question.asked; /* again, meanwhile */
        question.answered = true;
        lane->question = question;
        pthread_mutex_unlock(&catchup->lock);
        catchup->answered(catchup->context);
        pthread_mutex_lock(&catchup->lock);
    }
    pthread_mutex_unlock(&catchup->lock);
    return NULL;
}

static bool start_lane(struct caller_catchup *catchup, struct lane *lane, const char *name,
                       void (*work)(struct caller_catchup *, struct question *))
{
    lane->catchup = catchup;
    lane->work = work;
    lane->started = thread_start(&lane->thread, name, run, lane) == 0;
    return lane->started;
}

int catchup_new(struct caller_catchup **out, const struct callers_settings *settings,
                void (*answered)(void *context), void *context, struct vios_error *error)
{
    struct caller_catchup *catchup = calloc(1, sizeof *catchup);
    *out = NULL;
    if (!catchup) {
        return error_no_memory(error, "callers");
    }
    catchup->settings = *settings;
    catchup->answered = answered;
    catchup->context = context;
    pthread_mutex_init(&catchup->lock, NULL);
    condition_init(&catchup->asked);
    catchup->cancel = cancel_new();
    if (!catchup->cancel || !start_lane(catchup, &catchup->state, "callers-state", look_at_state) ||
        !start_lane(catchup, &catchup->older, "callers-older", look_for_older)) {
        catchup_free(catchup);
        return error_set(error, VIOS_E_SYSTEM, "callers", NULL, "cannot start a thread");
    }
    *out = catchup;
    return VIOS_OK;
}

static void end_lane(struct lane *lane)
{
    if (lane->started) {
        pthread_join(lane->thread, NULL);
    }
    forget(&lane->question);
}

void catchup_free(struct caller_catchup *catchup)
{
    if (!catchup) {
        return;
    }
    cancel_trigger(catchup->cancel);
    pthread_mutex_lock(&catchup->lock);
    catchup->stopping = true;
    pthread_cond_broadcast(&catchup->asked);
    pthread_mutex_unlock(&catchup->lock);
    end_lane(&catchup->state);
    end_lane(&catchup->older);
    cancel_free(catchup->cancel);
    pthread_cond_destroy(&catchup->asked);
    pthread_mutex_destroy(&catchup->lock);
    free(catchup);
}

/* --- for the worker --- */

void catchup_reset(struct caller_catchup *catchup)
{
    pthread_mutex_lock(&catchup->lock);
    catchup->resets++;
    forget(&catchup->state.question);
    forget(&catchup->older.question);
    pthread_mutex_unlock(&catchup->lock);
}

uint64_t catchup_ask_state(struct caller_catchup *catchup)
{
    pthread_mutex_lock(&catchup->lock);
    struct question *question = &catchup->state.question;
    uint64_t number = question->asked ? catchup->numbers : ++catchup->numbers;
    question->asked = true;
    if (!question->answered) {
        question->number = number;
    }
    pthread_cond_broadcast(&catchup->asked);
    pthread_mutex_unlock(&catchup->lock);
    return number;
}

bool catchup_take_state(struct caller_catchup *catchup, struct caller_state **state,
                        uint64_t *number, struct vios_error *error)
{
    pthread_mutex_lock(&catchup->lock);
    struct question *question = &catchup->state.question;
    bool answered = question->answered;
    if (answered) {
        *state = question->state;
        *number = question->number;
        *error = question->error;
        *question = (struct question){.asked = question->asked, .number = catchup->numbers};
        pthread_cond_broadcast(&catchup->asked);
    }
    pthread_mutex_unlock(&catchup->lock);
    return answered;
}

void catchup_ask_older(struct caller_catchup *catchup, int64_t after, int64_t floor)
{
    pthread_mutex_lock(&catchup->lock);
    catchup->older.question = (struct question){.asked = true, .after = after, .floor = floor};
    pthread_cond_broadcast(&catchup->asked);
    pthread_mutex_unlock(&catchup->lock);
}

bool catchup_take_older(struct caller_catchup *catchup, struct caller_batch **batch, int64_t *after,
                        struct vios_error *error)
{
    pthread_mutex_lock(&catchup->lock);
    struct question *question = &catchup->older.question;
    bool answered = question->answered;
    if (answered) {
        *batch = question->batch;
        *after = question->after;
        *error = question->error;
        *question = (struct question){0};
    }
    pthread_mutex_unlock(&catchup->lock);
    return answered;
}
