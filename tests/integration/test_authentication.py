# SPDX-License-Identifier: Apache-2.0
"""Credentials, keys and JWTs against real programs: what is believed, what is not, and for how long.

Nothing here trusts our own code to check signatures: PyCA's cryptography does.
"""

import base64
import datetime
import hashlib
import json
import signal
import time

import grpc
import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from env import pb, program

TOMORROW = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)).date().isoformat()
BAD = {"code": 16, "message": "invalid credential", "details": []}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text):
    return int.from_bytes(decode(text), "big")


def parts(jwt):
    header, claims, signature = jwt.split(".")
    return json.loads(decode(header)), json.loads(decode(claims)), decode(signature)


def verify(jwt, jwks):
    """The claims of a JWT, checked with a JWK Set and another library than ours."""
    header, claims, signature = parts(jwt)
    key = next(key for key in jwks["keys"] if key["kid"] == header["kid"])
    signed = jwt.rpartition(".")[0].encode()
    if header["alg"] == "ES256":
        numbers = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1())
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        numbers.public_key().verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    else:
        numbers = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"]))
        numbers.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    return claims


def sign(key, claims, **header):
    text = ".".join(encode(json.dumps(part).encode())
                    for part in ({"alg": "ES256", "typ": "JWT", **header}, claims))
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def jwk(key, kid):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
            "x": encode(numbers.x.to_bytes(32, "big")), "y": encode(numbers.y.to_bytes(32, "big"))}


def whoami(service, credential=None, **headers):
    if credential:
        headers["Authorization"] = f"Bearer {credential}"
    return requests.get(f"{service.url}/v1/whoami", headers=headers, timeout=program.PATIENCE_S)


def exchange(service, token):
    reply = requests.post(f"{service.url}/v1/auth/exchange", json={"token": token},
                          timeout=program.PATIENCE_S)
    assert reply.status_code == 200, reply.text
    return reply.json()["token"]


def keys(service):
    return requests.get(f"{service.url}/v1/auth/keys", timeout=program.PATIENCE_S).json()


def make_token(service, name, credential=None):
    reply = requests.post(f"{service.url}/v1/tokens", json={"name": name, "expireDate": TOMORROW},
                          headers={"Authorization": f"Bearer {credential or service.admin_token}"},
                          timeout=program.PATIENCE_S)
    assert reply.status_code == 200, reply.text
    return reply.json()["secret"]


def delete_token(service, name):
    reply = requests.delete(f"{service.url}/v1/tokens/{name}",
                            headers={"Authorization": f"Bearer {service.admin_token}"},
                            timeout=program.PATIENCE_S)
    assert reply.status_code == 200, reply.text


# --- JWTs of ours ---

def test_a_jwt_says_who_its_holder_is_to_anybody_with_the_keys(service, unique):
    secret = make_token(service, name := unique())
    before = int(time.time())
    claims = verify(exchange(service, secret), keys(service))
    assert list(claims) == ["iss", "aud", "iat", "nbf", "exp", "unique_name", "roles", "jti",
                            "osmo_token_name", "osmo_token_kind"]
    assert claims["iss"] == claims["aud"] == "osmo"
    assert claims["unique_name"] == "admin"
    assert claims["roles"] == ["osmo-user"]
    assert (claims["osmo_token_name"], claims["osmo_token_kind"]) == (name, "USER")
    assert before <= claims["iat"] == claims["nbf"] == claims["exp"] - 300 <= time.time()


def test_a_jwt_is_a_credential_over_http_and_grpc_until_a_byte_of_it_changes(service, tokens, unique):
    jwt = exchange(service, make_token(service, unique()))
    assert whoami(service, jwt).json()["authMethod"] == "jwt"
    assert whoami(service, **{"x-osmo-auth": jwt}).json()["authMethod"] == "jwt"
    assert tokens.WhoAmI({}, token=jwt).auth_method == "jwt"
    for place in range(0, len(jwt), 7):
        other = jwt[:place] + ("A" if jwt[place] != "A" else "B") + jwt[place + 1:]
        reply = whoami(service, other)
        assert (reply.status_code, reply.json()) == (401, BAD), place
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="osmo", error="invalid_token"'


def test_a_deleted_token_ends_its_jwts_and_one_of_the_same_name_does_not_revive_them(service, unique):
    secret = make_token(service, name := unique())
    jwt = exchange(service, secret)
    assert whoami(service, jwt).status_code == 200
    delete_token(service, name)
    assert whoami(service, jwt).status_code == 401
    assert whoami(service, secret).status_code == 401
    again = make_token(service, name)
    assert whoami(service, again).status_code == 200
    assert whoami(service, jwt).status_code == 401
    assert whoami(service, secret).status_code == 401


def test_nobody_else_signs_for_us(service):
    stranger = ec.generate_private_key(ec.SECP256R1())
    _, claims, _ = parts(exchange(service, service.admin_token))
    kid = keys(service)["keys"][0]["kid"]
    attacks = [
        sign(stranger, claims, kid=kid),
        sign(stranger, claims),
        sign(stranger, claims, kid="mine", jwk=jwk(stranger, "mine")),
        sign(stranger, claims, kid="mine", jku="http://127.0.0.1:1/keys"),
        sign(stranger, claims, kid=kid, alg="none").rpartition(".")[0] + ".",
        sign(stranger, claims, kid=kid, alg="none"),
        sign(stranger, claims, kid=kid, alg="HS256"),
    ]
    for attack in attacks:
        reply = whoami(service, attack)
        assert (reply.status_code, reply.json()) == (401, BAD), attack


# --- Credentials ---

def test_every_bad_credential_gets_one_answer(service, tokens, unique):
    deleted = make_token(service, name := unique())
    delete_token(service, name)
    for bad in ["x", "osmo_x", deleted, deleted[:-1] + "x", "0" * 64, "a.b.c"]:
        replies = [whoami(service, bad), whoami(service, **{"x-osmo-auth": bad}),
                   requests.get(f"{service.url}/v1/auth/keys", timeout=program.PATIENCE_S,
                                headers={"Authorization": f"Bearer {bad}"})]
        for reply in replies:
            assert (reply.status_code, reply.json()) == (401, BAD), bad
        with pytest.raises(grpc.RpcError) as error:
            tokens.WhoAmI({}, token=bad)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert error.value.details() == "invalid credential"


def test_no_credential_is_named_as_such(service, tokens):
    reply = whoami(service)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="osmo"'
    with pytest.raises(grpc.RpcError) as error:
        tokens.WhoAmI({})
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_ambiguous_credentials_are_refused(service, tokens):
    token = service.admin_token
    assert whoami(service, token, **{"x-osmo-auth": token}).status_code == 200
    assert whoami(service, token, **{"x-osmo-auth": token[:-1]}).status_code == 400
    with pytest.raises(grpc.RpcError) as error:
        tokens.WhoAmI({}, token=token, metadata=[("authorization", f"Bearer {token}")])
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_identity_headers_of_strangers_are_not_looked_at(service, tokens):
    assert whoami(service, **{"x-osmo-user": "admin", "x-osmo-roles": "osmo-admin"}).status_code == 401
    with pytest.raises(grpc.RpcError) as error:
        tokens.WhoAmI({}, metadata=[("x-osmo-user", "admin"), ("x-osmo-roles", "osmo-admin")])
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_trusted_proxy_names_the_user(start_service):
    service = start_service("--trusted-proxy", "127.0.0.0/8")
    reply = whoami(service, **{"x-osmo-user": "bob", "x-osmo-roles": "a,b"}).json()
    assert (reply["user"], reply["roles"], reply["authMethod"]) == ("bob", ["a", "b"], "trusted_proxy")
    assert whoami(service, **{"x-osmo-user": ""}).status_code == 401
    assert whoami(service, service.admin_token, **{"x-osmo-user": "bob"}).json()["user"] == "admin"
    with pb.channel(service.grpc) as channel:
        stub = pb.Stub(channel, "osmo.token.v1.TokenService")
        assert stub.WhoAmI({}, metadata=[("x-osmo-user", "bob")]).user == "bob"
        with pytest.raises(grpc.RpcError) as error:
            stub.WhoAmI({}, metadata=[("x-osmo-user", "bob"), ("x-osmo-user", "eve")])
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_failures_are_logged_without_the_credential(start_service):
    service = start_service()
    secret = make_token(service, "t")
    delete_token(service, "t")
    assert whoami(service, secret, **{"x-request-id": "find-me"}).status_code == 401
    lines = [json.loads(line) for line in service.log.splitlines() if '"auth.failed"' in line]
    assert [(line["reason"], line["request_id"]) for line in lines] == [("unknown_token", "find-me")]
    assert secret not in service.log and service.admin_token not in service.log
    start = time.monotonic()
    for _ in range(300):
        whoami(service, "bad")
    took_s = time.monotonic() - start  # a burst of 100, and 10 a second
    assert service.log.count('"auth.failed"') <= 1 + 100 + 10 * (took_s + 1)


def test_a_refused_exchange_and_a_refused_judgement_are_failures_too(start_service):
    service = start_service()
    secret = make_token(service, "t")
    delete_token(service, "t")
    headers = {"Authorization": f"Bearer {service.admin_token}", "x-request-id": "find-me"}
    for path, body in [("/v1/auth/exchange", {"token": secret}),
                       ("/v1/auth/authorize", {"credential": secret, "method": "GET", "path": "/x"})]:
        requests.post(service.url + path, json=body, headers=headers, timeout=program.PATIENCE_S)
    whoami(service, "bad")
    lines = [json.loads(line) for line in service.log.splitlines() if '"auth.failed"' in line]
    assert [(line["place"], line["reason"]) for line in lines] == [
        ("exchange", "unknown_token"), ("authorize", "unknown_token"), ("call", "malformed")]
    assert [line["request_id"] for line in lines[:2]] == ["find-me"] * 2
    assert secret not in service.log and service.admin_token not in service.log
    metrics = requests.get(f"{service.url}/metrics", timeout=program.PATIENCE_S).text
    for place in ("call", "exchange", "authorize"):
        assert f'token_service_auth_failures_total{{place="{place}"}} 1' in metrics


@pytest.mark.parametrize("algorithm, members", [("ES256", {"crv", "x", "y"}), ("RS256", {"n", "e"})])
def test_a_published_key_has_the_members_of_its_type_and_no_others(start_service, tmp_path, algorithm, members):
    key = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "signing.key"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))
    service = start_service("--jwt-key-file", path)
    for path in ("/v1/auth/keys", "/api/auth/keys"):
        keys = requests.get(service.url + path, timeout=program.PATIENCE_S).json()["keys"]
        assert keys
        for key in keys:
            assert set(key) == {"kty", "kid", "alg", "use"} | members
            assert all(key.values())


# --- Other issuers ---

def test_jwts_of_a_configured_issuer_are_believed(start_service, tmp_path):
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [{"kty": "oct", "kid": "s", "k": "AAAA"}, jwk(key, "k1")]}))
    service = start_service(
        "--external-issuer", "https://idp.example", "--external-audience", "tokens",
        "--external-jwks-file", jwks, "--external-user-claim", "preferred_username",
        "--external-roles-claim", "realm_access.roles")
    claims = {"iss": "https://idp.example", "aud": ["x", "tokens"], "exp": time.time() + 60,
              "preferred_username": "carol", "realm_access": {"roles": ["osmo-user"]}}
    reply = whoami(service, sign(key, claims, kid="k1"))
    assert reply.status_code == 200, reply.text
    assert (reply.json()["user"], reply.json()["roles"]) == ("carol", ["osmo-user"])
    for bad in [sign(other, claims, kid="k1"), sign(key, claims, kid="k2"),
                sign(key, {**claims, "aud": "x"}, kid="k1"), sign(key, {**claims, "iss": "osmo"}, kid="k1"),
                sign(key, {**claims, "exp": time.time() - 1}, kid="k1"),
                sign(key, {**claims, "preferred_username": ""}, kid="k1")]:
        assert whoami(service, bad).status_code == 401

    # Their keys change: those of the file as it is now hold, without a restart.
    jwks.write_text(json.dumps({"keys": [jwk(other, "k2")]}))
    program.wait_until(lambda: whoami(service, sign(other, claims, kid="k2")).status_code == 200,
                       "the new keys")
    assert whoami(service, sign(key, claims, kid="k1")).status_code == 401
    jwks.write_text("{}")
    program.wait_until(lambda: "reload.failed" in service.log, "a word about keys that are none")
    assert whoami(service, sign(other, claims, kid="k2")).status_code == 200


def test_another_issuer_has_another_name(tmp_path):
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [jwk(ec.generate_private_key(ec.SECP256R1()), "k1")]}))
    done = program.run("token-service", "--check-config", "--external-issuer", "osmo", "--external-audience", "us",
                       "--external-jwks-file", jwks)
    assert done.returncode == 2 and "--external-issuer" in done.stderr and "'osmo'" in done.stderr


# --- Keys ---

def test_keys_and_jwts_outlive_a_restart_and_a_crash(start_service):
    first = start_service()
    jwt, published = exchange(first, first.admin_token), keys(first)
    assert len(published["keys"]) == 2
    first.kill()
    second = start_service()
    assert keys(second) == published
    assert whoami(second, jwt).status_code == 200
    second.stop()


def test_another_server_key_stops_the_start(start_service, tmp_path):
    service = start_service()
    service.stop()
    other = tmp_path / "other.key"
    other.write_text("11" * 32 + "\n")
    refused = start_service("--encryption-key-file", other, wait=False)
    assert refused.wait_exit() != 0
    assert "encrypted under another key" in refused.log
    # With the old key behind the new one, everything is taken along.
    other.write_text("11" * 32 + "\n" + (service.data_dir / "key").read_text())
    again = start_service("--encryption-key-file", other)
    jwt = exchange(again, again.admin_token)
    again.stop()
    other.write_text("11" * 32 + "\n")
    alone = start_service("--encryption-key-file", other)
    assert whoami(alone, jwt).status_code == 200


def test_a_secret_is_told_again_only_as_long_as_it_is_the_right_one(start_service, tmp_path):
    server_key, signing = tmp_path / "server.key", tmp_path / "signing.key"
    signing.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def start(*keys_):
        server_key.write_text("".join(key + "\n" for key in keys_))
        return start_service("--encryption-key-file", server_key, "--jwt-key-file", signing)

    def post(service, path, body):
        return requests.post(service.url + path, json=body, timeout=program.PATIENCE_S,
                             headers={"Authorization": f"Bearer {service.admin_token}"})

    makes = [("/v1/tokens", {"name": "t", "requestId": "one"}),
             ("/v1/tokens/u:rotate", {"requestId": "two", "overlap": "3600s"})]
    first = start("11" * 32)
    post(first, "/v1/tokens", {"name": "u"})
    told = [post(first, *make).json()["secret"] for make in makes]
    assert [post(first, *make).json()["secret"] for make in makes] == told
    first.stop()

    # with the old key behind the new one it is told again
    second = start("22" * 32, "11" * 32)
    assert [post(second, *make).json()["secret"] for make in makes] == told
    second.stop()

    # without it nobody knows it any more: no other is made up, and the tokens are as they were
    third = start("22" * 32)
    for make in makes:
        reply = post(third, *make)
        assert reply.status_code == 400 and "cannot be told again" in reply.json()["message"], reply.text
        assert "secret" not in reply.json()
    assert [whoami(third, secret).status_code for secret in told] == [200, 200]


def test_a_key_file_that_everybody_may_read_stops_the_start(start_service):
    service = start_service()
    service.stop()
    (service.data_dir / "key").chmod(0o644)
    refused = start_service(wait=False)
    assert refused.wait_exit() != 0
    assert "chmod 600" in refused.log


@pytest.mark.parametrize("kind", ["pem-ec", "pem-rsa", "jwk"])
def test_the_keys_of_a_file_sign(start_service, tmp_path, kind):
    key = (rsa.generate_private_key(65537, 2048) if kind == "pem-rsa"
           else ec.generate_private_key(ec.SECP256R1()))
    path = tmp_path / "signing.key"
    if kind == "jwk":
        secret = key.private_numbers().private_value.to_bytes(32, "big")
        path.write_text(json.dumps({**jwk(key, "my-key"), "d": encode(secret)}))
    else:
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    service = start_service("--jwt-key-file", path)
    jwt, published = exchange(service, service.admin_token), keys(service)
    header, _, _ = parts(jwt)
    assert header["alg"] == ("RS256" if kind == "pem-rsa" else "ES256")
    assert [key["kid"] for key in published["keys"]] == [header["kid"]]
    if kind == "jwk":
        assert header["kid"] == "my-key"
    verify(jwt, published)
    assert whoami(service, jwt).status_code == 200
    assert not any({"d", "p", "q"} & set(key) for key in published["keys"])


def test_rs256_on_request(start_service):
    service = start_service("--jwt-algorithm", "RS256")
    jwt = exchange(service, service.admin_token)
    assert parts(jwt)[0]["alg"] == "RS256"
    verify(jwt, keys(service))
    with pytest.raises(InvalidSignature):
        text, _, signature = jwt.rpartition(".")
        verify(f"{text}.{encode(bytes(decode(signature)[:-1]) + b'x')}", keys(service))


def test_a_key_id_is_the_thumbprint_of_its_key(service):
    for key in keys(service)["keys"]:
        members = {name: key[name] for name in ("crv", "kty", "x", "y")}
        text = json.dumps(members, separators=(",", ":"), sort_keys=True)
        assert key["kid"] == encode(hashlib.sha256(text.encode()).digest())


def test_a_bad_key_file_stops_the_start(start_service, tmp_path):
    path = tmp_path / "signing.key"
    for content, wanted in [("hunter2", "JSON"), ('{"kty":"oct","k":"aHVudGVyMg"}', "no key"),
                            (json.dumps(jwk(ec.generate_private_key(ec.SECP256R1()), "k")), "public")]:
        path.write_text(content)
        refused = start_service("--jwt-key-file", path, wait=False)
        assert refused.wait_exit() != 0
        assert wanted in refused.log and "hunter2" not in refused.log


def test_a_reload_leaves_callers_alone(start_service):
    service = start_service()
    jwt = exchange(service, service.admin_token)
    service.signal(signal.SIGHUP)
    for _ in range(20):
        assert whoami(service, jwt).status_code == 200
