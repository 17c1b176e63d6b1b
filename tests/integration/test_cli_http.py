# SPDX-License-Identifier: Apache-2.0
"""How osmo gets to the service: repeats, time-outs, redirects, TLS, proxies; and what it costs."""

import email.utils
import resource
import shlex
import shutil
import socket
import subprocess
import threading
import time

import pytest

from env import fake_osmo, login_yaml, program

USER = "/api/auth/access_token/user"
EXCHANGE = "/api/auth/jwt/access_token"
TOKEN = fake_osmo.ACCESS_TOKEN


def unused_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(file, key file) of a self-signed certificate of 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True)
    return files


@pytest.fixture
def tls_fake(certificate):
    result = fake_osmo.FakeOsmo(certificate=certificate)
    yield result
    result.stop()


@pytest.fixture
def other_fake():
    """A second server; 127.0.0.1 with another port is another host for credentials."""
    result = fake_osmo.FakeOsmo()
    yield result
    result.stop()


# ---- no connection, no answer ----

def test_a_service_that_is_away(osmo):
    port = unused_port()
    login_yaml.write_dev(osmo, f"http://127.0.0.1:{port}")
    result = osmo("token", "list")
    assert (result.returncode, result.stdout) == (10, "")
    assert result.stderr.startswith("Error message: \nCannot connect to OSMO service, with error:\n"
                                    f"Failed to connect to 127.0.0.1 port {port}")
    assert result.stderr.endswith("\n\nError code: 1\n")


def test_a_name_that_nobody_has(osmo):
    login_yaml.write_dev(osmo, "http://no-such-host.invalid")
    result = osmo("token", "list")
    assert result.returncode == 10 and "Could not resolve host: no-such-host.invalid" in result.stderr


def test_a_service_that_starts_late_is_waited_for(osmo):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    login_yaml.write_dev(osmo, f"http://127.0.0.1:{port}")

    def serve():
        time.sleep(0.15)
        listener.listen()
        connection, _ = listener.accept()
        connection.recv(10000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert osmo("token", "list").stdout == "No tokens found\n"
    thread.join()
    listener.close()


def test_a_service_that_says_nothing(logged_in, fake):
    fake.on("GET", USER, 200, [], delay_s=30)
    start = time.monotonic()
    result = logged_in("token", "list", env={"OSMO_TIMEOUT": "1"})
    assert time.monotonic() - start < 15
    assert result.returncode == 10
    assert "Cannot connect to OSMO service, with error:\nOperation too slow" in result.stderr
    assert len(fake.requests) == 1, "a time-out is not repeated"


def test_a_host_name_may_be_of_any_script(osmo):
    assert "Could not resolve host: xn--bcher-kva.invalid" in osmo(
        "login", "http://bücher.invalid", "--method", "dev", "--username", "a").stderr


def test_without_standard_streams_nothing_is_written_into_the_connection(osmo):
    """What takes their place, if nothing else does, is the next file or connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        login_yaml.write_dev(osmo, f"http://127.0.0.1:{server.getsockname()[1]}")
        osmo_command = shlex.join([program.binary("osmo"), "token", "list"])
        process = subprocess.Popen(["sh", "-c", f"exec {osmo_command} <&- >&- 2>&-"],
                                   env=program.environment(HOME=osmo.home, XDG_CONFIG_HOME=osmo.home / ".config"))
        connection, _ = server.accept()
        with connection:
            connection.settimeout(program.PATIENCE_S)
            while not (seen := connection.recv(65536)).endswith(b"\r\n\r\n"):
                assert seen
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            assert connection.recv(65536) == b""
        assert process.wait(program.PATIENCE_S) == 2


@pytest.mark.parametrize("value", ["abc", "0", "86401", "-1", "1.5", " 5", "5s"])
def test_a_wrong_time_out_is_named(logged_in, fake, value):
    result = logged_in("token", "list", env={"OSMO_TIMEOUT": value})
    message = f"OSMO_TIMEOUT must be a number of seconds from 1 to 86400, got '{value}'"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"Error message: {message}\nError code: 1\n")
    assert not fake.requests
    assert logged_in("token", "list", env={"OSMO_TIMEOUT": ""}).returncode == 0


@pytest.mark.parametrize("arguments, method, path, tries", [
    (["list"], "GET", USER, 6), (["delete", "x"], "DELETE", f"{USER}/x", 6), (["set", "x"], "POST", f"{USER}/x", 1)])
def test_lost_answers_are_asked_for_again_where_that_is_safe(logged_in, fake, arguments, method, path, tries):
    fake.on(method, path, drop=True)
    result = logged_in("token", *arguments)
    assert (result.returncode, len(fake.requests)) == (10, tries)
    assert "Cannot connect to OSMO service" in result.stderr


def test_a_second_try_that_works_is_all_that_the_user_sees(logged_in, fake):
    fake.on("GET", USER, drop=True)
    fake.on("GET", USER, 503, text="", headers={"Retry-After": "0"})
    fake.on("GET", USER, 200, [])
    result = logged_in("token", "list")
    assert (result.returncode, result.stdout, result.stderr) == (0, "No tokens found\n", "")


@pytest.mark.parametrize("status", [413, 429, 503])
def test_retry_after_is_heeded(logged_in, fake, status):
    fake.on("GET", USER, status, text="", headers={"Retry-After": "1"})
    fake.on("GET", USER, 200, [])
    start = time.monotonic()
    assert logged_in("token", "list").returncode == 0
    assert time.monotonic() - start >= 1


def test_retry_after_may_be_a_date(logged_in, fake):
    fake.on("GET", USER, 503, text="", headers={"Retry-After": email.utils.formatdate(time.time() - 5, usegmt=True)})
    fake.on("GET", USER, 200, [])
    assert logged_in("token", "list").returncode == 0


@pytest.mark.parametrize("arguments, method, path, headers, tries, code", [
    (["list"], "GET", USER, {"Retry-After": "0"}, 6, 75), (["list"], "GET", USER, {}, 1, 75),
    (["list"], "GET", USER, {"Retry-After": "86400"}, 1, 75), (["list"], "GET", USER, {"Retry-After": "soon"}, 1, 75),
    (["set", "x"], "POST", f"{USER}/x", {"Retry-After": "0"}, 1, 75)])
def test_a_rate_limit_ends_with_75(logged_in, fake, arguments, method, path, headers, tries, code):
    fake.on(method, path, 429, text="slow down", headers=headers)
    result = logged_in("token", *arguments)
    assert (result.returncode, len(fake.requests)) == (code, tries)
    assert result.stderr.endswith("Error message: slow down\nError code: 429\n")


# ---- redirects ----

@pytest.mark.parametrize("status, method", [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_redirects_on_the_same_host_keep_the_login(logged_in, fake, status, method):
    fake.on("POST", f"{USER}/x", status, None, headers={"Location": "/moved?a=b"})
    fake.on(method, "/moved", 200, "secret")
    assert "Access token: secret" in logged_in("token", "set", "x").stdout
    assert fake.lines[1] == f"{method} /moved?a=b"
    assert fake.requests[1].headers["x-osmo-auth"] == fake.requests[0].headers["x-osmo-auth"]


def test_a_delete_stays_one(logged_in, fake):
    fake.on("DELETE", f"{USER}/x", 307, None, headers={"Location": f"{fake.url}/moved"})
    fake.on("DELETE", "/moved", 200, None)
    assert logged_in("token", "delete", "x").returncode == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_to_another_host(logged_in, fake, other_fake, status):
    fake.on("GET", USER, status, None, headers={"Location": f"{other_fake.url}{USER}"})
    assert logged_in("token", "list").returncode == 0
    [request] = other_fake.requests
    assert request.headers["x-osmo-auth"] is request.headers["x-osmo-user"] is None
    login_yaml.write_dev(logged_in, fake.url)
    logged_in("token", "list")
    assert other_fake.requests[1].headers["x-osmo-user"] is None


def test_a_detour_over_another_host_does_not_bring_them_back(logged_in, fake, other_fake):
    fake.on("GET", USER, 302, None, headers={"Location": f"{other_fake.url}/detour"})
    other_fake.on("GET", "/detour", 302, None, headers={"Location": f"{fake.url}/end"})
    fake.on("GET", "/end", 200, [])
    assert logged_in("token", "list").returncode == 0
    assert fake.requests[1].headers["x-osmo-auth"] is None


@pytest.mark.parametrize("status", [307, 308])
def test_the_access_token_does_not_follow_to_another_host(osmo, fake, other_fake, status):
    fake.on("POST", EXCHANGE, status, None, headers={"Location": f"{other_fake.url}{EXCHANGE}?x=1"})
    result = osmo("login", fake.url, "--token", TOKEN)
    assert result.returncode == 10
    assert result.stderr == (f"Error message: the server redirects to another host ({other_fake.url}{EXCHANGE}), "
                             "where the token is not sent\nError code: 1\n")
    assert not other_fake.requests


def test_redirects_end(logged_in, fake):
    fake.on("GET", USER, 302, None, headers={"Location": USER})
    result = logged_in("token", "list")
    assert result.returncode == 10 and "redirects more than 10 times" in result.stderr
    assert len(fake.requests) == 11


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/"])
def test_a_redirect_leads_to_http_only(logged_in, fake, location):
    fake.on("GET", USER, 302, None, headers={"Location": location})
    result = logged_in("token", "list")
    assert result.returncode == 10 and "root:" not in result.stdout + result.stderr


# ---- TLS, proxies ----

def test_tls_needs_an_authority_that_vouches(osmo, tls_fake, certificate):
    login_yaml.write_dev(osmo, tls_fake.url)
    result = osmo("token", "list")
    assert result.returncode == 10 and "SSL certificate problem" in result.stderr
    assert not tls_fake.requests
    assert osmo("--cacert", certificate[0], "token", "list").returncode == 0
    variables = ("OSMO_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    for variable in variables:
        env = {**dict.fromkeys(variables, ""), variable: certificate[0]}
        assert osmo("token", "list", env=env).returncode == 0
    assert osmo("--cacert", certificate[0], "token", "list", env={"OSMO_CACERT": "/dev/null"}).returncode == 0


def test_the_authorities_may_be_a_folder(osmo, tls_fake, certificate, tmp_path):
    login_yaml.write_dev(osmo, tls_fake.url)
    folder = tmp_path / "authorities"
    folder.mkdir()
    env = {"REQUESTS_CA_BUNDLE": folder}
    assert osmo("token", "list", env=env).returncode == 10
    shutil.copy(certificate[0], folder)
    subprocess.run(["openssl", "rehash", folder], check=True)
    assert osmo("token", "list", env=env).returncode == 0
    assert osmo("--cacert", folder, "token", "list").returncode == 0


def test_tls_checks_the_host(osmo, tls_fake, certificate):
    login_yaml.write_dev(osmo, tls_fake.url.replace("127.0.0.1", "localhost"))
    result = osmo("--cacert", certificate[0], "token", "list")
    assert result.returncode == 10 and "localhost" in result.stderr
    assert not tls_fake.requests


def test_a_step_down_from_https_takes_no_credentials(osmo, tls_fake, fake, certificate):
    login_yaml.write_dev(osmo, tls_fake.url)
    tls_fake.on("GET", USER, 302, None, headers={"Location": f"{fake.url}{USER}"})
    assert osmo("--cacert", certificate[0], "token", "list").returncode == 0
    assert fake.requests[0].headers["x-osmo-user"] is None


def test_a_proxy_of_the_environment_is_used_unless_it_is_told_not_to(osmo, fake):
    login_yaml.write_dev(osmo, "http://osmo.example.invalid")
    fake.on("GET", f"http://osmo.example.invalid{USER}", 200, [])
    assert osmo("token", "list", env={"http_proxy": fake.url}).stdout == "No tokens found\n"
    assert osmo("token", "list", env={"http_proxy": fake.url, "no_proxy": ".invalid"}).returncode == 10
    assert len(fake.requests) == 1


# ---- the cost ----

def test_list_takes_at_most_15_ms_of_cpu(logged_in, fake):
    limit_ms = 600 if program.SANITIZED else 15  # a sanitizer costs more than the program
    fake.on("GET", USER, 200, [fake_osmo.TOKEN] * 20)

    def cpu_ms():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert logged_in("token", "list").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000

    assert sorted(cpu_ms() for _ in range(21))[10] <= limit_ms
