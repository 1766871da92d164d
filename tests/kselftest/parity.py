#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Requests for services and destinations that few programs make, and the director's answers.

parity.py               requests that both directors answer alike: both print the same lines
parity.py nonsense      requests that only the C director accepts

The table is empty afterwards.
"""

import struct
import sys

from nl import (
    DEL_DEST,
    DEL_SERVICE,
    DEST,
    DST,
    FLUSH,
    NEW_DEST,
    NEW_SERVICE,
    SERVICE,
    SET_CONFIG,
    SET_DEST,
    SET_INFO,
    SET_SERVICE,
    SVC,
    ZERO,
    Family,
    address,
    attribute,
    be16,
    dest,
    nest,
    service,
    u16,
    u32,
    u8,
)

ALL = 0xFFFFFFFF
PERSISTENT, ONE_PACKET = 1, 4
MASKS = ([255, 255, 255, 0], [255, 0, 255, 0], [0, 0, 0, 255], [0, 0, 0, 0])

# The fields of services that are added, and edited into one another.
SERVICES = {
    "one-packet scheduling on TCP": {"flags": ONE_PACKET},
    "all scheduler flags": {"flags": 0x38},
    "hashed": {"flags": 2},
    "persistent for 0 seconds": {"flags": PERSISTENT, "timeout": u32(0)},
    "an empty engine": {"pe": b"\0"},
    "an unknown engine": {"pe": b"nosuch\0"},
    "an engine with a path": {"pe": b"../x\0"},
    "no scheduler": {"sched": b"none\0"},
    "no scheduler, persistent": {"sched": b"none\0", "flags": PERSISTENT, "timeout": u32(60)},
    **{
        f"persistent by the mask {'.'.join(map(str, mask))}": {"flags": PERSISTENT, "timeout": u32(60), "netmask": bytes(mask)}
        for mask in MASKS
    },
}

SIX = bytes.fromhex("fd000000000000010000000000000100")
# One field of a service that few programs send. None leaves it out.
ODD_SERVICES = {
    **{f"family {number}": {"af": u16(number)} for number in (0, 1, 255)},
    "SCTP": {"protocol": u16(132)},
    "no family": {"af": None},
    "no protocol": {"protocol": None},
    "no address": {"addr": None},
    "an address of 4 octets": {"addr": address("10.1.0.100")[:4]},
    "no port": {"port": None},
    "a mark beside an address": {"fwmark": u32(5)},
    "a mark": {"fwmark": u32(5), "protocol": None, "addr": None, "port": None},
    "the highest mark": {"fwmark": u32(ALL), "protocol": None, "addr": None, "port": None},
    "a mark, one-packet": {"fwmark": u32(5), "protocol": None, "addr": None, "port": None, "flags": ONE_PACKET},
    "the address 0.0.0.0": {"addr": address("0.0.0.0")},
    "a multicast address": {"addr": address("224.0.0.1")},
    "a loopback address": {"addr": address("127.0.0.1")},
    "no scheduler's name": {"sched": None},
    "a scheduler without a name": {"sched": b"\0"},
    "a long name of a scheduler": {"sched": b"x" * 15 + b"\0"},
    "a name of a scheduler that is too long": {"sched": b"x" * 16 + b"\0"},
    "a scheduler with a space": {"sched": b"r r\0"},
    "no flags": {"flags": None},
    "no timeout": {"timeout": None},
    "no netmask": {"netmask": None},
    "a timeout without persistence": {"timeout": u32(60)},
    **{f"persistent for {seconds} seconds": {"flags": PERSISTENT, "timeout": u32(seconds)}
       for seconds in (1, 86400, 2147483, 4294967)},
    "unknown flags": {"flags": 0xFFFFFF00},
    "IPv6": {"af": u16(10), "addr": SIX, "netmask": u32(128)},
    **{f"IPv6, persistent, prefix {bits}": {"af": u16(10), "addr": SIX, "netmask": u32(bits),
                                           "flags": PERSISTENT, "timeout": u32(60)} for bits in (0, 1, 64, 128, 129, 255)},
    "IPv6, prefix 0": {"af": u16(10), "addr": SIX, "netmask": u32(0)},
    "IPv6, one-packet": {"af": u16(10), "addr": SIX, "netmask": u32(128), "flags": ONE_PACKET, "protocol": u16(17)},
    "an engine, persistent": {"pe": b"nosuch\0", "flags": PERSISTENT, "timeout": u32(60)},
    "a long name of an engine": {"pe": b"x" * 15 + b"\0"},
    "a name of an engine that is too long": {"pe": b"x" * 16 + b"\0"},
    "the engine sip": {"pe": b"sip\0", "flags": PERSISTENT, "timeout": u32(60), "protocol": u16(17)},
    "the engine sip without persistence": {"pe": b"sip\0", "protocol": u16(17)},
    "statistics": {"stats": b""},
    "an unknown attribute": {77: b"abcd"},
}
GUE = {"fwd": u32(2), "tun_type": u8(1), "tun_port": be16(6080)}
ODD_DESTINATIONS = {
    **{f"method {number}": {"fwd": u32(number)} for number in (8, 0x1000)},
    **{f"family {number}": {"family": u16(number)} for number in (0, 10, 255)},
    "no family": {"family": None},
    "IPv6 through a tunnel": {"family": u16(10), "addr": SIX, "fwd": u32(2)},
    "no address": {"addr": None},
    "the address 0.0.0.0": {"addr": address("0.0.0.0")},
    "a multicast address": {"addr": address("224.0.0.1")},
    "the broadcast address": {"addr": address("255.255.255.255")},
    "a local address": {"addr": address("10.1.0.1")},
    "a loopback address": {"addr": address("127.0.0.1")},
    "no port": {"port": None},
    "port 0": {"port": be16(0)},
    "another port, direct routing": {"port": be16(8080), "fwd": u32(3)},
    "another port, tunnel": {"port": be16(8080), "fwd": u32(2)},
    **{f"{name} missing": {name: None} for name in ("fwd", "weight", "u_thresh", "l_thresh")},
    "weight -1": {"weight": u32(ALL)},
    "the highest weight": {"weight": u32(2**31 - 1)},
    "the lower threshold above the upper": {"u_thresh": u32(3), "l_thresh": u32(4)},
    "the lower threshold alone": {"l_thresh": u32(4)},
    "the highest thresholds": {"u_thresh": u32(ALL), "l_thresh": u32(ALL)},
    "both thresholds": {"u_thresh": u32(8), "l_thresh": u32(4)},
    **{f"tunnel type {number}": GUE | {"tun_type": u8(number)} for number in (0, 1, 2)},
    "GUE without a port": {"fwd": u32(2), "tun_type": u8(1)},
    "GUE with port 0": GUE | {"tun_port": be16(0)},
    **{f"tunnel flags {number}": GUE | {"tun_flags": u16(number)} for number in (1, 2)},
    "a tunnel type with NAT": {"tun_type": u8(2)},
    "an unknown attribute": {77: b"abcd"},
}
# What only the C director accepts.
NONSENSE_SERVICES = {
    **{f"protocol {number}": {"protocol": u16(number)} for number in (0, 1, 50, 262, 65535)},
    "the mark 0 without an address": {"fwmark": u32(0), "protocol": None, "addr": None, "port": None},
    "flags of 4 octets": {"flags": u32(0)},
    "persistent for 136 years": {"flags": PERSISTENT, "timeout": u32(ALL)},
}
NONSENSE_DESTINATIONS = {
    **{f"method {number}": {"fwd": u32(number)} for number in (5, 6, 7, ALL)},
    **{f"tunnel type {number}": GUE | {"tun_type": u8(number)} for number in (3, 255)},
    **{f"GUE flags {number}": GUE | {"tun_flags": u16(number)} for number in (3, 4, 0xFFFF)},
    "GRE with remote checksums": {"fwd": u32(2), "tun_type": u8(2), "tun_flags": u16(2)},
}
ODD_CONFIGURATIONS = {
    "timeouts of 0": (0, 0, 0),
    "timeouts": (901, 121, 301),
    "the highest timeouts": (ALL, ALL, ALL),
    "timeouts above the clock": (2147483, 2147484, 21474836),
}


def with_fields(changes):
    """The attribute for a service with changed fields. Flags may be a number."""
    changes = dict(changes)
    if isinstance(changes.get("flags"), int):
        changes["flags"] = struct.pack("=II", changes["flags"], ALL)
    values = service() | changes
    return nest(SERVICE, SVC, {name: value for name, value in values.items() if value is not None})


def with_destination(changes):
    """The attribute for a destination with changed fields."""
    values = dest() | changes
    return nest(DEST, DST, {name: value for name, value in values.items() if value is not None})


def nonsense():
    """Requests that only the C director accepts: a line for each."""
    family = Family()
    for name, changes in NONSENSE_SERVICES.items():
        family.call(FLUSH)
        print(f"{name}: {family.error(NEW_SERVICE, with_fields(changes))}")
    for name, changes in NONSENSE_DESTINATIONS.items():
        family.call(FLUSH)
        family.call(NEW_SERVICE, with_fields({}))
        print(f"{name}: {family.error(NEW_DEST, with_fields({}) + with_destination(changes))}")
    family.call(FLUSH)


def main():
    """Prints a line for each request."""
    family = Family()

    def attempt(command, attributes):
        return family.error(command, attributes)

    def listed():
        out = []
        for fields in family.services():
            flags = struct.unpack("=II", fields[7])
            mask = ".".join(map(str, fields[9]))
            out.append(f"{fields[6].decode().rstrip(chr(0))} {flags[0]:#x}/{flags[1]:#x} {struct.unpack('=I', fields[8])[0]} s {mask} {11 in fields}")
        return "; ".join(out)

    def fields(changes):
        changes = {"netmask": u32(ALL), **changes}
        changes["flags"] = struct.pack("=II", changes.get("flags", 0), ALL)
        return nest(SERVICE, SVC, service(**changes))

    for name, changes in SERVICES.items():
        family.call(FLUSH)
        print(f"add: {name}: {attempt(NEW_SERVICE, fields(changes))}: {listed()}")
        family.call(FLUSH)
        family.call(NEW_SERVICE, fields({"protocol": u16(6)}))
        print(f"edit: {name}: {attempt(SET_SERVICE, fields(changes))}: {listed()}")
    for method, name in enumerate(("NAT", "local", "tunnel", "direct routing", "bypass")):
        family.call(FLUSH)
        family.call(NEW_SERVICE, fields({}))
        target = nest(DEST, DST, dest(fwd=u32(method), port=be16(80)))
        print(f"a destination: {name}: {attempt(NEW_DEST, fields({}) + target)}")
        with open("/proc/net/ip_vs", encoding="ascii") as table:
            print("".join(table.readlines()[3:]), end="")
    odd(family)


def odd(family):
    """Requests that differ from an ordinary one in one field."""
    def table():
        # The directors have different orders.
        for attributes in sorted(family.services(), key=str):
            shown = {kind: value.hex() for kind, value in sorted(attributes.items()) if kind not in (10, 12)}
            print(f"    {shown}")
            which = {kind: attributes[kind] for kind in (1, 2, 3, 4, 5) if kind in attributes}
            for server in family.destinations(nest(SERVICE, {}, which)):
                print(f"        {({kind: value.hex() for kind, value in sorted(server.items()) if kind not in (10, 12)})}")
        with open("/proc/net/ip_vs", encoding="ascii") as text:
            print("".join(sorted(text.readlines()[3:])), end="")

    for name, changes in ODD_SERVICES.items():
        for command, verb in ((NEW_SERVICE, "add"), (SET_SERVICE, "edit"), (DEL_SERVICE, "delete"), (ZERO, "zero")):
            family.call(FLUSH)
            if command != NEW_SERVICE:
                family.call(NEW_SERVICE, with_fields({}))
                family.call(NEW_SERVICE, with_fields({"af": u16(10), "addr": SIX, "netmask": u32(128)}))
                family.call(NEW_SERVICE, with_fields(ODD_SERVICES["a mark"]))
            print(f"{verb}: {name}: {family.error(command, with_fields(changes))}")
            if command not in (ZERO, DEL_SERVICE):
                table()
    for name, changes in ODD_DESTINATIONS.items():
        for command, verb in ((NEW_DEST, "add"), (SET_DEST, "edit"), (DEL_DEST, "delete")):
            family.call(FLUSH)
            family.call(NEW_SERVICE, with_fields({}))
            if command != NEW_DEST:
                family.call(NEW_DEST, with_fields({}) + with_destination({}))
            print(f"{verb} a destination: {name}: {family.error(command, with_fields({}) + with_destination(changes))}")
            table()
    family.call(FLUSH)
    for name, seconds in ODD_CONFIGURATIONS.items():
        values = b"".join(attribute(kind, u32(value)) for kind, value in enumerate(seconds, 4))
        print(f"{name}: {family.error(SET_CONFIG, values)}")
        for body in family.call(SET_CONFIG + 1):
            print(body[4:].hex())
    family.call(SET_CONFIG, b"".join(attribute(kind, u32(value)) for kind, value in enumerate((900, 120, 300), 4)))
    print(f"the director's version: {[body[4:8].hex() for body in family.call(SET_INFO + 1)]}")
    for command in (0, 18, 99):
        print(f"command {command}: {family.error(command, b'')}")
    for version in (0, 2, 255):
        print(f"version {version}: {family.error(FLUSH, b'', version=version)}")


if __name__ == "__main__":
    sys.exit(nonsense() if sys.argv[1:] == ["nonsense"] else main())
