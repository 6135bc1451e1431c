/* SPDX-License-Identifier: MIT */
/* Channels between many shards: see channel_mesh.h. */
#include "cross/channel_mesh.h"

#include <errno.h>
#include <string.h>

#include "base/sized.h"
#include "cross/look.h"
#include "cross/mesh.h"
#include "cross/spsc.h"
#include "os/sys.h"
#include "rt/mesh.h"

#define NAME_BYTES 32
#define NOBODY     UINT32_MAX

/* Between two looks at the bell (cross/look.h). */
#define PAUSES 4u

/* What a slot holds while there is no channel: bits that say which end was closed. */
#define SLOT_SENDER_CLOSED   1u
#define SLOT_RECEIVER_CLOSED 2u
#define SLOT_BITS            3u

/* Those who send, or those who receive. */
struct role {
    uint32_t *shards;   /* by place */
    uint32_t *place_of; /* by shard; NOBODY */
    uint32_t count;
};

struct rt_mesh {
    const struct rti_mesh *of; /* the runtime's: shards of another one are none of these */
    struct role producers;
    struct role consumers;
    uintptr_t *slots;         /* producer by producer; atomic */
    struct rti_inlet *inlets; /* by consumer */
    size_t item_bytes;
    uint32_t capacity;
    uint32_t shard_count;
    char name[NAME_BYTES];
};

/* Making */

static int refuse(const struct rt_mesh *mesh, const char *kind, const char *why, uint32_t shard)
{
    rti_log(&rti_current->log, RT_LOG_ERROR, "mesh \"%s\": %s: shard %u %s", mesh->name, kind,
            shard, why);
    return -EINVAL;
}

/* `shards` NULL: all. */
static int fill_role(struct rt_mesh *mesh, struct role *role, const uint32_t *shards,
                     uint32_t count, const char *kind)
{
    role->count = shards == NULL ? mesh->shard_count : count;
    if (role->count == 0) {
        rti_log(&rti_current->log, RT_LOG_ERROR,
                "mesh \"%s\": %s: name at least one shard, or leave NULL for all", mesh->name,
                kind);
        return -EINVAL;
    }
    role->shards = rti_sys_alloc(role->count * sizeof(uint32_t));
    role->place_of = rti_sys_alloc(mesh->shard_count * sizeof(uint32_t));
    if (role->shards == NULL || role->place_of == NULL) {
        return -ENOMEM;
    }
    memset(role->place_of, 0xff, mesh->shard_count * sizeof(uint32_t)); /* NOBODY */
    for (uint32_t i = 0; i < role->count; i++) {
        const uint32_t shard = shards == NULL ? i : shards[i];

        if (shard >= mesh->shard_count) {
            return refuse(mesh, kind, "is not there; they count from 0", shard);
        }
        if (role->place_of[shard] != NOBODY) {
            return refuse(mesh, kind, "is named twice", shard);
        }
        role->shards[i] = shard;
        role->place_of[shard] = i;
    }
    return 0;
}

static int make_inlets(struct rt_mesh *mesh)
{
    mesh->inlets = rti_sys_alloc(mesh->consumers.count * sizeof(struct rti_inlet));
    if (mesh->inlets == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < mesh->consumers.count; i++) {
        struct rti_inlet *inlet = &mesh->inlets[i];
        int r = rti_doorbell_init(&inlet->bell, mesh->producers.count);

        if (r < 0) {
            return r;
        }
        inlet->open = mesh->producers.count;
        inlet->ended = rti_sys_alloc(inlet->bell.count * sizeof(uint64_t));
        if (inlet->ended == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

static void set_name(struct rt_mesh *mesh, const char *name)
{
    const char *chosen = name != NULL ? name : "mesh";

    for (size_t i = 0; i + 1 < NAME_BYTES && chosen[i] != '\0'; i++) {
        mesh->name[i] = chosen[i];
    }
}

static int fill(struct rt_mesh *mesh, const struct rt_mesh_options *options)
{
    int r = rti_spsc_check_sizes(options->item_bytes, options->capacity);

    set_name(mesh, options->name);
    mesh->item_bytes = options->item_bytes;
    mesh->capacity = options->capacity;
    if (r == 0) {
        r = fill_role(mesh, &mesh->producers, options->producers, options->producer_count,
                      "producers");
    }
    if (r == 0) {
        r = fill_role(mesh, &mesh->consumers, options->consumers, options->consumer_count,
                      "consumers");
    }
    if (r == 0) {
        r = make_inlets(mesh);
    }
    if (r == 0) {
        mesh->slots = rti_sys_alloc((size_t)mesh->producers.count * mesh->consumers.count *
                                    sizeof(uintptr_t));
        r = mesh->slots == NULL ? -ENOMEM : 0;
    }
    return r;
}

static void free_mesh(struct rt_mesh *mesh)
{
    for (uint32_t i = 0; mesh->inlets != NULL && i < mesh->consumers.count; i++) {
        rti_doorbell_fini(&mesh->inlets[i].bell);
        rti_sys_free(mesh->inlets[i].ended);
    }
    rti_sys_free(mesh->slots);
    rti_sys_free(mesh->inlets);
    rti_sys_free(mesh->producers.shards);
    rti_sys_free(mesh->producers.place_of);
    rti_sys_free(mesh->consumers.shards);
    rti_sys_free(mesh->consumers.place_of);
    rti_sys_free(mesh);
}

int rt_mesh_create(struct rt_mesh **out, const struct rt_mesh_options *options)
{
    const struct rti_mesh_shard *here = rti_mesh_of_task("rt_mesh_create");
    struct rt_mesh_options complete;
    struct rt_mesh *mesh;
    int r = rti_sized_copy(&complete, sizeof(complete), options);

    if (r < 0) {
        rti_log(&rti_current->log, RT_LOG_ERROR, "the options of a mesh are of a newer library");
        return r;
    }
    mesh = rti_sys_alloc(sizeof(*mesh));
    if (mesh == NULL) {
        return -ENOMEM;
    }
    mesh->of = here->mesh;
    mesh->shard_count = here->mesh->shard_count;
    r = fill(mesh, &complete);
    if (r < 0) {
        free_mesh(mesh);
        return r;
    }
    *out = mesh;
    return 0;
}

/* The shard that calls. */
static const struct rti_mesh_shard *caller_of(const struct rt_mesh *mesh, const char *call)
{
    const struct rti_mesh_shard *here = rti_mesh_of_task(call);

    if (RTI_UNLIKELY(here->mesh != mesh->of)) {
        rti_misuse("%s(): mesh \"%s\" belongs to another runtime", call, mesh->name);
    }
    return here;
}

/* Slots */

static uintptr_t *slot_at(const struct rt_mesh *mesh, uint32_t producer, uint32_t consumer)
{
    return &mesh->slots[(size_t)producer * mesh->consumers.count + consumer];
}

/* The channel of a slot's value, or NULL. */
static struct rt_spsc *channel_in(uintptr_t value)
{
    return value > SLOT_BITS ? (struct rt_spsc *)value : NULL; /* or bits */
}

static uintptr_t read_slot(const uintptr_t *slot)
{
    /* pairs with the CAS in make_channel() and close_slot() */
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

static RTI_NOINLINE int make_channel(struct rt_spsc **out, struct rt_mesh *mesh, uint32_t producer,
                                     uint32_t consumer)
{
    const struct rti_mesh_shard *here = rti_mesh_here();
    const int node = here->mesh->shards[mesh->consumers.shards[consumer]]->node;
    const struct rti_spsc_plan plan = { .item_bytes = mesh->item_bytes,
                                        .inlet = &mesh->inlets[consumer],
                                        .source = producer,
                                        .capacity = mesh->capacity,
                                        .node = node == here->node ? -1 : node };
    uintptr_t *slot = slot_at(mesh, producer, consumer);
    struct rt_spsc *channel = rti_spsc_make(&plan);
    uintptr_t value;

    if (channel == NULL) {
        return -ENOMEM;
    }
    value = read_slot(slot);
    while (value <= SLOT_BITS) {
        rti_spsc_close_before_use(channel, (value & SLOT_SENDER_CLOSED) != 0,
                                  (value & SLOT_RECEIVER_CLOSED) != 0);
        /* pairs with the acquire in read_slot() */
        if (__atomic_compare_exchange_n(slot, &value, (uintptr_t)channel, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            *out = channel;
            return 0;
        }
    }
    rti_spsc_destroy(channel); /* the other end was quicker */
    *out = channel_in(value);
    return 0;
}

static int channel_at(struct rt_spsc **out, struct rt_mesh *mesh, uint32_t producer,
                      uint32_t consumer)
{
    struct rt_spsc *channel = channel_in(read_slot(slot_at(mesh, producer, consumer)));

    if (RTI_UNLIKELY(channel == NULL)) {
        return make_channel(out, mesh, producer, consumer);
    }
    *out = channel;
    return 0;
}

/* Who may do what */

static uint32_t place_in(const struct rt_mesh *mesh, const struct role *role, uint32_t shard,
                         const char *call)
{
    if (RTI_UNLIKELY(shard >= mesh->shard_count || role->place_of[shard] == NOBODY)) {
        rti_misuse("%s(): shard %u is none of those that %s in mesh \"%s\"", call, shard,
                   role == &mesh->producers ? "send" : "receive", mesh->name);
    }
    return role->place_of[shard];
}

static uint32_t own_place(const struct rt_mesh *mesh, const struct role *role, const char *call)
{
    return place_in(mesh, role, caller_of(mesh, call)->index, call);
}

int rt_mesh_sender(struct rt_spsc **out, struct rt_mesh *mesh, uint32_t to)
{
    const uint32_t producer = own_place(mesh, &mesh->producers, "rt_mesh_sender");

    return channel_at(out, mesh, producer, place_in(mesh, &mesh->consumers, to, "rt_mesh_sender"));
}

/* Sending to all: each shard begins with the one behind it, lest all meet at the same. */
int rt_mesh_send_all(struct rt_mesh *mesh, const void *items, size_t count, rt_time deadline)
{
    const uint32_t producer = own_place(mesh, &mesh->producers, "rt_mesh_send_all");
    uint32_t closed = 0;

    for (uint32_t i = 1; i <= mesh->consumers.count; i++) {
        struct rt_spsc *channel;
        int r = channel_at(&channel, mesh, producer, (producer + i) % mesh->consumers.count);

        if (r == 0) {
            r = rt_spsc_send(channel, items, count, NULL, deadline);
        }
        if (r == -EPIPE) {
            closed++;
        } else if (r < 0) {
            return r;
        }
    }
    return closed == mesh->consumers.count ? -EPIPE : 0;
}

/* Receiving from any */

static uint64_t bit_of(uint32_t source)
{
    return 1ull << (source % RTI_SENDERS_PER_WORD);
}

void rti_inlet_ring(struct rti_inlet *inlet, uint32_t source)
{
    if (rti_doorbell_ring_sender(&inlet->bell, source)) {
        rti_wake_task(__atomic_load_n(&inlet->waiting, __ATOMIC_RELAXED));
    }
}

void rti_inlet_end(struct rti_inlet *inlet, uint32_t source)
{
    const uint32_t word = source / RTI_SENDERS_PER_WORD;
    const uint64_t bit = bit_of(source);

    inlet->bell.pending[word] &= ~bit;
    if ((inlet->ended[word] & bit) != 0) {
        return; /* H3 */
    }
    inlet->ended[word] |= bit;
    inlet->open--;
    if (inlet->in_use) {
        rti_wake_task(__atomic_load_n(&inlet->waiting, __ATOMIC_RELAXED));
    }
}

/* Two who receive from one source would take each other's items, and be in its end at once. */
int rt_mesh_receiver(struct rt_spsc **out, struct rt_mesh *mesh, uint32_t from)
{
    const uint32_t consumer = own_place(mesh, &mesh->consumers, "rt_mesh_receiver");
    const uint32_t source = place_in(mesh, &mesh->producers, from, "rt_mesh_receiver");
    const int r = channel_at(out, mesh, source, consumer);

    if (r == 0) {
        rti_inlet_end(&mesh->inlets[consumer], source);
    }
    return r;
}

/* Into the set comes who has rung; ends a sleep. */
static void gather(struct rti_inlet *inlet)
{
    for (uint32_t i = 0; i < inlet->bell.count; i++) {
        inlet->bell.pending[i] = rti_doorbell_take(&inlet->bell, i) & ~inlet->ended[i];
    }
}

/* The first source of the set from `next` on, around the end; NOBODY when it is empty. */
static uint32_t first_in_turn(const struct rti_inlet *inlet)
{
    const uint32_t count = inlet->bell.count;
    const uint32_t start = inlet->next / RTI_SENDERS_PER_WORD;
    const uint64_t before = bit_of(inlet->next) - 1;

    for (uint32_t i = 0; i <= count; i++) {
        const uint32_t word = (start + i) % count;
        uint64_t bits = inlet->bell.pending[word];

        if (i == 0) {
            bits &= ~before;
        } else if (i == count) {
            bits &= before;
        }
        if (bits != 0) {
            return word * RTI_SENDERS_PER_WORD + (uint32_t)__builtin_ctzll(bits);
        }
    }
    return NOBODY;
}

/* The source had nothing: it rests, or has ended. */
static void rest(struct rti_inlet *inlet, struct rt_spsc *channel, uint32_t source)
{
    switch (rti_spsc_rest(channel)) {
    case RTI_SOURCE_RESTS:
        inlet->bell.pending[source / RTI_SENDERS_PER_WORD] &= ~bit_of(source);
        break;
    case RTI_SOURCE_ENDED:
        rti_inlet_end(inlet, source);
        break;
    case RTI_SOURCE_HAS_ITEMS:
        break;
    }
}

/* From the next source that has some: how many, and which. 0: the set is empty now. */
static size_t take_in_turn(struct rt_mesh *mesh, uint32_t consumer, void *items, size_t count,
                           uint32_t *from)
{
    struct rti_inlet *inlet = &mesh->inlets[consumer];
    uint32_t source;

    while ((source = first_in_turn(inlet)) != NOBODY) {
        struct rt_spsc *channel = channel_in(read_slot(slot_at(mesh, source, consumer)));
        size_t n;

        if (channel == NULL) { /* it was closed before it was there; nothing else rings then */
            rti_inlet_end(inlet, source);
            continue;
        }
        n = rti_spsc_take(channel, items, count);
        if (n > 0) {
            inlet->next = source + 1 < mesh->producers.count ? source + 1 : 0;
            *from = mesh->producers.shards[source];
            return n;
        }
        rest(inlet, channel, source);
    }
    return 0;
}

static bool look_for_rings(const struct rti_inlet *inlet, rt_time deadline)
{
    struct rti_look look;

    rti_look_begin(&look, rti_mesh_here(), NULL, deadline);
    while (rti_look_on(&look, PAUSES)) {
        if (rti_doorbell_is_rung(&inlet->bell)) {
            return true;
        }
    }
    return false;
}

/* Wait until somebody may have rung: 0, or why not. */
static int await_ring(struct rti_inlet *inlet, rt_time deadline)
{
    int r;

    if (look_for_rings(inlet, deadline)) {
        return 0;
    }
    __atomic_store_n(&inlet->waiting, rti_current->running, __ATOMIC_RELAXED);
    if (!rti_doorbell_try_sleep(&inlet->bell)) { /* H1 */
        return 0;
    }
    inlet->in_use = true;
    r = rt_park(deadline);
    inlet->in_use = false;
    gather(inlet);
    return r;
}

ssize_t rt_mesh_recv_any(struct rt_mesh *mesh, void *items, size_t count, uint32_t *from,
                         rt_time deadline)
{
    const uint32_t consumer = own_place(mesh, &mesh->consumers, "rt_mesh_recv_any");
    struct rti_inlet *inlet = &mesh->inlets[consumer];

    RTI_ASSERT(count > 0);
    if (RTI_UNLIKELY(inlet->in_use)) {
        rti_misuse("rt_mesh_recv_any(): another task is in it, on mesh \"%s\"", mesh->name);
    }
    for (;;) {
        uint32_t source;
        size_t n;
        int r;

        gather(inlet);
        n = take_in_turn(mesh, consumer, items, count, &source);
        if (n > 0) {
            if (from != NULL) {
                *from = source;
            }
            return (ssize_t)n;
        }
        if (inlet->open == 0) {
            return 0;
        }
        r = await_ring(inlet, deadline);
        if (r < 0) {
            return r;
        }
    }
}

/* Closing */

/* An end of a slot: of its channel, or of the one that may come. */
static void close_slot(struct rt_mesh *mesh, uint32_t producer, uint32_t consumer, uintptr_t bit)
{
    uintptr_t *slot = slot_at(mesh, producer, consumer);
    uintptr_t value = read_slot(slot);

    while (value <= SLOT_BITS) {
        /* pairs with the acquire in read_slot() */
        if (__atomic_compare_exchange_n(slot, &value, value | bit, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            if (bit == SLOT_SENDER_CLOSED) {
                rti_inlet_ring(&mesh->inlets[consumer], producer);
            } else {
                rti_inlet_end(&mesh->inlets[consumer], producer);
            }
            return;
        }
    }
    if (bit == SLOT_SENDER_CLOSED) {
        rt_spsc_close_sender(channel_in(value));
    } else {
        rt_spsc_close_receiver(channel_in(value));
    }
}

static void close_senders(struct rt_mesh *mesh, uint32_t shard)
{
    const uint32_t producer = mesh->producers.place_of[shard];

    for (uint32_t i = 0; producer != NOBODY && i < mesh->consumers.count; i++) {
        close_slot(mesh, producer, i, SLOT_SENDER_CLOSED);
    }
}

static void close_receivers(struct rt_mesh *mesh, uint32_t shard)
{
    const uint32_t consumer = mesh->consumers.place_of[shard];

    for (uint32_t i = 0; consumer != NOBODY && i < mesh->producers.count; i++) {
        close_slot(mesh, i, consumer, SLOT_RECEIVER_CLOSED);
    }
}

void rt_mesh_close_senders(struct rt_mesh *mesh)
{
    close_senders(mesh, caller_of(mesh, "rt_mesh_close_senders")->index);
}

void rt_mesh_close_receivers(struct rt_mesh *mesh)
{
    close_receivers(mesh, caller_of(mesh, "rt_mesh_close_receivers")->index);
}

/* Who has sent or received nothing yet has used no channel, and may wait all the same. */
static void must_not_wait(const struct rt_mesh *mesh, uint32_t consumer, const char *call)
{
    if (rti_doorbell_sleeps(&mesh->inlets[consumer].bell)) {
        rti_misuse("%s(): mesh \"%s\": shard %u waits in rt_mesh_recv_any()", call, mesh->name,
                   mesh->consumers.shards[consumer]);
    }
}

void rt_mesh_leave(struct rt_mesh *mesh, uint32_t shard)
{
    const uint32_t here = caller_of(mesh, "rt_mesh_leave")->index;

    if (shard >= mesh->shard_count) {
        rti_misuse("rt_mesh_leave(): there is no shard %u", shard);
    }
    if (shard != here && mesh->consumers.place_of[shard] != NOBODY) {
        must_not_wait(mesh, mesh->consumers.place_of[shard], "rt_mesh_leave");
    }
    close_senders(mesh, shard);
    close_receivers(mesh, shard);
}

void rt_mesh_destroy(struct rt_mesh *mesh)
{
    if (mesh == NULL) {
        return;
    }
    (void)caller_of(mesh, "rt_mesh_destroy");
    for (uint32_t i = 0; i < mesh->consumers.count; i++) {
        must_not_wait(mesh, i, "rt_mesh_destroy");
    }
    for (uint32_t i = 0; i < mesh->producers.count; i++) {
        for (uint32_t j = 0; j < mesh->consumers.count; j++) {
            struct rt_spsc *channel = channel_in(read_slot(slot_at(mesh, i, j)));

            if (channel == NULL) {
                continue;
            }
            if (rti_spsc_is_in_use(channel)) {
                rti_misuse("rt_mesh_destroy(): mesh \"%s\": shard %u or %u has used its end of the "
                           "channel between them and not left",
                           mesh->name, mesh->producers.shards[i], mesh->consumers.shards[j]);
            }
            rti_spsc_destroy(channel);
        }
    }
    free_mesh(mesh);
}
