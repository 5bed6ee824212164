/* access - see access.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "broker/base/say.h"
#include "broker/base/yaml_check.h"
#include "broker/wire/access.h"

#define FILE_MOST 16384
#define PATH_MOST 4096

static const char *const verbs[] = {
    "publish", "take", "act", "ask", "tap", "unseal", NULL};
static const char *const roles[] = {
    "connector", "receiver", "operator", "standby", NULL};

/* ---- rights ---- */

const char *
access_verb_name(enum access_verb v)
{
	return v < MAY_COUNT ? verbs[v] : "?";
}

bool
access_may(const struct access_user *u, enum access_verb v, struct slice what)
{
	if (u->all)
		return true;
	for (size_t i = 0; i < u->rights_n; i++)
		if (u->rights[i].verb == v &&
		    slice_starts(what, slice_str(u->rights[i].prefix)))
			return true;
	return false;
}

static enum err
right_add(struct access_user *u, struct slice s)
{
	const uint8_t *colon = memchr(s.p, ':', s.n);
	struct slice verb = s, prefix = SLICE_EMPTY;
	struct access_right *r = &u->rights[u->rights_n];
	int v = 0;

	if (colon != NULL) {
		verb = slice_of(s.p, (size_t)(colon - s.p));
		prefix = slice_from(s, verb.n + 1);
	}
	while (v < MAY_COUNT && !slice_is(verb, verbs[v]))
		v++;
	if (v == MAY_COUNT)
		return err_note(ERR_SYNTAX,
		    "\"%.*s\" is no right: publish, take, act, ask, tap, "
		    "unseal; with a prefix as in publish:toyshop.",
		    SLICE_ARG(s));
	if (prefix.n > 0 && (v == MAY_TAKE || v == MAY_UNSEAL))
		return err_note(ERR_SYNTAX, "%s takes no prefix", verbs[v]);
	for (size_t i = 0; i < prefix.n; i++)
		if (prefix.p[i] <= ' ' || prefix.p[i] >= 0x7f ||
		    prefix.p[i] == '"' || prefix.p[i] == '\\')
			return err_note(
			    ERR_SYNTAX, "%.*s: plain letters", SLICE_ARG(s));
	if (u->rights_n == ACCESS_RIGHTS || prefix.n >= ACCESS_PREFIX)
		return err_note(ERR_LIMIT,
		    "at most %d rights, each prefix at most %d bytes",
		    ACCESS_RIGHTS, ACCESS_PREFIX - 1);
	r->verb = (enum access_verb)v;
	memcpy(r->prefix, prefix.p, prefix.n);
	r->prefix[prefix.n] = '\0';
	u->rights_n++;
	return ERR_OK;
}

enum err
access_rights(struct access_user *u, const char *text)
{
	enum err e = ERR_OK;

	u->all = false;
	u->rights_n = 0;
	while (e == ERR_OK && *text != '\0') {
		size_t n = strcspn(text, ", ");

		if (n > 0)
			e = right_add(u, slice_of(text, n));
		text += n + (text[n] != '\0');
	}
	return e;
}

/* ---- files ---- */

static enum err
path_of(const char *dir, const char *user, const char *end, struct buf *out)
{
	buf_reset(out);
	buf_printf(out, "%s/%s.%s", dir, user, end);
	return buf_check(out);
}

static bool
there_is(const char *dir, const char *user, const char *end)
{
	struct buf path;
	bool yes;

	buf_init(&path, PATH_MOST);
	yes = path_of(dir, user, end, &path) == ERR_OK &&
	      access(buf_cstr(&path), F_OK) == 0;
	buf_fini(&path);
	return yes;
}

static bool
is_user(struct slice s)
{
	if (s.n == 0 || s.n >= ACCESS_USER || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' ||
			s.p[i] == '-'))
			return false;
	return true;
}

static bool
is_key(struct slice s)
{
	uint8_t raw[32];
	char text[ACCESS_KEY];

	if (s.n != ACCESS_KEY - 1)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return zmq_z85_decode(raw, text) != NULL;
}

static void
keep(char *out, size_t n, struct slice s)
{
	if (s.n >= n)
		s.n = n - 1;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

static void
now_text(char out[32])
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void
pub_text(struct buf *out, const struct access_user *u)
{
	buf_printf(out,
	    "# The public key of %s on the bus, and what it may: made by "
	    "`vayla key`.\nuser: \"%s\"\nkey: \"%s\"\nrole: %s\n",
	    u->name, u->name, u->key, u->role);
	if (u->any_name)
		buf_printf(out, "any_name: true\n");
	if (!u->all) {
		buf_printf(out, "may: [");
		for (size_t i = 0; i < u->rights_n; i++)
			buf_printf(out, "%s\"%s%s%s\"", i > 0 ? ", " : "",
			    verbs[u->rights[i].verb],
			    u->rights[i].prefix[0] != '\0' ? ":" : "",
			    u->rights[i].prefix);
		buf_printf(out, "]\n");
	}
	buf_printf(out, "made: \"%s\"\nby: \"%s\"\n", u->made, u->by);
	if (u->revoked)
		buf_printf(out, "revoked: true\n");
}

static enum err
pub_write(const char *dir, const struct access_user *u)
{
	struct buf path, text;
	enum err e;

	buf_init(&path, PATH_MOST);
	buf_init(&text, FILE_MOST);
	pub_text(&text, u);
	e = path_of(dir, u->name, "pub", &path);
	if (e == ERR_OK)
		e = buf_check(&text);
	if (e == ERR_OK)
		e = file_write(buf_cstr(&path), buf_all(&text), 0644);
	buf_fini(&path);
	buf_fini(&text);
	return e;
}

static enum err
key_write(const char *dir, const char *user, const char *secret)
{
	struct buf path, text;
	enum err e;

	buf_init(&path, PATH_MOST);
	buf_init(&text, FILE_MOST);
	buf_printf(&text,
	    "# The private key of %s on the bus: for its owner alone.\n"
	    "user: \"%s\"\nsecret: \"%s\"\n",
	    user, user, secret);
	e = path_of(dir, user, "key", &path);
	if (e == ERR_OK)
		e = buf_check(&text);
	if (e == ERR_OK)
		e = file_write(buf_cstr(&path), buf_all(&text), 0600);
	secret_wipe(text.p, text.n);
	buf_fini(&path);
	buf_fini(&text);
	return e;
}

/* One YAML file; what is wrong with it becomes the note. */
static enum err
file_load(const char *path, struct arena *a, struct yaml **root)
{
	struct faults f;
	struct buf text;
	enum err e;

	faults_init(&f);
	buf_init(&text, FILE_MOST);
	e = file_read(path, &text);
	if (e == ERR_OK) {
		e = yaml_parse(path, buf_all(&text), a, &f, root);
		if (e == ERR_SYNTAX)
			e = err_note(ERR_CONFIG, "%.*s",
			    (int)strcspn(buf_cstr(&f.text), "\n"),
			    buf_cstr(&f.text));
	}
	if (text.n > 0)
		secret_wipe(text.p, text.n);
	buf_fini(&text);
	faults_fini(&f);
	return e;
}

static struct slice
text_at(const struct yaml *root, const char *key)
{
	const struct yaml *y = yaml_get(root, key);

	return y != NULL && y->kind == YAML_SCALAR ? y->text : SLICE_EMPTY;
}

static enum err
pub_take(const struct yaml *root, const char *path, struct access_user *u)
{
	struct slice name = text_at(root, "user"), key = text_at(root, "key");
	struct slice role = text_at(root, "role");
	const struct yaml *may = yaml_get(root, "may");
	enum err e = ERR_OK;
	size_t i = 0;

	memset(u, 0, sizeof(*u));
	while (roles[i] != NULL && !slice_is(role, roles[i]))
		i++;
	if (!is_user(name) || !is_key(key) || roles[i] == NULL)
		return err_note(ERR_CONFIG,
		    "%s: user, key and role are needed, as `vayla key new` "
		    "writes them",
		    path);
	keep(u->name, sizeof(u->name), name);
	keep(u->key, sizeof(u->key), key);
	keep(u->role, sizeof(u->role), role);
	keep(u->made, sizeof(u->made), text_at(root, "made"));
	keep(u->by, sizeof(u->by), text_at(root, "by"));
	u->any_name = yaml_is(yaml_get(root, "any_name"), "true");
	u->revoked = yaml_get(root, "revoked") != NULL;
	u->all = may == NULL;
	if (may != NULL && may->kind != YAML_LIST)
		return err_note(ERR_CONFIG, "%s: `may` is a list", path);
	for (may = may != NULL ? may->child : NULL; may != NULL && e == ERR_OK;
	     may = may->next)
		e = may->kind == YAML_SCALAR
			? right_add(u, may->text)
			: err_note(ERR_CONFIG, "`may` is a list of texts");
	return e == ERR_OK ? e : err_wrap(e, "%s", path);
}

static enum err
pub_read(const char *dir, const char *user, struct access_user *u)
{
	struct yaml *root = NULL;
	struct arena a;
	struct buf path;
	enum err e;

	arena_init(&a, 1024 * 1024);
	buf_init(&path, PATH_MOST);
	e = path_of(dir, user, "pub", &path);
	if (e == ERR_OK)
		e = file_load(buf_cstr(&path), &a, &root);
	if (e == ERR_OK)
		e = pub_take(root, buf_cstr(&path), u);
	if (e == ERR_OK && strcmp(u->name, user) != 0)
		e = err_note(ERR_CONFIG, "%s is the key of %s", buf_cstr(&path),
		    u->name);
	buf_fini(&path);
	arena_fini(&a);
	return e;
}

static enum err
key_read(const char *path, struct access_keys *out)
{
	struct slice user, secret;
	struct yaml *root = NULL;
	struct stat st;
	struct arena a;
	enum err e;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		return err_note(ERR_DENIED,
		    "%s is a private key that others can read: chmod 600 %s",
		    path, path);
	arena_init(&a, 1024 * 1024);
	e = file_load(path, &a, &root);
	if (e == ERR_OK) {
		user = text_at(root, "user");
		secret = text_at(root, "secret");
		if (!is_user(user) || !is_key(secret)) {
			e = err_note(ERR_CONFIG,
			    "%s holds no key: user and secret are needed, as "
			    "`vayla key new` writes them",
			    path);
		} else {
			keep(out->user, sizeof(out->user), user);
			keep(out->secret, sizeof(out->secret), secret);
			secret_wipe((void *)(uintptr_t)secret.p, secret.n);
			if (zmq_curve_public(out->public, out->secret) != 0)
				e = err_note(ERR_CONFIG,
				    "%s: this libzmq has no CURVE", path);
		}
	}
	arena_fini(&a);
	return e;
}

/* ---- making ---- */

/* The private key that the one in `out` replaces. */
static void
key_forget(const char *dir, const char *out, const char *user)
{
	struct buf path;

	buf_init(&path, PATH_MOST);
	if (strcmp(dir, out) != 0 && path_of(dir, user, "key", &path) == ERR_OK)
		(void)unlink(buf_cstr(&path));
	buf_fini(&path);
}

enum err
access_new(
    const char *dir, const char *out, struct access_user *u, const char *by)
{
	char secret[ACCESS_KEY];
	struct access_user broker;
	enum err e = dir_make(dir);

	if (!is_user(slice_str(u->name)))
		return err_note(ERR_USAGE,
		    "\"%s\" is no name for a user: small letters, digits, - "
		    "and _, from a letter, at most 32",
		    u->name);
	if (e == ERR_OK && out != NULL)
		e = dir_make(out);
	if (e == ERR_OK && zmq_curve_keypair(u->key, secret) != 0)
		e = err_note(ERR_CONFIG, "this libzmq has no CURVE");
	if (e != ERR_OK)
		return e;
	now_text(u->made);
	keep(u->by, sizeof(u->by), slice_str(by));
	for (char *p = u->by; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == '"' || *p == '\\')
			*p = '?';
	u->revoked = false;
	e = key_write(out != NULL ? out : dir, u->name, secret);
	secret_wipe(secret, sizeof(secret));
	if (e == ERR_OK)
		e = pub_write(dir, u);
	if (e == ERR_OK && out != NULL)
		key_forget(dir, out, u->name);
	if (e == ERR_OK && out != NULL &&
	    pub_read(dir, ACCESS_BROKER, &broker) == ERR_OK)
		e = pub_write(out, &broker);
	return e;
}

/* A crash came between the two files of a key: the private one stays, for
 * somebody may have read it. */
static enum err
make_public(const char *dir, struct access_user *u)
{
	struct access_keys k;
	struct buf path;
	enum err e;

	buf_init(&path, PATH_MOST);
	e = path_of(dir, u->name, "key", &path);
	if (e == ERR_OK)
		e = key_read(buf_cstr(&path), &k);
	buf_fini(&path);
	if (e != ERR_OK)
		return e;
	keep(u->key, sizeof(u->key), slice_str(k.public));
	access_wipe(&k);
	now_text(u->made);
	keep(u->by, sizeof(u->by), SLICE_LIT("vayla"));
	return pub_write(dir, u);
}

static enum err
make_one(const char *dir, const char *user, const char *role, bool any_name)
{
	struct access_user u = {.any_name = any_name, .all = true};

	if (there_is(dir, user, "pub"))
		return ERR_OK;
	snprintf(u.name, sizeof(u.name), "%s", user);
	snprintf(u.role, sizeof(u.role), "%s", role);
	if (there_is(dir, user, "key"))
		return make_public(dir, &u);
	return access_new(dir, NULL, &u, "vayla");
}

enum err
access_make_own(const struct config *c)
{
	bool new = access(c->access, F_OK) != 0;
	char name[ACCESS_USER];
	enum err e = dir_make(c->access);

	if (e == ERR_OK && new &&chmod(c->access, 0700) != 0)
		e = err_errno(ERR_IO, "cannot chmod %s", c->access);
	if (e == ERR_OK)
		e = make_one(c->access, ACCESS_BROKER, "receiver", false);
	if (e == ERR_OK)
		e = make_one(c->access, ACCESS_OPERATOR, "operator", true);
	if (e == ERR_OK)
		e = make_one(c->access, ACCESS_RECEIVER, "receiver", false);
	for (size_t i = 0; e == ERR_OK && i < c->systems_n; i++) {
		keep(name, sizeof(name), c->systems[i].name);
		e = make_one(c->access, name, "connector", false);
	}
	return e == ERR_OK ? e
			   : err_wrap(e, "the keys of the bus cannot be made; "
					 "broker.access is their folder");
}

enum err
access_revoke(const char *dir, const char *user, const char *by)
{
	struct access_user u;
	enum err e;

	if (!is_user(slice_str(user)) || strcmp(user, ACCESS_BROKER) == 0)
		return err_note(ERR_USAGE, "%s is no user's name", user);
	e = pub_read(dir, user, &u);
	if (e == ERR_NOTFOUND)
		return err_note(ERR_NOTFOUND,
		    "there is no key of %s in %s; `vayla key list` names them",
		    user, dir);
	if (e != ERR_OK)
		return e;
	u.revoked = true;
	now_text(u.made);
	keep(u.by, sizeof(u.by), slice_str(by));
	return pub_write(dir, &u);
}

/* ---- reading ---- */

enum err
access_list(const char *dir, struct access_user **out, size_t *n)
{
	struct access_user *list;
	char name[ACCESS_USER + 4], **files;
	size_t room = 0, len;
	enum err e;

	*out = NULL;
	*n = 0;
	e = dir_list(dir, &files);
	if (e != ERR_OK)
		return e;
	while (files[room] != NULL)
		room++;
	list = calloc(room + 1, sizeof(*list));
	if (list == NULL) {
		dir_free(files);
		return err_note(ERR_NOMEM, "%zu keys", room);
	}
	for (size_t i = 0; i < room && *n < ACCESS_USERS; i++) {
		len = strlen(files[i]);
		if (len < 5 || len >= sizeof(name) ||
		    strcmp(files[i] + len - 4, ".pub") != 0)
			continue;
		memcpy(name, files[i], len - 4);
		name[len - 4] = '\0';
		if (strcmp(name, ACCESS_BROKER) == 0)
			continue;
		e = pub_read(dir, name, &list[*n]);
		if (e == ERR_OK)
			++*n;
		else
			say(SAY_ERROR, "access", "a key is left out: %s",
			    err_last());
	}
	dir_free(files);
	*out = list;
	return ERR_OK;
}

static enum err
read_in(const char *dir, const char *user, struct access_keys *out)
{
	struct buf path;
	enum err e;

	buf_init(&path, PATH_MOST);
	e = path_of(dir, user, "key", &path);
	if (e == ERR_OK)
		e = key_read(buf_cstr(&path), out);
	if (e == ERR_NOTFOUND)
		e = err_note(ERR_NOTFOUND,
		    "no key for the bus: there is no %s; the broker makes "
		    "those of its own machine when it starts, `vayla key new` "
		    "makes others, VAYLA_KEY names one elsewhere",
		    buf_cstr(&path));
	buf_fini(&path);
	return e;
}

enum err
access_server(const char *dir, struct access_keys *out)
{
	enum err e;

	memset(out, 0, sizeof(*out));
	e = read_in(dir, ACCESS_BROKER, out);
	if (e == ERR_OK)
		memcpy(out->server, out->public, sizeof(out->server));
	return e;
}

enum err
access_client(const char *dir, const char *user, struct access_keys *out)
{
	const char *named = getenv("VAYLA_KEY");
	struct access_user broker;
	enum err e;

	memset(out, 0, sizeof(*out));
	if (named != NULL && named[0] != '\0')
		e = key_read(named, out);
	else
		e = read_in(dir, user, out);
	if (e == ERR_OK) {
		e = pub_read(dir, ACCESS_BROKER, &broker);
		if (e == ERR_OK)
			memcpy(out->server, broker.key, sizeof(out->server));
		else
			e = err_wrap(
			    e, "the broker's public key is needed in %s", dir);
	}
	if (e != ERR_OK)
		access_wipe(out);
	return e;
}

enum err
access_set(void *socket, const struct access_keys *k)
{
	if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, k->server,
		sizeof(k->server)) != 0 ||
	    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, k->public,
		sizeof(k->public)) != 0 ||
	    zmq_setsockopt(
		socket, ZMQ_CURVE_SECRETKEY, k->secret, sizeof(k->secret)) != 0)
		return err_note(ERR_CONFIG, "the keys of %s cannot be used: %s",
		    k->user, zmq_strerror(errno));
	return ERR_OK;
}

void
access_wipe(struct access_keys *k)
{
	secret_wipe(k, sizeof(*k));
}
