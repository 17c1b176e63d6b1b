# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand, for what a decent client never sends (RFC 9113, RFC 7541)."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b"", length=None):
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def hpack_int(value, bits):
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def hpack(headers):
    """Every header as a literal without indexing, not Huffman-coded."""
    return b"".join(
        b"\0" + hpack_int(len(name), 7) + name + hpack_int(len(value), 7) + value
        for name, value in headers)


def request(path, *more, method=b"POST", content_type=b"application/grpc"):
    return hpack([(b":method", method), (b":scheme", b"http"), (b":path", path),
                  (b":authority", b"test"), (b"content-type", content_type), (b"te", b"trailers"), *more])


class Connection:
    """A connection that has said hello, unless `hello` is False."""

    def __init__(self, address, hello=True, timeout_s=20):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)
        self.buffer = b""
        if hello:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _read(self, n):
        while len(self.buffer) < n:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        result, self.buffer = self.buffer[:n], self.buffer[n:]
        return result

    def frames(self):
        """(kind, flags, stream, payload) until the server closes."""
        try:
            while True:
                head = self._read(9)
                length = int.from_bytes(head[:3], "big")
                yield head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, self._read(length)
        except (EOFError, ConnectionResetError):
            return

    def until(self, *kinds):
        """The next frame of one of these kinds, or None when the server closes."""
        return next((f for f in self.frames() if f[0] in kinds), None)

    def answer(self, stream):
        """All that comes for a stream until it ends, header blocks and data in one: names and values
        that are not Huffman-coded can be searched in it."""
        out = b""
        for kind, flags, where, payload in self.frames():
            if where == stream:
                out += payload
                if kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM):
                    return out
        return out
