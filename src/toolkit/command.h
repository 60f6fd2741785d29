/* The commands of the program: main.c lists them, each file here is one. */
#ifndef CANDOR_TOOLKIT_COMMAND_H
#define CANDOR_TOOLKIT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rc.h"

enum { EXIT_USAGE = 2 };

struct command {
    const char *name;
    const char *usage;   /* what follows the name: "[DIR] [options]" */
    const char *summary; /* one line */
    const char *help;    /* options and more, ready to print; may be "" */
    /* argv[0] is the command's name. The exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command command_catalogue, command_explain, command_serve, command_version;

/* "candor: serve: TEXT (see candor serve --help)" on standard error; gives EXIT_USAGE. */
int command_wrong(const struct command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What `candor serve --help` shows, on standard output. Gives 0. */
int command_help(const struct command *c);
/* What `candor --help` shows: the commands that are not hidden. */
void command_list(const struct command *const *commands, size_t n);

/* Options. *i is where the option stands in argv. True: argv[*i] is `name`, and *ret_value is what
 * follows it or "=" ("--port 80", "--port=80"); *i has moved past it. *ret_value is NULL if nothing
 * follows. */
MUST_CHECK bool command_option(int argc, char **argv, int *i, const char *name,
                               const char **ret_value);

/* Whether both are names of one regular file that exists: an output must be none of the inputs. */
bool command_is_same_file(const char *a, const char *b);

#endif
