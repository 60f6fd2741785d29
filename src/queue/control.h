/* The control channel between the supervisor and its children: JSON datagrams (base/ipc.h) on the
 * SOCK_SEQPACKET socket that every child finds as descriptor CONTROL_FD. Member "type" names the
 * message. Descriptors travel beside the message in the order given in brackets.
 *
 * supervisor -> listener
 *   start          {threads, system_drive, event_log}               once, first
 *   endpoint_add   {id, scheme:"http|https", address, port} [one listening socket per thread]
 *   endpoint_remove{id}
 *   generation     {id, parameters:{…}, web_limits:{connectionTimeout_ms, headerWaitTimeout_ms,
 *                   minBytesPerSecond, maxGlobalBandwidth}, pools:[{name, queueLength,
 *                   loadBalancerCapabilities, state:"Started|Stopped",
 *                   reason:"Disabled|AppOffline|AppShutdown|N/A"}],
 *                   sites:[{id, name, state, limits:{connectionTimeout_ms, maxConnections,
 *                   maxBandwidth, maxUrlSegments}, bindings:[{protocol, address, port, host,
 *                   sslFlags, proxyProtocol:"none|v1v2", proxyTrusted}], applications:[{path, pool}],
 *                   logFile:{…}}], reservations:[{scheme, host, port, path}], log:{…}, httperr:{…},
 *                   computerName}          logFile, log, httperr: see logging/log_settings.h.
 *                   address: "*" (any), "+" (any, before names) or one with its scope as a number
 *   pool_state     {pool, state, reason, queueLength?, loadBalancerCapabilities?}
 *   worker_attach  {worker, pool, pid} [region memfd, then per thread: listener's eventfd, the
 *                   pipe to write to that wakes the worker, listener's end of the file socket]
 *   worker_drain   {worker}      no new requests to it; answered by worker_drained
 *   worker_gone    {worker}      its process has ended: abandons held requests, requeues the rest
 *   reopen_logs    {}
 *   status         {token}       answered, once all threads follow what came before, by status
 *                  {token, connections, pools:[{pool, queued}]}
 *   tls            {...}         certificates and who uses which: supervisor/certificates.h
 *   certificate    {name, ...}   the answer to certificate_wanted
 *   metrics        {} [listening socket]      serve GET /metrics on it
 *   metrics_facts  {started_us, pools:[{name, state, workers, starts, failures, recycles}]}
 *   cache_clear    {url?, subtree?}
 *   cache_list     {token}       answered by cache {token, bytes, entries:[…]}
 *   stop           {timeout_ms}  close the doors, finish what is under way, flush logs, exit 0
 * listener -> supervisor
 *   ready          {}            after start
 *   generation_ok  {id} | generation_failed {id, text}
 *   demand         {pool}        requests wait and the pool has no worker; repeated once a second
 *   worker_drained {worker}
 *   worker_malformed {worker, text}     it broke the ring protocol: to be ended, counts as a crash
 *   event          {code, text, data}   for the event log
 *
 * supervisor -> worker
 *   start          {worker, pool, threads, system_drive, config_path, generation, parameters?}
 *                  [applicationHost.config as memfd, region memfd, then per thread: the pipe to
 *                   sleep on, listener's eventfd, worker's end of the file socket]
 *   generation     {id, config_path} [memfd]  new server-level configuration
 *   ping           {token}                    answered by pong {token} from the main thread
 *   stop           {timeout_ms}               finish what is held, exit 0
 * worker -> supervisor
 *   ready          {}
 *   failed         {code, text}               cannot start: event 2297 and the like, then exits
 *   pong           {token}
 *   idle           {idle_ms}                  no request for idleTimeout; asks to be ended
 *   requests       {}                         periodicRestart/@requests; asks to be recycled
 *   event          {code, text, data}
 */
#ifndef CANDOR_QUEUE_CONTROL_H
#define CANDOR_QUEUE_CONTROL_H

enum { CONTROL_FD = 3 };

#endif
