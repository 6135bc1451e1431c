/* SPDX-License-Identifier: MIT */
/* Peer: Boost.Fiber, with its default scheduler (round robin) and stacks from its pool. */
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "boost.h"

namespace fibers = boost::fibers;

namespace
{

constexpr std::size_t stack_bytes = 65536; /* shardrt's default */

/* Room for the stacks of this many fibers more is asked for at once; the pool keeps what it had. */
constexpr std::size_t pool_step = 1024;

using stacks = fibers::pooled_fixedsize_stack;

/* The unit: one switch. Each yield of the first fiber lets all others run once. */
void yield(peer_run &run, unsigned count)
{
    const std::uint64_t rounds = run.units / count + 1;
    stacks pool(stack_bytes);
    std::vector<fibers::fiber> others;
    bool stop = false;

    for (unsigned i = 1; i < count; i++) {
        others.emplace_back(fibers::launch::post, std::allocator_arg, pool, [&stop] {
            while (!stop) {
                boost::this_fiber::yield();
            }
        });
    }
    for (std::uint64_t i = 0; i < rounds / 10 + 1; i++) {
        boost::this_fiber::yield();
    }
    peer_begin(&run);
    for (std::uint64_t i = 0; i < rounds; i++) {
        boost::this_fiber::yield();
    }
    peer_end(&run, rounds * count);
    stop = true;
    for (fibers::fiber &other : others) {
        other.join();
    }
}

void yield2(peer_run *run)
{
    yield(*run, 2);
}

void yield1k(peer_run *run)
{
    yield(*run, 1000);
}

/* The unit: a fiber made, its end waited for, its result taken. */
void spawn_join(peer_run *run)
{
    const std::uint64_t unmeasured = run->units / 10 + 1;
    const std::uint64_t total = run->units + unmeasured;
    stacks pool(stack_bytes);
    std::uint64_t sum = 0;

    for (std::uint64_t i = 0; i < total; i++) {
        int result = 0;

        if (i == unmeasured) {
            peer_begin(run);
        }
        fibers::fiber task(fibers::launch::post, std::allocator_arg, pool,
                           [&result] { result = 1; });
        task.join();
        sum += static_cast<std::uint64_t>(result);
    }
    peer_end(run, run->units);
    if (sum != total) {
        peer_fail("spawn_join: a result is wrong");
    }
}

void batch_once(stacks &pool)
{
    std::vector<fibers::fiber> tasks;
    unsigned done = 0;

    tasks.reserve(PEER_BATCH);
    for (unsigned i = 0; i < PEER_BATCH; i++) {
        tasks.emplace_back(fibers::launch::post, std::allocator_arg, pool, [&done] {
            boost::this_fiber::yield();
            done++;
        });
    }
    for (fibers::fiber &task : tasks) {
        task.join();
    }
    if (done != PEER_BATCH) {
        peer_fail("spawn_batch: not all fibers have run");
    }
}

/* The unit: one of many fibers that are all made, suspend once each, and are all joined. */
void spawn_batch(peer_run *run)
{
    stacks pool(PEER_STACK_BYTES, pool_step, pool_step);

    batch_once(pool); /* the first use of a stack is the kernel's work */
    peer_begin(run);
    batch_once(pool);
    peer_end(run, PEER_BATCH);
}

/* A fiber that waits with a deadline far ahead is woken; others wait so meanwhile. */
struct sleepers {
    fibers::mutex lock;
    fibers::condition_variable one, all;
    std::uint64_t woken = 0;
    unsigned asleep = 0;
    bool stop = false;

    void wait_for_end(std::chrono::nanoseconds time)
    {
        std::unique_lock<fibers::mutex> held(lock);

        asleep++;
        if (all.wait_for(held, time) == fibers::cv_status::timeout) {
            peer_fail("timer_arm: a deadline that lies far ahead has passed");
        }
    }

    void wait_again_and_again()
    {
        std::unique_lock<fibers::mutex> held(lock);

        while (!stop) {
            asleep++;
            if (one.wait_for(held, std::chrono::nanoseconds(PEER_FAR_NS)) ==
                fibers::cv_status::timeout) {
                peer_fail("timer_arm: a deadline that lies far ahead has passed");
            }
            asleep--;
            woken++;
        }
    }
};

/* The unit: a clock read, a wait with a deadline, and a wake long before it; two switches. */
void timer_arm(peer_run *run)
{
    const std::uint64_t unmeasured = run->units / 10 + 1;
    stacks pool(PEER_STACK_BYTES, pool_step, pool_step);
    std::vector<fibers::fiber> tasks;
    sleepers state;

    for (unsigned i = 0; i < PEER_OTHERS; i++) {
        tasks.emplace_back(fibers::launch::post, std::allocator_arg, pool, [&state, i] {
            state.wait_for_end(std::chrono::nanoseconds(PEER_OTHERS_NS) +
                               std::chrono::milliseconds(i));
        });
    }
    tasks.emplace_back(fibers::launch::post, std::allocator_arg, pool,
                       [&state] { state.wait_again_and_again(); });
    while (state.asleep <= PEER_OTHERS) {
        boost::this_fiber::yield();
    }
    for (std::uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        state.one.notify_one();
        while (state.woken == i) {
            boost::this_fiber::yield();
        }
    }
    peer_end(run, run->units);
    state.stop = true;
    state.one.notify_one();
    state.all.notify_all();
    for (fibers::fiber &task : tasks) {
        task.join();
    }
}

/* So many fibers lock, yield, and unlock, until `units` locks were made by all together. */
void lock_all(stacks &pool, fibers::mutex &lock, std::int64_t units)
{
    std::vector<fibers::fiber> tasks;

    for (unsigned i = 0; i < PEER_TASKS; i++) {
        tasks.emplace_back(fibers::launch::post, std::allocator_arg, pool, [&lock, &units] {
            while (units-- > 0) {
                lock.lock();
                boost::this_fiber::yield();
                lock.unlock();
            }
        });
    }
    for (fibers::fiber &task : tasks) {
        task.join();
    }
}

/* The unit: a lock, a yield, an unlock. */
void mutex(peer_run *run)
{
    stacks pool(stack_bytes);
    fibers::mutex lock;

    lock_all(pool, lock, static_cast<std::int64_t>(run->units / 10 + 1));
    peer_begin(run);
    lock_all(pool, lock, static_cast<std::int64_t>(run->units));
    peer_end(run, run->units);
}

/* The unit: a lock, an unlock, and nobody else. */
void mutex1(peer_run *run)
{
    const std::uint64_t unmeasured = run->units / 10 + 1;
    fibers::mutex lock;

    for (std::uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        lock.lock();
        lock.unlock();
    }
    peer_end(run, run->units);
}

using channel = fibers::buffered_channel<std::uint64_t>;

/* The unit: an item of 8 bytes from one fiber to another. */
void chan_local(peer_run *run)
{
    const std::uint64_t unmeasured = run->units / 10 + 1;
    const std::uint64_t total = run->units + unmeasured;
    stacks pool(stack_bytes);
    channel there(PEER_CAPACITY);
    std::uint64_t sum = 0;
    fibers::fiber producer(fibers::launch::post, std::allocator_arg, pool, [&there, total] {
        for (std::uint64_t i = 0; i < total; i++) {
            there.push(i);
        }
    });

    for (std::uint64_t i = 0; i < total; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        sum += there.value_pop();
    }
    peer_end(run, run->units);
    producer.join();
    if (sum != total * (total - 1) / 2) {
        peer_fail("chan_local: the items that came are not those that were sent");
    }
}

/* The unit: an item there and another one back. */
void pingpong_local(peer_run *run)
{
    const std::uint64_t unmeasured = run->units / 10 + 1;
    stacks pool(stack_bytes);
    channel there(2), back(2); /* hold one item less */
    fibers::fiber mirror(fibers::launch::post, std::allocator_arg, pool, [&there, &back] {
        std::uint64_t item;

        while (there.pop(item) == fibers::channel_op_status::success) {
            back.push(item + 1);
        }
    });

    for (std::uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        there.push(i);
        if (back.value_pop() != i + 1) {
            peer_fail("pingpong_local: a wrong item came back");
        }
    }
    peer_end(run, run->units);
    there.close();
    mirror.join();
}

const peer_row rows[] = {
    { "yield2", yield2, nullptr, false },
    { "yield1k", yield1k, nullptr, false },
    { "spawn_join", spawn_join, nullptr, false },
    { "spawn_batch", spawn_batch, nullptr, false },
    { "timer_arm", timer_arm, nullptr, false },
    { "mutex", mutex, nullptr, false },
    { "mutex1", mutex1, nullptr, false },
    { "chan_local", chan_local, nullptr, false },
    { "pingpong_local", pingpong_local, nullptr, false },
};

} // namespace

int main(int argc, char **argv)
{
    return peer_main_boost(argc, argv, "Boost.Fiber", rows, sizeof(rows) / sizeof(rows[0]));
}
