#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistence: one server for a client or for a network of clients, on a port, on all ports and on a
# firewall mark; the lifetime of a template; persistent clients of quiesced and removed servers. The
# two cases of the papers are here: a control and a data connection, and a session of several
# connections.
# timeout: 150
# kernel: debug, because choices do not depend on the kernel

# Other functions call these functions.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up second client 10.0.0.2
client_up third client 10.0.0.3
servers_start A B C

# templates OPTION ADDRESS: prints the persistent connections per destination: "A 1 B 0".
templates() {
	# shellcheck disable=SC2086
	lvs -L -n --persistent-conn "$1" $2 | awk "$names"'
		$1 == "->" && $2 ~ /^[[0-9]/ { count[name($2)] = $4 }
		END { for (n = 1; n <= 3; n++) { c = substr("ABC", n, 1); if (c in count) out = out " " c " " count[c] }
		      print substr(out, 2) }'
}

# gets CLIENT…: each client opens a connection to $vip:$port. Prints the servers.
# shellcheck disable=SC2031
gets() {
	local who words=()
	for who; do words+=("$(ask "$who" get "${protocol:-tcp}" "$vip" "$port")"); done
	echo "${words[*]}"
}

# in_both FUNCTION: calls the function for each family, with addresses in the formats of commands
# and of clients.
in_both() {
	local family vip at mask mark
	family=4 vip=10.1.0.100 at=10.1.0.100 mark=1
	"$@"
	family=6 vip=$(six $vip) at="[$(six $at)]" mark='1 -6'
	"$@"
}
servers_up A B C

# --- one client, one server -----------------------------------------------------------------------

per_client() {
	local port=80 option protocol
	for protocol in tcp udp; do
		option=-${protocol:0:1}
		service "$option" "$at:80" rr -p 300 -- A:m:1 B:g:1 C:i:1
		check_eq "IPv$family $protocol: each client keeps its server" \
			"$(gets client client second client second third third client)" 'A A B A B C C A'
		check_eq "IPv$family $protocol: templates are listed" "$(templates "$option" "$at:80")" 'A 1 B 1 C 1'
		check_soon "IPv$family $protocol: connections are counted" '8 4 2 2' scheduled "$option" "$at:80"
		check_match "IPv$family $protocol: the rules show the timeout" "$(configuration)" \
			"-A $option ${at//[[]/\\[}:80 -s rr -p 300"$'\n''.*'
		flush
	done
}
in_both per_client

masked() {
	local port=8000
	[ "$family" = 4 ] && mask='255.255.255.254' || mask=127
	service -t "$at:8000" rr -p 300 -M "$mask" -- A:m:1 B:m:1
	# With this mask, 10.0.0.2 and .3 are one network, and .1 is in another.
	check_eq "IPv$family: a network of clients shares one server" \
		"$(gets second third client third second client)" 'A A B A A B'
	check_eq "IPv$family: each network has one template" "$(templates -t "$at:8000")" 'A 1 B 1'
	check_match "IPv$family: the rules show the mask" "$(configuration)" \
		"-A -t ${at//[[]/\\[}:8000 -s rr -p 300 -M $mask"$'\n''.*'
	flush
}
in_both masked

# --- all ports, firewall marks --------------------------------------------------------------------

# Like FTP: a control connection, then a data connection to another port.
all_ports() {
	local port
	vip=${vip/100/101} at=${at/100/101}
	service -t "$at:0" rr -p 300 -- A:m:1 B:m:1 C:m:1
	check_eq "IPv$family: all ports: each client has its server" "$(for c in client second third; do ask "$c" hold ftp tcp "$vip" 80; done | xargs)" 'A B C'
	check_eq "IPv$family: all ports: connections to other ports reach the client's server" \
		"$(port=8000; gets third second client client; port=8080; gets client second third)" $'C B A A\nA B C'
	check_eq "IPv$family: all ports: the first connections continue" \
		"$(for c in client second third; do ask "$c" again ftp; done | xargs)" 'A B C'
	check_eq "IPv$family: all ports: each client has one template" "$(templates -t "$at:0")" 'A 1 B 1 C 1'
	for c in client second third; do ask "$c" close ftp >/dev/null; done
	service -t "$at:8080" rr -- B:g:1
	check_eq "IPv$family: a service on one port takes precedence over one on all ports" "$(port=8080; gets client second third)" 'B B B'
	flush
}
in_both all_ports

# Like HTTP and HTTPS with a shared session: one mark covers both, and each has several connections.
must on director nft -f - <<-'END'
	table inet marks {
		chain early {
			type filter hook prerouting priority mangle
			ip daddr 10.1.0.102 meta l4proto { tcp, udp } th dport { 80, 8000 } meta mark set 1
			ip6 daddr fd00:0:0:1::102 meta l4proto { tcp, udp } th dport { 80, 8000 } meta mark set 1
		}
	}
END
by_mark() {
	local port
	vip=${vip/100/102}
	service -f "$mark" rr -p 300 -- A:m:1 B:i:1 C:g:1
	check_eq "IPv$family: a mark: connections to both ports reach the client's server" \
		"$(port=80; gets client client second; port=8000; gets second client client third; port=80; gets third second)" \
		$'A A B\nB A A C\nC B'
	check_eq "IPv$family: a mark: UDP reaches the same server as TCP" "$(protocol=udp port=80; gets second client)" 'B A'
	check_eq "IPv$family: a mark: each client has one template" "$(templates -f "$mark")" 'A 1 B 1 C 1'
	flush
}
in_both by_mark

# --- lifetime of a template -----------------------------------------------------------------------

lifetime() {
	local port=8080
	vip=${vip/100/103} at=${at/100/103}
	service -t "$at:8080" rr -p 2 -- A:m:1 B:m:1
	check_eq "IPv$family: A serves a connection that stays open" "$(client hold stay tcp "$vip" 8080)" A
	sleep $((3 + TIME_SCALE))
	check_eq "IPv$family: the template of an open connection outlives its timeout" "$(gets client second client) $(templates -t "$at:8080")" 'A B A A 1 B 1'
	client close stay >/dev/null
	flush
}
in_both lifetime

# UDP has a short timeout here, so no connection keeps the template.
expires() {
	local port=80 protocol=udp
	vip=${vip/100/103} at=${at/100/103}
	service -u "$at:80" rr -p 1 -- A:m:1 B:m:1
	must lvs --set 0 0 1
	check_eq "IPv$family: a template keeps the client's server" "$(gets client client)" 'A A'
	check_soon "IPv$family: a template without connections expires" 'A 0 B 0' templates -u "$at:80"
	check_eq "IPv$family: a client without a template is scheduled again" "$(gets client client)" 'B B'
	must lvs --set 0 0 300
	flush
}
in_both expires

# --- quiesced and removed servers -----------------------------------------------------------------

leaving() {
	local port=8000
	vip=${vip/100/103} at=${at/100/103}
	service -t "$at:8000" rr -p 300 -- A:m:1 B:m:1
	check_eq "IPv$family: each client has a server" "$(gets client second)" 'A B'
	must destination -e -t "$at:8000" A:m:0
	check_eq "IPv$family: a quiesced server keeps its persistent clients" "$(gets client client)" 'A A'
	check_eq "IPv$family: a quiesced server gets no new clients" "$(gets third second)" 'B B'
	must destination -d -t "$at:8000" A:m
	check_eq "IPv$family: clients of a removed server get another server" "$(gets client client)" 'B B'
	must destination -a -t "$at:8000" A:m:1
	check_eq "IPv$family: a client stays with its new server when the former one returns" "$(gets client)" B
	flush
}
in_both leaving

# With expire_quiescent_template, quiesced servers lose their persistent clients.
quiescent() {
	local port=8080
	service -t "$at:8080" rr -p 300 -- A:m:1 B:m:1
	check_eq "IPv$family: each client has a server" "$(gets client second)" 'A B'
	must destination -e -t "$at:8080" A:m:0
	check_eq "IPv$family: expire_quiescent_template moves clients away from a quiesced server" "$(gets client client second)" 'B B B'
	flush
}
sysctls director net.ipv4.vs.expire_quiescent_template=1
in_both quiescent
sysctls director net.ipv4.vs.expire_quiescent_template=0

# An unused template of a removed server is deleted with its service. Nothing remains.
check_eq 'the checks leave no service behind' "$(configuration)" ''
finish
