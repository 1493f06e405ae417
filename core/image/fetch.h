/*
 * fetch.h - a file from a URL, http or https, through libcurl.
 *
 * What was fetched when a daemon was killed is not fetched again: beside the file lies NAME.from
 * with the URL and the validator (ETag, or Last-Modified) that the server gave, and the rest is
 * asked for with Range and If-Range. A server that has another file by now, or that knows no
 * ranges, sends it from the beginning; one that sends another part than was asked for is asked
 * again, for all of it.
 */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "storage/chunks.h"

#define FETCH_REDIRECTS_MAX 5
#define FETCH_CONNECT_MS 30000
#define FETCH_STALL_S 60 /* without a byte */

/*
 * Fetches it as `name` in the folder, synced. `limit_bytes`: more, beside what is there, is
 * VIOS_E_NO_SPACE.
 * VIOS_E_NOT_FOUND and VIOS_E_IO say the URL and the server's status. `progress` may be NULL.
 */
int fetch_url(const char *url, int folder_fd, const char *name, uint64_t limit_bytes,
              const struct copy_progress *progress, struct operation *operation);

#endif
