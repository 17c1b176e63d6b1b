# SPDX-License-Identifier: Apache-2.0
"""The chart on a real node: installed, tried out, changed, taken away."""

import datetime

import pytest
import yaml
from conftest import CHART, IMAGE, ROOT

SQLITE_IN_POD = ["--set", "sqlite.persistence.enabled=false"]
PROGRAMS = ["helm", "helm3"]
ALL_KINDS = ("all,secrets,configmaps,serviceaccounts,persistentvolumeclaims,networkpolicies,poddisruptionbudgets,"
             "horizontalpodautoscalers,ingresses,roles,rolebindings,servicemonitors,prometheusrules,certificates,"
             "httproutes,grpcroutes")


def seconds_to_ready(pod):
    """Between the start of its container and the moment it was ready; both are whole seconds."""
    ready = next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    begun = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    at, since = (datetime.datetime.fromisoformat(each.replace("Z", "+00:00"))
                 for each in (ready["lastTransitionTime"], begun))
    return (at - since).total_seconds()


def check_works(namespace, program="helm", gateway=False):
    """`helm test`, and calls from another pod over gRPC and HTTP."""
    done = namespace.helm("test", "r", program=program)
    assert "Succeeded" in done.stdout
    with namespace.load(least=50, gateway=gateway) as report:
        pass
    assert report["lost"] == [] and report["made"]
    for pod in namespace.pods():
        assert seconds_to_ready(pod) <= 2
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_sqlite_on_a_volume(namespace, program):
    namespace.install("--set", f"sqlite.persistence.storageClass={namespace.make_volume()}", program=program)
    check_works(namespace, program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_replicas_on_postgresql(namespace, on_postgres, program):
    namespace.install(*on_postgres, "--set", "replicas=2", program=program)
    assert len(namespace.pods()) == 2
    check_works(namespace, program)


def test_a_gateway_in_pods_of_its_own(namespace, on_postgres):
    namespace.install(*on_postgres, "--set", "replicas=2", "--set", "gateway.enabled=true")
    check_works(namespace, gateway=True)


def test_replicas_that_start_together_migrate_once(namespace, on_postgres):
    namespace.install(*on_postgres, "--set", "replicas=6")
    assert len(namespace.pods()) == 6
    assert all(pod["status"]["containerStatuses"][0]["restartCount"] == 0 for pod in namespace.pods())


def test_two_releases_in_one_namespace(namespace):
    namespace.install(*SQLITE_IN_POD)
    namespace.install(*SQLITE_IN_POD, release="other")
    secrets = {namespace.secret(f"{release}-token-service", "admin-token") for release in ("r", "other")}
    assert len(secrets) == 2
    for release in ("r", "other"):
        with namespace.load(least=20, release=release) as report:
            pass
        assert report["lost"] == []
    namespace.helm("uninstall", "r", "--wait")
    with namespace.load(least=20, release="other") as report:
        pass
    assert report["lost"] == []


def test_as_a_part_of_another_chart(namespace):
    parent = namespace.folder / "platform"
    (parent / "charts").mkdir(parents=True)
    (parent / "Chart.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [{
            "name": "token-service", "version": yaml.safe_load((CHART / "Chart.yaml").read_text())["version"],
            "repository": f"file://{CHART}", "condition": "token-service.enabled"}]}))
    namespace.helm("dependency", "update", parent)
    values = ["--set", "token-service.image.repository=docker.io/library/token-service",
              "--set", "token-service.sqlite.persistence.enabled=false"]
    namespace.helm("install", "r", parent, *values, "--wait", "--timeout", "60s")
    check_works(namespace)
    namespace.helm("upgrade", "r", parent, *values, "--set", "token-service.enabled=false", "--wait")
    assert namespace.pods() == []


def test_twice_in_another_chart(namespace):
    parent = namespace.folder / "platform"
    (parent / "charts").mkdir(parents=True)
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    (parent / "Chart.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [
            {"name": "token-service", "version": version, "repository": f"file://{CHART}", "alias": alias}
            for alias in ("blue", "green")]}))
    namespace.helm("dependency", "update", parent)
    namespace.helm("install", "p", parent, "--wait", "--timeout", "60s", *(
        each for alias in ("blue", "green") for each in (
            "--set", f"{alias}.image.repository={IMAGE}", "--set", f"{alias}.sqlite.persistence.enabled=false")))
    assert "Succeeded" in namespace.helm("test", "p").stdout
    assert namespace.secret("p-blue", "admin-token") != namespace.secret("p-green", "admin-token")


def test_uninstall_leaves_what_the_notes_say_and_nothing_else(namespace):
    before = names(namespace)
    done = namespace.install("--set", f"sqlite.persistence.storageClass={namespace.make_volume()}",
                             "--set", "podDisruptionBudget.enabled=true", "--set", "serviceMonitor.enabled=true")
    namespace.helm("uninstall", "r", "--wait")
    namespace.wait("the end of the pod", lambda: namespace.pods() == [])
    namespace.wait("the rest to go", lambda: names(namespace) - before == {
        "secret/r-token-service", "persistentvolumeclaim/data-r-token-service-0"})
    assert "Uninstalling keeps the Secret r-token-service and the claim data-r-token-service-0" in done.stdout


def names(namespace):
    return set(namespace.kubectl("get", ALL_KINDS, "-o", "name").stdout.split())


def test_an_uninstalled_release_comes_back_with_its_tokens(namespace):
    volume = ["--set", f"sqlite.persistence.storageClass={namespace.make_volume()}"]
    namespace.install(*volume)
    secret = namespace.secret("r-token-service", "admin-token")
    namespace.helm("uninstall", "r", "--wait")
    namespace.install(*volume)
    assert namespace.secret("r-token-service", "admin-token") == secret
    check_works(namespace)


@pytest.mark.parametrize("path", sorted((ROOT / "tests/chart/values").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_api_server_takes_every_object_strictly(namespace, path):
    namespace.kubectl("create", "serviceaccount", "r-token-service")  # which is looked up for a lone pod
    rendered = namespace.helm("template", "r", CHART, "-f", path, "--namespace", namespace.name).stdout
    done = namespace.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", input=rendered)
    assert "Warning" not in done.stderr
    assert len(done.stdout.splitlines()) == len([each for each in yaml.safe_load_all(rendered) if each])
