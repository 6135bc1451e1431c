# SPDX-License-Identifier: MIT
"""What the tests of rt-kv share.

A server to be started and ended, a real Redis to compare with, and a client that speaks their
protocol. Nothing is waited for by sleeping: a server is ready when it says where it listens, and
has answered when the reply is there.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest
from typing import Dict, List, Optional, Tuple, Union

SECONDS_MAX = 60  # what takes longer has failed, on a slow machine with sanitizers too
BIN = "rt-kv"  # set by main()

Reply = Union[int, str, bytes, None, List["Reply"]]  # an error or a status is a str


class Server:
    """rt-kv on a port of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen([BIN, "--port", "0", *arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.started: List[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.started.append(line)
            match = re.match(r"listening on (.*):(\d+)$", line)
            if match is not None:
                self.host, self.port = match.group(1).strip("[]"), int(match.group(2))
                return
        raise AssertionError("rt-kv did not start: " + self.end()[1])

    def connect(self) -> socket.socket:
        peer = socket.create_connection((self.host, self.port), SECONDS_MAX)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def client(self) -> "Client":
        return Client(self.connect())

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> Tuple[int, str]:
        """Exit status and standard error, once it has ended."""
        try:
            _, errors = self.process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, errors


def redis_server() -> Optional[str]:
    """Debian's redis-tools has the server, too, under another name: it goes by argv[0]. The package
    redis-server would add a link, and a service that starts by itself."""
    return shutil.which("redis-server") or shutil.which("redis-check-rdb")


class Redis:
    """A real one, on a socket in a folder of its own: it has no port that could be taken."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "redis.sock")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "",
             "--databases", "1", "--proto-max-bulk-len", "1mb", "--dir", folder],
            executable=redis_server(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "ready to accept" in line:
                break

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(SECONDS_MAX)
        peer.connect(self.path)
        return peer

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=SECONDS_MAX)


def request(*words: Union[str, bytes, int]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Client:
    """Sends requests and reads replies."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.file = peer.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.peer.close()

    def send(self, *words: Union[str, bytes, int]) -> None:
        self.peer.sendall(request(*words))

    def read(self) -> Reply:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        kind, text = line[:1], line[1:-2]
        if kind == b"$":
            return None if text == b"-1" else self.file.read(int(text) + 2)[:-2]
        if kind == b"*":
            return None if text == b"-1" else [self.read() for _ in range(int(text))]
        return int(text) if kind == b":" else line[:-2].decode()

    def ask(self, *words: Union[str, bytes, int]) -> Reply:
        self.send(*words)
        return self.read()


def exchange(peer: socket.socket, pieces: List[bytes]) -> bytes:
    """All that comes back for the pieces, until the end of the connection."""
    replies = []
    try:
        for piece in pieces:
            peer.sendall(piece)
        peer.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # closed after an error in the protocol; what it said is to be read
    try:
        while True:
            data = peer.recv(65536)
            if not data:
                break
            replies.append(data)
    except ConnectionResetError:
        pass
    peer.close()
    return b"".join(replies)


def info_of(client: Client) -> Dict[str, str]:
    text = client.ask("INFO")
    assert isinstance(text, bytes)
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


class KvTest(unittest.TestCase):
    SHARDS = ("1", "3")

    def server(self, *arguments: str, shards: str = "1") -> Server:
        server = Server("--shards", shards, "--place", "unbound", "--log-level", "error",
                        *arguments)
        self.addCleanup(self.end, server)
        return server

    def end(self, server: Server) -> None:
        if server.process.returncode is None:
            server.stop()
            status, errors = server.end()
            self.assertEqual((status, errors), (0, ""))

    def assert_ends(self, server: Server) -> None:
        self.assertEqual(server.end(), (0, ""))
