#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-storage compare, on results that are written here.

Goal: a job that is certainly slower is called so, noise is not, and the exit status says which;
what cannot be compared is said in words. Method: results in fio's layout with chosen figures and
spreads; for these the interval is known. One result is of fio itself, where it is installed.

    storage_compare_test.py PROGRAM
"""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, List

PROGRAM = ""
FIO = shutil.which("fio")

Job = Dict[str, Any]


def direction(iops: float, deviation: float = 0, samples: int = 25) -> Dict[str, Any]:
    percentiles = {"50.000000": 100000, "99.000000": 200000, "99.900000": 400000}
    return {"total_ios": int(iops * 10), "iops": iops, "iops_mean": iops, "iops_stddev": deviation,
            "iops_samples": samples,
            "clat_ns": {"mean": 120000.0, "percentile": percentiles if iops else {}}}


def job(name: str, read: Dict[str, Any], write: Dict[str, Any] = direction(0)) -> Job:
    return {"jobname": name, "error": 0, "usr_cpu": 2.0, "sys_cpu": 8.0, "job_runtime": 10000,
            "read": read, "write": write}


class CompareTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_program(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([PROGRAM, "compare", *arguments], text=True, timeout=60,
                              capture_output=True, check=False)

    def compare(self, old: List[Job], new: List[Job],
                *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run_program(*arguments, self.write("old.json", json.dumps({"jobs": old})),
                                self.write("new.json", json.dumps({"jobs": new})))

    def row(self, old: List[Job], new: List[Job], status: int, *arguments: str) -> Any:
        done = self.compare(old, new, "--json", *arguments)
        self.assertEqual((done.returncode, done.stderr), (status, ""))
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual(len(rows), 1)
        return rows[0]

    def test_what_is_certainly_slower_is_called_so(self) -> None:
        # 3.25 * 0.9 * sqrt(2) * 0.05 / 5: the interval is 4.1 % to each side.
        row = self.row([job("a", direction(1000, 50))], [job("a", direction(900, 45))], 1)
        self.assertEqual((row["job"], row["direction"], row["verdict"]), ("a", "read", "slower"))
        self.assertAlmostEqual(row["change"], -0.1, places=6)
        self.assertAlmostEqual(row["high"], -0.1 + 3.25 * 0.9 * 2 ** 0.5 * 0.01, places=6)
        self.assertAlmostEqual(row["low"], -0.1 - 3.25 * 0.9 * 2 ** 0.5 * 0.01, places=6)

    def test_the_same_change_with_more_spread_is_noise(self) -> None:
        row = self.row([job("a", direction(1000, 200))], [job("a", direction(900, 200))], 0)
        self.assertEqual(row["verdict"], "within noise")

    def test_what_is_certainly_faster_is_no_failure(self) -> None:
        row = self.row([job("a", direction(0), direction(1000, 10))],
                       [job("a", direction(0), direction(1100, 10))], 0)
        self.assertEqual((row["direction"], row["verdict"]), ("write", "faster"))

    def test_a_certain_change_below_the_threshold_is_none(self) -> None:
        old, new = [job("a", direction(1000, 1))], [job("a", direction(980, 1))]
        self.assertEqual(self.row(old, new, 0)["verdict"], "within noise")
        self.assertEqual(self.row(old, new, 1, "--threshold", "1")["verdict"], "slower")

    def test_a_short_run_has_no_verdict(self) -> None:
        row = self.row([job("a", direction(1000, 1, 9))], [job("a", direction(500, 1))], 0)
        self.assertEqual(row["verdict"], "too short")

    def test_a_job_that_fails_now_is_worse(self) -> None:
        failed = job("a", direction(0))
        failed["error"] = 5
        self.assertEqual(self.row([job("a", direction(1000, 1))], [failed], 1)["verdict"], "fails")

    def test_costs_stand_beside_each_other(self) -> None:
        new = job("a", direction(1000, 1))
        new["read"]["clat_ns"]["percentile"]["99.000000"] = 300000
        new["sys_cpu"] = 18.0
        costs = self.row([job("a", direction(1000, 1))], [new], 0)["costs"]
        self.assertEqual(costs["clat_p99_ns"], [200000, 300000])
        self.assertEqual(costs["clat_mean_ns"], [120000, 120000])
        self.assertEqual(costs["cpu_us_per_io"], [100, 200])  # 1 s and 2 s of 10 s, for 10000

    def test_jobs_of_one_name_are_matched_in_their_order(self) -> None:
        old = [job("a", direction(1000, 1)), job("b", direction(2000, 1)),
               job("a", direction(3000, 1))]
        new = [old[1], old[0], old[2]]
        done = self.compare(old, new, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([(row["job"], row["iops"]) for row in json.loads(done.stdout)["rows"]],
                         [("a", [1000, 1000]), ("b", [2000, 2000]), ("a", [3000, 3000])])

    def test_what_is_only_in_one_is_named(self) -> None:
        a, b, c = (job(name, direction(1000, 1)) for name in "abc")
        mixed = copy.deepcopy(a)
        mixed["write"] = direction(10, 1)
        done = self.compare([a, b], [mixed, c])
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"job b is only in .*old\.json")
        self.assertRegex(done.stderr, r"job c is only in .*new\.json")
        self.assertRegex(done.stderr, r"old\.json: job a has no writes")

    def test_the_table_has_a_line_for_each(self) -> None:
        done = self.compare([job("a", direction(1000, 10), direction(500, 5))],
                            [job("a", direction(900, 9), direction(500, 5))])
        head, read, write = done.stdout.splitlines()
        self.assertTrue(head.startswith("job"))
        self.assertRegex(read, r"^a +read +1000 +900 +-10\.0% .*  slower$")
        self.assertRegex(write, r"^a +write +500 +500 +\+0\.0% .*  within noise$")
        self.assertEqual(done.returncode, 1)

    def test_what_cannot_be_compared_is_said(self) -> None:
        good = self.write("good.json", json.dumps({"jobs": [job("a", direction(1))]}))
        other = self.write("other.json", json.dumps({"jobs": [job("b", direction(1))]}))
        part = job("a", direction(1))
        del part["read"]["iops"]
        for path, words in ((self.write("no.json", "{"), "no.json:1:"),
                            (self.write("empty.json", "{}"), "it has no \"jobs\""),
                            (self.write("list.json", "[1]"), "it has no \"jobs\""),
                            (self.write("part.json", json.dumps({"jobs": [part]})), "iops"),
                            (self.write("three.json", '{"jobs": [1, "x", null]}'), "no job"),
                            (other, "no job that the other file has"),
                            (os.path.join(self.directory, "none"), "none:")):
            with self.subTest(path):
                done = self.run_program(good, path)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(words, done.stderr)

    def test_a_wrong_command_line_is_refused(self) -> None:
        for arguments, words in (([], "two results to compare, not 0"),
                                 (["a"], "two results to compare, not 1"),
                                 (["--threshold", "x", "a", "b"], "expected a percent"),
                                 (["--threshold", "-1", "a", "b"], "expected a percent"),
                                 (["--parse-only", "a", "b"], "--parse-only is for job files"),
                                 (["--allow-overwrite", "a", "b"], "compare does not take")):
            done = self.run_program(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(words, done.stderr)
        done = subprocess.run([PROGRAM, "--threshold", "3", "a"], text=True, timeout=60,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--threshold is for compare", done.stderr)

    @unittest.skipUnless(FIO, "fio is not installed")
    def test_a_result_of_fio_is_one(self) -> None:
        path = os.path.join(self.directory, "fio.json")
        subprocess.run([str(FIO), "--name=null", "--ioengine=null", "--size=64k", "--rw=randrw",
                        "--output-format=json", f"--output={path}"], check=True, timeout=60,
                       cwd=self.directory, capture_output=True)
        done = self.run_program("--json", path, path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["direction"], row["change"]) for row in rows],
                         [("read", 0), ("write", 0)])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
