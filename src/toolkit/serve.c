#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "config/config.h"
#include "supervisor/metrics.h"
#include "supervisor/supervisor.h"
#include "toolkit/command.h"
#include "base/poison.h"

enum { DEFAULT_PORT = 8080, DEFAULT_HTTPS_PORT = 8443, THREADS_MAX = 64 };
enum { CONFIG_TEXT_MAX = 16 << 20 };

static const char help[] =
    "With DIR: serves that folder as \"Default Web Site\"; no configuration file is needed.\n"
    "  --port N             port (default 8080); 0 takes a free one\n"
    "  --bind ADDRESS       address (default 127.0.0.1 and ::1)\n"
    "  --https              https by a certificate for localhost that is made when it is first\n"
    "                       needed; the port is 8443 then if none is named\n"
    "\n"
    "With a configuration file: serves its sites, pools and bindings.\n"
    "  --config FILE        applicationHost.config\n"
    "  --print-config       writes a complete file to begin with to standard output, and ends\n"
    "\n"
    "  --http-parameters FILE  HTTP.sys parameters, a registry export (default: http.reg beside\n"
    "                       the configuration file, if there)\n"
    "  --system-drive DIR   the folder that %SystemDrive% and drive letters stand for\n"
    "                       (default: /var/lib/candor for root, else ~/.local/state/candor)\n"
    "  --log stdout         logs and events to standard output as JSON lines\n"
    "  --threads N          threads of the listener and of each worker, 1 to 64 (default: "
    "processors);\n"
    "                       --workers N is the same\n"
    "  --control PATH       control socket\n"
    "  --metrics [ADDRESS:]PORT  GET /metrics in the OpenMetrics format there (default address:\n"
    "                       127.0.0.1)\n"
    "\n"
    "SIGTERM or SIGINT stops gracefully, a second one at once; SIGHUP reads the configuration\n"
    "again; SIGUSR1 opens the log files again.\n";

enum option {
    OPT_CONFIG,
    OPT_HTTP_PARAMETERS,
    OPT_SYSTEM_DRIVE,
    OPT_PORT,
    OPT_BIND,
    OPT_LOG,
    OPT_THREADS,
    OPT_WORKERS,
    OPT_CONTROL,
    OPT_METRICS,
    OPT_COUNT,
};

static const char *const option_names[OPT_COUNT] = {[OPT_CONFIG] = "--config",
                                                    [OPT_HTTP_PARAMETERS] = "--http-parameters",
                                                    [OPT_SYSTEM_DRIVE] = "--system-drive",
                                                    [OPT_PORT] = "--port",
                                                    [OPT_BIND] = "--bind",
                                                    [OPT_LOG] = "--log",
                                                    [OPT_THREADS] = "--threads",
                                                    [OPT_WORKERS] = "--workers",
                                                    [OPT_CONTROL] = "--control",
                                                    [OPT_METRICS] = "--metrics"};

struct arguments {
    const char *folder;
    const char *value[OPT_COUNT];
    bool wants_help, prints_config, https;
};

/* 0, or EXIT_USAGE with the reason said. */
static int read_arguments(int argc, char **argv, struct arguments *ret)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        int o = 0;
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            ret->wants_help = true;
            return 0;
        }
        if (strcmp(arg, "--print-config") == 0) {
            ret->prints_config = true;
            continue;
        }
        if (strcmp(arg, "--https") == 0) {
            ret->https = true;
            continue;
        }
        while (o < OPT_COUNT && !command_option(argc, argv, &i, option_names[o], &ret->value[o]))
            o++;
        if (o < OPT_COUNT) {
            if (!ret->value[o] || !ret->value[o][0]) /* a variable that is not set, say */
                return command_wrong(&command_serve, "%s needs a value", arg);
        } else if (arg[0] == '-' && arg[1]) {
            return command_wrong(&command_serve, "unknown option %s", arg);
        } else if (!arg[0]) {
            return command_wrong(&command_serve, "the folder's name is empty");
        } else if (ret->folder) {
            return command_wrong(&command_serve, "more than one folder: %s", arg);
        } else {
            ret->folder = arg;
        }
    }
    return 0;
}

static bool read_number(const char *text, uint64_t max, uint64_t *ret)
{
    return !text || str_u64(str_z(text), max, ret);
}

static int check_arguments(const struct arguments *a, struct supervisor_options *ret)
{
    uint64_t port = a->https ? DEFAULT_HTTPS_PORT : DEFAULT_PORT, threads = 0;
    const char *threads_text =
        a->value[OPT_THREADS] ? a->value[OPT_THREADS] : a->value[OPT_WORKERS];

    if (!a->folder && !a->value[OPT_CONFIG])
        return command_wrong(&command_serve, "name a folder, or a file with --config");
    if (a->folder && a->value[OPT_CONFIG])
        return command_wrong(&command_serve, "a folder and --config exclude each other");
    if (!a->folder && (a->value[OPT_PORT] || a->value[OPT_BIND] || a->https))
        return command_wrong(&command_serve, "--port, --bind and --https belong to a folder; the "
                                             "file has bindings");
    if (!read_number(a->value[OPT_PORT], 65535, &port))
        return command_wrong(&command_serve, "--port %s is not a port", a->value[OPT_PORT]);
    if (!read_number(threads_text, THREADS_MAX, &threads) || (threads_text && threads == 0))
        return command_wrong(&command_serve, "--threads must be 1 to %d", THREADS_MAX);
    if (a->value[OPT_LOG] && strcmp(a->value[OPT_LOG], "stdout") != 0)
        return command_wrong(&command_serve, "--log can only be \"stdout\"");
    if (a->value[OPT_METRICS] && !metrics_address_ok(str_z(a->value[OPT_METRICS])))
        return command_wrong(&command_serve, "--metrics %s is neither PORT nor ADDRESS:PORT",
                             a->value[OPT_METRICS]);
    *ret = (struct supervisor_options){.config_path = a->value[OPT_CONFIG],
                                       .http_parameters = a->value[OPT_HTTP_PARAMETERS],
                                       .system_drive = a->value[OPT_SYSTEM_DRIVE],
                                       .control_path = a->value[OPT_CONTROL],
                                       .metrics = a->value[OPT_METRICS],
                                       .port = (uint16_t)port,
                                       .https = a->https,
                                       .threads = (unsigned)threads,
                                       .log_stdout = a->value[OPT_LOG] != NULL};
    return 0;
}

/* "[::1]" as in URLs, or without brackets. */
static char *bare_address(const char *text)
{
    struct str s = str_z(text);

    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = str_sub(s, 1, s.n - 1);
    return str_dup_z(s);
}

/* The shipped file, for those who want to change it: one without its modules serves nothing. */
static int print_config(void)
{
    struct buf text;

    buf_init(&text, CONFIG_TEXT_MAX);
    config_builtin_text(&text, NULL, NULL, 0);
    bool ok = fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0;
    int e = errno;

    buf_fini(&text);
    if (!ok)
        fprintf(stderr, "candor: standard output: %s\n", strerror(e));
    return ok ? 0 : 1;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    struct supervisor_options o = {0};
    int rc = read_arguments(argc, argv, &a);

    if (rc == 0 && a.wants_help)
        return command_help(&command_serve);
    if (rc == 0 && a.prints_config)
        return argc == 2 ? print_config()
                         : command_wrong(&command_serve, "--print-config stands alone");
    if (rc == 0)
        rc = check_arguments(&a, &o);
    if (rc)
        return rc;
    _cleanup_free_ char *folder = a.folder ? realpath(a.folder, NULL) : NULL;
    _cleanup_free_ char *file = o.config_path ? realpath(o.config_path, NULL) : NULL;
    _cleanup_free_ char *bind = a.value[OPT_BIND] ? bare_address(a.value[OPT_BIND]) : NULL;
    struct stat st;

    if (a.folder && (!folder || stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))) {
        fprintf(stderr, "candor: %s: %s\n", a.folder, folder ? "not a folder" : strerror(errno));
        return 1;
    }
    if (o.config_path && !file) {
        fprintf(stderr, "candor: %s: %s\n", o.config_path, strerror(errno));
        return 1;
    }
    o.folder = folder;
    o.config_path = file;
    o.bind = bind;
    return supervisor_run(&o);
}

const struct command command_serve = {
    .name = "serve",
    .usage = "DIR [options] | --config FILE [options]",
    .summary = "Runs the server in the foreground.",
    .help = help,
    .run = run,
};
