# SPDX-License-Identifier: Apache-2.0
"""Command lines mean what they mean to Python's argparse: help texts, errors and accepted values."""

import argparse
import datetime
import random
import re
import urllib.parse

import pytest

from env import argparse_reference, fake_osmo, login_yaml, program

COMMANDS = ([], ["login"], ["logout"], ["version"], ["token"], ["token", "set"], ["token", "delete"],
            ["token", "list"], ["token", "update"], ["token", "rotate"], ["token", "delete-all"], ["profile"], ["profile", "set"], ["profile", "list"], ["check"],
            ["completion"], ["man"])
SET_PAGE = """\
usage: osmo token set [-h] [--expires-at EXPIRES_AT] [--description DESCRIPTION] [--service] [--roles ROLES [ROLES ...]] [--format-type {json,text}] name

positional arguments:
  name                  Name of the token.

options:
  -h, --help            show this help message and exit
  --expires-at EXPIRES_AT, -e EXPIRES_AT
                        Expiration date of the token. The date is based on UTC time. Format: YYYY-MM-DD
  --description DESCRIPTION, -d DESCRIPTION
                        Description of the token.
  --service, -s         Create a service token.
  --roles ROLES [ROLES ...], -r ROLES [ROLES ...]
                        Roles for the token. Only applicable for service tokens.
  --format-type {json,text}, -t {json,text}
                        Specify the output format type (Default text).

Ex. osmo token set my-token --expires-at 2026-05-01 --description "My token description"
"""
LIST_PAGE = """\
usage: osmo token list [-h] [--service] [--format-type {json,text}]

options:
  -h, --help            show this help message and exit
  --service, -s         List all service tokens.
  --format-type {json,text}, -t {json,text}
                        Specify the output format type (Default text).

Ex. osmo token list
"""
DELETE_PAGE = """\
usage: osmo token delete [-h] [--service] name

positional arguments:
  name           Name of the token.

options:
  -h, --help     show this help message and exit
  --service, -s  Delete a service token.

Ex. osmo token delete my-token
"""


@pytest.mark.parametrize("verb, page", [("set", SET_PAGE), ("list", LIST_PAGE), ("delete", DELETE_PAGE)])
def test_help_at_200_columns_is_the_user_guide_page(osmo, verb, page):
    result = osmo("token", verb, "-h", columns=200)
    assert (result.returncode, result.stdout, result.stderr) == (0, page, "")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: "-".join(["osmo", *c]))
def test_help_is_laid_out_as_argparse_does_at_any_width(osmo, command):
    step = 13 if program.SANITIZED else 1 if command == ["token", "set"] else 5
    for columns in (1, 10, *range(20, 251, step), 1000, 10**6, 10**30):
        _, _, expected, _ = argparse_reference.run([*command, "--help"], columns)
        assert osmo(*command, "--help", columns=columns).stdout == expected, f"{columns} columns"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: "-".join(["osmo", *c]))
def test_usage_errors_are_laid_out_as_argparse_does(osmo, command):
    for columns in (1, 24, 40, 60, 80, 132, 200):
        code, _, out, err = argparse_reference.run([*command, "--nope"], columns)
        result = osmo(*command, "--nope", columns=columns)
        assert (result.returncode, result.stdout, result.stderr) == (code, out, err)


def test_width_is_80_without_a_terminal_and_without_a_usable_columns(osmo):
    _, _, expected, _ = argparse_reference.run(["token", "set", "-h"], 80)
    for columns in ("", "0", "-5", "wide", None):
        assert osmo("token", "set", "-h", columns=columns, env={"LINES": ""}).stdout == expected


def test_no_arguments_print_the_help(osmo):
    _, _, expected, _ = argparse_reference.run(["-h"])
    result = osmo(columns=80)
    assert (result.returncode, result.stdout, result.stderr) == (0, expected, "")


@pytest.mark.parametrize("arguments, message", [
    (["token"], "osmo token: error: the following arguments are required: command"),
    (["token", "frob"],
     "osmo token: error: argument command: invalid choice: 'frob' (choose from 'set', 'delete', 'list', 'update', 'rotate', 'delete-all')"),
    (["token", "set"], "osmo token set: error: the following arguments are required: name"),
    (["token", "set", "--roles", "a", "name"],
     "osmo token set: error: the following arguments are required: name"),
    (["token", "set", "x", "--expires-at", "tomorrow"],
     "osmo token set: error: argument --expires-at/-e: Invalid date format: tomorrow"),
    (["token", "set", "x", "-e", "2026-02-30"],
     "osmo token set: error: argument --expires-at/-e: Invalid date format: 2026-02-30"),
    (["token", "list", "-t", "yaml"],
     "osmo token list: error: argument --format-type/-t: invalid choice: 'yaml' "
     "(choose from 'json', 'text')"),
    (["token", "delete", "a", "b"], "osmo: error: unrecognized arguments: b"),
    (["--log-level", "bogus", "token", "list"],
     "osmo: error: argument --log-level: invalid parse value: 'bogus'"),
    (["--log-level", "15", "token", "list"],
     "osmo: error: argument --log-level: invalid parse value: '15'"),
    (["token", "list", "--log-level", "DEBUG"], "osmo: error: unrecognized arguments: --log-level DEBUG"),
    (["login", "--method", "code"],
     "osmo login: error: argument --method: invalid choice: 'code' (choose from 'token', 'dev')"),
    (["login", "http://h", "--token", "a", "--token-file", "/dev/null"],
     "osmo login: error: argument --token-file: not allowed with argument --token"),
    (["login", "http://h", "--token-file", "/no/file"],
     "osmo login: error: argument --token-file: can't open '/no/file': [Errno 2] No such file or "
     "directory: '/no/file'"),
    (["--cacert", "/no/file", "token", "list"],
     "osmo: error: argument --cacert: can't open '/no/file': [Errno 2] No such file or directory: "
     "'/no/file'"),
])
def test_wrong_arguments_are_named_on_standard_error(osmo, arguments, message):
    result = osmo(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"\n{message}\n") and result.stderr.startswith("usage: osmo")
    assert argparse_reference.run(arguments)[3].endswith(f"\n{message}\n")


# ---- any command line ----

def clusters_are_errors():
    """Whether `-sx` is refused, where there is `-s` and no `-x`: later argparses go on and may find a `-h`."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("-s", action="store_true")
    try:
        parser.parse_known_args(["-sx"])
    except argparse.ArgumentError:
        return True
    return False


WORDS = (["set", "delete", "list", "token"] + ["name"] * 4 + ["--", "-", "", " ", "-5", "-1.5", "-x y", "é", "a'b"]
         + ["-s", "--service", "--serv", "--s", "--service=1", "-s=1", "-sx", "-st", "-stjson", "-sd", "-hs"]
         + ["-d", "--description", "--desc", "--d=", "--description=", "--desc=a b", "-dtext", "-d=x", "--d"]
         + ["-e", "--expires-at", "--exp", "--expires-at=2027-5-1", "-e2027-01-02", "2027-01-31", "2027-02-30"]
         + ["2027-2-29", "2028-02-29", "0000-01-01", "9999-12-31", "10000-01-01", "2027-05-1 ",
            " 2027-05-01", "2027-005-01", "27-1-1", "2027-00-01", "2027-01-00", "2027-01-01T00:00:00", "20270101"]
         + ["a\nb", "a\\b", 'a"b', "\x7f", "\x01", "日本", "😀", "x" * 300, "a+b", "a%20b", "--é", "-é", "-d-x", "--d=-x"]
         + ["-r", "--roles", "--role", "--roles=a", "-ra", "osmo-user", "b c&d=é"]
         + ["-t", "json", "text", "--format", "--format-type=json", "-tjson", "--format=yaml"]
         + ["--help", "-h", "--he", "--nope", "--nope=1", "-z", "--log-level", "INFO", "--cacert"])


def expected_request(options):
    kind = "service" if options.service else "user"
    path = f"/api/auth/access_token/{kind}"
    if options.command == "list":
        return "GET", path, {}
    path += "/" + urllib.parse.quote(options.name, safe="")
    if options.command == "delete":
        return "DELETE", path, {}
    days = datetime.timedelta(days=31)
    default = (datetime.datetime.now(datetime.timezone.utc) + days).strftime("%Y-%m-%d")
    parameters = {"expires_at": [options.expires_at or default]}
    if options.description:
        parameters["description"] = [options.description]
    if options.roles:
        parameters["roles"] = options.roles
    return "POST", path, parameters


def is_sent(options):
    """Whether `set` passes the client's own checks."""
    return options.command != "set" or (
        bool(re.fullmatch("[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?", options.name))
        and bool(options.roles) == options.service)


# single dashes with several letters, of which some parsers know a part only
WORDS = [word for word in WORDS if clusters_are_errors() or not re.match("-[hs].", word)]


def random_command_line(chance):
    prefix = chance.choice([["token", "set"], ["token", "set"], ["token", "delete"], ["token", "list"],
                            ["token"], ["--log-level", "ERROR", "token", "list"], []])
    return prefix + chance.choices(WORDS, k=chance.randrange(7))


@pytest.fixture(scope="module")
def fake():
    result = fake_osmo.FakeOsmo()
    yield result
    result.stop()


@pytest.mark.parametrize("seed", range(8))
def test_any_command_line_means_what_it_means_to_argparse(osmo, fake, seed):
    login_yaml.write_dev(osmo, fake.url)
    chance = random.Random(seed)
    for _ in range(20 if program.SANITIZED else 150):
        arguments = random_command_line(chance)
        code, options, out, err = argparse_reference.run(arguments)
        fake.requests.clear()
        result = osmo(*arguments, columns=80)
        if code is not None:
            assert (result.returncode, result.stdout, result.stderr) == (code, out, err), arguments
            assert not fake.requests, arguments
        elif options.module == "token" and is_sent(options):
            assert result.returncode == 0, (arguments, result)
            [request] = fake.requests
            assert (request.method, request.path, request.parameters) == expected_request(options), arguments
        elif options.module == "token":
            assert result.returncode == 2 and not fake.requests, arguments
            error = result.stdout if options.format_type == "json" else result.stderr
            assert ('"message": "' if options.format_type == "json" else "Error message: ") in error
