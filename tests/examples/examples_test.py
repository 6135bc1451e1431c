#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples, run as their readers run them; servers_test.py has those over sockets.

    examples_test.py --bin DIR [unittest options]

DIR holds all that is made of docs/examples. Exit status 77 when the kernel has no io_uring.
"""
import os
import random
import re
import subprocess
import sys
from typing import Dict, List

import example
from example import ExampleTest, path_of, run


class Hello(ExampleTest):
    def test_it_says_hello(self) -> None:
        result = run("hello")
        self.assert_ends(result, 0)
        self.assertEqual((result.stdout, result.stderr), ("hello, world\n", ""))


class Usage(ExampleTest):
    def test_wrong_options_print_the_usage_and_exit_with_2(self) -> None:
        for command in (["life_of_a_task", "--fourth"], ["echo", "--port", "1"], ["echo"],
                        ["echo", "127.0.0.1:0", "more"], ["copy", "--quick", "a", "b"], ["copy"],
                        ["copy", "a"], ["copy", "a", "b", "c"], ["pipeline"],
                        ["pipeline", "--lines", "a"],
                        ["session_future", "0"], ["session_future", "1", "2"],
                        ["latency_queue", "0"], ["latency_queue", "10001"],
                        ["latency_queue", "1x"], ["latency_queue", "1", "2"],
                        ["append_log"], ["append_log", "--tasks", "0", "a"],
                        ["append_log", "--records", "1x", "a"], ["append_log", "a", "b"],
                        ["count_names"], ["count_names", "a", "b"],
                        ["mesh_shuffle"], ["mesh_shuffle", "a", "b"],
                        ["in_epoll"], ["in_epoll", "a", "b"], ["in_epoll", "--help"]):
            with self.subTest(command=command):
                result = run(*command)
                self.assert_ends(result, 2)
                self.assertIn("usage: " + command[0], result.stderr)
                self.assertEqual(result.stdout, "")

    def test_help_is_printed_to_standard_output(self) -> None:
        for name in ("life_of_a_task", "echo", "copy", "pipeline", "session_future",
                     "latency_queue", "append_log", "count_names", "mesh_shuffle"):
            with self.subTest(name=name):
                result = run(name, "--help")
                self.assert_ends(result, 0)
                self.assertTrue(result.stdout.startswith("usage: " + name))
                self.assertEqual(result.stderr, "")


FIRST_STARTS = [
    "task 0 'first'  spawn     is made",
    "task 0 'first'  schedule  stands in the queue",
    "task 0 'first'  run       runs",
]
SECOND_IS_MADE = [
    "task 1 'second'  spawn     is made by task 0",
    "task 1 'second'  schedule  stands in the queue",
]
THIRD_IS_MADE = [
    "task 2 'third'  spawn     is made by task 0",
    "task 2 'third'  schedule  stands in the queue",
]
SECOND_IS_CANCELLED = ["task 1 'second'  cancel    is asked to end by task 0"]
FIRST_WAITS = ["task 0 'first'  wait      is suspended until join of task 1"]
SECOND_RUNS = ["task 1 'second'  run       runs"]
FIRST_GOES_ON = [
    "task 0 'first'  schedule  stands in the queue",
    "task 0 'first'  run       runs",
]
THIRD_STARTS = [
    "task 2 'third'  run       runs",
    "task 2 'third'  yield     lets others run",
    "task 2 'third'  schedule  stands in the queue",
]
THIRD_ENDS = [
    "task 2 'third'  run       runs",
    "task 2 'third'  return    returns 0",
]
THIRD_IS_JOINED = [
    "task 2 'third'  joined    gives its result by task 0 0",
    "task 2 'third'  free      is gone",
]


def begins(what: str) -> List[str]:
    return [
        f"task 1 'second'  submit    hands to the kernel: {what}",
        f"task 1 'second'  wait      is suspended until {what}",
    ]


def ends(what: str, value: str) -> List[str]:
    return [
        "executor  sleep     sleeps in the ring",
        "executor  awake     is awake again, completions: 1",
        f"task 1 'second'  complete  gets from the kernel: {what} {value}",
        "task 1 'second'  wake      is woken",
        "task 1 'second'  schedule  stands in the queue",
        "task 1 'second'  run       runs",
    ]


def by_task(lines: List[str]) -> Dict[str, List[str]]:
    """The lines of each task. Where another task runs meanwhile, what has waited for 50 us is
    submitted while it does, and is taken when the quota is used: how the two mix is open."""
    tasks: Dict[str, List[str]] = {}
    for line in lines:
        if line.startswith("task "):
            tasks.setdefault(" ".join(line.split()[:3]), []).append(line)
    return tasks


def second_returns(value: int) -> List[str]:
    return [
        f"task 1 'second'  return    returns {value}",
        "task 0 'first'  wake      is woken by task 1",
        "task 0 'first'  schedule  stands in the queue",
    ]


def second_is_joined(value: int) -> List[str]:
    return [
        f"task 1 'second'  joined    gives its result by task 0 {value}",
        "task 1 'second'  free      is gone",
    ]


def first_returns(value: int) -> List[str]:
    return [f"> the second task's result is {value}", f"task 0 'first'  return    returns {value}"]


class LifeOfATask(ExampleTest):
    def life(self, status: int, *arguments: str) -> List[str]:
        """The lines without their times, and with the number of the descriptor as FD."""
        result = run("life_of_a_task", *arguments)
        self.assert_ends(result, status)
        self.assertEqual(result.stderr, "")
        lines = []
        for line in result.stdout.splitlines():
            self.assertRegex(line, r"^ *\d+\.\d us  |^> ")
            line = re.sub(r"^ *\d+\.\d us  ", "", line)
            lines.append(re.sub(r"(kernel: open) \d+$", r"\1 FD", line))
        return lines

    def read_and_close(self, path: str, count: int) -> List[str]:
        return (begins("read") + ends("read", str(count)) + [f"> read {count} bytes of {path}"]
                + begins("close") + ends("close", "0"))

    def test_each_step_is_printed_in_order(self) -> None:
        path = self.write("file", b"nine byte")
        self.assertEqual(
            self.life(0, path),
            FIRST_STARTS + SECOND_IS_MADE + FIRST_WAITS + SECOND_RUNS + begins("open")
            + ends("open", "FD") + self.read_and_close(path, 9) + second_returns(9)
            + FIRST_GOES_ON[1:] + second_is_joined(9) + first_returns(9))

    def test_a_large_file_is_read_up_to_the_buffer(self) -> None:
        path = self.write("file", b"x" * 10000)
        self.assertIn(f"> read 256 bytes of {path}", self.life(0, path))

    def test_a_third_task_runs_while_the_second_waits_for_the_kernel(self) -> None:
        path = self.write("file", b"nine byte")
        start = (FIRST_STARTS + SECOND_IS_MADE + THIRD_IS_MADE + FIRST_WAITS + SECOND_RUNS
                 + begins("open") + THIRD_STARTS[:1])
        lines = self.life(0, "--third", path)
        self.assertEqual(lines[:len(start)], start)
        self.assertEqual(
            by_task(lines),
            by_task(start + THIRD_STARTS[1:] + THIRD_ENDS + ends("open", "FD")
                    + self.read_and_close(path, 9) + second_returns(9) + FIRST_GOES_ON[1:]
                    + second_is_joined(9) + THIRD_IS_JOINED + first_returns(9)))

    def test_a_cancelled_task_hands_nothing_to_the_kernel(self) -> None:
        path = self.write("file", b"nine byte")
        self.assertEqual(
            self.life(1, "--cancel", path),
            FIRST_STARTS + SECOND_IS_MADE + SECOND_IS_CANCELLED + FIRST_WAITS + SECOND_RUNS
            + [f"> cannot open {path}: cancelled"] + second_returns(-125) + FIRST_GOES_ON[1:]
            + second_is_joined(-125) + first_returns(-125))

    def test_a_third_task_lives_on_when_the_second_is_cancelled(self) -> None:
        path = self.write("file", b"nine byte")
        self.assertEqual(
            self.life(1, "--third", "--cancel", path),
            FIRST_STARTS + SECOND_IS_MADE + THIRD_IS_MADE + SECOND_IS_CANCELLED + FIRST_WAITS
            + SECOND_RUNS + [f"> cannot open {path}: cancelled"] + second_returns(-125)
            + THIRD_STARTS + FIRST_GOES_ON[1:] + second_is_joined(-125)
            + ["task 0 'first'  wait      is suspended until join of task 2"] + THIRD_ENDS
            + ["task 0 'first'  wake      is woken by task 2"] + FIRST_GOES_ON + THIRD_IS_JOINED
            + first_returns(-125))

    def test_a_missing_file_is_told_by_the_completion(self) -> None:
        path = self.path("missing")
        self.assertEqual(
            self.life(1, path),
            FIRST_STARTS + SECOND_IS_MADE + FIRST_WAITS + SECOND_RUNS + begins("open")
            + ends("open", "-2") + [f"> cannot open {path}: No such file or directory"]
            + second_returns(-2) + FIRST_GOES_ON[1:] + second_is_joined(-2) + first_returns(-2))


class CountNames(ExampleTest):
    def test_each_name_is_counted_once(self) -> None:
        for i in range(30): # more directories than are open at a time
            for k in range(4):
                folder = self.path(os.path.join("top", f"outer-{i}", f"inner-{k}"))
                os.makedirs(folder)
                os.symlink(folder, os.path.join(folder, "link"))
                with open(os.path.join(folder, "file"), "wb"):
                    pass
        os.makedirs(self.path(os.path.join("top", *["deeper"] * 50)))
        os.mkfifo(self.path(os.path.join("top", "fifo")))
        result = run("count_names", self.path("top"))
        self.assert_ends(result, 0)
        self.assertEqual((result.stdout, result.stderr),
                         ("120 files, 200 directories, 120 links, 1 others\n", ""))

    def test_a_missing_directory_is_named(self) -> None:
        path = self.path("missing")
        result = run("count_names", path)
        self.assert_ends(result, 1)
        self.assertEqual(result.stderr,
                         f"count_names: cannot read {path}: No such file or directory\n")


class MeshShuffle(ExampleTest):
    def test_words_are_counted_the_same_on_any_number_of_shards(self) -> None:
        draw = random.Random(7)
        words = [f"word{int(draw.paretovariate(1)) % 500}" for _ in range(40000)] + ["x" * 100]
        text = "".join(word + draw.choice([" ", "\n", ", ", "-"]) for word in words)
        path = self.write("text", text.encode())
        counts: Dict[str, int] = {}
        for word in words:
            counts[word[:63]] = counts.get(word[:63], 0) + 1
        top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
        expected = (f"{len(words)} words, {len(counts)} different\n"
                    + "".join(f"{times:8} {word}\n" for word, times in top))
        for shards in (1, 2, 5):
            with self.subTest(shards=shards):
                result = run("mesh_shuffle", "--shards", str(shards), path)
                self.assert_ends(result, 0)
                self.assertEqual(result.stdout, expected)

    def test_a_missing_file_is_named(self) -> None:
        path = self.path("missing")
        result = run("mesh_shuffle", path)
        self.assert_ends(result, 1)
        self.assertIn(f"mesh_shuffle: {path}: No such file or directory\n", result.stderr)


class Copy(ExampleTest):
    SIZES = (0, 1, 4095, 4096, 256 << 10, (256 << 10) + 1, 5 << 20)

    def test_the_copy_has_the_same_bytes_and_permissions(self) -> None:
        for size in self.SIZES:
            with self.subTest(size=size):
                content = random.Random(size).randbytes(size)
                source = self.write("from", content)
                os.chmod(source, 0o640)
                target = self.path(f"to-{size}")
                result = run("copy", source, target)
                self.assert_ends(result, 0)
                self.assertEqual(result.stdout, "")
                self.assertIn("100.0 %", result.stderr)
                self.assertTrue(self.read(f"to-{size}") == content, "the bytes differ")
                self.assertEqual(os.stat(target).st_mode & 0o777, 0o640)
                self.assertTrue(self.read("from") == content, "the source has changed")

    def test_it_overwrites_only_with_force(self) -> None:
        source = self.write("from", b"short")
        target = self.write("to", b"what was there, and is longer")
        result = run("copy", source, target)
        self.assert_ends(result, 1)
        self.assertEqual(result.stderr, f"copy: cannot overwrite without --force {target}: "
                                        "File exists\n")
        self.assertEqual(self.read("to"), b"what was there, and is longer")
        self.assert_ends(run("copy", "--force", source, target), 0)
        self.assertEqual(self.read("to"), b"short")

    def test_a_missing_source_is_named_and_makes_no_target(self) -> None:
        source = self.path("missing")
        result = run("copy", source, self.path("to"))
        self.assert_ends(result, 1)
        self.assertEqual(result.stderr, f"copy: cannot open {source}: No such file or directory\n")
        self.assertFalse(os.path.exists(self.path("to")))

    def test_a_target_that_cannot_be_made_is_named(self) -> None:
        source = self.write("from", b"bytes")
        target = self.path(os.path.join("no", "such", "folder"))
        result = run("copy", source, target)
        self.assert_ends(result, 1)
        self.assertEqual(result.stderr,
                         f"copy: cannot create {target}: No such file or directory\n")


class Pipeline(ExampleTest):
    def test_lines_and_bytes_are_counted_and_printed_in_order(self) -> None:
        rand = random.Random(1)
        contents = [b"", b"\n", b"no line", b"a\nb\n", rand.randbytes(65536),
                    rand.randbytes(65537), rand.randbytes(3 << 20), b"\n" * 200000]
        contents += [rand.randbytes(rand.randrange(200000)) for _ in range(20)]
        paths = [self.write(f"file-{i}", content) for i, content in enumerate(contents)]
        result = run("pipeline", *paths)
        self.assert_ends(result, 0)
        self.assertEqual(result.stderr, "")
        lines = [f"{content.count(10)} {len(content)} {path}"
                 for content, path in zip(contents, paths)]
        self.assertEqual(result.stdout.splitlines(), lines)

    def test_a_file_that_cannot_be_read_is_named_and_the_others_are_counted(self) -> None:
        path = self.write("file", b"line\n")
        result = run("pipeline", self.path("missing"), path, self.folder.name, path)
        self.assert_ends(result, 1)
        self.assertEqual(result.stdout, f"1 5 {path}\n1 5 {path}\n")
        self.assertEqual(result.stderr.splitlines(), [
            f"pipeline: cannot read {self.path('missing')}: No such file or directory",
            f"pipeline: cannot read {self.folder.name}: Is a directory"])


class Cache(ExampleTest):
    def test_each_answer_is_computed_once_before_and_once_after_the_clear(self) -> None:
        for readers in [1, 20, 500]:
            result = run("cache", str(readers))
            self.assert_ends(result, 0)
            self.assertEqual(result.stderr, "")
            self.assertEqual(result.stdout,
                             f"{2 * 8 * readers} lookups, {2 * 8} answers computed, "
                             f"at most {min(readers, 2)} at a time\n")

    def test_a_number_of_readers_that_is_none_is_refused(self) -> None:
        for argument in ["0", "-1", "x", "", "3x", "10001"]:
            result = run("cache", argument)
            self.assert_ends(result, 2)
            self.assertTrue(result.stderr.startswith("usage: cache [READERS]"), result.stderr)


class SessionFuture(ExampleTest):
    def test_sessions_answer_as_fibers_and_as_futures_which_are_smaller(self) -> None:
        result = run("session_future", "200")
        self.assert_ends(result, 0)
        self.assertEqual(result.stderr, "")
        lines = re.findall(r"^(\w+) *: (\d+) bytes for each of 200 idle connections, "
                           r"(\d+) requests a second$", result.stdout, re.MULTILINE)
        self.assertEqual([line[0] for line in lines], ["fibers", "futures"], result.stdout)
        self.assertLess(int(lines[1][1]), int(lines[0][1]))


class LatencyQueue(ExampleTest):
    def test_lateness_and_throughput_are_printed_for_both_scenes(self) -> None:
        result = run("latency_queue", "10")
        self.assert_ends(result, 0)
        self.assertEqual(result.stderr, "")
        number = r"(\d+\.\d)"
        lines = re.findall(rf"^(one|own) queue: late by {number} us in the middle, {number} us at "
                           rf"99 %, {number} us at most; batch (\d+) steps/s$",
                           result.stdout, re.MULTILINE)
        self.assertEqual([line[0] for line in lines], ["one", "own"], result.stdout)
        for line in lines:
            middle, high, most = (float(text) for text in line[1:4])
            self.assertTrue(0 <= middle <= high <= most, line)
            self.assertGreater(int(line[4]), 0)
        parts = re.search(rf"^own queue: the ticker had {number} % of the time, the batch "
                          rf"{number} %$", result.stdout, re.MULTILINE)
        assert parts is not None, result.stdout
        self.assertGreater(float(parts[2]), 0)


class AppendLog(ExampleTest):
    KILLS = 100

    def records(self) -> List[str]:
        result = run("append_log", "--read", "--print", self.folder.name)
        self.assert_ends(result, 0)
        *records, count = result.stdout.splitlines()
        self.assertEqual(count.split(" records")[0], str(len(records)))
        return records

    def test_what_was_appended_is_read_by_the_next_start(self) -> None:
        for start in range(1, 4):
            result = run("append_log", "--tasks", "5", "--records", "20", "--print",
                         self.folder.name)
            self.assert_ends(result, 0)
            self.assertIn("100 records durable", result.stdout)
            self.assertEqual(len(self.records()), 100 * start)

    def test_a_folder_that_is_not_there_is_an_error(self) -> None:
        result = run("append_log", self.path("nothing"))
        self.assert_ends(result, 1)
        self.assertIn("nothing: No such file or directory", result.stderr)

    def test_smoke_nothing_printed_is_gone_after_a_hundred_kills(self) -> None:
        """Of the real kernel, which loses no page cache: the power cuts are simulated elsewhere."""
        draw = random.Random(7)
        printed: List[str] = []
        for _ in range(self.KILLS):
            command = [path_of("append_log"), "--records", "100000", "--print",
                       self.folder.name]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
                assert program.stdout is not None
                lines = [program.stdout.readline() for _ in range(draw.randrange(1, 60))]
                program.kill()
                lines += program.stdout.readlines()
            printed += [line.strip() for line in lines
                        if line.endswith("\n") and " " not in line]
        found = set(self.records())
        self.assertGreater(len(printed), self.KILLS)
        self.assertEqual([record for record in printed if record not in found], [])


class MillionTasks(ExampleTest):
    def test_bytes_of_a_waiting_task_are_printed_for_each_kind(self) -> None:
        result = run("million_tasks", "2000")
        self.assert_ends(result, 0)
        self.assertEqual(result.stderr, "")
        lines = re.findall(r"^(fiber, \d+ KiB|future|small future) +(-?\d+) bytes each while they "
                           r"wait, +(-?\d+) a second after the end$", result.stdout, re.MULTILINE)
        self.assertEqual([line[0] for line in lines],
                         ["fiber, 16 KiB", "fiber, 64 KiB", "fiber, 256 KiB", "future",
                          "small future"], result.stdout)
        sizes = [int(line[1]) for line in lines]
        self.assertGreaterEqual(min(sizes[:3]), 4096)
        self.assertLess(max(sizes[3:]), min(sizes[:3]))

    def test_a_number_of_tasks_that_is_none_is_refused(self) -> None:
        for argument in ["0", "-1", "x", "1000001"]:
            result = run("million_tasks", argument)
            self.assert_ends(result, 2)
            self.assertIn("usage: million_tasks", result.stderr)


if __name__ == "__main__":
    sys.exit(example.main("Run the examples and check what they do."))
