/* ssh_library.c - see ssh_library.h. */
#include "lua/ssh_library.h"

#include "lua/binding.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct ssh_library *loaded;
static char why[PATH_MAX + 256]; /* it is not */

static void load(void)
{
    char path[PATH_MAX + 64];
    program_path("ssh.so", path, sizeof path);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct ssh_library *found = handle ? dlsym(handle, SSH_LIBRARY_SYMBOL) : NULL;
    if (!found) {
        snprintf(why, sizeof why, "%s", dlerror());
    } else if (strcmp(found->version, VIOS_VERSION) != 0) {
        snprintf(why, sizeof why, "%.200s: it is of vios %.20s, and this is %s", path,
                 found->version, VIOS_VERSION);
    } else {
        loaded = found;
    }
}

const struct ssh_library *ssh_library(struct vios_error *error)
{
    pthread_once(&once, load);
    if (!loaded) {
        error_set(error, VIOS_E_IO, "ssh", "install vios again, or start this shell again",
                  "what speaks ssh cannot be loaded: %.300s", why);
    }
    return loaded;
}
