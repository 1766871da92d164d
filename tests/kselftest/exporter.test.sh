#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's prometheus-node-exporter with its ipvs collector. It exports what ipvsadm lists, for
# services of all kinds, under traffic; and what lvsadm metrics writes into a file for it.
# timeout: 180
# check: debug, because texts do not depend on the kernel

# Functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
drop_in
must modprobe ip_vs
topology_up
client_up client
servers_up A B C
must on director nft 'table inet marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; }; }'

must mkdir "$work/text"
on director prometheus-node-exporter --collector.disable-defaults --collector.ipvs \
	--collector.textfile --collector.textfile.directory="$work/text" --web.listen-address=127.0.0.1:9100 >"$work/exporter" 2>&1 &
exported() { on director curl -sf http://127.0.0.1:9100/metrics; }
# metrics: prints all metrics of the collector.
metrics() { exported | grep '^node_ipvs\|^node_scrape_collector_success{collector="ipvs"}'; }
wait_for 20 metrics || bail "the exporter does not start: $(tail -n 3 "$work/exporter")"
metric() { metrics | awk -v name="$1" '$1 == name { print $2 }'; }

check_eq 'without services, only the sums are exported' "$(metrics | sed 's/ .*//' | sort | paste -sd ' ')" \
	'node_ipvs_connections_total node_ipvs_incoming_bytes_total node_ipvs_incoming_packets_total'\
' node_ipvs_outgoing_bytes_total node_ipvs_outgoing_packets_total node_scrape_collector_success{collector="ipvs"}'

service -t 10.1.0.100:80 wrr -- A:m:3 B:i:1 C:g:0
service -u 10.1.0.100:80 rr -- A:m:1 B:m:65535
service -t "[$(six 10.1.0.100)]:80" wlc -- A:m:2 C:g:1
service -f 1 rr -- B:m:4
client hold kept tcp 10.1.0.100 80 8 >/dev/null
client hold kept tcp "$(six 10.1.0.100)" 80 3 >/dev/null
client hold kept tcp 10.4.0.1 80 2 >/dev/null
client hold gone tcp 10.1.0.100 80 4 >/dev/null
client close gone >/dev/null
client get udp 10.1.0.100 80 5 >/dev/null

# The destinations as ipvsadm lists them, with weight, active and inactive connections: "TCP
# 10.1.0.100:80 10.2.0.11:80 3 6 3".
listed() {
	on director ipvsadm -L -n | tr -d '[]' | awk '
		/^(TCP|UDP) / { service = $1 " " $2 }
		/^FWM / { service = "FWM " $2 }
		$1 == "->" && $2 ~ /^[0-9a-f]/ { print service, $2, $4, $5, $6 }' | sort
}
# The destinations as the exporter prints them. It writes a mark as eight hexadecimal digits.
told() {
	metrics | python3 -c '
import re, sys
found = {}
for line in sys.stdin:
    match = re.match(r"node_ipvs_backend_(\w+)\{(.*)\} (\S+)$", line)
    if not match:
        continue
    label = dict(re.findall("(\\w+)=\"([^\"]*)\"", match[2]))
    mark = int(label["local_mark"] or "0", 16)
    service = label["local_address"] + ":" + label["local_port"]
    key = label["proto"], str(mark) if mark else service, label["remote_address"] + ":" + label["remote_port"]
    found.setdefault(key, {})[match[1]] = int(float(match[3]))
for key, value in found.items():
    print(*key, value["weight"], value["connections_active"], value["connections_inactive"])
' | sort
}
agree() { [ "$(told)" = "$(listed)" ]; }
wait_for 10 agree
check_eq 'weight, active and inactive connections of every destination are exported' "$(told)" "$(listed)"
check_eq 'the exported weights and connections are not 0' "$(told | wc -l), $(told | awk '{ w += $4; a += $5; i += $6 } END { print w, (a > 12), (i > 8) }')" \
	'8, 65547 1 1'

on director lvsadm metrics >"$work/text/lvs.prom" || bail "lvsadm metrics fails"
check_eq "the textfile collector exports lvsadm's metrics of every destination" \
	"$(exported | awk '/^lvs_server_weight\{/ { n++; w += $NF } /^node_textfile_scrape_error/ { e = $NF } END { print n, w, e }')" \
	'8 65547 0'

# The sums of all services, with no traffic.
sums() {
	on director ipvsadm -L -n --stats --exact | awk '
		/^(TCP|UDP|FWM) / { for (n = 0; n < 5; n++) sum[n] += $(NF - 4 + n) }
		END { print sum[0], sum[1], sum[2], sum[3], sum[4] }'
}
total() {
	local name
	for name in connections incoming_packets outgoing_packets incoming_bytes outgoing_bytes; do
		printf '%.0f ' "$(metric "node_ipvs_${name}_total")"
	done | sed 's/ $//'
}
same() { [ "$(total)" = "$(sums)" ]; }
wait_for 10 same
check_eq 'the sums of connections, packets and bytes are exported' "$(total)" "$(sums)"
check_match 'the exported sums are not 0' "$(total)" '2[0-9]( [1-9][0-9]+){4}'
check_eq 'the collector reports success' "$(metric 'node_scrape_collector_success{collector="ipvs"}')" 1

# Under load, the table and the numbers change.
client load x tcp 10.1.0.100 80 2 0.05 >/dev/null
content=0
for n in 1 2 3 4 5; do
	must lvs -R <<-END
		-A -t 10.1.0.101:80 -s rr
		-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m
	END
	[ "$(metric 'node_scrape_collector_success{collector="ipvs"}')" = 1 ] && content=$((content + 1))
	must lvs -D -t 10.1.0.101:80
done
check_match 'every connection of the load is served' "$(client stop x)" '([AB]=[0-9]+ ?)+'
check_eq 'every scrape under load succeeds' $content 5
client close kept >/dev/null
flush
check_soon 'a flushed table exports no destinations' 0 eval 'metrics | grep -c backend'
finish
