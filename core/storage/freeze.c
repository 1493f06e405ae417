/* freeze.c - see freeze.h; empty in a release build. */
#include "storage/freeze.h"

#ifdef VIOS_TEST_HOOKS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char wanted_place[16]; /* "": nowhere */
static uint64_t wanted_offset;
static atomic_bool frozen;

static void read_environment(void)
{
    const char *text = getenv("VIOS_FREEZE_AT");
    const char *colon = text ? strchr(text, ':') : NULL;
    if (colon && (size_t)(colon - text) < sizeof wanted_place) {
        memcpy(wanted_place, text, (size_t)(colon - text));
        wanted_offset = strtoull(colon + 1, NULL, 10);
    }
}

void freeze_point(const char *place, const struct nbd_request *request)
{
    pthread_once(&once, read_environment);
    if (request && wanted_place[0] && strcmp(place, wanted_place) == 0 &&
        request->offset == wanted_offset && !atomic_exchange(&frozen, true)) {
        raise(SIGSTOP);
    }
}

#endif
