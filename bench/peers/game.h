/* The game of the host forms, the same for all libraries: it runs the three jobs on its own thread,
   or, with game_play and game_broadcast, on the only one. For gnu99 and C++17.

   typical: each message is malloc'ed and goes through a mutex-protected list with a condvar; so
   does each reply, which the library's own wake-up announces.
   expert: messages are received into the arena of a batch and split there; the batch of a whole
   turn of the loop changes hands with one lock, and only who sleeps is woken. Replies likewise.
   Batches are used again: nothing is allocated for a message. */
#ifndef BENCH_GAME_H
#define BENCH_GAME_H

#include "handover.h"

/* --- the game -------------------------------------------------------------------------------- */

enum {
    /* A loop that is so far behind, and more than eight ticks, gets no more broadcasts until it has
       caught up. */
    BEHIND_MOST_MS = 1000,
    BEHIND_MOST_MESSAGES = 262144,
    /* After so many turns of the game the loop looks at its sockets, whatever else there is. */
    WRITES_MOST = 8
};

struct game {
    const struct options *options;
    /* Of a broadcast: who is there, and where each index is in that list. */
    uint64_t *members;
    uint32_t *places, member_count, member_room, place_room;
    struct ticker ticker;
    /* typical: messages come through `inbox`; `post` is given each reply, which is then its own. */
    struct mailbox inbox;
    void (*post)(void *context, struct message *reply);
    uint64_t posted, taken;
    /* expert: what the loop collects, and what the game answers. `wake` wakes the loop. */
    struct batch *incoming, *outgoing;
    struct channel in, out;
    /* The loop has handed over a full batch in the midst of its turn: there may be replies. */
    bool ahead;
    void (*wake)(void *context);
    void *context;
};

static inline void game_join(struct game *game, uint64_t conn)
{
    uint32_t index = (uint32_t)conn;
    if (game->member_count == game->member_room) {
        game->member_room = game->member_room ? game->member_room * 2 : 256;
        game->members = (uint64_t *)need(
            realloc(game->members, game->member_room * sizeof *game->members));
    }
    if (index >= game->place_room) {
        game->place_room = index < 256 ? 256 : index * 2;
        game->places =
            (uint32_t *)need(realloc(game->places, game->place_room * sizeof *game->places));
    }
    game->places[index] = game->member_count;
    game->members[game->member_count++] = conn;
}

static inline void game_leave(struct game *game, uint64_t conn)
{
    uint64_t last = game->members[--game->member_count];
    uint32_t place = game->places[(uint32_t)conn];
    game->members[place] = last;
    game->places[(uint32_t)last] = place;
}

/* The game's turn over a batch: an echo of each message into game->outgoing. */
static inline void game_play(struct game *game, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct entry *entry = &batch->entries[i];
        if (entry->size == ENTRY_JOIN) {
            game_join(game, entry->conn);
        } else if (entry->size == ENTRY_LEAVE) {
            game_leave(game, entry->conn);
        } else {
            batch_reply(game->outgoing, entry->conn, batch->bytes + entry->offset, entry->size);
        }
    }
}

/* Whether so many ticks are too many to wait for the loop. */
static inline bool game_too_far(const struct game *game, uint64_t ticks)
{
    uint64_t messages = ticks * game->member_count * game->options->burst;
    return ticks > 8 && (ticks * game->options->period_ms > BEHIND_MOST_MS ||
                         messages > BEHIND_MOST_MESSAGES);
}

/* A tick's messages for everybody into game->outgoing: the bytes once, an entry for each. */
static inline void game_broadcast(struct game *game, uint64_t intended)
{
    struct batch *out = game->outgoing;
    size_t size = (size_t)game->options->size * game->options->burst, offset = out->used;
    if (!game->member_count) return;
    batch_reserve(out, size);
    broadcast_burst(out->bytes + offset, game->options, game->ticker.number, intended);
    out->used += size;
    for (uint32_t i = 0; i < game->member_count; i++)
        batch_entry(out, game->members[i], offset, (uint32_t)size);
}

/* --- the game thread, expert ----------------------------------------------------------------- */

/* On the game thread: hands over its replies. */
static inline void expert_reply(struct game *game)
{
    if (game->outgoing->count && channel_put(&game->out, &game->outgoing))
        game->wake(game->context);
}

static inline void *expert_thread(void *argument)
{
    struct game *game = (struct game *)argument;
    struct batch *batches = NULL;
    enum job job = game->options->job;
    thread_name("game");
    for (;;) {
        uint64_t intended = job == JOB_ECHO ? 0 : ticker_sleep(&game->ticker);
        batches = job == JOB_ECHO ? channel_wait(&game->in, batches)
                                  : channel_take(&game->in, batches, false);
        for (struct batch *batch = batches; batch; batch = batch->next) {
            game_play(game, batch);
            if (game->outgoing->used >= BATCH_FULL) expert_reply(game);
        }
        uint32_t waiting = __atomic_load_n(&game->out.depth, __ATOMIC_RELAXED);
        if (job == JOB_BROADCAST && !game_too_far(game, waiting)) game_broadcast(game, intended);
        expert_reply(game);
    }
    return NULL;
}

/* On the loop thread, at the end of its turn: hands over what it has collected. */
static inline void expert_publish(struct game *game)
{
    if (game->incoming->count) {
        if (channel_put(&game->in, &game->incoming)) channel_ring(&game->in);
    } else {
        game->incoming->used = 0;
    }
}

/* On the loop thread: room for RECEIVE_SIZE bytes, until something else is added. */
static inline uint8_t *expert_room(struct game *game)
{
    batch_reserve(game->incoming, RECEIVE_SIZE);
    return game->incoming->bytes + game->incoming->used;
}

/* On the loop thread: `size` bytes of `conn` are in that room now. false: the stream is broken, the
   connection must go. */
static inline bool expert_received(struct game *game, uint64_t conn, struct splitter *splitter,
                                   size_t size)
{
    /* Players of a broadcast have nothing to say. */
    if (game->options->job == JOB_BROADCAST) return true;
    bool good = batch_received(game->incoming, conn, splitter, size);
    if (game->incoming->used >= BATCH_FULL) {
        expert_publish(game);
        game->ahead = true;
    }
    return good;
}

/* On the loop thread: a connection came or left. Only broadcasts need to know. */
static inline void expert_tell(struct game *game, uint64_t conn, bool joined)
{
    if (game->options->job == JOB_BROADCAST)
        batch_entry(game->incoming, conn, 0, joined ? ENTRY_JOIN : ENTRY_LEAVE);
}

/* On the loop thread, before it sleeps: writes all replies. When it returns, the game will wake the
   loop for the next ones, or the loop has been woken already. */
static inline void expert_write(struct game *game, struct table *table, batch_writer *write)
{
    struct batch *batches = NULL;
    for (int turn = 0; (batches = channel_take(&game->out, batches, true)); turn++) {
        for (struct batch *batch = batches; batch; batch = batch->next)
            batch_write(batch, table, write);
        if (turn == WRITES_MOST) {
            channel_give(&game->out, batches);
            game->wake(game->context);
            break;
        }
    }
}

/* On the loop thread, after expert_received: if that has handed over a full batch, writes the
   replies that are there, while they and their memory are still in the cache. */
static inline void expert_ahead(struct game *game, struct table *table, batch_writer *write)
{
    if (!game->ahead) return;
    game->ahead = false;
    struct batch *batches = channel_take(&game->out, NULL, false);
    for (struct batch *batch = batches; batch; batch = batch->next)
        batch_write(batch, table, write);
    if (batches) channel_give(&game->out, batches);
}

/* On the loop thread, when it has slept: it will look at the replies in any case. */
static inline void expert_awake(struct game *game)
{
    __atomic_store_n(&game->out.asleep, false, __ATOMIC_RELAXED);
}

/* --- the game thread, typical ---------------------------------------------------------------- */

static inline void typical_play(struct game *game, struct message *message)
{
    if (message->kind == MESSAGE_JOIN) {
        game_join(game, message->conn);
    } else if (message->kind == MESSAGE_LEAVE) {
        game_leave(game, message->conn);
    } else {
        struct message *reply =
            message_new(message->conn, MESSAGE_DATA, HEADER_SIZE + message->size);
        put_u32(message_data(reply), message->size);
        memcpy(message_data(reply) + HEADER_SIZE, message_data(message), message->size);
        game->post(game->context, reply);
    }
    free(message);
}

static inline void typical_broadcast(struct game *game, uint8_t *burst, uint64_t intended)
{
    uint32_t size = game->options->size;
    uint64_t taken = __atomic_load_n(&game->taken, __ATOMIC_RELAXED);
    uint64_t for_a_tick = (uint64_t)game->member_count * game->options->burst;
    if (!for_a_tick || (taken && game_too_far(game, (game->posted - taken) / for_a_tick))) return;
    game->posted += for_a_tick;
    broadcast_burst(burst, game->options, game->ticker.number, intended);
    for (uint32_t i = 0; i < game->member_count; i++)
        for (uint32_t n = 0; n < game->options->burst; n++) {
            struct message *message = message_new(game->members[i], MESSAGE_DATA, size);
            memcpy(message_data(message), burst + (size_t)n * size, size);
            game->post(game->context, message);
        }
}

static inline void *typical_thread(void *argument)
{
    struct game *game = (struct game *)argument;
    enum job job = game->options->job;
    uint8_t *burst =
        (uint8_t *)need(malloc((size_t)game->options->size * game->options->burst));
    thread_name("game");
    for (;;) {
        if (job == JOB_ECHO) {
            typical_play(game, mailbox_wait(&game->inbox));
            continue;
        }
        uint64_t intended = ticker_sleep(&game->ticker);
        for (struct message *message = mailbox_take_all(&game->inbox), *next; message;
             message = next) {
            next = message->next;
            typical_play(game, message);
        }
        if (job == JOB_BROADCAST) typical_broadcast(game, burst, intended);
    }
    return NULL;
}

/* On the loop thread, for each reply it has taken, written or not. For a peer that does not call it
   there is no limit to how far its loop may be behind with broadcasts. */
static inline void typical_taken(struct game *game)
{
    if (game->options->job == JOB_BROADCAST)
        __atomic_store_n(&game->taken, game->taken + 1, __ATOMIC_RELAXED);
}

/* On the loop thread: a connection came or left. Only broadcasts need to know. */
static inline void typical_tell(struct game *game, uint64_t conn, bool joined)
{
    if (game->options->job == JOB_BROADCAST)
        mailbox_put(&game->inbox, message_new(conn, joined ? MESSAGE_JOIN : MESSAGE_LEAVE, 0));
}

/* On the loop thread: splits what was received, each message for itself to the game. false: the
   stream is broken, the connection must go. */
static inline bool typical_received(struct game *game, uint64_t conn, struct splitter *splitter,
                                    const uint8_t *data, size_t size)
{
    /* Players of a broadcast have nothing to say. */
    if (game->options->job == JOB_BROADCAST) return true;
    while (size > 0) {
        struct frame frame;
        size_t took = splitter_take(splitter, data, size, &frame);
        if (took == FRAME_BROKEN) return false;
        data += took;
        size -= took;
        if (!frame.payload) continue;
        struct message *message = message_new(conn, MESSAGE_DATA, frame.size);
        memcpy(message_data(message), frame.payload, frame.size);
        mailbox_put(&game->inbox, message);
    }
    return true;
}

/* --- start ----------------------------------------------------------------------------------- */

/* For all forms with a game; `context` is for `post` and `wake`, which the caller sets. */
static inline void game_init(struct game *game, const struct options *options, void *context)
{
    memset(game, 0, sizeof *game);
    game->options = options;
    game->context = context;
    mailbox_init(&game->inbox);
    channel_init(&game->in);
    channel_init(&game->out);
    game->incoming = batch_new();
    game->outgoing = batch_new();
    ticker_start(&game->ticker, options->period_ms);
}

/* Starts the game thread: expert_thread or typical_thread. */
static inline void game_start(struct game *game, void *(*run)(void *))
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, run, game);
    if (errno) die("thread");
    pthread_detach(thread);
}

#endif
