#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-kv as its clients see it.

    kv_test.py --bin FILE [--hiredis FILE] [unittest options]

FILE is rt-kv, and the client of kv_hiredis.c. Three methods: the same bytes go to rt-kv and to a
real redis-server, and the replies must be the same; random pipelines are compared with a
dictionary; and limits and the stop are looked at one by one. Servers run with one shard and with
three. Exit status 77 when the kernel has no io_uring; what needs a program of Redis that is not
installed is skipped.
"""
import argparse
import os
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from typing import Dict, List, Optional, Tuple

import kv_harness
from kv_harness import (SECONDS_MAX, Client, KvTest, Redis, Reply, Server, exchange, info_of,
                        redis_server, request)

HIREDIS: Optional[str] = None
SLOWNESS = 1  # a sanitized build takes so many times as long

K = b"{key}"  # in a stream of the table: a key of the case's own

STREAMS: Dict[str, bytes] = {
    # what is right
    "ping": request("PING") + request("ping", "hello") + b"PING\r\nPiNg x\n",
    "echo": request("ECHO", b"a\0b\r\nc") + b'ECHO "a\\x00b\\n"\r\n',
    "set and get": request("SET", K, "v") + request("GET", K) + request("GET", K + b"no"),
    "empty value": request("SET", K, "") + request("GET", K),
    "empty key": request("SET", "", "x") + request("GET", "") + request("DEL", ""),
    "overwrite": b"".join(request("SET", K, b"x" * n) + request("GET", K)
                          for n in (1, 100, 3, 1000, 999, 0, 24)),
    "set nx": request("SET", K, 1, "nx") + request("SET", K, 2, "NX") + request("GET", K),
    "set xx": request("SET", K, 1, "xx") + request("SET", K, 2) + request("SET", K, 3, "XX") +
              request("GET", K),
    "delete": request("SET", K, 1) + request("DEL", K, K + b"2", K) + request("GET", K),
    "exists": request("SET", K, 1) + request("EXISTS", K, K + b"2", K),
    "incr": request("INCR", K) + request("INCR", K) + request("GET", K),
    "incr below zero": request("SET", K, -2) + request("INCR", K) * 3,
    "mget": request("SET", K + b"1", "a") + request("SET", K + b"2", "b") +
            request("MGET", K + b"1", K + b"3", K + b"2", K + b"1"),
    "select": request("SELECT", 0),
    "quit": request("SET", K, 1) + b"QUIT\r\n" + request("INCR", K),
    "quit with words": request("QUIT", "now") + request("PING"),
    "client names": request("CLIENT", "GETNAME") + request("CLIENT", "SETNAME", "me") +
                    request("client", "getname") + request("CLIENT", "SETNAME", ""),
    "config get": request("CONFIG", "GET", "save") + request("CONFIG", "GET", "appendonly") +
                  request("CONFIG", "GET", "nothing"),
    "info of nothing": request("INFO", "nothing"),
    # inline
    "empty lines": b"\r\n\n   \r\nPING\r\n",
    "quotes": b"ECHO 'it\\'s'\r\nECHO \"a\\tb\\\\c\\\"d\\q\"\r\nECHO \"\\x41\\x4g\"\r\nECHO ''\r\n",
    "quotes in a word": b"ECHO a\"b c\"\r\n",
    "unbalanced": b"PING\r\nECHO \"abc\r\nPING\r\n",
    "unbalanced single": b"ECHO 'abc\r\n",
    "quote in the middle": b"ECHO \"abc\"d\r\n",
    "tabs": b"\tECHO\t x \t\r\n",
    "carriage return inside": b"ECHO a\rb\r\n",
    "too big inline": b"PING\r\n" + b"a" * (70 * 1024),
    # wrong commands
    "unknown": request("FOO") + request("foo", "a", "b c") + b"nope x\r\n",
    "unknown with long words": request("FOO", "a" * 100, "b" * 100, "c"),
    "unknown with many words": request("FOO", *range(100)),
    "unknown with newlines": request("F\r\nO", "a\nb", "x"),
    "unknown with a zero": request(b"F\0O", b"a\0b", "x"),
    "long name": request("F" * 200),
    "empty name": request("") + request("", "a"),
    "arity": b"".join(request(*words.split()) for words in (
        "GET", "GET a b", "SET a", "SET", "DEL", "EXISTS", "INCR", "INCR a b", "MGET", "ECHO",
        "ECHO a b", "PING a b", "DBSIZE x", "SELECT", "SELECT 0 1", "CLIENT", "CONFIG",
        "CONFIG GET", "CLIENT SETNAME", "CLIENT GETNAME x", "CLIENT ID x", "COMMAND COUNT x")),
    "subcommands": request("CLIENT", "foo") + request("config", "Foo", "x") +
                   request("COMMAND", "foo"),
    "set options": b"".join(request("SET", K, "v", *words.split()) for words in (
        "NX XX", "nope", "EX", "PX 1 EX 1", "NX NX")) + request("GET", K),
    "select of what is not there": request("SELECT", 1) + request("SELECT", -1) +
                                   request("SELECT", "x") + request("SELECT", 99999999999),
    "client name with a space": request("CLIENT", "SETNAME", "a b"),
    "not a number": b"".join(request("SET", K, value) + request("INCR", K) for value in (
        "x", "", " 1", "1 ", "+1", "01", "-0", "1.0", "9223372036854775808",
        "-9223372036854775809", "99999999999999999999999", "9223372036854775807",
        "9223372036854775806", "-9223372036854775808", "-", "0")),
    # wrong protocol
    "no multibulk length": b"*\r\nPING\r\n",
    "wrong multibulk length": b"PING\r\n*x\r\nPING\r\n",
    "multibulk length with a space": b"*1 \r\n$4\r\nPING\r\n",
    "large multibulk length": b"*2147483648\r\n",
    "negative multibulk": b"*-1\r\n*0\r\n*-10\r\nPING\r\n",
    "no dollar": b"*1\r\nPING\r\n",
    "no dollar but a line end": b"*1\r\n\r\n\r\n",
    "no bulk length": b"*1\r\n$\r\n",
    "negative bulk length": b"*1\r\n$-1\r\n",
    "bulk length with a sign": b"*1\r\n$+4\r\nPING\r\n",
    "bulk length that is no number": request("PING") + b"*2\r\n$4\r\nECHO\r\n$abc\r\n",
    "bulk too large": b"*2\r\n$4\r\nECHO\r\n$1048577\r\n",
    "long multibulk line": b"*" + b"1" * (70 * 1024),
    "long bulk line": b"*1\r\n$" + b"1" * (70 * 1024),
    "anything behind an argument": b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    "unfinished": request("PING") + b"*2\r\n$4\r\nECHO\r\n$5\r\nabc",
}


class Differential(KvTest):
    """The same bytes to rt-kv and to Redis."""

    redis: Redis

    @classmethod
    def setUpClass(cls) -> None:
        if redis_server() is None:
            raise unittest.SkipTest("there is no Redis: tools/dev/setup --lint")
        folder = tempfile.TemporaryDirectory(prefix="rt-kv-")
        cls.addClassCleanup(folder.cleanup)
        cls.redis = Redis(folder.name)
        cls.addClassCleanup(cls.redis.close)

    def compare(self, shards: str, cut: int) -> None:
        """With `cut` bytes per send; 0: all at once."""
        server = self.server(shards=shards)
        for number, (name, stream) in enumerate(STREAMS.items()):
            if cut > 0 and len(stream) > 4096:
                continue
            key = b"k%s-%d-%d" % (shards.encode(), cut, number)
            stream = stream.replace(b"$%d\r\n%s" % (len(K), K), b"$%d\r\n%s" % (len(key), key))
            for end in b"123no":  # keys with something behind
                stream = stream.replace(K + bytes([end]), key + bytes([end]))
            stream = re.sub(rb"\$(\d+)\r\n(" + key + rb"(?:no|\d)?)\r\n",
                            lambda m: b"$%d\r\n%s\r\n" % (len(m.group(2)), m.group(2)), stream)
            pieces = [stream[i:i + cut] for i in range(0, len(stream), cut)] if cut else [stream]
            with self.subTest(name=name, shards=shards, cut=cut):
                self.assertEqual(exchange(server.connect(), pieces),
                                 exchange(self.redis.connect(), pieces))

    def test_replies_are_those_of_redis(self) -> None:
        for shards in self.SHARDS:
            self.compare(shards, 0)

    def test_replies_are_those_of_redis_when_each_byte_comes_alone(self) -> None:
        for shards in self.SHARDS:
            self.compare(shards, 1)


class Splits(KvTest):
    def test_a_pipeline_cut_in_two_at_any_byte_gets_the_same_replies(self) -> None:
        stream = (request("SET", "a", "one") + b"GET a\r\n" + request("MGET", "a", "b", "c") +
                  request("SET", "b", b"\r\n*1\r\n") + request("DEL", "a", "b") + b"ECHO 'x y'\r\n")
        replies = b"+OK\r\n$3\r\none\r\n*3\r\n$3\r\none\r\n$-1\r\n$-1\r\n+OK\r\n:2\r\n$3\r\nx y\r\n"
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            for cut in range(1, len(stream)):
                peer = server.connect()
                self.assertEqual(exchange(peer, [stream[:cut], stream[cut:]]), replies, cut)


class Model(KvTest):
    """Random pipelines beside a dictionary."""

    def command(self, rand: random.Random, model: Dict[bytes, bytes]) -> Tuple[bytes, Reply]:
        """A request, and what it must answer."""
        def key() -> bytes:
            return b"key:%d" % rand.randrange(40)
        kind = rand.randrange(8)
        if kind == 0:
            name, value = key(), rand.randbytes(rand.choice((0, 5, 64, 5000)))
            model[name] = value
            return request("SET", name, value), "+OK"
        if kind == 1:
            name = key()
            return request("GET", name), model.get(name)
        if kind == 2:
            names = [key() for _ in range(rand.randrange(1, 12))]
            return request("MGET", *names), [model.get(name) for name in names]
        if kind == 3:
            names = [key() for _ in range(rand.randrange(1, 4))]
            return request("DEL", *names), sum(model.pop(name, None) is not None
                                               for name in names)
        if kind == 4:
            names = [key() for _ in range(rand.randrange(1, 12))]
            return request("EXISTS", *names), sum(name in model for name in names)
        if kind == 5:
            name = b"n:%d" % rand.randrange(10)
            model[name] = b"%d" % (int(model.get(name, b"0")) + 1)
            return request("INCR", name), int(model[name])
        if kind == 6:
            return b"ECHO 'in between'\r\n", b"in between"
        return request("FOO"), "-ERR unknown command 'FOO', with args beginning with: "

    def test_random_pipelines_answer_as_a_dictionary_does(self) -> None:
        for shards in self.SHARDS:
            server = self.server("--pipeline-max", "7", shards=shards)
            for seed in (int(os.environ["RT_SEED"]),) if "RT_SEED" in os.environ else range(3):
                rand = random.Random(seed)
                with server.client() as client:
                    model: Dict[bytes, bytes] = {}
                    client.send("DEL", *[b"key:%d" % i for i in range(40)],
                                *[b"n:%d" % i for i in range(10)])
                    client.read()
                    for _ in range(50):
                        asked = [self.command(rand, model) for _ in range(rand.randrange(1, 60))]
                        client.peer.sendall(b"".join(data for data, _ in asked))
                        for data, expected in asked:
                            self.assertEqual(client.read(), expected, (seed, data[:200]))
                    self.assertEqual(client.ask("DBSIZE"), len(model), seed)

    def test_many_keys_are_all_found_again(self) -> None:
        keys = 20000  # several times the size at which the table begins to grow
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            with server.client() as client:
                for first in range(0, keys, 500):
                    numbers = range(first, first + 500)
                    client.peer.sendall(b"".join(request("SET", i, i) for i in numbers))
                    self.assertEqual({client.read() for _ in numbers}, {"+OK"})
                self.assertEqual(client.ask("DBSIZE"), keys)
                for first in range(0, keys, 500):
                    numbers = range(first, first + 500)
                    self.assertEqual(client.ask("MGET", *numbers),
                                     [str(i).encode() for i in numbers])
                info = info_of(client)
                self.assertEqual(info["db0"], f"keys={keys},expires=0,avg_ttl=0")
                per_shard = [dict(field.split("=") for field in info[f"shard{i}"].split(","))
                             for i in range(int(shards))]
                counts = [int(shard["keys"]) for shard in per_shard]
                self.assertEqual(sum(counts), keys)
                self.assertGreater(min(counts), keys / int(shards) * 0.9)
                # One batch per shard and pipeline, not one message per key.
                for counter in ("batches_sent", "batches_run"):
                    batches = sum(int(shard[counter]) for shard in per_shard)
                    self.assertEqual(batches > 0, shards != "1")
                    self.assertLess(batches, keys / 2)


class Limits(KvTest):
    def test_replies_far_longer_than_any_buffer_arrive_whole(self) -> None:
        value = random.Random(1).randbytes(300 * 1024)
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            with server.client() as client:
                for i in range(8):
                    self.assertEqual(client.ask("SET", i, value), "+OK")
                names = [i % 8 for i in range(64)]  # 19 MiB, asked for before any is read
                client.peer.sendall(request("MGET", *names) + request("GET", 3) * 20 +
                                    request("ECHO", "end"))
                self.assertEqual(client.read(), [value] * 64)
                for _ in range(20):
                    self.assertEqual(client.read(), value)
                self.assertEqual(client.read(), b"end")

    def test_long_keys_and_values_are_refused(self) -> None:
        for shards in self.SHARDS:
            server = self.server("--key-max", "10", "--value-max", "1k", shards=shards)
            with server.client() as client:
                self.assertEqual(client.ask("SET", "k" * 10, "v" * 1024), "+OK")
                self.assertEqual(client.ask("GET", "k" * 10), b"v" * 1024)
                for words in (("SET", "k" * 11, "v"), ("GET", "k" * 11), ("DEL", "a", "k" * 11)):
                    self.assertEqual(client.ask(*words),
                                     "-ERR key exceeds maximum allowed size (10 bytes)")
                client.send("SET", "k", "v" * 1025)
                self.assertEqual(client.read(), "-ERR Protocol error: invalid bulk length")
                self.assertEqual(client.file.read(), b"")

    def test_values_stop_at_their_limit_where_keys_may_be_longer(self) -> None:
        server = self.server("--key-max", "2000", "--value-max", "1000")
        with server.client() as client:
            self.assertEqual(client.ask("SET", "k", "v" * 1001),
                             "-ERR string exceeds maximum allowed size (1000 bytes)")

    def test_a_request_that_is_too_long_ends_the_connection(self) -> None:
        server = self.server("--value-max", "1k")
        with server.client() as client:
            self.assertEqual(client.ask("EXISTS", *["x" * 1000] * 200),
                             "-ERR Protocol error: too big request")

    def test_full_memory_refuses_what_is_new_and_keeps_what_is_there(self) -> None:
        for shards in self.SHARDS:
            server = self.server("--memory-max", "1m", shards=shards)
            with server.client() as client:
                stored = 0
                while client.ask("SET", stored, "x" * 1000) == "+OK":
                    stored += 1
                self.assertEqual(client.ask("SET", stored, "x" * 1000),
                                 "-OOM command not allowed when used memory > 'maxmemory'.")
                self.assertGreater(stored, 600)
                self.assertLess(stored, 1049)
                self.assertEqual(client.ask("EXISTS", *range(stored)), stored)
                self.assertLessEqual(int(info_of(client)["used_memory"]), 1 << 20)
                self.assertEqual(client.ask("DEL", *range(100)), 100)
                self.assertEqual(client.ask("SET", 0, "x" * 900), "+OK")

    def test_one_connection_too_many_is_told_so(self) -> None:
        for shards in self.SHARDS:
            server = self.server("--connections-max", "5", shards=shards)
            clients = [server.client() for _ in range(5)]
            for client in clients:
                self.assertEqual(client.ask("PING"), "+PONG")
            with server.client() as refused:
                self.assertEqual(refused.read(), "-ERR max number of clients reached")
                self.assertEqual(refused.file.read(), b"")
            self.assertEqual(info_of(clients[0])["rejected_connections"], "1")
            for client in clients:
                client.send("QUIT")
                self.assertEqual(client.read(), "+OK")
                self.assertEqual(client.file.read(), b"")
                client.close()
            with server.client() as client:
                self.assertEqual(client.ask("PING"), "+PONG")

    def test_a_peer_that_is_gone_does_not_undo_its_requests(self) -> None:
        for shards in self.SHARDS:
            # Of the 20 MB of replies none is read, so sending fails long before the last request.
            server = self.server("--pipeline-max", "150", shards=shards)
            with server.client() as watcher:
                self.assertEqual(watcher.ask("SET", "long", "x" * 100000), "+OK")
                peer = server.connect()
                peer.sendall(request("GET", "long") * 100 + request("INCR", "same round") +
                             request("GET", "long") * 100 + request("INCR", "later round"))
                peer.close()
                deadline = time.monotonic() + SECONDS_MAX
                while watcher.ask("MGET", "same round", "later round") != [b"1", b"1"]:
                    self.assertLess(time.monotonic(), deadline)


class Start(KvTest):
    def test_help_goes_to_standard_output(self) -> None:
        result = subprocess.run([kv_harness.BIN, "--help"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.startswith("usage: rt-kv"))
        self.assertIn("--cpus", result.stdout)

    def test_wrong_options_exit_with_2_and_say_why(self) -> None:
        for words, text in ((["--port", "70000"], "--port 70000: expected a number in 0..65535"),
                            (["--port", "x"], "--port x"), (["--port"], "--port"),
                            (["--value-max", "0"], "--value-max 0: expected bytes in"),
                            (["--value-max", "10q"], "--value-max 10q"),
                            (["--value-max", "513m"], "--value-max 513m"),
                            (["--drain", "-1"], "--drain -1: expected seconds"),
                            (["--drain", "nan"], "--drain nan"),
                            (["--pipeline-max", "0"], "--pipeline-max 0"),
                            (["--nope"], "--nope"), (["more"], "more: expected options only")):
            with self.subTest(words=words):
                result = subprocess.run([kv_harness.BIN, *words], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX,
                                        check=False)
                self.assertEqual(result.returncode, 2, result.stdout)
                self.assertIn(text, result.stderr)

    def test_an_address_that_cannot_be_had_exits_with_1_and_says_why(self) -> None:
        for bind in ("192.0.2.1", "localhost"):
            result = subprocess.run([kv_harness.BIN, "--bind", bind, "--shards", "1"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                    timeout=SECONDS_MAX, check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(f"cannot listen on {bind}:6379", result.stderr)

    def test_it_listens_on_the_address_that_it_is_told(self) -> None:
        server = self.server("--bind", "::1", shards="2")
        self.assertEqual(server.host, "::1")
        with server.client() as client:
            self.assertEqual(client.ask("CONFIG", "GET", "bind", "port"),
                             [b"bind", b"::1", b"port", str(server.port).encode()])

    def test_it_prints_the_plan_and_binds_to_this_machine_alone(self) -> None:
        server = self.server()
        self.assertEqual(server.host, "127.0.0.1")
        self.assertGreater(len(server.started), 1)


class Stop(KvTest):
    def test_idle_connections_are_closed_at_once(self) -> None:
        for shards in self.SHARDS:
            server = self.server("--drain", "30", shards=shards)
            clients = [server.client() for _ in range(20)]
            for client in clients:
                self.assertEqual(client.ask("PING"), "+PONG")
            before = time.monotonic()
            server.stop()
            for client in clients:
                self.assertEqual(client.file.read(), b"")
                client.close()
            self.assert_ends(server)
            self.assertLess(time.monotonic() - before, 10)  # and not 30 s

    def test_what_was_received_is_answered(self) -> None:
        for shards in self.SHARDS:
            server = self.server("--drain", "30", shards=shards)
            stream = b"".join(request("SET", i, b"v" * 1000) + request("GET", i)
                              for i in range(1000))
            clients = [server.client() for _ in range(8)]
            for client in clients:
                self.assertEqual(client.ask("PING"), "+PONG")
                threading.Thread(target=client.peer.sendall, args=(stream,), daemon=True).start()
                self.assertEqual(client.read(), "+OK")  # so the rest is on its way
            server.stop()
            for client in clients:
                replies = b"+OK\r\n" + client.file.read()
                # Whole replies only, in order, up to where it was stopped.
                self.assertEqual(replies, (b"+OK\r\n$1000\r\n" + b"v" * 1000 + b"\r\n") *
                                 (len(replies) // 1014) + b"+OK\r\n" * (len(replies) % 1014 // 5))
                client.close()
            self.assert_ends(server)

    def test_replies_that_wait_for_their_peer_are_sent(self) -> None:
        value = b"v" * 100000
        for shards in self.SHARDS:
            server = self.server("--drain", "30", shards=shards)
            with server.client() as client:
                self.assertEqual(client.ask("SET", "long", value), "+OK")
                client.peer.sendall(request("GET", "long") * 100)  # more than sockets hold
                self.assertEqual(client.read(), value)
                with server.client() as other:  # has its turn when the first one waits
                    self.assertEqual(other.ask("DBSIZE"), 1)
                server.stop()
                for _ in range(99):
                    self.assertEqual(client.read(), value)
                self.assertEqual(client.file.read(), b"")
            self.assert_ends(server)

    def test_it_ends_within_two_seconds_under_load(self) -> None:
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            ended = threading.Event()

            def load(client: Client, ended: threading.Event = ended) -> None:
                stream = request("SET", "k", "v" * 64) * 16
                try:
                    while not ended.is_set():
                        client.peer.sendall(stream)
                        for _ in range(16):
                            client.read()
                except (OSError, EOFError):
                    pass
                client.close()

            clients = [server.client() for _ in range(8)]
            for client in clients:
                self.assertEqual(client.ask("PING"), "+PONG")
            threads = [threading.Thread(target=load, args=(client,)) for client in clients]
            # One that sends and reads nothing, until it is not read any more itself.
            deaf = server.connect()
            deaf.setblocking(False)
            for thread in threads:
                thread.start()
            try:
                while True:
                    deaf.send(request("ECHO", "x" * 10000))
                    if not select.select([], [deaf], [], 0.2)[1]:
                        break
            except BlockingIOError:
                pass
            before = time.monotonic()
            server.stop()
            self.assert_ends(server)
            self.assertLess(time.monotonic() - before, 2 * SLOWNESS)
            ended.set()
            for thread in threads:
                thread.join()
            deaf.close()


class Tools(KvTest):
    def run_tool(self, server: Server, name: str, *arguments: str) -> str:
        if shutil.which(name) is None:
            self.skipTest(f"{name} is not installed")
        result = subprocess.run([name, "-h", server.host, "-p", str(server.port), *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX,
                                check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def test_redis_cli_sets_and_gets(self) -> None:
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            self.assertEqual(self.run_tool(server, "redis-cli", "set", "a", "1 2"), "OK\n")
            self.assertEqual(self.run_tool(server, "redis-cli", "get", "a"), "1 2\n")
            self.assertEqual(self.run_tool(server, "redis-cli", "mget", "a", "b"), "1 2\n\n")
            self.assertEqual(self.run_tool(server, "redis-cli", "dbsize"), "1\n")
            self.assertIn("shard0:keys=", self.run_tool(server, "redis-cli", "info"))
            self.assertIn("get", self.run_tool(server, "redis-cli", "command"))

    def test_redis_benchmark_runs_without_an_error(self) -> None:
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            for pipeline in ("1", "16"):
                output = self.run_tool(server, "redis-benchmark", "-t", "ping,set,get,incr",
                                       "-n", "2000", "-c", "20", "-P", pipeline, "-r", "1000",
                                       "-d", "64", "-q")
                self.assertEqual(output.count("requests per second"), 5, output)

    def test_hiredis_pipelines(self) -> None:
        if HIREDIS is None:
            self.skipTest("libhiredis-dev is not installed")
        for shards in self.SHARDS:
            server = self.server(shards=shards)
            result = subprocess.run([HIREDIS, server.host, str(server.port)],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    timeout=SECONDS_MAX, check=False)
            self.assertEqual((result.returncode, result.stdout), (0, ""))


def main() -> int:
    global HIREDIS, SLOWNESS
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--hiredis")
    parser.add_argument("--slowness", type=int, default=1)
    arguments, rest = parser.parse_known_args()
    kv_harness.BIN = arguments.bin
    HIREDIS, SLOWNESS = arguments.hiredis, arguments.slowness
    probe = subprocess.run([arguments.bin, "--shards", "1", "--bind", "192.0.2.1"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if "cannot listen" not in probe.stderr:
        print("the runtime does not start here: " + probe.stderr, file=sys.stderr)
        return 77
    unittest.main(argv=[sys.argv[0], *rest])
    return 0


if __name__ == "__main__":
    sys.exit(main())
