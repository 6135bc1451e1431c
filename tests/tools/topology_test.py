#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-topology as a user runs it.

Goal: what it prints for people and for programs, and what it draws, is the machine and the plans;
an explanation accounts for every CPU; a wrong command line is refused in words, and the exit status
says which of these it was. Method: machines described here, synthetic ones and one in hwloc's XML
with a CPU of each state; the planner has its own tests.

    topology_test.py PROGRAM
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from typing import List

import topology_harness
from topology_harness import Root, TopologyCase, run


class TopologyTest(TopologyCase):
    def test_this_machine_is_shown_with_what_this_process_may_use(self) -> None:
        allowed = os.sched_getaffinity(0)
        shown = self.json("--place", "pu")
        usable = {cpu["number"] for cpu in shown["machine"]["cpus"] if cpu["state"] == "allowed"}
        self.assertEqual(usable, allowed)
        self.assertEqual(self.cpus(shown["plans"]["pu"]), sorted(allowed))
        self.assertTrue(self.text()[0].startswith("machine: "))

    def test_an_affinity_takes_cpus_away(self) -> None:
        last = max(os.sched_getaffinity(0))
        done = run("--json", before=lambda: os.sched_setaffinity(0, {last}))
        shown = json.loads(done.stdout)
        states = {cpu["number"]: cpu["state"] for cpu in shown["machine"]["cpus"]}
        self.assertEqual([cpu for cpu, state in states.items() if state == "allowed"], [last])
        self.assertEqual(self.cpus(shown["plans"]["core"]), [last])
        for cpu in os.sched_getaffinity(0) - {last}:
            self.assertEqual(states[cpu], "masked")

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
        self.assertIn("  not in the cpuset of this process: 3", lines)
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

    def test_a_path_is_looked_up_on_this_machine(self) -> None:
        """/proc has no disk anywhere; what is found of a real one depends on the machine."""
        found = self.json("--near", "/proc", "--shards", "1")
        self.assertEqual(list(found["plans"]), ["near"])
        near = found["plans"]["near"]["near"]
        self.assertTrue(near["text"].startswith(
            "/proc: not known: proc has no block device of its own"), near)
        self.assertEqual((near["node"], near["disks"]), (None, []))
        core = self.json("--shards", "1")["plans"]["core"]
        self.assertEqual(self.cpus(found["plans"]["near"]), self.cpus(core))
        lines = self.text("--place", "near", "--shards", "1", "--explain", RT_NEAR="/proc")
        self.assertTrue(any(line.startswith("near /proc: not known: ") for line in lines), lines)
        self.assertTrue(any(line.startswith("  - near /proc: not known: ") for line in lines))
        self.refused(1, '"/proc/gone": No such file or directory',
                     arguments=("--near", "/proc/gone"))
        self.refused(1, "near what?", arguments=("--place", "near"))
        self.refused(1, "leave one of the two out", arguments=("--near", "/", "--place", "pu"))
        self.refused(2, "this machine", arguments=("--near", "/", "--synthetic", "core:2"))

    def test_interrupts_of_a_disk_are_told_with_the_cpus_that_they_come_to(self) -> None:
        """The name is that of a disk of this machine; its interrupts are made up."""
        here = os.path.realpath(__file__)
        disks = self.json("--near", here)["plans"]["near"]["near"]["disks"]
        if not disks:
            self.skipTest(f"no disk is known below {here}")
        root = Root(self)
        for disk in disks:
            link = os.path.join(root.path, "sys/class/block", disk)
            root.put(f"sys/devices/pci0/virtio1/block/{disk}/dev", "")
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(f"../../devices/pci0/virtio1/block/{disk}", link)
        done = self.text("--near", here, "--root", root.path)
        self.assertIn(f"it is not known to which CPUs interrupts of {disks[0]} come", done)
        for number in (40, 41):
            root.put(f"sys/devices/pci0/msi_irqs/{number}", "")
        root.put("proc/irq/40/effective_affinity_list", "7\n")
        root.put("proc/irq/40/smp_affinity_list", "0-63\n")
        root.put("proc/irq/41/smp_affinity_list", "2-3\n")
        done = self.text("--near", here, "--root", root.path)
        self.assertIn(f"interrupts of {disks[0]} come to CPUs 2-3,7", done)
        notes = self.json("--near", here, "--root", root.path)["plans"]["near"]["interrupts"]
        self.assertEqual(len(notes), len(disks))

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
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        plan = json.loads(done.stdout)["plans"]["pu"]
        self.assertEqual((self.cpus(plan), plan["shared"]), ([0, 1, 0, 1, 0], True))
        self.assertEqual(self.warned(plan), {"sharing": "--shards 2"})
        self.assertIn("take turns", "\n".join(self.text(*arguments)))

    def steps(self, *arguments: str) -> List[str]:
        plans = self.json("--explain", *arguments)["plans"]
        self.assertEqual(len(plans), 1)
        for plan in plans.values():
            return [step["text"] for step in plan["steps"]]
        return []

    def test_an_explanation_leaves_no_cpu_out(self) -> None:
        self.assertEqual(self.steps("--xml", self.recorded(), "--place", "core"), [
            "the machine has 5 CPUs on 2 cores",
            "CPU 4: turned off by the kernel (offline)",
            "CPU 3: left out by the cpuset of this process",
            "3 CPUs on 2 cores to choose from",
            "place core takes the first CPU of each core, then the second ones: room for 2 shards, "
            "one on each core",
            "CPU 1: left idle, since its core has a shard"])
        self.assertEqual(
            self.steps("--synthetic", "core:4 pu:2", "--cpus", "0-5", "--place", "pu",
                       "--shards", "3"), [
                "the machine has 8 CPUs on 4 cores",
                "CPUs 6-7: not in the list of --cpus (0-5)",
                "6 CPUs on 3 cores to choose from",
                "place pu takes every CPU by its number: room for 6 shards",
                "--shards asks for 3: the first 3 of that order",
                "CPU 3: left idle, since its core has a shard",
                "CPUs 4-5: no shard is left for them"])

    def test_an_explanation_of_more_shards_than_room(self) -> None:
        machine = ("--synthetic", "core:2 pu:2", "--place", "core")
        self.assertIn("--shards asks for 3, so the order goes on to CPUs of cores that have a "
                      "shard", self.steps(*machine, "--shards", "3"))
        self.assertIn("--shards asks for 5, more than there are CPUs: the order begins again, and "
                      "shards take turns", self.steps(*machine, "--shards", "5"))

    def test_an_affinity_is_named_as_the_reason(self) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        done = run("--explain", "--place", "pu",
                   before=lambda: os.sched_setaffinity(0, {allowed[0]}))
        self.assertEqual("left out by the affinity of this process" in
                         " ".join(done.stdout.split()), len(allowed) > 1)

    def test_an_explanation_for_people_follows_its_plan(self) -> None:
        lines = self.text("--synthetic", "core:2 pu:1", "--place", "spread", "--explain")
        self.assertEqual(lines[lines.index("how it came about:"):], [
            "how it came about:",
            "  - the machine has 2 CPUs on 2 cores",
            "  - 2 CPUs on 2 cores to choose from",
            "  - place spread takes one CPU of each core, the next always in another package,",
            "    else at another memory node, else below another cache: room for 2 shards"])

    def test_a_drawing_has_a_box_for_each_cpu_and_the_shards_on_them(self) -> None:
        done = run("--svg", "--xml", self.recorded(), "--place", "core")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        drawing = xml.etree.ElementTree.fromstring(done.stdout)
        name = drawing.tag[:-len("svg")]
        kinds = [box.get("class") for box in drawing.iter(name + "rect")]
        self.assertEqual([kind for kind in kinds if kind is not None and kind.startswith("cpu ")],
                         ["cpu shard", "cpu free", "cpu shard", "cpu closed", "cpu offline"])
        self.assertEqual(kinds.count("core"), 2)
        texts = [text.text for text in drawing.iter(name + "text")]
        for text in ("2 shards by place core", "CPU 0", "shard 0", "shard 1", "cpuset", "offline"):
            self.assertIn(text, texts)
        self.assertEqual(texts.count("shard 0"), 1)

    def test_boxes_lie_in_the_drawing(self) -> None:
        done = run("--svg", "--synthetic", "pack:2 [numa] l3:4 core:8 pu:2")
        drawing = xml.etree.ElementTree.fromstring(done.stdout)
        width, height = int(drawing.get("width", "0")), int(drawing.get("height", "0"))
        boxes = list(drawing.iter(drawing.tag.replace("svg}svg", "svg}rect")))
        self.assertEqual(len(boxes), 1 + 2 + 2 + 8 + 64 + 128)
        for box in boxes:
            self.assertLessEqual(int(box.get("x", "0")) + int(box.get("width", "0")), width)
            self.assertLessEqual(int(box.get("y", "0")) + int(box.get("height", "0")), height)

    def test_a_drawing_goes_to_a_file_or_says_why_not(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "machine.svg")
        done = run("--svg", path, "--synthetic", "core:2 pu:1")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertIsNotNone(xml.etree.ElementTree.parse(path))
        missing = os.path.join(folder, "missing", "machine.svg")
        self.refused(1, missing, "No such file",
                     arguments=("--svg", missing, "--synthetic", "core:2 pu:1"))

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
                (("--json", "--svg"), "choose one"),
                (("--doctor", "--xml", "a"), "this machine"),
                (("--doctor", "--explain"), "--explain"),
                (("--root",), "--root"),
                (("--place", "roof"), "roof"),
                (("--shards", "many"), "many")):
            self.refused(2, word, arguments=arguments)
        self.refused(2, "RT_SHARDS", "many", arguments=(), RT_SHARDS="many")

    def test_help_lists_the_options_and_version_is_one(self) -> None:
        text = "\n".join(self.text("--help"))
        for option in ("--synthetic", "--xml", "--explain", "--doctor", "--json", "--svg", "--root",
                       "--cpus", "--shards", "--place"):
            self.assertIn(option, text)
        self.assertRegex(self.text("--version")[0], r"^rt-topology \d+\.\d+\.\d+$")

    def test_output_that_is_lost_is_an_error(self) -> None:
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([topology_harness.program, "--synthetic", "core:2 pu:1"],
                                  stdout=full, text=True, stderr=subprocess.PIPE, check=False,
                                  timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write", done.stderr)


if __name__ == "__main__":
    topology_harness.program = sys.argv.pop(1)
    unittest.main()
