/* config: vayla.yaml, its variables, and everything that can be wrong. */
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/file.h"
#include "tests/unit/t.h"

static char dir[64];

static const char *
path(const char *name)
{
	static char p[4][256];
	static int i;

	i = (i + 1) % 4;
	snprintf(p[i], sizeof(p[i]), "%s/%s", dir, name);
	return p[i];
}

static void
put(const char *name, const char *text)
{
	CHECK_OK(file_write(path(name), slice_str(text), 0600));
}

static const char *
must_load(struct config **c, const char *text)
{
	static char said[8192];
	struct faults f;

	put("vayla.yaml", text);
	faults_init(&f);
	*c = NULL;
	CHECK_OK(config_load(c, path("vayla.yaml"), &f));
	snprintf(said, sizeof(said), "%s", buf_cstr(&f.text));
	CHECK(f.count == 0);
	faults_fini(&f);
	return said;
}

/* Loads a bad file; gives its faults. */
static const char *
faults_of(const char *text, size_t count)
{
	static char said[8192];
	struct config *c = NULL;
	struct faults f;

	put("vayla.yaml", text);
	faults_init(&f);
	CHECK_ERR(config_load(&c, path("vayla.yaml"), &f), ERR_CONFIG);
	CHECK(c == NULL);
	snprintf(said, sizeof(said), "%s", buf_cstr(&f.text));
	if (f.count != count) {
		fprintf(
		    stderr, "%zu faults, not %zu:\n%s", f.count, count, said);
		t_bad++;
	}
	faults_fini(&f);
	return said;
}

#define HAS(text, part)                                                   \
	do {                                                              \
		const char *t_text = (text);                              \
		if (strstr(t_text, part) == NULL) {                       \
			t_bad++;                                          \
			fprintf(stderr, "%s:%d: \"%s\" is not in:\n%s\n", \
			    __FILE__, __LINE__, part, t_text);            \
		}                                                         \
	} while (0)

T(defaults)
{
	struct config *c;

	must_load(&c, "systems: {}\n");
	if (c == NULL)
		return;
	CHECK_STR(c->data, "./var");
	CHECK_STR(c->bus, "ipc://./var/bus.sock");
	CHECK_STR(c->console, "http://127.0.0.1:7180");
	CHECK(c->listen == NULL);
	CHECK(strcmp(c->packs + strlen(c->packs) - 9, "/mappings") == 0);
	CHECK(c->systems_n == 0);
	config_free(c);
	config_free(NULL);
}

T(everything)
{
	const struct config_system *s;
	struct config *c;
	char want[300];
	const char *said;

	said = must_load(&c,
	    "broker: {data: data, bus: 'tcp://127.0.0.1:7100', console: "
	    "'http://[::1]:80', packs: .}\n"
	    "receiver: {}\n"
	    "systems:\n"
	    "  shop: {use: woo, key: x}\n"
	    "  pay-2: {use: payments, of: shop, mode: live, since: "
	    "2026-01-01}\n"
	    "promises: {}\n");
	if (c == NULL)
		return;
	HAS(said, "vayla.yaml:6:");
	HAS(said, "promises are not watched");
	snprintf(want, sizeof(want), "%s/data", dir);
	CHECK_STR(c->data, want);
	CHECK_STR(c->bus, "tcp://127.0.0.1:7100");
	CHECK_STR(c->console, "http://[::1]:80");
	CHECK_STR(c->listen, "http://127.0.0.1:7181");
	CHECK(c->systems_n == 2);
	s = config_system(c, slice_str("shop"));
	CHECK(s != NULL && slice_is(s->of, "shop") && !s->live &&
	      slice_is(s->pack, "woo") && s->since.n == 0);
	s = config_system(c, slice_str("pay-2"));
	CHECK(s != NULL && slice_is(s->of, "shop") && s->live &&
	      slice_is(s->since, "2026-01-01"));
	CHECK(config_system(c, slice_str("shopp")) == NULL);
	config_free(c);
}

T(paths)
{
	struct config *c;
	struct buf b;

	must_load(&c, "systems: {}\n");
	if (c == NULL)
		return;
	buf_init(&b, 300);
	config_path(c, slice_str("/abs"), &b);
	CHECK_STR(buf_cstr(&b), "/abs");
	buf_reset(&b);
	config_path(c, slice_str("./here"), &b);
	CHECK_STR(buf_cstr(&b), "./here");
	buf_reset(&b);
	config_path(c, slice_str("../up"), &b);
	CHECK_STR(buf_cstr(&b), "../up");
	buf_reset(&b);
	config_path(c, slice_str("a/b"), &b);
	CHECK_STR(buf_cstr(&b), path("a/b"));
	buf_fini(&b);
	config_free(c);
}

static const char *
setting(const struct config *c, const char *key)
{
	const struct yaml *y = yaml_get(c->systems[0].node, key);

	return y != NULL ? (const char *)y->text.p : "(none)";
}

T(variables)
{
	struct config *c;
	char creds[80];

	put("from-file", "s3cret\n");
	put("CRED", "two\nlines\r\n");
	snprintf(creds, sizeof(creds), "%s", dir);
	setenv("A", "alpha", 1);
	setenv("EMPTY", "", 1);
	setenv("SEC_FILE", path("from-file"), 1);
	setenv("CREDENTIALS_DIRECTORY", creds, 1);
	unsetenv("NONE");
	unsetenv("SEC");
	must_load(&c, "systems:\n"
		      "  x:\n"
		      "    use: p\n"
		      "    a: ${A}\n"
		      "    b: \"<${A}-${A}>\"\n"
		      "    c: ${NONE:-dflt}\n"
		      "    d: '${EMPTY:-used}'\n"
		      "    e: '${EMPTY}'\n"
		      "    f: ${SEC}\n"
		      "    g: ${CRED}\n"
		      "    h: 'x$${A}$5'\n"
		      "    i: ${A:?needed}\n"
		      "    j: '${NONE:-}'\n");
	if (c == NULL)
		return;
	CHECK_STR(setting(c, "a"), "alpha");
	CHECK_STR(setting(c, "b"), "<alpha-alpha>");
	CHECK_STR(setting(c, "c"), "dflt");
	CHECK_STR(setting(c, "d"), "used");
	CHECK_STR(setting(c, "e"), "");
	CHECK_STR(setting(c, "f"), "s3cret");
	CHECK_STR(setting(c, "g"), "two\nlines");
	CHECK_STR(setting(c, "h"), "x${A}$5");
	CHECK_STR(setting(c, "i"), "alpha");
	CHECK_STR(setting(c, "j"), "");
	config_free(c);
}

T(variables_wrong)
{
	const char *said;

	put("binary", "\xff\xfe");
	setenv("EMPTY", "", 1);
	setenv("LOST_FILE", "/nonexistent/file", 1);
	setenv("BIN_FILE", path("binary"), 1);
	said = faults_of("systems:\n"
			 "  x:\n"
			 "    use: p\n"
			 "    a: ${NONE}\n"
			 "    b: '${EMPTY:?say what}'\n"
			 "    c: '${1X}'\n"
			 "    d: 'ab ${NONE'\n"
			 "    e: '${NONE:=x}'\n"
			 "    f: '${LOST}'\n"
			 "    g: '${BIN}'\n"
			 "    h: '${NONE:?}'\n",
	    8);
	HAS(said, "vayla.yaml:4:8: NONE is not set");
	HAS(said, "vayla.yaml:5:");
	HAS(said, "EMPTY: say what");
	HAS(said, "\"${1X}\" is no variable");
	HAS(said, "without \"}\"");
	HAS(said, "\"${NONE:=x}\" is no variable");
	HAS(said, "/nonexistent/file");
	HAS(said, "BIN holds bytes that are no text");
}

T(all_faults_at_once)
{
	const char *said;

	said = faults_of("brokr: {}\n"
			 "broker:\n"
			 "  dta: x\n"
			 "  bus: zmq://x\n"
			 "  console: ftp://x\n"
			 "receiver: {listen: 'http://127.0.0.1'}\n"
			 "systems:\n"
			 "  My Store: {use: p}\n"
			 "  pay: {of: shp}\n"
			 "  books: {use: p, mode: liv, since: 2026-13-01}\n"
			 "  list: [1]\n"
			 "  shop: {use: p, tables: x}\n",
	    12);
	HAS(said, ":1:1: vayla.yaml: no key named \"brokr\"; did you mean "
		  "\"broker\"?");
	HAS(said, "did you mean \"data\"?");
	HAS(said, "broker.bus must begin with ipc:// or tcp://");
	HAS(said, "broker.console must begin with http://");
	HAS(said, "receiver.listen needs host and port");
	HAS(said, "\"My Store\" is no name for a system");
	HAS(said, "use: PACK");
	HAS(said, "did you mean \"shop\"?");
	HAS(said, "did you mean \"live\"?");
	HAS(said, "since must be a date");
	HAS(said, "a system must be a map, not a list");
	HAS(said, "tables must be a map");
}

T(addresses)
{
	char text[400], sock[200];

	memset(sock, 's', sizeof(sock));
	sock[107] = '\0';
	snprintf(text, sizeof(text), "broker: {bus: \"ipc://%s\"}\n", sock);
	{
		struct config *c;

		must_load(&c, text);
		config_free(c);
	}
	sock[107] = 's';
	sock[108] = '\0';
	snprintf(text, sizeof(text), "broker: {bus: \"ipc://%s\"}\n", sock);
	HAS(faults_of(text, 1), "a socket's path may have 107 bytes, this has "
				"108");
	HAS(faults_of("broker: {bus: 'ipc://'}\n", 1), "needs the path");
	HAS(faults_of("broker: {bus: 'tcp://h:99999'}\n", 1), "host and port");
	HAS(faults_of("broker: {console: 'http://h:1/x'}\n", 1),
	    "without a path");
	HAS(faults_of("receiver: {listen: 'http://127.0.0.1:7180'}\n", 1),
	    "are both");
	HAS(faults_of("broker: {packs: /nonexistent}\n", 1), "no folder");
	HAS(faults_of("broker: {data: ''}\n", 1), "is empty");
}

T(no_file)
{
	struct config *c = NULL;
	struct faults f;

	faults_init(&f);
	CHECK_ERR(config_load(&c, path("none.yaml"), &f), ERR_NOTFOUND);
	CHECK(strstr(err_last(), "none.yaml") != NULL);
	faults_fini(&f);
}

static void
prepare(void)
{
	snprintf(dir, sizeof(dir), "/tmp/vayla-config-XXXXXX");
	if (mkdtemp(dir) == NULL)
		exit(1);
	unsetenv("VAYLA_PACKS");
}

static void
clean(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		exit(1);
}

T_MAIN(prepare(); T_RUN(defaults) T_RUN(everything) T_RUN(paths)
	   T_RUN(variables) T_RUN(variables_wrong) T_RUN(all_faults_at_once)
	       T_RUN(addresses) T_RUN(no_file) clean())
