/* rpc_client_tls.c - the RPC client's way to other nodes; a file of its own, so that the shell
 * links without OpenSSL. */
#include "net/rpc.h"
#include "net/tls.h"

int rpc_client_open_tls(struct rpc_client **client, const char *address,
                        struct tls_context *context, const char *node, struct operation *operation)
{
    struct transport *transport;
    *client = NULL;
    int status = transport_tls_connect(&transport, address, context, TLS_RPC, node, operation);
    return status == VIOS_OK ? rpc_client_open_on(client, transport, address, operation) : status;
}
