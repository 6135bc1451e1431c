/* SPDX-License-Identifier: MIT */
/*
 * rt-topology: what a machine is made of, where shards would run on it, and what is
 * in their way.
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

#include "disks.h"
#include "doctor.h"
#include "explain.h"
#include "show.h"
#include "warnings.h"

#define EXIT_USAGE 2

struct options {
    enum rt_topology_source source;
    const char *text; /* of the source; NULL: this machine */
    const char *root; /* of /proc and /sys; NULL: not given */
    const char *file; /* for the drawing; NULL: standard output */
    bool json;
    bool svg;
    bool explain;
    bool doctor;
};

static void usage(FILE *stream)
{
    fputs("usage: rt-topology [options]\n"
          "\n"
          "Shows the machine, and which shard rt_start() would put on which CPU: for each\n"
          "place, or for the one that is asked for; with warnings, and what cures them.\n"
          "\n"
          "  --synthetic TEXT    a machine from a description, such as \"pack:2 core:8 pu:2\"\n"
          "  --xml FILE          a machine from a file of hwloc (lstopo machine.xml)\n"
          "  --explain           how each plan came about, and why CPUs are left out\n"
          "  --doctor            can a runtime start here, and will it run well?\n"
          "  --json              for programs\n"
          "  --svg [FILE]        a drawing, to FILE or to standard output\n"
          "  --root DIR          for tests: read /proc and /sys below DIR\n"
          "  --help              this text\n"
          "  --version           the version\n"
          "\n"
          "What a program that uses the library can be told, this one can be told as well;\n"
          "--cpus, --shards, --place and --near count here:\n"
          "\n",
          stream);
    fputs(rt_config_help(), stream);
}

static int complain(const char *what)
{
    fprintf(stderr, "rt-topology: %s\n", what);
    return EXIT_USAGE;
}

/* What goes with what. */
static int check_options(const struct options *options, const struct rt_config *config)
{
    if (config->near != NULL && options->text != NULL) {
        return complain("--near asks for a disk of this machine: leave --synthetic and --xml out");
    }
    if (options->json && options->svg) {
        return complain("--json and --svg: choose one");
    }
    if (options->doctor && options->text != NULL) {
        return complain("--doctor examines this machine: leave --synthetic and --xml out");
    }
    if (options->doctor && (options->svg || options->explain)) {
        return complain("--doctor can be had as text and with --json: leave --svg and --explain "
                        "out");
    }
    return 0;
}

/* The value of an option that needs none, if the next argument can be one. */
static const char *optional_value(int argc, char **argv)
{
    if (optarg != NULL) {
        return optarg;
    }
    return optind < argc && argv[optind][0] != '-' ? argv[optind++] : NULL;
}

static int take_option(struct options *options, int c, int argc, char **argv)
{
    switch (c) {
    case 's':
    case 'x':
        if (options->text != NULL) {
            return complain("one machine at a time");
        }
        options->source = c == 's' ? RT_TOPOLOGY_SYNTHETIC : RT_TOPOLOGY_XML;
        options->text = optarg;
        return 0;
    case 'r':
        options->root = optarg;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case 'v':
        options->svg = true;
        options->file = optional_value(argc, argv);
        return 0;
    case 'e':
        options->explain = true;
        return 0;
    case 'd':
        options->doctor = true;
        return 0;
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

/* 0, EXIT_USAGE, or below 0: all is done. */
static int read_options(struct options *options, const struct rt_config *config, int argc,
                        char **argv)
{
    static const struct option known[] = {
        { "synthetic", required_argument, NULL, 's' }, { "xml", required_argument, NULL, 'x' },
        { "root", required_argument, NULL, 'r' },      { "json", no_argument, NULL, 'j' },
        { "svg", optional_argument, NULL, 'v' },       { "explain", no_argument, NULL, 'e' },
        { "doctor", no_argument, NULL, 'd' },          { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },         { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        const int r = take_option(options, c, argc, argv);

        if (r != 0) {
            return r;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "rt-topology: nothing is called \"%s\" here; see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return check_options(options, config);
}

/* Where settings of the machine can be read: this one's, or that of a root; NULL: nowhere. */
static const char *settings_of(const struct options *options)
{
    if (options->root != NULL) {
        return options->root;
    }
    return options->source == RT_TOPOLOGY_THIS ? "" : NULL;
}

/* A shard on each CPU that is listed, if some are. */
static int make_listed(struct view *view, const struct rt_config *config)
{
    struct rt_config every = *config;

    every.place = RT_PLACE_PU;
    every.near = NULL;
    every.shards = 0;
    return config->cpus == NULL ? 0 : rt_plan_create_on(&view->listed, view->machine, &every);
}

static struct subject subject_of(const struct view *view, const struct rt_config *config,
                                 const struct options *options)
{
    return (struct subject){ view->machine, config, view->by_place[config->place].plan,
                             view->listed, settings_of(options) };
}

/* What is to be said of a plan. */
static void annotate(struct shown *shown, const struct subject *subject, bool explained)
{
    tell_disks(&shown->disks, subject);
    warn(&shown->warnings, subject);
    if (explained) {
        explain(&shown->steps, subject);
    }
}

/* One place if it was chosen, else each of them. */
static int make_plans(struct view *view, const struct rt_config *config,
                      const struct options *options)
{
    int r = make_listed(view, config);

    for (uint32_t place = 0; r == 0 && place < PLACES; place++) {
        struct rt_config one = *config;
        struct shown *shown = &view->by_place[place];

        if (view->chosen ? place != config->place
                         : (place == RT_PLACE_UNBOUND && config->cpus != NULL) || /* one of both */
                               place == RT_PLACE_NEAR /* needs a path */) {
            continue;
        }
        one.place = place;
        r = rt_plan_create_on(&shown->plan, view->machine, &one);
        if (r == 0) {
            const struct subject subject = subject_of(view, &one, options);

            annotate(shown, &subject, options->explain);
        }
    }
    return r;
}

static int finish_output(void)
{
    const int r = fflush(stdout) != 0 || ferror(stdout) ? -EIO : 0;

    if (r < 0) {
        fprintf(stderr, "rt-topology: cannot write: %s\n", rt_strerror(r));
    }
    return r;
}

static int show(const struct view *view, const struct options *options)
{
    if (options->file != NULL && freopen(options->file, "we", stdout) == NULL) {
        fprintf(stderr, "rt-topology: %s cannot be written: %s\n", options->file, strerror(errno));
        return -EIO;
    }
    if (options->svg) {
        show_svg(view);
    } else if (options->json) {
        show_json(view);
    } else {
        show_text(view);
    }
    return finish_output();
}

static int examine(const struct view *view, const struct rt_config *config,
                   const struct options *options)
{
    const struct subject subject = subject_of(view, config, options);
    struct notes checks = { 0 };
    bool alarmed;
    int r;

    doctor_examine(&checks, &subject);
    alarmed = doctor_is_alarmed(&checks);
    if (options->json) {
        show_checks_json(&checks, alarmed);
    } else {
        show_checks_text(&checks);
    }
    r = finish_output();
    notes_free(&checks);
    return alarmed ? -1 : r;
}

/* The configuration for plans: their warnings are shown with what cures them. */
static struct rt_config quieter(const struct rt_config *config)
{
    struct rt_config quiet = *config;

    if (quiet.log_level == 0) {
        quiet.log_level = RT_LOG_ERROR;
    }
    return quiet;
}

static int run(const struct options *options, const struct rt_config *config, bool chosen)
{
    const struct rt_config quiet = quieter(config);
    struct view view = { .chosen = chosen || options->doctor, .explained = options->explain };
    int r = rt_topology_read(&view.machine, options->source, options->text, config);

    if (r < 0) {
        return r;
    }
    if (options->root != NULL) {
        view.machine->cpu_quota = rt_topology_quota(options->root, config);
    }
    r = make_plans(&view, &quiet, options);
    if (r == 0) {
        r = options->doctor ? examine(&view, &quiet, options) : show(&view, options);
    }
    for (int place = 0; place < PLACES; place++) {
        rt_plan_destroy(view.by_place[place].plan);
        notes_free(&view.by_place[place].disks);
        notes_free(&view.by_place[place].steps);
        notes_free(&view.by_place[place].warnings);
    }
    rt_plan_destroy(view.listed);
    rt_topology_destroy(view.machine);
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
    r = read_options(&options, &config, argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    return run(&options, &config, chosen) < 0;
}
