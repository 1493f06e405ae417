/* Proves: the flight recorder keeps the last entries in order, survives kill -9 of its writer in
 * the middle of writing, serves many threads, and puts a foreign file aside. */
#include "base/file.h"
#include "base/recorder.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define SLOTS 64

static struct vios_error error;
static char path[256];

struct seen {
    uint64_t first, last;
    size_t count;
    bool ordered, whole;
    char text[200];
};

static void look(void *context, const struct recorder_entry *entry)
{
    struct seen *seen = context;
    if (seen->count == 0) {
        seen->first = entry->sequence;
    }
    seen->ordered = seen->ordered && entry->sequence > seen->last;
    seen->last = entry->sequence;
    seen->whole =
        seen->whole && strcmp(entry->part, "test") == 0 && strncmp(entry->text, "entry ", 6) == 0;
    seen->count++;
    snprintf(seen->text, sizeof seen->text, "%s", entry->text);
}

static struct seen read_all(void)
{
    struct seen seen = {.ordered = true, .whole = true};
    is_int(recorder_read(path, look, &seen, &error), VIOS_OK);
    return seen;
}

static void keeps_the_last(void)
{
    struct recorder *recorder = NULL;
    is_int(recorder_open(&recorder, path, SLOTS, &error), VIOS_OK);
    is_int(read_all().count, 0);
    for (int i = 1; i <= 100; i++) {
        recorder_note(recorder, "test", "entry %d", i);
    }
    recorder_note(NULL, "test", "nobody sees this");
    recorder_close(recorder);
    struct seen seen = read_all();
    is_int(seen.count, SLOTS);
    is_int(seen.first, 100 - SLOTS + 1);
    is_int(seen.last, 100);
    ok(seen.ordered && seen.whole, "in order, and whole");
    is_text(seen.text, "entry 100");
}

static void goes_on_after_reopening(void)
{
    struct recorder *recorder = NULL;
    is_int(recorder_open(&recorder, path, SLOTS, &error), VIOS_OK);
    recorder_note(recorder, "test", "entry %0300d", 7);
    recorder_close(recorder);
    struct seen seen = read_all();
    is_int(seen.last, 101);
    is_int(strlen(seen.text), 199);
}

static void survives_kill(void)
{
    int ready[2];
    char byte;
    if (pipe(ready) != 0) {
        exit(1);
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct recorder *recorder = NULL;
        recorder_open(&recorder, path, SLOTS, NULL);
        for (int i = 0;; i++) {
            recorder_note(recorder, "test", "entry %d", i);
            if (i == 1000) {
                file_write_all(ready[1], "x", 1, NULL);
            }
        }
    }
    is_int(read(ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    struct seen seen = read_all();
    ok(seen.count >= SLOTS - 1, "%zu entries", seen.count);
    ok(seen.ordered && seen.whole, "in order, and whole");
}

static void *write_many(void *context)
{
    for (int i = 0; i < 20000; i++) {
        recorder_note(context, "test", "entry %d", i);
    }
    return NULL;
}

static void serves_threads_while_it_is_read(void)
{
    struct recorder *recorder = NULL;
    pthread_t threads[3];
    is_int(recorder_open(&recorder, path, SLOTS, &error), VIOS_OK);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, write_many, recorder);
    }
    for (int i = 0; i < 200; i++) {
        struct seen seen = read_all();
        ok(seen.whole, "entries are whole");
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    recorder_close(recorder);
}

static void puts_a_foreign_file_aside(void)
{
    char old[300];
    char *data = NULL;
    size_t size;
    struct recorder *recorder = NULL;
    snprintf(old, sizeof old, "%s.old", path);
    int fd = open(tap_folder(), O_RDONLY | O_DIRECTORY);
    is_int(file_replace(fd, "ring", "not a ring", 10, 0600, &error), VIOS_OK);
    close(fd);
    is_int(recorder_read(path, look, NULL, &error), VIOS_E_CORRUPT);
    is_text(error.message, "is not a flight recorder");
    is_int(recorder_open(&recorder, path, SLOTS, &error), VIOS_OK);
    recorder_close(recorder);
    is_int(file_read(AT_FDCWD, old, 100, &data, &size, &error), VIOS_OK);
    is_text(data, "not a ring");
    free(data);
    is_int(recorder_read("/nonexistent/ring", look, NULL, &error), VIOS_E_NOT_FOUND);
    is_int(recorder_open(&recorder, "/nonexistent/ring", SLOTS, &error), VIOS_E_NOT_FOUND);
    is_int(recorder_open(&recorder, path, 0, &error), VIOS_E_INVALID);
}

int main(void)
{
    snprintf(path, sizeof path, "%s/ring", tap_folder());
    RUN(keeps_the_last);
    RUN(goes_on_after_reopening);
    RUN(survives_kill);
    RUN(serves_threads_while_it_is_read);
    RUN(puts_a_foreign_file_aside);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
