/* client_flight.c - see the header. */
#include "nbd/client_flight.h"

#include "nbd/client_wire.h"

#include <assert.h>

#define SLOTS NBD_FLIGHT_SLOTS
#define COOKIE_SHIFT 8 /* above the slot */

_Static_assert(SLOTS < 1 << COOKIE_SHIFT, "a slot fits its bits");

static unsigned slot_of(uint64_t cookie)
{
    return cookie & ((1u << COOKIE_SHIFT) - 1);
}

static size_t payload_size(const struct nbd_client_request *request)
{
    return request->command == NBD_WRITE ? request->length : 0;
}

void nbd_flight_init(struct nbd_flight *flight)
{
    *flight = (struct nbd_flight){0};
    for (uint8_t i = 0; i < SLOTS; i++) {
        flight->free_slots[flight->free_count++] = i;
    }
}

static void append(struct nbd_flight *flight, struct nbd_client_request *request)
{
    request->next = NULL;
    request->previous = flight->last;
    if (flight->last) {
        flight->last->next = request;
    } else {
        flight->first = request;
    }
    flight->last = request;
}

static void take_out(struct nbd_flight *flight, struct nbd_client_request *request)
{
    if (request->previous) {
        request->previous->next = request->next;
    } else {
        flight->first = request->next;
    }
    if (request->next) {
        request->next->previous = request->previous;
    } else {
        flight->last = request->previous;
    }
}

void nbd_flight_add(struct nbd_flight *flight, struct nbd_client_request *request)
{
    request->next = NULL;
    if (flight->waiting) {
        flight->waiting_last->next = request;
    } else {
        flight->waiting = request;
    }
    flight->waiting_last = request;
}

void nbd_flight_start(struct nbd_flight *flight, int64_t due_ms)
{
    while (flight->waiting && flight->free_count > 0) {
        struct nbd_client_request *request = flight->waiting;
        uint8_t slot = flight->free_slots[--flight->free_count];
        flight->waiting = request->next;
        flight->slots[slot] = request;
        request->cookie = ++flight->sequence << COOKIE_SHIFT | slot;
        request->received = 0;
        request->error = 0;
        request->sent = false;
        request->due_ms = due_ms;
        nbd_request_format(request->header, request, request->cookie);
        append(flight, request);
        flight->to_send[(flight->send_first + flight->send_count++) % SLOTS] = slot;
    }
}

struct nbd_client_request *nbd_flight_find(const struct nbd_flight *flight, uint64_t cookie)
{
    unsigned slot = slot_of(cookie);
    struct nbd_client_request *request = slot < SLOTS ? flight->slots[slot] : NULL;
    return request && request->cookie == cookie && request->sent ? request : NULL;
}

void nbd_flight_finish(struct nbd_flight *flight, struct nbd_client_request *request, int error)
{
    uint8_t slot = (uint8_t)slot_of(request->cookie);
    flight->slots[slot] = NULL;
    flight->free_slots[flight->free_count++] = slot;
    take_out(flight, request);
    request->done(request, error);
}

void nbd_flight_fail(struct nbd_flight *flight, int error)
{
    struct nbd_client_request *request;
    flight->send_count = 0;
    while ((request = flight->first)) {
        nbd_flight_finish(flight, request, error);
    }
    while ((request = flight->waiting)) {
        flight->waiting = request->next;
        request->done(request, error);
    }
}

/* --- sending --- */

int nbd_flight_gather(const struct nbd_flight *flight, struct iovec *parts, int max)
{
    int count = 0;
    size_t skip = flight->sent;
    for (unsigned i = 0; i < flight->send_count && count + 2 <= max; i++) {
        struct nbd_client_request *request =
            flight->slots[flight->to_send[(flight->send_first + i) % SLOTS]];
        size_t head = sizeof request->header, body = payload_size(request);
        if (skip < head) {
            parts[count++] = (struct iovec){request->header + skip, head - skip};
        }
        size_t from = skip > head ? skip - head : 0;
        if (body > from) {
            parts[count++] = (struct iovec){request->data + from, body - from};
        }
        skip = 0;
    }
    return count;
}

void nbd_flight_sent(struct nbd_flight *flight, size_t done)
{
    flight->sent += done;
    while (flight->send_count > 0) {
        struct nbd_client_request *request = flight->slots[flight->to_send[flight->send_first]];
        size_t whole = sizeof request->header + payload_size(request);
        if (flight->sent < whole) {
            return;
        }
        flight->sent -= whole;
        request->sent = true;
        flight->send_first = (flight->send_first + 1) % SLOTS;
        flight->send_count--;
    }
    assert(flight->sent == 0);
}
