/* SPDX-License-Identifier: MIT */
/*
 * count_words [--shards N ...]: how often each word of the standard input comes.
 *
 * A service has a table of words on every shard. A word is counted on the shard that owns it, so
 * no table is shared and none has a lock. The words of a line are sent together, and waited for
 * then. At the end every shard is asked for its most frequent word, and the answers are folded.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BYTES     32
#define WORDS_PER_LINE 64
#define SLOTS          4096 /* of a table; a power of two */

struct word {
    char text[WORD_BYTES];
    uint64_t count; /* 0: a free slot */
};

struct table {
    uint32_t used;
    struct word words[SLOTS];
};

static int table_create(void **instance, void *arg)
{
    (void)arg;
    *instance = calloc(1, sizeof(struct table));
    return *instance != NULL ? 0 : -ENOMEM;
}

static void table_destroy(void *instance)
{
    free(instance);
}

/* The word's slot, or the free one for it: a slot is always free. */
static struct word *slot_of(struct table *table, const char *text)
{
    uint32_t at = 0;

    for (const char *c = text; *c != '\0'; c++) {
        at = at * 31 + (unsigned char)*c;
    }
    at %= SLOTS;
    while (table->words[at].count > 0 && strcmp(table->words[at].text, text) != 0) {
        at = (at + 1) % SLOTS;
    }
    return &table->words[at];
}

/* On the owner. */
static int table_count(void *instance, void *text)
{
    struct table *table = instance;
    struct word *word = slot_of(table, text);

    if (word->count == 0) {
        if (table->used == SLOTS - 1) {
            return -ENOSPC;
        }
        table->used++;
        memcpy(word->text, text, strlen(text) + 1);
    }
    word->count++;
    return 0;
}

/* All words of a line on their way, then all answers. What was begun is ended in any case. */
static int count_line(struct rt_service *service, char *line)
{
    struct rt_call calls[WORDS_PER_LINE];
    char *rest = NULL;
    uint32_t begun = 0;
    int error = 0;

    for (char *text = strtok_r(line, " \t\r\n", &rest); text != NULL && error == 0;
         text = strtok_r(NULL, " \t\r\n", &rest)) {
        const size_t bytes = strlen(text);

        if (begun == WORDS_PER_LINE || bytes >= WORD_BYTES) {
            error = -EMSGSIZE;
            break;
        }
        error = rt_service_call_begin(&calls[begun], service,
                                      rt_service_owner(service, text, bytes), table_count, text,
                                      RT_NEVER);
        begun += error == 0;
    }
    for (uint32_t i = 0; i < begun; i++) {
        int result = 0;
        const int r = rt_call_end(&calls[i], &result, RT_NEVER);

        error = error < 0 ? error : r < 0 ? r : result;
    }
    return error;
}

struct summary {
    uint64_t words; /* different ones */
    struct word best;
};

static int table_summarize(void *instance, void *arg)
{
    const struct table *table = instance;
    struct summary *summary = arg; /* this shard's own */

    summary->words = table->used;
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (table->words[i].count > summary->best.count) {
            summary->best = table->words[i];
        }
    }
    return 0;
}

static void fold(void *into, const struct rt_call_part *part)
{
    const struct summary *one = part->arg;
    struct summary *all = into;

    all->words += one->words;
    if (one->best.count > all->best.count) {
        all->best = one->best;
    }
}

static int print_summary(struct rt_service *service)
{
    const uint32_t shards = rt_shard_count();
    struct rt_call_part *parts = calloc(shards, sizeof(*parts));
    struct summary *found = calloc(shards, sizeof(*found));
    struct summary all = { .words = 0 };
    int r = -ENOMEM;

    if (parts != NULL && found != NULL) {
        r = rt_service_map_reduce(service, parts, table_summarize, found, sizeof(*found), fold,
                                  &all, RT_NEVER);
    }
    if (r == 0) {
        printf("%llu words; '%s' comes %llu times\n", (unsigned long long)all.words, all.best.text,
               (unsigned long long)all.best.count);
    }
    free(parts);
    free(found);
    return r;
}

static int count_input(struct rt_service *service)
{
    char line[1024];
    int r = 0;

    while (r == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        r = count_line(service, line);
    }
    return r == 0 ? print_summary(service) : r;
}

static int first(void *arg)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    struct rt_service *service;
    int stopped;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0; /* it serves calls from now on */
    }
    options.name = "words";
    options.create = table_create;
    options.destroy = table_destroy;
    r = rt_service_start(&service, &options, NULL, 0, RT_NEVER);
    if (r < 0) {
        return r;
    }
    r = count_input(service);
    stopped = rt_service_stop(service, RT_NEVER);
    return r < 0 ? r : stopped;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    if (argc > 1) {
        const bool asks = strcmp(argv[1], "--help") == 0;

        fprintf(asks ? stdout : stderr, "usage: count_words [OPTION...] < TEXT\n%s",
                rt_config_help());
        return asks ? 0 : 2;
    }
    r = rt_start(&config, first, NULL);
    if (r < 0) {
        fprintf(stderr, "count_words: %s\n", rt_strerror(r));
    }
    return r < 0;
}
