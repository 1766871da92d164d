#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares the packets that two processors handle with those that one handles.

Each processor receives packets of its own clients in its own queue of the card of nic.py. QEMU runs
each processor of the guest as a thread of its own. So it emulates their instructions, but the
processors of the host move the cache lines that both write. Plain forwarding is measured in the
same way, because the rest of the kernel and the emulator share things, too.

Prints a table: for each row, the nanoseconds of a packet on one processor, the nanoseconds between
two packets on two processors, and how many times as many packets two processors handle.
"""

import os
import statistics
import sys

import bench
import nic
from bench import CLIENT, DIRECTOR, NAT_VIP, NEW_VIP, SERVERS, client_port, enter

# Packets of known flows, and new connections, of a processor in one measurement.
PACKETS = 100_000
NEW = 20_000


class Processors(nic.Rig):
    """One run."""

    results = {}
    # Each measurement of new connections needs clients without any.
    clients = 0

    def on_processor(self, number, frame, packets, flows, gate):
        """Starts a process that waits at the gate and lets the clients' card receive frames on a processor; returns what to wait for."""
        reading, writing = os.pipe()
        if not (child := os.fork()):
            os.sched_setaffinity(0, {number})
            enter(DIRECTOR)
            request = nic.request(packets, self.index["front"], 1, flows, 1 if self.mode != "bare" else 4, 1, 0)
            # Closed when all processes are here.
            os.close(gate[1])
            os.read(gate[0], 1)
            os.write(writing, str(self.run_card(request + frame)).encode())
            os._exit(0)
        os.close(writing)
        return child, reading

    def together(self, processors, vip, packets, flows, new=False):
        """Returns the nanoseconds between two packets while all of these processors receive so many each."""
        before = self.sent()
        gate = os.pipe()
        started = []
        for number in processors:
            self.clients += new
            source = CLIENT + 256 * ((self.clients if new else number) % 250)
            address = SERVERS[0] if self.mode == "bare" else vip
            frame = nic.headers(self.mac["front"], source, address, nic.datagram(client_port(address), 80))
            started.append(self.on_processor(number, frame, packets, flows, gate))
        for end in gate:
            os.close(end)
        took = []
        for child, reading in started:
            with os.fdopen(reading, "rb") as pipe:
                took.append(int(pipe.read() or 0))
            if os.waitpid(child, 0)[1]:
                sys.exit(f"{self.mode}: a processor could not receive the packets")
        sent, wanted = self.sent() - before, packets * len(processors)
        if sent < wanted * 0.999:
            sys.exit(f"{self.mode}: of {wanted} frames {sent} were sent on")
        return max(took) / wanted

    def compare(self, row, vip, packets, flows, **options):
        """Measures a row on each of the processors, and on both."""
        if self.wanted(row):
            one = statistics.mean(self.together([number], vip, packets, flows, **options) for number in (0, 1))
            two = self.together([0, 1], vip, packets, flows, **options)
            self.results.setdefault((row, self.mode), []).append((one, two))

    def established_rows(self, kind):
        """Measures established flows: once to learn them, and then for the result."""
        if self.wanted(f"{kind}-nat-100"):
            self.together([0, 1], NAT_VIP, 500, 100)
        self.compare(f"{kind}-nat-100", NAT_VIP, PACKETS, 100)

    def run_mode(self, mode):
        """Measures all rows of one mode."""
        self.mode = mode
        self.hosts_up()
        self.director_up()
        self.fast_path("0")
        self.established_rows("nic")
        # The emulator translates the code of a module that was just loaded while it runs first.
        if self.wanted("nic-new"):
            self.together([0, 1], NEW_VIP, NEW, NEW, new=True)
        self.compare("nic-new", NEW_VIP, NEW, NEW, new=True)
        if mode in ("bare", "ipvs_rs"):
            self.fast_path("1")
            self.established_rows("nic-fast")
            self.xdp(True)
            self.established_rows("nic-xdp")
            self.xdp(False)
        self.director_down()

    @classmethod
    def table(cls):
        """Prints the medians of all rounds."""
        print(f"{'row':16}{'mode':10}{'one':>8}{'two':>8}{'ratio':>7}  from  to")
        for (row, mode), values in cls.results.items():
            one, two = (statistics.median(column) for column in zip(*values))
            ratios = sorted(one / two for one, two in values)
            print(f"{row:16}{mode:10}{one:8.0f}{two:8.0f}{statistics.median(ratios):7.2f}  {ratios[0]:.2f}  {ratios[-1]:.2f}")


if __name__ == "__main__":
    bench.main(Processors, ("bare", "ip_vs", "ipvs_rs"), nic.MODULES)
    Processors.table()
