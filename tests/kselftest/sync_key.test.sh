#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Signed synchronization datagrams: nothing forged, recorded, cut or unsigned is taken, and a key is
# replaced under load without a loss. Python's BLAKE2s computes the signatures a second time.
# timeout: 240
# check: debug, because sync.test.sh runs on both kernels

# Functions are called by name; jq has variables of its own.
# shellcheck disable=SC2016,SC2119,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=tests/kselftest/second_director.sh
. "$here/second_director.sh"

directors_up
start() { must daemon "$1" --start-daemon "$2" --mcast-interface eth2 --syncid 7; }
stop() { must daemon "$1" --stop-daemon "$2"; }
counters() { daemon other sync status --json | jq -r "[.counters | $1] | @tsv" | xargs; }
wire() { on director python3 "$here/sync_wire.py" eth2 "$@"; }
# capture FILE: records what arrives at the second director, until the process $recorder is ended.
capture() {
	launch "$work/ready" ready on other python3 "$here/sync_wire.py" eth2 capture "$1"
	recorder=$launched
}
end_capture() {
	# The last datagrams are still to come.
	sleep 1
	kill "$recorder"
	wait "$recorder" 2>/dev/null
}
# The connections that are open. Others expire meanwhile, here and there in different seconds.
open_at() { listed "$1" | grep ESTABLISHED; }
open_equal() { [ "$(open_at director)" = "$(open_at other)" ]; }
# check_open NAME: soon both directors have the same open connections.
check_open() {
	wait_for 20 open_equal
	check_eq "$1" "$(open_at other)" "$(open_at director)"
}
# The connection that sync_wire.py sends.
foreign() { on other awk '$2 == "0A090001"' /proc/net/ip_vs_conn | wc -l; }

first=$(printf '%02x' {1..32})
second=$(printf '%02x' {101..132})
python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$first" >"$work/first"
echo "$second" >"$work/second"
head -c 31 "$work/first" >"$work/short"

# --- keys -----------------------------------------------------------------------------------------

check_fails 'a file that is no key is refused' '32 octets' daemon other sync key set "$work/short"
check_fails 'a key that does not exist is not deleted' 'no key with this identifier' daemon other sync key delete 1
check 'a key is set' daemon other sync key set "$work/first" --id 1
check_fails 'an identifier is not used twice' 'exists already' daemon other sync key set "$work/second" --id 1
check 'a second key is set' daemon other sync key set "$work/second" --id 2
check_fails 'a third key is refused' 'two keys already' daemon other sync key set "$work/second" --id 3
check_eq 'the identifiers are listed, the older first' "$(daemon other sync status --json | jq -c .keys)" '[1,2]'
check 'a key is deleted' daemon other sync key delete 2
check_eq 'nothing shows a key' "$({
	daemon other sync status
	daemon other sync status --json
	on other cat /proc/net/ip_vs_status
	dmesg
} | grep -cE "${first:0:16}|0102030405|${second:0:16}")" 0

# An error without the option NETLINK_CAP_ACK quotes the request, whose memory was overwritten.
quoted() {
	cd "$here" && on other python3 -c 'import sys, nl
key = bytes.fromhex(sys.argv[1])
family = nl.Family(name=b"ipvs_rs")
family.sock.setsockopt(nl.SOL_NETLINK, nl.CAP_ACK, 0)
data = nl.struct.pack("=BBH", 10, 1, 0) + nl.nest(12, {}, {5: b"\1", 6: key})
family.sock.send(nl.struct.pack("=IHHII", 16 + len(data), family.number, nl.REQUEST | nl.ACK, 9, 0) + data)
answer = family.sock.recv(4096)
print(nl.errno.errorcode[-nl.struct.unpack_from("=i", answer, 16)[0]], len(answer) >= 36 + len(data), key in answer)' "$1"
}
check_eq 'the answer to a refused key does not quote it' "$(quoted "$second")" 'EEXIST True False'

# --- signed datagrams -----------------------------------------------------------------------------

must daemon director sync key set "$work/first" --id 1
start other backup
start director master
capture "$work/old"
must client hold a tcp 10.1.0.100 80 10
check_same 'a backup with the key takes what a master with the key sends'
check_eq 'it joins' "$(daemon other sync status --wait 10s | head -n 1)" 'state    ready: the backup has the whole table of a master'
end_capture
check_match 'Python finds every signature right' "$(wire verify "$first" 1 "$work/old")" '([0-9]+) ([0-9]+)'
read -r right total <<<"$(wire verify "$first" 1 "$work/old")"
check 'there were some' [ "$total" -gt 0 ]
check_eq 'all datagrams are signed' "$right" "$total"
check_eq 'no datagram was refused' "$(counters '.datagrams_unsigned, .datagrams_of_other_key, .datagrams_forged, .datagrams_repeated, .datagrams_missing')" '0 0 0 0 0'

# --- hostile datagrams ----------------------------------------------------------------------------

dmesg -C
logged() { dmesg | grep -c "ipvs_rs: synchronization backup on eth2: $1"; }
must wire unsigned
check_soon 'an unsigned datagram is counted' 1 counters .datagrams_unsigned
check_soon 'the log explains it' 1 logged 'datagrams without a signature are ignored'
must wire signed "$second" 2
check_soon 'a datagram with an unknown key is counted' 1 counters .datagrams_of_other_key
check_soon 'the log names the key' 1 logged 'datagrams that are signed with key 2 are ignored; this director lacks that key'
must wire signed "$second" 1
check_soon 'a forged datagram is counted' 1 counters .datagrams_forged
check_soon 'the log explains that, too' 1 logged 'datagrams with a wrong signature are ignored'
before=$(counters .datagrams_unproved)
must wire signed "$first" 1
check_soon 'a right signature alone proves nothing: it may be a recording' $((before + 1)) counters .datagrams_unproved

check_match 'the backup loses its table' "$(daemon other connections --client 10.0.0.1 --kill)" 'removed: 10'
must wire replay "$work/old"
check_soon 'repeated datagrams are counted' "$total" counters .datagrams_repeated
before=$(counters '.datagrams_unsigned + .datagrams_forged')
must wire cut "$work/old"
check_soon 'datagrams that were cut are counted' $((before + total)) counters '.datagrams_unsigned + .datagrams_forged'
check_eq 'none of them is taken' "$(listed other | wc -l), $(foreign)" '0, 0'

# Neither the master nor the backup remembers the recorded numbers now.
stop director master
stop other backup
start other backup
before=$(counters .datagrams_unproved)
must wire replay "$work/old"
check_soon 'after a restart recorded datagrams are unproved' $((before + total)) counters .datagrams_unproved
check_eq 'and not taken' "$(listed other | wc -l)" 0

# The same program, with the key and an answer to the backup's question: so it is the answer that
# matters above.
launch "$work/ready" ready on director timeout 20 python3 "$here/sync_wire.py" eth2 master "$first" 1
must daemon other sync resync
check_soon 'a program that has the key and answers is believed' 1 foreign
must daemon other connections --client 10.9.0.0/24 --kill

# --- another key ----------------------------------------------------------------------------------

start director master
check_same 'a master that begins is believed after its answer'
client load x tcp 10.1.0.100 80 2 >/dev/null
before=$(counters '.datagrams_unsigned, .datagrams_of_other_key, .datagrams_forged, .datagrams_missing')
must daemon director sync key set "$work/second" --id 2
must daemon other sync key set "$work/second" --id 2
capture "$work/new"
must daemon director sync key delete 1
must client hold b tcp 10.1.0.100 80 5
must daemon other sync key delete 1
must client hold c tcp 10.1.0.100 80 5
end_capture
check_match 'no client notices that a key is replaced' "$(client stop x)" '[ABC]=[0-9]+( [ABC]=[0-9]+)*'
check_open 'the backup follows all the time'
check_eq 'no datagram is lost or refused' \
	"$(counters '.datagrams_unsigned, .datagrams_of_other_key, .datagrams_forged, .datagrams_missing')" "$before"
read -r right total <<<"$(wire verify "$second" 2 "$work/new")"
check 'the new key signs' [ "$right" -gt 0 ]

# --- downgrade ------------------------------------------------------------------------------------

must daemon director sync key delete 2
must client hold d tcp 10.1.0.100 80 3
check 'a master without its key is not heard' wait_for 10 eval '[ "$(counters .datagrams_unsigned)" -gt 2 ]'
check_eq 'so the backup lacks connections' "$(($(open_at director | wc -l) - $(open_at other | wc -l)))" 3
must daemon director sync key set "$work/second" --id 2
check_open 'when the master has the key again, it sends its table again'
must daemon director sync key delete 2
must daemon other sync key delete 2
must client hold e tcp 10.1.0.100 80 3
check_open 'without keys both directors go on'
must wire unsigned
check_soon 'and everybody is believed' 1 foreign
must ip netns del other
flush
check 'the module can be unloaded' unload_all "$IPVS_MODULE"
finish
