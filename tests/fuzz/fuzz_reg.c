/* Registry exports: whatever the file holds, the parameters are within their ranges and survive the
 * way through JSON. */
#include "tables/http_parameters.h"

#include "base/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_parameters_finding *findings;
    struct http_parameters p;
    struct http_parameters back;
    struct http_bindings bindings;
    size_t count = 0;
    enum rc rc = http_parameters_parse(str_n((const char *)data, size), &p, &bindings, &findings);

    INVARIANT(rc == RC_OK || (rc == RC_FAIL && findings));
    for (struct http_parameters_finding *f = findings; f; f = f->next) {
        INVARIANT(f->text[0] != '\0' && f->line <= size + 1);
        count++;
    }
    INVARIANT(count <= 101); /* 100 and the remark that there are more */
    http_parameters_findings_free(findings);

    json_t *j = http_parameters_to_json(&p);

    INVARIANT(http_parameters_from_json(j, &back));
    json_decref(j);
    for (size_t i = 0; i < http_parameter_count(); i++) {
        const struct http_parameter *row = http_parameter_at(i);

        if (row->kind == HTTP_PARAMETER_TEXT)
            continue;
        uint32_t value = http_parameter_value(row, &p);

        INVARIANT(value == http_parameter_value(row, &back));
        INVARIANT(value <= row->max || value == row->def);
    }
    INVARIANT(str_eq(str_z(p.error_logging_dir), str_z(back.error_logging_dir)));
    INVARIANT(p.max_field_length <= p.max_request_bytes);

    for (size_t i = 0; i < bindings.n_ssl; i++) {
        const struct ssl_binding *b = &bindings.ssl[i];

        INVARIANT(b->port > 0 && b->hash_len <= SSL_HASH_MAX);
        INVARIANT(strchr(b->store, '/') == NULL && b->store[0] != '.' && b->store[0] != '\0');
        INVARIANT((b->kind == SSL_BINDING_HOST) == (b->host[0] != '\0'));
        if (b->kind == SSL_BINDING_ADDRESS)
            INVARIANT(ssl_binding_find(&bindings, true, &b->address, b->port, STR(""), false));
    }
    for (size_t i = 0; i < bindings.n_reservations; i++) {
        const struct url_reservation *u = &bindings.reservations[i];

        INVARIANT(u->port > 0 && u->host[0] != '\0' && u->path.p[0] == '/');
        INVARIANT(u->path.p[u->path.n - 1] == '/');
    }
    http_bindings_fini(&bindings);
    return 0;
}
