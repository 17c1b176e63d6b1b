# SPDX-License-Identifier: Apache-2.0
"""token-gateway and the service with TLS between them, and what the gateway tells about its connections."""

import signal

import pytest
import requests

from env import certificates, program

GATEWAY = ("--mtls-identity", "gateway=robot@example.com:osmo-user",
           "--mtls-identity", "renewed=other@example.com:osmo-user")


@pytest.fixture
def ca(tmp_path):
    return certificates.Authority(tmp_path / "certs")


@pytest.fixture
def start_tls_service(ca, start_service):
    """A service that takes calls without a token from whoever shows a certificate of the CA."""
    cert, key = ca.issue("server", "server", "DNS:service.example,IP:127.0.0.1")

    def start(**keywords):
        return start_service("--tls-cert-file", cert, "--tls-key-file", key, "--tls-client-ca-file", ca.cert,
                             "--tls-client-auth", "optional", *GATEWAY, **keywords)

    return start


def files(cert_and_key):
    return "--service-cert-file", cert_and_key[0], "--service-key-file", cert_and_key[1]


def get(gateway, path, **headers):
    return requests.get(gateway.url + path, headers=headers, timeout=program.PATIENCE_S)


def user(gateway):
    answer = get(gateway, "/v1/whoami")
    return answer.json()["user"] if answer.status_code == 200 else answer.status_code


def test_the_gateway_is_known_by_its_certificate(ca, start_tls_service, start_gateway):
    service = start_tls_service()
    gateway = start_gateway(service.grpc, "--service-tls", "--service-ca-file", ca.cert,
                            *files(ca.issue("gateway", "gateway")))
    assert user(gateway) == "robot@example.com"
    answer = get(gateway, "/v1/whoami", Authorization=f"Bearer {service.admin_token}")
    assert answer.json()["user"] == "admin"
    assert get(gateway, "/readyz").status_code == 200


def test_without_a_certificate_it_carries_those_of_its_callers(ca, start_tls_service, start_gateway):
    service = start_tls_service()
    gateway = start_gateway(service.grpc, "--service-tls", "--service-ca-file", ca.cert,
                            "--service-name", "service.example")
    assert user(gateway) == 401
    answer = get(gateway, "/v1/whoami", Authorization=f"Bearer {service.admin_token}")
    assert answer.json()["user"] == "admin"


@pytest.mark.parametrize("why", ["another authority", "another name", "no TLS"])
def test_a_service_that_cannot_be_believed_gets_no_call(why, ca, tmp_path, start_tls_service, start_gateway):
    service = start_tls_service()
    options = {
        "another authority": ("--service-tls", "--service-ca-file",
                              certificates.Authority(tmp_path / "others", "other").cert),
        "another name": ("--service-tls", "--service-ca-file", ca.cert, "--service-name", "other.example"),
        "no TLS": (),
    }[why]
    gateway = start_gateway(service.grpc, *options)
    answer = get(gateway, "/v1/whoami", Authorization=f"Bearer {service.admin_token}")
    assert answer.status_code == 503
    assert answer.json()["message"] == "The service cannot be reached"
    assert get(gateway, "/readyz").status_code == 503


@pytest.mark.parametrize("told", [False, True], ids=["by itself", "SIGHUP"])
def test_a_certificate_is_renewed_without_a_restart(told, ca, start_tls_service, start_gateway):
    service = start_tls_service()
    gateway = start_gateway(service.grpc, "--service-tls", "--service-ca-file", ca.cert,
                            *files(ca.issue("gateway", "gateway")))
    assert user(gateway) == "robot@example.com"
    ca.issue("gateway", "renewed")
    if told:
        gateway.signal(signal.SIGHUP)
    program.wait_until(lambda: ("reload.done" if told else "reload.files") in gateway.log, "the reload")
    address = service.grpc
    service.stop()  # the next connection shows the new one
    start_tls_service(grpc=address)
    program.wait_until(lambda: user(gateway) == "other@example.com", "the new certificate")


def test_a_file_that_cannot_be_used_is_named_and_changes_nothing(ca, start_tls_service, start_gateway):
    service = start_tls_service()
    cert, key = ca.issue("gateway", "gateway")
    gateway = start_gateway(service.grpc, "--service-tls", "--service-ca-file", ca.cert, *files((cert, key)))
    assert user(gateway) == "robot@example.com"
    key.write_text("no PEM\n")
    gateway.signal(signal.SIGHUP)
    program.wait_until(lambda: "reload.failed" in gateway.log, "the reload")
    assert str(key) in gateway.log
    address = service.grpc
    service.stop()
    start_tls_service(grpc=address)
    program.wait_until(lambda: user(gateway) == "robot@example.com", "the old certificate")


def metric(gateway, name):
    lines = [line for line in get(gateway, "/metrics").text.splitlines() if line.startswith(f"{name} ")]
    assert len(lines) == 1, name
    return float(lines[0].split()[1])


def test_the_connections_are_counted(tmp_path, start_service, start_gateway):
    service = start_service()
    gateway = start_gateway(service.grpc, "--threads", "1", "--service-connections", "2")
    assert metric(gateway, "gateway_upstream_connections") == 0  # nobody asked for one
    assert user(gateway) == 401
    program.wait_until(lambda: metric(gateway, "gateway_upstream_connections") == 2, "two connections")
    assert metric(gateway, "gateway_upstream_opened_total") == 2
    assert metric(gateway, "gateway_upstream_calls_waiting") == 0
    address = service.grpc
    service.stop()
    program.wait_until(lambda: metric(gateway, "gateway_upstream_connections") == 0, "none")
    assert user(gateway) == 503
    program.wait_until(lambda: metric(gateway, "gateway_upstream_failed_total") > 0, "attempts that fail")
    start_service(grpc=address)
    program.wait_until(lambda: metric(gateway, "gateway_upstream_connections") == 2, "two connections again")
    assert user(gateway) == 401
