"""How long a guest stood still while something was done to it, seen from its disk.

    marks.py FILE COMMAND...

FILE is the disk of a guest of fill_sector.S that goes on writing: its marks are in the sector 18431,
each with a number, and the guest's clock at that time. That clock stands still while QEMU has
stopped the guest, and goes on from there, on another node too; so it is behind ours by as much more
after the command as the guest was stopped. How late we see a mark does not matter: the one that is
seen soonest counts, before and after.

Prints three numbers, in ms: how long the guest was stopped, the longest time between two marks
whatever the reason, and how long the command took. A guest that makes no mark any more, or counts
backwards, is a failure.
"""

import os
import subprocess
import sys
import threading
import time

PLACE = 18431 * 512
CLOCK_HZ = 3579545
CLOCK_SIZE = 1 << 24
AROUND = 100  # marks before, and after
LOOK_S = 0.0003
LIMIT_S = 60


class Marks:
    """The marks in a file, from the next one on."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(self.file, 0, 0, os.POSIX_FADV_RANDOM)
        self.number, self.clock = self.read()
        self.seen = None  # when the last one was
        self.longest = 0
        self.guest_s = 0  # by the guest's clock, since the first

    def read(self):
        data = os.pread(self.file, 8, PLACE)
        return int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little")

    def next(self):
        """Waits for it; how far the guest's clock is behind ours."""
        begin = time.monotonic()
        number, clock, now = self.number, self.clock, begin
        while number == self.number:
            if now - begin > LIMIT_S:
                raise RuntimeError("the guest makes no mark behind %d" % number)
            time.sleep(LOOK_S)
            (number, clock), now = self.read(), time.monotonic()
        if number < self.number:
            raise RuntimeError("the guest wrote %d behind %d" % (number, self.number))
        if self.seen:
            self.longest = max(self.longest, now - self.seen)
            self.guest_s += (clock - self.clock) % CLOCK_SIZE / CLOCK_HZ
        self.number, self.clock, self.seen = number, clock, now
        return now - self.guest_s

    def least_behind(self):
        return min([self.next() for _ in range(AROUND)])


def watch(path, action):
    """Does `action` in a thread; the three numbers, as above."""
    marks, took, failure = Marks(path), [], []

    def act():
        begin = time.monotonic()
        try:
            action()
        except Exception as error:  # told by the thread that waits
            failure.append(error)
        took.append(time.monotonic() - begin)

    thread = threading.Thread(target=act, daemon=True)
    before = marks.least_behind()
    thread.start()
    while thread.is_alive():
        marks.next()
    after = marks.least_behind() if not failure else 0
    if failure:
        raise failure[0]
    return "%.1f %.1f %.1f" % tuple(1000 * s for s in (after - before, marks.longest, took[0]))


def main():
    path, command = sys.argv[1], sys.argv[2:]
    print(watch(path, lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)))


if __name__ == "__main__":
    main()
