#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Dumps of real processes: by call and by signal, as text and as JSON, read by a real parser.

    dump_process_test.py PROGRAM

PROGRAM is dump_program, which brings its tasks into known states and says so. Dumps by signal go
through a FIFO, so that reading one waits for it. Exit status 77 (skipped) where io_uring is not
allowed.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
SKIPPED = 77
SECONDS = 100
LISTED_MAX = 1000
SHARD_KEYS = {"shard", "name", "answered", "cpu", "turns", "timers_armed", "ops_in_flight",
              "stopping", "tasks_total", "running", "runnable", "waiting", "completed", "waits",
              "tasks", "left_out"}


def run(*arguments: str) -> str:
    """What the program says in a mode in which it ends by itself."""
    result = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, timeout=SECONDS,
                            stdin=subprocess.DEVNULL, check=True)
    return result.stdout.decode("utf-8", errors="surrogateescape")


class Dumped:
    """The program in a mode in which it waits, with its dumps on a FIFO or on standard error."""

    def __init__(self, mode: str, form: str = "json", to_file: bool = True) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "dump")
        options = ["--dump-signal", "USR1", "--dump-format", form]
        if to_file:
            os.mkfifo(self.path)
            options += ["--dump-file", self.path]
        self.process = subprocess.Popen([PROGRAM, mode, *options], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if self.process.stdout.readline() != b"ready\n":
            raise AssertionError(self.process.stderr.read().decode())

    def __enter__(self) -> "Dumped":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.folder.cleanup()

    def dump(self) -> str:
        self.process.send_signal(signal.SIGUSR1)
        with open(self.path, encoding="utf-8") as file:  # until the program has closed it
            return file.read()

    def end(self, *numbers: int) -> int:
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)


def named(shard: dict, name: str) -> dict:
    found = [task for task in shard["tasks"] if task["name"] == name]
    assert len(found) == 1, f"{name!r} is there {len(found)} times"
    return found[0]


class ByCall(unittest.TestCase):
    """The modes `states` and `many`."""

    @classmethod
    def setUpClass(cls) -> None:
        lines = run("states").split("\n", 2)
        cls.own = json.loads(lines[0].encode("utf-8", errors="surrogateescape"))
        cls.all = json.loads(lines[1].encode("utf-8", errors="surrogateescape"))
        cls.text = lines[2]
        cls.shard = cls.own["shards"][0]

    def test_a_dump_of_one_shard_has_that_one_only(self) -> None:
        self.assertEqual(self.own["name"], "dumped")
        self.assertEqual(self.own["shard_count"], 2)
        self.assertEqual([shard["shard"] for shard in self.own["shards"]], [0])
        self.assertEqual(set(self.shard), SHARD_KEYS)

    def test_a_dump_of_all_has_each_shard_in_order(self) -> None:
        self.assertEqual([shard["shard"] for shard in self.all["shards"]], [0, 1])
        for shard in self.all["shards"]:
            self.assertTrue(shard["answered"])
            self.assertEqual(set(shard), SHARD_KEYS)

    def test_a_brief_dump_has_no_backtraces(self) -> None:
        for task in self.all["shards"][0]["tasks"]:
            self.assertNotIn("backtrace", task)
            self.assertNotIn("no_backtrace", task)

    def test_each_state_is_told(self) -> None:
        states = {"first": "running", "joined": "waiting", "joiner": "waiting",
                  "parker": "waiting", "done": "completed", "leaver": "waiting",
                  "yielder": "runnable", "new": "runnable", "future": "waiting"}
        for name, state in states.items():
            self.assertEqual(named(self.shard, name)["state"], state, name)

    def test_counts_agree_with_the_list(self) -> None:
        states = [task["state"] for task in self.shard["tasks"]]
        for state in ("running", "runnable", "waiting", "completed"):
            self.assertEqual(self.shard[state], states.count(state), state)
        self.assertEqual(self.shard["tasks_total"], len(states))
        self.assertEqual(self.shard["left_out"], 0)
        waits = [task["waits_for"] for task in self.shard["tasks"] if "waits_for" in task]
        self.assertEqual(self.shard["waits"], {kind: waits.count(kind) for kind in set(waits)})

    def test_tasks_are_sorted_by_state_then_number(self) -> None:
        order = ["running", "runnable", "waiting", "completed"]
        keys = [(order.index(task["state"]), task["id"]) for task in self.shard["tasks"]]
        self.assertEqual(keys, sorted(keys))

    def test_what_is_waited_for_is_told(self) -> None:
        self.assertEqual(named(self.shard, "joined")["waits_for"], "sleep")
        self.assertEqual(named(self.shard, "parker")["waits_for"], "park")
        self.assertGreaterEqual(named(self.shard, "joined")["waited_ns"], 0)
        self.assertNotIn("waits_for", named(self.shard, "yielder"))

    def test_a_future_names_its_wait_and_its_poll_function(self) -> None:
        future = named(self.shard, "future")
        self.assertEqual(future["kind"], "future")
        self.assertEqual(future["waits_for"], "sleep")
        self.assertEqual(future["poll"]["symbol"], "poll_sleep")
        self.assertEqual(future["no_backtrace"], "a future has no stack")
        self.assertRegex(self.text, r"(?m)^ +polled by poll_sleep\+0x0 \(.*\)$")
        kinds = [task["kind"] for task in self.shard["tasks"]]
        self.assertEqual(kinds.count("future"), 1)

    def test_a_join_names_both_sides(self) -> None:
        joined, joiner = named(self.shard, "joined"), named(self.shard, "joiner")
        self.assertEqual(joiner["waits_for"], "join")
        self.assertEqual(joiner["joins"], joined["id"])
        self.assertEqual(joined["joined_by"], joiner["id"])

    def test_only_the_cancelled_task_is_said_to_be(self) -> None:
        cancelled = [task["name"] for task in self.shard["tasks"] if task["cancelled"]]
        self.assertEqual(cancelled, ["leaver"])

    def test_a_member_names_its_group(self) -> None:
        members = [task for task in self.shard["tasks"] if "group" in task]
        self.assertEqual(len(members), 1)
        self.assertRegex(members[0]["group"], "^0x[0-9a-f]+$")

    def test_a_result_that_nobody_has_taken_is_told(self) -> None:
        self.assertEqual(named(self.shard, "done")["result"], 7)

    def test_any_name_is_right_json(self) -> None:
        named(self.shard, "a \"name\"\n\\ \ufffd \u00e9")

    def test_suspended_fibers_have_a_backtrace_of_module_and_offset(self) -> None:
        for name in ("joined", "joiner", "parker", "leaver", "yielder"):
            frames = named(self.shard, name)["backtrace"]
            self.assertGreaterEqual(len(frames), 3, name)
            for frame in frames:
                self.assertRegex(frame["module_offset"], "^0x[0-9a-f]+$")
                self.assertEqual(frame["module"], os.path.basename(PROGRAM))

    def test_exported_functions_have_their_names(self) -> None:
        expected = {"joined": "rt_sleep_until", "joiner": "rt_join", "parker": "rt_park",
                    "leaver": "rt_group_leave"}
        for name, function in expected.items():
            symbols = [frame["symbol"] for frame in named(self.shard, name)["backtrace"]]
            self.assertIn(function, symbols)

    def test_tasks_without_a_backtrace_say_why(self) -> None:
        self.assertEqual(named(self.shard, "first")["no_backtrace"], "it runs")
        self.assertEqual(named(self.shard, "new")["no_backtrace"], "it has not run yet")
        self.assertEqual(named(self.shard, "done")["no_backtrace"], "it has returned")

    def test_the_text_says_the_same(self) -> None:
        self.assertRegex(self.text, r"^dump of 'dumped' \(process \d+, shardrt [\d.]+\): "
                                    r"1 of 2 shards")
        joined, joiner = named(self.shard, "joined"), named(self.shard, "joiner")
        self.assertRegex(self.text, r"(?m)^ +%d +waiting +fiber +default +joiner +join of task %d "
                                    r"+\d+\.\d{3} s$" % (joiner["id"], joined["id"]))
        self.assertRegex(self.text, r"(?m)^ +\d+ +waiting .* leaver .*  cancelled$")
        self.assertRegex(self.text, r"(?m)^ +\d+ +completed .* done  result 7, not joined yet$")
        self.assertRegex(self.text, r"(?m)^ +\d+ +waiting .* a \"name\"\?\\ ")
        self.assertRegex(self.text, r"(?m)^ +#\d+ +rt_join\+0x[0-9a-f]+ \(.+\+0x[0-9a-f]+\)$")

    def test_many_tasks_are_counted_and_a_part_is_listed(self) -> None:
        own, _, text = run("many").split("\n", 2)
        shard = json.loads(own)["shards"][0]
        self.assertEqual(shard["tasks_total"], 5001)
        self.assertEqual(shard["waits"], {"sleep": 5000})
        self.assertEqual(len(shard["tasks"]), LISTED_MAX)
        self.assertEqual(shard["left_out"], 5001 - LISTED_MAX)
        self.assertEqual(shard["tasks"][0]["state"], "running")
        self.assertIn("and %d tasks more" % (5001 - LISTED_MAX), text)
        self.assertEqual(len(re.findall(r"(?m)^ +\d+  (?:running|waiting)", text)), LISTED_MAX)


class BySignal(unittest.TestCase):
    """The modes that wait."""

    def test_shards_that_sleep_are_dumped_each_time(self) -> None:
        with Dumped("idle") as program:
            for _ in range(3):
                shards = json.loads(program.dump())["shards"]
                self.assertEqual([shard["answered"] for shard in shards], [True, True])
                for shard in shards:
                    self.assertEqual(named(shard, "idle")["waits_for"], "park")
            self.assertEqual(program.end(signal.SIGTERM), 0)

    def test_without_a_file_it_goes_to_standard_error(self) -> None:
        with Dumped("idle", form="text", to_file=False) as program:
            program.process.send_signal(signal.SIGUSR1)
            for line in program.process.stderr:
                if line.startswith(b"shard 1 "):
                    break
            self.assertIn(b": 1 tasks: 0 running, 0 runnable, 1 waiting, 0 completed", line)
            self.assertEqual(program.end(signal.SIGTERM), 0)

    def test_a_shard_that_computes_is_said_not_to_answer(self) -> None:
        with Dumped("stuck") as program:
            shards = json.loads(program.dump())["shards"]
            self.assertTrue(shards[0]["answered"])
            self.assertFalse(shards[1]["answered"])
            self.assertEqual(shards[1]["name"], "dumped-1")
            self.assertTrue(os.path.exists(f"/proc/{program.process.pid}/task/"
                                           f"{shards[1]['thread']}"))
            self.assertRegex(shards[1]["why"], "its thread")
            program.process.send_signal(signal.SIGUSR2)  # it answers again, and nothing is left
            while not shards[1]["answered"]:
                shards = json.loads(program.dump())["shards"]
            self.assertEqual(program.end(signal.SIGTERM), 0)

    def test_a_stop_that_does_not_end_names_who_is_to_blame(self) -> None:
        with Dumped("stop") as program:
            shards = json.loads(program.dump())["shards"]
            while not shards[0].get("stopping"):
                shards = json.loads(program.dump())["shards"]
            self.assertTrue(named(shards[0], "stubborn")["cancelled"])
            self.assertEqual(program.end(signal.SIGUSR2), 0)

    def test_one_shard_alone_is_dumped_too(self) -> None:
        with Dumped("run") as program:
            shards = json.loads(program.dump())["shards"]
            self.assertEqual(len(shards), 1)
            self.assertEqual(named(shards[0], "alone")["state"], "runnable")
            self.assertEqual(program.end(signal.SIGUSR2), 0)


def main() -> int:
    global PROGRAM
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    PROGRAM = os.path.abspath(sys.argv[1])
    os.environ["RT_SPURIOUS"] = "0"  # who waits shall be seen to wait
    probe = subprocess.run([PROGRAM, "states"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                           timeout=SECONDS, check=False)
    if b"io_uring" in probe.stderr and probe.returncode != 0:
        print("skipped: no io_uring")
        return SKIPPED
    return 0 if unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result.wasSuccessful() \
        else 1


if __name__ == "__main__":
    sys.exit(main())
