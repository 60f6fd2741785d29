/* candor diagnose: what goes wrong, by the logs. */
#ifndef CANDOR_TOOLKIT_DIAGNOSE_H
#define CANDOR_TOOLKIT_DIAGNOSE_H

#include "toolkit/command.h"

extern const struct command command_diagnose;

#endif
