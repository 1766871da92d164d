// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands of the tests that enter a host, which topology.sh explains:
 *
 *   on HOST COMMAND...   runs the command in the host's network namespace
 *   lvs ARGUMENT...      runs the administrator's command on the director
 *
 * Tests run them thousands of times. A shell's function and nsenter take twice as long, because a
 * dynamically linked program and one more copy of the shell start for each.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* enter: moves this process into the network namespace of that name. */
static int enter(const char *host)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "/run/netns/%s", host) >= (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || setns(fd, CLONE_NEWNET) ? -1 : 0;
}

static const char *setting(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/'), *host;
	char **command;

	name = name ? name + 1 : argv[0];
	if (!strcmp(name, "lvs")) {
		host = setting("DIRECTOR", "director");
		command = argv;
		command[0] = (char *)setting("LVSADM", "lvsadm");
	} else if (argc > 2) {
		host = argv[1];
		command = argv + 2;
	} else {
		fprintf(stderr, "usage: on HOST COMMAND...\n");
		return 125;
	}
	if (enter(host)) {
		perror(host);
		return 125;
	}
	execvp(command[0], command);
	perror(command[0]);
	return 127;
}
