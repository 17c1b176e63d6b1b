# SPDX-License-Identifier: Apache-2.0
"""What tests on a node may ask for: the node with the image on it, a namespace in which Pod Security is
`restricted`, a PostgreSQL, a release of the chart, and callers of it in a pod. Needs root; $IMAGE is the
archive of the image, $NODE_TOOLS, $CHART_TOOLS and $BUILD_DIR as ./dev test-kubernetes gives them."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from node import ADDRESS, Node  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/token-service"
IMAGE = "docker.io/library/token-service"
TAG = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
LOAD = pathlib.Path(__file__).parent / "load.py"
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
PASSWORD = "of-the-test"
CLIENT = """
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: pause
      image: localhost/pause:1
      imagePullPolicy: Never
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: NAME}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOncePod]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: NAME
  local: {path: FOLDER}
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node]}]
"""


@pytest.fixture(scope="session")
def node():
    result = Node(tempfile.mkdtemp(prefix="kube-", dir="/tmp"))
    try:
        result.up()
        result.load_image(os.environ["IMAGE"])
        result.ctr("images", "tag", f"token-service:{TAG}", f"{IMAGE}:{TAG}")
        yield result
    finally:
        result.down()


class Namespace:
    """A namespace of @node, and a pod in it for callers."""

    def __init__(self, node, name):
        self.node, self.name = node, name
        self.folder = node.folder / name
        self.folder.mkdir()

    def kubectl(self, *arguments, **keywords):
        return self.node.kubectl("-n", self.name, *arguments, **keywords)

    def helm(self, *arguments, **keywords):
        return self.node.helm("-n", self.name, *arguments, **keywords)

    def apply(self, text):
        self.kubectl("apply", "-f", "-", input=text)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def pods(self, release="r", component="service"):
        """Those of the service, or of the gateway, that are not on their way out."""
        return [each for each in self.get("pods", "-l", f"app.kubernetes.io/instance={release},"
                                          f"app.kubernetes.io/component={component}")["items"]
                if "deletionTimestamp" not in each["metadata"]]

    def install(self, *arguments, release="r", program="helm", wait=True, chart=CHART, check=True):
        done = self.helm("upgrade", "--install", release, chart, "--set", f"image.repository={IMAGE}",
                         "--set", "options.maxTokensPerUser=1000000",
                         *(["--wait", "--timeout", "60s"] if wait else []), *arguments, program=program, check=False)
        assert not check or done.returncode == 0, f"{done.stderr}\n{self.kubectl('get', 'pods,pvc,events').stdout}"
        assert "would violate" not in done.stderr
        return done

    def make_secret(self, name, **values):
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
                               "stringData": {key.replace("_", "-"): value for key, value in values.items()}}))

    def secret(self, name, key):
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def make_volume(self):
        """The class of a volume that a claim can have."""
        name = f"disk-{self.name}"
        folder = self.folder / "disk"
        folder.mkdir()
        self.kubectl("apply", "-f", "-", input=VOLUME.replace("NAME", name).replace("FOLDER", str(folder)))
        return name

    def token_file(self, release="r"):
        path = self.folder / f"{release}.token"
        path.write_text(self.secret(f"{release}-token-service", "admin-token"))
        return path

    def in_client(self, *command):
        """The command line of @command in the network of the client's pod."""
        self.apply(CLIENT)
        self.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=30s")
        uid = self.get("pod", "client")["metadata"]["uid"]
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and uid in (entry / "cgroup").read_text().replace("_", "-"):
                    return self.node.inside("nsenter", "-t", entry.name, "-n", "--", *command)
        raise AssertionError("the client's pod has no process")

    @contextlib.contextmanager
    def load(self, least=0, release="r", gateway=False):
        """Callers while the body runs; yields a dict that is filled with their report at its end."""
        host = f"{release}-token-service.{self.name}.svc.cluster.local"
        http = f"{release}-token-service-gateway.{self.name}.svc.cluster.local" if gateway else host
        process = subprocess.Popen(
            self.in_client(sys.executable, LOAD, f"{host}:50051", f"{http}:8080", self.token_file(release), str(least)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        report = {}
        try:
            time.sleep(1)
            yield report
            out, err = process.communicate(timeout=180)
            assert process.returncode == 0, err
            report.update(json.loads(out))
        finally:
            process.kill()
            process.wait()

    def wait(self, what, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what} was waited for in vain:\n{self.kubectl('get', 'pods,events').stdout}"
            time.sleep(0.2)


NUMBERS = itertools.count(1)


@pytest.fixture
def namespace(node):
    name = f"t{next(NUMBERS)}"
    node.kubectl("create", "namespace", name)
    # only a warning tells of what a workload's pods would violate
    node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted",
                 "pod-security.kubernetes.io/warn=restricted")
    yield Namespace(node, name)
    node.kubectl("delete", "namespace", name, "--wait=false", "--force", "--grace-period=0")


class Postgres:
    """A PostgreSQL on the node, outside its pods."""

    def __init__(self, node, folder):
        self.node, self.folder = node, folder
        self.process = None

    def as_user(self, *command):
        return "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command

    def make(self):
        subprocess.run(["chown", "postgres", self.folder], check=True)
        (self.folder / "password").write_text(PASSWORD)
        self.node.run(*self.as_user(
            POSTGRES / "initdb", "-D", self.folder / "data", "-U", "tokens", "-A", "scram-sha-256", "-E", "UTF8",
            "--locale=C", f"--pwfile={self.folder}/password"), cwd="/")
        with open(self.folder / "data/pg_hba.conf", "a", encoding="ascii") as hba:
            hba.write("host all all 0.0.0.0/0 scram-sha-256\n")

    def psql(self, text, database="postgres"):
        return self.node.run(
            POSTGRES / "psql", "-X", "-q", "-t", "-A", "-c", text, f"host={ADDRESS} user=tokens dbname={database}",
            env={**os.environ, "PGPASSWORD": PASSWORD}, check=False)

    def start(self):
        self.process = self.node.start(
            "postgres", *self.as_user(POSTGRES / "postgres", "-D", self.folder / "data", "-h", ADDRESS,
                                      "-k", self.folder, "-c", "max_connections=200"))
        self.node.wait("postgres", lambda: self.psql("SELECT 1").returncode == 0)

    def stop(self):
        self.node.run(*self.as_user(POSTGRES / "pg_ctl", "-D", self.folder / "data", "stop", "-m", "fast"), cwd="/")
        self.node.processes.remove(("postgres", self.process))

    def database(self, name):
        """A new one; the values of a release on it, but for its Secret."""
        done = self.psql(f"CREATE DATABASE {name}")
        assert done.returncode == 0, done.stderr
        return ["--set", "store=postgres", "--set", f"postgres.url=postgresql://tokens@{ADDRESS}/{name}",
                "--set", "postgres.existingSecret=database"]


@pytest.fixture(scope="session")
def postgres(node):
    with tempfile.TemporaryDirectory(prefix="kube-pg-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        server = Postgres(node, pathlib.Path(folder))
        server.make()
        server.start()
        yield server
        server.stop()


@pytest.fixture
def on_postgres(namespace, postgres):
    """Values of a release in the namespace, on a database of its own."""
    namespace.make_secret("database", password=PASSWORD)
    return postgres.database(namespace.name)
