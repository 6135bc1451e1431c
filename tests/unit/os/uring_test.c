/* SPDX-License-Identifier: MIT */
/*
 * Ring, against the real kernel: what is granted with each feature turned off, that
 * every such ring works, and the behaviour of the kernel that U1-U3 rely on.
 * Without io_uring the whole program is skipped.
 */
#include "os/uring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/features.h"
#include "os/sys.h"
#include "support/harness.h"

#define ENTRIES  8u
#define WAITS    64u /* more than one enter brings */
#define BATCH    20u /* completions that one enter brings since Linux 6.15 at the latest */
#define SETS     (RTI_FEATURES_ALL + 1)

static struct {
    char text[RTI_LOG_BYTES_MAX];
    unsigned lines;
} heard;

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    snprintf(heard.text, sizeof(heard.text), "%s", text);
    heard.lines++;
}

static const struct rti_log ear = { .write = hear, .level = RT_LOG_INFO };

static int try_open(struct rti_uring *ring, uint32_t sq_entries, uint32_t cq_entries,
                    uint32_t disabled)
{
    const struct rti_uring_config config = {
        .sq_entries = sq_entries,
        .cq_entries = cq_entries,
        .disabled = disabled,
        .io_workers = 3,
        .buffers_max = 4,
    };

    memset(&heard, 0, sizeof(heard));
    return rti_uring_open(ring, &config, &ear);
}

static void open_ring(struct rti_uring *ring, uint32_t sq_entries, uint32_t cq_entries,
                      uint32_t disabled)
{
    assert_int_equal(try_open(ring, sq_entries, cq_entries, disabled), 0);
    assert_int_equal(heard.lines, 0);
}

/* What this kernel grants when nothing is turned off. */
static uint32_t all_granted(void)
{
    struct rti_uring ring;

    open_ring(&ring, ENTRIES, ENTRIES * 2, 0);
    rti_uring_close(&ring);
    return ring.features;
}

static void add_nop(struct rti_uring *ring, uint64_t user_data)
{
    struct io_uring_sqe *sqe = rti_uring_sqe(ring);

    assert_non_null(sqe);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, user_data);
}

/* Read the completions that are ready, note each in `seen`, and give their room back. */
static uint32_t reap(struct rti_uring *ring, unsigned char *seen, uint64_t seen_count)
{
    const uint32_t ready = rti_uring_ready(ring);

    for (uint32_t i = 0; i < ready; i++) {
        const struct io_uring_cqe *cqe = rti_uring_cqe(ring, i);

        assert_in_range(cqe->user_data, 0, seen_count - 1);
        assert_true(cqe->res >= 0);
        assert_int_equal(seen[cqe->user_data]++, 0);
    }
    rti_uring_advance(ring, ready);
    return ready;
}

static void a_feature_that_is_turned_off_is_not_used_and_the_others_are(void **state)
{
    const uint32_t granted = all_granted();

    (void)state;
    for (uint32_t disabled = 0; disabled < SETS; disabled++) {
        struct rti_uring ring;
        const uint32_t flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG;
        bool deferred;

        open_ring(&ring, ENTRIES, ENTRIES * 2, disabled);
        assert_int_equal(ring.features, granted & ~disabled);
        deferred = (ring.features & RTI_FEATURE_DEFER_TASKRUN) != 0;
        assert_int_equal((ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) != 0, deferred);
        assert_int_equal((ring.setup_flags & IORING_SETUP_COOP_TASKRUN) != 0, !deferred);
        assert_int_equal(ring.setup_flags & flags, flags);
        assert_int_equal((ring.enter_flags & IORING_ENTER_REGISTERED_RING) != 0,
                         (ring.features & RTI_FEATURE_REGISTERED_RING) != 0);
        rti_uring_close(&ring);
    }
}

static void operations_complete_whatever_is_turned_off(void **state)
{
    (void)state;
    for (uint32_t disabled = 0; disabled < SETS; disabled++) {
        struct rti_uring ring;
        unsigned char seen[ENTRIES * 5] = { 0 };
        uint32_t next = 0;

        open_ring(&ring, ENTRIES, ENTRIES * 2, disabled);
        while (next < sizeof(seen)) { /* several times around both queues */
            for (uint32_t i = 0; i < ENTRIES - 1 && next < sizeof(seen); i++) {
                add_nop(&ring, next++);
            }
            assert_true(rti_uring_enter(&ring, 1, -1) > 0);
            assert_int_equal(rti_uring_pending(&ring), 0);
            (void)reap(&ring, seen, sizeof(seen));
        }
        for (size_t i = 0; i < sizeof(seen); i++) {
            assert_int_equal(seen[i], 1);
        }
        assert_int_equal(ring.submitted, sizeof(seen));
        assert_int_equal(*ring.cq_kernel_overflow, 0);
        rti_uring_close(&ring);
    }
}

static void a_full_submission_queue_gives_no_entry(void **state)
{
    struct rti_uring ring;
    unsigned char seen[ENTRIES * 2] = { 0 };

    (void)state;
    open_ring(&ring, ENTRIES, ENTRIES * 2, 0);
    assert_int_equal(ring.sq_entries, ENTRIES);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(rti_uring_pending(&ring), i);
        add_nop(&ring, i);
    }
    assert_null(rti_uring_sqe(&ring));
    assert_null(rti_uring_sqe(&ring));
    assert_int_equal(rti_uring_pending(&ring), ENTRIES);
    assert_int_equal(rti_uring_submit(&ring), ENTRIES);
    assert_int_equal(rti_uring_pending(&ring), 0);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        add_nop(&ring, ENTRIES + i);
    }
    assert_null(rti_uring_sqe(&ring));
    assert_int_equal(rti_uring_enter(&ring, ENTRIES * 2, -1), ENTRIES);
    assert_int_equal(reap(&ring, seen, sizeof(seen)), ENTRIES * 2);
    rti_uring_close(&ring);
}

/* Ten times more completions than the queue holds: the kernel keeps the rest and says so. */
static void a_completion_queue_that_overflows_loses_nothing(void **state)
{
    static const uint32_t sets[] = { 0, RTI_FEATURE_DEFER_TASKRUN, RTI_FEATURES_ALL };

    (void)state;
    for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++) {
        struct rti_uring ring;
        unsigned char seen[ENTRIES * 10] = { 0 };
        uint32_t taken = 0;

        open_ring(&ring, ENTRIES, ENTRIES, sets[s]);
        assert_int_equal(ring.cq_mask + 1, ENTRIES);
        for (uint32_t i = 0; i < sizeof(seen); i++) {
            add_nop(&ring, i);
            if (rti_uring_pending(&ring) == ENTRIES) {
                assert_int_equal(rti_uring_submit(&ring), ENTRIES);
            }
        }
        assert_int_equal(rti_uring_ready(&ring), ENTRIES);
        assert_true(rti_uring_is_overflown(&ring));
        while (rti_uring_has_work(&ring)) {
            taken += reap(&ring, seen, sizeof(seen));
            (void)rti_uring_enter(&ring, 0, -1);
        }
        taken += reap(&ring, seen, sizeof(seen));
        assert_int_equal(taken, sizeof(seen));
        assert_false(rti_uring_is_overflown(&ring));
        assert_int_equal(*ring.cq_kernel_overflow, 0);
        rti_uring_close(&ring);
    }
}

static void add_wait(struct rti_uring *ring, int fd, uint64_t user_data)
{
    struct io_uring_sqe *sqe = rti_uring_sqe(ring);

    assert_non_null(sqe);
    io_uring_prep_poll_add(sqe, fd, POLLIN);
    io_uring_sqe_set_data64(sqe, user_data);
}

/* Many waits for one descriptor end at the same time. No completion is there before an enter takes
 * them in, and while some are missing the kernel says so (U3): a loop over has_work() finds all. */
static void the_kernel_says_when_one_enter_did_not_bring_all(void **state)
{
    struct rti_uring ring;
    unsigned char seen[WAITS] = { 0 };
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    unsigned enters = 0;
    uint32_t taken = 0;

    (void)state;
    assert_true(fd >= 0);
    open_ring(&ring, WAITS, WAITS * 2, 0);
    if ((ring.features & RTI_FEATURE_DEFER_TASKRUN) == 0) {
        rti_uring_close(&ring);
        close(fd);
        skip();
    }
    for (uint32_t i = 0; i < WAITS; i++) {
        add_wait(&ring, fd, i);
    }
    assert_int_equal(rti_uring_enter(&ring, 0, -1), WAITS);
    assert_false(rti_uring_has_work(&ring));
    assert_int_equal(eventfd_write(fd, 1), 0);
    assert_true(rti_uring_has_work(&ring));
    assert_int_equal(rti_uring_ready(&ring), 0);
    assert_int_equal(rti_uring_submit(&ring), 0);
    assert_int_equal(rti_uring_ready(&ring), 0); /* only an enter with GETEVENTS takes them in */
    while (rti_uring_has_work(&ring)) {
        const int r = rti_uring_enter(&ring, 0, -1);
        const uint32_t count = reap(&ring, seen, WAITS);

        assert_int_equal(r, 0);
        assert_true(count > 0);
        taken += count;
        enters++;
    }
    assert_int_equal(taken, WAITS);
    if ((ring.features & RTI_FEATURE_NO_IOWAIT) != 0) { /* a kernel that has the limit for sure */
        assert_int_equal(enters, (WAITS + BATCH - 1) / BATCH);
    } else {
        print_message("%u completions took %u enters\n", WAITS, enters);
    }
    rti_uring_close(&ring);
    close(fd);
}

static void a_wait_ends_with_etime_and_not_before_its_time(void **state)
{
    static const uint32_t sets[] = { 0, RTI_FEATURES_ALL };
    static const rt_time lengths[] = { 0, 1, RT_MICROSECONDS(50), RT_MILLISECONDS(1),
                                       RT_MILLISECONDS(20) };

    (void)state;
    for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++) {
        struct rti_uring ring;

        open_ring(&ring, ENTRIES, ENTRIES, sets[s]);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            const rt_time start = rti_sys_now();

            assert_int_equal(rti_uring_enter(&ring, 1, lengths[i]), -ETIME);
            assert_true(rti_sys_now() - start >= lengths[i]);
            assert_int_equal(rti_uring_ready(&ring), 0);
        }
        rti_uring_close(&ring);
    }
}

static void a_wait_ends_when_a_completion_comes(void **state)
{
    struct rti_uring ring;
    unsigned char seen[3] = { 0 };

    (void)state;
    open_ring(&ring, ENTRIES, ENTRIES, 0);
    add_nop(&ring, 0);
    assert_int_equal(rti_uring_enter(&ring, 1, -1), 1);
    assert_int_equal(rti_uring_ready(&ring), 1);
    add_nop(&ring, 1); /* with a limit, which is far */
    assert_int_equal(rti_uring_enter(&ring, 2, RT_SECONDS(86400)), 1);
    assert_int_equal(rti_uring_ready(&ring), 2);
    add_nop(&ring, 2); /* what is pending is submitted though the limit is 0 */
    (void)rti_uring_enter(&ring, 8, 0);
    assert_int_equal(rti_uring_pending(&ring), 0);
    assert_int_equal(reap(&ring, seen, 3), 3);
    assert_int_equal(ring.enters, 3);
    assert_int_equal(ring.submitted, 3);
    rti_uring_close(&ring);
}

static void closing_leaves_no_descriptor_and_no_mapping(void **state)
{
    unsigned descriptors;
    unsigned mappings;

    (void)state;
    (void)all_granted(); /* whatever the first time takes from the heap */
    (void)t_open_descriptors();
    (void)t_mappings();
    descriptors = t_open_descriptors();
    mappings = t_mappings();
    for (uint32_t disabled = 0; disabled < SETS; disabled++) {
        struct rti_uring ring;

        open_ring(&ring, ENTRIES, ENTRIES, disabled);
        assert_int_equal(t_open_descriptors(), descriptors + 1);
        assert_true(t_mappings() > mappings);
        add_nop(&ring, 0);
        assert_int_equal(rti_uring_submit(&ring), 1); /* its completion is never read */
        rti_uring_close(&ring);
        assert_int_equal(t_open_descriptors(), descriptors);
        assert_int_equal(t_mappings(), mappings);
        rti_uring_close(&ring); /* twice is once */
        assert_int_equal(t_open_descriptors(), descriptors);
    }
}

static void a_ring_that_cannot_be_opened_leaves_nothing_and_says_why(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    struct rti_uring ring;

    (void)state;
    assert_int_equal(try_open(&ring, 0, 0, 0), -EINVAL);
    assert_int_equal(heard.lines, 1);
    assert_non_null(strstr(heard.text, "io_uring"));
    assert_int_equal(t_open_descriptors(), descriptors);
    rti_uring_close(&ring);
    assert_int_equal(t_open_descriptors(), descriptors);
}

/* The kernel registers 16 rings per thread: closing must give the place back, and a ring without
 * a place must work too. */
static void many_rings_of_one_thread_work_registered_or_not(void **state)
{
    struct rti_uring rings[20];
    const uint32_t granted = all_granted();
    unsigned registered = 0;

    (void)state;
    for (int round = 0; round < 3; round++) {
        registered = 0;
        for (size_t i = 0; i < 20; i++) {
            unsigned char seen[1] = { 0 };

            open_ring(&rings[i], ENTRIES, ENTRIES, 0);
            registered += (rings[i].features & RTI_FEATURE_REGISTERED_RING) != 0;
            add_nop(&rings[i], 0);
            assert_int_equal(rti_uring_enter(&rings[i], 1, -1), 1);
            assert_int_equal(reap(&rings[i], seen, 1), 1);
        }
        for (size_t i = 0; i < 20; i++) {
            rti_uring_close(&rings[i]);
        }
        assert_int_equal(registered, (granted & RTI_FEATURE_REGISTERED_RING) != 0 ? 16 : 0);
    }
}

static void sizes_are_rounded_up_to_powers_of_two(void **state)
{
    struct rti_uring ring;

    (void)state;
    open_ring(&ring, 5, 9, 0);
    assert_int_equal(ring.sq_entries, 8);
    assert_int_equal(ring.sq_mask, 7);
    assert_int_equal(ring.cq_mask, 15);
    rti_uring_close(&ring);
    open_ring(&ring, 1, 1, 0);
    assert_int_equal(ring.sq_entries, 1);
    add_nop(&ring, 0);
    assert_null(rti_uring_sqe(&ring));
    assert_int_equal(rti_uring_enter(&ring, 1, -1), 1);
    rti_uring_close(&ring);
}

static void the_kernel_makes_as_many_workers_as_it_was_told(void **state)
{
    struct rti_uring ring;
    uint32_t counts[2] = { 0, 0 }; /* zeroes ask */

    (void)state;
    open_ring(&ring, ENTRIES, ENTRIES, 0);
    if ((ring.features & RTI_FEATURE_IOWQ) == 0) {
        rti_uring_close(&ring);
        skip();
    }
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, counts, 2),
                     0);
    assert_int_equal(counts[0], 3);
    assert_int_equal(counts[1], 3);
    rti_uring_close(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_feature_that_is_turned_off_is_not_used_and_the_others_are),
        cmocka_unit_test(operations_complete_whatever_is_turned_off),
        cmocka_unit_test(a_full_submission_queue_gives_no_entry),
        cmocka_unit_test(a_completion_queue_that_overflows_loses_nothing),
        cmocka_unit_test(the_kernel_says_when_one_enter_did_not_bring_all),
        cmocka_unit_test(a_wait_ends_with_etime_and_not_before_its_time),
        cmocka_unit_test(a_wait_ends_when_a_completion_comes),
        cmocka_unit_test(closing_leaves_no_descriptor_and_no_mapping),
        cmocka_unit_test(a_ring_that_cannot_be_opened_leaves_nothing_and_says_why),
        cmocka_unit_test(many_rings_of_one_thread_work_registered_or_not),
        cmocka_unit_test(sizes_are_rounded_up_to_powers_of_two),
        cmocka_unit_test(the_kernel_makes_as_many_workers_as_it_was_told),
    };
    struct rti_uring ring;

    if (try_open(&ring, ENTRIES, ENTRIES, 0) < 0) {
        fprintf(stderr, "skipped: %s\n", heard.text);
        return T_EXIT_SKIPPED;
    }
    rti_uring_close(&ring);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
