/*
 * bench_map - a WooCommerce order through a mapping, as the broker does it:
 * msgpack in, events as msgpack out, ids and checks included. map_woo_order is
 * order.map.yaml beside this file, which does what the jq filter does (and
 * checks its sums); map_woo_order_pack is the pack's own mapping, which does a
 * good deal more. jq goes from JSON to JSON, so map_woo_order_json does too.
 * jq's own start is taken off: only what an order costs is compared.
 */
#include <string.h>
#include <unistd.h>

#include "broker/base/file.h"
#include "broker/base/json.h"
#include "mappings/engine/mapping.h"
#include "tests/bench/bench.h"

#define N 20000
#define JQ_N 400

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
	struct eval *e;
	const struct mapping *m, *pack;
};

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
run_map(struct bench *b, const struct mapping *m)
{
	double t = bench_now();
	int i;

	for (i = 0; i < N; i++)
		(void)map_one(b, m, buf_all(&b->in));
	return (bench_now() - t) / N * 1e6;
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

/* The sample as so many lines, for jq. */
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

/* Times are the better the smaller: the last column says how many times as
 * fast as the peer, as it does for rates. */
static void
line(const char *name, double us, double peer)
{
	printf("%s\t%.3f\tus\tjq\t%.3f\t%.2f\n", name, us, peer, peer / us);
	fflush(stdout);
}

int
main(void)
{
	char one[80], many[64];
	double ours[BENCH_ROUNDS], pack[BENCH_ROUNDS];
	double json[BENCH_ROUNDS], jq[BENCH_ROUNDS];
	double peer;
	struct bench b = {0};
	struct faults f;
	struct arena a;
	int i;

	arena_init(&a, 64 << 20);
	faults_init(&f);
	buf_init(&b.json, 1 << 20);
	buf_init(&b.in, 1 << 20);
	buf_init(&b.event, 4096);
	buf_init(&b.again, 1 << 20);
	buf_init(&b.out, 1 << 20);
	load_schemas("mappings/canonical", true, &a, &f);
	load_schemas("mappings/woocommerce/schema", false, &a, &f);
	const struct schema_source source = {NULL, find, types};
	b.m = load("tests/bench/order.map.yaml", &source, &a, &f);
	b.pack = load("mappings/woocommerce/order.map.yaml", &source, &a, &f);
	if (file_read("mappings/woocommerce/samples/order-company.json",
		&b.json) != ERR_OK ||
	    json_to_mp(buf_all(&b.json), &b.in, NULL) != ERR_OK)
		die("sample");
	mp_put_map(&b.event, 3);
	mp_put_cstr(&b.event, "id");
	mp_put_cstr(&b.event, "e1");
	mp_put_cstr(&b.event, "subject");
	mp_put_cstr(&b.event, "order:shop/1042");
	mp_put_cstr(&b.event, "time");
	mp_put_time(&b.event, INT64_C(1772359200123000000));
	b.e = eval_new();
	if (b.e == NULL)
		die("eval");
	snprintf(many, sizeof(many), "/tmp/vayla-bench-map.%d", (int)getpid());
	snprintf(one, sizeof(one), "%s.one", many);
	write_many(&b, many, JQ_N);
	write_many(&b, one, 1);
	for (i = 0; i < BENCH_ROUNDS; i++) {
		ours[i] = run_map(&b, b.m);
		pack[i] = run_map(&b, b.pack);
		json[i] = run_json(&b);
		jq[i] = run_jq(one, many);
	}
	unlink(many);
	unlink(one);
	peer = bench_median(jq, BENCH_ROUNDS);
	line("map_woo_order", bench_median(ours, BENCH_ROUNDS), peer);
	line("map_woo_order_pack", bench_median(pack, BENCH_ROUNDS), peer);
	line("map_woo_order_json", bench_median(json, BENCH_ROUNDS), peer);
	eval_free(b.e);
	arena_fini(&a);
	faults_fini(&f);
	return 0;
}
