#include <jansson.h>
#include <libxml/xmlversion.h>
#include <stdio.h>
#include <string.h>

#include <seccomp.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "toolkit/command.h"
#include "base/poison.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static const char *build_kind(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return "with address sanitizer";
#elif defined(__OPTIMIZE__)
    return "optimised";
#else
    return "not optimised";
#endif
}

static int run(int argc, char **argv)
{
    char pcre[64] = "?";
    const struct scmp_version *sc = seccomp_version();

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return command_help(&command_version);
    if (argc > 1)
        return command_wrong(&command_version, "unexpected argument %s", argv[1]);
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) <= (int)sizeof(pcre))
        (void)pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    printf("candor %s\nbuilt by %s, %s\n", CANDOR_VERSION, COMPILER, build_kind());
    printf("jansson %s\nlibseccomp %u.%u.%u\nlibxml2 %s\npcre2 %s\n", jansson_version_str(),
           sc->major, sc->minor, sc->micro, LIBXML_DOTTED_VERSION, pcre);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .usage = "",
    .summary = "Shows the version, how it was built, and the libraries in use.",
    .help = "",
    .run = run,
};
