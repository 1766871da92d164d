# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A second director, in the namespace `other`. It has wires like those of the first one, which are
# down until it takes over, and a wire to the first one: eth2, 10.5.0.1 and 10.5.0.2. Scripts about
# synchronization read this file after lib.sh.

second_director_up() {
	local host
	hosts+=' other'
	{
		echo "netns add other"
		echo "link add eth0 netns other type veth peer name other0 netns router"
		echo "link add eth1 netns other type veth peer name other1 netns router"
		echo "link add eth2 netns other type veth peer name eth2 netns director"
	} | batch
	{
		echo "link set other0 up master front"
		echo "link set other1 up master back"
	} | batch -n router
	for host in director:1 other:2; do
		{
			echo "link set lo up"
			echo "link set eth2 up"
			echo "address add 10.5.0.${host#*:}/24 dev eth2"
			echo "address add fd00:0:0:5::${host#*:}/64 dev eth2"
		} | batch -n "${host%:*}"
	done
}

# directors_up [SETTING…]: loads the module and starts both directors, with servers and a client.
# New connections are sent at once. There is no sweep in the background, so that what is lost stays
# lost, and only joining fills a table.
directors_up() {
	local host
	unload_all "$IPVS_MODULE"
	must module_load "$IPVS_MODULE"
	topology_up
	client_up client
	servers_start A B C
	second_director_up
	servers_up A B C
	for host in director other; do
		sysctls "$host" net.ipv4.vs.sync_threshold='0 1' net.ipv4.vs.sync_refresh_period=3600 "$@"
		DIRECTOR=$host service -t 10.1.0.100:80 rr -- A:m:1 B:i:1 C:g:1
	done
}

# daemon DIRECTOR ARGUMENT…: runs the command on a director.
daemon() {
	# shellcheck disable=SC2034 # lvs reads it
	local DIRECTOR=$1
	shift
	lvs "$@"
}

# listed DIRECTOR: the connections and templates without the seconds until they expire.
# shellcheck disable=SC2016 # awk has variables of its own
listed() {
	on "$1" awk 'NR > 1 { print $1, $2, $3, $4, $5, $6, $7, $8 }' /proc/net/ip_vs_conn | sort
}
are_equal() { [ "$(listed director)" = "$(listed other)" ]; }

# check_same NAME: soon both directors list the same.
check_same() {
	wait_for 20 are_equal
	check_eq "$1" "$(listed other)" "$(listed director)"
}

# status COUNTER: what the second director counted; nothing for 0.
status() { on other sed -n "s/^Sync $1:\t//p" /proc/net/ip_vs_status; }
