/* SPDX-License-Identifier: MIT */
/* Features: lists of names to sets and back. */
#include "os/features.h"

#include <errno.h>
#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

static void lists_of_names_are_sets(void **state)
{
    static const struct {
        const char *list;
        uint32_t set;
    } rows[] = {
        { NULL, 0 },
        { "", 0 },
        { " ", 0 },
        { ",", 0 },
        { " ,, , ", 0 },
        { "guard_install", RTI_FEATURE_GUARD_INSTALL },
        { "no_sqarray", RTI_FEATURE_NO_SQARRAY },
        { "no_iowait", RTI_FEATURE_NO_IOWAIT },
        { "registered_ring", RTI_FEATURE_REGISTERED_RING },
        { "defer_taskrun", RTI_FEATURE_DEFER_TASKRUN },
        { "iowq", RTI_FEATURE_IOWQ },
        { "registered_files", RTI_FEATURE_REGISTERED_FILES },
        { "iopoll", RTI_FEATURE_IOPOLL },
        { "all", RTI_FEATURES_ALL },
        { "all,iowq", RTI_FEATURES_ALL },
        { "iowq,iowq iowq", RTI_FEATURE_IOWQ },
        { "iowq,no_iowait", RTI_FEATURE_IOWQ | RTI_FEATURE_NO_IOWAIT },
        { "iowq no_iowait", RTI_FEATURE_IOWQ | RTI_FEATURE_NO_IOWAIT },
        { " ,iowq ,, no_iowait, ", RTI_FEATURE_IOWQ | RTI_FEATURE_NO_IOWAIT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *wrong = NULL;
        uint32_t set = 0;

        assert_int_equal(rti_features_parse(rows[i].list, &set, &wrong), 0);
        assert_int_equal(set, rows[i].set);
        assert_null(wrong);
    }
}

static void a_list_adds_to_the_set(void **state)
{
    const char *wrong = NULL;
    uint32_t set = RTI_FEATURE_IOWQ;

    (void)state;
    assert_int_equal(rti_features_parse("no_iowait", &set, &wrong), 0);
    assert_int_equal(set, RTI_FEATURE_IOWQ | RTI_FEATURE_NO_IOWAIT);
    assert_int_equal(rti_features_parse(NULL, &set, &wrong), 0);
    assert_int_equal(set, RTI_FEATURE_IOWQ | RTI_FEATURE_NO_IOWAIT);
}

static void the_position_of_a_name_that_is_none_is_told(void **state)
{
    static const struct {
        const char *list;
        size_t position;
    } rows[] = {
        { "x", 0 },
        { "IOWQ", 0 },
        { "iow", 0 },
        { "iowqq", 0 },
        { "iowq;no_iowait", 0 },
        { "iowq,x", 5 },
        { "iowq, x,no_iowait", 6 },
        { "  all al", 6 },
        { "none", 0 },
        { "iowq\tall", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *wrong = NULL;
        uint32_t set = 0;

        assert_int_equal(rti_features_parse(rows[i].list, &set, &wrong), -EINVAL);
        assert_ptr_equal(wrong, rows[i].list + rows[i].position);
    }
}

static void a_set_is_shown_by_its_names(void **state)
{
    char text[128];

    (void)state;
    rti_features_format(0, text, sizeof(text));
    assert_string_equal(text, "none");
    rti_features_format(RTI_FEATURE_IOWQ, text, sizeof(text));
    assert_string_equal(text, "iowq");
    rti_features_format(RTI_FEATURE_NO_SQARRAY | RTI_FEATURE_IOWQ, text, sizeof(text));
    assert_string_equal(text, "no_sqarray iowq");
    rti_features_format(RTI_FEATURES_ALL, text, sizeof(text));
    assert_string_equal(text,
                        "guard_install no_sqarray no_iowait registered_ring defer_taskrun iowq "
                        "fixed_buffers registered_files iopoll");
}

static void every_set_survives_being_written_and_read(void **state)
{
    (void)state;
    for (uint32_t set = 1; set <= RTI_FEATURES_ALL; set++) {
        const char *wrong = NULL;
        uint32_t read = 0;
        char text[128];

        rti_features_format(set, text, sizeof(text));
        assert_int_equal(rti_features_parse(text, &read, &wrong), 0);
        assert_int_equal(read, set);
    }
}

static void a_text_is_cut_to_its_room(void **state)
{
    char whole[128];

    (void)state;
    rti_features_format(RTI_FEATURES_ALL, whole, sizeof(whole));
    for (size_t bytes = 1; bytes <= strlen(whole) + 1; bytes++) {
        char *text = test_malloc(bytes); /* its end is watched by cmocka and by ASan */

        rti_features_format(RTI_FEATURES_ALL, text, bytes);
        assert_int_equal(strlen(text), bytes - 1);
        assert_memory_equal(text, whole, bytes - 1);
        test_free(text);
    }
}

/* Lists made of pieces of names, separators and rubbish: read or refused, never read beyond. */
static void random_lists_are_read_or_refused(void **state)
{
    static const char *const pieces[] = { "iowq", "all", "no_", "iowait", ",",
                                          " ",    "_",   "x",   "",       "defer_taskrun" };

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(5000); i++) {
        struct rand_state rand;
        const char *wrong = NULL;
        uint32_t set = 0;
        char text[128] = "";
        size_t used = 0;

        rand_init(&rand, rt_test_seed(i));
        for (uint64_t n = rand_below(&rand, 8); n > 0; n--) {
            const char *piece = pieces[rand_below(&rand, sizeof(pieces) / sizeof(pieces[0]))];

            memcpy(text + used, piece, strlen(piece) + 1);
            used += strlen(piece);
        }
        if (rti_features_parse(text, &set, &wrong) < 0) {
            assert_in_range(wrong - text, 0, used - 1);
        }
        assert_int_equal(set & ~RTI_FEATURES_ALL, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_names_are_sets),
        cmocka_unit_test(a_list_adds_to_the_set),
        cmocka_unit_test(the_position_of_a_name_that_is_none_is_told),
        cmocka_unit_test(a_set_is_shown_by_its_names),
        cmocka_unit_test(every_set_survives_being_written_and_read),
        cmocka_unit_test(a_text_is_cut_to_its_room),
        cmocka_unit_test(random_lists_are_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
