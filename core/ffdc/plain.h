/* plain.h - texts of errors, programs and other nodes as they may stand in a record: valid UTF-8
 * without control characters. */
#ifndef FFDC_PLAIN_H
#define FFDC_PLAIN_H

/* Puts "?" in place of each byte that may not stand there; returns `text`. */
char *plain_text(char *text);

#endif
