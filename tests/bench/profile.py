#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Marks the packets of each row of nic.py for the plugin of QEMU that counts instructions (profile/count.c).

Prints the rows, with the numbers of their sections, and the symbols of the kernel, for bench-report.
"""

import ctypes
import mmap
import pathlib

import bench
import nic


def mark(number):
    """Returns a function that executes the instruction that the plugin takes for this mark."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # nopl with a displacement, and ret.
    code.write(b"\x0f\x1f\x80LVS" + bytes([number]) + b"\xc3")
    function = ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    # It has no other owner.
    function.code = code
    return function


begin, end = mark(1), mark(2)


def symbols(wanted):
    """Prints the addresses of the functions that are in a module, or of those that are not."""
    for line in pathlib.Path("/proc/kallsyms").read_text(encoding="ascii").splitlines():
        address, kind, name, *module = line.split()
        if kind in "tTwW" and bool(module) == wanted:
            print("symbol", address, name, *module)


class Profiled(nic.Rig):
    """One run, whose packets are counted."""

    sections = 0
    measured = []

    def run_card(self, request):
        begin()
        took = super().run_card(request)
        end()
        self.sections += 1
        return took

    def cost(self, row, packets, value, **fields):
        self.measured.append((self.sections - 1, self.mode, row, packets))

    def director_down(self):
        print("modules")
        symbols(True)
        for row in self.measured:
            print("section", *row)
        self.measured = []
        super().director_down()


if __name__ == "__main__":
    print("kernel")
    symbols(False)
    bench.main(Profiled, nic.MODES, nic.MODULES)
