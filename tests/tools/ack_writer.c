/*
 * ack_writer.c - writes the blocks of an NBD export one after the other, and says which writes were
 * acknowledged, and when: ack_writer SOCKET EXPORT FIRST COUNT PAUSE_MS.
 *
 * Block n (4 KiB) gets the number n in each of its 64-bit words. Each acknowledgement is a line "N
 * MS" on stdout, written as it comes, with the CLOCK_BOOTTIME of its arrival in ms. Exits 0 when
 * all were written, 1 with a line on stderr when the connection ended or a write failed.
 */
#include "base/clock.h"
#include "base/parse.h"
#include "nbd/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LATE_MS 600000 /* a write that is held back is not given up */
#define TURN_MS 1000

static struct {
    struct worker *worker;
    struct nbd_client *client;
    struct nbd_client_request request;
    struct timer timer;
    uint64_t *data;
    int64_t next, end, pause_ms;
    bool over;
    char why[200];
} writer;

static void write_next(struct timer *timer)
{
    (void)timer;
    for (size_t i = 0; i < NBD_BLOCK / sizeof *writer.data; i++) {
        writer.data[i] = (uint64_t)writer.next;
    }
    writer.request.command = NBD_WRITE;
    writer.request.offset = (uint64_t)writer.next * NBD_BLOCK;
    writer.request.length = NBD_BLOCK;
    writer.request.data = (uint8_t *)writer.data;
    nbd_client_submit(writer.client, &writer.request);
}

static void done(struct nbd_client_request *request, int error)
{
    (void)request;
    if (error) {
        snprintf(writer.why, sizeof writer.why, "block %" PRId64 ": error %d", writer.next, error);
        writer.over = true;
        return;
    }
    printf("%" PRId64 " %" PRId64 "\n", writer.next, clock_now_ms());
    fflush(stdout);
    writer.over = ++writer.next == writer.end;
    if (!writer.over) {
        worker_arm(writer.worker, &writer.timer, clock_now_ms() + writer.pause_ms);
    }
}

static void ready(void *context, const struct nbd_client_export *export)
{
    (void)context, (void)export;
    write_next(NULL);
}

static void closed(void *context, const struct vios_error *why)
{
    (void)context;
    snprintf(writer.why, sizeof writer.why, "%.190s", why->message);
    writer.over = true;
}

int main(int count, char **words)
{
    char address[200];
    int64_t blocks;
    struct vios_error error = {0};
    const struct nbd_client_callbacks callbacks = {.ready = ready, .closed = closed};
    if (count != 6 || parse_integer(words[3], 0, INT32_MAX, &writer.next, NULL) != VIOS_OK ||
        parse_integer(words[4], 1, INT32_MAX, &blocks, NULL) != VIOS_OK ||
        parse_integer(words[5], 0, TURN_MS, &writer.pause_ms, NULL) != VIOS_OK) {
        fprintf(stderr, "usage: ack_writer SOCKET EXPORT FIRST COUNT PAUSE_MS\n");
        return 2;
    }
    snprintf(address, sizeof address, "unix:%s", words[1]);
    writer.end = writer.next + blocks;
    writer.request.done = done;
    writer.timer.expired = write_next;
    writer.data = aligned_alloc(NBD_BLOCK, NBD_BLOCK);
    if (!writer.data || worker_adopt(&writer.worker, &error) != VIOS_OK ||
        nbd_client_open(&writer.client, writer.worker, address, words[2], LATE_MS, &callbacks,
                        &error) != VIOS_OK) {
        fprintf(stderr, "ack_writer: %s\n", error.message);
        return 1;
    }
    while (!writer.over) {
        worker_turn(writer.worker, TURN_MS);
    }
    if (writer.next != writer.end) {
        fprintf(stderr, "ack_writer: %s\n", writer.why);
    }
    return writer.next == writer.end ? 0 : 1; /* the connection ends with the process */
}
