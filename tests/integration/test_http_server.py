# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as bytes on a socket: framing, limits, deadlines, TLS, drain of the real programs.

What is wrong gets its reply, with google.rpc.Status as JSON, and then the end of the connection; what
follows it on the connection is never answered.
"""

import gzip
import json
import pathlib
import signal
import socket
import ssl
import threading
import time

import pytest

from env import certificates
from env.program import PATIENCE_S, wait_until

HEAD = b"Host: h\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


def dial(address):
    if address.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE_S)
        s.connect(address.removeprefix("unix:"))
        return s
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S)


def read_to_end(s):
    """All bytes until the server closes; a reset would be an exception, and so a failure."""
    result = b""
    while block := s.recv(65536):
        result += block
    return result


class Reader:
    """Replies of a connection, one after the other."""

    def __init__(self, s):
        self.file = s.makefile("rb")

    def reply(self, head=False):
        status = self.file.readline()
        assert status.startswith(b"HTTP/1.1 "), status
        headers = {}
        while (line := self.file.readline()) != b"\r\n":
            assert line.endswith(b"\r\n"), line
            name, _, value = line.decode().strip().partition(": ")
            headers[name.lower()] = value
        length = 0 if head else int(headers.get("content-length", 0))
        body = self.file.read(length)
        assert len(body) == length
        return int(status.split()[1]), headers, body

    def at_end(self):
        return self.file.read() == b""


@pytest.fixture(scope="module", params=["service", "gateway"])
def address(request, service, tmp_path_factory):
    """HTTP in the service's own process, and in that of token-gateway."""
    if request.param == "service":
        yield service.http
        return
    from env import program
    gateway = program.TokenGateway(tmp_path_factory.mktemp("gateway"), service.grpc)
    yield gateway.http
    gateway.stop()


def assert_refused(data, status):
    """One reply of that status, with the JSON of google.rpc.Status, which closes."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} "), data
    assert "Connection: close" in lines and "Content-Type: application/json" in lines
    assert data.count(b"HTTP/1.1 ") == 1, "what came behind was answered"
    error = json.loads(body)
    assert error["code"] > 0 and error["message"] and error["details"] == []
    return error


SMUGGLING = [
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"Content-Length: 1, 1\r\n\r\nx",
    b"Content-Length: +1\r\n\r\nx",
    b"Content-Length : 1\r\n\r\nx",
    b"Content-Length: 1\r\n 2\r\n\r\nx",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: identity\r\n\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\naX0\r\n\r\n",
    b"Host: other\r\n\r\n",
    b"A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"A: b\0\r\n\r\n",
    b": b\r\n\r\n",
    b"A b: c\r\n\r\n",
    b"no colon\r\n\r\n",
]


@pytest.mark.parametrize("attempt", SMUGGLING, ids=range(len(SMUGGLING)))
def test_a_request_whose_end_could_be_read_in_two_ways_is_refused(address, attempt):
    with dial(address) as s:
        s.sendall(b"POST /v1/tokens HTTP/1.1\r\n" + HEAD + attempt + SMUGGLED)
        assert_refused(read_to_end(s), 400)


@pytest.mark.parametrize("request_line", [
    b"GET / HTTP/1.1\n", b"GET /\r\n", b"GET / http/1.1\r\n", b"GET  / HTTP/1.1\r\n", b"\x16\x03\x01",
    b"GET /\0 HTTP/1.1\r\n", b"GET path HTTP/1.1\r\n", b"CONNECT h:1 HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\n\r\n"])
def test_a_malformed_request_line_is_400(address, request_line):
    with dial(address) as s:
        s.sendall(request_line)
        assert_refused(read_to_end(s), 400)


def test_limits_have_statuses_of_their_own(address):
    for data, status in [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"A: " + b"a" * 33000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"A: b\r\n" * 101, 431),
        (b"POST /v1/tokens HTTP/1.1\r\n" + HEAD + b"Content-Length: 1048577\r\n\r\n", 413),
        (b"POST /v1/tokens HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413),
        (b"GET / HTTP/2.0\r\n", 505),
        (b"POST /v1/tokens HTTP/1.1\r\n" + HEAD + b"Expect: 200-ok\r\n\r\n", 417),
        (b"POST /v1/tokens HTTP/1.1\r\n" + HEAD
         + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", 415),
    ]:
        with dial(address) as s:
            s.sendall(data)
            assert_refused(read_to_end(s), status)


def test_a_gzip_bomb_is_413(address):
    bomb = gzip.compress(b" " * 50_000_000)
    with dial(address) as s:
        s.sendall(b"POST /v1/tokens HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
                  b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        assert_refused(read_to_end(s), 413)


def test_the_reply_to_an_upload_that_is_too_large_arrives(address):
    """The client goes on sending before it reads: a plain close would reset the connection and
    destroy the reply."""
    with dial(address) as s:
        s.sendall(b"POST /v1/tokens HTTP/1.1\r\n" + HEAD + b"Content-Length: 5000000\r\n\r\n")
        s.sendall(b"x" * 5_000_000)
        assert_refused(read_to_end(s), 413)


def test_a_connection_serves_requests_in_any_pieces(address):
    with dial(address) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = Reader(s)
        for _ in range(3):
            for byte in b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n":
                s.sendall(bytes([byte]))
            status, headers, _ = replies.reply()
            assert status == 200 and "connection" not in headers and headers["date"].endswith(" GMT")


def test_pipelined_requests_are_answered_in_order(address):
    with dial(address) as s:
        replies = Reader(s)
        s.sendall(b"".join(b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % p for p in
                           [b"healthz", b"v1/whoami", b"nowhere", b"healthz"] * 20))
        statuses = [replies.reply()[0] for _ in range(80)]
        assert statuses == [200, 401, 404, 200] * 20


def test_a_half_closed_client_still_gets_its_replies(address):
    with dial(address) as s:
        s.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        s.shutdown(socket.SHUT_WR)
        assert read_to_end(s).count(b"HTTP/1.1 401 ") == 3


def test_head_has_the_headers_of_get_and_no_body(address):
    with dial(address) as s:
        replies = Reader(s)
        s.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n"
                  b"HEAD /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n" + SMUGGLED)
        _, get, body = replies.reply()
        _, head, _ = replies.reply(head=True)
        assert get["content-length"] == head["content-length"] == str(len(body))
        assert replies.reply()[0] == 200


def test_http_1_0_ends_with_its_reply(address):
    with dial(address) as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        replies = Reader(s)
        assert replies.reply()[1]["connection"] == "close" and replies.at_end()


def test_a_client_that_waits_is_told_to_continue(address):
    body = b'{"name":"a"}'
    with dial(address) as s:
        s.sendall(b"POST /v1/tokens HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                  b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        replies = Reader(s)
        assert replies.reply()[0] == 100
        s.sendall(body)
        assert replies.reply()[0] == 401


def test_gzip_goes_out_to_who_asks(address):
    with dial(address) as s:
        replies = Reader(s)
        s.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n"
                  b"GET /openapi.json HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br, gzip;q=0.1\r\n\r\n"
                  b"GET /openapi.json HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip;q=0\r\n\r\n")
        _, plain_headers, plain = replies.reply()
        _, packed_headers, packed = replies.reply()
        _, refused_headers, refused = replies.reply()
        assert packed_headers["content-encoding"] == "gzip" and gzip.decompress(packed) == plain
        assert len(packed) < len(plain) / 3
        assert "content-encoding" not in plain_headers and "content-encoding" not in refused_headers
        assert refused == plain
        assert all(h["vary"] == "Accept-Encoding" for h in (plain_headers, packed_headers, refused_headers))


def test_a_head_that_drips_is_408(start_service):
    service = start_service("--header-timeout", "1s")
    with dial(service.http) as s:
        started = time.monotonic()
        s.sendall(b"GET /healthz HTTP/1.1\r\n")
        data = b""
        s.settimeout(0.1)
        while not data:
            s.sendall(b"a: b\r\n")  # a timeout of each read would never end
            try:
                data = s.recv(65536)
            except TimeoutError:
                assert time.monotonic() - started < PATIENCE_S
        s.settimeout(PATIENCE_S)
        assert_refused(data + read_to_end(s), 408)
        assert time.monotonic() - started >= 0.9


def test_past_the_cap_idle_connections_give_way(start_service):
    service = start_service("--max-connections", "8", "--threads", "1")
    idle = []
    for _ in range(8):
        s = dial(service.http)
        s.sendall(SMUGGLED)
        assert Reader(s).reply()[0] == 200
        idle.append(s)
    with dial(service.http) as check:
        check.sendall(SMUGGLED)
        assert Reader(check).reply()[0] == 200
    assert idle[0].recv(1) == b""  # the one that was idle longest
    for s in idle:
        s.close()


def test_a_port_or_socket_in_use_is_an_error_that_names_it(start_service, service, tmp_path):
    second = start_service(folder=tmp_path / "second", http=service.http, wait=False)
    assert second.wait_exit() != 0
    assert f"cannot listen on {service.http}: the address is in use by another process" in second.log

    path = tmp_path / "http.sock"
    first = start_service(folder=tmp_path / "first", http=f"unix:{path}")
    third = start_service(folder=tmp_path / "third", http=f"unix:{path}", wait=False)
    assert third.wait_exit() != 0
    assert f"unix:{path} is in use by another process" in third.log
    with dial(first.http) as s:
        s.sendall(SMUGGLED)
        assert Reader(s).reply()[0] == 200
    first.kill()  # leaves socket and lock behind
    assert path.exists()
    fourth = start_service(folder=tmp_path / "first", http=f"unix:{path}")
    with dial(fourth.http) as s:
        s.sendall(SMUGGLED)
        assert Reader(s).reply()[0] == 200
    fourth.stop()
    assert not path.exists() and not pathlib.Path(f"{path}.lock").exists()


# --- TLS ---


def tls_context(authority, client=None, alpn=("http/1.1",)):
    context = ssl.create_default_context(cafile=authority.cert)
    context.set_alpn_protocols(list(alpn))
    if client:
        context.load_cert_chain(*client)
    return context


def whoami_over_tls(service, context):
    with dial(service.http) as plain, context.wrap_socket(plain, server_hostname="localhost") as s:
        s.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: h\r\n\r\n")
        status, _, body = Reader(s).reply()
        return status, json.loads(body), s.selected_alpn_protocol(), s.getpeercert()["serialNumber"]


@pytest.mark.parametrize("listener, alpn", [("http", "http/1.1"), ("grpc", "h2")])
def test_a_session_has_a_key_of_its_own_and_authenticated_encryption(start_service, tmp_path, listener, alpn):
    authority = certificates.Authority(tmp_path / "ca")
    cert, key = authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    service = start_service("--tls-cert-file", cert, "--tls-key-file", key)

    def cipher(names):
        context = tls_context(authority, alpn=(alpn,))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(names)
        with dial(getattr(service, listener)) as plain, context.wrap_socket(plain, server_hostname="localhost") as s:
            return s.cipher()[0]

    assert cipher("ECDHE+AESGCM") in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256")
    for weak in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"]:  # the certificate allows no other key exchange
        with pytest.raises((ssl.SSLError, ConnectionError)):
            cipher(weak)


def test_a_client_certificate_is_an_identity_and_certificates_reload(start_service, tmp_path):
    authority = certificates.Authority(tmp_path / "ca")
    stranger = certificates.Authority(tmp_path / "stranger", "stranger")
    cert, key = authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    alice = authority.issue("alice", "alice", "URI:spiffe://test/alice")
    mallory = stranger.issue("mallory", "alice", "URI:spiffe://test/alice")
    service = start_service("--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-ca-file",
                            authority.cert, "--tls-client-auth", "required",
                            "--mtls-identity", "spiffe://test/alice=alice@example.com:osmo-user")
    status, body, alpn, serial = whoami_over_tls(service, tls_context(authority, alice))
    assert (status, body["user"], alpn) == (200, "alice@example.com", "http/1.1")

    for client in (None, mallory):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            whoami_over_tls(service, tls_context(authority, client))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context = tls_context(authority, alice, alpn=["h2"])
        whoami_over_tls(service, context)

    good = key.read_bytes()
    key.write_text("half written")
    service.signal(signal.SIGHUP)
    wait_until(lambda: str(key) in service.log, "the log to name the file that is wrong")
    assert whoami_over_tls(service, tls_context(authority, alice))[3] == serial

    key.write_bytes(good)
    authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    service.signal(signal.SIGHUP)
    wait_until(lambda: whoami_over_tls(service, tls_context(authority, alice))[3] != serial,
               "the new certificate")


def mounted(folder, version, cert, key):
    """Certificate and key as Kubernetes mounts a Secret: links through a folder that is swapped whole."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    (data / "tls.crt").write_bytes(cert.read_bytes())
    (data / "tls.key").write_bytes(key.read_bytes())
    (folder / "..data.new").symlink_to(data.name)
    (folder / "..data.new").rename(folder / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    return folder / "tls.crt", folder / "tls.key"


@pytest.mark.parametrize("which", ["token-service", "token-gateway"])
def test_certificates_that_are_renewed_are_taken_without_a_signal(which, start_service, start_gateway, tmp_path):
    authority = certificates.Authority(tmp_path / "ca")
    secret = tmp_path / "secret"

    def renew(version, half=False):
        cert, key = authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
        if half:  # with the key of another certificate
            key = authority.issue("other", "other")[1]
        return mounted(secret, version, cert, key)

    cert, key = renew("1")
    options = ("--tls-cert-file", cert, "--tls-key-file", key)
    if which == "token-service":
        program_ = start_service(*options)
        listeners = [(program_.http, "http/1.1"), (program_.grpc, "h2")]
    else:
        program_ = start_gateway(start_service().grpc, *options)
        listeners = [(program_.http, "http/1.1")]

    def serials():
        found = set()
        for address, alpn in listeners:
            with dial(address) as plain, tls_context(authority, alpn=[alpn]).wrap_socket(
                    plain, server_hostname="localhost") as s:
                found.add(s.getpeercert()["serialNumber"])
        return found

    first = serials()
    assert len(first) == 1
    renew("2")
    wait_until(lambda: len(serials()) == 1 and serials() != first, "the new certificate")
    second = serials()
    renew("3", half=True)
    wait_until(lambda: "reload.failed" in program_.log, "the refusal")
    assert str(key) in program_.log
    assert serials() == second
    renew("4")
    wait_until(lambda: len(serials()) == 1 and serials() != second, "the certificate after the broken one")
    wait_until(lambda: program_.log.count("reload.files") == 2, "the line about it, which comes after")
    assert program_.log.count("reload.failed") == 1


# --- drain ---


def test_a_restart_under_load_loses_no_request(start_service):
    """Clients that keep their connections alive and reconnect when they are told to. Every request
    that was sent is answered, until nobody accepts any more."""
    service = start_service("--drain-delay", "300ms")
    lost, answered, stopping = [], [0] * 8, threading.Event()

    def client(i):
        s = replies = None
        while True:
            if s is None:
                try:
                    s = dial(service.http)
                except OSError:
                    if not stopping.is_set():
                        lost.append("refused before the stop")
                    return
                replies = Reader(s)
            try:
                s.sendall(SMUGGLED)
                status, headers, _ = replies.reply()
                assert status == 200
                answered[i] += 1
            except (OSError, AssertionError, ValueError) as error:
                lost.append(repr(error))
                return
            if headers.get("connection") == "close":
                s.close()
                s = None

    threads = [threading.Thread(target=client, args=(i,)) for i in range(len(answered))]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(n > 20 for n in answered), "every client to be at work")
    stopping.set()
    service.signal(signal.SIGTERM)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert service.wait_exit() == 0
    assert lost == []
