/*
 * bench_map - a WooCommerce order through a mapping, as the broker does it:
 * msgpack in, events as msgpack out, ids and checks included. map_woo_order is
 * order.map.yaml beside this file, which does what the peers' filters do (and
 * checks its sums); map_woo_order_pack is the pack's own mapping, which does a
 * good deal more. jq goes from JSON to JSON, so map_woo_order_json does too,
 * and jq's own start is taken off. JSONata and Bloblang go from object to
 * object: neither reading nor writing is counted for them, both are for us.
 *
 * And what an order's size costs: map_lines_N is an order of N lines,
 * map_unread_100 the order with 100 fields that nobody reads.
 *
 * `bench_map profile NAME` runs one of ours alone, for a profiler.
 */
#include <string.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/mapping.h"
#include "tests/bench/bench.h"
#include "tests/bench/peer.h"

#define N 20000
#define JQ_N 400
#define JSONATA_N 1500
#define BLOBLANG_N 10000
#define SAMPLE "tests/samples/webhook.json"

static const struct schema *schemas[64];
static const char *names[65];
static size_t schemas_n;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "bench_map: %s: %s\n", what, err_last());
	exit(1);
}

static const struct schema *
find(void *self, struct slice type)
{
	size_t i;

	(void)self;
	for (i = 0; i < schemas_n; i++)
		if (slice_eq(schemas[i]->type, type))
			return schemas[i];
	return NULL;
}

static const char *const *
types(void *self)
{
	(void)self;
	return names;
}

static void
load_schemas(const char *dir, bool canonical, struct arena *a, struct faults *f)
{
	char **files, path[512];
	size_t i;

	if (dir_list(dir, &files) != ERR_OK)
		die(dir);
	for (i = 0; files[i] != NULL; i++) {
		const char *dot = strrchr(files[i], '.');

		if (dot == NULL || strcmp(dot, ".yaml") != 0 || schemas_n == 64)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		if (schema_load(path, canonical, a, f, &schemas[schemas_n]) !=
		    ERR_OK)
			die(path);
		names[schemas_n] = arena_strdup(a, schemas[schemas_n]->type);
		schemas_n++;
	}
	dir_free(files);
}

/* About what the mapping makes of it, without its checks. */
static const char filter[] =
    "{number, placed_at: .date_created_gmt, currency, source_status: .status,"
    "buyer: {email: .billing.email, name: (.billing.first_name + \" \" + "
    ".billing.last_name), phone: .billing.phone},"
    "billing: {street: .billing.address_1, postcode: .billing.postcode, city: "
    ".billing.city, country: .billing.country},"
    "delivery: {street: .shipping.address_1, postcode: .shipping.postcode, "
    "city: .shipping.city, country: .shipping.country},"
    "lines: [.line_items[] | {id: (.id | tostring), sku, name, quantity, "
    "unit_net: ((.total | tonumber) / .quantity), net: .total, vat: "
    ".total_tax, vat_code: (if .tax_class == \"reduced-rate\" then \"R\" else "
    "\"S\" end)}],"
    "shipping: [.shipping_lines[] | {name: .method_title, net: .total, vat: "
    ".total_tax}],"
    "vat_summary: ([.line_items[], .shipping_lines[]] | "
    "group_by(.tax_class) | map({code: (.[0].tax_class // \"S\"), net: "
    "(map(.total | tonumber) | add), vat: (map(.total_tax | tonumber) | "
    "add)})),"
    "totals: {vat: .total_tax, gross: .total}, payment: {method: "
    ".payment_method, title: .payment_method_title}}";

/* Seconds for a file of n orders; 0 when there is no jq. */
static double
jq_seconds(const char *file, int n)
{
	char cmd[8192];
	double t = bench_now();
	FILE *p;
	int c, lines = 0;

	snprintf(cmd, sizeof(cmd), "jq -c '%s' %s 2>/dev/null", filter, file);
	p = popen(cmd, "r");
	if (p == NULL)
		return 0;
	while ((c = getc(p)) != EOF)
		lines += c == '\n';
	return pclose(p) == 0 && lines == n ? bench_now() - t : 0;
}

/* Microseconds an order, without jq's start. */
static double
run_jq(const char *one, const char *many)
{
	double start = jq_seconds(one, 1), all = jq_seconds(many, JQ_N);

	return start > 0 && all > start ? (all - start) / (JQ_N - 1) * 1e6 : 0;
}

struct bench {
	struct buf json, in, event, again, out;
	struct buf lines[4], unread;
	struct eval *e;
	const struct mapping *m, *pack;
};

static const uint32_t line_counts[4] = {1, 10, 100, 1000};

static const struct result *
map_one(struct bench *b, const struct mapping *m, struct slice data)
{
	const struct input in = {.event = buf_all(&b->event),
	    .data = data,
	    .settings = SLICE_EMPTY,
	    .system = SLICE_LIT("shop")};
	const struct result *r = mapping_eval(b->e, m, &in);

	if (r->verdict != EVAL_OK || r->n != 1) {
		fprintf(stderr, "bench_map: %.*s\n", SLICE_ARG(r->text));
		exit(1);
	}
	return r;
}

static double
run_map(struct bench *b, const struct mapping *m, const struct buf *data, int n)
{
	double t = bench_now();

	for (int i = 0; i < n; i++)
		(void)map_one(b, m, buf_all(data));
	return (bench_now() - t) / n * 1e6;
}

static double
run_json(struct bench *b)
{
	double t = bench_now();
	int i;

	for (i = 0; i < N; i++) {
		buf_reset(&b->again);
		buf_reset(&b->out);
		if (json_to_mp(buf_all(&b->json), &b->again, NULL) != ERR_OK ||
		    mp_to_json(
			map_one(b, b->m, buf_all(&b->again))->events[0].data,
			JSON_COMPACT, &b->out) != ERR_OK)
			die("json");
	}
	return (bench_now() - t) / N * 1e6;
}

static const struct mapping *
load(const char *path, const struct schema_source *source, struct arena *a,
    struct faults *f)
{
	const struct mapping *m;

	if (mapping_load(path, source, NULL, a, f, &m) == ERR_OK)
		return m;
	fputs(buf_cstr(&f->text), stderr);
	die(path);
}

/* The sample as so many lines, for the peers. */
static void
write_many(struct bench *b, const char *file, int n)
{
	struct buf line, all;
	int i;

	buf_init(&line, 1 << 20);
	buf_init(&all, 16 << 20);
	if (mp_to_json(buf_all(&b->in), JSON_COMPACT, &line) != ERR_OK)
		die("sample");
	for (i = 0; i < n; i++) {
		buf_slice(&all, buf_all(&line));
		buf_byte(&all, '\n');
	}
	if (file_write(file, buf_all(&all), 0600) != ERR_OK)
		die(file);
	buf_fini(&line);
	buf_fini(&all);
}

/* ---- the sample, smaller and larger ---- */

/* "19.50" as cents. */
static int64_t
cents(struct slice data, const char *key)
{
	struct slice s;
	int64_t c = 0;

	if (!mp_get_str(data, key, &s))
		die(key);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '.')
			c = c * 10 + (s.p[i] - '0');
	return c;
}

/* The order with `n` lines, all as its first one, and the total to match. */
static void
with_lines(struct bench *b, uint32_t n, struct buf *out)
{
	struct mp_in in = mp_in(buf_all(&b->in)), items;
	struct slice lines, first, shipping, ship, v;
	struct mp head, key;
	char total[32];
	int64_t sum;

	if (!mp_get(buf_all(&b->in), "line_items", &lines) ||
	    !mp_get(buf_all(&b->in), "shipping_lines", &shipping))
		die("sample");
	items = mp_in(lines);
	if (mp_next(&items, &head) != ERR_OK ||
	    mp_value(&items, &first) != ERR_OK)
		die("line_items");
	items = mp_in(shipping);
	if (mp_next(&items, &head) != ERR_OK ||
	    mp_value(&items, &ship) != ERR_OK || head.count != 1)
		die("shipping_lines");
	sum = (int64_t)n * (cents(first, "total") + cents(first, "total_tax")) +
	      cents(ship, "total") + cents(ship, "total_tax");
	snprintf(total, sizeof(total), "%lld.%02d", (long long)(sum / 100),
	    (int)(sum % 100));
	buf_init(out, 4 << 20);
	if (mp_next(&in, &head) != ERR_OK)
		die("sample");
	mp_put_map(out, head.count);
	for (uint32_t i = 0; i < head.count; i++) {
		if (mp_next(&in, &key) != ERR_OK || mp_value(&in, &v) != ERR_OK)
			die("sample");
		mp_put_str(out, key.bytes);
		if (slice_eq(key.bytes, SLICE_LIT("line_items"))) {
			mp_put_array(out, n);
			for (uint32_t k = 0; k < n; k++)
				buf_slice(out, first);
		} else if (slice_eq(key.bytes, SLICE_LIT("total"))) {
			mp_put_cstr(out, total);
		} else {
			buf_slice(out, v);
		}
	}
}

/* The order with 100 more fields, texts and small maps, before its own. */
static void
with_unread(struct bench *b, struct buf *out)
{
	struct mp_in in = mp_in(buf_all(&b->in));
	struct mp head;
	char key[24];

	buf_init(out, 1 << 20);
	if (mp_next(&in, &head) != ERR_OK)
		die("sample");
	mp_put_map(out, head.count + 100);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "plugin_field_%d", i);
		mp_put_cstr(out, key);
		if (i % 4 == 0) {
			mp_put_map(out, 2);
			mp_put_cstr(out, "id");
			mp_put_int(out, i);
			mp_put_cstr(out, "value");
		}
		mp_put_cstr(out, "something that nobody reads");
	}
	buf_slice(out, slice_of(in.p, (size_t)(in.end - in.p)));
}

static void
prepare(struct bench *b, struct arena *a, struct faults *f)
{
	struct buf raw;
	const char *p, *at;

	buf_init(&raw, 1 << 20);
	buf_init(&b->json, 1 << 20);
	buf_init(&b->in, 1 << 20);
	buf_init(&b->event, 4096);
	buf_init(&b->again, 1 << 20);
	buf_init(&b->out, 1 << 20);
	load_schemas("mappings/canonical", true, a, f);
	load_schemas("mappings/woocommerce/schema", false, a, f);
	const struct schema_source source = {NULL, find, types};
	b->m = load("tests/bench/order.map.yaml", &source, a, f);
	b->pack = load("mappings/woocommerce/order.map.yaml", &source, a, f);
	if (file_read(SAMPLE, &raw) != ERR_OK)
		die("sample");
	for (p = buf_cstr(&raw); (at = strstr(p, "@NUMBER@")) != NULL;
	     p = at + 8) {
		buf_put(&b->json, p, (size_t)(at - p));
		buf_str(&b->json, "10427");
	}
	buf_str(&b->json, p);
	buf_fini(&raw);
	if (json_to_mp(buf_all(&b->json), &b->in, NULL) != ERR_OK)
		die("sample");
	mp_put_map(&b->event, 3);
	mp_put_cstr(&b->event, "id");
	mp_put_cstr(&b->event, "e1");
	mp_put_cstr(&b->event, "subject");
	mp_put_cstr(&b->event, "order:shop/1042");
	mp_put_cstr(&b->event, "time");
	mp_put_time(&b->event, INT64_C(1772359200123000000));
	for (int i = 0; i < 4; i++)
		with_lines(b, line_counts[i], &b->lines[i]);
	with_unread(b, &b->unread);
	b->e = eval_new();
	if (b->e == NULL)
		die("eval");
}

static void
finish(struct bench *b)
{
	eval_free(b->e);
	buf_fini(&b->json);
	buf_fini(&b->in);
	buf_fini(&b->event);
	buf_fini(&b->again);
	buf_fini(&b->out);
	buf_fini(&b->unread);
	for (int i = 0; i < 4; i++)
		buf_fini(&b->lines[i]);
}

/* ---- the rounds ---- */

static void
start_peers(const char *one, struct peer *jsonata, struct peer *bloblang)
{
	char modules[256], program[256];
	const char *js[] = {"node", "tests/bench/peers/jsonata.js", one, NULL};
	const char *go[] = {program, one, NULL};

	snprintf(modules, sizeof(modules), "%s/node_modules", peer_folder());
	snprintf(program, sizeof(program), "%s/bloblang", peer_folder());
	setenv("BENCH_MODULES", modules, 1);
	peer_start(jsonata, "JSONata", js);
	peer_start(bloblang, "Bloblang", go);
}

static void
beside_peers(struct bench *b)
{
	static const char *const called[] = {"jq", "JSONata", "Bloblang"};
	double ours[BENCH_ROUNDS], pack[BENCH_ROUNDS], json[BENCH_ROUNDS];
	double peers[3][BENCH_ROUNDS], m[3];
	struct peer jsonata, bloblang;
	char one[80], many[64];

	snprintf(many, sizeof(many), "/tmp/vayla-bench-map.%d", (int)getpid());
	snprintf(one, sizeof(one), "%s.one", many);
	write_many(b, many, JQ_N);
	write_many(b, one, 1);
	start_peers(one, &jsonata, &bloblang);
	(void)peer_round(&jsonata, JSONATA_N); /* they compile as they run */
	(void)peer_round(&bloblang, BLOBLANG_N);
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		ours[i] = run_map(b, b->m, &b->in, N);
		peers[0][i] = run_jq(one, many);
		pack[i] = run_map(b, b->pack, &b->in, N);
		peers[1][i] = peer_round(&jsonata, JSONATA_N);
		json[i] = run_json(b);
		peers[2][i] = peer_round(&bloblang, BLOBLANG_N);
	}
	peer_stop(&jsonata);
	peer_stop(&bloblang);
	unlink(many);
	unlink(one);
	for (int k = 0; k < 3; k++)
		m[k] = bench_median(peers[k], BENCH_ROUNDS);
	if (m[0] <= 0)
		fprintf(stderr, "absent: jq\n");
	for (int k = 0; k < 3; k++)
		bench_time("map_woo_order", bench_median(ours, BENCH_ROUNDS),
		    "us", called[k], m[k]);
	bench_time("map_woo_order_pack", bench_median(pack, BENCH_ROUNDS), "us",
	    "jq", m[0]);
	bench_time("map_woo_order_json", bench_median(json, BENCH_ROUNDS), "us",
	    "jq", m[0]);
}

static void
by_size(struct bench *b)
{
	double lines[4][BENCH_ROUNDS], unread[BENCH_ROUNDS], bare[BENCH_ROUNDS];
	char name[32], per[48];

	for (int i = 0; i < BENCH_ROUNDS; i++) {
		for (int k = 0; k < 4; k++)
			lines[k][i] = run_map(b, b->m, &b->lines[k],
			    4 * N / (int)(line_counts[k] + 4));
		bare[i] = run_map(b, b->m, &b->in, N);
		unread[i] = run_map(b, b->m, &b->unread, N);
	}
	for (int k = 0; k < 4; k++) {
		double us = bench_median(lines[k], BENCH_ROUNDS);

		snprintf(name, sizeof(name), "map_lines_%u", line_counts[k]);
		snprintf(per, sizeof(per), "ns a further line: %.0f",
		    k == 0 ? 0
			   : (us - bench_median(lines[0], BENCH_ROUNDS)) * 1e3 /
				 (line_counts[k] - 1));
		printf(
		    "%s\t%.3f\tus\t%s\t0\t0\n", name, us, k == 0 ? "-" : per);
	}
	bench_time("map_unread_100", bench_median(unread, BENCH_ROUNDS), "us",
	    "the order without them", bench_median(bare, BENCH_ROUNDS));
}

/* One of ours alone: 2,000 orders. */
static int
profile(struct bench *b, const char *name)
{
	const struct mapping *m =
	    strcmp(name, "map_woo_order_pack") == 0 ? b->pack : b->m;
	const struct buf *in = strcmp(name, "map_unread_100") == 0 ? &b->unread
			       : strcmp(name, "map_lines_100") == 0
				   ? &b->lines[2]
				   : &b->in;

	fprintf(stderr, "%s: %.3f us\n", name,
	    run_map(
		b, m, in, getenv("BENCH_N") ? atoi(getenv("BENCH_N")) : 2000));
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench b = {0};
	struct faults f;
	struct arena a;
	int status = 0;

	arena_init(&a, 64 << 20);
	faults_init(&f);
	prepare(&b, &a, &f);
	if (argc == 3 && strcmp(argv[1], "profile") == 0) {
		status = profile(&b, argv[2]);
	} else {
		beside_peers(&b);
		by_size(&b);
	}
	finish(&b);
	arena_fini(&a);
	faults_fini(&f);
	return status;
}
