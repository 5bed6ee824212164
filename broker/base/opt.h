/*
 * opt - one table of options per command, from which parsing, --help and the
 * man page are made. Long options only, plus -o -f -h -v where named; "--opt
 * value" or "--opt=value"; "--" ends options. An unknown option is ERR_USAGE
 * with the nearest name.
 */
#ifndef VAYLA_BASE_OPT_H
#define VAYLA_BASE_OPT_H

#include "broker/base/err.h"
#include "broker/base/slice.h"

enum opt_type { OPT_FLAG, OPT_TEXT, OPT_INT };

struct opt {
	const char *name; /* "seed", without dashes; NULL closes the table */
	char letter;	  /* 'o', or 0 */
	enum opt_type type;
	const char *arg; /* "N" in the help; NULL for a flag */
	const char *help;
	union { /* where the value goes */
		bool *flag;
		const char **text;
		int64_t *num;
	};
};

struct command {
	const char *usage; /* "vayla order show REF" */
	const char *help;  /* a paragraph */
	const struct opt *opts;
	int min_args, max_args; /* words besides options; max -1: any */
};

/*
 * Parse argv[1..]. The words that are no options are moved to argv[1..*n] in
 * order. "--help" prints the help on stdout and sets *done. ERR_USAGE: the note
 * is a line for stderr.
 */
enum err opt_parse(const struct command *c, int argc, char **argv, int *n,
    bool *done) MUST_CHECK;

/* Exit statuses of every verb. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_PARTLY = 3,
	EXIT_NOTFOUND = 4,
	EXIT_TRYLATER = 75,
	EXIT_DENIED = 77
};

/* The exit status for an error of ours. */
int exit_status(enum err e);

#endif
