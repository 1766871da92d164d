#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Measures the cost of a packet from a network card, which delivers many at once.

bench.py measures with veth, which delivers one packet at a time, so it sees no effect of a batch:
GRO, hints about routes, caches that are still warm. Here the director's devices are of bench_nic
(nic/bench_nic.c), and its frames are made in this file. The records are those of bench.py.
"""

import ipaddress
import json
import pathlib
import re
import socket
import struct
import time

import bench
from bench import (CLIENT, CLIENT6, DIRECTOR, DR_VIP, DR_VIP6, NAT_VIP, NAT_VIP6, NEW_VIP, NOBODY, ONE_VIP, SERVER6, SERVERS, TUN_VIP,
                   TUN_VIP6, enter, run, write)

MODES = ("bare", "flowtable", "ip_vs", "ipvs_rs")
MODULES = ("bench_nic", "ipip", "nf_tables", "nf_nat", "nft_flow_offload")
# A service with two hundred servers.
MANY_VIP = "10.9.0.7"
# Services through tunnels of another kind.
GUE_VIP, GUE_VIP6 = "10.9.0.8", "fd00:9::8"
GUE = "-i --tun-type gue --tun-port 5555 --tun-nocsum"
SERVERS6 = [str(ipaddress.ip_address(SERVER6) + n) for n in range(4)]
# The flags of a run: see bench_nic.c.
RANDOM, REPLY, STREAM, HASH = 1, 2, 4, 8
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10
# Numbers of flows, with their numbers of clients.
FLOWS = {10: 1, 100: 1, 1000: 1, 40_000: 10, 1_000_000: 100}


def headers(mac, source, destination, transport):
    """Returns the headers of a frame to the device with this address. The device writes the IPv4 checksum."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    protocol = socket.IPPROTO_TCP if len(transport) >= 20 and transport[12] else socket.IPPROTO_UDP
    ether = bytes.fromhex((mac + NOBODY).replace(":", ""))
    if source.version == 4:
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(transport), 0, 0x4000, 64, protocol, 0, source.packed, destination.packed)
        return ether + struct.pack("!H", 0x0800) + ip + transport
    ip = struct.pack("!IHBB16s16s", 6 << 28, len(transport), protocol, 64, source.packed, destination.packed)
    return ether + struct.pack("!H", 0x86DD) + ip + transport


def datagram(source, destination):
    """Returns a UDP datagram without data to a port, from a port."""
    return struct.pack("!HHHH", source, destination, 8 + 18, 0x1234) + bytes(18)


def segment(source, destination, flags, size=6):
    """Returns a TCP segment with these flags and so much data."""
    return struct.pack("!HHIIBBHHH", source, destination, 1, 1, 5 << 4, flags, 1000, 0x1234, 0) + bytes(size)


def request(*fields):
    """Returns the beginning of what bench_nic reads, before a frame: its struct bench_nic_run."""
    return struct.pack("=Q6I", *fields)


class Rig(bench.Bench):
    """One run."""

    def hosts_up(self):
        """Rebuilds the director's namespace, with a card to the clients and one to the servers."""
        self.hosts_down()
        run("ip", "netns", "add", DIRECTOR)
        lines = ["link add front type bench_nic", "link add back type bench_nic", "link set lo up", "link set front up", "link set back up",
                 "address add 10.0.0.1/24 dev front", "address add 10.1.0.1/24 dev back", "route add 10.100.0.0/16 via 10.0.0.2",
                 "address add fd00::1/64 dev front nodad", "address add fd00:1::1/64 dev back nodad", "route add fd00:100::/64 via fd00::2"]
        lines += bench.neighbors("front", "10.0.0.2", "fd00::2") + bench.neighbors("back", *SERVERS[:4], *SERVERS6)
        lines += [f"address add {vip}/32 dev lo" for vip in (NAT_VIP, DR_VIP, TUN_VIP, GUE_VIP, ONE_VIP, NEW_VIP, MANY_VIP)]
        lines += [f"address add {vip}/128 dev lo" for vip in (NAT_VIP6, DR_VIP6, TUN_VIP6, GUE_VIP6)]
        run("ip", "-n", DIRECTOR, "-batch", "-", stdin="\n".join(lines) + "\n")
        self.forward()
        self.index = {}
        for device in ("front", "back"):
            link = json.loads(run("ip", "-n", DIRECTOR, "-j", "link", "show", device))
            self.mac[device], self.index[device] = link[0]["address"], link[0]["ifindex"]
            if self.kernel == "uml":
                # Its time is that of this machine, where a queue that nobody fills only adds noise.
                run("tc", "-n", DIRECTOR, "qdisc", "replace", "dev", device, "root", "noqueue")

    def director_up(self):
        """Loads the mode's director and gives it services."""
        if self.mode == "bare":
            return
        if self.mode == "flowtable":
            self.flowtable_up()
            return
        self.load()
        for vip, method, servers in ((NAT_VIP, "-m", SERVERS[:4]), (DR_VIP, "-g", SERVERS[:4]), (TUN_VIP, "-i", SERVERS[:4]),
                                     (ONE_VIP, "-m", SERVERS[:1]), (NEW_VIP, "-m", SERVERS[:4])):
            self.service(vip, method, servers)
        servers = [f"[{server}]" for server in SERVERS6]
        for vip, method in ((NAT_VIP6, "-m"), (DR_VIP6, "-g"), (TUN_VIP6, "-i")):
            self.service(f"[{vip}]", method, servers)
        self.service(GUE_VIP, GUE, SERVERS[:4])
        self.service(f"[{GUE_VIP6}]", GUE, servers)

    @staticmethod
    def flowtable_up():
        """Sets up destination NAT with a flowtable, the kernel's own fast path."""
        bench.track_many()
        enter(DIRECTOR)
        servers = ", ".join(f"{n} : {server}" for n, server in enumerate(SERVERS[:4]))
        run("nft", "-f", "-", stdin=f"""
            table ip nat {{
                flowtable fast {{
                    hook ingress priority 0
                    devices = {{ front, back }}
                }}
                chain prerouting {{
                    type nat hook prerouting priority dstnat
                    ip daddr {{ {NAT_VIP}, {NEW_VIP} }} dnat ip to numgen inc mod 4 map {{ {servers} }}
                    ip daddr {ONE_VIP} dnat ip to {SERVERS[0]}
                }}
                chain forward {{
                    type filter hook forward priority 0
                    meta l4proto {{ tcp, udp }} flow add @fast
                }}
            }}
            """)

    # --- packets -------------------------------------------------------------

    @staticmethod
    def sent():
        """Returns the number of frames that both cards have sent."""
        enter(DIRECTOR)
        text = pathlib.Path("/proc/net/dev").read_text(encoding="ascii")
        return sum(int(re.search(rf"{device}:(?: +\d+){{9}} +(\d+)", text).group(1)) for device in ("front", "back"))

    def receive(self, count, flows, frame, *, device="front", clients=None, spread=1, repeat=1, flags=0):
        """Lets a card receive so many frames of so many flows; returns the nanoseconds for each."""
        before = self.sent()
        clients = clients or FLOWS[flows]
        begin = request(count, self.index[device], clients, flows // clients, spread, repeat, flags)
        took = self.run_card(begin + frame)
        sent = self.sent() - before
        if not count * 0.999 <= sent <= count * 1.001 + 10:
            raise SystemExit(f"{self.mode}: of {count} frames {sent} were sent on")
        return took / count

    def run_card(self, request):
        """Lets a card receive what the request says; returns the nanoseconds."""
        with open("/proc/bench_nic", "r+b", buffering=0) as nic:
            nic.write(request)
            return int(nic.read(32))

    def from_clients(self, count, vip, flows, transport=None, **options):
        """Lets the clients' card receive frames to a service, or to its servers without a director."""
        source, spread = CLIENT, 1
        if ":" in vip:
            source = CLIENT6
        transport = transport or datagram(bench.client_port(vip), 80)
        if self.mode == "bare":
            spread = {ONE_VIP: 1, MANY_VIP: len(SERVERS)}.get(vip, 4)
            vip = SERVERS6[0] if ":" in vip else SERVERS[0]
        frame = headers(self.mac["front"], source, vip, transport)
        return self.receive(count, flows, frame, spread=spread, **options)

    def from_servers(self, count, flows, transport=None, server=SERVERS[0], **options):
        """Lets the servers' card receive frames to clients."""
        frame = headers(self.mac["back"], server, CLIENT, transport or datagram(80, bench.client_port(ONE_VIP)))
        return self.receive(count, flows, frame, device="back", flags=REPLY, **options)

    def connect(self, vip, flows):
        """Opens TCP connections."""
        port = bench.client_port(vip)
        self.from_clients(flows, vip, flows, segment(port, 80, SYN))
        for server in SERVERS[:4]:
            self.from_servers(flows, flows, segment(80, port, SYN_ACK), server)
        self.from_clients(flows, vip, flows, segment(port, 80, ACK))

    # --- rows ----------------------------------------------------------------

    def established(self, row, vip):
        """Measures a hundred known flows."""
        if self.wanted(row):
            self.from_clients(500, vip, 100)
            self.cost(row, self.packets, self.from_clients(self.packets, vip, 100), flows=100)

    def small_rows(self, kind):
        """Measures the rows of this kind with few flows."""
        self.established(f"{kind}-nat-100", NAT_VIP)
        self.established(f"{kind}-nat-100-one", ONE_VIP)
        if self.mode != "flowtable":
            self.established(f"{kind}-dr-100", DR_VIP)
            self.established(f"{kind}-tun-100", TUN_VIP)
            self.established(f"{kind}-gue-100", GUE_VIP)
            self.established(f"{kind}-nat6-100", NAT_VIP6)
            self.established(f"{kind}-dr6-100", DR_VIP6)
            self.established(f"{kind}-tun6-100", TUN_VIP6)
            self.established(f"{kind}-gue6-100", GUE_VIP6)
        for row, clients in ((f"{kind}-reply-100", 4), (f"{kind}-reply-100-one", 1)):
            if self.wanted(row):
                self.from_clients(500, ONE_VIP, 100, clients=clients)
                self.from_servers(500, 100, clients=clients)
                self.cost(row, self.packets, self.from_servers(self.packets, 100, clients=clients), flows=100)
        self.tcp(kind)

    def tcp(self, kind):
        """Measures small TCP segments, and full ones in trains of 16, which GRO merges."""
        for row, vip, flags in ((f"{kind}-tcp-100", NAT_VIP, 0), (f"{kind}-tcp-100-hash", NAT_VIP, HASH), (f"{kind}-tcp-100-one", ONE_VIP, 0)):
            if self.wanted(row):
                self.connect(vip, 100)
                frame = segment(bench.client_port(vip), 80, ACK)
                self.from_clients(500, vip, 100, frame, flags=flags)
                value = self.from_clients(self.packets, vip, 100, frame, flags=flags)
                self.cost(row, self.packets, value, flows=100)
        if self.wanted(f"{kind}-bulk-10"):
            self.connect(ONE_VIP, 10)
            full = segment(bench.client_port(ONE_VIP), 80, ACK, 1460)
            for count in (500, self.packets):
                value = self.from_clients(count, ONE_VIP, 10, full, repeat=16, flags=STREAM)
            self.cost(f"{kind}-bulk-10", self.packets, value, flows=10)

    def million(self):
        """Measures new connections, and a million flows that send in random order."""
        number = 1_000_000 if self.kernel == "uml" else 1000
        wanted = [row for row in ("nic-new", "nic-flows-1000000", "nic-xdp-flows-1000000") if self.wanted(row)]
        if not wanted:
            return
        value = self.from_clients(number, NEW_VIP, number)
        self.cost("nic-new", number, value, flows=number)
        # The table grows in the background.
        time.sleep(2)
        self.random_flows("nic-flows-1000000")

    def waiting_rows(self):
        """Measures a hundred known flows in a table that is so large that packets wait for others."""
        rows = ("nic-fast-wait-100", "nic-xdp-wait-100")
        if self.mode != "ipvs_rs" or not any(map(self.wanted, rows)):
            return
        self.from_clients(40_000, NEW_VIP, 40_000)
        self.fast_path("1")
        self.established(rows[0], NAT_VIP)
        self.xdp(True)
        self.established(rows[1], NAT_VIP)
        self.xdp(False)

    def many_servers(self):
        """Measures new connections of a service with two hundred servers, each of which takes some."""
        row = f"nic-new-wlc-{len(SERVERS)}"
        if self.kernel == "uml" or self.mode == "flowtable" or not self.wanted(row):
            return
        # The table is small, so that it does not grow meanwhile.
        self.restart()
        run("ip", "-n", DIRECTOR, "-batch", "-", stdin="\n".join(bench.neighbors("back", *SERVERS)) + "\n")
        if self.mode != "bare":
            self.service(MANY_VIP, "-m", SERVERS, "wlc")
        self.fast_path("1")
        # The first packet to a server takes longer.
        self.from_clients(400, MANY_VIP, 400, clients=1)
        value = self.from_clients(400, MANY_VIP, 400, datagram(2000, 80), clients=1)
        self.cost(row, 400, value, flows=400)

    def random_flows(self, row):
        """Measures a million known flows that send in random order, where that does not take too long."""
        if self.kernel == "uml" and self.wanted(row):
            number = 1_000_000
            self.cost(row, number, self.from_clients(number, NEW_VIP, number, flags=RANDOM), flows=number)

    def settle(self):
        """Sends packets both ways: the first ones after changes are slow."""
        for _ in range(2):
            self.from_clients(1000, ONE_VIP, 100)
            self.from_servers(1000, 100)
            time.sleep(2)

    def fast_path(self, value):
        """Turns the fast path on or off, if the mode has one, and lets it learn the devices."""
        if self.mode == "ipvs_rs":
            enter(DIRECTOR)
            write("/proc/sys/net/ipv4/vs/fast_path", value)
        self.settle()

    def xdp(self, begin):
        """Has the cards hand their frames to the director, if the mode has XDP, or ends that."""
        if self.mode == "ipvs_rs":
            enter(DIRECTOR)
            if self.kernel == "uml":
                # It cannot have the program, so the cards call the director themselves.
                write("/sys/module/bench_nic/parameters/direct", "1" if begin else "0")
            write("/proc/sys/net/ipv4/vs/fast_path", "2" if begin else "1")
            if self.kernel != "uml":
                for device in ("front", "back"):
                    run("lvsadm", "fast-path", "--attach" if begin else "--detach", device)
        self.settle()

    def run_mode(self, mode):
        """Measures all rows of one mode."""
        self.mode = mode
        self.hosts_up()
        self.director_up()
        self.fast_path("0")
        self.small_rows("nic")
        if mode in ("bare", "ipvs_rs"):
            self.fast_path("1")
            self.small_rows("nic-fast")
        # Before the table is large, in which frames wait.
        if mode in ("bare", "ipvs_rs"):
            self.xdp(True)
            self.small_rows("nic-xdp")
            self.xdp(False)
        self.million()
        if mode in ("bare", "ipvs_rs"):
            self.xdp(True)
            self.random_flows("nic-xdp-flows-1000000")
            self.xdp(False)
        self.waiting_rows()
        self.many_servers()
        self.director_down()


if __name__ == "__main__":
    bench.main(Rig, MODES, MODULES)
