/* etcd_address.c - see etcd_address.h. */
#include "store/etcd_address.h"

#include "base/file.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORM "use etcd:http://HOST:PORT[,...][?prefix=/vios/NAME&user=U&password_file=/path]"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int refuse(struct vios_error *error, const char *what, const char *text)
{
    return error_set(error, VIOS_E_USAGE, "store", FORM, "%s: \"%.150s\"", what, text);
}

/* "HOST", "HOST:PORT" or "[IPV6]:PORT": `*port` is left alone when there is none. */
static bool split_host(char *text, const char **host, int64_t *port)
{
    char *colon = strrchr(text, ':');
    size_t length;
    *host = text;
    if (text[0] == '[') {
        length = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (text[length] != ']' || length == 1) {
            return false;
        }
        colon = text[++length] == ':' ? text + length : NULL;
    } else {
        length = strspn(text, LETTERS ".-");
    }
    if (length == 0 || (text[length] != '\0' && text + length != colon)) {
        return false;
    }
    if (colon) {
        *colon = '\0';
        return parse_integer(colon + 1, 1, 65535, port, NULL) == VIOS_OK;
    }
    return true;
}

static int add_endpoint(struct etcd_address *address, char *url, struct vios_error *error)
{
    char copy[ETCD_ENDPOINT_MAX];
    const char *host;
    int64_t port = ETCD_PORT_DEFAULT;
    bool secure = strncmp(url, "https://", 8) == 0;
    if (!secure && strncmp(url, "http://", 7) != 0) {
        return refuse(error, "an etcd begins with http:// or https://", url);
    }
    if (address->endpoint_count == ETCD_ENDPOINTS_MAX) {
        return error_set(error, VIOS_E_USAGE, "store", NULL, "at most %d etcds can be given",
                         ETCD_ENDPOINTS_MAX);
    }
    if (address->endpoint_count > 0 && secure != address->secure) {
        return refuse(error, "either all etcds are http:// or all https://", url);
    }
    /* Room for the longest scheme, and a port where none was given. */
    if (snprintf(copy, sizeof copy, "%s", url + (secure ? 8 : 7)) >= (int)sizeof copy - 16 ||
        !split_host(copy, &host, &port)) {
        return refuse(error, "not the host and port of an etcd", url);
    }
    address->secure = secure;
    snprintf(address->endpoints[address->endpoint_count++], ETCD_ENDPOINT_MAX, "%s://%.280s:%d",
             secure ? "https" : "http", host, (int)port);
    return VIOS_OK;
}

static bool is_prefix(const char *text)
{
    size_t length = strlen(text);
    return text[0] == '/' && length > 1 && length <= ETCD_PREFIX_MAX && text[length - 1] != '/' &&
           !strstr(text, "//") && strspn(text, LETTERS "._/-") == length;
}

static bool is_user(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= ETCD_USER_MAX && strspn(text, LETTERS "._-") == length;
}

static bool is_path(const char *text)
{
    return text[0] == '/';
}

static int set_parameter(struct etcd_address *address, char *text, struct vios_error *error)
{
    static const char *const names[] = {"prefix", "user", "password_file", "ca", "cert", "key"};
    enum { NAMES = sizeof names / sizeof names[0] };
    const char **const places[NAMES] = {&address->prefix, &address->user, &address->password_file,
                                        &address->ca,     &address->cert, &address->key};
    char hint[200];
    char *value = strchr(text, '=');
    if (!value) {
        return refuse(error, "a parameter has the form NAME=VALUE", text);
    }
    *value++ = '\0';
    for (size_t i = 0; i < NAMES; i++) {
        if (strcmp(text, names[i]) != 0) {
            continue;
        }
        if (*places[i]) {
            return refuse(error, "a parameter is given twice", text);
        }
        *places[i] = value;
        bool good = i == 0 ? is_prefix(value) : i == 1 ? is_user(value) : is_path(value);
        return good ? VIOS_OK : refuse(error, "not a value for this parameter", value);
    }
    parse_hint(text, names, NAMES, FORM, hint, sizeof hint);
    return error_set(error, VIOS_E_USAGE, "store", hint, "an etcd has no parameter \"%.100s\"",
                     text);
}

/* What belongs together, and only there. */
static int check_whole(struct etcd_address *address, struct vios_error *error)
{
    if (!address->user != !address->password_file) {
        return error_set(error, VIOS_E_USAGE, "store", FORM,
                         "user and password_file belong together");
    }
    if (!address->cert != !address->key) {
        return error_set(error, VIOS_E_USAGE, "store", NULL, "cert and key belong together");
    }
    if (!address->secure && (address->ca || address->cert)) {
        return error_set(error, VIOS_E_USAGE, "store", "use https://",
                         "ca, cert and key are for https:// only");
    }
    if (!address->prefix) {
        address->prefix = ETCD_PREFIX_DEFAULT;
    }
    return VIOS_OK;
}

int etcd_address_parse(struct etcd_address *address, const char *text, struct vios_error *error)
{
    memset(address, 0, sizeof *address);
    address->text = strdup(text);
    if (!address->text) {
        return error_no_memory(error, "store");
    }
    char *parameters = strchr(address->text, '?');
    char *rest = NULL;
    int status = VIOS_OK;
    if (parameters) {
        *parameters++ = '\0';
    }
    if (!address->text[0]) {
        status = refuse(error, "an etcd is missing", text);
    }
    /* strsep, so that an empty one is seen and refused. */
    for (rest = address->text; status == VIOS_OK && rest;) {
        status = add_endpoint(address, strsep(&rest, ","), error);
    }
    for (rest = parameters; status == VIOS_OK && rest;) {
        status = set_parameter(address, strsep(&rest, "&"), error);
    }
    if (status == VIOS_OK) {
        status = check_whole(address, error);
    }
    if (status != VIOS_OK) {
        etcd_address_clear(address);
    }
    return status;
}

void etcd_address_clear(struct etcd_address *address)
{
    free(address->text);
    memset(address, 0, sizeof *address);
}

static int check_private(const char *path, struct vios_error *error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return error_set_errno(error, path, "password file of the etcd user");
    }
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0) {
        return error_set(error, VIOS_E_DENIED, path, "chmod 600 it",
                         "the password of the etcd user lies open to others (mode %04o)",
                         (unsigned)status.st_mode & 07777);
    }
    return VIOS_OK;
}

int etcd_address_password(const struct etcd_address *address, char password[ETCD_PASSWORD_MAX + 1],
                          struct vios_error *error)
{
    char *data = NULL;
    size_t size = 0;
    int status = check_private(address->password_file, error);
    if (status == VIOS_OK) {
        status =
            file_read(AT_FDCWD, address->password_file, ETCD_PASSWORD_MAX + 1, &data, &size, error);
    }
    if (status != VIOS_OK) {
        return status;
    }
    size_t length = strcspn(data, "\n");
    if (length == 0 || length > ETCD_PASSWORD_MAX || length + 1 < size) {
        status = error_set(error, VIOS_E_INVALID, address->password_file, NULL,
                           "not a password: one line of 1 to %d bytes", ETCD_PASSWORD_MAX);
    } else {
        memcpy(password, data, length);
        password[length] = '\0';
    }
    explicit_bzero(data, size);
    free(data);
    return status;
}
