# SPDX-License-Identifier: Apache-2.0
"""What an operator does with the embedded database: backup and restore, check, migrate."""

import base64
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import time

import grpc
import pytest
import requests

from env import old_schema, pb, program


def run(*arguments):
    return subprocess.run([program.binary("token-service"), *map(str, arguments)], capture_output=True, text=True,
                          env=program.environment(), timeout=program.PATIENCE_S)


def tokens_of(service):
    channel = pb.channel(service.grpc)
    return channel, pb.Stub(channel, "osmo.token.v1.TokenService")


def set_tokens(service, names):
    """The secrets of tokens made one after the other."""
    channel, tokens = tokens_of(service)
    with channel:
        return [tokens.Set({"name": name}, token=service.admin_token).secret for name in names]


def opens(service, secret):
    channel, tokens = tokens_of(service)
    with channel:
        try:
            return bool(tokens.WhoAmI({}, token=secret).user)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED
            return False


def test_a_backup_of_a_running_service_is_restored(start_service, tmp_path):
    service = start_service()
    before = set_tokens(service, ["before"])[0]
    file = tmp_path / "copy.db"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writes = pool.submit(set_tokens, service, [f"w{i}" for i in range(300)])
        time.sleep(0.05)
        result = run("backup", file, "--data-dir", service.data_dir)
        assert (result.returncode, result.stderr) == (0, "")
        assert len(writes.result()) == 300  # nobody had to wait for it, nor failed
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("copy")) == ["copy.db"]
    database = sqlite3.connect(file)
    [[count]] = database.execute("SELECT count(*) FROM token")
    database.close()
    assert result.stdout.startswith(f"{file}: {count} tokens, ")
    after = set_tokens(service, ["after"])[0]
    assert opens(service, before) and opens(service, after)

    service.stop()
    for name in ("tokens.db", "tokens.db-wal", "tokens.db-shm"):
        (service.data_dir / name).unlink(missing_ok=True)
    shutil.copy(file, service.data_dir / "tokens.db")
    service = start_service(folder=service.folder)
    assert opens(service, before) and not opens(service, after)
    assert opens(service, set_tokens(service, ["again"])[0])
    channel, tokens = tokens_of(service)
    with channel:  # keys of the backup open with DIR/key: a JWT is signed
        auth = pb.Stub(channel, "osmo.token.v1.AuthService")
        assert tokens.WhoAmI({}, token=auth.Exchange({"token": before}).token).token_name == "before"
    check = run("check", "--data-dir", service.data_dir)
    assert check.returncode == 0 and check.stdout.startswith("the database is sound: schema version ")


def test_a_backup_writes_over_nothing_and_needs_a_name_and_a_database(start_service, tmp_path):
    service = start_service()
    file = tmp_path / "mine"
    file.write_text("precious")
    result = run("backup", file, "--data-dir", service.data_dir)
    assert result.returncode == 1 and f"'{file}' is there already" in result.stderr
    assert file.read_text() == "precious"
    result = run("backup", tmp_path / "no" / "folder", "--data-dir", service.data_dir)
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    result = run("backup", tmp_path / "x", "--data-dir", tmp_path / "empty")
    assert result.returncode == 1 and "there is no database" in result.stderr
    result = run("backup", "--data-dir", service.data_dir)
    assert result.returncode == 2 and "the command 'backup' needs a FILE" in result.stderr
    result = run("backup", "a", "b", "--data-dir", service.data_dir)
    assert result.returncode == 2 and "unexpected argument 'b'" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "service"]


def damage(data_dir):
    """Make an index forget a row, as a bad disk or a careless hand would."""
    database = sqlite3.connect(data_dir / "tokens.db")
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_schema SET sql = replace(sql, 'token_by_expiry ON token (expires_day)', "
                     "'token_by_expiry ON token (created_us)') WHERE name = 'token_by_expiry'")
    database.execute("UPDATE counter SET value = value + 5 WHERE name = 'user_tokens'")
    database.commit()
    database.close()


def test_a_check_finds_what_is_damaged(start_service):
    service = start_service()
    set_tokens(service, [f"t{i}" for i in range(20)])
    assert run("check", "--data-dir", service.data_dir).returncode == 0
    service.stop()
    damage(service.data_dir)
    result = run("check", "--data-dir", service.data_dir)
    assert result.returncode == 1
    assert "token_by_expiry" in result.stdout
    assert "counter user_tokens is 26, but there are 21" in result.stdout
    assert "restore a backup" in result.stderr
    refused = start_service("--check-store", folder=service.folder, wait=False)
    assert refused.wait_exit() == 1
    assert "problems: restore a backup" in refused.log and "store.problem" in refused.log


def test_a_start_that_checks_the_store_serves_a_sound_one(start_service):
    service = start_service("--check-store")  # also where there is none yet
    set_tokens(service, ["t"])
    service.stop()
    service = start_service("--check-store", folder=service.folder)
    assert '"store.checked"' in service.log


@pytest.mark.parametrize("version", [1, 2])
def test_migrate_brings_an_old_schema_up_to_date(start_service, version):
    service = start_service()
    secret = set_tokens(service, ["t"])[0]
    result = run("migrate", "--data-dir", service.data_dir)
    assert result.returncode == 1 and "is in use" in result.stderr
    service.stop()
    database = service.data_dir / "tokens.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        [[latest]] = connection.execute("SELECT max(version) FROM schema_version")
    old_schema.bring_back(database, version)
    refused = run("rotate-keys", "--data-dir", service.data_dir)
    assert refused.returncode == 1 and f"has schema version {version}, this program needs" in refused.stderr
    result = run("migrate", "--data-dir", service.data_dir)
    assert (result.returncode, result.stdout) == (0, f"the schema has version {latest}\n"), result.stderr
    service = start_service(folder=service.folder)
    assert opens(service, secret)


def test_a_disk_without_room_for_the_new_schema_is_told(start_service):
    service = start_service()
    service.stop()
    database = service.data_dir / "tokens.db"
    old_schema.bring_back(database, 2)
    # As large as half of what is free, all of it a hole: three times that is not there.
    with contextlib.closing(sqlite3.connect(database)) as connection:
        [page_bytes] = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA journal_mode = DELETE")
    pages = min(shutil.disk_usage(service.data_dir).free // page_bytes // 2, 0xffff_fff0)
    with open(database, "r+b") as file:
        file.truncate(pages * page_bytes)
        file.seek(28)  # the header's own count
        file.write(pages.to_bytes(4, "big"))
    result = run("migrate", "--data-dir", service.data_dir)
    assert result.returncode == 1
    assert re.search(r"has schema version 2, and to bring it to version 3 takes \d+ MB of free disk beside it: "
                     r"there are \d+ MB", result.stderr), result.stderr


@pytest.mark.parametrize("command", ["backup", "check", "migrate"])
def test_each_command_has_help(command):
    result = run(command, "--help")
    assert result.returncode == 0 and f"token-service {command}" in result.stdout and "--data-dir" in result.stdout


# --- rotate-keys ---


def jwt_of(service):
    return requests.post(f"{service.url}/v1/auth/exchange", json={"token": service.admin_token},
                         timeout=program.PATIENCE_S).json()["token"]


def key_of(jwt):
    head = jwt.partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def published(service):
    keys = requests.get(f"{service.url}/v1/auth/keys", timeout=program.PATIENCE_S).json()["keys"]
    return [key["kid"] for key in keys]


def test_signing_keys_are_rotated_while_the_service_runs(start_service):
    service = start_service()
    old = jwt_of(service)
    current, following = published(service)
    assert key_of(old) == current
    result = run("rotate-keys", "--data-dir", service.data_dir, "--log-level", "error")
    assert (result.returncode, result.stderr) == (0, "")
    assert following in result.stdout
    service.signal(signal.SIGHUP)  # it would follow by itself, within a minute
    program.wait_until(lambda: key_of(jwt_of(service)) == following, "the service to follow")
    after = published(service)
    # the one that signs, the one after it, and the old one, so that its JWTs are still believed
    assert (after[0], after[2:]) == (following, [current]) and after[1] not in (current, following)
    for jwt in old, jwt_of(service):
        reply = requests.get(f"{service.url}/v1/whoami", headers={"Authorization": f"Bearer {jwt}"},
                             timeout=program.PATIENCE_S)
        assert reply.status_code == 200
    service.stop()

    # and while it does not
    assert run("rotate-keys", "--data-dir", service.data_dir).returncode == 0
    again = start_service(folder=service.data_dir.parent)
    assert published(again)[0] == after[1]
    assert set(after[:1] + after[2:]) <= set(published(again))


def test_keys_that_cannot_be_rotated_stay_as_they_are(start_service, tmp_path):
    nowhere = tmp_path / "nowhere"
    result = run("rotate-keys", "--data-dir", nowhere)
    assert result.returncode == 1 and str(nowhere) in result.stderr
    assert not nowhere.exists()

    service = start_service()
    before = published(service)
    wrong = tmp_path / "wrong.key"
    wrong.write_text("11" * 32 + "\n")
    result = run("rotate-keys", "--data-dir", service.data_dir, "--encryption-key-file", wrong)
    assert result.returncode == 1 and "encrypted under another key" in result.stderr
    given = subprocess.run([program.binary("token-service"), "rotate-keys", "--data-dir", service.data_dir],
                           capture_output=True, text=True, timeout=program.PATIENCE_S,
                           env=program.environment(TOKEN_SERVICE_JWT_KEY_FILE="some.key"))
    assert given.returncode == 1 and "--jwt-key-file 'some.key'" in given.stderr
    assert published(service) == before
