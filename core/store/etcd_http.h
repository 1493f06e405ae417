/*
 * etcd_http.h - one request at a time to an etcd, and one answer that streams beside it, over
 * libcurl; each ends at once at its limit, the operation's deadline or its cancel. Connections
 * are kept between requests. One thread at a time. Internal to core/store.
 */
#ifndef STORE_ETCD_HTTP_H
#define STORE_ETCD_HTTP_H

#include "base/operation.h"
#include "store/etcd_address.h"

#include <stddef.h>

#define ETCD_ANSWER_MAX (64L * 1024 * 1024) /* bytes of one answer, or of a stream's backlog */

struct etcd_http;

struct etcd_reply {
    long status; /* of HTTP; 0: no answer came */
    char *body;  /* free() it; NUL-terminated */
    size_t size;
    unsigned sent;  /* how often the request was, or may have been, sent: libcurl repeats it when
                       a kept connection turns out to be dead */
    bool late;      /* no answer came in time */
    bool too_large; /* the answer broke ETCD_ANSWER_MAX */
    char why[256];  /* no answer came */
};

/* Of the address, which must outlive it, what concerns TLS is used. */
int etcd_http_open(struct etcd_http **http, const struct etcd_address *address,
                   struct vios_error *error);
void etcd_http_close(struct etcd_http *http);

/*
 * POSTs `body` to ENDPOINT/PATH. VIOS_OK: an answer, good or bad, lies in `reply`.
 * VIOS_E_UNREACHABLE: none came within `limit_ms`, see `why`; the operation's error is not
 * touched. VIOS_E_TIMEOUT, _CANCELLED: the operation ended. `reply->sent` is always set.
 */
int etcd_http_post(struct etcd_http *http, const char *endpoint, const char *path, const char *body,
                   const char *token, int64_t limit_ms, struct etcd_reply *reply,
                   struct operation *operation);

/* Starts a stream; what was one before is closed. Never blocks. */
int etcd_http_stream_open(struct etcd_http *http, const char *endpoint, const char *path,
                          const char *body, const char *token, struct vios_error *error);

enum etcd_stream_state { ETCD_STREAM_NONE, ETCD_STREAM_OPEN, ETCD_STREAM_ENDED };
enum etcd_stream_state etcd_http_stream_state(const struct etcd_http *http);

/* Waits at most `limit_ms` for more of the stream or its end, which `*moved` tells. VIOS_OK also
 * when there was neither. */
int etcd_http_stream_wait(struct etcd_http *http, int64_t limit_ms, bool *moved,
                          struct operation *operation);

/* The next line, without its end; NULL when there is none. Valid until the next call. `*whole`
 * is false for what is left when the stream ended within a line. */
const char *etcd_http_stream_line(struct etcd_http *http, size_t *size, bool *whole);

/* Whether the backlog broke ETCD_ANSWER_MAX, which ended the stream. */
bool etcd_http_stream_too_large(const struct etcd_http *http);
void etcd_http_stream_close(struct etcd_http *http);

#endif
