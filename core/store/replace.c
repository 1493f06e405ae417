/* replace.c - see replace.h: which back end an address means. */
#include "store/replace.h"

#include "store/backend.h"
#include "store/etcd.h"
#include "store/sqlite.h"

#include <stdlib.h>
#include <string.h>

/* The file's path, or NULL when it is another kind of address. */
static const char *path_of(const char *address)
{
    return strncmp(address, "sqlite:", 7) == 0 ? address + 7 : NULL;
}

static const char *etcd_of(const char *address)
{
    return strncmp(address, "etcd:", 5) == 0 ? address + 5 : NULL;
}

int store_read(const char *address, const char *prefix, struct store_reading *reading,
               struct operation *operation)
{
    memset(reading, 0, sizeof *reading);
    return path_of(address)   ? sqlite_store_read(path_of(address), prefix, reading, operation)
           : etcd_of(address) ? etcd_store_read(etcd_of(address), prefix, reading, operation)
                              : store_refuse_address(address, operation);
}

void store_reading_clear(struct store_reading *reading)
{
    store_list_clear(&reading->list);
    memset(reading, 0, sizeof *reading);
}

void store_replace_left(const char *address, char left[PATH_MAX + 16])
{
    left[0] = '\0';
    if (path_of(address)) {
        sqlite_store_left(path_of(address), left);
    }
}

int store_check_unused(const char *address, struct operation *operation)
{
    return path_of(address) ? sqlite_store_check_unused(path_of(address), operation) : VIOS_OK;
}

int store_replace(const char *address, const struct store_list *list, int64_t revision,
                  char aside[PATH_MAX + 64], struct operation *operation)
{
    aside[0] = '\0';
    return path_of(address)
               ? sqlite_store_replace(path_of(address), list, revision, aside, operation)
           : etcd_of(address) ? etcd_store_replace(etcd_of(address), list, operation)
                              : store_refuse_address(address, operation);
}

int store_retire(const char *address, char aside[PATH_MAX + 64], struct operation *operation)
{
    aside[0] = '\0';
    return path_of(address) ? sqlite_store_retire(path_of(address), aside, operation) : VIOS_OK;
}
