/* The program: a command, or one of the roles that the supervisor executes it as. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/rc.h"
#include "listener/listener.h"
#include "toolkit/appcmd.h"
#include "toolkit/check.h"
#include "toolkit/command.h"
#include "toolkit/diagnose.h"
#include "toolkit/trace.h"
#include "worker/worker.h"
#include "base/poison.h"

static const struct command command_check = {
    .name = "check",
    .usage = "[PATH...] [--config FILE] [--format text|json]",
    .summary = "Validates configuration files and site folders without serving.",
    .help = "",
    .run = check_main,
};

static const struct command *const commands[] = {
    &command_serve, &command_check,  &command_explain, &command_diagnose,
    &command_trace, &command_appcmd, &command_version, &command_catalogue};

static const struct {
    const char *name;
    const char *process_name; /* in ps and top: at most 15 bytes */
    int (*run)(void);
} roles[] = {{"listener", "candor-listener", listener_main},
             {"worker", "candor-worker", worker_main}};

static int run_role(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (strcmp(roles[i].name, name) == 0) {
            /* Executed through a descriptor, which would be the process's name. */
            prctl(PR_SET_NAME, roles[i].process_name);
            return roles[i].run();
        }
    }
    fprintf(stderr, "candor: there is no role %s\n", name);
    return EXIT_USAGE;
}

/* Windows's name for one of the commands is a name of the program too. */
static bool is_called_appcmd(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    return path && strcmp(slash ? slash + 1 : path, "appcmd") == 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (is_called_appcmd(argv[0]))
        return command_appcmd.run(argc, argv);

    if (strcmp(name, "--role") == 0 && argc > 2)
        return run_role(argv[2]);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        command_list(commands, ARRAY_LEN(commands));
        return 0;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    fprintf(stderr,
            name[0] ? "candor: unknown command %s (see candor --help)\n"
                    : "candor: a command is missing%s (see candor --help)\n",
            name);
    return EXIT_USAGE;
}
