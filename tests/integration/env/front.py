# SPDX-License-Identifier: Apache-2.0
"""The ways in to HTTP: the gateway inside token-service, and token-gateway in front of it, over TCP and
over a unix socket. Everything that holds for one holds for all."""

from . import program

WAYS = ["in_process", "gateway_tcp", "gateway_unix"]


class Front:
    """A service and the HTTP address that its clients are given."""

    def __init__(self, folder, way, *options):
        self.gateway = None
        grpc = f"unix:{folder}/s.sock" if way == "gateway_unix" else "127.0.0.1:0"
        self.service = program.TokenService(folder / "service", *options, grpc=grpc)
        if way != "in_process":
            self.gateway = program.TokenGateway(folder / "gateway", self.service.grpc,
                                                *(option for option in options if option == "--dev-login"))

    @property
    def host(self):
        return (self.gateway or self.service).http

    @property
    def url(self):
        return f"http://{self.host}"

    @property
    def admin_token(self):
        return self.service.admin_token

    def stop(self):
        if self.gateway:
            self.gateway.stop()
        self.service.stop()
