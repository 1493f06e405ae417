/*
 * rpc.h - JSON-RPC 2.0 lines (CONTRACTS "RPC"): framing for both sides, and the blocking
 * client that the shell and other daemons use.
 *
 * A line is one JSON object, at most RPC_LINE_MAX bytes. A "bytes" notification is followed
 * by `count` raw bytes. Credit flows both ways: who sends items or "bytes" may send
 * RPC_CREDIT_START of them (together), and as many more as rpc.more says.
 *
 * An answer that is an array and too long for a line comes in parts: notifications "part" {"id",
 * "value"}, each with some elements, and then the answer with the rest. rpc_client_call() gives the
 * whole array.
 *
 * A daemon that calls another one for its own caller adds "actor": {"name", "role", "user", "from"}
 * to the call, beside "method". Only a connection with a member's certificate may; the call then
 * runs with the lower of the two roles, and is audited as NAME@NODE, with that user, who came from
 * there.
 *
 * The call rpc.limit {"role"?, "from"?}, the only one that may come before rpc.hello, lowers what
 * the connection may do, for good, and says where its user came from by SSH.
 */
#ifndef NET_RPC_H
#define NET_RPC_H

#include "base/operation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_LINE_MAX (1024 * 1024)
#define RPC_BYTES_MAX (256 * 1024) /* in one "bytes" */
#define RPC_INPUT_MAX (16 * 1024)  /* in one "bytes" from a caller */
#define RPC_CREDIT_START 64
#define RPC_PARTS_MAX 256 /* of one answer */
#define RPC_LEVEL 1

/* The highest level that is spoken, RPC_LEVEL; the one below is spoken too, so that the releases
 * before and after get along. In a build with VIOS_TEST_HOOKS the environment variable VIOS_LEVEL
 * says another one. */
int rpc_level(void);

/* --- framing, no I/O: push what was read, pop messages --- */

struct rpc_message {
    json_t *json;        /* owned */
    const uint8_t *data; /* of a "bytes": points into the framer until the next pop */
    size_t data_size;
};

struct rpc_framer;
struct rpc_framer *rpc_framer_new(void);
void rpc_framer_free(struct rpc_framer *framer);
int rpc_framer_push(struct rpc_framer *framer, const void *data, size_t size,
                    struct vios_error *error);
/* 1: a message; 0: more bytes are needed; negative: the peer broke the protocol, close it. */
int rpc_framer_pop(struct rpc_framer *framer, struct rpc_message *message,
                   struct vios_error *error);

/* Messages, for rpc_format(): what is not a call. `parameters` and `result` are taken over; `id`
 * NULL: of a call that could not be read. */
json_t *rpc_notification(const char *method, json_t *parameters);
json_t *rpc_answer(const json_t *id, json_t *result);
json_t *rpc_failure(const json_t *id, const struct vios_error *error);

/* A message as one line with its newline; free() it. */
char *rpc_format(const json_t *message, size_t *size);
/* error <-> the JSON-RPC error object {code, message, data{code, object, message, hint}}. */
json_t *rpc_error_to_json(const struct vios_error *error);
int rpc_error_from_json(const json_t *json, struct vios_error *error);

/* --- the client: blocking, one thread --- */

struct rpc_client;

/* What a call may show while it runs; each may be NULL. */
struct rpc_handlers {
    void (*progress)(void *context, const json_t *parameters);
    /* return false to stop the stream (the call is cancelled) */
    bool (*item)(void *context, const json_t *value);
    bool (*bytes)(void *context, const void *data, size_t size, bool end);
    /* bytes to send: when `input_fd` >= 0 it is polled and forwarded; -1 none */
    int input_fd;
    /* gets those bytes, in place of read(2), once input_fd is readable; 0: their end; negative:
     * they cannot be had, and the call is cancelled */
    ssize_t (*receive)(void *context, char *data, size_t size);
    /* sees and may change what was read from input_fd; a negative return ends the input */
    ssize_t (*input)(void *context, char *data, size_t size);
    void *context;
};

/* Connects and says hello. No daemon: VIOS_E_UNREACHABLE with how to start one. */
int rpc_client_open(struct rpc_client **client, const char *address, struct operation *operation);
/* Says hello over a transport, which it takes over, also when it fails. `address` is for errors. */
struct transport;
int rpc_client_open_on(struct rpc_client **client, struct transport *transport, const char *address,
                       struct operation *operation);

/* To the daemon of `node` (NULL: of any node) at "tcp:HOST:PORT". VIOS_E_DENIED: one of the two
 * refuses the other's certificate. The shell, which has none, links without it. */
struct tls_context;
int rpc_client_open_tls(struct rpc_client **client, const char *address,
                        struct tls_context *context, const char *node, struct operation *operation);

/* From now on calls are made on behalf of this actor, with no more than this role: for daemons,
 * whose certificate says that they may. The texts are copied; NULL: for oneself again. */
void rpc_client_speak_for(struct rpc_client *client, const char *actor, const char *role);

/* More about that actor, for the audit: its user's name, and where it came from; NULL: unknown. */
void rpc_client_speak_of(struct rpc_client *client, const char *user, const char *from);

void rpc_client_close(struct rpc_client *client);

/* What the daemon said in hello: {"level","node","cluster","role"}. Owned by the client. */
const json_t *rpc_client_hello(const struct rpc_client *client);

/* False when the daemon has closed the connection, or it broke: open another. Never blocks. */
bool rpc_client_alive(struct rpc_client *client);

/*
 * One call. Takes over `parameters`. A triggered cancel sends rpc.cancel and still waits for the
 * answer (a second is as good as it gets: then the connection is closed).
 */
int rpc_client_call(struct rpc_client *client, const char *method, json_t *parameters,
                    const struct rpc_handlers *handlers, json_t **result,
                    struct operation *operation);

#endif
