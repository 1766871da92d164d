#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Very many TCP connections that stay open, with both of their ends.

steady.py server NAMESPACE…
    Returns what arrives on each connection, in each of the network namespaces. Answers HTTP
    requests of checkers.
steady.py client ADDRESS…
    Takes orders, one a line on standard input (the methods `do_…`). It uses the addresses in turn.
"""

import errno
import os
import resource
import select
import socket
import sys
import threading
import time

from orders import SCALE, Orders

PORTS = (80, 8080)
IP_BIND_ADDRESS_NO_PORT = 24
# Connections that wait for something at a time.
WINDOW = 256
# Seconds without any progress after which the rest is given up.
PATIENCE = int(os.environ.get("STEADY_PATIENCE", "45")) * SCALE


def many_files():
    """Allows as many open files as the kernel does."""
    with open("/proc/sys/fs/nr_open", encoding="ascii") as handle:
        most = int(handle.read())
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def server(*namespaces):
    """Serves until it is killed."""
    many_files()
    epoll = select.epoll()
    listeners = {}
    for namespace in namespaces:
        with open(f"/run/netns/{namespace}", encoding="ascii") as handle:
            os.setns(handle.fileno(), os.CLONE_NEWNET)
        for port in PORTS:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("", port))
            listener.listen(8192)
            listener.setblocking(False)
            listeners[listener.fileno()] = listener
            epoll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in epoll.poll():
            listener = listeners.get(number)
            if listener:
                accept(listener, epoll)
                continue
            try:
                data = os.read(number, 1000)
                # A check of the server.
                if data.startswith(b"GET "):
                    os.write(number, b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
                elif data:
                    os.write(number, data)
                    continue
            except OSError:
                pass
            os.close(number)


def accept(listener, epoll):
    """Accepts all connections that wait."""
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            continue
        epoll.register(sock, select.EPOLLIN)
        sock.detach()


class Connection:
    """A connection and what is known about it."""

    __slots__ = ("sock", "began", "opened", "state", "refusal")

    def __init__(self, source, target):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        self.sock.bind((source, 0))
        self.began = time.monotonic()
        self.opened = None
        # opening, open, asked, answered, reset
        self.state = "opening"
        # Why it never opened, and when that was known.
        self.refusal = None
        result = self.sock.connect_ex(target)
        if result not in (0, errno.EINPROGRESS):
            self.refuse(result)

    def refuse(self, error):
        """It does not open."""
        self.state = "reset"
        self.refusal = (errno.errorcode.get(error, error), time.monotonic())

    def ask(self):
        """Sends an octet, which must come back."""
        self.state = "asked"
        try:
            self.sock.send(b"x")
        except OSError:
            self.state = "reset"

    def event(self):
        """Looks at what arrived."""
        if self.state == "opening":
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            # A reset ends what was open, if only for a moment; otherwise it is a refusal.
            if error and error != errno.ECONNRESET:
                self.refuse(error)
            else:
                self.opened = time.monotonic()
                self.state = "reset" if error else "open"
            return
        try:
            data = self.sock.recv(100)
            self.state = "answered" if data else "reset"
        except BlockingIOError:
            pass
        except OSError:
            self.state = "reset"


class Load(threading.Thread):
    """Begins connections at a rate until stopped. Each asks once when it is open."""

    def __init__(self, sources, target, rate):
        super().__init__(daemon=True)
        self.order = (sources, target, rate)
        self.connections = []
        # Between these, the address moves.
        self.moments = []
        self.stop = threading.Event()

    def run(self):
        sources, target, rate = self.order
        epoll = select.epoll()
        waiting = {}
        start = time.monotonic()
        end = None
        while waiting or end is None:
            now = time.monotonic()
            if end is None and self.stop.is_set():
                end = now + PATIENCE
            if end is not None and now > end:
                break
            while end is None and len(self.connections) < (now - start) * rate:
                connection = Connection(sources[len(self.connections) % len(sources)], target)
                self.connections.append(connection)
                if connection.state == "opening":
                    waiting[connection.sock.fileno()] = connection
                    epoll.register(connection.sock, select.EPOLLOUT)
            for number, _ in epoll.poll(0.005):
                connection = waiting[number]
                connection.event()
                if connection.state == "open":
                    epoll.modify(number, select.EPOLLIN)
                    connection.ask()
                if connection.state in ("answered", "reset"):
                    epoll.unregister(number)
                    del waiting[number]


def total(connections, *states):
    """The number of connections in one of these states."""
    return sum(connection.state in states for connection in connections)


class Client(Orders):
    """The orders and their common state."""

    def __init__(self, *sources):
        many_files()
        self.sources = sources
        self.held = {}
        self.loads = {}

    def do_open(self, tag, address, port, count):
        """open TAG ADDRESS PORT COUNT: opens connections; how many are open, and in how many
        seconds."""
        began = time.monotonic()
        epoll = select.epoll()
        held = self.held.setdefault(tag, [])
        waiting = {}
        left = int(count)
        last = began
        while (left or waiting) and time.monotonic() - last < PATIENCE:
            while left and len(waiting) < WINDOW:
                connection = Connection(self.sources[left % len(self.sources)], (address, int(port)))
                held.append(connection)
                left -= 1
                if connection.state == "opening":
                    waiting[connection.sock.fileno()] = connection
                    epoll.register(connection.sock, select.EPOLLOUT)
            for number, _ in epoll.poll(1):
                waiting.pop(number).event()
                epoll.unregister(number)
                last = time.monotonic()
        return f"{total(held, 'open')} in {time.monotonic() - began:.1f} s"

    def ask_all(self, connections):
        """Asks on all connections."""
        epoll = select.epoll()
        waiting = {}
        left = iter(connections)
        last = time.monotonic()
        more = True
        while (more or waiting) and time.monotonic() - last < PATIENCE:
            while more and len(waiting) < WINDOW:
                connection = next(left, None)
                if connection is None:
                    more = False
                    break
                if connection.state == "reset":
                    continue
                connection.ask()
                if connection.state == "asked":
                    waiting[connection.sock.fileno()] = connection
                    epoll.register(connection.sock, select.EPOLLIN)
            for number, _ in epoll.poll(1):
                connection = waiting[number]
                connection.event()
                if connection.state != "asked":
                    del waiting[number]
                    epoll.unregister(number)
                    last = time.monotonic()

    def do_again(self, tag):
        """again TAG: asks on each of the connections; "N answered, N reset, N silent"."""
        held = self.held[tag]
        self.ask_all(held)
        return (f"{total(held, 'answered')} answered, {total(held, 'reset')} reset, "
                f"{total(held, 'asked', 'open', 'opening')} silent")

    def do_close(self, tag):
        """close TAG: closes the connections; their number."""
        held = self.held.pop(tag)
        for connection in held:
            connection.sock.close()
        return str(len(held))

    def do_load(self, tag, address, port, rate):
        """load TAG ADDRESS PORT RATE: begins connections, RATE in a second, until `end TAG`."""
        self.loads[tag] = Load(self.sources, (address, int(port)), float(rate))
        self.loads[tag].start()
        return "started"

    def do_progress(self, tag):
        """progress TAG: the number of connections of the load that are open."""
        return str(sum(connection.opened is not None for connection in list(self.loads[tag].connections)))

    def do_halt(self, tag):
        """halt TAG: the load begins no more connections."""
        self.loads[tag].stop.set()
        return "halted"

    def do_moment(self, tag):
        """moment TAG: the address moves after the first such order, and before the second."""
        self.loads[tag].moments.append(time.monotonic())
        return "noted"

    def do_end(self, tag):
        """end TAG: ends a load, then asks on all of its connections once more.

        The answer: how many connections were begun, how many were opened in a second, the longest
        time in milliseconds in which none opened while the address moved (the gap), how many never
        opened, how many were refused, how many were open but are lost, and, of these, the most
        milliseconds by which one opened before the gap, and how many opened after it. For the
        first refusals: the error, and the milliseconds since the gap began.
        """
        load = self.loads.pop(tag)
        load.stop.set()
        load.join()
        opened = sorted(connection.opened for connection in load.connections if connection.opened)
        if len(opened) < 2:
            return f"begun={len(load.connections)} never={len(load.connections) - len(opened)}"
        first, last = load.moments
        gap, begin = max((after - before, before) for before, after in zip(opened, opened[1:])
                         if first < after < last)
        rate = len([moment for moment in opened if moment <= begin]) / (begin - opened[0] or 1)
        self.ask_all([connection for connection in load.connections if connection.opened])
        lost = [connection for connection in load.connections
                if connection.opened and connection.state != "answered"]
        before = [begin - connection.opened for connection in lost if connection.opened <= begin]
        refusals = [connection.refusal for connection in load.connections if connection.refusal]
        never = len(load.connections) - len(opened) - len(refusals)
        how = "".join(f" {error}@{(when - begin) * 1000:.0f}" for error, when in refusals[:5])
        for connection in load.connections:
            connection.sock.close()
        return (f"begun={len(load.connections)} rate={rate:.0f} gap={gap * 1000:.0f} never={never} "
                f"refused={len(refusals)} lost={len(lost)} oldest={max(before, default=0) * 1000:.0f} "
                f"after={len(lost) - len(before)}{how}")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        server(*sys.argv[2:])
    Client(*sys.argv[2:]).take_orders()
