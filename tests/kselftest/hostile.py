#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts malformed packets of all protocols on the director's wires: hostile.py SEED COUNT.

Packets of existing and absent flows are first cut off at every octet and then changed at random. The
same seed gives the same packets. They come from the client's second address and from A, and concern
the services of hostile.test.sh. This file has the kinds of damage; wire.py has the formats.
"""

import itertools
import random
import socket
import struct
import sys

import wire
from orders import family

V4 = {"client": "10.0.0.2", "virtual": "10.1.0.100", "nat": "10.2.0.11", "tunnel": "10.3.0.11",
      "director": "10.1.0.1", "router": "10.1.0.254"}
V6 = {"client": "fd00::2", "virtual": "fd00:0:0:1::100", "nat": "fd00:0:0:2::11", "tunnel": "fd00:0:0:3::11",
      "director": "fd00:0:0:1::1", "router": "fd00:0:0:1::254"}
EXTENSIONS = (0, 43, 44, 51, 59, 60, 135, 139, 140, 253)
PORTS = (9, 80, 4321)


def transports(source, destination, ports):
    """Whole transport packets of one flow, with their protocols."""
    for flags in (0x02, 0x10, 0x12, 0x04, 0x11, 0x00, 0xFF):
        yield 6, wire.tcp(source, destination, ports, flags, b"data" * 3)
    yield 17, wire.udp(source, destination, ports, b"data" * 4)
    yield 17, wire.udp(source, destination, ports, b"", False)
    # SCTP chunks of every type, and others, alone and before an ABORT. Their checksums are wrong.
    init = b"\0\0\0\1" + b"\0\1\0\0" + b"\0\1\0\1" + bytes(4)
    for kind in (1, 2, 0, 3, 4, 6, 7, 8, 9, 10, 11, 14, 192, 193, 255):
        for more in (b"", b"\6\0\0\4"):
            chunk = struct.pack("!BBH", kind, 0, 4 + len(init)) + init
            yield 132, struct.pack("!HHII", *ports, kind != 1, 0) + chunk + more


def errors(source, destination, quotes):
    """ICMP messages of every kind with a quote, and of some kinds without."""
    kinds = [(3, code) for code in range(16)] + [(4, 0), (5, 1), (11, 0), (11, 1), (12, 0), (0, 0), (8, 0), (13, 0)]
    if family(source) == socket.AF_INET6:
        kinds = [(1, code) for code in range(8)] + [(2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (128, 0), (129, 0), (137, 0)]
    for (kind, code), quote in zip(kinds, itertools.cycle(quotes)):
        for rest in (0, 1, 68, 576, 1400, 0xFFFFFFFF):
            yield wire.ICMP[family(source)], wire.icmp(source, destination, kind, code, rest, quote)


def tunnels(inner):
    """A packet in each kind of tunnel, with its protocol."""
    kind = 41 if inner[0] >> 4 == 6 else 4
    ether = 0x86DD if kind == 41 else 0x0800
    yield kind, inner
    for flags in (0, 0x8000, 0xB000, 0x4007):
        yield 47, struct.pack("!HH", flags, ether) + (bytes(12) if flags & 0x7000 else b"") + inner
    for first in (0, 2, 0x1F, 0x20, 0x40):
        gue = bytes([first, kind]) + b"\0\x20" + bytes(first % 32 * 4) + inner
        yield 17, struct.pack("!HHHH", 6080, 6080, 8 + len(gue), 0) + gue


def originals(hosts):
    """Whole packets as (wire, packet): from the front network with the clients, or from the
    back."""
    client, virtual, nat = hosts["client"], hosts["virtual"], hosts["nat"]
    quotes = []
    for port in PORTS:
        for protocol, data in transports(client, virtual, (20000 + port, port)):
            yield "front", wire.ip(client, virtual, protocol, data)
        for protocol, data in transports(nat, client, (port, 20000 + port)):
            yield "back", wire.ip(nat, client, protocol, data)
        for protocol, data in transports(virtual, client, (port, 20000 + port)):
            quotes.append(wire.ip(virtual, client, protocol, data))
        for protocol, data in transports(client, nat, (20000 + port, port)):
            quotes.append(wire.ip(client, nat, protocol, data))
    inner = wire.ip(client, virtual, 17, wire.udp(client, virtual, (20080, 80), b"data" * 4))
    for protocol, data in tunnels(inner):
        quotes.append(wire.ip(hosts["director"], hosts["tunnel"], protocol, data))
        yield "front", wire.ip(client, virtual, protocol, data)
        yield "front", wire.ip(hosts["router"], hosts["director"], protocol, data)
    random.shuffle(quotes)
    for index in range(0, len(quotes), 8):
        some = quotes[index : index + 8]
        for source, destination, by in ((client, virtual, "front"), (nat, client, "back"),
                                        (hosts["router"], hosts["director"], "front"), (hosts["router"], virtual, "front")):
            for protocol, data in errors(source, destination, some):
                yield by, wire.ip(source, destination, protocol, data)


def resum(packet):
    """The packet with a correct IPv4 header checksum, if it has such a header."""
    size = (packet[0] & 15) * 4 if packet else 0
    if not packet or packet[0] >> 4 != 4 or size < 20 or len(packet) < size:
        return packet
    head = packet[:10] + b"\0\0" + packet[12:size]
    return head[:10] + struct.pack("!H", ~wire.total(head) & 0xFFFF) + packet[12:]


def resize(packet):
    """The packet with a correct length in its IP header."""
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return packet[:4] + struct.pack("!H", len(packet) - 40) + packet[6:]
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        return resum(packet[:2] + struct.pack("!H", len(packet)) + packet[4:])
    return packet


def overwritten(packet):
    """Changes some octets anywhere."""
    data = bytearray(packet)
    for _ in range(random.choice((1, 1, 2, 4))):
        data[random.randrange(len(data))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(data)


def mislabeled(packet):
    """Writes a wrong length, offset or protocol."""
    data = bytearray(packet)
    head = 40 if data[0] >> 4 == 6 else 20
    # IP: length, protocol, fragment fields. UDP: length. TCP: offset. The length of an extension
    # header.
    at = random.choice((0, 2, 3, 4, 5, 6, 7, 9, head, head + 1, head + 4, head + 5, head + 12, head + 8, head + 10))
    if at < len(data):
        data[at] = random.choice((0, 1, 4, 5, 7, 8, 0x2F, 0x45, 0x46, 0x4F, 0x50, 0x60, 0x10, 0xF0, 0xFF))
    return bytes(data)


def extended(packet):
    """Adds IPv4 options or a chain of IPv6 extension headers, some of them impossible."""
    if packet[0] >> 4 == 4:
        words = random.randrange(1, 11)
        options = bytes(random.choice((0, 1, 7, 68, 130, 131, 137, 148, 4, 3, 255)) for _ in range(words * 4))
        return resize(bytes([0x45 + words]) + packet[1:20] + options + packet[20:])
    chain = [random.choice(EXTENSIONS) for _ in range(random.choice((1, 2, 3, 9, 40)))]
    data, following = packet[40:], packet[6]
    for kind in reversed(chain):
        length = random.choice((0, 0, 0, 1, 3, 31, 255))
        body = random.randbytes(6 + length * 8) if random.random() < 0.3 else bytes(6 + length * 8)
        data = bytes([following, length]) + body[: random.choice((len(body), len(body), 6))] + data
        following = kind
    return resize(packet[:6] + bytes([following]) + packet[7:40] + data[:1400])


def fragmented(packet):
    """A fragment with any offset and length. The few identifiers make fragments overlap."""
    parsed = wire.parse(packet)
    at, size = random.randrange(0, 64), random.choice((0, 1, 7, 8, 9, 16, 64))
    fragment = random.choice((at, at, 0x1FFF, 0x1FF0)) | random.choice((0, wire.MORE_FRAGMENTS))
    data = parsed.data[at : at + size] or random.randbytes(size)
    return wire.ip(parsed.source, parsed.destination, parsed.protocol, data, random.randrange(8), fragment)


def cut(packet):
    """Cuts the packet off anywhere, with a correct or a wrong length."""
    short = packet[: random.randrange(1, max(len(packet), 2))]
    return random.choice((resize, resum, bytes))(short)


def packets(count):
    """Generates that many malformed packets."""
    whole = list(originals(V4)) + list(originals(V6))
    # Each kind, cut off at every octet.
    seen, done = set(), 0
    for by, packet in whole:
        head = 40 if packet[0] >> 4 == 6 else 20
        kind = (by, packet[0] >> 4, packet[9 if head == 20 else 6], packet[head])
        if kind in seen or done > count // 2:
            continue
        seen.add(kind)
        for size in range(1, len(packet)):
            yield by, packet[:size]
            yield by, resize(packet[:size])
            done += 2
    ways = (overwritten, mislabeled, mislabeled, extended, fragmented, cut)
    while done < count:
        by, packet = random.choice(whole)
        packet = random.choice(ways)(packet)
        if random.random() < 0.3:
            packet = random.choice((overwritten, mislabeled, cut))(packet)
        yield by, resum(packet) if random.random() < 0.8 else packet
        done += 1


def local(count):
    """Sends from a socket of the director, through LOCAL_OUT, where IP headers are always valid."""
    socks = []
    with wire.inside("director"):
        for hosts, protocols in ((V4, (1, 6, 17, 47, 4, 132)), (V6, (6, 17, 47, 41, 132))):
            for protocol in protocols:
                socks.append((hosts, protocol, socket.socket(family(hosts["client"]), socket.SOCK_RAW, protocol)))
    sent = 0
    for _ in range(count):
        hosts, protocol, sock = random.choice(socks)
        data = random.choice([data for kind, data in transports(hosts["director"], hosts["virtual"], (20080, 80))])
        data = data[: random.randrange(0, len(data) + 1)]
        if data and random.random() < 0.5:
            data = overwritten(data)
        try:
            sock.sendto(data, (hosts[random.choice(("virtual", "nat", "client"))], 0))
            sent += 1
        except OSError:
            # The host itself also refuses some packets.
            pass
    return sent


def main():
    """Sends them and prints their number."""
    seed, count = map(int, sys.argv[1:])
    random.seed(seed)
    taps = {"front": wire.Tap("router", "front"), "back": wire.Tap("A", "eth1")}
    doors = {"front": wire.Tap("director", "eth0").address, "back": wire.Tap("director", "eth1").address}
    for tap in taps.values():
        # Received packets are not read.
        tap.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sent = 0
    for by, packet in packets(count):
        taps[by].send(packet, doors[by])
        sent += 1
        if sent % 50000 == 0:
            print(f"# {sent} packets sent", file=sys.stderr)
    print(sent, local(count // 10))


if __name__ == "__main__":
    main()
