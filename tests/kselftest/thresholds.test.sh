#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Upper and lower thresholds. A server at its upper threshold is overloaded. It gets no new
# connections until it falls below its lower threshold, or below three quarters of the upper one if
# the lower one is 0.
# timeout: 90
# kernel: debug, because numbers do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

# limited OPTION ADDRESS UPPER LOWER: sets the thresholds of A and B.
limited() {
	local server
	service "$1" "$2" rr -- A:m:1 B:m:1
	for server in A B; do
		server_options $server:m:1 "$2"
		must lvs -e "$1" "$2" "${server[@]}" -x "$3" -y "$4"
	done
}

for family in 4 6; do
	vip=10.1.0.100 at=10.1.0.100 lower=10.1.0.101 lat=10.1.0.101
	if [ $family = 6 ]; then vip=$(six $vip) at="[$vip]" lower=$(six $lower) lat="[$lower]"; fi

	limited -t "$at:80" 2 0
	check_eq "IPv$family: the servers take as many connections as the upper thresholds allow" "$(client hold full tcp "$vip" 80 4)" 'A B A B'
	check_eq "IPv$family: a further connection is refused" "$(client get tcp "$vip" 80)" refused
	check_eq "IPv$family: open connections continue" "$(client again full)" 'A B A B'
	check_eq "IPv$family: thresholds are listed" \
		"$(lvs -L -n --thresholds -t "$at:80" | awk "$names"'$1 == "->" && $2 ~ /^[[0-9]/ { print name($2), $3, $4 }' | sort | xargs)" \
		'A 2 0 B 2 0'
	server_options B:m:1 "$at:80"
	must lvs -e -t "$at:80" "${server[@]}" -x 3
	check_eq "IPv$family: a raised threshold allows one more connection" "$(client hold full tcp "$vip" 80 2)" 'B refused'
	must lvs -e -t "$at:80" "${server[@]}" -x 0
	check_eq "IPv$family: a threshold of 0 allows any number of connections" "$(client hold full tcp "$vip" 80 2)" 'B B'
	client close full >/dev/null

	# UDP connections end only by their timeout.
	limited -u "$lat:80" 4 2
	check_eq "IPv$family: A and B take connections up to their upper thresholds" "$(client hold first udp "$lower" 80 4) $(client hold rest udp "$lower" 80 4)" \
		'A B A B A B A B'
	check_eq "IPv$family: a ninth connection is refused" "$(client get udp "$lower" 80)" refused
	must lvs --set 0 0 1
	# The first two connections of each server end. The two that remain are not below the lower
	# threshold of two.
	client again first >/dev/null
	check_soon "IPv$family: some connections end" 'A 0/2 B 0/2' connections -u "$lat:80"
	check_eq "IPv$family: the servers stay overloaded at the lower threshold" "$(client get udp "$lower" 80)" refused
	must lvs --set 0 0 300
	must lvs --set 0 0 1
	client again rest >/dev/null
	check_soon "IPv$family: all connections end" 'A 0/0 B 0/0' connections -u "$lat:80"
	must lvs --set 0 0 300
	check_match "IPv$family: both servers serve again" "$(client get udp "$lower" 80 2)" '(A B|B A)'
	flush
done
finish
