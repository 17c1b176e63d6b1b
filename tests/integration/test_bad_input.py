# SPDX-License-Identifier: Apache-2.0
"""What is wrong gets a status and a message that says what and where, and leaves everything as it was:
over gRPC, over /v1 and over /api. (HTTP as bytes: test_http_server.py; JSON: test_gateway_rules.py and
test_pbjson.py; HTTP/2 as bytes: test_grpc_transport.py.)"""

import contextlib
import datetime
import json
import time

import grpc
import hypothesis
import hypothesis.strategies as st
import pytest
import requests

from env import h2raw, pb, program

CODES = grpc.StatusCode
SERVICES = ["TokenService", "AuthService", "ProfileService", "RoleService"]
ALL_SERVICES = [*(f"osmo.token.v1.{name}" for name in SERVICES), "osmo.compat.v1.CompatService"]


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=offset)).isoformat()


# --- Options ---


def table(name):
    return json.loads(program.run(name, "--help-json").stdout)["options"]


# Of each option with a text: what is wrong with it. An option that is not here fails the test. An empty
# text is a value that is taken back, but for those that have a default.
WRONG_TEXTS = {
    "grpc-listen": ["", "x", ":1", "h:65536", "h:x", "unix:", "1.2.3.4", "h:1:2", "off"],
    "http-listen": ["", "x", ":1", "h:65536", "unix:", "on"],
    "service": ["", "x", ":1", "h:65536", "h:-1", "unix:", "h:1,h:2"],
    "trusted-proxy": ["10.0.0.0/33", "x", "::/129", "10.0.0.1/8x", "10.0.0.0/8,"],
    "mtls-identity": ["x", "=user", "a=", "a=b:", "a=b:c++d", "a=" + "u" * 256],
    "personal-token-denied": ["x", "http:", "http:/x", "http:/x:", "ftp:/x:Get"],
    "service-version": ["", "6", "6.x.0", "v6.0.0", "6.0.0-rc"],
    "client-latest-version": ["6.0", "latest"],
    "client-min-version": ["6.0", "0"],
    "max-token-lifetime": ["36h", "0", "12h"],
    "cors-origin": ["*x", "app.example.com", "https://", "https://a/b", "ftp://a", "null"],
    "login-device-endpoint": ["x", "a b", "ftp://a"],
    "login-browser-endpoint": ["x", "https://"],
    "login-token-endpoint": ["x", "https://a b"],
    "login-logout-endpoint": ["x", "https://a\nb"],
    "service-url": ["x", "javascript:alert(1)"],
    "default-roles": ["a b", "r" * 256, "a/b"],
    "pools": ["a\nb"],
    "buckets": ["a\nb"],
    "jwt-issuer": [""], "jwt-audience": [""], "external-user-claim": [""], "external-roles-claim": [""], "data-dir": [""],
    "external-issuer": ["x"],
    # their counterpart is missing
    "tls-cert-file": ["x"], "tls-key-file": ["x"], "service-cert-file": ["x"], "service-key-file": ["x"],
    # files that are not there
    "external-jwks-file": ["missing"], "jwt-key-file": ["missing"], "encryption-key-file": ["missing"],
    "admin-token-file": ["missing"], "service-ca-file": ["missing"], "tls-client-ca-file": ["missing"],
    "ready-file": ["missing/file"],
    # what may hold a password is not repeated
    "postgres-url": ["x", "postgresql://user:secret@host/name", "postgresql://host/name"],
    "postgres-direct-url": ["x", "postgresql://user:secret@host/name", "postgresql://host/name"],
    # any text will do
    "postgres-password-file": [],
    "external-audience": [], "login-device-client-id": [], "login-browser-client-id": [], "service-name": [],
}


# The same of what only a file can hold: what it says, and what is named of it.
WRONG_SECTIONS = {
    "roles": [("x", "'x'"), ("[{}]", "'name'"), ("[{name: a}]", "'policies'"), ("[{name: a, policies: x}]", "'x'"),
              ("[{name: a, policies: [{actions: [x]}]}]", "action: x"), ("[{name: a, nmae: b}]", "'nmae'")],
}


def wrong_values(option):
    """Values that this option cannot take, from what the table says of it."""
    kind = option["type"]
    if kind in ("string", "list"):
        assert option["name"] in WRONG_TEXTS, f"say in WRONG_TEXTS what --{option['name']} cannot be"
        return WRONG_TEXTS[option["name"]]
    if kind == "flag":
        return ["", "perhaps", "2", "yes please"]
    if kind == "enum":
        return ["", "x", option["choices"][0] + "x", ",".join(option["choices"])]
    result = ["", "x", "-1", "1.5.2", "999999999999999999999999", "1 2", "0x10", "\N{ARABIC-INDIC DIGIT THREE}"]
    least, most = option["min"], option.get("max")
    if kind == "int":
        return [*result, str(least - 1), "1e3", *([str(most + 1)] if most else [])]
    if kind == "duration":
        return [*result, "1", "1y", "s", *([f"{most + 1}ms"] if most else []), *([f"{least - 1}ms"] if least else [])]
    assert kind == "size", option
    return [*result, "1XB", "KiB", *([str(most + 1)] if most else []), *([str(least - 1)] if least else [])]


@pytest.mark.parametrize("name", ["token-service", "token-gateway"])
def test_each_option_refuses_what_it_cannot_take(name, tmp_path):
    """In one line that names the option and the value; with 2; and nothing was made."""
    for option in table(name):
        if option["command_only"] or option["type"] == "section":
            continue
        values = wrong_values(option)
        for value in values[-2:] if program.SANITIZED else values:
            done = program.run(name, f"--{option['name']}={value}", cwd=tmp_path,
                               env={f"{name.upper().replace('-', '_')}_DATA_DIR": "data"})
            case = (option["name"], value, done)
            assert done.returncode == 2 and done.stdout == "", case
            lines = done.stderr.splitlines()
            assert len(lines) == 1 and lines[0].startswith(f"{name}: "), case
            assert f"--{option['name']}" in lines[0], case
            shown = value.rpartition(",")[2] if option["type"] == "list" else value
            if "postgres" in option["name"]:
                assert "secret" not in done.stderr, case
            elif shown.isprintable() and shown.isascii() and len(shown) < 100:
                assert f"'{shown}'" in lines[0] or shown in lines[0], case
            assert not list(tmp_path.iterdir()), case


@pytest.mark.parametrize("name", ["token-service", "token-gateway"])
def test_each_section_of_a_file_refuses_what_it_cannot_hold(name, tmp_path):
    """In one line that names the file, the line and the value; with 2."""
    for option in table(name):
        if option["type"] != "section":
            continue
        file = tmp_path / "config.yaml"
        for text, named in WRONG_SECTIONS[option["name"]]:
            file.write_text(f"---\n{option['name']}: {text}\n")
            done = program.run(name, "--config", file, "--check-config")
            assert done.returncode == 2 and done.stdout == "", (text, done)
            assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith(f"{name}: {file}:2: "), (text, done)
            assert named in done.stderr, (text, done)


# --- What is stored ---


class Api:
    def __init__(self, service, channel):
        self.service, self.channel = service, channel
        self.tokens, self.auth, self.profiles, self.roles = (
            pb.Stub(channel, f"osmo.token.v1.{name}") for name in SERVICES)

    @property
    def admin(self):
        return self.service.admin_token

    def stored(self):
        """All that a request could change."""
        result = []
        for kind in ("USER", "SERVICE"):
            page = None
            while page != "":
                answer = self.tokens.List({"kind": kind, "pageSize": 1000, "pageToken": page or ""}, token=self.admin)
                for token in answer.tokens:
                    token.ClearField("last_used_time")  # by ourselves, now
                    token.ClearField("last_used_address")
                    result.append(token.SerializeToString())
                page = answer.next_page_token
        roles = self.roles.List({}, token=self.admin)
        return [result, roles.SerializeToString(), self.profiles.Get({}, token=self.admin).SerializeToString()]

    def http(self, method, path, **keywords):
        return requests.request(method, self.service.url + path, timeout=program.PATIENCE_S,
                                headers={"Authorization": f"Bearer {self.admin}"}, **keywords)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A service of our own: `stored` is about all there is."""
    service = program.TokenService(tmp_path_factory.mktemp("bad-input"))
    with pb.channel(service.grpc) as channel:
        result = Api(service, channel)
        result.tokens.Set({"name": "here", "kind": "SERVICE", "roles": ["osmo-user"]}, token=result.admin)
        yield result
    service.stop()


def refusal(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    assert caught.value.details() is not None
    whole = pb.details(caught.value)  # where a message may also end with a space
    return caught.value.code(), whole.message if whole else caught.value.details()


# --- Names, dates, roles: three ways in, one answer ---

NAMES = ["1x", "x-", "-x", "x y", "x.y", "é", "x\u0301", "a" * 256, "a" * 3000, "x\n", "\tx", "x'; DROP TABLE token", "%41",
         "\U0001F511", "..", "x%2Fy", "<b>", "\x7f", "a\u202e"]
DATES = ["soon", "2030-13-01", "2030-02-30", "2030-1", "20300101", "2030-01-01T00:00:00Z", "0000-00-00", " 2030-01-01",
         "2030-01-01 ", "-001-01-01", "99999-01-01", "２０３０-01-01", day(0), day(-1), "1970-01-01", day(366), "9999-12-31"]
ROLES = ["nobody", "", " osmo-user", "osmo-user,osmo-admin", "osmo-*", "*", "OSMO-USER", "r" * 256, "é"]


def same_refusal(api, *, kind="USER", name="bad", date=None, roles=()):
    """What each of the three says to it, which is the same."""
    date = date or day(1)
    before = api.stored()
    request = {"name": name, "kind": kind, "expireDate": date, "roles": list(roles)}
    code, message = refusal(api.tokens.Set, request, token=api.admin)
    assert code == CODES.INVALID_ARGUMENT, message
    reply = api.http("POST", "/v1/tokens", json=request)
    assert (reply.status_code, reply.json()["code"], reply.json()["message"]) == (400, 3, message)
    # in a path and a query, where the rules of paths come first
    if name == "..":
        return message  # requests would take it for a step in the path; test_gateway_rules.py, 10
    quoted = requests.utils.quote(name, safe="")
    reply = api.http("POST", f"/api/auth/access_token/{kind.lower()}/{quoted}", params={"expires_at": date, "roles": roles})
    assert reply.status_code in (400, 414) and reply.json()["message"]
    if len(name) < 1000 and name.isprintable():
        assert reply.json()["message"] == message
    assert api.stored() == before
    return message


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_name_is_refused_everywhere(api, name):
    message = same_refusal(api, name=name)
    if name.isprintable() and len(name) < 256:
        assert message.startswith(f"Token name {name} must match regex ")
    same_refusal(api, name=name, kind="SERVICE", roles=["osmo-user"])
    before = api.stored()
    code, _ = refusal(api.tokens.Delete, {"name": name}, token=api.admin)
    assert code in (CODES.NOT_FOUND, CODES.INVALID_ARGUMENT)
    assert api.stored() == before


@pytest.mark.parametrize("date", DATES)
def test_a_bad_date_is_refused_everywhere(api, date):
    message = same_refusal(api, date=date)
    assert date in message or "past the current date" in message or "longer than 365d" in message


@pytest.mark.parametrize("role", ROLES)
def test_a_bad_role_is_refused_everywhere(api, role):
    message = same_refusal(api, kind="SERVICE", roles=["osmo-user", role])
    assert message == f"Invalid role: {role}"


def test_the_bounds_of_a_token_are_bounds_over_http_too(api):
    date = {"expires_at": day(1)}
    before = api.stored()
    for kind in ("user", "service"):
        path = f"/api/auth/access_token/{kind}/"
        good = [("n" * 255, {"description": "d" * 1024}), ("many", {"roles": ["osmo-user"] * 64})]
        bad = [("n" * 256, {}), ("long", {"description": "d" * 1025}), ("wide", {"description": "é" * 513})]
        bad += [("many", {"roles": ["osmo-user"] * 65})] if kind == "service" else []
        for name, parameters in bad:
            reply = api.http("POST", path + name, params={**date, **parameters})
            assert reply.status_code == 400 and reply.json()["message"], (name, reply.text)
            reply = api.http("POST", "/v1/tokens", json={"name": name, "kind": kind, **parameters})
            assert reply.status_code == 400
        assert api.stored() == before
        for name, parameters in good:
            assert api.http("POST", path + name, params={**date, **parameters}).status_code == 200
            assert api.http("DELETE", path + name).status_code == 200
    assert api.stored() == before


@pytest.mark.parametrize("n", [300, 8000, 9000, 500000])
def test_a_name_that_is_too_long_for_a_permission_is_too_long(api, n):
    """What a request needs is made of the names in it."""
    before = api.stored()
    for call, request in [(api.tokens.Set, {}), (api.tokens.Delete, {"kind": "SERVICE"}), (api.roles.Put, {"role": {}})]:
        code, message = refusal(call, {"name": "n" * n, **request}, token=api.admin)
        assert code in (CODES.INVALID_ARGUMENT, CODES.NOT_FOUND) and message, message
        assert refusal(call, {"name": "n" * n, **request})[0] == CODES.UNAUTHENTICATED
    assert api.stored() == before


@pytest.mark.parametrize("wrong", [
    {"name": "a b"}, {"name": ""}, {"name": "osmo-admin"}, {"name": "long", "description": "d" * 1025},
    {"name": "act", "policies": [{"actions": ["http:x"]}]}, {"name": "act", "policies": [{"actions": [7]}]},
    {"name": "many", "policies": [{"actions": []}] * 1000}])
def test_of_several_roles_none_is_stored_when_one_is_wrong(api, wrong):
    good = [{"name": f"good{i}", "description": "", "policies": [{"actions": ["http:/x:Get"]}]} for i in range(2)]
    before = api.stored()
    for configs in ([*good, wrong], [good[0], wrong, good[1]]):
        reply = api.http("PUT", "/api/configs/role", json={"configs": configs})
        assert reply.status_code == 400 and reply.json()["message"], reply.text
        assert api.stored() == before


# --- Messages ---

def methods():
    return [(service, method) for service in ALL_SERVICES for method in pb.pool().FindServiceByName(service).methods]


def build(descriptor, parts):
    maps = {name: parts.pop(name) for name in list(parts)
            if isinstance(parts[name], dict)}
    result = pb.message(descriptor.full_name)(**parts)
    for name, entries in maps.items():
        for key, value in entries.items():
            getattr(result, name)[key].CopyFrom(value)
    return result


def fields(descriptor, depth=5):
    """Messages of this type, most of them nonsense in one place or another."""
    one = {
        "string": st.one_of(st.text(max_size=40), st.sampled_from(
            ["", "here", "osmo-user", "osmo-admin", "x" * 300, "\U0001F511", "/api/x", "GET", "2030-02-30", "AAAA", "name = x"])),
        "bool": st.booleans(),
        "long": st.one_of(st.sampled_from([0, 1, -1, 2**63 - 1, -2**63]), st.integers(-2**63, 2**63 - 1)),
        "int": st.one_of(st.sampled_from([0, 1, -1, 7, 2**31 - 1, -2**31]), st.integers(-2**31, 2**31 - 1)),
    }
    parts = {}
    for field in descriptor.fields:
        if field.type == field.TYPE_MESSAGE and depth == 0:
            continue
        if field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            entry = fields(field.message_type.fields_by_name["value"].message_type, depth - 1)
            parts[field.name] = st.dictionaries(st.sampled_from(["base", "path", "method", "", "x"]), entry, max_size=4)
            continue
        if field.type == field.TYPE_MESSAGE:
            value = fields(field.message_type, depth - 1)
        elif field.type == field.TYPE_STRING:
            value = one["string"]
        elif field.type == field.TYPE_BOOL:
            value = one["bool"]
        elif field.type in (field.TYPE_INT32, field.TYPE_ENUM):
            value = one["int"]
        elif field.type == field.TYPE_INT64:
            value = one["long"]
        elif field.type == field.TYPE_DOUBLE:
            value = st.floats()
        else:
            raise AssertionError(f"a type that is not tried yet: {field.full_name}")
        if field.label == field.LABEL_REPEATED:
            value = st.lists(value, max_size=5)
        parts[field.name] = value
    return st.fixed_dictionaries({}, optional=parts).map(lambda parts: build(descriptor, parts))


FUZZ = hypothesis.settings(
    max_examples=30 if program.SANITIZED else 100, deadline=None, database=None,
    suppress_health_check=list(hypothesis.HealthCheck))
# What a caller may be told of a request; anything else would be a fault of ours.
CALLERS_FAULT = {CODES.OK, CODES.INVALID_ARGUMENT, CODES.NOT_FOUND, CODES.ALREADY_EXISTS, CODES.FAILED_PRECONDITION,
                 CODES.UNAUTHENTICATED, CODES.PERMISSION_DENIED}


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A service that may come to hold anything."""
    service = program.TokenService(tmp_path_factory.mktemp("victim"))
    with pb.channel(service.grpc) as channel:
        yield Api(service, channel)
    service.stop()


def call_raw(api, service, method, data, **keywords):
    call = api.channel.unary_unary(f"/{service}/{method.name}")
    return call.future(data, metadata=[("authorization", f"Bearer {api.admin}")], timeout=program.PATIENCE_S, **keywords)


@pytest.mark.parametrize("service, method", methods(), ids=lambda value: getattr(value, "name", value))
def test_nonsense_is_the_callers_fault_and_harms_nobody(victim, service, method):
    @FUZZ
    @hypothesis.given(st.data())
    def run(data):
        request = data.draw(fields(method.input_type))
        raw = request.SerializeToString()
        if data.draw(st.integers(0, 3)) == 0 and raw:  # and now and then bytes that are no message
            at = data.draw(st.integers(0, len(raw) - 1))
            raw = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 3)):]
        call = call_raw(victim, service, method, raw)
        assert call.code() in CALLERS_FAULT, (call.code(), call.details(), raw)
        if call.code() == CODES.OK:
            pb.message_class(method.output_type).FromString(call.result())
        else:
            assert call.details(), raw

    run()
    assert victim.tokens.WhoAmI({}, token=victim.admin).user == "admin"
    assert victim.http("GET", "/readyz").status_code == 200


@pytest.mark.parametrize("data", [
    b"\xff", b"\x0a", b"\x0a\x05ab", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x0b", b"\x0c",
    b"\x0a\x02\xff\xfe", b"\x0a\x03a\0b", b"\x0a\x02\xc0\x80", b"\x0a\x03\xed\xa0\x80", b"\x07", b"\x00\x00", b"\x80" * 11,
    b"\x0a\x01a" * 3 + b"\x22"])
def test_bytes_that_are_no_message_change_nothing(api, data):
    before = api.stored()
    for service, method in methods():
        if not method.input_type.fields:
            continue
        call = call_raw(api, service, method, data)
        assert call.code() == CODES.INVALID_ARGUMENT, (method.name, call.code(), call.details())
        assert call.details()
    assert api.stored() == before


# --- Metadata ---

PATH = b"/osmo.token.v1.TokenService/WhoAmI"
EMPTY = b"\0\0\0\0\0"


def whoami_raw(api, *headers):
    with h2raw.Connection(api.service.grpc) as c:
        c.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, 1, h2raw.request(PATH, *headers)))
        c.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, 1, EMPTY))
        return c.answer(1)


@pytest.mark.parametrize("headers", [
    [(b"x-data-bin", b"!!!")], [(b"x-data-bin", b"A")], [(b"x-data-bin", b"AAA=A")], [(b"authorization-bin", b"\xff\xff")],
    [(b"grpc-timeout", b"soon")], [(b"grpc-timeout", b"99999999999S")], [(b"grpc-timeout", b"-1S")],
    [(b"authorization", b"Bearer a\x01b")], [(b"authorization", b"Bearer \xc3\xa9")], [(b"x-osmo-client-version", b"\xff\xfe")],
    [(b"Authorization", b"Bearer x")], [(b"x y", b"z")], [(b"", b"z")], [(b"x-request-id", b"\xff" * 40)],
    [(b"traceparent", b"00-nonsense")], [(b"x-osmo-client-version", b"1.2.3.4.5.6")], [(b"grpc-encoding", b"br")],
    [(b"content-length", b"7")], [(b":path", b"/x")], [(b"connection", b"close")], [(b"grpc-accept-encoding", b"\x80")],
])
def test_strange_metadata_is_answered_or_refused_and_harms_nobody(api, headers):
    """The library answers some of it; what reaches the service is refused with a text that is one."""
    answer = whoami_raw(api, *headers)
    assert b"grpc-status\x0213" not in answer and b"grpc-status\x012" not in answer
    assert b"grpc-status\x010" not in answer  # there was no good credential
    assert api.tokens.WhoAmI({}, token=api.admin).user == "admin"


def test_good_metadata_passes_beside_it(api):
    """That the test above finds no OK is not because of its own mistakes."""
    token = b"Bearer " + api.admin.encode()
    assert b"grpc-status\x010" in whoami_raw(api, (b"authorization", token))
    assert b"grpc-status\x010" in whoami_raw(api, (b"authorization", token), (b"x-data-bin", b"AAAA"), (b"x-other", b"\xff"))


@pytest.mark.parametrize("key", ["authorization", "x-osmo-auth"])
def test_two_credentials_are_none(api, key):
    value = f"Bearer {api.admin}" if key == "authorization" else api.admin
    code, message = refusal(api.tokens.WhoAmI, {}, metadata=[(key, value), (key, value)])
    assert (code, message) == (CODES.INVALID_ARGUMENT, f"{key} was sent 2 times, once is expected")


@pytest.mark.parametrize("version", ["\xff", "1.2", "1.2.3-\xe9", "x" * 2000, "-1.0.0", "1.2.3 ", "99999999999999999999.0.0"])
def test_a_client_version_that_is_none_is_refused_in_text_that_is_one(api, version):
    reply = requests.get(f"{api.service.url}/v1/whoami", timeout=program.PATIENCE_S, headers={
        "Authorization": f"Bearer {api.admin}", "x-osmo-client-version": version.encode("latin-1")})
    if version.endswith(" "):  # whitespace around a value is not part of it
        assert reply.status_code == 200
        return
    assert reply.status_code == 400
    body = json.loads(reply.content.decode())
    assert body["message"].startswith("x-osmo-client-version: ")


# --- Bounds of connections ---


def open_stream(connection, number, token):
    """Half a call: its message is to come."""
    connection.send(h2raw.frame(h2raw.HEADERS, h2raw.END_HEADERS, number, h2raw.request(
        PATH, (b"authorization", b"Bearer " + token.encode()))))


def end_stream(connection, number):
    connection.send(h2raw.frame(h2raw.DATA, h2raw.END_STREAM, number, EMPTY))


def test_a_connection_carries_128_calls_at_a_time(api):
    with h2raw.Connection(api.service.grpc) as c:
        kind, _, _, settings = c.until(h2raw.SETTINGS)
        values = {int.from_bytes(settings[i:i + 2], "big"): int.from_bytes(settings[i + 2:i + 6], "big")
                  for i in range(0, len(settings), 6)}
        assert (kind, values[3]) == (h2raw.SETTINGS, 128)  # MAX_CONCURRENT_STREAMS
        c.send(h2raw.frame(h2raw.SETTINGS, h2raw.ACK, 0))
        numbers = range(1, 2 * 128, 2)
        for number in numbers:
            open_stream(c, number, api.admin)
        for number in numbers:
            end_stream(c, number)
        ended = set()
        for kind, flags, stream, payload in c.frames():
            assert kind != h2raw.RST_STREAM, int.from_bytes(payload, "big")
            if kind == h2raw.HEADERS and flags & h2raw.END_STREAM:
                ended.add(stream)
            if len(ended) == 128:
                break
        assert ended == set(numbers)
    # Who opens one more does not listen: the library refuses that call, or ends the connection.
    with h2raw.Connection(api.service.grpc) as c:
        c.until(h2raw.SETTINGS)
        c.send(h2raw.frame(h2raw.SETTINGS, h2raw.ACK, 0))
        for number in range(1, 2 * 129, 2):
            open_stream(c, number, api.admin)
        with contextlib.suppress(OSError):
            end_stream(c, 257)
            assert b"grpc-status\x010" not in c.answer(257)
    assert api.tokens.WhoAmI({}, token=api.admin).user == "admin"


def test_connections_past_the_cap_are_closed_and_the_others_stay(start_service):
    service = start_service("--max-connections", "4", "--threads", "1")
    connections = []
    try:
        for _ in range(4):
            connections.append(h2raw.Connection(service.grpc))
            assert connections[-1].until(h2raw.SETTINGS)
        with h2raw.Connection(service.grpc, hello=False) as extra:
            assert list(extra.frames()) == []
        for each in connections:
            open_stream(each, 1, service.admin_token)
            end_stream(each, 1)
            assert b"admin" in each.answer(1)
    finally:
        for each in connections:
            each.socket.close()

    def room():
        with pb.channel(service.grpc) as channel:
            try:
                return pb.Stub(channel, "osmo.token.v1.TokenService").WhoAmI({}, token=service.admin_token)
            except grpc.RpcError as error:
                assert error.code() == CODES.UNAVAILABLE
                return None

    assert program.wait_until(room, "room").user == "admin"


def test_pings_that_come_too_often_end_the_connection(api):
    with h2raw.Connection(api.service.grpc) as c:
        for number in range(4):  # two strikes are forgiven
            c.send(h2raw.frame(h2raw.PING, 0, 0, number.to_bytes(8, "big")))
            time.sleep(0.05)
        _, _, _, payload = c.until(h2raw.GOAWAY)
        assert int.from_bytes(payload[4:8], "big") == 11 and payload[8:] == b"too_many_pings"
        assert c.until(h2raw.GOAWAY) is None  # and then it is closed
    assert api.tokens.WhoAmI({}, token=api.admin).user == "admin"


@pytest.mark.long
def test_pings_every_ten_seconds_are_welcome(api):
    with h2raw.Connection(api.service.grpc) as c:
        for number in range(5):
            c.send(h2raw.frame(h2raw.PING, 0, 0, number.to_bytes(8, "big")))
            kind, flags, _, payload = c.until(h2raw.PING, h2raw.GOAWAY)
            assert (kind, flags, payload) == (h2raw.PING, h2raw.ACK, number.to_bytes(8, "big"))
            time.sleep(10.1)
        open_stream(c, 1, api.admin)
        end_stream(c, 1)
        assert b"admin" in c.answer(1)


def test_headers_and_message_have_their_bounds_over_grpc(api):
    admin = [("authorization", f"Bearer {api.admin}")]
    fits = "y" * (30 * 1024)
    assert api.tokens.WhoAmI({}, metadata=[*admin, ("x-filler", fits)]).user == "admin"
    with pb.channel(api.service.grpc) as channel:
        code, _ = refusal(pb.Stub(channel, "osmo.token.v1.TokenService").WhoAmI, {},
                          metadata=[*admin, ("x-filler", "y" * (33 * 1024))])
        assert code in (CODES.RESOURCE_EXHAUSTED, CODES.UNAVAILABLE)  # or the connection is closed
    before = api.stored()
    overhead = len(pb.message("osmo.token.v1.SetRequest")(name="n", description="x" * 1000000).SerializeToString()) - 1000000
    most = "x" * ((1 << 20) - overhead)
    code, message = refusal(api.tokens.Set, {"name": "n", "description": most}, token=api.admin)
    assert code == CODES.INVALID_ARGUMENT and "1024" in message  # it was read
    assert refusal(api.tokens.Set, {"name": "n", "description": most + "x"}, token=api.admin)[0] == CODES.RESOURCE_EXHAUSTED
    assert api.stored() == before
