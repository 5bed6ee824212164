/*
 * verify - `vayla verify`: is what stands on the disk whole, and does the index
 * say what the journal says? It changes nothing; the broker must not run.
 */
#include <inttypes.h>
#include <stdio.h>

#include "broker/base/opt.h"
#include "broker/core/backup.h"
#include "broker/core/index.h"
#include "broker/core/keys.h"
#include "broker/core/verbs.h"

#define REPORT_MAX (1024 * 1024)

static int
say_failed(enum err e)
{
	fprintf(stderr, "vayla verify: %s\n", err_last());
	return e == ERR_EXISTS ? EXIT_TRYLATER : exit_status(e);
}

/* A damaged journal is found, not met: its status is that of a difference. */
static bool
found(enum err e)
{
	return e == ERR_OK || e == ERR_CORRUPT;
}

static int
verify_data(const char *dir)
{
	struct buf report;
	uint64_t records = 0;
	enum err e, log, index = ERR_OK;
	int status = EXIT_FAILED;

	buf_init(&report, REPORT_MAX);
	e = log = log_verify(dir, &report, &records);
	/* Without a whole journal there is nothing to compare with. */
	if (log == ERR_OK)
		e = log = refs_verify(dir, &report);
	if (log == ERR_OK)
		e = index = index_verify(dir, &report);
	if (report.n > 0)
		fputs(buf_cstr(&report), stdout);
	if (!found(log) || !found(index)) {
		status = say_failed(e);
	} else if (log == ERR_OK && index == ERR_OK) {
		printf("%s: %" PRIu64 " records, journal and index are whole\n",
		    dir, records);
		status = EXIT_OK;
	} else {
		printf(
		    "%s: %" PRIu64 " records; %s\n", dir, records, err_last());
	}
	buf_fini(&report);
	return status;
}

int
verify_verb(int argc, char **argv)
{
	static const struct opt opts[] = {{.name = NULL}};
	static const struct command command = {
	    .usage = "vayla verify [DATA]",
	    .help = "Check every frame and record of the journal in the folder "
		    "DATA (default ./var), what records name (causes, "
		    "rulesets, keys), SQLite's own check of index.db, and "
		    "index.db against the journal. Stop the broker first. "
		    "Exit status 0: whole; 1: damaged or different.",
	    .opts = opts,
	    .min_args = 0,
	    .max_args = 1,
	};
	bool done = false;
	int n = 0;
	enum err e = opt_parse(&command, argc, argv, &n, &done);

	if (e != ERR_OK)
		return say_failed(e);
	return done ? EXIT_OK : verify_data(n > 0 ? argv[1] : "./var");
}
