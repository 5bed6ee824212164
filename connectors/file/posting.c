/*
 * posting - see posting.h. The two writers stand side by side on purpose: what
 * differs between the syntaxes should be seen at a glance.
 *
 * Tried with hledger 1.25, ledger 3.3.0 and beancount 2.3.5. In a journal ';'
 * begins a comment, "[...]" in a comment is a date to ledger (and an error when
 * it is none), ',' ends a tag's value in hledger; in beancount only '"' and '\'
 * matter inside a text. So the journal gets , ( ) for ; [ ] and beancount the
 * text itself.
 */
#include <stdio.h>

#include "broker/base/mp.h"
#include "broker/base/utf8.h"
#include "broker/base/zone.h"
#include "connectors/file/posting.h"

#define PLACES 2 /* at the least: 12.5 is written 12.50 */

/* ---- texts ---- */

enum syntax { JOURNAL, JOURNAL_TAG, BEANCOUNT };

/* Characters that are written as a space: controls, all spaces and line ends of
 * Unicode, marks of direction (which can make a line read as another one) and
 * what has no form. */
static bool
is_blank(uint32_t c)
{
	static const uint32_t ranges[][2] = {{0, 0x20}, {0x7f, 0xa0},
	    {0xad, 0xad}, {0x61c, 0x61c}, {0x1680, 0x1680}, {0x180e, 0x180e},
	    {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
	    {0x3000, 0x3000}, {0xfeff, 0xfeff}, {0xfff0, 0xffff},
	    {0xe0000, 0xe0fff}};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

static uint32_t
code_point(const uint8_t *p, size_t n)
{
	uint32_t c;

	if (n == 1)
		return *p;
	c = *p & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	return c;
}

static void
put_char(struct buf *out, enum syntax syntax, const uint8_t *p, size_t n)
{
	static const char from[] = ";[]", to[] = ",()";
	const char *at;

	if (n == 1 && syntax == BEANCOUNT && (*p == '"' || *p == '\\'))
		buf_byte(out, '\\');
	if (n == 1 && syntax == JOURNAL_TAG && *p == ',') {
		buf_byte(out, '.');
	} else if (n == 1 && syntax != BEANCOUNT &&
		   (at = memchr(from, *p, sizeof(from) - 1)) != NULL) {
		char c = to[at - from];

		buf_byte(out,
		    (uint8_t)(syntax == JOURNAL_TAG && c == ',' ? '.' : c));
	} else {
		buf_put(out, p, n);
	}
}

static void
clean_text(struct buf *out, enum syntax syntax, struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n;
	size_t written = 0;
	bool space = false;

	while (p < end && written < POSTING_TEXT) {
		size_t n = utf8_step(p, end);

		if (n == 0 || is_blank(code_point(p, n))) {
			space = written > 0;
			p += n > 0 ? n : 1;
			continue;
		}
		if (space) {
			buf_byte(out, ' ');
			written++;
			space = false;
		}
		put_char(out, syntax, p, n);
		written++;
		p += n;
	}
	if (written == 0)
		buf_byte(out, '-');
}

static bool
is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

void
posting_id(struct slice id, char out[POSTING_ID + 1])
{
	uint64_t a = UINT64_C(0xcbf29ce484222325), b = a ^ id.n;
	bool plain = id.n > 0 && id.n <= POSTING_ID &&
		     !slice_starts(id, SLICE_LIT("x-"));

	for (size_t i = 0; i < id.n && plain; i++)
		plain = is_plain(id.p[i]);
	if (plain) {
		memcpy(out, id.p, id.n);
		out[id.n] = '\0';
		return;
	}
	/* Ids of requests are made by the broker, 32 hex digits; this is for
	 * none that exists, and two of 64 bits keep them apart. */
	for (size_t i = 0; i < id.n; i++) {
		a = (a ^ id.p[i]) * UINT64_C(0x100000001b3);
		b = (b + id.p[i]) * UINT64_C(0x9e3779b97f4a7c15);
		b ^= b >> 29;
	}
	snprintf(
	    out, POSTING_ID + 1, "x-%016jx%016jx", (uintmax_t)a, (uintmax_t)b);
}

/* ---- checking ---- */

/* Latin letters with marks, beside ASCII: all three programs take them. */
static size_t
letter(const uint8_t *p, const uint8_t *end)
{
	size_t n = utf8_step(p, end);
	uint32_t c;

	if (n != 2)
		return 0;
	c = code_point(p, n);
	return c >= 0xc0 && c <= 0x24f && c != 0xd7 && c != 0xf7 ? n : 0;
}

bool
account_valid(struct slice s)
{
	static const char *const roots[] = {
	    "Assets", "Liabilities", "Equity", "Income", "Expenses"};
	const uint8_t *p = s.p, *end = s.p + s.n;
	struct slice root;
	bool first = true, known = false;
	size_t parts = 1;

	if (s.n == 0 || s.n > POSTING_ACCOUNT)
		return false;
	root = slice_of(s.p, 0);
	while (root.n < s.n && s.p[root.n] != ':')
		root.n++;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		known = known || slice_is(root, roots[i]);
	while (p < end) {
		uint8_t c = *p;
		size_t n = 1;

		if (c == ':') {
			if (first)
				return false;
			first = true;
			parts++;
			p++;
			continue;
		}
		if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			n = 1;
		else if (!first && ((c >= 'a' && c <= 'z') || c == '-'))
			n = 1;
		else
			n = letter(p, end);
		if (n == 0)
			return false;
		first = false;
		p += n;
	}
	return known && !first && parts > 1;
}

static bool
digits(const uint8_t *p, size_t n, int *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		*out = *out * 10 + (p[i] - '0');
	}
	return true;
}

static enum err
take_date(struct posting *out, struct slice s)
{
	int y, m, d, y2;
	unsigned m2, d2;
	int32_t year;

	if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' ||
	    !digits(s.p, 4, &y) || !digits(s.p + 5, 2, &m) ||
	    !digits(s.p + 8, 2, &d) || m < 1 || m > 12 || d < 1 || d > 31)
		return err_note(ERR_SYNTAX,
		    "date: \"%.*s\" is not a day as 2026-03-01", SLICE_ARG(s));
	date_civil(date_days(y, (unsigned)m, (unsigned)d), &year, &m2, &d2);
	y2 = year;
	if (y2 != y || m2 != (unsigned)m || d2 != (unsigned)d)
		return err_note(
		    ERR_RANGE, "date: there is no %.*s", SLICE_ARG(s));
	if (y < 1970)
		return err_note(ERR_RANGE,
		    "date: %.*s is before 1970-01-01, when the accounts open",
		    SLICE_ARG(s));
	memcpy(out->date, s.p, 10);
	out->date[10] = '\0';
	return ERR_OK;
}

static enum err
take_currency(struct posting *out, struct slice s)
{
	bool ok = s.n == 3;

	for (size_t i = 0; ok && i < 3; i++)
		ok = s.p[i] >= 'A' && s.p[i] <= 'Z';
	if (!ok)
		return err_note(ERR_SYNTAX,
		    "currency: \"%.*s\" is not three capitals as EUR",
		    SLICE_ARG(s));
	memcpy(out->currency, s.p, 3);
	out->currency[3] = '\0';
	return ERR_OK;
}

static enum err
check_sum(const struct posting *p)
{
	struct dec sum = dec_int(0);
	char text[DEC_TEXT];
	enum err e;

	if (p->entries_n == 0)
		return err_note(ERR_MISSING, "entries: there is none");
	for (size_t i = 0; i < p->entries_n; i++) {
		e = dec_add(sum, p->entries[i].amount, &sum);
		if (e != ERR_OK)
			return err_wrap(e, "entries: the sum");
	}
	if (dec_cmp(sum, dec_int(0)) != 0) {
		(void)dec_text(sum, text);
		return err_note(ERR_CHECK,
		    "entries: debits less credits are %s %s, not zero", text,
		    p->currency);
	}
	return ERR_OK;
}

/* ---- reading a request ---- */

static enum err
take_amount(struct slice value, struct dec *out)
{
	struct mp_in in = mp_in(value);
	struct mp m;
	enum err e = mp_next(&in, &m);

	if (e != ERR_OK)
		return e;
	if (m.type == MP_INT)
		*out = dec_int(m.i);
	else if (m.type == MP_DECIMAL)
		e = dec_parse(m.bytes, out);
	else
		e = err_note(ERR_TYPE, "not a number");
	if (e == ERR_OK)
		e = dec_store(*out, out);
	if (e == ERR_OK && dec_cmp(*out, dec_int(0)) < 0)
		e = err_note(ERR_RANGE,
		    "negative; an amount's side says which way it goes");
	return e;
}

static enum err
take_entry(struct slice item, size_t number, struct posting_entry *out)
{
	struct slice debit, credit;
	bool d, c;
	enum err e;

	if (!mp_get_str(item, "account", &out->account))
		return err_note(
		    ERR_MISSING, "entry %zu has no account", number);
	if (!account_valid(out->account))
		return err_note(ERR_SYNTAX,
		    "entry %zu: \"%.*s\" is no account's name; it begins with "
		    "Assets, Liabilities, Equity, Income or Expenses, and each "
		    "part after a colon with a capital or a digit",
		    number, SLICE_ARG(out->account));
	d = mp_get(item, "debit", &debit) && debit.p[0] != 0xc0;
	c = mp_get(item, "credit", &credit) && credit.p[0] != 0xc0;
	if (d == c)
		return err_note(ERR_MISSING,
		    "entry %zu (%.*s) needs one of debit and credit", number,
		    SLICE_ARG(out->account));
	e = take_amount(d ? debit : credit, &out->amount);
	if (e != ERR_OK)
		return err_wrap(e, "entry %zu (%.*s), %s", number,
		    SLICE_ARG(out->account), d ? "debit" : "credit");
	if (c)
		out->amount.c = -out->amount.c;
	return ERR_OK;
}

static enum err
take_entries(struct posting *out, struct slice list, struct arena *a)
{
	struct mp_in in = mp_in(list);
	struct slice item;
	struct mp m;
	enum err e = mp_next(&in, &m);

	if (e != ERR_OK)
		return e;
	if (m.type != MP_ARRAY)
		return err_note(ERR_TYPE, "entries: not a list");
	if (m.count > POSTING_ENTRIES)
		return err_note(ERR_LIMIT, "entries: %u, at most %d", m.count,
		    POSTING_ENTRIES);
	out->entries = arena_alloc(a, (m.count + 1) * sizeof(*out->entries));
	if (out->entries == NULL)
		return err_note(ERR_NOMEM, "entries");
	out->entries_n = m.count;
	for (size_t i = 0; i < out->entries_n; i++) {
		e = mp_value(&in, &item);
		if (e == ERR_OK)
			e = take_entry(item, i + 1, &out->entries[i]);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* Names that one of the programs gives a meaning to, or that are ours. */
static bool
key_valid(struct slice key)
{
	static const char *const taken[] = {"event", "revision", "reverses",
	    "date", "date2", "type", "payee", "value", "uuid", "check",
	    "assert", "filename", "lineno", "t", "code", "note", "status"};

	if (key.n < 2 || key.n > 32 || key.p[0] < 'a' || key.p[0] > 'z')
		return false;
	for (size_t i = 0; i < key.n; i++)
		if (!is_plain(key.p[i]) || key.p[i] == '.')
			return false;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (slice_is(key, taken[i]))
			return false;
	return true;
}

static enum err
take_tag(
    struct posting *out, struct slice key, struct slice value, struct arena *a)
{
	struct mp_in in = mp_in(value);
	struct posting_tag *t;
	struct mp m;
	char text[24];
	enum err e = mp_next(&in, &m);

	if (e != ERR_OK || m.type == MP_NIL)
		return e;
	if (!key_valid(key))
		return err_note(ERR_SYNTAX,
		    "\"%.*s\" cannot be a tag in the books; name the field "
		    "otherwise (2 to 32 of a-z 0-9 - _)",
		    SLICE_ARG(key));
	if (out->tags_n == POSTING_TAGS)
		return err_note(ERR_LIMIT, "more than %d tags", POSTING_TAGS);
	t = &out->tags[out->tags_n++];
	t->key = key;
	if (m.type == MP_INT) {
		snprintf(text, sizeof(text), "%jd", (intmax_t)m.i);
		return arena_copy(a, slice_str(text), &t->value);
	}
	if (m.type != MP_STR && m.type != MP_DECIMAL)
		return err_note(ERR_TYPE, "%.*s: a tag is a text or a number",
		    SLICE_ARG(key));
	t->value = m.bytes;
	return ERR_OK;
}

static enum err
take_field(
    struct posting *out, struct slice key, struct slice value, struct arena *a)
{
	struct mp_in in = mp_in(value);
	struct mp m;
	enum err e;

	if (slice_is(key, "entries"))
		return take_entries(out, value, a);
	if (!slice_is(key, "date") && !slice_is(key, "currency") &&
	    !slice_is(key, "text"))
		return take_tag(out, key, value, a);
	e = mp_next(&in, &m);
	if (e != ERR_OK)
		return e;
	if (m.type != MP_STR)
		return err_note(ERR_TYPE, "%.*s: not a text", SLICE_ARG(key));
	if (slice_is(key, "date"))
		return take_date(out, m.bytes);
	if (slice_is(key, "currency"))
		return take_currency(out, m.bytes);
	out->text = m.bytes;
	return ERR_OK;
}

enum err
posting_read(struct slice data, struct arena *a, struct posting *out)
{
	struct mp_in in = mp_in(data);
	struct slice value;
	struct mp m, key;
	enum err e = mp_next(&in, &m);

	memset(out, 0, sizeof(*out));
	out->text = SLICE_EMPTY;
	if (e != ERR_OK)
		return e;
	if (m.type != MP_MAP)
		return err_note(ERR_TYPE, "a posting is a map");
	for (uint32_t i = 0; i < m.count; i++) {
		e = mp_next(&in, &key);
		if (e == ERR_OK && key.type != MP_STR)
			e = err_note(ERR_TYPE, "a posting's keys are texts");
		if (e == ERR_OK)
			e = mp_value(&in, &value);
		if (e == ERR_OK)
			e = take_field(out, key.bytes, value, a);
		if (e != ERR_OK)
			return e;
	}
	if (out->date[0] == '\0' || out->currency[0] == '\0')
		return err_note(ERR_MISSING, "%s is missing",
		    out->date[0] == '\0' ? "date" : "currency");
	return check_sum(out);
}

void
posting_turn(struct posting *p)
{
	for (size_t i = 0; i < p->entries_n; i++)
		p->entries[i].amount.c = -p->entries[i].amount.c;
}

/* ---- writing ---- */

static void
put_amount(struct buf *out, const struct posting *p, struct dec d)
{
	char text[DEC_TEXT];
	size_t n;
	enum err e = ERR_OK;

	if (d.scale < PLACES)
		e = dec_round(d, PLACES, DEC_HALF_UP, &d);
	if (e != ERR_OK) /* it passed dec_store and gets at most 2 zeros */
		out->bad = true;
	n = dec_text(d, text);
	for (; n < 14; n++)
		buf_byte(out, ' ');
	buf_printf(out, "%s %s\n", text, p->currency);
}

static void
put_entries(struct buf *out, const struct posting *p, const char *indent)
{
	for (size_t i = 0; i < p->entries_n; i++) {
		const struct posting_entry *t = &p->entries[i];
		size_t wide = 0;

		buf_printf(out, "%s%.*s", indent, SLICE_ARG(t->account));
		for (size_t k = 0; k < t->account.n; k++)
			wide += (t->account.p[k] & 0xc0) != 0x80;
		do
			buf_byte(out, ' ');
		while (++wide < 38);
		buf_byte(out, ' ');
		put_amount(out, p, t->amount);
	}
}

void
posting_journal(
    struct buf *out, const struct posting *p, const struct posting_head *h)
{
	buf_printf(out, "\n%s * (%ju) ", p->date, (uintmax_t)h->seq);
	clean_text(out, JOURNAL, p->text);
	buf_printf(
	    out, "\n    ; event: %s\n    ; revision: %u\n", h->id, h->revision);
	if (h->reverses > 0)
		buf_printf(out, "    ; reverses: %u\n", h->reverses);
	for (size_t i = 0; i < p->tags_n; i++) {
		buf_printf(out, "    ; %.*s: ", SLICE_ARG(p->tags[i].key));
		clean_text(out, JOURNAL_TAG, p->tags[i].value);
		buf_byte(out, '\n');
	}
	put_entries(out, p, "    ");
}

void
posting_beancount(
    struct buf *out, const struct posting *p, const struct posting_head *h)
{
	buf_printf(out, "\n%s * \"", p->date);
	clean_text(out, BEANCOUNT, p->text);
	buf_printf(
	    out, "\"\n  event: \"%s\"\n  revision: %u\n", h->id, h->revision);
	if (h->reverses > 0)
		buf_printf(out, "  reverses: %u\n", h->reverses);
	buf_printf(out, "  voucher: \"%ju\"\n", (uintmax_t)h->seq);
	for (size_t i = 0; i < p->tags_n; i++) {
		buf_printf(out, "  %.*s: \"", SLICE_ARG(p->tags[i].key));
		clean_text(out, BEANCOUNT, p->tags[i].value);
		buf_str(out, "\"\n");
	}
	put_entries(out, p, "  ");
}

/* ---- reading what was written ---- */

static bool
next_line(struct slice *text, struct slice *line)
{
	const uint8_t *nl;

	if (text->n == 0)
		return false;
	nl = memchr(text->p, '\n', text->n);
	line->p = text->p;
	line->n = nl != NULL ? (size_t)(nl - text->p) : text->n;
	*text = slice_from(*text, nl != NULL ? line->n + 1 : text->n);
	return true;
}

/* The value of a line "    ; key: value" of this key. */
static bool
tag_line(struct slice line, const char *key, struct slice *value)
{
	struct slice start = SLICE_LIT("    ; "), name = slice_str(key);

	if (!slice_starts(line, start))
		return false;
	line = slice_from(line, start.n);
	if (!slice_starts(line, name) || line.n < name.n + 2 ||
	    line.p[name.n] != ':' || line.p[name.n + 1] != ' ')
		return false;
	*value = slice_from(line, name.n + 2);
	return true;
}

static bool
small_number(struct slice s, uint32_t *out)
{
	int n;

	if (s.n == 0 || s.n > 9 || !digits(s.p, s.n, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static enum err
not_ours(void)
{
	return err_note(
	    ERR_STATE, "the posting in books.journal was changed by hand");
}

/* The lines of event, revision and reverses, in the order we write them. */
static enum err
parse_head(struct slice *text, struct posting_head *head)
{
	struct slice line, value, rest;

	memset(head, 0, sizeof(*head));
	if (!next_line(text, &line) || !tag_line(line, "event", &value) ||
	    value.n > POSTING_ID)
		return not_ours();
	memcpy(head->id, value.p, value.n);
	head->id[value.n] = '\0';
	if (!next_line(text, &line) || !tag_line(line, "revision", &value) ||
	    !small_number(value, &head->revision) || head->revision == 0)
		return not_ours();
	rest = *text;
	if (next_line(&rest, &line) && tag_line(line, "reverses", &value)) {
		if (!small_number(value, &head->reverses) ||
		    head->reverses == 0)
			return not_ours();
		*text = rest;
	}
	return ERR_OK;
}

enum err
posting_parse_head(struct slice text, struct posting_head *head)
{
	struct slice line;

	if (!next_line(&text, &line))
		return not_ours();
	return parse_head(&text, head);
}

/* "    Account   12.50 EUR" */
static enum err
parse_entry(struct slice line, struct posting *out, struct posting_entry *entry)
{
	struct slice s = slice_from(line, 4), amount;
	size_t n = 0;

	while (n < s.n && s.p[n] != ' ')
		n++;
	entry->account = slice_of(s.p, n);
	while (n < s.n && s.p[n] == ' ')
		n++;
	s = slice_from(s, n);
	n = 0;
	while (n < s.n && s.p[n] != ' ')
		n++;
	amount = slice_of(s.p, n);
	s = slice_from(s, n + 1);
	if (!account_valid(entry->account) ||
	    dec_parse(amount, &entry->amount) != ERR_OK ||
	    dec_store(entry->amount, &entry->amount) != ERR_OK)
		return not_ours();
	if (out->currency[0] != '\0' && !slice_is(s, out->currency))
		return not_ours();
	return take_currency(out, s) == ERR_OK ? ERR_OK : not_ours();
}

/* "2026-03-01 * (12) text" */
static enum err
parse_first(struct slice line, struct posting *out)
{
	struct slice code = SLICE_LIT(" * (");
	size_t n = 10 + code.n;

	if (line.n < n || take_date(out, slice_of(line.p, 10)) != ERR_OK ||
	    !slice_starts(slice_from(line, 10), code))
		return not_ours();
	while (n < line.n && line.p[n] >= '0' && line.p[n] <= '9')
		n++;
	if (n + 2 > line.n || line.p[n] != ')' || line.p[n + 1] != ' ')
		return not_ours();
	out->text = slice_from(line, n + 2);
	return ERR_OK;
}

enum err
posting_parse(struct slice text, struct arena *a, struct posting *out,
    struct posting_head *head)
{
	struct slice line, start = SLICE_LIT("    ; ");
	enum err e;

	memset(out, 0, sizeof(*out));
	if (!next_line(&text, &line))
		return not_ours();
	e = parse_first(line, out);
	if (e == ERR_OK)
		e = parse_head(&text, head);
	if (e != ERR_OK)
		return e;
	out->entries = arena_alloc(a, POSTING_ENTRIES * sizeof(*out->entries));
	if (out->entries == NULL)
		return err_note(ERR_NOMEM, "entries");
	while (next_line(&text, &line) && line.n > 0) {
		const uint8_t *colon;

		if (!slice_starts(line, slice_of(start.p, 4)))
			return not_ours();
		if (!slice_starts(line, start)) {
			if (out->entries_n == POSTING_ENTRIES)
				return not_ours();
			e = parse_entry(
			    line, out, &out->entries[out->entries_n++]);
			if (e != ERR_OK)
				return e;
			continue;
		}
		line = slice_from(line, start.n);
		colon = memchr(line.p, ':', line.n);
		if (colon == NULL || out->tags_n == POSTING_TAGS)
			continue; /* somebody's remark */
		out->tags[out->tags_n] = (struct posting_tag){
		    slice_of(line.p, (size_t)(colon - line.p)),
		    slice_from(line, (size_t)(colon - line.p) + 2)};
		if (key_valid(out->tags[out->tags_n].key))
			out->tags_n++;
	}
	return check_sum(out) == ERR_OK ? ERR_OK : not_ours();
}
