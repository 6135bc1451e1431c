#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What rt-topology warns of, and what its doctor finds.

Goal: each thing that is in the way of shards is told with the command that cures it, is told no
more once that was done, and is never told of a machine that is not at hand; the doctor knows what
keeps a runtime from starting. Method: synthetic machines that are set up by files of /proc and /sys
below a root of the test's own; limits and a seccomp filter are real ones of the process.

    topology_doctor_test.py PROGRAM
"""
import errno
import json
import os
import resource
import sys
import unittest
from typing import Any, Callable, Dict, Optional

import topology_harness
from topology_harness import Root, TopologyCase, refuse_io_uring, run


class DoctorTest(TopologyCase):
    def checks(self, *arguments: str, before: Optional[Callable[[], None]] = None
               ) -> Dict[str, Dict[str, Any]]:
        """What the doctor found, by what it is about; and that it says the same in other ways."""
        done = run("--doctor", "--json", *arguments, before=before)
        self.assertEqual(done.stderr, "")
        found = json.loads(done.stdout)
        can_start = all(check["level"] != "bad" for check in found["checks"])
        self.assertEqual(found["can_start"], can_start)
        self.assertEqual(done.returncode, 0 if can_start else 1)
        return {check["about"]: check for check in found["checks"]}

    def test_a_quota_below_the_shards_is_warned_of(self) -> None:
        root = Root(self)
        root.put("proc/self/cgroup", "0::/box\n")
        root.put("sys/fs/cgroup/box/cpu.max", "150000 100000\n")
        machine = ("--synthetic", "core:4 pu:1", "--root", root.path)
        shown = self.json(*machine, "--place", "core")
        self.assertEqual(shown["machine"]["cpu_quota"], 1.5)
        self.assertEqual(self.warned(shown["plans"]["core"]), {"quota": "--shards 1"})
        self.assertEqual(self.text(*machine, "--place", "core")[-4:], [
            "the cgroup grants the time of 1.50 CPUs",
            "warning: 4 shards, but the cgroup grants the time of 1.50 CPUs (cpu.max): the",
            "  kernel stops them for the rest of each period when it is used up",
            "  cure: --shards 1"])
        cured = self.json(*machine, "--place", "core", "--shards", "1")
        self.assertEqual(self.warned(cured["plans"]["core"]), {})

    def test_two_shards_on_a_core_are_warned_of(self) -> None:
        machine = ("--synthetic", "core:2 pu:2")
        shown = self.json(*machine)
        self.assertEqual({place: self.warned(plan) for place, plan in shown["plans"].items()}, {
            "core": {}, "pu": {"siblings": "--place core"}, "spread": {},
            "pack": {"siblings": "--place core"}, "unbound": {}})
        for arguments, cure in (
                (("--place", "core", "--shards", "3"), "--shards 2"),
                (("--cpus", "1,0,2", "--place", "core"), "--cpus 0,2"),
                (("--cpus", "1,0,2", "--place", "core", "--shards", "3"), "--cpus 0,2 --shards 2"),
                (("--cpus", "0-3", "--place", "core", "--shards", "2"), "--cpus 0,2"),
                (("--place", "pack", "--shards", "2"), "--place core")):
            plans = self.json(*machine, *arguments)["plans"]
            self.assertEqual(self.warned(plans[arguments[arguments.index("--place") + 1]]),
                             {"siblings": cure}, arguments)

    def test_memory_that_is_far_is_warned_of(self) -> None:
        root = Root(self)
        machine = ("--synthetic", "pack:2 [numa] core:2 pu:1")
        plans = self.json(*machine)["plans"]
        self.assertEqual(self.warned(plans["core"]), {})
        self.assertEqual(self.warned(plans["unbound"]), {"memory": "--place core"})
        root.put("proc/self/status", "Mems_allowed_list:\t1\n")
        plans = self.json(*machine, "--root", root.path)["plans"]
        self.assertEqual(self.warned(plans["core"]), {"memory": "--cpus 2-3"})
        plans = self.json(*machine, "--root", root.path, "--cpus", "2-3")["plans"]
        self.assertEqual(self.warned(plans["core"]), {})
        plans = self.json(*machine, "--root", root.path, "--cpus", "0")["plans"]
        self.assertEqual(self.warned(plans["core"]), {"memory": "--cpus 2-3"})

    def test_the_governor_powersave_is_warned_of_by_what_it_means(self) -> None:
        root = Root(self)
        for cpu in (0, 1, 2):
            root.governor(cpu, "powersave", "acpi-cpufreq")
        root.governor(3, "performance", "acpi-cpufreq")
        machine = ("--synthetic", "core:4 pu:1", "--root", root.path, "--place", "core")
        shown = self.json(*machine)["plans"]["core"]["warnings"]
        self.assertEqual(shown, [{
            "level": "warning", "about": "governor",
            "text": "CPUs 0-2: governor powersave: kept at the lowest clock rate",
            "cure": "cpupower --cpu 0-2 frequency-set --governor performance"}])
        self.assertEqual(self.json(*machine, "--cpus", "3")["plans"]["core"]["warnings"], [])
        root.governor(0, "powersave", "intel_pstate")
        self.assertIn("follows the load",
                      self.json(*machine, "--cpus", "0")["plans"]["core"]["warnings"][0]["text"])

    def test_interrupts_of_devices_on_the_cpus_of_shards_are_warned_of(self) -> None:
        root = Root(self)
        root.put("proc/uptime", "1000.00 2000.00\n")
        root.put("proc/interrupts",
                 "           CPU0       CPU1       CPU2       CPU3\n"
                 " 24:    5000000          0          0          0  PCI-MSIX-0000:00:02.0  0-edge"
                 "      eth0-rx-0\n"
                 " 25:          0     200000          0          0  PCI-MSIX-0000:00:02.0  1-edge"
                 "      nvme0q1\n"
                 " 26:          0          0      99000          0  PCI-MSIX-0000:00:02.0  2-edge"
                 "      rare\n"
                 " 27:          0          0    9000000          0  PCI-MSIX-0000:00:02.0  3-edge"
                 "      moved\n"
                 "LOC:   99999999   99999999   99999999   99999999  Local timer interrupts\n")
        for number, cpus in ((24, "0"), (25, "1"), (26, "2"), (27, "3")):
            root.put(f"proc/irq/{number}/effective_affinity_list", cpus + "\n")
        machine = ("--synthetic", "core:4 pu:1", "--root", root.path)
        shown = self.json(*machine, "--cpus", "0-2")["plans"]["core"]["warnings"]
        self.assertEqual(shown, [{
            "level": "warning", "about": "interrupts",
            "text": "interrupts come to CPUs of shards: 24 eth0-rx-0 (5000/s), 25 nvme0q1 (200/s); "
                    "irqbalance, where it runs, moves them back",
            "cure": "for i in 24 25; do echo 3 | sudo tee /proc/irq/$i/smp_affinity_list; done"}])
        # All CPUs have shards: one has to be given up first.
        shown = self.json(*machine)["plans"]["core"]
        self.assertEqual(self.warned(shown), {"interrupts": "--cpus 0-1,3"})
        self.assertEqual(self.json(*machine)["plans"]["unbound"]["warnings"], [])

    def test_machines_elsewhere_are_not_warned_of_by_what_is_here(self) -> None:
        for machine in (("--synthetic", "core:4 pu:1"), ("--xml", self.recorded())):
            shown = self.json(*machine, "--place", "core")
            self.assertEqual(shown["plans"]["core"]["warnings"], [])

    def test_without_a_place_the_warnings_are_those_of_the_default(self) -> None:
        root = Root(self)
        root.governor(0, "powersave", "acpi-cpufreq")
        lines = self.text("--synthetic", "core:1 pu:2", "--root", root.path)
        self.assertEqual(lines[-3:], [
            "of place core, which is taken unless another is asked for:",
            "warning: CPU 0: governor powersave: kept at the lowest clock rate",
            "  cure: cpupower --cpu 0 frequency-set --governor performance"])

    def test_the_doctor_starts_what_was_planned(self) -> None:
        found = self.checks("--shards", "1")
        for about in ("kernel", "sysctl", "seccomp", "start", "memlock", "descriptors", "mappings",
                      "hugepages", "autogroup", "quota", "interrupts", "governor"):
            self.assertIn(about, found)
        if found["start"]["level"] == "ok":
            self.assertEqual(found["start"]["text"], "1 shard started and ended")
            self.assertTrue(found["features"]["text"].startswith("granted: "))
            found = self.checks("--near", os.path.realpath(__file__), "--shards", "1")
            self.assertEqual(found["start"]["text"], "1 shard started and ended")
        lines = run("--doctor", "--shards", "1").stdout.splitlines()
        self.assertEqual({line.split()[0] for line in lines if not line.startswith(" ")}
                         - {"ok", "warning", "bad"}, set())

    def test_the_doctor_names_a_filter_that_refuses_io_uring(self) -> None:
        root = Root(self)
        root.put("proc/self/status", "Seccomp:\t2\n")
        for error, name in ((errno.EPERM, "EPERM"), (errno.ENOSYS, "ENOSYS")):
            found = self.checks("--root", root.path, before=lambda error=error:
                                refuse_io_uring(error))
            self.assertEqual((found["start"]["level"], found["seccomp"]["level"]), ("bad", "bad"))
            self.assertIn(name, found["seccomp"]["text"])
            self.assertIn("--security-opt seccomp=", found["seccomp"]["cure"])
        root.put("proc/self/status", "Seccomp:\t0\n")
        found = self.checks("--root", root.path, before=lambda: refuse_io_uring(errno.ENOSYS))
        self.assertIn("CONFIG_IO_URING", found["seccomp"]["cure"])

    def test_the_doctor_names_the_sysctl_that_turns_io_uring_off(self) -> None:
        root = Root(self)
        for value, level in (("0", "ok"), ("2", "bad")):
            root.put("proc/sys/kernel/io_uring_disabled", value + "\n")
            found = self.checks("--root", root.path)
            self.assertEqual(found["sysctl"]["level"], level)
        self.assertEqual(found["sysctl"]["cure"], "sudo sysctl kernel.io_uring_disabled=0")
        root.put("proc/sys/kernel/io_uring_disabled", "1\n")  # but for some users
        found = self.checks("--root", root.path)
        self.assertEqual(found["sysctl"]["level"], found["start"]["level"])

    def test_the_doctor_knows_kernels_by_what_they_were_made_from(self) -> None:
        hang, wrong, nomem = "hang for ever", "wrong place", "ENOMEM"
        for release, version, signature, level, words in (
                ("5.15.0", "", "", "bad", ()),
                ("6.1.0", "", "", "ok", ()),
                ("6.1.63", "", "", "ok", ()),
                ("6.1.65-1", "", "", "ok", (wrong,)),
                ("6.1.66", "", "", "ok", ()),
                ("6.1.0-27-amd64", "Linux version 6.1.0-27-amd64 #1 Debian 6.1.115-1 (2024)", "",
                 "ok", (hang,)),
                ("6.1.116", "", "", "ok", ()),
                ("6.4.1", "", "", "ok", (nomem,)),
                ("6.6.59", "", "", "ok", (hang, nomem)),
                ("6.6.60", "", "", "ok", (nomem,)),
                ("6.6.85", "", "", "ok", ()),
                ("6.8.0-45-generic", "", "Ubuntu 6.8.0-45.45-generic 6.8.12", "ok", (nomem,)),
                ("6.12.21", "", "", "ok", ()),
                ("6.13.8", "", "", "ok", (nomem,)),
                ("6.14-rc1", "", "", "ok", ())):
            root = Root(self)
            root.put("proc/sys/kernel/osrelease", release + "\n")
            if version:
                root.put("proc/version", version + "\n")
            if signature:
                root.put("proc/version_signature", signature + "\n")
            done = json.loads(run("--doctor", "--json", "--root", root.path).stdout)["checks"]
            self.assertEqual([check["level"] for check in done if check["about"] == "kernel"],
                             [level], release)
            told = [check["text"] for check in done
                    if check["about"] == "fault" and check["level"] == "warning"]
            self.assertEqual(len(told), len(words), (release, told))
            for word in words:
                self.assertTrue(any(word in text for text in told), (release, word))

    def test_the_doctor_counts_locked_memory(self) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (128 * 1024, 128 * 1024))

        root = Root(self)
        found = self.checks("--root", root.path, "--shards", "2", before=limit)["memlock"]
        self.assertEqual((found["level"], found["cure"]), ("bad", "ulimit -l 168"))
        self.assertIn("168 KiB", found["text"])
        found = self.checks("--root", root.path, "--shards", "1", before=limit)["memlock"]
        self.assertEqual((found["level"], found["cure"]), ("ok", None))
        # A ring of 1024 entries: 64 KiB of them, and 68 KiB of completions.
        found = self.checks("--root", root.path, "--shards", "1", "--ring-entries", "1000",
                            before=limit)["memlock"]
        self.assertEqual(found["cure"], "ulimit -l 132")
        root.put("proc/sys/kernel/osrelease", "6.12.30\n")  # did not count it
        self.assertEqual(self.checks("--root", root.path, "--shards", "2",
                                     before=limit)["memlock"]["level"], "ok")
        root.put("proc/sys/kernel/osrelease", "6.18.1\n")
        root.put("proc/self/status", "CapEff:\t0000000000004000\n")
        root.put("proc/self/uid_map", "         0          0 4294967295\n")
        self.assertEqual(self.checks("--root", root.path, "--shards", "2",
                                     before=limit)["memlock"]["level"], "ok")
        root.put("proc/self/uid_map", "         0       1000          1\n")  # a container's root
        self.assertEqual(self.checks("--root", root.path, "--shards", "2",
                                     before=limit)["memlock"]["level"], "bad")

    def test_the_doctor_counts_descriptors(self) -> None:
        def limit(soft: int, hard: int) -> Callable[[], None]:
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        found = self.checks("--shards", "20", before=limit(40, hard))["descriptors"]
        self.assertEqual(found["level"], "bad")
        self.assertIn("takes 43 descriptors; the limit is 40", found["text"])
        found = self.checks("--shards", "2", before=limit(1024, hard))["descriptors"]
        self.assertEqual((found["level"], found["cure"]), ("warning", "ulimit -n $(ulimit -Hn)")
                         if hard > 1024 or hard < 0 else ("ok", None))
        found = self.checks("--shards", "2", before=limit(1024, 1024))["descriptors"]
        self.assertEqual((found["level"], found["cure"]), ("ok", None))

    def test_the_doctor_bounds_tasks_by_mappings_only_where_guards_take_some(self) -> None:
        root = Root(self)
        root.put("proc/sys/vm/max_map_count", "65530\n")
        found = self.checks("--root", root.path, "--shards", "1", "--disable", "guard_install")
        if found["start"]["level"] == "ok":
            self.assertEqual((found["mappings"]["level"], found["mappings"]["cure"]),
                             ("warning", "sudo sysctl vm.max_map_count=2098176"))
            self.assertIn("about 32765 tasks", found["mappings"]["text"])
            found = self.checks("--root", root.path, "--shards", "1", "--disable", "guard_install",
                                "--tasks-max", "30000")
            self.assertEqual(found["mappings"]["level"], "ok")

    def test_the_doctor_looks_at_huge_pages_and_the_plans_warnings(self) -> None:
        root = Root(self)
        for modes, level in (("[always] madvise never", "warning"),
                             ("always [madvise] never", "ok")):
            root.put("sys/kernel/mm/transparent_hugepage/enabled", modes + "\n")
            self.assertEqual(self.checks("--root", root.path)["hugepages"]["level"], level)
        self.assertEqual(self.checks("--root", root.path)["governor"]["level"], "ok")
        for cpu in os.sched_getaffinity(0):
            root.governor(cpu, "powersave", "acpi-cpufreq")
        self.assertEqual(self.checks("--root", root.path)["governor"]["level"], "warning")


if __name__ == "__main__":
    topology_harness.program = sys.argv.pop(1)
    unittest.main()
