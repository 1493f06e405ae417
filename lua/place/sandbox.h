/*
 * sandbox.h - asks the administrators' placement function, in a Lua state that has nothing to do
 * harm with and that is thrown away afterwards.
 *
 * The question is a JSON object: "text", a chunk that returns the function; "lpar" and "nodes",
 * what the function is called with. The answer is one, too: {"node": NAME}, one of the "node" of
 * the nodes; {"node": null}, when the function returned nil; {"error": WHY} in all other cases,
 * with Lua's own words. Without "lpar" the chunk is only run, and has to return a function.
 *
 * What is there: the functions of the base library that compute, and math, string and table
 * without string.dump. What is not: whatever loads code (a binary chunk could break the
 * interpreter), sees files, the process or other states, sets metatables, or catches errors: pcall,
 * xpcall and coroutines would catch those of the limits.
 *
 * The limits are of instructions and of memory; they fail where the function is, and so their
 * errors have a line. They bound no time: one instruction that calls string.find can take as long
 * as it likes. So this runs in a process that is given up, see main.c and node/place_function.h.
 */
#ifndef LUA_PLACE_SANDBOX_H
#define LUA_PLACE_SANDBOX_H

#include <jansson.h>

#define SANDBOX_INSTRUCTIONS_MAX 1000000
#define SANDBOX_MEMORY_MAX (8 * 1024 * 1024)
#define SANDBOX_ERROR_SIZE 300

/* A new reference; NULL without memory. */
json_t *sandbox_answer(const json_t *question);

#endif
