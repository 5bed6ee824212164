/*
 * The mapping language against hostile events: whatever the bytes are, an
 * evaluation ends with a verdict, within its budgets, and what it emits is
 * well-formed. Run under the sanitizers by `make SAN=address unit`.
 */
#include "tests/unit/map_try.h"

/* Nearly every function and node, over nearly every field. */
static const char busy[] =
    "map: t.m/1\nfrom: t.in\n"
    "tables:\n"
    "  k: {unmatched: {row: other}, rows: {r: R, x: X}}\n"
    "  h: {by: contains, unmatched: keep, rows: {ea: pear}}\n"
    "let:\n"
    "  all: concat(l for l in lines, l for l in lines if l.qty > 1)\n"
    "  total: sum(l.net for l in all)\n"
    "  shares: allocate(round(n, 2), 2, abs(l.net) + 1 for l in lines)\n"
    "emit:\n"
    "  - type: t.out\n"
    "    each: w, c in words\n"
    "    id: \"w:{c}\"\n"
    "    subject: \"k:{id}\"\n"
    "    refs: [\"r:{s}\"]\n"
    "    again: revise by at\n"
    "    data:\n"
    "      w: w\n"
    "      total: total\n"
    "      up: upper(html(w))\n"
    "      day: date(at, 'Europe/Helsinki')\n"
    "      later: add(day, 3, months)\n"
    "      hash: hash($in)\n"
    "      raw: map\n"
    "      k1?: map.k1\n"
    "      deep?: map.a.b.c.d\n"
    "      third?: lines[3].tags[2]\n"
    "      e:\n"
    "        each: y in entries(map)\n"
    "        when: has(y.value)\n"
    "        entry: [\"k{y.key}\", y.value]\n"
    "      lines:\n"
    "        each: l, i in lines\n"
    "        let:\n          code: lookup(k, l.cls ?? 'none')\n"
    "        item:\n"
    "          sku?: l.sku\n"
    "          code: code\n"
    "          tags: join(',', l.tags ?? [])\n"
    "          each_net: round(l.net / l.qty, 4)\n"
    "          has: lookup(h, l.name)\n"
    "          pos: i\n"
    "      groups:\n"
    "        each: g in group(l.cls ?? '-' for l in all)\n"
    "        item:\n          k: g.key\n          n: count(g.rows)\n"
    "          v: sum(r.net for r in g.rows)\n"
    "      shares:\n"
    "        each: a in shares\n"
    "        item: {p: a.part, q: a.row.name}\n"
    "      sorted: list(v.name for v in sort(v.net for v in lines))\n"
    "      last?: last($out.lines).code\n"
    "      m?: first(q.value for q in meta if q.key = 'b')\n"
    "    check:\n"
    "      - sum(x.p for x in $out.shares) = round(n, 2)\n";

static unsigned seed = 20261122;

static unsigned
any(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

static void
put_any(struct buf *b, unsigned depth)
{
	static const char *const keys[] = {"id", "n", "s", "o", "on", "b", "at",
	    "local", "day", "st", "lines", "gone", "addr", "meta", "words",
	    "map", "name", "qty", "net", "sku", "cls", "tags", "key", "value",
	    "a", "k1", "", "checkout-amount"};
	static const char *const texts[] = {"", "r", "12.50", "-0", "1e400",
	    "99999999999999999999999999", "2026-03-01T10:00:00Z", "2026-02-30",
	    "a & <b> &#x1F600; &amp", "\xc3\xa4\xc3\x96", "paid",
	    "2026-10-25T03:30:00", "0.000000001", "pear", "{s}", "\x01\x7f"};
	unsigned n;

	switch (any(depth > 5 ? 9 : 13)) {
	case 0:
		mp_put_nil(b);
		break;
	case 1:
		mp_put_bool(b, any(2) == 1);
		break;
	case 2:
		mp_put_int(b, (int64_t)any(300) - 150);
		break;
	case 3:
		mp_put_int(b, any(2) ? INT64_MAX : INT64_MIN);
		break;
	case 4:
		mp_put_uint(b, UINT64_MAX - any(3));
		break;
	case 5:
	case 6:
		mp_put_cstr(b, texts[any(16)]);
		break;
	case 7:
		mp_put_decimal(
		    b, slice_str(any(2) ? "9999999999999999999.99" : "3.00"));
		break;
	case 8:
		if (any(2))
			mp_put_time(b, any(2) ? INT64_MAX : -1);
		else if (any(2))
			mp_put_sealed(b, any(9));
		else
			mp_put_bin(b, SLICE_LIT("\x00\xff"));
		break;
	case 9:
	case 10:
		n = any(20);
		mp_put_array(b, n);
		while (n-- > 0)
			put_any(b, depth + 1);
		break;
	default:
		n = any(20);
		mp_put_map(b, n);
		while (n-- > 0) {
			if (any(30) == 0)
				put_any(b, depth + 4);
			else
				mp_put_cstr(b, keys[any(28)]);
			put_any(b, depth + 1);
		}
	}
}

/* Copy a value; here and there another in its place. */
static void
mutate(struct buf *b, struct mp_in *in, unsigned depth)
{
	struct slice whole;
	struct mp_in at = *in;
	struct mp m;

	if (mp_value(in, &whole) != ERR_OK || mp_next(&at, &m) != ERR_OK)
		return;
	if (any(12) == 0) {
		put_any(b, depth);
	} else if (m.type == MP_ARRAY) {
		mp_put_array(b, m.count);
		for (uint32_t i = 0; i < m.count; i++)
			mutate(b, &at, depth + 1);
	} else if (m.type == MP_MAP) {
		mp_put_map(b, m.count);
		for (uint32_t i = 0; i < m.count; i++) {
			struct slice key;

			if (mp_value(&at, &key) != ERR_OK)
				return;
			buf_slice(b, key);
			mutate(b, &at, depth + 1);
		}
	} else {
		buf_slice(b, whole);
	}
}

static struct buf good, bytes, ev;

static const struct result *
eval(const struct mapping *m, struct slice data)
{
	/* a copy of its exact size, so that reading beyond it is seen */
	uint8_t *copy = malloc(data.n > 0 ? data.n : 1);
	const struct result *r;
	struct input in = {.event = buf_all(&ev),
	    .settings = SLICE_EMPTY,
	    .system = SLICE_LIT("shop")};

	memcpy(copy, data.p, data.n);
	in.data = slice_of(copy, data.n);
	r = mapping_eval(try_eval, m, &in);
	CHECK(r->steps <= MAP_STEPS + 100000);
	CHECK((r->verdict == EVAL_OK || r->verdict == EVAL_SKIP) ==
	      (r->text.n == 0));
	if (r->verdict == EVAL_ERROR)
		CHECK(r->err != ERR_OK && r->text.n > 0);
	CHECK(r->verdict == EVAL_OK || r->n == 0);
	free(copy);
	return r;
}

static const struct mapping *
begin(void)
{
	const struct mapping *m = try_load(busy);

	if (m == NULL) {
		fprintf(stderr, "%s", try_said);
		CHECK(m != NULL);
		return NULL;
	}
	if (try_eval == NULL)
		try_eval = eval_new();
	buf_init(&good, 1 << 20);
	buf_init(&bytes, 8 << 20);
	buf_init(&ev, 4096);
	mp_put_map(&ev, 1);
	mp_put_cstr(&ev, "subject");
	mp_put_cstr(&ev, "order:shop/1042");
	CHECK_OK(json_to_mp(slice_str(try_json), &good, NULL));
	return m;
}

static void
finish(void)
{
	buf_fini(&good);
	buf_fini(&bytes);
	buf_fini(&ev);
}

T(the_good_one)
{
	const struct mapping *m = begin();
	const struct result *r;

	if (m == NULL)
		return;
	r = eval(m, buf_all(&good));
	if (r->verdict != EVAL_OK)
		fprintf(stderr, "%.*s\n", SLICE_ARG(r->text));
	CHECK(r->verdict == EVAL_OK && r->n == 3);
	finish();
}

T(other_values)
{
	const struct mapping *m = begin();
	int ok = 0, refused = 0;

	for (int i = 0; m != NULL && i < 30000; i++) {
		struct mp_in in = mp_in(buf_all(&good));
		const struct result *r;

		buf_reset(&bytes);
		if (i % 4 == 0)
			put_any(&bytes, 0);
		else
			mutate(&bytes, &in, 0);
		r = eval(m, buf_all(&bytes));
		ok += r->verdict == EVAL_OK;
		refused += r->verdict == EVAL_ERROR;
		/* what comes of well-formed bytes is well-formed */
		if (mp_check(buf_all(&bytes)) == ERR_OK)
			for (size_t k = 0; k < r->n; k++)
				CHECK(r->events[k].data.n > 0);
	}
	CHECK(ok > 100 && refused > 1000);
	finish();
}

T(broken_bytes)
{
	const struct mapping *m = begin();

	for (size_t n = 0; m != NULL && n < good.n; n++)
		(void)eval(m, slice_of(good.p, n));
	for (int i = 0; m != NULL && i < 30000; i++) {
		buf_reset(&bytes);
		buf_slice(&bytes, buf_all(&good));
		for (unsigned k = 1 + any(4); k > 0; k--)
			bytes.p[any((unsigned)bytes.n)] = (uint8_t)any(256);
		(void)eval(m, buf_all(&bytes));
	}
	finish();
}

T(deep)
{
	const struct mapping *m = begin();

	if (m == NULL)
		return;
	for (int i = 0; i < 100000; i++)
		buf_byte(&bytes, i % 2 == 0 ? 0x91 : 0x81);
	(void)eval(m, buf_all(&bytes));
	buf_reset(&bytes);
	mp_put_map(&bytes, 1);
	mp_put_cstr(&bytes, "lines");
	for (int i = 0; i < 100000; i++)
		buf_byte(&bytes, 0x91);
	mp_put_nil(&bytes);
	(void)eval(m, buf_all(&bytes));
	finish();
}

/* A great many of something: refused by a budget, soon. */
T(budgets)
{
	static const char *const exprs[] = {
	    /* every pair of words */
	    "count(a for a in words for c in words for d in words)",
	    "count(group(a for a in words))",
	    "join(\"{join('-', words)}{join('-', words)}\", "
	    "concat(words, words))",
	    "list(replace(join('', words), 'w', join('', words)) for w in "
	    "words)",
	    "sum(count(split(join(',', words), ',')) for w in words)",
	    "count(sort(at(words, 39999) for w in words))",
	};
	struct buf json;
	size_t i;

	if (begin() == NULL)
		return;
	buf_init(&json, 4 << 20);
	buf_str(&json, "{\"words\":[\"w0\"");
	for (i = 1; i < 40000; i++)
		buf_printf(&json, ",\"w%zu\"", i);
	buf_str(&json, "]}");
	CHECK_OK(json_to_mp(buf_all(&json), &bytes, NULL));
	for (i = 0; i < sizeof(exprs) / sizeof(*exprs); i++) {
		const struct mapping *m = try_expr(exprs[i]);

		CHECK(m != NULL);
		if (m == NULL) {
			fprintf(stderr, "%s", try_said);
			continue;
		}
		const struct result *r = eval(m, buf_all(&bytes));

		CHECK(r->verdict == EVAL_ERROR && r->err == ERR_BUDGET);
		if (r->err != ERR_BUDGET)
			fprintf(
			    stderr, "%s: %.*s\n", exprs[i], SLICE_ARG(r->text));
	}
	const struct mapping *m = try_load(
	    "map: t.m/1\nfrom: t.in\nemit:\n  - type: t.out\n    each: w in "
	    "words\n    id: w\n    subject: 'k:1'\n    data: {x: w}\n");
	CHECK(m != NULL);
	if (m != NULL) {
		const struct result *r = eval(m, buf_all(&bytes));

		CHECK(r->err == ERR_BUDGET && r->n == 0);
		CHECK(memmem(r->text.p, r->text.n, "more than 1000 events",
			  21) != NULL);
	}
	m = try_load("map: t.m/1\nfrom: t.in\nemit:\n  - type: t.out\n    "
		     "id: 'x'\n    subject: 'k:1'\n    data:\n      a: words\n"
		     "      b: words\n      c: words\n      d: words\n"
		     "      e: words\n      f: words\n      g: words\n");
	CHECK(m != NULL);
	if (m != NULL) {
		const struct result *r = eval(m, buf_all(&bytes));

		CHECK(r->err == ERR_BUDGET);
		CHECK(memmem(r->text.p, r->text.n, "the output is over", 18) !=
		      NULL);
	}
	buf_fini(&json);
	finish();
}

/* Files that are no mappings: faults, never a crash. */
T(broken_files)
{
	char text[sizeof(busy) + 64];

	for (int i = 0; i < 1500; i++) {
		size_t n = sizeof(busy) - 1;

		memcpy(text, busy, n + 1);
		for (unsigned k = 1 + any(3); k > 0; k--) {
			size_t at = any((unsigned)n);

			switch (any(4)) {
			case 0:
				text[at] = (char)(32 + any(95));
				break;
			case 1:
				memmove(text + at, text + at + 1, n - at);
				n--;
				break;
			case 2:
				text[at] = "(){}[]'\",:|-\n"[any(13)];
				break;
			default:
				text[at] = text[any((unsigned)n)];
			}
		}
		text[n] = '\0';
		const struct mapping *m = try_load(text);

		CHECK(m != NULL || try_faults.count > 0);
		if (m != NULL)
			try_run(m, NULL);
		if (i % 100 == 99)
			arena_reset(&try_arena), try_again();
	}
}

T_MAIN(try_begin(); T_RUN(the_good_one) T_RUN(other_values) T_RUN(broken_bytes)
	   T_RUN(deep) T_RUN(budgets) T_RUN(broken_files) try_end())
