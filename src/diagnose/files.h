/* The files of a scan, and what each gave. */
#ifndef CANDOR_DIAGNOSE_FILES_H
#define CANDOR_DIAGNOSE_FILES_H

#include "diagnose/table.h"
#include "diagnose/unit.h"

enum { FILES_MAX = 200000, FOLDER_DEPTH_MAX = 32 };

struct scan_file {
    char *path;      /* as shown */
    char *open_path; /* of the file, or of the archive it is in */
    struct zip_member member;
    bool is_member, is_archive; /* an archive whose members are files of their own */
    bool is_given;              /* on the command line, not found in a folder */
    bool is_no_log;             /* it was read, and what is in it is no log: problem says why */
    struct str site;            /* part of path: its W3SVCn folder */
    enum log_kind kind;
    char *problem;
    uint64_t size;
    struct source *source; /* open while its stretches are read */
    struct chunked_file chunks;
    uint32_t next_chunk, chunks_done;
    struct unit_stats *units; /* by number */
    uint32_t unit_n;
    uint64_t archive_given; /* of an archive: bytes that came out of its members */
    size_t archive;         /* of a member: the archive's place in the list */
};

struct file_list {
    struct scan_file **at; /* each stays where it is */
    size_t n, cap;
    bool is_cut;        /* there were more than FILES_MAX */
    struct index known; /* regular files by device and number: to files_add_links */
    char **links;       /* to files, found in folders: to files_add_links */
    size_t link_n, link_cap;
};

/* Adds a file, or everything in a folder in order of name. A file that is there already, under
 * another name, is added with a problem. */
void files_add(struct file_list *l, const char *path);
/* Adds what links in folders lead to, unless it is there already; when all paths are added. */
void files_add_links(struct file_list *l);
struct scan_file *files_add_member(struct file_list *l, size_t archive, struct zip_member *m);
void files_fini(struct file_list *l);

#endif
