/*
 * signin - one-time links and sessions of the console.
 *
 * The link in DATA/console.link (mode 0600) holds a token of 256 random bits;
 * it works once and a new one is written at once. A session is another such
 * token in a cookie, kept here as its SHA-256; at most SIGNIN_SESSIONS, the
 * oldest goes first; each ends after 12 hours. One thread.
 */
#ifndef VAYLA_CONSOLE_SIGNIN_H
#define VAYLA_CONSOLE_SIGNIN_H

#include "broker/base/crypt.h"

#define SIGNIN_SESSIONS 64
#define SIGNIN_TOKEN 64 /* hex digits */

struct signin {
	const char *url, *data;
	uint8_t link[32]; /* SHA-256 of the link's token */
	struct {
		uint8_t hash[32];
		int64_t until; /* clock_mono(); 0 = free */
	} sessions[SIGNIN_SESSIONS];
};

/* Writes the first link. */
enum err signin_init(
    struct signin *s, const char *url, const char *data) MUST_CHECK;
/* The link's token as a person brought it: begins a session, whose token goes
 * into the cookie, and writes the next link. ERR_DENIED: used or wrong. */
enum err signin_use(struct signin *s, const char *token,
    char cookie[SIGNIN_TOKEN + 1]) MUST_CHECK;
bool signin_valid(struct signin *s, const char *cookie);

#endif
