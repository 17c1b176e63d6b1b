#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Strict JSON schemas of custom resources, for kubeconform.

usage: crd_schemas.py FOLDER CRD.yaml...

Writes FOLDER/KIND-GROUP-VERSION.json. A field that the definition does not know is an error, as it
is for a server that is asked to validate strictly.
"""

import json
import pathlib
import sys

import yaml


def strict(schema):
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: strict(each) for name, each in value.items()}
        elif key.startswith("x-kubernetes") or key in ("description", "default", "example", "nullable"):
            continue
        else:
            result[key] = strict(value)
    if schema.get("x-kubernetes-int-or-string"):
        result = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    if "properties" in result and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    return result


def main(folder, *files):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        for document in yaml.safe_load_all(pathlib.Path(file).read_text()):
            if not document or document["kind"] != "CustomResourceDefinition":
                continue
            group, kind = document["spec"]["group"], document["spec"]["names"]["kind"]
            for version in document["spec"]["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                name = f"{kind}-{group.split('.')[0]}-{version['name']}.json".lower()
                (folder / name).write_text(json.dumps(schema))


if __name__ == "__main__":
    main(*sys.argv[1:])
