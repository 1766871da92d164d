#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Real servers: an HTTP and a UDP server in each of the network namespaces named, for IPv4 and
IPv6.

    servers.py READY NAMESPACE...       creates the file READY when all of them listen

Both answer with the name of the namespace, the client's address and their own address, as they see
them. The answer to an HTTP POST has the checksum of its body and a body of the same size. The answer
to a datagram ends with its payload. One process serves all namespaces and imports little, because
every test script starts it and an emulated processor is slow. Servers of the library would wake up
twice a second; these wait until there is work.
"""

import _thread
import functools
import os
import signal
import socket
import struct
import sys
import time
import zlib

PORTS = (80, 8000, 8080)


def pattern(size):
    """That many octets, in which a lost, doubled or swapped piece is visible."""
    words = pattern_words()
    return (words * (size // len(words) + 1))[:size]


@functools.cache
def pattern_words():
    """The octets that a pattern repeats."""
    return b"".join(struct.pack(">I", number * 2654435761 & 0xFFFFFFFF) for number in range(4099))


def checksum(body):
    """A checksum that differs between bodies."""
    return b"%08x" % zlib.crc32(body)


def endpoint(address, port, *_):
    """Address and port of either family in the usual notation."""
    address = address.removeprefix("::ffff:")
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def receive(sock):
    """Receives some octets. The end of the stream is an error."""
    data = sock.recv(1 << 16)
    if not data:
        raise ConnectionError
    return data


def serve_connection(name, sock, client):
    """Answers the requests of one HTTP connection until the client closes it."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        identity = f"{name} {endpoint(*client)} {endpoint(*sock.getsockname())}\n".encode()
        data = b""
        last = False
        while not last:
            while b"\r\n\r\n" not in data:
                data += receive(sock)
            head, data = data.split(b"\r\n\r\n", 1)
            request, *lines = head.lower().split(b"\r\n")
            fields = dict(line.split(b": ", 1) for line in lines)
            answer = identity
            if request.startswith(b"post "):
                size = int(fields[b"content-length"])
                pieces = [data]
                left = size - len(data)
                while left > 0:
                    pieces.append(receive(sock))
                    left -= len(pieces[-1])
                body = b"".join(pieces)
                body, data = body[:size], body[size:]
                answer += checksum(body) + b"\n" + pattern(size)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
            last = request.endswith(b" http/1.0") or fields.get(b"connection") == b"close"
    except (OSError, ValueError, KeyError):
        # The client may disappear, and invalid requests get no answer.
        pass
    finally:
        sock.close()


def serve_http(name, listener):
    """Accepts connections forever. Each has a thread of its own, because any of them may block."""
    while True:
        try:
            _thread.start_new_thread(serve_connection, (name, *listener.accept()))
        except OSError:
            # The client disappeared before it was accepted, or there are too many. Try again later.
            time.sleep(0.05)


def serve_udp(name, port, sock):
    """Answers datagrams forever, from the address to which each was sent."""
    while True:
        data, ancillary, _, peer = sock.recvmsg(65535, 64)
        info = next(item for _, kind, item in ancillary if kind == socket.IPV6_PKTINFO)
        local = socket.inet_ntop(socket.AF_INET6, info[:16])
        answer = f"{name} {endpoint(*peer)} {endpoint(local, port)}\n".encode() + data
        source = info[:16] + struct.pack("=I", 0)
        try:
            sock.sendmsg([answer], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source)], 0, peer)
        except OSError:
            # The namespace is being deleted, or a firewall rule drops it. The client notices.
            pass


def serve(namespace):
    """Starts the servers of one namespace. Sockets stay in the namespace of their creation."""
    with open(f"/run/netns/{namespace}", encoding="ascii") as handle:
        os.setns(handle.fileno(), os.CLONE_NEWNET)
    for port in PORTS:
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(1024)
        _thread.start_new_thread(serve_http, (namespace, listener))
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.bind(("", port))
        _thread.start_new_thread(serve_udp, (namespace, port, sock))


def main(ready, *namespaces):
    """Serves until it is killed."""
    for namespace in namespaces:
        serve(namespace)
    with open(ready, "x", encoding="ascii"):
        pass
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
