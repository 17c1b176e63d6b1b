# SPDX-License-Identifier: Apache-2.0
"""Disks that become full, for a token-service and nobody else."""

import os
import resource
import subprocess

from . import program


def mount_namespace():
    """What makes a mount namespace here: root may, and so may users where the kernel lets them. Or None."""
    for unshare in (["unshare", "-m"], ["unshare", "-Ur", "-m"]):
        tried = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
        if tried.returncode == 0:
            return unshare
    return None


class SmallDisk:
    """A file system of 4 MiB at `folder`, which only the service sees: mount namespaces need no
    cleaning up. A shell that lives there fills it and makes room again."""

    script = """
    mount -t tmpfs -o size=4m,mode=700 tmpfs "$1" || exit 70
    cd "$1"
    while read -r word; do
        case $word in
        fill) dd if=/dev/zero of=filler bs=1k 2>&1 | tail -n 1 ;;
        free) rm filler ;;
        esac
        echo done "$word" >>"$2"
    done <"$3" &
    cd /
    shift 3
    exec "$@"
    """

    def __init__(self, folder):
        (folder / "data").mkdir(parents=True)
        self.orders, self.reports = folder / "orders", folder / "reports"
        os.mkfifo(self.orders)
        self.reports.write_text("")
        self.under = [*mount_namespace(), "sh", "-c", self.script, "sh", str(folder / "data"), str(self.reports),
                      str(self.orders)]
        self.orders_fd = os.open(self.orders, os.O_RDWR)

    def _order(self, word):
        before = self.reports.read_text().count("done")
        os.write(self.orders_fd, word.encode() + b"\n")
        program.wait_until(lambda: self.reports.read_text().count("done") > before, word)

    def fill(self, _):
        self._order("fill")

    def free(self, _):
        self._order("free")

    def close(self):
        os.close(self.orders_fd)


class SizeLimit:
    """No file of the service may grow any more: the kernel's own limit, which needs no rights."""

    under = []

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)

    def fill(self, service):
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def free(self, service):
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self):
        pass
