/* library.c - the table of the shared library. See the header. */
#include "ssh/library.h"

extern const struct ssh_library SSH_LIBRARY; /* found by its name */

const struct ssh_library SSH_LIBRARY = {
    .version = VIOS_VERSION,
    .host_open = ssh_host_open,
    .host_close = ssh_host_close,
    .host_alive = ssh_host_alive,
    .host_name = ssh_host_name,
    .channel_transport = ssh_channel_transport,
    .command_run = ssh_command_run,
};
