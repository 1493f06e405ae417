/* test_jobs.c - starting, stopping, adopting guests: real QEMUs, no daemon, an io that says yes. */
/* needs: heavy */
/* limit: 120 */
#include "lpar/adopt.h"
#include "lpar/guest.h"
#include "lpar/jobs.h"
#include "lpar/run_folder.h"
#include "lpar/view.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/guests.h"
#include "base/log.h"
#include "paging/hand_over.h"
#include "paging/paging.h"
#include "tests/job_crash.h"
#include "tests/node_world.h"
#include "tests/unit/lpar/least.h"
#include "tests/unit/lpar/no_members.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

/* --- what stands in for other parts --- */

static json_t *io_exports; /* {"name": its LPAR's UUID}: what io has, as the requests go */
static int io_listeners;   /* sockets of guests */
static bool io_is_new;     /* another io is there just when a guest lets go of its socket */
static pthread_t restoring;
static bool is_restoring;

static void *restore(void *unused)
{
    (void)unused;
    lpars_restore_exports(node.lpars);
    return NULL;
}

/* Either it waits for the guest's end, or it is done soon. */
static void begin_restoring(void)
{
    struct timespec until;
    is_restoring = pthread_create(&restoring, NULL, restore, NULL) == 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 300000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    is_restoring = is_restoring && pthread_timedjoin_np(restoring, NULL, &until) != 0;
}

static json_t *export_list(void)
{
    json_t *list = json_array(), *lpar;
    const char *name;
    json_object_foreach(io_exports, name, lpar)
    {
        json_array_append_new(
            list, json_pack("{s:s, s:O, s:s}", "name", name, "lpar", lpar, "kind", "file"));
    }
    return list;
}

int io_client_call(struct io_client *client, json_t *request, const int *descriptors,
                   size_t descriptor_count, json_t **answer, struct operation *operation)
{
    const char *what = json_string_value(json_object_get(request, "do"));
    const char *path = json_string_value(json_object_get(request, "path"));
    (void)client, (void)descriptors, (void)descriptor_count, (void)operation;
    if (strcmp(what, "statistics") == 0) {
        *answer = json_pack("{s:o}", "exports", export_list());
    } else if (strcmp(what, "drop") == 0) {
        json_object_del(io_exports, json_string_value(json_object_get(request, "name")));
    }
    if (strcmp(what, "listen") == 0) { /* guest_exports_make gives the socket to the guest */
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        io_listeners++;
    } else if (strcmp(what, "unlisten") == 0) {
        io_listeners = 0;
    }
    if (strcmp(what, "unlisten") == 0 && io_is_new) {
        io_is_new = false;
        begin_restoring();
    }
    json_decref(request);
    return VIOS_OK;
}

static int paging_fails; /* paging_await fails with it */

int paging_await(struct node *where, const char *lpar, int64_t generation,
                 struct operation *operation)
{
    (void)where, (void)lpar, (void)generation;
    return paging_fails ? operation_fail(operation, paging_fails, "paging", NULL, "no pages")
                        : VIOS_OK;
}

int paging_device_size(struct node *where, const char *lpar, uint64_t *size_bytes,
                       struct operation *operation)
{
    (void)where, (void)lpar, (void)operation;
    *size_bytes = 0;
    return VIOS_OK;
}

int paging_hand_over_check(struct node *where, const char *lpar, struct operation *operation)
{
    (void)where, (void)lpar, (void)operation;
    return VIOS_OK;
}

int paging_hand_over(struct node *where, const char *lpar_uuid, int64_t at, int *descriptor,
                     struct operation *operation)
{
    (void)where, (void)lpar_uuid, (void)at, (void)operation;
    *descriptor = -1;
    return VIOS_E_NOT_FOUND;
}

int paging_expect(struct node *where, const char *lpar, int64_t generation,
                  struct operation *operation)
{
    (void)where, (void)lpar, (void)generation, (void)operation;
    return VIOS_OK;
}

int paging_take_over(struct node *where, const char *lpar, int64_t generation, int state,
                     struct operation *operation)
{
    (void)where, (void)lpar, (void)generation, (void)state, (void)operation;
    return VIOS_OK;
}

void paging_export_name(const char *lpar_uuid, int64_t generation, char *name, size_t size)
{
    snprintf(name, size, "paging/%s/%lld", lpar_uuid, (long long)generation);
}

/* --- guests: flat multiboot kernels of a few bytes --- */

static const unsigned char IDLE[] = {0xf4, 0xeb, 0xfd};
static const unsigned char PANIC[] = {0xba, 0x05, 0x05, 0, 0, 0xb0, 1, 0xee, 0xf4, 0xeb, 0xfd};
static const unsigned char WATCHDOG[] = {0xba, 0x43, 0x04, 0, 0, 0xb0, 0xf, 0xee, 0xf4, 0xeb, 0xfd};
static const unsigned char TALK[] = {0x66, 0xba, 0xf8, 0x03, 0xb0, 0x2e, 0xee, 0xb9,
                                     0,    0,    0x20, 0,    0xe2, 0xfe, 0xeb, 0xf6};
static const unsigned char OFF[] = {0xba, 0x04, 0x06, 0,    0,    0x66, 0xb8,
                                    0,    0x20, 0x66, 0xef, 0xf4, 0xeb, 0xfd};

static void write_kernel(const char *path, const unsigned char *code, size_t size)
{
    const uint32_t magic = 0x1badb002, flags = 0x10000, at = 0x100000;
    const uint32_t header[8] = {magic, flags, -(magic + flags), at, at, 0, 0, at + 32};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, header, sizeof header) != sizeof header ||
        write(fd, code, size) != (ssize_t)size) {
        exit(1);
    }
    close(fd);
}

/* --- a world: one node, one store, one LPAR "g" --- */

static char world[96], kernel[128], uuid[UUID_TEXT_SIZE];

static void put_lpar(const char *name, uint64_t memory_bytes)
{
    static struct lpar lpar;
    char key[80];
    least_lpar(&lpar, name);
    snprintf(uuid, sizeof uuid, "%s", lpar.uuid);
    snprintf(lpar.kernel, sizeof lpar.kernel, "%s", kernel);
    lpar.memory_bytes = memory_bytes;
    lpar.serial_console = true;
    snprintf(key, sizeof key, "/lpar/%s", name);
    char *json = lpar_format(&lpar);
    put(key, json);
    free(json);
}

static const char *make_world(const unsigned char *code, size_t size)
{
    static int count;
    struct vios_error error;
    char path[128];
    lpars_close(node.lpars);
    node.lpars = NULL;
    paging_fails = 0;
    snprintf(world, sizeof world, "%s/w%d", tap_folder(), count++);
    snprintf(path, sizeof path, "%s/db", world);
    snprintf(kernel, sizeof kernel, "%s/kernel", world);
    mkdir(world, 0755);
    write_kernel(kernel, code, size);
    make_store(path);
    if (lpars_open(&node.lpars, &node, &error) != VIOS_OK) {
        printf("# %s\n", error.message);
        exit(1);
    }
    node.run_dir = world;
    put_lpar("g", 4 << 20);
    json_decref(io_exports);
    io_exports = json_object();
    io_listeners = 0;
    return address;
}

#define WORLD(code) make_world((code), sizeof(code))

static int start(struct operation *operation)
{
    return run_job(&lpar_start_job, json_pack("{s:s}", "name", "g"), NULL, operation);
}

static int stop(struct operation *operation)
{
    return run_job(&lpar_stop_job,
                   json_pack("{s:s, s:i, s:b}", "name", "g", "timeout_ms", 100, "force", 0), NULL,
                   operation);
}

static bool is_state(const char *want, const char *why)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    json_t *shown = NULL;
    bool is = view_show(&node, store, "g", &shown, &operation) == VIOS_OK &&
              strcmp(json_string_value(json_object_get(shown, "state")), want) == 0 &&
              (!why || strcmp(json_string_value(json_object_get(shown, "why")), why) == 0);
    json_decref(shown);
    node_store_return(&node, store);
    return is;
}

static bool reaches(const char *want, const char *why)
{
    struct operation waiting;
    operation_start(&waiting, 20000, NULL);
    while (!is_state(want, why)) {
        if (operation_sleep(&waiting, 20) != VIOS_OK) {
            return false;
        }
    }
    return true;
}

static void load(struct lpar *lpar)
{
    struct operation operation;
    struct store *store = open_store(&operation);
    is_int(lpar_load(store, "g", lpar, &operation), VIOS_OK);
    node_store_return(&node, store);
}

static pid_t pid_now(void)
{
    struct guest_status status = {.qemu_pid = 0};
    struct guest *guest = lpars_find(node.lpars, "g");
    if (guest) {
        guest_status(guest, &status);
    }
    guest_release(guest);
    return status.qemu_pid;
}

/* It has ended; whoever inherits it may not have waited for it yet. */
static bool is_dead(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        return true;
    }
    size_t got = fread(text, 1, sizeof text - 1, file);
    const char *state = got ? strrchr(text, ')') : NULL;
    fclose(file);
    return !state || state[2] == 'Z' || state[2] == 'X';
}

/* A daemon that ends, and another that has not looked at anything yet. */
static void new_table(void)
{
    struct vios_error error;
    lpars_close(node.lpars);
    is_int(lpars_open(&node.lpars, &node, &error), VIOS_OK);
}

static bool folder_is_gone(void)
{
    char path[200];
    snprintf(path, sizeof path, "%s/lpar/%s", world, uuid);
    return access(path, F_OK) != 0;
}

/* --- tests --- */

static void starts_and_stops(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s: %s", operation.error.object, operation.error.message);
    ok(is_state("running", NULL), "not running as soon as the job is done");
    ok(pid_now() > 1, "no pid");
    load(&lpar);
    is_int(lpar.generation, 1);
    is_text(lpar.owner, "n1");
    is_text(lpar.job, "");
    is_int(start(&operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it runs on node \"n1\" already");
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(is_state("stopped", NULL), "not stopped");
    ok(folder_is_gone(), "the folder is there");
    load(&lpar);
    is_text(lpar.owner, "");
    is_text(lpar.job, "");
    is_int(stop(&operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it does not run");
    ok(start(&operation) == VIOS_OK, "again: %s", operation.error.message);
    load(&lpar);
    is_int(lpar.generation, 2);
    ok(stop(&operation) == VIOS_OK, "again: %s", operation.error.message);
}

static void sees_a_guest_leave(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(OFF);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(reaches("stopped", "the guest shut down"), "not stopped");
    load(&lpar);
    is_text(lpar.owner, "");
    is_int(lpar.wanted, LPAR_STOPPED);
}

static void sees_a_panic(void)
{
    struct operation operation;
    WORLD(PANIC);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(reaches("panicked", "the guest's kernel panicked"), "not panicked");
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

static void sees_a_watchdog_fire(void)
{
    struct operation operation;
    WORLD(WATCHDOG);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(reaches("watchdog", "the guest's watchdog fired"), "not stopped by it");
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

static void sees_qemu_killed(void)
{
    struct operation operation;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(reaches("running", NULL), "not running");
    kill(pid_now(), SIGKILL);
    ok(reaches("stopped", "QEMU ended unexpectedly"), "not stopped");
    ok(start(&operation) == VIOS_OK, "again: %s", operation.error.message);
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

/* Its firmware is at work, or past that. */
static bool has_spoken(struct guest *guest)
{
    char said = 0;
    bool end = false;
    uint64_t cursor = 0;
    struct vios_error error;
    struct operation waiting;
    operation_start(&waiting, 20000, NULL);
    int event = console_watch(guest_console(guest), &cursor, &error);
    while (console_read(guest_console(guest), &cursor, &said, 1, &end) == 0 && !end &&
           operation_sleep(&waiting, 10) == VIOS_OK) {
    }
    console_unwatch(guest_console(guest), event);
    return said != 0;
}

/* As its firmware does when the machine was reset. */
static void tells_that_it_reset_itself(void)
{
    struct operation operation;
    WORLD(TALK);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    struct guest *guest = lpars_find(node.lpars, "g");
    ok(has_spoken(guest), "it says nothing");
    is_int(guest_own_resets(guest), 0);
    operation_start(&operation, 20000, NULL);
    is_int(guest_call(guest, "set-action", json_pack("{s:s}", "reboot", "reset"), NULL, &operation),
           VIOS_OK);
    is_int(guest_call(guest, "system_reset", NULL, NULL, &operation), VIOS_OK);
    ok(guest_await_own_reset(guest, 0, &operation) == VIOS_OK, "%s", operation.error.message);
    ok(guest_own_resets(guest) > 0, "not reset");
    operation_start(&operation, 50, NULL);
    is_int(guest_await_own_reset(guest, 100, &operation), VIOS_E_TIMEOUT);
    kill(pid_now(), SIGKILL);
    operation_start(&operation, 20000, NULL);
    is_int(guest_await_own_reset(guest, 100, &operation), VIOS_E_IO);
    guest_release(guest);
    ok(reaches("stopped", "QEMU ended unexpectedly"), "not stopped");
}

static int ask(struct guest *guest, int64_t timeout_ms, struct operation *operation)
{
    static const char *const COMMANDS[] = {"query-status"};
    json_t *answers = json_object();
    operation_start(operation, timeout_ms, NULL);
    int status = guest_ask(guest, COMMANDS, 1, answers, operation);
    is_int(json_object_size(answers), status == VIOS_OK);
    json_decref(answers);
    return status;
}

/* Also of a guest that leaves its supervisor no quiet moment. */
static void talks_again_to_a_qemu_that_stood_still(void)
{
    struct operation operation;
    WORLD(TALK);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(reaches("running", NULL), "not running");
    struct guest *guest = lpars_find(node.lpars, "g");
    kill(pid_now(), SIGSTOP);
    is_int(ask(guest, 100, &operation), VIOS_E_TIMEOUT);
    is_int(ask(guest, 100, &operation), VIOS_E_UNREACHABLE);
    is_text(operation.error.message, "QEMU does not answer just now");
    kill(pid_now(), SIGCONT);
    ok(ask(guest, 20000, &operation) == VIOS_OK, "%s", operation.error.message);
    guest_release(guest);
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

/* Or io listens for good at a socket that went with the run folder, and the guest cannot start. */
static void restores_nothing_of_one_that_ends(void)
{
    struct operation operation;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(reaches("running", NULL), "not running");
    lpars_restore_exports(node.lpars);
    is_int(io_listeners, 2); /* at its start, and again */
    io_is_new = true;
    kill(pid_now(), SIGKILL);
    ok(reaches("stopped", "QEMU ended unexpectedly"), "not stopped");
    ok(!io_is_new, "io was not new when it ended");
    if (is_restoring) {
        pthread_join(restoring, NULL);
    }
    is_int(io_listeners, 0);
    ok(folder_is_gone(), "the folder is there");
}

static void takes_up_what_runs(void)
{
    struct operation operation;
    struct vios_error error;
    json_t *names = NULL;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    pid_t pid = pid_now();
    lpars_close(node.lpars);
    ok(!is_dead(pid), "the guest went with its supervisor");
    lpars_open(&node.lpars, &node, &error);
    operation_start(&operation, 20000, NULL);
    ok(lpar_adopt_guests(&node, &operation) == VIOS_OK, "%s", operation.error.message);
    is_int(pid_now(), pid);
    struct store *store = open_store(&operation);
    ok(lpar_settle_all(&node, store, &names, &operation) == VIOS_OK, "%s", operation.error.message);
    node_store_return(&node, store);
    json_decref(names);
    ok(reaches("running", NULL), "not running");
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(folder_is_gone(), "the folder is there");
}

static void ends_an_older_start(void)
{
    struct operation operation;
    struct vios_error error;
    static struct lpar lpar;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    pid_t pid = pid_now();
    lpars_close(node.lpars);
    lpars_open(&node.lpars, &node, &error);
    load(&lpar);
    lpar_raise(&lpar);
    struct store *store = open_store(&operation);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    operation_start(&operation, 20000, NULL);
    is_int(lpar_adopt_guests(&node, &operation), VIOS_OK);
    ok(is_dead(pid), "the old QEMU lives");
    ok(folder_is_gone(), "the folder is there");
    is_int(lpar_settle(&node, store, "g", &operation), VIOS_OK);
    node_store_return(&node, store);
    ok(is_state("stopped", "it ended while no daemon watched"), "not stopped");
}

/* Nobody knew what had become of its hibernation, say, so that it went on in the next one. */
static void takes_up_one_that_went_on_in_a_later_generation(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    pid_t pid = pid_now();
    new_table();
    load(&lpar);
    lpar.generation++;
    struct store *store = open_store(&operation);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    operation_start(&operation, 20000, NULL);
    is_int(lpar_adopt_guests(&node, &operation), VIOS_OK);
    node_store_return(&node, store);
    ok(!is_dead(pid), "it was ended");
    ok(reaches("running", NULL), "not running");
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

/* A guest that ended while no daemon watched leaves no disk open in io, where it would be locked.
 */
static void closes_what_a_dead_guest_left(void)
{
    struct operation operation;
    char disk[80];
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    pid_t pid = pid_now();
    snprintf(disk, sizeof disk, "lu/%s-disk0/1", uuid);
    json_object_set_new(io_exports, disk, json_string(uuid));
    json_object_set_new(io_exports, "lu/another-disk0/1", json_string("another"));
    new_table();
    kill(pid, SIGKILL);
    struct store *store = open_store(&operation);
    while (lpar_settle(&node, store, "g", &operation) == 1) { /* until its lock is free */
        operation_sleep(&operation, 10);
    }
    node_store_return(&node, store);
    ok(!json_object_get(io_exports, disk), "its disk is open");
    ok(json_object_get(io_exports, "lu/another-disk0/1") != NULL, "another's disk is not");
    ok(folder_is_gone(), "the folder is there");
    ok(start(&operation) == VIOS_OK, "again: %s", operation.error.message);
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

static void spares_a_guest_of_an_unreadable_record(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "%s", operation.error.message);
    pid_t pid = pid_now();
    load(&lpar);
    char *json = lpar_format(&lpar);
    new_table();
    put("/lpar/g", "{\"v\":2}");
    operation_start(&operation, 20000, NULL);
    is_int(lpar_adopt_guests(&node, &operation), VIOS_E_CORRUPT);
    ok(!is_dead(pid), "the guest was ended");
    put("/lpar/g", json);
    free(json);
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
    ok(is_dead(pid), "QEMU lives");
}

static void leaves_another_starts_place(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    put("/job/j-77", "{\"v\":1,\"state\":\"running\"}");
    load(&lpar);
    snprintf(lpar.job, sizeof lpar.job, "j-77");
    struct store *store = open_store(&operation);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(lpars_reserve(node.lpars, &lpar, true, &operation.error), VIOS_OK);
    is_int(start(&operation), VIOS_E_LOCKED);
    is_text(operation.error.message, "job j-77 is at work on it");
    struct guest *guest = lpars_find(node.lpars, "g");
    ok(guest != NULL, "the place of j-77 was given up");
    guest_release(guest);
    lpars_unreserve(node.lpars, "g", "j-77");
    ok(lpars_find(node.lpars, "g") == NULL, "j-77 cannot give up its place");
}

static void starts_nothing_when_fenced(void)
{
    struct operation operation;
    WORLD(IDLE);
    put("/fence/n1/1", "{\"v\":1,\"state\":\"closing\"}");
    struct store *store = open_store(&operation);
    static struct lpar lpar;
    load(&lpar);
    snprintf(lpar.owner, sizeof lpar.owner, "n1");
    lpar.owner_incarnation = 1;
    is_int(lpar_save(store, &lpar, &operation), VIOS_E_STALE);
    is_text(operation.error.message, "node \"n1\" is fenced and may run no guest");
    node_store_return(&node, store);
}

static void undoes_a_failed_start(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    paging_fails = VIOS_E_NO_SPACE;
    is_int(start(&operation), VIOS_E_NO_SPACE);
    is_text(operation.error.message, "no pages");
    load(&lpar);
    is_text(lpar.owner, "");
    is_text(lpar.job, "");
    ok(folder_is_gone(), "the folder is there");
    paging_fails = 0;
    ok(start(&operation) == VIOS_OK, "again: %s", operation.error.message);
    ok(stop(&operation) == VIOS_OK, "%s", operation.error.message);
}

static void passes_on_what_qemu_says(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    load(&lpar);
    snprintf(lpar.cpu, sizeof lpar.cpu, "nosuch");
    struct store *store = open_store(&operation);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(start(&operation), VIOS_E_IO);
    ok(strstr(operation.error.message, "unable to find CPU model 'nosuch'"), "says: %s",
       operation.error.message);
    ok(folder_is_gone(), "the folder is there");
    ok(is_state("stopped", NULL), "not stopped");
}

static void admits_what_fits(void)
{
    struct operation operation;
    WORLD(IDLE);
    put_lpar("g", UINT64_C(1) << 45);
    is_int(start(&operation), VIOS_E_NO_SPACE);
    ok(strstr(operation.error.message, "it needs 33554432 MiB; this node has"), "says: %s",
       operation.error.message);
    ok(is_state("stopped", NULL), "not stopped");
}

static void refuses_another_nodes_guest(void)
{
    struct operation operation;
    static struct lpar lpar;
    WORLD(IDLE);
    load(&lpar);
    snprintf(lpar.owner, sizeof lpar.owner, "n2");
    lpar.wanted = LPAR_RUNNING;
    struct store *store = open_store(&operation);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    node_store_return(&node, store);
    is_int(start(&operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it runs on node \"n2\" already");
    is_int(stop(&operation), VIOS_E_CONFLICT);
    is_text(operation.error.message, "it runs on node \"n2\"");
    ok(is_state("unknown", "node \"n2\" is not up"), "not unknown");
}

static void say(int64_t generation, const char *state)
{
    struct operation operation;
    const struct lpar_run run = {.node = generation > 4 ? "n2" : "n1",
                                 .incarnation = 1,
                                 .generation = generation,
                                 .state = state,
                                 .why = ""};
    operation_start(&operation, 60000, NULL);
    struct store *store = open_store(&operation);
    is_int(lpar_publish(store, "late", &run, &operation), VIOS_OK);
    node_store_return(&node, store);
}

static void says(const char *state)
{
    struct operation operation;
    json_t *published = NULL;
    operation_start(&operation, 60000, NULL);
    struct store *store = open_store(&operation);
    is_int(node_record(store, "/lpar-run/late", &published, NULL, &operation), VIOS_OK);
    is_text(json_string_value(json_object_get(published, "state")), state);
    json_decref(published);
    node_store_return(&node, store);
}

static void who_comes_late_is_not_heard(void)
{
    say(4, "running");
    says("running");
    say(4, "paused");
    says("paused");
    say(5, "running");
    say(4, "hibernated");
    says("running");
    say(5, "stopped");
    says("stopped");
}

#ifdef VIOS_TEST_HOOKS
static const char *fresh_idle(void)
{
    return WORLD(IDLE);
}

static json_t *start_data(void)
{
    return json_pack("{s:s}", "name", "g");
}

static void check_started(const char *where, int status)
{
    struct operation operation;
    (void)status;
    ok(reaches("running", NULL), "%s: not running", where);
    pid_t pid = pid_now();
    ok(stop(&operation) == VIOS_OK, "%s: stop: %s", where, operation.error.message);
    ok(pid > 1 && is_dead(pid), "%s: QEMU %d lives", where, (int)pid);
    ok(folder_is_gone(), "%s: the folder is there", where);
}

static void survives_a_crash_while_starting(void)
{
    struct job_crash crash = {.kind = &lpar_start_job,
                              .object = "lpar \"g\"",
                              .data = start_data,
                              .context = &node,
                              .fresh = fresh_idle,
                              .check = check_started};
    job_crash_everywhere(&crash, false);
}

/* Whatever the job came to, nobody holds the LPAR, and what runs is this incarnation's. */
static void check_begun_anew(const char *where, int status)
{
    struct operation operation;
    static struct lpar lpar;
    load(&lpar);
    is_text(lpar.job, "");
    ok(lpar.owner[0] ? status == VIOS_OK && lpar.owner_incarnation == 2 : folder_is_gone(),
       "%s: its owner is \"%s\", incarnation %lld, after %s", where, lpar.owner,
       (long long)lpar.owner_incarnation, error_name(status));
    if (!lpar.owner[0]) {
        ok(start(&operation) == VIOS_OK, "%s: start: %s", where, operation.error.message);
    }
    ok(stop(&operation) == VIOS_OK, "%s: stop: %s", where, operation.error.message);
    node.incarnation = 1;
}

/* As a daemon does that finds itself fenced. */
static void rejoin(void)
{
    struct operation operation;
    put("/fence/n1/1", "{\"v\":1,\"state\":\"free\"}");
    node.incarnation = 2;
    operation_start(&operation, 60000, NULL);
    is_int(lpar_end_guests(&node, &operation), VIOS_OK);
}

static void a_start_of_a_fenced_incarnation_comes_to_an_end(void)
{
    struct job_crash crash = {.kind = &lpar_start_job,
                              .object = "lpar \"g\"",
                              .data = start_data,
                              .context = &node,
                              .status = JOB_CRASH_ANY,
                              .incarnation = 2,
                              .fresh = fresh_idle,
                              .between = rejoin,
                              .check = check_begun_anew};
    job_crash_everywhere(&crash, false);
}

/* A world whose guest runs, known by its run folder only, and whose first job is yet to come. */
static const char *fresh_running(void)
{
    struct operation operation;
    WORLD(IDLE);
    ok(start(&operation) == VIOS_OK, "start: %s", operation.error.message);
    lpars_close(node.lpars);
    ok(lpars_open(&node.lpars, &node, &operation.error) == VIOS_OK, "no table");
    return address;
}

static json_t *stop_data(void)
{
    return json_pack("{s:s, s:i, s:b}", "name", "g", "timeout_ms", 100, "force", 0);
}

static void check_stopped(const char *where, int status)
{
    static struct lpar lpar;
    (void)status;
    ok(reaches("stopped", NULL), "%s: not stopped", where);
    ok(folder_is_gone(), "%s: the folder is there", where);
    load(&lpar);
    is_text(lpar.job, "");
    is_text(lpar.owner, "");
}

/* As another node does, while this one was fenced. */
static void take_over(void)
{
    struct operation operation;
    static struct lpar lpar;
    operation_start(&operation, 60000, NULL);
    is_int(lpar_end_guests(&node, &operation), VIOS_OK);
    load(&lpar);
    lpar.job[0] = 0;
    lpar.wanted = LPAR_RUNNING;
    snprintf(lpar.owner, sizeof lpar.owner, "n2");
    struct store *store = open_store(&operation);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    const struct lpar_run running = {.node = "n2",
                                     .incarnation = 1,
                                     .generation = 1,
                                     .state = "running",
                                     .why = "",
                                     .qemu_pid = 7};
    is_int(lpar_publish(store, "g", &running, &operation), VIOS_OK);
    node_store_return(&node, store);
}

static void check_left_alone(const char *where, int status)
{
    static struct lpar lpar;
    struct operation operation;
    json_t *published = NULL;
    load(&lpar);
    ok(strcmp(lpar.owner, "n2") == 0 && lpar.wanted == LPAR_RUNNING, "%s: it is \"%s\"'s, after %s",
       where, lpar.owner, error_name(status));
    struct store *store = open_store(&operation);
    is_int(node_record(store, "/lpar-run/g", &published, NULL, &operation), VIOS_OK);
    is_text(json_string_value(json_object_get(published, "state")), "running");
    json_decref(published);
    node_store_return(&node, store);
}

static void a_stop_leaves_what_was_taken_over(void)
{
    struct job_crash crash = {.kind = &lpar_stop_job,
                              .id = "j-2",
                              .object = "lpar \"g\"",
                              .data = stop_data,
                              .context = &node,
                              .status = JOB_CRASH_ANY,
                              .fresh = fresh_running,
                              .between = take_over,
                              .check = check_left_alone};
    job_crash_everywhere(&crash, false);
}

static void survives_a_crash_while_stopping(void)
{
    struct job_crash crash = {.kind = &lpar_stop_job,
                              .id = "j-2",
                              .object = "lpar \"g\"",
                              .data = stop_data,
                              .context = &node,
                              .fresh = fresh_running,
                              .check = check_stopped};
    job_crash_everywhere(&crash, false);
}
#endif

int main(void)
{
    struct vios_error error;
    log_configure(LOG_ERROR, false);
    signal(SIGPIPE, SIG_IGN);
    node.config = config_new();
    if (config_set(node.config, "page_memory", "0", &error) != VIOS_OK ||
        guests_new(&node.guests, &error) != VIOS_OK) {
        return 1;
    }
    if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0) {
        printf("1..0 # SKIP no qemu-system-x86_64\n");
        return 0;
    }
    RUN(starts_and_stops);
    RUN(sees_a_guest_leave);
    RUN(sees_a_panic);
    RUN(sees_a_watchdog_fire);
    RUN(sees_qemu_killed);
    RUN(tells_that_it_reset_itself);
    RUN(talks_again_to_a_qemu_that_stood_still);
    RUN(restores_nothing_of_one_that_ends);
    RUN(takes_up_what_runs);
    RUN(ends_an_older_start);
    RUN(takes_up_one_that_went_on_in_a_later_generation);
    RUN(closes_what_a_dead_guest_left);
    RUN(spares_a_guest_of_an_unreadable_record);
    RUN(leaves_another_starts_place);
    RUN(starts_nothing_when_fenced);
    RUN(undoes_a_failed_start);
    RUN(passes_on_what_qemu_says);
    RUN(admits_what_fits);
    RUN(refuses_another_nodes_guest);
    RUN(who_comes_late_is_not_heard);
#ifdef VIOS_TEST_HOOKS
    RUN(survives_a_crash_while_starting);
    RUN(a_start_of_a_fenced_incarnation_comes_to_an_end);
    RUN(survives_a_crash_while_stopping);
    RUN(a_stop_leaves_what_was_taken_over);
#endif
    lpars_close(node.lpars);
    json_decref(io_exports);
    store_pool_free(node.stores);
    config_free(node.config);
    guests_free(node.guests);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
