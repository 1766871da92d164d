// SPDX-License-Identifier: GPL-2.0-only
/* UDP sockets of the kernel that send to a multicast group or to peers, or receive from them. */

#include <linux/igmp.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "helpers.h"

struct knet_socket {
	struct socket *socket;
	/* The callback of the socket that ours replaces, in a receiver. */
	void (*ready)(struct sock *sk);
};

/* The index and MTU of a device: -ENODEV without a device of this name. Any context. */
int knet_device_find(struct net *net, const char *name, struct knet_device *found)
{
	const struct net_device *dev;
	int err = -ENODEV;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(net, name);
	if (dev) {
		found->index = dev->ifindex;
		found->mtu = READ_ONCE(dev->mtu);
		err = 0;
	}
	rcu_read_unlock();
	return err;
}

static int knet_group_address(const struct knet_group *group, struct sockaddr_storage *storage)
{
	struct sockaddr_in *in = (struct sockaddr_in *)storage;

	if (group->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;

		*in6 = (struct sockaddr_in6) {
			.sin6_family = AF_INET6,
			.sin6_port = htons(group->port),
			.sin6_addr = *knet_ipv6(&group->address),
		};
		return sizeof(*in6);
	}
	*in = (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(group->port),
		.sin_addr.s_addr = knet_ipv4(&group->address),
	};
	return sizeof(*in);
}

static int knet_join(struct sock *sk, const struct knet_group *group)
{
	struct ip_mreqn request = {
		.imr_multiaddr.s_addr = knet_ipv4(&group->address),
		.imr_ifindex = group->device,
	};

#if IS_ENABLED(CONFIG_IPV6)
	if (group->family == AF_INET6)
		return ipv6_sock_mc_join(sk, group->device, knet_ipv6(&group->address));
#endif
	return ip_mc_join_group(sk, &request);
}

static struct knet_socket *knet_socket_new(struct net *net, const struct knet_group *group,
					   int *err)
{
	struct knet_socket *socket = kzalloc(sizeof(*socket), GFP_KERNEL);

	if (!socket) {
		*err = -ENOMEM;
		return NULL;
	}
	/* Such a socket does not keep the namespace alive. */
	*err = sock_create_kern(net, group->family, SOCK_DGRAM, IPPROTO_UDP, &socket->socket);
	if (*err) {
		kfree(socket);
		return NULL;
	}
	return socket;
}

/*
 * A socket that sends to @group. It allows routers to fragment, as the device's MTU may change, and
 * it does not receive what it sends. Process context, may wait for the RTNL.
 */
struct knet_socket *knet_sender_open(struct net *net, const struct knet_group *group, int *err)
{
	struct knet_socket *socket = knet_socket_new(net, group, err);
	struct sockaddr_storage address;
	struct sock *sk;
	int len;

	if (!socket)
		return NULL;
	sk = socket->socket->sk;
	inet_assign_bit(MC_LOOP, sk, false);
	lock_sock(sk);
	inet_sk(sk)->mc_index = group->device;
	WRITE_ONCE(inet_sk(sk)->mc_ttl, group->ttl);
	WRITE_ONCE(inet_sk(sk)->pmtudisc, IP_PMTUDISC_DONT);
#if IS_ENABLED(CONFIG_IPV6)
	if (group->family == AF_INET6) {
		inet6_assign_bit(MC6_LOOP, sk, false);
		WRITE_ONCE(inet6_sk(sk)->mcast_oif, group->device);
		WRITE_ONCE(inet6_sk(sk)->mcast_hops, group->ttl);
		WRITE_ONCE(inet6_sk(sk)->pmtudisc, IPV6_PMTUDISC_DONT);
	}
#endif
	if (group->buffer) {
		sk->sk_sndbuf = max_t(int, group->buffer, SOCK_MIN_SNDBUF);
		sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
	}
	release_sock(sk);
	if (group->family == AF_INET) {
		struct net_device *dev;
		struct sockaddr_in *in = (struct sockaddr_in *)&address;

		/* The source is an address of the device, wherever the routes lead. */
		*in = (struct sockaddr_in) { .sin_family = AF_INET };
		rcu_read_lock();
		dev = dev_get_by_index_rcu(net, group->device);
		if (dev)
			in->sin_addr.s_addr = inet_select_addr(dev, 0, RT_SCOPE_UNIVERSE);
		rcu_read_unlock();
		*err = kernel_bind(socket->socket, (struct sockaddr_unsized *)in, sizeof(*in));
		if (*err)
			goto fail;
	}
	len = knet_group_address(group, &address);
	*err = kernel_connect(socket->socket, (struct sockaddr_unsized *)&address, len, 0);
	if (*err)
		goto fail;
	return socket;

fail:
	knet_socket_close(socket);
	return NULL;
}

/* Sends a datagram: -EAGAIN if the socket's buffer is full. Process context. */
int knet_sender_send(struct knet_socket *socket, const void *data, size_t len)
{
	struct msghdr message = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec vector = { .iov_base = (void *)data, .iov_len = len };
	int sent = kernel_sendmsg(socket->socket, &message, &vector, 1, len);

	return sent < 0 ? sent : 0;
}

/*
 * Sends a datagram to @address, of the socket's family, instead of its group: -EAGAIN if the
 * socket's buffer is full. Process context.
 */
int knet_sender_send_to(struct knet_socket *socket, const struct knet_address *address, u16 port,
			const void *data, size_t len)
{
	struct knet_group peer = {
		.address = *address,
		.family = socket->socket->sk->sk_family,
		.port = port,
	};
	struct sockaddr_storage storage;
	struct msghdr message = {
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		.msg_name = &storage,
		.msg_namelen = knet_group_address(&peer, &storage),
	};
	struct kvec vector = { .iov_base = (void *)data, .iov_len = len };
	int sent = kernel_sendmsg(socket->socket, &message, &vector, 1, len);

	return sent < 0 ? sent : 0;
}

/* Softirq, for each datagram that arrives. */
static void knet_socket_ready(struct sock *sk)
{
	struct knet_work *work;

	read_lock_bh(&sk->sk_callback_lock);
	work = sk->sk_user_data;
	if (work)
		knet_work_queue(work, 0);
	read_unlock_bh(&sk->sk_callback_lock);
}

static bool knet_is_group(const struct knet_group *group)
{
	if (group->family == AF_INET6)
		return ipv6_addr_is_multicast(knet_ipv6(&group->address));
	return ipv4_is_multicast(knet_ipv4(&group->address));
}

/*
 * A socket that receives from @group on its device, or what is sent to this host there. Process
 * context, waits for the RTNL.
 */
struct knet_socket *knet_receiver_open(struct net *net, const struct knet_group *group, int *err)
{
	struct knet_socket *socket = knet_socket_new(net, group, err);
	struct sockaddr_storage address;
	struct sock *sk;
	int len;

	if (!socket)
		return NULL;
	sk = socket->socket->sk;
	sk->sk_reuse = SK_CAN_REUSE;
	sk->sk_bound_dev_if = group->device;
	/* Only what was sent to a group that this socket has joined on this device. */
	inet_assign_bit(MC_ALL, sk, false);
#if IS_ENABLED(CONFIG_IPV6)
	if (group->family == AF_INET6)
		inet6_assign_bit(MC6_ALL, sk, false);
#endif
	if (group->buffer) {
		lock_sock(sk);
		WRITE_ONCE(sk->sk_rcvbuf, max_t(int, group->buffer, SOCK_MIN_RCVBUF));
		sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
		release_sock(sk);
	}
	len = knet_group_address(group, &address);
	*err = kernel_bind(socket->socket, (struct sockaddr_unsized *)&address, len);
	if (*err)
		goto fail;
	if (!knet_is_group(group))
		return socket;
	rtnl_lock();
	lock_sock(sk);
	*err = knet_join(sk, group);
	release_sock(sk);
	rtnl_unlock();
	if (*err)
		goto fail;
	return socket;

fail:
	knet_socket_close(socket);
	return NULL;
}

/*
 * Has @work, which must be initialized, run when datagrams have arrived, until
 * knet_receiver_quiet(). Process context.
 */
void knet_receiver_start(struct knet_socket *socket, struct knet_work *work)
{
	struct sock *sk = socket->socket->sk;

	write_lock_bh(&sk->sk_callback_lock);
	socket->ready = sk->sk_data_ready;
	sk->sk_user_data = work;
	WRITE_ONCE(sk->sk_data_ready, knet_socket_ready);
	write_unlock_bh(&sk->sk_callback_lock);
	/* For what arrived before. */
	knet_work_queue(work, 0);
}

/*
 * Receives a datagram: its length, which is above @len if it does not fit, or a negative error,
 * among them -EAGAIN if there is none. @source gets the address of its sender. Process context, not
 * concurrently.
 */
int knet_receiver_receive(struct knet_socket *socket, void *buffer, size_t len,
			  struct knet_address *source)
{
	struct in6_addr *from = (struct in6_addr *)source->words;
	struct sockaddr_storage storage = {};
	struct msghdr message = { .msg_name = &storage, .msg_namelen = sizeof(storage) };
	struct kvec vector = { .iov_base = buffer, .iov_len = len };
	int received = kernel_recvmsg(socket->socket, &message, &vector, 1, len,
				      MSG_DONTWAIT | MSG_TRUNC);

	if (storage.ss_family == AF_INET6)
		*from = ((struct sockaddr_in6 *)&storage)->sin6_addr;
	else
		ipv6_addr_set_v4mapped(((struct sockaddr_in *)&storage)->sin_addr.s_addr, from);
	return received;
}

/* No work of the receiver is queued any more. Process context. */
void knet_receiver_quiet(struct knet_socket *socket)
{
	struct sock *sk = socket->socket->sk;

	write_lock_bh(&sk->sk_callback_lock);
	WRITE_ONCE(sk->sk_data_ready, socket->ready);
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
}

/* Leaves the group and frees the socket. Process context, waits for the RTNL. */
void knet_socket_close(struct knet_socket *socket)
{
	sock_release(socket->socket);
	kfree(socket);
}
