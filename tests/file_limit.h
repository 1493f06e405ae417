/* file_limit.h - files that cannot become larger, for tests of writes that fail. */
#ifndef TESTS_FILE_LIMIT_H
#define TESTS_FILE_LIMIT_H

#include "tests/tap.h"

#include <signal.h>
#include <sys/resource.h>

/* No file of this process may become larger than `bytes`; RLIM_INFINITY: again as before. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    ok(getrlimit(RLIMIT_FSIZE, &limit) == 0, "getrlimit");
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    ok(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
}

#endif
