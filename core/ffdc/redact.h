/*
 * redact.h - texts without what must not leave the house: network addresses, names of guests, and
 * what looks like a key or a digest, each replaced by an alias that is the same wherever it
 * stands ("address-3", "guest-1", "hex-2"), so that a timeline can still be followed. Pure.
 *
 * An address is one of IPv4, IPv6 or a MAC, or one of the form that /proc/net has; hex is a run of
 * REDACT_HEX_MIN digits or more.
 */
#ifndef FFDC_REDACT_H
#define FFDC_REDACT_H

#include "base/error.h"

#include <stddef.h>

#define REDACT_HEX_MIN 32
#define REDACT_NAMES_MAX 4096

struct redactor;

struct redactor *redactor_new(void);
void redactor_free(struct redactor *redactor);

/* A guest's name, from now on. Known ones, and more than REDACT_NAMES_MAX, change nothing. */
void redactor_add_name(struct redactor *redactor, const char *name);

/* The names of the guests in what the collector of the VIOS DB wrote. */
void redactor_add_records(struct redactor *redactor, const char *text);

/* `*out` is the caller's, with a NUL behind it. VIOS_E_NO_SPACE: no memory. */
int redactor_run(struct redactor *redactor, const char *text, size_t size, char **out,
                 size_t *out_size, struct vios_error *error);

#endif
