#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Starts and stops synchronization daemons by netlink.

    daemons.py turns INTERFACE COUNT   both daemons start and stop that often, in changing order, as
                                       when two directors change roles
    daemons.py handover ADDRESS PORT COUNT FIRST
                                       opens connections from the namespace "client", then stops the
                                       master of "director" and the backup of "other" at once, FIRST
                                       (master or backup) the one; says how many connections "other"
                                       has within a second
    daemons.py killed ADDRESS PORT RATE COUNT INTERFACE
                                       opens connections from the namespace "client", RATE in a
                                       second, and takes the interface of "director" down right
                                       after the last one; says how many were open then, the rate,
                                       how many of them "other" lacks, and the age of the oldest of
                                       these in milliseconds
    daemons.py failslab INTERFACE      every command with each of its allocations failing in turn:
                                       it works, or fails cleanly and changes nothing
"""

import fcntl
import os
import resource
import select
import socket
import struct
import sys
import time

from failslab import NO_MEMORY, Failures, each_failure, request
from netlink_fuzz import Wrong
from nl import DAEMON, DEL_DAEMON, DUMP, GET_DAEMON, NEW_DAEMON, Family, nest, parse, u32

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
STATE, INTERFACE, SYNCID, GROUP_V6 = 1, 2, 3, 6
MASTER, BACKUP = 1, 2
# The kernel has no other error for a socket without memory.
NO_SOCKET = ("ENFILE",)


def daemon(state, interface, **more):
    """The attribute for a daemon."""
    fields = {STATE: u32(state), INTERFACE: interface.encode() + b"\0", SYNCID: u32(7)}
    if "group" in more:
        fields[GROUP_V6] = more["group"]
    return nest(DAEMON, {}, fields)


def stopped(state):
    """The attribute for stopping a daemon."""
    return nest(DAEMON, {}, {STATE: u32(state)})


def running(family):
    """The daemons that run."""
    return sorted(sorted(parse(parse(body[4:])[DAEMON]).items()) for body in family.call(GET_DAEMON, flags=DUMP))


def turns(interface, count):
    """Starts and stops."""
    family = Family()
    for number in range(count):
        first, second = (MASTER, BACKUP) if number % 2 else (BACKUP, MASTER)
        family.call(NEW_DAEMON, daemon(first, interface))
        family.call(NEW_DAEMON, daemon(second, interface))
        family.call(DEL_DAEMON, stopped(first))
        # Half of the time, the other one stops at once; else after its first datagrams.
        if number % 4 < 2:
            running(family)
        family.call(DEL_DAEMON, stopped(second))
    print(f"{count} times")


def enter(namespace):
    """Moves this process into a network namespace."""
    with open(f"/run/netns/{namespace}", encoding="ascii") as handle:
        os.setns(handle.fileno(), os.CLONE_NEWNET)


def handover(address, port, count, first):
    """Opens connections and stops both daemons."""
    enter("director")
    director = Family()
    enter("other")
    other = Family()
    enter("client")
    clients = {}
    poll = select.poll()
    for _ in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((address, port))
        clients[client.fileno()] = client
        poll.register(client, select.POLLOUT)
    waiting = set(clients)
    while waiting:
        for number, event in poll.poll(10_000) or sys.exit("the servers do not answer"):
            if event != select.POLLOUT:
                sys.exit("a server refuses a connection")
            poll.unregister(number)
            waiting.remove(number)
    ends = [(director, MASTER), (other, BACKUP)]
    for family, state in ends if first == "master" else reversed(ends):
        family.call(DEL_DAEMON, stopped(state))
    enter("other")
    wanted = {client.getsockname()[1] for client in clients.values()}
    known = set()
    end = time.monotonic() + 1
    while not wanted <= known and time.monotonic() < end:
        time.sleep(0.01)
        known = established()
    print(len(known & wanted))


def established():
    """The client ports of the established connections that the director of this namespace lists."""
    with open("/proc/net/ip_vs_conn", encoding="ascii") as listing:
        return {int(fields[2], 16) for fields in map(str.split, listing) if "ESTABLISHED" in fields}


class Opening:
    """Connections that open, by the number of their file, and when they did."""

    def __init__(self, target):
        self.target = target
        self.clients = {}
        self.opened = {}
        self.epoll = select.epoll()

    def begin(self):
        """Begins a connection."""
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(self.target)
        self.clients[client.fileno()] = client
        self.epoll.register(client, select.EPOLLOUT)

    def look(self):
        """Notes those that have opened."""
        for number, event in self.epoll.poll(0):
            if event != select.EPOLLOUT:
                sys.exit("a server refuses a connection")
            self.epoll.unregister(number)
            self.opened[number] = time.monotonic()


def killed(target, rate, count, interface):
    """Opens connections, and cuts the wire of the director.

    The servers accept none of them: the kernel's queues have room.
    """
    listeners = []
    for host in "ABC":
        enter(host)
        listeners.append(socket.create_server(("", target[1]), backlog=4096))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    enter("director")
    director = socket.socket()
    name = interface.encode()
    flags = struct.unpack("16xH", fcntl.ioctl(director, SIOCGIFFLAGS, struct.pack("16sH22x", name, 0))[:18])[0]
    enter("client")
    load = Opening(target)
    start = time.monotonic()
    while len(load.clients) < count:
        while len(load.clients) < min((time.monotonic() - start) * rate, count):
            load.begin()
        load.look()
        # Beside a loop without pauses, the clock of User Mode Linux stands still.
        time.sleep(0.001)
    end = time.monotonic()
    fcntl.ioctl(director, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags & ~IFF_UP))
    enter("other")
    known, before = established(), None
    while known != before:
        time.sleep(0.2)
        known, before = established(), known
    ages = [end - opened for number, opened in load.opened.items()
            if load.clients[number].getsockname()[1] not in known]
    fcntl.ioctl(director, SIOCSIFFLAGS, struct.pack("16sH22x", name, flags))
    print(f"open={len(load.opened)} rate={count / (end - start):.0f} lost={len(ages)} "
          f"oldest={max(ages, default=0) * 1000:.0f}")


def cases(interface):
    """Every command as (title, daemons that run before, command)."""
    master, backup = (NEW_DAEMON, daemon(MASTER, interface)), (NEW_DAEMON, daemon(BACKUP, interface))
    group = b"\xff\x02" + bytes(13) + b"\x81"
    yield "start a master", [], master
    yield "start a backup", [], backup
    yield "start a backup beside a master", [master], backup
    yield "start a master over IPv6", [], (NEW_DAEMON, daemon(MASTER, interface, group=group))
    yield "start a backup over IPv6", [], (NEW_DAEMON, daemon(BACKUP, interface, group=group))
    yield "stop a master", [master, backup], (DEL_DAEMON, stopped(MASTER))
    yield "stop a backup", [master, backup], (DEL_DAEMON, stopped(BACKUP))
    yield "list both", [master, backup], (GET_DAEMON, b"", DUMP)


def command(title, before, order, failures):
    """Runs a command with each of its allocations failing in turn. Returns their number."""
    family = Family()

    def prepare():
        for state in (MASTER, BACKUP):
            family.error(DEL_DAEMON, stopped(state))
        for step in before:
            family.call(*step)

    count = each_failure(title, request(family, order), failures, prepare, lambda: running(family),
                         (*NO_MEMORY, *NO_SOCKET))
    prepare()
    return count


def failslab(interface):
    """Tests every command."""
    failures = Failures()
    counts = {title: command(title, before, order, failures) for title, before, order in cases(interface)}
    for state in (MASTER, BACKUP):
        Family().error(DEL_DAEMON, stopped(state))
    print(", ".join(f"{title} {count}" for title, count in counts.items()))
    if min(counts["start a master"], counts["start a backup"]) < 10:
        raise Wrong("the allocations do not fail")


if __name__ == "__main__":
    try:
        if sys.argv[1] == "turns":
            turns(sys.argv[2], int(sys.argv[3]))
        elif sys.argv[1] == "handover":
            handover(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
        elif sys.argv[1] == "killed":
            killed((sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
        else:
            failslab(sys.argv[2])
    except Wrong as wrong:
        sys.exit(f"{wrong}"[:3000])
