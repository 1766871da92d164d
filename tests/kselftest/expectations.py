#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What other programs expect of the netlink family "IPVS", and the errors for pairs of mistakes.

    programs   sends what kube-proxy, moby, libipvs, gnlpy, seesaw and pyroute2 send, and checks
               what they check in the answers; prints "pass NAME" or "fail NAME: WHY" for each check
    errors     sends every pair of mistakes and prints the error of each; all directors must print
               the same lines

This file describes only the public behavior of the libraries. Both modes empty the table.
"""

import ipaddress
import itertools
import socket
import struct
import sys

from nl import (
    DEL_DEST,
    DEL_SERVICE,
    DEST,
    DST,
    DUMP,
    FLUSH,
    GET_CONFIG,
    GET_INFO,
    GET_SERVICE,
    NEW_DEST,
    NEW_SERVICE,
    SERVICE,
    SET_CONFIG,
    SET_DEST,
    SET_SERVICE,
    SVC,
    TIMEOUT_TCP,
    TIMEOUT_TCP_FIN,
    TIMEOUT_UDP,
    ZERO,
    Family,
    address,
    attribute,
    be16,
    dest,
    nest,
    parse,
    service,
    u16,
    u32,
    u8,
)

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
INET, INET6 = socket.AF_INET, socket.AF_INET6
MASQ, LOCAL, TUNNEL, ROUTE = 0, 1, 2, 3
PERSISTENT, HASHED = 1, 2
ALL = 0xFFFFFFFF
STATS, STATS64 = 10, 12


def say(passed, name, why=""):
    """Reports one check."""
    print(f"pass {name}" if passed else f"fail {name}: {why}", flush=True)


def equal(name, got, wanted):
    """Reports a comparison."""
    say(got == wanted, name, f"{got} instead of {wanted}")


def number(data):
    """A number in the machine's byte order."""
    return int.from_bytes(data, sys.byteorder)


def port(data):
    """A port."""
    return int.from_bytes(data, "big")


def flags(data):
    """The flags of a service, without their mask."""
    return struct.unpack("=II", data)[0]


def packed(text):
    """An address in as many octets as its family needs."""
    return ipaddress.ip_address(text).packed


def union(text):
    """An address in 16 octets."""
    return packed(text).ljust(16, b"\0")


def text(data, family):
    """The address in an answer's 16 octets, as text."""
    return str(ipaddress.ip_address(data[:4] if family == INET else data))


class Library:
    """How a library encodes services and destinations."""

    # A function for the octets of an address.
    pack = staticmethod(packed)
    # The mask that goes with the flags, and the netmasks.
    mask = ALL
    netmasks = {INET: ALL, INET6: 128}

    def __init__(self):
        self.family = Family()
        self.family.call(FLUSH)

    def service(
        self,
        ip="",
        number=0,
        protocol=TCP,
        scheduler="rr",
        given=0,
        timeout=0,
        mark=0,
        family=None,
        netmask=None,
    ):
        """The complete attribute of a service."""
        family = family or (INET6 if ":" in ip else INET)
        fields = {"af": u16(family)}
        if mark:
            fields["fwmark"] = u32(mark)
        else:
            fields |= {"protocol": u16(protocol), "addr": self.pack(ip), "port": be16(number)}
        fields |= {
            "sched": scheduler.encode() + b"\0",
            "flags": struct.pack("=II", given, self.mask),
            "timeout": u32(timeout),
            "netmask": u32(self.netmasks[family] if netmask is None else netmask),
        }
        # No library sets the nested flag.
        return attribute(SERVICE, nest(0, SVC, fields)[4:])

    def dest(self, ip, number, method=MASQ, weight=1, **more):
        """The complete attribute of a destination."""
        fields = {
            "addr": self.pack(ip),
            "port": be16(number),
            "fwd": u32(method),
            "weight": u32(weight),
            "u_thresh": u32(0),
            "l_thresh": u32(0),
        } | more
        return attribute(DEST, nest(0, DST, fields)[4:])

    def do(self, command, *attributes):
        """Performs a command and returns its error."""
        return self.family.error(command, b"".join(attributes))

    def get(self, which):
        """One service."""
        return parse(parse(self.family.call(GET_SERVICE, which)[0][4:])[SERVICE])

    def services(self):
        """All services. The request has an empty attribute."""
        return [
            parse(parse(body[4:])[SERVICE])
            for body in self.family.call(GET_SERVICE, attribute(SERVICE, b""), flags=DUMP)
        ]

    def dests(self, which):
        """The destinations of a service."""
        return self.family.destinations(which)


def kube_proxy():
    """pkg/proxy/ipvs/util, which uses moby's library."""
    lib = Library()
    for ip, family in (("10.96.0.1", INET), ("fd00:96::1", INET6)):
        for given, timeout in ((0, 0), (PERSISTENT, 10800)):
            name = f"kube-proxy: {ip}, flags {given}"
            which = lib.service(ip, 443, given=given, timeout=timeout)
            equal(f"{name}, is added", lib.do(NEW_SERVICE, which), "0")
            for got in (lib.get(which), lib.services()[0]):
                # kube-proxy treats a service without this flag as absent.
                say(
                    flags(got[SVC["flags"]]) & HASHED,
                    f"{name}, is marked as hashed",
                    hex(flags(got[SVC["flags"]])),
                )
                equal(f"{name}, keeps its flags", flags(got[SVC["flags"]]) & ~HASHED, given)
                equal(
                    f"{name}, keeps its other settings",
                    (text(got[3], family), port(got[4]), number(got[2]), got[6], number(got[8])),
                    (ip, 443, TCP, b"rr\0", timeout),
                )
            # kube-proxy edits a service by sending back what it read.
            which = lib.service(
                ip, 443, scheduler="wlc", given=flags(got[SVC["flags"]]), timeout=timeout
            )
            equal(f"{name}, is edited", lib.do(SET_SERVICE, which), "0")
            equal(
                f"{name}, keeps the edit",
                (flags(lib.get(which)[7]), lib.get(which)[6]),
                (given | HASHED, b"wlc\0"),
            )
            real = "10.244.0.7" if family == INET else "fd00:244::7"
            equal(f"{name}, gets an endpoint", lib.do(NEW_DEST, which, lib.dest(real, 6443)), "0")
            (got,) = lib.dests(which)
            equal(
                f"{name}, lists the endpoint",
                (
                    text(got[1], family),
                    port(got[2]),
                    number(got[3]),
                    number(got[4]),
                    number(got[11]),
                ),
                (real, 6443, MASQ, 1, family),
            )
            equal(f"{name}, drains the endpoint", lib.do(SET_DEST, which, lib.dest(real, 6443, weight=0)), "0")
            equal(
                f"{name}, counts the connections of a drained endpoint",
                [number(lib.dests(which)[0][kind]) for kind in (4, 7, 8)],
                [0, 0, 0],
            )
            equal(f"{name}, deletes the endpoint", lib.do(DEL_DEST, which, lib.dest(real, 6443)), "0")
            equal(f"{name}, is deleted", lib.do(DEL_SERVICE, which), "0")
            equal(f"{name}, cannot be deleted twice", lib.do(DEL_SERVICE, which), "ESRCH")


def moby():
    """moby/ipvs: edits from each scheduler and forwarding method to each other one."""
    lib = Library()
    schedulers = ("rr", "lc", "dh", "sh", "wlc", "wrr")
    kinds = (
        (dict(mark=1234, family=INET), INET),
        (dict(mark=1234, family=INET6), INET6),
        (dict(ip="1.2.3.4", number=80), INET),
        (dict(ip="2001:db8:3c4d:15::1a00", number=53, protocol=UDP), INET6),
    )
    for kind, family in kinds:
        name = f"moby: {'mark' if 'mark' in kind else kind['ip']}, family {family}"
        wrong = []
        for before, after in itertools.permutations(schedulers, 2):
            if lib.do(NEW_SERVICE, lib.service(scheduler=before, **kind)) != "0":
                wrong.append(before)
            which = lib.service(scheduler=after, **kind)
            if lib.do(SET_SERVICE, which) != "0" or lib.get(which)[6] != after.encode() + b"\0":
                wrong.append(f"{before} to {after}")
            lib.do(DEL_SERVICE, which)
        equal(f"{name}, can change from each scheduler to each other one", wrong, [])
        equal(f"{name}, can be deleted", lib.services(), [])
        which = lib.service(**kind)
        lib.do(NEW_SERVICE, which)
        # Later requests name the service without a scheduler.
        which = lib.service(scheduler="", **kind)
        reals = (
            ["10.1.1.2", "10.1.1.3", "10.1.1.4"]
            if family == INET
            else [f"2001:db8:3c4d:15::1a2{c}" for c in "bcd"]
        )
        for method, other in itertools.permutations((MASQ, TUNNEL, ROUTE), 2):
            got = [lib.do(NEW_DEST, which, lib.dest(real, 5000, method)) for real in reals]
            got += [lib.do(SET_DEST, which, lib.dest(real, 5000, other)) for real in reals]
            if got == ["0"] * 6:
                got = [
                    (text(entry[1], family), port(entry[2]), number(entry[3]))
                    for entry in lib.dests(which)
                ]
            equal(
                f"{name}, destinations change from method {method} to {other}",
                got,
                [(real, 5000, other) for real in reversed(reals)],
            )
            for real in reals:
                lib.do(DEL_DEST, which, lib.dest(real, 5000, other))
        lib.do(DEL_SERVICE, which)
    seconds = lambda *times: b"".join(
        attribute(kind, u32(time))
        for kind, time in zip((TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP), times)
    )
    before = parse(lib.family.call(GET_CONFIG)[0][4:])
    lib.do(SET_CONFIG, seconds(66, 66, 66))
    lib.do(SET_CONFIG, seconds(77, 0, 77))
    after = parse(lib.family.call(GET_CONFIG)[0][4:])
    equal(
        "moby: a timeout of 0 leaves the value unchanged",
        [number(after[kind]) for kind in (4, 5, 6)],
        [77, 66, 77],
    )
    lib.do(SET_CONFIG, seconds(*(number(before[kind]) for kind in (4, 5, 6))))


def libipvs():
    """mqliang/libipvs: answers have all scheduler flags and "hashed"."""
    lib = Library()
    for scheduler in ("rr", "lc", "dh", "sh"):
        # UDP services and marks are sent without a netmask.
        for kind in (
            dict(ip="1.2.3.4", number=80),
            dict(ip="2.3.4.5", number=53, protocol=UDP, netmask=0),
            dict(mark=1234, netmask=0),
        ):
            which = lib.service(scheduler=scheduler, given=0x38, **kind)
            name = f"libipvs: {scheduler}, {'mark' if 'mark' in kind else kind['ip']}"
            equal(f"{name}, is added", lib.do(NEW_SERVICE, which), "0")
            got = lib.services()[0]
            equal(
                f"{name}, is listed with all flags",
                (got[6], struct.unpack("=II", got[7]), number(got[9])),
                (scheduler.encode() + b"\0", (0x38 | HASHED, ALL), kind.get("netmask", ALL)),
            )
            lib.do(DEL_SERVICE, which)


def gnlpy():
    """facebook/gnlpy."""
    lib = Library()
    lib.pack, lib.mask = union, 0
    which = lib.service("1.1.1.1", 80)
    lib.do(NEW_SERVICE, which)
    key = attribute(
        SERVICE,
        nest(
            0,
            SVC,
            {"af": u16(INET), "port": be16(80), "protocol": u16(TCP), "addr": union("1.1.1.1")},
        )[4:],
    )
    for number_ in (8080, 8081):
        lib.do(NEW_DEST, key, lib.dest("2.2.2.1", number_, TUNNEL, family=u16(INET)))
    equal(
        "gnlpy: the newest destination is listed first",
        [port(entry[2]) for entry in lib.dests(key)],
        [8081, 8080],
    )
    lib.do(SET_DEST, key, lib.dest("2.2.2.1", 8080, TUNNEL, 100, family=u16(INET)))
    equal(
        "gnlpy: an edited destination keeps its place",
        [(port(entry[2]), number(entry[4])) for entry in lib.dests(key)],
        [(8081, 1), (8080, 100)],
    )
    lib.do(DEL_DEST, key, lib.dest("2.2.2.1", 8081, TUNNEL, family=u16(INET)))
    equal("gnlpy: a deleted destination is no longer listed", [port(entry[2]) for entry in lib.dests(key)], [8080])
    for method, real in enumerate(("2.2.2.2", "2.2.2.3", "2.2.2.4", "2.2.2.5")):
        equal(
            f"gnlpy: forwarding method {method} is accepted",
            lib.do(NEW_DEST, key, lib.dest(real, 80, method, family=u16(INET))),
            "0",
        )
    equal(
        "gnlpy: every forwarding method is listed",
        [number(entry[3]) for entry in lib.dests(key)],
        [3, 2, 1, 0, TUNNEL],
    )
    mark, mark6 = lib.service(mark=10), lib.service(mark=10, family=INET6)
    equal("gnlpy: a mark is accepted", lib.do(NEW_SERVICE, mark), "0")
    equal("gnlpy: the same mark of the other family is accepted", lib.do(NEW_SERVICE, mark6), "0")
    equal("gnlpy: adding a mark twice fails", lib.do(NEW_SERVICE, mark), "EEXIST")
    lib.do(NEW_DEST, mark, lib.dest("2.2.2.1", 0, TUNNEL, family=u16(INET)))
    equal(
        "gnlpy: deleting a destination with a wrong port fails",
        lib.do(DEL_DEST, mark, lib.dest("2.2.2.1", 80, family=u16(INET))),
        "ENOENT",
    )
    equal("gnlpy: a mark of the other family is deleted", lib.do(DEL_SERVICE, mark6), "0")
    equal("gnlpy: a mark cannot be deleted twice", lib.do(DEL_SERVICE, mark6), "ESRCH")
    equal("gnlpy: a request for an absent service fails", lib.do(GET_SERVICE, lib.service("1.1.1.4", 8080)), "ESRCH")
    equal(
        "gnlpy: an absent service lists no destinations", lib.dests(lib.service("1.1.1.4", 8080)), []
    )
    equal(
        "gnlpy: netmask and timeout do not identify a service",
        lib.do(DEL_SERVICE, lib.service("1.1.1.1", 80, netmask=0)),
        "0",
    )


def seesaw():
    """google/seesaw: complete statistics, thresholds, a version."""
    lib = Library()
    lib.pack = union
    info = parse(lib.family.call(GET_INFO)[0][4:])
    equal("seesaw: the version is 1.2.1", number(info[1]), 0x10201)
    which = lib.service("192.0.2.1", 53, UDP, "wlc", PERSISTENT, 100)
    lib.do(NEW_SERVICE, which)
    equal(
        "seesaw: a destination is accepted",
        lib.do(
            NEW_DEST,
            which,
            lib.dest("192.0.2.10", 53, ROUTE, u_thresh=u32(2000), l_thresh=u32(1000)),
        ),
        "0",
    )
    got, (server,) = lib.get(which), lib.dests(which)
    equal(
        "seesaw: thresholds and counts are listed",
        [number(server[kind]) for kind in (5, 6, 7, 8, 9)],
        [2000, 1000, 0, 0, 0],
    )
    for name, entry in (("service", got), ("destination", server)):
        sizes = {kind: len(value) for kind, value in parse(entry[STATS]).items() if kind != 11}
        equal(
            f"seesaw: the statistics of a {name} are complete",
            sizes,
            dict.fromkeys((1, 2, 3, 6, 7, 8, 9, 10), 4) | {4: 8, 5: 8},
        )
        sizes = {kind: len(value) for kind, value in parse(entry[STATS64]).items() if kind != 11}
        equal(f"seesaw: the 64-bit statistics of a {name} are complete", sizes, dict.fromkeys(range(1, 11), 8))
    equal("seesaw: no engine is named", SVC["pe"] in got, False)
    equal("seesaw: a service keeps its flags", flags(got[7]), PERSISTENT | HASHED)
    equal(
        "seesaw: an IPv6 service without a netmask is refused",
        lib.do(NEW_SERVICE, lib.service("2002::cafe", 53, UDP, netmask=0)),
        "EINVAL",
    )


def pyroute2():
    """pyroute2: every destination has tunnel attributes, masks have 16 bits, keys are complete."""
    lib = Library()
    lib.mask = 0xFFFF
    which = lib.service("192.168.122.1", 80, scheduler="wlc")
    equal("pyroute2: a service is accepted", lib.do(NEW_SERVICE, which), "0")
    for count, (method, kind, number_, flag) in enumerate(
        (
            (ROUTE, 0, 0, 0),
            (MASQ, 1, 6080, 1),
            (ROUTE, 2, 0, 1),
            (TUNNEL, 0, 6080, 0),
            (TUNNEL, 0, 0, 1),
            (TUNNEL, 1, 6080, 2),
            (TUNNEL, 2, 6080, 1),
        )
    ):
        real = lib.dest(
            f"10.0.2.{count + 1}",
            80,
            method,
            family=u16(INET),
            tun_type=u8(kind),
            tun_port=be16(number_),
            tun_flags=u16(flag),
        )
        equal(
            f"pyroute2: method {method}, tunnel {kind}, {number_}, {flag} is accepted",
            lib.do(NEW_DEST, which, real),
            "0",
        )
        got = lib.dests(which)[0]
        equal(
            f"pyroute2: method {method}, tunnel {kind}, {number_}, {flag} is listed as sent",
            (number(got[3]), number(got[13]), port(got[14]), number(got[15])),
            (method, kind, number_, flag),
        )
    equal("pyroute2: the service is deleted", lib.do(DEL_SERVICE, which), "0")


def persistence():
    """Requests about persistent services that any library may send."""
    lib = Library()
    which = lib.service("192.0.2.1", 80, given=PERSISTENT, timeout=0)
    equal("a persistent service with a timeout of 0 is accepted", lib.do(NEW_SERVICE, which), "0")
    equal("a timeout of 0 is listed as 0", number(lib.get(which)[8]), 0)
    which = lib.service("192.0.2.2", 80, scheduler="none")
    equal("a service with the scheduler none is accepted", lib.do(NEW_SERVICE, which), "0")
    equal("the scheduler none is listed", lib.get(which)[6], b"none\0")
    equal("a service without a scheduler accepts a destination", lib.do(NEW_DEST, which, lib.dest("192.0.2.10", 80)), "0")
    equal("a service without a scheduler accepts a scheduler", lib.do(SET_SERVICE, lib.service("192.0.2.2", 80)), "0")
    equal("a service accepts the removal of its scheduler", lib.do(SET_SERVICE, which), "0")
    equal("a service without its former scheduler lists none", lib.get(which)[6], b"none\0")
    for netmask in (0, 129):
        for name, kind in (
            ("an IPv6 service", dict(ip="fd00::1", number=80)),
            ("an IPv6 mark", dict(mark=7, family=INET6)),
        ):
            equal(
                f"{name} with the prefix {netmask} is refused",
                lib.do(NEW_SERVICE, lib.service(netmask=netmask, **kind)),
                "EINVAL",
            )
    lib.family.call(FLUSH)


# Mistakes: a name and the fields that the mistake changes.
SERVICE_MISTAKES = {
    "no family": {"af": None},
    "family 7": {"af": u16(7)},
    "no protocol": {"protocol": None},
    "no address": {"addr": None},
    "no port": {"port": None},
    "another service": {"addr": address("10.1.0.101")},
    "no scheduler": {"sched": None},
    "no flags": {"flags": None},
    "no timeout": {"timeout": None},
    "no netmask": {"netmask": None},
    "an unknown scheduler": {"sched": b"nosuch\0"},
    "a scheduler's name that is too long": {"sched": b"x" * 16 + b"\0"},
    "no scheduler's name": {"sched": b"\0"},
    "an unknown engine": {"pe": b"nosuch\0"},
    "half a port": {"port": b"\1"},
    "half a timeout": {"timeout": b"\1"},
    "prefix 0": {"af": u16(INET6), "addr": socket.inet_pton(INET6, "fd00::1"), "netmask": u32(0)},
}
DEST_MISTAKES = {
    "no address": {"addr": None},
    "no port": {"port": None},
    "family 7": {"family": u16(7)},
    "no method": {"fwd": None},
    "no weight": {"weight": None},
    "no upper threshold": {"u_thresh": None},
    "no lower threshold": {"l_thresh": None},
    "the other family by NAT": {"family": u16(INET6), "addr": socket.inet_pton(INET6, "fd00::2")},
    "a negative weight": {"weight": u32(0x80000000)},
    "half a weight": {"weight": b"\1"},
    "crossed thresholds": {"u_thresh": u32(1), "l_thresh": u32(2)},
    "an immense threshold": {"u_thresh": u32(0x80000000)},
    "GUE without a port": {"fwd": u32(2), "tun_type": u8(1)},
    "another destination": {"addr": address("10.2.0.12")},
    "a multicast destination": {"addr": address("224.0.0.1")},
}
SERVICE_COMMANDS = {
    "add": NEW_SERVICE,
    "edit": SET_SERVICE,
    "delete": DEL_SERVICE,
    "get": GET_SERVICE,
    "zero": ZERO,
}
DEST_COMMANDS = {"add": NEW_DEST, "edit": SET_DEST, "delete": DEL_DEST}


def requests():
    """Each command with each mistake and each pair of mistakes: name, command, attributes."""
    single = [({name}, changes, {}) for name, changes in SERVICE_MISTAKES.items()]
    twice = [
        ({one, other}, SERVICE_MISTAKES[one] | SERVICE_MISTAKES[other], {})
        for one, other in itertools.combinations(SERVICE_MISTAKES, 2)
        if not set(SERVICE_MISTAKES[one]) & set(SERVICE_MISTAKES[other])
    ]
    # Some mistakes make a valid request: "another service" can be added.
    for word, command in SERVICE_COMMANDS.items():
        for names, changes, _ in (*single, *twice):
            yield f"{word} a service: {', '.join(sorted(names))}", command, nest(
                SERVICE, SVC, service(**changes)
            ), b""
    single = [({name}, changes) for name, changes in DEST_MISTAKES.items()]
    twice = [
        ({one, other}, DEST_MISTAKES[one] | DEST_MISTAKES[other])
        for one, other in itertools.combinations(DEST_MISTAKES, 2)
        if not set(DEST_MISTAKES[one]) & set(DEST_MISTAKES[other])
    ]
    key = dict.fromkeys(("sched", "flags", "timeout", "netmask"))
    for word, command in DEST_COMMANDS.items():
        for names, changes in (*single, *twice):
            yield (
                f"{word} a destination: {', '.join(sorted(names))}",
                command,
                nest(SERVICE, SVC, service(**key)),
                nest(DEST, DST, dest(**changes)),
            )
        for (one, of_service), (other, changes) in itertools.product(
            SERVICE_MISTAKES.items(), DEST_MISTAKES.items()
        ):
            # The other fields do not belong to a key.
            if set(of_service) & {"af", "protocol", "addr", "port"}:
                yield (
                    f"{word} a destination: service: {one}; {other}",
                    command,
                    nest(SERVICE, SVC, service(**key | of_service)),
                    nest(DEST, DST, dest(**changes)),
                )
        yield f"{word} a destination: none", command, nest(SERVICE, SVC, service(**key)), b""
        yield f"{word} a destination: none, of no service", command, b"", b""
    for kind in (TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP):
        yield f"half a timeout {kind}", SET_CONFIG, attribute(kind, b"\1"), b""
        yield f"half a timeout {kind}, negative timeouts", SET_CONFIG, attribute(
            kind, b"\1"
        ), b"".join(attribute(other, u32(0x80000000)) for other in (4, 5, 6) if other != kind)


def errors():
    """Prints the error of each request and reverts the accepted ones."""
    family = Family()

    def begin():
        family.call(FLUSH)
        family.call(NEW_SERVICE, nest(SERVICE, SVC, service()))
        family.call(NEW_DEST, nest(SERVICE, SVC, service()) + nest(DEST, DST, dest()))

    begin()
    for name, command, which, server in requests():
        error = family.error(command, which + server)
        print(f"{name}: {error}")
        if error == "0":
            begin()
    family.call(FLUSH)


if __name__ == "__main__":
    if sys.argv[1] == "errors":
        errors()
    else:
        for check in (kube_proxy, moby, libipvs, gnlpy, seesaw, pyroute2, persistence):
            check()
