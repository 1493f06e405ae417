/* io_process.h - io as a process: started, watched by its pidfd, ended. */
#ifndef NODE_IO_PROCESS_H
#define NODE_IO_PROCESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Executes `program` in a session of its own, with no descriptor of ours. */
int io_process_start(const char *program, const char *run_dir, uint64_t page_memory_bytes,
                     pid_t *pid, struct vios_error *error);

/* Its pidfd, readable when it has ended; the caller's. -1: there is none. */
int io_process_open(pid_t pid);

bool io_process_ended(int pidfd);
void io_process_kill(int pidfd);

/* What it left, when it has ended and is a child of ours; one of an earlier daemon is not. */
void io_process_reap(int pidfd);

/* Who listens at the other end of a connected unix socket; 0: not known. */
pid_t io_process_listening(int fd);

#endif
