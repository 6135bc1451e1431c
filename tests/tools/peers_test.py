#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peers of rt-bench, and the table that is made of their figures.

Goal: each peer speaks as tools/bench/peers/README.md says, on every row that it lists; and the
table shows what stands in a run, and nothing else. Method: the programs as they were built, asked
for a few units; no figure is compared with another. Runs are those of bench_sample.py, and changed
ones.

    peers_test.py [--peers FOLDER]     without it, the table alone
"""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Dict, List, Tuple

sys.dont_write_bytecode = True
import bench_sample  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(ROOT, "tools", "bench", "readme_table")
README = os.path.join(ROOT, "tools", "bench", "peers", "README.md")
FOLDER = ""
UNITS = {"tcp_echo": 2000, "xcore_wake": 11, "foreign_submit": 100, "list_1000": 20}

Done = "subprocess.CompletedProcess[str]"


def run(*words: str, given: str = "") -> Done:
    return subprocess.run(words, input=given, text=True, capture_output=True, timeout=120,
                          check=False)


def documented() -> Dict[str, List[str]]:
    """The rows of each program, as the README has them."""
    with open(README, encoding="utf-8") as file:
        lines = re.findall(r"^\| `(peer-[\w-]+)` \| [^|]* \| ([^|]*) \|$", file.read(),
                           re.MULTILINE)
    return {name: re.findall(r"`(\w+)`", rows) for name, rows in lines}


class PeersTest(unittest.TestCase):
    programs: List[str] = []

    @classmethod
    def setUpClass(cls) -> None:
        if not FOLDER:
            raise unittest.SkipTest("no peers were built")
        cls.programs = sorted(glob.glob(os.path.join(FOLDER, "peer-*")))
        cls.cpus = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))]

    def each_row(self) -> List[Tuple[str, str, List[str]]]:
        """(program, row, its CPUs), as far as the machine has CPUs."""
        found = []
        for program in self.programs:
            for row in run(program, "--list").stdout.split():
                pair = row.startswith(("xcore_", "mesh_", "foreign_")) or row == "tcp_echo"
                count = 2 if pair else 1
                if len(self.cpus) >= count:
                    found.append((program, row, self.cpus[:count]))
        return found

    def refused(self, done: Done, status: int, text: str) -> None:
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout.splitlines()[1:], [])
        self.assertIn(text, done.stderr)

    def test_each_program_lists_the_rows_that_its_page_names(self) -> None:
        pages = documented()
        self.assertTrue(pages)
        for program in self.programs:
            with self.subTest(program=program):
                done = run(program, "--list")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(done.stdout.split(), pages[os.path.basename(program)])

    def test_each_row_answers_each_line_with_a_figure_and_ends_with_its_input(self) -> None:
        for program, row, cpus in self.each_row():
            with self.subTest(program=program, row=row):
                units = UNITS.get(row, 1000)
                done = run(program, row, *cpus, given=f"{units}\n1\n")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                ready, *figures = done.stdout.splitlines()
                self.assertRegex(ready, r"^ready \S.* \d+\.\d+(\.\d+)?$")
                self.assertEqual(len(figures), 2)
                for figure in figures:
                    self.assertRegex(figure, r"^\d+\.\d+$")
                    self.assertGreater(float(figure), 0)

    def test_input_that_ends_at_once_is_no_error(self) -> None:
        for program, row, cpus in self.each_row():
            with self.subTest(program=program, row=row):
                done = run(program, row, *cpus)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_a_peer_that_waits_for_a_line_uses_no_cpu(self) -> None:
        for program, row, cpus in self.each_row():
            with self.subTest(program=program, row=row), subprocess.Popen(
                    [program, row, *cpus], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    text=True) as peer:
                peer.stdout.readline()
                peer.stdin.write(f"{UNITS.get(row, 1000)}\n")
                peer.stdin.flush()
                self.assertGreater(float(peer.stdout.readline()), 0)
                self.assertTrue(sleeps(peer.pid), "a thread of it never went to sleep")
                peer.stdin.close()
                self.assertEqual(peer.wait(timeout=60), 0)

    def test_a_line_that_is_no_number_of_units_is_an_error(self) -> None:
        for program, row, cpus in self.each_row():
            for line in ("0", "-1", "ten", "1.5", ""):
                with self.subTest(program=program, row=row, line=line):
                    self.refused(run(program, row, *cpus, given=line + "\n"), 1,
                                 "give one above 0 on each line")

    def test_a_wrong_command_line_is_refused_in_words(self) -> None:
        for program in self.programs:
            row = run(program, "--list").stdout.split()[0]
            cases = (([], "usage"), (["--lost"], "usage"), (["no_such_row", "0"], "--list"),
                     ([row], "which row, and where?"), ([row, "-1"], "cpu"),
                     ([row, "0x"], "cpu"), ([row, "0", "1", "2"], "needs"))
            for words, text in cases:
                with self.subTest(program=program, words=words):
                    done = run(program, *words)
                    self.assertEqual((done.returncode, done.stdout), (2, ""))
                    self.assertIn(text.lower(), done.stderr.lower())

    def test_a_row_of_two_cores_wants_two_different_cpus(self) -> None:
        for program, row, cpus in self.each_row():
            if len(cpus) == 2:
                with self.subTest(program=program, row=row):
                    self.refused(run(program, row, cpus[0]), 2, "two CPUs")
                    self.refused(run(program, row, cpus[0], cpus[0]), 2, "must differ")

    def test_a_cpu_that_is_not_there_is_an_error(self) -> None:
        for program, row, cpus in self.each_row():
            with self.subTest(program=program, row=row):
                self.refused(run(program, row, *cpus[:-1], "1023", given="1000\n"), 1, "1023")


def states(pid: int) -> List[str]:
    """Of all threads of a process and of its children."""
    found = []
    for task in glob.glob(f"/proc/{pid}/task/*"):
        with open(task + "/stat", encoding="utf-8") as file:
            found.append(file.read().rpartition(")")[2].split()[0])
        with open(task + "/children", encoding="utf-8") as file:
            found += [state for child in file.read().split() for state in states(int(child))]
    return found


def sleeps(pid: int, patience: float = 30) -> bool:
    """Whether all threads sleep at one moment; one that spins never does."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if set(states(pid)) == {"S"}:
            return True
    return False


class TableTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.run_of_bench: Dict[str, Any] = bench_sample.sample("1", "2", "1", "--peers")

    def path(self, name: str, text: str) -> str:
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def read(self, path: str) -> str:
        with open(path, encoding="utf-8") as file:
            return file.read()

    def make(self, *options: str) -> Done:
        return run(TABLE, self.path("run.json", json.dumps(self.run_of_bench)), *options)

    def lines(self) -> List[str]:
        done = self.make()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def results(self, name: str) -> List[Dict[str, Any]]:
        return [one for one in self.run_of_bench["results"] if one["name"] == name]

    def refused(self, done: Done, text: str) -> None:
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(text, done.stderr)

    def cells(self, row: str) -> Dict[str, str]:
        lines = self.lines()
        found = [line for line in lines if line.startswith(f"| `{row}`")]
        self.assertEqual(len(found), 1, lines)
        names, values = (re.split(r"(?<!\\)\|", line)[1:-1] for line in (lines[0], found[0]))
        self.assertEqual(len(names), len(values))
        return {name.strip(): value.strip() for name, value in zip(names, values)}

    def test_a_row_shows_both_sides_the_ratio_and_each_peer(self) -> None:
        self.results("yield2")[0].update(value=5.774, limit=4.186, ratio=1.3794, peers=[
            {"name": "Go 1.19.8", "value": 54.06, "mad": 0.5, "low": 54, "high": 55,
             "ratio": 12.914}])
        cells = self.cells("yield2")
        self.assertEqual([cells[name] for name in ("shardrt", "limit", "ratio", "Go 1.19.8")],
                         ["5.77 ns", "4.19 ns", "1.38", "54.1 ns (12.9)"])
        self.assertEqual(cells["libuv"], "")

    def test_units_keep_a_figure_short(self) -> None:
        for value, unit, text in ((999.4, "ns", "999 ns"), (35772.0, "ns", "35.8 us"),
                                  (2.5e6, "ns", "2.50 ms"), (0.5, "ns", "0.50 ns"),
                                  (98765.0, "per_s", "98.8 k/s"), (1.01e6, "per_s", "1.01 M/s"),
                                  (12.0, "per_s", "12.0 /s")):
            self.results("yield2")[0].update(value=value, unit=unit)
            self.assertEqual(self.cells("yield2")["shardrt"], text)

    def test_a_goal_that_is_missed_stands_beside_the_ratio(self) -> None:
        self.results("yield2")[0].update(ratio=1.94, over_goal=True, goal=1.5)
        self.assertEqual(self.cells("yield2")["ratio"], "1.94 (goal 1.5)")

    def test_the_first_place_that_did_not_fail_is_shown(self) -> None:
        first, second = self.results("yield2")
        second["value"] = 7.0
        first["error"] = "no such core"
        self.assertEqual(self.cells("yield2")["shardrt"], "7.00 ns")
        second["error"] = "nor this one"
        lines = self.lines()
        self.assertFalse([line for line in lines if line.startswith("| `yield2`")])
        self.assertIn("- `yield2` failed on CPU 0: no such core.", lines)

    def test_a_row_without_a_side_of_shardrt_is_not_shown(self) -> None:
        self.assertTrue(self.results("line_bounce"))
        self.assertNotIn("line_bounce", "\n".join(self.lines()))

    def test_machine_date_and_noise_stand_under_the_table(self) -> None:
        machine = self.run_of_bench["machine"]
        machine.update(date="2031-02-03T04:05:06Z", kernel="9.8.7", hypervisor=True,
                       processor="Abacus 3", warnings=["the governor is asleep"])
        self.run_of_bench["settings"]["command"] = "/data/x/rt-bench --json --peers"
        for one in self.run_of_bench["results"]:
            one.update(mad=0.01 * (one["value"] or 0), limit_mad=0.01 * (one["limit"] or 0))
            for peer in one["peers"]:
                peer["mad"] = 0.01 * peer["value"]
        self.results("yield2")[0]["mad"] = 0.25 * self.results("yield2")[0]["value"]
        text = "\n".join(self.lines()[2:])
        for wanted in ("2031-02-03", "Linux 9.8.7", "a virtual machine", "Abacus 3",
                       "by `rt-bench --json --peers`", "the governor is asleep",
                       "1.0 % in the middle", "at most 25.0 % (`yield2`, shardrt)"):
            self.assertIn(wanted, text)

    def test_what_stayed_disturbed_is_marked(self) -> None:
        self.results("yield2")[0].update(disturbed=True, disturbance="steal 31 ms")
        lines = self.lines()
        self.assertTrue([line for line in lines if line.startswith("| `yield2` * |")])
        self.assertIn("- \\* `yield2` stayed disturbed: steal 31 ms.", lines)

    def test_a_text_cannot_break_the_table(self) -> None:
        self.results("yield2")[0]["summary"] = "a | b\nc"
        self.assertEqual(self.cells("yield2")["what a unit is"], "a \\| b c")

    def test_update_replaces_what_stands_between_the_markers(self) -> None:
        begin = "<!-- rt-bench table: begin (made by tools/bench/readme_table) -->"
        end = "<!-- rt-bench table: end -->"
        path = self.path("README.md", f"# A\n\n{begin}\nold\n{end}\n\nlast\n")
        for _ in range(2):  # the second time it replaces its own
            done = self.make("--update", path)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            wanted = "\n".join(self.lines())
            self.assertEqual(self.read(path),
                             f"# A\n\n{begin}\n\n{wanted}\n\n{end}\n\nlast\n")

    def test_update_of_a_file_without_one_pair_of_markers_changes_nothing(self) -> None:
        begin = "<!-- rt-bench table: begin (made by tools/bench/readme_table) -->\n"
        end = "<!-- rt-bench table: end -->\n"
        for text in ("", begin, end, end + begin, begin + end + end, begin + begin + end,
                     begin + end + begin + end):
            with self.subTest(text=text):
                path = self.path("README.md", text)
                self.refused(self.make("--update", path), "needs these two lines")
                self.assertEqual(self.read(path), text)

    def test_a_quick_run_does_not_come_into_the_readme(self) -> None:
        self.run_of_bench["settings"]["quick"] = True
        path = self.path("README.md", "")
        self.refused(self.make("--update", path), "without --quick")
        self.assertIn("- This was a quick run: its figures are not for showing.", self.lines())

    def test_what_is_no_run_with_peers_is_refused(self) -> None:
        missing = os.path.join(self.folder.name, "missing.json")
        self.refused(run(TABLE, missing), "No such file")
        self.refused(run(TABLE, self.path("a.json", "{")), "a.json")
        self.refused(run(TABLE, self.path("a.json", "[]")), "rt-bench --peers --json")
        other = copy.deepcopy(self.run_of_bench)
        other["schema"] = "rt-bench/2"
        self.refused(run(TABLE, self.path("a.json", json.dumps(other))), "rt-bench/1")
        for one in self.run_of_bench["results"]:
            one["peers"] = []
        self.refused(self.make(), "no other library was measured")


def main() -> None:
    global FOLDER
    if sys.argv[1:2] == ["--peers"]:
        FOLDER = sys.argv[2]
        del sys.argv[1:3]
    unittest.main()


if __name__ == "__main__":
    main()
