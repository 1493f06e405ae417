/*
 * make_identity.c - a throw-away cluster's authority and nodes, for tests.
 *
 *   make_identity FOLDER CLUSTER NODE...
 *
 * FOLDER/NODE gets cert.pem and key.pem, the same as client-*.pem and server-*.pem (what libnbd and
 * nbdkit look for), ca-cert.pem, and `serial`. FOLDER must not be there.
 */
#include "base/file.h"
#include "net/authority.h"
#include "net/crypto.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct vios_error error;

static void check(int status)
{
    if (status != VIOS_OK) {
        fprintf(stderr, "make_identity: %s: %s\n", error.object, error.message);
        exit(1);
    }
}

static void write_pem(int folder, const char *role, const char *what, const char *pem)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s.pem", role, what);
    check(file_replace(folder, name, pem, strlen(pem), 0600, &error));
}

static void make_node(const struct authority *authority, const char *parent, const char *node)
{
    static const char *const roles[] = {"", "client-", "server-"};
    char path[4096], serial[CERTIFICATE_SERIAL_SIZE], *key, *request, *certificate;
    snprintf(path, sizeof path, "%s/%s", parent, node);
    check(file_make_folders(path, 0700, &error));
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    check(certificate_request(node, &key, &request, &error));
    check(authority_sign(authority, request, node, &certificate, serial, &error));
    write_pem(folder, "ca-", "cert", authority_certificate(authority));
    for (int i = 0; i < 3; i++) {
        write_pem(folder, roles[i], "cert", certificate);
        write_pem(folder, roles[i], "key", key);
    }
    check(file_replace(folder, "serial", serial, strlen(serial), 0600, &error));
    crypto_forget(key);
    free(request);
    free(certificate);
    close(folder);
}

int main(int count, char **words)
{
    struct authority *authority;
    char uuid[UUID_TEXT_SIZE];
    if (count < 4 || mkdir(words[1], 0700) != 0) {
        fprintf(stderr, "usage: make_identity NEW-FOLDER CLUSTER NODE...\n");
        return 2;
    }
    uuid_make(uuid);
    check(authority_make(&authority, words[2], uuid, &error));
    for (int i = 3; i < count; i++) {
        make_node(authority, words[1], words[i]);
    }
    authority_free(authority);
    return 0;
}
