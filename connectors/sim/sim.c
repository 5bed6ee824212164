/* sim - the verb `vayla sim`: options, and what is printed. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/base/opt.h"
#include "broker/base/zone.h"
#include "connectors/sim/play.h"
#include "connectors/sim/serial.h"
#include "connectors/sim/verbs.h"

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static int
fail(enum err e)
{
	fprintf(stderr, "vayla sim: %s\n",
	    err_last()[0] != '\0' ? err_last() : err_text(e));
	return exit_status(e);
}

#define DEFAULT_ORDERS INT64_MIN

struct wish {
	const char *config, *at, *log, *to;
	struct play_options o;
	int64_t seed, days, lists;
	bool week, stay;
	int64_t faults;
};

static enum err
check(struct wish *w)
{
	bool zoned;

	if ((w->o.orders < 0 && w->o.orders != DEFAULT_ORDERS) ||
	    w->o.orders > 10000000)
		return err_note(ERR_USAGE, "--orders: 0 to 10000000");
	if (w->o.lanes < 1 || w->o.lanes > PLAY_LANES_MAX)
		return err_note(
		    ERR_USAGE, "--parallel: 1 to %d", PLAY_LANES_MAX);
	if (w->o.rate < 0 || w->o.patience < 0 || w->o.first < 0)
		return err_note(
		    ERR_USAGE, "--rate, --patience and --first: 0 or more");
	if (w->days < 1 || w->days > WEEK_DAYS_MAX || w->o.seconds < 0)
		return err_note(ERR_USAGE,
		    "--days: 1 to %d; --seconds: 0 or more", WEEK_DAYS_MAX);
	if (w->lists < 1 || w->lists > 1000)
		return err_note(ERR_USAGE, "--lists: 1 to 1000");
	if (w->faults < 0 || w->faults > 100)
		return err_note(ERR_USAGE, "--far-faults: 0 to 100");
	if ((w->stay || w->faults > 0) && !w->week)
		return err_note(
		    ERR_USAGE, "--stay and --far-faults go with --week");
	if (w->week && w->o.orders > 1000000)
		return err_note(ERR_USAGE, "--week: at most 1000000 orders");
	if (w->o.orders == DEFAULT_ORDERS)
		w->o.orders = w->week ? 2000 : 200;
	w->o.seed = (uint64_t)w->seed;
	if (w->at != NULL &&
	    time_parse(slice_str(w->at), NULL, &w->o.at, &zoned) != ERR_OK)
		return err_note(
		    ERR_USAGE, "--at: write a moment as 2026-03-01T10:00:00Z");
	return ERR_OK;
}

/* The far side answers on until somebody ends it. */
static void
stay(struct far *far)
{
	(void)fflush(stdout);
	while (!stop)
		far_wait(far, 50);
}

static int
run(struct wish *w, struct actors *a)
{
	struct play_report r;
	struct week week = {.v = NULL};
	struct sigaction act = {.sa_handler = on_signal};
	enum err e;

	w->o.base = w->to != NULL ? w->to : a->config->listen;
	w->o.stop = &stop;
	if (w->o.base == NULL)
		return fail(err_note(ERR_CONFIG,
		    "%s has no section receiver; say --to URL", w->config));
	if (w->o.first == 0 &&
	    (e = serial_take(a->config, w->o.orders, &w->o.first)) != ERR_OK)
		return fail(e);
	if (w->log != NULL && (w->o.log = fopen(w->log, "we")) == NULL)
		return fail(err_errno(ERR_IO, "cannot write %s", w->log));
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	if (w->week) {
		int64_t at = w->o.at != 0 ? w->o.at : week_begin(w->days);

		e = week_make(&week, w->o.seed, w->o.first, w->o.orders, at,
		    w->days, w->lists);
		if (e != ERR_OK)
			return fail(e);
		w->o.week = &week;
		printf("%lld orders in %lld days: %zu messages, %zu of them "
		       "again, %zu late\n\n",
		    (long long)w->o.orders, (long long)w->days, week.n,
		    week.copies, week.late);
	}
	if (w->week) {
		e = far_open(&w->o.far, a, w->o.seed, w->faults);
		if (e != ERR_OK) {
			week_free(&week);
			return fail(e);
		}
	}
	e = play(a, &w->o, &r);
	week_free(&week);
	play_print(stdout, a, &r);
	free(r.of);
	if (w->o.log != NULL && fclose(w->o.log) != 0 && e == ERR_OK)
		e = err_errno(ERR_IO, "cannot write %s", w->log);
	if (e == ERR_OK && w->stay)
		stay(w->o.far);
	if (w->o.far != NULL) {
		struct far_counts n = far_counts(w->o.far);

		printf("asked %llu times for %llu things, %llu times in vain; "
		       "%llu changed\n",
		    (unsigned long long)n.asked, (unsigned long long)n.items,
		    (unsigned long long)n.faults,
		    (unsigned long long)n.changed);
		far_free(w->o.far);
	}
	if (e != ERR_OK)
		return fail(e);
	return r.all.refused + r.all.lost == 0 ? EXIT_OK : EXIT_FAILED;
}

int
sim_verb(int argc, char **argv)
{
	struct wish w = {.config = getenv("VAYLA_CONFIG"),
	    .o = {.orders = DEFAULT_ORDERS, .lanes = 8, .patience = 120},
	    .seed = 1,
	    .days = 7,
	    .lists = 8};
	const struct opt opts[] = {{"config", 0, OPT_TEXT, "FILE",
				       "vayla.yaml of the Vayla to play "
				       "against (or $VAYLA_CONFIG)",
				       {.text = &w.config}},
	    {"seed", 0, OPT_INT, "N", "the same seed, the same orders (1)",
		{.num = &w.seed}},
	    {"orders", 0, OPT_INT, "N", "how many (200; of a week 2000)",
		{.num = &w.o.orders}},
	    {"week", 0, OPT_FLAG, NULL,
		"a week of orders on one timeline, with parcels, returns, "
		"refunds and stock lists: messages late, doubled, lost and "
		"out of order",
		{.flag = &w.week}},
	    {"days", 0, OPT_INT, "N", "so many days instead of 7",
		{.num = &w.days}},
	    {"lists", 0, OPT_INT, "N",
		"stock lists that the warehouse writes in the week, the last "
		"one when it is over (8)",
		{.num = &w.lists}},
	    {"stay", 0, OPT_FLAG, NULL,
		"the played systems answer on when the week is over, until "
		"Ctrl-C",
		{.flag = &w.stay}},
	    {"far-faults", 0, OPT_INT, "N",
		"percent of what they are asked that they answer 500, 429, "
		"HTML, FAILED inside a 200, by half or not at all",
		{.num = &w.faults}},
	    {"seconds", 0, OPT_INT, "N",
		"what the week takes; 0: as fast as it is taken",
		{.num = &w.o.seconds}},
	    {"first", 0, OPT_INT, "N",
		"number of the first order; else they "
		"go on from the last run",
		{.num = &w.o.first}},
	    {"rate", 0, OPT_INT, "N",
		"orders begun a second; 0: as fast as "
		"they are taken",
		{.num = &w.o.rate}},
	    {"parallel", 0, OPT_INT, "N", "orders under way at once (8)",
		{.num = &w.o.lanes}},
	    {"patience", 0, OPT_INT, "S",
		"seconds a message is repeated for "
		"when Vayla is away (120)",
		{.num = &w.o.patience}},
	    {"at", 0, OPT_TEXT, "TIME",
		"when it happens, or the week begins; else "
		"now, or so that it is over now",
		{.text = &w.at}},
	    {"log", 0, OPT_TEXT, "FILE",
		"what was sent: one line of JSON an "
		"order",
		{.text = &w.log}},
	    {"to", 0, OPT_TEXT, "URL",
		"where Vayla listens; else as in "
		"vayla.yaml",
		{.text = &w.to}},
	    {"quiet", 0, OPT_FLAG, NULL, "no progress", {.flag = &w.o.quiet}},
	    {.name = NULL}};
	const struct command c = {"vayla sim PACK... [options]",
	    "Play the far side of these packs' systems against a running "
	    "Vayla: signed webhooks and callbacks of orders that are paid, "
	    "paid twice over, unpaid, changed or told in the wrong order.",
	    opts, 1, 16};
	struct actors a;
	struct faults f;
	bool done = false;
	int n, status;
	enum err e = opt_parse(&c, argc, argv, &n, &done);

	if (done)
		return EXIT_OK;
	if (e == ERR_OK)
		e = check(&w);
	if (e != ERR_OK)
		return fail(e);
	if (w.config == NULL)
		w.config = "vayla.yaml";
	argv[n + 1] = NULL;
	faults_init(&f);
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	e = actors_load(&a, w.config, argv + 1, &f);
	if (f.count > 0)
		fputs(buf_cstr(&f.text), stderr);
	status = e == ERR_OK ? run(&w, &a) : fail(e);
	actors_free(&a);
	faults_fini(&f);
	curl_global_cleanup();
	return status;
}
