/*
 * main.c - the program libexec/vios/place: a question on its input, the answer of the placement
 * function on its output, see sandbox.h; for the daemon, see node/place_function.h.
 *
 * Before it asks it gives up what it does not need: it opens no file, and lasts PLACE_CPU_S seconds
 * of computing, also when no daemon is left to end it.
 */
#include "lua/place/sandbox.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLACE_CPU_S 1

static void limit(__rlimit_resource_t which, rlim_t value)
{
    setrlimit(which, &(struct rlimit){value, value});
}

int main(void)
{
    limit(RLIMIT_CPU, PLACE_CPU_S);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 0);
    json_t *question = json_loadf(stdin, 0, NULL);
    json_t *answer = sandbox_answer(question);
    _exit(answer && json_dumpfd(answer, STDOUT_FILENO, JSON_COMPACT) == 0 ? 0 : 1);
}
