/* SPDX-License-Identifier: MIT */
/*
 * Waits for channels of one shard: to send, to receive, for the value of a oneshot.
 *
 * Items carry numbers. Each is received once, or still there in the end; they come in the order in
 * which they were sent; and a send has happened if and only if it says so.
 */
#include "waits.h"

#include <errno.h>
#include <string.h>

#define CAPACITY_MAX 3
#define ITEMS_MAX    64

static struct rt_chan *chan;
static size_t item_bytes;
static size_t capacity;
static uint64_t items_sent;
static uint64_t items_received;
static bool closed;

static void chan_make(struct run *run)
{
    static const size_t sizes[] = { sizeof(uint64_t), ITEM_BYTES_MAX };

    item_bytes = sizes[rand_below(&run->rand, 2)];
    capacity = 1 + rand_below(&run->rand, CAPACITY_MAX);
    items_sent = 0;
    items_received = 0;
    closed = false;
    T_CHECK(rt_chan_create(&chan, item_bytes, capacity) == 0);
}

static void chan_close(void)
{
    closed = true;
    rt_chan_close(chan);
}

/* An item is its number, and that number again in all other bytes. */
static void fill(unsigned char *item, uint64_t number)
{
    memset(item, (int)number, item_bytes);
    memcpy(item, &number, sizeof(number));
}

static uint64_t number_of(const unsigned char *item)
{
    uint64_t number;

    memcpy(&number, item, sizeof(number));
    for (size_t i = sizeof(number); i < item_bytes; i++) {
        T_CHECK(item[i] == (unsigned char)number);
    }
    return number;
}

/* Receive */

static int recv_call(struct waiter *waiter, rt_time deadline)
{
    return rt_chan_recv(chan, waiter->bytes, deadline);
}

static struct rt_case recv_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    return rt_case_chan_recv(chan, waiter->bytes);
}

static int recv_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    return rt_poll_chan_recv(future, chan, waiter->bytes, deadline);
}

static bool recv_got(struct waiter *waiter, int result)
{
    if (result == -EPIPE) {
        return closed && rt_chan_length(chan) == 0;
    }
    T_CHECK(number_of(waiter->bytes) < items_sent);
    check_order(waiter, number_of(waiter->bytes)); /* so none came twice */
    items_received++;
    return result == 0;
}

static void send_some(struct run *run)
{
    unsigned char item[ITEM_BYTES_MAX];
    int r;

    if (rand_chance(&run->rand, 50)) {
        chan_close();
    }
    fill(item, items_sent);
    r = rt_chan_send(chan, item, 0);
    T_CHECK(closed ? r == -EPIPE : r == 0 || r == -ETIME);
    items_sent += r == 0;
}

static bool recv_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return closed || rt_chan_length(chan) > 0;
}

/* What was not received is still there: the last ones. */
static void recv_unmake(struct run *run)
{
    unsigned char item[ITEM_BYTES_MAX];

    (void)run;
    T_CHECK(rt_chan_length(chan) == items_sent - items_received);
    for (; items_received < items_sent; items_received++) {
        T_CHECK(rt_chan_recv(chan, item, 0) == 0 && number_of(item) == items_received);
    }
    rt_chan_destroy(chan);
}

static const struct kind recv_kind = {
    .name = "channel receive",
    .selected_twice = true,
    .make = chan_make,
    .call = recv_call,
    .make_case = recv_case,
    .poll = recv_poll,
    .got = recv_got,
    .happen = send_some,
    .is_there = recv_is_there,
    .unmake = recv_unmake,
};

/* Send: an item has the number of its wait. */

static bool said[ITEMS_MAX]; /* the send has returned 0 */
static bool came[ITEMS_MAX];
static uint64_t next_number; /* numbers below it have come, or never will */

static void send_make(struct run *run)
{
    chan_make(run);
    memset(said, 0, sizeof(said));
    memset(came, 0, sizeof(came));
    next_number = 0;
}

static int send_call(struct waiter *waiter, rt_time deadline)
{
    fill(waiter->bytes, waiter->ticket);
    return rt_chan_send(chan, waiter->bytes, deadline);
}

static struct rt_case send_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    fill(waiter->bytes, waiter->ticket);
    return rt_case_chan_send(chan, waiter->bytes);
}

static int send_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    fill(waiter->bytes, waiter->ticket);
    return rt_poll_chan_send(future, chan, waiter->bytes, deadline);
}

static bool send_got(struct waiter *waiter, int result)
{
    if (result == -EPIPE) {
        return closed;
    }
    T_CHECK(waiter->ticket < ITEMS_MAX);
    said[waiter->ticket % ITEMS_MAX] = true;
    memset(waiter->bytes, 0xee, sizeof(waiter->bytes)); /* it was taken: free to use again */
    return result == 0;
}

static bool take_one(void)
{
    unsigned char item[ITEM_BYTES_MAX];
    const int r = rt_chan_recv(chan, item, 0);
    uint64_t number;

    if (r != 0) {
        T_CHECK(closed ? r == -EPIPE : r == -ETIME || r == -ECANCELED);
        return false;
    }
    number = number_of(item);
    T_CHECK(number >= next_number && number < ITEMS_MAX);
    next_number = number + 1;
    came[number % ITEMS_MAX] = true;
    return true;
}

static void receive_some(struct run *run)
{
    if (rand_chance(&run->rand, 50)) {
        chan_close();
    }
    (void)take_one();
}

static bool send_is_there(const struct waiter *waiter)
{
    (void)waiter;
    return closed || rt_chan_length(chan) < capacity;
}

static void send_unmake(struct run *run)
{
    (void)run;
    while (take_one()) {
    }
    T_CHECK(memcmp(said, came, sizeof(said)) == 0);
    rt_chan_destroy(chan);
}

static const struct kind send_kind = {
    .name = "channel send",
    .make = send_make,
    .selected_twice = true,
    .call = send_call,
    .make_case = send_case,
    .poll = send_poll,
    .got = send_got,
    .happen = receive_some,
    .is_there = send_is_there,
    .unmake = send_unmake,
};

/* Oneshot: one of each waiter, a new one after each success. */

static struct {
    struct rt_oneshot oneshot;
    uint64_t value;
    bool sent;
    bool given_up;
} shots[WAITERS_MAX];

static void have_shot(struct waiter *waiter)
{
    shots[waiter->number].oneshot = (struct rt_oneshot)RT_ONESHOT_INIT;
    shots[waiter->number].value++;
    shots[waiter->number].sent = false;
    shots[waiter->number].given_up = false;
}

static int oneshot_call(struct waiter *waiter, rt_time deadline)
{
    return rt_oneshot_recv(&shots[waiter->number].oneshot, &waiter->pointer, deadline);
}

static struct rt_case oneshot_case(struct waiter *waiter, unsigned index)
{
    (void)index;
    return rt_case_oneshot(&shots[waiter->number].oneshot, &waiter->pointer);
}

static bool oneshot_got(struct waiter *waiter, int result)
{
    const unsigned number = waiter->number;
    bool right;

    if (result == -EPIPE) {
        right = shots[number].given_up;
    } else {
        right = result == 0 && shots[number].sent &&
                waiter->pointer == (void *)(uintptr_t)shots[number].value;
    }
    have_shot(waiter);
    return right;
}

static void shoot(struct run *run)
{
    const unsigned number = some_waiter(run)->number;

    if (shots[number].sent || shots[number].given_up) {
        return;
    }
    if (rand_chance(&run->rand, 200)) {
        shots[number].given_up = true;
        rt_oneshot_close(&shots[number].oneshot);
    } else {
        shots[number].sent = true;
        rt_oneshot_send(&shots[number].oneshot, (void *)(uintptr_t)shots[number].value);
    }
}

static bool oneshot_is_there(const struct waiter *waiter)
{
    return shots[waiter->number].sent || shots[waiter->number].given_up;
}

/* What was sent and not taken can still be taken. */
static void oneshot_unmake(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        void *value;
        const int r = rt_oneshot_recv(&shots[i].oneshot, &value, 0);

        if (shots[i].sent) {
            T_CHECK(r == 0 && value == (void *)(uintptr_t)shots[i].value);
        } else {
            T_CHECK(shots[i].given_up ? r == -EPIPE : r == -ETIME || r == -ECANCELED);
        }
    }
}

static const struct kind oneshot_kind = {
    .name = "oneshot",
    .make_waiter = have_shot,
    .call = oneshot_call,
    .make_case = oneshot_case,
    .got = oneshot_got,
    .happen = shoot,
    .is_there = oneshot_is_there,
    .unmake = oneshot_unmake,
};

const struct kind *const waits_channels[] = { &recv_kind, &send_kind, &oneshot_kind, NULL };
