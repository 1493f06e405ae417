/* notify.h - what systemd is told (sd_notify's datagrams, without libsystemd). */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1"; nothing without $NOTIFY_SOCKET. */
void notify_send(const char *state);

/* How often WATCHDOG=1 is due, in ms: half of $WATCHDOG_USEC when it is for us; 0: never. */
int64_t notify_watchdog_ms(void);

#endif
