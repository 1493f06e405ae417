/*
 * manifest.h - the manifest of an OVA (DMTF DSP0243, "OVF package"): lines such as
 *
 *     SHA256(web-disk1.vmdk)= 0123...
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include "image/unpack.h"

#define MANIFEST_SIZE_MAX (64 * 1024)

/* A line without its end. VIOS_E_INVALID. */
int manifest_parse_line(const char *line, char algorithm[16], char name[MEMBER_NAME_SIZE],
                        char hex[129], struct vios_error *error);

/* Every file that the manifest of the folder names, if it has one, must be there with that digest:
 * VIOS_E_CORRUPT. */
int manifest_check(int folder_fd, const struct copy_progress *progress,
                   struct operation *operation);

#endif
