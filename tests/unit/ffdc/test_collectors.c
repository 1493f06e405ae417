/* Proves: each collector has its time and its room: one that hangs is given up, and what it had is
 * kept; one that has too much is cut; none of them fails the others. Of the VIOS DB no secret is
 * collected. */
#include "ffdc/collectors.h"

#include "base/clock.h"
#include "base/file.h"
#include "tests/node_world.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/stat.h>

#define HANG_MS 50

static int folder;
static sem_t hanging_ends, hang;
static struct limited *limited;

static int collect_hanging(const struct collector *collector, const struct collector_source *source,
                           struct collection *collection, struct operation *operation)
{
    (void)collector, (void)source, (void)operation;
    collection_write(collection, "before", 6);
    sem_wait(&hang);
    collection_write(collection, "after", 5);
    sem_post(&hanging_ends);
    return VIOS_OK;
}

static int collect_much(const struct collector *collector, const struct collector_source *source,
                        struct collection *collection, struct operation *operation)
{
    (void)collector, (void)source;
    while (collection_write(collection, "0123456789", 10)) {
        is_int(operation_check(operation), VIOS_OK);
    }
    return VIOS_OK;
}

static int collect_nothing(const struct collector *collector, const struct collector_source *source,
                           struct collection *collection, struct operation *operation)
{
    (void)source, (void)collection;
    return operation_fail(operation, VIOS_E_NOT_FOUND, collector->name, NULL, "there is none");
}

static int collect_text(const struct collector *collector, const struct collector_source *source,
                        struct collection *collection, struct operation *operation)
{
    (void)collector, (void)source, (void)operation;
    collection_write(collection, "text", 4);
    return VIOS_OK;
}

static const struct collector TABLE[] = {
    {"hanging", "hanging", HANG_MS, 100, collect_hanging},
    {"much", "much", 10000, 25, collect_much},
    {"nothing", "nothing", 10000, 100, collect_nothing},
    {"text", "text", 10000, 100, collect_text},
};

static void read_result(const struct collected *result, char text[64])
{
    ssize_t got = pread(result->fd, text, 63, 0);
    text[got > 0 && (uint64_t)got < result->size_bytes ? (uint64_t)got : result->size_bytes] = 0;
}

static void each_has_its_limits(void)
{
    struct operation operation;
    struct collected results[4];
    char text[64];
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    struct collector_source *source = collector_source_new(&node, &operation);
    collectors_run(TABLE, 4, source, limited, folder, results, &operation);
    collector_source_release(source);
    is_int(results[0].status, VIOS_E_TIMEOUT);
    is_text(results[0].why, "it was given up after 50 ms");
    read_result(&results[0], text);
    is_text(text, "before");
    ok(results[0].took_ms >= HANG_MS, "it had its time");
    is_int(results[1].status, VIOS_OK);
    ok(results[1].cut, "it is cut");
    read_result(&results[1], text);
    is_text(text, "0123456789012345678901234");
    is_int(results[2].status, VIOS_E_NOT_FOUND);
    is_text(results[2].why, "there is none");
    is_int(results[3].status, VIOS_OK);
    read_result(&results[3], text);
    is_text(text, "text");
    sem_post(&hang); /* it touches only what it shares: its file, its source */
    sem_wait(&hanging_ends);
    read_result(&results[0], text);
    is_text(text, "before");
    collected_close(results, 4);
}

/* A mount that is dead must not take a thread more with each capture. */
static void no_more_than_some_may_hang(void)
{
    struct operation operation;
    struct collected result;
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    struct collector_source *source = collector_source_new(&node, &operation);
    for (int i = 0; i < LIMITED_HANGING_MAX; i++) {
        collectors_run(TABLE, 1, source, limited, folder, &result, &operation);
        is_int(result.status, VIOS_E_TIMEOUT);
        is_int(result.size_bytes, 6);
        collected_close(&result, 1);
    }
    collectors_run(&TABLE[3], 1, source, limited, folder, &result, &operation);
    is_int(result.status, VIOS_E_TIMEOUT);
    is_text(result.why, "8 of such work hang on this node");
    collected_close(&result, 1);
    for (int i = 0; i < LIMITED_HANGING_MAX; i++) {
        sem_post(&hang);
    }
    for (int i = 0; i < LIMITED_HANGING_MAX; i++) {
        sem_wait(&hanging_ends);
    }
    do { /* the last of them is a moment from its end */
        collectors_run(&TABLE[3], 1, source, limited, folder, &result, &operation);
        collected_close(&result, 1);
    } while (result.status == VIOS_E_TIMEOUT);
    is_int(result.status, VIOS_OK);
    collector_source_release(source);
}

static void one_that_is_cancelled_is_not_waited_for(void)
{
    struct operation operation;
    struct collected result;
    const struct collector forever = {"hanging", "hanging", 3600000, 100, collect_hanging};
    struct cancel *cancel = cancel_new();
    operation_start(&operation, OPERATION_NO_DEADLINE, cancel);
    struct collector_source *source = collector_source_new(&node, &operation);
    cancel_trigger(cancel);
    collectors_run(&forever, 1, source, limited, folder, &result, &operation);
    is_int(result.status, VIOS_E_TIMEOUT);
    collected_close(&result, 1);
    sem_post(&hang);
    sem_wait(&hanging_ends);
    collector_source_release(source);
    cancel_free(cancel);
}

/* The whole text of one collector of the real table; the caller's. */
static char *run_real(const char *name, int *status)
{
    size_t count;
    struct operation operation;
    struct collected result;
    const struct collector *table = collectors_all(&count);
    char *text = calloc(1, 65536);
    size_t i = 0;
    while (i + 1 < count && strcmp(table[i].name, name) != 0) {
        i++;
    }
    is_text(table[i].name, name);
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    struct collector_source *source = collector_source_new(&node, &operation);
    collectors_run(&table[i], 1, source, limited, folder, &result, &operation);
    ok(pread(result.fd, text, 65535, 0) >= 0, "it is read");
    *status = result.status;
    collected_close(&result, 1);
    collector_source_release(source);
    return text;
}

static void no_secret_is_collected(void)
{
    int status;
    put("/lpar/web1", "{\"v\":1,\"name\":\"web1\"}");
    put("/token/abc", "{\"v\":1,\"hash\":\"deadbeef\"}");
    put("/secret/ring", "{\"v\":1,\"key\":\"deadbeef\"}");
    char *text = run_real("db", &status);
    is_int(status, VIOS_OK);
    ok(strstr(text, "{\"key\":\"/lpar/web1\",\"revision\":") != NULL, "%s", text);
    ok(strstr(text, "deadbeef") == NULL, "no secret is there");
    free(text);
}

static void rings_are_lines(void)
{
    char path[200];
    int status;
    struct recorder *recorder;
    snprintf(path, sizeof path, "%s/recorder", tap_folder());
    is_int(recorder_open(&recorder, path, 16, NULL), VIOS_OK);
    recorder_note(recorder, "test", "a \"quoted\" \xff line");
    char *text = run_real("recorder", &status);
    is_int(status, VIOS_OK);
    ok(strstr(text, "\"part\":\"test\",\"text\":\"a \\\"quoted\\\" ? line\"}\n") != NULL, "%s",
       text);
    free(text);
    recorder_close(recorder);
    free(run_real("crashed", &status));
    is_int(status, VIOS_E_NOT_FOUND);
}

static void a_core_is_found(void)
{
    int status;
    free(run_real("core", &status));
    is_int(status, VIOS_E_NOT_FOUND);
    is_int(file_replace(folder, "core.4711", "dump", 4, 0600, NULL), VIOS_OK);
    char *text = run_real("core", &status);
    is_int(status, VIOS_OK);
    is_text(text, "dump");
    free(text);
}

static void short_ones_come_first(void)
{
    size_t count;
    const struct collector *table = collectors_all(&count);
    int64_t all_ms = 0;
    for (size_t i = 0; i < count; i++) {
        ok(table[i].limit_ms > 0 && table[i].cap_bytes > 0, "%s has limits", table[i].name);
        all_ms += table[i].limit_ms;
    }
    is_text(table[0].name, "recorder");
    is_text(table[count - 1].name, "core");
    ok(all_ms < 100000, "together they take less than a part may: %lld", (long long)all_ms);
}

int main(void)
{
    char path[160];
    sem_init(&hang, 0, 0);
    sem_init(&hanging_ends, 0, 0);
    snprintf(path, sizeof path, "%s/vios.db", tap_folder());
    make_store(path);
    node.state_dir = node.run_dir = tap_folder();
    folder = open(tap_folder(), O_RDONLY | O_DIRECTORY);
    limited = limited_new();
    RUN(each_has_its_limits);
    RUN(no_more_than_some_may_hang);
    RUN(one_that_is_cancelled_is_not_waited_for);
    RUN(no_secret_is_collected);
    RUN(rings_are_lines);
    RUN(a_core_is_found);
    RUN(short_ones_come_first);
    limited_free(limited);
    store_pool_free(node.stores);
    close(folder);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
