/* SPDX-License-Identifier: MIT */
/* Peer: Boost.Asio. Work reaches another thread's io_context by post(). */
#include <boost/asio.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "boost.h"

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace
{

/* Each context is run by one thread, and says so. */
constexpr int one_thread = 1;

using work_guard = asio::executor_work_guard<asio::io_context::executor_type>;

/* The unit: a timer armed, waited for and cancelled, and its handler run; with others armed. */
void timer_arm(peer_run *run)
{
    const std::uint64_t unmeasured = run->units / 10 + 1;
    asio::io_context context(one_thread);
    std::vector<asio::steady_timer> others;
    asio::steady_timer timer(context);
    std::uint64_t cancelled = 0;

    others.reserve(PEER_OTHERS);
    for (unsigned i = 0; i < PEER_OTHERS; i++) {
        others.emplace_back(context, std::chrono::nanoseconds(PEER_OTHERS_NS) +
                                         std::chrono::milliseconds(i));
        others.back().async_wait([](const error_code &) {});
    }
    for (std::uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        timer.expires_after(std::chrono::nanoseconds(PEER_FAR_NS));
        timer.async_wait([&cancelled](const error_code &error) {
            cancelled += error == asio::error::operation_aborted ? 1 : 0;
        });
        timer.cancel();
        context.poll();
    }
    peer_end(run, run->units);
    if (cancelled != run->units + unmeasured) {
        peer_fail("timer_arm: not every wait was cancelled");
    }
}

/* Timers that are armed again when they have fired. */
struct sleepers {
    std::vector<asio::steady_timer> timers;
    std::uint64_t random = 1;
    std::uint64_t slept = 0;
    bool over = false;

    void sleep(asio::steady_timer &timer)
    {
        timer.expires_after(std::chrono::nanoseconds(peer_sleep_ns(&random)));
        timer.async_wait([this, &timer](const error_code &) {
            slept++;
            if (!over) {
                sleep(timer);
            }
        });
    }
};

void sleep_many(peer_run *run)
{
    asio::io_context context(one_thread);
    asio::steady_timer window(context, std::chrono::nanoseconds(PEER_WARM_UP_NS));
    std::uint64_t before = 0;
    sleepers all;

    all.timers.reserve(PEER_SLEEPERS);
    for (unsigned i = 0; i < PEER_SLEEPERS; i++) {
        all.timers.emplace_back(context);
        all.sleep(all.timers.back());
    }
    window.async_wait([&](const error_code &) {
        peer_cpu_begin(run);
        before = all.slept;
        window.expires_after(std::chrono::nanoseconds(PEER_WINDOW_NS));
        window.async_wait([&](const error_code &) {
            peer_cpu_end(run, all.slept - before);
            all.over = true;
        });
    });
    context.run();
}

/* A context that another thread runs, on the second CPU. */
class server
{
  public:
    server(int cpu, bool spins)
        : guard(asio::make_work_guard(context)),
          thread(peer_thread(cpu, spins ? spin : sleep, this))
    {
    }

    ~server()
    {
        asio::post(context, [this] {
            stop = true;
            context.stop();
        });
        peer_join(thread);
    }

    asio::io_context context{ one_thread };

  private:
    static void *spin(void *arg)
    {
        auto *self = static_cast<server *>(arg);

        while (!self->stop) {
            self->context.poll();
        }
        return nullptr;
    }

    static void *sleep(void *arg)
    {
        static_cast<server *>(arg)->context.run();
        return nullptr;
    }

    work_guard guard;
    bool stop = false; /* its thread's own */
    pthread_t thread;
};

int add_one(int value)
{
    return value + 1;
}

/* Calls between this thread's context and the other one's. */
struct caller {
    peer_run &run;
    asio::io_context &there;
    asio::io_context here{ one_thread };
    const std::uint64_t unmeasured = run.units / 10 + 1;
    const std::uint64_t total = run.units + unmeasured;
    std::uint64_t begun = 0, ended = 0;

    void begin()
    {
        const int value = static_cast<int>(begun & INT16_MAX);

        begun++;
        asio::post(there, [this, value] {
            const int result = add_one(value);

            asio::post(here, [this, value, result] { end(value, result); });
        });
    }

    void end(int value, int result)
    {
        if (result != value + 1) {
            peer_fail("a call has a wrong result");
        }
        ended++;
        if (ended == unmeasured) {
            peer_begin(&run);
        } else if (ended == total) {
            peer_end(&run, run.units);
        }
        if (begun < total) {
            begin();
        }
    }
};

/* The unit: a call that came back, with so many in flight. Both threads poll without sleeping. */
void run_calls(peer_run &run, unsigned in_flight)
{
    server other(run.cpus[1], true);
    caller calls{ run, other.context };
    const work_guard guard = asio::make_work_guard(calls.here);

    for (unsigned i = 0; i < in_flight && calls.begun < calls.total; i++) {
        calls.begin();
    }
    while (calls.ended < calls.total) {
        calls.here.poll();
    }
}

void call1(peer_run *run)
{
    run_calls(*run, 1);
}

void call64(peer_run *run)
{
    run_calls(*run, PEER_IN_FLIGHT);
}

/* A context that sleeps until something is posted, and when that ran. */
struct sleeper {
    explicit sleeper(int cpu) : other(cpu, false)
    {
    }

    static void wake(void *arg)
    {
        auto *self = static_cast<sleeper *>(arg);

        asio::post(self->other.context,
                   [self] { __atomic_store_n(&self->arrived, peer_now(), __ATOMIC_RELEASE); });
    }

    server other;
    alignas(128) std::int64_t arrived = 0;
};

void wake(peer_run *run)
{
    sleeper receiver(run->cpus[1]);

    peer_wakes(run, &receiver.arrived, sleeper::wake, &receiver);
}

/* The unit: a function posted, and its future waited for; so many are posted, and then waited
 * for. */
void submit(peer_run &run, unsigned batch)
{
    const std::uint64_t batches = (run.units + batch - 1) / batch;
    const std::uint64_t untimed = batches / 10 + 1;
    server other(run.cpus[1], false);
    std::vector<std::future<int>> results(batch);

    for (std::uint64_t i = 0; i < untimed + batches; i++) {
        if (i == untimed) {
            peer_begin(&run);
        }
        for (unsigned k = 0; k < batch; k++) {
            results[k] = asio::post(other.context,
                                    asio::use_future([k] { return add_one(static_cast<int>(k)); }));
        }
        for (unsigned k = 0; k < batch; k++) {
            if (results[k].get() != static_cast<int>(k) + 1) {
                peer_fail("a function has a wrong result");
            }
        }
    }
    peer_end(&run, batches * batch);
}

void submit1(peer_run *run)
{
    submit(*run, 1);
}

void submit64(peer_run *run)
{
    submit(*run, PEER_IN_FLIGHT);
}

/* A connection of the echo server: read, write, read again. */
class session : public std::enable_shared_from_this<session>
{
  public:
    explicit session(tcp::socket accepted) : socket(std::move(accepted))
    {
        socket.set_option(tcp::no_delay(true));
    }

    void read()
    {
        socket.async_read_some(asio::buffer(bytes),
                               [self = shared_from_this()](error_code error, std::size_t n) {
                                   if (!error) { /* else the client is gone */
                                       self->write(n);
                                   }
                               });
    }

  private:
    void write(std::size_t n)
    {
        asio::async_write(socket, asio::buffer(bytes, n),
                          [self = shared_from_this()](error_code error, std::size_t) {
                              if (!error) {
                                  self->read();
                              }
                          });
    }

    tcp::socket socket;
    char bytes[4096];
};

void accept(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
        if (error) {
            peer_fail("accept: %s", error.message().c_str());
        }
        std::make_shared<session>(std::move(socket))->read();
        accept(acceptor);
    });
}

void serve(int listener)
{
    asio::io_context context(one_thread);
    tcp::acceptor acceptor(context, tcp::v4(), listener);

    accept(acceptor);
    context.run();
}

const peer_row rows[] = {
    { "timer_arm", timer_arm, nullptr, false },      { "sleep_many", sleep_many, nullptr, false },
    { "xcore_call1", call1, nullptr, true },         { "xcore_call64", call64, nullptr, true },
    { "xcore_wake", wake, nullptr, true },           { "foreign_submit", submit1, nullptr, true },
    { "foreign_submit64", submit64, nullptr, true }, { "tcp_echo", nullptr, serve, true },
};

} // namespace

int main(int argc, char **argv)
{
    return peer_main_boost(argc, argv, "Boost.Asio", rows, sizeof(rows) / sizeof(rows[0]));
}
