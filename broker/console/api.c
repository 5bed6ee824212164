/* api - see api.h. Each screen is a row of `screens`. */
#include <stdlib.h>

#include "broker/base/json.h"
#include "broker/console/api.h"

enum err
api_open(struct api *a, const struct console_options *o)
{
	enum err e;

	a->status = o->status;
	a->self = o->self;
	e = index_view_new(&a->query.view, o->index);
	if (e == ERR_OK)
		e = log_reader_new(&a->query.reader, o->log);
	if (e == ERR_OK)
		e = sealer_new(&a->query.sealer, o->keys);
	return e;
}

void
api_close(struct api *a)
{
	index_view_free(a->query.view);
	log_reader_free(a->query.reader);
	sealer_free(a->query.sealer);
}

static uint64_t
number(const char *text, uint64_t fallback, uint64_t max)
{
	char *end;
	unsigned long long v;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return fallback;
	v = strtoull(text, &end, 10);
	return *end != '\0' ? fallback : v < max ? v : max;
}

static enum err
show_now(struct api *a, const struct api_request *rq, const char *word,
    struct buf *mp)
{
	(void)rq;
	(void)word;
	return a->status(a->self, mp);
}

static enum err
show_events(struct api *a, const struct api_request *rq, const char *word,
    struct buf *mp)
{
	(void)word;
	return query_recent(&a->query, number(rq->n, 50, 500), mp);
}

static enum err
show_inbox(struct api *a, const struct api_request *rq, const char *word,
    struct buf *mp)
{
	(void)word;
	return query_open(&a->query, SLICE_EMPTY,
	    number(rq->after, 0, UINT64_MAX), number(rq->n, 100, 1000), mp);
}

/* A word that names one subject shows it; several are listed to choose from. */
static enum err
show_order(struct api *a, const struct api_request *rq, const char *word,
    struct buf *mp)
{
	struct slice subject;
	struct mp_in in;
	struct mp head;
	struct buf found;
	enum err e;

	if (word[0] == '\0')
		return err_note(ERR_USAGE, "/order/ wants a number or name");
	buf_init(&found, API_MAX);
	e = query_find(&a->query, slice_str(word), &found);
	in = mp_in(buf_all(&found));
	if (e == ERR_OK)
		e = mp_next(&in, &head);
	if (e == ERR_OK && head.count == 0)
		e = err_note(ERR_NOTFOUND,
		    "nothing is known by the name %s; it takes an order, "
		    "payment, shop or tracking number",
		    word);
	if (e == ERR_OK && head.count == 1) {
		e = mp_next(&in, &head);
		subject = head.bytes;
		if (e == ERR_OK)
			e = query_timeline(&a->query, subject, rq->unmask, mp);
	} else if (e == ERR_OK) {
		mp_put_map(mp, 1);
		mp_put_cstr(mp, "subjects");
		buf_slice(mp, buf_all(&found));
	}
	buf_fini(&found);
	return e;
}

static enum err
show_event(struct api *a, const struct api_request *rq, const char *word,
    struct buf *mp)
{
	uint64_t seq = number(word, 0, UINT64_MAX);

	if (seq == 0)
		return err_note(ERR_USAGE, "/event/ wants a sequence number");
	return query_record(&a->query, seq, rq->unmask, mp);
}

/* A path that ends with "/" takes a word behind it. */
static const struct screen {
	const char *path;
	enum err (*show)(struct api *, const struct api_request *,
	    const char *word, struct buf *mp);
} screens[] = {
    {"/", show_now},
    {"/events", show_events},
    {"/inbox", show_inbox},
    {"/order/", show_order},
    {"/event/", show_event},
};

static const struct screen *
screen_at(const char *path, const char **word)
{
	size_t n;

	for (size_t i = 0; i < sizeof(screens) / sizeof(screens[0]); i++) {
		n = strlen(screens[i].path);
		*word = path + n;
		if (n > 1 && screens[i].path[n - 1] == '/'
			? strncmp(path, screens[i].path, n) == 0
			: strcmp(path, screens[i].path) == 0)
			return &screens[i];
	}
	return NULL;
}

bool
api_page(const char *path)
{
	const char *word;

	return screen_at(path, &word) != NULL;
}

enum err
api_answer(struct api *a, const struct api_request *rq, struct buf *json)
{
	const char *word;
	const struct screen *s = screen_at(rq->path, &word);
	struct buf mp;
	enum err e;

	if (s == NULL)
		return err_note(ERR_NOTFOUND, "there is no %s", rq->path);
	buf_init(&mp, API_MAX);
	e = s->show(a, rq, word, &mp);
	if (e == ERR_OK)
		e = mp_to_json(buf_all(&mp), JSON_COMPACT, json);
	if (e == ERR_OK)
		buf_byte(json, '\n');
	buf_fini(&mp);
	return e;
}

bool
api_ready(struct api *a)
{
	struct buf mp;
	bool ok;

	buf_init(&mp, API_MAX);
	ok = a->status(a->self, &mp) == ERR_OK;
	buf_fini(&mp);
	return ok;
}
