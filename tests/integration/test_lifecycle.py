# SPDX-License-Identifier: Apache-2.0
"""A service from its start to its end: disks that fill up, files that break, signals, crashes."""

import secrets
import signal

import grpc
import pytest
import requests

from env import disk, pb, program

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
    if kind is disk.SmallDisk and not kind.command():
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
        assert (ready(service), health(channel)) == (200, SERVING)

        small_disk.fill(service)
        made, code = {"admin", "before"}, CODES.OK
        while code == CODES.OK:  # the log may have room for a few
            name = f"full-{len(made)}"
            code, answer = outcome(tokens.Set, {"name": name, "description": "d" * 1000}, token=admin)
            made |= {name} if code == CODES.OK else set()
        assert code == CODES.UNAVAILABLE
        assert answer.details() in ("the token store has no room left", "the token store cannot be read now")
        reply = requests.post(f"{service.url}/v1/tokens", json={"name": "over-http", "description": "d" * 1000},
                              headers={"Authorization": f"Bearer {admin}"}, timeout=program.PATIENCE_S)
        assert (reply.status_code, reply.json()["code"]) == (503, 14)
        assert outcome(tokens.Delete, {"name": "before"}, token=admin)[0] == CODES.UNAVAILABLE
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
    service.stop()  # all is in the database itself now, nothing in its log
    broken = way(service.data_dir / "tokens.db")
    service = start_service("--cache-ttl", "0")
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")

        def names():
            return outcome(lambda: {token.name for token in tokens.List(
                {"pageSize": 1000}, token=service.admin_token).tokens})

        assert names() == (CODES.OK, made)
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
        assert names() == (CODES.OK, made | {"after"})
        assert tokens.WhoAmI({}, token=secret).token_name == "mine"
