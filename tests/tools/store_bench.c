/*
 * store_bench - commits a second and the latency of a watch: the store on etcd, and beside it plain
 * libcurl on one kept connection to the same etcd, in turns.
 *
 *     store_bench URL ROUNDS COMMITS
 *
 * A commit puts one key under a compare of its revision. A latency is the time from the call that
 * commits to the watch's having the change. Prints commits/s of ours and of libcurl, then the
 * latencies in microseconds: a line "ours theirs" for each round, for both.
 */
#include "store/store.h"

#include <curl/curl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 60000
#define JSON                                                                                       \
    "{\"v\":1,\"text\":\"a record of about a hundred bytes, as most of them are in a cluster\"}"

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void fail(const char *why)
{
    fprintf(stderr, "store_bench: %s\n", why);
    exit(1);
}

/* What one side has: how it commits, and when its watch saw the last change. */
struct side {
    void (*commit)(struct side *side);
    struct store *store;
    int64_t revision;
    CURL *easy;
    char *url, *answer;
    size_t answer_size;
    double seen_us;
    sem_t seen;
};

/* --- ours --- */

static void commit_ours(struct side *side)
{
    struct operation operation;
    struct store_compare compare = {STORE_REVISION_IS, "/ours", side->revision};
    struct store_change change = {"/ours", JSON};
    operation_start(&operation, PATIENCE_MS, NULL);
    if (store_commit(side->store, &compare, side->revision ? 1 : 0, &change, 1, &side->revision,
                     &operation) != VIOS_OK) {
        fail(operation.error.message);
    }
}

static void *watch_ours(void *argument)
{
    struct side *side = argument;
    struct store_watch *watch;
    struct operation operation;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    if (store_watch_open(&watch, side->store, "/ours", side->revision, &operation) != VIOS_OK) {
        fail(operation.error.message);
    }
    sem_post(&side->seen);
    for (;;) {
        struct store_change_list changes;
        if (store_watch_next(watch, &changes, &operation) != VIOS_OK) {
            fail(operation.error.message);
        }
        side->seen_us = now_us();
        store_change_list_clear(&changes);
        sem_post(&side->seen);
    }
    return NULL;
}

/* --- theirs: the same with libcurl alone; base64 of "/theirs" is L3RoZWlycw== --- */

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    struct side *side = context;
    side->answer = realloc(side->answer, side->answer_size + size * count + 1);
    memcpy(side->answer + side->answer_size, data, size * count);
    side->answer_size += size * count;
    side->answer[side->answer_size] = '\0';
    return size * count;
}

static void commit_theirs(struct side *side)
{
    char body[700];
    snprintf(
        body, sizeof body,
        "{\"compare\":[{\"key\":\"L3RoZWlycw==\",\"target\":\"MOD\",\"result\":\"%s\","
        "\"mod_revision\":\"%lld\"}],\"success\":[{\"request_put\":{\"key\":\"L3RoZWlycw==\","
        "\"value\":\"eyJ2IjoxLCJ0ZXh0IjoiYSByZWNvcmQgb2YgYWJvdXQgYSBodW5kcmVkIGJ5dGVzLCBhcyBtb3N0"
        "IG9mIHRoZW0gYXJlIGluIGEgY2x1c3RlciJ9\"}}]}",
        side->revision ? "EQUAL" : "GREATER", (long long)(side->revision ? side->revision : -1));
    side->answer_size = 0;
    curl_easy_setopt(side->easy, CURLOPT_POSTFIELDS, body);
    const char *at = NULL;
    if (curl_easy_perform(side->easy) == CURLE_OK && side->answer &&
        strstr(side->answer, "\"succeeded\":true")) {
        at = strstr(side->answer, "\"revision\":\"");
    }
    if (!at) {
        fail(side->answer ? side->answer : "libcurl");
    }
    side->revision = strtoll(at + 12, NULL, 10);
}

static size_t on_change(char *data, size_t size, size_t count, void *context)
{
    struct side *side = context;
    (void)data;
    side->seen_us = now_us();
    sem_post(&side->seen); /* the first one says that the watch was created */
    return size * count;
}

static CURL *open_curl(const char *server, const char *path, char **url)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *easy = curl_easy_init();
    if (!easy || asprintf(url, "%s%s", server, path) < 0) {
        fail("out of memory");
    }
    curl_easy_setopt(easy, CURLOPT_URL, *url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    return easy;
}

static void *watch_theirs(void *argument)
{
    struct side *side = argument;
    char *url;
    CURL *easy = open_curl(side->url, "/v3/watch", &url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "{\"create_request\":{\"key\":\"L3RoZWlycw==\"}}");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_change);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, side);
    curl_easy_perform(easy);
    fail("libcurl's watch ended");
    return NULL;
}

/* --- in turns --- */

static double commits_per_s(struct side *side, int count)
{
    double start = now_us();
    for (int i = 0; i < count; i++) {
        side->commit(side);
    }
    return count * 1e6 / (now_us() - start);
}

static double latency_us(struct side *side, int count)
{
    double total = 0;
    for (int i = 0; i < count; i++) {
        double start = now_us();
        side->commit(side);
        sem_wait(&side->seen);
        total += side->seen_us - start;
    }
    return total / count;
}

/* A line for each round; who begins changes, so that neither gains by it. */
static void measure(struct side *ours, struct side *theirs, int rounds, int count,
                    double (*one)(struct side *, int))
{
    for (int round = 0; round < rounds; round++) {
        double first = one(round % 2 ? theirs : ours, count);
        double second = one(round % 2 ? ours : theirs, count);
        printf("%.1f %.1f\n", round % 2 ? second : first, round % 2 ? first : second);
    }
}

static void start_watch(struct side *side, void *(*watch)(void *))
{
    pthread_t thread;
    sem_init(&side->seen, 0, 0);
    pthread_create(&thread, NULL, watch, side);
    pthread_detach(thread);
    sem_wait(&side->seen);
}

int main(int argc, char **argv)
{
    struct side ours = {.commit = commit_ours};
    struct side theirs = {.commit = commit_theirs};
    struct operation operation;
    char *where, *url;
    if (argc != 4 || asprintf(&where, "etcd:%s?prefix=/bench", argv[1]) < 0) {
        fprintf(stderr, "usage: store_bench URL ROUNDS COMMITS\n");
        return 2;
    }
    int rounds = atoi(argv[2]), count = atoi(argv[3]);
    operation_start(&operation, PATIENCE_MS, NULL);
    if (store_open(&ours.store, where, true, &operation) != VIOS_OK) {
        fail(operation.error.message);
    }
    theirs.url = argv[1];
    theirs.easy = open_curl(argv[1], "/v3/kv/txn", &url);
    curl_easy_setopt(theirs.easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(theirs.easy, CURLOPT_WRITEDATA, &theirs);
    commits_per_s(&ours, count / 4 + 1); /* warm up */
    commits_per_s(&theirs, count / 4 + 1);
    measure(&ours, &theirs, rounds, count, commits_per_s);
    start_watch(&ours, watch_ours);
    start_watch(&theirs, watch_theirs);
    latency_us(&ours, 1); /* until the watch is really open */
    latency_us(&theirs, 1);
    measure(&ours, &theirs, rounds, count / 4 + 1, latency_us);
    store_close(ours.store);
    return 0;
}
