/* missing.c - see missing.h. */
#include "store/missing.h"

#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_TIMEOUT_MS 2000

int store_missing(struct store *store, const char *prefix, const char *noun, const char *name,
                  const char *message, struct operation *operation)
{
    struct store_list list = {0};
    struct operation listing;
    char object[96], otherwise[64], hint[200];
    const char **names = NULL;
    operation_start(&listing, LIST_TIMEOUT_MS, operation->cancel);
    if (store_list(store, prefix, &list, NULL, &listing) == VIOS_OK) {
        names = calloc(list.count + 1, sizeof *names);
    }
    for (size_t i = 0; names && i < list.count; i++) {
        const char *slash = strrchr(list.values[i].key, '/');
        names[i] = slash + 1 > list.values[i].key + strlen(prefix)
                       ? slash + 1
                       : list.values[i].key + strlen(prefix);
    }
    snprintf(object, sizeof object, "%s \"%s\"", noun, name);
    snprintf(otherwise, sizeof otherwise, "see \"vios %s list\"", noun);
    parse_hint(name, names, names ? list.count : 0, otherwise, hint, sizeof hint);
    free(names);
    store_list_clear(&list);
    return operation_fail(operation, VIOS_E_NOT_FOUND, object, hint, "%s", message);
}
