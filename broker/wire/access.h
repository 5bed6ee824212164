/*
 * access - the key files of the bus: who there is, and what each may say
 * (PROTOCOL.md 1). Both ends read them: the broker to know its peers, a client
 * to show who it is.
 *
 * A folder (broker.access of vayla.yaml, DATA/access) holds for each user
 * USER.pub, which is no secret, and, where that user works, USER.key with the
 * private key, for its owner alone (0600). The broker is the user "broker".
 * A revoked key stays as a .pub that says so: nobody makes it again by mistake.
 *
 * Invariant: a .pub is written after its .key, and each is whole or absent.
 * Rejected: one file of all users (two people at once, and a remote machine
 * needs two of them); keys in vayla.yaml (it is copied into tickets).
 */
#ifndef VAYLA_WIRE_ACCESS_H
#define VAYLA_WIRE_ACCESS_H

#include "broker/base/config.h"

#define ACCESS_KEY 41 /* Z85 and its end */
#define ACCESS_USER 33
#define ACCESS_RIGHTS 32
#define ACCESS_PREFIX 64
#define ACCESS_USERS 2000

/* Users that are made by themselves beside one for each system. */
#define ACCESS_BROKER "broker"
#define ACCESS_OPERATOR "operator" /* people at this machine, by any name */
#define ACCESS_RECEIVER "receiver"

enum access_verb {
	MAY_PUBLISH, /* events, by type */
	MAY_TAKE,    /* subscribe to a system's requests and settle them */
	MAY_ACT,     /* by act */
	MAY_ASK,     /* by query */
	MAY_TAP,     /* by type */
	MAY_UNSEAL,  /* see personal values in an answer */
	MAY_COUNT
};

struct access_right {
	enum access_verb verb;
	char prefix[ACCESS_PREFIX]; /* empty: all */
};

struct access_user {
	char name[ACCESS_USER], key[ACCESS_KEY], role[16];
	bool any_name; /* may give any name: this machine's operator */
	bool revoked;
	bool all; /* no list of rights: all that the role may */
	size_t rights_n;
	struct access_right rights[ACCESS_RIGHTS];
	char made[32], by[64];
};

/* What a client shows, and the broker it expects. */
struct access_keys {
	char user[ACCESS_USER];
	char server[ACCESS_KEY], public[ACCESS_KEY], secret[ACCESS_KEY];
};

/* May that user do this with that type, act or query? */
bool access_may(
    const struct access_user *u, enum access_verb v, struct slice what);
const char *access_verb_name(enum access_verb v);

/* "publish:toyshop., ask" into rights: ERR_SYNTAX names what is wrong. */
enum err access_rights(struct access_user *u, const char *text) MUST_CHECK;

/* Keys for the broker, this machine's operator, the receiver and each system,
 * where there are none yet. */
enum err access_make_own(const struct config *c) MUST_CHECK;

/* A new pair for u->name, role and rights as in *u: the private key goes to
 * `out` (the folder itself when NULL), which gets the broker's .pub as well.
 * Replaces an older one. */
enum err access_new(const char *dir, const char *out, struct access_user *u,
    const char *by) MUST_CHECK;
/* ERR_NOTFOUND: no such user. */
enum err access_revoke(
    const char *dir, const char *user, const char *by) MUST_CHECK;

/* All users but the broker, sorted by name; free() them. A file that cannot be
 * read is logged and left out: it opens nothing. */
enum err access_list(
    const char *dir, struct access_user **out, size_t *n) MUST_CHECK;

/* The broker's own pair: server is its public key, too. */
enum err access_server(const char *dir, struct access_keys *out) MUST_CHECK;
/* A client's: the file that $VAYLA_KEY names, or `user`'s in the folder.
 * Wipe it after use. */
enum err access_client(
    const char *dir, const char *user, struct access_keys *out) MUST_CHECK;
/* Show them at a ZeroMQ socket that is about to connect. */
enum err access_set(void *socket, const struct access_keys *k) MUST_CHECK;
void access_wipe(struct access_keys *k);

#endif
