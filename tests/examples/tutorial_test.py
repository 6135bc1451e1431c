#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The steps of docs/guide/tutorial_service.md, and count_words, run as their readers run them.

    tutorial_test.py --bin DIR [unittest options]

DIR holds count_words and tutorial/step1 ... Each step must print what the page says it prints: the
block of text behind the last quote of the step. Exit status 77 when the kernel has no io_uring.
"""
import re
import sys
import unittest
from pathlib import Path

import example
from example import run

PAGE = Path(__file__).resolve().parents[2] / "docs/guide/tutorial_service.md"


def shown_output(step: int) -> str:
    """The block that the page says `step` prints."""
    found = re.search(rf"```text step{step}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return found[1] if found else f"the page does not say what step {step} prints"


class Tutorial(unittest.TestCase):
    def test_each_step_prints_what_the_page_says(self) -> None:
        for step in range(1, 6):
            with self.subTest(step=step):
                result = run(f"tutorial/step{step}", "--shards", "3", "--place", "unbound")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stdout, shown_output(step))

    def test_the_page_quotes_every_step(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        for step in range(1, 6):
            self.assertIn(f"```c docs/examples/tutorial/step{step}.c", page)


class CountWords(unittest.TestCase):
    def test_it_counts_what_python_counts(self) -> None:
        words = [f"w{i * i % 97}" for i in range(2000)]
        text = "\n".join(" ".join(words[i:i + 20]) for i in range(0, len(words), 20)) + "\nw1 " * 99
        words = text.split()
        best = max(words.count(word) for word in set(words))
        for shards in ("1", "3"):
            with self.subTest(shards=shards):
                result = run("count_words", "--shards", shards, "--place", "unbound", text=text)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stdout,
                                 f"{len(set(words))} words; 'w1' comes {best} times\n")

    def test_a_word_that_is_too_long_is_an_error(self) -> None:
        result = run("count_words", "--shards", "2", "--place", "unbound", text="a " + 32 * "b")
        self.assertEqual(result.returncode, 1)
        self.assertIn("count_words: ", result.stderr)

    def test_wrong_options_print_the_usage(self) -> None:
        self.assertEqual(run("count_words", "file").returncode, 2)
        result = run("count_words", "--help")
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith("usage: count_words"))


if __name__ == "__main__":
    sys.exit(example.main("Run the tutorial's steps and check what they do."))
