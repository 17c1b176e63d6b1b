# SPDX-License-Identifier: Apache-2.0
"""What a start does when something is in its way: what may pass is waited for, alive and not ready;
what does not mend by itself ends the process at once with one line."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import tempfile
import time

import grpc
import pytest
import requests

from env import old_schema, pb, program

AT_ONCE_S = 20 if program.SANITIZED else 4


def events(service, name):
    """The log lines of one event, as dicts."""
    lines = (json.loads(line) for line in service.log.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == name]


def store_of(folder):
    return folder / "data" / "tokens.db"


@pytest.fixture
def stopped(start_service, tmp_path):
    """The folder of a service that was started once and stopped, with a token."""
    service = start_service()
    with pb.channel(service.grpc) as channel:
        pb.Stub(channel, "osmo.token.v1.TokenService").Set({"name": "kept"}, token=service.admin_token)
    service.stop()
    # All of it in one file, which the tests damage; the log may hold its first page.
    with contextlib.closing(sqlite3.connect(store_of(service.folder))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # What follows is about the first start that finds this.
    service.log_path.unlink()
    return service.folder


def start_waiting(start_service, folder, *options, **keywords):
    """Start on a store that is away: returns once the service says so, with its addresses."""
    service = start_service(*options, "--log-format", "json", folder=folder, wait=False, **keywords)

    def waits():
        assert service.process.poll() is None, service.log
        return events(service, "service.waiting")

    began = time.monotonic()
    line = program.wait_until(waits, "the service to wait for its store")[0]
    assert time.monotonic() - began < AT_ONCE_S + 6  # a try of a locked database takes 5 s
    service.grpc, service.http = line["grpc"], line["http"]
    return service


def list_tokens(service):
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService").List({}, token=service.admin_token)
        return [each.name for each in tokens.tokens]


def health(service, name=""):
    with pb.channel(service.grpc) as channel:
        reply = pb.Stub(channel, "grpc.health.v1.Health").Check({"service": name})
        return pb.message("grpc.health.v1.HealthCheckResponse").ServingStatus.Name(reply.status)


def check_alive_but_not_ready(service, text="the token store cannot be read now"):
    get = lambda path, **keywords: requests.get(service.url + path, timeout=10, **keywords)  # noqa: E731
    for path in ("/healthz", "/health", "/api/version", "/metrics", "/openapi.json"):
        assert get(path).status_code == 200, path
    ready = get("/readyz")
    assert ready.status_code == 503
    assert text in ready.text
    assert health(service) == health(service, "osmo.token.v1.TokenService") == "NOT_SERVING"
    bearer = {"Authorization": f"Bearer {service.admin_token}"}
    for path in ("/v1/tokens", "/v1/whoami", "/v1/auth/keys", "/api/auth/access_token/user"):
        for headers in (bearer, {}):
            reply = get(path, headers=headers)
            assert reply.status_code == 503, (path, reply.text)
            assert "the service is starting" in reply.text
    with pytest.raises(grpc.RpcError) as error:
        list_tokens(service)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert not service.ready_path.exists()


def check_ready(service):
    service.wait_ready()
    assert requests.get(service.url + "/readyz", timeout=10).status_code == 200
    assert health(service) == health(service, "osmo.token.v1.TokenService") == "SERVING"
    assert sorted(list_tokens(service)) == ["admin", "kept"]


def damage_header(database):
    with open(database, "r+b" if database.exists() else "wb") as file:
        file.write(b"\xff" * 4096)


def test_a_damaged_database_is_waited_for_and_used_when_it_is_restored(start_service, stopped, tmp_path):
    database = store_of(stopped)
    backup = shutil.copy(database, tmp_path / "backup")
    damage_header(database)
    service = start_waiting(start_service, stopped)
    check_alive_but_not_ready(service)
    os.replace(backup, database)
    check_ready(service)
    assert len(events(service, "service.waiting")) == 1
    assert len(events(service, "service.ready")) == 1
    assert 1 <= len(events(service, "store.failed")) <= 3, service.log


def test_damage_behind_the_first_page_is_found_before_calls_are_answered(start_service, stopped, tmp_path):
    database = store_of(stopped)
    backup = shutil.copy(database, tmp_path / "backup")
    with open(database, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (database.stat().st_size - 4096))
    service = start_waiting(start_service, stopped)
    check_alive_but_not_ready(service, "the token store is damaged")
    assert len(events(service, "store.damaged")) == 1
    os.replace(backup, database)
    check_ready(service)
    assert len(events(service, "store.whole_again")) == 1


@contextlib.contextmanager
def locked(database):
    """As a careless tool would: with the whole file for itself."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def test_a_locked_database_is_waited_for(start_service, stopped):
    with locked(store_of(stopped)):
        service = start_waiting(start_service, stopped)
        check_alive_but_not_ready(service)
    check_ready(service)


def test_an_unreadable_database_is_waited_for(start_service, stopped):
    """Root reads every file, so it lets somebody else run the service."""
    nobody = 65534
    under = []
    with tempfile.TemporaryDirectory() as top:
        folder = pathlib.Path(shutil.copytree(stopped, pathlib.Path(top) / "service"))
        binary = shutil.copy(program.binary("token-service"), top)
        if os.geteuid() == 0:
            under = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
            for path in (pathlib.Path(top), *pathlib.Path(top).rglob("*")):
                os.chown(path, nobody, nobody)
        store_of(folder).chmod(0)
        service = start_waiting(start_service, folder, path=binary, under=under)
        check_alive_but_not_ready(service)
        store_of(folder).chmod(0o600)
        check_ready(service)
        service.stop()


def test_a_service_that_waits_stops_when_asked_to(start_service, stopped):
    damage_header(store_of(stopped))
    service = start_waiting(start_service, stopped)
    service.signal(signal.SIGHUP)  # and goes on waiting after a reload
    program.wait_until(lambda: events(service, "reload.done"), "the reload")
    service.signal(signal.SIGTERM)
    assert service.wait_exit() == 0
    assert not service.ready_path.exists()


def refused_at_once(start_service, folder, *options):
    """The line of a start that does not wait, and its exit code."""
    (folder / "token-service.log").unlink(missing_ok=True)
    began = time.monotonic()
    service = start_service(*options, "--log-format", "json", folder=folder, wait=False)
    code = service.wait_exit()
    assert time.monotonic() - began < AT_ONCE_S
    lines = [line for line in service.log.splitlines() if line.startswith("token-service: ")]
    assert len(lines) == 1, service.log
    return lines[0], code


def test_a_schema_newer_than_the_program_is_refused_at_once(start_service, stopped):
    with sqlite3.connect(store_of(stopped)) as connection:
        connection.execute("INSERT INTO schema_version (version, name, applied_us) VALUES (999, 'x', 0)")
    connection.close()
    line, code = refused_at_once(start_service, stopped)
    assert "schema version 999" in line
    assert code == 1


def test_the_database_of_another_program_is_refused_at_once(start_service, stopped):
    database = store_of(stopped)
    database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    line, code = refused_at_once(start_service, stopped)
    assert "database of another program" in line
    assert code == 1


def test_a_data_directory_in_use_is_refused_at_once(start_service, stopped):
    first = start_service(folder=stopped)
    line, code = refused_at_once(lambda *options, folder, **keywords: program.TokenService(
        folder, *options, "--data-dir", first.data_dir, **keywords), stopped.parent / "second")
    assert "is in use" in line
    assert code == 1


def test_another_encryption_key_is_refused_at_once(start_service, stopped):
    key = stopped / "data" / "key"
    key.write_text("00" * 32 + "\n")
    line, code = refused_at_once(start_service, stopped)
    assert "signing keys in the store cannot be read" in line
    assert code == 1


@pytest.mark.parametrize("option, content", [
    ("--admin-token-file", "no token\n"), ("--admin-token-file", None),
    ("--jwt-key-file", "no key\n"), ("--jwt-key-file", None),
    ("--encryption-key-file", "no key\n"), ("--encryption-key-file", None)])
@pytest.mark.parametrize("how", ["start", "--check-config"])
def test_wrong_files_are_refused_at_once_also_while_the_store_is_away(
        start_service, tmp_path, option, content, how):
    folder = tmp_path / "service"
    (folder / "data").mkdir(parents=True)
    damage_header(store_of(folder))
    wrong = folder / "wrong"
    if content:
        wrong.write_text(content)
        wrong.chmod(0o600)
    line, code = refused_at_once(start_service, folder, option, wrong,
                                 *(() if how == "start" else (how,)))
    assert option in line
    assert str(wrong) in line
    assert code == 2
    assert "store" not in (folder / "token-service.log").read_text()  # nothing was opened
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["tokens.db"]


def test_an_address_in_use_is_refused_at_once_also_while_the_store_is_away(start_service, stopped, service):
    damage_header(store_of(stopped))
    line, _ = refused_at_once(start_service, stopped, "--http-listen", service.http)
    assert service.http in line


def test_a_first_start_whose_store_fails_half_way_is_done_again(start_service, tmp_path):
    """The database is lost while the service waits: it begins anew when there is room for one."""
    folder = tmp_path / "service"
    (folder / "data").mkdir(parents=True)
    damage_header(store_of(folder))
    service = start_waiting(start_service, folder)
    store_of(folder).write_bytes(b"")
    service.wait_ready()
    assert list_tokens(service) == ["admin"]


# --- A database that takes long to be brought up to date ---

MANY = 200_000  # some 40 MB, which take seconds, after the start


def version_of(folder):
    with contextlib.closing(sqlite3.connect(store_of(folder))) as connection:
        [[version]] = connection.execute("SELECT max(version) FROM schema_version")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM token").fetchone() == (MANY + 2,)
        return version


def readiness(service):
    return requests.get(service.url + "/readyz", timeout=10)


def test_a_large_database_of_an_older_version_is_changed_behind_a_start_that_is_alive(start_service, stopped):
    latest = max(version for version, _, _ in old_schema.steps())
    why = "the schema of the token store is being brought up to date"
    old_schema.bring_back(store_of(stopped), 2, old_schema.many_tokens(MANY))
    service = start_service(folder=stopped)
    # The machine would have to be very quick to be done by now.
    ready = readiness(service)
    assert (ready.status_code, why in ready.text) == (503, True), ready.text
    assert requests.get(service.url + "/healthz", timeout=10).status_code == 200
    assert sorted(list_tokens(service)) == ["admin", "kept"]  # what was there is told, and opens
    with pb.channel(service.grpc) as channel, pytest.raises(grpc.RpcError) as error:
        pb.Stub(channel, "osmo.token.v1.TokenService").Set({"name": "new"}, token=service.admin_token)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.UNAVAILABLE, why)
    assert not events(service, "store.migrated")
    program.wait_until(lambda: readiness(service).status_code == 200, "the change of the schema")
    [migrated] = events(service, "store.migrated")
    assert (migrated["from"], migrated["to"]) == (2, latest)
    assert sorted(list_tokens(service)) == ["admin", "kept"]
    service.stop()
    assert version_of(stopped) == latest


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_large_database_is_whole_when_its_change_is_cut_off(start_service, stopped, number):
    old_schema.bring_back(store_of(stopped), 2, old_schema.many_tokens(MANY))
    service = start_service(folder=stopped)
    assert readiness(service).status_code == 503
    service.signal(number)
    began = time.monotonic()
    assert service.wait_exit() == (-number if number == signal.SIGKILL else 0)
    assert time.monotonic() - began < AT_ONCE_S
    assert version_of(stopped) == 2
    service = start_service(folder=stopped)
    program.wait_until(lambda: readiness(service).status_code == 200, "the change of the schema")
    assert sorted(list_tokens(service)) == ["admin", "kept"]
    service.stop()
    assert version_of(stopped) > 2
