/* credentials.c - see credentials.h. */
#include "node/credentials.h"

#include "base/file.h"
#include "net/crypto.h"
#include "net/tls.h"

#include <stdlib.h>
#include <string.h>

#define AUTHORITY_FILE "ca.crt"
#define CERTIFICATE_FILE "node.crt"
#define KEY_FILE "node.key"

static int read_text(const struct node *node, const char *name, char **text,
                     struct vios_error *error)
{
    size_t size;
    return file_read(node->state_dir_fd, name, CERTIFICATE_PEM_MAX, text, &size, error);
}

static int write_text(const struct node *node, const char *name, const char *text, mode_t mode,
                      struct vios_error *error)
{
    return file_replace(node->state_dir_fd, name, text, strlen(text), mode, error);
}

int credentials_read(const struct node *node, struct credentials *credentials,
                     struct vios_error *error)
{
    memset(credentials, 0, sizeof *credentials);
    int status = read_text(node, KEY_FILE, &credentials->key, error);
    if (status == VIOS_OK) {
        status = read_text(node, AUTHORITY_FILE, &credentials->authority, error);
    }
    return status == VIOS_OK ? read_text(node, CERTIFICATE_FILE, &credentials->certificate, error)
                             : status;
}

int credentials_write(const struct node *node, const struct credentials *credentials,
                      struct vios_error *error)
{
    int status = write_text(node, KEY_FILE, credentials->key, 0600, error);
    if (status == VIOS_OK) {
        status = write_text(node, AUTHORITY_FILE, credentials->authority, 0644, error);
    }
    return status == VIOS_OK
               ? write_text(node, CERTIFICATE_FILE, credentials->certificate, 0644, error)
               : status;
}

void credentials_clear(struct credentials *credentials)
{
    crypto_forget(credentials->key);
    free(credentials->certificate);
    free(credentials->authority);
    memset(credentials, 0, sizeof *credentials);
}

int credentials_check(const struct node *node, const struct credentials *credentials,
                      char serial[CERTIFICATE_SERIAL_SIZE], struct vios_error *error)
{
    struct tls_context *scratch;
    struct certificate_facts facts;
    const struct tls_identity identity = {.certificate = credentials->certificate,
                                          .key = credentials->key,
                                          .authority = credentials->authority};
    int status = tls_context_new(&scratch, NULL, NULL, error);
    if (status != VIOS_OK) {
        return status;
    }
    status = tls_context_set(scratch, &identity, error);
    tls_context_free(scratch);
    if (status == VIOS_OK) {
        status = certificate_parse(credentials->certificate, &facts, error);
    }
    if (status == VIOS_OK && strcmp(facts.node, node->name) != 0) {
        status = error_set(error, VIOS_E_INVALID, CERTIFICATE_FILE, NULL,
                           "the certificate in the state folder is of node \"%s\"", facts.node);
    }
    if (status == VIOS_OK) {
        memcpy(serial, facts.serial, CERTIFICATE_SERIAL_SIZE);
    }
    return status;
}

int credentials_authority(const struct node *node, struct authority **authority,
                          struct vios_error *error)
{
    char *key = NULL, *certificate = NULL;
    *authority = NULL;
    int status = read_text(node, CREDENTIALS_AUTHORITY_KEY, &key, error);
    if (status == VIOS_OK) {
        status = read_text(node, AUTHORITY_FILE, &certificate, error);
    }
    if (status == VIOS_OK) {
        status = authority_load(authority, certificate, key, NULL, error);
    }
    crypto_forget(key);
    free(certificate);
    return status;
}

int credentials_save_authority(const struct node *node, const struct authority *authority,
                               struct vios_error *error)
{
    int status =
        authority_save_key(authority, node->state_dir_fd, CREDENTIALS_AUTHORITY_KEY, error);
    return status == VIOS_OK
               ? write_text(node, AUTHORITY_FILE, authority_certificate(authority), 0644, error)
               : status;
}
