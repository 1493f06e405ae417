/* identity.h - authorities and nodes for the tests of core/net: made in memory, thrown away. */
#ifndef TESTS_UNIT_NET_IDENTITY_H
#define TESTS_UNIT_NET_IDENTITY_H

#include "net/authority.h"
#include "net/crypto.h"
#include "net/tls.h"
#include "tests/tap.h"

#define UUID_ONE "11111111-1111-4111-8111-111111111111"

struct test_node {
    char *key, *request, *certificate;
    char serial[CERTIFICATE_SERIAL_SIZE];
};

static struct authority *lab; /* a cluster of two, between make_lab() and free_lab() */
static struct test_node n1, n2;

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

__attribute__((unused)) static void make_lab(void)
{
    lab = make_authority("lab");
    n1 = make_node(lab, "n1");
    n2 = make_node(lab, "n2");
}

__attribute__((unused)) static void free_lab(void)
{
    free_node(&n1);
    free_node(&n2);
    authority_free(lab);
}

__attribute__((unused)) static struct tls_context *
context_of(const struct authority *authority, const struct test_node *node, tls_allowed *allowed)
{
    struct tls_context *context = NULL;
    struct vios_error error = {0};
    struct tls_identity identity = {node->certificate, node->key, authority_certificate(authority)};
    is_int(tls_context_new(&context, allowed, NULL, NULL), VIOS_OK);
    ok(tls_context_set(context, &identity, &error) == VIOS_OK, "%s", error.message);
    return context;
}

#endif
