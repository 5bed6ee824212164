/*
 * fuzz_wire - what a peer sends: a blob of records, the bodies of events,
 * settlements, actions and timers. What is taken is written again as bytes that
 * read as the same, and what event_check() passes is what event_read() takes.
 */
#include <stdlib.h>

#include "broker/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct event first, second;

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
try_event(struct slice body)
{
	struct buf a, b;

	if (event_read(body, &first) != ERR_OK)
		return;
	check(event_check(&first) == ERR_OK);
	/* The text of an e-mail beside a digest is for nobody to send, and is
	 * written as bytes then. */
	if (first.digest.n > 0 && first.person.n != 32)
		return;
	buf_init(&a, 8 << 20);
	buf_init(&b, 8 << 20);
	event_write(&a, &first);
	check(buf_check(&a) == ERR_OK && mp_check(buf_all(&a)) == ERR_OK);
	if (first.digest.n > 0 || first.person.n != 32) {
		check(event_read(buf_all(&a), &second) == ERR_OK);
		event_write(&b, &second);
		check(slice_eq(buf_all(&a), buf_all(&b)));
	}
	event_write_head(&b, &first);
	buf_fini(&a);
	buf_fini(&b);
}

static void
try_settle(struct slice body)
{
	struct settle one, two;
	struct buf a, b;

	if (settle_read(body, &one) != ERR_OK)
		return;
	buf_init(&a, 8 << 20);
	buf_init(&b, 8 << 20);
	settle_write(&a, &one);
	check(mp_check(buf_all(&a)) == ERR_OK);
	check(settle_read(buf_all(&a), &two) == ERR_OK);
	settle_write(&b, &two);
	check(slice_eq(buf_all(&a), buf_all(&b)));
	buf_fini(&a);
	buf_fini(&b);
}

static void
try_action(struct slice body)
{
	struct action one, two;
	struct timer timer;
	struct buf a, b;

	(void)!timer_read(body, &timer);
	if (action_read(body, &one) != ERR_OK)
		return;
	buf_init(&a, 8 << 20);
	buf_init(&b, 8 << 20);
	action_write(&a, &one);
	check(mp_check(buf_all(&a)) == ERR_OK);
	check(action_read(buf_all(&a), &two) == ERR_OK);
	action_write(&b, &two);
	check(slice_eq(buf_all(&a), buf_all(&b)));
	buf_fini(&a);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct mp_in in = mp_in(slice_of(p, n));
	enum record_kind kind;
	struct slice body;
	enum err e;

	(void)verb_read(slice_of(p, n));
	while (record_next(&in, &kind, &body, &e)) {
		try_event(body);
		try_settle(body);
		try_action(body);
	}
	/* The log's own reader relies on mp_check of the writer, and the CRC.
	 */
	if (mp_check(slice_of(p, n)) == ERR_OK) {
		try_event(slice_of(p, n));
		try_settle(slice_of(p, n));
		try_action(slice_of(p, n));
	}
	return 0;
}
