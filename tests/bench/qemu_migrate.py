"""A guest of QEMU's own, saved and restored by its `migrate`: what hibernate.sh compares with.

    qemu_migrate.py MEMORY_MIB DISK WAY FILE

WAY is "zstd" (through `zstd -1`) or "raw". Prints two numbers: ms from `stop` until the state is in
FILE, synced as ours is, and ms from the start of another QEMU until the guest runs again.
"""

import json
import os
import socket
import subprocess
import sys
import time

LIMIT_S = 300


def launch(memory, disk, folder, incoming):
    return subprocess.Popen(
        ["qemu-system-x86_64", "-machine", "pc-i440fx-7.2,accel=tcg", "-cpu", "qemu64", "-m", memory,
         "-display", "none", "-nodefaults", "-no-reboot",
         "-drive", "file=%s,format=raw,if=virtio,snapshot=on" % disk,
         "-serial", "file:%s/serial" % folder, "-qmp", "unix:%s/qmp,server=on,wait=off" % folder]
        + (["-incoming", "exec:" + incoming] if incoming else []))


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.002)
        self.socket.settimeout(LIMIT_S)
        self.lines = self.socket.makefile("rw")
        self.lines.readline()
        self.call("qmp_capabilities")

    def call(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])

    def await_event(self, event):
        while json.loads(self.lines.readline()).get("event") != event:
            pass

    def until(self, command, wanted):
        end = time.monotonic() + LIMIT_S
        while self.call(command).get("status") != wanted:
            if time.monotonic() > end:
                raise RuntimeError("%s is never %s" % (command, wanted))
            time.sleep(0.002)


def await_full(serial):
    end = time.monotonic() + LIMIT_S
    while b"full" not in open(serial, "rb").read():
        if time.monotonic() > end:
            raise RuntimeError("the guest does not fill its memory")
        time.sleep(0.05)


def main():
    memory, disk, way, path = sys.argv[1:]
    folder = os.path.dirname(path)
    out = {"zstd": "zstd -1 -q -f -o %s", "raw": "cat >%s"}[way] % path
    back = {"zstd": "zstd -dc -q %s", "raw": "cat %s"}[way] % path
    first = launch(memory, disk, folder, None)
    second = None
    try:
        qmp = Qmp(folder + "/qmp")
        await_full(folder + "/serial")
        qmp.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        begin = time.monotonic()
        qmp.call("stop")
        qmp.call("migrate", uri="exec:" + out)
        qmp.until("query-migrate", "completed")
        with open(path, "rb") as state:
            os.fsync(state.fileno())
        saved = time.monotonic() - begin
        first.kill()
        first.wait()
        os.unlink(folder + "/qmp")
        begin = time.monotonic()
        second = launch(memory, disk, folder, back)
        qmp = Qmp(folder + "/qmp")
        qmp.until("query-migrate", "completed")
        qmp.call("cont")
        qmp.until("query-status", "running")
        print("%d %d" % (saved * 1000, (time.monotonic() - begin) * 1000))
    finally:
        for process in (first, second):
            if process and process.poll() is None:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
