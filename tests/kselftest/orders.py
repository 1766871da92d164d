# SPDX-License-Identifier: GPL-2.0-only
"""The common parts of clients that take orders: the loop, and outcomes in one word."""

import os
import socket
import sys
import traceback

SCALE = int(os.environ.get("TIME_SCALE", "1"))


class Wrong(Exception):
    """A wrong answer. The text is one word."""


def outcome(function, *arguments):
    """The result of the function, or its failure as one word."""
    try:
        return function(*arguments)
    except TimeoutError:
        return "timeout"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionError:
        return "reset"
    except Wrong as error:
        return str(error)
    except OSError as error:
        return os.strerror(error.errno).replace(" ", "-")


def family(address):
    """The address family of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Orders:
    """Reads orders, one a line, from standard input. The methods `do_…` answer with one line."""

    def obey(self, line):
        """Performs one order."""
        order, *arguments = line.split()
        try:
            return getattr(self, "do_" + order)(*arguments)
        except Exception:  # The script sees the error and continues.
            traceback.print_exc()
            return f"error in: {line.strip()}"

    def take_orders(self):
        """Runs until the end of the input."""
        for line in sys.stdin:
            print(self.obey(line), flush=True)
