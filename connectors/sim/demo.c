/*
 * demo - the verb `vayla demo`, which is `make run`: starts `vayla run` as a
 * child, plays a shop's week against it, shows what came of it, and stays until
 * Ctrl-C.
 *
 * The child writes its log to a file beside the journal, so that this terminal
 * belongs to the table. It has a process group of its own and gets one SIGTERM
 * from us, also when we fail; it dies with us (PR_SET_PDEATHSIG).
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/opt.h"
#include "connectors/sim/play.h"
#include "connectors/sim/report.h"
#include "connectors/sim/serial.h"
#include "connectors/sim/verbs.h"

#define READY_S 60
#define STOP_S 30
#define QUIET_MS 60000
#define PICKED_S 10
#define DAYS 7
#define TAIL 4000 /* bytes of the log that are shown when it ends early */

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

struct demo {
	const char *file;
	int64_t orders, seed;
	bool once;
	struct actors actors;
	struct far *far; /* what the played systems answer, while we stay */
	char log[4096];
	size_t log_from; /* what stood in the log before this start */
	pid_t child;
	int status; /* the child's, once it has ended */
};

static void
nap(int ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL);
}

/* ---- the child ---- */

static void
become_run(const struct demo *d, pid_t parent)
{
	int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (log < 0 || getppid() != parent)
		_exit(EXIT_FAILED);
	(void)dup2(log, STDOUT_FILENO);
	(void)dup2(log, STDERR_FILENO);
	(void)execl("/proc/self/exe", "vayla", "run", d->file, (char *)NULL);
	_exit(EXIT_FAILED);
}

static bool
ended(struct demo *d)
{
	if (d->child != 0 && waitpid(d->child, &d->status, WNOHANG) == d->child)
		d->child = 0;
	return d->child == 0;
}

static enum err
start(struct demo *d)
{
	const char *data = d->actors.config->data;
	pid_t parent = getpid();
	struct stat st;
	enum err e = dir_make(data);

	if (e != ERR_OK)
		return e;
	(void)snprintf(d->log, sizeof(d->log), "%s/run.log", data);
	if (stat(d->log, &st) == 0)
		d->log_from = (size_t)st.st_size;
	d->child = fork();
	if (d->child == 0)
		become_run(d, parent);
	if (d->child < 0) {
		d->child = 0;
		return err_errno(ERR_IO, "cannot start vayla run");
	}
	return ERR_OK;
}

static void
end(struct demo *d)
{
	int64_t until = clock_mono() + STOP_S * NS_PER_SEC;

	if (ended(d))
		return;
	(void)kill(d->child, SIGTERM);
	while (!ended(d) && clock_mono() < until)
		nap(50);
	if (d->child == 0)
		return;
	(void)kill(-d->child, SIGKILL);
	(void)waitpid(d->child, &d->status, 0);
	d->child = 0;
}

/* The last lines of the child's log, to stderr. */
static void
show_log(const struct demo *d)
{
	struct buf b;
	struct slice s;

	buf_init(&b, 64 * 1024 * 1024);
	if (file_read(d->log, &b) == ERR_OK) {
		s = slice_from(buf_all(&b), d->log_from);
		if (s.n > TAIL) {
			s = slice_from(s, s.n - TAIL);
			while (s.n > 0 && s.p[0] != '\n')
				s = slice_from(s, 1);
		}
		(void)fwrite(s.p, 1, s.n, stderr);
	}
	buf_fini(&b);
}

static size_t
no_body(char *p, size_t size, size_t n, void *arg)
{
	(void)p;
	(void)arg;
	return size * n;
}

static bool
answers(const char *base)
{
	char url[1024];
	CURL *c = curl_easy_init();
	long status = 0;

	if (c == NULL)
		return false;
	(void)snprintf(url, sizeof(url), "%s/readyz", base);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 2L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, no_body);
	if (curl_easy_perform(c) == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	return status == 200;
}

static enum err
wait_ready(struct demo *d)
{
	int64_t until = clock_mono() + READY_S * NS_PER_SEC;

	while (!answers(d->actors.config->listen)) {
		if (stop)
			return err_note(ERR_TIMEOUT, "stopped");
		if (ended(d)) {
			show_log(d);
			return err_note(ERR_STATE,
			    "vayla run ended; its last words are above");
		}
		if (clock_mono() > until) {
			show_log(d);
			return err_note(ERR_TIMEOUT,
			    "vayla run is not ready after %d s; see %s",
			    READY_S, d->log);
		}
		nap(100);
	}
	return ERR_OK;
}

/* ---- what is shown ---- */

/* Systems that keep books in a folder: where, and how to read them. */
static void
print_books(const struct config *conf)
{
	for (size_t i = 0; i < conf->systems_n; i++) {
		const struct yaml *y =
		    yaml_get(conf->systems[i].node, "folder");
		struct buf path;
		glob_t found;

		if (y == NULL || y->kind != YAML_SCALAR)
			continue;
		buf_init(&path, 4096);
		config_path(conf, y->text, &path);
		buf_str(&path, "/*.journal");
		if (glob(buf_cstr(&path), 0, NULL, &found) == 0) {
			for (size_t k = 0; k < found.gl_pathc; k++)
				printf("Books     %s\n          hledger -f %s "
				       "balance\n",
				    found.gl_pathv[k], found.gl_pathv[k]);
			globfree(&found);
		}
		buf_fini(&path);
	}
}

/* How a person here calls this program. */
static const char *
program(char exe[4096])
{
	char here[4096];
	ssize_t n = readlink("/proc/self/exe", exe, 4095);
	size_t skip;

	if (n <= 0 || getcwd(here, sizeof(here)) == NULL)
		return "vayla";
	exe[n] = '\0';
	skip = strlen(here);
	return strncmp(exe, here, skip) == 0 && exe[skip] == '/'
		   ? exe + skip + 1
		   : exe;
}

static void
print_places(const struct demo *d)
{
	const struct config *conf = d->actors.config;
	char path[4096], exe[4096];
	struct buf link;

	buf_init(&link, 4096);
	(void)snprintf(path, sizeof(path), "%s/console.link", conf->data);
	if (file_read(path, &link) == ERR_OK && link.n > 0)
		printf("\nConsole   %.*s\n",
		    (int)strcspn(buf_cstr(&link), "\n"), buf_cstr(&link));
	else
		printf("\nConsole   %s\n", conf->console);
	buf_fini(&link);
	print_books(conf);
	printf("Log       %s\n", d->log);
	printf("One order %s order show %d --config %s\n", program(exe),
	    SERIAL_FIRST, d->file);
}

static enum err
show(const struct demo *d)
{
	struct client_options o = {.address = d->actors.config->bus,
	    .access = d->actors.config->access,
	    .name = "demo",
	    .role = "operator"};
	struct client *c;
	enum err e = client_open(&c, &o);

	if (e != ERR_OK)
		return e;
	e = report_quiet(c, d->far, QUIET_MS);
	if (e == ERR_TIMEOUT)
		e = ERR_OK; /* the table says what is still going out */
	if (e == ERR_OK)
		e = report_print(stdout, c, &d->actors);
	client_free(c);
	return e;
}

/* A list that was put down last is still to be picked up. */
static void
wait_picked(struct demo *d, const char *file)
{
	int64_t until = clock_mono() + PICKED_S * NS_PER_SEC;

	while (file[0] != '\0' && access(file, F_OK) == 0 && !stop &&
	       clock_mono() < until)
		far_wait(d->far, 50);
}

static enum err
week(struct demo *d, bool *fine)
{
	struct week w;
	struct play_options o = {.seed = (uint64_t)d->seed,
	    .orders = d->orders,
	    .lanes = 8,
	    .patience = 60,
	    .base = d->actors.config->listen,
	    .week = &w,
	    .stop = &stop};
	struct play_report r;
	enum err e = serial_take(d->actors.config, o.orders, &o.first);

	if (e == ERR_OK)
		e = week_make(
		    &w, o.seed, o.first, o.orders, week_begin(DAYS), DAYS, 1);
	if (e != ERR_OK)
		return e;
	week_spare(&w); /* what is lost is asked for minutes later */
	e = far_open(&d->far, &d->actors, o.seed, 0);
	if (e != ERR_OK) {
		week_free(&w);
		return e;
	}
	o.far = d->far;
	printf("A shop's week: %lld orders, from number %lld on, their "
	       "payments, parcels, returns and refunds.\n",
	    (long long)o.orders, (long long)o.first);
	(void)fflush(stdout);
	e = play(&d->actors, &o, &r);
	week_free(&w);
	if (e == ERR_OK)
		wait_picked(d, r.file);
	*fine = e == ERR_OK && r.all.refused + r.all.lost == 0;
	if (e == ERR_OK || r.orders > 0) {
		play_print(stdout, &d->actors, &r);
		putchar('\n');
	}
	free(r.of);
	return e;
}

static int
run(struct demo *d)
{
	struct sigaction act = {.sa_handler = on_signal};
	bool fine = false;
	enum err e;

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	e = start(d);
	if (e == ERR_OK)
		e = wait_ready(d);
	if (e == ERR_OK)
		e = week(d, &fine);
	if (e == ERR_OK)
		e = show(d);
	if (e == ERR_OK) {
		print_places(d);
		if (!d->once)
			puts("\nIt runs on; Ctrl-C ends it.");
		(void)fflush(stdout);
	}
	while (e == ERR_OK && !d->once && !stop && !ended(d))
		far_wait(d->far, 50);
	if (e == ERR_OK && !stop && !d->once) {
		show_log(d);
		e = err_note(ERR_STATE, "vayla run ended by itself");
	}
	end(d);
	if (stop && e != ERR_OK)
		return EXIT_FAILED; /* asked to, before it was done */
	if (e != ERR_OK) {
		fprintf(stderr, "vayla demo: %s\n", err_last());
		return WIFEXITED(d->status) && WEXITSTATUS(d->status) != 0
			   ? WEXITSTATUS(d->status)
			   : exit_status(e);
	}
	return fine ? EXIT_OK : EXIT_FAILED;
}

/* Every pack of the configuration that can be played. */
static size_t
playable(const struct config *c, char *packs[], size_t max)
{
	char path[4400];
	size_t n = 0;

	for (size_t i = 0; i < c->systems_n && n + 1 < max; i++) {
		struct slice p = c->systems[i].pack;

		(void)snprintf(
		    path, sizeof(path), "%s/%.*s/sim", c->packs, SLICE_ARG(p));
		if (access(path, R_OK) == 0)
			packs[n++] = strndup((const char *)p.p, p.n);
	}
	packs[n] = NULL;
	return n;
}

static enum err
prepare(struct demo *d, struct faults *f)
{
	struct config *c = NULL;
	char *packs[33];
	size_t n = 0;
	enum err e = config_load(&c, d->file, f);

	if (e == ERR_OK && c->listen == NULL)
		e = err_note(ERR_CONFIG, "%s has no section receiver", d->file);
	if (e == ERR_OK)
		n = playable(c, packs, 33);
	if (e == ERR_OK)
		e = actors_load(&d->actors, d->file, packs, f);
	for (size_t i = 0; i < n; i++)
		free(packs[i]);
	config_free(c);
	return e;
}

int
demo_verb(int argc, char **argv)
{
	struct demo d = {
	    .file = "deploy/demo/vayla.yaml", .orders = 200, .seed = 1};
	const struct opt opts[] = {
	    {"orders", 0, OPT_INT, "N", "how many orders (200)",
		{.num = &d.orders}},
	    {"seed", 0, OPT_INT, "N", "the same seed, the same orders (1)",
		{.num = &d.seed}},
	    {"once", 0, OPT_FLAG, NULL, "end when the table is shown",
		{.flag = &d.once}},
	    {.name = NULL}};
	const struct command c = {"vayla demo [vayla.yaml]",
	    "Start everything of this vayla.yaml (deploy/demo/vayla.yaml), "
	    "play "
	    "a shop's week against it, show what came of it, and run on until "
	    "Ctrl-C. A second start goes on from the same journal.",
	    opts, 0, 1};
	struct faults f;
	bool done = false;
	int n, status;
	enum err e = opt_parse(&c, argc, argv, &n, &done);

	if (done)
		return EXIT_OK;
	if (e == ERR_OK && (d.orders < 0 || d.orders > 1000000))
		e = err_note(ERR_USAGE, "--orders: 0 to 1000000");
	if (e != ERR_OK) {
		fprintf(stderr, "vayla demo: %s\n", err_last());
		return exit_status(e);
	}
	if (n > 0)
		d.file = argv[1];
	faults_init(&f);
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	e = prepare(&d, &f);
	if (f.count > 0)
		fputs(buf_cstr(&f.text), stderr);
	if (e == ERR_OK) {
		status = run(&d);
	} else {
		fprintf(stderr, "vayla demo: %s\n", err_last());
		status = exit_status(e);
	}
	far_free(d.far);
	actors_free(&d.actors);
	faults_fini(&f);
	curl_global_cleanup();
	return status;
}
