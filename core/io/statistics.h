/* statistics.h - what `statistics` answers. */
#ifndef IO_STATISTICS_H
#define IO_STATISTICS_H

#include "io/io.h"

/* Waits for each home worker once. With io's lock held. */
json_t *statistics_make(struct io *io);

#endif
