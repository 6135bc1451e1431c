/* SPDX-License-Identifier: MIT */
/*
 * Buffers: blocks never overlap, every size that fits is had, and all comes back.
 *
 * Method: random gets and puts beside a naive model, a map of pages. It says where a block
 * may lie, and when there is none: at the limit a get must fail exactly if no aligned run of
 * free pages is long enough. After each step the lists of free blocks are counted. The ring
 * is one that grants nothing, so memory stays unregistered; tests/sim/buffer_test.c has one
 * that does.
 */
#include "core/buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/fault.h"
#include "support/harness.h"
#include "support/rand.h"

#define ARENAS    3u
#define STEPS     20000u
#define LIVE_MAX  1200u
#define CHECK_PER 16u /* steps: the count of free blocks walks through lists */

static const size_t sizes[RTI_BUFFER_CLASSES] = { 4096, 16384, 65536, 262144, 1048576 };

static struct rti_uring ring; /* grants nothing */
static const struct rti_log quiet = { .level = RT_LOG_ERROR };
static struct rti_buffers buffers;

static void begin(uint64_t bytes_max)
{
    rti_buffers_init(&buffers, bytes_max, &ring, &quiet);
}

static struct rt_buffer *get(size_t bytes)
{
    struct rt_buffer *buffer = NULL;

    assert_int_equal(rti_buffers_get(&buffers, &buffer, bytes), 0);
    return buffer;
}

/* B1 to B3, and nothing is lost: what is free and what is in use is all that there is. */
static void check(uint64_t bytes_in_use)
{
    uint64_t bytes_free = 0;

    for (unsigned c = 0; c < RTI_BUFFER_CLASSES; c++) {
        for (const struct rti_list *node = buffers.free[c].next; node != &buffers.free[c];
             node = node->next) {
            const struct rt_buffer *block = RTI_CONTAINER_OF(node, const struct rt_buffer, link);

            assert_int_equal(block->refs, 0);
            assert_int_equal(block->size_class, c);
            assert_int_equal((size_t)(block - block->arena->pages) % (sizes[c] / 4096), 0);
            bytes_free += sizes[c];
        }
    }
    assert_int_equal(bytes_free + bytes_in_use, buffers.bytes);
}

static void a_block_has_the_smallest_size_that_holds_what_was_asked(void **state)
{
    (void)state;
    begin(1);
    for (unsigned c = 0; c < RTI_BUFFER_CLASSES; c++) {
        const size_t asked[] = { c == 0 ? 1 : sizes[c - 1] + 1, sizes[c] - 1, sizes[c] };

        for (size_t i = 0; i < 3; i++) {
            struct rt_buffer *buffer = get(asked[i]);

            assert_int_equal(rti_buffer_size(buffer), sizes[c]);
            assert_int_equal((uintptr_t)rti_buffer_memory(buffer) % 4096, 0);
            memset(rti_buffer_memory(buffer), 1, sizes[c]);
            rti_buffer_release(buffer);
            check(0);
        }
    }
    rti_buffers_fini(&buffers);
}

/* The model */

struct held {
    struct rt_buffer *buffer;
    size_t first; /* page, counted over all arenas */
    size_t pages;
    unsigned char mark;
};

static struct {
    bool taken[ARENAS * RTI_ARENA_PAGES];
    const struct rti_buffer_arena *arenas[ARENAS]; /* in the order in which they came */
    unsigned arena_count;
    struct held held[LIVE_MAX];
    unsigned held_count;
    uint64_t bytes_in_use;
    unsigned char marks;
} model;

static bool model_is_free(size_t first, size_t pages)
{
    for (size_t i = 0; i < pages; i++) {
        if (model.taken[first + i]) {
            return false;
        }
    }
    return true;
}

static bool model_has_room(size_t pages)
{
    for (size_t first = 0; first < ARENAS * RTI_ARENA_PAGES; first += pages) {
        if (model_is_free(first, pages)) {
            return true;
        }
    }
    return false;
}

static size_t model_page_of(const struct rt_buffer *buffer)
{
    for (unsigned a = 0; a < ARENAS; a++) {
        if (a == model.arena_count) {
            model.arenas[model.arena_count++] = buffer->arena;
        }
        if (model.arenas[a] == buffer->arena) {
            return a * RTI_ARENA_PAGES +
                   (size_t)(rti_buffer_memory(buffer) - buffer->arena->memory) / 4096;
        }
    }
    fail_msg("more than %u arenas", ARENAS);
    return 0;
}

static void model_take(struct rt_buffer *buffer, size_t bytes)
{
    struct held *held = &model.held[model.held_count++];

    held->buffer = buffer;
    held->first = model_page_of(buffer);
    held->pages = bytes / 4096;
    held->mark = ++model.marks;
    assert_int_equal(held->first % held->pages, 0); /* B2 */
    assert_true(model_is_free(held->first, held->pages));
    memset(&model.taken[held->first], true, held->pages);
    model.bytes_in_use += bytes;
    rti_buffer_memory(buffer)[0] = (char)held->mark;
    rti_buffer_memory(buffer)[bytes - 1] = (char)held->mark;
}

static void model_give_back(unsigned index)
{
    const struct held held = model.held[index];
    const char *memory = rti_buffer_memory(held.buffer);

    assert_int_equal((unsigned char)memory[0], held.mark); /* nobody else wrote there */
    assert_int_equal((unsigned char)memory[held.pages * 4096 - 1], held.mark);
    memset(&model.taken[held.first], false, held.pages);
    model.bytes_in_use -= held.pages * 4096;
    model.held[index] = model.held[--model.held_count];
    rti_buffer_release(held.buffer);
}

static void step(struct rand_state *rand, unsigned puts_per_mille)
{
    if (model.held_count == LIVE_MAX || rand_chance(rand, puts_per_mille)) {
        if (model.held_count > 0) {
            model_give_back((unsigned)rand_below(rand, model.held_count));
        }
    } else {
        const size_t bytes = sizes[rand_below(rand, RTI_BUFFER_CLASSES)];
        struct rt_buffer *buffer = NULL;
        const int r = rti_buffers_get(&buffers, &buffer, bytes);

        if (r == 0) {
            model_take(buffer, bytes);
        } else {
            assert_int_equal(r, -EAGAIN);
            assert_int_equal(model.arena_count, ARENAS);
            assert_false(model_has_room(bytes / 4096));
        }
    }
}

static void run(uint64_t seed)
{
    unsigned puts_per_mille = 400;
    struct rand_state rand;

    rand_init(&rand, seed);
    memset(&model, 0, sizeof(model));
    begin((ARENAS - 1) * RTI_ARENA_BYTES + 1);
    for (unsigned i = 0; i < STEPS; i++) {
        if (i % 1000 == 0) { /* fuller, emptier */
            puts_per_mille = (unsigned)rand_range(&rand, 200, 800);
        }
        step(&rand, puts_per_mille);
        assert_int_equal(buffers.in_use, model.held_count);
        if (i % CHECK_PER == 0) {
            check(model.bytes_in_use);
        }
    }
    assert_true(buffers.refused > 0);
    while (model.held_count > 0) {
        model_give_back(model.held_count - 1);
    }
    check(0);
    for (unsigned i = 0; i < ARENAS * 4; i++) { /* all is whole again */
        (void)get(RTI_BUFFER_MAX);
    }
    rti_buffers_fini(&buffers);
}

static void random_gets_and_puts_are_as_in_the_model(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(8); i++) {
        print_message("seed %llu\n", (unsigned long long)rt_test_seed(i));
        run(rt_test_seed(i));
    }
}

static void memory_comes_back_with_the_last_reference(void **state)
{
    struct rt_buffer *buffer;

    (void)state;
    begin(1);
    buffer = get(1);
    buffer->refs += 2;
    rti_buffer_release(buffer);
    rti_buffer_release(buffer);
    assert_int_equal(buffers.in_use, 1);
    check(4096);
    rti_buffer_release(buffer);
    assert_int_equal(buffers.in_use, 0);
    check(0);
    rti_buffers_fini(&buffers);
}

static void what_was_put_last_is_got_first(void **state)
{
    struct rt_buffer *first;
    struct rt_buffer *second;

    (void)state;
    begin(1);
    first = get(1);
    second = get(1);
    rti_buffer_release(first);
    assert_ptr_equal(get(1), first);
    rti_buffer_release(second);
    assert_ptr_equal(get(1), second);
    rti_buffers_fini(&buffers);
}

static void without_memory_a_get_fails_and_the_next_one_may_succeed(void **state)
{
    unsigned refused = 0;
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        struct rt_buffer *buffer = NULL;
        int r;

        begin(1);
        fault_begin(n);
        r = rti_buffers_get(&buffers, &buffer, 1);
        failed = fault_end();
        assert_int_equal(buffers.refused, r == 0 ? 0 : 1);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_null(buffer);
            assert_int_equal(buffers.bytes, 0);
            refused++;
            (void)get(1);
        }
        rti_buffers_fini(&buffers);
        assert_int_equal(fault_live_blocks(), 0);
        assert_int_equal(fault_live_mapped(), 0);
    }
    assert_int_equal(refused, 2); /* the arena's memory, and what is known of it */
}

static void the_limit_is_rounded_up_to_whole_arenas(void **state)
{
    (void)state;
    assert_int_equal(rti_buffers_arenas(1), 1);
    assert_int_equal(rti_buffers_arenas(RTI_ARENA_BYTES), 1);
    assert_int_equal(rti_buffers_arenas(RTI_ARENA_BYTES + 1), 2);
    assert_int_equal(rti_buffers_arenas((uint64_t)64 << 30), 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_has_the_smallest_size_that_holds_what_was_asked),
        cmocka_unit_test(random_gets_and_puts_are_as_in_the_model),
        cmocka_unit_test(memory_comes_back_with_the_last_reference),
        cmocka_unit_test(what_was_put_last_is_got_first),
        cmocka_unit_test(without_memory_a_get_fails_and_the_next_one_may_succeed),
        cmocka_unit_test(the_limit_is_rounded_up_to_whole_arenas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
