/*
 * tasks.h - calls that run side by side, each on a thread of its own, and what they tell: one queue
 * for all of them, so that whoever started them waits in one place. No Lua in here; tasks_binding.c
 * is vios.tasks.
 *
 * A task that tells something waits until that was taken, and one that asks until it was answered:
 * so nothing piles up.
 */
#ifndef LUA_TASKS_H
#define LUA_TASKS_H

#include "lua/client.h"

#define TASKS_MAX 256 /* at once */
#define TASK_ANSWER_SIZE 256

struct tasks;

/* What a task does. The client is busy until the task is done; the texts are copied. */
struct task_request {
    struct client *client;
    const char *method;  /* NULL: `command` */
    json_t *parameters;  /* taken over, also on failure */
    const char *command; /* for the shell of the client's host */
    int64_t open_ms;     /* connecting may take */
    int64_t timeout_ms;  /* the call; OPERATION_NO_DEADLINE */
    bool wants_items;    /* they are told; else they are dropped */
    bool wants_progress;
};

enum task_news { TASK_DONE, TASK_ITEM, TASK_PROGRESS, TASK_ASK };

/* What was taken off the queue. */
struct task_told {
    int task;
    enum task_news news;
    json_t *value;             /* an item, progress, or the result of a call; owned */
    struct ssh_output *output; /* the result of a command; owned: ssh_output_free(), free() */
    struct vios_error error;   /* of a task that is done; VIOS_OK */
    const char *prompt;        /* of one that asks, until it is answered */
    bool echo;
};

struct tasks *tasks_new(void);

/* Cancels what runs, waits for its end, and frees all. */
void tasks_free(struct tasks *tasks);

/* The number of the task; negative with `error`: too many, no thread. */
int tasks_start(struct tasks *tasks, const struct task_request *request, struct vios_error *error);

/* How many have not been told to be done. */
int tasks_count(const struct tasks *tasks);

/* All of them end soon, as cancelled. */
void tasks_cancel(struct tasks *tasks);

/* Takes the next news; false when there is none now: wait for tasks_descriptor(). */
bool tasks_take(struct tasks *tasks, struct task_told *told);

/* Readable when there may be news. */
int tasks_descriptor(const struct tasks *tasks);

/* Answers a task that asks; NULL: nobody does. */
void tasks_answer(struct tasks *tasks, int task, const char *text);

#endif
