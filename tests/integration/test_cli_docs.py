# SPDX-License-Identifier: Apache-2.0
"""osmo completion and osmo man: scripts that the shells run, pages that man formats."""

import re
import subprocess

import pytest

from env import shells

PAGES = ("osmo", "osmo-login", "osmo-logout", "osmo-version", "osmo-token", "osmo-profile", "osmo-check",
         "osmo-completion", "osmo-man")


def bash_completes(osmo, *words):
    """What bash offers for the last of `words`."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = (f"{osmo('completion', 'bash').stdout}\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words) - 1}\n"
              "compopt() { :; }\n_osmo\nprintf '%s\\n' \"${COMPREPLY[@]}\"")
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.parametrize("words, offered", [
    (["osmo", ""], ["login", "logout", "version", "token", "profile", "check", "completion", "man", "--log-level",
                    "--cacert", "-h", "--help"]),
    (["osmo", "to"], ["token"]),
    (["osmo", "--log-level", "DEBUG", "token", ""], ["set", "delete", "list", "update", "rotate", "delete-all", "-h", "--help"]),
    (["osmo", "token", "list", "-"], ["--service", "-s", "--format-type", "-t", "-h", "--help"]),
    (["osmo", "token", "set", "--e"], ["--expires-at"]),
    (["osmo", "token", "set", "-t", ""], ["json", "text"]),
    (["osmo", "token", "set", "--description", ""], []),
    (["osmo", "token", "set", "--format-type", "="], ["json", "text"]),
    (["osmo", "token", "set", "--format-type", "=", "j"], ["json"]),
    (["osmo", "token", "set", "--format-type", "=", "json", "--d"], ["--description"]),
    (["osmo", "login", "--method", ""], ["token", "dev"]),
    (["osmo", "profile", "set", "p"], ["pool"]),
    (["osmo", "completion", ""], ["bash", "zsh", "fish", "-h", "--help"]),
])
def test_bash_offers_what_fits(osmo, words, offered):
    assert bash_completes(osmo, *words) == offered


def test_bash_offers_files_where_a_file_is_wanted(osmo, tmp_path):
    (tmp_path / "my-token").touch()
    assert bash_completes(osmo, "osmo", "login", "--token-file", f"{tmp_path}/my") == [f"{tmp_path}/my-token"]


def test_bash_script_is_clean(osmo, tmp_path):
    (tmp_path / "osmo.bash").write_text(osmo("completion", "bash").stdout)
    subprocess.run(["bash", "-n", tmp_path / "osmo.bash"], check=True)


@pytest.fixture(params=shells.SHELLS)
def shell(request, osmo, tmp_path):
    (tmp_path / "a file.token").touch()
    with shells.Shell(request.param, "osmo", osmo("completion", request.param).stdout, tmp_path) as result:
        yield result.typed


@pytest.mark.parametrize("keys, called", [
    ("osmo tok\tse\t--exp\tx", ["token", "set", "--expires-at", "x"]),
    ("osmo --log-l\tDEBUG prof\tl\t-t j\t", ["--log-level", "DEBUG", "profile", "list", "-t", "json"]),
    ("osmo login --token-f\ta\\ f\t", ["login", "--token-file", "a file.token"]),
    ("osmo login --meth\td\t", ["login", "--method", "dev"]),
    ("osmo profile set not\temail f\t", ["profile", "set", "notifications", "email", "false"]),
    ("osmo token list --format-type=j\t", ["token", "list", "--format-type", "json"]),
    ("osmo completion z\t", ["completion", "zsh"]),
])
def test_what_a_real_shell_makes_of_typing(shell, keys, called):
    assert shell(keys) == called


@pytest.mark.parametrize("shell, arguments", [("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_other_scripts_are_understood_by_their_shell(osmo, tmp_path, shell, arguments):
    script = osmo("completion", shell).stdout
    for word in ("token", "set", "expires-at", "roles", "json text", "Create a service token."):
        assert word in script
    (tmp_path / "osmo").write_text(script)
    subprocess.run([shell, *arguments, tmp_path / "osmo"], check=True)


def test_fish_offers_what_fits(osmo, tmp_path):
    script = osmo("completion", "fish").stdout

    def offers(line):
        return shells.fish_offers(script, tmp_path, line)

    assert sorted(offers("osmo token ")) == ["delete", "delete-all", "list", "rotate", "set", "update"]
    assert sorted(offers("osmo token set --")) == ["--description", "--expires-at", "--format-type", "--help",
                                                   "--roles", "--service"]
    assert sorted(offers("osmo token set --format-type ")) == ["json", "text"]
    assert sorted(offers("osmo login --method ")) == ["dev", "token"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_a_manual_page(osmo, page):
    text = osmo("man", page).stdout
    assert re.match(rf'\.TH {page.upper()} 1 "" "osmo" "User Commands"\n\.SH NAME\n', text)
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "ENVIRONMENT", "EXIT STATUS", "SEE ALSO"):
        assert f"\n.SH {section}\n" in text
    result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=text, capture_output=True, text=True,
                            check=True)
    assert result.stderr == ""


def test_the_page_of_token_has_every_option(osmo):
    text = osmo("man", "osmo-token").stdout.replace("\\-", "-")
    for words in ("osmo token set", "osmo token delete", "osmo token list", "--expires-at EXPIRES_AT, -e EXPIRES_AT",
                  "--roles ROLES [ROLES ...], -r ROLES [ROLES ...]", "Ex. osmo token delete my-token"):
        assert words in text


def test_man_without_a_name_is_the_whole_program(osmo):
    assert osmo("man").stdout == osmo("man", "osmo").stdout


def test_an_unknown_page_is_named(osmo):
    result = osmo("man", "osmo-frob")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(
        f"osmo man: error: argument page: there is no page 'osmo-frob' (choose from {', '.join(PAGES)})\n")
