# SPDX-License-Identifier: Apache-2.0
"""The verbs of `osmo` once more, for Python's argparse: what it makes of a command line is what ours must
make of it."""

import argparse
import contextlib
import datetime
import io
import os
import re


def date(text):
    try:
        datetime.datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        raise argparse.ArgumentTypeError(f"Invalid date format: {text}") from None
    return text


def overlap(text):
    if not re.fullmatch(r"0|\d{1,6}[smhd]", text):
        raise argparse.ArgumentTypeError(f"Invalid overlap: {text}, expected 90s, 30m, 24h, 7d or 0")
    return text


def parse(text):  # the name is part of the error message
    levels = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10, "FATAL": 50,
              "WARN": 30}
    if text.isdigit():
        if int(text) not in levels.values():
            raise ValueError
        return int(text)
    if text.strip().upper() not in levels:
        raise ValueError
    return levels[text.strip().upper()]


def file(text):
    if text != "-":
        with open(text, encoding="utf-8"):
            pass
    return text


def checked_file(text):
    try:
        return file(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"can't open '{text}': {error}") from None


def raw(**keywords):
    return {"formatter_class": argparse.RawDescriptionHelpFormatter, **keywords}


def add_format_type(parser):
    parser.add_argument("--format-type", "-t", choices=("json", "text"), default="text",
                        help="Specify the output format type (Default text).")


def add_token(modules):
    verbs = modules.add_parser("token", help="Set and delete access tokens.").add_subparsers(
        dest="command", required=True)
    verb = verbs.add_parser(
        "set", help="Set a token for the current user.",
        **raw(epilog="Ex. osmo token set my-token --expires-at 2026-05-01 "
                     '--description "My token description"'))
    verb.add_argument("name", help="Name of the token.")
    verb.add_argument("--expires-at", "-e", type=date,
                      help="Expiration date of the token. The date is based on UTC time. "
                           "Format: YYYY-MM-DD")
    verb.add_argument("--description", "-d", help="Description of the token.")
    verb.add_argument("--service", "-s", action="store_true", help="Create a service token.")
    verb.add_argument("--roles", "-r", nargs="+",
                      help="Roles for the token. Only applicable for service tokens.")
    add_format_type(verb)
    verb = verbs.add_parser("delete", help="Delete a token for the current user.",
                            **raw(epilog="Ex. osmo token delete my-token"))
    verb.add_argument("name", help="Name of the token.")
    verb.add_argument("--service", "-s", action="store_true", help="Delete a service token.")
    verb = verbs.add_parser("list", help="List all tokens for the current user.",
                            **raw(epilog="Ex. osmo token list"))
    verb.add_argument("--service", "-s", action="store_true", help="List all service tokens.")
    add_format_type(verb)
    verb = verbs.add_parser("update", help="Change description or roles of a token.",
                            **raw(epilog='Ex. osmo token update my-token --description "My new description"\n'
                                         "Ex. osmo token update my-service --service --roles osmo-user osmo-backend"))
    verb.add_argument("name", help="Name of the token.")
    verb.add_argument("--description", "-d", help="New description of the token.")
    verb.add_argument("--service", "-s", action="store_true", help="Update a service token.")
    verb.add_argument("--roles", "-r", nargs="+",
                      help="New roles for the token, instead of those it has. Only applicable for service tokens.")
    verb = verbs.add_parser("rotate", help="Replace a token by a new one of the same name.",
                            **raw(epilog="Ex. osmo token rotate my-token --overlap 24h"))
    verb.add_argument("name", help="Name of the token.")
    verb.add_argument("--overlap", "-o", type=overlap,
                      help="How long the old token stays good beside the new one, like 90s, 30m, 24h or 7d, at most "
                           "30d (default 0: not at all).")
    verb.add_argument("--expires-at", "-e", type=date,
                      help="New expiration date of the token. Without it the date stays. The date is based on UTC "
                           "time. Format: YYYY-MM-DD")
    verb.add_argument("--service", "-s", action="store_true", help="Rotate a service token.")
    add_format_type(verb)
    verb = verbs.add_parser("delete-all", help="Delete all tokens of a user (administrators).",
                            **raw(epilog="Ex. osmo token delete-all alice@example.com"))
    verb.add_argument("user", help="Name of the user.")


def add_login(modules):
    verb = modules.add_parser(
        "login", help="Log in with an access token, or as a developer.",
        **raw(epilog="Ex. osmo login https://osmo.example.com --token-file my-token.txt"))
    verb.add_argument("url", nargs="?", help="The url of the osmo server to connect to. If not "
                                             "provided, uses the last used url.")
    verb.add_argument("--method", choices=("token", "dev"),
                      help="token: Log in with an access token; the default if a token is given. "
                           "dev: Provide a username without any proof, for services that run in "
                           "development mode.")
    verb.add_argument("--username", help="Username for the method dev.")
    group = verb.add_mutually_exclusive_group()
    group.add_argument("--token",
                       help="Access token to log in with. Other users of the machine may see it "
                            "while the program starts, and the shell may keep it: --token-file is "
                            "better.")
    group.add_argument("--token-file", metavar="FILE", type=checked_file,
                       help="File containing the access token, - for standard input.")
    modules.add_parser("logout", help="Remove stored access tokens.")


def add_profile(modules):
    verbs = modules.add_parser("profile", help="Manage user profile.").add_subparsers(
        dest="command", required=True)
    verb = verbs.add_parser(
        "set", help="Set profile settings.", formatter_class=argparse.RawTextHelpFormatter,
        epilog="Ex. osmo profile set bucket my_bucket\n"
               "Ex. osmo profile set pool my_pool\n"
               "Ex. osmo profile set notifications email true # Enable only email notifications\n"
               "Ex. osmo profile set notifications slack false # Disable slack notifications")
    verb.add_argument("setting", choices=["notifications", "bucket", "pool"], help="Field to set")
    verb.add_argument("value", help="Type of notification, or name of bucket/pool")
    verb.add_argument("enabled", choices=["true", "false"], nargs="?",
                      help="Enable or disable, strictly for notifications.")
    verb = verbs.add_parser("list", help="Fetch notification settings.")
    add_format_type(verb)


def add_documents(modules):
    verb = modules.add_parser(
        "completion", help="Print a completion script for a shell.",
        **raw(epilog='Ex. source <(osmo completion bash)\n'
                     'Ex. osmo completion zsh > "${fpath[1]}/_osmo"\n'
                     'Ex. osmo completion fish > ~/.config/fish/completions/osmo.fish'))
    verb.add_argument("shell", choices=("bash", "zsh", "fish"),
                      help="The shell that the script is for.")
    verb = modules.add_parser("man", help="Print a manual page.",
                              **raw(epilog="Ex. osmo man osmo-token | man -l -"))
    verb.add_argument("page", nargs="?",
                      help="Name of the page: osmo, or osmo-COMMAND (default osmo).")


def add_check(modules):
    verb = modules.add_parser(
        "check", help="Try out a service: make a token, use it, delete it.",
        **raw(epilog="Ex. osmo check http://127.0.0.1:8080 --grpc http://127.0.0.1:50051 "
                     "--token-file admin.token"))
    verb.add_argument("url", help="The url of the service.")
    verb.add_argument("--grpc", metavar="URL",
                      help="Where the service speaks gRPC, as http://HOST:PORT or https://HOST:PORT; "
                           "without it only HTTP is tried.")
    verb.add_argument("--server-name", metavar="NAME",
                      help="The name in the service's certificate, if it is not the host of the urls.")
    verb.add_argument("--token-file", metavar="FILE", type=checked_file,
                      help="File containing the access token of somebody who may make tokens.")


def parser():
    root = argparse.ArgumentParser(
        prog="osmo", description="Access tokens of an OSMO service: log in, make tokens, list and "
                                 "delete them, and see what they may do.")
    root.add_argument("--log-level", type=parse,
                      help="Least level of messages on standard error: DEBUG, INFO, WARNING, ERROR "
                           "or CRITICAL (default INFO).")
    root.add_argument("--cacert", metavar="FILE", type=checked_file,
                      help="File of the certificate authorities that vouch for the service, "
                           "instead of those of the system.")
    modules = root.add_subparsers(dest="module")
    add_login(modules)
    verb = modules.add_parser("version", help="Command to show client version.")
    add_format_type(verb)
    add_token(modules)
    add_profile(modules)
    add_check(modules)
    add_documents(modules)
    return root


def run(arguments, columns=80):
    """(exit code or None, namespace, standard output, standard error) of the parser."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    out, err = io.StringIO(), io.StringIO()
    code = namespace = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            namespace = parser().parse_args(list(arguments))
    except SystemExit as end:
        code = end.code
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return code, namespace, out.getvalue(), err.getvalue()
