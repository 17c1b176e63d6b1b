# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the service, for tests of the command line: it answers what a test tells it to, or what
was recorded from the existing service, and remembers every request.

With legacy=True it knows what the existing service knows: tokens in URLs, no POST for an exchange."""

import base64
import contextlib
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.parse

ACCESS_TOKEN = "0123456789abcdef" * 4
NOT_ALLOWED = {"detail": "Method Not Allowed"}
LOGIN_INFO = {"device_endpoint": None, "device_client_id": None, "browser_endpoint": None,
              "browser_client_id": None, "token_endpoint": None, "logout_endpoint": None}
TOKEN = {"user_name": "alice@example.com", "token_name": "my-token",
         "expires_at": "2099-12-31T00:00:00", "description": "My access token",
         "access_type": "USER", "roles": ["osmo-user", "osmo-x"]}
PROFILE = {"profile": {"username": "alice@example.com", "email_notification": False,
                       "slack_notification": True, "bucket": None, "pool": "default"},
           "pools": ["default", "team-pool"]}


def jwt(lifetime_s=300, **claims):
    """A JWT as the service signs it, but with a signature that nobody checks."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    now = int(time.time())
    claims = {"iss": "osmo", "aud": "osmo", "iat": now, "nbf": now, "exp": now + lifetime_s,
              "unique_name": "alice@example.com", "roles": ["osmo-user"], **claims}
    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, self.query = target.partition("?")

    @property
    def parameters(self):
        return urllib.parse.parse_qs(self.query, keep_blank_values=True)

    @property
    def line(self):
        return f"{self.method} {self.target}"


class Answer:
    def __init__(self, status=200, json_body=None, text=None, headers=(), delay_s=0, drop=False):
        self.status, self.headers, self.delay_s, self.drop = status, dict(headers), delay_s, drop
        self.is_json = text is None
        self.body = (json.dumps(json_body, separators=(",", ":"), ensure_ascii=False)
                     if text is None else text).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body)
        fake.requests.append(request)
        answer = fake.find(request)
        if answer.delay_s:
            fake.stopped.wait(answer.delay_s)
        if answer.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.is_json:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer.body)

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def log_message(self, *_):
        pass


class FakeOsmo:
    def __init__(self, legacy=False, certificate=None, host="127.0.0.1"):
        """certificate: (file, key file) for HTTPS."""
        self.requests = []
        self.answers = {}
        self.legacy = legacy
        self.stopped = threading.Event()
        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.server.fake = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    def on(self, method, path, status=200, json_body=None, **answer):
        """Answer METHOD PATH so. Several answers for one request are given in turn; the last one stays."""
        self.answers.setdefault((method, path), []).append(Answer(status, json_body, **answer))

    def find(self, request):
        answers = self.answers.get((request.method, request.path))
        if answers:
            return answers.pop(0) if len(answers) > 1 else answers[0]
        return self.usual(request)

    def usual(self, request):
        key = (request.method, request.path)
        if key == ("GET", "/api/auth/login"):
            return Answer(json_body=LOGIN_INFO)
        if key == ("GET", "/api/version"):
            return Answer(json_body={"major": "6", "minor": "0", "revision": "0", "hash": ""})
        if key == ("GET", "/api/profile/settings"):
            return Answer(json_body=PROFILE)
        if key == ("POST", "/api/profile/settings"):
            return Answer(json_body=None)
        if request.path == "/api/auth/jwt/access_token":
            return self.exchange(request)
        if request.path == "/api/auth/access_token":
            return self.info(request)
        if request.path in ("/api/auth/access_token/user", "/api/auth/access_token/service"):
            return Answer(json_body=[TOKEN])
        if request.path.startswith("/api/auth/access_token/"):
            return Answer(json_body=ACCESS_TOKEN if request.method == "POST" else None)
        return Answer(404, {"detail": "Not Found"})

    def token_of(self, request):
        """The access token that a request is about; None if the service does not take it so."""
        if request.method == "GET":
            return request.parameters.get("access_token", [""])[0]
        return None if self.legacy else json.loads(request.body)["token"]

    def exchange(self, request):
        token = self.token_of(request)
        if token is None:
            return Answer(405, NOT_ALLOWED, headers={"allow": "GET"})
        if token != ACCESS_TOKEN:
            return Answer(400, {"message": "Access Token is invalid", "error_code": "USER",
                                "workflow_id": None})
        return Answer(json_body={"token": jwt(), "expires_at": int(time.time()) + 300, "error": None})

    def info(self, request):
        token = self.token_of(request)
        if token is None:
            return Answer(405, NOT_ALLOWED, headers={"allow": "GET"})
        if token != ACCESS_TOKEN:
            return Answer(400, {"message": "Access Token is invalid", "error_code": "USER",
                                "workflow_id": None})
        return Answer(json_body=TOKEN)

    @property
    def lines(self):
        return [request.line for request in self.requests]
