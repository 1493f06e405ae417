/* Proves: the daemon's side of io against the program itself, killed at any moment: hundreds of
 * listeners, exports and pagers outlive it, nothing that a call has promised is missing, and no
 * pager ever comes back empty. Then an io that lies, and one that cannot be had. */
/* needs: heavy */
/* limit: 90 */
#include "base/clock.h"
#include "base/log.h"
#include "net/transport.h"
#include "node/io_client.h"
#include "node/io_wire.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE_MS 40000
#define LPAR "11111111-2222-4333-8444-%012d"

static char io_program[PATH_MAX];
static char run_dir[128];
static struct io_client *client;
static atomic_int restored;

static void on_restored(void *context)
{
    (void)context;
    restored++;
}

static void nap(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void fresh_folder(void)
{
    static int number;
    snprintf(run_dir, sizeof run_dir, "%s/%d", tap_folder(), ++number);
    mkdir(run_dir, 0700);
}

static void start(const char *program)
{
    struct vios_error error;
    struct io_client_settings settings = {.program = program,
                                          .run_dir = run_dir,
                                          .page_memory_bytes = 1 << 20,
                                          .restored = on_restored};
    is_int(io_client_start(&client, &settings, &error), VIOS_OK);
}

static struct operation patience(void)
{
    struct operation operation;
    operation_start(&operation, PATIENCE_MS, NULL);
    return operation;
}

/* Takes over the request. */
static int call(json_t *request, struct operation *operation)
{
    int status = io_client_call(client, request, NULL, 0, NULL, operation);
    if (status != VIOS_OK) {
        printf("# %s: %s\n", operation->error.object, operation->error.message);
    }
    return status;
}

static int listen_at(int number)
{
    char path[64], as[64];
    struct operation operation = patience();
    snprintf(path, sizeof path, "guest/%d.sock", number);
    snprintf(as, sizeof as, "lpar:" LPAR, number);
    return call(json_pack("{s:s, s:s, s:s}", "do", "listen", "path", path, "as", as), &operation);
}

static int unlisten(int number)
{
    char path[64];
    struct operation operation = patience();
    snprintf(path, sizeof path, "guest/%d.sock", number);
    return call(json_pack("{s:s, s:s}", "do", "unlisten", "path", path), &operation);
}

static void pager_name(int number, char *name, size_t size)
{
    snprintf(name, size, "paging/" LPAR "/1", number);
}

/* A pager whose replica is nowhere: its state is what matters here. With `state` >= 0 that, in
 * place of the one that is there. */
static int export_with(int number, int state)
{
    char name[96], lpar[64], address[256];
    struct operation operation = patience();
    pager_name(number, name, sizeof name);
    snprintf(lpar, sizeof lpar, LPAR, number);
    snprintf(address, sizeof address, "unix:%s/nobody", run_dir);
    json_t *request = json_pack(
        "{s:s, s:s, s:s, s:b, s:{s:s, s:i, s:i, s:s, s:n, s:[{s:i, s:i, s:i, s:i, s:[{s:s, s:s}]}]}"
        "}",
        "do", "export", "name", name, "lpar", lpar, "replace", state >= 0, "backend", "kind",
        "pager", "generation", 1, "size_bytes", 65536, "policy", "single", "disk", "regions",
        "index", 0, "number", 1, "offset", 0, "size_bytes", 65536, "replicas", "node", "n2",
        "address", address);
    return io_client_call(client, request, &state, state >= 0 ? 1 : 0, NULL, &operation);
}

static int export_pager(int number)
{
    return export_with(number, -1);
}

static int fetch_state(int number)
{
    char name[96];
    int descriptor;
    struct operation operation = patience();
    pager_name(number, name, sizeof name);
    int status = io_client_fetch(client, json_pack("{s:s, s:s}", "do", "state", "name", name),
                                 &descriptor, &operation);
    return status < 0 ? status : descriptor;
}

static int drop_pager(int number)
{
    char name[96];
    struct operation operation = patience();
    pager_name(number, name, sizeof name);
    return call(json_pack("{s:s, s:s}", "do", "drop", "name", name), &operation);
}

static int claim(int number, int generation)
{
    char lpar[64];
    struct operation operation = patience();
    snprintf(lpar, sizeof lpar, LPAR, number);
    return call(json_pack("{s:s, s:s, s:i, s:s}", "do", "claim", "lpar", lpar, "generation",
                          generation, "node", "n1"),
                &operation);
}

/* --- what io has, asked behind the client's back --- */

static json_t *ask(json_t *request, struct io_descriptors *received)
{
    char address[256];
    bool answered;
    json_t *answer = NULL;
    struct operation operation = patience();
    snprintf(address, sizeof address, "unix:%s/io.sock", run_dir);
    int fd = transport_connect(address, &operation);
    if (fd >= 0) {
        io_wire_exchange(fd, request, NULL, &answer, received, &answered, &operation);
        close(fd);
    }
    json_decref(request);
    return answer;
}

/* {"NAME": inode of the state or 0}, or {"PATH": inode of the socket}. */
static json_t *inventory(const char *what, const char *list, const char *key)
{
    json_t *all = json_object(), *after = json_null();
    while (after) {
        struct io_descriptors received = {.count = 0};
        json_t *request = json_pack("{s:s, s:s, s:O*}", "do", "give", "what", what, "after",
                                    json_is_null(after) ? NULL : after);
        json_t *answer = ask(request, &received), *item;
        size_t index;
        ok(answer != NULL, "io answers");
        json_array_foreach(json_object_get(json_object_get(answer, "description"), list), index,
                           item)
        {
            json_t *place = json_object_get(item, "descriptor");
            size_t at = place ? (size_t)json_integer_value(place) : index;
            struct stat status = {0};
            if (!json_is_null(place) && at < received.count) {
                fstat(received.fds[at], &status);
            }
            json_object_set_new(all, json_string_value(json_object_get(item, key)),
                                json_integer((json_int_t)status.st_ino));
        }
        json_decref(after);
        after = json_incref(json_object_get(answer, "next"));
        io_descriptors_close(&received);
        json_decref(answer);
    }
    return all;
}

static void kill_io(void)
{
    pid_t pid = io_client_pid(client);
    if (pid > 0) {
        kill(pid, SIGKILL);
    }
}

static void await_other(pid_t before)
{
    for (int64_t end = clock_now_ms() + PATIENCE_MS; clock_now_ms() < end;) {
        pid_t pid = io_client_pid(client);
        if (pid > 0 && pid != before) {
            return;
        }
        nap(5);
    }
    ok(false, "no successor came");
}

/* --- the tests --- */

static void hundreds_outlive_a_kill(void)
{
    enum { LISTENERS = 450, PAGERS = 150 };
    fresh_folder();
    start(io_program);
    int bad = 0;
    for (int i = 0; i < LISTENERS; i++) {
        bad += listen_at(i) != VIOS_OK;
    }
    for (int i = 0; i < PAGERS; i++) {
        bad += export_pager(i) != VIOS_OK;
    }
    is_int(bad, 0);
    json_t *listeners = inventory("listeners", "listeners", "path");
    json_t *pagers = inventory("pager", "exports", "name");
    is_int(json_object_size(listeners), LISTENERS);
    is_int(json_object_size(pagers), PAGERS);
    pid_t before = io_client_pid(client);
    kill_io();
    await_other(before);
    json_t *listeners_after = inventory("listeners", "listeners", "path");
    json_t *pagers_after = inventory("pager", "exports", "name");
    ok(json_equal(listeners, listeners_after), "the same sockets are there");
    ok(json_equal(pagers, pagers_after), "the same pagers, with the state they had");
    json_decref(listeners_after);
    json_decref(pagers_after);
    json_decref(listeners);
    json_decref(pagers);
    io_client_stop(client, true);
}

/* As the target of a migration does it. */
static int copy_of(int state, size_t size)
{
    static char data[1 << 20];
    ssize_t got = pread(state, data, sizeof data, 0);
    int copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ok(got > 0 && (size_t)got >= size, "it has %zd bytes", got);
    ok(write(copy, data, size) == (ssize_t)size, "it is written");
    ok(fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0, "it is sealed");
    return copy;
}

static void a_pager_takes_the_place_and_state_of_another(void)
{
    struct stat before, after;
    fresh_folder();
    start(io_program);
    is_int(export_pager(0), VIOS_OK);
    int state = fetch_state(0);
    ok(state >= 0 && fstat(state, &before) == 0 && before.st_size > 0, "it has a state");
    int whole = copy_of(state, (size_t)before.st_size), cut = copy_of(state, 4096);
    is_int(export_with(0, cut), VIOS_E_INVALID);
    is_int(export_with(0, whole), VIOS_OK);
    int now = fetch_state(0);
    ok(now >= 0 && fstat(now, &after) == 0 && fstat(whole, &before) == 0 &&
           after.st_ino == before.st_ino,
       "the one that was given");
    is_int(fetch_state(1), VIOS_E_NOT_FOUND);
    close(state), close(whole), close(cut), close(now);
    io_client_stop(client, true);
}

/* Kills io, each time a little after the client had another one. */
static atomic_bool killing;
static atomic_int kills;

static void *killer(void *argument)
{
    unsigned seed = *(unsigned *)argument;
    pid_t killed = 0;
    while (atomic_load(&killing) && kills < 3) { /* a life that is short costs a pause */
        pid_t pid = io_client_pid(client);
        if (pid > 0 && pid != killed) {
            nap(rand_r(&seed) % 60);
            kill(pid, SIGKILL);
            killed = pid;
            kills++;
        }
        nap(1);
    }
    return NULL;
}

enum { THINGS = 24 };

struct model {
    bool listens[THINGS];
    bool exported[THINGS];
    json_int_t state[THINGS]; /* inode of the state, as the first give after the export said */
    int generation[THINGS];
};

static int step(struct model *model, unsigned *seed)
{
    int number = rand_r(seed) % THINGS;
    int status = VIOS_OK;
    switch (rand_r(seed) % 4) {
    case 0:
        status = model->listens[number] ? unlisten(number) : listen_at(number);
        model->listens[number] ^= status == VIOS_OK;
        break;
    case 1:
        status = model->exported[number] ? drop_pager(number) : export_pager(number);
        model->exported[number] ^= status == VIOS_OK;
        model->state[number] = 0;
        model->generation[number] = 1;
        break;
    default:
        if (model->exported[number]) {
            status = claim(number, ++model->generation[number]);
        }
    }
    return status;
}

/* What must be there is, nothing else, and each pager still has the state it began with. */
static void compare(struct model *model)
{
    json_t *listeners = inventory("listeners", "listeners", "path");
    json_t *pagers = inventory("pager", "exports", "name");
    size_t listening = 0, exported = 0;
    for (int i = 0; i < THINGS; i++) {
        char path[256], name[96];
        snprintf(path, sizeof path, "%s/guest/%d.sock", run_dir, i);
        pager_name(i, name, sizeof name);
        listening += model->listens[i];
        exported += model->exported[i];
        ok(model->listens[i] == (json_object_get(listeners, path) != NULL), "listener %d", i);
        ok(model->exported[i] == (json_object_get(pagers, name) != NULL), "pager %d", i);
        if (model->exported[i]) {
            json_int_t state = json_integer_value(json_object_get(pagers, name));
            ok(model->state[i] == 0 || model->state[i] == state, "pager %d came back empty", i);
            model->state[i] = state;
        }
    }
    is_int(json_object_size(listeners), listening);
    is_int(json_object_size(pagers), exported);
    json_decref(listeners);
    json_decref(pagers);
}

static void one_round(struct model *model, unsigned seed)
{
    pthread_t thread;
    unsigned own_seed = seed;
    int bad = 0, steps = 0;
    start(io_program); /* a daemon that comes anew finds the io of the one before */
    kills = 0;
    atomic_store(&killing, true);
    pthread_create(&thread, NULL, killer, &seed);
    while (kills < 3 || steps < 40) {
        bad += step(model, &own_seed) != VIOS_OK;
        steps++;
    }
    atomic_store(&killing, false);
    pthread_join(thread, NULL);
    struct operation operation = patience();
    is_int(call(json_pack("{s:s}", "do", "statistics"), &operation), VIOS_OK);
    is_int(bad, 0);
    compare(model);
}

static void nothing_is_lost_at_any_moment(void)
{
    struct model model = {0};
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)clock_now_ms();
    printf("# SEED=%u\n", seed);
    fresh_folder();
    for (unsigned round = 0; round < 8; round++) {
        one_round(&model, seed + round);
        io_client_stop(client, round == 7);
    }
}

static void who_could_not_wait_is_kept_too(void)
{
    fresh_folder();
    start(io_program);
    is_int(listen_at(0), VIOS_OK);
    /* as if its caller had been cancelled before the give: io alone knows of it */
    json_decref(ask(
        json_pack("{s:s, s:s, s:s}", "do", "listen", "path", "late.sock", "as", "local"), NULL));
    char late[256];
    bool there = false;
    snprintf(late, sizeof late, "%s/late.sock", run_dir);
    for (int i = 0; i < 40 && !there; i++) {
        io_client_serve(client, 0, 0); /* asks for the statistics */
        nap(50);
        pid_t before = io_client_pid(client);
        if (i % 10 == 9) {
            kill_io();
            await_other(before);
            json_t *listeners = inventory("listeners", "listeners", "path");
            there = json_object_get(listeners, late) != NULL;
            ok(there, "the successor listens there");
            json_decref(listeners);
            break;
        }
    }
    io_client_stop(client, true);
}

static void who_comes_after_a_kill_is_told(void)
{
    fresh_folder();
    restored = 0;
    start(io_program);
    is_int(listen_at(0), VIOS_OK);
    is_int(restored, 0);
    pid_t before = io_client_pid(client);
    kill_io();
    await_other(before);
    for (int i = 0; i < 400 && restored == 0; i++) {
        nap(10);
    }
    is_int(restored, 1);
    io_client_stop(client, true);
    is_int(kill(before, 0), -1);
}

static void the_end_leaves_io_alone(void)
{
    fresh_folder();
    start(io_program);
    is_int(listen_at(0), VIOS_OK);
    pid_t pid = io_client_pid(client);
    io_client_stop(client, false);
    is_int(kill(pid, 0), 0);
    start(io_program);
    is_int(listen_at(1), VIOS_OK);
    is_int(io_client_pid(client), pid);
    json_t *listeners = inventory("listeners", "listeners", "path");
    is_int(json_object_size(listeners), 2);
    json_decref(listeners);
    io_client_stop(client, true);
    is_int(waitpid(pid, NULL, WNOHANG), -1);
}

/* --- an io that lies: a child of ours --- */

enum lie { NO_LIE, NO_PID, GIVE_FAILS, GIVE_NOTHING, GIVE_TOO_LITTLE, GIVE_FOR_EVER };

static const char *lie_of(enum lie lie, const char *word, const char *what)
{
    static char text[256];
    if (strcmp(word, "hello") == 0) {
        snprintf(text, sizeof text, "{\"ok\":true,\"pid\":%d}\n", lie == NO_PID ? 0 : getpid());
        return text;
    }
    if (strcmp(word, "give") != 0) {
        return "{\"ok\":true}\n";
    }
    if (strcmp(what, "listeners") != 0 || lie == NO_LIE) {
        return "{\"error\":{\"code\":\"not_found\"}}\n";
    }
    switch (lie) {
    case GIVE_FAILS:
        return "{\"error\":{\"code\":\"no_space\",\"message\":\"full\"}}\n";
    case GIVE_TOO_LITTLE:
        return "{\"ok\":true,\"description\":{\"listeners\":[{\"path\":\"x\",\"as\":\"local\"}]}}"
               "\n";
    case GIVE_FOR_EVER:
        return "{\"ok\":true,\"description\":{\"listeners\":[]},\"next\":\"x\"}\n";
    default:
        return "{\"ok\":true}\n";
    }
}

static void *serve_liar(void *argument)
{
    int fd = ((int *)argument)[0];
    enum lie lie = (enum lie)((int *)argument)[1];
    char line[65536];
    ssize_t got;
    while ((got = recv(fd, line, sizeof line, 0)) > 0) {
        json_t *request = json_loadb(line, (size_t)got, 0, NULL);
        const char *word = json_string_value(json_object_get(request, "do"));
        const char *what = json_string_value(json_object_get(request, "what"));
        const char *text = lie_of(lie, word ? word : "", what ? what : "");
        ssize_t sent = send(fd, text, strlen(text), MSG_NOSIGNAL);
        (void)sent; /* who has gone ends the loop */
        json_decref(request);
    }
    close(fd);
    free(argument);
    return NULL;
}

static pid_t start_liar(enum lie lie)
{
    char address[256];
    struct vios_error error;
    fresh_folder();
    snprintf(address, sizeof address, "unix:%s/io.sock", run_dir);
    int ready[2];
    char byte = 0;
    if (pipe2(ready, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid != 0) { /* who listens is who the credentials name: so the child does */
        close(ready[1]);
        ok(read(ready[0], &byte, 1) == 1, "the child listens");
        close(ready[0]);
        return pid;
    }
    int listener = transport_listen(address, &error);
    alarm(60);
    fcntl(listener, F_SETFL, 0); /* accept is to wait */
    byte = write(ready[1], "x", 1) == 1;
    for (int fd; listener >= 0 && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_t thread;
        int *argument = malloc(2 * sizeof *argument);
        fcntl(fd, F_SETFL, 0);
        argument[0] = fd;
        argument[1] = (int)lie;
        pthread_create(&thread, NULL, serve_liar, argument);
        pthread_detach(thread);
    }
    _exit(0);
}

static void end_liar(pid_t pid)
{
    io_client_stop(client, false);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void check_lie(enum lie lie, int status, const char *message)
{
    struct operation operation = patience();
    pid_t pid = start_liar(lie);
    start("/nonexistent/io");
    is_int(io_client_call(client,
                          json_pack("{s:s, s:s, s:s}", "do", "listen", "path", "x", "as", "local"),
                          NULL, 0, NULL, &operation),
           status);
    is_text(operation.error.message, message);
    end_liar(pid);
}

static void a_give_is_checked(void)
{
    check_lie(GIVE_FAILS, VIOS_E_NO_SPACE, "full");
    check_lie(GIVE_NOTHING, VIOS_E_CORRUPT, "what it gives as its listeners is not whole");
    check_lie(GIVE_TOO_LITTLE, VIOS_E_CORRUPT, "what it gives as its listeners is not whole");
    check_lie(GIVE_FOR_EVER, VIOS_E_CORRUPT, "what it gives as its listeners is not whole");
}

static void what_changes_nothing_needs_no_give(void)
{
    struct operation operation = patience();
    pid_t pid = start_liar(GIVE_FAILS);
    start("/nonexistent/io");
    is_int(call(json_pack("{s:s}", "do", "statistics"), &operation), VIOS_OK);
    is_int(io_client_pid(client), pid);
    end_liar(pid);
}

static void without_an_io_a_call_times_out(void)
{
    struct operation operation;
    pid_t pid = start_liar(NO_PID);
    start("/nonexistent/io");
    operation_start(&operation, 200, NULL);
    is_int(
        io_client_call(client, json_pack("{s:s}", "do", "statistics"), NULL, 0, NULL, &operation),
        VIOS_E_TIMEOUT);
    is_int(io_client_pid(client), 0);
    end_liar(pid);
    fresh_folder();
    start("/bin/false"); /* ends at once */
    operation_start(&operation, 200, NULL);
    is_int(
        io_client_call(client, json_pack("{s:s}", "do", "statistics"), NULL, 0, NULL, &operation),
        VIOS_E_TIMEOUT);
    io_client_stop(client, true);
}

int main(int count, char **words)
{
    char own[PATH_MAX];
    struct rlimit limit;
    (void)count;
    if (!realpath(words[0], own)) {
        return 1;
    }
    char *end = strstr(own, "/tests/unit/");
    *(end ? end : own) = 0;
    snprintf(io_program, sizeof io_program, "%.4000s/libexec/vios/io", own);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    setrlimit(RLIMIT_NOFILE, &limit);
    log_configure(LOG_ERROR, false);
    RUN(hundreds_outlive_a_kill);
    RUN(a_pager_takes_the_place_and_state_of_another);
    RUN(nothing_is_lost_at_any_moment);
    RUN(who_could_not_wait_is_kept_too);
    RUN(who_comes_after_a_kill_is_told);
    RUN(the_end_leaves_io_alone);
    RUN(a_give_is_checked);
    RUN(what_changes_nothing_needs_no_give);
    RUN(without_an_io_a_call_times_out);
    return tap_done();
}
