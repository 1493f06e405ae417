/* request.c - the end of a request, for back ends. */
#include "nbd/backend.h"

#include <assert.h>

void nbd_request_done(struct nbd_request *request, int error)
{
    assert(worker_is_current(request->export->home));
    request->error = error;
    request->done(request);
}
