/*
 * run - the verb `vayla run`: the broker and every connector that has something
 * to do, as children of one process, on one terminal.
 *
 * The broker first; the others when it answers on the bus. What fails while it
 * starts for the first time (a port taken, a folder that cannot be written) has
 * said why on stderr: then all stop and its exit status is ours. What was at
 * work and ended is started again soon (what crashes over one delivery is the
 * broker's to park), what does not get to work any more ever more seldom. On
 * SIGINT or SIGTERM they end one after another, the receiver first and the
 * broker last, so that nothing is taken in that can not be kept.
 *
 * A child has its own process group (Ctrl-C is for us to hand on) and dies with
 * us, however we end. Rejected: restarting for ever what never came up; a
 * person sits before this terminal, and systemd does it elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/opt.h"
#include "broker/base/say.h"
#include "broker/wire/access.h"
#include "connectors/sdk/loop.h"
#include "connectors/sdk/setup.h"
#include "connectors/sdk/verbs.h"

#define CHILDREN 256
#define BACKOFF_MIN (NS_PER_SEC / 10)
#define BACKOFF_WORKED (NS_PER_SEC / 2)
#define BACKOFF_MAX (30 * NS_PER_SEC)
#define BACKOFF_BROKER NS_PER_SEC /* nothing goes on without it */
#define STABLE_NS (10 * NS_PER_SEC)
#define END_NS (15 * NS_PER_SEC) /* then SIGKILL */
#define SLOW_NS (10 * NS_PER_SEC)

struct child {
	char name[64]; /* "broker", "receiver", a system's */
	bool broker;
	pid_t pid;   /* 0: not running */
	int ready;   /* reads one byte when it is at work; -1: not asked */
	bool worked; /* it was at work, at least once */
	bool at_work;
	int64_t started, again; /* mono; again: when to start it */
	int64_t backoff;
};

struct run {
	struct setup set;
	char exe[PATH_MAX];
	int signals;
	size_t n;
	struct child child[CHILDREN];
	struct client *bus; /* to learn when the broker answers */
	bool ending, all_said;
	int status; /* our exit status */
};

/* ---- children ---- */

static void
exec_child(struct run *r, const struct child *c, int ready, pid_t parent)
{
	const char *file = r->set.config->file;
	char fd[16];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILED);
	snprintf(fd, sizeof(fd), "%d", ready);
	if (ready >= 0) {
		fcntl(ready, F_SETFD, 0);
		setenv(READY_ENV, fd, 1);
	} else {
		unsetenv(READY_ENV);
	}
	if (c->broker)
		execl(r->exe, "vayla", "broker", file, (char *)NULL);
	else
		execl(
		    r->exe, "vayla", "connector", c->name, file, (char *)NULL);
	fprintf(stderr, "vayla: cannot run %s: %s\n", r->exe, strerror(errno));
	_exit(EXIT_FAILED);
}

static enum err
start(struct run *r, struct child *c)
{
	pid_t parent = getpid(), pid;
	int fd[2] = {-1, -1};

	if (!c->broker && pipe2(fd, O_CLOEXEC) != 0)
		return err_errno(ERR_IO, "a pipe");
	pid = fork();
	if (pid == 0) {
		if (fd[0] >= 0)
			close(fd[0]);
		exec_child(r, c, fd[1], parent);
	}
	if (fd[1] >= 0)
		close(fd[1]);
	if (pid < 0) {
		if (fd[0] >= 0)
			close(fd[0]);
		return err_errno(ERR_IO, "fork");
	}
	c->pid = pid;
	c->ready = fd[0];
	c->at_work = false;
	c->started = clock_mono();
	return ERR_OK;
}

static void
stop_asking(struct child *c)
{
	if (c->ready >= 0)
		close(c->ready);
	c->ready = -1;
}

static const char *
how_it_ended(int status, char out[64])
{
	if (WIFSIGNALED(status))
		snprintf(out, 64, "was ended by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, 64, "ended with status %d", WEXITSTATUS(status));
	return out;
}

static void
on_exit_of(struct run *r, struct child *c, int status)
{
	int64_t now = clock_mono(), most;
	/* A process does not kill itself so: somebody did, or the kernel for
	 * want of memory. */
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	bool worked = c->at_work || killed;
	char how[64];

	c->pid = 0;
	c->at_work = false;
	if (c->broker) {
		client_free(r->bus);
		r->bus = NULL;
	}
	stop_asking(c);
	if (r->ending)
		return;
	if (!c->worked) {
		say(SAY_ERROR, "run",
		    "%s %s before it was at work; its own words are above",
		    c->name, how_it_ended(status, how));
		r->status = WIFEXITED(status) && WEXITSTATUS(status) != 0
				? WEXITSTATUS(status)
				: EXIT_FAILED;
		r->ending = true;
		return;
	}
	most = worked	   ? BACKOFF_WORKED
	       : c->broker ? BACKOFF_BROKER
			   : BACKOFF_MAX;
	c->backoff *= 2;
	if (now - c->started > STABLE_NS || c->backoff < BACKOFF_MIN)
		c->backoff = BACKOFF_MIN;
	if (c->backoff > most)
		c->backoff = most;
	c->again = now + c->backoff;
	say(SAY_WARN, "run", "%s %s; it starts again in %jd ms", c->name,
	    how_it_ended(status, how), (intmax_t)(c->backoff / NS_PER_MS));
}

static void
reap(struct run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < r->n; i++)
			if (r->child[i].pid == pid)
				on_exit_of(r, &r->child[i], status);
}

/* ---- who is to run ---- */

static enum err
add(struct run *r, const char *name, bool broker)
{
	struct child *c;

	if (r->n == CHILDREN)
		return err_note(ERR_LIMIT,
		    "more than %d processes; run some of them by `vayla "
		    "connector`",
		    CHILDREN);
	c = &r->child[r->n++];
	*c = (struct child){.broker = broker, .ready = -1};
	snprintf(c->name, sizeof(c->name), "%s", name);
	return ERR_OK;
}

/* The broker, then the connectors of systems, and those that let something in
 * last. */
static enum err
plan(struct run *r)
{
	enum err e = add(r, "broker", true);
	char name[64];

	for (size_t i = 0; e == ERR_OK && i < r->set.n; i++) {
		const struct sdk_system *x = &r->set.systems[i];

		const struct connector *kind = connector_for(x->pack, true);

		if (kind == NULL || (kind->needed != NULL && !kind->needed(x)))
			continue;
		snprintf(name, sizeof(name), "%.*s", SLICE_ARG(x->conf->name));
		e = add(r, name, false);
	}
	for (size_t k = 0; e == ERR_OK && connector_table[k] != NULL; k++) {
		const struct connector *kind = connector_table[k];
		bool needed = false;

		for (size_t i = 0; i < r->set.n; i++)
			needed = needed || kind->takes(r->set.systems[i].pack);
		if (!kind->single && needed)
			e = add(r, kind->name, false);
	}
	return e;
}

/* ---- the way up ---- */

/* Start it, and listen for its answer on the bus. */
static enum err
start_broker(struct run *r)
{
	struct client_options o = {.address = r->set.config->bus,
	    .access = r->set.config->access,
	    .name = "run",
	    .role = "operator"};
	enum err e = start(r, &r->child[0]);

	return e == ERR_OK ? client_open(&r->bus, &o) : e;
}

/* Has the broker begun to answer? Then, the first time, the others begin. */
static enum err
ask_broker(struct run *r, int *next_ms)
{
	struct child *b = &r->child[0];
	bool first = !b->worked;
	enum err e = client_step(r->bus, next_ms);

	if (e != ERR_OK || !client_up(r->bus))
		return e;
	client_free(r->bus);
	r->bus = NULL;
	b->at_work = b->worked = true;
	for (size_t i = 1; i < r->n && e == ERR_OK && first; i++)
		e = start(r, &r->child[i]);
	return e;
}

static void
hear_ready(struct child *c)
{
	char byte;

	if (read(c->ready, &byte, 1) == 1)
		c->at_work = c->worked = true;
	stop_asking(c);
}

static void
say_when_ready(struct run *r)
{
	const struct config *c = r->set.config;
	char n[32];

	if (r->all_said || r->ending)
		return;
	for (size_t i = 0; i < r->n; i++)
		if (!r->child[i].at_work)
			return;
	r->all_said = true;
	snprintf(n, sizeof(n), "%zu", r->n);
	say_kv(SAY_INFO, "run", "ready", "processes", n, "console", c->console,
	    "receiver", c->listen != NULL ? c->listen : "", NULL);
	printf("Vayla is ready: console %s\n", c->console);
	fflush(stdout);
}

/* What is due to start again, and when the next is. */
static enum err
start_due(struct run *r, int *next_ms)
{
	int64_t now = clock_mono();
	enum err e = ERR_OK;

	for (size_t i = 0; i < r->n && e == ERR_OK && !r->ending; i++) {
		struct child *c = &r->child[i];
		int64_t ms;

		if (c->pid != 0 || !c->worked)
			continue;
		ms = (c->again - now) / NS_PER_MS + 1;
		if (c->again > now) {
			if (ms < *next_ms)
				*next_ms = (int)ms;
			continue;
		}
		e = c->broker ? start_broker(r) : start(r, c);
	}
	return e;
}

/* ---- the loop ---- */

static void
hear_signals(struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD) {
			if (!r->ending)
				say_kv(SAY_INFO, "run", "ending", NULL);
			r->ending = true;
		}
	reap(r);
}

static void
wait_for_news(struct run *r, int next_ms)
{
	struct pollfd fds[CHILDREN + 2];
	struct child *of[CHILDREN + 2];
	size_t n = 0;

	fds[n++] = (struct pollfd){.fd = r->signals, .events = POLLIN};
	if (r->bus != NULL)
		fds[n++] =
		    (struct pollfd){.fd = client_fd(r->bus), .events = POLLIN};
	for (size_t i = 0; i < r->n; i++)
		if (r->child[i].ready >= 0) {
			of[n] = &r->child[i];
			fds[n++] = (struct pollfd){
			    .fd = r->child[i].ready, .events = POLLIN};
		}
	if (poll(fds, (nfds_t)n, next_ms) > 0)
		for (size_t i = 1 + (r->bus != NULL); i < n; i++)
			if (fds[i].revents != 0)
				hear_ready(of[i]);
	hear_signals(r);
}

static enum err
supervise(struct run *r)
{
	int64_t slow = clock_mono() + SLOW_NS;
	enum err e = start_broker(r);

	while (e == ERR_OK && !r->ending) {
		int next_ms = 1000;

		if (r->bus != NULL)
			e = ask_broker(r, &next_ms);
		if (e == ERR_OK)
			e = start_due(r, &next_ms);
		say_when_ready(r);
		if (e == ERR_OK)
			wait_for_news(r, next_ms);
		if (r->bus != NULL && clock_mono() > slow) {
			slow = clock_mono() + SLOW_NS;
			say(SAY_INFO, "run",
			    "waiting for the broker at %s to answer",
			    r->set.config->bus);
		}
	}
	return e;
}

static void
end_child(struct run *r, struct child *c)
{
	int64_t until = clock_mono() + END_NS;

	if (c->pid == 0)
		return;
	kill(c->pid, SIGTERM);
	while (c->pid != 0) {
		if (clock_mono() > until) {
			say(SAY_WARN, "run", "%s does not end; killed",
			    c->name);
			kill(c->pid, SIGKILL);
			until = INT64_MAX;
		}
		wait_for_news(r, 100);
	}
}

static enum err
take_signals(struct run *r)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return err_errno(ERR_IO, "cannot block signals");
	signal(SIGPIPE, SIG_IGN);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals >= 0 ? ERR_OK
			       : err_errno(ERR_IO, "cannot wait for signals");
}

/* Everything that can be wrong, in every file at once, is said by `vayla check`
 * before anything starts; a process of its own, so that nothing of it stays. */
static enum err
check_first(const struct run *r, const char *file)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (null >= 0)
			dup2(null, STDOUT_FILENO);
		execl(r->exe, "vayla", "check", file, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return err_errno(ERR_IO, "cannot start a process");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return ERR_OK;
	return err_note(ERR_CONFIG, "nothing was started");
}

static enum err
run(struct run *r, const char *file, struct faults *f)
{
	ssize_t n = readlink("/proc/self/exe", r->exe, sizeof(r->exe) - 1);
	enum err e;

	if (n <= 0)
		return err_errno(ERR_IO, "cannot find this program's file");
	r->exe[n] = '\0';
	e = check_first(r, file);
	if (e == ERR_OK)
		e = setup_open(&r->set, file, f);
	if (e == ERR_OK)
		e = plan(r);
	if (e == ERR_OK)
		e = access_make_own(r->set.config);
	if (e == ERR_OK)
		e = take_signals(r);
	if (e != ERR_OK)
		return e;
	e = supervise(r);
	r->ending = true;
	client_free(r->bus);
	r->bus = NULL;
	for (size_t i = r->n; i-- > 0;)
		end_child(r, &r->child[i]);
	return e;
}

int
run_verb(int argc, char **argv)
{
	static const struct command cmd = {.usage = "vayla run [vayla.yaml]",
	    .help = "Runs the broker and all connectors that vayla.yaml asks "
		    "for, with one log on stderr, and starts again what "
		    "crashes. Ctrl-C ends all of them in order.",
	    .min_args = 0,
	    .max_args = 1};
	struct run *r;
	struct faults f;
	bool done = false;
	int n, status;
	enum err e = opt_parse(&cmd, argc, argv, &n, &done);

	if (e != ERR_OK) {
		fprintf(stderr, "%s\n", err_last());
		return EXIT_USAGE;
	}
	if (done)
		return EXIT_OK;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return EXIT_TRYLATER;
	say_name("run");
	faults_init(&f);
	e = run(r, setup_file(n > 0 ? argv[1] : NULL), &f);
	if (f.count > 0)
		fputs(buf_cstr(&f.text), stderr);
	if (e != ERR_OK)
		say(SAY_ERROR, "run", "%s", err_last());
	status = e != ERR_OK ? exit_status(e) : r->status;
	setup_close(&r->set);
	faults_fini(&f);
	free(r);
	return status;
}
