/* The configuration of a server: applicationHost.config, the web.config files below it, and what
 * they come to for one URL path. A struct config is one generation: its server-level file never
 * changes; web.config files are read on demand and forgotten by config_invalidate.
 *
 * Lifetimes: config_load and config_ref hand out references to the generation, config_node_get
 * references to a node. Everything reached from a generation or a node (sites, elements, errors,
 * views) lives as long as that reference. All functions may be called from any thread. */
#ifndef CANDOR_CONFIG_CONFIG_H
#define CANDOR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/rc.h"
#include "base/str.h"
#include "config/config_error.h"

struct config;
struct config_node;
struct config_elem;

/* ---- loading ------------------------------------------------------------------------------ */

struct config_options {
    const char *path;         /* applicationHost.config on disk; NULL: bytes below */
    struct str bytes;         /* its content, when path is NULL (copied) */
    const char *display_name; /* what errors call the bytes; NULL: "applicationHost.config" */
    const char *system_drive; /* folder behind %SystemDrive% and drive letters; NULL: "/" */
    const char *const *env;   /* "NAME=VALUE", NULL-terminated; NULL: the process's environment */
    const char *web_config;   /* file name looked for in folders; NULL: "web.config" */
};

/* Reads and validates the server-level file: scan, sites, pools, limits, logs. NULL when it is
 * invalid; then *ret_err (if given) is the caller's to config_error_free. */
MUST_CHECK struct config *config_load(const struct config_options *o,
                                      struct config_error **ret_err);
struct config *config_ref(struct config *c);
/* Returns NULL, so that c = config_unref(c) leaves no stale pointer. NULL is allowed. */
struct config *config_unref(struct config *c);

/* The server-level file's bytes as they were read, to hand the same generation to a worker, and
 * the name under which errors mention it. */
struct str config_source(const struct config *c);
struct str config_source_name(const struct config *c);

/* Appends the shipped applicationHost.config to *out, its site "Default Web Site" (id 1) serving
 * folder under bindings ("127.0.0.1:8080:", "https [::1]:8443:"). NULL folder and no bindings keep
 * %SystemDrive%\inetpub\wwwroot on port 80. The text is for config_options.bytes. */
void config_builtin_text(struct buf *out, const char *folder, const char *const *bindings,
                         size_t n_bindings);

/* ---- server-level settings ---------------------------------------------------------------- */

struct config_binding {
    struct str protocol; /* "http", "https", or another protocol's, which has only raw */
    struct str raw;      /* bindingInformation as written */
    struct str ip;       /* "*" (any), an IPv4 address, or an IPv6 address without brackets */
    struct str host;     /* host name, "*.example.com", or empty */
    uint16_t port;       /* 0: not an http binding */
    uint32_t ssl_flags;
    struct str certificate_file, certificate_key_file; /* real paths, or empty */
    struct str certificate_password;
    bool proxy_protocol;      /* connections from proxy_trusted begin with a PROXY header */
    struct str proxy_trusted; /* addresses and ranges with commas between; each is well formed */
    unsigned line, column;
};

struct config_vdir {
    struct str path;          /* within its application: "/" or "/images" */
    struct str url;           /* within the site: "/", "/app", "/app/images" */
    struct str physical_path; /* as written, variables expanded */
    struct str directory;     /* the real folder it stands for, whether it exists or not */
    bool allow_sub_dir_config;
};

struct config_application {
    struct str path; /* within the site: "/" or "/app" */
    struct str pool;
    struct str enabled_protocols;
    bool preload_enabled;
    const struct config_vdir *vdirs; /* always one with path "/" */
    size_t n_vdirs;
};

enum config_log_format { CONFIG_LOG_IIS, CONFIG_LOG_NCSA, CONFIG_LOG_W3C, CONFIG_LOG_CUSTOM };
enum config_log_period {
    CONFIG_PERIOD_MAX_SIZE,
    CONFIG_PERIOD_DAILY,
    CONFIG_PERIOD_WEEKLY,
    CONFIG_PERIOD_MONTHLY,
    CONFIG_PERIOD_HOURLY,
};
enum config_field_source {
    CONFIG_FIELD_REQUEST_HEADER,
    CONFIG_FIELD_RESPONSE_HEADER,
    CONFIG_FIELD_SERVER_VARIABLE
};

struct config_custom_field {
    struct str log_field_name, source_name;
    enum config_field_source source_type;
};

struct config_log_file {
    bool enabled;
    enum config_log_format format;
    uint32_t ext_file_flags; /* the bits of logExtFileFlags: Date=1, Time=2, ClientIP=4 ... */
    struct str directory;    /* real path */
    enum config_log_period period;
    int64_t truncate_size;
    bool local_time_rollover;
    bool log_site_id;
    bool to_file, to_etw;
    uint32_t max_log_line_length, flush_by_entry_count;
    uint32_t max_custom_field_length;
    const struct config_custom_field *custom_fields;
    size_t n_custom_fields;
};

struct config_site_limits {
    uint32_t max_bandwidth;   /* bytes a second; UINT32_MAX: no limit */
    uint32_t max_connections; /* UINT32_MAX: no limit */
    uint64_t connection_timeout_ms;
    uint32_t max_url_segments;
};

struct config_hsts {
    bool enabled, include_sub_domains, preload, redirect_http_to_https;
    uint32_t max_age;
};

struct config_site {
    uint32_t id;
    struct str name;
    bool server_auto_start;
    const struct config_binding *bindings;
    size_t n_bindings;
    struct config_site_limits limits;
    struct config_log_file log;
    struct config_hsts hsts;
    bool trace_enabled; /* traceFailedRequestsLogging */
    struct str trace_directory;
    uint32_t trace_max_log_files, trace_max_log_file_size_kb;
    const struct config_application *applications;
    size_t n_applications;
    const struct config_error *error; /* not NULL: no application, or one without a root folder:
                                         the site cannot start */
    unsigned line;
};

enum config_identity {
    CONFIG_IDENTITY_LOCAL_SYSTEM,
    CONFIG_IDENTITY_LOCAL_SERVICE,
    CONFIG_IDENTITY_NETWORK_SERVICE,
    CONFIG_IDENTITY_SPECIFIC_USER,
    CONFIG_IDENTITY_APPLICATION_POOL,
};
enum config_cpu_action {
    CONFIG_CPU_NO_ACTION,
    CONFIG_CPU_KILL,
    CONFIG_CPU_THROTTLE,
    CONFIG_CPU_THROTTLE_UNDER_LOAD,
};

struct config_env {
    struct str name, value;
};

/* One application pool, its defaults merged in. Times in milliseconds. */
struct config_pool {
    struct str name;
    uint32_t queue_length;
    bool auto_start, enable_32bit, classic_pipeline, always_running;
    bool enable_configuration_override, pass_anonymous_token;
    struct str managed_runtime_version;
    const struct config_env *environment;
    size_t n_environment;
    /* processModel */
    enum config_identity identity;
    struct str user_name, password;
    bool load_user_profile, pinging_enabled, idle_suspend, log_idle_timeout;
    uint64_t idle_timeout_ms, shutdown_time_limit_ms, startup_time_limit_ms;
    uint64_t ping_interval_ms, ping_response_time_ms;
    uint32_t max_processes;
    /* recycling; log_event_on_recycle: Time=1 Requests=2 Schedule=4 Memory=8 IsapiUnhealthy=16
     * OnDemand=32 ConfigChange=64 PrivateMemory=128 */
    bool disallow_overlapping_rotation, disallow_rotation_on_config_change;
    uint32_t log_event_on_recycle;
    uint32_t restart_memory_kb, restart_private_memory_kb, restart_requests;
    uint64_t restart_time_ms;
    const uint64_t *schedule_ms; /* times of day */
    size_t n_schedule;
    /* failure */
    bool tcp_level, orphan_worker_process, rapid_fail_protection;
    struct str orphan_action_exe, orphan_action_params, auto_shutdown_exe, auto_shutdown_params;
    uint64_t rapid_fail_interval_ms;
    uint32_t rapid_fail_max_crashes;
    /* cpu; limit in 1/1000 of a percent of all processors */
    uint32_t cpu_limit;
    enum config_cpu_action cpu_action;
    uint64_t cpu_reset_interval_ms;
    bool smp_affinitized;
    uint64_t smp_affinity_mask;
    unsigned line;
};

struct config_web_limits {
    uint32_t max_global_bandwidth;
    uint64_t connection_timeout_ms, header_wait_timeout_ms;
    uint32_t min_bytes_per_second, demand_start_threshold;
};

enum config_central_log { CONFIG_CENTRAL_SITE, CONFIG_CENTRAL_BINARY, CONFIG_CENTRAL_W3C };

struct config_log {
    bool log_in_utf8;
    enum config_central_log mode;
    struct config_log_file central; /* the file of the mode; meaningless for CONFIG_CENTRAL_SITE */
};

const struct config_site *config_sites(const struct config *c, size_t *ret_n);
const struct config_site *config_site_by_id(const struct config *c, uint32_t id);
const struct config_pool *config_pools(const struct config *c, size_t *ret_n);
/* By name, without regard to case; NULL if there is none. */
const struct config_pool *config_pool_by_name(const struct config *c, struct str name);
const struct config_web_limits *config_web_limits(const struct config *c);
const struct config_log *config_log(const struct config *c);

/* ---- the configuration of a URL path ------------------------------------------------------- */

/* The node of the deepest level of url_path (decoded, starts with '/', no query) that has
 * configuration of its own: an existing folder, or a path that a <location> names.
 * RC_OK: *ret is set. RC_FAIL: some file of the chain cannot be used; *ret is set too, its
 * sections are those of the nearest level above that can be read (for httpErrors), and *ret_err
 * says what is wrong (lives with *ret). RC_DECLINED: no such site; nothing is set.
 * The caller owes *ret a config_node_unref. May read files. */
MUST_CHECK enum rc config_node_get(struct config *c, uint32_t site_id, struct str url_path,
                                   const struct config_node **ret,
                                   const struct config_error **ret_err);
/* The node of the server level (MACHINE/WEBROOT/APPHOST), for globalModules and its like. Lives
 * with the generation; needs no unref. */
const struct config_node *config_server_node(struct config *c);
const struct config_node *config_node_ref(const struct config_node *n);
/* Returns NULL; NULL is allowed. A node keeps its generation alive. */
const struct config_node *config_node_unref(const struct config_node *n);

struct config *config_node_config(const struct config_node *n);
/* NULL for the server level (all three). */
const struct config_site *config_node_site(const struct config_node *n);
const struct config_application *config_node_application(const struct config_node *n);
const struct config_vdir *config_node_vdir(const struct config_node *n);
/* The level's own URL path ("/", "/a/b") and the real folder it maps to (for a level that only a
 * <location> makes, the path it would have, which may be a file or nothing). */
struct str config_node_url(const struct config_node *n);
struct str config_node_directory(const struct config_node *n);
/* "MACHINE/WEBROOT/APPHOST/Default Web Site/a/b". */
struct str config_node_path(const struct config_node *n);
/* What config_node_get reported for it, or NULL. */
const struct config_error *config_node_error(const struct config_node *n);
/* Files that contributed, outermost first: real paths (the server-level file by its name). */
size_t config_node_files(const struct config_node *n, struct str *out, size_t max);

/* The real path of url_path (the one given to config_node_get): the node's folder plus the
 * remaining segments, each found without regard to case if it does not exist as written;
 * segments that exist in no spelling are kept as they are. In a's memory, NUL-terminated.
 * False if a segment could leave the folder ("..", NUL) or memory limits are passed. */
MUST_CHECK bool config_node_map(const struct config_node *n, struct str url_path, struct arena *a,
                                struct str *ret);

/* ---- sections ------------------------------------------------------------------------------ */

/* The effective section ("system.webServer/handlers") of a node: schema defaults, all levels
 * merged, locks checked. NULL on error; then *ret_err says why. Result and error live with the
 * node. A path that the schema does not know ends the process: it is the caller's mistake. */
MUST_CHECK const struct config_elem *config_section(const struct config_node *n, const char *path,
                                                    const struct config_error **ret_err);

/* Values by attribute name. Asking for a name or a type that the schema does not have ends the
 * process. Strings come with variables expanded where the schema says so. */
bool config_bool(const struct config_elem *e, const char *name);
uint32_t config_u32(const struct config_elem *e, const char *name);
int64_t config_i64(const struct config_elem *e, const char *name); /* int, uint and int64 */
struct str config_str(const struct config_elem *e, const char *name);
struct str config_raw(const struct config_elem *e, const char *name); /* any type, as written */
uint32_t config_enum(const struct config_elem *e, const char *name);  /* the schema's number */
struct str config_enum_name(const struct config_elem *e, const char *name);
uint32_t config_flags(const struct config_elem *e, const char *name);
uint64_t config_time_ms(const struct config_elem *e, const char *name); /* Infinite: UINT64_MAX */
/* Set by a file (not only by default). */
bool config_is_set(const struct config_elem *e, const char *name);

/* A fixed child element; never NULL for one the schema knows. */
const struct config_elem *config_child(const struct config_elem *e, const char *name);
/* The items of an element's collection, in effective order. */
size_t config_n_items(const struct config_elem *e);
const struct config_elem *config_item(const struct config_elem *e, size_t i);
/* An element's name as written: "add", "error", "allow". */
struct str config_elem_name(const struct config_elem *e);

struct config_source_pos {
    struct str file; /* empty: comes from the schema */
    unsigned line, column;
};
/* Where an item (or the last file that touched an element) stands, and where an attribute does. */
struct config_source_pos config_elem_pos(const struct config_elem *e);
struct config_source_pos config_attr_pos(const struct config_elem *e, const char *name);

/* ---- a module's own struct, built once per node --------------------------------------------- */

struct config_typed_loader {
    const char *section;
    size_t size; /* of the struct */
    /* Fills *out (zeroed) from the section; a lives as long as the node. On RC_FAIL *ret_err comes
     * from config_error_at. n is the highest node with this same section: read no other section
     * here and no file of the request, and keep no node in a. Called once, one call at a time
     * per generation. */
    enum rc (*load)(const struct config_node *n, const struct config_elem *e, struct arena *a,
                    void *out, const struct config_error **ret_err);
};

/* The struct that loader builds for this node; the loader's address is its key. Nodes below that
 * change nothing in the section share it. NULL on error. */
MUST_CHECK const void *config_typed(const struct config_node *n,
                                    const struct config_typed_loader *loader,
                                    const struct config_error **ret_err);

/* An error at an element (attr NULL) or one of its attributes, for loaders. */
const struct config_error *config_error_at(struct arena *a, const struct config_elem *e,
                                           const char *attr, uint32_t hresult, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* The real path behind a path as configuration writes it: variables, drive letters, back-slashes,
 * letter case; a relative one is taken from base (a real folder; may be empty). In a's memory. */
struct str config_real_path(const struct config *c, struct arena *a, struct str path,
                            struct str base);

/* ---- changes -------------------------------------------------------------------------------- */

/* Forgets every cached node that involves the real folder dir or one below it; an empty dir
 * forgets all. Held nodes stay valid as they are. */
void config_invalidate(struct config *c, struct str dir);

#endif
