/*
 * csv_test - csv.h and sheet.h: what stands in files that people and programs
 * call CSV, and what is said about those that are none.
 */
#include "connectors/file/sheet.h"
#include "tests/unit/t.h"

#define ARENA 1048576

static struct arena arena;
static struct buf text_read;

static const struct csv_options plain = {CSV_UTF8, ',', '"', 0, 0};

/* All rows as "a|b/c|d", bad ones as "!LINE:COLUMN", a broken end "#...". */
static const char *
read_all(const struct csv_options *o, struct slice text)
{
	struct csv_row row;
	enum csv_got got;
	struct csv *c = malloc(sizeof(*c));

	buf_fini(&text_read);
	buf_init(&text_read, 1048576);
	csv_init(c, o, text);
	do {
		arena_reset(&arena);
		got = csv_next(c, &arena, &row);
		if (got == CSV_END)
			break;
		if (text_read.n > 0)
			buf_byte(&text_read, '/');
		if (got != CSV_ROW)
			buf_printf(&text_read, "%c%u:%u",
			    got == CSV_BAD ? '!' : '#', c->bad_line,
			    c->bad_column);
		for (size_t i = 0; got == CSV_ROW && i < row.n; i++) {
			if (i > 0)
				buf_byte(&text_read, '|');
			buf_slice(&text_read, row.cells[i]);
		}
	} while (got != CSV_BROKEN);
	free(c);
	return buf_cstr(&text_read);
}

#define READS(o, text, want) CHECK_STR(read_all(&(o), SLICE_LIT(text)), want)

T(rows)
{
	READS(plain, "", "");
	READS(plain, "a,b\n1,2\n", "a|b/1|2");
	READS(plain, "a,b\r\n1,2\r\n", "a|b/1|2");
	READS(plain, "a,b\r1,2", "a|b/1|2");
	READS(plain, "a,b\n\n\n1,2\n,\n \n3,4", "a|b/1|2/3|4");
	READS(plain, "a,b,\n1,,\n", "a|b|/1||");
	READS(plain, " a ,\tb\xc2\xa0\n", "a|b");
	READS(plain,
	    "\xef\xbb\xbf"
	    "a,b\n",
	    "a|b");
	READS(plain, "\xef\xbb\xbf\"a\",b\n", "a|b");
}

T(quotes)
{
	READS(plain, "\"a\",\"b,c\"\n", "a|b,c");
	READS(plain, "\"a \"\"x\"\" b\",2\n", "a \"x\" b|2");
	READS(plain, "\"\"\"\",\"\"\n", "\"|");
	READS(plain, "\"one\ntwo\",2\n3,4\n", "one\ntwo|2/3|4");
	READS(plain, "\"one\r\ntwo\",2\r\n3,4", "one\r\ntwo|2/3|4");
	READS(plain, "a, \"b\" ,c\n", "a|b|c");
	/* an inch mark in a cell that is not quoted stands for itself */
	READS(plain, "5\" nail,2\n", "5\" nail|2");
	READS(plain, "\"a\"b,2\n3,4\n", "!1:1/3|4");
	READS(plain, "1,2\n\"a,b\n3,4\n", "1|2/#2:1");
	READS(plain, "1,\"", "#1:2");
	READS(plain, "1,\"\"", "1|");
}

T(line_numbers)
{
	READS(plain, "a,b\n\"x\ny\nz\",2\n\"q\"q,3\n", "a|b/x\ny\nz|2/!5:1");
	READS(plain, "a\r\nb\r\n\"c\"d\r\n", "a/b/!3:1");
}

T(other_ways)
{
	static const struct csv_options semi = {CSV_UTF8, ';', '"', 0, 0};
	static const struct csv_options tab = {CSV_UTF8, '\t', '"', 0, 0};
	static const struct csv_options none = {CSV_UTF8, ',', 0, 0, 0};
	static const struct csv_options few = {CSV_UTF8, ',', '"', 3, 20};

	READS(semi, "a;b,c\n", "a|b,c");
	READS(tab, "a\tb c\t\"d\te\"\n", "a|b c|d\te");
	READS(tab, "a\t\tb\n", "a||b");
	READS(none, "\"a,b\n", "\"a|b");
	READS(few, "1,2,3\n1,2,3,4\n5,6,7\n", "1|2|3/!2:0/5|6|7");
	READS(few, "1,2\n12345678901234567890123,4\n5,6\n", "1|2/!2:1/5|6");
	READS(few, "1,\"2345678901234567890123\"\n5,6\n", "#1:2");
}

T(encodings)
{
	static const struct csv_options l1 = {CSV_LATIN1, ',', '"', 0, 0};
	static const struct csv_options w = {CSV_1252, ',', '"', 0, 0};

	READS(plain, "p\xc3\xa4iv\xc3\xa4,1\n", "p\xc3\xa4iv\xc3\xa4|1");
	READS(plain, "p\xe4iv\xe4,1\nb,2\n", "!1:1/b|2");
	READS(plain, "\xc0\x80,1\n\xed\xa0\x80,2\n", "!1:1/!2:1");
	READS(l1, "p\xe4iv\xe4,1\n", "p\xc3\xa4iv\xc3\xa4|1");
	READS(l1, "5 \x80,1\n", "!1:1");
	READS(w, "5 \x80,\x93q\x94\n",
	    "5 \xe2\x82\xac|\xe2\x80\x9cq\xe2\x80\x9d");
	READS(w, "\x81,1\n", "!1:1");
	READS(w,
	    "\xa0"
	    "a\xa0,1\n",
	    "a|1");
	/* what begins as UTF-8 is UTF-8, whatever was said */
	READS(w, "\xef\xbb\xbfp\xc3\xa4,1\n", "p\xc3\xa4|1");
	READS(plain, "a\0b,1\nc,2\n", "!1:1/c|2");
	READS(plain,
	    "\xff\xfe"
	    "a\0,\0",
	    "#1:0");
	READS(plain, "a\x1b[2J,1\n", "!1:1");
}

static const char *
number(const char *text, uint8_t decimal, uint8_t thousands)
{
	static char out[128];
	struct buf b;

	buf_init(&b, 128);
	if (csv_number(slice_str(text), decimal, thousands, &b))
		snprintf(out, sizeof(out), "%s", buf_cstr(&b));
	else
		snprintf(out, sizeof(out), "no");
	buf_fini(&b);
	return out;
}

#define NUMBER(text, d, t, want) CHECK_STR(number(text, d, t), want)

T(numbers)
{
	NUMBER("12", ',', 0, "12");
	NUMBER("12,50", ',', 0, "12.50");
	NUMBER("12.50", ',', 0, "no");
	NUMBER("12.50", '.', 0, "12.50");
	NUMBER("-0,5", ',', 0, "-0.5");
	NUMBER("+7", ',', 0, "7");
	NUMBER(",5", ',', 0, "0.5");
	NUMBER("5,", ',', 0, "no");
	NUMBER("007", ',', 0, "7");
	NUMBER("000", ',', 0, "0");
	NUMBER("", ',', 0, "no");
	NUMBER("-", ',', 0, "no");
	NUMBER("1e5", ',', 0, "no");
	NUMBER("5 kpl", ',', ' ', "no");
	NUMBER("1.234,5", ',', '.', "1234.5");
	NUMBER("1.234.567", ',', '.', "1234567");
	NUMBER("1.23", ',', '.', "no");
	NUMBER("12.34.567", ',', '.', "no");
	NUMBER(".234", ',', '.', "no");
	NUMBER("1234.567", ',', '.', "no");
	NUMBER("1 234", ',', ' ', "1234");
	NUMBER("1\xc2\xa0"
	       "234,5",
	    ',', ' ', "1234.5");
	NUMBER("1 234", ',', 0, "no");
	NUMBER("1,2,3", ',', 0, "no");
	NUMBER("123456789012345678901234567890123456789", ',', 0, "no");
}

/* ---- sheets ---- */

static struct schema_field fields[4];
static struct pick_column columns[2];
static struct pick pick;
static struct pick_way way;

static void
setup(void)
{
	memset(fields, 0, sizeof(fields));
	memset(&pick, 0, sizeof(pick));
	memset(&way, 0, sizeof(way));
	memset(columns, 0, sizeof(columns));
	fields[0] =
	    (struct schema_field){.type = SCHEMA_MAP, .fields = &fields[1]};
	fields[1] = (struct schema_field){
	    .name = SLICE_LIT("sku"), .type = SCHEMA_TEXT, .next = &fields[2]};
	fields[2] = (struct schema_field){.name = SLICE_LIT("on_hand"),
	    .type = SCHEMA_DECIMAL,
	    .next = &fields[3]};
	fields[3] = (struct schema_field){
	    .name = SLICE_LIT("boxes"), .type = SCHEMA_INTEGER};
	columns[0].field = SLICE_LIT("sku");
	columns[1].field = SLICE_LIT("on_hand");
	pick.fields = &fields[0];
	pick.column = columns;
	pick.columns_n = 2;
	way.csv = (struct csv_options){CSV_UTF8, ';', '"', 0, 0};
	way.decimal = ',';
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < PICK_NAMES; k++)
			way.names[i][k] = SLICE_EMPTY;
	way.names[0][1] = SLICE_LIT("sku");
	way.names[0][2] = SLICE_LIT("tuotekoodi");
	way.names[1][0] = SLICE_LIT("saldo");
}

/* The first row's map in `mp`, or what is wrong in `why`. */
static enum csv_got
first(struct slice text, struct buf *mp, struct buf *why)
{
	struct sheet *s = malloc(sizeof(*s));
	struct csv_row row;
	enum csv_got got;

	arena_reset(&arena);
	buf_reset(mp);
	buf_reset(why);
	got = sheet_open(s, &pick, &way, text, &arena);
	if (got == CSV_ROW)
		got = sheet_next(s, &arena, &row, mp);
	if (got == CSV_BAD || got == CSV_BROKEN)
		sheet_why(s, why);
	if (got == CSV_BAD)
		CHECK(mp->n == 0);
	if (got == CSV_ROW)
		CHECK_OK(mp_check(buf_all(mp)));
	free(s);
	return got;
}

T(sheets)
{
	struct buf mp, why;
	struct slice s;
	int64_t n;

	setup();
	buf_init(&mp, 65536);
	buf_init(&why, 4096);
	CHECK(first(SLICE_LIT("Tuotekoodi;SALDO;Nimi;;boxes\n"
			      "007;12,50;;x;3,00\n"),
		  &mp, &why) == CSV_ROW);
	CHECK(mp_get_str(buf_all(&mp), "sku", &s) && slice_is(s, "007"));
	CHECK(mp_get(buf_all(&mp), "on_hand", &s) &&
	      memmem(s.p, s.n, "12.50", 5) != NULL);
	CHECK(mp_get_int(buf_all(&mp), "boxes", &n) && n == 3);
	CHECK(!mp_get(buf_all(&mp), "Nimi", &s));
	CHECK(!mp_get(buf_all(&mp), "", &s));
	/* trailing separators are no columns; a text there is */
	CHECK(first(SLICE_LIT("sku;saldo\na;1;;\n"), &mp, &why) == CSV_ROW);
	CHECK(first(SLICE_LIT("sku;saldo\na;1;x\n"), &mp, &why) == CSV_BAD);
	CHECK(strcmp(buf_cstr(&why),
		  "line 2, column 3: it has 3 columns, the heading (line 1) "
		  "has 2; when that line is a title, delete it, else give "
		  "each column its heading") == 0);
	/* a heading's trailing separators are none either */
	CHECK(first(SLICE_LIT("sku;saldo;;\na;1\n"), &mp, &why) == CSV_ROW);
	CHECK(first(SLICE_LIT("sku;saldo;;\na;1;;x\n"), &mp, &why) == CSV_BAD);
	CHECK(strstr(buf_cstr(&why), "line 2, column 4: ") != NULL);
	/* cut off in the middle */
	CHECK(first(SLICE_LIT("sku;saldo;boxes\na;1\n"), &mp, &why) == CSV_BAD);
	CHECK(first(SLICE_LIT("sku;saldo\na;1.5\n"), &mp, &why) == CSV_BAD);
	CHECK(strcmp(buf_cstr(&why), "line 2, column 2 (on_hand): \"1.5\" is "
				     "no number") == 0);
	CHECK(first(SLICE_LIT("sku;saldo;boxes\na;1;2,5\n"), &mp, &why) ==
	      CSV_BAD);
	CHECK(first(SLICE_LIT("sku;saldo\na;12345678901234567890\n"), &mp,
		  &why) == CSV_BAD);
	CHECK(first(SLICE_LIT("sku,saldo\na,1\n"), &mp, &why) == CSV_BROKEN);
	CHECK(strstr(buf_cstr(&why), "\"sku\" or \"tuotekoodi\"") != NULL);
	CHECK(strstr(buf_cstr(&why), "is the separator right?") != NULL);
	CHECK(
	    first(SLICE_LIT("sku;saldo;x;x\na;1\n"), &mp, &why) == CSV_BROKEN);
	CHECK(first(SLICE_LIT(""), &mp, &why) == CSV_BROKEN);
	CHECK(first(SLICE_LIT("sku;saldo"), &mp, &why) == CSV_END);
	buf_fini(&mp);
	buf_fini(&why);
}

/* Last: gives back what the others share. */
T(memory)
{
	arena_fini(&arena);
	buf_fini(&text_read);
}

T_MAIN(arena_init(&arena, ARENA);
       T_RUN(rows) T_RUN(quotes) T_RUN(line_numbers) T_RUN(other_ways)
	   T_RUN(encodings) T_RUN(numbers) T_RUN(sheets) T_RUN(memory))
