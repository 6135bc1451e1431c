#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clang-format over the tree, with the two things that clang-format 14 cannot be told.

    tools/dev/format.py            rewrite what is not formatted
    tools/dev/format.py --check    name it and exit with 1
    tools/dev/format.py FILE ...   these files only

The line of macros above a public prototype (RT_API RT_SUSPENDS) stays a line of its own, and
macro definitions stay as they were written. Both are hidden behind a comment while it runs.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
from typing import List, Tuple

ANNOTATION = re.compile(r"^RT_API(?: RT_\w+)*$", re.MULTILINE)
DEFINE = re.compile(r"^#[ ]*define[^\n]*(?:(?<=\\)\n[^\n]*)*", re.MULTILINE)
MASK = re.compile(r"^[ ]*/\*@hidden (\d+)@\*/$", re.MULTILINE)
FOLDERS = ("include", "runtime", "tests", "tools", "docs")


def formatter() -> str:
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path is not None:
            return path
    sys.exit("format: no clang-format here; tools/dev/setup --lint installs it")


def formatted(program: str, path: str, text: str) -> str:
    hidden: List[str] = []

    def hide(match: "re.Match[str]") -> str:
        hidden.append(match.group(0))
        return f"/*@hidden {len(hidden) - 1}@*/"

    masked = ANNOTATION.sub(hide, DEFINE.sub(hide, text))
    run = subprocess.run([program, f"--assume-filename={path}"], input=masked,
                         capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"format: {path}: {run.stderr.strip()}")
    return MASK.sub(lambda match: hidden[int(match.group(1))], run.stdout)


def sources(root: str) -> List[str]:
    paths = []
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            paths += [os.path.join(folder, name) for name in names
                      if name.endswith((".c", ".h", ".cpp"))]
    return sorted(paths)


def main() -> int:
    parser = argparse.ArgumentParser(description="Format the C sources.")
    parser.add_argument("files", nargs="*", help="only these (default: the whole tree)")
    parser.add_argument("--check", action="store_true", help="change nothing, fail instead")
    arguments = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = formatter()

    def work(path: str) -> Tuple[str, int]:
        with open(path, encoding="utf-8") as file:
            old = file.read()
        new = formatted(program, path, old)
        if new == old:
            return path, 0
        if not arguments.check:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
        pairs = zip(old.split("\n"), new.split("\n"))
        return path, next((n for n, (a, b) in enumerate(pairs, 1) if a != b), 1)

    paths = [os.path.abspath(path) for path in arguments.files] or sources(root)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        changed = [(path, line) for path, line in pool.map(work, paths) if line]
    for path, line in changed:
        word = "not formatted from here on" if arguments.check else "formatted"
        print(f"{os.path.relpath(path, root)}:{line}: {word}")
    print(f"format: {len(paths)} files, {len(changed)} "
          f"{'not formatted' if arguments.check else 'changed'}")
    return 1 if changed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
