#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A client that takes orders about fragments and super-packets of UDP.

It has sockets in the client and in A. It sees the packets of both and puts handmade fragments on
the wire. The outcome of a datagram is one word, as in client.py. ORDER is one of those in `arranged`.
"""

import collections
import itertools
import os
import random
import socket
import sys

import wire
from orders import SCALE, Orders, Wrong, family, outcome

UDP_SEGMENT = 103


def arranged(pieces, order):
    """The fragments in another order, with others between them."""
    first, *middle, last = pieces
    return {
        "forward": pieces,
        "backward": pieces[::-1],
        "last-first": [last, first, *middle],
        "shuffled": random.Random(1).sample(pieces, len(pieces)),
        "doubled": [piece for piece in pieces for _ in range(2)],
        "lossy": [first, *middle],
        "headless": [*middle, last],
    }[order]


class Fragments(Orders):
    """The orders and their common state."""

    def __init__(self, *addresses):
        self.addresses = {family(address): address for address in addresses}
        self.ports = itertools.cycle(range(30000, 60000))
        self.numbers = itertools.count(7)
        self.taps = {"client": wire.Tap("client", "eth0")}
        self.router = wire.Tap("router", "client").address
        self.held = {}
        self.patience = 3

    def do_patience(self, seconds):
        """patience SECONDS: the timeout for all later operations."""
        self.patience = float(seconds)
        return seconds

    def flow(self, address, port):
        """A connected socket of the client."""
        with wire.inside("client"):
            sock = socket.socket(family(address), socket.SOCK_DGRAM)
        sock.bind((self.addresses[family(address)], next(self.ports)))
        sock.settimeout(self.patience * SCALE)
        sock.connect((address, int(port)))
        return sock

    def cut(self, source, destination, ports, payload, size, flags=0):
        """The fragments of a datagram."""
        datagram = wire.udp(source, destination, ports, payload)
        return wire.fragments(source, destination, 17, datagram, next(self.numbers), int(size), flags)

    def do_send(self, address, port, octets, size, *orders):
        """send ADDRESS PORT OCTETS SIZE ORDER…: datagrams in fragments of that size; their
        servers.

        The order "df" is "forward", with fragments that have DF.
        """
        words = []
        for order in orders:
            sock = self.flow(address, port)
            (mine, my_port), payload = sock.getsockname()[:2], os.urandom(int(octets))
            flags, order = (wire.DONT_FRAGMENT, "forward") if order == "df" else (0, order)
            for piece in arranged(self.cut(mine, address, (my_port, int(port)), payload, size, flags), order):
                self.taps["client"].send(piece, self.router)
            words.append(outcome(self.echoed, sock, payload))
        return " ".join(words)

    def sizes(self, tap, source, number):
        """The octets of each fragment of the datagram that comes to a tap."""
        words, octets = [], 0
        for packet in tap.packets(self.patience):
            if packet.source != source or packet.protocol != 17:
                continue
            words.append(str(len(packet.data)))
            octets += len(packet.data)
            if octets >= number:
                break
        return "+".join(words)

    def do_sizes(self, address, port, device, octets, size, *flags):
        """sizes ADDRESS PORT DEVICE OCTETS SIZE [df]: two datagrams of a flow, in fragments of that
        size; the fragments in which each arrives at A's device."""
        sock, tap = self.flow(address, port), wire.Tap("A", device)
        mine, my_port = sock.getsockname()[:2]
        words = []
        for _ in range(2):
            payload = os.urandom(int(octets))
            flag = wire.DONT_FRAGMENT if flags else 0
            for piece in self.cut(mine, address, (my_port, int(port)), payload, size, flag):
                self.taps["client"].send(piece, self.router)
            words.append(self.sizes(tap, mine, 8 + int(octets)))
        tap.sock.close()
        return " ".join(words)

    def do_answer_sizes(self, address, port, server, octets, size, *flags):
        """answer_sizes ADDRESS PORT SERVER OCTETS SIZE [df]: an answer by NAT, which A sends in
        fragments of that size; the fragments in which it arrives at the client."""
        sock = self.flow(address, port)
        sock.send(b"")
        sock.recv(1 << 16)
        tap, gateway = wire.Tap("A", "eth1"), wire.Tap("director", "eth1")
        mine, my_port = sock.getsockname()[:2]
        self.taps["client"].drain()
        payload = os.urandom(int(octets))
        flag = wire.DONT_FRAGMENT if flags else 0
        for piece in self.cut(server, mine, (int(port), my_port), payload, size, flag):
            tap.send(piece, gateway.address)
        words = self.sizes(self.taps["client"], address, 8 + int(octets))
        tap.sock.close()
        gateway.sock.close()
        return words

    def do_identified(self, address, port, size, count, bursts):
        """identified ADDRESS PORT SIZE COUNT BURSTS: super-packets of COUNT datagrams, through a
        tunnel over IPv4; the outer packets that arrive at A, and their identifications."""
        tap = wire.Tap("A", "eth0")
        for _ in range(int(bursts)):
            self.do_segments(address, port, size, count)
        numbers = []
        for packet in tap.packets(0.3):
            if packet.protocol == 4 and not packet.fragment & wire.DONT_FRAGMENT:
                numbers.append(packet.number)
            if len(numbers) == int(count) * int(bursts):
                break
        tap.sock.close()
        return f"{len(numbers)} {len(set(numbers))}"

    @staticmethod
    def echoed(sock, payload):
        """The server that returns the payload."""
        line, rest = sock.recv(1 << 16).split(b"\n", 1)
        if rest != payload:
            raise Wrong("mangled")
        return line.decode().split()[0]

    def do_overlap(self, address, port, octets, size):
        """overlap ADDRESS PORT OCTETS SIZE: a datagram with two overlapping fragments that
        differ."""
        sock = self.flow(address, port)
        (mine, my_port), payload = sock.getsockname()[:2], os.urandom(int(octets))
        number = next(self.numbers)
        datagram = wire.udp(mine, address, (my_port, int(port)), payload)
        pieces = wire.fragments(mine, address, 17, datagram, number, int(size))
        second = wire.ip(mine, address, 17, b"o" * int(size), number, (int(size) - 8) // 8 | wire.MORE_FRAGMENTS)
        for piece in [pieces[0], second, *pieces[1:]]:
            self.taps["client"].send(piece, self.router)
        return outcome(self.echoed, sock, payload)

    def do_answer(self, address, port, server, device, octets, size, *orders):
        """answer ADDRESS PORT SERVER DEVICE OCTETS SIZE ORDER…: A sends fragments from SERVER's
        address.

        They go to the director through A's device eth1, otherwise to the router. Prints what the client
        receives of each datagram.
        """
        sock = self.flow(address, port)
        sock.send(b"")
        sock.recv(1 << 16)
        if device not in self.taps:
            self.taps[device] = wire.Tap("A", device)
        gateway = wire.Tap(*(("director", "eth1") if device == "eth1" else ("router", "front")))
        mine, my_port = sock.getsockname()[:2]
        words = []
        for order in orders:
            payload = os.urandom(int(octets))
            for piece in arranged(self.cut(server, mine, (int(port), my_port), payload, size), order):
                self.taps[device].send(piece, gateway.address)
            words.append(outcome(lambda: "good" if sock.recv(1 << 16) == payload else "mangled"))
        gateway.sock.close()
        return " ".join(words)

    def do_segments(self, address, port, size, count):
        """segments ADDRESS PORT SIZE COUNT: that many datagrams as one super-packet; answers by
        server."""
        sock = self.flow(address, port)
        pieces = [os.urandom(int(size)) for _ in range(int(count))]
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, int(size))
        sock.send(b"".join(pieces))
        counts = collections.Counter(outcome(self.echoed, sock, piece) for piece in pieces)
        return " ".join(f"{word}={count}" for word, count in sorted(counts.items()))


if __name__ == "__main__":
    Fragments(*sys.argv[1:]).take_orders()
