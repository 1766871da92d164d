#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A program behind NFQUEUE that takes orders: it accepts packets, or holds them until the order to
release them.

Here belongs the protocol of nfnetlink_queue (include/uapi/linux/netfilter/nfnetlink_queue.h). Never
here: what a director does with the packets.
"""

import socket
import struct
import sys
import threading

import wire
from orders import Orders

NETLINK_NETFILTER = 12
SUBSYSTEM = 3 << 8
PACKET, VERDICT, CONFIG = 0, 1, 2
CONFIG_COMMAND, CONFIG_PARAMETERS, CONFIG_LENGTH = 1, 2, 3
BIND, COPY_META, ACCEPT = 1, 1, 1
REQUEST = 1


def attribute(kind, payload):
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


class Queue(Orders):
    """The orders, and the thread that answers the kernel."""

    def __init__(self, namespace, number):
        with wire.inside(namespace):
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.sock.bind((0, 0))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.number = int(number)
        self.held = []
        self.holding = False
        self.count = 0
        self.lock = threading.Lock()
        self.send(CONFIG, attribute(CONFIG_COMMAND, struct.pack("!BBH", BIND, 0, 0)))
        self.send(CONFIG, attribute(CONFIG_PARAMETERS, struct.pack("!IB", 0, COPY_META)))
        self.send(CONFIG, attribute(CONFIG_LENGTH, struct.pack("!I", 10000)))
        threading.Thread(target=self.work, daemon=True).start()

    def send(self, kind, attributes):
        """Sends one message of the queue's."""
        body = struct.pack("!BBH", 0, 0, self.number) + attributes
        self.sock.send(struct.pack("=IHHII", 16 + len(body), SUBSYSTEM | kind, REQUEST, 0, 0) + body)

    def accept(self, identity):
        """Lets a packet go on."""
        self.send(VERDICT, attribute(2, struct.pack("!II", ACCEPT, identity)))

    def work(self):
        """What the thread does: each packet is accepted or noted."""
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except OSError:
                continue  # Messages were lost; the packets in them wait for the end of the socket.
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind == SUBSYSTEM | PACKET:
                    self.packet(data[20:length])
                data = data[(length + 3) & ~3:]

    def packet(self, attributes):
        """One packet's message."""
        while len(attributes) >= 4:
            length, kind = struct.unpack_from("=HH", attributes)
            if kind & 0x7FFF == 1:
                identity, = struct.unpack_from("!I", attributes, 4)
                with self.lock:
                    self.count += 1
                    if self.holding:
                        self.held.append(identity)
                        return
                self.accept(identity)
                return
            attributes = attributes[(length + 3) & ~3:]

    def do_hold(self):
        """hold: keeps packets from now on."""
        with self.lock:
            self.holding = True
        return "holding"

    def do_held(self):
        """held: the number of packets that wait."""
        with self.lock:
            return str(len(self.held))

    def do_count(self):
        """count: the number of packets so far."""
        return str(self.count)

    def do_release(self):
        """release: accepts the packets that wait, and the later ones at once; how many waited."""
        with self.lock:
            self.holding = False
            held, self.held = self.held, []
        for identity in held:
            self.accept(identity)
        return str(len(held))


if __name__ == "__main__":
    Queue(*sys.argv[1:]).take_orders()
