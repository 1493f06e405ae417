/*
 * etcd_address.h - where an etcd is and who we are to it, from the text of an address:
 *
 *     etcd:URL[,URL...][?NAME=VALUE[&NAME=VALUE...]]        URL = http[s]://HOST[:PORT]
 *
 * All URLs are http or all https; the port is 2379 unless given. Names: `prefix` (/vios), `user`
 * with `password_file`, `ca`, `cert` with `key`. Internal to core/store.
 */
#ifndef STORE_ETCD_ADDRESS_H
#define STORE_ETCD_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define ETCD_ENDPOINTS_MAX 16
#define ETCD_ENDPOINT_MAX 300 /* bytes of "https://HOST:PORT" */
#define ETCD_PREFIX_MAX 128
#define ETCD_USER_MAX 64
#define ETCD_PASSWORD_MAX 256
#define ETCD_PREFIX_DEFAULT "/vios"
#define ETCD_PORT_DEFAULT 2379

struct etcd_address {
    char endpoints[ETCD_ENDPOINTS_MAX][ETCD_ENDPOINT_MAX]; /* "http://127.0.0.1:2379" */
    size_t endpoint_count;
    bool secure;               /* https */
    const char *prefix;        /* never NULL */
    const char *user;          /* NULL: without a user */
    const char *password_file; /* set exactly when user is */
    const char *ca;            /* NULL: the system's */
    const char *cert;          /* NULL: without a certificate of ours */
    const char *key;           /* set exactly when cert is */
    char *text;                /* what the pointers above point into */
};

/* `text` is what stands behind "etcd:". VIOS_E_USAGE names what is wrong. */
int etcd_address_parse(struct etcd_address *address, const char *text, struct vios_error *error);
void etcd_address_clear(struct etcd_address *address);

/* Reads the password: a plain file of mode 0600 or less, one line. */
int etcd_address_password(const struct etcd_address *address, char password[ETCD_PASSWORD_MAX + 1],
                          struct vios_error *error);

#endif
