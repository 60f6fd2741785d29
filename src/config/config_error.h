/* What is wrong with a configuration, with all that a 500.19 page or `candor check` shows. */
#ifndef CANDOR_CONFIG_CONFIG_ERROR_H
#define CANDOR_CONFIG_CONFIG_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    CONFIG_E_FILE_NOT_FOUND = 0x80070002,
    CONFIG_E_PATH_NOT_FOUND = 0x80070003,
    CONFIG_E_ACCESS_DENIED = 0x80070005,
    CONFIG_E_INVALID_DATA = 0x8007000d,
    CONFIG_E_LOCK_VIOLATION = 0x80070021,
    CONFIG_E_NOT_SUPPORTED = 0x80070032,
    CONFIG_E_ALREADY_EXISTS = 0x800700b7,
    CONFIG_E_DIRECTORY = 0x8007010b,
};

/* Immutable. Views live as long as what the error came from (see config.h). */
struct config_error {
    uint32_t hresult;
    struct str text;       /* "Config Error"; may be empty, as IIS leaves it for unknown sections */
    struct str file;       /* real path, or the name of bytes in memory */
    unsigned line, column; /* as IIS reports it; 0: none */
    unsigned at_line, at_column; /* where it really is; 0 only if the file could not be read */
    bool has_excerpt;            /* the file could be read: show "Config Source" */
    struct str excerpt[3];       /* lines line-1, line, line+1; empty outside the file */
    struct str section;          /* "system.webServer/handlers", or empty */
    bool is_scan;                /* found while scanning a file: Module is "IIS Web Core" */
    struct str lock_file;        /* locks only: who locks (empty: the section's registration) */
    unsigned lock_line;
    struct str unlock; /* locks only: XML that would unlock it there */
    struct str remedy; /* what to do, one sentence */
};

/* Frees an error that config_load handed out; NULL is allowed. Returns NULL. */
struct config_error *config_error_free(struct config_error *e);

/* Appends "FILE:LINE:COL: text [0x8007000d] (section)" for a terminal or a log. Where IIS says
 * nothing, the remedy stands for the text. */
void config_error_format(const struct config_error *e, struct buf *out);
/* The same with ". remedy" behind it, for who sees nothing else of the error. */
void config_error_advise(const struct config_error *e, struct buf *out);

#endif
