# SPDX-License-Identifier: Apache-2.0
"""Pods that come and go under load: nothing is lost."""

import json
import subprocess
import time

import pytest
from conftest import IMAGE, TAG

REQUESTS = 3000


def change(number):
    return "--set-string", f"podAnnotations.change={number}"


@pytest.fixture(params=[False, True], ids=["embedded", "gateway"])
def release(request, namespace, on_postgres):
    """Two replicas; values as they were installed, and whether the gateway is apart."""
    values = [*on_postgres, "--set", "replicas=2"]
    if request.param:
        values += ["--set", "gateway.enabled=true"]
    namespace.install(*values)
    return values, request.param


def names_of(namespace, component="service"):
    return {pod["metadata"]["name"] for pod in namespace.pods(component=component)}


def wait_for_ready(namespace, number, component="service"):
    def all_ready():
        pods = namespace.pods(component=component)
        return len(pods) == number and all(
            each["status"] == "True" for pod in pods for each in pod["status"].get("conditions", [])
            if each["type"] == "Ready") and not [
                pod for pod in namespace.get("pods", "-l", f"app.kubernetes.io/component={component}")["items"]
                if "deletionTimestamp" in pod["metadata"]]
    namespace.wait(f"{number} pods that are ready", all_ready)


def check_nothing_was_lost(namespace, report, what):
    print(f"{what}: {report['done']} requests, {len(report['lost'])} lost, longest gap {report['gap']:.2f} s")
    assert report["lost"] == [], what
    assert report["done"] >= REQUESTS
    assert report["made"] and report["missing"] == []


def test_an_upgrade_and_a_rollback_lose_nothing(namespace, release):
    values, gateway = release
    before = names_of(namespace)
    more = ["--set-string", "gateway.podAnnotations.change=1"] if gateway else []
    with namespace.load(least=REQUESTS, gateway=gateway) as report:
        namespace.install(*values, *change(1), *more)
    check_nothing_was_lost(namespace, report, "upgrade")
    assert not before & names_of(namespace)
    with namespace.load(least=REQUESTS, gateway=gateway) as report:
        namespace.helm("rollback", "r", "1", "--wait", "--timeout", "90s")
    check_nothing_was_lost(namespace, report, "rollback")


def test_a_pod_that_is_deleted_loses_nothing(namespace, release):
    _, gateway = release
    with namespace.load(least=REQUESTS, gateway=gateway) as report:
        namespace.kubectl("delete", "pod", sorted(names_of(namespace))[0], "--wait=false")
        time.sleep(1)
        wait_for_ready(namespace, 2)
    check_nothing_was_lost(namespace, report, "kubectl delete pod")


def test_scaling_down_loses_nothing(namespace, release):
    values, gateway = release
    namespace.install(*values, "--set", "replicas=4")
    with namespace.load(least=REQUESTS, gateway=gateway) as report:
        namespace.install(*values, "--set", "replicas=2")
        wait_for_ready(namespace, 2)
    check_nothing_was_lost(namespace, report, "scale down")


def test_pods_of_the_gateway_that_leave_lose_nothing(namespace, on_postgres):
    values = [*on_postgres, "--set", "replicas=2", "--set", "gateway.enabled=true"]
    namespace.install(*values)
    with namespace.load(least=REQUESTS, gateway=True) as report:
        namespace.kubectl("delete", "pod", sorted(names_of(namespace, "gateway"))[0], sorted(names_of(namespace))[0],
                          "--wait=false")
        time.sleep(1)
        for component in ("gateway", "service"):
            wait_for_ready(namespace, 2, component)
    check_nothing_was_lost(namespace, report, "kubectl delete pod, one of each kind")
    namespace.install(*values, "--set", "replicas=4", "--set", "gateway.replicas=4")
    with namespace.load(least=REQUESTS, gateway=True) as report:
        namespace.install(*values, "--set", "replicas=1", "--set", "gateway.replicas=1")
        for component in ("gateway", "service"):
            wait_for_ready(namespace, 1, component)
    check_nothing_was_lost(namespace, report, "scale down, 4 and 4 to 1 and 1")


def test_a_pod_that_is_killed_loses_calls_in_flight_only(namespace, release):
    _, gateway = release
    with namespace.load(least=REQUESTS, gateway=gateway) as report:
        namespace.kubectl("delete", "pod", sorted(names_of(namespace))[0], "--grace-period=0", "--force")
        time.sleep(1)
        wait_for_ready(namespace, 2)
    print(f"kill: {report['done']} requests, lost {report['lost']}")
    # Every caller has one call in flight at the most, and connects again.
    assert len(report["lost"]) <= 11, report["lost"]


def test_changes_on_sqlite_are_away_shortly_and_lose_no_write(namespace):
    values = ["--set", f"sqlite.persistence.storageClass={namespace.make_volume()}"]
    namespace.install(*values)

    def delete():
        namespace.kubectl("delete", "pod", *names_of(namespace), "--wait=false")
        time.sleep(1)
        wait_for_ready(namespace, 1)
    for what, act in {
            "upgrade": lambda: namespace.install(*values, *change(1), "--set", "commonLabels.team=identity"),
            "rollback": lambda: namespace.helm("rollback", "r", "1", "--wait", "--timeout", "90s"),
            "kubectl delete pod": delete}.items():
        with namespace.load(least=500) as report:
            act()
        print(f"sqlite {what}: away {report['gap']:.2f} s, {report['made']} writes")
        assert report["gap"] <= 10
        assert report["made"] and report["missing"] == []


@pytest.mark.parametrize("program, option", [("helm", "--rollback-on-failure"), ("helm3", "--atomic")])
def test_an_upgrade_to_a_bad_image_is_taken_back_and_loses_nothing(namespace, on_postgres, program, option):
    values = [*on_postgres, "--set", "replicas=2"]
    namespace.install(*values, program=program)
    with namespace.load(least=500) as report:
        done = namespace.install(*values, "--set", "image.tag=none", option, "--timeout", "15s", program=program,
                                 check=False)
        assert done.returncode != 0
    assert report["lost"] == []
    status = json.loads(namespace.helm("status", "r", "-o", "json", program=program).stdout)
    assert status["info"]["status"] == "deployed"
    images = {pod["spec"]["containers"][0]["image"] for pod in namespace.pods()}
    assert images == {f"{IMAGE}:{TAG}"}


def test_a_secret_that_changes_replaces_the_pods(namespace, on_postgres):
    first, second = "1" * 64, "2" * 64
    namespace.make_secret("keys", admin_token=first, encryption_key="3" * 64)
    values = [*on_postgres, "--set", "replicas=2", "--set", "adminToken.existingSecret=keys",
              "--set", "encryptionKey.existingSecret=keys"]
    namespace.install(*values)
    before = names_of(namespace)
    assert (statuses(namespace, first), statuses(namespace, second)) == ({200}, {401})
    namespace.install(*values)
    assert names_of(namespace) == before, "an upgrade that changes nothing replaces nothing"
    namespace.make_secret("keys", admin_token=second, encryption_key="3" * 64)
    namespace.install(*values)
    assert not before & names_of(namespace)
    assert (statuses(namespace, first), statuses(namespace, second)) == ({401}, {200})


def statuses(namespace, token):
    """What several calls with the token are answered with, each over a connection of its own."""
    url = f"http://r-token-service.{namespace.name}.svc.cluster.local:8080/v1/whoami"
    return {int(subprocess.run(
        namespace.in_client("curl", "-sS", "-m", 20, "-o", "/dev/null", "-w", "%{http_code}",
                            "-H", f"Authorization: Bearer {token}", url),
        capture_output=True, text=True, check=True).stdout) for _ in range(6)}


def test_evictions_are_held_by_the_budget(namespace, on_postgres):
    namespace.install(*on_postgres, "--set", "replicas=2", "--set", "podDisruptionBudget.enabled=true")
    first, second = sorted(names_of(namespace))

    def evict(name):
        return namespace.kubectl("create", "--raw", f"/api/v1/namespaces/{namespace.name}/pods/{name}/eviction", "-f", "-",
                                 input=json.dumps({"apiVersion": "policy/v1", "kind": "Eviction",
                                                   "metadata": {"name": name, "namespace": namespace.name}}),
                                 check=False)
    namespace.wait("the budget to be counted", lambda: namespace.get(
        "poddisruptionbudget", "r-token-service")["status"].get("disruptionsAllowed") == 1)
    assert evict(first).returncode == 0
    refused = evict(second)
    assert refused.returncode != 0 and "disruption budget" in refused.stderr
    wait_for_ready(namespace, 2)


def test_a_missing_secret_is_named_and_nothing_crashes(namespace):
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set", "adminToken.existingSecret=not-there",
                      wait=False)
    namespace.wait("an event that names it", lambda: "not-there" in namespace.kubectl(
        "get", "events", "-o", "jsonpath={.items[*].message}").stdout)
    pod, = namespace.pods()
    assert all(each["restartCount"] == 0 for each in pod["status"].get("containerStatuses", []))


def test_a_database_that_is_away_at_the_start_is_waited_for(namespace, postgres, on_postgres):
    postgres.stop()
    try:
        namespace.install(*on_postgres, "--set", "replicas=2", wait=False)
        namespace.wait("pods that run", lambda: len([pod for pod in namespace.pods() if any(
            "running" in each["state"] for each in pod["status"].get("containerStatuses", []))]) == 2)
        time.sleep(15)
        for pod in namespace.pods():
            state = pod["status"]["containerStatuses"][0]
            assert (state["ready"], state["restartCount"]) == (False, 0)
            log = namespace.kubectl("logs", pod["metadata"]["name"]).stdout
            assert "could not connect" in log or "connect" in log
    finally:
        postgres.start()
    wait_for_ready(namespace, 2)
