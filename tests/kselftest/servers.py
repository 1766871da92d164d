#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Real servers: an HTTP and a UDP server in each of the network namespaces named, for IPv4 and IPv6.

Both answer with their namespace's name, the client's address and their own address, as they see them.
An HTTP POST is answered with the digest of what came and as many octets of our own; a datagram's payload
comes back after the answer. One process serves all namespaces, for it is started in every test script.
"""

import argparse
import hashlib
import http.server
import os
import pathlib
import signal
import socket
import socketserver
import struct
import threading

PORTS = (80, 8000, 8080)


class Handler(http.server.BaseHTTPRequestHandler):
    """One client's HTTP connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def identity(self):
        """Who we are, who the client is, and where it reached us."""
        client, local = self.client_address, self.connection.getsockname()
        return f"{self.server.name} {endpoint(*client)} {endpoint(*local)}\n".encode()

    def answer(self, body):
        """Sends a whole answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """Says who we are."""
        self.answer(self.identity())

    def do_POST(self):
        """Says who we are and what came, followed by as many octets of our own."""
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        digest = hashlib.sha256(body).hexdigest().encode()
        self.answer(self.identity() + digest + b"\n" + pattern(size))

    def log_message(self, *_):
        """Says nothing."""


class Server(socketserver.ThreadingTCPServer):
    """The HTTP server of one namespace and port."""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, name, port):
        self.name = name
        super().__init__(("", port), Handler)

    def handle_error(self, *_):
        """A client that goes away is no error."""


def pattern(size):
    """That many octets in which a lost, doubled or swapped piece shows."""
    words = b"".join(struct.pack(">I", number * 2654435761 & 0xFFFFFFFF) for number in range(4099))
    return (words * (size // len(words) + 1))[:size]


def endpoint(address, port, *_):
    """Address and port of either family in the usual notation."""
    address = address.removeprefix("::ffff:")
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def serve_udp(name, port, sock):
    """Answers datagrams, from the address to which each was sent."""
    while True:
        data, ancillary, _, peer = sock.recvmsg(65535, 64)
        info = next(item for _, kind, item in ancillary if kind == socket.IPV6_PKTINFO)
        local = socket.inet_ntop(socket.AF_INET6, info[:16])
        answer = f"{name} {endpoint(*peer)} {endpoint(local, port)}\n".encode() + data
        source = info[:16] + struct.pack("=I", 0)
        try:
            sock.sendmsg([answer], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source)], 0, peer)
        except OSError:
            # The namespace may be going away, or a firewall forbids it: the client notices.
            pass


def serve(namespace):
    """Starts the servers of one namespace: sockets stay in the namespace where they were made."""
    with open(f"/run/netns/{namespace}", encoding="ascii") as handle:
        os.setns(handle.fileno(), os.CLONE_NEWNET)
    for port in PORTS:
        server = Server(namespace, port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.bind(("", port))
        threading.Thread(target=serve_udp, args=(namespace, port, sock), daemon=True).start()


def main():
    """Serves until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready", type=pathlib.Path, help="file to make when all servers listen")
    parser.add_argument("namespaces", nargs="+")
    options = parser.parse_args()
    for namespace in options.namespaces:
        serve(namespace)
    if options.ready:
        options.ready.touch()
    signal.pause()


if __name__ == "__main__":
    main()
