# SPDX-License-Identifier: Apache-2.0
"""osmo login, logout: methods, login.yaml, renewal of JWTs, and where secrets do not go."""

import concurrent.futures
import fcntl
import json
import os
import pathlib
import pty
import resource
import signal
import stat
import subprocess
import termios

import pytest
import yaml

from env import fake_osmo, login_yaml, program

TOKEN = fake_osmo.ACCESS_TOKEN
EXCHANGE = "/api/auth/jwt/access_token"
WELCOME = "Successfully logged in. Welcome alice@example.com.\n"


def written(osmo):
    return login_yaml.read(osmo)["token_login"]


def test_login_by_token_as_the_user_guide_has_it(osmo, fake):
    result = osmo("login", fake.url + "/", "--method", "token", "--token", TOKEN)
    assert (result.returncode, result.stdout, result.stderr) == (
        0, f"Logging in to {fake.url}/\n{WELCOME}", "")
    assert fake.lines == ["GET /api/auth/login", f"POST {EXCHANGE}"]
    assert json.loads(fake.requests[1].body) == {"token": TOKEN}
    text = login_yaml.path(osmo).read_text()
    login = yaml.safe_load(text)
    assert text == yaml.dump(login), "the form is PyYAML's"
    jwt = login["token_login"].pop("id_token")
    assert jwt.count(".") == 2
    assert login == {"dev_login": None, "name": "", "osmo_token": True, "url": fake.url, "token_login": {
        "refresh_token": TOKEN, "refresh_url": fake.url + EXCHANGE, "username": None}}
    assert login_yaml.mode(osmo) == 0o600
    assert osmo("token", "list").returncode == 0
    assert fake.requests[2].headers["x-osmo-auth"] == jwt


@pytest.mark.parametrize("content", [TOKEN, TOKEN + "\n", f"  {TOKEN}\r\n\n"])
def test_the_token_may_come_from_a_file(osmo, fake, tmp_path, content):
    (tmp_path / "token").write_text(content)
    assert osmo("login", fake.url, "--token-file", tmp_path / "token").stdout.endswith(WELCOME)
    assert written(osmo)["refresh_token"] == TOKEN


def test_the_token_may_come_from_standard_input(osmo, fake):
    assert osmo("login", fake.url, "--token-file", "-", stdin=TOKEN + "\n").stdout.endswith(WELCOME)
    assert written(osmo)["refresh_token"] == TOKEN


def test_the_token_may_come_through_a_named_pipe(osmo, fake, tmp_path):
    os.mkfifo(tmp_path / "token")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = pool.submit((tmp_path / "token").write_text, TOKEN)
        assert osmo("login", fake.url, "--token-file", tmp_path / "token").returncode == 0
        writing.result()


def test_a_token_file_may_hold_the_old_refresh_address(osmo, fake, tmp_path):
    (tmp_path / "token").write_text(f"{fake.url}{EXCHANGE}?x=1&access_token={TOKEN[:-1]}%66\n")
    assert osmo("login", fake.url, "--method", "token", "--token-file", tmp_path / "token").stdout.endswith(WELCOME)
    assert json.loads(fake.requests[1].body) == {"token": TOKEN}
    assert written(osmo)["refresh_token"] == TOKEN
    assert written(osmo)["refresh_url"] == fake.url + EXCHANGE


@pytest.mark.parametrize("content, problem", [
    ("", "it is empty"), (" \n", "it is empty"), ("two\nlines", "blanks"), ("a b", "blanks"),
    ("tokén", "characters"), ("x" * 5000, "too long"), ("x" * 100000, "too long"),
    ("http://h/api?x=1", "access_token=")], ids=lambda text: ascii(text[:20]))
def test_a_file_without_a_token_is_refused_before_anything_is_sent(osmo, fake, tmp_path, content, problem):
    (tmp_path / "token").write_text(content)
    result = osmo("login", fake.url, "--token-file", tmp_path / "token")
    assert (result.returncode, result.stdout) == (2, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("osmo login: error: argument --token-file") and problem in last
    assert not content.strip() or content.strip() not in result.stderr
    assert not fake.requests and not login_yaml.path(osmo).exists()


def test_login_to_an_existing_service_falls_back_to_its_form(osmo, legacy_fake):
    assert osmo("login", legacy_fake.url, "--token", TOKEN).stdout.endswith(WELCOME)
    assert legacy_fake.lines == ["GET /api/auth/login", f"POST {EXCHANGE}", f"GET {EXCHANGE}?access_token={TOKEN}"]


def test_login_as_developer(osmo, fake):
    result = osmo("login", fake.url, "--method", "dev", "--username", "devuser")
    assert (result.returncode, result.stdout) == (
        0, f"Logging in to {fake.url}\nSuccessfully logged in. Welcome devuser.\n")
    assert login_yaml.path(osmo).read_text() == (
        "dev_login:\n  username: devuser\nname: devuser\nosmo_token: false\ntoken_login: null\n"
        f"url: {fake.url}\n")
    osmo("token", "list")
    assert fake.requests[-1].headers["x-osmo-user"] == "devuser"
    assert fake.requests[-1].headers["x-osmo-auth"] is None


@pytest.mark.parametrize("name", [
    "yes", "12", "0x1F", "1.5", "1e5", "1.0e+5", "2026-05-01", "null", "~", "über", "a: b", "it's", 'say "x"', "#x",
    " padded ", "-", "- x", "a\tb", "a\\b", "*x", "&x", "!x", "=", "<<", "12:30:45", "x" * 300, "word " * 60, "0o7",
    "007", "08", "1_000", ".5", "-.inf", "true", "[x]", "{x}", "x:", "x #y", "?", "? x", "%x", "@x", "`x", "|", ">",
    "日本", "😀", "\u00a0x", "a\u2028b", "\ufeffx"], ids=lambda name: ascii(name[:20]))
def test_any_name_is_written_as_pyyaml_does_and_read_back(osmo, fake, name):
    assert osmo("login", fake.url, "--method", "dev", f"--username={name}").returncode == 0
    text = login_yaml.path(osmo).read_text(encoding="utf-8")
    assert text == yaml.dump({"dev_login": {"username": name}, "name": name, "osmo_token": False,
                              "token_login": None, "url": fake.url})
    osmo("token", "list")
    assert fake.requests[-1].headers["x-osmo-user"].encode("latin-1").decode().strip() == name.strip()


@pytest.mark.parametrize("name", ["a\nX-Evil: 1", "a\r", "\x1b", "\x7f", "a\udcff"], ids=ascii)
def test_a_name_that_is_no_header_is_refused(osmo, fake, name):
    result = osmo("login", fake.url, "--method", "dev", "--username", name)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("osmo login: error: argument --username: expected a name in UTF-8 without line "
                                  "breaks and control characters\n")
    assert not fake.requests


@pytest.mark.parametrize("name", ["a\nX-Evil: 1", "a\r", "\x1b", "\x7f"], ids=ascii)
def test_a_name_that_is_no_header_is_refused_in_the_file_too(osmo, fake, name):
    login_yaml.write_dev(osmo, fake.url, name)
    result = osmo("token", "list")
    assert result.returncode == 2 and "dev_login.username: expected a text without line breaks" in result.stderr
    assert not fake.requests


def test_the_last_address_is_remembered(osmo, fake):
    result = osmo("login", "--token", TOKEN)
    assert (result.returncode, result.stderr) == (
        2, "Error message: No url provided and no previous login found. Please provide a url: "
           "osmo login <url>\nError code: 1\n")
    login_yaml.write_dev(osmo, fake.url)
    assert osmo("login", "--token", TOKEN).stdout == f"Logging in to {fake.url}\n{WELCOME}"


def test_without_a_method_and_a_token_the_methods_are_listed(osmo, fake):
    result = osmo("login", fake.url)
    assert (result.returncode, result.stdout) == (2, "")
    for word in ("--method token", "--method dev", "--token-file", "--token", "--username"):
        assert word in result.stderr.splitlines()[-1]
    assert not fake.requests


@pytest.mark.parametrize("arguments, message", [
    (["--method", "token"], "Must provide token file with --token_file or --token"),
    (["--method", "dev"], "Must provide username")])
def test_a_method_needs_its_credentials(osmo, fake, arguments, message):
    result = osmo("login", fake.url, *arguments)
    assert (result.returncode, result.stderr) == (2, f"Error message: {message}\nError code: 1\n")
    assert not fake.requests


@pytest.mark.parametrize("url, problem", [
    ("foo", "invalid or missing URL scheme"), ("localhost:8080", "invalid or missing URL scheme"),
    ("ftp://h", "URL scheme not permitted"), ("http://", "invalid URL"), ("http://u:p@h", "user and password"),
    ("http://h?x=1", "'?' and '#'"), ("http://h#x", "'?' and '#'"), ("http://a b", "blanks"),
    ("http://h:99999", "invalid URL"), ("file:///etc/passwd", "URL scheme not permitted")])
def test_a_bad_address_is_refused(osmo, url, problem):
    result = osmo("login", url, "--token", TOKEN)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error message: Bad url {url}: {problem}")
    assert "expected http://HOST[:PORT] or https://HOST[:PORT]\n" in result.stderr


def test_a_server_that_is_no_service_is_told_from_one(osmo, fake):
    fake.on("GET", "/api/auth/login", 404, {"detail": "Not Found"})
    result = osmo("login", fake.url, "--token", TOKEN)
    assert (result.returncode, result.stdout) == (2, f"Logging in to {fake.url}\n")
    assert result.stderr == (
        f"Error message: Unexpected status code (404) when fetching login info from {fake.url}/api/auth/login: "
        '{"detail":"Not Found"}\nError code: 1\n')
    assert fake.lines == ["GET /api/auth/login"]


def test_a_wrong_token_leaves_the_old_login_alone(osmo, fake):
    login_yaml.write_dev(osmo, fake.url)
    before = login_yaml.path(osmo).read_bytes()
    result = osmo("login", fake.url, "--token", "bad")
    assert result.returncode == 10
    assert result.stderr == (
        'Error message: Unable to refresh login token (status code 400): {"message":"Access Token is invalid",'
        '"error_code":"USER","workflow_id":null}\nPlease re-login with "osmo login"\nError code: 1\n')
    assert login_yaml.path(osmo).read_bytes() == before
    assert [p.name for p in login_yaml.path(osmo).parent.iterdir()] == ["login.yaml"]


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": "no-jwt"}, {"token": "a.b.c"}, [], "x",
                                  {"token": "a\r\nX-Evil: 1" + fake_osmo.jwt()}])
def test_an_exchange_must_yield_a_jwt(osmo, fake, body):
    fake.on("POST", EXCHANGE, 200, body)
    result = osmo("login", fake.url, "--token", TOKEN)
    assert result.returncode == 10 and "did not answer with a login token" in result.stderr
    assert not login_yaml.path(osmo).exists()


def test_the_greeting_prefers_the_name_and_the_file_keeps_it(osmo, fake):
    fake.on("POST", EXCHANGE, 200, {"token": fake_osmo.jwt(name="Alice A")})
    assert osmo("login", fake.url, "--token", TOKEN).stdout.endswith("Welcome Alice A.\n")
    assert login_yaml.read(osmo)["name"] == "Alice A"


def test_logout_removes_the_file_and_is_content_without_one(osmo, fake):
    login_yaml.write_dev(osmo, fake.url)
    for _ in range(2):
        result = osmo("logout")
        assert (result.returncode, result.stdout, result.stderr) == (0, "Successfully logged out.\n", "")
        assert not login_yaml.path(osmo).exists()
    assert not fake.requests


# ---- renewal ----

def test_an_expired_jwt_is_renewed_once_per_process(logged_in, fake):
    login_yaml.write_token(logged_in, fake.url, fake_osmo.jwt(-10), refresh_token=TOKEN,
                           refresh_url=fake.url + EXCHANGE)
    # the next one is expired as well, so that a second renewal would show
    fake.on("POST", EXCHANGE, 200, {"token": fake_osmo.jwt(-5)})
    assert logged_in("profile", "list").returncode == 0
    assert fake.lines == [f"POST {EXCHANGE}", "GET /api/profile/settings", "POST /api/auth/access_token"]
    renewed = written(logged_in)["id_token"]
    assert [r.headers["x-osmo-auth"] for r in fake.requests] == [None, renewed, renewed]
    assert login_yaml.mode(logged_in) == 0o600


@pytest.mark.parametrize("lifetime, renewals", [(1, 1), (2, 1), (60, 0)])
def test_a_jwt_counts_as_expired_three_seconds_early(logged_in, fake, lifetime, renewals):
    login_yaml.write_token(logged_in, fake.url, fake_osmo.jwt(lifetime), refresh_token=TOKEN,
                           refresh_url=fake.url + EXCHANGE)
    logged_in("token", "list")
    assert fake.lines == [f"POST {EXCHANGE}"] * renewals + ["GET /api/auth/access_token/user"]


def test_a_login_of_the_old_form_works_and_keeps_its_form(osmo, fake):
    address = f"{fake.url}{EXCHANGE}?access_token={TOKEN}"
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_url=address)
    login_yaml.path(osmo).chmod(0o644)
    assert osmo("token", "list").returncode == 0
    assert fake.lines == [f"POST {EXCHANGE}", "GET /api/auth/access_token/user"]
    assert written(osmo)["refresh_url"] == address and written(osmo)["refresh_token"] is None
    assert login_yaml.mode(osmo) == 0o600


def test_a_login_of_the_old_form_works_with_an_existing_service(osmo, legacy_fake):
    login_yaml.write_token(osmo, legacy_fake.url, fake_osmo.jwt(-10),
                           refresh_url=f"{legacy_fake.url}{EXCHANGE}?access_token={TOKEN}")
    assert osmo("token", "list").returncode == 0
    assert legacy_fake.lines[:2] == [f"POST {EXCHANGE}", f"GET {EXCHANGE}?access_token={TOKEN}"]


def test_a_login_that_cannot_be_renewed_says_so(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_token="gone",
                           refresh_url=fake.url + EXCHANGE)
    result = osmo("token", "list", "-t", "json")
    assert (result.returncode, result.stderr) == (10, "")
    error = json.loads(result.stdout)
    assert error["code"] == 1
    assert error["message"].startswith("Unable to refresh login token (status code 400): ")
    assert error["message"].endswith('\nPlease re-login with "osmo login"')
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10))
    assert "No token refresh url provided, please login again" in osmo("token", "list").stderr


def test_a_live_jwt_that_is_refused_is_renewed_and_the_call_sent_again(osmo, fake):
    refused, fresh = fake_osmo.jwt(), fake_osmo.jwt(900)
    login_yaml.write_token(osmo, fake.url, refused, refresh_token=TOKEN, refresh_url=fake.url + EXCHANGE)
    path = "/api/auth/access_token/user/ci"
    fake.on("POST", path, 401, text="Jwt verification fails")
    fake.on("POST", path, 200, "secret")
    fake.on("POST", EXCHANGE, 200, {"token": fresh})
    result = osmo("token", "set", "ci", "-e", "2099-01-01", "-d", "a b")
    assert (result.returncode, result.stderr) == (0, "") and "Access token: secret\n" in result.stdout
    call = f"POST {path}?expires_at=2099-01-01&description=a+b"
    assert fake.lines == [call, f"POST {EXCHANGE}", call]
    assert [r.headers["x-osmo-auth"] for r in fake.requests] == [refused, None, fresh]
    assert written(osmo)["id_token"] == fresh and login_yaml.mode(osmo) == 0o600


def test_a_renewed_jwt_that_is_refused_as_well_is_the_end(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(), refresh_token=TOKEN, refresh_url=fake.url + EXCHANGE)
    fake.on("GET", "/api/auth/access_token/user", 401, text="Jwt verification fails")
    result = osmo("token", "list", "-t", "json")
    assert fake.lines == ["GET /api/auth/access_token/user", f"POST {EXCHANGE}", "GET /api/auth/access_token/user"]
    assert result.returncode == 2
    assert json.loads(result.stdout) == {"message": "Jwt verification fails", "code": 401}
    said = [line.split(" ", 1)[1] for line in result.stderr.splitlines()]
    assert said == [
        "client [ERROR] client: Server responded with status code 401",
        "client [ERROR] client: The login token was renewed, and the service refuses the new one as well"]


def test_one_renewal_a_process(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_token=TOKEN, refresh_url=fake.url + EXCHANGE)
    fake.on("GET", "/api/profile/settings", 401, text="no")
    assert osmo("profile", "list").returncode == 2
    assert fake.lines == [f"POST {EXCHANGE}", "GET /api/profile/settings"]
    # and for two calls, the second of which is refused again
    del fake.requests[:]
    fake.answers.clear()
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(), refresh_token=TOKEN, refresh_url=fake.url + EXCHANGE)
    fake.on("GET", "/api/profile/settings", 401, text="no")
    fake.on("GET", "/api/profile/settings", 200, fake_osmo.PROFILE)
    fake.on("POST", "/api/auth/access_token", 401, text="no")
    assert osmo("profile", "list").returncode == 2
    assert fake.lines == ["GET /api/profile/settings", f"POST {EXCHANGE}", "GET /api/profile/settings",
                          "POST /api/auth/access_token"]


def test_a_refused_login_that_cannot_be_renewed_says_why(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(), refresh_token="revoked", refresh_url=fake.url + EXCHANGE)
    fake.on("GET", "/api/auth/access_token/user", 401, text="no")
    result = osmo("token", "list")
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0].endswith(" client [ERROR] client: Server responded with status code 401")
    assert lines[1:3] == ["Error message: no", "Error code: 401"]
    assert " client [ERROR] client: Unable to refresh login token (status code 400): {" in lines[3]
    assert lines[4:] == ['Please re-login with "osmo login"']
    assert fake.lines == ["GET /api/auth/access_token/user", f"POST {EXCHANGE}"]


@pytest.mark.parametrize("fields", [{}, {"refresh_token": TOKEN}, {"refresh_url": "{url}/x"}])
def test_a_refused_login_without_means_to_renew_it_shows_the_refusal(osmo, fake, fields):
    fields = {name: value.format(url=fake.url) for name, value in fields.items()}
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(), **fields)
    fake.on("GET", "/api/auth/access_token/user", 401, text="no")
    result = osmo("token", "list")
    assert result.returncode == 2 and result.stderr.endswith("Error message: no\nError code: 401\n")
    assert len(fake.requests) == 1


def test_a_developers_login_is_not_renewed(osmo, fake):
    login_yaml.write_dev(osmo, fake.url)
    fake.on("GET", "/api/auth/access_token/user", 401, text="no")
    assert osmo("token", "list").returncode == 2
    assert len(fake.requests) == 1


def test_new_keys_of_the_service_do_not_end_a_login(osmo, start_service, tmp_path):
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tmp_path / "key.pem"],
                   check=True)
    service = start_service()
    assert osmo("login", service.url, "--token", service.admin_token).returncode == 0
    old, old_url = written(osmo)["id_token"], service.url
    service.stop()
    service = start_service("--jwt-key-file", tmp_path / "key.pem")
    login_yaml.write_text(osmo, login_yaml.path(osmo).read_text().replace(old_url, service.url))
    result = osmo("--log-level", "DEBUG", "token", "list")
    assert result.returncode == 0, result.stderr
    assert ": 401 in " in result.stderr and "renewing it" in result.stderr
    assert written(osmo)["id_token"] != old


def test_a_login_of_an_identity_provider_is_renewed_with_oauth(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_token="r&1", refresh_url=fake.url + "/token")
    login = login_yaml.read(osmo)
    login_yaml.write_text(osmo, yaml.dump({**login, "osmo_token": False}))
    fresh = fake_osmo.jwt()
    fake.on("POST", "/token", 200, {"id_token": fresh, "refresh_token": "r2"})
    assert osmo("token", "list").returncode == 0
    assert fake.requests[0].body == b"grant_type=refresh_token&refresh_token=r%261&client_id=osmo-device"
    assert fake.requests[0].headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (written(osmo)["id_token"], written(osmo)["refresh_token"]) == (fresh, "r2")
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_url=fake.url + "/token")
    login_yaml.write_text(osmo, yaml.dump({**login_yaml.read(osmo), "osmo_token": False}))
    result = osmo("token", "list")
    assert (result.returncode, result.stderr) == (
        2, "Error message: Token is expired, but no refresh token is present\nError code: 1\n")


def test_a_renewal_that_cannot_be_saved_serves_the_command_all_the_same(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_token=TOKEN, refresh_url=fake.url + EXCHANGE)
    before = login_yaml.path(osmo).read_bytes()

    def no_files():  # root writes everywhere, but not more than a limit
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    result = subprocess.run([program.binary("osmo"), "token", "list"], capture_output=True, text=True,
                            preexec_fn=no_files, restore_signals=False,
                            env=program.environment(HOME=osmo.home, XDG_CONFIG_HOME=osmo.home / ".config"))
    assert result.returncode == 0 and result.stdout.startswith("Name ")
    assert f"[WARNING] client: cannot write {login_yaml.path(osmo)}: File too large\n" in result.stderr
    assert login_yaml.path(osmo).read_bytes() == before
    assert [p.name for p in login_yaml.path(osmo).parent.iterdir()] == ["login.yaml"]


@pytest.mark.parametrize("meanwhile, left", [
    (["logout"], None),
    (["login", "--method", "dev", "--username", "bob"], {"username": "bob"})])
def test_a_renewal_does_not_undo_what_another_process_did_meanwhile(osmo, fake, meanwhile, left):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(-10), refresh_token=TOKEN, refresh_url=fake.url + EXCHANGE)
    fake.on("POST", EXCHANGE, 200, {"token": fake_osmo.jwt()}, delay_s=2 if program.SANITIZED else 1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        renewing = pool.submit(osmo, "token", "list")
        program.wait_until(lambda: fake.lines, "the exchange")
        assert osmo(*meanwhile).returncode == 0
        assert renewing.result().returncode == 0
    if left:
        assert (login_yaml.read(osmo)["dev_login"], login_yaml.read(osmo)["token_login"]) == (left, None)
    else:
        assert not login_yaml.path(osmo).exists()


def test_osmo_login_dev_adds_the_user(osmo, fake):
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(), username="carol")
    osmo("token", "list")
    osmo("token", "list", env={"OSMO_LOGIN_DEV": "true"})
    assert [r.headers["x-osmo-user"] for r in fake.requests] == [None, "carol"]


# ---- login.yaml ----

@pytest.mark.parametrize("variables, where", [
    ({"OSMO_CONFIG_FILE_DIR": "{home}/a/b"}, "a/b/login.yaml"),
    ({"XDG_CONFIG_HOME": "{home}/xdg"}, "xdg/osmo/login.yaml"),
    ({"XDG_CONFIG_HOME": ""}, ".config/osmo/login.yaml"),
    ({"OSMO_CONFIG_FILE_DIR": "", "XDG_CONFIG_HOME": "{home}/x y"}, "x y/osmo/login.yaml")])
def test_where_the_file_is(osmo, fake, variables, where):
    variables = {name: value.format(home=osmo.home) for name, value in variables.items()}
    result = subprocess.run([program.binary("osmo"), "login", fake.url, "--method", "dev", "--username", "u"],
                            capture_output=True, text=True,
                            env={**program.environment(), "HOME": str(osmo.home), **variables})
    assert result.returncode == 0, result.stderr
    assert (osmo.home / where).exists()
    assert stat.S_IMODE((osmo.home / where).parent.stat().st_mode) == 0o700


def test_a_symbolic_link_stays_one(osmo, fake):
    login_yaml.write_dev(osmo, fake.url)
    path = login_yaml.path(osmo)
    real = osmo.home / "dotfiles.yaml"
    path.rename(real)
    path.symlink_to(real)
    assert osmo("login", "--method", "dev", "--username", "u").returncode == 0
    assert path.is_symlink() and "username: u" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    real.unlink()  # as in a /run that is empty after a start
    path.unlink()
    path.symlink_to("../../dotfiles.yaml")
    assert osmo("login", fake.url, "--method", "dev", "--username", "v").returncode == 0
    assert path.is_symlink() and "username: v" in real.read_text()


@pytest.mark.parametrize("text", ["", "null", "- a\n- b\n", "just text", "# only a comment\n", "42"])
def test_a_file_without_a_mapping_is_no_login(osmo, text):
    login_yaml.write_text(osmo, text)
    assert osmo("token", "list").stderr == (
        'Error message: Must login first with "login" command\nError code: 1\n')


@pytest.mark.parametrize("text, problem", [
    ("url: [", "line "), ("url: x\n\tb: c", "line 2"), ("a: b: c", "line 1"),
    ("name: x", "url: must be set"), ("url: {}", "url: expected a text"),
    ("url: http://h\ntoken_login: {}\n", "token_login.id_token: must be set"),
    ("url: http://h\ntoken_login: x\n", "line 2: token_login: expected a mapping"),
    ("url: http://h\ndev_login: {username: null}\n", "dev_login.username: must be set"),
    ("url: http://h\nosmo_token: maybe\n", "line 2: osmo_token: expected true or false"),
    ("url: *x", "line "), ("url: a\n---\nurl: b\n", "one document"), ('url: "a\\0b"', "without NUL"),
    ("x: " + "[" * 5000, "line "), ("#" * 2000000, "is larger than")], ids=lambda text: text[:20])
def test_a_damaged_file_is_named_with_line_and_field(osmo, text, problem):
    login_yaml.write_text(osmo, text)
    result = osmo("token", "list")
    assert (result.returncode, result.stdout) == (2, "")
    assert str(login_yaml.path(osmo)) in result.stderr and problem in result.stderr


def test_unknown_fields_are_left_out_of_account(osmo, fake):
    login_yaml.write_text(osmo, f"future: [1, {{a: b}}]\nurl: {fake.url}/\nclient_id: x\n"
                                "dev_login: {username: u, more: [x]}\nosmo_token: no\n")
    assert osmo("token", "list").returncode == 0
    assert fake.requests[0].headers["x-osmo-user"] == "u"


# ---- secrets ----

def test_the_token_leaves_the_argument_vector(osmo, fake):
    fake.on("GET", "/api/auth/login", 200, {}, delay_s=30)
    process = subprocess.Popen([program.binary("osmo"), "login", fake.url, f"--token={TOKEN}"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=program.environment(HOME=osmo.home, XDG_CONFIG_HOME=osmo.home / ".config"))
    try:
        program.wait_until(lambda: fake.requests, "the first request")
        command_line = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert fake.url.encode() in command_line
        assert TOKEN.encode() not in command_line and b"--token=" + b"*" * 64 in command_line
        limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max core file size        0                    0" in limits
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=program.PATIENCE_S)
    assert (process.returncode, err) == (3, "")


def test_no_output_and_no_url_has_a_secret(osmo, fake):
    results = [osmo("--log-level", "DEBUG", "login", fake.url, "--token", TOKEN),
               osmo("--log-level", "DEBUG", "profile", "list"),
               osmo("--log-level", "DEBUG", "token", "list")]
    jwt = written(osmo)["id_token"]
    for result in results:
        assert result.returncode == 0
        assert "[DEBUG] client: " in result.stderr
        assert TOKEN not in result.stdout + result.stderr and jwt not in result.stdout + result.stderr
    assert not any(TOKEN in line for line in fake.lines)


@pytest.fixture
def at_terminal(osmo, fake):
    """osmo login --token-file - at a terminal, once it has asked for the token: (process, terminal)."""
    child, terminal = pty.openpty()
    process = subprocess.Popen(
        [program.binary("osmo"), "login", fake.url, "--token-file", "-"], stdin=terminal, stdout=subprocess.PIPE,
        stderr=terminal, text=True, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env=program.environment(HOME=osmo.home, XDG_CONFIG_HOME=osmo.home / ".config"))
    seen = b""
    while b"Token: " not in seen:
        seen += os.read(child, 1000)
    assert not echo(terminal)
    yield process, child, terminal
    process.kill()
    os.close(child)
    os.close(terminal)


def echo(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def test_a_typed_token_is_not_shown(at_terminal):
    process, child, terminal = at_terminal
    os.write(child, TOKEN.encode() + b"\n")
    out, _ = process.communicate(timeout=program.PATIENCE_S)
    assert process.returncode == 0 and out.endswith(WELCOME)
    assert TOKEN.encode() not in os.read(child, 10000)
    assert echo(terminal)


def test_ctrl_c_gives_the_terminal_back(at_terminal):
    process, child, terminal = at_terminal
    os.write(child, b"abc\x03")
    assert process.wait(timeout=program.PATIENCE_S) == 3
    assert echo(terminal)
