#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# IPsec policies on the director hold for balanced packets: policies that block, for both
# directions, and ESP to a real server by NAT and by tunnel. With the short cut and without it, for
# both families.
# timeout: 200
# check: debug, because the kernel's policies have the same place on both kernels

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe -a xfrm_user esp4 esp6 authenc cbc 2>/dev/null
topology_up
client_up client
servers_up A B C

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
modes='1 0'
ours || modes=0
short_cut() { ! ours || sysctls director net.ipv4.vs.short_cut="$1"; }

rows=('m NAT 10.1.0.100 10.2.0.11 10.2.0.1' 'i TUN 10.1.0.101 10.3.0.11 10.1.0.1' 'g DR 10.1.0.102 10.1.0.11 10.1.0.1')
for row in "${rows[@]}"; do
	read -r method title vip _ _ <<<"$row"
	for address in "$vip" "[$(six "$vip")]"; do
		service -u "$address:8000" rr -- A:"$method":1
		service -t "$address:80" rr -- A:"$method":1
	done
done

# in_family FAMILY ADDRESS: the address, or the one of IPv6 that goes with it.
in_family() { if [ "$1" = 4 ]; then echo "$2"; else six "$2"; fi; }
policy() {
	local host=$1
	shift
	must on "$host" ip xfrm policy "$@"
}
no_ipsec() {
	local host
	for host in director A; do
		must on $host ip xfrm policy flush
		must on $host ip xfrm state flush
	done
}

# --- block policies --------------------------------------------------------------------------

client patience 0.7 >/dev/null
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		vip=$(in_family $family 10.1.0.100) real=$(in_family $family 10.2.0.11) me=$(in_family $family 10.0.0.1)
		what="short_cut=$mode, IPv$family"
		tag=block$mode$family
		client hold "$tag" udp "$vip" 8000 >/dev/null
		check_eq "$what: a known connection works without policies" "$(client again "$tag")" A
		policy director add src "$vip" dst "$me" dir out action block
		check_eq "$what: an output policy from the virtual address stops NAT replies" "$(client again "$tag")" timeout
		policy director delete src "$vip" dst "$me" dir out
		check_eq "$what: replies pass when the output policy is gone" "$(client again "$tag")" A
		policy director add src "$real" dst "$me" dir fwd action block
		check_eq "$what: a forward policy stops NAT replies" "$(client again "$tag")" timeout
		policy director delete src "$real" dst "$me" dir fwd
		check_eq "$what: the connection works again at the end" "$(client again "$tag")" A
		# The C director applies no policy to requests.
		if ours; then
			policy director add src "$me" dst "$real" dir out action block
			check_eq "$what: an output policy to the server stops requests" "$(client again "$tag")" timeout
			check_eq "$what: an output policy to the server stops new connections" "$(client get udp "$vip" 8000)" timeout
			policy director delete src "$me" dst "$real" dir out
			policy director add src "$me" dst "$vip" dir in action block
			check_eq "$what: an input policy stops requests" "$(client again "$tag")" timeout
			check_eq "$what: an input policy stops new connections" "$(client get udp "$vip" 8000)" timeout
			policy director delete src "$me" dst "$vip" dir in
			policy director add src "$me" dst "$vip" dir fwd action block
			check_eq "$what: a forward policy stops requests" "$(client again "$tag")" timeout
			policy director delete src "$me" dst "$vip" dir fwd
		fi
		policy director add src "$me" dst "$vip" dir out action block
		check_eq "$what: a policy for other traffic changes nothing" "$(client again "$tag") $(client get udp "$vip" 8000)" 'A A'
		no_ipsec
	done
done
client patience 10 >/dev/null

# The C director sends requests in clear text.
ours || finish

# --- ESP -------------------------------------------------------------------------------------

key=0x000102030405060708090a0b0c0d0e0f

# esp_pair MODE DIRECTOR SERVER: the security associations of both ends.
esp_pair() {
	local mode=$1 director=$2 real=$3 host
	for host in director A; do
		must on $host ip xfrm state add src "$director" dst "$real" proto esp spi 0x100 reqid 1 mode "$mode" \
			auth 'hmac(sha256)' $key enc 'cbc(aes)' $key
		must on $host ip xfrm state add src "$real" dst "$director" proto esp spi 0x200 reqid 1 mode "$mode" \
			auth 'hmac(sha256)' $key enc 'cbc(aes)' $key
	done
}
# watch: A counts what reaches it by wire as ESP, and what reaches it in clear text from the client.
watch() {
	must on A nft "add table inet watch; delete table inet watch; table inet watch { chain arrivals {
		type filter hook prerouting priority -450;
		meta l4proto esp counter comment \"esp\";
		iifname eth* meta l4proto { ipencap, ipv6 } meta secpath missing counter comment \"clear\";
		iifname eth* meta secpath missing ip saddr 10.0.0.1 counter comment \"clear\";
		iifname eth* meta secpath missing ip6 saddr fd00::1 counter comment \"clear\"; }; }"
}
seen() {
	on A nft list table inet watch | awk -v name="\"$1\"" '
		$NF == name { for (n = 1; n < NF; n++) if ($n == "packets") sum += $(n + 1) }
		END { print (sum > 0 ? "some" : "none") }'
}

for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		me=$(in_family $family 10.0.0.1)
		prefix=$([ $family = 4 ] && echo 32 || echo 128)
		for row in "${rows[@]}"; do
			read -r method title vip real director <<<"$row"
			[ "$method" != g ] || continue
			vip=$(in_family $family "$vip") real=$(in_family $family "$real") director=$(in_family $family "$director")
			what="short_cut=$mode, IPv$family, $title"
			if [ "$method" = m ]; then
				# A tunnel of IPsec between director and server carries the packets.
				esp_pair tunnel "$director" "$real"
				template=(tmpl proto esp reqid 1 mode tunnel)
				policy director add src "$me/$prefix" dst "$real/$prefix" dir out "${template[@]:0:1}" src "$director" dst "$real" "${template[@]:1}"
				policy director add src "$real/$prefix" dst "$me/$prefix" dir fwd "${template[@]:0:1}" src "$real" dst "$director" "${template[@]:1}"
				policy A add src "$me/$prefix" dst "$real/$prefix" dir in "${template[@]:0:1}" src "$director" dst "$real" "${template[@]:1}"
				policy A add src "$real/$prefix" dst "$me/$prefix" dir out "${template[@]:0:1}" src "$real" dst "$director" "${template[@]:1}"
			else
				# The tunnel's own packets are protected.
				esp_pair transport "$director" "$real"
				policy director add src "$director/$prefix" dst "$real/$prefix" dir out tmpl proto esp reqid 1 mode transport
				policy A add src "$director/$prefix" dst "$real/$prefix" dir in tmpl proto esp reqid 1 mode transport
			fi
			watch
			check_eq "$what: ESP carries UDP" "$(client get udp "$vip" 8000 2)" 'A A'
			check_eq "$what: ESP carries a known connection" \
				"$(client hold "esp$mode$family$method" udp "$vip" 8000) $(client again "esp$mode$family$method")" 'A A'
			check_eq "$what: ESP carries TCP bodies" "$(client body "$vip" 80 1 20001)" 'A A'
			check_eq "$what: the server received ESP" "$(seen esp)" some
			check_eq "$what: the server received nothing in clear text" "$(seen clear)" none
			no_ipsec
		done
	done
done
finish
