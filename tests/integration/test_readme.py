# SPDX-License-Identifier: Apache-2.0
"""The tour of README.md, typed as it stands: each command, and what it prints."""

import json
import os
import re
import shutil
import subprocess

import pytest

from env import program

DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+Z|\+0000))?")
SECRET = re.compile(r"osmo_(\w{49}|\w+\.\.\.)")


def tour():
    """[(command, what it prints), ...] of the tour's blocks, up to the next chapter."""
    chapter = (program.ROOT / "README.md").read_text().split("## A tour of five minutes")[1].split("\n## ")[0]
    steps = []
    for block in re.findall(r"^```\n(\$ .*?)^```$", chapter, re.MULTILINE | re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = re.match(r"((?:.*\\\n)*.*\n)()((?:.*\n)*)", step).groups()
            steps.append((command.strip(), output))
    return steps


def told(text):
    """Without what differs from day to day."""
    return SECRET.sub("SECRET", DATE.sub("DATE", text))


@pytest.fixture
def say(start_service, tmp_path):
    """say(command): what the tour's user sees; the addresses and folders are this test's."""
    service = start_service("--reflection")
    (tmp_path / "home").mkdir()
    (tmp_path / "build/release").mkdir(parents=True)
    (tmp_path / "build/run").mkdir()
    (tmp_path / "build/run/data").symlink_to(service.data_dir)
    (tmp_path / "build/release/bin").symlink_to(program.BUILD / "bin")
    here = {"127.0.0.1:8080": service.http, "127.0.0.1:50051": service.grpc}
    path = f"{tmp_path}/build/release/bin:{os.environ['PATH']}"

    def run(command):
        for written, real in here.items():
            command = command.replace(written, real)
        result = subprocess.run(["bash", "-c", command], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=program.PATIENCE_S,
                                env=program.environment(HOME=tmp_path / "home", PATH=path, LC_ALL="C.UTF-8",
                                                        XDG_CONFIG_HOME=tmp_path / "home/.config"))
        for written, real in here.items():
            result.stdout = result.stdout.replace(real, written)
        return result.stdout

    return run


def test_the_tour_prints_what_the_readme_shows(say):
    steps = tour()
    assert len(steps) >= 9
    for command, shown in steps:
        if command.startswith("curl "):
            command = command.replace("curl ", "curl --silent --show-error ", 1)
        if command.startswith("grpcurl ") and not shutil.which("grpcurl"):
            continue  # in no Debian package; test_grpc_transport insists on it in the long round
        printed = say(command)
        if shown.startswith("{"):
            assert json.loads(told(printed)) == json.loads(told(shown)), command
        else:
            assert told(printed) == told(shown), command
