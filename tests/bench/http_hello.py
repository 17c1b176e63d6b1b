#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPU per request of our HTTP server beside nginx `return 200`, in one interleaved run.

usage: http_hello.py HTTP_HELLO [ROUNDS] [SECONDS]

Needs wrk and nginx. The machine is noisy and shared, so what counts is CPU per request (user + system
time of the server process / requests) and the ratio; the median of the rounds is what to quote.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

BODY = '{"user":"alice","principalKind":"USER","roles":["osmo-user"]}'
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000; default_type application/json;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen unix:{folder}/nginx.sock; listen 127.0.0.1:{port}; location / {{ return 200 '{body}'; }} }}
}}
"""
CONNECTIONS = 64


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(address, pid, seconds):
    before = cpu_seconds(pid)
    out = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://{address}/v1/whoami"],
        check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(pid) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"{address}: {out}")
    return used / requests * 1e6, requests / seconds


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    with tempfile.TemporaryDirectory() as folder:
        ours = subprocess.Popen([program, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        port = free_port()
        conf = pathlib.Path(folder, "nginx.conf")
        conf.write_text(NGINX.format(folder=folder, port=port, body=BODY.replace("'", "")))
        nginx = subprocess.Popen(["nginx", "-c", str(conf), "-p", folder])
        try:
            peers = {"http_hello": (ours.stdout.readline().strip(), ours.pid),
                     "nginx": (f"127.0.0.1:{port}", nginx.pid)}
            time.sleep(0.3)
            results = {name: [] for name in peers}
            for _ in range(rounds):
                for name, (address, pid) in peers.items():
                    us, rate = load(address, pid, seconds)
                    results[name].append(us)
                    print(f"{name:12} {us:6.2f} us of CPU/request  {rate:9.0f} requests/s", flush=True)
            medians = {name: statistics.median(values) for name, values in results.items()}
            for name, us in medians.items():
                print(f"median {name:12} {us:6.2f} us")
            print(f"ratio to nginx {medians['http_hello'] / medians['nginx']:.2f}")
        finally:
            ours.terminate()
            nginx.terminate()
            ours.wait()
            nginx.wait()


if __name__ == "__main__":
    main()
