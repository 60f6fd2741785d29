/* application/@preloadEnabled: what an application needs is there before its first request. */
#ifndef CANDOR_WORKER_PRELOAD_H
#define CANDOR_WORKER_PRELOAD_H

struct worker_thread;

/* Looks at the root of each application of the worker's pool that wants it, as a request would:
 * configuration is read, the pipeline is planned, what is wrong is told. Before the thread runs. */
void preload_applications(struct worker_thread *t);

#endif
