/* Detectors: each is one file in detectors/, one constant, and one row of the list in
 * detectors.c. */
#ifndef CANDOR_DIAGNOSE_DETECTOR_H
#define CANDOR_DIAGNOSE_DETECTOR_H

#include "diagnose/finding.h"
#include "diagnose/model.h"

struct detector {
    const char *id;    /* of its findings, or their common beginning: "queue-full" */
    const char *title; /* what it looks for, for --help and the documentation */
    /* Reads the model, adds what it finds. Pure: no input or output, no clock. */
    void (*run)(const struct model *m, struct findings *fs);
};

extern const struct detector detector_access_denied, detector_app_offline, detector_aspnetcore,
    detector_bad_request, detector_client_certificate, detector_config_error,
    detector_connection_limit, detector_directory_listing, detector_error_burst,
    detector_error_rate, detector_filtering, detector_ftp, detector_gateway, detector_handler,
    detector_handshake, detector_header_size, detector_hostname, detector_idle_connections,
    detector_impatient_clients, detector_input_quality, detector_ip_restriction,
    detector_listener_answers, detector_logon_failed, detector_missing_pages, detector_not_modified,
    detector_pool_stopped, detector_queue_full, detector_queue_wait, detector_scanner,
    detector_server_error, detector_silence, detector_slow_clients, detector_slow_requests,
    detector_tls_required, detector_traces, detector_version, detector_worker_died,
    detector_worker_limits;

/* Runs all of them and sorts. */
void detectors_run(const struct model *m, struct findings *fs);
/* The list, for documentation and tests; NULL from the end on. */
const struct detector *detector_at(size_t i);

#endif
