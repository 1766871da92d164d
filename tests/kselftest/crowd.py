#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""One client port that sends UDP datagrams to many ports of an address, and its server.

crowd.py client SOURCE PORT ADDRESS FIRST COUNT [any]
    Sends a datagram from SOURCE PORT to each of COUNT ports of ADDRESS, starting at FIRST, and
    repeats it to those that do not answer. Prints how many ports have answered. With `any`, an
    answer may come from any port.
crowd.py server PORT
    Returns each datagram that arrives at PORT, from the address to which it was sent.
"""

import os
import socket
import struct
import sys
import time

SCALE = int(os.environ.get("TIME_SCALE", "1"))
# The number of datagrams in flight. Socket buffers have room for them.
WINDOW = 64


def server(port):
    """Answers until it is killed."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.bind(("", int(port)))
    while True:
        data, ancillary, _, peer = sock.recvmsg(100, 64)
        info = next(item for _, kind, item in ancillary if kind == socket.IPV6_PKTINFO)
        source = info[:16] + struct.pack("=I", 0)
        sock.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source)], 0, peer)


def client(source, port, address, first, count, *options):
    """Runs until every port has answered, or nothing arrives for a while."""
    ports = range(int(first), int(first) + int(count))
    any_port = options == ("any",)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((source, int(port)))
    answers = 0
    missing = set(ports)
    for _ in range(5):
        todo = sorted(missing)
        for begin in range(0, len(todo), WINDOW):
            window = todo[begin:begin + WINDOW]
            for target in window:
                sock.sendto(b"crowd %d" % target, (address, target))
            expected = set(window)
            end = time.monotonic() + 2 * SCALE
            while expected and time.monotonic() < end:
                sock.settimeout(max(end - time.monotonic(), 0.01))
                try:
                    data, sender = sock.recvfrom(100)
                except TimeoutError:
                    break
                # The answer contains the port that was asked.
                asked = int(data.split()[-1])
                if sender[0] == address and (any_port or sender[1] == asked) and asked in missing:
                    answers += 1
                    missing.discard(asked)
                expected.discard(asked)
        if not missing:
            break
    print(answers)


if __name__ == "__main__":
    {"client": client, "server": server}[sys.argv[1]](*sys.argv[2:])
