# SPDX-License-Identifier: Apache-2.0
"""What users of the JSON/HTTP gateway may rely on, in both its forms: inside token-service, and as
token-gateway, a gRPC client of the service."""

import concurrent.futures
import contextlib
import gzip
import json
import re
import socket
import sqlite3
import time
import urllib.parse

import grpc
import pytest

from env import http1, pb, program

DATABASE = "tokens.db"
FORMS = ["in_process", "over_grpc"]
ERROR_KEYS = {"/v1": {"code", "message", "details"},
              "/api": {"code", "message", "details", "error_code", "workflow_id"}}
UNKNOWN_TOKEN = "0" * 64


class Rig:
    """A service with a gateway in one of the two forms, with the same options where both have them."""

    def __init__(self, folder, form, *options, service_options=(), gateway_options=()):
        self.programs = []
        self.form = form
        self.service = program.TokenService(folder / "service", "--access-log", *service_options,
                                            *(options if form == "in_process" else ()))
        self.programs.append(self.service)
        self.front = self.service
        if form == "over_grpc":
            self.front = program.TokenGateway(folder / "gateway", self.service.grpc, *options, *gateway_options)
            self.programs.append(self.front)
        self.address = self.front.http
        self.token = self.service.admin_token

    def connect(self, token=None):
        return http1.Connection(self.address, token)

    def request(self, method, target, headers=(), body=None, token=None):
        return http1.request(self.address, method, target, headers, body, token)

    def restart_service(self, meanwhile):
        """Stop the service, change its database with meanwhile(connection), start it again."""
        self.service.stop()
        with contextlib.closing(sqlite3.connect(self.service.data_dir / DATABASE)) as database, database:
            meanwhile(database)
        old, self.service = self.service, program.TokenService(
            self.service.folder, grpc=self.service.grpc, http=self.service.http)
        self.programs[0] = self.service
        if self.front is old:
            self.front = self.service
        program.wait_until(self._is_ready, "every thread of the gateway to find the service again")

    def _is_ready(self):
        """Each of many new connections is some thread's."""
        for _ in range(16):
            with self.connect() as anybody:
                if anybody.get("/readyz").status != 200:
                    return False
        return True

    @property
    def log(self):
        return "".join(each.log for each in self.programs)

    def stop(self):
        for each in reversed(self.programs):
            each.stop()


@pytest.fixture(scope="module", params=FORMS)
def rig(request, tmp_path_factory):
    result = Rig(tmp_path_factory.mktemp("rig"), request.param)
    yield result
    result.stop()


@pytest.fixture(params=FORMS)
def start_rig(request, tmp_path):
    """start_rig(*options): a rig of this test alone."""
    started = []

    def start(*options, **keywords):
        started.append(Rig(tmp_path / f"rig{len(started)}", request.param, *options, **keywords))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def admin(rig):
    with rig.connect(rig.token) as connection:
        yield connection


@pytest.fixture
def anybody(rig):
    with rig.connect() as connection:
        yield connection


def make_token(rig, name, **fields):
    reply = rig.request("POST", "/v1/tokens", body={"name": name, **fields}, token=rig.token)
    assert reply.status == 200, reply
    return reply.json["secret"]


def assert_error(reply, status, code, path, message=None):
    assert reply.status == status, reply
    assert reply["Content-Type"] == "application/json"
    error = reply.json
    dialect = "/api" if re.match(r"/(api|client|health)(/|$)", path) else "/v1"
    assert set(error) == ERROR_KEYS[dialect], error
    assert error["code"] == code.value[0], error
    if dialect == "/api":
        assert error["workflow_id"] is None
        assert error["error_code"] == ("USER" if status == 400 else status)
    assert isinstance(error["details"], list)
    assert error["message"]
    if message is not None:
        assert re.search(message, error["message"]), error["message"]
    return error


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED


class Upstream:
    """A gRPC server that answers whatever the test says, behind a token-gateway."""

    def __init__(self):
        self.calls = []
        self.behave = lambda request, context: b""
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[self])
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.address = f"127.0.0.1:{port}"

    def service(self, details):
        def answer(request, context):
            self.calls.append((details.method, dict(details.invocation_metadata), context.time_remaining()))
            return self.behave(request, context)

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def upstream():
    result = Upstream()
    yield result
    result.server.stop(0).wait()


@pytest.fixture
def behind(upstream, start_gateway):
    """A token-gateway in front of `upstream`."""
    return start_gateway(upstream.address)


# 1 One form of errors
#
# Every error on every path is JSON of its dialect, whoever found it: the parser, the router, the
# service. /v1 has {code, message, details} of google.rpc.Status; /api adds error_code and workflow_id.

@pytest.mark.parametrize("method, path, status, code", [
    ("GET", "/", 404, NOT_FOUND), ("GET", "/nope", 404, NOT_FOUND), ("GET", "/v1/nope", 404, NOT_FOUND),
    ("GET", "/api/nope", 404, NOT_FOUND), ("GET", "/client/nope", 404, NOT_FOUND),
    ("PATCH", "/v1/tokens", 405, grpc.StatusCode.UNIMPLEMENTED),
    ("PATCH", "/api/auth/login", 405, grpc.StatusCode.UNIMPLEMENTED),
    ("POST", "/healthz", 405, grpc.StatusCode.UNIMPLEMENTED),
    ("GET", "/v1/whoami", 401, UNAUTHENTICATED), ("GET", "/api/profile/settings", 401, UNAUTHENTICATED),
    ("GET", "/v1/tokens/%zz", 400, INVALID), ("GET", "/api/auth/access_token/user/%zz", 400, INVALID),
    ("GET", "/v1/../v1/whoami", 400, INVALID)])
def test_1_every_error_has_the_same_form(anybody, method, path, status, code):
    assert_error(anybody.request(method, path), status, code, path)


@pytest.mark.parametrize("path", ["/v1/tokens", "/api/profile/settings"])
@pytest.mark.parametrize("head, status", [
    ("GET {} HTTP/1.1\n\n", 400), ("GET {} HTTP/2.0\r\n\r\n", 505), ("GET {} HTTP/1.1\r\n\r\n", 400),
    ("GET {} HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", 400)])
def test_1_a_request_that_cannot_be_parsed_has_it_too(rig, path, head, status):
    with rig.connect() as c:
        c.send(head.format(path))
        reply = c.reply()
        assert reply.status == status
        assert reply["Content-Type"] == "application/json"
        assert {"code", "message", "details"} <= set(reply.json)
        if "HTTP/1.1\r\n" in head:  # else it is not known which of the dialects was meant
            assert set(reply.json) == ERROR_KEYS[path[:path.index("/", 1)]]
        assert reply["Connection"] == "close" and c.is_closed()


# 2 Statuses
#
# A gRPC code has one HTTP status. /api says 400 for all that the user got wrong. 429 and 503 say when to
# try again.

STATUSES = {"CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504,
            "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429,
            "FAILED_PRECONDITION": 400, "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501,
            "INTERNAL": 500, "UNAVAILABLE": 503, "DATA_LOSS": 500, "UNAUTHENTICATED": 401}


@pytest.mark.parametrize("name, status", STATUSES.items())
def test_2_each_code_has_its_status(upstream, behind, name, status):
    code = grpc.StatusCode[name]
    upstream.behave = lambda request, context: context.abort(code, "the reason")
    for path in ["/v1/whoami", "/api/profile/settings"]:
        expected = 400 if path.startswith("/api") and name in ("NOT_FOUND", "ALREADY_EXISTS") else status
        reply = http1.request(behind.http, "GET", path, token=UNKNOWN_TOKEN)
        assert reply.status == expected, (path, reply)
        assert reply.json["code"] == code.value[0]
        assert (reply["Retry-After"] is not None) == (expected in (429, 503))


def test_2_the_statuses_of_the_service_in_both_dialects(rig, admin, unique):
    name = unique()
    date = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86400))
    assert admin.post("/v1/tokens", {"name": name}).status == 200
    assert_error(admin.post("/v1/tokens", {"name": name}), 409, grpc.StatusCode.ALREADY_EXISTS, "/v1")
    target = f"/api/auth/access_token/user/{name}"
    assert_error(admin.post(f"{target}?expires_at={date}", b""), 400, grpc.StatusCode.ALREADY_EXISTS, target)
    assert admin.delete(f"/v1/tokens/{name}").status == 200
    assert_error(admin.delete(f"/v1/tokens/{name}"), 404, NOT_FOUND, "/v1")
    assert_error(admin.delete(target), 400, NOT_FOUND, target)
    user = make_token(rig, unique())
    assert_error(rig.request("GET", "/v1/roles", token=user), 403, DENIED, "/v1", "configs/role")
    assert_error(rig.request("GET", "/api/configs/role", token=user), 403, DENIED, "/api", "configs/role")
    immutable = {"policies": [{"actions": ["http:*:*"]}]}
    assert_error(admin.request("PUT", "/v1/roles/osmo-admin", body=immutable), 400,
                 grpc.StatusCode.FAILED_PRECONDITION, "/v1")


def test_2_a_service_that_is_away_is_503_with_retry_after(start_service, start_gateway):
    service = start_service()
    gateway = start_gateway(service.grpc)
    service.kill()
    reply = http1.request(gateway.http, "GET", "/v1/whoami", token=UNKNOWN_TOKEN)
    assert_error(reply, 503, grpc.StatusCode.UNAVAILABLE, "/v1")
    assert int(reply["Retry-After"]) > 0


# 3 Templates
#
# Paths, bodies and answers follow the google.api.http rules of the contract; an enum in a path or a query
# may be written in small letters. (Templates that no route of ours has: tests/unit/gateway/test_router.c.)

@pytest.mark.parametrize("kind", ["service", "SERVICE"])
def test_3_an_enum_is_accepted_in_lower_case(admin, unique, kind):
    name = unique()
    assert admin.post("/v1/tokens", {"name": name, "kind": kind, "roles": ["osmo-user"]}).status == 200
    listed = admin.get(f"/v1/tokens?kind={kind}&filter=" + urllib.parse.quote(f'name = "{name}"')).json
    assert [t["name"] for t in listed["tokens"]] == [name]
    assert listed["tokens"][0]["kind"] == "SERVICE"
    assert admin.delete(f"/v1/tokens/{name}?kind={kind}").status == 200


def test_3_with_a_body_for_everything_nothing_comes_by_query(admin, unique):
    reply = admin.post("/v1/tokens?description=x", {"name": unique()})
    assert_error(reply, 400, INVALID, "/v1", "description")


def test_3_body_of_one_field_and_the_rest_by_path(admin, unique):
    name = unique("role")
    policies = [{"actions": ["http:/api/x:Get"]}]
    assert admin.request("PUT", f"/v1/roles/{name}", body={"policies": policies}).json["name"] == name
    assert admin.get(f"/v1/roles/{name}").json["policies"] == policies
    assert admin.delete(f"/v1/roles/{name}").status == 200


def test_3_response_body_is_the_bare_field(admin, unique):
    name, date = unique(), time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86400))
    created = admin.post(f"/api/auth/access_token/user/{name}?expires_at={date}", b"")
    assert isinstance(created.json, str)
    assert name in [t["token_name"] for t in admin.get("/api/auth/access_token/user").json]
    assert admin.delete(f"/api/auth/access_token/user/{name}").body == b"null"


def test_3_additional_bindings(anybody):
    assert anybody.get("/api/version").json == anybody.get("/client/version").json


# 4 Names
#
# A field goes by its JSON name and by its proto name, in query and body; a query key may be repeated where
# the field is a list, and only there. (Fields within fields: tests/unit/gateway/test_transcode.c.)

def test_4_json_name_and_proto_name_in_query_and_body(admin, unique):
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * 86400))
    for spelling in ["expireDate", "expire_date"]:
        token = admin.post("/v1/tokens", {"name": unique(), spelling: day}).json["token"]
        assert token["expireDate"] == day
    for spelling in ["pageSize", "page_size"]:
        assert len(admin.get(f"/v1/tokens?{spelling}=1").json["tokens"]) == 1


def test_4_repeated_query_keys_are_a_list(admin, unique):
    name, day = unique(), time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * 86400))
    made = admin.post(f"/api/auth/access_token/service/{name}?expires_at={day}&roles=osmo-user&roles=osmo-ctrl", b"")
    assert made.status == 200, made
    listed = {t["token_name"]: t for t in admin.get("/api/auth/access_token/service").json}
    assert listed[name]["roles"] == ["osmo-user", "osmo-ctrl"]


def test_4_a_query_key_that_is_no_list_is_refused_twice(admin):
    assert_error(admin.get("/v1/tokens?page_size=1&pageSize=2"), 400, INVALID, "/v1", "twice")


# 5 Zero values and unknown names
#
# Answers leave nothing out because it is empty. A field or parameter that does not exist is an error which
# names it, but not on /api, whose old clients send some.

def test_5_zero_values_are_written_out(admin, unique):
    token = admin.post("/v1/tokens", {"name": unique()}).json["token"]
    assert token["description"] == "" and token["kind"] == "USER"
    assert admin.get("/v1/tokens?pageSize=1").json["nextPageToken"] is not None


def test_5_unknown_names_are_named(admin, unique):
    name = unique()
    for reply in [admin.post("/v1/tokens", {"name": name, "colour": "red"}), admin.get("/v1/tokens?colour=red"),
                  admin.get("/v1/whoami?colour=")]:
        assert_error(reply, 400, INVALID, "/v1", "colour")
    assert admin.delete(f"/v1/tokens/{name}").status == 404


def test_5_old_clients_may_send_more_than_is_known(admin):
    assert admin.get("/api/profile/settings?colour=red").status == 200
    assert admin.post("/api/profile/settings?set_default_backend=false",
                      {"colour": "red", "slack_notification": False}).body == b"null"


# 6 Values
#
# The JSON mapping of protobuf. (Each type of field, against the reference implementation: test_pbjson.py.)

@pytest.mark.parametrize("size", ["1", "1.0", "1e0"])
def test_6_whole_numbers_in_any_notation(admin, size):
    assert len(admin.get(f"/v1/tokens?pageSize={size}").json["tokens"]) == 1


@pytest.mark.parametrize("size", ["1.5", "2147483648", "-2147483649", "1e10", "abc", "", "0x10", "NaN"])
def test_6_what_is_no_whole_number_or_out_of_range_is_refused(admin, size):
    assert_error(admin.get(f"/v1/tokens?pageSize={size}"), 400, INVALID, "/v1", "(?i)page_?size")


def test_6_times_are_rfc_3339_in_utc(admin, unique):
    token = admin.post("/v1/tokens", {"name": unique()}).json["token"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", token["createTime"])


@pytest.mark.parametrize("kind", [1, "SERVICE", "1"])
def test_6_enums_by_name_or_number(admin, kind):
    query = admin.get(f"/v1/tokens?kind={kind}")
    assert query.status == 200, query


@pytest.mark.parametrize("kind", [7.5, "ROBOT", True, {}, []])
def test_6_other_enums_are_refused(admin, unique, kind):
    reply = admin.post("/v1/tokens", {"name": unique(), "kind": kind})
    assert_error(reply, 400, INVALID, "/v1", "kind")


# 7 Strict JSON
#
# What two parsers could read as two things is refused, the message says where, and nothing is stored.

@pytest.mark.parametrize("body", [
    '{"name":"NAME","name":"NAME"}', '{"name":"NAME","expireDate":"2030-01-01","expire_date":"2030-01-02"}',
    '{"name":"NAME","description":"\\ud800"}', '{"name":"NAME"} x', '{"name":"NAME"}{}', '{"name":"NAME",}',
    '{"name":"NAME" /* c */}', '// c\n{"name":"NAME"}', "{'name':'NAME'}", '{name:"NAME"}', '{"name":"NAME"',
    '{"name":"NAME","kind":"SERVICE","roles":["osmo-user",null]}',
    '{"name":"NAME","kind":"SERVICE","roles":["osmo-user",]}', '{"name":"NAME","description":"a\nb"}', '[]',
    '"NAME"', 'null', '1', '[' * 101 + ']' * 101, '\ufeff{"name":"NAME"}', '{"name":"NAME","description":"\\x"}',
    '{"name":"NAME","description":"\x00"}', '{"name":"NAME","description":NaN}', ' ', '{"name":["NAME"]}'])
def test_7_what_is_not_strict_json_is_refused_and_stores_nothing(admin, unique, body):
    name = unique()
    reply = admin.request("POST", "/v1/tokens", {"Content-Type": "application/json"},
                          body.replace("NAME", name).encode())
    assert_error(reply, 400, INVALID, "/v1")
    assert admin.delete(f"/v1/tokens/{name}").status == 404


@pytest.mark.parametrize("value, taken", [
    ("[" * 99 + "]" * 99, True), ("[" * 100 + "]" * 100, False), ('{"a":1,"a":2}', False), ('"\\ud800"', False),
    ("[" + ",".join(f'{{"k{i}":{i}}}' for i in range(50)) + "]", True),
    ("{" + ",".join(f'"k{i % 49}":{i}' for i in range(50)) + "}", False)],
                         ids=["deep", "too_deep", "twice", "surrogate", "alike", "twice_of_many"])
def test_7_what_is_passed_over_is_strict_json_too(admin, value, taken):
    reply = admin.request("POST", "/api/profile/settings", {"Content-Type": "application/json"},
                          f'{{"of_another_version":{value}}}'.encode())
    if taken:
        assert reply.status == 200, reply
    else:
        assert_error(reply, 400, INVALID, "/api")


def test_7_invalid_utf_8_is_refused(admin, unique):
    body = b'{"name":"%s","description":"\xff"}' % unique().encode()
    reply = admin.request("POST", "/v1/tokens", {"Content-Type": "application/json"}, body)
    assert_error(reply, 400, INVALID, "/v1", "UTF-8")


def test_7_the_message_says_where(admin):
    reply = admin.request("POST", "/v1/tokens", {"Content-Type": "application/json"}, b'{"name":\n  "a",,}')
    assert_error(reply, 400, INVALID, "/v1", r"line 2|:2|2:|byte|column|offset")


def test_7_null_is_the_default(admin, unique):
    token = admin.post("/v1/tokens", {"name": unique(), "description": None, "expireDate": None}).json["token"]
    assert token["description"] == "" and token["expireDate"]


# 8 Methods
#
# HEAD is GET without the body, a wrong method is 405 with the right ones, an unknown path is 404, also one
# that a slash ends. Cross-origin calls work for configured origins only, and never with a wildcard and
# credentials together.

@pytest.mark.parametrize("path", ["/v1/whoami", "/v1/tokens?pageSize=1", "/api/version", "/healthz",
                                  "/openapi.json", "/readyz"])
def test_8_head_is_get_without_the_body(admin, path):
    got, head = admin.get(path), admin.request("HEAD", path)
    assert head.status == got.status == 200
    assert head["Content-Length"] == got["Content-Length"] == str(len(got.body))
    assert head["Content-Type"] == got["Content-Type"]
    assert admin.get("/healthz").status == 200


@pytest.mark.parametrize("method, path, allowed", [
    ("PATCH", "/v1/tokens", {"GET", "HEAD", "POST"}), ("GET", "/v1/tokens/x", {"DELETE", "PATCH"}),
    ("DELETE", "/v1/whoami", {"GET", "HEAD"}), ("PUT", "/api/auth/login", {"GET", "HEAD"}),
    ("POST", "/metrics", {"GET", "HEAD"}), ("OPTIONS", "*", {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}),
    ("OPTIONS", "/v1/tokens", {"GET", "HEAD", "POST"}),
    ("PATCH", "/api/auth/jwt/access_token", {"GET", "HEAD", "POST"}), ("get", "/v1/tokens", {"GET", "HEAD", "POST"})])
def test_8_a_wrong_method_is_405_and_says_which_are_right(admin, method, path, allowed):
    reply = admin.request(method, path)
    assert_error(reply, 405, grpc.StatusCode.UNIMPLEMENTED, path)
    assert {m.strip() for m in reply["Allow"].split(",")} - {"OPTIONS"} == allowed


@pytest.mark.parametrize("path", ["/v1/tokens/", "/v1/whoami/", "/api/version/", "/healthz/", "/v1", "/v1/",
                                  "/V1/whoami"])
def test_8_a_trailing_slash_is_another_path(admin, path):
    assert_error(admin.get(path), 404, NOT_FOUND, path)


def test_8_cors_is_off_by_default(anybody):
    for reply in [anybody.get("/api/version", Origin="https://a.example"),
                  anybody.request("OPTIONS", "/api/version", {
                      "Origin": "https://a.example", "Access-Control-Request-Method": "GET"})]:
        assert not [name for name, _ in reply.headers if name.lower().startswith("access-control")]


def test_8_cors_for_the_origins_that_are_allowed(start_rig):
    rig = start_rig("--cors-origin", "https://a.example,https://b.example:8443")
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with rig.connect(rig.token) as c:
        for origin in ["https://a.example", "https://b.example:8443"]:
            asked = c.request("OPTIONS", "/v1/tokens", {"Origin": origin, **preflight})
            assert asked.status == 204 and asked["Access-Control-Allow-Origin"] == origin
            assert set(asked["Access-Control-Allow-Methods"].split(", ")) == {
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
            assert "authorization" in asked["Access-Control-Allow-Headers"].lower()
            replies = [c.get(path, Origin=origin) for path in [
                "/v1/whoami", "/v1/nope", "/api/profile/settings", "/openapi.json", "/healthz", "/readyz", "/metrics"]]
            replies.append(rig.request("POST", "/v1/tokens", {"Origin": origin, "Content-Length": str(2 << 20)}))
            assert [reply.status for reply in replies] == [200, 404, 200, 200, 200, 200, 200, 413]
            for reply in replies:
                assert reply["Access-Control-Allow-Origin"] == origin, reply
                assert "Origin" in ",".join(reply.all("Vary"))
        for origin in ["https://c.example", "null", "http://a.example", "https://a.example.evil", "https://A.example"]:
            asked = c.request("OPTIONS", "/v1/tokens", {"Origin": origin, **preflight})
            assert asked["Access-Control-Allow-Origin"] is None
            assert c.get("/v1/whoami", Origin=origin)["Access-Control-Allow-Origin"] is None


def test_8_cors_never_joins_a_wildcard_with_credentials(start_rig):
    rig = start_rig("--cors-origin", "*")
    reply = rig.request("GET", "/v1/whoami", {"Origin": "https://a.example"}, token=rig.token)
    assert reply["Access-Control-Allow-Origin"] == "*"
    assert reply["Access-Control-Allow-Credentials"] is None


# 9 No other ways in
#
# No header changes the method, and a body is JSON or refused with 415.

def test_9_a_method_cannot_be_overridden(admin, unique):
    name = unique()
    admin.post("/v1/tokens", {"name": name})
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]:
        reply = admin.request("POST", f"/v1/tokens/{name}", {header: "DELETE"}, b"")
        assert reply.status == 405, reply
    assert admin.delete(f"/v1/tokens/{name}").status == 200


@pytest.mark.parametrize("content_type", [
    "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/xml",
    "application/json; charset=latin1", "application/jsonp", None])
@pytest.mark.parametrize("path", ["/v1/tokens", "/api/profile/settings"])
def test_9_a_body_that_is_not_json_is_415(admin, path, content_type):
    body = b"name=abc" if content_type and "form" in content_type else b'{"slack_notification":true}'
    headers = {"Content-Type": content_type} if content_type else {}
    reply = admin.request("POST", path, headers, body)
    assert reply.status == 415, reply
    assert set(reply.json) == ERROR_KEYS["/api" if path.startswith("/api") else "/v1"]


@pytest.mark.parametrize("path", ["/v1/tokens", "/api/profile/settings"])
def test_9_a_body_is_of_one_type(admin, path):
    for other in ["text/plain", "application/json"]:
        reply = admin.request("POST", path, [("Content-Type", "application/json"), ("content-type", other)], b"{}")
        assert_error(reply, 400, INVALID, path, "content-type")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8",
                                          'Application/JSON;charset="UTF-8"', "application/json;charset=utf8"])
def test_9_json_with_its_charset_is_taken(admin, unique, content_type):
    body = json.dumps({"name": unique()}).encode()
    assert admin.request("POST", "/v1/tokens", {"Content-Type": content_type}, body).status == 200


@pytest.mark.parametrize("method, path", [("GET", "/api/profile/settings"), ("POST", "/api/profile/settings"),
                                          ("GET", "/v1/whoami")])
def test_9_an_empty_body_called_json_is_no_body(admin, method, path):
    reply = admin.request(method, path, {"Content-Type": "application/json", "Content-Length": "0"})
    assert reply.status == 200, reply


# 10 Paths
#
# Escapes are decoded once. A path that another server might read as another one is refused.

def test_10_percent_escapes_are_decoded_once(admin, unique):
    name = unique()
    admin.post("/v1/tokens", {"name": name})
    escaped = "".join(f"%{ord(c):02x}" for c in name)
    assert admin.delete(f"/v1/tokens/{escaped.replace('%', '%25')}").status != 200
    assert admin.delete(f"/v1/tokens/{escaped}").status == 200


def test_10_a_segment_may_hold_a_slash(admin):
    assert_error(admin.get("/v1/roles/a%2Fb"), 404, NOT_FOUND, "/v1", "a/b")


@pytest.mark.parametrize("path", ["/v1/roles/%", "/v1/roles/%g0", "/v1/roles/%0", "/v1/roles/.", "/v1/roles/..",
                                  "/v1/./whoami", "/v1/../v1/whoami", "//v1/whoami", "/v1//whoami",
                                  "/v1/roles/%00", "/v1/roles/a%00b", "/v1/roles/%2e%2e", "/v1/roles/%2E",
                                  "/v1/roles/%ff", "/v1/tokens?pageSize=%zz", "/v1/tokens?filter=%00"])
def test_10_paths_that_mean_something_else_are_refused(admin, path):
    assert_error(admin.get(path), 400, INVALID, path)


# 11 Limits
#
# Sizes, times and numbers are bounded, before memory is spent on them, and each bound has its own status.

def test_11_a_body_may_have_a_mebibyte_and_no_byte_more(admin):
    at_limit = b'{"slack_notification":true,"pad":"' + b"x" * ((1 << 20) - 36) + b'"}'
    assert len(at_limit) == 1 << 20
    json_type = {"Content-Type": "application/json"}
    assert admin.request("POST", "/api/profile/settings", json_type, at_limit).status == 200
    with http1.Connection(admin.socket.getpeername()[0] + f":{admin.socket.getpeername()[1]}", admin.token) as c:
        reply = c.request("POST", "/api/profile/settings", json_type, at_limit + b" ")
        assert reply.status == 413 and set(reply.json) == ERROR_KEYS["/api"]
        assert c.is_closed()


def test_11_a_chunked_body_has_the_same_limit(rig):
    with rig.connect(rig.token) as c:
        c.send("POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
               "Content-Type: application/json\r\n\r\n100001\r\n")
        assert c.reply().status == 413


def test_11_a_body_that_is_announced_too_long_is_refused_before_it_comes(rig):
    with rig.connect() as c:
        c.send("POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n")
        assert c.reply(informational=True).status == 413


@pytest.mark.parametrize("head, status", [
    ("GET /v1/whoami?" + "a" * 9000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("GET /v1/whoami HTTP/1.1\r\nHost: a\r\nX: " + "a" * 33000 + "\r\n\r\n", 431),
    ("GET /v1/whoami HTTP/1.1\r\nHost: a\r\n" + "".join(f"X{i}: a\r\n" for i in range(200)) + "\r\n", 431)])
def test_11_long_heads_are_refused(rig, head, status):
    with rig.connect() as c:
        c.send(head)
        reply = c.reply()
        assert reply.status == status and {"code", "message"} <= set(reply.json)
        assert c.is_closed()


def test_11_32_kib_of_headers_pass(admin):
    assert admin.get("/v1/whoami", X_Pad="a" * 31000).status == 200


@pytest.mark.parametrize("part", ["GET / HTTP/1.1\r\nHo", "POST /v1/tokens HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"])
def test_11_who_sends_too_slowly_gets_408(start_rig, part):
    rig = start_rig("--header-timeout", "400ms", "--body-timeout", "400ms")
    begin = time.monotonic()
    with rig.connect() as c:
        c.send(part)
        c.socket.settimeout(0.05)
        data = b""
        while time.monotonic() < begin + program.PATIENCE_S and b"\r\n\r\n" not in data:
            try:
                data += c.socket.recv(4096)
            except TimeoutError:
                c.send("x")  # a drip prolongs nothing
        assert data.startswith(b"HTTP/1.1 408 "), data
        assert b"application/json" in data
    assert time.monotonic() - begin >= 0.39


def test_11_who_says_nothing_is_let_go(start_rig):
    rig = start_rig("--header-timeout", "300ms", "--idle-timeout", "300ms")
    assert http1.talk(rig.address, b"")[:13] in (b"", b"HTTP/1.1 408 ")
    with rig.connect() as c:
        assert c.get("/healthz").status == 200
        assert c.is_closed()


def test_11_at_the_connection_cap_the_oldest_idle_connection_makes_room(start_rig):
    rig = start_rig("--max-connections", "4", "--threads", "1")
    idle = [rig.connect() for _ in range(4)]
    for c in idle:
        assert c.get("/healthz").status == 200
    with rig.connect() as c:
        assert c.get("/healthz").status == 200
    assert idle[0].is_closed()
    for c in idle:
        c.close()


def test_11_at_the_connection_cap_busy_connections_stay_and_others_get_503(start_rig):
    rig = start_rig("--max-connections", "3", "--threads", "1")
    busy = [rig.connect() for _ in range(3)]
    for c in busy:
        assert c.get("/healthz").status == 200
        c.send("POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n")
    time.sleep(0.2)  # until the beginnings are read, which nothing shows
    with rig.connect() as c:
        c.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = c.reply()
        assert reply.status == 503 and int(reply["Retry-After"]) > 0, reply
    for c in busy:
        c.send("Content-Type: application/json\r\n\r\n{}")
        assert c.reply().status in (400, 401)
        c.close()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_11_gzip_in(admin, unique, encoding):
    body = gzip.compress(json.dumps({"name": unique()}).encode())
    reply = admin.request("POST", "/v1/tokens", {"Content-Type": "application/json", "Content-Encoding": encoding}, body)
    assert reply.status == 200, reply


def test_11_gzip_in_is_capped_after_inflation(admin):
    body = gzip.compress(b" " * (2 << 20))
    assert len(body) < 10000
    reply = admin.request("POST", "/v1/tokens", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, body)
    assert reply.status == 413


@pytest.mark.parametrize("body, encoding, status", [
    (b"not gzip", "gzip", 400), (gzip.compress(b"{}", mtime=0)[:-4], "gzip", 400),
    (gzip.compress(b"{}", mtime=0) + b"x", "gzip", 400), (b"{}", "br", 415), (b"{}", "gzip, gzip", 415)])
def test_11_gzip_in_that_is_broken_or_something_else(rig, body, encoding, status):
    reply = rig.request("POST", "/v1/tokens", {"Content-Type": "application/json", "Content-Encoding": encoding},
                        body, token=rig.token)
    assert reply.status == status, reply


def test_11_gzip_out_over_a_kibibyte_when_asked(admin):
    plain = admin.get("/openapi.json")
    assert plain["Content-Encoding"] is None and len(plain.body) > 1024
    packed = admin.get("/openapi.json", Accept_Encoding="gzip, deflate")
    assert packed["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
    assert "accept-encoding" in ",".join(packed.all("Vary")).lower()
    assert "accept-encoding" in ",".join(plain.all("Vary")).lower()
    assert admin.get("/healthz", Accept_Encoding="gzip")["Content-Encoding"] is None
    for refused in ["gzip;q=0", "identity", "br", "*;q=0"]:
        assert admin.get("/openapi.json", Accept_Encoding=refused)["Content-Encoding"] is None, refused


# 12 Deadlines
#
# Grpc-Timeout sets the deadline of a call, under the server's cap, and the service hears of it. A client
# that went away takes its call with it.

@pytest.mark.parametrize("value", ["", "1", "S", "1X", "-1S", "123456789S", "1.5S", " 1 S", "1SS", "1s"])
def test_12_a_malformed_grpc_timeout_is_refused(admin, value):
    for path in ["/v1/whoami", "/api/profile/settings"]:
        assert_error(admin.get(path, Grpc_Timeout=value), 400, INVALID, path, "(?i)grpc-timeout")


def test_12_a_grpc_timeout_that_is_sent_twice_is_refused(admin):
    for headers in [[("Grpc-Timeout", "10S"), ("grpc-timeout", "1m")], [("Grpc-Timeout", "10S")] * 2]:
        assert_error(admin.request("GET", "/v1/whoami", headers), 400, INVALID, "/v1", "(?i)grpc-timeout")


@pytest.mark.parametrize("value", ["10S", "99999999H", "5000m", "1H", "1M", "10000000u"])
def test_12_a_grpc_timeout_that_suffices(admin, value):
    assert admin.get("/v1/whoami", Grpc_Timeout=value).status == 200


def test_12_a_deadline_that_passed_is_504(admin):
    assert_error(admin.get("/v1/tokens", Grpc_Timeout="0n"), 504, grpc.StatusCode.DEADLINE_EXCEEDED, "/v1")


def test_12_the_deadline_goes_upstream_under_the_cap(upstream, start_gateway):
    gateway = start_gateway(upstream.address, "--max-call-time", "20s")
    for sent, most in [(None, 20), ("5S", 5), ("1H", 20)]:
        http1.request(gateway.http, "GET", "/v1/whoami", {"Grpc-Timeout": sent} if sent else ())
        assert most - 4 < upstream.calls[-1][2] <= most + 0.1


def test_12_a_service_that_does_not_answer_in_time_is_504(upstream, behind):
    upstream.behave = lambda request, context: time.sleep(1.5) or b""
    begin = time.monotonic()
    assert http1.request(behind.http, "GET", "/v1/whoami", {"Grpc-Timeout": "200m"}).status == 504
    assert time.monotonic() - begin < 1.4


def test_12_a_client_that_is_gone_cancels_its_call(upstream, behind):
    ended = []

    def wait(_, context):
        context.add_callback(lambda: ended.append(context.time_remaining()))
        program.wait_until(lambda: not context.is_active(), "the cancellation")
        return b""

    upstream.behave = wait
    with http1.Connection(behind.http) as c:
        c.send("GET /v1/whoami HTTP/1.1\r\nHost: a\r\n\r\n")
        program.wait_until(lambda: upstream.calls, "the call")
    program.wait_until(lambda: ended, "the end of the call")
    assert ended[0] > 1, "it ended by its deadline"


# 13 What crosses
#
# Headers reach the service by a list of known ones. Who a caller is never comes from a header, in no
# spelling, unless a configured proxy sent it, once.

def test_13_only_known_headers_become_metadata(upstream, behind):
    http1.request(behind.http, "GET", "/v1/whoami", {
        "Authorization": "Bearer abc", "X-Request-Id": "r-1", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "x-osmo-client-version": "6.0.0", "Cookie": "a=b", "X-Other": "1", "Grpc-Metadata-X-Osmo-User": "root",
        "Grpc-Metadata-Authorization": "Bearer x", "grpc-status": "0", "grpc-encoding": "gzip", "te": "gzip"})
    metadata = upstream.calls[-1][1]
    assert metadata["authorization"] == "Bearer abc"
    assert metadata["x-request-id"] == "r-1" and metadata["traceparent"].startswith("00-")
    assert metadata["x-osmo-client-version"] == "6.0.0"
    known = {"authorization", "x-request-id", "traceparent", "x-osmo-client-version", "user-agent"}
    assert set(metadata) <= known | {"x-forwarded-for"}, metadata


IDENTITY_SPELLINGS = [
    "x-osmo-user", "X-Osmo-User", "X-OSMO-USER", "x_osmo_user", "X_Osmo-User", "x-osmo-user-bin",
    "Grpc-Metadata-x-osmo-user", "Grpc-Metadata-X-Osmo-User", "grpc-metadata-x-osmo-user-bin", "HTTP_X_OSMO_USER"]


@pytest.mark.parametrize("name", IDENTITY_SPELLINGS)
def test_13_nobody_becomes_somebody_else_by_a_header(rig, anybody, name):
    roles = name.lower().replace("user", "roles")
    headers = [(name, "root"), (roles, "osmo-admin"), (name.replace("user", "token-name"), "t")]
    for path in ["/v1/whoami", "/v1/tokens", "/api/profile/settings", "/api/auth/access_token/user"]:
        assert anybody.request("GET", path, headers).status == 401, path
    assert rig.request("GET", "/v1/whoami", headers, token=rig.token).json["user"] == "admin"


@pytest.mark.parametrize("line", ["x-osmo-user : root", "x-osmo-user\t: root", " x-osmo-user: root", "x-osmo-user\x00: root",
                                  "x-osmo-user: ro\x00ot", "x-osmo-user: root\r\n x"])
def test_13_malformed_spellings_are_refused(rig, line):
    out = http1.talk(rig.address, f"GET /v1/whoami HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n".encode())
    assert out.startswith(b"HTTP/1.1 400 "), out


def test_13_duplicates_from_anybody_change_nothing(anybody):
    headers = [("x-osmo-user", "root"), ("X-Osmo-User", "admin"), ("x-osmo-user", "root ")]
    assert anybody.request("GET", "/v1/whoami", headers).status == 401


def test_13_identity_headers_do_not_reach_the_upstream(upstream, behind):
    headers = [(name, "root") for name in IDENTITY_SPELLINGS] + [("x-osmo-roles", "osmo-admin"), ("x-forwarded-for", "9.9.9.9")]
    http1.request(behind.http, "GET", "/v1/whoami", headers)
    assert not [key for key in upstream.calls[-1][1] if "osmo" in key], upstream.calls[-1][1]
    assert "9.9.9.9" not in upstream.calls[-1][1].get("x-forwarded-for", "")
    assert "root" not in json.dumps({k: str(v) for k, v in upstream.calls[-1][1].items()})


@pytest.fixture(scope="module", params=FORMS)
def trusting(request, tmp_path_factory):
    trust = ("--trusted-proxy", "127.0.0.0/8,::1/128")
    if request.param == "in_process":
        result = Rig(tmp_path_factory.mktemp("trusting"), "in_process", *trust)
    else:
        result = Rig(tmp_path_factory.mktemp("trusting"), "over_grpc", *trust, service_options=trust)
    yield result
    result.stop()


@pytest.mark.parametrize("name", ["x-osmo-user", "X-Osmo-User", "X-OSMO-USER"])
def test_13_a_trusted_proxy_says_who_the_caller_is(trusting, name):
    who = trusting.request("GET", "/v1/whoami", {name: "ann", "x-osmo-roles": "osmo-user,team-a"}).json
    assert (who["user"], who["roles"], who["authMethod"]) == ("ann", ["osmo-user", "team-a"], "trusted_proxy")


def test_13_a_trusted_proxy_says_it_once(trusting):
    for headers in [[("x-osmo-user", "ann"), ("X-Osmo-User", "bob")], [("x-osmo-user", "ann"), ("x-osmo-user", "ann")],
                    [("x-osmo-user", "ann"), ("x-osmo-roles", "a"), ("x-osmo-roles", "b")]]:
        for path in ["/v1/whoami", "/api/profile/settings"]:
            for token in [None, trusting.token]:  # also where the credential decides
                assert_error(trusting.request("GET", path, headers, token=token), 400, INVALID, path, "x-osmo")


def test_13_an_empty_user_is_nobody(trusting):
    for headers in [{"x-osmo-user": ""}, {"x-osmo-roles": "osmo-admin"}]:
        assert trusting.request("GET", "/v1/tokens", headers).status == 401
        assert trusting.request("GET", "/api/auth/access_token/user", headers).status == 401


@pytest.mark.parametrize("name", [n for n in IDENTITY_SPELLINGS if n.lower() != "x-osmo-user"])
def test_13_also_from_a_trusted_proxy_other_spellings_mean_nothing(trusting, name):
    assert trusting.request("GET", "/v1/whoami", {name: "ann"}).status == 401


# 14 Request ids
#
# Each answer has an id, the caller's if it is sane, and the log has the same one, with the trace.

@pytest.mark.parametrize("path", ["/v1/whoami", "/api/profile/settings", "/v1/nope", "/v1/whoami?x=1", "/v1/tokens/%zz",
                                  "/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_14_a_sane_request_id_is_echoed(admin, path):
    for method in ["GET", "HEAD", "PUT"]:
        assert admin.request(method, path, {"X-Request-Id": "abc-123"})["X-Request-Id"] == "abc-123"


@pytest.mark.parametrize("head, status, echoed", [
    ("Content-Length: 1048577", 413, True), ("Expect: x", 417, True), ("Content-Length: 1\r\nTransfer-Encoding: chunked", 400, True),
    ("X : a", 400, True), ("X: " + "a" * 33000, 431, True), ("X-Request-Id: a b\r\nExpect: x", 417, False)])
def test_14_so_it_is_when_the_request_goes_no_further(rig, head, status, echoed):
    with rig.connect() as c:
        c.send("POST /v1/tokens HTTP/1.1\r\nHost: a\r\n" + ("X-Request-Id: abc-123\r\n" if echoed else "") + head + "\r\n\r\n")
        reply = c.reply()
        assert reply.status == status
        assert reply["X-Request-Id"] and (reply["X-Request-Id"] == "abc-123") == echoed


@pytest.mark.parametrize("value", ["", "a" * 500, "a b", "\u00e9\u00e9", 'a"b\\', "<script>"])
def test_14_another_one_is_replaced(admin, value):
    minted = admin.get("/v1/whoami", X_Request_Id=value)["X-Request-Id"]
    assert minted and (minted != value or re.fullmatch(r"[!-~]{1,128}", minted))
    assert len(minted) <= 128


def test_14_headers_that_are_not_ascii_mean_the_same_in_both_forms(rig, anybody):
    admin = f"Bearer {rig.token}"
    for name in ["User-Agent", "traceparent", "tracestate", "X-Request-Id", "X-Forwarded-For"]:
        assert anybody.get("/v1/whoami", Authorization=admin, **{name: "caf\u00e9"}).status == 200, name
    for name in ["Authorization", "x-osmo-auth"]:
        bad = anybody.request("GET", "/v1/whoami", {name: "Bearer caf\u00e9"})
        assert_error(bad, 401, UNAUTHENTICATED, "/v1", "^invalid credential$")


def test_14_minted_ids_differ(admin):
    assert len({admin.get("/v1/whoami")["X-Request-Id"] for _ in range(20)}) == 20


def test_14_the_log_line_has_request_id_and_traceparent(rig, admin, unique):
    request_id, trace = unique("rid"), "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    admin.get("/v1/whoami", X_Request_Id=request_id, traceparent=trace)
    line = program.wait_until(lambda: [l for l in rig.service.log.splitlines() if request_id in l], "the log line")[0]
    assert trace in line and "WhoAmI" in line


# 15 Pages for machines
#
# Alive is not ready: /healthz needs nobody, /readyz needs the service and its store.

def test_15_alive_ready_metrics_openapi(anybody):
    assert anybody.get("/healthz").json == {"status": "OK"}
    assert anybody.get("/readyz").status == 200
    metrics = anybody.get("/metrics")
    assert metrics["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"gateway_http_requests_total" in metrics.body
    openapi = anybody.get("/openapi.json")
    assert openapi.json["openapi"].startswith("3.")
    assert {"/v1/tokens", "/v1/whoami", "/api/version"} <= set(openapi.json["paths"])


def test_15_metrics_count_what_became_of_requests(start_rig):
    rig = start_rig()

    def counted(name, **labels):
        label = ",".join(f'{k}="{v}"' for k, v in labels.items())
        series = f"gateway_http_{name}_total" + (f"{{{label}}}" if label else "")
        lines = rig.request("GET", "/metrics").body.decode().splitlines()
        return int(next(line for line in lines if line.startswith(series + " ")).rsplit(" ", 1)[1])

    series = [("replies", {"class": "4xx"}), ("errors", {"kind": "content_length"}), ("errors", {"kind": "host"})]
    before = [counted(name, **labels) for name, labels in series]
    with rig.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n")
        assert connection.reply().status == 400
    assert rig.request("GET", "/nowhere").status == 404
    assert [counted(name, **labels) for name, labels in series] == [before[0] + 2, before[1] + 1, before[2]]
    received = counted("received_bytes")
    assert counted("received_bytes") > received and counted("sent_bytes") > 0
    assert counted("accept_errors") == 0


def test_15_metrics_can_be_switched_off(start_rig):
    assert start_rig("--no-metrics").request("GET", "/metrics").status == 404


def test_15_the_gateway_is_ready_when_its_service_is(start_service, start_gateway):
    service = start_service()
    gateway = start_gateway(service.grpc)
    assert http1.request(gateway.http, "GET", "/readyz").status == 200
    service.stop()
    program.wait_until(lambda: http1.request(gateway.http, "GET", "/readyz").status == 503, "not ready")
    reply = http1.request(gateway.http, "GET", "/readyz")
    assert_error(reply, 503, grpc.StatusCode.UNAVAILABLE, "/readyz")
    assert http1.request(gateway.http, "GET", "/healthz").status == 200
    again = start_service(grpc=service.grpc)
    program.wait_until(lambda: http1.request(gateway.http, "GET", "/readyz").status == 200, "ready again")
    assert http1.request(gateway.http, "GET", "/v1/whoami", token=again.admin_token).status == 200


# 16 Framing
#
# Where a request ends is never guessed: doubt is 400 and the end of the connection. What HTTP/1.1 does
# allow works: pipelining, chunks, Expect: 100-continue.

GOOD = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("head", [
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\n{}",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{}",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n{}",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n",
    "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b: c\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb: c\r\n\r\n",
    "GET /healthz HTTP/1.1\nHost: a\n\n",
    "GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /healthz HTTP/1.1\r\n\r\n",
    "GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /healthz  HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /healthz HTTP/1.1 \r\nHost: a\r\n\r\n", "GET /health\x00z HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "GET healthz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /healthz\r\nHost: a\r\n\r\n"])
def test_16_framing_in_doubt_is_400_and_close(rig, head):
    out = http1.talk(rig.address, (head + GOOD).encode("latin-1"))
    assert out.startswith(b"HTTP/1.1 400 "), out
    assert out.count(b"HTTP/1.1 ") == 1, out
    assert b"application/json" in out


def test_16_pipelined_requests_are_answered_in_order(rig):
    name = f"pipe{time.monotonic_ns()}"
    body = json.dumps({"name": name}).encode()
    head = f"Host: a\r\nAuthorization: Bearer {rig.token}\r\n"
    many = b"".join([
        f"POST /v1/tokens HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(),
        body, f"GET /v1/whoami HTTP/1.1\r\n{head}\r\n".encode(), f"HEAD /v1/whoami HTTP/1.1\r\n{head}\r\n".encode(),
        f"DELETE /v1/tokens/{name} HTTP/1.1\r\n{head}\r\n".encode(), f"DELETE /v1/tokens/{name} HTTP/1.1\r\n{head}\r\n".encode(),
        GOOD.encode() * 50])
    with rig.connect() as c:
        c.send(many)
        assert c.reply().json["token"]["name"] == name
        assert c.reply().json["user"] == "admin"
        assert c.reply("HEAD").status == 200
        assert c.reply().status == 200
        assert c.reply().status == 404
        for _ in range(50):
            assert c.reply().json == {"status": "OK"}


def test_16_pipelining_byte_by_byte(rig):
    with rig.connect() as c:
        c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in (GOOD * 2).encode():
            c.send(bytes([byte]))
        assert c.reply().status == c.reply().status == 200


def test_16_chunked_bodies(admin, unique):
    body = json.dumps({"name": unique()})
    chunks = f"{5:x};ext=1\r\n{body[:5]}\r\n{len(body) - 5:X}\r\n{body[5:]}\r\n0\r\nTrailer: x\r\n\r\n"
    reply = admin.request("POST", "/v1/tokens", {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
                          chunks.encode())
    assert reply.status == 200, reply
    assert admin.get("/healthz").status == 200


def test_16_expect_100_continue(rig, unique):
    body = json.dumps({"name": unique()}).encode()
    with rig.connect() as c:
        c.send(f"POST /v1/tokens HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {rig.token}\r\nExpect: 100-continue\r\n"
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        assert c.reply(informational=True).status == 100
        c.send(body)
        assert c.reply().status == 200


def test_16_upgrade_to_h2c_is_not_taken(rig):
    out = http1.request(rig.address, "GET", "/healthz", {
        "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"})
    assert out.status == 200
    assert http1.talk(rig.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 ")


def test_16_connection_close_and_http_1_0_are_honoured(rig):
    for head in ["GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /healthz HTTP/1.0\r\n\r\n"]:
        out = http1.talk(rig.address, head.encode())
        assert out.startswith(b"HTTP/1.1 200 ") and out.endswith(b'{"status":"OK"}')


# 17 Credentials
#
# A credential that is bad, expired, deleted or unknown gets one answer. Who has the secret of a token that
# expired may hear so when asking about it, and does not on /v1. The challenge names an error only when
# something was sent.

def test_17_an_unknown_token_is_400_on_api_and_401_on_v1(anybody):
    for reply in [anybody.get(f"/api/auth/jwt/access_token?access_token={UNKNOWN_TOKEN}"),
                  anybody.post("/api/auth/jwt/access_token", {"token": UNKNOWN_TOKEN}),
                  anybody.get(f"/api/auth/access_token?access_token={UNKNOWN_TOKEN}"),
                  anybody.post("/api/auth/access_token", {"token": UNKNOWN_TOKEN})]:
        assert reply.status == 400 and reply.json["message"] == "Access Token is invalid", reply
        assert reply.json["error_code"] == "USER"
    for path in ["/v1/auth/exchange", "/v1/auth/tokeninfo"]:
        assert anybody.post(path, {"token": UNKNOWN_TOKEN}).status == 401


def test_17_a_deleted_token_is_as_unknown(rig, admin, anybody, unique):
    name = unique()
    secret = make_token(rig, name)
    assert anybody.post("/api/auth/jwt/access_token", {"token": secret}).status == 200
    assert admin.delete(f"/v1/tokens/{name}").status == 200
    reply = anybody.post("/api/auth/jwt/access_token", {"token": secret})
    assert reply.status == 400 and reply.json["message"] == "Access Token is invalid"
    assert anybody.post("/v1/auth/exchange", {"token": secret}).status == 401


def test_17_who_has_an_expired_token_may_hear_so_when_asking_about_it(start_rig, unique):
    rig, name = start_rig(), unique()
    secret = make_token(rig, name)
    rig.restart_service(lambda database: database.execute(
        "UPDATE token SET expires_day = 18262 WHERE name = ?", [name]))  # 2020-01-01
    with rig.connect() as anybody:
        for reply in [anybody.post("/api/auth/jwt/access_token", {"token": secret}),
                      anybody.get(f"/api/auth/jwt/access_token?access_token={secret}")]:
            assert reply.status == 400 and reply.json["message"] == "Access Token has expired", reply
        for reply in [anybody.post("/api/auth/access_token", {"token": secret}),
                      anybody.get(f"/api/auth/access_token?access_token={secret}")]:
            assert reply.status == 200 and reply.json["expires_at"] == "2020-01-01T00:00:00", reply
        exchanged = [anybody.post("/v1/auth/exchange", {"token": each}) for each in (secret, UNKNOWN_TOKEN)]
        shown = [anybody.get("/v1/whoami", Authorization=f"Bearer {each}") for each in (secret, UNKNOWN_TOKEN)]
        for expired, unknown in [exchanged, shown]:
            assert expired.status == unknown.status == 401 and expired.body == unknown.body
            assert expired["WWW-Authenticate"] == unknown["WWW-Authenticate"]


def test_17_the_challenge_has_no_error_when_nothing_was_sent(anybody):
    for path in ["/v1/whoami", "/api/profile/settings"]:
        assert anybody.get(path)["WWW-Authenticate"] == 'Bearer realm="osmo"'


def test_17_all_bad_credentials_look_alike(rig, admin, anybody, unique):
    name = unique()
    deleted = make_token(rig, name)
    assert admin.delete(f"/v1/tokens/{name}").status == 200
    for path in ["/v1/whoami", "/api/profile/settings", "/api/version"]:
        seen = set()
        for value in [f"Bearer {UNKNOWN_TOKEN}", f"Bearer {deleted}", "Bearer garbage", "Bearer a.b.c", "Basic YTpi",
                      "Bearer", "Bearer  ", "nonsense", "Bearer a b"]:
            reply = anybody.get(path, Authorization=value)
            assert reply.status == 401, (path, value, reply)
            seen.add((reply["WWW-Authenticate"], reply.body))
        assert len(seen) == 1, seen
        assert seen.pop()[0] == 'Bearer realm="osmo", error="invalid_token"'


def test_17_403_says_insufficient_scope(rig, unique):
    user = make_token(rig, unique())
    for path in ["/v1/roles", "/api/configs/role"]:
        reply = rig.request("GET", path, token=user)
        assert reply.status == 403
        assert reply["WWW-Authenticate"] == 'Bearer realm="osmo", error="insufficient_scope"'


def test_17_two_authorization_headers_are_400(rig, anybody):
    value = f"Bearer {rig.token}"
    for headers in [[("Authorization", value), ("Authorization", value)], [("authorization", value), ("AUTHORIZATION", "x")]]:
        for path in ["/v1/whoami", "/api/profile/settings"]:
            assert_error(anybody.request("GET", path, headers), 400, INVALID, path, "authorization")


def test_17_two_ways_to_name_a_credential_must_agree(rig, anybody):
    assert anybody.request("GET", "/v1/whoami", {"x-osmo-auth": rig.token}).status == 200
    both = {"x-osmo-auth": rig.token, "Authorization": f"Bearer {rig.token}"}
    assert anybody.request("GET", "/v1/whoami", both).status == 200
    assert anybody.request("GET", "/v1/whoami", {**both, "x-osmo-auth": UNKNOWN_TOKEN}).status == 400


# 18 Secrets are not kept by caches
#
# An answer with a secret is no-store, and is not compressed beside text that a caller chose.

def test_18_replies_with_a_secret_are_not_stored(rig, admin, unique):
    secret = make_token(rig, unique())
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 5 * 86400))
    replies = [admin.post("/v1/tokens", {"name": unique()}),
               admin.post(f"/api/auth/access_token/user/{unique()}?expires_at={day}", b""),
               admin.post(f"/api/auth/access_token/service/{unique()}?expires_at={day}&roles=osmo-user", b""),
               admin.post("/v1/auth/exchange", {"token": secret}),
               admin.post("/api/auth/jwt/access_token", {"token": secret}),
               admin.get(f"/api/auth/jwt/access_token?access_token={secret}")]
    for reply in replies:
        assert reply.status == 200 and reply["Cache-Control"] == "no-store", reply


def test_18_nor_are_they_compressed(rig, unique):
    long = rig.request("POST", "/v1/tokens", {"Accept-Encoding": "gzip"}, {"name": unique(), "description": "x" * 1024},
                       token=rig.token)
    assert len(long.body) > 1024 and long["Content-Encoding"] is None


# 19 Internals stay inside
#
# A 500 has the request id and no more; what went wrong is in the log, under that id.

@pytest.mark.parametrize("path", ["/v1/whoami", "/api/profile/settings"])
@pytest.mark.parametrize("code", ["INTERNAL", "UNKNOWN", "DATA_LOSS"])
def test_19_a_500_shows_no_internals(upstream, behind, path, code):
    upstream.behave = lambda request, context: context.abort(grpc.StatusCode[code], "SELECT secret FROM db5.internal:5432")
    reply = http1.request(behind.http, "GET", path, {"X-Request-Id": "find-me"})
    assert reply.status == 500
    assert b"SELECT" not in reply.body and b"db5" not in reply.body
    assert reply["X-Request-Id"] == "find-me"
    line = program.wait_until(lambda: [l for l in behind.log.splitlines() if "find-me" in l], "the log line")[0]
    assert "SELECT" in line


def test_19_an_answer_that_is_no_message_is_500_without_internals(upstream, behind):
    upstream.behave = lambda request, context: b"\xff\xff\xff"
    reply = http1.request(behind.http, "GET", "/v1/whoami")
    assert reply.status == 500 and reply.json["code"] == 13
