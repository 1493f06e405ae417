/* file_io.h - one NBD request on a file descriptor, blocking. */
#ifndef STORAGE_FILE_IO_H
#define STORAGE_FILE_IO_H

#include "nbd/backend.h"

/* Does it; 0 or an errno. Any thread. */
int file_io_run(int fd, struct nbd_request *request);

/* What offsets and lengths must be multiples of on an O_DIRECT descriptor: 512 or NBD_BLOCK. */
uint32_t file_io_alignment(int fd);

#endif
