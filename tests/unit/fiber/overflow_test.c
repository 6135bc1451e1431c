/* SPDX-License-Identifier: MIT */
/*
 * Overflow: a fiber that uses up its stack is reported by name, and nothing
 * else that faults is. Each case runs in a child; the test looks at what it
 * wrote to standard error and how it ended.
 */
#include "fiber/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"
#include "support/harness.h"

#define EXIT_CHAINED 42
#define REPORT                                                                  \
    "shardrt: stack overflow in task 12 'session' (64 KiB stack); spawn it with" \
    " a larger stack class or move large buffers to the heap\n"

/* What an executor would hold. */
static struct {
    struct rti_stack_pool *pool;
    struct rti_stack *stack;
    struct rti_fiber flow;
    struct rti_fiber fiber;
    struct rti_overflow_thread thread;
} world;

static struct {
    char text[16384];
    int status;
} child;

/* The part of describe() that core will do: only the guard of what runs is an overflow. */
static bool describe(void *arg, void *address, char *text, size_t bytes)
{
    static const char name[] = "task 12 'session' (64 KiB stack)";
    struct rti_stack *stack;

    (void)arg;
    if (!rti_stack_pool_find_guard(world.pool, address, &stack) || stack != world.stack) {
        return false;
    }
    memcpy(text, name, sizeof(name) < bytes ? sizeof(name) : bytes);
    return true;
}

static void begin(bool guard_by_mprotect)
{
    const struct rti_stack_config config = { .guard_by_mprotect = guard_by_mprotect };

    if (rti_stack_pool_create(&world.pool, &config) < 0 ||
        rti_stack_get(world.pool, RTI_STACK_64K, &world.stack) < 0 || rti_overflow_install() < 0 ||
        rti_overflow_thread_begin(&world.thread, describe, NULL) < 0) {
        _exit(1);
    }
    rti_fiber_adopt(&world.flow);
}

static void run_fiber(rti_fiber_entry entry)
{
    rti_fiber_init(&world.fiber, world.stack, entry, NULL);
    rti_fiber_switch(&world.flow, &world.fiber);
}

static RTI_NOINLINE unsigned recurse(unsigned depth)
{
    volatile char frame[256];

    frame[depth % sizeof(frame)] = (char)depth;
    if (depth < 1u << 30) {
        (void)recurse(depth + 1);
    }
    return (unsigned)frame[depth % sizeof(frame)];
}

static void overflow(void *arg)
{
    (void)arg;
    (void)recurse(0);
}

#define NEAR_NULL 16 /* at NULL itself UBSan has a word to say */

static void write_near_null(void *arg)
{
    volatile char *volatile nothing = (char *)(uintptr_t)NEAR_NULL;

    (void)arg;
    *nothing = 1;
}

static void write_to_guard_of_another(void *arg)
{
    struct rti_stack *other = NULL;

    (void)arg;
    if (rti_stack_get(world.pool, RTI_STACK_64K, &other) == 0) {
        *(volatile char *)rti_stack_guard(other) = 1;
    }
}

static void send_to_self(void *arg)
{
    (void)arg;
    (void)raise(SIGSEGV);
    rti_fiber_exit_to(&world.fiber, &world.flow);
}

static void chained(int number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(number == SIGSEGV && (uintptr_t)info->si_addr == NEAR_NULL ? EXIT_CHAINED : 1);
}

/* Cases, each run in a child. */

static void case_overflow(void)
{
    begin(false);
    run_fiber(overflow);
}

static void case_overflow_mprotect(void)
{
    begin(true);
    run_fiber(overflow);
}

static void case_null(void)
{
    begin(false);
    run_fiber(write_near_null);
}

static void case_guard_of_another(void)
{
    begin(false);
    run_fiber(write_to_guard_of_another);
}

static void case_sent(void)
{
    begin(false);
    run_fiber(send_to_self);
}

static void case_sent_and_ignored(void)
{
    (void)signal(SIGSEGV, SIG_IGN);
    begin(false);
    run_fiber(send_to_self);
    _exit(EXIT_CHAINED);
}

static void case_chained(void)
{
    struct sigaction action = { .sa_sigaction = chained, .sa_flags = SA_SIGINFO };

    (void)sigaction(SIGSEGV, &action, NULL);
    begin(false);
    run_fiber(write_near_null);
}

static void case_outside_executor(void)
{
    begin(false);
    rti_overflow_thread_end(&world.thread);
    write_near_null(NULL);
}

/* Run one case; what it wrote to standard error and its wait status are in `child` then. */
static void run_child(void (*act)(void))
{
    int ends[2];
    size_t used = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGSEGV, SIG_DFL); /* else a sanitizer's handler is the previous one */
        act();
        _exit(0);
    }
    assert_true(pid > 0);
    (void)close(ends[1]);
    memset(&child, 0, sizeof(child));
    while (used < sizeof(child.text) - 1 &&
           (n = read(ends[0], child.text + used, sizeof(child.text) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &child.status, 0), pid);
}

static void assert_killed_by_segv(void)
{
    assert_true(WIFSIGNALED(child.status));
    assert_int_equal(WTERMSIG(child.status), SIGSEGV);
}

static void assert_exited(int expected)
{
    assert_true(WIFEXITED(child.status));
    assert_int_equal(WEXITSTATUS(child.status), expected);
}

static void an_overflow_is_reported_with_the_name_and_ends_by_sigsegv(void **state)
{
    (void)state;
    run_child(case_overflow);
    assert_string_equal(child.text, REPORT);
    assert_killed_by_segv();
}

static void an_overflow_into_a_guard_by_mprotect_is_reported_as_well(void **state)
{
    (void)state;
    run_child(case_overflow_mprotect);
    assert_string_equal(child.text, REPORT);
    assert_killed_by_segv();
}

static void a_null_pointer_is_no_overflow(void **state)
{
    (void)state;
    run_child(case_null);
    assert_string_equal(child.text, "");
    assert_killed_by_segv();
}

static void a_write_into_the_guard_of_another_stack_is_no_overflow(void **state)
{
    (void)state;
    run_child(case_guard_of_another);
    assert_string_equal(child.text, "");
    assert_killed_by_segv();
}

static void a_signal_that_was_sent_has_its_usual_effect(void **state)
{
    (void)state;
    run_child(case_sent);
    assert_string_equal(child.text, "");
    assert_killed_by_segv();
    run_child(case_sent_and_ignored);
    assert_string_equal(child.text, "");
    assert_exited(EXIT_CHAINED);
}

static void any_other_fault_goes_to_the_previous_handler(void **state)
{
    (void)state;
    run_child(case_chained);
    assert_string_equal(child.text, "");
    assert_exited(EXIT_CHAINED);
}

static void a_thread_without_executor_faults_as_ever(void **state)
{
    (void)state;
    run_child(case_outside_executor);
    assert_string_equal(child.text, "");
    assert_killed_by_segv();
}

static bool describe_nothing(void *arg, void *address, char *text, size_t bytes)
{
    (void)arg;
    (void)address;
    (void)text;
    (void)bytes;
    return false;
}

static void the_alternate_stack_of_the_thread_is_put_back(void **state)
{
    struct rti_overflow_thread outer;
    struct rti_overflow_thread inner;
    stack_t before;
    stack_t during;
    stack_t after;

    (void)state;
    assert_int_equal(sigaltstack(NULL, &before), 0);
    assert_int_equal(rti_overflow_thread_begin(&outer, describe_nothing, NULL), 0);
    assert_int_equal(sigaltstack(NULL, &during), 0);
    assert_int_equal(during.ss_flags, 0);
    assert_true(during.ss_size >= 64 * 1024);
    assert_true(during.ss_size >= (size_t)sysconf(_SC_SIGSTKSZ));
    assert_int_equal(rti_overflow_thread_begin(&inner, describe_nothing, NULL), 0);
    rti_overflow_thread_end(&inner);
    assert_int_equal(sigaltstack(NULL, &after), 0);
    assert_ptr_equal(after.ss_sp, during.ss_sp);
    rti_overflow_thread_end(&outer);
    assert_int_equal(sigaltstack(NULL, &after), 0);
    assert_int_equal(after.ss_flags, before.ss_flags);
    assert_ptr_equal(after.ss_sp, before.ss_sp);
}

static void (*handler_of(int number))(int, siginfo_t *, void *)
{
    struct sigaction action;

    assert_int_equal(sigaction(number, NULL, &action), 0);
    return action.sa_sigaction;
}

static void the_last_user_puts_the_previous_handlers_back(void **state)
{
    void (*segv)(int, siginfo_t *, void *) = handler_of(SIGSEGV);
    void (*bus)(int, siginfo_t *, void *) = handler_of(SIGBUS);

    (void)state;
    assert_int_equal(rti_overflow_install(), 0);
    assert_int_equal(rti_overflow_install(), 0);
    assert_true(handler_of(SIGSEGV) != segv);
    assert_true(handler_of(SIGBUS) != bus);
    rti_overflow_remove();
    assert_true(handler_of(SIGSEGV) != segv);
    rti_overflow_remove();
    assert_true(handler_of(SIGSEGV) == segv);
    assert_true(handler_of(SIGBUS) == bus);
}

/* Somebody installs a handler after us and keeps ours to call it: we must not cut him off. */
static void a_handler_installed_over_ours_stays(void **state)
{
    struct sigaction action = { .sa_sigaction = chained, .sa_flags = SA_SIGINFO };
    struct sigaction ours;
    struct sigaction before;

    (void)state;
    assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
    assert_int_equal(rti_overflow_install(), 0);
    assert_int_equal(sigaction(SIGSEGV, &action, &ours), 0);
    rti_overflow_remove();
    assert_true(handler_of(SIGSEGV) == chained);
    assert_int_equal(rti_overflow_install(), 0);
    assert_true(handler_of(SIGSEGV) == chained); /* ours is below it still, once */
    assert_int_equal(sigaction(SIGSEGV, &ours, NULL), 0);
    rti_overflow_remove();
    assert_true(handler_of(SIGSEGV) == before.sa_sigaction);
}

static void *come_and_go(void *arg)
{
    struct rti_overflow_thread thread;
    uintptr_t failures = 0;

    (void)arg;
    for (unsigned i = 0; i < 500; i++) {
        failures += rti_overflow_install() != 0;
        failures += rti_overflow_thread_begin(&thread, describe_nothing, NULL) != 0;
        rti_overflow_thread_end(&thread);
        rti_overflow_remove();
    }
    return (void *)failures;
}

static void threads_may_come_and_go_at_the_same_time(void **state)
{
    void (*segv)(int, siginfo_t *, void *) = handler_of(SIGSEGV);
    pthread_t threads[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *failures = NULL;

        assert_int_equal(pthread_join(threads[i], &failures), 0);
        assert_null(failures);
    }
    assert_true(handler_of(SIGSEGV) == segv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overflow_is_reported_with_the_name_and_ends_by_sigsegv),
        cmocka_unit_test(an_overflow_into_a_guard_by_mprotect_is_reported_as_well),
        cmocka_unit_test(a_null_pointer_is_no_overflow),
        cmocka_unit_test(a_write_into_the_guard_of_another_stack_is_no_overflow),
        cmocka_unit_test(a_signal_that_was_sent_has_its_usual_effect),
        cmocka_unit_test(any_other_fault_goes_to_the_previous_handler),
        cmocka_unit_test(a_thread_without_executor_faults_as_ever),
        cmocka_unit_test(the_alternate_stack_of_the_thread_is_put_back),
        cmocka_unit_test(the_last_user_puts_the_previous_handlers_back),
        cmocka_unit_test(a_handler_installed_over_ours_stays),
        cmocka_unit_test(threads_may_come_and_go_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
