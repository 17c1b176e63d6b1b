# SPDX-License-Identifier: Apache-2.0
"""The gRPC server of common/rpc, with a handler that shows what arrived (tests/lib/echo_server.c)."""

import contextlib
import gzip
import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import zlib

import grpc
import pytest

from env import certificates, h2raw, pb, program

SERVICE = "osmo.token.v1.TokenService"
MAX_MESSAGE = 1 << 20


class EchoServer(program.Program):
    def __init__(self, folder, *arguments, addresses=("127.0.0.1:0",)):
        super().__init__(folder, "echo_server", *arguments, *addresses,
                         path=program.BUILD / "tests/echo_server")

        def ready():
            assert self.process.poll() is None, self.log
            return "]" in self.out

        program.wait_until(ready, "echo_server")
        self.addresses = json.loads(self.out.splitlines()[0])
        self.address = self.addresses[0]

    @property
    def rss_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


@pytest.fixture
def start(tmp_path):
    started = []

    def start_one(*arguments, **keywords):
        started.append(EchoServer(tmp_path / f"echo{len(started)}", *arguments, **keywords))
        return started[-1]

    yield start_one
    for each in started:
        each.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    result = EchoServer(tmp_path_factory.mktemp("echo"), "--reflection", "--loops", "2")
    yield result
    result.stop()


@pytest.fixture(scope="module")
def channel(shared):
    with pb.channel(shared.address) as result:
        yield result


@pytest.fixture(scope="module")
def tokens(channel):
    return pb.Stub(channel, SERVICE)


def refused(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return caught.value


def raw(channel, method, **keywords):
    """A unary call whose request and answer are bytes."""
    return channel.unary_unary(f"/{SERVICE}/{method}", **keywords)


def watch(channel, service=""):
    call = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=pb.message("grpc.health.v1.HealthCheckResponse").FromString)
    return call(pb.message("grpc.health.v1.HealthCheckRequest")(service=service))


# Requests that are wrong

@pytest.mark.parametrize("path", ["/osmo.token.v1.TokenService/Nope", "/nope/Set", "/x", "/",
                                  "/grpc.health.v1.Health/Nope", "/osmo.token.v1.TokenService/Set/"])
def test_an_unknown_method_is_unimplemented(channel, path):
    error = refused(channel.unary_unary(path), b"")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == f"Unknown method '{path}'"


@pytest.mark.parametrize("body, field", [
    (b"\x0a\x02\xff\xfe", "name"), (b"\x0a\x03a\0b", "name"), (b"\x22\x01a\x22\x02\xc3\x28", "roles[1]")])
def test_text_that_is_no_text_names_its_field(channel, body, field):
    error = refused(raw(channel, "Set"), body)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    violation = pb.unpack(pb.details(error).details[0]).field_violations[0]
    assert violation.field == field


@pytest.mark.parametrize("body", [b"\xff", b"\x0a", b"\x0a\x05ab", b"\x0b", b"\x08\x01"])
def test_bytes_that_are_no_message_are_invalid(channel, body):
    assert refused(raw(channel, "Set"), body).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_largest_message_passes_and_one_byte_more_does_not(tokens):
    overhead = len(pb.message("osmo.token.v1.SetRequest")(description="x" * 1000000).SerializeToString()) - 1000000
    text = "x" * (MAX_MESSAGE - overhead)
    assert tokens.Set({"description": text}).secret == text
    assert refused(tokens.Set, {"description": text + "x"}).code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert tokens.Set({"description": "after"}).secret == "after"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_read(channel, compression):
    request = pb.message("osmo.token.v1.SetRequest")(description="words " * 1000)
    answer = raw(channel, "Set")(request.SerializeToString(), compression=compression)
    assert pb.message("osmo.token.v1.SetResponse").FromString(answer).secret == request.description


def test_a_message_that_is_too_large_is_not_to_be_sent_again(channel):
    request = pb.message("osmo.token.v1.SetRequest")(description="x" * (MAX_MESSAGE + 1)).SerializeToString()
    error = refused(raw(channel, "Set"), request, compression=grpc.Compression.Gzip)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [detail.type_url.rpartition("/")[2] for detail in pb.details(error).details] == [
        "google.rpc.QuotaFailure"]  # and no RetryInfo


@pytest.mark.parametrize("encoding, compress", [
    (b"gzip", gzip.compress), (b"deflate", zlib.compress)])
def test_a_compression_bomb_is_refused_before_it_grows(start, encoding, compress):
    server = start()
    before = server.rss_mib
    bomb = compress(b"\0" * (60 << 20), 9)
    message = b"\1" + len(bomb).to_bytes(4, "big") + bomb
    assert len(message) < 65535  # goes without waiting for a window
    with h2raw.Connection(server.address) as c:
        c.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, h2raw.request(
            f"/{SERVICE}/Set".encode(), (b"grpc-encoding", encoding))))
        for i in range(0, len(message), 16384):
            last = i + 16384 >= len(message)
            c.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM if last else 0, 1, message[i:i + 16384]))
        answer = c.answer(1)
    assert b"grpc-status\x018" in answer
    assert b"larger than 1048576 bytes" in answer.replace(b"%20", b" ")
    assert server.rss_mib < before + 20


def test_bytes_that_are_not_what_grpc_encoding_says_are_invalid(shared):
    body = b"\1\0\0\0\4junk"
    with h2raw.Connection(shared.address) as c:
        c.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, h2raw.request(
            f"/{SERVICE}/Set".encode(), (b"grpc-encoding", b"gzip"))))
        c.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, 1, body))
        assert b"grpc-status\x013" in c.answer(1)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0\x0ahalf"])
def test_a_message_that_is_missing_or_cut_short_is_an_error(shared, data):
    with h2raw.Connection(shared.address) as c:
        c.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, h2raw.request(f"/{SERVICE}/Set".encode())))
        c.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, 1, data))
        answer = c.answer(1)
    assert b"grpc-status" in answer and b"grpc-status\x010" not in answer


def test_metadata_past_the_limit_is_refused(shared, tokens):
    tokens.WhoAmI({}, metadata=[("x-filler", "y" * 30000)])
    with pb.channel(shared.address) as channel:
        error = refused(pb.Stub(channel, SERVICE).WhoAmI, {}, metadata=[("x-filler", "y" * 33000)])
    # gRPC refuses the call or, depending on how the bytes arrive, closes the connection.
    assert error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    tokens.WhoAmI({})


def test_garbage_frames_end_the_connection_and_nothing_else(shared, tokens):
    headers = h2raw.request(f"/{SERVICE}/Set".encode())
    garbage = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200),
        h2raw.PREFACE + h2raw.frame(h2raw.PING, 0, 0, b"12345678"),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + h2raw.frame(h2raw.DATA, 0, 1, b"x", length=0xFFFFFF),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0, b"12345"),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 7, b""),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + h2raw.frame(h2raw.HEADERS, 4, 2, headers),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + h2raw.frame(h2raw.HEADERS, 4, 1, b"\xff" * 50),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + h2raw.frame(h2raw.HEADERS, 0, 1, headers)
        + h2raw.frame(h2raw.PING, 0, 0, b"12345678"),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + h2raw.frame(h2raw.CONTINUATION, 4, 1, headers),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + h2raw.frame(h2raw.WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
        h2raw.PREFACE + h2raw.frame(h2raw.SETTINGS, 0, 0) + b"\0" * 5000,
        bytes(range(256)) * 40,
    ]
    for data in garbage:
        with h2raw.Connection(shared.address, hello=False) as c:
            with contextlib.suppress(OSError):  # the server may be quicker
                c.send(data)
                c.socket.shutdown(socket.SHUT_WR)
            for _ in c.frames():
                pass
        assert tokens.Set({"description": "alive"}).secret == "alive"


def test_a_request_that_is_no_grpc_is_no_call(shared, tokens):
    path = f"/{SERVICE}/Set".encode()
    for headers in (h2raw.request(path, method=b"GET"), h2raw.request(path, method=b"PUT"),
                    h2raw.hpack([(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"t")]),
                    h2raw.request(b"osmo.token.v1.TokenService/Set"), h2raw.request(b"/\xff\x01\n"),
                    h2raw.request(b"/" + b"x" * 9000)):
        with h2raw.Connection(shared.address) as c:
            c.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, headers))
            c.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, 1, b"\0\0\0\0\0"))
            assert b"grpc-status\x010" not in c.answer(1)
    assert tokens.Set({"description": "alive"}).secret == "alive"


def test_pings_in_a_flood_are_told_to_calm_down(start):
    server = start()
    with h2raw.Connection(server.address) as c:
        c.send(b"".join(h2raw.frame(h2raw.PING, 0, 0, i.to_bytes(8, "big")) for i in range(20)))
        kind, _, _, payload = c.until(h2raw.GOAWAY)
        assert kind == h2raw.GOAWAY and int.from_bytes(payload[4:8], "big") == 11  # ENHANCE_YOUR_CALM


# What a handler sees

def headers_seen(answer):
    return dict(role.rsplit("*", 1)[0].split("=", 1) for role in answer.roles)


def test_only_headers_of_the_list_arrive_and_identities_do_not(tokens):
    seen = tokens.WhoAmI({}, metadata=[
        ("authorization", "Bearer a"), ("x-osmo-auth", "b"), ("x-osmo-user", "root"), ("x-osmo-roles", "osmo-admin"),
        ("x-forwarded-for", "1.2.3.4"), ("x-osmo-user-bin", b"root"), ("x_osmo_user", "root"),
        ("x-request-id", "r"), ("traceparent", "t"), ("tracestate", "s"), ("x-osmo-client-version", "v"), ("other", "o")])
    assert set(headers_seen(seen)) == {
        "authorization", "x-osmo-auth", "x-osmo-client-version", "x-request-id", "traceparent", "tracestate", "user-agent"}


def test_identities_of_a_trusted_peer_arrive(start):
    with pb.channel(start("--trust").address) as channel:
        seen = headers_seen(pb.Stub(channel, SERVICE).WhoAmI({}, metadata=[
            ("x-osmo-user", "root"), ("x-osmo-roles", "osmo-admin"), ("x-forwarded-for", "1.2.3.4")]))
    assert seen["x-osmo-user"] == "root" and seen["x-osmo-roles"] == "osmo-admin"
    assert seen["x-forwarded-for"] == "1.2.3.4"


def test_a_header_that_comes_twice_is_counted(tokens):
    roles = tokens.WhoAmI({}, metadata=[("authorization", "one"), ("authorization", "two")]).roles
    assert "authorization=one*2" in roles


def test_answers_carry_their_headers_and_errors_their_details(channel, tokens):
    call = raw(channel, "Set")
    _, done = call.with_call(b"", metadata=[("x-request-id", "r-1")])
    initial = dict(done.initial_metadata())
    assert "x-request-id" not in initial  # just errors tell it: see below
    assert initial["cache-control"] == "no-store"
    assert initial["x-osmo-service-version"] == "1.2.3"
    error = refused(tokens.List, {"filter": "fail 3 caf\u00e9: not so"}, metadata=[("x-request-id", "r-2")])
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "caf\u00e9: not so")
    trailing = dict(error.trailing_metadata())
    assert trailing["x-request-id"] == "r-2" and trailing["www-authenticate"] == 'Bearer realm="echo"'
    details = pb.details(error)
    assert (details.code, details.message) == (3, "caf\u00e9: not so")
    kinds = [any_message.type_url.rpartition("/")[2] for any_message in details.details]
    assert kinds == ["google.rpc.BadRequest"]  # RequestInfo is for errors that are our fault


def test_every_code_arrives(tokens):
    codes = {code.value[0]: code for code in grpc.StatusCode}
    for number in range(1, 17):
        error = refused(tokens.List, {"filter": f"fail {number} why"})
        hidden = codes[number].name in ("UNKNOWN", "INTERNAL", "DATA_LOSS")
        assert error.code() == codes[number]
        assert re.fullmatch(r"internal error(, request id \S+)?" if hidden else "why", error.details())


def test_a_message_with_spaces_around_it_makes_no_header_that_is_refused(shared, tokens):
    """RFC 9113, 8.2.1: a value begins and ends with no space. The details have the whole text."""
    text = "\u00e9: not so,  "
    error = refused(tokens.List, {"filter": f"fail 3 {text}"})
    assert (error.details(), pb.details(error).message) == (text.strip(), text)
    body = pb.message("osmo.token.v1.ListRequest")(filter="fail 5 ends so:  ").SerializeToString()
    with h2raw.Connection(shared.address) as c:
        c.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, h2raw.request(f"/{SERVICE}/List".encode())))
        c.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, 1, b"\0" + len(body).to_bytes(4, "big") + body))
        assert b"\x0cgrpc-message\x08ends so:" in c.answer(1)


# Time, cancellation, load

def cancelled_count(tokens):
    return int(tokens.List({}).next_page_token.split()[0])


def wait_asleep(tokens, n):
    program.wait_until(lambda: tokens.List({}).next_page_token.split()[1] == str(n), f"{n} sleepers")


def test_a_call_past_its_deadline_is_cancelled(tokens):
    before = cancelled_count(tokens)
    error = refused(tokens.List, {"filter": "sleep 20000"}, timeout=0.2)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    program.wait_until(lambda: cancelled_count(tokens) > before, "the cancellation")


def test_a_cancelled_call_is_heard_of(channel, tokens):
    before = cancelled_count(tokens)
    request = pb.message("osmo.token.v1.ListRequest")(filter="sleep 20000")
    call = raw(channel, "List").future(request.SerializeToString())
    wait_asleep(tokens, 1)
    call.cancel()
    program.wait_until(lambda: cancelled_count(tokens) > before, "the cancellation")


def test_a_connection_that_breaks_cancels_its_calls(shared, tokens):
    before = cancelled_count(tokens)
    body = pb.message("osmo.token.v1.ListRequest")(filter="sleep 20000").SerializeToString()
    with h2raw.Connection(shared.address) as c:
        for stream in (1, 3, 5):
            c.send(h2raw.frame(h2raw.HEADERS, 4, stream, h2raw.request(f"/{SERVICE}/List".encode())))
            c.send(h2raw.frame(h2raw.DATA, 1, stream, b"\0" + len(body).to_bytes(4, "big") + body))
        wait_asleep(tokens, 3)
    program.wait_until(lambda: cancelled_count(tokens) == before + 3, "three cancellations")


def call_many(channel, n, method="Set", body=b""):
    """n calls, 100 at once; the codes that they ended with."""
    slots, codes = threading.Semaphore(100), []
    call = raw(channel, method)

    def done(future):
        codes.append(future.code())
        slots.release()

    for _ in range(n):
        slots.acquire()
        call.future(body, timeout=program.PATIENCE_S).add_done_callback(done)
    for _ in range(100):
        slots.acquire()
    return codes


@pytest.mark.parametrize("method", ["Set", "WhoAmI"])
def test_ten_thousand_calls_are_answered(channel, method):
    n = 2000 if program.SANITIZED else 10000
    assert call_many(channel, n, method) == [grpc.StatusCode.OK] * n


def segments_received(connection):
    info = connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("=I", info, 156)[0]  # tcpi_data_segs_in of struct tcp_info


def test_calls_that_come_together_are_answered_together(start):
    """What came in one segment is answered in a few, not in one for each call (common/rpc/core_context.h)."""
    calls, rounds = 40, 20
    call = h2raw.request(f"/{SERVICE}/WhoAmI".encode())
    least = calls
    with h2raw.Connection(start().address) as c:
        for i in range(rounds):
            streams = range(2 * calls * i + 1, 2 * calls * (i + 1), 2)
            before = segments_received(c)
            c.send(b"".join(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, stream, call) +
                            h2raw.frame(h2raw.DATA, h2raw.END_STREAM, stream, bytes(5)) for stream in streams))
            messages, ended = [], set()
            while len(ended) < calls:
                kind, flags, stream, _ = c.until(h2raw.HEADERS, h2raw.DATA, h2raw.RST_STREAM)
                assert kind != h2raw.RST_STREAM
                if kind == h2raw.DATA:
                    messages.append(stream)
                elif flags & h2raw.END_STREAM:
                    ended.add(stream)
            assert sorted(messages) == list(streams) and ended == set(streams)
            least = min(least, segments_received(c) - before)
    assert least <= calls / 4


def test_more_calls_than_streams_wait_their_turn(channel):
    request = pb.message("osmo.token.v1.ListRequest")(filter="sleep 50").SerializeToString()
    calls = [raw(channel, "List").future(request) for _ in range(300)]
    assert all(call.code() == grpc.StatusCode.OK for call in calls)


def test_past_the_limit_of_calls_the_rest_is_refused_at_once(start):
    server = start("--max-calls", "4")
    with pb.channel(server.address) as channel:
        sleep = pb.message("osmo.token.v1.ListRequest")(filter="sleep 20000").SerializeToString()
        sleepers = [raw(channel, "List").future(sleep) for _ in range(10)]
        program.wait_until(lambda: sum(each.done() for each in sleepers) == 6, "six refusals")
        codes = [each.code() for each in sleepers if each.done()]
        assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 6
        error = refused(raw(channel, "WhoAmI"), b"")
        assert any("RetryInfo" in detail.type_url for detail in pb.details(error).details)
        for each in sleepers:
            each.cancel()

        def room():
            code = raw(channel, "WhoAmI").future(b"").code()
            assert code in (grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED)
            return code == grpc.StatusCode.OK

        program.wait_until(room, "room")


def test_a_drain_loses_no_call(start):
    """Two servers, one goes away under load: the client hears of it in time."""
    stays, goes = start(), start()
    target = f"ipv4:{stays.address},{goes.address}"
    options = [("grpc.lb_policy_name", "round_robin"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(target, options=options) as channel:
        call_many(channel, 500)
        codes = []
        load = threading.Thread(target=lambda: codes.extend(call_many(channel, 4000)))
        load.start()
        time.sleep(0.1)
        goes.stop()
        load.join()
    assert codes == [grpc.StatusCode.OK] * 4000


def test_a_drain_waits_for_calls_and_then_no_longer(start):
    server = start("--grace-ms", "3000")
    with pb.channel(server.address) as channel:
        def sleep(ms):
            request = pb.message("osmo.token.v1.ListRequest")(filter=f"sleep {ms}")
            return raw(channel, "List").future(request.SerializeToString())

        short, long = sleep(1000), sleep(60000)
        time.sleep(0.5)  # both have come
        server.stop()
        assert short.code() == grpc.StatusCode.OK
        assert long.code() == grpc.StatusCode.UNAVAILABLE


# Health and reflection

def test_health_of_server_and_service_and_of_nobody(channel):
    health = pb.Stub(channel, "grpc.health.v1.Health")
    assert health.Check({}).status == 1
    assert health.Check({"service": SERVICE}).status == 1
    assert refused(health.Check, {"service": "nobody"}).code() == grpc.StatusCode.NOT_FOUND


def test_a_watch_hears_each_change_and_the_end(start):
    server = start()
    with pb.channel(server.address) as channel:
        whole, service, nobody = watch(channel), watch(channel, SERVICE), watch(channel, "nobody")
        assert [next(w).status for w in (whole, service, nobody)] == [1, 1, 3]
        server.signal(signal.SIGUSR1)
        assert [next(whole).status, next(service).status] == [2, 2]
        server.signal(signal.SIGUSR1)
        assert [next(whole).status, next(service).status] == [1, 1]
        nobody.cancel()
        server.signal(signal.SIGTERM)
        error = refused(lambda: [list(whole), list(service)])
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        server.wait_exit()


def test_watches_are_bounded(start):
    with pb.channel(start("--max-watchers", "2").address) as channel:
        first, second = watch(channel), watch(channel)
        next(first), next(second)
        error = refused(next, watch(channel))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()

        def room():
            third = watch(channel)
            try:
                return next(third).status == 1
            except grpc.RpcError:
                return False
            finally:
                third.cancel()

        program.wait_until(room, "the place of the first")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_tells_services_and_files(channel, version):
    request = pb.message(f"grpc.reflection.{version}.ServerReflectionRequest")
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=pb.message(f"grpc.reflection.{version}.ServerReflectionResponse").FromString)
    answers = list(call(iter([request(list_services="*"), request(file_containing_symbol=SERVICE),
                              request(file_by_filename="nothing.proto"), request()])))
    names = {service.name for service in answers[0].list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health", f"grpc.reflection.{version}.ServerReflection"} <= names
    assert b"TokenService" in answers[1].file_descriptor_response.file_descriptor_proto[0]
    assert [answers[2].error_response.error_code, answers[3].error_response.error_code] == [5, 3]


def test_reflection_is_off_unless_asked_for(start):
    with pb.channel(start().address) as channel:
        call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        assert refused(next, call(iter([b""]))).code() == grpc.StatusCode.UNIMPLEMENTED


# Addresses and TLS

def test_one_server_listens_on_many_addresses(start, tmp_path):
    path = f"unix:{tmp_path}/echo.sock"
    server = start(addresses=["127.0.0.1:0", "[::1]:0", path, "localhost:0"])
    peers = []
    for address in server.addresses:
        with pb.channel(address) as channel:
            peers.append(pb.Stub(channel, SERVICE).WhoAmI({}).token_name)
    assert peers[0].startswith("127.0.0.1:") and peers[1].startswith("[::1]:")
    assert peers[2] == "unix" and peers[3].startswith("127.0.0.1:")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("ca"))


def secure_channel(server, ca_cert, client=None):
    files = [path.read_bytes() for path in client] if client else [None, None]
    credentials = grpc.ssl_channel_credentials(
        ca_cert.read_bytes(), private_key=files[1], certificate_chain=files[0])
    return grpc.secure_channel(
        server.address.replace("127.0.0.1", "localhost"), credentials,
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)])


def tls_arguments(server_files, ca_cert=None, client_auth=0):
    arguments = ["--cert", server_files[0], "--key", server_files[1]]
    return arguments + (["--client-ca", ca_cert, "--client-auth", str(client_auth)] if ca_cert else [])


@pytest.mark.parametrize("common_name, alt_names, identity", [
    ("alice", "", "alice"),
    ("alice", "DNS:a.example,URI:https://id.example/alice", "https://id.example/alice"),
    ("alice", "URI:spiffe://example.org/sa/alice", "spiffe://example.org/sa/alice"),
    ("alice", "URI:spiffe://example.org/a,URI:spiffe://example.org/b", ""),
])
def test_a_client_certificate_names_its_holder(start, ca, common_name, alt_names, identity):
    server = start(*tls_arguments(ca.issue("server", "localhost", "DNS:localhost"), ca.cert, 2))
    client = ca.issue("client", common_name, alt_names)
    with secure_channel(server, ca.cert, client) as channel:
        assert pb.Stub(channel, SERVICE).WhoAmI({}).user == identity


def test_a_required_client_certificate_must_be_there_and_verify(start, ca, tmp_path):
    server = start(*tls_arguments(ca.issue("server", "localhost", "DNS:localhost"), ca.cert, 2))
    stranger = certificates.Authority(tmp_path / "other", "other").issue("client", "mallory")
    for client in (None, stranger):
        with secure_channel(server, ca.cert, client) as channel:
            error = refused(pb.Stub(channel, SERVICE).WhoAmI, {}, timeout=5)
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_an_optional_client_certificate_may_be_missing_but_not_wrong(start, ca, tmp_path):
    server = start(*tls_arguments(ca.issue("server", "localhost", "DNS:localhost"), ca.cert, 1))
    with secure_channel(server, ca.cert) as channel:
        assert pb.Stub(channel, SERVICE).WhoAmI({}).user == ""
    stranger = certificates.Authority(tmp_path / "other", "other").issue("client", "mallory")
    with secure_channel(server, ca.cert, stranger) as channel:
        error = refused(pb.Stub(channel, SERVICE).WhoAmI, {}, timeout=5)
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def served_certificate(address):
    pem = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-alpn", "h2"], input=b"", capture_output=True,
        timeout=program.PATIENCE_S, check=False).stdout
    return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True,
                          check=True).stdout.decode()


def test_certificates_are_reloaded_and_wrong_ones_are_not(start, ca):
    cert, key = ca.issue("reloaded", "first.example", "DNS:localhost")
    server = start(*tls_arguments((cert, key)))
    with secure_channel(server, ca.cert) as channel:
        tokens = pb.Stub(channel, SERVICE)
        tokens.WhoAmI({})
        assert "first.example" in served_certificate(server.address)

        def reload():
            lines = len(server.out.splitlines())
            server.signal(signal.SIGHUP)
            program.wait_until(lambda: len(server.out.splitlines()) > lines, "the reload")
            return server.out.splitlines()[-1]

        ca.issue("reloaded", "second.example", "DNS:localhost")
        assert reload() == "reloaded"
        assert "second.example" in served_certificate(server.address)
        cert.write_text("no certificate")
        assert str(cert) in reload()
        assert "second.example" in served_certificate(server.address)
        ca.issue("other", "third.example", "DNS:localhost")
        cert.write_bytes((ca.folder / "other.crt").read_bytes())  # of another key
        assert str(key) in reload()
        assert "second.example" in served_certificate(server.address)
        tokens.WhoAmI({})  # over the connection of the beginning


def test_tls_speaks_to_nobody_in_plain_text(start, ca):
    server = start(*tls_arguments(ca.issue("server", "localhost", "DNS:localhost")))
    with pb.channel(server.address) as channel:
        assert refused(pb.Stub(channel, SERVICE).WhoAmI, {}).code() == grpc.StatusCode.UNAVAILABLE
