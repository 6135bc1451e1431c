/* SPDX-License-Identifier: MIT */
/* Stack marks: a table by function, and the report; see stack_marks.h and rt/memory.h. */
#include "core/stack_marks.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/executor.h"
#include "core/text.h"
#include "os/mem.h"
#include "os/symbol.h"
#include "os/sys.h"
#include "rt/memory.h"

#define ROOM_FIRST 64u
#define PAGE_BYTES 4096u

/* The table */

void rti_stack_marks_fini(struct rti_stack_marks *marks)
{
    rti_sys_free(marks->marks);
    marks->marks = NULL;
    marks->room = 0;
}

/* The place of the function, or the free one where it belongs. */
static struct rti_stack_mark *place_of(struct rti_stack_mark *marks, uint32_t room, rt_task_fn fn)
{
    uint64_t at = ((uint64_t)(uintptr_t)fn * UINT64_C(0x9E3779B97F4A7C15)) >> 32; /* Fibonacci */

    while (marks[at & (room - 1)].fn != NULL && marks[at & (room - 1)].fn != fn) {
        at++;
    }
    return &marks[at & (room - 1)];
}

static bool grow(struct rti_stack_marks *table)
{
    const uint32_t room = table->room == 0 ? ROOM_FIRST : table->room * 2;
    struct rti_stack_mark *marks = rti_sys_alloc(room * sizeof(*marks));

    if (marks == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < table->room; i++) {
        if (table->marks[i].fn != NULL) {
            *place_of(marks, room, table->marks[i].fn) = table->marks[i];
        }
    }
    rti_sys_free(table->marks);
    table->marks = marks;
    table->room = room;
    return true;
}

/* The mark of the function; NULL when there is no memory. */
static struct rti_stack_mark *mark_of(struct rti_stack_marks *table, rt_task_fn fn)
{
    struct rti_stack_mark *mark;

    if (table->used == table->room / 2 && !grow(table)) {
        return NULL;
    }
    mark = place_of(table->marks, table->room, fn);
    if (mark->fn == NULL) {
        mark->fn = fn;
        table->used++;
    }
    return mark;
}

/* Measuring */

/* The frames down to the system call need less: they must not lie in what is given back. */
#define FRAMES_BYTES 1024u

bool rti_stack_marks_begin(const struct rti_stack *stack)
{
    char *low = rti_stack_low(stack);
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t page = (here - FRAMES_BYTES) & ~(uintptr_t)(PAGE_BYTES - 1);

    return page <= (uintptr_t)low || rti_mem_discard(low, page - (uintptr_t)low) == 0;
}

void rti_stack_marks_end(struct rti_stack_marks *marks, rt_task_fn fn,
                         const struct rti_stack *stack, bool begun)
{
    const uint32_t stack_bytes = (uint32_t)rti_stack_class_bytes(
        (enum rti_stack_class)stack->size_class);
    const char *low = rti_stack_low(stack);
    const char *touched = rti_mem_lowest_touched(low, stack_bytes);
    struct rti_stack_mark *mark = begun && touched != NULL ? mark_of(marks, fn) : NULL;
    uint32_t bytes;

    if (mark == NULL) {
        marks->missed++;
        return;
    }
    bytes = stack_bytes - (uint32_t)(touched - low);
    mark->fibers++;
    mark->bytes_max = bytes > mark->bytes_max ? bytes : mark->bytes_max;
    mark->stack_bytes = stack_bytes > mark->stack_bytes ? stack_bytes : mark->stack_bytes;
}

/* The report */

/* The largest class if none has room for that much. */
static uint32_t advised_bytes(uint32_t bytes_max)
{
    const uint32_t wanted = bytes_max + bytes_max / 4 + PAGE_BYTES;
    unsigned size_class = 0;

    while (size_class + 1 < RTI_STACK_CLASSES &&
           rti_stack_class_bytes((enum rti_stack_class)size_class) < wanted) {
        size_class++;
    }
    return (uint32_t)rti_stack_class_bytes((enum rti_stack_class)size_class);
}

static void add_text(struct rti_text *text, const struct rti_stack_mark *mark)
{
    struct rti_symbol symbol;

    rti_symbol_find(&symbol, (uintptr_t)mark->fn);
    rti_text_add(text, "%12" PRIu64 " %7u KiB %7u KiB %7u KiB  ", mark->fibers,
                 mark->bytes_max / 1024, mark->stack_bytes / 1024,
                 advised_bytes(mark->bytes_max) / 1024);
    if (symbol.name != NULL) {
        rti_text_add(text, "%s ", symbol.name);
    }
    rti_text_add(text, "(%s+0x%" PRIxPTR ")\n", symbol.module != NULL ? symbol.module : "?",
                 symbol.in_module);
}

static void add_json(struct rti_text *text, const struct rti_stack_mark *mark, bool first)
{
    struct rti_symbol symbol;

    rti_symbol_find(&symbol, (uintptr_t)mark->fn);
    rti_text_add(text, "%s{\"symbol\":", first ? "" : ",");
    rti_text_add_json(text, symbol.name);
    rti_text_add(text, ",\"module\":");
    rti_text_add_json(text, symbol.module);
    rti_text_add(text,
                 ",\"module_offset\":\"0x%" PRIxPTR "\",\"fibers\":%" PRIu64
                 ",\"bytes_max\":%u,\"stack_bytes\":%u,\"advised_bytes\":%u}",
                 symbol.in_module, mark->fibers, mark->bytes_max, mark->stack_bytes,
                 advised_bytes(mark->bytes_max));
}

static void write_report(struct rti_text *text, const struct rti_executor *executor, bool json)
{
    const struct rti_stack_marks *table = &executor->stack_marks;
    bool first = true;

    if (json) {
        rti_text_add(text, "{\"name\":");
        rti_text_add_json(text, executor->config.name);
        rti_text_add(text, ",\"missed\":%" PRIu64 ",\"functions\":[", table->missed);
    } else {
        rti_text_add(text, "stacks of '%s': %u functions, %" PRIu64 " fibers not measured\n",
                     executor->config.name, table->used, table->missed);
        rti_text_add(text, "%12s %11s %11s %11s  %s\n", "fibers", "used", "stack", "advised",
                     "function");
    }
    for (uint32_t i = 0; i < table->room; i++) {
        if (table->marks[i].fn == NULL) {
            continue;
        }
        if (json) {
            add_json(text, &table->marks[i], first);
        } else {
            add_text(text, &table->marks[i]);
        }
        first = false;
    }
    if (json) {
        rti_text_add(text, "]}\n");
    }
}

ssize_t rt_stack_report(char *text, size_t bytes, uint32_t flags)
{
    const struct rti_executor *executor = rti_executor_here("rt_stack_report");
    struct rti_text report = { .data = NULL };
    ssize_t r;

    if ((flags & ~(uint32_t)RT_STACK_REPORT_JSON) != 0) {
        rti_log(&executor->log, RT_LOG_ERROR,
                "rt_stack_report()'s flags are %u; its bits are those of enum "
                "rt_stack_report_flag, together %u",
                flags, (unsigned)RT_STACK_REPORT_JSON);
        return -EINVAL;
    }
    if ((executor->config.flags & RT_CONFIG_STACK_MARKS) == 0) {
        rti_log(
            &executor->log, RT_LOG_ERROR,
            "rt_stack_report(): nothing is measured; set RT_CONFIG_STACK_MARKS in config.flags");
        return -ENOENT;
    }
    write_report(&report, executor, (flags & RT_STACK_REPORT_JSON) != 0);
    r = report.failed ? -ENOMEM : (ssize_t)report.used;
    if (r >= 0 && bytes > 0) {
        const size_t copied = report.used < bytes ? report.used : bytes - 1;

        memcpy(text, report.data, copied);
        text[copied] = '\0';
    }
    rti_text_fini(&report);
    return r;
}
