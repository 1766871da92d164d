// SPDX-License-Identifier: GPL-2.0-only
/* Generic netlink families whose attributes are parsed in Rust. */

#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "helpers.h"

struct knet_family {
	struct genl_family family;
	struct genl_multicast_group group;
	bool delegated;
	struct genl_ops ops[];
};

/*
 * The family with the multicast group, of which there is at most one. Readers
 * use the family under the lock, so it stays registered meanwhile.
 */
static struct knet_family *knet_events;
static DECLARE_RWSEM(knet_events_lock);

/*
 * Commands require CAP_NET_ADMIN: in the initial user namespace, or with
 * @delegated in the one that owns the network namespace. @group is the name of
 * its multicast group, or NULL; the same privilege is needed to join it.
 * Process context.
 */
struct genl_family *knet_family_register(const char *name, unsigned int version,
					 const struct knet_command *commands, unsigned int n,
					 const struct knet_family_calls *calls,
					 struct module *owner, bool delegated,
					 const char *group, int *error)
{
	struct knet_family *f;
	unsigned int i;

	f = kzalloc(struct_size(f, ops, n), GFP_KERNEL);
	if (!f) {
		*error = -ENOMEM;
		return NULL;
	}
	for (i = 0; i < n; i++) {
		f->ops[i].cmd = commands[i].number;
		f->ops[i].flags = delegated ? GENL_UNS_ADMIN_PERM : GENL_ADMIN_PERM;
		f->ops[i].validate = GENL_DONT_VALIDATE_STRICT |
				     GENL_DONT_VALIDATE_DUMP;
		if (commands[i].act)
			f->ops[i].doit = calls->act;
		if (commands[i].dump) {
			f->ops[i].start = calls->start;
			f->ops[i].dumpit = calls->dump;
			f->ops[i].done = calls->done;
		}
	}
	strscpy(f->family.name, name, sizeof(f->family.name));
	f->family.version = version;
	f->family.netnsok = true;
	f->family.parallel_ops = true;
	f->family.module = owner;
	f->family.ops = f->ops;
	f->family.n_ops = n;
	f->family.resv_start_op = U8_MAX;
	f->delegated = delegated;
	if (group) {
		strscpy(f->group.name, group, sizeof(f->group.name));
		f->group.flags = GENL_MCAST_CAP_NET_ADMIN;
		f->family.mcgrps = &f->group;
		f->family.n_mcgrps = 1;
	}

	*error = genl_register_family(&f->family);
	if (*error) {
		kfree(f);
		return NULL;
	}
	if (group) {
		down_write(&knet_events_lock);
		knet_events = f;
		up_write(&knet_events_lock);
	}
	return &f->family;
}

/* Waits until no command is running. Process context. */
void knet_family_unregister(struct genl_family *family)
{
	struct knet_family *f = container_of(family, struct knet_family, family);

	down_write(&knet_events_lock);
	if (knet_events == f)
		knet_events = NULL;
	up_write(&knet_events_lock);
	genl_unregister_family(family);
	kfree(f);
}

/*
 * A namespace whose owner may not give commands gets no events either: who may
 * join the group there is decided by that owner.
 */
static bool knet_event_allowed(const struct knet_family *f, const struct net *net)
{
	return f && (f->delegated || net->user_ns == &init_user_ns);
}

/* Whether a socket of @net listens to the multicast group. Process context. */
bool knet_event_wanted(struct net *net)
{
	bool wanted;

	down_read(&knet_events_lock);
	wanted = knet_event_allowed(knet_events, net) &&
		 genl_has_listeners(&knet_events->family, net, 0);
	up_read(&knet_events_lock);
	return wanted;
}

/* The header of an event, or NULL. Process context. */
void *knet_event_header(struct sk_buff *skb, u8 command)
{
	void *header = NULL;

	down_read(&knet_events_lock);
	if (knet_events)
		header = genlmsg_put(skb, 0, 0, &knet_events->family, 0, command);
	up_read(&knet_events_lock);
	return header;
}

/*
 * Sends an event to the listeners in @net; a listener whose buffer is full is
 * told so by ENOBUFS. Takes @skb. Process context.
 */
void knet_event_send(struct net *net, struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
	down_read(&knet_events_lock);
	if (knet_event_allowed(knet_events, net))
		genlmsg_multicast_netns(&knet_events->family, net, skb, 0, 0, GFP_KERNEL);
	else
		nlmsg_free(skb);
	up_read(&knet_events_lock);
}

struct net *knet_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

u8 knet_info_command(const struct genl_info *info)
{
	return info->genlhdr->cmd;
}

/* The attribute stream behind the generic netlink header. */
const u8 *knet_nlmsg_attributes(const struct nlmsghdr *nlh, u32 *len)
{
	u32 offset = NLMSG_HDRLEN + GENL_HDRLEN;

	*len = nlh->nlmsg_len > offset ? nlh->nlmsg_len - offset : 0;
	return (const u8 *)nlh + offset;
}

/* Overwrites the attributes of a message. */
void knet_nlmsg_forget(const struct nlmsghdr *nlh)
{
	u32 len;
	const u8 *attributes = knet_nlmsg_attributes(nlh, &len);

	memzero_explicit((void *)attributes, len);
}

/* @message must outlive the answer: string literals do. */
void knet_info_message(struct genl_info *info, const char *message)
{
	if (info->extack)
		info->extack->_msg = message;
}

void knet_cb_message(struct netlink_callback *cb, const char *message)
{
	if (cb->extack)
		cb->extack->_msg = message;
}

struct net *knet_cb_net(const struct netlink_callback *cb)
{
	return sock_net(cb->skb->sk);
}

u8 knet_cb_command(const struct netlink_callback *cb)
{
	const struct genlmsghdr *header = nlmsg_data(cb->nlh);

	return header->cmd;
}

struct sk_buff *knet_reply_new(void)
{
	return genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
}

void *knet_reply_header(struct sk_buff *skb, struct genl_info *info,
			u8 command)
{
	return genlmsg_put_reply(skb, info, info->family, 0, command);
}

int knet_reply_send(struct sk_buff *skb, void *header, struct genl_info *info)
{
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

void knet_reply_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}

void *knet_dump_header(struct sk_buff *skb, struct netlink_callback *cb,
		       u8 command)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   genl_info_dump(cb)->family, NLM_F_MULTI, command);
}

void knet_dump_end(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
}

void knet_dump_cancel(struct sk_buff *skb, void *header)
{
	genlmsg_cancel(skb, header);
}

int knet_put(struct sk_buff *skb, int type, const void *data, int len)
{
	return nla_put(skb, type, len, data);
}

int knet_put_u64(struct sk_buff *skb, int type, u64 value, int pad)
{
	return nla_put_u64_64bit(skb, type, value, pad);
}

struct nlattr *knet_nest_start(struct sk_buff *skb, int type)
{
	return nla_nest_start_noflag(skb, type);
}

void knet_nest_end(struct sk_buff *skb, struct nlattr *nest)
{
	nla_nest_end(skb, nest);
}

/* The state of a dump between its calls. */
void **knet_dump_data(struct netlink_callback *cb)
{
	return (void **)&cb->args[0];
}

const struct nlmsghdr *knet_cb_message_header(const struct netlink_callback *cb)
{
	return cb->nlh;
}

const struct nlmsghdr *knet_info_message_header(const struct genl_info *info)
{
	return info->nlhdr;
}

u32 knet_dump_length(const struct sk_buff *skb)
{
	return skb->len;
}
