#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A client that takes orders, one a line on standard input, and answers each with one line.

It runs as long as its test script, because starting an interpreter for every request is too slow
under emulation. Every connection uses the next source port, so the director never takes it for an
older one. The outcome of a connection is one word: the server's name, or the error. The orders are the
methods `do_…` below; PROTOCOL is tcp or udp.
"""

import collections
import errno
import itertools
import os
import socket
import struct
import sys
import threading
import time

from orders import SCALE, Orders, Wrong, family, outcome
from servers import checksum, endpoint, pattern

SO_NO_CHECK = 11
TCP_REPAIR = 19
# The offset of the number of retransmitted segments in struct tcp_info.
TOTAL_RETRANS = 100
GET = b"GET / HTTP/1.1\r\nHost: service\r\n\r\n"


class Connection:
    """A connection to a service, TCP with HTTP or UDP."""

    def __init__(self, client, protocol, address, port, local_port=None):
        self.protocol = protocol
        kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
        self.sock = socket.socket(family(address), kind)
        self.sock.settimeout(client.patience)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, protocol == "tcp")
        self.sock.bind((client.addresses[family(address)], local_port or client.next_port(protocol)))
        self.local = self.sock.getsockname()
        self.server = self.seen = None
        try:
            self.sock.connect((address, int(port)))
            if protocol == "tcp":
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.sock.close()
            raise

    def who(self):
        """Sends a small request. Returns the name of the server that answers."""
        if self.protocol == "tcp":
            self.sock.sendall(GET)
            line = self.http_answer()
        else:
            line, rest = self.datagram(b"who")
            if rest != b"who":
                raise Wrong("mangled")
        return self.identify(line)

    def identify(self, line):
        """Parses a server's first line, which must contain our own address."""
        name, client, self.seen = line.decode("ascii").split()
        if client != endpoint(*self.local):
            raise Wrong(f"{name}-saw-{client}")
        if self.server not in (None, name):
            raise Wrong(f"{name}-not-{self.server}")
        self.server = name
        return name

    def http_answer(self):
        """The body of an HTTP answer."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.receive()
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        if " 200 " not in lines[0]:
            raise Wrong("http-" + lines[0].split()[1])
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        size = int(headers["content-length"])
        pieces = [body]
        left = size - len(body)
        while left > 0:
            pieces.append(self.receive())
            left -= len(pieces[-1])
        if left < 0:
            raise Wrong("too-long")
        return b"".join(pieces)

    def receive(self):
        """Receives some octets. The end of the stream is a failure."""
        data = self.sock.recv(1 << 16)
        if not data:
            raise Wrong("closed")
        return data

    def datagram(self, payload):
        """Sends one datagram. Returns the first line and the rest of the answer."""
        self.sock.send(payload)
        line, rest = self.sock.recv(65535).split(b"\n", 1)
        return line, rest

    def exchange(self, size):
        """Sends that many octets by POST. They must arrive, and as many must come back."""
        body = os.urandom(size)
        head = f"POST / HTTP/1.1\r\nHost: service\r\nContent-Length: {size}\r\n\r\n"
        # The server reads everything before it answers, so this cannot block both.
        self.sock.sendall(head.encode() + body)
        line, came, back = self.http_answer().split(b"\n", 2)
        name = self.identify(line)
        if came != checksum(body):
            raise Wrong(f"{size}-octets-mangled-on-the-way-in")
        if back != pattern(size):
            raise Wrong(f"{size}-octets-mangled-on-the-way-out")
        return name

    def echo(self, size):
        """Sends a datagram with that many octets of payload, which must come back."""
        payload = os.urandom(size)
        line, rest = self.datagram(payload)
        if rest != payload:
            raise Wrong(f"{size}-octets-mangled")
        return self.identify(line)

    def close(self):
        """Closes the connection. The server then closes its side."""
        self.sock.close()

    def reset(self):
        """Resets the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Load:
    """Connections one after the other from several threads until stopped."""

    def __init__(self, client, protocol, address, port, workers, pause):
        self.pause = pause
        self.stop = threading.Event()
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.order = (client, protocol, address, port)
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(workers)]
        for thread in self.threads:
            thread.start()

    def work(self):
        """Runs in each thread."""
        while not self.stop.is_set():
            word = outcome(once, *self.order)
            with self.lock:
                self.counts[word] += 1
            # Failures are immediate. The pause keeps them from using all the processor time.
            time.sleep(max(self.pause, 0.02 if len(word) > 1 else 0))

    def end(self):
        """Waits for connections in progress and returns the counts."""
        self.stop.set()
        for thread in self.threads:
            thread.join()
        return self.counts


class Segments:
    """TCP connections that consist of the client's first segment and its data only, until stopped.

    They must not be answered: the real servers have to drop packets from our address.
    """

    SYN, ACK = 0x02, 0x10

    def __init__(self, client, address, port, flows):
        self.counts = collections.Counter()
        self.stop = threading.Event()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.sock.bind((client.addresses[socket.AF_INET], 0))
        self.sock.connect((address, 0))
        self.flows = [(client.next_port("tcp"), port) for _ in range(flows)]
        self.send(self.SYN)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def send(self, flags):
        """Sends one segment of each connection. Its sequence numbers and checksum do not matter."""
        for ports in self.flows:
            self.sock.send(struct.pack("!HHIIBBHHH4s", *ports, 1, 1, 5 << 4, flags, 8192, 0, 0, b"data"))
        self.counts["sent"] += len(self.flows)

    def work(self):
        """Runs in the thread."""
        while not self.stop.is_set():
            self.send(self.ACK)

    def end(self):
        """Waits for the current round and returns the count."""
        self.stop.set()
        self.thread.join()
        self.sock.close()
        return self.counts


def once(client, protocol, address, port):
    """Opens one connection with one request."""
    connection = Connection(client, protocol, address, port)
    try:
        return connection.who()
    finally:
        connection.close()


def show(counts):
    """Returns the counts as one line."""
    return " ".join(f"{word}={count}" for word, count in sorted(counts.items()))


class Client(Orders):
    """The orders and their common state."""

    def __init__(self, *addresses):
        self.addresses = {family(address): address for address in addresses}
        self.patience = 10 * SCALE
        self.ports = {protocol: itertools.cycle(range(10000, 60000)) for protocol in ("tcp", "udp")}
        self.held = {}
        self.loads = {}

    def next_port(self, protocol):
        """The next source port. A port is reused after 50000 others."""
        return next(self.ports[protocol])

    def do_from(self, address):
        """from ADDRESS: uses this source address from now on, for its family."""
        self.addresses[family(address)] = address
        return address

    def do_patience(self, seconds):
        """patience SECONDS: the timeout for all later operations."""
        self.patience = float(seconds) * SCALE
        return seconds

    def do_get(self, protocol, address, port, count="1"):
        """get PROTOCOL ADDRESS PORT [COUNT]: opens one connection after another; the servers'
        names."""
        return " ".join(outcome(once, self, protocol, address, port) for _ in range(int(count)))

    def do_seen(self, protocol, address, port):
        """seen PROTOCOL ADDRESS PORT: the server's own address and port, as it sees them."""

        def see():
            connection = Connection(self, protocol, address, port)
            connection.who()
            connection.close()
            return connection.seen

        return outcome(see)

    def do_hold(self, tag, protocol, address, port, count="1"):
        """hold TAG PROTOCOL ADDRESS PORT[-LAST] [COUNT]: like get, but keeps the connections. With
        a range, it opens COUNT connections to each port."""
        first, _, last = port.partition("-")
        ports = range(int(first), int(last or first) + 1)

        def hold(port):
            connection = Connection(self, protocol, address, port)
            word = connection.who()
            self.held.setdefault(tag, []).append(connection)
            return word

        return " ".join(outcome(hold, port) for port in ports for _ in range(int(count)))

    def do_share(self, tag, protocol, port, *addresses):
        """share TAG PROTOCOL PORT ADDRESS…: opens a connection to each from one source port; keeps
        them."""
        local_port = self.next_port(protocol)

        def hold(address):
            connection = Connection(self, protocol, address, port, local_port)
            word = connection.who()
            self.held.setdefault(tag, []).append(connection)
            return word

        return " ".join(outcome(hold, address) for address in addresses)

    def do_reuse(self, how, address, port, count, last=None):
        """reuse close|reset ADDRESS[,ADDRESS…] PORT COUNT [LAST]: TCP connections one after another
        from one source port, to each address in turn, until the server LAST answers.

        A connection is reported as late if its SYN was repeated.
        """
        local_port = self.next_port("tcp")

        def use(address):
            end = time.monotonic() + 3 * SCALE
            while True:
                try:
                    connection = Connection(self, "tcp", address, port, local_port)
                    break
                except OSError as error:
                    # The last acknowledgment of the previous connection is still outstanding.
                    if error.errno != errno.EADDRNOTAVAIL or time.monotonic() > end:
                        raise
                    time.sleep(0.02)
            info = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            late = "-late" if struct.unpack_from("=I", info, TOTAL_RETRANS)[0] else ""
            if how == "reset":
                word = connection.who()
                connection.reset()
                # While a thread of the server uses the socket, RST and SYN would both wait, and the
                # SYN would be lost with the old connection.
                time.sleep(0.1 * SCALE)
            else:
                # The server closes first, so the port is free here at once.
                connection.sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                word = connection.identify(connection.http_answer())
                while connection.sock.recv(4096):
                    pass
                connection.close()
            return word + late

        answers = []
        addresses = address.split(",")
        while len(answers) < int(count) and not (answers and answers[-1] == last):
            answers.append(outcome(use, addresses[len(answers) % len(addresses)]))
        return " ".join(answers)

    def do_turns(self, address, port, count):
        """turns ADDRESS PORT COUNT: datagrams from one source port, each from a new socket."""
        local_port = self.next_port("udp")

        def turn():
            connection = Connection(self, "udp", address, port, local_port)
            try:
                return connection.who()
            finally:
                connection.close()

        return " ".join(outcome(turn) for _ in range(int(count)))

    def do_again(self, tag):
        """again TAG: sends a request on each of the kept connections."""
        return " ".join(outcome(connection.who) for connection in self.held[tag])

    def release(self, tag, server, how):
        """Ends the kept connections, or those with one server."""
        ending = [connection for connection in self.held[tag] if server in ("", connection.server)]
        self.held[tag] = [connection for connection in self.held[tag] if connection not in ending]
        for connection in ending:
            how(connection)
        return str(len(ending))

    def do_exchange(self, tag, size):
        """exchange TAG SIZE: transfers bodies of that size both ways on each of the kept
        connections."""
        return " ".join(outcome(connection.exchange, int(size)) for connection in self.held[tag])

    def do_close(self, tag, server=""):
        """close TAG [SERVER]: closes the kept connections, or those with that server."""
        return self.release(tag, server, Connection.close)

    def do_reset(self, tag, server=""):
        """reset TAG [SERVER]: resets the kept connections, or those with that server."""
        return self.release(tag, server, Connection.reset)

    def do_silence(self, tag, server=""):
        """silence TAG [SERVER]: drops kept connections without sending a packet."""
        mark = struct.pack("i", 1)

        def quiet(connection):
            # A socket in repair mode sends nothing when it is closed.
            connection.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, mark)
            connection.close()

        return self.release(tag, server, quiet)

    def do_half(self, tag):
        """half TAG: closes the client's direction of the kept connections."""
        for connection in self.held[tag]:
            connection.sock.shutdown(socket.SHUT_WR)
        return str(len(self.held[tag]))

    def do_body(self, address, port, *sizes):
        """body ADDRESS PORT SIZE…: transfers bodies of these sizes both ways, one in each
        connection."""

        def body(size):
            connection = Connection(self, "tcp", address, port)
            try:
                return connection.exchange(int(size))
            finally:
                connection.close()

        return " ".join(outcome(body, size) for size in sizes)

    def do_datagrams(self, address, port, *sizes, check=True):
        """datagrams ADDRESS PORT SIZE|FIRST-LAST…: one datagram of each size, from one source
        port."""
        connection = Connection(self, "udp", address, port)
        connection.sock.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, not check)
        counts = collections.Counter()
        for size in sizes:
            first, _, last = size.partition("-")
            for octets in range(int(first), int(last or first) + 1):
                counts[outcome(connection.echo, octets)] += 1
        connection.close()
        return show(counts)

    def do_unchecked(self, *arguments):
        """unchecked …: like datagrams, without UDP checksums."""
        return self.do_datagrams(*arguments, check=False)

    def do_bulk(self, protocol, address, port, count, workers="8"):
        """bulk PROTOCOL ADDRESS PORT COUNT [WORKERS]: many connections at once; counts by
        server."""
        # Imported here because every test script starts a client, and this import is slow.
        import concurrent.futures  # pylint: disable=import-outside-toplevel

        with concurrent.futures.ThreadPoolExecutor(int(workers)) as pool:
            words = pool.map(lambda _: outcome(once, self, protocol, address, port), range(int(count)))
            return show(collections.Counter(words))

    def do_load(self, tag, protocol, address, port, workers="2", pause="0.03"):
        """load TAG PROTOCOL ADDRESS PORT [WORKERS [PAUSE]]: opens connections until `stop TAG`.

        WORKERS run at a time, with PAUSE seconds between two connections of each. Without a pause,
        they would take processor time from the tested code.
        """
        self.loads[tag] = Load(self, protocol, address, port, int(workers), float(pause))
        return "started"

    def do_segments(self, tag, address, port, count):
        """segments TAG ADDRESS PORT COUNT: opens COUNT TCP connections, then repeats data until
        `stop TAG`."""
        self.loads[tag] = Segments(self, address, int(port), int(count))
        return "started"

    def do_progress(self, tag):
        """progress TAG: the number of connections or segments so far."""
        return str(sum(self.loads[tag].counts.values()))

    def do_stop(self, tag):
        """stop TAG: ends a load; the counts by server, or the number of segments."""
        return show(self.loads.pop(tag).end())


if __name__ == "__main__":
    Client(*sys.argv[1:]).take_orders()
