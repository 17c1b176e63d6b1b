# SPDX-License-Identifier: Apache-2.0
"""Options of the real program: where they come from, and what a wrong one gets."""

import json
import os
import re
import signal
import subprocess

import pytest

from env import program, shells


def run(*arguments, env=None, cwd=None):
    return subprocess.run([program.binary("token-service"), *map(str, arguments)], text=True,
                          capture_output=True, timeout=program.PATIENCE_S, cwd=cwd,
                          stdin=subprocess.DEVNULL, env=program.environment(**(env or {})))


def refused(result):
    """The one line that a wrong option gets, without the program's name."""
    assert result.returncode == 2, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("token-service: ")
    return lines[0].removeprefix("token-service: ")


@pytest.fixture(scope="module")
def table():
    return json.loads(run("--help-json").stdout)


@pytest.mark.parametrize("arguments, named", [
    (["--threads", "many"], ["--threads", "'many'", "from the command line", "whole number from 0"]),
    (["--threads=257"], ["--threads", "'257'", "256"]),
    (["--grpc-listen", "nowhere"], ["--grpc-listen", "'nowhere'", "HOST:PORT"]),
    (["--http-listen", "127.0.0.1:65536"], ["--http-listen", "65536"]),
    (["--cache-ttl", "30"], ["--cache-ttl", "'30'", "30s"]),
    (["--cache-max-bytes", "1XB"], ["--cache-max-bytes", "'1XB'", "1MiB"]),
    (["--log-level", "loud"], ["--log-level", "'loud'", "debug, info, warning or error"]),
    (["--trusted-proxy", "10.0.0.0/33"], ["--trusted-proxy", "10.0.0.0/33"]),
    (["--dev-login=perhaps"], ["--dev-login", "'perhaps'", "true or false"]),
    (["--grpc-listen"], ["--grpc-listen ADDR"]),
    (["--grpc-listne", "x"], ["--grpc-listne", "did you mean '--grpc-listen'?"]),
    (["admin-tokne"], ["admin-tokne", "did you mean 'admin-token'?"]),
    (["admin-token", "--threads", "1"], ["--threads", "admin-token"]),
    (["stray"], ["'stray'"]),
    (["--dev-login", "--http-listen", "0.0.0.0:0"], ["--http-listen", "'0.0.0.0:0'", "--dev-login"]),
    (["--grpc-listen", "0.0.0.0:0"], ["--grpc-listen", "'0.0.0.0:0'", "--insecure-plaintext"]),
    (["--tls-cert-file", "c.pem"], ["--tls-cert-file", "'c.pem'", "--tls-key-file"]),
    (["--postgres-pooler", "transaction"], ["--postgres-pooler", "'transaction'", "--store=postgres"]),
    (["--postgres-connections", "9"], ["--postgres-connections", "'9'", "--store=postgres"]),
    (["--postgres-password-file", "f"], ["--postgres-password-file", "'f'", "--store=postgres"]),
    (["--config", "missing.yaml"], ["--config", "'missing.yaml'", "No such file"]),
    (["--log-level", "a\nb\x1b[31m"], ["--log-level", r"'a\x0ab\x1b[31m'"]),
    (["--admin-token-file", "a\nb\x1b[31m"], ["--admin-token-file", r"'a\x0ab\x1b[31m'", "No such file"]),
    (["--admin-token-file", "d/" * 3000], ["--admin-token-file", "File name too long"]),
])
def test_wrong_option_is_one_line_and_opens_nothing(tmp_path, arguments, named):
    line = refused(run(*arguments, cwd=tmp_path, env={"TOKEN_SERVICE_DATA_DIR": "data"}))
    for part in named:
        assert part in line
    assert list(tmp_path.iterdir()) == []


def test_wrong_variable_is_named(tmp_path):
    line = refused(run("--data-dir", tmp_path / "data", env={"TOKEN_SERVICE_THREADS": "x"}))
    assert "--threads" in line and "'x'" in line and "from TOKEN_SERVICE_THREADS" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("text, named", [
    ("threads: x\n", ["--threads", "'x'", "f.yaml:1"]),
    ("# c\nthreads: [1]\n", ["--threads", "a list", "f.yaml:2"]),
    ("grpcListen: a:1\n", ["'grpcListen'", "f.yaml:1", "did you mean 'grpc-listen'?"]),
    ("threads: 1\nthreads: 2\n", ["f.yaml:2", "'threads'", "line 1"]),
    ("pools: &a [x]\nbuckets: *a\n", ["f.yaml:1", "anchors"]),
    ("a: {b: [c\n", ["f.yaml:2"]),
    ("- threads\n", ["f.yaml:1", "mapping"]),
    ("threads: 1\n---\nthreads: 2\n", ["f.yaml:2", "second document"]),
    ("pools: [a, [b]]\n", ["--pools", "list of texts", "f.yaml:1"]),
    pytest.param("#" * (1 << 20) + "\n", ["f.yaml", "1048576"], id="more than a mebibyte"),
])
def test_wrong_file_is_named_with_its_line(tmp_path, text, named):
    (tmp_path / "f.yaml").write_text(text)
    line = refused(run("--config", "f.yaml", "--data-dir", "data", cwd=tmp_path))
    for part in named:
        assert part in line
    assert not (tmp_path / "data").exists()


def test_check_config_says_so_and_opens_nothing(tmp_path):
    (tmp_path / "f.yaml").write_text("threads: 2\npools: [a, b]\nlog-level: debug\n")
    good = run("--config", "f.yaml", "--check-config", "--data-dir", "data", cwd=tmp_path)
    assert good.returncode == 0, good
    assert [path.name for path in tmp_path.iterdir()] == ["f.yaml"]
    assert "--threads" in refused(run("--check-config", "--threads=x"))


def started_threads(folder, *arguments, env=None):
    """With how many loops a service starts that is told so in these places."""
    service = program.Program(
        folder, "token-service", "--data-dir", folder / "data", "--grpc-listen=127.0.0.1:0",
        "--http-listen=127.0.0.1:0", "--ready-file", folder / "token-service.ready", *arguments, env=env)
    try:
        service.wait_ready()
        return int(re.search(r'"event":"service.ready".*"threads":(\d+)', service.log).group(1))
    finally:
        service.stop()


def test_command_line_beats_environment_beats_file(tmp_path):
    config = tmp_path / "f.yaml"
    config.write_text("threads: 3\nlog-level: warning\n")
    quiet = config.with_name("g.yaml")
    quiet.write_text("threads: 3\n")
    env = {"TOKEN_SERVICE_THREADS": "2"}
    assert started_threads(tmp_path / "a", "--config", quiet) == 3
    assert started_threads(tmp_path / "b", "--config", quiet, env=env) == 2
    assert started_threads(tmp_path / "c", "--config", quiet, "--threads=1", env=env) == 1
    assert started_threads(tmp_path / "d", "--log-level=info",
                           env={"TOKEN_SERVICE_CONFIG": config}) == 3


@pytest.mark.parametrize("name", ["token-service", "token-gateway"])
def test_no_variable_is_one_that_kubernetes_sets(name):
    """For a Service named as the program is, every pod of the namespace gets NAME_PORT and so on."""
    result = subprocess.run([program.binary(name), "--help-json"], capture_output=True, check=True)
    table = json.loads(result.stdout)
    prefix = name.upper().replace("-", "_")
    names = [option["env"] for option in table["options"] if "env" in option]
    assert names and len(set(names)) == len(names)
    assert not [n for n in names if re.fullmatch(rf"{prefix}_(PORT(_.*)?|SERVICE_(HOST|PORT.*))", n)]


@pytest.mark.parametrize("name", ["token-service", "token-gateway"])
def test_the_manual_page_has_every_option(name):
    def printed(what):
        return subprocess.run([program.binary(name), what], capture_output=True, text=True, check=True).stdout

    page = printed("--help-man")
    result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True,
                            check=True)
    assert result.stderr == ""
    for option in json.loads(printed("--help-json"))["options"]:
        if option["hidden"] or option["type"] == "section":
            continue
        start = r"\\-\\-(\[no\\-\])?" + re.escape(option["name"].replace("-", r"\-"))
        assert re.search(rf"^\.B {start}\b", page, re.MULTILINE), option["name"]
        assert f"${option['env']}" in page, option["name"]


@pytest.mark.parametrize("shell", shells.SHELLS)
@pytest.mark.parametrize("keys, called", [
    ("token-service rot\t--encr\tk\t", ["rotate-keys", "--encryption-key-file", "key file"]),
    ("token-service back\tk\t", ["backup", "key file"]),
    ("token-service --store po\t--postgres-pooler=tr\t", ["--store", "postgres", "--postgres-pooler", "transaction"]),
    ("token-service check --data-d\tf\t", ["check", "--data-dir", "folder"]),
    ("token-service --completion z\t", ["--completion", "zsh"]),
])
def test_what_a_real_shell_makes_of_typing(tmp_path, shell, keys, called):
    (tmp_path / "key file").touch()
    (tmp_path / "folder").mkdir()
    with shells.Shell(shell, "token-service", run("--completion", shell).stdout, tmp_path) as typing:
        assert typing.typed(keys) == called


@pytest.mark.parametrize("name", ["token-service", "token-gateway"])
def test_fish_offers_the_options_and_their_values(tmp_path, name):
    script = program.run(name, "--completion", "fish").stdout
    (tmp_path / "settings.yaml").touch()
    flags = {"--" + option["name"] for option in json.loads(program.run(name, "--help-json").stdout)["options"]
             if option["type"] not in ("section", "secret") and not option["hidden"] and not option.get("command_only")}
    assert flags <= set(shells.fish_offers(script, tmp_path, f"{name} --"))
    assert shells.fish_offers(script, tmp_path, f"{name} --log-format ") == ["auto", "json", "logfmt"]
    assert "settings.yaml" in shells.fish_offers(script, tmp_path, f"{name} --config s")


@pytest.mark.parametrize("arguments, said", [
    (["--completion", "tcsh"], "--completion must be bash, zsh or fish, got 'tcsh' from the command line"),
    (["--completion"], "--completion needs a value: --completion SHELL"),
    (["--completio"], "unknown option '--completio'; did you mean '--completion'?"),
    (["--version=1"], "--version takes no value"),
])
def test_what_is_no_shell_is_named(arguments, said):
    assert refused(run(*arguments)) == said


def test_variables_of_kubernetes_are_no_options():
    env = {"TOKEN_SERVICE_PORT": "tcp://10.0.0.1:50051", "TOKEN_SERVICE_SERVICE_HOST": "10.0.0.1",
           "TOKEN_SERVICE_SERVICE_PORT": "50051", "TOKEN_SERVICE_PORT_50051_TCP_ADDR": "10.0.0.1"}
    assert run("--check-config", env=env).returncode == 0


def test_help_names_every_option_and_fits_the_width(table):
    for columns in 60, 80, 120:
        text = run("--help", env={"COLUMNS": columns}).stdout
        for option in table["options"]:
            if not option["hidden"] and not option["command_only"]:
                if option["type"] == "section":
                    assert re.search(rf"^ +{option['name']}\b", text, re.M), option
                    continue
                assert re.search(rf"--(\[no-\])?{option['name']}\b", text), option
                assert option["env"] in text
        # a word alone may be longer than what is left of a line
        too_long = [line for line in text.splitlines() if len(line) > columns and " " in line.strip()]
        assert too_long == []


def test_help_and_version_win_over_errors():
    helped = run("--no-such-option", "--help")
    assert helped.returncode == 0 and helped.stdout.startswith("Usage: token-service")
    version = run("--version")
    assert version.returncode == 0 and re.fullmatch(r"token-service \d+\.\d+\.\d+\n", version.stdout)
    command = run("admin-token", "--help")
    assert command.returncode == 0 and command.stdout.startswith("Usage: token-service admin-token")


def test_every_default_is_accepted_where_an_operator_writes_it(table):
    """What the table says about itself is true of the program."""
    arguments = [f"--{option['name']}={option['default']}" for option in table["options"]
                 if "default" in option and not option["command_only"]]
    assert run("--check-config", *arguments).returncode == 0


def test_sighup_reloads_what_it_may_and_names_the_rest(tmp_path, start_service):
    config = tmp_path / "f.yaml"
    config.write_text("log-level: info\nmax-streams: 100\n")
    service = start_service("--config", config)

    config.write_text("log-level: debug\nmax-streams: 200\n")
    service.signal(signal.SIGHUP)
    program.wait_until(lambda: '"reload.done"' in service.log, "the reload")
    events = [json.loads(line) for line in service.log.splitlines()]
    changed = {e["option"]: (e["event"], e["from"], e["to"]) for e in events if "option" in e}
    assert changed == {"log-level": ("option.changed", "info", "debug"),
                       "max-streams": ("option.needs_restart", "100", "200")}

    config.write_text("log-level: loud\n")
    service.signal(signal.SIGHUP)
    program.wait_until(lambda: '"reload.options"' in service.log, "the refusal")
    assert "got 'loud' from" in service.log
    assert service.process.poll() is None


def test_a_variable_that_is_no_option_is_a_warning(tmp_path):
    stray = {"TOKEN_SERVICE_THREAD": "3", "TOKEN_SERVICE_ROLES": "[]", "TOKEN_SERVICE_QUITE_ELSE": "1",
             "TOKEN_SERVICE_LOG_FORMAT": "json", "TOKEN_GATEWAY_THREAD": "3",
             "TOKEN_SERVICE_SERVICE_HOST": "10.96.0.1", "TOKEN_SERVICE_SERVICE_PORT": "50051",
             "TOKEN_SERVICE_SERVICE_PORT_GRPC": "50051", "TOKEN_SERVICE_PORT": "tcp://10.96.0.1:50051",
             "TOKEN_SERVICE_PORT_50051_TCP_PROTO": "tcp", "TOKEN_SERVICE_GATEWAY_SERVICE_HOST": "10.96.0.2"}
    result = run("--check-config", "--data-dir", tmp_path, env=stray)
    assert (result.returncode, result.stdout) == (0, "the configuration is valid\n")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {(e["event"], e["variable"], e.get("nearest")) for e in lines} == {
        ("option.unknown", "TOKEN_SERVICE_THREAD", "threads"),
        ("option.unknown", "TOKEN_SERVICE_QUITE_ELSE", "none"),
        ("option.ignored", "TOKEN_SERVICE_ROLES", None)}


def test_such_warnings_are_in_the_log_of_both_programs(start_service, start_gateway):
    service = start_service(env={"TOKEN_SERVICE_THREAD": "3"})
    gateway = start_gateway(service.grpc, env={"TOKEN_GATEWAY_HTTP_LISTN": "x"})
    for each, nearest in (service, "threads"), (gateway, "http-listen"):
        [warning] = [e for e in map(json.loads, each.log.splitlines()) if e["event"] == "option.unknown"]
        assert (warning["level"], warning["nearest"]) == ("warning", nearest)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may see the open files of a process that gives no core dump")
def test_closed_standard_files_are_not_opened_as_others(start_service):
    service = start_service(under=["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'])
    # gRPC opens an eventfd before main, as 0 here; where 2 alone is closed, it is 2: harmless, and not ours to mend
    assert [os.readlink(f"/proc/{service.pid}/fd/{fd}") for fd in (1, 2)] == ["/dev/null"] * 2


def test_core_dumps_are_off(service, start_gateway):
    for each in (service, start_gateway(service.grpc)):
        with open(f"/proc/{each.pid}/limits") as limits:
            assert re.search(r"^Max core file size +0 +0 ", limits.read(), re.MULTILINE)
