/*
 * play - sends what the scripts say to a running Vayla over HTTP: several
 * orders at once, the messages of one order one after the other, each repeated
 * until it is taken (503, no connection) as real senders or their polls do.
 */
#ifndef VAYLA_SIM_PLAY_H
#define VAYLA_SIM_PLAY_H

#include <signal.h>
#include <stdio.h>

#include "connectors/sim/actor.h"
#include "connectors/sim/far.h"
#include "connectors/sim/script.h"
#include "connectors/sim/week.h"

#define PLAY_LANES_MAX 64

struct play_options {
	uint64_t seed;
	int64_t first; /* number of the first order */
	int64_t orders;
	int64_t rate;	  /* orders a second; 0 as fast as they are taken */
	int64_t lanes;	  /* orders under way at once */
	int64_t patience; /* seconds a message is repeated for */
	int64_t at;	  /* the orders' moment, ns; 0 = now */
	const char *base; /* "http://127.0.0.1:7181" */
	struct far *far;  /* that answers meanwhile; or NULL */
	FILE *log;	  /* one line of JSON an order; or NULL */
	bool quiet;	  /* no progress */
	struct week
	    *week;	 /* play its messages, not order after order; or NULL */
	int64_t seconds; /* that the week takes; 0 as fast as it is taken */
	const volatile sig_atomic_t *stop; /* or NULL */
};

struct play_counts {
	uint64_t sent, taken, repeated, refused, lost;
};

struct play_report {
	int64_t orders;
	uint64_t fates[FATE_COUNT];
	int64_t open[FATE_COUNT];     /* cents ordered and not paid, by fate */
	int64_t gross, vat, captured; /* cents, of the orders' final state */
	struct play_counts all, *of;  /* of[i]: actor i */
	int64_t ns;
	char file[4400]; /* the last one that was put into a folder, or "" */
	char first_refusal[512]; /* "" when there was none */
};

/* ERR_OK also when something was refused: the report tells. ERR_TIMEOUT when it
 * was stopped. Free report->of with free(). */
enum err play(struct actors *a, const struct play_options *o,
    struct play_report *report) MUST_CHECK;

void play_print(FILE *out, const struct actors *a, const struct play_report *r);

#endif
