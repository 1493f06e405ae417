/* host_key.c - whether the key that a host shows is the one that known_hosts has. */
#include "ssh/host_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_SIZE 16

/* "SHA256:…" of the host's key; free it with ssh_string_free_char(). NULL: it cannot be had. */
static char *fingerprint_of(ssh_session session)
{
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t size = 0;
    char *text = NULL;
    if (ssh_get_server_publickey(session, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) == SSH_OK) {
        text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
    }
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return text;
}

/* As known_hosts names it: "host", or "[host]:port". */
static void known_name(ssh_session session, char *name, size_t size)
{
    char *host = NULL;
    unsigned port = 22;
    ssh_options_get(session, SSH_OPTIONS_HOST, &host);
    ssh_options_get_port(session, &port);
    snprintf(name, size, port == 22 ? "%s" : "[%s]:%u", host ? host : "", port);
    ssh_string_free_char(host);
}

/* The first line of the file that is about the host; 0: none. */
static int line_of(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    int number = 0, found = 0;
    while (file && !found && getline(&line, &capacity, file) >= 0) {
        struct ssh_knownhosts_entry *entry = NULL;
        number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (ssh_known_hosts_parse_line(name, line, &entry) == SSH_OK) {
            found = number;
            ssh_knownhosts_entry_free(entry);
        }
    }
    free(line);
    if (file) {
        fclose(file);
    }
    return found;
}

static int changed(struct ssh_host *host, const char *fingerprint, struct vios_error *error)
{
    char name[SSH_HOST_NAME_MAX + 16], hint[sizeof error->hint];
    char *path = NULL;
    known_name(host->session, name, sizeof name);
    ssh_options_get(host->session, SSH_OPTIONS_KNOWNHOSTS, &path);
    snprintf(hint, sizeof hint,
             "if that is known to be right, remove the old key: ssh-keygen -R '%.100s'", name);
    error_set(error, VIOS_E_DENIED, host->name, hint,
              "its key is not the one in %.150s line %d: it has %.80s now; somebody may stand "
              "between you and it",
              path ? path : "known_hosts", path ? line_of(path, name) : 0, fingerprint);
    ssh_string_free_char(path);
    return error->code;
}

static int unknown(struct ssh_host *host, const char *fingerprint, struct vios_error *error)
{
    char question[SSH_HOST_NAME_MAX + 200], answer[ANSWER_SIZE] = "";
    snprintf(question, sizeof question,
             "The host \"%s\" is not known. Its key is %s.\nIs it the right one? [y/N] ",
             host->name, fingerprint);
    if (host->questions) {
        host_ask(host, question, true, answer, sizeof answer);
    }
    if (answer[0] != 'y' && answer[0] != 'Y') {
        return error_set(error, VIOS_E_DENIED, host->name,
                         "compare it, and add it to known_hosts: ssh asks, as vios at a terminal",
                         "its key %.80s is not known", fingerprint);
    }
    if (ssh_session_update_known_hosts(host->session) != SSH_OK) {
        return host_fail(host, VIOS_E_IO, "its key cannot be noted", NULL, error);
    }
    return VIOS_OK;
}

int host_check_key(struct ssh_host *host, struct vios_error *error)
{
    enum ssh_known_hosts_e state = ssh_session_is_known_server(host->session);
    if (state == SSH_KNOWN_HOSTS_OK) {
        return VIOS_OK;
    }
    char *fingerprint = fingerprint_of(host->session);
    const char *shown = fingerprint ? fingerprint : "of a kind that cannot be shown";
    int status;
    if (state == SSH_KNOWN_HOSTS_CHANGED || state == SSH_KNOWN_HOSTS_OTHER) {
        status = changed(host, shown, error);
    } else if (state == SSH_KNOWN_HOSTS_UNKNOWN || state == SSH_KNOWN_HOSTS_NOT_FOUND) {
        status = unknown(host, shown, error);
    } else {
        status = host_fail(host, VIOS_E_DENIED, "known_hosts cannot be read", NULL, error);
    }
    ssh_string_free_char(fingerprint);
    return status;
}
