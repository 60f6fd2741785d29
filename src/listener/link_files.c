/* Files that a worker hands over to be sent from, by the handles it gives them. It is not trusted
 * with what kind of file they are, how many there are, or when it takes them back. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "listener/link.h"
#include "queue/message.h"
#include "queue/region.h"
#include "base/poison.h"

enum { FILES_WAITING_MAX = 256 };

static struct out_file **file_slot(struct link *k, uint32_t handle)
{
    struct out_file **p = &k->files[handle % LINK_FILE_SLOTS];

    while (*p && (*p)->handle != handle)
        p = &(*p)->next;
    return p;
}

static void file_free(struct out_file *f)
{
    close(f->fd);
    free(f);
}

void out_file_unref(struct out_file *f)
{
    if (--f->refs == 0 && f->closed)
        file_free(f);
}

/* Takes it out of the table; segments under way may still send from it. */
static void file_detach(struct link *k, struct out_file **slot)
{
    struct out_file *f = *slot;

    *slot = f->next;
    k->n_files--;
    f->closed = true;
    if (f->refs == 0)
        file_free(f);
}

/* Only regular files: nothing else may be able to block our sendfile. */
static bool take_file(struct link *k, uint32_t handle, int fd)
{
    struct stat st;

    if (k->n_files >= LINK_FILES_MAX || *file_slot(k, handle) || fstat(fd, &st) < 0 ||
        !S_ISREG(st.st_mode)) {
        close(fd);
        return false;
    }
    struct out_file *f = xcalloc(1, sizeof(*f));

    f->handle = handle;
    f->fd = fd;
    f->next = k->files[handle % LINK_FILE_SLOTS];
    k->files[handle % LINK_FILE_SLOTS] = f;
    k->n_files++;
    return true;
}

struct out_file *link_file(struct link *k, uint32_t handle)
{
    for (int i = 0; i < FILES_WAITING_MAX; i++) {
        struct out_file *f = *file_slot(k, handle);
        uint32_t h;
        int fd;

        if (f)
            return f;
        if (region_recv_file(k->file_sock, &h, &fd) != 1 || !take_file(k, h, fd))
            return NULL;
    }
    return NULL;
}

bool link_close_file(struct link *k, const struct ring_record *rec)
{
    struct msg_amount m;

    if (rec->len != sizeof(m))
        return false;
    memcpy(&m, rec->payload, sizeof(m));
    /* A file that was handed over but never named still waits in the socket. */
    if (m.amount > UINT32_MAX || !link_file(k, (uint32_t)m.amount))
        return false;
    file_detach(k, file_slot(k, (uint32_t)m.amount));
    return true;
}

void link_close_files(struct link *k)
{
    for (size_t i = 0; i < LINK_FILE_SLOTS; i++)
        while (k->files[i])
            file_detach(k, &k->files[i]);
}
