/* SPDX-License-Identifier: MIT */
/*
 * The most frequent words of a file, counted on all shards.
 *
 *     mesh_shuffle --shards 4 README.md
 *
 *     map      each shard cuts its part of the text into words
 *     shuffle  a word goes to the shard that its hash says, through a mesh, so all
 *              that are equal meet on one shard. They travel in batches, by pointer
 *     reduce   each shard counts the words that come to it, and sends the batch
 *              home, to be filled again
 *
 * On every shard map and reduce are two tasks, so that it receives while its own
 * sends wait for room.
 */
#define _GNU_SOURCE /* twalk_r(), tdestroy() */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX    (1u << 30)
#define WORD_MAX    63 /* longer ones are cut */
#define BATCH_BYTES 4000
#define CAPACITY    16 /* batches on their way from one shard to one other */
#define TOP         10

/* Words with a zero behind each. */
struct batch {
    struct rt_home_node node; /* the first member: a pointer to it is one to the batch */
    struct part *part;        /* of the shard that made it */
    struct batch *next_spare;
    size_t used;
    char words[BATCH_BYTES];
};

struct count {
    uint64_t times;
    char word[WORD_MAX + 1];
};

/* A shard's own. */
struct part {
    void *counts; /* a tree of struct count */
    size_t different;
    uint64_t total;
    struct batch *spare;
    char apart[128]; /* the next one is written by another core */
};

static struct {
    const char *path;
    struct rt_mesh *mesh;
    const char *text;
    size_t bytes;
    struct part *parts; /* by shard */
    uint32_t shards;
} job; /* set by shard 0 before it calls the others */

/* Batches */

static void put_back(struct rt_home_node *node)
{
    struct batch *batch = (struct batch *)node;

    batch->next_spare = batch->part->spare; /* at home: nobody else touches the list */
    batch->part->spare = batch;
}

/* NULL when there is no memory. */
static struct batch *get_batch(struct part *part)
{
    struct batch *batch = part->spare;

    if (batch != NULL) {
        part->spare = batch->next_spare;
    } else {
        batch = malloc(sizeof(*batch));
        if (batch == NULL) {
            return NULL;
        }
        batch->part = part;
    }
    rt_home_init(&batch->node, put_back);
    batch->used = 0;
    return batch;
}

/* Map */

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static uint32_t owner_of(const char *word, size_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)word[i]) * 16777619u;
    }
    return hash % job.shards;
}

static int send(uint32_t to, struct batch *batch)
{
    struct rt_spsc *channel;
    int r = rt_mesh_sender(&channel, job.mesh, to);

    if (r == 0) {
        r = rt_spsc_send(channel, &batch, 1, NULL, RT_NEVER);
    }
    if (r < 0) {
        rt_home_free(&batch->node);
    }
    return r;
}

/* Into the open batch for its owner, which is sent when it is full. */
static int add(struct batch **open, const char *word, size_t length)
{
    const uint32_t to = owner_of(word, length);
    int r = 0;

    if (open[to] != NULL && open[to]->used + length + 1 > BATCH_BYTES) {
        r = send(to, open[to]);
        open[to] = NULL;
    }
    if (r == 0 && open[to] == NULL) {
        open[to] = get_batch(&job.parts[rt_shard_index()]);
        r = open[to] == NULL ? -ENOMEM : 0;
    }
    if (r == 0) {
        memcpy(open[to]->words + open[to]->used, word, length);
        open[to]->words[open[to]->used + length] = '\0';
        open[to]->used += length + 1;
    }
    return r;
}

/* The words that begin in this shard's part of the text. */
static int cut(struct batch **open)
{
    const size_t shard = rt_shard_index();
    const size_t end = job.bytes * (shard + 1) / job.shards;
    size_t i = job.bytes * shard / job.shards;
    int r = 0;

    while (i > 0 && i < end && is_letter(job.text[i - 1]) && is_letter(job.text[i])) {
        i++; /* this one began in the part before */
    }
    while (r == 0 && i < end) {
        const size_t begin = i;

        while (i < job.bytes && is_letter(job.text[i])) {
            i++;
        }
        if (i > begin) {
            r = add(open, job.text + begin, i - begin < WORD_MAX ? i - begin : WORD_MAX);
            rt_yield_if_due();
        } else {
            i++;
        }
    }
    return r;
}

static int map(void *arg)
{
    struct batch **open = calloc(job.shards, sizeof(struct batch *));
    int r = open == NULL ? -ENOMEM : cut(open);

    (void)arg;
    for (uint32_t i = 0; open != NULL && i < job.shards; i++) {
        if (open[i] != NULL && r == 0) {
            r = send(i, open[i]);
        } else if (open[i] != NULL) {
            rt_home_free(&open[i]->node);
        }
    }
    rt_mesh_close_senders(job.mesh); /* also after a failure: the others wait for it */
    free(open);
    return r;
}

/* Reduce */

static int compare_words(const void *left, const void *right)
{
    return strcmp(((const struct count *)left)->word, ((const struct count *)right)->word);
}

static int count_word(struct part *part, const char *word)
{
    struct count *count = malloc(sizeof(*count));
    struct count **found;

    if (count == NULL) {
        return -ENOMEM;
    }
    count->times = 0;
    memcpy(count->word, word, strlen(word) + 1);
    found = tsearch(count, &part->counts, compare_words);
    if (found == NULL || *found != count) {
        free(count); /* it is there already */
    } else {
        part->different++;
    }
    if (found == NULL) {
        return -ENOMEM;
    }
    (*found)->times++;
    part->total++;
    return 0;
}

static int count_batch(struct part *part, const struct batch *batch)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < batch->used; i += strlen(batch->words + i) + 1) {
        r = count_word(part, batch->words + i);
    }
    return r;
}

static int reduce(void *arg)
{
    struct part *part = &job.parts[rt_shard_index()];
    struct batch *batches[CAPACITY];
    int r = 0;
    ssize_t n;

    (void)arg;
    while ((n = rt_mesh_recv_any(job.mesh, batches, CAPACITY, NULL, RT_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (r == 0) {
                r = count_batch(part, batches[i]);
            }
            rt_home_free(&batches[i]->node);
        }
    }
    rt_mesh_close_receivers(job.mesh);
    return n < 0 ? (int)n : r;
}

/* All of it */

static int work(void *arg) /* on every shard */
{
    struct rt_group tasks = RT_GROUP_INIT;
    int r = rt_group_spawn(&tasks, reduce, NULL);
    int left;

    (void)arg;
    if (r == 0) {
        r = rt_group_spawn(&tasks, map, NULL);
    }
    if (r < 0) {
        rt_group_cancel(&tasks);
    }
    left = rt_group_leave(&tasks, RT_NEVER);
    rt_mesh_leave(job.mesh, rt_shard_index());
    return r < 0 ? r : left;
}

/* A call to the calling shard runs at once: its own comes last. */
static int call_all(void)
{
    struct rt_call *calls = calloc(job.shards, sizeof(*calls));
    uint32_t begun = job.shards;
    int first_error = calls == NULL ? -ENOMEM : 0;

    while (calls != NULL && first_error == 0 && begun > 0) {
        first_error = rt_call_begin(&calls[begun - 1], begun - 1, work, NULL, RT_NEVER);
        begun -= first_error == 0;
    }
    for (uint32_t i = 0; calls != NULL && i < begun; i++) {
        rt_mesh_leave(job.mesh, i); /* it was not reached: nobody waits for it */
    }
    for (uint32_t i = begun; calls != NULL && i < job.shards; i++) {
        int result = 0;
        int r = rt_call_end(&calls[i], &result, RT_NEVER);

        if (r < 0) {
            rt_mesh_leave(job.mesh, i);
        }
        r = r < 0 ? r : result;
        first_error = first_error < 0 ? first_error : r;
    }
    free(calls);
    return first_error;
}

static void add_to_list(const void *node, VISIT order, void *arg)
{
    const struct count ***next = arg;

    if (order == postorder || order == leaf) {
        *(*next)++ = *(const struct count *const *)node;
    }
}

static int compare_times(const void *left, const void *right)
{
    const struct count *a = *(const struct count *const *)left;
    const struct count *b = *(const struct count *const *)right;

    return a->times != b->times ? (a->times < b->times ? 1 : -1) : strcmp(a->word, b->word);
}

static int print_top(void)
{
    const struct count **list;
    const struct count **next;
    uint64_t total = 0;
    size_t different = 0;

    for (uint32_t i = 0; i < job.shards; i++) {
        total += job.parts[i].total;
        different += job.parts[i].different;
    }
    list = calloc(different + 1, sizeof(struct count *));
    if (list == NULL) {
        return -ENOMEM;
    }
    next = list;
    for (uint32_t i = 0; i < job.shards; i++) {
        twalk_r(job.parts[i].counts, add_to_list, &next);
    }
    qsort(list, different, sizeof(struct count *), compare_times);
    printf("%" PRIu64 " words, %zu different\n", total, different);
    for (size_t i = 0; i < TOP && i < different; i++) {
        printf("%8" PRIu64 " %s\n", list[i]->times, list[i]->word);
    }
    free(list);
    return 0;
}

static int count_text(void)
{
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;
    int r;

    job.shards = rt_shard_count();
    job.parts = calloc(job.shards, sizeof(*job.parts));
    if (job.parts == NULL) {
        return -ENOMEM;
    }
    options.item_bytes = sizeof(struct batch *);
    options.capacity = CAPACITY;
    options.name = "words";
    r = rt_mesh_create(&job.mesh, &options);
    if (r < 0) {
        return r;
    }
    r = call_all();
    rt_mesh_destroy(job.mesh);
    return r < 0 ? r : print_top();
}

static int first(void *arg)
{
    void *text;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0; /* goes on serving calls */
    }
    r = rt_file_load(job.path, FILE_MAX, &text, &job.bytes, RT_NEVER);
    if (r == 0) {
        job.text = text;
        r = count_text();
        rt_file_unload(text);
    }
    if (r < 0) {
        fprintf(stderr, "mesh_shuffle: %s: %s\n", job.path, rt_strerror(r));
    }
    return r;
}

/* Batches may have come home until the last shard has ended. */
static void free_parts(void)
{
    for (uint32_t i = 0; job.parts != NULL && i < job.shards; i++) {
        struct batch *batch;

        while ((batch = job.parts[i].spare) != NULL) {
            job.parts[i].spare = batch->next_spare;
            free(batch);
        }
        tdestroy(job.parts[i].counts, free);
    }
    free(job.parts);
}

static void usage(FILE *stream)
{
    fprintf(stream,
            "usage: mesh_shuffle [options] FILE\n"
            "\n"
            "Prints how many words FILE has, and the %d that come most often.\n"
            "\n"
            "  --help  this text\n"
            "%s",
            TOP, rt_config_help());
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct rt_config config = RT_CONFIG_INIT;
    int c;
    int r;

    if (rt_config_parse(&config, &argc, argv) < 0) {
        return 2;
    }
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        usage(c == 'h' ? stdout : stderr);
        return c == 'h' ? 0 : 2;
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    job.path = argv[optind];
    r = rt_start(&config, first, NULL);
    free_parts();
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
