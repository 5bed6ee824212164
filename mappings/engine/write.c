/*
 * write - values straight into the output as msgpack, always in the shortest
 * form, so equal data are equal bytes.
 *
 * The output buffer never moves, because values may point into it ($out). A
 * container is opened with one byte; one that gets more than 15 items has what
 * follows moved, and the places that $out knows move along. A value can point
 * into what moves only from inside that container, and none lives beyond it.
 */
#include "mappings/engine/run.h"

static uint8_t *
room(struct eval *e, size_t n)
{
	return n <= MAP_OUTPUT - e->out_n ? e->out + e->out_n : NULL;
}

static enum err
full(struct eval *e)
{
	return fail_at(e, NULL, ERR_BUDGET,
	    "the output is over %d bytes; emit fewer or smaller events",
	    MAP_OUTPUT);
}

enum err
write_key(struct eval *e, struct slice key)
{
	if (key.n > WRITE_PAD || MAP_OUTPUT - e->out_n < WRITE_PAD)
		return write_bytes(e, key.p, key.n);
	memcpy(e->out + e->out_n, key.p, WRITE_PAD);
	e->out_n += key.n;
	return ERR_OK;
}

enum err
write_bytes(struct eval *e, const void *p, size_t n)
{
	uint8_t *to = room(e, n);

	if (to == NULL)
		return full(e);
	memcpy(to, p, n);
	e->out_n += n;
	return ERR_OK;
}

static uint8_t *
store(uint8_t *p, uint64_t v, unsigned n)
{
	while (n-- > 0)
		*p++ = (uint8_t)(v >> n * 8);
	return p;
}

static uint8_t *
put_int(uint8_t *p, int64_t i)
{
	uint64_t u = (uint64_t)i;

	if (i >= 0) {
		if (u < 0x80)
			*p++ = (uint8_t)u;
		else if (u <= 0xff)
			p = (*p = 0xcc, store(p + 1, u, 1));
		else if (u <= 0xffff)
			p = (*p = 0xcd, store(p + 1, u, 2));
		else if (u <= 0xffffffff)
			p = (*p = 0xce, store(p + 1, u, 4));
		else
			p = (*p = 0xcf, store(p + 1, u, 8));
	} else {
		if (i >= -32)
			*p++ = (uint8_t)u;
		else if (i >= INT8_MIN)
			p = (*p = 0xd0, store(p + 1, u, 1));
		else if (i >= INT16_MIN)
			p = (*p = 0xd1, store(p + 1, u, 2));
		else if (i >= INT32_MIN)
			p = (*p = 0xd2, store(p + 1, u, 4));
		else
			p = (*p = 0xd3, store(p + 1, u, 8));
	}
	return p;
}

static uint8_t *
put_str_head(uint8_t *p, uint32_t n)
{
	if (n < 32)
		*p++ = (uint8_t)(0xa0 | n);
	else if (n <= 0xff)
		p = (*p = 0xd9, store(p + 1, n, 1));
	else if (n <= 0xffff)
		p = (*p = 0xda, store(p + 1, n, 2));
	else
		p = (*p = 0xdb, store(p + 1, n, 4));
	return p;
}

static uint8_t *
put_ext_head(uint8_t *p, int8_t type, size_t n)
{
	switch (n) {
	case 1:
		*p++ = 0xd4;
		break;
	case 2:
		*p++ = 0xd5;
		break;
	case 4:
		*p++ = 0xd6;
		break;
	case 8:
		*p++ = 0xd7;
		break;
	case 16:
		*p++ = 0xd8;
		break;
	default:
		*p++ = 0xc7;
		*p++ = (uint8_t)n;
	}
	*p++ = (uint8_t)type;
	return p;
}

static uint8_t *
put_time(uint8_t *p, int64_t ns)
{
	int64_t sec = ns / 1000000000, rest = ns % 1000000000;

	if (rest < 0) {
		rest += 1000000000;
		sec--;
	}
	if (sec >= 0 && sec < (INT64_C(1) << 32) && rest == 0) {
		p = put_ext_head(p, -1, 4);
		return store(p, (uint64_t)sec, 4);
	}
	if (sec >= 0 && sec < (INT64_C(1) << 34)) {
		p = put_ext_head(p, -1, 8);
		return store(p, (uint64_t)rest << 34 | (uint64_t)sec, 8);
	}
	p = put_ext_head(p, -1, 12);
	p = store(p, (uint64_t)rest, 4);
	return store(p, (uint64_t)sec, 8);
}

/* The digits of c * 10^-scale: in tmp, up to its end. */
#define DIGITS 24
static const uint8_t *
digits(uint8_t tmp[DIGITS], int64_t c, unsigned scale)
{
	uint64_t u = c < 0 ? 0 - (uint64_t)c : (uint64_t)c;
	uint8_t *t = tmp + DIGITS;

	if (scale > 0) {
		for (; scale > 0; scale--, u /= 10)
			*--t = (uint8_t)('0' + u % 10);
		*--t = '.';
	}
	do
		*--t = (uint8_t)('0' + u % 10);
	while ((u /= 10) > 0);
	if (c < 0)
		*--t = '-';
	return t;
}

/* Apart, so that texts do not pay for its locals. */
#define APART __attribute__((noinline))

APART static enum err
write_dec(struct eval *e, const struct expr *x, const struct val *v)
{
	uint8_t tmp[DIGITS], *to;
	const uint8_t *text;
	struct dec d;
	int64_t c = v->i;
	unsigned scale = v->scale;
	size_t n;

	if (v->tag == V_WIDE || scale > 9) {
		TRY(val_dec(e, x, v, &d));
		if (dec_store(d, &d) != ERR_OK)
			return fail_at(e, x, ERR_RANGE,
			    "the number has more digits than can be kept (18, "
			    "9 of them behind the point); round() it");
		c = (int64_t)d.c;
		scale = d.scale;
	}
	text = digits(tmp, c, scale);
	n = (size_t)(tmp + DIGITS - text);
	to = room(e, n + 3);
	if (to == NULL)
		return full(e);
	to = put_ext_head(to, MP_EXT_DECIMAL, n);
	memcpy(to, text, n);
	e->out_n = (size_t)(to - e->out) + n;
	return ERR_OK;
}

APART static enum err
write_date(struct eval *e, const struct expr *x, const struct val *v)
{
	struct slice s;
	struct val t;

	TRY(val_to_text(e, x, v, &s));
	t = val_text(s);
	return write_val(e, x, &t);
}

APART static enum err
write_items(struct eval *e, const struct expr *x, const struct val *v)
{
	uint32_t i, count = 0, n;
	size_t mark;

	TRY(write_open(e, &mark));
	n = v->tag == V_LIST ? v->n : (uint32_t)v->rec->shape->n;
	for (i = 0; i < n; i++) {
		const struct val *one =
		    v->tag == V_LIST ? &v->list[i] : &v->rec->v[i];

		TRY(run_step(e, x, 1));
		if (v->tag == V_REC) {
			struct val key = val_text(v->rec->shape->names[i]);

			if (one->tag == V_ABSENT)
				continue;
			TRY(write_val(e, x, &key));
		}
		TRY(write_val(e, x, one));
		count++;
	}
	return write_close(e, mark, v->tag == V_REC, count);
}

enum err
write_val(struct eval *e, const struct expr *x, const struct val *v)
{
	uint8_t *to;

	switch ((enum tag)v->tag) {
	case V_TEXT:
		to = room(e, (size_t)v->n + 5);
		if (to == NULL)
			return full(e);
		to = put_str_head(to, v->n);
		memcpy(to, v->p, v->n);
		e->out_n = (size_t)(to - e->out) + v->n;
		return ERR_OK;
	case V_INT:
	case V_TIME:
		to = room(e, 16);
		if (to == NULL)
			return full(e);
		to = v->tag == V_INT ? put_int(to, v->i) : put_time(to, v->i);
		e->out_n = (size_t)(to - e->out);
		return ERR_OK;
	case V_DEC:
	case V_WIDE:
		return write_dec(e, x, v);
	case V_BOOL:
		return write_bytes(e, v->i != 0 ? "\xc3" : "\xc2", 1);
	case V_NULL:
		return write_bytes(e, "\xc0", 1);
	case V_DATE:
		return write_date(e, x, v);
	case V_RAW:
		e->copied = true;
		TRY(run_step(e, x, v->n >> 6));
		return write_bytes(e, v->p, v->n);
	case V_LIST:
	case V_REC:
		return write_items(e, x, v);
	case V_ABSENT:
		break;
	}
	return fail_absent(e, x, v);
}

enum err
write_open(struct eval *e, size_t *mark)
{
	*mark = e->out_n;
	return write_bytes(e, "", 1);
}

enum err
write_close(struct eval *e, size_t mark, bool map, uint32_t count)
{
	uint8_t head[5], *p = head;
	size_t n, i, more;

	if (count < 16) {
		e->out[mark] = (uint8_t)((map ? 0x80 : 0x90) | count);
		return ERR_OK;
	}
	/* more than a message may hold, as nobody could then store it */
	if (map && count > MP_KEYS)
		return fail_src(e, NULL, ERR_LIMIT,
		    "more than %d keys in one map", MP_KEYS);
	if (count <= 0xffff)
		p = (*p = map ? 0xde : 0xdc, store(p + 1, count, 2));
	else
		p = (*p = map ? 0xdf : 0xdd, store(p + 1, count, 4));
	n = (size_t)(p - head);
	more = n - 1;
	if (room(e, more) == NULL)
		return full(e);
	memmove(e->out + mark + n, e->out + mark + 1, e->out_n - mark - 1);
	memcpy(e->out + mark, head, n);
	e->out_n += more;
	for (i = 0; i < e->p->out_slots; i++)
		if (e->outs[i].n > 0 && e->outs[i].at > mark)
			e->outs[i].at += (uint32_t)more;
	return ERR_OK;
}

void
write_back(struct eval *e, size_t to)
{
	size_t i;

	e->out_n = to;
	for (i = 0; i < e->p->out_slots; i++)
		if (e->outs[i].n > 0 && e->outs[i].at >= to)
			e->outs[i].n = 0;
}
