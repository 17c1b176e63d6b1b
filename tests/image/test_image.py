# SPDX-License-Identifier: Apache-2.0
"""The container image that `./dev image` makes: what lies in it, what it says of itself, and that it runs.

It is built twice from the last commit, on one base.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tarfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
JUDGES = ROOT / "build/judges/bin"
PROGRAMS = ("osmo", "token-gateway", "token-service")
SBOM = "usr/share/doc/token-service/sbom.spdx.json"
LIMIT = 70_000_000


@dataclasses.dataclass
class Image:
    config: dict
    layers: list  # {"digest": of the tar, "members": {path: TarInfo}, "tar": TarFile}
    commit: tuple = ()  # (id, second), that it was built from

    def read(self, path):
        for layer in reversed(self.layers):
            if path in layer["members"]:
                return layer["tar"].extractfile(layer["members"][path]).read()
        raise AssertionError(f"the image holds no {path}")


def read_image(archive):
    """The one image of an OCI archive; each blob is what its digest says."""
    tar = tarfile.open(archive)

    def blob(descriptor):
        data = tar.extractfile("blobs/" + descriptor["digest"].replace(":", "/")).read()
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"]
        return data

    [reference] = json.loads(tar.extractfile("index.json").read())["manifests"]
    manifest = json.loads(blob(reference))
    layers = []
    for descriptor in manifest["layers"]:
        path = pathlib.Path(archive).parent / (descriptor["digest"].split(":")[1] + ".layer")
        path.write_bytes(blob(descriptor))
        layer = tarfile.open(path)  # with or without compression
        members = {os.path.normpath(member.name): member for member in layer}
        layers.append({"digest": descriptor["digest"], "members": members, "tar": layer})
    return Image(json.loads(blob(manifest["config"])), layers)


def build(archive, *options):
    log = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%H %ct"], capture_output=True, text=True, check=True)
    subprocess.run([ROOT / "packaging/image/build.sh", *options, archive], check=True, stdout=subprocess.DEVNULL)
    image = read_image(archive)
    image.commit = tuple(log.stdout.split())
    return image


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("an image is made by root")
    return build(tmp_path_factory.mktemp("image") / "image.tar")


@pytest.fixture(scope="session")
def root(image, tmp_path_factory):
    """A folder with the files of all layers."""
    folder = tmp_path_factory.mktemp("root")
    folder.chmod(0o755)
    for layer in image.layers:
        layer["tar"].extractall(folder)
    return folder


def packages_of(layer):
    """Where a scanner looks for the packages of an image without dpkg."""
    folder = "var/lib/dpkg/status.d/"
    found = {}
    for path, member in layer["members"].items():
        if path.startswith(folder) and member.isfile():
            status = layer["tar"].extractfile(member).read().decode()
            found[path.removeprefix(folder)] = re.search(r"^Version: (.+)$", status, re.MULTILINE)[1]
    return found


def files(layer):
    return {path: member for path, member in layer["members"].items() if not member.isdir()}


def test_the_base_holds_the_packages_that_it_may_and_no_more(image):
    assert set(packages_of(image.layers[0])) == {
        "ca-certificates", "gcc-12-base", "libc6", "libgcc-s1", "libstdc++6", "tzdata"}
    # gcc-12-base is the copyright of libgcc and libstdc++
    strange = [path for path in files(image.layers[0]) if not re.fullmatch(
        r"etc/(passwd|group|nsswitch\.conf|os-release|ld\.so\.conf(\.d/.*)?|ssl/certs/ca-certificates\.crt)"
        r"|lib|lib64|usr/lib64/ld-linux-x86-64\.so\.2|usr/lib/x86_64-linux-gnu/[A-Za-z_0-9+-]+\.so[.0-9]*"
        r"|usr/lib/x86_64-linux-gnu/(libc|libm|libpthread|libthread_db|libresolv|libnsl)[-.0-9so]*"
        r"|usr/share/zoneinfo/.*|usr/share/doc/[^/]+(/copyright)?|var/lib/dpkg/status\.d/.*", path)]
    assert strange == []


def test_there_is_no_shell_and_no_program_but_ours(image):
    """Beside them only glibc may be executed: its loader and libraries are programs, too."""
    programs = []
    for layer in image.layers:
        for path, member in layer["members"].items():
            assert member.isdir() or not re.search(r"/((ba|da|z|k|a)?sh|busybox|apt|dpkg|perl|python3?)$", path), path
            assert member.mode & 0o6000 == 0 or member.isdir(), f"{path} is set-id"
            if member.isfile() and member.mode & 0o111 and not path.startswith("usr/lib/x86_64-linux-gnu/"):
                programs.append(path)
    assert sorted(programs) == [f"usr/bin/{name}" for name in PROGRAMS]
    executable = [path for path, member in image.layers[0]["members"].items()
                  if member.isfile() and member.mode & 0o111]
    assert all(re.search(r"/(ld-linux-x86-64\.so\.2|libc\.so\.6)$", path) for path in executable), executable


def test_ours_is_programs_libraries_licences_and_lists(image):
    [_, ours] = image.layers
    strange = [path for path in files(ours) if not re.fullmatch(
        r"usr/bin/(osmo|token-gateway|token-service)|usr/lib/x86_64-linux-gnu/lib[^/]+\.so\.[.0-9]+"
        r"|usr/share/doc/[^/]+/copyright|usr/share/doc/token-service/(LICENSE|NOTICE|sbom\.spdx\.json)"
        r"|var/lib/dpkg/status\.d/[^/]+", path)]
    assert strange == []
    assert {f"usr/bin/{name}" for name in PROGRAMS} <= set(files(ours))
    for path, member in ours["members"].items():
        owner = (65532, 65532, 0o700) if path == "var/lib/token-service" else None
        assert (member.uid, member.gid, member.mode & 0o7777) == owner if owner else (member.uid, member.gid) == (0, 0), path
        assert owner or member.mode & 0o022 == 0 or member.issym(), f"{path} may be written by others"
    for package in packages_of(ours):
        assert f"usr/share/doc/{package}/copyright" in ours["members"]


def test_the_size_is_bounded(image):
    size = sum(member.size for layer in image.layers for member in layer["members"].values() if member.isfile())
    print(f"{size} bytes")
    assert size <= LIMIT


def test_it_says_what_it_is(image):
    config, labels = image.config["config"], image.config["config"]["Labels"]
    version = re.search(r"^project\(token-service VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(),
                        re.MULTILINE)[1]
    revision, second = image.commit
    prefix = "org.opencontainers.image."
    said = {name.removeprefix(prefix): value for name, value in labels.items() if name.startswith(prefix)}
    assert said.pop("base.name").startswith("localhost/base:")
    assert said == {
        "title": "token-service", "description": "Access tokens over gRPC and HTTP", "licenses": "Apache-2.0",
        "version": version, "revision": revision,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(second)))}
    assert (config["User"], config["Entrypoint"]) == ("65532:65532", ["/usr/bin/token-service"])
    assert set(config["ExposedPorts"]) == {"50051/tcp", "8080/tcp"}
    assert set(config["Volumes"]) == {"/var/lib/token-service"}
    assert not config.get("Cmd")


def needed(path):
    """The libraries that a file names."""
    text = subprocess.run(["readelf", "--dynamic", path], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", text))


def test_each_library_that_is_linked_is_there_and_in_the_bill(image, root):
    bill = json.loads(image.read(SBOM))
    listed = {each["fileName"]: each for each in bill["files"]}
    packages = {each["SPDXID"]: each for each in bill["packages"]}
    owner = {relation["relatedSpdxElement"]: relation["spdxElementId"] for relation in bill["relationships"]
             if relation["relationshipType"] == "CONTAINS"}
    libraries = "usr/lib/x86_64-linux-gnu/"
    seen, queue = set(), [f"usr/bin/{name}" for name in PROGRAMS]
    while queue:
        path = queue.pop()
        seen.add(path)
        queue += [libraries + name for name in needed(root / path) if libraries + name not in seen]
    # libpq and nghttp2 are among them, or this reads nothing
    assert {libraries + name for name in ("libpq.so.5", "libnghttp2.so.14", "libsqlite3.so.0")} <= seen
    for path in seen:
        if path in image.layers[0]["members"]:
            continue
        assert path in image.layers[1]["members"], f"{path} is missing"
        entry = listed["./" + path]
        sums = {each["algorithm"]: each["checksumValue"] for each in entry["checksums"]}
        data = image.read(path)
        assert sums == {"SHA1": hashlib.sha1(data).hexdigest(), "SHA256": hashlib.sha256(data).hexdigest()}
        package = packages[owner[entry["SPDXID"]]]
        assert package["name"] == "token-service" or path.startswith(libraries)
    assert set(listed) == {"./" + path for path in seen if path not in image.layers[0]["members"]}, "no idle library"
    # what is in the bill is what scanners are told
    assert {each["name"]: each["versionInfo"] for each in packages.values()
            if each["name"] != "token-service"} == packages_of(image.layers[1])
    dependencies = {relation["relatedSpdxElement"] for relation in bill["relationships"]
                    if relation["relationshipType"] == "DEPENDS_ON"}
    assert dependencies == set(packages) - {"SPDXRef-token-service"}
    assert packages["SPDXRef-token-service"]["versionInfo"] == image.config["config"]["Labels"][
        "org.opencontainers.image.version"]


def test_the_bill_is_what_spdx_asks_for(image, tmp_path):
    path = tmp_path / "sbom.spdx.json"
    path.write_bytes(image.read(SBOM))
    judged = subprocess.run([JUDGES / "pyspdxtools", "--infile", path], capture_output=True, text=True)
    assert judged.returncode == 0, judged.stderr
    bill = json.loads(path.read_text())
    sums = {each["SPDXID"]: each["checksums"][0]["checksumValue"] for each in bill["files"]}
    for package in bill["packages"]:
        files = sorted(sums[each["relatedSpdxElement"]] for each in bill["relationships"]
                       if (each["spdxElementId"], each["relationshipType"]) == (package["SPDXID"], "CONTAINS"))
        code = package["packageVerificationCode"]["packageVerificationCodeValue"]
        assert files and code == hashlib.sha1("".join(files).encode()).hexdigest()


def run(root, *command, **options):
    """A program of the image on its files alone, as the image's user."""
    return subprocess.run(["/usr/sbin/chroot", "--userspec=65532:65532", root, *command], capture_output=True, text=True,
                          timeout=120, **options)


def test_the_programs_run_on_these_files_alone(root):
    for name in PROGRAMS:
        result = run(root, f"/usr/bin/{name}", *(["version"] if name == "osmo" else ["--version"]))
        assert (result.returncode, result.stderr) == (0, ""), name
    service = subprocess.Popen(
        ["/usr/sbin/chroot", "--userspec=65532:65532", root, "/usr/bin/token-service", "--data-dir", "/var/lib/token-service",
         "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--ready-file", "/tmp/ready"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 60
        while not (root / "tmp/ready").exists():
            assert service.poll() is None, service.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        http = json.loads((root / "tmp/ready").read_text())["http"]
        environment = {"HOME": "/tmp"}
        for command in (["login", f"http://{http}", "--token-file", "/var/lib/token-service/admin.token"],
                        ["token", "set", "one"], ["token", "list"], ["token", "delete", "one"]):
            result = run(root, "/usr/bin/osmo", *command, env=environment)
            assert (result.returncode, result.stderr) == (0, ""), command
            assert command != ["token", "list"] or re.search("^one ", result.stdout, re.MULTILINE)
    finally:
        service.terminate()
        service.communicate(timeout=60)
    assert service.returncode == 0


def test_a_second_build_gives_the_same_layers(image, tmp_path):
    again = build(tmp_path / "again.tar", "--again")
    assert [layer["digest"] for layer in again.layers] == [layer["digest"] for layer in image.layers]
    assert again.config["rootfs"] == image.config["rootfs"]
