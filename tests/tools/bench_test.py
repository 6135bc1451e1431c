#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-bench as a user runs it.

Goal: every row runs, all forms of output tell the same, a wrong command line is refused in words, a
user's own rows are as good as the built-in ones, a primitive that was slowed on purpose is found by
compare, and a core that was loaded on purpose is named. Method: runs of a few hundredths of a
second; no figure is judged but where it was made wrong by a factor.

    bench_test.py PROGRAM ROWS.so SLOW.so
"""
import csv
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from typing import Any, Dict, List, Optional

PROGRAM = ROWS = SLOW = ""
SAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench_sample.py")
NAMES = ("yield2 yield1k spawn_join spawn_batch timer_arm xcore_rtt xcore_stream xcore_call1 "
         "xcore_call64 call_all map_reduce xcore_post xcore_wake uring_nop file_randread "
         "file_randread_fixed file_randread_buffered tcp_echo start_stop foreign_submit "
         "reader_stream reader_stream_direct writer_stream writer_stream_direct read_many "
         "read_many_direct name_open name_create name_rename file_stat file_load file_replace "
         "blocking list_1000").split()
LONG = "spawn_batch_1m spawn_batch_1m_cold spawn_batch_future_1m".split()
CPUS = sorted(os.sched_getaffinity(0))[:2]


def run(*arguments: str, preload: Optional[str] = None) -> "subprocess.CompletedProcess[str]":
    """With the environment free of what the library reads."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("RT_") or name == "RT_BENCH_DIR"}
    if preload:
        environment["LD_PRELOAD"] = preload
    return subprocess.run([PROGRAM, *arguments], env=environment, text=True, timeout=120,
                          capture_output=True, check=False)


class BenchTest(unittest.TestCase):
    def output(self, *arguments: str, preload: Optional[str] = None) -> str:
        done = run(*arguments, preload=preload)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def results(self, *arguments: str, preload: Optional[str] = None) -> List[Dict[str, Any]]:
        results = json.loads(self.output("--json", *arguments, preload=preload))["results"]
        self.assertEqual([one["error"] for one in results], [None] * len(results))
        return results

    def refused(self, *arguments: str) -> str:
        done = run(*arguments)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertRegex(done.stderr, r"(?m)^(rt-)?\S*bench|rt-bench|shardrt")
        return done.stderr


class Rows(BenchTest):
    def test_the_list_names_each_row_and_what_a_unit_is(self) -> None:
        lines = self.output("list").splitlines()
        names = [line.split()[0] for line in lines]
        self.assertEqual([name for name in NAMES + LONG if name not in names], [])
        self.assertEqual([line for line in lines
                          if not re.fullmatch(r"\w+ +(core|pair)  \S.*", line)], [])

    @unittest.skipIf(len(CPUS) < 2, "rows between two CPUs want two")
    def test_every_row_runs_beside_its_limit(self) -> None:
        results = self.results("--time", "0.01", "--passes", "1", "--cpus",
                               f"{CPUS[0]},{CPUS[1]}")
        measured = {one["name"] for one in results}
        self.assertEqual([name for name in NAMES if name not in measured], [])
        self.assertEqual([name for name in LONG if name in measured], [])
        for one in results:
            with self.subTest(row=one["name"]):
                self.assertGreater(one["value"], 0)
                self.assertGreater(one["limit"], 0)
                self.assertLessEqual(one["low"], one["value"])
                self.assertLessEqual(one["value"], one["high"])
                self.assertLessEqual(one["ratio_low"], one["ratio"])
                self.assertLessEqual(one["ratio"], one["ratio_high"])
                self.assertEqual(one["over_goal"], one["ratio"] > one["goal"])
                self.assertEqual(len(one["values"]), one["repetitions"])
                self.assertEqual(len(one["noise"]["steal_ms"]), one["repetitions"])

    def test_a_rate_is_worse_when_it_is_less(self) -> None:
        one, = self.results("--filter", "^file_randread_buffered$", "--time", "0.01",
                            "--cpus", str(CPUS[0]))
        self.assertEqual(one["unit"], "per_s")
        ratios = [limit / value for limit, value in zip(one["limit_values"], one["values"])]
        self.assertLess(min(ratios), one["ratio"])
        self.assertLess(one["ratio"], max(ratios))
        self.assertAlmostEqual(one["ratio"], statistics.median(ratios), delta=0.3)

    @unittest.skipIf(len(CPUS) < 2, "a pair wants two CPUs")
    def test_each_pair_is_measured_in_both_directions(self) -> None:
        results = self.results("--filter", "^xcore_(rtt|post)$", "--time", "0.01", "--pairs",
                               "--cpus", f"{CPUS[0]},{CPUS[1]}")
        places = [(one["name"], one["core"], one["core2"]) for one in results]
        self.assertEqual(places, [("xcore_rtt", CPUS[0], CPUS[1]), ("xcore_rtt", CPUS[1], CPUS[0]),
                                  ("xcore_post", CPUS[0], CPUS[1])])

    @unittest.skipIf(len(CPUS) < 2, "at once wants two CPUs")
    def test_a_row_runs_on_all_cores_at_once(self) -> None:
        results = self.results("--filter", "^(yield2|spawn_join)$", "--time", "0.02", "--at-once",
                               "--cpus", f"{CPUS[0]},{CPUS[1]}")
        self.assertEqual([(one["name"], one["core"]) for one in results],
                         [(name, cpu) for name in ("yield2", "spawn_join") for cpu in CPUS])

    def test_what_a_unit_takes_is_in_a_histogram(self) -> None:
        if len(CPUS) < 2:
            self.skipTest("a call wants two CPUs")
        with tempfile.TemporaryDirectory() as folder:
            one, = self.results("--filter", "^xcore_call1$", "--time", "0.01", "--histograms",
                                folder)
            latency = one["latency"]
            self.assertEqual(sum(count for _, count in latency["histogram"]), latency["count"])
            self.assertLessEqual(latency["p50"], latency["p99"])
            self.assertLessEqual(latency["p99"], latency["max"])
            self.assertEqual(len(os.listdir(folder)), 2)  # of the runtime, and of its limit
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    self.assertRegex(file.read(), r"Value\s+Percentile\s+TotalCount")


class Output(BenchTest):
    def test_all_forms_tell_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stored = os.path.join(folder, "a.json")
            page = os.path.join(folder, "a.html")
            with open(stored, "w", encoding="utf-8") as file:
                file.write(self.output("--json", "--filter", "yield", "--time", "0.02"))
            with open(stored, encoding="utf-8") as file:
                document = json.load(file)
            rows = list(csv.DictReader(io.StringIO(self.output("report", stored, "--csv"))))
            table = self.output("report", stored, "--html", page)
            again = json.loads(self.output("report", stored, "--json"))
            with open(page, encoding="utf-8") as file:
                html = file.read()
        self.assertEqual(document["schema"], "rt-bench/1")
        self.assertEqual(again["results"], document["results"])
        self.assertEqual(len(rows), len(document["results"]))
        for row, one in zip(rows, document["results"]):
            self.assertEqual((row["name"], int(row["core"])), (one["name"], one["core"]))
            self.assertAlmostEqual(float(row["value"]), one["value"], places=4)
            digits = 2 if one["value"] < 10 else 1 if one["value"] < 100 else 0
            self.assertIn(f"{one['value']:.{digits}f} ns", table)
        self.assertIn(document["machine"]["processor"], table)
        self.assertIn('"schema":"rt-bench/1"', html)

    def test_the_machine_and_the_features_of_the_ring_stand_with_the_results(self) -> None:
        document = json.loads(self.output("--json", "--filter", "^yield2$", "--time", "0.01",
                                          "--seed", "7"))
        machine = document["machine"]
        self.assertEqual(machine["engine"], "io_uring")
        self.assertIsInstance(machine["features"], str)
        self.assertEqual(machine["kernel"], os.uname().release)
        self.assertTrue(set(CPUS) <= {cpu["number"] for cpu in machine["cpus"]})
        self.assertIn("--filter", document["settings"]["command"])
        self.assertEqual(document["settings"]["seed"], 7)

    def test_a_document_of_a_large_machine_is_shown(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stored = os.path.join(folder, "a.json")
            with open(stored, "w", encoding="utf-8") as file:
                subprocess.run([sys.executable, SAMPLE, "2", "4", "1"], stdout=file, check=True)
            with open(stored, encoding="utf-8") as file:
                results = json.load(file)["results"]
            table = self.output("report", stored)
            rows = list(csv.DictReader(io.StringIO(self.output("report", stored, "--csv"))))
        self.assertEqual(len(re.findall(r"(?m)\] !", table)),
                         sum(bool(one["over_goal"]) for one in results))
        self.assertEqual(len(re.findall(r" \*(?= |$)", table, re.MULTILINE)),
                         sum(bool(one["outlier"]) for one in results))
        near = sorted(one["value"] for one in results if one["name"] == "xcore_rtt"
                      and (one["core"] < 4) == (one["core2"] < 4))
        self.assertIn(f"one cache      {len(near)} pairs: {near[len(near) // 2]:.0f} ns "
                      f"({near[0]:.0f} ns to {near[-1]:.0f} ns)", table)
        for row, one in zip(rows, results):
            line, = re.findall(rf"(?m)^{one['name']} +{one['core']}"
                               rf"{'' if one['core2'] is None else ',' + str(one['core2'])}  .*",
                               table)
            if one["error"] is None and one["value"] is not None:
                self.assertIn(f" {100 * one['mad'] / one['value']:.1f} % ", line)
            for key in ("disturbance", "outlier", "error"):
                self.assertEqual(row[key], one[key] or "")
            for key in ("disturbed", "over_goal"):
                self.assertEqual(row[key], str(int(one[key])))


class CommandLine(BenchTest):
    def test_what_is_wrong_is_said(self) -> None:
        for arguments, text in (
                (("--filter", "("), "--filter"), (("--filter", "nothing_like_it"), "rt-bench list"),
                (("--time", "0"), "--time 0: expected"), (("--time", "1x"), "--time 1x"),
                (("--seed", "-1"), "--seed"), (("--passes", "0"), "--passes"),
                (("--nonsense",), "--help"),
                (("--json", "--csv"), "not both"), (("--quick", "--time", "1"), "not both"),
                (("--cpus", "100000"), "100000"), (("--by", "luck"), "value or ratio"),
                (("list", "--json"), "means nothing to list"), (("--by", "value"), "a run"),
                (("--seed", "1.5"), "whole number"), (("--html", "nowhere/x.html"), "--html"),
                (("--filter", "xcore", "--cpus", str(CPUS[0])), "two CPUs"),
                (("measure",), "measure"), (("compare", "a"), "takes 2 files"),
                (("report", "nowhere/none"), "nowhere/none"),
                (("--peers-dir", "nowhere/none", "--filter", "yield2"), "no peer programs"),
                (("--histograms", "/proc/none", "--filter", "yield2"), "/proc/none"),
                (("--load", "nowhere/none.so"), "none.so"), (("--load", PROGRAM), "rt-bench")):
            with self.subTest(arguments=arguments):
                self.assertIn(text, self.refused(*arguments))

    def test_results_that_cannot_be_written_are_a_failure(self) -> None:
        for form in ((), ("--json",), ("--csv",)):
            with self.subTest(form=form), open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([PROGRAM, "--filter", "^yield2$", "--time", "0.01",
                                       "--passes", "1", *form], stdout=full, text=True,
                                      stderr=subprocess.PIPE, timeout=120, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("cannot write the results", done.stderr)

    def test_a_row_that_fails_is_told_and_the_others_are_measured(self) -> None:
        with unittest.mock.patch.dict(os.environ, RT_BENCH_DIR="nowhere"):
            done = run("--json", "--filter", "^(yield2|file_randread)$", "--time", "0.01",
                       "--passes", "2", "--cpus", str(CPUS[0]))
        self.assertEqual(done.returncode, 1)
        good, failed = json.loads(done.stdout)["results"]
        self.assertIsNone(good["error"])
        self.assertGreater(good["value"], 0)
        self.assertIn("its runtime: nowhere", failed["error"])
        self.assertIsNone(failed["value"])

    def test_help_names_every_option_and_the_version_is_told(self) -> None:
        text = self.output("--help")
        for option in ("--filter --cpus --at-once --pairs --load --peers --time --passes --quick "
                       "--seed --json --csv --html --histograms --by --threshold").split():
            self.assertIn(f"{option} ", text)
        self.assertRegex(self.output("--version"), r"^rt-bench \d+\.\d+\.\d+\n$")


class OwnRows(BenchTest):
    def test_they_are_as_good_as_the_built_in_ones(self) -> None:
        self.assertIn("my_hash", self.output("list", "--load", ROWS))
        one = self.results("--load", ROWS, "--filter", "^my_hash$", "--time", "0.02")[0]
        self.assertGreater(one["ratio"], 1)  # hashing a page takes longer than copying it
        if len(CPUS) > 1:
            one, = self.results("--load", ROWS, "--filter", "^my_ask$", "--time", "0.02")
            self.assertIsNone(one["limit"])
            self.assertGreater(one["latency"]["count"], 0)

    def test_a_second_row_of_a_name_is_refused(self) -> None:
        self.assertIn("my_hash", self.refused("list", "--load", ROWS, "--load", ROWS))


FAKE_PEER = f"""#!{sys.executable}
import sys
if sys.argv[1:] == ["--list"]:
    print("yield2")
elif sys.argv[1] == "yield2" and len(sys.argv) == 3:
    print("ready fake 1.2", flush=True)
    for units in sys.stdin:
        print(1000.5 if int(units) > 0 else -1, flush=True)
"""


class Peers(BenchTest):
    def test_a_signal_ends_it_and_all_that_it_has_started(self) -> None:
        """Its standard error is not at its end before a peer that never answers has ended, too."""
        silent = FAKE_PEER.replace("print(1000.5 if",
                                   "print('asked', file=sys.stderr, flush=True)\n"
                                   "        signal.pause()\n        print(1000.5 if")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "peer-silent")
            with open(path, "w", encoding="ascii") as file:
                file.write(silent.replace("import sys\n", "import signal\nimport sys\n"))
            os.chmod(path, 0o755)
            with subprocess.Popen([PROGRAM, "--filter", "^yield2$", "--peers-dir", folder],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                assert process.stderr is not None
                self.assertEqual(process.stderr.readline(), b"asked\n")
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)
                self.assertEqual(process.returncode, -signal.SIGTERM)

    def peers(self, text: str) -> Dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "peer-fake")
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(path, 0o755)
            done = run("--json", "--filter", "^(yield2|spawn_join)$", "--time", "0.02", "--cpus",
                       str(CPUS[0]), "--peers-dir", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {one["name"]: one for one in json.loads(done.stdout)["results"]}

    def test_a_peer_is_a_column_of_the_rows_that_it_has(self) -> None:
        results = self.peers(FAKE_PEER)
        peer, = results["yield2"]["peers"]
        self.assertEqual((peer["name"], peer["value"], peer["mad"]), ("fake 1.2", 1000.5, 0))
        self.assertGreater(peer["ratio"], 1)
        self.assertEqual(len(peer["values"]), results["yield2"]["repetitions"])
        self.assertEqual(results["spawn_join"]["peers"], [])

    def test_one_that_ends_or_talks_nonsense_is_left_out(self) -> None:
        for broken in (FAKE_PEER.replace("1000.5 if", "'x' if"), FAKE_PEER.replace("ready", "well"),
                       FAKE_PEER.replace("for units in sys.stdin", "for units in '1'")):
            with self.subTest(broken=broken):
                self.assertEqual(self.peers(broken)["yield2"]["peers"], [])


class Finding(BenchTest):
    def stored(self, folder: str, name: str, preload: Optional[str] = None) -> str:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.output("--json", "--filter", "^(yield2|spawn_join)$", "--time", "0.4",
                                   "--cpus", str(CPUS[0]), preload=preload))
        return path

    def test_a_primitive_that_was_slowed_is_found(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            before = self.stored(folder, "before.json")
            after = self.stored(folder, "after.json", preload=SLOW)
            for extra in ((), ("--by", "value")):
                done = run("compare", before, after, *extra)
                self.assertEqual((done.returncode, done.stderr), (1, ""), done.stdout)
                self.assertRegex(done.stdout, r"(?m)^yield2\b.*slower")
                back = run("compare", after, before, *extra)
                self.assertRegex(back.stdout, r"(?m)^yield2\b.*faster")
            self.assertEqual(run("compare", before, before).returncode, 0)

    @unittest.skipIf(len(CPUS) < 2, "one core beside a loaded one")
    def test_a_core_that_was_loaded_is_named(self) -> None:
        code = ("import os\n"
                "os.setsid()\n"
                f"os.sched_setaffinity(0, {{{CPUS[1]}}})\n"
                "try:\n"
                "    open('/proc/self/autogroup', 'w').write('-20')\n"
                "except OSError:\n"
                "    pass\n"
                "print('busy', flush=True)\n"
                "while True:\n"
                "    pass\n")
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as busy:
            try:
                assert busy.stdout is not None
                busy.stdout.readline()
                arguments = ("--filter", "^yield2$", "--time", "0.3", "--cpus",
                             f"{CPUS[0]},{CPUS[1]}")
                _, loaded = self.results(*arguments)
                table = self.output(*arguments)
            finally:
                busy.send_signal(signal.SIGKILL)
        self.assertTrue(loaded["disturbed"])
        self.assertRegex(loaded["disturbance"], r"had to wait for \d+ %")
        self.assertRegex(table, rf"(?m)^yield2 +{CPUS[1]} .*disturbed: ")


if __name__ == "__main__":
    PROGRAM, ROWS, SLOW = map(os.path.abspath, sys.argv[1:4])
    del sys.argv[1:4]
    unittest.main()
