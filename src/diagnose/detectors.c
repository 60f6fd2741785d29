#include "diagnose/detector.h"

#include "base/poison.h"

static const struct detector *const detectors[] = {
    &detector_queue_full,
    &detector_app_offline,
    &detector_error_rate,
};

const struct detector *detector_at(size_t i)
{
    return i < ARRAY_LEN(detectors) ? detectors[i] : NULL;
}

void detectors_run(const struct model *m, struct findings *fs)
{
    for (size_t i = 0; i < ARRAY_LEN(detectors); i++)
        detectors[i]->run(m, fs);
    findings_sort(fs);
}
