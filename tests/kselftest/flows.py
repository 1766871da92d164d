#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends a datagram from each of many ports to ADDRESS PORT, in bursts, until it is killed.

Thousands of flows appear in each burst and expire in the pauses.
"""

import os
import socket
import sys
import time

SCALE = int(os.environ.get("TIME_SCALE", "1"))
# More flows than a small table has buckets.
FLOWS = max(6000 // SCALE, 2000)


def burst(target):
    """One datagram from each port."""
    for port in range(20000, 20000 + FLOWS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("", port))
                sock.sendto(b"x", target)
            except OSError:  # Another socket has the port, or the queue is full.
                pass


while True:
    burst((sys.argv[1], int(sys.argv[2])))
    time.sleep(6 * SCALE)
