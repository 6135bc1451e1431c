#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Job files of rt-storage as a user checks them, beside fio.

Goal: the command line says what is wrong in words and by its exit status; a file with options that
both know is right for both, and its values mean the same. Method: --parse-only on files written
here; the values that fio's parser tells with --debug=parse are compared with those that rt-storage
prints. What needs fio is skipped where fio is not installed.

    storage_jobfile_test.py PROGRAM
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Dict, List

PROGRAM = ""
FIO = shutil.which("fio")

EXAMPLES = {
    "alone": "[job]\nsize=1m\n",
    "random read": """
; 4 KiB random reads, as a device sees them
[global]
ioengine=io_uring
registerfiles=1
fixedbufs=1
nonvectored=1
direct=1
bs=4k
size=64m
runtime=10
time_based

[depth1]
rw=randread
iodepth=1

[depth32]
stonewall
rw=randread
iodepth=32
iodepth_batch_submit=8
iodepth_batch_complete_max=8
""",
    "a mix": """
[mix]
ioengine=io_uring
rw=randrw
rwmixread=70
bssplit=4k/60:64k/40,16k/100
size=256m
offset=1m
filename=a:b\\:c
directory=/tmp
numjobs=2
iodepth=16
rate_iops=1000,500
rate_process=poisson
random_distribution=zipf:1.2
randseed=42
norandommap
fsync=32
group_reporting
cpus_allowed=0
unlink=1
""",
    "written and read back": """
[global]
ioengine=io_uring
[write]   # and verify
readwrite=write
blocksize=128k
size=8m
buffered=1
verify=crc32c
do_verify=1
end_fsync=1
fdatasync=0
invalidate=0
loops=2
ramp_time=500ms
thinktime=10us
rate=1m
""",
}


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """With the environment free of what the library reads."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RT_")}
    return subprocess.run([PROGRAM, *arguments], env=environment, text=True, timeout=60,
                          capture_output=True, check=False)


class JobfileCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def write(self, text: str, name: str = "job.fio") -> str:
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def jobs(self, text: str) -> List[Dict[str, str]]:
        """The printed jobs, each with its options and its name under ""."""
        done = run("--parse-only", self.write(text))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        jobs: List[Dict[str, str]] = []
        for line in filter(None, done.stdout.split("\n")):
            if line.startswith("["):
                jobs.append({"": line[1:-1]})
            else:
                name, _, value = line.partition("=")
                jobs[-1][name] = value
        return jobs


class JobfileTest(JobfileCase):
    def test_jobs_are_shown_with_what_was_left_to_defaults(self) -> None:
        jobs = self.jobs(EXAMPLES["random read"])
        self.assertEqual([job[""] for job in jobs], ["depth1", "depth32"])
        for name, value in {"rw": "randread", "bs": "4k,4k", "size": "64m", "iodepth": "32",
                            "iodepth_batch_submit": "8", "iodepth_batch_complete_max": "8",
                            "runtime": "10s", "time_based": "1", "numjobs": "1", "verify": "0",
                            "stonewall": ""}.items():
            self.assertEqual(jobs[1].get(name), value, name)
        self.assertNotIn("stonewall", jobs[0])

    def test_what_is_shown_is_a_job_file_of_the_same_jobs(self) -> None:
        for name, text in EXAMPLES.items():
            with self.subTest(name):
                shown = run("--parse-only", self.write(text)).stdout
                self.assertEqual(run("--parse-only", self.write(shown)).stdout, shown)

    def test_errors_have_file_line_and_column_and_status_2(self) -> None:
        path = self.write("[global]\nbs=4x\n\n[a]\nruntim=3\n")
        for arguments in ([path], ["--parse-only", path]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            first, second = done.stderr.splitlines()
            self.assertTrue(first.startswith(f"{path}:2:4: bs=4x: expected bytes"), first)
            self.assertEqual(second,
                             f"{path}:5:1: there is no option runtim; did you mean runtime?")

    def test_a_wrong_command_line_is_refused_in_words(self) -> None:
        path = self.write("[a]\n")
        for arguments, words in (([], "one job file, not 0"), ([path, path], "one job file, not 2"),
                                 (["--nonsense", path], "--help lists the options"),
                                 (["--output"], "--help lists the options"),
                                 (["--place", "there", path], "core|pu|spread|pack|unbound"),
                                 ([self.path("none.fio")], "none.fio: No such file")):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            self.assertIn(words, done.stderr)

    def test_help_and_version(self) -> None:
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("--json", "--html", "--output", "--allow-overwrite", "--parse-only",
                       "--cpus", "--place"):
            self.assertIn(f"  {option}", done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 90)
        self.assertRegex(run("--version").stdout, r"^rt-storage \d+\.\d+\.\d+\n$")

    def test_what_cannot_be_printed_is_an_error(self) -> None:
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([PROGRAM, "--parse-only", self.write("[a]\n")], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)


@unittest.skipUnless(FIO, "fio is not installed")
class FioTest(JobfileCase):
    def fio(self, *arguments: str) -> str:
        done = subprocess.run([str(FIO), "--parse-only", *arguments], cwd=self.directory, text=True,
                              timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_fio_takes_the_files_that_are_taken_here_and_what_is_shown_of_them(self) -> None:
        files = []
        for name, text in EXAMPLES.items():
            files.append(self.write(text, name))
            shown = run("--parse-only", files[-1]).stdout
            self.assertNotEqual(shown, "")
            files.append(self.write(shown, f"{name}, shown"))
        self.fio(*files)
        with self.assertRaises(AssertionError):  # it looks at all of them
            self.fio(*files, self.write("[a]\nnonsense=1\n"))

    def numbers(self, option: str, values: List[str]) -> List[int]:
        """What fio makes of these values of the option."""
        jobs = "".join(f"[a]\n{option}={value}\n" for value in values)
        told = self.fio("--debug=parse", self.write(jobs))
        numbers = [int(number) for number in re.findall(r"ret=0, out=(-?\d+)", told)]
        self.assertEqual(len(numbers), len(values))
        return numbers

    def compare(self, option: str, values: List[str]) -> List[str]:
        """Checks that what is shown here means to fio what was written; returns it."""
        jobs = self.jobs("".join(f"[a]\n{option}={value}\n" for value in values))
        shown = [job[option] for job in jobs]
        self.assertEqual(dict(zip(values, self.numbers(option, shown))),
                         dict(zip(values, self.numbers(option, values))))
        return shown

    def test_bytes_mean_the_same_to_fio(self) -> None:
        shown = self.compare("offset", [
            "4096", "4k", "4K", "4kb", "4kB", "4ki", "4kib", "3m", "3mi", "3mib", "3MB", "3g",
            "3gi", "3gib", "2t", "2ti", "2tib", "0x1000", "7b", "010"])
        self.assertEqual(shown[:4], ["4k"] * 4)

    def test_times_mean_the_same_to_fio(self) -> None:
        for option in ("runtime", "ramp_time", "thinktime"):
            with self.subTest(option):
                shown = self.compare(option, ["7", "7us", "7usec", "7ms", "7msec", "7s", "7m", "2h",
                                              "1d", "7M"])
                self.assertEqual(shown[5], "7s")

    def test_every_option_that_fio_has_and_rt_storage_has_not_is_called_so(self) -> None:
        listed = subprocess.run([str(FIO), "--cmdhelp=all"], text=True, timeout=60,
                                capture_output=True, check=False).stdout
        names = re.findall(r"^([a-z_0-9]+) +: ", listed, re.MULTILINE)
        self.assertGreater(len(names), 100)
        for i in range(0, len(names), 10):  # after 20 errors reading ends
            lines = "".join(f"{name}=\n" for name in names[i:i + 10])
            told = run("--parse-only", self.write("[a]\n" + lines)).stderr
            self.assertNotIn("there is no option", told)
        self.assertIn("does not support", told)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
