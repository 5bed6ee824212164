/*
 * config - reading vayla.yaml; see config.h.
 *
 * Invariant: a struct config is handed out only when nothing in the file is
 * wrong as far as can be told without the packs; what a system's settings mean
 * is checked by pack_settings(). The texts may be secrets: config_free() wipes
 * every value of the tree.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/config_vars.h"
#include "broker/base/crypt.h"
#include "broker/base/yaml_check.h"

#define CONFIG_MEMORY ((size_t)64 * 1024 * 1024)
#define SYSTEM_NAME_MAX 32
#define SYSTEMS_MAX 1000

const char *const config_words_retry[] = {
    "first_ms", "most_ms", "attempts", NULL};
const char *const config_words_broker[] = {"data", "bus", "access", "console",
    "packs", "retry", "retention", "standby", "follow", NULL};
const char *const config_words_retention[] = {"age", "size", NULL};
const char *const config_words_standby[] = {"listen", "away", "patience", NULL};
const char *const config_words_receiver[] = {"listen", "public", NULL};
const char *const config_words_file[] = {
    "broker", "receiver", "systems", "promises", NULL};

struct load {
	struct yaml_at at;
	struct config *c;
	bool nomem;
};

static const char *
keep(struct load *l, struct slice s)
{
	const char *p = arena_strdup(&l->c->arena, s);

	if (p == NULL)
		l->nomem = true;
	return p != NULL ? p : "";
}

static struct slice
keep_slice(struct load *l, struct slice s)
{
	return slice_of(keep(l, s), s.n);
}

void
config_path(const struct config *c, struct slice written, struct buf *out)
{
	const char *slash = strrchr(c->file, '/');

	if (written.n > 0 && written.p[0] != '/' && !slice_is(written, ".") &&
	    !slice_is(written, "..") &&
	    !slice_starts(written, SLICE_LIT("./")) &&
	    !slice_starts(written, SLICE_LIT("../")) && slash != NULL)
		buf_put(out, c->file, (size_t)(slash - c->file) + 1);
	buf_slice(out, written);
}

static const char *
path_load(struct load *l, const struct yaml *y, const char *what,
    const char *otherwise)
{
	struct slice s = yaml_text(&l->at, y, what);
	struct buf b;
	const char *p;

	if (y == NULL)
		return otherwise;
	if (s.n == 0) {
		if (y->kind == YAML_SCALAR)
			fault(l->at.f, l->at.file, y, "%s is empty", what);
		return otherwise;
	}
	buf_init(&b, PATH_MAX);
	config_path(l->c, s, &b);
	if (b.bad)
		fault(l->at.f, l->at.file, y, "%s is longer than a path can be",
		    what);
	p = keep(l, buf_all(&b));
	buf_fini(&b);
	return p;
}

/* A port from 1 to 65535 after the last colon of "host:port". */
static bool
has_port(struct slice s)
{
	const uint8_t *colon = memrchr(s.p, ':', s.n);
	unsigned port = 0;

	if (colon == NULL || colon == s.p)
		return false;
	s = slice_from(s, (size_t)(colon - s.p) + 1);
	if (s.n == 0 || s.n > 5)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(s.p[i] - '0');
	}
	return port <= 65535;
}

static void
bus_check(struct load *l, const struct yaml *y, const char *what)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	struct slice s = y->text;

	if (slice_starts(s, SLICE_LIT("ipc://"))) {
		s = slice_from(s, 6);
		if (s.n == 0)
			fault(l->at.f, l->at.file, y,
			    "%s: ipc:// needs the path of a socket", what);
		else if (s.n > max)
			fault(l->at.f, l->at.file, y,
			    "%s: a socket's path may have %zu bytes, this has "
			    "%zu; use a shorter folder, such as /run/vayla",
			    what, max, s.n);
		return;
	}
	if (!slice_starts(s, SLICE_LIT("tcp://")))
		fault(l->at.f, l->at.file, y,
		    "%s must begin with ipc:// or tcp://", what);
	else if (!has_port(slice_from(s, 6)))
		fault(l->at.f, l->at.file, y,
		    "%s: tcp:// needs host and port: tcp://127.0.0.1:7100",
		    what);
}

static void
http_check(struct load *l, const struct yaml *y, const char *what)
{
	struct slice s = y->text;

	if (!slice_starts(s, SLICE_LIT("http://")))
		fault(l->at.f, l->at.file, y,
		    "%s must begin with http://; for https put a reverse "
		    "proxy before it",
		    what);
	else if (memchr(s.p + 7, '/', s.n - 7) != NULL)
		fault(l->at.f, l->at.file, y,
		    "%s is an address without a path: http://127.0.0.1:7180",
		    what);
	else if (!has_port(slice_from(s, 7)))
		fault(l->at.f, l->at.file, y,
		    "%s needs host and port: http://127.0.0.1:7180", what);
}

/* Where senders reach the receiver: a proxy's address, which may be https and
 * may have a path before /in. */
static void
public_check(struct load *l, const struct yaml *y, const char *what)
{
	struct slice s = y->text;

	if (!slice_starts(s, SLICE_LIT("http://")) &&
	    !slice_starts(s, SLICE_LIT("https://")))
		fault(l->at.f, l->at.file, y,
		    "%s is the address senders use: https://hooks.example.fi",
		    what);
	else if (s.p[s.n - 1] == '/' || s.n > 1024)
		fault(l->at.f, l->at.file, y,
		    "%s: write it without a slash at its end", what);
}

static const char *
address_load(struct load *l, const struct yaml *y, const char *what,
    const char *otherwise,
    void (*check)(struct load *, const struct yaml *, const char *))
{
	if (y == NULL || !yaml_want(&l->at, y, YAML_SCALAR, what))
		return otherwise;
	check(l, y, what);
	return keep(l, y->text);
}

/* One address, or a list of them: the first is where this machine's own
 * processes find the broker. */
static void
bus_load(struct load *l, const struct yaml *y)
{
	struct config *c = l->c;
	const struct yaml *first = y;

	if (y != NULL && y->kind == YAML_LIST) {
		first = y->child;
		if (y->count > CONFIG_BUSES + 1)
			fault(l->at.f, l->at.file, y,
			    "broker.bus: at most %d addresses",
			    CONFIG_BUSES + 1);
		else if (first != NULL)
			for (y = first->next; y != NULL; y = y->next)
				c->bus_more[c->bus_more_n++] = address_load(
				    l, y, "broker.bus", "", bus_check);
	}
	c->bus = address_load(
	    l, first, "broker.bus", "ipc://./var/bus.sock", bus_check);
}

/* DATA/access when it is not said. */
static const char *
access_load(struct load *l, const struct yaml *y)
{
	const char *path = path_load(l, y, "broker.access", NULL);
	struct buf b;

	if (path != NULL)
		return path;
	buf_init(&b, PATH_MAX);
	buf_printf(&b, "%s/access", l->c->data);
	path = keep(l, buf_all(&b));
	buf_fini(&b);
	return path;
}

static bool
is_dir(const char *path)
{
	return access(path, R_OK | X_OK) == 0;
}

bool
config_packs(char *out, size_t n)
{
	const char *env = getenv("VAYLA_PACKS");
	char exe[PATH_MAX + 16];
	const char *places[] = {
	    NULL, "./mappings", "/usr/share/vayla/mappings"};
	ssize_t len = readlink("/proc/self/exe", exe, PATH_MAX);
	char *slash;

	if (env != NULL && env[0] != '\0')
		return (size_t)snprintf(out, n, "%s", env) < n;
	if (len > 0) {
		exe[len] = '\0';
		for (int up = 0; up < 2; up++)
			if ((slash = strrchr(exe, '/')) != NULL)
				*slash = '\0';
		strcat(exe, "/mappings");
		places[0] = exe;
	}
	for (size_t i = 0; i < 3; i++)
		if (places[i] != NULL && is_dir(places[i]))
			return (size_t)snprintf(out, n, "%s", places[i]) < n;
	return false;
}

/* How deliveries are tried again: broker/wire/PROTOCOL.md, "Subscriptions". */
static void
retry_load(struct load *l, const struct yaml *y)
{
	static const int64_t most[] = {3600000, 86400000, 1000};
	int64_t *to[] = {
	    &l->c->retry_first_ms, &l->c->retry_most_ms, &l->c->retry_attempts};
	const struct yaml *v;
	char *end;
	long long n;

	l->c->retry_first_ms = 1000;
	l->c->retry_most_ms = 3600000;
	l->c->retry_attempts = 30;
	if (y == NULL ||
	    !yaml_known(&l->at, y, config_words_retry, "broker.retry"))
		return;
	for (size_t i = 0; i < 3; i++) {
		v = yaml_get(y, config_words_retry[i]);
		if (v == NULL)
			continue;
		n = v->kind == YAML_SCALAR
			? strtoll((const char *)v->text.p, &end, 10)
			: 0;
		if (n < 1 || n > most[i] || *end != '\0')
			fault(l->at.f, l->at.file, v,
			    "broker.retry.%s must be a number from 1 to %lld",
			    config_words_retry[i], (long long)most[i]);
		else
			*to[i] = n;
	}
}

/* "400d", "12h", "50GiB", "512MiB": a whole number and one of the units. */
static int64_t
measure(struct load *l, const struct yaml *y, const char *what,
    const char *const *units, const int64_t *worth)
{
	struct slice s = yaml_text(&l->at, y, what);
	char *end;
	long long n;

	if (y == NULL)
		return 0;
	n = s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9'
		? strtoll((const char *)s.p, &end, 10)
		: 0;
	for (size_t i = 0; n > 0 && units[i] != NULL; i++)
		if (strcmp(end, units[i]) == 0 && n <= INT64_MAX / worth[i])
			return n * worth[i];
	fault(l->at.f, l->at.file, y,
	    "%s must be a whole number with its unit: %s or %s", what, units[0],
	    units[1]);
	return 0;
}

/* How long the journal is kept: broker/core/retain.h. */
static void
retention_load(struct load *l, const struct yaml *y)
{
	static const char *const times[] = {"d", "h", "s", NULL};
	static const char *const sizes[] = {"GiB", "MiB", NULL};
	static const int64_t seconds[] = {86400, 3600, 1};
	static const int64_t bytes[] = {1 << 30, 1 << 20};

	if (y == NULL ||
	    !yaml_known(&l->at, y, config_words_retention, "broker.retention"))
		return;
	l->c->keep_seconds = measure(
	    l, yaml_get(y, "age"), "broker.retention.age", times, seconds);
	l->c->keep_bytes = measure(
	    l, yaml_get(y, "size"), "broker.retention.size", sizes, bytes);
}

/* A second machine: broker/core/ship.h and standby.c. */
static void
standby_load(struct load *l, const struct yaml *y, const struct yaml *follow)
{
	static const char *const ways[] = {"wait", "alone", NULL};
	static const char *const times[] = {"s", "h", NULL};
	static const int64_t seconds[] = {1, 3600};
	struct config *c = l->c;

	c->standby_seconds = 5;
	c->follow = address_load(l, follow, "broker.follow", NULL, bus_check);
	if (y == NULL ||
	    !yaml_known(&l->at, y, config_words_standby, "broker.standby"))
		return;
	c->standby = address_load(
	    l, yaml_get(y, "listen"), "broker.standby.listen", NULL, bus_check);
	if (c->standby == NULL)
		fault(l->at.f, l->at.file, y,
		    "broker.standby needs listen: the address where the "
		    "standby asks");
	/* Nobody may be surprised by what happens then. */
	if (yaml_get(y, "away") == NULL)
		fault(l->at.f, l->at.file, y,
		    "broker.standby needs away: wait (nothing is confirmed "
		    "without the standby) or alone (it goes on and says so)");
	else
		c->standby_alone = yaml_word(&l->at, yaml_get(y, "away"), ways,
				       "broker.standby.away") == 1;
	if (yaml_get(y, "patience") != NULL)
		c->standby_seconds = measure(l, yaml_get(y, "patience"),
		    "broker.standby.patience", times, seconds);
}

static void
broker_load(struct load *l, const struct yaml *y)
{
	struct config *c = l->c;
	const struct yaml *packs = yaml_get(y, "packs");
	char found[PATH_MAX];

	if (y != NULL)
		(void)yaml_known(&l->at, y, config_words_broker, "broker");
	retry_load(l, yaml_get(y, "retry"));
	retention_load(l, yaml_get(y, "retention"));
	standby_load(l, yaml_get(y, "standby"), yaml_get(y, "follow"));
	c->data = path_load(l, yaml_get(y, "data"), "broker.data", "./var");
	bus_load(l, yaml_get(y, "bus"));
	c->access = access_load(l, yaml_get(y, "access"));
	c->console = address_load(l, yaml_get(y, "console"), "broker.console",
	    "http://127.0.0.1:7180", http_check);
	if (packs == NULL) {
		c->packs = "";
		if (config_packs(found, sizeof(found)))
			c->packs = keep(l, slice_str(found));
		else
			fault(l->at.f, l->at.file, NULL,
			    "no packs found: say where they are with "
			    "broker.packs or VAYLA_PACKS");
		return;
	}
	c->packs = path_load(l, packs, "broker.packs", "");
	if (c->packs[0] != '\0' && !is_dir(c->packs))
		fault(l->at.f, l->at.file, packs,
		    "broker.packs: there is no folder %s", c->packs);
}

static void
receiver_load(struct load *l, const struct yaml *y)
{
	if (y == NULL)
		return;
	(void)yaml_known(&l->at, y, config_words_receiver, "receiver");
	l->c->public = address_load(
	    l, yaml_get(y, "public"), "receiver.public", NULL, public_check);
	l->c->listen = address_load(l, yaml_get(y, "listen"), "receiver.listen",
	    "http://127.0.0.1:7181", http_check);
	if (strcmp(l->c->listen, l->c->console) == 0)
		fault(l->at.f, l->at.file, y,
		    "receiver.listen and broker.console are both %s; give "
		    "each a port of its own",
		    l->c->listen);
}

static bool
is_system_name(struct slice s)
{
	if (s.n == 0 || s.n > SYSTEM_NAME_MAX || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' ||
			s.p[i] == '-'))
			return false;
	return true;
}

static bool
is_date(struct slice s)
{
	static const char like[] = "dddd-dd-dd";
	unsigned month, day;

	if (s.n != sizeof(like) - 1)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (like[i] == 'd' ? s.p[i] < '0' || s.p[i] > '9'
				   : s.p[i] != '-')
			return false;
	month = (unsigned)(s.p[5] - '0') * 10 + (unsigned)(s.p[6] - '0');
	day = (unsigned)(s.p[8] - '0') * 10 + (unsigned)(s.p[9] - '0');
	return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static void
system_load(struct load *l, const struct yaml *y, struct config_system *s)
{
	static const char *const modes[] = {"observe", "live", NULL};
	const struct yaml *use, *since, *tables;

	s->name = keep_slice(l, y->key->text);
	s->pack = s->since = SLICE_EMPTY;
	s->of = s->name;
	s->node = y;
	if (!is_system_name(s->name))
		fault(l->at.f, l->at.file, y->key,
		    "\"%.*s\" is no name for a system: small letters, digits, "
		    "- and _, at most %d",
		    SLICE_ARG(s->name), SYSTEM_NAME_MAX);
	if (slice_is(s->name, "broker") || slice_is(s->name, "operator") ||
	    slice_is(s->name, "receiver"))
		fault(l->at.f, l->at.file, y->key,
		    "a system cannot be called %.*s: that name has a key of "
		    "its own on the bus",
		    SLICE_ARG(s->name));
	if (!yaml_want(&l->at, y, YAML_MAP, "a system"))
		return;
	if ((use = yaml_get(y, "use")) == NULL)
		fault(l->at.f, l->at.file, y,
		    "system %.*s does not say which pack it uses: use: PACK",
		    SLICE_ARG(s->name));
	s->pack = yaml_text(&l->at, use, "use");
	if (yaml_get(y, "of") != NULL)
		s->of = yaml_text(&l->at, yaml_get(y, "of"), "of");
	s->live = yaml_word(&l->at, yaml_get(y, "mode"), modes, "mode") == 1;
	since = yaml_get(y, "since");
	if (since != NULL && yaml_want(&l->at, since, YAML_SCALAR, "since")) {
		s->since = since->text;
		if (!is_date(s->since))
			fault(l->at.f, l->at.file, since,
			    "since must be a date as 2026-03-31");
	}
	tables = yaml_get(y, "tables");
	if (tables != NULL)
		(void)yaml_want(&l->at, tables, YAML_MAP, "tables");
}

/* `of:` must name a system of this file. */
static void
owners_check(struct load *l)
{
	struct config *c = l->c;
	const char **names =
	    arena_alloc(&c->arena, (c->systems_n + 1) * sizeof(*names));

	if (names == NULL) {
		l->nomem = true;
		return;
	}
	for (size_t i = 0; i < c->systems_n; i++)
		names[i] = (const char *)c->systems[i].name.p;
	for (size_t i = 0; i < c->systems_n; i++) {
		const struct config_system *s = &c->systems[i];
		const struct yaml *of = yaml_get(s->node, "of");

		if (of != NULL && of->kind == YAML_SCALAR)
			(void)yaml_word(&l->at, of, names, "of");
	}
}

static void
systems_load(struct load *l, const struct yaml *y)
{
	struct config *c = l->c;

	if (y == NULL || !yaml_want(&l->at, y, YAML_MAP, "systems"))
		return;
	if (y->count > SYSTEMS_MAX) {
		fault(l->at.f, l->at.file, y, "more than %d systems",
		    SYSTEMS_MAX);
		return;
	}
	c->systems =
	    arena_alloc(&c->arena, (y->count + 1) * sizeof(*c->systems));
	if (c->systems == NULL) {
		l->nomem = true;
		return;
	}
	for (const struct yaml *n = y->child; n != NULL; n = n->next)
		system_load(l, n, &c->systems[c->systems_n++]);
	owners_check(l);
}

static enum err
load(struct load *l, const char *path)
{
	struct config *c = l->c;
	struct yaml *root;
	enum err e;

	c->file = l->at.file = keep(l, slice_str(path));
	if ((e = yaml_load(path, &c->arena, l->at.f, &root)) != ERR_OK)
		return e;
	c->root = root;
	if ((e = config_vars(c->file, root, &c->arena, l->at.f)) != ERR_OK)
		return e;
	(void)yaml_known(&l->at, root, config_words_file, "vayla.yaml");
	broker_load(l, yaml_get(root, "broker"));
	receiver_load(l, yaml_get(root, "receiver"));
	systems_load(l, yaml_get(root, "systems"));
	if (yaml_get(root, "promises") != NULL)
		fault_warn(l->at.f, c->file, yaml_get(root, "promises"),
		    "promises are not watched by this version");
	if (l->nomem)
		return err_note(ERR_LIMIT, "%s is too large", path);
	return ERR_OK;
}

enum err
config_check(struct config **out, const char *path, struct faults *f)
{
	struct config *c = calloc(1, sizeof(*c));
	struct load l = {.at = {path, f}, .c = c};
	size_t had = f->count;
	enum err e;

	*out = NULL;
	if (c == NULL)
		return err_note(ERR_NOMEM, "no memory for %s", path);
	arena_init(&c->arena, CONFIG_MEMORY);
	e = load(&l, path);
	if (e != ERR_OK) {
		config_free(c);
		return e == ERR_SYNTAX ? ERR_CONFIG : e;
	}
	*out = c;
	if (f->count == had)
		return ERR_OK;
	return err_note(ERR_CONFIG, "%s: %zu faults", path, f->count - had);
}

enum err
config_load(struct config **out, const char *path, struct faults *f)
{
	struct config *c;
	enum err e = config_check(&c, path, f);

	if (e == ERR_OK)
		*out = c;
	else
		config_free(c);
	return e;
}

static void
tree_wipe(const struct yaml *y)
{
	for (const struct yaml *c = y->child; c != NULL; c = c->next)
		tree_wipe(c);
	/* The arena is ours, and about to be freed. */
	if (y->kind == YAML_SCALAR && y->text.n > 0)
		secret_wipe((void *)(uintptr_t)y->text.p, y->text.n);
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	if (c->root != NULL)
		tree_wipe(c->root);
	arena_fini(&c->arena);
	free(c);
}

const struct config_system *
config_system(const struct config *c, struct slice name)
{
	for (size_t i = 0; i < c->systems_n; i++)
		if (slice_eq(c->systems[i].name, name))
			return &c->systems[i];
	return NULL;
}
