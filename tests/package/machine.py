# SPDX-License-Identifier: Apache-2.0
"""A system of its own, booted with systemd in a container that shares the network of this one."""

import pathlib
import subprocess
import time


def make_root(folder):
    """Debian or Ubuntu, as this system is, with no more than systemd and what the tests look with."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    subprocess.run(["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,procps",
                    release["VERSION_CODENAME"], folder], check=True, capture_output=True)
    # what starts with the package is part of the test
    (folder / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    for name in ("hosts", "resolv.conf"):
        (folder / "etc" / name).unlink(missing_ok=True)
        (folder / "etc" / name).write_text(pathlib.Path("/etc", name).read_text())


class Machine:
    def __init__(self, root):
        self.root = root
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--resolv-conf=off", "--console=pipe",
             "--directory", root, "--boot"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self._wait_for_boot()

    def _leader(self):
        path = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        # nspawn has a helper at times; the machine's first process is the one that became systemd
        for pid in path.read_text().split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return pid
        return None

    def _wait_for_boot(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.nspawn.poll() is None, "the machine did not boot"
            self.pid = self._leader()
            if self.pid and self.run("systemctl is-system-running", check=False).stdout.strip() in (
                    "running", "degraded"):
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError("the machine did not boot in 60 s")

    def run(self, command, check=True):
        """A command of the shell, as root in the machine; stderr is with stdout."""
        result = subprocess.run(
            ["nsenter", "--target", self.pid, "--all", "env", "-i", "HOME=/root", "LC_ALL=C.UTF-8",
             "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        assert not check or result.returncode == 0, f"{command}: {result.stdout}"
        return result

    def stop(self):
        self.nspawn.kill()
        self.nspawn.wait()
