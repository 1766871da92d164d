#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Requests for services and destinations that few programs make, and the director's answers.

All directors must print the same lines. The table is empty afterwards.
"""

import struct
import sys

from nl import (
    DEST,
    DST,
    FLUSH,
    NEW_DEST,
    NEW_SERVICE,
    SERVICE,
    SET_SERVICE,
    SVC,
    Family,
    be16,
    dest,
    nest,
    service,
    u16,
    u32,
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
    family.call(FLUSH)


if __name__ == "__main__":
    sys.exit(main())
