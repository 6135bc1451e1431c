/* SPDX-License-Identifier: MIT */
/* Step 5 of docs/guide/tutorial_service.md: a service upon another one, and who stops them. */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX  64
#define NAME_BYTES 32

struct entry {
    char name[NAME_BYTES];
    int points;
};

/* The lower service: it writes down what happens on its shard. */
struct journal {
    uint32_t shard;
    uint32_t lines;
};

static int journal_create(void **instance, void *arg)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    (void)arg;
    if (journal == NULL) {
        return -ENOMEM;
    }
    journal->shard = rt_shard_index();
    *instance = journal;
    return 0;
}

static void journal_destroy(void *instance)
{
    struct journal *journal = instance;

    printf("shard %u: journal closed after %u lines\n", journal->shard, journal->lines);
    free(journal);
}

static int journal_write(void *instance, void *arg)
{
    struct journal *journal = instance;

    (void)arg; /* a real one would write it to a file */
    journal->lines++;
    return 0;
}

/* What one shard knows. Only tasks of that shard touch it, so there is no lock. */
struct scores {
    uint32_t shard;
    uint32_t count;
    uint64_t looks;
    struct rt_group tasks; /* of this instance */
    struct entry entries[NAMES_MAX];
};

/* Until it is cancelled. Between two waits nothing else of this shard runs. */
static int look_after(void *arg)
{
    struct scores *scores = arg;
    int r = 0;

    while (r == 0) {
        scores->looks++;
        r = rt_sleep_until(rt_in(RT_MILLISECONDS(10)));
    }
    return r;
}

static int scores_create(void **instance, void *arg)
{
    struct scores *scores = calloc(1, sizeof(*scores));
    int r;

    (void)arg;
    if (scores == NULL) {
        return -ENOMEM;
    }
    scores->shard = rt_shard_index();
    scores->tasks = (struct rt_group)RT_GROUP_INIT;
    r = rt_group_spawn(&scores->tasks, look_after, scores);
    if (r < 0) {
        free(scores);
        return r;
    }
    *instance = scores;
    return 0;
}

static void scores_destroy(void *instance)
{
    struct scores *scores = instance;

    (void)rt_group_leave(&scores->tasks, 0); /* cancels, and waits */
    printf("shard %u: gone, with %u names; %s\n", scores->shard, scores->count,
           scores->looks > 0 ? "it was looked after" : "nobody has looked");
    free(scores);
}

struct points {
    const char *name;
    int points;
};

static struct entry *find_or_make(struct scores *scores, const char *name)
{
    struct entry *entry = scores->entries;

    while (entry < scores->entries + scores->count && strcmp(entry->name, name) != 0) {
        entry++;
    }
    if (entry == scores->entries + NAMES_MAX) {
        return NULL;
    }
    if (entry == scores->entries + scores->count) {
        scores->count++;
        (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    }
    return entry;
}

/* On the shard that owns the name. The result is what the caller gets. */
static int scores_add(void *instance, void *arg)
{
    const struct points *points = arg;
    struct entry *entry = find_or_make(instance, points->name);
    struct rt_service *journal = rt_service_find("journal");
    int r;

    if (entry == NULL) {
        return -ENOSPC;
    }
    r = rt_service_call(journal, rt_shard_index(), journal_write, arg, NULL, RT_NEVER);
    if (r < 0) {
        return r;
    }
    entry->points += points->points;
    return entry->points;
}

static int add(struct rt_service *service, const char *name, int number)
{
    struct points points = { .name = name, .points = number };
    int result;
    const int r = rt_service_call_key(service, name, strlen(name), scores_add, &points, &result,
                                      rt_in(RT_SECONDS(1)));

    return r < 0 ? r : result;
}

/* What a shard finds goes where its argument points to: each shard has one of its own. */
static int scores_best(void *instance, void *arg)
{
    const struct scores *scores = instance;
    struct entry *best = arg;

    *best = (struct entry){ .points = 0 };
    for (uint32_t i = 0; i < scores->count; i++) {
        if (scores->entries[i].points > best->points) {
            *best = scores->entries[i];
        }
    }
    return 0;
}

/* On the caller's shard, in order of shards. */
static void keep_better(void *into, const struct rt_call_part *part)
{
    const struct entry *found = part->arg;
    struct entry *best = into;

    if (found->points > best->points) {
        *best = *found;
    }
}

static int print_best(struct rt_service *service)
{
    const uint32_t shards = rt_shard_count();
    struct rt_call_part *parts = calloc(shards, sizeof(*parts));
    struct entry *found = calloc(shards, sizeof(*found));
    struct entry best = { .points = 0 };
    int r = -ENOMEM;

    if (parts != NULL && found != NULL) {
        r = rt_service_map_reduce(service, parts, scores_best, found, sizeof(*found), keep_better,
                                  &best, rt_in(RT_SECONDS(1)));
    }
    if (r == 0) {
        printf("%s leads with %d\n", best.name, best.points);
    }
    free(parts);
    free(found);
    return r;
}

static int play(struct rt_service *service)
{
    static const struct points game[] = { { "ada", 3 }, { "bob", 5 }, { "cy", 1 }, { "ada", 4 } };

    for (size_t i = 0; i < sizeof(game) / sizeof(game[0]); i++) {
        const int points = add(service, game[i].name, game[i].points);

        if (points < 0) {
            return points;
        }
        printf("%s has %d\n", game[i].name, points);
    }
    return print_best(service);
}

static int start_journal(struct rt_service **out)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;

    options.name = "journal";
    options.create = journal_create;
    options.destroy = journal_destroy;
    return rt_service_start(out, &options, NULL, 0, rt_in(RT_SECONDS(1)));
}

static int start_scores(struct rt_service **out, struct rt_service *journal)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;

    options.name = "scores";
    options.create = scores_create;
    options.destroy = scores_destroy;
    options.depends_on = &journal;
    options.depends_count = 1;
    options.grace = RT_MILLISECONDS(100);
    return rt_service_start(out, &options, NULL, 0, rt_in(RT_SECONDS(1)));
}

/* Nobody stops them: that is done when all first tasks have returned, the last started first. */
static int first(void *arg)
{
    struct rt_service *journal;
    struct rt_service *scores;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    r = start_journal(&journal);
    if (r == 0) {
        r = start_scores(&scores, journal);
    }
    if (r == 0) {
        r = play(scores);
    }
    if (r == 0 && rt_service_stop(journal, 0) == -EBUSY) {
        printf("the journal is needed\n");
    }
    return r;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;

    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    return rt_start(&config, first, NULL) < 0;
}
