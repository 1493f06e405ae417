/* Proves: the error value is filled, cut, mapped to names and exit statuses, and formatted. */
#include "base/error.h"
#include "tests/tap.h"

#include <errno.h>

static void fills_every_member(void)
{
    struct vios_error error;
    is_int(error_set(&error, VIOS_E_NO_SPACE, "pool \"p0\"", "remove LUs", "need %d", 3),
           VIOS_E_NO_SPACE);
    is_text(error.object, "pool \"p0\"");
    is_text(error.message, "need 3");
    char text[800];
    is_text(error_format(&error, text, sizeof text), "pool \"p0\": need 3: remove LUs");
}

static void maps_errno(void)
{
    struct vios_error error;
    errno = ENOSPC;
    is_int(error_set_errno(&error, NULL, "write"), VIOS_E_NO_SPACE);
    errno = EACCES;
    is_int(error_set_errno(NULL, NULL, "open"), VIOS_E_DENIED);
    errno = EBADF;
    is_int(error_set_errno(&error, NULL, "write"), VIOS_E_SYSTEM);
    is_text(error.message, "write: Bad file descriptor");
}

static void cuts_long_text(void)
{
    struct vios_error error;
    char object[200];
    memset(object, 'x', sizeof object - 1);
    object[sizeof object - 1] = '\0';
    error_set(&error, VIOS_E_USAGE, object, NULL, "m");
    is_int(strlen(error.object), sizeof error.object - 1);
}

static void names_go_both_ways(void)
{
    for (int code = VIOS_OK; code >= VIOS_E_IO; code--) {
        is_int(error_code(error_name(code)), code);
    }
    is_int(error_code("nonsense"), VIOS_E_SYSTEM);
    is_text(error_name(7), "unknown_code");
}

static void prints_one_line(void)
{
    struct vios_error error;
    char text[200];
    error_set(&error, VIOS_E_USAGE, "ttl", "give seconds", "\"x\" is not a duration");
    is_text(error_format(&error, text, sizeof text), "ttl: \"x\" is not a duration: give seconds");
    error_set(&error, VIOS_E_USAGE, NULL, "see \"help\"", "did you mean this?");
    is_text(error_format(&error, text, sizeof text), "did you mean this? see \"help\"");
    error_set(&error, VIOS_E_IO, NULL, NULL, "no answer");
    is_text(error_format(&error, text, sizeof text), "no answer");
}

static void exit_statuses_are_the_mission_s(void)
{
    is_int(error_exit_status(VIOS_OK), 0);
    is_int(error_exit_status(VIOS_E_USAGE), 2);
    is_int(error_exit_status(VIOS_E_UNREACHABLE), 4);
    is_int(error_exit_status(VIOS_E_TIMEOUT), 5);
    is_int(error_exit_status(VIOS_E_LOCKED), 6);
    is_int(error_exit_status(VIOS_E_INVALID), 7);
    is_int(error_exit_status(VIOS_E_CANCELLED), 130);
    is_int(error_exit_status(VIOS_E_NOT_FOUND), 1);
}

static void what_is_no_text_is_replaced(void)
{
    struct vios_error error;
    error_set(&error, VIOS_E_INVALID, "a\xff\xfe", "\xe2\x82",
              "\xc3\xa4\xed\xa0\x80\xf0\x9f\x98\x80\xc0\xaf");
    is_text(error.object, "a??");
    is_text(error.hint, "??");
    is_text(error.message, "\xc3\xa4???\xf0\x9f\x98\x80??");
}

int main(void)
{
    RUN(fills_every_member);
    RUN(maps_errno);
    RUN(cuts_long_text);
    RUN(names_go_both_ways);
    RUN(prints_one_line);
    RUN(exit_statuses_are_the_mission_s);
    RUN(what_is_no_text_is_replaced);
    return tap_done();
}
