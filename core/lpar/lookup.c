/* lookup.c - see lookup.h. */
#include "lpar/lookup.h"

#include "base/json.h"
#include "node/node.h"

#include <string.h>

int lpar_of_call(struct call *call, const json_t *parameters, struct lpar *lpar,
                 struct operation *operation)
{
    struct store *store = NULL;
    const char *name = json_get_text(parameters, "name");
    lpar->owner[0] = lpar->name[0] = 0;
    int status = node_store(call->node, &store, operation);
    if (status == VIOS_OK) {
        status = lpar_load(store, name, lpar, operation);
        node_store_return(call->node, store);
    }
    return status;
}

bool lpar_is_elsewhere(const struct node *node, const struct lpar *lpar)
{
    return lpar->owner[0] && strcmp(lpar->owner, node->name) != 0;
}
