#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every scheduler by its name: loaded when it is asked for, spreading real connections as its kind promises, with
# weights and without; a server that is quiesced, added and deleted while a load runs.
# timeout: 300

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up load client 10.0.0.2
servers_up A B C

all='rr wrr lc wlc sed nq fo ovf lblc lblcr dh sh mh twos ewma oneip'
# Connections outlive their service, and a destination that comes back takes them back: every service has a port of
# its own.
vip=10.1.0.100

# held NAME ADDRESS WANTED: as many connections as words are wanted, which stay open.
held() {
	local words
	read -ra words <<<"$3"
	check_eq "$1" "$(client hold kept tcp "${2%:*}" "${2##*:}" ${#words[@]})" "$3"
}

# shares WORDS: how often each server answered: "A 4 B 2".
shares() {
	tr ' ' '\n' <<<"$1" | sort | uniq -c | awk '{ printf "%s%s %d", (NR > 1 ? " " : ""), $2, $1 }'
}

# --- orders of loads ---------------------------------------------------------------------------------------

service -t $vip:80 sed -- A:m:1 B:i:2 C:g:1
held 'sed: (active + 1) / weight' $vip:80 'B A B C B A B C'
client close kept >/dev/null

service -t $vip:8000 nq -- A:m:1 B:i:1 C:g:3
held 'nq: idle ones first, whatever the weights' $vip:8000 'A B C C C C C A'
client close kept B >/dev/null
check_soon 'nq: B is idle again' 'A 2/0 B 0/1 C 5/0' connections -t $vip:8000
held 'nq: an idle one before a mightier one' $vip:8000 'B'
client close kept >/dev/null

service -t $vip:8080 fo -- A:m:1 B:i:7 C:g:3
held 'fo: the greatest weight gets all' $vip:8080 'B B B B'
must destination -e -t $vip:8080 B:i:0
held 'fo: the next one when it is quiesced' $vip:8080 'C C'
must destination -e -t $vip:8080 A:m:5
held 'fo: an edited weight' $vip:8080 'A A'
must destination -e -t $vip:8080 B:i:7
held 'fo: the first one again' $vip:8080 'B'
client close kept >/dev/null

service -t 10.1.0.101:80 ovf -- A:m:1 B:i:2 C:g:1
held 'ovf: full ones flow over' 10.1.0.101:80 'B B B A A C C refused'
client close kept >/dev/null

# --- hashes ------------------------------------------------------------------------------------------------

# One client is one server's; a hundred clients are spread over all, by their weights; the same after the
# service was made anew.
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
	check_match "$scheduler: one client, one server" "$(client get tcp "${at%:*}" "${at##*:}" 6)" \
		'A A A A A A|B B B B B B|C C C C C C'
	before=$(tenants $at)
	check_match "$scheduler: many clients, all servers" "$(shares "$before")" 'A [1-9][0-9]* B [1-9][0-9]* C [1-9][0-9]*'
	must lvs -D -t $at
	service -t $at "$scheduler" -- A:m:1:80 B:m:1:80 C:m:1:80
	check_eq "$scheduler: the same after a new beginning" "$(tenants $at)" "$before"
	must destination -e -t $at B:m:0:80
	case $scheduler in
	oneip) wanted=${before//B/[AC]} ;;
	*) wanted=${before//B/refused} ;;
	esac
	check_match "$scheduler: without B nobody else moves" "$(tenants $at)" "$wanted"
	if [ "$scheduler" != oneip ]; then
		must lvs -E -t $at -s "$scheduler" -b "$scheduler-fallback"
		check_match "$scheduler: those of B go elsewhere where that is wanted" "$(tenants $at)" "${before//B/[AC]}"
	else
		must destination -d -t $at B:m:0:80
		check_match 'oneip: nor when it is deleted' "$(tenants $at)" "${before//B/[AC]}"
		must destination -a -t $at B:m:1:80
	fi
	must destination -e -t $at B:m:1:80
	check_eq "$scheduler: with B it is as it was" "$(tenants $at)" "$before"
done

for scheduler in sh mh; do
	at=10.1.0.102:$((port++))
	service -t $at "$scheduler" -b "$scheduler-port" -- A:m:1:80 B:m:1:80 C:m:1:80
	check_match "$scheduler-port: one client, all servers" "$(shares "$(client get tcp "${at%:*}" "${at##*:}" 40)")" \
		'A [1-9][0-9]* B [1-9][0-9]* C [1-9][0-9]*'
done

# --- by the address that was asked for ---------------------------------------------------------------------

# A service on a firewall mark, of four addresses.
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
	check_match "$scheduler: each address has its server" "$first" '( [ABC]){4}'
	check_eq "$scheduler: and keeps it" "$second" "$first"
	must lvs -D -f 7
done
must on director nft delete table ip marks

# --- chance ------------------------------------------------------------------------------------------------

service -t 10.1.0.103:80 twos -- A:m:1 B:i:1 C:g:1
client hold kept tcp 10.1.0.103 80 30 >/dev/null
check_match 'twos: nearly equal' "$(connections -t 10.1.0.103:80)" 'A ([89]|1[0-2])/0 B ([89]|1[0-2])/0 C ([89]|1[0-2])/0'
client close kept >/dev/null
service -t 10.1.0.103:8000 twos -- A:m:4 B:i:1 C:g:0
client hold kept tcp 10.1.0.103 8000 30 >/dev/null
check_match 'twos: by weights' "$(connections -t 10.1.0.103:8000)" 'A 2[0-9]/0 B [1-9]/0 C 0/0'
client close kept >/dev/null

# --- sequences that begin anywhere -------------------------------------------------------------------------

# begun SCHEDULER PERIOD: makes services of A, B and C until they have begun at two places at least; each goes on in
# that order.
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
check_eq 'rr: in order, from anywhere' "$(begun rr 'A B C')" '12, from several'
check_eq 'wrr: in order, from anywhere' "$(begun wrr 'A A B A B C')" '12, from several'

# --- the example of the documentation ----------------------------------------------------------------------

# Built by itself, against what ipvs_rs was built with.
service -t 10.1.0.101:8080 first -- A:m:1:80 B:i:1 C:g:1
check 'first: loaded by its name' loaded "${IPVS_MODULE}_first"
check_eq 'first: the first server has all' "$(client get tcp 10.1.0.101 8080 4)" 'A A A A'
must destination -e -t 10.1.0.101:8080 A:m:0:80
check_eq 'first: the next one when it is quiesced' "$(client get tcp 10.1.0.101 8080 4)" 'B B B B'
must destination -d -t 10.1.0.101:8080 B:i:1
check_eq 'first: the next one when it is gone' "$(client get tcp 10.1.0.101 8080 4)" 'C C C C'
must lvs -D -t 10.1.0.101:8080
check 'first: its module goes' wait_for 10 rmmod "${IPVS_MODULE}_first"

# --- changes under load ------------------------------------------------------------------------------------

more() {
	local was
	was=$(ask load progress x)
	wait_for 30 eval "[ \$(ask load progress x) -gt $((was + 6)) ]" || note 'the load stands still'
}
# drained SERVER: no connection to it is active.
# shellcheck disable=SC2317 # called through wait_for
drained() { [[ $(connections -t "$at") == *"$1 0/"* ]]; }
port=8080
for scheduler in $all; do
	# One-client schedulers have one server for the load; what is quiesced is another one then. Weights are high, so
	# that nothing flows over.
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
	# Its clients are refused by dh, so it is not the one that is quiesced.
	[ "$scheduler" = dh ] || must destination -e -t $at B:m:0:80
	more
	# Packets to a deleted server are dropped, so its last connection must have ended.
	[ "$scheduler" = dh ] || wait_for 30 drained B || note 'B does not drain'
	[ "$scheduler" = dh ] || must destination -d -t $at B:m:0:80
	more
	check_match "$scheduler: changes under load, every connection is answered" "$(ask load stop x)" \
		'([ABC]=[0-9]+ ?)+'
	check "$scheduler: its module is in use" loaded "${IPVS_MODULE}_$scheduler"
done
flush

for scheduler in $all; do
	check "$scheduler: its module goes" wait_for 10 rmmod "${IPVS_MODULE}_$scheduler"
done
check_fails 'a scheduler that nobody has' 'scheduler' lvs -A -t $vip:80 -s nobody

finish
