# SPDX-License-Identifier: Apache-2.0
"""Our interfaces as programs of others find them: judges of protocols and schemas, and the proxies that
stand in front of services like ours."""

import concurrent.futures
import contextlib
import gzip
import json
import re
import urllib.parse
import xml.etree.ElementTree

import grpc
import pytest

from env import http1, judges, pb, program

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
TOKENS = "osmo.token.v1.TokenService"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    result = program.TokenService(tmp_path_factory.mktemp("judged"), "--reflection", "--access-log",
                                  "--trusted-proxy", "127.0.0.1/32")
    yield result
    result.stop()


@pytest.fixture(scope="module", params=["in_process", "over_grpc"])
def gateway(request, service, tmp_path_factory):
    """The address of a gateway in one of its two forms."""
    if request.param == "in_process":
        yield service.http
        return
    result = program.TokenGateway(tmp_path_factory.mktemp("judged"), service.grpc,
                                  "--trusted-proxy", "127.0.0.1/32")
    yield result.http
    result.stop()


# HTTP/2: h2spec

# It speaks to gRPC C core, and sends GET requests, which are no gRPC. What core does in its own way, as a
# pattern of "section: case" and why it does no harm. Which of these pass depends on its version.
OF_CORE = {
    r"generic/2: .*half-closed|http2/5\.1: |http2/5\.1\.1: |http2/6\.[1-4]: .*(0x0|idle|not in \"open\")|"
    r"http2/8\.2: ": "frames of a stream that is not open are dropped where an error is asked for",
    r"http2/6\.[78]: .*other than 0x0|http2/5\.4\.1: ": "PING and GOAWAY are read whatever stream they name",
    r"http2/5\.3\.1: |http2/6\.3: .*length": "priorities mean nothing to it, and are not read",
    r"http2/6\.[12]: .*pad length": "frames with padding are dropped",
    r"http2/4\.1: .*(undefined flag|reserved field)": "such a PING ends the connection",
    r"http2/5\.1\.2: |http2/8\.1: ": "the call, which is no gRPC, was answered before the offence came",
    r"http2/6\.9\.1: .*2\^31-1": "a window that overflows ends the stream or is capped",
    r"http2/8\.1\.2(\.[123])?: ": "a call with such headers is refused by a status instead of RST_STREAM",
    r"http2/8\.1\.2\.6: ": "content-length is not looked at; messages have lengths of their own",
    r"hpack/5\.2: .*padd": "bad Huffman code ends the stream instead of the connection",
}


def h2spec(address, report, *arguments):
    """Run it; returns all cases and those of them that failed."""
    host, _, port = address.rpartition(":")
    judges.run("h2spec", "-h", host, "-p", port, "-P", f"/{TOKENS}/WhoAmI", "-j", report, *arguments, timeout_s=500)
    cases = {f"{case.get('package')}: {case.get('classname')}": case
             for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase")}
    return set(cases), {name for name, case in cases.items()
                        if case.find("error") is not None or case.find("failure") is not None}


def test_h2spec_finds_what_it_finds_in_grpc_core_and_no_more(service, tmp_path):
    cases, failed = h2spec(service.grpc, tmp_path / "report.xml", "-o", "1")
    assert len(cases) >= 140
    unexpected = {name for name in failed if not any(re.match(pattern, name) for pattern in OF_CORE)}
    for section in {name.split(":")[0] for name in unexpected}:  # which a busy machine fails too: with patience
        unexpected &= h2spec(service.grpc, tmp_path / "again.xml", "-o", "10", section)[1] | {
            name for name in unexpected if not name.startswith(f"{section}:")}
    assert unexpected == set()
    assert len(cases) - len(failed) >= 85, failed
    with pb.channel(service.grpc) as channel:
        assert pb.Stub(channel, TOKENS).WhoAmI({}, token=service.admin_token).user == "admin"


# gRPC without proto files: grpcurl

def test_grpcurl_works_without_proto_files(service, unique):
    def grpcurl(*arguments):
        return judges.run("grpcurl", "-plaintext", *arguments)

    def call(method, **request):
        return grpcurl("-H", f"authorization: Bearer {service.admin_token}", "-d", json.dumps(request),
                       service.grpc, f"{TOKENS}/{method}")

    services = grpcurl(service.grpc, "list").stdout.split()
    assert {TOKENS, "osmo.token.v1.AuthService", "grpc.health.v1.Health"} <= set(services)
    for each in services:
        assert f"{each} is a service" in grpcurl(service.grpc, "describe", each).stdout
        for method in grpcurl(service.grpc, "list", each).stdout.split():
            assert f"{method} is a method" in grpcurl(service.grpc, "describe", method).stdout
    assert "google.api.http" in grpcurl(service.grpc, "describe", TOKENS).stdout

    name = unique()
    made = json.loads(call("Set", name=name, description="d").stdout)
    assert made["token"]["name"] == name and made["secret"]
    assert json.loads(call("WhoAmI").stdout)["user"] == "admin"
    assert name in [t["name"] for t in json.loads(call("List", page_size=1000).stdout)["tokens"]]
    again = call("Set", name=name)
    assert again.returncode != 0 and "AlreadyExists" in again.stderr
    assert call("Delete", name=name).returncode == 0
    refused = grpcurl(service.grpc, f"{TOKENS}/WhoAmI")
    assert refused.returncode != 0 and "Unauthenticated" in refused.stderr
    wrong = call("Set", name="1")
    assert "InvalidArgument" in wrong.stderr and "google.rpc.BadRequest" in wrong.stderr  # details are read too
    health = grpcurl(service.grpc, "grpc.health.v1.Health/Check").stdout
    assert json.loads(health) == {"status": "SERVING"}


# The HTTP API: a validator of OpenAPI, and requests made from what it says

def test_the_description_of_the_api_is_valid_openapi(gateway, tmp_path):
    (tmp_path / "openapi.json").write_bytes(http1.request(gateway, "GET", "/openapi.json").body)
    done = judges.run("openapi-spec-validator", "--schema", "3.0", tmp_path / "openapi.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_answers_are_what_the_description_of_the_api_says(service, gateway, tmp_path):
    environment = {"ADMIN_TOKEN": service.admin_token, "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                   "PYTHONPATH": str(program.ROOT / "tests/judges"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = judges.run("schemathesis", "run", f"http://{gateway}/openapi.json", "--report", "json",
                      "--report-json-path", tmp_path / "report.json", "--checks", "all", "--exclude-checks",
                      # what is well-formed is not always acceptable; the other one is ours to soften
                      "positive_data_acceptance,negative_data_rejection", "--continue-on-failure",
                      "--max-examples", "15" if program.SANITIZED else "60", "--generation-database", "none",
                      "--no-color", "-H", f"Authorization: Bearer {service.admin_token}",
                      timeout_s=500, cwd=tmp_path, env=environment)
    report = json.loads((tmp_path / "report.json").read_text())
    assert done.returncode == 0 and report["failures"] == [] and report["errors"] == [], done.stdout
    assert report["operations"]["tested"] == report["operations"]["total"] > 30, done.stdout
    assert report["warnings"]["missing_auth"] == [], done.stdout
    assert "INTERNAL" not in service.log
    assert service.process.poll() is None


# Proxies

@pytest.fixture(scope="module")
def nginx(service, gateway, tmp_path_factory):
    result = judges.Nginx(tmp_path_factory.mktemp("nginx"), gateway, service.grpc)
    result.gateway = gateway
    yield result
    result.stop()


@pytest.fixture(scope="module")
def envoy(service, gateway, tmp_path_factory):
    result = judges.Envoy(tmp_path_factory.mktemp("envoy"), gateway, service.grpc)
    result.gateway = gateway
    yield result
    result.stop()


@pytest.fixture(scope="module", params=[judges.Nginx, judges.Envoy], ids=["nginx", "envoy"])
def proxy(request, service, gateway, tmp_path_factory):
    result = request.param(tmp_path_factory.mktemp("proxy"), gateway, service.grpc)
    result.gateway = gateway
    yield result
    result.stop()


def accepted(gateway):
    """How many connections it has accepted, with the one that asks."""
    metrics = http1.request(gateway, "GET", "/metrics").body.decode()
    return int(re.search(r"^gateway_http_accepted_total (\d+)$", metrics, re.M)[1])


def test_a_proxy_passes_requests_of_every_form(proxy, service, unique):
    name = unique()
    body = json.dumps({"name": name, "description": "x" * 1024}).encode()
    json_type = ("Content-Type", "application/json")
    with http1.Connection(proxy.http, service.admin_token) as c:
        made = c.request("POST", "/v1/tokens", [json_type], body)
        assert made.status == 200 and made.json["token"]["name"] == name, made
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
        again = c.request("POST", "/v1/tokens", [json_type, ("Transfer-Encoding", "chunked")], chunks + b"0\r\n\r\n")
        assert again.status == 409, again
        packed = c.request("POST", "/v1/tokens", [json_type, ("Content-Encoding", "gzip")], gzip.compress(body))
        assert packed.status == 409, packed
        c.send(f"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {c.token}\r\nExpect: 100-continue\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        assert c.reply(informational=True).status == 100
        c.send(body)
        assert c.reply().status == 409
        head, got = c.request("HEAD", "/v1/whoami"), c.get("/v1/whoami")
        assert head.status == got.status == 200 and head["Content-Length"] in (None, str(len(got.body)))
        listed = c.get("/v1/tokens?pageSize=1000", Accept_Encoding="gzip")
        assert listed["Content-Encoding"] == "gzip" and name in gzip.decompress(listed.body).decode()
        large = b'{"slack_notification":true,"pad":"' + b"x" * ((1 << 20) - 36) + b'"}'
        assert c.request("POST", "/api/profile/settings", [json_type], large).status == 200
        assert c.request("DELETE", f"/v1/tokens/{name}").status == 200
        for target, status in [("/v1/nope", 404), ("/v1/tokens?colour=red", 400), ("/v1/roles/%ff", 400)]:
            reply = c.get(target)
            assert reply.status == status and {"code", "message", "details"} <= set(reply.json), (target, reply)
        assert c.request("PATCH", "/v1/tokens").status == 405
    with http1.Connection(proxy.http, service.admin_token) as c:
        c.send(f"POST /api/profile/settings HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {c.token}\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(large) + 1}\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer does not wait for the end
            c.send(large + b" ")
        assert c.reply().status == 413


def test_a_proxy_keeps_its_connections_to_the_gateway(proxy, service):
    before = accepted(proxy.gateway)

    def ask(_):
        with http1.Connection(proxy.http, service.admin_token) as c:
            return [c.get(path).status for path in ["/v1/whoami", "/v1/nope", "/healthz", "/v1/tokens?x=1"] * 25]

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for statuses in threads.map(ask, range(4)):
            assert statuses == [200, 404, 200, 400] * 25
    assert accepted(proxy.gateway) - before < 20


def test_a_proxy_that_is_trusted_says_who_calls(nginx, service):
    who = http1.request(nginx.http, "GET", "/as-ann/v1/whoami", {"x-osmo-user": "root", "x-osmo-roles": "osmo-admin"})
    assert who.status == 200 and (who.json["user"], who.json["roles"]) == ("ann", ["osmo-user"]), who


def test_grpc_goes_through_a_proxy(proxy, service, unique):
    with pb.channel(proxy.grpc) as channel:
        tokens, name = pb.Stub(channel, TOKENS), unique()
        assert tokens.Set({"name": name}, token=service.admin_token).token.name == name
        with pytest.raises(grpc.RpcError) as caught:
            tokens.Set({"name": name}, token=service.admin_token)
        assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS and name in caught.value.details()
        with pytest.raises(grpc.RpcError) as caught:
            tokens.Set({"name": "1"}, token=service.admin_token)
        assert pb.unpack(pb.details(caught.value).details[0]).field_violations[0].field == "name"
        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            calls = [threads.submit(tokens.WhoAmI, {}, token=service.admin_token) for _ in range(500)]
            assert {call.result().user for call in calls} == {"admin"}
        assert tokens.Delete({"name": name}, token=service.admin_token)


def test_a_watch_of_health_goes_through_a_proxy(proxy):
    with pb.channel(proxy.grpc) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch",
                                     response_deserializer=pb.message("grpc.health.v1.HealthCheckResponse").FromString)
        call = watch(b"", timeout=program.PATIENCE_S)
        assert next(call).status == 1
        call.cancel()


def test_envoy_finds_service_and_gateway_healthy(envoy):
    program.wait_until(lambda: set(envoy.health().values()) == {"healthy"}, "two healthy members")


# Envoy's transcoder reads the same annotations, so the two gateways must agree on what is right in form. (It
# ignores what it does not know, and leaves out what is not set.)
SEQUENCES = [
    [("GET", "/v1/whoami", None)],
    [("POST", "/v1/tokens", {"name": "NAME", "description": "d"}), ("POST", "/v1/tokens", {"name": "NAME"}),
     ("GET", "/v1/tokens?pageSize=5&filter=" + urllib.parse.quote('name = "NAME"'), None),
     ("DELETE", "/v1/tokens/NAME", None), ("DELETE", "/v1/tokens/NAME?kind=USER", None)],
    [("POST", "/v1/tokens", {"name": "NAME", "kind": "SERVICE", "roles": ["osmo-user"], "expireDate": "2020-01-01"})],
    [("PUT", "/v1/roles/NAME", {"policies": [{"actions": ["http:/api/x:Get"]}]}), ("GET", "/v1/roles/NAME", None),
     ("DELETE", "/v1/roles/NAME", None), ("GET", "/v1/roles/NAME", None)],
    [("GET", "/v1/roles", None)], [("GET", "/v1/roles/a%2Fb", None)], [("GET", "/v1/roles/osmo-user", None)],
    [("POST", "/v1/auth/authorize", {"credential": "x", "method": "GET", "path": "/api/x"})],
    [("GET", "/v1/auth/keys", None)], [("GET", "/v1/auth/login", None)], [("GET", "/v1/profile", None)],
]


def without_what_differs(value):
    """A JSON value without what is new in each answer, and without null."""
    if isinstance(value, list):
        return [without_what_differs(each) for each in value]
    if isinstance(value, dict):
        return {key: without_what_differs(each) for key, each in value.items()
                if each is not None and key not in ("secret", "createTime", "lastUsedTime")}
    return value


@pytest.mark.parametrize("sequence", SEQUENCES, ids=range(len(SEQUENCES)))
def test_the_transcoder_of_envoy_and_ours_agree(envoy, service, unique, sequence):
    name = unique()

    def answers(address):
        for method, target, body in sequence:
            body = json.loads(json.dumps(body).replace("NAME", name))
            reply = http1.request(address, method, target.replace("NAME", name), body=body, token=service.admin_token)
            yield method, target, reply.status, without_what_differs(reply.json)

    assert list(answers(envoy.gateway)) == list(answers(envoy.transcoder))
