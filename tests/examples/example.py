# SPDX-License-Identifier: MIT
"""What the tests of the examples share: running one, a folder for its files, and the start.

Exit status 77 when the kernel has no io_uring.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import unittest

SECONDS_MAX = 60  # a program that takes longer has failed, on a slow machine with sanitizers too
BIN = "."
KV = ""  # the server rt-kv; "": it was not built


def path_of(name: str) -> str:
    return os.path.join(BIN, name)


def run(name: str, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([path_of(name), *arguments], input=text,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=SECONDS_MAX, check=False)


class ExampleTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="shardrt-examples-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name: str) -> str:
        return os.path.join(self.folder.name, name)

    def write(self, name: str, content: bytes) -> str:
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def read(self, name: str) -> bytes:
        with open(self.path(name), "rb") as file:
            return file.read()

    def assert_ends(self, result: "subprocess.CompletedProcess[str]", status: int) -> None:
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)


def have_io_uring() -> bool:
    result = run("hello")
    if result.returncode != 0 and "io_uring" in result.stderr:
        print("skipped: " + result.stderr, file=sys.stderr)
        return False
    return True


def main(description: str) -> int:
    global BIN, KV
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bin", required=True, help="folder of the built examples")
    parser.add_argument("--kv", default="", help="the server rt-kv")
    options, rest = parser.parse_known_args()
    BIN = os.path.abspath(options.bin)
    KV = options.kv
    os.umask(0o022)  # permissions of copies are compared
    if not have_io_uring():
        return 77
    program = unittest.main(argv=[sys.argv[0], *rest], exit=False)
    return 0 if program.result.wasSuccessful() else 1
