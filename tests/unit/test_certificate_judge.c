/* What `candor check` says of certificates: dates and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/certificate_judge.h"
#include "tls_fixture.h"

enum { DAY = 86400 };

static char heard[2000];
static unsigned faults, errors;

static void hear(void *arg, const struct certificate_fault *f)
{
    faults++;
    errors += f->is_error;
    snprintf(heard, sizeof(heard), "%s | %s", f->text, f->remedy);
}

static void write_pem(const char *path, const struct made_cert *cert, const struct made_cert *key)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f, "%s%s", cert->cert_pem, key->key_pem);
    fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
}

static void judge(const char *path, const char *host)
{
    struct config_binding b = {.protocol = STR("https"),
                               .ip = STR("*"),
                               .port = 443,
                               .host = str_z(host),
                               .certificate_file = str_z(path)};
    struct http_bindings none;

    faults = errors = 0;
    heard[0] = '\0';
    http_bindings_init(&none);
    certificate_judge(&b, &none, "/nonexistent", hear, NULL);
    http_bindings_fini(&none);
}

static void dates_and_names(void **state)
{
    static const struct {
        const char *name, *host;
        long from_s, to_s;
        const char *want; /* NULL: nothing is wrong */
    } rows[] = {
        {"www.a.test", "www.a.test", -DAY, 60L * DAY, NULL},
        {"www.a.test", "", -DAY, 60L * DAY, NULL},
        {"www.a.test", "b.test", -DAY, 60L * DAY, "is not for the host b.test"},
        {"*.a.test", "www.a.test", -DAY, 60L * DAY, NULL},
        {"*.a.test", "*.a.test", -DAY, 60L * DAY, NULL},
        {"*.a.test", "a.test", -DAY, 60L * DAY, "is not for the host a.test"},
        {"www.a.test", "*.a.test", -DAY, 60L * DAY, "is not for the host *.a.test"},
        {"www.a.test", "", -2L * DAY, -DAY, "is not valid since"},
        {"www.a.test", "", DAY, 60L * DAY, "is not valid before"},
        {"www.a.test", "", -DAY, 3L * DAY, "ends on"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[] = "/tmp/candor-judge-XXXXXX";
        struct made_cert c;
        close(mkstemp(path));
        made_cert(&c, &(struct made_options){
                          .name = rows[i].name, .from_s = rows[i].from_s, .to_s = rows[i].to_s});
        write_pem(path, &c, &c);
        judge(path, rows[i].host);
        if (faults != (rows[i].want != NULL) || (rows[i].want && !strstr(heard, rows[i].want)))
            fail_msg("%s for \"%s\": %s", rows[i].name, rows[i].host, heard);
        assert_int_equal(errors, 0);
        unlink(path);
        made_cert_free(&c);
    }
}

static void what_cannot_be_used_is_an_error(void **state)
{
    char path[] = "/tmp/candor-judge-XXXXXX";
    struct made_cert c, other;

    close(mkstemp(path));
    made_cert(&c, &(struct made_options){.name = "a.test"});
    made_cert(&other, &(struct made_options){.name = "a.test"});
    write_pem(path, &c, &other);
    judge(path, "");
    assert_int_equal(errors, 1);
    assert_non_null(strstr(heard, path));
    write_pem(path, &c, &c);
    chmod(path, 0644);
    judge(path, "");
    assert_int_equal(errors, 1);
    assert_non_null(strstr(heard, "every user of this machine may read"));
    unlink(path);
    judge(path, "");
    assert_int_equal(errors, 1);
    assert_non_null(strstr(heard, path));
    judge("", "");
    assert_int_equal(faults, 1);
    assert_int_equal(errors, 0);
    assert_non_null(strstr(heard, "neither the binding nor SslBindingInfo"));
    made_cert_free(&c);
    made_cert_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_and_names),
        cmocka_unit_test(what_cannot_be_used_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
