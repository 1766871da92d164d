#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Servers and clients of SCTP, by the kernel's sockets.

    serve NAME ADDRESS PORT          answers each message with the name and the message
    talk ADDRESS PORT COUNT [abort]  sends messages, prints who answered; closes or aborts
    hold ADDRESS PORT                opens an association, then obeys lines of standard input:
                                     say, close, abort
    refused ADDRESS PORT             prints the error of an attempt to connect

An address is that of one interface, so associations have one path.
"""

import os
import socket
import struct
import sys
import threading

SCTP = 132
SCALE = int(os.environ.get("TIME_SCALE", "1"))


def open_socket(address):
    """A socket of the address's family, one association each."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, SCTP)
    sock.settimeout(8 * SCALE)
    return sock


def answer(peer, name):
    """Answers messages until the association ends."""
    peer.settimeout(None)
    try:
        while message := peer.recv(70000):
            peer.sendall(name.encode() + b" " + message)
    except OSError:
        pass
    peer.close()


def serve(name, address, port):
    """A server. It prints a line when it listens."""
    server = open_socket(address)
    server.settimeout(None)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(port)))
    server.listen(64)
    print("ready", flush=True)
    while True:
        peer, _ = server.accept()
        threading.Thread(target=answer, args=(peer, name), daemon=True).start()


def ask(sock, text):
    """One message and the name of the server that returned it unchanged."""
    sock.sendall(text)
    got = b""
    while len(got) < len(text) + 2:
        part = sock.recv(70000)
        if not part:
            return "closed"
        got += part
    name, rest = got[:1], got[2:]
    return name.decode() if rest == text else "changed"


def abort(sock):
    """Ends the association with ABORT."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def connect(address, port):
    """An association."""
    sock = open_socket(address)
    sock.connect((address, int(port)))
    return sock


def talk(address, port, count, how="close"):
    """Messages of several sizes."""
    try:
        sock = connect(address, port)
        names = {ask(sock, bytes([n % 251]) * (1 + n * 37 % 4000)) for n in range(int(count))}
    except OSError as error:
        print(type(error).__name__)
        return
    print(*sorted(names))
    abort(sock) if how == "abort" else sock.close()


def hold(address, port):
    """An association that takes orders."""
    sock = connect(address, port)
    print(ask(sock, b"hello"), flush=True)
    for line in sys.stdin:
        match line.strip():
            case "say":
                print(ask(sock, b"again"), flush=True)
            case "close":
                sock.close()
                print("closed", flush=True)
            case "abort":
                abort(sock)
                print("aborted", flush=True)


def refused(address, port):
    """The error of an attempt."""
    try:
        connect(address, port).close()
        print("connected")
    except OSError as error:
        print(type(error).__name__)


if __name__ == "__main__":
    {"serve": serve, "talk": talk, "hold": hold, "refused": refused}[sys.argv[1]](*sys.argv[2:])
