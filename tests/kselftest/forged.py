#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Has an XDP program redirect all frames of a device with forged notes, while a command runs.

    forged.py DEVICE TO NOTE FIRST,SECOND QUEUE COMMAND...

TO is the director's device where frames wait. A note says that FIRST or SECOND has received the
frame: a device's name or index. FIRST goes with even UDP ports (of IPv4). NOTE is the word of the
handler. With "old" for NOTE, the program writes only the magic number. The rest is what an earlier
frame has left in the memory.

If the host gets packets from queues that no card has, the script prints how many.
"""

import ctypes
import os
import platform
import socket
import struct
import subprocess
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, LINK_CREATE = 5, 28
PROG_TYPE_XDP, ATTACH_XDP, IN_DRIVER = 6, 37, 1 << 2
REDIRECT, ADJUST_HEAD = 23, 44
SO_ATTACH_FILTER = 26
# The note begins behind struct xdp_frame. If these are wrong, the director finds no note.
MAGIC = 0x697076735F727321  # see xdp.h
BACK = 256 - 40  # XDP_PACKET_HEADROOM - sizeof(struct xdp_frame)
PORT = 14 + 20 + 1  # the lower byte of the source port


def op(code, to=0, source=0, offset=0, value=0):
    """Returns an instruction, whose value may be unsigned."""
    return struct.pack("=BBhI", code, source << 4 | to, offset, value & 0xFFFFFFFF)


def store(offset, value):
    """Stores 64 bits at r1."""
    return op(0x18, 5, value=value) + op(0, value=value >> 32) + op(0x7B, 1, 5, offset)


def program(to, note, devices, queue):
    """Returns the instructions."""
    forged = store(0, MAGIC)
    if note is not None:
        forged += store(8, note) + op(0x62, 1, offset=16, value=devices[0])
        forged += op(0x71, 2, 1, BACK + PORT) + op(0x57, 2, value=1)  # r2 = port & 1
        forged += op(0x15, 2, offset=1) + op(0x62, 1, offset=16, value=devices[1])
        forged += op(0x62, 1, offset=20, value=queue)
    forged += op(0xBF, 1, 6) + op(0xB7, 2, value=BACK) + op(0x85, value=ADJUST_HEAD)
    forged += op(0xB7, 1, value=to) + op(0xB7, 2) + op(0x85, value=REDIRECT) + op(0x95)
    start = op(0xBF, 6, 1) + op(0xB7, 2, value=-BACK) + op(0x85, value=ADJUST_HEAD)
    start += op(0x61, 1, 6) + op(0x61, 3, 6, 4)  # r1 = data, r3 = data_end
    start += op(0xBF, 2, 1) + op(0x07, 2, value=BACK + PORT + 1)
    # Without room, the frame is dropped: XDP_ABORTED.
    return start + op(0x2D, 2, 3, len(forged) // 8) + forged + op(0xB7, 0) + op(0x95)


def bpf(command, attributes):
    """Makes the system call, and returns a file descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.syscall(BPF, command, attributes, len(attributes))
    if made < 0:
        sys.exit(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return made


def index(device):
    """Returns the index of a device in this namespace, or the number that was given."""
    return int(device) if device.isdigit() else socket.if_nametoindex(device)


def tap():
    """Returns a socket that gets the packets whose queue no card has: there are at most 8."""
    # ld queue; jgt #8, 0, 1; ret #1; ret #0. A packet has the number of its queue plus 1.
    code = struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0xFFFFF000 + 24, 0x25, 0, 1, 8, 6, 0, 0, 1, 6, 0, 0, 0)
    here = ctypes.create_string_buffer(code)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(3))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(here)))
    return sock


def main():
    """Runs the command. The link, and with it the program, ends with this process."""
    device, to, note, devices, queue, *command = sys.argv[1:]
    word = None if note == "old" else int(note)
    code = program(index(to), word, [index(name) for name in devices.split(",")], int(queue))
    here, terms = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    words = (PROG_TYPE_XDP, len(code) // 8, ctypes.addressof(here), ctypes.addressof(terms))
    loaded = bpf(PROG_LOAD, struct.pack("=IIQQ", *words))
    bpf(LINK_CREATE, struct.pack("=4I", loaded, index(device), ATTACH_XDP, IN_DRIVER))
    with tap() as packets:
        subprocess.run(command, check=True)
        wrong = 0
        try:
            while packets.recv(1):
                wrong += 1
        except BlockingIOError:
            pass
    if wrong:
        print(f"wrong queues: {wrong}")


main()
