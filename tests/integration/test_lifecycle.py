# SPDX-License-Identifier: Apache-2.0
"""A service from its start to its end: disks that fill up, files that break, signals, crashes."""

import contextlib
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
import requests

from env import certificates, disk, pb, program

CODES = grpc.StatusCode


def outcome(call, *arguments, **keywords):
    """The code of a call, and its answer or its error."""
    try:
        return CODES.OK, call(*arguments, **keywords)
    except grpc.RpcError as error:
        return error.code(), error


def ready(service):
    return requests.get(f"{service.url}/readyz", timeout=program.PATIENCE_S).status_code


def health(channel):
    return pb.Stub(channel, "grpc.health.v1.Health").Check({}).status


SERVING, NOT_SERVING = 1, 2


# --- Disks that fill up ---


@pytest.fixture(params=[disk.SmallDisk, disk.SizeLimit])
def small_disk(request, tmp_path):
    kind = request.param
    if kind is disk.SmallDisk and not disk.mount_namespace():
        kind = disk.SizeLimit  # nobody may mount here
    result = kind(tmp_path / "service")
    yield result
    result.close()


def test_a_full_disk_refuses_changes_until_there_is_room_and_answers_all_else(start_service, small_disk, tmp_path):
    admin = secrets.token_hex(32)
    (tmp_path / "admin").write_text(admin)
    (tmp_path / "admin").chmod(0o600)
    service = start_service("--admin-token-file", tmp_path / "admin", "--cache-ttl", "0", under=small_disk.under)
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")

        def names():
            return {token.name for token in tokens.List({"pageSize": 1000}, token=admin).tokens}

        secret = tokens.Set({"name": "before"}, token=admin).secret
        tokens.Set({"name": "spare"}, token=admin)
        assert (ready(service), health(channel)) == (200, SERVING)

        small_disk.fill(service)
        made, full_since = {"admin", "before", "spare"}, None

        def is_full():
            """There was room for a while: what the log holds goes into the database, when no reader is in the way."""
            nonlocal full_since
            name, size = f"full-{len(made)}", 0 if full_since else 1000  # where a long one has no room, a short one may
            code, answer = outcome(tokens.Set, {"name": name, "description": "d" * size}, token=admin)
            if code == CODES.OK:
                made.add(name)
                full_since = None
                return False
            assert code == CODES.UNAVAILABLE
            assert answer.details() in ("the token store has no room left", "the token store cannot be read now")
            full_since = full_since or time.monotonic()
            return time.monotonic() - full_since > 3

        program.wait_until(is_full, "the disk to be full")
        reply = requests.post(f"{service.url}/v1/tokens", json={"name": "over-http", "description": "d" * 1000},
                              headers={"Authorization": f"Bearer {admin}"}, timeout=program.PATIENCE_S)
        assert (reply.status_code, reply.json()["code"]) == (503, 14)
        deleted = outcome(tokens.Delete, {"name": "spare"}, token=admin)[0]
        assert deleted in (CODES.UNAVAILABLE, CODES.OK)  # it writes less, which may just fit
        made -= {"spare"} if deleted == CODES.OK else set()
        program.wait_until(lambda: ready(service) == 503, "readiness to fall")
        program.wait_until(lambda: health(channel) == NOT_SERVING, "health to fall")
        assert requests.get(f"{service.url}/healthz", timeout=program.PATIENCE_S).status_code == 200
        service.signal(signal.SIGHUP)  # what it says of it may find no room either
        assert tokens.WhoAmI({}, token=secret).token_name == "before"
        assert names() == made

        small_disk.free(service)
        program.wait_until(lambda: ready(service) == 200, "readiness to come back")
        program.wait_until(lambda: health(channel) == SERVING, "health to come back")
        tokens.Set({"name": "after"}, token=admin)
        tokens.Delete({"name": "before"}, token=admin)
        assert names() == made - {"before"} | {"after"}
        assert outcome(tokens.WhoAmI, {}, token=secret)[0] == CODES.UNAUTHENTICATED


# --- Files that break ---


def test_a_second_service_on_a_data_directory_is_refused_and_the_first_goes_on(start_service, tmp_path):
    first = start_service()
    link = tmp_path / "by-another-name"
    link.mkdir()
    (link / "data").symlink_to(first.data_dir)
    for folder in (first.data_dir.parent, link):
        before = sorted(path.name for path in first.data_dir.iterdir())
        done = program.run("token-service", "--data-dir", folder / "data", "--grpc-listen", "127.0.0.1:0",
                           "--http-listen", "127.0.0.1:0", "--ready-file", tmp_path / "never")
        assert done.returncode == 1 and done.stdout == ""
        assert f"data directory '{folder}/data' is in use" in done.stderr and str(first.pid) in done.stderr
        assert sorted(path.name for path in first.data_dir.iterdir()) == before
        assert not (tmp_path / "never").exists()
    assert whoami(first).status_code == 200


def whoami(service, token=None):
    return requests.get(f"{service.url}/v1/whoami", timeout=program.PATIENCE_S,
                        headers={"Authorization": f"Bearer {token or service.admin_token}"})


STATFS = """
#include <sys/vfs.h>
int statfs(const char *path, struct statfs *ret)
{
    (void)path;
    *ret = (struct statfs){.f_type = 0x6969}; /* NFS_SUPER_MAGIC */
    return 0;
}
"""


def test_a_data_directory_on_nfs_is_refused(tmp_path):
    """A kernel that says it is there, between the program and the real one."""
    (tmp_path / "statfs.c").write_text(STATFS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "statfs.so", tmp_path / "statfs.c"], check=True)
    done = program.run("token-service", "--data-dir", tmp_path / "data", "--grpc-listen", "127.0.0.1:0",
                       "--http-listen", "127.0.0.1:0", env={
                           "LD_PRELOAD": tmp_path / "statfs.so",
                           "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
    assert (done.returncode, done.stdout) == (1, ""), done
    assert done.stderr == (f"token-service: '{tmp_path}/data' is on NFS, where the embedded database does not work; give a "
                           "directory on a local disk\n")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_stop_leaves_all_in_the_database_and_no_log(start_service):
    """Whoever copies the file of a service that is stopped has everything."""
    for number in range(10):
        service = start_service()
        with pb.channel(service.grpc) as channel:
            pb.Stub(channel, "osmo.token.v1.TokenService").Set({"name": f"t{number}"}, token=service.admin_token)
        service.stop()
        assert {path.name for path in service.data_dir.glob("tokens.db*")} == {"tokens.db"}


class Garbage:
    """All bytes of the database become others."""

    def __init__(self, path):
        self.path, self.before = path, path.read_bytes()

    def _write(self, data):
        with open(self.path, "r+b") as file:
            file.write(data)

    def damage(self):
        self._write(secrets.token_bytes(len(self.before)))

    def repair(self):
        self._write(self.before)


class Gone:
    """The database is not there any more."""

    def __init__(self, path):
        self.path, self.aside = path, path.with_suffix(".aside")

    def damage(self):
        self.path.rename(self.aside)

    def repair(self):
        self.aside.rename(self.path)


@pytest.mark.parametrize("way", [Garbage, Gone])
def test_a_database_that_breaks_is_unavailable_and_never_wrong_and_comes_back(start_service, way):
    service = start_service()
    made = {"admin"}
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        secret = tokens.Set({"name": "mine"}, token=service.admin_token).secret
        made |= {"mine"} | {tokens.Set({"name": f"t{i}", "description": "d" * 1000},
                                       token=service.admin_token).token.name for i in range(50)}
    service.stop()
    assert not (service.data_dir / "tokens.db-wal").exists()  # all is in the database itself now
    broken = way(service.data_dir / "tokens.db")
    service = start_service("--cache-ttl", "0")
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")

        def names():
            return outcome(lambda: {token.name for token in tokens.List(
                {"pageSize": 1000}, token=service.admin_token).tokens})

        assert names() == (CODES.OK, made)
        before = set(made)
        broken.damage()

        def notices():
            name = f"late{len(made)}"
            code, _ = outcome(tokens.Set, {"name": name, "description": "d" * 1000}, token=service.admin_token)
            assert code in (CODES.OK, CODES.UNAVAILABLE)
            if code == CODES.OK:  # written to the log, from what is in memory
                made.add(name)
            code, answer = outcome(tokens.WhoAmI, {}, token=secret)
            assert code == CODES.UNAVAILABLE or (code == CODES.OK and answer.token_name == "mine")
            code, answer = names()
            assert code == CODES.UNAVAILABLE or (code == CODES.OK and answer == made)
            return ready(service) == 503

        program.wait_until(notices, "the damage to be noticed")
        assert requests.get(f"{service.url}/healthz", timeout=program.PATIENCE_S).status_code == 200
        program.wait_until(lambda: health(channel) == NOT_SERVING, "health to fall")

        broken.repair()
        program.wait_until(lambda: ready(service) == 200, "readiness to come back")
        program.wait_until(lambda: health(channel) == SERVING, "health to come back")
        tokens.Set({"name": "after"}, token=service.admin_token)
        # What came late may have gone into the damaged file, which is an older one again.
        code, answer = names()
        assert code == CODES.OK and before | {"after"} <= answer <= made | {"after"}
        assert tokens.WhoAmI({}, token=secret).token_name == "mine"


# --- Signals and crashes ---


ANY_NUMBER = ["--max-tokens-per-user", "0"]


class Load:
    """Clients that call again and again until something fails. `done` has what each call came to: when
    it was begun, the name it was about, its code."""

    def __init__(self, clients):
        self.stopping = threading.Event()
        self.broken = []
        self.done = [[] for _ in clients]
        self.threads = [threading.Thread(target=self._run, args=pair) for pair in zip(clients, self.done)]
        for thread in self.threads:
            thread.start()

    def _run(self, client, done):
        number, code = 0, CODES.OK
        while code == CODES.OK and not self.stopping.is_set():
            begun = time.monotonic()
            try:
                name, code = client(number)
            except BaseException as error:
                self.broken.append(error)
                raise
            done.append((begun, name, code))
            number += 1

    def wait_busy(self, least=20):
        program.wait_until(lambda: all(len(done) >= least for done in self.done), "every client to be at work")

    def join(self):
        for thread in self.threads:
            thread.join(program.PATIENCE_S)
            assert not thread.is_alive()
        assert self.broken == []
        return [each for done in self.done for each in done]


def setter(channel, token, stem):
    tokens = pb.Stub(channel, "osmo.token.v1.TokenService")

    def call(number):
        name = f"{stem}-{number}"
        code, error = outcome(tokens.Set, {"name": name}, token=token)
        assert code in (CODES.OK, CODES.UNAVAILABLE), error
        return name, code

    return call


def asker(channel, token):
    tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
    return lambda _: (None, outcome(tokens.WhoAmI, {}, token=token)[0])


def http_setter(service, token, stem, **keywords):
    """Over connections that are kept; one that is closed before anything came is tried anew, as
    every client does."""
    session = requests.Session()
    session.mount("http", requests.adapters.HTTPAdapter(max_retries=0))

    def call(number):
        name = f"{stem}-{number}"
        try:
            reply = session.post(f"{service.url}/v1/tokens", json={"name": name}, timeout=program.PATIENCE_S,
                                 headers={"Authorization": f"Bearer {token}"}, **keywords)
        except requests.ConnectionError:
            return name, CODES.UNAVAILABLE
        assert reply.status_code in (200, 503), reply.text
        return name, CODES.OK if reply.status_code == 200 else CODES.UNAVAILABLE

    return call


def names_of(service, kind="USER"):
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        result, page = set(), ""
        while True:
            answer = tokens.List({"kind": kind, "pageSize": 1000, "pageToken": page}, token=service.admin_token)
            result |= {token.name for token in answer.tokens}
            page = answer.next_page_token
            if not page:
                return result


def test_a_drain_under_load_flips_health_first_and_loses_no_call(start_service):
    service = start_service("--drain-delay", "1s", *ANY_NUMBER)
    token = service.admin_token
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(pb.channel(service.grpc)) for _ in range(4)]
        watch = channels[0].unary_stream(
            "/grpc.health.v1.Health/Watch", request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.message("grpc.health.v1.HealthCheckResponse").FromString)(
                pb.message("grpc.health.v1.HealthCheckRequest")())
        assert next(watch).status == SERVING
        load = Load([setter(channels[0], token, "g0"), setter(channels[1], token, "g1"),
                     asker(channels[2], token), asker(channels[3], token),
                     http_setter(service, token, "h0"), http_setter(service, token, "h1")])
        load.wait_busy()
        told = time.monotonic()
        service.signal(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        assert ready(service) == 503  # over a new connection: it still accepts
        with pb.channel(service.grpc) as late:
            assert pb.Stub(late, "osmo.token.v1.TokenService").WhoAmI({}, token=token).user == "admin"
        assert time.monotonic() < told + 1, "too slow to tell"
        results = load.join()
        assert service.wait_exit() == 0
    assert '"service.stopped"' in service.log
    early = [each for each in results if each[2] != CODES.OK and each[0] < told + 1]
    assert early == []
    for address in (service.grpc, service.http):
        host, _, port = address.rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))

    # what was not answered was not done either
    again = start_service()
    kept = names_of(again)
    for _, name, code in results:
        assert name is None or (name in kept) == (code == CODES.OK), (name, code)


def test_a_gateway_that_drains_loses_no_call(start_service, start_gateway):
    service = start_service(*ANY_NUMBER)
    gateway = start_gateway(service.grpc, "--drain-delay", "500ms")
    load = Load([http_setter(gateway, service.admin_token, f"h{i}") for i in range(4)])
    load.wait_busy()
    told = time.monotonic()
    gateway.signal(signal.SIGTERM)
    program.wait_until(lambda: ready(gateway) == 503, "readiness to fall", timeout_s=0.4)
    results = load.join()
    assert gateway.wait_exit() == 0
    assert [each for each in results if each[2] != CODES.OK and each[0] < told + 0.5] == []
    kept = names_of(service)
    assert all((name in kept) == (code == CODES.OK) for _, name, code in results)


def test_a_gateway_outlives_its_service(start_service, start_gateway):
    """Which is restarted under load: answers are right or 503, and right again when it is back. A call
    that met the crash may have been done."""
    service = start_service(*ANY_NUMBER)
    gateway = start_gateway(service.grpc)
    token, made, doubtful = service.admin_token, set(), set()
    setters = [http_setter(gateway, token, f"s{i}") for i in range(3)]
    for round_ in range(2):
        load = Load([lambda number, each=each: each(1000 * round_ + number) for each in setters])
        load.wait_busy()
        service.kill() if round_ else service.stop()
        results = load.join()
        made |= {name for _, name, code in results if code == CODES.OK}
        doubtful |= {name for _, name, code in results if code != CODES.OK}
        assert ready(gateway) == 503
        assert requests.get(f"{gateway.url}/healthz", timeout=program.PATIENCE_S).status_code == 200
        service = start_service(*ANY_NUMBER, grpc=service.grpc)
        program.wait_until(lambda: ready(gateway) == 200, "the service to be found again")
        # and by each loop of the gateway, whichever was asked
        assert [whoami(gateway, token).status_code for _ in range(20)] == [200] * 20
    kept = names_of(service) - {"admin"}
    assert made <= kept <= made | doubtful


def test_a_second_stop_does_not_wait_for_calls(start_service):
    service = start_service("--drain-grace", "60s", "--body-timeout", "60s")
    host, _, port = service.http.rpartition(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /v1/tokens HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                     b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert slow.recv(64).startswith(b"HTTP/1.1 100")
        service.signal(signal.SIGTERM)
        program.wait_until(lambda: '"service.draining"' in service.log, "the drain")
        assert service.process.poll() is None
        service.signal(signal.SIGTERM)
        assert service.wait_exit() == 1
    assert '"process.exit_now"' in service.log
    assert ready(start_service()) == 200


def served_serial(address, authority, alpn):
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_alpn_protocols([alpn])
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=program.PATIENCE_S) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as s:
        return s.getpeercert()["serialNumber"]


def test_reloads_under_load_change_certificates_and_disturb_nobody(start_service, tmp_path):
    authority = certificates.Authority(tmp_path / "ca")

    def issue():
        return authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")

    cert, key = issue()
    service = start_service("--tls-cert-file", cert, "--tls-key-file", key, *ANY_NUMBER)
    token = service.admin_token
    first = served_serial(service.http, authority, "http/1.1")
    assert served_serial(service.grpc, authority, "h2") == first

    def secure_channel():
        return grpc.secure_channel(
            service.grpc.replace("127.0.0.1", "localhost"), grpc.ssl_channel_credentials(authority.cert.read_bytes()),
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)])

    def asker_anew(_):  # a connection for each call
        with secure_channel() as channel:
            return asker(channel, token)(0)

    def http_anew(number):
        reply = requests.get(f"https://{service.http}/v1/whoami", verify=authority.cert, timeout=program.PATIENCE_S,
                             headers={"Authorization": f"Bearer {token}"})
        return None, CODES.OK if reply.status_code == 200 else CODES.UNKNOWN

    with secure_channel() as channel:
        load = Load([asker(channel, token), setter(channel, token, "g"), asker_anew, http_anew])
        load.wait_busy(3)
        for _ in range(8):
            issue()
            before = service.log.count('"reload.done"')
            service.signal(signal.SIGHUP)
            program.wait_until(lambda: service.log.count('"reload.done"') > before, "the reload")
        last = served_serial(service.http, authority, "http/1.1")
        assert last != first and served_serial(service.grpc, authority, "h2") == last
        load.stopping.set()
        assert {code for _, _, code in load.join()} == {CODES.OK}


def test_what_was_acknowledged_outlives_a_crash(start_service):
    """Writers on gRPC and HTTP, and kill -9 among them; then all again on what is left."""
    made = {"admin"}
    for round_ in range(2 if program.SANITIZED else 4):
        service = start_service("--cache-ttl", "0", *ANY_NUMBER)
        assert names_of(service) == made
        token = service.admin_token
        with pb.channel(service.grpc) as one, pb.channel(service.grpc) as two:
            load = Load([setter(one, token, f"r{round_}a"), setter(two, token, f"r{round_}b"),
                         http_setter(service, token, f"r{round_}c")])
            load.wait_busy(10 + 7 * round_)
            service.kill()
            results = load.join()
        made |= {name for _, name, code in results if code == CODES.OK}
        # the last of each writer was not acknowledged, and may have been done all the same
        doubtful = {name for _, name, code in results if code != CODES.OK}
        assert len(doubtful) == 3
        service = start_service()
        kept = names_of(service)
        assert made <= kept <= made | doubtful
        made = kept
        service.stop()
