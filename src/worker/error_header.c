#include "worker/error_header.h"

#include "worker/modules/custom_error_page.h"
#include "worker/plan.h"

#include "base/poison.h"

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

void response_finish_headers(struct request *r, const struct plan *plan)
{
    struct str server = plan && plan->server_header.n ? plan->server_header
                                                      : STR("Microsoft-IIS/10.0");

    if (!(plan && plan->no_server_header) && !has_header(r, HDR_SERVER))
        response_header_set(r, HDR_SERVER, server);
    if (UNLIKELY(r->response.row->status >= 400) && may_know(r, plan))
        response_header_add(r, STR("X-Candor-Error"), error_page_mark(r));
}
