/* Proves: a takeable guest stops when the time is over and goes on when there is time again, also
 * one that comes meanwhile, or was stopped by somebody who is gone; one that is not takeable, and
 * one that was removed, are left alone. */
#include "base/guests.h"
#include "tests/tap.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct guests *guests;
static struct vios_error error;

static pid_t start_guest(const char *name, bool takeable)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    is_int(guests_add(guests, name, takeable, pidfd, &error), VIOS_OK);
    return pid;
}

static void end_guest(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Waits for the next change: SIGSTOP, SIGCONT. */
static int next_change(pid_t pid)
{
    siginfo_t changed = {0};
    waitid(P_PID, (id_t)pid, &changed, WSTOPPED | WCONTINUED);
    return changed.si_code == CLD_STOPPED     ? SIGSTOP
           : changed.si_code == CLD_CONTINUED ? SIGCONT
                                              : 0;
}

static bool unchanged(pid_t pid)
{
    siginfo_t changed = {0};
    return waitid(P_PID, (id_t)pid, &changed, WSTOPPED | WCONTINUED | WNOHANG) == 0 &&
           changed.si_pid == 0;
}

static void stop_and_go_on_with_the_gate(void)
{
    is_int(guests_new(&guests, &error), VIOS_OK);
    guests_gate(guests, true);
    pid_t taken = start_guest("taken", true), kept = start_guest("kept", false);
    guests_gate(guests, false);
    is_int(next_change(taken), SIGSTOP);
    ok(unchanged(kept), "one that nobody may take over goes on");
    guests_gate(guests, true);
    is_int(next_change(taken), SIGCONT);
    ok(unchanged(kept), "it still does");
    guests_remove(guests, "taken");
    guests_gate(guests, false);
    ok(unchanged(taken), "one that was removed is left alone");
    end_guest(taken);
    end_guest(kept);
    guests_gate(guests, true); /* kept has ended */
    guests_free(guests);
}

static void one_that_comes_is_treated_alike(void)
{
    is_int(guests_new(&guests, &error), VIOS_OK);
    pid_t pid = start_guest("early", true);
    is_int(next_change(pid), SIGSTOP);
    guests_free(guests);
    ok(unchanged(pid), "it stays as it is");
    is_int(guests_new(&guests, &error), VIOS_OK);
    guests_gate(guests, true);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    is_int(guests_add(guests, "early", true, pidfd, &error), VIOS_OK);
    is_int(next_change(pid), SIGCONT);
    end_guest(pid);
    guests_free(guests);
}

static void refuses_what_is_no_process(void)
{
    is_int(guests_new(&guests, &error), VIOS_OK);
    is_int(guests_add(guests, "g", true, STDOUT_FILENO, &error), VIOS_E_INVALID);
    is_text(error.object, "g");
    guests_free(guests);
}

int main(void)
{
    RUN(stop_and_go_on_with_the_gate);
    RUN(one_that_comes_is_treated_alike);
    RUN(refuses_what_is_no_process);
    return tap_done();
}
