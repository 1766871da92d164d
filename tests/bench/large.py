#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Measures large configurations in the guest: ten thousand services with ten servers each, a million
connections, and a synchronization master that sends them.

Prints one JSON record per line: the time and memory of commands, and the effect on packets while the
director estimates the rates of ten thousand services. `scripts/bench large` runs it.
"""

import os
import pathlib
import subprocess
import sys
import time

from bench import DIRECTOR, NAT_VIP, NEW_VIP, SERVERS, Bench, Flows, emit, enter, free_memory, run

SERVICES, DESTINATIONS = 10_000, 10
CONNECTIONS = 1_000_000
# Seconds of packet measurements: several rounds of the estimator.
WATCH = 10


def rules():
    """Returns the large configuration as input for `lvsadm -R`."""
    for number in range(SERVICES):
        service = f"-t 10.{10 + number // 60000}.{number // 250 % 240}.{number % 250 + 1}:80"
        yield f"-A {service} -s wlc"
        for server in range(DESTINATIONS):
            yield f"-a {service} -r 10.1.{server + 1}.{number % 250 + 1}:80 -m -w 1"


def command(name, *words, stdin=None, count=None):
    """Runs a command in the director's namespace; reports its time and its peak memory."""
    enter(DIRECTOR)
    with open("/tmp/output", "wb") as output:
        begun = time.monotonic()
        pid = subprocess.Popen(words, stdin=subprocess.PIPE if stdin else None, stdout=output)
        if stdin:
            pid.stdin.write(stdin)
            pid.stdin.close()
        _, status, usage = os.wait4(pid.pid, 0)
        took = time.monotonic() - begun
    if status:
        sys.exit(f"{name}: status {status}")
    with open("/tmp/output", "rb") as output:
        lines = sum(1 for _ in output)
    if count is not None and lines < count:
        sys.exit(f"{name}: {lines} lines, fewer than {count}")
    emit("command", name=name, seconds=round(took, 3), kilobytes=usage.ru_maxrss, lines=lines)


def calibrate():
    """Times a fixed piece of work, which shows how busy the machine is."""
    begun = time.monotonic()
    sum(range(20_000_000))
    emit("calibration", seconds=round(time.monotonic() - begun, 3))


def watch(bench, name):
    """Sends packets of known flows in portions of some milliseconds, to find slow portions."""
    flows, portions = Flows(100), []
    bench.requests(flows.number * 5, NAT_VIP, flows)
    end = time.monotonic() + WATCH
    while time.monotonic() < end:
        portions.append(bench.requests(10_000, NAT_VIP, flows))
    portions.sort()
    emit("packets", name=name, portions=len(portions), median=round(portions[len(portions) // 2], 1),
         p90=round(portions[len(portions) * 9 // 10], 1), most=round(portions[-1], 1), unit="ns")


def large_table(bench):
    """Measures ten thousand services."""
    text = ("\n".join(rules()) + "\n").encode()
    rows = SERVICES * (DESTINATIONS + 1)
    watch(bench, "few services")
    free = free_memory()
    saved = run("lvsadm", "-S", "-n").count("\n")
    command("load", "lvsadm", "-R", stdin=text, count=0)
    calibrate()
    emit("memory", name="services", bytes=free - free_memory())
    command("list", "lvsadm", "-L", "-n", count=rows + saved + 3)
    command("list as JSON", "lvsadm", "-L", "--json")
    command("list by ipvsadm", "ipvsadm", "-L", "-n", count=rows + saved + 3)
    command("save", "lvsadm", "-S", "-n", count=rows + saved)
    command("/proc/net/ip_vs", "cat", "/proc/net/ip_vs", count=rows + saved + 3)
    calibrate()
    watch(bench, "ten thousand services")
    command("clear", "lvsadm", "-C", count=0)
    command("load again", "lvsadm", "-R", stdin=text, count=0)


def many_connections(bench):
    """Measures a million connections."""
    bench.restart()
    bench.service(NEW_VIP, "-m", SERVERS[:4])
    flows = Flows(CONNECTIONS)
    bench.requests(flows.number, NEW_VIP, flows)
    # The table grows in the background.
    time.sleep(2)
    free = free_memory()
    calibrate()
    command("connections", "lvsadm", "connections", "-n", count=flows.number + 2)
    command("connections as JSON", "lvsadm", "connections", "--json", count=flows.number + 4)
    command("connections counted", "lvsadm", "connections", "--count", count=1)
    for what in ("client", "prefix", "server", "state"):
        command(f"connections grouped by {what}", "lvsadm", "connections", "--group-by", what, "--top", "20", count=2)
    command("connections of a server", "lvsadm", "connections", "-n", "-r", SERVERS[0])
    command("connections of a client", "lvsadm", "connections", "-n", "--client", "10.100.0.1:1000")
    command("connections of a state", "lvsadm", "connections", "-n", "--state", "CLOSE")
    command("/proc/net/ip_vs_conn", "cat", "/proc/net/ip_vs_conn", count=flows.number + 1)
    os.unlink("/tmp/output")
    emit("memory", name="left by listing", bytes=free - free_memory())


def worked():
    """Returns the nanoseconds that the threads of work items have run."""
    spent = 0
    for thread in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (thread / "comm").read_text(encoding="ascii").startswith("kworker/u"):
                spent += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
        except FileNotFoundError:
            pass
    return spent


def counted(line):
    """Returns a number of /proc/net/ip_vs_status."""
    status = pathlib.Path("/proc/net/ip_vs_status").read_text(encoding="ascii")
    return int(dict(entry.split(":\t") for entry in status.splitlines() if ":\t" in entry).get(line, "0"))


def sweep(bench):
    """Measures how a synchronization master sends a million connections: at once when it starts, then
    in the background."""
    bench.restart()
    bench.service(NEW_VIP, "-m", SERVERS[:4])
    flows = Flows(CONNECTIONS)
    bench.requests(flows.number, NEW_VIP, flows)
    # The table grows in the background.
    time.sleep(2)
    enter(DIRECTOR)
    run("ip", "-batch", "-", stdin="link add sync type dummy\naddress add 10.8.0.1/24 dev sync\nlink set sync up\n")
    for name, seconds in (("whole table", None), ("in the background", 60)):
        work, sent, begun = worked(), counted("Sync entries sent"), time.monotonic()
        if seconds is None:
            bench.administer("--start-daemon", "master", "--mcast-interface", "sync")
            while counted("Sync entries sent") - sent < CONNECTIONS:
                time.sleep(0.01)
        else:
            time.sleep(seconds)
        took = time.monotonic() - begun
        emit("sweep", name=name, entries=counted("Sync entries sent") - sent, seconds=round(took, 2),
             share=round((worked() - work) / took / 1e9, 4))


def main():
    """Measures everything."""
    run("modprobe", "-a", "pktgen")
    subprocess.run(["modprobe", "-a", "veth", "ipip"], capture_output=True, check=False)
    packets = 300_000
    bench = Bench(os.environ.get("KERNEL_FLAVOUR", "uml"), packets)
    bench.mode = "ipvs_rs"
    bench.hosts_up()
    bench.director_up()
    bench.requests(packets, NAT_VIP, Flows(100))
    for part in (large_table, many_connections, sweep):
        if part.__name__ in os.environ["PARTS"].split():
            part(bench)
    bench.director_down()


if __name__ == "__main__":
    main()
