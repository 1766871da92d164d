#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Synchronization datagrams by another implementation than the director's: BLAKE2s is Python's.

  sync_wire.py INTERFACE capture FILE        writes what arrives at the group, a line each, until it is ended
  sync_wire.py INTERFACE replay FILE         sends the datagrams of such a file again
  sync_wire.py INTERFACE cut FILE            sends them, each without some of its last octets
  sync_wire.py INTERFACE unsigned            sends a connection without a signature
  sync_wire.py INTERFACE signed KEY ID       sends a connection that is signed, without waiting for a HELLO
  sync_wire.py INTERFACE master KEY ID       waits for a HELLO, answers it, then sends a connection and DONE
  sync_wire.py INTERFACE verify KEY ID FILE  prints how many datagrams of a file have a right signature, and how many
                                             there are

The group is 224.0.0.81, the port 8848, the syncid 7. KEY has 64 hexadecimal digits. The connection is one of the client
10.9.0.1 to 10.1.0.100:80.
"""

import hashlib
import os
import re
import socket
import struct
import sys

GROUP, PORT, SYNCID = "224.0.0.81", 8848, 7
STAMP, HELLO, WELCOME, DONE = 0x48, 1, 2, 3
SIGNED = 31
ENDS = bytes([10, 9, 0, 1, 10, 1, 0, 100, 10, 2, 0, 11])


def group(interface, receives):
    """A socket for the group."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    index = socket.if_nametoindex(interface)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    if receives:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((GROUP, PORT))
        request = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    return sock


def code(key, octets):
    """The code of these octets."""
    return hashlib.blake2s(octets, key=key, digest_size=16).digest()


class Sender:
    """Makes signed datagrams with rising numbers."""

    def __init__(self, key, number):
        self.key, self.number = bytes.fromhex(key), int(number)
        self.epoch, self.sequence = os.urandom(8), 0

    def seal(self, count, body):
        """A datagram with this body and a stamp."""
        self.sequence += 1
        size = 8 + len(body) + SIGNED
        octets = struct.pack("!BBHBBH", 0, SYNCID, size, count, 1, 0) + body
        octets += bytes([STAMP, SIGNED - 2]) + self.epoch + struct.pack("!IB", self.sequence, self.number)
        return octets + code(self.key, octets)

    def connection(self):
        """An established connection. The stamp belongs to its record."""
        return self.seal(1, record(SIGNED))

    def message(self, kind, data):
        """A message."""
        return self.seal(0, bytes([kind, len(data)]) + data)


def record(more):
    """An established TCP connection with options of so many octets."""
    return struct.pack("!BBHIHHHHII", 0, 6, 36 + more, 0, 1, 40000, 80, 80, 0, 900) + ENDS


def messages(octets):
    """The messages of a datagram without records."""
    if octets[0] != 0 or octets[4:6] != b"\0\1":
        return
    rest = octets[8:]
    while len(rest) >= 2:
        kind, length = rest[:2]
        yield kind, rest[2:2 + length]
        rest = rest[2 + length:]


def capture(sock, file):
    """Writes datagrams to a file."""
    with open(file, "w", encoding="ascii", buffering=1) as out:
        print("ready", flush=True)
        while True:
            out.write(sock.recv(65535).hex() + "\n")


def master(sock, ears, sender):
    """Acts as a master for one backup."""
    print("ready", flush=True)
    while True:
        for kind, data in messages(ears.recv(65535)):
            if kind != HELLO:
                continue
            nonce, wants = data[:8], data[20]
            sweep = 1 if wants else 0
            for datagram in (
                sender.message(WELCOME, nonce + struct.pack("!IB", sweep, not wants)),
                sender.connection(),
                sender.message(DONE, struct.pack("!II", 1, 1)),
            ):
                sock.sendto(datagram, (GROUP, PORT))
            return


def main(interface, order, *words):
    """Carries out an order."""
    sock = group(interface, False)
    if order == "capture":
        capture(group(interface, True), words[0])
    elif order in ("replay", "cut"):
        with open(words[0], encoding="ascii") as lines:
            for number, line in enumerate(lines):
                octets = bytearray.fromhex(line)
                if order == "cut":
                    del octets[len(octets) - 1 - number % 20:]
                    octets[2:4] = struct.pack("!H", len(octets))
                sock.sendto(octets, (GROUP, PORT))
    elif order == "unsigned":
        body = record(0)
        sock.sendto(struct.pack("!BBHBBH", 0, SYNCID, 8 + len(body), 1, 1, 0) + body, (GROUP, PORT))
    elif order == "signed":
        sock.sendto(Sender(*words).connection(), (GROUP, PORT))
    elif order == "master":
        master(sock, group(interface, True), Sender(*words))
    elif order == "verify":
        key, number, file = words
        right = total = 0
        with open(file, encoding="ascii") as lines:
            for line in lines:
                octets = bytes.fromhex(line)
                total += 1
                stamp = re.match(rb"H\x1d.{8}.{4}(.)", octets[-SIGNED:], re.S)
                signs = stamp and stamp[1][0] == int(number)
                right += bool(signs and code(bytes.fromhex(key), octets[:-16]) == octets[-16:])
        print(right, total)
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
