/* SPDX-License-Identifier: MIT */
/* Step 2 of docs/guide/tutorial_service.md: a function on the shard that owns a key. */
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

/* What one shard knows. Only tasks of that shard touch it, so there is no lock. */
struct scores {
    uint32_t shard;
    uint32_t count;
    struct entry entries[NAMES_MAX];
};

static int scores_create(void **instance, void *arg)
{
    struct scores *scores = calloc(1, sizeof(*scores));

    (void)arg;
    if (scores == NULL) {
        return -ENOMEM;
    }
    scores->shard = rt_shard_index();
    *instance = scores;
    return 0;
}

static void scores_destroy(void *instance)
{
    struct scores *scores = instance;

    printf("shard %u: gone, with %u names\n", scores->shard, scores->count);
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

    if (entry == NULL) {
        return -ENOSPC;
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
    return 0;
}

/* Shard 0 owns the service; the others return at once, and serve its calls. */
static int first(void *arg)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    struct rt_service *service;
    int stopped;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    options.name = "scores";
    options.create = scores_create;
    options.destroy = scores_destroy;
    r = rt_service_start(&service, &options, NULL, 0, rt_in(RT_SECONDS(1)));
    if (r < 0) {
        return r;
    }
    r = play(service);
    stopped = rt_service_stop(service, rt_in(RT_SECONDS(1)));
    return r < 0 ? r : stopped;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;

    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    return rt_start(&config, first, NULL) < 0;
}
