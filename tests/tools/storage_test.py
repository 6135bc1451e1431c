#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-storage as a user runs it.

Goal: each kind of job moves just the bytes that it should, the document has the keys of fio's,
verification finds what was changed behind its back, rates and times are kept, what is not ours is
not overwritten, and a signal ends it with a report. Method: small jobs on files of a temporary
folder; no figure of speed is judged.

    storage_test.py PROGRAM
"""
import errno
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, List, Tuple

PROGRAM = ""
KIB = 1024
MIB = 1024 * KIB
TIMES = "min max mean stddev N".split()
DIRECTION = ("io_bytes io_kbytes bw_bytes bw iops runtime total_ios short_ios drop_ios slat_ns "
             "clat_ns lat_ns bw_min bw_max bw_agg bw_mean bw_dev bw_samples iops_min iops_max "
             "iops_mean iops_stddev iops_samples").split()
JOB = ("jobname groupid error elapsed read write trim sync job_runtime usr_cpu sys_cpu ctx majf "
       "minf iodepth_level latency_ns latency_us latency_ms latency_depth").split()
# What fio has and we leave out, for we do not know it.
LEFT_OUT = {"fio version", "disk_util", "eta", "iodepth_submit", "iodepth_complete",
            "latency_target", "latency_percentile", "latency_window"}


class StorageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="rt-storage-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def job_file(self, text: str) -> str:
        with open(self.path("job"), "w", encoding="utf-8") as out:
            out.write(f"[global]\nioengine=io_uring\ndirectory={self.folder}\n{text}")
        return self.path("job")

    def start(self, text: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("RT_")}
        return subprocess.Popen([PROGRAM, *arguments, self.job_file(text)], env=environment,
                                text=True, stdout=subprocess.PIPE,
                                **{"stderr": subprocess.PIPE, **options})

    def run_job(self, text: str, *arguments: str) -> Tuple[int, str, str]:
        with self.start(text, *arguments) as process:
            out, errors = process.communicate(timeout=60)
            # More shards than CPUs are slower, and no matter here.
            errors = re.sub(r"(?m)^shardrt: warning: \d+ shards on \d+ CPUs?: they take turns\n",
                            "", errors)
            return process.returncode, out, errors

    def document(self, text: str, *arguments: str) -> Dict[str, Any]:
        status, out, errors = self.run_job(text, "--json", *arguments)
        self.assertEqual((status, errors), (0, ""), out)
        return json.loads(out)

    def jobs(self, text: str, *arguments: str) -> List[Dict[str, Any]]:
        return self.document(text, *arguments)["jobs"]

    def moved(self, text: str) -> Tuple[int, int]:
        job, = self.jobs(text)
        return job["read"]["io_bytes"], job["write"]["io_bytes"]

    def fails(self, text: str, *arguments: str) -> str:
        status, _, errors = self.run_job(text, *arguments)
        self.assertEqual(status, 1, errors)
        return errors


class Bytes(StorageTest):
    def test_each_pattern_moves_its_size(self) -> None:
        for pattern in "read", "randread", "write", "randwrite", "rw", "randrw":
            for depth in 1, 8:
                with self.subTest(rw=pattern, iodepth=depth):
                    read, written = self.moved(
                        f"[j]\nrw={pattern}\nsize=256k\nbs=4k\niodepth={depth}\n")
                    self.assertEqual(read + written, 256 * KIB)
                    self.assertEqual(read > 0, "write" not in pattern)
                    self.assertEqual(written > 0, "read" not in pattern)

    def test_loops_files_and_clones_multiply_or_divide_it(self) -> None:
        self.assertEqual(self.moved("[j]\nrw=randread\nsize=64k\nbs=4k\nloops=3\n"),
                         (192 * KIB, 0))
        self.assertEqual(self.moved("[k]\nrw=write\nsize=64k\nbs=4k\nfilename=a:b\n"),
                         (0, 64 * KIB))
        self.assertEqual([os.path.getsize(self.path(name)) for name in "ab"], [32 * KIB] * 2)
        jobs = self.jobs("[l]\nrw=write\nsize=64k\nbs=4k\nnumjobs=2\n")
        self.assertEqual([job["write"]["io_bytes"] for job in jobs], [64 * KIB] * 2)
        job, = self.jobs("[l]\nrw=write\nsize=64k\nbs=4k\nnumjobs=2\ngroup_reporting\n")
        self.assertEqual(job["write"]["io_bytes"], 128 * KIB)

    def test_without_a_size_it_is_that_of_the_file(self) -> None:
        with open(self.path("there"), "wb") as out:
            out.write(bytes(20 * KIB))
        self.assertEqual(self.moved("[j]\nrw=read\nbs=4k\nfilename=there\n"), (20 * KIB, 0))
        self.assertEqual(self.moved("[j]\nrw=read\nbs=4k\nfilename=there\noffset=8k\n"),
                         (12 * KIB, 0))

    def test_stages_follow_each_other_and_a_file_of_one_serves_the_next(self) -> None:
        jobs = self.jobs("filename=f\nsize=64k\nbs=4k\n[a]\nrw=write\nverify=crc32c\n"
                         "[b]\nstonewall\nrw=randread\nverify=crc32c\n")
        self.assertEqual([job["groupid"] for job in jobs], [0, 1])
        self.assertEqual([job["shardrt"]["verified"] for job in jobs], [16, 16])

    def test_syncs_are_counted(self) -> None:
        job, = self.jobs("[j]\nrw=write\nsize=64k\nbs=4k\nfsync=4\nend_fsync=1\n")
        self.assertEqual(job["sync"]["total_ios"], 5)
        job, = self.jobs("[j]\nrw=randwrite\nsize=64k\nbs=4k\nfdatasync=1\niodepth=4\n")
        self.assertEqual(job["sync"]["total_ios"], 16)

    def test_files_go_if_they_are_told_to(self) -> None:
        self.jobs("[j]\nrw=randrw\nsize=64k\nbs=4k\nnumjobs=2\nunlink=1\n")
        self.assertEqual(os.listdir(self.folder), ["job"])


class Document(StorageTest):
    def test_it_has_the_keys_of_fio(self) -> None:
        document = self.document("[j]\nrw=randrw\nsize=256k\nbs=4k\nfsync=8\n")
        job, = document["jobs"]
        self.assertEqual([key for key in JOB if key not in job], [])
        for name in "read", "write", "trim":
            self.assertEqual(sorted(job[name]), sorted(DIRECTION))
            self.assertEqual([key for key in TIMES if key not in job[name]["clat_ns"]], [])
        clat = job["read"]["clat_ns"]
        self.assertEqual(len(clat["percentile"]), 17)
        self.assertEqual(clat["N"], job["read"]["total_ios"])
        ordered = [clat["min"], *clat["percentile"].values(), clat["max"]]
        self.assertEqual(ordered, sorted(ordered))
        shares = [job[key] for key in ("latency_ns", "latency_us", "latency_ms")]
        self.assertAlmostEqual(sum(sum(one.values()) for one in shares), 100, 6)
        self.assertAlmostEqual(sum(job["iodepth_level"].values()), 100, 6)
        self.assertEqual(job["job options"]["rw"], "randrw")
        self.assertEqual(document["global options"]["ioengine"], "io_uring")

    @unittest.skipUnless(shutil.which("fio"), "fio is not installed")
    def test_fio_on_the_same_file_tells_the_same_counts_under_the_same_keys(self) -> None:
        text = "[j]\nrw=randwrite\nsize=256k\nbs=4k\nfsync=8\niodepth=4\n"
        ours = self.document(text)
        done = subprocess.run(["fio", "--output-format=json", self.job_file(text)], text=True,
                              capture_output=True, check=True, cwd=self.folder, timeout=60)
        theirs = json.loads(done.stdout[done.stdout.index("{"):])

        def missing(one: Dict[str, Any], other: Dict[str, Any]) -> List[str]:
            names = [key for key in other if key not in one and key not in LEFT_OUT]
            for key in other:
                if isinstance(other[key], dict) and key in one:
                    names += missing(one[key], other[key])
            return names

        self.assertEqual(missing(ours, theirs), [])
        self.assertEqual(missing(ours["jobs"][0], theirs["jobs"][0]), [])
        for key in "io_bytes", "io_kbytes", "total_ios", "short_ios":
            self.assertEqual(ours["jobs"][0]["write"][key], theirs["jobs"][0]["write"][key])

    def test_cores_and_stages_add_up_to_the_total(self) -> None:
        document = self.document("size=64k\nbs=4k\n[a]\nrw=write\nnumjobs=3\n"
                                 "[b]\nstonewall\nrw=read\n")
        own = document["shardrt"]
        count = sum(job[d]["total_ios"] for job in document["jobs"] for d in ("read", "write"))
        self.assertEqual(count, 64)
        for parts in own["cores"], [own["total"]]:
            self.assertEqual(count, sum(core[d]["total_ios"] for core in parts
                                        for d in ("read", "write")))
        self.assertEqual([stage["total_ios"] for stage in own["stages"]], [48, 16])

    def test_the_text_names_each_job_and_the_total(self) -> None:
        status, out, errors = self.run_job("bs=4k\n[first]\nrw=randrw\nsize=64k\n"
                                           "[second]\nrw=read\nsize=4k\n")
        self.assertEqual((status, errors), (0, ""))
        for line in ("first: randrw, depth 1", "second: read, depth 1", "  read: ", "  write: ",
                     "    latency: min ", "CPU ", "total: 17 I/Os"):
            self.assertIn(line, out)


class Verify(StorageTest):
    WRITE = "[j]\nrw=randwrite\nsize=256k\nbs=4k\niodepth=8\nverify=crc32c\nfilename=f\n"
    READ = "[j]\nrw=read\nsize=256k\nbs=4k\nverify=crc32c\nfilename=f\n"

    def verified(self, text: str) -> int:
        job, = self.jobs(text)
        return job["shardrt"]["verified"]

    def test_what_was_written_is_read_back(self) -> None:
        self.assertEqual(self.verified(self.WRITE), 64)
        self.assertEqual(self.verified(self.READ), 64)

    def test_so_it_is_where_blocks_repeat_mix_and_vary(self) -> None:
        start = "[j]\nsize=256k\niodepth=8\nverify=crc32c\nfilename=f\n"
        for lines in ("rw=randwrite\nbs=4k\nnorandommap\nloops=3\n",
                      "rw=randwrite\nbs=4k\nrandom_distribution=zipf:1.2\nloops=2\n",
                      "rw=randrw\nbs=4k\nloops=3\n",
                      "rw=randwrite\nbssplit=4k/50:8k/30:32k/20\nloops=2\n",
                      "rw=write\nbs=4k\nloops=4\n",
                      "rw=randwrite\nbs=4k\ntime_based\nruntime=100ms\n",
                      "rw=randwrite\nbs=4k\ntime_based\nruntime=100ms\nrate_iops=700\n"):
            with self.subTest(lines=lines):
                job, = self.jobs(start + lines)
                self.assertEqual(job["shardrt"]["verified"] > 0, job["write"]["total_ios"] > 0)
                self.assertGreaterEqual(job["shardrt"]["verified"],
                                        min(64, job["write"]["total_ios"]))

    def test_a_byte_that_flips_on_the_device_is_found_and_named(self) -> None:
        self.verified(self.WRITE)
        with open(self.path("f"), "r+b") as file:
            file.seek(5 * 4 * KIB + 1234)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x10]))
        errors = self.fails(self.READ)
        self.assertIn(self.path("f"), errors)
        self.assertRegex(errors, r"block of 4096 bytes at 20480 has a wrong crc32c: "
                                 r"expected 0x[0-9a-f]+, found 0x[0-9a-f]+")

    def test_blocks_that_have_changed_places_are_found(self) -> None:
        self.verified(self.WRITE)
        with open(self.path("f"), "r+b") as file:
            data = file.read(8 * KIB)
            file.seek(0)
            file.write(data[4 * KIB:] + data[:4 * KIB])
        self.assertRegex(self.fails(self.READ),
                         r"at 0 has a wrong offset: expected 0x0, found 0x1000")

    def test_what_was_never_written_is_found(self) -> None:
        with open(self.path("f"), "wb") as file:
            file.write(bytes(256 * KIB))
        self.assertIn("wrong magic number", self.fails(self.READ))

    def test_clones_that_would_overwrite_each_other_are_refused(self) -> None:
        self.assertIn("overwrite each other", self.fails(self.WRITE + "numjobs=2\n"))


class Batches(StorageTest):
    """Each read is answered from the page cache as it is submitted, so a turn of the loop with
    eight tasks has eight of them, unless a batch is smaller; nothing here depends on speed."""

    READS = "[j]\nrw=randread\nsize=256k\nbs=4k\niodepth=8\ninvalidate=0\nloops=16\n"

    def enters(self, text: str) -> float:
        self.document(self.READS)  # makes the file, which then is in the page cache
        job, = self.jobs(self.READS + text)
        self.assertEqual(job["read"]["io_bytes"], 16 * 256 * KIB)
        return job["shardrt"]["enters_per_io"]

    def test_a_batch_of_one_enters_the_kernel_for_each_operation(self) -> None:
        for option in "iodepth_batch_submit", "iodepth_batch_complete_max":
            with self.subTest(option=option):
                self.assertGreater(self.enters(option + "=1\n"), 0.9)

    def test_all_at_once_is_the_default_and_what_0_means(self) -> None:
        for text in "", "iodepth_batch_submit=0\niodepth_batch_complete_max=0\n":
            with self.subTest(text=text):
                self.assertLess(self.enters(text), 0.5)

    def test_a_minimum_of_all_lets_none_go_on_before_all_are_complete(self) -> None:
        job, = self.jobs(self.READS + "iodepth_batch_complete_min=8\n")
        self.assertEqual(job["read"]["io_bytes"], 16 * 256 * KIB)
        # Each batch fills the depths 1, 2 to 3, 4 to 7, and 8. Without, all start at 8.
        levels = job["iodepth_level"]
        self.assertEqual([levels[depth] for depth in ("1", "2", "4", "8")],
                         [12.5, 25, 50, 12.5])

    def test_batches_that_never_fill_end_with_the_job(self) -> None:
        for text in ("iodepth_batch_complete_min=5\n", "iodepth_batch_submit=3\n"
                     "iodepth_batch_complete_min=2\niodepth_batch_complete_max=2\n"):
            with self.subTest(text=text):
                job, = self.jobs("[j]\nrw=randread\nsize=84k\nbs=4k\niodepth=8\n" + text)
                self.assertEqual(job["read"]["io_bytes"], 84 * KIB)

    def test_vectors_are_refused_with_the_place(self) -> None:
        status, _, errors = self.run_job("[j]\nrw=read\nsize=4k\nnonvectored=0\n")
        self.assertEqual(status, 2)
        self.assertIn(":7:13: nonvectored=0: expected 1: ", errors)


class Rates(StorageTest):
    def test_a_rate_is_kept_from_the_first_start_on(self) -> None:
        job, = self.jobs("[j]\nrw=randread\nsize=400k\nbs=4k\nrate_iops=1000\niodepth=4\n")
        self.assertEqual(job["read"]["total_ios"], 100)
        self.assertGreaterEqual(job["job_runtime"], 99)  # the last one starts there, never earlier
        self.assertGreaterEqual(job["read"]["lat_ns"]["mean"], job["read"]["clat_ns"]["mean"])

    def test_what_waits_for_a_slot_counts_from_its_intended_start(self) -> None:
        # A rate that no device keeps up with, one slot: the last ones wait for all before them.
        job, = self.jobs("[j]\nrw=randread\nsize=4m\nbs=4k\nrate_iops=1000000000\n")
        self.assertGreaterEqual(job["read"]["lat_ns"]["max"], job["read"]["clat_ns"]["mean"] * 900)

    def test_a_random_process_moves_all_too(self) -> None:
        job, = self.jobs("[j]\nrw=randread\nsize=400k\nbs=4k\nrate=40m\nrate_process=poisson\n")
        self.assertEqual(job["read"]["io_bytes"], 400 * KIB)

    def test_time_and_ramp_are_kept(self) -> None:
        # Passes of one block, so that two fit into half a second on the busiest machine.
        job, = self.jobs("[j]\nrw=read\nsize=4k\nbs=4k\ntime_based\nruntime=500ms\n"
                         "ramp_time=50ms\n")
        self.assertGreaterEqual(job["job_runtime"], 500)
        self.assertGreater(job["read"]["io_bytes"], 4 * KIB)  # passes repeat
        self.assertEqual(job["read"]["total_ios"], job["read"]["clat_ns"]["N"])

    def test_thinking_holds_the_next_start_back(self) -> None:
        job, = self.jobs("[j]\nrw=read\nsize=40k\nbs=4k\nthinktime=5ms\n")
        self.assertGreaterEqual(job["job_runtime"], 45)


class Places(StorageTest):
    CPUS = sorted(os.sched_getaffinity(0))[:2]

    def test_instances_run_where_they_are_told_to(self) -> None:
        first, last = self.CPUS[0], self.CPUS[-1]
        jobs = self.jobs("rw=read\nbs=4k\nsize=64k\n[a]\n"
                         f"[b]\ncpus_allowed={first}\n[c]\ncpus_allowed={last}\n",
                         "--cpus", str(last))
        self.assertEqual([job["shardrt"]["cpu"] for job in jobs], [last, first, last])


class Failures(StorageTest):
    def test_a_write_that_fails_is_named_and_what_came_before_it_is_told(self) -> None:
        text = "[j]\nrw=write\nsize=96k\nbs=24k\nfilename=f\n"
        self.jobs(text)

        def limit() -> None:  # from 40 KiB on nothing can be written any more
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (40 * KIB, resource.RLIM_INFINITY))

        with self.start(text, "--json", "--allow-overwrite", preexec_fn=limit,
                        restore_signals=False) as process:
            out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(errors, f"rt-storage: job j: {self.path('f')}: "
                                 "writing 24576 bytes at 24576: File too large\n")
        job, = json.loads(out)["jobs"]
        self.assertEqual((job["error"], job["write"]["io_bytes"], job["write"]["short_ios"]),
                         (errno.EFBIG, 24 * KIB, 1))

    def test_a_file_that_shrinks_under_a_job_ends_it_with_a_text(self) -> None:
        text = "[j]\nrw=randread\nsize=1m\nbs=4k\niodepth=8\nfilename=f\n"
        self.jobs(text)
        with self.start(text + "time_based\nruntime=600\n", "--json") as process:
            while len(os.listdir(f"/proc/{process.pid}/task")) < 2:
                pass  # until there is a shard, and nothing is laid out any more
            os.truncate(self.path("f"), 64 * KIB)
            out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(errors, r"^rt-storage: job j: \S+/f: reading 4096 bytes at \d+: "
                                 r"the file ends there\n$")
        job, = json.loads(out)["jobs"]
        self.assertEqual(job["error"], errno.ENODATA)

    def test_a_file_system_that_is_full_is_told_when_files_are_laid_out_and_later(self) -> None:
        def mounted(job: str, *more: str) -> "subprocess.CompletedProcess[str]":
            """In a namespace of its own, where the folder is a tmpfs of 1 MiB."""
            return subprocess.run(
                ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh",
                 "-c", 'mount -t tmpfs -o size=1m none "$1" || exit 77; truncate -s 2m "$1/there"; '
                 'shift; exec "$@"', "sh", self.path("small"), PROGRAM, *more, self.job_file(job)],
                text=True, timeout=60, capture_output=True, check=False)

        os.mkdir(self.path("small"))
        done = mounted("[j]\nrw=write\nsize=2m\nbs=4k\nfilename=small/new\n")
        if done.returncode == 77 or "unshare" in done.stderr:
            self.skipTest("nothing can be mounted here")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "laying out 2097152 bytes: No space left on device\n$")
        done = mounted("[j]\nrw=write\nsize=2m\nbs=4k\nfilename=small/there\n",
                       "--allow-overwrite")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"writing 4096 bytes at \d+: No space left on device\n$")

    def test_a_device_that_fails_is_told(self) -> None:
        if os.geteuid() != 0 or shutil.which("losetup") is None:
            self.skipTest("loop devices want root and losetup")
        with open(self.path("backing"), "wb") as out:
            out.write(os.urandom(MIB))
        done = subprocess.run(["losetup", "--find", "--show", self.path("backing")], text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest("no loop device can be had here")
        device = done.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "--detach", device], check=True)
        self.assertEqual(self.moved(f"[j]\nrw=read\nbs=4k\nfilename={device[1:]}\n"
                                    "directory=/\n"), (MIB, 0))
        os.truncate(self.path("backing"), 64 * KIB)
        for direct in 0, 1:
            errors = self.fails(f"[j]\nrw=randread\nbs=4k\niodepth=8\nfilename={device[1:]}\n"
                                f"directory=/\ndirect={direct}\n")
            self.assertRegex(errors, r"reading 4096 bytes at \d+: Input/output error\n$")

    def test_a_direct_write_that_is_not_aligned_gets_advice(self) -> None:
        self.assertIn("multiples of the device's block",
                      self.fails("[j]\nrw=write\nsize=3000\nbs=1000\ndirect=1\n"))


class Disk(StorageTest):
    JOB = "[j]\nrw=randwrite\nsize=64k\nbs=4k\ndirect=1\nshares=10\n"

    def test_direct_jobs_tell_what_they_waited_and_what_the_disk_took(self) -> None:
        status, _, errors = self.run_job(self.JOB + "disk_times=1\n")
        if "has no O_DIRECT" in errors:
            self.skipTest("the temporary folder has no O_DIRECT")
        self.assertEqual((status, errors), (0, ""))
        job, = self.jobs(self.JOB + "disk_times=1\n")
        disk = job["shardrt"]["disk"]
        self.assertEqual(disk["total_ios"], 16)
        self.assertEqual([disk[key]["N"] for key in ("line_ns", "disk_ns")], [16, 16])
        self.assertGreater(disk["disk_mean_ns"], 0)
        job, = self.jobs(self.JOB + "iodepth=4\n")
        self.assertEqual(job["shardrt"]["disk"]["total_ios"], 16)
        self.assertEqual(job["shardrt"]["disk"]["line_ns"]["N"], 0)

    def test_a_disk_that_is_to_be_polled_is_or_the_report_says_that_it_cannot_be(self) -> None:
        status, out, errors = self.run_job(self.JOB + "hipri\nverify=crc32c\n")
        if "has no O_DIRECT" in errors:
            self.skipTest("the temporary folder has no O_DIRECT")
        self.assertEqual(status, 0, errors)
        self.assertIn("verified: 16 blocks", out)
        refused = "polled: 0 of 1 files; the disk of the rest cannot be" in out
        self.assertEqual(refused, "go by interrupts" in errors)
        self.assertEqual(refused, "polled: 1 of 1 files" not in out)
        _, out, errors = self.run_job(self.JOB + "hipri\n", "--json")
        refused = "go by interrupts" in errors  # not all that a file system writes is
        own = json.loads(out)["jobs"][0]["shardrt"]
        self.assertEqual((own["files_polled"], own["files_refused"]), (1 - refused, refused))

    def test_only_direct_jobs_can_be_polled_for(self) -> None:
        status, _, errors = self.run_job("[j]\nrw=read\nsize=64k\nhipri\n")
        self.assertEqual(status, 2)
        self.assertIn("hipri: a disk is polled for direct transfers only", errors)

    def test_buffered_jobs_have_no_disk(self) -> None:
        job, = self.jobs("[j]\nrw=write\nsize=64k\nbs=4k\n")
        self.assertEqual(job["shardrt"]["disk"]["total_ios"], 0)

    def test_times_of_single_transfers_want_a_depth_of_1(self) -> None:
        for line in ("direct=0\n", "iodepth=2\n"):
            self.assertIn("only with direct=1 and iodepth=1",
                          self.fails(self.JOB + "disk_times=1\n" + line))


class Caution(StorageTest):
    WRITE = "[j]\nrw=write\nsize=64k\nbs=4k\nfilename=f\n"

    def test_a_file_that_is_not_ours_stays_as_it_is(self) -> None:
        with open(self.path("f"), "wb") as file:
            file.write(b"dear" * 32 * KIB)
        for text in self.WRITE, "[j]\nrw=read\nsize=64k\nbs=4k\nfilename=f\nunlink=1\n":
            self.assertIn("--allow-overwrite", self.fails(text))
        with open(self.path("f"), "rb") as file:
            self.assertEqual(file.read(), b"dear" * 32 * KIB)
        self.jobs(self.WRITE, "--allow-overwrite")

    def test_a_file_that_is_too_short_is_not_made_longer(self) -> None:
        with open(self.path("f"), "wb") as file:
            file.write(b"short")
        self.assertIn("has 5 bytes", self.fails("[j]\nrw=read\nsize=64k\nbs=4k\nfilename=f\n"))
        self.assertEqual(os.path.getsize(self.path("f")), 5)

    def test_a_file_of_an_earlier_run_may_be_written_again(self) -> None:
        self.jobs(self.WRITE)
        try:
            os.getxattr(self.path("f"), "user.rt-storage")
        except OSError:
            self.skipTest("this file system has no attributes to mark files with")
        self.jobs(self.WRITE)

    def test_what_cannot_work_is_said(self) -> None:
        with open(self.path("small"), "wb") as file:
            file.write(bytes(100))
        for lines, words in (("rw=read\nbs=4k\nfilename=none\n", "gives no size"),
                             ("rw=read\nbs=4k\nfilename=small\n", "no room for a block"),
                             ("rw=read\nbs=4k\nsize=4k\nfilename=.\n", "neither a file"),
                             ("rw=read\nbs=4k\nsize=4k\nfilename=no/where\n", "No such file")):
            with self.subTest(lines=lines):
                self.assertIn(words, self.fails("[j]\n" + lines))

    def test_a_job_that_fails_does_not_stop_the_others(self) -> None:
        with open(self.path("small"), "wb") as file:
            file.write(bytes(100))
        status, out, _ = self.run_job(
            "bs=4k\nrw=read\n[bad]\nfilename=small\n[good]\nsize=64k\n", "--json")
        self.assertEqual(status, 1)
        bad, good = json.loads(out)["jobs"]
        self.assertNotEqual(bad["error"], 0)
        self.assertEqual((good["error"], good["read"]["io_bytes"]), (0, 64 * KIB))


class Page(StorageTest):
    BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

    def page(self, text: str) -> Tuple[str, Dict[str, Any]]:
        document = self.document(text, "--html", self.path("page.html"))
        with open(self.path("page.html"), encoding="utf-8") as page:
            return page.read(), document

    def test_it_holds_the_document_and_no_text_of_it_ends_its_script(self) -> None:
        page, document = self.page("[</script><!-- <b>]\nrw=read\nsize=64k\nbs=4k\nfilename=f\n")
        found = re.search(r'<script type="application/json" id="document">(.*?)</script>', page,
                          re.DOTALL)
        assert found is not None
        self.assertEqual(json.loads(found.group(1)), document)

    @unittest.skipUnless(BROWSER, "no chromium here")
    def test_a_browser_shows_each_job_without_a_fault(self) -> None:
        self.page("size=64k\nbs=4k\n[one]\nrw=randrw\n[two]\nrw=read\nrate_iops=10000\n")
        done = subprocess.run(
            [self.BROWSER or "", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--enable-logging=stderr", "--dump-dom",
             f"--user-data-dir={self.path('profile')}", f"file://{self.path('page.html')}"],
            capture_output=True, text=True, check=True, timeout=100)
        self.assertEqual([line for line in done.stderr.splitlines() if "CONSOLE" in line], [])
        for name in "one read", "one write", "two read":
            self.assertIn(f">{name}</text>", done.stdout)
            job, direction = name.split()
            self.assertIn(f"<td>{job}</td><td>{direction}</td>", done.stdout)
        self.assertIn("<td>total</td>", done.stdout)
        self.assertIn(">99.99 %</text>", done.stdout)


class People(StorageTest):
    ENDLESS = "[j]\nrw=randread\nsize=64k\nbs=4k\ntime_based\nruntime=600\nthinktime=1ms\n"

    def test_options_that_change_nothing_are_named(self) -> None:
        status, _, errors = self.run_job(
            "[j]\nrw=read\nsize=4k\nbs=4k\nregisterfiles=0\n")
        self.assertEqual(status, 0)
        self.assertEqual(errors, "rt-storage: warning: line 8: registerfiles changes nothing: "
                                 "files that are used often are registered in any case\n")

    def test_a_terminal_shows_the_time_that_is_left_and_a_signal_ends_it(self) -> None:
        main, side = pty.openpty()
        text = self.ENDLESS + "[later]\nstonewall\nrw=read\nsize=64k\nbs=4k\n"
        with self.start(text, stderr=side) as process:
            os.close(side)
            shown = b""
            while b"s left" not in shown:
                shown += os.read(main, 1000)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)  # as a shell and a wrapper may, both at once
            out = process.communicate(timeout=60)[0]
        os.close(main)
        self.assertRegex(shown, rb"stage 1 of 2: +0 %  \d+ IOPS  \d+\.\d MiB/s  \d+ s left")
        self.assertEqual(process.returncode, 1)
        self.assertIn("interrupted", out)
        self.assertRegex(out, r"(?m)^j: randread, depth 1, CPU \d+\n  read: \d+ IOPS")
        self.assertIn("later: read, depth 1\n  cost: no I/O\n", out)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
