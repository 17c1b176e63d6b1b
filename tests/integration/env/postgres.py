# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for tests: made in a folder, as an unprivileged user (initdb refuses root), with
its socket there and, if asked for, on a TCP port of the kernel's choice.

PG_BIN names the folder of another version's programs."""

import contextlib
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from env import program


def _version(path):
    return float(re.search(r"postgresql/([0-9.]+)/", path).group(1))


def bin_folder():
    if os.environ.get("PG_BIN"):
        return os.environ["PG_BIN"]
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=_version)
    assert found, "there is no /usr/lib/postgresql: install the package postgresql"
    return found[-1]


def user():
    """Whose processes they are: a user who is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("there is no user to run PostgreSQL as")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def own(path, who):
    if who:
        os.chown(path, who.pw_uid, who.pw_gid)


def drop_privileges(who):
    if not who:
        return {}
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


class Postgres:
    """A server that runs until stop(). Its folder is under /tmp: the path of a socket is short."""

    address = "127.0.0.1"

    def __init__(self, *settings, auth="trust"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-test-", dir="/tmp"))
        self.who = user()
        self.folder.chmod(0o755)
        own(self.folder, self.who)
        self.port = free_port()
        self.settings = ["fsync=off", "full_page_writes=off", "shared_buffers=32MB", *settings]
        self.process = None
        password = self.folder / "superuser"
        password.write_text("super")
        own(password, self.who)
        self._run("initdb", "-D", self.folder / "data", "-U", "postgres", "--auth-local=trust",
                  f"--auth-host={auth}", f"--pwfile={password}", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    def _run(self, name, *arguments):
        subprocess.run([f"{bin_folder()}/{name}", *map(str, arguments)], check=True, capture_output=True,
                       cwd="/", **drop_privileges(self.who))

    def start(self, wait=True):
        options = [x for setting in self.settings for x in ("-c", setting)]

        def begin():
            with open(self.folder / "log", "ab") as log:
                self.process = subprocess.Popen(
                    [f"{bin_folder()}/postgres", "-D", str(self.folder / "data"), "-k", str(self.folder),
                     "-h", self.address, "-p", str(self.port), *options],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **drop_privileges(self.who))

        def ready():
            if self.process.poll() is not None:
                begin()  # children of one that was killed may still hold its memory
            return self.answers()

        begin()
        if wait:
            program.wait_until(ready, "PostgreSQL to start")

    def answers(self):
        return subprocess.run(["psql", "-qAt", self.url(), "-c", "SELECT 1"],
                              capture_output=True).returncode == 0

    def url(self, database="postgres", role="postgres"):
        """By the socket."""
        return f"postgresql://{role}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database="postgres", role="postgres", host="127.0.0.1"):
        return f"postgresql://{role}@{host}:{self.port}/{database}"

    def sql(self, text, database="postgres"):
        """What psql prints: a row a line, columns parted by |."""
        result = subprocess.run(["psql", "-qAt", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", text],
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def database(self, name):
        self.sql(f'CREATE DATABASE "{name}"')
        return name

    def children(self):
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in pathlib.Path(path).read_text().split()]

    def freeze(self):
        """It hangs: connections stay, nothing is answered."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self.frozen = self.children()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self, number=signal.SIGINT):
        """SIGINT: fast shutdown; SIGQUIT: immediate; SIGKILL: a crash."""
        if number == signal.SIGKILL:
            for pid in self.children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.send_signal(number)
        self.process.wait(program.PATIENCE_S)

    def stop(self):
        if self.process.poll() is None:
            self.end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


class Standby(Postgres):
    """A hot standby of a server, which waits for it before it acknowledges a commit."""

    def __init__(self, primary, address=Postgres.address, port=None):
        self.address = address
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-test-", dir="/tmp"))
        self.who = primary.who
        self.folder.chmod(0o755)
        own(self.folder, self.who)
        self.port = port or free_port()
        self.settings = primary.settings
        self._run("pg_basebackup", "-h", primary.folder, "-p", primary.port, "-U", "postgres", "-D",
                  self.folder / "data", "-R", "-c", "fast", "--no-sync")
        self.start()
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql("SELECT pg_reload_conf()")
        program.wait_until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync",
                           "the standby to follow")


class Pgbouncer:
    """pgbouncer in front of a server, sharing connections by transaction; on a socket beside the server's."""

    def __init__(self, server, **settings):
        self.server = server
        self.port = settings.get("listen_port") or free_port()
        config = server.folder / f"pgbouncer-{self.port}.ini"
        values = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": server.folder,
                  "auth_type": "any", "pool_mode": "transaction", "default_pool_size": 4,
                  "max_client_conn": 200, "logfile": server.folder / f"pgbouncer-{self.port}.log", **settings}
        config.write_text(
            f"[databases]\n* = host={server.folder} port={server.port} user=postgres\n[pgbouncer]\n" +
            "".join(f"{name} = {value}\n" for name, value in values.items()))
        own(config, server.who)
        self.process = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", str(config)], cwd="/",
                                        **drop_privileges(server.who))
        program.wait_until(self.answers, "pgbouncer to start")

    def answers(self):
        return subprocess.run(["psql", "-qAt", self.url(), "-c", "SELECT 1"],
                              capture_output=True).returncode == 0

    def url(self, database="postgres"):
        return f"postgresql://postgres@/{database}?host={self.server.folder}&port={self.port}"

    def stop(self):
        self.process.kill()
        self.process.wait()
