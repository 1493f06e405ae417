/*
 * client_flight.h - the requests of an NBD client, without any I/O: which wait, which are on their
 * way, and what of them has left.
 *
 * A request waits until one of the slots is free; the slot's number and a sequence make its cookie.
 * Those with a slot are in a list, oldest first: all have the same limit, so only the first can be
 * the next late one. `to_send` is the ring of slots whose bytes have not all left.
 */
#ifndef NBD_CLIENT_FLIGHT_H
#define NBD_CLIENT_FLIGHT_H

#include "nbd/client.h"

#include <sys/uio.h>

#define NBD_FLIGHT_SLOTS NBD_CLIENT_IN_FLIGHT

struct nbd_flight {
    struct nbd_client_request *slots[NBD_FLIGHT_SLOTS];
    uint8_t free_slots[NBD_FLIGHT_SLOTS];
    unsigned free_count;
    uint64_t sequence;
    struct nbd_client_request *waiting, *waiting_last;
    struct nbd_client_request *first, *last; /* with a slot */
    uint8_t to_send[NBD_FLIGHT_SLOTS];
    unsigned send_first, send_count;
    size_t sent; /* bytes of the first one in to_send */
};

void nbd_flight_init(struct nbd_flight *flight);

/* It waits. */
void nbd_flight_add(struct nbd_flight *flight, struct nbd_client_request *request);

/* Gives waiting requests their slots; they are late at `due_ms`. */
void nbd_flight_start(struct nbd_flight *flight, int64_t due_ms);

/* The request with this cookie whose bytes have all left, or NULL. */
struct nbd_client_request *nbd_flight_find(const struct nbd_flight *flight, uint64_t cookie);

/* Takes its slot away and calls `done`. */
void nbd_flight_finish(struct nbd_flight *flight, struct nbd_client_request *request, int error);

/* The same for all, those that wait too. */
void nbd_flight_fail(struct nbd_flight *flight, int error);

/* Up to `max` parts of what is to be sent; how many. */
int nbd_flight_gather(const struct nbd_flight *flight, struct iovec *parts, int max);

/* `done` bytes of it have left. */
void nbd_flight_sent(struct nbd_flight *flight, size_t done);

#endif
