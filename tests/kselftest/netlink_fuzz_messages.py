# SPDX-License-Identifier: GPL-2.0-only
"""Datagrams of valid, nearly valid and arbitrarily wrong messages. A seed determines them.

This file has the kinds of mistakes; netlink_fuzz_model.py has the director's reactions. Parts are
created once and combined for each message, which is fast enough for a slow machine.
"""

import random
import socket
import struct

from nl import (ACK, DEL_DEST, DEL_SERVICE, DEST, DST, DUMP, FLUSH, GET_CONFIG, GET_DAEMON, GET_DEST, GET_INFO,
                GET_SERVICE, NESTED, NEW_DAEMON, NEW_DEST, NEW_SERVICE, REQUEST, SERVICE, SET_CONFIG, SET_DEST,
                SET_SERVICE, SVC, TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP, ZERO, attribute, be16, u8, u16, u32)

# The number of messages in a datagram.
BATCH = 96
PARTS = 800
V4, V6 = u16(socket.AF_INET), u16(socket.AF_INET6)
VIRTUAL = {V4: ("10.1.0.100", "10.1.0.101"), V6: ("fd00:0:0:1::100", "fd00:0:0:1::101")}
REAL = {V4: ("10.2.0.11", "10.2.0.12", "10.1.0.1", "255.255.255.254"),
        V6: ("fd00:0:0:2::11", "fd00:0:0:2::12", "fd00:0:0:1::1")}
NO_HOST = {V4: ("0.0.0.0", "224.0.0.1", "255.255.255.255"), V6: ("::", "ff02::1", "::ffff:10.2.0.11")}
NUMBERS = (0, 1, 2, 3, 7, 80, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 8589934, 8589935, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
NETMASKS = {V4: ("255.255.255.255", "255.255.0.0", "128.0.0.0", "0.0.0.0", "255.0.255.0"), V6: (128, 64, 1, 0, 129)}
# A command that is listed more often is sent more often.
COMMANDS = ([NEW_SERVICE] * 6 + [SET_SERVICE] * 4 + [DEL_SERVICE] * 2 + [GET_SERVICE] * 2 + [NEW_DEST] * 8 +
            [SET_DEST] * 5 + [DEL_DEST] * 3 +
            [GET_DEST, NEW_DAEMON, GET_DAEMON, SET_CONFIG, SET_CONFIG, GET_CONFIG, GET_INFO, ZERO])
# The module's other families: commands, and a nest's kind with the kinds and sizes of its fields.
# A table of regions without a region, which is refused.
LOAD_REGIONS, REGIONS = 14, b"lvs1" + bytes(20)
OTHERS = {b"ipvs_rs": ((1, 2, 2, 2, LOAD_REGIONS, 15), 3, ((1, 1), (4, 4), (5, 2), (6, 4), (6, 16), (7, 2), (8, 16), (9, 2), (10, 1),
                                         (11, 1), (12, 1)))}
STRANGE = (0, 10, 14, FLUSH + 1, 18, 19, 64, 127, 128, 255)


def packed(text, family):
    """An address in 16 octets. `family` is the attribute with its family."""
    return socket.inet_pton(socket.AF_INET if family == V4 else socket.AF_INET6, text).ljust(16, b"\0")


class Messages:
    """The messages of one seed for the family with this number."""

    def __init__(self, seed, family, schedulers):
        self.random = random.Random(seed).random
        self.family = family
        self.schedulers = [name + b"\0" for name in schedulers]
        self.commands = COMMANDS
        self.services = [self.wronged(SERVICE, self.service()) for _ in range(PARTS)]
        self.keys = [self.wronged(SERVICE, self.key(self.service())) for _ in range(PARTS // 2)]
        self.dests = [self.wronged(DEST, self.dest()) for _ in range(PARTS)]
        self.configs = [b"".join(attribute(kind, self.wrong_value(u32(self.pick(NUMBERS)), 0.1))
                                 for kind in (TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP) if self.chance(0.7))
                        for _ in range(PARTS // 8)]
        self.others = [attribute(self.kind(), self.octets(self.below(40))) for _ in range(PARTS // 8)]

    def again(self, seed):
        """Starts again with the same parts, because creating them is slow."""
        self.random = random.Random(seed).random
        return self

    # --- random choices ---------------------------------------------------------------------------

    def below(self, limit):
        """A number from 0 up to but not including the limit."""
        return int(self.random() * limit)

    def pick(self, things):
        """One of the things."""
        return things[int(self.random() * len(things))]

    def chance(self, share):
        """True with this probability."""
        return self.random() < share

    def octets(self, count):
        """Random octets."""
        return bytes(self.below(256) for _ in range(count))

    # --- parts ------------------------------------------------------------------------------------

    def service(self):
        """The fields of a service as (kind, value)."""
        family = self.pick((V4, V4, V6))
        named = {"af": family}
        if self.chance(0.25):
            named["fwmark"] = u32(self.pick((1, 1, 2, 0xFFFFFFFF)))
        else:
            named |= {"protocol": u16(self.pick((6, 6, 17))), "addr": packed(self.pick(VIRTUAL[family]), family),
                      "port": be16(self.pick((80, 443)))}
        flags = self.pick((0, 0, 0, 1, 4, 5, 2, 0x38, 0xFFFFFFFA, 0xFFFFFFFF))
        mask = self.pick((0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 1, 0xFFFFFFFE))
        netmask = self.pick(NETMASKS[family])
        netmask = socket.inet_aton(netmask) if family == V4 else u32(netmask)
        named |= {"sched": self.pick(self.schedulers), "flags": struct.pack("=II", flags, mask),
                  "timeout": u32(self.pick((300, 1, 0, 8589934, 8589935))), "netmask": netmask}
        if self.chance(0.05):
            named["pe"] = self.pick((b"\0", b"nosuch\0", b"x" * 40))
        return [(SVC[name], value) for name, value in named.items()]

    @staticmethod
    def key(fields):
        """The fields that identify a service."""
        return [field for field in fields if field[0] <= SVC["fwmark"]]

    def dest(self):
        """The fields of a destination as (kind, value)."""
        family = self.pick((V4, V4, V6))
        host = self.pick((REAL if self.chance(0.97) else NO_HOST)[family])
        named = {"addr": packed(host, family), "port": be16(self.pick((80, 81))),
                 "fwd": u32(self.pick((0, 0, 2, 2, 3, 1, 4, 0x102, 0xFFFFFFF8))),
                 "weight": u32(self.pick((1, 1, 0, 100, 0x7FFFFFFF, 0x80000000))),
                 "u_thresh": u32(self.pick((0, 0, 5, 0x7FFFFFFF, 0x80000000))),
                 "l_thresh": u32(self.pick((0, 0, 0, 5)))}
        if self.chance(0.8):
            named["family"] = self.pick((family, family, family, family, u16(0), V4, V6))
        if self.chance(0.5):
            named |= {"tun_type": u8(self.pick((0, 1, 2, 3))), "tun_port": be16(self.pick((6080, 0))),
                      "tun_flags": u16(self.pick((0, 1, 2, 3)))}
        return [(DST[name], value) for name, value in named.items()]

    def kind(self):
        """Any kind of attribute."""
        return self.pick((0, 1, 2, 3, 5, 9, 12, 16, 17, 64, 255, 0x3FFF, 0x4001, 0x7FFF, 0x8001, 0xFFFF))

    def wrong_value(self, value, share):
        """A value that is too short, too long, or random."""
        if not self.chance(share):
            return value
        return self.pick((value[:-1], value[: self.below(len(value) + 1)], b"", value + b"\0", value + self.octets(5),
                          value * 3, self.octets(len(value)), b"\xff" * len(value), bytes(len(value)),
                          self.octets(200)))

    def wronged(self, kind, fields):
        """The nest of some fields. Seven of ten have a mistake."""
        wrongs = self.pick((0, 0, 0, 1, 1, 1, 1, 1, 2, 4))
        for _ in range(wrongs):
            fields = self.wrong_fields(list(fields))
        parts = [attribute(*field) for field in fields]
        if wrongs and self.chance(0.3):
            at = self.below(len(parts) + 1)
            parts[at : at + 1] = [self.wrong_frame(parts[at] if at < len(parts) else b"")]
        inner = b"".join(parts)
        if wrongs and self.chance(0.05):
            # Cut off, without padding, or with octets that are not an attribute.
            inner = self.pick((inner[: self.below(len(inner) + 1)], inner[:-2], inner + self.octets(3)))
        outer = attribute(kind | self.pick((NESTED, NESTED, NESTED, 0, 0x4000)), inner)
        if wrongs and self.chance(0.05):
            outer = self.pick((self.wrong_frame(outer), inner, attribute(kind | NESTED, outer), attribute(kind, b"")))
        return outer

    def wrong_fields(self, fields):
        """The fields with one absent, repeated, renumbered or wrong."""
        if not fields:
            return fields
        at = self.below(len(fields))
        kind, value = fields[at]
        way = self.below(8)
        if way == 0:
            del fields[at]
        elif way == 1:
            fields.append((kind, self.wrong_value(value, 0.7)))
        elif way == 2:
            fields[at] = self.kind(), value
        elif way == 3:
            fields[at] = kind | self.pick((NESTED, 0x4000)), attribute(self.kind(), value)
        elif way == 4:
            fields.insert(self.below(len(fields)), (self.kind(), self.octets(self.below(12))))
        elif way == 5:
            fields.reverse()
        else:
            fields[at] = kind, self.wrong_value(value, 1)
        return fields

    def wrong_frame(self, data):
        """An attribute with a wrong length or without padding."""
        data = data or attribute(self.kind(), self.octets(4))
        size = struct.unpack_from("=H", data)[0]
        lie = self.pick((size + 1, size + 4, size - 1, size - 4, 0, 1, 3, 4, 0xFFFF, 0xFFFC, 0x8000, size * 2))
        return self.pick((u16(lie & 0xFFFF) + data[2:], u16(lie & 0xFFFF) + data[2:], data[:-1], data + b"\0\0"))

    # --- messages ---------------------------------------------------------------------------------

    def attributes(self, command):
        """The attributes of a command."""
        if command in (NEW_SERVICE, SET_SERVICE):
            parts = [self.pick(self.services)]
        elif command in (NEW_DEST, SET_DEST, DEL_DEST):
            parts = [self.pick(self.keys), self.pick(self.dests)]
        elif command in (SET_CONFIG, GET_CONFIG, GET_INFO, FLUSH):
            parts = [self.pick(self.configs)] if command == SET_CONFIG or self.chance(0.1) else []
        else:
            parts = [self.pick(self.keys)]
        if self.chance(0.08):
            way = self.below(6)
            if way == 0:
                parts.reverse()
            elif way == 1:
                parts.append(self.pick(self.others))
            elif way == 2:
                parts.insert(0, self.pick(self.services))
            elif way == 3:
                parts.append(self.pick(self.pick((self.services, self.dests))))
            elif way == 4 and parts:
                del parts[self.below(len(parts))]
            else:
                whole = b"".join(parts)
                parts = [whole[: self.below(len(whole) + 1)]]
        return b"".join(parts)

    def body(self):
        """The generic header and the attributes of one message."""
        command = self.pick(self.commands)
        if self.chance(0.03):
            command = self.pick(STRANGE)
        elif self.chance(0.004):
            command = FLUSH
        version, rest = 1, 0
        if self.chance(0.03):
            version, rest = self.below(256), self.pick((0, 1, 0xFFFF))
        data = struct.pack("=BBH", command, version, rest) + self.attributes(command)
        return data if self.chance(0.995) else data[: self.below(8)]

    def datagram(self):
        """A batch of messages. The last may have a wrong length or be followed by other octets."""
        parts = []
        for sequence in range(1, BATCH + 1):
            body = self.body()
            kind, flags = self.family, REQUEST | ACK
            if self.chance(0.08):
                both = REQUEST | ACK
                flags = self.pick((REQUEST, ACK, 0, both | DUMP, REQUEST | DUMP, both | 0x100, both | 0x200,
                                   both | 0xC08, both | DUMP | 0xFCF8))
            elif body[:1] in (b"\x04", b"\x08", b"\x0b") and self.chance(0.5):
                flags |= DUMP
            if self.chance(0.005):
                kind = self.pick((0, 1, 2, 3, 15, self.family + 100, 0xFFFF))
            size = 16 + len(body)
            lies = sequence == BATCH and self.chance(0.15)
            if lies:
                size = self.pick((0, 15, 16, 17, 20, size - 1, size - 4, size + 1, size + 4, 0x10000, 0x7FFFFFFF,
                                  0xFFFFFFFF))
            parts.append(struct.pack("=IHHII", size, kind, flags, sequence, self.pick((0, 0, 0, 1, 0xFFFFFFFF))) + body)
            parts.append(bytes(-len(body) % 4))
        if self.chance(0.1):
            parts.append(self.octets(self.below(40)))
        return b"".join(parts)


class OtherMessages(Messages):
    """The messages of one seed for one of the other families."""

    def __init__(self, seed, family, name):
        super().__init__(seed, family, [b"rr"])
        self.commands, kind, fields = OTHERS[name]
        self.services = [self.wronged(kind, [(field, self.value(size)) for field, size in fields if self.chance(0.2)])
                         for _ in range(PARTS)]

    def value(self, size):
        """A value of this size."""
        return self.pick((bytes(size), self.octets(size), b"\x04".ljust(size, b"\x10")))

    def attributes(self, command):
        """A nest, nothing, or random octets."""
        if self.chance(0.2):
            return b""
        if command == LOAD_REGIONS:
            # A table with a correct beginning, in pieces.
            return b"".join(attribute(13, self.pick((REGIONS, self.octets(self.below(40)))))
                            for _ in range(self.below(4)))
        return self.pick(self.services) if self.chance(0.9) else self.pick(self.others)
