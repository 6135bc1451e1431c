#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Examples that serve or ask others, run as their readers run them.

    servers_test.py --bin DIR [--kv RT_KV] [unittest options]

DIR holds echo and in_epoll; and, where their libraries are there, in_libuv and client_library,
which talks to the server RT_KV. Nothing is waited for by sleeping: a server is ready when it has
said where it listens. Exit status 77 when the kernel has no io_uring.
"""
import errno
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Tuple

import example
from example import SECONDS_MAX, ExampleTest, path_of, run


class Server:
    """The echo server, from its first line of output to the end of the with block."""
    PROGRAM = "echo"

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [path_of(self.PROGRAM), *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(SECONDS_MAX, self.process.kill)
        self.address = ""

    def __enter__(self) -> "Server":
        self.watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        prefix = "listening on "
        if not line.startswith(prefix):
            _, said = self.end()
            raise AssertionError(f"no address: {line!r} {said!r}")
        self.address = line[len(prefix):].rstrip("\n")
        return self

    def end(self) -> Tuple[int, str]:
        """Kill it, and tell how it ended and what it had said. Then nothing more happens."""
        if self.process.poll() is None:
            self.process.kill()
        return self.await_end()

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def await_end(self) -> Tuple[int, str]:
        _, said = self.process.communicate()
        self.watchdog.cancel()
        return self.process.returncode, said

    def __exit__(self, *_: object) -> None:
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.end()

    def connect(self) -> socket.socket:
        host, port = self.address.rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_MAX)


def await_free(address: str) -> None:
    """Until nobody listens there. The pending accept of a killed process keeps its listener open
    until a worker of the kernel has taken the ring down, which is after the process has ended."""
    host, port = address.rsplit(":", 1)
    end = time.monotonic() + SECONDS_MAX
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, int(port)))
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                    raise
        os.sched_yield()


def await_closed(server: Server) -> None:
    """Until the port takes no connection any more. One that comes while it closes is reset."""
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        try:
            server.connect().close()
        except ConnectionError:
            return
        os.sched_yield()
    raise AssertionError(f"{server.address} still takes connections")


def receive_all(connection: socket.socket) -> bytes:
    parts = []
    while True:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


class Echo(ExampleTest):
    def exchange(self, connection: socket.socket, content: bytes) -> None:
        """Send from a thread while receiving, so that no side waits for room for ever."""

        def send() -> None:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = receive_all(connection)
        sender.join()
        self.assertTrue(received == content, "the bytes differ")

    def test_fifty_connections_get_their_own_bytes_back(self) -> None:
        source = random.Random(1)
        contents = [source.randbytes(10000 + i) for i in range(50)]
        with Server("127.0.0.1:0") as server:
            self.assertRegex(server.address, r"^127\.0\.0\.1:[1-9]\d*$")
            connections = [server.connect() for _ in contents]
            try:
                for connection, content in zip(connections, contents):
                    connection.sendall(content)  # less than the buffers of the kernel hold
                for connection, content in reversed(list(zip(connections, contents))):
                    connection.shutdown(socket.SHUT_WR)
                    self.assertTrue(receive_all(connection) == content, "the bytes differ")
            finally:
                for connection in connections:
                    connection.close()
            server.ask_to_stop()
            self.assertEqual(server.await_end(), (0, ""))

    def test_much_data_comes_back_unchanged(self) -> None:
        with Server("127.0.0.1:0") as server, server.connect() as connection:
            self.exchange(connection, random.Random(2).randbytes(8 << 20))

    def test_ipv6_works(self) -> None:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError as error:
            self.skipTest(f"no IPv6 loopback here: {error}")
        with Server("[::1]:0") as server, server.connect() as connection:
            self.assertRegex(server.address, r"^\[::1\]:[1-9]\d*$")
            self.exchange(connection, b"over IPv6")

    def test_a_client_that_resets_its_connection_harms_no_other(self) -> None:
        with Server("127.0.0.1:0") as server, server.connect() as staying:
            staying.sendall(b"a")
            self.assertEqual(staying.recv(1), b"a")
            for _ in range(10):
                leaving = server.connect()
                leaving.sendall(b"x" * 100000)
                leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                leaving.close()  # with a reset, whatever is on its way
            self.exchange(staying, b"still here")

    def test_a_second_server_on_a_port_says_that_it_is_in_use(self) -> None:
        with Server("127.0.0.1:0") as server:
            result = run("echo", server.address)
            self.assert_ends(result, 1)
            self.assertEqual(result.stderr, f"echo: cannot serve {server.address}: "
                                            "Address already in use\n")
            self.assertEqual(result.stdout, "")
            with server.connect() as connection:
                self.exchange(connection, b"the first one works on")

    def test_a_server_can_restart_on_its_port(self) -> None:
        with Server("127.0.0.1:0") as server, server.connect() as connection:
            address = server.address
            connection.sendall(b"a")
            self.assertEqual(connection.recv(1), b"a")
            server.end()  # it closes first, so its end of the connection lingers
            self.assertEqual(connection.recv(1), b"")
        await_free(address)
        with Server(address) as server, server.connect() as connection:
            self.assertEqual(server.address, address)
            self.exchange(connection, b"again")

    def test_a_signal_ends_it_when_the_last_session_has_ended(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name), Server("127.0.0.1:0") as server:
                with server.connect() as connection:
                    connection.sendall(b"a")
                    self.assertEqual(connection.recv(1), b"a")
                    server.ask_to_stop(number)
                    await_closed(server)
                    self.exchange(connection, b"may finish")
                self.assertEqual(server.await_end(), (0, ""))

    def test_a_second_signal_ends_it_at_once(self) -> None:
        with Server("127.0.0.1:0") as server, server.connect() as connection:
            connection.sendall(b"a")
            self.assertEqual(connection.recv(1), b"a")
            server.ask_to_stop()
            await_closed(server)  # the first one has done its work
            server.ask_to_stop()
            self.assertEqual(server.await_end(), (-signal.SIGTERM, ""))

    def test_a_wrong_address_is_named(self) -> None:
        for address in ("localhost:7", "127.0.0.1", "127.0.0.1:70000", "[::1]"):
            with self.subTest(address=address):
                result = run("echo", address)
                self.assert_ends(result, 1)
                self.assertIn(f'"{address}" cannot be read', result.stderr)
                self.assertIn(f"echo: cannot serve {address}", result.stderr)
                self.assertEqual(result.stdout, "")

    def test_an_address_of_another_machine_is_refused(self) -> None:
        address = "192.0.2.1:0"  # TEST-NET-1 (RFC 5737): no machine has it
        result = run("echo", address)
        self.assert_ends(result, 1)
        self.assertIn(f"cannot serve {address}: Cannot assign requested address",
                      result.stderr)

    def test_a_wrong_cpu_is_named(self) -> None:
        for cpus in ("99999", "first", "-1"):
            with self.subTest(cpus=cpus):
                result = run("echo", "--cpus", cpus, "127.0.0.1:0")
                self.assert_ends(result, 1)
                self.assertIn(cpus, result.stderr)
                self.assertRegex(result.stderr, r"(?i)\bcpus?\b")
                self.assertEqual(result.stdout, "")

    def test_it_serves_when_pinned(self) -> None:
        cpu = str(min(os.sched_getaffinity(0)))
        with Server("--cpus", cpu, "127.0.0.1:0") as server, server.connect() as connection:
            self.exchange(connection, b"pinned")


class InEpoll(ExampleTest):
    class Server(Server):
        PROGRAM = "in_epoll"

        def say(self, letters: str) -> None:
            assert self.process.stdin is not None
            self.process.stdin.write(letters)
            self.process.stdin.flush()

        def hear(self) -> str:
            assert self.process.stdout is not None
            return self.process.stdout.readline()

    def test_tasks_and_the_host_take_turns_in_one_thread(self) -> None:
        with self.Server("127.0.0.1:0") as server:
            peers = [server.connect() for _ in range(3)]
            for peer in peers:
                peer.sendall(b"text")
                self.assertEqual(peer.recv(4), b"text")
            server.say("c")
            self.assertEqual(server.hear(), "3 connections\n")
            peers[0].shutdown(socket.SHUT_WR)
            self.assertEqual(peers[0].recv(1), b"")  # closed: after it was counted
            server.say("c")
            self.assertEqual(server.hear(), "2 connections\n")
            server.say("s")  # with two connections open
            self.assertEqual(server.await_end(), (0, ""))
            for peer in peers:
                peer.close()

    def test_the_end_of_the_input_stops_it(self) -> None:
        with self.Server("127.0.0.1:0") as server:
            self.assertEqual(server.await_end(), (0, ""))

    def test_an_address_that_cannot_be_had_is_an_error(self) -> None:
        result = run("in_epoll", "192.0.2.1:1")
        self.assert_ends(result, 1)
        self.assertIn("in_epoll: 192.0.2.1:1: ", result.stderr)


class InLibuv(ExampleTest):
    def test_a_client_of_libuv_talks_to_a_task_in_its_thread(self) -> None:
        if not os.path.exists(path_of("in_libuv")):
            self.skipTest("there is no libuv")
        result = run("in_libuv")
        self.assert_ends(result, 0)
        self.assertEqual((result.stdout, result.stderr), ("100 of 100 messages came back\n", ""))


class ClientLibrary(ExampleTest):
    def setUp(self) -> None:
        super().setUp()
        if not os.path.exists(path_of("client_library")) or not example.KV:
            self.skipTest("there is no hiredis, or no rt-kv")

    def test_tasks_use_it_side_by_side(self) -> None:
        with subprocess.Popen([example.KV, "--port", "0"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port = ""
                while not port:
                    line = server.stdout.readline()
                    self.assertNotEqual(line, "")
                    found = re.match(r"listening on .*:(\d+)$", line)
                    port = found.group(1) if found else ""
                result = run("client_library", "127.0.0.1", port)
            finally:
                server.terminate()
        self.assert_ends(result, 0)
        self.assertEqual(result.stdout, "20 tasks had 50 commands each answered\n")

    def test_a_server_that_is_not_there_is_an_error(self) -> None:
        with socket.socket() as taken:  # bound, and nobody listens
            taken.bind(("127.0.0.1", 0))
            result = run("client_library", "127.0.0.1", str(taken.getsockname()[1]))
        self.assert_ends(result, 1)
        self.assertIn("Connection refused", result.stderr)


if __name__ == "__main__":
    sys.exit(example.main("Run the examples over sockets and check what they do."))
