/* SPDX-License-Identifier: MIT */
/* The commands, with the texts of Redis 7 for what is wrong. */
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "info.h"
#include "number.h"
#include "reply.h"

/* How a command is done. */
enum kind {
    HERE,       /* here() appends the reply to round->local */
    ON_KEY,     /* run() on the shard of the first argument; its answer is the reply */
    EACH_KEY,   /* run() for every argument; the answers are the elements of the reply */
    SUM_KEYS,   /* run() for every argument; the numbers are summed */
    SUM_SHARDS, /* run() on every shard; the numbers are summed */
    INFORM,     /* run() on every shard; the answers make a text */
    SUBCOMMANDS /* the second word says which */
};

struct call {
    struct round *round;
    struct client *client;
    const struct words *words;
};

struct command {
    const char *name;
    int32_t arity; /* words, its own name among them; below 0: so many or more */
    enum kind kind;
    part_fn run;
    void (*here)(const struct call *call);
    const char *flags;           /* as COMMAND tells them, separated by spaces */
    const struct command *below; /* SUBCOMMANDS: up to one without a name */
};

static struct slice argument(const struct call *call, uint32_t i)
{
    return word_at(call->words, i);
}

static struct buffer *reply_of(const struct call *call)
{
    return &call->round->local;
}

static void reply_arity(struct buffer *out, const char *name)
{
    reply_error(out, "ERR wrong number of arguments for '%s' command", name);
}

static const struct command *find(const struct command *table, struct slice name)
{
    const char first = name.len > 0 ? (char)(name.data[0] | 0x20) : '\0';

    for (; table->name != NULL; table++) {
        /* A subcommand is named "config|get". */
        const char *bar = strchr(table->name, '|');
        const char *own = bar != NULL ? bar + 1 : table->name;

        if (*own == first && slice_is(name, own)) {
            return table;
        }
    }
    return NULL;
}

static void ping(const struct call *call)
{
    if (call->words->count > 2) {
        reply_arity(reply_of(call), "ping");
    } else if (call->words->count == 2) {
        reply_bulk(reply_of(call), argument(call, 1));
    } else {
        reply_constant(reply_of(call), "+PONG\r\n");
    }
}

static void echo(const struct call *call)
{
    reply_bulk(reply_of(call), argument(call, 1));
}

static void quit(const struct call *call)
{
    call->client->quit = true;
    reply_ok(reply_of(call));
}

static void select_database(const struct call *call)
{
    int64_t number;

    if (!number_parse(argument(call, 1), &number)) {
        reply_error(reply_of(call), "ERR value is not an integer or out of range");
    } else if (number < INT32_MIN || number > INT32_MAX) {
        reply_error(reply_of(call), "ERR value is out of range, value must between %d and %d",
                    INT32_MIN, INT32_MAX);
    } else if (number != 0) {
        reply_error(reply_of(call), "ERR DB index is out of range");
    } else {
        reply_ok(reply_of(call));
    }
}

static void client_id(const struct call *call)
{
    reply_integer(reply_of(call), (int64_t)call->client->id);
}

static void client_getname(const struct call *call)
{
    if (call->client->name[0] == '\0') {
        reply_nil(reply_of(call));
    } else {
        reply_word(reply_of(call), call->client->name);
    }
}

static void client_setname(const struct call *call)
{
    const struct slice name = argument(call, 2);

    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') {
            reply_error(reply_of(call), "ERR Client names cannot contain spaces, newlines or "
                                        "special characters.");
            return;
        }
    }
    if (name.len >= sizeof(call->client->name)) {
        reply_error(reply_of(call), "ERR Client names have at most %zu bytes",
                    sizeof(call->client->name) - 1);
        return;
    }
    memcpy(call->client->name, name.data, name.len);
    call->client->name[name.len] = '\0';
    reply_ok(reply_of(call));
}

static void config_get(const struct call *call)
{
    const uint32_t count = call->words->count - 2;
    struct slice *patterns = calloc(count, sizeof(*patterns));

    if (patterns == NULL) {
        call->round->error = -ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        patterns[i] = argument(call, i + 2);
    }
    config_reply(reply_of(call), call->round->shard, patterns, count);
    free(patterns);
}

/* These read the table in which they stand. */
static void command_all(const struct call *call);
static void command_count(const struct call *call);
static void command_info(const struct call *call);
static void command_list(const struct call *call);

static const struct command client_commands[] = {
    { "client|getname", 2, HERE, NULL, client_getname, "", NULL },
    { "client|id", 2, HERE, NULL, client_id, "", NULL },
    { "client|setname", 3, HERE, NULL, client_setname, "", NULL },
    { 0 },
};

static const struct command command_commands[] = {
    { "command|count", 2, HERE, NULL, command_count, "", NULL },
    { "command|info", -2, HERE, NULL, command_info, "", NULL },
    { "command|list", 2, HERE, NULL, command_list, "", NULL },
    { 0 },
};

static const struct command config_commands[] = {
    { "config|get", -3, HERE, NULL, config_get, "", NULL },
    { 0 },
};

/* The ones that matter for speed come first. */
static const struct command commands[] = {
    { "get", 2, ON_KEY, part_get, NULL, "readonly fast", NULL },
    { "set", -3, ON_KEY, part_set, NULL, "write denyoom", NULL },
    { "incr", 2, ON_KEY, part_increment, NULL, "write denyoom fast", NULL },
    { "mget", -2, EACH_KEY, part_get, NULL, "readonly fast", NULL },
    { "del", -2, SUM_KEYS, part_delete, NULL, "write", NULL },
    { "exists", -2, SUM_KEYS, part_exists, NULL, "readonly fast", NULL },
    { "ping", -1, HERE, NULL, ping, "fast", NULL },
    { "echo", 2, HERE, NULL, echo, "fast", NULL },
    { "client", -2, SUBCOMMANDS, NULL, NULL, "", client_commands },
    { "command", -1, SUBCOMMANDS, NULL, command_all, "loading stale", command_commands },
    { "config", -2, SUBCOMMANDS, NULL, NULL, "", config_commands },
    { "dbsize", 1, SUM_SHARDS, part_count, NULL, "readonly fast", NULL },
    { "info", -1, INFORM, info_part, NULL, "loading stale", NULL },
    { "quit", -1, HERE, NULL, quit, "fast", NULL },
    { "select", 2, HERE, NULL, select_database, "fast", NULL },
    { 0 },
};

static void reply_flags(struct buffer *out, const char *flags)
{
    size_t count = flags[0] != '\0';

    for (const char *at = flags; *at != '\0'; at++) {
        count += *at == ' ';
    }
    reply_array(out, count);
    while (*flags != '\0') {
        const size_t len = strcspn(flags, " ");

        reply_constant(out, "+");
        buffer_append(out, flags, len);
        reply_constant(out, "\r\n");
        flags += len + (flags[len] == ' ');
    }
}

/* What COMMAND tells of one command, in the six elements that every version of Redis gives. */
static void reply_command(struct buffer *out, const struct command *command)
{
    const bool many = command->kind == EACH_KEY || command->kind == SUM_KEYS;
    const bool keys = many || command->kind == ON_KEY;

    if (command->name == NULL) {
        reply_constant(out, "*-1\r\n");
        return;
    }
    reply_array(out, 6);
    reply_word(out, command->name);
    reply_integer(out, command->arity);
    reply_flags(out, command->flags);
    reply_integer(out, keys);             /* the first word that is a key */
    reply_integer(out, many ? -1 : keys); /* the last one; -1: of all */
    reply_integer(out, keys);             /* from one to the next */
}

static size_t command_count_all(void)
{
    size_t count = 0;

    while (commands[count].name != NULL) {
        count++;
    }
    return count;
}

static void command_all(const struct call *call)
{
    reply_array(reply_of(call), command_count_all());
    for (const struct command *command = commands; command->name != NULL; command++) {
        reply_command(reply_of(call), command);
    }
}

static void command_count(const struct call *call)
{
    reply_integer(reply_of(call), (int64_t)command_count_all());
}

static void command_list(const struct call *call)
{
    reply_array(reply_of(call), command_count_all());
    for (const struct command *command = commands; command->name != NULL; command++) {
        reply_word(reply_of(call), command->name);
    }
}

static void command_info(const struct call *call)
{
    static const struct command none;

    if (call->words->count == 2) {
        command_all(call);
        return;
    }
    reply_array(reply_of(call), call->words->count - 2);
    for (uint32_t i = 2; i < call->words->count; i++) {
        const struct command *command = find(commands, argument(call, i));

        reply_command(reply_of(call), command != NULL ? command : &none);
    }
}

/* A C string may end early, at a 0 among the bytes: so it does in Redis. */
static int length_shown(struct slice text, size_t max)
{
    return (int)strnlen(text.data, text.len < max ? text.len : max);
}

static void reply_unknown(struct buffer *out, const struct words *words)
{
    const struct slice name = word_at(words, 0);
    char args[128 + 8]; /* so many are shown, and a quote may open and close behind them */
    size_t len = 0;

    for (uint32_t i = 1; i < words->count && len < 128; i++) {
        const struct slice word = word_at(words, i);
        const int shown = length_shown(word, 128 - len);

        len += (size_t)snprintf(args + len, sizeof(args) - len, "'%.*s' ", shown, word.data);
    }
    args[len] = '\0';
    reply_error(out, "ERR unknown command '%.*s', with args beginning with: %s",
                length_shown(name, 128), name.data, args);
}

static void reply_unknown_below(struct buffer *out, const struct command *command,
                                struct slice name)
{
    char above[16] = "";

    for (size_t i = 0; command->name[i] != '\0' && i + 1 < sizeof(above); i++) {
        above[i] = (char)toupper((unsigned char)command->name[i]);
    }
    reply_error(out, "ERR unknown subcommand '%.*s'. Try %s HELP.", length_shown(name, 128),
                name.data, above);
}

/* The command that the words name, with words as many as it takes; else NULL and an error. */
static const struct command *look_up(struct buffer *out, const struct words *words)
{
    const struct command *command = find(commands, word_at(words, 0));

    if (command == NULL) {
        reply_unknown(out, words);
        return NULL;
    }
    if (command->kind == SUBCOMMANDS && words->count > 1) {
        const struct command *below = find(command->below, word_at(words, 1));

        if (below == NULL) {
            reply_unknown_below(out, command, word_at(words, 1));
            return NULL;
        }
        command = below;
    }
    if (command->arity < 0 ? words->count < (uint32_t)-command->arity
                           : words->count != (uint32_t)command->arity) {
        reply_arity(out, command->name);
        return NULL;
    }
    return command;
}

/* Whether the words from 1 to `last` may be keys. */
static bool check_keys(const struct call *call, uint32_t last)
{
    const uint32_t key_max = call->round->shard->server->options->key_max;

    for (uint32_t i = 1; i <= last; i++) {
        if (argument(call, i).len > key_max) {
            reply_error(reply_of(call), "ERR key exceeds maximum allowed size (%u bytes)", key_max);
            return false;
        }
    }
    return true;
}

/* SET takes NX or XX; what else it takes in Redis is not here. */
static bool read_set_flags(const struct call *call, uint32_t *flags)
{
    *flags = 0;
    for (uint32_t i = 3; i < call->words->count; i++) {
        if (slice_is(argument(call, i), "nx")) {
            *flags |= PART_IF_ABSENT;
        } else if (slice_is(argument(call, i), "xx")) {
            *flags |= PART_IF_PRESENT;
        } else {
            return false;
        }
    }
    return *flags != (PART_IF_ABSENT | PART_IF_PRESENT);
}

/* One part, on the shard of the first argument. False when it gets an error instead. */
static bool add_on_key(const struct call *call, const struct command *command)
{
    const uint32_t value_max = call->round->shard->server->options->value_max;
    struct slice value = { NULL, 0 };
    uint32_t flags;

    if (!read_set_flags(call, &flags)) {
        reply_error(reply_of(call), "ERR syntax error");
        return false;
    }
    if (!check_keys(call, 1)) {
        return false;
    }
    if (call->words->count > 2) {
        value = argument(call, 2);
    }
    if (value.len > value_max) {
        reply_error(reply_of(call), "ERR string exceeds maximum allowed size (%u bytes)",
                    value_max);
        return false;
    }
    round_add_key(call->round, command->run, argument(call, 1), value, flags);
    round_add_request(call->round, JOIN_ONE, 1, 0);
    return true;
}

static bool add_keys(const struct call *call, const struct command *command)
{
    const uint32_t keys = call->words->count - 1;

    if (!check_keys(call, keys)) {
        return false;
    }
    for (uint32_t i = 1; i <= keys; i++) {
        round_add_key(call->round, command->run, argument(call, i), (struct slice){ NULL, 0 }, 0);
    }
    round_add_request(call->round, command->kind == EACH_KEY ? JOIN_ARRAY : JOIN_SUM, keys, 0);
    return true;
}

static uint32_t add_shards(const struct call *call, const struct command *command)
{
    const uint32_t count = call->round->shard->server->shard_count;

    for (uint32_t i = 0; i < count; i++) {
        round_add_shard(call->round, command->run, i);
    }
    return count;
}

/* The names of sections go to `local`, with a space behind each; none means all. */
static void add_info(const struct call *call, const struct command *command)
{
    struct buffer *local = reply_of(call);
    const size_t before = local->len;

    if (call->words->count == 1) {
        reply_constant(local, "all ");
    }
    for (uint32_t i = 1; i < call->words->count; i++) {
        buffer_append(local, argument(call, i).data, argument(call, i).len);
        reply_constant(local, " ");
    }
    round_add_request(call->round, JOIN_INFO, add_shards(call, command),
                      (uint32_t)(local->len - before));
}

/* False when the reply, be it an error, is in `local` and nothing else is to be done. */
static bool add(const struct call *call, const struct command *command)
{
    switch (command->kind) {
    case ON_KEY:
        return add_on_key(call, command);
    case EACH_KEY:
    case SUM_KEYS:
        return add_keys(call, command);
    case SUM_SHARDS:
        round_add_request(call->round, JOIN_SUM, add_shards(call, command), 0);
        return true;
    case INFORM:
        add_info(call, command);
        return true;
    case HERE:
    case SUBCOMMANDS:
        break;
    }
    command->here(call);
    return false;
}

void command_add(struct round *round, struct client *client, const struct words *words)
{
    const struct call call = { round, client, words };
    const size_t before = round->local.len;
    const struct command *command = look_up(&round->local, words);

    if (command == NULL || !add(&call, command)) {
        round_add_request(round, JOIN_LOCAL, 0, (uint32_t)(round->local.len - before));
    }
}

void command_add_protocol_error(struct round *round, const char *text)
{
    const size_t before = round->local.len;

    reply_error(&round->local, "ERR Protocol error: %s", text);
    round_add_request(round, JOIN_LOCAL, 0, (uint32_t)(round->local.len - before));
}
