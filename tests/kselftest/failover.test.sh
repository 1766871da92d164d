#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two directors with keepalived and the example configurations. The one that has the addresses is
# killed without warning, under load and with many open connections: the other one continues them.
# Then it returns, in both modes of failback. The directors are two namespaces of one machine.
# FAILOVER_CONNECTIONS is the number of connections that stay open, FAILOVER_RATE that of new ones
# in a second.
# timeout: 300
# check: debug, because sync_machines.test.sh runs on the stock kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/failover.sh
. "$here/failover.sh"

with_keepalived
