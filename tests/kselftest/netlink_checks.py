#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sends handmade messages to the director. Prints "pass NAME" or "fail NAME: WHY" for every check.

    bad        every command with bad input: the error is right, the table unchanged
    dumps      listings while another process changes the table
    filters    valid and invalid selections of connections: the list or the error
    apply      valid and invalid changes in one message, and the table in one listing
    walk       the list of connections while others appear and expire
    probe      the error of a listing, of adding a service and of a flush, for the current user

The expected errors are those of the C director where they are sensible. With IPVS_MODULE=ip_vs,
checks are left out if the C director accepts their bad input.
"""

import collections
import multiprocessing
import os
import socket
import struct
import sys
import time

from nl import (ACK, APPLY, ATOMIC, CHANGE, CONN, CONNECTION, CONN_IDENTITY, DEL_DEST, DEL_SERVICE, DONE, DUMP,
                FLUSH, GET_CONFIG, GET_CONNECTIONS, GET_DEST, GET_INFO, GET_MODULE, GET_SERVICE, GET_TABLE, MODULE_FEATURES,
                MODULE_VERSION, NESTED, NEW_DAEMON, NEW_DEST, NEW_SERVICE, NO_STATISTICS, SERVICE, SET_CONFIG, SET_DEST,
                SET_INFO, SET_SERVICE, TABLE_DEST, TABLE_SERVICE, TIMEOUT_TCP, TIMEOUT_UDP, ZERO, Family, Refused, address,
                attribute, be16, change, conn, dst, key, nest, parse, svc, u16, u32, u8)

THE_KERNELS_OWN = os.environ.get("IPVS_MODULE") == "ip_vs"
# The C director accepts this input.
TAKEN = "taken"
# Commands for services and for destinations.
STATS64 = 12

FREE = {"addr": address("10.1.0.101")}
COMMANDS = {"add": (NEW_SERVICE, svc), "edit": (SET_SERVICE, svc), "delete": (DEL_SERVICE, key), "get": (GET_SERVICE, key)}
DEST_COMMANDS = {"add": NEW_DEST, "edit": SET_DEST, "delete": DEL_DEST}


def say(passed, name, why=""):
    """Reports one check."""
    print(f"pass {name}" if passed else f"fail {name}: {why}", flush=True)


def service_cases():
    """Bad services: name, command, attributes, allowed errors[, TAKEN]."""
    for word, (command, make) in COMMANDS.items():
        where = {} if word != "add" else FREE
        yield f"{word} a service that is not given", command, b"", "EINVAL"
        yield f"{word} a service with an empty nest", command, attribute(SERVICE | NESTED, b""), "EINVAL"
        yield f"{word} a service with half an attribute", command, attribute(SERVICE | NESTED, b"\x08\x00\x01"), "EINVAL ERANGE"
        yield (f"{word} a service with an attribute longer than its nest", command,
               attribute(SERVICE | NESTED, struct.pack("=HH", 64, 1) + bytes(8)), "EINVAL")
        yield f"{word} a service with an attribute shorter than its header", command, \
            attribute(SERVICE | NESTED, struct.pack("=HH", 2, 1) + bytes(8)), "EINVAL"
        for name in ("af", "protocol", "addr", "port"):
            yield f"{word} a service without {name}", command, make(**where | {name: None}), "EINVAL"
            yield f"{word} a service with an empty {name}", command, make(**where | {name: b""}), "EINVAL ERANGE", \
                TAKEN if name == "addr" else ""
        for name in ("af", "protocol", "port"):
            yield f"{word} a service with a short {name}", command, make(**where | {name: b"\1"}), "EINVAL ERANGE"
            yield f"{word} a service with a long {name}", command, make(**where | {name: bytes(5)}), \
                "EINVAL ERANGE EAFNOSUPPORT EPROTONOSUPPORT ESRCH ENOENT", TAKEN
        yield f"{word} a service with a short address", command, make(addr=b"\x0a\1"), "EINVAL ERANGE", TAKEN
        yield f"{word} a service with a long address", command, make(addr=bytes(17)), "EINVAL ERANGE"
        yield f"{word} a service with a short mark", command, make(fwmark=b"\1"), "EINVAL ERANGE"
        for family in (0, 1, socket.AF_PACKET, 0xFFFF):
            yield f"{word} a service of family {family}", command, make(**where | {"af": u16(family)}), "EAFNOSUPPORT"
        for protocol in (0, 1, 255, 256 + 6, 0xFFFF):
            yield f"{word} a service of protocol {protocol}", command, make(protocol=u16(protocol)), \
                "EINVAL EPROTONOSUPPORT ESRCH", TAKEN if word == "add" else ""
    for word in ("edit", "delete", "get"):
        command, make = COMMANDS[word]
        yield f"{word} an absent service", command, make(**FREE), "ESRCH"
        yield f"{word} an absent service by port", command, make(port=be16(81)), "ESRCH"
        yield f"{word} an absent mark", command, make(fwmark=u32(77)), "ESRCH"
    for word in ("add", "edit"):
        command, make = COMMANDS[word]
        where = {} if word != "add" else FREE
        for name in ("sched", "flags", "timeout", "netmask"):
            yield f"{word} a service without {name}", command, make(**where | {name: None}), "EINVAL"
        for name in ("timeout", "netmask"):
            yield f"{word} a service with a short {name}", command, make(**where | {name: b"\1\2\3"}), "EINVAL ERANGE"
        yield f"{word} a service with long flags", command, make(**where | {"flags": bytes(12)}), "EINVAL ERANGE"
        yield f"{word} a service with an unknown scheduler", command, make(**where | {"sched": b"nosuch\0"}), "ENOENT"
        yield f"{word} a service with an empty scheduler", command, make(**where | {"sched": b"\0"}), "EINVAL ENOENT"
        yield f"{word} a service with a path for a scheduler", command, make(**where | {"sched": b"../rr\0"}), "ENOENT EINVAL"
        yield f"{word} a service with an endless scheduler", command, make(**where | {"sched": b"x" * 16 + b"\0"}), \
            "EINVAL ERANGE"
        yield f"{word} a service with an unterminated scheduler", command, make(**where | {"sched": b"wlc" * 6}), \
            "EINVAL ERANGE"
        yield f"{word} a service with an unknown engine", command, make(**where | {"pe": b"nosuch\0"}), \
            "ENOENT EOPNOTSUPP EINVAL"
    yield "add a service twice", NEW_SERVICE, svc(), "EEXIST"
    yield "add a service twice, another scheduler", NEW_SERVICE, svc(sched=b"wlc\0"), "EEXIST"
    yield "add a mark twice", NEW_SERVICE, svc(fwmark=u32(5)), "EEXIST"
    yield "add the mark 0", NEW_SERVICE, svc(fwmark=u32(0), addr=None, port=None, protocol=None), "EINVAL", TAKEN


def dest_cases():
    """Bad destinations, in the same format."""
    for word, command in DEST_COMMANDS.items():
        port = be16(80) if word != "add" else be16(8)
        yield f"{word} a destination that is not given", command, key(), "EINVAL"
        yield f"{word} a destination of a service that is not given", command, dst(), "EINVAL"
        yield f"{word} a destination of an absent service", command, key(**FREE) + dst(), "ESRCH"
        for name in ("addr", "port"):
            yield f"{word} a destination without {name}", command, key() + dst(**{"port": port, name: None}), "EINVAL"
        yield f"{word} a destination with a short port", command, key() + dst(port=b"\1"), "EINVAL ERANGE"
        yield f"{word} a destination with a long address", command, key() + dst(addr=bytes(20)), "EINVAL ERANGE"
        for family in (1, socket.AF_PACKET, 0xFFFF):
            yield f"{word} a destination of family {family}", command, key() + dst(port=port, family=u16(family)), \
                "EAFNOSUPPORT"
    for host in ("224.0.0.1", "255.255.255.255", "0.0.0.0"):
        yield f"add the destination {host}", NEW_DEST, key() + dst(addr=address(host)), "EINVAL"
    for word in ("edit", "delete"):
        yield f"{word} an absent destination", DEST_COMMANDS[word], key() + dst(port=be16(81)), "ENOENT"
        yield f"{word} a destination of another service", DEST_COMMANDS[word], \
            key(fwmark=u32(5)) + dst(addr=address("10.2.0.12")), "ENOENT"
    yield "add a destination twice", NEW_DEST, key() + dst(weight=u32(9)), "EEXIST"
    for word in ("add", "edit"):
        command = DEST_COMMANDS[word]
        port = be16(80) if word != "add" else be16(8)
        for name in ("fwd", "weight", "u_thresh", "l_thresh"):
            yield f"{word} a destination without {name}", command, key() + dst(**{"port": port, name: None}), "EINVAL"
            yield f"{word} a destination with a short {name}", command, key() + dst(**{"port": port, name: b"\1\2"}), \
                "EINVAL ERANGE"
        for weight in (0x80000000, 0xFFFFFFFF):
            yield f"{word} a destination of weight {weight:#x}", command, key() + dst(port=port, weight=u32(weight)), "ERANGE"
        yield f"{word} a destination with its thresholds crossed", command, \
            key() + dst(port=port, u_thresh=u32(5), l_thresh=u32(6)), "ERANGE"
        yield f"{word} a destination with an immense threshold", command, \
            key() + dst(port=port, u_thresh=u32(0x80000000)), "EINVAL ERANGE"
        yield f"{word} a destination with an unknown forwarding method", command, key() + dst(port=port, fwd=u32(7)), \
            "EINVAL EOPNOTSUPP", TAKEN


def other_cases():
    """Bad commands and settings, in the same format."""
    for command in (0, SET_INFO, FLUSH + 1, 99, 255):
        yield f"perform command {command}", command, b"", "EOPNOTSUPP"
    yield "list destinations without a dump", GET_DEST, key(), "EOPNOTSUPP"
    yield "start a synchronization daemon without a state", NEW_DAEMON, b"", "EINVAL EPROTONOSUPPORT"
    yield "zero an absent service", ZERO, key(**FREE), "ESRCH"
    yield "zero half a service", ZERO, key(port=None), "EINVAL"
    for kind in (TIMEOUT_TCP, TIMEOUT_UDP):
        yield f"set a timeout out of range ({kind})", SET_CONFIG, attribute(kind, u32(0x7FFFFFFF)), "EINVAL ERANGE"
        yield f"set a negative timeout ({kind})", SET_CONFIG, attribute(kind, u32(0xFFFFFFFF)), "EINVAL ERANGE"
        yield f"set a short timeout ({kind})", SET_CONFIG, attribute(kind, b"\1\2"), "EINVAL ERANGE"


def check_bad():
    """Every bad message is refused and changes nothing."""
    family = Family()
    family.call(FLUSH)
    family.call(NEW_SERVICE, svc())
    family.call(NEW_DEST, key() + dst())
    family.call(NEW_SERVICE, svc(fwmark=u32(5), sched=b"wlc\0"))
    before, timeouts = family.table(), family.call(GET_CONFIG)[0]
    say(len(before) == 2 and len(before[0][1]) + len(before[1][1]) == 1, "the table has the services for the checks", before)
    for case in (*service_cases(), *dest_cases(), *other_cases()):
        name, command, data, wanted, *taken = case
        if THE_KERNELS_OWN and taken == [TAKEN]:
            continue
        got = family.error(command, data)
        after = family.table()
        if got not in wanted.split():
            say(False, f"the director refuses to {name}", f"{got} instead of {wanted}")
        else:
            say(after == before, f"the director refuses to {name}", f"{got}, but the table changed")
        if after != before:
            family.call(FLUSH)
            family.call(NEW_SERVICE, svc())
            family.call(NEW_DEST, key() + dst())
            family.call(NEW_SERVICE, svc(fwmark=u32(5), sched=b"wlc\0"))
    say(family.call(GET_CONFIG)[0] == timeouts, "refused timeouts change nothing")
    check_framing(family, before)
    check_tolerance(family)
    family.call(FLUSH)
    say(family.table() == [], "flush empties the table")


def check_framing(family, before):
    """Messages with a wrong frame."""
    for name, data in (("no header of the family", b""), ("half a header", b"\4\1"),
                       ("an attribute cut short", struct.pack("=BBHHH", NEW_SERVICE, 1, 0, 400, SERVICE))):
        try:
            family.talk(family.number, data, ACK)
            got = "0"
        except OSError as error:
            got = repr(error)
        except Exception as error:  # Any error is fine.
            got = str(error)
        say(got in ("EINVAL", "ERANGE"), f"the director refuses a message with {name}", got)
    say(family.table() == before, "broken frames change nothing")


def check_tolerance(family):
    """Messages that a newer command may send to an older director."""
    say(family.error(GET_INFO, version=2) == "0", "another version of the family's messages is answered")
    later = attribute(60, b"of a later version")
    say(family.error(GET_INFO, later) == "0", "an unknown attribute is ignored")
    info = parse(family.call(GET_INFO)[0][4:])
    say(set(info) == {1, 2} and len(info[1]) == 4, "GET_INFO has the version and the size of the table", info)
    found = parse(parse(family.call(GET_SERVICE, key())[0][4:])[SERVICE])
    say(found[3] == address("10.1.0.100") and found[6].rstrip(b"\0") == b"rr", "a service is found by its address", found)
    found = parse(parse(family.call(GET_SERVICE, key(fwmark=u32(5)))[0][4:])[SERVICE])
    say(found[5] == u32(5) and found[6].rstrip(b"\0") == b"wlc", "a service is found by its mark", found)
    absent = family.call(GET_DEST, key(**FREE), flags=DUMP)
    say(absent == [], "an absent service lists no destinations", absent)


def keep_changing(stop):
    """Adds and deletes services all over the table, and destinations of the lasting services."""
    family = Family()
    while not stop.is_set():
        for number in range(60):
            which = {"addr": address("10.1.0.101"), "port": be16(2000 + number)}
            family.call(NEW_SERVICE, svc(**which))
            family.call(NEW_DEST, key(port=be16(1000)) + dst(port=be16(3000 + number)))
        for number in range(60):
            which = {"addr": address("10.1.0.101"), "port": be16(2000 + number)}
            family.call(DEL_SERVICE, key(**which))
            family.call(DEL_DEST, key(port=be16(1000)) + dst(port=be16(3000 + number)))


def check_dumps(seconds=5.0):
    """Listings during changes have every lasting service and destination exactly once."""
    # With a small buffer, a listing takes many messages, and changes happen between them.
    family = Family(receive=8192)
    family.call(FLUSH)
    services = {be16(1000 + number) for number in range(120)}
    servers = {be16(4000 + number) for number in range(120)}
    for port in services:
        family.call(NEW_SERVICE, svc(port=port))
    for port in servers:
        family.call(NEW_DEST, key(port=be16(1000)) + dst(port=port))
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=keep_changing, args=(stop,), daemon=True)
    process.start()
    end = time.monotonic() + seconds * int(os.environ.get("TIME_SCALE", "1"))
    rounds, moving, wrong = 0, set(), []
    while (rounds < 20 or len(moving) < 3) and time.monotonic() < end:
        rounds += 1
        listed = family.services()
        moving.add(len(listed))
        stay = collections.Counter(entry[4] for entry in listed if entry[3] == address("10.1.0.100"))
        if stay != collections.Counter(services):
            wrong.append(f"services: {len(stay)} of {len(services)}, {sum(stay.values())} rows")
        listed = family.destinations(key(port=be16(1000)))
        moving.add(len(listed))
        stay = collections.Counter(entry[2] for entry in listed if entry[2] in servers)
        if stay != collections.Counter(servers):
            wrong.append(f"destinations: {len(stay)} of {len(servers)}, {sum(stay.values())} rows")
    alive = process.is_alive()
    stop.set()
    process.join()
    say(alive and process.exitcode == 0, "the table can be changed during the listings", process.exitcode)
    say(rounds > 2 and len(moving) > 2, "the listings show changes", f"{rounds} rounds, {moving}")
    # The C director counts rows, so it repeats some and leaves out others.
    say(not wrong or THE_KERNELS_OWN, "every listing has the lasting services once", f"{len(wrong)} of {2 * rounds} wrong: {wrong[:3]}")
    family.call(FLUSH)


def filter_cases():
    """Invalid selections of connections: name, attributes, allowed errors."""
    v4, v6 = socket.inet_aton("10.0.0.1"), socket.inet_pton(socket.AF_INET6, "fd00::1")
    yield "half an attribute", b"\x08\x00\x03", "EINVAL"
    yield "an attribute longer than its message", struct.pack("=HH", 64, CONNECTION) + bytes(8), "EINVAL"
    yield "half an attribute in the nest", attribute(CONNECTION | NESTED, b"\x08\x00\x01"), "EINVAL"
    yield "an attribute longer than its nest", \
        attribute(CONNECTION | NESTED, struct.pack("=HH", 64, 1) + bytes(8)), "EINVAL"
    yield "an attribute shorter than its header", \
        attribute(CONNECTION | NESTED, struct.pack("=HH", 2, 1) + bytes(8)), "EINVAL"
    yield "an unknown attribute", attribute(60, b"later"), "EOPNOTSUPP"
    for state in (b"", b"\0", b"ESTABLISH", b"established", b"UDP\0\0", b"x" * 99):
        yield f"the state {state}", conn(state=state), "EINVAL"
    for name in ("expires", 0, 13, 60, 0x3FFF):
        yield f"{name}", nest(CONNECTION, CONN, {name: b"\1\0\0\0"}), "EOPNOTSUPP"
    for size in (0, 2, 4):
        yield f"a protocol of {size} octets", conn(protocol=bytes(size)), "EINVAL"
    for end, right in (("client", v4), ("virtual", v6), ("server", v4)):
        for size in (0, 1, 3, 5, 8, 15, 17, 64):
            yield f"a {end} of {size} octets", conn(**{end: b"\1" * size}), "EINVAL"
        for size in (0, 1, 3, 4):
            yield f"a {end}'s port of {size} octets", conn(**{f"{end}_port": bytes(size)}), "EINVAL"
        for size in (0, 2, 4):
            yield f"a {end}'s prefix of {size} octets", conn(**{end: right, f"{end}_prefix": bytes(size)}), "EINVAL"
        yield f"a {end}'s prefix that is too long", \
            conn(**{end: right, f"{end}_prefix": u8(len(right) * 8 + 1)}), "EINVAL"
        yield f"a {end}'s prefix without an address", conn(**{f"{end}_prefix": u8(0)}), "EINVAL"
    yield "an IPv4-mapped address", conn(client=bytes(10) + b"\xff\xff" + v4), "EINVAL"


def check_filters():
    """Invalid selections are refused with a message, valid ones select. Neither changes
    anything."""
    table = Family()
    before = table.table()
    family = Family(name=b"ipvs_rs")
    for name, data, wanted in filter_cases():
        got = family.error(GET_CONNECTIONS, data, flags=DUMP)
        say(got == wanted and family.sentence, f"the director refuses to select by {name}",
            f"{got} ({family.sentence!r}) instead of {wanted}")
    for command in (0, 3, 99, 255):
        got = family.error(command)
        say(got == "EOPNOTSUPP", f"command {command} of the family ipvs_rs is refused", got)
    say(family.error(GET_CONNECTIONS) == "EOPNOTSUPP", "connections are listed only by a dump")
    every = family.connections()
    say(len(every) > 20, "a list without a selection has all connections", len(every))

    def chosen(name, which, condition):
        got = {tuple(entry[kind] for kind in CONN_IDENTITY) for entry in family.connections(which)}
        wanted = {tuple(entry[kind] for kind in CONN_IDENTITY) for entry in every if condition(entry)}
        say(wanted and got == wanted, f"connections are selected by {name}", f"{len(got)} instead of {len(wanted)}")

    for number in {entry[1] for entry in every}:
        chosen(f"protocol {number[0]}", conn(protocol=number), lambda entry, number=number: entry[1] == number)
    for name in ("client", "client_port", "virtual", "virtual_port", "server", "server_port"):
        for value in sorted({entry[CONN[name]] for entry in every})[:5]:
            chosen(f"{name} {value.hex()}", conn(**{name: value}),
                   lambda entry, name=name, value=value: entry[CONN[name]] == value)
    for value in sorted({entry[CONN["state"]] for entry in every}):
        chosen(f"the state {value.decode()}", conn(state=value), lambda entry, value=value: entry[2] == value)
    chosen("all IPv4 servers", conn(server=bytes(4), server_prefix=u8(0)), lambda entry: len(entry[8]) == 4)
    chosen("all IPv6 servers", conn(server=bytes(16), server_prefix=u8(0)), lambda entry: len(entry[8]) == 16)
    chosen("an empty nest", conn(), lambda entry: True)
    chosen("the last of repeated attributes",
           attribute(CONNECTION | NESTED, attribute(1, u8(99)) + attribute(1, u8(6))), lambda entry: entry[1] == u8(6))
    say(family.connections(conn(protocol=u8(99))) == [], "an unused protocol selects nothing")
    module = parse(family.call(GET_MODULE)[0][4:])
    features = parse(module[MODULE_FEATURES])
    say(module[MODULE_VERSION].endswith(b"\0") and b"connections\0" in features.values(), "GET_MODULE has the version and the features", module)
    say(table.table() == before, "selections change nothing")


def check_apply():
    """Changes in one message are applied up to the first refused one. The table in one listing."""
    table, family = Family(), Family(name=b"ipvs_rs")
    table.call(FLUSH)

    def applied(data):
        """The number of applied changes, and the error."""
        try:
            answers = family.call(APPLY, data)
        except Refused as refused:
            return refused.done, str(refused)
        return struct.unpack("=I", parse(answers[0][4:])[DONE])[0], "0"

    add = change(NEW_SERVICE, svc())
    server = change(NEW_DEST, key() + dst())
    say(applied(b"") == (0, "0"), "a message without changes is accepted")
    got = applied(add + server + change(NEW_SERVICE, svc(port=be16(81))))
    say(got == (3, "0") and len(table.table()) == 2, "three changes are applied", got)
    before = table.table()
    for name, data, wanted in (
            ("half an attribute", b"\x08\x00\x06", (None, "EINVAL")),
            ("an attribute that is no change", add + attribute(60, b"later"), (None, "EOPNOTSUPP")),
            ("half an attribute in the last change", change(FLUSH) + attribute(CHANGE | NESTED, b"\x08\x00\x01"), (None, "EINVAL")),
            ("no command", attribute(CHANGE | NESTED, attribute(2, b"")), (0, "EINVAL")),
            ("a command of no length", attribute(CHANGE | NESTED, attribute(1, b"")), (0, "EINVAL")),
            ("a command that changes nothing", change(GET_INFO), (0, "EOPNOTSUPP")),
            ("a listing", change(GET_SERVICE), (0, "EOPNOTSUPP")),
            ("an unknown command", change(99), (0, "EOPNOTSUPP")),
            ("half an attribute in the change", change(FLUSH, b"\x08\x00\x01"), (0, "EINVAL")),
            ("a service that exists", add + change(FLUSH), (0, "EEXIST"))):
        got = applied(data)
        say(got == wanted and family.sentence, f"changes with {name} are refused", f"{got} ({family.sentence!r}) instead of {wanted}")
        say(table.table() == before, f"changes with {name} leave the table unchanged")
    got = applied(change(DEL_SERVICE, key(port=be16(81))) + server + change(FLUSH))
    say(got == (1, "EEXIST") and len(table.table()) == 1, "changes are applied up to the first refused one", got)
    check_transactions(table, applied)
    for number in range(300):
        table.call(NEW_SERVICE, svc(port=be16(1000 + number)))
        table.call(NEW_DEST, key(port=be16(1000 + number)) + dst(port=be16(number)))
    listed = [parse(body[4:]) for body in family.call(GET_TABLE, flags=DUMP)]
    whole = [[parse(entry[TABLE_SERVICE]), []] if TABLE_SERVICE in entry else parse(entry[TABLE_DEST]) for entry in listed]
    rows = []
    for entry in whole:
        if isinstance(entry, list):
            rows.append(entry)
        else:
            rows[-1][1].append(entry)
    # The 32-bit statistics exist for old tools.
    pieces = [[service, table.destinations(nest(SERVICE, {}, {kind: service[kind] for kind in (1, 2, 3, 4)}))]
              for service in table.services()]
    for row in pieces:
        for entry in (row[0], *row[1]):
            entry.pop(10)
    say(rows == pieces and len(rows) == 301, "the table in one listing equals that in pieces", f"{len(rows)} services")
    brief = [parse(body[4:]) for body in family.call(GET_TABLE, attribute(NO_STATISTICS, b""), flags=DUMP)]
    wanted = [(kind, {name: value for name, value in parse(nested).items() if name != STATS64})
              for entry in listed for kind, nested in entry.items()]
    say([(kind, parse(nested)) for entry in brief for kind, nested in entry.items()] == wanted, "a listing without statistics has all other attributes")
    for name, data in (("an unknown selection", attribute(99, b"")), ("a selection of connections", conn())):
        say(family.error(GET_TABLE, data, flags=DUMP) == "EOPNOTSUPP" and family.sentence, f"a table with {name} is refused")
    say(applied(change(FLUSH)) == (1, "0") and table.table() == [], "a flush is applied as a change")


def check_transactions(table, applied):
    """Changes that are made together or not at all."""
    table.call(FLUSH)
    atomic = attribute(ATOMIC, b"")
    add, server = change(NEW_SERVICE, svc()), change(NEW_DEST, key() + dst())
    other = change(NEW_DEST, key() + dst(addr=address("10.2.0.12")))
    say(applied(atomic) == (0, "0"), "transaction: nothing")
    got = applied(atomic + add + server + other + change(NEW_SERVICE, svc(fwmark=u32(7))))
    say(got == (4, "0") and len(table.table()) == 2, "transaction: four changes", got)
    before = table.table()
    six = {"af": u16(10), "addr": b"\xfd" + bytes(14) + b"\x64"}
    new_six = change(NEW_SERVICE, svc(netmask=u32(128), **six))
    gone = change(DEL_SERVICE, key())
    for name, data, wanted in (
            ("a service twice", change(SET_SERVICE, svc(timeout=u32(9))) + add, (1, "EEXIST")),
            ("a server twice", change(DEL_DEST, key() + dst()) + other, (1, "EEXIST")),
            ("a service that a change deletes", gone + server, (1, "ESRCH")),
            ("a service that is added again, with a wrong server",
             gone + add + change(DEL_DEST, key() + dst()), (2, "ENOENT")),
            ("a scheduler that does not exist", gone + change(NEW_SERVICE, svc(port=be16(81), sched=b"nosuch\0")),
             (1, "ENOENT")),
            ("a new service and a wrong server", new_six + change(NEW_DEST, key(**six) + dst(
                family=u16(2))), (1, "EINVAL")),
            ("flush", change(DEL_DEST, key() + dst()) + change(FLUSH), (1, "EOPNOTSUPP")),
            ("zero", change(ZERO), (0, "EOPNOTSUPP")),
            ("timeouts", gone + change(SET_CONFIG, attribute(TIMEOUT_TCP, u32(777))), (1, "EOPNOTSUPP")),
            ("half an attribute at the end", gone + attribute(CHANGE | NESTED, b"\x08\x00\x01"), (None, "EINVAL")),
            ("half an attribute in a change", gone + change(DEL_SERVICE, b"\x08\x00\x01"), (1, "EINVAL"))):
        for form in (atomic + data, data + atomic):
            got = applied(form)
            say(got == wanted, f"transaction: {name}", f"{got} instead of {wanted}")
            say(table.table() == before, f"transaction: {name}: nothing is changed")
    # Everything at once, against the same one by one.
    changes = (gone, add, server, change(SET_DEST, key() + dst(weight=u32(7))), other,
               change(NEW_SERVICE, svc(port=be16(82))), change(DEL_SERVICE, key(port=be16(82))),
               change(SET_SERVICE, svc(sched=b"rr\0", timeout=u32(5))),
               change(NEW_DEST, key() + dst(addr=address("10.2.0.13"))), change(DEL_DEST, key() + dst(
                   addr=address("10.2.0.13"))), change(NEW_SERVICE, svc(port=be16(83))))
    got = applied(b"".join(changes))
    one_by_one = table.table()
    say(got == (len(changes), "0"), "changes one by one", got)
    table.call(FLUSH)
    applied(atomic + add + server + other + change(NEW_SERVICE, svc(fwmark=u32(7))))
    got = applied(atomic + b"".join(changes))
    say(got == (len(changes), "0"), "the same changes in a transaction", got)
    in_order = lambda rows: sorted(map(repr, rows))
    say(in_order(table.table()) == in_order(one_by_one), "have the same result",
        f"{table.table()} instead of {one_by_one}")
    table.call(FLUSH)
    got = applied(add + server)
    say(got == (2, "0"), "a table for what follows", got)


def check_walk(seconds=15.0):
    """The list of connections has lasting ones once and none twice, while thousands come and go."""
    family = Family(receive=8192, name=b"ipvs_rs")

    def rows():
        return collections.Counter(tuple(entry[kind] for kind in CONN_IDENTITY) for entry in family.connections())

    stay = collections.Counter({row: 1 for row in rows() if row[0] == u8(socket.IPPROTO_TCP)})
    end = time.monotonic() + seconds * int(os.environ.get("TIME_SCALE", "1"))
    sizes, wrong = [], []
    while time.monotonic() < end:
        listed = rows()
        sizes.append(len(listed))
        twice = sum(number > 1 for number in listed.values())
        missed = len(stay - listed)
        if twice or missed:
            wrong.append(f"{missed} missed, {twice} twice")
        time.sleep(0.2)
    say(len(stay) > 60, "there are lasting connections", len(stay))
    say(len(sizes) > 3 and max(sizes) > 2 * min(sizes), "the list is read while connections come and go", sizes)
    say(not wrong, "every list has lasting connections once and none twice", f"{len(wrong)} of {len(sizes)}: {wrong[:3]}")


def probe():
    """Prints the errors of a listing, of adding a service and of a flush."""
    try:
        family = Family()
        print(family.error(GET_SERVICE, flags=DUMP), family.error(NEW_SERVICE, svc(port=be16(9999))),
              family.error(FLUSH))
    except Exception as error:  # The family does not exist.
        print(error)


if __name__ == "__main__":
    {"bad": check_bad, "dumps": check_dumps, "filters": check_filters, "apply": check_apply, "walk": check_walk, "probe": probe}[sys.argv[1]]()
