# SPDX-License-Identifier: MIT
"""What the tests of rt-topology share: running it, and machines that are not here."""
import ctypes
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
from typing import Any, Callable, Dict, List, Optional

program = ""  # set by the test that is run

# Two cores with two CPUs each, of which this process may not use CPU 3; CPU 4 is offline. The
# disk has a name that JSON must escape.
CPU = '<object type="PU" os_index="{0}" cpuset="{1}" complete_cpuset="{1}" nodeset="0x1" ' \
      'complete_nodeset="0x1" gp_index="1{0}"/>'
CORE = '<object type="Core" os_index="{0}" cpuset="{1}" complete_cpuset="{1}" nodeset="0x1" ' \
       'complete_nodeset="0x1" gp_index="2{0}">'
XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0xf" complete_cpuset="0x1f" allowed_cpuset="0x7"
          nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1" gp_index="1">
    <object type="NUMANode" os_index="0" cpuset="0xf" complete_cpuset="0x1f" nodeset="0x1"
            complete_nodeset="0x1" gp_index="2" local_memory="4294967296"/>
    {CORE.format(0, "0x3")}{CPU.format(0, "0x1")}{CPU.format(1, "0x2")}</object>
    {CORE.format(1, "0xc")}{CPU.format(2, "0x4")}{CPU.format(3, "0x8")}</object>
    <object type="OSDev" gp_index="30" name="a&quot;b" osdev_type="0"/>
  </object>
</topology>
"""


def run(*arguments: str, before: Optional[Callable[[], None]] = None,
        **variables: str) -> "subprocess.CompletedProcess[str]":
    """With the environment free of what the library reads, but for `variables`."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("RT_", "HWLOC_"))}
    environment.update(variables)
    return subprocess.run([program, *arguments], env=environment, text=True, timeout=60,
                          capture_output=True, check=False, preexec_fn=before)


def refuse_io_uring(error: int) -> None:
    """A seccomp filter as container runtimes have it, for x86-64: io_uring_setup gives `error`."""
    load, equal, leave = 0x20, 0x15, 0x06
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (load, 0, 0, 0),  # the number of the system call
        (equal, 0, 1, 425),
        (leave, 0, 0, 0x00050000 | error),
        (leave, 0, 0, 0x7fff0000)))
    steps = ctypes.create_string_buffer(program)
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(steps)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Root:
    """/proc and /sys of a machine that is not here."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.path = tempfile.mkdtemp()
        test.addCleanup(shutil.rmtree, self.path)
        self.put("proc/self/status", "CapEff:\t0000000000000000\nSeccomp:\t0\n"
                 "Mems_allowed_list:\t0-1\n")
        self.put("proc/sys/kernel/osrelease", "6.18.1\n")

    def put(self, name: str, text: str) -> None:
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def governor(self, cpu: int, governor: str, driver: str) -> None:
        self.put(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", governor + "\n")
        self.put(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_driver", driver + "\n")


class TopologyCase(unittest.TestCase):
    def text(self, *arguments: str, **variables: str) -> List[str]:
        done = run(*arguments, **variables)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        return lines

    def json(self, *arguments: str) -> Dict[str, Any]:
        done = run("--json", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def refused(self, status: int, *words: str, arguments: "tuple[str, ...]",
                **variables: str) -> None:
        done = run(*arguments, **variables)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, done.stderr)

    def cpus(self, plan: Dict[str, Any]) -> List[int]:
        self.assertEqual([shard["shard"] for shard in plan["shards"]],
                         list(range(len(plan["shards"]))))
        return [shard["cpu"] for shard in plan["shards"]]

    def warned(self, plan: Dict[str, Any]) -> Dict[str, Optional[str]]:
        """The cure of each warning."""
        self.assertEqual({warning["level"] for warning in plan["warnings"]} - {"warning"}, set())
        return {warning["about"]: warning["cure"] for warning in plan["warnings"]}

    def recorded(self) -> str:
        file = tempfile.NamedTemporaryFile("w", suffix=".xml", delete=False, encoding="utf-8")
        self.addCleanup(os.unlink, file.name)
        with file:
            file.write(XML)
        return file.name
