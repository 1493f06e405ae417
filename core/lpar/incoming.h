/*
 * incoming.h - the target's side of a live migration (migrate.h): a QEMU that loads what the source
 * sends, and then waits for the record.
 *
 * Who may run the guest is decided by /lpar/NAME alone. While the source's job is at work, and the
 * guest is the source's, its QEMU waits here, its exports in standby, and says nothing to other
 * nodes. When the record says that the guest is this node's, in the generation that was announced,
 * it goes on; when it says anything else, it is ended. Its supervisor looks, so it is the same
 * whoever dies; the run folder names the job, so that a restarted daemon goes on with it.
 */
#ifndef LPAR_INCOMING_H
#define LPAR_INCOMING_H

#include "lpar/guest.h"
#include "lpar/run_folder.h"
#include "node/method.h"

#define INCOMING_LOOK_MS 500 /* how often the record is read when nobody says that it changed */

enum incoming_next { INCOMING_WAIT, INCOMING_RUN, INCOMING_END };

/* Pure: what a QEMU does that was started for `generation` by this node's incarnation, and waits
 * for `job`. `works`: that job is at work on the LPAR. */
enum incoming_next incoming_next(const struct lpar *lpar, const char *node, int64_t incarnation,
                                 int64_t generation, bool works);

/* For its supervisor: does what is next. */
void incoming_look(struct guest *guest);

/* After a restart of the daemon: whether the QEMU in the run folder waits for a record other than
 * `lpar`, which it is now. */
bool incoming_waits(struct store *store, const struct node *node, const struct run_guest *found,
                    const struct lpar *lpar, struct operation *operation);

/*
 * The method daemon.incoming {name, job, generation}: takes a handoff (handoff.h) from the node
 * that runs the guest, and answers {incarnation} when all of it is loaded. The method daemon.go_on
 * {name, generation}: the record says so by now; answers when the guest runs. VIOS_E_CONFLICT:
 * there is no such guest here (any more).
 */
int incoming_call(struct call *call, const json_t *parameters, json_t **result,
                  struct operation *operation);
int incoming_call_go_on(struct call *call, const json_t *parameters, json_t **result,
                        struct operation *operation);

#endif
