/*
 * record.h - /lpar/NAME: who an LPAR is, who owns it, and what it is made of (CONTRACTS "LPAR").
 *
 * The record is read completely validated or not at all. `job` names the one job that may
 * change it: start, stop and remove take it first, so that two of them never meet half-way.
 * What a guest does right now is not in here but in /lpar-run/NAME, written by its owner when
 * it changes, for the other nodes to show.
 */
#ifndef LPAR_RECORD_H
#define LPAR_RECORD_H

#include "base/operation.h"
#include "base/parse.h"
#include "job/job.h"
#include "store/store.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define LPAR_DISKS_MAX 8
#define LPAR_NICS_MAX 4
#define LPAR_APPEND_MAX 2048
#define LPAR_CPUS_MAX 255
#define LPAR_MEMORY_MIN (UINT64_C(1) << 20)
#define LPAR_MEMORY_MAX (UINT64_C(1) << 46)
#define LPAR_SLOT_DISK 6   /* PCI slots of the disks: 6 to 13; the first one is 4 */
#define LPAR_SLOT_DISK0 4  /* of disk0 */
#define LPAR_SLOT_PAGING 5 /* of the paging device */
#define LPAR_SLOT_NIC 16   /* of the network cards: 16 to 19 */
#define LPAR_MACHINE "pc-i440fx-7.2"
#define LPAR_ACCEL "tcg"
#define LPAR_CPU "qemu64"

enum lpar_wanted { LPAR_STOPPED, LPAR_RUNNING, LPAR_HIBERNATED };
enum lpar_backend { NIC_USER, NIC_BRIDGE, NIC_NONE };

struct lpar_disk {
    char id[16];             /* "disk0" */
    int slot;                /* PCI address */
    char file[PATH_MAX];     /* absolute path of a raw image or block device of the node's own */
    char lu[UUID_TEXT_SIZE]; /* or the UDID of an LU on a shared pool; the other one is "" */
    char serial[21];         /* what the guest reads */
    bool read_only;
};

struct lpar_nic {
    char id[16]; /* "nic0" */
    int slot;    /* PCI address */
    char mac[18];
    enum lpar_backend backend;
    char bridge[16]; /* for NIC_BRIDGE: an interface of this host */
};

struct lpar {
    char uuid[UUID_TEXT_SIZE];
    char name[NAME_MAX_LENGTH + 1];
    int64_t generation;
    int64_t start; /* the generation at which its QEMU started, which goes on in later ones */
    char owner[NAME_MAX_LENGTH + 1]; /* the node that runs it or did last; "" none */
    int64_t owner_incarnation;
    enum lpar_wanted wanted;
    bool taken; /* taken over, and its disks may still be the old owner's: nobody starts it */
    char job[JOB_ID_SIZE]; /* the job that may change it; "" none */
    /* the spec */
    char machine[32], accel[8], cpu[64];
    int cpus;
    uint64_t memory_bytes;
    char kernel[PATH_MAX]; /* absolute; "" boots from the disks */
    char initrd[PATH_MAX];
    char append[LPAR_APPEND_MAX];
    struct lpar_disk disks[LPAR_DISKS_MAX];
    size_t disk_count;
    struct lpar_nic nics[LPAR_NICS_MAX];
    size_t nic_count;
    bool serial_console;
    bool autostart;
    int64_t revision; /* of the store's value it was read from; 0: none */
};

/* An error's object: `lpar "web1"`. Returns `text`. */
char *lpar_object(const char *name, char text[96]);

/* VIOS_E_CORRUPT, naming the member, for a record that is not one of ours. */
int lpar_parse(const char *json, struct lpar *lpar, struct vios_error *error);

/* Compact JSON for the store; free() it. */
char *lpar_format(const struct lpar *lpar);

/* The next generation, for a QEMU that starts in it. */
void lpar_raise(struct lpar *lpar);

/* It has disks, all on shared pools: another node may take it over. */
bool lpar_is_shared(const struct lpar *lpar);

/* It should run, and by its record it could on another node too. */
bool lpar_moves(const struct lpar *lpar);

/* "stopped", "running" or "hibernated". */
const char *lpar_wanted_name(enum lpar_wanted wanted);

/* The spec alone, as in the record; the caller's. */
json_t *lpar_spec_json(const struct lpar *lpar);

/* Validates "user", "bridge:br0" or "none"; VIOS_E_USAGE with the right form. */
int lpar_backend_parse(const char *text, struct lpar_nic *nic, struct vios_error *error);

/* The inverse. */
void lpar_backend_format(const struct lpar_nic *nic, char *text, size_t size);

/* SHA-256 in hex over the spec, sorted and compact, without paths and autostart. */
void lpar_adapter_hash(const struct lpar *lpar, char hash[65]);

/* VIOS_E_NOT_FOUND for an unknown name, with the nearest ones in the hint. */
int lpar_load(struct store *store, const char *name, struct lpar *lpar,
              struct operation *operation);

/* Writes it back if nobody changed it since; VIOS_E_CONFLICT otherwise. `lpar->revision` moves.
 * VIOS_E_STALE when it names an owner that is fenced (DESIGN "Fencing"). */
int lpar_save(struct store *store, struct lpar *lpar, struct operation *operation);

/* What the guest does right now, for the other nodes: /lpar-run/NAME. */
struct lpar_run {
    const char *node; /* whose daemon says so */
    int64_t incarnation;
    int64_t generation; /* of the LPAR that it is about */
    const char *state, *why;
    int64_t qemu_pid; /* 0: none */
};

/* Writes it, unless something is said there of a later generation: a former owner that comes late
 * is not heard, which is VIOS_OK too. */
int lpar_publish(struct store *store, const char *name, const struct lpar_run *run,
                 struct operation *operation);

#endif
