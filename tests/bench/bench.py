#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Measures the cost of a director in the guest. README.md in this folder explains it.

Prints one JSON record per line. The director is a namespace between a generator (the kernel's
pktgen) and a sink that drops at the link layer. Each mode gets its own namespaces, so it leaves
nothing behind for the next. The modes of a round take turns.
"""

import argparse
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import sys
import time

GENERATOR, DIRECTOR, SINK = "generator", "director", "sink"
# No host has this address: the receiver drops such frames before it looks at a header.
NOBODY = "02:00:00:00:00:99"
NAT_VIP, DR_VIP, TUN_VIP, ONE_VIP, NEW_VIP = (f"10.9.0.{n}" for n in range(1, 6))
SERVERS = [str(ipaddress.ip_address("10.1.0.11") + n) for n in range(200)]
CLIENT = ipaddress.ip_address("10.100.0.1")
NAT_VIP6, DR_VIP6, TUN_VIP6 = (f"fd00:9::{n}" for n in range(1, 4))
# NAT with direct replies, which only ipvs_rs has.
DIRECT_VIP, DIRECT_VIP6 = "10.9.0.6", "fd00:9::4"
# A single server: several would collide in the few buckets of the kernel's neighbor table.
SERVER6 = "fd00:1::11"
CLIENT6 = "fd00:100::1"
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "twos", "ewma", "oneip", "geo",
              "oneip-stateless")
# The C director does not have these.
OURS = ("ewma", "oneip", "geo", "oneip-stateless")
# The table of regions for the scheduler geo: the servers are in two regions, the clients in one.
REGIONS = "\n".join(["region near far", "region far", "10.100.0.0/16,near", "10.1.0.0/16,far",
                     "10.1.0.0/26,near",
                     *(f"100.{n // 256}.{n % 256}.0/24,{'far' if n % 2 else 'near'}"
                       for n in range(4096))]) + "\n"
MODES = ("bare", "ip_vs", "ipvs_rs", "nftables")
# The rows with a hundred flows that are measured in several ways.
WAYS = ("nat-100", "dr-100", "tun-100", "nat6-100", "dr6-100", "tun6-100", "nat-reply-100", "tcp-nat-100")
# Numbers of flows, and of clients that send them. The numbers of clients and ports are coprime, so
# counting both up visits every pair.
FLOWS = {100: 1, 1000: 1, 10_000: 1, 100_000: 10, 1_000_000: 100, 2_000_000: 200}


def run(*command, stdin=None):
    """Runs a command. Shows its output if it fails."""
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def enter(namespace):
    """Moves this process into a network namespace."""
    with open(f"/run/netns/{namespace}", encoding="ascii") as handle:
        os.setns(handle.fileno(), os.CLONE_NEWNET)


def write(path, text):
    """Writes to one of the kernel's files."""
    pathlib.Path(path).write_text(text, encoding="ascii")


def track_many():
    """Gives conntrack room for millions of connections."""
    enter("../../proc/1/ns/net")
    write("/proc/sys/net/netfilter/nf_conntrack_max", "4000000")
    write("/proc/sys/net/netfilter/nf_conntrack_buckets", "1048576")


def emit(kind, **fields):
    """Prints a record."""
    print(json.dumps({"kind": kind, **fields}), flush=True)


def client_port(vip):
    """Returns the first port of the clients of a service. Each service has ports of its own, as with most clients."""
    return 1000 * ((int(re.split("[.:]", vip)[-1]) - 1) % 50 + 1)


class Flows:
    """A number of flows: source addresses and ports that pktgen counts through or picks from."""

    def __init__(self, number, random=False):
        self.clients = FLOWS[number]
        self.ports = number // self.clients + (self.clients > 1)
        self.random = random

    @property
    def number(self):
        """Returns the number of flows."""
        return self.clients * self.ports

    def options(self, port=1000):
        """Returns the commands for pktgen; the first port of a client is given."""
        yield f"src_min {CLIENT}"
        yield f"src_max {CLIENT + self.clients - 1}"
        yield f"udp_src_min {port}"
        yield f"udp_src_max {port + self.ports}"
        if self.random:
            yield "flag UDPSRC_RND"
            if self.clients > 1:
                yield "flag IPSRC_RND"


def neighbors(device, *addresses):
    """Returns the commands of ip that give these hosts on a device a link address that nobody has."""
    return [f"neigh replace {address} lladdr {NOBODY} nud permanent dev {device}" for address in addresses]


class Bench:
    """One run."""

    def __init__(self, kernel, packets, rows=".*", settings=()):
        self.kernel = kernel
        self.packets = packets
        self.rows = re.compile(rows)
        self.settings = [setting.split("=") for setting in settings]
        self.unit = "instructions" if self.kernel == "icount" else "ns"
        self.round = 0
        self.mode = None
        self.mac = {}
        # Whether pktgen keeps a reference to the packets.
        self.shared = True

    # --- the hosts -----------------------------------------------------------

    def hosts_up(self):
        """Rebuilds the namespaces."""
        self.hosts_down()
        for host in (GENERATOR, DIRECTOR, SINK):
            run("ip", "netns", "add", host)
        run("ip", "-batch", "-", stdin=f"""
            link add eth0 netns {GENERATOR} type veth peer name front netns {DIRECTOR}
            link add eth0 netns {SINK} type veth peer name back netns {DIRECTOR}
            """)
        run("ip", "-n", GENERATOR, "-batch", "-", stdin="link set eth0 up\n")
        run("ip", "-n", SINK, "-batch", "-", stdin="link set eth0 up\n")
        lines = ["link set lo up", "link set front up", "link set back up", "address add 10.0.0.1/24 dev front",
                 "address add 10.1.0.1/24 dev back", "route add 10.100.0.0/16 via 10.0.0.2"]
        lines += [f"address add {vip}/32 dev lo" for vip in (NAT_VIP, DR_VIP, TUN_VIP, ONE_VIP, NEW_VIP, DIRECT_VIP)]
        lines += ["address add fd00::1/64 dev front nodad", "address add fd00:1::1/64 dev back nodad",
                  "route add fd00:100::/64 via fd00::2"]
        lines += neighbors("front", "10.0.0.2", "fd00::2") + neighbors("back", *SERVERS, SERVER6)
        lines += [f"address add {vip}/128 dev lo" for vip in (NAT_VIP6, DR_VIP6, TUN_VIP6, DIRECT_VIP6)]
        run("ip", "-n", DIRECTOR, "-batch", "-", stdin="\n".join(lines) + "\n")
        self.forward()
        for device in ("front", "back"):
            link = json.loads(run("ip", "-n", DIRECTOR, "-j", "link", "show", device))
            self.mac[device] = link[0]["address"]

    @staticmethod
    def forward():
        """Makes the director a router."""
        enter(DIRECTOR)
        write("/proc/sys/net/ipv4/ip_forward", "1")
        write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
        for device in ("all", "front", "back"):
            write(f"/proc/sys/net/ipv4/conf/{device}/rp_filter", "0")
            write(f"/proc/sys/net/ipv4/conf/{device}/send_redirects", "0")

    @staticmethod
    def hosts_down():
        """Removes the namespaces and waits until the kernel has freed them."""
        enter("../../proc/1/ns/net")
        names = run("ip", "netns", "list")
        for host in (GENERATOR, DIRECTOR, SINK):
            if host in names:
                run("ip", "netns", "del", host)

    # --- directors -----------------------------------------------------------

    def director_up(self):
        """Loads the mode's director and gives it services."""
        if self.mode == "bare":
            return
        if self.mode == "nftables":
            self.nftables_up()
            return
        self.load()
        self.service(NAT_VIP, "-m", SERVERS[:4])
        self.service(DR_VIP, "-g", SERVERS[:4])
        self.service(TUN_VIP, "-i", SERVERS[:4])
        self.service(ONE_VIP, "-m", SERVERS[:1])
        for vip, method in ((NAT_VIP6, "-m"), (DR_VIP6, "-g"), (TUN_VIP6, "-i")):
            self.service(f"[{vip}]", method, [f"[{SERVER6}]"])
        if self.mode == "ipvs_rs" and (self.wanted("direct-100") or self.wanted("direct6-100")):
            self.service(DIRECT_VIP, "-m --direct-reply", SERVERS[:4])
            self.service(f"[{DIRECT_VIP6}]", "-m --direct-reply", [f"[{SERVER6}]"])

    def load(self):
        """Loads the director of this mode, and changes the settings of ipvs_rs that were requested."""
        # The C director keeps its table small by default; ours grows.
        run("modprobe", self.mode, *(["conn_tab_bits=20"] if self.mode == "ip_vs" else []))
        enter(DIRECTOR)
        # Devices would be learned in the middle of a row.
        for name, value in [("fast_path", "0"), *self.settings] if self.mode == "ipvs_rs" else ():
            write(f"/proc/sys/net/ipv4/vs/{name}", value)

    def service(self, vip, method, servers, scheduler="rr"):
        """Adds a service, for UDP and for TCP."""
        rules = []
        if scheduler == "oneip-stateless":
            # Not with NAT.
            scheduler, method = "oneip -b flag-1", "-g"
        for option in ("-u", "-t"):
            rules.append(f"-A {option} {vip}:80 -s {scheduler}")
            rules += [f"-a {option} {vip}:80 -r {server}:80 {method} -w 1" for server in servers]
        if scheduler == "geo":
            self.administer("geo", "load", "-", stdin=REGIONS)
        self.administer("-R", stdin="\n".join(rules) + "\n")

    def administer(self, *arguments, stdin=None):
        """Sends a command to the director."""
        enter(DIRECTOR)
        return run("lvsadm" if self.mode == "ipvs_rs" else "ipvsadm", *arguments, stdin=stdin)

    def nftables_up(self):
        """Sets up destination NAT by a map, the way to balance without a director."""
        track_many()
        width = 16384
        ports = ", ".join(f"{n * width}-{(n + 1) * width - 1} : {server}" for n, server in enumerate(SERVERS[:4]))
        enter(DIRECTOR)
        run("nft", "-f", "-", stdin=f"""
            table ip nat {{
                chain prerouting {{
                    type nat hook prerouting priority dstnat;
                    ip daddr {{ {NAT_VIP}, {NEW_VIP} }} udp dport 80 dnat ip to udp sport map {{ {ports} }}
                    ip daddr {ONE_VIP} udp dport 80 dnat ip to {SERVERS[0]}
                }}
            }}
            """)

    def director_down(self):
        """Removes the director with its connections."""
        self.hosts_down()
        if self.mode not in ("ip_vs", "ipvs_rs"):
            return
        end = time.monotonic() + 60
        # Its namespace may need some time to end.
        while os.path.exists(f"/sys/module/{self.mode}"):
            names = [line.split()[0] for line in run("lsmod").splitlines()]
            for name in [name for name in names if name.startswith(self.mode + "_")] + [self.mode]:
                subprocess.run(["rmmod", name], capture_output=True, check=False)
            if time.monotonic() > end:
                sys.exit(f"{self.mode} cannot be unloaded")
            time.sleep(0.05)

    def fast_path(self, value):
        """Turns the fast path on or off, if the mode has one, and lets it learn the devices."""
        if self.mode != "ipvs_rs":
            return
        enter(DIRECTOR)
        write("/proc/sys/net/ipv4/vs/fast_path", value)
        for _ in range(2 if value == "1" else 0):
            self.requests(500, ONE_VIP, Flows(100))
            self.replies(500, Flows(100))
            time.sleep(2)

    # --- packets -------------------------------------------------------------

    def received(self):
        """Returns the number of frames that have reached the ends of the wires."""
        enter(SINK)
        sink = pathlib.Path("/proc/net/dev").read_text(encoding="ascii")
        enter(GENERATOR)
        generator = pathlib.Path("/proc/net/dev").read_text(encoding="ascii")
        return sum(int(re.search(r"eth0: *\d+ +(\d+)", text).group(1)) for text in (sink, generator))

    def pktgen(self, count, options, host=GENERATOR):
        """Sends datagrams; returns the nanoseconds for each."""
        before = self.received()
        enter(host)
        device = "front" if host == GENERATOR else "back"
        write("/proc/net/pktgen/kpktgend_0", "rem_device_all")
        write("/proc/net/pktgen/kpktgend_0", "add_device eth0")
        common = (f"count {count}", "pkt_size 60", "delay 0", f"dst_mac {self.mac[device]}", "no_timestamp",
                  *(() if self.shared else ("flag !SHARED",)))
        for option in (*common, *options):
            try:
                write("/proc/net/pktgen/eth0", option)
            except OSError as error:
                if option != "no_timestamp":
                    sys.exit(f"pktgen: {option}: {error}")
        write("/proc/net/pktgen/pgctrl", "start")
        text = pathlib.Path("/proc/net/pktgen/eth0").read_text(encoding="ascii")
        result = re.search(r"Result: OK: (\d+)\(c\d+\+d\d+\) usec, (\d+) ", text)
        if not result or int(result.group(2)) != count:
            sys.exit(f"pktgen: {text}")
        write("/proc/net/pktgen/kpktgend_0", "rem_device_all")
        arrived = self.received() - before
        if not count * 0.999 <= arrived <= count * 1.001 + 10:
            sys.exit(f"{self.mode}: of {count} datagrams {arrived} arrived ({options})")
        return int(result.group(1)) * 1000 / count

    def requests(self, count, vip, flows):
        """Sends client datagrams to a virtual service, or to a server if there is no director."""
        target = SERVERS[0] if self.mode == "bare" else vip
        fixed = ("udp_dst_min 80", "udp_dst_max 80", f"dst {target}")
        return self.pktgen(count, (*fixed, *flows.options(client_port(vip))))

    def requests6(self, count, vip):
        """Sends client datagrams of a hundred flows by IPv6."""
        target, port = SERVER6 if self.mode == "bare" else vip, client_port(vip)
        return self.pktgen(count, ("pkt_size 80", "udp_dst_min 80", "udp_dst_max 80", f"dst6 {target}",
                                   f"src6 {CLIENT6}", f"udp_src_min {port}", f"udp_src_max {port + 100}"))

    def replies(self, count, flows):
        """Sends a server's datagrams to clients."""
        port = client_port(ONE_VIP)
        fixed = ("udp_src_min 80", "udp_src_max 80", f"src_min {SERVERS[0]}", f"src_max {SERVERS[0]}",
                 f"dst {CLIENT}", f"udp_dst_min {port}", f"udp_dst_max {port + flows.ports}")
        return self.pktgen(count, fixed, SINK)

    def segments(self, count, vip, flows):
        """Sends client TCP segments with data. pktgen sends datagrams, and an nftables rule at the
        director's wire turns them into TCP, at the same cost in every mode."""
        self.become_tcp("0x5002")
        self.requests(flows.number * 2, vip, flows)
        self.become_tcp("0x5010")
        self.requests(flows.number * 2, vip, flows)
        value = self.requests(count, vip, flows)
        enter(DIRECTOR)
        run("nft", "delete table netdev wire")
        return value

    @staticmethod
    def become_tcp(flags):
        """Turns client datagrams into segments with this data offset and these flags."""
        enter(DIRECTOR)
        run("nft", "-f", "-", stdin=f"""
            table netdev wire
            delete table netdev wire
            table netdev wire {{
                chain ingress {{
                    type filter hook ingress device front priority 0;
                    @th,96,16 set {flags} ip protocol set 6
                }}
            }}
            """)

    # --- rows ----------------------------------------------------------------

    def wanted(self, row):
        """Whether this row was requested."""
        return self.rows.fullmatch(row)

    def cost(self, row, packets, value, **fields):
        """Reports the cost of a packet."""
        emit("cost", kernel=self.kernel, row=row, mode=self.mode, round=self.round, packets=packets,
             value=round(value, 1), unit=self.unit, **fields)

    def established(self, row, vip):
        """Measures a hundred known flows."""
        if not self.wanted(row):
            return
        flows = Flows(100)
        self.requests(flows.number * 5, vip, flows)
        self.cost(row, self.packets, self.requests(self.packets, vip, flows), flows=100)

    def established6(self, row, vip):
        """Measures the same by IPv6."""
        if self.wanted(row):
            self.requests6(500, vip)
            self.cost(row, self.packets, self.requests6(self.packets, vip), flows=100)

    def known_replies(self, row):
        """Measures replies of a hundred known flows."""
        if self.wanted(row):
            flows = Flows(100)
            self.requests(flows.number * 5, ONE_VIP, flows)
            self.replies(flows.number * 5, flows)
            self.cost(row, self.packets, self.replies(self.packets, flows), flows=100)

    def known_segments(self, row):
        """Measures TCP segments of a hundred known flows."""
        if self.wanted(row):
            self.cost(row, self.packets, self.segments(self.packets, NAT_VIP, Flows(100)), flows=100)

    def small_rows(self):
        """Measures the rows with a hundred flows."""
        nat_only = self.mode == "nftables"
        self.established("nat-100", NAT_VIP)
        if not nat_only:
            self.established("dr-100", DR_VIP)
            self.established("tun-100", TUN_VIP)
            self.established6("nat6-100", NAT_VIP6)
            self.established6("dr6-100", DR_VIP6)
            self.established6("tun6-100", TUN_VIP6)
        if self.mode in ("bare", "ipvs_rs"):
            self.established("direct-100", DIRECT_VIP)
            self.established6("direct6-100", DIRECT_VIP6)
        self.known_replies("nat-reply-100")
        if not nat_only:
            self.known_segments("tcp-nat-100")

    def fast_rows(self):
        """Measures rows again with the fast path, on the learned devices.

        It lets packets pass that pktgen keeps, and takes the others.
        """
        rows = [f"{way}-{row}" for way in ("fast", "unshared") for row in WAYS] + ["fast-bystander"]
        if self.mode not in ("bare", "ipvs_rs") or not any(map(self.wanted, rows)):
            return
        self.fast_path("1")
        self.known_flows("fast-")
        self.bystander("fast-bystander")
        self.shared = False
        self.known_flows("unshared-")
        self.shared = True
        self.fast_path("0")

    def known_flows(self, way):
        """Measures a hundred known flows by each method, in rows whose names begin with `way`."""
        for row, vip in (("nat", NAT_VIP), ("dr", DR_VIP), ("tun", TUN_VIP)):
            self.established(f"{way}{row}-100", vip)
        for row, vip in (("nat6", NAT_VIP6), ("dr6", DR_VIP6), ("tun6", TUN_VIP6)):
            self.established6(f"{way}{row}-100", vip)
        self.known_replies(f"{way}nat-reply-100")
        self.known_segments(f"{way}tcp-nat-100")

    def helpers(self):
        """Measures TCP segments again, with the modules for FTP and SIP and a service of each."""
        if self.mode != "ipvs_rs" or not self.wanted("tcp-helpers-100"):
            return
        services = ((f"-t {NAT_VIP}:21", "-s rr"), (f"-u {NAT_VIP}:5060", "-s rr -p 60 --pe sip"))
        rules = [f"-A {at} {options}\n-a {at} -r {SERVERS[0]} -m\n" for at, options in services]
        self.administer("-R", stdin="".join(rules))
        self.known_segments("tcp-helpers-100")
        for at, _ in services:
            self.administer("-D", *at.split())
        for module in ("ipvs_rs_ftp", "ipvs_rs_pe_sip"):
            run("rmmod", module)

    def closing(self):
        """Measures segments that end connections, without a synchronization master and with one.

        Each segment changes the state of its connection. The master sends later: it collects the
        changes of 20 ms. So its sending is not in the figure.
        """
        for row, master in (("tcp-fin-1000", False), ("tcp-fin-1000-master", True)):
            if not self.wanted(row):
                continue
            self.restart()
            if master:
                enter(DIRECTOR)
                run("ip", "-batch", "-", stdin="link add sync type dummy\naddress add 10.8.0.1/24 dev sync\nlink set sync up\n")
                self.administer("--start-daemon", "master", "--mcast-interface", "sync")
            flows = Flows(1000)
            for flags in ("0x5002", "0x5010"):
                self.become_tcp(flags)
                self.requests(flows.number, DR_VIP, flows)
            # What was announced so far is sent.
            time.sleep(1)
            self.become_tcp("0x5011")
            self.cost(row, flows.number, self.requests(flows.number, DR_VIP, flows), flows=1000)
            self.restart()

    def bystander(self, row):
        """Measures packets without a service."""
        if not self.wanted(row):
            return
        flows = Flows(100)
        fixed = ("udp_dst_min 80", "udp_dst_max 80", f"dst {SERVERS[0]}")
        self.pktgen(1000, (*fixed, *flows.options()))
        self.cost(row, self.packets, self.pktgen(self.packets, (*fixed, *flows.options())))

    def bystander6(self):
        """Measures the same by IPv6."""
        if self.wanted("bystander6"):
            self.requests6(1000, SERVER6)
            self.cost("bystander6", self.packets, self.requests6(self.packets, SERVER6))

    def curve(self):
        """Measures the cost by the number of flows, which send in random order."""
        for number in (n for n in FLOWS if n <= 1_000_000):
            row = f"flows-{number}"
            if not self.wanted(row):
                continue
            self.requests(Flows(number).number, NAT_VIP, Flows(number))
            # The table grows in the background.
            time.sleep(2)
            count = max(self.packets, number if self.kernel == "uml" else 0)
            self.cost(row, count, self.requests(count, NAT_VIP, Flows(number, random=True)), flows=number)

    def schedulers(self):
        """Measures new connections with each scheduler. Without entries, every packet is a new one."""
        for scheduler in SCHEDULERS:
            for servers in (4, 50, 200):
                row = f"new-{scheduler}-{servers}"
                if not self.wanted(row) or (scheduler in OURS and self.mode == "ip_vs"):
                    continue
                self.service(NEW_VIP, "-m", SERVERS[:servers], scheduler)
                number = 100_000 if self.kernel == "uml" else 1000
                flows = Flows(number)
                value = self.requests(flows.number, NEW_VIP, flows)
                self.cost(row, flows.number, value, servers=servers)
                # The connections outlive the service, so every measurement begins with a new
                # namespace.
                self.restart()

    def restart(self):
        """Removes all connections."""
        self.director_down()
        self.hosts_up()
        self.director_up()

    def million(self):
        """Measures a million connections in a row, their memory, and the cost for bystanders."""
        for number, name in ((1_000_000, "1m"), (2_000_000, "2m")):
            if not (self.wanted(f"new-{name}") or self.wanted(f"memory-{name}") or self.wanted(f"bystander-{name}")):
                continue
            self.restart()
            if self.mode in ("ip_vs", "ipvs_rs"):
                self.service(NEW_VIP, "-m", SERVERS[:4])
            flows = Flows(number)
            free = free_memory()
            value = self.requests(flows.number, NEW_VIP, flows)
            if self.wanted(f"new-{name}"):
                self.cost(f"new-{name}", flows.number, value, flows=number)
            # The table grows in the background.
            time.sleep(2)
            if self.mode != "bare" and self.wanted(f"memory-{name}"):
                emit("memory", kernel=self.kernel, row=f"memory-{name}", mode=self.mode, round=self.round,
                     connections=flows.number, bytes=free - free_memory(), **self.entry())
            self.bystander(f"bystander-{name}")

    def entry(self):
        """Returns the size of a connection's slab object and the number of such objects."""
        cache = {"ip_vs": "ip_vs_conn", "ipvs_rs": "ipvs_rs_conn", "nftables": "nf_conntrack"}[self.mode]
        for line in pathlib.Path("/proc/slabinfo").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[0].startswith(cache):
                return {"entry": int(fields[3]), "objects": int(fields[1])}
        return {}

    def run_mode(self, mode):
        """Measures all rows of one mode."""
        self.mode = mode
        self.hosts_up()
        self.director_up()
        # The first packets after such changes are slow.
        self.requests(self.packets, NAT_VIP, Flows(100))
        self.small_rows()
        self.helpers()
        self.bystander("bystander")
        self.bystander6()
        self.fast_rows()
        self.curve()
        if mode in ("ip_vs", "ipvs_rs"):
            self.closing()
            self.schedulers()
        self.million()
        self.director_down()


def free_memory():
    """Returns the free memory in bytes."""
    write("/proc/sys/vm/drop_caches", "3")
    time.sleep(0.5)
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"MemFree: *(\d+) kB", text).group(1)) * 1024


def main(kind=Bench, modes=MODES, modules=("pktgen", "veth", "ipip", "nf_tables", "nf_nat")):
    """Runs the measurements that the options select, of this kind of bench. Loads the modules first, the first of which it needs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default=os.environ.get("KERNEL_FLAVOUR", "uml"))
    parser.add_argument("--modes", default=",".join(modes))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packets", type=int, help="of a row with few flows")
    parser.add_argument("--rows", default=".*", help="regular expression for the rows to measure")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of ipvs_rs, as in short_cut=0")
    options = parser.parse_args()
    options.packets = options.packets or (20_000 if options.kernel == "icount" else 300_000)
    run("modprobe", modules[0])
    subprocess.run(["modprobe", "-a", *modules[1:]], capture_output=True, check=False)
    bench = kind(options.kernel, options.packets, options.rows, options.set)
    emit("meta", kernel=options.kernel, release=os.uname().release, rounds=options.rounds, packets=options.packets)
    for bench.round in range(1, options.rounds + 1):
        for mode in options.modes.split(","):
            bench.run_mode(mode)


if __name__ == "__main__":
    main()
