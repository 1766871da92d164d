#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Many flows, and numbered datagrams whose order counts.

waiting.py flows SOURCE ADDRESS PORT FIRST COUNT
    Sends a datagram from each of COUNT ports of SOURCE, from FIRST on.
waiting.py send SOURCE SOURCE_PORT ADDRESS PORT COUNT [small]
    Sends numbered datagrams of one flow. Every seventh is larger than the links allow, except with
    "small".
waiting.py receive ADDRESS PORT COUNT
    Prints "ready", receives so many datagrams, and prints whether they came in order.
"""

import os
import socket
import struct
import sys

SO_RCVBUFFORCE = 33
SCALE = int(os.environ.get("TIME_SCALE", "1"))


def flows(source, address, port, first, count):
    """Sends without a socket for each port."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as sock:
        sock.bind((source, 0))
        sock.connect((address, 0))
        for n in range(int(count)):
            sock.send(struct.pack("!HHHH", int(first) + n, int(port), 9, 0) + b"x")


def send(source, source_port, address, port, count, size=""):
    """Sends as fast as the socket takes them."""
    # A wire keeps the order only as long as the sender stays on its processor.
    os.sched_setaffinity(0, {0})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        sock.bind((source, int(source_port)))
        sock.connect((address, int(port)))
        for n in range(int(count)):
            sock.send(struct.pack("!I", n) + bytes(2000 if n % 7 == 3 and size != "small" else 30))


def receive(address, port, count):
    """Ends after the last datagram, or when none comes any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        sock.bind((address, int(port)))
        sock.settimeout(10 * SCALE)
        print("ready", flush=True)
        numbers = []
        try:
            while len(numbers) < int(count):
                numbers.append(*struct.unpack_from("!I", sock.recv(4000)))
        except TimeoutError:
            pass
    late = sum(after < before for before, after in zip(numbers, numbers[1:]))
    print(f"{len(numbers)} of {count}, {late} out of order")


if __name__ == "__main__":
    {"flows": flows, "send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
