# SPDX-License-Identifier: Apache-2.0
"""What an operator does with the embedded database: backup and restore, check, migrate."""

import concurrent.futures
import os
import shutil
import sqlite3
import stat
import subprocess
import time

import grpc
import pytest

from env import pb, program


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


def test_migrate_brings_an_old_schema_up_to_date(start_service, tmp_path):
    service = start_service()
    secret = set_tokens(service, ["t"])[0]
    result = run("migrate", "--data-dir", service.data_dir)
    assert result.returncode == 1 and "is in use" in result.stderr
    service.stop()
    # As the first version of the schema had it.
    database = sqlite3.connect(service.data_dir / "tokens.db")
    [[latest]] = database.execute("SELECT max(version) FROM schema_version")
    for statement in ("DROP INDEX token_by_old_hash", "DROP INDEX token_by_expiry",
                      "ALTER TABLE token DROP COLUMN last_used_from", "ALTER TABLE token DROP COLUMN old_hash",
                      "ALTER TABLE token DROP COLUMN old_until_us", "DELETE FROM schema_version WHERE version > 1"):
        database.execute(statement)
    database.commit()
    database.close()
    result = run("migrate", "--data-dir", service.data_dir)
    assert (result.returncode, result.stdout) == (0, f"the schema has version {latest}\n"), result.stderr
    service = start_service(folder=service.folder)
    assert opens(service, secret)


@pytest.mark.parametrize("command", ["backup", "check", "migrate"])
def test_each_command_has_help(command):
    result = run(command, "--help")
    assert result.returncode == 0 and f"token-service {command}" in result.stdout and "--data-dir" in result.stdout
