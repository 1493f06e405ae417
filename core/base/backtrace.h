/*
 * backtrace.h - what a process that crashes leaves behind: who it was, the signal, the address, and
 * the frames of the thread, in a file that was opened before. Then it dies of that signal as it
 * would have: its exit status and its core dump stay as they are.
 *
 * The handler calls only what a signal handler may call (and the unwinder and dladdr(), which were
 * called once before, and so load nothing any more), on a stack of its own in each thread that
 * thread_start() starts. Should it hang all the same, SIGALRM ends it.
 *
 * AddressSanitizer says more itself: under it nothing is installed.
 */
#ifndef BASE_BACKTRACE_H
#define BASE_BACKTRACE_H

#include "base/error.h"

#include <signal.h>

#define BACKTRACE_CRASHED ".crashed" /* behind the file's name: what a process before this left */
#define BACKTRACE_DAEMON "backtrace" /* in STATE_DIR */
#define BACKTRACE_IO "io.backtrace"  /* in RUN_DIR: io knows no other folder */
#define BACKTRACE_STACK_SIZE (64 * 1024)
#define BACKTRACE_FRAMES_MAX 64
#define BACKTRACE_LIMIT_S 5 /* for the handler */

struct backtrace_settings {
    const char *program; /* "daemon" */
    int folder_fd;       /* where the file is */
    const char *file;    /* empty until there is a crash */
    int core_fd;         /* the folder that the process dies in, for a core dump's name is mostly
                            relative to that; -1: where it is */
};

/* Once in a process, on its first thread. What is in the file is put aside first, under its name
 * with BACKTRACE_CRASHED, unless there is such a one: the first crash is the one that is kept. The
 * descriptors stay the caller's; `program` and `file` must stay. */
int backtrace_install(const struct backtrace_settings *settings, struct vios_error *error);

/* The stack that the calling thread's handler runs on from now on, of BACKTRACE_STACK_SIZE bytes;
 * NULL: none of its own. */
void backtrace_use_stack(void *stack);

/* Takes the signals of crashes out of `set`: blocked, they would end the process without us. */
void backtrace_let_through(sigset_t *set);

#endif
