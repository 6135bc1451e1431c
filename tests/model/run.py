#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves the protocols between shards with spin, and that each known mistake is found.

    tests/model/run.py               every proof and every mutant, a minute on 2 cores
    tests/model/run.py --list        their names
    tests/model/run.py --only NAME   those whose name contains NAME
    tests/model/run.py --thorough    also larger bounds: several minutes, up to 8 GiB

A line for each: what it is, states, depth, seconds of search, verdict. Three kinds:

    proof     the model holds in every order of steps and drains
    mutant    the model with one mistake must fail, and by the assertion that is named here
    harmless  a change that looks like a mistake, or a shortcut, and holds all the same

Exit status 1 when one of them is not so, 77 when spin or gcc is missing. docs/design/cross_core.md
explains the protocols.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import List, NamedTuple, Optional, Sequence, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MIB = 1800           # two searches at a time stay below 4 GiB
MEMORY_MIB_THOROUGH = 8000  # thorough searches run one by one
DEPTH_MAX = 200000          # of the longest path; reaching it counts as a failure
SECONDS_MAX = 170
SECONDS_MAX_THOROUGH = 1200


class Job(NamedTuple):
    kind: str
    model: str
    defines: str  # NAME or NAME=VALUE, separated by spaces
    expected: str = ""  # of a mutant: the assertion that must catch it
    thorough: bool = False

    @property
    def name(self) -> str:
        return " ".join([self.model, *self.defines.split()])


class Result(NamedTuple):
    good: bool
    states: str
    depth: str
    seconds: float
    verdict: str


STRANDED = "nothing_stranded"
ALL_LEFT = "all_have_left"


def proofs(model: str, *variants: str, thorough: bool = False) -> List[Job]:
    return [Job("proof", model, variant, thorough=thorough) for variant in variants]


def mutants(model: str, names: str, expected: str, also: str = "") -> List[Job]:
    return [Job("mutant", model, f"MUTANT_{name} {also}".strip(), expected)
            for name in names.split()]


def harmless(model: str, names: str, *variants: str) -> List[Job]:
    return [Job("harmless", model, f"MUTANT_{name} {variant}".strip())
            for name in names.split() for variant in variants]


JOBS: Tuple[Job, ...] = (
    *proofs("doorbell", "", "WORDS=2", "SENDERS=3 MESSAGES=1", "SENDERS=3 WORDS=2 MESSAGES=1",
            "MESSAGES=3 BUDGET=2", "WEAK", "WEAK WORDS=2"),
    *mutants("doorbell", "SLEEP_STORE DRAIN_FIRST DROP_PENDING PLAIN_TEST", STRANDED),
    *mutants("doorbell", "WAKE_AND", "woken"),
    *mutants("doorbell", "TAKE_BACK_STORE", STRANDED, "WORDS=2"),
    *proofs("doorbell", "SENDERS=3", "SENDERS=3 WORDS=2", "MESSAGES=4 BUDGET=2",
            "WEAK MESSAGES=3", thorough=True),

    *proofs("port_room", "", "COUNT1=2", "CAPACITY=2 BUDGET=2 COUNT0=4", "WEAK"),
    *mutants("port_room", "WANT_AFTER_RING CLEAR_AFTER_RING WANT_IF_TAKEN NO_REPEAT", STRANDED),
    *proofs("port_room", "DEKKER COUNT1=2"),
    *mutants("port_room", "WANT_BEFORE_HEAD NO_LOOK", STRANDED, "DEKKER"),
    *harmless("port_room", "WANT_BEFORE_HEAD HEAD_AFTER_RING NO_LOOK", "COUNT1=2", "WEAK"),
    *proofs("port_room", "COUNT1=3", "CAPACITY=2 BUDGET=2 COUNT0=4 COUNT1=3", "WEAK COUNT1=2",
            thorough=True),

    *proofs("channel", "", "CAPACITY=2", "MESSAGES=5 CAPACITY=2", "WEAK", "WEAK CAPACITY=2"),
    *mutants("channel", "LATE_BIT_CONSUMER LATE_BIT_PRODUCER", STRANDED),
    *mutants("channel", "PLAIN_LOAD_CONSUMER PLAIN_LOAD_PRODUCER", STRANDED),
    *proofs("channel", "WEAK MESSAGES=7 CAPACITY=3", thorough=True),

    *proofs("mesh_channel", "", "SENDERS=3 MESSAGES=1", "MESSAGES=3", "WEAK"),
    *mutants("mesh_channel", "LATE_BIT NO_BIT RING_FIRST PLAIN_LOAD SLEEP_STORE FORGET", STRANDED),
    *proofs("mesh_channel", "SENDERS=3", "WEAK MESSAGES=3", thorough=True),

    *proofs("wake_map", "", "WEAK WAKES1=1"),
    *mutants("wake_map", "TOP_FIRST LEVEL_LAST RING_FIRST LEAF_FIRST", STRANDED),
    *harmless("wake_map", "STOP_AT_SET", "", "WEAK WAKES1=1"),
    *proofs("wake_map", "WAKES2=2", "WEAK", thorough=True),

    *proofs("park", "", "CYCLES=3"),
    *mutants("park", "NO_FENCE LOOK_FIRST NO_LOOK FENCE_FIRST", STRANDED),

    *proofs("call_cancel", "", "WEAK"),
    *mutants("call_cancel", "CALLER_SPLIT CALLEE_SPLIT", "one_acts"),
    *mutants("call_cancel", "BLIND_WAKE", "no_answer_is_owed"),
    *mutants("call_cancel", "STARTED_AFTER_ANSWER", "frame_gone"),

    *proofs("posts", "", "POSTS=2 ABORTS=1", "WEAK POSTS=2"),
    *mutants("posts", "ONLY_AT_START FORGET TOLD_ONCE KEEP_CREDITS WANT_AFTER_RING", STRANDED),
    *mutants("posts", "ASK_AGAIN", "rings_are_few"),
    *harmless("posts", "NO_LOOK BLIND_RING_BACK", "POSTS=2"),
    *proofs("posts", "POSTS=2 CALLS=1", "POSTS=3 ABORTS=1", "POSTS=3 CREDITS=2 CAPACITY=1",
            "POSTS=2 CALLS=1 CAPACITY=1 ABORTS=1", "POSTS=4", "WEAK", thorough=True),

    *proofs("replies", "", "CALLS0=2 CALLS1=0 DEPTH=2"),
    *mutants("replies", "HOLD_SLOT LATE_UNRUNG NO_RING_BACK LATE_UNSEEN", STRANDED),
    *proofs("replies", "CALLS0=2 DEPTH=2", "CALLS0=2 CALLS1=2 DEPTH=1", thorough=True),

    *proofs("closing", "", "MESSAGES=2", "ASKS=1", "FAILURES=1", "STOP=1", "WEAK"),
    *mutants("closing", "ACK_FIRST NO_LAST_LOOK WITHOUT_ACKS", "quiet_is_quiet"),
    *mutants("closing", "FORGET_LATE", "quiet_is_quiet", "ASKS=1"),
    *mutants("closing", "LEAVE_ON_ARRIVAL", "nothing_is_under_way"),
    *mutants("closing", "SILENT_RETURN SILENT_ACK SILENT_ARRIVAL", ALL_LEFT),
    *mutants("closing", "WAKES_UNSUBMITTED ERRORS_UNREAD", ALL_LEFT, "ASKS=1 FAILURES=1"),
    *proofs("closing", "ASKS=1 FAILURES=1", "MESSAGES=2 FAILURES=1", "STOP=1 ASKS=1", "SHARDS=3",
            thorough=True),

    *proofs("disk_share", "", "CAPACITY=1 QUANTUM=1", "SHARDS=2 REQUESTS=4",
            "SHARDS=2 REQUESTS=4 PART=2"),
    *mutants("disk_share", "STORE", "count_is_right"),
    *mutants("disk_share", "KEEP", "count_is_right"),
    *mutants("disk_share", "BLIND", "not_too_much", "CAPACITY=2 REQUESTS=4"),
    *mutants("disk_share", "NO_FIRST", "refused_has_one", "PART=0"),
    *harmless("disk_share", "SPARE_COUNTS", ""),
    *proofs("disk_share", "REQUESTS=3", thorough=True),
)


def output_of(command: Sequence[str], folder: str, seconds: int) -> Tuple[int, str]:
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return -1, f"longer than {seconds} s"
    return done.returncode, done.stdout


def judge(job: Job, output: str) -> Result:
    """Reads what the search has printed. Whatever is not understood is a failure."""
    def found(pattern: str) -> Optional[str]:
        match = re.search(pattern, output)
        return match.group(1) if match else None

    states = found(r"(\d+) states, stored") or "-"
    depth = found(r"depth reached (\d+)") or "-"
    seconds = float(found(r"elapsed time ([\d.]+)") or 0)
    errors = found(r"errors: (\d+)")
    error = found(r"pan:\d+: (.*) \(at depth") or ""
    # Without the full search there may be errors that were not met.
    cut = re.search(r"max search depth too small|reached -DMEMLIM|out of memory"
                    r"|Search not completed", output)
    if errors is None:
        good, verdict = False, "NO RESULT: " + output.strip()[-300:]
    elif job.kind == "mutant":
        good = errors != "0" and job.expected in error
        verdict = (f"caught: {error}" if good else
                   f"CAUGHT BY ANOTHER: {error}" if errors != "0" else "SURVIVED")
    else:
        good = errors == "0" and not cut
        verdict = ("holds" if good else f"FAILED: {error}" if errors != "0" else
                   f"NOT COMPLETE: {cut.group(0) if cut else ''}")
    return Result(good, states, depth, seconds, verdict)


def run(job: Job) -> Result:
    memory = MEMORY_MIB_THOROUGH if job.thorough else MEMORY_MIB
    seconds = SECONDS_MAX_THOROUGH if job.thorough else SECONDS_MAX
    # COLLAPSE halves the memory of a state and doubles its time: for the large ones only.
    options = ["-DSAFETY", f"-DMEMLIM={memory}", *(["-DCOLLAPSE"] if job.thorough else [])]
    # A mutant fails within few states, so there the compiler's time is what counts. And -O2 takes
    # twice as long as -O1, for a search that is hardly faster.
    options.append("-O0" if job.kind == "mutant" else "-O2" if job.thorough else "-O1")
    model = os.path.join(HERE, job.model + ".pml")
    with tempfile.TemporaryDirectory(prefix="shardrt-model-") as folder:
        for command in (["spin", "-a", *(f"-D{define}" for define in job.defines.split()), model],
                        ["gcc", "-w", *options, "-o", "pan", "pan.c"]):
            status, output = output_of(command, folder, seconds)
            if status != 0 or "rror:" in output:
                return Result(False, "-", "-", 0, f"{command[0].upper()}: {output.strip()[-300:]}")
        _, output = output_of(["./pan", f"-m{DEPTH_MAX}", "-w22"], folder, seconds)
        return judge(job, output)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the names and exit")
    parser.add_argument("--only", metavar="NAME", default="", help="those that contain NAME")
    parser.add_argument("--thorough", action="store_true", help="larger bounds too")
    parser.add_argument("--jobs", type=int, default=2, help="searches at a time (default 2)")
    arguments = parser.parse_args()

    jobs = [job for job in JOBS
            if arguments.only in job.name and (arguments.thorough or not job.thorough)]
    if arguments.list:
        for job in jobs:
            print(f"{job.kind:8} {job.name}")
        return 0
    if not jobs:
        parser.error(f"no name contains {arguments.only!r}")
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            print(f"run.py: {tool} is missing (tools/dev/setup installs it); skipped")
            return 77

    bad = 0
    for batch, workers in (([job for job in jobs if not job.thorough], arguments.jobs),
                           ([job for job in jobs if job.thorough], 1)):
        with ThreadPoolExecutor(max_workers=workers) as pool:
            for job, result in zip(batch, pool.map(run, batch)):
                print(f"{job.kind:8} {job.name:44} {result.states:>9} states "
                      f"{result.depth:>5} deep {result.seconds:6.2f} s  {result.verdict}",
                      flush=True)
                bad += not result.good
    print(f"{len(jobs)} searches, {bad} not as they must be")
    return 1 if bad else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # --list | head
    sys.exit(main())
