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
