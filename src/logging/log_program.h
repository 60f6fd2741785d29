/* A site's log settings compiled: the list of what to put into a line. Immutable; event threads
 * find it through struct log_site and may use it until their next tick. Internal. */
#ifndef CANDOR_LOGGING_LOG_PROGRAM_H
#define CANDOR_LOGGING_LOG_PROGRAM_H

#include "logging/log_channel.h"
#include "logging/log_fields.h"
#include "logging/log_record.h"

enum log_line_form {
    LOG_LINE_COLUMNS, /* W3C and HTTPERR */
    LOG_LINE_IIS,
    LOG_LINE_NCSA,
    LOG_LINE_JSON,
};

enum { LOG_STEPS_MAX = 32 + LOG_CUSTOM_FIELDS_MAX };

struct log_step {
    uint8_t op; /* enum log_op */
    uint16_t offset;
};

struct log_program {
    struct log_channel *channel; /* a reference */
    enum log_line_form form;
    bool is_utf8;
    uint8_t n_steps, n_strs, n_custom;
    uint32_t max_line; /* bytes without the line end */
    size_t fixed;      /* room for a line without what the record's strings need */
    size_t max_custom; /* bytes of one custom field */
    struct log_step steps[LOG_STEPS_MAX];
    uint16_t strs[LOG_STEPS_MAX];   /* offsets of the record's strings that the line may hold */
    struct str site_name, computer; /* escaped already */
    struct str json_head;           /* {"log":"site","site":1 */
    struct str *json_keys;          /* per step: ,"s-ip": */
    const struct log_custom_field *custom;
    struct arena arena;
};

/* Compiles one site's program: columns from flags and the custom fields of s (which custom to use
 * is the caller's to decide by n_custom). form LOG_LINE_JSON writes the same columns by name.
 * channel: takes over a reference. NULL, with the reference dropped by the caller, never: memory
 * that is out ends the process. */
struct log_program *log_program_site(const struct log_site_settings *s, uint32_t flags,
                                     size_t n_custom, enum log_line_form form, bool is_utf8,
                                     struct str computer, struct log_channel *channel);
struct log_program *log_program_httperr(const struct log_httperr_settings *h,
                                        enum log_line_form form, struct str computer,
                                        struct log_channel *channel);
void log_program_free(struct logging *lg, struct log_program *p);

/* The blank-separated column names, in arena. */
struct str log_program_header(struct arena *a, uint32_t flags,
                              const struct log_custom_field *custom, size_t n_custom);
struct str log_httperr_header(struct arena *a, const struct log_httperr_settings *h);

/* Room that a line for the record (struct log_record or struct log_httperr_record, as the program
 * was made for) needs at most. custom: the values of the custom fields, clipped here. */
size_t log_program_room(const struct log_program *p, const void *record, struct str *custom);

/* Writes the line with its line end and returns where it ends. */
char *log_program_run(const struct log_program *p, const struct log_clock *clock,
                      const void *record, const struct str *custom, char *at);

#endif
