/* file_digest.c - see file_digest.h. */
#include "image/file_digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE (1 << 20)

static const EVP_MD *find(const char *algorithm)
{
    return strcasecmp(algorithm, "sha256") == 0   ? EVP_sha256()
           : strcasecmp(algorithm, "sha1") == 0   ? EVP_sha1()
           : strcasecmp(algorithm, "sha512") == 0 ? EVP_sha512()
                                                  : NULL;
}

static int read_all(int fd, EVP_MD_CTX *context, char *data, const struct copy_progress *progress,
                    struct operation *operation)
{
    struct stat info = {0};
    uint64_t done = 0;
    int status = operation_check(operation);
    ssize_t got = 1;
    (void)fstat(fd, &info);
    while (status == VIOS_OK && got > 0) {
        got = pread(fd, data, READ_SIZE, (off_t)done);
        if (got < 0) {
            return error_set_errno(&operation->error, "digest", "cannot read the file");
        }
        EVP_DigestUpdate(context, data, (size_t)got);
        done += (uint64_t)got;
        if (progress && progress->told) {
            progress->told(progress->context, done, (uint64_t)info.st_size);
        }
        status = operation_check(operation);
    }
    return status;
}

int file_digest(int fd, const char *algorithm, char hex[FILE_DIGEST_TEXT],
                const struct copy_progress *progress, struct operation *operation)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const EVP_MD *type = find(algorithm);
    if (!type) {
        return operation_fail(operation, VIOS_E_INVALID, "digest", "use SHA256",
                              "\"%.20s\" is no digest that is known", algorithm);
    }
    char *data = malloc(READ_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int status = data && context && EVP_DigestInit_ex(context, type, NULL)
                     ? read_all(fd, context, data, progress, operation)
                     : operation_no_memory(operation, NULL);
    if (status == VIOS_OK) {
        EVP_DigestFinal_ex(context, digest, &size);
    }
    for (unsigned i = 0; status == VIOS_OK && i < size; i++) {
        snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    EVP_MD_CTX_free(context);
    free(data);
    return status;
}
