/* Proves: a placement function that takes for ever within one instruction, where Lua cannot stop
 * it, is ended; so is one whose process says nothing at all. What a process answers is believed
 * only when it is one of the nodes. A caller's cancel and deadline hold. */
/* limit: 60 */
#include "base/json.h"
#include "node/place_function.h"
#include "tests/tap.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char program_dir[PATH_MAX];
static char chosen[NAME_MAX_LENGTH + 1];
static struct operation operation;

/* Nodes that are told in more bytes than fit into a socket at once. */
#define MANY_NODES 500
#define MANY_NODES_PADDING 2000

/* Many nodes are padded. */
static int ask_in(const char *dir, const char *text, size_t nodes)
{
    const struct node node = {.program_dir = dir};
    json_t *lpar = json_pack("{s:s}", "name", "web1"), *list = json_array();
    char name[16], padding[MANY_NODES_PADDING + 1];
    memset(padding, 'x', MANY_NODES_PADDING);
    padding[nodes == MANY_NODES ? MANY_NODES_PADDING : 0] = '\0';
    for (size_t i = 1; i <= nodes; i++) {
        snprintf(name, sizeof name, "n%zu", i);
        json_array_append_new(list, json_pack("{s:s, s:s}", "node", name, "is", padding));
    }
    int status = place_function_ask(&node, text, lpar, list, chosen, &operation);
    json_decref(list);
    json_decref(lpar);
    return status;
}

static int ask(const char *text)
{
    operation_start(&operation, 60000, NULL);
    return ask_in(program_dir, text, 2);
}

#define PLACE(body) "return function(lpar, nodes) " body " end"

static void it_is_asked(void)
{
    is_int(ask(PLACE("return 'n2'")), VIOS_OK);
    is_text(chosen, "n2");
    is_int(ask(PLACE("")), VIOS_OK);
    is_text(chosen, "");
    is_int(ask(PLACE("return 'n3'")), VIOS_E_INVALID);
    is_text(chosen, "");
    is_text(operation.error.message, "it returned \"n3\", which is none of the nodes");
    operation_start(&operation, 60000, NULL);
    is_int(ask_in(program_dir, PLACE("return nodes[#nodes].node"), MANY_NODES), VIOS_OK);
    is_text(chosen, "n500");
}

static void one_instruction_may_last_for_ever(void)
{
    static const char *const slow[] = {
        PLACE("('a'):rep(50000):find(('.-'):rep(50) .. 'b')"),
        PLACE("(''):rep(1 << 62)"),
        PLACE("table.move({}, 1, 1 << 62, 2)"),
    };
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        is_int(ask(slow[i]), VIOS_E_TIMEOUT);
        is_text(operation.error.message, "the function takes too long");
        is_text(chosen, "");
    }
    is_int(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
}

static void a_chunk_is_checked(void)
{
    const struct node node = {.program_dir = program_dir};
    char *long_one = malloc(PLACE_FUNCTION_TEXT_MAX + 2);
    operation_start(&operation, 60000, NULL);
    is_int(place_function_check(&node, PLACE("error('called')"), &operation), VIOS_OK);
    is_int(place_function_check(&node, "return function() = end", &operation), VIOS_E_INVALID);
    is_text(operation.error.message, "placement:1: unexpected symbol near '='");
    memset(long_one, ' ', PLACE_FUNCTION_TEXT_MAX + 1);
    long_one[PLACE_FUNCTION_TEXT_MAX + 1] = '\0';
    is_int(place_function_check(&node, long_one, &operation), VIOS_E_INVALID);
    ok(strstr(operation.error.message, "8192") != NULL, "%s", operation.error.message);
    free(long_one);
}

/* --- programs that are not ours --- */

/* A folder whose `place` is this script. */
static const char *folder_of(const char *script)
{
    static char dir[128];
    static int number;
    char path[160];
    snprintf(dir, sizeof dir, "%s/%d", tap_folder(), ++number);
    mkdir(dir, 0700);
    snprintf(path, sizeof path, "%s/place", dir);
    FILE *file = fopen(path, "w");
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    chmod(path, 0700);
    return dir;
}

static int ask_script(const char *script, int64_t timeout_ms)
{
    operation_start(&operation, timeout_ms, NULL);
    return ask_in(folder_of(script), PLACE(""), MANY_NODES);
}

static void other_answers_are_refused(void)
{
    is_int(ask_script("cat >/dev/null; echo '{\"node\": \"n7\"}'", 60000), VIOS_OK);
    is_text(chosen, "n7");
    is_int(ask_script("echo '{\"node\": \"n0\"}'", 60000), VIOS_E_CORRUPT);
    is_text(chosen, "");
    is_int(ask_script("echo hello", 60000), VIOS_E_CORRUPT);
    is_int(ask_script("head -c 100000 /dev/zero", 60000), VIOS_E_CORRUPT);
    is_int(ask_script("exit 3", 60000), VIOS_E_IO);
    is_text(operation.error.message, "what ran the function ended with status 3");
    is_int(ask_script("kill -SEGV $$", 60000), VIOS_E_IO);
    is_text(operation.error.message, "what ran the function died of signal 11");
    operation_start(&operation, 60000, NULL);
    is_int(ask_in("/nowhere", PLACE(""), 2), VIOS_E_NOT_FOUND);
    is_text(operation.error.object, "/nowhere/place");
}

static void silence_ends(void)
{
    is_int(ask_script("exec sleep 1000", 50), VIOS_E_TIMEOUT);
    is_int(ask_script("cat >/dev/null; exec sleep 1000", 50), VIOS_E_TIMEOUT);
    struct cancel *cancel = cancel_new();
    cancel_trigger(cancel);
    operation_start(&operation, 60000, cancel);
    is_int(ask_in(folder_of("exec sleep 1000"), PLACE(""), 2), VIOS_E_CANCELLED);
    cancel_free(cancel);
    is_int(waitpid(-1, NULL, WNOHANG), -1);
}

static void the_record_has_the_text(void)
{
    char *text = place_function_format("return function() return \"n\\1\" end");
    json_t *record = json_loads(text, 0, NULL);
    is_int(json_get_integer(record, "v"), 1);
    is_text(json_get_text(record, "text"), "return function() return \"n\\1\" end");
    ok(json_get_text(record, "set") != NULL, "not since when");
    json_decref(record);
    free(text);
}

static void find_program(void)
{
    char own[PATH_MAX] = "";
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    char *tests = length > 0 ? strstr(own, "/tests/unit/") : NULL;
    if (!tests) {
        exit(1);
    }
    *tests = '\0';
    snprintf(program_dir, sizeof program_dir, "%.4000s/libexec/vios", own);
}

int main(void)
{
    find_program();
    RUN(it_is_asked);
    RUN(one_instruction_may_last_for_ever);
    RUN(a_chunk_is_checked);
    RUN(other_answers_are_refused);
    RUN(silence_ends);
    RUN(the_record_has_the_text);
    return tap_done();
}
