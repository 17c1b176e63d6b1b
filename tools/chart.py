#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hold the chart to the option tables of the programs, and its README to its values.

usage: chart.py [--check] BIN

Writes, from `BIN/token-service --help-json` and `BIN/token-gateway --help-json`, the options in
values.yaml, values.schema.json and files/options.json of helm/token-service, and from the comments
(`# -- ...`) in values.yaml the table in its README.md. With --check it writes nothing and fails if something would
change. An option is a value of the same name in camelCase (cache-ttl: options.cacheTtl); those that
the chart sets by other means are listed below, and an option that is neither is an error.
"""

import argparse
import difflib
import json
import pathlib
import re
import subprocess
import sys

import yaml

CHART = pathlib.Path(__file__).resolve().parent.parent / "helm/token-service"

# What says these options, instead of a value under `options`.
SET_BY_CHART = {
    "token-service": {
        "grpc-listen": "listenAddress",
        "http-listen": "listenAddress",
        "ready-file": "probes tell when a pod is ready",
        "data-dir": "the volume",
        "store": "store",
        "postgres-url": "postgres.url",
        "postgres-password-file": "postgres.existingSecret",
        "postgres-direct-url": "postgres.directUrl",
        "tls-cert-file": "tls.existingSecret",
        "tls-key-file": "tls.existingSecret",
        "tls-client-ca-file": "tls.caKey",
        "tls-client-auth": "tls.clientAuth",
        "insecure-plaintext": "tls.insecurePlaintext",
        "dev-login": "on loopback only",
        "admin-token-file": "adminToken",
        "external-jwks-file": "externalJwks",
        "jwt-key-file": "jwtKey",
        "encryption-key-file": "encryptionKey",
        "drain-delay": "drain.delaySeconds",
        "drain-grace": "drain.graceSeconds",
        "roles": "roles",
    },
    "token-gateway": {
        "http-listen": "listenAddress",
        "ready-file": "probes tell when a pod is ready",
        "service": "the service of the release",
        "service-tls": "tls.existingSecret",
        "service-ca-file": "tls.caKey",
        "service-cert-file": "not needed: the service asks for none",
        "service-key-file": "not needed: the service asks for none",
        "service-name": "tls.serviceName",
        "tls-cert-file": "tls.existingSecret",
        "tls-key-file": "tls.existingSecret",
        "tls-client-ca-file": "tls.caKey",
        "tls-client-auth": "tls.clientAuth",
        "insecure-plaintext": "tls.insecurePlaintext",
        "dev-login": "on loopback only",
        "drain-delay": "drain.delaySeconds",
        "drain-grace": "drain.graceSeconds",
    },
}

UNITS = (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1))
DURATION = r"^(0|[0-9]+(ms|s|m|h|d))$"
SIZE = r"^[0-9]+([KMGT]iB?|[kMGT]B)?$"
# What a text may be, by the word that the help has for it; "" is "not given".
PATTERNS = {
    "URL": r"^(https?://[^\s]+)?$",
    "VERSION": r"^([0-9]+(\.[0-9]+){2,3})?$",
    "CIDR": r"^(unix|([0-9]{1,3}\.){3}[0-9]{1,3}(/(3[0-2]|[12]?[0-9]))?"
            r"|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$",
    "ORIGIN": r"^(\*|https?://[^/\s]+)$",
    "ACTION": "^http:([*]|!?/[^:]+):([*]|" + "|".join(
        "".join(f"[{letter.upper()}{letter}]" for letter in method)
        for method in ("get", "post", "put", "patch", "delete", "websocket")) + ")$",
    "NAME=USER[:ROLE+ROLE...]": r"^[^=]+=([^=:]|=)*[^=:](:[^\s]+)?$",
    "ROLE": r"^[^\s,/]{1,255}$",
}


def camel(name):
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)


def options_of(program, folder):
    """The options that are values, in the order of the help."""
    table = json.loads(subprocess.run([folder / program, "--help-json"], check=True, capture_output=True).stdout)
    elsewhere = SET_BY_CHART[program]
    named = [option for option in table["options"] if not option["command_only"]]
    for name in set(elsewhere) - {option["name"] for option in named} - {"roles"}:
        sys.exit(f"chart.py: {program} has no option '{name}': take it out of SET_BY_CHART")
    for option in named:
        if option["type"] in ("secret", "section") and option["name"] not in elsewhere:
            sys.exit(f"chart.py: '{option['name']}' of {program} must be said by a value of its own: see SET_BY_CHART")
    return [option for option in named if option["name"] not in elsewhere]


def default(option):
    text = option.get("default", "")
    kind = option["type"]
    if kind == "flag":
        return text == "true"
    if kind == "int":
        return int(text or 0)
    if kind == "list":
        return text.split(",") if text else []
    return text


def schema(option):
    kind, pattern = option["type"], PATTERNS.get(option.get("metavar"))
    result = {"description": option["help"]}
    if kind == "flag":
        result["type"] = "boolean"
    elif kind == "int":
        result |= {"type": "integer", "minimum": option["min"]}
        if option.get("max"):
            result["maximum"] = option["max"]
    elif kind == "duration":
        result |= {"type": "string", "pattern": DURATION}
    elif kind == "size":
        result |= {"type": ["string", "integer"], "pattern": SIZE, "minimum": option["min"]}
    elif kind == "enum":
        result |= {"type": "string", "enum": option["choices"]}
    elif kind == "list":
        result |= {"type": "array", "items": {"type": "string", "minLength": 1}}
        if pattern:
            result["items"]["pattern"] = pattern
    else:
        result["type"] = "string"
        if pattern:
            result["pattern"] = pattern
    return result


def duration(milliseconds):
    """As the programs say it: 3600000 is 1h."""
    return next((f"{milliseconds // each}{unit}" for unit, each in UNITS
                 if milliseconds and milliseconds % each == 0), "0")


def size(count):
    return next((f"{count >> shift}{unit}" for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10))
                 if count and count % (1 << shift) == 0), str(count))


def limits(options):
    """What templates check, because a schema cannot: {"cacheTtl": {"min": 0, "max": ..., "range": words}}."""
    result = {}
    for option in options:
        kind, each = option["type"], {}
        if kind in ("duration", "size"):
            text = duration if kind == "duration" else size
            each = {"min": option["min"]}
            if option.get("max"):
                each["max"] = option["max"]
            each["range"] = f"a {kind} from {text(option['min'])}" + (
                f" to {text(option['max'])}" if "max" in each else "")
        if option["name"].startswith("postgres-"):
            each |= {"store": "postgres", "default": default(option)}
        if each:
            result[camel(option["name"])] = each
    return result


def values_block(options, indent):
    lines, group = [f"{indent}options:"], None
    for option in options:
        if option["group"] != group:
            group = option["group"]
            lines.append(f"{indent}  # ---- {group} ----")
        text = json.dumps(default(option))
        lines += [f"{indent}  # -- {option['help']}", f"{indent}  {camel(option['name'])}: {text}"]
    return "\n".join(lines)


def with_block(text, name, block):
    pattern = re.compile(rf"^( *# BEGIN {re.escape(name)} .*\n)(?:.*\n)*?( *# END {re.escape(name)}\n)", re.MULTILINE)
    result, n = pattern.subn(lambda m: f"{m[1]}{block}\n{m[2]}", text)
    if n != 1:
        sys.exit(f"chart.py: values.yaml must have one block '{name}'")
    return result


def options_schema(options):
    return {"type": "object", "additionalProperties": False,
            "properties": {camel(option["name"]): schema(option) for option in options}}


def documented(text):
    """(path, default, words) of each value that has a comment `# --`."""
    path, words, rows = [], None, []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        comment = re.match(r" *# -- (.*)", line)
        key = re.match(r"( *)([A-Za-z]\w*):(?: (.*))?$", line)
        if comment:
            words = comment[1]
        elif key and not (words is None and key[3]):
            depth = len(key[1]) // 2
            path = path[:depth] + [key[2]]
            if words is not None:
                rows.append((".".join(path), words))
            words = None
    return rows


def leaves(values, known, path=""):
    for key, value in values.items():
        full = f"{path}{key}"
        if full in known:
            yield full, value
        elif isinstance(value, dict) and value:
            yield from leaves(value, known, full + ".")
        else:
            sys.exit(f"chart.py: {full} has no comment `# -- ...` above it in values.yaml")


def readme_table(text):
    words = dict(documented(text))
    rows = ["| value | default | what it says |", "|---|---|---|"]
    for path, value in leaves(yaml.safe_load(text), words):
        shown = json.dumps(value).replace("|", "\\|")
        rows.append(f"| `{path}` | `{shown}` | {words[path].replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def outputs(folder):
    service, gateway = options_of("token-service", folder), options_of("token-gateway", folder)
    values = (CHART / "values.yaml").read_text()
    values = with_block(values, "options", values_block(service, ""))
    values = with_block(values, "gateway.options", values_block(gateway, "  "))
    yield CHART / "values.yaml", values

    document = json.loads((CHART / "values.schema.json").read_text())
    document["properties"]["options"] = options_schema(service)
    document["properties"]["gateway"]["properties"]["options"] = options_schema(gateway)
    roles = document["properties"]["roles"]["patternProperties"].values()
    for role in roles:
        role["properties"]["policies"]["items"]["properties"]["actions"]["items"]["pattern"] = PATTERNS["ACTION"]
    yield CHART / "values.schema.json", json.dumps(document, indent=2) + "\n"

    known = {"options": limits(service), "gateway.options": limits(gateway)}
    yield CHART / "files/options.json", json.dumps(known, indent=2) + "\n"

    readme = (CHART / "README.md").read_text()
    begin, end = "<!-- BEGIN values -->\n", "<!-- END values -->"
    head, rest = readme.split(begin)
    yield CHART / "README.md", head + begin + readme_table(values) + "\n" + end + rest.split(end)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("bin", type=pathlib.Path)
    arguments = parser.parse_args()
    wrong = 0
    for path, text in outputs(arguments.bin):
        before = path.read_text()
        if text == before:
            continue
        if arguments.check:
            wrong += 1
            sys.stdout.writelines(difflib.unified_diff(
                before.splitlines(True), text.splitlines(True), str(path), "what tools/chart.py would write"))
        else:
            path.write_text(text)
    if wrong:
        print("helm/token-service does not say what the programs do: run ./dev chart")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
