/* SPDX-License-Identifier: MIT */
/* The keys and values of one shard. */
#include "store.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#define LISTS_MIN       1024
#define LISTS_MAX       (UINT64_C(1) << 32) /* as many as the hash in an entry tells apart */
#define MOVES_PER_STEP  2                   /* so `old` is empty when `table` is half full */
#define HEAP_BYTES_EACH 8                   /* what the heap keeps beside each allocation */

struct store_entry {
    struct store_entry *next;
    uint32_t hash; /* its low half, which is what chooses the list */
    uint32_t key_len;
    uint32_t value_len;
    uint32_t value_room; /* bytes that a value may have here */
    char bytes[];        /* the key, then the value */
};

static uint64_t table_bytes(const struct store_table *table)
{
    return table->lists == NULL ? 0 : (table->mask + 1) * sizeof(struct store_entry *);
}

static bool table_make(struct store_table *table, uint64_t lists)
{
    table->lists = calloc(lists, sizeof(struct store_entry *));
    table->mask = lists - 1;
    return table->lists != NULL;
}

static void table_free(struct store_table *table)
{
    for (uint64_t i = 0; table->lists != NULL && i <= table->mask; i++) {
        struct store_entry *entry = table->lists[i];

        while (entry != NULL) {
            struct store_entry *next = entry->next;

            free(entry);
            entry = next;
        }
    }
    free((void *)table->lists);
    table->lists = NULL;
}

int store_init(struct store *store, uint64_t bytes_max)
{
    *store = (struct store){ .bytes_max = bytes_max };
    if (!table_make(&store->table, LISTS_MIN)) {
        return -ENOMEM;
    }
    store->bytes = table_bytes(&store->table);
    return 0;
}

void store_fini(struct store *store)
{
    table_free(&store->old);
    table_free(&store->table);
}

static struct store_entry **list_of(const struct store *store, uint32_t hash)
{
    const uint64_t number = hash & store->old.mask;

    if (store->old.lists != NULL && number >= store->moved) { /* S1 */
        return &store->old.lists[number];
    }
    return &store->table.lists[hash & store->table.mask];
}

/* Move some lists from the old table to the new one. */
static void move_some(struct store *store)
{
    for (unsigned i = 0; i < MOVES_PER_STEP && store->old.lists != NULL; i++) {
        struct store_entry *entry = store->old.lists[store->moved];

        while (entry != NULL) {
            struct store_entry *next = entry->next;
            struct store_entry **list = &store->table.lists[entry->hash & store->table.mask];

            entry->next = *list;
            *list = entry;
            entry = next;
        }
        store->old.lists[store->moved] = NULL;
        if (store->moved++ == store->old.mask) {
            store->bytes -= table_bytes(&store->old);
            free((void *)store->old.lists);
            store->old.lists = NULL;
        }
    }
}

/* Begin a table of twice the size. Without room for it the lists grow longer: slower, not wrong. */
static void begin_to_grow(struct store *store)
{
    const uint64_t lists = (store->table.mask + 1) * 2;
    struct store_table table;

    if (lists > LISTS_MAX ||
        lists * sizeof(struct store_entry *) > store->bytes_max - store->bytes ||
        !table_make(&table, lists)) {
        return;
    }
    store->old = store->table;
    store->table = table;
    store->moved = 0;
    store->bytes += table_bytes(&table);
}

static struct store_entry **find(const struct store *store, uint64_t hash, struct slice key)
{
    struct store_entry **link = list_of(store, (uint32_t)hash);

    for (; *link != NULL; link = &(*link)->next) {
        const struct store_entry *entry = *link;

        if (entry->hash == (uint32_t)hash && entry->key_len == key.len &&
            memcmp(entry->bytes, key.data, key.len) == 0) {
            break;
        }
    }
    return link;
}

void store_prefetch_list(const struct store *store, uint64_t hash)
{
    __builtin_prefetch((const void *)list_of(store, (uint32_t)hash));
}

void store_prefetch_entry(const struct store *store, uint64_t hash)
{
    const struct store_entry *entry = *list_of(store, (uint32_t)hash);

    __builtin_prefetch(entry);
    __builtin_prefetch((const char *)entry + 64); /* the next cache line; a hint, never a fault */
}

bool store_find(const struct store *store, uint64_t hash, struct slice key, struct slice *value)
{
    const struct store_entry *entry = *find(store, hash, key);

    if (entry != NULL && value != NULL) {
        *value = (struct slice){ entry->bytes + entry->key_len, entry->value_len };
    }
    return entry != NULL;
}

static uint64_t entry_bytes(struct store_entry *entry)
{
    return malloc_usable_size(entry) + HEAP_BYTES_EACH;
}

/* An entry with its key and room for a value, which is counted. */
static int entry_make(struct store *store, struct store_entry **out, uint32_t hash,
                      struct slice key, size_t value_len)
{
    const size_t bytes = sizeof(struct store_entry) + key.len + value_len;
    struct store_entry *entry;

    if (bytes + HEAP_BYTES_EACH > store->bytes_max - store->bytes) { /* S2 */
        return -EDQUOT;
    }
    entry = malloc(bytes);
    if (entry == NULL) {
        return -ENOMEM;
    }
    if (entry_bytes(entry) > store->bytes_max - store->bytes) { /* S2: rounded up by the heap */
        free(entry);
        return -EDQUOT;
    }
    store->bytes += entry_bytes(entry);
    entry->hash = hash;
    entry->key_len = (uint32_t)key.len;
    entry->value_room = (uint32_t)(malloc_usable_size(entry) - sizeof(struct store_entry) -
                                   key.len);
    memcpy(entry->bytes, key.data, key.len);
    *out = entry;
    return 0;
}

static void entry_free(struct store *store, struct store_entry *entry)
{
    store->bytes -= entry_bytes(entry);
    free(entry);
}

static void entry_set(struct store_entry *entry, struct slice value)
{
    memcpy(entry->bytes + entry->key_len, value.data, value.len);
    entry->value_len = (uint32_t)value.len;
}

/* Whether a value of this size may stay where it is: it fits, and wastes at most half of the room
 * or about what an entry costs anyway. */
static bool fits(const struct store_entry *entry, size_t value_len)
{
    return value_len <= entry->value_room &&
           value_len + sizeof(struct store_entry) >= entry->value_room / 2;
}

int store_set(struct store *store, uint64_t hash, struct slice key, struct slice value)
{
    struct store_entry **link = find(store, hash, key);
    struct store_entry *before = *link;
    struct store_entry *entry;
    int r;

    if (before != NULL && fits(before, value.len)) {
        entry_set(before, value);
        return 0;
    }
    r = entry_make(store, &entry, (uint32_t)hash, key, value.len);
    if (r < 0) {
        return r;
    }
    entry_set(entry, value);
    entry->next = before != NULL ? before->next : NULL;
    *link = entry;
    if (before != NULL) {
        entry_free(store, before);
        return 0;
    }
    store->count++;
    move_some(store);
    if (store->old.lists == NULL && store->count > store->table.mask) {
        begin_to_grow(store);
    }
    return 0;
}

bool store_delete(struct store *store, uint64_t hash, struct slice key)
{
    struct store_entry **link = find(store, hash, key);
    struct store_entry *entry = *link;

    if (entry == NULL) {
        return false;
    }
    *link = entry->next;
    entry_free(store, entry);
    store->count--;
    return true;
}
