#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""SIP by handmade datagrams.

    serve NAME ADDRESS          answers each message with its name, at port 5060; an order of the form
                                "call ADDRESS PORT CALL-ID" in a datagram to port 5061 has it send a
                                request from port 5060
    calls ADDRESS PORT COUNT METHOD...   sends messages with these methods for so many calls, from one
                                port; prints for each call who answered, and from where
    listen ADDRESS PORT         waits at that address for a request, answers it to where it came from,
                                and prints its source and who confirmed the answer
"""

import socket
import sys

import orders

TIMEOUT = 5 * orders.SCALE


def message(start, call, name):
    """A message with few headers."""
    lines = [start, "Via: SIP/2.0/UDP x", *([f"Call-ID: {call}"] if call else []), f"Server: {name}", "", ""]
    return "\r\n".join(lines).encode()


def header(text, name):
    """The value of a header."""
    values = (line.split(": ", 1)[1] for line in text.decode().split("\r\n") if line.startswith(name + ": "))
    return next(values, "")


def open_socket(address, port):
    """A bound socket."""
    sock = socket.socket(orders.family(address), socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def serve(name, address):
    """A server."""
    import select

    sip, control = open_socket(address, 5060), open_socket(address, 5061)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([sip, control], [], [])
        if sip in ready:
            text, peer = sip.recvfrom(4096)
            answer = message("SIP/2.0 200 OK", header(text, "Call-ID"), name)
            # Programs know their answers by these.
            lines = [line for line in text.split(b"\r\n") if line.startswith((b"Via:", b"From:", b"To:", b"CSeq:"))]
            if lines[1:]:
                answer = answer.replace(b"Via: SIP/2.0/UDP x", b"\r\n".join(lines))
            sip.sendto(answer, peer)
        if control in ready:
            _, to, port, call = control.recv(4096).decode().split()
            sip.sendto(message("NOTIFY sip:client SIP/2.0", call, name), (to, int(port)))


def ask(sock, address, method, call):
    """The name and the source of the answer to a message."""
    sock.sendto(message(f"{method} sip:service SIP/2.0", call, "client"), (address, 5060))
    try:
        text, peer = sock.recvfrom(4096)
    except TimeoutError:
        return "timeout", ""
    return header(text, "Server"), f"{peer[0]}:{peer[1]}"


def calls(address, port, count, *methods):
    """Calls from one port."""
    family = orders.family(address)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("::" if family == socket.AF_INET6 else "", int(port)))
    sock.settimeout(TIMEOUT)
    # The messages of the calls alternate.
    answers = {}
    for method in methods:
        for number in range(int(count)):
            answers.setdefault(number, []).append(ask(sock, address, method, f"call{number}-{port}@client"))
    for answer in answers.values():
        print("".join(name for name, _ in answer), *sorted({source for _, source in answer}))


def nameless(address, count):
    """Messages without a Call-ID, each from another port: who answered."""
    names = []
    for number in range(int(count)):
        sock = socket.socket(orders.family(address), socket.SOCK_DGRAM)
        sock.settimeout(TIMEOUT)
        names.append(ask(sock, address, "OPTIONS", "")[0])
    print("".join(names))


def listen(address, port):
    """Waits for a request, and answers it."""
    sock = open_socket(address, int(port))
    sock.settimeout(TIMEOUT)
    print("ready", flush=True)
    try:
        text, peer = sock.recvfrom(4096)
    except TimeoutError:
        print("timeout", flush=True)
        return
    call = header(text, "Call-ID")
    sock.sendto(message("SIP/2.0 200 OK", call, "client"), peer)
    answer, back = sock.recvfrom(4096)
    print(header(text, "Server"), f"{peer[0]}:{peer[1]}", header(answer, "Server"), f"{back[0]}:{back[1]}", flush=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
