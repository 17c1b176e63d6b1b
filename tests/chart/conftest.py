# SPDX-License-Identifier: Apache-2.0
"""What tests of the chart may ask for. $CHART_TOOLS is the folder that tools.sh filled, $BUILD_DIR the
build whose programs the chart is held to. A tool that is missing fails the tests that need it."""

import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/token-service"
VALUES = sorted((pathlib.Path(__file__).parent / "values").glob("*.yaml"))
TOOLS = pathlib.Path(os.environ.get("CHART_TOOLS", ROOT / "build/chart-tools"))
BIN = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build/release")) / "bin"
KUBERNETES = ["1.28", "1.30", "1.33", "1.37"]
SECRETS = ("--set", "adminToken.existingSecret=tokens", "--set", "encryptionKey.existingSecret=tokens")


def tool(name, *arguments, **keywords):
    """Run a tool; the result has .returncode, .stdout, .stderr."""
    return subprocess.run([TOOLS / "bin" / name, *arguments], capture_output=True, text=True, **keywords)


def template(*arguments, helm="helm", chart=CHART, release="r"):
    return tool(helm, "template", release, chart, *arguments)


def render(*arguments, **keywords):
    """The documents of `helm template`."""
    result = template(*arguments, **keywords)
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def only(documents, kind, name=None):
    found = [each for each in documents if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, f"{kind} {name}: {len(found)} of {len(documents)} objects"
    return found[0]


@pytest.fixture(params=VALUES, ids=lambda path: path.stem)
def values(request):
    return request.param


@pytest.fixture(params=["helm", "helm3"])
def helm(request):
    return request.param
