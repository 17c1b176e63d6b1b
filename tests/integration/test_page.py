# SPDX-License-Identifier: Apache-2.0
"""The user guide page about access tokens, replayed with the real programs, each way in."""

import base64
import datetime
import json
import re

import pytest
import requests

from env import front, login_yaml, program

NAME_RULE = "must match regex ^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$"
SECRET = r"osmo_[0-9A-Za-z]{40,60}"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000"
USER = "/api/auth/access_token/user"
SERVICE = "/api/auth/access_token/service"


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=offset)).isoformat()


class Users:
    """A service, its way in, and the users of the command line."""

    def __init__(self, door, tmp_path):
        self.door = door
        self.tmp_path = tmp_path

    def dev(self, name):
        osmo = program.Osmo(self.tmp_path / f"home-{name}")
        result = osmo("login", self.door.url, "--method", "dev", "--username", name)
        assert (result.returncode, result.stderr) == (0, ""), result
        assert result.stdout == f"Logging in to {self.door.url}\nSuccessfully logged in. Welcome {name}.\n"
        return osmo

    def token(self, secret, home):
        osmo = program.Osmo(self.tmp_path / f"home-{home}")
        file = self.tmp_path / f"secret-{home}"
        file.write_text(secret + "\n")
        file.chmod(0o600)
        result = osmo("login", self.door.url, "--method", "token", "--token-file", file)
        assert (result.returncode, result.stderr) == (0, ""), result
        return osmo

    def admin(self):
        return self.token(self.door.admin_token, "admin")

    def http(self, method, path, secret=None, **keywords):
        headers = {"Authorization": f"Bearer {secret or self.door.admin_token}"}
        headers.update(keywords.pop("headers", {}))
        return requests.request(method, self.door.url + path, headers=headers, timeout=program.PATIENCE_S, **keywords)


@pytest.fixture(scope="module", params=front.WAYS)
def way(request):
    return request.param


@pytest.fixture(scope="module")
def users(way, tmp_path_factory):
    """Shared by the tests of this page; each has users of its own."""
    folder = tmp_path_factory.mktemp("page")
    door = front.Front(folder, way, "--dev-login")
    yield Users(door, folder)
    door.stop()


@pytest.fixture(scope="module")
def plain(way, tmp_path_factory):
    """The same as it is deployed: nobody is believed who shows no credential."""
    folder = tmp_path_factory.mktemp("plain")
    door = front.Front(folder, way)
    yield Users(door, folder)
    door.stop()


def set_token(osmo, *arguments):
    result = osmo("token", "set", *arguments)
    assert (result.returncode, result.stderr) == (0, ""), result
    match = re.fullmatch(
        "Note: Save the token in a secure location as it will not be shown again\n"
        rf"Access token: ({SECRET})\n", result.stdout)
    assert match, result.stdout
    return match[1]


def check_refused(result, status, message, hint=""):
    """The line of the page, then what the service said, then the hint, on stderr; nothing else anywhere."""
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(
        rf"{MOMENT} client \[ERROR\] client: Server responded with status code {status}\n"
        rf"Error message: {re.escape(message)}\nError code: {status}\n{hint}", result.stderr), result.stderr


NOT_RENEWED = (rf"{MOMENT} client \[ERROR\] client: Unable to refresh login token \(status code 400\): .*\n"
               r'Please re-login with "osmo login"\n')


# --- The page, from top to bottom ---


def test_the_page_from_making_a_token_to_deleting_it(users, unique):
    user = unique("testuser")
    osmo = users.dev(user)
    secret = set_token(osmo, "--expires-at", day(100), "--description", "My Token", "my-token")
    set_token(osmo, "my-second-token", "-d", "My second access token")

    listed = osmo("token", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    lines = listed.stdout.split("\n")
    assert [re.split(r" {2,}", line.strip()) for line in (lines[0], lines[2], lines[3])] == [
        ["Name", "Description", "Roles", "Active", "Expires At (UTC)"],
        ["my-second-token", "My second access token", "osmo-user", "Active", day(31)],
        ["my-token", "My Token", "osmo-user", "Active", day(100)]]
    assert lines[1] == "=" * len(lines[0]) and {len(line) for line in lines[:4]} == {len(lines[0])}
    assert lines[4:] == ["", ""]

    holder = users.token(secret, unique("holder"))
    profile = holder("profile", "list")
    assert (profile.returncode, profile.stderr) == (0, "")
    assert profile.stdout == (
        f"user:\n  email: {user}\nnotifications:\n  email: False\n  slack: False\n"
        "bucket:\n  default: None\npool:\n  default: None\n  accessible:\n  - default\n"
        f"token roles:\n  name: my-token\n  expires_at: {day(100)}\n  roles: osmo-user\n")

    check_refused(holder("token", "list", "--service"), 403,
                  "permission http:/api/auth/access_token/service:Get is required")

    deleted = osmo("token", "delete", "my-token")
    assert (deleted.returncode, deleted.stdout, deleted.stderr) == (0, "Access token my-token deleted\n", "")
    check_refused(holder("token", "list"), 401, "invalid credential", NOT_RENEWED)
    check_refused(osmo("token", "delete", "my-token"), 400, "User access token my-token does not exist.")


def test_profile_shows_what_was_set(users, unique):
    user = unique("prof")
    osmo = users.dev(user)
    for arguments, said in [
            (("notifications", "slack", "true"), "Profile Set\n"),
            (("notifications", "email", "false"), "Disabling email notifications\nProfile Set\n"),
            (("pool", "default"), "Profile Set\n")]:
        result = osmo("profile", "set", *arguments)
        assert (result.returncode, result.stdout, result.stderr) == (0, said, "")
    check_refused(osmo("profile", "set", "pool", "mine"), 400, "Pool mine not found.")
    check_refused(
        osmo("profile", "set", "bucket", "mine"), 400,
        'Bucket mine does not exist. Use the "osmo bucket list" CLI  to see all available buckets.')
    assert osmo("profile", "list").stdout == (
        f"user:\n  name: {user}\n  email: {user}\nnotifications:\n  email: False\n  slack: True\n"
        "bucket:\n  default: None\npool:\n  default: default\n  accessible:\n  - default\n")
    assert json.loads(osmo("profile", "list", "-t", "json").stdout) == {
        "profile": {"username": user, "email_notification": False, "slack_notification": True,
                    "bucket": None, "pool": "default"},
        "pools": ["default"]}


# --- Service tokens, roles ---


def test_service_tokens_have_the_roles_they_were_given(plain, unique):
    admin, name = plain.admin(), unique("svc")
    secret = set_token(admin, name, "--service", "--roles", "osmo-backend", "osmo-user", "-d", "a service")
    [row] = [each for each in json.loads(admin("token", "list", "-s", "-t", "json").stdout)
             if each["token_name"] == name]
    assert row == {"user_name": name, "token_name": name, "expires_at": day(31) + "T00:00:00",
                   "description": "a service", "access_type": "SERVICE", "roles": ["osmo-backend", "osmo-user"]}
    assert list(row) == ["user_name", "token_name", "expires_at", "description", "access_type", "roles"]
    check_refused(admin("token", "set", name, "-s", "-r", "osmo-user"), 400, f"Token name {name} already exists.")

    service = plain.token(secret, unique("home"))
    assert service("profile", "list").stdout.endswith(
        f"token roles:\n  name: {name}\n  expires_at: {day(31)}\n  roles: osmo-backend, osmo-user\n")
    check_refused(service("token", "set", "x", "-s", "-r", "osmo-user"), 403,
                  "permission http:/api/auth/access_token/service/x:Post is required")
    check_refused(service("token", "delete", name, "-s"), 403,
                  f"permission http:/api/auth/access_token/service/{name}:Delete is required")

    deleted = admin("token", "delete", name, "--service")
    assert (deleted.returncode, deleted.stdout) == (0, f"Access token {name} deleted\n")
    check_refused(admin("token", "delete", name, "--service"), 400, f"Service access token {name} does not exist.")


def test_a_refusal_in_json_is_json_on_stdout(users, unique):
    result = users.dev(unique("u"))("token", "list", "--service", "-t", "json")
    assert result.returncode == 2
    assert json.loads(result.stdout) == {
        "message": "permission http:/api/auth/access_token/service:Get is required", "code": 403}
    assert re.fullmatch(rf"{MOMENT} client \[ERROR\] client: Server responded with status code 403\n", result.stderr)


def test_users_see_their_own_tokens_only_and_names_are_free_to_each(users, unique):
    one, other = users.dev(unique("one")), users.dev(unique("other"))
    set_token(one, "same")
    set_token(other, "same")
    set_token(other, "Same")
    assert [row["token_name"] for row in json.loads(one("token", "list", "-t", "json").stdout)] == ["same"]
    assert one("token", "delete", "same").returncode == 0
    assert {row["token_name"] for row in json.loads(other("token", "list", "-t", "json").stdout)} == {"same", "Same"}
    for form in ([], ["-t", "json"]):
        assert one("token", "list", *form).stdout == "No tokens found\n"


def test_a_service_of_the_name_of_a_user_is_another(users, unique):
    """Deleting, listing and profiles of one never touch the other."""
    user = unique("alice")
    osmo = users.dev(user)
    set_token(osmo, "ci")
    osmo("profile", "set", "notifications", "slack", "true")
    answer = users.http("POST", f"{SERVICE}/{user}", params={"expires_at": day(9), "roles": "osmo-user"})
    service = users.token(answer.json(), unique("home"))
    check_refused(service("token", "delete", "ci"), 400, "User access token ci does not exist.")
    assert service("token", "list").stdout == "No tokens found\n"
    profile = service("profile", "list").stdout
    assert f"email: {user}\n" in profile and "slack: False" in profile
    assert users.http("DELETE", f"{SERVICE}/{user}").json() is None
    assert "slack: True" in osmo("profile", "list").stdout
    assert [row["token_name"] for row in json.loads(osmo("token", "list", "-t", "json").stdout)] == ["ci"]


# --- What is wrong with a request, and what is said about it first ---


def create(users, kind, name, **parameters):
    return users.http("POST", f"/api/auth/access_token/{kind}/{name}", params=parameters)


@pytest.mark.parametrize("kind, name, parameters, message", [
    ("user", "1bad", {"expires_at": "tomorrow"}, f"Token name 1bad {NAME_RULE}"),
    ("user", "t", {"expires_at": "tomorrow"},
     "Invalid date format tomorrow. Date must be in YYYY-MM-DD format (e.g. 2025-12-31)"),
    ("user", "t", {"expires_at": "2026-02-30"},
     "Invalid date format 2026-02-30. Date must be in YYYY-MM-DD format (e.g. 2025-12-31)"),
    ("user", "t", {"expires_at": day(0)}, f"Expiration date must be past the current date ({day(0)})"),
    ("user", "t", {"expires_at": "2020-1-1"}, f"Expiration date must be past the current date ({day(0)})"),
    ("user", "t", {"expires_at": day(366)}, "Access token cannot last longer than 365d"),
    ("user", "t", {}, "expires_at is required: a date in YYYY-MM-DD format (e.g. 2025-12-31)"),
    ("service", "1bad", {"expires_at": "x", "roles": ["osmo-user", "nobody", "none"]}, "Invalid role: nobody"),
    ("service", "1bad", {"expires_at": "x", "roles": "osmo-user"}, f"Token name 1bad {NAME_RULE}"),
    ("service", "t", {"expires_at": "x", "roles": "osmo-user"},
     "Invalid date format x. Date must be in YYYY-MM-DD format (e.g. 2025-12-31)"),
])
def test_the_first_thing_that_is_wrong_is_told(plain, kind, name, parameters, message):
    answer = create(plain, kind, name, **parameters)
    body = answer.json()
    assert (answer.status_code, body["message"], body["error_code"], body["workflow_id"]) == \
        (400, message, "USER", None)
    assert plain.http("GET", f"/api/auth/access_token/{kind}").json() == \
        [row for row in plain.http("GET", f"/api/auth/access_token/{kind}").json() if row["token_name"] != name]


def test_the_role_check_comes_before_all_others(users, unique):
    answer = requests.post(f"{users.door.url}{SERVICE}/1bad", headers={"x-osmo-user": unique("u")},
                           timeout=program.PATIENCE_S)
    assert (answer.status_code, answer.json()["error_code"]) == (403, 403)
    assert answer.json()["message"] == "permission http:/api/auth/access_token/service/1bad:Post is required"


def test_the_last_day_that_is_allowed_is(plain, unique):
    for offset in (1, 365):
        assert create(plain, "user", unique("edge"), expires_at=day(offset)).status_code == 200


def test_of_several_dates_the_last_one_counts_and_roles_of_personal_tokens_do_not(plain, unique):
    name = unique("t")
    answer = plain.http("POST", f"{USER}/{name}", params=[
        ("expires_at", "x"), ("expires_at", day(7)), ("roles", "osmo-admin"), ("unknown", "ignored")])
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    [row] = [each for each in plain.http("GET", USER).json() if each["token_name"] == name]
    assert (row["expires_at"], row["roles"]) == (day(7) + "T00:00:00", ["osmo-user"])


def test_a_service_token_may_have_no_roles_here_but_not_from_the_command_line(plain, unique):
    name = unique("bare")
    assert create(plain, "service", name, expires_at=day(3)).status_code == 200
    result = plain.admin()("token", "set", "x", "-s")
    assert (result.returncode, result.stderr) == (
        2, "Error message: Roles are required for service tokens.\nError code: 1\n")


# --- Exchange, and what a JWT is worth ---


def test_exchange_and_token_info_in_both_forms(plain, unique):
    name = unique("x")
    secret = create(plain, "user", name, expires_at=day(5)).json()
    url = plain.door.url
    for method, keywords in (("GET", {"params": {"access_token": secret}}), ("POST", {"json": {"token": secret}})):
        info = requests.request(method, f"{url}/api/auth/access_token", timeout=program.PATIENCE_S, **keywords)
        assert info.json() == {"user_name": "admin", "token_name": name, "expires_at": day(5) + "T00:00:00",
                               "description": "", "access_type": "USER", "roles": ["osmo-user"]}
        answer = requests.request(method, f"{url}/api/auth/jwt/access_token", timeout=program.PATIENCE_S, **keywords)
        body = answer.json()
        assert (answer.status_code, list(body), body["error"]) == (200, ["token", "expires_at", "error"], None)
        claims = json.loads(base64.urlsafe_b64decode(body["token"].split(".")[1] + "=="))
        assert list(claims)[:7] == ["iss", "aud", "iat", "nbf", "exp", "unique_name", "roles"]
        assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"], claims["exp"]) == \
            ("osmo", "osmo", 300, body["expires_at"])
        assert (claims["unique_name"], claims["roles"]) == ("admin", ["osmo-user"])
        mine = requests.get(url + USER, headers={"x-osmo-auth": body["token"]}, timeout=program.PATIENCE_S)
        assert name in {row["token_name"] for row in mine.json()}
    assert plain.http("DELETE", f"{USER}/{name}").json() is None
    dead = requests.get(url + USER, headers={"x-osmo-auth": body["token"]}, timeout=program.PATIENCE_S)
    assert dead.status_code == 401
    for path in ("/api/auth/access_token", "/api/auth/jwt/access_token"):
        answer = requests.get(url + path, params={"access_token": secret}, timeout=program.PATIENCE_S)
        assert (answer.status_code, answer.json()["message"]) == (400, "Access Token is invalid")


def expired_jwt():
    payload = base64.urlsafe_b64encode(b'{"exp":1}').rstrip(b"=").decode()
    return f"eyJhbGciOiJFUzI1NiJ9.{payload}.AAAA"


def test_the_command_line_gets_a_new_jwt_when_its_own_has_expired(plain, unique):
    name = unique("r")
    secret = create(plain, "user", name, expires_at=day(5)).json()
    osmo = program.Osmo(plain.tmp_path / unique("home"))
    login_yaml.write_token(osmo, plain.door.url, expired_jwt(), refresh_token=secret,
                           refresh_url=f"{plain.door.url}/api/auth/jwt/access_token")
    assert osmo("token", "list").returncode == 0
    assert plain.http("DELETE", f"{USER}/{name}").status_code == 200
    login_yaml.write_token(osmo, plain.door.url, expired_jwt(), refresh_token=secret,
                           refresh_url=f"{plain.door.url}/api/auth/jwt/access_token")
    result = osmo("token", "list")
    assert (result.returncode, result.stdout) == (10, "")
    assert "Unable to refresh login token (status code 400)" in result.stderr
    assert "Access Token is invalid" in result.stderr and secret not in result.stderr


# --- Workflows ---


def authorize(users, credential, method, path):
    answer = users.http("POST", "/v1/auth/authorize",
                        json={"credential": credential, "method": method, "path": path})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_workflows_are_submitted_with_service_tokens_not_with_personal_ones(plain, unique):
    personal = create(plain, "user", unique("w"), expires_at=day(5)).json()
    name = unique("runner")
    submitter = {"name": unique("submitter"), "description": "", "policies": [
        {"actions": ["http:/api/pool/*/workflow:Post", "http:/api/workflow:Get"]}]}
    assert plain.http("PUT", "/api/configs/role", json={"configs": [submitter]}).status_code == 200
    service = create(plain, "service", name, expires_at=day(5), roles=submitter["name"]).json()

    path = "/api/pool/default/workflow"
    for credential in (personal, plain.http("POST", "/v1/auth/exchange", json={"token": personal}).json()["token"]):
        answer = authorize(plain, credential, "POST", path)
        assert (answer["allowed"], answer["reason"], answer["policy"]) == (
            False, "denied by configuration", "http:/api/pool/*/workflow:Post")
        assert answer["identity"]["user"] == "admin"
        assert authorize(plain, credential, "GET", "/api/workflow")["allowed"] is True
    # not even with the personal token that may do everything else
    assert authorize(plain, plain.door.admin_token, "POST", path)["allowed"] is False

    answer = authorize(plain, service, "POST", path)
    assert (answer["allowed"], answer["role"], answer["policy"]) == (
        True, submitter["name"], "http:/api/pool/*/workflow:Post")
    assert (answer["identity"]["user"], answer["identity"]["principalKind"]) == (name, "SERVICE")
    assert authorize(plain, "nonsense", "POST", path)["reason"] == "invalid credential"
    assert authorize(plain, "", "POST", path)["allowed"] is False
    assert authorize(plain, "", "GET", "/api/version")["allowed"] is True


# --- Nobody, and who is nobody in disguise ---


@pytest.mark.parametrize("headers", [{}, {"x-osmo-user": ""}, {"x-osmo-user": "root", "x-osmo-roles": "osmo-admin"}])
def test_without_a_credential_only_what_is_public_opens(plain, headers):
    def get(path):
        return requests.get(plain.door.url + path, headers=headers, timeout=program.PATIENCE_S)

    for path in ("/api/version", "/health", "/api/auth/login", "/api/auth/keys"):
        assert get(path).status_code == 200, path
    for path in (USER, SERVICE, "/api/profile/settings", "/api/configs/role"):
        assert get(path).status_code == 401, path
        assert get(path).headers["WWW-Authenticate"].startswith("Bearer"), path


def test_a_developer_without_a_name_is_nobody(users):
    for headers in ({}, {"x-osmo-user": ""}):
        answer = requests.get(users.door.url + USER, headers=headers, timeout=program.PATIENCE_S)
        assert answer.status_code == 401


# --- Roles ---


def test_roles_are_administered_in_the_form_of_existing_clients(plain, unique):
    name = unique("role")
    role = {"name": name, "description": "a role", "immutable": False, "policies": [
        {"actions": ["http:/api/auth/access_token/service:get", {"base": "http", "path": "!/api/x", "method": "*"}]}]}
    assert plain.http("PUT", "/api/configs/role", json={"configs": [role], "description": "why", "tags": ["a"]}) \
        .json() is None
    stored = {**role, "policies": [{"actions": [
        {"base": "http", "path": "!/api/x", "method": "*"},
        {"base": "http", "path": "/api/auth/access_token/service", "method": "Get"}]}]}
    assert plain.http("GET", f"/api/configs/role/{name}").json() == stored
    assert stored in plain.http("GET", "/api/configs/role").json()

    secret = create(plain, "service", unique("viewer"), expires_at=day(3), roles=name).json()
    assert plain.http("GET", SERVICE, secret=secret).status_code == 200
    refused = plain.http("GET", USER, secret=secret)
    assert (refused.status_code, refused.json()["message"]) == (
        403, "permission http:/api/auth/access_token/user:Get is required")

    assert plain.http("DELETE", f"/api/configs/role/{name}", json={}).json() is None
    assert plain.http("GET", SERVICE, secret=secret).status_code == 403
    answer = plain.http("GET", f"/api/configs/role/{name}")
    assert (answer.status_code, answer.json()["message"]) == (400, f"Role {name} does not exist.")


@pytest.mark.parametrize("action, message", [
    ("http:/api/x:Brew", "Invalid method: Brew. Method must be one of: "
                         "['*', 'get', 'post', 'put', 'patch', 'delete', 'websocket']"),
    ("ftp:/api/x:Get", "Invalid action: ftp:/api/x:Get"),
    ("http:api/x:Get", "Invalid action: http:api/x:Get"),
])
def test_actions_that_mean_nothing_are_refused(plain, unique, action, message):
    name = unique("role")
    answer = plain.http("PUT", "/api/configs/role", json={"configs": [
        {"name": name, "description": "", "policies": [{"actions": [action]}]}]})
    assert (answer.status_code, answer.json()["message"]) == (400, message)
    assert plain.http("GET", f"/api/configs/role/{name}").status_code == 400
