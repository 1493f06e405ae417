/* identity.h - authorities and nodes for the tests of core/net: made in memory, thrown away. */
#ifndef TESTS_UNIT_NET_IDENTITY_H
#define TESTS_UNIT_NET_IDENTITY_H

#include "net/authority.h"
#include "net/crypto.h"
#include "tests/tap.h"

#define UUID_ONE "11111111-1111-4111-8111-111111111111"

struct test_node {
    char *key, *request, *certificate;
    char serial[CERTIFICATE_SERIAL_SIZE];
};

__attribute__((unused)) static struct authority *make_authority(const char *cluster)
{
    struct authority *authority;
    struct vios_error error = {0};
    ok(authority_make(&authority, cluster, UUID_ONE, &error) == VIOS_OK, "%s", error.message);
    return authority;
}

__attribute__((unused)) static struct test_node make_node_valid(const struct authority *authority,
                                                                const char *name, int64_t from_s,
                                                                int64_t until_s)
{
    struct test_node node = {0};
    struct vios_error error = {0};
    ok(certificate_request(name, &node.key, &node.request, &error) == VIOS_OK, "%s", error.message);
    ok(authority_sign_valid(authority, node.request, name, from_s, until_s, &node.certificate,
                            node.serial, &error) == VIOS_OK,
       "%s", error.message);
    return node;
}

__attribute__((unused)) static struct test_node make_node(const struct authority *authority,
                                                          const char *name)
{
    return make_node_valid(authority, name, -60, 3600);
}

__attribute__((unused)) static void free_node(struct test_node *node)
{
    crypto_forget(node->key);
    free(node->request);
    free(node->certificate);
}

#endif
