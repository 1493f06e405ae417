/* fetch.c - see fetch.h. */
#include "image/fetch.h"

#include "base/file.h"
#include "base/json.h"
#include "base/parse.h"
#include "storage/copy_error.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE 256
#define NOTE_MAX 4096 /* bytes of NAME.from */
#define VALIDATOR_SIZE 256
#define RANGE_SIZE 80
#define WAIT_MS 200 /* until a cancel is looked at again */

struct fetch {
    CURL *curl;
    const char *url;
    char note[NAME_SIZE]; /* NAME.from */
    int folder_fd, fd;
    uint64_t have;     /* bytes of the file that are there and good */
    uint64_t began_at; /* `have` when the body began */
    uint64_t limit_bytes, total_bytes;
    char validator[VALIDATOR_SIZE]; /* of the answer that is coming */
    char old[VALIDATOR_SIZE];       /* of what is there */
    char range[VALIDATOR_SIZE];     /* what part the answer is */
    bool asked;                     /* for the rest only */
    bool again;                     /* it was not the rest: ask for all */
    bool began;                     /* the answer's body has begun */
    int status;                     /* of our own callbacks */
    const struct copy_progress *progress;
    struct operation *operation;
};

/* --- what was there before --- */

static void load_note(struct fetch *fetch)
{
    char *text = NULL;
    size_t size;
    struct stat info;
    if (file_read(fetch->folder_fd, fetch->note, NOTE_MAX, &text, &size, NULL) == VIOS_OK) {
        json_t *note = json_loads(text, 0, NULL);
        const char *url = json_get_text(note, "url");
        const char *validator = json_get_text(note, "validator");
        if (url && validator && strcmp(url, fetch->url) == 0 && fstat(fetch->fd, &info) == 0 &&
            strlen(validator) < sizeof fetch->old) {
            snprintf(fetch->old, sizeof fetch->old, "%s", validator);
            fetch->have = (uint64_t)info.st_size;
        }
        json_decref(note);
    }
    free(text);
}

static int save_note(struct fetch *fetch)
{
    json_t *note = json_pack("{s:s, s:s}", "url", fetch->url, "validator", fetch->validator);
    char *text = note ? json_dumps(note, JSON_COMPACT) : NULL;
    int status = text ? file_replace(fetch->folder_fd, fetch->note, text, strlen(text), 0600,
                                     &fetch->operation->error)
                      : operation_no_memory(fetch->operation, NULL);
    free(text);
    json_decref(note);
    return status;
}

/* --- libcurl's callbacks --- */

/* A header that is too long, or no plain text, is as good as none. */
static bool take_header(const char *line, size_t size, const char *key, char *out)
{
    size_t length = strlen(key);
    if (size <= length || strncasecmp(line, key, length) != 0) {
        return false;
    }
    line += length;
    size -= length;
    while (size > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        size--;
    }
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n')) {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        size = line[i] >= ' ' && line[i] <= '~' ? size : 0;
    }
    snprintf(out, VALIDATOR_SIZE, "%.*s", (int)(size < VALIDATOR_SIZE ? size : 0), line);
    return true;
}

/* A weak ETag is no good for ranges. */
static size_t on_header(char *line, size_t one, size_t size, void *context)
{
    struct fetch *fetch = context;
    char tag[VALIDATOR_SIZE];
    (void)one;
    if (size > 5 && strncmp(line, "HTTP/", 5) == 0) { /* another answer, after a redirect */
        fetch->validator[0] = 0;
        fetch->range[0] = 0;
    } else if (take_header(line, size, "Content-Range:", fetch->range)) {
        return size;
    } else if (take_header(line, size, "ETag:", tag)) {
        if (strncmp(tag, "W/", 2) != 0) {
            snprintf(fetch->validator, sizeof fetch->validator, "%s", tag);
        }
    } else if (!fetch->validator[0]) {
        take_header(line, size, "Last-Modified:", fetch->validator);
    }
    return size;
}

/* Whether the answer is `length` bytes that follow what is there, to the end of the same file. */
static bool is_rest(const struct fetch *fetch, uint64_t length)
{
    char range[RANGE_SIZE];
    unsigned long long have = fetch->have, total = have + length;
    if (length > 0) {
        snprintf(range, sizeof range, "bytes %llu-%llu/%llu", have, total - 1, total);
    } else {
        snprintf(range, sizeof range, "bytes */%llu", have);
    }
    return fetch->asked && strcmp(range, fetch->range) == 0 &&
           (!fetch->validator[0] || strcmp(fetch->validator, fetch->old) == 0);
}

static int no_room(struct fetch *fetch, uint64_t bytes)
{
    char need[PARSE_SIZE_TEXT], room[PARSE_SIZE_TEXT];
    return operation_fail(fetch->operation, VIOS_E_NO_SPACE, "image", "give --pool, or remove LUs",
                          "%.150s has %s, %s are free", fetch->url, size_format(bytes, need),
                          size_format(fetch->limit_bytes, room));
}

/* What came is no part of what was asked for. */
static int other_part(struct fetch *fetch)
{
    fetch->again = fetch->asked;
    return operation_fail(fetch->operation, VIOS_E_IO, "image", "look at the URL",
                          "%.150s: the server sends another part than was asked for", fetch->url);
}

static int begin_body(struct fetch *fetch)
{
    long code = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(fetch->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    fetch->began = true;
    if (code == 206 && (length <= 0 || !is_rest(fetch, (uint64_t)length))) {
        return other_part(fetch);
    }
    if (code != 206) {
        fetch->have = 0;
    }
    fetch->began_at = fetch->have;
    fetch->total_bytes = length > 0 ? fetch->have + (uint64_t)length : 0;
    if (length > 0 && (uint64_t)length > fetch->limit_bytes) {
        return no_room(fetch, fetch->total_bytes);
    }
    if (ftruncate(fetch->fd, (off_t)fetch->have) != 0) {
        return copy_error(fetch->fd, "cannot begin it", 0, &fetch->operation->error);
    }
    return code == 206 ? VIOS_OK : save_note(fetch);
}

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct fetch *fetch = context;
    size_t left = size;
    (void)one;
    if (!fetch->began) {
        fetch->status = begin_body(fetch);
    }
    if (fetch->status == VIOS_OK && fetch->have - fetch->began_at + size > fetch->limit_bytes) {
        fetch->status = no_room(fetch, fetch->have + size); /* its length was not said, or wrong */
    }
    while (fetch->status == VIOS_OK && left > 0) {
        ssize_t done = pwrite(fetch->fd, data, left, (off_t)fetch->have);
        if (done < 0) {
            fetch->status =
                copy_error(fetch->fd, "cannot write it", left, &fetch->operation->error);
            return 0;
        }
        data += done;
        left -= (size_t)done;
        fetch->have += (uint64_t)done;
    }
    if (fetch->status == VIOS_OK && fetch->progress && fetch->progress->told) {
        fetch->progress->told(fetch->progress->context, fetch->have, fetch->total_bytes);
    }
    return fetch->status == VIOS_OK ? size : 0;
}

/* --- the transfer --- */

static struct curl_slist *set_up(struct fetch *fetch)
{
    char line[VALIDATOR_SIZE + 16], range[32];
    struct curl_slist *headers = NULL;
    CURL *curl = fetch->curl;
    curl_easy_setopt(curl, CURLOPT_URL, fetch->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)FETCH_REDIRECTS_MAX);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)FETCH_STALL_S);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    fetch->asked = fetch->have > 0 && fetch->old[0];
    if (fetch->asked) {
        snprintf(line, sizeof line, "If-Range: %s", fetch->old);
        snprintf(range, sizeof range, "%llu-", (unsigned long long)fetch->have);
        headers = curl_slist_append(NULL, line);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    }
    return headers;
}

/* Runs it, looking at the cancel now and then. */
static CURLcode transfer(struct fetch *fetch, CURLM *multi)
{
    int running = 1, queued;
    CURLMsg *message;
    CURLMcode failed = CURLM_OK;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    while (running && failed == CURLM_OK && operation_check(fetch->operation) == VIOS_OK) {
        failed = curl_multi_perform(multi, &running);
        if (running && failed == CURLM_OK) {
            failed = curl_multi_poll(multi, NULL, 0, WAIT_MS, NULL);
        }
    }
    while ((message = curl_multi_info_read(multi, &queued)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            result = message->data.result;
        }
    }
    return result;
}

static int explain(struct fetch *fetch, CURLcode result)
{
    long code = 0;
    char object[96];
    snprintf(object, sizeof object, "url \"%.85s\"", fetch->url);
    curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &code);
    if (fetch->status != VIOS_OK) {
        return fetch->status;
    }
    if (operation_check(fetch->operation) != VIOS_OK) {
        return fetch->operation->error.code;
    }
    if (result == CURLE_HTTP_RETURNED_ERROR) {
        return operation_fail(fetch->operation, code == 404 ? VIOS_E_NOT_FOUND : VIOS_E_IO, object,
                              "look at the URL", "the server answers %ld", code);
    }
    return operation_fail(fetch->operation, VIOS_E_IO, object, "try it again",
                          "cannot fetch it: %s", curl_easy_strerror(result));
}

static int run(struct fetch *fetch)
{
    CURLM *multi = curl_multi_init();
    CURLcode result = CURLE_OUT_OF_MEMORY;
    fetch->curl = curl_easy_init();
    if (multi && fetch->curl) {
        struct curl_slist *headers = set_up(fetch);
        curl_multi_add_handle(multi, fetch->curl);
        result = transfer(fetch, multi);
        curl_multi_remove_handle(multi, fetch->curl);
        curl_slist_free_all(headers);
    }
    long code = 0;
    if (fetch->curl) {
        curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &code);
    }
    /* 416: nothing is behind what is there. Was it all there, or is the file another one? */
    bool none = result == CURLE_HTTP_RETURNED_ERROR && code == 416 && fetch->asked;
    bool whole = none && is_rest(fetch, 0);
    fetch->again = fetch->again || (none && !whole);
    int status = result == CURLE_OK || whole ? VIOS_OK : explain(fetch, result);
    if (status == VIOS_OK && !fetch->began && !whole) {
        status = begin_body(fetch); /* an empty file */
    }
    curl_easy_cleanup(fetch->curl);
    curl_multi_cleanup(multi);
    return status;
}

/* What is there: all of it is asked for. */
static void forget(struct fetch *fetch)
{
    memset(&fetch->operation->error, 0, sizeof fetch->operation->error);
    fetch->have = 0;
    fetch->old[0] = fetch->validator[0] = fetch->range[0] = 0;
    fetch->again = fetch->began = false;
    fetch->status = VIOS_OK;
}

int fetch_url(const char *url, int folder_fd, const char *name, uint64_t limit_bytes,
              const struct copy_progress *progress, struct operation *operation)
{
    struct fetch fetch = {.url = url,
                          .folder_fd = folder_fd,
                          .limit_bytes = limit_bytes,
                          .progress = progress,
                          .operation = operation};
    if (snprintf(fetch.note, sizeof fetch.note, "%s.from", name) >= (int)sizeof fetch.note) {
        return operation_fail(operation, VIOS_E_INVALID, name, NULL, "the name is too long");
    }
    fetch.fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fetch.fd < 0) {
        return error_set_errno(&operation->error, name, "cannot make it");
    }
    load_note(&fetch);
    int status = run(&fetch);
    if (fetch.again) {
        forget(&fetch);
        status = run(&fetch);
    }
    if (status == VIOS_OK && fsync(fetch.fd) != 0) {
        status = copy_error(fetch.fd, "cannot sync it", 0, &operation->error);
    }
    close(fetch.fd);
    return status;
}
