/* resolve.c - see resolve.h. */
#include "ssh/resolve.h"

#include "base/thread.h"

#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct resolve {
    char *target;
    int answered; /* eventfd */
    int number;   /* what getaddrinfo() returned, when it has */
    atomic_int holders;
};

static void release(struct resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->holders, 1) == 1) {
        if (resolve->answered >= 0) {
            close(resolve->answered);
        }
        free(resolve->target);
        free(resolve);
    }
}

static void *run(void *context)
{
    struct resolve *resolve = context;
    struct addrinfo *found = NULL, wanted = {.ai_socktype = SOCK_STREAM};
    resolve->number = getaddrinfo(resolve->target, NULL, &wanted, &found);
    if (found) {
        freeaddrinfo(found);
    }
    eventfd_write(resolve->answered, 1);
    release(resolve);
    return NULL;
}

/* NULL: no memory, descriptors or threads. */
static struct resolve *start(const char *target)
{
    struct resolve *resolve = calloc(1, sizeof *resolve);
    pthread_t thread;
    if (!resolve) {
        return NULL;
    }
    atomic_init(&resolve->holders, 2);
    resolve->target = strdup(target);
    resolve->answered = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!resolve->target || resolve->answered < 0 ||
        thread_start(&thread, "resolve", run, resolve) != 0) {
        release(resolve); /* the thread's */
        release(resolve);
        return NULL;
    }
    pthread_detach(thread);
    return resolve;
}

static int judge(int number, const char *name, struct vios_error *error)
{
    if (number == 0) {
        return VIOS_OK;
    }
    if (number == EAI_NONAME || number == EAI_NODATA) {
        return error_set(error, VIOS_E_NOT_FOUND, name, NULL,
                         "it is no member, and no host of this name is known");
    }
    return error_set(error, VIOS_E_UNREACHABLE, name, NULL, "its name cannot be looked up: %s",
                     gai_strerror(number));
}

int resolve_check(const char *target, const char *name, struct operation *operation)
{
    struct resolve *resolve = start(target);
    if (!resolve) {
        return operation_no_memory(operation, name);
    }
    int status = operation_wait(operation, resolve->answered, POLLIN);
    if (status == VIOS_OK) {
        status = judge(resolve->number, name, &operation->error);
    } else if (status == VIOS_E_TIMEOUT) {
        operation_fail(operation, status, name, "give a longer --timeout",
                       "its name is not looked up in time");
    }
    release(resolve);
    return status;
}
