# SPDX-License-Identifier: MIT
"""shardrt in gdb: tasks, backtraces of those that are switched out, and the state of shards.

    (gdb) source tools/gdb/shardrt-gdb.py
    (gdb) rt tasks              all tasks of all shards
    (gdb) rt tasks 2            those of shard 2
    (gdb) rt bt 17              the backtrace of task 17 (of each shard that has one)
    (gdb) rt bt all 2           of all tasks of shard 2
    (gdb) rt sched              what each shard's loop is at
    (gdb) rt fiber ADDRESS      the backtrace from a saved stack pointer

Works on a live process and on a core file alike, and does not write registers or memory: while a
backtrace is taken, an unwinder of ours says that the thread's innermost frame was called by the
fiber, and gdb goes on from there by itself. The frames are numbered from 0 as if the fiber were
running.

The shards are found by the thread-local variable of each thread that points to its executor. gdb
reads such variables by means of libthread_db, so it must be allowed to load that (it is, unless
auto-loading is off). The library must have been built with debug information.

A core file must be the kernel's: gdb's own generate-core-file cannot read across guard pages that
are no mappings of their own, and leaves out the megabyte around each. The feature guard_install
disabled (RT_DISABLE=guard_install) makes guards that it can handle.
"""
import re
import struct
import time
from typing import Iterator, List, NamedTuple, Optional, Tuple

import gdb
import gdb.unwinder

WORD = 8


class Frame(NamedTuple):
    """What lies at a saved stack pointer, upwards (runtime/fiber/switch_*.S); a word without a name
    is of no use for a backtrace. And what gdb calls the stack pointer and the program counter."""
    words: Tuple[str, ...]
    sp: str
    pc: str


FRAMES = {
    "i386:x86-64": Frame(("r15", "r14", "r13", "r12", "rbx", "rbp", "rip"), "rsp", "rip"),
    "aarch64": Frame(tuple(f"x{n}" for n in range(19, 30)) + ("pc",) + 8 * ("",), "sp", "pc"),
}


def frame_of(architecture: gdb.Architecture) -> Frame:
    if architecture.name() not in FRAMES:
        raise gdb.GdbError(f"rt: shardrt has no fibers on {architecture.name()}")
    return FRAMES[architecture.name()]


class FrameId:
    """What tells gdb one frame from another."""

    def __init__(self, sp: int, pc: int) -> None:
        self.sp = sp
        self.pc = pc


class FiberUnwinder(gdb.unwinder.Unwinder):
    """Answers for the innermost frame of the selected thread, and only while a fiber is set."""

    def __init__(self) -> None:
        super().__init__("shardrt-fiber")
        self.registers = None  # of the fiber, by name
        self.innermost = None  # (stack pointer, program counter) of the thread

    def __call__(self, pending_frame: gdb.PendingFrame) -> Optional[gdb.UnwindInfo]:
        if self.registers is None:
            return None
        frame = frame_of(pending_frame.architecture())
        here = (int(pending_frame.read_register(frame.sp)),
                int(pending_frame.read_register(frame.pc)))
        if self.innermost is None:
            self.innermost = here  # gdb unwinds from the inside out
        if here != self.innermost:
            return None
        word = gdb.lookup_type("unsigned long")
        info = pending_frame.create_unwind_info(
            FrameId(gdb.Value(here[0]).cast(word), gdb.Value(here[1]).cast(word)))
        for name, value in self.registers.items():
            info.add_saved_register(name, gdb.Value(value).cast(word))
        return info

    def begin(self, registers: dict) -> None:
        self.registers = registers
        self.innermost = None
        gdb.invalidate_cached_frames()

    def end(self) -> None:
        self.registers = None
        gdb.invalidate_cached_frames()


UNWINDER = FiberUnwinder()


def saved_registers(stack_pointer: int) -> dict:
    """The registers with which the fiber will go on."""
    frame = frame_of(gdb.selected_frame().architecture())
    count = len(frame.words)
    memory = gdb.selected_inferior().read_memory(stack_pointer, WORD * count)
    words = struct.unpack(f"<{count}Q", bytes(memory))
    registers = {name: word for name, word in zip(frame.words, words) if name}
    registers[frame.sp] = stack_pointer + WORD * count
    return registers


def resume_address(stack_pointer: int) -> int:
    """Where the fiber will go on."""
    return saved_registers(stack_pointer)[frame_of(gdb.selected_frame().architecture()).pc]


def without_innermost(backtrace: str) -> str:
    """A backtrace less its frame 0, the others counted from 0."""
    start = re.search(r"^#1\b", backtrace, re.MULTILINE)
    if start is None:
        return ""
    return re.sub(r"^#(\d+)( ?)", lambda m: f"#{int(m[1]) - 1}".ljust(len(m[0])),
                  backtrace[start.start():], flags=re.MULTILINE)


def fiber_backtrace(stack_pointer: int) -> str:
    """The backtrace from a saved stack pointer. Frames of the selected thread are as before."""
    selected_level = gdb.selected_frame().level()
    UNWINDER.begin(saved_registers(stack_pointer))
    try:
        text = gdb.execute("backtrace", to_string=True)
    finally:
        UNWINDER.end()
        gdb.execute(f"frame {selected_level}", to_string=True)
    return without_innermost(text)


class Selected:
    """Puts back the thread and the frame that the user had selected."""

    def __enter__(self) -> None:
        self.thread = gdb.selected_thread()
        if self.thread is None:
            raise gdb.GdbError("rt: no process and no core file")
        self.level = gdb.selected_frame().level()

    def __exit__(self, *_: object) -> None:
        self.thread.switch()
        gdb.execute(f"frame {self.level}", to_string=True)


class Shard(NamedTuple):
    number: int
    executor: gdb.Value
    mesh_shard: Optional[gdb.Value]  # None: it stands alone
    thread: gdb.InferiorThread

    @property
    def name(self) -> str:
        return self.executor["config"]["name"].string(errors="replace")


def executor_of_selected_thread() -> Optional[gdb.Value]:
    try:
        executor = gdb.parse_and_eval("rti_current")
        return executor.dereference() if int(executor) != 0 else None
    except gdb.error as error:
        if "No symbol" in str(error):
            raise gdb.GdbError("rt: the program has no shardrt in it, or one without debug "
                               "information") from None
        raise gdb.GdbError(f"rt: the executor of a thread cannot be found: {error}") from None


def all_shards() -> List[Shard]:
    """By number; the selected thread changes."""
    shards = []
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        executor = executor_of_selected_thread()
        if executor is None:
            continue
        mesh_shard = None
        number = 0
        if int(executor["inbox"]) != 0:
            pointer = gdb.lookup_type("struct rti_mesh_shard").pointer()
            mesh_shard = executor["inbox"].cast(pointer).dereference()
            number = int(mesh_shard["index"])
        shards.append(Shard(number, executor, mesh_shard, thread))
    if not shards:
        raise gdb.GdbError("rt: no thread runs a shard now")
    return sorted(shards, key=lambda shard: (shard.number, shard.thread.num))


def chosen_shards(number: str) -> List[Shard]:
    shards = all_shards()
    if not number:
        return shards
    chosen = [shard for shard in shards if str(shard.number) == number]
    if not chosen:
        numbers = ", ".join(str(shard.number) for shard in shards)
        raise gdb.GdbError(f"rt: there is no shard {number}; there are: {numbers}")
    return chosen


# The bits of a task's state word: enum rti_task_state in runtime/core/task.h.
def bit(name: str) -> int:
    return int(gdb.parse_and_eval(f"RTI_TASK_{name}"))


def now(shards: List[Shard]) -> int:
    """The moment at which the process stands: of a core file, the last turn of any shard."""
    connection = gdb.selected_inferior().connection
    if connection is not None and connection.type == "native":
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return max(int(shard.executor["turn_time"]) for shard in shards)


def text_of(value: gdb.Value) -> str:
    """A C string, a pointer or an array, on one line; empty for NULL."""
    if value.type.code != gdb.TYPE_CODE_ARRAY and int(value) == 0:
        return ""
    return re.sub(r"[\x00-\x1f\x7f]", "?", value.string(errors="replace"))


def queues_of(executor: gdb.Value) -> Iterator[gdb.Value]:
    """The task queues of a shard, in the order in which they were made."""
    kind = gdb.lookup_type("struct rt_taskq")
    offset = kind["link"].bitpos // 8
    head = executor["queues"]
    node = head["next"]
    while int(node) != int(head.address):
        yield gdb.Value(int(node) - offset).cast(kind.pointer()).dereference()
        node = node["next"]


def runnable_in(queue: gdb.Value) -> str:
    return f"{int(queue['tail']) - int(queue['head'])} runnable in '{text_of(queue['name'])}'"


class Task:
    """A task that is not free."""

    def __init__(self, value: gdb.Value) -> None:
        self.value = value
        self.number = int(value["index"])
        self.state_word = int(value["state"])
        self.name = text_of(value["name"])

    def has(self, name: str) -> bool:
        return self.state_word & bit(name) != 0

    @property
    def state(self) -> str:
        for name, text in (("COMPLETED", "completed"), ("RUNNING", "running"),
                           ("SCHEDULED", "runnable")):
            if self.has(name):
                return text
        return "waiting"

    @property
    def kind(self) -> str:
        return "future" if self.has("FUTURE") else "fiber"

    def waiter(self) -> Optional[gdb.Value]:
        """What it waits for and has not come; of several that a future has begun, the last."""
        pointer = self.value["waiter"].type
        waiters = [self.value["waiter"]]
        if self.kind == "future":
            waiters = []
            future = self.value["poll"]["begun"]
            while self.state != "completed" and int(future) != 0:
                waiters.append(future["wait"].address.cast(pointer))
                future = future["next"]
        for waiter in waiters:
            if int(waiter) != 0 and not bool(waiter["done"]):
                return waiter
        return None

    def wait(self, moment: int) -> Tuple[str, str]:
        """What it waits for, and for how long by now."""
        waiter = self.waiter()
        if waiter is None:
            return "", ""
        what = waiter["kind"]["name"].string()
        target = int(waiter["object"])
        if what == "join":
            joined = waiter["object"].cast(self.value.type.pointer())
            what += f" of task {int(joined['index'])}"
        elif target != 0:
            what += f" of {target:#x}"
        return what, f"{(moment - int(waiter['since'])) / 1e9:.3f} s"

    def remarks(self) -> str:
        remarks = ["cancelled"] if self.has("CANCEL") else []
        if int(self.value["group"]) != 0:
            remarks.append(f"in group {int(self.value['group']):#x}")
        if int(self.value["awaiter"]) != 0:
            remarks.append(f"joined by task {int(self.value['awaiter']['task']['index'])}")
        if self.state == "completed":
            remarks.append(f"result {int(self.value['result'])}")
        return "  ".join(remarks)

    def backtrace(self, thread: gdb.InferiorThread) -> str:
        """With that thread, its shard's, selected."""
        if self.state == "completed":
            return "it has returned\n"
        if self.kind == "future":
            poll = self.value["poll"]["future"]["poll"]
            return f"a future has no stack; it is polled by {poll}\n"
        if self.state == "running":
            return gdb.execute("backtrace", to_string=True)
        stack_pointer = int(self.value["fiber"]["stack_pointer"])
        start = int(gdb.parse_and_eval("(unsigned long)&rti_fiber_start"))
        if resume_address(stack_pointer) == start:
            return "it has not run yet\n"
        return fiber_backtrace(stack_pointer)


def tasks_of(shard: Shard) -> Iterator[Task]:
    table = shard.executor["tasks"]
    closed = bit("CLOSED")
    for i in range(int(table["block_count"])):
        tasks = table["blocks"][i]["tasks"]
        for k in range(tasks.type.range()[1] + 1):
            if int(tasks[k]["state"]) & closed == 0:
                yield Task(tasks[k])


def line_of(shard: Shard) -> str:
    return f"shard {shard.number} '{shard.name}' on thread {shard.thread.num}"


LINE = "  {:>8}  {:<9}  {:<6}  {:<8}  {:<16}  {:<28} {:>12}  {}"


class RtCommand(gdb.Command):
    """Look at the tasks and shards of a program that uses shardrt."""

    def __init__(self) -> None:
        super().__init__("rt", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)


class TasksCommand(gdb.Command):
    """List the tasks of all shards, or of one.
Usage: rt tasks [SHARD]"""

    def __init__(self) -> None:
        super().__init__("rt tasks", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        with Selected():
            shards = chosen_shards(argument.strip())
            moment = now(shards)
            for shard in shards:
                gdb.write(f"{line_of(shard)}\n")
                gdb.write(LINE.format("ID", "STATE", "KIND", "QUEUE", "NAME", "WAITS FOR", "SINCE",
                                      "").rstrip() + "\n")
                for task in tasks_of(shard):
                    what, since = task.wait(moment)
                    gdb.write(LINE.format(task.number, task.state, task.kind,
                                          text_of(task.value["queue"]["name"]), task.name, what,
                                          since, task.remarks()).rstrip() + "\n")


class BacktraceCommand(gdb.Command):
    """Print the backtrace of a task, or of all of them.
Usage: rt bt ID|all [SHARD]

Without SHARD: of the task with that number on each shard."""

    def __init__(self) -> None:
        super().__init__("rt bt", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        words = argument.split()
        if len(words) not in (1, 2) or not (words[0] == "all" or words[0].isdigit()):
            raise gdb.GdbError("rt bt: which task? Usage: rt bt ID|all [SHARD]")
        found = False
        with Selected():
            for shard in chosen_shards(words[1] if len(words) > 1 else ""):
                shard.thread.switch()
                for task in tasks_of(shard):
                    if words[0] in ("all", str(task.number)):
                        found = True
                        gdb.write(f"task {task.number} '{task.name}' of shard {shard.number}, "
                                  f"{task.state}\n{task.backtrace(shard.thread)}")
        if not found and words[0] != "all":
            raise gdb.GdbError(f"rt bt: there is no task {words[0]}; rt tasks lists them")


class SchedCommand(gdb.Command):
    """Show what the loop of each shard, or of one, is at.
Usage: rt sched [SHARD]"""

    def __init__(self) -> None:
        super().__init__("rt sched", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    @staticmethod
    def doing(shard: Shard) -> str:
        running = shard.executor["running"]
        if int(running) != 0:
            task = Task(running.dereference())
            return f"runs task {task.number} '{task.name}'"
        if shard.mesh_shard is not None:
            bits = int(shard.mesh_shard["doorbell"]["words"]["bits"])
            if bits >> 63:
                return "sleeps" if bits == 1 << 63 else "sleeps, and was rung"
        return "is in its loop"

    def invoke(self, argument: str, from_tty: bool) -> None:
        with Selected():
            for shard in chosen_shards(argument.strip()):
                executor = shard.executor
                runnable = ", ".join(runnable_in(queue) for queue in queues_of(executor))
                gdb.write(f"{line_of(shard)} {self.doing(shard)}: turn {int(executor['turns'])}, "
                          f"{runnable}, "
                          f"{int(executor['tasks']['active'])} tasks live, "
                          f"{int(executor['wheel']['armed'])} timers armed, "
                          f"{int(executor['reactor']['in_flight'])} operations in flight"
                          f"{', stopping' if bool(executor['draining']) else ''}\n")


class FiberCommand(gdb.Command):
    """Print the backtrace of a fiber that is switched out.
Usage: rt fiber STACK-POINTER

STACK-POINTER is what the fiber saved when it was left, for example
task->fiber.stack_pointer."""

    def __init__(self) -> None:
        super().__init__("rt fiber", gdb.COMMAND_STACK, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        if not argument:
            raise gdb.GdbError("rt fiber: which stack pointer?")
        if gdb.selected_thread() is None:
            raise gdb.GdbError("rt fiber: no process and no core file")
        stack_pointer = int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("unsigned long")))
        try:
            gdb.write(fiber_backtrace(stack_pointer))
        except gdb.MemoryError:
            raise gdb.GdbError(f"rt fiber: no memory at {stack_pointer:#x}") from None


gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
RtCommand()
TasksCommand()
BacktraceCommand()
SchedCommand()
FiberCommand()
