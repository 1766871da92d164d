#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Upper and lower thresholds: a server at its upper one is overloaded and gets nothing new until it has fallen
# below the lower one, or three quarters of the upper one if there is none.
# timeout: 90
# kernel: stock, since it tests when a number is reached; hostile_netlink sets thresholds on the debug kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

# limited OPTION ADDRESS UPPER LOWER: A and B with thresholds.
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
	check_eq "IPv$family: as many as the upper thresholds allow" "$(client hold full tcp "$vip" 80 4)" 'A B A B'
	check_eq "IPv$family: nobody is left" "$(client get tcp "$vip" 80)" refused
	check_eq "IPv$family: those there go on" "$(client again full)" 'A B A B'
	check_eq "IPv$family: thresholds are listed" \
		"$(lvs -L -n --thresholds -t "$at:80" | awk "$names"'$1 == "->" && $2 ~ /^[[0-9]/ { print name($2), $3, $4 }' | sort | xargs)" \
		'A 2 0 B 2 0'
	server_options B:m:1 "$at:80"
	must lvs -e -t "$at:80" "${server[@]}" -x 3
	check_eq "IPv$family: a threshold that is raised" "$(client hold full tcp "$vip" 80 2)" 'B refused'
	must lvs -e -t "$at:80" "${server[@]}" -x 0
	check_eq "IPv$family: and one that is lifted" "$(client hold full tcp "$vip" 80 2)" 'B B'
	client close full >/dev/null

	# UDP, since its connections end with their timeouts alone.
	limited -u "$lat:80" 4 2
	check_eq "IPv$family: A and B are full" "$(client hold first udp "$lower" 80 4) $(client hold rest udp "$lower" 80 4)" \
		'A B A B A B A B'
	check_eq "IPv$family: there is no ninth" "$(client get udp "$lower" 80)" refused
	must lvs --set 0 0 1
	# The first two of each server end; two are not below the lower threshold of two.
	client again first >/dev/null
	check_soon "IPv$family: some have ended" 'A 0/2 B 0/2' connections -u "$lat:80"
	check_eq "IPv$family: still overloaded" "$(client get udp "$lower" 80)" refused
	must lvs --set 0 0 300
	must lvs --set 0 0 1
	client again rest >/dev/null
	check_soon "IPv$family: all have ended" 'A 0/0 B 0/0' connections -u "$lat:80"
	must lvs --set 0 0 300
	check_match "IPv$family: both serve again" "$(client get udp "$lower" 80 2)" '(A B|B A)'
	flush
done
finish
