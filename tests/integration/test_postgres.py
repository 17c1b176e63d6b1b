# SPDX-License-Identifier: Apache-2.0
"""The service on PostgreSQL: replicas on one database, and a database that restarts, hangs, is full of
connections or not to be written."""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import signal
import socket
import statistics
import threading
import time

import pytest
import requests

from env import certificates, disk, program
from env.postgres import Pgbouncer, Postgres, Standby, own


@pytest.fixture(scope="module")
def server():
    result = Postgres()
    yield result
    result.stop()


@pytest.fixture
def pooler(server):
    result = Pgbouncer(server)
    yield result
    result.stop()


@pytest.fixture
def own_server():
    """For a test that breaks it."""
    started = []

    def start(*settings, **keywords):
        started.append(Postgres(*settings, **keywords))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def start_replica(start_service, tmp_path):
    """start_replica(url, *options): a service with a data directory of its own, and the encryption key
    and the admin token that all replicas of the test share."""
    key, admin = tmp_path / "encryption.key", tmp_path / "admin"
    key.write_text("5a" * 32 + "\n")
    admin.write_text("c3" * 32 + "\n")
    numbers = iter(range(1000))

    def start(url, *options, given_admin=True, **keywords):
        return start_service(
            "--store", "postgres", "--postgres-url", url, "--encryption-key-file", key,
            *(("--admin-token-file", admin) if given_admin else ()), *options,
            folder=tmp_path / f"replica{next(numbers)}", **keywords)

    return start


ADMIN = {"Authorization": "Bearer " + "c3" * 32}


def make_token(service, name, headers=ADMIN, **body):
    answer = requests.post(f"{service.url}/v1/tokens", json={"name": name, **body}, headers=headers, timeout=20)
    return answer


def new_secret(service, name):
    answer = make_token(service, name)
    assert answer.status_code == 200, answer.text
    return answer.json()["secret"]


def whoami(service, secret):
    return requests.get(f"{service.url}/v1/whoami", headers={"Authorization": f"Bearer {secret}"}, timeout=20)


def delete(service, name):
    return requests.delete(f"{service.url}/v1/tokens/{name}", headers=ADMIN, timeout=20)


def metric(service, name):
    text = requests.get(f"{service.url}/metrics", timeout=20).text
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)][0]


def is_ready(service):
    return requests.get(f"{service.url}/readyz", timeout=20).status_code == 200


# --- Replicas ---


def test_what_one_replica_makes_the_other_knows(server, start_replica, unique):
    url = server.url(server.database(unique("db")))
    one, two = start_replica(url), start_replica(url)
    name = unique()
    secret = new_secret(one, name)
    assert whoami(two, secret).json()["tokenName"] == name
    assert make_token(two, name).status_code == 409
    jwt = requests.post(f"{one.url}/v1/auth/exchange", json={"token": secret}, timeout=20).json()["token"]
    assert whoami(two, jwt).json()["tokenName"] == name
    assert delete(two, name).status_code == 200
    program.wait_until(lambda: whoami(one, secret).status_code == 401, "the deletion to arrive", 1)
    program.wait_until(lambda: whoami(one, jwt).status_code == 401, "the deletion to arrive", 1)


class Credential:
    """A token, or a JWT made of one, that a replica is asked about again and again on one connection."""

    def __init__(self, service, credential):
        self.url = f"{service.url}/v1/whoami"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {credential}"
        self.refused = None  # when

    def ask(self):
        """Whether it is let in."""
        code = self.session.get(self.url, timeout=20).status_code
        assert code in (200, 401)
        if code == 401 and self.refused is None:
            self.refused = time.monotonic()
        return code == 200


def token_and_jwt(made_by, asked, name):
    """A new token and its JWT, known to the replica `asked`."""
    secret = new_secret(made_by, name)
    jwt = requests.post(f"{made_by.url}/v1/auth/exchange", json={"token": secret}, timeout=20).json()["token"]
    both = [Credential(asked, secret), Credential(asked, jwt)]
    assert all(each.ask() for each in both)
    return both


def percentile(values, percent):
    return sorted(values)[max(0, len(values) * percent // 100 - 1)]


def told_of(what, delays):
    print(f"deletion on one, refusal of {what} on the other: {len(delays)} times, median "
          f"{statistics.median(delays) * 1000:.1f} ms, p99 {percentile(delays, 99) * 1000:.1f} ms, "
          f"largest {max(delays) * 1000:.1f} ms")


IN_TIME = [30, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(600)])]


def delays_of_deletions(one, two, unique, count):
    """Seconds from a deletion on `one` until `two` refuses the token, and its JWT."""
    delays = ([], [])
    for _ in range(count):
        name = unique()
        both = token_and_jwt(one, two, name)
        assert delete(one, name).status_code == 200
        deleted = time.monotonic()
        while any([each.refused is None and each.ask() for each in both]):
            assert time.monotonic() - deleted < 5
        for each, found in zip(both, delays):
            found.append(each.refused - deleted)
    told_of("the token", delays[0])
    told_of("its JWT", delays[1])
    return delays


@pytest.mark.parametrize("count", IN_TIME)
def test_a_deletion_reaches_the_other_replica_in_time(server, start_replica, unique, count):
    url = server.url(server.database(unique("db")))
    one, two = start_replica(url), start_replica(url)
    limit_s = 2 if program.SANITIZED else 0.15 if count >= 100 else 0.5
    for _ in range(3):  # the machine may have been busy with something else
        slowest = max(percentile(found, 99) for found in delays_of_deletions(one, two, unique, count))
        if slowest < limit_s:
            break
    assert slowest < limit_s
    program.wait_until(lambda: metric(two, "token_service_postgres_notification_delay_seconds") > 0,
                       "a probe of the notifications")
    assert metric(two, "token_service_postgres_notifications") == 1


@pytest.mark.parametrize("count", IN_TIME)
def test_behind_a_pooler_alone_the_time_to_live_bounds_what_is_stale(server, pooler, start_replica, unique,
                                                                     count):
    ttl_s = 2
    options = ("--postgres-pooler", "transaction", "--cache-ttl", f"{ttl_s}s", "--max-tokens-per-user", "0")
    url = pooler.url(server.database(unique("db")))
    one, two = start_replica(url, *options), start_replica(url, *options)
    assert metric(two, "token_service_postgres_notifications") == 0
    assert "store.no_notifications" in two.log
    delays = ([], [])

    def one_after_the_other(numbers):
        for i in numbers:
            name = unique(f"t{i}")
            both = token_and_jwt(one, two, name)
            assert delete(one, name).status_code == 200
            assert whoami(one, both[0].session.headers["Authorization"].split()[1]).status_code == 401
            deleted = time.monotonic()
            while any([each.refused is None and each.ask() for each in both]):
                assert time.monotonic() - deleted < 30
                time.sleep(0.02)
            for each, found in zip(both, delays):
                found.append(each.refused - deleted)

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(one_after_the_other, [range(i, count, 10) for i in range(10)]))
    told_of("the token", delays[0])
    told_of("its JWT", delays[1])
    for found in delays:
        assert percentile(found, 99) < ttl_s + (5 if program.SANITIZED else 1)
    assert max(delays[0]) > 0.5  # it is the time to live that ended it, not a notification


def test_a_role_that_changes_on_one_replica_changes_on_the_other(server, start_replica, unique):
    url = server.url(server.database(unique("db")))
    one, two = start_replica(url), start_replica(url)
    role = unique("role")
    body = {"description": "x", "policies": [{"actions": ["http:/v1/x:Get"]}]}
    answer = requests.put(f"{one.url}/v1/roles/{role}", json=body, headers=ADMIN, timeout=20)
    assert answer.status_code == 200, answer.text

    def allowed():
        secret = make_token(two, unique("svc"), kind="SERVICE", roles=[role])
        return secret.status_code == 200

    program.wait_until(allowed, "the role to arrive", 2)


def test_ten_services_that_start_together_agree(server, start_replica, unique):
    database = server.database(unique("db"))
    replicas = [start_replica(server.url(database), "--threads", "1", "--postgres-connections", "2",
                              given_admin=False, wait=False) for _ in range(10)]
    for replica in replicas:
        replica.wait_ready()
    assert server.sql("SELECT count(*) = max(version) FROM schema_version", database) == "t"
    made = [r for r in replicas if (r.data_dir / "admin.token").exists()]
    assert len(made) == 1, f"{len(made)} of them think that they made the admin token"
    admin = made[0].admin_token
    keys = {requests.get(f"{r.url}/v1/auth/keys", timeout=20).text for r in replicas}
    assert len(keys) == 1
    for replica in replicas:
        assert whoami(replica, admin).json()["user"] == "admin"


def test_signing_keys_are_rotated_under_running_replicas(server, start_replica, unique, tmp_path):
    url = server.url(server.database(unique("db")))
    replicas = [start_replica(url) for _ in range(2)]

    def keys_of(replica):
        return [key["kid"] for key in requests.get(f"{replica.url}/v1/auth/keys", timeout=20).json()["keys"]]

    def jwt_of(replica):
        return requests.post(f"{replica.url}/v1/auth/exchange", json={"token": "c3" * 32}, timeout=20).json()["token"]

    before = keys_of(replicas[0])
    jwts = [jwt_of(replica) for replica in replicas]
    result = program.run("token-service", "rotate-keys", "--store", "postgres", "--postgres-url", url,
                         "--encryption-key-file", tmp_path / "encryption.key", "--data-dir", tmp_path / "none")
    assert result.returncode == 0, result.stderr
    # one of them is told to look at once: until the other does, each believes what either signs
    replicas[0].signal(signal.SIGHUP)
    program.wait_until(lambda: keys_of(replicas[0])[0] == before[1], "the new key")
    jwts.append(jwt_of(replicas[0]))
    for replica in replicas:
        assert [whoami(replica, jwt).status_code for jwt in jwts] == [200, 200, 200]
    assert not (tmp_path / "none").exists()


def test_a_schema_of_the_future_is_refused_and_left_alone(server, start_replica, unique):
    database = server.database(unique("db"))
    one = start_replica(server.url(database))
    server.sql("INSERT INTO schema_version VALUES (99, 'of the future', 0)", database)
    two = start_replica(server.url(database), wait=False)
    assert two.wait_exit() == 1
    assert "the database has schema version 99, this program knows versions up to" in two.log
    new_secret(one, unique())  # who runs already goes on: a step leaves the program before it working


# --- Configuration ---


def test_the_password_comes_from_a_file_and_goes_nowhere(own_server, start_replica, tmp_path, unique):
    server = own_server(auth="scram-sha-256")
    server.sql("CREATE ROLE tokens LOGIN PASSWORD 'hush-hush-7'")
    server.sql("CREATE DATABASE tokens OWNER tokens")
    password = tmp_path / "password"
    password.write_text("wrong-one-8\n")
    url = server.tcp_url("tokens", "tokens", "localhost")
    service = start_replica(url, "--postgres-password-file", password, wait=False)
    program.wait_until(lambda: "service.waiting" in service.log, "the log to say what it waits for")
    program.wait_until(lambda: "password authentication failed" in service.log, "the reason in the log")
    password.write_text("hush-hush-7\n")  # read again for each connection
    service.wait_ready()
    new_secret(service, unique())
    arguments = pathlib.Path(f"/proc/{service.pid}/cmdline").read_text()
    for secret in ("hush-hush-7", "wrong-one-8"):
        assert secret not in service.log and secret not in arguments


@pytest.mark.parametrize("url, message", [
    ("postgresql://u:pw-in-url@h/d", "without a password"),
    ("host=h password=pw-in-url", "without a password"),
    ("postgresql://u@h/d?target_session_attrs=any", "target_session_attrs must be read-write or primary"),
    ("postgresql://u@h/d?colour=pw-in-url", "must be a connection string"),
    ("host=a,b port=1,2,3", "must be a connection string"),
    ("service=main", "not the name of a service"),
])
def test_a_url_that_will_not_do_is_refused_without_repeating_it(tmp_path, url, message):
    key = tmp_path / "key"
    key.write_text("5a" * 32)
    result = program.run("token-service", "--check-config", "--store", "postgres", "--postgres-url", url,
                         "--encryption-key-file", key)
    assert result.returncode == 2
    assert message in result.stderr and "--postgres-url" in result.stderr
    assert "pw-in-url" not in result.stderr


@pytest.mark.parametrize("options, message", [
    (["--store", "postgres"], "--postgres-url"),
    (["--postgres-url", "postgresql://h/d"], "--store=postgres"),
    (["--store", "postgres", "--postgres-url", "postgresql://h/d"], "--encryption-key-file"),
])
def test_options_that_need_each_other(options, message):
    result = program.run("token-service", "--check-config", *options)
    assert result.returncode == 2
    assert message in result.stderr


def test_tls_is_checked_as_the_url_says(own_server, start_replica, tmp_path, unique):
    authority = certificates.Authority(tmp_path / "ca")
    other = certificates.Authority(tmp_path / "other", "other")
    cert, key = authority.issue("server", "localhost", "DNS:localhost")
    server = own_server()
    for path, name in ((cert, "server.crt"), (key, "server.key")):
        to = server.folder / "data" / name
        to.write_bytes(path.read_bytes())
        to.chmod(0o600)
        own(to, server.who)
    server.settings += ["ssl=on"]
    server.end()
    server.start()
    url = server.tcp_url(host="localhost")
    good = start_replica(f"{url}?sslmode=verify-full&sslrootcert={authority.cert}")
    new_secret(good, unique())
    assert server.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                      "WHERE application_name = 'token-service'") == "t"
    bad = start_replica(f"{url}?sslmode=verify-full&sslrootcert={other.cert}", wait=False)
    program.wait_until(lambda: "certificate verify failed" in bad.log, "the reason in the log")
    assert not bad.ready_path.exists()


# --- Trouble ---


def test_a_restart_of_the_database_is_got_over(own_server, start_replica, unique):
    server = own_server()
    service = start_replica(server.url())
    secret = new_secret(service, unique())
    assert whoami(service, secret).status_code == 200
    server.end(signal.SIGINT)
    answer = make_token(service, unique())
    assert answer.status_code == 503, answer.text
    assert whoami(service, secret).status_code == 200  # from the cache
    program.wait_until(lambda: not is_ready(service), "the service to notice")
    assert requests.get(f"{service.url}/healthz", timeout=20).status_code == 200
    server.start()
    started = time.monotonic()
    program.wait_until(lambda: make_token(service, unique()).status_code == 200, "writes to work again")
    assert time.monotonic() - started < (10 if program.SANITIZED else 3)
    program.wait_until(lambda: is_ready(service), "the service to be ready")
    assert metric(service, "token_service_postgres_connections_lost_total") >= 1


def test_a_server_that_hangs_is_given_up_and_asked_again(own_server, start_replica, unique):
    server = own_server()
    service = start_replica(server.url(), "--postgres-statement-timeout", "500ms",
                            "--postgres-connect-timeout", "500ms")
    secret = new_secret(service, unique())
    assert whoami(service, secret).status_code == 200
    server.freeze()
    try:
        name = unique()
        begun = time.monotonic()
        answer = make_token(service, name)
        assert answer.status_code == 503
        assert time.monotonic() - begun < 5
        assert whoami(service, secret).status_code == 200
        program.wait_until(lambda: not is_ready(service), "the service to notice")
    finally:
        server.thaw()
    program.wait_until(lambda: make_token(service, unique()).status_code == 200, "writes to work again")


def test_the_same_request_id_finds_what_an_answer_that_was_lost_did(own_server, start_replica, unique):
    server = own_server()
    service = start_replica(server.url(), "--postgres-statement-timeout", "300ms")
    server.freeze()
    try:
        name, request = unique(), unique("request")
        lost = make_token(service, name, requestId=request)
        assert lost.status_code == 503
    finally:
        server.thaw()  # and does what it was asked before it hung, or not

    def again():
        answer = make_token(service, name, requestId=request)
        assert answer.status_code in (200, 503), answer.text
        return answer if answer.status_code == 200 else None

    answer = program.wait_until(again, "the request to be answered")
    assert whoami(service, answer.json()["secret"]).json()["tokenName"] == name
    assert make_token(service, name, requestId=request).json()["secret"] == answer.json()["secret"]


def test_a_primary_that_becomes_read_only_is_left(own_server, start_replica, unique):
    server = own_server()
    service = start_replica(server.url())
    secret = new_secret(service, unique())
    assert whoami(service, secret).status_code == 200
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    server.sql("SELECT pg_reload_conf()")
    program.wait_until(lambda: make_token(service, unique()).status_code == 503, "writes to be refused")
    program.wait_until(lambda: not is_ready(service), "the service to notice")
    assert whoami(service, secret).status_code == 200
    (server.folder / "data/postgresql.auto.conf").write_text("")
    os.kill(server.process.pid, signal.SIGHUP)
    program.wait_until(lambda: make_token(service, unique()).status_code == 200, "writes to work again")
    program.wait_until(lambda: is_ready(service), "the service to be ready")


def test_a_service_with_few_connections_to_be_had_still_serves(own_server, start_replica, unique):
    server = own_server("max_connections=8", "superuser_reserved_connections=1")
    server.sql("CREATE ROLE tokens LOGIN")
    server.sql("CREATE DATABASE tokens OWNER tokens")
    service = start_replica(server.url("tokens", "tokens"), "--postgres-connections", "30")
    for _ in range(20):
        new_secret(service, unique())
    assert 1 <= metric(service, "token_service_postgres_connections") <= 7


def test_of_several_hosts_the_one_that_takes_writes_is_used(own_server, start_replica, unique):
    read_only, primary = own_server("default_transaction_read_only=on"), own_server()
    url = (f"postgresql://postgres@127.0.0.1:{read_only.port},127.0.0.1:{primary.port}/postgres")
    service = start_replica(url)
    new_secret(service, unique())
    assert primary.sql("SELECT count(*) FROM token WHERE name <> 'admin'") == "1"


class Writers:
    """Threads that make and delete tokens, and note what they were told."""

    def __init__(self):
        self.known, self.wrong = {}, []
        self.secrets = {}  # of those that are there or gone for sure
        self.numbers = iter(range(10**6))

    def start(self, service, count=6):
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._write, args=(service, next(self.numbers)))
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _write(self, service, number):
        session = requests.Session()
        session.headers.update(ADMIN)
        count = 0
        while not self.ending.is_set():
            name = f"k{number}-{os.getpid()}-{count}x"
            count += 1
            self.known[name] = "unsure"
            try:
                made = session.post(f"{service.url}/v1/tokens", json={"name": name}, timeout=20)
                self._note(made)
                if made.status_code != 200:
                    time.sleep(0.02)
                    continue
                self.secrets[name] = made.json()["secret"]
                self.known[name] = "there"
                if count % 3 == 0:
                    self.known[name] = "unsure"
                    gone = session.delete(f"{service.url}/v1/tokens/{name}", timeout=20)
                    self._note(gone)
                    if gone.status_code == 200:
                        self.known[name] = "gone"
            except requests.RequestException:
                time.sleep(0.01)

    def _note(self, answer):
        if answer.status_code not in (200, 503):
            self.wrong.append(answer.text)

    def told(self):
        return sum(state != "unsure" for state in self.known.values())

    def audit(self, server, service=None, since=0):
        """Every answer since the mark (a length of `known`) holds, by the database and, if given, by the
        service too."""
        rows = set(server.sql("SELECT name FROM token").split("\n"))
        told = list(self.known.items())[since:]
        lost = [name for name, state in told if state == "there" and name not in rows]
        risen = [name for name, state in told if state == "gone" and name in rows]
        assert not lost and not risen and not self.wrong
        if service:
            session = requests.Session()
            for name, state in told:
                if state in ("there", "gone"):
                    code = session.get(f"{service.url}/v1/whoami", timeout=20,
                                       headers={"Authorization": f"Bearer {self.secrets[name]}"}).status_code
                    assert code == (200 if state == "there" else 401), f"{name} is {state}, and gets {code}"


ROUNDS = int(os.environ.get("ROUNDS", 4))


@pytest.mark.timeout(120 + 10 * ROUNDS)
def test_kill_9_of_database_and_service_loses_no_answer(own_server, start_replica, unique):
    """Writers note what they were told; afterwards each answer holds, and no deleted token is let in."""
    server = own_server("fsync=on")
    service = start_replica(server.url(), "--max-tokens-per-user", "0")
    writers = Writers()
    for round_number in range(ROUNDS):
        before = len(writers.known)
        writers.start(service, 4)
        time.sleep(0.1 + round_number * 0.037 % 0.3)
        if round_number % 2:
            service.kill()
        else:
            server.end(signal.SIGKILL)
            server.start()
            program.wait_until(lambda: make_token(service, unique()).status_code == 200, "writes again")
        writers.stop()
        if round_number % 2:
            service = start_replica(server.url(), "--max-tokens-per-user", "0")
        writers.audit(server, service, before)
    writers.audit(server)
    print(f"{ROUNDS} rounds, {len(writers.known)} tokens, {writers.told()} answers that hold")
    assert writers.told() > 10 * ROUNDS
    total = server.sql("SELECT sum(value) FROM counter WHERE name LIKE 'user_tokens%'")
    assert total == server.sql("SELECT count(*) FROM token WHERE kind = 0")


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "behind_a_pooler"])
def test_a_write_is_on_disk_also_where_the_database_would_not_wait_for_it(own_server, start_replica, unique, pooled):
    server = own_server("fsync=on", "synchronous_commit=off", "wal_writer_delay=10s")
    pooler = Pgbouncer(server)
    try:
        service = start_replica(*((pooler.url(), "--postgres-pooler", "transaction") if pooled else (server.url(),)))
        secrets = [new_secret(service, unique()) for _ in range(5)]
        server.end(signal.SIGKILL)
        server.start()
        program.wait_until(lambda: is_ready(service), "the service to find the database again")
        assert [whoami(service, secret).status_code for secret in secrets] == [200] * 5
    finally:
        pooler.stop()


def test_a_failover_loses_no_answer_and_is_found(own_server, start_replica, unique):
    """A standby is promoted while writers write; commits wait for it, so it has all that was answered."""
    primary = own_server("fsync=on")
    standby = Standby(primary)
    try:
        service = start_replica(f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
                                "/postgres", "--max-tokens-per-user", "0")
        secret = new_secret(service, unique())
        assert whoami(service, secret).status_code == 200
        writers = Writers()
        writers.start(service)
        time.sleep(0.5)
        primary.end(signal.SIGKILL)
        assert whoami(service, secret).status_code == 200  # from the cache
        standby.sql("SELECT pg_promote()")
        promoted = time.monotonic()
        program.wait_until(lambda: make_token(service, unique()).status_code == 200, "writes to work again")
        took = time.monotonic() - promoted
        time.sleep(0.3)
        writers.stop()
        print(f"answered again {took:.2f} s after the promotion")
        assert took < (10 if program.SANITIZED else 3)
        writers.audit(standby)
        assert writers.told() > 20
        assert whoami(service, secret).status_code == 200
    finally:
        standby.stop()


def test_a_host_that_has_another_address_is_looked_up_again(own_server, start_replica, tmp_path, unique):
    """The database moves: a standby on another address is promoted, and the name says so."""
    namespace = disk.mount_namespace()
    if not namespace:
        pytest.skip("needs a mount namespace, to have a hosts file of its own")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost database.test\n")
    primary = own_server()
    standby = Standby(primary, address="127.0.0.2", port=primary.port)
    try:
        service = start_replica(
            f"postgresql://postgres@database.test:{primary.port}/postgres",
            under=[*namespace, "sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", str(hosts)])
        secret = new_secret(service, unique())
        primary.end(signal.SIGKILL)
        assert make_token(service, unique()).status_code == 503
        standby.sql("SELECT pg_promote()")
        with open(hosts, "r+") as file:  # in its place: it is mounted
            file.write("127.0.0.2 localhost database.test\n")
        program.wait_until(lambda: make_token(service, unique()).status_code == 200, "the name to be looked up")
        assert whoami(service, secret).status_code == 200
    finally:
        standby.stop()


@pytest.fixture
def in_turns():
    """in_turns(*addresses): an address whose connections lead to each of them in turn, as behind a balancer."""
    closers = []

    def carry(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def make(*addresses):
        listener = socket.create_server(("127.0.0.1", 0))
        closers.append(listener.close)

        def accept():
            with contextlib.suppress(OSError):
                for address in itertools.cycle(addresses):
                    caller, _ = listener.accept()
                    host, port = address.rsplit(":", 1)
                    replica = socket.create_connection((host, int(port)))
                    for pair in ((caller, replica), (replica, caller)):
                        threading.Thread(target=carry, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return "{}:{}".format(*listener.getsockname())

    yield make
    for close in closers:
        close()


def test_a_check_of_replicas_waits_until_all_have_heard(server, pooler, start_replica, unique, in_turns, osmo,
                                                        tmp_path):
    """They hear of nothing here but forget after 2 s; over gRPC each call is one to another of them."""
    options = ("--postgres-pooler", "transaction", "--cache-ttl", "2s")
    url = pooler.url(server.database(unique("db")))
    one, two = start_replica(url, *options), start_replica(url, *options)
    result = osmo("check", f"http://{in_turns(one.http, two.http)}", "--grpc", f"http://{in_turns(one.grpc, two.grpc)}",
                  "--token-file", tmp_path / "admin")
    assert (result.returncode, result.stderr) == (0, "")


# --- Behind a pooler ---


def test_behind_a_pooler_changes_are_heard_of_past_it(server, pooler, start_replica, unique):
    database = server.database(unique("db"))
    options = ("--postgres-pooler", "transaction", "--postgres-direct-url", server.url(database))
    one = start_replica(pooler.url(database), *options)
    two = start_replica(pooler.url(database), *options)
    name = unique()
    secret = new_secret(one, name)
    assert whoami(two, secret).status_code == 200
    assert delete(one, name).status_code == 200
    program.wait_until(lambda: whoami(two, secret).status_code == 401, "the deletion to arrive", 1)
    assert metric(two, "token_service_postgres_notifications") == 1
    assert "store.no_notifications" not in two.log


def test_a_pooler_that_restarts_is_got_over(server, start_replica, unique):
    pooler = Pgbouncer(server)
    port = pooler.port
    service = start_replica(pooler.url(server.database(unique("db"))), "--postgres-pooler", "transaction")
    new_secret(service, unique())
    pooler.stop()
    assert make_token(service, unique()).status_code == 503
    pooler = Pgbouncer(server, listen_port=port)
    try:
        program.wait_until(lambda: make_token(service, unique()).status_code == 200, "writes to work again")
    finally:
        pooler.stop()
