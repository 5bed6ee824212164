/*
 * cmd_edit - what a person does with one item of the inbox beside letting it go
 * on: look at it whole, correct its data, and put it off. `vayla inbox show
 * --data` writes the data as JSON, `vayla inbox edit` takes it back.
 *
 * JSON knows no times: a text that stands where the event has a time is read as
 * one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/zone.h"
#include "broker/cmd_inbox.h"

#define EDIT_MAX (1024 * 1024)

enum err
inbox_words(char **words, const char *act, struct action *a)
{
	char *end;

	if (words[0] == NULL || words[1] == NULL)
		return err_note(ERR_USAGE,
		    "vayla inbox %s SUB SEQ, as `vayla inbox list` shows them",
		    act);
	errno = 0;
	a->sub = slice_str(words[0]);
	a->seq = strtoull(words[1], &end, 10);
	if (*end != '\0' || a->seq == 0 || errno != 0)
		return err_note(
		    ERR_USAGE, "%s is no sequence number", words[1]);
	return ERR_OK;
}

/* ---- show ---- */

/* Its event, unsealed: in c->reply. */
static enum err
ask_event(struct cmd *c, const char *seq, bool unmask)
{
	return unmask ? cmd_ask(c, "event", "#seq", seq, "?unseal", "", NULL)
		      : cmd_ask(c, "event", "#seq", seq, NULL);
}

static enum err
print_json(struct slice value)
{
	struct buf json;
	enum err e;

	buf_init(&json, 64 * EDIT_MAX);
	e = mp_to_json(value, JSON_PRETTY, &json);
	if (e == ERR_OK)
		puts(buf_cstr(&json));
	buf_fini(&json);
	return e;
}

/* The item as it is open, above its event. */
static enum err
print_open(struct cmd *c, const struct action *a)
{
	char after[24];
	struct slice items, item;
	struct cmd_iter it;
	int64_t seq = 0;
	enum err e;

	snprintf(after, sizeof(after), "%ju", (uintmax_t)a->seq - 1);
	e = cmd_ask(c, "open", "sub", (const char *)a->sub.p, "#after", after,
	    "#max", "1", NULL);
	if (e != ERR_OK)
		return e;
	if (mp_get(buf_all(&c->reply), "items", &items))
		for (it = cmd_list(items); cmd_next(&it, &item);)
			if (mp_get_int(item, "seq", &seq) &&
			    (uint64_t)seq == a->seq)
				inbox_print(item);
	if ((uint64_t)seq != a->seq)
		puts("It is not open any more.");
	return ERR_OK;
}

enum err
inbox_show(struct inbox *in, char **words)
{
	struct action a;
	struct slice data;
	enum err e;

	action_init(&a);
	e = inbox_words(words, "show", &a);
	if (e == ERR_OK && !in->data && in->c.output == NULL)
		e = print_open(&in->c, &a);
	if (e == ERR_OK)
		e = ask_event(&in->c, words[1], in->data || in->c.unmask);
	if (e != ERR_OK || cmd_json(&in->c))
		return e;
	if (!mp_get(buf_all(&in->c.reply), "data", &data))
		return err_note(ERR_NOTFOUND, "event %s has no data", words[1]);
	if (!in->data)
		printf("%s %s, revision %s, of %s\n",
		    cmd_text(buf_all(&in->c.reply), "type"),
		    cmd_text(buf_all(&in->c.reply), "subject"),
		    cmd_text(buf_all(&in->c.reply), "revision"),
		    cmd_text(buf_all(&in->c.reply), "source"));
	return print_json(data);
}

/* ---- edit ---- */

static enum err put_like(
    struct slice value, struct slice was, struct buf *out, int depth);

static enum err
put_children(struct mp_in *in, const struct mp *m, struct slice was,
    struct buf *out, int depth)
{
	struct mp_in old = mp_in(was);
	struct slice key, value, like;
	struct mp head;
	char name[256];
	enum err e = ERR_OK;
	bool list = m->type == MP_ARRAY;

	if (list && (mp_next(&old, &head) != ERR_OK || head.type != MP_ARRAY))
		head.count = 0;
	for (uint32_t i = 0; e == ERR_OK && i < m->count; i++) {
		like = SLICE_EMPTY;
		if (list) {
			if (i < head.count && mp_value(&old, &like) != ERR_OK)
				return ERR_SYNTAX;
		} else {
			struct mp k;

			e = mp_value(in, &key);
			if (e != ERR_OK)
				return e;
			buf_slice(out, key);
			struct mp_in kin = mp_in(key);

			if (mp_next(&kin, &k) == ERR_OK && k.type == MP_STR &&
			    k.bytes.n < sizeof(name)) {
				snprintf(name, sizeof(name), "%.*s",
				    SLICE_ARG(k.bytes));
				(void)mp_get(was, name, &like);
			}
		}
		e = mp_value(in, &value);
		if (e == ERR_OK)
			e = put_like(value, like, out, depth + 1);
	}
	return e;
}

/* `value`, with times where `was` has them. */
static enum err
put_like(struct slice value, struct slice was, struct buf *out, int depth)
{
	struct mp_in in = mp_in(value), old = mp_in(was);
	struct mp m, o;
	int64_t ns;
	bool zoned;
	enum err e;

	e = mp_next(&in, &m);
	if (e != ERR_OK)
		return e;
	if ((m.type == MP_MAP || m.type == MP_ARRAY) && depth < MP_DEPTH) {
		if (m.type == MP_MAP)
			mp_put_map(out, m.count);
		else
			mp_put_array(out, m.count);
		return put_children(&in, &m, was, out, depth);
	}
	if (m.type == MP_STR && was.n > 0 && mp_next(&old, &o) == ERR_OK &&
	    o.type == MP_TIME &&
	    time_parse(m.bytes, NULL, &ns, &zoned) == ERR_OK && zoned)
		mp_put_time(out, ns);
	else
		buf_slice(out, value);
	return ERR_OK;
}

static enum err
read_json(const char *path, struct buf *text, struct buf *mp)
{
	struct json_at at;
	char part[4096];
	ssize_t n;
	enum err e = ERR_OK;

	if (strcmp(path, "-") == 0) {
		while ((n = read(STDIN_FILENO, part, sizeof(part))) > 0)
			buf_put(text, part, (size_t)n);
		e = n < 0 ? err_errno(ERR_IO, "stdin") : buf_check(text);
	} else {
		e = file_read(path, text);
	}
	if (e == ERR_OK)
		e = json_to_mp(buf_all(text), mp, &at);
	return e == ERR_OK ? e : err_wrap(e, "%s", path);
}

enum err
inbox_edit(struct inbox *in, char **words)
{
	struct action a;
	struct buf text, mp, data;
	struct slice was = SLICE_EMPTY;
	enum err e;

	action_init(&a);
	e = inbox_words(words, "edit", &a);
	if (e == ERR_OK && (words[2] == NULL || in->reason == NULL))
		e = err_note(ERR_USAGE,
		    "vayla inbox edit SUB SEQ FILE --reason \"...\": FILE is "
		    "the data as `vayla inbox show SUB SEQ --data` prints it, "
		    "corrected; - is stdin");
	if (e != ERR_OK)
		return e;
	buf_init(&text, 4 * EDIT_MAX);
	buf_init(&mp, 4 * EDIT_MAX);
	buf_init(&data, EDIT_MAX);
	e = read_json(words[2], &text, &mp);
	if (e == ERR_OK)
		e = ask_event(&in->c, words[1], true);
	if (e == ERR_OK) {
		(void)mp_get(buf_all(&in->c.reply), "data", &was);
		e = put_like(buf_all(&mp), was, &data, 0);
	}
	if (e == ERR_OK)
		e = buf_check(&data);
	if (e == ERR_OK) {
		a.act = SLICE_LIT("edit");
		a.by = slice_str(cmd_who(&in->c));
		a.reason = slice_str(in->reason);
		a.data = buf_all(&data);
		e = cmd_act(&in->c, &a);
	}
	buf_fini(&text);
	buf_fini(&mp);
	buf_fini(&data);
	return e;
}

/* ---- snooze ---- */

/* "90m", "4h", "2d" in ns; 0 when it is none. */
static int64_t
duration(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);
	int64_t unit = *end == 'm'   ? 60
		       : *end == 'h' ? 3600
		       : *end == 'd' ? 86400
				     : 0;

	if (end == text || unit == 0 || end[1] != '\0' || n < 1 || n > 10000)
		return 0;
	return n * unit * NS_PER_SEC;
}

enum err
inbox_snooze(struct inbox *in, char **words)
{
	int64_t ns = duration(in->for_ != NULL ? in->for_ : "1d");
	struct action a;
	enum err e;

	action_init(&a);
	e = inbox_words(words, "snooze", &a);
	if (e == ERR_OK && ns == 0)
		e = err_note(
		    ERR_USAGE, "--for takes 90m, 4h or 2d, not %s", in->for_);
	if (e != ERR_OK)
		return e;
	a.act = SLICE_LIT("snooze");
	a.by = slice_str(cmd_who(&in->c));
	a.reason = slice_str(in->reason);
	a.until = clock_now() + ns;
	return cmd_act(&in->c, &a);
}
