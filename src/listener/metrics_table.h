/* What the server counts: every family of GET /metrics once, in the order in which it is exposed.
 * docs/metrics.md has the same rows; tests/e2e/test_metrics.py holds the two together.
 * FAMILY(NAME, name, type, unit, labels, help): names and units by the conventions of OpenMetrics
 * 1.0; a counter's sample adds "_total", an information's "_info". */

/* clang-format off */
FAMILY(BUILD, "candor_build", INFO, "", "version",
       "The version that runs.")
FAMILY(START_TIME, "candor_start_time_seconds", GAUGE, "seconds", "",
       "When the server started, in seconds since 1970.")
FAMILY(LISTENER_START_TIME, "candor_listener_start_time_seconds", GAUGE, "seconds", "",
       "When the listener started; what it counts begins then.")
FAMILY(LISTENER_THREADS, "candor_listener_threads", GAUGE, "", "",
       "Event threads of the listener.")
FAMILY(GENERATION, "candor_configuration_generation", GAUGE, "", "",
       "The number of the configuration in force; each one taken into force adds one.")
FAMILY(SITE, "candor_site", INFO, "", "site,name",
       "The name of each site, by the id that the other families use.")
FAMILY(CONNECTIONS, "candor_connections", GAUGE, "", "",
       "Client connections open now.")
FAMILY(CONNECTIONS_ACCEPTED, "candor_connections_accepted", COUNTER, "", "",
       "Client connections taken.")
FAMILY(CONNECTIONS_REFUSED, "candor_connections_refused", COUNTER, "", "",
       "Client connections dropped at once: MaxConnections was reached, or memory is short.")
FAMILY(SITE_CONNECTIONS, "candor_site_connections", GAUGE, "", "site",
       "Client connections that count for a site's maxConnections.")
FAMILY(TLS_HANDSHAKES, "candor_tls_handshakes", COUNTER, "", "result",
       "TLS handshakes that ended, by result: ok, failed.")
FAMILY(TLS_FAILURES, "candor_tls_handshake_failures", COUNTER, "", "cause",
       "Failed TLS handshakes by cause, as docs/tls.md lists them.")
FAMILY(PROXY_HEADERS, "candor_proxy_headers", COUNTER, "", "result",
       "PROXY headers that trusted balancers owed, by result: taken, refused (none or malformed).")
FAMILY(REQUESTS, "candor_requests", COUNTER, "", "site,status,substatus",
       "Requests that a worker or the response cache answered, by sc-status and sc-substatus.")
FAMILY(REQUEST_DURATION, "candor_request_duration_seconds", HISTOGRAM, "seconds", "site",
       "time-taken of those requests: from the first byte read to the last one taken for sending.")
FAMILY(RECEIVED_BYTES, "candor_received_bytes", COUNTER, "bytes", "site",
       "cs-bytes of those requests; site - is what the listener refused by itself.")
FAMILY(SENT_BYTES, "candor_sent_bytes", COUNTER, "bytes", "site",
       "sc-bytes of those requests; site - is what the listener answered by itself.")
FAMILY(HTTPERR, "candor_httperr", COUNTER, "", "reason",
       "Lines of the HTTPERR log, by s-reason.")
FAMILY(QUEUE_LENGTH, "candor_queue_length", GAUGE, "", "pool",
       "Requests in a pool's queue that no worker has taken.")
FAMILY(QUEUE_LIMIT, "candor_queue_limit", GAUGE, "", "pool",
       "The pool's queueLength.")
FAMILY(QUEUE_WAIT, "candor_queue_wait_seconds", HISTOGRAM, "seconds", "pool",
       "How long requests waited in the queue until a worker took them.")
FAMILY(CACHE_HITS, "candor_cache_hits", COUNTER, "", "",
       "Requests answered from the response cache.")
FAMILY(CACHE_MISSES, "candor_cache_misses", COUNTER, "", "",
       "Requests that the response cache was asked for and did not have.")
FAMILY(CACHE_ENTRIES, "candor_cache_entries", GAUGE, "", "",
       "Responses in the response cache.")
FAMILY(CACHE_BYTES, "candor_cache_bytes", GAUGE, "bytes", "",
       "Memory that those responses take.")
FAMILY(RING_RECORDS, "candor_ring_records", COUNTER, "", "direction",
       "Records over the rings: request (to workers), response (from them).")
FAMILY(RING_TURNS, "candor_ring_turns", COUNTER, "", "",
       "Turns in which response records were found; records by turns is how well they batch.")
FAMILY(RING_WAKES, "candor_ring_wakes", COUNTER, "", "",
       "Times that a worker slept and had to be woken.")
FAMILY(POOL_STATE, "candor_pool_state", STATESET, "", "pool",
       "State of an application pool: Started, Stopping, Stopped.")
FAMILY(POOL_WORKERS, "candor_pool_workers", GAUGE, "", "pool",
       "Worker processes of a pool.")
FAMILY(POOL_WORKER_STARTS, "candor_pool_worker_starts", COUNTER, "", "pool",
       "Worker processes started.")
FAMILY(POOL_WORKER_FAILURES, "candor_pool_worker_failures", COUNTER, "", "pool",
       "Workers that ended, hung or did not start against our will.")
FAMILY(POOL_RECYCLES, "candor_pool_recycles", COUNTER, "", "pool",
       "Workers replaced because a limit or an administrator asked for it.")
/* clang-format on */
