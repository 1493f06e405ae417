/*
 * event_file.h - payload files where they lie: <repository>/events/NODE/INCARNATION-UUID, written
 * by their producer, read by everybody. All calls block for as long as the file system does.
 */
#ifndef EVENT_EVENT_FILE_H
#define EVENT_EVENT_FILE_H

#include "event/payload.h"
#include "node/node.h"

/* The folder of a producer (NULL: the one of all), with what is below it (NULL: itself).
 * VIOS_E_INVALID: this node has no
 * repository. `path` has PATH_MAX bytes. */
int event_file_path(const struct node *node, const char *producer, const char *below, char *path,
                    struct vios_error *error);

/* Writes it to the folder of its producer, durably: when this returns it is there after a crash. */
int event_file_write(const struct node *node, const struct payload *payload,
                     struct vios_error *error);

/* VIOS_E_NOT_FOUND: it is not there (yet, where a cached folder is seen). VIOS_E_CORRUPT: it is
 * none, or another one. `*payload` is empty then. */
int event_file_read(const struct node *node, const char *producer, const char *name,
                    struct payload *payload, struct vios_error *error);

/* The same for text that came from its producer in another way. */
int event_file_parse(const char *text, size_t size, const struct node *node, const char *producer,
                     const char *name, struct payload *payload, struct vios_error *error);

/* Absent is fine. */
int event_file_remove(const struct node *node, const char *producer, const char *name,
                      struct vios_error *error);

#define EVENT_FILE_DAMAGED ".damaged"

/* Puts a damaged one aside, as NAME.damaged. */
int event_file_quarantine(const struct node *node, const char *producer, const char *name,
                          struct vios_error *error);

/* Calls `each` for whatever lies in the folder of `producer`, in no order; stops when that fails.
 * No folder: nothing. With NULL, for what lies beside these folders, too: they have the producers'
 * names. */
int event_file_each(const struct node *node, const char *producer,
                    int (*each)(void *context, const char *name, struct vios_error *error),
                    void *context, struct vios_error *error);

#endif
