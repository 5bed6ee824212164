/*
 * fuzz_csv - any bytes as a CSV file, read in every way there is (the first two
 * bytes choose): rows come out in order, cover what they say they cover, are
 * well-formed msgpack, and reading ends.
 */
#include <stdlib.h>

#include "broker/base/utf8.h"
#include "connectors/file/sheet.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static struct schema_field fields[3] = {
    {.type = SCHEMA_MAP, .fields = &fields[1]},
    {.name = SLICE_LIT("a"), .type = SCHEMA_DECIMAL, .next = &fields[2]},
    {.name = SLICE_LIT("b"), .type = SCHEMA_INTEGER}};

static void
cells(const struct csv_options *o, struct slice text, struct arena *a)
{
	struct csv *c = malloc(sizeof(*c));
	struct csv_row row;
	const uint8_t *at = text.p;
	uint32_t line = 1;
	enum csv_got got;

	csv_init(c, o, text);
	while ((got = csv_next(c, a, &row)) != CSV_END) {
		must(row.raw.p >= at && row.raw.n > 0);
		at = row.raw.p + row.raw.n;
		must(at <= text.p + text.n);
		must(row.line >= line);
		line = row.line;
		if (got == CSV_BAD || got == CSV_BROKEN)
			must(c->why[0] != '\0' && c->bad_line >= 1);
		for (size_t i = 0; got == CSV_ROW && i < row.n; i++)
			must(utf8_valid(row.cells[i]));
		arena_reset(a);
		if (got == CSV_BROKEN)
			break;
	}
	free(c);
}

static void
sheet(const struct pick *p, const struct pick_way *w, struct slice text,
    struct arena *keep, struct arena *a)
{
	struct sheet *s = malloc(sizeof(*s));
	enum csv_got got = sheet_open(s, p, w, text, keep);
	struct csv_row row;
	struct buf mp;

	buf_init(&mp, 4 << 20);
	while (got == CSV_ROW || got == CSV_BAD) {
		arena_reset(a);
		buf_reset(&mp);
		got = sheet_next(s, a, &row, &mp);
		if (got == CSV_ROW)
			must(mp_check(buf_all(&mp)) == ERR_OK);
		else
			must(mp.n == 0);
	}
	buf_reset(&mp);
	if (got == CSV_BROKEN)
		sheet_why(s, &mp);
	buf_fini(&mp);
	free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	static const uint8_t marks[] = {',', ';', '\t', '|', ' ', '\'', '.', 0};
	static struct pick pick = {.fields = &fields[0]};
	static struct pick_way way;
	struct arena keep, a;
	struct buf b;
	uint8_t *copy;
	struct slice s;

	if (n < 2)
		return 0;
	copy = malloc(n);
	memcpy(copy, in + 2, n - 2);
	s = slice_of(copy, n - 2);
	way.csv =
	    (struct csv_options){.encoding = (enum csv_encoding)(in[0] % 3),
		.separator = marks[in[0] / 3 % 5],
		.quote = in[0] & 0x80 ? 0 : '"',
		.columns = in[1] & 1 ? 3 : 0,
		.line = in[1] & 2 ? 40 : 0};
	way.decimal = in[1] & 4 ? ',' : '.';
	way.thousands = marks[4 + (in[1] >> 3) % 4];
	if (way.thousands == way.decimal)
		way.thousands = 0;
	arena_init(&keep, 1 << 20);
	arena_init(&a, 4 << 20);
	cells(&way.csv, s, &a);
	sheet(&pick, &way, s, &keep, &a);
	buf_init(&b, 4096);
	if (csv_number(s, way.decimal, way.thousands, &b))
		must(mp_is_number(buf_all(&b)));
	buf_fini(&b);
	arena_fini(&keep);
	arena_fini(&a);
	free(copy);
	return 0;
}
