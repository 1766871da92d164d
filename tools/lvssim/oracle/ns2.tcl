# SPDX-License-Identifier: GPL-2.0-only
# The 2003 report's first topology in ns-2 2.35: clients with links of their own, a director that is
# a plain router, servers on one shared LAN. Agents take no time in ns-2, so plain routing behaves
# as the report's modified NAT. Prints one line of JSON: what happened in one second.
#
#   ns ns2.tcl CLIENTS SERVERS MEGABITS SEED TRACE
#
# TRACE is overwritten with the drops. newLan takes options, not positions; with positions the MAC
# would be ns-2's trivial one.
foreach {clients servers megabits seed trace} $argv break
remove-all-packet-headers
add-packet-header IP LL Mac Flags ARP Ping
Queue set limit_ 100
Agent/Ping set packetSize_ 500
set ns [new Simulator]
ns-random $seed
# Of the trace only the drops are kept: field 3 is the node, 0 the director, the next ones servers.
set file [open "|awk {\$1 == \"d\" && \$2 >= 1.0 && \$2 < 2.0} > $trace" w]
$ns trace-all $file

set director [$ns node]
set nodes $director
for {set j 0} {$j < $servers} {incr j} {
	set server($j) [$ns node]
	lappend nodes $server($j)
}
$ns newLan $nodes ${megabits}Mb 1ms -llType LL -ifqType Queue/DropTail -macType Mac/802_3 \
	-ifqLen 100

set replied 0
set sum 0.0
# Agent/Ping reports the round trip in steps of 0.1 ms, so the times of sending are kept here. The
# order of replies is that of requests, unless some are lost.
Agent/Ping instproc recv {from rtt} {
	global ns replied sum sent
	set number [$self set number_]
	set first [lindex $sent($number) 0]
	set sent($number) [lrange $sent($number) 1 end]
	if {[$ns now] >= 1.0} {
		incr replied
		set sum [expr $sum + [$ns now] - $first]
	}
}
proc tick number {
	global ns ping sent
	$ping($number) send
	lappend sent($number) [$ns now]
	if {[$ns now] < 2.0} { $ns after 0.001 "tick $number" }
}
for {set i 0} {$i < $clients} {incr i} {
	set client [$ns node]
	$ns duplex-link $client $director 10Mb 1ms DropTail
	$ns queue-limit $client $director 100
	$ns queue-limit $director $client 100
	set ping($i) [new Agent/Ping]
	$ping($i) set number_ $i
	set sent($i) {}
	$ns attach-agent $client $ping($i)
	set echo [new Agent/Ping]
	$ns attach-agent $server([expr $i % $servers]) $echo
	$ns connect $ping($i) $echo
	$ns at 0.5 "tick $i"
}
$ns at 2.0 {
	$ns flush-trace
	close $file
	set lost [exec awk -v servers=$servers {
		$3 == 0 { director++ }
		$3 > 0 && $3 <= servers { server++ }
		END { printf "\"lost-at-director\": %d, \"lost-at-servers\": %d", director, server }
	} $trace]
	puts "{\"servers\": $servers, \"clients\": $clients, \"megabits\": $megabits,\
		\"seed\": $seed,\
		\"replied\": $replied, $lost, \"round-trip\": [expr $sum / max($replied, 1)]}"
	exit 0
}
$ns run
