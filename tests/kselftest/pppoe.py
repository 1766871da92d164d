#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""One end of a PPPoE session, without discovery and without PPP's negotiation: pppoe.py DEVICE PEER'S-ADDRESS.

Prints "ready" when its device, ppp0, is there. The session ends with the program.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

AF_PPPOX, PX_PROTO_OE, SESSION = 24, 0, 1
# ioctl numbers of linux/ppp-ioctl.h.
PPPIOCGCHAN, PPPIOCATTCHAN, PPPIOCCONNECT, PPPIOCNEWUNIT = 0x80047437, 0x40047438, 0x4004743A, 0xC004743E


def number(file, request, argument=0):
    """Does an ioctl with an integer; returns it afterwards."""
    argument = struct.pack("i", argument)
    return struct.unpack("i", fcntl.ioctl(file, request, argument))[0]


def main():
    """Opens the session."""
    device, peer = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    session = socket.socket(AF_PPPOX, socket.SOCK_STREAM, PX_PROTO_OE)
    # A packed struct sockaddr_pppox.
    address = struct.pack("=HI", AF_PPPOX, PX_PROTO_OE) + struct.pack("!H6s16s", SESSION, bytes.fromhex(peer.replace(":", "")), device.encode())
    if libc.connect(session.fileno(), address, len(address)):
        sys.exit(f"connect: {os.strerror(ctypes.get_errno())}")
    channel = os.open("/dev/ppp", os.O_RDWR)
    number(channel, PPPIOCATTCHAN, number(session, PPPIOCGCHAN))
    unit = os.open("/dev/ppp", os.O_RDWR)
    number(channel, PPPIOCCONNECT, number(unit, PPPIOCNEWUNIT, -1))
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
