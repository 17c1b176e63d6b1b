# SPDX-License-Identifier: Apache-2.0
"""`osmo check`: a token is made, listed, used and deleted over each way to a service."""

import pytest
from env import certificates

STEPS = ["a token is made", "it is listed", "it says who its owner is", "it is deleted", "it opens nothing any more"]


@pytest.fixture
def admin_file(service, tmp_path):
    path = tmp_path / "admin.token"
    path.write_text(service.admin_token + "\n")
    return path


def steps(result, way):
    return [line[6:34].rstrip() for line in result.stdout.splitlines() if line.startswith(way)]


def test_a_service_that_works_passes_over_http_and_grpc(osmo, service, admin_file, tokens):
    result = osmo("check", service.url, "--grpc", f"http://{service.grpc}", "--token-file", admin_file)
    assert result.returncode == 0, result.stderr
    assert steps(result, "HTTP") == steps(result, "gRPC") == STEPS
    left = osmo("login", service.url, "--token-file", admin_file), osmo("token", "list")
    assert "check-" not in left[1].stdout


def test_without_grpc_only_http_is_tried(osmo, service, admin_file):
    result = osmo("check", service.url + "/", "--token-file", admin_file)
    assert result.returncode == 0, result.stderr
    assert steps(result, "HTTP") == STEPS and not steps(result, "gRPC")


def test_it_works_over_tls(osmo, start_service, tmp_path):
    authority = certificates.Authority(tmp_path / "ca")
    cert, key = authority.issue("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    service = start_service("--tls-cert-file", cert, "--tls-key-file", key)
    token = tmp_path / "token"
    token.write_text(service.admin_token)
    arguments = ("check", f"https://{service.http}", "--grpc", f"https://{service.grpc}", "--token-file", token)
    result = osmo("--cacert", authority.cert, *arguments)
    assert result.returncode == 0, result.stderr
    assert steps(result, "HTTP") == steps(result, "gRPC") == STEPS
    untrusted = osmo(*arguments)
    assert untrusted.returncode == 10
    assert "HTTP: not true that a token is made" in untrusted.stderr
    assert "gRPC: not true that a token is made" in untrusted.stderr


def test_a_certificate_with_another_name_is_taken_for_it(osmo, start_service, tmp_path):
    authority = certificates.Authority(tmp_path / "ca")
    cert, key = authority.issue("server", "tokens.example.com", "DNS:tokens.example.com")
    service = start_service("--tls-cert-file", cert, "--tls-key-file", key)
    token = tmp_path / "token"
    token.write_text(service.admin_token)
    arguments = ("--cacert", authority.cert, "check", f"https://{service.http}", "--grpc", f"https://{service.grpc}",
                 "--token-file", token)
    result = osmo(*arguments, "--server-name", "tokens.example.com")
    assert result.returncode == 0, result.stderr
    assert steps(result, "HTTP") == steps(result, "gRPC") == STEPS
    assert osmo(*arguments).returncode == 10
    assert osmo(*arguments, "--server-name", "other.example.com").returncode == 10


def test_a_token_that_opens_nothing_fails_both_ways(osmo, service, tmp_path):
    path = tmp_path / "token"
    path.write_text("0" * 64)
    result = osmo("check", service.url, "--grpc", f"http://{service.grpc}", "--token-file", path)
    assert result.returncode == 10
    assert "HTTP: not true that a token is made: HTTP status 401" in result.stderr
    assert "gRPC: not true that a token is made: " in result.stderr
    assert "0" * 64 not in result.stdout + result.stderr


def test_a_way_that_leads_nowhere_fails(osmo, service, admin_file):
    result = osmo("check", service.url, "--grpc", service.url, "--token-file", admin_file)
    assert result.returncode == 10
    assert steps(result, "HTTP") == STEPS
    assert "gRPC: not true that a token is made" in result.stderr


@pytest.mark.parametrize("arguments, message", [
    (("127.0.0.1:8080", "--token-file", "/dev/null"), "argument url: 127.0.0.1:8080: invalid or missing URL scheme"),
    (("http://x", "--grpc", "x:1", "--token-file", "/dev/null"), "argument --grpc: x:1: invalid or missing URL scheme"),
    (("http://x", "--token-file", "/dev/null"), "argument --token-file: '/dev/null' is empty"),
    (("http://x", "--token-file", "/none"), "can't open '/none'"),
    (("http://x",), "the following arguments are required: --token-file"),
    (("--token-file", "/dev/null"), "the following arguments are required: url"),
])
def test_wrong_arguments_are_named(osmo, arguments, message):
    result = osmo("check", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
