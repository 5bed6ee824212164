/* The envelope: what is written is read, what is wrong is named. */
#include "broker/wire/event.h"
#include "tests/unit/t.h"

static struct event a, b;

static void
fill(struct event *e)
{
	event_init(e);
	e->id = SLICE_LIT("17");
	e->source = SLICE_LIT("shop");
	e->type = SLICE_LIT("order.placed");
	e->subject = SLICE_LIT("order:shop/1042");
	e->data = SLICE_LIT("\x81\xa1k\x01");
	e->person = SLICE_LIT("\xff\xfe"
			      "0123456789abcdef0123456789abcd");
	e->traceparent = SLICE_LIT("00-1-2-00");
	e->time = INT64_C(1700000000123456789);
	e->refs_n = 2;
	e->refs[0] = SLICE_LIT("payment:x");
	e->refs[1] = SLICE_LIT("invoice:y");
	e->answer_to = 7;
	e->sequence = UINT64_C(1) << 40;
	e->recordedtime = -5;
	e->revision = 3;
	e->withdrawn = e->echo = true;
	e->causationid = 8;
	e->correlationid = 9;
	e->map = SLICE_LIT("books/x/1");
	e->ruleset = SLICE_LIT("\0\1\2\3\4\5\6\7");
	e->digest = SLICE_LIT("0123456789abcdef0123456789abcdef");
	e->sealed = SLICE_LIT("\0\0\0\1sealed");
	e->target = SLICE_LIT("books");
	e->reads_n = 3;
	e->reads[0] = 1;
	e->reads[1] = 200;
	e->reads[2] = UINT64_C(1) << 33;
}

T(round_trip)
{
	struct buf w, again;

	buf_init(&w, 65536);
	buf_init(&again, 65536);
	fill(&a);
	CHECK_OK(event_check(&a));
	event_write(&w, &a);
	CHECK_OK(buf_check(&w));
	CHECK_OK(mp_check(buf_all(&w)));
	CHECK_OK(event_read(buf_all(&w), &b));
	CHECK(slice_eq(a.id, b.id) && slice_eq(a.source, b.source));
	CHECK(slice_eq(a.type, b.type) && slice_eq(a.subject, b.subject));
	CHECK(slice_eq(a.data, b.data) && slice_eq(a.person, b.person));
	CHECK(slice_eq(a.traceparent, b.traceparent) && a.time == b.time);
	CHECK(b.refs_n == 2 && slice_eq(a.refs[1], b.refs[1]));
	CHECK(b.answer_to == 7 && b.sequence == a.sequence);
	CHECK(b.recordedtime == -5 && b.revision == 3);
	CHECK(b.withdrawn && b.echo && b.causationid == 8);
	CHECK(b.correlationid == 9 && slice_eq(a.map, b.map));
	CHECK(slice_eq(a.ruleset, b.ruleset) && slice_eq(a.digest, b.digest));
	CHECK(slice_eq(a.sealed, b.sealed) && slice_eq(a.target, b.target));
	CHECK(b.reads_n == 3 && b.reads[2] == a.reads[2]);
	event_write(&again, &b);
	CHECK(slice_eq(buf_all(&w), buf_all(&again)));
	/* Cut anywhere it is refused, and nothing is read behind the end. */
	for (size_t n = 0; n < w.n; n++) {
		uint8_t *part = malloc(n + 1);

		memcpy(part, w.p, n);
		CHECK(mp_check(slice_of(part, n)) != ERR_OK);
		(void)!event_read(slice_of(part, n), &b);
		free(part);
	}
	buf_fini(&w);
	buf_fini(&again);
}

T(absent)
{
	struct buf w;
	struct slice v;

	buf_init(&w, 65536);
	event_init(&a);
	a.id = SLICE_LIT("1");
	a.source = SLICE_LIT("shop");
	a.type = SLICE_LIT("x.y");
	event_write(&w, &a);
	memset(&b, 0x5a, sizeof(b));
	CHECK_OK(event_read(buf_all(&w), &b));
	CHECK(b.subject.n == 0 && b.subject.p != NULL && b.data.n == 0);
	CHECK(b.time == 0 && b.refs_n == 0 && b.reads_n == 0);
	CHECK(b.answer_to == 0 && b.sequence == 0 && b.revision == 0);
	CHECK(!b.withdrawn && !b.echo && b.sealed.n == 0);
	CHECK(!mp_get(buf_all(&w), "subject", &v));
	CHECK(mp_get_str(buf_all(&w), "specversion", &v) && slice_is(v, "1.0"));
	buf_fini(&w);
}

T(head)
{
	struct buf w;
	struct slice v;

	buf_init(&w, 65536);
	fill(&a);
	event_write_head(&w, &a);
	CHECK_OK(mp_check(buf_all(&w)));
	CHECK(!mp_get(buf_all(&w), "data", &v));
	CHECK(!mp_get(buf_all(&w), "sealed", &v));
	CHECK(mp_get_str(buf_all(&w), "subject", &v));
	CHECK(mp_get_bin(buf_all(&w), "digest", &v));
	buf_fini(&w);
}

T(person_as_text)
{
	struct buf w;
	struct slice v;

	buf_init(&w, 65536);
	fill(&a);
	a.digest = SLICE_EMPTY;
	a.person = SLICE_LIT("a.person.of.thirty.two@example.fi");
	event_write(&w, &a);
	CHECK(mp_get_str(buf_all(&w), "person", &v));
	CHECK_OK(event_read(buf_all(&w), &b));
	CHECK(slice_eq(a.person, b.person));
	buf_fini(&w);
}

/* One odd field after the three that must be there. */
static enum err
odd(void (*put)(struct buf *))
{
	struct buf w;
	enum err e;

	buf_init(&w, 1 << 20);
	mp_put_map(&w, 4);
	mp_put_cstr(&w, "id");
	mp_put_cstr(&w, "1");
	mp_put_cstr(&w, "source");
	mp_put_cstr(&w, "shop");
	mp_put_cstr(&w, "type");
	mp_put_cstr(&w, "x");
	put(&w);
	CHECK_OK(mp_check(buf_all(&w)));
	e = event_read(buf_all(&w), &b);
	buf_fini(&w);
	return e;
}

static void
put_typo(struct buf *w)
{
	mp_put_cstr(w, "subjekt");
	mp_put_cstr(w, "order:1");
}

static void
put_long(struct buf *w)
{
	char text[EVENT_TEXT + 1];

	memset(text, 'x', sizeof(text));
	mp_put_cstr(w, "subject");
	mp_put_str(w, slice_of(text, sizeof(text)));
}

static void
put_number(struct buf *w)
{
	mp_put_cstr(w, "subject");
	mp_put_uint(w, 1042);
}

static void
put_refs_many(struct buf *w)
{
	mp_put_cstr(w, "refs");
	mp_put_array(w, EVENT_REFS + 1);
	for (int i = 0; i <= EVENT_REFS; i++)
		mp_put_cstr(w, "a:b");
}

static void
put_refs_type(struct buf *w)
{
	mp_put_cstr(w, "refs");
	mp_put_array(w, 1);
	mp_put_nil(w);
}

static void
put_reads_order(struct buf *w)
{
	mp_put_cstr(w, "reads");
	mp_put_array(w, 2);
	mp_put_uint(w, 5);
	mp_put_uint(w, 5);
}

static void
put_negative(struct buf *w)
{
	mp_put_cstr(w, "answerto");
	mp_put_int(w, -1);
}

static void
put_revision(struct buf *w)
{
	mp_put_cstr(w, "revision");
	mp_put_uint(w, UINT64_C(1) << 32);
}

static void
put_digest(struct buf *w)
{
	mp_put_cstr(w, "digest");
	mp_put_bin(w, SLICE_LIT("short"));
}

static void
put_version(struct buf *w)
{
	mp_put_cstr(w, "specversion");
	mp_put_cstr(w, "0.3");
}

static void
put_contenttype(struct buf *w)
{
	mp_put_cstr(w, "datacontenttype");
	mp_put_cstr(w, "application/json");
}

T(refused)
{
	CHECK_ERR(odd(put_typo), ERR_SYNTAX);
	CHECK(strstr(err_last(), "subjekt") != NULL);
	CHECK_ERR(odd(put_long), ERR_LIMIT);
	CHECK_ERR(odd(put_number), ERR_TYPE);
	CHECK(strstr(err_last(), "subject") != NULL);
	CHECK_ERR(odd(put_refs_many), ERR_LIMIT);
	CHECK_ERR(odd(put_refs_type), ERR_TYPE);
	CHECK_ERR(odd(put_reads_order), ERR_TYPE);
	CHECK_ERR(odd(put_negative), ERR_TYPE);
	CHECK_ERR(odd(put_revision), ERR_TYPE);
	CHECK_ERR(odd(put_digest), ERR_TYPE);
	CHECK_ERR(odd(put_version), ERR_VERSION);
	CHECK_OK(odd(put_contenttype));
	CHECK_ERR(event_read(SLICE_LIT("\x80"), &b), ERR_MISSING);
	CHECK_ERR(event_read(SLICE_LIT("\x90"), &b), ERR_SYNTAX);
	CHECK_ERR(event_read(SLICE_EMPTY, &b), ERR_SYNTAX);
}

T(check)
{
	uint8_t big[EVENT_TEXT + 1] = {0};

	fill(&a);
	a.refs[1] = slice_of(big, sizeof(big));
	CHECK_ERR(event_check(&a), ERR_LIMIT);
	fill(&a);
	a.subject = slice_of(big, sizeof(big));
	CHECK_ERR(event_check(&a), ERR_LIMIT);
	fill(&a);
	a.reads[1] = 1;
	CHECK_ERR(event_check(&a), ERR_TYPE);
	fill(&a);
	a.ruleset = SLICE_LIT("short");
	CHECK_ERR(event_check(&a), ERR_TYPE);
	fill(&a);
	a.type = SLICE_EMPTY;
	CHECK_ERR(event_check(&a), ERR_MISSING);
}

T_MAIN(T_RUN(round_trip) T_RUN(absent) T_RUN(head) T_RUN(person_as_text)
	T_RUN(refused) T_RUN(check))
