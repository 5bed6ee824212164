/*
 * config - vayla.yaml, read once: where things are and which systems there are.
 *
 * Every process reads the same file. Values may hold ${VAR}, ${VAR:-default}
 * and ${VAR:?message}; for VAR unset, VAR_FILE and then
 * $CREDENTIALS_DIRECTORY/VAR name a file that holds the value (one final
 * newline is cut). All errors are collected in `faults`; nothing starts with
 * one. What a system's settings mean is its pack's business
 * (mappings/engine/pack.h).
 *
 * Relative paths are relative to the folder of vayla.yaml, except in
 * ipc:// addresses and paths that begin with "./" or "../", which are relative
 * to the working directory of the process, as a person typing them expects.
 */
#ifndef VAYLA_BASE_CONFIG_H
#define VAYLA_BASE_CONFIG_H

#include "broker/base/yaml.h"

struct config_system {
	struct slice name; /* [a-z][a-z0-9_-]*, at most 32 */
	struct slice pack; /* `use:` */
	struct slice of; /* whose orders and payments; own name if not given */
	bool live;	 /* mode: live (default observe) */
	struct slice since;	 /* "2026-01-01" or empty */
	const struct yaml *node; /* the whole entry: settings and tables:, with
				    ${VAR} already replaced in the scalars */
};

#define CONFIG_BUSES 4

struct config {
	const char *file;
	const char *data; /* broker.data, folder */
	const char *bus;  /* broker.bus, "ipc://..." or "tcp://..." */
	const char *bus_more[CONFIG_BUSES]; /* its others, when it is a list */
	size_t bus_more_n;
	const char *access;  /* broker.access: the folder of the bus's keys */
	const char *console; /* broker.console, "http://127.0.0.1:7180" */
	const char *packs;   /* broker.packs: the mappings folder */
	int64_t retry_first_ms, retry_most_ms,
	    retry_attempts;		  /* broker.retry */
	int64_t keep_seconds, keep_bytes; /* broker.retention; 0: all */
	const char *standby; /* broker.standby.listen, NULL: there is none */
	bool standby_alone;  /* .away: alone; else wait */
	int64_t standby_seconds; /* .patience */
	const char *follow;	 /* broker.follow: the primary's address */
	const char *listen;	 /* receiver.listen; NULL without receiver: */
	const char
	    *public; /* receiver.public: what senders know us by, or NULL */
	size_t systems_n;
	struct config_system *systems; /* in the file's order */
	const struct yaml *root;
	struct arena arena; /* owns everything above */
};

/* broker.packs defaults to the first that exists of: $VAYLA_PACKS, mappings
 * beside the program's folder (../mappings), ./mappings, /usr/share/vayla/
 * mappings. */
enum err config_load(
    struct config **out, const char *path, struct faults *f) MUST_CHECK;
/* As config_load, but with faults *out is set too as far as the file could be
 * read (else NULL), so that `vayla check` can go on to the packs. */
enum err config_check(
    struct config **out, const char *path, struct faults *f) MUST_CHECK;
void config_free(struct config *c);

/* The packs folder when nobody named one, as above; false when there is none.
 * n: room at out. */
bool config_packs(char *out, size_t n);
const struct config_system *config_system(
    const struct config *c, struct slice name);

/* A path as written in vayla.yaml, as the process opens it (see above). */
void config_path(const struct config *c, struct slice written, struct buf *out);

/* The words of vayla.yaml, each list once, NULL-terminated: the file is read by
 * them, and the JSON Schema for editors is made from them. */
extern const char *const config_words_file[];
extern const char *const config_words_broker[];
extern const char *const config_words_retry[];
extern const char *const config_words_retention[];
extern const char *const config_words_standby[];
extern const char *const config_words_receiver[];

#endif
