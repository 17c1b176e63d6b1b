# SPDX-License-Identifier: Apache-2.0
"""osmo token set|list|delete: requests, outputs, errors and exit codes, letter for letter."""

import datetime
import json
import os
import re
import signal
import subprocess

import pytest

from env import fake_osmo, program

USER = "/api/auth/access_token/user"
SERVICE = "/api/auth/access_token/service"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000"


def refused(status):
    return rf"{MOMENT} client \[ERROR\] client: Server responded with status code {status}\n"


def token(name, **fields):
    return {**fake_osmo.TOKEN, "token_name": name, **fields}


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=offset)).strftime("%Y-%m-%d")


def test_set_shows_the_token_once(logged_in, fake):
    result = logged_in("token", "set", "--expires-at", "2026-05-01", "--description", "My Token", "my-token")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        "Note: Save the token in a secure location as it will not be shown again\n"
        f"Access token: {fake_osmo.ACCESS_TOKEN}\n")
    assert fake.lines == [f"POST {USER}/my-token?expires_at=2026-05-01&description=My+Token"]


def test_set_in_json_is_one_line(logged_in):
    assert logged_in("token", "set", "x", "-t", "json").stdout == \
        f'{{"token": "{fake_osmo.ACCESS_TOKEN}"}}\n'


def test_requests_are_those_of_the_existing_command_line(logged_in, fake):
    logged_in("token", "set", "ci", "-s", "-r", "a", "b c", "é", "-e", "2027-5-1", "-d", "ü & =")
    logged_in("token", "delete", "ci", "-s")
    logged_in("token", "list", "-s")
    assert fake.lines == [
        f"POST {SERVICE}/ci?expires_at=2027-5-1&description=%C3%BC+%26+%3D&roles=a&roles=b+c&roles=%C3%A9",
        f"DELETE {SERVICE}/ci", f"GET {SERVICE}"]
    for request in fake.requests:
        assert request.headers["User-Agent"] == "osmo-cli/6.0.0"
        assert request.headers["x-osmo-client-version"] == "6.0.0"
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["x-osmo-auth"].count(".") == 2
        assert request.headers["Authorization"] is request.headers["x-osmo-user"] is None
        assert request.headers["Content-Length"] == (None if request.method == "GET" else "0")
        assert request.body == b""


def test_default_expiry_is_31_days_from_today(logged_in, fake):
    before = day(31)
    logged_in("token", "set", "x", "-d", "")
    [request] = fake.requests
    assert request.parameters in ({"expires_at": [before]}, {"expires_at": [day(31)]})


@pytest.mark.parametrize("name", ["1x", "x-", "_x", "", "a b", "é", "x\n", "a.b"])
def test_set_checks_the_name_first(logged_in, fake, name):
    result = logged_in("token", "set", name, "--service")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error message: Token name {name} must match regex ^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$\n"
        "Error code: 1\n")
    assert not fake.requests


def test_roles_go_with_service_tokens_only(logged_in, fake):
    result = logged_in("token", "set", "x", "--service")
    assert (result.returncode, result.stderr) == (
        2, "Error message: Roles are required for service tokens.\nError code: 1\n")
    result = logged_in("token", "set", "x", "--roles", "a", "-t", "json")
    assert (result.returncode, result.stderr, json.loads(result.stdout)) == (
        2, "", {"message": "Roles are not supported for personal tokens.", "code": 1})
    assert not fake.requests


def test_delete_says_what_it_deleted(logged_in):
    result = logged_in("token", "delete", "my-token")
    assert (result.returncode, result.stdout, result.stderr) == (0, "Access token my-token deleted\n", "")


@pytest.mark.parametrize("name, path", [
    ("a?b#c", "a%3Fb%23c"), ("../x y", "..%2Fx%20y"), ("..", "%2E%2E"), (".", "%2E"), ("é/", "%C3%A9%2F"),
    ("%41", "%2541")])
def test_any_name_is_one_segment_of_the_path(logged_in, fake, name, path):
    logged_in("token", "delete", name)
    assert fake.lines == [f"DELETE {USER}/{path}"]


# ---- list ----

def test_list_is_a_table(logged_in, fake):
    fake.on("GET", USER, 200, [
        token("my-token", roles=["user"]),
        token("my-second-token", description="My second access token", expires_at="2025-02-23T00:00:00",
              roles=["user", "osmo-x"])])
    assert logged_in("token", "list").stdout == (
        "Name              Description              Roles          Active    Expires At (UTC)\n"
        "====================================================================================\n"
        "my-token          My access token          user           Active    2099-12-31      \n"
        "my-second-token   My second access token   user, osmo-x   Expired   2025-02-23      \n"
        "\n")


def test_a_token_that_expires_today_is_expired(logged_in, fake):
    fake.on("GET", USER, 200, [token("a", expires_at=f"{day(0)}T00:00:00"),
                               token("b", expires_at=f"{day(1)}T00:00:00")])
    today = day(0)
    rows = logged_in("token", "list").stdout.splitlines()[2:4]
    if today == day(0):  # else midnight went by
        assert [row.split()[-2] for row in rows] == ["Expired", "Active"]


def test_cells_are_shown_as_they_are(logged_in, fake):
    texts = ["0.10", "1e3", "1_000", "123456789012", "Infinity", "nan", "-0.5", "007"]
    fake.on("GET", USER, 200, [token(text, description=text) for text in texts])
    rows = logged_in("token", "list").stdout.splitlines()[2:-1]
    assert [row.split()[:2] for row in rows] == [[text, text] for text in texts]


def test_missing_null_and_empty_fields(logged_in, fake):
    fake.on("GET", USER, 200, [
        {"expires_at": "2099-1-2"}, {"token_name": None, "description": None, "roles": [], "expires_at": "x"},
        token("t", description="")])
    assert logged_in("token", "list").stdout == (
        "Name   Description   Roles               Active   Expires At (UTC)\n"
        "==================================================================\n"
        "-      -             -                   Active   2099-01-02      \n"
        "None   None                              -        x               \n"
        "t                    osmo-user, osmo-x   Active   2099-12-31      \n\n")


def test_columns_are_aligned_by_display_width(logged_in, fake):
    fake.on("GET", USER, 200, [token("日本", description="a\tb\nsecond line  \n\n end", roles=["r"]),
                               token("e\u0301x", description="", roles=["r"])])
    assert logged_in("token", "list").stdout == (
        "Name   Description     Roles   Active   Expires At (UTC)\n"
        "========================================================\n"
        "日本   a       b       r       Active   2099-12-31      \n"
        "       second line                                      \n"
        "                                                        \n"
        "        end                                             \n"
        "e\u0301x                     r       Active   2099-12-31      \n\n")


@pytest.mark.parametrize("format_type", ["text", "json"])
def test_an_empty_list_says_so(logged_in, fake, format_type):
    fake.on("GET", USER, 200, [])
    assert logged_in("token", "list", "-t", format_type).stdout == "No tokens found\n"


def test_list_in_json_is_what_the_service_said(logged_in, fake):
    value = [{"z": "é😀\x7f\x01\"\\\n/", "a": [], "b": {}, "c": [1, [2.5]], "d": None, "e": True, "f": 1e20,
              "g": 1e-7, "h": 0.1, "i": 123456789.123, "j": 1e16, "k": 2**62, "l": -0.0, "m": 5e-324, "n": 100.0}]
    fake.on("GET", USER, 200, value)
    assert logged_in("token", "list", "-t", "json").stdout == json.dumps(value, indent=2) + "\n"


# ---- errors ----

def test_a_refused_call_shows_the_line_of_the_user_guide(logged_in, fake):
    fake.on("GET", SERVICE, 403, {"message": "Forbidden", "error_code": 403})
    result = logged_in("token", "list", "--service")
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(refused(403) + "Error message: Forbidden\nError code: 403\n", result.stderr)
    result = logged_in("token", "list", "--service", "-t", "json")
    assert (result.returncode, result.stdout) == (2, '{\n  "message": "Forbidden",\n  "code": 403\n}\n')
    assert re.fullmatch(refused(403), result.stderr)


def test_the_moment_of_a_refusal_is_now_in_utc(logged_in, fake):
    fake.on("GET", USER, 403, {"message": "Forbidden", "error_code": 403})
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
    result = logged_in("token", "list", env={"TZ": "Asia/Tokyo"})
    after = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    assert before <= datetime.datetime.strptime(result.stderr[:24], "%Y-%m-%dT%H:%M:%S+0000") <= after


def test_log_level_hides_the_line(logged_in, fake):
    fake.on("GET", USER, 403, {"message": "Forbidden", "error_code": 403})
    for level in ("CRITICAL", "fatal", "50"):
        result = logged_in("--log-level", level, "token", "list")
        assert (result.returncode, result.stderr) == (2, "Error message: Forbidden\nError code: 403\n")
    for level in ("error", "40", "WARN", "Info"):
        assert re.match(refused(403), logged_in("--log-level", level, "token", "list").stderr)


@pytest.mark.parametrize("status, body, message, code", [
    (400, {"message": "Token name x already exists.", "error_code": "USER", "workflow_id": None},
     "Token name x already exists.", 2),
    (400, {"message": "M", "error_code": "USAGE"}, "M", 1),
    (400, {"message": "M", "error_code": "RESOURCE"}, "M", 1),
    (400, {"message": "M", "error_code": "CREDENTIAL"}, "M", 2),
    (400, {"message": "M", "error_code": "DATABASE"}, "M", 2),
    (400, {"message": "M", "error_code": "OSMO_ERROR"}, "M", 2),
    (404, {"detail": "Not Found"}, '{"detail":"Not Found"}', 2),
    (405, {"detail": "Method Not Allowed"}, '{"detail":"Method Not Allowed"}', 2),
    (422, {"detail": [{"loc": ["query"]}]}, '{"detail":[{"loc":["query"]}]}', 2),
    (400, [1], "[1]", 2),
    (400, "text", '"text"', 2),
    (429, {"message": "slow down", "error_code": "USER"}, "slow down", 75),
    (400, {"message": "line\nline é", "error_code": "USER"}, "line\nline é", 2),
    (409, {"message": 5, "error_code": "USER"}, '{"message":5,"error_code":"USER"}', 2),
])
def test_what_the_service_says_is_shown_with_its_exit_code(logged_in, fake, status, body, message, code):
    fake.on("POST", f"{USER}/x", status, body)
    result = logged_in("token", "set", "x")
    assert (result.returncode, result.stdout) == (code, "")
    head, rest = result.stderr.split("\n", 1)
    assert re.fullmatch(refused(status), head + "\n")
    assert rest == f"Error message: {message}\nError code: {status}\n"
    result = logged_in("token", "set", "x", "-t", "json")
    assert result.stdout == json.dumps({"message": message, "code": status}, indent=2) + "\n"


@pytest.mark.parametrize("text", ["Jwt is missing", "Jwt is expired"])
def test_a_text_is_shown_as_it_is(logged_in, fake, text):
    fake.on("GET", USER, 401, text=text)
    result = logged_in("token", "list")
    assert result.returncode == 2
    assert re.match(refused(401) + f"Error message: {text}\nError code: 401\n", result.stderr)


def test_a_text_in_another_encoding_can_be_json_all_the_same(logged_in, fake):
    fake.on("GET", USER, 400, text="")
    fake.answers["GET", USER][0].body = "caf\u00e9".encode("latin-1")
    assert json.loads(logged_in("token", "list", "-t", "json").stdout) == {"message": "caf\ufffd", "code": 400}


def test_an_empty_message_is_not_shown(logged_in, fake):
    fake.on("GET", USER, 429, text="")
    result = logged_in("token", "list")
    assert (result.returncode, result.stdout) == (75, "")
    assert re.fullmatch(refused(429), result.stderr)


def test_a_broken_service_is_shown_whole(logged_in, fake):
    fake.on("GET", USER, 500, text="boom", headers={"X-Request-Id": "r1"})
    result = logged_in("token", "list")
    assert (result.returncode, result.stdout) == (10, "")
    assert re.fullmatch(
        refused(500) + "Error message: Status Code: 500\nHeader:\n(  [A-Za-z-]+: .*\n)*"
        "  X-Request-Id: r1\n(  [A-Za-z-]+: .*\n)*Body:\nboom\nError code: 500\n", result.stderr)


def test_an_answer_that_is_no_json_is_shown(logged_in, fake):
    fake.on("GET", USER, 200, text="<html>")
    result = logged_in("token", "list")
    assert (result.returncode, result.stdout) == (10, "")
    assert re.fullmatch(r"Error message: \nError decoding JSON: .*: line 1 column \d+ \(char \d+\)\n"
                        r"Original text: <html>\n\nError code: 1\n", result.stderr)


@pytest.mark.parametrize("method, path, arguments, wanted", [
    ("POST", f"{USER}/x", ["set", "x"], "a token"),
    ("POST", "/v1/tokens/x:rotate", ["rotate", "x"], "a token"),
    ("DELETE", "/v1/users/bob/tokens", ["delete-all", "bob"], "the number of tokens deleted")])
@pytest.mark.parametrize("answer", [None, [], {"a": 1}])
def test_an_answer_of_something_else_is_no_success(logged_in, fake, method, path, arguments, wanted, answer):
    fake.on(method, path, 200, answer)
    result = logged_in("token", *arguments)
    assert (result.returncode, result.stdout) == (10, "")
    assert result.stderr == f"Error message: The service did not answer with {wanted}\nError code: 1\n"


def test_any_other_success_is_noted_and_is_one(logged_in, fake):
    fake.on("POST", f"{USER}/x", 201, "secret")
    result = logged_in("token", "set", "x")
    assert (result.returncode, result.stdout.splitlines()[1]) == (0, "Access token: secret")
    assert re.fullmatch(refused(201), result.stderr)


def test_a_newer_client_is_announced(logged_in, fake):
    fake.on("GET", USER, 200, [], headers={"x-osmo-service-version": "7.1.2"})
    result = logged_in("token", "list")
    assert (result.returncode, result.stdout) == (0, "No tokens found\n")
    assert result.stderr == (
        "WARNING: New client 7.1.2 available.\nCurrent version: 6.0.0.\nPlease update by running:\n"
        f"curl -fsSL {fake.url}/client/install.sh | bash\n")


def test_one_must_log_in_first(osmo):
    for arguments in (["token", "list"], ["token", "set", "x"], ["token", "delete", "x"], ["profile", "list"]):
        result = osmo(*arguments)
        assert (result.returncode, result.stdout, result.stderr) == (
            2, "", 'Error message: Must login first with "login" command\nError code: 1\n')
    result = osmo("token", "list", "-t", "json")
    assert json.loads(result.stdout) == {"message": 'Must login first with "login" command', "code": 1}


def test_a_result_that_cannot_be_written_is_an_error(logged_in):
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run(
            [program.binary("osmo"), "token", "list"], stdout=full, stderr=subprocess.PIPE, text=True,
            env=program.environment(HOME=logged_in.home, XDG_CONFIG_HOME=logged_in.home / ".config"))
    assert result.returncode == 2
    assert result.stderr == "osmo: cannot write to standard output: No space left on device\n"


def test_a_reader_that_is_gone_is_named_unless_the_signal_ends_us(osmo):
    def ignore():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def run(**keywords):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return subprocess.run([program.binary("osmo"), "man", "osmo"], stdout=writer, stderr=subprocess.PIPE,
                                  text=True, env=program.environment(HOME=osmo.home), **keywords)
        finally:
            os.close(writer)

    assert run().returncode == -signal.SIGPIPE
    result = run(preexec_fn=ignore, restore_signals=False)
    assert (result.returncode, result.stderr) == (2, "osmo: cannot write to standard output: Broken pipe\n")
