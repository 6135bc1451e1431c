/* SPDX-License-Identifier: MIT */
/*
 * cache [READERS]: a cache of slow answers, and the locks that it needs.
 *
 *     event       the readers begin together
 *     rwlock      many look up at a time; who clears the cache is alone in it
 *     once        an answer is computed by the first who asks; the others wait for it
 *     semaphore   at most 2 answers are computed at a time
 *     gate        the cache is freed when the last lookup has left it
 *
 * All of them are needed only because a lookup may wait. What happens between two
 * waits needs no lock: one shard runs one task at a time.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS          8
#define COMPUTED_MAX  2
#define READERS       20
#define READERS_LIMIT 10000

struct cache;

struct entry {
    struct rt_once computed; /* its result is the answer */
    struct cache *cache;
};

struct cache {
    struct rt_gate users;
    struct rt_rwlock lock; /* of entries[] */
    struct rt_semaphore slots;
    struct entry entries[KEYS];
    unsigned lookups;
    unsigned computed; /* answers */
    unsigned at_once;  /* that are being computed now */
    unsigned most_at_once;
};

static struct rt_event begin = RT_EVENT_INIT;

static void forget_answers(struct cache *cache)
{
    for (int key = 0; key < KEYS; key++) {
        cache->entries[key] = (struct entry){ RT_ONCE_INIT, cache };
    }
}

static struct cache *cache_create(void)
{
    struct cache *cache = calloc(1, sizeof(*cache));

    if (cache != NULL) {
        cache->users = (struct rt_gate)RT_GATE_INIT;
        cache->lock = (struct rt_rwlock)RT_RWLOCK_INIT;
        cache->slots = (struct rt_semaphore)RT_SEMAPHORE_INIT(COMPUTED_MAX);
        forget_answers(cache);
    }
    return cache;
}

/* The slow part; a sleep stands for a disk or another service. */
static int compute(void *arg)
{
    struct entry *entry = arg;
    struct cache *cache = entry->cache;
    const int key = (int)(entry - cache->entries);
    int r = rt_semaphore_take(&cache->slots, 1, RT_NEVER);

    if (r < 0) {
        return r; /* not done: the next who waits for this answer computes it */
    }
    if (++cache->at_once > cache->most_at_once) {
        cache->most_at_once = cache->at_once;
    }
    r = rt_sleep_until(rt_in(RT_MILLISECONDS(2)));
    cache->at_once--;
    rt_semaphore_put(&cache->slots, 1);
    if (r < 0) {
        return r;
    }
    cache->computed++;
    return key * key;
}

/* The answer, or an error; -EPIPE: the cache is closed. */
static int cache_look_up(struct cache *cache, int key, rt_time deadline)
{
    struct entry *entry = &cache->entries[key];
    int r = rt_gate_enter(&cache->users);

    if (r < 0) {
        return r;
    }
    r = rt_rwlock_read_lock(&cache->lock, deadline);
    if (r == 0) {
        r = rt_once_run(&entry->computed, compute, entry, deadline);
        cache->lookups++;
        rt_rwlock_read_unlock(&cache->lock);
    }
    rt_gate_leave(&cache->users);
    return r;
}

/* Nobody looks anything up meanwhile, so nobody has an answer that is only half there. */
static int cache_clear(struct cache *cache, rt_time deadline)
{
    const int r = rt_rwlock_write_lock(&cache->lock, deadline);

    if (r == 0) {
        forget_answers(cache);
        rt_rwlock_write_unlock(&cache->lock);
    }
    return r;
}

static int reader(void *arg)
{
    struct cache *cache = arg;
    int r = rt_event_wait(&begin, RT_NEVER);

    for (int i = 0; r == 0 && i < KEYS; i++) {
        const int key = (int)(rt_self_id() + (uint32_t)i) % KEYS; /* not all want the same first */
        const int answer = cache_look_up(cache, key, rt_in(RT_SECONDS(10)));

        if (answer < 0) {
            r = answer;
        } else if (answer != key * key) {
            r = -EBADMSG;
        }
    }
    return r;
}

static int read_together(struct cache *cache, int readers)
{
    struct rt_group group = RT_GROUP_INIT;
    int r = 0;
    int left;

    for (int i = 0; r == 0 && i < readers; i++) {
        r = rt_group_spawn(&group, reader, cache);
    }
    rt_event_set(&begin);
    left = rt_group_leave(&group, RT_NEVER);
    rt_event_reset(&begin);
    return r < 0 ? r : left;
}

static int use_cache(struct cache *cache, int readers)
{
    int r = read_together(cache, readers);

    if (r == 0) {
        r = cache_clear(cache, RT_NEVER);
    }
    if (r == 0) {
        r = read_together(cache, readers);
    }
    return r;
}

static int first(void *arg)
{
    struct cache *cache = cache_create();
    int r;

    if (cache == NULL) {
        return -ENOMEM;
    }
    r = use_cache(cache, *(const int *)arg);
    (void)rt_gate_close(&cache->users, RT_NEVER); /* also when we were cancelled */
    printf("%u lookups, %u answers computed, at most %u at a time\n", cache->lookups,
           cache->computed, cache->most_at_once);
    free(cache);
    return r;
}

int main(int argc, char *argv[])
{
    long readers = READERS;
    char *end = NULL;
    int count;
    int r;

    if (argc > 1) {
        readers = strtol(argv[1], &end, 10);
    }
    if (argc > 2 || (end != NULL && (end == argv[1] || *end != '\0')) || readers < 1 ||
        readers > READERS_LIMIT) {
        fprintf(stderr, "usage: cache [READERS]   1 to %d tasks, %d by default\n", READERS_LIMIT,
                READERS);
        return 2;
    }
    count = (int)readers;
    r = rt_run(NULL, first, &count);
    if (r < 0) {
        fprintf(stderr, "cache: %s\n", rt_strerror(r));
    }
    return r < 0;
}
