# SPDX-License-Identifier: MIT
"""What the scripts share that run servers in turn and compare them: children that end with us,
scheduling groups of their own, medians with their range."""
import atexit
import os
import signal
import statistics
import subprocess
import sys

STOP_SECONDS = 10  # a server that has not ended so long after SIGTERM is killed

children = set()


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def _end_children():
    for child in list(children):
        if child.poll() is None:
            child.kill()
            child.wait()


atexit.register(_end_children)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _own_group(cpus):
    """In the child: a session of its own is an autogroup of its own; then prefer that group.

    Other work on the machine would otherwise take a share of the measured CPUs."""
    os.setsid()
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("-20")
    except OSError:
        pass
    if cpus:
        os.sched_setaffinity(0, cpus)


def autogroup_note():
    code = ("import os; os.setsid(); "
            "open('/proc/self/autogroup', 'w').write('-20')")
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        return None
    return ("/proc/self/autogroup refused -20 (not root, or no autogroups): "
            "other work on this machine disturbs the figures more")


def start(command, cpus=None, stdout=subprocess.PIPE):
    """Start a child in a group of its own, on the given CPUs."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout,
                                 preexec_fn=lambda: _own_group(cpus))
    except OSError as error:
        fail(f"cannot run {command[0]}: {error.strerror}")
    children.add(child)
    return child


def ended(child):
    """The child has been waited for."""
    children.discard(child)
    if child.stdout:
        child.stdout.close()


def stop(child, name):
    child.terminate()
    try:
        status = child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        fail(f"{name} did not end within {STOP_SECONDS} s of SIGTERM")
    ended(child)
    if status not in (0, -signal.SIGTERM):  # a server may leave the signal alone
        fail(f"{name} ended with status {status} after SIGTERM")


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def text_of(figures, form, scale=1):
    low, mid, high = (figures[key] / scale for key in ("min", "median", "max"))
    return f"{mid:{form}} [{low:{form}}..{high:{form}}]"


def print_columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
