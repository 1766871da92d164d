#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks in the guest that costs do not grow with the connections of a client port or with services.

It counts the instructions of a packet, of a new connection and of an expired one, with up to 60,000
connections of one port, and with up to 50,000 services. It prints a line for each row and exits
with 1 if a row exceeds its limit. `scripts/bench scale` runs it under icount, where a nanosecond is
an instruction.
"""

import argparse
import pathlib
import re
import sys
import time

from bench import CLIENT, DIRECTOR, NAT_VIP, NEW_VIP, SERVERS, SINK, Bench, Flows, enter, run

CROWDS = (10, 1000, 10_000, 60_000)
SERVICES = (10, 50_000)
# The client port with the connections.
PORT = 1000
# The limits: a row's cost divided by that of the smallest row of its kind.
CROWD_LIMIT, SERVICE_LIMIT, ESTIMATION_LIMIT = 1.3, 1.02, 0.05


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

    def from_port(self, count, crowd):
        """Sends requests from one client port to that many ports of the service."""
        return self.pktgen(count, (f"udp_dst_min {PORT}", f"udp_dst_max {PORT + crowd}", f"dst {NAT_VIP}",
                                   f"src_min {CLIENT}", f"src_max {CLIENT}", f"udp_src_min {PORT}",
                                   f"udp_src_max {PORT}"))

    def to_port(self, count, crowd):
        """Sends replies to that port."""
        return self.pktgen(count, (f"udp_src_min {PORT}", f"udp_src_max {PORT + crowd}", f"dst {CLIENT}",
                                   f"src_min {SERVERS[0]}", f"src_max {SERVERS[0]}", f"udp_dst_min {PORT}",
                                   f"udp_dst_max {PORT}"), SINK)

    def on_all_ports(self):
        """Adds a service on all ports of the virtual address."""
        self.administer("-R", stdin=f"-A -f 7 -s rr\n-a -f 7 -r {SERVERS[0]} -m -w 1\n")
        enter(DIRECTOR)
        run("nft", "-f", "-", stdin=f"""
            table ip crowd {{
                chain early {{
                    type filter hook prerouting priority mangle;
                    ip daddr {NAT_VIP} udp dport != 80 meta mark set 7
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
            # As many connections of as many ports, for comparison.
            self.begin()
            flows = Flows(100_000)
            new = self.requests(flows.number, NAT_VIP, flows)
            print(f"# ordinary new: {new:.0f} instructions", flush=True)
            self.settle(flows.number)
            expired = self.expiry(lambda: self.requests(flows.number, NAT_VIP, flows), flows.number)
            print(f"# ordinary expiry: {expired:.0f} instructions", flush=True)

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
            # The first connections are slow.
            self.requests(100, NEW_VIP, Flows(100))
            flows = Flows(1000)
            value = self.requests(flows.number, NEW_VIP, flows)
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
    parser.add_argument("--rows", default="crowds,services")
    options = parser.parse_args()
    run("modprobe", "-a", "pktgen", "veth", "nf_tables")
    scale = Scale(argparse.Namespace(kernel="icount", packets=20_000, rows=".*"))
    scale.mode = options.mode
    for row in options.rows.split(","):
        getattr(scale, row)()
    scale.director_down()
    sys.exit(bool(scale.failures))


if __name__ == "__main__":
    main()
