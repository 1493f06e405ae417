/*
 * watchdog_unfed.c - a program for test guests that starts the machine's watchdog and leaves it
 * alone, as a guest does that hangs. It talks to the device itself (an ib700): Debian's cloud
 * kernel has no driver for one that QEMU offers. Exits 1 when it may not.
 */
#include <stdio.h>
#include <sys/io.h>

#define START_PORT 0x443
#define TWO_SECONDS 0xe /* in the device's own scale: (15 - n) * 2 seconds */

int main(void)
{
    if (ioperm(START_PORT, 1, 1) != 0) {
        perror("guest watchdog fails: ioperm");
        return 1;
    }
    outb(TWO_SECONDS, START_PORT);
    return 0;
}
