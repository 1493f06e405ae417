/*
 * main.c - the program libexec/vios/daemon: options, configuration, log, then daemon.h.
 *
 * Each key of the configuration is also an option (--key VALUE), laid over the file.
 *
 * With --restore, --check or --ffdc it is no daemon, but what `vios db restore`, `vios db check`
 * and the readers of `vios ffdc` run when there is none: it says on stdout what restore.h and
 * offline.h tell, a line of JSON each, and ends.
 */
#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "daemon/daemon.h"
#include "daemon/libraries.h"
#include "ffdc/offline.h"
#include "node/node.h"
#include "restore/restore.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/vios/vios.conf"
#define KEY_SIZE 64
#define PATH_SIZE 4096
/* A method that never comes back must not keep the daemon from ending. */
#define END_LIMIT_S 60

static char **words; /* as the program was started */

struct options {
    const char *config_path;
    bool stop_guests;
    bool is_told;                     /* --node or --store say that this is meant */
    const char *restore, *to, *check; /* NULL: not given */
    bool dry_run;
    const char *ffdc, *correlator, *dir; /* likewise */
    bool redact;
};

static bool is_offline(const struct options *options)
{
    return options->restore || options->check || options->ffdc;
}

static int usage(const struct vios_error *error)
{
    char text[800];
    fprintf(stderr, "vios daemon: %s\n", error_format(error, text, sizeof text));
    fprintf(stderr, "usage: vios daemon [--config FILE] [--stop-guests] [--KEY VALUE ...]\n");
    return 2;
}

static void help(void)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    printf("usage: vios daemon [--config FILE] [--stop-guests] [--KEY VALUE ...]\n\n"
           "  --config FILE      the configuration file (%s)\n"
           "  --stop-guests      when it ends, guests and io end too\n"
           "  --default-config   no daemon: print a configuration file that says what holds\n"
           "  --version          no daemon: what this program is; --json behind it: as JSON\n"
           "  --restore FILE     no daemon: restore a backup, see \"vios db restore\"\n"
           "      --to ADDRESS   into this VIOS DB, if not the configured one\n"
           "      --dry-run      only say what would be lost\n"
           "  --check ADDRESS    no daemon: check a VIOS DB or a backup\n"
           "  --ffdc VERB        no daemon: list, show, timeline or export, see \"vios ffdc\"\n"
           "      --correlator C this incident\n"
           "      --dir FOLDER   in this folder, if not in the configured ones\n"
           "      --to FILE      export to it\n"
           "      --redact       with aliases\n\nKeys:\n",
           DEFAULT_CONFIG);
    for (size_t i = 0; i < count; i++) {
        printf("  --%-16s %s (%s)\n", rows[i].key, rows[i].help,
               rows[i].default_text ? rows[i].default_text : "must be given");
    }
}

/* The file that comes with a package: nothing is set, and everything is told. */
static void print_default_config(void)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    printf("# vios.conf - what this node must know before it has a VIOS DB; see vios(1).\n#\n"
           "# What stands here holds unless it is set: remove the # and change it. The daemon\n"
           "# reads it when it starts; \"vios config set KEY VALUE\" writes it.\n");
    for (size_t i = 0; i < count; i++) {
        const char *value = rows[i].default_text;
        printf("\n# %s%s\n#%s =%s%s\n", rows[i].help, value ? "" : "; must be given", rows[i].key,
               value && value[0] ? " " : "", value ? value : "");
    }
}

static int print_version(int count, char **arguments)
{
    const struct version version = {"vios daemon", VIOS_COMMIT, VIOS_VARIANT, daemon_libraries(),
                                    node_level()};
    bool as_json = count == 1 && strcmp(arguments[0], "--json") == 0;
    if (count > 0 && !as_json) {
        fprintf(stderr, "vios daemon: unexpected word \"%s\": use: --version [--json]\n",
                arguments[0]);
        return 2;
    }
    char *text = version_text(&version, as_json);
    bool said = text && fputs(text, stdout) != EOF && fflush(stdout) == 0;
    free(text);
    return said ? 0 : 1;
}

/* "--page-memory" is page_memory. */
static void key_of(const char *option, char key[KEY_SIZE])
{
    snprintf(key, KEY_SIZE, "%s", option + 2);
    for (char *at = key; *at; at++) {
        *at = *at == '-' ? '_' : *at;
    }
}

static bool known_key(const char *key)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

/* The words that are no keys and take a value: where it goes; NULL for others. */
static const char **word_place(struct options *options, const char *key)
{
    return strcmp(key, "config") == 0       ? &options->config_path
           : strcmp(key, "restore") == 0    ? &options->restore
           : strcmp(key, "check") == 0      ? &options->check
           : strcmp(key, "to") == 0         ? &options->to
           : strcmp(key, "ffdc") == 0       ? &options->ffdc
           : strcmp(key, "correlator") == 0 ? &options->correlator
           : strcmp(key, "dir") == 0        ? &options->dir
                                            : NULL;
}

static bool take_flag(struct options *options, const char *word)
{
    bool stop_guests = strcmp(word, "--stop-guests") == 0;
    bool dry_run = strcmp(word, "--dry-run") == 0;
    bool redact = strcmp(word, "--redact") == 0;
    options->stop_guests |= stop_guests;
    options->dry_run |= dry_run;
    options->redact |= redact;
    return stop_guests || dry_run || redact;
}

/* Without `config` only the options that are no keys are taken: they say which file to read. */
static int parse_options(int argc, char **argv, struct options *options, struct config *config,
                         struct vios_error *error)
{
    for (int i = 1; i < argc; i++) {
        char key[KEY_SIZE];
        if (take_flag(options, argv[i])) {
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            return error_set(error, VIOS_E_USAGE, NULL, "run \"vios daemon --help\"",
                             "\"%.80s\" is no option", argv[i]);
        }
        key_of(argv[i], key);
        const char **word = word_place(options, key);
        if (!word && !known_key(key)) {
            return error_set(error, VIOS_E_USAGE, NULL, "run \"vios daemon --help\"",
                             "there is no option %.80s", argv[i]);
        }
        if (i + 1 == argc) {
            return error_set(error, VIOS_E_USAGE, NULL, NULL, "%s needs a value", argv[i]);
        }
        const char *value = argv[++i];
        if (word) {
            *word = value;
        } else if (config && config_set(config, key, value, error) != VIOS_OK) {
            return error->code;
        }
        options->is_told |= strcmp(key, "store") == 0 || strcmp(key, "node") == 0;
    }
    return VIOS_OK;
}

static int unconfigured(void)
{
    fprintf(stderr,
            "vios daemon: this node has no configuration: there is no %s and no --node\n"
            "To try vios out, run: vios lab up\n"
            "To set up this node, write %s with at least\n"
            "    node = NAME\n"
            "then run the daemon again, and \"vios cluster create NAME\" beside it.\n",
            DEFAULT_CONFIG, DEFAULT_CONFIG);
    return 2;
}

static int configure_log(const struct config *config, struct vios_error *error)
{
    static const char *const levels[] = {"error", "warning", "notice", "debug"};
    const char *text = config_text(config, "log");
    const char *plus = strchr(text, '+');
    size_t length = plus ? (size_t)(plus - text) : strlen(text);
    for (size_t i = 0; i < 4; i++) {
        if (strlen(levels[i]) == length && strncmp(levels[i], text, length) == 0 &&
            (!plus || strcmp(plus, "+json") == 0)) {
            log_configure((enum log_level)i, plus != NULL);
            return VIOS_OK;
        }
    }
    return error_set(error, VIOS_E_USAGE, "log", "give error, warning, notice or debug, also +json",
                     "\"%.40s\" is no log level", text);
}

/* Beside the daemon's own program, unless configured. */
static int find_program_dir(const struct config *config, char dir[PATH_SIZE],
                            struct vios_error *error)
{
    const char *given = config_text(config, "program_dir");
    if (given && given[0]) {
        snprintf(dir, PATH_SIZE, "%s", given);
        return VIOS_OK;
    }
    char path[PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) {
        return error_set_errno(error, "/proc/self/exe", "cannot find the program");
    }
    path[length] = '\0';
    snprintf(dir, PATH_SIZE, "%s", dirname(path));
    return VIOS_OK;
}

/* Each call and each guest takes descriptors. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int no_name(const struct options *options, struct vios_error *error)
{
    char hint[160];
    snprintf(hint, sizeof hint, "set \"node = NAME\"%s%.80s, or give --node NAME",
             options->config_path ? " in " : "", options->config_path ? options->config_path : "");
    return error_set(error, VIOS_E_USAGE, "node", hint, "this node has no name");
}

static int configure(int argc, char **argv, struct options *options, struct config *config,
                     struct vios_error *error)
{
    int status = parse_options(argc, argv, options, NULL, error);
    if (status == VIOS_OK && !options->config_path && access(DEFAULT_CONFIG, F_OK) == 0) {
        options->config_path = DEFAULT_CONFIG;
    }
    if (status == VIOS_OK && options->config_path) {
        status = config_load(config, options->config_path, error);
    }
    if (status == VIOS_OK) {
        status = parse_options(argc, argv, options, config, error);
    }
    if (status == VIOS_OK) {
        status = configure_log(config, error);
    }
    if (status == VIOS_OK && !config_text(config, "node") && !is_offline(options) &&
        (options->config_path || options->is_told)) {
        status = no_name(options, error);
    }
    return status;
}

/* The same process and words, and nothing else left of what it was. */
static void begin_anew(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv("/proc/self/exe", words);
    log_error("daemon", "cannot begin anew: %s", strerror(errno));
}

static int run(const struct options *options, struct config *config)
{
    char program_dir[PATH_SIZE], text[800];
    struct vios_error error = {0};
    struct daemon *daemon = NULL;
    int status = find_program_dir(config, program_dir, &error);
    struct daemon_settings settings = {.config = config,
                                       .config_path = options->config_path,
                                       .program_dir = program_dir,
                                       .stop_guests = options->stop_guests};
    if (status == VIOS_OK) {
        status = daemon_start(&daemon, &settings, &error);
    }
    if (status != VIOS_OK) {
        log_error("daemon", "%s", error_format(&error, text, sizeof text));
        return error_exit_status(status);
    }
    bool anew = daemon_run(daemon);
    alarm(END_LIMIT_S);
    daemon_free(daemon);
    if (anew) {
        alarm(0);
        begin_anew();
    }
    return anew;
}

static void say_line(void *context, json_t *line)
{
    (void)context;
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static int read_bundles(const struct options *options, const struct config *config)
{
    const struct offline_request request = {.verb = options->ffdc,
                                            .correlator = options->correlator,
                                            .dir = options->dir,
                                            .repository = config_text(config, "repository"),
                                            .state_dir = config_text(config, "state_dir"),
                                            .to = options->to,
                                            .redact = options->redact};
    return error_exit_status(offline_run(&request, say_line, NULL));
}

/* What is done while no daemon runs. */
static int run_offline(const struct options *options, const struct config *config)
{
    char configured[DAEMON_STORE_ADDRESS_SIZE];
    struct operation operation;
    const struct restore_outlet outlet = {.say = say_line};
    if (options->ffdc) {
        return read_bundles(options, config);
    }
    operation_start(&operation, OPERATION_NO_DEADLINE, NULL);
    daemon_store_address(config, configured);
    if (options->check) {
        return error_exit_status(restore_check_run(options->check[0] ? options->check : configured,
                                                   &outlet, &operation));
    }
    struct restore_request request = {.file = options->restore,
                                      .to = options->to ? options->to : configured,
                                      .configured = configured,
                                      .state_dir = config_text(config, "state_dir"),
                                      .ttl_ms = config_duration_ms(config, "ttl"),
                                      .dry_run = options->dry_run};
    return error_exit_status(restore_run(&request, &outlet, &operation));
}

int main(int argc, char **argv)
{
    words = argv;
    struct vios_error error = {0};
    struct options options = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--default-config") == 0) {
        print_default_config();
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        return print_version(argc - 2, argv + 2);
    }
    signal(SIGPIPE, SIG_IGN);
    raise_limits();
    struct config *config = config_new();
    if (!config) {
        return 1;
    }
    int status = configure(argc, argv, &options, config, &error);
    int exit_status;
    if (status != VIOS_OK) {
        exit_status = usage(&error);
    } else if (is_offline(&options)) {
        exit_status = run_offline(&options, config);
    } else if (!options.config_path && !options.is_told) {
        exit_status = unconfigured();
    } else {
        exit_status = run(&options, config);
    }
    config_free(config);
    return exit_status;
}
