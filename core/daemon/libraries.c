/* libraries.c - see libraries.h. */
#include "daemon/libraries.h"

#include <archive.h>
#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <string.h>
#include <uv.h>
#include <zstd.h>

/* "libarchive 3.6.2": only the number. */
static const char *archive_number(void)
{
    const char *text = archive_version_string();
    const char *space = strchr(text, ' ');
    return space ? space + 1 : text;
}

const struct version_library *daemon_libraries(void)
{
    static struct version_library list[8];
    const struct version_library loaded[8] = {
        {"libuv", uv_version_string()},
        {"sqlite", sqlite3_libversion()},
        {"libcurl", curl_version_info(CURLVERSION_NOW)->version},
        {"jansson", jansson_version_str()},
        {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
        {"libarchive", archive_number()},
        {"libzstd", ZSTD_versionString()},
        {NULL, NULL}};
    memcpy(list, loaded, sizeof list);
    return list;
}
