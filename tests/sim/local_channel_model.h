/* SPDX-License-Identifier: MIT */
/*
 * Model of a channel: as naive as its contract.
 *
 * Whoever sends or receives stands in line, always, and then the model settles:
 * while there is room, the sender that came first puts its number in; while there
 * is a number, the receiver that came first takes it; when closed, senders get
 * -EPIPE, and receivers do when nothing is left. Who still stands in line waits.
 *
 * An actor has one request at a time. A request of a select has several legs;
 * the first that is served ends it. No list, no ring: a place in line is a ticket.
 */
#ifndef RT_TEST_LOCAL_CHANNEL_MODEL_H
#define RT_TEST_LOCAL_CHANNEL_MODEL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MODEL_ACTORS_MAX   8
#define MODEL_LEGS_MAX     3
#define MODEL_CHANNELS_MAX 2
#define MODEL_CAPACITY_MAX 16

struct model_channel {
    uint64_t numbers[MODEL_CAPACITY_MAX]; /* oldest first */
    unsigned count;
    unsigned capacity;
    bool closed;
};

struct model_leg {
    struct model_channel *channel;
    bool sends;
    uint64_t number; /* sent or, once served, received */
};

struct model_request {
    struct model_leg legs[MODEL_LEGS_MAX];
    unsigned leg_count;
    uint64_t ticket;
    bool waits;
    int result; /* valid when it does not wait */
    int won;    /* the leg that was served; below 0: none */
};

struct model {
    struct model_channel channels[MODEL_CHANNELS_MAX];
    struct model_request requests[MODEL_ACTORS_MAX]; /* by actor */
    uint64_t tickets;
    uint64_t transfers; /* numbers that were received */
    uint64_t parked;    /* requests that had to wait */
};

/* The leg that stands first in a line, or NULL. */
static inline struct model_leg *model_first(struct model *model,
                                            const struct model_channel *channel, bool sends,
                                            struct model_request **whose)
{
    struct model_leg *first = NULL;

    for (unsigned i = 0; i < MODEL_ACTORS_MAX; i++) {
        struct model_request *request = &model->requests[i];

        for (unsigned n = 0; request->waits && n < request->leg_count; n++) {
            struct model_leg *leg = &request->legs[n];

            if (leg->channel == channel && leg->sends == sends &&
                (first == NULL || request->ticket < (*whose)->ticket)) {
                first = leg;
                *whose = request;
            }
        }
    }
    return first;
}

static inline void model_end(struct model_request *request, const struct model_leg *leg, int result)
{
    request->waits = false;
    request->result = result;
    request->won = leg == NULL ? -1 : (int)(leg - request->legs);
}

/* One step, if there is one to do. */
static inline bool model_settle_one(struct model *model, struct model_channel *channel)
{
    struct model_request *sender = NULL;
    struct model_request *receiver = NULL;
    struct model_leg *in = model_first(model, channel, true, &sender);
    struct model_leg *out = model_first(model, channel, false, &receiver);

    if (in != NULL && channel->closed) {
        model_end(sender, in, -EPIPE);
    } else if (in != NULL && channel->count < channel->capacity) {
        channel->numbers[channel->count++] = in->number;
        model_end(sender, in, 0);
    } else if (out != NULL && channel->count > 0) {
        out->number = channel->numbers[0];
        memmove(channel->numbers, channel->numbers + 1, --channel->count * sizeof(uint64_t));
        model_end(receiver, out, 0);
        model->transfers++;
    } else if (out != NULL && channel->closed) {
        model_end(receiver, out, -EPIPE);
    } else {
        return false;
    }
    return true;
}

static inline void model_settle(struct model *model)
{
    for (unsigned i = 0; i < MODEL_CHANNELS_MAX; i++) {
        while (model_settle_one(model, &model->channels[i])) {
        }
    }
}

/* Whether the leg would be served at once. */
static inline bool model_is_ready(const struct model_leg *leg)
{
    const struct model_channel *channel = leg->channel;

    return channel->closed ||
           (leg->sends ? channel->count < channel->capacity : channel->count > 0);
}

static inline bool model_any_ready(const struct model_request *request)
{
    for (unsigned i = 0; i < request->leg_count; i++) {
        if (model_is_ready(&request->legs[i])) {
            return true;
        }
    }
    return false;
}

/* The request stands in line, and is served if it can be. */
static inline void model_begin(struct model *model, struct model_request *request)
{
    request->waits = true;
    request->ticket = model->tickets++;
    model_settle(model);
    model->parked += request->waits;
}

/* The same of a request with legs of which several could be served: chance chose one. */
static inline void model_begin_leg(struct model *model, struct model_request *request, int won)
{
    const struct model_request asked = *request;

    request->legs[0] = asked.legs[won];
    request->leg_count = 1;
    model_begin(model, request);
    request->leg_count = asked.leg_count;
    request->won = won;
    if (won != 0) {
        request->legs[won] = request->legs[0];
        request->legs[0] = asked.legs[0];
    }
}

/* A cancel or a deadline ends the request, if it waits. */
static inline void model_abort(struct model_request *request, int reason)
{
    if (request->waits) {
        model_end(request, NULL, reason);
    }
}

static inline void model_close(struct model *model, struct model_channel *channel)
{
    channel->closed = true;
    model_settle(model);
}

#endif /* RT_TEST_LOCAL_CHANNEL_MODEL_H */
