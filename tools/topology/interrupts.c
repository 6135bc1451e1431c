/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: see interrupts.h.
 *
 * /proc/interrupts has a line per interrupt and a column per online CPU, named in
 * its first line. Those with a number are of devices, and can be sent elsewhere.
 * The rate is the average since the start of the machine: it needs no waiting, and
 * one that was sent elsewhere since is known by its present affinity.
 */
#include "interrupts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "numbers.h"

/* An interrupt and the work behind it take some 10 us: so many a second are 0.1 % of a CPU. */
#define RATE_MIN 100

struct column {
    int32_t cpu;
    double rate; /* of the interrupts that are told */
};

struct table {
    const struct subject *subject;
    double uptime;
    struct numbers shards; /* CPUs that have some */
    struct column *columns;
    size_t column_count;
    struct numbers told; /* interrupts */
    FILE *names;         /* "36 virtio1-req.0 (54/s), ..." */
};

/* "CPU0 CPU1 ..." */
static void read_columns(struct table *table, char *line)
{
    char *word;

    while ((word = strsep(&line, " ")) != NULL) {
        if (strncmp(word, "CPU", 3) == 0) {
            table->columns = or_exit(
                realloc(table->columns, (table->column_count + 1) * sizeof(table->columns[0])));
            table->columns[table->column_count++] = (struct column){
                (int32_t)strtol(word + 3, NULL, 10), 0
            };
        }
    }
}

void interrupt_cpus(struct numbers *cpus, const char *root, long number)
{
    char *list = file_read(root, "/proc/irq/%ld/effective_affinity_list", number);

    if (list == NULL) {
        list = file_read(root, "/proc/irq/%ld/smp_affinity_list", number);
    }
    if (list != NULL) {
        numbers_parse(cpus, list);
    }
    free(list);
}

/* Does this interrupt come to a CPU of a shard now? */
static bool comes(const struct table *table, long number)
{
    struct numbers cpus = { 0 };
    bool found = false;

    interrupt_cpus(&cpus, table->subject->root, number);
    for (size_t i = 0; i < cpus.count; i++) {
        found = found || numbers_have(&table->shards, cpus.array[i]);
    }
    numbers_free(&cpus);
    return found;
}

/* The counts of a line as rates on the CPUs of shards. Returns their sum, and the name. */
static double read_rates(const struct table *table, char *rest, double *rates, const char **name)
{
    double sum = 0;

    for (size_t i = 0; i < table->column_count; i++) {
        char *end;
        const double count = strtod(rest, &end);

        rest = end;
        if (numbers_have(&table->shards, table->columns[i].cpu)) {
            rates[i] = count / table->uptime;
            sum += rates[i];
        }
    }
    *name = strrchr(rest, ' ') == NULL ? rest : strrchr(rest, ' ') + 1;
    return sum;
}

/* " 36:  0  563769  PCI-MSIX-0000:00:02.0  1-edge  virtio1-req.0" */
static void read_line(struct table *table, char *line)
{
    double *rates = or_exit(calloc(table->column_count + 1, sizeof(*rates)));
    char *rest;
    const long number = strtol(line, &rest, 10);
    const char *name;
    double sum;

    if (rest != line && *rest == ':') {
        sum = read_rates(table, rest + 1, rates, &name);
        if (sum >= RATE_MIN && comes(table, number)) {
            fprintf(table->names, "%s%ld %s (%.0f/s)", table->told.count == 0 ? "" : ", ", number,
                    name, sum);
            numbers_add(&table->told, (int32_t)number);
            for (size_t i = 0; i < table->column_count; i++) {
                table->columns[i].rate += rates[i];
            }
        }
    }
    free(rates);
}

/* CPUs that run and have no shard: where interrupts could go. */
static void find_spare(const struct table *table, struct numbers *spare)
{
    const struct rt_topology *machine = table->subject->machine;

    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].state != RT_CPU_OFFLINE &&
            !numbers_have(&table->shards, machine->cpus[i].number)) {
            numbers_add(spare, machine->cpus[i].number);
        }
    }
}

/* Every CPU has shards: give up the one that is interrupted most. */
static char *cure_by_giving_up(const struct table *table)
{
    struct numbers others = { 0 };
    size_t most = 0;
    char *cure;

    for (size_t i = 1; i < table->column_count; i++) {
        most = table->columns[i].rate > table->columns[most].rate ? i : most;
    }
    for (size_t i = 0; i < table->shards.count; i++) {
        if (table->shards.array[i] != table->columns[most].cpu) {
            numbers_add(&others, table->shards.array[i]);
        }
    }
    cure = cure_by_list(&others, table->subject->config);
    numbers_free(&others);
    return cure;
}

static char *cure_by_moving(const struct table *table, const struct numbers *spare)
{
    FILE *stream;
    char *numbers = NULL;
    size_t bytes;
    char *cpus = numbers_text(spare);
    char *cure;

    stream = or_exit(open_memstream(&numbers, &bytes));
    for (size_t i = 0; i < table->told.count; i++) {
        fprintf(stream, "%d ", table->told.array[i]);
    }
    (void)fclose(stream);
    numbers = or_exit(numbers);
    numbers[strlen(numbers) - 1] = '\0';
    cure = text_of("for i in %s; do echo %s | sudo tee /proc/irq/$i/smp_affinity_list; done",
                   numbers, cpus);
    free(numbers);
    free(cpus);
    return cure;
}

static void tell(struct notes *notes, const struct table *table, const char *names)
{
    struct numbers spare = { 0 };

    find_spare(table, &spare);
    notes_add(notes, LEVEL_WARNING, "interrupts",
              spare.count > 0 ? cure_by_moving(table, &spare) : cure_by_giving_up(table),
              "interrupts come to CPUs of shards: %s%s", names,
              spare.count > 0 ? "; irqbalance, where it runs, moves them back"
                              : "; no CPU is left to send them to");
    numbers_free(&spare);
}

static void read_table(struct notes *notes, struct table *table, char *text)
{
    char *names = NULL;
    size_t bytes;
    char *rest = text;
    char *line = strsep(&rest, "\n");

    table->names = or_exit(open_memstream(&names, &bytes));
    read_columns(table, line);
    while ((line = strsep(&rest, "\n")) != NULL) {
        read_line(table, line);
    }
    (void)fclose(table->names);
    if (table->told.count > 0) {
        tell(notes, table, or_exit(names));
    }
    free(names);
    free(table->columns);
    numbers_free(&table->told);
}

void warn_of_interrupts(struct notes *notes, const struct subject *subject)
{
    struct table table = { .subject = subject };
    char *uptime;
    char *text;

    if (subject->root == NULL || subject->plan->place == RT_PLACE_UNBOUND) {
        return;
    }
    for (uint32_t i = 0; i < subject->plan->shard_count; i++) {
        numbers_add(&table.shards, subject->plan->shards[i].cpu);
    }
    uptime = file_read(subject->root, "/proc/uptime");
    text = file_read(subject->root, "/proc/interrupts");
    table.uptime = uptime == NULL ? 0 : strtod(uptime, NULL);
    if (text != NULL && table.uptime > 0) {
        read_table(notes, &table, text);
    }
    numbers_free(&table.shards);
    free(uptime);
    free(text);
}
