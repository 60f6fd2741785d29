/* The runner: takes a request through the notifications in IIS's order, with what IIS Web Core does
 * between the modules' hooks. */
#ifndef CANDOR_WORKER_PIPELINE_H
#define CANDOR_WORKER_PIPELINE_H

struct request_core;

/* Runs a request that has just been decoded. When it returns, the request may already be closed and
 * its memory in use by another. */
void pipeline_start(struct request_core *core);

#endif
