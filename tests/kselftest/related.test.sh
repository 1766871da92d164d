#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# IPsec between clients and virtual addresses: packets of ESP and AH go to the server of the ISAKMP
# flow of their hosts, by every method, and keep the flow alive. Handmade packets, and the kernel's
# own ESP and AH with static keys. The C director runs the same script.
# timeout: 1500
# check: debug, because sync.test.sh has FTP on the stock kernel

# Functions are called through eval.
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe -a xfrm_user esp4 esp6 ah4 ah6 authenc cbc 2>/dev/null
topology_up
ours() { [ "$IPVS_MODULE" != ip_vs ]; }

rows=('m NAT 10.1.0.101 10.2.0.11' 'i TUN 10.1.0.102 10.3.0.11' 'g DR 10.1.0.103 10.1.0.11')
services() {
	local row method vip
	for row in "${rows[@]}"; do
		read -r method _ vip _ <<<"$row"
		service -u "$vip:500" rr -- A:"$method":1
		service -u "[$(six "$vip")]:500" rr -- A:"$method":1
	done
}
services
must lvs --set 0 0 60

# --- handmade packets -----------------------------------------------------------------------------

# Seconds until the flow's entry ends.
left() { on director awk '$1 == "UDP" { print $9 }' /proc/net/ip_vs_conn; }

# The expected lines: without a flow nothing, then the addresses.
lines() {
	local method=$1 vip=$2 real=$3 version=4 me=10.0.0.1 name
	for version in 4 6; do
		for name in ESP AH; do echo "IPv$version $name: C nothing"; done
		for name in ESP AH; do
			case $method/$version/$name in
			# In IPv6, AH is one of the extension headers.
			*/6/AH) echo "IPv6 AH known: C nothing" ;;
			# AH covers the addresses, so it is left to the host.
			m/4/AH) echo "IPv4 AH known: C nothing" ;;
			m/*) echo "IPv$version $name known: C $me $real" ;;
			*) echo "IPv$version $name known: C $me $vip" ;;
			esac
			case $method/$version/$name in
			m/*/ESP) echo "IPv$version ESP known: S $vip $me" ;;
			# It is forwarded as any other packet is.
			m/*/AH) echo "IPv$version AH known: S $real $me" ;;
			esac
		done
		if [ "$method" = m ]; then
			echo "IPv$version ESP fragment: C $me $real"
			echo "IPv$version ESP fragment: C $me $real"
		else
			# The C director waits for the last one, and sends the packet whole.
			if ours; then echo "IPv$version ESP fragment: C $me $vip"; else echo "IPv$version ESP fragment: C nothing"; fi
			echo "IPv$version ESP fragment: C $me $vip"
		fi
		vip=$(six "$vip") real=$(six "$real") me=$(six $me)
	done
}
for row in "${rows[@]}"; do
	read -r method title vip real <<<"$row"
	# The C director translates AH, which no receiver accepts.
	! ours && [ "$method" = m ] && continue
	check_eq "$title: packets of ESP and AH follow the ISAKMP flow" \
		"$(python3 "$here/related.py" "$method" 2>&1)" "$(lines "$method" "$vip" "$real")"
done
flush
wait_for 100 eval '[ -z "$(left)" ]'

# --- the kernel's own -----------------------------------------------------------------------------

# secure PROTOCOL HOST VIRTUAL SERVER: keys for pings from the client to the virtual address. SERVER
# is the address that the real server sees.
key=0x000102030405060708090a0b0c0d0e0f
secure() {
	local protocol=$1 host=$2 virtual=$3 real=$4 me=10.0.0.1 icmp=icmp keys
	[[ $virtual != *:* ]] || me=fd00::1 icmp=58
	keys=(auth 'hmac(sha256)' "$key")
	[ "$protocol" = ah ] || keys+=(enc 'cbc(aes)' "$key")
	# At the client, then at the server: states and policies for both directions.
	local end local_end remote
	for end in client "$host"; do
		if [ "$end" = client ]; then local_end=$me remote=$virtual; else local_end=$real remote=$me; fi
		must on "$end" ip xfrm state add src $local_end dst "$remote" proto "$protocol" spi 0x100 mode transport "${keys[@]}"
		must on "$end" ip xfrm state add src "$remote" dst "$local_end" proto "$protocol" spi 0x100 mode transport "${keys[@]}"
		must on "$end" ip xfrm policy add src "$local_end" dst "$remote" proto $icmp dir out tmpl proto "$protocol" mode transport
		must on "$end" ip xfrm policy add src "$remote" dst "$local_end" proto $icmp dir in tmpl proto "$protocol" mode transport
	done
}
insecure() {
	local host
	for host in client A; do
		on $host ip xfrm policy flush
		on $host ip xfrm state flush
	done
}
# ping_once VIRTUAL CLIENT
ping_once() {
	if on client ping -n -c 1 -W $((3 * TIME_SCALE)) -I "$2" "$1" >/dev/null 2>&1; then echo answer; else echo silence; fi
}
negotiate() {
	on client python3 -c 'import socket, sys
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[2], 500))
sock.sendto(b"keys", (sys.argv[1], 500))' "$1" "$2"
}

protocols=esp
! modinfo ah4 >/dev/null 2>&1 || protocols+=' ah'
for protocol in $protocols; do
	for row in "${rows[@]}"; do
		read -r method title vip real <<<"$row"
		[ "$method" = m ] || real=$vip
		for family in 4 6; do
			me=10.0.0.1
			if [ $family = 6 ]; then
				vip=$(six "$vip") real=$(six "$real") me=$(six $me)
				# ICMPv6 and AH cover addresses; in IPv6, AH is an extension header.
				case $method$protocol in m* | *ah) continue ;; esac
			elif [ "$method$protocol" = mah ]; then
				continue
			fi
			services
			secure "$protocol" A "$vip" "$real"
			what="$title, IPv$family, $protocol"
			check_eq "$what: without an ISAKMP flow no server answers a ping" "$(ping_once "$vip" "$me")" silence
			negotiate "$vip" "$me"
			check_eq "$what: with the flow the server answers a ping" "$(ping_once "$vip" "$me")" answer
			sleep 20
			check_match "$what: the flow ages" "$(left)" '3[0-9]|4[01]'
			check_eq "$what: the server answers another ping" "$(ping_once "$vip" "$me")" answer
			check_match "$what: a ping keeps the flow alive" "$(left)" '5[0-9]|6[01]'
			insecure
			flush
			wait_for 100 eval '[ -z "$(left)" ]'
		done
	done
done
finish
