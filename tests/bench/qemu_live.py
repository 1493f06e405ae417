"""A guest of QEMU's own, migrated while it runs: what migrate.sh compares with.

    qemu_live.py ARGUMENTS DISK FOLDER plain|tls|still

ARGUMENTS is the command line of our guest's QEMU, as /proc has it: both QEMUs get the same, but for
the sockets, and the same parameters of the migration. One qemu-nbd serves DISK to both, past the
page cache as our LUs are. "tls": with QEMU's own TLS, whose certificates are in FOLDER; "still":
likewise, and the guest stands still throughout, as ours does with tcg. Prints what marks.py prints; what is done is from the start of the other QEMU until the guest runs there and the
first one is gone.
"""

import json
import os
import subprocess
import sys

import marks
from qemu_migrate import Qmp, await_full

BANDWIDTH = 1 << 40  # as core/lpar/migration.c has it
CREDENTIALS = "tls-creds-x509,id=tls,dir=%s,endpoint=%s,verify-peer=on"


def chardev(text, own):
    name = [word for word in text.split(",") if word.startswith("id=")][0]
    if name == "id=qmp":
        return "socket,id=qmp,path=%s/qmp,server=on,wait=off" % own
    return "file,%s,path=%s/serial" % (name, own)


def blockdev(text, folder):
    node = json.loads(text)
    node["server"]["path"] = folder + "/disk.sock"
    node["export"] = "disk"
    return json.dumps(node)


def command_line(path, folder, own):
    """Ours, with the sockets of `folder`, and of `own`, which is this QEMU's."""
    with open(path) as file:
        given = file.read().split("\0")[:-1]
    words = []
    for before, word in zip([""] + given, given):
        if before == "-chardev":
            word = chardev(word, own)
        elif before == "-blockdev":
            word = blockdev(word, folder)
        if word != "-S":
            words.append(word)
    return words


class Guest:
    """A QEMU that was started, and its QMP once it is set up."""

    def __init__(self, path, folder, side, secure):
        self.own = "%s/%s" % (folder, side)
        os.makedirs(self.own, exist_ok=True)
        words = command_line(path, folder, self.own)
        if secure:
            words += ["-object", CREDENTIALS % (folder, side)]
        if side == "server":
            words += ["-incoming", "defer"]
        self.secure, self.qmp = secure, None
        self.process = subprocess.Popen(words)

    def set_up(self):
        parameters = {"max-bandwidth": BANDWIDTH}
        if self.secure:
            parameters.update({"tls-creds": "tls", "tls-hostname": "target"})
        auto_converge = {"capability": "auto-converge", "state": True}
        self.qmp = Qmp(self.own + "/qmp")
        self.qmp.call("migrate-set-capabilities", capabilities=[auto_converge])
        self.qmp.call("migrate-set-parameters", **parameters)

    def end(self):
        self.process.kill()
        self.process.wait()


def migrate(guests, path, folder, way):
    source, target = guests[0], Guest(path, folder, "server", way != "plain")
    guests.append(target)
    target.set_up()
    target.qmp.call("migrate-incoming", uri="tcp:127.0.0.1:0")
    address = target.qmp.call("query-migrate")["socket-address"][0]
    if way == "still":
        source.qmp.call("stop")
    source.qmp.call("migrate", uri="tcp:127.0.0.1:" + address["port"])
    if way == "still":
        target.qmp.until("query-migrate", "completed")
        target.qmp.call("cont")
    else:
        target.qmp.await_event("RESUME")
    source.qmp.until("query-migrate", "completed")
    source.end()


def serve(disk, folder):
    with open(folder + "/qemu-nbd.log", "w") as log:
        return subprocess.Popen(["qemu-nbd", "--persistent", "--shared=4", "--format=raw",
                                 "--cache=none", "--discard=unmap", "--export-name=disk",
                                 "--socket=%s/disk.sock" % folder, disk], stderr=log)


def main():
    path, disk, folder, way = sys.argv[1:]
    server = serve(disk, folder)
    guests = []
    try:
        guests.append(Guest(path, folder, "client", way != "plain"))
        guests[0].set_up()
        await_full(guests[0].own + "/serial")
        print(marks.watch(disk, lambda: migrate(guests, path, folder, way)))
    finally:
        for guest in guests:
            guest.end()
        server.kill()
        server.wait()


main()
