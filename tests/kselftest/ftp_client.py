#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""An FTP client that stays connected and takes orders (the methods `do_…`): ftp_client.py SOURCE."""

import ftplib
import sys

from orders import SCALE, Orders


class Client(Orders):
    """One control connection."""

    def __init__(self, source):
        self.ftp = ftplib.FTP(timeout=30 * SCALE, source_address=(source, 0))

    def do_login(self, address):
        """login ADDRESS: opens the control connection."""
        self.ftp.connect(address)
        self.ftp.login()
        return "in"

    def do_get(self, name):
        """get NAME: the contents of a file with one line, by passive mode."""
        parts = []
        self.ftp.retrbinary(f"RETR {name}", parts.append)
        return b"".join(parts).decode().strip()

    def do_quit(self):
        """quit: closes the control connection."""
        self.ftp.quit()
        return "out"


if __name__ == "__main__":
    Client(*sys.argv[1:]).take_orders()
