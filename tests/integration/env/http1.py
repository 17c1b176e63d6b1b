# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as it is on the wire: a client that sends the bytes it is told to and hides nothing.

    with http1.Connection(service.http, token=service.admin_token) as c:
        assert c.get("/v1/whoami").json["user"] == "admin"
        c.send(b"GET / HTTP/1.1\\n\\n")
        assert c.reply().status == 400 and c.is_closed()
"""

import contextlib
import json
import socket

from . import program


class Reply:
    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    def __getitem__(self, name):
        """The value of a header that is there exactly once; None if it is not."""
        values = self.all(name)
        assert len(values) < 2, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:500]!r}>"


def dial(address, timeout_s=program.PATIENCE_S):
    """A connected socket to "host:port" or "unix:PATH"."""
    if address.startswith("unix:"):
        result = socket.socket(socket.AF_UNIX)
        result.settimeout(timeout_s)
        result.connect(address[len("unix:"):])
        return result
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)


class Connection:
    """One connection. With `tls` (an ssl.SSLContext) it begins with a handshake, for `name`."""

    def __init__(self, address, token=None, tls=None, name="localhost", timeout_s=program.PATIENCE_S):
        self.token = token
        self.socket = dial(address, timeout_s)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def reply(self, method="GET", informational=False):
        """The next reply; 1xx are passed over unless they are asked for."""
        while True:
            line = self.file.readline()
            assert line, "the connection was closed instead of a reply"
            version, status, reason = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
            assert version == "HTTP/1.1", line
            headers = []
            while (line := self.file.readline()) not in (b"\r\n", b""):
                assert line.endswith(b"\r\n"), line
                name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
                headers.append((name, value.strip()))
            result = Reply(int(status), reason, headers, b"")
            if result.status >= 200 or informational:
                break
        if result.status < 200 or result.status in (204, 304) or method == "HEAD":
            return result
        if (result["Transfer-Encoding"] or "").lower() == "chunked":
            while size := int(self.file.readline().split(b";")[0], 16):
                result.body += self.file.read(size)
                assert self.file.readline() == b"\r\n"
            assert self.file.readline() == b"\r\n"
        else:
            length = result["Content-Length"]
            assert length is not None, f"a reply without length: {result}"
            result.body = self.file.read(int(length))
            assert len(result.body) == int(length)
        return result

    def request(self, method, target, headers=(), body=None):
        """Send a request and read its reply. A dict as a body is sent as JSON; `headers` are
        (name, value) pairs and go out as they are."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        names = {name.lower() for name, _ in headers}
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            if "content-type" not in names:
                headers.append(("Content-Type", "application/json"))
        if "host" not in names:
            headers.insert(0, ("Host", "localhost"))
        if self.token and "authorization" not in names:
            headers.append(("Authorization", f"Bearer {self.token}"))
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(body))))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
        self.send(head.encode("latin-1") + (body or b""))
        return self.reply(method)

    def get(self, target, **headers):
        return self.request("GET", target, {n.replace("_", "-"): v for n, v in headers.items()})

    def post(self, target, body, headers=()):
        return self.request("POST", target, headers, body)

    def delete(self, target):
        return self.request("DELETE", target)

    def is_closed(self):
        """Whether the server closes, with nothing more said."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


def request(address, method, target, headers=(), body=None, token=None, tls=None):
    """One request on a connection of its own."""
    with Connection(address, token, tls) as connection:
        return connection.request(method, target, headers, body)


def talk(address, data):
    """Send bytes; everything that comes until the server closes."""
    with contextlib.closing(dial(address)) as s:
        s.sendall(data)
        out = b""
        with contextlib.suppress(ConnectionResetError):
            while part := s.recv(65536):
                out += part
        return out
