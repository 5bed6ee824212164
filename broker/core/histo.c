/* histo - see histo.h. */
#include "broker/core/histo.h"

/* From 50 us to 5 s, in steps of two and a bit: a flush on flash is 100 us, on
 * a spinning disk 10 ms. */
static const int64_t bounds[HISTO_BUCKETS - 1] = {50000, 100000, 250000, 500000,
    1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000,
    500000000, 1000000000, 5000000000};

void
histo_add(struct histo *h, int64_t ns)
{
	size_t i = 0;

	while (i < HISTO_BUCKETS - 1 && ns > bounds[i])
		i++;
	h->n[i]++;
	h->count++;
	h->sum_ns += ns > 0 ? ns : 0;
}

void
histo_write(const struct histo *h, struct buf *out)
{
	uint64_t upto = 0;

	mp_put_map(out, 2);
	mp_put_cstr(out, "sum_ns");
	mp_put_uint(out, (uint64_t)h->sum_ns);
	mp_put_cstr(out, "buckets");
	mp_put_array(out, HISTO_BUCKETS);
	for (size_t i = 0; i < HISTO_BUCKETS; i++) {
		upto += h->n[i];
		mp_put_array(out, 2);
		mp_put_uint(
		    out, i < HISTO_BUCKETS - 1 ? (uint64_t)bounds[i] : 0);
		mp_put_uint(out, upto);
	}
}
