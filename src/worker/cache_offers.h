/* What a pipeline thread has offered to the listener's response cache, and how it is taken back.
 *
 * An offered entry is looked at again when its folder has changed (inotify wakes the thread) and
 * once a second besides, for what inotify does not tell: a symbolic link or a folder above that was
 * exchanged, a second name of the file, a file system shared with another machine. When it is no
 * longer true, leaves the URL cache, or the configuration changes, MSG_CACHE_FLUSH follows the
 * offer over the same ring. A flush that finds the ring full is owed, and nothing is offered before
 * it is out. */
#ifndef CANDOR_WORKER_CACHE_OFFERS_H
#define CANDOR_WORKER_CACHE_OFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_offers;
struct ring;
struct url_entry;
struct worker_thread;

/* An answer that the listener did not keep is offered again after so many milliseconds. */
enum { CACHE_REPEAT_MS = 1000 };

struct cache_offers *cache_offers_new(struct worker_thread *t);
/* The URL cache must be gone. NULL is allowed. */
void cache_offers_free(struct cache_offers *o);

/* The head of an answer that may be cached for so many seconds is about to be put on the ring.
 * True: it goes as an offer, which has been noted. */
bool cache_offers_take(struct cache_offers *o, struct url_entry *e, uint32_t seconds);
/* The entry has left the URL cache. */
void cache_offers_forget(struct cache_offers *o, struct url_entry *e);

/* Something has changed that offers may depend on. Any thread. */
void cache_offers_poke(struct cache_offers *o);

/* Looks at what is due and puts flushes on the ring. Returns how many records it has put there. To
 * be called on every turn of the thread's loop; costs a load when there is nothing to do. */
unsigned cache_offers_turn(struct cache_offers *o, struct ring *ring);

/* Offers in force, and flushes that wait for room. For tests and figures. */
size_t cache_offers_count(const struct cache_offers *o);
size_t cache_offers_owed(const struct cache_offers *o);

#endif
