# SPDX-License-Identifier: Apache-2.0
"""What holds for every program that is installed."""

import os
import subprocess

import pytest

from env import program

PROGRAMS = ["token-service", "token-gateway", "osmo"]


def run(name, *arguments):
    return subprocess.run([program.binary(name), *arguments], capture_output=True, text=True,
                          timeout=program.PATIENCE_S, env=program.environment())


@pytest.fixture(params=PROGRAMS)
def name(request):
    return request.param


def test_help_is_on_stdout_and_names_the_program(name):
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith(f"usage: {name}"), done.stdout
    assert done.stderr == ""


def test_an_unknown_option_is_named_and_refused_with_2(name):
    done = run(name, "--no-such-option")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--no-such-option" in done.stderr


def test_no_program_needs_libraries_it_does_not_use(name):
    """Each library costs start-up time; gRPC's own list of 55 is not linked (cmake/Dependencies.cmake)."""
    done = subprocess.run(["objdump", "-p", program.binary(name)], capture_output=True, text=True, check=True)
    needed = [line.split()[1] for line in done.stdout.splitlines() if "NEEDED" in line]
    assert not [library for library in needed if library.startswith(("libabsl", "libupb", "libcares"))]


@pytest.mark.parametrize("options, verbs", [
    ([], [("login", "token"), ("token", "my-token")]),
    (["--dev-login"], [("login", "token"), ("token", "my-token"), ("login", "dev")])])
def test_what_run_says_to_type_next_works_when_typed(tmp_path, options, verbs):
    """On a terminal the service names the commands for a first token; they are taken literally here."""
    reader, terminal = os.openpty()
    process = subprocess.Popen(
        [program.binary("token-service"), "--data-dir", tmp_path / "data", "--grpc-listen", "127.0.0.1:0",
         "--http-listen", "127.0.0.1:0", *options], stdin=subprocess.DEVNULL, stdout=terminal,
        stderr=subprocess.DEVNULL, env=program.environment())
    os.close(terminal)
    try:
        text = ""
        while text.count("osmo ") < len(verbs) or not text.endswith("\n"):
            text += os.read(reader, 4096).decode()
        commands = [line.split() for line in text.splitlines() if "osmo " in line]
        assert [(c[1], c[4] if c[1] == "login" else c[3]) for c in commands] == verbs
        outputs = ""
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=program.PATIENCE_S,
                                  env=program.environment(HOME=tmp_path, XDG_CONFIG_HOME=tmp_path))
            assert done.returncode == 0, done.stderr
            outputs += done.stdout
        assert "Access token: osmo_" in outputs and outputs.endswith("Welcome alice.\n" if options else "\n")
    finally:
        process.terminate()
        assert process.wait(program.PATIENCE_S) == 0
        os.close(reader)
