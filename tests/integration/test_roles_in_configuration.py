# SPDX-License-Identifier: Apache-2.0
"""Roles that the configuration file owns."""

import json
import signal

import grpc
import pytest
import requests
import yaml

from env import pb, program


def role(name="ci-reader", actions=("http:/api/workflow:Get",)):
    return {"name": name, "description": "of the file", "policies": [{"actions": list(actions)}]}


class Configured:
    """A service with a configuration file that can be written anew."""

    def __init__(self, start_service, tmp_path, roles):
        self.path = tmp_path / "config.yaml"
        self.write(roles)
        self.start = lambda *more: start_service("--config", self.path, "--log-format", "json", *more)
        self.service = self.start()

    def write(self, roles):
        self.path.write_text(yaml.safe_dump({} if roles is None else {"roles": roles}))

    def reload(self, roles):
        before = self.events("reload.roles")
        self.write(roles)
        self.service.signal(signal.SIGHUP)
        program.wait_until(lambda: len(self.events("reload.roles")) > len(before), "the reload")

    def events(self, name):
        lines = map(json.loads, self.service.log.splitlines())
        return [line for line in lines if line["event"] == name]

    def call(self, name, request):
        with pb.channel(self.service.grpc) as channel:
            return getattr(pb.Stub(channel, "osmo.token.v1.RoleService"), name)(
                request, token=self.service.admin_token)

    def may(self, secret, path):
        with pb.channel(self.service.grpc) as channel:
            return pb.Stub(channel, "osmo.token.v1.AuthService").Authorize(
                {"credential": secret, "path": path, "method": "GET"}, token=self.service.admin_token).allowed

    def service_token(self, name, *roles):
        with pb.channel(self.service.grpc) as channel:
            return pb.Stub(channel, "osmo.token.v1.TokenService").Set(
                {"name": name, "kind": "SERVICE", "roles": list(roles)}, token=self.service.admin_token).secret


@pytest.fixture
def configured(start_service, tmp_path):
    return lambda roles: Configured(start_service, tmp_path, roles)


def test_a_role_of_the_file_can_be_granted_and_decides(configured):
    c = configured([role(actions=["http:/api/workflow:Get",
                                  {"base": "http", "path": "/api/pool/*", "method": "get"}])])
    secret = c.service_token("ci", "ci-reader")
    assert c.may(secret, "/api/workflow")
    assert c.may(secret, "/api/pool/a")
    assert not c.may(secret, "/api/bucket")


def test_a_role_of_the_file_is_not_changed_otherwise(configured):
    c = configured([role()])
    assert c.call("Get", {"name": "ci-reader"}).immutable
    for method, request in [("Put", {"name": "ci-reader", "role": {"description": "mine"}}),
                            ("Delete", {"name": "ci-reader"})]:
        with pytest.raises(grpc.RpcError) as error:
            c.call(method, request)
        assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert error.value.details() == "Role ci-reader is immutable."
    reply = requests.put(f"{c.service.url}/api/configs/role/ci-reader", timeout=10,
                         headers={"Authorization": f"Bearer {c.service.admin_token}"},
                         json={"configs": role(actions=["http:*:*"])})
    assert reply.status_code == 400
    assert c.call("Get", {"name": "ci-reader"}).description == "of the file"


def test_a_reload_changes_adds_and_gives_up_roles(configured):
    c = configured([role()])
    secret = c.service_token("ci", "ci-reader")
    c.reload([role(actions=["http:/api/bucket:Get"]), role("second")])
    assert c.may(secret, "/api/bucket")
    assert not c.may(secret, "/api/workflow")
    assert c.call("Get", {"name": "second"}).immutable
    # What the file has no more stays as it was, and is a role like all others.
    c.reload(None)
    assert c.may(secret, "/api/bucket")
    c.call("Put", {"name": "ci-reader", "role": {"description": "mine"}})
    c.call("Delete", {"name": "second"})
    # And the file wins when it has it again.
    c.reload([role()])
    assert c.may(secret, "/api/workflow")
    assert [line["option"] for line in c.events("option.changed")] == ["roles"] * 3


def test_a_reload_with_a_wrong_role_changes_nothing(configured):
    c = configured([role()])
    secret = c.service_token("ci", "ci-reader")
    c.write([role(actions=["/api/bucket"])])
    c.service.signal(signal.SIGHUP)
    line = program.wait_until(lambda: c.events("reload.options"), "the refusal")[0]
    assert "Invalid action: /api/bucket" in line["error"]
    assert f"{c.path}:" in line["error"]
    assert not c.events("option.changed")
    assert c.may(secret, "/api/workflow")


def test_a_default_role_can_be_defined_and_given_back(configured):
    c = configured([role("osmo-user", ["http:/api/version:Get"])])
    assert len(c.call("Get", {"name": "osmo-user"}).policies[0].actions) == 1
    c.service.stop()
    c.write(None)
    c.service = c.start()
    user = c.call("Get", {"name": "osmo-user"})
    assert not user.immutable
    assert len(user.policies[0].actions) > 10


@pytest.mark.parametrize("text, line, expected", [
    ("roles: ci\n", 1, "roles must be a list"),
    ("roles:\n- name: ci\n  policies:\n  - actions:\n    - http:/a:Get\n    - /b\n", 6, "Invalid action: /b"),
    ("roles:\n- {name: osmo-admin, policies: []}\n", 2, "'osmo-admin' is built in"),
])
@pytest.mark.parametrize("how", ["--check-config", "--no-reflection"])
def test_a_wrong_role_is_one_line_with_its_place(tmp_path, text, line, expected, how):
    config = tmp_path / "c.yaml"
    config.write_text(text)
    done = program.run("token-service", "--config", config, "--data-dir", tmp_path / "data", how)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"token-service: {config}:{line}: ")
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()
