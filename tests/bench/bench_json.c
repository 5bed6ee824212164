/*
 * bench_json - an order's JSON to msgpack and back, beside jansson building and
 * printing its tree, and beside Node's JSON.parse and JSON.stringify, in turn.
 * Bytes of JSON per second; neither peer keeps digits or ids over 2^53 as
 * numbers, so both do less. Node reads a string it holds decoded already.
 */
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/mp.h"
#include "tests/bench/bench.h"
#include "tests/bench/peer.h"

/* jansson has a macro of the same name. */
static const enum json_form compact = JSON_COMPACT;

#include <jansson.h>

#define SAMPLE "tests/samples/order.json"
#define SECONDS 0.2

#define NODE_N 20000

static struct buf text, mp, out;
static json_t *tree;
static struct peer node;

static void
die(const char *what)
{
	fprintf(stderr, "bench_json: %s: %s\n", what, err_last());
	exit(1);
}

static void
read_ours(void)
{
	buf_reset(&mp);
	if (json_to_mp(buf_all(&text), &mp, NULL) != ERR_OK)
		die("json_to_mp");
}

static void
read_theirs(void)
{
	json_error_t e;
	json_t *j = json_loadb((const char *)text.p, text.n, 0, &e);

	if (j == NULL)
		die(e.text);
	json_decref(j);
}

static void
write_ours(void)
{
	buf_reset(&out);
	if (mp_to_json(buf_all(&mp), compact, &out) != ERR_OK)
		die("mp_to_json");
}

static void
write_theirs(void)
{
	char *s = json_dumps(tree, JSON_COMPACT);

	if (s == NULL)
		die("json_dumps");
	free(s);
}

/* What a peer's msgpack costs to be believed. */
static void
check_ours(void)
{
	if (mp_check(buf_all(&mp)) != ERR_OK)
		die("mp_check");
}

/* Megabytes of JSON in a second. */
static double
rate(void (*what)(void))
{
	double begin = bench_now(), now;
	long n = 0;

	do {
		for (int i = 0; i < 500; i++)
			what();
		n += 500;
		now = bench_now();
	} while (now - begin < SECONDS);
	return (double)n * (double)text.n / (now - begin) / 1e6;
}

/* Node's, from microseconds for one; n < 0 writes (peers/json.js). */
static double
node_rate(int n)
{
	double us = peer_round(&node, n);

	return us > 0 ? (double)text.n / us : 0;
}

static void
compare(const char *name, void (*ours)(void), const char *peer,
    void (*theirs)(void), const char *node_name, int node_n)
{
	double a[BENCH_ROUNDS], b[BENCH_ROUNDS], c[BENCH_ROUNDS] = {0};

	for (int i = 0; i < BENCH_ROUNDS; i++) {
		a[i] = rate(ours);
		b[i] = rate(theirs);
		if (node_name != NULL)
			c[i] = node_rate(node_n);
	}
	bench_line(name, bench_median(a, BENCH_ROUNDS), "MB/s", peer,
	    bench_median(b, BENCH_ROUNDS));
	if (node_name != NULL)
		bench_line(name, bench_median(a, BENCH_ROUNDS), "MB/s",
		    node_name, bench_median(c, BENCH_ROUNDS));
}

int
main(void)
{
	static const char *const js[] = {
	    "node", "tests/bench/peers/json.js", SAMPLE, NULL};
	json_error_t e;

	buf_init(&text, 1 << 20);
	buf_init(&mp, 1 << 20);
	buf_init(&out, 1 << 20);
	if (file_read(SAMPLE, &text) != ERR_OK)
		die("sample");
	tree = json_loadb((const char *)text.p, text.n, 0, &e);
	if (tree == NULL)
		die(e.text);
	fprintf(stderr, "peer: jansson %s\n", jansson_version_str());
	if (peer_start(&node, "Node's JSON", js)) {
		(void)peer_round(&node, NODE_N); /* it compiles as it runs */
		(void)peer_round(&node, -NODE_N);
	}
	compare("json_to_msgpack", read_ours, "jansson json_loadb", read_theirs,
	    "Node JSON.parse", NODE_N);
	compare("msgpack_to_json", write_ours, "jansson json_dumps",
	    write_theirs, "Node JSON.stringify", -NODE_N);
	compare("msgpack_check", check_ours, "our json_to_msgpack", read_ours,
	    NULL, 0);
	peer_stop(&node);
	fprintf(stderr, "bench_json: %zu bytes of JSON, %zu of msgpack\n",
	    text.n, mp.n);
	json_decref(tree);
	buf_fini(&text);
	buf_fini(&mp);
	buf_fini(&out);
	return 0;
}
