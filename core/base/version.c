/* version.c - see version.h. */
#include "base/version.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static const char *or_unknown(const char *text)
{
    return text[0] ? text : "unknown";
}

static void write_lines(FILE *file, const struct version *version)
{
    fprintf(file, "%s " VIOS_VERSION "\n", version->program);
    fprintf(file, "  commit      %s\n", or_unknown(version->commit));
    fprintf(file, "  compiler    " COMPILER "\n");
    fprintf(file, "  variant     %s\n", or_unknown(version->variant));
    if (version->level) {
        fprintf(file, "  level       %lld\n", version->level);
    }
    for (const struct version_library *at = version->libraries; at->name; at++) {
        fprintf(file, "  %-10s  %s\n", at->name, at->version);
    }
}

static void write_json(FILE *file, const struct version *version)
{
    json_t *libraries = json_object();
    for (const struct version_library *at = version->libraries; at->name; at++) {
        json_object_set_new(libraries, at->name, json_string(at->version));
    }
    json_t *all =
        json_pack("{s:s, s:s?, s:s, s:s?, s:o}", "version", VIOS_VERSION, "commit",
                  version->commit[0] ? version->commit : NULL, "compiler", COMPILER, "variant",
                  version->variant[0] ? version->variant : NULL, "libraries", libraries);
    if (version->level) {
        json_object_set_new(all, "level", json_integer(version->level));
    }
    json_dumpf(all, file, 0);
    fputc('\n', file);
    json_decref(all);
}

char *version_text(const struct version *version, bool as_json)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        return NULL;
    }
    (as_json ? write_json : write_lines)(file, version);
    if (fclose(file) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
