/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the director: /sys/kernel/tracing/events/ipvs_rs.
 *
 * Documentation/drops.rst describes the events and their fields.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ipvs_rs

#if !defined(KNET_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KNET_TRACE_H

#include <linux/in6.h>
#include <linux/tracepoint.h>

#include "helpers.h"

TRACE_EVENT(ipvs_rs_schedule,
	TP_PROTO(const struct knet_flow *flow),
	TP_ARGS(flow),
	TP_STRUCT__entry(
		__field(u32, net)
		__field(u32, mark)
		__field(u8, protocol)
		__array(u8, client, sizeof(struct sockaddr_in6))
		__array(u8, service, sizeof(struct sockaddr_in6))
		__array(u8, server, sizeof(struct sockaddr_in6))
	),
	TP_fast_assign(
		__entry->net = flow->net;
		__entry->mark = flow->mark;
		__entry->protocol = flow->protocol;
		knet_trace_end(__entry->client, &flow->client);
		knet_trace_end(__entry->service, &flow->service);
		knet_trace_end(__entry->server, &flow->server);
	),
	TP_printk("net=%u protocol=%u mark=%u client=%pISpc service=%pISpc server=%pISpc",
		  __entry->net, __entry->protocol, __entry->mark,
		  __entry->client, __entry->service, __entry->server)
);

TRACE_EVENT(ipvs_rs_drop,
	TP_PROTO(const struct knet_flow *flow, const char *reason, unsigned int len),
	TP_ARGS(flow, reason, len),
	TP_STRUCT__entry(
		__field(u32, net)
		__field(u32, mark)
		__field(u8, protocol)
		__array(u8, client, sizeof(struct sockaddr_in6))
		__array(u8, service, sizeof(struct sockaddr_in6))
		__array(u8, server, sizeof(struct sockaddr_in6))
		__string_len(reason, reason, len)
	),
	TP_fast_assign(
		__entry->net = flow->net;
		__entry->mark = flow->mark;
		__entry->protocol = flow->protocol;
		knet_trace_end(__entry->client, &flow->client);
		knet_trace_end(__entry->service, &flow->service);
		knet_trace_end(__entry->server, &flow->server);
		__assign_str(reason);
	),
	TP_printk("net=%u protocol=%u mark=%u client=%pISpc service=%pISpc server=%pISpc reason=%s",
		  __entry->net, __entry->protocol, __entry->mark,
		  __entry->client, __entry->service, __entry->server,
		  __get_str(reason))
);

TRACE_EVENT(ipvs_rs_state,
	TP_PROTO(const struct knet_flow *flow, const char *from, unsigned int from_len,
		 const char *to, unsigned int to_len),
	TP_ARGS(flow, from, from_len, to, to_len),
	TP_STRUCT__entry(
		__field(u8, protocol)
		__array(u8, client, sizeof(struct sockaddr_in6))
		__array(u8, service, sizeof(struct sockaddr_in6))
		__array(u8, server, sizeof(struct sockaddr_in6))
		__string_len(from, from, from_len)
		__string_len(to, to, to_len)
	),
	TP_fast_assign(
		__entry->protocol = flow->protocol;
		knet_trace_end(__entry->client, &flow->client);
		knet_trace_end(__entry->service, &flow->service);
		knet_trace_end(__entry->server, &flow->server);
		__assign_str(from);
		__assign_str(to);
	),
	TP_printk("protocol=%u client=%pISpc service=%pISpc server=%pISpc from=%s to=%s",
		  __entry->protocol,
		  __entry->client, __entry->service, __entry->server,
		  __get_str(from), __get_str(to))
);

#endif /* KNET_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
