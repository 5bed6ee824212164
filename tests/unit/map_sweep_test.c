/* sweep: what is silent is found, what is said, optional or tested is not. */
#include <sys/stat.h>

#include "mappings/engine/sweep.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

static char *dir;

static void
put(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static char *said;

/* A mapping of the pack "p" whose data and tests are these. */
static struct sweep
sweep(const char *data, const char *tests)
{
	struct sweep s = {0};
	char text[4096], path[512];
	size_t n;
	FILE *out;

	snprintf(text, sizeof(text),
	    "map: p.m/1\nfrom: p.in\nemit:\n  - type: p.out\n    id: 'x'\n"
	    "    data:\n%stests:\n%s",
	    data, tests);
	put("p/x.map.yaml", text);
	snprintf(path, sizeof(path), "%s/p/x.map.yaml", dir);
	free(said);
	out = open_memstream(&said, &n);
	CHECK_OK(sweep_file(path, false, out, &s));
	fclose(out);
	CHECK(s.tried > 0);
	return s;
}

#define TEST(data) \
	"  - name: one\n    given: {data: " data "}\n    expect: {}\n"
#define SAYS(part)                                            \
	do {                                                  \
		CHECK(strstr(said, part) != NULL);            \
		if (strstr(said, part) == NULL)               \
			fprintf(stderr, "  says %s\n", said); \
	} while (0)

T(said_or_silent)
{
	struct sweep s;

	/* two leaves, three ways each: all refused */
	s = sweep(
	    "      a: a\n      b: need(l[1].n)\n", TEST("{a: x, l: [{n: 1}]}"));
	CHECK(s.tried == 6 && s.refused == 6 && s.failed == 0);
	/* an optional field may go, a field nobody reads is irrelevant */
	s = sweep(
	    "      a: a\n      o?: o\n", TEST("{a: x, o: y, l: [{n: 1}]}"));
	CHECK(s.tried == 9 && s.refused == 3 && s.optional == 3 &&
	      s.irrelevant == 3 && s.failed == 0);
	/* a default that no test takes; with a test that does it is fine */
	s = sweep("      a: o ?? a\n", TEST("{a: x, o: y}"));
	CHECK(s.failed == 1);
	SAYS("x.map.yaml: o missing: line 7: no test takes the default in "
	     "o ?? a");
	s = sweep("      a: o ?? a\n", TEST("{a: x, o: y}") TEST("{a: x}"));
	CHECK(s.failed == 0 && s.defaulted == 3);
	/* a sum over what is left of a list says nothing */
	s = sweep("      a: count(x for x in l if has(x.n))\n",
	    TEST("{a: x, l: [{n: 1}, {n: 2}]}") TEST("{a: x, l: [{m: 1}]}"));
	CHECK(s.failed == 0 && s.defaulted > 0);
	s = sweep("      a: join('-', y for y in t if y != 'q')\n"
		  "      b?: a\n",
	    TEST("{a: x, l: [], t: [p, r]}"));
	CHECK(s.failed == 0); /* null in a list is refused, blank is absent */
	/* `when` that hides the whole event */
	s = sweep(
	    "      a:\n        each: x in l\n        when: need(x.n) = 1\n"
	    "        item: need(x.n)\n",
	    TEST("{a: x, l: [{n: 1}]}"));
	CHECK(s.failed == 0 && s.refused == 3);
}

T_MAIN(
    dir = tmp_make(); tmp_run("mkdir -p %s/p/schema %s/canonical", dir, dir);
    put("canonical/a.happened.yaml",
	"schema: a.happened/1\ntitle: x\nsubject: {kind: a, scope: "
	"house}\nfields:\n  x: text\n");
    put("p/pack.yaml",
	"pack: p/1\ntitle: P\nsend:\n  p.out: {revised: send}\n");
    put("p/schema/p.in.yaml",
	"schema: p.in/1\ntitle: x\nblank: absent\nfields:\n  a: text\n  o?: "
	"text\n  l: {items: {n?: integer, m?: integer}}\n  t?: {list: "
	"text}\n");
    put("p/schema/p.out.yaml",
	"schema: p.out/1\ntitle: x\nfields:\n  a: any\n  b?: any\n  o?: any\n");
    T_RUN(said_or_silent) tmp_free(dir); free(said))
