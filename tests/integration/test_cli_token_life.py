# SPDX-License-Identifier: Apache-2.0
"""osmo token update|rotate|delete-all, on a real service."""

import datetime
import json
import re

import pytest
import requests

NOTE = "Note: Save the token in a secure location as it will not be shown again\n"


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=offset)).isoformat()


@pytest.fixture
def admin(osmo, service):
    """The command line, logged in with the admin token."""
    result = osmo("login", service.url, "--token-file", service.data_dir / "admin.token")
    assert result.returncode == 0, result.stderr
    return osmo


def make(osmo, name, *arguments):
    result = osmo("token", "set", name, "-t", "json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["token"]


def opens(service, secret):
    return requests.get(f"{service.url}/v1/whoami", headers={"Authorization": f"Bearer {secret}"},
                        timeout=30).status_code == 200


def listed(osmo, name, *arguments):
    [found] = [each for each in json.loads(osmo("token", "list", "-t", "json", *arguments).stdout)
               if each["token_name"] == name]
    return found


def test_update_changes_what_is_given(admin, unique):
    name = unique()
    make(admin, name, "--service", "--roles", "osmo-user", "--description", "before")
    result = admin("token", "update", name, "-s", "-d", "ü after")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"Access token {name} updated\n", "")
    assert listed(admin, name, "-s")["description"] == "ü after"
    assert admin("token", "update", name, "-s", "-r", "osmo-backend", "osmo-ctrl").returncode == 0
    token = listed(admin, name, "-s")
    assert (token["description"], token["roles"]) == ("ü after", ["osmo-backend", "osmo-ctrl"])
    assert admin("token", "update", name, "-s", "-d", "").returncode == 0
    assert listed(admin, name, "-s")["description"] == ""


def test_rotate_replaces_the_token(admin, service, unique):
    name = unique()
    old = make(admin, name)
    result = admin("token", "rotate", name, "--expires-at", day(60))
    assert (result.returncode, result.stderr) == (0, "")
    new = re.fullmatch(re.escape(NOTE) + r"Access token: (osmo_\w+)\n", result.stdout)[1]
    assert opens(service, new) and not opens(service, old)
    assert listed(admin, name)["expires_at"] == f"{day(60)}T00:00:00"
    result = admin("token", "rotate", name, "--overlap", "1h", "-t", "json")
    newer = json.loads(result.stdout)["token"]
    assert opens(service, new) and opens(service, newer)
    result = admin("token", "rotate", name, "-o", "30m")
    assert re.search(r"\nThe old token is good until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\n$", result.stdout)
    assert not opens(service, new) and opens(service, newer)


def test_who_rotates_the_token_of_the_login_stays_logged_in(admin, osmo, service, unique, tmp_path):
    name = unique()
    file = tmp_path / "mine"
    file.write_text(make(admin, name, "--service", "--roles", "osmo-admin"))
    assert osmo("login", service.url, "--token-file", file).returncode == 0
    for _ in range(2):
        result = osmo("token", "rotate", name, "--service", "-t", "json")
        assert result.returncode == 0, result.stderr
        assert osmo("token", "list", "-s").returncode == 0
    assert not opens(service, file.read_text())


def test_what_is_wrong_is_said(admin, unique):
    name = unique()
    for arguments, exit_code, text in (
            (["update", name, "-d", "x"], 2, f"Error message: User access token {name} does not exist.\nError code: 404\n"),
            (["rotate", name], 2, f"Error message: User access token {name} does not exist.\nError code: 404\n"),
            (["rotate", name, "-o", "31d"], 2, "Error message: overlap must be 0 to 2592000 seconds (30 days), got 2678400\n"),
            (["rotate", name, "-e", day(0)], 2, "Error message: Expiration date must be past the current date"),
            (["update", name], 2, "one of the arguments --description/-d --roles/-r is required"),
            (["update", name, "-r", "osmo-user"], 2, "Error message: Roles are not supported for personal tokens."),
            (["update", name, "-d", "\udcff"], 2, "arguments --description/-d --roles/-r: expected texts in UTF-8"),
            (["update", name, "-s", "-r", "osmo-user", "a\udcff"], 2, "expected texts in UTF-8"),
            (["update", name, "-s", "-r", "no-role"], 2, "Error message: Invalid role: no-role\n"),
            (["rotate", name, "-o", "soon"], 2, "argument --overlap/-o: Invalid overlap: soon, expected 90s, 30m")):
        result = admin("token", *arguments)
        assert (result.returncode, result.stdout) == (exit_code, ""), result.stdout
        assert text in result.stderr


def test_delete_all_ends_a_users_tokens(start_service, osmo):
    service = start_service("--dev-login")
    osmo("login", service.url, "--method", "dev", "--username", "alice@example.com")
    secrets = [make(osmo, f"t{i}") for i in range(3)]
    result = osmo("token", "delete-all", "alice@example.com")
    assert result.returncode == 2 and "http:/api/auth/user/alice@example.com/access_token:Delete" in result.stderr
    osmo("login", service.url, "--token-file", service.data_dir / "admin.token")
    result = osmo("token", "delete-all", "alice@example.com")
    assert (result.returncode, result.stdout) == (0, "3 access tokens of alice@example.com deleted\n")
    assert not any(opens(service, secret) for secret in secrets)
