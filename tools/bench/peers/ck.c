/* SPDX-License-Identifier: MIT */
/* Peer: the rings of Concurrency Kit, between two threads that look again and again. */
#include <ck_pr.h>
#include <ck_ring.h>
#include <stdlib.h>

#include "peer.h"

/* A ring and its slots. An item is a pointer, so 8 bytes; here it is a number. */
struct channel {
    ck_ring_t ring;
    ck_ring_buffer_t slots[PEER_CAPACITY];
} __attribute__((aligned(128)));

static struct channel there, back;
static uint64_t total; /* items of this repetition; set before the other thread starts */

static void put(struct channel *channel, uint64_t item)
{
    while (!ck_ring_enqueue_spsc(&channel->ring, channel->slots, (void *)(uintptr_t)item)) {
        ck_pr_stall();
    }
}

static uint64_t take(struct channel *channel)
{
    void *item;

    while (!ck_ring_dequeue_spsc(&channel->ring, channel->slots, (void *)&item)) {
        ck_pr_stall();
    }
    return (uintptr_t)item;
}

static void *mirror(void *unused)
{
    for (uint64_t i = 0; i < total; i++) {
        put(&back, take(&there) + 1);
    }
    return unused;
}

/* The unit: an item there and another one back. */
static void rtt(struct peer_run *run)
{
    uint64_t unmeasured = run->units / 10 + 1;
    uint64_t wrong = 0;
    pthread_t other;

    total = run->units + unmeasured;
    other = peer_thread(run->cpus[1], mirror, NULL);
    for (uint64_t i = 0; i < total; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        put(&there, i);
        wrong += take(&back) != i + 1;
    }
    peer_end(run, run->units);
    peer_join(other);
    if (wrong > 0) {
        peer_fail("xcore_rtt: a wrong item came back");
    }
}

static void *sink(void *unused)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < total; i++) {
        sum += take(&there);
    }
    put(&back, sum);
    return unused;
}

/* The unit: one item, one by one. The sum comes back when all were received. */
static void stream(struct peer_run *run)
{
    uint64_t unmeasured = run->units / 10 + 1;
    pthread_t other;
    uint64_t sum;

    total = run->units + unmeasured;
    other = peer_thread(run->cpus[1], sink, NULL);
    for (uint64_t i = 0; i < total; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        put(&there, i);
    }
    sum = take(&back);
    peer_end(run, run->units);
    peer_join(other);
    if (sum != total * (total - 1) / 2) {
        peer_fail("xcore_stream: the items that came are not those that were sent");
    }
}

/* As the row's: 64 items are sent, then what is 512 behind is received. */
static uint64_t trade(struct channel *to, struct channel *from, struct peer_run *run)
{
    uint64_t received = 0;
    uint64_t sum = 0;

    for (uint64_t sent = 0; sent < total || received < total;) {
        const uint64_t behind = sent < total ? 512 : 0;

        if (run != NULL && sent == run->units / 640 * 64) {
            peer_begin(run);
        }
        for (int i = 0; i < 64 && sent < total; i++) {
            put(to, sent++);
        }
        for (; sent - received > behind; received++) {
            sum += take(from);
        }
    }
    return sum;
}

static void *trader(void *sum)
{
    *(uint64_t *)sum = trade(&back, &there, NULL);
    return NULL;
}

/* The unit: one item to the other thread, while one comes from there. */
static void mesh(struct peer_run *run)
{
    static uint64_t others_sum __attribute__((aligned(128)));
    pthread_t other;
    uint64_t sum;

    total = run->units / 640 * 64 + run->units;
    other = peer_thread(run->cpus[1], trader, &others_sum);
    sum = trade(&there, &back, run);
    peer_end(run, run->units);
    peer_join(other);
    if (sum != total * (total - 1) / 2 || others_sum != sum) {
        peer_fail("mesh_stream: the items that came are not those that were sent");
    }
}

static const struct peer_row rows[] = {
    { .name = "xcore_rtt", .run = rtt, .pair = true },
    { .name = "xcore_stream", .run = stream, .pair = true },
    { .name = "mesh_stream", .run = mesh, .pair = true },
};

int main(int argc, char **argv)
{
    ck_ring_init(&there.ring, PEER_CAPACITY);
    ck_ring_init(&back.ring, PEER_CAPACITY);
    return peer_main(argc, argv, "Concurrency Kit " PEER_VERSION, rows,
                     sizeof(rows) / sizeof(rows[0]));
}
