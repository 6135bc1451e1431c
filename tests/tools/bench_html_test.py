#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The report of rt-bench.

Goal: the page holds the document whole, needs nothing but itself, and shows what the document says,
in words and in pictures, whatever the machine is and whatever text stands in the document. Method:
documents of machines that do not exist (bench_sample.py). The file is read as text; then a browser
without a window opens it, and a script at its end answers what the page shows.

    bench_html_test.py PROGRAM    a program that makes the page on standard input a report
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import bench_sample  # noqa: E402  (found by the line above)

PROGRAM = ""
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
               None)
HOSTILE = "</script><script>broken = 1</script><!-- <b id=\"broken\"> & \u2028 \u00b5"


def report(text: str) -> str:
    done = subprocess.run([PROGRAM], input=text.encode(), capture_output=True, check=False,
                          timeout=60)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"status {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


def report_of(*words: str) -> str:
    return report(json.dumps(bench_sample.sample(*words)))


def embedded(page: str) -> str:
    found = re.search(r'<script type="application/json" id="document">(.*?)</script>', page,
                      re.DOTALL)
    assert found is not None
    return found.group(1)


class FileTest(unittest.TestCase):
    def test_the_page_holds_the_document(self) -> None:
        document = bench_sample.sample("2", "4", "2", "--peers")
        self.assertEqual(json.loads(embedded(report(json.dumps(document)))), document)

    def test_text_of_the_document_cannot_end_its_script(self) -> None:
        document = bench_sample.sample("1", "2", "1")
        plain = report(json.dumps(document))
        document["machine"]["processor"] = HOSTILE
        page = report(json.dumps(document, ensure_ascii=False))
        self.assertEqual(json.loads(embedded(page)), document)
        for tag in ("<script", "</script", "<!--", "<b "):
            self.assertEqual(page.count(tag), plain.count(tag), tag)

    def test_the_page_needs_nothing_but_itself(self) -> None:
        page = report_of("1", "2", "1")
        frame = page.replace(embedded(page), "")
        outward = r"(?i)https?:|\bsrc=|<link|<iframe|@import|\burl\(|\bfetch\(|\bimport\b"
        self.assertEqual(re.findall(outward, frame), [])
        self.assertIn("default-src 'none'", frame)
        self.assertTrue(frame.startswith("<!doctype html>"))
        self.assertTrue(frame.endswith("</html>\n"))

    def test_no_mark_is_left(self) -> None:
        self.assertNotRegex(report_of("1", "2", "1"), r"@(report\.\w+|document)@")

    def test_a_page_that_cannot_be_written_is_an_error(self) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM], input=b"{}", stdout=full, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)

    def test_a_sample_is_the_same_at_each_call(self) -> None:
        self.assertEqual(bench_sample.sample("1", "4", "2"), bench_sample.sample("1", "4", "2"))
        self.assertNotEqual(bench_sample.sample("1", "4", "2")["results"],
                            bench_sample.sample("1", "4", "2", "--seed", "2")["results"])


@unittest.skipIf(BROWSER is None, "no chromium here")
class PageTest(unittest.TestCase):
    def look(self, page: str, script: str, width: int = 1200) -> Any:
        """What the body of a function answers at the end of the page."""
        answer = "document.body.dataset.answer = JSON.stringify((() => {%s})());" % script
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.html")
            with open(path, "w", encoding="utf-8") as file:
                file.write(page.replace("</body>", f"<script>{answer}</script></body>"))
            done = subprocess.run(
                [BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu",
                 "--disable-dev-shm-usage", "--no-first-run", "--enable-logging=stderr",
                 f"--user-data-dir={folder}/profile", f"--window-size={width},900", "--dump-dom",
                 f"file://{path}"],
                capture_output=True, text=True, check=False, timeout=100)
        found = re.search(r'data-answer="([^"]*)"', done.stdout)
        self.assertIsNotNone(found, done.stderr[-2000:])
        self.console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        text = found.group(1)  # type: ignore[union-attr]
        for name, character in (("quot", '"'), ("lt", "<"), ("gt", ">"), ("nbsp", "\u00a0"),
                                ("amp", "&")):
            text = text.replace(f"&{name};", character)
        return json.loads(text)

    def shown(self, page: str, script: str, width: int = 1200) -> Any:
        """The same, of a page that has no fault to report."""
        answer = self.look(page, "const problem = at('problem'); const answer = (() => {%s})();"
                           "return [problem.hidden ? '' : problem.textContent, answer];" % script,
                           width)
        self.assertEqual((answer[0], self.console), ("", []))
        return answer[1]

    def test_the_table_shows_the_figures(self) -> None:
        lines = self.shown(report_of("1", "2", "1", "--peers"), """
            return [...document.querySelectorAll("#summary tbody tr")].map((tr) =>
                [...tr.children].map((cell) => cell.textContent));""")
        results = bench_sample.sample("1", "2", "1", "--peers")["results"]
        self.assertEqual(len(lines), len(results))
        for cells, result in zip(lines, results):
            self.assertIn(result["name"], cells[0])
            self.assertEqual("over goal" in cells[5], result["over_goal"])
            self.assertEqual("disturbed" in cells[5], result["disturbed"])
            self.assertEqual("outlier" in cells[5], result["outlier"] is not None)
            self.assertIn(result["error"] or "", cells[5])
            if result["ratio"] is None:
                self.assertEqual(cells[4], "–")
            else:
                ratio = "{ratio:.2f} [{ratio_low:.2f}..{ratio_high:.2f}]".format(**result)
                self.assertEqual(cells[4], ratio)
        first = results[0]
        self.assertIn("{value:.2f} ± {mad:.2f} ns[{low:.2f}..{high:.2f}]".format(**first),
                      lines[0][2])
        self.assertIn("{limit:.2f} ± {limit_mad:.2f} ns".format(**first), lines[0][3])
        peer = next(peer for peer in first["peers"] if peer["name"] == "Go")
        self.assertTrue(any(f"{peer['ratio']:.2f} × limit" in cell for cell in lines[0][9:]))

    def test_many_places_are_one_line_until_all_are_asked_for(self) -> None:
        document = bench_sample.sample("2", "8", "1")
        short, long, middle = self.shown(report(json.dumps(document)), """
            const count = () => document.querySelectorAll("#summary tbody tr").length;
            const short = count();
            const middle = document.querySelector("#summary tbody tr").children[1].textContent;
            const select = document.querySelector("#summary select");
            select.value = "long";
            select.dispatchEvent(new Event("change"));
            return [short, count(), middle];""")
        names = {result["name"] for result in document["results"]}
        self.assertEqual((short, long), (len(names), len(document["results"])))
        yields = sorted((result["value"], result["core"]) for result in document["results"]
                        if result["name"] == "yield2")
        self.assertEqual(middle, f"{yields[7][1]}middle of 16")

    def test_a_click_on_a_heading_sorts(self) -> None:
        up, down, first = self.shown(report_of("1", "2", "1"), """
            const head = [...document.querySelectorAll("thead th")].find(
                (th) => th.textContent === "Ratio");
            const look = () => [...document.querySelectorAll("#summary tbody tr")].map((tr) =>
                tr.children[4].textContent);
            const click = () => { head.querySelector("button").click();
                                  return [head.getAttribute("aria-sort"), look()]; };
            const before = look();
            return [click(), click(), [click()[0], String(look()) === String(before)]];""")
        self.assertEqual((up[0], down[0], first), ("ascending", "descending", ["none", True]))
        for lines, reverse in ((up[1], False), (down[1], True)):
            ratios = [float(cell.split()[0]) for cell in lines if cell != "–"]
            self.assertEqual(ratios, sorted(ratios, reverse=reverse))
            self.assertNotIn("–", lines[:len(ratios)]) # what is not known comes last

    def test_each_row_has_its_figures(self) -> None:
        document = bench_sample.sample("2", "4", "1")
        sections = self.shown(report(json.dumps(document)), """
            return Object.fromEntries([...document.querySelectorAll(".row")].map((row) => [
                row.id, { figures: [...row.querySelectorAll("figcaption b")].map(
                    (b) => b.textContent), dots: row.querySelectorAll(".dot").length,
                    bars: row.querySelectorAll("rect.bar").length,
                    outliers: row.querySelectorAll("rect.bar.bad").length,
                    text: row.textContent }]));""")
        self.assertEqual(set(sections), {f"row-{result['name']}" for result in document["results"]})
        first = sections["row-yield2"]
        self.assertEqual(first["figures"], ["Repetitions", "Cores"])
        self.assertEqual((first["dots"], first["bars"], first["outliers"]), (3 * 21, 8, 1))
        self.assertIn("outlier: CPU 6, ", first["text"])
        self.assertEqual(sections["row-file_randread"]["figures"],
                         ["Repetitions", "Latency", "Cores"])
        self.assertEqual(sections["row-file_randread"]["bars"], 7) # one failed
        self.assertEqual(sections["row-xcore_stream"]["figures"], ["Repetitions", "Pairs"])
        self.assertEqual(sections["row-xcore_call1"]["figures"], ["Repetitions", "Latency"])

    def test_the_choice_of_a_core_shows_its_figures(self) -> None:
        document = bench_sample.sample("2", "4", "1")
        texts = self.shown(report(json.dumps(document)), """
            return [0, 6].map((core) => {
                const select = document.querySelector("#row-spawn_join select");
                select.value = core;
                select.dispatchEvent(new Event("change"));
                return document.querySelector("#row-spawn_join p").textContent;
            });""")
        for text, core in zip(texts, (0, 6)):
            value = next(result["value"] for result in document["results"]
                         if (result["name"], result["core"]) == ("spawn_join", core))
            self.assertIn(f"shardrt {value:.1f} ± ", text)

    def test_the_map_is_in_the_order_of_the_hardware(self) -> None:
        document = bench_sample.sample("2", "4", "2")
        order = [str(cpu["number"]) for cpu in document["machine"]["cpus"]]
        self.assertNotEqual(order, sorted(order, key=int))
        numbers, values, groups, lines = self.shown(report(json.dumps(document)), """
            const svg = document.querySelector("#row-xcore_rtt figure.wide svg");
            const all = [...svg.children].filter((child) => child.tagName === "text").map(
                (one) => one.textContent);
            return [all.filter((one) => Number.isInteger(Number(one))),
                    [...svg.querySelectorAll(".cells text")].map((one) => Number(one.textContent)),
                    all.filter((one) => one.includes("node")),
                    svg.querySelectorAll(".split").length];""")
        self.assertEqual(numbers[:32:2], order) # above, and the same to the left
        self.assertEqual(numbers[1:32:2], order)
        expected = {(result["core"], result["core2"]): result["value"]
                    for result in document["results"] if result["name"] == "xcore_rtt"}
        pairs = [(int(one), int(other)) for one in order for other in order if one != other]
        self.assertEqual(len(values), len(pairs))
        for value, pair in zip(values, pairs):
            self.assertAlmostEqual(value, expected[pair], delta=0.006 * value)
        self.assertEqual(groups, ["package 0 · node 0 · cache 0",
                                  "package 1 · node 1 · cache 1"] * 2)
        self.assertEqual(lines, 1)

    def test_a_large_machine_has_a_map_without_values(self) -> None:
        page = report_of("2", "20", "1", "--pairs", "half", "--repetitions", "3")
        texts, image, size = self.shown(page, """
            const svg = document.querySelector("#row-xcore_rtt figure.wide svg");
            const image = svg.querySelector("image");
            return [svg.querySelectorAll(".cells text").length,
                    image.getAttribute("href").slice(0, 15),
                    image.width.baseVal.value > 40 * 1.5];""")
        self.assertEqual((texts, image, size), (0, "data:image/png;", True))

    def test_the_page_fits_narrow_and_wide_windows(self) -> None:
        page = report_of("2", "8", "1")
        for width in (400, 1600):
            inner, outer = self.shown(page, """
                return [document.documentElement.scrollWidth, innerWidth];""", width)
            self.assertLessEqual(inner, outer)
            self.assertLess(abs(outer - width), 120) # a browser's smallest window may be larger

    def test_text_of_the_document_is_never_markup(self) -> None:
        document = bench_sample.sample("1", "2", "1")
        document["machine"]["processor"] = HOSTILE
        document["machine"]["warnings"] = [HOSTILE]
        for result in document["results"]:
            result["summary"] = result["disturbance"] = HOSTILE
            result["error"] = result["error"] and HOSTILE
            result["outlier"] = result["outlier"] and HOSTILE
        seen, made = self.shown(report(json.dumps(document)), """
            return [[...document.querySelectorAll("#subtitle, .warnings, h3, .mark")].filter(
                (one) => one.textContent.includes('<b id="broken"> &')).length,
                typeof broken + document.querySelectorAll("#broken").length];""")
        self.assertGreater(seen, 20)
        self.assertEqual(made, "undefined0")

    def test_a_row_without_a_limit_or_a_histogram_is_shown(self) -> None:
        document = bench_sample.sample("1", "2", "1")
        keep = [result for result in document["results"] if result["name"] == "my_yield"][:1]
        document["results"] = keep
        figures = self.shown(report(json.dumps(document)), """
            return [...document.querySelectorAll("figcaption b")].map((b) => b.textContent);""")
        self.assertEqual(figures, ["Repetitions"])

    def test_a_wild_repetition_does_not_flatten_the_others(self) -> None:
        document = bench_sample.sample("1", "2", "1", "--repetitions", "101")
        document["results"] = document["results"][:1]
        document["results"][0]["values"][50] *= 1000
        arrows, tip, caption, spread = self.shown(report(json.dumps(document)), """
            const arrows = [...document.querySelectorAll(".beyond.run")].filter(
                (one) => one.dataset.tip.includes("repetition 51:"));
            const dots = [...document.querySelectorAll("circle.run")].map(
                (one) => one.cx.baseVal.value);
            return [arrows.length, arrows[0].dataset.tip,
                    document.querySelector("figcaption").textContent,
                    Math.max(...dots) - Math.min(...dots)];""")
        self.assertEqual(arrows, 1)
        self.assertIn("µs", tip)
        self.assertIn("beyond the edge", caption)
        self.assertGreater(spread, 100)

    def problem(self, text: str) -> str:
        return self.look(report(text), "return at('problem').hidden ? '' : "
                                       "at('problem').textContent;")

    def test_what_cannot_be_shown_is_said(self) -> None:
        other: Dict[str, Any] = bench_sample.sample("1", "2", "1")
        other["schema"] = "rt-bench/9"
        self.assertIn("rt-bench/9", self.problem(json.dumps(other)))
        self.assertIn("cannot be shown", self.problem('{"schema": '))
        other["schema"] = "rt-bench/1"
        other["results"] = []
        self.assertIn("no results", self.problem(json.dumps(other)))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    outcome = unittest.main(exit=False).result
    if not outcome.wasSuccessful():
        sys.exit(1)
    if outcome.skipped:
        sys.exit(77)
