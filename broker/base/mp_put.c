/*
 * mp_put - the writing half of mp.h: msgpack-c's packers over a buf. They
 * choose the shortest form themselves; a buf that is full says so at
 * buf_check().
 */
#include <msgpack.h>

#include "broker/base/mp.h"

/* Inlined into each packer below, where n is mostly known. */
static inline int
put(void *to, const char *p, size_t n)
{
	struct buf *b = to;

	if (b->cap - b->n >= n && b->cap > 0 && !b->bad) {
		memcpy(b->p + b->n, p, n);
		b->n += n;
	} else {
		buf_put(b, p, n);
	}
	return 0;
}

static inline msgpack_packer
packer(struct buf *b)
{
	return (msgpack_packer){.data = b, .callback = put};
}

void
mp_put_nil(struct buf *b)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_nil(&pk);
}

void
mp_put_bool(struct buf *b, bool v)
{
	msgpack_packer pk = packer(b);

	if (v)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
}

void
mp_put_int(struct buf *b, int64_t v)
{
	msgpack_packer pk = packer(b);

	if (v >= 0)
		msgpack_pack_uint64(&pk, (uint64_t)v);
	else
		msgpack_pack_int64(&pk, v);
}

void
mp_put_uint(struct buf *b, uint64_t v)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_uint64(&pk, v);
}

void
mp_put_str(struct buf *b, struct slice s)
{
	msgpack_packer pk = packer(b);

	/* nearly all are short: head and bytes without a call */
	if (s.n < 32 && b->cap - b->n > s.n && b->cap > 0 && !b->bad) {
		b->p[b->n++] = (uint8_t)(0xa0 | s.n);
		memcpy(b->p + b->n, s.p, s.n);
		b->n += s.n;
		return;
	}
	if (s.n > UINT32_MAX) {
		b->bad = true;
		return;
	}
	msgpack_pack_str(&pk, s.n);
	msgpack_pack_str_body(&pk, s.p, s.n);
}

void
mp_put_cstr(struct buf *b, const char *s)
{
	mp_put_str(b, slice_str(s));
}

void
mp_put_bin(struct buf *b, struct slice s)
{
	msgpack_packer pk = packer(b);

	if (s.n > UINT32_MAX) {
		b->bad = true;
		return;
	}
	msgpack_pack_bin(&pk, s.n);
	msgpack_pack_bin_body(&pk, s.p, s.n);
}

void
mp_put_array(struct buf *b, uint32_t count)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_array(&pk, count);
}

void
mp_put_map(struct buf *b, uint32_t pairs)
{
	msgpack_packer pk = packer(b);

	msgpack_pack_map(&pk, pairs);
}

void
mp_put_time(struct buf *b, int64_t ns)
{
	msgpack_packer pk = packer(b);
	int64_t sec = ns / 1000000000, rest = ns % 1000000000;
	msgpack_timestamp t;

	if (rest < 0) {
		rest += 1000000000;
		sec--;
	}
	t.tv_sec = sec;
	t.tv_nsec = (uint32_t)rest;
	msgpack_pack_timestamp(&pk, &t);
}

void
mp_put_decimal(struct buf *b, struct slice digits)
{
	msgpack_packer pk = packer(b);

	if (digits.n > UINT32_MAX) {
		b->bad = true;
		return;
	}
	msgpack_pack_ext(&pk, digits.n, MP_EXT_DECIMAL);
	msgpack_pack_ext_body(&pk, digits.p, digits.n);
}

void
mp_put_sealed(struct buf *b, uint32_t place)
{
	msgpack_packer pk = packer(b);
	uint8_t mem[8];
	struct buf number = {.p = mem, .cap = sizeof(mem), .max = sizeof(mem)};

	mp_put_uint(&number, place);
	msgpack_pack_ext(&pk, number.n, MP_EXT_SEALED);
	msgpack_pack_ext_body(&pk, number.p, number.n);
}

size_t
mp_open(struct buf *b)
{
	size_t mark = b->n;

	buf_byte(b, 0x80);
	return mark;
}

/* The mark holds one byte; a count over 15 needs three or five. */
static void
close_as(struct buf *b, size_t mark, uint32_t count, bool map)
{
	size_t extra = count < 16 ? 0 : count < 65536 ? 2 : 4;
	size_t body = b->n - mark - 1;
	uint8_t *p;

	if (b->bad)
		return;
	if (extra > 0) {
		if (buf_room(b, extra) == NULL)
			return;
		memmove(b->p + mark + 1 + extra, b->p + mark + 1, body);
		b->n += extra;
	}
	p = b->p + mark;
	if (extra == 0) {
		p[0] = (uint8_t)((map ? 0x80u : 0x90u) | count);
	} else if (extra == 2) {
		p[0] = map ? 0xde : 0xdc;
		p[1] = (uint8_t)(count >> 8);
		p[2] = (uint8_t)count;
	} else {
		p[0] = map ? 0xdf : 0xdd;
		p[1] = (uint8_t)(count >> 24);
		p[2] = (uint8_t)(count >> 16);
		p[3] = (uint8_t)(count >> 8);
		p[4] = (uint8_t)count;
	}
}

void
mp_close_array(struct buf *b, size_t mark, uint32_t count)
{
	close_as(b, mark, count, false);
}

void
mp_close_map(struct buf *b, size_t mark, uint32_t pairs)
{
	close_as(b, mark, pairs, true);
}
