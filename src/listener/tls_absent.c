/* For builds in which TLS is not linked: no connection ever has a tls_conn. */
#include "listener/internal.h"
#include "listener/tls.h"
#include "base/poison.h"

#define ABSENT __attribute__((weak))
#pragma GCC diagnostic ignored "-Wunused-parameter"

ABSENT void http2_begin(struct connection *c)
{
    conn_close(c);
}
ABSENT struct tls_conn *tls_conn_new(struct tls_table *t, int fd, const struct msg_address *l){return NULL;}
ABSENT void tls_conn_free(struct tls_conn *c){}
ABSENT enum tls_rc tls_handshake(struct tls_conn *c){return TLS_FAILED;}
ABSENT bool tls_is_http2(const struct tls_conn *c){return 0;}
ABSENT ssize_t tls_recv(struct tls_conn *c, void *b, size_t n){return -1;}
ABSENT ssize_t tls_send(struct tls_conn *c, const void *b, size_t n,bool m){return -1;}
ABSENT bool tls_pending(const struct tls_conn *c){return 0;}
ABSENT bool tls_recv_wants_room(const struct tls_conn *c){return 0;}
ABSENT bool tls_send_wants_input(const struct tls_conn *c){return 0;}
ABSENT ssize_t tls_sendfile(struct tls_conn *c, int f, uint64_t o, size_t n, char *b, size_t bn){return -1;}
ABSENT void tls_close(struct tls_conn *c){}
