# SPDX-License-Identifier: Apache-2.0
"""What holds for every program that is installed."""

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
