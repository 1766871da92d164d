#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# SCTP by handmade packets, so that no host needs an SCTP of its own: the state after each chunk in
# each state, checksums of packets whose port changes, ICMP errors, timeouts. The file
# sctp_states.expected has the states. Where there is a C director, it confirms them.
# timeout: 240
# check: debug, because states do not depend on the kernel

# Functions are called through "$part".
# shellcheck disable=SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all ip_vs
unload_all ipvs_rs
topology_up
vip=10.1.0.100
vip6=$(six $vip)

# Hosts do not answer what they do not expect.
for host in client A; do
	must on $host nft 'table inet deaf { chain early { type filter hook prerouting priority raw;
		meta l4proto { icmp, sctp } drop; icmpv6 type destination-unreachable drop; }; }'
done

set_to() { on director bash -c "echo $2 >/proc/sys/net/ipv4/vs/$1"; }
walk() { python3 "$here/sctp_states.py" "$@" 2>&1; }

# transitions METHOD WHO
transitions() {
	local method=m
	[ "$1" = nat ] || method=g
	service --sctp-service $vip:80 rr -- A:$method:1
	set_to sloppy_sctp 1
	set_to conn_reuse_mode 0
	walk transitions "$1" "$2"
}
nat_client() { transitions nat C; }
nat_server() { transitions nat S; }
dr_client() { transitions dr C; }
# An INIT for an association that is over begins another one; nothing else begins one.
default() {
	service --sctp-service $vip:80 rr -- A:m:1
	walk transitions nat C | grep -E '^(NONE|INIT1|REJECTED|CLOSED) '
}
errors() {
	service --sctp-service $vip:80 rr -- A:m:1:8080
	service --sctp-service "[$vip6]:80" rr -- A:m:1:8080
	walk errors 80 8080
}
# Seconds until the entry ends, just after the last chunk of each way.
timeouts() {
	service --sctp-service $vip:80 rr -- A:m:1
	must lvs --set 100 100 100
	walk timeouts
}
run() {
	local part=$1
	must module_load "$IPVS_MODULE"
	"$part"
	flush
	unload_all "$IPVS_MODULE"
}

expected() { awk -v part="$1" '$1 == "=" { is_it = $2 == part; next } is_it' "$here/sctp_states.expected"; }
for part in nat_client nat_server dr_client default errors timeouts; do
	if modinfo ip_vs >/dev/null 2>&1; then
		IPVS_MODULE=ip_vs LVSADM=ipvsadm
		check_eq "the C director has the expected states: $part" "$(run $part)" "$(expected $part)"
	fi
	IPVS_MODULE=ipvs_rs LVSADM=lvsadm
	check_eq "the director has the expected states: $part" "$(run $part)" "$(expected $part)"
done

# --- checksums ------------------------------------------------------------------------------------

must module_load ipvs_rs
for port in 80 8080; do
	service --sctp-service $vip:80 rr -- A:m:1:$port
	service --sctp-service "[$vip6]:80" rr -- A:m:1:$port
	check_eq "packets between the ports 80 and $port arrive with the checksums that they had, right or wrong" \
		"$(walk checksums 80 $port)" end
	flush
done
finish
