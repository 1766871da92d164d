/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * C shims of the knet crate.
 *
 * They contain static inline functions and macros of the kernel, which Rust
 * cannot call, and whole steps of the packet path, so that Rust makes one call
 * per step and not one per field. They contain no decisions: lvs_core makes
 * them, and shims perform them.
 *
 * Rust learns these prototypes through bindgen (see ../bindings/).
 */
#ifndef KNET_HELPERS_H
#define KNET_HELPERS_H

#include <linux/if_ether.h>
#include <linux/ipv6.h>
#include <linux/jiffies.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/ip.h>
#include <net/net_namespace.h>

struct dst_entry;
struct kmem_cache;
struct net_device;
struct seq_file;

/* skb.c */

/*
 * Offsets of the fields that Rust reads from every packet: those that bindgen
 * would hide in anonymous unions, and those in the control block of IP.
 */
enum knet_skb_layout {
	KNET_SKB_MARK = offsetof(struct sk_buff, mark),
	KNET_SKB_PROTOCOL = offsetof(struct sk_buff, protocol),
	KNET_SKB_DEVICE = offsetof(struct sk_buff, skb_iif),
	KNET_SKB_PACKET_TYPE = PKT_TYPE_OFFSET,
	KNET_SKB_PACKET_TYPE_MASK = PKT_TYPE_MAX,
	KNET_SKB_LARGEST_FRAGMENT4 = offsetof(struct sk_buff, cb) +
				     offsetof(struct inet_skb_parm, frag_max_size),
	KNET_SKB_LARGEST_FRAGMENT6 = offsetof(struct sk_buff, cb) +
				     offsetof(struct inet6_skb_parm, frag_max_size),
};

int knet_skb_pull(struct sk_buff *skb, unsigned int len);
bool knet_skb_has_parts(const struct sk_buff *skb);
int knet_skb_copy(const struct sk_buff *skb, u8 *to, unsigned int len);
int knet_skb_writable(struct sk_buff *skb, unsigned int len);
void knet_skb_orphan(struct sk_buff *skb);
bool knet_skb_leaves_host(const struct sk_buff *skb);
bool knet_skb_fragmented_here(const struct sk_buff *skb);
bool knet_skb_from_tunnel(const struct sk_buff *skb);
int knet_skb_replace(struct sk_buff *skb, int family, unsigned int transport, unsigned int at,
		     unsigned int old, const u8 *text, unsigned int new);
bool knet_skb_checksum_partial(const struct sk_buff *skb);

/*
 * An IPv6 or IPv4-mapped address in network byte order: a struct in6_addr
 * without unions, which are awkward in Rust.
 */
struct knet_address {
	u64 words[2];
};

static inline __be32 knet_ipv4(const struct knet_address *address)
{
	return ((const __be32 *)address->words)[3];
}

static inline const struct in6_addr *knet_ipv6(const struct knet_address *address)
{
	return (const struct in6_addr *)address->words;
}

/* route.c */
enum knet_prepared {
	KNET_PREPARED,		/* routed and writable */
	KNET_PREPARED_PARTIAL,	/* the same; the device fills in the transport checksum */
	KNET_NO_ROUTE,		/* there is no route */
	KNET_LOCAL,		/* the route leads to this host; nothing was changed */
	KNET_NOT_WRITABLE,	/* the packet is too short, or there is no memory */
	KNET_UNCHECKED,		/* the MTU is not sufficient; nothing was changed */
	KNET_FORBIDDEN,		/* an IPsec policy blocks it; nothing was changed */
};

/*
 * A cached route. Only C reads and writes these words. The cookie tells whether
 * a route of IPv6 is still valid. Four bytes of padding follow, in which the
 * owner of the cache may store data.
 */
struct knet_route_cache {
	struct dst_entry __rcu *dst;
	u32 cookie;
};

/* The destination of a packet, and the work on the way. */
struct knet_route {
	/* The cache, for packets with the same @daddr, @saddr and @direct. */
	struct knet_route_cache *cache;
	/* The local address that the cached route prefers, or NULL if it is not needed. */
	struct knet_address *source;
	/* Next destination, and the source that routing rules see (0: any). */
	struct knet_address daddr;
	struct knet_address saddr;
	/*
	 * The mark that routing rules see. A packet with a mark does not use the
	 * cache if there are rules that may look at it.
	 */
	u32 mark;
	/* The route is used without further checks if its MTU is at least this. */
	u32 sufficient_mtu;
	/* This many bytes of the packet will be written to. */
	u16 writable;
	/* The port that goes with the address that is translated, or with a tunnel's end. */
	__be16 port;
	/* The protocol of the outer packet, for a tunnel. */
	u8 protocol;
	/* The caller needs the preferred source; @source is not NULL. */
	bool wants_source;
	/* The neighbor is @daddr, regardless of the packet's own destination. */
	bool direct;
};

/* The result of the lookup. */
struct knet_hop {
	u32 mtu;
	/* The local address that it prefers, if the caller wanted it. */
	struct knet_address source;
};

void knet_route_forget(struct knet_route_cache *cache);
enum knet_prepared knet_prepare4(struct net *net, struct sk_buff *skb,
				 const struct knet_route *route, struct knet_hop *hop);
enum knet_prepared knet_prepare6(struct net *net, struct sk_buff *skb,
				 const struct knet_route *route, struct knet_hop *hop);
enum knet_prepared knet_prepare4in6(struct net *net, struct sk_buff *skb,
				    const struct knet_route *route, struct knet_hop *hop);
enum knet_prepared knet_prepare6in4(struct net *net, struct sk_buff *skb,
				    const struct knet_route *route, struct knet_hop *hop);
enum knet_prepared knet_depart4(struct net *net, struct sk_buff *skb,
				const struct knet_route_cache *cache, u32 writable, u32 len);
enum knet_prepared knet_depart6(struct net *net, struct sk_buff *skb,
				const struct knet_route_cache *cache, u32 writable, u32 len);
bool knet_depart4_ipip(struct net *net, struct sk_buff *skb, const struct knet_route_cache *cache,
		       const struct knet_address *cached, struct knet_address *source, u32 len);
bool knet_depart6_ipip(struct net *net, struct sk_buff *skb, const struct knet_route_cache *cache,
		       const struct knet_address *cached, struct knet_address *source, u32 len);
bool knet_marks_matter4(const struct net *net);
bool knet_marks_matter6(const struct net *net);
enum knet_prepared knet_redirect4(struct net *net, struct sk_buff *skb,
				  const struct knet_route *route);
enum knet_prepared knet_redirect6(struct net *net, struct sk_buff *skb,
				  const struct knet_route *route);
bool knet_route_again4(struct net *net, struct sk_buff *skb);
bool knet_route_again6(struct net *net, struct sk_buff *skb);
bool knet_segments_fit(const struct sk_buff *skb, unsigned int mtu);
bool knet_ipv6_enabled(void);
bool knet_address_is_local(struct net *net, const struct knet_address *address);
bool knet_address_is_elsewhere(struct net *net, const struct knet_address *address);

/* ipsec.c */
bool knet_ipsec_allows(const struct net *net, struct sk_buff *skb, int family, bool reply);
bool knet_ipsec_reroute(struct net *net, struct sk_buff *skb, int family);

/* ingress.c */
enum knet_protocol {
	KNET_PROTOCOL_IPV4 = ETH_P_IP,
	KNET_PROTOCOL_IPV6 = ETH_P_IPV6,
};

bool knet_rtnl_trylock(void);
void knet_rtnl_unlock(void);
bool knet_may_receive4(const struct net *net, struct sk_buff *skb);
bool knet_may_receive6(const struct net *net, struct sk_buff *skb);
bool knet_receive4(struct net *net, struct sk_buff *skb, unsigned int len);
bool knet_receive6(struct net *net, struct sk_buff *skb, unsigned int len);
void knet_count_received4(struct net *net, const struct sk_buff *skb);
void knet_count_received6(struct net *net, const struct sk_buff *skb);
int knet_ingress_add(struct net *net, struct nf_hook_ops *ops, int ifindex);
void knet_ingress_remove(struct net *net, struct nf_hook_ops *ops);

/* batch.c */
enum {
	KNET_BATCH = 32,	/* packets that are handled together */
	KNET_NOTE = 8,		/* bytes that a handler remembers about a packet */
};

struct knet_batch;

struct knet_waiting {
	struct sk_buff *skb;	/* NULL: it is gone */
	const u8 *data;		/* where its header was when it began to wait */
	struct net_device *dev;
	u64 note[KNET_NOTE / sizeof(u64)];
	__be16 protocol;
};

typedef void knet_batch_handler(void *data, struct net *net, const struct knet_waiting *waiting,
				unsigned int count);

struct knet_batch *knet_batch_create(struct net *net, knet_batch_handler *handle, void *data);
void knet_batch_destroy(struct knet_batch *batch);
bool knet_batch_waits(const struct knet_batch *batch);
bool knet_batch_add(struct knet_batch *batch, struct sk_buff *skb, const void *note, bool noted);
void knet_batch_pass_on(struct sk_buff *skb);
void knet_batch_drop(struct sk_buff *skb);
u64 knet_batch_handled(const struct knet_batch *batch);

/* needless.c */
void knet_recognize(struct net *net);

/* Traffic in one direction: a part of struct knet_counters. */
struct knet_traffic {
	u64 packets;
	u64 bytes;
};

/* xdp.c */
struct xdp_buff;

/* What a handler does with a frame; or an action that C has returned. */
enum knet_xdp_action {
	KNET_XDP_DROP = 1,
	KNET_XDP_PASS = 2,
};

/* A handler of a namespace's frames. */
struct knet_xdp {
	/* Return an action for a frame with a packet at @ip, of which @len bytes came in. */
	int (*handle4)(void *data, struct net *net, struct xdp_buff *frame, u8 *ip, u32 len);
	int (*handle6)(void *data, struct net *net, struct xdp_buff *frame, u8 *ip, u32 len);
	void *data;
};

/*
 * A handler of frames that have waited for others: see xdp_batch.c. Its notes are words that
 * may be wrong.
 */
struct knet_xdp_batching {
	/* Prepares for the frames with these notes, which come next, and writes what it finds. */
	void (*prepare)(void *data, const u64 *notes, u64 *aheads, unsigned int count);
	/* As those of struct knet_xdp, with what prepare() has found. */
	int (*take4)(void *data, struct net *net, struct xdp_buff *frame, u8 *ip, u32 len,
		     u64 note, const u64 *ahead);
	int (*take6)(void *data, struct net *net, struct xdp_buff *frame, u8 *ip, u32 len,
		     u64 note, const u64 *ahead);
	void *data;
};

/* The tunnel of a frame's packet. */
struct knet_xdp_tunnel {
	struct knet_address end;
	struct knet_address source;	/* the local address */
	u32 overhead;			/* bytes of all headers */
	int inner_family;
};

void knet_xdp_offer(bool offered);
bool knet_xdp_is_offered(void);
int knet_xdp_forward(struct xdp_buff *frame);
int knet_xdp_depart4(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		     u32 len, const struct knet_address *next);
int knet_xdp_depart6(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		     u32 len, const struct knet_address *next);
int knet_xdp_encapsulate4(struct net *net, struct xdp_buff *frame,
			  const struct knet_route_cache *cache, const struct knet_address *cached,
			  u32 len, struct knet_xdp_tunnel *tunnel);
int knet_xdp_encapsulate6(struct net *net, struct xdp_buff *frame,
			  const struct knet_route_cache *cache, const struct knet_address *cached,
			  u32 len, struct knet_xdp_tunnel *tunnel);
u16 knet_xdp_tunnel_port(struct net *net, u32 flow);
int knet_xdp_ipip4(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		   const struct knet_address *cached, u32 len, struct knet_xdp_tunnel *tunnel);
int knet_xdp_ipip6(struct net *net, struct xdp_buff *frame, const struct knet_route_cache *cache,
		   const struct knet_address *cached, u32 len, struct knet_xdp_tunnel *tunnel);
int knet_xdp_wait(const struct net *net, struct xdp_buff *frame, const struct net_device *waiter,
		  u64 word);
u16 knet_identify_one(void);
void knet_xdp_count(u32 len, struct knet_traffic __percpu *taken,
		    struct knet_traffic __percpu *server);
void knet_xdp_complete4(struct xdp_buff *frame, bool may_fragment, u32 len,
			struct knet_traffic __percpu *taken, struct knet_traffic __percpu *server);

/* xdp_batch.c */
enum {
	KNET_FRAMES = 16,	/* frames that are handled together */
};

struct net_device *knet_waiter_create(struct net *net, const struct knet_xdp_batching *handler);
u64 knet_waiter_handled(const struct net_device *dev);
bool knet_waiter_destroy(struct net_device *dev, bool waits);

/* transmit.c */
void knet_untrack(struct sk_buff *skb);
bool knet_track_server(struct net *net, struct sk_buff *skb, const struct knet_address *address,
		       __be16 port);
bool knet_track_tunneled(struct sk_buff *skb);
void knet_send4(struct net *net, struct sk_buff *skb, u32 mtu, bool track);
void knet_send6(struct net *net, struct sk_buff *skb, u32 mtu, bool track);
void knet_send_early4(struct net *net, struct sk_buff *skb, struct knet_traffic __percpu *early,
		      struct knet_traffic __percpu *server);
void knet_send_early6(struct net *net, struct sk_buff *skb, struct knet_traffic __percpu *early,
		      struct knet_traffic __percpu *server);
void knet_send_early4_ipip(struct net *net, struct sk_buff *skb,
			   struct knet_traffic __percpu *early,
			   struct knet_traffic __percpu *server);
void knet_send_early6_ipip(struct net *net, struct sk_buff *skb,
			   struct knet_traffic __percpu *early,
			   struct knet_traffic __percpu *server, bool may_fragment);
void knet_send4_local(struct net *net, struct sk_buff *skb, u32 mtu);
void knet_send6_local(struct net *net, struct sk_buff *skb, u32 mtu);

struct knet_tracked {
	struct knet_address client;
	struct knet_address service;
	__be16 client_port;
	__be16 service_port;
	int family;
	u8 protocol;
};

void knet_end_tracking(struct net *net, const struct knet_tracked *flow);

/* icmp.c */
struct knet_report {
	u8 type;
	u8 code;
	u32 info;
};

void knet_report4(struct net *net, struct sk_buff *skb, const struct knet_report *report);
void knet_report6(struct sk_buff *skb, const struct knet_report *report);
bool knet_icmp_checksum4(struct sk_buff *skb, unsigned int hook, unsigned int header);
bool knet_icmp_checksum6(struct sk_buff *skb, unsigned int hook, unsigned int header);
void knet_learn_mtu4(struct net *net, struct sk_buff *skb, unsigned int at, u8 protocol, u32 mtu);
void knet_learn_mtu6(struct net *net, struct sk_buff *skb, unsigned int at, u32 mtu);
void knet_relay_report4(struct net *net, struct sk_buff *skb, unsigned int at,
			const struct knet_report *report);
void knet_relay_report6(struct sk_buff *skb, unsigned int at, const struct knet_report *report);

/* tunnel.c */
enum knet_tunnel_kind {
	KNET_IPIP,	/* RFC 2003, 2473, 4213 */
	KNET_GUE,
	KNET_GRE,	/* RFC 2784 */
};

/* The ends of a tunnel, of one family. */
struct knet_tunnel {
	struct knet_address daddr;
	struct knet_address saddr;
	int family;
	int inner_family;
	enum knet_tunnel_kind kind;
	u16 overhead;	/* the most bytes that it puts before a packet */
	__be16 port;	/* of GUE */
	u32 flow;	/* GUE: the hash of the packet's flow */
	u8 protocol;	/* what an IP header before the inner packet announces */
	/* GUE and GRE: a checksum over all of the payload. */
	bool checksum;
	/* GUE: the tunnel's end computes an inner checksum that is not done yet. */
	bool remote_checksum;
	/* Routers may fragment the outer packet. */
	bool may_fragment;
};

u16 knet_identify(const struct sk_buff *skb);
int knet_encapsulate_ipip4(struct sk_buff *skb, bool may_fragment);
int knet_encapsulate_ipip6(struct sk_buff *skb, bool may_fragment);
int knet_encapsulate(struct net *net, struct sk_buff *skb, const struct knet_tunnel *tunnel);

/* fragment.c */
int knet_gather4(struct net *net, struct sk_buff *skb, unsigned int hook);
int knet_gather6(struct net *net, struct sk_buff *skb);

/* percpu.c */
struct knet_counters {
	u64 connections;
	struct knet_traffic in;
	struct knet_traffic out;
};

struct knet_counters __percpu *knet_counters_alloc(void);
void knet_counters_free(struct knet_counters __percpu *counters);
void knet_counters_sum(struct knet_counters __percpu *counters,
		       struct knet_counters *sum);
void knet_counters_of(struct knet_counters __percpu *counters, unsigned int cpu,
		      struct knet_counters *of);
unsigned int knet_cpu_from(unsigned int cpu);
unsigned int knet_cpu_end(void);
void knet_counters_connection(struct knet_counters __percpu *counters);
void knet_counters_in(struct knet_counters __percpu *counters, u32 bytes);
void knet_counters_out(struct knet_counters __percpu *counters, u32 bytes);

/* trace.c */

/* A client, a virtual service or a real server; the port in host order. */
struct knet_end {
	struct knet_address address;
	u16 port;
};

/* What is known of a packet or connection that trace events tell of. */
struct knet_flow {
	u32 net;	/* the number of the network namespace; 0: not known */
	u32 mark;	/* the firewall mark of the service; 0: it has an address */
	struct knet_end client;
	struct knet_end service;
	struct knet_end server;	/* unspecified: none was chosen */
	u8 protocol;
};

void knet_trace_schedule(const struct knet_flow *flow);
void knet_trace_drop(const struct knet_flow *flow, const char *reason, unsigned int len);
void knet_trace_state(const struct knet_flow *flow, const char *from, unsigned int from_len,
		      const char *to, unsigned int to_len);
bool knet_may_log(void);

/* sync.c */
void knet_spin_lock_bh(spinlock_t *lock);
bool knet_spin_trylock_bh(spinlock_t *lock);
void knet_spin_unlock_bh(spinlock_t *lock);
bool knet_bh_disable(void);
void knet_bh_enable(void);
void knet_global_lock(void);
void knet_global_unlock(void);
void knet_synchronize_rcu_expedited(void);

/* Macros that bindgen does not evaluate: it takes user space's HZ for the kernel's. */
enum knet_time {
	KNET_HZ = HZ,
	KNET_INITIAL_JIFFIES = (unsigned int)INITIAL_JIFFIES,
};

struct knet_work {
	struct delayed_work work;
	void (*run)(void *data);
	void *data;
};

void knet_work_init(struct knet_work *work, void (*run)(void *), void *data);
void knet_work_queue(struct knet_work *work, unsigned int milliseconds);
void knet_work_hasten(struct knet_work *work, unsigned int milliseconds);
void knet_work_cancel(struct knet_work *work);
void knet_cond_resched(void);
void knet_sleep(unsigned int milliseconds);

/* memory.c */
struct kmem_cache *knet_cache_create(const char *name, unsigned int size,
				     unsigned int align);
void *knet_payer_of_caller(void);
void knet_payer_put(void *payer);
void *knet_payer_begin(void *payer);
void knet_payer_end(void *former);
void *knet_alloc_charged(struct kmem_cache *cache, void *payer);
void knet_cache_free(void *object);
u64 knet_available_pages(void);
u64 knet_buffer_pages(void);

/* netns.c */
struct knet_namespace_calls {
	int (*init)(struct net *net, void **data);
	void (*pre_exit)(void *data);
	void (*exit)(void *data);
	/*
	 * A device is down or is removed: called when the routes over it are gone,
	 * and again when no packet uses them any more.
	 */
	void (*device_gone)(void *data);
	/* A device is removed, or moves to another namespace. */
	void (*device_removed)(void *data, int ifindex);
};

int knet_namespace_register(const struct knet_namespace_calls *calls);
void knet_namespace_unregister(void);
bool knet_namespace_is_initial(const struct net *net);
unsigned int knet_namespace_number(const struct net *net);
bool knet_caller_administers_host(void);
void *knet_namespace_data(const struct net *net);
void knet_namespace_set_xdp(const struct net *net, const struct knet_xdp *handler);
struct proc_dir_entry *knet_proc_create(struct net *net, const char *name, umode_t mode,
					int (*show)(struct seq_file *, void *));

struct knet_list_calls {
	/* Returns the lowest key that is at least @from, plus one; 0: there is none. */
	u64 (*find)(struct net *net, u64 from);
	/* Writes the part at @position: a key plus one, or 0 for the heading. */
	void (*show)(struct net *net, struct seq_file *seq, u64 position);
};

struct proc_dir_entry *knet_proc_create_list(struct net *net, const char *name,
					     const struct knet_list_calls *calls);
void knet_proc_remove(struct net *net, const char *name);
struct net *knet_seq_net(struct seq_file *seq);

/* crypto.c */
void knet_blake2s_128(const u8 *key, const void *data, size_t len, u8 *code);
void knet_forget(void *secret, size_t len);

/* socket.c */
struct knet_socket;

struct knet_device {
	int index;
	u32 mtu;
};

/* A multicast group, or any address of this host (0), and how it is used. */
struct knet_group {
	struct knet_address address;
	int family;
	/* The index of the device. */
	int device;
	/* Octets of the buffer, twice as many as SO_SNDBUF or SO_RCVBUF; 0: the system's. */
	u32 buffer;
	/* In host order. */
	u16 port;
	/* Of what is sent. */
	u8 ttl;
};

int knet_device_find(struct net *net, const char *name, struct knet_device *found);
struct knet_socket *knet_sender_open(struct net *net, const struct knet_group *group, int *err);
int knet_sender_send(struct knet_socket *socket, const void *data, size_t len);
int knet_sender_send_to(struct knet_socket *socket, const struct knet_address *address, u16 port,
			const void *data, size_t len);
struct knet_socket *knet_receiver_open(struct net *net, const struct knet_group *group,
				       int *err);
void knet_receiver_start(struct knet_socket *socket, struct knet_work *work);
int knet_receiver_receive(struct knet_socket *socket, void *buffer, size_t len,
			  struct knet_address *source);
void knet_receiver_quiet(struct knet_socket *socket);
void knet_socket_close(struct knet_socket *socket);

/* sysctl.c */

/* The most numbers in a setting. */
#define KNET_SYSCTL_NUMBERS 2

struct knet_sysctl {
	const char *name;
	/* The range of each number. */
	u32 minimum;
	u32 maximum;
	/* How many numbers it has; 0: the setting is a list of CPUs, which C keeps. */
	u32 numbers;
	/* The range and the numbers are signed, in two's complement. */
	bool is_signed;
	/* All numbers but 0 mean on. The number that was written is read back. */
	bool is_switch;
	void (*get)(const struct knet_sysctl *setting, void *of, u32 *values);
	int (*set)(const struct knet_sysctl *setting, void *of, const u32 *values);
};

struct knet_sysctls;
struct knet_sysctls *knet_sysctl_register(struct net *net, const char *path,
					  const struct knet_sysctl *settings,
					  unsigned int n, size_t stride, void *of);
void knet_sysctl_unregister(struct knet_sysctls *sysctls);

/* netlink.c */
struct knet_command {
	u8 number;
	bool dump;
	bool act;
};

struct knet_family_calls {
	int (*act)(struct sk_buff *skb, struct genl_info *info);
	int (*start)(struct netlink_callback *cb);
	int (*dump)(struct sk_buff *skb, struct netlink_callback *cb);
	int (*done)(struct netlink_callback *cb);
};

struct genl_family *knet_family_register(const char *name, unsigned int version,
					 const struct knet_command *commands, unsigned int n,
					 const struct knet_family_calls *calls,
					 struct module *owner, bool delegated,
					 const char *group, int *error);
void knet_family_unregister(struct genl_family *family);
bool knet_event_wanted(struct net *net);
void *knet_event_header(struct sk_buff *skb, u8 command);
void knet_event_send(struct net *net, struct sk_buff *skb, void *header);
struct net *knet_info_net(const struct genl_info *info);
u8 knet_info_command(const struct genl_info *info);
const u8 *knet_nlmsg_attributes(const struct nlmsghdr *nlh, u32 *len);
void knet_nlmsg_forget(const struct nlmsghdr *nlh);
void knet_info_message(struct genl_info *info, const char *message);
void knet_cb_message(struct netlink_callback *cb, const char *message);
struct net *knet_cb_net(const struct netlink_callback *cb);
u8 knet_cb_command(const struct netlink_callback *cb);
struct sk_buff *knet_reply_new(void);
void *knet_reply_header(struct sk_buff *skb, struct genl_info *info,
			u8 command);
int knet_reply_send(struct sk_buff *skb, void *header, struct genl_info *info);
void knet_reply_free(struct sk_buff *skb);
void *knet_dump_header(struct sk_buff *skb, struct netlink_callback *cb,
		       u8 command);
void knet_dump_end(struct sk_buff *skb, void *header);
void knet_dump_cancel(struct sk_buff *skb, void *header);
int knet_put(struct sk_buff *skb, int type, const void *data, int len);
int knet_put_u64(struct sk_buff *skb, int type, u64 value, int pad);
struct nlattr *knet_nest_start(struct sk_buff *skb, int type);
void knet_nest_end(struct sk_buff *skb, struct nlattr *nest);
void **knet_dump_data(struct netlink_callback *cb);
u32 knet_dump_length(const struct sk_buff *skb);
const struct nlmsghdr *knet_cb_message_header(const struct netlink_callback *cb);
const struct nlmsghdr *knet_info_message_header(const struct genl_info *info);

/* module.c */
int knet_request_module(const char *prefix, const char *name);
bool knet_module_get(struct module *module);
int knet_module_refuse(const char *name);
void knet_module_refuse_end(void);

#endif /* KNET_HELPERS_H */
