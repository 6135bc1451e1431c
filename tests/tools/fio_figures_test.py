#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fio_figures as a user runs it.

Goal: it measures both programs on the cases that were asked for, its ratio and verdict follow
from what it measured, nothing is left in the folder, and bad input gets a text that helps.
Method: one case out of the page cache, 0.1 s each; no figure of speed is judged. Skipped, status
77, without fio.

    fio_figures_test.py FIO_FIGURES RT_STORAGE LIMIT_READS
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import List

SCRIPT = ""
PROGRAM = ""
LIMIT = ""
CASE = "randread 4k cached 8"


class FioFiguresTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def run_it(self, more: List[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, SCRIPT, "--rt-storage", PROGRAM, "--limit", LIMIT, "--rounds", "1",
             "--time", "0.1", "--size", "2", *more, self.folder],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    def test_a_case_is_measured_by_both_and_nothing_is_left(self) -> None:
        done = self.run_it(["--json", "--only", CASE])
        self.assertEqual(done.returncode, 0, done.stderr)
        results = json.loads(done.stdout)
        self.assertEqual(list(results), [CASE])
        case = results[CASE]
        for key in ("iops", "fio_iops", "cpu_us", "fio_cpu_us", "enters"):
            self.assertGreater(case[key], 0, key)
        ratio = case["iops"] / case["fio_iops"]
        self.assertAlmostEqual(case["ratio"]["median"], ratio)
        self.assertEqual(case["verdict"], "at least fio's" if ratio >= 1 else "below")
        limit = case["limit"]
        for key in ("iops", "cpu_us", "enters"):
            self.assertGreater(limit[key], 0, key)
        self.assertAlmostEqual(limit["cpu_ratio"]["median"], case["cpu_us"] / limit["cpu_us"])
        self.assertEqual(limit["verdict"],
                         "met" if limit["cpu_ratio"]["median"] <= 1.15 else "missed")
        self.assertEqual(os.listdir(self.folder), [])

    def test_enters_of_fio_are_counted_or_said_to_be_unknown(self) -> None:
        done = self.run_it(["--only", CASE])
        self.assertEqual(done.returncode, 0, done.stderr)
        enters = done.stdout.splitlines()[1].split()[-1]
        if "counted by" in done.stdout:
            self.assertGreater(float(enters), 0)
            self.assertLessEqual(float(enters), 2.1)  # one to submit and one to wait
        else:
            self.assertEqual(enters, "-")
            self.assertIn("fio's enters: not known", done.stdout)

    def test_writes_are_not_compared_with_the_ring_that_only_reads(self) -> None:
        done = self.run_it(["--json", "--only", "randwrite 4k cached 8"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIsNone(json.loads(done.stdout)["randwrite 4k cached 8"]["limit"])

    def test_a_case_that_is_not_there_is_refused_and_nothing_is_left(self) -> None:
        done = self.run_it(["--only", "no such case"])
        self.assertEqual(done.returncode, 1)
        self.assertIn("no case has 'no such case' in its name", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_time_of_nothing_is_refused(self) -> None:
        done = self.run_it(["--time", "0"])
        self.assertEqual(done.returncode, 2)
        self.assertIn("are above 0", done.stderr)


if __name__ == "__main__":
    SCRIPT, PROGRAM, LIMIT = sys.argv[1:4]
    if shutil.which("fio") is None:
        print("skipped: fio is not installed")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
