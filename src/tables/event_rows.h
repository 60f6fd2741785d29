/* The events. EVENT(NAME, source, id, level, text, remedy): %1 to %9 in the text are the facts, in
 * the order in which Windows inserts them. Sources and ids of IIS are those that monitoring tools
 * look for; CND ids are ours, for what IIS has no event for. An id once used is never given to
 * something else: append, and leave what is no longer raised in its place. Sorted by source, id. */

/* clang-format off */
EVENT(CND_ENDPOINT_IN_USE, CND, 1001, ERROR,
      "%1 cannot be listened on because another program does: %2",
      "Find that program (ss -ltnp), end it or give the binding another port.")
EVENT(CND_ENDPOINT_FORBIDDEN, CND, 1002, ERROR,
      "%1 cannot be listened on: %2",
      "A port below 1024 needs CAP_NET_BIND_SERVICE; an address must belong to this machine.")
EVENT(CND_CONFIG_REFUSED, CND, 1003, ERROR,
      "The changed configuration was refused and the one before it stays in force: %1",
      "Run candor check on the file, correct it and save it again.")
EVENT(CND_CONFIG_TAKEN, CND, 1004, INFO,
      "The changed configuration is in force (generation %1)", "")
EVENT(CND_CONFIG_SETTING, CND, 1005, WARNING,
      "A setting cannot be used: %1",
      "Correct the setting; until then the value named in the text is used.")
EVENT(CND_CONFIG_DIFFERENT, CND, 1006, WARNING,
      "A setting is accepted but works differently here: %1",
      "candor check lists what is not supported.")
EVENT(CND_PARAMETER_REFUSED, CND, 1007, WARNING,
      "HTTP parameters, %1 line %2: %3",
      "Correct the value; until then its default is used.")
EVENT(CND_PARAMETERS_UNREADABLE, CND, 1008, ERROR,
      "The HTTP parameters in %1 cannot be read and their defaults are used: %2",
      "Export the key anew, or correct the file's permissions.")
EVENT(CND_WATCH_FAILED, CND, 1009, WARNING,
      "Changes of %1 are not noticed: %2",
      "Raise fs.inotify.max_user_watches, or send SIGHUP after a change.")
EVENT(CND_LOG_OPEN_FAILED, CND, 1010, ERROR,
      "The log %1 cannot be opened: %2",
      "Let the server's user write to the folder. Requests are served meanwhile, without log.")
EVENT(CND_LOG_WRITE_FAILED, CND, 1011, ERROR,
      "The log %1 cannot be written: %2",
      "Make room on the disk. Lines are kept in memory as long as there is room for them.")
EVENT(CND_LOG_LINES_LOST, CND, 1012, ERROR,
      "Lines of the log %1 are being lost because the disk does not follow",
      "Use a faster or emptier disk for logs, or log fewer fields.")
EVENT(CND_LOG_RECOVERED, CND, 1013, INFO,
      "The log %1 is written again; %2 lines were lost", "")
EVENT(CND_WORKER_MALFORMED, CND, 1014, ERROR,
      "The worker of pool %1 (process %2) sent a message that makes no sense and is ended: %3",
      "Keep the core dump and report it; candor collect gathers what is needed.")
EVENT(CND_CHILD_MALFORMED, CND, 1015, ERROR,
      "The %1 process %2 sent a control message that makes no sense: %3",
      "Keep the events of that minute and report it.")
EVENT(CND_LISTENER_LOST, CND, 1016, ERROR,
      "The listener (process %1) ended unexpectedly with %2 and is started again",
      "Connections were lost. Keep the core dump and report it.")
EVENT(CND_LISTENER_FAILED, CND, 1017, ERROR,
      "The listener cannot be started: %1",
      "Look at the cause in the text; the server ends if it cannot be started at all.")
EVENT(CND_SERVER_STARTED, CND, 1018, INFO,
      "The server has started: version %1, configuration %2", "")
EVENT(CND_SERVER_STOPPED, CND, 1019, INFO,
      "The server stops: %1", "")
EVENT(CND_CONTROL_SOCKET, CND, 1020, WARNING,
      "The control socket %1 cannot be used: %2; commands will not reach this server",
      "End the other server that uses it, or choose another path with --control.")
EVENT(CND_STATE_FOLDER, CND, 1021, ERROR,
      "The folder %1 cannot be made or written: %2",
      "Give it to the server's user, or choose another with --system-drive.")
EVENT(CND_DESCRIPTOR_LIMIT, CND, 1022, WARNING,
      "Only %1 file descriptors are allowed; that many connections and files at most",
      "Raise the limit (LimitNOFILE in the unit file, or ulimit -n).")
EVENT(CND_NO_CGROUP, CND, 1023, WARNING,
      "Processor limits of pool %1 are only measured, because control groups cannot be used: %2",
      "Delegate a cgroup v2 to the server (Delegate=yes in the unit file).")
EVENT(CND_SITE_WITHOUT_BINDING, CND, 1024, WARNING,
      "The site %1 has no binding that can be used",
      "Correct its bindings; the event before this one names the fault.")
EVENT(CND_MEMORY, CND, 1025, ERROR,
      "%1 could not get memory and refused a request",
      "Look for what uses the memory; lower limits or add memory.")
EVENT(CND_SANDBOX, CND, 1026, WARNING,
      "The %1 process runs without system call filter: %2",
      "Use a kernel with seccomp filters, or a container profile that allows them.")
EVENT(CND_FOLDER_UNREADABLE, CND, 1027, WARNING,
      "What is to be served cannot be read: %1",
      "Give the pool's user the right, or the pool another user.")
EVENT(CND_CONTROL_LOST, CND, 1028, ERROR,
      "The %1 (process %2) does not take its orders and is ended: %3",
      "It hangs: keep the events of that minute and report it.")
EVENT(CND_CPU_RESET, CND, 1029, INFO,
      "The pool %1 takes requests again: its processor limit counts from zero", "")
EVENT(CND_SUSPENDED, CND, 1030, INFO,
      "The worker process %1 of pool %2 was suspended because it was idle for %3 minutes; the next "
      "request wakes it", "")
EVENT(CND_CONNECTIONS_REFUSED, CND, 1032, ERROR,
      "Memory is short: no more connections are taken (HTTPERR Connections_Refused)",
      "Look for what uses the memory of the machine or of the control group; lower limits or add "
      "memory.")
EVENT(CND_CONNECTIONS_TAKEN, CND, 1033, INFO, "There is memory again: connections are taken", "")
EVENT(CND_CERTIFICATE_BAD, CND, 1040, ERROR,
      "A certificate cannot be used: %1",
      "Do what the text says; the file is looked at again when it changes.")
EVENT(CND_CERTIFICATE_KEPT, CND, 1041, ERROR,
      "A changed certificate was refused and the one before it stays in use: %1",
      "Do what the text says; the file is looked at again when it changes.")
EVENT(CND_CERTIFICATE_TAKEN, CND, 1042, INFO,
      "A new certificate is in use: %1 (thumbprint %2, valid until %3)", "")
EVENT(CND_CERTIFICATE_DATES, CND, 1043, WARNING,
      "The certificate %1 %2 %3",
      "Renew it: clients refuse it outside of these dates.")
EVENT(CND_CERTIFICATE_STAPLE, CND, 1044, WARNING,
      "The OCSP response for the certificate %1 cannot be had: %2",
      "Handshakes go on without it. Let the server reach its authority by http, or set sslFlags 8.")
EVENT(CND_PROXY_HEADER, CND, 1045, WARNING,
      "A connection of the balancer %1 to %2 was closed: %3",
      "Let the balancer send PROXY headers (haproxy: send-proxy, nginx: proxy_protocol on), or "
      "take its address out of proxyTrusted. candor_proxy_headers_total counts them all.")

EVENT(HTTP_BIND, HTTP, 15005, ERROR,
      "The listener cannot bind to %1",
      "Check that the address belongs to this machine and nobody else uses the port.")
EVENT(HTTP_TLS_PACKAGE, HTTP, 15016, ERROR,
      "The security package %1 cannot be initialised for authentication by the listener",
      "Look at the error beside the event.")
EVENT(HTTP_TLS_ENDPOINT, HTTP, 15021, ERROR,
      "TLS of the endpoint %1 cannot be used; the error is in the data",
      "Check that the certificate exists with its key and can be read.")
EVENT(HTTP_TLS_REMOVED, HTTP, 15300, WARNING,
      "The certificate settings of %1 were removed", "")
EVENT(HTTP_TLS_ADDED, HTTP, 15301, WARNING,
      "The certificate settings of %1 were made by an administrator", "")

EVENT(SCHANNEL_NOTHING_SHARED, SCHANNEL, 36874, WARNING,
      "A TLS handshake of %1 with %2 (host %3) failed because both ends have no version or cipher "
      "suite in common: %4",
      "The client is too old, or allows too little; docs/tls.md has what is spoken here. "
      "candor_tls_handshake_failures_total counts them all.")
EVENT(SCHANNEL_ALERT_RECEIVED, SCHANNEL, 36887, WARNING,
      "The client %1 ended its TLS handshake with %2 (host %3) by alert %5: %4",
      "Alerts 42 to 46 and 48 mean that it does not trust the certificate: look at its names, "
      "dates and chain. candor_tls_handshake_failures_total counts them all.")
EVENT(SCHANNEL_ALERT_SENT, SCHANNEL, 36888, WARNING,
      "The TLS handshake of %1 with %2 (host %3) was ended with alert %5: %4",
      "Alert 112: no binding has a certificate for that host. Plain HTTP and other protocols "
      "cannot be spoken at a port of https. candor_tls_handshake_failures_total counts them all.")

EVENT(W3SVC_QUEUE_SECURITY, W3SVC, 1026, ERROR,
      "The access rights of the request queue of pool %1 could not be set",
      "Look at the error in the data.")
EVENT(W3SVC_ENABLE_FAILED, W3SVC, 1027, ERROR,
      "The request queue of pool %1 could not be enabled",
      "Look at the error in the data, then start the pool again.")
EVENT(W3SVC_DISABLE_FAILED, W3SVC, 1084, ERROR,
      "The request queue of pool %1 could not be disabled",
      "Look at the error in the data.")
EVENT(W3SVC_LOAD_BALANCER, W3SVC, 1086, ERROR,
      "loadBalancerCapabilities of pool %1 could not be set",
      "Look at the error in the data.")
EVENT(W3SVC_QUEUE_LENGTH, W3SVC, 1087, ERROR,
      "queueLength of pool %1 could not be set",
      "Use a number from 10 to 65535.")
EVENT(W3SVC_DEMAND_START, W3SVC, 1089, ERROR,
      "The request to start a worker for pool %1 could not be issued",
      "Look at the error in the data.")

EVENT(WP_FILTER_LOAD, W3SVC_WP, 2214, ERROR,
      "The filter %1 could not be loaded",
      "Check that the library exists, fits the processor and may be read.")
EVENT(WP_CGI_TIMEOUT, W3SVC_WP, 2216, ERROR,
      "The script %1 ran longer than its time-out and is ended",
      "Find out what it waits for, or raise cgi/@timeout.")
EVENT(WP_FILTER_CONFIG, W3SVC_WP, 2274, ERROR,
      "The list of ISAPI filters could not be read",
      "Correct system.webServer/isapiFilters.")
EVENT(WP_MODULE_LOAD, W3SVC_WP, 2280, ERROR,
      "The module %1 could not be loaded; the error is in the data",
      "Check globalModules: the library must exist and fit the processor.")
EVENT(WP_START_CONFIG, W3SVC_WP, 2297, ERROR,
      "The worker of pool %1 met error %2 in the configuration file %3, line %4, and does "
      "not start",
      "Correct that line; candor check names what is wrong.")
EVENT(WP_UNHEALTHY, W3SVC_WP, 2299, WARNING,
      "An application reported that it is unhealthy (%1); the worker will ask to be recycled",
      "Look into the application's log.")
EVENT(WP_CONFIG, W3SVC_WP, 2307, ERROR,
      "The worker of pool %1 met error %2 while it read configuration from %3, line %4",
      "Correct that line; requests for the path get 500.19 until then.")

EVENT(WAS_RAPID_FAIL, WAS, 5002, ERROR,
      "The application pool %1 is disabled because its workers failed again and again",
      "Look for the crash in the events before this one, cure it, then start the pool.")
EVENT(WAS_CRASH, WAS, 5009, WARNING,
      "A worker of pool %1 ended unexpectedly: process %2, exit code 0x%3",
      "Look for a core dump and at the application's log.")
EVENT(WAS_NO_PONG, WAS, 5010, WARNING,
      "A worker of pool %1 did not answer a ping: process %2",
      "The worker hangs: take its stacks with candor collect.")
EVENT(WAS_PIPE, WAS, 5011, WARNING,
      "A worker of pool %1 had a fatal communication error: process %2",
      "The worker is replaced. Look for a crash at the same time.")
EVENT(WAS_START_TIMEOUT, WAS, 5012, WARNING,
      "A worker of pool %1 did not start within startupTimeLimit: process %2",
      "Raise processModel/@startupTimeLimit, or find out what makes the start slow.")
EVENT(WAS_STOP_TIMEOUT, WAS, 5013, WARNING,
      "A worker of pool %1 did not end within shutdownTimeLimit: process %2",
      "Its last requests were cut. Raise processModel/@shutdownTimeLimit if they need longer.")
EVENT(WAS_IDENTITY, WAS, 5021, WARNING,
      "The identity of pool %1 cannot be used; the pool will be disabled at its first request",
      "Correct processModel/@identityType, userName or password.")
EVENT(WAS_NO_WORKER, WAS, 5022, WARNING,
      "No worker could be created for pool %1",
      "Look at the error in the data.")
EVENT(WAS_CPU_LIMIT, WAS, 5025, WARNING,
      "The pool %1 passed its processor limit",
      "Find what burns the processor, or raise cpu/@limit.")
EVENT(WAS_RANGE, WAS, 5041, WARNING,
      "The %1 %2 has a value out of range for %3: %4 is not within %5 to %6; %7 is used",
      "Correct the value.")
EVENT(WAS_POOL_NAME_LONG, WAS, 5050, WARNING,
      "The name of the application pool %1 is too long",
      "Use a shorter name.")
EVENT(WAS_POOL_NAME_EMPTY, WAS, 5051, WARNING,
      "An application pool has no name",
      "Give it one.")
EVENT(WAS_DISABLED_IDENTITY, WAS, 5057, ERROR,
      "The application pool %1 is disabled: no worker was created because its identity is "
      "not valid",
      "Correct the identity, then start the pool.")
EVENT(WAS_DISABLED_START, WAS, 5059, ERROR,
      "The application pool %1 is disabled: its worker could not be started",
      "Look for the cause in the events before this one, then start the pool.")
EVENT(WAS_RECYCLE_NOT_SENT, WAS, 5070, WARNING,
      "The request to recycle could not be sent to all workers of pool %1",
      "Recycle the pool again.")
EVENT(WAS_RECYCLE_TIME, WAS, 5074, INFO,
      "The worker process %1 of pool %2 asked to be recycled: it reached its time limit", "")
EVENT(WAS_RECYCLE_REQUESTS, WAS, 5075, INFO,
      "The worker process %1 of pool %2 asked to be recycled: it reached its number of "
      "requests", "")
EVENT(WAS_RECYCLE_SCHEDULE, WAS, 5076, INFO,
      "The worker process %1 of pool %2 asked to be recycled: its scheduled time has come", "")
EVENT(WAS_RECYCLE_MEMORY, WAS, 5077, INFO,
      "The worker process %1 of pool %2 asked to be recycled: it reached its virtual "
      "memory limit", "")
EVENT(WAS_RECYCLE_UNHEALTHY, WAS, 5078, INFO,
      "An extension reported that it is unhealthy, so the worker process %1 of pool %2 asked to be "
      "recycled",
      "Look into the application's log.")
EVENT(WAS_RECYCLE_ADMIN, WAS, 5079, INFO,
      "An administrator asked to recycle all workers of pool %1", "")
EVENT(WAS_RECYCLE_CONFIG, WAS, 5080, INFO,
      "The workers of pool %1 are recycled because its settings changed", "")
EVENT(WAS_RECYCLE_STORE, WAS, 5081, INFO,
      "The workers of pool %1 are recycled because what they know of the configuration may "
      "be wrong",
      "")
EVENT(WAS_OVERLAP_FAILED, WAS, 5093, WARNING,
      "Pool %1 could not be recycled with overlap; worker %2",
      "Look at the error in the data.")
EVENT(WAS_RECYCLE_PRIVATE, WAS, 5117, INFO,
      "The worker process %1 of pool %2 asked to be recycled: it reached its private "
      "memory limit", "")
EVENT(WAS_CONFIG_FILE, WAS, 5172, ERROR,
      "The configuration file %1 cannot be read at line %2: %3",
      "Correct that line; the configuration before it stays in force if there is one.")
EVENT(WAS_IDLE, WAS, 5186, INFO,
      "The worker process %1 of pool %2 was ended because it was idle for %3 minutes; a new one "
      "starts when it is needed", "")
EVENT(WAS_DYNAMIC_IDLE_80, WAS, 5192, INFO,
      "The machine runs 80 percent of the workers that dynamicIdleThreshold allows; idle time-outs "
      "get shorter", "")
EVENT(WAS_DYNAMIC_IDLE_90, WAS, 5193, WARNING,
      "The machine runs 90 percent of the workers that dynamicIdleThreshold allows",
      "Add memory or spread the sites over more machines.")
EVENT(WAS_DYNAMIC_IDLE_NORMAL, WAS, 5194, INFO,
      "The machine runs few enough workers again; idle time-outs are as configured", "")
EVENT(WAS_DYNAMIC_IDLE_END, WAS, 5195, INFO,
      "The worker process %1 of pool %2 was ended because it was idle for %3 minutes, a time that "
      "dynamicIdleThreshold had shortened", "")
/* clang-format on */
