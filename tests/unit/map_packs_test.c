/*
 * The mapping language on the shapes that products send and take: each mapping
 * of tests/packs/examples carries its own tests, on real payloads where
 * VAYLA_FIXTURES names them, and so do the packs; the sweep finds nothing
 * silent in any. And the vocabulary: all of it is there, described, and its
 * page is up to date.
 */
#include "broker/base/file.h"
#include "mappings/engine/maptest.h"
#include "mappings/engine/sweep.h"
#include "mappings/engine/vocab_doc.h"
#include "tests/unit/t.h"

static size_t files, absent;

static void
folder(const char *dir)
{
	char path[512];
	char **names;

	CHECK_OK(dir_list(dir, &names));
	for (char **n = names; *n != NULL; n++) {
		struct maptest count = {0};
		struct sweep swept = {0};

		if (strlen(*n) < 10 ||
		    strcmp(*n + strlen(*n) - 9, ".map.yaml") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, *n);
		CHECK_OK(maptest_file(path, false, stderr, &count));
		CHECK(count.passed > 0 && count.failed == 0);
		absent += count.absent;
		CHECK_OK(sweep_file(path, false, stderr, &swept));
		/* without its fixtures a default may look untested */
		CHECK(
		    swept.tried > 0 && (swept.failed == 0 || count.absent > 0));
		files++;
	}
	dir_free(names);
}

T(shapes)
{
	files = 0;
	folder("tests/packs/examples");
	CHECK(files == 19);
	if (absent > 0)
		fprintf(stderr,
		    "%zu tests of tests/packs/examples not run: NO FIXTURES, "
		    "VAYLA_FIXTURES names their folder\n",
		    absent);
}

T(packs)
{
	char path[512];
	char **names;

	files = 0;
	CHECK_OK(dir_list("mappings", &names));
	for (char **n = names; *n != NULL; n++) {
		struct buf b;

		snprintf(path, sizeof(path), "mappings/%s/pack.yaml", *n);
		buf_init(&b, 1 << 20);
		if (file_read(path, &b) == ERR_OK) {
			snprintf(path, sizeof(path), "mappings/%s", *n);
			folder(path);
		}
		buf_fini(&b);
	}
	dir_free(names);
	CHECK(files >= 6);
}

/* Every type that packs may rely on, by the area it belongs to. */
static const char *const types[] = {"order.placed", "order.updated",
    "order.paid", "order.cancelled", "order.completed", "payment.authorized",
    "payment.captured", "payment.failed", "payment.cancelled",
    "payment.disputed", "refund.requested", "refund.completed", "refund.failed",
    "payout.paid", "shipment.requested", "shipment.dispatched",
    "shipment.status_changed", "shipment.delivered", "shipment.returned",
    "shipment.cancelled", "shipment.checkpoint", "stock.changed",
    "stock.reserved", "stock.released", "return.requested", "return.approved",
    "return.label_created", "return.received", "return.inspected",
    "return.rejected", "return.closed", "invoice.issued", "invoice.sent",
    "invoice.paid", "invoice.overdue", "credit_note.issued", "voucher.posted",
    "bank.transaction_booked", "product.changed", "product.removed",
    "price.changed", "customer.changed", "customer.erasure_requested",
    "gift_card.issued", "gift_card.redeemed", "ticket.opened", "ticket.updated",
    "ticket.closed", "message.received", "message.sent", "message.failed",
    "promise.broken", "promise.kept", "question.asked", "question.answered"};

static void
described(const struct schema *s, const struct schema_field *map)
{
	for (const struct schema_field *x = map->fields; x != NULL;
	     x = x->next) {
		const struct schema_field *in =
		    x->type == SCHEMA_LIST ? x->item : x;

		if (x->title.n == 0)
			fprintf(stderr, "%.*s: %.*s has no title\n",
			    SLICE_ARG(s->type), SLICE_ARG(x->name));
		CHECK(x->title.n > 0);
		/* no ids that are numbers, no money that is a float */
		if (x->name.n > 3 &&
		    memcmp(x->name.p + x->name.n - 3, "_id", 3) == 0)
			CHECK(x->type == SCHEMA_TEXT);
		if (in->type == SCHEMA_MAP)
			described(s, in);
	}
}

T(vocabulary)
{
	const struct vocabulary *v = NULL;
	struct buf page, kept;
	struct faults f;
	struct arena a;

	faults_init(&f);
	arena_init(&a, 64 << 20);
	buf_init(&page, 4 << 20);
	buf_init(&kept, 4 << 20);
	CHECK_OK(vocabulary_load("mappings", &a, &f, &v));
	for (size_t i = 0; v != NULL && i < sizeof(types) / sizeof(*types);
	     i++) {
		const struct schema *s =
		    vocabulary_find(v, slice_str(types[i]));

		if (s == NULL)
			fprintf(stderr, "no %s\n", types[i]);
		CHECK(s != NULL);
		if (s != NULL)
			described(s, &s->root);
	}
	CHECK(v != NULL && v->n == sizeof(types) / sizeof(*types));
	if (v != NULL)
		CHECK_OK(vocab_doc(v, &page));
	CHECK_OK(file_read("mappings/canonical/README.md", &kept));
	/* else: build/vayla map vocabulary > mappings/canonical/README.md */
	CHECK(slice_eq(buf_all(&page), buf_all(&kept)));
	buf_fini(&page);
	buf_fini(&kept);
	arena_fini(&a);
	faults_fini(&f);
}

T_MAIN(T_RUN(shapes) T_RUN(packs) T_RUN(vocabulary))
