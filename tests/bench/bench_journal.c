/*
 * bench_journal - what a long journal costs. One journal of BENCH_JOURNAL
 * events (10 million, or what half of the free disk holds; building stops early
 * when it has taken BENCH_JOURNAL_SECONDS, 240, and the names then say how far
 * it came) is published through the bus, most of it many events to a PUB, and
 * on the way one by one:
 *
 *   cost_growth       events a second, one to a PUB, at its end beside those of
 *                     the first million
 *   memory_10m        the broker's resident memory, started anew on it and busy
 *   restart_10m       from the program's start to its first WELCOME
 *   index_rebuild     the same without index.db, events a second
 *
 * And on a small one, cost_subscriptions: with 999 systems whose
 * subscriptions never match beside one.
 */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "tests/bench/rig.h"

#define SAMPLE 20000 /* events, one to a PUB */
#define BATCH 200    /* events to a PUB, below its 256 KiB */
#define RESTARTS 3

static struct client shop;
static uint64_t made;

/* Events a second, one to a PUB. */
static double
sample(void)
{
	struct buf *b = rig_events("shop", made + 1, SAMPLE);
	double t;

	made += SAMPLE;
	client_hello(&shop);
	t = bench_now();
	client_publish(&shop, b, SAMPLE);
	t = bench_now() - t;
	rig_events_free(b, SAMPLE);
	return SAMPLE / t;
}

static double
median3(void)
{
	double r[3] = {sample(), sample(), sample()};

	return bench_median(r, 3);
}

/* Events until there are `upto`, in full PUBs; false when time is up. */
static bool
build(uint64_t upto, double until)
{
	struct buf *b = calloc(64, sizeof(*b));
	uint64_t from = made;
	double t = bench_now();

	if (b == NULL)
		rig_die("memory");
	for (size_t i = 0; i < 64; i++)
		buf_init(&b[i], FRAME_MAX);
	client_hello(&shop);
	while (made < upto && bench_now() < until) {
		shop.sent = shop.done = 0;
		for (size_t i = 0; i < 64 && made < upto; i++) {
			int n = 0;

			buf_reset(&b[i]);
			for (; n < BATCH && made < upto; n++)
				rig_event(&b[i], "shop", ++made);
			client_pub(&shop, buf_all(&b[i]), n);
			while (shop.sent - shop.done > 24)
				if (rig_receive(shop.s, &shop.header,
					&shop.blob) == VERB_PUBOK)
					client_confirmed(&shop);
		}
		while (shop.done < shop.sent)
			if (rig_receive(shop.s, &shop.header, &shop.blob) ==
			    VERB_PUBOK)
				client_confirmed(&shop);
	}
	fprintf(stderr, "%llu events, %.0f/s\n", (unsigned long long)made,
	    (double)(made - from) / (bench_now() - t));
	for (size_t i = 0; i < 64; i++)
		buf_fini(&b[i]);
	free(b);
	return made >= upto;
}

static uint64_t
number(const char *name, uint64_t usual)
{
	const char *v = getenv(name);

	return v != NULL ? strtoull(v, NULL, 10) : usual;
}

/* As many events as half of the free disk takes, with index and keys. */
static uint64_t
room(void)
{
	struct statvfs v;

	if (statvfs(rig.dir, &v) != 0)
		rig_die("statvfs");
	return (uint64_t)v.f_bavail * v.f_frsize / 2 / 1250;
}

static double
memory_mib(const char *what)
{
	char path[64], line[128];
	double kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)rig.broker);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, what, strlen(what)) == 0)
			kib = strtod(line + strlen(what) + 1, NULL);
	if (f != NULL)
		fclose(f);
	return kib / 1024;
}

/* Seconds from the start of the program to its WELCOME. */
static double
restart(const char *systems)
{
	double t = bench_now();

	rig_start(systems);
	client_open(&shop, "shop", "connector");
	return bench_now() - t;
}

static void
stop(void)
{
	client_close(&shop);
	rig_stop();
}

static void
drop_index(void)
{
	char command[400];

	snprintf(
	    command, sizeof(command), "rm -f '%s'/index.db*", rig_path("data"));
	if (system(command) != 0)
		rig_die("rm");
}

static void
long_journal(void)
{
	static const char systems[] = "  shop: {use: toy}\n";
	uint64_t want = number("BENCH_JOURNAL", 10000000), most = room();
	double first, last, took[RESTARTS], until, t;
	char name[48], at[16];

	if (want > most) {
		fprintf(stderr, "the disk has room for %llu events\n",
		    (unsigned long long)most);
		want = most;
	}
	until = bench_now() + (double)number("BENCH_JOURNAL_SECONDS", 240);
	(void)restart(systems);
	(void)sample();
	first = median3();
	fprintf(stderr, "at %llu: %.0f/s\n", (unsigned long long)made, first);
	for (uint64_t at_n = 1000000; at_n < want + 1000000;
	     at_n += at_n < 10000000 ? 1000000 : 5000000)
		if (!build(at_n < want ? at_n : want, until))
			break;
	last = median3();
	fprintf(stderr, "at %llu: %.0f/s\n", (unsigned long long)made, last);
	snprintf(at, sizeof(at), "%llum",
	    (unsigned long long)((made + 500000) / 1000000));
	snprintf(name, sizeof(name), "cost_growth_%s", at);
	bench_line(name, last, "events/s", "at the first thousands", first);
	stop();
	for (int i = 0; i < RESTARTS; i++) {
		took[i] = restart(systems);
		if (i < RESTARTS - 1)
			stop();
	}
	snprintf(name, sizeof(name), "restart_%s", at);
	bench_alone(name, bench_median(took, RESTARTS) * 1000, "ms");
	(void)sample();
	(void)sample();
	snprintf(name, sizeof(name), "memory_%s", at);
	bench_alone(name, memory_mib("VmRSS:"), "MiB");
	fprintf(stderr, "at most %.1f MiB, %.1f of them files'\n",
	    memory_mib("VmHWM:"), memory_mib("RssFile:"));
	stop();
	drop_index();
	t = restart(systems);
	snprintf(name, sizeof(name), "index_rebuild_%s", at);
	bench_alone(name, (double)made / t, "events/s");
	snprintf(name, sizeof(name), "memory_rebuild_%s", at);
	bench_alone(name, memory_mib("VmHWM:"), "MiB");
	stop();
}

/* ---- subscriptions that do not match ---- */

static const char *
systems(int n)
{
	static char text[200000];
	size_t at;

	at = (size_t)snprintf(text, sizeof(text), "  shop: {use: toy}\n");
	for (int i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "  books%d: {use: toybooks, of: shop, mode: live, folder: "
		    "/nowhere/%d}\n",
		    i, i);
	return text;
}

static void
subscriptions(void)
{
	double one[3], many[3];

	rig_put("packs/toybooks/pack.yaml",
	    "pack: toybooks/1\ntitle: Books\nsettings:\n"
	    "  folder: {type: path, required: true}\nsend:\n"
	    "  toybooks.note: {write: ledger, revised: send, spent: park}\n");
	rig_put("packs/toybooks/schema/toybooks.note.yaml",
	    "schema: toybooks.note/1\nfields:\n  number: text\n");
	rig_put("packs/toybooks/note.map.yaml",
	    "map: toybooks.note/1\nfrom: order.placed\nemit:\n"
	    "  - type: toybooks.note\n    id: \"note\"\n    data:\n"
	    "      number: number\n");
	for (int i = 0; i < 3; i++) {
		(void)restart(systems(1));
		(void)sample();
		one[i] = sample();
		stop();
		(void)restart(systems(999));
		(void)sample();
		many[i] = sample();
		stop();
		fprintf(stderr, "round %d: one %.0f/s, 999 %.0f/s\n", i + 1,
		    one[i], many[i]);
	}
	bench_line("cost_subscriptions", bench_median(many, 3), "events/s",
	    "one instead of 999", bench_median(one, 3));
}

int
main(void)
{
	rig_open();
	subscriptions();
	rig_close();
	made = 0;
	rig_open();
	long_journal();
	rig_close();
	return 0;
}
