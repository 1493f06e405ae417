/* entrance.c - see entrance.h. Both are ended without the lock: each may call us meanwhile. */
#include "daemon/entrance.h"

#include <unistd.h>

void entrance_init(struct entrance *entrance)
{
    *entrance = (struct entrance){0};
    pthread_mutex_init(&entrance->lock, NULL);
}

void entrance_destroy(struct entrance *entrance)
{
    pthread_mutex_destroy(&entrance->lock);
}

int entrance_open(struct entrance *entrance, struct node *node, struct server *server, int listener,
                  struct vios_error *error)
{
    struct gateway *gateway = NULL;
    struct refusals *refusals = NULL;
    int status = refusals_new(&refusals, node, error);
    if (status != VIOS_OK) {
        close(listener);
        return status;
    }
    pthread_mutex_lock(&entrance->lock);
    entrance->refusals = refusals;
    pthread_mutex_unlock(&entrance->lock);
    status = gateway_start(&gateway, node, server, listener, error);
    pthread_mutex_lock(&entrance->lock);
    entrance->gateway = gateway;
    pthread_mutex_unlock(&entrance->lock);
    return status;
}

void entrance_shut(struct entrance *entrance)
{
    pthread_mutex_lock(&entrance->lock);
    struct gateway *gateway = entrance->gateway;
    entrance->gateway = NULL;
    pthread_mutex_unlock(&entrance->lock);
    gateway_stop(gateway); /* it may tell a refusal before it ends */
}

void entrance_close(struct entrance *entrance)
{
    pthread_mutex_lock(&entrance->lock);
    struct refusals *refusals = entrance->refusals;
    entrance->refusals = NULL;
    pthread_mutex_unlock(&entrance->lock);
    refusals_free(refusals);
}

void entrance_recheck(struct entrance *entrance)
{
    pthread_mutex_lock(&entrance->lock);
    if (entrance->gateway) {
        gateway_recheck(entrance->gateway);
    }
    pthread_mutex_unlock(&entrance->lock);
}

void entrance_refused(struct entrance *entrance, const char *port, const char *who, const char *why)
{
    pthread_mutex_lock(&entrance->lock);
    if (entrance->refusals) {
        refusals_note(entrance->refusals, port, who, why);
    }
    pthread_mutex_unlock(&entrance->lock);
}
