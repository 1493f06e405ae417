/* network.c - taps on bridges. See the header. */
#include "lpar/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* <linux/sockios.h> and <net/if.h> together would define the same things twice. */
#define BRIDGE_ADD_INTERFACE 0x89a2 /* SIOCBRADDIF */
#ifndef SIOCETHTOOL
#define SIOCETHTOOL 0x8946
#endif

static int add_to_bridge(int control, const char *tap, const char *bridge, struct vios_error *error)
{
    struct ifreq request = {0};
    unsigned index = if_nametoindex(tap);
    snprintf(request.ifr_name, IFNAMSIZ, "%s", bridge);
    request.ifr_ifindex = (int)index;
    if (index == 0 || ioctl(control, BRIDGE_ADD_INTERFACE, &request) != 0) {
        if (errno == EOPNOTSUPP || errno == EINVAL) {
            return error_set(error, VIOS_E_INVALID, bridge, NULL, "it is not a bridge");
        }
        return error_set_errno(error, bridge, "cannot put a guest's card into the bridge");
    }
    memset(&request, 0, sizeof request);
    snprintf(request.ifr_name, IFNAMSIZ, "%s", tap);
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0) {
        return error_set_errno(error, tap, "cannot ask for its flags");
    }
    request.ifr_flags |= IFF_UP;
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0) {
        return error_set_errno(error, tap, "cannot bring it up");
    }
    return VIOS_OK;
}

/* Its driver says so; /sys may be that of another network namespace. */
int network_check_bridge(const char *bridge, struct vios_error *error)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (void *)&driver};
    if (if_nametoindex(bridge) == 0) {
        return error_set(error, VIOS_E_NOT_FOUND, bridge, "make the bridge first",
                         "there is no such interface on this node");
    }
    snprintf(request.ifr_name, IFNAMSIZ, "%s", bridge);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is = control >= 0 && ioctl(control, SIOCETHTOOL, &request) == 0 &&
              strcmp(driver.driver, "bridge") == 0;
    if (control >= 0) {
        close(control);
    }
    return is ? VIOS_OK : error_set(error, VIOS_E_INVALID, bridge, NULL, "it is not a bridge");
}

int network_open_tap(const char *bridge, struct vios_error *error)
{
    int found = network_check_bridge(bridge, error);
    if (found < 0) {
        return found;
    }
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    snprintf(request.ifr_name, IFNAMSIZ, "vios%%d");
    int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0) {
        int status = error_set_errno(error, "/dev/net/tun", "cannot make a tap");
        if (tap >= 0) {
            close(tap);
        }
        return status;
    }
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int status = control < 0 ? error_set_errno(error, bridge, "cannot open a socket")
                             : add_to_bridge(control, request.ifr_name, bridge, error);
    if (control >= 0) {
        close(control);
    }
    if (status < 0) {
        close(tap);
        return status;
    }
    return tap;
}
