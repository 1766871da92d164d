#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Handmade packets of ESP and AH: related.py METHOD.

Sends packets of both families from the client to the virtual address and from the server A to the
client, without an ISAKMP flow between them and with one. Prints one line for each: who sent it, and
the source and destination with which it arrived at the other end.
"""

import sys
import time

import wire
from orders import SCALE

ESP, AH = 50, 51
PAYLOAD = bytes(range(64))
# AH begins with the number of what follows, here "no next header", and its length.
DATA = {ESP: PAYLOAD, AH: bytes((59, 4, 0, 0)) + PAYLOAD[4:]}
VIRTUAL = {"m": "10.1.0.101", "i": "10.1.0.102", "g": "10.1.0.103"}


def six(address):
    """The IPv6 address that goes with an IPv4 one."""
    _, network, _, host = address.split(".")
    return f"fd00::{host}" if network == "0" else f"fd00:0:0:{network}::{host}"


def arrived(tap, protocol, seconds):
    """The ends of a packet that arrived as it was sent, also inside of a tunnel."""
    for packet in tap.packets(seconds):
        inner = packet
        if packet.protocol in (4, 41):
            inner = wire.parse(packet.data)
        if inner.protocol == protocol:
            return f"{inner.source} {inner.destination}" if inner.data in DATA[protocol] else "changed"
    return "nothing"


def run(method):
    """Everything for one forwarding method."""
    client = wire.Tap("client", "eth0")
    server = wire.Tap("A", "eth1" if method == "m" else "eth0")
    router, back = wire.Tap("router", "client").address, wire.Tap("director", "eth1").address
    for version in (4, 6):
        virtual, real, me = VIRTUAL[method], "10.2.0.11", "10.0.0.1"
        if version == 6:
            virtual, real, me = map(six, (virtual, real, me))
        for known in (False, True):
            if known:
                flow = wire.udp(me, virtual, (500, 500), b"keys")
                client.send(wire.ip(me, virtual, 17, flow), router)
                time.sleep(0.2 * SCALE)
            for protocol, name in ((ESP, "ESP"), (AH, "AH")):
                what = f"IPv{version} {name}{' known' if known else ''}"
                server.drain()
                client.send(wire.ip(me, virtual, protocol, DATA[protocol]), router)
                print(f"{what}: C {arrived(server, protocol, 1 if known else 0.3)}")
                if method == "m" and known:
                    client.drain()
                    server.send(wire.ip(real, me, protocol, DATA[protocol]), back)
                    print(f"{what}: S {arrived(client, protocol, 1)}")
        # Fragments go the same way, each for itself.
        server.drain()
        for piece in wire.fragments(me, virtual, ESP, PAYLOAD, 7, 32):
            client.send(piece, router)
            print(f"IPv{version} ESP fragment: C {arrived(server, ESP, 1)}")


run(sys.argv[1])
