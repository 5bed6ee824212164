/*
 * cmd_key - `vayla key`: who may speak on the bus. It works on the files of
 * broker.access alone, so that a key can be made before the broker runs and
 * revoked while it does; the broker looks at them once a second.
 *
 * A private key is only ever in its file: it is not printed, and cannot be
 * given on the command line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/cmd.h"
#include "broker/wire/access.h"

struct key_cmd {
	struct cmd c;
	const char *role, *may, *out;
};

static enum err
make(struct key_cmd *k, const char *name)
{
	static const char *const roles[] = {
	    "connector", "receiver", "operator", "standby"};
	const char *dir = k->c.config->access;
	struct access_user u = {.all = true};
	size_t i = 0;
	enum err e = ERR_OK;

	while (i < 4 && (k->role == NULL || strcmp(k->role, roles[i]) != 0))
		i++;
	if (name == NULL || i == 4)
		return err_note(ERR_USAGE,
		    "vayla key new NAME --role "
		    "connector|receiver|operator|standby");
	if (strlen(name) >= sizeof(u.name) || strcmp(name, ACCESS_BROKER) == 0)
		return err_note(ERR_USAGE, "%s is no name for a user", name);
	if (i == 0 && config_system(k->c.config, slice_str(name)) == NULL)
		return err_note(ERR_NOTFOUND,
		    "there is no system %s in %s; a connector's key has the "
		    "name of its system",
		    name, k->c.config->file);
	snprintf(u.name, sizeof(u.name), "%s", name);
	snprintf(u.role, sizeof(u.role), "%s", roles[i]);
	u.any_name = strcmp(name, ACCESS_OPERATOR) == 0;
	if (k->may != NULL)
		e = access_rights(&u, k->may);
	if (e == ERR_OK)
		e = access_make_own(k->c.config);
	if (e == ERR_OK)
		e = access_new(dir, k->out, &u, cmd_who(&k->c));
	if (e == ERR_OK && k->out != NULL)
		printf("%s/%s.key and %s/broker.pub: take both to where %s "
		       "works, as its broker.access\n",
		    k->out, name, k->out, name);
	else if (e == ERR_OK)
		printf("%s/%s.key\n", dir, name);
	return e;
}

static void
print_user(const struct access_user *u)
{
	printf("%-16s %-10s %-8s %-21s %s", u->name, u->role,
	    u->revoked ? "revoked" : "valid", u->made, u->by);
	if (!u->all) {
		printf("  may");
		for (size_t i = 0; i < u->rights_n; i++)
			printf(" %s%s%s", access_verb_name(u->rights[i].verb),
			    u->rights[i].prefix[0] != '\0' ? ":" : "",
			    u->rights[i].prefix);
		if (u->rights_n == 0)
			printf(" nothing");
	}
	putchar('\n');
}

static void
user_put(struct buf *b, const struct access_user *u)
{
	const struct access_right *r;
	char text[ACCESS_PREFIX + 16];

	mp_put_map(b, u->all ? 6 : 7);
	mp_put_cstr(b, "user");
	mp_put_cstr(b, u->name);
	mp_put_cstr(b, "role");
	mp_put_cstr(b, u->role);
	mp_put_cstr(b, "key");
	mp_put_cstr(b, u->key);
	mp_put_cstr(b, "revoked");
	mp_put_bool(b, u->revoked);
	mp_put_cstr(b, "made");
	mp_put_cstr(b, u->made);
	mp_put_cstr(b, "by");
	mp_put_cstr(b, u->by);
	if (u->all)
		return;
	mp_put_cstr(b, "may");
	mp_put_array(b, (uint32_t)u->rights_n);
	for (size_t i = 0; i < u->rights_n; i++) {
		r = &u->rights[i];
		snprintf(text, sizeof(text), "%s%s%s",
		    access_verb_name(r->verb), r->prefix[0] != '\0' ? ":" : "",
		    r->prefix);
		mp_put_cstr(b, text);
	}
}

static enum err
list(struct key_cmd *k)
{
	struct access_user *users;
	size_t n;
	enum err e = access_list(k->c.config->access, &users, &n);

	if (e == ERR_NOTFOUND)
		return err_note(e,
		    "there is no folder %s: keys are made when the broker "
		    "first starts",
		    k->c.config->access);
	if (e != ERR_OK)
		return e;
	buf_reset(&k->c.reply);
	mp_put_array(&k->c.reply, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		user_put(&k->c.reply, &users[i]);
	if (!cmd_json(&k->c))
		for (size_t i = 0; i < n; i++)
			print_user(&users[i]);
	free(users);
	return buf_check(&k->c.reply);
}

static enum err
revoke(struct key_cmd *k, const char *name)
{
	enum err e;

	if (name == NULL)
		return err_note(ERR_USAGE, "vayla key revoke NAME");
	e = access_revoke(k->c.config->access, name, cmd_who(&k->c));
	if (e == ERR_OK)
		printf("%s is revoked; a broker that runs ends its sessions "
		       "within two seconds\n",
		    name);
	return e;
}

int
key_verb(int argc, char **argv)
{
	struct key_cmd k = {.role = NULL};
	const struct opt opts[] = {CMD_OPTS(&k.c),
	    {.name = "role",
		.type = OPT_TEXT,
		.arg = "ROLE",
		.help = "new: connector (of the system NAME), receiver, or "
			"operator (a person)",
		.text = &k.role},
	    {.name = "may",
		.type = OPT_TEXT,
		.arg = "RIGHTS",
		.help = "new: only so much of what the role may: publish, "
			"take, act, ask, tap, unseal, with commas between; "
			"publish:toyshop. is types that begin so (default: "
			"all)",
		.text = &k.may},
	    {.name = "out",
		.type = OPT_TEXT,
		.arg = "FOLDER",
		.help = "new: put the private key there, for another machine",
		.text = &k.out},
	    {0}};
	const struct command cmd = {
	    "vayla key new NAME --role ROLE | list | revoke NAME",
	    "Keys of the bus and their rights. The broker makes those of its "
	    "own machine by itself; others, for people and other machines, are "
	    "made here. A revoked key counts for nothing at once.",
	    opts, 1, 2};
	bool done = false;
	const char *name;
	int n = 0;
	enum err e;

	e = opt_parse(&cmd, argc, argv, &n, &done);
	if (e != ERR_OK || done)
		return e == ERR_OK ? EXIT_OK : cmd_fail(e);
	name = n > 1 ? argv[2] : NULL;
	e = cmd_config(&k.c);
	if (e != ERR_OK)
		; /* it has been said what is wrong */
	else if (strcmp(argv[1], "new") == 0)
		e = make(&k, name);
	else if (strcmp(argv[1], "list") == 0)
		e = list(&k);
	else if (strcmp(argv[1], "revoke") == 0)
		e = revoke(&k, name);
	else
		e = err_note(ERR_USAGE,
		    "vayla key has new, list and revoke, not %s", argv[1]);
	cmd_close(&k.c);
	return e == ERR_OK ? EXIT_OK : cmd_fail(e);
}
