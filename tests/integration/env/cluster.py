#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three PostgreSQL members that Patroni and etcd keep as one cluster, with synchronous commits.

A write is acknowledged when a second member has it too (synchronous_mode), so a member that becomes
the leader has every acknowledged write. All from Debian's packages, on loopback, in one folder, as an
unprivileged user (initdb refuses root: root becomes `postgres`).

As a program, for trying things by hand:

    tests/integration/env/cluster.py up DIR        start; prints the URL of the cluster; Ctrl-C ends it
    tests/integration/env/cluster.py status DIR    members, roles, state
    tests/integration/env/cluster.py switchover DIR   the leader hands over
    tests/integration/env/cluster.py kill DIR      the leader and its keeper die at once, as a machine does
    tests/integration/env/cluster.py start DIR MEMBER  a member that died comes back
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from env import postgres, program  # noqa: E402

PATIENCE_S = 120
USER = "postgres"
DATABASE = "osmo"
OWNER = "osmo"
# Patroni's least; a leader that vanishes is replaced after so long.
LEADER_TTL_S = 20


def free_ports(count):
    """Ports that are free now; all are held until all are known, so that none comes twice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def children_of(pid):
    """A process and all that came from it, by what the kernel says now."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found


class Member:
    """One PostgreSQL and the Patroni that keeps it. Outlives the program that started it."""

    def __init__(self, folder, name, port, rest_port):
        self.folder, self.name, self.port, self.rest_port = folder, name, port, rest_port
        self.data = folder / name / "data"

    def start(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            process = subprocess.Popen(
                ["/usr/bin/patroni", str(self.folder / self.name / "patroni.yml")], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
                **postgres.drop_privileges(postgres.user()))
        (self.folder / f"{self.name}.pid").write_text(str(process.pid))
        return process

    @property
    def pid(self):
        try:
            return int((self.folder / f"{self.name}.pid").read_text())
        except FileNotFoundError:
            return None

    def processes(self):
        """The keeper and PostgreSQL's processes: the postmaster is in a session of its own."""
        found = children_of(self.pid) if self.pid else []
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            command = pathlib.Path(f"/proc/{postmaster}/cmdline")
            if command.exists() and str(self.data) in command.read_text():
                found += children_of(postmaster)
        return sorted(set(found))

    def send(self, number):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """As when its machine loses power: the keeper first, so that it restarts nothing."""
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, signal.SIGSTOP)
        self.send(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            if self.pid:
                os.waitpid(self.pid, 0)

    def state(self):
        """What its keeper says ({"state": "running", "role": "master" ...}), or None."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}/patroni", timeout=2) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def is_leader(self):
        state = self.state()
        return bool(state) and state.get("role") in ("master", "primary") and \
            state.get("state") == "running"


    def promoted_at(self):
        """When it was last told to become the leader, by its own log, in seconds since 1970."""
        lines = (self.folder / f"{self.name}.log").read_text(errors="replace").splitlines()
        last = [line for line in lines if "received promote request" in line][-1]
        stamp = datetime.datetime.strptime(" ".join(last.split()[:2]), "%Y-%m-%d %H:%M:%S.%f")
        return stamp.replace(tzinfo=datetime.timezone.utc).timestamp()


class Cluster:
    """The members in a folder: made by up(), found again by their settings."""

    def __init__(self, folder, settings):
        self.folder = folder
        self.settings = settings
        self.members = [Member(folder, *each) for each in settings["members"]]
        self.password = settings["password"]

    @classmethod
    def open(cls, folder):
        folder = pathlib.Path(folder).resolve()
        return cls(folder, json.loads((folder / "cluster.json").read_text()))

    @classmethod
    def up(cls, folder, members=3):
        """Make it and wait until there is a leader with a synchronous follower. An empty or new folder,
        which the unprivileged user must be able to reach."""
        folder = pathlib.Path(folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"'{folder}' is not empty")
        for path in ("/usr/bin/patroni", "/usr/bin/etcd"):
            if not os.path.exists(path):
                raise FileNotFoundError(f"{path} is missing; it is in the packages patroni and etcd-server")
        for parent in folder.parents:
            if postgres.user() and not parent.stat().st_mode & 0o001:
                raise PermissionError(f"'{parent}' is closed to the user {postgres.user().pw_name}, "
                                      "who runs the members")
        ports = free_ports(2 * members + 2)
        settings = {
            "etcd": ports[:2],
            "members": [(f"pg{i}", ports[2 + 2 * i], ports[3 + 2 * i]) for i in range(members)],
            "password": secrets.token_hex(16),
        }
        path = folder / "cluster.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(settings))
        cluster = cls(folder, settings)
        for member in cluster.members:
            cluster._configure(member)
        cluster._own()
        try:
            cluster._start_etcd()
            for member in cluster.members:
                member.start()
            cluster.wait_ready()
            cluster._make_database()
        except BaseException:
            cluster.down()
            raise
        return cluster

    def _configure(self, member):
        folder = self.folder / member.name
        folder.mkdir()
        password = {"password": self.password}
        config = {
            "scope": "token-service",
            "name": member.name,
            "restapi": {"listen": f"127.0.0.1:{member.rest_port}",
                        "connect_address": f"127.0.0.1:{member.rest_port}"},
            "etcd3": {"hosts": f"127.0.0.1:{self.settings['etcd'][0]}"},
            "bootstrap": {
                "dcs": {
                    "ttl": LEADER_TTL_S, "loop_wait": 1, "retry_timeout": 5,
                    # A leader whose PostgreSQL died is replaced, not waited for.
                    "primary_start_timeout": 0, "master_start_timeout": 0,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": {
                        "max_connections": 60, "log_timezone": "UTC", "shared_buffers": "32MB", "wal_level": "replica",
                        "wal_log_hints": "on", "max_wal_size": "256MB"}},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
                "pg_hba": ["local all all trust",
                           "host replication replicator 127.0.0.1/32 scram-sha-256",
                           "host all all 127.0.0.1/32 scram-sha-256"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{member.port}",
                "connect_address": f"127.0.0.1:{member.port}",
                "data_dir": str(member.data), "bin_dir": postgres.bin_folder(),
                "pgpass": str(folder / "pgpass"),
                "parameters": {"unix_socket_directories": str(folder)},
                "authentication": {"superuser": {"username": USER, **password},
                                   "replication": {"username": "replicator", **password},
                                   "rewind": {"username": "rewinder", **password}},
            },
            "watchdog": {"mode": "off"},
        }
        path = folder / "patroni.yml"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML

    def _own(self):
        for path in [self.folder, *self.folder.rglob("*")]:
            postgres.own(path, postgres.user())

    def _start_etcd(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in self.settings["etcd"])
        with open(self.folder / "etcd.log", "ab") as log:
            process = subprocess.Popen(
                ["/usr/bin/etcd", "--data-dir", str(self.folder / "etcd"), "--listen-client-urls", client,
                 "--advertise-client-urls", client, "--listen-peer-urls", peer,
                 "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **postgres.drop_privileges(postgres.user()))
        (self.folder / "etcd.pid").write_text(str(process.pid))

    def leader(self):
        return next((member for member in self.members if member.is_leader()), None)

    def has_synchronous_follower(self, leader):
        answer = self.sql(leader, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'",
                          database=USER, user=USER)
        return answer.strip() not in ("", "0")

    def wait_ready(self, followers=None):
        """A leader, and so many followers that stream from it (all that are meant to be, if not said),
        one of them synchronously. Returns the leader."""
        followers = len(self.members) - 1 if followers is None else followers

        def ready():
            leader = self.leader()
            if not leader or len(leader.state().get("replication", [])) < followers:
                return None
            return leader if self.has_synchronous_follower(leader) else None

        return program.wait_until(ready, f"the cluster in '{self.folder}' to have a leader and "
                                         f"{followers} followers; see the logs there", PATIENCE_S)

    def sql(self, member, text, database=DATABASE, user=OWNER):
        """Run a statement on one member; what psql printed, empty if that failed."""
        done = subprocess.run(
            [f"{postgres.bin_folder()}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
             str(member.port), "-U", user, "-d", database, "-c", text], capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "3"},
            check=False)
        return done.stdout if done.returncode == 0 else ""

    def _make_database(self):
        def make(text, database=USER):
            if not self.sql(self.leader(), f"{text}; SELECT 'done'", database, USER):
                raise RuntimeError(f"this failed; see the logs in '{self.folder}': {text}")

        make(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{self.password}'")
        done = subprocess.run(
            [f"{postgres.bin_folder()}/createdb", "-h", "127.0.0.1", "-p", str(self.leader().port), "-U", USER,
             "-O", OWNER, DATABASE], capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "PGPASSWORD": self.password})
        if done.returncode:
            raise RuntimeError(done.stderr)

    @property
    def url(self):
        """All members; who connects looks for the one that writes. Without the password."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://{OWNER}@{hosts}/{DATABASE}?target_session_attrs=read-write"

    def write_password(self, path):
        path = pathlib.Path(path)
        path.touch(mode=0o600)
        path.write_text(self.password + "\n")
        return path

    def switchover(self):
        """The leader hands over to its synchronous follower; returns the new leader."""
        leader = self.leader()
        body = json.dumps({"leader": leader.name}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{leader.rest_port}/switchover", body,
                                         {"Content-Type": "application/json"})

        def accepted():
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                    return answer.read()
            except urllib.error.HTTPError as answer:
                with answer:
                    if answer.code != 412:  # its keeper has not written down yet who follows
                        raise
            return None

        program.wait_until(accepted, f"{leader.name} to take the order to hand over", PATIENCE_S)
        self.wait_other_leader(leader)
        return self.leader()

    def kill_leader(self):
        """The leader dies with its keeper; returns it. The next one leads after LEADER_TTL_S at most."""
        leader = self.leader()
        leader.kill()
        return leader

    def wait_other_leader(self, old):
        def other():
            leader = self.leader()
            return leader if leader and leader.name != old.name else None

        return program.wait_until(other, "another leader", PATIENCE_S)

    def down(self):
        for member in self.members:
            with contextlib.suppress(FileNotFoundError):
                member.kill()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int((self.folder / "etcd.pid").read_text())
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def command_up(options):
    cluster = Cluster.up(options.folder)
    path = cluster.write_password(cluster.folder / "password")
    print(f"up; leader {cluster.leader().name}\nurl: {cluster.url}\npassword file: {path}\n"
          "Ctrl-C ends it", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        cluster.down()


def command_status(options):
    for member in Cluster.open(options.folder).members:
        state = member.state() or {"role": "-", "state": "away"}
        print(f"{member.name}  127.0.0.1:{member.port}  {state.get('role', '-'):8} {state.get('state')}")


def run():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["up", "status", "switchover", "kill", "start"])
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("member", nargs="?", metavar="MEMBER")
    options = parser.parse_args()
    if options.command == "up":
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell may have left the first ignored
            signal.signal(number, signal.default_int_handler)
        return command_up(options)
    if options.command == "status":
        return command_status(options)
    cluster = Cluster.open(options.folder)
    if options.command == "switchover":
        print(f"{cluster.switchover().name} leads now")
    elif options.command == "kill":
        print(f"{cluster.kill_leader().name} is dead")
    else:
        member = next((each for each in cluster.members if each.name == options.member), None)
        if not member:
            parser.error(f"MEMBER must be one of {', '.join(each.name for each in cluster.members)}")
        member.start()
    return None


def main():
    try:
        run()
    except (OSError, AssertionError) as error:
        sys.exit(f"cluster.py: {error}")


if __name__ == "__main__":
    main()
