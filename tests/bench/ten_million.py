#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does it matter how many tokens are stored? A service with 100 of them beside one with ten million, in
one interleaved run: time until it is ready, memory, CPU of a WhoAmI that the cache answers, time of a page
of everybody's tokens.

    tests/bench/ten_million.py [--tokens N] [--dir DIR]      DIR is kept, and filled if it is empty
"""

import argparse
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from env import program  # noqa: E402

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ROUNDS, REQUESTS, PAGES = 8, 4000, 60


class Side:
    def __init__(self, folder, tokens):
        self.folder, self.tokens = pathlib.Path(folder), tokens
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "tokens.db").exists():
            subprocess.run([program.BUILD / "bench/bench_store", "--tokens", str(tokens), "--data-dir", data,
                            "--seconds", "0.1", "--disk", "none"], check=True, stdout=subprocess.DEVNULL)
        program.TokenService(self.folder).stop()  # makes keys and the admin token
        self.starts = []
        for _ in range(5):
            begin = time.monotonic()
            self.service = program.TokenService(self.folder)
            self.starts.append(time.monotonic() - begin)
            if len(self.starts) < 5:
                self.service.stop()
        host, port = self.service.http.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port))
        self.headers = {"Authorization": f"Bearer {self.service.admin_token}"}
        self.cpu, self.pages = [], []

    def get(self, path):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.service.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def measure_whoami(self):
        before = self.cpu_s()
        for _ in range(REQUESTS):
            self.get("/v1/whoami")
        self.cpu.append((self.cpu_s() - before) / REQUESTS * 1e6)

    def measure_pages(self):
        page = ""
        for _ in range(PAGES):
            begin = time.monotonic()
            answer = self.get(f"/v1/tokens?user=-&pageSize=50&pageToken={page}")
            self.pages.append((time.monotonic() - begin) * 1e6)
            page = answer["nextPageToken"]

    def memory_mib(self):
        for line in pathlib.Path(f"/proc/{self.service.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024

    def report(self):
        return {"tokens": self.tokens, "ready_s": statistics.median(self.starts), "resident_mib": self.memory_mib(),
                "whoami_cpu_us": statistics.median(self.cpu), "page_us": statistics.median(self.pages)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--dir", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sides = [Side(pathlib.Path(temporary) / "few", 100), Side(options.dir or pathlib.Path(temporary) / "many",
                                                                  options.tokens)]
        try:
            for _ in range(ROUNDS):
                for side in sides:
                    side.measure_whoami()
                    side.measure_pages()
            few, many = (side.report() for side in sides)
        finally:
            for side in sides:
                side.service.stop()
    for name, unit in (("tokens", ""), ("ready_s", "s"), ("resident_mib", "MiB"), ("whoami_cpu_us", "us CPU"),
                       ("page_us", "us")):
        print(f"{name:14} {few[name]:12.2f} {many[name]:14.2f} {unit:7} {many[name] / few[name]:8.2f} times")


if __name__ == "__main__":
    main()
