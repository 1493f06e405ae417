/*
 * datagram.h - the sealing of keep-alives: what goes into a UDP packet, and what of those that come
 * is believed. No sockets, no clock; one thread.
 *
 * Every node of the cluster has the ring key. A sender's own key is derived from it (HKDF-SHA256)
 * with its name, its incarnation and the `start` of its daemon, and the nonce of AES-256-GCM is a
 * counter: no pair of key and nonce is ever used twice, as long as a start is not. Within an
 * incarnation, which is within one boot, starts must grow: datagram_start_make().
 *
 * A receiver believes a packet that opens, whose sender it knows, whose (incarnation, start) is not
 * below the highest that it saw or was told of (`/alive/N`), and whose counter it has not seen: a
 * window of DATAGRAM_WINDOW counters lets packets overtake each other. So nothing recorded can be
 * played again, not even what a predecessor of the sender's daemon sent.
 *
 * Two ring keys may be valid at once. To change the key: give all nodes the old and the new one,
 * then let all seal with the new, then take the old away.
 */
#ifndef NET_DATAGRAM_H
#define NET_DATAGRAM_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define DATAGRAM_MAX 1400      /* bytes of a packet: fits an Ethernet frame, with some room */
#define DATAGRAM_BODY_MAX 1280 /* of what is sealed in it, whatever the sender's name */
#define DATAGRAM_KEY_BYTES 32
#define DATAGRAM_KEYS_MAX 2
#define DATAGRAM_SENDERS_MAX 2048
#define DATAGRAM_WINDOW 1024 /* counters that a packet may be late */

struct datagram;

struct datagram_key {
    uint32_t id; /* in each packet in the clear; +1 with each new key */
    uint8_t bytes[DATAGRAM_KEY_BYTES];
};

enum datagram_verdict {
    DATAGRAM_GOOD,
    DATAGRAM_TRUNCATED,      /* too short, too long, or no packet of ours at all */
    DATAGRAM_UNKNOWN_SENDER, /* of a node that is not in the cluster */
    DATAGRAM_UNKNOWN_KEY,    /* sealed under a ring key that is not valid, or not yet */
    DATAGRAM_STALE,          /* of an earlier incarnation or start of the sender */
    DATAGRAM_REPLAYED,       /* was here before, or is later than the window */
    DATAGRAM_FORGED,         /* does not open: not sealed by this sender, or changed */
    DATAGRAM_VERDICTS
};

struct datagram_message {
    char node[64];
    int64_t incarnation, start;
    uint64_t counter; /* of the sender's; 1, 2, … */
    size_t size;
    uint8_t body[DATAGRAM_BODY_MAX];
};

/* For the node of this name. */
int datagram_new(struct datagram **datagram, const char *node, struct vios_error *error);

/* Wipes the keys. NULL is fine. */
void datagram_free(struct datagram *datagram);

/* A start for a daemon that starts now: higher than those of its predecessors on this boot. */
int64_t datagram_start_make(void);

/* A new ring key's bytes. */
int datagram_key_make(struct datagram_key *key, uint32_t id, struct vios_error *error);

/* The ring keys that are valid from now on, DATAGRAM_KEYS_MAX at most, and the one to seal with.
 * What was seen of senders stays. */
int datagram_set_keys(struct datagram *datagram, const struct datagram_key *keys, size_t count,
                      uint32_t seal_with, struct vios_error *error);

/* Who we are from now on. The same again goes on counting; a lower one is VIOS_E_STALE, because
 * its nonces may have been used. */
int datagram_begin(struct datagram *datagram, int64_t incarnation, int64_t start,
                   struct vios_error *error);

/* Packets of this node are opened from now on; one that is known already stays as it is. */
int datagram_know(struct datagram *datagram, const char *node, struct vios_error *error);

/* Nothing below this (incarnation, start) of the node is believed any more. It may come late: what
 * was seen counts when it is higher. Of a node that is not known: nothing. */
void datagram_expect(struct datagram *datagram, const char *node, int64_t incarnation,
                     int64_t start);

void datagram_forget(struct datagram *datagram, const char *node);

/* Makes the next packet. VIOS_E_LOCKED before there is a key and a begin. */
int datagram_seal(struct datagram *datagram, const void *body, size_t size,
                  uint8_t packet[DATAGRAM_MAX], size_t *packet_size, struct vios_error *error);

/* Looks at a packet that came; fills the message when it is DATAGRAM_GOOD, and only then. */
enum datagram_verdict datagram_open(struct datagram *datagram, const uint8_t *packet, size_t size,
                                    struct datagram_message *message);

/* How many packets got each verdict. */
const uint64_t *datagram_counts(const struct datagram *datagram);

/* "good", "replayed", …: for statistics. */
const char *datagram_verdict_name(enum datagram_verdict verdict);

#endif
