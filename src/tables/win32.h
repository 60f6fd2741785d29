/* Names and meanings of the Win32 codes and HRESULTs that IIS logs and shows. The rows come from
 * text/win32.tbl. */
#ifndef CANDOR_TABLES_WIN32_H
#define CANDOR_TABLES_WIN32_H

#include <stddef.h>
#include <stdint.h>

/* Win32 codes by themselves, other HRESULTs whole. */
enum {
    WIN32_SUCCESS = 0,
    WIN32_INVALID_FUNCTION = 1,
    WIN32_FILE_NOT_FOUND = 2,
    WIN32_PATH_NOT_FOUND = 3,
    WIN32_ACCESS_DENIED = 5,
    WIN32_NOT_ENOUGH_MEMORY = 8,
    WIN32_INVALID_DATA = 13,
    WIN32_SHARING_VIOLATION = 32,
    WIN32_LOCK_VIOLATION = 33,
    WIN32_NOT_SUPPORTED = 50,
    WIN32_BAD_NETPATH = 53,
    WIN32_NETNAME_DELETED = 64,
    WIN32_DISK_FULL = 112,
    WIN32_SEM_TIMEOUT = 121,
    WIN32_INVALID_NAME = 123,
    WIN32_MOD_NOT_FOUND = 126,
    WIN32_ALREADY_EXISTS = 183,
    WIN32_BAD_EXE_FORMAT = 193,
    WIN32_DIRECTORY = 267,
    WIN32_OPERATION_ABORTED = 995,
    WIN32_CONNECTION_INVALID = 1229,
    WIN32_CONNECTION_ABORTED = 1236,
    WIN32_ACCESS_DISABLED_BY_POLICY = 1260,
    WIN32_LOGON_FAILURE = 1326,
    WIN32_TIMEOUT = 1460,
};

/* The HRESULT of a Win32 code; 0 for 0. */
#define HRESULT_FROM_WIN32(code) ((code) == 0 ? 0u : 0x80070000u | ((uint32_t)(code)&0xFFFFu))

/* Constant; lists end with NULL and are never NULL themselves. */
struct win32_row {
    uint32_t code;     /* as sc-win32-status has it */
    const char *name;  /* "ERROR_FILE_NOT_FOUND" */
    const char *text;  /* a sentence without its full stop */
    const char *where; /* what it usually means in a log of this server; NULL if nothing special */
    const char *const *causes;     /* most likely first */
    const char *const *remedies;   /* steps; a line break may be followed by XML */
    const char *const *on_windows; /* steps that only Windows has */
    const char *const *on_candor;  /* or only this server */
};

/* The row of a Win32 code, of an HRESULT that stands for one (0x80070002), or of another HRESULT;
 * NULL if the code is not in the table. */
const struct win32_row *win32_find(uint32_t code);
/* The text of the same row, "" if there is none. */
const char *win32_text(uint32_t code);

/* What the site log writes for an HRESULT (sc-win32-status): the low word of 0x8007nnnn, any other
 * value whole. */
static inline uint32_t win32_from_hresult(uint32_t hresult)
{
    return (hresult & 0xFFFF0000u) == 0x80070000u ? hresult & 0xFFFFu : hresult;
}

/* Iteration in order of code; NULL from win32_count() on. */
size_t win32_count(void);
const struct win32_row *win32_at(size_t i);

#endif
