#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of the house style that a program can check (CONTRIBUTING.md says why they are so).

    tools/dev/tidy.py              check the whole tree
    tools/dev/tidy.py FILE ...     check these files only
    tools/dev/tidy.py --rules      print the rules

A finding is one line, file:line: [rule] message. Exit status 1 if there is one. What is only a
warning says so and does not count. tests/tools/tidy_test.py holds a good and a bad example of
each rule.
"""
import argparse
import os
import re
import sys
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_WARN = 600
FILE_LINES_MAX = 1000
PAIR_COMMENT_REACH = 6  # lines from the comment down to the atomic access that it explains

# An include may name the same folder or one of a smaller rank. Two folders of one rank are
# strangers to each other.
RANKS = {
    "base": 0, "os": 1, "fiber": 2, "core": 3, "sync": 4, "cross": 4, "io": 5, "shard": 5,
    "observe": 6,
}

# A .c file that may hold conditional compilation, and why.
CONDITIONALS_ALLOWED: Dict[str, str] = {
    "runtime/fiber/sanitize.c": "the hooks are calls in sanitizer builds and nothing in others",
}

# URLs may lead here only: to texts. A host to download from depends on where one builds, so it
# never stands in the tree.
HOSTS_ALLOWED = {
    "github.com", "kernel.org", "man7.org", "spdx.org", "keepachangelog.com", "semver.org",
    "example.org", "lwn.net", "wikipedia.org", "w3.org",
}

# Absolute paths may begin so. Any other is likely to be a folder of one person's machine.
ROOTS_ALLOWED = {
    "usr", "etc", "proc", "sys", "dev", "tmp", "bin", "sbin", "lib", "run", "var", "data", "path",
}

UNSAFE_CALLS = {
    "strcpy": "snprintf or memcpy", "strcat": "snprintf", "sprintf": "snprintf",
    "vsprintf": "vsnprintf", "atoi": "strtol", "atol": "strtol", "atoll": "strtoll",
    "alloca": "a fixed array", "gets": "fgets", "strtok": "strspn and strcspn",
}
STDOUT_CALLS = {"printf", "vprintf", "puts", "putchar"}
HEAP_CALLS = {
    "malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup", "strndup",
    "asprintf", "vasprintf",
}
SYSTEM_CALLS = {
    "syscall", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "memfd_create",
    "open", "openat", "close", "read", "pread", "readv", "write", "pwrite", "writev", "lseek",
    "fstat", "stat", "statx", "fsync", "fdatasync", "ftruncate", "fallocate", "unlink", "pipe",
    "pipe2", "dup", "dup2", "fcntl", "ioctl", "poll", "ppoll", "select", "epoll_create1",
    "epoll_ctl", "epoll_wait", "eventfd", "timerfd_create", "signalfd", "socket", "socketpair",
    "bind", "listen", "accept", "accept4", "connect", "shutdown", "send", "sendto", "sendmsg",
    "recv", "recvfrom", "recvmsg", "setsockopt", "getsockopt", "getsockname", "getpeername",
    "sched_setaffinity", "sched_getaffinity", "sched_yield", "sched_getcpu", "prctl", "futex",
    "sigaction", "sigaltstack", "sigprocmask", "signal", "raise", "kill", "gettid", "getpid",
    "clock_gettime", "clock_nanosleep", "nanosleep", "usleep", "sleep", "time", "gettimeofday",
    "getrandom", "sysconf", "getrlimit", "setrlimit", "fork", "execve", "waitpid",
    "io_uring_setup", "io_uring_enter", "io_uring_enter2", "io_uring_register",
}
SYSTEM_CALL_PREFIXES = (
    "pthread_", "io_uring_queue_", "io_uring_submit", "io_uring_wait_", "io_uring_register_",
    "io_uring_unregister_",
)

# Plain functions of their arguments, wholly in a header: a tool may compile them in as well.
SELF_CONTAINED = {"base/siphash.h"}

ATOMIC_ORDERED = re.compile(
    r"__ATOMIC_(?:ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)"
    r"|memory_order_(?:acquire|release|acq_rel|seq_cst|consume)"
    r"|\b__sync_\w+"
    r"|\batomic_(?:load|store|exchange|fetch_\w+|compare_exchange_(?:weak|strong))\s*\(")
CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
CONDITIONAL = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif|else)\b")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?!\(#\d+\))")
URL = re.compile(r"\b(?:https?|ftp|git|ssh)://(?:[^@/\s]*@)?([A-Za-z0-9.-]+)")
ABSOLUTE = re.compile(r"""(?:^|(?<=[\s"'`(=:]))/([A-Za-z_][\w.-]*)/[\w.-]""")


class Finding(NamedTuple):
    path: str
    line: int
    rule: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{self.path}:{self.line}: [{self.rule}] {kind}{self.message}"


def blank(text: str) -> str:
    """Spaces instead of everything but newlines, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", text)


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


class File:
    """One file: its lines; for C also the code alone and the comments alone, line by line."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.folders = path.split("/")[:-1]
        self.name = path.split("/")[-1]
        self.suffix = os.path.splitext(path)[1]
        self.is_c = self.suffix in (".c", ".h", ".cpp") or path.endswith((".h.in", ".c.in"))
        self.in_runtime = self.folders[:1] == ["runtime"]
        self.layer = self.folders[1] if self.in_runtime and len(self.folders) > 1 else ""
        self.code: List[str] = []
        self.comments: List[str] = []
        if self.is_c:
            self.code = TOKEN.sub(self._code_of, text).split("\n")
            self.comments = self._comments_of(text).split("\n")

    @staticmethod
    def _code_of(match: "re.Match[str]") -> str:
        token = match.group(0)
        if token[0] == "/":
            return blank(token)
        return token[0] + blank(token[1:-1]) + token[-1]

    @staticmethod
    def _comments_of(text: str) -> str:
        out = []
        end = 0
        for match in TOKEN.finditer(text):
            out.append(blank(text[end:match.start()]))
            token = match.group(0)
            out.append(token if token[0] == "/" else blank(token))
            end = match.end()
        out.append(blank(text[end:]))
        return "".join(out)

    def calls(self) -> Iterator[Tuple[int, str]]:
        for number, line in enumerate(self.code, 1):
            if not line.lstrip().startswith("#"):
                for match in CALL.finditer(line):
                    yield number, match.group(1)


Found = Iterator[Tuple[int, str]]
RULES: List[Tuple[str, str, Callable[[File], Found]]] = []


def rule(name: str) -> Callable[[Callable[[File], Found]], Callable[[File], Found]]:
    def add(check: Callable[[File], Found]) -> Callable[[File], Found]:
        RULES.append((name, (check.__doc__ or "").split("\n")[0], check))
        return check
    return add


@rule("spdx")
def check_spdx(file: File) -> Found:
    """The first line (after #!) names the licence."""
    if file.suffix in (".md", ".json", ".txt") and file.name != "CMakeLists.txt":
        return
    if file.name == "LICENSE" or file.name.startswith("."):
        return
    first = 1 if file.lines[0].startswith("#!") and len(file.lines) > 1 else 0
    if "SPDX-License-Identifier: MIT" not in file.lines[first]:
        yield first + 1, "expected SPDX-License-Identifier: MIT here"


@rule("layers")
def check_layers(file: File) -> Found:
    """An include never points up or sideways."""
    if not file.is_c:
        return
    for number, line in enumerate(file.lines, 1):
        match = INCLUDE.match(line)
        if match is None:
            continue
        folder = match.group(1).split("/")[0] if "/" in match.group(1) else ""
        if folder == "rt":
            continue
        if file.folders[:1] == ["include"]:
            yield number, "a public header includes public headers only (rt/...)"
        elif file.in_runtime and folder not in RANKS:
            yield number, f'write the include from runtime/: "{file.layer}/..." or "rt/..."'
        elif file.in_runtime and folder != file.layer:
            rank = RANKS.get(file.layer)
            if rank is None:
                yield number, f"the folder runtime/{file.layer} has no place in the layers"
            elif RANKS[folder] >= rank:
                yield number, f"{file.layer}/ may not know {folder}/: it is not below"
        elif (file.folders[:1] in (["tools"], ["docs"]) and folder in RANKS
              and match.group(1) not in SELF_CONTAINED):
            yield number, f"{folder}/ is internal: tools and examples use public headers only"


def functions(file: File) -> Iterator[Tuple[int, int, int]]:
    """(first line of the signature, line of the opening brace, line of the closing one)"""
    opened = 0
    for number, line in enumerate(file.code, 1):
        if line.rstrip() == "{":
            opened = number
        elif line.startswith("}") and opened:
            start = opened
            while start > 1:
                above = file.code[start - 2]
                if not above.strip() or above.rstrip()[-1] in ";}" or above.startswith("#"):
                    break
                start -= 1
            yield start, opened, number
            opened = 0


@rule("function-length")
def check_function_length(file: File) -> Found:
    """A function has at most 70 lines, or a reason: "tidy: long - reason" above it."""
    for start, opened, closed in functions(file) if file.is_c else ():
        length = closed - opened + 1
        if length <= FUNCTION_LINES_MAX:
            continue
        top = start - 1
        while top > 0 and file.comments[top - 1].strip():
            top -= 1
        if not any(re.search(r"tidy: long - \w", text) for text in file.comments[top:start - 1]):
            yield start, f"function of {length} lines; at most {FUNCTION_LINES_MAX}"


@rule("file-length")
def check_file_length(file: File) -> Found:
    """A file has at most 1000 lines; above 600 it is time to split."""
    length = len(file.lines) - 1
    if length > FILE_LINES_MAX and file.suffix != ".md":
        yield length, f"file of {length} lines; at most {FILE_LINES_MAX}"


@rule("unsafe-call")
def check_unsafe_calls(file: File) -> Found:
    """No call that cannot be made safe (strcpy, sprintf, atoi, alloca ...)."""
    for number, name in file.calls():
        if name in UNSAFE_CALLS:
            yield number, f"{name}() is banned; use {UNSAFE_CALLS[name]}"


@rule("stdout")
def check_stdout(file: File) -> Found:
    """A library does not write to its user's standard output."""
    if not file.in_runtime:
        return
    for number, name in file.calls():
        if name in STDOUT_CALLS:
            yield number, f"{name}() in a library; use rti_log()"
    for number, line in enumerate(file.code, 1):
        if re.search(r"\bstdout\b", line):
            yield number, "stdout in a library; use rti_log()"


@rule("system-call")
def check_system_calls(file: File) -> Found:
    """System calls are made in runtime/os only."""
    if not file.in_runtime or file.layer == "os":
        return
    for number, name in file.calls():
        if name in SYSTEM_CALLS or name.startswith(SYSTEM_CALL_PREFIXES):
            yield number, f"{name}() outside runtime/os; add or use a function of os/sys.h"


@rule("heap")
def check_heap(file: File) -> Found:
    """Memory of the heap comes from rti_sys_alloc()."""
    if not file.in_runtime or file.path == "runtime/os/sys.c":
        return
    for number, name in file.calls():
        if name in HEAP_CALLS:
            yield number, f"{name}() in runtime/; use rti_sys_alloc() and rti_sys_free()"


@rule("context")
def check_context(file: File) -> Found:
    r"""Each public function says from where it may be called, as \context{} and as a macro."""
    if file.folders != ["include", "rt"]:
        return
    for number, line in enumerate(file.code, 1):
        if not line.startswith("RT_API"):
            continue
        if not re.search(r"\bRT_(ANY_THREAD|ON_SHARD|SUSPENDS)\b", line):
            yield number, "prototype without RT_ANY_THREAD, RT_ON_SHARD or RT_SUSPENDS"
            continue
        top = number - 1  # the comment's last line, then its first
        while top > 0 and file.comments[top - 1].strip() and "/*" not in file.comments[top - 1]:
            top -= 1
        comment = " ".join(file.comments[max(top - 1, 0):number - 1])
        context = re.sub(r"[\s*]+", " ", comment.partition("\\context{")[2])
        if not context:
            yield number, "the comment of a public function needs \\context{...}"
        elif ("RT_SUSPENDS" in line) != ("Suspends" in context):
            yield number, "RT_SUSPENDS and \\context{... Suspends} go together"
        elif ("RT_ANY_THREAD" in line) != ("thread" in context):
            yield number, "RT_ANY_THREAD and \\context{Any thread ...} go together"


@rule("atomic-pair")
def check_atomic_pairs(file: File) -> Found:
    """An atomic access stronger than relaxed names its partner: "pairs with ..."."""
    if not file.in_runtime or not file.is_c:
        return
    for number, line in enumerate(file.code, 1):
        if ATOMIC_ORDERED.search(line):
            near = file.comments[max(number - 1 - PAIR_COMMENT_REACH, 0):number]
            if "pairs with" not in re.sub(r"[\s*]+", " ", " ".join(near)).lower():
                yield number, 'ordered atomic access without a comment "pairs with ..."'


@rule("unfinished")
def check_unfinished(file: File) -> Found:
    """A note for later has an issue: the word, then (#number)."""
    texts = file.comments if file.is_c else file.lines
    for number, line in enumerate(texts, 1):
        match = UNFINISHED.search(line)
        if match is not None:
            yield number, f"{match.group(1)} without an issue; write {match.group(1)}(#number)"


@rule("conditional")
def check_conditionals(file: File) -> Found:
    """No conditional compilation in a .c file of runtime/, no #if 0 anywhere."""
    if not file.is_c:
        return
    banned = (file.in_runtime and file.suffix == ".c" and file.path not in CONDITIONALS_ALLOWED)
    for number, line in enumerate(file.code, 1):
        if re.match(r"^\s*#\s*if\s+0\b", line):
            yield number, "#if 0: delete it, git remembers"
        elif banned and CONDITIONAL.match(line):
            yield number, "conditional compilation belongs in a header or a file of its own"


@rule("layout")
def check_layout(file: File) -> Found:
    """No tabs, no trailing spaces, 100 columns, a newline at the end."""
    for number, line in enumerate(file.lines, 1):
        if "\t" in line:
            yield number, "tab"
        if line != line.rstrip():
            yield number, "trailing space"
        if len(line) > COLUMNS_MAX and file.suffix not in (".md", ".json"):
            yield number, f"{len(line)} columns; at most {COLUMNS_MAX}"
    if not file.text.endswith("\n") or file.text.endswith("\n\n"):
        yield len(file.lines), "the file ends with exactly one newline"


@rule("machine")
def check_machine(file: File) -> Found:
    """No folder of one machine, no host to download from."""
    for number, line in enumerate(file.lines, 1):
        for match in ABSOLUTE.finditer(line):
            if match.group(1) not in ROOTS_ALLOWED:
                yield number, f"absolute path of one machine: /{match.group(1)}/..."
        for match in URL.finditer(line):
            host = ".".join(match.group(1).lower().split(".")[-2:])
            if "." in host and host not in HOSTS_ALLOWED and not host.endswith(".1"):
                yield number, f"URL of a host that is not on the list of tidy.py: {host}"


def check_file(path: str, text: str) -> List[Finding]:
    file = File(path, text)
    found = [Finding(path, line, name, message)
             for name, _, check in RULES for line, message in check(file)]
    length = len(file.lines) - 1
    if FILE_LINES_WARN < length <= FILE_LINES_MAX and file.suffix != ".md":
        found.append(Finding(path, length, "file-length",
                             f"file of {length} lines; think of splitting it", warning=True))
    return found


def check_orphans(files: Dict[str, str]) -> List[Finding]:
    """Every source of the library, and every test, is named by its CMakeLists.txt."""
    found = []
    lists = {folder: files.get(f"{folder}/CMakeLists.txt", "") for folder in ("runtime", "tests")}
    for path in sorted(files):
        folder, _, rest = path.partition("/")
        if folder == "runtime" and path.endswith((".c", ".S")):
            name = rest
        elif folder == "tests" and path.endswith("_test.c"):
            name = rest[:-len(".c")]
        else:
            continue
        if not re.search(rf"(?<![\w/]){re.escape(name)}(?![\w/])", lists[folder]):
            found.append(Finding(path, 1, "orphan", f"not listed in {folder}/CMakeLists.txt"))
    return found


def tree(root: str) -> Iterator[str]:
    """The files that people write. Not git's list: a new file counts before it is added."""
    suffixes = (".c", ".h", ".cpp", ".S", ".py", ".sh", ".cmake", ".in", ".map", ".txt", ".json",
                ".md", ".spin", ".pml")
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders
            if (not name.startswith(".") or name == ".ci") and name not in ("build", "__pycache__"))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(suffixes):
                yield os.path.relpath(path, root)
            elif "." not in name:
                with open(path, "rb") as file:
                    if file.read(2) == b"#!":
                        yield os.path.relpath(path, root)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the house style.")
    parser.add_argument("files", nargs="*", help="only these (default: the whole tree)")
    parser.add_argument("--rules", action="store_true", help="print the rules and exit")
    arguments = parser.parse_args()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    if arguments.rules:
        for name, text, _ in RULES:
            print(f"{name:16} {text}")
        print(f"{'orphan':16} {check_orphans.__doc__}")
        return 0
    if arguments.files:
        paths = [os.path.relpath(os.path.abspath(path), root) for path in arguments.files]
    else:
        paths = list(tree(root))
    files = {}
    for path in paths:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            files[path] = file.read()
    found = [finding for path, text in files.items() for finding in check_file(path, text)]
    if not arguments.files:
        found += check_orphans(files)

    errors = sum(not finding.warning for finding in found)
    for finding in sorted(found):
        print(finding)
    print(f"tidy: {len(files)} files, {errors} errors, {len(found) - errors} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
