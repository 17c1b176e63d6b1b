# SPDX-License-Identifier: Apache-2.0
"""osmo profile list|set and osmo version: requests, outputs, errors."""

import json

import pytest

from env import fake_osmo, login_yaml

SETTINGS = "/api/profile/settings"
INFO = "/api/auth/access_token"
PROFILE_TEXT = """\
user:
  email: alice@example.com
notifications:
  email: False
  slack: True
bucket:
  default: None
pool:
  default: default
  accessible:
  - default
  - team-pool
"""
TOKEN_TEXT = """\
token roles:
  name: my-token
  expires_at: 2099-12-31
  roles: osmo-user, osmo-x
"""


def test_list_shows_settings_and_token(logged_in, fake):
    result = logged_in("profile", "list")
    assert (result.returncode, result.stdout, result.stderr) == (0, PROFILE_TEXT + TOKEN_TEXT, "")
    assert fake.lines == [f"GET {SETTINGS}", f"POST {INFO}"]
    assert json.loads(fake.requests[1].body) == {"token": fake_osmo.ACCESS_TOKEN}
    assert fake.requests[1].headers["x-osmo-auth"]


def test_list_with_an_existing_service_falls_back_to_its_form(osmo, legacy_fake):
    login_yaml.write_token(
        osmo, legacy_fake.url, fake_osmo.jwt(),
        refresh_url=f"{legacy_fake.url}/api/auth/jwt/access_token?access_token={fake_osmo.ACCESS_TOKEN}")
    result = osmo("profile", "list")
    assert (result.returncode, result.stdout, result.stderr) == (0, PROFILE_TEXT + TOKEN_TEXT, "")
    assert legacy_fake.lines[-1] == f"GET {INFO}?access_token={fake_osmo.ACCESS_TOKEN}"


def test_list_in_json_is_what_the_service_said(logged_in):
    assert logged_in("profile", "list", "-t", "json").stdout == json.dumps(
        {**fake_osmo.PROFILE, "token": fake_osmo.TOKEN}, indent=2) + "\n"


def test_list_of_a_developer_has_a_name_and_no_token(osmo, fake):
    login_yaml.write_dev(osmo, fake.url)
    fake.on("GET", SETTINGS, 200, {"profile": {"username": "devuser"}, "pools": []})
    assert osmo("profile", "list").stdout == (
        "user:\n  name: devuser\n  email: devuser\nnotifications:\n  email: \n  slack: \nbucket:\n  default: \n"
        "pool:\n  default: \n  accessible:\n\n")
    assert fake.lines == [f"GET {SETTINGS}"]


def test_a_deleted_token_is_the_only_thing_said(logged_in, fake):
    fake.on("POST", INFO, 400, {"message": "Access Token is invalid", "error_code": "USER", "workflow_id": None})
    result = logged_in("profile", "list")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("status code 400\nError message: Access Token is invalid\nError code: 400\n")


@pytest.mark.parametrize("arguments, body, output", [
    (["notifications", "email"], b'{"email_notification": true}', "Profile Set\n"),
    (["notifications", "email", "true"], b'{"email_notification": true}', "Profile Set\n"),
    (["notifications", "email", "false"], b'{"email_notification": false}',
     "Disabling email notifications\nProfile Set\n"),
    (["notifications", "slack", "false"], b'{"slack_notification": false}', "Profile Set\n"),
    (["bucket", "b", "false"], b'{"bucket": "b"}', "Profile Set\n"),
    (["pool", 'é"\\'], b'{"pool": "\\u00e9\\"\\\\"}', "Profile Set\n")])
def test_set_sends_one_field(logged_in, fake, arguments, body, output):
    result = logged_in("profile", "set", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, output, "")
    [request] = fake.requests
    assert (request.line, request.body) == (f"POST {SETTINGS}", body)
    assert request.headers["Content-Type"] == "application/json"


def test_set_knows_two_kinds_of_notifications(logged_in, fake):
    result = logged_in("profile", "set", "notifications", "sms")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(
        "osmo profile set: error: argument value: Invalid type of notification: sms. Must be slack or email.\n")
    assert not fake.requests


def test_set_passes_on_what_the_service_objects_to(logged_in, fake):
    fake.on("POST", SETTINGS, 400, {"message": "Pool p not found.", "error_code": "USER"})
    result = logged_in("profile", "set", "pool", "p")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("Error message: Pool p not found.\nError code: 400\n")


# ---- version ----

CLIENT = {"major": "6", "minor": "0", "revision": "0", "hash": ""}


def test_version_without_a_login_is_the_client_alone(osmo):
    assert osmo("version").stdout == "OSMO client version:  6.0.0\n"
    assert osmo("version", "-t", "json").stdout == json.dumps({"client": CLIENT}, indent=4) + "\n"


def test_version_asks_the_service_without_credentials(logged_in, fake):
    fake.on("GET", "/api/version", 200, {"major": "7", "minor": "1", "revision": "2", "hash": "abc"})
    assert logged_in("version").stdout == "OSMO client version:  6.0.0\nOSMO service version: 7.1.2.abc\n"
    service = {"major": "7", "minor": "1", "revision": "2", "hash": "abc"}
    assert logged_in("version", "-t", "json").stdout == json.dumps(
        {"client": CLIENT, "service": service}, indent=4) + "\n"
    assert {request.headers["x-osmo-auth"] for request in fake.requests} == {None}
    assert {request.headers["x-osmo-client-version"] for request in fake.requests} == {None}


def test_a_part_that_the_service_leaves_open_is_not_shown(logged_in, fake):
    fake.on("GET", "/api/version", 200, {"major": 6, "minor": "1", "revision": 0, "hash": None})
    assert logged_in("version").stdout.endswith("OSMO service version: 6.1.0\n")


def test_version_does_without_a_service_that_is_away_or_refuses(logged_in, fake):
    fake.on("GET", "/api/version", 403, {"message": "Forbidden", "error_code": 403})
    result = logged_in("version")
    assert (result.returncode, result.stdout) == (0, "OSMO client version:  6.0.0\n")
    assert result.stderr.endswith(" client [ERROR] client: Server responded with status code 403\n")
    login_yaml.write_dev(logged_in, "http://127.0.0.1:1")
    result = logged_in("version")
    assert (result.returncode, result.stdout, result.stderr) == (0, "OSMO client version:  6.0.0\n", "")


def test_version_says_that_the_service_is_broken(logged_in, fake):
    fake.on("GET", "/api/version", 500, text="x")
    result = logged_in("version")
    assert (result.returncode, result.stdout) == (10, "OSMO client version:  6.0.0\n")
    assert "Error message: Status Code: 500" in result.stderr
