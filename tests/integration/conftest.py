# SPDX-License-Identifier: Apache-2.0
"""What every integration test may ask for. The tests of a worker share one service; they stay out of
each other's way by names of their own (`unique`). A test that stops, breaks or configures a service
starts one with `start_service`."""

import itertools
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from env import fake_osmo, front, login_yaml, pb, program  # noqa: E402

# One puts a library before all others, which is where a sanitizer wants to be; one looks for what was freed, which
# a sanitizer keeps; one is about documents.
collect_ignore = ["test_clock.py", "test_memory.py", "test_option_documents.py"] if program.SANITIZED else []


# A shell starts what runs in the background with SIGINT ignored, and our programs would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The shared token-service: .grpc and .http are its addresses, .admin_token opens everything."""
    result = program.TokenService(tmp_path_factory.mktemp("service"))
    yield result
    result.stop()


@pytest.fixture
def start_service(tmp_path):
    """start_service(*options, folder=tmp_path, env=None, wait=True): a token-service for this test alone.

    Given the same folder again it starts on the same data."""
    started = []

    def start(*options, folder=tmp_path / "service", **keywords):
        result = program.TokenService(folder, *options, **keywords)
        started.append(result)
        return result

    yield start
    for each in reversed(started):
        each.stop()


@pytest.fixture
def start_gateway(tmp_path):
    """start_gateway(service_address, *options): a token-gateway for this test alone."""
    started = []
    numbers = itertools.count()

    def start(service_address, *options, **keywords):
        folder = tmp_path / f"gateway{next(numbers)}"
        result = program.TokenGateway(folder, service_address, *options, **keywords)
        started.append(result)
        return result

    yield start
    for each in reversed(started):
        each.stop()


@pytest.fixture
def start_front(tmp_path):
    """start_front(way, *options): a service with the way in to HTTP that env/front.py names."""
    started = []

    def start(way, *options):
        started.append(front.Front(tmp_path, way, *options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def osmo(tmp_path):
    """osmo("token", "list"): the command line of a user of this test."""
    return program.Osmo(tmp_path / "home")


@pytest.fixture(scope="session")
def channel(service):
    with pb.channel(service.grpc) as result:
        yield result


@pytest.fixture(scope="session")
def tokens(channel):
    """TokenService over gRPC."""
    return pb.Stub(channel, "osmo.token.v1.TokenService")


_numbers = itertools.count()


@pytest.fixture
def unique():
    """unique("ci"): a resource name that no other test has."""
    return lambda stem="t": f"{stem}-{os.getpid()}-{next(_numbers)}x"


@pytest.fixture
def fake():
    """A stand-in for the service, which answers what the test tells it to (env/fake_osmo.py)."""
    result = fake_osmo.FakeOsmo()
    yield result
    result.stop()


@pytest.fixture
def legacy_fake():
    """The same, knowing only what the existing service knows."""
    result = fake_osmo.FakeOsmo(legacy=True)
    yield result
    result.stop()


@pytest.fixture
def logged_in(osmo, fake):
    """The command line of a user who is logged in to `fake` with an access token and a live JWT."""
    login_yaml.write_token(osmo, fake.url, fake_osmo.jwt(), refresh_token=fake_osmo.ACCESS_TOKEN,
                           refresh_url=f"{fake.url}/api/auth/jwt/access_token")
    return osmo
