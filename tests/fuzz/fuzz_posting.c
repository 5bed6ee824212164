/*
 * fuzz_posting - the first byte chooses: any two texts as a posting's (what is
 * written has the lines it should have, no control character, and reads back),
 * any bytes as a request's data, or any bytes as what stands in books.journal.
 */
#include <stdlib.h>

#include "broker/base/mp.h"
#include "broker/base/utf8.h"
#include "connectors/file/books_scan.h"
#include "connectors/file/posting.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
must_be_lines(struct slice s, size_t want)
{
	size_t lines = 0;

	must(utf8_valid(s));
	for (size_t i = 0; i < s.n; i++) {
		must(s.p[i] >= 0x20 || s.p[i] == '\n');
		must(s.p[i] != 0x7f);
		lines += s.p[i] == '\n';
	}
	must(lines == want);
}

/* Write it in both syntaxes; what stands in the journal reads back the same. */
static void
round_trip(const struct posting *p, struct arena *a, size_t revision)
{
	struct posting_head h = {.id = "e1", .seq = 7, .revision = 1}, h2;
	struct buf one, two;
	struct posting q;

	h.reverses = revision & 1 ? 3 : 0;
	buf_init(&one, POSTING_MAX);
	buf_init(&two, POSTING_MAX);
	posting_beancount(&one, p, &h);
	must(buf_check(&one) == ERR_OK);
	must_be_lines(
	    buf_all(&one), 5 + (h.reverses > 0) + p->tags_n + p->entries_n);
	buf_reset(&one);
	posting_journal(&one, p, &h);
	must(buf_check(&one) == ERR_OK);
	must_be_lines(
	    buf_all(&one), 4 + (h.reverses > 0) + p->tags_n + p->entries_n);
	must(posting_parse(slice_from(buf_all(&one), 1), a, &q, &h2) == ERR_OK);
	must(h2.revision == h.revision && h2.reverses == h.reverses);
	must(q.entries_n == p->entries_n && q.tags_n == p->tags_n);
	h2.seq = h.seq;
	posting_journal(&two, &q, &h2);
	must(slice_eq(buf_all(&one), buf_all(&two)));
	buf_fini(&one);
	buf_fini(&two);
}

static void
texts(struct slice s, struct arena *a)
{
	static const struct posting_entry entries[] = {
	    {SLICE_LIT("Assets:A"), {1250, 2}},
	    {SLICE_LIT("Income:B"), {-125, 1}}};
	struct posting p = {.date = "2026-03-01",
	    .currency = "EUR",
	    .text = slice_of(s.p, s.n / 2),
	    .tags_n = 1,
	    .entries_n = 2};
	char id[POSTING_ID + 1];

	p.tags[0] =
	    (struct posting_tag){SLICE_LIT("order"), slice_from(s, s.n / 2)};
	p.entries = arena_alloc(a, sizeof(entries));
	must(p.entries != NULL);
	memcpy(p.entries, entries, sizeof(entries));
	round_trip(&p, a, s.n);
	posting_id(s, id);
	must(strlen(id) > 0 && strcspn(id, " \n\"\\;") == strlen(id));
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct posting_head h;
	struct posting p;
	struct arena a;
	struct slice s;
	uint8_t *copy;

	if (n == 0)
		return 0;
	copy = malloc(n);
	memcpy(copy, in + 1, n - 1);
	s = slice_of(copy, n - 1);
	arena_init(&a, 4 << 20);
	if (in[0] % 3 == 0)
		texts(s, &a);
	else if (in[0] % 3 == 1) {
		if (mp_check(s) == ERR_OK && posting_read(s, &a, &p) == ERR_OK)
			round_trip(&p, &a, n);
	} else {
		(void)account_valid(s);
		if (scan_parse_withdrawn(s, &h) == ERR_OK)
			must(h.revision > 0);
		if (posting_parse_head(s, &h) == ERR_OK)
			must(h.revision > 0);
		if (posting_parse(s, &a, &p, &h) == ERR_OK)
			round_trip(&p, &a, n);
	}
	arena_fini(&a);
	free(copy);
	return 0;
}
