#include "config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <ftw.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "config/internal.h"

void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/candor-config-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
    fixture_write(f, "root/sub/.keep", "");
    fixture_write(f, "root/app/.keep", "");
    fixture_write(f, "other/.keep", "");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_fini(struct fixture *f)
{
    f->config = config_unref(f->config);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fixture_write(const struct fixture *f, const char *path, const char *text)
{
    char *full = xasprintf("%s/%s", f->dir, path);

    for (char *p = full + strlen(f->dir) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(full, 0755);
        *p = '/';
    }
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    free(full);
}

struct config_error *fixture_load_text(struct fixture *f, const char *text)
{
    struct buf b;
    struct config_error *e = NULL;

    buf_init(&b, 1 << 24);
    for (const char *p = text, *at; *p; p = at + (*at ? 4 : 0)) {
        at = strstr(p, "$DIR");
        if (!at)
            at = p + strlen(p);
        buf_append(&b, p, (size_t)(at - p));
        if (*at)
            buf_str(&b, str_z(f->dir));
    }
    f->config = config_unref(f->config);
    f->config = config_load(&(struct config_options){.bytes = buf_view(&b),
                                                     .display_name = "host",
                                                     .system_drive = f->dir},
                            &e);
    buf_fini(&b);
    return e;
}

struct config_error *fixture_load_error(struct fixture *f, const char *extra)
{
    static const char head[] =
        "<configuration><system.applicationHost><applicationPools><add name=\"P\"/>"
        "</applicationPools><sites><site name=\"S\" id=\"1\">"
        "<application path=\"/\" applicationPool=\"P\">"
        "<virtualDirectory path=\"/\" physicalPath=\"$DIR/root\"/>"
        "<virtualDirectory path=\"/other\" physicalPath=\"$DIR/other\"/></application>"
        "<application path=\"/app\" applicationPool=\"P\">"
        "<virtualDirectory path=\"/\" physicalPath=\"$DIR/root/app\"/></application>"
        "<bindings><binding protocol=\"http\" bindingInformation=\"*:80:\"/></bindings>"
        "</site></sites></system.applicationHost>\n";
    char *text = xasprintf("%s%s\n</configuration>", head, extra);
    struct config_error *e = fixture_load_text(f, text);

    free(text);
    return e;
}

void fixture_load(struct fixture *f, const char *extra)
{
    struct config_error *e = fixture_load_error(f, extra);

    if (e) {
        struct buf b;
        buf_init(&b, 100000);
        config_error_format(e, &b);
        print_error("%.*s\n", STR_ARG(buf_view(&b)));
        fail();
    }
}

static bool is_touched(const struct config_elem *e)
{
    bool touched = e->n_items > 0;

    for (size_t i = 0; i < e->schema->n_attrs; i++)
        touched = touched || e->values[i].src;
    for (size_t i = 0; i < e->schema->n_children; i++)
        touched = touched || is_touched(e->children[i]);
    return touched;
}

void render(const struct config_elem *e, struct buf *out)
{
    const char *sep = "";

    for (size_t i = 0; i < e->schema->n_attrs; i++) {
        if (!e->values[i].src)
            continue;
        buf_printf(out, "%s%s=%.*s", sep, e->schema->attrs[i].name, STR_ARG(e->values[i].text));
        sep = " ";
    }
    for (size_t i = 0; i < e->schema->n_children; i++) {
        if (!is_touched(e->children[i]))
            continue;
        buf_printf(out, "%s%s{", sep, e->schema->children[i]->name);
        render(e->children[i], out);
        buf_char(out, '}');
        sep = " ";
    }
    if (e->n_items == 0)
        return;
    buf_printf(out, "%s[", sep);
    for (size_t i = 0; i < config_n_items(e); i++) {
        const struct config_elem *item = config_item(e, i);
        buf_printf(out, "%s%.*s{", i ? " " : "", STR_ARG(config_elem_name(item)));
        render(item, out);
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

void render_error(const struct config_error *e, struct buf *out)
{
    buf_printf(out, "0x%08x:%u %.*s", e->hresult, e->line, STR_ARG(e->text));
}

void render_at(const struct fixture *f, const char *url, const char *section, struct buf *out)
{
    const struct config_node *n = NULL;
    const struct config_error *err = NULL;
    enum rc rc = config_node_get(f->config, 1, str_z(url), &n, &err);

    assert_int_not_equal(rc, RC_DECLINED);
    if (rc == RC_FAIL) {
        assert_ptr_equal(err, config_node_error(n));
        render_error(err, out);
    } else {
        const struct config_elem *e = config_section(n, section, &err);
        if (e)
            render(e, out);
        else
            render_error(err, out);
    }
    config_node_unref(n);
}
