/* etcd_http.c - see etcd_http.h. */
#include "store/etcd_http.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_MAX (ETCD_ENDPOINT_MAX + 64)
#define FIRST_BUFFER 4096
#define KEEPALIVE_IDLE_S 5L /* a stream whose path is cut is seen this late */
#define KEEPALIVE_EVERY_S 2L

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool too_large;
};

/* One easy handle with what its callbacks write to. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    char *token; /* that `headers` were made with; NULL: none */
    char *body;  /* of the request; of streams only, which outlive the call that opens them */
    struct buffer answer;
    unsigned sent;
    bool running;
    CURLcode result;
    char error[CURL_ERROR_SIZE];
};

struct etcd_http {
    CURLM *multi;
    struct transfer request;
    struct transfer stream;
    size_t stream_taken;    /* bytes at the front of the stream's buffer that were handed out */
    size_t stream_searched; /* bytes there in which no other end of a line is */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void curl_start(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool buffer_grow(struct buffer *buffer, size_t wanted)
{
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_BUFFER;
    while (capacity < wanted) {
        capacity *= 2;
    }
    if (capacity != buffer->capacity) {
        char *data = realloc(buffer->data, capacity);
        if (!data) {
            return false;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return true;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct buffer *buffer = &((struct transfer *)context)->answer;
    size_t bytes = size * count;
    if (bytes > (size_t)ETCD_ANSWER_MAX - buffer->size) {
        buffer->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (!buffer_grow(buffer, buffer->size + bytes + 1)) {
        return CURL_WRITEFUNC_ERROR;
    }
    memcpy(buffer->data + buffer->size, data, bytes);
    buffer->size += bytes;
    buffer->data[buffer->size] = '\0';
    return bytes;
}

/* A connection is there, and the request goes out now. */
static int on_send(void *context, char *primary_ip, char *local_ip, int primary_port,
                   int local_port)
{
    (void)primary_ip, (void)local_ip, (void)primary_port, (void)local_port;
    ((struct transfer *)context)->sent++;
    return CURL_PREREQFUNC_OK;
}

static bool set_security(CURL *easy, const struct etcd_address *address)
{
    bool good = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == 0;
    if (address->ca) {
        good = good && curl_easy_setopt(easy, CURLOPT_CAINFO, address->ca) == 0 &&
               curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == 0;
    }
    if (address->cert) {
        good = good && curl_easy_setopt(easy, CURLOPT_SSLCERT, address->cert) == 0 &&
               curl_easy_setopt(easy, CURLOPT_SSLKEY, address->key) == 0;
    }
    return good;
}

/* What is the same for all requests. HTTP/1.1: with HTTP/2 a second request would wait in the
 * stream's connection, so that it could tell nothing about that one's health. */
static bool transfer_open(struct transfer *transfer, const struct etcd_address *address)
{
    CURL *easy = transfer->easy = curl_easy_init();
    return easy && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == 0 &&
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == 0 &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == 0 &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == 0 &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == 0 &&
           curl_easy_setopt(easy, CURLOPT_POST, 1L) == 0 &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == 0 &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S) == 0 &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_EVERY_S) == 0 &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data) == 0 &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == 0 &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send) == 0 &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer) == 0 &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == 0 &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == 0 && set_security(easy, address);
}

static void transfer_close(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    free(transfer->token);
    free(transfer->body);
    free(transfer->answer.data);
}

int etcd_http_open(struct etcd_http **http, const struct etcd_address *address,
                   struct vios_error *error)
{
    struct etcd_http *made = NULL;
    pthread_once(&curl_once, curl_start);
    if (curl_ready == CURLE_OK) {
        made = calloc(1, sizeof *made);
    }
    if (made) {
        made->multi = curl_multi_init();
    }
    if (!made || !made->multi || !transfer_open(&made->request, address) ||
        !transfer_open(&made->stream, address)) {
        etcd_http_close(made);
        return error_set(error, VIOS_E_SYSTEM, "store", NULL, "libcurl cannot be used");
    }
    *http = made;
    return VIOS_OK;
}

static void stop(struct etcd_http *http, struct transfer *transfer)
{
    if (transfer->running) {
        curl_multi_remove_handle(http->multi, transfer->easy);
        transfer->running = false;
    }
}

void etcd_http_close(struct etcd_http *http)
{
    if (http) {
        stop(http, &http->request);
        stop(http, &http->stream);
        transfer_close(&http->request);
        transfer_close(&http->stream);
        curl_multi_cleanup(http->multi);
        free(http);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* "Expect:" keeps libcurl from asking before it sends a large body. */
static bool set_headers(struct transfer *transfer, const char *token)
{
    static const char *const fixed[] = {"Content-Type: application/json", "Expect:"};
    char *authorization = NULL;
    if (transfer->headers && same_text(transfer->token, token)) {
        return true;
    }
    curl_slist_free_all(transfer->headers);
    free(transfer->token);
    transfer->headers = NULL;
    transfer->token = token ? strdup(token) : NULL;
    if (token && (!transfer->token || asprintf(&authorization, "Authorization: %s", token) < 0)) {
        return false;
    }
    const char *const all[] = {fixed[0], fixed[1], authorization};
    bool good = true;
    for (size_t i = 0; i < (token ? 3 : 2) && good; i++) {
        struct curl_slist *longer = curl_slist_append(transfer->headers, all[i]);
        good = longer != NULL;
        transfer->headers = longer ? longer : transfer->headers;
    }
    free(authorization);
    return good && curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == 0;
}

static bool start(struct etcd_http *http, struct transfer *transfer, const char *endpoint,
                  const char *path, const char *body, const char *token)
{
    char url[URL_MAX];
    snprintf(url, sizeof url, "%s%s", endpoint, path);
    transfer->sent = 0;
    transfer->answer.size = 0;
    transfer->answer.too_large = false;
    transfer->error[0] = '\0';
    transfer->result = CURLE_OK;
    transfer->running =
        set_headers(transfer, token) && buffer_grow(&transfer->answer, FIRST_BUFFER) &&
        curl_easy_setopt(transfer->easy, CURLOPT_URL, url) == 0 &&
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, body) == 0 &&
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body)) ==
            0 &&
        curl_multi_add_handle(http->multi, transfer->easy) == 0;
    return transfer->running;
}

/* Lets libcurl go on, and takes the transfers that have ended out. */
static void work(struct etcd_http *http)
{
    int running, left;
    CURLMsg *message;
    curl_multi_perform(http->multi, &running);
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) != 0) {
            continue;
        }
        transfer->result = message->data.result; /* before the message goes with the handle */
        stop(http, transfer);
    }
}

/* Sleeps until libcurl has something to do, the operation ends, or `limit_ms`. */
static void sleep_until_work(struct etcd_http *http, int64_t limit_ms, struct operation *operation)
{
    struct curl_waitfd cancel = {.fd = cancel_descriptor(operation->cancel),
                                 .events = CURL_WAIT_POLLIN};
    int left_ms = operation_remaining_ms(operation);
    int64_t wait_ms = left_ms < 0 || left_ms > limit_ms ? limit_ms : left_ms;
    curl_multi_poll(http->multi, &cancel, cancel.fd >= 0 ? 1 : 0,
                    wait_ms > 60000 ? 60000 : (int)wait_ms, NULL);
}

static int await_request(struct etcd_http *http, int64_t limit_ms, struct etcd_reply *reply,
                         struct operation *operation)
{
    int64_t end_ms = clock_now_ms() + limit_ms;
    for (;;) {
        work(http);
        if (!http->request.running) {
            return VIOS_OK;
        }
        int status = operation_check(operation);
        if (status != VIOS_OK) {
            return status;
        }
        int64_t left_ms = end_ms - clock_now_ms();
        if (left_ms <= 0) {
            reply->late = true;
            snprintf(reply->why, sizeof reply->why, "no answer within %lld ms",
                     (long long)limit_ms);
            return VIOS_E_UNREACHABLE;
        }
        sleep_until_work(http, left_ms, operation);
    }
}

int etcd_http_post(struct etcd_http *http, const char *endpoint, const char *path, const char *body,
                   const char *token, int64_t limit_ms, struct etcd_reply *reply,
                   struct operation *operation)
{
    struct transfer *request = &http->request;
    memset(reply, 0, sizeof *reply);
    if (!start(http, request, endpoint, path, body, token)) {
        return operation_no_memory(operation, "store");
    }
    int status = await_request(http, limit_ms, reply, operation);
    stop(http, request);
    reply->sent = request->sent;
    reply->too_large = request->answer.too_large;
    if (status == VIOS_OK && request->result != CURLE_OK) {
        snprintf(reply->why, sizeof reply->why, "%s",
                 request->error[0] ? request->error : curl_easy_strerror(request->result));
        status = VIOS_E_UNREACHABLE;
    }
    if (status == VIOS_OK) {
        curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &reply->status);
        reply->body = request->answer.data;
        reply->size = request->answer.size;
        reply->body[reply->size] = '\0';
        request->answer = (struct buffer){0};
    }
    return status;
}

int etcd_http_stream_open(struct etcd_http *http, const char *endpoint, const char *path,
                          const char *body, const char *token, struct vios_error *error)
{
    etcd_http_stream_close(http);
    http->stream.body = strdup(body);
    if (!http->stream.body ||
        !start(http, &http->stream, endpoint, path, http->stream.body, token)) {
        return error_no_memory(error, "store");
    }
    return VIOS_OK;
}

enum etcd_stream_state etcd_http_stream_state(const struct etcd_http *http)
{
    return http->stream.running ? ETCD_STREAM_OPEN
           : http->stream.body  ? ETCD_STREAM_ENDED
                                : ETCD_STREAM_NONE;
}

int etcd_http_stream_wait(struct etcd_http *http, int64_t limit_ms, bool *moved,
                          struct operation *operation)
{
    int64_t end_ms = clock_now_ms() + limit_ms;
    size_t before = http->stream.answer.size;
    for (;;) {
        work(http);
        *moved = http->stream.answer.size != before || !http->stream.running;
        if (*moved) {
            return VIOS_OK;
        }
        int status = operation_check(operation);
        int64_t left_ms = end_ms - clock_now_ms();
        if (status != VIOS_OK || left_ms <= 0) {
            return status;
        }
        sleep_until_work(http, left_ms, operation);
    }
}

/* The beginning of a line moves to the front. */
static void keep_beginning(struct etcd_http *http)
{
    struct buffer *buffer = &http->stream.answer;
    if (http->stream_taken > 0) {
        buffer->size -= http->stream_taken;
        memmove(buffer->data, buffer->data + http->stream_taken, buffer->size);
        http->stream_taken = 0;
    }
    http->stream_searched = buffer->size;
}

const char *etcd_http_stream_line(struct etcd_http *http, size_t *size, bool *whole)
{
    struct buffer *buffer = &http->stream.answer;
    const char *line = buffer->data + http->stream_taken;
    size_t left = buffer->size - http->stream_searched;
    const char *end = left ? memchr(buffer->data + http->stream_searched, '\n', left) : NULL;
    if (end) {
        *whole = true;
        *size = (size_t)(end - line);
        http->stream_taken += *size + 1;
        http->stream_searched = http->stream_taken;
        return line;
    }
    if (!http->stream.running && buffer->size > http->stream_taken) {
        *whole = false;
        *size = buffer->size - http->stream_taken;
        http->stream_taken = http->stream_searched = buffer->size;
        return line;
    }
    keep_beginning(http);
    return NULL;
}

bool etcd_http_stream_too_large(const struct etcd_http *http)
{
    return http->stream.answer.too_large;
}

void etcd_http_stream_close(struct etcd_http *http)
{
    stop(http, &http->stream);
    free(http->stream.body);
    http->stream.body = NULL;
    http->stream.answer.size = 0;
    http->stream_taken = http->stream_searched = 0;
}
