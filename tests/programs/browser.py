# SPDX-License-Identifier: GPL-2.0-only
"""Drives Chromium without a screen by its DevTools protocol, through a pair of pipes."""

import base64
import fcntl
import json
import os
import select
import subprocess
import time

PATIENCE = 60


class Page:
    """A page in a browser of its own."""

    def __init__(self, folder, url, width, height):
        # The browser reads from descriptor 3 and writes to 4, so no other pipe may be there.
        ends = []
        for end in os.pipe() + os.pipe():
            ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
            os.close(end)
        to_browser, self.requests, self.answers, from_browser = ends
        command = ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--hide-scrollbars", f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
        self.browser = subprocess.Popen(command, pass_fds=(3, 4), stderr=subprocess.DEVNULL,
                                        preexec_fn=lambda: (os.dup2(to_browser, 3), os.dup2(from_browser, 4)))
        os.close(to_browser)
        os.close(from_browser)
        self.session = None
        self.number, self.rest, self.complaints = 0, b"", []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Runtime.enable")
        self.ask("Log.enable")
        mobile = width < 600
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.ask("Page.navigate", url=url)

    def message(self):
        """The next message of the browser."""
        while b"\0" not in self.rest:
            if not select.select([self.answers], [], [], PATIENCE)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self.answers, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **parameters):
        """Sends a request and returns the result. Complaints of the page meanwhile are kept."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.requests, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                if "error" in message:
                    raise ValueError(f"{method}: {message['error']}")
                return message["result"]
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(message["params"])

    def value(self, expression):
        """The value of an expression in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def soon(self, expression):
        """Whether an expression becomes true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.value(expression):
                return True
            time.sleep(0.1)
        return False

    def picture(self, file):
        """Saves what the page looks like, down to the end of its text."""
        width = self.value("window.innerWidth")
        height = self.value("document.querySelector('table').getBoundingClientRect().bottom + 10")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        data = self.ask("Page.captureScreenshot", format="png", clip=clip)["data"]
        with open(file, "wb") as out:
            out.write(base64.b64decode(data))

    def close(self):
        """Ends the browser."""
        self.browser.kill()
        self.browser.wait()
        os.close(self.requests)
        os.close(self.answers)
