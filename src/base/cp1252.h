/* Windows-1252, the ANSI code page that western installations of Windows read and write. */
#ifndef CANDOR_BASE_CP1252_H
#define CANDOR_BASE_CP1252_H

#include <stdint.h>

/* The character of a byte; the five that the code page leaves open are the control characters of
 * that number. */
uint32_t cp1252_to_unicode(unsigned char byte);
/* The byte of a character, or '?' if there is none. */
unsigned char cp1252_from_unicode(uint32_t cp);

#endif
