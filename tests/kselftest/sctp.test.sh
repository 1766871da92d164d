#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# SCTP services with the kernel's own SCTP at both ends: each forwarding method, both families,
# ports that change, checksums of devices, of software and of tunnels, states and counts, aborts,
# refusals, persistence, listings. The C director runs the same script.
# timeout: 200
# check: debug, because sync_machines.test.sh has SCTP on the stock kernel

# Functions are called through eval and wait_for.
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
must modprobe sctp
topology_up
ours() { [ "$IPVS_MODULE" != ip_vs ]; }
vip=10.1.0.100
six=$(six $vip)
mkdir -p "$work"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; clean_up' EXIT

# serve HOST ADDRESS PORT
serve() {
	local ready=$work/ready.${#pids[@]}
	on "$1" python3 "$here/sctp.py" serve "$1" "$2" "$3" >"$ready" 2>&1 &
	pids+=($!)
	wait_for 20 grep -q ready "$ready" || bail "no SCTP server on $1 $2: $(cat "$ready")"
}
for host in A B; do
	n=$([ $host = A ] && echo 11 || echo 12)
	serve $host 10.2.0.$n 80
	serve $host 10.2.0.$n 8080
	serve $host $vip 80
	serve $host "fd00:0:0:2::$n" 80
	serve $host "fd00:0:0:2::$n" 8080
	serve $host "$six" 80
done
talk() { on client python3 "$here/sctp.py" talk "$@" 2>&1; }
# One line for each association: state.
states() { on director awk '$1 == "SCTP" && $3 != "0000" { print $8 }' /proc/net/ip_vs_conn | sort | uniq -c | xargs; }
counts() { lvs -L -n | awk '$1 == "->" && $2 ~ /^[[0-9]/ { print $5 "/" $6 }' | xargs; }
# adds a service with the servers A and B: add ADDRESS METHOD PORT [OPTION…]
add() {
	local at=$1 method=$2 port=$3 host n server
	shift 3
	must lvs -A --sctp-service "$at" -s rr "$@"
	for n in 11 12; do
		case $method/$at in
		m/\[*) server="[fd00:0:0:2::$n]:$port" ;;
		m/*) server=10.2.0.$n:$port ;;
		g/\[*) server="[fd00:0:0:1::$n]:$port" ;;
		g/*) server=10.1.0.$n:$port ;;
		i/\[*) server="[fd00:0:0:3::$n]:$port" ;;
		i/*) server=10.3.0.$n:$port ;;
		esac
		must lvs -a --sctp-service "$at" -r "$server" "-$method" -w 1
	done
}

# --- methods and families -------------------------------------------------------------------------

for checksums in on off; do
	for host in client director A B; do
		on $host ethtool -K eth0 tx-checksum-sctp $checksums >/dev/null 2>&1
		[ $host = client ] || on $host ethtool -K eth1 tx-checksum-sctp $checksums >/dev/null 2>&1
	done
	for row in 'm 80 NAT' 'm 8080 NAT to another port' 'g 80 DR' 'i 80 TUN'; do
		read -r method port title <<<"$row"
		for at in $vip:80 "[$six]:80"; do
			address=${at%:80}
			address=${address//[\[\]]/}
			add "$at" "$method" "$port"
			check_eq "$title, $address, checksums of devices $checksums: associations rotate, messages arrive" \
				"$(for _ in 1 2 3 4; do talk "$address" 80 10; done | sort | uniq -c | xargs)" '2 A 2 B'
			flush
		done
	done
done

# --- tunnels with checksums of their own ----------------------------------------------------------

# The outer checksum covers the inner packet, whose own checksum a device may have to complete.
if ours; then
	modprobe -a fou fou6 2>/dev/null
	for host in A B; do must on $host ip fou add port 6080 gue; done
	for checksum in nocsum csum remcsum; do
		must lvs -A --sctp-service $vip:80 -s rr
		for n in 11 12; do
			must lvs -a --sctp-service $vip:80 -r 10.3.0.$n:80 -i \
				--tun-type gue --tun-port 6080 --tun-$checksum
		done
		check_eq "GUE, $checksum: associations rotate, messages arrive" \
			"$(for _ in 1 2 3 4; do talk $vip 80 10; done | sort | uniq -c | xargs)" '2 A 2 B'
		flush
	done
fi

# --- states and counts ----------------------------------------------------------------------------

for row in 'm NAT' 'g DR'; do
	read -r method title <<<"$row"
	add $vip:80 "$method" 80
	must lvs -e --sctp-service $vip:80 -r "$([ $method = m ] && echo 10.2.0.12:80 || echo 10.1.0.12:80)" "-$method" -w 0
	coproc held { on client python3 "$here/sctp.py" hold $vip 80 2>&1; }
	# shellcheck disable=SC2154
	held_pid_=$held_PID
	pids+=("$held_pid_")
	read -r -t 20 -u "${held[0]}" who
	check_eq "$title: an association opens" "$who" A
	check_match "$title: an open association has the state ESTABLISHED" " $(states) " '.* 1 ESTABLISHED .*'
	check_eq "$title: an open association counts as active" "$(counts | tr ' ' '\n' | awk -F/ '{ active += $1 } END { print active }')" 1
	echo say >&"${held[1]}"
	read -r -t 20 -u "${held[0]}" who
	check_eq "$title: an open association carries messages" "$who" A
	echo close >&"${held[1]}"
	read -r -t 20 -u "${held[0]}" who
	check_soon "$title: after a shutdown no association is ESTABLISHED" 0 eval 'states | grep -c ESTABLISHED'
	check_match "$title: after a shutdown an association has the state CLOSED" " $(states) " '.* [1-9][0-9]* CLOSED .*'
	eval "exec ${held[1]}>&-"
	wait "$held_pid_" 2>/dev/null
	check_eq "$title: an association that is aborted carries messages" "$(talk $vip 80 3 abort)" A
	check_soon "$title: after an abort no association is active" 0 eval "counts | tr ' ' '\n' | awk -F/ '{ active += \$1 } END { print active }'"
	flush
done

# --- refusals -------------------------------------------------------------------------------------

check_match 'without a service the host refuses an association' "$(on client python3 "$here/sctp.py" refused $vip 81)" 'ConnectionRefusedError|TimeoutError'
add $vip:80 m 81
check_eq 'a server without a listener refuses the association' "$(on client python3 "$here/sctp.py" refused $vip 80)" ConnectionRefusedError
flush

# --- persistence ----------------------------------------------------------------------------------

add $vip:80 m 80 -p 60
check_eq 'a persistent client keeps its server' "$(for _ in 1 2 3; do talk $vip 80 1; done | sort -u | wc -l)" 1
check_eq 'the template of an SCTP service is listed' "$(on director awk '$3 == "0000" { print $1, $5, $8 }' /proc/net/ip_vs_conn)" 'SCTP 0050 ASSURED'
flush

# --- listings -------------------------------------------------------------------------------------

add $vip:80 m 80
check_eq 'ip_vs lists an SCTP service' "$(on director grep -c '^SCTP  0A010064:0050 rr' /proc/net/ip_vs)" 1
check_match 'the command lists an SCTP service' "$(lvs -L -n | grep ^SCTP)" 'SCTP 10.1.0.100:80 rr *'
check_match 'the command saves an SCTP service' "$(lvs -S -n | head -n 1)" '-A --sctp-service 10.1.0.100:80 -s rr'
flush
# --- lksctp-tools ---------------------------------------------------------------------------------

# Several messages, some larger than the MTU, travel as one large packet whose chunks are apart, as
# long as they meet no device that cannot send such packets. The director must leave them apart:
# otherwise the kernel of the server crashes.
for address in 10.2.0.11 $vip "fd00:0:0:2::11" "$six"; do
	launch "$work/sctp_test.$address" recvmsg on A stdbuf -oL sctp_test -H "$address" -P 9000 -l
	pids+=("$launched")
done
# octets DIRECTION: the sum of the sizes of messages in a log of sctp_test.
octets() { awk -v verb="$1" '$0 ~ verb { for (i = 1; i < NF; i++) if ($(i + 1) ~ /^bytes/) { sum += $i; break } } END { print sum + 0 }'; }
port=4000
for row in "m $vip 10.2.0.11 10.2.0.11" "g $vip 10.1.0.11 $vip" "i $vip 10.3.0.11 $vip" \
	"m $six fd00:0:0:2::11 fd00:0:0:2::11" "g $six fd00:0:0:1::11 $six" "i $six fd00:0:0:3::11 $six"; do
	read -r method address server log <<<"$row"
	at=$address to=$server
	[ "$address" = $vip ] || { at="[$address]" to="[$server]"; }
	must lvs -A --sctp-service "$at:9000" -s rr
	must lvs -a --sctp-service "$at:9000" -r "$to:9000" "-$method"
	port=$((port + 1))
	before=$(octets 'Data ' <"$work/sctp_test.$log")
	from=10.0.0.1
	[ "$address" = $vip ] || from=fd00::1
	on client timeout 60 sctp_test -H $from -P $port -h "$address" -p 9000 -s -c 1 -x 3 >"$work/sent" 2>&1
	check_eq "sctp_test, -$method, $address: messages of all sizes are sent" "$? $(grep -c 'bytes\.' "$work/sent")" '0 30'
	received() { echo $(($(octets 'Data ' <"$work/sctp_test.$log") - before)); }
	check_soon "sctp_test, -$method, $address: the server gets all of them" "$(octets sendmsg <"$work/sent")" received
	flush
done

finish
