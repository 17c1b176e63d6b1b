# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, silent, endless or gone, by the hundred: others are served meanwhile, and afterwards
nothing of them is left."""

import contextlib
import re
import resource
import socket
import struct

import pytest

from env import http1, pb, program

MANY = 100 if program.SANITIZED else 400
MIB = 1 << 20
GET = b"GET /v1/whoami HTTP/1.1\r\nHost: a\r\n\r\n"


class Slow:
    """A service with a gateway in one of its two forms."""

    def __init__(self, folder, form):
        options = ("--header-timeout", "2s", "--body-timeout", "2s", "--idle-timeout", "10m", "--max-connections",
                   "12000")
        self.service = program.TokenService(folder / "service", *options)
        self.programs = [self.service]
        if form == "over_grpc":
            self.programs.append(program.TokenGateway(folder / "gateway", self.service.grpc, *options))
        self.front = self.programs[-1]
        self.address = self.front.http

    def dial(self):
        return http1.dial(self.address)

    def gauge(self, name):
        metrics = http1.request(self.address, "GET", "/metrics").body.decode()
        return int(re.search(rf"^{name} (\d+)$", metrics, re.M)[1])

    def wait_alone(self):
        """Until the one connection that asks is the only one."""
        program.wait_until(lambda: self.gauge("gateway_http_connections") == 1, "an end of the connections")
        assert self.gauge("gateway_http_requests_in_flight") <= 1

    def serves(self):
        """It answers as ever, on new connections."""
        assert http1.request(self.address, "GET", "/healthz").status == 200
        assert http1.request(self.address, "GET", "/readyz").status == 200
        who = http1.request(self.address, "GET", "/v1/whoami", token=self.service.admin_token)
        assert who.json["user"] == "admin"

    def stop(self):
        for each in reversed(self.programs):
            each.stop()


@pytest.fixture(scope="module", params=["in_process", "over_grpc"])
def slow(request, tmp_path_factory):
    result = Slow(tmp_path_factory.mktemp("slow"), request.param)
    yield result
    result.stop()


def memory(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) << 10


def everything(s):
    """What comes until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := s.recv(65536):
            data += part
    return data


@pytest.mark.parametrize("beginning", [b"GET / HTTP/1.1\r\nHost: a\r\nx: ",
                                       b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"])
def test_requests_that_drip_hinder_nobody_and_end(slow, beginning):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(slow.dial()) for _ in range(MANY)]
        for s in clients:
            s.sendall(beginning)
        for _ in range(5):
            for s in clients:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended before
                    s.sendall(b"y")
            slow.serves()
        for s in clients:
            data = everything(s)
            assert not data or data.startswith(b"HTTP/1.1 408 "), data
    slow.wait_alone()


def idle_connections(slow, count):
    """That many, which were served once; then they leave."""
    before = memory(slow.front)
    with contextlib.ExitStack() as stack:
        for i in range(count):
            s = stack.enter_context(slow.dial())
            s.sendall(GET)
            assert s.recv(65536).startswith(b"HTTP/1.1 401 ")
            if i % 1000 == 0:
                slow.serves()
        assert slow.gauge("gateway_http_connections") == count + 1
        slow.serves()
        with pb.channel(slow.service.grpc) as channel:
            assert pb.Stub(channel, "osmo.token.v1.TokenService").WhoAmI(
                {}, token=slow.service.admin_token).user == "admin"
        assert program.SANITIZED or memory(slow.front) - before < count * 24 * 1024 + 8 * MIB
    slow.wait_alone()


def test_idle_connections_hinder_nobody(slow):
    idle_connections(slow, MANY * 2)


@pytest.mark.long
def test_ten_thousand_idle_connections_hinder_nobody(slow):
    if program.SANITIZED:
        return idle_connections(slow, 2000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return idle_connections(slow, 10000)


def test_a_thousand_requests_ahead_are_answered_in_order(slow):
    with http1.Connection(slow.address, slow.service.admin_token) as c:
        for _ in range(1 if program.SANITIZED else 5):
            c.send("".join(f"GET {'/v1/roles/r' if i % 2 else '/nope'} HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-{i}\r\n"
                           f"Authorization: Bearer {c.token}\r\n\r\n" for i in range(1000)))
            for i in range(1000):
                reply = c.reply()
                assert (reply.status, reply["X-Request-Id"]) == (404, f"r-{i}"), reply
    slow.wait_alone()


@pytest.mark.parametrize("line", [b"x" * 4096, b"x: " + b"y" * 4091 + b"\r\n", b"GET /" + b"z" * 4091])
def test_a_head_without_end_is_refused_at_its_bound(slow, line):
    before = memory(slow.front)
    for _ in range(3):
        with slow.dial() as s:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(b"" if line.startswith(b"GET") else b"GET / HTTP/1.1\r\nHost: a\r\n")
                for _ in range(4096):
                    s.sendall(line)
            data = everything(s)
            assert not data or re.match(rb"HTTP/1\.1 (400|414|431) ", data), data[:200]
    assert program.SANITIZED or memory(slow.front) - before < 8 * MIB
    slow.serves()
    slow.wait_alone()


def test_clients_that_close_one_half_get_what_they_asked_for(slow):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(slow.dial()) for _ in range(MANY)]
        for i, s in enumerate(clients):
            s.sendall(GET * 2 if i % 2 else GET[:-2])  # every other one never ends
            s.shutdown(socket.SHUT_WR)
        for i, s in enumerate(clients):
            assert len(re.findall(rb"HTTP/1\.1 401 ", everything(s))) == (2 if i % 2 else 0)
    slow.wait_alone()
    slow.serves()


def test_clients_that_break_off_leave_nothing_behind(slow):
    for sent in (b"", GET[:10], GET, GET * 50, b"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"):
        for _ in range(MANY // 4):
            with slow.dial() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no goodbye
                s.sendall(sent)
    slow.wait_alone()
    slow.serves()
