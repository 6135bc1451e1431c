/* SPDX-License-Identifier: MIT */
/* Step 1 of docs/guide/tutorial_service.md: one object on every shard. */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>

/* What one shard knows. Only tasks of that shard touch it, so there is no lock. */
struct scores {
    uint32_t shard;
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

    printf("shard %u: gone\n", scores->shard);
    free(scores);
}

/* Shard 0 owns the service; the others return at once, and serve its calls. */
static int first(void *arg)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    struct rt_service *service;
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
    printf("%u shards have scores\n", rt_shard_count());
    return rt_service_stop(service, rt_in(RT_SECONDS(1)));
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;

    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    return rt_start(&config, first, NULL) < 0;
}
