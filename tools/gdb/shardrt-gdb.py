# SPDX-License-Identifier: MIT
"""shardrt in gdb: backtraces of fibers that are switched out.

    (gdb) source tools/gdb/shardrt-gdb.py
    (gdb) rt-fiber task->fiber.stack_pointer
    (gdb) rt-fiber 0x7ffff0a3fe48

The argument is the saved stack pointer of a fiber that is switched out, or an
expression for it. Works on a live process and on a core file alike, and does
not write registers or memory: while the command runs, an unwinder of ours says
that the thread's innermost frame was called by the fiber, and gdb goes on from
there by itself. The frames are numbered from 0 as if the fiber were running.

A core file must be the kernel's: gdb's own generate-core-file cannot read across guard pages that
are no mappings of their own, and leaves out the megabyte around each. The feature guard_install
disabled (RT_DISABLE=guard_install) makes guards that it can handle.
"""
import re
import struct
from typing import Optional

import gdb
import gdb.unwinder

# What lies at a saved stack pointer, upwards: runtime/fiber/switch_x86_64.S.
FRAME = ("r15", "r14", "r13", "r12", "rbx", "rbp", "rip")
WORD = 8


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
        here = (int(pending_frame.read_register("rsp")), int(pending_frame.read_register("rip")))
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
    memory = gdb.selected_inferior().read_memory(stack_pointer, WORD * len(FRAME))
    words = struct.unpack(f"<{len(FRAME)}Q", bytes(memory))
    registers = dict(zip(FRAME, words))
    registers["rsp"] = stack_pointer + WORD * len(FRAME)
    return registers


def without_innermost(backtrace: str) -> str:
    """A backtrace less its frame 0, the others counted from 0."""
    start = re.search(r"^#1\b", backtrace, re.MULTILINE)
    if start is None:
        return ""
    return re.sub(r"^#(\d+)( ?)", lambda m: f"#{int(m[1]) - 1}".ljust(len(m[0])),
                  backtrace[start.start():], flags=re.MULTILINE)


class FiberCommand(gdb.Command):
    """Print the backtrace of a fiber that is switched out.
Usage: rt-fiber STACK-POINTER

STACK-POINTER is what the fiber saved when it was left, for example
task->fiber.stack_pointer."""

    def __init__(self) -> None:
        super().__init__("rt-fiber", gdb.COMMAND_STACK, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        if not argument:
            raise gdb.GdbError("rt-fiber: which stack pointer?")
        if gdb.selected_thread() is None:
            raise gdb.GdbError("rt-fiber: no process and no core file")
        stack_pointer = int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("unsigned long")))
        selected = gdb.selected_frame()
        selected_level = selected.level()
        try:
            registers = saved_registers(stack_pointer)
        except gdb.MemoryError:
            raise gdb.GdbError(f"rt-fiber: no memory at {stack_pointer:#x}") from None
        UNWINDER.begin(registers)
        try:
            text = gdb.execute("backtrace", to_string=True)
        finally:
            UNWINDER.end()
            gdb.execute(f"frame {selected_level}", to_string=True)
        gdb.write(without_innermost(text))


gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
FiberCommand()
