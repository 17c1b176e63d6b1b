# SPDX-License-Identifier: Apache-2.0
"""Programs of others: some judge our interfaces, some stand in front of them as they would in use.
./dev test --all installs them; a test that lacks one fails."""

import json
import os
import pathlib
import shutil
import subprocess

from . import http1, program

JUDGES = program.ROOT / "build/judges/bin"


def find(name):
    path = shutil.which(name, path=f"{JUDGES}:{os.environ['PATH']}:/usr/sbin")
    assert path, f"there is no {name}; ./dev test --all installs it, where it can"
    return path


def run(name, *arguments, timeout_s=program.PATIENCE_S, env=None, cwd=None):
    """Run a judge to its end, and return its returncode, stdout and stderr."""
    return subprocess.run([find(name), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout_s, env=program.environment(**(env or {})), cwd=cwd)


class Proxy(program.Program):
    """A proxy that listens on unix sockets in its folder: .http and .grpc are their addresses."""

    def __init__(self, folder, name, file, configuration, *arguments):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.http, self.grpc = f"unix:{folder}/http.sock", f"unix:{folder}/grpc.sock"
        (folder / file).write_text(configuration)
        super().__init__(folder, name, *arguments, path=find(name))
        program.wait_until(lambda: all(self.answers(a) for a in (self.http, self.grpc)), f"{name}:\n{self.log}")

    def answers(self, address):
        code = self.process.poll()
        assert code is None, f"{self.name} exited with {code}:\n{self.log}"
        try:
            http1.dial(address).close()
        except OSError:
            return False
        return True


NGINX = """
daemon off;
{user}
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_max_body_size 2m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream gateway {{ server {http}; keepalive 8; }}
    upstream service {{ server {grpc}; keepalive 8; }}
    server {{
        listen {folder_address}/http.sock;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_request_buffering off;
        proxy_next_upstream off;
        location / {{ proxy_pass http://gateway; }}
        location /as-ann/ {{
            proxy_set_header Authorization "";
            proxy_set_header x-osmo-user ann;
            proxy_set_header x-osmo-roles osmo-user;
            proxy_pass http://gateway/;
        }}
    }}
    server {{
        listen {folder_address}/grpc.sock http2;
        location / {{ grpc_pass grpc://service; }}
    }}
}}
"""


class Nginx(Proxy):
    """nginx in front of a gateway and of a service: HTTP/1.1 to the one, gRPC to the other. Under
    /as-ann/ it says that the caller is ann."""

    def __init__(self, folder, http, grpc):
        user = "user root;" if os.geteuid() == 0 else ""  # else its workers cannot read pytest's folders
        configuration = NGINX.format(folder=folder, folder_address=f"unix:{folder}", http=http, grpc=grpc, user=user)
        super().__init__(folder, "nginx", "nginx.conf", configuration, "-p", folder, "-c", f"{folder}/nginx.conf",
                         "-e", f"{folder}/error.log")


def typed(name, **fields):
    """A message inside an Any, by the name of its type in Envoy's API."""
    return {"@type": f"type.googleapis.com/envoy.extensions.{name}", **fields}


def envoy_listener(name, folder, cluster, *filters):
    """A listener that sends all it gets to one cluster."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    router = {"name": "router", "typed_config": typed("filters.http.router.v3.Router")}
    manager = typed("filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix=name,
                    route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
                    http_filters=[*filters, router])
    return {"name": name, "address": {"pipe": {"path": f"{folder}/{name}.sock"}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}


def envoy_cluster(name, address, health_check, **fields):
    """A cluster with one member, whose health is asked for every second."""
    host, _, port = address.rpartition(":")
    member = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
    return {"name": name, "connect_timeout": "5s", **fields,
            "health_checks": [{"timeout": "5s", "interval": "1s", "unhealthy_threshold": 3, "healthy_threshold": 1,
                               **health_check}],
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [member]}]}}


class Envoy(Proxy):
    """Envoy in front of a gateway and of a service. .transcoder is a gateway of its own: JSON to gRPC by the
    same annotations as ours. .admin tells how it finds them."""

    def __init__(self, folder, http, grpc):
        self.transcoder, self.admin = f"unix:{folder}/transcoder.sock", f"unix:{folder}/admin.sock"
        transcoder = {"name": "transcoder", "typed_config": typed(
            "filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder", convert_grpc_status=True,
            proto_descriptor=str(program.BUILD / "gen/descriptor_set.pb"),
            services=[f"osmo.token.v1.{name}Service" for name in ("Token", "Auth", "Profile", "Role")],
            print_options={"always_print_primitive_fields": True})}
        http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
            "upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}})}
        configuration = json.dumps({
            "static_resources": {
                "listeners": [envoy_listener("http", folder, "gateway"), envoy_listener("grpc", folder, "service"),
                              envoy_listener("transcoder", folder, "service", transcoder)],
                "clusters": [envoy_cluster("gateway", http, {"http_health_check": {"path": "/readyz"}}),
                             envoy_cluster("service", grpc, {"grpc_health_check": {}},
                                           typed_extension_protocol_options=http2)]},
            "admin": {"address": {"pipe": {"path": f"{folder}/admin.sock"}}}})
        super().__init__(folder, "envoy", "envoy.json", configuration, "-c", f"{folder}/envoy.json",
                         "--concurrency", "2", "--disable-hot-restart", "--log-level", "warning")

    def health(self):
        """The health of each cluster's only member, as Envoy sees it."""
        lines = http1.request(self.admin, "GET", "/clusters").body.decode().splitlines()
        return {line.split("::")[0]: line.split("::")[-1] for line in lines if "::health_flags::" in line}
