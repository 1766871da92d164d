# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Functions for the tests of cached routes of either family: they open connections of each method
# and tell which network the packets to a host used. routes.test.sh and routes6.test.sh read this
# file after lib.sh and create the counters that `by` reads.

# by HOST: prints the networks through which packets arrived since the last call.
by() {
	on "$1" nft reset rules | sed -n 's/.*counter packets [1-9].* comment "\(.*\)"/\1/p' | xargs
}

# goes NAME TITLE WAY: the known connections TITLE continue at once, and their packets reach A
# through the network WAY.
goes() {
	by A >/dev/null
	check_eq "$1" "$(client again "$2") by $(by A)" "A A by $3"
}

# all_go NAME: `goes` for each method, through its usual network.
all_go() {
	goes "NAT: $1" NAT back
	goes "TUN: $1" TUN front
	goes "DR: $1" DR front
}

# probe ADDRESS: opens a flow whose packets may be lost, without a long wait. `probed` uses it once
# and closes it, so late answers disturb no other flow.
probe() {
	client patience 0.5 >/dev/null
	client hold probe udp "$1" 80 >/dev/null
	client patience 10 >/dev/null
}
probed() {
	client again probe
	client close probe >/dev/null
}

director() { must ip -n director "$@"; }

# reaches ADDRESS…: waits until the director has resolved the addresses, so no packet is lost to
# address resolution.
reaches() {
	local address
	for address; do
		wait_for 10 on director ping -n -c 1 -W 1 "$address" || bail "the director does not reach $address"
	done
}

# connect ROW…: adds services on the address of each row ("METHOD TITLE ADDRESS") and opens
# connections to them.
connect() {
	local row method title vip at
	for row; do
		read -r method title vip <<<"$row"
		case $vip in *:*) at="[$vip]" ;; *) at=$vip ;; esac
		service -t "$at:80" rr -- A:"$method":1
		service -u "$at:80" rr -- A:"$method":1
		check_eq "$title: connections open" "$(client hold "$title" udp "$vip" 80) $(client hold "$title" tcp "$vip" 80)" 'A A'
	done
}

# under_way ROW…: succeeds when traffic of each row flows.
under_way() {
	local row title vip
	for row; do
		read -r _ title vip <<<"$row"
		[ "$(client progress "tcp$title")" -gt 3 ] && [ "$(client progress "udp$title")" -gt 3 ] || return
	done
}
gone() { ! ip -n router link show director0 && ! ip -n router link show director1; }

# director_goes ROW…: deletes the director's namespace under traffic of each row. Afterwards nothing
# holds its devices or the module.
director_goes() {
	local row title vip
	client patience 0.3 >/dev/null
	for row; do
		read -r _ title vip <<<"$row"
		client load "tcp$title" tcp "$vip" 80 1 >/dev/null
		client load "udp$title" udp "$vip" 80 1 >/dev/null
	done
	check 'traffic flows before the director is deleted' wait_for 20 under_way "$@"
	must ip netns del director
	check 'the director and its devices are deleted under traffic' wait_for 20 gone
	check 'the module can be unloaded afterwards' wait_for 20 rmmod "${IPVS_MODULE}_rr" "$IPVS_MODULE"
	for row; do
		read -r _ title _ <<<"$row"
		check_match "$title: connections were served until the deletion" "$(client stop "tcp$title"; client stop "udp$title")" $'A=.*\nA=.*'
	done
	check_eq 'the kernel does not wait for a device' "$(dmesg | grep -c 'unregister_netdevice: waiting')" 0
}
