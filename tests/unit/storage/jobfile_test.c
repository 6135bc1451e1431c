/* SPDX-License-Identifier: MIT */
/*
 * Job files become the jobs that they describe, or errors that say where and what.
 *
 * Method: small texts and what must come of them; a table with a text for each way to be wrong;
 * random bytes and random lines, which must neither crash nor give a job that, printed and read
 * again, is another one.
 */
#include "jobfile.h"

#include <errno.h>
#include <string.h>

#include "job_print.h"
#include "support/harness.h"
#include "support/rand.h"

#define PATH "x.fio"

static FILE *errors;
static char *error_text;
static size_t error_bytes;
static char *taken;

static int open_errors(void **state)
{
    (void)state;
    errors = open_memstream(&error_text, &error_bytes);
    return errors != NULL ? 0 : -1;
}

static int close_errors(void **state)
{
    (void)state;
    fclose(errors);
    free(error_text);
    free(taken);
    return 0;
}

/* What was written to `errors` since the last call; valid until the next one. */
static const char *take_errors(void)
{
    assert_int_equal(fclose(errors), 0);
    free(taken);
    taken = error_text;
    assert_int_equal(open_errors(NULL), 0);
    return taken;
}

static struct jobfile parse(const char *text)
{
    struct jobfile jobfile;

    if (jobfile_parse(&jobfile, PATH, text, strlen(text), errors) < 0) {
        print_error("%s", take_errors());
        fail_msg("refused: %s", text);
    }
    return jobfile;
}

static void a_section_alone_has_the_defaults_of_fio(void **state)
{
    struct jobfile file = parse("[one]");
    const struct job *job = &file.jobs[0];

    (void)state;
    assert_int_equal(file.count, 1);
    assert_string_equal(job->name, "one");
    assert_string_equal(job_rw_name(job), "read");
    assert_int_equal(job->read_percent, 100);
    assert_int_equal(job->blocks[JOB_READ].count, 1);
    assert_int_equal(job->blocks[JOB_WRITE].splits[0].bytes, 4096);
    assert_int_equal(job->blocks[JOB_WRITE].splits[0].percent, 100);
    assert_int_equal(job->depth, 1);
    assert_int_equal(job->instances, 1);
    assert_int_equal(job->loops, 1);
    assert_int_equal(job->seed, 1);
    assert_int_equal(job->batch_submit, 1);
    assert_int_equal(job->batch_complete_min, 1);
    assert_int_equal(job->batch_complete_max, 1);
    assert_int_equal(job->shares, 1000);
    assert_int_equal(job->size, 0);
    assert_int_equal(job->file_count, 0);
    assert_null(job->directory);
    assert_null(job->cpus);
    assert_null(job->place);
    assert_int_equal(job->distribution, JOB_DISTRIBUTION_RANDOM);
    assert_int_equal(job->rate_process, JOB_RATE_LINEAR);
    assert_true(job->invalidate);
    assert_true(job->do_verify);
    assert_false(job->random || job->direct || job->time_based || job->no_random_map ||
                 job->registered_files || job->fixed_buffers || job->end_fsync || job->unlink ||
                 job->verify || job->group_reporting || job->hipri);
    jobfile_free(&file);
}

static void every_option_reaches_its_field(void **state)
{
    struct jobfile file = parse("[section]\n"
                                "name=all\n"
                                "ioengine=io_uring\n"
                                "registerfiles\nfixedbufs=1\nnonvectored=1\n"
                                "iodepth=0x20\niodepth_batch_submit=8\n"
                                "iodepth_batch_complete_min=2\niodepth_batch_complete_max=16\n"
                                "invalidate=0\nnorandommap\nend_fsync=1\n"
                                "rw=randrw\nrwmixwrite=30\nbs=8k,16k\n"
                                "numjobs=3\nsize=1g\noffset=1m\n"
                                "filename=a:b\\:c\ndirectory=d\n"
                                "direct=1\nfsync=5\nfdatasync=6\n"
                                "runtime=2m\ntime_based\nramp_time=1500ms\n"
                                "rate=,1m\nrate_iops=100,\nrate_process=poisson\nthinktime=7\n"
                                "random_distribution=zipf:0.9\nrandseed=42\n"
                                "verify=crc32c\ndo_verify=0\n"
                                "group_reporting\ncpus_allowed=0,2-3\nloops=9\nunlink=1\n"
                                "shares=77\nplace=spread\nhipri\n");
    const struct job *job = &file.jobs[0];

    (void)state;
    assert_string_equal(job->name, "all");
    assert_true(job->registered_files && job->fixed_buffers && job->hipri);
    assert_int_equal(job->depth, 32);
    assert_int_equal(job->batch_submit, 8);
    assert_int_equal(job->batch_complete_min, 2);
    assert_int_equal(job->batch_complete_max, 16);
    assert_false(job->invalidate || job->do_verify);
    assert_true(job->no_random_map && job->end_fsync && job->random && job->direct);
    assert_true(job->time_based && job->verify && job->group_reporting && job->unlink);
    assert_string_equal(job_rw_name(job), "randrw");
    assert_int_equal(job->read_percent, 70);
    assert_int_equal(job->blocks[JOB_READ].max, 8192);
    assert_int_equal(job->blocks[JOB_WRITE].max, 16384);
    assert_int_equal(job->instances, 3);
    assert_int_equal(job->size, 1 << 30);
    assert_int_equal(job->offset, 1 << 20);
    assert_int_equal(job->file_count, 2);
    assert_string_equal(job->files[0], "d/a");
    assert_string_equal(job->files[1], "d/b:c");
    assert_int_equal(job->fsync_every, 5);
    assert_int_equal(job->fdatasync_every, 6);
    assert_int_equal(job->runtime, RT_SECONDS(120));
    assert_int_equal(job->ramp, RT_MILLISECONDS(1500));
    assert_int_equal(job->thinktime, RT_MICROSECONDS(7));
    assert_int_equal(job->rate_bytes[JOB_READ], 0);
    assert_int_equal(job->rate_bytes[JOB_WRITE], 1 << 20);
    assert_int_equal(job->rate_iops[JOB_READ], 100);
    assert_int_equal(job->rate_iops[JOB_WRITE], 0);
    assert_int_equal(job->rate_process, JOB_RATE_POISSON);
    assert_int_equal(job->distribution, JOB_DISTRIBUTION_ZIPF);
    assert_true(job->zipf_theta == 0.9);
    assert_int_equal(job->seed, 42);
    assert_int_equal(job->loops, 9);
    assert_int_equal(job->shares, 77);
    assert_string_equal(job->cpus, "0,2-3");
    assert_string_equal(job->place, "spread");
    jobfile_free(&file);
}

static void global_sets_what_is_below_it_and_a_section_overrides_it(void **state)
{
    struct jobfile file = parse("[a]\n[global]\nbs=8k\nstonewall=0\n[b]\nbs=16k\n[c]\n[global]\n"
                                "iodepth=2\n[d]\n");

    (void)state;
    assert_int_equal(file.count, 4);
    assert_int_equal(file.jobs[0].blocks[JOB_READ].max, 4096);
    assert_int_equal(file.jobs[1].blocks[JOB_READ].max, 16384);
    assert_int_equal(file.jobs[2].blocks[JOB_READ].max, 8192);
    assert_int_equal(file.jobs[2].depth, 1);
    assert_int_equal(file.jobs[3].blocks[JOB_READ].max, 8192);
    assert_int_equal(file.jobs[3].depth, 2);
    assert_int_equal(file.jobs[3].line, 10);
    jobfile_free(&file);
}

static void a_job_knows_its_options_as_they_were_written(void **state)
{
    struct jobfile file = parse("[global]\nblocksize = 8k\n[a]\nrw=write\n[b]\ntime_based\n"
                                "runtime=3\n");
    const struct job *job = &file.jobs[1];

    (void)state;
    assert_int_equal(job->option_count, 3);
    assert_string_equal(job->options[0].name, "bs");
    assert_string_equal(job->options[0].value, "8k");
    assert_int_equal(job->options[0].line, 2);
    assert_true(job->options[0].global);
    assert_string_equal(job->options[1].name, "time_based");
    assert_string_equal(job->options[1].value, "");
    assert_false(job->options[1].global);
    assert_string_equal(job->options[2].value, "3");
    assert_int_equal(job->options[2].line, 7);
    assert_int_equal(file.jobs[0].option_count, 2);
    jobfile_free(&file);
}

static void blanks_and_comments_are_as_in_fio(void **state)
{
    struct jobfile file = parse("; comment\r\n  # another\r\n\t\r\n  [a]  ; the job\r\n"
                                "\t bs =  8k \t# eight\r\n filename=x y;z\r\n");

    (void)state;
    assert_string_equal(file.jobs[0].name, "a");
    assert_int_equal(file.jobs[0].blocks[JOB_READ].max, 8192);
    assert_string_equal(file.jobs[0].files[0], "x y");
    jobfile_free(&file);
}

static void each_stonewall_begins_a_stage(void **state)
{
    struct jobfile file = parse("[a]\nstonewall\n[b]\n[c]\nstonewall\n[d]\n[e]\nwait_for_previous");
    static const uint32_t stages[] = { 0, 0, 1, 1, 2 };

    (void)state;
    for (size_t i = 0; i < file.count; i++) {
        assert_int_equal(file.jobs[i].stage, stages[i]);
    }
    jobfile_free(&file);
}

static void splits_share_what_is_missing_to_a_hundred(void **state)
{
    struct jobfile file = parse("[a]\nbs=1m\nbssplit=4k/50:1k/:32k:2k/\n"
                                "[b]\nbssplit=512/0:8k/100,64k\n[c]\nbssplit=,2k\n");
    const struct job_blocks *blocks = file.jobs[0].blocks;

    (void)state;
    assert_int_equal(blocks[JOB_READ].count, 4);
    assert_int_equal(blocks[JOB_READ].splits[0].percent, 50);
    assert_int_equal(blocks[JOB_READ].splits[1].percent, 16);
    assert_int_equal(blocks[JOB_READ].splits[2].percent, 17);
    assert_int_equal(blocks[JOB_READ].splits[3].percent, 17);
    assert_int_equal(blocks[JOB_READ].min, 1024);
    assert_int_equal(blocks[JOB_READ].max, 32768);
    assert_int_equal(blocks[JOB_WRITE].count, 4);
    assert_int_equal(file.jobs[1].blocks[JOB_READ].min, 8192);
    assert_int_equal(file.jobs[1].blocks[JOB_WRITE].splits[0].bytes, 65536);
    assert_int_equal(file.jobs[1].blocks[JOB_WRITE].splits[0].percent, 100);
    assert_int_equal(file.jobs[2].blocks[JOB_READ].splits[0].bytes, 4096);
    assert_int_equal(file.jobs[2].blocks[JOB_WRITE].splits[0].bytes, 2048);
    jobfile_free(&file);
}

static void batches_are_never_above_the_depth(void **state)
{
    struct jobfile file = parse(
        "[global]\niodepth=8\n[a]\niodepth_batch=0\n"
        "[b]\niodepth_batch_submit=9\niodepth_batch_complete=9\n"
        "[c]\niodepth_batch_complete_min=0\n"
        "[d]\niodepth_batch_complete_min=3\niodepth_batch_complete_max=2\n");

    (void)state;
    assert_int_equal(file.jobs[0].batch_submit, 8);
    assert_int_equal(file.jobs[0].batch_complete_min, 1);
    assert_int_equal(file.jobs[0].batch_complete_max, 8);
    assert_int_equal(file.jobs[1].batch_submit, 8);
    assert_int_equal(file.jobs[1].batch_complete_min, 8);
    assert_int_equal(file.jobs[1].batch_complete_max, 8);
    assert_int_equal(file.jobs[2].batch_complete_min, 0);
    assert_int_equal(file.jobs[2].batch_complete_max, 8);
    assert_int_equal(file.jobs[3].batch_complete_max, 3);
    jobfile_free(&file);
}

static void files_without_names_are_called_as_in_fio(void **state)
{
    struct jobfile file = parse("[a]\nnumjobs=2\n[b]\ndirectory=d\\:e\n[c]\nfilename=/x\n");
    char text[16];

    (void)state;
    assert_int_equal(job_file(&file.jobs[0], 1, 0, text, sizeof(text)), 5);
    assert_string_equal(text, "a.1.0");
    job_file(&file.jobs[1], 0, 0, text, sizeof(text));
    assert_string_equal(text, "d:e/b.0.0");
    job_file(&file.jobs[2], 7, 0, text, sizeof(text));
    assert_string_equal(text, "/x");
    assert_int_equal(job_file_count(&file.jobs[0]), 1);
    jobfile_free(&file);
}

/* The text, where the error is said to be, and a part of what it says. */
static const struct {
    const char *text;
    const char *place;
    const char *words;
} wrong[] = {
    { "", "1:1", "there is no job" },
    { "[global]\nbs=4k\n", "3:1", "there is no job" },
    { "rw=read\n[a]\n", "1:1", "needs a section above it" },
    { "[a]\n  [b\n", "2:3", "a section ends with ]" },
    { "[a] x\n", "1:1", "a section ends with ]" },
    { "[a]\n[]\n", "2:1", "needs a name" },
    { "[a]\nname=global\n", "1:1", "name=global" },
    { "[a]\nname=\n", "2:6", "name: expected a text" },
    { "[a]\nruntim=3\n", "2:1", "there is no option runtim; did you mean runtime?" },
    { "[a]\nBlockSize=3\n", "2:1", "did you mean blocksize?" },
    { "[a]\nread_write=rw\n", "2:1", "did you mean readwrite?" },
    { "[a]\nxyzzyxyzzy=3\n", "2:1", "there is no option xyzzyxyzzy; rt-storage(1)" },
    { "[a]\n=3\n", "2:1", "there is no option" },
    { "[a]\nthread=1\n", "2:1", "thread is an option of fio that rt-storage does not support" },
    { "[a]\nnrfiles=1\n", "2:1", "does not support" },
    { "[a]\nsqthread_poll\n", "2:1", "does not support" },
    { "[a]\n include x.fio\n", "2:2", "include is not supported" },
    { "[a]\nsize=${SIZE}\n", "2:6", "variables of the environment" },
    { "[a]\nbs\n", "2:1", "bs needs a value" },
    { "[a]\ndirect\n", "2:1", "direct needs a value" },
    { "[a]\nbs = 4x\n", "2:6", "bs=4x: expected bytes, 1 to 64m" },
    { "[a]\nbs=0\n", "2:4", "expected bytes, 1 to 64m" },
    { "[a]\nbs=65m\n", "2:4", "expected bytes, 1 to 64m" },
    { "[a]\nbs=4k,8k,1k\n", "2:4", "one value, or two" },
    { "[a]\nbs=4k,x\n", "2:4", "bs=x: expected bytes" },
    { "[a]\nsize=50%\n", "2:6", "a percentage is not supported" },
    { "[a]\nsize=-1\n", "2:6", "expected bytes, 0 to" },
    { "[a]\nsize=8191p\n", "2:6", "expected bytes, 0 to" },
    { "[a]\nsize=4k\nbs=8k\n", "1:1", "no block of 8k" },
    { "[a]\nsize=15k\nbs=8k\nfilename=a:b\n", "1:1", "no block of 8k" },
    { "[a]\nbssplit=4k/50:8k/20\n", "2:9", "are 70 together" },
    { "[a]\nbssplit=4k/50:8k/60\n", "2:9", "are 110 together" },
    { "[a]\nbssplit=4k/x\n", "2:9", "a percent from 0 to 100" },
    { "[a]\nbssplit=4k/101\n", "2:9", "a percent from 0 to 100" },
    { "[a]\nbssplit=4k/50:\n", "2:9", "expected BYTES/PERCENT" },
    { "[a]\nrw=trim\n", "2:4", "trim is not supported" },
    { "[a]\nrw=randtrim\n", "2:4", "trim is not supported" },
    { "[a]\nrw=randread:8\n", "2:4", "read, write, randread" },
    { "[a]\nrwmixread=101\n", "2:11", "a whole number, 0 to 100" },
    { "[a]\niodepth=0\n", "2:9", "a whole number, 1 to 4096" },
    { "[a]\nnumjobs=0\n", "2:9", "a whole number, 1 to 1024" },
    { "[a]\nshares=10001\n", "2:8", "a whole number, 1 to 10000" },
    { "[a]\ndirect=2\n", "2:8", "expected 0 or 1" },
    { "[a]\nbuffered=yes\n", "2:10", "expected 0 or 1" },
    { "[a]\nioengine=libaio\n", "2:10", "io_uring, the only engine" },
    { "[a]\nrandom_distribution=pareto:1\n", "2:21", "random or zipf:THETA" },
    { "[a]\nrandom_distribution=zipfel\n", "2:21", "random or zipf:THETA" },
    { "[a]\nrandom_distribution=zipf:1\n", "2:21", "a theta above 0" },
    { "[a]\nrandom_distribution=zipf:-1\n", "2:21", "a theta above 0" },
    { "[a]\nrandom_distribution=zipf:\n", "2:21", "a theta above 0" },
    { "[a]\nrandom_distribution=zipf:1.2:0.5\n", "2:21", "a theta above 0" },
    { "[a]\nverify=md5\n", "2:8", "crc32c, or 0 for none" },
    { "[a]\nverify=crc32c\nbs=32\n", "1:1", "a header needs at least 64" },
    { "[a]\nruntime=1.5\n", "2:9", "without a unit it is seconds" },
    { "[a]\nthinktime=1min\n", "2:11", "without a unit it is microseconds" },
    { "[a]\nruntime=367d\n", "2:9", "at most 366d" },
    { "[a]\ntime_based\n", "1:1", "time_based needs a runtime" },
    { "[a]\nrate=1m\nrate_iops=100\n", "1:1", "rate and rate_iops: reads" },
    { "[a]\nrate=1m\nrate_iops=,100\nrw=write\n", "1:1", "rate and rate_iops: writes" },
    { "[a]\nrate_process=random\n", "2:14", "linear or poisson" },
    { "[a]\ncpus_allowed=1,\n", "2:14", "CPUs and ranges of them" },
    { "[a]\ncpus_allowed=3-1\n", "2:14", "CPUs and ranges of them" },
    { "[a]\ncpus_allowed=1-2-3\n", "2:14", "CPUs and ranges of them" },
    { "[a]\ncpus_allowed=70000\n", "2:14", "CPUs and ranges of them" },
    { "[a]\ncpus_allowed=99999999999999999999999\n", "2:14", "CPUs and ranges of them" },
    { "[a]\nplace=here\n", "2:7", "a policy as --place has them" },
    { "[a]\nfilename=a::b\n", "1:1", "names with a : between them" },
    { "[a]\nfilename=a:\n", "1:1", "names with a : between them" },
    { "[a]\nfilename=-\n", "1:1", "names with a : between them" },
    { "[a]\nfilename=\n", "2:10", "expected a text" },
    { "[a]\ndirectory=/a:/b\n", "1:1", "several are not supported" },
    { "[a]\nsize=4096p\noffset=4096p\n", "1:1", "files end at 8 EiB" },
};

static void what_is_wrong_is_named_with_its_line_and_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct jobfile jobfile;
        char prefix[32];
        const char *text;

        assert_int_equal(
            jobfile_parse(&jobfile, PATH, wrong[i].text, strlen(wrong[i].text), errors), -EINVAL);
        (void)snprintf(prefix, sizeof(prefix), PATH ":%s: ", wrong[i].place);
        text = take_errors();
        if (strncmp(text, prefix, strlen(prefix)) != 0 || strstr(text, wrong[i].words) == NULL ||
            strchr(text, '\n')[1] != '\0') {
            fail_msg("%s\ngave: %s\nexpected: %s... %s", wrong[i].text, text, prefix,
                     wrong[i].words);
        }
    }
}

static void all_errors_are_told_and_none_that_comes_of_another(void **state)
{
    static const char text[] = "[global]\nruntime=x\n[a]\ntime_based\nbs=y\n[b\nrw=z\n[c]\n";
    static const char later[] = "[a]\nbs=y\ntime_based\n[b]\ntime_based\n";
    struct jobfile jobfile;
    const char *told;

    (void)state;
    assert_int_equal(jobfile_parse(&jobfile, PATH, text, strlen(text), errors), -EINVAL);
    told = take_errors();
    assert_non_null(strstr(told, PATH ":2:9: "));
    assert_non_null(strstr(told, PATH ":5:4: "));
    assert_non_null(strstr(told, PATH ":6:1: "));
    assert_non_null(strstr(told, PATH ":7:4: "));
    assert_null(strstr(told, "time_based"));
    assert_int_equal(jobfile_parse(&jobfile, PATH, later, strlen(later), errors), -EINVAL);
    told = take_errors();
    assert_non_null(strstr(told, PATH ":2:4: "));
    assert_non_null(strstr(told, PATH ":4:1: time_based"));
    assert_null(strstr(told, PATH ":1:1: "));
}

static void what_is_no_text_is_refused(void **state)
{
    static const char zero[] = "[a]\nbs=\0004k";
    static const char control[] = "[a]\nbs=\x1b[31m\n";
    struct jobfile jobfile;

    (void)state;
    assert_int_equal(jobfile_parse(&jobfile, PATH, zero, sizeof(zero) - 1, errors), -EINVAL);
    assert_non_null(strstr(take_errors(), "not a text"));
    assert_int_equal(jobfile_parse(&jobfile, PATH, control, strlen(control), errors), -EINVAL);
    assert_non_null(strstr(take_errors(), "bs=?[31m"));
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct jobfile jobfile;

    (void)state;
    assert_int_equal(jobfile_read(&jobfile, "/", errors), -EISDIR);
    assert_string_equal(take_errors(), "/: Is a directory\n");
    assert_int_equal(jobfile_read(&jobfile, "/dev/zero", errors), -EFBIG);
    assert_string_equal(take_errors(), "/dev/zero: File too large\n");
}

static char *print(const struct jobfile *jobfile)
{
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    assert_non_null(stream);
    for (size_t i = 0; i < jobfile->count; i++) {
        job_print(&jobfile->jobs[i], i > 0 && jobfile->jobs[i].stage > jobfile->jobs[i - 1].stage,
                  stream);
    }
    assert_int_equal(fclose(stream), 0);
    return text;
}

/* True when it is a job file, which is then the same when it is printed and read again. */
static bool try(const char *text, size_t length)
{
    struct jobfile first;
    struct jobfile second;
    char *printed;
    char *again;
    int r = jobfile_parse(&first, PATH, text, length, errors);

    assert_true(r == 0 || r == -EINVAL);
    if (r < 0) {
        assert_true(strncmp(take_errors(), PATH ":", strlen(PATH ":")) == 0);
        return false;
    }
    printed = print(&first);
    second = parse(printed);
    again = print(&second);
    assert_string_equal(printed, again);
    jobfile_free(&first);
    jobfile_free(&second);
    free(printed);
    free(again);
    return true;
}

static void random_bytes_are_no_job_file_and_do_no_harm(void **state)
{
    struct rand_state rand;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < 1000; i++) {
        char bytes[300];
        const size_t length = rand_below(&rand, sizeof(bytes));

        rand_bytes(&rand, bytes, length);
        (void)try(bytes, length);
    }
}

/* Lines of a grammar that is nearly right, with some bytes changed. */
static size_t random_lines(struct rand_state *rand, char *text, size_t bytes)
{
    static const char *const names[] = {
        "bs",
        "bssplit",
        "size",
        "rw",
        "iodepth",
        "runtime",
        "rate",
        "rate_iops",
        "filename",
        "directory",
        "name",
        "random_distribution",
        "verify",
        "cpus_allowed",
        "place",
        "offset",
        "thinktime",
        "rwmixread",
        "direct",
        "randseed",
        "loops",
        "shares",
        "numjobs",
        "fsync",
        "stonewall",
        "time_based",
        "iodepth_batch_submit",
        "iodepth_batch_complete_min",
    };
    static const char *const values[] = {
        "1",       "0",         "4k",    "8k,",    ",16k",
        "64k,1m",  "4k/50:8k/", "1g",    "randrw", "write",
        "read",    "0x7f",      "10s",   "5ms",    "zipf:1.3",
        "random",  "crc32c",    "0,2-3", "core",   "a:b",
        "x\\:y:z", "/tmp",      "10%",   "-1",     "99999999999999999999",
        "",        "100",       ":",     "\\",     "[",
        "]",
    };
    size_t length = 0;

    for (uint64_t lines = 1 + rand_below(rand, 12); lines > 0; lines--) {
        const char *name = names[rand_below(rand, sizeof(names) / sizeof(names[0]))];
        const char *value = values[rand_below(rand, sizeof(values) / sizeof(values[0]))];
        const char *format = rand_chance(rand, 250)   ? "[%s]%s\n"
                             : rand_chance(rand, 950) ? "%s=%s\n"
                                                      : "%s # %s\n";

        length += (size_t)snprintf(text + length, bytes - length, format, name,
                                   format[0] == '[' ? "" : value);
    }
    while (rand_chance(rand, 200)) {
        text[rand_below(rand, length)] = (char)rand_next(rand);
    }
    return length;
}

static void random_lines_are_the_same_jobs_when_printed(void **state)
{
    struct rand_state rand;
    unsigned good = 0;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < 20000; i++) {
        char text[2048];

        good += try(text, random_lines(&rand, text, sizeof(text)));
    }
    assert_true(good >= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_alone_has_the_defaults_of_fio),
        cmocka_unit_test(every_option_reaches_its_field),
        cmocka_unit_test(global_sets_what_is_below_it_and_a_section_overrides_it),
        cmocka_unit_test(a_job_knows_its_options_as_they_were_written),
        cmocka_unit_test(blanks_and_comments_are_as_in_fio),
        cmocka_unit_test(each_stonewall_begins_a_stage),
        cmocka_unit_test(splits_share_what_is_missing_to_a_hundred),
        cmocka_unit_test(batches_are_never_above_the_depth),
        cmocka_unit_test(files_without_names_are_called_as_in_fio),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line_and_column),
        cmocka_unit_test(all_errors_are_told_and_none_that_comes_of_another),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(random_bytes_are_no_job_file_and_do_no_harm),
        cmocka_unit_test(random_lines_are_the_same_jobs_when_printed),
    };

    return cmocka_run_group_tests(tests, open_errors, close_errors);
}
