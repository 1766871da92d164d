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

# again TAG: prints the answers of a known flow, and how many packets took the fast path. Some
# scripts count other packets, with a function of their own.
again() {
	local before answers
	before=$(status packets)
	answers=$(ask "${asked:-client}" again "$1")
	echo "$answers, $(($(status packets) - before))"
}

# learned TAG NUMBER: repeats a flow until that many packets of it take the fast path.
learned() { check_soon "$1: packets of a known flow take the fast path" "A, $2" again "$1"; }

# --- network cards --------------------------------------------------------------------------------

# cards_up: two network cards without hardware with XDP, in a namespace of their own. On kernels
# without type information, they call the director themselves.
cards_up() {
	must ip netns add cards
	hosts+=' cards'
	batch -n cards <<-END
		link set lo up
		link add front type bench_nic
		link add back type bench_nic
		link set front up
		link set back up
		address add 10.8.0.1/24 dev front
		address add 10.9.0.1/24 dev back
		address add 10.8.1.1/32 dev lo
		neigh replace 10.8.0.2 lladdr 02:00:00:00:00:99 nud permanent dev front
		neigh replace 10.9.0.11 lladdr 02:00:00:00:00:99 nud permanent dev back
		address add fd00:8::1/64 dev front nodad
		address add fd00:9::1/64 dev back nodad
		address add fd00:8:1::1/128 dev lo
		neigh replace fd00:8::2 lladdr 02:00:00:00:00:99 nud permanent dev front
		neigh replace fd00:9::11 lladdr 02:00:00:00:00:99 nud permanent dev back
	END
	sysctls cards net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,front,back}.rp_filter=0
	must on cards lvsadm -R <<-END
		-A -u 10.8.1.1:80 -s rr
		-a -u 10.8.1.1:80 -r 10.9.0.11:80 -m
		-A -u 10.8.1.1:81 -s rr
		-a -u 10.8.1.1:81 -r 10.8.0.2:81 -g
		-A -u 10.8.1.1:82 -s rr
		-a -u 10.8.1.1:82 -r 10.9.0.11:82 -i
		-A -u 10.8.1.1:83 -s rr
		-a -u 10.8.1.1:83 -r 10.9.0.11:83 -i --tun-type gue --tun-port 6080
		-A -u 10.8.1.1:85 -s rr
		-a -u 10.8.1.1:85 -r 10.9.0.11:85 -i --tun-type gue --tun-port 6080 --tun-csum
		-A -u 10.8.1.1:86 -s rr
		-a -u 10.8.1.1:86 -r 10.9.0.11:86 -i --tun-type gre
		-A -u [fd00:8:1::1]:83 -s rr
		-a -u [fd00:8:1::1]:83 -r [fd00:9::11]:83 -i --tun-type gue --tun-port 6080
		-A -u [fd00:8:1::1]:80 -s rr
		-a -u [fd00:8:1::1]:80 -r [fd00:9::11]:80 -m
		-A -u [fd00:8:1::1]:82 -s rr
		-a -u [fd00:8:1::1]:82 -r [fd00:9::11]:82 -i
		-A -u [fd00:8:1::1]:84 -s rr
		-a -u [fd00:8:1::1]:84 -r 10.9.0.11:84 -i
	END
	if [ -e /sys/kernel/btf/vmlinux ]; then
		must on cards bash -c "echo 2 >$settings/fast_path"
		check 'the program is attached to a card' on cards lvsadm fast-path --attach front
		check 'the program is attached to a second card' on cards lvsadm fast-path --attach back
	else
		echo 1 >/sys/module/bench_nic/parameters/direct
		must on cards bash -c "echo 2 >$settings/fast_path"
	fi
}

# cards_unload: unloads the module of the cards, when they are deleted.
cards_unload() {
	[ -e /sys/kernel/btf/vmlinux ] || echo 0 >/sys/module/bench_nic/parameters/direct
	# The namespace ends in the background.
	wait_for 20 rmmod bench_nic || must rmmod bench_nic
}

# card_status NAME: prints a number of the fast path of the cards' director.
card_status() {
	local number
	number=$(on cards sed -n "s/^Fast path $1:\t//p" /proc/net/ip_vs_status)
	echo "${number:-0}"
}

# received WANTED TITLE ARGUMENTS: checks how many of the frames that come in are sent on, and how
# many of them XDP takes.
received() {
	local wanted=$1 title=$2 before
	shift 2
	before=$(card_status frames)
	check_eq "$title" "$(on cards python3 "$here/frames.py" "$@" 2>&1) $(($(card_status frames) - before))" "$wanted"
}
