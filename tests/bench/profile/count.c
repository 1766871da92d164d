// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU that counts how often the kernel executes each block of its code.
 *
 * A program in the guest marks the beginning and the end of a section by an instruction
 * without an effect (profile.py). At the end, the counts of the section are written to
 * the file section.N in the folder that the argument dir names, one line for each block:
 * its address in hexadecimal, its number of instructions, and how often it was executed.
 *
 * The guest has one processor, whose thread runs all callbacks.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From qemu-plugin.h, which Debian does not package. */
typedef uint64_t qemu_plugin_id_t;
typedef void (*callback)(unsigned int processor, void *data);
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_CB_NO_REGS };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*translated)(qemu_plugin_id_t,
							      struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, callback executed,
					  int registers, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
					    callback executed, int registers, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction, void *data, size_t size);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 3;

/* The marks are nopl with a displacement of "LVS" and one of these. */
enum { BEGIN = 1, END = 2 };
static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 'L', 'V', 'S' };

struct block {
	uint64_t address, instructions, executions;
	struct block *next;
};

#define BUCKETS (1 << 16)
static struct block *buckets[BUCKETS];
static const char *folder = ".";
static unsigned int sections;
static bool counts;

static void executed(unsigned int processor, void *data)
{
	struct block *block = data;

	if (counts)
		block->executions++;
}

static void begin(unsigned int processor, void *data)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct block *block = buckets[i]; block; block = block->next)
			block->executions = 0;
	counts = true;
}

static void end(unsigned int processor, void *data)
{
	char path[4096];
	FILE *file;

	if (!counts)
		return;
	counts = false;
	snprintf(path, sizeof(path), "%s/section.%u", folder, sections++);
	file = fopen(path, "w");
	if (!file) {
		perror(path);
		exit(1);
	}
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct block *block = buckets[i]; block; block = block->next)
			if (block->executions)
				fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n",
					block->address, block->instructions, block->executions);
	if (fclose(file)) {
		perror(path);
		exit(1);
	}
}

/* The entry of a block. A block may be translated again, also with another length. */
static struct block *entry(uint64_t address, uint64_t instructions)
{
	struct block **bucket = &buckets[(address ^ address >> 16) % BUCKETS], *block;

	for (block = *bucket; block; block = block->next)
		if (block->address == address && block->instructions == instructions)
			return block;
	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
	block->address = address;
	block->instructions = instructions;
	block->next = *bucket;
	*bucket = block;
	return block;
}

static void look_for_marks(const struct qemu_plugin_tb *block, size_t instructions)
{
	for (size_t i = 0; i < instructions; i++) {
		struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
		unsigned char code[16];

		if (qemu_plugin_insn_data(instruction, code, sizeof(code)) != sizeof(mark) + 1 ||
		    memcmp(code, mark, sizeof(mark)))
			continue;
		if (code[sizeof(mark)] == BEGIN)
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, begin,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (code[sizeof(mark)] == END)
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, end,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	uint64_t address = qemu_plugin_tb_vaddr(block);
	size_t instructions = qemu_plugin_tb_n_insns(block);

	/* The kernel has the upper half of all addresses. */
	if (address >> 63)
		qemu_plugin_register_vcpu_tb_exec_cb(block, executed, QEMU_PLUGIN_CB_NO_REGS,
						     entry(address, instructions));
	else
		look_for_marks(block, instructions);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *information, int arguments,
			       char **argument)
{
	for (int i = 0; i < arguments; i++)
		if (!strncmp(argument[i], "dir=", 4))
			folder = strdup(argument[i] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
