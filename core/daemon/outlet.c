/* outlet.c - see outlet.h. */
#include "daemon/outlet.h"

#include "net/rpc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct outlet {
    pthread_mutex_t lock;
    unsigned references;
    bool closed;
    struct outlet_chunk *first, **last;
    size_t size; /* put and not yet sent */
    void (*wake)(void *context);
    void *context;
};

struct outlet *outlet_new(void (*wake)(void *context), void *context)
{
    struct outlet *outlet = calloc(1, sizeof *outlet);
    if (outlet) {
        pthread_mutex_init(&outlet->lock, NULL);
        outlet->references = 1;
        outlet->last = &outlet->first;
        outlet->wake = wake;
        outlet->context = context;
    }
    return outlet;
}

struct outlet *outlet_reference(struct outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    outlet->references++;
    pthread_mutex_unlock(&outlet->lock);
    return outlet;
}

static void free_chunks(struct outlet_chunk *chunk)
{
    while (chunk) {
        struct outlet_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void outlet_release(struct outlet *outlet)
{
    if (!outlet) {
        return;
    }
    pthread_mutex_lock(&outlet->lock);
    bool last = --outlet->references == 0;
    pthread_mutex_unlock(&outlet->lock);
    if (last) {
        free_chunks(outlet->first);
        pthread_mutex_destroy(&outlet->lock);
        free(outlet);
    }
}

static struct outlet_chunk *make_chunk(const char *line, size_t line_size, const void *data,
                                       size_t size)
{
    struct outlet_chunk *chunk = malloc(sizeof *chunk + line_size + size);
    if (chunk) {
        chunk->next = NULL;
        chunk->size = line_size + size;
        memcpy(chunk->data, line, line_size);
        if (size > 0) {
            memcpy(chunk->data + line_size, data, size);
        }
    }
    return chunk;
}

bool outlet_put(struct outlet *outlet, json_t *message, const void *data, size_t size)
{
    size_t line_size = 0;
    char *line = message ? rpc_format(message, &line_size) : NULL;
    json_decref(message);
    struct outlet_chunk *chunk =
        line && line_size <= RPC_LINE_MAX ? make_chunk(line, line_size, data, size) : NULL;
    free(line);
    if (!chunk) {
        return false;
    }
    pthread_mutex_lock(&outlet->lock);
    bool taken = !outlet->closed;
    if (taken) {
        *outlet->last = chunk;
        outlet->last = &chunk->next;
        outlet->size += chunk->size;
        outlet->wake(outlet->context);
    }
    pthread_mutex_unlock(&outlet->lock);
    if (!taken) {
        free(chunk);
    }
    return taken;
}

bool outlet_full(struct outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    bool full = !outlet->closed && outlet->size > OUTLET_FULL;
    pthread_mutex_unlock(&outlet->lock);
    return full;
}

void outlet_wake(struct outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    if (!outlet->closed) {
        outlet->wake(outlet->context);
    }
    pthread_mutex_unlock(&outlet->lock);
}

struct outlet_chunk *outlet_take(struct outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    struct outlet_chunk *chunks = outlet->first;
    outlet->first = NULL;
    outlet->last = &outlet->first;
    pthread_mutex_unlock(&outlet->lock);
    return chunks;
}

void outlet_sent(struct outlet *outlet, size_t size)
{
    pthread_mutex_lock(&outlet->lock);
    outlet->size -= size;
    pthread_mutex_unlock(&outlet->lock);
}

bool outlet_empty(struct outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    bool empty = outlet->size == 0;
    pthread_mutex_unlock(&outlet->lock);
    return empty;
}

void outlet_close(struct outlet *outlet)
{
    pthread_mutex_lock(&outlet->lock);
    outlet->closed = true;
    pthread_mutex_unlock(&outlet->lock);
}
