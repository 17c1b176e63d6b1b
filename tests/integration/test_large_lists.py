# SPDX-License-Identifier: Apache-2.0
"""Long lists, and clients that ask for them and do not read: what they may cost in memory."""

import concurrent.futures
import contextlib
import json
import re
import socket
import sqlite3
import threading

import pytest

from env import http1, program

LIST = "/api/auth/access_token/user"
LONG = 4_000 if program.SANITIZED else 50_000
MIB = 1 << 20


def fill(service, owner, count, description="", roles=("osmo-user",)):
    """Tokens as rows, for thousands of Sets would take long under a sanitizer. The service is stopped."""
    with contextlib.closing(sqlite3.connect(service.data_dir / "tokens.db")) as database, database:
        database.executemany(
            "INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, created_us, last_used_us)"
            " VALUES (randomblob(32), 0, ?, ?, ?, ?, 40000, 1, 0)",
            ((owner, f"token-{i:06}", description, json.dumps(list(roles))) for i in range(count)))


def memory(process, peak=False):
    """Bytes of memory in use, or the most that were since forget_peak()."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        name = "VmHWM:" if peak else "VmRSS:"
        return next(int(line.split()[1]) for line in status if line.startswith(name)) << 10


def forget_peak(process):
    with open(f"/proc/{process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


@contextlib.contextmanager
def peaks(processes):
    """A list that holds afterwards the most memory that each process had meanwhile."""
    result = []
    try:
        for each in processes:
            forget_peak(each)
    except PermissionError:  # what dumps no core is root's alone: looked at often instead
        done = threading.Event()
        seen = [0] * len(processes)

        def look():
            while not done.wait(0.002):
                seen[:] = [max(most, memory(each)) for most, each in zip(seen, processes)]

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield result
        finally:
            done.set()
            thread.join()
        result += seen
    else:
        yield result
        result += [memory(each, peak=True) for each in processes]


def ask(address, user):
    return http1.request(address, "GET", LIST, {"x-osmo-user": user, "x-osmo-roles": "osmo-user"})


def names(reply):
    return re.findall(rb'"token_name":"([^"]*)"', reply.body)


class Filled:
    """A service with a gateway in one of its two forms, and users `long` (with a list of LONG tokens), `longer`
    (more than a list may hold), `large` (large tokens) and `short` (three)."""

    def __init__(self, folder, form):
        service = program.TokenService(folder / "service")
        service.stop()
        fill(service, "long", LONG)
        fill(service, "longer", 4_500, "x" * 1024)
        fill(service, "large", 1000, "\u00e9" * 512, roles=[f"{i:0255}" for i in range(16)])
        fill(service, "short", 3)
        self.programs = [program.TokenService(folder / "service", "--trusted-proxy", "127.0.0.1/32")]
        if form == "over_grpc":
            self.programs.append(program.TokenGateway(folder / "gateway", self.programs[0].grpc,
                                                      "--trusted-proxy", "127.0.0.1/32"))
        self.address = self.programs[-1].http

    def stop(self):
        for each in reversed(self.programs):
            each.stop()


@pytest.fixture(scope="module", params=["in_process", "over_grpc"])
def filled(request, tmp_path_factory):
    result = Filled(tmp_path_factory.mktemp("lists"), request.param)
    yield result
    result.stop()


@contextlib.contextmanager
def bounded(filled, peak, after):
    """No program takes more than `peak` MiB meanwhile, and `after` MiB afterwards, than before."""
    ask(filled.address, "short")
    before = [memory(each) for each in filled.programs]
    with peaks(filled.programs) as most:
        yield
    if program.SANITIZED:
        return  # their allocators keep what is freed
    grown = [((high - was) / MIB, (memory(each) - was) / MIB)
             for each, was, high in zip(filled.programs, before, most)]
    assert all(high < peak and now < after for high, now in grown), grown


def test_a_long_list_is_whole_and_leaves_nothing_behind(filled):
    with bounded(filled, 110, 45):
        for _ in range(3):
            reply = ask(filled.address, "long")
            assert reply.status == 200
            assert names(reply) == [b"token-%06d" % i for i in range(LONG)]


def test_a_list_that_is_too_long_is_refused_and_says_what_to_do(filled):
    with bounded(filled, 60, 45):
        reply = ask(filled.address, "longer")
        assert reply.status == 400 and reply.json["code"] == 9, reply
        assert reply.json["message"] == (
            "There are more access tokens than a list without pages may hold (4 MiB): GET /v1/tokens lists them "
            "page by page.")
    assert len(names(ask(filled.address, "short"))) == 3


def test_pages_of_large_tokens_are_shorter_than_asked_for(filled):
    seen, page, pages = [], "", 0
    while True:
        reply = http1.request(filled.address, "GET", f"/v1/tokens?pageSize=1000&pageToken={page}",
                              {"x-osmo-user": "large", "x-osmo-roles": "osmo-user"})
        assert reply.status == 200 and len(reply.body) < 4 * MIB
        seen += [each["name"] for each in reply.json["tokens"]]
        page, pages = reply.json["nextPageToken"], pages + 1
        if not page:
            break
    assert seen == [f"token-{i:06}" for i in range(1000)] and pages > 2


def test_many_long_lists_at_a_time_are_bounded_together(filled):
    # what others asked for before counts until it is over
    program.wait_until(lambda: ask(filled.address, "long").status == 200, "a long list by itself")
    with bounded(filled, 250, 150), concurrent.futures.ThreadPoolExecutor(24) as threads:
        replies = list(threads.map(lambda _: ask(filled.address, "long"), range(32)))
        for reply in replies:
            if reply.status == 200:
                assert reply.body.count(b"token_name") == LONG
            else:  # or a machine that is busy took too long
                assert (reply.status, reply.json["code"]) in ((429, 8), (504, 4)), reply
                assert reply.status == 504 or reply["Retry-After"]
        assert 200 in {reply.status for reply in replies}
    assert ask(filled.address, "long").status == 200  # what was held is let go


def test_clients_that_do_not_read_cost_no_more_than_they_may(filled):
    request = f"GET {LIST} HTTP/1.1\r\nHost: a\r\nx-osmo-user: long\r\nx-osmo-roles: osmo-user\r\n\r\n".encode()
    # 64 MiB wait for the clients, beside what one reply takes on its way and what malloc keeps: 115 to 155 MiB in
    # ten runs. All fifty would be more than 400.
    with bounded(filled, 300, 240), contextlib.ExitStack() as stack:
        for _ in range(10 if program.SANITIZED else 50):
            client = stack.enter_context(contextlib.closing(socket.socket()))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host, _, port = filled.address.rpartition(":")
            client.connect((host, int(port)))
            client.sendall(request)
            client.recv(1)  # it has begun
        assert len(names(ask(filled.address, "short"))) == 3
        assert len(names(ask(filled.address, "long"))) == LONG
        metrics = http1.request(filled.address, "GET", "/metrics").body.decode()
        assert re.search(r"^gateway_http_given_up_total \d+$", metrics, re.M)  # how many the kernel's buffers decide
