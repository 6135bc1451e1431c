/* SPDX-License-Identifier: MIT */
/*
 * A runtime is a guest in its process: it takes no signals, and others may live beside it.
 *
 * The test's main thread is the host. It looks at what the process had before a launch and has
 * meanwhile and afterwards; then two runtimes of different shape share its CPUs.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/rt.h"

static int wait_for_stop(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static struct rt_runtime *launch(const char *name, uint32_t shards, uint32_t port_entries)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_runtime *runtime = NULL;

    config.name = name;
    config.shards = shards;
    config.place = RT_PLACE_UNBOUND; /* so the two are on the same CPUs, however many there are */
    config.port_entries = port_entries;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_launch(&runtime, &config, wait_for_stop, NULL), 0);
    return runtime;
}

static void end(struct rt_runtime *runtime)
{
    rt_stop(runtime);
    assert_int_equal(rt_wait(runtime), 0);
}

/* Run it on a shard, from here; its result. */
static int ask(struct rt_runtime *runtime, uint32_t shard, rt_task_fn fn, void *arg)
{
    struct rt_submission submission;
    int result = INT32_MIN;

    assert_int_equal(rt_submit(runtime, shard, &submission, fn, arg), 0);
    assert_int_equal(rt_submission_wait(&submission, &result, RT_NEVER), 0);
    return result;
}

/* Signals */

/* What a program has of its own; SIGSEGV and SIGBUS are chained to, and said so. */
static const int numbers[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE,
                               SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM, SIGIO };

#define SIGNALS (sizeof(numbers) / sizeof(numbers[0]))

struct signals {
    struct sigaction actions[SIGNALS];
    sigset_t mask;
};

static void look(struct signals *out)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < SIGNALS; i++) {
        assert_int_equal(sigaction(numbers[i], NULL, &out->actions[i]), 0);
    }
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &out->mask), 0);
}

static void assert_same(const struct signals *before)
{
    struct signals now;

    look(&now);
    for (size_t i = 0; i < SIGNALS; i++) {
        assert_true(now.actions[i].sa_handler == before->actions[i].sa_handler);
        assert_int_equal(now.actions[i].sa_flags, before->actions[i].sa_flags);
    }
    for (int number = 1; number < SIGRTMIN; number++) {
        assert_int_equal(sigismember(&now.mask, number), sigismember(&before->mask, number));
    }
}

static int received; /* atomic */

static void on_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&received, 1, __ATOMIC_RELAXED);
}

static int answer(void *arg)
{
    return *(int *)arg;
}

static void a_launch_leaves_signals_and_the_mask_of_its_process_alone(void **state)
{
    struct sigaction mine = { .sa_handler = on_signal };
    struct sigaction old_actions[2];
    struct rt_runtime *runtime;
    struct signals before;
    sigset_t blocked;
    int number = 7;

    (void)state;
    assert_int_equal(sigaction(SIGTERM, &mine, &old_actions[0]), 0);
    assert_int_equal(sigaction(SIGUSR1, &mine, &old_actions[1]), 0);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR2);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
    look(&before);
    runtime = launch("guest", 2, 16);
    assert_same(&before);

    __atomic_store_n(&received, 0, __ATOMIC_RELAXED);
    assert_int_equal(raise(SIGTERM), 0); /* it is the host's, and stops nothing */
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(__atomic_load_n(&received, __ATOMIC_RELAXED), 2);
    assert_int_equal(ask(runtime, 1, answer, &number), 7);

    end(runtime);
    assert_same(&before);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL), 0);
    assert_int_equal(sigaction(SIGTERM, &old_actions[0], NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &old_actions[1], NULL), 0);
}

/* A signal for the process goes to a thread of the host, though shards be more. */
static void signals_of_the_process_come_to_threads_of_the_host(void **state)
{
    struct sigaction mine = { .sa_handler = on_signal };
    struct sigaction old_action;
    struct rt_runtime *runtime = launch("guest", 4, 16);

    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &mine, &old_action), 0);
    __atomic_store_n(&received, 0, __ATOMIC_RELAXED);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(kill(getpid(), SIGUSR1), 0); /* delivered before kill() returns: this is
                                                         the only thread that lets it in */
        assert_int_equal(__atomic_load_n(&received, __ATOMIC_RELAXED), i);
    }
    assert_int_equal(sigaction(SIGUSR1, &old_action, NULL), 0);
    end(runtime);
}

/* Two at once */

static int add_up(void *arg)
{
    const uint32_t count = rt_shard_count();
    int sum = 0;

    for (uint32_t shard = 0; shard < count; shard++) {
        int number = (int)shard + 1;
        int result = 0;

        if (rt_call(shard, answer, &number, &result, RT_NEVER) < 0) {
            return -EIO;
        }
        sum += result;
    }
    *(uint32_t *)arg = count;
    return sum;
}

#define ROUNDS 200

struct asker {
    struct rt_runtime *runtime;
    uint32_t shards;
    pthread_t thread;
};

static void *ask_often(void *arg)
{
    struct asker *asker = arg;
    const int expected = (int)(asker->shards * (asker->shards + 1) / 2);

    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct rt_submission submission;
        uint32_t count = 0;
        int sum = 0;

        if (rt_submit(asker->runtime, i % asker->shards, &submission, add_up, &count) < 0 ||
            rt_submission_wait(&submission, &sum, RT_NEVER) < 0 || sum != expected ||
            count != asker->shards) {
            return arg;
        }
    }
    return NULL;
}

static void two_runtimes_live_beside_each_other(void **state)
{
    struct asker askers[2] = { { .shards = 2 }, { .shards = 5 } };
    struct rt_runtime *third;
    uint32_t count;

    (void)state;
    askers[0].runtime = launch("left", 2, 4);
    askers[1].runtime = launch("right", 5, 64);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    third = launch("third", 1, 1); /* comes and goes meanwhile */
    assert_int_equal(ask(third, 0, add_up, &count), 1);
    end(third);
    for (int i = 0; i < 2; i++) {
        void *failed;

        assert_int_equal(pthread_join(askers[i].thread, &failed), 0);
        assert_null(failed);
    }
    end(askers[0].runtime);
    assert_int_equal(ask(askers[1].runtime, 4, add_up, &count), 15); /* runs on */
    end(askers[1].runtime);
}

static struct rt_runtime *other;

static int submit_across(void *arg)
{
    struct rt_submission *submission = arg;

    return rt_submit(other, 0, submission, wait_for_stop, NULL);
}

/* A task of one may hand work to the other, as a foreign thread does. */
static void a_task_of_one_runtime_submits_to_another(void **state)
{
    struct rt_submission submission;
    struct rt_runtime *one = launch("one", 2, 16);
    int result = 0;

    (void)state;
    other = launch("other", 1, 16);
    assert_int_equal(ask(one, 1, submit_across, &submission), 0);
    assert_int_equal(rt_submission_wait(&submission, NULL, 0), -ETIME);
    end(one);
    end(other); /* cancels it */
    assert_int_equal(rt_submission_wait(&submission, &result, RT_NEVER), 0);
    assert_int_equal(result, -ECANCELED);
}

/* An object of one, used on a shard of the other: dies, in a process of its own */

static struct rt_buffer *buffer;

static int get_buffer(void *arg)
{
    (void)arg;
    return rt_buffer_get(&buffer, 4096);
}

static int put_buffer(void *arg)
{
    (void)arg;
    rt_buffer_put(buffer);
    return 0;
}

static void confuse(void)
{
    struct rt_runtime *left = launch("left", 2, 16);
    struct rt_runtime *right = launch("right", 2, 16);

    (void)ask(left, 0, get_buffer, NULL);
    (void)ask(right, 1, put_buffer, NULL);
}

static void an_object_of_another_runtime_aborts_and_names_both_shards(void **state)
{
    const struct rlimit no_core = { 0, 0 };
    char said[4096] = "";
    size_t used = 0;
    int pipe_fds[2];
    int status = 0;
    ssize_t n;
    pid_t child;

    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        (void)alarm(30);
        confuse();
        _exit(0);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], said + used, sizeof(said) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(said, "'left-0'") == NULL ||
        strstr(said, "'right-1'") == NULL || strstr(said, "rt_buffer_put()") == NULL) {
        fail_msg("status %#x; it said: \"%s\"", (unsigned)status, said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_launch_leaves_signals_and_the_mask_of_its_process_alone),
        cmocka_unit_test(signals_of_the_process_come_to_threads_of_the_host),
        cmocka_unit_test(two_runtimes_live_beside_each_other),
        cmocka_unit_test(a_task_of_one_runtime_submits_to_another),
        cmocka_unit_test(an_object_of_another_runtime_aborts_and_names_both_shards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
