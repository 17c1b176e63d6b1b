# SPDX-License-Identifier: Apache-2.0
"""The chart and the programs say the same: options, the files of --config, metrics."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import BIN, CHART, ROOT, SECRETS, VALUES, only, render, template

POSTGRES = ("--set", "store=postgres", "--set", "postgres.url=postgresql://tokens@db/tokens")
METRIC = re.compile(r"\b(?:token_service|gateway|process)_[a-z_]+\b")


def test_values_schema_and_readme_follow_the_option_tables():
    result = subprocess.run([sys.executable, ROOT / "tools/chart.py", "--check", BIN], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    """What the pods find under /etc/token-service."""
    folder = tmp_path_factory.mktemp("etc")
    for name in ("tls", "secrets", "external"):
        (folder / name).mkdir()
    tls = folder / "tls"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=test", "-keyout", tls / "tls.key", "-out", tls / "tls.crt"],
                   check=True, capture_output=True)
    shutil.copy(tls / "tls.crt", tls / "ca.crt")
    shutil.copy(tls / "tls.key", folder / "secrets/jwt-key")
    (folder / "secrets/admin-token").write_text("0" * 64)
    (folder / "secrets/encryption-key").write_text("1" * 64)
    der = subprocess.run(["openssl", "ec", "-in", tls / "tls.key", "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    x, y = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (der[-64:-32], der[-32:]))
    (folder / "secrets/postgres-password").write_text("2")
    (folder / "external/jwks.json").write_text(json.dumps(
        {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "1", "x": x, "y": y}]}))
    return folder


def check_config(program, text, folder, mounted):
    path = folder / f"{program}.yaml"
    path.write_text(text.replace("/etc/token-service", str(mounted)))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TOKEN_")}
    return subprocess.run([BIN / program, "--config", path, "--check-config"], capture_output=True, text=True,
                          env=environment)


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_programs_take_the_files_that_the_chart_writes(path, tmp_path, mounted):
    objects = render("-f", path)
    result = check_config("token-service", only(objects, "ConfigMap", "r-token-service")["data"]["token-service.yaml"],
                          tmp_path, mounted)
    assert result.returncode == 0, result.stderr
    if yaml.safe_load(path.read_text()).get("gateway", {}).get("enabled"):
        config = only(objects, "ConfigMap", "r-token-service-gateway")["data"]["token-gateway.yaml"]
        result = check_config("token-gateway", config, tmp_path, mounted)
        assert result.returncode == 0, result.stderr


def test_every_option_reaches_the_file(tmp_path):
    """Each value under options, changed, is in the file under the name of its option."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["options"]["properties"]
    sample = {"boolean": True, "integer": 7, "string": "7s", "array": ["unix"]}
    values = yaml.safe_load((CHART / "values.yaml").read_text())["options"]
    known = limits("options")
    assert set(schema) == set(values)
    for name, each in schema.items():
        kind = each["type"][0] if isinstance(each["type"], list) else each["type"]
        value = sample[kind] if "enum" not in each else each["enum"][-1]
        if kind == "boolean":
            value = not values[name]
        if "range" in known.get(name, {}):
            value = least(known[name])
        for text in ("https://example.com", "1.2.3", "http:/x:Get", "osmo-user", "proxy=osmo-user"):
            pattern = each.get("pattern") or each.get("items", {}).get("pattern")
            probe = value[0] if kind == "array" else value
            if pattern and isinstance(probe, str) and not re.search(pattern, probe):
                value = [text] if kind == "array" else text
        option = re.sub(r"(?<!^)([A-Z])", lambda match: "-" + match[1].lower(), name)
        path = tmp_path / "values.yaml"
        path.write_text(yaml.safe_dump({"adminToken": {"existingSecret": "s"}, "encryptionKey": {"existingSecret": "s"},
                                        "externalJwks": {"name": "idp"},
                                        "options": {"externalAudience": "x", name: value}}))
        store = POSTGRES if "store" in known.get(name, {}) else ()
        config = yaml.safe_load(only(render("-f", path, *store), "ConfigMap", "r-token-service")["data"]["token-service.yaml"])
        assert config[option] == value, name


def limits(path):
    return json.loads((CHART / "files/options.json").read_text())[path]


def least(limit):
    return re.search(r" from (\S+)", limit["range"])[1]


def most(limit):
    return re.search(r" to (\S+)", limit["range"])[1]


RANGES = [(path, name, limit) for path in ("options", "gateway.options")
          for name, limit in limits(path).items() if "range" in limit]


@pytest.mark.parametrize("pick", [least, most])
def test_the_programs_take_the_ends_of_each_range(tmp_path, mounted, pick):
    values = {"gateway": {"enabled": True, "options": {}}, "options": {}}
    for path, name, limit in RANGES:
        if pick is least or "max" in limit:
            (values["options"] if path == "options" else values["gateway"]["options"])[name] = pick(limit)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    objects = render("-f", file, *SECRETS, *POSTGRES)
    for program, name in (("token-service", "r-token-service"), ("token-gateway", "r-token-service-gateway")):
        text = only(objects, "ConfigMap", name)["data"][f"{program}.yaml"]
        result = check_config(program, text, tmp_path, mounted)
        assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("path, name, limit", RANGES, ids=[f"{path}.{name}" for path, name, _ in RANGES])
def test_what_lies_beyond_a_range_is_refused_by_name(path, name, limit):
    unit = "" if limit["range"].startswith("a size") else "ms"
    beyond = [f"{limit['min'] - 1}{unit}"] if limit["min"] else []
    beyond += [f"{limit['max'] + 1}{unit}", "9" * 30 + (unit or "TiB")] if "max" in limit else []
    for value in beyond:
        result = template(*SECRETS, *POSTGRES, "--set-string", f"{path}.{name}={value}")
        assert f"{path}.{name}: must be {limit['range']}, got {value}" in result.stderr


@pytest.mark.parametrize("name", [name for name, limit in limits("options").items() if "store" in limit])
def test_options_of_a_store_that_is_not_used_are_refused(name):
    value = {"postgresConnections": "9", "postgresPooler": "transaction"}.get(name, "1s")
    result = template(*SECRETS, "--set", f"options.{name}={value}")
    assert f"options.{name}: must be given together with store: postgres, got {value}" in result.stderr


def test_numbers_are_written_as_numbers(tmp_path):
    config = only(render("-f", VALUES[0].parent / "everything.yaml"), "ConfigMap", "r-token-service")
    assert "max-calls: 1000000\n" in config["data"]["token-service.yaml"]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """The names that token-service gives its metrics."""
    sys.path.insert(0, str(ROOT / "tests/integration"))
    from env import program
    import urllib.request
    service = program.TokenService(tmp_path_factory.mktemp("service"))
    with urllib.request.urlopen(f"{service.url}/metrics") as reply:
        text = reply.read().decode()
    service.stop()
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    names = set(families)
    for name, kind in families.items():
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return names


@pytest.mark.parametrize("file", ["alerts.yaml", "dashboard.json"])
def test_alerts_and_dashboard_ask_for_metrics_that_exist(file, metrics):
    asked = set(METRIC.findall((CHART / "files" / file).read_text()))
    assert asked and not asked - metrics


def test_alerts_select_the_pods_of_the_release():
    rules = only(render("-f", VALUES[0].parent / "everything.yaml"), "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert len(rules) >= 5 and "TokenServiceDenials" not in [rule["alert"] for rule in rules]
    # pods of the gateway have such names, too
    assert 'container="token-service"' in rules[0]["expr"]
    for rule in rules:
        assert 'namespace="default",pod=~"r-token-service-.*"' in rule["expr"]
        assert "{{" not in rule["expr"] and rule["annotations"]["summary"]
    assert any("{{ $value" in rule["annotations"].get("description", "") for rule in rules)


def test_the_dashboard_is_valid_and_its_panels_do_not_overlap():
    dashboard = json.loads((CHART / "files/dashboard.json").read_text())
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(places) == len(set(places)) > 10
    assert all(panel["targets"][0]["expr"] for panel in dashboard["panels"])
