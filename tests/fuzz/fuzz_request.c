/*
 * fuzz_request - any request at the doors of a shop's, a provider's and a
 * carrier's pack (run from the root, where mappings/ is). The first byte
 * chooses the door and whether the request is signed rightly; the rest is
 * query, then a 0xff, then the body. What is taken must be events the bus can
 * read; what is refused has published nothing, and an unsigned one tells no
 * reason.
 */
#include <stdlib.h>

#include "broker/base/mp.h"
#include "broker/base/say.h"
#include "broker/wire/frame.h"
#include "connectors/receiver/intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define PACKS 3

static struct config_system conf[PACKS];
static struct sdk_system systems[PACKS];
static struct doors doors[PACKS];

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
setup(void)
{
	static const char *const names[PACKS] = {
	    "woocommerce", "paytrail", "pakettikauppa"};
	static struct arena arena;
	static struct buf settings;
	const struct vocabulary *v;
	struct faults f;

	say_level(SAY_ERROR);
	arena_init(&arena, 64 * 1024 * 1024);
	buf_init(&settings, 1024);
	mp_put_map(&settings, 2);
	mp_put_cstr(&settings, "secret");
	mp_put_cstr(&settings, "s");
	mp_put_cstr(&settings, "webhook_secret");
	mp_put_cstr(&settings, "s");
	faults_init(&f);
	must(vocabulary_load("mappings", &arena, &f, &v) == ERR_OK);
	for (size_t i = 0; i < PACKS; i++) {
		const struct pack *pack;

		must(pack_load("mappings", slice_str(names[i]), v, &arena, &f,
			 &pack) == ERR_OK);
		must(doors_load(pack, &arena, &f, &doors[i]) == ERR_OK);
		conf[i].name = SLICE_LIT("x");
		systems[i] = (struct sdk_system){
		    &conf[i], pack, buf_all(&settings), buf_all(&settings)};
	}
	faults_fini(&f);
}

/* A form's field more, in the body. */
static void
add_field(struct request *q, struct slice name, struct slice value,
    struct arena *scratch)
{
	struct buf body;

	buf_init(&body, 2 * DOOR_BODY_MAX);
	buf_printf(&body, "%.*s=%.*s%s", SLICE_ARG(name), SLICE_ARG(value),
	    q->body.n > 0 ? "&" : "");
	buf_slice(&body, q->body);
	must(arena_copy(scratch, buf_all(&body), &q->body) == ERR_OK);
	buf_fini(&body);
}

static void
sign(const struct door *d, struct request *q, struct slice settings,
    struct arena *scratch)
{
	struct recipe_added added[RECIPE_ADDED];
	struct buf mp;
	size_t k = 0;

	if (d->body == DOOR_FORM &&
	    params_parse(q->body, scratch, &q->form) != ERR_OK)
		return;
	buf_init(&mp, 4 * DOOR_BODY_MAX);
	request_mp(q, true, &mp);
	q->mp = buf_all(&mp);
	if (buf_check(&mp) == ERR_OK && recipe_sign(d->verify, q, settings, 0,
					    scratch, added, &k) == ERR_OK) {
		for (size_t i = 0; i < k; i++) {
			struct params *to = added[i].place == RECIPE_HEADER
						? &q->headers
						: &q->query;

			struct slice name;

			if (added[i].place == RECIPE_FIELD) {
				add_field(
				    q, added[i].name, added[i].value, scratch);
				continue;
			}
			/* as the server hands it on, in lower case */
			(void)recipe_place(d->verify, &name);
			to->v[to->n++] = (struct param){name, added[i].value};
		}
		params_sort(&q->headers);
		params_sort(&q->query);
	}
	q->mp = SLICE_EMPTY;
	buf_fini(&mp);
}

static void
check(const struct intake *in)
{
	struct mp_in records = mp_in(buf_all(&in->records));
	enum record_kind kind;
	struct slice body;
	struct event ev;
	enum err e = ERR_OK;
	uint32_t n = 0, said = 0;

	if (in->what != OUT_STORED) {
		must(in->what != OUT_UNSIGNED || in->text[0] == '\0');
		return;
	}
	for (size_t i = 0; i < in->pubs_n; i++)
		said += in->pubs[i].count;
	while (record_next(&records, &kind, &body, &e)) {
		must(kind == REC_EVENT && event_read(body, &ev) == ERR_OK);
		must(ev.id.n > 0 && ev.id.n <= EVENT_TEXT);
		must(ev.subject.n > 0 && ev.type.n > 0 && ev.data.n > 0);
		n++;
	}
	must(e == ERR_OK && n == said && n > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static bool ready;
	struct request q = {.method = SLICE_LIT("POST"),
	    .path = SLICE_LIT("/in/x"),
	    .url = SLICE_LIT("http://x/in/x"),
	    .body = SLICE_EMPTY,
	    .mp = SLICE_EMPTY};
	struct param headers[8];
	struct arena scratch;
	struct intake in;
	const uint8_t *cut;
	size_t which;
	uint8_t *copy;

	if (!ready)
		setup();
	ready = true;
	if (n == 0)
		return 0;
	copy = malloc(n);
	memcpy(copy, p + 1, n - 1);
	which = p[0] & 4 ? 2 : p[0] & 1;
	cut = memchr(copy, 0xff, n - 1);
	arena_init(&scratch, 16 * 1024 * 1024);
	headers[0] = (struct param){
	    SLICE_LIT("content-type"), SLICE_LIT("application/json")};
	if (which == 2)
		headers[0].value =
		    SLICE_LIT("application/x-www-form-urlencoded");
	headers[1] = (struct param){
	    SLICE_LIT("x-wc-webhook-topic"), SLICE_LIT("order.created")};
	q.headers.v = headers;
	q.headers.n = 2;
	q.body = which != 1 ? slice_of(copy, n - 1) : SLICE_EMPTY;
	if (cut != NULL)
		q.body = slice_of(cut + 1, (size_t)(copy + n - 1 - cut - 1));
	if (params_parse(
		which == 1 || cut != NULL
		    ? slice_of(copy, cut != NULL ? (size_t)(cut - copy) : n - 1)
		    : SLICE_EMPTY,
		&scratch, &q.query) == ERR_OK) {
		struct param *more =
		    arena_alloc(&scratch, (q.query.n + 4) * sizeof(*more));

		memcpy(more, q.query.v, q.query.n * sizeof(*more));
		q.query.v = more;
		if (p[0] & 2)
			sign(&doors[which].v[0], &q, systems[which].all,
			    &scratch);
		intake_init(&in);
		intake_take(
		    &in, &doors[which].v[0], &systems[which], &q, 0, &scratch);
		check(&in);
		intake_fini(&in);
	}
	arena_fini(&scratch);
	free(copy);
	return 0;
}
