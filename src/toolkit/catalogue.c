#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tables/status.h"
#include "toolkit/command.h"
#include "base/poison.h"

static const char *log_name(enum status_log log)
{
    switch (log) {
    case STATUS_LOG_IIS:
        return "iis";
    case STATUS_LOG_HTTPERR:
        return "httperr";
    case STATUS_LOG_NONE:
        break;
    }
    return "none";
}

static json_t *row_json(const struct status_row *row)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s?}", "code", row->code, "status",
                     (int)row->status, "substatus", (int)row->substatus, "name", row->name,
                     "component", row->component, "logged_in", log_name(row->log), "produced",
                     row->produced);
}

static int print_json(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < status_count(); i++)
        json_array_append_new(list, row_json(status_at(i)));
    int rc = json_dumpf(list, stdout, JSON_INDENT(1));

    putchar('\n');
    json_decref(list);
    return rc == 0 ? 0 : 1;
}

static int print_text(void)
{
    for (size_t i = 0; i < status_count(); i++) {
        const struct status_row *row = status_at(i);
        printf("%-8s %-28s %s\n", row->code, row->component, row->produced ? row->produced : "-");
    }
    return 0;
}

static int run(int argc, char **argv)
{
    const char *format = "text";

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return command_help(&command_catalogue);
        if (!command_option(argc, argv, &i, "--format", &format))
            return command_wrong(&command_catalogue, "unexpected argument %s", argv[i]);
    }
    if (format && strcmp(format, "json") == 0)
        return print_json();
    if (format && strcmp(format, "text") == 0)
        return print_text();
    return command_wrong(&command_catalogue, "--format must be text or json");
}

const struct command command_catalogue = {
    .name = "catalogue",
    .usage = "[--format text|json]",
    .summary = "Lists every status and sub-status with what raises it.",
    .help = "",
    .run = run,
};
