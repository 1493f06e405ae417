/* configuration.c - see configuration.h. */
#include "hibernation/configuration.h"

#include "base/json.h"
#include "net/crypto.h"

#include <stdlib.h>
#include <string.h>

static int wrong(const char *why, struct vios_error *error)
{
    return error_set(error, VIOS_E_CORRUPT, NULL, NULL, "its configuration is wrong: %s", why);
}

int hibernation_configuration_format(const json_t *spec, const char *hash, char **text,
                                     struct vios_error *error)
{
    struct hibernation_configuration again;
    *text =
        json_into_text(json_pack("{s:i, s:s, s:O}", "v", 1, "hash", hash, "spec", (json_t *)spec));
    if (!*text) {
        return error_no_memory(error, NULL);
    }
    int status = hibernation_configuration_parse(*text, strlen(*text), &again, error);
    hibernation_configuration_clear(&again);
    if (status < 0) {
        free(*text);
        *text = NULL;
    }
    return status;
}

static int take(const json_t *json, struct hibernation_configuration *configuration,
                struct vios_error *error)
{
    uint8_t digest[DIGEST_SIZE];
    int64_t version;
    json_t *spec = json_object_get(json, "spec");
    if (!json_is_object(json)) {
        return wrong("it is no object", error);
    }
    if (!json_read_integer(json, "v", 1, 1, &version)) {
        return wrong("v is not 1", error);
    }
    if (!json_read_text(json, "hash", configuration->hash, sizeof configuration->hash) ||
        !crypto_unhex(configuration->hash, digest, sizeof digest)) {
        return wrong("hash is no SHA-256", error);
    }
    if (!json_is_object(spec)) {
        return wrong("spec is no object", error);
    }
    if (json_object_size(json) != 3) {
        return wrong("it has members that are not known", error);
    }
    configuration->spec = json_incref(spec);
    return VIOS_OK;
}

int hibernation_configuration_parse(const char *text, size_t size,
                                    struct hibernation_configuration *configuration,
                                    struct vios_error *error)
{
    *configuration = (struct hibernation_configuration){0};
    if (size > HIBERNATION_CONFIGURATION_MAX) {
        return wrong("it is too long", error);
    }
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    int status = json ? take(json, configuration, error) : wrong("it is no JSON", error);
    json_decref(json);
    return status;
}

void hibernation_configuration_clear(struct hibernation_configuration *configuration)
{
    json_decref(configuration->spec);
    *configuration = (struct hibernation_configuration){0};
}
