/*
 * slot.c - the pool of a connection's requests, and of the buffers for their data.
 *
 * Both grow on first use up to their limits and are used again, the warmest first, so that a busy
 * connection allocates nothing. Buffers come in powers of two, aligned to pages (O_DIRECT wants
 * that); what is free beyond BUFFER_CACHE_MAX goes back to the system.
 */
#include "nbd/connection.h"

#include <assert.h>
#include <stdlib.h>

void slot_append(struct slot_queue *queue, struct slot *slot)
{
    slot->next = NULL;
    if (queue->last) {
        queue->last->next = slot;
    } else {
        queue->first = slot;
    }
    queue->last = slot;
}

struct slot *slot_pop(struct slot_queue *queue)
{
    struct slot *slot = queue->first;
    if (slot) {
        queue->first = slot->next;
        if (!queue->first) {
            queue->last = NULL;
        }
    }
    return slot;
}

static uint8_t class_of(uint32_t size)
{
    uint8_t class = 0;
    while ((NBD_BLOCK << class) < size) {
        class ++;
    }
    assert(class < BUFFER_CLASSES);
    return class;
}

static size_t class_size(unsigned class)
{
    return (size_t)NBD_BLOCK << class;
}

struct slot *slot_take(struct nbd_connection *connection)
{
    struct slot *slot = connection->free_slots;
    if (slot) {
        connection->free_slots = slot->next;
    } else if (connection->slots_used < NBD_REQUESTS_MAX) {
        slot = &connection->slots[connection->slots_used++];
    } else {
        return NULL;
    }
    connection->slots_busy++;
    slot->why = NULL;
    slot->remaining = 0;
    slot->has_buffer = false;
    slot->request = (struct nbd_request){
        .connection = connection, .export = connection->export, .holes = slot->holes};
    return slot;
}

/* False: over the limit for now, or no memory (then `why` says so). */
bool slot_take_buffer(struct nbd_connection *connection, struct slot *slot, uint32_t size)
{
    uint8_t class = class_of(size);
    if (connection->bytes_busy > 0 && connection->bytes_busy + class_size(class) > NBD_BYTES_MAX) {
        return false;
    }
    struct free_buffer *buffer = connection->buffers[class];
    if (buffer) {
        connection->buffers[class] = buffer->next;
        connection->buffers_size -= class_size(class);
    } else {
        buffer = aligned_alloc(NBD_BLOCK, class_size(class));
        if (!buffer) {
            slot->why = "no memory for the data";
            return false;
        }
    }
    connection->bytes_busy += class_size(class);
    slot->request.data = (uint8_t *)buffer;
    slot->buffer_class = class;
    slot->has_buffer = true;
    return true;
}

static void give_buffer_back(struct nbd_connection *connection, struct slot *slot)
{
    size_t size = class_size(slot->buffer_class);
    struct free_buffer *buffer = (struct free_buffer *)slot->request.data;
    connection->bytes_busy -= size;
    slot->has_buffer = false;
    if (connection->buffers_size + size > BUFFER_CACHE_MAX) {
        free(buffer);
        return;
    }
    buffer->next = connection->buffers[slot->buffer_class];
    connection->buffers[slot->buffer_class] = buffer;
    connection->buffers_size += size;
}

void slot_release(struct nbd_connection *connection, struct slot *slot)
{
    if (slot->has_buffer) {
        give_buffer_back(connection, slot);
    }
    slot->next = connection->free_slots;
    connection->free_slots = slot;
    connection->slots_busy--;
}

void slot_free_all(struct nbd_connection *connection)
{
    assert(connection->slots_busy == 0);
    for (unsigned class = 0; class < BUFFER_CLASSES; class ++) {
        struct free_buffer *buffer = connection->buffers[class];
        while (buffer) {
            struct free_buffer *next = buffer->next;
            free(buffer);
            buffer = next;
        }
    }
    free(connection->slots);
}
