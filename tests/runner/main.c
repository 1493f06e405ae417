/*
 * runner - runs test programs and scripts side by side, and counts what they say in TAP.
 *
 *     runner [-j JOBS] [-w HEAVY] [-x FACTOR] TEST...
 *
 * -j: how many run at once (the number of processors). -w: how many of those may be heavy (2).
 * -x: multiplies each time limit, for slow builds (1). A test is a program, or a script .sh
 * (bash), .exp (expect) or .lua (the shell we built, $BUILD/bin/vios).
 *
 * A test fails by `not ok`, by a plan that does not fit, by its exit status, by taking longer
 * than its limit, by leaving a process behind, and by a sanitizer's report. The heavy ones are
 * started first: they take longest. The last line is `N passed, N failed`, with `, N skipped` when
 * some were.
 */
#include "base/clock.h"
#include "base/file.h"
#include "tests/runner/tap_reader.h"
#include "tests/runner/test_case.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOWEST_SHOWN 10
#define OUTPUT_SHOWN (256 * 1024)

struct runner {
    int jobs, heavy_jobs, factor;
    int running, running_heavy;
    int passed, failed, skipped;
    struct test_case *tests;
    size_t count;
    char folder[64]; /* holds the tests' own */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    interrupted = number;
}

/* What is wrong beside the `not ok` lines; "" when nothing. */
static void judge(const struct test_case *test, const struct tap_result *result, char *text,
                  size_t size)
{
    const struct test_outcome *outcome = test->outcome;
    int status = outcome->wait_status;
    text[0] = '\0';
    if (outcome->timed_out) {
        snprintf(text, size, "took longer than %d s", test->limit_s);
    } else if (WIFSIGNALED(status)) {
        snprintf(text, size, "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0 && result->failed == 0) {
        snprintf(text, size, "exit status %d", WEXITSTATUS(status));
    } else if (result->fault[0]) {
        snprintf(text, size, "%s", result->fault);
    } else if (outcome->leftover[0]) {
        snprintf(text, size, "left behind: %s", outcome->leftover);
    }
}

static void print_passed(int *passed)
{
    if (*passed) {
        printf("      | (%d passed)\n", *passed);
        *passed = 0;
    }
}

/* All but the checks that passed, which are counted: what failed is to be seen at a glance. */
static void print_output(const char *path)
{
    int passed = 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        return;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file), start = size > OUTPUT_SHOWN ? size - OUTPUT_SHOWN : 0;
    if (start > 0) {
        printf("      | ... %ld bytes before this\n", start);
    }
    fseek(file, start, SEEK_SET);
    char line[4096];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "ok ", 3) == 0) {
            passed++;
            continue;
        }
        print_passed(&passed);
        printf("      | %s%s", line, strchr(line, '\n') ? "" : "\n");
    }
    print_passed(&passed);
    fclose(file);
}

/* Sanitizers warn too, of what they do not support. */
static bool tells_an_error(const char *path)
{
    char line[4096];
    bool error = false;
    FILE *file = fopen(path, "re");
    while (file && !error && fgets(line, sizeof line, file)) {
        error = strstr(line, "ERROR: ") || strstr(line, "runtime error: ");
    }
    if (file) {
        fclose(file);
    }
    return error;
}

/* Calls `use` (or nothing) with each report of a sanitizer; how many there are. */
static int each_report(const struct test_case *test, void (*use)(const char *path))
{
    int count = 0;
    DIR *folder = opendir(test->reports);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        char path[TEST_PATH_SIZE + NAME_MAX + 2];
        snprintf(path, sizeof path, "%s/%s", test->reports, entry->d_name);
        if (entry->d_name[0] == '.' || !tells_an_error(path)) {
            continue;
        }
        count++;
        if (use) {
            use(path);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

static void report(struct runner *runner, struct test_case *test)
{
    struct tap_result result = {.planned = -1};
    char fault[600];
    int reports = each_report(test, NULL);
    FILE *file = fopen(test->output, "re");
    if (file) {
        tap_read(file, &result);
        fclose(file);
    }
    judge(test, &result, fault, sizeof fault);
    if (reports && !fault[0]) {
        snprintf(fault, sizeof fault, "a sanitizer found something");
    }
    int failed = result.failed + (fault[0] != '\0');
    runner->passed += result.passed;
    runner->skipped += result.skipped;
    runner->failed += failed;
    printf("%s %6.1f s (%5.1f)  %s", failed ? "FAIL" : "ok  ", (double)test->duration_ms / 1000,
           test->cpu_s, test->path);
    printf(result.skip_why[0] ? " # SKIP%s\n" : "\n", result.skip_why);
    if (failed) {
        print_output(test->output);
        each_report(test, print_output);
        printf("      = %s%s%d checks failed\n", fault, fault[0] ? "; " : "", result.failed);
    }
    unlink(test->output);
    file_remove_tree(test->reports, NULL);
    fflush(stdout);
}

static struct test_case *next_test(struct runner *runner)
{
    struct test_case *light = NULL;
    for (size_t i = 0; i < runner->count; i++) {
        struct test_case *test = &runner->tests[i];
        if (test->done || test->supervisor) {
            continue;
        }
        if (test->heavy && runner->running_heavy < runner->heavy_jobs) {
            return test;
        }
        light = light || test->heavy ? light : test;
    }
    return light;
}

static void start_some(struct runner *runner)
{
    struct test_case *test;
    while (!interrupted && runner->running < runner->jobs && (test = next_test(runner))) {
        if (!test_case_start(test)) {
            printf("FAIL  %s: cannot be started: %s\n", test->path, strerror(errno));
            runner->failed++;
            test->done = true;
            continue;
        }
        runner->running++;
        runner->running_heavy += test->heavy;
    }
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void wait_for_one(struct runner *runner)
{
    struct rusage usage; /* of a supervisor and of all that it reaped */
    pid_t pid = wait4(-1, NULL, 0, &usage);
    if (pid < 0 && errno != EINTR) {
        perror("wait4");
        exit(1);
    }
    for (size_t i = 0; i < runner->count; i++) {
        struct test_case *test = &runner->tests[i];
        if (interrupted && test->supervisor) {
            kill(test->supervisor, SIGTERM);
        }
        if (pid > 0 && test->supervisor == pid) {
            test->supervisor = 0;
            test->done = true;
            test->duration_ms = clock_now_ms() - test->started_ms;
            test->cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
            runner->running--;
            runner->running_heavy -= test->heavy;
            report(runner, test);
        }
    }
}

static int slower(const void *a, const void *b)
{
    const struct test_case *left = a, *right = b;
    return (left->duration_ms < right->duration_ms) - (left->duration_ms > right->duration_ms);
}

static void print_summary(struct runner *runner, int64_t started_ms)
{
    double cpu_s = 0;
    qsort(runner->tests, runner->count, sizeof *runner->tests, slower);
    for (size_t i = 0; i < runner->count; i++) {
        cpu_s += runner->tests[i].cpu_s;
    }
    printf("\nslowest, of %.1f s in all (%.1f s of CPU):\n",
           (double)(clock_now_ms() - started_ms) / 1000, cpu_s);
    for (size_t i = 0; i < runner->count && i < SLOWEST_SHOWN; i++) {
        const struct test_case *test = &runner->tests[i];
        printf("  %6.1f s (%5.1f)  %s\n", (double)test->duration_ms / 1000, test->cpu_s,
               test->path);
    }
    printf("\n%d passed, %d failed", runner->passed, runner->failed);
    if (runner->skipped) {
        printf(", %d skipped", runner->skipped);
    }
    printf("\n");
}

static int usage(void)
{
    fprintf(stderr, "usage: runner [-j JOBS] [-w HEAVY] [-x FACTOR] TEST...\n");
    return 2;
}

static int parse_options(struct runner *runner, int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "j:w:x:")) != -1) {
        int *number = option == 'j'   ? &runner->jobs
                      : option == 'w' ? &runner->heavy_jobs
                      : option == 'x' ? &runner->factor
                                      : NULL;
        if (!number || (*number = atoi(optarg)) < 1) {
            return -1;
        }
    }
    return optind < argc ? optind : -1;
}

/* Those that may take longest begin first, so that none of them runs alone at the end. */
static int may_take_longer(const void *a, const void *b)
{
    const struct test_case *left = a, *right = b;
    return (left->limit_s < right->limit_s) - (left->limit_s > right->limit_s);
}

static bool prepare(struct runner *runner, char **paths)
{
    const char *parent = getenv("TMPDIR");
    struct test_outcome *outcomes = mmap(NULL, runner->count * sizeof *outcomes,
                                         PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    runner->tests = calloc(runner->count, sizeof *runner->tests);
    snprintf(runner->folder, sizeof runner->folder, "%.40s/vios-XXXXXX", parent ? parent : "/tmp");
    if (outcomes == MAP_FAILED || !runner->tests || !mkdtemp(runner->folder)) {
        perror("runner");
        return false;
    }
    for (size_t i = 0; i < runner->count; i++) {
        struct test_case *test = &runner->tests[i];
        test->path = paths[i];
        test->outcome = &outcomes[i];
        snprintf(test->folder, sizeof test->folder, "%s/%zu", runner->folder, i);
        snprintf(test->output, sizeof test->output, "%s/%zu.out", runner->folder, i);
        snprintf(test->reports, sizeof test->reports, "%s/%zu.reports", runner->folder, i);
        test_case_read_header(test, runner->factor);
    }
    qsort(runner->tests, runner->count, sizeof *runner->tests, may_take_longer);
    return true;
}

int main(int argc, char **argv)
{
    struct runner runner = {
        .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN), .heavy_jobs = 2, .factor = 1};
    int first = parse_options(&runner, argc, argv);
    if (first < 0) {
        return usage();
    }
    runner.count = (size_t)(argc - first);
    if (!prepare(&runner, argv + first)) {
        return 1;
    }
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART: waitpid returns */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int64_t started_ms = clock_now_ms();
    start_some(&runner);
    while (runner.running > 0) {
        wait_for_one(&runner);
        start_some(&runner);
    }
    file_remove_tree(runner.folder, NULL);
    if (interrupted) {
        printf("interrupted\n");
        return 128 + interrupted;
    }
    print_summary(&runner, started_ms);
    free(runner.tests);
    return runner.failed ? 1 : 0;
}
