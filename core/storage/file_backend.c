/*
 * file_backend.c - opening files, and requests on their way: home worker -> pool -> home worker.
 *
 * A request of a gated file is parked on its home worker while the gate is closed, before it is
 * submitted and again before its answer. The write itself enters the gate on the pool's thread,
 * right before pwrite; found closed there, it comes back and is parked like the others. Once the
 * export is dropped nothing is parked any more, and what was ends: a node that was fenced drops its
 * exports before its gate opens again, and nothing of before may be written then.
 */
#include "storage/file_backend.h"

#include "base/clock.h"
#include "storage/file_io.h"
#include "storage/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_NAP_MS 20

/* A request on its way; cached by its file. */
struct file_job {
    struct pool_job pool; /* first */
    struct task done;
    struct file_backend *file;
    struct nbd_request *request;
    int error;
    bool refused; /* the gate was closed: nothing was done */
    struct file_job *next;
};

struct job_queue {
    struct file_job *first, **end;
};

struct file_backend {
    struct nbd_export export; /* first */
    struct file_pool *pool;
    struct gate *gate; /* NULL: not gated */
    struct gate_waiter waiter;
    int fd;
    bool direct;
    char why[64];            /* not direct though asked */
    struct job_queue unsent; /* parked before they were submitted */
    struct job_queue unsaid; /* parked before their answer */
    struct file_job *free_jobs;
    bool closing; /* `closed` is called when the gate has let go of the waiter */
    void (*closed)(struct nbd_export *export);
};

static void queue_append(struct job_queue *queue, struct file_job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static struct file_job *queue_take_all(struct job_queue *queue)
{
    struct file_job *all = queue->first;
    queue->first = NULL;
    queue->end = &queue->first;
    return all;
}

/* --- the answer --- */

static void finish(struct file_job *job)
{
    struct file_backend *file = job->file;
    struct nbd_request *request = job->request;
    int error = job->error;
    job->next = file->free_jobs;
    file->free_jobs = job;
    nbd_request_done(request, error);
}

static bool is_dropped(const struct file_backend *file)
{
    return file->export.state == EXPORT_DROPPED;
}

static void abandon(struct file_job *job)
{
    job->error = ESHUTDOWN;
    finish(job);
}

static void park(struct job_queue *queue, struct file_job *job)
{
    queue_append(queue, job);
    gate_wait(job->file->gate, &job->file->waiter);
}

static bool changes(const struct nbd_request *request)
{
    return request->command == NBD_WRITE || request->command == NBD_TRIM ||
           request->command == NBD_WRITE_ZEROES;
}

/* On the home worker, after the pool. */
static void came_back(struct task *task)
{
    struct file_job *job = (struct file_job *)((char *)task - offsetof(struct file_job, done));
    if (!job->refused) {
        freeze_point("answering", job->file->gate && changes(job->request) ? job->request : NULL);
    }
    if (job->refused && is_dropped(job->file)) {
        abandon(job);
    } else if (job->refused) {
        park(&job->file->unsent, job);
    } else if (!is_dropped(job->file) && job->file->gate && !gate_may_answer(job->file->gate)) {
        park(&job->file->unsaid, job);
    } else {
        finish(job);
    }
}

/* --- the work, on a thread of the pool --- */

static void work(struct pool_job *pool_job)
{
    struct file_job *job = (struct file_job *)pool_job;
    struct file_backend *file = job->file;
    bool entered = file->gate && changes(job->request);
    job->refused = entered && !gate_enter(file->gate);
    if (!job->refused) {
        freeze_point("entered", entered ? job->request : NULL);
        job->error = file_io_run(file->fd, job->request);
        freeze_point("written", entered ? job->request : NULL);
        if (entered) {
            gate_leave(file->gate);
        }
    }
    worker_post(file->export.home, &job->done);
}

/* --- submitting --- */

static void send_job(struct file_job *job)
{
    if (is_dropped(job->file)) {
        abandon(job);
    } else if (job->file->gate && !gate_is_open(job->file->gate)) {
        park(&job->file->unsent, job);
    } else {
        file_pool_add(job->file->pool, &job->pool);
    }
}

static void file_submit(struct nbd_export *export, struct nbd_request *request)
{
    struct file_backend *file = export->backend;
    struct file_job *job = file->free_jobs;
    if (job) {
        file->free_jobs = job->next;
    } else {
        job = calloc(1, sizeof *job);
        if (!job) {
            nbd_request_done(request, ENOMEM);
            return;
        }
        job->pool.run = work;
        job->done.run = came_back;
        job->file = file;
    }
    job->request = request;
    job->error = 0;
    send_job(job);
}

/* Those that are parked; each finds anew what may be done with it. */
static void let_on(struct file_backend *file)
{
    struct file_job *unsaid = queue_take_all(&file->unsaid);
    struct file_job *unsent = queue_take_all(&file->unsent);
    while (unsaid) {
        struct file_job *next = unsaid->next;
        came_back(&unsaid->done);
        unsaid = next;
    }
    while (unsent) {
        struct file_job *next = unsent->next;
        send_job(unsent);
        unsent = next;
    }
}

static void file_dropped(struct nbd_export *export)
{
    let_on(export->backend);
}

/* --- the end --- */

static void destroy(struct file_backend *file)
{
    while (file->free_jobs) {
        struct file_job *next = file->free_jobs->next;
        free(file->free_jobs);
        file->free_jobs = next;
    }
    if (file->fd >= 0) {
        close(file->fd); /* and the lock with it */
    }
    free(file);
}

static void end(struct file_backend *file)
{
    if (file->closed) {
        file->closed(&file->export);
    }
    destroy(file);
}

static void file_close(struct nbd_export *export, void (*closed)(struct nbd_export *))
{
    struct file_backend *file = export->backend;
    file->closing = true;
    file->closed = closed;
    if (!file->gate || gate_unwait(file->gate, &file->waiter)) {
        end(file);
    }
}

/* The gate has opened (it may have closed again). */
static void gate_opened(struct task *task)
{
    struct file_backend *file =
        (struct file_backend *)((char *)task - offsetof(struct file_backend, waiter.task));
    gate_waiter_called(file->gate, &file->waiter);
    if (file->closing) {
        end(file);
    } else {
        let_on(file);
    }
}

static void file_statistics(struct nbd_export *export, void *json_object)
{
    struct file_backend *file = export->backend;
    json_t *object = json_object;
    json_object_set_new(object, "kind", json_string("file"));
    json_object_set_new(object, "direct", json_boolean(file->direct));
    json_object_set_new(object, "gated", json_boolean(file->gate != NULL));
    if (file->why[0]) {
        json_object_set_new(object, "why", json_string(file->why));
    }
}

static uint64_t whole_blocks(int fd, uint32_t block)
{
    off_t size = lseek(fd, 0, SEEK_END);
    return size > 0 ? (uint64_t)size / block * block : 0;
}

static int file_measure(struct nbd_export *export)
{
    struct file_backend *file = export->backend;
    uint64_t size = whole_blocks(file->fd, export->minimum_block);
    if (size < export->size) {
        return EINVAL;
    }
    export->size = size;
    return 0;
}

static const struct nbd_backend_operations FILE_OPERATIONS = {
    .measure = file_measure,
    .submit = file_submit,
    .dropped = file_dropped,
    .close = file_close,
    .statistics = file_statistics,
};

/* --- opening --- */

static int open_path(struct file_backend *file, const struct file_configuration *configuration,
                     struct vios_error *error)
{
    int flags = (configuration->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    if (configuration->direct) {
        file->fd = open(configuration->path, flags | O_DIRECT);
        file->direct = file->fd >= 0;
        if (file->fd < 0 && errno == EINVAL) {
            snprintf(file->why, sizeof file->why, "the file system has no O_DIRECT");
        }
    }
    if (!file->direct) {
        file->fd = open(configuration->path, flags);
    }
    return file->fd >= 0 ? VIOS_OK : error_set_errno(error, configuration->path, "cannot open");
}

/* A descriptor that came from elsewhere is made direct, or not, in place. */
static int use_descriptor(struct file_backend *file, const struct file_configuration *configuration,
                          struct vios_error *error)
{
    int flags = fcntl(configuration->fd, F_GETFL);
    if (flags < 0) {
        return error_set_errno(error, configuration->path, "fcntl");
    }
    file->fd = configuration->fd;
    if (configuration->direct) {
        file->direct = fcntl(file->fd, F_SETFL, flags | O_DIRECT) == 0;
        snprintf(file->why, sizeof file->why, "%s",
                 file->direct ? "" : "the file system has no O_DIRECT");
    }
    return VIOS_OK;
}

/* A gated file is shared, and some file systems share locks: one that a frozen node still has is no
 * reason to stay out, for the gate keeps that node away. It is waited for all the same, as a
 * process of this node that is just ending may have it. */
static int lock_file(const struct file_backend *file,
                     const struct file_configuration *configuration, struct vios_error *error)
{
    int kind = configuration->read_only ? LOCK_SH : LOCK_EX;
    int64_t deadline_ms = clock_now_ms() + FILE_LOCK_WAIT_MS;
    while (flock(file->fd, kind | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return error_set_errno(error, configuration->path, "cannot lock");
        }
        bool late = clock_now_ms() > deadline_ms;
        if (configuration->gated && (late || configuration->shared)) {
            return VIOS_OK;
        }
        if (late) {
            return error_set(error, VIOS_E_LOCKED, configuration->path,
                             "stop whoever uses the file", "another process has it locked");
        }
        struct timespec nap = {.tv_nsec = LOCK_NAP_MS * 1000000};
        nanosleep(&nap, NULL);
    }
    return VIOS_OK;
}

static int measure(struct file_backend *file, const struct file_configuration *configuration,
                   struct vios_error *error)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0) {
        return error_set_errno(error, configuration->path, "fstat");
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return error_set(error, VIOS_E_INVALID, configuration->path, NULL,
                         "is neither a file nor a block device");
    }
    uint32_t block = file->direct ? file_io_alignment(file->fd) : 1;
    file->export.minimum_block = block;
    file->export.size = whole_blocks(file->fd, block);
    if (file->export.size == 0) {
        return error_set(error, VIOS_E_INVALID, configuration->path, NULL,
                         "the file holds not even one block");
    }
    return VIOS_OK;
}

static struct file_backend *file_new(const struct file_configuration *configuration,
                                     struct file_pool *pool, struct gate *gate, struct worker *home)
{
    struct file_backend *file = calloc(1, sizeof *file);
    if (!file) {
        return NULL;
    }
    struct nbd_export *export = &file->export;
    snprintf(export->name, sizeof export->name, "%s", configuration->name);
    snprintf(export->lpar, sizeof export->lpar, "%s", configuration->lpar);
    export->read_only = configuration->read_only;
    export->multi_connection = true; /* fdatasync covers what every connection wrote */
    export->operations = &FILE_OPERATIONS;
    export->home = home;
    export->backend = file;
    file->pool = pool;
    file->gate = configuration->gated ? gate : NULL;
    file->waiter.task.run = gate_opened;
    file->waiter.worker = home;
    file->fd = -1;
    queue_take_all(&file->unsent);
    queue_take_all(&file->unsaid);
    return file;
}

int file_backend_open(struct nbd_export **out, const struct file_configuration *configuration,
                      struct file_pool *pool, struct gate *gate, struct worker *home,
                      struct vios_error *error)
{
    struct file_backend *file = file_new(configuration, pool, gate, home);
    if (!file) {
        return error_set(error, VIOS_E_NO_SPACE, NULL, NULL, "no memory for an export");
    }
    int status = configuration->fd >= 0 ? use_descriptor(file, configuration, error)
                                        : open_path(file, configuration, error);
    if (status == VIOS_OK) {
        status = lock_file(file, configuration, error);
    }
    if (status == VIOS_OK) {
        status = measure(file, configuration, error);
    }
    if (status != VIOS_OK) {
        if (configuration->fd >= 0) {
            file->fd = -1; /* stays the caller's */
        }
        destroy(file);
        return status;
    }
    *out = &file->export;
    return VIOS_OK;
}
