/*
 * sdk - what every connector shares: configuration, packs and settings, the
 * client of the bus, one poll loop, settlements.
 *
 * A connector is a descriptor, `const struct connector connector_NAME`, and one
 * line for it in connectors/sdk/table.c. The process is single-threaded and
 * nothing in it may block: a connector gives the loop its descriptors and the
 * time it wants to be called again, and is called.
 *
 *	load config, packs, settings; check()      all faults at once, or
 *	open()                                     go on
 *	loop: poll(fds(), bus, signals, next_ms)
 *	      on_delivery() for each that came
 *	      step()
 *	      what was settled goes out in one PUB
 *	SIGTERM, SIGINT, the parent's end: drain() until true, at most 5 s
 *	close()
 *
 * Rejected: threads or one process for all systems: a connector that hangs or
 * leaks hurts its own system only.
 */
#ifndef VAYLA_CONNECTORS_SDK_SDK_H
#define VAYLA_CONNECTORS_SDK_SDK_H

#include <poll.h>

#include "broker/wire/client.h"
#include "mappings/engine/pack.h"

#define SDK_FDS 64 /* descriptors of one connector, at the most */

/* One system this process speaks for. */
struct sdk_system {
	const struct config_system *conf;
	const struct pack *pack;
	struct slice open; /* settings as a msgpack map, without secrets */
	struct slice all;  /* with them; wiped when the process ends */
};

struct sdk_loop; /* the loop's own */

struct sdk {
	const struct connector *kind;
	const struct config *config;
	const char *name; /* as the bus knows us: "books", "receiver" */
	size_t systems_n; /* 1 when kind->single, else all it takes */
	const struct sdk_system *systems;
	struct arena *arena;   /* lives as long as the process */
	struct client *client; /* for client_publish(); NULL until open() */
	struct sdk_loop *loop;
};

struct delivery {
	struct slice sub;
	uint64_t seq;
	uint32_t attempt; /* from 1 */
	bool again;	  /* it may have been done already: look first */
	const struct event *event;
};

/* What became of a delivery, with its effect. Zeroed: ok without an effect. */
struct settled {
	enum settle_verdict is; /* OK RETRY DEFER REJECT ASK */
	int64_t after_ms;	/* RETRY, DEFER: as the far side asked; or 0 */
	const char *text;	/* what is wrong, where, what to do; or NULL */
	int64_t status;		/* of the far side: 200; 0 = none */
	struct slice remote;	/* its id for what we made; or empty */
	struct slice digest;	/* SHA-256 of what was sent; or empty */
	struct slice excerpt;	/* of its answer; or empty */
};

struct connector {
	const char *name; /* "file", "receiver" */
	const char *role; /* in HELLO: "connector", "receiver" */
	bool single;	  /* a process per system; else one for all */

	/* Is this the connector for systems of that pack? */
	bool (*takes)(const struct pack *p);

	/* Has it anything to do for this system, as it is set up? NULL: yes.
	 */
	bool (*needed)(const struct sdk_system *x);

	/* What can be wrong with its sections of a pack, whatever the systems,
	 * into `f`: also asked by `vayla check`, of every pack it takes; or
	 * NULL. */
	void (*check_pack)(
	    const struct pack *p, struct arena *a, struct faults *f);

	/* deliveries: 0 = none are taken (no subscription) */
	uint32_t window; /* in hand at once */
	uint32_t window_bytes;
	int64_t patience_ms;

	/* What can be wrong before anything is touched, into `f`; or NULL. */
	void (*check)(const struct sdk *s, struct faults *f);

	/* *self is given to all that follows. An error ends the process, its
	 * note is the line a person reads. */
	enum err (*open)(struct sdk *s, void **self);

	/* A delivery; its slices live for the call. Settle it now or later
	 * with sdk_settle(). NULL when window is 0. */
	void (*on_delivery)(void *self, const struct delivery *d);

	/* Fill in what to poll for, at most SDK_FDS; or NULL. An epoll
	 * descriptor of one's own (libmicrohttpd, libcurl) counts as one. */
	size_t (*fds)(void *self, struct pollfd *fds);

	/* Once a turn of the loop, after deliveries were handed over. Lower
	 * *next_ms to be called again by then at the latest (it comes in as
	 * what others want, never negative). An error ends the process. */
	enum err (*step)(void *self, int *next_ms);

	/* Counters beside the loop's own, for the broker's status: up to 32
	 * pairs of text and unsigned appended, their number returned; or NULL.
	 */
	uint32_t (*report)(void *self, struct buf *out);

	/* The process shall end: take nothing new. true when nothing is under
	 * way any more; or NULL. */
	bool (*drain)(void *self);

	void (*close)(void *self); /* NULL self is a no-op */
};

/*
 * Settle a delivery in hand; it goes out at the end of this turn of the loop,
 * together with all others of the turn. A seq that is not in hand (delivered
 * to a session that is gone, settled already) is passed over in silence: the
 * broker delivers again what it does not know to be settled. One that comes
 * again while it is in hand is not handed over twice.
 */
void sdk_settle(struct sdk *s, uint64_t seq, const struct settled *v);

/* Settle it and publish what the far side answered, in one PUB: neither is on
 * disk without the other. ERR_LIMIT when the answer is too large for that; then
 * nothing was settled. An answer the broker refuses for good is left out. */
enum err sdk_answer(struct sdk *s, uint64_t seq, const struct settled *v,
    const struct event *answer) MUST_CHECK;

/* Still at it: keeps the patience of a delivery from running out. */
void sdk_extend(struct sdk *s, uint64_t seq);

/* The system of that name among ours, or NULL. */
const struct sdk_system *sdk_system(const struct sdk *s, struct slice name);

/* All connectors there are, closed by NULL. */
extern const struct connector *const connector_table[];

/* The connector that takes this pack, of those with a process per system or of
 * the others; NULL when there is none. */
const struct connector *connector_for(const struct pack *p, bool single);

#endif
