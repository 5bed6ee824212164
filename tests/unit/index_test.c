/*
 * The index: facts, subjects, refs, settings, views; from memory, from disk and
 * after reopening.
 */
#include "tests/unit/room.h"

/* ---- facts, subjects, refs: the same from memory, disk and after reopening
 */

static void
check_facts(struct room *r, uint64_t a1, uint64_t a2, uint64_t b)
{
	struct known k;
	uint64_t out[8];
	size_t n;
	uint32_t slot;
	struct slice subject;

	CHECK_OK(index_fact(r->ix, SLICE_LIT("shop"), SLICE_LIT("a"), &k));
	CHECK(k.seq == a2 && k.revision == 2 && k.digest[0] == 'D');
	CHECK_ERR(index_fact(r->ix, SLICE_LIT("shop"), SLICE_LIT("z"), &k),
	    ERR_NOTFOUND);
	CHECK_ERR(index_fact(r->ix, SLICE_LIT("shopa"), SLICE_EMPTY, &k),
	    ERR_NOTFOUND);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, out, 8, &n));
	CHECK(n == 2 && out[0] == a2 && out[1] == b);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/1"), a2, out, 8, &n));
	CHECK(n == 1 && out[0] == a1);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, out, 1, &n));
	CHECK(n == 1 && out[0] == b);
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.paid"),
	    SLICE_LIT("order:shop/1"), UINT64_MAX, out, 8, &n));
	CHECK(n == 0); /* withdrawn */
	CHECK_OK(index_at(r->ix, SLICE_LIT("order.placed"),
	    SLICE_LIT("order:shop/2"), UINT64_MAX, out, 8, &n));
	CHECK(n == 0);
	CHECK_OK(index_slot(r->ix, SLICE_LIT("order:shop/1"), &slot));
	CHECK(slot == 77 && index_slot_max(r->ix) == 78);
	CHECK_ERR(
	    index_slot(r->ix, SLICE_LIT("order:shop/2"), &slot), ERR_NOTFOUND);
	CHECK_OK(index_ref(r->ix, SLICE_LIT("payment:p1"), &r->a, &subject));
	CHECK(slice_is(subject, "order:shop/1")); /* the first claim */
	CHECK_ERR(index_ref(r->ix, SLICE_LIT("payment:p"), &r->a, &subject),
	    ERR_NOTFOUND);
}

T(facts)
{
	struct index_counts c;
	struct room r;
	uint64_t a1, a2, b;

	room_init(&r);
	event("a", "order.placed", "order:shop/1");
	ev.sealed = SLICE_LIT("\x4d\0\0\0...");
	ev.digest = SLICE_LIT("d123456789abcdef0123456789abcdef");
	ev.refs_n = 1;
	ev.refs[0] = SLICE_LIT("payment:p1");
	a1 = add_event(&r);
	ev.revision = 2;
	ev.digest = SLICE_LIT("D123456789abcdef0123456789abcdef");
	a2 = add_event(&r);
	event("w", "order.paid", "order:shop/1");
	add_event(&r);
	ev.revision = 2;
	ev.withdrawn = true;
	add_event(&r);
	commit(&r);
	event("b", "order.placed", "order:shop/1");
	ev.sealed = SLICE_LIT("\x4e\0\0\0...");
	b = add_event(&r);
	event("other", "order.placed", "order:shop/3");
	ev.refs_n = 1;
	ev.refs[0] = SLICE_LIT("payment:p1");
	add_event(&r);
	commit(&r);
	check_facts(&r, a1, a2, b);
	flush(&r);
	check_facts(&r, a1, a2, b);
	room_close(&r);
	room_open(&r);
	check_facts(&r, a1, a2, b);
	index_counts(r.ix, &c);
	CHECK(c.events == 6 && c.facts == 4);
	room_fini(&r);
}

T(dependents)
{
	struct dependent *d;
	struct room r;
	size_t n;

	room_init(&r);
	for (int i = 0; i < 3; i++) {
		event(i == 0 ? "a" : i == 1 ? "b" : "c", "x.y", "order:s/1");
		ev.causationid = i == 2 ? 4 : 9;
		ev.map =
		    i == 0 ? SLICE_LIT("books/m/1") : SLICE_LIT("books/m/22");
		ev.reads_n = 2;
		ev.reads[0] = 3;
		ev.reads[1] = 7;
		add_event(&r);
	}
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 0)
			commit(&r);
		else
			flush(&r);
		for (int i = 0; i < 2; i++) {
			/* whatever its revision was when it was read */
			if (i == 1) {
				event("c", "x.y", "order:s/1");
				ev.revision = 2 + (uint32_t)pass;
				add_event(&r);
				commit(&r);
			}
			CHECK_OK(index_dependents(r.ix, SLICE_LIT("shop"),
			    SLICE_LIT("c"), &r.a, &d, &n));
			CHECK(n == 2 && d[0].input == 4 && d[1].input == 9);
			CHECK(n == 2 && slice_is(d[1].map, "books/m"));
		}
		CHECK_OK(index_dependents(
		    r.ix, SLICE_LIT("shop"), SLICE_LIT("a"), &r.a, &d, &n));
		CHECK(n == 0);
		CHECK_OK(index_dependents(
		    r.ix, SLICE_LIT("other"), SLICE_LIT("c"), &r.a, &d, &n));
		CHECK(n == 0);
	}
	room_fini(&r);
}

/* ---- settings ---- */

T(settings)
{
	struct slice state, since;
	struct action a;
	struct in_force now;
	struct buf out;
	struct room r;

	room_init(&r);
	buf_init(&out, 1 << 16);
	CHECK_ERR(index_ruleset(r.ix, &now), ERR_NOTFOUND);
	CHECK_OK(
	    index_system_state(r.ix, SLICE_LIT("books"), &r.a, &state, &since));
	CHECK(state.n == 0 && since.n == 0);
	action_init(&a);
	a.act = SLICE_LIT("ruleset");
	a.hash = SLICE_LIT("0123456789abcdef0123456789abcdef");
	action_write(&r.body, &a);
	add(&r, REC_ACTION);
	action_init(&a);
	a.act = SLICE_LIT("live");
	a.system = SLICE_LIT("books");
	a.since = SLICE_LIT("2026-01-01");
	action_write(&r.body, &a);
	add(&r, REC_ACTION);
	a.act = SLICE_LIT("pause");
	a.since = SLICE_EMPTY;
	action_write(&r.body, &a);
	add(&r, REC_ACTION);
	for (int i = 0; i < 3; i++) {
		action_init(&a);
		a.act = SLICE_LIT("answer");
		a.system = SLICE_LIT("books");
		a.map = SLICE_LIT("m");
		a.table = SLICE_LIT("vat");
		a.key = i == 0 ? SLICE_LIT("24") : SLICE_LIT("25");
		a.row = i == 1 ? SLICE_LIT("\xa1x") : SLICE_LIT("\xa1y");
		action_write(&r.body, &a);
		add(&r, REC_ACTION);
	}
	commit(&r);
	for (int pass = 0; pass < 2; pass++) {
		CHECK_OK(index_ruleset(r.ix, &now));
		CHECK(memcmp(now.hash, "0123", 4) == 0);
		CHECK(now.seq == 1 && !now.deployed);
		CHECK_OK(index_system_state(
		    r.ix, SLICE_LIT("books"), &r.a, &state, &since));
		CHECK(slice_is(state, "paused"));
		CHECK(slice_is(since, "2026-01-01"));
		buf_reset(&out);
		CHECK_OK(index_answers(r.ix, &out));
		CHECK(slice_is(buf_all(&out), "\x92\x95\xa5"
					      "books\xa1m\xa3vat\xa2"
					      "24\xa1y"
					      "\x95\xa5"
					      "books\xa1m\xa3vat\xa2"
					      "25\xa1y"));
		room_close(&r);
		room_open(&r);
	}
	buf_fini(&out);
	room_fini(&r);
}

/* ---- views ---- */

static bool
among(struct slice *s, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (slice_is(s[i], what))
			return true;
	return false;
}

T(views)
{
	struct index_view *v;
	struct open_item *it;
	struct slice *s;
	uint64_t out[16], e1, e2;
	struct room r;
	size_t n;

	room_init(&r);
	event("1", "order.placed", "order:shop/1042");
	ev.refs_n = 2;
	ev.refs[0] = SLICE_LIT("payment:pt-9");
	ev.refs[1] = SLICE_LIT("tracking:posti/JJFI1");
	e1 = add_event(&r);
	event("2", "x.order", "order:other/1042");
	add_event(&r);
	event("3", "ledger.posting", "order:shop/1042");
	ev.target = SLICE_LIT("books");
	e2 = add_event(&r);
	add_settle(&r, "books", e2, SETTLE_RETRY, 1, 5, false);
	add_settle(&r, "map:books/m", e1, SETTLE_ASK, 1, 0, false);
	add_action(&r, "retry", "books", e2);
	commit(&r);
	flush(&r);
	CHECK_OK(index_view_new(&v, r.ix));
	CHECK_OK(index_view_find(v, SLICE_LIT("1042"), &r.a, &s, &n));
	CHECK(n == 2 && among(s, n, "order:shop/1042") &&
	      among(s, n, "order:other/1042"));
	CHECK_OK(
	    index_view_find(v, SLICE_LIT("order:shop/1042"), &r.a, &s, &n));
	CHECK(n == 1);
	CHECK_OK(index_view_find(v, SLICE_LIT("payment:pt-9"), &r.a, &s, &n));
	CHECK(n == 1 && among(s, n, "order:shop/1042"));
	CHECK_OK(index_view_find(v, SLICE_LIT("JJFI1"), &r.a, &s, &n));
	CHECK(n == 1 && among(s, n, "order:shop/1042"));
	CHECK_OK(index_view_find(v, SLICE_LIT("shop/1042"), &r.a, &s, &n));
	CHECK(n == 0);
	CHECK_OK(index_view_find(v, SLICE_EMPTY, &r.a, &s, &n));
	CHECK(n == 0);
	CHECK_OK(
	    index_view_timeline(v, SLICE_LIT("order:shop/1042"), out, 16, &n));
	CHECK(n == 5 && out[0] == 1 && out[1] == 3 && out[4] == 6);
	CHECK_OK(
	    index_view_timeline(v, SLICE_LIT("order:shop/1042"), out, 2, &n));
	CHECK(n == 2);
	CHECK_OK(index_view_recent(v, out, 2, &n));
	CHECK(n == 2 && out[0] == 3 && out[1] == 2);
	CHECK_OK(index_view_open(v, SLICE_EMPTY, 0, 10, &r.a, &it, &n));
	CHECK(n == 2 && it[0].seq == e1 && it[0].state == OPEN_ASK);
	CHECK(n == 2 && it[1].seq == e2 && it[1].state == OPEN_READY &&
	      it[1].attempt == 0);
	CHECK_OK(index_view_open(v, SLICE_LIT("books"), e2, 10, &r.a, &it, &n));
	CHECK(n == 0);
	index_view_free(v);
	index_view_free(NULL);
	room_fini(&r);
}

/* ---- what is wrong with index.db ---- */

T(rebuilt_when_unfit)
{
	struct known k;
	struct room r;
	struct buf report;
	int hidden = tmp_quiet();

	room_init(&r);
	event("a", "order.placed", "order:shop/1");
	add_event(&r);
	commit(&r);
	for (int i = 0; i < 5; i++) {
		room_close(&r);
		if (i == 0)
			tmp_run("rm %s/index.db", r.dir);
		else if (i == 1)
			tmp_run("echo nonsense >%s/index.db", r.dir);
		else if (i == 2)
			tmp_run("sqlite3 %s/index.db \"UPDATE meta SET v = 99"
				" WHERE k = 'version'\"",
			    r.dir);
		else if (i == 3)
			tmp_run("sqlite3 %s/index.db \"UPDATE meta SET v ="
				" 1000 WHERE k = 'applied'\"",
			    r.dir);
		else
			tmp_run(
			    "sqlite3 %s/index.db 'DROP TABLE bloom'", r.dir);
		room_open(&r);
		CHECK_OK(
		    index_fact(r.ix, SLICE_LIT("shop"), SLICE_LIT("a"), &k));
		CHECK(k.seq == 1);
	}
	/* And verify names what is wrong. */
	room_close(&r);
	tmp_run("sqlite3 %s/index.db 'DELETE FROM at'", r.dir);
	buf_init(&report, 1 << 16);
	CHECK_ERR(index_verify(r.dir, &report), ERR_CORRUPT);
	CHECK(strstr(buf_cstr(&report), "table at") != NULL);
	buf_fini(&report);
	tmp_loud(hidden);
	room_open(&r);
	room_fini(&r);
}

/* ---- filters ---- */

T(bloom_never_denies)
{
	struct bloom *b = bloom_new();
	uint64_t h = 1, wrong = 0;

	for (int i = 0; i < 2100000; i++) {
		h = h * UINT64_C(6364136223846793005) + 99;
		CHECK_OK(bloom_add(b, h ^ h >> 31));
	}
	CHECK(bloom_newest(b) == 1);
	h = 1;
	for (int i = 0; i < 2100000; i++) {
		h = h * UINT64_C(6364136223846793005) + 99;
		if (!bloom_has_any(b, h ^ h >> 31))
			wrong++;
	}
	CHECK(wrong == 0);
	for (int i = 0; i < 100000; i++) {
		h = h * UINT64_C(6364136223846793005) + 99;
		wrong += bloom_has(b, 0, h ^ h >> 31);
	}
	CHECK(wrong < 2500); /* full, and 1 to 2 in a hundred */
	bloom_free(b);
}

T_MAIN(T_RUN(facts) T_RUN(dependents) T_RUN(settings) T_RUN(views)
	T_RUN(rebuilt_when_unfit) T_RUN(bloom_never_denies))
