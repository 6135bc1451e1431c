/* SPDX-License-Identifier: MIT */
/*
 * A shard tells which optional features it was granted: what its kernel has, less
 * what was disabled.
 *
 * Method: rt_run() on simulated kernels of several versions, whose rings have what
 * those versions had. Guards of stacks come from the real kernel below, so they are
 * disabled where the whole text is compared.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

#define UNTOUCHED '#'

struct answer {
    char text[128];
    size_t room; /* of the text that is asked for */
    size_t length;
};

static int ask(void *arg)
{
    struct answer *answer = arg;

    answer->length = rt_features_format(answer->text, answer->room);
    return 0;
}

static struct answer granted_by(enum sim_kernel kernel, const char *disable, size_t room)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct answer answer = { .room = room };

    memset(answer.text, UNTOUCHED, sizeof(answer.text) - 1);
    config.disable = disable;
    sim_begin(&(struct sim_config){ .seed = 1, .kernel = kernel });
    assert_int_equal(rt_run(&config, ask, &answer), 0);
    assert_int_equal(sim_end(NULL), 0);
    return answer;
}

static void what_a_kernel_has_is_granted_by_name(void **state)
{
    static const struct {
        enum sim_kernel kernel;
        const char *disable;
        const char *granted;
    } rows[] = {
        { SIM_KERNEL_6_18, "guard_install",
          "no_sqarray no_iowait registered_ring defer_taskrun iowq fixed_buffers" },
        { SIM_KERNEL_6_12, "guard_install",
          "no_sqarray registered_ring defer_taskrun iowq fixed_buffers" },
        { SIM_KERNEL_6_1, "guard_install", "registered_ring defer_taskrun iowq fixed_buffers" },
        { SIM_KERNEL_6_18, "guard_install,no_iowait,iowq,fixed_buffers",
          "no_sqarray registered_ring defer_taskrun" },
        { SIM_KERNEL_6_18, "all", "none" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct answer answer = granted_by(rows[i].kernel, rows[i].disable,
                                                sizeof(answer.text));

        assert_string_equal(answer.text, rows[i].granted);
        assert_int_equal(answer.length, strlen(rows[i].granted));
    }
}

static void a_text_without_enough_room_is_cut_and_its_length_told(void **state)
{
    static const char whole[] = "registered_ring defer_taskrun iowq fixed_buffers";
    struct answer answer = granted_by(SIM_KERNEL_6_1, "guard_install", 11);

    (void)state;
    assert_string_equal(answer.text, "registered");
    assert_int_equal(answer.text[11], UNTOUCHED);
    assert_int_equal(answer.length, strlen(whole));

    answer = granted_by(SIM_KERNEL_6_1, "guard_install", 0);
    assert_int_equal(answer.text[0], UNTOUCHED);
    assert_int_equal(answer.length, strlen(whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_kernel_has_is_granted_by_name),
        cmocka_unit_test(a_text_without_enough_room_is_cut_and_its_length_told),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take away more */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
