# SPDX-License-Identifier: Apache-2.0
"""What the packages hold, what lintian and systemd say to it, and what `cmake --install` does."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import BUILD

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
UNITS = ("token-service", "token-gateway")
CONTENTS = {
    "token-service": """
        drwx------ /etc/token-service/credentials/
        -rw-r--r-- /etc/token-service/token-service.yaml
        -rwxr-xr-x /usr/bin/token-service
        -rw-r--r-- /usr/share/bash-completion/completions/token-service
        -rw-r--r-- /usr/share/fish/vendor_completions.d/token-service.fish
        -rw-r--r-- /usr/share/zsh/vendor-completions/_token-service
        -rw-r--r-- /usr/lib/systemd/system/token-service.service
        -rw-r--r-- /usr/lib/sysusers.d/token-service.conf
        -rw-r--r-- /usr/lib/tmpfiles.d/token-service.conf
        -rw-r--r-- /usr/share/man/man8/token-service.8.gz""",
    "token-gateway": """
        drwx------ /etc/token-gateway/credentials/
        -rw-r--r-- /etc/token-gateway/token-gateway.yaml
        -rwxr-xr-x /usr/bin/token-gateway
        -rw-r--r-- /usr/share/bash-completion/completions/token-gateway
        -rw-r--r-- /usr/share/fish/vendor_completions.d/token-gateway.fish
        -rw-r--r-- /usr/share/zsh/vendor-completions/_token-gateway
        -rw-r--r-- /usr/lib/systemd/system/token-gateway.service
        -rw-r--r-- /usr/lib/sysusers.d/token-gateway.conf
        -rw-r--r-- /usr/share/man/man8/token-gateway.8.gz""",
    "osmo-cli": """
        -rwxr-xr-x /usr/bin/osmo
        -rw-r--r-- /usr/share/bash-completion/completions/osmo
        -rw-r--r-- /usr/share/fish/vendor_completions.d/osmo.fish
        -rw-r--r-- /usr/share/man/man1/osmo.1.gz
        -rw-r--r-- /usr/share/zsh/vendor-completions/_osmo""",
}


def pages_of_commands(program):
    """osmo-login.1 and so on: each command has a page."""
    usage = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.search(r"{([a-z,-]+)} \.\.\.", usage).group(1).split(",")
    assert {"login", "token"} <= set(commands)
    return {f"-rw-r--r-- /usr/share/man/man1/osmo-{command}.1.gz" for command in commands}


def words(text):
    """The lines of a triple-quoted list."""
    return {line.strip() for line in text.strip().splitlines()}


@pytest.mark.parametrize("package", CONTENTS)
def test_a_package_holds_this_and_nothing_else(packages, install, package):
    listing = subprocess.run(["dpkg-deb", "--contents", packages[package]], capture_output=True, text=True,
                             check=True).stdout
    held = set()
    for line in listing.splitlines():
        mode, owner, _, _, _, path = line.split(maxsplit=5)
        assert owner == "root/root"
        if mode == "drwxr-xr-x":
            continue
        held.add(f"{mode} {path.removeprefix('.')}")
    doc = {f"-rw-r--r-- /usr/share/doc/{package}/{name}" for name in ("NOTICE", "changelog.Debian.gz", "copyright")}
    pages = set()
    if package == "osmo-cli":
        pages = pages_of_commands(install("--prefix", "/usr", "--component", "osmo") / "usr/bin/osmo")
    assert held == words(CONTENTS[package]) | doc | pages | {f"-rw-r--r-- /usr/share/lintian/overrides/{package}"}


@pytest.mark.parametrize("package", UNITS)
def test_the_configuration_is_the_administrators(packages, package):
    conffiles = subprocess.run(["dpkg-deb", "--info", packages[package], "conffiles"], capture_output=True,
                               text=True, check=True).stdout
    assert conffiles.split() == [f"/etc/{package}/{package}.yaml"]


def test_lintian_has_nothing_to_say(packages):
    result = subprocess.run(["lintian", "--fail-on", "error,warning", *packages.values()], capture_output=True,
                            text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_programs_are_stripped_and_tell_nothing_of_where_they_were_built(packages, tmp_path):
    for package, path in packages.items():
        subprocess.run(["dpkg-deb", "--extract", path, tmp_path / package], check=True)
        for program in (tmp_path / package / "usr/bin").iterdir():
            kind = subprocess.run(["file", "--brief", program], capture_output=True, text=True, check=True).stdout
            assert "pie executable" in kind and ", stripped" in kind
            assert str(PACKAGING.parent).encode() not in program.read_bytes()


@pytest.mark.parametrize("program", UNITS)
def test_a_unit_is_hardened_and_valid(install, program):
    destination = install("--prefix", "/usr", "--component", program)
    unit = destination / f"usr/lib/systemd/system/{program}.service"
    text = unit.read_text()
    assert f"ExecStart=/usr/bin/{program} --config /etc/{program}/{program}.yaml\n" in text
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
                            capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout
    # `verify` looks for the program itself
    unit.write_text(text.replace("ExecStart=/usr/", f"ExecStart={destination}/usr/"))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("program", UNITS)
def test_the_configuration_that_is_shipped_is_right(install, program):
    destination = install("--prefix", "/usr", "--component", program)
    run = [destination / "usr/bin" / program, "--check-config", "--config"]
    config = destination / f"etc/{program}/{program}.yaml"
    result = subprocess.run([*run, config], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    # what is commented out names options that are there
    keys = re.findall(r"^#([a-z][a-z-]+):", config.read_text(), re.MULTILINE)
    table = subprocess.run([run[0], "--help-json"], capture_output=True, text=True, check=True).stdout
    assert keys and not [key for key in keys if f'"name":"{key}"' not in table]


@pytest.mark.parametrize("prefix, below, etc", [
    ("/usr", "usr", "etc"), ("/usr/local", "usr/local", "usr/local/etc"), ("/opt/tokens", "opt/tokens", "opt/tokens/etc")])
def test_an_installation_obeys_prefix_and_destdir(install, prefix, below, etc):
    destination = install("--prefix", prefix)
    held = {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}
    assert {f"{below}/bin/{name}" for name in ("osmo", "token-gateway", "token-service")} <= held
    assert {f"{below}/share/zsh/site-functions/_osmo", f"{below}/share/man/man1/osmo.1",
            f"{etc}/token-service/token-service.yaml", f"{below}/lib/systemd/system/token-service.service"} <= held
    assert not [path for path in held if not path.startswith((f"{below}/", f"{etc}/"))]
    unit = (destination / below / "lib/systemd/system/token-service.service").read_text()
    assert f"ExecStart={prefix}/bin/token-service --config /{etc}/token-service/token-service.yaml\n" in unit


def test_an_installation_obeys_the_folders_it_was_configured_with(tmp_path):
    """GNUInstallDirs, in a build tree that is given the programs instead of building them."""
    build, destination = tmp_path / "build", tmp_path / "destination"
    folders = {"BINDIR": "programs", "SYSCONFDIR": "/settings", "DATADIR": "things", "MANDIR": "things/pages",
               "LIBDIR": "lib/x86_64-linux-gnu"}
    subprocess.run(["cmake", "-G", "Ninja", "-S", PACKAGING.parent, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
                    "-DBUILD_TESTING=OFF", f"-DCMAKE_RUNTIME_OUTPUT_DIRECTORY={build}/bin",
                    *(f"-DCMAKE_INSTALL_{name}={folder}" for name, folder in folders.items())],
                   check=True, capture_output=True)
    for folder in ("bin", *(str(path.relative_to(BUILD)) for path in BUILD.glob("*/docs"))):
        shutil.copytree(BUILD / folder, build / folder, dirs_exist_ok=True)
    subprocess.run(["cmake", "--install", build, "--prefix", "/opt/tokens"], check=True, capture_output=True,
                   env={**os.environ, "DESTDIR": str(destination)})
    held = {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}
    assert {"opt/tokens/programs/osmo", "opt/tokens/programs/token-service", "opt/tokens/programs/token-gateway",
            "opt/tokens/things/pages/man1/osmo.1", "opt/tokens/things/pages/man8/token-service.8",
            "opt/tokens/things/bash-completion/completions/osmo", "opt/tokens/things/zsh/site-functions/_osmo",
            "settings/token-service/token-service.yaml", "settings/token-gateway/token-gateway.yaml"} <= held
    elsewhere = [path for path in held if not re.match(
        r"opt/tokens/(programs|things|lib/(systemd/system|sysusers\.d|tmpfiles\.d))/|settings/", path)]
    assert elsewhere == []
    unit = (destination / "opt/tokens/lib/systemd/system/token-service.service").read_text()
    assert "ExecStart=/opt/tokens/programs/token-service --config /settings/token-service/token-service.yaml\n" in unit


def test_an_installation_keeps_the_configuration_that_is_there(install):
    destination = install("--prefix", "/usr")
    config = destination / "etc/token-service/token-service.yaml"
    config.write_text("threads: 3\n")
    install("--prefix", "/usr")
    assert config.read_text() == "threads: 3\n"


COMPOSE = sorted((PACKAGING / "compose").glob("*.yaml"))


def options_of(install):
    program = install("--prefix", "/usr", "--component", "token-service") / "usr/bin/token-service"
    table = subprocess.run([program, "--help-json"], capture_output=True, text=True, check=True).stdout
    return program, {option["env"] for option in json.loads(table)["options"] if "env" in option}


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_the_compose_file_names_options_that_are_there(install, path):
    program, variables = options_of(install)
    service = yaml.safe_load(path.read_text())["services"]["token-service"]
    environment = service["environment"]
    assert environment and set(environment) <= variables
    if path.name == "compose.yaml":
        result = subprocess.run([program, "--check-config"], capture_output=True, text=True, env=environment)
        assert (result.returncode, result.stderr) == (0, "")
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        assert service["image"].endswith(f":-token-service:{version}}}")
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == "65532:65532"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


@pytest.mark.long
@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_the_compose_file_is_one(path):
    files = ["--file", COMPOSE[0], *(["--file", path] if path != COMPOSE[0] else [])]
    subprocess.run(["docker-compose", *files, "config", "--quiet"], check=True, capture_output=True)
