/* session - see session.h. */
#include <stdlib.h>

#include "broker/base/clock.h"
#include "broker/core/session.h"

static const char *const roles[] = {"connector", "receiver", "operator"};

const char *
role_name(enum role r)
{
	return r < ROLE_NONE ? roles[r] : "?";
}

enum role
role_by_name(struct slice s)
{
	int r;

	for (r = 0; r < ROLE_NONE; r++)
		if (slice_is(s, roles[r]))
			break;
	return (enum role)r;
}

bool
name_is_good(struct slice s)
{
	if (s.n == 0 || s.n > 32 || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 1; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '_' || c == '-'))
			return false;
	}
	return true;
}

void
sessions_init(struct sessions *t)
{
	table_init(&t->by_peer);
	t->n = 0;
	t->last_id = 0;
}

void
sessions_fini(struct sessions *t)
{
	while (t->n > 0)
		session_remove(t, t->all[t->n - 1]);
	table_fini(&t->by_peer);
}

struct session *
session_find(const struct sessions *t, struct slice peer)
{
	uint64_t h = table_hash(peer, SLICE_EMPTY);
	struct session *s;
	size_t at = 0;

	while ((s = table_probe(&t->by_peer, h, &at)) != NULL)
		if (slice_eq(session_peer(s), peer))
			return s;
	return NULL;
}

struct session *
session_holder(const struct sessions *t, enum role role, struct slice name)
{
	if (role == ROLE_OPERATOR)
		return NULL;
	for (size_t i = 0; i < t->n; i++)
		if (t->all[i]->role == role && !t->all[i]->over &&
		    slice_eq(session_name(t->all[i]), name))
			return t->all[i];
	return NULL;
}

struct session *
session_add(struct sessions *t, struct slice peer,
    const struct access_user *who, enum role role, struct slice name)
{
	struct session *s;

	if (t->n == SESSIONS_MAX || peer.n > sizeof(s->peer) ||
	    name.n >= sizeof(s->name))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		err_die("no memory for a session");
	memcpy(s->peer, peer.p, peer.n);
	s->peer_n = peer.n;
	memcpy(s->key, who->key, sizeof(s->key));
	s->who = who;
	memcpy(s->name, name.p, name.n);
	s->role = role;
	s->since = clock_now();
	s->heard = clock_mono();
	s->id = ++t->last_id;
	buf_init(&s->report, 4096);
	buf_init(&s->tap_type, 256);
	buf_init(&s->tap_subject, 256);
	table_add(&t->by_peer, table_hash(peer, SLICE_EMPTY), s);
	t->all[t->n++] = s;
	return s;
}

void
session_remove(struct sessions *t, struct session *s)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->all[i] == s) {
			t->all[i] = t->all[--t->n];
			break;
		}
	table_remove(&t->by_peer, table_hash(session_peer(s), SLICE_EMPTY), s);
	buf_fini(&s->report);
	buf_fini(&s->tap_type);
	buf_fini(&s->tap_subject);
	free(s);
}

bool
session_is_of(const struct session *s, const char *key)
{
	return strcmp(s->key, key != NULL ? key : "") == 0;
}
