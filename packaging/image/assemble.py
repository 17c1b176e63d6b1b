#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Put together what the image has beside its base: the programs, the libraries that they need, whose
licences, and a list of all of it (SPDX) for scanners.

usage: assemble.py FOLDER BUILD

BUILD is a build tree. Runs on the Debian that the image's base is of; libraries of packages that the
base holds are left to it. The result depends on the sources and on the packages' versions alone.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

PROGRAMS = ("token-service", "token-gateway", "osmo")
IN_BASE = {"libc6", "libgcc-s1", "libstdc++6"}
USER = 65532
SBOM = "usr/share/doc/token-service/sbom.spdx.json"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(programs):
    """The paths, as the dynamic linker names them, of what the programs need."""
    found = set()
    for program in programs:
        for line in run("ldd", str(program)).splitlines():
            if "not found" in line:
                sys.exit(f"assemble.py: {program}: {line.strip()}")
            match = re.search(r"=> (/\S+)", line)
            if match:
                found.add(match[1])
    return sorted(found)


def package_of(path):
    """The Debian package that a file came with, on a system with or without a merged /usr."""
    real = os.path.realpath(path)
    for name in (path, real, real.removeprefix("/usr"), "/usr" + path):
        result = subprocess.run(["dpkg-query", "--search", name], capture_output=True, text=True)
        if result.returncode == 0:
            return result.stdout.split(":")[0]
    sys.exit(f"assemble.py: no package has {path}")


def about(package):
    fields = "${Version}\n${Architecture}\n${source:Package}\n${source:Version}\n${Homepage}"
    version, architecture, source, source_version, homepage = run(
        "dpkg-query", "--show", f"--showformat={fields}", package).split("\n")
    return {"name": package, "version": version, "architecture": architecture, "source": source,
            "source_version": source_version, "homepage": homepage or "NOASSERTION"}


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def copy_library(path, root):
    """Under the name that the linker looks for, without debug symbols."""
    target = root / "usr/lib" / pathlib.Path(path).parent.name / pathlib.Path(path).name
    copy(os.path.realpath(path), target)
    subprocess.run(["strip", "--strip-unneeded", target], check=True)
    target.chmod(0o644)
    return target


def identifier(text):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def analysis(package, files):
    """What SPDX asks of a package whose files are listed: a sum over them (SPDX 2.3, 7.9)."""
    sums = sorted(hashlib.sha1(data).hexdigest() for _, data, owner in files if owner == package)
    return {"filesAnalyzed": True, "packageVerificationCode": {
        "packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()}}


def bill(version, packages, files):
    """What is in the image beside its base, as SPDX 2.3."""
    created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    ours = {"SPDXID": "SPDXRef-token-service", "name": "token-service", "versionInfo": version,
            "downloadLocation": "NOASSERTION", "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0",
            "copyrightText": "NOASSERTION", "primaryPackagePurpose": "APPLICATION"} | analysis(None, files)
    entries, relations = [ours], [("SPDXRef-DOCUMENT", "DESCRIBES", ours["SPDXID"])]
    for each in packages:
        entry = {"SPDXID": identifier(f"deb-{each['name']}"), "name": each["name"], "versionInfo": each["version"],
                 "supplier": "Organization: Debian", "downloadLocation": "NOASSERTION", "homepage": each["homepage"],
                 "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
                 "primaryPackagePurpose": "LIBRARY",
                 "comment": f"licence: /usr/share/doc/{each['name']}/copyright; "
                            f"source: {each['source']} {each['source_version']}",
                 "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                   "referenceLocator": f"pkg:deb/debian/{each['name']}@{each['version']}"
                                                       f"?arch={each['architecture']}"}]
                 } | analysis(each["name"], files)
        entries.append(entry)
        relations.append((ours["SPDXID"], "DEPENDS_ON", entry["SPDXID"]))
    listed = []
    for path, data, package in files:
        listed.append({"SPDXID": identifier(f"file-{path}"), "fileName": f"./{path}",
                       "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                                     {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}],
                       "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION"})
        owner = identifier(f"deb-{package}") if package else ours["SPDXID"]
        relations.append((owner, "CONTAINS", listed[-1]["SPDXID"]))
    digest = hashlib.sha256(json.dumps([entries, listed]).encode()).hexdigest()
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"token-service-{version}", "documentNamespace": f"urn:sha256:{digest}",
            "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: assemble.py"]},
            "packages": entries, "files": listed,
            "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                              for a, kind, b in relations]}


def main(folder, build):
    root, build = pathlib.Path(folder), pathlib.Path(build)
    shutil.rmtree(root, ignore_errors=True)
    files = []
    for name in PROGRAMS:
        source, target = next(path for path in build.rglob(name) if path.is_file() and os.access(path, os.X_OK)), \
            root / "usr/bin" / name
        copy(source, target)
        subprocess.run(["strip", target], check=True)
        target.chmod(0o755)
        files.append((target, None))

    packages = set()
    for path in libraries([root / "usr/bin" / name for name in PROGRAMS]):
        package = package_of(path)
        if package not in IN_BASE:
            packages.add(package)
            files.append((copy_library(path, root), package))
    described = [about(package) for package in sorted(packages)]
    for each in described:
        copy(f"/usr/share/doc/{each['name']}/copyright", root / "usr/share/doc" / each["name"] / "copyright")
        # where scanners look for the packages of an image without dpkg
        status = root / "var/lib/dpkg/status.d" / each["name"]
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text(run("dpkg-query", "--status", each["name"]))
    copy("LICENSE", root / "usr/share/doc/token-service/LICENSE")
    copy("NOTICE", root / "usr/share/doc/token-service/NOTICE")

    version = run(str(root / "usr/bin/token-service"), "--version").split()[1]
    content = [(str(path.relative_to(root)), path.read_bytes(), package) for path, package in files]
    (root / SBOM).write_text(json.dumps(bill(version, described, content), indent=1) + "\n")
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
        elif path.parent != root / "usr/bin":
            path.chmod(0o644)
    data = root / "var/lib/token-service"
    data.mkdir(parents=True)
    data.chmod(0o700)
    os.chown(data, USER, USER)


if __name__ == "__main__":
    main(*sys.argv[1:])
