/*
 * test_case.h - one test program or script: how it is started, and what came of it.
 *
 * A test runs below a supervisor process of its own, which is the subreaper of everything the
 * test starts: a daemon that a test leaves behind becomes the supervisor's child, is named as a
 * failure, and is ended. Nothing of a test outlives it, also when the runner itself is ended.
 *
 * What a sanitizer finds is written into a folder beside the test's own, a file for each process.
 * So a report is seen also when it comes from a daemon whose stderr is a log that nobody reads.
 */
#ifndef TESTS_RUNNER_TEST_CASE_H
#define TESTS_RUNNER_TEST_CASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TEST_LIMIT_DEFAULT_S 60
#define TEST_PATH_SIZE 4096

/* What the supervisor tells; it lies in memory shared with the runner. */
struct test_outcome {
    int wait_status; /* of the test's own process, as of waitpid(2) */
    bool timed_out;
    bool interrupted;   /* the runner was told to end */
    char leftover[400]; /* the processes it left, "" if none */
};

struct test_case {
    const char *path;             /* not owned */
    bool heavy;                   /* `needs: heavy` in its first lines */
    int limit_s;                  /* `limit: N` there, times the runner's factor */
    char folder[TEST_PATH_SIZE];  /* its TMPDIR, removed afterwards */
    char output[TEST_PATH_SIZE];  /* stdout and stderr */
    char reports[TEST_PATH_SIZE]; /* the folder of the sanitizers' reports */
    struct test_outcome *outcome;
    pid_t supervisor; /* 0: not started, or ended */
    int64_t started_ms;
    int64_t duration_ms;
    double cpu_s; /* of all its processes, user and system */
    bool done;
};

/* Reads `needs:` and `limit:` from the first lines of the script, or of the C source of a program
 * build/.../tests/X (that is tests/X.c). */
void test_case_read_header(struct test_case *test, int factor);

/* Forks the supervisor; false when that fails. */
bool test_case_start(struct test_case *test);

#endif
