/* The command `candor trace`. */
#ifndef CANDOR_TOOLKIT_TRACE_H
#define CANDOR_TOOLKIT_TRACE_H

#include "toolkit/command.h"

extern const struct command command_trace;

#endif
