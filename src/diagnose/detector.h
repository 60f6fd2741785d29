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

extern const struct detector detector_queue_full, detector_app_offline, detector_error_rate;

/* Runs all of them and sorts. */
void detectors_run(const struct model *m, struct findings *fs);
/* The list, for documentation and tests; NULL from the end on. */
const struct detector *detector_at(size_t i);

#endif
