/* Proves: the placement function gets what it is promised and nothing else, its answer is one of
 * the nodes or none, and each of its failures has Lua's words; loops and memory end at their
 * limits, wherever they are. */
#include "base/json.h"
#include "lua/place/sandbox.h"
#include "tests/tap.h"

#define NODES                                                                                      \
    "[{\"node\": \"n1\", \"free_bytes\": 300, \"guests\": 0, \"pools\": [\"p1\", \"p2\"]},"        \
    " {\"node\": \"n2\", \"free_bytes\": 200, \"guests\": 3, \"pools\": [\"p1\"]}]"
#define LPAR                                                                                       \
    "{\"name\": \"web1\", \"memory_bytes\": 128, \"cpus\": 2, \"from\": \"n9\", \"disks\": 1}"

static json_t *ask_bytes(const char *text, size_t length)
{
    json_t *question = json_pack("{s:s%, s:o, s:o}", "text", text, length, "lpar",
                                 json_loads(LPAR, 0, NULL), "nodes", json_loads(NODES, 0, NULL));
    json_t *answer = sandbox_answer(question);
    json_decref(question);
    return answer;
}

/* The node; "-": the function leaves it to others; or "error: ..." Valid until the next. */
static const char *ask(const char *text)
{
    static char said[SANDBOX_ERROR_SIZE + 16];
    json_t *answer = ask_bytes(text, strlen(text));
    const char *why = json_get_text(answer, "error"), *node = json_get_text(answer, "node");
    ok(json_object_size(answer) == 1, "%s: not one answer", text);
    snprintf(said, sizeof said, "%s%s", why ? "error: " : "", why ? why : node ? node : "-");
    json_decref(answer);
    return said;
}

#define PLACE(body) "return function(lpar, nodes)\n" body "\nend"

static void it_chooses(void)
{
    is_text(ask(PLACE("return nodes[2].node")), "n2");
    is_text(ask(PLACE("return 'n1'")), "n1");
    is_text(ask(PLACE("return nil")), "-");
    is_text(ask(PLACE("")), "-");
    is_text(ask("local function place() return 'n2' end\nreturn place"), "n2");
}

static void it_knows_the_guest_and_the_nodes(void)
{
    is_text(
        ask(PLACE("assert(lpar.name == 'web1' and lpar.memory_bytes == 128)\n"
                  "assert(lpar.cpus == 2 and lpar.from == 'n9' and lpar.disks == 1)\n"
                  "assert(#nodes == 2 and nodes[1].free_bytes == 300 and nodes[2].guests == 3)\n"
                  "assert(#nodes[1].pools == 2 and nodes[1].pools[2] == 'p2')\n"
                  "return nodes[1].node")),
        "n1");
    is_text(ask(PLACE("table.sort(nodes, function(a, b) return a.guests > b.guests end)\n"
                      "return nodes[1].node:match('^n%d$')")),
            "n2");
}

static void wrong_results_are_errors(void)
{
    is_text(ask(PLACE("return 'n3'")), "error: it returned \"n3\", which is none of the nodes");
    is_text(ask(PLACE("return 'n1\\0'")), "error: it returned \"n1\", which is none of the nodes");
    is_text(ask(PLACE("return lpar.from")),
            "error: it returned \"n9\", which is none of the nodes");
    is_text(ask(PLACE("return nodes[1]")), "error: it returned a table, not a node's name or nil");
    is_text(ask(PLACE("return 1")), "error: it returned a number, not a node's name or nil");
    is_text(ask(PLACE("return false")), "error: it returned a boolean, not a node's name or nil");
}

static void errors_have_a_line(void)
{
    is_text(ask(PLACE("return lpar.owner.name")),
            "error: placement:2: attempt to index a nil value (field 'owner')");
    is_text(ask("return function()\nreturn (\nend"),
            "error: placement:3: unexpected symbol near 'end'");
    is_text(ask(PLACE("error('no\\nplace\\27[2J \\xff')")), "error: placement:2: no?place?[2J ?");
    is_text(ask(PLACE("error({})")), "error: it raised an error that is no text");
    is_text(ask(PLACE("error()")), "error: it raised an error that is no text");
    is_text(ask("return 'n1'"), "error: the chunk returns a string, not a function");
    is_text(ask(""), "error: the chunk returns a nil, not a function");
    ok(strlen(ask(PLACE("error(('x'):rep(100000))"))) < SANDBOX_ERROR_SIZE + 8, "not cut");
}

static void a_check_does_not_call_it(void)
{
    json_t *question = json_pack("{s:s}", "text", PLACE("error('called')"));
    json_t *answer = sandbox_answer(question);
    ok(json_is_null(json_object_get(answer, "node")), "it is not right");
    json_decref(answer);
    json_decref(question);
    answer = sandbox_answer(NULL);
    is_text(json_get_text(answer, "error"), "there is no text of a function");
    json_decref(answer);
}

#define TOO_MANY(line) "error: placement:" line ": more than 1000000 instructions"

static void loops_end(void)
{
    static const char *const loops[] = {
        PLACE("while true do end"),
        PLACE("local function again() return again() end again()"),
        PLACE("for i = 1, math.huge do end"),
        PLACE("table.sort({3, 1, 2}, function() while true do end end)"),
        PLACE("('x'):gsub('.', function() while true do end end)"),
        PLACE("for _ in function() return 1 end do end"),
    };
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        is_text(ask(loops[i]), TOO_MANY("2"));
    }
    is_text(ask("while true do end"), TOO_MANY("1"));
}

static void memory_ends(void)
{
    static const char *const bombs[] = {
        PLACE("local s = 'x' while true do s = s .. s end"),
        PLACE("return ('x'):rep(9 << 20)"),
        PLACE("local t = {} while true do t[#t + 1] = {t, t} end"),
        PLACE("local t = {} for i = 1, 99999 do t[i] = ('x'):rep(9999) .. i end"),
        PLACE("return ('x'):rep(1 << 20):gsub('x', ('y'):rep(1000))"),
    };
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        is_text(ask(bombs[i]), "error: more than 8 MiB of memory");
    }
    const char *deep = ask(PLACE("local function f() return 1 + f() end f()"));
    ok(strstr(deep, "stack overflow") || strstr(deep, "memory"), "%s", deep);
}

/* --- the way out --- */

static void nothing_else_is_there(void)
{
    static const char *const names[] = {
        "_G",        "collectgarbage", "coroutine", "debug",        "dofile",      "getmetatable",
        "io",        "load",           "loadfile",  "loadstring",   "module",      "os",
        "package",   "pcall",          "print",     "rawequal",     "rawget",      "rawlen",
        "rawset",    "require",        "setfenv",   "setmetatable", "string.dump", "utf8",
        "('').dump", "warn",           "xpcall",    "vios",         "arg",
    };
    char text[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(text, sizeof text, PLACE("if %s ~= nil then error() end return 'n1'"), names[i]);
        ok(strcmp(ask(text), "n1") == 0, "%s is there", names[i]);
    }
}

#define NAMES_OF(table)                                                                            \
    "local names = {} for name in pairs(" table ") do names[#names + 1] = name end\n"              \
    "table.sort(names) error(table.concat(names, ' '), 0)"

static void what_is_there_is_known(void)
{
    is_text(ask(NAMES_OF("_ENV")), "error: assert error ipairs math next pairs select string table "
                                   "tonumber tostring type");
    is_text(ask(NAMES_OF("string")), "error: byte char find format gmatch gsub len lower match "
                                     "pack packsize rep reverse sub unpack upper");
    is_text(ask(NAMES_OF("table")), "error: concat insert move pack remove sort unpack");
}

static void a_binary_chunk_is_refused(void)
{
    static const char binary[] = "\x1bLuaT\0\x19\x93\r\n\x1a\n";
    json_t *answer = ask_bytes(binary, 4); /* the rest is no UTF-8, which JSON has to be */
    const char *why = json_get_text(answer, "error");
    ok(why && strstr(why, "attempt to load a binary chunk"), "%s", why ? why : "(null)");
    json_decref(answer);
}

static void each_answer_has_a_state_of_its_own(void)
{
    is_text(ask("before = 'n1'\nstring.rep = nil\n" PLACE("return before")), "n1");
    is_text(ask(PLACE("return before or ('n2'):rep(1)")), "n2");
    is_text(ask("function string.len() return 0 end\n" PLACE("return nodes[1].node")), "n1");
    is_text(ask("for name in pairs(_ENV) do _ENV[name] = nil end\n" PLACE("return 'n2'")), "n2");
}

int main(void)
{
    RUN(it_chooses);
    RUN(it_knows_the_guest_and_the_nodes);
    RUN(wrong_results_are_errors);
    RUN(errors_have_a_line);
    RUN(a_check_does_not_call_it);
    RUN(loops_end);
    RUN(memory_ends);
    RUN(nothing_else_is_there);
    RUN(what_is_there_is_known);
    RUN(a_binary_chunk_is_refused);
    RUN(each_answer_has_a_state_of_its_own);
    return tap_done();
}
