# SPDX-License-Identifier: Apache-2.0
"""Values that change what is installed, on a real node: every optional object at once, TLS, roles, and what
happens when something that they name is wrong or late."""

import datetime
import json
import subprocess
import time

import pytest
from conftest import IMAGE, TAG
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAMS = ["helm", "helm3"]
EVERY_OBJECT = """
tls: {existingSecret: tls, insecurePlaintext: false}
gateway: {enabled: true, autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 3}}
autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 3}
podDisruptionBudget: {enabled: true}
service: {trafficDistribution: PreferClose}
ingress: {enabled: true, className: edge}
grpcIngress: {enabled: true, className: edge}
httpRoute: {enabled: true, parentRefs: [{name: edge}], hostnames: [tokens.example.com]}
grpcRoute: {enabled: true, parentRefs: [{name: edge}], hostnames: [grpc.example.com]}
networkPolicy: {from: [{namespaceSelector: {}}], metricsFrom: [{namespaceSelector: {}}]}
serviceMonitor: {enabled: true}
prometheusRule: {enabled: true}
dashboard: {enabled: true}
dnsConfig: {options: [{name: ndots, value: "2"}]}
extraEnv: [{name: GRPC_VERBOSITY, value: error}]
extraVolumes: [{name: scratch, emptyDir: {}}]
extraVolumeMounts: [{name: scratch, mountPath: /scratch}]
extraObjects:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-extra"}, data: {key: value}}
roles:
  ci-reader: {description: Reads, policies: [{actions: ["http:/api/workflow*:Get"]}]}
"""
KINDS = ("deployments,services,secrets,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets,"
         "horizontalpodautoscalers,ingresses,servicemonitors,prometheusrules,httproutes,grpcroutes")


def certificate(*names):
    """A self-signed one and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256()))
    return (made.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode())


def make_tls_secret(namespace, *names_held):
    services = [f"{name}.{namespace.name}.svc" for name in ("r-token-service", "r-token-service-gateway")]
    pem, key = certificate(*(names_held or services))
    namespace.apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls"},
                                "stringData": {"tls.crt": pem, "tls.key": key, "ca.crt": pem}}))


def test_a_certificate_may_hold_another_name(namespace):
    make_tls_secret(namespace, "tokens.example.com")
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set", "gateway.enabled=true",
                      "--set", "tls.existingSecret=tls", "--set", "tls.serviceName=tokens.example.com")
    assert "Succeeded" in namespace.helm("test", "r").stdout


def test_a_service_with_ipv6_is_served_over_ipv4_too(namespace):
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set", "service.ipFamilyPolicy=PreferDualStack")
    assert "Succeeded" in namespace.helm("test", "r").stdout


def names(namespace):
    return set(namespace.kubectl("get", KINDS, "-o", "name").stdout.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_optional_object_at_once(namespace, on_postgres, program):
    make_tls_secret(namespace)
    values = namespace.folder / "values.yaml"
    values.write_text(EVERY_OBJECT)
    before = names(namespace)
    namespace.install(*on_postgres, "-f", values, program=program)
    assert len(namespace.pods()) == 2
    kinds = {each.split("/")[0].split(".")[0] for each in names(namespace) - before}
    assert kinds == {
        "deployment", "service", "secret", "configmap", "serviceaccount", "networkpolicy", "poddisruptionbudget",
        "horizontalpodautoscaler", "ingress", "servicemonitor", "prometheusrule", "httproute", "grpcroute"}
    assert "Succeeded" in namespace.helm("test", "r", program=program).stdout  # over TLS, past gateway and directly
    namespace.helm("uninstall", "r", "--wait", program=program)
    namespace.wait("the rest to go", lambda: names(namespace) - before == {"secret/r-token-service"})


def test_no_pod_has_access_to_the_api(namespace, on_postgres):
    namespace.install(*on_postgres, "--set", "gateway.enabled=true")
    for pod in namespace.get("pods")["items"]:
        mounted = [each for container in pod["spec"]["containers"] for each in container.get("volumeMounts", [])]
        assert mounted or pod["metadata"]["name"] == "client"
        assert not [each for each in mounted if "serviceaccount" in each["mountPath"]], pod["metadata"]["name"]


def curl(namespace, path, *options):
    """(status, body) of a call of release r by its administrator, from a pod."""
    header = namespace.folder / "header"
    header.write_text(f"Authorization: Bearer {namespace.secret('r-token-service', 'admin-token')}")
    host = f"r-token-service.{namespace.name}.svc.cluster.local"
    done = subprocess.run(
        namespace.in_client("curl", "-sS", "-m", 20, "-H", f"@{header}", "-w", "\\n%{http_code}", *options,
                            f"http://{host}:8080{path}"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_roles_of_values_are_served_and_change_here_only(namespace):
    role = {"description": "Reads", "policies": [{"actions": ["http:/api/workflow*:Get"]}]}
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set-json", f"roles={json.dumps({'ci': role})}")
    status, served = curl(namespace, "/v1/roles/ci")
    assert (status, served["description"]) == (200, "Reads")
    status, refusal = curl(namespace, "/v1/roles/ci", "-X", "PUT", "--json", '{"description": "Writes"}')
    assert (status, refusal["message"]) == (400, "Role ci is immutable.")
    assert curl(namespace, "/v1/roles/ci") == (200, served)


@pytest.mark.parametrize("program, option", [("helm", "--rollback-on-failure"), ("helm3", "--atomic")])
def test_a_bad_image_on_sqlite_is_taken_back_with_every_token(namespace, program, option):
    values = ["--set", f"sqlite.persistence.storageClass={namespace.make_volume()}"]
    namespace.install(*values, program=program)
    with namespace.load(least=50) as before:
        pass
    assert before["made"] and before["missing"] == []
    done = namespace.install(*values, "--set", "image.tag=none", option, "--timeout", "15s", program=program, check=False)
    assert done.returncode != 0
    pod, = namespace.pods()
    assert pod["spec"]["containers"][0]["image"] == f"{IMAGE}:{TAG}"
    assert "Succeeded" in namespace.helm("test", "r", program=program).stdout
    with namespace.load(least=20) as after:
        pass
    assert after["lost"] == [] and after["missing"] == []


def test_a_secret_that_comes_late_starts_the_pod(namespace):
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set", "adminToken.existingSecret=late",
                      wait=False)
    namespace.wait("an event that names it", lambda: "late" in namespace.kubectl(
        "get", "events", "-o", "jsonpath={.items[*].message}").stdout)
    namespace.make_secret("late", admin_token="1" * 64)
    # the kubelet tries again after some time, and after each try waits twice as long
    namespace.wait("the pod to be ready", lambda: ready(namespace), seconds=150)
    pod, = namespace.pods()
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def ready(namespace):
    return [pod for pod in namespace.pods() if any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))]


def test_a_secret_with_nonsense_is_named_in_the_log_and_not_shown(namespace):
    namespace.make_secret("bad", admin_token="1" * 64, encryption_key="not-a-key-at-all")
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set", "adminToken.existingSecret=bad",
                      "--set", "encryptionKey.existingSecret=bad", wait=False)

    def log():
        return "".join(namespace.kubectl("logs", f"{pod['metadata']['name']}", *more, check=False).stdout
                       for pod in namespace.pods() for more in ((), ("--previous",)))
    namespace.wait("a reason", lambda: "encryption-key" in log())
    assert "not-a-key" not in log()
    assert not ready(namespace)


def test_a_renewed_certificate_is_served_by_the_pods_that_run(namespace):
    make_tls_secret(namespace)
    namespace.install("--set", "sqlite.persistence.enabled=false", "--set", "tls.existingSecret=tls",
                      "--set", "tls.insecurePlaintext=false")
    before = namespace.pods()[0]["metadata"]["uid"]
    make_tls_secret(namespace)
    time.sleep(1)
    # the authority is the new one: the check fails until its certificate is served
    end = time.monotonic() + 150
    while namespace.helm("test", "r", check=False).returncode != 0:
        assert time.monotonic() < end, "the old certificate is still served"
        time.sleep(3)
    assert namespace.pods()[0]["metadata"]["uid"] == before


def test_a_wrong_value_stops_the_install_and_leaves_nothing(namespace):
    before = names(namespace)
    for value, expected in [("options.cacheTtl=soon", "cacheTtl"), ("store=mysql", "store"), ("replicas=2", "replicas"),
                            ("optionz.cacheTtl=1s", "optionz")]:
        done = namespace.install("--set", value, check=False)
        assert done.returncode != 0 and expected in done.stderr, done.stderr
    assert names(namespace) == before
    assert not namespace.kubectl("get", "secrets", "-l", "owner=helm", "-o", "name").stdout  # no release in any state
