#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-topology as a user runs it.

Goal: what it prints for people and for programs is the machine and the plans, a wrong command line
is refused in words, and the exit status says which of the two it was. Method: machines described
here, synthetic ones and one in hwloc's XML with a CPU of each state; the planner has its own tests.

    topology_test.py PROGRAM
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, List, Optional

PROGRAM = ""

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


def run(*arguments: str, cpu: Optional[int] = None,
        **variables: str) -> "subprocess.CompletedProcess[str]":
    """With the environment free of what the library reads, but for `variables`."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("RT_", "HWLOC_"))}
    environment.update(variables)
    bind = None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})
    return subprocess.run([PROGRAM, *arguments], env=environment, text=True, timeout=60,
                          capture_output=True, check=False, preexec_fn=bind)


class TopologyTest(unittest.TestCase):
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

    def recorded(self) -> str:
        file = tempfile.NamedTemporaryFile("w", suffix=".xml", delete=False, encoding="utf-8")
        self.addCleanup(os.unlink, file.name)
        with file:
            file.write(XML)
        return file.name

    def test_this_machine_is_shown_with_what_this_process_may_use(self) -> None:
        allowed = os.sched_getaffinity(0)
        shown = self.json("--place", "pu")
        usable = {cpu["number"] for cpu in shown["machine"]["cpus"] if cpu["state"] == "allowed"}
        self.assertEqual(usable, allowed)
        self.assertEqual(self.cpus(shown["plans"]["pu"]), sorted(allowed))
        self.assertTrue(self.text()[0].startswith("machine: "))

    def test_an_affinity_takes_cpus_away(self) -> None:
        last = max(os.sched_getaffinity(0))
        done = run("--json", cpu=last)
        shown = json.loads(done.stdout)
        states = {cpu["number"]: cpu["state"] for cpu in shown["machine"]["cpus"]}
        self.assertEqual([cpu for cpu, state in states.items() if state == "allowed"], [last])
        self.assertEqual(self.cpus(shown["plans"]["core"]), [last])
        for cpu in os.sched_getaffinity(0) - {last}:
            self.assertEqual(states[cpu], "disallowed")

    def test_a_synthetic_machine_for_people(self) -> None:
        lines = self.text("--synthetic", "pack:2 [numa(memory=16GB)] l3:2(size=32MB) core:4 pu:2")
        expected = [
            "machine: 2 packages, 16 cores, 32 CPUs, 2 memory nodes",
            "  package 0, node 0, cache 0, 4 cores: CPUs 0-7",
            "  package 0, node 0, cache 1, 4 cores: CPUs 8-15",
            "  package 1, node 1, cache 2, 4 cores: CPUs 16-23",
            "  package 1, node 1, cache 3, 4 cores: CPUs 24-31",
        ]
        self.assertEqual(lines[:5], expected)
        self.assertTrue(any("memory node 1: " in line and "nearest to 16 CPUs" in line
                            for line in lines), lines)
        self.assertTrue(any(line.startswith("  L3 cache: 4 of ")
                            and line.endswith(", for 8 CPUs each") for line in lines), lines)
        for place in ("core", "pu", "spread", "pack", "unbound"):
            self.assertTrue(any(f"place {place}" in line for line in lines), place)

    def test_a_long_set_of_cpus_stays_within_80_columns(self) -> None:
        lines = self.text("--synthetic", "pack:2 core:40 pu:1(indexes=40*2:1*40)")
        self.assertEqual("".join(line.strip() for line in lines[1:3]),
                         "package 0, node 0, 40 cores: CPUs " + ",".join(map(str, range(0, 80, 2))))
        self.assertTrue(lines[3].startswith("  package 1, node 0, 40 cores: CPUs 1,3,5,"))

    def test_a_synthetic_machine_for_programs(self) -> None:
        shown = self.json("--synthetic", "pack:2 [numa] core:2 pu:2")
        machine = shown["machine"]
        self.assertEqual((machine["packages"], machine["cores"]), (2, 4))
        self.assertIsNone(machine["cpu_quota"])
        self.assertEqual(machine["cpus"][5], {
            "number": 5, "state": "allowed", "core": 2, "thread": 1, "cache": None, "package": 1,
            "node": 1})
        self.assertEqual([node["cpus"] for node in machine["nodes"]], [4, 4])
        plans = {place: self.cpus(plan) for place, plan in shown["plans"].items()}
        self.assertEqual(plans, {
            "core": [0, 2, 4, 6],
            "pu": [0, 1, 2, 3, 4, 5, 6, 7],
            "spread": [0, 4, 2, 6],
            "pack": [0, 1, 2, 3, 4, 5, 6, 7],
            "unbound": [None] * 8,
        })
        self.assertEqual(shown["plans"]["spread"]["shards"][1],
                         {"shard": 1, "cpu": 4, "core": 2, "package": 1, "node": 1})

    def test_a_recorded_machine_shows_each_state_of_a_cpu(self) -> None:
        lines = self.text("--xml", self.recorded())
        self.assertIn("  not for this process: 3", lines)
        self.assertIn("  offline: 4", lines)
        self.assertIn('  disk a"b', lines)
        shown = self.json("--xml", self.recorded())
        self.assertEqual([cpu["state"] for cpu in shown["machine"]["cpus"]],
                         ["allowed"] * 3 + ["disallowed", "offline"])
        self.assertEqual(shown["machine"]["cpus"][4], {
            "number": 4, "state": "offline", "core": None, "thread": None, "cache": None,
            "package": None, "node": None})
        self.assertEqual(shown["machine"]["devices"][0]["name"], 'a"b')
        self.assertEqual(self.cpus(shown["plans"]["core"]), [0, 2])
        self.assertEqual(self.cpus(shown["plans"]["pu"]), [0, 1, 2])

    def test_the_options_of_the_library_choose_the_plan(self) -> None:
        machine = ("--synthetic", "pack:1 core:4 pu:2")
        shown = self.json(*machine, "--place", "pack", "--shards=3")
        self.assertEqual(list(shown["plans"]), ["pack"])
        self.assertEqual(self.cpus(shown["plans"]["pack"]), [0, 1, 2])
        shown = self.json(*machine, "--cpus", "6,1-3")
        self.assertEqual(self.cpus(shown["plans"]["core"]), [6, 1, 2, 3])
        self.assertEqual(self.cpus(shown["plans"]["pu"]), [1, 2, 3, 6])
        self.assertNotIn("unbound", shown["plans"])  # it and a list exclude each other
        done = run("--json", *machine, RT_PLACE="pu", RT_SHARDS="2")
        self.assertEqual({place: self.cpus(plan)
                          for place, plan in json.loads(done.stdout)["plans"].items()},
                         {"pu": [0, 1]})

    def test_more_shards_than_cpus_are_said_aloud(self) -> None:
        arguments = ("--synthetic", "core:2 pu:1", "--shards", "5")
        done = run(*arguments, "--place", "pu", "--json")
        self.assertEqual(done.returncode, 0)
        self.assertIn("5 shards on 2 CPUs", done.stderr)
        plan = json.loads(done.stdout)["plans"]["pu"]
        self.assertEqual((self.cpus(plan), plan["shared"]), ([0, 1, 0, 1, 0], True))
        self.assertIn("take turns", "\n".join(self.text(*arguments)))  # no warning

    def test_what_cannot_be_is_refused_in_words(self) -> None:
        machine = ("--synthetic", "core:4 pu:1")
        for arguments, words in (
                (("--cpus", "0-7"), ("0-7", "CPU 4", "0-3")),
                (("--cpus", "0,1,0"), ("0,1,0", "CPU 0", "twice")),
                (("--cpus", "1-"), ("1-",)),
                (("--cpus", "0", "--place", "unbound"), ("unbound",)),
                (("--shards", "5000"), ("5000", "4096"))):
            self.refused(1, "shardrt: error: ", *words, arguments=machine + arguments)
        recorded = ("--xml", self.recorded())
        self.refused(1, "CPU 3 exists", "0-2", arguments=recorded + ("--cpus", "3"))
        self.refused(1, "CPU 4", "offline", "0-2", arguments=recorded + ("--cpus", "4"))
        self.refused(1, "garbage", arguments=("--synthetic", "garbage"))
        self.refused(1, "/nonexistent", "No such file", arguments=("--xml", "/nonexistent"))

    def test_a_wrong_command_line_has_a_status_of_its_own(self) -> None:
        for arguments, word in (
                (("--nonsense",), "--nonsense"),
                (("extra",), "extra"),
                (("--xml",), "--xml"),
                (("--xml", "a", "--synthetic", "b"), "one machine"),
                (("--place", "roof"), "roof"),
                (("--shards", "many"), "many")):
            self.refused(2, word, arguments=arguments)
        self.refused(2, "RT_SHARDS", "many", arguments=(), RT_SHARDS="many")

    def test_help_lists_the_options_and_version_is_one(self) -> None:
        text = "\n".join(self.text("--help"))
        for option in ("--synthetic", "--xml", "--json", "--cpus", "--shards", "--place"):
            self.assertIn(option, text)
        self.assertRegex(self.text("--version")[0], r"^rt-topology \d+\.\d+\.\d+$")

    def test_output_that_is_lost_is_an_error(self) -> None:
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([PROGRAM, "--synthetic", "core:2 pu:1"], stdout=full, text=True,
                                  stderr=subprocess.PIPE, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write", done.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
