/*
 * method.h - the methods of the daemon, as rows of a table (CONTRACTS "Method table").
 *
 * Each core/X/methods.c holds the rows of noun X; the daemon joins them. The row says what
 * parameters are allowed, what role is needed, and whether a call is audited; the daemon
 * enforces all three before `call` runs, so a method sees only parameters that are there,
 * known, and of the right type. Methods run on lane threads and may block.
 *
 * `parameters` is a list of "name:type" separated by blanks; "?" behind the type: optional.
 * Types: name, lpar, node, pool, lu, image, job (a valid name or id; text), text, secret (text
 * that the audit does not show), size (bytes: integer, or text as parse_size), duration
 * (milliseconds: integer, or text as parse_duration), integer, boolean, object, list. Sizes and
 * durations arrive as integers, whatever they were sent as.
 */
#ifndef NODE_METHOD_H
#define NODE_METHOD_H

#include "base/operation.h"
#include "job/job.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct node;
struct call;

#define CALL_ACTOR_SIZE 160 /* of the name of who calls, with its NUL */
#define CALL_USER_SIZE 64
#define CALL_FROM_SIZE 64

/* Nobody is who comes without a certificate, to join. */
enum role { ROLE_NOBODY = -1, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

/* "nobody", "viewer", "operator", "admin". */
const char *role_name(enum role role);
/* The inverse; a name that is none is nobody's. */
enum role role_parse(const char *name);

enum method_flags {
    METHOD_CHANGES = 1,      /* audited */
    METHOD_JOB = 2,          /* submits a job and waits for it, unless "wait" is false; takes
                                "wait" and "operation" without naming them */
    METHOD_STREAM = 4,       /* sends items or bytes; runs on a thread of its own */
    METHOD_UNCONFIGURED = 8, /* works before the node has a cluster */
    METHOD_LASTS = 16,       /* waits for others: runs on a thread of its own */
};

struct method {
    const char *name; /* "lpar.start" */
    const char *parameters;
    enum role role;
    unsigned flags;
    int (*call)(struct call *call, const json_t *parameters, json_t **result,
                struct operation *operation);
};

struct method_group { /* one core/X/methods.c */
    const struct method *methods;
    size_t count;
};

/* What a running method may do to its caller; made by the RPC server. */
struct call {
    struct node *node;
    const char *actor; /* "uid:1000", for the audit */
    const char *user;  /* the name of that user where the call came from; NULL or "": unknown */
    const char *from;  /* the address that the caller says it came from by SSH; NULL or "": none */
    enum role role;
    const struct call_operations *operations;
    void *connection; /* the server's */
    int64_t id;
    char job[JOB_ID_SIZE]; /* what it waits for; "" */
};

struct call_operations {
    /* One {"method":"progress"} line; dropped when the caller is gone. */
    void (*progress)(struct call *, const char *job, int64_t done, int64_t total, const char *unit);
    /* One item, owned by the callee. Blocks while the caller has given no credit. */
    int (*item)(struct call *, json_t *value, struct operation *);
    /* Raw bytes to the caller, counted against the same back-pressure. */
    int (*bytes)(struct call *, const void *data, size_t size, bool end, struct operation *);
    /* Bytes from the caller; 0 at its end, a negative status on failure. Blocks. */
    ssize_t (*receive)(struct call *, void *data, size_t size, struct operation *);
    /* Readable when receive() would not block; for poll() beside another descriptor. */
    int (*descriptor)(struct call *);
};

/* For a METHOD_JOB method: submits, waits with progress unless "wait" is false, and returns
 * the job's result, or {"job": ID} when not waited for. Takes over `data`. */
int call_job(struct call *call, const struct job_kind *kind, const char *object, json_t *data,
             const json_t *parameters, json_t **result, struct operation *operation);

/* Tells the caller which job `call->job` is, before anything else is known of it, so that he knows
 * what he leaves when he stops waiting. */
void call_tell_job(struct call *call);

/* Waits for the job `call->job`, showing its progress, and returns its result. */
int call_wait(struct call *call, json_t **result, struct operation *operation);

#endif
