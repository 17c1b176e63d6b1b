# SPDX-License-Identifier: Apache-2.0
"""What charts are judged by in general: lint, schemas of several Kubernetes versions, suites of unit
tests, and what pods must look like to run in a namespace that enforces `restricted`."""

import pytest
from conftest import CHART, KUBERNETES, TOOLS, render, template, tool

WORKLOADS = {"StatefulSet", "Deployment", "Pod"}


def schemas(version):
    for folder in (version, "crds"):
        yield from ("-schema-location", f"{TOOLS}/schemas/{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json")


def pods(documents):
    for document in documents:
        if document["kind"] in WORKLOADS:
            spec = document["spec"]
            yield spec["template"]["spec"] if "template" in spec else spec


def test_lint_has_nothing_to_say(helm, values):
    result = tool(helm, "lint", "--strict", CHART, "-f", values)
    assert result.returncode == 0, result.stdout
    assert "[WARNING]" not in result.stdout and "[ERROR]" not in result.stdout, result.stdout


def test_defaults_pass_lint(helm):
    result = tool(helm, "lint", "--strict", CHART)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("version", KUBERNETES)
def test_objects_are_what_kubernetes_knows(helm, values, version):
    rendered = template("-f", values, "--kube-version", f"{version}.0", helm=helm)
    assert rendered.returncode == 0, rendered.stderr
    result = tool("kubeconform", "-strict", "-summary", "-output", "text", *schemas(version), "-",
                  input=rendered.stdout)
    assert result.returncode == 0, result.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in result.stdout
    assert "Valid: 0," not in result.stdout


def test_the_schemas_do_find_mistakes():
    rendered = template("-f", CHART.parents[1] / "tests/chart/values/everything.yaml").stdout
    for right, wrong in (("readinessProbe:", "readynessProbe:"), ("parentRefs:", "parentsRefs:"), ("issuerRef:", "issuer:")):
        assert right in rendered
        result = tool("kubeconform", "-strict", *schemas(KUBERNETES[-1]), "-", input=rendered.replace(right, wrong))
        assert result.returncode != 0


def test_unit_suites_of_the_chart_pass():
    result = tool("helm-unittest", "--color=false", CHART)
    assert result.returncode == 0, result.stdout


def test_pods_are_restricted(values):
    found = list(pods(render("-f", values)))
    assert len(found) >= 2
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for volume in pod["volumes"]:
            assert not set(volume) - {"name", "configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim"}
        for container in pod["containers"] + pod.get("initContainers", []):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert "memory" in container["resources"]["limits"]


def test_no_secret_is_in_the_environment_or_in_arguments(values):
    for pod in pods(render("-f", values)):
        for container in pod["containers"]:
            assert not any("valueFrom" in each for each in container.get("env", []))
            assert not any("token=" in each for each in container["args"])


def test_every_object_is_in_the_namespace_and_labelled(values):
    for document in render("-f", values, "--namespace", "elsewhere"):
        metadata = document["metadata"]
        if metadata["name"] in ("r-extra", "r-token-service-text"):
            continue # extraObjects are the user's
        assert metadata["namespace"] == "elsewhere"
        assert metadata["labels"]["app.kubernetes.io/instance"] == "r"


def test_two_renderings_are_the_same(values):
    assert template("-f", values).stdout == template("-f", values).stdout
