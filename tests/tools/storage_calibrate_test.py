#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rt-storage calibrate as a user runs it.

Goal: the three forms of a model agree and follow from the points that are in them, nothing is
written without leave, nothing is left in a folder, and bad input gets a text that helps. Method:
measurements of a few milliseconds on files of a temporary folder; no figure of speed is judged, and
a model may be called bad, as long as the status and the text say so. Skipped, status 77, where the
folder has no O_DIRECT.

    storage_calibrate_test.py PROGRAM
"""
import configparser
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, List

PROGRAM = ""
MIB = 1 << 20
SIZES = [4096, 16384, 65536, 262144, 1048576]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("RT_")}


def has_direct(folder: str) -> bool:
    path = os.path.join(folder, "direct")
    with open(path, "wb") as out:
        out.write(bytes(4096))
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    finally:
        os.unlink(path)
    return True


class CalibrateTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="rt-calibrate-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = os.path.join(self.folder, "data")

    def fill(self, bytes_: int = 16 * MIB) -> str:
        with open(self.data, "wb") as out:
            out.write(os.urandom(bytes_))
            out.flush()
            os.fsync(out.fileno())
        with open(self.data, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def run_it(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([PROGRAM, "calibrate", "--time", "0.002", *arguments],
                              env=ENVIRONMENT, text=True, timeout=120, capture_output=True,
                              check=False)
        # That a shard was kept from running is told by the library, and no matter here.
        done.stderr = re.sub(r"(?m)^shardrt: warning: .*\n", "", done.stderr)
        return done

    def model(self, *arguments: str) -> Dict[str, Any]:
        done = self.run_it("--json", *arguments)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        model = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if model["faults"] else 0)
        self.assertEqual(done.stderr, "".join(f"rt-storage: the model is bad: {fault}\n"
                                              for fault in model["faults"]))
        return model


class Models(CalibrateTest):
    def check_direction(self, direction: Dict[str, Any]) -> None:
        points: List[Dict[str, float]] = direction["points"]
        self.assertEqual([point["bytes"] for point in points], SIZES)
        for point in points:
            fitted = direction["request_ns"] + direction["byte_ps"] / 1000 * point["bytes"]
            self.assertAlmostEqual(fitted / point["ns"] - 1, point["model_off"], delta=0.001)
            self.assertEqual(point["depth"] & (point["depth"] - 1), 0)
        self.assertEqual(direction["saturation_depth"], points[0]["depth"])
        self.assertAlmostEqual(direction["model_off"],
                               max(abs(point["model_off"]) for point in points), delta=0.001)

    def test_reads_of_a_file_leave_it_as_it_is(self) -> None:
        before = self.fill()
        model = self.model(self.data)
        self.check_direction(model["read"])
        self.assertIsNone(model["write"])
        number = os.stat(self.data).st_dev
        if model["name"] == "":
            self.assertEqual(model["device"], f"{os.major(number)}:{os.minor(number)}")
        else:
            with open(f"/sys/block/{model['name']}/dev", encoding="ascii") as file:
                self.assertEqual(model["device"], file.read().strip())
        with open(self.data, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), before)

    def test_writes_need_leave_and_then_are_measured(self) -> None:
        before = self.fill()
        done = self.run_it("--write", self.data)
        self.assertEqual(done.returncode, 1)
        self.assertIn("give --allow-overwrite if what it holds may go", done.stderr)
        with open(self.data, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), before)
        model = self.model("--write", "--allow-overwrite", self.data)
        self.check_direction(model["read"])
        self.check_direction(model["write"])
        self.assertEqual(os.path.getsize(self.data), 16 * MIB)
        with open(self.data, "rb") as file:
            self.assertNotEqual(hashlib.sha256(file.read()).hexdigest(), before)

    def test_the_configuration_has_a_section_that_any_reader_of_such_files_reads(self) -> None:
        self.fill()
        output = os.path.join(self.folder, "disks")
        done = self.run_it("--config", "--output", output, self.data)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.stdout, "")
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(output)
        section, = parser.sections()
        self.assertRegex(section, r"^device \d+:\d+$")
        self.assertEqual(sorted(parser[section]),
                         ["capacity_ns", "read_byte_ps", "read_request_ns",
                          "read_saturation_depth"])
        for value in parser[section].values():
            self.assertRegex(value, r"^\d+$")
        with open(output, encoding="utf-8") as file:
            bad = re.findall("(?m)^# BAD: ", file.read())
        self.assertEqual(done.returncode, 1 if bad else 0)

    def test_the_text_shows_each_size(self) -> None:
        self.fill()
        done = self.run_it(self.data)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if "BAD: " in done.stdout else 0)
        for size in "4k", "16k", "64k", "256k", "1m":
            self.assertRegex(done.stdout, rf"(?m)^ *{size} +\d+ ")

    def test_a_folder_gets_a_file_for_as_long_as_it_takes(self) -> None:
        self.model(self.folder)
        self.assertEqual(os.listdir(self.folder), [])


class Wrong(CalibrateTest):
    def test_a_file_that_reads_would_not_find_on_a_device_is_refused(self) -> None:
        with open(self.data, "wb") as out:
            out.truncate(16 * MIB)
        done = self.run_it(self.data)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has holes", done.stderr)
        self.fill(4096)
        done = self.run_it(self.data)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is shorter than 16m", done.stderr)
        done = self.run_it("/dev/null")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is neither a file, nor a block device, nor a folder", done.stderr)
        done = self.run_it(os.path.join(self.folder, "not there"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory", done.stderr)

    def test_options_that_do_not_fit_are_refused(self) -> None:
        for arguments, text in ((["--time", "0"], "--time 0: expected seconds"),
                                (["--json", "--config"], "--json or --config, not both"),
                                (["--parse-only"], "--parse-only is for job files"),
                                (["--threshold", "5"], "--threshold is for compare"),
                                (["more"], "expected one file, device or folder")):
            with self.subTest(arguments=arguments):
                done = self.run_it(*arguments, self.folder)
                self.assertEqual(done.returncode, 2)
                self.assertIn(text, done.stderr)
        for option in "--write", "--config":
            done = subprocess.run([PROGRAM, option, self.data], env=ENVIRONMENT, text=True,
                                  timeout=60, capture_output=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(option + " is for calibrate", done.stderr)

    def test_a_signal_ends_it_and_leaves_nothing(self) -> None:
        self.fill()
        with subprocess.Popen([PROGRAM, "calibrate", "--time", "600", self.data], env=ENVIRONMENT,
                              text=True, stderr=subprocess.PIPE) as process:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                text = ""
                while "SigBlk:\t0000000000004002" not in text:  # INT and TERM are watched for
                    status.seek(0)
                    text = status.read()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn("a signal ended the calibration", errors)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(prefix="rt-calibrate-test-") as probe:
        if not has_direct(probe):
            print("skipped: this file system has no O_DIRECT")
            sys.exit(77)
    unittest.main()
