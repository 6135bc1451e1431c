/* SPDX-License-Identifier: MIT */
/* Device: see disk_device.h. */
#include "disk_device.h"

#include <string.h>

#include "support/harness.h"

#define SERVERS_MAX 64u
#define TIMES_MAX   400000u

struct io {
    struct rti_disk_request request;
    struct client *client;
    rt_time at; /* when it comes, or ends */
    rt_time came;
    rt_time began;
    bool flies;
};

struct client {
    struct rti_disk_queue queue;
    const struct client_plan *plan;
    struct rti_disk *disk;
    struct client_result *result;
    struct io ios[CLIENT_DEPTH_MAX];
    uint32_t times; /* of `device` and `waited` that were noted */
};

static struct {
    const struct device_plan *plan;
    struct rti_disk_share share;
    struct rti_disk disks[DEVICE_SHARDS_MAX];
    struct client clients[DEVICE_CLIENTS_MAX];
    rt_time servers[SERVERS_MAX];
    rt_time line;
    struct rand_state rand;
    rt_time now;
    rt_time counts_from;
} run;

static rt_time device_times[DEVICE_CLIENTS_MAX][TIMES_MAX];
static rt_time wait_times[DEVICE_CLIENTS_MAX][TIMES_MAX];

/* The line, then a server. Up to an eighth more by chance. */
static rt_time serve(uint32_t bytes)
{
    rt_time *server = &run.servers[0];
    const rt_time request_time = run.plan->request_time;

    for (uint32_t i = 1; i < run.plan->servers; i++) {
        server = run.servers[i] < *server ? &run.servers[i] : server;
    }
    run.line = (run.line > run.now ? run.line : run.now) +
               (rt_time)((double)bytes * 1e9 / (double)run.plan->line_bytes);
    *server = (*server > run.line ? *server : run.line) + request_time +
              (rt_time)rand_below(&run.rand, (uint64_t)request_time / 8 + 1) +
              (rand_chance(&run.rand, run.plan->slow) ? request_time * 4 : 0);
    return *server;
}

static void pump(struct rti_disk *disk)
{
    struct rti_disk_request *request;

    while ((request = rti_disk_next(disk, run.now)) != NULL) {
        struct io *io = RTI_CONTAINER_OF(request, struct io, request);

        io->began = run.now;
        io->at = serve(io->client->plan->bytes);
        io->flies = true;
    }
    rti_disk_settle(disk);
    rti_disk_check(disk);
}

static void come(struct io *io)
{
    const struct client *client = io->client;

    io->came = run.now;
    io->at = RT_NEVER;
    rti_disk_enqueue(client->disk, &io->client->queue, &io->request, client->plan->write,
                     client->plan->bytes, run.now);
}

static void end(struct io *io)
{
    struct client *client = io->client;
    const size_t index = (size_t)(client - run.clients);

    rti_disk_complete(client->disk, &io->request, run.now - io->began, run.now);
    if (run.now >= run.counts_from) {
        client->result->ended++;
        if (client->times < TIMES_MAX) {
            device_times[index][client->times] = run.now - io->began;
            wait_times[index][client->times++] = io->began - io->came;
        }
    }
    io->flies = false;
    io->at = run.now + client->plan->pause;
}

static struct io *first_of(uint32_t count)
{
    struct io *first = &run.clients[0].ios[0];

    for (uint32_t c = 0; c < count; c++) {
        for (uint32_t i = 0; i < run.clients[c].plan->depth; i++) {
            struct io *io = &run.clients[c].ios[i];

            first = io->at < first->at ? io : first;
        }
    }
    return first;
}

static int compare(const void *a, const void *b)
{
    const rt_time *one = a;
    const rt_time *other = b;

    return (*one > *other) - (*one < *other);
}

static rt_time p99_of(rt_time *times, uint32_t count)
{
    qsort(times, count, sizeof(*times), compare);
    return count > 0 ? times[(uint64_t)count * 99 / 100] : 0;
}

static void set_up(const struct rti_disk_model *model, uint64_t capacity,
                   const struct client_plan *clients, uint32_t count, struct client_result *results)
{
    rti_disk_share_init(&run.share, capacity);
    for (uint32_t s = 0; s < DEVICE_SHARDS_MAX; s++) {
        rti_disk_init(&run.disks[s], &run.share, model, 0);
    }
    for (uint32_t c = 0; c < count; c++) {
        struct client *client = &run.clients[c];

        client->plan = &clients[c];
        client->disk = &run.disks[clients[c].shard];
        client->result = &results[c];
        results[c] = (struct client_result){ 0 };
        rti_disk_queue_init(&client->queue, client->disk, NULL, clients[c].shares);
        for (uint32_t i = 0; i < clients[c].depth; i++) {
            client->ios[i] = (struct io){ .client = client, .at = clients[c].from };
        }
    }
}

/* Each moment is a turn: all that is due, then whatever may begin. */
void device_run(const struct device_plan *device, const struct rti_disk_model *model,
                uint64_t capacity, const struct client_plan *clients, uint32_t count, rt_time span,
                struct client_result *results)
{
    memset(&run, 0, sizeof(run));
    rand_init(&run.rand, 1);
    run.plan = device;
    run.counts_from = span / 2;
    set_up(model, capacity, clients, count, results);
    for (;;) {
        struct io *io = first_of(count);

        if (io->at > span) {
            break;
        }
        run.now = io->at;
        if (io->flies) {
            end(io);
        }
        if (io->at <= run.now) {
            come(io);
        }
        pump(io->client->disk);
    }
    for (uint32_t c = 0; c < count; c++) {
        results[c].device = p99_of(device_times[c], run.clients[c].times);
        results[c].waited = p99_of(wait_times[c], run.clients[c].times);
    }
}

uint64_t device_capacity(void)
{
    return rti_disk_share_capacity(&run.share);
}
