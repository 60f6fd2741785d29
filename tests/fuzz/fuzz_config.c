/* A web.config of any bytes: parsing, scanning, merging and every section of it, at its own level
 * and below. Whatever it holds, each section must come out or name an error. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "config/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct config *load_once(void)
{
    struct buf text;

    buf_init(&text, 1u << 24);
    config_builtin_text(&text, "/nowhere", NULL, 0);
    struct config *c = config_load(
        &(struct config_options){.bytes = buf_view(&text), .system_drive = "/nowhere"}, NULL);

    buf_fini(&text);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct config *config;

    if (!config)
        config = load_once();
    if (!config)
        abort();
    config_inspect_bytes(config, str_n((const char *)data, n));
    return 0;
}
