#include "worker/error_header.h"

#include "worker/modules/custom_error_page.h"
#include "worker/plan.h"
#include "worker/response_send.h"

#include "base/poison.h"

enum { ERROR_INSUFFICIENT_BUFFER = 122 };

static bool has_header(const struct request *r, enum http_header_id id)
{
    for (const struct response_header *h = r->response.headers; h; h = h->next)
        if (h->id == id)
            return true;
    return false;
}

/* Local means that the request came from this machine; an administrator may have allowed everybody
 * by errorMode="Detailed". Nobody else learns a sub-status. */
static bool may_know(const struct request *r, const struct plan *plan)
{
    return r->is_local || (plan && plan->detailed_errors);
}

static void add_headers(struct request *r, const struct plan *plan)
{
    struct str server = plan && plan->server_header.n ? plan->server_header
                                                      : STR("Microsoft-IIS/10.0");

    if (!(plan && plan->no_server_header) && !has_header(r, HDR_SERVER))
        response_header_set(r, HDR_SERVER, server);
    /* RFC 6797 section 7: over TLS only, and once. */
    if (plan && UNLIKELY(plan->hsts.n) && (r->msg.head.flags & MSGF_TLS)) {
        response_header_remove(r, STR("Strict-Transport-Security"));
        response_header_add(r, STR("Strict-Transport-Security"), plan->hsts);
    }
    if (UNLIKELY(r->response.row->status >= 400) && may_know(r, plan))
        response_header_add(r, STR("X-Candor-Error"), error_page_mark(r));
}

/* A response whose headers do not fit would end in a broken connection that explains nothing. */
static void replace_oversized(struct request *r)
{
    r->response.headers = NULL;
    r->response.headers_end = &r->response.headers;
    r->response.prebuilt = STR_NULL;
    response_status(r, &st_500_0_module_error);
    r->response.win32 = ERROR_INSUFFICIENT_BUFFER;
    response_body_clear(r);
    response_header_set(r, HDR_CONTENT_TYPE, STR("text/html"));
    response_body_memory(r, error_page_line(500));
}

void response_finish_headers(struct request *r, const struct plan *plan)
{
    add_headers(r, plan);
    if (LIKELY(response_headers_bytes(&r->response) <= MESSAGE_HEADERS_MAX))
        return;
    replace_oversized(r);
    add_headers(r, plan);
}
