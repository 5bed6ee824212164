/* Verbs, records in a blob, settlements, actions, timers. */
#include "broker/wire/frame.h"
#include "tests/unit/t.h"

T(verbs)
{
	struct buf w;

	buf_init(&w, 64);
	for (int v = 0; v < VERB_COUNT; v++) {
		buf_reset(&w);
		verb_write(&w, (enum verb)v);
		CHECK(verb_read(buf_all(&w)) == (enum verb)v);
	}
	CHECK(verb_read(SLICE_LIT("VY1HELLO")) == VERB_HELLO);
	CHECK(verb_read(SLICE_LIT("VY1")) == VERB_COUNT);
	CHECK(verb_read(SLICE_LIT("VY1HELLOO")) == VERB_COUNT);
	CHECK(verb_read(SLICE_LIT("VY2HELLO")) == VERB_COUNT);
	CHECK(verb_read(SLICE_EMPTY) == VERB_COUNT);
	buf_fini(&w);
}

T(records)
{
	struct buf w;
	struct mp_in in;
	enum record_kind kind;
	struct slice body;
	enum err e;

	buf_init(&w, 4096);
	record_write(&w, REC_EVENT, SLICE_LIT("\x81\xa1k\x01"));
	record_write(&w, REC_SETTLE, SLICE_LIT("\x80"));
	in = mp_in(buf_all(&w));
	CHECK(record_next(&in, &kind, &body, &e) && kind == REC_EVENT);
	CHECK(slice_eq(body, SLICE_LIT("\x81\xa1k\x01")));
	CHECK(record_next(&in, &kind, &body, &e) && kind == REC_SETTLE);
	CHECK(!record_next(&in, &kind, &body, &e) && e == ERR_OK);
	buf_fini(&w);
}

static enum err
blob(struct slice s)
{
	struct mp_in in = mp_in(s);
	enum record_kind kind;
	struct slice body;
	enum err e;

	while (record_next(&in, &kind, &body, &e))
		;
	return e;
}

T(records_refused)
{
	CHECK_ERR(blob(SLICE_LIT("\x92\x04\x80")), ERR_SYNTAX); /* TIMER */
	CHECK_ERR(blob(SLICE_LIT("\x92\x00\x80")), ERR_SYNTAX);
	CHECK_ERR(blob(SLICE_LIT("\x93\x01\x80\x80")), ERR_SYNTAX);
	CHECK_ERR(blob(SLICE_LIT("\x92\x01\x90")), ERR_SYNTAX);
	CHECK_ERR(blob(SLICE_LIT("\x92\x01")), ERR_SYNTAX);
	CHECK_ERR(blob(SLICE_LIT("\x92")), ERR_SYNTAX);
	CHECK_ERR(blob(SLICE_LIT("\x01")), ERR_SYNTAX);
	CHECK_ERR(blob(SLICE_LIT("\x92\x01\x82\xa1k\x01\xa1k\x02")),
	    ERR_SYNTAX); /* one key twice */
	CHECK_OK(blob(SLICE_EMPTY));
}

T(settle_names)
{
	for (int v = 0; v <= SETTLE_SKIP; v++)
		CHECK(settle_by_name(slice_str(settle_name(
			  (enum settle_verdict)v))) == (enum settle_verdict)v);
	CHECK(settle_by_name(SLICE_LIT("maybe")) > SETTLE_SKIP);
}

T(settle)
{
	struct settle a, b;
	struct buf w;

	buf_init(&w, 65536);
	settle_init(&a);
	a.sub = SLICE_LIT("map:books/x");
	a.seq = 12;
	a.verdict = SETTLE_WAIT;
	a.attempt = 2;
	a.after_ms = 1500;
	a.due = INT64_C(1700000000000000001);
	a.parked = true;
	a.text = SLICE_LIT("no row");
	a.path = SLICE_LIT("order.placed: lines[2]");
	a.where = SLICE_LIT("f.yaml:1:2");
	a.table = SLICE_LIT("vat");
	a.key = SLICE_LIT("24");
	a.wait_type = SLICE_LIT("order.placed");
	a.wait_key = SLICE_LIT("order:shop/1");
	a.wait_by_ref = true;
	a.effect = SLICE_LIT("\x81\xa6status\xcc\xc8");
	settle_write(&w, &a);
	CHECK_OK(mp_check(buf_all(&w)));
	CHECK_OK(settle_read(buf_all(&w), &b));
	CHECK(slice_eq(a.sub, b.sub) && a.seq == b.seq);
	CHECK(b.verdict == SETTLE_WAIT && b.attempt == 2);
	CHECK(b.after_ms == 1500 && b.due == a.due && b.parked);
	CHECK(slice_eq(a.text, b.text) && slice_eq(a.path, b.path));
	CHECK(slice_eq(a.where, b.where) && slice_eq(a.table, b.table));
	CHECK(slice_eq(a.key, b.key) && slice_eq(a.wait_type, b.wait_type));
	CHECK(slice_eq(a.wait_key, b.wait_key) && b.wait_by_ref);
	CHECK(slice_eq(a.effect, b.effect));
	buf_fini(&w);
}

T(settle_refused)
{
	struct settle b;
	struct buf w;

	CHECK_ERR(settle_read(SLICE_LIT("\x80"), &b), ERR_MISSING);
	CHECK_ERR(settle_read(SLICE_LIT("\x82\xa3sub\xa1x\xa3seq\x01"), &b),
	    ERR_MISSING);
	CHECK_ERR(
	    settle_read(SLICE_LIT("\x81\xa7verdict\xa5maybe"), &b), ERR_TYPE);
	CHECK_ERR(settle_read(SLICE_LIT("\x81\xa3suq\xa1x"), &b), ERR_SYNTAX);
	CHECK_ERR(settle_read(SLICE_LIT("\x81\xa6"
					"effect\x01"),
		      &b),
	    ERR_TYPE);
	CHECK_ERR(settle_read(SLICE_LIT("\x81\xa8"
					"after_ms\xff"),
		      &b),
	    ERR_TYPE);
	/* A text that is too long is cut, at a character's edge. */
	buf_init(&w, 65536);
	settle_init(&b);
	b.sub = SLICE_LIT("x");
	b.seq = 1;
	{
		char text[SETTLE_TEXT + 2];

		memset(text, 'a', sizeof(text));
		memcpy(text + SETTLE_TEXT - 1, "\xc3\xa4", 2);
		b.text = slice_of(text, sizeof(text));
		settle_write(&w, &b);
	}
	CHECK_OK(mp_check(buf_all(&w)));
	CHECK_OK(settle_read(buf_all(&w), &b));
	CHECK(b.text.n == SETTLE_TEXT - 1);
	buf_fini(&w);
}

T(action)
{
	struct action a, b;
	struct buf w;

	buf_init(&w, 65536);
	action_init(&a);
	a.act = SLICE_LIT("answer");
	a.by = SLICE_LIT("maija");
	a.reason = SLICE_LIT("asked the shop");
	a.sub = SLICE_LIT("map:books/x");
	a.seq = 3;
	a.system = SLICE_LIT("books");
	a.map = SLICE_LIT("x");
	a.table = SLICE_LIT("vat");
	a.key = SLICE_LIT("24");
	a.row = SLICE_LIT("\x92\x01\x02");
	a.hash = SLICE_LIT("0123456789abcdef0123456789abcdef");
	a.since = SLICE_LIT("2026-01-01");
	action_write(&w, &a);
	CHECK_OK(mp_check(buf_all(&w)));
	CHECK_OK(action_read(buf_all(&w), &b));
	CHECK(slice_eq(a.act, b.act) && slice_eq(a.by, b.by));
	CHECK(slice_eq(a.reason, b.reason) && slice_eq(a.sub, b.sub));
	CHECK(a.seq == b.seq && slice_eq(a.system, b.system));
	CHECK(slice_eq(a.map, b.map) && slice_eq(a.table, b.table));
	CHECK(slice_eq(a.key, b.key) && slice_eq(a.row, b.row));
	CHECK(slice_eq(a.hash, b.hash) && slice_eq(a.since, b.since));
	CHECK_ERR(action_read(SLICE_LIT("\x80"), &b), ERR_MISSING);
	CHECK_ERR(
	    action_read(SLICE_LIT("\x81\xa4hash\xc4\x01x"), &b), ERR_TYPE);
	buf_fini(&w);
}

T(timer)
{
	struct timer a = {SLICE_LIT("map:books/x"), 9, SLICE_LIT("wait")}, b;
	struct buf w;

	buf_init(&w, 4096);
	timer_write(&w, &a);
	CHECK_OK(timer_read(buf_all(&w), &b));
	CHECK(slice_eq(a.sub, b.sub) && b.seq == 9 && slice_is(b.what, "wait"));
	CHECK_ERR(timer_read(SLICE_LIT("\x80"), &b), ERR_MISSING);
	buf_fini(&w);
}

T_MAIN(T_RUN(verbs) T_RUN(records) T_RUN(records_refused) T_RUN(settle_names)
	T_RUN(settle) T_RUN(settle_refused) T_RUN(action) T_RUN(timer))
