/*
 * play - see play.h. A lane carries one order at a time; within it one request
 * is under way. What a lane needs for its step lives in its arena.
 */
#include "connectors/sim/play.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/json.h"

#define MESSAGES 16
#define ANSWER_MAX 512
#define TIMEOUT_S 20
#define BACKOFF_MS 200
#define BACKOFF_MAX_MS 2000
#define PROGRESS_MS 200

struct lane {
	struct run *run;
	bool busy, flying;
	struct script script;
	size_t step, end;	/* the next, and where to stop */
	const char *type;	/* of what happens: "sim.order" ... */
	struct week_item *item; /* of a week, or NULL */
	struct arena keep;
	struct message messages[MESSAGES];
	size_t messages_n, message;
	CURL *easy;
	struct curl_slist *headers;
	struct buf answer, log;
	int tries;
	int64_t since, due; /* monotonic */
	bool logged;
};

struct run {
	struct actors *a;
	const struct play_options *o;
	struct play_report *r;
	CURLM *multi;
	struct lane lanes[PLAY_LANES_MAX];
	size_t lanes_n;
	int64_t begun, next, done, total; /* orders, or a week's messages */
	int64_t shown;
	enum err err;
};

static bool
stopped(const struct run *run)
{
	return run->o->stop != NULL && *run->o->stop != 0;
}

static struct play_counts *
counts_of(struct run *run, const struct message *m)
{
	return &run->r->of[m->from - run->a->v];
}

/* ---- one request ---- */

static size_t
on_answer(char *p, size_t size, size_t n, void *arg)
{
	struct lane *l = arg;
	size_t room = l->answer.max - l->answer.n;

	buf_put(&l->answer, p, size * n < room ? size * n : room);
	return size * n;
}

static void
log_answer(struct lane *l, const struct message *m, long status)
{
	if (l->item != NULL) {
		l->item->status = (int)status;
		l->item->tries = l->tries;
		return;
	}
	buf_str(&l->log, l->logged ? ",{\"to\":" : ",\"messages\":[{\"to\":");
	l->logged = true;
	json_quote(&l->log, m->from->name);
	buf_str(&l->log, ",\"what\":");
	json_quote(&l->log, slice_str(step_type(&l->script.steps[l->step])));
	buf_printf(&l->log, ",\"status\":%ld,\"tries\":%d}", status, l->tries);
}

static void lane_next(struct lane *l);

/* A file is there at once, whole, and as old as what it says. */
static void
send_file(struct lane *l, const struct message *m)
{
	struct play_counts *c = counts_of(l->run, m);
	enum err e = message_drop(m);

	c->sent++;
	if (e == ERR_OK)
		c->taken++;
	else
		l->run->err = e;
	(void)snprintf(l->run->r->file, sizeof(l->run->r->file), "%s/%.*s",
	    m->folder, SLICE_ARG(m->file));
	log_answer(l, m, e == ERR_OK ? 201 : 0);
	lane_next(l);
}

static void
send_message(struct lane *l)
{
	const struct message *m = &l->messages[l->message];

	if (m->file.n > 0) {
		send_file(l, m);
		return;
	}
	l->due = 0;
	l->flying = true;
	l->tries++;
	buf_reset(&l->answer);
	curl_slist_free_all(l->headers);
	l->headers = curl_slist_append(NULL, "Expect:");
	for (size_t i = 0; i < m->headers_n; i++)
		l->headers = curl_slist_append(l->headers, m->headers[i]);
	curl_easy_reset(l->easy);
	curl_easy_setopt(l->easy, CURLOPT_URL, m->url);
	curl_easy_setopt(l->easy, CURLOPT_HTTPHEADER, l->headers);
	curl_easy_setopt(l->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(l->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(l->easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(l->easy, CURLOPT_CONNECTTIMEOUT, 5L);
	curl_easy_setopt(l->easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(l->easy, CURLOPT_WRITEDATA, l);
	curl_easy_setopt(l->easy, CURLOPT_PRIVATE, l);
	if (strcmp(m->method, "GET") != 0) {
		curl_easy_setopt(l->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)m->body.n);
		curl_easy_setopt(
		    l->easy, CURLOPT_POSTFIELDS, (const char *)m->body.p);
	}
	counts_of(l->run, m)->sent++;
	curl_multi_add_handle(l->run->multi, l->easy);
}

/* ---- one order ---- */

static void
count_order(struct run *run, const struct script *s)
{
	struct totals t;
	const struct step *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct step *st = &s->steps[i];

		if (st->kind == STEP_ORDER &&
		    (best == NULL || st->at > best->at))
			best = st;
	}
	if (best != NULL) {
		order_totals(&best->order, &t);
		run->r->gross += t.gross;
		run->r->vat += t.vat;
		if (strcmp(best->status, "cancelled") != 0)
			run->r->open[s->fate] += t.gross - s->captured;
	}
	run->r->captured += s->captured;
	run->r->fates[s->fate]++;
	run->r->orders++;
}

static void
lane_finish(struct lane *l)
{
	struct run *run = l->run;

	run->done++;
	l->busy = false;
	if (l->item != NULL)
		return;
	buf_str(&l->log, l->logged ? "]}\n" : "}\n");
	if (run->o->log != NULL && buf_check(&l->log) == ERR_OK)
		(void)fwrite(l->log.p, 1, l->log.n, run->o->log);
	count_order(run, &l->script);
}

/* What happens next, as an event for the actors. */
static const char *
lane_write(struct lane *l, struct buf *out)
{
	const struct step *st = &l->script.steps[l->step];

	if (l->item != NULL && l->item->what > WEEK_HAPPENS)
		return week_write(l->run->o->week, l->item, out);
	step_write(out, &l->script, st);
	return step_type(st);
}

/* The far side has it; true when Vayla is not told, now or at all: it has to
 * ask. */
static bool
lane_keep(struct lane *l)
{
	struct far *far = l->run->o->far;
	bool happens = l->item != NULL && l->item->what == WEEK_HAPPENS;
	bool asked = l->item != NULL && l->item->unlucky;

	for (size_t i = 0; i < l->messages_n; i++) {
		if (!far_has(far, &l->messages[i])) {
			asked = false;
			continue;
		}
		if (l->run->err == ERR_OK && l->item != NULL &&
		    l->item->what != WEEK_STEP)
			l->run->err = far_keep(far, &l->messages[i]);
	}
	if (asked)
		l->item->lost = true;
	return asked || happens;
}

/* The next step's requests; the order ends after the last. */
static void
lane_step(struct lane *l)
{
	struct run *run = l->run;
	struct buf data;
	enum err e;

	l->message = l->messages_n = 0;
	l->tries = 0;
	l->since = clock_mono();
	while (l->messages_n == 0) {
		if (l->step == l->end) {
			lane_finish(l);
			return;
		}
		arena_reset(&l->keep);
		buf_init(&data, 1024 * 1024);
		l->type = lane_write(l, &data);
		e = buf_check(&data);
		if (e == ERR_OK)
			e = actors_play(run->a, slice_str(l->type),
			    buf_all(&data), run->o->base, clock_now(), &l->keep,
			    l->messages, &l->messages_n, MESSAGES);
		buf_fini(&data);
		if (e != ERR_OK) {
			run->err = e;
			l->busy = false;
			return;
		}
		if (l->messages_n == 0)
			l->step++;
	}
	if (lane_keep(l))
		lane_finish(l);
	else
		send_message(l);
}

static void
lane_start(struct lane *l, int64_t which)
{
	struct run *run = l->run;
	struct week *w = run->o->week;
	struct order o;

	l->busy = true;
	if (w != NULL) {
		l->item = &w->v[w->turn[which]];
		if (l->item->what <= WEEK_HAPPENS)
			week_script(w, l->item->order, &l->script);
		else
			memset(&l->script, 0, sizeof(l->script));
		l->step = l->item->step;
		l->end = l->step + 1;
		lane_step(l);
		return;
	}
	order_make(&o, run->o->seed, run->o->first + which,
	    run->o->at != 0 ? run->o->at : clock_now());
	script_make(&l->script, &o, run->o->seed);
	l->logged = false;
	l->step = 0;
	l->end = l->script.n;
	buf_reset(&l->log);
	script_expect(&l->log, &l->script);
	lane_step(l);
}

static void
lane_next(struct lane *l)
{
	l->tries = 0;
	l->since = clock_mono();
	if (++l->message < l->messages_n) {
		send_message(l);
		return;
	}
	l->step++;
	lane_step(l);
}

/* Again a little later, or give up. */
static bool
lane_again(struct lane *l, int64_t asked_s)
{
	struct run *run = l->run;
	int64_t now = clock_mono();
	int64_t ms = (int64_t)BACKOFF_MS << (l->tries < 5 ? l->tries - 1 : 4);

	if (now - l->since > run->o->patience * NS_PER_SEC || stopped(run))
		return false;
	if (asked_s > 0 && asked_s * 1000 < ms)
		ms = asked_s * 1000;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	l->due = now + ms * NS_PER_MS;
	counts_of(run, &l->messages[l->message])->repeated++;
	return true;
}

static void
lane_answered(struct lane *l, CURLcode code)
{
	const struct message *m = &l->messages[l->message];
	struct play_counts *c = counts_of(l->run, m);
	struct play_report *r = l->run->r;
	curl_off_t after = 0;
	long status = 0;

	l->flying = false;
	curl_multi_remove_handle(l->run->multi, l->easy);
	if (code == CURLE_OK) {
		curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(l->easy, CURLINFO_RETRY_AFTER, &after);
	}
	if (status >= 200 && status < 300) {
		c->taken++;
		log_answer(l, m, status);
		lane_next(l);
		return;
	}
	if (status == 0 || status == 503 || status == 429) {
		if (lane_again(l, (int64_t)after))
			return;
		c->lost++;
	} else {
		c->refused++;
	}
	if (r->first_refusal[0] == '\0')
		(void)snprintf(r->first_refusal, sizeof(r->first_refusal),
		    "order %lld, %s to %.*s: %s%ld %.*s",
		    (long long)l->script.steps[0].order.number, l->type,
		    SLICE_ARG(m->from->name),
		    code == CURLE_OK ? "" : curl_easy_strerror(code), status,
		    (int)strcspn(buf_cstr(&l->answer), "\r\n"),
		    buf_cstr(&l->answer));
	log_answer(l, m, status);
	lane_next(l);
}

/* ---- all of them ---- */

static void
show(struct run *run, bool last)
{
	int64_t now = clock_mono();
	int64_t part;
	char bar[31];

	if (run->o->quiet || !isatty(STDERR_FILENO))
		return;
	if (!last && now - run->shown < PROGRESS_MS * NS_PER_MS)
		return;
	run->shown = now;
	part = run->total > 0 ? run->done * 30 / run->total : 30;
	memset(bar, ' ', 30);
	memset(bar, '=', (size_t)part);
	bar[30] = '\0';
	fprintf(stderr, "\r[%s] %lld of %lld %s%s", bar, (long long)run->done,
	    (long long)run->total, run->o->week != NULL ? "messages" : "orders",
	    last ? "\n" : "");
}

static bool
may_start(const struct run *run)
{
	int64_t ns = clock_mono() - run->begun;

	if (stopped(run) || run->next == run->total)
		return false;
	if (run->o->week != NULL && run->o->seconds > 0)
		return week_part(run->o->week, (size_t)run->next) *
			   run->o->seconds <=
		       ns / 1000;
	return run->o->rate == 0 || run->next <= ns * run->o->rate / NS_PER_SEC;
}

static void
drive(struct run *run)
{
	int64_t now = clock_mono();
	CURLMsg *msg;
	int left;

	for (size_t i = 0; i < run->lanes_n; i++) {
		struct lane *l = &run->lanes[i];

		if (!l->busy && run->err == ERR_OK && may_start(run))
			lane_start(l, run->next++);
		else if (l->busy && !l->flying &&
			 (now >= l->due || stopped(run)))
			send_message(l);
	}
	(void)curl_multi_perform(run->multi, &left);
	while ((msg = curl_multi_info_read(run->multi, &left)) != NULL) {
		char *lane = NULL;
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &lane);
		lane_answered((struct lane *)(void *)lane, code);
	}
}

static bool
working(const struct run *run)
{
	for (size_t i = 0; i < run->lanes_n; i++)
		if (run->lanes[i].busy)
			return true;
	return run->err == ERR_OK && !stopped(run) && run->next < run->total;
}

static enum err
run_init(struct run *run)
{
	run->multi = curl_multi_init();
	if (run->multi == NULL)
		return err_note(ERR_NOMEM, "curl does not start");
	run->lanes_n = (size_t)run->o->lanes;
	for (size_t i = 0; i < run->lanes_n; i++) {
		struct lane *l = &run->lanes[i];

		l->run = run;
		l->easy = curl_easy_init();
		arena_init(&l->keep, 16 * 1024 * 1024);
		buf_init(&l->answer, ANSWER_MAX);
		buf_init(&l->log, 256 * 1024);
		if (l->easy == NULL)
			return err_note(ERR_NOMEM, "curl does not start");
	}
	return ERR_OK;
}

static void
run_fini(struct run *run)
{
	for (size_t i = 0; i < run->lanes_n; i++) {
		struct lane *l = &run->lanes[i];

		if (l->easy != NULL) {
			if (l->flying)
				curl_multi_remove_handle(run->multi, l->easy);
			curl_easy_cleanup(l->easy);
		}
		curl_slist_free_all(l->headers);
		arena_fini(&l->keep);
		buf_fini(&l->answer);
		buf_fini(&l->log);
	}
	if (run->multi != NULL)
		curl_multi_cleanup(run->multi);
}

/* The sums of a week, and its log, when all is played. */
static void
week_end(struct run *run)
{
	struct script *s = malloc(sizeof(*s));

	for (uint32_t i = 0; s != NULL && i < run->o->week->orders; i++) {
		week_script(run->o->week, i, s);
		count_order(run, s);
	}
	free(s);
	if (run->o->log != NULL)
		week_log(run->o->week, run->o->log);
}

enum err
play(struct actors *a, const struct play_options *o, struct play_report *r)
{
	struct run *run = calloc(1, sizeof(*run));
	enum err e;

	memset(r, 0, sizeof(*r));
	r->of = calloc(a->n, sizeof(*r->of));
	if (run == NULL || r->of == NULL) {
		free(run);
		return err_note(ERR_NOMEM, "no memory for the simulator");
	}
	run->a = a;
	run->o = o;
	run->r = r;
	run->total = o->week != NULL ? (int64_t)o->week->all : o->orders;
	run->begun = clock_mono();
	e = run_init(run);
	while (e == ERR_OK && working(run)) {
		drive(run);
		far_run(o->far);
		show(run, false);
		(void)curl_multi_poll(run->multi, NULL, 0, 20, NULL);
	}
	show(run, true);
	if (e == ERR_OK)
		e = run->err;
	if (e == ERR_OK && stopped(run))
		e = err_note(ERR_TIMEOUT, "stopped");
	run_fini(run);
	if (o->week != NULL)
		week_end(run);
	r->ns = clock_mono() - run->begun;
	free(run);
	for (size_t i = 0; i < a->n; i++) {
		r->all.sent += r->of[i].sent;
		r->all.taken += r->of[i].taken;
		r->all.repeated += r->of[i].repeated;
		r->all.refused += r->of[i].refused;
		r->all.lost += r->of[i].lost;
	}
	if (o->log != NULL && (fflush(o->log) != 0 || ferror(o->log)))
		return err_errno(ERR_IO, "the log cannot be written");
	return e;
}

static void
print_counts(FILE *out, struct slice name, const struct play_counts *c)
{
	fprintf(out, "%-16.*s %8llu %8llu %8llu %8llu %8llu\n", SLICE_ARG(name),
	    (unsigned long long)c->sent, (unsigned long long)c->taken,
	    (unsigned long long)c->repeated, (unsigned long long)c->refused,
	    (unsigned long long)c->lost);
}

void
play_print(FILE *out, const struct actors *a, const struct play_report *r)
{
	char text[32];

	fprintf(out, "%-16s %8s %8s %8s %8s %8s\n", "played", "sent", "taken",
	    "again", "refused", "lost");
	for (size_t i = 0; i < a->n; i++)
		print_counts(out, a->v[i].name, &r->of[i]);
	fprintf(out, "\n%lld orders in %lld.%01lld s\n", (long long)r->orders,
	    (long long)(r->ns / NS_PER_SEC),
	    (long long)(r->ns / (NS_PER_SEC / 10) % 10));
	for (int f = 0; f < FATE_COUNT; f++) {
		if (r->fates[f] == 0)
			continue;
		fprintf(out, "%8llu  %s", (unsigned long long)r->fates[f],
		    fate_text((enum fate)f));
		if (r->open[f] != 0)
			fprintf(out, " (%s EUR still open)",
			    cents_text(r->open[f], text));
		fputc('\n', out);
	}
	fprintf(out, "ordered %s", cents_text(r->gross, text));
	fprintf(out, " EUR (VAT %s)", cents_text(r->vat, text));
	fprintf(out, ", paid %s EUR\n", cents_text(r->captured, text));
	if (r->first_refusal[0] != '\0')
		fprintf(out, "first refusal: %s\n", r->first_refusal);
}
