/*
 * error.h - what went wrong, as a value that travels up to whoever reports it.
 *
 * Core never prints. A function that can fail returns VIOS_OK or one of the
 * negative codes below and, where it takes a `struct vios_error` (or a
 * `struct operation`, which holds one), fills it: the object it was about, the
 * reason, and the way out. Only the shell turns it into text for a person, only
 * the RPC server into JSON.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum vios_status {
    VIOS_OK = 0,
    VIOS_E_SYSTEM = -1,       /* a system call failed; the message has strerror */
    VIOS_E_USAGE = -2,        /* the caller's words are wrong */
    VIOS_E_NOT_FOUND = -3,    /* no such object */
    VIOS_E_EXISTS = -4,       /* the name is taken */
    VIOS_E_CONFLICT = -5,     /* somebody else changed it first */
    VIOS_E_LOCKED = -6,       /* refused by a lock */
    VIOS_E_INVALID = -7,      /* validation failed; nothing was changed */
    VIOS_E_NO_SPACE = -8,     /* disk, memory, or a named limit is used up */
    VIOS_E_TIMEOUT = -9,      /* the deadline passed and nothing was done */
    VIOS_E_UNKNOWN = -10,     /* it may or may not have been done */
    VIOS_E_CANCELLED = -11,   /* the caller gave up */
    VIOS_E_UNREACHABLE = -12, /* no daemon, no quorum, no peer */
    VIOS_E_DENIED = -13,      /* the role or identity does not allow it */
    VIOS_E_STALE = -14,       /* an older epoch, generation or incarnation */
    VIOS_E_COMPACTED = -15,   /* the history asked for is gone: list again */
    VIOS_E_CORRUPT = -16,     /* data fails its checksum or does not parse */
    VIOS_E_IO = -17           /* a device or peer failed while reading or writing */
};

struct vios_error {
    int code;          /* an enum vios_status; VIOS_OK when nothing went wrong */
    char object[96];   /* what it is about: `lu "web1"`; may be empty */
    char message[400]; /* the reason, one line, no full stop */
    char hint[200];    /* the way out, as an imperative; may be empty */
};

/*
 * Fills `error` (which may be NULL) and returns `code`, so that a failure is one
 * line: return error_set(error, VIOS_E_NO_SPACE, "pool \"p0\"", "remove LUs", ...).
 * `object` and `hint` may be NULL. Text that does not fit is cut; what is no UTF-8 becomes "?".
 */
int error_set(struct vios_error *error, int code, const char *object, const char *hint,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

/* error_set with VIOS_E_SYSTEM and strerror(errno) behind the message; ENOSPC and EDQUOT
 * become VIOS_E_NO_SPACE, EACCES and EPERM VIOS_E_DENIED, ENOENT VIOS_E_NOT_FOUND. */
int error_set_errno(struct vios_error *error, const char *object, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* VIOS_E_NO_SPACE: the process has no memory for it. `object` may be NULL. */
int error_no_memory(struct vios_error *error, const char *object);

/* "no_space": the `code` of JSON and Lua. A code that is none of ours gives "unknown_code". */
const char *error_name(int code);

/* The inverse; VIOS_E_SYSTEM for a name that is none of ours. */
int error_code(const char *name);

/* The one map to the shell's exit statuses (MISSION, "Grammar"). */
int error_exit_status(int code);

/* One line for a person: `object: message: hint`. Returns `text`. */
char *error_format(const struct vios_error *error, char *text, unsigned long size);

#endif
