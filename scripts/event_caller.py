#!/usr/bin/env python3
"""Prints every event of the cluster, once, also when the primary changes in between.

    vios event register ID --json > ID.json     (once; --class and --object say which events)
    scripts/event_caller.py ID.json

ID.json says who we are, where the nodes are, and whom to trust; in ID.json.cursor we keep where we
were last. The protocol is told in core/event/PROTOCOL.md.
"""
import itertools, json, os, ssl, socket, sys, time

me, kept = json.load(open(sys.argv[1])), sys.argv[1] + ".cursor"
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # it trusts the cluster's authority only,
tls.check_hostname = False  # whose certificates are of nodes, not of hosts
tls.load_verify_locations(cadata=me["authority"])
tls.set_alpn_protocols(["event"])


def save(cursor):
    with open(kept + ".new", "w") as new:
        json.dump(cursor, new)
    os.replace(kept + ".new", kept)


def follow(address):
    """Until the connection ends; returns where to go on."""
    host, port = address.rsplit(":", 1)
    cursor = json.load(open(kept)) if os.path.exists(kept) else None
    hello = {"hello": 1, "caller": me["id"], "token": me["token"], "cursor": cursor}
    plain = socket.create_connection((host.strip("[]"), port), 10)
    with tls.wrap_socket(plain) as caller:
        caller.settimeout(20)  # four heart-beats
        caller.sendall(json.dumps(hello).encode() + b"\n")
        for line in map(json.loads, caller.makefile("rb")):
            event = line.get("event")
            if "error" in line:
                sys.exit(line["error"]["message"])
            if "moved" in line:
                return line["moved"]["address"]
            if "hello" in line:
                restores = line["restores"]
            if event or "resync" in line:
                print(json.dumps(event or line), flush=True)
            if event or "beat" in line or "seq" in line:
                save({"restores": restores, "seq": (event or line).get("seq") or line["beat"]})
    return None


primary = None
for address in itertools.cycle(me["addresses"]):
    try:
        primary = follow(primary or address)
    except (OSError, ValueError):
        primary = None
    time.sleep(0.2)
