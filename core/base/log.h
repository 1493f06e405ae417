/*
 * log.h - lines for whoever runs the program: stderr, which journald or a terminal reads.
 *
 * A line is the level, the part, and the text; as JSON when asked. Under journald (stderr is
 * its stream) each line starts with the <N> priority prefix and carries no time of its own.
 * Nothing in core prints by any other way. Thread-safe; one write(2) a line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG };

/* Lines above `level` are dropped. Call once, before other threads start. */
void log_configure(enum log_level level, bool json);

/* `part` is the folder it comes from ("store"); control bytes in the text are escaped. */
void log_line(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(part, ...) log_line(LOG_ERROR, part, __VA_ARGS__)
#define log_warning(part, ...) log_line(LOG_WARNING, part, __VA_ARGS__)
#define log_notice(part, ...) log_line(LOG_NOTICE, part, __VA_ARGS__)
#define log_debug(part, ...) log_line(LOG_DEBUG, part, __VA_ARGS__)

#endif
