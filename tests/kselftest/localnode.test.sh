#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Real servers and clients on the director itself, for both families, with and without the short
# cut.
# timeout: 120
# check: debug, because both kernels deliver alike to the host

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up inside director 10.1.0.1
# Answers from a virtual address of the director, for clients on the director.
sysctls director net.ipv4.conf.{all,eth0,eth1}.accept_local=1
servers_up A B C director

# here ADDRESS METHOD[:PORT]: adds the director itself to the services.
here() {
	local option address=$1 method=${2%%:*} port=
	[[ $2 != *:* ]] || port=:${2#*:}
	for option in -t -u; do must lvs -a $option "$address" -r "$own$port" -"$method" -w 1; done
}

# The address of a server that becomes one of the director's. A new director each time: it keeps
# what it has found out.
for family in 4 6; do
	vip=10.1.0.103 at=10.1.0.103 later=10.1.0.77 address=10.1.0.77/32
	[ $family = 4 ] || { vip=$(six $vip) at="[$vip]" later="[$(six $later)]" address=$(six 10.1.0.77)/128; }
	for option in -t -u; do
		service $option "$at:80" rr --
		must lvs -a $option "$at:80" -r "$later:8000" -m
	done
	must on director ip address add "$address" dev eth0
	client patience 1 >/dev/null
	check_soon "IPv$family: an address that becomes local later is a server on the director" director client get udp "$vip" 80
	client patience 10 >/dev/null
	check_eq "IPv$family: a server on the director serves connections" "$(client get tcp "$vip" 80 2)" 'director director'
	must on director ip address delete "$address" dev eth0
	flush
	unload_all "$IPVS_MODULE"
	must module_load "$IPVS_MODULE"
done

modes='1 0'
[ "$IPVS_MODULE" != ip_vs ] || modes=1

for family in 4 6; do
	vip=10.1.0.100 at=10.1.0.100 own=10.1.0.1 second=10.1.0.101 sat=10.1.0.101 third=10.1.0.102 tat=10.1.0.102
	if [ $family = 6 ]; then
		vip=$(six $vip) at="[$(six $at)]" own="[$(six $own)]" second=$(six $second) sat="[$(six $sat)]"
		third=$(six $third) tat="[$(six $tat)]"
	fi
	for option in -t -u; do
		service $option "$at:80" rr --
		service $option "$sat:80" rr -- A:m:1
		service $option "$tat:80" rr -- A:m:1 B:i:1 C:g:1
	done
	for mode in $modes; do
		[ "$IPVS_MODULE" = ip_vs ] || sysctls director net.ipv4.vs.short_cut="$mode"
		what="IPv$family, way $mode"
		here "$at:80" m:8000
		for protocol in tcp udp; do
			check_eq "$what, NAT $protocol: the director serves" "$(client get $protocol "$vip" 80 3)" 'director director director'
			check_eq "$what, NAT $protocol: the director is reached at the expected address" "$(client seen $protocol "$vip" 80)" "$own:8000"
		done
		check_eq "$what, NAT: large bodies arrive" "$(client body "$vip" 80 1 100001)" 'director director'
		check_eq "$what, NAT: datagrams arrive" "$(client datagrams "$vip" 80 0-16 1400)" 'director=18'
		check_eq "$what, NAT: a client on the director is served" "$(ask inside get tcp "$vip" 80 2) $(ask inside get udp "$vip" 80 2)" \
			'director director director director'
		for option in -t -u; do must lvs -d $option "$at:80" -r "$own:8000"; done

		for method in g i; do
			here "$at:80" $method:80
			for protocol in tcp udp; do
				check_eq "$what, -$method $protocol: the director serves" "$(client get $protocol "$vip" 80 2)" 'director director'
				check_eq "$what, -$method $protocol: the director is reached at the expected address" "$(client seen $protocol "$vip" 80)" "$at:80"
			done
			check_eq "$what, -$method: large bodies arrive" "$(client body "$vip" 80 100001)" 'director'
			for option in -t -u; do must lvs -d $option "$at:80" -r "$own:80"; done
		done

		here "$sat:80" m:8080
		check_match "$what: the director takes turns with another server" \
			"$(client get tcp "$second" 80 4) $(client get udp "$second" 80 2)" \
			'(A director A director|director A director A) (A director|director A)'
		for option in -t -u; do must lvs -d $option "$sat:80" -r "$own:8080"; done

		for protocol in tcp udp; do
			check_eq "$what: clients on the director are balanced, $protocol" "$(ask inside get $protocol "$third" 80 6)" 'A B C A B C'
		done
		check_eq "$what: clients on the director exchange large bodies" "$(ask inside body "$third" 80 100001 3 100001)" 'A B C'
		check_eq "$what: clients on the director exchange datagrams" "$(for n in 1 2 3; do ask inside datagrams "$third" 80 0-8 1400; done | xargs)" \
			'A=10 B=10 C=10'
		check_eq "$what: other clients are balanced as before" "$(client get tcp "$third" 80 3)" 'A B C'
	done
	check_soon "IPv$family: connections of clients on the director are counted" "$((12 * $(wc -w <<<"$modes")))" \
		eval "scheduled -t '$tat:80' | cut -d' ' -f1"
	flush
done
finish
