/* collector_table.c - the table of collectors, and what each does. Whatever may be secret is left
 * out here: it never gets into a bundle. */
#include "ffdc/collectors.h"

#include "base/backtrace.h"
#include "base/json.h"
#include "ffdc/plain.h"
#include "node/driver.h"
#include "node/io_client.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_MS 1000     /* for io to say its statistics */
#define GUESTS_MS 3000 /* for the QEMUs of all guests */
#define STORE_MS 500   /* to learn where the VIOS DB is */
#define COPY_SIZE ((size_t)64 * 1024)
#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

struct collector_source {
    atomic_int holders;
    char state_dir[PATH_MAX];
    char run_dir[PATH_MAX];
    char log[PATH_MAX]; /* "": it goes to no file */
    char *store;        /* the address of the VIOS DB; NULL: not known */
    char *snapshots[SNAPSHOTS];
};

/* --- the source --- */

/* What a part says of itself, a line each; NULL: there is nobody to ask. */
static char *ask_part(struct node *node, const char *part, int64_t limit_ms,
                      struct operation *operation)
{
    struct operation asking;
    size_t i, size = 0;
    char *text = NULL;
    json_t *lines = json_array(), *line;
    FILE *file = node->hooks && node->hooks->describe ? open_memstream(&text, &size) : NULL;
    if (file) {
        operation_start(&asking, limit_ms, operation->cancel);
        node->hooks->describe(node, part, lines, &asking);
        json_array_foreach(lines, i, line)
        {
            json_dumpf(line, file, JSON_COMPACT);
            fputc('\n', file);
        }
        fclose(file);
    }
    json_decref(lines);
    return text;
}

static void take_snapshots(struct collector_source *source, struct node *node,
                           struct operation *operation)
{
    int64_t now_ms;
    json_t *statistics = NULL;
    struct operation asking;
    if (node->driver) {
        const struct agent *agent = driver_lock(node->driver, &now_ms);
        json_t *matrix = agent_show_matrix(agent, now_ms);
        json_t *primary = agent_explain_primary(agent, now_ms);
        json_t *elections = agent_show_history(agent);
        driver_unlock(node->driver);
        source->snapshots[SNAPSHOT_MATRIX] = json_into_text(matrix);
        source->snapshots[SNAPSHOT_PRIMARY] = json_into_text(primary);
        source->snapshots[SNAPSHOT_ELECTIONS] = json_into_text(elections);
    }
    operation_start(&asking, IO_MS, operation->cancel);
    if (node->io && io_client_call(node->io, json_pack("{s:s}", "do", "statistics"), NULL, 0,
                                   &statistics, &asking) == VIOS_OK) {
        source->snapshots[SNAPSHOT_IO] = json_into_text(statistics);
    }
    source->snapshots[SNAPSHOT_GUESTS] = ask_part(node, "lpar", GUESTS_MS, operation);
}

static void find_store(struct collector_source *source, struct node *node,
                       struct operation *operation)
{
    struct operation asking;
    struct store *store = NULL;
    operation_start(&asking, STORE_MS, operation->cancel);
    if (node_store(node, &store, &asking) == VIOS_OK) {
        source->store = strdup(store_address(store));
    }
    node_store_return(node, store);
}

/* Where stderr goes, if that is a file. */
static void find_log(struct collector_source *source)
{
    struct stat info;
    ssize_t length = readlink("/proc/self/fd/2", source->log, sizeof source->log - 1);
    bool file = length > 0 && fstat(STDERR_FILENO, &info) == 0 && S_ISREG(info.st_mode);
    source->log[file ? length : 0] = 0;
}

struct collector_source *collector_source_new(struct node *node, struct operation *operation)
{
    struct collector_source *source = calloc(1, sizeof *source);
    if (source) {
        atomic_init(&source->holders, 1);
        snprintf(source->state_dir, sizeof source->state_dir, "%s", node->state_dir);
        snprintf(source->run_dir, sizeof source->run_dir, "%s", node->run_dir);
        find_log(source);
        find_store(source, node, operation);
        take_snapshots(source, node, operation);
    }
    return source;
}

struct collector_source *collector_source_hold(struct collector_source *source)
{
    atomic_fetch_add(&source->holders, 1);
    return source;
}

void collector_source_release(struct collector_source *source)
{
    if (source && atomic_fetch_sub(&source->holders, 1) == 1) {
        for (int i = 0; i < SNAPSHOTS; i++) {
            free(source->snapshots[i]);
        }
        free(source->store);
        free(source);
    }
}

/* --- files --- */

/* From `from` on, to the end or the cap. */
static int copy_from(int fd, off_t from, struct collection *collection, struct operation *operation)
{
    char *data = malloc(COPY_SIZE);
    ssize_t got = 1;
    int status = data ? VIOS_OK : operation_no_memory(operation, NULL);
    if (status == VIOS_OK && from > 0 && lseek(fd, from, SEEK_SET) < 0) {
        status = error_set_errno(&operation->error, NULL, "cannot seek");
    }
    while (status == VIOS_OK && got > 0) {
        got = read(fd, data, COPY_SIZE);
        if (got < 0) {
            status = error_set_errno(&operation->error, NULL, "cannot read it");
        } else if (!collection_write(collection, data, (size_t)got)) {
            break;
        } else {
            status = operation_check(operation);
        }
    }
    free(data);
    return status;
}

static int collect_path(const char *path, bool tail, struct collection *collection,
                        struct operation *operation)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        int status = error_set_errno(&operation->error, path, "cannot be opened");
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    uint64_t size = info.st_size > 0 ? (uint64_t)info.st_size : 0;
    bool too_long = tail && size > collection->cap_bytes;
    off_t from = too_long ? (off_t)(size - collection->cap_bytes) : 0;
    int status = copy_from(fd, from, collection, operation);
    collection->cut |= too_long;
    close(fd);
    return status;
}

static int collect_file(const struct collector *collector, const struct collector_source *source,
                        struct collection *collection, struct operation *operation)
{
    (void)source;
    return collect_path(collector->path, false, collection, operation);
}

static int collect_log(const struct collector *collector, const struct collector_source *source,
                       struct collection *collection, struct operation *operation)
{
    (void)collector;
    return source->log[0] ? collect_path(source->log, true, collection, operation)
                          : operation_fail(operation, VIOS_E_NOT_FOUND, "log", NULL,
                                           "it goes to no file: see the journal");
}

bool collector_is_core(const char *name)
{
    return strcmp(name, "core") == 0 || strncmp(name, "core.", 5) == 0;
}

static int collect_core(const struct collector *collector, const struct collector_source *source,
                        struct collection *collection, struct operation *operation)
{
    char path[PATH_MAX + NAME_MAX + 2] = "";
    struct dirent *entry;
    DIR *folder = opendir(source->run_dir);
    (void)collector;
    while (folder && (entry = readdir(folder)) != NULL && !path[0]) {
        if (collector_is_core(entry->d_name)) {
            snprintf(path, sizeof path, "%s/%s", source->run_dir, entry->d_name);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return path[0] ? collect_path(path, false, collection, operation)
                   : operation_fail(operation, VIOS_E_NOT_FOUND, "core", NULL, "there is none");
}

static int collect_in(const char *folder, const char *name, struct collection *collection,
                      struct operation *operation)
{
    char path[PATH_MAX + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return collect_path(path, false, collection, operation);
}

/* A process that was killed, or ended by the kernel for want of memory, leaves none. */
static int collect_backtrace(const struct collector *collector,
                             const struct collector_source *source, struct collection *collection,
                             struct operation *operation)
{
    return collect_in(source->state_dir, collector->path, collection, operation);
}

static int collect_io_backtrace(const struct collector *collector,
                                const struct collector_source *source,
                                struct collection *collection, struct operation *operation)
{
    return collect_in(source->run_dir, collector->path, collection, operation);
}

/* --- flight recorders --- */

static void write_entry(void *context, const struct recorder_entry *entry)
{
    struct recorder_entry shown = *entry;
    char *text = json_into_text(
        json_pack("{s:I, s:I, s:I, s:s, s:s}", "sequence", (json_int_t)shown.sequence, "wall_ms",
                  (json_int_t)shown.wall_ms, "boot_ms", (json_int_t)shown.boot_ms, "part",
                  plain_text(shown.part), "text", plain_text(shown.text)));
    if (text && collection_write(context, text, strlen(text))) {
        collection_write(context, "\n", 1);
    }
    free(text);
}

int collect_ring(const char *path, struct collection *collection, struct vios_error *error)
{
    return recorder_read(path, write_entry, collection, error);
}

static int collect_recorder(const struct collector *collector,
                            const struct collector_source *source, struct collection *collection,
                            struct operation *operation)
{
    char path[PATH_MAX + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", source->state_dir, collector->path);
    return collect_ring(path, collection, &operation->error);
}

/* --- what was asked before --- */

static int collect_snapshot(const struct collector *collector,
                            const struct collector_source *source, struct collection *collection,
                            struct operation *operation)
{
    const char *text = source->snapshots[collector->snapshot];
    if (!text) {
        return operation_fail(operation, VIOS_E_NOT_FOUND, collector->name, NULL,
                              "nobody answered");
    }
    collection_write(collection, text, strlen(text));
    return VIOS_OK;
}

/* --- the VIOS DB --- */

static void write_value(struct collection *collection, const struct store_value *value)
{
    char head[STORE_KEY_MAX + 96];
    if (node_key_is_secret(value->key)) {
        return;
    }
    snprintf(head, sizeof head, "{\"key\":\"%s\",\"revision\":%lld,\"value\":", value->key,
             (long long)value->revision);
    if (collection_write(collection, head, strlen(head)) &&
        collection_write(collection, value->json, strlen(value->json))) {
        collection_write(collection, "}\n", 2);
    }
}

static int write_prefixes(const char *address, const char *const *prefixes, size_t count,
                          struct collection *collection, struct operation *operation)
{
    struct store *store = NULL;
    struct store_list lists[STORE_PREFIXES_MAX] = {0};
    int status = store_open(&store, address, false, operation);
    if (status == VIOS_OK) {
        status = store_list_many(store, prefixes, count, lists, NULL, operation);
    }
    for (size_t i = 0; i < count && status == VIOS_OK; i++) {
        for (size_t k = 0; k < lists[i].count && !collection->cut; k++) {
            write_value(collection, &lists[i].values[k]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        store_list_clear(&lists[i]);
    }
    store_close(store);
    return status;
}

static int unknown_store(struct operation *operation)
{
    return operation_fail(operation, VIOS_E_UNREACHABLE, "VIOS DB", NULL, "it is away");
}

static int collect_fences(const struct collector *collector, const struct collector_source *source,
                          struct collection *collection, struct operation *operation)
{
    static const char *const PREFIXES[] = {"/primary", "/fence/", "/alive/", "/split/"};
    (void)collector;
    return source->store ? write_prefixes(source->store, PREFIXES, 4, collection, operation)
                         : unknown_store(operation);
}

static int collect_db(const struct collector *collector, const struct collector_source *source,
                      struct collection *collection, struct operation *operation)
{
    static const char *const ALL[] = {"/"};
    (void)collector;
    return source->store ? write_prefixes(source->store, ALL, 1, collection, operation)
                         : unknown_store(operation);
}

/* --- the table --- */

static const struct collector TABLE[] = {
    {"recorder", "recorder.jsonl", 2000, 8 * MIB, collect_recorder, "recorder"},
    {"crashed", "crashed-recorder.jsonl", 2000, 8 * MIB, collect_recorder, COLLECTOR_CRASHED},
    {"backtrace", "backtrace.txt", 1000, MIB, collect_backtrace,
     BACKTRACE_DAEMON BACKTRACE_CRASHED},
    {"io-backtrace", "io-backtrace.txt", 1000, MIB, collect_io_backtrace,
     BACKTRACE_IO BACKTRACE_CRASHED},
    {"matrix", "matrix.json", 1000, MIB, collect_snapshot, .snapshot = SNAPSHOT_MATRIX},
    {"primary", "primary.json", 1000, MIB, collect_snapshot, .snapshot = SNAPSHOT_PRIMARY},
    {"elections", "elections.json", 1000, MIB, collect_snapshot, .snapshot = SNAPSHOT_ELECTIONS},
    {"io", "io.json", 1000, MIB, collect_snapshot, .snapshot = SNAPSHOT_IO},
    {"guests", "guests.jsonl", 1000, 4 * MIB, collect_snapshot, .snapshot = SNAPSHOT_GUESTS},
    {"status", "status.txt", 1000, 64 * KIB, collect_file, "/proc/self/status"},
    {"meminfo", "meminfo.txt", 1000, 64 * KIB, collect_file, "/proc/meminfo"},
    {"loadavg", "loadavg.txt", 1000, 64 * KIB, collect_file, "/proc/loadavg"},
    {"mounts", "mounts.txt", 1000, 256 * KIB, collect_file, "/proc/self/mounts"},
    {"tcp", "tcp.txt", 2000, MIB, collect_file, "/proc/self/net/tcp"},
    {"tcp6", "tcp6.txt", 2000, MIB, collect_file, "/proc/self/net/tcp6"},
    {"udp", "udp.txt", 2000, MIB, collect_file, "/proc/self/net/udp"},
    {"unix", "unix.txt", 2000, MIB, collect_file, "/proc/self/net/unix"},
    {"log", "daemon.log", 3000, MIB, collect_log},
    {"fences", "fences.jsonl", 5000, MIB, collect_fences},
    {"db", "db.jsonl", 10000, 8 * MIB, collect_db},
    {"core", "core", 20000, 256 * MIB, collect_core},
};
_Static_assert(sizeof TABLE / sizeof TABLE[0] <= COLLECTORS_MAX, "results are kept in an array");

const struct collector *collectors_all(size_t *count)
{
    *count = sizeof TABLE / sizeof TABLE[0];
    return TABLE;
}
