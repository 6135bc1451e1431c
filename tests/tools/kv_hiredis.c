/* SPDX-License-Identifier: MIT */
/*
 * kv_hiredis HOST PORT: rt-kv with the C client of Redis, as a program that uses it would: single
 * commands, a pipeline of a thousand that is sent before anything is read, values of any bytes, and
 * errors as errors. Says nothing and exits 0 when all is well.
 */
#include <hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIPELINE 1000

static int failures;

static void check(bool good, const char *what)
{
    if (!good) {
        printf("failed: %s\n", what);
        failures++;
    }
}

static bool is(const redisReply *reply, int type, const char *text)
{
    return reply != NULL && reply->type == type && reply->len == strlen(text) &&
           memcmp(reply->str, text, strlen(text)) == 0;
}

/* One command, whose reply is of this type and text. */
static void ask(redisContext *context, int type, const char *text, const char *format, ...)
{
    redisReply *reply;
    va_list args;

    va_start(args, format);
    reply = redisvCommand(context, format, args);
    va_end(args);
    check(is(reply, type, text), format);
    freeReplyObject(reply);
}

static void pipeline(redisContext *context)
{
    for (int i = 0; i < PIPELINE; i++) {
        check(redisAppendCommand(context, "SET pipeline:%d %d", i, i) == REDIS_OK, "append");
        check(redisAppendCommand(context, "GET pipeline:%d", i) == REDIS_OK, "append");
    }
    for (int i = 0; i < PIPELINE; i++) {
        void *reply = NULL;
        char expected[16];

        (void)snprintf(expected, sizeof(expected), "%d", i);
        check(redisGetReply(context, &reply) == REDIS_OK && is(reply, REDIS_REPLY_STATUS, "OK"),
              "SET of the pipeline");
        freeReplyObject(reply);
        reply = NULL;
        check(redisGetReply(context, &reply) == REDIS_OK && is(reply, REDIS_REPLY_STRING, expected),
              "GET of the pipeline");
        freeReplyObject(reply);
    }
}

static void many_keys(redisContext *context)
{
    redisReply *reply = redisCommand(context, "MGET pipeline:1 nothing pipeline:999");

    check(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
              is(reply->element[0], REDIS_REPLY_STRING, "1") &&
              reply->element[1]->type == REDIS_REPLY_NIL &&
              is(reply->element[2], REDIS_REPLY_STRING, "999"),
          "MGET");
    freeReplyObject(reply);
    reply = redisCommand(context, "DEL pipeline:1 nothing pipeline:999");
    check(reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 2, "DEL");
    freeReplyObject(reply);
}

static void binary(redisContext *context)
{
    char value[256];
    redisReply *reply;

    for (size_t i = 0; i < sizeof(value); i++) {
        value[i] = (char)i;
    }
    ask(context, REDIS_REPLY_STATUS, "OK", "SET %b %b", value, sizeof(value), value, sizeof(value));
    reply = redisCommand(context, "GET %b", value, sizeof(value));
    check(reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == sizeof(value) &&
              memcmp(reply->str, value, sizeof(value)) == 0,
          "a value of any bytes");
    freeReplyObject(reply);
}

int main(int argc, char **argv)
{
    const struct timeval timeout = { 60, 0 };
    redisContext *context;

    if (argc != 3) {
        fputs("usage: kv_hiredis HOST PORT\n", stderr);
        return 2;
    }
    context = redisConnectWithTimeout(argv[1], (int)strtol(argv[2], NULL, 10), timeout);
    if (context == NULL || context->err != 0) {
        printf("cannot connect: %s\n", context != NULL ? context->errstr : "no memory");
        return 1;
    }
    ask(context, REDIS_REPLY_STATUS, "PONG", "PING");
    ask(context, REDIS_REPLY_STATUS, "OK", "SET key %s", "value");
    ask(context, REDIS_REPLY_STRING, "value", "GET key");
    ask(context, REDIS_REPLY_ERROR, "ERR value is not an integer or out of range", "INCR key");
    pipeline(context);
    many_keys(context);
    binary(context);
    check(context->err == 0, context->errstr);
    redisFree(context);
    return failures > 0;
}
