/* SPDX-License-Identifier: MIT */
/* Options: what rt-kv is told on its command line. */
#ifndef KV_OPTIONS_H
#define KV_OPTIONS_H

#include <rt/rt.h>
#include <stdint.h>

struct options {
    const char *bind;         /* numeric host */
    uint32_t port;            /* 0: the kernel chooses */
    rt_time drain;            /* connections may go on so long after SIGTERM */
    uint32_t connections_max; /* of all shards together */
    uint32_t key_max;         /* bytes */
    uint32_t value_max;       /* bytes */
    uint32_t pipeline_max;    /* requests of a connection that are answered in one go */
    uint64_t memory_max;      /* bytes of all stores together; 0: no limit */
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_DONE,  /* --help or --version was printed */
    OPTIONS_WRONG, /* and a text said so */
};

/* Reads the options of rt-kv; those of rt_config_parse() were taken out of argv before. */
enum options_result options_parse(struct options *options, int argc, char **argv);

/* "HOST:PORT" for rt_tcp_listen(). False when `bytes` are too few. */
bool options_address(const struct options *options, char *text, size_t bytes);

#endif /* KV_OPTIONS_H */
