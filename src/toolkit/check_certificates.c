#include "toolkit/check_certificates.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/certificate_judge.h"
#include "tables/http_parameters.h"
#include "base/poison.h"

void check_registry(struct check_report *report, const char *path, struct http_bindings *ret)
{
    static const enum check_severity severities[] = {
        [HTTP_PARAMETERS_NOTE] = CHECK_NOTE,
        [HTTP_PARAMETERS_WARNING] = CHECK_WARNING,
        [HTTP_PARAMETERS_ERROR] = CHECK_ERROR,
    };
    struct http_parameters p;
    struct http_parameters_finding *list = NULL;
    struct http_bindings bindings;
    enum rc rc = http_parameters_load(path, &p, &bindings, &list);

    check_report_file(report, str_z(path));
    for (const struct http_parameters_finding *f = list; f; f = f->next)
        check_report_add(report, &(struct check_finding){.severity = severities[f->severity],
                                                         .file = str_z(path),
                                                         .line = f->line,
                                                         .column = f->column,
                                                         .text = str_z(f->text)});
    if (rc != RC_OK && !list)
        check_report_add(
            report, &(struct check_finding){.severity = CHECK_ERROR,
                                            .file = str_z(path),
                                            .text = rc == RC_FAIL ? STR("Not a registry export")
                                                                  : STR("There is no such file")});
    http_parameters_findings_free(list);
    if (ret)
        *ret = bindings;
    else
        http_bindings_fini(&bindings);
}

struct asked {
    struct check_report *report;
    const struct config *config;
    const struct config_binding *binding;
    const char *registry_path;
};

static void on_fault(void *arg, const struct certificate_fault *f)
{
    const struct asked *a = arg;
    struct check_finding found = {.severity = f->is_error ? CHECK_ERROR : CHECK_WARNING,
                                  .text = str_z(f->text),
                                  .remedy = str_z(f->remedy)};

    if (f->registry) {
        found.file = str_z(a->registry_path);
        found.line = f->registry->line;
        found.column = f->registry->column;
    } else {
        found.file = config_source_name(a->config);
        found.line = a->binding->line;
        found.column = a->binding->column;
        found.section = STR("system.applicationHost/sites");
    }
    check_report_add(a->report, &found);
}

static char *registry_beside(struct str config_path)
{
    size_t slash = str_rfind_char(config_path, '/');
    char *path = slash == SIZE_MAX
                     ? xstrdup("http.reg")
                     : xasprintf("%.*s/http.reg", STR_ARG(str_sub(config_path, 0, slash)));

    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

void check_certificates(struct check_report *report, struct config *c, const char *registry_path,
                        const char *system_drive)
{
    _cleanup_free_ char *beside = registry_path ? NULL : registry_beside(config_source_name(c));
    struct asked a = {report, c, NULL, registry_path ? registry_path : beside};
    struct http_bindings registry;
    size_t n;
    const struct config_site *sites = config_sites(c, &n);

    if (a.registry_path)
        check_registry(report, a.registry_path, &registry);
    else
        http_bindings_init(&registry);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; !sites[i].error && k < sites[i].n_bindings; k++) {
            a.binding = &sites[i].bindings[k];
            if (a.binding->port && str_ieq(a.binding->protocol, STR("https")))
                certificate_judge(a.binding, &registry, system_drive, on_fault, &a);
        }
    }
    http_bindings_fini(&registry);
}
