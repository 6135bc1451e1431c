#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gate lets nothing through that it should stop.

Goal: more instructions than the baseline has, or fewer, end in exit status 1; what cannot be
compared is said to be so. Method: the true counts of one operation beside baselines that were
changed here, profiles written by hand, and wrong command lines.

    gate_test.py PROGRAM
"""
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from types import ModuleType
from typing import Dict, Optional

GATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gate.py")
PROGRAM = ""
ONE = "switch"


def load_gate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gate", GATE)
    assert spec is not None and spec.loader is not None
    sys.dont_write_bytecode = True  # the tree stays as it is
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gate = load_gate()
OURS = gate.OURS


class ProfileTest(unittest.TestCase):
    """What is counted in a profile."""

    def counted(self, *lines: str) -> Dict[str, int]:
        return dict(gate.read_profile(list(lines)))

    def test_only_lines_of_the_runtime_count(self) -> None:
        self.assertEqual(self.counted(
            "events: Ir", f"fl={OURS}a.c", "fn=ours", "10 5", "11 2",
            "fl=/usr/b.c", "fn=theirs", "12 100"), {"ours": 7})

    def test_code_inlined_into_a_function_counts_by_its_own_file(self) -> None:
        self.assertEqual(self.counted(
            f"fl={OURS}a.c", "fn=ours", "1 5", "fi=/usr/b.h", "2 100", f"fe={OURS}a.c",
            "3 4", "fl=/usr/b.c", "fn=theirs", "4 100", f"fi={OURS}c.h", "5 1"),
            {"ours": 9, "theirs": 1})

    def test_what_a_callee_takes_is_counted_once(self) -> None:
        self.assertEqual(self.counted(
            f"fl={OURS}a.c", "fn=caller", "1 5", "cfn=callee", "calls=3 7", "2 300", "3 1",
            "fn=callee", "7 300"), {"caller": 6, "callee": 300})

    def test_levels_of_a_recursion_are_one_function(self) -> None:
        self.assertEqual(self.counted(
            f"fl={OURS}a.c", "fn=turn", "1 5", "fn=turn'2", "1 6"), {"turn": 11})

    def test_a_profile_without_the_runtime_is_refused(self) -> None:
        with self.assertRaises(SystemExit) as raised:
            self.counted("fl=/usr/b.c", "fn=theirs", "12 100")
        self.assertEqual(raised.exception.code, 2)


class VerdictTest(unittest.TestCase):
    """More and fewer are both refused, from 3 % on."""

    def test_three_percent_is_the_border_on_both_sides(self) -> None:
        for now, verdict in ((100, ""), (102.99, ""), (103.01, "MORE"), (97.01, ""),
                             (96.99, "FEWER")):
            self.assertEqual(gate.verdict_of(100, now), verdict, now)

    def test_an_operation_on_one_side_only_is_refused(self) -> None:
        self.assertEqual(gate.verdict_of(None, 5), "NOT IN THE BASELINE")
        self.assertEqual(gate.verdict_of(5, None), "IN THE BASELINE ONLY")
        self.assertEqual(len(gate.compare({"old": 1, "same": 1}, {"same": 1, "new": 1})), 2)

    def test_any_verdict_but_a_good_one_fails(self) -> None:
        for verdict in ("MORE", "FEWER", "NOT IN THE BASELINE", "IN THE BASELINE ONLY"):
            self.assertEqual(gate.report([verdict]), 1)
        self.assertEqual(gate.report([]), 0)


class GateTest(unittest.TestCase):
    """The whole program, for one operation."""

    compiler = ""
    count = 0.0

    @classmethod
    def setUpClass(cls) -> None:
        cls.compiler = gate.output_of([PROGRAM, "--compiler"]).strip()
        cls.count = sum(gate.measure(PROGRAM, ONE).values())

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="shardrt-gate-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.baseline = os.path.join(folder.name, "baseline")

    def write(self, text: str) -> None:
        with open(self.baseline, "w", encoding="utf-8") as file:
            file.write(text)

    def write_factor(self, factor: float) -> None:
        self.write(f"compiler {self.compiler}\nreason a test\n{ONE} {self.count * factor:.2f}\n")

    def run_gate(self, *arguments: str, status: int, **variables: str) -> str:
        """Both outputs of the gate, which must end so. For one operation if none is named."""
        done = subprocess.run(
            [sys.executable, GATE, "--program", PROGRAM, "--baseline", self.baseline,
             *(arguments or ("--only", ONE))], env={**os.environ, **variables}, cwd=self.folder,
            text=True, capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_the_count_repeats_to_the_instruction_wherever_it_is_taken(self) -> None:
        self.write_factor(1)
        self.assertIn("+0.00%", self.run_gate(status=0, SOME_VARIABLE="x" * 5000))
        elsewhere = os.path.join(self.folder, "a folder with a long name" * 5)
        os.mkdir(elsewhere)
        copy = shutil.copy(PROGRAM, elsewhere)
        self.assertEqual(sum(gate.measure(copy, ONE).values()), self.count)

    def test_more_instructions_than_the_baseline_fail(self) -> None:
        self.write_factor(1 / 1.035)
        output = self.run_gate(status=1)
        self.assertRegex(output, rf"{ONE} .* \+3\.[45]\d%  MORE")
        self.assertIn("more instructions than before", output)

    def test_fewer_instructions_than_the_baseline_fail_and_it_is_to_be_renewed(self) -> None:
        self.write_factor(1 / 0.965)
        output = self.run_gate(status=1)
        self.assertRegex(output, rf"{ONE} .* -3\.[45]\d%  FEWER")
        self.assertIn("Renew it", output)

    def test_a_small_difference_passes(self) -> None:
        for factor in (1.025, 0.975):
            self.write_factor(factor)
            self.run_gate(status=0)

    def test_a_baseline_without_the_operation_fails(self) -> None:
        self.write(f"compiler {self.compiler}\nreason a test\n")
        self.assertIn("NOT IN THE BASELINE", self.run_gate(status=1))

    def test_a_baseline_of_another_compiler_is_skipped(self) -> None:
        self.write(f"compiler Other 1.0\nreason a test\n{ONE} {self.count:.2f}\n")
        self.assertIn("Other 1.0", self.run_gate(status=77))

    def test_without_valgrind_it_is_skipped_and_says_how_to_get_it(self) -> None:
        self.write_factor(1)
        self.assertIn("tools/dev/setup --lint", self.run_gate(status=77, PATH=self.folder))

    def test_a_baseline_that_is_not_one_is_refused_with_its_line(self) -> None:
        for text, line in ((f"{ONE}\n", 1), (f"# a\n{ONE} many\n", 2), (f"{ONE} 0\n", 1),
                           (f"{ONE} -1\n", 1), (f"{ONE} nan\n", 1)):
            self.write(text)
            self.assertIn(f"{self.baseline}:{line}:", self.run_gate(status=2), text)
        self.write(f"{ONE} 1\n")
        self.assertIn("needs a line 'compiler", self.run_gate(status=2))
        os.unlink(self.baseline)
        self.assertIn("--update", self.run_gate(status=2))

    def test_an_update_is_followed_by_success_and_needs_a_new_reason(self) -> None:
        self.run_gate("--update", "because of\n this test", status=0)
        self.run_gate("--only", ONE, "--only", "channel", status=0)
        with open(self.baseline, encoding="utf-8") as file:
            before = file.read()
        self.assertIn("\nreason because of this test\n", before)
        for reason in ("", "  ", "because of this test"):
            self.run_gate("--update", reason, status=2)
        self.run_gate("--update", "one only", "--only", ONE, status=2)
        with open(self.baseline, encoding="utf-8") as file:
            self.assertEqual(file.read(), before)

    def test_functions_add_up_to_the_count(self) -> None:
        lines = self.run_gate("--functions", ONE, status=0).splitlines()
        self.assertIn("rt_yield", " ".join(lines))
        self.assertEqual(lines[-1].split(), [f"{self.count:.2f}", "in", "all"])
        self.assertAlmostEqual(sum(float(line.split()[0]) for line in lines[:-1]), self.count, 0)

    def test_a_wrong_name_is_answered_with_the_right_ones(self) -> None:
        self.write_factor(1)
        for option in ("--only", "--functions"):
            self.assertIn("there are: switch spawn", self.run_gate(option, "swich", status=2))

    def test_a_program_that_is_not_there_is_answered_with_how_to_build_it(self) -> None:
        self.assertIn("--target gate", self.run_gate("--program", "/tmp/none", status=2))


class ProgramTest(unittest.TestCase):
    """The program that is measured."""

    def test_it_refuses_what_it_cannot_do(self) -> None:
        for arguments in ([], ["switch"], ["none", "64"], ["switch", "0"], ["switch", "63"],
                          ["switch", "-64"], ["switch", "64x"], ["switch", "1000000000"]):
            done = subprocess.run([PROGRAM, *arguments], text=True, capture_output=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("usage: gate OPERATION COUNT", done.stderr)


def main() -> Optional[int]:
    global PROGRAM
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if shutil.which("valgrind") is None:
        print("gate_test.py: valgrind is missing (tools/dev/setup --lint installs it); skipped")
        return 77
    unittest.main()
    return None


if __name__ == "__main__":
    sys.exit(main())
