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
