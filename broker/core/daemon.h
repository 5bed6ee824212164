/*
 * daemon - the turn thread's own state, shared by the files that make it up:
 * turn.c (the loop), accept.c (what a PUB may hold and what it does), peers.c
 * (sessions and what they say besides), ask.c (queries). Private to them and
 * broker.c.
 */
#ifndef VAYLA_CORE_DAEMON_H
#define VAYLA_CORE_DAEMON_H

#include <pthread.h>

#include "broker/core/broker.h"
#include "broker/core/delivery.h"
#include "broker/core/strays.h"
#include "broker/core/flush.h"
#include "broker/core/histo.h"
#include "broker/core/query.h"
#include "broker/core/retain.h"
#include "broker/core/route.h"
#include "broker/core/rules.h"
#include "broker/core/ship.h"

#define TURN_RECORDS 1024	 /* received in one turn */
#define TURN_INPUT (1024 * 1024) /* and their bytes, but for the last */
#define TURN_EARLY 1024		 /* messages taken during a flush */
#define TURN_RESUMES 512	 /* held mappings tried in one turn */
#define TYPES_MAX 128		 /* counted one by one */

/* A PUB that waits for its turn to be on disk. */
struct pub {
	struct session *from; /* NULL: its session is over, nobody is told */
	const struct access_user *who;
	enum role role;
	char name[33];
	struct bus_msg msg;
	uint64_t n;
	uint32_t count;
	bool vital;   /* holds a settlement or an action */
	bool refused; /* PUBNO was sent */
};

struct type_count {
	char name[EVENT_TEXT + 1];
	uint64_t n;
};

struct daemon {
	struct core core;
	struct bus *bus;
	struct users users;
	struct sessions sessions;
	struct batch batch;
	struct guard *guard;
	struct holds holds;
	struct router router;
	struct delivery delivery;
	struct rules rules;
	struct strays *strays;
	struct retain *retain;
	struct ship *ship; /* NULL: no standby */
	struct fence *fence;
	bool held; /* what is stored may not be confirmed: the standby */
	struct query query; /* with a reader of its own */
	struct sealer *asker;
	struct pub pubs[TURN_RECORDS];
	size_t pubs_n;
	size_t input; /* records, and */
	size_t input_bytes;
	size_t most; /* of both, as long as turns take too long: see pace() */
	/* what came while the turn before was on its way to the disk */
	struct flush *flush;
	struct bus_msg early[TURN_EARLY];
	size_t early_n, early_next, early_bytes;
	bool stop;
	int signals;		     /* signalfd */
	int64_t full_until;	     /* monotonic: events alone are refused */
	bool took_rules;	     /* the turn takes a ruleset into use */
	struct histo turns, flushes; /* how long they took */
	struct type_count types[TYPES_MAX];
	size_t types_n;
	/* for other threads */
	pthread_mutex_t lock;
	struct buf status;
	int64_t status_at;
};

/* turn.c */
enum err turn_open(struct daemon *d) MUST_CHECK;
enum err turn_loop(struct daemon *d) MUST_CHECK;

/* accept.c: within a turn. check() says whether a PUB can be taken and changes
 * nothing; apply() takes it, and its errors drop the turn. */
enum err accept_check(struct daemon *d, const struct pub *p) MUST_CHECK;
enum err accept_apply(struct daemon *d, const struct pub *p) MUST_CHECK;
/* The route of "map:SYSTEM/NAME" or "SYSTEM/NAME", NULL. */
const struct route *accept_route(struct daemon *d, struct slice sub);
/* An open item is passed over. */
enum err accept_skip(struct daemon *d, const struct action *a) MUST_CHECK;
/* edit.c */
enum err edit_apply(struct daemon *d, const struct action *a) MUST_CHECK;
/* Does it hold a settlement or an action? */
bool accept_is_vital(const struct pub *p);

/* peers.c */
void peers_knock(struct daemon *d); /* who wants to come in */
void peers_users(struct daemon *d); /* keys that were made or revoked */
void peers_message(struct daemon *d, struct bus_msg *m); /* takes it over */
void peers_refuse(struct daemon *d, struct pub *p, enum err e);
void peers_answer(struct daemon *d);	 /* PUBOK, after the turn */
bool peers_deaf(const struct daemon *d); /* has one yet to hear its PUBOK? */
void peers_tap(struct daemon *d);	 /* what the turn stored */
void peers_tidy(struct daemon *d);	 /* sessions that are over or silent */
void peers_error(struct daemon *d, struct slice peer, enum err e,
    const char *what, uint64_t id);

/* ask.c */
void ask_answer(
    struct daemon *d, struct session *s, uint64_t id, struct slice query);
enum err ask_status(struct daemon *d, struct buf *out) MUST_CHECK;

#endif
