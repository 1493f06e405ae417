/*
 * history.h - the lines typed before: $XDG_STATE_HOME/vios/history (~/.local/state otherwise),
 * 0600, an entry a line (newlines and backslashes escaped), shared by all shells of a user
 * under a lock. Lines with a leading blank and lines that look like secrets are never kept.
 */
#ifndef SHELL_HISTORY_H
#define SHELL_HISTORY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define SHELL_HISTORY_MAX 5000              /* entries kept when it is trimmed */
#define SHELL_HISTORY_ENTRY_MAX (64 * 1024) /* bytes; longer ones are not kept */

struct shell_history;

/* Called with each entry that this shell has not seen yet, oldest first. */
typedef void shell_history_each(void *context, const char *line);

/* Makes folder and file when they are not there. */
int shell_history_open(struct shell_history **history, struct vios_error *error);
void shell_history_free(struct shell_history *history);

/* False for what is not to be kept, in memory neither. */
bool shell_history_keeps(const char *line);

/* The entries that other shells (or an earlier one) wrote since the last call. */
int shell_history_read(struct shell_history *history, shell_history_each *each, void *context,
                       struct vios_error *error);

/* First what others wrote, through `each`, then appends `line`, which `each` does not get. */
int shell_history_add(struct shell_history *history, const char *line, shell_history_each *each,
                      void *context, struct vios_error *error);

#endif
