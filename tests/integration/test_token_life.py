# SPDX-License-Identifier: Apache-2.0
"""What becomes of a token after it was made: updates, rotation, limits, the end of all of a user's."""

import concurrent.futures
import datetime
import time

import grpc
import pytest
import requests

from env import pb, program, stores

CODES = grpc.StatusCode


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=offset)).isoformat()


class Api:
    """TokenService and its neighbours on one channel, with the admin token."""

    def __init__(self, channel, admin):
        self.tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        self.auth = pb.Stub(channel, "osmo.token.v1.AuthService")
        self.roles = pb.Stub(channel, "osmo.token.v1.RoleService")
        self.admin = admin

    def personal(self, name, **fields):
        return self.tokens.Set({"name": name, **fields}, token=self.admin).secret

    def service(self, name, *roles):
        return self.tokens.Set({"name": name, "kind": "SERVICE", "roles": list(roles)}, token=self.admin).secret

    def role(self, name, *actions):
        self.roles.Put({"name": name, "role": {"policies": [{"actions": list(actions)}]}}, token=self.admin)
        return name

    def who(self, secret):
        return self.tokens.WhoAmI({}, token=secret)

    def token(self, name, kind="USER"):
        [found] = self.tokens.List({"kind": kind, "filter": f'name = "{name}"'}, token=self.admin).tokens
        return found


@pytest.fixture(scope="module", params=stores.KINDS)
def store(request):
    result = stores.KINDS[request.param]()
    yield result
    result.stop()


@pytest.fixture(scope="module")
def service(store, tmp_path_factory):
    """The one that the tests of this file share, on each store in turn."""
    folder = tmp_path_factory.mktemp("service")
    result = program.TokenService(folder, *store.options(folder))
    yield result
    result.stop()


@pytest.fixture
def start_service(start_service, store, tmp_path):
    """As everywhere, with the store."""
    def start(*options, folder=tmp_path / "service", **keywords):
        return start_service(*options, *store.options(folder), folder=folder, **keywords)

    return start


@pytest.fixture(scope="module")
def api(service):
    with pb.channel(service.grpc) as channel:
        yield Api(channel, service.admin_token)


def refused(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return caught.value.code(), caught.value.details()


def opens_nothing(api, secret):
    assert refused(api.who, secret) == (CODES.UNAUTHENTICATED, "invalid credential")


def as_user(user, roles="osmo-user"):
    """Metadata of somebody that a service with --dev-login believes."""
    return [("x-osmo-user", user), ("x-osmo-roles", roles)]


# --- Update ---


def test_an_update_changes_what_it_names_and_nothing_else(api, unique):
    name = unique()
    secret = api.service(name, "osmo-user", "osmo-backend")
    before = api.token(name, "SERVICE")
    after = api.tokens.Update({"name": name, "kind": "SERVICE", "description": "ü new"}, token=api.admin).token
    assert after.description == "ü new"
    before.description = "ü new"
    assert api.token(name, "SERVICE") == before == after
    after = api.tokens.Update({"name": name, "kind": "SERVICE", "roles": ["osmo-ctrl"], "description": "not this",
                               "updateMask": "roles"}, token=api.admin).token
    assert (after.description, list(after.roles)) == ("ü new", ["osmo-ctrl"])
    assert list(api.who(secret).roles) == ["osmo-ctrl"]
    after = api.tokens.Update({"name": name, "kind": "SERVICE", "updateMask": "description"}, token=api.admin).token
    assert (after.description, list(after.roles)) == ("", ["osmo-ctrl"])


def test_an_update_over_http(service, api, unique):
    name = unique()
    api.personal(name)
    headers = {"Authorization": f"Bearer {api.admin}"}
    answer = requests.patch(f"{service.url}/v1/tokens/{name}", json={"description": "d"}, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["token"]["description"]) == (200, "d")
    answer = requests.patch(f"{service.url}/v1/tokens/{name}", json={"description": "x", "updateMask": "expireDate"},
                            headers=headers, timeout=30)
    assert answer.status_code == 400
    assert "'description' and 'roles' can be changed" in answer.json()["message"]
    assert api.token(name).description == "d"


@pytest.mark.parametrize("request_, code, text", [
    ({"name": "nobody"}, CODES.INVALID_ARGUMENT, "nothing is to be changed: description or roles is expected"),
    ({"name": "nobody", "description": "d"}, CODES.NOT_FOUND, "User access token nobody does not exist."),
    ({"name": "nobody", "description": "d" * 1025}, CODES.INVALID_ARGUMENT,
     "Description must be at most 1024 bytes long, got 1025"),
    ({"name": "nobody", "roles": ["osmo-user"]}, CODES.INVALID_ARGUMENT,
     "Roles are not supported for personal tokens."),
    ({"name": "nobody", "kind": "SERVICE", "roles": ["osmo-user"]}, CODES.NOT_FOUND,
     "Service access token nobody does not exist."),
    ({"name": "nobody", "kind": "SERVICE", "roles": ["what"]}, CODES.INVALID_ARGUMENT, "Invalid role: what"),
    ({"name": "nobody", "kind": "SERVICE", "updateMask": "roles"}, CODES.INVALID_ARGUMENT,
     "Roles are required for service tokens."),
])
def test_what_is_wrong_with_an_update_is_said(api, request_, code, text):
    assert refused(api.tokens.Update, request_, token=api.admin) == (code, text)


def test_updates_at_the_same_time_lose_nothing(api, unique):
    """Each changes one field of the two; both changes must be there in the end."""
    name = unique()
    api.service(name, "osmo-user")
    roles = [["osmo-user"], ["osmo-backend"], ["osmo-ctrl"]]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        work = [pool.submit(api.tokens.Update, {"name": name, "kind": "SERVICE", **change}, token=api.admin)
                for i in range(20)
                for change in ({"description": f"d{i}"}, {"roles": roles[i % 3]})]
        for each in work:
            each.result()
    api.tokens.Update({"name": name, "kind": "SERVICE", "roles": ["osmo-ctrl"]}, token=api.admin)
    after = api.token(name, "SERVICE")
    assert after.description.startswith("d") and list(after.roles) == ["osmo-ctrl"]


# --- Rotate ---


def test_a_rotation_ends_the_old_secret_and_its_jwts_at_once(api, unique):
    name = unique()
    old = api.personal(name, description="d", expireDate=day(9))
    jwt = api.auth.Exchange({"token": old}).token
    before = api.token(name)
    assert api.who(old).token_name == api.who(jwt).token_name == name
    answer = api.tokens.Rotate({"name": name}, token=api.admin)
    assert answer.secret != old and answer.secret.startswith("osmo_")
    opens_nothing(api, old)
    opens_nothing(api, jwt)
    assert refused(api.auth.Exchange, {"token": old})[0] == CODES.UNAUTHENTICATED
    assert api.who(answer.secret).token_name == name
    after = api.token(name)
    assert (after.description, after.expire_date, after.roles, after.create_time) == \
        (before.description, before.expire_date, before.roles, before.create_time)
    assert not after.HasField("old_secret_until")


def test_with_an_overlap_both_secrets_open_until_it_is_over(api, unique):
    name = unique()
    old = api.personal(name)
    old_jwt = api.auth.Exchange({"token": old}).token
    answer = api.tokens.Rotate({"name": name, "overlap": "3s"}, token=api.admin)
    end = answer.token.old_secret_until.seconds + answer.token.old_secret_until.nanos / 1e9
    assert 0 < end - time.time() <= 3
    jwt_in_overlap = api.auth.Exchange({"token": old}).token
    for credential in (old, old_jwt, jwt_in_overlap, answer.secret):
        assert api.who(credential).token_name == name
    time.sleep(max(0, end - time.time()) + 0.01)
    for credential in (old, old_jwt, jwt_in_overlap):
        opens_nothing(api, credential)
    assert refused(api.auth.Exchange, {"token": old})[0] == CODES.UNAUTHENTICATED
    assert api.who(answer.secret).token_name == name


def test_a_second_rotation_ends_the_secret_before_last(api, unique):
    name = unique()
    first = api.personal(name)
    second = api.tokens.Rotate({"name": name, "overlap": "3600s"}, token=api.admin).secret
    third = api.tokens.Rotate({"name": name, "overlap": "3600s"}, token=api.admin).secret
    opens_nothing(api, first)
    assert api.who(second).token_name == api.who(third).token_name == name
    api.tokens.Delete({"name": name}, token=api.admin)
    opens_nothing(api, second)
    opens_nothing(api, third)


def test_a_token_rotates_itself(service, api, unique):
    name = unique()
    secret = api.personal(name)
    answer = requests.post(f"{service.url}/v1/tokens/{name}:rotate", json={"expireDate": day(50)},
                           headers={"Authorization": f"Bearer {secret}"}, timeout=30)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert answer.json()["token"]["expireDate"] == day(50)
    opens_nothing(api, secret)
    assert api.who(answer.json()["secret"]).expire_date == day(50)


def test_a_rotation_that_is_sent_again_gets_the_same_secret(api, unique):
    name = unique()
    old = api.personal(name)
    request = {"name": name, "overlap": "3600s", "requestId": unique("r")}
    first = api.tokens.Rotate(request, token=api.admin)
    again = api.tokens.Rotate(request, token=api.admin)
    assert again.secret == first.secret and again.token == first.token
    assert api.who(old).token_name == name
    code, text = refused(api.tokens.Rotate, {**request, "overlap": "5s"}, token=api.admin)
    assert (code, "was used for a request with other content" in text) == (CODES.INVALID_ARGUMENT, True)
    # The id of a Set is no id of a Rotate.
    request = {"name": unique(), "requestId": unique("r")}
    api.tokens.Set(request, token=api.admin)
    assert refused(api.tokens.Rotate, request, token=api.admin)[0] == CODES.INVALID_ARGUMENT


@pytest.mark.parametrize("request_, code, text", [
    ({"name": "nobody"}, CODES.NOT_FOUND, "User access token nobody does not exist."),
    ({"name": "nobody", "overlap": "-1s"}, CODES.INVALID_ARGUMENT,
     "overlap must be 0 to 2592000 seconds (30 days), got -1"),
    ({"name": "nobody", "overlap": "2592001s"}, CODES.INVALID_ARGUMENT,
     "overlap must be 0 to 2592000 seconds (30 days), got 2592001"),
    ({"name": "nobody", "expireDate": day(0)}, CODES.INVALID_ARGUMENT,
     f"Expiration date must be past the current date ({day(0)})"),
    ({"name": "nobody", "requestId": "a b"}, CODES.INVALID_ARGUMENT,
     "request_id must be 1 to 128 printable ASCII characters without spaces"),
])
def test_what_is_wrong_with_a_rotation_is_said(api, request_, code, text):
    assert refused(api.tokens.Rotate, request_, token=api.admin) == (code, text)


def test_nobody_gets_a_secret_whose_roles_they_may_not_grant(api, unique):
    rotator = api.role(unique("r"), "http:/api/auth/access_token/service/*:*")
    helper = api.service(unique("s"), rotator)
    mighty, modest = unique("m"), unique("m")
    api.service(mighty, "osmo-admin")
    modest_secret = api.service(modest, rotator)
    code, text = refused(api.tokens.Rotate, {"name": mighty, "kind": "SERVICE"}, token=helper)
    assert code == CODES.PERMISSION_DENIED and "you may not grant the role osmo-admin" in text
    assert api.tokens.Rotate({"name": modest, "kind": "SERVICE"}, token=helper).secret
    opens_nothing(api, modest_secret)
    code, text = refused(api.tokens.Update, {"name": modest, "kind": "SERVICE", "roles": ["osmo-admin"]}, token=helper)
    assert code == CODES.PERMISSION_DENIED and "you may not grant the role osmo-admin" in text


def test_users_change_their_own_tokens_only(start_service, unique):
    service = start_service("--dev-login")
    with pb.channel(service.grpc) as channel:
        api = Api(channel, service.admin_token)
        name = unique()
        api.tokens.Set({"name": name}, metadata=as_user("alice"))
        for call, request in ((api.tokens.Update, {"name": name, "description": "mine"}),
                              (api.tokens.Rotate, {"name": name})):
            assert refused(call, request, metadata=as_user("bob")) == \
                (CODES.NOT_FOUND, f"User access token {name} does not exist.")
            assert call(request, metadata=as_user("alice")).token.user == "alice"
        # What is of services or of others is not for users.
        for call, request, action in (
                (api.tokens.Update, {"name": "s", "kind": "SERVICE", "description": "d"},
                 "http:/api/auth/access_token/service/s:Patch"),
                (api.tokens.Rotate, {"name": "s", "kind": "SERVICE"},
                 "http:/api/auth/access_token/service/s/rotate:Post"),
                (api.tokens.List, {"user": "alice"}, "http:/api/auth/user/alice/access_token:Get"),
                (api.tokens.List, {"user": "-"}, "http:/api/auth/user/-/access_token:Get"),
                (api.tokens.DeleteAll, {"user": "alice"}, "http:/api/auth/user/alice/access_token:Delete")):
            code, text = refused(call, request, metadata=as_user("bob"))
            assert code == CODES.PERMISSION_DENIED and action in text


# --- Lists of others, the end of all ---


def test_administrators_list_and_delete_the_tokens_of_others(start_service):
    service = start_service("--dev-login")
    with pb.channel(service.grpc) as channel:
        api = Api(channel, service.admin_token)
        secrets = [api.tokens.Set({"name": f"t{i}", "expireDate": day(i + 1)}, metadata=as_user("alice")).secret
                   for i in range(205)]
        kept = api.tokens.Set({"name": "t0"}, metadata=as_user("bob")).secret
        namesake = api.service("alice", "osmo-user")

        def names(**request):
            answer = api.tokens.List({"pageSize": 1000, **request}, token=api.admin)
            return [(each.user, each.name) for each in answer.tokens]

        assert len(names(user="alice")) == 205
        assert names(user="bob") == [("bob", "t0")] and names(user="carol") == []
        assert names(user="-", filter="name = t0") == [("alice", "t0"), ("bob", "t0")]
        assert names(user="-", filter=f"expire_date < {day(3)} AND name = t*") == [("alice", "t0"), ("alice", "t1")]
        assert refused(api.tokens.List, {"user": "alice", "kind": "SERVICE"}, token=api.admin)[0] == \
            CODES.INVALID_ARGUMENT
        page = api.tokens.List({"user": "alice", "pageSize": 5}, token=api.admin).next_page_token
        assert refused(api.tokens.List, {"user": "bob", "pageToken": page}, token=api.admin)[0] == \
            CODES.INVALID_ARGUMENT

        assert api.who(secrets[7]).user == "alice"
        answer = requests.delete(f"{service.url}/v1/users/alice/tokens",
                                 headers={"Authorization": f"Bearer {api.admin}"}, timeout=30)
        assert (answer.status_code, answer.json()) == (200, {"deleted": 205})
        for secret in secrets[::20]:
            opens_nothing(api, secret)
        assert names(user="alice") == [] and api.who(kept).user == "bob" and api.who(namesake).user == "alice"
        assert api.tokens.DeleteAll({"user": "alice"}, token=api.admin).deleted == 0
        assert refused(api.tokens.DeleteAll, {"user": "a\nb"}, token=api.admin)[0] == CODES.INVALID_ARGUMENT
        assert refused(api.tokens.DeleteAll, {"user": ""}, token=api.admin)[0] == CODES.PERMISSION_DENIED
        lines = [line for line in service.log.splitlines() if "DeleteAll" in line and "audit" in line]
        assert any("/api/auth/user/alice/access_token" in line for line in lines)


# --- Limits ---


def test_a_user_has_at_most_so_many_tokens(start_service, unique):
    service = start_service("--dev-login", "--max-tokens-per-user", "3")
    with pb.channel(service.grpc) as channel:
        api = Api(channel, service.admin_token)

        def make(user):
            try:
                api.tokens.Set({"name": unique()}, metadata=as_user(user))
            except grpc.RpcError as error:
                return error.code(), error.details()
            return None

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            results = list(pool.map(make, ["alice"] * 40))
        text = "alice has 3 access tokens, which is the most a user may have: delete one first"
        assert results.count(None) == 3
        assert set(results) == {None, (CODES.RESOURCE_EXHAUSTED, text)}
        assert make("bob") is None
        api.tokens.Set({"name": "s1", "kind": "SERVICE", "roles": ["osmo-user"]}, token=api.admin)
        answer = requests.post(f"{service.url}/v1/tokens", json={"name": "t"}, headers={"x-osmo-user": "alice"},
                               timeout=30)
        assert (answer.status_code, answer.json()["message"]) == (429, text)
        # time alone does not help: nobody is asked to try again
        assert answer.json()["details"] == [{
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"subject": "user:alice", "description": text}]}]
        assert "Retry-After" not in answer.headers
        with pytest.raises(grpc.RpcError) as error:
            api.tokens.Set({"name": unique()}, metadata=as_user("alice"))
        assert [d.type_url for d in pb.details(error.value).details] == [
            "type.googleapis.com/google.rpc.QuotaFailure"]
        listed = api.tokens.List({}, metadata=as_user("alice")).tokens
        api.tokens.Delete({"name": listed[0].name}, metadata=as_user("alice"))
        assert make("alice") is None


# --- Last use, purge ---


def test_the_last_use_and_where_it_came_from_are_listed(start_service):
    service = start_service("--trusted-proxy", "127.0.0.1")
    with pb.channel(service.grpc) as channel:
        api = Api(channel, service.admin_token)
        used, by_jwt, checked, unused = "used", "by-jwt", "checked", "unused"
        secrets = {name: api.personal(name) for name in (used, by_jwt, checked, unused)}
        jwt = api.auth.Exchange({"token": secrets[by_jwt]}).token
        requests.get(f"{service.url}/v1/whoami", timeout=30, headers={
            "Authorization": f"Bearer {secrets[used]}", "X-Forwarded-For": "198.51.100.7, 203.0.113.9"})
        api.who(jwt)
        api.auth.Authorize({"credential": secrets[checked], "method": "GET", "path": "/api/pool"}, token=api.admin)
        start = time.time()
        program.wait_until(lambda: api.token(checked).HasField("last_used_time"), "the uses to be stored")
        assert time.time() - start < 10
        program.wait_until(lambda: api.token(used).HasField("last_used_time"), "the uses to be stored")
        assert abs(api.token(used).last_used_time.seconds - start) < 10
        assert api.token(used).last_used_address == "203.0.113.9"
        assert api.token(by_jwt).last_used_address == "127.0.0.1"
        assert api.token(checked).last_used_address == ""
        assert not api.token(unused).HasField("last_used_time")
        before = api.token(used)
        for _ in range(50):
            api.who(secrets[used])
        metrics = requests.get(f"{service.url}/metrics", timeout=30).text
        assert 'token_service_token_uses_total{result="lost"} 0' in metrics
    # What was noted a moment ago is not lost by a stop; and a minute has one use.
    service.stop()
    service = start_service(folder=service.folder)
    with pb.channel(service.grpc) as channel:
        assert Api(channel, service.admin_token).token(used) == before


def test_what_expired_long_ago_is_deleted_and_before_that_it_is_listed(start_service, store):
    service = start_service()
    with pb.channel(service.grpc) as channel:
        api = Api(channel, service.admin_token)
        for name in ("today", "grace", "over"):
            api.personal(name)
        api.service("over", "osmo-user")
    service.stop()
    today = (datetime.datetime.now(datetime.timezone.utc).date() - datetime.date(1970, 1, 1)).days
    for name, expires in (("today", today), ("grace", today - 29), ("over", today - 30)):
        store.sql(service.folder, f"UPDATE token SET expires_day = {expires} WHERE name = '{name}'")
    service = start_service(folder=service.folder)
    with pb.channel(service.grpc) as channel:
        api = Api(channel, service.admin_token)

        def names(**request):
            return [each.name for each in api.tokens.List(request, token=api.admin).tokens]

        program.wait_until(lambda: "over" not in names() and "over" not in names(kind="SERVICE"), "the purge")
        assert names(filter="state = EXPIRED") == ["grace", "today"]
        metrics = requests.get(f"{service.url}/metrics", timeout=30).text
        assert "token_service_tokens_purged_total 2" in metrics
        assert 'token_service_tokens{kind="USER"} 3' in metrics and 'token_service_tokens{kind="SERVICE"} 0' in metrics
