# SPDX-License-Identifier: Apache-2.0
"""login.yaml of a user (program.Osmo), as the existing command line writes it and as ours does."""

import stat

import yaml


def path(osmo):
    return osmo.home / ".config/osmo/login.yaml"


def read(osmo):
    return yaml.safe_load(path(osmo).read_text())


def mode(osmo):
    return stat.S_IMODE(path(osmo).stat().st_mode)


def write_text(osmo, text):
    path(osmo).parent.mkdir(parents=True, exist_ok=True)
    path(osmo).write_text(text)


def write_token(osmo, url, id_token, **fields):
    """A login by token in the form of the existing command line, unless `fields` say otherwise."""
    token_login = {"id_token": id_token, "refresh_token": None, "refresh_url": None, "username": None,
                   **fields}
    write_text(osmo, yaml.dump({"dev_login": None, "name": "", "osmo_token": True, "url": url,
                                "token_login": token_login}))


def write_dev(osmo, url, username="devuser"):
    write_text(osmo, yaml.dump({"dev_login": {"username": username}, "name": username,
                                "osmo_token": False, "token_login": None, "url": url}))
