/* Sealing an event and back: byte for byte, or an error, or erased. */
#include "broker/core/seal.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

static const char schema_text[] =
    "schema: order.placed/1\n"
    "title: What a customer bought\n"
    "subject: {kind: order, scope: system}\n"
    "person: buyer.email\n"
    "fields:\n"
    "  number: text\n"
    "  buyer: {fields: {email: {type: text, personal: true},\n"
    "    name?: {type: text, personal: true}, country: text}}\n"
    "  lines: {items: {id: text, note?: {type: text, personal: true}}}\n";

struct room {
	char *dir;
	struct arena arena;
	struct faults faults;
	const struct schema *schema;
	struct keys *keys;
	struct sealer *sealer;
	uint32_t slot;
	struct buf data;
};

static void
room_init(struct room *r)
{
	char path[PATH_MAX];
	FILE *f;

	r->dir = tmp_make();
	arena_init(&r->arena, 1 << 20);
	faults_init(&r->faults);
	buf_init(&r->data, 1 << 20);
	snprintf(path, sizeof(path), "%s/order.placed.yaml", r->dir);
	f = fopen(path, "w");
	fputs(schema_text, f);
	fclose(f);
	CHECK_OK(schema_load(arena_strdup(&r->arena, slice_str(path)), true,
	    &r->arena, &r->faults, &r->schema));
	if (r->faults.count > 0)
		fprintf(stderr, "%s", buf_cstr(&r->faults.text));
	snprintf(path, sizeof(path), "%s/keys", r->dir);
	CHECK_OK(keys_open(&r->keys, path));
	CHECK_OK(keys_take(r->keys, &r->slot));
	CHECK_OK(sealer_new(&r->sealer, r->keys));
	mp_put_map(&r->data, 3);
	mp_put_cstr(&r->data, "number");
	mp_put_cstr(&r->data, "1042");
	mp_put_cstr(&r->data, "buyer");
	mp_put_map(&r->data, 3);
	mp_put_cstr(&r->data, "email");
	mp_put_cstr(&r->data, "maija@example.fi");
	mp_put_cstr(&r->data, "name");
	mp_put_cstr(&r->data, "Maija Meik\xc3\xa4l\xc3\xa4inen");
	mp_put_cstr(&r->data, "country");
	mp_put_cstr(&r->data, "FI");
	mp_put_cstr(&r->data, "lines");
	mp_put_array(&r->data, 2);
	mp_put_map(&r->data, 2);
	mp_put_cstr(&r->data, "id");
	mp_put_cstr(&r->data, "a");
	mp_put_cstr(&r->data, "note");
	mp_put_cstr(&r->data, "ring twice");
	mp_put_map(&r->data, 1);
	mp_put_cstr(&r->data, "id");
	mp_put_cstr(&r->data, "b");
}

static void
room_fini(struct room *r)
{
	sealer_free(r->sealer);
	keys_close(r->keys);
	buf_fini(&r->data);
	faults_fini(&r->faults);
	arena_fini(&r->arena);
	tmp_free(r->dir);
}

static struct event e;

static void
fresh(const struct room *r)
{
	event_init(&e);
	e.id = SLICE_LIT("1");
	e.source = SLICE_LIT("shop");
	e.type = SLICE_LIT("order.placed");
	e.data = buf_all(&r->data);
}

static bool
holds(struct slice s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

T(by_schema)
{
	struct room r;
	bool erased;

	room_init(&r);
	fresh(&r);
	CHECK_OK(sealer_close(r.sealer, r.schema, r.slot, &e));
	CHECK(e.digest.n == 32 && e.sealed.n > 32);
	CHECK(e.sealed.p[0] == r.slot && e.sealed.p[3] == 0);
	CHECK(!holds(e.data, "maija") && !holds(e.data, "ring"));
	CHECK(!holds(e.sealed, "maija") && holds(e.data, "1042"));
	CHECK_OK(mp_check(e.data));
	CHECK_OK(sealer_open(r.sealer, &e, &erased));
	CHECK(!erased && e.sealed.n == 0);
	CHECK(slice_eq(e.data, buf_all(&r.data)));
	sealer_reset(r.sealer);
	room_fini(&r);
}

T(whole)
{
	struct schema native;
	struct room r;
	bool erased;

	room_init(&r);
	native = *r.schema;
	native.canonical = false;
	native.whole = true;
	for (int i = 0; i < 2; i++) {
		fresh(&r);
		CHECK_OK(sealer_close(
		    r.sealer, i == 0 ? NULL : &native, r.slot, &e));
		CHECK(!holds(e.data, "1042") && e.sealed.n > r.data.n);
		CHECK_OK(mp_check(e.data));
		CHECK_OK(sealer_open(r.sealer, &e, &erased));
		CHECK(!erased && slice_eq(e.data, buf_all(&r.data)));
	}
	room_fini(&r);
}

T(nothing_personal)
{
	struct room r;
	bool erased;

	room_init(&r);
	fresh(&r);
	e.data = SLICE_LIT("\x81\xa6number\xa1"
			   "1");
	CHECK_OK(sealer_close(r.sealer, r.schema, r.slot, &e));
	CHECK(e.sealed.n == 0 && e.digest.n == 32);
	CHECK_OK(sealer_open(r.sealer, &e, &erased));
	CHECK(slice_is(e.data, "\x81\xa6number\xa1"
			       "1") &&
	      !erased);
	fresh(&r);
	e.data = SLICE_EMPTY;
	CHECK_OK(sealer_close(r.sealer, NULL, r.slot, &e));
	CHECK(e.sealed.n == 0 && e.data.n == 0);
	CHECK_OK(sealer_open(r.sealer, &e, &erased));
	room_fini(&r);
}

/* Many in one turn: earlier results stay where they are. */
T(many)
{
	struct slice first_data, first_sealed;
	uint8_t keep[4096];
	struct room r;
	bool erased;

	room_init(&r);
	fresh(&r);
	CHECK_OK(sealer_close(r.sealer, r.schema, r.slot, &e));
	first_data = e.data;
	first_sealed = e.sealed;
	memcpy(keep, e.sealed.p, e.sealed.n);
	for (int i = 0; i < 1000; i++) {
		fresh(&r);
		CHECK_OK(sealer_close(r.sealer, r.schema, r.slot, &e));
	}
	CHECK(memcmp(keep, first_sealed.p, first_sealed.n) == 0);
	/* One digest for the same data; another nonce each time. */
	CHECK(!slice_eq(e.sealed, first_sealed));
	e.data = first_data;
	e.sealed = first_sealed;
	CHECK_OK(sealer_open(r.sealer, &e, &erased));
	CHECK(slice_eq(e.data, buf_all(&r.data)));
	room_fini(&r);
}

T(flipped)
{
	struct slice data, sealed;
	uint8_t bytes[4096];
	struct room r;
	bool erased;

	room_init(&r);
	fresh(&r);
	CHECK_OK(sealer_close(r.sealer, r.schema, r.slot, &e));
	data = e.data;
	sealed = e.sealed;
	for (size_t i = 0; i < sealed.n; i++) {
		memcpy(bytes, sealed.p, sealed.n);
		bytes[i] ^= (uint8_t)(1u << i % 8);
		e.data = data;
		e.sealed = slice_of(bytes, sealed.n);
		if (i < 4) /* another slot: a wrong key, or none */
			CHECK(sealer_open(r.sealer, &e, &erased) ==
				  ERR_SIGNATURE ||
			      erased);
		else
			CHECK_ERR(
			    sealer_open(r.sealer, &e, &erased), ERR_SIGNATURE);
		e.data = data;
		e.sealed = slice_of(bytes, i);
		if (i > 0) /* cut short */
			CHECK(sealer_open(r.sealer, &e, &erased) ==
				  ERR_SIGNATURE ||
			      erased);
	}
	/* Not in another event either. */
	e.data = data;
	e.sealed = sealed;
	e.digest = SLICE_LIT("0123456789abcdef0123456789abcdef");
	CHECK_ERR(sealer_open(r.sealer, &e, &erased), ERR_SIGNATURE);
	room_fini(&r);
}

T(erased_person)
{
	struct slice data, sealed, excerpt, out;
	struct room r;
	bool erased;

	room_init(&r);
	fresh(&r);
	CHECK_OK(sealer_close(r.sealer, r.schema, r.slot, &e));
	data = e.data;
	sealed = e.sealed;
	CHECK_OK(sealer_close_bytes(
	    r.sealer, r.slot, SLICE_LIT("to Maija"), &excerpt));
	CHECK(!holds(excerpt, "Maija"));
	CHECK_OK(sealer_open_bytes(r.sealer, excerpt, &out));
	CHECK(slice_is(out, "to Maija"));
	CHECK_OK(keys_erase(r.keys, &r.slot, 1));
	e.data = data;
	e.sealed = sealed;
	CHECK_OK(sealer_open(r.sealer, &e, &erased));
	CHECK(erased && holds(e.data, "1042") && !holds(e.data, "email"));
	CHECK_OK(mp_check(e.data));
	CHECK_ERR(sealer_open_bytes(r.sealer, excerpt, &out), ERR_ERASED);
	fresh(&r);
	CHECK_ERR(sealer_close(r.sealer, r.schema, r.slot, &e), ERR_ERASED);
	room_fini(&r);
}

T_MAIN(T_RUN(by_schema) T_RUN(whole) T_RUN(nothing_personal) T_RUN(many)
	T_RUN(flipped) T_RUN(erased_person))
