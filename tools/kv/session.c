/* SPDX-License-Identifier: MIT */
/* One connection, and the task that serves it. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>

#include "command.h"
#include "resp.h"
#include "round.h"

/* The receive buffer: a pipeline of 16 with values of 64 bytes takes 2 KiB. It doubles while a
 * request does not fit. */
#define RECEIVE_BYTES      ((size_t)16 * 1024)
#define RECEIVE_BYTES_FREE ((size_t)4 * 1024) /* there is room for so much before each receive */
#define ARGS_KEPT          1024u /* of the parser's list between rounds */

/* The last replies get so long to arrive before the connection is closed: closing earlier, with
 * bytes of the peer unread, would take replies back that are on their way. */
#define LINGER RT_MILLISECONDS(100)

struct session {
    struct session *next;
    struct session **link; /* what points to this one in shard->sessions */
    struct shard *shard;
    struct rt_tcp_stream *peer;
    struct rt_task *task; /* who serves it; the session's own handle */
    struct client client;
    struct resp_parser parser;
    char *bytes; /* received */
    size_t capacity;
    size_t begin;   /* first byte of the request that comes next */
    size_t end;     /* behind the last byte that was received */
    bool receiving; /* E1 */
};

static void leave_shard(struct session *session)
{
    struct shard *shard = session->shard;

    *session->link = session->next;
    if (session->next != NULL) {
        session->next->link = session->link;
    }
    shard->counters.connections--;
    server_leave(shard->server);
    if (shard->sessions == NULL && shard->stage != SHARD_SERVING) {
        rt_wake(shard->drainer); /* E2 */
    }
}

static void enter_shard(struct session *session)
{
    struct shard *shard = session->shard;

    session->next = shard->sessions;
    session->link = &shard->sessions;
    if (session->next != NULL) {
        session->next->link = &session->next;
    }
    shard->sessions = session;
    shard->counters.connections++;
}

/* Make room behind `end`. False without memory. */
static bool make_room(struct session *session)
{
    const size_t len = session->end - session->begin;
    size_t capacity = session->capacity;
    char *bytes;

    if (session->begin > 0) {
        memmove(session->bytes, session->bytes + session->begin, len); /* R1 */
        session->begin = 0;
        session->end = len;
    }
    if (len == 0 && capacity > RECEIVE_BYTES) {
        free(session->bytes);
        session->bytes = NULL;
        session->capacity = 0;
        capacity = RECEIVE_BYTES;
    }
    while (capacity - len < RECEIVE_BYTES_FREE) {
        capacity *= 2;
    }
    if (capacity == session->capacity) {
        return true;
    }
    bytes = realloc(session->bytes, capacity);
    if (bytes == NULL) {
        return false;
    }
    session->bytes = bytes;
    session->capacity = capacity;
    return true;
}

/* Above 0 when bytes came; 0 when the peer has finished, or there is nothing more and the server
 * stops; or an error. */
static int receive(struct session *session)
{
    ssize_t n;

    if (!make_room(session)) {
        return -ENOMEM;
    }
    session->receiving = true;
    n = rt_tcp_recv(session->peer, session->bytes + session->end, session->capacity - session->end,
                    session->shard->stage == SHARD_SERVING ? RT_NEVER : 0);
    session->receiving = false;
    if (n > 0) {
        session->end += (size_t)n;
        return rt_cancelled() ? -ECANCELED : 1;
    }
    return n == -ETIME ? -ESHUTDOWN : (int)n;
}

/* Add requests to the round, as many as have come and pipeline_max allows. RESP_REQUEST: there may
 * be more; RESP_MORE: no whole one is left; RESP_ERROR: nothing may follow. */
static enum resp_result read_requests(struct session *session, struct round *round)
{
    const uint32_t pipeline_max = session->shard->server->options->pipeline_max;
    enum resp_result result = RESP_REQUEST;

    while (round->request_count < pipeline_max && !session->client.quit) {
        char *data = session->bytes + session->begin;
        size_t used;

        result = resp_next(&session->parser, data, session->end - session->begin, &used);
        if (result != RESP_REQUEST) {
            break;
        }
        session->begin += used;
        if (session->parser.count > 0) {
            command_add(round, &session->client,
                        &(struct words){ data, session->parser.args, session->parser.count });
        }
    }
    if (result == RESP_ERROR) {
        command_add_protocol_error(round, session->parser.error);
    }
    return result;
}

/* One round. 0; -ENOMEM; or an error of sending. *result is that of read_requests(). */
static int answer_some(struct session *session, struct rt_tcp_stream *peer,
                       enum resp_result *result)
{
    struct round *round = round_take(session->shard, peer);
    int r;

    if (round == NULL) {
        return -ENOMEM;
    }
    *result = read_requests(session, round);
    r = round_run(round);
    round_give(round);
    return *result == RESP_NO_MEMORY ? -ENOMEM : r;
}

/* Answer the requests that have come; all of them, even when the peer is gone. 0; -ESHUTDOWN when
 * the connection is to be closed in peace; or an error. */
static int answer(struct session *session)
{
    struct rt_tcp_stream *peer = session->peer;
    enum resp_result result = RESP_MORE;
    int error = 0;

    do {
        const int r = answer_some(session, peer, &result);

        if (r == -ENOMEM) {
            return r;
        }
        if (r < 0) {
            error = r;
            peer = NULL;
        }
    } while (result == RESP_REQUEST && !session->client.quit);
    if (error == 0 && (result == RESP_ERROR || session->client.quit)) {
        return -ESHUTDOWN;
    }
    if (session->parser.capacity > ARGS_KEPT && session->begin == session->end) {
        resp_free(&session->parser);
    }
    return error;
}

/* 0 when the peer has finished; or why the session ends. */
static int serve(struct session *session)
{
    int r;

    do {
        r = answer(session);
        if (r == 0) {
            r = receive(session);
        }
    } while (r > 0);
    return r;
}

/* Wait until the peer has the last replies and finishes, but not long. */
static void linger(struct session *session)
{
    const rt_time deadline = rt_in(LINGER);

    if (rt_tcp_shutdown_send(session->peer) < 0) {
        return;
    }
    while (rt_tcp_recv(session->peer, session->bytes, session->capacity, deadline) > 0) {
    }
}

static int session_task(void *arg)
{
    struct session *session = arg;
    struct rt_task *self = session->task; /* stays the session's where there is no other */
    const int r = serve(session);

    if (r == -ECANCELED && session->shard->stage == SHARD_DRAINING &&
        rt_spawn(&session->task, session_task, session) == 0) {
        rt_detach(self);
        return 0;
    }
    if (r == -ESHUTDOWN) {
        linger(session);
    }
    rt_tcp_close(session->peer);
    leave_shard(session);
    rt_detach(session->task);
    resp_free(&session->parser);
    free(session->bytes);
    free(session);
    return 0;
}

int session_start(struct shard *shard, struct rt_tcp_stream *peer)
{
    static const struct rt_spawn_options options = {
        .size = sizeof(options),
        .name = "session",
    };
    const struct options *limits = shard->server->options;
    struct session *session = calloc(1, sizeof(*session));
    const uint32_t bulk_max = limits->key_max > limits->value_max ? limits->key_max
                                                                  : limits->value_max;
    int r = -ENOMEM;

    if (session == NULL) {
        goto fail_peer;
    }
    session->bytes = malloc(RECEIVE_BYTES);
    if (session->bytes == NULL) {
        goto fail_session;
    }
    session->capacity = RECEIVE_BYTES;
    session->shard = shard;
    session->peer = peer;
    session->parser.bulk_max = bulk_max;
    session->parser.request_max = limits->key_max + limits->value_max + 2 * RESP_LINE_MAX;
    session->client.id = shard->counters.connections_accepted * shard->server->shard_count +
                         shard->index + 1;
    r = rt_spawn_with(&session->task, session_task, session, &options);
    if (r < 0) {
        goto fail_bytes;
    }
    shard->counters.connections_accepted++;
    enter_shard(session);
    return 0;

fail_bytes:
    free(session->bytes);
fail_session:
    free(session);
fail_peer:
    rt_tcp_close(peer);
    return r;
}

void session_drain(struct shard *shard)
{
    for (struct session *session = shard->sessions; session != NULL; session = session->next) {
        if (session->receiving) {
            rt_cancel(session->task);
        }
    }
}

void session_cancel_all(struct shard *shard)
{
    for (struct session *session = shard->sessions; session != NULL; session = session->next) {
        rt_cancel(session->task);
    }
}
