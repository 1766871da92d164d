#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Lets the allocations of one kernel operation fail: the first, then the second, until none is
left.

    failslab.py commands            every command of the family IPVS, with every loaded scheduler
    failslab.py files               reads of /proc/net/ip_vs*, reads and writes of
                                    /proc/sys/net/ipv4/vs/*
    failslab.py namespaces SAMPLES  creating network namespaces; SAMPLES of the allocations, evenly
                                    distributed
    failslab.py module FILE SAMPLES loading and unloading a module, with samples likewise
    failslab.py first               the first service of a namespace

Each operation either works normally, or fails with ENOMEM (ENOBUFS if netlink itself lacks memory)
and changes nothing. Prints a line of numbers and exits with 0 if all is well. Needs a kernel with
/proc/self/fail-nth, and ignore-gfp-wait of failslab must be N.
"""

import ctypes
import errno
import glob
import os
import struct
import sys

from netlink_fuzz import Line, Wrong, child, end, name, schedulers
from netlink_fuzz_model import read_table
from nl import (ACK, APPLY, ATOMIC, DEL_DEST, DEL_SERVICE, DUMP, FLUSH, GET_CONFIG, GET_DEST, GET_INFO, GET_SERVICE,
                NEW_DEST, NEW_SERVICE, REQUEST, SET_CONFIG, SET_DEST, SET_SERVICE, TIMEOUT_TCP, TIMEOUT_UDP, ZERO, Family, address,
                attribute, be16, change, dst, key, svc, u16, u32)

FINIT_MODULE, DELETE_MODULE = 313, 176
NO_MEMORY = ("ENOMEM", "ENOBUFS")
# More allocations than any operation makes.
MANY = 1_000_000
# Between two allocations of the director are fewer of other parts of the kernel.
NEAR = 8
SECOND = {"addr": address("10.2.0.12")}
libc = ctypes.CDLL(None, use_errno=True)


class Failures:
    """The kernel's switch for the next allocations of this process."""

    def __init__(self):
        self.file = os.open("/proc/thread-self/fail-nth", os.O_RDWR)

    def during(self, number, operation):
        """Runs the operation and fails the allocation of this number.

        Returns the result, and how many allocations before the failing one were not reached.
        """
        order, off = str(number).encode(), b"0"
        os.write(self.file, order)
        result = operation()
        left = os.pread(self.file, 16, 0)
        os.write(self.file, off)
        return result, int(left)

    def count(self, operation):
        """The number of allocations that the operation makes."""
        return MANY - self.during(MANY, operation)[1]


class Error:
    """An operation's error."""

    def __init__(self, code):
        self.code = code

    def __str__(self):
        return name(self.code)


def attempt(function, *arguments):
    """A function that returns the result of this one, or its Error."""
    def run():
        try:
            return function(*arguments)
        except OSError as error:
            return Error(error.errno)
    return run


def message(number, command, attributes=b"", flags=REQUEST | ACK):
    """A message that is ready to be sent."""
    data = struct.pack("=BBH", command, 1, 0) + attributes
    return struct.pack("=IHHII", 16 + len(data), number, flags, 1, 0) + data


# --- commands -------------------------------------------------------------------------------------


def cases(names):
    """Every command as (title, commands that prepare the table, command)."""
    two = [(NEW_SERVICE, svc()), (NEW_DEST, key() + dst()), (NEW_DEST, key() + dst(**SECOND))]
    four = two + [(NEW_SERVICE, svc(port=be16(81))), (NEW_SERVICE, svc(fwmark=u32(5)))]
    six = {"af": u16(10), "addr": b"\xfd" + bytes(14) + b"\x64", "netmask": u32(128)}
    yield "add a service", two, (NEW_SERVICE, svc(port=be16(82)))
    yield "add a service of IPv6", two, (NEW_SERVICE, svc(**six))
    yield "add a mark", two, (NEW_SERVICE, svc(fwmark=u32(6)))
    yield "delete a service", four, (DEL_SERVICE, key())
    yield "get a service", two, (GET_SERVICE, key())
    yield "list services", four, (GET_SERVICE, b"", DUMP)
    yield "list destinations", two, (GET_DEST, key(), DUMP)
    yield "set timeouts", two, (SET_CONFIG, attribute(TIMEOUT_TCP, u32(777)) + attribute(TIMEOUT_UDP, u32(77)))
    yield "get timeouts", two, (GET_CONFIG,)
    yield "get the version", two, (GET_INFO,)
    yield "zero a service", two, (ZERO, key())
    yield "zero all", two, (ZERO,)
    yield "flush", four, (FLUSH,)
    tunnel = {"fwd": u32(2), "tun_type": b"\1", "tun_port": be16(6080)}
    yield "add a destination by a tunnel", two, (NEW_DEST, key() + dst(addr=address("10.3.0.11"), **tunnel))
    yield "edit a destination into a tunnel", two, (SET_DEST, key() + dst(**tunnel))
    server = dst(addr=address("10.2.0.13"))
    changes = (change(DEL_SERVICE, key(port=be16(81))), change(NEW_SERVICE, svc(port=be16(83))),
               change(NEW_DEST, key(port=be16(83)) + dst()), change(DEL_DEST, key() + dst(**SECOND)),
               change(NEW_DEST, key() + server), change(SET_DEST, key() + dst(weight=u32(7))),
               change(NEW_SERVICE, svc(**six)),
               change(SET_SERVICE, svc(fwmark=u32(5), sched=b"wlc\0")))
    atomic = attribute(ATOMIC, b"")
    yield "a transaction", four, (APPLY, atomic + b"".join(changes), ACK, b"ipvs_rs")
    yield "a transaction for one service", two, (APPLY, atomic + changes[3] + changes[4], ACK, b"ipvs_rs")
    for scheduler in sorted(names):
        text = scheduler.decode()
        of = {"sched": scheduler + b"\0"}
        two = [(NEW_SERVICE, svc(**of)), (NEW_DEST, key() + dst()), (NEW_DEST, key() + dst(**SECOND))]
        yield f"{text}: add a service", [], (NEW_SERVICE, svc(**of))
        yield f"{text}: add a destination", two, (NEW_DEST, key() + dst(addr=address("10.2.0.13")))
        yield f"{text}: edit a destination", two, (SET_DEST, key() + dst(weight=u32(7)))
        yield f"{text}: delete a destination", two, (DEL_DEST, key() + dst())
        yield f"{text}: edit the service", two, (SET_SERVICE, svc(timeout=u32(9), **of))
        other = b"wlc\0" if scheduler == b"rr" else b"rr\0"
        yield f"{text}: take another scheduler", two, (SET_SERVICE, svc(sched=other))


def outcome(line, due, failures, number):
    """The error of a command ("lost" if its answer was lost), and whether an allocation failed."""
    dump = struct.unpack_from("=H", due, 6)[0] & DUMP
    # A listing continues during the reads, so reading belongs to the operation.
    operation = attempt(line.say if dump else line.sock.send, due)
    result, left = failures.during(number, operation)
    if isinstance(result, Error):
        if dump:
            # Unread answers must not be taken for the next one.
            line.sock.close()
        return str(result), left == 0
    try:
        answers = result if dump else line.hear()
    except OSError as error:
        return ("lost" if error.errno == errno.ENOBUFS else name(error.errno)), left == 0
    codes = [code for _, _, code in answers]
    if len(codes) != 1:
        raise Wrong(f"{len(codes)} answers")
    return name(codes[0]), left == 0


def request(family, order):
    """The message of a command."""
    return message(family.number, *order[:2], flags=REQUEST | (order[2] if len(order) > 2 else ACK))


def each_failure(title, due, failures, prepare, state, refusals=NO_MEMORY):
    """Sends a message with each of its allocations failing in turn. Returns their number.

    `state` returns what the command may change, and `prepare` restores what was before. The command
    works, or ends with one of the `refusals` and changes nothing.
    """
    line = Line()
    prepare()
    old = state()
    if line.say(due)[-1][2]:
        raise Wrong(f"{title}: refused without a failure")
    new = state()
    number = 0
    while True:
        number += 1
        prepare()
        if state() != old:
            raise Wrong(f"{title}: after failure {number - 1}, the state cannot be restored")
        if line.sock.fileno() < 0:
            line = Line()
        result, failed = outcome(line, due, failures, number)
        found = state()
        allowed = {"0": [new], "lost": [old, new]}.get(result, [old] if result in refusals and failed else [])
        if found not in allowed:
            raise Wrong(f"{title}: failure {number} ends with {result} and {found}, before it was {old}")
        if not failed:
            return number - 1


def command(title, before, order, failures):
    """Runs a command with each of its allocations failing in turn. Returns their number."""
    family = Family()
    speaks = Family(name=order[3]) if len(order) > 3 else family

    def prepare():
        family.call(FLUSH)
        for step in before:
            family.call(*step)
        family.call(SET_CONFIG, attribute(TIMEOUT_TCP, u32(900)) + attribute(TIMEOUT_UDP, u32(300)))

    return each_failure(title, request(speaks, order), failures, prepare, lambda: read_table(family))


def commands():
    """Tests every command."""
    failures = Failures()
    counts = {title: command(title, before, order, failures) for title, before, order in cases(schedulers())}
    print(", ".join(f"{title} {count}" for title, count in counts.items()))
    # At least the request, its acknowledgment, and the allocations of the command.
    least_counts = {"add a service": 5, "rr: add a destination": 5, "list services": 4, "get a service": 3}
    for title, least in least_counts.items():
        if counts[title] < least:
            raise Wrong(f"{title} has {counts[title]} allocations: they do not fail")
    Family().call(FLUSH)


def first_one(number):
    """Adds the first service of a new namespace, with one failure."""
    os.unshare(os.CLONE_NEWNET)
    family, line, failures = Family(), Line(), Failures()
    due = message(family.number, NEW_SERVICE, svc())
    result, failed = outcome(line, due, failures, number)
    rows = read_table(family)[1]
    if result not in ("0", "lost", *NO_MEMORY) or len(rows) != (result == "0") and result != "lost":
        raise Wrong(f"failure {number} ends with {result} and {rows}")
    # The service is deleted with all its parts.
    if family.error(NEW_SERVICE, svc()) != ("EEXIST" if rows else "0"):
        raise Wrong(f"after failure {number} a service cannot be added")
    family.call(NEW_DEST, key() + dst())
    family.call(FLUSH)
    os._exit(0 if failed else 2)


def first():
    """Tests everything that is created with the first service."""
    number, status = 0, 0
    while status == 0:
        number += 1
        _, status = os.waitpid(child(first_one, number), 0)
    if os.waitstatus_to_exitcode(status) != 2:
        raise Wrong(f"failure {number}")
    print(f"{number - 1} allocations")
    if number < 10:
        raise Wrong("they do not fail")


# --- files ----------------------------------------------------------------------------------------


def read_all(path):
    """Reads a file."""
    file = os.open(path, os.O_RDONLY)
    try:
        text = b""
        while piece := os.read(file, 65536):
            text += piece
        return text
    finally:
        os.close(file)


def write_all(path, text):
    """Writes a file."""
    file = os.open(path, os.O_WRONLY)
    try:
        return os.write(file, text)
    finally:
        os.close(file)


def in_turn(title, operation, check=lambda worked: None):
    """Lets an operation's allocations fail in turn. `check` returns the problem after it, if
    any."""
    failures, number = Failures(), 0
    while True:
        number += 1
        result, left = failures.during(number, attempt(*operation))
        failed = isinstance(result, Error)
        wrong = check(not failed)
        if failed and (left or str(result) not in NO_MEMORY) or wrong:
            raise Wrong(f"{title}: failure {number} ends with {result}: {wrong}")
        if left:
            return number - 1


def another(path, old):
    """Another value that the file accepts."""
    # Of several numbers, the last one changes.
    *others, last = old.split()
    less = b"\t".join([*others, b"%d" % (int(last) - 1)]) + b"\n"
    for new in (less,) if others else (b"0\n", b"1\n", b"2\n", less):
        try:
            write_all(path, new)
        except OSError:
            continue
        if new != old:
            write_all(path, old)
            return new
    raise Wrong(f"{path} takes nothing but {old}")


def files():
    """Reads and writes the director's files below /proc."""
    family = Family()
    family.call(FLUSH)
    family.call(NEW_SERVICE, svc())
    family.call(NEW_DEST, key() + dst())
    counts = {}
    for path in sorted(glob.glob("/proc/net/ip_vs*")):
        counts[path] = in_turn(path, (read_all, path))
    for path in sorted(glob.glob("/proc/sys/net/ipv4/vs/*")):
        old = read_all(path)
        counts[path] = in_turn(path, (read_all, path))
        if path.endswith("/est_cpulist") and os.cpu_count() == 1:
            # There is no other list of processors.
            continue
        new = another(path, old)

        def check(worked, path=path, old=old, new=new):
            found = read_all(path)
            write_all(path, old)
            return None if found == (new if worked else old) else f"it has {found}"
        counts[f"{path}="] = in_turn(f"{path}=", (write_all, path, new), check)
    print(", ".join(f"{os.path.basename(path)} {count}" for path, count in counts.items()))
    family.call(FLUSH)


# --- namespaces and modules -----------------------------------------------------------------------


class Log:
    """The kernel log, where failslab prints the call chain of a failure."""

    def __init__(self):
        self.file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        self.names_director()

    def names_director(self):
        """True if the new part of the log has a call by the director's modules."""
        found = False
        while True:
            try:
                line = os.read(self.file, 8192)
                # A question mark precedes calls that had ended.
                found = found or b" [ipvs_rs" in line and b"? " not in line
            except BlockingIOError:
                return found
            except BrokenPipeError:
                # The log overflowed in the meantime.
                continue


def verbose(level):
    """Sets how much failslab logs."""
    write_all("/sys/kernel/debug/failslab/verbose", b"%d" % level)


def scan(count, samples, one, last=0):
    """Tries that many of the numbers to `count`, evenly distributed, each with the next one, and the
    last ones.

    Every other allocation may be one that debugging makes, whose call chain does not name the
    module. Then tries all numbers near those whose calls came from the director's modules. Returns
    how many were tried, and how many of them came from the modules.
    """
    log, tried = Log(), {}

    def ours(number):
        if not 1 <= number <= count:
            return False
        if number not in tried:
            one(number)
            tried[number] = log.names_director()
        return tried[number]

    verbose(2)
    try:
        numbers = {*range(count + 1 - last, count + 1)}
        for number in range(1, count + 1, max(1, count // samples)):
            numbers |= {number, number + 1}
        for number in [number for number in sorted(numbers) if ours(number)]:
            for step in (1, -1):
                at, misses = number, 0
                while misses < NEAR:
                    at += step
                    misses = 0 if ours(at) else misses + 1
        one(count + 1)
    finally:
        verbose(0)
    found = [number for number in tried if tried[number]]
    if not found:
        raise Wrong(f"none of {len(tried)} of {count} allocations is the director's")
    return f"{count} allocations, {len(tried)} tried, {len(found)} of the director ({min(found)} to {max(found)})"


def namespace_one(number):
    """Creates a namespace with one failure."""
    failures = Failures()
    result, left = failures.during(number, attempt(os.unshare, os.CLONE_NEWNET))
    # Other parts of the kernel return other errors, too.
    if isinstance(result, Error) and left:
        raise Wrong(f"without failure {number} it ends with {result}")
    if result is None and Family().error(NEW_SERVICE, svc()) != "0":
        raise Wrong(f"after failure {number} the namespace does not work")


def count_namespace(file):
    """Writes the number of allocations for a new namespace."""
    os.write(file, str(Failures().count(attempt(os.unshare, os.CLONE_NEWNET))).encode())


def namespaces(samples):
    """Tests the creation of namespaces. A namespace is deleted when its process ends."""
    there, here = os.pipe()
    end([child(count_namespace, here)])
    print(scan(int(os.read(there, 16)), samples, lambda number: end([child(namespace_one, number)])))


def module_call(number, *arguments):
    """A system call; raises OSError."""
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def module(path, samples):
    """Tests loading and unloading a module with failures."""
    file = os.open(path, os.O_RDONLY)
    own = os.path.basename(path).split(".")[0]
    insert = attempt(module_call, FINIT_MODULE, file, b"", 0)
    remove = attempt(module_call, DELETE_MODULE, own.encode(), os.O_NONBLOCK)
    failures = Failures()
    counts = failures.count(insert), failures.count(remove)

    def load(number):
        result, _ = failures.during(number, insert)
        present = os.path.isdir(f"/sys/module/{own}")
        if isinstance(result, Error) and str(result) not in NO_MEMORY or present != (result is None):
            raise Wrong(f"loading, failure {number}: {result}, loaded: {present}")
        if present and remove() is not None:
            raise Wrong(f"after loading with failure {number} it cannot be unloaded")

    # The module's own initialization comes last.
    print("loading:", scan(counts[0], samples, load, last=50))
    for number in range(1, counts[1] + 2):
        if insert() is not None:
            raise Wrong(f"before unloading with failure {number} it cannot be loaded")
        result, _ = failures.during(number, remove)
        if result is not None and remove() is not None:
            raise Wrong(f"unloading, failure {number}: {result}, and then it cannot be unloaded")
    print(f"unloading: {counts[1]} allocations, all tried")


if __name__ == "__main__":
    order, *rest = sys.argv[1:]
    try:
        if order == "module":
            module(rest[0], int(rest[1]))
        elif order == "namespaces":
            namespaces(int(rest[0]))
        else:
            {"commands": commands, "files": files, "first": first}[order]()
    except Wrong as wrong:
        sys.exit(f"{wrong}"[:3000])
