/*
 * run - `vayla run`: broker and connectors on one machine, supervised.
 *
 * Owns the child processes. Each is in a process group of its own, so that
 * Ctrl-C in a terminal reaches this process alone, which then stops them in
 * order: connectors first, so that what they have in hand is settled, the
 * broker last. They end with their parent, however it ends (PR_SET_PDEATHSIG).
 * All write to the stderr they inherit: one log.
 *
 * A child that cannot start at all (a port is taken, a folder not writable) has
 * said so in a line; everything is stopped and its exit status becomes ours.
 * One that was up and ends is started again, after 1 s, doubling up to 30 s.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/cmd.h"
#include "broker/run.h"
#include "connectors/sdk/sdk.h"

#define CHILDREN 64
#define READY_NS (30 * NS_PER_SEC) /* to be up for the first time */
#define STOP_CONNECTORS_NS (7 * NS_PER_SEC)
#define STOP_BROKER_NS (20 * NS_PER_SEC)
#define BACKOFF_MAX_S 30

struct child {
	const char *verb;
	char name[40]; /* connector's; empty for the broker */
	pid_t pid;     /* 0: not running */
	bool up;       /* it had a session, or answered */
	unsigned wait_s;
	int64_t start_at;   /* clock_mono() when it is to be started again */
	int64_t started_at; /* when it was */
};

struct run {
	struct cmd cmd;
	char program[4096];
	struct child children[CHILDREN]; /* the broker is the first */
	size_t n;
	sigset_t signals;
	bool stop;
	int status; /* what to exit with */
};

static void
child_add(struct run *r, const char *verb, struct slice name)
{
	struct child *c;

	if (r->n == CHILDREN)
		return;
	c = &r->children[r->n++];
	c->verb = verb;
	snprintf(c->name, sizeof(c->name), "%.*s", SLICE_ARG(name));
}

static enum err
child_start(struct run *r, struct child *c)
{
	pid_t parent = getpid(), pid = fork();
	char *argv[] = {r->program, (char *)(uintptr_t)c->verb, c->name,
	    (char *)(uintptr_t)r->cmd.config->file, NULL};
	sigset_t none;

	if (pid < 0)
		return err_errno(ERR_IO, "cannot start another process");
	if (pid > 0) {
		c->pid = pid;
		c->started_at = clock_mono();
		return ERR_OK;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILED);
	if (c->name[0] == '\0') { /* the broker takes no name */
		argv[2] = argv[3];
		argv[3] = NULL;
	}
	execv(r->program, argv);
	fprintf(stderr, "vayla: cannot start %s: %s\n", r->program,
	    strerror(errno));
	_exit(127);
}

/* Everything that can be wrong, said at once by a process that then ends, so
 * that nothing of it stays in this one. */
static int
check_all(struct run *r)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (freopen("/dev/null", "w", stdout) == NULL)
			_exit(EXIT_FAILED);
		execl(r->program, r->program, "check", r->cmd.config->file,
		    (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/* Which processes this installation has: the broker, the receiver if it
 * listens, and a connector for each system whose pack has one. */
static enum err
plan(struct run *r)
{
	const struct config *conf = r->cmd.config;
	const struct vocabulary *words;
	const struct pack *pack;
	struct faults f;
	struct arena a;
	enum err e;

	child_add(r, "broker", SLICE_EMPTY);
	arena_init(&a, 256 * 1024 * 1024);
	faults_init(&f);
	e = vocabulary_load(conf->packs, &a, &f, &words);
	for (size_t i = 0; e == ERR_OK && i < conf->systems_n; i++) {
		e = pack_load(
		    conf->packs, conf->systems[i].pack, words, &a, &f, &pack);
		for (size_t k = 0; e == ERR_OK && connector_table[k] != NULL;
		     k++)
			if (connector_table[k]->single &&
			    connector_table[k]->takes(pack))
				child_add(
				    r, "connector", conf->systems[i].name);
	}
	/* after the others: what comes in can then go out at once */
	if (conf->listen != NULL)
		child_add(r, "connector", SLICE_LIT("receiver"));
	faults_fini(&f);
	arena_fini(&a);
	return e;
}

static struct child *
child_of(struct run *r, pid_t pid)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->children[i].pid == pid)
			return &r->children[i];
	return NULL;
}

static void
child_ended(struct run *r, struct child *c, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;

	c->pid = 0;
	if (r->stop)
		return;
	if (!c->up) {
		r->stop = true;
		r->status = code != 0 ? code : EXIT_FAILED;
		return;
	}
	if (clock_mono() - c->started_at > 60 * NS_PER_SEC)
		c->wait_s = 0;
	c->wait_s = c->wait_s == 0 ? 1 : c->wait_s * 2;
	if (c->wait_s > BACKOFF_MAX_S)
		c->wait_s = BACKOFF_MAX_S;
	c->start_at = clock_mono() + (int64_t)c->wait_s * NS_PER_SEC;
	if (WIFSIGNALED(status))
		say(SAY_WARN, "run",
		    "%s %s was ended by signal %d; starting again in %u s",
		    c->verb, c->name, WTERMSIG(status), c->wait_s);
	else
		say(SAY_WARN, "run",
		    "%s %s ended with status %d; starting again in %u s",
		    c->verb, c->name, code, c->wait_s);
}

/* Wait for a signal, a child's end or the time; take what came. */
static void
pause_for(struct run *r, int64_t ns)
{
	struct timespec t = {
	    .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
	struct child *c;
	int status, sig;
	pid_t pid;

	sig = sigtimedwait(&r->signals, NULL, &t);
	if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
		r->stop = true;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if ((c = child_of(r, pid)) != NULL)
			child_ended(r, c, status);
}

/* Mark who has a session. true when all do. */
static bool
all_up(struct run *r)
{
	struct slice sessions, item;
	struct cmd_iter it;
	bool all = true;

	if (cmd_ask(&r->cmd, "status", NULL) != ERR_OK ||
	    !mp_get(buf_all(&r->cmd.reply), "sessions", &sessions))
		return false;
	r->children[0].up = true;
	for (size_t i = 1; i < r->n; i++) {
		struct child *c = &r->children[i];

		for (it = cmd_list(sessions); !c->up && cmd_next(&it, &item);)
			c->up = strcmp(cmd_text(item, "name"), c->name) == 0;
		all = all && c->up;
	}
	return all;
}

/* The broker first; the others when it answers; then until all are there. */
static enum err
start_all(struct run *r)
{
	int64_t until = clock_mono() + READY_NS;
	struct client_options o = {
	    .address = r->cmd.config->bus, .name = "run", .role = "operator"};
	bool others = false;
	enum err e;

	e = child_start(r, &r->children[0]);
	if (e == ERR_OK)
		e = client_open(&r->cmd.client, &o);
	while (e == ERR_OK && !r->stop && clock_mono() < until) {
		int next_ms = 50;

		e = client_step(r->cmd.client, &next_ms);
		if (e == ERR_OK && client_up(r->cmd.client)) {
			r->children[0].up = true;
			for (size_t i = 1; e == ERR_OK && !others && i < r->n;
			     i++)
				e = child_start(r, &r->children[i]);
			others = true;
			if (e == ERR_OK && all_up(r))
				return ERR_OK;
		}
		pause_for(r, 50 * NS_PER_MS);
	}
	if (e == ERR_OK && !r->stop)
		e = err_note(ERR_TIMEOUT,
		    "not everything came up within %d s; see the log above",
		    (int)(READY_NS / NS_PER_SEC));
	return e;
}

/* Ask some children to end, wait for them, end the rest. */
static void
stop_children(struct run *r, size_t from, size_t to, int64_t patience)
{
	int64_t until = clock_mono() + patience;
	bool left = true;

	for (size_t i = from; i < to; i++)
		if (r->children[i].pid > 0)
			kill(r->children[i].pid, SIGTERM);
	while (left && clock_mono() < until) {
		left = false;
		for (size_t i = from; i < to; i++)
			left |= r->children[i].pid > 0;
		if (left)
			pause_for(r, 50 * NS_PER_MS);
	}
	for (size_t i = from; i < to; i++)
		if (r->children[i].pid > 0) {
			say(SAY_WARN, "run", "%s %s does not end; killing it",
			    r->children[i].verb, r->children[i].name);
			kill(r->children[i].pid, SIGKILL);
			waitpid(r->children[i].pid, NULL, 0);
			r->children[i].pid = 0;
		}
}

static void
watch(struct run *r)
{
	while (!r->stop) {
		pause_for(r, NS_PER_SEC);
		for (size_t i = 0; !r->stop && i < r->n; i++) {
			struct child *c = &r->children[i];

			if (c->pid != 0 || clock_mono() < c->start_at)
				continue;
			if (child_start(r, c) != ERR_OK) {
				say(SAY_ERROR, "run", "%s", err_last());
				c->start_at = clock_mono() + NS_PER_SEC;
			}
		}
	}
}

static int
supervise(struct run *r)
{
	const struct config *conf = r->cmd.config;
	enum err e;

	sigemptyset(&r->signals);
	sigaddset(&r->signals, SIGINT);
	sigaddset(&r->signals, SIGTERM);
	sigaddset(&r->signals, SIGHUP);
	sigaddset(&r->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &r->signals, NULL);
	e = plan(r);
	if (e == ERR_OK)
		e = start_all(r);
	if (e == ERR_OK && !r->stop) {
		/* a session of our own is not needed any more */
		client_free(r->cmd.client);
		r->cmd.client = NULL;
		printf("ready: console %s%s%s; Ctrl-C stops\n", conf->console,
		    conf->listen != NULL ? ", receiver " : "",
		    conf->listen != NULL ? conf->listen : "");
		fflush(stdout);
		watch(r);
	}
	r->stop = true;
	stop_children(r, 1, r->n, STOP_CONNECTORS_NS);
	stop_children(r, 0, 1, STOP_BROKER_NS);
	return e != ERR_OK ? cmd_fail(e) : r->status;
}

int
run_verb(int argc, char **argv)
{
	static struct run r;
	const struct opt opts[] = {{0}};
	const struct command cmd = {"vayla run [vayla.yaml]",
	    "Broker and connectors on this machine, supervised, with one log "
	    "on stderr; Ctrl-C stops them in order.",
	    opts, 0, 1};
	bool done = false;
	int words = 0, status;
	ssize_t n;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &words, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	if (words > 0)
		r.cmd.config_file = argv[1];
	n = readlink("/proc/self/exe", r.program, sizeof(r.program) - 1);
	if (n <= 0)
		return cmd_fail(err_errno(ERR_IO, "/proc/self/exe"));
	r.program[n] = '\0';
	say_name("run");
	e = cmd_config(&r.cmd);
	if (e != ERR_OK)
		status = cmd_fail(e);
	else if ((status = check_all(&r)) == EXIT_OK)
		status = supervise(&r);
	cmd_close(&r.cmd);
	return status;
}
