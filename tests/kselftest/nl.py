# SPDX-License-Identifier: GPL-2.0-only
"""The generic netlink families IPVS and ipvs_rs, octet by octet, so messages can have any mistake.

This file has the wire format; netlink_checks.py has the expected answers.
"""

import errno
import os
import socket
import struct

NETLINK_GENERIC = 16
CONTROLLER, GET_FAMILY, FAMILY_ID, FAMILY_NAME = 16, 3, 1, 2
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, MULTI, ACK, DUMP_INTR, DUMP = 0x1, 0x2, 0x4, 0x10, 0x300
ACK_TLVS = 0x200
NESTED = 0x8000
SOL_NETLINK, CAP_ACK, EXT_ACK = 270, 10, 11

# Commands of the family.
(NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST,
 NEW_DAEMON, DEL_DAEMON, GET_DAEMON, SET_CONFIG, GET_CONFIG, SET_INFO, GET_INFO, ZERO, FLUSH) = range(1, 18)

# Attributes of a command.
SERVICE, DEST, DAEMON, TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP = range(1, 7)

# The family "ipvs_rs": commands, attributes of a message, and of a connection.
GET_MODULE, GET_CONNECTIONS, GET_TABLE, APPLY, GET_DROPS, EVENT, KILL = range(1, 8)
(MODULE_VERSION, MODULE_FEATURES, CONNECTION, TABLE_SERVICE, TABLE_DEST, CHANGE, DONE, NO_STATISTICS, DROPS,
 EXECUTED, ATOMIC) = range(1, 12)
CONN = {"protocol": 1, "state": 2, "expires": 3, "client": 4, "client_port": 5, "virtual": 6, "virtual_port": 7,
        "server": 8, "server_port": 9, "client_prefix": 10, "virtual_prefix": 11, "server_prefix": 12}
# The attributes that identify a connection.
CONN_IDENTITY = (1, 4, 5, 6, 7, 8, 9)

# Attributes of a service and of a destination, under the names that the checks use.
SVC = {"af": 1, "protocol": 2, "addr": 3, "port": 4, "fwmark": 5, "sched": 6, "flags": 7, "timeout": 8,
       "netmask": 9, "stats": 10, "pe": 11}
DST = {"addr": 1, "port": 2, "fwd": 3, "weight": 4, "u_thresh": 5, "l_thresh": 6, "family": 11,
       "tun_type": 13, "tun_port": 14, "tun_flags": 15}

# The attributes by which listings are compared.
SVC_IDENTITY = (1, 2, 3, 4, 5, 6, 7, 8, 9)
DST_IDENTITY = (1, 2, 3, 4, 5, 6)


def attribute(kind, payload):
    """One padded attribute."""
    head = struct.pack("=HH", 4 + len(payload), kind)
    return head + payload + bytes(-len(payload) % 4)


def u8(value):
    """An octet."""
    return struct.pack("=B", value)


def u16(value):
    """16 bits in the machine's byte order."""
    return struct.pack("=H", value)


def u32(value):
    """32 bits in the machine's byte order."""
    return struct.pack("=I", value)


def be16(value):
    """16 bits in network byte order, such as ports."""
    return struct.pack(">H", value)


def address(text):
    """An IPv4 address in 16 octets, as the commands send it."""
    return socket.inet_aton(text) + bytes(12)


def service(**changes):
    """All fields of a service. Fields that are changed to None are left out."""
    fields = {"af": u16(socket.AF_INET), "protocol": u16(socket.IPPROTO_TCP), "addr": address("10.1.0.100"),
              "port": be16(80), "sched": b"rr\0", "flags": struct.pack("=II", 0, 0xFFFFFFFF), "timeout": u32(0),
              "netmask": u32(0xFFFFFFFF)} | changes
    return {name: value for name, value in fields.items() if value is not None}


def dest(**changes):
    """All fields of a destination. Fields that are changed to None are left out."""
    fields = {"family": u16(socket.AF_INET), "addr": address("10.2.0.11"), "port": be16(80), "fwd": u32(0),
              "weight": u32(1), "u_thresh": u32(0), "l_thresh": u32(0)} | changes
    return {name: value for name, value in fields.items() if value is not None}


def nest(kind, names, fields):
    """A nested attribute of named fields. A field's name may be its number."""
    inner = b"".join(attribute(names.get(name, name), value) for name, value in fields.items())
    return attribute(kind | NESTED, inner)


def svc(**changes):
    """The attribute for a service."""
    return nest(SERVICE, SVC, service(**changes))


def dst(**changes):
    """The attribute for a destination."""
    return nest(DEST, DST, dest(**changes))


def key(**changes):
    """The attribute for a service with the fields that identify it."""
    absent = dict.fromkeys(("sched", "flags", "timeout", "netmask"))
    return nest(SERVICE, SVC, service(**absent | changes))


def conn(**fields):
    """The attribute for a connection with these fields."""
    return nest(CONNECTION, CONN, fields)


def change(command, data=b""):
    """The attribute for a change that is a command of the family IPVS."""
    return attribute(CHANGE | NESTED, attribute(1, u8(command)) + attribute(2 | NESTED, data))


def parse(data):
    """The attributes in some octets as a dictionary. Raises ValueError if they are malformed."""
    found = {}
    while data:
        if len(data) < 4:
            raise ValueError("octets after the last attribute")
        size, kind = struct.unpack_from("=HH", data)
        if size < 4 or size > len(data):
            raise ValueError("an attribute longer than its message")
        kind &= 0x3FFF
        if kind in found:
            raise ValueError("an attribute twice")
        found[kind] = data[4:size]
        data = data[(size + 3) & ~3:]
    return found


class Refused(Exception):
    """An error that the kernel returned."""

    def __init__(self, code):
        # The number of changes that were applied before, if the answer has it.
        self.done = None
        super().__init__("EOPNOTSUPP" if code == errno.EOPNOTSUPP else errno.errorcode.get(code, str(code)))
        self.code = code


class Family:
    """A socket for messages to the family."""

    def __init__(self, receive=16384, name=b"IPVS"):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.sock.settimeout(10 * int(os.environ.get("TIME_SCALE", "1")))
        self.sock.bind((0, 0))
        # Errors contain the header of the request and the kernel's message.
        self.sock.setsockopt(SOL_NETLINK, CAP_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        self.receive = receive
        self.sequence = 0
        # The kernel's message for the last error.
        self.sentence = ""
        # Found in the list of all families, because a request by name would load a module.
        self.number = None
        for body in self.talk(CONTROLLER, struct.pack("=BBH", GET_FAMILY, 1, 0), DUMP):
            family = parse(body[4:])
            if family[FAMILY_NAME] == name + b"\0":
                self.number = struct.unpack("=H", family[FAMILY_ID])[0]
        if self.number is None:
            raise Refused(errno.ENOENT)

    def talk(self, kind, data, flags):
        """Sends a message and returns the octets of the answers. Raises Refused."""
        self.sequence += 1
        message = struct.pack("=IHHII", 16 + len(data), kind, REQUEST | flags, self.sequence, 0) + data
        self.sock.send(message)
        return self.answers()

    def answers(self):
        """All answers to the last message."""
        found = []
        while True:
            data = self.sock.recv(self.receive)
            while data:
                size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data)
                if size < 16 or size > len(data):
                    raise ValueError("a message longer than its datagram")
                body = data[16:size]
                data = data[(size + 3) & ~3:]
                if sequence != self.sequence:
                    continue
                if kind == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    details = parse(body[20:]) if flags & ACK_TLVS else {}
                    self.sentence = details.get(1, b"").rstrip(b"\0").decode()
                    if code:
                        refused = Refused(code)
                        if found and DONE in (answer := parse(found[0][4:])):
                            refused.done = struct.unpack("=I", answer[DONE])[0]
                        raise refused
                    return found
                if kind == NLMSG_DONE:
                    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                    if code > 0:
                        raise Refused(code)
                    return found
                found.append(body)

    def call(self, command, data=b"", flags=ACK, version=1):
        """Sends a command of the family."""
        return self.talk(self.number, struct.pack("=BBH", command, version, 0) + data, flags)

    def error(self, *arguments, **options):
        """The name of the error of a command, or "0"."""
        try:
            self.call(*arguments, **options)
        except Refused as refused:
            return str(refused)
        return "0"

    def services(self):
        """All services as dictionaries, from a dump."""
        return [parse(parse(body[4:])[SERVICE]) for body in self.call(GET_SERVICE, flags=DUMP)]

    def destinations(self, which):
        """All destinations of a service, which is given by its attribute, from a dump."""
        return [parse(parse(body[4:])[DEST]) for body in self.call(GET_DEST, which, flags=DUMP)]

    def connections(self, which=b""):
        """The selected connections as dictionaries, from a dump."""
        return [parse(parse(body[4:])[CONNECTION]) for body in self.call(GET_CONNECTIONS, which, flags=DUMP)]

    def table(self):
        """The whole configuration in a format that can be compared."""
        rows = []
        for entry in self.services():
            which = {kind: entry[kind] for kind in (1, 2, 3, 4, 5) if kind in entry}
            servers = self.destinations(nest(SERVICE, {}, which))
            rows.append((tuple(entry.get(kind) for kind in SVC_IDENTITY),
                         tuple(sorted(tuple(server.get(kind) for kind in DST_IDENTITY) for server in servers))))
        return sorted(rows, key=repr)
