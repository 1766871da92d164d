// SPDX-License-Identifier: GPL-2.0-only
/* What administrators see of single packets: tracepoints, and the limit of lines in the log. */

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ratelimit.h>
#include <linux/string.h>

#include "helpers.h"

/* Writes one end of a flow as a socket address, for %pISpc. Unused in a kernel without tracing. */
static void __maybe_unused knet_trace_end(void *to, const struct knet_end *end)
{
	const struct in6_addr *address = knet_ipv6(&end->address);

	memset(to, 0, sizeof(struct sockaddr_in6));
	if (ipv6_addr_v4mapped(address)) {
		struct sockaddr_in *in = to;

		in->sin_family = AF_INET;
		in->sin_port = htons(end->port);
		in->sin_addr.s_addr = knet_ipv4(&end->address);
	} else {
		struct sockaddr_in6 *in6 = to;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(end->port);
		in6->sin6_addr = *address;
	}
}

#define CREATE_TRACE_POINTS
#include "trace.h"

/* The caller has seen that somebody traces this; any context. */
void knet_trace_schedule(const struct knet_flow *flow)
{
	trace_ipvs_rs_schedule(flow);
}

void knet_trace_drop(const struct knet_flow *flow, const char *reason, unsigned int len)
{
	trace_ipvs_rs_drop(flow, reason, len);
}

void knet_trace_state(const struct knet_flow *flow, const char *from, unsigned int from_len,
		      const char *to, unsigned int to_len)
{
	trace_ipvs_rs_state(flow, from, from_len, to, to_len);
}

/* Whether the log may have another line: ten in ten seconds for all namespaces. Any context. */
bool knet_may_log(void)
{
	static DEFINE_RATELIMIT_STATE(limit, 10 * HZ, 10);

	return __ratelimit(&limit);
}
