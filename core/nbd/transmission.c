/*
 * transmission.c - requests: validated completely, then given to the back end.
 *
 * All that the input buffer holds is submitted before `flush_batch`. At a limit, or while the
 * export is held, the connection leaves the rest where it is: back-pressure is the socket's.
 */
#include "nbd/connection.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIRECT_READ_MIN 32768 /* a payload with more to come is read to its place */

/* --- the export's connections --- */

bool transmission_start(struct nbd_connection *connection)
{
    struct nbd_export *export = connection->export;
    connection->slots = calloc(NBD_REQUESTS_MAX, sizeof *connection->slots);
    if (!connection->slots) {
        return false;
    }
    connection->next = export->first_connection;
    if (connection->next) {
        connection->next->previous = connection;
    }
    export->first_connection = connection;
    export->connections++;
    return true;
}

static void release_queue(struct nbd_connection *connection, struct slot_queue *queue)
{
    struct slot *slot;
    while ((slot = slot_pop(queue))) {
        slot_release(connection, slot);
    }
}

void transmission_end(struct nbd_connection *connection)
{
    struct nbd_export *export = connection->export;
    release_queue(connection, &connection->again);
    release_queue(connection, &connection->sending);
    if (connection->receiving) {
        slot_release(connection, connection->receiving);
        connection->receiving = NULL;
    }
    *(connection->previous ? &connection->previous->next : &export->first_connection) =
        connection->next;
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    export->connections--;
}

/* --- the back end's answers --- */

static void count(struct nbd_counters *counters, const struct slot *slot, uint16_t command)
{
    uint64_t took_ns = (uint64_t)(clock_now_ns() - slot->started_ns);
    _Atomic uint64_t *const rows[] = {
        [NBD_READ] = &counters->reads,          [NBD_WRITE] = &counters->writes,
        [NBD_FLUSH] = &counters->flushes,       [NBD_TRIM] = &counters->trims,
        [NBD_WRITE_ZEROES] = &counters->zeroes, [NBD_BLOCK_STATUS] = &counters->statuses,
    };
    atomic_fetch_add_explicit(rows[command], 1, memory_order_relaxed);
    if (slot->request.error) {
        atomic_fetch_add_explicit(&counters->errors, 1, memory_order_relaxed);
    } else if (command == NBD_READ) {
        atomic_fetch_add_explicit(&counters->read_bytes, slot->request.length,
                                  memory_order_relaxed);
        histogram_add(&counters->read_ns, took_ns);
    } else if (command == NBD_WRITE) {
        atomic_fetch_add_explicit(&counters->written_bytes, slot->request.length,
                                  memory_order_relaxed);
        histogram_add(&counters->write_ns, took_ns);
    }
}

static void tell_drained(struct nbd_export *export)
{
    void (*drained)(struct nbd_export *) = export->drained;
    if (export->in_flight == 0 && drained) {
        export->drained = NULL;
        drained(export);
    }
}

static void done(struct nbd_request *request)
{
    struct slot *slot = (struct slot *)request;
    struct nbd_connection *connection = request->connection;
    struct nbd_export *export = request->export;
    assert(export->in_flight > 0);
    export->in_flight--;
    if (!connection_is_open(connection)) {
        slot_release(connection, slot);
    } else if (slot->remaining > 0 && !request->error) {
        slot_append(&connection->again, slot);
    } else {
        if (export->counters) {
            count(export->counters, slot, request->command);
        }
        reply_queue(connection, slot);
    }
    connection_defer(connection);
    tell_drained(export);
}

/* --- to the back end --- */

/* As much of the slot's request as one may hold; TRIM and WRITE_ZEROES come in pieces. */
static void submit(struct nbd_connection *connection, struct slot *slot)
{
    struct nbd_request *request = &slot->request;
    if (request->command == NBD_READ || request->command == NBD_BLOCK_STATUS) {
        size_t bits = request->length / NBD_BLOCK + 2;
        memset(slot->holes, 0, (bits + 63) / 64 * sizeof slot->holes[0]);
    }
    connection->export->in_flight++;
    connection->export->operations->submit(connection->export, request);
}

static void flush_batch(struct nbd_export *export)
{
    if (export->operations->flush_batch) {
        export->operations->flush_batch(export);
    }
}

void transmission_continue(struct nbd_connection *connection)
{
    struct nbd_export *export = connection->export;
    struct slot *slot;
    if (!connection->again.first || export->state != EXPORT_OPEN) {
        return;
    }
    struct slot_queue now = connection->again;
    connection->again = (struct slot_queue){0};
    while ((slot = slot_pop(&now))) {
        slot->request.offset += slot->request.length;
        slot->request.length =
            slot->remaining < NBD_REQUEST_MAX ? (uint32_t)slot->remaining : NBD_REQUEST_MAX;
        slot->remaining -= slot->request.length;
        submit(connection, slot);
    }
    flush_batch(export);
}

/* --- validation --- */

struct header {
    uint16_t flags, command;
    uint64_t cookie, offset;
    uint32_t length;
};

struct rule {
    uint16_t flags; /* allowed, beside FUA */
    bool writes, has_range, limited;
};

static const struct rule RULES[] = {
    [NBD_READ] = {NBD_CMD_FLAG_DF, .has_range = true, .limited = true},
    [NBD_WRITE] = {0, .writes = true, .has_range = true, .limited = true},
    [NBD_FLUSH] = {0},
    [NBD_TRIM] = {0, .writes = true, .has_range = true},
    [NBD_WRITE_ZEROES] = {NBD_CMD_FLAG_NO_HOLE, .writes = true, .has_range = true},
    [NBD_BLOCK_STATUS] = {NBD_CMD_FLAG_REQ_ONE, .has_range = true},
};

static int check_range(const struct nbd_export *export, const struct header *header,
                       const struct rule *rule, const char **why)
{
    uint64_t end;
    uint32_t block = export->minimum_block ? export->minimum_block : 1;
    if (header->length == 0) {
        *why = "the request is empty";
        return EINVAL;
    }
    if (__builtin_add_overflow(header->offset, header->length, &end) || end > export->size) {
        *why = "the request is beyond the end of the export";
        return rule->writes ? ENOSPC : EINVAL;
    }
    if (header->offset % block != 0 || header->length % block != 0) {
        *why = "the request is not aligned to the minimum block size";
        return EINVAL;
    }
    if (rule->limited && header->length > NBD_REQUEST_MAX) {
        *why = "the request is longer than the maximum block size";
        return EINVAL;
    }
    return 0;
}

/* 0, or the error and its reason. */
static int check(const struct nbd_connection *connection, const struct header *header,
                 const char **why)
{
    const struct nbd_export *export = connection->export;
    bool known = header->command < sizeof RULES / sizeof RULES[0] &&
                 header->command != NBD_DISCONNECT && header->command != NBD_CACHE;
    if (!known) {
        *why = "no such command here";
        return EINVAL;
    }
    const struct rule *rule = &RULES[header->command];
    if (header->flags & ~(unsigned)(rule->flags | NBD_CMD_FLAG_FUA)) {
        *why = "a flag that this command does not have";
        return EINVAL;
    }
    if (rule->writes && export->read_only) {
        *why = "the export is read-only";
        return EPERM;
    }
    if (header->command == NBD_BLOCK_STATUS && !connection->meta_chosen) {
        *why = "no meta context was chosen";
        return EINVAL;
    }
    if (!rule->has_range) {
        *why = "offset and length of a flush are 0";
        return header->offset == 0 && header->length == 0 ? 0 : EINVAL;
    }
    return check_range(export, header, rule, why);
}

/* --- one request --- */

static void fill_slot(struct slot *slot, const struct header *header)
{
    struct nbd_request *request = &slot->request;
    slot->cookie = header->cookie;
    slot->flags = header->flags;
    request->command = header->command;
    request->flags = (header->flags & NBD_CMD_FLAG_FUA ? NBD_FLAG_FUA : 0) |
                     (header->flags & NBD_CMD_FLAG_NO_HOLE ? NBD_FLAG_NO_HOLE : 0);
    request->offset = header->offset;
    request->length = header->length;
    request->done = done;
    if (header->length > NBD_REQUEST_MAX) {
        request->length = NBD_REQUEST_MAX;
        slot->remaining =
            header->command == NBD_BLOCK_STATUS ? 0 : header->length - NBD_REQUEST_MAX;
    }
}

/* Answers with an error, and reads over the payload of a WRITE. */
static bool reject(struct nbd_connection *connection, struct slot *slot,
                   const struct header *header, int error)
{
    slot->cookie = header->cookie;
    slot->request.command = header->command;
    slot->request.error = error;
    if (header->command == NBD_WRITE) {
        connection->skip = header->length;
    }
    reply_queue(connection, slot);
    connection_defer(connection);
    return true;
}

/* False when it must wait: at the limit. */
static bool accept_request(struct nbd_connection *connection, const struct header *header)
{
    const char *why = NULL;
    int error = check(connection, header, &why);
    struct slot *slot = slot_take(connection);
    if (!slot) {
        return false;
    }
    slot->why = why;
    if (error) {
        return reject(connection, slot, header, error);
    }
    slot->why = NULL;
    slot->started_ns = clock_now_ns();
    bool has_data = header->command == NBD_READ || header->command == NBD_WRITE;
    if (has_data && !slot_take_buffer(connection, slot, header->length)) {
        if (slot->why) {
            return reject(connection, slot, header, ENOMEM);
        }
        slot_release(connection, slot);
        return false;
    }
    fill_slot(slot, header);
    if (header->command == NBD_WRITE) {
        connection->receiving = slot;
        connection->received = 0;
    } else {
        submit(connection, slot);
    }
    return true;
}

static bool read_header(const struct nbd_connection *connection, struct header *header)
{
    struct nbd_wire_request wire;
    memcpy(&wire, connection->input + connection->input_start, sizeof wire);
    *header = (struct header){
        .flags = ntohs(wire.flags),
        .command = ntohs(wire.command),
        .cookie = wire.cookie, /* opaque: it goes back as it came */
        .offset = be64toh(wire.offset),
        .length = ntohl(wire.length),
    };
    bool absurd = header->command == NBD_WRITE && header->length > NBD_SKIP_MAX;
    return ntohl(wire.magic) == NBD_REQUEST_MAGIC && header->command != NBD_DISCONNECT && !absurd;
}

/* --- consuming input --- */

/* Moves buffered payload to its place; true when it is complete and was submitted. */
static bool take_payload(struct nbd_connection *connection)
{
    struct slot *slot = connection->receiving;
    size_t missing = slot->request.length - connection->received;
    size_t have = connection_available(connection);
    size_t now = have < missing ? have : missing;
    memcpy(slot->request.data + connection->received, connection->input + connection->input_start,
           now);
    connection->input_start += now;
    connection->received += (uint32_t)now;
    if (now < missing) {
        return false;
    }
    connection->receiving = NULL;
    submit(connection, slot);
    return true;
}

/* One request or part of one; false when there is no more to be done now. */
static bool consume_one(struct nbd_connection *connection)
{
    struct header header;
    if (connection->receiving) {
        return take_payload(connection);
    }
    if (!connection_skip(connection) ||
        connection_available(connection) < sizeof(struct nbd_wire_request)) {
        return false;
    }
    if (!read_header(connection, &header)) {
        connection_close(connection);
        return false;
    }
    if (!accept_request(connection, &header)) {
        connection->stalled = true;
        return false;
    }
    connection->input_start += sizeof(struct nbd_wire_request);
    return true;
}

/* A held export leaves requests where they are, but a client may still take its leave. */
static void look_for_leave(struct nbd_connection *connection)
{
    struct header header;
    bool complete = !connection->receiving && connection->skip == 0 &&
                    connection_available(connection) >= sizeof(struct nbd_wire_request);
    if (complete && !read_header(connection, &header)) {
        connection_close(connection);
    }
}

bool transmission_wants(const struct nbd_connection *connection)
{
    if (connection->phase.state != PHASE_TRANSMISSION || connection->export->state == EXPORT_OPEN) {
        return true;
    }
    return !connection->receiving &&
           connection_available(connection) < sizeof(struct nbd_wire_request);
}

void transmission_consume(struct nbd_connection *connection)
{
    struct nbd_export *export = connection->export;
    if (export->state != EXPORT_OPEN) {
        look_for_leave(connection);
        return;
    }
    while (export->state == EXPORT_OPEN && consume_one(connection)) {
    }
    flush_batch(export);
}

uint8_t *transmission_target(struct nbd_connection *connection, size_t *size)
{
    struct slot *slot = connection->receiving;
    if (!slot || connection_available(connection) > 0 ||
        slot->request.length - connection->received < DIRECT_READ_MIN) {
        return NULL;
    }
    *size = slot->request.length - connection->received;
    return slot->request.data + connection->received;
}

void transmission_received(struct nbd_connection *connection, size_t size)
{
    connection->received += (uint32_t)size;
    assert(connection->received <= connection->receiving->request.length);
}

/* --- the export's states --- */

void nbd_export_open(struct nbd_export *export)
{
    assert(worker_is_current(export->home));
    if (export->state == EXPORT_DROPPED) {
        return;
    }
    export->state = EXPORT_OPEN;
    struct nbd_connection *next;
    for (struct nbd_connection *one = export->first_connection; one; one = next) {
        next = one->next;
        connection_defer(one);
        transmission_consume(one);
    }
}

void nbd_export_hold(struct nbd_export *export, enum nbd_export_state state,
                     void (*drained)(struct nbd_export *export))
{
    assert(worker_is_current(export->home));
    if (export->state != EXPORT_DROPPED) {
        export->state = state;
        for (struct nbd_connection *one = export->first_connection; one; one = one->next) {
            connection_defer(one); /* so that its socket is left alone */
        }
    }
    export->drained = drained;
    tell_drained(export);
}

void nbd_export_reconnect(struct nbd_export *export)
{
    assert(worker_is_current(export->home));
    while (export->first_connection) {
        connection_close(export->first_connection);
    }
}

void nbd_export_drop(struct nbd_export *export)
{
    assert(worker_is_current(export->home));
    export->state = EXPORT_DROPPED;
    nbd_export_reconnect(export);
    if (export->operations->dropped) {
        export->operations->dropped(export);
    }
}
