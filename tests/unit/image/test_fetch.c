/*
 * test_fetch.c - files come over HTTP whole, or with a reason; what is there is not fetched again,
 * and never mixed with another file's bytes. The server is a thread of the test, which answers each
 * request as `serve` says.
 */
#include "image/fetch.h"

#include "base/file.h"
#include "tests/file_limit.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define FILE_SIZE ((size_t)200000)
#define HALF (FILE_SIZE / 2)
#define ROOM ((uint64_t)1 << 20)

/* How the server behaves. */
struct serving {
    int code;             /* 0: 200 or 206 */
    const char *etag;     /* NULL: none */
    const char *modified; /* NULL: none */
    const char *location; /* of a redirect */
    size_t size;          /* of the file */
    size_t cut;           /* bytes of the body that are sent, then it hangs up; 0: all */
    size_t shift;         /* a part begins that much later than was asked for */
    char first;           /* the file's first byte, and so all others */
    bool no_ranges, ignores_if_range, no_length, chunked, silent;
    struct cancel *cancel; /* triggered when a request is there */
};

static struct serving serve;
static char request[4096]; /* the last one */
static int requests;
static int listening;
static char url[64];
static int folder;
static struct operation operation;

/* --- the server --- */

static char byte_at(size_t offset)
{
    return (char)(serve.first + offset % 61);
}

static bool send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t done = send(fd, at, size, MSG_NOSIGNAL);
        if (done <= 0) {
            return false;
        }
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static void send_body(int fd, size_t begin)
{
    static char body[FILE_SIZE + 1];
    char line[32];
    size_t size = serve.size - begin;
    for (size_t i = 0; i < size; i++) {
        body[i] = byte_at(begin + i);
    }
    size_t sent = serve.cut && serve.cut < size ? serve.cut : size;
    if (serve.chunked) {
        snprintf(line, sizeof line, "%zx\r\n", size);
        (void)send_all(fd, line, strlen(line));
    }
    if (send_all(fd, body, sent) && serve.chunked && sent == size) {
        (void)send_all(fd, "\r\n0\r\n\r\n", 7);
    }
}

/* The Range that counts, or 0. */
static size_t range_of(void)
{
    const char *range = strstr(request, "\r\nRange: bytes="),
               *only = strstr(request, "\r\nIf-Range: ");
    const char *validator = serve.etag ? serve.etag : serve.modified;
    if (!range || serve.no_ranges) {
        return 0;
    }
    if (only && !serve.ignores_if_range &&
        (!validator || strncmp(only + 12, validator, strlen(validator)) != 0)) {
        return 0;
    }
    return strtoull(range + 15, NULL, 10);
}

static void answer(int fd)
{
    char head[1024];
    size_t begin = range_of(), at = 0;
    int code = serve.code ? serve.code : begin >= serve.size && begin ? 416 : begin ? 206 : 200;
    at += (size_t)snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nConnection: close\r\n", code);
    if (serve.etag) {
        at += (size_t)snprintf(head + at, sizeof head - at, "ETag: %s\r\n", serve.etag);
    }
    if (serve.modified) {
        at +=
            (size_t)snprintf(head + at, sizeof head - at, "Last-Modified: %s\r\n", serve.modified);
    }
    if (serve.location) {
        at += (size_t)snprintf(head + at, sizeof head - at, "Location: %s\r\n", serve.location);
    }
    if (code == 206) {
        begin += serve.shift;
        at += (size_t)snprintf(head + at, sizeof head - at, "Content-Range: bytes %zu-%zu/%zu\r\n",
                               begin, serve.size - 1, serve.size);
    } else if (code == 416) {
        at += (size_t)snprintf(head + at, sizeof head - at, "Content-Range: bytes */%zu\r\n",
                               serve.size);
    }
    bool body = code == 200 || code == 206;
    if (serve.chunked) {
        at += (size_t)snprintf(head + at, sizeof head - at, "Transfer-Encoding: chunked\r\n");
    } else if (!serve.no_length) {
        at += (size_t)snprintf(head + at, sizeof head - at, "Content-Length: %zu\r\n",
                               body ? serve.size - begin : 0);
    }
    snprintf(head + at, sizeof head - at, "\r\n");
    if (send_all(fd, head, strlen(head)) && body) {
        send_body(fd, begin);
    }
}

static void serve_one(int fd)
{
    size_t size = 0;
    ssize_t got = 1;
    request[0] = 0;
    while (got > 0 && size < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        got = read(fd, request + size, sizeof request - 1 - size);
        size += got > 0 ? (size_t)got : 0;
        request[size] = 0;
    }
    requests++;
    cancel_trigger(serve.cancel);
    if (!serve.silent) {
        answer(fd);
        (void)shutdown(fd, SHUT_WR);
    }
    while (read(fd, &(char){0}, 1) > 0) { /* until the other side has hung up */
    }
}

static void *serve_all(void *unused)
{
    int fd;
    (void)unused;
    while ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        serve_one(fd);
        close(fd);
    }
    return NULL;
}

static void listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(listening >= 0 && bind(listening, (struct sockaddr *)&address, sizeof address) == 0);
    assert(listen(listening, 8) == 0);
    assert(getsockname(listening, (struct sockaddr *)&address, &size) == 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/disk.img", ntohs(address.sin_port));
}

/* --- the other side --- */

/* An empty folder, and a good server. */
static void fresh(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/f", tap_folder());
    if (folder > 0) {
        close(folder);
    }
    is_int(file_remove_tree(path, NULL), VIOS_OK);
    ok(mkdir(path, 0700) == 0, "mkdir");
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    serve = (struct serving){.etag = "\"one\"", .size = FILE_SIZE, .first = '!'};
}

static int fetch_within(uint64_t room)
{
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    requests = 0;
    return fetch_url(url, folder, "disk", room, NULL, &operation);
}

static int fetch(void)
{
    return fetch_within(ROOM);
}

static bool asked_for(const char *header)
{
    return strstr(request, header) != NULL;
}

/* The file is the one that is served, to its last byte. */
static void is_whole(void)
{
    char *data = NULL;
    size_t size = 0, i = 0;
    is_int(file_read(folder, "disk", FILE_SIZE + 1, &data, &size, NULL), VIOS_OK);
    is_int((long long)size, (long long)serve.size);
    while (i < size && data[i] == byte_at(i)) {
        i++;
    }
    ok(i == size, "byte %zu is another one", i);
    free(data);
}

static void is_fetched(void)
{
    ok(fetch() == VIOS_OK, "%s: %s", operation.error.object, operation.error.message);
    is_whole();
}

static long long size_there(void)
{
    struct stat info;
    return fstatat(folder, "disk", &info, 0) == 0 ? (long long)info.st_size : -1;
}

static void fails(int code, const char *why)
{
    is_int(fetch(), code);
    is_int(operation.error.code, code);
    ok(strstr(operation.error.message, why) != NULL, "message is \"%s\", want \"%s\"",
       operation.error.message, why);
    ok(operation.error.hint[0] != 0, "no hint");
}

/* Fetches the first half; then the server hangs up. */
static void fetch_half(void)
{
    serve.cut = HALF;
    fails(VIOS_E_IO, "cannot fetch it: ");
    is_int(size_there(), (long long)HALF);
    serve.cut = 0;
}

/* --- whole files --- */

static void files_come_whole(void)
{
    fresh();
    is_fetched();
    ok(!asked_for("Range:"), "asked for a range");
    fresh();
    serve.chunked = true;
    is_fetched();
    fresh();
    serve.no_length = true;
    is_fetched();
    fresh();
    serve.size = 0;
    is_fetched();
    fresh();
    serve.etag = NULL;
    is_fetched();
}

static void an_old_file_is_replaced(void)
{
    fresh();
    is_int(file_replace(folder, "disk", "old bytes", 9, 0600, NULL), VIOS_OK);
    serve.size = 5;
    is_fetched();
    ok(!asked_for("Range:"), "asked for a range");
    is_int(file_replace(folder, "disk", "old bytes", 9, 0600, NULL), VIOS_OK);
    is_int(file_replace(folder, "disk.from", "{\"url\":7", 8, 0600, NULL), VIOS_OK);
    is_fetched();
    ok(!asked_for("Range:"), "asked for a range");
}

static void a_link_is_not_followed(void)
{
    fresh();
    ok(symlinkat("victim", folder, "disk") == 0, "symlink");
    is_int(fetch(), VIOS_E_SYSTEM);
    is_text(operation.error.object, "disk");
    ok(strstr(operation.error.message, "cannot make it") != NULL, "%s", operation.error.message);
    ok(faccessat(folder, "victim", F_OK, 0) != 0, "the link was followed");
}

static void names_that_are_too_long(void)
{
    char name[300];
    fresh();
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    is_int(fetch_url(url, folder, name, ROOM, NULL, &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "the name is too long");
}

/* --- what goes wrong --- */

static void answers_that_are_errors(void)
{
    char object[128];
    snprintf(object, sizeof object, "url \"%s\"", url);
    fresh();
    serve.code = 404;
    fails(VIOS_E_NOT_FOUND, "the server answers 404");
    is_text(operation.error.object, object);
    serve.code = 500;
    fails(VIOS_E_IO, "the server answers 500");
    is_text(operation.error.object, object);
    serve.code = 416; /* nobody asked for a range */
    fails(VIOS_E_IO, "the server answers 416");
    serve.code = 206;
    fails(VIOS_E_IO, "the server sends another part than was asked for");
    is_int(size_there(), 0);
}

static void redirects(void)
{
    char good[96];
    fresh();
    serve.code = 302;
    serve.location = "file:///etc/passwd";
    fails(VIOS_E_IO, "cannot fetch it: ");
    is_int(size_there(), 0);
    is_int(requests, 1);
    snprintf(good, sizeof good, "%s", url);
    serve.location = good;
    fails(VIOS_E_IO, "cannot fetch it: ");
    is_int(requests, FETCH_REDIRECTS_MAX + 1);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(fetch_url("file:///etc/passwd", folder, "disk", ROOM, NULL, &operation), VIOS_E_IO);
    is_text(operation.error.object, "url \"file:///etc/passwd\"");
    is_int(size_there(), 0);
}

static void what_is_too_large(void)
{
    fresh();
    is_int(fetch_within(FILE_SIZE), VIOS_OK);
    fresh();
    is_int(fetch_within(FILE_SIZE - 1), VIOS_E_NO_SPACE);
    is_text(operation.error.object, "image");
    is_text(operation.error.hint, "give --pool, or remove LUs");
    ok(strstr(operation.error.message, " are free") != NULL, "%s", operation.error.message);
    is_int(size_there(), 0);
    serve.chunked = true; /* its length is not known before it is there */
    is_int(fetch_within(HALF), VIOS_E_NO_SPACE);
    ok(size_there() <= (long long)HALF, "%lld bytes are there", size_there());
    ok(strstr(operation.error.message, " are free") != NULL, "%s", operation.error.message);
    is_int(fetch_within(UINT64_MAX), VIOS_OK);
    is_whole();
}

static void a_cancel_is_heard(void)
{
    fresh();
    serve.silent = true;
    serve.cancel = cancel_new();
    operation_start(&operation, OPERATION_NO_DEADLINE, serve.cancel);
    is_int(fetch_url(url, folder, "disk", ROOM, NULL, &operation), VIOS_E_CANCELLED);
    is_int(operation.error.code, VIOS_E_CANCELLED);
    cancel_free(serve.cancel);
    serve.cancel = NULL;
    operation_start(&operation, 1, NULL);
    is_int(fetch_url(url, folder, "disk", ROOM, NULL, &operation), VIOS_E_TIMEOUT);
}

static void what_cannot_be_written(void)
{
    fresh();
    limit_files(HALF);
    is_int(fetch(), VIOS_E_SYSTEM);
    limit_files(RLIM_INFINITY);
    ok(strstr(operation.error.object, "/f/disk") != NULL, "%s", operation.error.object);
    is_text(operation.error.message, "cannot write it: File too large");
    is_fetched();
    ok(asked_for("\r\nRange: "), "%s", request);
}

static void nobody_listens(void)
{
    fresh();
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    is_int(fetch_url("http://127.0.0.1:1/x", folder, "disk", ROOM, NULL, &operation), VIOS_E_IO);
    ok(strstr(operation.error.message, "cannot fetch it: ") != NULL, "%s", operation.error.message);
}

/* --- the rest of it --- */

static void the_rest_is_asked_for(void)
{
    char range[64];
    snprintf(range, sizeof range, "\r\nRange: bytes=%zu-\r\n", HALF);
    fresh();
    fetch_half();
    is_fetched();
    is_int(requests, 1);
    ok(asked_for(range) && asked_for("\r\nIf-Range: \"one\"\r\n"), "%s", request);
    fresh();
    serve.etag = NULL;
    serve.modified = "Thu, 01 Jan 2026 00:00:00 GMT";
    fetch_half();
    is_fetched();
    ok(asked_for(range) && asked_for("\r\nIf-Range: Thu, 01 Jan 2026 00:00:00 GMT\r\n"), "%s",
       request);
}

static void room_counts_for_the_rest(void)
{
    fresh();
    fetch_half();
    is_int(fetch_within(HALF - 1), VIOS_E_NO_SPACE);
    is_int(size_there(), (long long)HALF);
    is_int(fetch_within(HALF), VIOS_OK);
    is_whole();
}

static void all_of_it_is_there(void)
{
    fresh();
    is_fetched();
    is_fetched(); /* 416, of a file of that size */
    is_int(requests, 1);
    ok(asked_for("\r\nRange: "), "%s", request);
    serve.size = FILE_SIZE - 1000; /* it is shorter, and the server does not look at If-Range */
    serve.ignores_if_range = true;
    is_fetched();
    is_int(requests, 2);
    ok(!asked_for("\r\nRange: "), "%s", request);
    serve.etag = "\"two\""; /* as long as before, and another one */
    serve.first = '"';
    is_fetched();
    is_int(requests, 2);
}

static void another_file_comes_whole(void)
{
    fresh();
    fetch_half();
    serve.etag = "\"two\"";
    serve.first = '"';
    is_fetched();
    is_int(requests, 1);
    fresh();
    fetch_half();
    serve.etag = "\"two\"";
    serve.first = '"';
    serve.ignores_if_range = true; /* sends the rest of another file */
    is_fetched();
    is_int(requests, 2);
    fresh();
    fetch_half();
    serve.no_ranges = true;
    is_fetched();
    is_int(requests, 1);
}

static void another_part_is_refused(void)
{
    fresh();
    fetch_half();
    serve.shift = 1000;
    is_fetched();
    is_int(requests, 2);
    ok(!asked_for("\r\nRange: "), "%s", request);
    fresh();
    fetch_half();
    serve.chunked = true; /* a part without a length */
    is_fetched();
    is_int(requests, 2);
}

static void another_url_begins_anew(void)
{
    fresh();
    fetch_half();
    url[strlen(url) - 1]++;
    is_fetched();
    url[strlen(url) - 1]--;
    ok(!asked_for("\r\nRange: "), "%s", request);
}

/* Without a validator that is good for ranges all of it is fetched again. */
static void no_good_validator(void)
{
    static char large[600];
    memset(large, 'e', sizeof large - 1);
    static const char *const TAGS[] = {NULL, "W/\"one\"", "\"\xe4\"", large};
    for (size_t i = 0; i < sizeof TAGS / sizeof TAGS[0]; i++) {
        fresh();
        serve.etag = TAGS[i];
        fetch_half();
        is_fetched();
        ok(!asked_for("\r\nRange: "), "%s", request);
    }
}

int main(void)
{
    pthread_t thread;
    setenv("no_proxy", "*", 1);
    listen_here();
    assert(pthread_create(&thread, NULL, serve_all, NULL) == 0);
    RUN(files_come_whole);
    RUN(an_old_file_is_replaced);
    RUN(a_link_is_not_followed);
    RUN(names_that_are_too_long);
    RUN(answers_that_are_errors);
    RUN(redirects);
    RUN(what_is_too_large);
    RUN(a_cancel_is_heard);
    RUN(what_cannot_be_written);
    RUN(nobody_listens);
    RUN(the_rest_is_asked_for);
    RUN(room_counts_for_the_rest);
    RUN(all_of_it_is_there);
    RUN(another_file_comes_whole);
    RUN(another_part_is_refused);
    RUN(another_url_begins_anew);
    RUN(no_good_validator);
    shutdown(listening, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listening);
    close(folder);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
