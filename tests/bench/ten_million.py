#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does it matter how many tokens are stored? A service with 100 of them beside one with ten million: time
until it is ready, memory, and what requests cost: a WhoAmI that the cache answers, a page of one user's
tokens, a page of everybody's, also of those that are valid, and one with a filter that none of them passes.

Both are asked in turn, a few requests at a time, and compared turn by turn: whatever else the machine does
meets both alike. A ratio is the median of all turns, and so hardly moves with the load of the machine.

    tests/bench/ten_million.py [--tokens N] [--dir DIR]      DIR is kept, and filled if it is empty
    tests/bench/ten_million.py --store postgres [--tokens N]
"""

import argparse
import http.client
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from env import program, stores  # noqa: E402

TURNS = 60


class Sqlite(stores.Sqlite):
    def fill(self, folder, tokens):
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "tokens.db").exists():
            subprocess.run([program.BUILD / "bench/bench_store", "--tokens", str(tokens), "--data-dir", data,
                            "--seconds", "0", "--disk", "none"], check=True, stdout=subprocess.DEVNULL)


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
        self.next_page = self.next_of_valid = ""

    def get(self, path):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body)

    def whoami(self):
        self.get("/v1/whoami")

    def page_of_one(self):
        owner = random.randrange(self.tokens // 10)
        assert len(self.get(f"/v1/tokens?user=u{owner:07d}&pageSize=50")["tokens"]) >= 9

    def page_of_all(self):
        answer = self.get(f"/v1/tokens?user=-&pageSize=50&pageToken={self.next_page}")
        assert len(answer["tokens"]) == 50
        self.next_page = answer["nextPageToken"]

    def page_of_valid(self):
        answer = self.get("/v1/tokens?user=-&pageSize=50&filter=expire_date%20%3E%202026-01-01"
                          f"&pageToken={self.next_of_valid}")
        assert len(answer["tokens"]) >= 49
        self.next_of_valid = answer["nextPageToken"]

    def search(self):
        answer = self.get("/v1/tokens?user=-&pageSize=50&filter=expire_date%20%3C%202020-01-01")
        assert not answer["tokens"] and bool(answer["nextPageToken"]) == (self.tokens > 20000)

    def turn(self, request, times):
        """CPU and time of one request, in microseconds."""
        clock = ~self.service.pid << 3 | 2  # the CPU of a process: clock_getcpuclockid(3)
        cpu, begin = time.clock_gettime(clock), time.monotonic()
        for _ in range(times):
            request(self)
        return (time.clock_gettime(clock) - cpu) * 1e6 / times, (time.monotonic() - begin) * 1e6 / times

    def memory_mib(self):
        for line in pathlib.Path(f"/proc/{self.service.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024


def compare(request, times, few, many):
    """What `times` requests a turn take of CPU and of time: for each, few, many, and their ratio."""
    turns = []
    for number in range(-1, TURNS):  # the first one is to warm up
        pair = {}
        for side in (few, many) if number % 2 else (many, few):
            pair[side] = side.turn(request, times)
        if number >= 0:
            turns.append(pair)
    for what in range(2):
        yield (statistics.median(pair[few][what] for pair in turns),
               statistics.median(pair[many][what] for pair in turns),
               statistics.median(pair[many][what] / pair[few][what] for pair in turns))


def line(name, unit, few, many, ratio=None):
    print(f"{name:12} {few:12.2f} {many:14.2f} {unit:7} {ratio or many / few:8.3f} times", flush=True)


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
            few, many = sides
            line("tokens", "", few.tokens, many.tokens)
            line("ready", "s", *(statistics.median(side.starts) for side in sides))
            for request, times in ((Side.whoami, 300), (Side.page_of_one, 50), (Side.page_of_all, 20),
                                   (Side.page_of_valid, 20), (Side.search, 4)):
                cpu, took = compare(request, times, few, many)
                line(request.__name__, "us CPU", *cpu)
                line("", "us", *took)
            line("resident", "MiB", *(side.memory_mib() for side in sides))
        finally:
            for side in sides:
                side.service.stop()
            store.stop()


if __name__ == "__main__":
    main()
