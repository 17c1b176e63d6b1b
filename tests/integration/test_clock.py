# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps under a running service: by five minutes, in either direction, and past midnight."""

import datetime
import pathlib
import subprocess
import time

import grpc
import pytest

from env import pb, program

# The time of day plus the seconds in a file; clocks that only go forward stay as they are.
JUMP = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
    char text[32] = "";
    int result = (int)syscall(SYS_clock_gettime, id, t);
    if (result == 0 && id == CLOCK_REALTIME) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("JUMP_FILE"), O_RDONLY);
        if (fd >= 0) {
            if (syscall(SYS_read, fd, text, sizeof text - 1) > 0)
                t->tv_sec += atol(text);
            syscall(SYS_close, fd);
        }
    }
    return result;
}
"""


class Jumping:
    def __init__(self, folder):
        self.file = folder / "jump"
        self.set(0)
        source, self.library = folder / "jump.c", folder / "jump.so"
        source.write_text(JUMP)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, source], check=True)
        self.env = {"LD_PRELOAD": self.library, "JUMP_FILE": self.file}

    def set(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.file)


def test_jumps_of_five_minutes_break_nothing(start_service, tmp_path):
    clock = Jumping(tmp_path)
    service = start_service(env=clock.env)
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        auth = pb.Stub(channel, "osmo.token.v1.AuthService")
        admin = service.admin_token
        secret = tokens.Set({"name": "steady"}, token=admin).secret

        def exchange():
            return auth.Exchange({"token": secret}).token

        def opens(credential):
            try:
                return tokens.WhoAmI({}, token=credential).token_name == "steady"
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED
                return False

        offset, made = 0, 0
        for step in (300, -300, -300, 300, 300, 300, -300, -300, -300, 300):
            before, old = exchange(), offset
            offset += step
            clock.set(offset)
            time.sleep(0.02)
            # A JWT of before a jump back is good; of before one ahead it has lived its 300 seconds.
            assert opens(before) == (offset <= old)
            assert opens(secret) and opens(exchange())
            name = f"t{made}"
            made += 1
            answer = tokens.Set({"name": name}, token=admin)
            assert abs(answer.token.create_time.seconds - (time.time() + offset)) < 5
            rotated = tokens.Rotate({"name": name, "overlap": "1000s"}, token=admin)
            for each in (answer.secret, rotated.secret):
                assert tokens.WhoAmI({}, token=each).token_name == name
            tokens.Delete({"name": name}, token=admin)
            decision = auth.Authorize({"credential": secret, "method": "GET", "path": "/api/pool"}, token=admin)
            assert decision.allowed
        assert [each.name for each in tokens.List({}, token=admin).tokens] == ["admin", "steady"]
        # Timers are on a clock that does not jump: the service is healthy, and stops when told.
        health = pb.Stub(channel, "grpc.health.v1.Health")
        assert health.Check({}).status == 1
    started = time.monotonic()
    service.stop()
    assert time.monotonic() - started < 10
    assert not [line for line in service.log.splitlines() if '"level":"error"' in line], pathlib.Path(service.log_path)


def until_midnight():
    now = datetime.datetime.now(datetime.timezone.utc)
    tomorrow = now.date() + datetime.timedelta(days=1)
    return tomorrow, int((datetime.datetime.combine(tomorrow, datetime.time(), now.tzinfo) - now).total_seconds())


def test_a_request_that_is_sent_again_past_midnight_gets_its_result(start_service, tmp_path):
    """The date it names has come by then, and for a first time it would be too late."""
    clock = Jumping(tmp_path)
    service = start_service(env=clock.env)
    tomorrow, seconds = until_midnight()
    clock.set(seconds - 600)
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")

        def call(method, **fields):
            return getattr(tokens, method)(fields, token=service.admin_token)

        made = {"name": "short", "kind": "SERVICE", "roles": ["osmo-user"], "expireDate": str(tomorrow)}
        set_ = call("Set", **made, requestId="set")
        call("Set", **{**made, "name": "other"})
        rotate = {"kind": "SERVICE", "requestId": "rotate"}
        rotated = call("Rotate", name="other", **rotate)
        clock.set(seconds + 60)
        assert call("Set", **made, requestId="set").secret == set_.secret
        assert call("Rotate", name="other", **rotate).secret == rotated.secret
        for method, fields, code, text in (
                ("Set", {**made, "requestId": "new"}, "INVALID_ARGUMENT", "must be past the current date"),
                ("Set", {**made, "requestId": "set", "description": "d"}, "INVALID_ARGUMENT", "other content"),
                ("Rotate", {"name": "other", **rotate, "requestId": "new"}, "FAILED_PRECONDITION", "has expired"),
                ("Rotate", {"name": "other", "kind": "SERVICE"}, "FAILED_PRECONDITION", "has expired")):
            with pytest.raises(grpc.RpcError) as refused:
                call(method, **fields)
            assert (refused.value.code().name, text in refused.value.details()) == (code, True)


def test_a_token_that_expired_lives_again_only_if_its_owner_may_have_one_more(start_service, tmp_path):
    clock = Jumping(tmp_path)
    service = start_service("--dev-login", "--max-tokens-per-user", "2", env=clock.env)
    tomorrow, seconds = until_midnight()
    alice = [("x-osmo-user", "alice")]
    with pb.channel(service.grpc) as channel:
        tokens = pb.Stub(channel, "osmo.token.v1.TokenService")
        tokens.Set({"name": "short", "expireDate": str(tomorrow)}, metadata=alice)
        tokens.Set({"name": "long"}, metadata=alice)
        clock.set(seconds + 60)
        tokens.Set({"name": "new"}, metadata=alice)
        again = {"name": "short", "expireDate": str(tomorrow + datetime.timedelta(days=9))}
        with pytest.raises(grpc.RpcError) as refused:
            tokens.Rotate(again, metadata=alice)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        tokens.Rotate({"name": "long"}, metadata=alice)
        tokens.Delete({"name": "new"}, metadata=alice)
        assert tokens.Rotate(again, metadata=alice).secret
