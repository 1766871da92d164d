#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Associations of handmade SCTP packets: no host needs an SCTP of its own.

    transitions nat|dr C|S     for each state and each chunk of the client or the server, one line with
                               the state afterwards
    checksums FROM TO                  sends intact and damaged packets to a virtual port FROM, which a server
                               has as TO; one line for each that arrives wrong
    timeouts                   for each state, the seconds after which its association ends
    errors FROM TO             ICMP errors about such an association: one line for each

The service is 10.1.0.100:80 and its counterpart, the server is A, the client has many ports.
"""

import struct
import subprocess
import sys
import time

import wire
from orders import SCALE

SCTP = 132
CHUNKS = {
    "DATA": 0, "INIT": 1, "INIT-ACK": 2, "SACK": 3, "HEARTBEAT": 4, "ABORT": 6, "SHUTDOWN": 7,
    "SHUTDOWN-ACK": 8, "ERROR": 9, "COOKIE-ECHO": 10, "COOKIE-ACK": 11, "SHUTDOWN-COMPLETE": 14,
}
COOKIE_WITH_ABORT = ("COOKIE-ECHO+ABORT", "COOKIE-ACK+ABORT")

# How each state is reached: C is a packet from the client, S one from the server.
WAYS = {
    "NONE": "",
    "INIT1": "C:INIT",
    "INIT": "C:INIT C:INIT",
    "C-SENT": "C:INIT S:INIT-ACK",
    "C-REPLIED": "C:INIT S:INIT-ACK C:COOKIE-ECHO",
    "C-WAIT": "C:INIT S:INIT",
    "COOKIE": "C:INIT S:INIT C:INIT-ACK",
    "C-ECHOED": "C:INIT S:COOKIE-ECHO",
    "ESTABLISHED": "C:INIT S:INIT-ACK C:COOKIE-ECHO S:COOKIE-ACK",
    "S-SENT": "C:INIT S:COOKIE-ACK S:SHUTDOWN",
    "S-RECEIVED": "C:INIT S:COOKIE-ACK C:SHUTDOWN",
    "S-ACK-SENT": "C:INIT S:COOKIE-ACK C:SHUTDOWN S:SHUTDOWN-ACK",
    "REJECTED": "C:INIT S:ABORT",
    "CLOSED": "C:INIT S:COOKIE-ACK C:ABORT",
}
# The same, if the director does not see the server.
WAYS_ALONE = {
    "NONE": "",
    "INIT1": "C:INIT",
    "INIT": "C:INIT C:INIT",
    "C-ECHOED": "C:INIT C:INIT-ACK",
    "ESTABLISHED": "C:INIT C:COOKIE-ECHO",
    "S-RECEIVED": "C:INIT C:COOKIE-ECHO C:SHUTDOWN",
    "CLOSED": "C:INIT C:COOKIE-ECHO C:ABORT",
}


def crc32c(data):
    """The checksum of RFC 9260, appendix A."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def chunk(name):
    """A chunk, or two of them, with something in it."""
    if name in COOKIE_WITH_ABORT:
        # The cookie has 5 octets, so padding follows.
        return struct.pack("!BBH8s", CHUNKS[name.split("+")[0]], 0, 9, b"cooki") + chunk("ABORT")
    return struct.pack("!BBH16s", CHUNKS[name], 0, 20, b"value")


def sctp(ports, chunks, damage=0):
    """A packet with its checksum, which the damage makes wrong."""
    packet = struct.pack("!HHII", *ports, 0x01020304, 0) + chunks
    return packet[:8] + struct.pack("<I", crc32c(packet) ^ damage) + packet[12:]


class Association:
    """The hosts of an association by a forwarding method, and their links."""

    def __init__(self, method, version=4):
        self.client = wire.Tap("client", "eth0")
        self.server = wire.Tap("A", "eth1")
        self.back = wire.Tap("director", "eth1").address
        self.router = self.link("router", "client")
        self.vip, self.address, self.source = (
            ("10.1.0.100", "10.2.0.11", "10.0.0.1") if version == 4
            else ("fd00:0:0:1::100", "fd00:0:0:2::11", "fd00::1"))
        self.method = method

    @staticmethod
    def link(namespace, device):
        """The link address of a device."""
        return wire.Tap(namespace, device).address

    def send(self, who, port, data, virtual=80, server=80):
        """A packet of the client's port or of the server."""
        if who == "C":
            packet = wire.ip(self.source, self.vip, SCTP, sctp((port, virtual), *data))
            self.client.send(packet, self.router)
        else:
            packet = wire.ip(self.address, self.source, SCTP, sctp((server, port), *data))
            self.server.send(packet, self.back)


def rows():
    """The rows of the director's list that are associations."""
    text = subprocess.run(["on", "director", "cat", "/proc/net/ip_vs_conn"],
                          check=True, capture_output=True, text=True).stdout
    found = (line.split() for line in text.splitlines())
    return [row for row in found if row[0] == "SCTP" and row[2] != "0000"]


def states():
    """The states of all associations by the client's port."""
    return {int(row[2], 16): row[7] for row in rows()}


def transitions(method, who):
    """All transitions that begin with a chunk of one end. Each association has a client port."""
    ways = WAYS if method == "nat" else WAYS_ALONE
    ends = Association(method)
    walks = []
    for state, way in ways.items():
        for name in (*CHUNKS, *COOKIE_WITH_ABORT):
            # The C director begins an association that is aborted at once.
            if state == "NONE" and (who == "S" or name in COOKIE_WITH_ABORT):
                continue
            walks.append((state, [step.split(":") for step in way.split()] + [[who, name]]))
    first = 20000
    turns = max(len(steps) for _, steps in walks)
    reached = {}
    for turn in range(turns):
        if turn == turns - 1:
            reached = states()
        for port, (_, steps) in enumerate(walks, first):
            # All walks end at the same turn, so no state times out.
            index = turn - (turns - len(steps))
            if index >= 0:
                end, name = steps[index]
                ends.send(end, port, (chunk(name),))
        time.sleep(0.2 * SCALE)
    after = states()
    for port, (state, steps) in enumerate(walks, first):
        was = reached.get(port, "NONE")
        if was != state:
            print(f"{state} was not reached: {was}")
        print(f"{state} {who}:{steps[-1][1]} {after.get(port, '-')}")


def checksums(virtual, server):
    """Packets of several lengths to a port that is translated, both ways, intact and damaged."""
    for version in (4, 6):
        ends = Association("nat", version)
        for size in (0, 1, 2, 3, 4, 5, 31, 100, 1000, 1400):
            for damage in (0, 1, 0x80000000, 0x5A5A5A5A):
                for who, name in (("C", "INIT"), ("S", "INIT-ACK")):
                    data = chunk(name) + struct.pack("!BBH", 0, 3, 4 + size) + bytes(range(1, 251)) * 6
                    data = data[: len(chunk(name)) + 4 + size]
                    # Entries of another run may still be there.
                    port = 30000 + server + size
                    tap = ends.server if who == "C" else ends.client
                    tap.drain()
                    ends.send(who, port, (data, damage), virtual, server)
                    expected = (port, server) if who == "C" else (virtual, port)
                    packet = tap.find(lambda it: it.protocol == SCTP)
                    what = f"IPv{version} {who} {size} {damage:x}"
                    if packet is None:
                        print(what, "is lost")
                        continue
                    if wire.ports(packet.data) != expected or packet.data != sctp(expected, data, damage):
                        print(what, "is wrong")
    print("end")


def timeouts():
    """For each state, the seconds after which its association ends."""
    ends = Association("nat")
    for port, (state, way) in enumerate(WAYS.items(), 20000):
        for step in way.split():
            end, name = step.split(":")
            ends.send(end, port, (chunk(name),))
            time.sleep(0.02)
        row = next((row for row in rows() if int(row[2], 16) == port), None)
        if row:
            # A second may have passed, or the present one counts as well.
            left = int(row[8])
            print(row[7], next((full for full in (4, 61, 900) if full - 2 <= left <= full + 1), left))


def errors(virtual, server):
    """An error about a request, then one about a reply. Eight octets of each are quoted."""
    for version in (4, 6):
        ends = Association("nat", version)
        port = 31000
        kind, code = (3, 3) if version == 4 else (1, 4)

        def error(reporter, to, quoted):
            return wire.ip(reporter, to, wire.ICMP[wire.family(to)],
                           wire.icmp(reporter, to, kind, code, 0, quoted))

        def quote(source, destination, numbers):
            return wire.ip(source, destination, SCTP, struct.pack("!HHI", *numbers, 0x01020304))

        def arrives(tap, target, source, destination, numbers):
            packet = tap.find(lambda it: it.protocol == wire.ICMP[wire.family(target)] and it.data[:2] == bytes((kind, code)))
            if packet is None:
                return "lost"
            inner = wire.parse(packet.data[8:])
            got = packet.destination, inner.source, inner.destination, struct.unpack_from("!HHI", packet.data[-8:])
            return "right" if got == (target, source, destination, (*numbers, 0x01020304)) else f"wrong: {got}"

        ends.send("C", port, (chunk("INIT"),), virtual, server)
        time.sleep(0.1 * SCALE)
        ends.client.drain()
        ends.server.send(error(ends.address, ends.source, quote(ends.source, ends.address, (port, server))), ends.back)
        print(version, "request", arrives(ends.client, ends.source, ends.source, ends.vip, (port, virtual)))
        ends.server.drain()
        ends.client.send(error(ends.source, ends.vip, quote(ends.vip, ends.source, (virtual, port))), ends.router)
        print(version, "reply", arrives(ends.server, ends.address, ends.address, ends.source, (server, port)))


if __name__ == "__main__":
    order, *arguments = sys.argv[1:]
    if order == "transitions":
        transitions(*arguments)
    elif order == "timeouts":
        timeouts()
    else:
        {"checksums": checksums, "errors": errors}[order](*map(int, arguments))
