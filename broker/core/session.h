/*
 * session - who is connected: one entry a connection that said HELLO.
 *
 * A name of role connector or receiver has at most one session; operators are
 * not exclusive. What a session holds elsewhere (deliveries, taps) is freed by
 * those rooms when turn.c ends it; here is only who it is and what of its
 * numbering we have seen.
 */
#ifndef VAYLA_CORE_SESSION_H
#define VAYLA_CORE_SESSION_H

#include "broker/base/buf.h"
#include "broker/core/table.h"
#include "broker/core/users.h"

#define SESSIONS_MAX 256
#define SESSION_SILENT_MS 30000
#define SESSION_WINDOW 1024
#define SESSION_BYTES (8 * 1024 * 1024)
#define SESSION_REPORT 64 /* counters a session may report */

enum role { ROLE_CONNECTOR, ROLE_RECEIVER, ROLE_OPERATOR, ROLE_NONE };

struct session {
	uint8_t peer[256]; /* the connection's routing id */
	size_t peer_n;
	char key[ACCESS_KEY]; /* that its connection showed; empty: ours */
	const struct access_user *who; /* the user of that key */
	char name[33];
	enum role role;
	int64_t since;	   /* wall clock */
	int64_t heard;	   /* monotonic */
	uint64_t next;	   /* the n we expect; 0: any */
	uint64_t done;	   /* the highest n that this turn answers */
	bool answer;	   /* `done` is to be said after the turn */
	int64_t deaf;	   /* since when it could not be, monotonic; or 0 */
	bool over;	   /* ended; freed at the end of the turn */
	uint64_t id;	   /* rises: tells two sessions of one peer apart */
	struct buf report; /* msgpack map, as it was sent */
	/* the lossy tap */
	bool tap;
	char tap_name[33];
	struct buf tap_type, tap_subject;
};

struct sessions {
	struct table by_peer;
	struct session *all[SESSIONS_MAX];
	size_t n;
	uint64_t last_id;
};

const char *role_name(enum role r);
enum role role_by_name(struct slice s); /* ROLE_NONE when it is none */
bool name_is_good(struct slice s);	/* [a-z][a-z0-9_-]{0,31} */

void sessions_init(struct sessions *t);
void sessions_fini(struct sessions *t);
struct session *session_find(const struct sessions *t, struct slice peer);
/* The exclusive holder of that name, NULL when there is none. */
struct session *session_holder(
    const struct sessions *t, enum role role, struct slice name);
/* NULL when there are too many. */
struct session *session_add(struct sessions *t, struct slice peer,
    const struct access_user *who, enum role role, struct slice name);
/* Is it of the connection that showed this key? Routing ids are not proof: one
 * that is free again is anybody's. */
bool session_is_of(const struct session *s, const char *key);
void session_remove(struct sessions *t, struct session *s);

static inline struct slice
session_peer(const struct session *s)
{
	return slice_of(s->peer, s->peer_n);
}
static inline struct slice
session_name(const struct session *s)
{
	return slice_str(s->name);
}

#endif
