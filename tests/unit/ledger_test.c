/*
 * ledger - postings and the books they are written to: what is refused, what
 * three other programs say of the files, and kill -9 at every step.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/mp.h"
#include "broker/base/say.h"
#include "connectors/file/books.h"
#include "tests/unit/t.h"

static char root[] = "/tmp/vayla-ledger-XXXXXX";
static char folder[256];

/* A new, empty folder for a test. */
static void
fresh(const char *name)
{
	snprintf(folder, sizeof(folder), "%s/%s", root, name);
}

/* ---- postings ---- */

struct line {
	const char *account, *debit, *credit;
};

static void
put_posting(struct buf *b, const char *date, const char *currency,
    const char *text, const char *order, const struct line *l, size_t n)
{
	buf_reset(b);
	mp_put_map(b, order != NULL ? 5 : 4);
	mp_put_cstr(b, "date");
	mp_put_cstr(b, date);
	mp_put_cstr(b, "currency");
	mp_put_cstr(b, currency);
	mp_put_cstr(b, "text");
	mp_put_cstr(b, text);
	if (order != NULL) {
		mp_put_cstr(b, "order");
		mp_put_cstr(b, order);
	}
	mp_put_cstr(b, "entries");
	mp_put_array(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		mp_put_map(b, (uint32_t)(1 + (l[i].debit != NULL) +
					 (l[i].credit != NULL)));
		mp_put_cstr(b, "account");
		mp_put_cstr(b, l[i].account);
		if (l[i].debit != NULL) {
			mp_put_cstr(b, "debit");
			mp_put_decimal(b, slice_str(l[i].debit));
		}
		if (l[i].credit != NULL) {
			mp_put_cstr(b, "credit");
			mp_put_decimal(b, slice_str(l[i].credit));
		}
	}
}

static const struct line sale[] = {{"Assets:Clearing:Cards", "125.50", NULL},
    {"Income:Sales:Standard", NULL, "100"},
    {"Liabilities:VAT:Standard", NULL, "25.5"}};

static enum err
read_sale(struct arena *a, struct buf *b, const char *text, const char *order,
    struct posting *out)
{
	put_posting(b, "2026-03-01", "EUR", text, order, sale, 3);
	return posting_read(buf_all(b), a, out);
}

T(a_posting_in_both_syntaxes)
{
	struct posting_head h = {.id = "a1", .seq = 12, .revision = 1};
	struct arena a;
	struct buf b, out;
	struct posting p;

	arena_init(&a, 100000);
	buf_init(&b, 100000);
	buf_init(&out, 100000);
	CHECK_OK(read_sale(&a, &b, "Order 1042", "1042", &p));
	posting_journal(&out, &p, &h);
	CHECK_STR(buf_cstr(&out),
	    "\n2026-03-01 * (12) Order 1042\n"
	    "    ; event: a1\n"
	    "    ; revision: 1\n"
	    "    ; order: 1042\n"
	    "    Assets:Clearing:Cards                          125.50 EUR\n"
	    "    Income:Sales:Standard                         -100.00 EUR\n"
	    "    Liabilities:VAT:Standard                       -25.50 EUR\n");
	buf_reset(&out);
	posting_beancount(&out, &p, &h);
	CHECK_STR(buf_cstr(&out),
	    "\n2026-03-01 * \"Order 1042\"\n"
	    "  event: \"a1\"\n"
	    "  revision: 1\n"
	    "  voucher: \"12\"\n"
	    "  order: \"1042\"\n"
	    "  Assets:Clearing:Cards                          125.50 EUR\n"
	    "  Income:Sales:Standard                         -100.00 EUR\n"
	    "  Liabilities:VAT:Standard                       -25.50 EUR\n");
	arena_fini(&a);
	buf_fini(&b);
	buf_fini(&out);
}

T(what_is_read_back_is_what_was_written)
{
	struct posting_head h = {.id = "a1", .seq = 12, .revision = 7}, h2;
	struct arena a;
	struct buf b, out, again;
	struct posting p, p2;

	arena_init(&a, 200000);
	buf_init(&b, 100000);
	buf_init(&out, 100000);
	buf_init(&again, 100000);
	CHECK_OK(read_sale(&a, &b, "Order (1042) k\xc3\xa4teinen", "10", &p));
	for (int i = 0; i < 2; i++) {
		h.reverses = i == 0 ? 0 : 6;
		buf_reset(&out);
		buf_reset(&again);
		posting_journal(&out, &p, &h);
		CHECK_OK(
		    posting_parse(slice_from(buf_all(&out), 1), &a, &p2, &h2));
		CHECK_STR(h2.id, "a1");
		CHECK(h2.revision == 7 && h2.reverses == h.reverses);
		h2.seq = h.seq;
		posting_journal(&again, &p2, &h2);
		CHECK_STR(buf_cstr(&again), buf_cstr(&out));
	}
	/* by hand: another amount, another account, a line too many */
	CHECK_ERR(posting_parse(SLICE_LIT("2026-03-01 * (1) x\n"
					  "    ; event: a\n"
					  "    ; revision: 1\n"
					  "    Assets:A  1.00 EUR\n"
					  "    Assets:B  -1.10 EUR\n"),
		      &a, &p2, &h2),
	    ERR_STATE);
	CHECK_ERR(posting_parse(SLICE_LIT("2026-03-01 * (1) x\n"
					  "    ; event: a\n"
					  "    ; revision: 1\n"
					  "    Assets:A  1.00 EUR @ 2 USD\n"
					  "    Assets:B  -1.00 EUR\n"),
		      &a, &p2, &h2),
	    ERR_STATE);
	CHECK_ERR(posting_parse(SLICE_LIT("2026-03-01 * (1) x\n"
					  "    ; event: a\n"),
		      &a, &p2, &h2),
	    ERR_STATE);
	arena_fini(&a);
	buf_fini(&b);
	buf_fini(&out);
	buf_fini(&again);
}

T(what_is_refused_and_why)
{
	static const struct {
		const char *date, *currency, *why;
		struct line l[3];
		size_t n;
		enum err e;
	} cases[] = {
	    {"2026-03-01", "EUR", "1.00 EUR",
		{{"Assets:A", "2", NULL}, {"Assets:B", NULL, "1.00"}}, 2,
		ERR_CHECK},
	    {"2026-03-01", "EUR", "0.001 EUR",
		{{"Assets:A", "1.001", NULL}, {"Assets:B", NULL, "1"}}, 2,
		ERR_CHECK},
	    {"2026-02-29", "EUR", "no 2026-02-29", {{"Assets:A", "0", NULL}}, 1,
		ERR_RANGE},
	    {"1.3.2026", "EUR", "1.3.2026", {{"Assets:A", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"1969-12-31", "EUR", "before 1970", {{"Assets:A", "0", NULL}}, 1,
		ERR_RANGE},
	    {"2026-03-01", "eur", "capitals", {{"Assets:A", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "E\nR", "capitals", {{"Assets:A", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"1320", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"Assets", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"Assets:a", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"Assets:A ;x", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"Assets:A\n", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"Assets::A", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "no account", {{"Assets:A:", "0", NULL}}, 1,
		ERR_SYNTAX},
	    {"2026-03-01", "EUR", "one of", {{"Assets:A", "1", "1"}}, 1,
		ERR_MISSING},
	    {"2026-03-01", "EUR", "one of", {{"Assets:A", NULL, NULL}}, 1,
		ERR_MISSING},
	    {"2026-03-01", "EUR", "negative",
		{{"Assets:A", "-1", NULL}, {"Assets:B", "1", NULL}}, 2,
		ERR_RANGE},
	    {"2026-03-01", "EUR", "none", {{NULL, NULL, NULL}}, 0, ERR_MISSING},
	    {"2026-03-01", "EUR", "entry 1",
		{{"Assets:A", "99999999999999999999", NULL}}, 1, ERR_RANGE},
	};
	struct arena a;
	struct buf b;
	struct posting p;

	arena_init(&a, 1000000);
	buf_init(&b, 100000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_posting(&b, cases[i].date, cases[i].currency, "t", NULL,
		    cases[i].l, cases[i].n);
		CHECK_ERR(posting_read(buf_all(&b), &a, &p), cases[i].e);
		if (strstr(err_last(), cases[i].why) == NULL) {
			fprintf(stderr, "case %zu: %s\n", i, err_last());
			CHECK(false); /* the reason */
		}
	}
	/* tags that a program would take for its own, or for ours */
	buf_reset(&b);
	mp_put_map(&b, 1);
	mp_put_cstr(&b, "date2");
	mp_put_cstr(&b, "2026-03-01");
	CHECK_ERR(posting_read(buf_all(&b), &a, &p), ERR_SYNTAX);
	buf_reset(&b);
	mp_put_map(&b, 1);
	mp_put_cstr(&b, "event");
	mp_put_cstr(&b, "x");
	CHECK_ERR(posting_read(buf_all(&b), &a, &p), ERR_SYNTAX);
	mp_put_nil(&b);
	CHECK_ERR(posting_read(SLICE_LIT("\xc0"), &a, &p), ERR_TYPE);
	arena_fini(&a);
	buf_fini(&b);
}

T(account_names)
{
	CHECK(account_valid(SLICE_LIT("Assets:1320")));
	CHECK(account_valid(SLICE_LIT("Income:Sales-25:K\xc3\xa4teis")));
	CHECK(account_valid(SLICE_LIT("Equity:\xc3\x84lyt")));
	CHECK(!account_valid(SLICE_LIT("Equity:\xc3")));
	CHECK(!account_valid(SLICE_LIT("Equity:A\xc2\xa0")));
	CHECK(!account_valid(SLICE_LIT("Equity:A\xe2\x80\xaf")));
	CHECK(!account_valid(SLICE_LIT("Equity:-A")));
	CHECK(!account_valid(SLICE_LIT("equity:A")));
	CHECK(!account_valid(SLICE_LIT("Equity:A\"")));
	CHECK(!account_valid(SLICE_EMPTY));
}

/* ---- books ---- */

static char *
whole(const char *name)
{
	static struct buf b;
	char path[512];

	if (b.max == 0)
		buf_init(&b, 64 << 20);
	buf_reset(&b);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	CHECK_OK(file_read(path, &b));
	return (char *)(uintptr_t)buf_cstr(&b);
}

static int
count(const char *in, const char *what)
{
	size_t len = strlen(what);
	int n = 0;

	/* not strstr(): under the address sanitizer it costs the whole rest of
	 * the file each time */
	for (; *in != '\0'; in++)
		n += *in == *what && strncmp(in, what, len) == 0;
	return n;
}

static enum err
add(struct books *b, const char *id, uint32_t revision, const char *text,
    bool withdrawn, size_t *written)
{
	static struct buf data;
	static struct arena a;
	struct posting p;
	struct books_fact f = {
	    .id = slice_str(id), .seq = 40 + revision, .revision = revision};
	struct slice said;
	enum err e;

	if (data.max == 0) {
		buf_init(&data, 100000);
		arena_init(&a, 1 << 20);
	}
	arena_reset(&a);
	if (!withdrawn) {
		e = read_sale(&a, &data, text, id, &p);
		if (e != ERR_OK)
			return e;
		f.posting = &p;
	}
	e = books_add(b, &f, &said);
	if (written != NULL)
		*written = said.n;
	return e;
}

static enum err
post(struct books *b, const char *id, uint32_t revision, const char *text)
{
	enum err e = add(b, id, revision, text, false, NULL);

	return e == ERR_OK ? books_commit(b) : e;
}

static bool
tool(const char *format)
{
	const char *at = strstr(format, "%s"); /* the folder */
	char cmd[2048];
	int r, n;

	n = (int)(at - format);
	snprintf(cmd, sizeof(cmd), "%.*s%s%s", n, format, folder, at + 2);
	r = system(cmd); /* what it has to say it says on stderr */
	if (r != 0)
		fprintf(stderr, "%s: %d\n", cmd, r);
	return r == 0;
}

static bool
have(const char *name)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null", name);
	return system(cmd) == 0;
}

/* What hledger, ledger and beancount say of the folder. */
static void
check_tools(void)
{
	static const struct {
		const char *name, *cmd;
	} tools[] = {
	    {"hledger", "hledger -f %s/books.journal check --strict"},
	    {"ledger", "ledger --pedantic -f %s/books.journal bal >/dev/null"},
	    {"bean-check", "bean-check %s/books.beancount"},
	};

	for (size_t i = 0; i < 3; i++) {
		if (!have(tools[i].name)) {
			fprintf(stderr, "SKIPPED: %s is not installed\n",
			    tools[i].name);
			t_skipped++;
			continue;
		}
		CHECK(tool(tools[i].cmd));
	}
}

T(the_same_again_and_revisions)
{
	struct books *b;
	size_t n;

	fresh("same");
	CHECK_OK(books_open(&b, folder));
	CHECK_OK(post(b, "e1", 1, "first"));
	CHECK_OK(add(b, "e1", 1, "first", false, &n));
	CHECK(n == 0);
	CHECK_OK(books_commit(b));
	CHECK(count(whole("books.journal"), "event: e1") == 1);
	books_close(b);

	/* by another process, from the files */
	CHECK_OK(books_open(&b, folder));
	CHECK(books_count(b) == 1);
	CHECK_OK(post(b, "e1", 1, "first"));
	CHECK(count(whole("books.journal"), "event: e1") == 1);
	/* a revision: the first is taken back */
	CHECK_OK(post(b, "e1", 2, "second"));
	CHECK(count(whole("books.journal"), "event: e1") == 3);
	CHECK(count(whole("books.journal"), "Reversal: first") == 1);
	CHECK(count(whole("books.journal"), "reverses: 1") == 1);
	CHECK(count(whole("books.beancount"), "event: \"e1\"") == 3);
	/* an earlier one that comes late */
	CHECK_OK(post(b, "e1", 1, "first"));
	CHECK(count(whole("books.journal"), "event: e1") == 3);
	books_close(b);

	CHECK_OK(books_open(&b, folder));
	CHECK_OK(add(b, "e1", 3, "", true, NULL));
	CHECK_OK(books_commit(b));
	CHECK(count(whole("books.journal"), "event: e1") == 4);
	CHECK(count(whole("books.journal"), "reverses: 2") == 1);
	CHECK_OK(add(b, "e1", 3, "", true, &n));
	CHECK(n == 0);
	CHECK_OK(books_commit(b));
	/* and states itself once more */
	CHECK_OK(post(b, "e1", 4, "fourth"));
	CHECK(count(whole("books.journal"), "event: e1") == 5);
	/* withdrawn before it was ever posted */
	CHECK_OK(add(b, "e2", 2, "", true, NULL));
	CHECK_OK(books_commit(b));
	CHECK_OK(post(b, "e2", 1, "too late"));
	CHECK(count(whole("books.journal"), "too late") == 0);
	books_close(b);
	CHECK_OK(books_open(&b, folder));
	CHECK_OK(post(b, "e2", 1, "too late"));
	CHECK(count(whole("books.journal"), "too late") == 0);
	books_close(b);
	check_tools();
}

T(a_batch)
{
	struct books *b;
	char id[16];

	fresh("batch");
	CHECK_OK(books_open(&b, folder));
	for (int i = 0; i < BOOKS_BATCH; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		CHECK_OK(add(b, id, 1, id, false, NULL));
	}
	CHECK_ERR(add(b, "more", 1, "x", false, NULL), ERR_BUSY);
	CHECK_OK(books_commit(b));
	CHECK_OK(add(b, "more", 1, "x", false, NULL));
	CHECK_ERR(add(b, "more", 2, "x", false, NULL), ERR_BUSY);
	CHECK_OK(books_commit(b));
	CHECK_OK(post(b, "more", 2, "y"));
	CHECK(count(whole("books.journal"), "; event: ") == BOOKS_BATCH + 3);
	CHECK(count(whole("books.journal"), "account Assets:") == 1);
	CHECK(count(whole("books.beancount"), " open Assets:") == 1);
	/* dropped: nothing of it */
	CHECK_OK(add(b, "never", 1, "x", false, NULL));
	books_drop(b);
	CHECK_OK(post(b, "after", 1, "x"));
	CHECK(count(whole("books.journal"), "never") == 0);
	CHECK(books_count(b) == BOOKS_BATCH + 2);
	books_close(b);
	check_tools();
}

T(hostile_texts)
{
	static const char *const texts[] = {
	    "two\nlines\n2026-01-01 * forged\n    Assets:X  1 EUR",
	    "\r\n\t\v\f\x01\x1b[31m\x7f",
	    "; comment | payee = 5 @ 3 {4} [2026-99-99] (x) ! * ~ %", "(", ")",
	    "\"", "\\", "\\\"", "\"\n", "*", "!", ";", "=", "", "  x  ;  y  ",
	    "[2026-13-45=2026-99-99]", "[=2026-99-99]", ":a:b:", "a:: (1/0)",
	    "date:2026-99-99, x: y", "key:: [x]", "date: foo", "type: bar",
	    "; date:nonsense",
	    "\xe2\x80\xa8line\xe2\x80\xa9separators\xc2\x85\xc2\xa0",
	    ("\xe2\x80\xae"
	     "evil\xe2\x81\xa6"),
	    "\xf0\x9f\x92\xb6 \xc3\xa4\xc3\xb6 \xe6\x97\xa5\xe6\x9c\xac",
	    "#tag ^link", "include /etc/passwd", "!include x", "@@ 5 EUR",
	    "end comment", "${HOME} $(id) `id`", "{{x}}", "1000.00 EUR",
	    "\xff\xfe bad utf-8 \xc3", "= Assets:A 5 EUR", "P 2026-01-01 X 1",
	    "comment", "~ monthly", "    ; event: e1\n    ; revision: 9"};
	struct books *b;
	char id[16], big[5000];
	size_t n = sizeof(texts) / sizeof(texts[0]);

	fresh("hostile");
	CHECK_OK(books_open(&b, folder));
	for (size_t i = 0; i < n; i++) {
		struct books_fact f = {.seq = i + 1, .revision = 1};
		struct posting p;
		struct arena a;
		struct slice said;
		struct buf data;

		arena_init(&a, 1 << 20);
		buf_init(&data, 100000);
		snprintf(id, sizeof(id), "e%zu", i);
		f.id = slice_str(id);
		f.posting = &p;
		put_posting(
		    &data, "2026-03-01", "EUR", texts[i], texts[i], sale, 3);
		CHECK_OK(posting_read(buf_all(&data), &a, &p));
		CHECK_OK(books_add(b, &f, &said));
		arena_fini(&a);
		buf_fini(&data);
	}
	CHECK_OK(books_commit(b));
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	CHECK_OK(post(b, "big", 1, big));
	/* the event's own id */
	CHECK_OK(post(b, "a\n2026-01-01 b", 1, "id"));
	CHECK_OK(post(b, "a\n2026-01-01 b", 1, "id"));
	CHECK_OK(post(b, "a\n2026-01-01 b", 2, "id"));
	/* every one of them can be taken back */
	for (size_t i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "e%zu", i);
		CHECK_OK(add(b, id, 2, "", true, NULL));
	}
	CHECK_OK(books_commit(b));
	books_close(b);
	CHECK_OK(books_open(&b, folder));
	CHECK(books_count(b) == n + 2);
	books_close(b);
	CHECK(count(whole("books.journal"), "\n2026-") == (int)n * 2 + 4);
	CHECK(count(whole("books.journal"), "; event: ") == (int)n * 2 + 4);
	check_tools();
}

T(edited_by_hand)
{
	struct books *b;
	char path[512];
	FILE *f;
	size_t n;

	fresh("hand");
	CHECK_OK(books_open(&b, folder));
	CHECK_OK(post(b, "e1", 1, "first"));
	snprintf(path, sizeof(path), "%s/books.journal", folder);
	/* somebody adds at the end, without a last line end */
	f = fopen(path, "a");
	fputs("\n2026-05-05 * mine\n    Assets:Bank  1.00 EUR\n"
	      "    Equity:Own  -1.00 EUR",
	    f);
	fclose(f);
	CHECK_OK(post(b, "e2", 1, "second"));
	CHECK(count(whole("books.journal"), "-1.00 EUR\n") == 1);
	CHECK_OK(add(b, "e1", 1, "first", false, &n));
	CHECK(n == 0);
	/* a posting is taken out by hand, in another file of the same name */
	books_drop(b);
	CHECK(tool("sed -i 's/^2026-03-01 . .41. first/2026-03-01 * x/' "
		   "%s/books.journal"));
	CHECK_ERR(add(b, "e1", 2, "first", false, &n), ERR_STATE);
	CHECK(strstr(err_last(), "changed by hand") != NULL);
	/* others go on */
	CHECK_OK(post(b, "e3", 1, "third"));
	/* between adding and committing: nothing is written over it */
	CHECK_OK(add(b, "e4", 1, "fourth", false, &n));
	CHECK(tool("echo '; remark' >> %s/books.journal"));
	CHECK_ERR(books_commit(b), ERR_BUSY);
	CHECK_OK(post(b, "e4", 1, "fourth"));
	CHECK(count(whole("books.journal"), "; event: e4") == 1);
	CHECK(tool("echo 'account Assets:Bank\naccount Equity:Own' >> "
		   "%s/books.journal"));
	books_close(b);
	CHECK(tool("hledger -f %s/books.journal check --strict"));
}

/* A file that can not grow any further, wherever that happens: nothing of the
 * batch stands in either, and it goes on when there is room again. */
T(no_room)
{
	struct rlimit was, tight;
	struct books *b;
	int refused = 0;

	fresh("full");
	signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &was) == 0);
	CHECK_OK(books_open(&b, folder));
	CHECK_OK(post(b, "e0", 1, "before"));
	for (unsigned i = 0; i < 40; i++) {
		enum err e;

		tight = was;
		tight.rlim_cur = 300 + i * 30;
		CHECK_OK(add(b, "e1", i + 1, "tight", false, NULL));
		CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
		e = books_commit(b);
		CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
		if (e == ERR_OK)
			break;
		CHECK(err_class(e) == CLASS_RETRY);
		refused++;
		CHECK(count(whole("books.journal"), "tight") == 0);
		CHECK(count(whole("books.beancount"), "tight") == 0);
	}
	CHECK(refused > 5 && refused < 40);
	CHECK_OK(post(b, "e2", 1, "after"));
	books_close(b);
	CHECK_OK(books_open(&b, folder));
	CHECK(books_count(b) == 3);
	books_close(b);
	check_tools();
}

T(not_writable)
{
	struct books *b;

	snprintf(folder, sizeof(folder), "/proc/vayla-books");
	CHECK(books_open(&b, folder) != ERR_OK);
	CHECK(strstr(err_last(), "/proc/vayla-books") != NULL);
}

T(one_writer)
{
	struct books *b, *c;

	fresh("one");
	CHECK_OK(books_open(&b, folder));
	CHECK_ERR(books_open(&c, folder), ERR_BUSY);
	CHECK(strstr(err_last(), "another process") != NULL);
	books_close(b);
	CHECK_OK(books_open(&b, folder));
	books_close(b);
}

/* ---- kill -9 ---- */

static const char *kill_at;
static int kill_after;

static void
killer(const char *name)
{
	if (strcmp(name, kill_at) == 0 && kill_after-- == 0)
		raise(SIGKILL);
}

/* Post 8 new events at a time from `first` on; after each commit one byte goes
 * to the parent. Never returns. */
static void
child(int first, int out)
{
	struct books *b;
	char id[16];

	if (books_open(&b, folder) != ERR_OK)
		_exit(1);
	for (int k = 0; k < 2000; k++) {
		for (int i = 0; i < 8; i++) {
			snprintf(id, sizeof(id), "k%d.", first + k * 8 + i);
			if (add(b, id, 1, "killed", false, NULL) != ERR_OK)
				_exit(2);
		}
		if (books_commit(b) != ERR_OK || write(out, "x", 1) != 1)
			_exit(3);
	}
	_exit(0);
}

/* How many were confirmed before it died. */
static int
run_child(int first, int us)
{
	int fd[2], status, n = 0;
	char c[4096];
	ssize_t r;
	pid_t pid;

	CHECK(pipe(fd) == 0);
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		child(first, fd[1]);
	}
	close(fd[1]);
	if (us >= 0) {
		usleep((useconds_t)us);
		kill(pid, SIGKILL);
	}
	while ((r = read(fd[0], c, sizeof(c))) > 0)
		n += (int)r;
	close(fd[0]);
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return n * 8;
}

/* After the next start: all that were confirmed, whole batches, none twice, the
 * same in both files. Returns how many there are. */
static int
all_there(int confirmed, int first)
{
	struct books *b;
	char what[64];
	int n, m;

	CHECK_OK(books_open(&b, folder));
	n = (int)books_count(b);
	books_close(b);
	CHECK(n >= first + confirmed && n <= first + confirmed + 8);
	CHECK(n % 8 == 0);
	m = count(whole("books.journal"), "; event: k");
	CHECK(m == n);
	CHECK(count(whole("books.beancount"), "event: \"k") == n);
	CHECK(count(whole("books.journal"), " EUR\n") ==
	      n * 3 + 2 * (n > 0)); /* the commodity and its format */
	CHECK(count(whole("books.beancount"), " EUR\n") == n * 3);
	/* The index knows n different ones, so each stands once; of the other
	 * file the end is looked at. */
	for (int i = n > 8 ? n - 8 : 0; i < n; i++) {
		snprintf(what, sizeof(what), "event: \"k%d.\"\n", i);
		CHECK(count(whole("books.beancount"), what) == 1);
	}
	return n;
}

T(killed_at_any_moment)
{
	int n = 0;

	fresh("killed");
	srand((unsigned)getpid());
	for (int round = 0; round < 50; round++)
		n = all_there(run_child(n, rand() % 20000), n);
	CHECK(n > 50);
	printf("  50 rounds of kill -9: %d postings\n", n);
	check_tools();
}

T(killed_at_each_step)
{
	static const char *const steps[] = {"begin", "intent written",
	    "intent synced", "books.journal", "books.beancount", "synced",
	    "end"};
	int n = 0;

	fresh("steps");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int was = n;

		kill_at = steps[i];
		kill_after = 2;
		books_step = killer;
		n = run_child(n, -1);
		books_step = NULL;
		CHECK(n == (i == 6 ? 16 : 16));
		n = all_there(n, was);
		/* a batch counts from the moment its intent is whole */
		CHECK(n == was + 16 + (i == 0 ? 0 : 8));
	}
	check_tools();
}

/* A power cut: any part of what was appended may be missing. */
T(torn_appends)
{
	char cmd[2048], keep[300];
	int n;

	fresh("torn");
	kill_at = "synced";
	kill_after = 1;
	books_step = killer;
	n = run_child(0, -1);
	books_step = NULL;
	CHECK(n == 8);
	snprintf(keep, sizeof(keep), "%s", folder);
	for (int cut = 0; cut < 12; cut++) {
		struct stat st;
		char path[600];

		fresh("torn-cut");
		snprintf(cmd, sizeof(cmd), "rm -rf %s; cp -a %s %s", folder,
		    keep, folder);
		CHECK(system(cmd) == 0);
		snprintf(path, sizeof(path), "%s/%s", folder,
		    cut % 2 != 0 ? "books.journal" : "books.beancount");
		CHECK(stat(path, &st) == 0);
		CHECK(truncate(path, st.st_size - cut * 150) == 0);
		CHECK(all_there(8, 0) == 16);
	}
	/* shorter than before the batch: that was no power cut */
	{
		struct books *b;
		char path[600];

		snprintf(path, sizeof(path), "%s/books.journal", keep);
		CHECK(truncate(path, 100) == 0);
		CHECK_ERR(books_open(&b, keep), ERR_STATE);
		CHECK(strstr(err_last(), "books.commit") != NULL);
	}
}

/* A torn books.commit is no batch. */
T(torn_intent)
{
	char path[600];
	int n, fd;

	fresh("intent");
	kill_at = "intent synced";
	kill_after = 1;
	books_step = killer;
	n = run_child(0, -1);
	books_step = NULL;
	CHECK(n == 8);
	snprintf(path, sizeof(path), "%s/books.commit", folder);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0 && pwrite(fd, "?", 1, 1000) == 1);
	close(fd);
	CHECK(all_there(8, 0) == 8);
}

/* Any byte of the journal may be any other: opening it and posting on works,
 * and only what was garbled itself can not be taken back. */
T(garbled_journals)
{
	uint32_t r = 7;
	int back = 0;

	for (int round = 0; round < 200; round++) {
		struct books *b;
		char path[600], name[32], id[32];
		enum err e;
		int fd;

		snprintf(name, sizeof(name), "garbled%d", round % 4);
		snprintf(id, sizeof(id), "e%d", round);
		fresh(name);
		CHECK_OK(books_open(&b, folder));
		CHECK_OK(post(b, id, 1, "one"));
		snprintf(path, sizeof(path), "%s/books.journal", folder);
		fd = open(path, O_RDWR);
		for (int i = 0; i < 5; i++) {
			off_t end = lseek(fd, 0, SEEK_END);
			uint8_t c;

			r = r * 1664525 + 1013904223;
			c = (uint8_t)(r >> 24);
			CHECK(pwrite(fd, &c, 1, (off_t)(r >> 8) % end) == 1);
		}
		close(fd);
		e = add(b, id, 2, "two", round % 3 == 0, NULL);
		CHECK(e == ERR_OK || e == ERR_STATE);
		back += e == ERR_OK;
		if (e == ERR_OK)
			CHECK_OK(books_commit(b));
		snprintf(id, sizeof(id), "f%d", round);
		CHECK_OK(post(b, id, 1, "three"));
		books_close(b);
	}
	CHECK(back > 100 && back < 200);
}

static void
at_start(void)
{
	say_level(SAY_ERROR + 1);
	if (mkdtemp(root) == NULL)
		exit(1);
}

static void
at_end(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	(void)!system(cmd);
}

T_MAIN(at_start(); T_RUN(a_posting_in_both_syntaxes) T_RUN(
    what_is_read_back_is_what_was_written) T_RUN(what_is_refused_and_why)
	   T_RUN(account_names) T_RUN(the_same_again_and_revisions)
	       T_RUN(a_batch) T_RUN(hostile_texts) T_RUN(edited_by_hand)
		   T_RUN(one_writer) T_RUN(no_room) T_RUN(not_writable)
		       T_RUN(killed_at_any_moment) T_RUN(killed_at_each_step)
			   T_RUN(torn_appends) T_RUN(torn_intent)
			       T_RUN(garbled_journals) at_end())
