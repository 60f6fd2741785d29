/* Merging, locks and error texts: what comes out at a URL for files at three levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "config_fixture.h"

#define WS(x) "<system.webServer>" x "</system.webServer>"
#define CONF(x) "<configuration>\n" x "\n</configuration>"
#define CANNOT_USE                                                                               \
    "This configuration section cannot be used at this path. This happens when the section is "  \
    "locked at a parent level. Locking is either by default (overrideModeDefault=\"Deny\"), or " \
    "set explicitly by a location tag with overrideMode=\"Deny\" or the legacy "                 \
    "allowOverride=\"false\"."
#define DOC "system.webServer/defaultDocument"
#define FILES(x) WS("<defaultDocument><files>" x "</files></defaultDocument>")
#define ADD(x) "<add value=\"" x "\"/>"
#define HANDLERS_OPEN                                                                         \
    "<configSections><sectionGroup name=\"system.webServer\"><section name=\"handlers\" "     \
    "overrideModeDefault=\"Allow\"/><section name=\"modules\" "                               \
    "allowDefinition=\"MachineToApplication\" overrideModeDefault=\"Allow\"/></sectionGroup>" \
    "</configSections>"

struct row {
    const char *name;
    const char *host, *root, *sub; /* applicationHost.config's rest, web.config at / and /sub */
    const char *url, *section, *want;
};

static const struct row attributes[] = {
    {"nothing set", "", NULL, NULL, "/", DOC, ""},
    {"deepest wins", WS("<directoryBrowse enabled=\"true\" showFlags=\"Date\"/>"),
     CONF(WS("<directoryBrowse enabled=\"false\"/>")), NULL, "/",
     "system.webServer/directoryBrowse", "enabled=false showFlags=Date"},
    {"attributes merge one by one", WS("<directoryBrowse showFlags=\"Date\"/>"),
     CONF(WS("<directoryBrowse enabled=\"true\"/>")),
     CONF(WS("<directoryBrowse showFlags=\"Size\"/>")), "/sub/x",
     "system.webServer/directoryBrowse", "enabled=true showFlags=Size"},
    {"upper level does not see lower", "", NULL, CONF(WS("<directoryBrowse enabled=\"true\"/>")),
     "/", "system.webServer/directoryBrowse", ""},
    {"variables are expanded", WS("<httpErrors defaultPath=\"%SystemDrive%\\x\"/>"), NULL, NULL,
     "/", "system.webServer/httpErrors", "defaultPath=C:\\x"},
    {"not where the schema does not say so", WS("<httpRedirect destination=\"%SystemDrive%\"/>"),
     NULL, NULL, "/", "system.webServer/httpRedirect", "destination=%SystemDrive%"},
    {"secrets that are empty",
     WS("<security><authentication><anonymousAuthentication "
        "password=\"[enc:AesProvider::enc]\"/></authentication>"
        "</security>"),
     NULL, NULL, "/", "system.webServer/security/authentication/anonymousAuthentication",
     "password="},
    {"clear text that looks like one",
     WS("<security><authentication><anonymousAuthentication password=\"[enc:x:enc]\"/>"
        "</authentication></security>"),
     NULL, NULL, "/", "system.webServer/security/authentication/anonymousAuthentication",
     "password=[enc:x:enc]"},
};

static const struct row collections[] = {
    {"appends", WS("<staticContent><mimeMap fileExtension=\".a\" mimeType=\"a\"/></staticContent>"),
     CONF(WS("<staticContent><mimeMap fileExtension=\".b\" mimeType=\"b\"/></staticContent>")),
     NULL, "/", "system.webServer/staticContent",
     "[mimeMap{fileExtension=.a mimeType=a} mimeMap{fileExtension=.b mimeType=b}]"},
    {"prepends", FILES(ADD("h1") ADD("h2")), CONF(FILES(ADD("r1") ADD("r2"))),
     CONF(FILES(ADD("s"))), "/sub/", DOC,
     "files{[add{value=s} add{value=r1} add{value=r2} add{value=h1} add{value=h2}]}"},
    {"remove then add moves to the front", FILES(ADD("a") ADD("b")),
     CONF(FILES("<remove value=\"B\"/>" ADD("b"))), NULL, "/", DOC,
     "files{[add{value=b} add{value=a}]}"},
    {"remove of what is not there", FILES(ADD("a")), CONF(FILES("<remove value=\"zz\"/>")), NULL,
     "/", DOC, "files{[add{value=a}]}"},
    {"clear", FILES(ADD("a")), CONF(FILES("<clear/>" ADD("n"))), NULL, "/", DOC,
     "files{[add{value=n}]}"},
    {"clear holds below", FILES(ADD("a")), CONF(FILES("<clear/>")), CONF(FILES(ADD("s"))), "/sub",
     DOC, "files{[add{value=s}]}"},
    {"duplicate of an inherited item", FILES(ADD("a")), CONF(FILES("\n" ADD("A"))), NULL, "/", DOC,
     "0x800700b7:3 Cannot add duplicate collection entry of type 'add' with unique key attribute "
     "'value' set to 'A'"},
    {"keys may be case-sensitive", "",
     CONF(WS("<rewrite><rewriteMaps><rewriteMap name=\"m\"><add key=\"K\" value=\"1\"/>"
             "<add key=\"k\" value=\"2\"/></rewriteMap></rewriteMaps></rewrite>")),
     NULL, "/", "system.webServer/rewrite/rewriteMaps",
     "[rewriteMap{name=m [add{key=K value=1} add{key=k value=2}]}]"},
    {"combined key", "",
     CONF(WS("<httpErrors><error statusCode=\"404\" path=\"a\"/>\n<error statusCode=\"404\" "
             "subStatusCode=\"3\" path=\"b\"/>\n<error statusCode=\"404\" subStatusCode=\"-1\" "
             "path=\"c\"/></httpErrors>")),
     NULL, "/", "system.webServer/httpErrors",
     "0x800700b7:4 Cannot add duplicate collection entry of type 'error' with combined key "
     "attributes 'statusCode, subStatusCode' respectively set to '404, -1'"},
    {"combined key removed by its default",
     WS("<httpErrors><error statusCode=\"404\" path=\"a\"/></httpErrors>"),
     CONF(WS("<httpErrors><remove statusCode=\"404\"/></httpErrors>")), NULL, "/",
     "system.webServer/httpErrors", ""},
    {"no key: repeats are legal", "",
     CONF(WS("<aspNetCore><environmentVariables><environmentVariable name=\"a\" value=\"1\"/>"
             "<environmentVariable name=\"a\" value=\"2\"/></environmentVariables></aspNetCore>")),
     NULL, "/", "system.webServer/aspNetCore",
     "environmentVariables{[environmentVariable{name=a value=1} "
     "environmentVariable{name=a value=2}]}"},
    {"named directives",
     WS("<security><authentication><windowsAuthentication><extendedProtection>"
        "<spn name=\"a\"/><removeSpn name=\"a\"/><spn name=\"b\"/></extendedProtection>"
        "</windowsAuthentication></authentication></security>"),
     NULL, NULL, "/", "system.webServer/security/authentication/windowsAuthentication",
     "extendedProtection{[spn{name=b}]}"},
    {"no remove where the schema has none",
     WS("<rewrite><rules><rule name=\"r\"><conditions><remove input=\"x\"/></conditions></rule>"
        "</rules></rewrite>"),
     NULL, NULL, "/", "system.webServer/rewrite/rules",
     "0x8007000d:2 Unrecognized element 'remove'"},
    {"unknown attributes where allowed",
     WS("<webdav><globalSettings><lockStores><add name=\"a\" image=\"b\" more=\"c\"/></lockStores>"
        "</globalSettings></webdav>"),
     NULL, NULL, "/", "system.webServer/webdav/globalSettings",
     "lockStores{[add{name=a image=b}]}"},
    {"two add names", "",
     CONF("<system.web><authorization><allow users=\"a\"/><deny users=\"*\"/></authorization>"
          "</system.web>"),
     NULL, "/", "system.web/authorization", "[allow{users=a} deny{users=*}]"},
};

static const struct row locations[] = {
    {"server location over server",
     WS("<directoryBrowse enabled=\"false\"/>") "<location path=\"S\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location>",
     NULL, NULL, "/", "system.webServer/directoryBrowse", "enabled=true"},
    {"web.config over server location",
     "<location path=\"s\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>",
     CONF(WS("<directoryBrowse enabled=\"false\"/>")), NULL, "/",
     "system.webServer/directoryBrowse", "enabled=false"},
    {"deeper server location over shallower web.config",
     "<location path=\"S/sub\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>",
     CONF(WS("<directoryBrowse enabled=\"false\"/>")), NULL, "/sub",
     "system.webServer/directoryBrowse", "enabled=true"},
    {"location of a web.config for its folder", "",
     CONF("<location path=\"SUB\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>"), NULL,
     "/sub/file", "system.webServer/directoryBrowse", "enabled=true"},
    {"own file over the location above", "",
     CONF("<location path=\"sub\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>"),
     CONF(WS("<directoryBrowse enabled=\"false\"/>")), "/sub", "system.webServer/directoryBrowse",
     "enabled=false"},
    {"a file", "",
     CONF("<location path=\"sub/a.txt\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>"),
     NULL, "/sub/A.txt", "system.webServer/directoryBrowse", "enabled=true"},
    {"and not its neighbour", "",
     CONF("<location path=\"sub/a.txt\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>"),
     NULL, "/sub/b.txt", "system.webServer/directoryBrowse", ""},
    {"what does not exist", "",
     CONF("<location path=\"no/such\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>"),
     NULL, "/no/such/thing", "system.webServer/directoryBrowse", "enabled=true"},
    {"twice for one path", "",
     CONF(WS("<directoryBrowse/>") "\n<location path=\".\">\n" WS(
         "<directoryBrowse/>") "</location>"),
     NULL, "/", "system.webServer/directoryBrowse",
     "0x800700b7:4 Config section 'system.webServer/directoryBrowse' already defined. Sections "
     "must only appear once per config file. See the help topic <location> for exceptions"},
    {"one path, two locations, two sections", "",
     CONF("<location path=\"sub\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location><location "
                                                "path=\"sub\">" WS("<urlCompression/"
                                                                   ">") "</"
                                                                        "location>"),
     NULL, "/sub", "system.webServer/directoryBrowse", "enabled=true"},
    {"inherited by a child application", "",
     CONF("<location path=\".\">" WS("<directoryBrowse enabled=\"true\"/>") "</location>"), NULL,
     "/app", "system.webServer/directoryBrowse", "enabled=true"},
    {"not inherited by a child application", "",
     CONF("<location path=\".\" inheritInChildApplications=\"false\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location>"),
     NULL, "/app", "system.webServer/directoryBrowse", ""},
    {"but by a folder", "",
     CONF("<location path=\".\" inheritInChildApplications=\"false\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location>"),
     NULL, "/sub", "system.webServer/directoryBrowse", "enabled=true"},
    {"both override attributes", "",
     CONF("<location overrideMode=\"Deny\" allowOverride=\"false\"></location>"), NULL, "/", DOC,
     "0x8007000d:2 The 'allowOverride' attribute is invalid.  overrideMode and allowOverride "
     "exclude each other"},
    {"an absolute path", "", CONF("<location path=\"/a\"/>"), NULL, "/", DOC,
     "0x8007000d:2 The 'path' attribute is invalid.  The path must be relative to this level"},
};

static const struct row section_locks[] = {
    {"by default", "", CONF(WS("\n<cgi/>")), NULL, "/", "system.webServer/cgi",
     "0x80070021:3 " CANNOT_USE},
    {"nobody reads it", "", CONF(WS("<cgi/>")), NULL, "/", DOC, ""},
    {"unlocked by the server",
     "<location path=\"S\" overrideMode=\"Allow\">" WS("<cgi/>") "</location>",
     CONF(WS("<cgi timeout=\"00:01:00\"/>")), NULL, "/", "system.webServer/cgi",
     "timeout=00:01:00"},
    {"legacy spelling", "<location path=\"\" allowOverride=\"true\">" WS("<cgi/>") "</location>",
     CONF(WS("<cgi timeout=\"00:01:00\"/>")), NULL, "/", "system.webServer/cgi",
     "timeout=00:01:00"},
    {"locked by the server",
     "<location path=\"S\" overrideMode=\"Deny\">" WS("<directoryBrowse/>") "</location>",
     CONF(WS("<directoryBrowse/>")), NULL, "/", "system.webServer/directoryBrowse",
     "0x80070021:2 " CANNOT_USE},
    {"locked by the parent web.config", "",
     CONF("<location overrideMode=\"Deny\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location>"),
     CONF(WS("<directoryBrowse/>")), "/sub", "system.webServer/directoryBrowse",
     "0x80070021:2 " CANNOT_USE},
    {"which keeps its own", "",
     CONF("<location overrideMode=\"Deny\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location>"),
     CONF(WS("<directoryBrowse/>")), "/", "system.webServer/directoryBrowse", "enabled=true"},
    {"server's location may use what it locks",
     "<location path=\"S/sub\">" WS("<cgi timeout=\"00:01:00\"/>") "</location>", NULL, NULL,
     "/sub", "system.webServer/cgi", "timeout=00:01:00"},
    {"no unlocking from below", "",
     CONF("<location overrideMode=\"Allow\">" WS("<cgi/>") "</location>"), NULL, "/",
     "system.webServer/cgi", "0x80070021:2 " CANNOT_USE},
    {"unlocked above, locked between",
     "<location path=\"S/sub\" overrideMode=\"Allow\">" WS("<directoryBrowse/>") "</location>",
     CONF("<location overrideMode=\"Deny\">" WS("<directoryBrowse/>") "</location>"), NULL, "/sub",
     "system.webServer/directoryBrowse", "0x80070021:2 " CANNOT_USE},
    {"applicationHost only",
     "<location path=\"\" overrideMode=\"Allow\">" WS("<fastCgi/>") "</location>",
     CONF(WS("<fastCgi/>")), NULL, "/", "system.webServer/fastCgi", "0x80070021:2 " CANNOT_USE},
    {"application level: at its root", HANDLERS_OPEN, CONF(WS("<modules/>")), NULL, "/",
     "system.webServer/modules", ""},
    {"application level: below", HANDLERS_OPEN, NULL, CONF(WS("<modules/>")), "/sub",
     "system.webServer/modules", "0x80070021:2 " CANNOT_USE},
    {"application level: by location below", HANDLERS_OPEN,
     CONF("<location path=\"sub\">" WS(
         "<modules runAllManagedModulesForAllRequests=\"true\"/>") "</location>"),
     NULL, "/sub", "system.webServer/modules", "runAllManagedModulesForAllRequests=true"},
    {"the server decides the default", HANDLERS_OPEN, CONF(WS("<handlers accessPolicy=\"Read\"/>")),
     NULL, "/", "system.webServer/handlers", "accessPolicy=Read"},
};

#define ITEM(extra) \
    WS("<staticContent><mimeMap fileExtension=\".a\" mimeType=\"a\" " extra "/></staticContent>")
#define REMOVE_A WS("<staticContent>\n<remove fileExtension=\".a\"/></staticContent>")

static const struct row fine_locks[] = {
    {"attribute", WS("<directoryBrowse lockAttributes=\"showFlags\"/>"),
     CONF(WS("\n<directoryBrowse showFlags=\"Date\"/>")), NULL, "/",
     "system.webServer/directoryBrowse", "0x80070021:3 Lock violation"},
    {"other attribute", WS("<directoryBrowse lockAttributes=\"showFlags\"/>"),
     CONF(WS("<directoryBrowse enabled=\"true\"/>")), NULL, "/", "system.webServer/directoryBrowse",
     "enabled=true"},
    {"all attributes", WS("<directoryBrowse lockAttributes=\"*\"/>"),
     CONF(WS("<directoryBrowse enabled=\"true\"/>")), NULL, "/", "system.webServer/directoryBrowse",
     "0x80070021:2 Lock violation"},
    {"all but one", WS("<directoryBrowse lockAllAttributesExcept=\"enabled\"/>"),
     CONF(WS("<directoryBrowse enabled=\"true\"/>")), NULL, "/", "system.webServer/directoryBrowse",
     "enabled=true"},
    {"all but another", WS("<directoryBrowse lockAllAttributesExcept=\"enabled\"/>"),
     CONF(WS("<directoryBrowse showFlags=\"Date\"/>")), NULL, "/",
     "system.webServer/directoryBrowse", "0x80070021:2 Lock violation"},
    {"child element", WS("<defaultDocument lockElements=\"files\"/>"), CONF(FILES(ADD("x"))), NULL,
     "/", DOC, "0x80070021:2 Lock violation"},
    {"directives", WS("<defaultDocument><files lockElements=\"clear,remove\"/></defaultDocument>"),
     CONF(FILES(ADD("x") "\n<clear/>")), NULL, "/", DOC, "0x80070021:3 Lock violation"},
    {"all elements but one",
     WS("<defaultDocument><files lockAllElementsExcept=\"add\"/>"
        "</defaultDocument>"),
     CONF(FILES(ADD("x"))), NULL, "/", DOC, "files{[add{value=x}]}"},
    {"the locking file's own location is free",
     WS("<directoryBrowse lockAttributes=\"*\"/>") "<location path=\"S\">" WS(
         "<directoryBrowse enabled=\"true\"/>") "</location>",
     NULL, NULL, "/", "system.webServer/directoryBrowse", "enabled=true"},
    {"item not removed", ITEM("lockItem=\"true\""), CONF(REMOVE_A), NULL, "/",
     "system.webServer/staticContent", "0x80070021:3 Lock violation"},
    {"item not cleared", ITEM("lockItem=\"true\""),
     CONF(WS("<staticContent><clear/></staticContent>")), NULL, "/",
     "system.webServer/staticContent", "0x80070021:2 Lock violation"},
    {"list with a locked item grows", ITEM("lockItem=\"true\""),
     CONF(WS("<staticContent><mimeMap fileExtension=\".b\" mimeType=\"b\"/></staticContent>")),
     NULL, "/", "system.webServer/staticContent",
     "[mimeMap{fileExtension=.a mimeType=a} mimeMap{fileExtension=.b mimeType=b}]"},
    {"item removed by the same file",
     ITEM("lockItem=\"true\"") "<location path=\"S\">" REMOVE_A "</location>", NULL, NULL, "/",
     "system.webServer/staticContent", ""},
    {"unknown name", WS("<directoryBrowse lockAttributes=\"nope\"/>"), NULL, NULL, "/",
     "system.webServer/directoryBrowse",
     "0x8007000d:2 lockAttributes contains unknown attribute 'nope'"},
    {"unknown element", WS("<directoryBrowse lockElements=\"nope\"/>"), NULL, NULL, "/",
     "system.webServer/directoryBrowse",
     "0x8007000d:2 lockElements contains unknown element 'nope'"},
};

static const struct row texts[] = {
    {"not well formed", "", "<configuration>\n<a>\n</configuration>", NULL, "/", DOC,
     "0x8007000d:3 Configuration file is not well-formed XML"},
    {"empty file", "", "", NULL, "/", DOC,
     "0x8007000d:1 Configuration file is not well-formed XML"},
    {"document type", "", "<!DOCTYPE x [<!ENTITY a \"b\">]>\n<configuration/>", NULL, "/", DOC,
     "0x8007000d:1 Configuration file is not well-formed XML"},
    {"another root", "", "<config/>", NULL, "/", DOC, "0x8007000d:1 Unrecognized element 'config'"},
    {"unregistered native section", "", CONF(WS("\n<rewrit/>")), NULL, "/", DOC, "0x8007000d:0 "},
    {"unregistered other section", "", CONF("<standardEndpoints/>"), NULL, "/", DOC,
     "0x80070032:2 The configuration section 'standardEndpoints' cannot be read because it is "
     "missing a section declaration"},
    {"configSections late", "", CONF("<appSettings/>\n<configSections/>"), NULL, "/", DOC,
     "0x8007000d:3 Only one <configSections> element allowed.  It must be the first child element "
     "of the root <configuration> element   "},
    {"registered twice", "",
     CONF("<configSections><section name=\"a\"/>\n<section name=\"a\"/></configSections>"), NULL,
     "/", DOC, "0x800700b7:3 There is a duplicate 'a' section defined"},
    {"registered again below", "",
     CONF("<configSections><section name=\"appSettings\"/></configSections>"), NULL, "/", DOC,
     "0x800700b7:2 There is a duplicate 'appSettings' section defined"},
    {"own registration", "",
     CONF("<configSections><sectionGroup name=\"g\"><section name=\"log4net\"/></sectionGroup>"
          "</configSections><g><log4net any=\"thing\"><goes/></log4net></g>"),
     NULL, "/", DOC, ""},
    {"unknown attribute", "", CONF(WS("\n<directoryBrowse enable=\"true\"/>")), NULL, "/",
     "system.webServer/directoryBrowse", "0x8007000d:3 Unrecognized attribute 'enable'"},
    {"unknown element", "", CONF(WS("<defaultDocument>\n<file/></defaultDocument>")), NULL, "/",
     DOC, "0x8007000d:3 Unrecognized element 'file'"},
    {"names have case", "", CONF(WS("<defaultDocument>\n<Files/></defaultDocument>")), NULL, "/",
     DOC, "0x8007000d:3 Unrecognized element 'Files'"},
    {"missing attribute", "",
     CONF(WS("<staticContent>\n<mimeMap fileExtension=\".a\"/></staticContent>")), NULL, "/",
     "system.webServer/staticContent", "0x8007000d:3 Missing required attribute 'mimeType'"},
    {"missing attributes", "", CONF(WS("<staticContent>\n<mimeMap/></staticContent>")), NULL, "/",
     "system.webServer/staticContent",
     "0x8007000d:3 Missing required attributes 'fileExtension,mimeType'"},
    {"invalid value", "", CONF(WS("\n<directoryBrowse enabled=\"yes\"/>")), NULL, "/",
     "system.webServer/directoryBrowse",
     "0x8007000d:3 The 'enabled' attribute is invalid.  Not a valid boolean"},
    {"configSource missing", "", CONF(WS("<staticContent configSource=\"none.config\"/>")), NULL,
     "/", "system.webServer/staticContent", "0x8007000d:2 Specified configSource cannot be parsed"},
    {"configSource elsewhere", "", CONF(WS("<staticContent configSource=\"..\\x.config\"/>")), NULL,
     "/", "system.webServer/staticContent", "0x8007000d:2 Unrecognized attribute 'configSource'"},
    {"configSource elsewhere, behind a blank", "",
     CONF(WS("<staticContent configSource=\" /etc/hostname\"/>")), NULL, "/",
     "system.webServer/staticContent", "0x8007000d:2 Unrecognized attribute 'configSource'"},
    {"configSource elsewhere, by a variable", "",
     CONF(WS("<staticContent configSource=\"%SystemDrive%\\x.config\"/>")), NULL, "/",
     "system.webServer/staticContent", "0x8007000d:2 Unrecognized attribute 'configSource'"},
    {"configSource", "", CONF(WS("<staticContent configSource=\"sub\\mime.config\"/>")), NULL, "/",
     "system.webServer/staticContent", "[mimeMap{fileExtension=.s mimeType=s/s}]"},
    {"configSource with a configuration around it", "",
     CONF(WS("<staticContent configSource=\"sub/whole.config\"/>")), NULL, "/",
     "system.webServer/staticContent", "[mimeMap{fileExtension=.w mimeType=w/w}]"},
    {"error inside a configSource", "",
     CONF(WS("<staticContent configSource=\"sub/bad.config\"/>")), NULL, "/",
     "system.webServer/staticContent", "0x8007000d:2 Unrecognized element 'oops'"},
    {"absolute error page", "",
     CONF(WS("<httpErrors>\n<error statusCode=\"404\" path=\"C:\\a.htm\"/></httpErrors>")), NULL,
     "/", "system.webServer/httpErrors",
     "0x8007000d:3 Absolute physical path \"C:\\a.htm\" is not allowed in "
     "system.webServer/httpErrors section in web.config file. Use relative path instead."},
    {"error page outside of the site", "",
     CONF(WS("<httpErrors>\n<error statusCode=\"404\" path=\"a\\..\\..\\b\"/></httpErrors>")), NULL,
     "/", "system.webServer/httpErrors",
     "0x8007000d:3 Absolute physical path \"a\\..\\..\\b\" is not allowed in "
     "system.webServer/httpErrors section in web.config file. Use relative path instead."},
    {"a leading slash is below the site", "",
     CONF(WS("<httpErrors><error statusCode=\"404\" path=\"/x.htm\"/></httpErrors>")), NULL, "/",
     "system.webServer/httpErrors", "[error{statusCode=404 path=/x.htm}]"},
    {"a URL is no path", "",
     CONF(WS("<httpErrors><error statusCode=\"404\" path=\"/x\" responseMode=\"ExecuteURL\"/>"
             "</httpErrors>")),
     NULL, "/", "system.webServer/httpErrors",
     "[error{statusCode=404 path=/x responseMode=ExecuteURL}]"},
    {"the server may",
     WS("<httpErrors><error statusCode=\"404\" path=\"C:\\a.htm\"/></httpErrors>"), NULL, NULL, "/",
     "system.webServer/httpErrors", "[error{statusCode=404 path=C:\\a.htm}]"},
    {"an error holds for levels below", "", "<configuration>", NULL, "/sub/a/b", DOC,
     "0x8007000d:1 Configuration file is not well-formed XML"},
};

static bool run_row(const struct row *r)
{
    struct fixture f;
    struct buf got;

    fixture_init(&f);
    fixture_write(
        &f, "root/sub/mime.config",
        "<staticContent><mimeMap fileExtension=\".s\" mimeType=\"s/s\"/></staticContent>");
    fixture_write(&f, "root/sub/whole.config",
                  CONF(WS("<staticContent><mimeMap fileExtension=\".w\" mimeType=\"w/w\"/>"
                          "</staticContent>")));
    fixture_write(&f, "root/sub/bad.config", "<staticContent>\n<oops/></staticContent>");
    if (r->root)
        fixture_write(&f, "root/web.config", r->root);
    if (r->sub)
        fixture_write(&f, "root/sub/Web.Config", r->sub);
    buf_init(&got, 100000);
    /* configSections come first in a file. */
    struct config_error *e = NULL;
    if (strncmp(r->host, "<configSections>", 16) == 0) {
        const char *rest = strstr(r->host, "</configSections>") + 17;
        buf_printf(&got,
                   "<configuration>%.*s<system.applicationHost><sites><site name=\"S\" id=\"1\">"
                   "<application path=\"/\"><virtualDirectory path=\"/\" "
                   "physicalPath=\"$DIR/root\"/></application></site></sites>"
                   "</system.applicationHost>%s</configuration>",
                   (int)(rest - r->host), r->host, rest);
        buf_char(&got, '\0');
        e = fixture_load_text(&f, got.p);
        buf_clear(&got);
    } else {
        e = fixture_load_error(&f, r->host);
    }
    if (e)
        render_error(e, &got);
    else
        render_at(&f, r->url, r->section, &got);
    config_error_free(e);
    bool same = str_eq(buf_view(&got), str_z(r->want));
    if (!same)
        print_error("%s:\n  got  %.*s\n  want %s\n", r->name, STR_ARG(buf_view(&got)), r->want);
    buf_fini(&got);
    fixture_fini(&f);
    return same;
}

static void run_rows(const struct row *rows, size_t n)
{
    unsigned failed = 0;

    for (size_t i = 0; i < n; i++)
        failed += !run_row(&rows[i]);
    assert_int_equal(failed, 0);
}

static void test_attributes(void **state)
{
    run_rows(attributes, ARRAY_LEN(attributes));
}

static void test_collections(void **state)
{
    run_rows(collections, ARRAY_LEN(collections));
}

static void test_locations(void **state)
{
    run_rows(locations, ARRAY_LEN(locations));
}

static void test_section_locks(void **state)
{
    run_rows(section_locks, ARRAY_LEN(section_locks));
}

static void test_fine_locks(void **state)
{
    run_rows(fine_locks, ARRAY_LEN(fine_locks));
}

static void test_texts(void **state)
{
    run_rows(texts, ARRAY_LEN(texts));
}

/* What a lock error says beyond its text. */
static void test_lock_details(void **state)
{
    struct fixture f;
    const struct config_node *n;
    const struct config_error *e = NULL;

    fixture_init(&f);
    fixture_write(&f, "root/sub/web.config", CONF(WS("\n  <directoryBrowse/>")));
    fixture_load(&f, "\n\n<location path=\"S\" overrideMode=\"Deny\">" WS(
                         "<directoryBrowse/>") "</location>");
    assert_int_equal(config_node_get(f.config, 1, STR("/sub"), &n, &e), RC_OK);
    assert_null(config_section(n, "system.webServer/directoryBrowse", &e));
    assert_int_equal(e->line, 3);
    assert_int_equal(e->column, 3);
    assert_string_equal(e->excerpt[0].p, "<system.webServer>");
    assert_string_equal(e->excerpt[1].p, "  <directoryBrowse/></system.webServer>");
    assert_string_equal(e->excerpt[2].p, "</configuration>");
    assert_string_equal(e->section.p, "system.webServer/directoryBrowse");
    assert_string_equal(e->lock_file.p, "host");
    assert_int_equal(e->lock_line, 4);
    assert_false(e->is_scan);
    assert_string_equal(e->unlock.p, "<location path=\"S/sub\" overrideMode=\"Allow\">\n"
                                     "  <system.webServer>\n"
                                     "    <directoryBrowse />\n"
                                     "  </system.webServer>\n"
                                     "</location>");
    assert_true(e->remedy.n > 0);
    config_node_unref(n);
    fixture_fini(&f);
}

static void test_item_lock_details(void **state)
{
    struct fixture f;
    const struct config_node *n;
    const struct config_error *e = NULL;

    fixture_init(&f);
    fixture_write(&f, "root/web.config", CONF(REMOVE_A));
    fixture_load(&f, WS("<staticContent>\n  <mimeMap fileExtension=\".a\" lockItem=\"true\" "
                        "mimeType=\"a\" />\n</staticContent>"));
    assert_int_equal(config_node_get(f.config, 1, STR("/"), &n, &e), RC_OK);
    assert_null(config_section(n, "system.webServer/staticContent", &e));
    assert_int_equal(e->lock_line, 3);
    assert_string_equal(e->unlock.p, "<mimeMap fileExtension=\".a\" mimeType=\"a\" />");
    config_node_unref(n);
    fixture_fini(&f);
}

/* A misspelt name is answered with the nearest one. */
static void test_suggestions(void **state)
{
    static const struct {
        const char *web_config, *section, *remedy;
    } rows[] = {
        {CONF(WS("<directoryBrowse enabeld=\"true\"/>")), "system.webServer/directoryBrowse",
         "did you mean 'enabled'"},
        {CONF(WS("<defaultDocument><flies/></defaultDocument>")), DOC, "did you mean <files>"},
        {CONF(WS("<defaultDocumnet/>")), DOC, "did you mean 'system.webServer/defaultDocument'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture f;
        const struct config_node *n;
        const struct config_error *e = NULL;
        fixture_init(&f);
        fixture_write(&f, "root/web.config", rows[i].web_config);
        fixture_load(&f, "");
        if (config_node_get(f.config, 1, STR("/"), &n, &e) == RC_OK)
            assert_null(config_section(n, rows[i].section, &e));
        assert_non_null(e);
        assert_non_null(strstr(e->remedy.p, rows[i].remedy));
        config_node_unref(n);
        fixture_fini(&f);
    }
}

/* Two files of the largest size: a lock that repeats one name, and thousands of elements that are
 * looked for in it. */
static void test_a_lock_of_many_names(void **state)
{
    struct fixture f;
    struct buf lock, items;

    buf_init(&lock, 1 << 20);
    buf_init(&items, 1 << 20);
    buf_str(&lock, STR("<configuration><system.webServer><defaultDocument><files lockElements='"));
    while (lock.n < 240000)
        buf_str(&lock, STR("remove,"));
    buf_str(&lock, STR("'/></defaultDocument></system.webServer></configuration>"));
    buf_char(&lock, '\0');
    buf_str(&items, STR("<configuration><system.webServer><defaultDocument><files>"));
    for (unsigned i = 0; items.n < 240000; i++)
        buf_printf(&items, "<add value='%u'/>", i);
    buf_str(&items, STR("</files></defaultDocument></system.webServer></configuration>"));
    buf_char(&items, '\0');
    fixture_init(&f);
    fixture_write(&f, "root/web.config", lock.p);
    fixture_write(&f, "root/sub/web.config", items.p);
    fixture_load(&f, "");
    clock_t began = clock(); /* processor time */
    buf_clear(&items);
    render_at(&f, "/sub", DOC, &items);
    assert_in_range(clock() - began, 0, 2 * CLOCKS_PER_SEC);
    assert_true(str_starts(buf_view(&items), STR("files{[add{value=0}")));
    buf_fini(&lock);
    buf_fini(&items);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lock_of_many_names),
        cmocka_unit_test(test_attributes),   cmocka_unit_test(test_collections),
        cmocka_unit_test(test_locations),    cmocka_unit_test(test_section_locks),
        cmocka_unit_test(test_fine_locks),   cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lock_details), cmocka_unit_test(test_item_lock_details),
        cmocka_unit_test(test_suggestions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
