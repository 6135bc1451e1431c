/* SPDX-License-Identifier: MIT */
/*
 * Options: the configuration from a command line and from the environment.
 *
 * Goal: what is understood sets its field and is taken out of argv, what is
 * not stays in its order, and a value that cannot be read is refused in words
 * that hold what was given and what would be right. Method: command lines as
 * they come, checked field by field; the help text is read back as a list of
 * options, so that no option can be left out of these tests.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "rt/dump.h"
#include "rt/start.h"
#include "support/ear.h"
#include "support/harness.h"

#define ARGUMENTS_MAX 64

/* Of errors. */
#define NUMBER "it must be a number, such as 1024"
#define SIGNAL "it must be the name of a signal, such as USR1 or QUIT"
#define TIME   "it must be a time with its unit (ns, us, ms or s), such as 500us"

static const char *const variables[] = {
    "RT_CPUS",         "RT_SHARDS",          "RT_PLACE",       "RT_SPIN",        "RT_TASKS_MAX",
    "RT_PORT_ENTRIES", "RT_POSTS_MAX",       "RT_STACK",       "RT_TASK_QUOTA",  "RT_RING_ENTRIES",
    "RT_STOP_TIMEOUT", "RT_IO_WORKERS",      "RT_LOG_LEVEL",   "RT_DUMP_SIGNAL", "RT_DUMP_FILE",
    "RT_DUMP_FORMAT",  "RT_DISABLE",         "RT_STALL",       "RT_WAIT_CYCLES", "RT_TIMER_SLACK",
    "RT_NEAR",         "RT_IO_WORKER_PLACE", "RT_SPIN_POLICY", "RT_DISK_MODELS",
};

static int without_variables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        unsetenv(variables[i]);
    }
    return 0;
}

static struct rt_config heard_config(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&heard, 0, sizeof(heard));
    config.log = hear;
    config.log_arg = &heard;
    return config;
}

/* A command line, cut at single spaces into memory that may be written. */
struct line {
    char text[1024];
    char *argv[ARGUMENTS_MAX];
    int argc;
};

static struct line *line_of(struct line *line, const char *text)
{
    char *rest = line->text;

    snprintf(line->text, sizeof(line->text), "%s", text);
    line->argc = 0;
    while (rest != NULL) {
        assert_true(line->argc < ARGUMENTS_MAX - 1);
        line->argv[line->argc++] = strsep(&rest, " ");
    }
    line->argv[line->argc] = NULL;
    return line;
}

static int parse(struct rt_config *config, struct line *line, const char *text)
{
    *config = heard_config();
    (void)line_of(line, text);
    return rt_config_parse(config, &line->argc, line->argv);
}

static void assert_left(const struct line *line, const char *expected)
{
    char text[512] = "";
    size_t len = 0;

    for (int i = 0; i < line->argc; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i == 0 ? "" : " ",
                                line->argv[i]);
    }
    assert_string_equal(text, expected);
    assert_null(line->argv[line->argc]);
}

static void assert_all_fields(const struct rt_config *config)
{
    assert_string_equal(config->cpus, "0-3,8");
    assert_int_equal(config->shards, 4);
    assert_int_equal(config->place, RT_PLACE_SPREAD);
    assert_int_equal(config->spin, RT_MICROSECONDS(50));
    assert_int_equal(config->spin_policy, RT_SPIN_ADAPTIVE);
    assert_int_equal(config->stall_threshold, RT_MILLISECONDS(20));
    assert_int_equal(config->wait_cycles, RT_SECONDS(2));
    assert_int_equal(config->timer_slack, RT_MILLISECONDS(1));
    assert_int_equal(config->tasks_max, 1000);
    assert_int_equal(config->port_entries, 64);
    assert_int_equal(config->posts_max, 32);
    assert_int_equal(config->ring_entries, 512);
    assert_int_equal(config->stack_bytes, 16 * 1024);
    assert_int_equal(config->task_quota, RT_MILLISECONDS(1));
    assert_int_equal(config->stop_timeout, RT_SECONDS(5));
    assert_int_equal(config->io_workers, 2);
    assert_int_equal(config->io_worker_place, RT_IO_WORKER_OTHERS);
    assert_int_equal(config->log_level, RT_LOG_INFO);
    assert_int_equal(config->dump_signal, SIGUSR1);
    assert_string_equal(config->dump_path, "dumps");
    assert_int_equal(config->dump_flags, RT_DUMP_JSON);
}

static void every_option_sets_its_field_in_either_form(void **state)
{
    struct rt_config config;
    struct line line;

    (void)state;
    assert_int_equal(parse(&config, &line,
                           "program --cpus 0-3,8 --shards 4 --place spread --spin 50us "
                           "--stall 20ms --wait-cycles 2s --timer-slack 1ms "
                           "--tasks-max 1000 --port-entries 64 --posts-max 32 --ring-entries 512 "
                           "--stack 16k --task-quota 1ms --stop-timeout 5s --io-workers 2 "
                           "--io-worker-place others --spin-policy adaptive "
                           "--log-level info --dump-signal USR1 --dump-file dumps "
                           "--dump-format json"),
                     0);
    assert_all_fields(&config);
    assert_left(&line, "program");
    assert_int_equal(parse(&config, &line, "program --disable iowq"), 0);
    assert_string_equal(config.disable, "iowq");
    assert_int_equal(parse(&config, &line, "program --near /data file"), 0); /* and the place */
    assert_string_equal(config.near, "/data");
    assert_int_equal(config.place, RT_PLACE_NEAR);
    assert_left(&line, "program file");

    assert_int_equal(parse(&config, &line,
                           "program --cpus=0-3,8 --shards=4 --place=spread --spin=50us "
                           "--stall=20ms --wait-cycles=2s --timer-slack=1ms "
                           "--tasks-max=1000 --port-entries=64 --posts-max=32 --ring-entries=512 "
                           "--stack=16k --task-quota=1ms --stop-timeout=5s --io-workers=2 "
                           "--io-worker-place=others --spin-policy=adaptive "
                           "--log-level=info --dump-signal=SIGUSR1 --dump-file=dumps "
                           "--dump-format=json --disable=no_iowait,iowq"),
                     0);
    assert_all_fields(&config);
    assert_string_equal(config.disable, "no_iowait,iowq");
    assert_left(&line, "program");
    assert_int_equal(heard.lines, 0);
}

static void the_environment_sets_the_same_fields(void **state)
{
    struct rt_config config;
    struct line line;

    (void)state;
    setenv("RT_CPUS", "0-3,8", 1);
    setenv("RT_SHARDS", "4", 1);
    setenv("RT_PLACE", "spread", 1);
    setenv("RT_SPIN", "50us", 1);
    setenv("RT_STALL", "20ms", 1);
    setenv("RT_WAIT_CYCLES", "2s", 1);
    setenv("RT_TIMER_SLACK", "1ms", 1);
    setenv("RT_TASKS_MAX", "1000", 1);
    setenv("RT_PORT_ENTRIES", "64", 1);
    setenv("RT_POSTS_MAX", "32", 1);
    setenv("RT_RING_ENTRIES", "512", 1);
    setenv("RT_STACK", "16k", 1);
    setenv("RT_TASK_QUOTA", "1ms", 1);
    setenv("RT_STOP_TIMEOUT", "5s", 1);
    setenv("RT_IO_WORKERS", "2", 1);
    setenv("RT_IO_WORKER_PLACE", "others", 1);
    setenv("RT_SPIN_POLICY", "adaptive", 1);
    setenv("RT_LOG_LEVEL", "info", 1);
    setenv("RT_DUMP_SIGNAL", "USR1", 1);
    setenv("RT_DUMP_FILE", "dumps", 1);
    setenv("RT_DUMP_FORMAT", "json", 1);
    assert_int_equal(parse(&config, &line, "program"), 0);
    assert_all_fields(&config);
    assert_int_equal(heard.lines, 0);
}

/* The executor reads it itself and adds it to config.disable: to be read once is enough. */
static void the_variable_of_disable_is_left_to_the_executor(void **state)
{
    struct rt_config config;
    struct line line;

    (void)state;
    setenv("RT_DISABLE", "nonsense", 1);
    assert_int_equal(parse(&config, &line, "program"), 0);
    assert_null(config.disable);
}

static void the_command_line_counts_more_than_the_environment(void **state)
{
    struct rt_config config;
    struct line line;

    (void)state;
    setenv("RT_SHARDS", "4", 1);
    setenv("RT_TASKS_MAX", "9", 1);
    assert_int_equal(parse(&config, &line, "program --shards 2 --shards=3"), 0);
    assert_int_equal(config.shards, 3); /* and of several, the last */
    assert_int_equal(config.tasks_max, 9);
}

static void an_empty_variable_is_none(void **state)
{
    struct rt_config config;
    struct line line;

    (void)state;
    setenv("RT_SHARDS", "", 1);
    setenv("RT_CPUS", "", 1);
    assert_int_equal(parse(&config, &line, "program"), 0);
    assert_int_equal(config.shards, 0);
    assert_null(config.cpus);
}

static void fields_that_nothing_sets_are_left_alone(void **state)
{
    struct rt_config config = heard_config();
    struct rt_config before;
    struct line line;

    (void)state;
    config.shards = 7;
    config.cpus = "1";
    config.spin = 5;
    before = config;
    before.place = RT_PLACE_PU;
    (void)line_of(&line, "program --place pu");
    assert_int_equal(rt_config_parse(&config, &line.argc, line.argv), 0);
    assert_memory_equal(&config, &before, sizeof(config));
}

static void what_is_not_understood_keeps_its_order(void **state)
{
    static const struct {
        const char *given;
        const char *left;
    } rows[] = {
        { "program", "program" },
        { "program a b", "program a b" },
        { "program --shards 2 a", "program a" },
        { "program a --shards 2 b --cpus=0 c", "program a b c" },
        { "program -v --port 7 --shards 2 --verbose", "program -v --port 7 --verbose" },
        { "program --shard 2", "program --shard 2" },     /* no abbreviation */
        { "program --shards2 2", "program --shards2 2" }, /* and nothing longer */
        { "program -shards 2", "program -shards 2" },
        { "program shards 2", "program shards 2" },
        { "program a -- --shards x", "program a -- --shards x" },
        { "program --shards 2 -- --shards x", "program -- --shards x" },
        { "--shards --shards 2", "--shards" }, /* the name of the program is no option */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rt_config config;
        struct line line;

        assert_int_equal(parse(&config, &line, rows[i].given), 0);
        assert_left(&line, rows[i].left);
        assert_int_equal(config.shards, strstr(rows[i].given, "--shards 2") != NULL ? 2 : 0);
    }
}

static void no_arguments_at_all_are_none(void **state)
{
    struct rt_config config = heard_config();
    char *argv[] = { NULL };
    int argc = 0;

    (void)state;
    assert_int_equal(rt_config_parse(&config, &argc, argv), 0);
    assert_int_equal(argc, 0);
}

static void times_have_a_unit_and_zero_needs_none(void **state)
{
    static const struct {
        const char *given;
        rt_time spin;
    } rows[] = {
        { "program --spin off", RT_SPIN_OFF },
        { "program --spin 0", 0 },
        { "program --spin 0ms", 0 },
        { "program --spin 7ns", 7 },
        { "program --spin 50us", RT_MICROSECONDS(50) },
        { "program --spin 1ms", RT_MILLISECONDS(1) },
        { "program --spin 9223372036s", RT_SECONDS(9223372036) },
        { "program --spin 9223372036854775807ns", INT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rt_config config;
        struct line line;

        assert_int_equal(parse(&config, &line, rows[i].given), 0);
        assert_int_equal(config.spin, rows[i].spin);
    }
}

static void every_place_and_level_has_its_name(void **state)
{
    static const char *const places[] = { "core", "pu", "spread", "pack", "unbound", "near" };
    static const char *const levels[] = { "error", "warning", "info" };
    struct rt_config config;
    struct line line;
    char text[64];

    (void)state;
    for (uint32_t i = 0; i <= RT_PLACE_NEAR; i++) {
        snprintf(text, sizeof(text), "program --place %s", places[i]);
        assert_int_equal(parse(&config, &line, text), 0);
        assert_int_equal(config.place, i);
    }
    for (uint32_t i = RT_LOG_ERROR; i <= RT_LOG_INFO; i++) {
        snprintf(text, sizeof(text), "program --log-level %s", levels[i - RT_LOG_ERROR]);
        assert_int_equal(parse(&config, &line, text), 0);
        assert_int_equal(config.log_level, i);
    }
    assert_int_equal(parse(&config, &line, "program --dump-format text"), 0);
    assert_int_equal(config.dump_flags, 0);
    assert_int_equal(parse(&config, &line, "program --dump-signal QUIT"), 0);
    assert_int_equal(config.dump_signal, SIGQUIT);
}

static void a_value_that_cannot_be_read_is_refused_in_words(void **state)
{
    static const struct {
        const char *given;
        const char *text; /* of the whole error */
    } rows[] = {
        { "p --shards x", "--shards is \"x\"; " NUMBER },
        { "p --shards=x", "--shards is \"x\"; " NUMBER },
        { "p --shards -1", "--shards is \"-1\"; " NUMBER },
        { "p --shards +1", "--shards is \"+1\"; " NUMBER },
        { "p --shards 1k", "--shards is \"1k\"; " NUMBER },
        { "p --shards 4294967296", "--shards is \"4294967296\"; it must be smaller" },
        { "p --shards 18446744073709551617",
          "--shards is \"18446744073709551617\"; it must be smaller" },
        { "p --stack 64kb",
          "--stack is \"64kb\"; it must be a number of bytes, such as 65536 or 64k" },
        /* 4 and 1024 modulo 2^64 */
        { "p --shards 18446744073709551620",
          "--shards is \"18446744073709551620\"; it must be smaller" },
        { "p --stack 18014398509481985k", "--stack is \"18014398509481985k\"; it must be smaller" },
        { "p --stack 4194304k", "--stack is \"4194304k\"; it must be smaller" },
        { "p --task-quota 5", "--task-quota is \"5\"; " TIME },
        { "p --task-quota ms", "--task-quota is \"ms\"; " TIME },
        { "p --task-quota off", "--task-quota is \"off\"; " TIME },
        { "p --stop-timeout 9223372037s", "--stop-timeout is \"9223372037s\"; it must be smaller" },
        { "p --stop-timeout 18446744073709551615s",
          "--stop-timeout is \"18446744073709551615s\"; it must be smaller" },
        { "p --spin on", "--spin is \"on\"; it must be off or a time with its unit (ns, us, ms or "
                         "s), such as 50us" },
        { "p --spin-policy off", "--spin-policy is \"off\"; it must be fixed|adaptive" },
        { "p --place Core", "--place is \"Core\"; it must be core|pu|spread|pack|unbound|near" },
        { "p --place core|pu",
          "--place is \"core|pu\"; it must be core|pu|spread|pack|unbound|near" },
        { "p --near", "--near needs a value: PATH" },
        { "p --log-level 2", "--log-level is \"2\"; it must be error|warning|info" },
        { "p --io-worker-place any", "--io-worker-place is \"any\"; it must be shard|others" },
        { "p --dump-signal SIG", "--dump-signal is \"SIG\"; " SIGNAL },
        { "p --dump-signal 10", "--dump-signal is \"10\"; " SIGNAL },
        { "p --dump-signal usr1", "--dump-signal is \"usr1\"; " SIGNAL },
        { "p --dump-format xml", "--dump-format is \"xml\"; it must be text|json" },
        { "p --shards", "--shards needs a value: N" },
        { "p --shards=", "--shards needs a value: N" },
        { "p --cpus --shards 3", "--cpus needs a value: LIST" },
        { "p --cpus --", "--cpus needs a value: LIST" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rt_config config;
        struct line line;

        assert_int_equal(parse(&config, &line, rows[i].given), -EINVAL);
        assert_int_equal(heard.lines, 1);
        assert_int_equal(heard.level, RT_LOG_ERROR);
        assert_ptr_equal(heard.arg, &heard);
        assert_string_equal(heard.text, rows[i].text);
        assert_left(&line, rows[i].given);
    }
}

static void what_was_read_before_an_error_is_not_kept(void **state)
{
    const struct rt_config before = heard_config();
    struct rt_config config;
    struct line line;

    (void)state;
    setenv("RT_SPIN", "1ms", 1);
    assert_int_equal(parse(&config, &line, "program --shards 3 a --stack x"), -EINVAL);
    assert_memory_equal(&config, &before, sizeof(config));
    assert_left(&line, "program --shards 3 a --stack x");
}

static void a_wrong_variable_is_refused_by_its_name(void **state)
{
    struct rt_config config;
    struct line line;

    (void)state;
    setenv("RT_TASK_QUOTA", "5 minutes", 1);
    assert_int_equal(parse(&config, &line, "program --task-quota 1ms"), -EINVAL);
    assert_string_equal(heard.text, "RT_TASK_QUOTA is \"5 minutes\"; " TIME);
}

/* ASan sees it if a byte behind the smaller struct is written. */
static void a_field_that_an_older_program_lacks_is_refused(void **state)
{
    const uint32_t size = offsetof(struct rt_config, place);
    struct rt_config *config = test_calloc(1, size);
    const struct rt_config whole = heard_config();
    struct line line;

    (void)state;
    memcpy(config, &whole, size);
    config->size = size;
    (void)line_of(&line, "program --shards 3");
    assert_int_equal(rt_config_parse(config, &line.argc, line.argv), 0);
    assert_int_equal(config->shards, 3);
    (void)line_of(&line, "program --place pu");
    assert_int_equal(rt_config_parse(config, &line.argc, line.argv), -EINVAL);
    assert_string_equal(heard.text,
                        "--place: the program was built for an older library, which did not know "
                        "this");
    test_free(config);
}

/* Each line of the help begins with an option that is understood; its variable is in the list. */
static void the_help_lists_every_option_within_80_columns(void **state)
{
    const char *line = rt_config_help();
    unsigned options = 0;

    (void)state;
    while (*line != '\0') {
        const size_t columns = strcspn(line, "\n");

        assert_true(columns <= 80);
        /* The text begins in one column; an option that is too long stands alone in its line. */
        assert_true(columns > 23);
        if (line[22] == ' ') {
            assert_true(line[23] != ' ');
        } else {
            assert_null(memchr(line + 22, ' ', columns - 22));
        }
        if (strncmp(line, "  --", 4) == 0) {
            struct rt_config config;
            struct line given;
            char text[64];

            snprintf(text, sizeof(text), "program %.*s", (int)strcspn(line + 2, " "), line + 2);
            assert_int_equal(parse(&config, &given, text), -EINVAL);
            assert_non_null(strstr(heard.text, "needs a value"));
            options++;
        }
        assert_int_equal(line[columns], '\n');
        line += columns + 1;
    }
    assert_int_equal(options, sizeof(variables) / sizeof(variables[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_option_sets_its_field_in_either_form, without_variables),
        cmocka_unit_test_setup(the_environment_sets_the_same_fields, without_variables),
        cmocka_unit_test_setup(the_variable_of_disable_is_left_to_the_executor, without_variables),
        cmocka_unit_test_setup(the_command_line_counts_more_than_the_environment,
                               without_variables),
        cmocka_unit_test_setup(an_empty_variable_is_none, without_variables),
        cmocka_unit_test_setup(fields_that_nothing_sets_are_left_alone, without_variables),
        cmocka_unit_test_setup(what_is_not_understood_keeps_its_order, without_variables),
        cmocka_unit_test_setup(no_arguments_at_all_are_none, without_variables),
        cmocka_unit_test_setup(times_have_a_unit_and_zero_needs_none, without_variables),
        cmocka_unit_test_setup(every_place_and_level_has_its_name, without_variables),
        cmocka_unit_test_setup(a_value_that_cannot_be_read_is_refused_in_words, without_variables),
        cmocka_unit_test_setup(what_was_read_before_an_error_is_not_kept, without_variables),
        cmocka_unit_test_setup(a_wrong_variable_is_refused_by_its_name, without_variables),
        cmocka_unit_test_setup(a_field_that_an_older_program_lacks_is_refused, without_variables),
        cmocka_unit_test_setup(the_help_lists_every_option_within_80_columns, without_variables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
