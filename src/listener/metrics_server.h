/* GET /metrics on the control thread: a socket that the supervisor has opened, a handful of clients
 * with a time limit each, one request per connection. It shares nothing with the way of a request:
 * a scraper that misbehaves costs itself only. */
#ifndef CANDOR_LISTENER_METRICS_SERVER_H
#define CANDOR_LISTENER_METRICS_SERVER_H

#include "base/buf.h"
#include "base/loop.h"

struct metrics_server;

/* Serves on the listening socket fd, which becomes the server's. write appends what a scrape gets;
 * it is called on the thread of the loop. */
struct metrics_server *metrics_server_new(struct loop *l, int fd,
                                          void (*write)(void *arg, struct buf *out), void *arg);
/* Ends all clients and closes the socket. Takes NULL; gives NULL. */
struct metrics_server *metrics_server_free(struct metrics_server *s);

#endif
