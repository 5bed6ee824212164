/*
 * mp_test - mp.h: shortest forms against bytes written out here, reading of
 * every first byte, and mp_check against what a hostile peer may send.
 */
#include "broker/base/mp.h"
#include "broker/base/utf8.h"
#include "tests/unit/t.h"

#define BYTES(s) SLICE_LIT(s)

static struct buf b;

static bool
wrote(struct slice want)
{
	bool same = !b.bad && slice_eq(buf_all(&b), want);

	if (!same) {
		for (size_t i = 0; i < b.n; i++)
			fprintf(stderr, " %02x", b.p[i]);
		fputc('\n', stderr);
	}
	buf_reset(&b);
	return same;
}

T(shortest_forms)
{
	buf_init(&b, 1 << 20);
	mp_put_nil(&b);
	mp_put_bool(&b, true);
	mp_put_bool(&b, false);
	CHECK(wrote(BYTES("\xc0\xc3\xc2")));
	mp_put_int(&b, 0);
	mp_put_int(&b, 127);
	mp_put_int(&b, 128);
	mp_put_int(&b, 255);
	mp_put_int(&b, 256);
	mp_put_int(&b, 65536);
	mp_put_int(&b, INT64_MAX);
	CHECK(wrote(BYTES("\x00\x7f\xcc\x80\xcc\xff\xcd\x01\x00\xce\x00\x01\x00"
			  "\x00\xcf\x7f\xff\xff\xff\xff\xff\xff\xff")));
	mp_put_int(&b, -1);
	mp_put_int(&b, -32);
	mp_put_int(&b, -33);
	mp_put_int(&b, -129);
	mp_put_int(&b, -32769);
	mp_put_int(&b, INT64_MIN);
	CHECK(wrote(BYTES("\xff\xe0\xd0\xdf\xd1\xff\x7f\xd2\xff\xff\x7f\xff\xd3"
			  "\x80\x00\x00\x00\x00\x00\x00\x00")));
	mp_put_uint(&b, UINT64_MAX);
	CHECK(wrote(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")));
	mp_put_cstr(&b, "");
	mp_put_cstr(&b, "abc");
	mp_put_bin(&b, BYTES("\x01\x02"));
	CHECK(wrote(BYTES("\xa0\xa3"
			  "abc\xc4\x02\x01\x02")));
	mp_put_decimal(&b, SLICE_LIT("79.90"));
	mp_put_decimal(&b, SLICE_LIT("1.50"));
	mp_put_sealed(&b, 3);
	mp_put_sealed(&b, 300);
	CHECK(wrote(BYTES("\xc7\x05\x44"
			  "79.90\xd6\x44"
			  "1.50\xd4\x45\x03\xc7\x03\x45\xcd\x01\x2c")));
	mp_put_time(&b, 0);
	mp_put_time(&b, INT64_C(1000000000));
	mp_put_time(&b, INT64_C(1500000000));
	mp_put_time(&b, -1);
	CHECK(wrote(
	    BYTES("\xd6\xff\x00\x00\x00\x00\xd6\xff\x00\x00\x00\x01\xd7\xff\x77"
		  "\x35\x94\x00\x00\x00\x00\x01\xc7\x0c\xff\x3b\x9a\xc9\xff"
		  "\xff\xff\xff\xff\xff\xff\xff\xff")));
	buf_fini(&b);
}

T(containers_closed_late)
{
	static const uint32_t counts[] = {
	    0, 1, 15, 16, 17, 65535, 65536, 70000};
	struct buf again;

	buf_init(&b, 1 << 20);
	buf_init(&again, 1 << 20);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (int map = 0; map < 2; map++) {
			size_t mark;

			buf_reset(&b);
			buf_reset(&again);
			mp_put_cstr(&b, "before");
			mp_put_cstr(&again, "before");
			mark = mp_open(&b);
			if (map)
				mp_put_map(&again, counts[i]);
			else
				mp_put_array(&again, counts[i]);
			for (uint32_t k = 0; k < counts[i] * (map ? 2u : 1u);
			     k++) {
				mp_put_int(&b, k % 100);
				mp_put_int(&again, k % 100);
			}
			if (map)
				mp_close_map(&b, mark, counts[i]);
			else
				mp_close_array(&b, mark, counts[i]);
			CHECK(slice_eq(buf_all(&b), buf_all(&again)));
		}
	buf_fini(&b);
	buf_fini(&again);
	/* A full buffer is noticed, not written over. */
	buf_init(&b, 20);
	{
		size_t mark = mp_open(&b);

		for (int i = 0; i < 19; i++)
			mp_put_int(&b, i);
		mp_close_array(&b, mark, 19);
		CHECK_ERR(buf_check(&b), ERR_LIMIT);
	}
	buf_fini(&b);
}

static enum mp_type
type_of(struct slice s, struct mp *m)
{
	struct mp_in in = mp_in(s), skip = in;

	CHECK_OK(mp_next(&in, m));
	if (m->type != MP_MAP && m->type != MP_ARRAY) {
		CHECK(in.p == in.end);
		CHECK_OK(mp_skip(&skip));
		CHECK(skip.p == skip.end);
	}
	return m->type;
}

T(every_form_is_read)
{
	struct mp m;

	CHECK(type_of(BYTES("\x05"), &m) == MP_INT && m.i == 5);
	CHECK(type_of(BYTES("\xe0"), &m) == MP_INT && m.i == -32);
	CHECK(type_of(BYTES("\xcc\xff"), &m) == MP_INT && m.i == 255);
	CHECK(type_of(BYTES("\xcd\x00\x05"), &m) == MP_INT && m.i == 5);
	CHECK(type_of(BYTES("\xce\xff\xff\xff\xff"), &m) == MP_INT &&
	      m.i == UINT32_MAX);
	CHECK(type_of(BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), &m) ==
		  MP_INT &&
	      m.i == INT64_MAX);
	CHECK(type_of(BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"), &m) ==
		  MP_UINT &&
	      m.u == (uint64_t)INT64_MAX + 1);
	CHECK(type_of(BYTES("\xd0\x80"), &m) == MP_INT && m.i == -128);
	CHECK(type_of(BYTES("\xd1\x80\x00"), &m) == MP_INT && m.i == -32768);
	CHECK(type_of(BYTES("\xd2\x80\x00\x00\x00"), &m) == MP_INT &&
	      m.i == INT32_MIN);
	CHECK(type_of(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), &m) ==
		  MP_INT &&
	      m.i == INT64_MIN);
	CHECK(type_of(BYTES("\xca\x3f\xc0\x00\x00"), &m) == MP_FLOAT &&
	      m.f > 1.4 && m.f < 1.6);
	CHECK(type_of(BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), &m) ==
		  MP_FLOAT &&
	      m.f > 1.4 && m.f < 1.6);
	CHECK(type_of(BYTES("\xa2hi"), &m) == MP_STR && m.bytes.n == 2);
	CHECK(type_of(BYTES("\xd9\x02hi"), &m) == MP_STR && m.bytes.n == 2);
	CHECK(type_of(BYTES("\xda\x00\x02hi"), &m) == MP_STR);
	CHECK(type_of(BYTES("\xdb\x00\x00\x00\x02hi"), &m) == MP_STR);
	CHECK(type_of(BYTES("\xc4\x01x"), &m) == MP_BIN);
	CHECK(type_of(BYTES("\xc5\x00\x01x"), &m) == MP_BIN);
	CHECK(type_of(BYTES("\xc6\x00\x00\x00\x01x"), &m) == MP_BIN);
	CHECK(type_of(BYTES("\xdc\x01\x02"), &m) == MP_ARRAY && m.count == 258);
	CHECK(type_of(BYTES("\xdd\x00\x00\x00\x02"), &m) == MP_ARRAY);
	CHECK(type_of(BYTES("\xde\x01\x02"), &m) == MP_MAP && m.count == 258);
	CHECK(type_of(BYTES("\xdf\x00\x00\x00\x02"), &m) == MP_MAP);
	CHECK(type_of(BYTES("\xd4\x07x"), &m) == MP_EXT && m.ext == 7);
	CHECK(type_of(BYTES("\xd8\xfe"
			    "0123456789abcdef"),
		  &m) == MP_EXT &&
	      m.ext == -2 && m.bytes.n == 16);
	CHECK(type_of(BYTES("\xc7\x03\x44"
			    "1.5"),
		  &m) == MP_DECIMAL &&
	      slice_is(m.bytes, "1.5"));
	CHECK(type_of(BYTES("\xc8\x00\x03\x44"
			    "1.5"),
		  &m) == MP_DECIMAL);
	CHECK(type_of(BYTES("\xc9\x00\x00\x00\x03\x44"
			    "1.5"),
		  &m) == MP_DECIMAL);
	CHECK(type_of(BYTES("\xd4\x45\x07"), &m) == MP_SEALED && m.u == 7);
}

T(times_around)
{
	static const int64_t at[] = {0, 1, -1, 999999999, 1000000000,
	    INT64_C(4294967295999999999), INT64_C(4294967296000000000),
	    INT64_C(1770000000123456789), -1000000000, -999999999, INT64_MAX,
	    INT64_MIN, INT64_MIN + 1, INT64_MIN + 145224192,
	    INT64_MIN + 145224193};
	struct mp m;

	buf_init(&b, 64);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		buf_reset(&b);
		mp_put_time(&b, at[i]);
		CHECK(type_of(buf_all(&b), &m) == MP_TIME);
		CHECK(m.i == at[i]);
	}
	buf_fini(&b);
}

/* The bytes after their last are not readable here (the sanitizer sees it). */
static enum err
tried(struct slice s, enum err (*what)(struct mp_in *))
{
	uint8_t *copy = malloc(s.n > 0 ? s.n : 1);
	struct mp_in in;
	enum err e;

	memcpy(copy, s.p, s.n);
	in = mp_in(slice_of(copy, s.n));
	e = what(&in);
	if (e != ERR_OK)
		CHECK(in.p == copy);
	free(copy);
	return e;
}

static enum err
next_only(struct mp_in *in)
{
	struct mp m;

	return mp_next(in, &m);
}

static enum err
check_only(struct mp_in *in)
{
	return mp_check(slice_of(in->p, (size_t)(in->end - in->p)));
}

T(cut_short)
{
	const struct slice whole[] = {BYTES("\xcc\xff"), BYTES("\xcd\x00\x05"),
	    BYTES("\xce\xff\xff\xff\xff"),
	    BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), BYTES("\xd0\x80"),
	    BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), BYTES("\xa2hi"),
	    BYTES("\xd9\x02hi"), BYTES("\xda\x00\x02hi"),
	    BYTES("\xdb\x00\x00\x00\x02hi"), BYTES("\xc4\x01x"),
	    BYTES("\xc6\x00\x00\x00\x01x"), BYTES("\xd4\x07x"),
	    BYTES("\xd8\x07"
		  "0123456789abcdef"),
	    BYTES("\xc7\x03\x44"
		  "1.5"),
	    BYTES("\xd6\xff\x00\x00\x00\x00")};

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		CHECK_OK(tried(whole[i], next_only));
		CHECK_OK(tried(whole[i], mp_skip));
		for (size_t n = 0; n < whole[i].n; n++) {
			struct slice part = slice_of(whole[i].p, n);

			CHECK_ERR(tried(part, next_only), ERR_SYNTAX);
			CHECK_ERR(tried(part, mp_skip), ERR_SYNTAX);
			CHECK_ERR(tried(part, check_only), ERR_SYNTAX);
		}
	}
	/* Promises of more than there is, at any size. */
	CHECK_ERR(tried(BYTES("\xdd\xff\xff\xff\xff"), mp_skip), ERR_SYNTAX);
	CHECK_ERR(
	    tried(BYTES("\xdf\xff\xff\xff\xff\x01\x02"), mp_skip), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xdb\xff\xff\xff\xffx"), mp_skip), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\x92\x01"), mp_skip), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xc1"), mp_skip), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xc1"), next_only), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\x92\x01\xc1"), mp_skip), ERR_SYNTAX);
	/* Timestamps and sealed places that are none. */
	CHECK_ERR(tried(BYTES("\xd5\xff\x00\x00"), next_only), ERR_SYNTAX);
	CHECK_ERR(
	    tried(BYTES("\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x00"), next_only),
	    ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff"
			      "\xff\xff\xff"),
		      next_only),
	    ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xd4\x45\xff"), next_only), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xd5\x45\x01\x01"), next_only), ERR_SYNTAX);
	CHECK_ERR(tried(BYTES("\xd5\x45\xa1x"), next_only), ERR_SYNTAX);
}

T(skipping)
{
	struct mp_in in;
	struct slice v;
	uint8_t deep[5000];

	/* A map with a list of maps in it, then 42. */
	in = mp_in(BYTES("\x82\xa1"
			 "a\x92\x81\x01\x02\xc4\x01z\xa1"
			 "b\xd6\xff\x00\x00\x00\x00\x2a"));
	CHECK_OK(mp_value(&in, &v));
	CHECK(v.n == 18 && in.end - in.p == 1 && *in.p == 42);
	/* Depth takes no stack. */
	memset(deep, 0x91, sizeof(deep));
	deep[sizeof(deep) - 1] = 0;
	in = mp_in(slice_of(deep, sizeof(deep)));
	CHECK_OK(mp_skip(&in));
	CHECK(in.p == in.end);
	CHECK_ERR(mp_check(slice_of(deep, sizeof(deep))), ERR_LIMIT);
	CHECK_ERR(
	    mp_check(slice_of(deep + sizeof(deep) - 1 - 65, 66)), ERR_LIMIT);
	CHECK_OK(mp_check(slice_of(deep + sizeof(deep) - 1 - 64, 65)));
}

T(checking)
{
	const struct {
		struct slice s;
		enum err want;
	} all[] = {
	    {BYTES("\x80"), ERR_OK},
	    {BYTES("\x81\xa1"
		   "a\x01"),
		ERR_OK},
	    {BYTES(""), ERR_SYNTAX},
	    {BYTES("\x01\x02"), ERR_SYNTAX},	 /* bytes behind */
	    {BYTES("\x81\x01\x02"), ERR_SYNTAX}, /* a key that is no text */
	    {BYTES("\x81\x80\x02"), ERR_SYNTAX},
	    {BYTES("\x82\xa1"
		   "a\x01\xa1"
		   "a\x02"),
		ERR_SYNTAX},
	    /* The same key in a longer form. */
	    {BYTES("\x82\xa1"
		   "a\x01\xd9\x01"
		   "a\x02"),
		ERR_SYNTAX},
	    {BYTES("\x82\xa1"
		   "a\x81\xa1"
		   "a\x01\xa1"
		   "b\x02"),
		ERR_OK},
	    {BYTES("\x82\xa1"
		   "a\x01\xa2"
		   "a\0\x02"),
		ERR_OK},
	    {BYTES("\xa2\xc3\xa4"), ERR_OK}, {BYTES("\xa1\xc3"), ERR_SYNTAX},
	    {BYTES("\xa3\xed\xa0\x80"), ERR_SYNTAX}, /* a surrogate */
	    {BYTES("\xa2\xc0\x80"), ERR_SYNTAX},     /* overlong */
	    {BYTES("\xc4\x01\xff"), ERR_OK},
	    {BYTES("\xc7\x03\x44"
		   "1.5"),
		ERR_OK},
	    {BYTES("\xc7\x03\x44"
		   "1.x"),
		ERR_SYNTAX},
	    {BYTES("\xc7\x00\x44"), ERR_SYNTAX},
	    {BYTES("\xde\x10\x01"), ERR_LIMIT}, /* 4,097 keys */
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		CHECK_ERR(mp_check(all[i].s), all[i].want);
}

/* Maps of many sizes, with one key twice or none. */
T(doubled_keys)
{
	char name[32];

	buf_init(&b, 1 << 20);
	for (uint32_t n = 1; n <= MP_KEYS; n += n < 60 ? 1 : 1009)
		for (int twice = 0; twice < 2; twice++) {
			buf_reset(&b);
			mp_put_map(&b, n);
			for (uint32_t i = 0; i < n; i++) {
				uint32_t id = twice && i == n - 1 ? i / 2 : i;

				snprintf(name, sizeof(name), "k%u-suffix", id);
				mp_put_cstr(&b, name);
				mp_put_nil(&b);
			}
			CHECK_ERR(mp_check(buf_all(&b)),
			    twice && n > 1 ? ERR_SYNTAX : ERR_OK);
		}
	buf_fini(&b);
}

T(getting)
{
	struct slice s, v;
	int64_t i;
	bool yes;

	buf_init(&b, 4096);
	mp_put_map(&b, 7);
	mp_put_cstr(&b, "text");
	mp_put_cstr(&b, "hello");
	mp_put_cstr(&b, "num");
	mp_put_int(&b, -5);
	mp_put_cstr(&b, "yes");
	mp_put_bool(&b, true);
	mp_put_cstr(&b, "at");
	mp_put_time(&b, 1234567890);
	mp_put_cstr(&b, "raw");
	mp_put_bin(&b, SLICE_LIT("\xff"));
	mp_put_cstr(&b, "in");
	mp_put_map(&b, 1);
	mp_put_cstr(&b, "num");
	mp_put_int(&b, 9);
	mp_put_cstr(&b, "big");
	mp_put_uint(&b, UINT64_MAX);
	s = buf_all(&b);
	CHECK_OK(mp_check(s));
	CHECK(mp_get_str(s, "text", &v) && slice_is(v, "hello"));
	CHECK(mp_get_int(s, "num", &i) && i == -5);
	CHECK(mp_get_bool(s, "yes", &yes) && yes);
	CHECK(mp_get_time(s, "at", &i) && i == 1234567890);
	CHECK(mp_get_bin(s, "raw", &v) && v.n == 1);
	CHECK(mp_get(s, "in", &v) && mp_get_int(v, "num", &i) && i == 9);
	CHECK(!mp_get(s, "none", &v));
	CHECK(!mp_get(s, "tex", &v));
	CHECK(!mp_get_int(s, "text", &i));
	CHECK(!mp_get_int(s, "big", &i));
	CHECK(!mp_get_str(s, "raw", &v));
	CHECK(!mp_get(SLICE_LIT("\x01"), "a", &v));
	CHECK(!mp_get(SLICE_EMPTY, "a", &v));
	/* What has not been checked is read safely at any cut. */
	for (size_t n = 0; n < s.n; n++) {
		uint8_t *copy = malloc(n > 0 ? n : 1);

		memcpy(copy, s.p, n);
		CHECK(!mp_get(slice_of(copy, n), "none", &v));
		free(copy);
	}
	buf_fini(&b);
}

T(numbers)
{
	static const char *const good[] = {"0", "-0", "1", "10", "1.0", "0.1",
	    "1e5", "1E+5", "-1.5e-10", "123456789012345678901234567890"};
	static const char *const bad[] = {"", "-", "01", "-01", "1.", ".1",
	    "1e", "1e+", "+1", " 1", "1 ", "1.2.3", "0x1", "1,5", "e5", "NaN"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(mp_is_number(slice_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!mp_is_number(slice_str(bad[i])));
}

/* All code points, and every sequence of up to three bytes, against the
 * definition by value. */
T(utf8)
{
	uint8_t p[4];
	uint32_t c;
	size_t n, want;

	for (c = 0; c <= 0x10ffff; c++) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		n = utf8_put(p, c);
		if (utf8_step(p, p + n) != n ||
		    (n > 1 && utf8_step(p, p + n - 1)))
			break;
	}
	CHECK(c == 0x110000);
	for (c = 0; c <= 0xffffff; c++) {
		uint32_t v;

		p[0] = (uint8_t)(c >> 16);
		p[1] = (uint8_t)(c >> 8);
		p[2] = (uint8_t)c;
		want = 0;
		v = (uint32_t)((p[0] & 0x1f) << 6 | (p[1] & 0x3f));
		if (p[0] < 0x80)
			want = 1;
		else if ((p[0] & 0xe0) == 0xc0 && (p[1] & 0xc0) == 0x80)
			want = v >= 0x80 ? 2 : 0;
		else if ((p[0] & 0xf0) == 0xe0 && (p[1] & 0xc0) == 0x80 &&
			 (p[2] & 0xc0) == 0x80) {
			v = (uint32_t)((p[0] & 0xf) << 12 | (p[1] & 0x3f) << 6 |
				       (p[2] & 0x3f));
			want = v >= 0x800 && (v < 0xd800 || v > 0xdfff) ? 3 : 0;
		}
		if (utf8_step(p, p + 3) != want)
			break;
	}
	CHECK(c == 0x1000000);
	CHECK(!utf8_valid(SLICE_LIT("\xf4\x90\x80\x80")));
	CHECK(!utf8_valid(SLICE_LIT("\xf0\x80\x80\x80")));
	CHECK(!utf8_valid(SLICE_LIT("\xf5\x80\x80\x80")));
	CHECK(utf8_span(SLICE_LIT("eight...\xc3\xa4 and \xff more")) == 15);
}

T_MAIN(T_RUN(shortest_forms) T_RUN(containers_closed_late)
	T_RUN(every_form_is_read) T_RUN(times_around) T_RUN(cut_short)
	    T_RUN(skipping) T_RUN(checking) T_RUN(doubled_keys) T_RUN(getting)
		T_RUN(numbers) T_RUN(utf8))
