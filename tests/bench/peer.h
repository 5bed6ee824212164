/*
 * peer - a peer that runs beside us as a process of its own, started once and
 * asked for a round at a time, so that rounds alternate and its start is never
 * counted. It prints one line when it is ready (what it is and how it is set);
 * to each line "N" on its stdin it does its work N times and prints the
 * microseconds one took.
 *
 * tests/bench/peers.sh puts peers from registries under BENCH_PEERS; one that
 * is not there is said to be absent, and its lines are missing from bench.tsv.
 */
#ifndef VAYLA_TESTS_BENCH_PEER_H
#define VAYLA_TESTS_BENCH_PEER_H

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

struct peer {
	const char *name;
	pid_t pid; /* 0: absent */
	FILE *in, *out;
};

static inline void
peer_stop(struct peer *p)
{
	if (p->pid <= 0)
		return;
	fclose(p->in); /* it ends with its stdin, and what it started first */
	for (int i = 0; i < 150 && waitpid(p->pid, NULL, WNOHANG) == 0; i++) {
		if (i == 149)
			kill(p->pid, SIGKILL);
		usleep(100000);
	}
	fclose(p->out);
	p->pid = 0;
}

/* argv[0] is looked up on the PATH. False and a line on stderr: absent. */
static inline bool
peer_start(struct peer *p, const char *name, const char *const argv[])
{
	int to[2], from[2];
	char line[256];

	*p = (struct peer){.name = name};
	if (pipe(to) != 0 || pipe(from) != 0)
		return false;
	signal(SIGPIPE, SIG_IGN);
	fflush(stdout);
	p->pid = fork();
	if (p->pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		for (int i = 0; i < 2; i++) {
			close(to[i]);
			close(from[i]);
		}
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	p->in = fdopen(to[1], "w");
	p->out = fdopen(from[0], "r");
	if (p->in == NULL || p->out == NULL ||
	    fgets(line, sizeof(line), p->out) == NULL) {
		fprintf(
		    stderr, "absent: %s (see tests/bench/peers.sh)\n", name);
		peer_stop(p);
		return false;
	}
	fprintf(stderr, "peer: %s", line);
	return true;
}

/* Microseconds for one of the round that `line` asks for, "N" or as the peer's
 * own file says; 0 when it is absent or has gone. */
static inline double
peer_ask(struct peer *p, const char *ask)
{
	char line[256];

	if (p->pid <= 0)
		return 0;
	fprintf(p->in, "%s\n", ask);
	fflush(p->in);
	if (fgets(line, sizeof(line), p->out) != NULL)
		return atof(line);
	fprintf(stderr, "gone: %s\n", p->name);
	peer_stop(p);
	return 0;
}

static inline double
peer_round(struct peer *p, int n)
{
	char line[32];

	snprintf(line, sizeof(line), "%d", n);
	return peer_ask(p, line);
}

/* Where peers.sh put what it fetched. */
static inline const char *
peer_folder(void)
{
	const char *dir = getenv("BENCH_PEERS");

	return dir != NULL ? dir : "build/bench/peers";
}

#endif
