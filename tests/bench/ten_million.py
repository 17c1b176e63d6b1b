#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does it matter how many tokens are stored? A service with 100 of them beside one with ten million, in
one interleaved run: time until it is ready, memory, CPU of a WhoAmI that the cache answers, time of a page
of everybody's tokens, and of one with a filter that none of them passes.

    tests/bench/ten_million.py [--tokens N] [--dir DIR]      DIR is kept, and filled if it is empty
    tests/bench/ten_million.py --store postgres [--tokens N]
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

from env import program, stores  # noqa: E402

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ROUNDS, REQUESTS, PAGES = 8, 4000, 60


class Sqlite(stores.Sqlite):
    def fill(self, folder, tokens):
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "tokens.db").exists():
            subprocess.run([program.BUILD / "bench/bench_store", "--tokens", str(tokens), "--data-dir", data,
                            "--seconds", "0.1", "--disk", "none"], check=True, stdout=subprocess.DEVNULL)


class Postgres(stores.PostgresStore):
    def __init__(self):
        super().__init__("shared_buffers=512MB", "maintenance_work_mem=512MB", "max_wal_size=16GB")

    def fill(self, folder, tokens):
        program.TokenService(folder, *self.options(folder)).stop()  # makes the tables
        database = self.databases[folder]
        indexes = self.server.sql("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'token'", database)
        names, texts = zip(*(line.split("|", 1) for line in indexes.splitlines()))
        self.server.sql(f"""
            DROP INDEX {", ".join(names)};
            INSERT INTO token (hash, kind, owner, name, description, roles, expires_day, created_us, last_used_us)
            SELECT sha256(int4send(i)), (i % 100 = 0)::int, 'u' || lpad((i / 10)::text, 7, '0'), 't' || i % 10,
                   'filled in', '["osmo-user"]', 30000, 1780000000000000, 0 FROM generate_series(0, {tokens - 1}) i;
            {"; ".join(texts)};
            UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 0) WHERE name = 'user_tokens';
            UPDATE counter SET value = (SELECT count(*) FROM token WHERE kind = 1) WHERE name = 'service_tokens'
            """, database)
        self.server.sql("VACUUM ANALYZE token", database)


class Side:
    def __init__(self, store, folder, tokens):
        self.folder, self.tokens = pathlib.Path(folder), tokens
        store.fill(self.folder, tokens)
        options = store.options(self.folder)
        program.TokenService(self.folder, *options).stop()  # makes keys and the admin token
        self.starts = []
        for _ in range(5):
            begin = time.monotonic()
            self.service = program.TokenService(self.folder, *options)
            self.starts.append(time.monotonic() - begin)
            if len(self.starts) < 5:
                self.service.stop()
        host, port = self.service.http.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port))
        self.headers = {"Authorization": f"Bearer {self.service.admin_token}"}
        self.cpu, self.pages, self.searches = [], [], []

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

    def measure_searches(self):
        for _ in range(PAGES // 4):
            begin = time.monotonic()
            answer = self.get("/v1/tokens?user=-&pageSize=50&filter=expire_date%20%3C%202020-01-01")
            self.searches.append((time.monotonic() - begin) * 1e6)
            assert not answer["tokens"] and bool(answer["nextPageToken"]) == (self.tokens > 20000)

    def memory_mib(self):
        for line in pathlib.Path(f"/proc/{self.service.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024

    def report(self):
        return {"tokens": self.tokens, "ready_s": statistics.median(self.starts), "resident_mib": self.memory_mib(),
                "whoami_cpu_us": statistics.median(self.cpu), "page_us": statistics.median(self.pages),
                "search_us": statistics.median(self.searches)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--dir", type=pathlib.Path)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    options = parser.parse_args()
    if options.dir and options.store != "sqlite":
        parser.error("--dir is of --store sqlite")
    store, sides = {"sqlite": Sqlite, "postgres": Postgres}[options.store](), []
    with tempfile.TemporaryDirectory() as temporary:
        try:
            sides.append(Side(store, pathlib.Path(temporary) / "few", 100))
            sides.append(Side(store, options.dir or pathlib.Path(temporary) / "many", options.tokens))
            for _ in range(ROUNDS):
                for side in sides:
                    side.measure_whoami()
                    side.measure_pages()
                    side.measure_searches()
            few, many = (side.report() for side in sides)
        finally:
            for side in sides:
                side.service.stop()
            store.stop()
    for name, unit in (("tokens", ""), ("ready_s", "s"), ("resident_mib", "MiB"), ("whoami_cpu_us", "us CPU"),
                       ("page_us", "us"), ("search_us", "us")):
        print(f"{name:14} {few[name]:12.2f} {many[name]:14.2f} {unit:7} {many[name] / few[name]:8.2f} times")


if __name__ == "__main__":
    main()
