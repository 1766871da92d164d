#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs a command in a terminal and prints its screens.

    terminal.py STEPS COMMAND…   the terminal has 100 columns and 24 lines

STEPS are separated by spaces; a backslash before a letter stands for the key of Python's escape:
    keys=TEXT       types the text
    wait=REGEX      waits until a line of the screen matches; _ stands for a space
    gone=REGEX      waits until none does
    size=100x24     changes the size of the terminal
    show            prints the screen
    end             waits until the command has ended; its status must be 0

It understands what full-screen programs send: places, erasing, and text. Colors do not matter here.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 30 * int(os.environ.get("TIME_SCALE", "1"))
CONTROL = re.compile(r"\x1b(?:\[(?P<args>[0-9;?<=>]*)(?P<final>[@-~])|\][^\x07]*\x07|[()].|[=>78DM])")


class Screen:
    """The characters on the screen."""

    def __init__(self, columns, lines):
        self.size = columns, lines
        self.cells = [[" "] * columns for _ in range(lines)]
        self.column = self.line = 0
        self.rest = ""

    def resize(self, columns, lines):
        """Keeps what fits."""
        former = self.cells
        self.size = columns, lines
        self.cells = [[" "] * columns for _ in range(lines)]
        for line, cells in zip(self.cells, former):
            line[:len(cells)] = cells[:columns]
        self.column, self.line = 0, 0

    def feed(self, text):
        """Takes the command's output in."""
        text = self.rest + text
        self.rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = CONTROL.match(text, at)
                if not match:
                    self.rest = text[at:]
                    return
                if match["final"]:
                    self.control(match["args"], match["final"])
                at = match.end()
                continue
            self.put(text[at])
            at += 1

    def put(self, character):
        """Writes a character where the cursor is."""
        columns, lines = self.size
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.line = min(self.line + 1, lines - 1)
        elif character >= " ":
            if self.column < columns:
                self.cells[self.line][self.column] = character
            self.column += 1

    def control(self, arguments, final):
        """Obeys a control sequence."""
        columns, lines = self.size
        numbers = [int(number or 0) for number in arguments.split(";")] if re.fullmatch("[0-9;]*", arguments) else []
        first = numbers[0] if numbers else 0
        if final == "H":
            second = numbers[1] if len(numbers) > 1 else 1
            self.line = min(max(first, 1), lines) - 1
            self.column = min(max(second, 1), columns) - 1
        elif final == "J" and first == 2:
            self.cells = [[" "] * columns for _ in range(lines)]
        elif final == "J" and first == 0:
            self.cells[self.line][self.column:] = [" "] * (columns - self.column)
            for line in range(self.line + 1, lines):
                self.cells[line] = [" "] * columns
        elif final == "K" and first == 0:
            self.cells[self.line][self.column:] = [" "] * (columns - self.column)
        elif final == "C":
            self.column = min(self.column + max(first, 1), columns - 1)

    def text(self):
        """The screen as lines."""
        return ["".join(line).rstrip() for line in self.cells]


class Session:
    """A command in a terminal."""

    def __init__(self, command, columns=100, lines=24):
        self.screen = Screen(columns, lines)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            # The size is set before the command looks.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execvp(command[0], command)
        self.status = None

    def hear(self, seconds):
        """Reads output for at most so long; False when the command has closed its terminal."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.screen.feed(data.decode(errors="replace"))
        return bool(data)

    def until(self, condition, what):
        """Waits for a condition."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end or not self.hear(0.1):
                if not condition():
                    self.fail(f"timeout: {what}")
                return

    def fail(self, why):
        """Shows the screen, and ends."""
        print("\n".join(self.screen.text()))
        os.kill(self.pid, signal.SIGKILL)
        sys.exit(why)

    def matches(self, pattern):
        """Whether a line matches."""
        return any(re.search(pattern, line) for line in self.screen.text())

    def end(self):
        """Waits for the end."""
        end = time.monotonic() + PATIENCE
        while self.hear(0.1):
            if time.monotonic() > end:
                self.fail("the command does not end")
        _, status = os.waitpid(self.pid, 0)
        if status:
            sys.exit(f"status {status}")

    def step(self, step):
        """Does one step."""
        order, _, argument = step.partition("=")
        if order == "keys":
            os.write(self.terminal, argument.encode().decode("unicode_escape").encode())
        elif order == "wait":
            pattern = argument.replace("_", " ")
            self.until(lambda: self.matches(pattern), pattern)
        elif order == "gone":
            pattern = argument.replace("_", " ")
            self.until(lambda: not self.matches(pattern), f"the end of {pattern}")
        elif order == "size":
            columns, lines = map(int, argument.split("x"))
            self.screen.resize(columns, lines)
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        elif order == "show":
            print("\n".join(self.screen.text()))
        elif order == "end":
            self.end()
        else:
            sys.exit(f"which step is {step}?")


def main():
    """The command line."""
    session = Session(sys.argv[2:])
    for step in sys.argv[1].split():
        session.step(step)


if __name__ == "__main__":
    main()
