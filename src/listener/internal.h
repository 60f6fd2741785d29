/* All of the listener's rooms, for HTTP/2, which touches each of them. */
#ifndef CANDOR_LISTENER_INTERNAL_H
#define CANDOR_LISTENER_INTERNAL_H

#include "listener/connection.h"
#include "listener/exchange.h"
#include "listener/generation.h"
#include "listener/link.h"
#include "listener/memory_guard.h"
#include "listener/metrics.h"
#include "listener/output.h"
#include "listener/response_cache.h"
#include "listener/shared.h"
#include "listener/stream.h"
#include "listener/thread.h"
#include "listener/transport.h"

#endif
