#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends synchronization datagrams to the group of the protocol, 224.0.0.81, port 8848.

  datagrams.py INTERFACE OCTETS…         these, in hexadecimal
  datagrams.py INTERFACE random COUNT    random changes of a datagram with two connections
  datagrams.py INTERFACE many COUNT      connections of different clients to 10.1.0.100:80
"""

import random
import socket
import struct
import sys
import time

GROUP = ("224.0.0.81", 8848)
# TCP and IPv4; established, then a template. Clients in 10.9.0.0/24, the server 10.2.0.11.
FIXED = "!BBHIHHHHII"
CONNECTION = struct.pack(FIXED, 0, 6, 36, 0, 1, 40000, 80, 80, 0, 900) + bytes([10, 9, 0, 1, 10, 1, 0, 100, 10, 2, 0, 11])
TEMPLATE = struct.pack(FIXED, 0, 6, 36, 0x1100, 1, 0, 8000, 8000, 0, 300) + bytes([10, 9, 0, 1, 10, 1, 0, 100, 10, 2, 0, 11])


def datagram(records, syncid=7):
    """A datagram of version 1."""
    return struct.pack("!BBHBBH", 0, syncid, 8 + sum(map(len, records)), len(records), 1, 0) + b"".join(records)


def changed(number):
    """A datagram with some octets that are random, or of random length."""
    octets = bytearray(datagram([CONNECTION, TEMPLATE]))
    for _ in range(number.randrange(1, 5)):
        octets[number.randrange(8, len(octets))] = number.choice((0, 1, 0x7F, 0x80, 0xFF, number.randrange(256)))
    if number.randrange(4) == 0:
        del octets[number.randrange(8, len(octets)):]
    if number.randrange(8):
        octets[2:4] = struct.pack("!H", len(octets))
    return bytes(octets)


def many(count):
    """Datagrams with that many connections, 40 in each."""
    head = struct.pack("!BBHI", 0, socket.IPPROTO_TCP, 36, 0)
    for begin in range(0, count, 40):
        records = [head + struct.pack("!HHHHIIIII", 1, 1024 + number % 60000, 80, 80, 0, 900,
                                      0x0A140001 + number // 60000, 0x0A010064, 0x0A02000B + number % 3)
                   for number in range(begin, min(begin + 40, count))]
        yield datagram(records)


def main(interface, *words):
    """Sends what the command line says."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    index = socket.if_nametoindex(interface)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    if words[0] == "random":
        number = random.Random(1)
        for _ in range(int(words[1])):
            sock.sendto(changed(number), GROUP)
    elif words[0] == "many":
        for number, octets in enumerate(many(int(words[1]))):
            # The receiver's buffer has room for some 1,500 datagrams.
            if number % 200 == 199:
                time.sleep(0.2)
            sock.sendto(octets, GROUP)
    else:
        for word in words:
            sock.sendto(bytes.fromhex(word), GROUP)


main(*sys.argv[1:])
