# SPDX-License-Identifier: Apache-2.0
"""token-service import-osmo: an existing database moves here, and its tokens go on working."""

import datetime
import hashlib
import json
import subprocess

import grpc
import pytest

from env import pb, postgres, program

ALICE, EXPIRED, ROBOT = "a1" * 32, "b2" * 32, "c3" * 32
SCHEMA = """
CREATE TABLE access_token (user_name TEXT, token_name TEXT, access_token BYTEA, expires_at TIMESTAMP,
    description TEXT, access_type TEXT, roles TEXT[], PRIMARY KEY (user_name, token_name, access_type),
    CONSTRAINT unique_access_token UNIQUE (access_token));
CREATE TABLE roles (name TEXT PRIMARY KEY, description TEXT, policies JSONB[], immutable BOOLEAN);
CREATE TABLE profile (user_name TEXT PRIMARY KEY NOT NULL, slack_notification BOOLEAN,
    email_notification BOOLEAN, bucket TEXT, pool TEXT);
"""


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=offset)).isoformat()


def digest(secret):
    return "\\x" + hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture(scope="module")
def server():
    result = postgres.Postgres()
    yield result
    result.stop()


@pytest.fixture
def database(server, unique):
    name = unique("osmo").replace("-", "_")
    server.sql(f"CREATE DATABASE {name}")
    server.sql(SCHEMA, database=name)
    return name


def run_import(server, database, data_dir, *options):
    return subprocess.run(
        [program.binary("token-service"), "import-osmo", "--data-dir", str(data_dir), "--osmo-url",
         f"postgresql://postgres@127.0.0.1:{server.port}/{database}", *options],
        capture_output=True, text=True, env=program.environment(), timeout=program.PATIENCE_S)


def fill(server, database):
    policies = json.dumps({"actions": [{"base": "http", "path": "/api/robot/*", "method": "Get"}]})
    rows = [("alice@example.com", "laptop", digest(ALICE), f"{day(90)} 00:00:00", "ü's", "USER", "{osmo-user}"),
            ("alice@example.com", "old", digest(EXPIRED), f"{day(-3)} 00:00:00", None, "USER", "{osmo-user}"),
            ("robot", "robot", digest(ROBOT), f"{day(30)} 12:34:56", "", "SERVICE", "{robots,osmo-backend}")]
    for row in rows:
        values = ", ".join("NULL" if each is None else "'" + each.replace("'", "''") + "'" for each in row)
        server.sql(f"INSERT INTO access_token VALUES ({values})", database=database)
    server.sql(f"INSERT INTO roles VALUES ('robots', 'For robots', ARRAY['{policies}'::jsonb], false), "
               "('osmo-admin', 'not theirs', ARRAY[]::jsonb[], true); "
               "INSERT INTO profile VALUES ('alice@example.com', true, NULL, NULL, 'default')", database=database)


def test_tokens_roles_and_profiles_move_and_tokens_go_on_working(server, database, start_service):
    fill(server, database)
    service = start_service()  # makes the data directory
    service.stop()
    result = run_import(server, database, service.data_dir)
    assert (result.returncode, result.stderr) == (0, ""), result
    assert result.stdout.endswith("imported: 1 roles, 1 profiles, 3 tokens (0 more were there already)\n")
    service = start_service("--dev-login", folder=service.folder)
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        auth = pb.Stub(channel, "osmo.token.v1.AuthService")
        who = tokens.WhoAmI({}, token=ALICE)
        assert (who.user, who.token_name, list(who.roles), who.expire_date) == \
            ("alice@example.com", "laptop", ["osmo-user"], day(90))
        who = tokens.WhoAmI({}, token=ROBOT)
        assert (who.user, who.principal_kind, list(who.roles), who.expire_date) == \
            ("robot", 1, ["robots", "osmo-backend"], day(30))
        assert auth.Authorize({"credential": ROBOT, "method": "GET", "path": "/api/robot/x"},
                              token=service.admin_token).role == "robots"
        with pytest.raises(grpc.RpcError) as refused:
            tokens.WhoAmI({}, token=EXPIRED)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        [laptop, old] = tokens.List({"user": "alice@example.com"}, token=service.admin_token).tokens
        assert (laptop.description, old.expire_date) == ("ü's", day(-3))
        assert auth.Exchange({"token": ALICE}).token
        profiles = pb.Stub(channel, "osmo.token.v1.ProfileService")
        profile = profiles.Get({}, token=ALICE).profile
        assert profile.slack_notification and not profile.email_notification and profile.pool.value == "default"
        roles = pb.Stub(channel, "osmo.token.v1.RoleService")
        assert roles.Get({"name": "osmo-admin"}, token=service.admin_token).description != "not theirs"


def test_a_second_run_leaves_alone_what_is_there(server, database, tmp_path):
    fill(server, database)
    assert run_import(server, database, tmp_path / "data").returncode == 0
    result = run_import(server, database, tmp_path / "data")
    assert result.returncode == 0 and "0 tokens (3 more were there already)" in result.stdout
    server.sql("UPDATE access_token SET access_token = '\\x00' || substr(access_token, 2) WHERE token_name = 'laptop'; "
               "INSERT INTO access_token VALUES ('bob', '1bad', '\\x01', '2030-01-01', '', 'USER', '{}'), "
               "('bob', 'short', '\\x02', '2030-01-01', '', 'USER', '{}')", database=database)
    result = run_import(server, database, tmp_path / "data")
    assert result.returncode == 1 and "3 rows were left out" in result.stderr
    for line in ("token 'laptop' was left out: another one of this name is there",
                 "token '1bad' was left out: its name, owner or description is none that is allowed here",
                 "token 'short' was left out: its hash is no SHA-256"):
        assert line in result.stderr


def test_many_tokens_move_in_pages(server, database, tmp_path):
    server.sql("INSERT INTO access_token SELECT 'u' || i % 7, 't' || i, sha256(i::text::bytea), '2099-01-01', '', "
               "'USER', '{osmo-user}' FROM generate_series(1, 2345) i", database=database)
    result = run_import(server, database, tmp_path / "data")
    assert result.returncode == 0 and "left out" not in result.stderr
    assert "2345 tokens" in result.stdout


def test_what_is_wrong_with_the_source_is_said(server, unique, tmp_path):
    empty = unique("empty").replace("-", "_")
    server.sql(f"CREATE DATABASE {empty}")
    result = run_import(server, empty, tmp_path / "data")
    assert result.returncode == 1 and "this is no database of OSMO 6.0" in result.stderr
    result = run_import(server, "nowhere", tmp_path / "data")
    assert result.returncode == 1 and 'database "nowhere" does not exist' in result.stderr
    result = subprocess.run([program.binary("token-service"), "import-osmo", "--data-dir", str(tmp_path / "data")],
                            capture_output=True, text=True, env=program.environment(), timeout=program.PATIENCE_S)
    assert result.returncode == 2 and "--osmo-url is required" in result.stderr
