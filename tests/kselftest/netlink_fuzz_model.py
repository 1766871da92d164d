# SPDX-License-Identifier: GPL-2.0-only
"""A model of the director: its answers to any datagram, and its table.

It follows Documentation/netlink.rst and shares no code with the director. This file has the rules;
netlink_fuzz_messages.py has the kinds of mistakes.
"""

import functools
import ipaddress
import struct

from nl import (ACK, DEL_DEST, DEL_SERVICE, DEST, DUMP, FLUSH, GET_CONFIG, GET_DAEMON, GET_DEST, GET_INFO, GET_SERVICE,
                NEW_DAEMON, NEW_DEST, NEW_SERVICE, REQUEST, SERVICE, SET_CONFIG, SET_DEST, SET_SERVICE, SVC, DST, ZERO,
                DEL_DAEMON, nest)

ACTS = {NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, NEW_DAEMON, DEL_DAEMON,
        SET_CONFIG, GET_CONFIG, GET_INFO, ZERO, FLUSH}
DUMPS = {GET_SERVICE, GET_DEST, GET_DAEMON}
# The errors that a refusal may have.
ERRORS = {"EPERM", "EINVAL", "ERANGE", "EAFNOSUPPORT", "EPROTONOSUPPORT", "EOPNOTSUPP", "ENOENT", "ESRCH", "EEXIST"}
LONGEST = 8_589_934
INET, INET6 = 2, 10
TCP, UDP, SCTP = 6, 17, 132
PERSISTENT, HASHED, ONE_PACKET = 1, 2, 4
# The sizes of attributes in octets. A negative number is a maximum.
SVC_LENGTHS = {"af": 2, "protocol": 2, "addr": -16, "port": 2, "fwmark": 4, "sched": -16, "flags": 8, "timeout": 4, "netmask": 4,
               "pe": -17}
DST_LENGTHS = {"addr": -16, "port": 2, "fwd": 4, "weight": 4, "u_thresh": 4, "l_thresh": 4, "family": 2, "tun_type": 1,
               "tun_port": 2, "tun_flags": 2}
# A well-formed key that belongs to no service.
NOBODY = ("nobody",)
# The attributes by which tables are compared.
SVC_ROW = (1, 2, 3, 4, 5, 6, 7, 8, 9)
DST_ROW = (1, 2, 3, 4, 5, 6, 11, 13, 14, 15)
# The result of a message: accepted, refused, or a listing.
DONE, REFUSED, LISTING = "done", "refused", "listing"


def attributes(data):
    """The attributes in some octets, as (kind, payload) in order. None if they are malformed."""
    found, at, end = [], 0, len(data)
    while at < end:
        if end - at < 4:
            return None
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4 or size > end - at:
            return None
        found.append((kind & 0x3FFF, data[at + 4 : at + size]))
        at += (size + 3) & ~3
    return found


def chain(data):
    """The attributes in some octets by kind, the last of each. None if they are malformed."""
    found = attributes(data)
    return None if found is None else dict(found)


def number(data, size):
    """A number of that many octets in the machine's byte order, or None."""
    return int.from_bytes(data, "little") if data is not None and len(data) == size else None


@functools.lru_cache(20000)
def service_key(data):
    """The key in a service's nest: (family, protocol, address, port), (family, mark) or NOBODY.

    None if it is malformed.
    """
    fields = chain(data)
    if not fields or not fits(data, SVC, SVC_LENGTHS):
        return None
    family = number(fields.get(SVC["af"]), 2)
    if family not in (INET, INET6):
        return None
    if SVC["fwmark"] in fields:
        mark = number(fields[SVC["fwmark"]], 4)
        return (family, mark) if mark else NOBODY
    protocol, port = number(fields.get(SVC["protocol"]), 2), number(fields.get(SVC["port"]), 2)
    address = fields.get(SVC["addr"], b"")
    if None in (protocol, port) or len(address) < (4 if family == INET else 16):
        return None
    address = host(address, family)
    if protocol not in (TCP, UDP, SCTP) or address is None:
        return NOBODY
    return (family, protocol, address, fields[SVC["port"]])


def host(data, family):
    """The octets of an address, 4 or 16. None if it is not valid for the family."""
    if data is None or len(data) > 16:
        return None
    if family == INET:
        return data[:4] if len(data) >= 4 else None
    if len(data) != 16 or data.startswith(bytes(10) + b"\xff\xff"):
        return None
    return data


def fits(data, names, lengths):
    """True if every attribute has its length, also repeated ones and unneeded ones."""
    sizes = {names[name]: size for name, size in lengths.items()}
    for kind, given in attributes(data):
        size = sizes.get(kind)
        if size is not None and (len(given) > -size if size < 0 else len(given) != size):
            return False
    return True


def string(data):
    """A string without its terminator. None if octets follow the terminator."""
    if data is None:
        return None
    text = data.rstrip(b"\0")
    return None if b"\0" in text else text


def persistence(family, timeout, netmask):
    """True if a persistent service can have this timeout and granularity."""
    if timeout > LONGEST:
        return False
    return family == INET or 1 <= int.from_bytes(netmask, "little") <= 128


@functools.lru_cache(20000)
def service_settings(data):
    """(scheduler, flags, mask, timeout, netmask) in a service's nest, or None."""
    fields, key = chain(data), service_key(data)
    if key in (None, NOBODY):
        return None
    flags = fields.get(SVC["flags"], b"")
    timeout, netmask = number(fields.get(SVC["timeout"]), 4), fields.get(SVC["netmask"], b"")
    name, engine = string(fields.get(SVC["sched"])), string(fields.get(SVC["pe"], b""))
    if len(flags) != 8 or timeout is None or len(netmask) != 4 or name is None or engine != b"":
        return None
    flags, mask = struct.unpack("=II", flags)
    if key[0] == INET6 and not 1 <= int.from_bytes(netmask, "little") <= 128:
        return None
    return name, flags, mask, timeout, netmask


@functools.lru_cache(20000)
def dest_key(data, family):
    """(family, address, port) in a destination's nest, for a service of this family. Or None."""
    fields = chain(data)
    if not fields or not fits(data, DST, DST_LENGTHS):
        return None
    if DST["family"] in fields:
        own = number(fields[DST["family"]], 2)
        if own is None:
            return None
        family = own or family
    if family not in (INET, INET6) or number(fields.get(DST["port"]), 2) is None:
        return None
    address = host(fields.get(DST["addr"]), family)
    if address is None:
        return None
    is_a = ipaddress.ip_address(address)
    if is_a.is_unspecified or is_a.is_multicast or address == b"\xff" * 4:
        return None
    return family, address, fields[DST["port"]]


@functools.lru_cache(20000)
def dest_settings(data, family, service_family):
    """(method, weight, upper, lower, tunnel, its port, its flags) in a destination's nest, or
    None."""
    fields = chain(data)
    counts = (number(fields.get(DST[name]), 4) for name in ("fwd", "weight", "u_thresh", "l_thresh"))
    method, weight, upper, lower = counts
    tunnel = number(fields.get(DST["tun_type"], b"\0"), 1)
    flags = number(fields.get(DST["tun_flags"], b"\0\0"), 2)
    port = fields.get(DST["tun_port"], b"\0\0")
    if None in (method, weight, upper, lower, tunnel, flags) or len(port) != 2:
        return None
    # Only with NAT the director keeps the flag that replies bypass it.
    method = method & 7 or method & 0x80
    if 4 < method < 8 or weight > 0x7FFFFFFF or upper > 0x7FFFFFFF or lower > upper:
        return None
    if tunnel == 1 and port == b"\0\0":
        return None
    if method != 2 and family != service_family:
        return None
    # Destinations without a tunnel also keep these attributes.
    if method == 2 and not (tunnel == 0 or tunnel == 1 and flags <= 2 or tunnel == 2 and flags <= 1):
        return None
    return method, weight, upper, lower, tunnel, port, flags


class Model:
    """The model receives the same messages as the director."""

    def __init__(self, family, schedulers, timeouts):
        self.family = family
        self.schedulers = {*schedulers, b"none"}
        self.timeouts = timeouts
        # Services by key, in the order in which they were added: (scheduler, flags, timeout,
        # netmask), destinations.
        self.services = {}
        # True while a listing of the socket is unfinished. A socket can have one at a time.
        self.listing = False
        self.changes = 0

    def datagram(self, data):
        """The expected answers, as (sequence number, result), in order."""
        answers, at, end = [], 0, len(data)
        self.listing = False
        while end - at >= 16:
            size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, at)
            if size < 16 or size > end - at:
                break
            what = self.message(kind, flags, data[at + 16 : at + size])
            if what != DONE or flags & ACK:
                answers.append((sequence, what))
            at += (size + 3) & ~3
        return answers

    def message(self, kind, flags, body):
        """The result of one message."""
        if not flags & REQUEST or kind < 16:
            return DONE
        if kind != self.family or len(body) < 4:
            return REFUSED
        command, attributes = body[0], body[4:]
        if flags & DUMP == DUMP:
            return self.dump(command, attributes)
        if command not in ACTS or not self.act(command, attributes):
            return REFUSED
        return DONE

    def dump(self, command, attributes):
        """The result of a request for a listing. An empty listing ends at once."""
        if command not in DUMPS or self.listing:
            return REFUSED
        if command == GET_SERVICE:
            self.listing = bool(self.services)
        if command == GET_DEST:
            key = service_key((chain(attributes) or {}).get(SERVICE, b""))
            if key is None:
                return REFUSED
            self.listing = bool(self.services.get(key, ({}, {}))[1])
        return LISTING

    def act(self, command, attributes):
        """Performs a command if it is legal. Returns whether it was."""
        given = chain(attributes)
        if given is None or command in (NEW_DAEMON, DEL_DAEMON):
            return False
        if command in (GET_INFO, GET_CONFIG):
            return True
        if command == SET_CONFIG:
            return self.set_timeouts(given)
        if command == FLUSH:
            self.changes += 1
            self.services.clear()
            return True
        if command == ZERO and SERVICE not in given:
            return True
        nested = given.get(SERVICE, b"")
        key = service_key(nested)
        if key in (None, NOBODY) or (command == NEW_SERVICE) == (key in self.services):
            return False
        if command in (ZERO, GET_SERVICE):
            return True
        if command in (NEW_SERVICE, SET_SERVICE):
            return self.set_service(key, nested)
        self.changes += 1
        if command == DEL_SERVICE:
            del self.services[key]
            return True
        return self.set_dest(command, key, given.get(DEST, b""))

    def set_timeouts(self, given):
        """SET_CONFIG."""
        wanted = [number(given.get(kind, bytes(4)), 4) for kind in (4, 5, 6)]
        if None in wanted or max(wanted) > LONGEST:
            return False
        self.timeouts = tuple(new or old for new, old in zip(wanted, self.timeouts))
        self.changes += 1
        return True

    def set_service(self, key, nested):
        """NEW_SERVICE with a free key, or SET_SERVICE with a used one."""
        settings = service_settings(nested)
        if settings is None or settings[0] not in self.schedulers:
            return False
        name, flags, mask, timeout, netmask = settings
        before, dests = self.services.get(key, ((None, 0, 0, 0), {}))
        flags = (before[1] & ~mask | flags & mask) & ~HASHED
        if flags & PERSISTENT and not persistence(key[0], timeout, netmask):
            return False
        self.services[key] = (name, flags, timeout, netmask), dests
        self.changes += 1
        return True

    def set_dest(self, command, key, nested):
        """A command about a destination of an existing service."""
        dests = self.services[key][1]
        which = dest_key(nested, key[0])
        if which is None or (command == NEW_DEST) == (which in dests):
            return False
        if command == DEL_DEST:
            del dests[which]
            return True
        settings = dest_settings(nested, which[0], key[0])
        if settings is None:
            return False
        dests[which] = settings
        return True

    def table(self):
        """The table in the format of read_table()."""
        rows = []
        for key, ((name, flags, timeout, netmask), dests) in self.services.items():
            family = struct.pack("=H", key[0])
            if len(key) == 2:
                which = (family, None, None, None, struct.pack("=I", key[1]))
            else:
                which = (family, struct.pack("=H", key[1]), key[2].ljust(16, b"\0"), key[3], None)
            settings = (name + b"\0", struct.pack("=II", flags | HASHED, 0xFFFFFFFF), struct.pack("=I", timeout), netmask)
            rows.append((which + settings, tuple(dest_row(*dest) for dest in reversed(dests.items()))))
        return struct.pack("=III", *self.timeouts), rows


def dest_row(which, settings):
    """A destination in the format of read_table()."""
    method, weight, upper, lower, tunnel, port, flags = settings
    counts = struct.pack("=IIII", method, weight, upper, lower)
    return (which[1].ljust(16, b"\0"), which[2], *(counts[at : at + 4] for at in (0, 4, 8, 12)),
            struct.pack("=H", which[0]), bytes([tunnel]), port, struct.pack("=H", flags))


def read_table(family):
    """The director's timeouts and its whole table, in the director's order."""
    rows = []
    for entry in family.services():
        row = tuple(entry.get(kind) for kind in SVC_ROW)
        key = nest(SERVICE, {}, {kind: entry[kind] for kind in SVC_ROW[:5] if kind in entry})
        servers = family.destinations(key)
        rows.append((row, tuple(tuple(server.get(kind) for kind in DST_ROW) for server in servers)))
    timeouts = chain(family.call(GET_CONFIG)[0][4:])
    return b"".join(timeouts[kind] for kind in (4, 5, 6)), rows


def illegal(rows):
    """The rows of a table that are not legal."""
    found = [row for row, _ in rows
             if row[6][0] & PERSISTENT and not persistence(row[0][0], int.from_bytes(row[7], "little"), row[8])]
    keys = [row[:5] for row, _ in rows]
    found += [key for key in keys if keys.count(key) > 1]
    for row, servers in rows:
        keys = [(server[0], server[1], server[6]) for server in servers]
        found += [(row, key) for key in keys if keys.count(key) > 1]
        found += [(row, server) for server in servers if server[2][0] not in (0, 1, 2, 3, 4, 0x80)]
    return found
