/* SPDX-License-Identifier: MIT */
/*
 * Gate: one operation of the runtime, COUNT times, for gate.py to count instructions of.
 *
 *     gate OPERATION COUNT [SHARDS]
 *     gate --operations        their names
 *     gate --compiler          what compiled this program
 *
 * Goal: each run executes the same instructions, on every machine and every day.
 * Method: two shards, or SHARDS, on the simulated kernel, whose threads run one at a time, and
 * whose clock stands still but while all of them sleep. The runtime is compiled as
 * tests/gate/CMakeLists.txt says, and knows nothing of this.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "rt/rt.h"
#include "support/shards.h"

/* The ticks are calibrated when so much time has passed; that is not to happen on the way. */
#define SETTLE RT_MILLISECONDS(200)

/* How long a read takes: its task has to sleep. */
#define DEVICE RT_MICROSECONDS(10)

#define FILE_NAME     "data"
#define CALLS         64
#define CHANNEL_ITEMS 1024
#define COUNT_MAX     65536
#define SHARDS_MAX    128

struct operation {
    const char *name;
    void (*run)(unsigned count);
    const char *what;
};

/* ---- on one shard ---- */

static int yield_often(void *count)
{
    for (unsigned i = *(unsigned *)count; i > 0; i--) {
        rt_yield();
    }
    return 0;
}

static void run_switch(unsigned count)
{
    unsigned half = count / 2;
    struct rt_task *other;

    RTI_ASSERT(rt_spawn(&other, yield_often, &half) == 0);
    (void)yield_often(&half);
    RTI_ASSERT(rt_join(other, NULL, RT_NEVER) == 0);
}

static int return_one(void *arg)
{
    (void)arg;
    return 1;
}

static void run_spawn(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct rt_task *task;
        int result = 0;

        RTI_ASSERT(rt_spawn(&task, return_one, NULL) == 0);
        RTI_ASSERT(rt_join(task, &result, RT_NEVER) == 0);
        RTI_ASSERT(result == 1);
    }
}

/* Two tasks that wake each other. Each waits `length` at most, but is woken before. */
struct pair {
    struct rt_waker asker;
    struct rt_waker answerer;
    unsigned rounds;
    rt_time length;
};

static void park(const struct pair *pair)
{
    RTI_ASSERT(rt_park(pair->length == RT_NEVER ? RT_NEVER : rt_in(pair->length)) == 0);
}

static int answer(void *arg)
{
    struct pair *pair = arg;

    pair->answerer = rt_waker_self();
    for (unsigned i = 0; i < pair->rounds; i++) {
        park(pair);
        rt_wake(pair->asker);
    }
    return 0;
}

static void wake_each_other(unsigned count, rt_time length)
{
    struct pair pair = { .asker = rt_waker_self(), .rounds = count / 2, .length = length };
    struct rt_task *other;

    RTI_ASSERT(rt_spawn(&other, answer, &pair) == 0);
    rt_yield(); /* it parks */
    for (unsigned i = 0; i < pair.rounds; i++) {
        rt_wake(pair.answerer);
        park(&pair);
    }
    RTI_ASSERT(rt_join(other, NULL, RT_NEVER) == 0);
}

static void run_wake(unsigned count)
{
    wake_each_other(count, RT_NEVER);
}

static void run_timer(unsigned count)
{
    wake_each_other(count, RT_SECONDS(1));
}

static void run_sleep(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        RTI_ASSERT(rt_sleep_until(rt_in(RT_MICROSECONDS(1))) == 0);
    }
}

static void run_read(unsigned count)
{
    struct rt_file *file;
    char buf[4];

    RTI_ASSERT(rt_file_open(&file, FILE_NAME, O_RDONLY, 0, RT_NEVER) == 0);
    for (unsigned i = 0; i < count; i++) {
        RTI_ASSERT(rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER) == sizeof(buf));
    }
    RTI_ASSERT(rt_file_close(file) == 0);
}

/* ---- between two ---- */

static int add_one(void *sum)
{
    return (int)++*(unsigned *)sum;
}

static void run_call(unsigned count)
{
    unsigned sum = 0;
    int result = 0;

    for (unsigned i = 0; i < count; i++) {
        RTI_ASSERT(rt_call(1, add_one, &sum, &result, RT_NEVER) == 0);
    }
    RTI_ASSERT(result == (int)count);
}

static void run_call64(unsigned count)
{
    struct rt_call calls[CALLS];
    unsigned sum = 0;
    int result = 0;

    for (unsigned done = 0; done < count; done += CALLS) {
        for (unsigned i = 0; i < CALLS; i++) {
            RTI_ASSERT(rt_call_begin(&calls[i], 1, add_one, &sum, RT_NEVER) == 0);
        }
        for (unsigned i = 0; i < CALLS; i++) {
            RTI_ASSERT(rt_call_end(&calls[i], &result, RT_NEVER) == 0);
        }
    }
    RTI_ASSERT(result == (int)count);
}

static void run_post(unsigned count)
{
    unsigned sum = 0;
    int result = 0;

    for (unsigned i = 0; i < count; i++) {
        RTI_ASSERT(rt_post(1, add_one, &sum, RT_NEVER) == 0);
    }
    RTI_ASSERT(rt_call(1, add_one, &sum, &result, RT_NEVER) == 0); /* starts behind them */
    RTI_ASSERT(result == (int)count + 1);
}

static int one(void *arg)
{
    (void)arg;
    return 1;
}

static void run_call_all(unsigned count)
{
    struct rt_call_part parts[SHARDS_MAX];

    for (unsigned i = 0; i < count; i++) {
        RTI_ASSERT(rt_call_all(parts, one, NULL, RT_NEVER) == 0);
    }
}

static int receive_all(void *arg)
{
    struct rt_spsc *channel = arg;
    uint64_t item;
    int received = 0;

    while (rt_spsc_recv(channel, &item, 1, RT_NEVER) == 1) {
        RTI_ASSERT(item == (uint64_t)received);
        received++;
    }
    rt_spsc_close_receiver(channel);
    return received;
}

static void run_channel(unsigned count)
{
    struct rt_spsc *channel;
    struct rt_call receiver;
    int received = 0;

    RTI_ASSERT(rt_spsc_create(&channel, sizeof(uint64_t), CHANNEL_ITEMS) == 0);
    RTI_ASSERT(rt_call_begin(&receiver, 1, receive_all, channel, RT_NEVER) == 0);
    for (uint64_t i = 0; i < count; i++) {
        RTI_ASSERT(rt_spsc_send(channel, &i, 1, NULL, RT_NEVER) == 0);
    }
    rt_spsc_close_sender(channel);
    RTI_ASSERT(rt_call_end(&receiver, &received, RT_NEVER) == 0);
    RTI_ASSERT(received == (int)count);
}

static const struct operation operations[] = {
    { "switch", run_switch, "a yield to another task" },
    { "spawn", run_spawn, "make a task, wait for its end, take its result" },
    { "wake", run_wake, "wake a task that is parked, and park" },
    { "timer", run_timer, "the same with a deadline that is armed and disarmed" },
    { "sleep", run_sleep, "a sleep until its timer fires, with the turn that it takes" },
    { "read", run_read, "4 bytes of a file through the ring, with the turn that it takes" },
    { "call", run_call, "a call to a shard that sleeps, and its reply to one that sleeps" },
    { "call64", run_call64, "a call, 64 of one task under way" },
    { "call_all", run_call_all, "a call to all shards, which sleep" },
    { "post", run_post, "a post, as many under way as there may be" },
    { "channel", run_channel, "an item to another shard, sent and received one by one" },
};

#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

/* ---- the program ---- */

struct request {
    const struct operation *operation;
    unsigned count;
    unsigned shards;
    bool is_done;
};

static int first(void *arg)
{
    struct request *request = arg;

    if (rt_shard_index() != 0) {
        return 0;
    }
    RTI_ASSERT(rt_sleep_until(rt_in(SETTLE)) == 0);
    request->operation->run(request->count);
    request->is_done = true;
    return 0;
}

static void put_file(struct rt_runtime *runtime, void *arg)
{
    (void)runtime;
    (void)arg;
    sim_file_put(FILE_NAME, "abcd", 4);
}

static int run(struct request *request)
{
    struct shards shards;

    shards_init(&shards, 1, request->shards); /* of which nothing is left to chance */
    shards.sim = (struct sim_config){ .seed = 1, .delay_min = DEVICE, .delay_max = DEVICE };
    shards.runtime = (struct rt_config)RT_CONFIG_INIT;
    shards.runtime.shards = request->shards;
    shards.runtime.place = RT_PLACE_UNBOUND;
    shards.runtime.disable = "guard_install"; /* that is up to the real kernel */
    shards.outside = put_file;
    shards_run(&shards, first, request);
    return shards.result == 0 && shards.faults == 0 && request->is_done ? 0 : 1;
}

/* A multiple of `step`, from that to `max`. */
static bool read_count(const char *text, unsigned step, unsigned max, unsigned *out)
{
    char *end;
    const unsigned long count = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0' || count < step || count > max ||
        count % step != 0) {
        return false;
    }
    *out = (unsigned)count;
    return true;
}

static const struct operation *find(const char *name)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (strcmp(operations[i].name, name) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

static void print_operations(void)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        printf("%s  %s\n", operations[i].name, operations[i].what);
    }
}

int main(int argc, char **argv)
{
    struct request request = { .shards = 2 };

    if (argc == 2 && strcmp(argv[1], "--operations") == 0) {
        print_operations();
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--compiler") == 0) {
        puts(GATE_COMPILER);
        return 0;
    }
    if (argc < 3 || argc > 4 || (request.operation = find(argv[1])) == NULL ||
        !read_count(argv[2], CALLS, COUNT_MAX, &request.count) ||
        (argc == 4 && !read_count(argv[3], 2, SHARDS_MAX, &request.shards))) {
        fprintf(stderr,
                "usage: gate OPERATION COUNT [SHARDS] | --operations | --compiler\n"
                "COUNT is a multiple of %d, up to %d, SHARDS one of 2, up to %d; --operations "
                "prints the names\n",
                CALLS, COUNT_MAX, SHARDS_MAX);
        return 2;
    }
    return run(&request);
}
