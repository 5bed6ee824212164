/*
 * cmd_order - `vayla order show REF` and `vayla event get SEQ`: what the
 * journal knows about one order, by any of its names, in the order it happened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/base/clock.h"
#include "broker/base/json.h"
#include "broker/cmd.h"
#include "broker/core/recall.h"

/* "2026-11-22T10:00:00.123Z" -> "22.11. 10:00:00" would hide the zone: shown in
 * UTC as recorded, without the date's year. */
static const char *
short_time(const char *iso)
{
	static char out[16];

	if (strlen(iso) < 19)
		return iso;
	snprintf(out, sizeof(out), "%.5s %.8s", iso + 5, iso + 11);
	return out;
}

/* The few first plain values of an event's data, for one line. */
static void
print_brief(struct slice data, const char *indent)
{
	struct cmd_iter it = cmd_map(data);
	struct slice k, v;
	int width = 0;
	char key[64];

	fputs(indent, stdout);
	while (width < 60 && cmd_pair(&it, &k, &v)) {
		struct mp_in in = mp_in(v);
		struct mp item;

		if (mp_next(&in, &item) != ERR_OK || item.type == MP_ARRAY ||
		    item.type == MP_MAP || item.type == MP_NIL ||
		    item.type == MP_SEALED)
			continue;
		snprintf(key, sizeof(key), "%.*s", SLICE_ARG(k));
		width += printf("%s%s: %.40s", width > 0 ? ", " : "", key,
		    cmd_text(data, key));
	}
	fputs(width > 0 ? "\n" : "(personal data, sealed; --unmask shows it)\n",
	    stdout);
}

static void
print_event(struct slice r, bool whole)
{
	const char *target = cmd_text(r, "target");
	const char *rev = cmd_text(r, "revision");
	struct slice data;
	struct buf json;

	printf("%8s  %s  %s%s%s  %s%s%s%s\n", cmd_text(r, "seq"),
	    short_time(cmd_text(r, "at")), cmd_text(r, "source"),
	    target[0] != '\0' ? " -> " : "", target, cmd_text(r, "type"),
	    strcmp(rev, "1") > 0 ? " revision " : "",
	    strcmp(rev, "1") > 0 ? rev : "",
	    cmd_text(r, "withdrawn")[0] != '\0' ? " withdrawn" : "");
	/* "books/ledger.payment-captured/1": whose, which, in what version */
	if (cmd_text(r, "map")[0] != '\0')
		printf("                            by %s, ruleset %s, from "
		       "event %s\n",
		    cmd_text(r, "map"), cmd_text(r, "ruleset"),
		    cmd_text(r, "cause"));
	if (cmd_text(r, "withdrawn")[0] != '\0' || !mp_get(r, "data", &data))
		return;
	if (!whole) {
		print_brief(data, "                            ");
		return;
	}
	buf_init(&json, 4 * 1024 * 1024);
	if (mp_to_json(data, JSON_PRETTY, &json) == ERR_OK)
		puts(buf_cstr(&json));
	buf_fini(&json);
}

static void
print_record(struct slice r, bool whole)
{
	const char *kind = cmd_text(r, "kind");
	const char *text = cmd_text(r, "text");
	struct slice effect;

	if (strcmp(kind, "event") == 0) {
		print_event(r, whole);
		return;
	}
	printf("%8s  %s  ", cmd_text(r, "seq"), short_time(cmd_text(r, "at")));
	if (strcmp(kind, "settle") == 0) {
		printf("%s: %s of %s%s", cmd_text(r, "sub"),
		    cmd_text(r, "verdict"), cmd_text(r, "of"),
		    cmd_text(r, "parked")[0] != '\0' ? ", parked" : "");
		if (mp_get(r, "effect", &effect))
			printf(" (%s%s%s%s ms)", cmd_text(effect, "remote"),
			    cmd_text(effect, "remote")[0] != '\0' ? ", " : "",
			    cmd_text(effect, "status")[0] != '\0' ? "status, "
								  : "",
			    cmd_text(effect, "ms"));
	} else {
		printf("%s %s %s", kind, cmd_text(r, "act"), cmd_text(r, "by"));
	}
	putchar('\n');
	if (text[0] != '\0')
		printf("                            %s\n", text);
}

static void
print_money(struct slice m)
{
	static const char *const rows[] = {
	    "ordered", "credited", "captured", "refunded", "open"};

	printf("\nMoney (%s)\n", cmd_text(m, "currency"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("  %-10s %12s%s%s\n", i == 4 ? "still open" : rows[i],
		    cmd_text(m, rows[i]), i == 4 ? "   " : "",
		    i == 4 ? cmd_text(m, "reason") : "");
}

static void
print_timeline(struct slice t, bool whole)
{
	struct slice v, item;
	struct cmd_iter it;
	bool first = true;

	printf("%s\n", cmd_text(t, "subject"));
	if (mp_get(t, "refs", &v)) {
		for (it = cmd_list(v); cmd_next(&it, &item); first = false) {
			struct mp_in in = mp_in(item);
			struct mp s;

			if (mp_next(&in, &s) == ERR_OK && s.type == MP_STR)
				printf("%s%.*s",
				    first ? "  also known as " : ", ",
				    SLICE_ARG(s.bytes));
		}
		if (!first)
			putchar('\n');
	}
	putchar('\n');
	if (mp_get(t, "records", &v))
		for (it = cmd_list(v); cmd_next(&it, &item);)
			print_record(item, whole);
	if (mp_get(t, "money", &v))
		print_money(v);
	if (!mp_get(t, "open", &v))
		return;
	first = true;
	for (it = cmd_list(v); cmd_next(&it, &item); first = false)
		printf("%s  %s: %s of %s %s\n", first ? "\nOpen\n" : "",
		    cmd_text(item, "sub"), cmd_text(item, "state"),
		    cmd_text(item, "seq"), cmd_text(item, "text"));
}

/* What is asked for is written to the index within a second of its arrival;
 * so ask for as long before saying that nothing is known. */
static enum err
ask_find(struct cmd *c, const char *word)
{
	const struct timespec pause = {.tv_nsec = 250 * NS_PER_MS};
	enum err e;

	for (int tries = 0;; tries++) {
		e = cmd_ask(c, "find", "word", word, NULL);
		if (e != ERR_OK || tries == 5 ||
		    cmd_list(buf_all(&c->reply)).left > 0)
			return e;
		nanosleep(&pause, NULL);
	}
}

/* REF -> exactly one subject, or a list to choose from. */
static enum err
find_one(struct cmd *c, const char *word, char subject[300])
{
	struct cmd_iter it;
	struct slice v;
	struct mp_in in;
	struct mp s;
	size_t n = 0;
	enum err e;

	e = ask_find(c, word);
	if (e != ERR_OK)
		return e;
	for (it = cmd_list(buf_all(&c->reply)); cmd_next(&it, &v); n++) {
		in = mp_in(v);
		if (mp_next(&in, &s) != ERR_OK || s.type != MP_STR)
			return err_note(ERR_SYNTAX, "the broker's answer");
		if (n == 1)
			fprintf(stderr, "Several match:\n  %s\n", subject);
		if (n > 0)
			fprintf(stderr, "  %.*s\n", SLICE_ARG(s.bytes));
		else
			snprintf(subject, 300, "%.*s", SLICE_ARG(s.bytes));
	}
	if (n == 0)
		return err_note(ERR_NOTFOUND,
		    "nothing is known by the name %s; order, payment, shop "
		    "and tracking numbers work",
		    word);
	return n == 1 ? ERR_OK
		      : err_note(ERR_USAGE, "name one of them in full");
}

int
order_verb(int argc, char **argv)
{
	struct cmd c = {0};
	bool whole = false, done = false;
	char subject[300];
	int words = 0;
	const struct opt opts[] = {CMD_OPTS(&c),
	    {.name = "unmask",
		.type = OPT_FLAG,
		.help = "show personal data",
		.flag = &c.unmask},
	    {.name = "data",
		.type = OPT_FLAG,
		.help = "print each event's data whole",
		.flag = &whole},
	    {0}};
	const struct command cmd = {"vayla order show REF",
	    "What happened to an order, by order, payment, shop or tracking "
	    "number: events as received and as translated, deliveries with "
	    "their effects, the money, and what is open.",
	    opts, 2, 2};
	enum err e;

	e = opt_parse(&cmd, argc, argv, &words, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	if (strcmp(argv[1], "show") != 0)
		return cmd_fail(err_note(
		    ERR_USAGE, "vayla order show REF, not %s", argv[1]));
	e = cmd_open(&c);
	if (e == ERR_OK)
		e = find_one(&c, argv[2], subject);
	if (e == ERR_OK)
		e = c.unmask
			? cmd_ask(&c, "timeline", "subject", subject, "?unseal",
			      "", NULL)
			: cmd_ask(&c, "timeline", "subject", subject, NULL);
	if (e == ERR_OK && !cmd_json(&c))
		print_timeline(buf_all(&c.reply), whole);
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}

/* vayla event explain SEQ: beside the broker, of the journal itself. */
static enum err
event_explain(struct cmd *c, const char *word)
{
	bool json = c->output != NULL && strcmp(c->output, "json") == 0;
	uint64_t seq = strtoull(word, NULL, 10);
	struct beside b;
	struct recalled say;
	struct buf out;
	enum err e;

	e = cmd_config(c);
	if (e == ERR_OK && seq == 0)
		e = err_note(ERR_USAGE, "%s is no number of a record", word);
	if (e != ERR_OK)
		return e;
	buf_init(&out, 64 * 1024 * 1024);
	e = beside_open(&b, c->config);
	if (e == ERR_OK) {
		e = recall_explain(
		    &b, seq, json ? EXPLAIN_JSON : EXPLAIN_TEXT, &out, &say);
		beside_close(&b);
	}
	if (e == ERR_OK && say.sealed && !c->unmask)
		e = err_note(
		    ERR_DENIED, "personal data is in it: --unmask shows it");
	if (e == ERR_OK && !json)
		printf("made by %s, ruleset %.16s, from event %llu%s\n",
		    say.map, say.ruleset, (unsigned long long)say.cause,
		    say.same ? ""
			     : "; this program gives OTHER BYTES than were "
			       "recorded");
	if (e == ERR_OK)
		fwrite(out.p, 1, out.n, stdout);
	buf_fini(&out);
	return e;
}

int
event_verb(int argc, char **argv)
{
	struct cmd c = {0};
	bool done = false;
	int words = 0;
	const struct opt opts[] = {CMD_OPTS(&c),
	    {.name = "unmask",
		.type = OPT_FLAG,
		.help = "show personal data",
		.flag = &c.unmask},
	    {0}};
	const struct command cmd = {"vayla event get|explain SEQ",
	    "One record of the journal by its sequence number. explain says of "
	    "an event that a mapping made where each of its fields came from: "
	    "the mapping is run once more as it was then, with the ruleset "
	    "that the event names and joins that see what was there before "
	    "it; it reads the journal's files, so it must be the user that "
	    "runs the broker.",
	    opts, 2, 2};
	enum err e;

	e = opt_parse(&cmd, argc, argv, &words, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	if (strcmp(argv[1], "explain") == 0) {
		e = event_explain(&c, argv[2]);
		cmd_close(&c);
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	}
	if (strcmp(argv[1], "get") != 0)
		return cmd_fail(err_note(ERR_USAGE,
		    "vayla event has get and explain, not %s", argv[1]));
	e = cmd_open(&c);
	if (e == ERR_OK)
		e = c.unmask ? cmd_ask(&c, "event", "#seq", argv[2], "?unseal",
				   "", NULL)
			     : cmd_ask(&c, "event", "#seq", argv[2], NULL);
	if (e == ERR_OK && !cmd_json(&c))
		print_record(buf_all(&c.reply), true);
	cmd_close(&c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
