#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Where scripts look, both directors show the same: each setting with the values that it accepts,
# the fields of ip_vs_status, ip_vs_app, services and destinations that few programs make, the state
# of templates, and cache_bypass. Each part runs with the C director first, then with ours.
# timeout: 200
# kernel: stock, because the debug kernel has another clock, which changes figures and limits

# Functions are called through "$part".
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all ip_vs
unload_all ipvs_rs
topology_up
client_up client
servers_up A B C
settings=/proc/sys/net/ipv4/vs

# --- settings -------------------------------------------------------------------------------------

# Prints each setting with its default, and with its value after each attempt to change it. A !
# marks a refused value.
try_settings='for name; do
		read -r was <"$settings/$name"; printf "%s: %s" "$name" "$was"
		for value in ${values:-0 1 2 3 -1 -8 8 -9 9 -20 19 -21 20 86400 2147483647 -2147483648 2147483648 x}; do
			refused=
			{ echo "$value" >"$settings/$name"; } 2>/dev/null || refused=!
			read -r is <"$settings/$name"; printf " %s=%s%s" "$value" "$is" $refused
		done
		echo; echo "$was" >"$settings/$name"
	done'
switches='backup_only cache_bypass conntrack expire_nodest_conn expire_quiescent_template ignore_tunneled nat_icmp_send
	pmtu_disc run_estimation schedule_icmp sloppy_sctp sloppy_tcp snat_reroute sync_persist_mode'
numbers='conn_lfactor svc_lfactor est_nice drop_entry drop_packet secure_tcp sync_version sync_retries'
# Our director refuses negative numbers here, and modes of conn_reuse_mode that do not exist.
others='am_droprate amemthresh conn_max sync_ports sync_qlen_max sync_sock_size'
settings_others() {
	# shellcheck disable=SC2086
	on director env settings=$settings values='1 2 3 8 9 19 86400 x' bash -c "$try_settings" try $others
	on director env settings=$settings values='0 1 2 3 x' bash -c "$try_settings" try conn_reuse_mode
}
settings_threshold() {
	local value
	for value in '0 1' '1 1' '2 1' '5 0' '0 0' '-1 0' '0 -1' '3' '3 x' x '3 50 7' '2147483647 0' '2147483648 0' '3,50' '3 50'; do
		on director bash -c "echo '$value' >$settings/sync_threshold" 2>/dev/null && printf '%s: ' "$value" || printf '%s! ' "$value"
		on director cat $settings/sync_threshold
	done
}
# Who may read and write the files, without those that only our director has.
modes() {
	on director bash -c "cd /proc/net; stat -c '%n %a %U' ip_vs*; cd $settings; stat -c '%n %a %U' *" |
		grep -v '^\(debug_level\|fast_path\|route_marks\|short_cut\|sync_bulk_rate\) '
}
settings_switches() {
	# shellcheck disable=SC2086
	on director env settings=$settings bash -c "$try_settings" try $switches
}
settings_numbers() {
	# shellcheck disable=SC2086
	on director env settings=$settings bash -c "$try_settings" try $numbers
}
# Lists of CPUs.
settings_cpus() {
	local value
	for value in '' 0 0-1 1 '' 0,1 9 x 0-; do
		on director bash -c "echo '$value' >$settings/est_cpulist" 2>/dev/null && printf '%s: ' "$value" || printf '%s! ' "$value"
		on director cat $settings/est_cpulist
	done
}
# Seconds. The C director converts them to ticks of its clock, so it does not accept as many.
settings_expirations() {
	local name value
	for name in lblc_expiration lblcr_expiration sync_refresh_period; do
		on director cat $settings/$name
		for value in 0 1 60 1000000; do
			on director bash -c "echo $value >$settings/$name" || echo "refused $value"
			on director cat $settings/$name
		done
	done
}

# --- files ----------------------------------------------------------------------------------------

file_app() { on director cat /proc/net/ip_vs_app; }
# The names of the fields, without those that only our director has. The numbers of buckets differ.
file_status() {
	sleep 0.1
	on director cat /proc/net/ip_vs_status | grep -E '^(Conn buckets|Conns:|Service|Stats)' |
		grep -v ' len-' | sed -E '/^(Conns|Services)/!s/-?[0-9]+/N/g'
}
status_empty() { file_status; }
status_used() {
	lvs_is ipvsadm
	service -t 10.1.0.100:80 rr -- A:m:1
	service -u 10.1.0.100:80 rr -- A:m:1
	for _ in 1 2 3; do client get tcp 10.1.0.100 80; done
	file_status
	# The shares add up.
	on director awk -F'[\t (%)]+' '/^Conn buckets len-/ { sum += $4 }
		/^Service buckets len-/ { services += $4 } END { print (sum > 0), (services > 0) }' /proc/net/ip_vs_status
	flush
}

# What readers parse: connections and counts of datagrams, which are exact.
file_figures() {
	local row
	lvs_is ipvsadm
	service -u 10.1.0.100:80 rr -- A:m:1
	service -u "[$(six 10.1.0.100)]:80" rr -p 60 -- A:m:1
	service -t 10.1.0.100:80 rr -p 60 -- A:m:1 B:g:0
	client get udp 10.1.0.100 80 3
	client get udp "$(six 10.1.0.100)" 80 2
	client hold kept tcp 10.1.0.100 80 1
	sleep 6
	# The order of services, the clients' ports, the times and the rates differ.
	on director sort /proc/net/ip_vs | sed 's/size=[0-9]*/size=N/'
	for row in ip_vs_conn ip_vs_conn_sync; do
		on director sed -E '2,$s/^([A-Z]+ +[0-9A-Fa-f:]+) [0-9A-F]{4}/\1 PORT/; 2,$s/ [ 0-9]{7}$/    TIME/' /proc/net/$row | sort
	done
	on director sed '6s/[0-9A-F]/N/g' /proc/net/ip_vs_stats
	on director sed '/^ *[0-9]/d; $s/[0-9A-F]/N/g' /proc/net/ip_vs_stats_percpu
	client close kept
	flush
}

# --- services and destinations --------------------------------------------------------------------

requests() { on director python3 "$here/parity.py"; }
nonsense() { on director python3 "$here/parity.py" nonsense; }

# --- templates ------------------------------------------------------------------------------------

templates() { on director awk '$3 == "0000" { print $1, $8 } $3 != "0000" && NR > 1 { print "connection" }' /proc/net/ip_vs_conn | sort; }
# half_open: the client sends a SYN, and the server does not answer.
template_states() {
	lvs_is ipvsadm
	service -t 10.1.0.100:80 rr -p 60 -M 255.0.255.0 -- A:m:1
	service -t 10.1.0.101:81 rr -p 60 -- A:m:1
	must on A nft 'table ip deaf { chain early { type filter hook prerouting priority raw; tcp dport 81 drop; }; }'
	# The client repeats its SYN after one second and after three, so their number is certain.
	client patience 2 >/dev/null
	client get tcp 10.1.0.101 81
	templates
	must on A nft delete table ip deaf
	client patience 10 >/dev/null
	client get tcp 10.1.0.100 80
	templates
	on director awk '$3 == "0000" { print $2, $4 }' /proc/net/ip_vs_conn | sort
	flush
}

# With UDP, the server's answer assures the template.
template_states_udp() {
	lvs_is ipvsadm
	service -u 10.1.0.101:80 rr -p 60 -- A:m:1
	must on A nft 'table ip deaf { chain early { type filter hook prerouting priority raw; udp dport 80 drop; }; }'
	client patience 1 >/dev/null
	client get udp 10.1.0.101 80
	client get udp 10.1.0.101 80
	templates
	must on A nft delete table ip deaf
	client patience 10 >/dev/null
	client get udp 10.1.0.101 80
	templates
	flush
}

# --- cache_bypass ---------------------------------------------------------------------------------

# Packets to 10.4.0.0/24 with the mark 1 come to the director itself. Without the mark, the director
# sends them to A, which has the address.
bypass() {
	local setting
	lvs_is ipvsadm
	must on director nft 'table ip marks { chain early { type filter hook prerouting priority mangle;
		ip daddr 10.4.0.1 meta mark set 1; ip daddr 10.1.0.103 meta mark set 1; }; }'
	must on director ip route replace 10.4.0.0/24 via 10.1.0.11
	must lvs -A -f 1 -s rr
	client patience 2 >/dev/null
	for setting in 0 1 2 0; do
		echo "cache_bypass=$setting"
		on director bash -c "echo $setting >$settings/cache_bypass"
		client get tcp 10.4.0.1 80
		client get udp 10.4.0.1 80
		# The host's own address.
		client get tcp 10.1.0.103 80
		bypassed
	done
	# A server of the service has priority.
	on director bash -c "echo 1 >$settings/cache_bypass"
	must lvs -a -f 1 -r 10.1.0.12 -g
	client get tcp 10.4.0.1 80
	must lvs -e -f 1 -r 10.1.0.12 -g -w 0
	client get tcp 10.4.0.1 80
	on director bash -c "echo 0 >$settings/cache_bypass"
	client patience 10 >/dev/null
	must on director nft delete table ip marks
	flush
}
# The connections of no server, without times.
bypassed() { on director awk '$6 == "00000000" { print $1, $4, $5, $6, $7, $8 }' /proc/net/ip_vs_conn | sort; }

# --- the comparison -------------------------------------------------------------------------------

# lvs_is COMMAND: what `lvs` runs.
lvs_is() { LVSADM=$1; }

parts='settings_switches settings_numbers settings_others settings_threshold settings_cpus settings_expirations modes file_app status_empty requests status_used
	template_states template_states_udp bypass file_figures'
transcripts() {
	local part IPVS_MODULE=$2
	# A part that bails out ends only itself.
	for part in $parts nonsense; do ("$part") >"$work/$1.$part" 2>&1 || note "$1, $part: $(tail -n 3 "$work/$1.$part")"; done
	on director ls $settings | sort >"$work/$1.names"
}
must modprobe -a ip_vs ip_vs_rr ip_vs_lblc ip_vs_lblcr
transcripts theirs ip_vs
check_eq 'the C director is loaded for the comparison' "$(lsmod | grep -c '^ip_vs ') $(lsmod | grep -c '^ipvs_rs')" '1 0'
unload_all ip_vs
must module_load ipvs_rs
must module_load ipvs_rs_rr
transcripts ours ipvs_rs
check_eq 'only our director is loaded' "$(lsmod | grep -c '^ip_vs')" 0

for part in $parts; do
	check "both directors show the same: $part" diff -u "$work/theirs.$part" "$work/ours.$part"
done
check_eq 'all settings of the C director exist' "$(comm -23 "$work/theirs.names" "$work/ours.names" | xargs)" ''
check_eq 'the settings that only our director has' "$(comm -13 "$work/theirs.names" "$work/ours.names" | xargs)" \
	'debug_level fast_path route_marks short_cut sync_bulk_rate'
check_eq 'the C director accepts all nonsense' "$(grep -cv ': 0$' "$work/theirs.nonsense")" 0
check_eq 'our director refuses it' "$(sed 's/.*: //' "$work/ours.nonsense" | sort | uniq -c | xargs)" '9 EINVAL 4 EOPNOTSUPP 5 EPROTONOSUPPORT'
# What the comparison would not show if both directors failed.
check_eq 'the values were tried' "$(grep -c '2147483647=2147483647 ' "$work/ours.settings_switches")" 14
check_match 'many requests were accepted, and some refused' \
	"$(grep -c ': accepted\|: 0\|: None' "$work/ours.requests") $(grep -c 'NotFound\|ENOENT\|No such' "$work/ours.requests")" '[1-9][0-9]+ [1-9][0-9]*'
check_eq 'templates were assured, and not before' "$(head -n 2 "$work/ours.template_states" | tail -n 1) $(grep -c ASSURED "$work/ours.template_states")" 'TCP NONE 1'
check_eq 'a UDP template was assured by an answer, and not before' "$(grep UDP "$work/ours.template_states_udp" | xargs)" 'UDP NONE UDP ASSURED'
check_eq 'packets of no server reached their own destination' "$(grep -cx A "$work/ours.bypass")" 5
check_eq 'their connections are listed' "$(grep -c '^TCP.* 00000000 0000 ' "$work/ours.bypass")" 5

# --- both sides of our own settings ---------------------------------------------------------------

must on director sysctl -qw net.ipv4.vs.debug_level=9
check_eq 'debug_level keeps what is written' "$(on director cat $settings/debug_level)" 9
must on director sysctl -qw net.ipv4.vs.short_cut=2
check_eq 'a switch that is on keeps its number' "$(on director cat $settings/short_cut)" 2
finish
