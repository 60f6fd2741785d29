/* From settings to programs: one generation of log settings put into force. Internal. */
#ifndef CANDOR_LOGGING_LOG_APPLY_H
#define CANDOR_LOGGING_LOG_APPLY_H

#include "logging/log_writer.h"

/* Compiles settings and puts them in place; what they replace is retired. Calls the event callback
 * for settings that cannot be honoured. */
void log_apply(struct logging *lg, const struct log_settings *settings);

/* Calls the event callback at once: for the control thread. */
void log_event_report(struct logging *lg, enum log_event_code code, uint32_t site_id,
                      const char *path, const char *text);

#endif
