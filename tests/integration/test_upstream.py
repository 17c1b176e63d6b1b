# SPDX-License-Identifier: Apache-2.0
"""token-gateway in a process of its own: what it carries to the service, and what it does without one."""

import concurrent.futures
import socket
import threading
import time

import pytest
import requests

from env import program


@pytest.fixture(params=["unix", "tcp"])
def hop(request, tmp_path, start_service, start_gateway):
    """A service and a gateway in front of it, over a unix socket and over TCP."""
    service = start_service(grpc=f"unix:{tmp_path}/service.sock" if request.param == "unix" else "127.0.0.1:0")
    return service, start_gateway(service.grpc)


def bearer(service, **more):
    return {"Authorization": f"Bearer {service.admin_token}", **more}


def test_a_call_and_its_answer_go_through(hop):
    service, gateway = hop
    answers = [requests.get(f"{each.url}/v1/whoami", headers=bearer(service), timeout=program.PATIENCE_S)
               for each in (service, gateway)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["user"] == "admin"


def shape(answer):
    """What must be the same with and without a hop: all but the id of the request."""
    body = answer.json()
    body["details"] = [detail for detail in body["details"] if "RequestInfo" not in detail["@type"]]
    headers = {name: answer.headers.get(name) for name in ("WWW-Authenticate", "Retry-After", "Content-Type")}
    return answer.status_code, headers, body


@pytest.mark.parametrize("method, path, body, credential", [
    ("GET", "/v1/whoami", None, None),
    ("GET", "/v1/whoami", None, "Bearer nonsense"),
    ("POST", "/v1/tokens", {"name": "bad name!"}, "admin"),
    ("POST", "/v1/tokens", {"name": "s", "kind": "SERVICE"}, "admin"),
    ("DELETE", "/v1/tokens/not-there", None, "admin"),
])
def test_errors_are_the_same_with_a_hop(hop, method, path, body, credential):
    service, gateway = hop
    headers = bearer(service) if credential == "admin" else {"Authorization": credential} if credential else {}
    answers = [requests.request(method, each.url + path, json=body, headers=headers, timeout=program.PATIENCE_S)
               for each in (service, gateway)]
    assert answers[0].status_code >= 400
    assert shape(answers[0]) == shape(answers[1])


def test_the_id_of_a_request_goes_both_ways(hop):
    service, gateway = hop
    answer = requests.get(f"{gateway.url}/v1/whoami", headers=bearer(service, **{"X-Request-Id": "my-own-id"}),
                          timeout=program.PATIENCE_S)
    assert answer.headers["X-Request-Id"] == "my-own-id"
    answer = requests.get(f"{gateway.url}/v1/whoami", headers=bearer(service), timeout=program.PATIENCE_S)
    assert answer.headers["X-Request-Id"]


def test_identities_do_not_pass_a_gateway(hop):
    _, gateway = hop
    answer = requests.get(f"{gateway.url}/v1/whoami", timeout=program.PATIENCE_S, headers={
        "x-osmo-user": "root", "x-osmo-roles": "osmo-admin", "X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == 401


def test_without_a_service_the_answer_is_503_until_it_is_back(hop, tmp_path, start_service):
    service, gateway = hop

    def status(path):
        return requests.get(gateway.url + path, headers=bearer(service), timeout=program.PATIENCE_S).status_code

    assert (status("/v1/whoami"), status("/readyz")) == (200, 200)
    address = service.grpc
    service.stop()
    answer = requests.get(f"{gateway.url}/v1/whoami", headers=bearer(service), timeout=program.PATIENCE_S)
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert answer.json()["message"] == "The service cannot be reached"
    program.wait_until(lambda: status("/readyz") == 503, "readiness to go")
    start_service(grpc=address)
    program.wait_until(lambda: status("/v1/whoami") == 200, "the service to be back")
    program.wait_until(lambda: status("/readyz") == 200, "readiness")


def test_many_calls_at_once_all_arrive(hop):
    service, gateway = hop

    def load(_):
        with requests.Session() as session:
            session.headers.update(bearer(service))
            return [session.get(f"{gateway.url}/v1/whoami", timeout=program.PATIENCE_S).status_code
                    for _ in range(60)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = [code for codes in pool.map(load, range(16)) for code in codes]
    assert codes == [200] * (16 * 60)


def test_when_one_thread_finds_the_service_again_all_do(start_service, start_gateway):
    service = start_service()
    gateway = start_gateway(service.grpc, "--threads", "4")

    def codes(path, n):
        """Each on a connection of its own, and so on any thread."""
        return {requests.get(gateway.url + path, headers=bearer(service), timeout=program.PATIENCE_S).status_code
                for _ in range(n)}

    assert codes("/v1/whoami", 30) == {200}
    address = service.grpc
    service.stop()
    program.wait_until(lambda: codes("/v1/whoami", 20) == {503}, "the service to be missed")
    time.sleep(1)  # by now each thread pauses between attempts, a second and more
    service = start_service(grpc=address)
    program.wait_until(lambda: codes("/readyz", 1) == {200}, "readiness")
    assert codes("/v1/whoami", 30) == {200}


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="a second address of localhost is needed: ::1")
def test_a_rolling_restart_of_the_service_loses_no_call(tmp_path, start_service, start_gateway):
    """localhost has two addresses; a service on each of them is restarted in turn, under load."""
    def start(host, port=0):
        return start_service(folder=tmp_path / host.strip("[]").replace(":", "-"), grpc=f"{host}:{port}")

    first = start("127.0.0.1")
    port = first.grpc.rpartition(":")[2]
    second = start("[::1]", port)
    gateway = start_gateway(f"localhost:{port}")
    over = threading.Event()

    def load(_):
        codes = []
        with requests.Session() as session:
            while not over.is_set():  # the second is not one that may be sent again
                codes.append(session.get(f"{gateway.url}/v1/whoami", timeout=program.PATIENCE_S).status_code)
                codes.append(session.post(f"{gateway.url}/v1/tokens", json={"name": "x"},
                                          timeout=program.PATIENCE_S).status_code)
        return codes

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = [pool.submit(load, number) for number in range(4)]
        try:
            time.sleep(0.3)
            for _ in range(2):
                first.stop()
                time.sleep(0.3)
                first = start("127.0.0.1", port)
                second.stop()
                time.sleep(0.3)
                second = start("[::1]", port)
        finally:
            over.set()
        codes = [code for result in results for code in result.result()]
    assert len(codes) > 100
    assert set(codes) == {401}
