#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends COUNT hostile netlink messages to the director and reports wrong reactions.

    netlink_fuzz.py alone SEED COUNT      each message gets the expected answer, and the table equals
                                          that of a model
    netlink_fuzz.py elsewhere SEED COUNT  the same through a socket of another network namespace:
                                          nothing changes here
    netlink_fuzz.py refused SEED COUNT    as the user nobody, through a socket that root opened, and
                                          as root of another user namespace: nothing changes
    netlink_fuzz.py race SEED COUNT       four senders at once, while another process lists: each
                                          message is answered, all tables are legal
    netlink_fuzz.py others SEED COUNT     the module's other families: each message is answered, and
                                          none changes anything

The same SEED gives the same messages. Prints a line of numbers and exits with 0 if all is well.
"""

import collections
import errno
import gc
import os
import socket
import struct
import sys

from netlink_fuzz_messages import BATCH, OTHERS, Messages, OtherMessages
from netlink_fuzz_model import DONE, ERRORS, LISTING, REFUSED, Model, illegal, read_table
from nl import ACK, FLUSH, NETLINK_GENERIC, NLMSG_DONE, NLMSG_ERROR, REQUEST, Family, attribute

SOL_NETLINK, CAP_ACK, EXT_ACK = 270, 10, 11
SO_RCVBUFFORCE = 33
RACERS = 4
NOBODY = 65534


class Wrong(Exception):
    """The director reacted wrongly."""


def schedulers():
    """The loaded schedulers. The test loads them all."""
    with open("/proc/modules", encoding="ascii") as modules:
        names = [line.split()[0] for line in modules]
    helpers = ("ipvs_rs_ftp", "ipvs_rs_pe_sip")
    return [name.removeprefix("ipvs_rs_").encode() for name in names if name.startswith("ipvs_rs_") and name not in helpers]


class Line:
    """A socket that sends whole datagrams and returns all their answers."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.sock.bind((0, 0))
        # Room for all answers of a datagram. Without privilege, the default must do.
        for size in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                self.sock.setsockopt(socket.SOL_SOCKET, size, 4 << 20)
                break
            except PermissionError:
                pass
        # Errors with explanations, but without a copy of the request.
        self.sock.setsockopt(SOL_NETLINK, CAP_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        self.sock.setblocking(False)

    def say(self, datagram):
        """Sends a datagram and returns its answers. The kernel has finished it by then."""
        self.sock.send(datagram)
        return self.hear()

    def hear(self):
        """The available answers, as (sequence number, kind, error number), in order."""
        found = []
        while True:
            try:
                data = self.sock.recv(32768)
            except BlockingIOError:
                return found
            at, end = 0, len(data)
            while at < end:
                size, kind, _, sequence, _ = struct.unpack_from("=IHHII", data, at)
                if size < 16 or size > end - at:
                    raise Wrong("a message longer than its datagram")
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    found.append((sequence, kind, -struct.unpack_from("=i", data, at + 16)[0]))
                at += (size + 3) & ~3


def name(code):
    """The name of an error."""
    return "EOPNOTSUPP" if code == errno.EOPNOTSUPP else errno.errorcode.get(code, str(code))


def shown(datagram, wanted):
    """The messages of this number, as text."""
    return " and ".join(datagram[at : at + max(size, 16)].hex() for at, size, _, _, sequence in walk(datagram)
                        if sequence == wanted)


def walk(datagram):
    """The messages of a datagram, as the kernel finds them: start, size, kind, flags, number."""
    at = 0
    while len(datagram) - at >= 16:
        size, kind, flags, sequence = struct.unpack_from("=IHHI", datagram, at)
        yield at, size, kind, flags, sequence
        if size < 16 or size > len(datagram) - at:
            break
        at += (size + 3) & ~3


def compare(due, answers, datagram):
    """Compares the answers with the expected ones."""
    wanted, given = collections.defaultdict(list), collections.defaultdict(list)
    for sequence, what in due:
        wanted[sequence].append(what)
    for sequence, kind, code in answers:
        if code and name(code) not in ERRORS | {"EBUSY"}:
            raise Wrong(f"message {sequence} is refused with {name(code)}: {shown(datagram, sequence)}")
        given[sequence].append(LISTING if kind == NLMSG_DONE else REFUSED if code else DONE)
    for sequence in wanted.keys() | given.keys():
        if wanted[sequence] != given[sequence]:
            codes = [name(code) for number, _, code in answers if number == sequence]
            raise Wrong(f"message {sequence} is answered by {given[sequence]} ({codes}), due is {wanted[sequence]}:"
                        f" {shown(datagram, sequence)}")


def alone(seed, count, family, line=None):
    """One sender, and a model that has each answer and the table after each datagram."""
    line = line or Line()
    family.call(FLUSH)
    # The stateless mode of oneip has rules of its own.
    names = [scheduler for scheduler in schedulers() if scheduler != b"oneip"]
    table = read_table(family)
    model = Model(family.number, names, struct.unpack("=III", table[0]))
    messages = Messages(seed, family.number, names)
    said = collections.Counter()
    for sent in range(0, count, BATCH):
        datagram = messages.datagram()
        due = model.datagram(datagram)
        compare(due, line.say(datagram), datagram)
        after = read_table(family)
        if after != model.table():
            raise Wrong(f"after {sent} messages the table is {after} instead of {model.table()}: {datagram.hex()}")
        wrong = illegal(after[1])
        if wrong:
            raise Wrong(f"after {sent} messages the table has {wrong[0]}: {datagram.hex()}")
        said.update(what for _, what in due)
    print(*(f"{number} {what}" for what, number in sorted(said.items())), f"{model.changes} changes")
    if min(said[DONE], said[REFUSED]) * 20 < count or said[LISTING] * 200 < count or model.changes * 25 < count:
        raise Wrong("some kinds of messages are hardly there")
    family.call(FLUSH)
    if read_table(family)[1]:
        raise Wrong("a flush leaves something")


def elsewhere(seed, count):
    """A socket belongs to the namespace in which it was created."""
    here = Family()
    before = read_table(here)
    if not before[1]:
        raise Wrong("there is no table to be left alone")
    with open("/proc/self/ns/net", encoding="ascii") as home:
        os.unshare(os.CLONE_NEWNET)
        there, line = Family(), Line()
        os.setns(home.fileno(), os.CLONE_NEWNET)
    alone(seed, count, there, line)
    if read_table(here) != before:
        raise Wrong("the table here has changed")


def inherited():
    """A socket that root opened and the user nobody uses."""
    line = Line()
    os.setuid(NOBODY)
    return line


def nobody():
    """A socket of the user nobody."""
    os.setuid(NOBODY)
    return Line()


def another_users_root():
    """Root of a user namespace that does not own this network namespace."""
    os.setuid(NOBODY)
    os.unshare(os.CLONE_NEWUSER)
    return Line()


def child(function, *arguments):
    """Starts a process for the function. The process prints its errors."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        try:
            function(*arguments)
            sys.stdout.flush()
            os._exit(0)
        except BaseException as error:  # This process ends here in any case.
            print(f"{function.__name__}: {error!r}"[:4000], flush=True)
            os._exit(1)
    return process


def end(processes):
    """Waits for processes. All must exit with 0."""
    if any([os.waitpid(process, 0)[1] for process in processes]):
        raise Wrong("a process failed")


def refused_one(become, messages, count):
    """One caller without privilege."""
    line = become()
    model = Model(messages.family, [], (0, 0, 0))
    answered = 0
    for _ in range(0, count, BATCH):
        datagram = messages.datagram()
        answers = line.say(datagram)
        # The model of a director without schedulers refuses everything that needs privilege.
        due = model.datagram(datagram)
        if [sequence for sequence, what in due if what == REFUSED and sequence not in {given[0] for given in answers}]:
            raise Wrong(f"not all are answered: {datagram.hex()}")
        for sequence, kind, code in answers:
            if kind == NLMSG_DONE or code == 0 and not control(datagram, sequence):
                raise Wrong(f"message {sequence} is accepted: {shown(datagram, sequence)}")
            if code and name(code) not in ("EPERM", "EINVAL", "EOPNOTSUPP", "ENOENT"):
                raise Wrong(f"message {sequence} is refused with {name(code)}: {shown(datagram, sequence)}")
            answered += name(code) == "EPERM"
    print(f"{become.__name__}: {answered} EPERM", end="; ")


def control(datagram, wanted):
    """True if no family sees the message: it is no request, or one of netlink's own types."""
    return any(sequence == wanted and (kind < 16 or not flags & REQUEST)
               for _, _, kind, flags, sequence in walk(datagram))


def refused(seed, count):
    """Callers without privilege."""
    family = Family()
    before = read_table(family)
    if not before[1]:
        raise Wrong("there is no table to be left alone")
    messages = Messages(seed, family.number, [b"rr", b"wlc"])
    ways = (nobody, inherited, another_users_root)
    for offset, become in enumerate(ways):
        end([child(refused_one, become, messages.again(seed + offset), count // len(ways))])
    if read_table(family) != before:
        raise Wrong("the table has changed")
    print()


def racer(messages, count):
    """One of several processes that change the same services."""
    line = Line()
    answered = collections.Counter()
    for _ in range(0, count, BATCH):
        datagram = messages.datagram()
        for sequence, _, code in line.say(datagram):
            if code and name(code) not in ERRORS | {"EBUSY", "EAGAIN"}:
                raise Wrong(f"message {sequence} is refused with {name(code)}: {shown(datagram, sequence)}")
            answered[bool(code)] += 1
    if min(answered.values()) * 50 < count or sum(answered.values()) * 10 < count * 9:
        raise Wrong(f"of {count} messages {answered[False]} were accepted and {answered[True]} refused")


def reader(stop):
    """Lists until it is stopped. Every list must be legal."""
    family = Family()
    listings = 0
    while not os.path.exists(stop):
        rows = [(tuple(entry.get(kind) for kind in range(1, 10)), ()) for entry in family.services()]
        for row, _ in rows:
            key = {kind: value for kind, value in zip(range(1, 6), row) if value is not None}
            inner = b"".join(attribute(*field) for field in key.items())
            family.destinations(attribute(1, inner))
        # A service that is deleted and added again in the meantime may appear twice, once without a
        # scheduler.
        living = [row for row in rows if row[0][5] != b"none\0"]
        if illegal(living):
            raise Wrong(f"a listing has {illegal(living)[0]}")
        listings += 1
    print(f"{listings} listings", end="; ")


def race(seed, count):
    """Several senders at once."""
    family = Family()
    messages = Messages(seed, family.number, schedulers())
    stop = f"/tmp/netlink_fuzz.{os.getpid()}"
    reading = child(reader, stop)
    try:
        end([child(racer, messages.again(seed + offset), count // RACERS) for offset in range(RACERS)])
    finally:
        with open(stop, "w", encoding="ascii"):
            pass
        end([reading])
        os.unlink(stop)
    after = read_table(family)
    if illegal(after[1]):
        raise Wrong(f"the table has {illegal(after[1])[0]}")
    family.call(FLUSH)
    if read_table(family)[1]:
        raise Wrong("a flush leaves something")
    print(f"{len(after[1])} services left")


def others(seed, count):
    """The families without a model."""
    family, line = Family(), Line()
    before = read_table(family)
    if not before[1]:
        raise Wrong("there is no table to be left alone")
    for other in OTHERS:
        messages = OtherMessages(seed, Family(name=other).number, other)
        said = collections.Counter()
        for _ in range(0, count // len(OTHERS), BATCH):
            datagram = messages.datagram()
            answers = line.say(datagram)
            for sequence, kind, code in answers:
                if code and name(code) not in ERRORS | {"EBUSY"}:
                    raise Wrong(f"message {sequence} is refused with {name(code)}: {shown(datagram, sequence)}")
                said[LISTING if kind == NLMSG_DONE else REFUSED if code else DONE] += 1
            given = collections.Counter(sequence for sequence, _, _ in answers)
            for _, _, kind, flags, sequence in walk(datagram):
                # The last message may have a broken frame, and trailing octets are no message.
                if sequence < BATCH and flags & ACK and given[sequence] != 1:
                    raise Wrong(f"{given[sequence]} answers to message {sequence}: {shown(datagram, sequence)}")
        print(other.decode(), *(f"{number} {what}" for what, number in sorted(said.items())))
        if min(said[DONE], said[REFUSED]) * 20 < count or not said[LISTING]:
            raise Wrong("some kinds of messages are hardly there")
    if read_table(family) != before:
        raise Wrong("the table has changed")


if __name__ == "__main__":
    # Garbage collection takes time, and there is no garbage.
    gc.disable()
    what, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        if what == "alone":
            alone(seed, count, Family())
        else:
            {"elsewhere": elsewhere, "refused": refused, "race": race, "others": others}[what](seed, count)
    except Wrong as wrong:
        sys.exit(f"{wrong}"[:6000])
