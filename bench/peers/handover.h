/* The hand-over between the loop thread and the game thread: mailboxes for single messages
   (typical) and channels for whole batches (expert). For gnu99 and C++17. */
#ifndef BENCH_HANDOVER_H
#define BENCH_HANDOVER_H

#include "batch.h"
#include <pthread.h>
#include <semaphore.h>

/* --- typical: messages one by one ------------------------------------------------------------ */

enum message_kind { MESSAGE_DATA, MESSAGE_JOIN, MESSAGE_LEAVE };

/* Towards the game: a payload. From it: a whole frame, ready to be written. */
struct message {
    struct message *next;
    uint64_t conn;
    enum message_kind kind;
    uint32_t size;
};

static inline uint8_t *message_data(struct message *message)
{
    return (uint8_t *)(message + 1);
}

static inline struct message *message_new(uint64_t conn, enum message_kind kind, uint32_t size)
{
    struct message *message = (struct message *)need(malloc(sizeof *message + size));
    message->next = NULL;
    message->conn = conn;
    message->kind = kind;
    message->size = size;
    return message;
}

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct message *first, *last;
};

static inline void mailbox_init(struct mailbox *box)
{
    box->first = box->last = NULL;
    if (pthread_mutex_init(&box->lock, NULL) || pthread_cond_init(&box->filled, NULL)) die("mutex");
}

static inline void mailbox_put(struct mailbox *box, struct message *message)
{
    pthread_mutex_lock(&box->lock);
    if (box->first) {
        box->last->next = message;
    } else {
        box->first = message;
    }
    box->last = message;
    pthread_mutex_unlock(&box->lock);
    /* Not before: who wakes up would only have to wait for the lock. */
    pthread_cond_signal(&box->filled);
}

/* The next message; waits for it. */
static inline struct message *mailbox_wait(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    while (!box->first) pthread_cond_wait(&box->filled, &box->lock);
    struct message *message = box->first;
    box->first = message->next;
    pthread_mutex_unlock(&box->lock);
    return message;
}

/* All messages that are there, in their order, or NULL. */
static inline struct message *mailbox_take_all(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct message *all = box->first;
    box->first = NULL;
    pthread_mutex_unlock(&box->lock);
    return all;
}

/* --- expert: batches through a channel ------------------------------------------------------- */

struct channel {
    pthread_mutex_t lock;
    /* Where the game sleeps: a condvar would cost it a second system call to wake up, for its
       mutex. The loop has its own place to sleep. */
    sem_t filled;
    /* Filled ones, the oldest first; and empty ones to be used again. */
    struct batch *first, *last, *spare;
    uint32_t spare_count;
    /* The receiver sleeps, or is about to, and nobody has woken it yet. Set with the lock held; a
       receiver that has woken up clears it without. */
    bool asleep;
    /* How often was put since the last take. */
    uint32_t depth;
};

static inline void channel_init(struct channel *channel)
{
    memset(channel, 0, sizeof *channel);
    if (pthread_mutex_init(&channel->lock, NULL)) die("mutex");
    if (sem_init(&channel->filled, 0, 0) < 0) die("semaphore");
}

/* Puts *batch into the channel and leaves an empty one in its place. true: the receiver is asleep,
   and now it is the caller who has to wake it. */
static inline bool channel_put(struct channel *channel, struct batch **batch)
{
    struct batch *full = *batch;
    pthread_mutex_lock(&channel->lock);
    if (channel->first && full->used <= ADD_MOST && channel->last->used < BATCH_FULL) {
        batch_add(channel->last, full);
        batch_clear(full);
    } else {
        full->next = NULL;
        if (channel->first) {
            channel->last->next = full;
        } else {
            channel->first = full;
        }
        channel->last = full;
        *batch = channel->spare;
        if (*batch) {
            channel->spare = (*batch)->next;
            channel->spare_count--;
        }
    }
    __atomic_fetch_add(&channel->depth, 1, __ATOMIC_RELAXED);
    bool wake = __atomic_load_n(&channel->asleep, __ATOMIC_RELAXED);
    if (wake) __atomic_store_n(&channel->asleep, false, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&channel->lock);
    if (!*batch) *batch = batch_new();
    return wake;
}

/* With the lock held: the batches of `done` are to be used again. Gives those that are too many. */
static inline struct batch *channel_empty(struct channel *channel, struct batch *done)
{
    while (done && channel->spare_count < SPARE_MOST) {
        struct batch *next = done->next;
        batch_clear(done);
        done->next = channel->spare;
        channel->spare = done;
        channel->spare_count++;
        done = next;
    }
    return done;
}

static inline void batches_free(struct batch *batch)
{
    while (batch) {
        struct batch *next = batch->next;
        batch_free(batch);
        batch = next;
    }
}

/* All batches that are there (a list by ->next), giving back those that are done (or NULL). If none
   is there and `sleep` is set: from now on who puts must wake. */
static inline struct batch *channel_take(struct channel *channel, struct batch *done, bool sleep)
{
    pthread_mutex_lock(&channel->lock);
    done = channel_empty(channel, done);
    struct batch *all = channel->first;
    channel->first = NULL;
    __atomic_store_n(&channel->depth, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&channel->asleep, sleep && !all, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&channel->lock);
    batches_free(done);
    return all;
}

/* The same, but sleeps until there is one; channel_ring wakes it. */
static inline struct batch *channel_wait(struct channel *channel, struct batch *done)
{
    struct batch *all;
    while (!(all = channel_take(channel, done, true))) {
        done = NULL;
        while (sem_wait(&channel->filled) < 0 && errno == EINTR) {
        }
    }
    return all;
}

/* Gives back batches that are done. */
static inline void channel_give(struct channel *channel, struct batch *done)
{
    pthread_mutex_lock(&channel->lock);
    done = channel_empty(channel, done);
    pthread_mutex_unlock(&channel->lock);
    batches_free(done);
}

static inline void channel_ring(struct channel *channel)
{
    if (sem_post(&channel->filled) < 0) die("semaphore");
}

#endif
