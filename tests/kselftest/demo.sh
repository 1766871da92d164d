#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A director at work: one client, one director, three real servers with an HTTP server each, and a
# virtual service for every forwarding method. Sends real requests and shows which server answered.
# Fails if a request fails, or if the servers' shares differ from their weights.
#
# `demo.sh --stay` builds the same hosts, servers and services for `make shell`. It sends nothing.

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

requests=${REQUESTS:-90}
finished=1
status=0

title() {
	printf '\n\e[1m%s\e[0m\n' "$*"
}

# Shows a command as an administrator types it, and runs it on the director.
show() {
	printf '  # %s\n' "$*"
	must on director "$@"
}

# chart NAME ADDRESS FILE: shows how often each server answered, and how often its weight promises.
chart() {
	awk -v name="$1" -v address="$2" -v requests="$requests" '
		BEGIN { weight["A"] = 4; weight["B"] = 3; weight["C"] = 2 }
		{ count[$1]++; total++ }
		END {
			printf "  %-4s http://%s/  %d of %d requests answered\n", name, address, total, requests
			if (total != requests) bad = 1
			for (n = 1; n <= 3; n++) {
				server = substr("ABC", n, 1)
				want = requests * weight[server] / 9
				bar = sprintf("%*s", count[server] * 45 / requests, "")
				gsub(/ /, "█", bar)
				printf "    %s  weight %d  %-24s %3d   promised %d%s\n", server, weight[server], bar,
					count[server], want, (count[server] == want) ? "" : "   <-- WRONG"
				if (count[server] != want) bad = 1
			}
			exit bad
		}' "$3"
}

modprobe -a bridge veth ipip 2>/dev/null
title "Linux $(uname -r): inserting the director"
printf '  # modprobe %s\n' "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
servers_start A B C

cat <<'END'

  client ─── router ──┬── director ──┐      NAT  through the director, both ways
                      │              │      TUN  tunneled to the server, which answers directly
                      └── A   B   C ─┘      DR   handed to the server, which answers directly
END

title 'Three virtual services, one for each forwarding method'
for row in '-m 10.1.0.100 10.2.0.1' '-i 10.1.0.101 10.3.0.1' '-g 10.1.0.102 10.1.0.1'; do
	read -r method vip server <<<"$row"
	show "$LVSADM" -A -t "$vip:80" -s wrr
	show "$LVSADM" -a -t "$vip:80" -r "${server}1" "$method" -w 4
	show "$LVSADM" -a -t "$vip:80" -r "${server}2" "$method" -w 3
	show "$LVSADM" -a -t "$vip:80" -r "${server}3" "$method" -w 2
done
servers_up A B C

if [ "${1-}" = --stay ]; then
	trap - EXIT
	disown -a
	exit
fi

title "$requests requests to each"
services='NAT:10.1.0.100 TUN:10.1.0.101 DR:10.1.0.102'
declare -A asking
for row in $services; do
	# "Connection: close" makes every request a connection of its own.
	on client curl -sS --fail --max-time $((10 * TIME_SCALE)) -H 'Connection: close' \
		"http://${row#*:}/[1-$requests]" >"$work/${row%:*}" &
	asking[$row]=$!
done
for row in $services; do
	wait "${asking[$row]}" || status=1
	chart "${row%:*}" "${row#*:}" "$work/${row%:*}" || status=1
done

title "$LVSADM -L -n --stats"
lvs -L -n --stats | sed 's/^/  /'

if [ $status -eq 0 ]; then
	title 'Every request was answered. The shares match the weights.'
else
	title 'Something went WRONG; see above.'
fi
exit $status
