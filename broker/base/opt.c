/*
 * opt - see opt.h. Messages name the option as it was written and the nearest
 * one that exists; the help is made from the same table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/opt.h"
#include "broker/base/yaml.h"

#define NAMES 64

static const struct opt *
by_name(const struct command *c, struct slice name)
{
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++)
		if (slice_is(name, o->name))
			return o;
	return NULL;
}

static const struct opt *
by_letter(const struct command *c, char letter)
{
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++)
		if (o->letter != 0 && o->letter == letter)
			return o;
	return NULL;
}

static enum err
unknown(const struct command *c, struct slice name)
{
	const char *names[NAMES + 2], *near;
	size_t n = 0;

	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++)
		if (n < NAMES)
			names[n++] = o->name;
	names[n++] = "help";
	names[n] = NULL;
	near = yaml_nearest(name, names);
	if (near != NULL)
		return err_note(ERR_USAGE,
		    "unknown option --%.*s; did you mean --%s?",
		    SLICE_ARG(name), near);
	return err_note(
	    ERR_USAGE, "unknown option --%.*s; see --help", SLICE_ARG(name));
}

static enum err
set_int(const struct opt *o, const char *text)
{
	long long v;
	char *end;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (text[0] == '\0' || text[0] == ' ' || *end != '\0' || errno != 0)
		return err_note(ERR_USAGE,
		    "--%s takes a whole number, not \"%s\"", o->name, text);
	*o->num = v;
	return ERR_OK;
}

static enum err
set(const struct opt *o, const char *text)
{
	if (o->type == OPT_INT)
		return set_int(o, text);
	*o->text = text;
	return ERR_OK;
}

/* The option at argv[*i]; its value may be argv[*i + 1]. */
static enum err
one(const struct command *c, int argc, char **argv, int *i, bool *done)
{
	const char *arg = argv[*i], *value = NULL, *eq;
	const struct opt *o;
	struct slice name;

	if (arg[1] != '-') {
		name = slice_of(arg + 1, 1);
		o = by_letter(c, arg[1]);
		if (o == NULL && arg[1] == 'h' && arg[2] == '\0') {
			*done = true;
			return ERR_OK;
		}
		if (o == NULL)
			return err_note(
			    ERR_USAGE, "unknown option %s; see --help", arg);
		if (arg[2] != '\0' && o->type == OPT_FLAG)
			return err_note(
			    ERR_USAGE, "%s: write each option apart", arg);
		if (arg[2] != '\0')
			value = arg + 2;
	} else {
		name = slice_str(arg + 2);
		eq = strchr(arg, '=');
		if (eq != NULL) {
			name.n = (size_t)(eq - arg) - 2;
			value = eq + 1;
		}
		o = by_name(c, name);
		if (o == NULL && slice_is(name, "help")) {
			*done = true;
			return ERR_OK;
		}
		if (o == NULL)
			return unknown(c, name);
	}
	if (o->type == OPT_FLAG) {
		if (value != NULL)
			return err_note(
			    ERR_USAGE, "--%s takes no value", o->name);
		*o->flag = true;
		return ERR_OK;
	}
	if (value == NULL) {
		if (*i + 1 >= argc)
			return err_note(ERR_USAGE, "--%s needs a value (%s)",
			    o->name, o->arg != NULL ? o->arg : "VALUE");
		value = argv[++*i];
	}
	return set(o, value);
}

static void
print_help(const struct command *c)
{
	char left[64];

	printf("usage: %s\n\n%s\n", c->usage, c->help);
	if (c->opts != NULL && c->opts[0].name != NULL)
		printf("\noptions:\n");
	for (const struct opt *o = c->opts; o != NULL && o->name != NULL; o++) {
		char letter[8] = "   ";

		if (o->letter != 0)
			snprintf(letter, sizeof(letter), "-%c,", o->letter);
		snprintf(left, sizeof(left), "%s --%s%s%s", letter, o->name,
		    o->type == OPT_FLAG ? "" : " ",
		    o->type == OPT_FLAG ? ""
		    : o->arg != NULL	? o->arg
					: "VALUE");
		printf("  %-24s  %s\n", left, o->help != NULL ? o->help : "");
	}
}

enum err
opt_parse(const struct command *c, int argc, char **argv, int *n, bool *done)
{
	bool ended = false;
	int words = 0;
	enum err e;

	*done = false;
	for (int i = 1; i < argc; i++) {
		/* A lone "-" is a word: standard input, by custom. */
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[1 + words++] = argv[i];
		} else if (strcmp(argv[i], "--") == 0) {
			ended = true;
		} else {
			e = one(c, argc, argv, &i, done);
			if (e != ERR_OK)
				return e;
			if (*done) {
				print_help(c);
				*n = 0;
				return ERR_OK;
			}
		}
	}
	if (words < c->min_args)
		return err_note(
		    ERR_USAGE, "a word is missing; usage: %s", c->usage);
	if (c->max_args >= 0 && words > c->max_args)
		return err_note(ERR_USAGE,
		    "\"%s\" is one word too many; usage: %s",
		    argv[1 + c->max_args], c->usage);
	*n = words;
	return ERR_OK;
}

int
exit_status(enum err e)
{
	switch (e) {
	case ERR_OK:
		return EXIT_OK;
	case ERR_USAGE:
		return EXIT_USAGE;
	case ERR_NOTFOUND:
		return EXIT_NOTFOUND;
	case ERR_DENIED:
		return EXIT_DENIED;
	case ERR_IO:
	case ERR_NOMEM:
		return EXIT_FAILED; /* later is not likely to be better */
	default:
		return err_class(e) == CLASS_RETRY ||
			       err_class(e) == CLASS_DEFER
			   ? EXIT_TRYLATER
			   : EXIT_FAILED;
	}
}
