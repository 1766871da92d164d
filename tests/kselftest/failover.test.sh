#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two directors on two machines, with keepalived and the example configurations. The one that has
# the addresses is killed without warning, under load and with many open connections: the other one
# continues them. Then it returns. Without a second machine, the directors are two namespaces.
# FAILOVER_CONNECTIONS is the number of connections that stay open, FAILOVER_RATE that of new ones
# in a second.
# timeout: 900
# machines: 2
# long: VRRP times out when other work delays the machines
# kernel: stock, because the debug kernel has no wire to another machine

# Functions are called by name; the other machine expands some variables.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/machines.sh
. "$here/machines.sh"
# shellcheck source=tests/kselftest/failover.sh
. "$here/failover.sh"

pair_up
crowd_up
primary_ready keepalived_up keepalived-mode1
check_soon 'the first director that starts has the address' primary holder
keepalived_up keepalived-mode1
hold "$held"
check_soon 'the primary has all connections' "$held" second active
check_soon 'the backup has all connections' "$held" active

# --- the primary is killed ------------------------------------------------------------------------

loads_up
second_dies
check 'the backup takes the address' wait_for 30 holds
check_loads 'the primary dies'
note "new connections open again after $gap ms"
check_held 'every open connection answers through the backup'

# --- failback, mode 1: the primary becomes the backup ---------------------------------------------

wait_for 120 second_reached || bail 'the second machine does not return'
primary_ready keepalived_up keepalived-mode1
check 'the returned primary has all connections' wait_for 60 eval '[ "$(second active)" -ge "$held" ]'
check_eq 'mode 1: the address stays where it is' "$(holder)" backup
loads_up
keepalived_down
check_soon 'the primary takes the address when the other director stops' primary holder
check_loads 'the other director stops'
check_held 'every open connection answers through the returned primary'

if [ $failures -gt 0 ]; then
	note "$(grep -v 'gratuitous\|success' "$work/backup.log")"
	note "$(second 'grep -v "gratuitous\|success" "$work/primary.log"')"
fi
second_leaves
finish
