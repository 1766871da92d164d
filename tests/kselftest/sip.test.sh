#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The persistence engine for SIP: each call goes to one server, by its Call-ID, from one client port
# and by one-packet scheduling; answers and requests of servers come from the virtual address;
# listings; the module. The C director runs the same script.
# timeout: 120
# check: debug, because texts do not depend on the kernel

# Functions are called through eval and wait_for.
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
engine=${IPVS_MODULE}_pe_sip
unload_all "$IPVS_MODULE"
! loaded "$engine" || must rmmod "$engine"
must module_load "$IPVS_MODULE"
topology_up
vip=10.1.0.100
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; clean_up' EXIT
n=10
for host in A B C; do
	n=$((n + 1))
	for address in 10.2.0.$n "fd00:0:0:2::$n"; do
		launch "$work/serve.$host.$address" ready on $host python3 "$here/sip.py" serve $host "$address"
		pids+=("$launched")
	done
done
sip() { on client python3 "$here/sip.py" "$@" 2>&1; }
templates() { on director awk '$3 == "0000" { print $10, $11 }' /proc/net/ip_vs_conn | sort | xargs; }

# --- calls ----------------------------------------------------------------------------------------

for at in $vip "[$(six $vip)]"; do
	address=${at//[\[\]]/}
	mask='-M 0.0.0.0'
	[ $at = $vip ] || mask='-M 1'
	service -u "$at:5060" rr -p 60 $mask -o --pe sip -- A:m:1 B:m:1 C:m:1
	check "the module of the engine is loaded on demand" loaded "$engine"
	check_match "$address: the rules show the engine" "$(lvs -S -n | head -n 1)" '.*--pe sip.*'
	check_match "$address: the listing shows the engine" "$(lvs -L -n | grep ^UDP)" '.* pe sip.*'
	# It takes up to a second until answers have the virtual address as their source.
	wait_for 5 eval '[[ $(sip calls "$address" 5999 1 OPTIONS) == *"$address:5060" ]]'
	ways=$(sip calls "$address" 6000 6 INVITE ACK BYE)
	check_eq "$address: all messages of a call from one port go to one server, and answers come from the virtual address" \
		"$(sort <<<"$ways" | uniq -c | awk '{ print $1, $2, $3 }' | xargs)" "2 AAA $address:5060 2 BBB $address:5060 2 CCC $address:5060"
	check_match "$address: templates are listed with their Call-IDs" " $(templates) " '.* sip call0-6000@client .* sip call5-6000@client .*'
	check_eq "$address: no connection is left by one-packet scheduling" \
		"$(on director awk '$1 == "UDP" && $3 != "0000"' /proc/net/ip_vs_conn | wc -l)" 0
	check_fails "$address: the engine of a service cannot be unloaded" 'in use|busy' rmmod "$engine"
	flush
	check_fails "$address: the engine of templates cannot be unloaded" 'in use|busy' rmmod "$engine"
done
wait_for 200 eval '[ -z "$(templates)" ]'
check 'the engine is unloaded when its templates are gone' wait_for 20 rmmod "$engine"

# --- without a Call-ID ----------------------------------------------------------------------------

service -u $vip:5060 rr -p 60 --pe sip -- A:m:1 B:m:1 C:m:1
# The C director drops messages without a Call-ID.
! ours || check_match 'messages without a Call-ID follow the client by its address' "$(sip nameless $vip 4)" 'AAAA|BBBB|CCCC'
check_match 'a Call-ID of the same client has a template of its own' "$(sip calls $vip 6100 1 INVITE BYE)" "(AA|BB|CC) $vip:5060"
! ours || check_match 'templates with and without a Call-ID exist side by side' "$(on director awk '$3 == "0000"' /proc/net/ip_vs_conn | wc -l)" '[2-9]'
lvs -E -u $vip:5060 -s rr -p 60
check_eq 'an edited service without an engine has none' "$(lvs -S -n | grep -c -e --pe)" 0
lvs -E -u $vip:5060 -s rr -p 60 --pe sip
check_eq 'an edited service gets an engine' "$(lvs -S -n | grep -c -e '--pe sip')" 1
check_fails 'an engine that does not exist is refused' 'persistence engine|not found' lvs -A -u $vip:5070 -s rr -p 60 --pe nobody
check_eq 'a refused service does not exist' "$(lvs -S -n | grep -c 5070)" 0

# --- servers that begin ---------------------------------------------------------------------------

# The director learns within a second that a service has an engine.
sleep 2
for cut in 1 0; do
	if ours; then sysctls director net.ipv4.vs.short_cut=$cut; elif [ $cut = 1 ]; then continue; fi
	# notify PORT CALL: the server B sends a request to the client.
	launch "$work/listen.$cut" ready on client python3 "$here/sip.py" listen 10.0.0.1 620$cut
	listener=$launched
	on B python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'call 10.0.0.1 620$cut begun$cut@B', ('10.2.0.12', 5061))"
	wait "$listener"
	check_eq "short_cut=$cut: a request of a server comes from the virtual address, and the answer goes back to the server" \
		"$(tail -n 1 "$work/listen.$cut")" "B $vip:5060 B $vip:5060"
	check_match "short_cut=$cut: a request of a server has a template with its Call-ID" " $(templates) " ".* sip begun$cut@B .*"
done
flush

# --- sipsak ---------------------------------------------------------------------------------------

service -u $vip:5060 rr -p 60 -M 0.0.0.0 -o --pe sip -- A:m:1 B:m:1 C:m:1
sleep 2
check_eq 'sipsak gets an answer to each of its requests, from all servers' \
	"$(for _ in 1 2 3; do on client timeout 20 sipsak -vvv -s sip:a@$vip:5060 2>&1 | tr -d '\r' | sed -n 's/^Server: //p'; done | sort | xargs)" 'A B C'
flush

# --- sipp -----------------------------------------------------------------------------------------

if command -v sipp >/dev/null; then
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null
	pids=()
	n=10
	for host in A B C; do
		n=$((n + 1))
		(cd "$work" && exec on $host sipp -sn uas -i 10.2.0.$n -p 5060 -nostdin) >/dev/null 2>&1 &
		pids+=($!)
	done
	service -u $vip:5060 rr -p 60 -M 0.0.0.0 -o --pe sip -- A:m:1 B:m:1 C:m:1
	sleep 2
	(cd "$work" && on client sipp -sn uac $vip:5060 -i 10.0.0.1 -p 6300 -t u1 -r 50 -m 150 -d 200 -nostdin -timeout 60) >"$work/uac" 2>&1
	check_eq 'sipp completes 150 calls from one port' "$?" 0
	check_eq 'no call of sipp failed, and none was retransmitted' \
		"$(grep -E 'Failed call|Successful call' "$work/uac" | tail -n 2 | awk -F'|' '{ print $3 + 0 }' | xargs)" '150 0'
	flush
fi
finish
