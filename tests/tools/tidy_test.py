#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each rule of tools/dev/tidy.py: an example that it must name, and one that it must let pass."""
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "dev"))
sys.dont_write_bytecode = True
import tidy  # noqa: E402  (found by the line above)

LICENCE = "/* SPDX-License-Identifier: MIT */\n"
PROTOTYPE = "RT_API RT_MUST_CHECK RT_SUSPENDS\nint rt_join(struct rt_task *task);\n"
LATER = "TO" + "DO"


def function(lines: int) -> str:
    """A function whose braces and what lies between are that many lines."""
    return "static int f(int a,\n             int b)\n{\n" + "    a++;\n" * (lines - 2) + "}\n"


class TidyTest(unittest.TestCase):
    def found(self, path: str, text: str) -> "list[str]":
        return [f"{finding.rule}:{finding.line}" for finding in tidy.check_file(path, text)]

    def names(self, path: str, body: str, *expected: str) -> None:
        """The findings in a C file whose first line, the licence, is added here."""
        self.assertEqual(self.found(path, LICENCE + body), list(expected))

    def passes(self, path: str, body: str) -> None:
        self.names(path, body)

    def test_spdx(self) -> None:
        self.assertEqual(self.found("runtime/core/a.c", "int a;\n"), ["spdx:1"])
        self.assertEqual(self.found("tools/x", "#!/bin/sh\necho\n"), ["spdx:2"])
        self.passes("runtime/core/a.c", "int a;\n")
        self.assertEqual(self.found("tools/x", "#!/bin/sh\n# SPDX-License-Identifier: MIT\n"), [])
        self.assertEqual(self.found("README.md", "# Title\n"), [])

    def test_an_include_never_points_up(self) -> None:
        self.names("runtime/os/a.c", '#include "core/task.h"\n', "layers:2")
        self.names("runtime/fiber/a.c", '#include "core/task.h"\n', "layers:2")
        self.passes("runtime/core/a.c", '#include "os/sys.h"\n#include "fiber/fiber.h"\n')
        self.passes("runtime/core/a.c", '#include "core/task.h"\n#include "rt/base.h"\n')

    def test_an_include_never_points_sideways(self) -> None:
        self.names("runtime/sync/a.c", '#include "cross/port.h"\n', "layers:2")
        self.names("runtime/io/a.c", '#include "shard/runtime.h"\n', "layers:2")
        self.passes("runtime/shard/a.c", '#include "cross/port.h"\n#include "sync/event.h"\n')

    def test_an_include_shows_its_layer(self) -> None:
        self.names("runtime/core/a.c", '#include "task.h"\n#include "../os/sys.h"\n',
                   "layers:2", "layers:3")
        self.passes("tests/support/a.c", '#include "sim.h"\n#include "core/task.h"\n')

    def test_a_folder_without_a_layer_is_named(self) -> None:
        self.names("runtime/extra/a.c", '#include "os/sys.h"\n', "layers:2")

    def test_public_headers_and_tools_know_public_headers_only(self) -> None:
        self.names("include/rt/a.h", '#include "core/task.h"\n', "layers:2")
        self.names("tools/bench/a.c", '#include "core/task.h"\n', "layers:2")
        self.passes("include/rt/a.h", '#include "rt/base.h"\n')
        self.passes("tools/bench/a.c", '#include "stats.h"\n#include <rt/rt.h>\n')
        self.passes("tools/kv/a.c", '#include "base/siphash.h"\n')
        self.names("tools/kv/a.c", '#include "base/list.h"\n', "layers:2")

    def test_function_length(self) -> None:
        self.names("tests/a.c", function(71), "function-length:2")
        self.passes("tests/a.c", function(70))
        self.passes("tests/a.c", "/* tidy: long - a table of cases */\n" + function(71))
        self.passes("tests/a.c", "/*\n * tidy: long - a table\n */\n" + function(71))
        self.names("tests/a.c", "/* tidy: long - */\n" + function(71), "function-length:3")
        self.passes("tests/a.c", "static const int a[] = {\n" + "    1,\n" * 90 + "};\n")

    def test_file_length(self) -> None:
        self.names("tests/a.c", "int a;\n" * 1000, "file-length:1001")
        self.passes("tests/a.c", "int a;\n" * 599)
        warned = tidy.check_file("tests/a.c", LICENCE + "int a;\n" * 600)
        self.assertEqual([finding.warning for finding in warned], [True])

    def test_unsafe_calls(self) -> None:
        self.names("tools/a.c", "int a = atoi(text);\n", "unsafe-call:2")
        self.names("tests/a.c", "    strcpy(a, b); sprintf(a, b);\n",
                   "unsafe-call:2", "unsafe-call:2")
        self.passes("tools/a.c", '/* not atoi(text) */\nconst char *a = "atoi(x)";\n')
        self.passes("tools/a.c", "    snprintf(a, sizeof(a), b);\n    my_strcpy(a, b);\n")

    def test_a_library_does_not_print(self) -> None:
        self.names("runtime/core/a.c", '    printf("x");\n', "stdout:2")
        self.names("runtime/core/a.c", '    fputs("x", stdout);\n', "stdout:2")
        self.passes("runtime/base/a.c", '    fprintf(stderr, "x");\n')
        self.passes("tools/a.c", '    printf("x");\n')

    def test_system_calls_outside_os(self) -> None:
        self.names("runtime/core/a.c", "    close(fd);\n", "system-call:2")
        self.names("runtime/io/a.c", "    r = socket(1, 2, 3);\n", "system-call:2")
        self.names("runtime/core/a.c", "    io_uring_queue_init(1, r, 0);\n", "system-call:2")
        self.names("runtime/fiber/a.c", "    pthread_mutex_lock(&lock);\n", "system-call:2")
        self.passes("runtime/os/a.c", "    close(fd);\n")
        self.passes("runtime/core/a.c", "    rti_sys_close(fd);\n    file->close(f);\n")
        self.passes("runtime/core/a.c", "/* close(fd) is done later */\n")
        self.passes("tests/a.c", "    close(fd);\n")

    def test_heap(self) -> None:
        self.names("runtime/core/a.c", "    a = malloc(3);\n    free(a);\n", "heap:2", "heap:3")
        self.passes("runtime/os/sys.c", "    free(memory);\n")
        self.passes("runtime/core/a.c", "    rti_sys_free(memory);\n")

    def test_a_public_function_has_a_context(self) -> None:
        good = "/**\n * Join.\n *\n * \\context{In a task. Suspends.}\n */\n" + PROTOTYPE
        self.passes("include/rt/a.h", good)
        self.names("include/rt/a.h", "/**\n * Join.\n */\n" + PROTOTYPE, "context:5")
        self.names("include/rt/a.h", PROTOTYPE, "context:2")
        self.names("include/rt/a.h", good + "\n" + PROTOTYPE, "context:10")
        self.names("include/rt/a.h", good.replace(" RT_SUSPENDS", ""), "context:7")
        self.names("include/rt/a.h", good.replace("Suspends", "Does not suspend"), "context:7")
        self.names("include/rt/a.h", good.replace("RT_SUSPENDS", "RT_ON_SHARD"), "context:7")
        any_thread = good.replace("RT_SUSPENDS", "RT_ANY_THREAD")
        self.names("include/rt/a.h", any_thread.replace(" Suspends.", ""), "context:7")
        self.passes("include/rt/a.h", any_thread.replace("In a task. Suspends", "Any thread"))
        self.passes("runtime/core/a.h", PROTOTYPE)

    def test_an_ordered_atomic_names_its_partner(self) -> None:
        load = "    a = __atomic_load_n(&b, __ATOMIC_ACQUIRE);\n"
        self.names("runtime/core/a.c", load, "atomic-pair:2")
        self.names("runtime/core/a.c", "    a = atomic_load(&b);\n", "atomic-pair:2")
        self.names("runtime/core/a.c", "/* pairs with x */\n" + "\n" * 6 + load, "atomic-pair:9")
        self.passes("runtime/core/a.c", "/* pairs with the release in put() */\n" + load)
        self.passes("runtime/core/a.c", "/* what it does, which pairs\n * with put() */\n" + load)
        self.passes("runtime/core/a.c", load.replace("ACQUIRE", "RELAXED"))
        self.passes("tests/a.c", load)

    def test_a_note_for_later_has_an_issue(self) -> None:
        self.names("runtime/core/a.c", f"/* {LATER}: tidy up */\n", "unfinished:2")
        self.passes("runtime/core/a.c", f"/* {LATER}(#12): tidy up */\n")
        self.passes("runtime/core/a.c", f"int {LATER};\n")

    def test_conditional_compilation(self) -> None:
        self.names("runtime/core/a.c", "#ifdef A\nint a;\n#endif\n", "conditional:2")
        self.names("tests/a.c", "#if 0\nint a;\n#endif\n", "conditional:2")
        self.passes("runtime/core/a.h", "#ifdef A\nint a;\n#endif\n")
        self.passes("tests/a.c", "#ifdef A\nint a;\n#endif\n")
        for allowed in tidy.CONDITIONALS_ALLOWED:
            self.passes(allowed, "#if A\nint a;\n#endif\n")
            self.assertTrue(os.path.exists(os.path.join(ROOT, allowed)), allowed)

    def test_layout(self) -> None:
        self.names("tests/a.c", "int a;\t\n", "layout:2", "layout:2")
        self.names("tests/a.c", "int a; \n", "layout:2")
        self.names("tests/a.c", "/* " + "x" * 98 + " */\n", "layout:2")
        self.names("tests/a.c", "int a;", "layout:2")
        self.names("tests/a.c", "int a;\n\n", "layout:4")
        self.passes("tests/a.c", "/* " + "x" * 94 + " */\n")
        self.assertEqual(self.found("README.md", "x" * 200 + "\n"), [])

    def test_nothing_of_one_machine(self) -> None:
        home = "/ho" + "me/someone/x"
        self.names("tests/a.c", f'const char *a = "{home}";\n', "machine:2")
        self.names("tests/a.c", "/* from https:" + "//packages.some.net/x */\n", "machine:2")
        self.passes("tests/a.c", 'const char *a = "/proc/self/maps";\n')
        self.passes("tests/a.c", "/* and/or, a / b, https://man7.org/linux */\n")

    def test_orphans(self) -> None:
        files = {
            "runtime/CMakeLists.txt": "    core/a.c\n",
            "runtime/core/a.c": "",
            "tests/CMakeLists.txt": "rt_test(unit/core/a_test)\n",
            "tests/unit/core/a_test.c": "",
        }
        self.assertEqual(tidy.check_orphans(files), [])
        files["runtime/core/b.c"] = ""
        files["runtime/hardcore/a.c"] = ""
        files["tests/unit/core/b_test.c"] = ""
        self.assertEqual(
            [finding.path for finding in tidy.check_orphans(files)],
            ["runtime/core/b.c", "runtime/hardcore/a.c", "tests/unit/core/b_test.c"])

    def test_a_finding_reads_like_a_compiler_message(self) -> None:
        finding = tidy.check_file("tests/a.c", "int a;\n")[0]
        self.assertRegex(str(finding), r"^tests/a\.c:1: \[spdx\] expected ")

    def test_each_rule_has_a_text(self) -> None:
        for name, text, _ in tidy.RULES:
            self.assertTrue(text, name)


if __name__ == "__main__":
    unittest.main()
