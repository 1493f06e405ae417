/* channel_internal.h - what transport and commands share of a channel. */
#ifndef SSH_CHANNEL_INTERNAL_H
#define SSH_CHANNEL_INTERNAL_H

#include "ssh/host_internal.h"

/* An open channel; NULL with the operation's error. ssh_channel_free() it. */
ssh_channel channel_open(struct ssh_host *host, struct operation *operation);

/* Starts `command` in it. */
int channel_start(struct ssh_host *host, ssh_channel channel, const char *command,
                  struct operation *operation);

#endif
