#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions that the runtime takes for one operation, and compares with a baseline.

    gate.py                           every operation, of build/dev/tests/gate/gate
    gate.py --only switch             these only; may be given more than once
    gate.py --functions switch        which functions the instructions of one operation are in
    gate.py --per-shard call_all      what it takes for each of 2, 8, 32 and 128 shards
    gate.py --update "REASON"         write the baseline: in a commit that says why as well
    gate.py --program P --baseline B  another program, another baseline

Each operation runs under callgrind COUNT times, and then twice as often; the difference is divided
by COUNT, so what starting and stopping take does not count. Nor does what is not the runtime's
own: the simulated kernel, the C library. So the figures repeat to the instruction, on any machine,
and depend on the source and the compiler only.

Exit status 0 when all are within 3 % of the baseline, 1 when one is above, or below: then the
baseline is to be renewed, or it would let the next one pass. 77 when valgrind is missing or the
baseline is of another compiler; 2 when something else is wrong.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from typing import Dict, List, NamedTuple, NoReturn, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.normpath(os.path.join(HERE, "../../build/dev/tests/gate/gate"))
BASELINE = os.path.join(HERE, "baseline")
COUNT = 1024          # a multiple of what a channel holds, and a port
COUNT_OF_MANY = 64    # the least that the program takes: many shards take long
SHARDS = (2, 8, 32, 128)
TOLERANCE = 3.0       # percent
OURS = "/counted/"    # so CMakeLists.txt lets the debug information name the runtime's files
SECONDS_MAX = 120     # one run takes half a second

HEADER = """\
# SPDX-License-Identifier: MIT
# Instructions of the runtime for one of each operation, as tests/gate/gate.py counts them.
# Written by its --update and not by hand, in a commit that says why.
"""


class Baseline(NamedTuple):
    compiler: str
    reason: str
    counts: Dict[str, float]


def fail(message: str) -> NoReturn:
    print(f"gate.py: {message}", file=sys.stderr)
    sys.exit(2)


def output_of(command: List[str], folder: Optional[str] = None) -> str:
    """In an empty environment: its size would move the stack."""
    try:
        done = subprocess.run(command, cwd=folder, env={}, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        fail(f"took longer than {SECONDS_MAX} s: {' '.join(command)}")
    if done.returncode != 0:
        fail(f"exit status {done.returncode}: {' '.join(command)}\n{done.stderr.strip()}")
    return done.stdout


def read_profile(lines: List[str]) -> "Counter[str]":
    """Instructions per function, of those that are the runtime's.

    fl= is the file of a function, fi= and fe= that of the lines that follow, where code was
    inlined. The file is right for every instruction; the function may be the one before, just
    behind a switch from stack to stack.
    """
    counts: "Counter[str]" = Counter()
    home = here = function = ""
    is_callee = False
    for line in lines:
        key, _, value = line.partition("=")
        if is_callee:  # what the callee took: it is counted there
            is_callee = False
        elif key == "fl":
            home = here = value
        elif key in ("fi", "fe"):
            here = value
        elif key == "fn":
            function = value.partition("'")[0]  # 'N: a recursion, or what callgrind takes for one
            here = home
        elif key == "calls":
            is_callee = True
        elif line[:1].isdigit() and here.startswith(OURS):
            counts[function] += int(line.split()[1])
    if not counts:
        fail(f"nothing below {OURS} was executed: is this the program of tests/gate?")
    return counts


def profile(program: str, operation: str, count: int, shards: int) -> "Counter[str]":
    with tempfile.TemporaryDirectory(prefix="shardrt-gate-") as folder:
        path = os.path.join(folder, "profile")
        output_of([shutil.which("valgrind") or "valgrind", "--quiet", "--tool=callgrind",
                   f"--callgrind-out-file={path}", "--compress-strings=no", "--compress-pos=no",
                   program, operation, str(count), str(shards)], folder)
        with open(path, encoding="utf-8", errors="replace") as file:
            return read_profile(file.read().splitlines())


def measure(program: str, operation: str, count: int = COUNT, shards: int = 2) -> Dict[str, float]:
    """Instructions for one operation, per function."""
    once = profile(program, operation, count, shards)
    twice = profile(program, operation, 2 * count, shards)
    twice.subtract(once)
    return {name: more / count for name, more in twice.items() if more != 0}


def read_baseline(path: str) -> Baseline:
    texts = {"compiler": "", "reason": ""}
    counts: Dict[str, float] = {}
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        fail(f"{path}: {error.strerror}; --update \"REASON\" makes one")
    for number, line in enumerate(lines, 1):
        key, _, value = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if key in texts:
            texts[key] = value.strip()
            continue
        try:
            counts[key] = float(value)
        except ValueError:
            counts[key] = 0
        if not counts[key] > 0:
            fail(f"{path}:{number}: not a name and a count above 0: {line!r}")
    if not all(texts.values()):
        fail(f"{path}: needs a line 'compiler ...' and a line 'reason ...'")
    return Baseline(texts["compiler"], texts["reason"], counts)


def write_baseline(path: str, baseline: Baseline) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{HEADER}compiler {baseline.compiler}\nreason {baseline.reason}\n")
        for name, count in baseline.counts.items():
            file.write(f"{name} {count:.2f}\n")


def change_of(before: float, now: float) -> float:
    """In percent, of figures as they are written: so --update is always followed by success."""
    return (round(now, 2) / before - 1) * 100


def verdict_of(before: Optional[float], now: Optional[float]) -> str:
    """Empty when all is well."""
    if before is None:
        return "NOT IN THE BASELINE"
    if now is None:
        return "IN THE BASELINE ONLY"
    change = change_of(before, now)
    if change > TOLERANCE:
        return "MORE"
    return "FEWER" if change < -TOLERANCE else ""


def compare(before: Dict[str, float], now: Dict[str, float]) -> List[str]:
    """Prints the table; the verdicts that are not good."""
    verdicts = []
    print(f"{'operation':10} {'baseline':>10} {'now':>10} {'change':>9}")
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        verdict = verdict_of(old, new)
        change = f"{change_of(old, new):+.2f}%" if old and new is not None else "-"
        print(f"{name:10} {'-' if old is None else f'{old:.2f}':>10} "
              f"{'-' if new is None else f'{new:.2f}':>10} {change:>9}  {verdict}".rstrip())
        if verdict:
            verdicts.append(verdict)
    return verdicts


def report(verdicts: List[str]) -> int:
    if not verdicts:
        print(f"gate.py: all within {TOLERANCE:g} % of the baseline")
        return 0
    if "MORE" in verdicts:
        print("gate.py: the runtime takes more instructions than before. --functions OPERATION "
              "says where.\nIf they are worth it: gate.py --update \"REASON\", in the same commit.")
    else:
        print("gate.py: the baseline is out of date. Renew it: gate.py --update \"REASON\", in the "
              "same commit.")
    return 1


def show_functions(program: str, operation: str) -> int:
    counts = measure(program, operation)
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        if count >= 0.01:
            print(f"{count:10.2f}  {name}")
    print(f"{sum(counts.values()):10.2f}  in all")
    return 0


def show_per_shard(program: str, operation: str) -> int:
    for shards in SHARDS:
        count = sum(measure(program, operation, COUNT_OF_MANY, shards).values())
        print(f"{shards:4} shards {count / shards:10.2f}", flush=True)
    return 0


def update(path: str, compiler: str, reason: str, counts: Dict[str, float]) -> int:
    if os.path.exists(path):
        before = read_baseline(path)
        if before.reason == reason:
            fail("this reason is the one that stands there already; say why it changes now")
        compare(before.counts, counts)
    write_baseline(path, Baseline(compiler, reason, counts))
    print(f"gate.py: wrote {path}")
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=PROGRAM, help="what tests/gate/gate.c was built to")
    parser.add_argument("--baseline", default=BASELINE, metavar="FILE")
    parser.add_argument("--only", metavar="OPERATION", action="append", default=[])
    parser.add_argument("--functions", metavar="OPERATION")
    parser.add_argument("--per-shard", metavar="OPERATION")
    parser.add_argument("--update", metavar="REASON")
    arguments = parser.parse_args()
    if arguments.update is not None:
        arguments.update = " ".join(arguments.update.split())
        if not arguments.update:
            parser.error("--update needs a reason: it is what readers of the change will see")
        if arguments.only or arguments.functions or arguments.per_shard:
            parser.error("--update is for all operations at once")
    if not os.path.exists(arguments.program):
        parser.error(f"{arguments.program} is not there; build it: "
                     "cmake --preset dev && cmake --build build/dev --target gate")
    return arguments


def main() -> int:
    arguments = read_arguments()
    program = os.path.abspath(arguments.program)
    known = [line.split()[0] for line in output_of([program, "--operations"]).splitlines()]
    compiler = output_of([program, "--compiler"]).strip()

    for name in arguments.only + [arguments.functions or arguments.per_shard or known[0]]:
        if name not in known:
            fail(f"no operation is called {name!r}; there are: {' '.join(known)}")
    if shutil.which("valgrind") is None:
        print("gate.py: valgrind is missing (tools/dev/setup --lint installs it); skipped")
        return 77
    if arguments.functions:
        return show_functions(program, arguments.functions)
    if arguments.per_shard:
        return show_per_shard(program, arguments.per_shard)
    if arguments.update:
        counts = {name: sum(measure(program, name).values()) for name in known}
        return update(arguments.baseline, compiler, arguments.update, counts)

    baseline = read_baseline(arguments.baseline)
    if baseline.compiler != compiler:
        print(f"gate.py: the baseline is of {baseline.compiler}, the program of {compiler}; "
              "skipped")
        return 77
    wanted = arguments.only or known
    counts = {name: sum(measure(program, name).values()) for name in wanted}
    before = {name: count for name, count in baseline.counts.items()
              if name in wanted or not arguments.only}
    return report(compare(before, counts))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # --functions switch | head
    sys.exit(main())
