/* signin - see signin.h. Tokens are compared by their SHA-256, so neither time
 * nor memory tells one. */
#include <stdio.h>

#include "broker/base/clock.h"
#include "broker/base/file.h"
#include "broker/console/signin.h"

#define SESSION_NS (INT64_C(12) * 3600 * NS_PER_SEC)

static void
token_new(char text[SIGNIN_TOKEN + 1], uint8_t hash[32])
{
	uint8_t raw[SIGNIN_TOKEN / 2];

	random_bytes(raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(text + 2 * i, 3, "%02x", raw[i]);
	secret_wipe(raw, sizeof(raw));
	sha256(slice_of(text, SIGNIN_TOKEN), hash);
}

static enum err
link_write(struct signin *s)
{
	char token[SIGNIN_TOKEN + 1];
	struct buf path, text;
	enum err e;

	token_new(token, s->link);
	buf_init(&path, 4096);
	buf_init(&text, 4096);
	buf_printf(&path, "%s/console.link", s->data);
	buf_printf(&text, "%s/signin?once=%s\n", s->url, token);
	e = file_write(buf_cstr(&path), buf_all(&text), 0600);
	secret_wipe(token, sizeof(token));
	buf_fini(&path);
	buf_fini(&text);
	return e;
}

enum err
signin_init(struct signin *s, const char *url, const char *data)
{
	memset(s, 0, sizeof(*s));
	s->url = url;
	s->data = data;
	return link_write(s);
}

enum err
signin_use(struct signin *s, const char *token, char cookie[SIGNIN_TOKEN + 1])
{
	uint8_t hash[32];
	size_t use = 0;
	enum err e;

	sha256(slice_str(token), hash);
	if (!secret_eq(slice_of(hash, 32), slice_of(s->link, 32)))
		return err_note(ERR_DENIED,
		    "this link was used or is not the newest; "
		    "`vayla console` prints one that works");
	e = link_write(s);
	if (e != ERR_OK)
		return e;
	for (size_t i = 1; i < SIGNIN_SESSIONS; i++)
		if (s->sessions[i].until < s->sessions[use].until)
			use = i;
	token_new(cookie, s->sessions[use].hash);
	s->sessions[use].until = clock_mono() + SESSION_NS;
	return ERR_OK;
}

bool
signin_valid(struct signin *s, const char *cookie)
{
	uint8_t hash[32];
	int64_t now = clock_mono();
	bool found = false;

	if (cookie == NULL || strlen(cookie) != SIGNIN_TOKEN)
		return false;
	sha256(slice_str(cookie), hash);
	for (size_t i = 0; i < SIGNIN_SESSIONS; i++)
		found |= s->sessions[i].until > now &&
			 secret_eq(slice_of(hash, 32),
			     slice_of(s->sessions[i].hash, 32));
	return found;
}
