/* Functions that have no place here: unbounded copies and parsers that cannot report errors.
 * Include last in a .c file's list of headers. */
#ifndef CANDOR_BASE_POISON_H
#define CANDOR_BASE_POISON_H

#pragma GCC poison strcpy strcat sprintf vsprintf gets atoi atol strtok sscanf

#endif
