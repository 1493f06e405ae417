/*
 * client_wire.h - what an NBD client says and understands, without any I/O: the handshake as a
 * machine that is fed bytes, and the heads of replies.
 */
#ifndef NBD_CLIENT_WIRE_H
#define NBD_CLIENT_WIRE_H

#include "base/error.h"
#include "nbd/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_CLIENT_NAME_MAX 255     /* bytes of an export name */
#define NBD_CLIENT_OPTION_MAX 8192u /* bytes of one reply to an option */
#define NBD_CLIENT_ERROR_MAX 4102u  /* bytes of an error chunk's payload */
#define NBD_CLIENT_OUTPUT 512

enum nbd_handshake_state {
    NBD_GREETING,
    NBD_STARTING_TLS, /* its answer to STARTTLS is awaited */
    NBD_SECURING,     /* the caller is to do the handshake of TLS: nbd_handshake_secured() */
    NBD_STRUCTURING,
    NBD_GOING,
    NBD_READY
};

struct nbd_handshake {
    enum nbd_handshake_state state;
    bool tls;      /* nothing is asked without: set it after nbd_handshake_start() */
    bool exported; /* NBD_INFO_EXPORT came */
    struct nbd_client_export export;
    char name[NBD_CLIENT_NAME_MAX + 1];
    uint8_t output[NBD_CLIENT_OUTPUT]; /* to be sent; the sender sets output_size to 0 */
    size_t output_size;
};

/* VIOS_E_USAGE when the name is too long. */
int nbd_handshake_start(struct nbd_handshake *handshake, const char *export_name,
                        struct vios_error *error);

/* Takes whole messages of what came; the rest of the bytes must be given again with more behind
 * them. More than NBD_CLIENT_OPTION_MAX bytes of one reply are an error. In NBD_SECURING and after
 * NBD_READY nothing is taken. */
int nbd_handshake_feed(struct nbd_handshake *handshake, const uint8_t *data, size_t size,
                       size_t *used, struct vios_error *error);

/* TLS has begun: asks for the export. Bytes that came in the clear behind the answer to STARTTLS
 * must not be given to nbd_handshake_feed; they are a reason to leave. */
void nbd_handshake_secured(struct nbd_handshake *handshake);

enum nbd_reply_kind {
    NBD_ANSWER, /* the request is done, with `error`; a simple one brings its READ's data */
    NBD_DATA,   /* `length` bytes of data for `offset` follow */
    NBD_HOLE,   /* `length` zero bytes at `offset` */
    NBD_NOTHING /* an empty chunk */
};

struct nbd_reply {
    enum nbd_reply_kind kind;
    bool structured;
    bool last; /* the request's last chunk */
    int error; /* errno */
    uint64_t cookie, offset;
    uint32_t length;
};

/* 1: a reply's head of `*used` bytes; 0: more bytes are needed; negative: no NBD. */
int nbd_reply_parse(bool structured, const uint8_t *data, size_t size, struct nbd_reply *reply,
                    size_t *used, struct vios_error *error);

/* Writes the 28 bytes of a request. */
void nbd_request_format(uint8_t header[28], const struct nbd_client_request *request,
                        uint64_t cookie);

#endif
