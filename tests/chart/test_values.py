# SPDX-License-Identifier: Apache-2.0
"""Wrong values stop `helm template`, with a message that names the value; a parent chart works."""

import json
import subprocess

import pytest
import yaml
from conftest import CHART, SECRETS, only, render, template, tool

WRONG = [
    ("replicas=two", "replicas"),
    ("replicas=-1", "replicas"),
    ("replicas=2", "replicas"),
    ("store=mysql", "store"),
    ("image.tag=a b", "image/tag"),
    ("image.digest=sha256:12", "image/digest"),
    ("image.pullPolicy=Sometimes", "image/pullPolicy"),
    ("imagePullSecrets=registry", "imagePullSecrets"),
    ("options.cacheTtl=30", "options/cacheTtl"),
    ("options.cacheTtl=soon", "options/cacheTtl"),
    ("options.cacheMaxBytes=lots", "options/cacheMaxBytes"),
    ("options.maxCalls=0", "options/maxCalls"),
    ("options.maxCalls=1000001", "options/maxCalls"),
    ("options.threads=257", "options/threads"),
    ("options.jwtAlgorithm=HS256", "options/jwtAlgorithm"),
    ("options.logLevel=loud", "options/logLevel"),
    ("options.accessLog=perhaps", "options/accessLog"),
    ("options.defaultRoles=osmo-user", "options/defaultRoles"),
    ("options.trustedProxy[0]=everywhere", "options/trustedProxy"),
    ("options.personalTokenDenied[0]=delete", "options/personalTokenDenied"),
    ("options.corsOrigin[0]=example.com", "options/corsOrigin"),
    ("options.externalIssuer=idp", "options/externalIssuer"),
    ("options.serviceVersion=new", "options/serviceVersion"),
    ("options.cacheTTL=30s", "cacheTTL"),
    ("gateway.options.maxCalls=5", "maxCalls"),
    ("gateway.options.idleTimeout=never", "gateway/options/idleTimeout"),
    ("sqlite.persistence.size=big", "sqlite/persistence/size"),
    ("sqlite.persistence.accessModes[0]=ReadOnlyMany", "sqlite/persistence/accessModes"),
    ("adminToken.existingSecret=My_Secret", "adminToken/existingSecret"),
    ("adminToken.value=abc", "value"),
    ("tls.clientAuth=required", "tls/clientAuth"),
    ("tls.certManager.issuerRef.kind=Issuers", "tls/certManager/issuerRef/kind"),
    ("service.type=ExternalName", "service/type"),
    ("service.grpc.port=70000", "service/grpc/port"),
    ("service.ipFamilies[0]=IPv5", "service/ipFamilies"),
    ("ingress.paths[0]=v1", "ingress/paths"),
    ("ingress.hosts[0]=http://x", "ingress/hosts"),
    ("podDisruptionBudget.minAvailable=half", "podDisruptionBudget/minAvailable"),
    ("drain.graceSeconds=-1", "drain/graceSeconds"),
    ("probes.timeoutSeconds=0", "probes/timeoutSeconds"),
    ("listenAddress=localhost", "listenAddress"),
    ("roles.reader=yes", "roles/reader"),
    ("roles.reader.description=x", "policies"),
    ("roles.reader.policies[0].action=x", "action"),
    ("roles.reader.policies[0].actions[0]=/api/pool:Get", "roles/reader/policies/0/actions/0"),
    ("roles.a b.policies=null", "a b"),
    ("roles.osmo-admin.policies[0].actions[0]=http:/*:*", "osmo-admin"),
    ("prometheusRule.disabled[0]=Everything", "prometheusRule/disabled"),
    ("tset.enabled=true", "tset"),
    ("options.cacheTtl=1h30m", "options/cacheTtl"),
    ("options.serviceVersion=1.2", "options/serviceVersion"),
    ("options.mtlsIdentity[0]=proxy", "options/mtlsIdentity/0"),
    ("options.trustedProxy[0]=10.0.0.0/33", "options/trustedProxy"),
    ("options.personalTokenDenied[0]=http:/x:Gett", "options/personalTokenDenied"),
    ("roles.reader.policies[0].actions[0]=http:/x:Gett", "roles/reader/policies/0/actions/0"),
    ("nameOverride=a.b", "nameOverride"),
    ("fullnameOverride=1a", "fullnameOverride"),
    ("commonLabels.app\\.kubernetes\\.io/name=x", "commonLabels/app.kubernetes.io"),
    ("podLabels.app\\.kubernetes\\.io/instance=x", "podLabels/app.kubernetes.io"),
    ("podLabels.team=a b", "podLabels/team"),
    ("image.repository=Token", "image/repository"),
    ("image.registry=https://registry.example.com", "image/registry"),
    ("listenAddress=1.2.3.256", "listenAddress"),
    ("listenAddress=[1:2]", "listenAddress"),
    ("ingress.hosts[0]=a..b", "ingress/hosts"),
    ("resources.limit.memory=1Gi", "resources"),
    ("gateway.resources.limits.memory=much", "gateway/resources/limits/memory"),
    ("extraEnv[0].value=x", "extraEnv"),
    ("extraVolumes[0].emptyDir=null", "extraVolumes"),
    ("tolerations[0].operator=Is", "tolerations/0/operator"),
    ("topologySpreadConstraints[0].maxSkew=1", "topologySpreadConstraints"),
    ("httpRoute.parentRefs[0].namespace=edge", "httpRoute/parentRefs"),
    ("service.trafficDistribution=Near", "service/trafficDistribution"),
    ("service.loadBalancerSourceRanges[0]=192.0.2.1", "service/loadBalancerSourceRanges"),
    ("tls.certManager.duration=90d", "tls/certManager/duration"),
    ("clusterDomain=cluster_local", "clusterDomain"),
    ("sqlite.persistence.size=0Gi", "sqlite/persistence/size"),
    ("extraVolumes[0].name=tmp", "extraVolumes/0/name"),
    ("extraEnv[0].name=a=b", "extraEnv/0/name"),
    ("networkPolicy.from[0].ipBlock.cidr=10.0.0.1", "networkPolicy/from/0/ipBlock/cidr"),
    ("httpRoute.paths[0]=/a//b", "httpRoute/paths/0"),
    ("service.grpc.appProtocol=a/b/c", "service/grpc/appProtocol"),
    ("dnsConfig.nameservers[0]=dns", "dnsConfig/nameservers/0"),
]


@pytest.mark.parametrize("setting, name", WRONG, ids=[setting for setting, _ in WRONG])
def test_a_wrong_value_is_refused_by_name(setting, name):
    result = template(*SECRETS, "--set", setting)
    assert result.returncode != 0
    assert name in result.stderr


def test_helm_3_refuses_them_too():
    for setting, name in WRONG[:10]:
        result = template(*SECRETS, "--set", setting, helm="helm3")
        assert result.returncode != 0
        assert name.replace("/", ".") in result.stderr or name in result.stderr


def test_every_object_of_the_schema_is_closed():
    def look(schema, path):
        if schema is False:
            return
        if schema.get("type") == "object" and "properties" in schema and path != "global":
            assert schema["additionalProperties"] is False, path
        for name, each in schema.get("properties", {}).items():
            look(each, f"{path}.{name}".strip("."))
    schema = json.loads((CHART / "values.schema.json").read_text())
    look(schema, "")
    assert {"global", "enabled"} <= set(schema["properties"])
    assert "http" not in json.dumps([each for each in find_refs(schema)])


def find_refs(schema):
    if isinstance(schema, dict):
        yield from [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        for each in schema.values():
            yield from find_refs(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from find_refs(each)


def test_without_a_cluster_secrets_must_be_named(helm):
    for argument, name in ((SECRETS[:2], "encryptionKey.existingSecret"), (SECRETS[2:], "adminToken.existingSecret")):
        result = template(*argument, helm=helm)
        assert result.returncode != 0
        assert f"{name}: name a Secret" in result.stderr


@pytest.fixture
def parent(tmp_path):
    """A chart that has ours as a dependency, with values for it."""
    def make(values):
        folder = tmp_path / "platform"
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(yaml.safe_dump({
            "apiVersion": "v2", "name": "platform", "version": "1.0.0",
            "dependencies": [{"name": "token-service", "version": "0.1.0", "repository": f"file://{CHART}",
                              "condition": "token-service.enabled"}]}))
        (folder / "values.yaml").write_text(yaml.safe_dump(values))
        result = tool("helm", "dependency", "build", folder)
        assert result.returncode == 0, result.stderr
        return folder
    return make


def test_it_is_a_good_sub_chart(parent, helm):
    chart = parent({"global": {"imageRegistry": "mirror.example.com", "storageClass": "fast"},
                    "token-service": {"enabled": True, "adminToken": {"existingSecret": "s"},
                                      "encryptionKey": {"existingSecret": "s"}}})
    pod = only(render(chart=chart, helm=helm), "StatefulSet")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].startswith("mirror.example.com/token-service:")


def test_a_parent_switches_it_off(parent, helm):
    assert render(chart=parent({"token-service": {"enabled": False}}), helm=helm) == []


def test_two_releases_share_no_name():
    def names(release):
        return {(each["kind"], each["metadata"]["name"]) for each in render(*SECRETS, release=release)}
    assert not names("one") & names("two")


def test_long_names_stay_within_the_limit():
    longest = "a" * 53
    for each in render("-f", CHART.parents[1] / "tests/chart/values/gateway.yaml", release=longest):
        assert len(each["metadata"]["name"]) <= 63
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())


def test_the_package_has_no_tests(tmp_path):
    result = tool("helm", "package", CHART, "--destination", tmp_path)
    assert result.returncode == 0, result.stderr
    listing = subprocess.run(["tar", "tf", *tmp_path.glob("*.tgz")], capture_output=True, text=True, check=True).stdout
    assert "values.schema.json" in listing and "_test.yaml" not in listing
    assert "templates/tests/check.yaml" in listing
