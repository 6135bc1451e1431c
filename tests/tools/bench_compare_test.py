#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The comparison of two documents of rt-bench.

Goal: a row that became slower is named and nothing else is, also when the whole machine was slower;
what cannot be compared is said; a broken document is refused with the place in it. Method:
documents of a machine that does not exist (bench_sample.py), changed in one way each.

    bench_compare_test.py PROGRAM
"""
import copy
import functools
import json
import os
import sys
import tempfile
import unittest
from subprocess import run
from typing import Any, Callable, Dict, List, Optional, Tuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import bench_sample  # noqa: E402  (found by the line above)

PROGRAM = ""
Document = Dict[str, Any]


@functools.lru_cache(maxsize=None)
def made_once(*words: Any) -> Document:
    return bench_sample.sample("1", "2", "1", *words)


def sample(*words: Any) -> Document:
    """A document of one's own."""
    return copy.deepcopy(made_once(*words))


def rows_of(document: Document, name: str) -> List[Dict[str, Any]]:
    found = [row for row in document["results"] if row["name"] == name]
    assert found, name
    return found


def only(document: Document, *names: str) -> Document:
    """With no other rows than these."""
    document["results"] = [row for row in document["results"] if row["name"] in names]
    return document


def times(document: Document, factor: float, *keys: str) -> Document:
    """Everything takes so many times as long: rates fall."""
    for row in document["results"]:
        by = factor if row["unit"] == "ns" else 1 / factor
        for key in keys or ("values", "limit_values"):
            row[key] = [value * by for value in row[key]]
    return document


class CompareTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name: str, document: Any) -> str:
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(document if isinstance(document, str) else json.dumps(document))
        return path

    def run_on(self, a: Any, b: Any, form: str, by: str = "best",
               threshold: float = 0.03) -> Tuple[int, str, str]:
        done = run([PROGRAM, form, by, str(threshold), self.write("a.json", a),
                    self.write("b.json", b)], capture_output=True, text=True, timeout=60,
                   check=False)
        return done.returncode, done.stdout, done.stderr

    def compare(self, a: Any, b: Any, *, status: int, **options: Any) -> Document:
        """As JSON; the table ends with the same status, and names each row with its verdict."""
        code, out, error = self.run_on(a, b, "json", **options)
        self.assertEqual((code, error), (status, ""))
        found = json.loads(out)
        code, table, error = self.run_on(a, b, "table", **options)
        self.assertEqual((code, error), (status, ""))
        lines = table.splitlines()
        for row in found["rows"]:
            place = str(row["core"]) + ("" if row["core2"] is None else f"-{row['core2']}")
            line = [line for line in lines if line.split()[:2] == [row["name"], place]]
            self.assertEqual(len(line), 1, row)
            self.assertIn(row["verdict"], line[0])
        return found

    def verdicts(self, found: Document) -> Dict[str, List[str]]:
        """The names of the rows by verdict, once each."""
        out: Dict[str, List[str]] = {}
        for row in found["rows"]:
            names = out.setdefault(row["verdict"], [])
            if row["name"] not in names:
                names.append(row["name"])
        for verdict, names in out.items():
            self.assertGreaterEqual(found[verdict], len(names))
        return out

    def refused(self, document: Any, *texts: str, good: Optional[Document] = None) -> None:
        """In either place, with a message that has the texts, and nothing printed."""
        good = good or sample()
        for a, b, name in ((document, good, "a.json"), (good, document, "b.json")):
            code, out, error = self.run_on(a, b, "table")
            self.assertEqual((code, out), (2, ""))
            for text in (name, *texts):
                self.assertIn(text, error)
            self.assertEqual(error.count("\n"), 1, error)

    def broken(self, change: Callable[[Document], None], *texts: str) -> None:
        document = sample()
        change(document)
        self.refused(document, *texts)

    # Verdicts.

    def test_a_document_does_not_differ_from_itself(self) -> None:
        found = self.compare(sample(), sample(), status=0)
        self.assertEqual(set(self.verdicts(found)), {"within noise", "no verdict"})
        self.assertEqual((found["slower"], found["faster"], found["differs"]), (0, 0, []))
        for row in found["rows"]:
            for figure in filter(None, (row["value"], row["ratio"])):
                self.assertEqual(figure["change"], 0)
                self.assertLessEqual(figure["low"], 0)
                self.assertGreaterEqual(figure["high"], 0)

    def test_runs_of_one_machine_do_not_differ(self) -> None:
        """12 pairs of runs, 29 rows each, with no difference from run to run but noise."""
        false = 0
        for seed in range(2, 26, 2):
            _, out, _ = self.run_on(sample("--seed", seed), sample("--seed", seed + 1), "json")
            found = json.loads(out)
            false += found["slower"] + found["faster"] > 0
        self.assertLess(false, 2)

    def test_slower_rows_are_found(self) -> None:
        found = self.compare(sample(), sample("--seed", 2, "--slower", "yield2:1.15"), status=1)
        self.assertEqual(self.verdicts(found)["slower"], ["yield2"])
        self.assertEqual((found["slower"], found["faster"]), (2, 0))  # on both cores
        ratio = found["rows"][0]["ratio"]
        self.assertTrue(0.03 < ratio["low"] < 0.15 < ratio["high"] < 0.3, ratio)
        self.assertAlmostEqual(ratio["b"] / ratio["a"] - 1, ratio["change"], 6)

    def test_faster_rows_are_no_failure(self) -> None:
        found = self.compare(sample(), sample("--seed", 2, "--slower", "yield2:0.85"), status=0)
        self.assertEqual(self.verdicts(found)["faster"], ["yield2"])

    def test_a_rate_that_falls_is_slower(self) -> None:
        for by in ("value", "ratio", "best"):
            found = self.compare(only(sample(), "file_randread"),
                                 only(sample("--slower", "file_randread:1.5"), "file_randread"),
                                 status=1, by=by)
            row = found["rows"][0]
            self.assertEqual(row["verdict"], "slower")
            self.assertLess(row["value"]["change"], 0)
            self.assertGreater(row["ratio"]["change"], 0)

    def test_a_machine_that_drifts_makes_no_row_slower(self) -> None:
        """All took 30 % longer, limits too. Only what has no limit cannot tell."""
        slow = times(sample("--seed", 2), 1.3)
        found = self.compare(sample(), slow, status=1)
        self.assertEqual(self.verdicts(found)["slower"], ["my_yield"])
        self.assertTrue(0.25 < found["limits_change"]["median"] < 0.35)
        self.assertIn("The limits took +", self.run_on(sample(), slow, "table")[1])

        rates = "file_randread_buffered"  # a rate falls, and its limit took longer all the same
        found = self.compare(only(sample(), rates), only(copy.deepcopy(slow), rates), status=0)
        self.assertTrue(0.25 < found["limits_change"]["median"] < 0.35)

        found = self.compare(sample(), slow, status=0, by="ratio")
        self.assertNotIn("slower", self.verdicts(found))
        self.assertIn("my_yield", self.verdicts(found)["no verdict"])

        found = self.compare(sample(), slow, status=1, by="value")
        self.assertGreater(found["slower"], 15)
        self.assertEqual({row["by"] for row in found["rows"]}, {"value"})

    def test_drift_does_not_hide_a_row_that_became_slower(self) -> None:
        """The machine is 15 % faster, so the value is as before; the ratio knows."""
        b = times(sample("--seed", 2, "--slower", "yield2:1.18"), 1 / 1.18)
        found = self.compare(sample(), b, status=1)
        self.assertEqual(self.verdicts(found)["slower"], ["yield2"])
        found = self.compare(only(sample(), "yield2"), only(b, "yield2"), status=0, by="value")
        self.assertEqual(self.verdicts(found)["within noise"], ["yield2"])

    def test_the_table_says_by_what_it_was_decided(self) -> None:
        table = self.run_on(sample(), sample(), "table")[1]
        self.assertIn("Decided by the ratio to the limit where both have one", table)
        self.assertEqual(table.count("within noise, by value"), 2)  # my_yield on two cores

    def test_only_a_change_that_is_certainly_beyond_the_threshold_counts(self) -> None:
        """4 % within noise of a hundredth of it, and within noise as large."""
        a, b = only(sample(), "my_yield"), only(sample(), "my_yield")
        for noise, threshold, status in ((0.01, 0.03, 1), (0.01, 0.05, 0), (0.4, 0.0, 1),
                                         (0.4, 0.03, 0)):
            for document, base in ((a, 100.0), (b, 104.0)):
                for row in document["results"]:
                    row["values"] = [base + noise * (i * 8 % 21 - 10) for i in range(21)]
            found = self.compare(a, b, status=status, threshold=threshold)
            value = found["rows"][0]["value"]
            self.assertAlmostEqual(value["change"], 0.04)
            self.assertGreater(value["low"], 0)
            self.assertEqual(value["low"] > threshold, status == 1)
            found = self.compare(b, a, status=0, threshold=threshold)
            self.assertEqual(found["faster"] > 0, status == 1)

    def test_intervals_are_wider_the_more_rows_there_are(self) -> None:
        one = self.compare(only(sample(), "yield2"), only(sample("--seed", 2), "yield2"), status=0)
        many = self.compare(sample(), sample("--seed", 2), status=0)
        self.assertAlmostEqual(one["level"], 1 - 0.05 / 2, 6)
        self.assertAlmostEqual(many["level"], 1 - 0.05 / 29, 6)
        for key in ("value", "ratio"):
            alone, among = one["rows"][0][key], many["rows"][0][key]
            self.assertEqual(alone["change"], among["change"])
            self.assertLess(among["low"], alone["low"])
            self.assertGreater(among["high"], alone["high"])

    # Rows that cannot be compared.

    def test_a_row_that_fails_in_b_only_is_a_failure(self) -> None:
        b = sample()
        rows_of(b, "yield2")[0]["error"] = "it has no legs"
        found = self.compare(sample(), b, status=1)
        self.assertEqual((found["rows"][0]["verdict"], found["rows"][0]["why"]),
                         ("fails", "it has no legs"))
        self.assertIn("fails in B: it has no legs", self.run_on(sample(), b, "table")[1])
        found = self.compare(b, sample(), status=0)  # the other way round it is a cure
        self.assertEqual(found["rows"][0]["why"], "fails in A")

    def test_a_row_that_fails_needs_no_figures(self) -> None:
        b = sample()
        row = rows_of(b, "yield2")[0]
        row["error"] = "gone"
        del row["values"], row["limit_values"], row["disturbed"]
        self.compare(sample(), b, status=1)

    def test_rows_of_one_document_are_listed(self) -> None:
        a, b = sample(), sample()
        a["results"] = a["results"][1:]
        b["results"] = b["results"][:-1]
        found = self.compare(a, b, status=0)
        self.assertEqual(found["only_b"], [{"name": "yield2", "core": 0, "core2": None}])
        self.assertEqual(found["only_a"], [{"name": "line_bounce", "core": 0, "core2": 1}])
        table = self.run_on(a, b, "table")[1]
        self.assertIn("only in A: line_bounce on CPU 0-1\n", table)
        self.assertIn("only in B: yield2 on CPU 0\n", table)

    def test_a_disturbed_row_is_marked(self) -> None:
        a, b = sample(), sample()
        for row in a["results"] + b["results"]:
            row["disturbed"] = False
        rows_of(a, "yield1k")[0]["disturbed"] = True
        rows_of(b, "spawn_join")[0]["disturbed"] = True
        for document in (a, b):
            rows_of(document, "yield2")[0]["disturbed"] = True
        found = self.compare(a, b, status=0)
        self.assertEqual([row["disturbed"] for row in found["rows"] if row["disturbed"]],
                         ["disturbed in both", "disturbed in A", "disturbed in B"])
        self.assertEqual(self.run_on(a, b, "table")[1].count("; disturbed in"), 3)

    def test_few_repetitions_give_no_verdict(self) -> None:
        few = sample("--repetitions", 4, "--slower", "yield2:3")
        found = self.compare(sample(), few, status=0)
        self.assertEqual(found["rows"][0]["why"], "too few repetitions")
        self.assertEqual(found["no verdict"], len(found["rows"]))

    def test_a_row_without_a_side_in_the_runtime_has_no_verdict(self) -> None:
        found = self.compare(sample(), sample(), status=0)
        row = [row for row in found["rows"] if row["name"] == "line_bounce"][0]
        self.assertEqual((row["verdict"], row["why"]), ("no verdict", "no side in the runtime"))

    def test_what_differs_between_the_machines_is_said_first(self) -> None:
        b = sample()
        b["machine"]["processor"] = "Another"
        b["machine"]["kernel"] = "6.1.0"
        b["machine"]["date"] = "2030-01-01T00:00:00Z"  # always differs, is shown anyway
        b["settings"]["seconds"] = 5.0
        del b["machine"]["features"]
        found = self.compare(sample(), b, status=0)
        self.assertEqual([entry["key"] for entry in found["differs"]],
                         ["processor", "kernel", "features", "seconds"])
        lines = self.run_on(sample(), b, "table")[1].splitlines()
        self.assertIn("2030-01-01T00:00:00Z", lines[1])
        self.assertEqual(lines[2], 'differs: machine processor: A "Synthetic 9000 (made up for '
                                   'tests)", B "Another"')
        self.assertTrue(all(line.startswith("differs: ") for line in lines[2:6]))

    def test_a_row_that_is_not_the_same_thing_is_refused(self) -> None:
        b = sample()
        rows_of(b, "xcore_rtt")[0]["unit"] = "per_s"
        self.refused(b, "xcore_rtt on CPU 0-1", "per_s")

    def test_a_row_that_is_there_twice_is_refused(self) -> None:
        b = sample()
        b["results"].append(copy.deepcopy(rows_of(b, "xcore_rtt")[0]))
        self.refused(b, "row xcore_rtt on CPU 0-1 is there twice")

    def test_documents_without_a_common_row_are_refused(self) -> None:
        self.refused(only(sample(), "yield1k"), "no row in common",
                     good=only(sample(), "yield2"))
        self.refused(only(sample(), "no such row"), "no row in common")

    def test_a_machine_with_many_pairs_is_compared(self) -> None:
        a = bench_sample.sample("2", "8", "1", "--repetitions", "9")
        b = bench_sample.sample("2", "8", "1", "--repetitions", "9", "--seed", "2")
        code, out, error = self.run_on(a, b, "json")
        self.assertEqual(error, "")
        self.assertIn(code, (0, 1))
        self.assertEqual(len(json.loads(out)["rows"]), len(a["results"]))

    # Documents that are none.

    def test_a_file_that_is_not_there_is_refused(self) -> None:
        good = self.write("good.json", sample())
        gone = os.path.join(self.folder.name, "gone.json")
        for pair in ((good, gone), (gone, good), (good, self.folder.name)):
            done = run([PROGRAM, "table", "best", "0.03", *pair], capture_output=True, text=True,
                       timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(gone if gone in pair else self.folder.name, done.stderr)

    def test_what_is_no_json_is_refused_with_its_line(self) -> None:
        text = json.dumps(sample(), indent=1)
        self.refused("", "no JSON")
        self.refused(text[:len(text) // 2], "no JSON")
        self.refused(text.replace('"machine"', "machine", 1), ":3:")
        self.refused('{"schema": "rt-bench/1", "schema": "rt-bench/1"}', "duplicate")
        self.refused("[]", "schema: is missing", "rt-bench --json")
        self.refused("{}", "schema")

    def test_another_schema_is_refused(self) -> None:
        self.broken(lambda d: d.update(schema="rt-bench/2"), '"rt-bench/2"', "rt-bench/1")
        self.broken(lambda d: d.update(schema=1), "schema")

    def test_missing_keys_are_named_with_their_place(self) -> None:
        for key in ("machine", "settings", "results"):
            self.broken(lambda d, key=key: d.pop(key), f": {key}: is missing")
        for key in ("name", "core", "core2", "unit", "disturbed", "error", "values",
                    "limit_values"):
            self.broken(lambda d, key=key: d["results"][3].pop(key),
                        f"results[3].{key}: is missing")

    def test_ill_typed_keys_are_named_with_their_place(self) -> None:
        self.broken(lambda d: d.update(results={}), "results: is an object, and must be an array")
        for key, value, text in (
                ("name", 1, "is a whole number, and must be a text"),
                ("core", "0", "is a text, and must be a whole number"),
                ("core", 0.5, "must be a whole number"),
                ("core2", False, "is false, and must be a whole number or null"),
                ("unit", "s", 'is "s", and must be "ns" or "per_s"'),
                ("disturbed", None, "is null, and must be true or false"),
                ("error", 3, "must be a text or null"),
                ("values", None, "is null, and must be an array"),
                ("values", [1, 0], "number 2 must be one above 0"),
                ("values", [1, -1.5], "number 2 must be one above 0"),
                ("values", ["1"], "number 1 must be one above 0"),
                ("values", [None], "number 1 must be one above 0"),
                ("values", [1.0] * 1025, "1025 numbers, more than 1024"),
                ("limit_values", [1.0] * 20, "has 20 numbers, and must have 21")):
            place = f"results[2].{'limit_values' if key == 'limit_values' else key}: "
            self.broken(lambda d, k=key, v=value: d["results"][2].update({k: v}), place, text)
        self.broken(lambda d: d["results"].__setitem__(2, 7), "results[2]", "must be an object")


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
