#include "toolkit/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/poison.h"

int command_wrong(const struct command *c, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "candor: %s: ", c->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, " (see candor %s --help)\n", c->name);
    return EXIT_USAGE;
}

int command_help(const struct command *c)
{
    printf("Usage: candor %s%s%s\n\n%s\n", c->name, c->usage[0] ? " " : "", c->usage, c->summary);
    if (c->help[0])
        printf("\n%s", c->help);
    return 0;
}

void command_list(const struct command *const *commands, size_t n)
{
    printf("Usage: candor COMMAND [arguments]\n\nA web server that behaves like IIS.\n\n");
    for (size_t i = 0; i < n; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    printf("\ncandor COMMAND --help tells more about each.\n");
}

bool command_option(int argc, char **argv, int *i, const char *name, const char **ret_value)
{
    size_t n = strlen(name);
    const char *arg = argv[*i];

    if (strncmp(arg, name, n) != 0)
        return false;
    if (arg[n] == '=') {
        *ret_value = arg + n + 1;
    } else if (arg[n] == '\0') {
        *ret_value = *i + 1 < argc ? argv[++*i] : NULL;
    } else {
        return false;
    }
    return true;
}

bool command_is_same_file(const char *a, const char *b)
{
    struct stat sa, sb;

    return stat(a, &sa) == 0 && S_ISREG(sa.st_mode) && stat(b, &sb) == 0 &&
           sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}
