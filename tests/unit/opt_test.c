/* opt_test - opt.h: every way to write an option, every mistake, exit codes. */
#include <unistd.h>

#include "broker/base/opt.h"
#include "tests/unit/t.h"

static bool loud;
static const char *format;
static int64_t seed;

static const struct opt opts[] = {
    {"loud", 'v', OPT_FLAG, NULL, "say more", {.flag = &loud}},
    {"output", 'o', OPT_TEXT, "FORM", "table, json or raw", {.text = &format}},
    {"seed", 0, OPT_INT, "N", "begin of the sequence", {.num = &seed}},
    {NULL, 0, OPT_FLAG, NULL, NULL, {NULL}}};
static const struct command cmd = {
    "vayla thing NAME", "Does a thing.", opts, 1, 2};

static char *words[20];
static int left;
static bool done;

/* Space-separated arguments. */
static enum err
run(const char *line)
{
	static char copy[300];
	int argc = 1;

	loud = false;
	format = NULL;
	seed = 0;
	left = -1;
	snprintf(copy, sizeof(copy), "%s", line);
	words[0] = copy;
	for (char *p = strtok(copy, " "); p != NULL; p = strtok(NULL, " "))
		words[argc++] = p;
	words[argc] = NULL;
	return opt_parse(&cmd, argc, words, &left, &done);
}

T(ways_to_write_it)
{
	CHECK_OK(run("a --loud --output json --seed=-5 b"));
	CHECK(loud && seed == -5 && left == 2 && !done);
	CHECK_STR(format, "json");
	CHECK_STR(words[1], "a");
	CHECK_STR(words[2], "b");
	CHECK_OK(run("-v -o raw -- --loud"));
	CHECK(loud && left == 1);
	CHECK_STR(words[1], "--loud");
	CHECK_STR(format, "raw");
	CHECK_OK(run("-oraw -"));
	CHECK_STR(format, "raw");
	CHECK_STR(words[1], "-");
	CHECK_OK(run("a --output="));
	CHECK_STR(format, "");
	CHECK_OK(run("a --output --loud"));
	CHECK_STR(format, "--loud");
	CHECK_OK(run("a --seed 9223372036854775807"));
	CHECK(seed == INT64_MAX);
}

T(mistakes)
{
	static const char *const all[][2] = {
	    {"a --sead 5", "unknown option --sead; did you mean --seed?"},
	    {"a --Loud", "unknown option --Loud; did you mean --loud?"},
	    {"a --hepl", "unknown option --hepl; did you mean --help?"},
	    {"a --zzzzzz=1", "unknown option --zzzzzz; see --help"},
	    {"a -x", "unknown option -x; see --help"},
	    {"a -vo", "-vo: write each option apart"},
	    {"a --loud=1", "--loud takes no value"},
	    {"a --seed", "--seed needs a value (N)"},
	    {"a --seed x", "--seed takes a whole number, not \"x\""},
	    {"a --seed 5x", "--seed takes a whole number, not \"5x\""},
	    {"a --seed=", "--seed takes a whole number, not \"\""},
	    {"a --seed 9223372036854775808",
		"--seed takes a whole number, not \"9223372036854775808\""},
	    {"--loud", "a word is missing; usage: vayla thing NAME"},
	    {"a b c", "\"c\" is one word too many; usage: vayla thing NAME"}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		CHECK_ERR(run(all[i][0]), ERR_USAGE);
		CHECK_STR(err_last(), all[i][1]);
	}
}

/* What --help prints, by way of a file. */
T(help)
{
	static const char *const ways[] = {"--help", "-h", "a --help b c d"};
	char text[1000] = "";
	FILE *out = tmpfile();
	int was = dup(STDOUT_FILENO);
	size_t n;

	CHECK(out != NULL && was >= 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		fflush(stdout);
		rewind(out);
		dup2(fileno(out), STDOUT_FILENO);
		CHECK_OK(run(ways[i]));
		fflush(stdout);
		dup2(was, STDOUT_FILENO);
		CHECK(done);
		rewind(out);
		n = fread(text, 1, sizeof(text) - 1, out);
		text[n] = '\0';
		CHECK_STR(text,
		    "usage: vayla thing NAME\n\nDoes a thing.\n\noptions:\n"
		    "  -v, --loud                say more\n"
		    "  -o, --output FORM         table, json or raw\n"
		    "      --seed N              begin of the sequence\n");
	}
	close(was);
	fclose(out);
}

T(statuses)
{
	CHECK(exit_status(ERR_OK) == 0 && exit_status(ERR_CONFIG) == 1);
	CHECK(exit_status(ERR_USAGE) == 2 && exit_status(ERR_NOTFOUND) == 4);
	CHECK(exit_status(ERR_TIMEOUT) == 75 && exit_status(ERR_WAIT) == 75);
	CHECK(exit_status(ERR_FULL) == 75 && exit_status(ERR_IO) == 1);
	CHECK(exit_status(ERR_DENIED) == 77 && exit_status(ERR_SYNC) == 1);
}

T_MAIN(T_RUN(ways_to_write_it) T_RUN(mistakes) T_RUN(help) T_RUN(statuses))
