#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks that shells, Prometheus and a browser understand lvsadm. Reports in TAP. Pictures of the
page stay in /usr/src/out. `scripts/programs` runs it in a root with these programs."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from browser import Page
from shells import checks as shell_checks

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = f"{HERE}/rules"
CANNED = "/usr/src/out/bin/lvsadm"


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Serving:
    """A program that serves HTTP at a port of this host."""

    def __init__(self, *command, port, ready):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.root = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self.get(ready)
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(f"{command[0]} does not answer")

    def get(self, path):
        """The body of an answer."""
        with urllib.request.urlopen(self.root + path, timeout=10) as answer:
            return answer.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def query(prometheus, expression):
    """The result of a query: pairs of labels and a number."""
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    result = json.loads(prometheus.get(path))["data"]["result"]
    return [(sample["metric"], float(sample["value"][1])) for sample in result]


def prometheus_checks(folder):
    """A scrape by Prometheus, and what it has then."""
    port = free_port()
    with Serving(CANNED, "metrics", f"127.0.0.1:{port}", port=port, ready="/metrics") as metrics:
        text = metrics.get("/metrics")
        # promtool reads the older format, which has no units and no end.
        linted = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        wrong = [line for line in linted.stderr.splitlines() if "error while linting" in line]
        yield "promtool can read the metrics", wrong
        config = f"{folder}/prometheus.yml"
        with open(config, "w", encoding="ascii") as out:
            out.write("scrape_configs:\n  - job_name: lvs\n    scrape_interval: 1s\n"
                      f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")
        linted = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)
        yield "promtool accepts the configuration", linted.returncode and linted.stdout
        port = free_port()
        arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}"]
        with Serving("prometheus", *arguments, port=port, ready="/-/ready") as prometheus:
            end = time.monotonic() + 60
            while time.monotonic() < end and query(prometheus, "min_over_time(up[1m])") != [({"instance": metrics.root[7:], "job": "lvs"}, 1.0)]:
                time.sleep(0.2)
            # A rate needs two scrapes.
            time.sleep(3)
            yield "Prometheus scrapes the metrics", not query(prometheus, "up == 1") and prometheus.get("/api/v1/targets")
            yield from stored(prometheus, text)
            yield from dashboard(prometheus)


def stored(prometheus, text):
    """What Prometheus has stored of a scrape."""
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    count = query(prometheus, 'count({__name__=~"lvs_.*"})')
    yield "Prometheus has every sample", count[0][1] != len(samples) and f"{count}, not {len(samples)}"
    kinds = json.loads(prometheus.get("/api/v1/metadata"))["data"]
    unknown = [name for name in names if not any(known.startswith(name) for known in kinds)]
    yield "Prometheus knows the type and the help of every metric", unknown
    servers = query(prometheus, 'lvs_server_weight{address="192.0.2.1",port="80"}')
    weights = {labels["server_address"]: value for labels, value in servers}
    wanted = {"10.2.0.11": 3, "10.2.0.12": 1, "10.2.0.13": 0, "203.0.113.9": 1}
    yield "a query returns the weights of a service's servers", weights != wanted and weights
    six = query(prometheus, 'lvs_server_active{server_address="2001:db8:0:2::12",method="DR"}')
    yield "IPv6 addresses are labels", len(six) != 1 and six
    counters = query(prometheus, 'rate(lvs_service_connections_total{fwmark=""}[1m]) > 0')
    yield "counters have rates", len(counters) != 3 and counters


def dashboard(prometheus):
    """The queries of the dashboard."""
    with open(f"{HERE}/../../packaging/grafana-dashboard.json", encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    empty = []
    for panel in panels:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            if not query(prometheus, expression):
                empty.append(expression)
    yield "every query of the dashboard has a result", empty


SIZES = (("a desktop", 1280, 800), ("a telephone", 390, 844))


def page_checks(folder):
    """The page at two sizes."""
    port = free_port()
    for name, width, height in SIZES:
        with Serving(CANNED, "page", f"127.0.0.1:{port}", port=port, ready="/") as server:
            page = Page(f"{folder}/{width}", server.root + "/", width, height)
            try:
                yield from looks(page, name, width)
                page.soon("document.querySelector('#rates polyline').getAttribute('points').split(' ').length > 40")
                page.picture(f"/usr/src/out/page-{width}.png")
                server.process.kill()
                lost = page.soon("document.getElementById('sum').textContent.includes('is lost')")
                yield f"on {name} the page reports a lost connection", not lost
            finally:
                page.close()


def looks(page, name, width):
    """What the page shows."""
    rows = page.soon("document.querySelectorAll('#rows tr').length === 11")
    yield f"on {name} the page lists all services and servers", not rows and page.value("document.body.innerText")
    text = page.value("document.body.innerText")
    absent = [word for word in ("192.0.2.1:80", "[2001:db8::1]:443", "DEGRADED", "NO ROUTE", "DRAINING", "EMPTY") if word not in text]
    yield f"on {name} the page shows names and states", absent and f"without {absent}: {text}"
    wide = page.value("document.documentElement.scrollWidth")
    yield f"on {name} nothing is wider than the page", wide > width and f"{wide} of {width}"
    shown = page.value("[...document.querySelectorAll('th')].filter(th => th.offsetWidth > 0).length")
    yield f"on {name} the columns fit the size", shown != (10 if width > 640 else 5) and shown
    bars = page.value("[...document.querySelectorAll('.bar i')].filter(bar => bar.offsetWidth > 0).length")
    yield f"on {name} the shares are bars", bars < 5 and bars
    small = page.value("[...document.querySelectorAll('td')].some(td => td.offsetWidth > 0 && td.scrollWidth > td.clientWidth + 1)")
    yield f"on {name} no cell is cut off", small
    before = page.value("document.getElementById('rows').innerText")
    changed = page.soon(f"document.getElementById('rows').innerText !== {json.dumps(before)}")
    yield f"on {name} the figures change by themselves", not changed
    drawn = page.soon("document.querySelector('#rates polyline').getAttribute('points').split(' ').length > 3")
    yield f"on {name} the line of new connections grows", not drawn
    yield f"on {name} the page has no errors", page.complaints


def main():
    """Runs the checks."""
    os.environ.update(RULES=RULES, PATH=f"{os.path.dirname(CANNED)}:{os.environ['PATH']}")
    number = failed = 0
    for part in (shell_checks, prometheus_checks, page_checks):
        with tempfile.TemporaryDirectory() as folder:
            for sentence, wrong in part(folder):
                number += 1
                if wrong:
                    failed += 1
                    print(f"# {wrong}")
                print(f"{'not ok' if wrong else 'ok'} {number} - {sentence}", flush=True)
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
