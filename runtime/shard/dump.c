/* SPDX-License-Identifier: MIT */
/* Dump: see dump.h. What is one shard's is written by core/dump.c. */
#include "shard/dump.h"

#include <errno.h>

#include "core/dump.h"
#include "core/fork.h"
#include "os/sys.h"
#include "os/thread.h"
#include "rt/version.h"
#include "shard/runtime.h"

#define FLAGS ((uint32_t)RT_DUMP_JSON | (uint32_t)RT_DUMP_BRIEF)

/* A dump that is being written. */
struct writing {
    const struct rt_runtime *runtime;
    int fd;
    struct rti_dump_request request;
    uint32_t parts;         /* of shards, written so far */
    int result;             /* 0, or the first error; after one nothing is written */
    struct rti_links links; /* of all parts */
};

int rti_dump_check_flags(uint32_t flags, const char *what, const struct rti_log *log)
{
    if ((flags & ~FLAGS) != 0) {
        rti_log(log, RT_LOG_ERROR, "%s is %u; its bits are those of enum rt_dump_flag, together %u",
                what, flags, FLAGS);
        return -EINVAL;
    }
    return 0;
}

static bool is_json(const struct writing *writing)
{
    return (writing->request.flags & RT_DUMP_JSON) != 0;
}

static int write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = rti_sys_write(fd, data, bytes);

        if (n == 0) {
            return -EIO; /* it takes nothing, and does not say why */
        }
        if (n < 0 && n != -EINTR) {
            return (int)n;
        }
        data += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Write the text and free it. */
static void put(struct writing *writing, struct rti_text *text)
{
    if (writing->result == 0) {
        writing->result = text->failed ? -ENOMEM : write_all(writing->fd, text->data, text->used);
    }
    rti_text_fini(text);
}

static void begin(struct writing *writing, uint32_t shards)
{
    const struct rt_runtime *runtime = writing->runtime;
    struct rti_text text = { .data = NULL };

    if (is_json(writing)) {
        rti_text_add(&text, "{\"shardrt\":\"%s\",\"process\":%d,\"name\":", RT_VERSION,
                     rti_sys_process_id());
        rti_text_add_json(&text, runtime->config.name);
        rti_text_add(&text, ",\"shard_count\":%u,\"shards\":[", runtime->mesh.shard_count);
    } else {
        rti_text_add(&text, "dump of '%s' (process %d, shardrt %s): %u of %u shards\n",
                     runtime->config.name, rti_sys_process_id(), RT_VERSION, shards,
                     runtime->mesh.shard_count);
    }
    put(writing, &text);
}

static void end(struct writing *writing)
{
    struct rti_text text = { .data = NULL };

    rti_text_add(&text, is_json(writing) ? "]," : "");
    rti_cycles_find(&text, &writing->links, is_json(writing));
    rti_text_add(&text, is_json(writing) ? "}\n" : "\n");
    rti_links_fini(&writing->links);
    put(writing, &text);
}

/* What a shard does that has not answered; only the kernel can tell. */
static const char *explain(char state)
{
    switch (state) {
    case 'R':
        return "its thread runs: a task computes, and neither waits nor yields";
    case 'S':
        return "its thread sleeps in the kernel: a task made a system call that blocks";
    case 'D':
        return "its thread is in the kernel and cannot be interrupted, as in slow storage";
    case 'T':
    case 't':
        return "its thread is stopped, as by a debugger";
    default:
        return "its thread is in an unknown state";
    }
}

static void say_why_not(const struct writing *writing, struct rti_text *text, uint32_t index,
                        const char *why)
{
    const struct rti_shard *shard = &writing->runtime->shards[index];

    if (is_json(writing)) {
        rti_text_add(text, "{\"shard\":%u,\"name\":", index);
        rti_text_add_json(text, shard->name);
        rti_text_add(text, ",\"answered\":false,\"thread\":%d,\"why\":", shard->thread_id);
        rti_text_add_json(text, why);
        rti_text_add(text, "}");
    } else {
        rti_text_add(text, "\nshard %u '%s' did not answer (thread %d): %s\n", index, shard->name,
                     shard->thread_id, why);
    }
}

/* The part of a shard: `dump` if it has answered. */
static void put_part(struct writing *writing, struct rti_dump *dump, uint32_t index,
                     enum rti_dump_state state)
{
    struct rti_text *text = &dump->text;
    struct rti_text out = { .data = NULL };

    if (is_json(writing) && writing->parts > 0) {
        rti_text_add(&out, ",");
    }
    writing->parts++;
    if (state == RTI_DUMP_GONE) {
        say_why_not(writing, &out, index, "it has ended");
    } else if (state != RTI_DUMP_DONE) {
        say_why_not(writing, &out, index,
                    explain(rti_thread_state(writing->runtime->shards[index].thread_id)));
    } else if (text->failed) {
        say_why_not(writing, &out, index, "there is no memory for its answer");
    }
    if (out.used > 0) {
        put(writing, &out);
    }
    if (state == RTI_DUMP_DONE && !text->failed) {
        put(writing, text);
        rti_links_append(&writing->links, &dump->links);
    }
    rti_dump_fini(dump);
}

static void put_all(struct writing *writing, const struct rti_mesh_shard *here)
{
    const struct rti_mesh *mesh = &writing->runtime->mesh;

    begin(writing, mesh->shard_count);
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        struct rti_dump dump = { .text.data = NULL };
        enum rti_dump_state state = RTI_DUMP_DONE;

        if (here != NULL && mesh->shards[i] == here) {
            rti_dump_shard(&dump, here->executor, i, &writing->request);
        } else {
            state = rti_dumps_take(mesh->shards[i], RTI_DUMPS_WANTED, &dump);
        }
        put_part(writing, &dump, i, state);
    }
    end(writing);
}

static void ask_all(struct rti_mesh *mesh, struct rti_mesh_shard *here, struct rt_waker asker,
                    const struct rti_dump_request *request)
{
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        if (mesh->shards[i] != here) {
            rti_dumps_ask(here, mesh->shards[i], RTI_DUMPS_WANTED, asker, request);
        }
    }
}

static struct rti_dump_request request_of(uint32_t flags)
{
    return (struct rti_dump_request){ .asked = rti_sys_now(), .flags = flags };
}

static struct rt_runtime *runtime_of(struct rti_mesh *mesh)
{
    return RTI_CONTAINER_OF(mesh, struct rt_runtime, mesh);
}

/* Public */

int rt_dump(int fd, uint32_t flags)
{
    const struct rti_mesh_shard *here = rti_mesh_of_task("rt_dump");
    struct writing writing = { .runtime = runtime_of(here->mesh),
                               .fd = fd,
                               .request = request_of(flags) };
    struct rti_dump dump = { .text.data = NULL };
    const int r = rti_dump_check_flags(flags, "rt_dump(): flags", &here->executor->log);

    if (r < 0) {
        return r;
    }
    rti_dump_shard(&dump, here->executor, here->index, &writing.request);
    writing.result = dump.text.failed ? -ENOMEM : 0;
    begin(&writing, 1);
    put(&writing, &dump.text);
    rti_links_append(&writing.links, &dump.links);
    end(&writing);
    return writing.result;
}

int rt_dump_all(int fd, uint32_t flags, rt_time deadline)
{
    struct rti_mesh_shard *here = rti_mesh_of_task("rt_dump_all");
    struct rti_mesh *mesh = here->mesh;
    struct writing writing = { .runtime = runtime_of(mesh),
                               .fd = fd,
                               .request = request_of(flags) };
    int r = rti_dump_check_flags(flags, "rt_dump_all(): flags", &here->executor->log);

    if (r == 0) {
        r = rti_dumps_begin(mesh, RTI_DUMPS_WANTED);
    }
    if (r < 0) {
        return r;
    }
    ask_all(mesh, here, rt_waker_self(), &writing.request);
    while (r == 0 && !rti_dumps_answered(mesh, RTI_DUMPS_WANTED)) {
        r = rt_park(deadline);
    }
    if (r == -ECANCELED) {
        writing.result = r; /* what has come is freed, not written */
    }
    put_all(&writing, here);
    rti_dumps_end(mesh, RTI_DUMPS_WANTED);
    return writing.result;
}

int rt_runtime_dump(struct rt_runtime *runtime, int fd, uint32_t flags, rt_time deadline)
{
    struct writing writing = { .runtime = runtime, .fd = fd, .request = request_of(flags) };
    int r;

    rti_fork_check("rt_runtime_dump");
    if (RTI_UNLIKELY(rti_current != NULL)) {
        rti_misuse("rt_runtime_dump() was called from a task: it would block the shard; use "
                   "rt_dump_all()");
    }
    r = rti_dump_check_flags(flags, "rt_runtime_dump(): flags", &runtime->log);
    if (r == 0) {
        r = rti_dumps_begin(&runtime->mesh, RTI_DUMPS_WANTED);
    }
    if (r < 0) {
        return r;
    }
    ask_all(&runtime->mesh, NULL, (struct rt_waker){ .task = NULL }, &writing.request);
    rti_dumps_await(&runtime->mesh, RTI_DUMPS_WANTED, deadline);
    put_all(&writing, NULL);
    rti_dumps_end(&runtime->mesh, RTI_DUMPS_WANTED);
    return writing.result;
}
