/* facts.c - see facts.h. */
#include "node/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MEMINFO_SIZE 4096

/* Makes and removes a file: what a mount table says of a dead server is no proof. */
static bool can_write(const struct node *node, const char *path)
{
    char probe[4200];
    snprintf(probe, sizeof probe, "%s/.probe-%s", path, node->name);
    int fd = open(probe, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool done = write(fd, "", 1) == 1;
    close(fd);
    return unlink(probe) == 0 && done;
}

static void measure_repository(const struct node *node, struct agent_fact *fact)
{
    const char *path = config_text(node->config, "repository");
    struct statvfs space;
    snprintf(fact->name, sizeof fact->name, "repository");
    snprintf(fact->limit, sizeof fact->limit, "writable, %lld MiB free",
             FACTS_REPOSITORY_FREE_MIN >> 20);
    if (!path || !path[0]) {
        fact->passes = true;
        snprintf(fact->value, sizeof fact->value, "none is configured");
        return;
    }
    fact->passes = false;
    if (statvfs(path, &space) != 0) {
        snprintf(fact->value, sizeof fact->value, "%.60s", strerror(errno));
    } else if (!can_write(node, path)) {
        snprintf(fact->value, sizeof fact->value, "not writable: %.60s", strerror(errno));
    } else {
        int64_t free_bytes = (int64_t)(space.f_bavail * space.f_frsize);
        fact->passes = free_bytes >= FACTS_REPOSITORY_FREE_MIN;
        snprintf(fact->value, sizeof fact->value, "writable, %lld MiB free",
                 (long long)(free_bytes >> 20));
    }
}

/* MemAvailable of /proc/meminfo, in bytes; -1: not known. */
static int64_t free_memory(void)
{
    char text[MEMINFO_SIZE];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    text[size > 0 ? size : 0] = '\0';
    const char *line = strstr(text, "MemAvailable:");
    return line ? strtoll(line + strlen("MemAvailable:"), NULL, 10) * 1024 : -1;
}

static void measure_memory(struct agent_fact *fact)
{
    int64_t free_bytes = free_memory();
    fact->passes = free_bytes < 0 || free_bytes >= FACTS_MEMORY_FREE_MIN;
    snprintf(fact->name, sizeof fact->name, "memory");
    snprintf(fact->limit, sizeof fact->limit, "at least %lld MiB", FACTS_MEMORY_FREE_MIN >> 20);
    snprintf(fact->value, sizeof fact->value, "%lld MiB free", (long long)(free_bytes >> 20));
}

size_t facts_measure(const struct node *node, struct agent_fact facts[AGENT_FACTS_MAX])
{
    size_t count = 0;
    measure_memory(&facts[count++]);
    measure_repository(node, &facts[count++]);
    return count;
}
