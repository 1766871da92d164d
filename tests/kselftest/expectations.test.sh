#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Programs of other projects work unchanged. Three parts: requests of kube-proxy, moby, libipvs,
# gnlpy, seesaw and pyroute2, and the answers that they expect; /proc/net/ip_vs with every flag; the
# error for every pair of mistakes, which must be that of the C director. expectations.py has the
# requests.
# check: debug, because answers do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# The kernel starts a process for each module request. Only the schedulers below need that.
asks=$(sysctl -n kernel.modprobe)
# shellcheck disable=SC2317 # called by the trap
back() {
	sysctl -qw kernel.modprobe="$asks"
	clean_up
}
trap back EXIT

unload_all ip_vs
unload_all ipvs_rs
must ip netns add director
must ip -n director link set lo up
schedulers='rr lc dh sh wlc wrr'

director_up() {
	local scheduler
	must module_load "$1"
	for scheduler in $schedulers; do must module_load "$1_$scheduler"; done
}

# --- /proc/net/ip_vs ------------------------------------------------------------------------------

# One service at a time: the C director lists services in the order of a hash.
proc() {
	on director python3 - "$here" <<-'END'
		import struct, sys
		sys.path.insert(0, sys.argv[1])
		from nl import DEST, DST, FLUSH, NEW_DEST, NEW_SERVICE, SERVICE, SVC, Family, address, be16, dest, nest, service, u16, u32
		family = Family()
		six = bytes([0xfd]) + bytes(14) + b"\1"
		for changes in (
		        {}, {"flags": 1, "timeout": u32(360)}, {"protocol": u16(17), "flags": 4}, {"protocol": u16(17), "flags": 5, "timeout": u32(60)},
		        {"flags": 1, "timeout": u32(90), "netmask": bytes([255, 255, 255, 0])}, {"flags": 1}, {"fwmark": u32(10)},
		        {"fwmark": u32(10), "flags": 5, "timeout": u32(60)}, {"fwmark": u32(10), "flags": 4},
		        {"af": u16(10), "addr": six, "netmask": u32(128)}, {"sched": b"none\0"},
		        {"af": u16(10), "addr": six, "netmask": u32(64), "flags": 1, "timeout": u32(60)}):
		    flags = changes.get("flags", 0)
		    if "netmask" not in changes:
		        changes["netmask"] = u32(0xFFFFFFFF)
		    changes["flags"] = struct.pack("=II", flags, 0xFFFFFFFF)
		    family.call(FLUSH)
		    family.call(NEW_SERVICE, nest(SERVICE, SVC, service(**changes)))
		    if changes.get("af") is None:
		        for number in (1, 2, 3):
		            family.call(NEW_DEST, nest(SERVICE, SVC, service(**changes)) + nest(DEST, DST, dest(port=be16(number), weight=u32(number))))
		    with open("/proc/net/ip_vs") as file:
		        print("".join(file.readlines()[3:]).replace(" \n", "$\n"), end="")
		family.call(FLUSH)
	END
}

# --- both directors -------------------------------------------------------------------------------

director_up "$IPVS_MODULE"
reported on director python3 "$here/expectations.py" programs
proc >"$work/proc"
check_match '/proc/net/ip_vs shows the flags of a persistent service' "$(grep -m1 persistent "$work/proc")" \
	'TCP  0A010064:0050 rr  persistent [0-9]+ FFFFFFFF'
check_eq '/proc/net/ip_vs lists the newest destination first' "$(sed -n '2,4s/ *->.*:000\(.\).*/\1/p' "$work/proc" | xargs)" '3 2 1'

if [ "$IPVS_MODULE" = ipvs_rs ] && modinfo ip_vs >/dev/null 2>&1; then
	sysctl -qw kernel.modprobe=/bin/false
	on director python3 "$here/expectations.py" errors >"$work/errors"
	sysctl -qw kernel.modprobe="$asks"
	unload_all ipvs_rs
	director_up ip_vs
	proc >"$work/proc.c"
	check_eq '/proc/net/ip_vs equals that of the C director' "$(diff "$work/proc.c" "$work/proc")" ''
	sysctl -qw kernel.modprobe=/bin/false
	on director python3 "$here/expectations.py" errors >"$work/errors.c"
	check 'the comparison has many pairs of mistakes' test "$(wc -l <"$work/errors.c")" -gt 1000
	check_eq 'every pair of mistakes gives the error of the C director' "$(diff "$work/errors.c" "$work/errors")" ''
	sysctl -qw kernel.modprobe="$asks"
	unload_all ip_vs
fi
finish
