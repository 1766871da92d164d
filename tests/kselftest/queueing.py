#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Servers that sleep instead of working, and clients that send at given times.

    queueing.py serve READY NAMESPACE...   one server in each namespace: one request after the other
    queueing.py send ADDRESS PORT          sends all requests; prints their number, and the mean and
                                           the 90th percentile of the time to the answer, in ms

Requests and times are those of tools/lvssim/tests/queueing.rs, which predicts the result.
"""

import _thread
import math
import os
import signal
import socket
import sys
import threading
import time

PORT = 8090
REQUESTS = 3000
MEAN_SIZE = 0.2
MEAN_GAP = MEAN_SIZE / 3 / 0.8


def requests():
    """Yields the time of each request and its work, in seconds."""
    state, at = 1, 0.0

    def exponential(mean):
        nonlocal state
        state = state * 48271 % 2147483647
        return round(-math.log(state / 2147483647) * mean * 1e6) / 1e6

    for _ in range(REQUESTS):
        at += exponential(MEAN_GAP)
        yield at, exponential(MEAN_SIZE)


def work(listener):
    """Serves first come, first served. A request is its work in microseconds."""
    while True:
        sock, _ = listener.accept()
        with sock:
            time.sleep(int(sock.makefile().readline()) / 1e6)
            sock.sendall(b"done")


def serve(ready, *namespaces):
    """Serves until it is killed."""
    for namespace in namespaces:
        with open(f"/run/netns/{namespace}", encoding="ascii") as handle:
            os.setns(handle.fileno(), os.CLONE_NEWNET)
        listener = socket.create_server(("", PORT), backlog=1024)
        _thread.start_new_thread(work, (listener,))
    with open(ready, "x", encoding="ascii"):
        pass
    signal.pause()


def send(address, port):
    """Sends the requests, each at its time, whether earlier ones are answered or not."""
    times = []
    threads = []

    def request(begin, size):
        with socket.create_connection((address, int(port)), timeout=300) as sock:
            sock.sendall(b"%d\n" % round(size * 1e6))
            if sock.recv(16) == b"done":
                times.append(time.monotonic() - begin)

    start = time.monotonic()
    for at, size in requests():
        time.sleep(max(0.0, start + at - time.monotonic()))
        thread = threading.Thread(target=request, args=(start + at, size))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    times.sort()
    mean = sum(times) / len(times)
    print(len(times), round(mean * 1e3), round(times[math.ceil(0.9 * len(times)) - 1] * 1e3))


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
