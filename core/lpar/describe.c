/* describe.c - see describe.h. */
#include "lpar/describe.h"

#include "base/file.h"
#include "lpar/guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STANDS_STILL "its QEMU stands still, stopped by a signal"
#define STAT_MAX 4096

static const char *const COMMANDS[] = {"query-status", "query-block", "query-blockstats",
                                       "query-chardev"};
#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])

/* Its main thread, which answers. In /proc/PID/stat the state is behind the name, which may have
 * brackets itself. */
static bool stands_still(pid_t pid)
{
    char path[64], *text = NULL;
    size_t size;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (file_read(AT_FDCWD, path, STAT_MAX, &text, &size, NULL) != VIOS_OK) {
        return false;
    }
    const char *end = strrchr(text, ')');
    bool still = end && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
    free(text);
    return still;
}

/* Why some are missing; "" when none is. */
static void ask(struct guest *guest, const struct guest_status *status, json_t *answers, char *why,
                size_t size, struct operation *operation)
{
    struct operation asking;
    int left_ms = operation_remaining_ms(operation);
    bool little = left_ms >= 0 && left_ms < DESCRIBE_GUEST_MS;
    operation_start(&asking, little ? left_ms : DESCRIBE_GUEST_MS, operation->cancel);
    why[0] = 0;
    if (left_ms == 0) {
        snprintf(why, size, "no time was left for it");
    } else if (!guest_is_connected(guest)) {
        snprintf(why, size, "it is just being started");
    } else if (stands_still(status->qemu_pid)) {
        snprintf(why, size, STANDS_STILL);
    } else if (guest_ask(guest, COMMANDS, COMMAND_COUNT, answers, &asking) != VIOS_OK) {
        snprintf(why, size, "%s",
                 stands_still(status->qemu_pid) ? STANDS_STILL : asking.error.message);
    }
}

static json_t *describe(struct guest *guest, struct operation *operation)
{
    char why[sizeof operation->error.message];
    struct guest_status status;
    const struct lpar *lpar = guest_lpar(guest);
    json_t *answers = json_object();
    guest_status(guest, &status);
    ask(guest, &status, answers, why, sizeof why, operation);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:o, s:s}", "name", lpar->name, "uuid",
                     lpar->uuid, "generation", (json_int_t)status.start, "state", status.state,
                     "why", status.why, "qemu_pid", (json_int_t)status.qemu_pid, "answers", answers,
                     "unanswered", why);
}

void lpar_describe(struct node *node, json_t *lines, struct operation *operation)
{
    size_t count = 0;
    struct guest **list = node->lpars ? lpars_list(node->lpars, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(lines, describe(list[i], operation));
        guest_release(list[i]);
    }
    free(list);
}
