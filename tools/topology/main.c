/* SPDX-License-Identifier: MIT */
/*
 * rt-topology: what a machine is made of, and where shards would run on it.
 *
 * It takes the options of every program of the library, so that the command
 * line of a service, put behind rt-topology, shows where its shards will be.
 */
#include <errno.h>
#include <getopt.h>
#include <rt/rt.h>
#include <rt/topology.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "show.h"

#define EXIT_USAGE 2

struct options {
    enum rt_topology_source source;
    const char *text; /* of the source; NULL: this machine */
    bool json;
};

static void usage(FILE *stream)
{
    fputs("usage: rt-topology [options]\n"
          "\n"
          "Shows the machine, and which shard rt_start() would put on which CPU: for each\n"
          "place, or for the one that is asked for.\n"
          "\n"
          "  --synthetic TEXT    a machine from a description, such as \"pack:2 core:8 pu:2\"\n"
          "  --xml FILE          a machine from a file of hwloc (lstopo machine.xml)\n"
          "  --json              for programs\n"
          "  --help              this text\n"
          "  --version           the version\n"
          "\n"
          "What a program that uses the library can be told, this one can be told as well;\n"
          "--cpus, --shards and --place count here:\n"
          "\n",
          stream);
    fputs(rt_config_help(), stream);
}

/* 0, EXIT_USAGE, or below 0: all is done. */
static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        { "synthetic", required_argument, NULL, 's' },
        { "xml", required_argument, NULL, 'x' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        switch (c) {
        case 's':
        case 'x':
            if (options->text != NULL) {
                fputs("rt-topology: one machine at a time\n", stderr);
                return EXIT_USAGE;
            }
            options->source = c == 's' ? RT_TOPOLOGY_SYNTHETIC : RT_TOPOLOGY_XML;
            options->text = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            usage(stdout);
            return -1;
        case 'V':
            printf("rt-topology %s\n", RT_VERSION);
            return -1;
        default:
            fputs("rt-topology --help lists the options\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "rt-topology: nothing is called \"%s\" here; see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return 0;
}

/* One place if it was chosen, else each of them. */
static int make_plans(struct plans *plans, const struct rt_topology *machine,
                      const struct rt_config *config, bool chosen)
{
    int r = 0;

    for (uint32_t place = 0; r == 0 && place < PLACES; place++) {
        struct rt_config one = *config;

        if (chosen ? place != config->place
                   : place == RT_PLACE_UNBOUND && config->cpus != NULL) { /* exclude each other */
            continue;
        }
        one.place = place;
        if (!chosen && one.log_level == 0) {
            one.log_level = RT_LOG_ERROR; /* a warning once per place would be too much */
        }
        r = rt_plan_create_on(&plans->by_place[place], machine, &one);
    }
    return r;
}

static int show(const struct rt_topology *machine, const struct plans *plans, bool json)
{
    int r = 0;

    if (json) {
        show_json(machine, plans);
    } else {
        r = show_text(machine, plans);
    }
    if (r == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        r = -EIO;
    }
    if (r < 0) {
        fprintf(stderr, "rt-topology: cannot write: %s\n", rt_strerror(r));
    }
    return r;
}

static int run(const struct options *options, const struct rt_config *config, bool chosen)
{
    struct plans plans = { 0 };
    struct rt_topology *machine;
    int r = rt_topology_read(&machine, options->source, options->text, config);

    if (r < 0) {
        return r;
    }
    r = make_plans(&plans, machine, config, chosen);
    if (r == 0) {
        r = show(machine, &plans, options->json);
    }
    for (int place = 0; place < PLACES; place++) {
        rt_plan_destroy(plans.by_place[place]);
    }
    rt_topology_destroy(machine);
    return r;
}

int main(int argc, char **argv)
{
    struct options options = { .source = RT_TOPOLOGY_THIS };
    struct rt_config config = RT_CONFIG_INIT;
    bool chosen;
    int r;

    config.place = UINT32_MAX; /* no place: it is left as it is unless one is chosen */
    if (rt_config_parse(&config, &argc, argv) < 0) {
        return EXIT_USAGE;
    }
    chosen = config.place != UINT32_MAX;
    config.place = chosen ? config.place : RT_PLACE_CORE;
    r = read_options(&options, argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    return run(&options, &config, chosen) < 0;
}
