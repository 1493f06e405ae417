/*
 * callers_internal.h - what the files of the callers' worker share: callers.c (the whole, and its
 * limits), caller_service.c (what is said on a connection, and when) and caller_connection.c (its
 * bytes). All of it belongs to the worker's thread.
 *
 * A connection stands in two lists. By its life: how long it has been silent, checked, refused,
 * served or ending, those first that are so longest. And by what it waits for: its turn to be sent
 * something (ready), news (idle), the state (loading), older events (catching), or, in none of
 * these lists, its socket.
 *
 * What it costs: idle about 16 KiB, nearly all of it OpenSSL's; and while it takes less than it is
 * sent, three times CALLERS_TURN_BYTES (what we keep, what TLS keeps of it, and the same encrypted)
 * beside its socket's buffers (CALLERS_SOCKET_BYTES). Batches of older events are shared, and there
 * are CALLERS_BATCHES_MAX at most.
 */
#ifndef EVENT_CALLERS_INTERNAL_H
#define EVENT_CALLERS_INTERNAL_H

#include "base/state_machine.h"
#include "event/caller_catchup.h"
#include "event/caller_chain.h"
#include "event/caller_primary.h"
#include "event/caller_registry.h"
#include "event/caller_ring.h"
#include "event/caller_words.h"
#include "event/callers.h"
#include "net/worker.h"

#include <stdatomic.h>

#define CALLERS_TURN_BYTES 16384 /* a piece: one record of TLS */
#define CALLERS_TURN_PIECES 4    /* of these, while the socket takes them whole */
#define CALLERS_TURN_CALLERS 64  /* in one turn of the worker */
#define CALLERS_BEATS_MAX 512    /* in one tick */
#define CALLERS_TICK_MS 100
#define CALLERS_BATCHES_MAX 16      /* of older events, held by callers */
#define CALLERS_HOLD_MS 2000        /* one that others wait for, without reading on */
#define CALLERS_STATE_MS 1000       /* so old a state is still given to who comes new */
#define CALLERS_OLDER_WAIT_MS 60000 /* for older events that cannot be read now */
#define CALLERS_PRIMARY_MS 100      /* so long it is believed who is primary */

enum connection_state {
    CONNECTION_GREETING,  /* it has not said who it is */
    CONNECTION_CHECKING,  /* its record is read anew */
    CONNECTION_REFUSED,   /* it will be told so in a moment */
    CONNECTION_LOADING,   /* it is greeted, and gets the state first */
    CONNECTION_CATCHING,  /* what comes next for it is older than the ring */
    CONNECTION_FOLLOWING, /* what comes next for it is in the ring, or did not happen yet */
    CONNECTION_ENDING     /* the last line is on its way */
};

struct caller_connection {
    struct callers *callers;
    struct transport *transport;
    struct watch watch;
    struct task adopt;
    struct state_machine machine;
    struct chain life, work;
    int64_t since_ms;    /* in its place of the list by life */
    int64_t progress_ms; /* it took some bytes */
    int64_t waiting_ms;  /* it began to wait for older events */
    int64_t began_wall_ms;
    bool broken;     /* it is to be closed */
    bool more_input; /* there is some that epoll does not tell of */
    char address[CALLER_ADDRESS_SIZE];
    struct caller_said *hello; /* until it is greeted */
    uint64_t ticket;           /* of the check; 0: none */
    struct registered *registered;
    int64_t after;              /* all that fits up to this number was sent */
    int64_t behind;             /* events up to this number cannot be had */
    uint64_t place;             /* in the ring, when following */
    bool is_anew;               /* it goes on from the state, not from `after` */
    bool takes_known;           /* a state that others had is good enough */
    uint64_t state_number;      /* of the asking; 0: not asked */
    struct caller_state *state; /* being sent; NULL */
    size_t state_at;
    struct caller_batch *batch; /* being sent; NULL */
    size_t batch_at;
    char *line; /* the beginning of one that it says; NULL */
    size_t line_size;
    char *unsent; /* that the socket did not take; NULL */
    size_t unsent_start, unsent_size;
};

struct callers {
    struct callers_settings settings;
    struct node *node;
    struct worker *worker;
    atomic_bool poked, registry_changed;
    struct task poke;
    struct timer tick;
    struct caller_registry *registry;
    struct caller_catchup *catchup;
    struct caller_ring *ring;
    bool is_open, is_stopping;
    int64_t epoch, restores;
    size_t count, silent_count; /* connections */
    struct chain silent, checking, refused, served, ending;
    struct chain ready, idle, loading, catching;
    struct caller_state *state; /* the newest; NULL */
    int64_t state_taken_ms, state_retry_ms;
    bool older_asked;
    int64_t older_retry_ms;
    size_t batches; /* that connections hold */
    char primary[NAME_MAX_LENGTH + 1], primary_address[CALLER_ADDRESS_SIZE];
    int64_t primary_ms;               /* looked up */
    char output[CALLERS_TURN_BYTES];  /* lines on their way */
    char input[2 * CALLERS_LINE_MAX]; /* likewise */
};

#define owner_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* --- callers.c --- */

/* The worker looks at everything that may have changed; from any thread. */
void callers_poke(struct callers *callers);

/* --- caller_connection.c --- */

/* After the machine is started: watches, and reads what is there. */
void caller_connection_open(struct caller_connection *connection);
/* Frees it, at once. */
void caller_connection_close(struct caller_connection *connection);

/* Sends as much as the socket takes now and keeps the rest. */
void caller_connection_put(struct caller_connection *connection, const char *data, size_t size);
/* The same with a line of caller_words.h, which it frees. NULL: no memory, and it is broken. */
void caller_connection_put_line(struct caller_connection *connection, char *line);

/* It is its turn: it is sent the next piece, and takes its place where it waits for the next. May
 * close it. */
void caller_connection_turn(struct caller_connection *connection);

/* It shall have a turn. */
void caller_connection_queue(struct caller_connection *connection);

/* It is in this list by life, from now on. */
void caller_connection_live(struct caller_connection *connection, struct chain *list);

/* Waits for the right things of the socket. */
void caller_connection_rewatch(struct caller_connection *connection);

/* --- caller_service.c --- */

extern const struct state_row CONNECTION_STATES[];
extern const size_t CONNECTION_STATE_COUNT;

static inline enum connection_state
caller_connection_state(const struct caller_connection *connection)
{
    return (enum connection_state)connection->machine.state;
}

/* A line that it said. */
void service_line(struct caller_connection *connection, const char *line, size_t size);
/* A piece is due, and the socket has room: puts one, and returns the list in which to wait for the
 * next; NULL: none. */
struct chain *service_send(struct caller_connection *connection);

/* Its check may be done. */
void service_checked(struct caller_connection *connection);
/* Its time of being refused is over: it is told. */
void service_refuse(struct caller_connection *connection);
/* The state was asked for: here it is. */
void service_give_state(struct caller_connection *connection, struct caller_state *state);
/* Older events, if it is among them. */
void service_give_batch(struct caller_connection *connection, struct caller_batch *batch);
void service_drop_batch(struct caller_connection *connection);
/* It cannot have all: it starts again from the state. */
void service_resync(struct caller_connection *connection, const char *why);
/* Says why, then ends. */
void service_end(struct caller_connection *connection, int code, const char *message,
                 const char *hint);

#endif
