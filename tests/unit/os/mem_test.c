/* SPDX-License-Identifier: MIT */
/*
 * Memory near a node: zeroed, usable, given back; and from where it was asked.
 *
 * Method: the kernel is asked which policy a page has. Every machine has node 0.
 * Where the policy cannot be set (a call is made to fail) the memory works too.
 */
#include "support/fault.h"
#include "support/harness.h"

#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/mem.h"

#define BYTES (3 * 4096u)

static void use(char *memory)
{
    assert_non_null(memory);
    for (unsigned i = 0; i < BYTES; i++) {
        assert_int_equal(memory[i], 0);
    }
    memset(memory, 1, BYTES);
}

static void memory_near_a_node_has_its_policy(void **state)
{
    unsigned long nodes[16] = { 0 };
    int policy = -1;
    char *memory = rti_mem_alloc_near(BYTES, 0);

    (void)state;
    use(memory);
    if (syscall(SYS_get_mempolicy, &policy, nodes, sizeof(nodes) * 8, memory, MPOL_F_ADDR) != 0) {
        rti_mem_free_near(memory, BYTES, 0);
        skip(); /* a kernel without memory nodes, or a filter that forbids the question */
    }
    assert_int_equal(policy, MPOL_PREFERRED);
    assert_int_equal(nodes[0], 1);
    rti_mem_free_near(memory, BYTES, 0);
    assert_int_equal(fault_live_mapped(), 0);
}

static void memory_near_no_node_is_of_the_heap(void **state)
{
    char *memory = rti_mem_alloc_near(BYTES, -1);

    (void)state;
    use(memory);
    assert_int_equal(fault_live_blocks(), 1);
    rti_mem_free_near(memory, BYTES, -1);
    rti_mem_free_near(NULL, BYTES, -1);
    rti_mem_free_near(NULL, BYTES, 0);
    assert_int_equal(fault_live_blocks(), 0);
}

static void a_policy_that_cannot_be_set_does_no_harm(void **state)
{
    char *memory;

    (void)state;
    fault_begin(2); /* mmap, then mbind */
    memory = rti_mem_alloc_near(BYTES, 0);
    assert_true(fault_end());
    assert_string_equal(fault_name(), "rti_sys_mbind_near");
    use(memory);
    rti_mem_free_near(memory, BYTES, 0);

    memory = rti_mem_alloc_near(BYTES, 5000); /* there is no such node anywhere */
    use(memory);
    rti_mem_free_near(memory, BYTES, 5000);
    assert_int_equal(fault_live_mapped(), 0);
}

static void no_memory_is_said(void **state)
{
    (void)state;
    fault_begin(1);
    assert_null(rti_mem_alloc_near(BYTES, 0));
    assert_true(fault_end());
    fault_begin(1);
    assert_null(rti_mem_alloc_near(BYTES, -1));
    assert_true(fault_end());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_near_a_node_has_its_policy),
        cmocka_unit_test(memory_near_no_node_is_of_the_heap),
        cmocka_unit_test(a_policy_that_cannot_be_set_does_no_harm),
        cmocka_unit_test(no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
