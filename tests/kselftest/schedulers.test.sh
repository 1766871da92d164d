#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every scheduler: it is loaded by its name and distributes real connections as documented, with and
# without weights. Servers are quiesced, added and deleted under load.
# timeout: 300
# kernel: debug, because choices do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up load client 10.0.0.2
servers_up A B C

all='rr wrr lc wlc sed nq fo ovf lblc lblcr dh sh mh twos ewma oneip geo'
# Connections outlive their service, and a destination that is added again regains them. So every
# service has a port of its own.
vip=10.1.0.100

# held NAME ADDRESS WANTED: opens one connection for each word in WANTED. They stay open.
held() {
	local words
	read -ra words <<<"$3"
	check_eq "$1" "$(client hold kept tcp "${2%:*}" "${2##*:}" ${#words[@]})" "$3"
}

# shares WORDS: prints how often each server answered: "A 4 B 2".
shares() {
	tr ' ' '\n' <<<"$1" | sort | uniq -c | awk '{ printf "%s%s %d", (NR > 1 ? " " : ""), $2, $1 }'
}

# --- schedulers that compare loads ----------------------------------------------------------------

service -t $vip:80 sed -- A:m:1 B:i:2 C:g:1
held 'sed minimizes (active + 1) / weight' $vip:80 'B A B C B A B C'
client close kept >/dev/null

service -t $vip:8000 nq -- A:m:1 B:i:1 C:g:3
held 'nq prefers idle servers, regardless of their weights' $vip:8000 'A B C C C C C A'
client close kept B >/dev/null
check_soon 'nq: B becomes idle' 'A 2/0 B 0/1 C 5/0' connections -t $vip:8000
held 'nq prefers an idle server to one with a larger weight' $vip:8000 'B'
client close kept >/dev/null

service -t $vip:8080 fo -- A:m:1 B:i:7 C:g:3
held 'fo sends everything to the server with the greatest weight' $vip:8080 'B B B B'
must destination -e -t $vip:8080 B:i:0
held 'fo uses the next server when the first is quiesced' $vip:8080 'C C'
must destination -e -t $vip:8080 A:m:5
held 'fo follows an edited weight' $vip:8080 'A A'
must destination -e -t $vip:8080 B:i:7
held 'fo returns to the first server when its weight is back' $vip:8080 'B'
client close kept >/dev/null

service -t 10.1.0.101:80 ovf -- A:m:1 B:i:2 C:g:1
held 'ovf overflows from full servers to the next' 10.1.0.101:80 'B B B A A C C refused'
client close kept >/dev/null

# --- hashes ---------------------------------------------------------------------------------------

# tenants ADDRESS: prints the servers of 24 clients. A client always has the same server, also after
# the service is created again. Together the clients use all servers.
tenants() {
	local address=$1 n line=''
	for n in $(seq 1 24); do
		client from "10.0.0.$((20 + n))" >/dev/null
		line+=" $(client get tcp "${address%:*}" "${address##*:}")"
	done
	client from 10.0.0.1 >/dev/null
	printf '%s\n' "${line# }"
}
for n in $(seq 1 24); do must on client ip address add "10.0.0.$((20 + n))/32" dev eth0; done

port=8000
for scheduler in sh mh oneip; do
	at=10.1.0.101:$((port++))
	service -t $at "$scheduler" -- A:m:1:80 B:m:1:80 C:m:1:80
	check_match "$scheduler sends one client to one server" "$(client get tcp "${at%:*}" "${at##*:}" 6)" \
		'A A A A A A|B B B B B B|C C C C C C'
	before=$(tenants $at)
	check_match "$scheduler sends many clients to all servers" "$(shares "$before")" 'A [1-9][0-9]* B [1-9][0-9]* C [1-9][0-9]*'
	must lvs -D -t $at
	service -t $at "$scheduler" -- A:m:1:80 B:m:1:80 C:m:1:80
	check_eq "$scheduler chooses the same servers for a service that is created again" "$(tenants $at)" "$before"
	must destination -e -t $at B:m:0:80
	case $scheduler in
	oneip) wanted=${before//B/[AC]} ;;
	*) wanted=${before//B/refused} ;;
	esac
	check_match "$scheduler moves no other clients when B is quiesced" "$(tenants $at)" "$wanted"
	if [ "$scheduler" != oneip ]; then
		must lvs -E -t $at -s "$scheduler" -b "$scheduler-fallback"
		check_match "$scheduler-fallback sends the clients of B to other servers" "$(tenants $at)" "${before//B/[AC]}"
	else
		must destination -d -t $at B:m:0:80
		check_match 'oneip moves no other clients when B is deleted' "$(tenants $at)" "${before//B/[AC]}"
		must destination -a -t $at B:m:1:80
	fi
	must destination -e -t $at B:m:1:80
	check_eq "$scheduler returns the clients of B when its weight is back" "$(tenants $at)" "$before"
done

for scheduler in sh mh; do
	at=10.1.0.102:$((port++))
	service -t $at "$scheduler" -b "$scheduler-port" -- A:m:1:80 B:m:1:80 C:m:1:80
	check_match "$scheduler-port sends one client to all servers" "$(shares "$(client get tcp "${at%:*}" "${at##*:}" 40)")" \
		'A [1-9][0-9]* B [1-9][0-9]* C [1-9][0-9]*'
done

# --- schedulers by destination address ------------------------------------------------------------

# A service on a firewall mark for four addresses.
must on director nft -f - <<-'END'
	table ip marks {
		chain early {
			type filter hook prerouting priority mangle;
			ip daddr 10.1.0.100-10.1.0.103 tcp dport 8888 meta mark set 7
		}
	}
END
for scheduler in dh lblc lblcr; do
	service -f 7 "$scheduler" -- A:m:1:80 B:m:1:80 C:m:1:80
	first=''
	for n in 0 1 2 3; do first+=" $(client get tcp 10.1.0.10$n 8888)"; done
	second=''
	for n in 0 1 2 3; do second+=" $(client get tcp 10.1.0.10$n 8888)"; done
	check_match "$scheduler assigns a server to each address" "$first" '( [ABC]){4}'
	check_eq "$scheduler keeps the server of each address" "$second" "$first"
	must lvs -D -f 7
done
must on director nft delete table ip marks

# --- random choices -------------------------------------------------------------------------------

service -t 10.1.0.103:80 twos -- A:m:1 B:i:1 C:g:1
client hold kept tcp 10.1.0.103 80 30 >/dev/null
check_match 'twos gives nearly equal shares with equal weights' "$(connections -t 10.1.0.103:80)" 'A ([89]|1[0-2])/0 B ([89]|1[0-2])/0 C ([89]|1[0-2])/0'
client close kept >/dev/null
service -t 10.1.0.103:8000 twos -- A:m:4 B:i:1 C:g:0
client hold kept tcp 10.1.0.103 8000 30 >/dev/null
check_match 'twos gives shares by weight' "$(connections -t 10.1.0.103:8000)" 'A 2[0-9]/0 B [1-9]/0 C 0/0'
client close kept >/dev/null

# --- sequences with a random start ----------------------------------------------------------------

# begun SCHEDULER PERIOD: creates services of A, B and C. Prints how many followed the order of the
# period, and whether they started at several places.
begun() {
	local scheduler=$1 period=$2 n got starts=''
	for n in $(seq 1 12); do
		must lvs -R <<-END
			-A -t 10.1.0.102:$((8100 + n)) -s $scheduler
			-a -t 10.1.0.102:$((8100 + n)) -r 10.2.0.11:80 -m -w 3
			-a -t 10.1.0.102:$((8100 + n)) -r 10.2.0.12:80 -m -w 2
			-a -t 10.1.0.102:$((8100 + n)) -r 10.2.0.13:80 -m -w 1
		END
		got=$(client get tcp 10.1.0.102 $((8100 + n)) 7)
		[[ "$period $period $period" == *"$got"* ]] || note "$scheduler: $got is not in the order of $period"
		[[ "$period $period $period" == *"$got"* ]] && starts+="${got%% *}"$'\n'
		must lvs -D -t 10.1.0.102:$((8100 + n))
	done
	printf '%s, %s\n' "$(wc -l <<<"${starts%$'\n'}")" \
		"$([ "$(sort -u <<<"${starts%$'\n'}" | wc -l)" -gt 1 ] && echo 'from several')"
}
check_eq 'rr starts at a random server and keeps the order' "$(begun rr 'A B C')" '12, from several'
check_eq 'wrr starts at a random server and keeps the order' "$(begun wrr 'A A B A B C')" '12, from several'

# --- the example of the documentation -------------------------------------------------------------

# The example is built outside the tree, against the exported interface of ipvs_rs.
service -t 10.1.0.101:8080 first -- A:m:1:80 B:i:1 C:g:1
check 'first is loaded by its name' loaded "${IPVS_MODULE}_first"
check_eq 'first sends everything to the first server' "$(client get tcp 10.1.0.101 8080 4)" 'A A A A'
must destination -e -t 10.1.0.101:8080 A:m:0:80
check_eq 'first uses the next server when the first is quiesced' "$(client get tcp 10.1.0.101 8080 4)" 'B B B B'
must destination -d -t 10.1.0.101:8080 B:i:1
check_eq 'first uses the next server when one is deleted' "$(client get tcp 10.1.0.101 8080 4)" 'C C C C'
must lvs -D -t 10.1.0.101:8080
check 'first can be unloaded' wait_for 10 rmmod "${IPVS_MODULE}_first"

# --- changes under load ---------------------------------------------------------------------------

more() {
	local was
	was=$(ask load progress x)
	wait_for 30 eval "[ \$(ask load progress x) -gt $((was + 6)) ]" || note 'the load stands still'
}
# drained SERVER: succeeds when no connection to the server is active.
# shellcheck disable=SC2317 # called through wait_for
drained() { [[ $(connections -t "$at") == *"$1 0/"* ]]; }
port=8080
for scheduler in $all; do
	# A scheduler that assigns a server to each client uses one server for the load. The options
	# of sh and mh avoid refusals when that server is quiesced. Weights are high, so nothing
	# overflows.
	at=10.1.0.103:$port
	port=$((port == 8080 ? 8081 : port + 1))
	options=()
	case $scheduler in sh | mh) options=(-b "$scheduler-fallback,$scheduler-port") ;; esac
	service -t $at "$scheduler" "${options[@]}" -- A:m:100:80 B:m:100:80
	ask load load x tcp "${at%:*}" "${at##*:}" 2 >/dev/null
	more
	must destination -a -t $at C:m:100:80
	more
	must destination -e -t $at C:m:50:80
	more
	# dh refuses the clients of a quiesced server, so B is not quiesced.
	[ "$scheduler" = dh ] || must destination -e -t $at B:m:0:80
	more
	# Packets to a deleted server are dropped, so its last connection must have ended.
	[ "$scheduler" = dh ] || wait_for 30 drained B || note 'B does not drain'
	[ "$scheduler" = dh ] || must destination -d -t $at B:m:0:80
	more
	check_match "$scheduler serves every connection while servers change under load" "$(ask load stop x)" \
		'([ABC]=[0-9]+ ?)+'
	check "the module of $scheduler is loaded" loaded "${IPVS_MODULE}_$scheduler"
done
flush

for scheduler in $all; do
	check "the module of $scheduler can be unloaded" wait_for 10 rmmod "${IPVS_MODULE}_$scheduler"
done
check_fails 'an unknown scheduler is refused' 'scheduler' lvs -A -t $vip:80 -s nobody

finish
