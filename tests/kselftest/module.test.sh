#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Loading and unloading: the module alone, on demand, under traffic, repeatedly, and beside the
# other director, which needs the same names. Unloading must leave nothing behind.
# timeout: 300

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

if [ "$IPVS_MODULE" = ip_vs ]; then
	OTHER_MODULE=ipvs_rs OTHER_ADM=lvsadm
else
	OTHER_MODULE=ip_vs OTHER_ADM=ipvsadm
fi
schedulers=(rr wrr lc wlc)

# Prints what an unloaded director has left behind. Succeeds if that is nothing.
no_trace() {
	local found=0 name
	for name in "$1" "${schedulers[@]/#/$1_}"; do
		if loaded "$name"; then
			echo "module $name"
			found=1
		fi
	done
	for name in /proc/net/ip_vs* /proc/sys/net/ipv4/vs /sys/kernel/slab/*"$1"*; do
		# A cache that the kernel merged with another one leaves its name as a link.
		if [ -e "$name" ] && [ ! -L "$name" ]; then
			echo "$name"
			found=1
		fi
	done
	if [ "$(python3 "$here/netlink_checks.py" probe)" != ENOENT ]; then
		echo 'the netlink family'
		found=1
	fi
	if grep -E "^$1(_|\b)" /proc/modules /proc/slabinfo; then found=1; fi
	return "$found"
}

# The kernel may delete a cache late.
check_no_trace() {
	wait_for 5 no_trace "$2"
	check "$1" no_trace "$2"
}

log_lines() {
	dmesg | wc -l
}

unload_all "$OTHER_MODULE"
unload_all "$IPVS_MODULE"

# --- alone, by its path ---------------------------------------------------------------------------

check_no_trace 'no trace of the module exists before the test' "$IPVS_MODULE"
path=$(module_path "$IPVS_MODULE")
if [ "$IPVS_MODULE" = ip_vs ]; then
	must modprobe ip_vs
else
	# It depends only on modules of the kernel.
	for dependency in $(modinfo -F depends "$path" | tr ',' ' '); do must modprobe "$dependency"; done
	check "insmod loads ${path##*/} alone" insmod "$path"
	check_eq 'the director loads without a scheduler' "$(lsmod | grep -c "^${IPVS_MODULE}_")" 0
fi
check 'loading creates /proc/net/ip_vs' test -e /proc/net/ip_vs
check_fails 'loading the module twice is refused' 'exist' insmod "$path"
check 'rmmod unloads the module' rmmod "$IPVS_MODULE"
check_no_trace 'rmmod leaves no trace' "$IPVS_MODULE"

# --- schedulers -----------------------------------------------------------------------------------

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
for scheduler in "${schedulers[@]}"; do
	name=${IPVS_MODULE}_$scheduler
	check "$scheduler is not loaded before it is named" eval "! loaded $name"
	service -t 10.1.0.100:80 "$scheduler" -- A:m:1 B:m:1
	check "naming $scheduler loads it" loaded "$name"
	check_fails "$scheduler cannot be unloaded while a service uses it" 'in use' rmmod "$name"
	check_eq "$scheduler balances after a refused unload" "$(client get tcp 10.1.0.100 80 2 | xargs -n 1 | sort | xargs | grep -Ec '^[AB] [AB]$')" 1
	check_fails 'the director cannot be unloaded while a scheduler uses it' 'in use' rmmod "$IPVS_MODULE"
	must lvs -D -t 10.1.0.100:80
	check "$scheduler can be unloaded once no service uses it" rmmod "$name"
	check "$scheduler is gone" eval "! loaded $name"
done
service -t 10.1.0.100:80 wlc -- A:m:1
must lvs -E -t 10.1.0.100:80 -s rr
check 'a scheduler can be unloaded after its service switches to another' rmmod "${IPVS_MODULE}_wlc"
check_fails 'the scheduler that the service switched to cannot be unloaded' 'in use' rmmod "${IPVS_MODULE}_rr"
check_fails 'a service with an unknown scheduler is refused' 'scheduler|no such|not found' lvs -A -t 10.1.0.101:80 -s nosuch
check_eq 'a refused service is not added' "$(configuration | grep -c 101)" 0
flush

# --- again and again under traffic ----------------------------------------------------------------

rounds=10
[ ! -e /proc/lockdep ] || rounds=6
client_up load client 10.0.0.2
client_up flows client 10.0.0.3
ask load patience 0.3 >/dev/null
ask flows patience 0.3 >/dev/null
ask load load x tcp 10.1.0.100 80 2 >/dev/null
ask flows load x udp 10.1.0.100 80 2 >/dev/null
services=$(for service in '-t 10.1.0.100:80 -s rr' '-u 10.1.0.100:80 -s wlc'; do
	echo "-A $service"
	for server in '10.2.0.11 -m' '10.3.0.12 -i' '10.1.0.13 -g'; do
		echo "-a ${service% -s*} -r ${server% *}:80 ${server#* } -w 1"
	done
done)
done_rounds=0
answered=0
for ((n = 0; n < rounds; n++)); do
	module_load "$IPVS_MODULE" || break
	must lvs -R <<<"$services"
	# Connections are open, and packets of the previous round's connections arrive.
	[[ $(client hold x tcp 10.1.0.100 80 3) =~ ^[ABC]( [ABC])+$ ]] && answered=$((answered + 1))
	flush
	rmmod "${IPVS_MODULE}_rr" "${IPVS_MODULE}_wlc" "$IPVS_MODULE" || break
	done_rounds=$((done_rounds + 1))
done
check_eq "the module unloads under traffic $rounds times" $done_rounds $rounds
check_eq "the module balances after each of $rounds loads" $answered $rounds
# Few datagrams are answered between the unloads, because most meet no director and wait for their
# timeout.
must module_load "$IPVS_MODULE"
must lvs -R <<<"$services"
sleep 1
check_match 'TCP traffic reached all servers between the unloads' "$(ask load stop x)" '.*A=[0-9]+.*B=[0-9]+.*C=[0-9]+.*'
check_match 'UDP traffic was answered' "$(ask flows stop x)" '.*[ABC]=[0-9]+.*'
client close x >/dev/null
flush
unload_all "$IPVS_MODULE"
check_no_trace 'unloading under traffic leaves no trace' "$IPVS_MODULE"
check_eq 'the hosts reach each other without a director' "$(client get tcp 10.1.0.11 80)" A

# --- beside the other director --------------------------------------------------------------------

# beside HOLDER COMMAND NEWCOMER: the newcomer is refused, and the holder continues undisturbed.
beside() {
	local holder=$1 newcomer=$3 before lines
	local IPVS_MODULE=$1 LVSADM=$2
	must module_load "$holder"
	service -t 10.1.0.102:80 rr -- A:m:1 B:g:1
	check_eq "$holder balances" "$(client get tcp 10.1.0.102 80 2)" 'A B'
	client hold "$holder" tcp 10.1.0.102 80 2 >/dev/null
	before=$(configuration)
	lines=$(log_lines)
	# The module returns EEXIST. Kernels since 7.1 report it as EBUSY.
	check_fails "loading $newcomer beside $holder is refused" 'File exists|resource busy' modprobe "$newcomer"
	lines=$(dmesg | tail -n +$((lines + 1)) | grep -c "$newcomer")
	check_eq "$newcomer logs the reason in one line" "$lines" 1
	check "$newcomer is not loaded" eval "! loaded $newcomer"
	check_eq "$newcomer leaves no slab cache" "$(grep -c "^$newcomer" /proc/slabinfo)" 0
	check_eq "$holder keeps its table" "$(configuration)" "$before"
	check_eq "$holder keeps its connections" "$(client again "$holder")" 'A B'
	check_eq "$holder takes new connections" "$(client get tcp 10.1.0.102 80 2)" 'A B'
	check 'the first director keeps /proc/net/ip_vs' on director test -e /proc/net/ip_vs
	client close "$holder" >/dev/null
	flush
	unload_all "$holder"
	check_no_trace "unloading $holder leaves no trace" "$holder"
}

if modinfo "$OTHER_MODULE" >/dev/null 2>&1; then
	beside "$OTHER_MODULE" "$OTHER_ADM" "$IPVS_MODULE"
	beside "$IPVS_MODULE" "$LVSADM" "$OTHER_MODULE"
elif [ "$IPVS_MODULE" = ip_vs ]; then
	skip 'loading one director beside the other is refused' "there is no $OTHER_MODULE here"
else
	report 1 "the C director is available for comparison"
fi
check_no_trace 'no trace of the module exists after the test' "$IPVS_MODULE"
finish
