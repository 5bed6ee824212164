/* cmd - see cmd.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/cmd.h"

#define ANSWER_MS 10000

const char *
cmd_config_file(const struct cmd *c)
{
	const char *env = getenv("VAYLA_CONFIG");

	if (c->config_file != NULL)
		return c->config_file;
	if (env != NULL && env[0] != '\0')
		return env;
	if (access("vayla.yaml", R_OK) == 0)
		return "vayla.yaml";
	return "/etc/vayla/vayla.yaml";
}

enum err
cmd_config(struct cmd *c)
{
	struct faults f;
	enum err e;

	buf_init(&c->reply, 64 * 1024 * 1024);
	if (c->output != NULL && strcmp(c->output, "table") != 0 &&
	    strcmp(c->output, "json") != 0)
		return err_note(
		    ERR_USAGE, "-o takes table or json, not %s", c->output);
	faults_init(&f);
	e = config_load(&c->config, cmd_config_file(c), &f);
	if (e != ERR_OK && f.count > 0) {
		fputs(buf_cstr(&f.text), stderr);
		e = err_note(e, "%s cannot be used", cmd_config_file(c));
	}
	faults_fini(&f);
	return e;
}

const char *
cmd_who(const struct cmd *c)
{
	const char *user = getenv("USER");

	if (c->client != NULL)
		return client_name(c->client);
	return user != NULL && user[0] != '\0' ? user : "cli";
}

enum err
cmd_connect(struct cmd *c)
{
	struct client_options o = {.role = "operator"};
	char name[33];
	enum err e;

	snprintf(name, sizeof(name), "%s", cmd_who(c));
	o.address = c->config->bus;
	o.access = c->config->access;
	o.name = name;
	e = client_open(&c->client, &o);
	if (e != ERR_NOTFOUND)
		return e;
	(void)err_wrap(e, "is it running? (`vayla run %s`)", c->config->file);
	return ERR_TIMEOUT;
}

enum err
cmd_open(struct cmd *c)
{
	enum err e = cmd_config(c);

	return e == ERR_OK ? cmd_connect(c) : e;
}

void
cmd_close(struct cmd *c)
{
	client_free(c->client);
	config_free(c->config);
	buf_fini(&c->reply);
}

static enum err
explain_timeout(const struct cmd *c, enum err e)
{
	if (e != ERR_TIMEOUT)
		return e;
	return err_note(e,
	    "no broker answers at %s; is it running? (`vayla run %s`)",
	    c->config->bus, c->config->file);
}

enum err
cmd_ask(struct cmd *c, const char *query, ...)
{
	const char *key, *value;
	struct buf q;
	uint32_t n = 1;
	va_list ap;
	size_t mark;
	enum err e;

	buf_init(&q, 16 * 1024);
	mark = mp_open(&q);
	mp_put_cstr(&q, "query");
	mp_put_cstr(&q, query);
	va_start(ap, query);
	while ((key = va_arg(ap, const char *)) != NULL) {
		value = va_arg(ap, const char *);
		n++;
		if (key[0] == '#') {
			mp_put_cstr(&q, key + 1);
			mp_put_uint(&q, strtoull(value, NULL, 10));
		} else if (key[0] == '?') {
			mp_put_cstr(&q, key + 1);
			mp_put_bool(&q, value != NULL);
		} else {
			mp_put_cstr(&q, key);
			mp_put_cstr(&q, value);
		}
	}
	va_end(ap);
	mp_close_map(&q, mark, n);
	buf_reset(&c->reply);
	e = buf_check(&q);
	if (e == ERR_OK)
		e = client_ask(c->client, buf_all(&q), ANSWER_MS, &c->reply);
	if (e == ERR_OK)
		e = mp_check(buf_all(&c->reply));
	buf_fini(&q);
	return explain_timeout(c, e);
}

struct acted {
	bool done;
	enum err e;
	char note[512];
};

static void
on_acted(void *arg, enum err e, int64_t retry_ms)
{
	struct acted *a = arg;

	(void)retry_ms;
	a->done = true;
	a->e = e;
	snprintf(a->note, sizeof(a->note), "%s", err_last());
}

static bool
is_acted(void *arg)
{
	return ((struct acted *)arg)->done;
}

enum err
cmd_act(struct cmd *c, const struct action *act)
{
	/* Static: what the broker never answers is told when the client is
	 * freed, long after this function. */
	static struct acted a;
	struct buf body, blob;
	enum err e;

	a = (struct acted){.e = ERR_TIMEOUT};
	buf_init(&body, FRAME_MAX_ONE);
	buf_init(&blob, FRAME_MAX_ONE);
	action_write(&body, act);
	record_write(&blob, REC_ACTION, buf_all(&body));
	e = buf_check(&blob);
	if (e == ERR_OK)
		e = client_publish(c->client, buf_all(&blob), 1, on_acted, &a);
	if (e == ERR_OK)
		e = client_wait(c->client, is_acted, &a, ANSWER_MS);
	if (e == ERR_OK && a.e != ERR_OK)
		e = err_note(a.e, "%s", a.note);
	buf_fini(&body);
	buf_fini(&blob);
	return explain_timeout(c, e);
}

int
cmd_fail(enum err e)
{
	const char *note = err_last();

	fprintf(stderr, "vayla: %s\n", note[0] != '\0' ? note : err_text(e));
	return exit_status(e);
}

bool
cmd_json(const struct cmd *c)
{
	struct buf json;
	bool ok;

	if (c->output == NULL || strcmp(c->output, "json") != 0)
		return false;
	buf_init(&json, 256 * 1024 * 1024);
	ok = mp_to_json(buf_all(&c->reply), JSON_PRETTY, &json) == ERR_OK;
	puts(ok ? buf_cstr(&json) : "null");
	buf_fini(&json);
	return true;
}

const char *
cmd_text(struct slice map, const char *key)
{
	static char text[16][256];
	static unsigned turn;
	char *out = text[turn++ % 16];
	struct slice v;
	struct mp_in in;
	struct mp item;
	struct buf b;

	out[0] = '\0';
	if (!mp_get(map, key, &v))
		return out;
	in = mp_in(v);
	if (mp_next(&in, &item) != ERR_OK || item.type == MP_NIL)
		return out;
	if (item.type == MP_STR) {
		snprintf(out, 256, "%.*s", SLICE_ARG(item.bytes));
	} else {
		buf_init(&b, 4096);
		if (mp_to_json(v, JSON_COMPACT, &b) == ERR_OK)
			snprintf(out, 256, "%s", buf_cstr(&b));
		buf_fini(&b);
		if (out[0] == '"') { /* a time or bytes */
			size_t n = strlen(out);

			memmove(out, out + 1, n);
			out[n > 1 ? n - 2 : 0] = '\0';
		}
	}
	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return out;
}

static struct cmd_iter
iter(struct slice s, enum mp_type type)
{
	struct cmd_iter it = {.in = mp_in(s)};
	struct mp head;

	if (mp_next(&it.in, &head) == ERR_OK && head.type == type)
		it.left = head.count;
	return it;
}

struct cmd_iter
cmd_list(struct slice array)
{
	return iter(array, MP_ARRAY);
}

struct cmd_iter
cmd_map(struct slice map)
{
	return iter(map, MP_MAP);
}

bool
cmd_next(struct cmd_iter *it, struct slice *value)
{
	return it->left > 0 && it->left-- > 0 &&
	       mp_value(&it->in, value) == ERR_OK;
}

bool
cmd_pair(struct cmd_iter *it, struct slice *key, struct slice *value)
{
	struct mp k;

	if (it->left == 0)
		return false;
	it->left--;
	if (mp_next(&it->in, &k) != ERR_OK || k.type != MP_STR ||
	    mp_value(&it->in, value) != ERR_OK)
		return false;
	*key = k.bytes;
	return true;
}
