# SPDX-License-Identifier: Apache-2.0
"""The Debian packages that `./dev package` made, and the installation they are made from."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build/release")).resolve()


@pytest.fixture(scope="session")
def packages():
    """{"token-service": path of the package, ...}"""
    found = {path.name.split("_")[0]: path for path in (ROOT / "build/package").glob("*.deb")}
    assert sorted(found) == ["osmo-cli", "token-gateway", "token-service"], "./dev package makes them"
    return found


@pytest.fixture
def install(tmp_path):
    """install(*options): the folder that `cmake --install` filled, below DESTDIR."""
    import subprocess

    def run(*options):
        destination = tmp_path / "destination"
        subprocess.run(["cmake", "--install", BUILD, *options], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": str(destination)})
        return destination

    return run
