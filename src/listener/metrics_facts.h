/* Metrics as the listener's control thread has them: from the order of the supervisor to the facts
 * of each scrape. All of it belongs to that thread. */
#ifndef CANDOR_LISTENER_METRICS_FACTS_H
#define CANDOR_LISTENER_METRICS_FACTS_H

#include <jansson.h>

struct listener;
struct listener_metrics;

/* The supervisor's "metrics": serves on the one listening socket of fds. *m is what an earlier
 * order left (it goes) or NULL. Gives how many of the descriptors it has taken over. */
size_t listener_metrics_begin(struct listener_metrics **m, struct listener *l, const int *fds,
                              size_t n_fds);
/* The supervisor's "metrics_facts": its side of the pools, kept until the next one. */
void listener_metrics_take(struct listener_metrics *m, const json_t *msg);
/* Before the event threads' memory goes. Takes NULL; gives NULL. */
struct listener_metrics *listener_metrics_end(struct listener_metrics *m);

#endif
