# SPDX-License-Identifier: Apache-2.0
"""Real shells on a terminal, that keys are typed into: what completion makes of them."""

import fcntl
import os
import re
import select
import subprocess
import termios
import time

from env import program

# How each is started without anybody's settings, and what makes its output plain.
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "unsetopt prompt_sp zle_bracketed_paste beep; autoload -Uz compinit; compinit -D -u")}


class Shell:
    """One with a completion script for a command, which itself only tells what it is called with."""

    def __init__(self, name, command, script, folder):
        start, setup = SHELLS[name]
        (folder / "script").write_text(script)
        self.seen = ""
        self.reader, terminal = os.openpty()
        self.process = subprocess.Popen(
            start, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), cwd=folder,
            env=program.environment(HOME=folder, TERM="dumb", PS1="$ ", INPUTRC="/dev/null", COLUMNS=1000))
        os.close(terminal)
        told = f"{command}() {{ printf 'called'; printf '<%s>' \"$@\"; echo 'e''nd'; }}; echo 're''ady'"
        self.write(f"{setup}; . {folder}/script; {told}")
        self.wait_for("ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.reader)

    def write(self, keys):
        os.write(self.reader, keys.encode() + b"\n")

    def wait_for(self, pattern):
        deadline = time.monotonic() + program.PATIENCE_S
        while not (match := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.reader], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"waited for {pattern}, got {self.seen!r}"
            self.seen += os.read(self.reader, 10000).decode(errors="replace")
        self.seen = self.seen[match.end():]
        return match

    def typed(self, keys):
        """What the command is called with when these keys, and then return, are typed; --option=value is two
        words (zsh writes it so), and a folder has no slash at its end (zsh takes that away again)."""
        self.write(keys)
        words = re.findall("<([^>]*)>", self.wait_for(r"called(.*)end")[1])
        return [part.rstrip("/") for word in words
                for part in (word.split("=", 1) if word.startswith("--") else [word])]


def fish_offers(script, folder, line):
    """What fish offers at the end of the line."""
    (folder / "script.fish").write_text(script)
    result = subprocess.run(
        ["fish", "--no-config", "-c", f"source {folder}/script.fish; complete -C '{line}'"], cwd=folder,
        capture_output=True, text=True, check=True, env=program.environment(HOME=folder))
    return [each.split("\t")[0] for each in result.stdout.splitlines()]
