#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The test "failover" on two machines. The second one is killed by a reset.
# timeout: 900
# machines: 2
# long: VRRP times out when other work delays the machines
# kernel: stock, because the debug kernel has no wire to another machine

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/machines.sh
. "$here/machines.sh"
# shellcheck source=tests/kselftest/failover.sh
. "$here/failover.sh"

[ -n "${MACHINE-}" ] || { skip 'two directors on two machines' 'there is only one machine: MACHINES=2'; finish; }
with_keepalived
