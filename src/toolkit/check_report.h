/* What `candor check` found, and how it is printed. */
#ifndef CANDOR_TOOLKIT_CHECK_REPORT_H
#define CANDOR_TOOLKIT_CHECK_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/inspect.h"

enum check_severity { CHECK_NOTE, CHECK_WARNING, CHECK_ERROR };

struct check_finding {
    enum check_severity severity;
    struct str file, text, section, remedy, extra; /* extra: lines of XML to show */
    unsigned line, column;
    uint32_t code; /* HRESULT; 0: none */
};

struct check_section {
    struct str path, note;
    enum config_support support;
};

/* Owns copies of everything in its arena. */
struct check_report {
    struct arena arena;
    struct check_finding *findings;
    size_t n_findings, cap_findings;
    struct check_section *sections;
    size_t n_sections, cap_sections;
    struct str *files;
    size_t n_files, cap_files;
    unsigned errors;
    bool is_full; /* more was found than is kept */
};

void check_report_init(struct check_report *r);
void check_report_fini(struct check_report *r);

/* Each is kept once, however often it is found. */
void check_report_add(struct check_report *r, const struct check_finding *f);
void check_report_error(struct check_report *r, const struct config_error *e);
void check_report_section(struct check_report *r, const struct config_held_section *s);
void check_report_file(struct check_report *r, struct str path);

void check_report_text(const struct check_report *r, bool colour, struct buf *out);
void check_report_json(const struct check_report *r, struct buf *out);

#endif
