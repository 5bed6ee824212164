/* setup - see setup.h. */
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "connectors/sdk/setup.h"

#define PACKS_BYTES (64 * 1024 * 1024)
#define SETTINGS_BYTES (256 * 1024)

const char *
setup_file(const char *given)
{
	const char *env = getenv("VAYLA_CONFIG");

	if (given != NULL)
		return given;
	if (env != NULL && env[0] != '\0')
		return env;
	if (access("vayla.yaml", R_OK) == 0)
		return "vayla.yaml";
	return "/etc/vayla/vayla.yaml";
}

/* The pack of a system, loaded once however many use it. */
static enum err
take_pack(struct setup *s, size_t i, struct faults *f)
{
	struct sdk_system *x = &s->systems[i];
	struct pack *p = NULL;
	enum err e;

	for (size_t k = 0; k < i; k++)
		if (slice_eq(s->systems[k].conf->pack, x->conf->pack)) {
			x->pack = s->systems[k].pack;
			return ERR_OK;
		}
	e = pack_open(s->config->packs, x->conf->pack, &s->arena, f, &p);
	if (e == ERR_OK)
		x->pack = p;
	else if (f->count == 0)
		fault(f, s->config->file, x->conf->node, "%s", err_last());
	return e;
}

static enum err
take_settings(struct setup *s, size_t i, struct faults *f)
{
	struct sdk_system *x = &s->systems[i];
	struct buf open;
	enum err e;

	buf_init(&open, SETTINGS_BYTES);
	e = pack_settings(
	    x->pack, s->config, x->conf, f, &open, &s->secrets[i]);
	if (e == ERR_OK)
		e = arena_copy(&s->arena, buf_all(&open), &x->open);
	x->all = buf_all(&s->secrets[i]);
	buf_fini(&open);
	return e;
}

enum err
setup_open(struct setup *s, const char *file, struct faults *f)
{
	enum err e;

	memset(s, 0, sizeof(*s));
	arena_init(&s->arena, PACKS_BYTES);
	e = config_load(&s->config, file, f);
	if (e != ERR_OK)
		return e;
	s->n = s->config->systems_n;
	s->systems = calloc(s->n + 1, sizeof(*s->systems));
	s->secrets = calloc(s->n + 1, sizeof(*s->secrets));
	if (s->systems == NULL || s->secrets == NULL)
		return err_note(ERR_NOMEM, "%zu systems", s->n);
	for (size_t i = 0; i < s->n; i++) {
		buf_init(&s->secrets[i], SETTINGS_BYTES);
		s->systems[i].conf = &s->config->systems[i];
		s->systems[i].open = s->systems[i].all = SLICE_EMPTY;
		if (take_pack(s, i, f) == ERR_OK && s->systems[i].pack != NULL)
			e = take_settings(s, i, f);
		if (e != ERR_OK && f->count == 0)
			return e;
	}
	if (f->count > 0)
		return err_note(ERR_CONFIG, "%s cannot be used", file);
	return ERR_OK;
}

void
setup_close(struct setup *s)
{
	for (size_t i = 0; s->secrets != NULL && i < s->n; i++) {
		secret_wipe(s->secrets[i].p, s->secrets[i].n);
		buf_fini(&s->secrets[i]);
	}
	free(s->secrets);
	free(s->systems);
	config_free(s->config);
	arena_fini(&s->arena);
	memset(s, 0, sizeof(*s));
}
