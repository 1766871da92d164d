# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of cached routes share, for either family: connections of each method, and by which network their
# packets reach a host. Read by those scripts after lib.sh; the counters that `by` reads are theirs.

# by HOST: the networks by which something came since this was asked last.
by() {
	on "$1" nft reset rules | sed -n 's/.*counter packets [1-9].* comment "\(.*\)"/\1/p' | xargs
}

# goes NAME TITLE WAY: known connections go on with their first packets, which reach A by that way.
goes() {
	by A >/dev/null
	check_eq "$1" "$(client again "$2") by $(by A)" "A A by $3"
}

# all_go NAME
all_go() {
	goes "$1: NAT" NAT back
	goes "$1: TUN" TUN front
	goes "$1: DR" DR front
}

# For packets that will be lost: a flow of its own, which waits not long, and whose late answers disturb nobody.
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

# reaches ADDRESS…: by the director, so that nothing is lost for want of a neighbour.
reaches() {
	local address
	for address; do
		wait_for 10 on director ping -n -c 1 -W 1 "$address" || bail "the director does not reach $address"
	done
}

# connect ROW…: services on the address of each row ("METHOD TITLE ADDRESS"), and known connections to them.
connect() {
	local row method title vip at
	for row; do
		read -r method title vip <<<"$row"
		case $vip in *:*) at="[$vip]" ;; *) at=$vip ;; esac
		service -t "$at:80" rr -- A:"$method":1
		service -u "$at:80" rr -- A:"$method":1
		check_eq "$title: connections" "$(client hold "$title" udp "$vip" 80) $(client hold "$title" tcp "$vip" 80)" 'A A'
	done
}

# under_way ROW…: each row's traffic flows.
under_way() {
	local row title vip
	for row; do
		read -r _ title vip <<<"$row"
		[ "$(client progress "tcp$title")" -gt 3 ] && [ "$(client progress "udp$title")" -gt 3 ] || return
	done
}
gone() { ! ip -n router link show director0 && ! ip -n router link show director1; }

# director_goes ROW…: the director's namespace ends under traffic of each row, and nothing holds its devices or the module.
director_goes() {
	local row title vip
	client patience 0.3 >/dev/null
	for row; do
		read -r _ title vip <<<"$row"
		client load "tcp$title" tcp "$vip" 80 1 >/dev/null
		client load "udp$title" udp "$vip" 80 1 >/dev/null
	done
	check 'traffic' wait_for 20 under_way "$@"
	must ip netns del director
	check 'the director and its devices go under traffic' wait_for 20 gone
	check 'nothing holds the module' wait_for 20 rmmod "${IPVS_MODULE}_rr" "$IPVS_MODULE"
	for row; do
		read -r _ title _ <<<"$row"
		check_match "$title: connections until then" "$(client stop "tcp$title"; client stop "udp$title")" $'A=.*\nA=.*'
	done
	check_eq 'nobody waits for a device' "$(dmesg | grep -c 'unregister_netdevice: waiting')" 0
}
