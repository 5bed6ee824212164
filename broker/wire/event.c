/*
 * event - the envelope as a table (fields.h). The rows stand in the order in
 * which they are written; the order is no part of the format.
 */
#include "broker/wire/event.h"
#include "broker/wire/fields.h"

#define SPECVERSION "1.0"

#define E(member, key, kind, max) FIELD(struct event, member, key, kind, max)
static const struct field rows[] = {
    E(id, "specversion", FIELD_OWN, 0), E(id, "id", FIELD_TEXT, EVENT_TEXT),
    E(source, "source", FIELD_TEXT, EVENT_TEXT),
    E(type, "type", FIELD_TEXT, EVENT_TEXT),
    E(subject, "subject", FIELD_TEXT, EVENT_TEXT),
    E(time, "time", FIELD_TIME, 0), E(refs, "refs", FIELD_OWN, 0),
    E(person, "person", FIELD_EITHER, EVENT_TEXT),
    E(traceparent, "traceparent", FIELD_TEXT, EVENT_TEXT),
    E(answer_to, "answerto", FIELD_U64, 0),
    E(sequence, "sequence", FIELD_U64, 0),
    E(recordedtime, "recordedtime", FIELD_TIME, 0),
    E(revision, "revision", FIELD_U32, 0),
    E(revisedby, "revisedby", FIELD_TEXT, EVENT_TEXT),
    E(withdrawn, "withdrawn", FIELD_BOOL, 0), E(echo, "echo", FIELD_BOOL, 0),
    E(causationid, "causationid", FIELD_U64, 0),
    E(correlationid, "correlationid", FIELD_U64, 0),
    E(map, "map", FIELD_TEXT, EVENT_TEXT), E(ruleset, "ruleset", FIELD_BIN, 8),
    E(digest, "digest", FIELD_BIN, 32),
    E(target, "target", FIELD_TEXT, EVENT_TEXT),
    E(again, "again", FIELD_VALUE, 0), E(reads, "reads", FIELD_OWN, 0),
    E(id, "datacontenttype", FIELD_IGNORE, 0),
    E(id, "dataschema", FIELD_IGNORE, 0), E(sealed, "sealed", FIELD_BIN, 0),
    E(data, "data", FIELD_VALUE, 0), /* last: see fields_read() */
};
#undef E

static enum err
read_refs(struct mp_in *in, uint32_t count, struct event *e)
{
	struct mp m;
	enum err err;

	if (count > EVENT_REFS)
		return err_note(ERR_LIMIT, "event: `refs` has %u; at most %d",
		    count, EVENT_REFS);
	for (uint32_t i = 0; i < count; i++) {
		err = mp_next(in, &m);
		if (err != ERR_OK)
			return err;
		if (m.type != MP_STR)
			return err_note(
			    ERR_TYPE, "event: `refs` must hold texts");
		if (m.bytes.n == 0 || m.bytes.n > EVENT_TEXT)
			return err_note(ERR_LIMIT,
			    "event: a ref has %zu bytes; 1 to %d", m.bytes.n,
			    EVENT_TEXT);
		e->refs[i] = m.bytes;
	}
	e->refs_n = count;
	return ERR_OK;
}

static enum err
read_reads(struct mp_in *in, uint32_t count, struct event *e)
{
	struct mp m;
	enum err err;

	if (count > EVENT_READS)
		return err_note(ERR_LIMIT, "event: `reads` has %u; at most %d",
		    count, EVENT_READS);
	for (uint32_t i = 0; i < count; i++) {
		err = mp_next(in, &m);
		if (err != ERR_OK)
			return err;
		if (m.type != MP_INT || m.i < 1 ||
		    (i > 0 && (uint64_t)m.i <= e->reads[i - 1]))
			return err_note(ERR_TYPE,
			    "event: `reads` must be ascending numbers from 1");
		e->reads[i] = (uint64_t)m.i;
	}
	e->reads_n = count;
	return ERR_OK;
}

static bool
is(const struct field *f, const char *name)
{
	return strcmp(f->name, name) == 0;
}

static enum err
own_read(const struct field *f, struct mp_in *in, void *s)
{
	struct event *e = s;
	struct mp m;
	enum err err = mp_next(in, &m);

	if (err != ERR_OK)
		return err;
	if (is(f, "specversion")) {
		if (m.type != MP_STR || !slice_is(m.bytes, SPECVERSION))
			return err_note(ERR_VERSION,
			    "event: `specversion` must be \"" SPECVERSION "\"");
		return ERR_OK;
	}
	if (m.type != MP_ARRAY)
		return err_note(
		    ERR_TYPE, "event: `%s` must be a list", f->name);
	return is(f, "refs") ? read_refs(in, m.count, e)
			     : read_reads(in, m.count, e);
}

static bool
own_there(const struct field *f, const void *s)
{
	const struct event *e = s;

	return is(f, "refs")	? e->refs_n > 0
	       : is(f, "reads") ? e->reads_n > 0
				: true;
}

static void
own_write(const struct field *f, struct buf *out, const void *s)
{
	const struct event *e = s;

	if (is(f, "specversion")) {
		mp_put_cstr(out, SPECVERSION);
	} else if (is(f, "refs")) {
		mp_put_array(out, (uint32_t)e->refs_n);
		for (size_t i = 0; i < e->refs_n; i++)
			mp_put_str(out, e->refs[i]);
	} else {
		mp_put_array(out, (uint32_t)e->reads_n);
		for (size_t i = 0; i < e->reads_n; i++)
			mp_put_uint(out, e->reads[i]);
	}
}

/* The broker sets `digest` and the HMAC of `person` together. */
static bool
person_is_hmac(const void *s)
{
	const struct event *e = s;

	return e->digest.n > 0;
}

static const struct fields table = {
    .what = "event",
    .row = rows,
    .n = sizeof(rows) / sizeof(rows[0]),
    .read = own_read,
    .there = own_there,
    .write = own_write,
    .either_bin = person_is_hmac,
};

void
event_init(struct event *e)
{
	/* The two arrays are 12 KiB; their counts say what of them is set. */
	memset(e, 0, offsetof(struct event, refs));
	e->answer_to = 0;
	memset((char *)e + offsetof(struct event, sequence), 0,
	    offsetof(struct event, reads) - offsetof(struct event, sequence));
	e->id = e->source = e->type = e->subject = e->data = SLICE_EMPTY;
	e->person = e->traceparent = e->map = e->ruleset = SLICE_EMPTY;
	e->digest = e->sealed = e->target = e->again = SLICE_EMPTY;
	e->revisedby = SLICE_EMPTY;
}

enum err
event_read(struct slice mp, struct event *out)
{
	enum err e;

	event_init(out);
	e = fields_read(&table, mp, out);
	if (e != ERR_OK)
		return e;
	if (out->id.n == 0 || out->source.n == 0 || out->type.n == 0)
		return err_note(ERR_MISSING, "event: `%s` is missing",
		    out->id.n == 0	 ? "id"
		    : out->source.n == 0 ? "source"
					 : "type");
	return ERR_OK;
}

enum err
event_check(const struct event *e)
{
	if (e->refs_n > EVENT_REFS || e->reads_n > EVENT_READS)
		return err_note(ERR_LIMIT,
		    "event: %zu refs and %zu reads; at most %d and %d",
		    e->refs_n, e->reads_n, EVENT_REFS, EVENT_READS);
	for (size_t i = 0; i < e->refs_n; i++)
		if (e->refs[i].n == 0 || e->refs[i].n > EVENT_TEXT)
			return err_note(ERR_LIMIT,
			    "event: a ref has %zu bytes; 1 to %d", e->refs[i].n,
			    EVENT_TEXT);
	for (size_t i = 1; i < e->reads_n; i++)
		if (e->reads[i] <= e->reads[i - 1])
			return err_note(ERR_TYPE,
			    "event: `reads` must be ascending numbers from 1");
	if (e->id.n == 0 || e->source.n == 0 || e->type.n == 0)
		return err_note(
		    ERR_MISSING, "event: id, source and type must be there");
	return fields_check(&table, e);
}

void
event_write(struct buf *out, const struct event *e)
{
	fields_write(&table, out, e, false);
}

void
event_write_head(struct buf *out, const struct event *e)
{
	fields_write(&table, out, e, true);
}
