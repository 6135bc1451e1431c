/* SPDX-License-Identifier: MIT */
/* rt-kv: a sharded key-value server in memory, for clients of Redis. */
#include <errno.h>
#include <rt/placement.h>
#include <rt/rt.h>
#include <rt/start.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "server.h"

static int print_plan(const struct rt_plan *plan)
{
    const size_t bytes = rt_plan_format(plan, NULL, 0) + 1;
    char *text = malloc(bytes);

    if (text == NULL) {
        return -ENOMEM;
    }
    (void)rt_plan_format(plan, text, bytes);
    fputs(text, stdout);
    fflush(stdout);
    free(text);
    return 0;
}

/* The plan is made twice, here and by rt_start(), which warns of what it finds wanting: so here
 * only errors are told, and the number of shards is fixed in between. */
static int plan(struct rt_config *config)
{
    struct rt_config to_show = *config;
    struct rt_plan *made;
    int r;

    to_show.log_level = RT_LOG_ERROR;
    r = rt_plan_create(&made, &to_show);
    if (r < 0) {
        return r; /* a text said why */
    }
    config->shards = made->shard_count;
    r = print_plan(made);
    rt_plan_destroy(made);
    return r;
}

static int run(struct rt_config *config, const struct options *options)
{
    struct server server;
    int r = plan(config);

    if (r < 0) {
        return r;
    }
    r = server_init(&server, options, config->shards);
    if (r < 0) {
        return r;
    }
    r = rt_start(config, server_run, &server);
    server_fini(&server);
    return r;
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct options options;

    config.name = "rt-kv";
    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    switch (options_parse(&options, argc, argv)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    return run(&config, &options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
