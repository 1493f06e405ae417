/*
 * version.h - what a build is: for the programs that say so with --version.
 *
 * The commit and the variant are known only to the files that VERSION_OBJECTS in the Makefile has,
 * so that a commit compiles those again and nothing else.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#include <stdbool.h>

#ifndef VIOS_COMMIT
#define VIOS_COMMIT "" /* not built from a git tree */
#endif
#ifndef VIOS_VARIANT
#define VIOS_VARIANT "" /* not built by the Makefile */
#endif

struct version_library {
    const char *name, *version;
};

struct version {
    const char *program;                     /* the first line is this and VIOS_VERSION */
    const char *commit;                      /* VIOS_COMMIT */
    const char *variant;                     /* VIOS_VARIANT */
    const struct version_library *libraries; /* as they are loaded; the last has no name */
    long long level;                         /* of the clusters it can be of; 0: it is no daemon */
};

/* Lines, or one object of JSON in a line: version, commit (null when not known), compiler,
 * variant, level, libraries. free() it; NULL: no memory. */
char *version_text(const struct version *version, bool as_json);

#endif
