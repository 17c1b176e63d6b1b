# SPDX-License-Identifier: Apache-2.0
"""An unmodified command line of OSMO 6.0 works against this service.

data/osmo_cli_6.0.json holds what it sent, to the byte, and what it was answered when every one of its
outputs had been looked at. Here the same bytes are sent again: a change that it would notice fails.
"""

import datetime
import json
import pathlib
import re
import socket

import pytest

from env import front, program

RECORDED = json.loads((pathlib.Path(__file__).parent / "data/osmo_cli_6.0.json").read_text())
PATTERNS = {"jwt": r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "secret": r"osmo_[0-9A-Za-z]+", "moment": r"\d{10}"}


class Replay:
    """One session: what its placeholders stand for becomes known as the answers come in."""

    def __init__(self, address, **known):
        self.address = address
        self.known = known

    def day(self, text):
        number, _, typed = text.partition(" ")
        date = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=int(number))
        return f"{date.year}-{date.month}-{date.day}" if typed else date.isoformat()

    def value(self, name):
        return self.day(name[3:]) if name.startswith("day") else self.known[name]

    def fill(self, text):
        return re.sub(r"<<(.*?)>>", lambda match: self.value(match[1]), text)

    def expect(self, template, text):
        """The text is the template's; new placeholders learn what they stand for."""
        pattern, groups = "", []
        for i, part in enumerate(re.split(r"<<(.*?)>>", template)):
            if i % 2 == 0:
                pattern += re.escape(part)
            elif part in self.known or part.startswith("day"):
                pattern += re.escape(self.value(part))
            else:
                pattern += f"({PATTERNS[part.partition('_')[0]]})"
                groups.append(part)
        match = re.fullmatch(pattern, text)
        assert match, f"\nexpected {template}\ngot      {text}"
        self.known.update((name, found) for name, found in zip(groups, match.groups()) if name != "moment")

    def send(self, request):
        """Send the bytes of a request on a connection of its own, as each run of the client does."""
        text = "\r\n".join([request["line"], *request["headers"], "", request["body"]])
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=program.PATIENCE_S) as connection:
            connection.sendall(self.fill(text).encode())
            with connection.makefile("rb") as stream:
                status = int(stream.readline().split()[1])
                headers = {}
                while (line := stream.readline().strip()):
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                return status, headers, stream.read(int(headers["content-length"])).decode()


@pytest.mark.parametrize("way", front.WAYS)
@pytest.mark.parametrize("session", RECORDED["sessions"])
def test_the_existing_client_is_answered_as_it_was(start_front, session, way):
    door = start_front(way, *(["--dev-login"] if session == "dev" else []))
    replay = Replay(door.host, host=door.host, admin_token=door.admin_token)
    for step in RECORDED["sessions"][session]:
        for request in step["requests"]:
            status, headers, body = replay.send(request)
            assert (step["arguments"], status) == (step["arguments"], request["status"]), body
            assert headers["content-type"] == "application/json"
            replay.expect(request["reply"], body)


def test_the_recording_shows_what_the_contract_says():
    """The outputs that were looked at: each is one of the forms that its users know."""
    for session in RECORDED["sessions"].values():
        for step in session:
            statuses = [request["status"] for request in step["requests"]]
            if step["stdout"].startswith("OSMO client version") or statuses[-1:] == [200]:
                assert step["exit"] == 0
            refused = [status for status in statuses if status != 200]
            if refused and step["exit"] == 2:
                assert step["stderr"] == f"Server responded with status code {refused[0]}\n"
                assert f"{refused[0]}\n" in step["stdout"]
