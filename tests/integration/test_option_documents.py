# SPDX-License-Identifier: Apache-2.0
"""The documents name the options that the programs have, all of them and no others."""

import shutil
import subprocess
import sys

import pytest

from env import program

CHECK = program.ROOT / "tools/check_options.py"


def check(root):
    return subprocess.run([sys.executable, CHECK, "--root", root, program.BUILD / "bin"], capture_output=True, text=True,
                          timeout=10 * program.PATIENCE_S, env=program.environment())


def test_documents_and_programs_agree():
    result = check(program.ROOT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("documents")
    for name in ("README.md", "HACKING.md", "CHANGELOG.md"):
        shutil.copy(program.ROOT / name, root)
    for name in ("docs", "packaging", "cli", "tests/bench"):
        shutil.copytree(program.ROOT / name, root / name)
    chart = root / "helm/token-service/templates"
    chart.mkdir(parents=True)
    shutil.copy(program.ROOT / "helm/token-service/README.md", chart.parent)
    shutil.copy(program.ROOT / "helm/token-service/templates/NOTES.txt", chart)
    assert check(root).returncode == 0
    return root


@pytest.mark.parametrize("file, old, new, told", [
    ("README.md", "--check-store", "--check-stores", "no program has --check-stores"),
    ("docs/POSTGRESQL.md", "--cache-ttl", "--cache-tll", "no program has --cache-tll"),
    ("packaging/compose/compose.yaml", "TOKEN_SERVICE_GRPC_LISTEN", "TOKEN_SERVICE_GRPC_LISTENS",
     "no option is $TOKEN_SERVICE_GRPC_LISTENS"),
    ("packaging/config/token-service.yaml", "#access-log:", "#access-logs:", "token-service has no option access-logs"),
    ("packaging/config/token-gateway.yaml", "service: ", "services: ", "token-gateway has no option services"),
    ("docs/OPTIONS.md", "| `--cache-ttl` |", "| `--cache-tll` |", "-| `--cache-tll` |"),
    ("cli/session.c", '"OSMO_TIMEOUT"', '"OSMO_TIMEOUTS"', "session.c: $OSMO_TIMEOUTS is not in the manual page"),
    ("cli/session.c", '"OSMO_TIMEOUT"', '"OSMO_TIMEOUTS"', "nothing reads $OSMO_TIMEOUT"),
])
def test_a_document_that_is_wrong_is_found(copy, file, old, new, told):
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        result = check(copy)
    finally:
        path.write_text(text, encoding="utf-8")
    assert result.returncode == 1 and told in result.stdout, result.stdout
