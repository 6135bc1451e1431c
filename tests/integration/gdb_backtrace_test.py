#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gdb sees fibers: running, switched out, in mid-switch, and in a core file.

    gdb_backtrace_test.py PROGRAM SCRIPT

PROGRAM is gdb_backtrace_program, SCRIPT is tools/gdb/shardrt-gdb.py. Exit status 77 (skipped)
without gdb, without Python in gdb, or where no process may be traced. The part with the core file
is left out where cores do not go to the working directory, and in sanitizer builds (terabytes).
"""
import glob
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from typing import List

SKIPPED = 77
SLEEPER = (["innermost_of_sleeper"] + ["middle_of_sleeper"] * 4 +
           ["entry_of_sleeper", "rti_fiber_trampoline"])
# Frames that are there or not: the inlined switch, and a sanitizer's hook under the entry.
OPTIONAL = {"rti_fiber_switch", "begin"}
BAD = re.compile(r"Backtrace stopped|corrupt stack|Cannot access memory|Traceback|Python Exception")

failures: List[str] = []


def run_gdb(*arguments: str) -> str:
    environment = dict(os.environ, LC_ALL="C", DEBUGINFOD_URLS="")
    result = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set width 0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        timeout=100, env=environment, check=False)
    return result.stdout


def skip(reason: str) -> None:
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def check(condition: bool, what: str, output: str) -> None:
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}\n----\n{output}----")


def functions(backtrace: str) -> List[str]:
    """The names of the frames, innermost first, less the optional ones."""
    names = re.findall(r"^#\d+\s+(?:0x[0-9a-f]+ in )?(\w+)", backtrace, re.MULTILINE)
    return [name for name in names if name not in OPTIONAL]


def section(output: str, name: str) -> str:
    """What gdb printed between the marks `name` and `end of name`."""
    match = re.search(rf"^<{name}>$(.*?)^</{name}>$", output, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def marked(name: str, *commands: str) -> List[str]:
    arguments = ["-ex", f"echo \\n<{name}>\\n"]
    for command in commands:
        arguments += ["-ex", command]
    return arguments + ["-ex", f"echo \\n</{name}>\\n"]


def check_suspended(output: str, name: str) -> None:
    text = section(output, name)
    names = functions(text)
    check(names == SLEEPER, f"{name}: the frames of the fiber that is switched out", output)
    shown = re.search(r"\bdepth=(depth@entry=)?42\b", text)
    check(shown is not None, f"{name}: arguments are shown", output)
    check(not BAD.search(text), f"{name}: gdb has no complaint", output)


def check_live(program: str, script: str) -> None:
    output = run_gdb(
        "-ex", f"source {script}", "-ex", "break stop_here", "-ex", "run",
        *marked("running", "backtrace"),
        *marked("live", "rt fiber suspended_stack_pointer"),
        *marked("after", "backtrace"),
        *marked("nothing", "rt fiber 16"),
        "-ex", "kill", program)
    if "Python scripting is not supported" in output:
        skip("gdb without Python")
    if re.search(r"ptrace|[Cc]ould not trace|Operation not permitted", output):
        skip("no process may be traced here")
    check(functions(section(output, "running")) ==
          ["stop_here", "entry_of_stopper", "rti_fiber_trampoline"],
          "the backtrace of the fiber that runs ends at the trampoline", output)
    check_suspended(output, "live")
    check(section(output, "after") == section(output, "running"),
          "the thread's own backtrace is as before", output)
    check("no memory at 0x10" in output, "an address without memory is refused in words", output)


def leaves_no_core(program: str) -> str:
    """Why the kernel will not write a core file that we find; empty if it will."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        pattern = file.read().strip()
    if not pattern.startswith("core") or "/" in pattern:
        return f"cores go to {pattern!r}"
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        return "the size of cores is limited"
    with open(program, "rb") as file:
        content = file.read()
    if b"__asan_init" in content or b"__tsan_init" in content:
        return "this is a sanitizer build"
    return ""


def allow_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def check_core(program: str, script: str) -> None:
    reason = leaves_no_core(program)
    if reason:
        print(f"no core file looked at: {reason}")
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, "abort"], cwd=folder, preexec_fn=allow_core, check=False)
        cores = glob.glob(os.path.join(folder, "core*"))
        check(len(cores) == 1, "the program left a core file", "")
        for core in cores:
            output = run_gdb("-ex", f"source {script}",
                             *marked("core", "rt fiber suspended_stack_pointer"), program, core)
            check_suspended(output, "core")


def check_mid_switch(program: str) -> None:
    """Step through a whole switch by instructions, from one fiber to the other."""
    steps = 26
    arguments = ["-ex", "break innermost_of_sleeper", "-ex", "run",
                 "-ex", "break *rti_switch", "-ex", "continue"]
    for i in range(steps):
        arguments += marked(f"step{i}", "backtrace") + ["-ex", "stepi"]
    output = run_gdb(*arguments, "-ex", "kill", program)
    seen = set()
    for i in range(steps):
        text = section(output, f"step{i}")
        names = functions(text)
        fiber = names and names[-1] == "rti_fiber_trampoline"
        check(bool(fiber) or names[-1:] == ["main"], f"step {i} of a switch can be unwound", text)
        check(not BAD.search(text), f"step {i}: gdb has no complaint", text)
        seen.add(names[-1] if names else "")
    check(seen == {"rti_fiber_trampoline", "main"}, "both sides of the switch were seen", output)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    program, script = (os.path.abspath(path) for path in sys.argv[1:])
    if shutil.which("gdb") is None:
        skip("there is no gdb")
    check_live(program, script)
    check_core(program, script)
    check_mid_switch(program)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
