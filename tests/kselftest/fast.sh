# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # names of lib.sh
#
# What the scripts about the fast path share. They read this file after lib.sh.

settings=/proc/sys/net/ipv4/vs

# set_to NAME VALUE: sets it with one write, as sysctl does.
set_to() { on director bash -c "echo '$2' >$settings/$1"; }

# status NAME: prints a number of the fast path, or nothing.
status() { on director sed -n "s/^Fast path $1:\t//p" /proc/net/ip_vs_status; }

# The methods, an address for each, and how many packets of an exchange come by the director.
rows=('m NAT 10.1.0.100 2' 'i TUN 10.1.0.101 1' 'g DR 10.1.0.102 1')

# known_flows: creates services of each method, and opens flows that stay.
known_flows() {
	local row method title vip
	for row in "${rows[@]}"; do
		read -r method title vip _ <<<"$row"
		service -u "$vip:8000" rr -- A:"$method":1
		service -t "$vip:80" rr -- A:"$method":1
		service -u "[$(six "$vip")]:8000" rr -- A:"$method":1
		client hold "$title" udp "$vip" 8000 >/dev/null
		client hold "${title}6" udp "$(six "$vip")" 8000 >/dev/null
		client hold "${title}tcp" tcp "$vip" 80 >/dev/null
	done
}
