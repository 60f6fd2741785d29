/* A folder with configuration files for the tests of src/config. */
#ifndef CANDOR_TESTS_CONFIG_FIXTURE_H
#define CANDOR_TESTS_CONFIG_FIXTURE_H

#include "config/config.h"

struct fixture {
    char dir[64]; /* holds root/ (the site), root/sub/, root/app/, other/ */
    struct config *config;
};

void fixture_init(struct fixture *f);
/* Removes the folder and everything in it. */
void fixture_fini(struct fixture *f);
/* Writes dir/path, making folders. */
void fixture_write(const struct fixture *f, const char *path, const char *text);
/* Loads a server-level file: site "S" (id 1) with "/" in root/, application "/app" in root/app,
 * virtual directory "/other" in other/, and then what extra says. The test fails if it cannot. */
void fixture_load(struct fixture *f, const char *extra);
/* Like it, but gives the error instead; NULL if it loads. The caller frees it. */
struct config_error *fixture_load_error(struct fixture *f, const char *extra);
/* Loads the whole text as it is. "$DIR" in it is the folder. */
struct config_error *fixture_load_text(struct fixture *f, const char *text);

/* What is set in an element: "a=1 b=2 child{...} [item{...} ...]". */
void render(const struct config_elem *e, struct buf *out);
/* "0x8007000d:3 text". */
void render_error(const struct config_error *e, struct buf *out);
/* The section at a URL of site 1, or the error, rendered. */
void render_at(const struct fixture *f, const char *url, const char *section, struct buf *out);

#endif
