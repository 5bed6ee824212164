/*
 * seal - see seal.h. What is sealed is bound to its event by the digest, which
 * is authenticated with it: sealed bytes moved to another event do not open.
 *
 * The work buffers are reused; results are copied into an arena, because a
 * turn holds many events at once and a growing buffer moves.
 */
#include <stdlib.h>

#include "broker/base/arena.h"
#include "broker/core/seal.h"

#define SLOT_BYTES 4
#define WORK_MAX (4 * EVENT_MAX)
#define KEEP_MAX (64 * EVENT_MAX)

struct sealer {
	struct keys *keys;
	struct seal_ctx *ctx;
	struct arena arena;
	struct buf open, plain, out;
	bool has_key;
	uint32_t slot, epoch; /* of key */
	uint8_t key[32];
};

enum err
sealer_new(struct sealer **out, struct keys *k)
{
	struct sealer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_note(ERR_NOMEM, "no memory for a sealer");
	s->keys = k;
	arena_init(&s->arena, KEEP_MAX);
	buf_init(&s->open, WORK_MAX);
	buf_init(&s->plain, WORK_MAX);
	buf_init(&s->out, WORK_MAX);
	s->ctx = seal_ctx_new();
	if (s->ctx == NULL) {
		sealer_free(s);
		return err_note(ERR_NOMEM, "no memory for a sealer");
	}
	*out = s;
	return ERR_OK;
}

void
sealer_free(struct sealer *s)
{
	if (s == NULL)
		return;
	seal_ctx_free(s->ctx);
	if (s->plain.n > 0)
		secret_wipe(s->plain.p, s->plain.n);
	buf_fini(&s->open);
	buf_fini(&s->plain);
	buf_fini(&s->out);
	arena_fini(&s->arena);
	secret_wipe(s->key, sizeof(s->key));
	free(s);
}

void
sealer_reset(struct sealer *s)
{
	arena_reset(&s->arena);
}

static enum err
keep(struct sealer *s, const struct buf *b, struct slice *out)
{
	enum err e = buf_check(b);

	if (e == ERR_OK)
		e = arena_copy(&s->arena, buf_all(b), out);
	return e;
}

/* Events of one subject come together; so does the use of its key. */
static enum err
key_of(struct sealer *s, uint32_t slot)
{
	uint32_t epoch = keys_epoch(s->keys);
	enum err e;

	if (s->has_key && s->slot == slot && s->epoch == epoch)
		return ERR_OK;
	e = keys_get(s->keys, slot, s->key);
	s->has_key = e == ERR_OK;
	s->slot = slot;
	s->epoch = epoch;
	return e;
}

/* plain under slot's key into s->out: slot, then seal()'s bytes. */
static enum err
seal_to_out(
    struct sealer *s, uint32_t slot, struct slice aad, struct slice plain)
{
	enum err e = ERR_OK;

	/* a new subject's key is at hand; only the turn seals */
	if (keys_near(s->keys, slot, s->key)) {
		s->has_key = true;
		s->slot = slot;
		s->epoch = keys_epoch(s->keys);
	} else {
		e = key_of(s, slot);
	}
	if (e != ERR_OK)
		return e;
	buf_reset(&s->out);
	for (int i = 0; i < SLOT_BYTES; i++)
		buf_byte(&s->out, (uint8_t)(slot >> (8 * i)));
	return seal(s->ctx, s->key, aad, plain, &s->out);
}

static enum err
unseal_to_plain(struct sealer *s, struct slice aad, struct slice sealed)
{
	uint32_t slot = 0;
	enum err e;

	if (sealed.n < SLOT_BYTES + SEAL_EXTRA)
		return err_note(ERR_SIGNATURE, "sealed data is cut short");
	for (int i = 0; i < SLOT_BYTES; i++)
		slot |= (uint32_t)sealed.p[i] << (8 * i);
	e = key_of(s, slot);
	if (e != ERR_OK)
		return e;
	buf_reset(&s->plain);
	return unseal(
	    s->ctx, s->key, aad, slice_from(sealed, SLOT_BYTES), &s->plain);
}

enum err
sealer_split(struct sealer *s, const struct schema *schema, struct event *e,
    bool *personal)
{
	uint32_t count = 0;
	uint8_t *digest;
	enum err err;

	*personal = false;
	if (e->digest.n == 0) {
		digest = arena_raw(&s->arena, 32);
		if (digest == NULL)
			return err_note(
			    ERR_LIMIT, "a turn with too much to seal");
		keys_digest(s->keys, e->data, digest);
		e->digest = slice_of(digest, 32);
	}
	e->sealed = SLICE_EMPTY;
	if (e->data.n == 0)
		return ERR_OK;
	buf_reset(&s->open);
	buf_reset(&s->plain);
	err = schema_split(schema, e->data, &s->open, &s->plain, &count);
	if (err == ERR_OK && count > 0)
		err = buf_check(&s->plain);
	*personal = err == ERR_OK && count > 0;
	return err;
}

enum err
sealer_seal(struct sealer *s, uint32_t slot, struct event *e)
{
	struct slice data, sealed;
	enum err err;

	err = seal_to_out(s, slot, e->digest, buf_all(&s->plain));
	if (err == ERR_OK)
		err = keep(s, &s->open, &data);
	if (err == ERR_OK)
		err = keep(s, &s->out, &sealed);
	if (err != ERR_OK)
		return err;
	e->data = data;
	e->sealed = sealed;
	return ERR_OK;
}

enum err
sealer_close(struct sealer *s, const struct schema *schema, uint32_t slot,
    struct event *e)
{
	bool personal;
	enum err err = sealer_split(s, schema, e, &personal);

	return err == ERR_OK && personal ? sealer_seal(s, slot, e) : err;
}

enum err
sealer_open(struct sealer *s, struct event *e, bool *erased)
{
	enum err err;

	*erased = false;
	if (e->sealed.n == 0)
		return ERR_OK;
	err = unseal_to_plain(s, e->digest, e->sealed);
	buf_reset(&s->open);
	if (err == ERR_ERASED) {
		*erased = true;
		err = schema_merge_erased(e->data, &s->open);
	} else if (err == ERR_OK) {
		err = schema_merge(e->data, buf_all(&s->plain), &s->open);
	}
	if (err == ERR_OK)
		err = keep(s, &s->open, &e->data);
	if (err == ERR_OK)
		e->sealed = SLICE_EMPTY;
	return err;
}

enum err
sealer_close_bytes(
    struct sealer *s, uint32_t slot, struct slice plain, struct slice *out)
{
	enum err e = seal_to_out(s, slot, SLICE_EMPTY, plain);

	return e == ERR_OK ? keep(s, &s->out, out) : e;
}

enum err
sealer_open_bytes(struct sealer *s, struct slice sealed, struct slice *out)
{
	enum err e = unseal_to_plain(s, SLICE_EMPTY, sealed);

	return e == ERR_OK ? keep(s, &s->plain, out) : e;
}
