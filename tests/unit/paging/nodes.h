/*
 * nodes.h - a host and its page servers as child processes of a test: each can be killed,
 * stopped, and started again with the memory it had, as io processes are. The test itself is
 * the guest and talks NBD to the host's pager.
 */
#ifndef TESTS_PAGING_NODES_H
#define TESTS_PAGING_NODES_H

#include "base/clock.h"
#include "nbd/client.h"
#include "nbd/server.h"
#include "paging/page_memory.h"
#include "paging/pager.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LPAR "11111111-1111-4111-8111-111111111111"
#define PAGE 4096u
#define NODES 4 /* page servers; the host is number NODES */
#define HOST NODES
#define DEVICE_PAGES 256u
#define WAIT_MS 20000

struct shared { /* with one child */
    volatile int ready, fd, command;
    volatile int frozen;     /* it answers no request until this is 0 */
    volatile int has_frozen; /* it did so */
    char text[16384];
};

static struct shared *shared; /* NODES + 1 of them */
static pid_t pids[NODES + 1];
static int kept[NODES + 1];        /* their memfds, -1 none */
static struct pager_region region; /* what the host pages to; one region, or two */
static struct pager_region regions[2];
static size_t region_count = 1;
static int64_t late_ms = 5000, stall_ms = 10000; /* a machine may stand still for a while */
static uint64_t generation = 1;
static enum pager_policy policy;
static const char *disk;

/* --- in the children --- */

static struct nbd_export *served[64];
static pthread_mutex_t served_lock = PTHREAD_MUTEX_INITIALIZER;
static struct page_memory *page_memory;
static struct worker *child_worker;
static struct nbd_server *server;

static struct shared *own; /* this child's */
static const struct nbd_backend_operations *page_operations;

static void freezing_submit(struct nbd_export *export, struct nbd_request *request)
{
    while (own->frozen) {
        own->has_frozen = 1;
        usleep(500);
    }
    page_operations->submit(export, request);
}

/* A page server's export that can be frozen. */
static void make_freezable(struct nbd_export *export)
{
    static struct nbd_backend_operations operations;
    page_operations = export->operations;
    operations = *page_operations;
    operations.submit = freezing_submit;
    export->operations = &operations;
}

static void serve(void *context, struct nbd_export *export)
{
    if (context) {
        make_freezable(export);
    }
    pthread_mutex_lock(&served_lock);
    for (size_t i = 0; i < 64; i++) {
        if (!served[i]) {
            served[i] = export;
            break;
        }
    }
    pthread_mutex_unlock(&served_lock);
}

static void unserve(void *context, struct nbd_export *export)
{
    (void)context;
    pthread_mutex_lock(&served_lock);
    for (size_t i = 0; i < 64; i++) {
        served[i] = served[i] == export ? NULL : served[i]; /* never freed: the child ends soon */
    }
    pthread_mutex_unlock(&served_lock);
}

static struct nbd_export *lookup(const char *name)
{
    struct nbd_export *found = NULL;
    pthread_mutex_lock(&served_lock);
    for (size_t i = 0; i < 64; i++) {
        if (served[i] && strcmp(served[i]->name, name) == 0) {
            found = served[i];
        }
    }
    pthread_mutex_unlock(&served_lock);
    return found;
}

static struct nbd_export *find(void *context, const char *name, const char *identity)
{
    struct nbd_export *found = lookup(name);
    (void)context, (void)identity;
    if (!found && page_memory && page_memory_raise(page_memory, name, "host", NULL) == VIOS_OK) {
        found = lookup(name);
    }
    return found;
}

static void release(void *context, struct nbd_export *export)
{
    (void)context, (void)export;
}

static void list(void *context, const char *identity,
                 void (*one)(void *cookie, const struct nbd_export *export), void *cookie)
{
    (void)context, (void)identity, (void)one, (void)cookie;
}

static const struct nbd_server_operations server_operations = {find, release, list};

static void accept_ready(struct watch *watch, uint32_t events)
{
    struct transport *transport;
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && transport_plain(&transport, fd, NULL) == VIOS_OK) {
        nbd_server_serve(server, transport, child_worker, "node:host");
    }
}

static struct watch listener = {.ready = accept_ready};

static void watch_listener(struct task *task)
{
    (void)task;
    worker_watch(child_worker, &listener, 1, NULL);
}

static void child_address(char *text, size_t size, int number)
{
    snprintf(text, size, "unix:%s/%d.sock", tap_folder(), number);
}

static void child_listen(int number)
{
    static struct task task = {.run = watch_listener};
    struct vios_error error = {0};
    char address[160];
    child_address(address, sizeof address, number);
    nbd_server_new(&server, &server_operations, NULL, &error);
    listener.fd = transport_listen(address, &error);
    if (listener.fd < 0) {
        printf("# %s: %s\n", address, error.message);
        _exit(2);
    }
    worker_post(child_worker, &task);
}

static void page_server(int number)
{
    static const struct page_memory_hooks hooks = {serve, unserve, (void *)&page_operations};
    struct vios_error error = {0};
    struct page_memory_region granted[2];
    for (size_t i = 0; i < region_count; i++) {
        granted[i] = (struct page_memory_region){
            (uint32_t)i, 1, region_count == 1 ? region.size_bytes : regions[i].size_bytes};
    }
    if (page_memory_open(&page_memory, kept[number], DEVICE_PAGES * PAGE, &child_worker, 1, &hooks,
                         &error) != VIOS_OK ||
        page_memory_grant(page_memory, LPAR, "host", generation, granted, region_count, &error) !=
            VIOS_OK) {
        printf("# page server %d: %s\n", number, error.message);
        _exit(2);
    }
    shared[number].fd = page_memory_descriptor(page_memory);
}

static struct nbd_export *host_pager(void)
{
    static const struct pager_hooks hooks = {NULL, NULL};
    struct vios_error error = {0};
    struct nbd_export *export = NULL;
    struct pager_configuration configuration = {.name = "paging/" LPAR "/1",
                                                .lpar = LPAR,
                                                .generation = generation,
                                                .size_bytes = DEVICE_PAGES * PAGE,
                                                .policy = policy,
                                                .disk = disk,
                                                .regions = region_count == 1 ? &region : regions,
                                                .region_count = region_count,
                                                .late_ms = late_ms,
                                                .stall_ms = stall_ms};
    if (pager_open(&export, &configuration, kept[HOST], child_worker, &hooks, &error) != VIOS_OK) {
        printf("# pager: %s\n", error.message);
        _exit(2);
    }
    serve(NULL, export);
    shared[HOST].fd = pager_state_descriptor(export);
    return export;
}

static void child_obey(struct shared *mine, struct nbd_export *export)
{
    if (mine->command == 1) { /* regions, as text in `text` */
        struct vios_error error = {0};
        memcpy(&region, mine->text, sizeof region);
        mine->command = pager_set_regions(export, &region, 1, &error) == VIOS_OK ? 0 : -1;
    } else if (mine->command == 3) { /* claim, of the generation in `text` */
        uint64_t claimed = strtoull(mine->text, NULL, 10);
        struct vios_error error = {0};
        int status = export ? pager_claim(export, claimed, &error)
                            : page_memory_claim(page_memory, LPAR, claimed, "host", &error);
        snprintf(mine->text, sizeof mine->text, "%s", error.message);
        mine->command = status == VIOS_OK ? 0 : status;
    } else if (mine->command == 2) {
        json_t *object = json_object();
        export->operations->statistics(export, object);
        char *text = json_dumps(object, 0);
        snprintf(mine->text, sizeof mine->text, "%s", text);
        free(text);
        json_decref(object);
        mine->command = 0;
    }
}

static void child_main(int number)
{
    struct nbd_export *export = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    own = &shared[number];
    if (worker_start(&child_worker, "child", NULL) != VIOS_OK) {
        _exit(2);
    }
    if (number == HOST) {
        export = host_pager();
    } else {
        page_server(number);
    }
    child_listen(number);
    shared[number].ready = 1;
    for (;;) {
        usleep(1000);
        child_obey(&shared[number], export);
    }
}

/* --- in the test --- */

static void node_start(int number)
{
    shared[number].ready = shared[number].command = 0;
    fflush(stdout);
    pids[number] = fork();
    if (pids[number] == 0) {
        child_main(number);
        _exit(0);
    }
    int64_t until = clock_now_ms() + WAIT_MS;
    while (!shared[number].ready && clock_now_ms() < until) {
        usleep(200);
    }
    ok(shared[number].ready, "child %d is ready", number);
    if (kept[number] < 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pids[number], shared[number].fd);
        kept[number] = open(path, O_RDWR | O_CLOEXEC);
    }
}

__attribute__((unused)) static void node_kill(int number)
{
    if (pids[number] > 0) {
        kill(pids[number], SIGKILL);
        waitpid(pids[number], NULL, 0);
        pids[number] = 0;
    }
}

__attribute__((unused)) static void node_forget(int number)
{
    node_kill(number);
    if (kept[number] >= 0) {
        close(kept[number]);
        kept[number] = -1;
    }
}

static void region_replica(struct pager_region *of, int number)
{
    struct pager_replica *replica = &of->replicas[of->replica_count++];
    snprintf(replica->node, sizeof replica->node, "n%d", number);
    child_address(replica->address, sizeof replica->address, number);
}

__attribute__((unused)) static void host_set_regions(int first, int second)
{
    struct pager_region wanted = {.number = 1, .size_bytes = region.size_bytes};
    region_replica(&wanted, first);
    if (second >= 0) {
        region_replica(&wanted, second);
    }
    memcpy(shared[HOST].text, &wanted, sizeof wanted);
    region = wanted;
    shared[HOST].command = 1;
    while (shared[HOST].command == 1) {
        usleep(200);
    }
    is_int(shared[HOST].command, 0);
}

__attribute__((unused)) static int node_claim(int number, uint64_t claimed)
{
    snprintf(shared[number].text, sizeof shared[number].text, "%llu", (unsigned long long)claimed);
    shared[number].command = 3;
    while (shared[number].command == 3) {
        usleep(200);
    }
    return shared[number].command;
}

static json_t *host_statistics(void)
{
    shared[HOST].command = 2;
    while (shared[HOST].command == 2) {
        usleep(200);
    }
    return json_loads(shared[HOST].text, 0, NULL);
}

__attribute__((unused)) static long long host_counter(const char *name)
{
    json_t *statistics = host_statistics();
    long long value = json_integer_value(json_object_get(statistics, name));
    json_decref(statistics);
    return value;
}

__attribute__((unused)) static bool host_await(const char *state)
{
    int64_t until = clock_now_ms() + WAIT_MS;
    bool there = false;
    while (!there && clock_now_ms() < until) {
        json_t *statistics = host_statistics();
        there = strcmp(json_string_value(json_object_get(statistics, "state")), state) == 0;
        json_decref(statistics);
    }
    return ok(there, "the pager does not become %s: %s", state, shared[HOST].text);
}

/* Page servers 0 .. count-1, and a host that mirrors to the first two. */
static void setup(int count)
{
    if (!shared) {
        shared = mmap(NULL, sizeof *shared * (NODES + 1), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
    for (int i = 0; i <= NODES; i++) {
        kept[i] = -1;
    }
    region = (struct pager_region){.number = 1, .size_bytes = DEVICE_PAGES * PAGE};
    region_replica(&region, 0);
    if (policy == PAGER_MIRROR) {
        region_replica(&region, 1);
    }
    for (int i = 0; i < count; i++) {
        node_start(i);
    }
    node_start(HOST);
}

static void teardown(void)
{
    for (int i = 0; i <= NODES; i++) {
        node_forget(i);
    }
    late_ms = 5000;
    stall_ms = 10000;
    policy = PAGER_MIRROR;
    region_count = 1;
    generation = 1;
}

/* --- the guest: blocking requests over an nbd_client --- */

struct guest_call {
    struct task task;
    struct nbd_client_request request;
    volatile int done, error;
};

static struct worker *guest_worker;
static struct nbd_client *guest_client; /* of the worker's thread */

static void guest_ready(void *context, const struct nbd_client_export *export)
{
    (void)context, (void)export;
}

static void guest_closed(void *context, const struct vios_error *why)
{
    (void)context, (void)why;
    nbd_client_free(guest_client);
    guest_client = NULL;
}

static void guest_done(struct nbd_client_request *request, int error)
{
    struct guest_call *call = (void *)((char *)request - offsetof(struct guest_call, request));
    call->error = error;
    __atomic_store_n(&call->done, 1, __ATOMIC_RELEASE);
}

static void guest_run(struct task *task)
{
    static const struct nbd_client_callbacks callbacks = {guest_ready, guest_closed, NULL};
    struct guest_call *call = (struct guest_call *)task;
    char address[160];
    child_address(address, sizeof address, HOST);
    if (!guest_client && nbd_client_open(&guest_client, guest_worker, address, "paging/" LPAR "/1",
                                         60000, &callbacks, NULL) != VIOS_OK) {
        guest_client = NULL;
        guest_done(&call->request, ECONNRESET);
        return;
    }
    nbd_client_submit(guest_client, &call->request);
}

/* Starts a request; guest_wait() gives its errno. */
static void guest_start(struct guest_call *call, uint16_t command, uint64_t offset, uint32_t length,
                        void *data)
{
    if (!guest_worker) {
        worker_start(&guest_worker, "guest", NULL);
    }
    *call = (struct guest_call){.task.run = guest_run};
    call->request = (struct nbd_client_request){
        .command = command, .offset = offset, .length = length, .data = data, .done = guest_done};
    worker_post(guest_worker, &call->task);
}

static int guest_wait(struct guest_call *call)
{
    int64_t until = clock_now_ms() + 3 * WAIT_MS;
    while (!__atomic_load_n(&call->done, __ATOMIC_ACQUIRE) && clock_now_ms() < until) {
        usleep(20);
    }
    if (!ok(call->done, "a request is not answered")) {
        json_decref(host_statistics());
        printf("# %s\n", shared[HOST].text);
        exit(1);
    }
    return call->error;
}

/* As a guest's hypervisor does: what met a dead server is sent again. */
static int guest_io(uint16_t command, uint64_t offset, uint32_t length, void *data)
{
    int64_t until = clock_now_ms() + 2 * WAIT_MS;
    struct guest_call call;
    int error;
    do {
        guest_start(&call, command, offset, length, data);
        error = guest_wait(&call);
    } while (error == ECONNRESET && clock_now_ms() < until);
    return error;
}

#endif
