/* tasks.c - see tasks.h. */
#include "lua/tasks.h"

#include "base/clock.h"
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct task {
    struct tasks *tasks;
    struct task_request request;
    char *method, *command;
    pthread_t thread;
    int number; /* 0: the slot is free */
    /* under the lock: */
    bool tells;    /* `told` waits in the queue, or is being answered */
    bool in_queue; /* it does the former */
    int64_t since; /* its place in the queue */
    struct task_told told;
    bool has_answer; /* `answer` is one */
    char answer[TASK_ANSWER_SIZE];
};

struct tasks {
    struct task *slots[TASKS_MAX];
    struct cancel *cancel; /* of all */
    int descriptor;        /* eventfd: something is in the queue */
    int count, last_number;
    pthread_mutex_t lock;
    pthread_cond_t taken;
    int64_t queued; /* how many ever were */
    bool closing;   /* nobody takes any more */
};

/* --- on the thread of a task --- */

/* Queues `told` and waits until it was taken, and answered. */
static void tell(struct task *task, const struct task_told *told)
{
    struct tasks *tasks = task->tasks;
    pthread_mutex_lock(&tasks->lock);
    task->told = *told;
    task->told.task = task->number;
    task->tells = task->in_queue = true;
    task->since = ++tasks->queued;
    (void)!write(tasks->descriptor, &(uint64_t){1}, sizeof(uint64_t));
    while (task->tells && !tasks->closing) {
        pthread_cond_wait(&tasks->taken, &tasks->lock);
    }
    bool left = task->in_queue; /* closing: nobody took it */
    task->in_queue = false;
    pthread_mutex_unlock(&tasks->lock);
    if (left) {
        json_decref(told->value);
    }
}

static bool ask(void *context, const char *prompt, bool echo, char *text, size_t size)
{
    struct task *task = context;
    task->has_answer = false;
    tell(task, &(struct task_told){.news = TASK_ASK, .prompt = prompt, .echo = echo});
    bool answered = task->has_answer && strlen(task->answer) < size;
    if (answered) {
        memcpy(text, task->answer, strlen(task->answer) + 1);
    }
    explicit_bzero(task->answer, sizeof task->answer);
    return answered;
}

static bool on_item(void *context, const json_t *value)
{
    struct task *task = context;
    if (task->request.wants_items) {
        tell(task, &(struct task_told){.news = TASK_ITEM, .value = json_deep_copy(value)});
    }
    return !task->tasks->closing;
}

static void on_progress(void *context, const json_t *parameters)
{
    struct task *task = context;
    if (task->request.wants_progress) {
        tell(task, &(struct task_told){.news = TASK_PROGRESS, .value = json_deep_copy(parameters)});
    }
}

static int call(struct task *task, struct task_told *told, struct operation *operation)
{
    struct rpc_handlers handlers = {
        .progress = on_progress, .item = on_item, .input_fd = -1, .context = task};
    json_t *parameters = task->request.parameters;
    task->request.parameters = NULL;
    return rpc_client_call(task->request.client->rpc, task->method, parameters, &handlers,
                           &told->value, operation);
}

static int command(struct task *task, struct task_told *told, struct operation *operation)
{
    told->output = calloc(1, sizeof *told->output);
    if (!told->output) {
        return operation_no_memory(operation, NULL);
    }
    const struct client *client = task->request.client;
    int status = client->ssh->command_run(client->host, task->command, told->output, operation);
    if (status != VIOS_OK) {
        free(told->output);
        told->output = NULL;
    }
    return status;
}

static int64_t sooner(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* SIGINT and its nudges are for the thread that runs Lua. All else must not be held back: a jump
 * host's command inherits this, and libssh ends it with SIGTERM and waits. */
static void hold_interrupts(void)
{
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGALRM);
    pthread_sigmask(SIG_SETMASK, &held, NULL);
}

static void *run_task(void *context)
{
    struct task *task = context;
    const struct task_request *request = &task->request;
    struct ssh_questions questions = {ask, task};
    struct task_told told = {.news = TASK_DONE};
    struct operation operation;
    hold_interrupts();
    operation_start(&operation, sooner(request->open_ms, request->timeout_ms), task->tasks->cancel);
    int status = task->method ? client_open(request->client, &questions, &operation)
                              : client_connect(request->client, &questions, &operation);
    if (status == VIOS_OK) {
        operation_start(&operation, request->timeout_ms, task->tasks->cancel);
        status = (task->method ? call : command)(task, &told, &operation);
    }
    if (status != VIOS_OK) {
        told.error = operation.error;
    }
    tell(task, &told);
    return NULL;
}

/* --- for who started them --- */

struct tasks *tasks_new(void)
{
    struct tasks *tasks = calloc(1, sizeof *tasks);
    if (!tasks) {
        return NULL;
    }
    tasks->cancel = cancel_new();
    tasks->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&tasks->lock, NULL);
    condition_init(&tasks->taken);
    if (!tasks->cancel || tasks->descriptor < 0) {
        tasks_free(tasks);
        return NULL;
    }
    return tasks;
}

/* Its thread has ended, or will at once. */
static void task_free(struct task *task)
{
    pthread_join(task->thread, NULL);
    task->request.client->busy = false;
    json_decref(task->request.parameters);
    free(task->method);
    free(task->command);
    free(task);
}

void tasks_free(struct tasks *tasks)
{
    if (!tasks) {
        return;
    }
    cancel_trigger(tasks->cancel);
    pthread_mutex_lock(&tasks->lock);
    tasks->closing = true;
    pthread_cond_broadcast(&tasks->taken);
    pthread_mutex_unlock(&tasks->lock);
    for (int i = 0; i < TASKS_MAX; i++) {
        if (tasks->slots[i]) {
            task_free(tasks->slots[i]);
        }
    }
    if (tasks->descriptor >= 0) {
        close(tasks->descriptor);
    }
    cancel_free(tasks->cancel);
    pthread_mutex_destroy(&tasks->lock);
    pthread_cond_destroy(&tasks->taken);
    free(tasks);
}

static struct task *task_new(struct tasks *tasks, const struct task_request *request)
{
    struct task *task = calloc(1, sizeof *task);
    if (!task) {
        return NULL;
    }
    task->tasks = tasks;
    task->request = *request;
    task->number = ++tasks->last_number;
    task->method = request->method ? strdup(request->method) : NULL;
    task->command = request->command ? strdup(request->command) : NULL;
    return task;
}

int tasks_start(struct tasks *tasks, const struct task_request *request, struct vios_error *error)
{
    int slot = 0;
    while (slot < TASKS_MAX && tasks->slots[slot]) {
        slot++;
    }
    struct task *task = slot < TASKS_MAX ? task_new(tasks, request) : NULL;
    if (!task) {
        json_decref(request->parameters);
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no more than %d calls at once",
                         TASKS_MAX);
    }
    request->client->busy = true;
    if (thread_start(&task->thread, "task", run_task, task) != 0) {
        request->client->busy = false;
        json_decref(request->parameters);
        free(task->method);
        free(task->command);
        free(task);
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no thread for a call");
    }
    tasks->slots[slot] = task;
    tasks->count++;
    return task->number;
}

int tasks_count(const struct tasks *tasks)
{
    return tasks->count;
}

void tasks_cancel(struct tasks *tasks)
{
    cancel_trigger(tasks->cancel);
}

int tasks_descriptor(const struct tasks *tasks)
{
    return tasks->descriptor;
}

/* The slot of the one that waits longest; -1: none does. */
static int first_in_queue(const struct tasks *tasks)
{
    int first = -1;
    for (int i = 0; i < TASKS_MAX; i++) {
        const struct task *task = tasks->slots[i];
        if (task && task->in_queue && (first < 0 || task->since < tasks->slots[first]->since)) {
            first = i;
        }
    }
    return first;
}

bool tasks_take(struct tasks *tasks, struct task_told *told)
{
    uint64_t ignored;
    pthread_mutex_lock(&tasks->lock);
    int slot = first_in_queue(tasks);
    struct task *task = slot >= 0 ? tasks->slots[slot] : NULL;
    if (task) {
        *told = task->told;
        task->in_queue = false;
        task->tells = told->news == TASK_ASK; /* until it is answered */
        pthread_cond_broadcast(&tasks->taken);
    } else {
        (void)!read(tasks->descriptor, &ignored, sizeof ignored);
    }
    pthread_mutex_unlock(&tasks->lock);
    if (task && told->news == TASK_DONE) {
        tasks->slots[slot] = NULL;
        tasks->count--;
        task_free(task);
    }
    return task != NULL;
}

void tasks_answer(struct tasks *tasks, int number, const char *text)
{
    pthread_mutex_lock(&tasks->lock);
    for (int i = 0; i < TASKS_MAX; i++) {
        struct task *task = tasks->slots[i];
        if (task && task->number == number && task->tells && task->told.news == TASK_ASK) {
            task->has_answer = text && strlen(text) < sizeof task->answer;
            if (task->has_answer) {
                memcpy(task->answer, text, strlen(text) + 1);
            }
            task->tells = false;
        }
    }
    pthread_cond_broadcast(&tasks->taken);
    pthread_mutex_unlock(&tasks->lock);
}
