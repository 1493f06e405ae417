/* Proves: the store on etcd logs in with a user and the password of a private file, again when the
 * token was lost or has expired, and no more often than helps; it speaks TLS, shows its
 * certificate, and refuses an etcd that it cannot verify.
 * needs: heavy
 * limit: 120 */
#include "tests/unit/store/etcd_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TOKEN_TTL_S "1"
#define EXPIRED_MS 3000 /* etcd looks for expired tokens each second */

static char parameters[400];

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", tap_folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0, "%s", path);
    close(fd);
}

static const char *as_user(const char *user, const char *password_file)
{
    snprintf(parameters, sizeof parameters, "?user=%s&password_file=%s/%s", user, tap_folder(),
             password_file);
    return address_from(0, parameters);
}

/* --- users --- */

static void set_up(const char *path, const char *body)
{
    const char *answer = etcd_post(&servers, 0, path, NULL, body);
    ok(strstr(answer, "200 OK") != NULL, "%s %s: %s", path, body, answer);
}

/* root, and n1 who may do all below /vios/. */
static void users_are_made(void)
{
    write_file("right", "secret\n", 0600);
    write_file("wrong", "secreT", 0600);
    write_file("open", "secret", 0644);
    write_file("empty", "", 0600);
    write_file("lines", "secret\nsecret\n", 0600);
    set_up("/v3/auth/user/add", "{\"name\":\"root\",\"password\":\"root\"}");
    set_up("/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}");
    set_up("/v3/auth/user/add", "{\"name\":\"n1\",\"password\":\"secret\"}");
    set_up("/v3/auth/role/add", "{\"name\":\"node\"}");
    set_up("/v3/auth/role/grant",
           "{\"name\":\"node\",\"perm\":{\"permType\":\"READWRITE\",\"key\":\"L3Zpb3Mv\","
           "\"range_end\":\"L3Zpb3Mw\"}}");
    set_up("/v3/auth/user/grant", "{\"user\":\"n1\",\"role\":\"node\"}");
    set_up("/v3/auth/enable", "{}");
}

static void is_denied(const char *where, int wanted, const char *why)
{
    struct operation operation;
    struct store *store;
    int status = open_at(where, true, &store, &operation);
    ok(status == wanted && strstr(operation.error.message, why), "%s: %s: %s", where,
       error_name(status), operation.error.message);
    ok(store == NULL, "nothing was opened");
}

static void strangers_are_denied(void)
{
    is_denied(address_from(0, ""), VIOS_E_DENIED, "user name is empty");
    is_denied(as_user("n1", "wrong"), VIOS_E_DENIED, "invalid user ID or password");
    is_denied(as_user("n2", "right"), VIOS_E_DENIED, "invalid user ID or password");
    is_denied(as_user("n1", "open"), VIOS_E_DENIED, "lies open to others (mode 0644)");
    is_denied(as_user("n1", "none"), VIOS_E_NOT_FOUND, "password file of the etcd user");
    is_denied(as_user("n1", "empty"), VIOS_E_INVALID, "not a password");
    is_denied(as_user("n1", "lines"), VIOS_E_INVALID, "not a password");
    as_user("n1", "right");
    strncat(address, "&prefix=/other", sizeof address - strlen(address) - 1);
    is_denied(address, VIOS_E_DENIED, "permission denied");
}

/* A watch that n1 opens, and that waits for one change. */
static struct store_watch *watch_token(struct store *store)
{
    struct operation operation = suite_operation();
    struct store_watch *watch;
    is_int(suite_put(store, "/token", "{\"v\":1}"), VIOS_OK);
    is_int(store_watch_open(&watch, store, "/token", suite_now(store), &operation), VIOS_OK);
    return watch;
}

static void one_change_comes(struct store_watch *watch)
{
    struct operation operation = suite_operation();
    struct store_change_list changes;
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 1);
    store_change_list_clear(&changes);
    store_watch_close(watch);
}

/* The tokens lie in etcd's memory: a restart loses them. */
static void a_lost_token_is_renewed(void)
{
    as_user("n1", "right");
    struct store *store = open_one();
    struct store_watch *watch = watch_token(store);
    etcd_kill(&servers, 0);
    etcd_start_member(&servers, 0);
    ok(etcd_await(&servers, 0), "etcd is back");
    is_int(suite_put(store, "/token", "{\"v\":2}"), VIOS_OK);
    is_text(suite_json(store, "/token"), "{\"v\":2}");
    one_change_comes(watch);
    store_close(store);
}

static void an_expired_token_is_renewed(void)
{
    struct operation operation = suite_operation();
    as_user("n1", "right");
    struct store *store = open_one();
    struct store *other = open_one();
    struct store_watch *watch = watch_token(store);
    operation_sleep(&operation, EXPIRED_MS); /* nothing tells, and to ask would renew it */
    is_int(suite_put(store, "/token", "{\"v\":4}"), VIOS_OK);
    is_text(suite_json(other, "/token"), "{\"v\":4}");
    one_change_comes(watch);
    store_close(store);
    store_close(other);
}

/* A user whose password was changed while a connection was open. */
static void a_changed_password_is_not_asked_for_ever(void)
{
    struct operation operation = suite_operation();
    struct store_change change = {"/token", "{\"v\":5}"};
    char token[200] = "";
    as_user("n1", "right");
    struct store *store = open_one();
    const char *answer = etcd_post(&servers, 0, "/v3/auth/authenticate", NULL,
                                   "{\"name\":\"root\",\"password\":\"root\"}");
    const char *at = strstr(answer, "\"token\":\"");
    sscanf(at ? at : "", "\"token\":\"%199[^\"]", token);
    answer = etcd_post(&servers, 0, "/v3/auth/user/changepw", token,
                       "{\"name\":\"n1\",\"password\":\"another\"}");
    ok(strstr(answer, "200 OK") != NULL, "changed: %s", answer);
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_E_DENIED);
    ok(strstr(operation.error.hint, "password_file") != NULL, "the hint: %s", operation.error.hint);
    write_file("right", "another", 0600);
    is_int(suite_put(store, "/token", "{\"v\":6}"), VIOS_OK);
    store_close(store);
}

/* --- TLS --- */

static bool openssl(const char *arguments)
{
    char command[1200];
    snprintf(command, sizeof command, "cd %s && openssl %s >>openssl.log 2>&1", tap_folder(),
             arguments);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status == 0;
}

/* `name`.key and `name`.crt, made by the authority `by`. */
static bool make_certificate(const char *name, const char *by)
{
    char arguments[800];
    snprintf(arguments, sizeof arguments,
             "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key "
             "-subj /CN=%s -out %s.csr",
             name, name, name);
    if (!openssl(arguments)) {
        return false;
    }
    snprintf(arguments, sizeof arguments,
             "x509 -req -in %s.csr -CA %s.crt -CAkey %s.key -CAcreateserial -days 2 "
             "-extfile names -out %s.crt",
             name, by, by, name);
    return openssl(arguments);
}

static bool make_authority(const char *name)
{
    char arguments[800];
    snprintf(arguments, sizeof arguments,
             "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s.key "
             "-subj /CN=%s -days 2 -out %s.crt",
             name, name, name);
    return openssl(arguments);
}

static const char *with_tls(const char *ca, const char *certificate)
{
    const char *folder = tap_folder();
    int length = snprintf(parameters, sizeof parameters, "?prefix=/tls");
    if (ca) {
        length += snprintf(parameters + length, sizeof parameters - (size_t)length, "&ca=%s/%s.crt",
                           folder, ca);
    }
    if (certificate) {
        snprintf(parameters + length, sizeof parameters - (size_t)length,
                 "&cert=%s/%s.crt&key=%s/%s.key", folder, certificate, folder, certificate);
    }
    return address_from(0, parameters);
}

static char server_files[3][200];

static bool start_with_tls(void)
{
    static const char *const options[] = {
        "--client-cert-auth", "--cert-file",       server_files[0], "--key-file",
        server_files[1],      "--trusted-ca-file", server_files[2]};
    write_file("names", "subjectAltName=IP:127.0.0.1\n", 0600);
    if (!make_authority("ours") || !make_authority("theirs") ||
        !make_certificate("server", "ours") || !make_certificate("client", "ours") ||
        !make_certificate("foreign", "theirs")) {
        return false;
    }
    snprintf(server_files[0], sizeof server_files[0], "%s/server.crt", tap_folder());
    snprintf(server_files[1], sizeof server_files[1], "%s/server.key", tap_folder());
    snprintf(server_files[2], sizeof server_files[2], "%s/ours.crt", tap_folder());
    memset(servers.options, 0, sizeof servers.options);
    memcpy(servers.options, options, sizeof options);
    servers.secure = true;
    etcd_start(&servers, 1, "tls");
    return true;
}

static void a_certificate_lets_in(void)
{
    with_tls("ours", "client");
    struct operation operation = suite_operation();
    struct store_change_list changes;
    struct store_watch *watch;
    struct store *store = open_one();
    is_int(store_watch_open(&watch, store, "/tls", suite_now(store), &operation), VIOS_OK);
    is_int(suite_put(store, "/tls", "{\"v\":1}"), VIOS_OK);
    is_text(suite_json(store, "/tls"), "{\"v\":1}");
    is_int(store_watch_next(watch, &changes, &operation), VIOS_OK);
    is_int(changes.count, 1);
    store_change_list_clear(&changes);
    store_watch_close(watch);
    is_int(store_check(store, &operation), VIOS_OK);
    store_close(store);
}

static void what_cannot_be_verified_is_refused(void)
{
    is_denied(with_tls("theirs", "client"), VIOS_E_UNREACHABLE, "certificate");
    is_denied(with_tls(NULL, "client"), VIOS_E_UNREACHABLE, "certificate");
    is_denied(with_tls("ours", NULL), VIOS_E_UNREACHABLE, "https://127.0.0.1");
    is_denied(with_tls("ours", "foreign"), VIOS_E_UNREACHABLE, "https://127.0.0.1");
    is_denied(with_tls("ours", "none"), VIOS_E_UNREACHABLE, "https://127.0.0.1");
}

static void tls_needs_openssl(void)
{
    SKIP("openssl cannot make certificates");
}

int main(void)
{
    if (etcd_missing()) {
        return 0;
    }
    servers.options[0] = "--auth-token-ttl";
    servers.options[1] = TOKEN_TTL_S;
    etcd_start(&servers, 1, "users");
    RUN(users_are_made);
    RUN(strangers_are_denied);
    RUN(a_lost_token_is_renewed);
    RUN(an_expired_token_is_renewed);
    RUN(a_changed_password_is_not_asked_for_ever);
    etcd_stop(&servers);
    if (start_with_tls()) {
        RUN(a_certificate_lets_in);
        RUN(what_cannot_be_verified_is_refused);
    } else {
        RUN(tls_needs_openssl);
    }
    return etcd_done();
}
