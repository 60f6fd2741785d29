/* The worker: the role of w3wp.exe. A process under the pool's identity that runs the pipeline for
 * the requests which the listener hands it over the ring. */
#ifndef CANDOR_WORKER_WORKER_H
#define CANDOR_WORKER_WORKER_H

/* The process's main function; talks to the supervisor on CONTROL_FD (queue/control.h). Returns the
 * exit status: 0 after an orderly stop, 1 when it could not start, 3 when the listener broke the
 * ring protocol. */
int worker_main(void);

#endif
