#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gdb commands `rt tasks`, `rt bt` and `rt sched`, on a live process and on its core file.

    gdb_commands_test.py PROGRAM SCRIPT

PROGRAM is dump_program, whose mode `abort` stops with a task in each state; SCRIPT is
tools/gdb/shardrt-gdb.py. Skipped, or without the core file, as gdb_backtrace_test.py.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import List

import gdb_backtrace_test as common
from gdb_backtrace_test import check, functions, marked, section

# By number: name, state, and what the line says besides.
TASKS = {
    0: ("first", "running", ""),
    1: ("joined", "waiting", r"sleep .* s  joined by task 2$"),
    2: ("joiner", "waiting", r"join of task 1 .* s$"),
    3: ("parker", "waiting", r"park .* s$"),
    4: ("done", "completed", r"result 7$"),
    6: ("", "waiting", r"sleep .* s  in group 0x[0-9a-f]+$"),
    7: ("leaver", "waiting", r"cancelled$"),
    8: ("yielder", "runnable", ""),
    10: ("new", "runnable", ""),
}
CALLS = {1: ["rt_sleep_until", "sleeper"], 2: ["rt_join", "joiner"], 3: ["rt_park", "parker"],
         7: ["rt_group_leave", "leaver"], 8: ["yielder"]}


def commands(script: str) -> List[str]:
    return ["-iex", "set auto-load libthread-db on", "-ex", f"source {script}",
            "-ex", "handle SIGABRT stop nopass"]


def looks() -> List[str]:
    """The commands to be run, each in a section of its own."""
    arguments = marked("before", "thread", "frame")
    arguments += marked("tasks", "rt tasks") + marked("tasks 1", "rt tasks 1")
    arguments += marked("sched", "rt sched") + marked("all", "rt bt all 0")
    for number in (*CALLS, 0, 4, 9, 10):
        arguments += marked(f"bt {number}", f"rt bt {number} 0")
    arguments += marked("nobody", "rt bt 99") + marked("nowhere", "rt tasks 7")
    arguments += marked("nothing", "rt bt") + marked("each", "rt bt 0")
    return arguments + marked("after", "thread", "frame")


def check_tasks(output: str, kind: str) -> None:
    text = section(output, "tasks")
    check(re.search(r"^ +9  waiting +future  default +future +sleep .* s$", text, re.MULTILINE)
          is not None, f"{kind}: the future", text)
    for number, (name, state, more) in TASKS.items():
        line = re.search(rf"^ +{number}  {state} +fiber   default +{name}\b.*", text, re.MULTILINE)
        check(line is not None and re.search(more, line[0]) is not None,
              f"{kind}: task {number} is '{name}', {state}, and {more!r}", text)
    check("shard 0 'dumped-0' on thread" in text and "shard 1 'dumped-1' on thread" in text,
          f"{kind}: both shards are there", text)
    one = section(output, "tasks 1")
    check("shard 1" in one and "shard 0" not in one, f"{kind}: one shard can be chosen", one)


def check_backtraces(output: str, kind: str) -> None:
    every = section(output, "all")
    for number, calls in CALLS.items():
        text = section(output, f"bt {number}")
        names = functions(text)
        check([name for name in names if name in calls] == calls and
              names[-1:] == ["rti_fiber_trampoline"],
              f"{kind}: task {number} is in {calls}", text)
        check(not common.BAD.search(text), f"{kind}: gdb has no complaint", text)
        check(text.strip() in every, f"{kind}: task {number} is among all", every)
    running = functions(section(output, "bt 0"))
    check("show_states" in running, f"{kind}: the running task is its thread", output)
    check("it has returned" in section(output, "bt 4"), f"{kind}: what has returned", output)
    check("it has not run yet" in section(output, "bt 10"), f"{kind}: what is new says so", output)
    check(re.search("it is polled by .*<poll_sleep>", section(output, "bt 9")) is not None,
          f"{kind}: a future names its poll function", output)
    each = section(output, "each")
    check("of shard 0, running" in each and "of shard 1, completed" in each,
          f"{kind}: without a shard, a number is that of each", each)


def check_looks(output: str, kind: str) -> None:
    check_tasks(output, kind)
    check_backtraces(output, kind)
    sched = section(output, "sched")
    check(re.search(r"shard 0 'dumped-0' on thread \d+ runs task 0 'first': turn \d+, "
                    r"2 runnable in 'default', 10 tasks live, 0 timers armed, 0 operations in "
                    r"flight", sched)
          is not None, f"{kind}: rt sched shows the shard that runs", sched)
    check(re.search(r"shard 1 'dumped-1' on thread \d+ \S.*: turn \d+, 0 runnable", sched)
          is not None, f"{kind}: and the other one", sched)
    check("there is no task 99" in section(output, "nobody"), f"{kind}: a wrong number", output)
    check("there is no shard 7; there are: 0, 1" in section(output, "nowhere"),
          f"{kind}: a wrong shard", output)
    check("rt bt: which task?" in section(output, "nothing"), f"{kind}: no number", output)
    check(section(output, "before") == section(output, "after") != "",
          f"{kind}: the selected thread and frame are as before", output)


def check_live(program: str, script: str) -> None:
    output = common.run_gdb(*commands(script), "-ex", "run", *looks(), "-ex", "kill",
                            "--args", program, "abort")
    if "Python scripting is not supported" in output:
        common.skip("gdb without Python")
    if re.search(r"ptrace|[Cc]ould not trace|Operation not permitted", output):
        common.skip("no process may be traced here")
    if re.search(r"io_uring", output) and "SIGABRT" not in output:
        common.skip("no io_uring")
    check_looks(output, "live")


def check_core(program: str, script: str) -> None:
    reason = common.leaves_no_core(program)
    if reason:
        print(f"no core file looked at: {reason}")
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "abort"], cwd=folder, preexec_fn=common.allow_core, check=False)
        cores = glob.glob(os.path.join(folder, "core*"))
        check(len(cores) == 1, "the program left a core file", "")
        for core in cores:
            check_looks(common.run_gdb(*commands(script), *looks(), program, core), "core")


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    program, script = (os.path.abspath(path) for path in sys.argv[1:])
    os.environ["RT_SPURIOUS"] = "0"  # who waits shall be seen to wait
    if shutil.which("gdb") is None:
        common.skip("there is no gdb")
    check_live(program, script)
    check_core(program, script)
    return 1 if common.failures else 0


if __name__ == "__main__":
    sys.exit(main())
