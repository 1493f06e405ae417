/*
 * backend.h - what stands behind an NBD export: an operations table with three
 * implementations (storage/file_backend, paging/page_export, paging/pager).
 *
 * An export has a home: the worker on whose thread all its requests are submitted and
 * completed, so a back end needs no locks of its own against its guests. A connection that
 * chose an export moves to that export's home.
 */
#ifndef NBD_BACKEND_H
#define NBD_BACKEND_H

#include "base/error.h"
#include "net/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_BLOCK 4096u            /* our preferred block size; pages */
#define NBD_REQUEST_MAX (4u << 20) /* bytes in one request: larger ones are refused */

struct nbd_export;
struct nbd_connection;
struct nbd_counters; /* nbd/server.h */

enum nbd_command { /* as on the wire */
                   NBD_READ = 0,
                   NBD_WRITE = 1,
                   NBD_DISCONNECT = 2,
                   NBD_FLUSH = 3,
                   NBD_TRIM = 4,
                   NBD_CACHE = 5,
                   NBD_WRITE_ZEROES = 6,
                   NBD_BLOCK_STATUS = 7
};

#define NBD_FLAG_FUA 1u     /* on disk before the reply */
#define NBD_FLAG_NO_HOLE 2u /* WRITE_ZEROES: keep the space allocated */

/* One request, validated: inside the export, not empty, not larger than allowed. Belongs to
 * the connection; valid until nbd_request_done(). */
struct nbd_request {
    uint16_t command; /* READ, WRITE, FLUSH, TRIM, WRITE_ZEROES, BLOCK_STATUS */
    uint16_t flags;   /* NBD_FLAG_* that this back end gets to see */
    uint64_t offset;
    uint32_t length;
    uint8_t *data; /* WRITE: the payload; READ: `length` bytes to fill; else NULL */
    /* READ: a set bit says "this NBD_BLOCK of the request is all zero and data was not
     * filled", so that it travels as a hole. Bit 0 is the block that holds `offset`. BLOCK_STATUS:
     * the same bits, set = hole. Cleared before submit. NBD_REQUEST_MAX / NBD_BLOCK + 1 bits. */
    uint64_t *holes;
    int error; /* errno-like for the client: 0, EIO, ENOSPC, EINVAL, EPERM, ESHUTDOWN */
    struct nbd_connection *connection;
    struct nbd_export *export;
    struct nbd_request *next;                  /* free for the back end's own queues */
    void (*done)(struct nbd_request *request); /* of whoever made it: the server, or a test */
};

struct nbd_backend_operations {
    /* Starts a request; nbd_request_done() follows now or later, on the home worker. */
    void (*submit)(struct nbd_export *export, struct nbd_request *request);
    /* Called once after a burst of submits, for sending what they gathered; may be NULL. */
    void (*flush_batch)(struct nbd_export *export);
    /* The export was dropped and its connections are closed: nobody waits for an answer any more,
     * and what is held back ends now, with nothing done. May be NULL. */
    void (*dropped)(struct nbd_export *export);
    /* Looks again how large it is: 0, or an errno (EINVAL: it has shrunk) and the size stays. On
     * the home worker; NULL: its size is fixed. */
    int (*measure)(struct nbd_export *export);
    /* The last connection is gone and the export was dropped: free everything, later if need
     * be, then call `closed`. */
    void (*close)(struct nbd_export *export, void (*closed)(struct nbd_export *export));
    /* Adds what `statistics` shows of it to the JSON object (a json_t *); may be NULL. */
    void (*statistics)(struct nbd_export *export, void *json_object);
};

enum nbd_export_state {
    EXPORT_OPEN,     /* serves */
    EXPORT_STANDBY,  /* handshake yes, requests wait */
    EXPORT_DRAINING, /* nothing new is submitted; drained when `in_flight` is 0 */
    EXPORT_DROPPED
};

struct nbd_export {
    char name[160];
    char description[96];  /* sent as NBD_INFO_DESCRIPTION when not empty */
    char lpar[40];         /* uuid of the LPAR it belongs to, "" for none */
    char node[64];         /* the peer that may use it (identity node:N), "" for none */
    _Atomic uint64_t size; /* only grows; negotiations on other workers read it */
    bool read_only;
    bool multi_connection;  /* NBD_FLAG_CAN_MULTI_CONN: a flush on one covers all */
    uint32_t minimum_block; /* 1 or 512 or NBD_BLOCK; requests not aligned to it are EINVAL */
    const struct nbd_backend_operations *operations;
    struct worker *home;
    void *backend; /* of the implementation */
    enum nbd_export_state state;
    unsigned in_flight;
    unsigned connections;
    struct nbd_counters *counters; /* of io, may be NULL */
    void *owner;                   /* likewise: its entry in io's table */
    /* Of the server, on the home worker: */
    struct nbd_connection *first_connection;
    void (*drained)(struct nbd_export *export); /* set while somebody waits; called once */
};

/* Finishes a request: `error` is put into it and its `done` called, so that the reply goes out with
 * its batch. On the home worker's thread only. */
void nbd_request_done(struct nbd_request *request, int error);

#endif
