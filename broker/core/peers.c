/*
 * peers - what clients say besides PUB's content, and every word the broker
 * says to them but deliveries. See daemon.h and PROTOCOL.md 3.
 *
 * A peer whose queue is full does not read: its session ends, and what it sends
 * afterwards is read and dropped, so that it costs nothing but its own place.
 */
#include "broker/base/clock.h"
#include "broker/base/say.h"
#include "broker/core/daemon.h"

#define DEAF_NS (10 * NS_PER_SEC)
#define TAP_MAX (64 * 1024) /* a tapped event beyond this goes without data */
#define EXTEND_MAX 64
/* What a consumer that does not read makes the broker hold. */
#define SUB_BYTES_MAX (16 * 1024 * 1024)

static enum err
send_map(struct daemon *d, struct slice peer, enum verb v, struct buf *header,
    struct slice blob)
{
	enum err e = buf_check(header);

	if (e == ERR_OK)
		e = bus_send(d->bus, peer, v, buf_all(header), blob);
	return e;
}

static void
say_error(struct daemon *d, struct slice peer, enum err e, const char *what,
    uint64_t id, struct slice sub)
{
	struct buf h;
	size_t mark;
	uint32_t n = 3;

	buf_init(&h, FRAME_HEADER);
	mark = mp_open(&h);
	mp_put_cstr(&h, "code");
	mp_put_cstr(&h, err_name(e));
	mp_put_cstr(&h, "class");
	mp_put_cstr(&h, err_class_name(err_class(e)));
	mp_put_cstr(&h, "text");
	mp_put_cstr(&h, what);
	if (id != 0) {
		mp_put_cstr(&h, "id");
		mp_put_uint(&h, id);
		n++;
	}
	if (sub.n > 0 && sub.n <= EVENT_TEXT) {
		mp_put_cstr(&h, "sub");
		mp_put_str(&h, sub);
		n++;
	}
	mp_close_map(&h, mark, n);
	/* Nothing depends on its arrival. */
	(void)!send_map(d, peer, VERB_ERR, &h, SLICE_EMPTY);
	buf_fini(&h);
}

void
peers_error(struct daemon *d, struct slice peer, enum err e, const char *what,
    uint64_t id)
{
	say_error(d, peer, e, what, id, SLICE_EMPTY);
}

/* ---- the end of sessions ---- */

static void
session_end(struct daemon *d, struct session *s, bool clean)
{
	delivery_detach(&d->delivery, s, clean);
	for (size_t i = 0; i < d->pubs_n; i++)
		if (d->pubs[i].from == s)
			d->pubs[i].from = NULL;
	session_remove(&d->sessions, s);
}

void
peers_tidy(struct daemon *d)
{
	int64_t silent = clock_mono() - SESSION_SILENT_MS * NS_PER_MS;

	for (size_t i = d->sessions.n; i-- > 0;) {
		struct session *s = d->sessions.all[i];

		if (!s->over && s->heard >= silent)
			continue;
		say(SAY_INFO, "session", "%s %s is gone%s", role_name(s->role),
		    s->name, s->over ? "" : ": silent for 30 s");
		session_end(d, s, false);
	}
}

/* ---- who may come in ---- */

/* What a flood of handshakes may take of a turn. */
#define KNOCKS 64

void
peers_knock(struct daemon *d)
{
	char key[BUS_KEY];
	bool known;

	for (int i = 0; i < KNOCKS && bus_knock(d->bus, key); i++) {
		known = key[0] != '\0' && users_find(&d->users, key) != NULL;
		if (!known)
			say(SAY_WARN, "access",
			    "a connection with an unknown or revoked key (%s) "
			    "is refused",
			    key);
		bus_admit(d->bus, key, known);
	}
}

static bool
same_rights(const struct session *s, const struct access_user *now)
{
	return now != NULL && strcmp(now->role, s->who->role) == 0 &&
	       now->any_name == s->who->any_name &&
	       strcmp(now->name, s->who->name) == 0;
}

void
peers_users(struct daemon *d)
{
	if (!users_look(&d->users))
		return;
	for (size_t i = d->sessions.n; i-- > 0;) {
		struct session *s = d->sessions.all[i];
		const struct access_user *now =
		    users_find(&d->users, s->key[0] != '\0' ? s->key : NULL);

		if (!same_rights(s, now)) {
			say(SAY_WARN, "access",
			    "%s %s: its key was revoked or changed; the "
			    "session is over",
			    role_name(s->role), s->name);
			peers_error(d, session_peer(s), ERR_DENIED,
			    "this key was revoked", 0);
			session_end(d, s, false);
		} else {
			s->who = now;
		}
	}
	users_looked(&d->users);
}

/* ERR_DENIED unless that user may do so. */
static enum err
may(const struct session *s, enum access_verb v, struct slice what)
{
	if (access_may(s->who, v, what))
		return ERR_OK;
	return err_note(ERR_DENIED, "the key of %s has no right to %s%s%.*s",
	    s->who->name, access_verb_name(v), what.n > 0 ? " " : "",
	    what.n < 100 ? (int)what.n : 100, (const char *)what.p);
}

/* ---- HELLO ---- */

static enum err
hello_read(struct daemon *d, const struct access_user *who, struct slice header,
    enum role *role, struct slice *name)
{
	struct slice text;
	int64_t v;

	if (!mp_get_int(header, "v", &v) || !mp_get_str(header, "name", name) ||
	    !mp_get_str(header, "role", &text))
		return err_note(ERR_SYNTAX, "HELLO needs v, name and role");
	if (v != 1)
		return err_note(ERR_VERSION, "this broker speaks version 1");
	*role = role_by_name(text);
	if (*role == ROLE_NONE)
		return err_note(
		    ERR_RANGE, "role is connector, receiver or operator");
	if (*role == ROLE_OPERATOR
		? name->n == 0 || name->n > 32 || memchr(name->p, 0, name->n)
		: !name_is_good(*name))
		return err_note(ERR_RANGE,
		    "name is a-z, 0-9, _ and -, from a letter, at most 32; "
		    "an operator's any text of 1 to 32 bytes");
	if (who == NULL)
		return err_note(ERR_DENIED,
		    "this key was revoked; `vayla key new` makes another");
	if (who->role[0] != '\0' && strcmp(who->role, role_name(*role)) != 0)
		return err_note(ERR_DENIED,
		    "the key of %s is of a%s %s, not of a%s %s", who->name,
		    who->role[0] == 'o' ? "n" : "", who->role,
		    *role == ROLE_OPERATOR ? "n" : "", role_name(*role));
	if (!who->any_name && !slice_is(*name, who->name))
		return err_note(ERR_DENIED, "the key of %s is not one of %.*s",
		    who->name, SLICE_ARG(*name));
	if (*role == ROLE_CONNECTOR &&
	    delivery_sub(&d->delivery, *name) == NULL)
		return err_note(ERR_DENIED,
		    "there is no system %.*s in vayla.yaml", SLICE_ARG(*name));
	return ERR_OK;
}

static enum err
welcome(struct daemon *d, struct slice peer)
{
	struct buf h;
	enum err e;

	buf_init(&h, FRAME_HEADER);
	mp_put_map(&h, 4);
	mp_put_cstr(&h, "epoch");
	mp_put_uint(&h, d->core.epoch);
	mp_put_cstr(&h, "window");
	mp_put_uint(&h, SESSION_WINDOW);
	mp_put_cstr(&h, "bytes");
	mp_put_uint(&h, SESSION_BYTES);
	mp_put_cstr(&h, "silent_ms");
	mp_put_uint(&h, SESSION_SILENT_MS);
	e = send_map(d, peer, VERB_WELCOME, &h, SLICE_EMPTY);
	buf_fini(&h);
	return e;
}

static void
on_hello(struct daemon *d, struct session *s, const struct bus_msg *m)
{
	const struct access_user *who = users_find(&d->users, bus_user(m));
	struct slice peer = bus_peer(m);
	struct session *other;
	struct slice name;
	enum role role = ROLE_NONE;
	enum err e;

	e = hello_read(d, who, bus_part(m, 2), &role, &name);
	if (e != ERR_OK) {
		peers_error(d, peer, e, err_last(), 0);
		return;
	}
	if (s != NULL)
		session_end(d, s, true);
	other = session_holder(&d->sessions, role, name);
	if (other != NULL) {
		peers_error(d, session_peer(other), ERR_CLOSED,
		    "another session of this name began", 0);
		session_end(d, other, false);
	}
	s = session_add(&d->sessions, peer, who, role, name);
	if (s == NULL) {
		peers_error(d, peer, ERR_BUSY, "too many sessions", 0);
		return;
	}
	say(SAY_DEBUG, "session", "%s %s", role_name(role), s->name);
	if (welcome(d, peer) != ERR_OK)
		s->over = true;
}

/* ---- PUB ---- */

void
peers_refuse(struct daemon *d, struct pub *p, enum err e)
{
	enum err_class class = err_class(e);
	struct buf h;

	p->refused = true;
	d->core.refused++;
	if (p->from == NULL)
		return;
	buf_init(&h, FRAME_HEADER);
	mp_put_map(&h, 5);
	mp_put_cstr(&h, "n");
	mp_put_uint(&h, p->n);
	mp_put_cstr(&h, "class");
	mp_put_cstr(&h, err_class_name(class));
	mp_put_cstr(&h, "code");
	mp_put_cstr(&h, err_name(e));
	mp_put_cstr(&h, "text");
	mp_put_cstr(&h, err_last()[0] != '\0' ? err_last() : err_text(e));
	mp_put_cstr(&h, "retry_ms");
	mp_put_uint(
	    &h, class == CLASS_RETRY || class == CLASS_DEFER ? 1000 : 0);
	if (send_map(d, session_peer(p->from), VERB_PUBNO, &h, SLICE_EMPTY) !=
	    ERR_OK)
		p->from->over = true;
	buf_fini(&h);
}

static void
on_pub(struct daemon *d, struct session *s, struct bus_msg *m)
{
	struct slice header = bus_part(m, 2);
	int64_t n, count;
	struct pub *p;

	if (!mp_get_int(header, "n", &n) ||
	    !mp_get_int(header, "count", &count) || n < 1 || count < 0 ||
	    count > UINT32_MAX) {
		peers_error(
		    d, session_peer(s), ERR_SYNTAX, "PUB needs n and count", 0);
		session_end(d, s, false);
		bus_release(m);
		return;
	}
	if (s->next != 0 && (uint64_t)n != s->next) {
		peers_error(d, session_peer(s), ERR_STATE,
		    "n must rise by one; say HELLO and send again what was "
		    "not answered",
		    0);
		session_end(d, s, false);
		bus_release(m);
		return;
	}
	s->next = (uint64_t)n + 1;
	p = &d->pubs[d->pubs_n++];
	*p = (struct pub){.from = s,
	    .who = s->who,
	    .role = s->role,
	    .msg = *m,
	    .n = (uint64_t)n,
	    .count = (uint32_t)count};
	memcpy(p->name, s->name, sizeof(p->name));
	p->vital = accept_is_vital(p);
	d->input += (size_t)count;
	d->input_bytes += bus_part(m, 3).n;
}

/* One answer says it for all before it, so a peer that is slow to read what was
 * delivered loses nothing by hearing it later; one that reads nothing at all
 * for long is over. */
static void
answered(struct daemon *d, struct session *s, enum err e)
{
	int64_t now = clock_mono();

	s->answer = e == ERR_BUSY;
	if (!s->answer)
		s->deaf = 0;
	else if (s->deaf == 0)
		s->deaf = now;
	if (e == ERR_OK || (s->answer && now - s->deaf < DEAF_NS))
		return;
	peers_error(d, session_peer(s), ERR_FLOOD, "answers are not read", 0);
	s->over = true;
}

bool
peers_deaf(const struct daemon *d)
{
	for (size_t i = 0; i < d->sessions.n; i++)
		if (d->sessions.all[i]->deaf != 0)
			return true;
	return false;
}

void
peers_answer(struct daemon *d)
{
	struct session *s;
	struct buf h;

	for (size_t i = 0; i < d->pubs_n; i++)
		if ((s = d->pubs[i].from) != NULL && !d->pubs[i].refused) {
			s->done = d->pubs[i].n;
			s->answer = true;
		}
	for (size_t i = 0; i < d->sessions.n; i++) {
		s = d->sessions.all[i];
		if (!s->answer || s->over)
			continue;
		buf_init(&h, FRAME_HEADER);
		mp_put_map(&h, 1);
		mp_put_cstr(&h, "upto");
		mp_put_uint(&h, s->done);
		answered(d, s,
		    send_map(d, session_peer(s), VERB_PUBOK, &h, SLICE_EMPTY));
		buf_fini(&h);
	}
}

/* ---- SUB and the tap ---- */

static enum err
tap_set(struct session *s, struct slice header, struct slice name)
{
	struct slice filter, type = SLICE_EMPTY, subject = SLICE_EMPTY;
	enum err e;

	if (s->role != ROLE_OPERATOR)
		return err_note(ERR_DENIED, "only operators may tap");
	if (mp_get(header, "filter", &filter)) {
		(void)mp_get_str(filter, "type", &type);
		(void)mp_get_str(filter, "subject", &subject);
	}
	if (!name_is_good(name) || type.n > EVENT_TEXT ||
	    subject.n > EVENT_TEXT)
		return err_note(ERR_RANGE, "SUB: a name or filter is wrong");
	e = may(s, MAY_TAP, type);
	if (e != ERR_OK)
		return e;
	s->tap = true;
	memset(s->tap_name, 0, sizeof(s->tap_name));
	memcpy(s->tap_name, name.p, name.n);
	buf_reset(&s->tap_type);
	buf_slice(&s->tap_type, type);
	buf_reset(&s->tap_subject);
	buf_slice(&s->tap_subject, subject);
	return ERR_OK;
}

static enum err
on_sub(struct daemon *d, struct session *s, struct slice header)
{
	int64_t window = 0, bytes = 4 * 1024 * 1024;
	int64_t patience = DELIVERY_PATIENCE_MS;
	bool lossy = false;
	struct slice name;
	enum err e;

	if (!mp_get_str(header, "name", &name))
		return err_note(ERR_SYNTAX, "SUB needs a name");
	(void)mp_get_bool(header, "lossy", &lossy);
	if (lossy)
		return tap_set(s, header, name);
	if (s->role != ROLE_CONNECTOR || !slice_eq(name, session_name(s)))
		return err_note(ERR_DENIED, "%s may not subscribe to %.*s",
		    s->name, SLICE_ARG(name));
	e = may(s, MAY_TAKE, SLICE_EMPTY);
	if (e != ERR_OK)
		return e;
	if (!mp_get_int(header, "window", &window))
		return err_note(ERR_SYNTAX, "SUB needs a window");
	(void)mp_get_int(header, "bytes", &bytes);
	(void)mp_get_int(header, "patience", &patience);
	if (window < 1 || window > 1024 || bytes < 1 || bytes > SUB_BYTES_MAX ||
	    patience < 1000 || patience > 3600 * 1000)
		return err_note(ERR_RANGE,
		    "SUB: window is 1 to 1024, bytes 1 to 16 MiB, patience "
		    "1000 to 3600000");
	delivery_attach(&d->delivery,
	    delivery_sub(&d->delivery, session_name(s)), s, (uint32_t)window,
	    (size_t)bytes, patience);
	return ERR_OK;
}

/* An event for people that look on: sealed values stay marks. */
static void
tap_blob(struct buf *out, struct slice body, const struct fact *f)
{
	struct event e;

	if (event_read(body, &e) != ERR_OK)
		return;
	e.sequence = f->seq;
	e.sealed = e.again = SLICE_EMPTY;
	if (e.data.n > TAP_MAX)
		e.data = SLICE_EMPTY;
	mp_put_array(out, 2);
	mp_put_uint(out, REC_EVENT);
	event_write(out, &e);
}

static void
tap_one(struct daemon *d, struct session *s, struct slice body,
    const struct fact *f)
{
	struct buf h, blob;

	if (!slice_starts(f->type, buf_all(&s->tap_type)) ||
	    !slice_starts(f->subject, buf_all(&s->tap_subject)))
		return;
	buf_init(&h, FRAME_HEADER);
	buf_init(&blob, FRAME_MAX);
	tap_blob(&blob, body, f);
	mp_put_map(&h, 3);
	mp_put_cstr(&h, "sub");
	mp_put_cstr(&h, s->tap_name);
	mp_put_cstr(&h, "seq");
	mp_put_uint(&h, f->seq);
	mp_put_cstr(&h, "lossy");
	mp_put_bool(&h, true);
	if (blob.n > 0 && buf_check(&blob) == ERR_OK &&
	    send_map(d, session_peer(s), VERB_EVT, &h, buf_all(&blob)) ==
		ERR_CLOSED)
		s->over = true;
	buf_fini(&h);
	buf_fini(&blob);
}

void
peers_tap(struct daemon *d)
{
	const struct batch *b = &d->batch;

	for (size_t i = 0; i < d->sessions.n; i++) {
		struct session *s = d->sessions.all[i];
		const struct batch_record *r;

		if (!s->tap || s->over)
			continue;
		for (const struct fact *f = b->first; f != NULL; f = f->next) {
			r = &b->records[f->seq - b->seq0];
			tap_one(
			    d, s, slice_of(b->turn.bytes.p + r->at, r->n), f);
		}
	}
}

/* ---- the rest ---- */

static enum err
on_ping(struct daemon *d, struct session *s, struct slice header)
{
	struct slice list, report;
	struct mp_in in;
	struct buf h;
	struct mp m;
	enum err e;

	if (mp_get(header, "extend", &list)) {
		in = mp_in(list);
		e = mp_next(&in, &m);
		if (e != ERR_OK || m.type != MP_ARRAY || m.count > EXTEND_MAX)
			return err_note(ERR_RANGE,
			    "PING: extend is a list of at most %d", EXTEND_MAX);
		for (uint32_t left = m.count; left > 0; left--) {
			e = mp_next(&in, &m);
			if (e != ERR_OK || m.type != MP_INT)
				return err_note(
				    ERR_TYPE, "PING: extend holds sequences");
			delivery_extend(&d->delivery, s, (uint64_t)m.i);
		}
	}
	if (mp_get(header, "report", &report)) {
		in = mp_in(report);
		e = mp_next(&in, &m);
		if (e != ERR_OK || m.type != MP_MAP || m.count > SESSION_REPORT)
			return err_note(ERR_RANGE,
			    "PING: report is a map of at most %d counters",
			    SESSION_REPORT);
		buf_reset(&s->report);
		buf_slice(&s->report, report);
	}
	buf_init(&h, FRAME_HEADER);
	mp_put_map(&h, 1);
	mp_put_cstr(&h, "epoch");
	mp_put_uint(&h, d->core.epoch);
	if (send_map(d, session_peer(s), VERB_PONG, &h, SLICE_EMPTY) != ERR_OK)
		s->over = true;
	buf_fini(&h);
	return ERR_OK;
}

static enum err
may_ask(const struct session *s, struct slice query)
{
	struct slice what = SLICE_EMPTY;
	bool unseal = false;
	enum err e;

	(void)mp_get_str(query, "query", &what);
	(void)mp_get_bool(query, "unseal", &unseal);
	e = may(s, MAY_ASK, what);
	return e == ERR_OK && unseal ? may(s, MAY_UNSEAL, SLICE_EMPTY) : e;
}

static void
on_ask(struct daemon *d, struct session *s, const struct bus_msg *m)
{
	struct slice query = bus_part(m, 3);
	int64_t id = 0;

	if (!mp_get_int(bus_part(m, 2), "id", &id) || id < 1) {
		peers_error(d, session_peer(s), ERR_SYNTAX,
		    "ASK needs an id from 1", 0);
		return;
	}
	if (s->role != ROLE_OPERATOR)
		peers_error(d, session_peer(s), ERR_DENIED,
		    "only operators may ask", (uint64_t)id);
	else if (query.n > FRAME_HEADER * 4 || mp_check(query) != ERR_OK)
		peers_error(d, session_peer(s), ERR_SYNTAX,
		    "ASK: the query is one msgpack map", (uint64_t)id);
	else if (may_ask(s, query) != ERR_OK)
		peers_error(
		    d, session_peer(s), ERR_DENIED, err_last(), (uint64_t)id);
	else
		ask_answer(d, s, (uint64_t)id, query);
}

static void
on_other(
    struct daemon *d, struct session *s, enum verb v, const struct bus_msg *m)
{
	struct slice sub = SLICE_EMPTY;
	enum err e = ERR_OK;

	switch (v) {
	case VERB_SUB:
		e = on_sub(d, s, bus_part(m, 2));
		(void)mp_get_str(bus_part(m, 2), "name", &sub);
		break;
	case VERB_ASK:
		on_ask(d, s, m);
		break;
	case VERB_PING:
		e = on_ping(d, s, bus_part(m, 2));
		break;
	case VERB_BYE:
		session_end(d, s, true);
		return;
	default:
		e = err_note(
		    ERR_SYNTAX, "%s is the broker's to say", verb_name(v));
		break;
	}
	if (e != ERR_OK)
		say_error(d, session_peer(s), e, err_last(), 0, sub);
}

void
peers_message(struct daemon *d, struct bus_msg *m)
{
	struct slice peer = bus_peer(m), header = bus_part(m, 2);
	struct session *s = session_find(&d->sessions, peer);
	enum verb v = verb_read(bus_part(m, 1));

	if (s != NULL && !session_is_of(s, bus_user(m))) {
		session_end(d, s, false);
		s = NULL;
	} else if (s != NULL) {
		s->heard = clock_mono();
		if (s->over)
			s = NULL;
	}
	if (!m->whole || v == VERB_COUNT || header.n > FRAME_HEADER ||
	    mp_check(header) != ERR_OK || (header.p[0] & 0xf0) != 0x80) {
		peers_error(d, peer, ERR_SYNTAX,
		    "this is no message of the bus, version 1", 0);
	} else if (v == VERB_HELLO) {
		on_hello(d, s, m);
	} else if (s == NULL) {
		peers_error(d, peer, ERR_NOSESSION, "say HELLO first", 0);
	} else if (v == VERB_PUB) {
		on_pub(d, s, m);
		return;
	} else {
		on_other(d, s, v, m);
	}
	bus_release(m);
}
