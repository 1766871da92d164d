#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A client that takes orders about ICMP: it provokes errors, builds errors, and reports them.

It has sockets in all hosts. This file handles flows and their errors; wire.py has the formats. An
error is reported as "TYPE/CODE/REST QUOTED-SOURCE>QUOTED-DESTINATION", and with "checksum" if the
quoted datagram is complete and its checksum is wrong.
"""

import errno
import itertools
import os
import select
import socket
import struct
import sys
import time

import wire
from orders import SCALE, Orders, family, outcome
from servers import endpoint

MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
MTU = {socket.AF_INET: (socket.IPPROTO_IP, 14), socket.AF_INET6: (socket.IPPROTO_IPV6, 24)}
HOPS = {socket.AF_INET: (socket.IPPROTO_IP, 2), socket.AF_INET6: (socket.IPPROTO_IPV6, 16)}
DO = 2


def told(packet, quote=False):
    """An ICMP error as text."""
    kind, code, rest = struct.unpack_from("!BBxxI", packet.data)
    inner = wire.parse(packet.data[8:])
    source, destination = wire.ports(inner.data)
    words = f"{kind}/{code}/{rest} {endpoint(inner.source, source)}>{endpoint(inner.destination, destination)}"
    if quote and len(inner.data) == struct.unpack_from("!H", inner.data, 4)[0] and not wire.whole(inner):
        words += " checksum"
    return words


class Errors(Orders):
    """The orders and their common state."""

    def __init__(self, *addresses):
        self.addresses = {family(address): address for address in addresses}
        self.ports = itertools.cycle(range(20000, 60000))
        self.client = wire.Tap("client", "eth0")
        self.held = {}

    def flow(self, address, port, kind=socket.SOCK_DGRAM):
        """A connected socket of the client."""
        with wire.inside("client"):
            sock = socket.socket(family(address), kind)
        sock.bind((self.addresses[family(address)], next(self.ports)))
        sock.settimeout(5 * SCALE)
        sock.connect((address, int(port)))
        return sock

    def error(self, tap, wanted, seconds=3):
        """The first ICMP error on a tap whose outer packet matches."""

        def is_error(packet):
            # Errors have types below 128 in ICMPv6; echo messages of ICMP are excluded.
            return packet.protocol in wire.ICMP.values() and len(packet.data) >= 36 and \
                packet.data[0] not in (0, 8) and packet.data[0] < 128 and wanted(packet)

        return tap.find(is_error, seconds)

    def do_closed(self, address, port, size):
        """closed ADDRESS PORT SIZE: sends a datagram to a closed port; the errors of socket and
        wire."""
        sock = self.flow(address, port)
        self.client.drain()
        sock.send(b"x" * int(size))

        def refused():
            sock.recv(1)
            return "answered"

        word = outcome(refused)
        packet = self.error(self.client, lambda packet: True)
        if packet is None:
            return f"{word}, no error"
        mine = endpoint(*sock.getsockname()[:2])
        return f"{word} from {packet.source} {told(packet, True).replace(mine, 'me')}"

    def do_watch(self):
        """watch: forgets the packets that the client has received."""
        self.client.drain()
        return "watching"

    def do_seen(self):
        """seen: the first ICMP error that the client has received since `watch`."""
        packet = self.error(self.client, lambda packet: True)
        return f"from {packet.source} {told(packet)}" if packet else "nothing"

    def do_open(self, tag, protocol, address, port):
        """open TAG PROTOCOL ADDRESS PORT: opens a lasting flow; UDP is answered once."""
        sock = self.flow(address, port, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
        self.held[tag] = (sock, protocol)
        if protocol == "tcp":
            return "open"
        sock.send(b"who")
        return sock.recv(2000).decode().split()[0]

    def transport(self, protocol, source, destination, ports, payload):
        """A packet of a flow."""
        if protocol == "udp":
            return wire.ip(source, destination, 17, wire.udp(source, destination, ports, payload))
        return wire.ip(source, destination, 6, wire.tcp(source, destination, ports, 0x10, payload))

    def send_error(self, namespace, source, destination, kind, code, rest, quoted):
        """Sends an ICMP error from a host's own address."""
        with wire.inside(namespace):
            sock = socket.socket(family(source), socket.SOCK_RAW, wire.ICMP[family(source)])
        with sock:
            sock.bind((source, 0))
            message = wire.icmp(source, destination, kind, code, rest, quoted)
            sock.sendto(message, (destination, 0))

    def do_from_server(self, tag, server, port, kind, code, rest, octets):
        """from_server TAG ADDRESS PORT TYPE CODE REST OCTETS: A sends an error; the client reports
        it.

        The error quotes OCTETS of the flow's packet after its IP header.
        """
        sock, protocol = self.held[tag]
        mine, my_port = sock.getsockname()[:2]
        quoted = self.transport(protocol, mine, server, (my_port, int(port)), b"y" * 40)
        head = 20 if family(server) == socket.AF_INET else 40
        self.client.drain()
        self.send_error("A", server, mine, int(kind), int(code), int(rest), quoted[: head + int(octets)])
        packet = self.error(self.client, lambda packet: packet.destination == mine, 1.5)
        if packet is None:
            return "nothing"
        return f"from {packet.source} {told(packet, protocol == 'udp').replace(endpoint(mine, my_port), 'me')}"

    def do_pending(self, tag):
        """pending TAG: the pending error of the flow's socket."""
        sock, _ = self.held[tag]
        end = time.monotonic() + SCALE
        number = 0
        while not number and time.monotonic() < end:
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            time.sleep(0.01)
        return errno.errorcode.get(number, "none")

    def do_from_client(self, tag, server, device, kind, code, rest, octets):
        """from_client TAG ADDRESS DEVICE TYPE CODE REST OCTETS: the client sends an error; A
        reports it.

        The flow reached A at ADDRESS. The error arrives at A on DEVICE.
        """
        sock, protocol = self.held[tag]
        mine, my_port = sock.getsockname()[:2]
        virtual, virtual_port = sock.getpeername()[:2]
        quoted = self.transport(protocol, virtual, mine, (virtual_port, my_port), b"y" * 40)
        head = 20 if family(virtual) == socket.AF_INET else 40
        tap = wire.Tap("A", device)
        self.send_error("client", mine, virtual, int(kind), int(code), int(rest), quoted[: head + int(octets)])
        packet = self.error(tap, lambda packet: packet.destination == server and packet.source == mine, 1.5)
        tap.sock.close()
        if packet is None:
            return "nothing"
        return told(packet, protocol == "udp").replace(endpoint(mine, my_port), "client")

    def do_forged(self, tag, director, server, mtu, *lies):
        """forged TAG DIRECTOR SERVER MTU [LIE…]: the router reports to the director that a packet in
        a tunnel was too large.

        It quotes a packet of the flow in the tunnel from DIRECTOR to SERVER, except for the lies:
        another client's `port`, `protocol`, `end` or `source` of the tunnel, `checksum`, a `short`
        quote.
        """
        sock, _ = self.held[tag]
        (mine, my_port), (virtual, port) = sock.getsockname()[:2], sock.getpeername()[:2]
        if "port" in lies:
            my_port ^= 1
        inner = self.transport("udp", mine, virtual, (my_port, port), b"y" * 40)
        is_v4 = family(server) == socket.AF_INET
        protocol = 47 if "protocol" in lies else 4 if is_v4 else 41
        if "protocol" in lies:
            inner = struct.pack("!HH", 0, wire.ETH[family(server)]) + inner
        neighbor = server[:-1] + "2"
        source = neighbor if "source" in lies else director
        quoted = wire.ip(source, neighbor if "end" in lies else server, protocol, inner)
        if "short" in lies:
            quoted = quoted[: (20 if is_v4 else 40) + 8]
        reporter = "10.1.0.254" if is_v4 else "fd00:0:0:1::254"
        kind, code = (3, 4) if is_v4 else (2, 0)
        message = wire.icmp(reporter, director, kind, code, int(mtu), quoted)
        if "checksum" in lies:
            message = message[:-1] + bytes([message[-1] ^ 1])
        tap, gateway = wire.Tap("router", "front"), wire.Tap("director", "eth0")
        tap.send(wire.ip(reporter, director, wire.ICMP[family(server)], message), gateway.address)
        # By now the director has seen it.
        protocol = wire.ICMP[family(server)]
        gateway.find(lambda packet: packet.protocol == protocol and packet.source == reporter)
        tap.sock.close()
        gateway.sock.close()
        return "sent"

    def do_learns(self, address, port, size, mtu):
        """learns ADDRESS PORT SIZE MTU: sends datagrams with DF until the client knows the path
        MTU.

        Then the largest datagram that fits is sent. Prints the MTU and the server that answered.
        """
        sock = self.flow(address, port)
        sock.setsockopt(*MTU_DISCOVER[family(address)], DO)
        end = time.monotonic() + 3 * SCALE
        known = 0
        while time.monotonic() < end:
            try:
                sock.send(b"z" * int(size))
            except OSError as error:
                if error.errno not in (errno.EMSGSIZE, errno.EHOSTUNREACH):
                    return errno.errorcode[error.errno]
            known = sock.getsockopt(*MTU[family(address)])
            if known == int(mtu):
                break
            select.select([sock], [], [], 0.05)
        known = sock.getsockopt(*MTU[family(address)])
        payload = b"z" * (known - (28 if family(address) == socket.AF_INET else 48))
        for _ in range(10):
            try:
                sock.send(payload)
                while not (answer := sock.recv(2000)).endswith(b"\n" + payload):
                    pass
                return f"{known} {answer.decode().split()[0]}"
            except OSError as error:
                # The socket reports the error of an earlier datagram only once.
                if error.errno != errno.EMSGSIZE:
                    return f"{known} {os.strerror(error.errno or errno.ETIMEDOUT)}"
        return f"{known} too large"

    def do_trace(self, address, port, count):
        """trace ADDRESS PORT COUNT: the answers to datagrams with TTL 1, 2, …: exceeded, or a
        server."""
        sock = self.flow(address, port)
        mine = endpoint(*sock.getsockname()[:2])
        words = []
        for hops in range(1, int(count) + 1):
            sock.setsockopt(*HOPS[family(address)], hops)
            self.client.drain()
            sock.send(b"who")
            packet = self.client.find(lambda packet: packet.protocol == 17 or self.exceeded(packet))
            if packet is None:
                words.append("nothing")
            elif packet.protocol == 17:
                words.append(packet.data[8:].decode().split()[0])
            else:
                good = told(packet, True).split(" ", 1)[1] == f"{mine}>{endpoint(address, port)}"
                words.append("exceeded" if good else told(packet, True))
        return " ".join(words)

    @staticmethod
    def exceeded(packet):
        """Whether the packet is an ICMP error about the TTL."""
        return (packet.protocol, packet.data[0]) in ((1, 11), (58, 3))


if __name__ == "__main__":
    Errors(*sys.argv[1:]).take_orders()
