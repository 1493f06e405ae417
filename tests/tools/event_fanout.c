/*
 * event_fanout.c - the callers' side of a primary and nothing else: the gateway, callers who are
 * registered in a VIOS DB of its own, and events that are made up, not written anywhere; unless
 * `durable` says that each batch is published as a node does it (a payload file, synced, and a
 * commit to the VIOS DB) before it is posted. For seeing how fast events leave, and for callers
 * that are tested without a cluster.
 *
 *     event_fanout FOLDER CALLERS BATCH SIZE [durable]
 *
 * Makes FOLDER/callers ("ID TOKEN" lines, for event_load) and FOLDER/caller.json (the first one, as
 * `event register --json` prints it), prints HOST:PORT, then reads lines from standard input:
 *
 *     post COUNT [RATE]   so many events of about SIZE bytes, BATCH at once; with RATE a second, as
 *                         many as are due, BATCH at most
 *     close, open         this node ceases to be the primary, is it again
 *     show                what callers_show() says
 *
 * Each is answered by a line. Ends with the end of standard input.
 */
#include "base/clock.h"
#include "daemon/access.h"
#include "daemon/gateway.h"
#include "daemon/server.h"
#include "event/caller.h"
#include "event/callers.h"
#include "event/publish.h"
#include "node/credentials.h"
#include "node/identity.h"
#include "node/members.h"
#include "storage/repository.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REGISTERED_AT_ONCE STORE_CHANGES_MAX
#define CLUSTER_UUID "11111111-1111-4111-8111-111111111111"

static const struct access_rules rules = {.allow_viewers = true};
static struct node node = {.name = "n1", .cluster = "lab", .port = 1, .incarnation = 1};
static struct server *server;
static struct gateway *gateway;
static struct callers *callers;
static int64_t newest = 1000;
static size_t batch_max, line_size;
static bool is_durable;
static int padding;

static void check(int status, const struct vios_error *error)
{
    if (status < 0) {
        fprintf(stderr, "event_fanout: %s\n", error->message);
        exit(1);
    }
}

/* --- what the feed is asked --- */

static int make_state(struct node *of, json_t **state, int64_t *sequence,
                      struct operation *operation)
{
    (void)operation;
    *sequence = newest;
    *state = json_pack("{s:s}", "primary", of->name);
    return VIOS_OK;
}

static int no_older(struct node *of, int64_t after, struct event_post *posts[PAYLOAD_EVENTS_MAX],
                    size_t *count, struct operation *operation)
{
    (void)of;
    (void)posts;
    *count = 0;
    return after < newest ? operation_fail(operation, VIOS_E_COMPACTED, NULL, NULL, "not kept")
                          : VIOS_OK;
}

/* --- the node --- */

static void refused(struct node *of, const char *port, const char *who, const char *why)
{
    (void)of;
    (void)port;
    fprintf(stderr, "%s: %s\n", who, why);
}

static const struct node_hooks hooks = {.refused = refused};
static const struct method_group *const groups[] = {NULL};

/* An authority, and a certificate of it. */
static void make_identity(struct vios_error *error)
{
    struct authority *authority = NULL;
    struct credentials made = {0};
    char *request = NULL, serial[CERTIFICATE_SERIAL_SIZE];
    check(authority_make(&authority, "lab", CLUSTER_UUID, error), error);
    check(certificate_request(node.name, &made.key, &request, error), error);
    check(authority_sign(authority, request, node.name, &made.certificate, serial, error), error);
    made.authority = strdup(authority_certificate(authority));
    check(credentials_write(&node, &made, error), error);
    credentials_clear(&made);
    authority_free(authority);
    free(request);
    check(identity_new(&node.identity, &node, error), error);
}

/* A repository in the folder, of this cluster. */
static void make_repository(const char *folder, struct store *store, struct operation *operation)
{
    char path[4200];
    const struct store_change cluster = {
        .key = "/cluster", .json = "{\"v\":1,\"name\":\"lab\",\"uuid\":\"" CLUSTER_UUID "\"}"};
    snprintf(path, sizeof path, "%s/repository", folder);
    if (mkdir(path, 0700) != 0) {
        perror(path);
        exit(1);
    }
    node.config = config_new();
    check(config_set(node.config, "repository", path, &operation->error), &operation->error);
    check(store_commit(store, NULL, 0, &cluster, 1, NULL, operation), &operation->error);
    check(repository_check(&node, store, true, operation), &operation->error);
}

static void make_node(const char *folder, struct vios_error *error)
{
    char store[4200];
    struct store *made = NULL;
    struct operation operation;
    node.hooks = &hooks;
    node.method_groups = groups;
    node.run_dir = node.state_dir = folder;
    node.run_dir_fd = node.state_dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    node.members = members_new();
    snprintf(store, sizeof store, "sqlite:%s/vios.db", folder);
    node.stores = store_pool_new(store);
    operation_start(&operation, 60000, NULL);
    check(node_store_create(&node, &made, &operation), &operation.error);
    if (is_durable) {
        make_repository(folder, made, &operation);
        newest = 0;
    }
    node_store_return(&node, made);
    make_identity(error);
    atomic_store(&node.active, true);
}

/* --- the callers --- */

/* Many in one commit: their records are as caller_register() makes them. */
static void commit_callers(struct store *store, size_t from, size_t count, FILE *file)
{
    static char keys[REGISTERED_AT_ONCE][CALLER_KEY_SIZE];
    struct store_change changes[REGISTERED_AT_ONCE];
    struct operation operation;
    operation_start(&operation, 60000, NULL);
    for (size_t i = 0; i < count; i++) {
        struct caller caller = {.registered = "2026-11-26T12:00:00.000Z", .by = "uid:0"};
        uint8_t secret[CALLER_TOKEN_BYTES], digest[DIGEST_SIZE];
        char token[CALLER_TOKEN_SIZE];
        check(crypto_random(secret, sizeof secret, &operation.error), &operation.error);
        crypto_hex(secret, sizeof secret, token);
        crypto_digest(token, strlen(token), "", 0, digest, NULL);
        crypto_hex(digest, sizeof digest, caller.token_hash);
        snprintf(caller.id, sizeof caller.id, "caller%zu", from + i);
        caller_key(caller.id, keys[i]);
        changes[i] = (struct store_change){.key = keys[i], .json = caller_format(&caller)};
        fprintf(file, "%s %s\n", caller.id, token);
    }
    check(store_commit(store, NULL, 0, changes, count, NULL, &operation), &operation.error);
    for (size_t i = 0; i < count; i++) {
        free((char *)changes[i].json);
    }
}

static FILE *create(const char *folder, const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

static void register_callers(const char *folder, size_t count)
{
    struct operation operation;
    struct store *store;
    FILE *file = create(folder, "callers");
    operation_start(&operation, 60000, NULL);
    check(node_store(&node, &store, &operation), &operation.error);
    for (size_t done = 0; done < count; done += REGISTERED_AT_ONCE) {
        size_t left = count - done;
        commit_callers(store, done, left < REGISTERED_AT_ONCE ? left : REGISTERED_AT_ONCE, file);
    }
    fclose(file);
    node_store_return(&node, store);
}

static void tell_first(const char *folder, const char *address)
{
    char path[4200], id[80], token[80];
    struct vios_error error = {0};
    struct credentials credentials = {0};
    snprintf(path, sizeof path, "%s/callers", folder);
    FILE *from = fopen(path, "r"), *to = create(folder, "caller.json");
    check(credentials_read(&node, &credentials, &error), &error);
    if (from && fscanf(from, "%79s %79s", id, token) == 2) {
        json_t *json = json_pack("{s:s, s:s, s:s, s:[s], s:s}", "id", id, "token", token, "address",
                                 address, "addresses", address, "authority", credentials.authority);
        json_dumpf(json, to, JSON_COMPACT);
        json_decref(json);
    }
    credentials_clear(&credentials);
    if (from) {
        fclose(from);
    }
    fclose(to);
}

/* --- events --- */

static struct event_post *make_post(void)
{
    char time[CLOCK_TEXT_SIZE];
    struct event_post *post = malloc(sizeof *post + line_size + 256);
    if (!post) {
        exit(1);
    }
    post->sequence = ++newest;
    snprintf(post->class_name, sizeof post->class_name, "test");
    snprintf(post->object, sizeof post->object, "n1");
    int head =
        snprintf(post->line, 256,
                 "{\"event\":{\"seq\":%" PRId64 ",\"restores\":0,\"epoch\":1,\"node\":\"n1\","
                 "\"time\":\"%s\",\"class\":\"test\",\"object\":\"n1\",\"operation\":\"x\","
                 "\"data\":{\"x\":\"",
                 newest, clock_format(clock_wall_ms(), time));
    int left = (int)line_size - head - 6;
    post->size = (size_t)head;
    post->size += (size_t)snprintf(post->line + head, line_size + 256 - (size_t)head, "%*s\"}}}\n",
                                   left > 0 ? left : 0, "");
    return post;
}

static json_t *make_event(int64_t sent_us)
{
    char text[EVENT_LINE_MAX];
    struct vios_error error = {0};
    json_t *made = NULL;
    snprintf(text, sizeof text, "%*s", padding, "");
    json_t *data = json_pack("{s:I, s:s}", "sent_us", (json_int_t)sent_us, "x", text);
    const struct event event = {
        .class = "test", .object = node.name, .operation = "x", .data = data};
    check(event_to_json(&event, sent_us / 1000, &made, &error), &error);
    json_decref(data);
    return made;
}

/* How much is to be put into an event, for its line to have the size that is wanted. */
static void choose_padding(void)
{
    struct payload payload = {.count = 1, .events = {make_event(clock_wall_ms() * 1000)}};
    struct event_post *post = event_post_new(&payload, 0, 1000, 0);
    if (post && line_size > post->size) {
        padding = (int)(line_size - post->size);
    }
    free(post);
    payload_clear(&payload);
}

/* As the producer does it, and then the feed. */
static void publish_batch(struct payload *payload, struct event_post **posts)
{
    struct store *store;
    struct operation operation;
    int64_t revision = 0;
    operation_start(&operation, 60000, NULL);
    check(node_store(&node, &store, &operation), &operation.error);
    check(publish(&node, store, payload, &revision, &operation), &operation.error);
    node_store_return(&node, store);
    for (size_t i = 0; i < payload->count; i++) {
        posts[i] = event_post_new(payload, i, revision, 0);
        if (!posts[i]) {
            exit(1);
        }
        newest = posts[i]->sequence;
    }
}

/* When the event of this index is due: at once without a rate. */
static int64_t due_ns(int64_t began_ns, int64_t index, int64_t rate)
{
    return rate > 0 ? began_ns + index * 1000000000 / rate : clock_now_ns();
}

static void await(int64_t until_ns)
{
    int64_t left_ns = until_ns - clock_now_ns();
    if (left_ns > 0) {
        nanosleep(&(struct timespec){left_ns / 1000000000, left_ns % 1000000000}, NULL);
    }
}

static void post_events(int64_t count, int64_t rate)
{
    struct event_post *posts[PAYLOAD_EVENTS_MAX];
    int64_t began_ns = clock_now_ns(), wall_ns = clock_wall_ms() * 1000000 - began_ns;
    for (int64_t done = 0; done < count;) {
        struct payload payload;
        size_t many = 0;
        int64_t until_ns = due_ns(began_ns, done, rate);
        await(until_ns);
        publish_begin(&node, &payload);
        while (many < batch_max && done < count && until_ns <= clock_now_ns()) {
            if (is_durable) {
                payload.events[payload.count++] = make_event((wall_ns + until_ns) / 1000);
            } else {
                posts[many] = make_post();
            }
            many++;
            until_ns = due_ns(began_ns, ++done, rate);
        }
        if (is_durable) {
            publish_batch(&payload, posts);
        }
        callers_post(callers, posts, many);
        payload_clear(&payload);
    }
    printf("posted %" PRId64 "\n", newest);
}

static void show(void)
{
    json_t *rows = callers_show(callers);
    json_dumpf(rows, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(rows);
}

static void obey(const char *line)
{
    long long count = 0, rate = 0;
    if (sscanf(line, "post %lld %lld", &count, &rate) >= 1) {
        post_events(count, rate);
    } else if (strcmp(line, "close\n") == 0) {
        callers_close(callers);
        printf("closed\n");
    } else if (strcmp(line, "open\n") == 0) {
        callers_open(callers, 1, 0, newest);
        printf("open\n");
    } else if (strcmp(line, "show\n") == 0) {
        show();
    } else {
        printf("what?\n");
    }
    fflush(stdout);
}

/* --- the whole --- */

static void *serve(void *argument)
{
    (void)argument;
    server_run(server);
    return NULL;
}

static void start(const char *folder, struct vios_error *error)
{
    char address[96];
    struct rlimit limit;
    struct callers_settings settings = {.node = &node, .state = make_state, .older = no_older};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int listener = transport_listen("tcp:127.0.0.1:0", error);
    check(listener, error);
    check(transport_address(listener, address, sizeof address, error), error);
    check(callers_start(&callers, &settings, error), error);
    atomic_store(&node.callers, callers);
    callers_open(callers, 1, 0, newest);
    check(server_new(&server, &node, &rules, error), error);
    check(gateway_start(&gateway, &node, server, listener, error), error);
    tell_first(folder, address + strlen("tcp:"));
    printf("%s\n", address + strlen("tcp:"));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[128];
    pthread_t thread;
    struct vios_error error = {0};
    if (argc < 5 || argc > 6 || (argc == 6 && strcmp(argv[5], "durable") != 0)) {
        fprintf(stderr, "usage: event_fanout FOLDER CALLERS BATCH SIZE [durable]\n");
        return 2;
    }
    is_durable = argc == 6;
    signal(SIGPIPE, SIG_IGN);
    batch_max = (size_t)strtoul(argv[3], NULL, 10);
    line_size = (size_t)strtoul(argv[4], NULL, 10);
    if (batch_max < 1 || batch_max > PAYLOAD_EVENTS_MAX || line_size > EVENT_LINE_MAX) {
        fprintf(stderr, "event_fanout: that is no batch, or no size\n");
        return 2;
    }
    make_node(argv[1], &error);
    choose_padding();
    register_callers(argv[1], (size_t)strtoul(argv[2], NULL, 10));
    start(argv[1], &error);
    if (pthread_create(&thread, NULL, serve, NULL) != 0) {
        return 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        obey(line);
    }
    gateway_stop(gateway);
    server_stop(server);
    pthread_join(thread, NULL);
    server_free(server);
    callers_stop(callers);
    identity_free(node.identity);
    members_free(node.members);
    store_pool_free(node.stores);
    config_free(node.config);
    return 0;
}
