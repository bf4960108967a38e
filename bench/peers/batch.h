/* Messages out of a stream, connections by index and generation, and batches of messages: what the
   hand-over in game.h is made of. For gnu99 and C++17. */
#ifndef BENCH_BATCH_H
#define BENCH_BATCH_H

#include "peer.h"
#include <sys/uio.h>

/* --- messages out of a stream ---------------------------------------------------------------- */

/* Keeps the part of a frame whose end has not come; all zeros to begin with. */
struct splitter {
    uint8_t *partial;
    uint32_t have, room;
};

struct frame {
    const uint8_t *payload;
    uint32_t size;
};

#define FRAME_BROKEN SIZE_MAX

static inline void splitter_free(struct splitter *splitter)
{
    free(splitter->partial);
    memset(splitter, 0, sizeof *splitter);
}

/* Adds to the partial frame until it has `want` bytes; how many it took. */
static inline size_t splitter_keep(struct splitter *splitter, const uint8_t *data, size_t size,
                                   uint32_t want)
{
    size_t missing = want - splitter->have, took = size < missing ? size : missing;
    if (splitter->room < want) {
        splitter->partial = (uint8_t *)need(realloc(splitter->partial, want));
        splitter->room = want;
    }
    memcpy(splitter->partial + splitter->have, data, took);
    splitter->have += (uint32_t)took;
    return took;
}

static inline size_t splitter_slow(struct splitter *splitter, const uint8_t *data, size_t size,
                                   struct frame *frame)
{
    size_t took = 0;
    if (splitter->have < HEADER_SIZE) took = splitter_keep(splitter, data, size, HEADER_SIZE);
    if (splitter->have < HEADER_SIZE) return took;
    uint32_t payload = get_u32(splitter->partial);
    if (payload > PAYLOAD_MOST) return FRAME_BROKEN;
    took += splitter_keep(splitter, data + took, size - took, HEADER_SIZE + payload);
    if (splitter->have < HEADER_SIZE + payload) return took;
    splitter->have = 0;
    frame->payload = splitter->partial + HEADER_SIZE;
    frame->size = payload;
    return took;
}

/* Takes bytes from the front of what was received, until a frame is whole or there is no more; how
   many it took, or FRAME_BROKEN. frame->payload is NULL if no frame has become whole; else it lies
   in `data`, or in the splitter (only the first frame of `data` can), and is good until the next
   call. */
static inline size_t splitter_take(struct splitter *splitter, const uint8_t *data, size_t size,
                                   struct frame *frame)
{
    frame->payload = NULL;
    if (splitter->have || size < HEADER_SIZE) return splitter_slow(splitter, data, size, frame);
    uint32_t payload = get_u32(data);
    if (payload > PAYLOAD_MOST) return FRAME_BROKEN;
    if (size - HEADER_SIZE < payload) return splitter_slow(splitter, data, size, frame);
    frame->payload = data + HEADER_SIZE;
    frame->size = payload;
    return (size_t)HEADER_SIZE + payload;
}

/* --- connections by index and generation; for the loop thread alone -------------------------- */

struct slot {
    void *item;
    uint32_t generation;
    /* While a batch is written: its entries for this connection (see batch_write). */
    uint32_t first, last;
    uint32_t next_free;
};

struct table {
    struct slot *slots;
    uint32_t count, room, free_first;
};

#define NO_INDEX UINT32_MAX

static inline uint64_t table_add(struct table *table, void *item)
{
    uint32_t index = table->free_first;
    if (table->count == 0 || index == NO_INDEX) {
        index = table->count++;
        if (index == table->room) {
            table->room = table->room ? table->room * 2 : 64;
            table->slots =
                (struct slot *)need(realloc(table->slots, table->room * sizeof *table->slots));
        }
        memset(&table->slots[index], 0, sizeof table->slots[index]);
        table->free_first = NO_INDEX;
    } else {
        table->free_first = table->slots[index].next_free;
    }
    table->slots[index].first = NO_INDEX;
    table->slots[index].item = item;
    return (uint64_t)table->slots[index].generation << 32 | index;
}

/* Its slot, or NULL if it has left. */
static inline struct slot *table_slot(struct table *table, uint64_t id)
{
    struct slot *slot = &table->slots[(uint32_t)id];
    return slot->item && slot->generation == id >> 32 ? slot : NULL;
}

static inline void *table_find(struct table *table, uint64_t id)
{
    struct slot *slot = table_slot(table, id);
    return slot ? slot->item : NULL;
}

static inline void table_remove(struct table *table, uint64_t id)
{
    struct slot *slot = table_slot(table, id);
    slot->item = NULL;
    slot->generation++;
    slot->next_free = table->free_first;
    table->free_first = (uint32_t)id;
}

/* --- batches (expert) ------------------------------------------------------------------------ */

/* Sizes of entries that are no messages. */
#define ENTRY_JOIN UINT32_MAX
#define ENTRY_LEAVE (UINT32_MAX - 1)

struct entry {
    uint64_t conn;
    size_t offset;
    uint32_t size;
    /* The connection's next entry, while they are written. */
    uint32_t next;
};

struct batch {
    struct batch *next;
    struct entry *entries;
    uint32_t count, entry_room;
    uint8_t *bytes;
    size_t used, room;
};

enum {
    /* What one receive may bring. */
    RECEIVE_SIZE = 65536,
    /* A batch of so many bytes is handed over at once: more would only leave the cache. */
    BATCH_FULL = 262144,
    /* A batch of so few bytes is added to one that still waits, instead of waiting beside it. */
    ADD_MOST = 65536,
    /* As many empty batches are kept to be used again. */
    SPARE_MOST = 128,
    /* Neighbours of one connection are one entry up to this size. */
    MERGE_MOST = 4 * 1024 * 1024,
    /* Pieces of a connection's reply smaller than this are copied together. */
    COPY_MOST = 2048,
    PIECES_MOST = 64
};

static inline struct batch *batch_new(void)
{
    return (struct batch *)need(calloc(1, sizeof(struct batch)));
}

static inline void batch_free(struct batch *batch)
{
    free(batch->entries);
    free(batch->bytes);
    free(batch);
}

/* Room for `size` more bytes at batch->bytes + batch->used. */
static inline void batch_reserve(struct batch *batch, size_t size)
{
    if (batch->room - batch->used >= size) return;
    while (batch->room - batch->used < size)
        batch->room = batch->room ? batch->room * 2 : (size_t)2 * RECEIVE_SIZE;
    batch->bytes = (uint8_t *)need(realloc(batch->bytes, batch->room));
}

static inline void batch_clear(struct batch *batch)
{
    batch->count = 0;
    batch->used = 0;
}

static inline void batch_entry(struct batch *batch, uint64_t conn, size_t offset, uint32_t size)
{
    if (batch->count == batch->entry_room) {
        batch->entry_room = batch->entry_room ? batch->entry_room * 2 : 256;
        batch->entries = (struct entry *)need(
            realloc(batch->entries, batch->entry_room * sizeof *batch->entries));
    }
    struct entry *entry = &batch->entries[batch->count++];
    entry->conn = conn;
    entry->offset = offset;
    entry->size = size;
    entry->next = NO_INDEX;
}

/* Splits the `size` bytes of `conn` that have been received at batch->bytes + batch->used (there
   was room), and keeps its messages. false: the stream is broken, the connection must go. */
static inline bool batch_received(struct batch *batch, uint64_t conn, struct splitter *splitter,
                                  size_t size)
{
    size_t at = batch->used, end = batch->used + size;
    batch->used = end;
    while (at < end) {
        struct frame frame;
        size_t took = splitter_take(splitter, batch->bytes + at, end - at, &frame);
        if (took == FRAME_BROKEN) return false;
        at += took;
        if (!frame.payload) break;
        size_t offset = at - frame.size;
        if (frame.payload == splitter->partial + HEADER_SIZE) {
            batch_reserve(batch, frame.size);
            offset = batch->used;
            memcpy(batch->bytes + offset, frame.payload, frame.size);
            batch->used += frame.size;
        }
        batch_entry(batch, conn, offset, frame.size);
    }
    return true;
}

/* One frame for `conn`, header before it. Neighbours of one connection become one entry. */
static inline void batch_reply(struct batch *batch, uint64_t conn, const uint8_t *payload,
                               uint32_t size)
{
    size_t offset = batch->used;
    batch_reserve(batch, HEADER_SIZE + (size_t)size);
    put_u32(batch->bytes + offset, size);
    memcpy(batch->bytes + offset + HEADER_SIZE, payload, size);
    batch->used += HEADER_SIZE + (size_t)size;
    struct entry *last = batch->count ? &batch->entries[batch->count - 1] : NULL;
    if (last && last->conn == conn && last->size < MERGE_MOST) {
        last->size += HEADER_SIZE + size;
    } else {
        batch_entry(batch, conn, offset, HEADER_SIZE + size);
    }
}

/* Adds `more` behind `batch`. */
static inline void batch_add(struct batch *batch, const struct batch *more)
{
    size_t base = batch->used;
    batch_reserve(batch, more->used);
    if (more->used) memcpy(batch->bytes + base, more->bytes, more->used);
    batch->used += more->used;
    for (uint32_t i = 0; i < more->count; i++) {
        const struct entry *entry = &more->entries[i];
        batch_entry(batch, entry->conn, base + entry->offset, entry->size);
    }
}

/* Writes a connection's pieces, `size` bytes in all, now; copies what it must keep. false: the
   connection has been closed. */
typedef bool batch_writer(void *item, const struct iovec *pieces, int count, size_t size);

/* Gathers the entries of one connection, from `first` on: small ones copied together (cheaper than
   many pieces), large ones as they lie. */
static inline void batch_gather(const struct batch *batch, uint32_t first, void *item,
                                batch_writer *write)
{
    static __thread uint8_t together[RECEIVE_SIZE];
    struct iovec pieces[PIECES_MOST];
    size_t copied = 0, size = 0;
    int count = 0;
    for (uint32_t i = first; i != NO_INDEX; i = batch->entries[i].next) {
        const struct entry *entry = &batch->entries[i];
        uint8_t *bytes = batch->bytes + entry->offset, *to = together + copied;
        bool copy = entry->size < COPY_MOST && (count || entry->next != NO_INDEX);
        if (count == PIECES_MOST || (copy && entry->size > sizeof together - copied)) {
            if (!write(item, pieces, count, size)) return;
            copied = size = 0;
            count = 0;
            to = together;
        }
        size += entry->size;
        if (copy) {
            memcpy(to, bytes, entry->size);
            copied += entry->size;
            bytes = to;
        }
        struct iovec *piece = &pieces[count ? count - 1 : 0];
        if (copy && count && (uint8_t *)piece->iov_base + piece->iov_len == to) {
            piece->iov_len += entry->size;
        } else {
            pieces[count].iov_base = bytes;
            pieces[count++].iov_len = entry->size;
        }
    }
    write(item, pieces, count, size);
}

/* Calls `write` for each connection of the batch that has not left, with all that is for it. */
static inline void batch_write(struct batch *batch, struct table *table, batch_writer *write)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct slot *slot = table_slot(table, batch->entries[i].conn);
        if (!slot) continue;
        if (slot->first == NO_INDEX) {
            slot->first = i;
        } else {
            batch->entries[slot->last].next = i;
        }
        slot->last = i;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        struct slot *slot = table_slot(table, batch->entries[i].conn);
        if (!slot || slot->first != i) continue;
        slot->first = NO_INDEX;
        batch_gather(batch, i, slot->item, write);
    }
}

#endif
