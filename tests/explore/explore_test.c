/* SPDX-License-Identifier: MIT */
/*
 * The explorer itself: all sequences, each once; and what it must call a failure.
 *
 * Runs happen in another process, so they note what they did in shared memory.
 * What a failed exploration prints is caught and looked at.
 */
#include "support/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/explore.h"

#define SEQUENCES 32
#define TEXT_MAX  16384

/* Written by runs, read by the test. */
struct notes {
    unsigned met[SEQUENCES]; /* how often each sequence was run */
    unsigned begun;
    unsigned ended;
};

static struct notes *notes;
static char text[TEXT_MAX]; /* what was printed to stderr */

static int set_up(void **state)
{
    (void)state;
    (void)unsetenv("RT_EXPLORE");
    (void)unsetenv("RT_CHOICES");
    notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return notes == MAP_FAILED;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(notes, sizeof(*notes));
}

/* Explore, and catch what it prints. */
static bool explore_quietly(const struct explore *program)
{
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    bool is_good;
    size_t n;

    assert_non_null(file);
    assert_true(kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    is_good = explore(program);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    rewind(file);
    n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    return is_good;
}

static bool fails_with(void (*run)(void), const char *expected)
{
    const bool is_good = explore_quietly(
        &(struct explore){ .name = "it", .run = run, .runs_max = 100, .outcomes = { "seen" } });

    if (is_good || strstr(text, expected) == NULL) {
        fprintf(stderr, "expected: %s\nprinted:\n%s", expected, text);
        return false;
    }
    return true;
}

/* ---- all, each once ---- */

static void begin(void)
{
    notes->begun++;
}

static void end(void)
{
    notes->ended++;
}

/* What is open depends on what was chosen: 0 and then one of 3, or 1, 1 of 1, and one of 2. */
static void branch(void)
{
    const unsigned first = explore_choose(2, "first");
    unsigned second;

    if (first == 0) {
        second = explore_choose(3, "second of three");
    } else {
        EXPLORE_CHECK(explore_choose(1, "no choice") == 0);
        second = explore_choose(2, "second of two");
    }
    notes->met[first * 10 + second]++;
    explore_met(0);
}

static void every_sequence_of_choices_is_run_once(void **state)
{
    unsigned runs = 0;

    (void)state;
    assert_true(explore(&(struct explore){ .name = "branch",
                                           .begin = begin,
                                           .run = branch,
                                           .end = end,
                                           .runs_max = 6,
                                           .outcomes = { "seen" } }));
    for (unsigned i = 0; i < SEQUENCES; i++) {
        assert_true(notes->met[i] <= 1);
        runs += notes->met[i];
    }
    assert_int_equal(runs, 5);
    assert_int_equal(notes->met[0] + notes->met[1] + notes->met[2], 3);
    assert_int_equal(notes->met[10] + notes->met[11], 2);
    assert_int_equal(notes->begun, 1);
    assert_int_equal(notes->ended, 1);
}

static void a_name_in_the_environment_picks_one_program(void **state)
{
    const struct explore program = { .name = "branch", .run = branch, .runs_max = 6 };

    (void)state;
    assert_int_equal(setenv("RT_EXPLORE", "another", 1), 0);
    assert_true(explore(&program));
    assert_int_equal(notes->met[0], 0);
    assert_int_equal(setenv("RT_EXPLORE", "branch", 1), 0);
    assert_true(explore(&program));
    assert_int_equal(notes->met[0], 1);
}

static void choices_in_the_environment_are_one_run_in_this_process(void **state)
{
    static pid_t self;

    (void)state;
    self = getpid();
    assert_int_equal(setenv("RT_CHOICES", "1/2,1/2", 1), 0);
    assert_true(explore_quietly(&(struct explore){ .name = "it", .run = branch, .runs_max = 6 }));
    assert_int_equal(notes->met[11], 1);
    assert_int_equal(notes->met[0] + notes->met[1] + notes->met[2] + notes->met[10], 0);
    assert_int_equal(getpid(), self);
    assert_non_null(strstr(text, "choice 2: 1 of 2, second of two"));
    assert_int_equal(setenv("RT_CHOICES", "1,1", 1), 0);
    assert_false(explore_quietly(&(struct explore){ .name = "it", .run = branch, .runs_max = 6 }));
    assert_non_null(strstr(text, "RT_CHOICES is a list"));
}

/* ---- failures ---- */

static void fail_late(void)
{
    const bool one = explore_choose(2, "one") == 1;
    const bool other = explore_choose(3, "other") == 2;

    explore_met(0);
    explore_tell("told: %d", 42);
    EXPLORE_CHECK(!one || !other);
}

static void a_check_that_fails_is_told_and_can_be_had_again(void **state)
{
    (void)state;
    assert_true(fails_with(fail_late, "'it' fails in run 6"));
    assert_non_null(strstr(text, "check failed: !one || !other"));
    assert_non_null(strstr(text, "told: 42"));
    assert_non_null(strstr(text, "RT_EXPLORE='it' RT_CHOICES=1/2,2/3\n"));
}

static void abort_at_last(void)
{
    if (explore_choose(2, "whether to abort") == 1) {
        abort();
    }
}

static void crash_at_last(void)
{
    if (explore_choose(2, "whether to crash") == 1) {
        (void)raise(SIGSEGV);
    }
}

static void end_the_process(void)
{
    exit(0);
}

static void an_abort_a_crash_and_an_exit_are_failures(void **state)
{
    (void)state;
    assert_true(fails_with(abort_at_last, "RT_CHOICES=1/2"));
    assert_true(fails_with(crash_at_last, "RT_CHOICES=1/2"));
    assert_true(fails_with(end_the_process, "'it' fails in run 1"));
}

static void choose_for_ever(void)
{
    while (explore_choose(1, "nothing") == 0) {
    }
}

static void a_run_without_end_is_a_failure(void **state)
{
    (void)state;
    assert_true(fails_with(choose_for_ever, "the run ends"));
}

/* Another number of alternatives each time. */
static void differ(void)
{
    static unsigned count = 2;

    (void)explore_choose(count++, "what");
}

/* Fewer choices than the run that it repeats. */
static void stop_short(void)
{
    static bool is_short;

    (void)explore_choose(1, "nothing");
    if (!is_short) {
        is_short = true;
        (void)explore_choose(2, "what");
    }
}

static void a_run_that_is_not_the_same_again_is_a_failure(void **state)
{
    (void)state;
    assert_true(fails_with(differ, "'it' fails in run 2"));
    assert_true(fails_with(stop_short, "'it' fails in run 2"));
}

static void choose_much(void)
{
    (void)explore_choose(200, "much");
    explore_met(0);
}

static void more_runs_than_the_bound_are_a_failure(void **state)
{
    (void)state;
    assert_true(fails_with(choose_much, "more than its 100 runs"));
}

static void see_nothing(void)
{
    (void)explore_choose(2, "nothing");
}

static void an_outcome_that_is_never_met_is_a_failure(void **state)
{
    (void)state;
    assert_true(fails_with(see_nothing, "never met: seen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_sequence_of_choices_is_run_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_in_the_environment_picks_one_program, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(choices_in_the_environment_are_one_run_in_this_process,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_check_that_fails_is_told_and_can_be_had_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_abort_a_crash_and_an_exit_are_failures, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_run_without_end_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_that_is_not_the_same_again_is_a_failure, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(more_runs_than_the_bound_are_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_outcome_that_is_never_met_is_a_failure, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
