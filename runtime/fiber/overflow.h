/* SPDX-License-Identifier: MIT */
/*
 * Overflow: what a user sees when a task runs out of stack.
 *
 * The write into the guard raises SIGSEGV. Its handler runs on an alternate
 * stack, as the task's own is used up, and asks the thread's callback whether
 * the address is a guard. If so it writes one line to standard error,
 *
 *     shardrt: stack overflow in task 12 'session' (64 KiB stack); spawn it
 *     with a larger stack class or move large buffers to the heap
 *
 * puts the previous action back and returns: the write faults again and the
 * process ends as it would have ended, by SIGSEGV and with a core dump. Every
 * other fault goes to the previous handler. SIGBUS is treated alike.
 *
 * With ASan the previous handler is ASan's, which prints its own report after
 * the line and ends the process with its exit status instead of the signal.
 */
#ifndef RTI_FIBER_OVERFLOW_H
#define RTI_FIBER_OVERFLOW_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Whether `address` lies in the guard of what runs on this thread; then a text
 * for "stack overflow in <text>;", ended by NUL. Async-signal-safe, and may use
 * about half of the alternate stack (32 KiB).
 */
typedef bool (*rti_overflow_describe)(void *arg, void *address, char *text, size_t bytes);

#define RTI_OVERFLOW_TEXT_BYTES 256

/* One per thread, in the caller's storage, which must not move. */
struct rti_overflow_thread {
    rti_overflow_describe describe;
    void *arg;
    struct rti_overflow_thread *outer; /* of an executor that runs within a task of another */
    void *memory;                      /* of the alternate stack */
    size_t bytes;
    stack_t old_stack; /* what the thread had before */
};

/*
 * Install the handlers for the process, or count one more user; remove when the
 * last user leaves. Where somebody has put a handler of his own over ours, ours
 * stays below it and passes everything on. Any thread.
 */
int rti_overflow_install(void);
void rti_overflow_remove(void);

/* Give this thread an alternate stack and its callback; -ENOMEM, or -EPERM when the thread runs on
 * an alternate stack now. Begin and end nest, and end on the thread that began. */
int rti_overflow_thread_begin(struct rti_overflow_thread *thread, rti_overflow_describe describe,
                              void *arg);
void rti_overflow_thread_end(struct rti_overflow_thread *thread);

#endif /* RTI_FIBER_OVERFLOW_H */
