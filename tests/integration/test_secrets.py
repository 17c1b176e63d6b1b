# SPDX-License-Identifier: Apache-2.0
"""No secret is where it should not be: a whole life at the most talkative settings, and then a search
through all that the programs wrote, said, and left behind."""

import base64
import contextlib
import os
import pathlib
import re
import secrets
import signal
import socket
import stat
import subprocess

import grpc
import requests

from env import http1, pb, program

# Where a secret belongs: the file that the first one is put into, and that of a user who logged in.
THEIR_PLACES = {"admin.token", "login.yaml", "given.token"}


def forms(secret):
    """A secret as itself, in the encodings that carry text, and as the start of it: a log that shows
    half of it shows too much."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    result = {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"="),
              base64.urlsafe_b64encode(raw).rstrip(b"=")}
    if isinstance(secret, str):
        result.add(raw[:24])
        result.add(re.sub(rb"\W", lambda m: b"%%%02X" % m[0][0], raw))
        for offset in (1, 2):  # within a longer text, base64 begins anywhere
            result.add(base64.b64encode(bytes(offset) + raw)[4:-4])
    return result


def http_raw(address, data):
    """Sends bytes, and returns all that comes back."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=program.PATIENCE_S) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        result = b""
        with contextlib.suppress(ConnectionResetError):
            while block := s.recv(65536):
                result += block
        return result


def refused(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except grpc.RpcError as error:
        return str(error.details()) + str(error.trailing_metadata())
    raise AssertionError("it should have failed")


def other_than(secret):
    """All but the last character of it."""
    return secret[:-1] + ("y" if secret.endswith("x") else "x")


def live(service, gateway, osmo, tmp_path):
    """Everything that is done with secrets, well and badly. Returns the secrets, and what was answered
    to calls whose answer is not a secret."""
    answers, found = [], [service.admin_token]
    admin = {"Authorization": f"Bearer {service.admin_token}"}

    def http(method, path, *, ok=None, url=service.url, **keywords):
        reply = requests.request(method, url + path, timeout=program.PATIENCE_S, **keywords)
        assert ok is None or reply.ok == ok, (path, reply.text)
        return reply

    def note(reply):
        answers.append(f"{reply.headers} {reply.text}")

    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        auth = pb.Stub(channel, "osmo.token.v1.AuthService")
        made = tokens.Set({"name": "mine", "requestId": "once"}, token=service.admin_token)
        found.append(made.secret)
        assert tokens.Set({"name": "mine", "requestId": "once"}, token=service.admin_token).secret == made.secret
        machine = tokens.Set({"name": "machine", "kind": "SERVICE", "roles": ["osmo-user"]},
                             token=service.admin_token).secret
        found.append(machine)
        jwt = auth.Exchange({"token": made.secret}).token
        found.append(jwt)
        answers += [str(tokens.List({}, token=jwt)), str(tokens.WhoAmI({}, token=machine)),
                    str(auth.TokenInfo({"token": machine})), str(auth.Keys({}))]
        answers.append(str(auth.Authorize({"credential": machine, "method": "GET", "path": "/x"},
                                          token=service.admin_token)))

        # the two old requests that have it in their address
        for base in (service.url, gateway.url):
            reply = http("GET", f"/api/auth/jwt/access_token?access_token={machine}", url=base, ok=True)
            found += re.findall(r"eyJ[\w.-]+", reply.text)
            note(http("GET", f"/api/auth/access_token?access_token={machine}", url=base))
            note(http("GET", f"/api/auth/jwt/access_token?access_token={other_than(machine)}", url=base, ok=False))
            note(http("GET", f"/v1/nowhere/{machine}?token={machine}", url=base, ok=False))
            note(http("GET", f"/v1/tokens/{machine}", url=base, ok=False, headers=admin))
            note(http("GET", "/v1/whoami", url=base, ok=False, headers={"Authorization": f"Bearer {machine} x"}))
            note(http("GET", "/v1/whoami", url=base, ok=False, headers={"Authorization": machine}))
            note(http("GET", "/v1/whoami", url=base, ok=False, headers={
                "Authorization": f"Bearer {machine}", "x-osmo-auth": service.admin_token}))
            note(http("POST", "/v1/tokens", url=base, ok=False, headers=admin,
                      data='{"name": "a", "secret": "%s"' % machine))
            note(http("POST", "/v1/auth/exchange", url=base, ok=False, json={"token": machine + "\n"}))
            reply = http("POST", "/api/auth/jwt/access_token", url=base, ok=True, json={"token": machine})
            found.append(reply.json()["token"])
            answers.append(http_raw(base.removeprefix("http://"), b"GET /v1/whoami HTTP/1.1\r\nHost: h\r\n"
                                    b"Authorization: Bearer %s\x01\r\n\r\n" % machine.encode()).decode())
            note(http("GET", "/metrics", url=base))

        # credentials that are bad in each way
        guess = secrets.token_hex(32)
        found.append(guess)
        for bad in (other_than(made.secret), guess, jwt[:-4] + "AAAA", machine + machine):
            answers.append(refused(tokens.WhoAmI, {}, token=bad))
            answers.append(refused(auth.Exchange, {"token": bad}))
        answers.append(refused(tokens.WhoAmI, {}, metadata=[
            ("authorization", f"Bearer {machine}"), ("authorization", f"Bearer {service.admin_token}")]))
        raw = channel.unary_unary("/osmo.token.v1.AuthService/Exchange")
        answers.append(refused(raw, b"\x0a\x7f" + machine.encode()))

        # the command line
        given = tmp_path / "given.token"
        given.write_text(made.secret)
        for base in (service.url, gateway.url):
            for login in (["--token-file", given], ["--token", machine], ["--token-file", "-"]):
                done = osmo("login", base, "--method", "token", *login, stdin=made.secret)
                assert done.returncode == 0, done.stderr
                answers.append(done.stdout + done.stderr)
            done = osmo("token", "set", f"cli-{len(answers)}")
            assert done.returncode == 0, done.stderr
            found += re.findall(r"osmo_\w+", done.stdout)
            answers.append(re.sub(r"(?m)^Access token: .*$", "", done.stdout) + done.stderr)
            yaml = pathlib.Path(osmo.home, ".config/osmo/login.yaml")
            if yaml.exists():
                found += re.findall(r"eyJ[\w.-]+", yaml.read_text())
            for line in (["token", "list"], ["profile", "list"], ["token", "list", "-t", "json"],
                         ["token", "set", "a b"], ["token", "delete", "nobody"], ["token", "list", "--service"]):
                done = osmo(*line)
                answers.append(done.stdout + done.stderr)
            done = osmo("login", base, "--method", "token", "--token", guess)
            assert done.returncode != 0
            answers.append(done.stdout + done.stderr)
        tokens.Delete({"name": "mine"}, token=service.admin_token)
        for dead in (made.secret, jwt):
            answers.append(refused(tokens.WhoAmI, {}, token=dead))
        for name in ("mine", "machine"):
            answers.append(refused(tokens.Delete, {"name": name}, token=service.admin_token))
    return [secret for secret in found if secret], answers


def memory_of(pid):
    """What anybody on the machine may read about a process without rights."""
    return b"".join(pathlib.Path(f"/proc/{pid}/{file}").read_bytes() for file in ("cmdline", "stat", "status"))


def search(needles, place, data):
    for secret, texts in needles:
        for text in texts:
            if text in data:
                at = data.index(text)
                context = data[max(0, at - 100):at].decode(errors="replace")
                raise AssertionError(f"a secret of {len(secret)} bytes is in {place}, behind: {context}")


def test_no_secret_is_where_it_should_not_be(start_service, start_gateway, osmo, tmp_path):
    options = ["--log-level", "debug", "--access-log", "--reflection"]
    service = start_service(*options)
    gateway = start_gateway(service.grpc, "--log-level", "debug")
    found, answers = live(service, gateway, osmo, tmp_path)
    assert len(set(found)) > 10
    for process in (service, gateway):
        process.signal(signal.SIGHUP)
        program.wait_until(lambda: '"reload' in process.log, "the reload")
        answers.append(memory_of(process.pid).decode(errors="replace"))
    service_key = bytes.fromhex((service.data_dir / "key").read_text().strip())
    needles = [(secret, forms(secret)) for secret in {*found, service_key}]

    def search_all():
        for folder, _, names in os.walk(tmp_path):
            for name in names:
                if name in THEIR_PLACES or (name == "key" and folder == str(service.data_dir)):
                    continue
                path = pathlib.Path(folder, name)
                if path.is_file():
                    search(needles, path, path.read_bytes())

    for number, answer in enumerate(answers):
        search(needles, f"answer {number}", answer.encode())
    search_all()  # with the database's log as it is now
    gateway.stop()
    service.kill()
    search_all()
    service = start_service(*options)
    service.stop()
    search_all()
    assert not list(tmp_path.rglob("core*"))
    strings = subprocess.run(["strings", "-n", "30", service.data_dir / "tokens.db"], capture_output=True, text=True,
                             check=True).stdout
    assert "PRIVATE" not in strings and '"d"' not in strings  # the signing keys are encrypted


def test_the_search_finds_what_is_there():
    """A search that finds nothing anywhere would be worth nothing."""
    secret = "osmo_" + secrets.token_hex(24)
    needles = [(secret, forms(secret))]
    shown = [secret, secret[:30], f"Basic {base64.b64encode(b'user:' + secret.encode()).decode()}", secret.encode().hex()]
    for text in shown:
        try:
            search(needles, "here", b"xx " + text.encode() + b" yy")
        except AssertionError:
            continue
        raise AssertionError(f"{text} was not found")
    search(needles, "here", b"nothing of it")


def test_a_token_that_stands_where_a_name_belongs_is_not_logged(start_service):
    service = start_service("--access-log", "--log-level", "debug")
    secret = service.admin_token
    for method, path in (("DELETE", f"/v1/tokens/{secret}"), ("DELETE", f"/api/auth/access_token/user/{secret}"),
                         ("DELETE", f"/v1/tokens/{secrets.token_hex(32)}"), ("GET", f"/v1/roles/{secret}"),
                         ("GET", f"/v1/tokens?user={secret}"), ("GET", f"/v1/tokens?page_token={secret}"),
                         ("GET", f"/{secret}"), ("GET", f"/v1/tokens?filter=name={secret}")):
        http1.request(service.http, method, path, token=secret)
    service.stop()
    assert '"action_path":"/api/auth/access_token/user/***"' in service.log
    search([(secret, forms(secret))], "log", service.log.encode())
    assert not re.search("[0-9a-f]{64}", service.log)


def test_what_the_service_keeps_is_nobody_elses_to_read(start_service, start_gateway):
    """Whatever the umask says; and a crash of a program leaves no picture of its memory."""
    umask = os.umask(0)
    try:
        service = start_service()
    finally:
        os.umask(umask)
    http1.request(service.http, "GET", "/v1/whoami", token=service.admin_token)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in service.data_dir.iterdir() if path.is_file()}
    assert {"admin.token", "key", "tokens.db", "tokens.db-wal"} <= set(modes)
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes
    assert modes["admin.token"] == modes["key"] == 0o600
    for each in (service, start_gateway(service.grpc)):
        limits = pathlib.Path(f"/proc/{each.pid}/limits").read_text(encoding="ascii")
        assert re.search(r"^Max core file size\s+0\s+0\s", limits, re.M), limits
