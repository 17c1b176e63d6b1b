#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a request costs, beside the same API on grpc-go and grpc-gateway, in one interleaved run.

Counted is the CPU time (user and system) of all the processes that serve, divided by the answers:
on a shared machine that holds still where requests per second do not. All sides take the same 1,000
tokens in turn, plain text over loopback; every answer is checked, and a bad one ends the run.

Beside it: the CPU of `osmo token list`, the memory of an idle service, and the time until it is ready.
"""

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import platform
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))

from env import program  # noqa: E402

GRPC_LOAD = program.BUILD / "bench/grpc_load"
PEER = ROOT / "build/bench/peer"
TOKENS = 1000
RUNS = 20  # of what is a median of single runs
CONNECTIONS, STREAMS, HTTP_CONNECTIONS = 16, 32, 64
PARTS = ["grpc", "http", "osmo", "memory", "start"]


def die(text):
    print(f"bench: {text}", file=sys.stderr)
    sys.exit(1)


def progress(text):
    if sys.stderr.isatty():
        print(f"{text:79}", end="\r", file=sys.stderr, flush=True)


def call(*command, **keywords):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, **keywords)
    if done.stderr:
        print(done.stderr, end="", file=sys.stderr)
    if done.returncode:
        die(f"{command[0]} exited with {done.returncode}:\n{done.stdout}")
    return done.stdout


# The peer

def build_peer():
    """Generate the peer's code from our .proto files and build it, all under build/bench."""
    if not shutil.which("go"):
        die("the peer needs Go (1.21 or newer: it fetches the release that go.mod names); "
            "--ours measures without a peer")
    PEER.mkdir(parents=True, exist_ok=True)
    for path in (HERE / "peer").rglob("*"):
        target = PEER / path.relative_to(HERE / "peer")
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif not target.exists() or path.read_bytes() != target.read_bytes():
            shutil.copy(path, target)
    plugins = {
        "go": "google.golang.org/protobuf/cmd/protoc-gen-go",
        "go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
        "grpc-gateway": "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway",
    }
    packages = {
        "osmo/token/v1/token_service.proto": "peer/gen/token",
        "osmo/options/v1/access.proto": "peer/gen/options",
        "google/api/annotations.proto": "google.golang.org/genproto/googleapis/api/annotations",
        "google/api/http.proto": "google.golang.org/genproto/googleapis/api/annotations",
    }
    print("building the peer", file=sys.stderr)
    call("go", "build", "-o", "bin/", *plugins.values(), cwd=PEER)
    where = [f"M{proto}={package}" for proto, package in packages.items()]
    for name in plugins:
        protos = [proto for proto in packages if proto.startswith("osmo/")]
        if name != "go":
            protos = protos[:1]
        call("protoc", "-I", ROOT / "proto", f"--plugin=bin/protoc-gen-{name}", f"--{name}_out=.",
             f"--{name}_opt=" + ",".join(["module=peer", *where]), *protos, cwd=PEER)
    call("go", "build", "-o", "bin/", "./service", "./gateway", cwd=PEER)


class Peer(program.Program):
    """peer/service or peer/gateway."""

    def __init__(self, folder, name, *arguments):
        ready = folder / f"{name}.ready"
        super().__init__(folder, name, *arguments, "-ready-file", ready, path=PEER / "bin" / name)
        self.addresses = self.wait_ready()

    def stop(self):
        self.kill()


# What is measured

@dataclasses.dataclass
class Contender:
    title: str
    kind: str  # "grpc" or "http"
    address: str
    processes: list
    expected: float = 0  # at most this ratio to the peer of its kind
    peer: bool = False
    rounds: list = dataclasses.field(default_factory=list)

    def cpu_seconds(self):
        ticks = 0
        for process in self.processes:
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime and stime
        return ticks / os.sysconf("SC_CLK_TCK")

    def drive(self, tokens, seconds):
        """Load it for so long; returns what the driver says."""
        if self.kind == "grpc":
            out = call(GRPC_LOAD, "--address", self.address, "--path",
                       "/osmo.token.v1.TokenService/WhoAmI", "--tokens", tokens, "--connections",
                       CONNECTIONS, "--streams", STREAMS, "--milliseconds", int(seconds * 1000))
        else:
            out = call("wrk", "-t", 1, "-c", HTTP_CONNECTIONS, "-d", f"{max(1, round(seconds))}s",
                       "-s", HERE / "whoami.lua", f"http://{self.address}/v1/whoami",
                       env=program.environment(TOKENS=tokens))
        result = json.loads(out.splitlines()[-1])
        if result["bad"] or result["good"] < TOKENS:
            die(f"{self.title}: {result['good']} good and {result['bad']} bad answers\n{out}")
        return result

    def measure(self, tokens, seconds):
        self.drive(tokens, 0.5)
        before = self.cpu_seconds()
        result = self.drive(tokens, seconds)
        result["cpu_us"] = (self.cpu_seconds() - before) / result["good"] * 1e6
        self.rounds.append(result)

    def median(self, key="cpu_us"):
        return statistics.median(each[key] for each in self.rounds)


def make_tokens(service, folder):
    """Make the tokens over HTTP; returns what Set said of each."""
    import requests

    expire = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=60)).date()
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {service.admin_token}"
        answers = []
        for i in range(TOKENS):
            answer = session.post(f"{service.url}/v1/tokens", timeout=30, json={
                "name": f"bench-{i:04}", "kind": "SERVICE", "roles": ["osmo-user"],
                "expire_date": str(expire)})
            if answer.status_code != 200:
                die(f"Set answered {answer.status_code}: {answer.text}")
            answers.append(answer.json())
    return [(answer["secret"], answer["token"]["name"], str(expire)) for answer in answers]


def made_up_tokens():
    expire = str(datetime.date.today() + datetime.timedelta(days=60))
    return [("osmo_" + secrets.token_hex(24) + "0", f"bench-{i:04}", expire) for i in range(TOKENS)]


def write_tokens(tokens, folder):
    """The same tokens for the drivers (in clear) and for the peer (hashed, with what they stand for)."""
    path = folder / "tokens"
    path.touch(mode=0o600)
    path.write_text("".join(f"{secret} {name}\n" for secret, name, _ in tokens))
    principals = folder / "principals"
    principals.write_text("".join(json.dumps({
        "hash": hashlib.sha256(secret.encode()).hexdigest(), "user": name, "kind": 1,
        "roles": ["osmo-user"], "name": name, "expire_date": expire}) + "\n"
        for secret, name, expire in tokens))
    return path, principals


def start_contenders(options, folder, stack):
    """Start what the options ask for; returns the contenders and the file of tokens."""
    def stopped_later(process):
        stack.callback(process.stop)
        return process

    contenders = []
    if options.peer_only:
        tokens, principals = write_tokens(made_up_tokens(), folder)
    else:
        # The tokens are made by one service, whose data then serves as that of a second: TCP and unix
        # socket are measured with the same rows.
        first = program.TokenService(folder / "tcp")
        try:
            tokens, principals = write_tokens(make_tokens(first, folder), folder)
        finally:
            first.stop()
        shutil.copytree(folder / "tcp/data", folder / "unix/data")
        tcp = stopped_later(program.TokenService(folder / "tcp"))
        socket = f"unix:{folder}/unix/grpc.sock"
        unix = stopped_later(program.TokenService(folder / "unix", grpc=socket))
        over_unix = stopped_later(program.TokenGateway(folder / "gateway_unix", socket))
        over_tcp = stopped_later(program.TokenGateway(folder / "gateway_tcp", tcp.grpc))
        contenders += [
            Contender("token-service", "grpc", tcp.grpc, [tcp], 0.75),
            Contender("token-service, in process", "http", tcp.http, [tcp], 0.12),
            Contender("token-gateway, unix socket", "http", over_unix.http, [over_unix, unix], 0.45),
            Contender("token-gateway, TCP", "http", over_tcp.http, [over_tcp, tcp], 0.55),
        ]
    if not options.ours:
        service = stopped_later(Peer(folder / "peer", "service", "-principals", principals))
        gateway = stopped_later(Peer(folder / "peer", "gateway", "-service", service.addresses["grpc"]))
        contenders += [
            Contender("grpc-go", "grpc", service.addresses["grpc"], [service], peer=True),
            Contender("grpc-gateway + grpc-go, TCP", "http", gateway.addresses["http"],
                      [gateway, service], peer=True),
        ]
    return [each for each in contenders if each.kind in options.parts], tokens


def bench_calls(options, folder):
    """WhoAmI on all sides. Returns the rows of the table."""
    with contextlib.ExitStack() as stack:
        folder.mkdir()
        contenders, tokens = start_contenders(options, folder, stack)
        for each in contenders:
            each.drive(tokens, 1)
        for number in range(options.rounds):
            # Forwards and backwards in turn, so that nobody always comes after the same neighbour.
            for each in contenders if number % 2 == 0 else reversed(contenders):
                progress(f"round {number + 1} of {options.rounds}: {each.kind} {each.title}")
                each.measure(tokens, options.seconds)
        progress("")

    print(f"\nWhoAmI: CPU of all serving processes per request, median of {options.rounds} rounds of "
          f"{options.seconds:g} s\n\n{'':34}{'µs':>7}{'min':>7}{'max':>7}{'requests/s':>12}"
          f"{'p50 ms':>8}{'p99 ms':>8}{'ratio':>8}  at most")
    rows = []
    for each in sorted(contenders, key=lambda each: each.kind):
        peer = next((other for other in contenders if other.peer and other.kind == each.kind), None)
        ratio = each.median() / peer.median() if peer and not each.peer else None
        costs = [one["cpu_us"] for one in each.rounds]
        rate = statistics.median(one["good"] / one["seconds"] for one in each.rounds)
        print(f"{each.kind:5} {each.title:28}{each.median():7.1f}{min(costs):7.1f}{max(costs):7.1f}"
              f"{rate:12,.0f}{each.median('p50_us') / 1000:8.2f}{each.median('p99_us') / 1000:8.2f}"
              + (f"{ratio:8.2f}  {verdict(ratio, each.expected)}" if ratio else ""))
        rows.append({"kind": each.kind, "title": each.title, "cpu_us": each.median(), "ratio": ratio,
                     "at_most": each.expected or None, "rounds": each.rounds})
    return rows


missed = []


def verdict(value, at_most):
    if value <= at_most:
        return f"{at_most:g}"
    missed.append(value)
    return f"{at_most:g} MISSED"


def show(title, values, unit, at_most):
    """One line of the second table: a figure of one process, with its limit."""
    value = statistics.median(values)
    print(f"{title:42}{value:9.1f}{min(values):8.1f}{max(values):8.1f} {unit:4}  {verdict(value, at_most)}")
    return {"title": title, "value": value, "unit": unit, "at_most": at_most, "values": values}


def bench_osmo(folder):
    service = program.TokenService(folder)
    try:
        token_file = folder / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(service.admin_token)
        osmo = program.Osmo(folder / "home")
        done = osmo("login", service.url, "--method", "token", "--token-file", token_file)
        if done.returncode:
            die(f"osmo login exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        values = []
        for _ in range(RUNS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = osmo("token", "list")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode or "admin" not in done.stdout:
                die(f"osmo token list exited with {done.returncode}:\n{done.stdout}{done.stderr}")
            values.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)
    finally:
        service.stop()
    return [show("osmo token list: CPU", values, "ms", 15)]


def bench_memory(folder):
    service = program.TokenService(folder, "--threads", "2")
    try:
        time.sleep(2)  # what start-up left behind settles
        status = pathlib.Path(f"/proc/{service.pid}/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    finally:
        service.stop()
    return [show("token-service, 2 threads, idle: RSS", [kib / 1024], "MB", 25)]


def bench_start(folder):
    first, second = [], []
    for number in range(RUNS):
        for values in (first, second):
            before = time.monotonic()
            service = program.TokenService(folder / str(number), wait=False)
            while not service.ready_path.exists():
                if service.process.poll() is not None:
                    die(f"token-service exited with {service.process.returncode}:\n{service.log}")
                time.sleep(0.0005)
            values.append((time.monotonic() - before) * 1000)
            service.stop()
        shutil.rmtree(folder / str(number))
    return [show("token-service: ready, first start", first, "ms", 500),
            show("token-service: ready, second start", second, "ms", 150)]


def machine():
    model = next((line.partition(":")[2].strip() for line in
                  pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return (f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
            f"load {' '.join(f'{load:.2f}' for load in os.getloadavg())}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=4, help="length of a round for each (default 4)")
    parser.add_argument("--ours", action="store_true", help="leave out the peer")
    parser.add_argument("--peer-only", action="store_true", help="the peer alone, with made-up tokens")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a figure is missed")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures there too")
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"a part is one of {', '.join(PARTS)}, got '{part}'")
    options.parts = options.parts or (["grpc", "http"] if options.peer_only else PARTS)

    if not options.ours and {"grpc", "http"} & set(options.parts):
        build_peer()
    results = {"machine": machine(), "calls": [], "others": []}
    print(results["machine"])
    with tempfile.TemporaryDirectory(prefix="bench.") as name:
        folder = pathlib.Path(name)
        if {"grpc", "http"} & set(options.parts):
            results["calls"] = bench_calls(options, folder / "calls")
        singles = [part for part in PARTS[2:] if part in options.parts]
        if singles:
            print(f"\n{'':42}{'median':>9}{'min':>8}{'max':>8} {'':4}  at most")
        for part in singles:
            (folder / part).mkdir()
            results["others"] += {"osmo": bench_osmo, "memory": bench_memory,
                                  "start": bench_start}[part](folder / part)
    print(f"\nload at the end {' '.join(f'{load:.2f}' for load in os.getloadavg())}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
