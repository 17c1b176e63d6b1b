#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Callers that call until standard input ends, and @least times in any case; then one line of JSON says
what became of it: {"done": N, "lost": [[seconds, how, what]...], "gap": longest time without an answer,
"made": number of tokens that were acknowledged, "missing": names of those that are not there}.

usage: load.py GRPC_ADDRESS HTTP_ADDRESS TOKEN_FILE LEAST

It begins when both addresses can be reached: the network hears of a new Service a moment after helm.
Each caller has one connection, keeps it as long as it holds, and asks nothing twice.
"""

import json
import pathlib
import socket
import sys
import threading
import time

import grpc
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from env import pb  # noqa: E402

PAUSE_S = 0.02
TIMEOUT_S = 20
CONNECT_TIMEOUT_S = 1  # a SYN to a pod that is gone is answered by nobody
CALLERS = 5  # of each kind


class Report:
    def __init__(self, least):
        self.least = least
        self.began = self.last = time.monotonic()
        self.done, self.gap = 0, 0.0
        self.lost, self.made = [], []
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def goes_on(self):
        return not self.ended.is_set() or self.done + len(self.lost) < self.least

    def add(self, how, error, name=None):
        with self.lock:
            now = time.monotonic()
            if error:
                self.lost.append([round(now - self.began, 2), how, error])
                return
            self.done += 1
            self.gap = max(self.gap, now - self.last)
            self.last = now
            if name:
                self.made.append(name)


def repeat(report, how, call):
    number = 0
    while report.goes_on():
        error = name = None
        try:
            name = call(number)
        except (grpc.RpcError, requests.RequestException, AssertionError) as failure:
            error = f"{failure.code()} {failure.details()}" if isinstance(failure, grpc.RpcError) else repr(failure)
        report.add(how, error, name)
        number += 1
        time.sleep(PAUSE_S)


def stored(tokens, secret):
    """The names of all tokens."""
    names, page = set(), ""
    while True:
        answer = tokens.List({"pageSize": 1000, "pageToken": page}, token=secret, timeout=TIMEOUT_S)
        names |= {token.name for token in answer.tokens}
        page = answer.next_page_token
        if not page:
            return names


def wait_for_network(address):
    host, port = address.rsplit(":", 1)
    end = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def main(grpc_address, http_address, token_file, least):
    wait_for_network(grpc_address)
    wait_for_network(http_address)
    secret = pathlib.Path(token_file).read_text().strip()
    report = Report(int(least))
    bearer = {"Authorization": f"Bearer {secret}"}

    def stub():
        backoff = CONNECT_TIMEOUT_S * 1000
        channel = grpc.insecure_channel(grpc_address, options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", backoff), ("grpc.max_reconnect_backoff_ms", backoff)])
        return pb.Stub(channel, "osmo.token.v1.TokenService")

    def over_grpc():
        tokens = stub()
        repeat(report, "grpc", lambda _: tokens.WhoAmI({}, token=secret, timeout=TIMEOUT_S) and None)

    def over_http():
        with requests.Session() as session:
            def call(_):
                answer = session.get(f"http://{http_address}/v1/whoami", headers=bearer,
                                     timeout=(CONNECT_TIMEOUT_S, TIMEOUT_S))
                assert answer.status_code == 200, answer.text
            repeat(report, "http", call)

    def writing():
        tokens = stub()
        first = time.time_ns()

        def call(number):
            name = f"load-{first}-{number}"
            tokens.Set({"name": name}, token=secret, timeout=TIMEOUT_S)
            return name
        repeat(report, "set", call)

    threads = [threading.Thread(target=each) for each in [over_grpc] * CALLERS + [over_http] * CALLERS + [writing]]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    report.ended.set()
    for thread in threads:
        thread.join()
    wait_for_network(grpc_address)  # it may hear of the new pod after helm did
    report.gap = max(report.gap, time.monotonic() - report.last)
    missing = set(report.made) - stored(stub(), secret)
    print(json.dumps({"done": report.done, "lost": report.lost, "gap": report.gap, "made": len(report.made),
                      "missing": sorted(missing)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
