#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Has a device of bench_nic receive UDP frames, and prints how many of them its namespace sent on.

    frames.py DEVICE COUNT FLOWS SOURCE PORT DESTINATION PORT [reply]

Each flow has a client port of its own, from the client's PORT on: that of the source, with "reply"
that of the destination.
"""

import fcntl
import ipaddress
import pathlib
import re
import socket
import struct
import sys

REPLY = 2  # see bench_nic.c
SIOCGIFHWADDR = 0x8927


def sent():
    """Returns the number of frames that all cards of the namespace have sent."""
    lines = pathlib.Path("/proc/net/dev").read_text(encoding="ascii").splitlines()[2:]
    return sum(int(re.split(r"[: ]+", line.strip())[10]) for line in lines if not re.search("(lo|ipvs[0-9]+):", line))


def frame(device, source, source_port, destination, destination_port):
    """Returns a frame with a datagram that is addressed to the device. The device writes the IPv4 checksum."""
    # The files below /sys are those of another namespace.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        answer = fcntl.ioctl(asker, SIOCGIFHWADDR, struct.pack("256s", device.encode()))
    ether = answer[18:24] + bytes.fromhex("020000000099")
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + 18, 0x1234) + bytes(18)
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if source.version == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP, 0)
        kind = 0x0800
    else:
        ip = struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64)
        kind = 0x86DD
    return ether + struct.pack("!H", kind) + ip + source.packed + destination.packed + udp


def main():
    """Runs the command."""
    device, count, flows, source, source_port, destination, destination_port = sys.argv[1:8]
    before = sent()
    run = struct.pack("=Q6I", int(count), socket.if_nametoindex(device), 1, int(flows), 1, 1, REPLY if sys.argv[8:] else 0)
    with open("/proc/bench_nic", "r+b", buffering=0) as nic:
        nic.write(run + frame(device, source, int(source_port), destination, int(destination_port)))
    # The namespace also sends frames of its own: neighbor discovery.
    print(min(int(count), sent() - before))


main()
