# SPDX-License-Identifier: Apache-2.0
"""The real programs, as processes: started, waited for, stopped, and their exits looked at.

BUILD_DIR names the build whose programs run (default build/release).
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build/release")).resolve()
SANITIZED = BUILD.name in ("asan", "tsan")
# A sanitizer makes everything several times as slow, and the machine may be busy.
PATIENCE_S = 60 if SANITIZED else 30


def binary(name):
    path = BUILD / "bin" / name
    assert path.exists(), f"{path} is not there; ./dev build builds it"
    return str(path)


def wait_until(condition, what, timeout_s=PATIENCE_S):
    """Poll until condition() is true, and return what it returned."""
    end = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
        time.sleep(0.005)


def environment(**extra):
    """The environment of a program: nothing of the user's that it would react to."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("TOKEN_", "OSMO_")) and not name.lower().endswith("_proxy")}
    return {**kept, **{name: str(value) for name, value in extra.items()}}


def run(name, *arguments, env=None, cwd=None, stdin=""):
    """Run a program to its end; returns returncode, stdout and stderr."""
    return subprocess.run([binary(name), *map(str, arguments)], input=stdin, text=True, capture_output=True,
                          timeout=PATIENCE_S, cwd=cwd, env=environment(**(env or {})))


class Program:
    """A program that runs until it is stopped. What it writes goes to files in its folder. `under` is
    a command that executes it."""

    def __init__(self, folder, name, *arguments, env=None, path=None, under=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log_path = self.folder / f"{name}.log"
        self.out_path = self.folder / f"{name}.out"
        self.ready_path = self.folder / f"{name}.ready"
        self.ready_path.unlink(missing_ok=True)
        self.arguments = [*under, str(path or binary(name)), *map(str, arguments)]
        with open(self.log_path, "ab") as log, open(self.out_path, "ab") as out:
            self.process = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                env=environment(**(env or {})))

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    def wait_ready(self):
        """Wait for the ready file; its content is the addresses that were really bound."""
        def ready():
            code = self.process.poll()
            assert code is None, f"{self.name} exited with {code} before it was ready:\n{self.log}"
            return self.ready_path.exists()

        wait_until(ready, f"{self.name} to be ready; its log:\n{self.log}")
        return json.loads(self.ready_path.read_text())

    def wait_exit(self, timeout_s=PATIENCE_S):
        """Wait for it to end by itself, and return its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not exit in {timeout_s} s:\n{self.log}") from None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """End it as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def stop(self):
        """Ask it to stop, and insist that it does so cleanly. Harmless when it has ended already
        and was waited for."""
        if self.process.returncode is not None:
            return
        self.signal(signal.SIGTERM)
        code = self.wait_exit()
        assert code == 0, f"{self.name} exited with {code}:\n{self.log}"


class TokenService(Program):
    """token-service on ports of the kernel's choice, with a data directory of its own."""

    def __init__(self, folder, *arguments, env=None, grpc="127.0.0.1:0", http="127.0.0.1:0", wait=True,
                 path=None, under=()):
        folder = pathlib.Path(folder)
        self.data_dir = folder / "data"
        super().__init__(
            folder, "token-service", "--data-dir", self.data_dir, "--grpc-listen", grpc,
            "--http-listen", http, "--ready-file", folder / "token-service.ready",
            *(() if "--threads" in arguments else ("--threads", "2")), *arguments, env=env, path=path,
            under=under)
        self.grpc = self.http = None
        if wait:
            self.wait_ready()

    def wait_ready(self):
        addresses = super().wait_ready()
        self.grpc, self.http = addresses.get("grpc"), addresses.get("http")
        return addresses

    @property
    def admin_token(self):
        return (self.data_dir / "admin.token").read_text().strip()

    @property
    def url(self):
        return f"http://{self.http}"


class TokenGateway(Program):
    """token-gateway in front of a service at an address (host:port or unix:PATH)."""

    def __init__(self, folder, service, *arguments, env=None, http="127.0.0.1:0", wait=True):
        folder = pathlib.Path(folder)
        super().__init__(
            folder, "token-gateway", "--http-listen", http, "--service", service,
            "--ready-file", folder / "token-gateway.ready",
            *(() if "--threads" in arguments else ("--threads", "2")), *arguments, env=env)
        self.http = None
        if wait:
            self.http = self.wait_ready()["http"]

    @property
    def url(self):
        return f"http://{self.http}"


class Osmo:
    """The command line as one user runs it: a home of its own, no terminal."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)

    def __call__(self, *arguments, stdin="", columns=None, env=None, timeout_s=PATIENCE_S):
        """Run it once; returns returncode, stdout and stderr."""
        extra = {"HOME": self.home, "XDG_CONFIG_HOME": self.home / ".config", "LC_ALL": "C.UTF-8"}
        if columns is not None:
            extra["COLUMNS"] = columns
        return subprocess.run([binary("osmo"), *map(str, arguments)], input=stdin, text=True,
                              capture_output=True, timeout=timeout_s,
                              env=environment(**extra, **(env or {})))
