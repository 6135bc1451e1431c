/* SPDX-License-Identifier: MIT */
/* Explore: see explore.h. The choices lie in memory that outlives the process of the runs. */
#include "support/explore.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHOICES_MAX 512  /* of a run that have an alternative */
#define STEPS_MAX   4096 /* calls of explore_choose() in a run: more are a loop without end */

/* A loop that asks for no choice is ended by the clock, which looks this often. */
#define RUNS_PER_ALARM  1000
#define SECONDS_PER_RUN 30

struct choice {
    uint16_t taken;
    uint16_t count;
};

/* Shared by the process that explores and the one that waits for it. */
struct record {
    uint64_t runs;
    uint32_t outcomes; /* a bit each */
    uint32_t depth;    /* choices of this run so far, and those that it shall take */
    uint32_t deepest;
    bool is_over; /* the exploration got to its end */
    struct choice choices[CHOICES_MAX];
};

static struct record *record;
static uint32_t position; /* in record->choices, of the next choice */
static uint32_t steps;
static bool is_telling;

void explore_tell(const char *format, ...)
{
    va_list args;

    if (!is_telling) {
        return;
    }
    fputs("    ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void explore_fail(const char *condition, const char *file, int line)
{
    if (is_telling) {
        fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
    }
    _exit(1); /* no handlers: what they would look at is broken */
}

unsigned explore_choose(unsigned count, const char *what)
{
    struct choice *choice = &record->choices[position];

    EXPLORE_CHECK(count > 0 && count <= UINT16_MAX);
    EXPLORE_CHECK(++steps <= STEPS_MAX && "the run ends");
    if (count == 1) {
        return 0;
    }
    if (position == record->depth) {
        EXPLORE_CHECK(position < CHOICES_MAX);
        *choice = (struct choice){ .count = (uint16_t)count };
        record->depth++;
    }
    position++;
    EXPLORE_CHECK(choice->count == count && "the run is the same when it is run again" /* X2 */);
    explore_tell("choice %u: %u of %u, %s", position, choice->taken, count, what);
    return choice->taken;
}

void explore_met(unsigned outcome)
{
    EXPLORE_CHECK(outcome < EXPLORE_OUTCOMES_MAX);
    record->outcomes |= 1u << outcome;
}

/* The last choice that has another alternative takes it; false: all were had. */
static bool go_on(void)
{
    while (record->depth > 0) {
        struct choice *choice = &record->choices[record->depth - 1];

        if (++choice->taken < choice->count) {
            return true;
        }
        record->depth--;
    }
    return false;
}

static void run_once(const struct explore *program)
{
    position = 0;
    steps = 0;
    record->runs++;
    program->run();
    EXPLORE_CHECK(position == record->depth && "the run is the same when it is run again" /* X2 */);
    if (record->depth > record->deepest) {
        record->deepest = record->depth;
    }
}

static void begin(const struct explore *program)
{
    if (program->begin != NULL) {
        program->begin();
    }
}

/* In the process of the exploration. */
static void run_all(const struct explore *program)
{
    begin(program);
    do {
        if (record->runs % RUNS_PER_ALARM == 0) {
            alarm(SECONDS_PER_RUN);
        }
        EXPLORE_CHECK(record->runs < program->runs_max); /* X1 */
        run_once(program);
    } while (go_on());
    if (program->end != NULL) {
        program->end();
    }
    record->is_over = true;
}

/* As the runs before it were, so that this one is the same: but only this one. */
static void tell_one(const struct explore *program)
{
    is_telling = true;
    begin(program);
    alarm(SECONDS_PER_RUN);
    run_once(program);
    fprintf(stderr, "    the run ends well\n");
}

static void print_choices(const struct explore *program)
{
    fprintf(stderr, "explore: replay with RT_EXPLORE='%s' RT_CHOICES=", program->name);
    for (uint32_t i = 0; i < record->depth; i++) {
        fprintf(stderr, "%s%u/%u", i > 0 ? "," : "", record->choices[i].taken,
                record->choices[i].count);
    }
    fputc('\n', stderr);
}

/* "taken/count" and so on, as print_choices() writes it. */
static bool read_choices(const char *text)
{
    char *end = NULL;

    while (*text != '\0') {
        struct choice *choice = &record->choices[record->depth++];

        choice->taken = (uint16_t)strtoul(text, &end, 10);
        if (end == text || *end != '/') {
            return false;
        }
        text = end + 1;
        choice->count = (uint16_t)strtoul(text, &end, 10);
        if (end == text || choice->taken >= choice->count || record->depth == CHOICES_MAX) {
            return false;
        }
        text = end + (*end == ',');
    }
    return true;
}

/* A signal ends the process: cmocka would leave the run by longjmp() and go on. */
static void catch_nothing(void)
{
    static const int signals[] = { SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS };

    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)signal(signals[i], SIG_DFL);
    }
}

/* Run `part` in a process of its own; what waitpid() says of its end. */
static int in_child(void (*part)(const struct explore *), const struct explore *program)
{
    int status = -1;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        catch_nothing();
        part(program);
        exit(0); /* the leak checker looks */
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("explore: a process for the runs");
        return -1;
    }
    return status;
}

static void print_end(int status)
{
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "explore: the run ends by signal %d (%s)\n", WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? "it does not end by itself"
                                            : strsignal(WTERMSIG(status)));
    }
}

static bool all_met(const struct explore *program) /* X3 */
{
    bool all = true;

    for (unsigned i = 0; i < EXPLORE_OUTCOMES_MAX && program->outcomes[i] != NULL; i++) {
        if ((record->outcomes & 1u << i) == 0) {
            fprintf(stderr, "explore: '%s': never met: %s\n", program->name, program->outcomes[i]);
            all = false;
        }
    }
    return all;
}

static bool explore_here(const struct explore *program)
{
    const char *choices = getenv("RT_CHOICES");
    int status;

    if (choices != NULL) {
        if (!read_choices(choices)) {
            fprintf(stderr, "explore: RT_CHOICES is a list of taken/count, such as 0/2,1/3\n");
            return false;
        }
        tell_one(program); /* in this process: for a debugger */
        return true;
    }
    status = in_child(run_all, program);
    if (status == 0 && record->is_over) {
        printf("explore: '%s': all %" PRIu64 " runs, of up to %u choices\n", program->name,
               record->runs, record->deepest);
        return all_met(program);
    }
    fprintf(stderr, "explore: '%s' fails in run %" PRIu64 ":\n", program->name, record->runs);
    print_end(status);
    if (record->runs >= program->runs_max) {
        fprintf(stderr, "explore: it has more than its %" PRIu64 " runs\n", program->runs_max);
        return false;
    }
    print_end(in_child(tell_one, program));
    print_choices(program);
    return false;
}

bool explore(const struct explore *program)
{
    const char *only = getenv("RT_EXPLORE");
    bool is_good;

    if (only != NULL && strcmp(only, program->name) != 0) {
        return true;
    }
    record = mmap(NULL, sizeof(*record), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (record == MAP_FAILED) {
        perror("explore: memory for the choices");
        return false;
    }
    is_good = explore_here(program);
    (void)munmap(record, sizeof(*record));
    record = NULL;
    return is_good;
}
