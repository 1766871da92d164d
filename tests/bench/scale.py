#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks in the guest that costs do not grow with the connections of a client port or with services.

It counts the instructions of a packet, of a new connection and of an expired one, with up to 60,000
connections of one port, and with up to 50,000 services. It prints a line for each row and exits
with 1 if a row exceeds its limit. `scripts/bench scale` runs it under icount, where a nanosecond is
an instruction. It also measures how long a lock is held while 100,000 connections of one port
expire.
"""

import argparse
import contextlib
import os
import pathlib
import re
import sys
import time

from bench import CLIENT, DIRECTOR, DR_VIP, NAT_VIP, NEW_VIP, ONE_VIP, SERVERS, SINK, Bench, Flows, enter, run

CROWDS = (10, 1000, 10_000, 60_000)
SERVICES = (10, 50_000)
# The client port with the connections.
PORT = 1000
# The limits: a row's cost divided by that of the smallest row of its kind.
CROWD_LIMIT, SERVICE_LIMIT, ESTIMATION_LIMIT = 1.3, 1.02, 0.05
# The longest time in nanoseconds that a lock may be held while connections expire.
LOCK_LIMIT = 50_000
TRACING = pathlib.Path("/sys/kernel/tracing")


def kworkers():
    """The running time of the kernel's workers in nanoseconds."""
    total = 0
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text(encoding="ascii").startswith("kworker/"):
                total += int((path / "schedstat").read_text(encoding="ascii").split()[0])
        except OSError:
            pass
    return total


def append(path, line):
    """Adds a line to a file of the tracing system."""
    # These files cannot be positioned, which Python's append mode would do.
    file = os.open(TRACING / path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, f"{line}\n".encode())
    except OSError as error:
        sys.exit(f"{path}: {line}: {error}: {(TRACING / 'error_log').read_text(encoding='ascii')}")
    finally:
        os.close(file)


def function_at(address):
    """The kernel's function at an address."""
    name = "?"
    with open("/proc/kallsyms", encoding="ascii") as symbols:
        functions = sorted((int(start, 16), name) for start, kind, name, *_ in map(str.split, symbols) if kind in "tT")
    for start, function in functions:
        if start > address:
            break
        name = function
    return name


@contextlib.contextmanager
def lock_times():
    """Traces the spinlocks that workers take with bottom halves disabled.

    Yields a function that returns how often such a lock was released, the longest time for which
    one was held, in nanoseconds, and the function that held it. The time includes the probes' own.
    """
    worker = 'if COMM ~ "kworker*"'
    # A lock is held from the return of the first function to the entry of the second one.
    append("kprobe_events", "r:locks/taken _raw_spin_lock_bh lock=$arg1:x64")
    append("kprobe_events", "p:locks/released _raw_spin_unlock_bh lock=$arg1:x64 caller=+0($stack):x64")
    append("events/locks/taken/trigger", f"hist:keys=lock:since=common_timestamp {worker}")
    append("events/locks/released/trigger",
           f"hist:keys=lock:held=common_timestamp-$since:onmax($held).save(caller) {worker}")

    def longest():
        text = (TRACING / "events/locks/released/hist").read_text(encoding="ascii")
        counts = [int(number) for number in re.findall(r"hitcount: *(\d+)", text)]
        times = [(int(time), int(caller, 0)) for time, caller in re.findall(r"max: *(\d+) +caller: *(\w+)", text)]
        held, caller = max(times, default=(0, 0))
        return sum(counts), held, function_at(caller)

    try:
        yield longest
    finally:
        for name in ("released", "taken"):
            trigger = (TRACING / f"events/locks/{name}/trigger").read_text(encoding="ascii").splitlines()
            append(f"events/locks/{name}/trigger", "!" + trigger[0].split(" [")[0])
            append("kprobe_events", f"-:locks/{name}")


class Scale(Bench):
    """The rows and their limits."""

    failures = 0

    def judge(self, row, value, base, limit, unit="instructions"):
        """Reports a row, and whether it is within its limit, a multiple of its base."""
        ratio = value / base
        if self.mode != "ipvs_rs":
            print(f"{self.mode} {row}: {value:.0f} {unit}, {ratio:.3f} of {base:.0f}", flush=True)
            return
        verdict = "ok" if ratio <= limit else "FAILED"
        self.failures += verdict != "ok"
        print(f"{verdict} {row}: {value:.0f} {unit}, {ratio:.3f} of {base:.0f}, at most {limit}", flush=True)

    def begin(self):
        """Creates a namespace with the director."""
        self.director_down()
        self.hosts_up()
        self.director_up()

    def connections(self):
        """The number of the director's connections."""
        enter(DIRECTOR)
        if self.mode != "ipvs_rs":
            with open("/proc/net/ip_vs_conn", encoding="ascii") as rows:
                return sum(1 for _ in rows) - 1
        text = pathlib.Path("/proc/net/ip_vs_status").read_text(encoding="ascii")
        return int(re.search(r"Conns:\s*(\d+)", text).group(1))

    def settle(self, connections):
        """Waits until there are that many connections, and the table has its size."""
        end = time.monotonic() + 600
        while self.connections() != connections:
            if time.monotonic() > end:
                sys.exit(f"{self.connections()} connections, not {connections}")
            time.sleep(1)
        time.sleep(2)

    def from_port(self, count, crowd, vip=NAT_VIP):
        """Sends requests from one client port to that many ports of the service."""
        return self.pktgen(count, (f"udp_dst_min {PORT}", f"udp_dst_max {PORT + crowd}", f"dst {vip}",
                                   f"src_min {CLIENT}", f"src_max {CLIENT}", f"udp_src_min {PORT}",
                                   f"udp_src_max {PORT}"))

    def to_port(self, count, crowd):
        """Sends replies to that port."""
        return self.pktgen(count, (f"udp_src_min {PORT}", f"udp_src_max {PORT + crowd}", f"dst {CLIENT}",
                                   f"src_min {SERVERS[0]}", f"src_max {SERVERS[0]}", f"udp_dst_min {PORT}",
                                   f"udp_dst_max {PORT}"), SINK)

    def on_all_ports(self):
        """Adds a service on all ports of two virtual addresses."""
        self.administer("-R", stdin=f"-A -f 7 -s rr\n-a -f 7 -r {SERVERS[0]} -m -w 1\n")
        enter(DIRECTOR)
        run("nft", "-f", "-", stdin=f"""
            table ip crowd {{
                chain early {{
                    type filter hook prerouting priority mangle;
                    ip daddr {{ {NAT_VIP}, {DR_VIP} }} udp dport != 80 meta mark set 7
                }}
            }}
            """)

    def expiry(self, touch, connections):
        """The instructions for the expiry of a connection. `touch` gives all a short timeout."""
        self.administer("--set", "0", "0", "5")
        touch()
        before = kworkers()
        self.settle(0)
        value = (kworkers() - before) / connections
        self.administer("--set", "0", "0", "300")
        return value

    def crowds(self):
        """Measures one client port with few and with many connections."""
        base = {}
        for crowd in CROWDS:
            self.begin()
            self.on_all_ports()
            new = self.from_port(crowd, crowd)
            self.settle(crowd)
            self.judge(f"crowded-new-{crowd}", new, base.setdefault("new", new), CROWD_LIMIT)
            count = max(20_000, crowd)
            self.from_port(crowd, crowd)
            self.to_port(crowd, crowd)
            for row, value in (("request", self.from_port(count, crowd)), ("reply", self.to_port(count, crowd))):
                self.judge(f"crowded-{row}-{crowd}", value, base.setdefault(row, value), CROWD_LIMIT)
            # The C director expires connections in timers, which are not counted. The other work of
            # the workers hides the expiry of few.
            if crowd >= 10_000 and self.mode == "ipvs_rs":
                expired = self.expiry(lambda crowd=crowd: self.from_port(crowd, crowd), crowd)
                self.judge(f"crowded-expiry-{crowd}", expired, base.setdefault("expiry", expired), CROWD_LIMIT)
        if self.mode == "ipvs_rs":
            self.locks()
            # As many connections of as many ports, for comparison.
            self.begin()
            flows = Flows(100_000)
            new = self.requests(flows.number, NAT_VIP, flows)
            print(f"# ordinary new: {new:.0f} instructions", flush=True)
            self.settle(flows.number)
            expired = self.expiry(lambda: self.requests(flows.number, NAT_VIP, flows), flows.number)
            print(f"# ordinary expiry: {expired:.0f} instructions", flush=True)

    def locks(self):
        """Measures how long a lock is held while 100,000 connections of one client port expire."""
        number, half = 100_000, 50_000
        self.begin()
        self.on_all_ports()

        def touch():
            for vip in (NAT_VIP, DR_VIP):
                self.from_port(half, half, vip)

        touch()
        self.settle(number)
        with lock_times() as longest:
            self.expiry(touch, number)
            released, held, holder = longest()
        # A lock is held for 32 connections at most.
        valid = released >= number // 32 and held > 0
        verdict = "ok" if valid and held <= LOCK_LIMIT else "FAILED"
        self.failures += verdict != "ok"
        print(f"{verdict} crowded-expiry-lock-{number}: held for {held} ns at most, limit {LOCK_LIMIT}, by "
              f"{holder}; released {released} times", flush=True)

    def new_connections(self, vip):
        """Returns the cost of a new connection to a service. Estimation may fall into it, so several are measured."""
        # The first connections are slow.
        self.requests(100, vip, Flows(100))
        return self.requests(1000, vip, Flows(1000))

    def services(self):
        """Measures a service among few and among many."""
        base = None
        for number in SERVICES:
            self.begin()
            rules = []
            for n in range(number):
                address = f"10.8.{n // 250 % 250}.{n % 250}:{1000 + n // 62_500}"
                rules += [f"-A -u {address} -s rr", f"-a -u {address} -r {SERVERS[0]}:80 -m -w 1"]
            self.administer("-R", stdin="\n".join(rules) + "\n")
            self.service(NEW_VIP, "-m", SERVERS[:1])
            value = min(self.new_connections(vip) for vip in (NEW_VIP, NAT_VIP, ONE_VIP))
            base = base or value
            self.judge(f"services-{number}", value, base, SERVICE_LIMIT)
            before, begun = kworkers(), time.monotonic()
            time.sleep(40)
            share = (kworkers() - before) / (time.monotonic() - begun) / 1e9
            verdict = "ok" if share <= ESTIMATION_LIMIT else "FAILED"
            self.failures += verdict != "ok"
            print(f"{verdict} estimation-{number}: {100 * share:.2f} % of a core, at most {100 * ESTIMATION_LIMIT:.0f} %",
                  flush=True)


def main():
    """Runs what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="ipvs_rs")
    parser.add_argument("--rows", default="crowds,services", help="crowds (with locks), locks, services")
    options = parser.parse_args()
    run("modprobe", "-a", "pktgen", "veth", "nf_tables")
    scale = Scale("icount", 20_000)
    scale.mode = options.mode
    for row in options.rows.split(","):
        getattr(scale, row)()
    scale.director_down()
    sys.exit(bool(scale.failures))


if __name__ == "__main__":
    main()
