/*
 * connection.h - inside the NBD server: one connection, its phases, its buffers.
 *
 * connection.c owns its life and its socket; negotiation.c, securing.c and transmission.c consume
 * what was read; reply.c makes the replies and sends them. All on the connection's worker.
 */
#ifndef NBD_CONNECTION_H
#define NBD_CONNECTION_H

#include "base/state_machine.h"
#include "nbd/protocol.h"
#include "nbd/server.h"
#include "net/tls.h"

#include <pthread.h>

#define CONNECTION_INPUT_SIZE (128u * 1024)
#define CONNECTION_OUTPUT_MAX (4u << 20) /* negotiation: a list of all exports */
#define REPLY_CHUNKS_MAX 16              /* data and hole runs of one READ */
#define REPLY_EXTENTS_MAX 60
#define REPLY_HEADERS_SIZE                                                                         \
    (REPLY_CHUNKS_MAX * (sizeof(struct nbd_wire_chunk) + sizeof(uint64_t) + sizeof(uint32_t)))
#define HOLE_WORDS ((NBD_REQUEST_MAX / NBD_BLOCK + 1 + 63) / 64)

enum connection_phase {
    PHASE_GREETING,     /* the client's flags are awaited */
    PHASE_OPTIONS,      /* haggling */
    PHASE_SECURING,     /* STARTTLS was acknowledged: the handshake of TLS */
    PHASE_MOVING,       /* on its way to the export's home worker */
    PHASE_TRANSMISSION, /* requests and replies */
    PHASE_CLOSING       /* the socket is closed; requests are still with the back end */
};

/* A request and its reply; lives in its connection's pool. */
struct slot {
    struct nbd_request request; /* first: the back end hands this back */
    uint64_t holes[HOLE_WORDS];
    uint64_t cookie;
    uint64_t remaining; /* of a long TRIM or WRITE_ZEROES, behind the part submitted */
    uint16_t flags;     /* as on the wire */
    uint8_t buffer_class;
    bool has_buffer;
    int64_t started_ns;
    const char *why; /* text of an error, static; may be NULL */
    struct slot *next;
    size_t reply_size, reply_sent;
    int part_count;
    struct iovec parts[2 * REPLY_CHUNKS_MAX + 2];
    uint8_t headers[REPLY_HEADERS_SIZE];
};

struct free_buffer { /* its own first bytes */
    struct free_buffer *next;
};

struct slot_queue {
    struct slot *first, *last;
};

#define BUFFER_CLASSES 11 /* 4 KiB, 8 KiB, ... 4 MiB */
#define BUFFER_CACHE_MAX (1u << 20)

struct nbd_server {
    const struct nbd_server_operations *operations;
    void *context;
    void (*refused)(void *context, const struct vios_error *why);
    void *refused_context;
    _Atomic unsigned connections;
    pthread_mutex_t lock; /* of the list of connections with TLS */
    struct nbd_connection *secure;
};

struct nbd_connection {
    struct nbd_server *server;
    struct transport *transport; /* NULL once closed */
    struct tls_context *tls;     /* it must begin TLS; NULL: it cannot */
    bool secure;                 /* it has, and is in the server's list */
    bool refused;                /* it was told that the peer did not get in */
    struct nbd_connection *secure_next, *secure_previous;
    struct worker *worker;
    struct watch watch;
    struct timer timer; /* the handshake's limit */
    struct task task;   /* start, move */
    struct task turn;   /* deferred: what a batch gathered */
    bool turn_deferred;
    char identity[NBD_IDENTITY_SIZE];
    struct state_machine phase;

    uint8_t *input;
    size_t input_start, input_end;
    uint64_t skip; /* bytes to read over */

    uint8_t *output; /* negotiation's bytes, sent before anything else */
    size_t output_size, output_sent, output_capacity;

    bool structured, no_zeroes;
    unsigned options;
    char *meta_export; /* base:allocation was set for it; NULL: not */
    bool meta_chosen;  /* and it is the export served */

    struct nbd_export *export;              /* held */
    struct nbd_connection *next, *previous; /* of the export's */
    struct slot *slots, *free_slots;
    unsigned slots_used, slots_busy;
    size_t bytes_busy;
    struct slot *receiving; /* a WRITE whose payload is not complete */
    uint32_t received;
    struct slot_queue again;   /* long requests to be continued */
    struct slot_queue sending; /* replies, in order */
    bool stalled;              /* at a limit: not read */
    struct free_buffer *buffers[BUFFER_CLASSES];
    size_t buffers_size; /* of the free ones */
};

/* --- connection.c --- */
void connection_close(struct nbd_connection *connection);
void connection_defer(struct nbd_connection *connection);
bool connection_is_open(const struct nbd_connection *connection);
size_t connection_available(const struct nbd_connection *connection);
/* Reads over what is to be skipped; true when nothing of it is left. */
bool connection_skip(struct nbd_connection *connection);
/* Appends to `output`; false: no memory or over the limit. */
bool connection_put(struct nbd_connection *connection, const void *data, size_t size);
/* Goes to the home of the export, which the caller holds for it, at the end of this turn. */
void connection_move(struct nbd_connection *connection, struct nbd_export *export);

/* The server's operations, with its context and this connection's identity. */
struct nbd_export *server_find(struct nbd_connection *connection, const char *name);
void server_release(struct nbd_connection *connection, struct nbd_export *export);
void server_list(struct nbd_connection *connection,
                 void (*one)(void *cookie, const struct nbd_export *export));

/* --- negotiation.c: consumes input; false when it can go no further --- */
bool negotiation_greet(struct nbd_connection *connection);
bool negotiation_step(struct nbd_connection *connection);

/* --- securing.c --- */

/* The STARTTLS option. */
bool securing_start(struct nbd_connection *connection, uint32_t *refusal, const char **why);
/* A step of the handshake of TLS; true when negotiation begins anew. */
bool securing_step(struct nbd_connection *connection);
/* Tells whoever wants to know that the peer did not get in. */
void securing_refused(struct nbd_connection *connection, const struct vios_error *why);
/* It is no longer in the server's list, and its socket may be closed. */
void securing_end(struct nbd_connection *connection);

/* --- transmission.c --- */
bool transmission_start(struct nbd_connection *connection);
void transmission_consume(struct nbd_connection *connection);
/* Whether there is a use for more input: not while the export holds a request. */
bool transmission_wants(const struct nbd_connection *connection);
void transmission_continue(struct nbd_connection *connection);
void transmission_end(struct nbd_connection *connection);
/* Where the next bytes are best read to, and how many: a payload's own place when it is large. */
uint8_t *transmission_target(struct nbd_connection *connection, size_t *size);
void transmission_received(struct nbd_connection *connection, size_t size);

/* --- slot.c --- */
struct slot *slot_take(struct nbd_connection *connection);
bool slot_take_buffer(struct nbd_connection *connection, struct slot *slot, uint32_t size);
void slot_release(struct nbd_connection *connection, struct slot *slot);
void slot_free_all(struct nbd_connection *connection);
void slot_append(struct slot_queue *queue, struct slot *slot);
struct slot *slot_pop(struct slot_queue *queue);

/* --- reply.c --- */
void reply_queue(struct nbd_connection *connection, struct slot *slot);
/* Sends what it can; false when the connection broke. */
bool reply_send(struct nbd_connection *connection);
uint16_t reply_export_flags(const struct nbd_connection *connection,
                            const struct nbd_export *export);

#endif
