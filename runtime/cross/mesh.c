/* SPDX-License-Identifier: MIT */
/* Mesh: see mesh.h. */
#include "cross/mesh.h"

#include <errno.h>
#include <poll.h>

#include "core/op.h"
#include "cross/call.h"
#include "cross/spsc.h"
#include "os/sys.h"

static struct rti_mesh_shard *shard_of(struct rti_inbox *inbox)
{
    return RTI_CONTAINER_OF(inbox, struct rti_mesh_shard, inbox);
}

/* Ringing and waking */

static void wake_by_counter(const struct rti_mesh_shard *target)
{
    const int r = rti_sys_eventfd_signal(target->event_fd);

    RTI_ASSERT(r >= 0 || r == -EAGAIN); /* -EAGAIN: 2^64 - 2 signals, so it is readable */
}

/* The target sleeps and this ring is the one that wakes it (D2). A shard that drains does not stay
 * to hear that its ring refused. */
static void wake(struct rti_mesh_shard *shard, const struct rti_mesh_shard *target)
{
    struct rti_reactor *reactor = &shard->executor->reactor;
    struct io_uring_sqe *sqe = shard->executor->draining ? NULL : rti_reactor_sqe(reactor);

    shard->inbox.wakes_sent++;
    if (sqe == NULL) {
        wake_by_counter(target);
        return;
    }
    io_uring_prep_msg_ring(sqe, target->ring_fd, 0, RTI_OP_IGNORED, 0);
    io_uring_sqe_set_data64(sqe, RTI_NOTE_WAKE | target->index);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (!shard->gathers) {
        (void)rti_uring_submit(&reactor->ring); /* N2 */
    }
}

void rti_mesh_ring(struct rti_mesh_shard *shard, uint32_t to)
{
    struct rti_mesh_shard *target = shard->mesh->shards[to];

    shard->inbox.rings++;
    if (rti_doorbell_ring_sender(&target->doorbell, shard->index)) {
        wake(shard, target);
    }
}

void rti_mesh_ring_control(struct rti_mesh_shard *shard, struct rti_mesh_shard *target)
{
    if (!rti_doorbell_ring(&target->doorbell, 0, RTI_DOORBELL_CONTROL)) {
        return;
    }
    if (shard != NULL) {
        wake(shard, target);
    } else {
        wake_by_counter(target);
    }
}

/* Not through the ring: a shard that closes may be told, and its descriptor be gone meanwhile. */
void rti_mesh_ring_all(struct rti_mesh *mesh, const struct rti_mesh_shard *except)
{
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        if (mesh->shards[i] != except) {
            rti_mesh_ring_control(NULL, mesh->shards[i]);
        }
    }
}

/* Publishing */

void rti_mesh_publish(struct rti_mesh_shard *shard, struct rti_outlet *outlet)
{
    rti_list_remove(&outlet->link);
    shard->inbox.messages_sent += rti_ring_unpublished(outlet->ring);
    if (rti_ring_publish(outlet->ring)) {
        rti_mesh_ring(shard, outlet->to);
    }
}

void rti_mesh_flush(struct rti_mesh_shard *shard)
{
    struct rti_list *node;

    while ((node = rti_list_first(&shard->unsent)) != NULL) {
        rti_mesh_publish(shard, RTI_CONTAINER_OF(node, struct rti_outlet, link));
    }
    while ((node = rti_list_first(&shard->unsent_channels)) != NULL) {
        rti_spsc_publish_node(node);
    }
    rti_home_flush(shard);
    shard->unsent_since = 0;
    shard->inbox.unsent = false;
}

static void mesh_flush(struct rti_inbox *inbox)
{
    struct rti_mesh_shard *shard = shard_of(inbox);

    shard->gathers = true; /* the enter that follows takes the wakes along */
    rti_mesh_flush(shard);
    shard->gathers = false;
}

static void mesh_flush_if_due(struct rti_inbox *inbox, uint64_t ticks)
{
    struct rti_mesh_shard *shard = shard_of(inbox);

    if (shard->unsent_since == 0) {
        shard->unsent_since = ticks;
    } else if (ticks - shard->unsent_since >= shard->executor->reactor.flush_ticks) {
        rti_mesh_flush(shard);
    }
}

/* Taking */

static struct rti_port *port_from(const struct rti_mesh_shard *shard, uint32_t from)
{
    /* pairs with the release in rti_mesh_port_to() */
    return __atomic_load_n(&shard->in[from], __ATOMIC_ACQUIRE);
}

/* `from` has rung: everything that may be between us and it is looked at. */
static void look(struct rti_mesh_shard *shard, uint32_t from)
{
    struct rti_port *in = port_from(shard, from);
    struct rti_port *out = shard->out[from];

    if (in != NULL) {
        rti_call_requests_came(shard, in);
        rti_call_send_late(shard, in);
    }
    if (out != NULL) {
        rti_call_take_replies(shard, out);
        rti_call_serve_waiters(shard, out);
    }
}

static void look_at_word(struct rti_mesh_shard *shard, uint32_t word)
{
    uint64_t bits = rti_doorbell_take(&shard->doorbell, word);

    if ((bits & RTI_DOORBELL_CONTROL) != 0) {
        bits &= ~RTI_DOORBELL_CONTROL;
        rti_wake_map_take(&shard->wake_map, shard->executor);
        rti_submissions_take(&shard->submissions, shard->executor);
        rti_home_gather(shard);
        rti_closing_look(shard);
        rti_dumps_look(shard);
    }
    while (bits != 0) {
        look(shard, word * RTI_SENDERS_PER_WORD + (uint32_t)__builtin_ctzll(bits));
        bits &= bits - 1;
    }
}

/* Multishot and edge-triggered: every signal brings a completion, and nobody needs to read the
 * counter. The kernel may end it; then it is asked again. */
static void arm_counter(struct rti_mesh_shard *shard)
{
    struct io_uring_sqe *sqe = rti_reactor_sqe(&shard->executor->reactor);

    if (sqe == NULL) {
        return; /* tried again next turn; may_sleep() is false until then */
    }
    io_uring_prep_poll_multishot(sqe, shard->event_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, RTI_NOTE_COUNTER);
    shard->armed = true;
}

static void look_at_words(struct rti_mesh_shard *shard)
{
    for (uint32_t i = 0; i < shard->doorbell.count; i++) {
        look_at_word(shard, i);
    }
}

bool rti_mesh_look_again(struct rti_mesh_shard *shard)
{
    if (!rti_doorbell_is_rung(&shard->doorbell)) {
        return false;
    }
    look_at_words(shard);
    rti_call_need_pump(shard);
    return true;
}

static void mesh_take(struct rti_inbox *inbox)
{
    struct rti_mesh_shard *shard = shard_of(inbox);

    look_at_words(shard);
    rti_call_need_pump(shard);
    if (RTI_UNLIKELY(!shard->armed)) {
        arm_counter(shard);
    }
    if (RTI_UNLIKELY(shard->owed)) {
        shard->owed = false;
        rti_home_run(shard);
        rti_dumps_look(shard);
    }
}

static bool mesh_is_rung(const struct rti_inbox *inbox)
{
    const struct rti_mesh_shard *shard = (const struct rti_mesh_shard *)(const void *)inbox;

    return rti_doorbell_is_rung(&shard->doorbell) || shard->owed;
}

static bool mesh_try_sleep(struct rti_inbox *inbox)
{
    struct rti_mesh_shard *shard = shard_of(inbox);

    rti_call_need_pump(shard); /* a task has ended: posts may start */
    if (rti_executor_has_runnable(shard->executor) || shard->inbox.unsent || !shard->armed ||
        shard->closing.again || shard->owed) {
        return false;
    }
    return rti_doorbell_try_sleep(&shard->doorbell);
}

static void mesh_note(struct rti_inbox *inbox, uint64_t user_data, int32_t result, uint32_t flags)
{
    struct rti_mesh_shard *shard = shard_of(inbox);

    if (user_data == RTI_NOTE_COUNTER) {
        shard->armed = (flags & IORING_CQE_F_MORE) != 0;
    } else if ((user_data & RTI_NOTE_WAKE) != 0 && result < 0) {
        shard->inbox.wakes_resent++;
        wake_by_counter(shard->mesh->shards[(uint32_t)user_data]);
    }
}

static void mesh_first_returned(struct rti_inbox *inbox, int result)
{
    rti_closing_first_returned(shard_of(inbox), result);
}

static void mesh_drained(struct rti_inbox *inbox)
{
    rti_closing_drained(shard_of(inbox));
}

static const struct rti_inbox_ops mesh_ops = {
    .take = mesh_take,
    .flush = mesh_flush,
    .flush_if_due = mesh_flush_if_due,
    .is_rung = mesh_is_rung,
    .try_sleep = mesh_try_sleep,
    .detach = rti_call_detach,
    .note = mesh_note,
    .first_returned = mesh_first_returned,
    .drained = mesh_drained,
};

/* Ports */

struct rti_port *rti_mesh_port_to(struct rti_mesh_shard *shard, uint32_t to)
{
    struct rti_mesh *mesh = shard->mesh;
    struct rti_port *port = shard->out[to];

    if (RTI_UNLIKELY(port == NULL)) {
        const int node = mesh->shards[to]->node;

        port = rti_port_create(shard->index, to, mesh->port_entries, mesh->posts_max,
                               node == shard->node ? -1 : node);
        if (port == NULL) {
            return NULL;
        }
        shard->out[to] = port;
        /* pairs with the acquire in port_from(); found by the first ring */
        __atomic_store_n(&mesh->shards[to]->in[shard->index], port, __ATOMIC_RELEASE);
    }
    return port;
}

/* Life */

int rti_mesh_init(struct rti_mesh *mesh, uint32_t shard_count, const struct rt_config *config)
{
    int r;

    *mesh = (struct rti_mesh){ .shard_count = shard_count, .posts_max = config->posts_max };
    mesh->port_entries = 1;
    while (mesh->port_entries < config->port_entries) {
        mesh->port_entries *= 2;
    }
    rti_closing_init(&mesh->closing, (config->flags & RT_CONFIG_KEEP) != 0);
    mesh->shards = rti_sys_alloc(shard_count * sizeof(struct rti_mesh_shard *));
    if (mesh->shards == NULL) {
        return -ENOMEM;
    }
    r = rti_claims_create(&mesh->claims);
    if (r < 0) {
        rti_sys_free(mesh->shards);
        return r;
    }
    rti_blocking_init(&mesh->blocking, config);
    return 0;
}

/* Objects whose home had detached when they were given back (O3). */
static void free_the_last(const struct rti_mesh *mesh)
{
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        if (mesh->shards[i] != NULL) {
            mesh->shards[i]->home.ends = true;
        }
    }
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        if (mesh->shards[i] != NULL) {
            rti_home_run_all(mesh->shards[i]);
        }
    }
}

void rti_mesh_fini(struct rti_mesh *mesh)
{
    free_the_last(mesh);
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        rti_mesh_destroy_shard(mesh->shards[i]);
    }
    rti_blocking_fini(&mesh->blocking);
    rti_claims_destroy(mesh->claims);
    rti_closing_fini(&mesh->closing);
    rti_sys_free(mesh->shards);
}

static int alloc_shard(struct rti_mesh_shard **out, uint32_t shard_count, uint32_t tasks_max)
{
    struct rti_mesh_shard *shard = rti_sys_alloc(sizeof(*shard));
    int r = -ENOMEM;

    if (shard == NULL) {
        return -ENOMEM;
    }
    shard->event_fd = -1;
    shard->out = rti_sys_alloc(shard_count * sizeof(struct rti_port *));
    shard->in = rti_sys_alloc(shard_count * sizeof(struct rti_port *));
    if (shard->out != NULL && shard->in != NULL) {
        r = rti_doorbell_init(&shard->doorbell, shard_count);
    }
    if (r == 0) {
        r = rti_wake_map_init(&shard->wake_map, tasks_max + RTI_TASKS_EXTRA);
    }
    if (r == 0) {
        r = rti_home_init(&shard->home, shard_count);
    }
    if (r == 0) {
        r = rti_sys_eventfd();
        shard->event_fd = r;
    }
    if (r < 0) {
        rti_mesh_destroy_shard(shard);
        return r;
    }
    *out = shard;
    return 0;
}

int rti_mesh_attach(struct rti_mesh *mesh, uint32_t index, struct rti_executor *executor, int node)
{
    struct rti_mesh_shard *shard;
    int r = alloc_shard(&shard, mesh->shard_count, executor->config.tasks_max);

    if (r < 0) {
        rti_log(&executor->log, RT_LOG_ERROR, "shard %u cannot be made: %s%s", index,
                rt_strerror(r),
                r == -EMFILE ? "; raise the limit of descriptors: ulimit -n NUMBER" : "");
        return r;
    }
    shard->inbox.ops = &mesh_ops;
    shard->mesh = mesh;
    shard->executor = executor;
    shard->index = index;
    shard->node = node;
    shard->ring_fd = executor->reactor.ring.fd;
    rti_list_init(&shard->unsent);
    rti_list_init(&shard->unsent_channels);
    rti_list_init(&shard->work);
    rti_list_init(&shard->starved);
    rti_pool_init(&shard->served, sizeof(struct rti_served));
    executor->inbox = &shard->inbox;
    executor->index = index;
    executor->claims = mesh->shard_count > 1 ? mesh->claims : NULL; /* alone: binds exclusively */
    mesh->shards[index] = shard;
    return 0;
}

/* The kernel's poll of the counter ends before the ring is closed. */
void rti_mesh_detach(struct rti_mesh_shard *shard)
{
    struct rti_reactor *reactor = &shard->executor->reactor;

    rti_dumps_leave(shard);
    rti_home_run_all(shard);
    rti_home_flush(shard);
    while (shard->armed) {
        struct io_uring_sqe *sqe = rti_reactor_sqe(reactor);

        if (sqe != NULL) {
            io_uring_prep_cancel64(sqe, RTI_NOTE_COUNTER, 0);
            io_uring_sqe_set_data64(sqe, RTI_NOTE_STOPPED);
        }
        rti_reactor_sleep(reactor, RT_MILLISECONDS(1));
        rti_reactor_reap(reactor);
    }
}

void rti_mesh_destroy_shard(struct rti_mesh_shard *shard)
{
    if (shard == NULL) {
        return;
    }
    for (uint32_t i = 0; shard->out != NULL && shard->mesh != NULL && i < shard->mesh->shard_count;
         i++) {
        rti_port_destroy(shard->out[i]);
    }
    if (shard->event_fd >= 0) {
        (void)rti_sys_close(shard->event_fd);
    }
    rti_pool_fini(&shard->served);
    rti_home_fini(&shard->home);
    rti_wake_map_fini(&shard->wake_map);
    rti_doorbell_fini(&shard->doorbell);
    rti_sys_free(shard->out);
    rti_sys_free(shard->in);
    rti_sys_free(shard);
}
