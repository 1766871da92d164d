# SPDX-License-Identifier: GPL-2.0-only
"""Packets of both families as octets: building, fragmenting, parsing, sending and receiving them.

This file has formats and sockets. Expectations about a director belong elsewhere.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import time
import typing

from orders import SCALE, family

ETH = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}
ICMP = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
FRAGMENT = 44
SIOCGIFHWADDR = 0x8927
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000


@contextlib.contextmanager
def inside(namespace):
    """Runs a block in a network namespace. Sockets stay in the namespace of their creation."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    os.setns(other, os.CLONE_NEWNET)
    try:
        yield
    finally:
        os.setns(own, os.CLONE_NEWNET)
        os.close(other)
        os.close(own)


def pack(address):
    """An address as octets."""
    return socket.inet_pton(family(address), address)


def unpack(octets):
    """Octets as an address."""
    return socket.inet_ntop(socket.AF_INET if len(octets) == 4 else socket.AF_INET6, octets)


def total(data):
    """The Internet checksum's sum."""
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def checksum(source, destination, protocol, data):
    """The checksum of a transport protocol, over its pseudo header."""
    pseudo = pack(source) + pack(destination) + struct.pack("!II", len(data), protocol)
    return ~total(pseudo + data) & 0xFFFF


def udp(source, destination, ports, payload, check=True):
    """A UDP datagram with (source port, destination port)."""
    head = struct.pack("!HHHH", *ports, 8 + len(payload), 0)
    value = checksum(source, destination, socket.IPPROTO_UDP, head + payload) if check else 0
    return head[:6] + struct.pack("!H", value or (0xFFFF if check else 0)) + payload


def tcp(source, destination, ports, flags, payload=b"", numbers=(1, 1)):
    """A TCP segment without options."""
    head = struct.pack("!HHIIBBHHH", *ports, *numbers, 5 << 4, flags, 8192, 0, 0)
    value = checksum(source, destination, socket.IPPROTO_TCP, head + payload)
    return head[:16] + struct.pack("!H", value) + head[18:] + payload


def icmp(source, destination, kind, code, rest, data):
    """An ICMP or ICMPv6 message."""
    message = struct.pack("!BBHI", kind, code, 0, rest) + data
    if family(source) == socket.AF_INET:
        value = ~total(message) & 0xFFFF
    else:
        value = checksum(source, destination, socket.IPPROTO_ICMPV6, message)
    return message[:2] + struct.pack("!H", value) + message[4:]


def ip(source, destination, protocol, data, number=0, fragment=0, hops=64):
    """A packet of either family. `fragment` is the IPv4 field with flags and offset, for both."""
    if family(source) == socket.AF_INET:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), number, fragment, hops, protocol, 0)
        head += pack(source) + pack(destination)
        return head[:10] + struct.pack("!H", ~total(head) & 0xFFFF) + head[12:] + data
    if fragment & ~DONT_FRAGMENT:
        offset = (fragment & 0x1FFF) << 3 | bool(fragment & MORE_FRAGMENTS)
        data = struct.pack("!BBHI", protocol, 0, offset, number) + data
        protocol = FRAGMENT
    return struct.pack("!IHBB", 6 << 28, len(data), protocol, hops) + pack(source) + pack(destination) + data


def fragments(source, destination, protocol, data, number, size, flags=0):
    """The fragments of a packet, each with that much data and these flags of IPv4."""
    return [
        ip(source, destination, protocol, data[at : at + size], number,
           at // 8 | (MORE_FRAGMENTS if at + size < len(data) else 0) | flags)
        for at in range(0, len(data), size)
    ]


class Packet(typing.NamedTuple):
    """The result of parse. `fragment` is as in `ip`."""

    source: str
    destination: str
    protocol: int
    hops: int
    number: int
    fragment: int
    data: bytes


def parse(packet):
    """Parses a packet of either family, even if it is cut short."""
    if packet[0] >> 4 == 4:
        size, number, fragment, hops, protocol = struct.unpack_from("!2xHHHBB", packet)
        return Packet(unpack(packet[12:16]), unpack(packet[16:20]), protocol, hops, number, fragment,
                      packet[(packet[0] & 15) * 4 : size])
    size, protocol, hops = struct.unpack_from("!4xHBB", packet)
    source, destination, data = unpack(packet[8:24]), unpack(packet[24:40]), packet[40 : 40 + size]
    number = fragment = 0
    while protocol in (0, FRAGMENT, 60) and len(data) >= 8:
        length = 8
        if protocol == FRAGMENT:
            offset, number = struct.unpack_from("!HI", data, 2)
            fragment = offset >> 3 | (MORE_FRAGMENTS if offset & 1 else 0)
        else:
            length += data[1] * 8
        protocol, data = data[0], data[length:]
    return Packet(source, destination, protocol, hops, number, fragment, data)


def ports(data):
    """The source and destination port of TCP or UDP."""
    return struct.unpack_from("!HH", data)


def whole(packet):
    """Whether the checksum of a parsed UDP datagram is correct."""
    pseudo = pack(packet.source) + pack(packet.destination) + struct.pack("!II", len(packet.data), packet.protocol)
    return total(pseudo + packet.data) == 0xFFFF


class Tap:
    """Receives a device's packets and puts packets on its wire."""

    def __init__(self, namespace, device):
        with inside(namespace):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            request = fcntl.ioctl(self.sock, SIOCGIFHWADDR, device.encode().ljust(32, b"\0"))
        self.address = request[18:24]
        self.device = device
        self.sock.bind((device, 3))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    def send(self, packet, to):
        """Sends a packet to the link address of a tap."""
        kind = ETH[socket.AF_INET6 if packet[:1] and packet[0] >> 4 == 6 else socket.AF_INET]
        self.sock.sendto(packet, (self.device, kind, 0, 0, to))

    def packets(self, seconds):
        """Yields packets until none matches for that long. The caller may stop earlier."""
        end = time.monotonic() + seconds * SCALE
        while (left := end - time.monotonic()) > 0 and select.select([self.sock], [], [], left)[0]:
            octets, where = self.sock.recvfrom(1 << 16)
            if where[2] != socket.PACKET_OUTGOING and where[1] in ETH.values():
                yield parse(octets)

    def find(self, wanted, seconds=3):
        """The first packet for which the function returns true, or None."""
        return next((packet for packet in self.packets(seconds) if wanted(packet)), None)

    def drain(self):
        """Discards the packets received so far."""
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recv(1)
