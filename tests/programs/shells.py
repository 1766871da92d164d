# SPDX-License-Identifier: GPL-2.0-only
"""Completes command lines in real shells."""

import os
import pty
import re
import select
import signal
import subprocess
import time

CONTROL = re.compile(r"\x1b\[[0-9;?<=>]*[@-~]|\x1b[()].|\x1b[=>78]|\x07")
PROMPT = "ready> "


class Terminal:
    """An interactive shell in a terminal that has no control sequences."""

    def __init__(self, command, environment):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(environment, TERM="dumb", PS1=PROMPT)
            os.execvp(command[0], command)

    def heard(self, condition, patience=20):
        """The output until the condition holds and nothing comes any more."""
        text, end = "", time.monotonic() + patience
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.4)[0]:
                text += os.read(self.terminal, 65536).decode(errors="replace")
            elif condition(text):
                break
        return CONTROL.sub("", text).replace("\r", "")

    def enter(self, line):
        """Runs a command."""
        os.write(self.terminal, f"{line}\n".encode())
        self.heard(lambda text: PROMPT in text)

    def completed(self, line):
        """All that the terminal shows after a line and a tab."""
        os.write(self.terminal, f"{line}\t".encode())
        shown = self.heard(lambda text: len(text) > len(line), 5)
        # An empty line again.
        os.write(self.terminal, b"\x15\n")
        self.heard(lambda text: PROMPT in text)
        return shown

    def close(self):
        """Ends the shell."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Bash(Terminal):
    """bash with the package bash-completion, which loads the script when it is needed."""

    def __init__(self, folder):
        os.makedirs(f"{folder}/bash/completions")
        install(folder, "bash", "bash/completions/lvsadm")
        super().__init__(["bash", "--norc", "--noprofile", "-i"], {"BASH_COMPLETION_USER_DIR": f"{folder}/bash"})
        self.enter("bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'")
        self.enter("source /usr/share/bash-completion/bash_completion")


class Zsh(Terminal):
    """zsh with its completion system, which loads the script from its path of functions."""

    def __init__(self, folder):
        os.makedirs(f"{folder}/zsh")
        install(folder, "zsh", "zsh/_lvsadm")
        super().__init__(["zsh", "-f", "-i"], {})
        self.enter(f"unsetopt zle_bracketed_paste; fpath=({folder}/zsh $fpath)")
        self.enter(f"autoload -Uz compinit; compinit -u -d {folder}/zsh/dump; unsetopt list_ambiguous")


class Fish:
    """fish, which tells what it would offer."""

    def __init__(self, folder):
        os.makedirs(f"{folder}/fish/fish/vendor_completions.d")
        install(folder, "fish", "fish/fish/vendor_completions.d/lvsadm.fish")
        self.environment = dict(os.environ, XDG_DATA_DIRS=f"{folder}/fish:/usr/share", HOME=folder)

    def completed(self, line):
        """What it offers for a line, after the line without its last word."""
        offered = subprocess.run(["fish", "-c", "complete -C $argv[1]", line], env=self.environment,
                                 capture_output=True, text=True, check=True).stdout
        words = [entry.split("\t")[0] for entry in offered.splitlines()]
        start = line[:line.rfind(" ") + 1]
        return start + "\n".join(words)

    def close(self):
        """Nothing runs."""


def install(folder, shell, file):
    """Writes the completion script as `make install` does."""
    with open(f"{folder}/{file}", "wb") as script:
        subprocess.run(["/usr/src/out/lvsadm", "--completions", shell], stdout=script, check=True)


# A line, and all that must be offered.
CASES = (
    ("subcommands", "lvsadm conn", ["lvsadm connections"]),
    ("schedulers", "lvsadm -A -s lbl", ["lblc", "lblcr"]),
    ("scheduler flags", "lvsadm -A -s mh -b mh-f", ["mh-fallback"]),
    ("tunnel types", "lvsadm -a --tun-type g", ["gre", "gue"]),
    ("services that exist", "lvsadm -D -u 1", ["192.0.2.1:53"]),
    ("services after a part of them", "lvsadm -D -t 192.0.2.1:", ["192.0.2.1:80"]),
    ("firewall marks that exist", "lvsadm -D -f ", ["7"]),
    ("servers that exist", "lvsadm drain -r 10.2.0.1", ["10.2.0.11:80", "10.2.0.12:80", "10.2.0.13:80"]),
    ("IPv6 servers", "lvsadm drain -r {quote}[2001:db8:0:2::", ["[2001:db8:0:2::12]:443"]),
)


def checks(folder):
    """Pairs of a sentence and what is wrong, if anything."""
    for shell in (Bash, Zsh, Fish):
        name = shell.__name__.lower()
        os.makedirs(f"{folder}/{name}-home")
        running = shell(f"{folder}/{name}-home")
        for what, line, wanted in CASES:
            # zsh takes an open bracket for a pattern.
            shown = running.completed(line.format(quote="'" if shell is Zsh else ""))
            absent = [word for word in wanted if word not in shown]
            yield f"{name} completes {what}", absent and f"without {absent}: {shown!r}"
        running.close()
