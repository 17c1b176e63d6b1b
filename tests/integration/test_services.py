# SPDX-License-Identifier: Apache-2.0
"""TokenService, AuthService, ProfileService and RoleService over gRPC: what each answers, and to whom."""

import concurrent.futures
import datetime
import json
import uuid

import grpc
import pytest
import requests

from env import pb, program

NAME_RULE = "must match regex ^[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$"
CODES = grpc.StatusCode


def day(offset):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=offset)).isoformat()


class Services:
    """The four services on one channel."""

    def __init__(self, channel, admin_token):
        self.tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        self.auth = pb.Stub(channel, "osmo.token.v1.AuthService")
        self.profiles = pb.Stub(channel, "osmo.token.v1.ProfileService")
        self.roles = pb.Stub(channel, "osmo.token.v1.RoleService")
        self.admin = admin_token

    def role(self, name, *actions):
        self.roles.Put({"name": name, "role": {"policies": [{"actions": list(actions)}]}}, token=self.admin)
        return name

    def service_token(self, name, *roles):
        return self.tokens.Set({"name": name, "kind": "SERVICE", "roles": list(roles)}, token=self.admin).secret

    def names(self, token=None, **request):
        answer = self.tokens.List(request, token=token or self.admin)
        return [each.name for each in answer.tokens], answer.next_page_token


@pytest.fixture(scope="session")
def api(service, channel):
    return Services(channel, service.admin_token)


def refused(call, *arguments, **keywords):
    """The code and the message of a call that must fail, and the fields that it names."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    status = pb.details(caught.value)
    fields = []
    if status:
        assert (status.code, status.message) == (caught.value.code().value[0], caught.value.details())
        for detail in status.details:
            unpacked = pb.unpack(detail)
            if unpacked.DESCRIPTOR.full_name == "google.rpc.BadRequest":
                fields += [(each.field, each.description) for each in unpacked.field_violations]
    return caught.value.code(), caught.value.details(), fields


def bad_field(call, request, field, message=None, token=None):
    code, text, fields = refused(call, request, token=token)
    assert code == CODES.INVALID_ARGUMENT, text
    assert fields == [(field, text)]
    if message is not None:
        assert text == message


# --- Set ---


def test_a_token_is_told_whole_and_its_secret_once(api, unique):
    name = unique()
    answer = api.tokens.Set({"name": name, "description": "ü 日本", "expireDate": day(9)}, token=api.admin)
    token = answer.token
    assert (token.name, token.user, token.kind, token.description, list(token.roles), token.expire_date) == \
        (name, "admin", 0, "ü 日本", ["osmo-user"], day(9))
    assert abs(token.create_time.seconds - datetime.datetime.now().timestamp()) < 60
    assert not token.HasField("last_used_time")
    [listed] = api.tokens.List({"filter": f'name = "{name}"'}, token=api.admin).tokens
    assert listed == token
    who = api.tokens.WhoAmI({}, token=answer.secret)
    assert (who.user, who.principal_kind, list(who.roles), who.token_name, who.token_kind, who.expire_date,
            who.auth_method) == ("admin", 0, ["osmo-user"], name, 0, day(9), "access_token")


def test_left_out_the_date_is_31_days_from_today(api, unique):
    assert api.tokens.Set({"name": unique()}, token=api.admin).token.expire_date == day(31)


@pytest.mark.parametrize("request_, field, message", [
    ({"name": ""}, "name", f"Token name  {NAME_RULE}"),
    ({"name": "a" * 256}, "name", None),
    ({"name": "x-"}, "name", f"Token name x- {NAME_RULE}"),
    ({"name": "é"}, "name", f"Token name é {NAME_RULE}"),
    ({"name": "x", "description": "d" * 1025}, "description", None),
    ({"name": "x", "description": "a\0b"}, "description", None),
    ({"name": "x", "expireDate": "soon"}, "expire_date",
     "Invalid date format soon. Date must be in YYYY-MM-DD format (e.g. 2025-12-31)"),
    ({"name": "x", "expireDate": day(0)}, "expire_date", f"Expiration date must be past the current date ({day(0)})"),
    ({"name": "x", "expireDate": day(366)}, "expire_date", "Access token cannot last longer than 365d"),
    ({"name": "x", "roles": ["osmo-user"]}, "roles", "Roles are not supported for personal tokens."),
    ({"name": "x", "kind": "SERVICE"}, "roles", "Roles are required for service tokens."),
    ({"name": "x", "kind": "SERVICE", "roles": ["osmo-user", "nobody"]}, "roles[1]", "Invalid role: nobody"),
    ({"name": "x", "kind": "SERVICE", "roles": ["osmo-user"] * 65}, "roles", "A token has at most 64 roles, got 65"),
    ({"name": "x", "kind": 7}, "kind", "kind must be USER (0) or SERVICE (1), got 7"),
    ({"name": "x", "requestId": "a b"}, "request_id", None),
    ({"name": "x", "requestId": "i" * 129}, "request_id", None),
])
def test_what_is_wrong_names_its_field_and_changes_nothing(api, request_, field, message):
    bad_field(api.tokens.Set, request_, field, message, api.admin)
    for kind in ("USER", "SERVICE"):
        assert api.names(kind=kind, filter='name = "x"') == ([], "")


def test_the_largest_that_is_allowed_is_allowed(api, unique):
    name = unique("n").ljust(255, "x")
    answer = api.tokens.Set({"name": name, "kind": "SERVICE", "description": "d" * 1024, "expireDate": day(365),
                             "roles": ["osmo-user"] * 64, "requestId": uuid.uuid4().hex * 4}, token=api.admin)
    assert (answer.token.name, len(answer.token.description), answer.token.expire_date) == (name, 1024, day(365))
    assert api.tokens.WhoAmI({}, token=answer.secret).user == name
    api.tokens.Delete({"name": name, "kind": "SERVICE"}, token=api.admin)


def test_set_never_overwrites(api, unique):
    name = unique()
    secret = api.tokens.Set({"name": name}, token=api.admin).secret
    assert refused(api.tokens.Set, {"name": name}, token=api.admin) == (
        CODES.ALREADY_EXISTS, f"Token name {name} already exists.", [])
    assert api.tokens.WhoAmI({}, token=secret).token_name == name
    api.tokens.Set({"name": name, "kind": "SERVICE", "roles": ["osmo-user"]}, token=api.admin)


def test_one_of_many_at_once_gets_the_name(api, unique):
    name = unique()

    def attempt(_):
        try:
            return api.tokens.Set({"name": name}, token=api.admin).secret
        except grpc.RpcError as error:
            assert error.code() == CODES.ALREADY_EXISTS
            return None

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        secrets = [secret for secret in pool.map(attempt, range(64)) if secret]
    assert len(secrets) == 1
    assert api.tokens.WhoAmI({}, token=secrets[0]).token_name == name


# --- Sent again ---


def test_a_request_that_is_sent_again_gets_the_same_answer(api, unique):
    request = {"name": unique(), "description": "d", "requestId": str(uuid.uuid4())}
    first = api.tokens.Set(request, token=api.admin)
    assert api.tokens.Set(request, token=api.admin) == first
    assert api.tokens.WhoAmI({}, token=first.secret).token_name == request["name"]
    for change in ({"name": unique()}, {"description": "e"}, {"expireDate": day(31)},
                   {"kind": "SERVICE", "roles": ["osmo-user"]}):
        bad_field(api.tokens.Set, {**request, **change}, "request_id", None, api.admin)
    api.tokens.Delete({"name": request["name"]}, token=api.admin)
    assert refused(api.tokens.Set, request, token=api.admin)[0] == CODES.NOT_FOUND
    assert api.names(filter=f'name = "{request["name"]}"') == ([], "")


def test_the_answers_of_many_at_once_with_one_request_id_are_one(api, unique):
    request = {"name": unique(), "requestId": str(uuid.uuid4())}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: api.tokens.Set(request, token=api.admin).secret, range(48)))
    assert len(set(answers)) == 1


def test_a_request_id_is_its_callers_own(api, unique):
    request_id = str(uuid.uuid4())
    role = api.role(unique("maker"), "http:/api/auth/access_token/service/*:*")
    api.role(unique("other"), "http:/api/x:Get")
    maker = api.service_token(unique("maker"), role)
    one = api.tokens.Set({"name": unique(), "requestId": request_id}, token=api.admin)
    other = api.tokens.Set({"name": unique(), "kind": "SERVICE", "roles": [role], "requestId": request_id}, token=maker)
    assert one.secret != other.secret


# --- Who may grant what ---


def test_nobody_grants_a_role_that_is_not_theirs_to_give(api, unique):
    role = api.role(unique("maker"), "http:/api/auth/access_token/service/*:*")
    maker = api.service_token(unique("maker"), role)
    name = unique("child")
    assert api.tokens.Set({"name": name, "kind": "SERVICE", "roles": [role]}, token=maker).token.roles == [role]
    for roles in (["osmo-admin"], [role, "osmo-user"]):
        code, message, _ = refused(
            api.tokens.Set, {"name": unique(), "kind": "SERVICE", "roles": roles}, token=maker)
        assert code == CODES.PERMISSION_DENIED
        assert message == (f"you may not grant the role {roles[-1]}: you neither have it nor may you change roles "
                           "(http:/api/configs/role:Put)")
    # an unknown role is told first: it is a mistake, not an attempt
    bad_field(api.tokens.Set, {"name": unique(), "kind": "SERVICE", "roles": ["osmo-admin", "nobody"]}, "roles[1]",
              "Invalid role: nobody", maker)


def test_who_may_change_roles_may_grant_any(api, unique):
    role = api.role(unique("granter"), "http:/api/auth/access_token/service/*:*", "http:/api/configs/role:Put")
    granter = api.service_token(unique("granter"), role)
    answer = api.tokens.Set({"name": unique(), "kind": "SERVICE", "roles": ["osmo-admin"]}, token=granter)
    assert api.tokens.WhoAmI({}, token=answer.secret).roles == ["osmo-admin"]


def test_the_permission_that_is_missing_is_named(api, unique):
    mine = api.tokens.Set({"name": unique()}, token=api.admin).secret
    for call, request, action in [
            (api.tokens.Set, {"name": "n", "kind": "SERVICE", "roles": ["osmo-user"]},
             "/api/auth/access_token/service/n:Post"),
            (api.tokens.List, {"kind": "SERVICE"}, "/api/auth/access_token/service:Get"),
            (api.tokens.Delete, {"name": "n", "kind": "SERVICE"}, "/api/auth/access_token/service/n:Delete"),
            (api.roles.List, {}, "/api/configs/role:Get"),
            (api.roles.Put, {"name": "r", "role": {}}, "/api/configs/role/r:Put"),
            (api.roles.Delete, {"name": "r"}, "/api/configs/role/r:Delete"),
            (api.auth.Authorize, {"method": "GET", "path": "/"}, "/api/auth/authorize:Post")]:
        code, message, _ = refused(call, request, token=mine)
        assert (code, message) == (CODES.PERMISSION_DENIED, f"permission http:{action} is required")
        assert refused(call, request)[0] == CODES.UNAUTHENTICATED


@pytest.mark.parametrize("name", ["../../configs/role", "a/b", "*", "", "a b", "a\nb", "x/../user/y", "%2e%2e"])
def test_a_name_is_no_path(api, unique, name):
    """What a request calls itself decides about permission; it cannot make it another one."""
    role = api.role(unique("narrow"), "http:/api/auth/access_token/service/narrow-*:*")
    narrow = api.service_token(unique("narrow"), role)
    api.tokens.Set({"name": unique("narrow"), "kind": "SERVICE", "roles": [role]}, token=narrow)
    for call, request in ((api.tokens.Set, {"roles": [role]}), (api.tokens.Delete, {})):
        code, _, _ = refused(call, {"name": name, "kind": "SERVICE", **request}, token=narrow)
        assert code in (CODES.PERMISSION_DENIED, CODES.INVALID_ARGUMENT)


def test_a_service_has_no_personal_tokens(api, unique):
    """Whatever its name, and whatever its roles."""
    secret = api.service_token("admin", "osmo-admin")
    try:
        code, message, _ = refused(api.tokens.Set, {"name": unique()}, token=secret)
        assert (code, message) == (CODES.PERMISSION_DENIED, "personal tokens belong to users; admin is a service")
        assert api.names(token=secret) == ([], "")
        assert refused(api.tokens.Delete, {"name": "admin"}, token=secret)[0] == CODES.NOT_FOUND
        assert api.tokens.WhoAmI({}, token=api.admin).token_name == "admin"
        assert api.tokens.WhoAmI({}, token=secret).principal_kind == 1
    finally:
        api.tokens.Delete({"name": "admin", "kind": "SERVICE"}, token=api.admin)


# --- List ---


def make(api, stem, count, role="osmo-user"):
    names = sorted(f"{stem}{i:03}" for i in range(count))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: api.service_token(name, role), names))
    return names


def pages(api, size, **request):
    token, result = "", []
    while True:
        names, token = api.names(pageSize=size, pageToken=token, **request)
        result.append(names)
        if not token:
            return result


def test_pages_are_the_list_in_parts(api, unique):
    stem = unique("page")
    names = make(api, stem, 12)
    condition = {"kind": "SERVICE", "filter": f'name = "{stem}*"'}
    for size in (1, 5, 6, 11, 12, 13, 1000, 5000):
        got = pages(api, size, **condition)
        assert sum(got, []) == names
        assert all(len(page) == min(size, 12) for page in got[:-1]) and got[-1]
    assert api.names(**condition) == (names, "")


def test_a_page_token_outlives_what_comes_and_goes_between_two_pages(api, unique):
    stem = unique("move")
    names = make(api, stem, 8)
    condition = {"kind": "SERVICE", "filter": f'name = "{stem}*"', "pageSize": 3}
    first, token = api.names(**condition)
    assert first == names[:3]
    for gone in (names[0], names[2], names[3]):  # the last of the page and the first of the next too
        api.tokens.Delete({"name": gone, "kind": "SERVICE"}, token=api.admin)
    api.service_token(f"{stem}000a", "osmo-user")  # lies before the page token
    api.service_token(f"{stem}005a", "osmo-user")
    second, token = api.names(**condition, pageToken=token)
    assert second == [names[4], names[5], f"{stem}005a"]
    third, token = api.names(**condition, pageToken=token)
    assert (third, token) == (names[6:], "")


def test_a_page_token_is_for_the_list_it_came_from(api, unique):
    stem = unique("tok")
    make(api, stem, 3)
    _, token = api.names(kind="SERVICE", pageSize=1, filter=f'name = "{stem}*"')
    assert token
    for request in ({"kind": "SERVICE"}, {"kind": "USER", "filter": f'name = "{stem}*"'},
                    {"kind": "SERVICE", "filter": "state = ACTIVE"}):
        bad_field(api.tokens.List, {**request, "pageToken": token}, "page_token", None, api.admin)
    for wrong in ("x", "AAAA", token[3:], "=" + token, "A" * 20000):
        bad_field(api.tokens.List, {"kind": "SERVICE", "filter": f'name = "{stem}*"', "pageToken": wrong},
                  "page_token", None, api.admin)
    bad_field(api.tokens.List, {"pageSize": -1}, "page_size", "page_size must not be negative, got -1", api.admin)


def test_filters(api, unique):
    stem = unique("fil")
    names = make(api, stem, 3)
    for text, expected in [
            (f'name = "{stem}*"', names), (f"name={stem}001", [names[1]]), (f'name = "{stem}*" AND state = ACTIVE', names),
            (f'state = "EXPIRED" AND name = {stem}*', []), (f"name = {stem}", [])]:
        assert api.names(kind="SERVICE", filter=text) == (expected, ""), text
    assert set(names) <= set(sum(pages(api, 1000, kind="SERVICE", filter="state = active"), []))
    # what means something to a database means nothing here
    for text in ('name = "%"', 'name = "_*"', 'name = "\' OR 1=1 --"', f'name = "{stem[:-1]}_*"'):
        assert api.names(kind="SERVICE", filter=text) == ([], ""), text


@pytest.mark.parametrize("text", ["x", "name", "name =", "name = a OR name = b", 'name = "a', "state = SLEEPY",
                                  "name = a AND", "name = a name = b", "name = a AND name = b", "owner = admin",
                                  "name = *a", "name : a", "AND", 'name = ""', "é"])
def test_a_filter_that_cannot_be_read_says_where(api, text):
    code, message, fields = refused(api.tokens.List, {"filter": text}, token=api.admin)
    assert code == CODES.INVALID_ARGUMENT
    assert [field for field, _ in fields] == ["filter"] and message.startswith("filter: ")


def test_the_default_page_is_100(api, unique):
    stem = unique("many")
    make(api, stem, 103)
    got = pages(api, 0, kind="SERVICE", filter=f"name = {stem}*")
    assert [len(page) for page in got] == [100, 3]


# --- Delete ---


def test_a_deleted_token_opens_nothing_from_the_answer_on(api, unique):
    name = unique()
    secret = api.tokens.Set({"name": name}, token=api.admin).secret
    jwt = api.auth.Exchange({"token": secret}).token
    for credential in (secret, jwt):
        assert api.tokens.WhoAmI({}, token=credential).token_name == name
    assert api.tokens.WhoAmI({}, token=jwt).auth_method == "jwt"
    api.tokens.Delete({"name": name}, token=api.admin)
    for credential in (secret, jwt):
        assert refused(api.tokens.WhoAmI, {}, token=credential)[:2] == (CODES.UNAUTHENTICATED, "invalid credential")
    assert refused(api.tokens.Delete, {"name": name}, token=api.admin) == (
        CODES.NOT_FOUND, f"User access token {name} does not exist.", [])
    assert refused(api.tokens.Delete, {"name": name, "kind": "SERVICE"}, token=api.admin)[1] == \
        f"Service access token {name} does not exist."


# --- AuthService ---


def test_login_info_and_keys_are_public(api):
    assert api.auth.LoginInfo({}) == pb.message("osmo.token.v1.LoginInfoResponse")()
    keys = api.auth.Keys({}).keys
    assert keys and all(key.kty == "EC" and key.kid and key.x and key.y and key.alg == "ES256" for key in keys)


def test_exchange_and_info_answer_one_thing_to_whatever_is_no_token(api, unique):
    name = unique()
    secret = api.tokens.Set({"name": name, "expireDate": day(3)}, token=api.admin).secret
    info = api.auth.TokenInfo({"token": secret})
    assert (info.token.name, info.token.user, info.token.expire_date, info.expired) == (name, "admin", day(3), False)
    jwt = api.auth.Exchange({"token": secret}).token
    for wrong in ("", "x", secret[:-1], secret + "a", "0" * 64, jwt, "osmo_" + "0" * 49):
        for call in (api.auth.Exchange, api.auth.TokenInfo):
            assert refused(call, {"token": wrong})[:2] == (CODES.UNAUTHENTICATED, "invalid credential")


def test_authorize_decides_about_somebody_elses_call(api, unique):
    role = api.role(unique("reader"), "http:/api/data/*:Get", "http:!/api/data/secret*:*")
    reader = api.service_token(unique("reader"), role)
    authorizer = api.service_token(unique("proxy"), "osmo-authorizer")

    def ask(method, path, credential=reader):
        return api.auth.Authorize({"credential": credential, "method": method, "path": path}, token=authorizer)

    answer = ask("GET", "/api/data/x/y")
    assert (answer.allowed, answer.reason, answer.role, answer.policy, list(answer.identity.roles)) == (
        True, "allowed", role, "http:/api/data/*:Get", [role])
    for method, path in [("POST", "/api/data/x"), ("GET", "/api/data/secret/x"), ("GET", "/api/data"),
                         ("GET", "/API/data/x"), ("GET", "/api/data/../data/x"), ("GET", "/api/data//x"),
                         ("GET", "/api/data/./x"), ("GET", "/api/other")]:
        assert not ask(method, path).allowed, (method, path)
    for path in ("/api/data/x", "/api/data/100%", "/api/data/%zz", "/api/data/%4"):
        assert ask("get", path).allowed, path
    assert (ask("GET", "/x", "wrong").allowed, ask("GET", "/x", "wrong").reason) == (False, "invalid credential")
    assert ask("GET", "/api/version", "").allowed and not ask("GET", "/api/data/x", "").allowed
    for request, field in (({"path": "/x"}, "method"), ({"method": " POST", "path": "/x"}, "method"),
                           ({"method": "POST\t", "path": "/x"}, "method"), ({"method": "GET", "path": "x"}, "path"),
                           ({"method": "GET"}, "path"), ({"method": "GET", "path": "/api/data/x?y=z"}, "path"),
                           ({"method": "GET", "path": "/api/data/x#y"}, "path"),
                           ({"method": "POST", "path": "/api/pool/default/%77orkflow"}, "path")):
        bad_field(api.auth.Authorize, request, field, None, authorizer)
    # it allows nothing else
    for call, request in ((api.tokens.List, {}), (api.roles.List, {}), (api.profiles.Get, {})):
        assert refused(call, request, token=authorizer)[0] == CODES.PERMISSION_DENIED


@pytest.mark.parametrize("path", ["/api/pool/default/workflow", "/api/pool/default/workflow/",
                                  "/api/pool/default/workflow/w1/restart", "/api/pool/default/workflow/w1/restart/"])
def test_no_form_of_a_path_submits_workflows_with_a_personal_token(api, path):
    answer = api.auth.Authorize({"credential": api.admin, "method": "post", "path": path}, token=api.admin)
    assert (answer.allowed, answer.reason) == (False, "denied by configuration")


def test_a_decision_follows_its_roles_at_once(api, unique):
    role = api.role(unique("turn"), "http:/api/one:Get")
    secret = api.service_token(unique("turn"), role)
    jwt = api.auth.Exchange({"token": secret}).token

    def allowed(path):
        return [api.auth.Authorize({"credential": credential, "method": "GET", "path": path}, token=api.admin).allowed
                for credential in (secret, jwt)]

    assert (allowed("/api/one"), allowed("/api/two")) == ([True] * 2, [False] * 2)
    api.role(role, "http:/api/two:Get")
    assert (allowed("/api/one"), allowed("/api/two")) == ([False] * 2, [True] * 2)
    api.roles.Delete({"name": role}, token=api.admin)
    assert (allowed("/api/one"), allowed("/api/two")) == ([False] * 2, [False] * 2)


# --- ProfileService ---


def test_a_profile_changes_where_it_is_told_to(api, unique):
    secret = api.service_token(unique("prof"), "osmo-user")
    answer = api.profiles.Get({}, token=secret)
    assert not answer.profile.email_notification and not answer.profile.HasField("pool")
    assert list(answer.pools) == ["default"]
    api.profiles.Set({"slackNotification": True}, token=secret)
    api.profiles.Set({"pool": "default"}, token=secret)
    api.profiles.Set({}, token=secret)
    profile = api.profiles.Get({}, token=secret).profile
    assert (profile.slack_notification, profile.email_notification, profile.pool.value) == (True, False, "default")
    api.profiles.Set({"slackNotification": False}, token=secret)
    assert not api.profiles.Get({}, token=secret).profile.slack_notification
    bad_field(api.profiles.Set, {"pool": "x", "emailNotification": True}, "pool", "Pool x not found.", secret)
    assert not api.profiles.Get({}, token=secret).profile.email_notification


# --- RoleService ---


def test_a_role_is_told_as_it_is_kept(api, unique):
    name = unique("role")
    put = api.roles.Put({"name": name, "role": {"description": "d", "policies": [
        {"actions": ["http:/b:get", "http:!/a:*", "http:/a:POST"]}, {"actions": []}]}}, token=api.admin)
    assert put == api.roles.Get({"name": name}, token=api.admin)
    assert [list(policy.actions) for policy in put.policies] == [["http:!/a:*", "http:/a:Post", "http:/b:Get"], []]
    assert put in api.roles.List({}, token=api.admin).roles
    names = [role.name for role in api.roles.List({}, token=api.admin).roles]
    assert names == sorted(names)
    assert {"osmo-admin", "osmo-user", "osmo-backend", "osmo-ctrl", "osmo-default", "osmo-authorizer"} <= set(names)


def test_osmo_admin_is_immutable(api):
    before = api.roles.Get({"name": "osmo-admin"}, token=api.admin)
    assert before.immutable
    assert refused(api.roles.Put, {"name": "osmo-admin", "role": {}}, token=api.admin) == (
        CODES.FAILED_PRECONDITION, "Role osmo-admin is immutable.", [])
    assert refused(api.roles.Delete, {"name": "osmo-admin"}, token=api.admin)[0] == CODES.FAILED_PRECONDITION
    assert api.roles.Get({"name": "osmo-admin"}, token=api.admin) == before


@pytest.mark.parametrize("name, role, field", [
    ("a b", {}, "name"), ("a,b", {}, "name"), ("", {}, "name"), ("r" * 256, {}, "name"),
    ("r", {"name": "other"}, "role.name"), ("r", {"immutable": True}, "role.immutable"),
    ("r", {"description": "d" * 1025}, "role.description"), ("r", {"policies": [{}] * 1000}, "role.policies"),
    ("r", {"policies": [{}, {"actions": ["http:/x:Get", "http:/x"]}]}, "role.policies[1].actions[1]"),
    ("r", {"policies": [{"actions": ["http:/x:Fetch"]}]}, "role.policies[0].actions[0]"),
])
def test_a_role_that_is_wrong_names_its_field(api, name, role, field):
    bad_field(api.roles.Put, {"name": name, "role": role}, field, None, api.admin)
    assert "r" not in [each.name for each in api.roles.List({}, token=api.admin).roles]


def test_the_name_in_the_body_does_not_get_around_the_permission_for_the_name_in_the_path(service, api, unique):
    own, other = unique("own"), unique("other")
    role = api.role(unique("editor"), f"http:/api/configs/role/{own}:Put")
    editor = api.service_token(unique("editor"), role)

    def put(path, name):
        return requests.put(
            f"{service.url}/api/configs/role/{path}", timeout=program.PATIENCE_S,
            headers={"Authorization": f"Bearer {editor}"},
            json={"configs": {"name": name, "description": "", "policies": [{"actions": ["http:*:*"]}]}})

    assert put(own, own).status_code == 200
    answer = put(own, other)
    assert answer.status_code in (400, 403), answer.text
    assert refused(api.roles.Get, {"name": other}, token=api.admin)[0] == CODES.NOT_FOUND


# --- Audit ---


def test_what_is_done_with_tokens_and_roles_leaves_an_event_behind(start_service):
    service = start_service("--dev-login")
    with pb.channel(service.grpc) as channel:
        api = Services(channel, service.admin_token)
        api.role("auditor", "http:/api/x:Get")
        secret = api.service_token("machine", "auditor")
        for call, request in [
                (api.tokens.Set, {"name": "mine"}), (api.tokens.Update, {"name": "mine", "description": "d"}),
                (api.tokens.Rotate, {"name": "mine"}), (api.tokens.List, {"kind": "SERVICE"}),
                (api.tokens.List, {"user": "alice"}), (api.tokens.List, {"user": "-"}),
                (api.tokens.Delete, {"name": "mine"}), (api.tokens.DeleteAll, {"user": "alice"}),
                (api.roles.Delete, {"name": "auditor"})]:
            call(request, token=service.admin_token)
        for call, request in [(api.tokens.List, {}), (api.tokens.WhoAmI, {}), (api.roles.List, {})]:
            call(request, token=service.admin_token)  # nobody else's affair
        refused(api.roles.Delete, {"name": "osmo-user"}, token=secret)
        refused(api.tokens.WhoAmI, {}, token=secret[:-1])
    service.stop()
    events = [json.loads(line) for line in service.log.splitlines()]
    audit = [(e["method"].rpartition("/")[2], e["code"], e["action_path"]) for e in events if e["event"] == "audit"]
    assert audit == [
        ("Put", "OK", "/api/configs/role/auditor"), ("Set", "OK", "/api/auth/access_token/service/machine"),
        ("Set", "OK", "/api/auth/access_token/user/mine"), ("Update", "OK", "/api/auth/access_token/user/mine"),
        ("Rotate", "OK", "/api/auth/access_token/user/mine/rotate"), ("List", "OK", "/api/auth/access_token/service"),
        ("List", "OK", "/api/auth/user/alice/access_token"), ("List", "OK", "/api/auth/user/-/access_token"),
        ("Delete", "OK", "/api/auth/access_token/user/mine"), ("DeleteAll", "OK", "/api/auth/user/alice/access_token"),
        ("Delete", "OK", "/api/configs/role/auditor"), ("Delete", "PERMISSION_DENIED", "/api/configs/role/osmo-user")]
    assert len([e for e in events if e["event"] == "auth.failed"]) == 1


# --- Who is believed ---


def test_developers_are_believed_on_loopback_only(start_service, api, unique):
    for option in ("--grpc-listen", "--http-listen"):
        stopped = start_service("--dev-login", option, "0.0.0.0:0", "--insecure-plaintext", wait=False)
        assert stopped.wait_exit() != 0
        assert "with --dev-login" in stopped.log and "0.0.0.0:0" in stopped.log
    service = start_service("--dev-login")
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        who = tokens.WhoAmI({}, metadata=[("x-osmo-user", "dev")])
        assert (who.user, list(who.roles), who.auth_method) == ("dev", ["osmo-user"], "dev_login")
    metadata = [("x-osmo-user", "dev"), ("x-osmo-roles", "osmo-admin")]
    assert refused(api.tokens.WhoAmI, {}, metadata=metadata)[0] == CODES.UNAUTHENTICATED


def test_health_and_reflection_tell_what_there_is(start_service):
    service = start_service("--reflection")
    with pb.channel(service.grpc) as channel:
        check = pb.Stub(channel, "grpc.health.v1.Health").Check
        for name in ("", "osmo.token.v1.TokenService", "osmo.token.v1.AuthService"):
            assert check({"service": name}).status == 1, name
        assert refused(check, {"service": "nobody"})[0] == CODES.NOT_FOUND
    answer = requests.get(f"{service.url}/openapi.json", timeout=program.PATIENCE_S)
    assert "/v1/tokens" in json.loads(answer.text)["paths"]
