#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The netlink interface with hostile callers: callers without privilege, bad input for every
# command, and listings during changes. nl.py creates the messages, netlink_checks.py has the
# expectations.
# timeout: 100
# check: debug, because answers do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
must ip netns add director
must ip -n director link set lo up

# --- privileges -----------------------------------------------------------------------------------

# Callers without privilege may be unable to read the tests' directory.
mkdir -m 755 "$work/open"
cp "$here"/{nl,netlink_checks}.py "$work/open"
chmod 755 "$work"
probe=(python3 -B "$work/open/netlink_checks.py" probe)
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# The first call loads the scheduler from its file, which needs more privilege than the rest.
must module_load "${IPVS_MODULE}_rr"
check_eq 'root can list, add and flush' "$(on director "${probe[@]}")" '0 0 0'
service -t 10.1.0.100:80 rr -- A:m:1
before=$(configuration)
check_eq 'the user nobody is refused' "$(on director "${nobody[@]}" "${probe[@]}")" 'EPERM EPERM EPERM'
check_eq 'root without CAP_NET_ADMIN is refused' \
	"$(on director setpriv --bounding-set -net_admin --inh-caps -net_admin "${probe[@]}")" 'EPERM EPERM EPERM'
check_eq 'root of a user namespace without a network namespace is refused' \
	"$(on director unshare --user --map-root-user "${probe[@]}")" 'EPERM EPERM EPERM'
check_eq 'refused callers change nothing' "$(configuration)" "$before"
owner=("${nobody[@]}" unshare --user --map-root-user --net "${probe[@]}")
check_eq 'root of a user namespace with its own network namespace is refused' "$(on director "${owner[@]}")" 'EPERM EPERM EPERM'
flush
if [ "$IPVS_MODULE" = ipvs_rs ]; then
	unload_all ipvs_rs
	must modprobe ipvs_rs delegate=1
	must module_load ipvs_rs_rr
	service -t 10.1.0.100:80 rr -- A:m:1
	check_eq 'delegate=1 allows root of a user namespace with its own network namespace' "$(on director "${owner[@]}")" '0 0 0'
	check_eq 'delegate=1 confines changes to that network namespace' "$(configuration)" "$before"
	check_eq 'delegate=1 still refuses the user nobody' "$(on director "${nobody[@]}" "${probe[@]}")" 'EPERM EPERM EPERM'
	check_eq 'delegate=1 still refuses root of a user namespace without a network namespace' \
		"$(on director unshare --user --map-root-user "${probe[@]}")" 'EPERM EPERM EPERM'
	flush
	unload_all ipvs_rs
	must module_load ipvs_rs
fi

# --- bad input, and listings during changes -------------------------------------------------------

reported on director python3 "$here/netlink_checks.py" bad
reported on director python3 "$here/netlink_checks.py" dumps
[ "$IPVS_MODULE" = ip_vs ] || reported on director python3 "$here/netlink_checks.py" apply
check_eq 'the checks leave no service behind' "$(configuration)" ''
finish
