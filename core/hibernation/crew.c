/*
 * crew.c - see crew.h. The pieces are a ring: those from `released` to `submitted` are on their
 * way, those up to `begun` a thread has or had.
 */
#include "hibernation/crew.h"

#include "base/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECES_A_WORKER 8 /* so many that one who has to wait for a processor stops nobody */
#define PIECES_MAX 32     /* of 2 MiB each */
#define PIECES_MORE 2     /* one is being filled, one is being taken */

struct crew {
    struct crew_work work;
    struct crew_piece *pieces;
    bool *done; /* for each piece */
    size_t count;
    pthread_t threads[CREW_WORKERS_MAX];
    struct hibernation_coder *coders[CREW_WORKERS_MAX];
    unsigned thread_count;
    unsigned coder_taken;

    pthread_mutex_t lock; /* of `done` and all below */
    pthread_cond_t submitted_one, done_one, released_one;
    uint64_t submitted, begun, released;
    bool closed, failed;
    int status;
    struct vios_error error;
};

/* --- a thread --- */

static void work_on(struct crew *crew, struct hibernation_coder *coder)
{
    while (!crew->failed && (crew->begun < crew->submitted || !crew->closed)) {
        if (crew->begun == crew->submitted) {
            pthread_cond_wait(&crew->submitted_one, &crew->lock);
            continue;
        }
        size_t at = crew->begun++ % crew->count;
        struct crew_piece *piece = &crew->pieces[at];
        pthread_mutex_unlock(&crew->lock);
        piece->status = crew->work.run(crew->work.context, coder, piece, &piece->error);
        pthread_mutex_lock(&crew->lock);
        crew->done[at] = true;
        pthread_cond_signal(&crew->done_one);
    }
}

static void *worker(void *argument)
{
    struct crew *crew = argument;
    pthread_mutex_lock(&crew->lock);
    work_on(crew, crew->coders[crew->coder_taken++]);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* --- its life --- */

static unsigned choose_workers(unsigned wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = wanted ? wanted : processors > 0 ? (unsigned)processors : 1;
    return count < CREW_WORKERS_MAX ? count : CREW_WORKERS_MAX;
}

static int make_pieces(struct crew *crew, unsigned workers, struct vios_error *error)
{
    size_t busy = (size_t)workers * PIECES_A_WORKER;
    crew->count = (busy < PIECES_MAX ? busy : PIECES_MAX) + PIECES_MORE;
    crew->pieces = calloc(crew->count, sizeof *crew->pieces);
    crew->done = calloc(crew->count, sizeof *crew->done);
    bool good = crew->pieces && crew->done;
    for (size_t i = 0; good && i < crew->count; i++) {
        good = hibernation_piece_make(&crew->pieces[i].piece);
    }
    int status = good ? VIOS_OK : error_no_memory(error, NULL);
    for (unsigned i = 0; status == VIOS_OK && i < workers; i++) {
        status = hibernation_coder_new(&crew->coders[i], crew->work.seal, error);
    }
    return status;
}

static int start_threads(struct crew *crew, unsigned workers, struct vios_error *error)
{
    while (crew->thread_count < workers &&
           thread_start(&crew->threads[crew->thread_count], "hibernation", worker, crew) == 0) {
        crew->thread_count++;
    }
    return crew->thread_count
               ? VIOS_OK
               : error_set(error, VIOS_E_SYSTEM, NULL, NULL, "cannot start a thread");
}

int crew_start(struct crew **crew, const struct crew_work *work, struct vios_error *error)
{
    struct crew *made = calloc(1, sizeof *made);
    unsigned workers = choose_workers(work->workers);
    *crew = NULL;
    if (!made) {
        return error_no_memory(error, NULL);
    }
    made->work = *work;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->submitted_one, NULL);
    pthread_cond_init(&made->done_one, NULL);
    pthread_cond_init(&made->released_one, NULL);
    int status = make_pieces(made, workers, error);
    if (status == VIOS_OK) {
        status = start_threads(made, workers, error);
    }
    if (status < 0) {
        crew_stop(made);
        return status;
    }
    *crew = made;
    return VIOS_OK;
}

void crew_stop(struct crew *crew)
{
    struct vios_error error;
    if (!crew) {
        return;
    }
    crew_fail(crew, error_set(&error, VIOS_E_CANCELLED, NULL, NULL, "given up"), &error);
    for (unsigned i = 0; i < crew->thread_count; i++) {
        pthread_join(crew->threads[i], NULL);
    }
    for (size_t i = 0; crew->pieces && i < crew->count; i++) {
        hibernation_piece_free(&crew->pieces[i].piece);
    }
    for (size_t i = 0; i < CREW_WORKERS_MAX; i++) {
        hibernation_coder_free(crew->coders[i]);
    }
    pthread_cond_destroy(&crew->submitted_one);
    pthread_cond_destroy(&crew->done_one);
    pthread_cond_destroy(&crew->released_one);
    pthread_mutex_destroy(&crew->lock);
    free(crew->pieces);
    free(crew->done);
    free(crew);
}

/* --- pieces --- */

struct crew_piece *crew_claim(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    while (!crew->failed && crew->submitted - crew->released == crew->count) {
        pthread_cond_wait(&crew->released_one, &crew->lock);
    }
    struct crew_piece *piece = crew->failed ? NULL : &crew->pieces[crew->submitted % crew->count];
    pthread_mutex_unlock(&crew->lock);
    return piece;
}

bool crew_has_free(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool free_one = crew->failed || crew->submitted - crew->released < crew->count;
    pthread_mutex_unlock(&crew->lock);
    return free_one;
}

void crew_submit(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->submitted++;
    pthread_cond_signal(&crew->submitted_one);
    pthread_mutex_unlock(&crew->lock);
}

void crew_close(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->closed = true;
    pthread_cond_broadcast(&crew->submitted_one);
    pthread_cond_broadcast(&crew->done_one);
    pthread_mutex_unlock(&crew->lock);
}

struct crew_piece *crew_take(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    size_t at = crew->released % crew->count;
    while (!crew->failed && !(crew->closed && crew->released == crew->submitted) &&
           !crew->done[at]) {
        pthread_cond_wait(&crew->done_one, &crew->lock);
    }
    bool there = !crew->failed && crew->done[at];
    pthread_mutex_unlock(&crew->lock);
    return there ? &crew->pieces[at] : NULL;
}

void crew_release(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    size_t at = crew->released % crew->count;
    assert(crew->done[at]);
    crew->done[at] = false;
    crew->released++;
    pthread_cond_signal(&crew->released_one);
    pthread_mutex_unlock(&crew->lock);
}

void crew_fail(struct crew *crew, int status, const struct vios_error *error)
{
    pthread_mutex_lock(&crew->lock);
    if (!crew->failed) {
        crew->failed = true;
        crew->status = status;
        crew->error = *error;
    }
    pthread_cond_broadcast(&crew->submitted_one);
    pthread_cond_broadcast(&crew->done_one);
    pthread_cond_broadcast(&crew->released_one);
    pthread_mutex_unlock(&crew->lock);
}

int crew_status(struct crew *crew, struct vios_error *error)
{
    pthread_mutex_lock(&crew->lock);
    int status = crew->status;
    if (status < 0 && error) {
        *error = crew->error;
    }
    pthread_mutex_unlock(&crew->lock);
    return status;
}
