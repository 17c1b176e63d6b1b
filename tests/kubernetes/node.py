#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes of one node, of its own: API server, controllers, scheduler, kubelet with containerd,
kube-proxy and DNS, all real, in network and mount namespaces that vanish with it.

usage: node.py up FOLDER        starts it, and stays until Ctrl-C
       node.py kubectl FOLDER ARGUMENT...
       node.py helm FOLDER ARGUMENT...
       node.py exec FOLDER COMMAND...   runs the command inside, where pods and Services can be reached

$NODE_TOOLS is the folder that tools.sh filled, $CHART_TOOLS that of tests/chart/tools.sh. Needs root.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import yaml

ADDRESS = "10.250.0.1"
PODS, SERVICES = "10.244.0.0/16", "10.96.0.0/16"
NODE_TOOLS = pathlib.Path(os.environ.get("NODE_TOOLS", "build/node-tools")).resolve()
CHART_TOOLS = pathlib.Path(os.environ.get("CHART_TOOLS", "build/chart-tools")).resolve()
# The kubelet wants these of the machine; inside it finds files that say so already.
SYSCTLS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
           "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000}
# Fixed paths of these programs, which stay off the machine.
PRIVATE = ["/var/log/containers", "/var/lib/cni", "/run/containerd", "/var/lib/kubelet"]
CGROUPS = pathlib.Path("/sys/fs/cgroup")
USERS = {"admin": "/O=system:masters/CN=admin", "controllers": "/CN=system:kube-controller-manager",
         "scheduler": "/CN=system:kube-scheduler", "kubelet": "/O=system:nodes/CN=system:node:node",
         "proxy": "/CN=system:kube-proxy"}


class Authority:
    """Certificates of the cluster, in @folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", "/CN=test-authority", "-keyout", "ca.key", "-out", "ca.crt")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def path(self, name):
        return str(self.folder / name)

    def make(self, name, subject, *extensions):
        (self.folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                      "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    def make_pair(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        self._openssl("ec", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub")

    def make_user(self, name, subject):
        """A client certificate, and a file for kubectl with it."""
        self.make(name, subject, "extendedKeyUsage=clientAuth")

        def data(file):
            return base64.b64encode((self.folder / file).read_bytes()).decode()
        (self.folder / f"{name}.conf").write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "node",
            "clusters": [{"name": "node", "cluster": {"server": "https://127.0.0.1:6443",
                                                      "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": name, "user": {"client-certificate-data": data(f"{name}.crt"),
                                              "client-key-data": data(f"{name}.key")}}],
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": name}}]}))


class Node:
    """Everything lies in @folder, whose path is short: sockets are in it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        self.pki = self.folder / "pki"
        self.config = str(self.pki / "admin.conf")
        self.cgroup = self.folder.name  # of its pods; the kubelet ends what it finds there and does not know
        self.processes = []

    # --- what runs inside ---

    def inside(self, *command):
        """The command line that runs @command in the node's namespaces."""
        holder = (self.folder / "holder.pid").read_text()
        return ["nsenter", "-t", holder, "-n", "-m", f"--wdns={os.getcwd()}", "--", *map(str, command)]

    def run(self, *command, check=True, **keywords):
        done = subprocess.run(self.inside(*command), capture_output=True, text=True, **keywords)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
        return done

    def kubectl(self, *arguments, **keywords):
        return self.run(CHART_TOOLS / "bin/kubectl", "--kubeconfig", self.config, *arguments, **keywords)

    def helm(self, *arguments, program="helm", **keywords):
        state = self.folder / "helm"
        environment = {**os.environ, "HELM_CACHE_HOME": str(state), "HELM_CONFIG_HOME": str(state),
                       "HELM_DATA_HOME": str(state)}
        return self.run(CHART_TOOLS / "bin" / program, "--kubeconfig", self.config, *arguments, env=environment, **keywords)

    def ctr(self, *arguments, **keywords):
        return self.run("ctr", "-a", self.folder / "containerd.sock", "-n", "k8s.io", *arguments, **keywords)

    def load_image(self, archive):
        self.ctr("images", "import", archive)

    def start(self, name, *command):
        log = open(self.folder / "log" / f"{name}.log", "ab")
        process = subprocess.Popen(self.inside(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True)
        log.close()
        self.processes.append((name, process))
        return process

    def wait(self, what, condition, seconds=90):
        end = time.monotonic() + seconds
        while not condition():
            for name, process in self.processes:
                assert process.poll() is None, f"{name} ended: {self.log(name)}"
            assert time.monotonic() < end, f"{what} was waited for in vain: {self.log(what)}"
            time.sleep(0.1)

    def log(self, name):
        path = self.folder / "log" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-8:]) if path.exists() else ""

    # --- up and down ---

    def up(self):
        for each in ("", "log", "fake", "cni", "etcd"):
            (self.folder / each).mkdir(parents=True, exist_ok=True)
        self._make_namespaces()
        self._make_certificates()
        self._start_api()
        self._start_controllers()
        self._start_containers()
        self._make_cgroups()
        self._start_kubelet()
        self._start_network()
        self.wait("kubelet", lambda: self.kubectl(
            "wait", "--for=condition=Ready", "node/node", "--timeout=1s", check=False).returncode == 0)

    def _make_namespaces(self):
        holder = subprocess.Popen(["unshare", "-n", "-m", "--propagation", "private", "sleep", "infinity"],
                                  stdin=subprocess.DEVNULL, start_new_session=True)
        self.processes.append(("holder", holder))
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{holder.pid}/ns/net") == own:
            time.sleep(0.01)
        (self.folder / "holder.pid").write_text(str(holder.pid))
        (self.folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\n")
        script = ["ip link set lo up", "ip link add n0 type veth peer name n1", f"ip addr add {ADDRESS}/24 dev n0",
                  "ip link set n0 up", "ip link set n1 up", "ip route add default via 10.250.0.254 dev n0",
                  "sysctl -qw net.ipv4.ip_forward=1", f"mount --bind {self.folder}/resolv.conf /etc/resolv.conf"]
        for key, value in SYSCTLS.items():
            fake = self.folder / "fake" / key.replace("/", "_")
            fake.write_text(f"{value}\n")
            script.append(f"mount --bind {fake} /proc/sys/{key}")
        for path in PRIVATE:
            script.append(f"mkdir -p {path} && mount -t tmpfs tmpfs {path}")
        self.run("bash", "-ec", "\n".join(script))

    def _make_certificates(self):
        authority = Authority(self.pki)
        authority.make("apiserver", "/CN=kube-apiserver", "extendedKeyUsage=serverAuth",
                       "subjectAltName=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,"
                       f"IP:127.0.0.1,IP:{ADDRESS},IP:10.96.0.1")
        authority.make("kubelet-server", "/CN=node", "extendedKeyUsage=serverAuth", f"subjectAltName=DNS:node,IP:{ADDRESS}")
        authority.make("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet", "extendedKeyUsage=clientAuth")
        authority.make_pair("accounts")
        for name, subject in USERS.items():
            authority.make_user(name, subject)

    def _start_api(self):
        pki = self.pki
        self.start("etcd", "etcd", "--name", "m", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync",
                   "--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
                   "--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls",
                   "http://127.0.0.1:2380", "--initial-cluster", "m=http://127.0.0.1:2380", "--log-level", "warn")
        self.start(
            "apiserver", NODE_TOOLS / "bin/kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443",
            f"--advertise-address={ADDRESS}", f"--service-cluster-ip-range={SERVICES}", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true", f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet.key", f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki}/accounts.pub", f"--service-account-signing-key-file={pki}/accounts.key")
        self.wait("apiserver", lambda: self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0)
        definitions = CHART_TOOLS / "crds"
        if list(definitions.glob("*.yaml")):
            self.kubectl("apply", "--server-side", "-f", definitions)

    def _start_controllers(self):
        pki = self.pki
        self.start(
            "controllers", NODE_TOOLS / "bin/kube-controller-manager", f"--kubeconfig={pki}/controllers.conf",
            "--leader-elect=false", f"--service-account-private-key-file={pki}/accounts.key",
            f"--root-ca-file={pki}/ca.crt", "--use-service-account-credentials=true", "--allocate-node-cidrs=true",
            f"--cluster-cidr={PODS}", f"--service-cluster-ip-range={SERVICES}", f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key")
        self.start("scheduler", NODE_TOOLS / "bin/kube-scheduler", f"--kubeconfig={pki}/scheduler.conf",
                   "--leader-elect=false")
        self.wait("controllers", lambda: self.kubectl(
            "get", "serviceaccount", "default", check=False).returncode == 0)

    def _start_containers(self):
        (self.folder / "cni/10-bridge.conflist").write_text(json.dumps({
            "cniVersion": "0.4.0", "name": "bridge", "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
                 "ipam": {"type": "host-local", "dataDir": str(self.folder / "addresses"),
                          "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": True}}]}))
        (self.folder / "containerd.toml").write_text(f"""version = 2
root = "{self.folder}/containerd/root"
state = "{self.folder}/containerd/state"
[grpc]
  address = "{self.folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
""")
        self.start("containerd", "containerd", "-c", self.folder / "containerd.toml")
        self.wait("containerd", lambda: self.ctr("version", check=False).returncode == 0)
        self.load_image(NODE_TOOLS / "pause.tar")

    def _cgroups(self):
        """The node's own group, in each hierarchy of the machine (there is one in version 2)."""
        tops = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else \
            [each.parent for each in CGROUPS.glob("*/cgroup.procs")]
        return [top / self.cgroup for top in tops]

    def _make_cgroups(self):
        for group in self._cgroups():
            if group.parent == CGROUPS:
                wanted = (CGROUPS / "cgroup.controllers").read_text().split()
                (CGROUPS / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in wanted))
            group.mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):  # version 1 lets nothing in before they are set
                if (group.parent / file).exists() and group.parent != CGROUPS:
                    (group / file).write_text((group.parent / file).read_text())

    def _start_kubelet(self):
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": f"{self.pki}/ca.crt"}},
            "authorization": {"mode": "Webhook"}, "tlsCertFile": f"{self.pki}/kubelet-server.crt",
            "tlsPrivateKeyFile": f"{self.pki}/kubelet-server.key",
            "containerRuntimeEndpoint": f"unix://{self.folder}/containerd.sock", "cgroupDriver": "cgroupfs",
            "failCgroupV1": False, "failSwapOn": False, "clusterDNS": [ADDRESS], "clusterDomain": "cluster.local",
            "resolvConf": f"{self.folder}/resolv.conf", "enforceNodeAllocatable": [], "cgroupRoot": f"/{self.cgroup}",
            "podLogsDir": f"{self.folder}/podlogs",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100, "shutdownGracePeriod": "0s", "nodeStatusUpdateFrequency": "5s",
            "syncFrequency": "10s", "maxPods": 60}))
        self.start("kubelet", NODE_TOOLS / "bin/kubelet", f"--config={self.folder}/kubelet.yaml",
                   f"--kubeconfig={self.pki}/kubelet.conf", f"--root-dir={self.folder}/kubelet",
                   "--hostname-override=node", f"--node-ip={ADDRESS}", "--v=1")

    def _start_network(self):
        (self.folder / "proxy.yaml").write_text(yaml.safe_dump({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clientConnection": {"kubeconfig": f"{self.pki}/proxy.conf"}, "clusterCIDR": PODS, "hostnameOverride": "node",
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}}))
        self.start("proxy", NODE_TOOLS / "bin/kube-proxy", f"--config={self.folder}/proxy.yaml")
        (self.folder / "Corefile").write_text(f""".:53 {{
  bind {ADDRESS}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {self.pki}/admin.conf
    pods insecure
    ttl 5
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
""")
        self.start("dns", NODE_TOOLS / "bin/coredns", "-conf", self.folder / "Corefile")

    def down(self):
        """Ends all that runs inside, and frees what was mounted."""
        if not (self.folder / "holder.pid").exists():
            return
        holder = int((self.folder / "holder.pid").read_text())
        with contextlib.suppress(FileNotFoundError):
            inside = os.readlink(f"/proc/{holder}/ns/mnt")
            for _ in range(2):  # what was being started meanwhile, too
                for entry in pathlib.Path("/proc").iterdir():
                    with contextlib.suppress(OSError):
                        if entry.name.isdigit() and int(entry.name) != holder and self._is_ours(entry, inside):
                            os.kill(int(entry.name), signal.SIGKILL)
                time.sleep(0.2)
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder, signal.SIGKILL)
        for _, process in self.processes:
            process.wait()
        for group in self._cgroups():
            for path, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ours(self, entry, inside):
        """In the node's namespaces, or a container of its containerd."""
        return (os.readlink(entry / "ns/mnt") == inside or
                f"{self.folder}/".encode() in (entry / "cmdline").read_bytes() or
                f":/{self.cgroup}/" in (entry / "cgroup").read_text())


def main(verb, folder, *arguments):
    node = Node(folder)
    if verb == "up":
        try:
            node.up()
            print(node.kubectl("get", "nodes", "-o", "wide").stdout, end="", flush=True)
            signal.sigwait([signal.SIGINT, signal.SIGTERM])
        finally:
            node.down()
        return 0
    if verb == "exec":
        return subprocess.run(node.inside(*arguments), check=False).returncode
    done = getattr(node, verb)(*arguments, check=False)
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("up", "kubectl", "helm", "exec"):
        print(__doc__, end="", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
