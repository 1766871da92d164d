# SPDX-License-Identifier: GPL-2.0-only
"""What clients that take orders have in common: the loop, and outcomes in one word."""

import os
import socket
import sys
import traceback

SCALE = int(os.environ.get("TIME_SCALE", "1"))


class Wrong(Exception):
    """An answer that is not what a right director lets through; the text is one word."""


def outcome(function, *arguments):
    """What the function returns, or the failure in a word."""
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
    """Takes orders, one a line on standard input, and answers each with one line: the methods `do_…`."""

    def obey(self, line):
        """Carries out one order."""
        order, *arguments = line.split()
        try:
            return getattr(self, "do_" + order)(*arguments)
        except Exception:  # The script is to see it, whatever it is, and go on.
            traceback.print_exc()
            return f"error in: {line.strip()}"

    def take_orders(self):
        """Until the end of the input."""
        for line in sys.stdin:
            print(self.obey(line), flush=True)
