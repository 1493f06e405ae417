/* Proves: the store on etcd does what every store does.
 * needs: heavy
 * limit: 60 */
#include "tests/unit/store/etcd_store.h"

int main(void)
{
    if (etcd_missing()) {
        return 0;
    }
    etcd_start(&servers, 1, "one");
    address_from(0, "");
    suite_run(open_one);
    return etcd_done();
}
