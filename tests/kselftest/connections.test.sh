#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The list of connections: all of them, and those of a client, a service or a server, which the
# director selects; as text and as JSON; while the table is resized during the listing. A selection
# must equal what a reader would pick from /proc/net/ip_vs_conn. Also what the module reports about
# itself.
# timeout: 120
# check: debug, because listings do not depend on the kernel

# Other functions call these functions.
# shellcheck disable=SC2317
# The conditions are awk code.
# shellcheck disable=SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must lvsadm --version
check_eq 'lvsadm --version reports that no module is loaded' "$(lvsadm --version | tail -n 1)" 'the kernel has no director loaded'
check_eq 'lvsadm --version loads no module' "$(loaded "$IPVS_MODULE" && echo loaded)" ''
must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up second client 10.0.0.2
servers_up A B C

connections_of() { on director lvsadm connections "$@"; }

# --- no connections -------------------------------------------------------------------------------

check_eq 'a new module lists no connections' "$(connections_of -n | wc -l)" 2
check_eq 'a new module lists no connections in JSON' "$(connections_of --json)" $'{\n  "connections": []\n}'

# --- connections of all kinds ---------------------------------------------------------------------

v6=$(six 10.1.0.100)
service -t 10.1.0.100:80 rr -- A:m:1 B:i:1 C:g:1
service -t 10.1.0.101:80 rr -- A:m:1:8080 B:m:1:8080
service -u 10.1.0.100:53 rr -p 300 -- A:m:1 B:m:1
service -t "[$v6]:80" rr -- A:m:1 B:i4:1 C:g:1
service -f 1 rr -p 300 -- C:g:1
on director nft 'table ip marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; }; }'
client hold a tcp 10.1.0.100 80 6 >/dev/null
client hold b tcp 10.1.0.101 80 4 >/dev/null
client hold c udp 10.1.0.100 53 3 >/dev/null
client hold d tcp "$v6" 80 3 >/dev/null
client hold e tcp 10.4.0.1 80 2 >/dev/null
ask second hold a tcp 10.1.0.100 80 3 >/dev/null
ask second hold c udp 10.1.0.100 53 3 >/dev/null

# The lines without the remaining time, which changes.
lines() { grep -E '^(TCP|UDP|IP) ' | awk '{ print $1, $3, $4, $5, $6 }' | sort; }
# From the file: protocol, client, virtual and server endpoints, in the command's format.
in_file() {
	on director python3 -c '
import ipaddress, sys
def end(address, port):
    host = ipaddress.ip_address(address if ":" in address else int(address, 16))
    return f"{host}:{int(port, 16)}" if host.version == 4 else f"[{host}]:{int(port, 16)}"
for line in list(open("/proc/net/ip_vs_conn"))[1:]:
    word = line.split()
    print(word[0], word[7], end(*word[1:3]), end(*word[3:5]), end(*word[5:7]))' | sort
}
all=$(in_file)
note "$all"
# 24 connections and 3 templates: two for the clients of a service, one for a mark.
check_eq 'there are connections and templates of all kinds' "$(wc -l <<<"$all") $(cut -d' ' -f1 <<<"$all" | sort | uniq -c | xargs)" \
	'27 1 IP 18 TCP 8 UDP'
check_eq 'the list has every connection of /proc/net/ip_vs_conn' "$(connections_of -n | lines)" "$all"
check_eq '-L -c lists the same connections' "$(lvs -L -n -c | lines)" "$all"
if command -v ipvsadm >/dev/null; then
	check_eq 'the list equals that of ipvsadm exactly' "$(connections_of -n | sed -E 's/ [0-9:]+ +/ TIME /' | sort)" \
		"$(on director ipvsadm -L -n -c | sed -E 's/ [0-9:]+ +/ TIME /' | sort)"
fi

# picked NAME AWK-CONDITION OPTION…: the options select the connections that the condition selects
# from the whole list. $1 is the protocol, $3 the client, $4 the virtual endpoint, $5 the server.
picked() {
	local name=$1 condition=$2 wanted
	shift 2
	wanted=$(awk "$condition" <<<"$all")
	note "$name: $(grep -c . <<<"$wanted") of all"
	[ -n "$wanted" ] || report 1 "$name: there are such connections"
	check_eq "$name" "$(connections_of -n "$@" | lines)" "$wanted"
}
picked '--client selects a client' 'index($3, "10.0.0.2:") == 1' --client 10.0.0.2
port=$(awk '$3 ~ /^10\.0\.0\.1:/ && $4 == "10.1.0.100:80" { sub(/.*:/, "", $3); print $3; exit }' <<<"$all")
picked '--client selects a client and its port' "\$3 == \"10.0.0.1:$port\" && \$1 == \"TCP\"" --client "10.0.0.1:$port" -t 10.1.0.100
picked '--client selects a network' '$3 ~ /^10\.0\.0\./' --client 10.0.0.0/24
picked '--client selects all IPv6 clients' '$3 ~ /\[/' --client ::/0
picked '-t selects a service' '$1 == "TCP" && $4 == "10.1.0.100:80"' -t 10.1.0.100:80
picked '-u selects an address with any port' '$1 == "UDP" && $4 ~ /^10\.1\.0\.100:/' -u 10.1.0.100
picked '-t selects an IPv6 service' "\$4 == \"[$v6]:80\"" -t "[$v6]:80"
picked '-t selects an address that marked packets are sent to' '$4 == "10.4.0.1:80"' -t 10.4.0.1:80
picked '-r selects a server' '$5 ~ /^10\.2\.0\.11:/' -r 10.2.0.11
picked '-r selects a server and its port' '$5 == "10.2.0.12:8080"' -r 10.2.0.12:8080
picked '-r selects a network of servers' '$4 == "10.1.0.100:80" && $5 ~ /^10\.[23]\.0\./' -r 10.2.0.0/15 -t 10.1.0.100:80
picked 'client, service and server select together' '$3 ~ /^10\.0\.0\.2:/ && $4 == "10.1.0.100:80" && $5 ~ /^10\.2\.0\.11:/' \
	--client 10.0.0.2 -t 10.1.0.100:80 -r 10.2.0.11
check_eq 'a network without clients selects nothing' "$(connections_of -n --client 10.0.1.0/24 | wc -l)" 2
check_eq 'a service without connections selects nothing' "$(connections_of -n -u 10.1.0.100:80 | wc -l)" 2

# --- JSON -----------------------------------------------------------------------------------------

check_eq 'JSON lists the same connections' "$(connections_of --json | python3 -c '
import json, sys
def end(of):
    host, port = of["address"], of["port"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
for one in json.load(sys.stdin)["connections"]:
    assert set(one) == {"protocol", "state", "expires", "source", "virtual", "destination", "engine", "engine_data"}, one
    assert isinstance(one["expires"], int) and one["engine"] is None, one
    print(one["protocol"], one["state"], end(one["source"]), end(one["virtual"]), end(one["destination"]))' | sort)" "$all"
check_eq 'JSON lists the connections of one server' "$(connections_of --json -r 10.2.0.12:8080 | grep -c '"port":8080')" 2
check_eq 'a reader may close the list early' "$(connections_of -n | head -n 1)" 'IPVS connection entries'

# --- refusals -------------------------------------------------------------------------------------

check_fails 'a firewall mark is refused' 'cannot select connections' connections_of -f 1
check_fails 'a prefix that is too long is refused' 'from 0 to 32' connections_of --client 10.0.0.0/33
check_fails 'a caller without privilege is refused' CAP_NET_ADMIN on director setpriv --bounding-set -net_admin --inh-caps -net_admin lvsadm connections
check_eq 'another namespace lists its own connections' "$(on router lvsadm connections -n | wc -l)" 2

# --- version and features -------------------------------------------------------------------------

if [ "$IPVS_MODULE" = ip_vs ]; then
	check_eq 'lvsadm --version describes the C module' "$(lvsadm --version | tail -n +2)" 'module ip_vs, the C director'
	finish
fi
check_match 'lvsadm --version describes the module' "$(lvsadm --version)" $'lvsadm ([0-9.]+)\nmodule ipvs_rs [0-9.]+\nfeatures: connections, table, apply, drops, events, states, kill, atomic, sync, regions'
check_eq 'lvsadm --version --json describes the module' "$(lvsadm --version --json | python3 -c '
import json, sys
versions = json.load(sys.stdin)
module = versions["module"]
print(versions["lvsadm"] == module["version"], module["name"], module["features"], module["missing"])')" \
	"True ipvs_rs ['connections', 'table', 'apply', 'drops', 'events', 'states', 'kill', 'atomic', 'sync', 'regions'] []"

# --- netlink messages -----------------------------------------------------------------------------

reported on director python3 "$here/netlink_checks.py" filters

# Thousands of short-lived flows beside lasting ones make the table grow and shrink. The flows live
# long enough to exist at the same time, even on a slow machine.
must lvs --set 0 0 $((3 * TIME_SCALE))
service -u 10.1.0.102:9 rr -- A:m:1
service -t 10.1.0.103:80 rr -- A:m:1 B:m:1 C:m:1
client hold f tcp 10.1.0.103 80 60 >/dev/null
for host in A B C; do
	must on $host nft 'table ip sink { chain early { type filter hook prerouting priority raw; udp dport 9 drop; }; }'
done
on client python3 "$here/flows.py" 10.1.0.102 9 &
flows=$!
while :; do
	on director sed -n 's/^Conn buckets:\t\([0-9]*\) .*/\1/p' /proc/net/ip_vs_status
	sleep 0.2
done >"$work/sizes" &
watch=$!
resized() { awk 'NR > 1 { up += $1 > last; down += $1 < last } { last = $1 } END { print (up > 0), (down > 0) }' "$work/sizes"; }
# On a slow kernel, one walk may end before the table has changed its size.
for _ in 1 2 3 4 5; do
	reported on director python3 "$here/netlink_checks.py" walk
	[ "$(resized)" != '1 1' ] || break
done
kill $flows $watch
note "buckets: $(uniq "$work/sizes" | xargs)"
check_eq 'the table grows and shrinks during the listing' "$(resized)" '1 1'
finish
