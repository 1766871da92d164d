#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The netlink interface against whoever means no good: callers without the privilege, bad input for every
# command, and listings that are read while the table changes. The messages are made in nl.py, the expectations
# are in netlink_checks.py.
# timeout: 100

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
must ip netns add director
must ip -n director link set lo up

# --- privileges ---------------------------------------------------------------------------------------------

# Callers without privilege may not be able to read the place where the tests are.
mkdir -m 755 "$work/open"
cp "$here"/{nl,netlink_checks}.py "$work/open"
chmod 755 "$work"
probe=(python3 -B "$work/open/netlink_checks.py" probe)
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# The first takes the scheduler from its file; that needs more privilege than the rest.
must module_load "${IPVS_MODULE}_rr"
check_eq 'root may list, add and flush' "$(on director "${probe[@]}")" '0 0 0'
service -t 10.1.0.100:80 rr -- A:m:1
before=$(configuration)
check_eq 'nobody may do anything' "$(on director "${nobody[@]}" "${probe[@]}")" 'EPERM EPERM EPERM'
check_eq 'root without CAP_NET_ADMIN may not' \
	"$(on director setpriv --bounding-set -net_admin --inh-caps -net_admin "${probe[@]}")" 'EPERM EPERM EPERM'
check_eq 'root of a user namespace that does not own the network may not' \
	"$(on director unshare --user --map-root-user "${probe[@]}")" 'EPERM EPERM EPERM'
check_eq 'refused callers change nothing' "$(configuration)" "$before"
owner=("${nobody[@]}" unshare --user --map-root-user --net "${probe[@]}")
check_eq 'root of a user namespace with a network of its own may not' "$(on director "${owner[@]}")" 'EPERM EPERM EPERM'
flush
if [ "$IPVS_MODULE" = ipvs_rs ]; then
	unload_all ipvs_rs
	must modprobe ipvs_rs delegate=1
	must module_load ipvs_rs_rr
	service -t 10.1.0.100:80 rr -- A:m:1
	check_eq 'delegate=1: root of a user namespace with a network of its own may' "$(on director "${owner[@]}")" '0 0 0'
	check_eq 'delegate=1: what it does stays there' "$(configuration)" "$before"
	check_eq 'delegate=1: others may not' "$(on director "${nobody[@]}" "${probe[@]}")" 'EPERM EPERM EPERM'
	check_eq 'delegate=1: root of a user namespace without a network of its own may not' \
		"$(on director unshare --user --map-root-user "${probe[@]}")" 'EPERM EPERM EPERM'
	flush
	unload_all ipvs_rs
	must module_load ipvs_rs
fi

# --- bad input, and listings under change -----------------------------------------------------------------

reported on director python3 "$here/netlink_checks.py" bad
reported on director python3 "$here/netlink_checks.py" dumps
[ "$IPVS_MODULE" = ip_vs ] || reported on director python3 "$here/netlink_checks.py" apply
check_eq 'nothing is left' "$(configuration)" ''
finish
