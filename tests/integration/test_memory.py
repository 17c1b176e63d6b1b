# SPDX-License-Identifier: Apache-2.0
"""No secret of a call that is over is left in the memory of the process. (A sanitizer keeps what was freed.)"""

import gzip
import json
import os
import pathlib
import secrets

import pytest

from env import http1


def copies_in_memory(pid, text):
    """How often a text is in what a process may write to, anywhere."""
    copies = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                memory.seek(start)
                copies += memory.read(end - start).count(text)
    return copies


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of another process")
def test_an_http_call_leaves_no_secret_in_memory(start_service):
    service = start_service("--threads", "1")
    guess = secrets.token_hex(32)
    body = json.dumps({"token": "osmo_" + secrets.token_hex(24)}).encode()
    packed = gzip.compress(json.dumps({"token": "osmo_" + secrets.token_hex(24)}).encode())
    with http1.Connection(service.http) as c:
        # in front of what makes the head grow
        assert c.request("GET", "/v1/whoami", [("Authorization", f"Bearer {guess}"), ("X-Pad", "x" * 2000)]).status == 401
        assert c.request("POST", "/v1/auth/exchange", [("Content-Type", "application/json")], body).status == 401
        assert c.request("POST", "/v1/auth/exchange", [("Content-Type", "application/json"),
                                                       ("Content-Encoding", "gzip")], packed).status == 401
        made = c.request("POST", "/v1/tokens", [("Authorization", f"Bearer {service.admin_token}"),
                                                ("Content-Type", "application/json")], b'{"name": "m"}').json["secret"]
        assert c.get("/healthz").status == 200
    inside = json.loads(body)["token"], json.loads(gzip.decompress(packed))["token"]
    for secret in (guess, *inside, made, service.admin_token):
        assert copies_in_memory(service.pid, secret.encode()) == 0, secret
