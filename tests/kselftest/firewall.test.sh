#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Balanced packets and the firewall: the chains that packets of both families and ICMP errors pass,
# with and without the short cut, and the packets that a rule in each chain stops.
# timeout: 240
# check: debug, because hooks have the same order on both kernels

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_up A B C

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
# The C director has no short cut.
modes='1 0'
ours || modes=0
short_cut() { ! ours || sysctls director net.ipv4.vs.short_cut="$1"; }

rows=('m NAT 10.1.0.100' 'i TUN 10.1.0.101' 'g DR 10.1.0.102')
for row in "${rows[@]}"; do
	read -r method title vip <<<"$row"
	for at in "$vip" "[$(six "$vip")]"; do
		service -u "$at:8000" rr -- A:"$method":1
		service -t "$at:80" rr -- A:"$method":1
	done
done

# --- chains ---------------------------------------------------------------------------------------

# One chain in each hook, and one before the director's place in PREROUTING. They match the IPv4 or
# IPv6 addresses before and after the rewrite.
watch() {
	local hook priority
	{
		echo 'table inet watch'
		echo 'delete table inet watch'
		echo 'table inet watch {'
		for hook in early prerouting input forward output postrouting; do
			priority=filter
			[ $hook != early ] || priority=-103
			echo "chain $hook {"
			echo "type filter hook ${hook/early/prerouting} priority $priority"
			for client in 'ip %s 10.0.0.1' 'ip6 %s fd00::1'; do
				# shellcheck disable=SC2059
				echo "$(printf "$client" saddr) udp dport 8000 counter comment \"request $hook\""
				# shellcheck disable=SC2059
				echo "$(printf "$client" daddr) udp sport 8000 counter comment \"reply $hook\""
				# shellcheck disable=SC2059
				echo "$(printf "$client" daddr) meta l4proto { icmp, icmpv6 } counter comment \"error $hook\""
			done
			echo "ip daddr 10.3.0.11 meta l4proto 4 counter comment \"request $hook\""
			echo "ip6 daddr fd00:0:0:3::11 meta l4proto 41 counter comment \"request $hook\""
			echo '}'
		done
		echo '}'
	} >"$work/watch"
	must on director nft -f "$work/watch"
}
# met request|reply|error: prints the chains that such a packet passed since `watch`. A chain with
# more than one packet is shown with the number.
met() {
	on director nft list table inet watch | sed -n "s/.*counter packets \([1-9][0-9]*\) .*comment \"$1 \(.*\)\"/\2*\1/p" |
		sed 's/\*1$//' | xargs
}

for mode in $modes; do
	short_cut "$mode"
	for row in "${rows[@]}"; do
		read -r method title vip <<<"$row"
		for address in $vip $(six "$vip"); do
			what="short_cut=$mode, $title, $address"
			way=postrouting
			[ "$method" != i ] || way='output postrouting'
			new="early prerouting input $way"
			known=$new reply='early prerouting forward postrouting'
			if [ "$mode" = 1 ]; then known="early $way" reply='early postrouting'; fi
			# All packets of the C director pass OUTPUT. A tunnel's packet passes once,
			# as the outer packet.
			ours || { new='early prerouting input output postrouting' known=$new; }
			[ "$method" = m ] || reply=
			watch
			check_eq "$what: a new flow is served" "$(client hold "$title$mode$address" udp "$address" 8000)" A
			check_eq "$what: the first packet passes the expected chains" "$(met request)" "$new"
			check_eq "$what: the first answer passes the expected chains" "$(met reply)" "$reply"
			watch
			check_eq "$what: a known flow is served" "$(client again "$title$mode$address")" A
			check_eq "$what: a packet of a known flow passes the expected chains" "$(met request)" "$known"
			check_eq "$what: an answer of a known flow passes the expected chains" "$(met reply)" "$reply"
		done
	done
	for pair in '10.1.0.100 10.2.0.11 3 3' 'fd00:0:0:1::100 fd00:0:0:2::11 1 4'; do
		read -r address server kind code <<<"$pair"
		ask errors open "e$mode$address" udp "$address" 8000 >/dev/null
		watch
		check_match "short_cut=$mode, $address: an ICMP error of a server reaches the client" \
			"$(ask errors from_server "e$mode$address" "$server" 8000 "$kind" "$code" 0 8)" "from $address $kind/$code/0 .*"
		# Few packets are errors, so they may pass the usual chains or take the short cut.
		check_match "short_cut=$mode, $address: an ICMP error passes the expected chains" "$(met error)" \
			'early (prerouting forward )?postrouting'
	done
done
must on director nft delete table inet watch

# --- packets that a rule stops --------------------------------------------------------------------

client patience 0.7 >/dev/null
for mode in $modes; do
	short_cut "$mode"
	for row in "${rows[@]}"; do
		read -r method title vip <<<"$row"
		for address in $vip $(six "$vip"); do
			what="short_cut=$mode, $title, $address"
			tag=w$mode$title$address
			client hold "$tag" udp "$address" 8000 >/dev/null
			# In POSTROUTING, NAT and DR show the packet itself. TUN shows it inside an
			# outer packet.
			if [ "$method" != i ]; then
				must on director nft 'table inet wall { chain wall { type filter hook postrouting priority filter;
					ip saddr 10.0.0.1 udp dport 8000 drop; ip6 saddr fd00::1 udp dport 8000 drop; }; }'
				check_eq "$what: a rule in POSTROUTING stops a known flow" "$(client again "$tag")" timeout
				must on director nft delete table inet wall
			fi
			must on director nft 'table inet wall { chain wall { type filter hook input priority filter;
				ip saddr 10.0.0.1 udp dport 8000 drop; ip6 saddr fd00::1 udp dport 8000 drop; }; }'
			wanted=timeout
			[ "$mode" = 0 ] || wanted=A
			check_eq "$what: a rule in INPUT affects a known flow as documented" "$(client again "$tag")" $wanted
			check_eq "$what: a rule in INPUT stops a new flow" "$(client get udp "$address" 8000)" timeout
			must on director nft delete table inet wall
			check_eq "$what: the flow continues once the rule is removed" "$(client again "$tag")" A
		done
	done
done
client patience 10 >/dev/null
finish
