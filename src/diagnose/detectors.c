#include "diagnose/detector.h"

#include "base/poison.h"

/* The order in which findings of the same severity and count stand. */
static const struct detector *const detectors[] = {
    &detector_app_offline,
    &detector_queue_full,
    &detector_pool_stopped,
    &detector_connection_limit,
    &detector_worker_died,
    &detector_config_error,
    &detector_gateway,
    &detector_worker_limits,
    &detector_queue_wait,
    &detector_server_error,
    &detector_aspnetcore,
    &detector_error_burst,
    &detector_error_rate,
    &detector_silence,
    &detector_slow_requests,
    &detector_handler,
    &detector_directory_listing,
    &detector_access_denied,
    &detector_logon_failed,
    &detector_handshake,
    &detector_tls_required,
    &detector_client_certificate,
    &detector_ip_restriction,
    &detector_filtering,
    &detector_header_size,
    &detector_bad_request,
    &detector_listener_answers,
    &detector_hostname,
    &detector_version,
    &detector_missing_pages,
    &detector_scanner,
    &detector_ftp,
    &detector_traces,
    &detector_slow_clients,
    &detector_impatient_clients,
    &detector_idle_connections,
    &detector_not_modified,
    &detector_input_quality,
};

const struct detector *detector_at(size_t i)
{
    return i < ARRAY_LEN(detectors) ? detectors[i] : NULL;
}

static bool has_finding(const struct findings *fs, struct str id)
{
    for (size_t i = 0; i < fs->n; i++)
        if (str_eq(str_z(fs->at[i]->id), id))
            return true;
    return false;
}

static bool is_detector(struct str id)
{
    for (size_t i = 0; i < ARRAY_LEN(detectors); i++)
        if (str_eq(str_z(detectors[i]->id), id))
            return true;
    return false;
}

/* A detector names others before they have run: what they did not find is no relative. */
static void drop_absent_relatives(const struct findings *fs, struct finding *f)
{
    size_t n = 0;

    for (size_t i = 0; i < f->related_n; i++)
        if (!is_detector(f->related[i]) || has_finding(fs, f->related[i]))
            f->related[n++] = f->related[i];
    f->related_n = n;
}

void detectors_run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(detectors); i++)
        detectors[i]->run(m, fs);
    for (size_t i = 0; i < fs->n; i++)
        drop_absent_relatives(fs, fs->at[i]);
    findings_sort(fs);
}
