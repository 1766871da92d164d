#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Enters the commands of Documentation/migrating.rst, "Two machines". They replace a pair of C
# directors with keepalived, one machine after the other. Many connections are open, and new ones
# begin all the time.
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
# shellcheck source=tests/kselftest/page.sh
. "$here/page.sh"

[ -n "${MACHINE-}" ] || { skip 'two directors on two machines' 'there is only one machine: MACHINES=2'; finish; }
held=${FAILOVER_CONNECTIONS:-1000}
rate=${FAILOVER_RATE:-50}
IPVS_MODULE=ip_vs

# step_here NUMBER TITLE, step_there NUMBER TITLE: this machine, or the other one, gets the commands
# of a block.
step_here() { check "step $1 of the page, $2" administrator 'Two machines' "$1"; }
step_there() { check "step $1 of the page, $2" second "administrator 'Two machines' $1"; }
# count: the number of connections, as the page compares it.
count() { administrator 'Two machines' 4; }
equal_counts() { [ "$(count)" -ge "$held" ] && [ "$(count)" = "$(second "$(declare -f count); count")" ]; }

pair_up
crowd_up
primary_ready keepalived_up keepalived-mode1
must second ". $here/page.sh"
check_soon 'the first director that starts has the address' primary holder
keepalived_up keepalived-mode1
hold "$held"
check_eq 'both directors are those of the kernel' "$(directors) $(second directors)" 'ip_vs ip_vs'

step_here 1 'on the backup'
step_there 1 'on the master'
step_there 2 'on the master'
check_held 'every open connection answers through the C director'
check 'both directors count the same connections' wait_for 60 equal_counts
loads_up
step_here 3 'on the backup'
check_loads 'the director of the backup is replaced'
check_eq 'the backup is ipvs_rs, the master still the C director' "$(directors) $(second directors)" 'ipvs_rs ip_vs'
check_eq 'the address stays where it is' "$(holder)" primary
check_held 'every open connection still answers through the C director'
check 'the backup has all connections' wait_for 60 filled active
note "step 4: $(count) connections here, $(second "$(declare -f count); count") on the master"

loads_up
step_there 5 'on the master'
check_soon 'the other director has the address' backup holder
check_loads 'the director of the master is replaced'
check_eq 'both are ipvs_rs' "$(directors) $(second directors)" 'ipvs_rs ipvs_rs'
check_held 'every open connection answers through ipvs_rs'
step_there 6 'on the machine that was the master'
check 'the machine that was the master has all connections' wait_for 60 filled second active
loads_up
keepalived_down
check_soon 'it takes the address when the other director stops' primary holder
check_loads 'the address moves back'
check_held 'every open connection answers after all moves'

keepalived_ends
