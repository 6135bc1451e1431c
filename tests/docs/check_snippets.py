#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the Markdown pages: programs compile, quotes are true, links lead somewhere.

    tests/docs/check_snippets.py             every page of the repository
    tests/docs/check_snippets.py PAGE ...    these pages only

A block of C is one of three, told apart by what follows the fence:

    ```c                              with a main(): a program. It must compile without a warning.
    ```c docs/examples/echo.c         a quote. Its lines must stand in that file, in a row.
    ```c sketch                       neither: an interface that is not built yet. Not checked.

A link without a scheme must lead to a file of the repository, and its #anchor to a heading.
A finding is one line, file:line: message, and the exit status is then 1. $CC names the compiler.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_FOLDERS = {"build", ".git"}
FLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]

FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*(.*?)\s*$")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
LINK_DEFINITION = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$")
CODE_SPAN = re.compile(r"(`+)(?:(?!\1).)+\1")
SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")


class Block(NamedTuple):
    line: int  # of its first line, counted from 1
    info: str  # what follows the fence
    lines: List[str]


class Page(NamedTuple):
    path: Path
    blocks: List[Block]
    text: List[Tuple[int, str]]  # lines outside of blocks, with their numbers
    open_fence: int  # line of a fence that is never closed, or 0


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


def read_page(path: Path) -> Page:
    blocks: List[Block] = []
    text: List[Tuple[int, str]] = []
    fence: Optional[str] = None
    opened = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match = FENCE.match(line)
        if fence is None and match:
            fence, opened = match.group(2), number
            blocks.append(Block(number + 1, match.group(3), []))
        elif fence is None:
            text.append((number, line))
        elif match and match.group(2).startswith(fence) and not match.group(3):
            fence = None
        else:
            blocks[-1].lines.append(line)
    return Page(path, blocks, text, opened if fence is not None else 0)


def all_pages() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        for name in sorted(files):
            if name.endswith(".md"):
                yield Path(folder) / name


def write_version_header(folder: Path) -> None:
    """rt/version.h as CMake would write it, so that no build is needed."""
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    match = re.search(r"project\(\s*\w+\s+VERSION\s+((\d+)\.(\d+)\.(\d+))", cmake)
    if match is None:
        sys.exit("check_snippets: CMakeLists.txt names no version")
    text = (ROOT / "include/rt/version.h.in").read_text(encoding="utf-8")
    names = ("VERSION", "VERSION_MAJOR", "VERSION_MINOR", "VERSION_PATCH")
    for name, value in zip(names, match.groups()):
        text = text.replace(f"@PROJECT_{name}@", value)
    (folder / "rt").mkdir()
    (folder / "rt/version.h").write_text(text, encoding="utf-8")


def find_compiler() -> str:
    for name in (os.environ.get("CC", ""), "gcc", "cc"):
        if name and shutil.which(name):
            return name
    sys.exit("check_snippets: there is no C compiler; set CC")


class Checker:
    def __init__(self, include: Path) -> None:
        self.include = include
        self.compiler = find_compiler()
        self.findings: List[str] = []
        self.programs = 0
        self.quotes = 0
        self.links = 0
        self.anchors: Dict[Path, Set[str]] = {}

    def report(self, path: Path, line: int, message: str) -> None:
        self.findings.append(f"{shown(path)}:{line}: {message}")

    def check(self, path: Path) -> None:
        page = read_page(path)
        if page.open_fence:
            self.report(path, page.open_fence, "this block is never closed")
        for block in page.blocks:
            words = block.info.split()
            if words and words[0] == "c":
                self.check_c(page, block, words[1:])
        for number, line in page.text:
            self.check_links(page, number, line)

    def check_c(self, page: Page, block: Block, words: List[str]) -> None:
        if words == ["sketch"]:
            return
        if words:
            self.check_quote(page, block, words[0])
        elif any(re.search(r"\bint main\(", line) for line in block.lines):
            self.check_program(page, block)
        else:
            self.report(page.path, block.line,
                        "a block of C must have a main(), or name the file it quotes "
                        "(```c docs/examples/echo.c), or be marked as a sketch (```c sketch)")

    def check_program(self, page: Page, block: Block) -> None:
        self.programs += 1
        source = "\n".join([f'#line {block.line} "{shown(page.path)}"', *block.lines, ""])
        command = [self.compiler, *FLAGS, "-I", str(ROOT / "include"), "-I", str(self.include),
                   "-x", "c", "-"]
        run = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            return
        errors = [line for line in run.stderr.splitlines() if re.search(r":\d+: ", line)]
        errors = [line for line in errors if "error:" in line] or errors
        self.findings += errors or [f"{shown(page.path)}:{block.line}: does not compile: "
                                    f"{run.stderr.strip()}"]

    def check_quote(self, page: Page, block: Block, name: str) -> None:
        self.quotes += 1
        source = ROOT / name
        if not source.is_file():
            self.report(page.path, block.line - 1, f"quotes {name}, which does not exist")
            return
        there = [line.rstrip() for line in source.read_text(encoding="utf-8").splitlines()]
        quote = [line.rstrip() for line in block.lines]
        length = len(quote)
        if not any(there[i:i + length] == quote for i in range(len(there) - length + 1)):
            missing = next((i for i, line in enumerate(quote) if line not in there), 0)
            self.report(page.path, block.line + missing, f"is not in {name} as it is quoted here")

    def check_links(self, page: Page, number: int, line: str) -> None:
        bare = CODE_SPAN.sub("", line)
        targets = LINK.findall(bare)
        definition = LINK_DEFINITION.match(bare)
        if definition:
            targets.append(definition.group(1))
        for target in targets:
            if not SCHEME.match(target):
                self.links += 1
                self.check_link(page, number, target)

    def check_link(self, page: Page, number: int, target: str) -> None:
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if path != ROOT and ROOT not in path.parents:
            self.report(page.path, number, f"link leads out of the repository: {target}")
        elif not path.exists():
            self.report(page.path, number, f"link leads nowhere: {target}")
        elif anchor and path.suffix == ".md" and anchor not in self.anchors_of(path):
            self.report(page.path, number, f"there is no such heading: {target}")

    def anchors_of(self, path: Path) -> Set[str]:
        if path not in self.anchors:
            found: Set[str] = set()
            for _, line in read_page(path).text:
                match = HEADING.match(line)
                if match:
                    title = re.sub(r"[^\w\- ]", "", match.group(1).lower())
                    found.add(title.strip().replace(" ", "-"))
            self.anchors[path] = found
        return self.anchors[path]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    pages = parser.parse_args().pages
    with tempfile.TemporaryDirectory() as folder:
        write_version_header(Path(folder))
        checker = Checker(Path(folder))
        for path in pages or all_pages():
            if not path.is_file():
                sys.exit(f"check_snippets: there is no page {path}")
            checker.check(path.resolve())
    for finding in checker.findings:
        print(finding)
    if not checker.findings:
        print(f"{checker.programs} programs compile, {checker.quotes} quotes are true, "
              f"{checker.links} links lead somewhere")
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main())
