/* SPDX-License-Identifier: MIT */
/*
 * Load client for echo servers: keeps one message in flight on each connection,
 * and says what the server's CPU paid per message.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load.h"
#include "process.h"

/* An idle server may still be putting its last work away; then it has to be still. */
#define SETTLE_SECONDS 2

struct options {
    double connections, bytes, seconds, warmup, timeout, cpu, server_pid, idle;
    bool json;
    const char *address;
};

struct figures {
    double seconds; /* measured */
    uint64_t requests;
    double client_us; /* own CPU time per request */
    double server_us; /* the server's */
    bool server_coarse;
    struct process_use idle; /* what the server used while it was watched idle */
    uint64_t iowait_ns;
};

static void print_help(void)
{
    puts("Usage: echo_load [OPTIONS] HOST:PORT\n\n"
         "Load an echo server and check every byte that comes back. The client polls all\n"
         "connections in turn and never sleeps, so give it a CPU of its own. Latency is from\n"
         "before a message is sent until its echo was compared; it holds the time that the\n"
         "client was busy with other connections.\n\n"
         "  --connections N   default 64; one message is in flight on each\n"
         "  --bytes N         per message; default 64\n"
         "  --seconds S       how long to measure; default 5\n"
         "  --warmup S        how long to run before, unmeasured; default 0.5\n"
         "  --timeout S       an echo that takes longer is a failure; default 5\n"
         "  --cpu N           run on CPU N only; default: wherever the kernel likes\n"
         "  --server-pid PID  also print the server's CPU time per request, over all its threads\n"
         "  --idle S          then keep the connections open without a message, wait 2 s, and\n"
         "                    watch for S seconds what the server does; needs --server-pid\n"
         "  --json            print one object\n"
         "  --help            print this\n\n"
         "Status 0: all echoes were right. 1: a mismatch, a lost connection, or an echo that\n"
         "came too late. 2: a wrong command line.");
}

/* 0 to go on, 1 to leave with status 0, 2 to leave with status 2. */
static int read_options(struct options *options, int argc, char **argv)
{
    const struct number {
        const char *name;
        double *value, least, most;
    } numbers[] = {
        { "connections", &options->connections, 1, 60000 }, /* ports of one client address */
        { "bytes", &options->bytes, 1, 1 << 20 },
        { "seconds", &options->seconds, 0.01, 86400 },
        { "warmup", &options->warmup, 0, 86400 },
        { "timeout", &options->timeout, 0.1, 86400 },
        { "cpu", &options->cpu, 0, 1023 }, /* of cpu_set_t */
        { "server-pid", &options->server_pid, 1, INT32_MAX },
        { "idle", &options->idle, 0.1, 86400 },
    };
    const int count = (int)(sizeof(numbers) / sizeof(numbers[0]));
    struct option table[sizeof(numbers) / sizeof(numbers[0]) + 3] = {
        { "json", no_argument, NULL, count },
        { "help", no_argument, NULL, count + 1 },
    };
    int found;

    for (int i = 0; i < count; i++) {
        table[2 + i] = (struct option){ numbers[i].name, required_argument, NULL, i };
    }
    while ((found = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (found == count) {
            options->json = true;
        } else if (found == count + 1) {
            print_help();
            return 1;
        } else if (found == '?' || !option_number(numbers[found].name, optarg, numbers[found].least,
                                                  numbers[found].most, numbers[found].value)) {
            return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "echo_load: give one HOST:PORT, where the server listens; see --help\n");
        return 2;
    }
    if (options->idle > 0 && options->server_pid < 1) {
        fprintf(stderr, "echo_load: --idle needs --server-pid, to know whom to watch\n");
        return 2;
    }
    options->address = argv[optind];
    return 0;
}

static int64_t ns_of(double seconds)
{
    return (int64_t)(seconds * 1e9);
}

static uint64_t own_cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static bool measure(struct load *load, const struct options *options, struct figures *out)
{
    pid_t server = (pid_t)options->server_pid;
    struct process_use before = { 0 };
    struct process_use after = { 0 };
    uint64_t own;
    int64_t start;

    if (!load_run(load, load_now() + ns_of(options->warmup), UINT64_MAX) ||
        (server > 0 && !process_use_read(server, &before))) {
        return false;
    }
    load_reset(load);
    own = own_cpu_ns();
    start = load_now();
    if (!load_run(load, start + ns_of(options->seconds), UINT64_MAX)) {
        return false;
    }
    out->seconds = (double)(load_now() - start) * 1e-9;
    own = own_cpu_ns() - own;
    out->requests = load->completed;
    if (server > 0 && !process_use_read(server, &after)) {
        return false;
    }
    if (out->requests == 0) {
        fprintf(stderr, "echo_load: %s: not one echo in %g s\n", load->address, options->seconds);
        return false;
    }
    out->client_us = (double)own * 1e-3 / (double)out->requests;
    out->server_us = (double)(after.cpu_ns - before.cpu_ns) * 1e-3 / (double)out->requests;
    out->server_coarse = before.coarse || after.coarse;
    return true;
}

static void sleep_for(double seconds)
{
    int64_t ns = ns_of(seconds);
    struct timespec rest = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

    while (nanosleep(&rest, &rest) < 0 && errno == EINTR) {
    }
}

static bool watch_idle(const struct options *options, struct figures *out)
{
    struct process_use before;
    uint64_t iowait;

    sleep_for(SETTLE_SECONDS);
    if (!process_use_read((pid_t)options->server_pid, &before) || !iowait_read(&iowait)) {
        return false;
    }
    sleep_for(options->idle);
    if (!process_use_read((pid_t)options->server_pid, &out->idle) ||
        !iowait_read(&out->iowait_ns)) {
        return false;
    }
    out->idle.cpu_ns -= before.cpu_ns;
    out->idle.voluntary -= before.voluntary;
    out->idle.involuntary -= before.involuntary;
    out->iowait_ns -= iowait;
    return true;
}

static double quantile_us(const struct load *load, double quantile)
{
    return (double)histogram_quantile(&load->latency, quantile) * 1e-3;
}

static void print_text(const struct load *load, const struct options *options,
                       const struct figures *figures)
{
    printf("%" PRIu32 " connections, %" PRIu32 " bytes, %.3f s: %" PRIu64 " requests, %.0f/s\n",
           load->connections, load->bytes, figures->seconds, figures->requests,
           (double)figures->requests / figures->seconds);
    printf("latency us: p50 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n", quantile_us(load, 0.5),
           quantile_us(load, 0.99), quantile_us(load, 0.999), (double)load->latency.max * 1e-3);
    printf("client CPU: %.3f us per request\n", figures->client_us);
    if (options->server_pid > 0) {
        printf("server CPU: %.3f us per request%s\n", figures->server_us,
               figures->server_coarse ? " (coarse: no schedstat, counted in clock ticks)" : "");
    }
    if (options->idle > 0) {
        printf("idle for %g s: server CPU %.3f ms, context switches %" PRIu64 " voluntary, %" PRIu64
               " involuntary; iowait of the machine grew by %.0f ms\n",
               options->idle, (double)figures->idle.cpu_ns * 1e-6, figures->idle.voluntary,
               figures->idle.involuntary, (double)figures->iowait_ns * 1e-6);
    }
}

static void print_json(const struct load *load, const struct options *options,
                       const struct figures *figures)
{
    printf("{\"connections\": %" PRIu32 ", \"bytes\": %" PRIu32 ", \"seconds\": %.6f, "
           "\"requests\": %" PRIu64 ", \"requests_per_second\": %.1f, "
           "\"latency_us\": {\"p50\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, \"max\": %.3f}, "
           "\"client_cpu_us_per_request\": %.4f",
           load->connections, load->bytes, figures->seconds, figures->requests,
           (double)figures->requests / figures->seconds, quantile_us(load, 0.5),
           quantile_us(load, 0.99), quantile_us(load, 0.999), (double)load->latency.max * 1e-3,
           figures->client_us);
    if (options->server_pid > 0) {
        printf(", \"server_cpu_us_per_request\": %.4f, \"server_cpu_source\": \"%s\"",
               figures->server_us, figures->server_coarse ? "stat" : "schedstat");
    }
    if (options->idle > 0) {
        printf(", \"idle\": {\"seconds\": %g, \"server_cpu_ms\": %.6f, \"voluntary\": %" PRIu64
               ", \"involuntary\": %" PRIu64 ", \"iowait_ms\": %.0f}",
               options->idle, (double)figures->idle.cpu_ns * 1e-6, figures->idle.voluntary,
               figures->idle.involuntary, (double)figures->iowait_ns * 1e-6);
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct options options = {
        .connections = 64,
        .bytes = 64,
        .seconds = 5,
        .warmup = 0.5,
        .timeout = 5,
        .cpu = -1,
    };
    struct figures figures = { 0 };
    static struct load load; /* the histogram is too large for the stack */
    int outcome = read_options(&options, argc, argv);
    bool ok;

    if (outcome != 0) {
        return outcome == 1 ? 0 : 2;
    }
    load.address = options.address;
    load.connections = (uint32_t)options.connections;
    load.bytes = (uint32_t)options.bytes;
    load.timeout_ns = ns_of(options.timeout);
    if (!endpoint_parse(&load.server, options.address)) {
        return 2;
    }
    ok = pin_to_cpu((int)options.cpu) && raise_descriptor_limit(load.connections + 16) &&
         load_open(&load) && measure(&load, &options, &figures) && load_drain(&load) &&
         (options.idle <= 0 || watch_idle(&options, &figures));
    if (ok && options.json) {
        print_json(&load, &options, &figures);
    } else if (ok) {
        print_text(&load, &options, &figures);
    }
    load_close(&load);
    return ok ? 0 : 1;
}
