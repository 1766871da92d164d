#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Clients behind the module wait as long as the simulator predicts. Three real servers sleep for the
# time that a request says. The requests, their times and the predictions are those of a host test
# of lvssim (tools/lvssim/tests/queueing.rs). queueing.predicted has a line for each scheduler: the
# mean and the 90th percentile of the time to the answer, in milliseconds.
# timeout: 1800
# kernel: debug, because choices do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
python3 "$here/queueing.py" serve "$work/ready" A B C &
wait_for 30 test -e "$work/ready" || bail 'the servers do not start'

# check_near NAME GOT PREDICTED: the two differ by at most a tenth.
check_near() {
	local difference=$(($2 - $3))
	check "$1" test $((10 * ${difference#-})) -le "$3"
}

while read -r scheduler mean p90; do
	service -t 10.1.0.100:8090 "$scheduler" -- A:m:1:8090 B:m:1:8090 C:m:1:8090
	read -r count got_mean got_p90 <<<"$(on client python3 "$here/queueing.py" send 10.1.0.100 8090)"
	note "$scheduler: mean $got_mean ms, predicted $mean; 90th percentile $got_p90 ms, predicted $p90"
	check_eq "$scheduler: all 3000 requests are answered" "$count" 3000
	check_near "$scheduler: the mean time is within a tenth of the prediction" "$got_mean" "$mean"
	check_near "$scheduler: the 90th percentile is within a tenth of the prediction" "$got_p90" "$p90"
	flush
done <<<"$(grep -v '^#' "$here/queueing.predicted")"

finish
