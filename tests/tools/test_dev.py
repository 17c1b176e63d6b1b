# SPDX-License-Identifier: Apache-2.0
"""./dev tells what it can do, and what was meant."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEV = ROOT / "dev"
COMMANDS = re.findall(r"^cmd_([a-z-]+)\(\)", DEV.read_text(), re.MULTILINE)


def dev(*arguments):
    return subprocess.run([DEV, *arguments], capture_output=True, text=True)


def test_help_lists_all_commands_and_no_other():
    usage = dev("help").stdout
    assert dev().stdout == dev("--help").stdout == dev("-h").stdout == usage
    listed = re.findall(r"^  ([a-z-]+)", usage, re.MULTILINE)
    assert len(COMMANDS) > 10 and sorted(listed) == sorted(COMMANDS)
    assert max(map(len, usage.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    result = dev(command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: ./dev {command}")
    assert len(result.stdout.split("\n\n", 1)[1].split()) > 2
    assert dev("help", command).stdout == result.stdout


@pytest.mark.parametrize("word, meant", [
    ("tests", "test"), ("tset", "test"), ("bild", "build"), ("im", "image"), ("pakage", "package"), ("rum", "run")])
def test_a_slip_is_told_the_nearest_command(word, meant):
    result = dev(word)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"./dev: there is no command '{word}', is '{meant}' meant? ./dev help lists the commands\n"


@pytest.mark.parametrize("word", ["", "frobnicate", "--version", ".*"])
def test_what_is_like_no_command_is_guessed_to_be_none(word):
    result = dev(word)
    assert result.returncode == 2
    assert result.stderr == f"./dev: there is no command '{word}'; ./dev help lists the commands\n"


@pytest.mark.parametrize("arguments, problem", [
    (["build", "x"], "build takes no argument, got 'x'"),
    (["test", "--only"], "--only needs a build: release, asan or tsan"),
    (["test", "--only", "debug"], "--only must be release, asan or tsan, got 'debug'"),
    (["test", "a", "b"], "test takes one filter, got 'a' and 'b'"),
    (["fuzz", "pbjson", "soon"], "the seconds to fuzz must be a number from 1, got 'soon'"),
    (["help", "build", "run"], "help takes one command, got 'build' and 'run'"),
])
def test_a_wrong_argument_is_named_before_anything_is_done(arguments, problem):
    result = dev(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"./dev: {problem}\n")


@pytest.mark.parametrize("words, offered", [
    (["./dev", "bu"], ["build"]),
    (["./dev", "test"], ["test", "test-kubernetes"]),
    (["./dev", "test", "--o"], ["--only"]),
    (["./dev", "test", "--only", ""], ["release", "asan", "tsan"]),
    (["./dev", "help", "pack"], ["package"]),
    (["./dev", "image", "--ag"], ["--again"]),
    (["./dev", "fuzz", "pbj"], ["pbjson"]),
    (["./dev", "build", ""], []),
])
def test_bash_completes(words, offered):
    quoted = " ".join(f"'{word}'" for word in words)
    script = (f"{dev('completion').stdout}\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words) - 1}\n"
              "_token_service_dev\nprintf '%s\\n' \"${COMPREPLY[@]}\"")
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (result.stdout.split(), result.stderr) == (offered, "")
