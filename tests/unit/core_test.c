/* core_test - the daemon's parts that need no journal: tables, alarms, backoff,
 * `again`, sessions, the guard. */
#include <unistd.h>

#include "broker/core/again.h"
#include "broker/core/alarm.h"
#include "broker/core/delivery.h"
#include "broker/core/guard.h"
#include "broker/core/session.h"
#include "broker/core/table.h"
#include "tests/unit/t.h"
#include "tests/unit/tmp.h"

struct named {
	char name[16];
	struct alarm alarm;
};

static struct named *
find(const struct table *t, const char *name)
{
	struct named *e;
	size_t at = 0;

	while ((e = table_probe(
		    t, table_hash(slice_str(name), SLICE_EMPTY), &at)) != NULL)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

T(table_finds_what_is_in_it)
{
	static struct named all[3000];
	struct table t;
	size_t at = 0, n = 0;

	table_init(&t);
	CHECK(find(&t, "x") == NULL);
	for (int i = 0; i < 3000; i++) {
		snprintf(all[i].name, sizeof(all[i].name), "n%d", i);
		table_add(&t, table_hash(slice_str(all[i].name), SLICE_EMPTY),
		    &all[i]);
	}
	for (int i = 0; i < 3000; i += 2)
		table_remove(&t,
		    table_hash(slice_str(all[i].name), SLICE_EMPTY), &all[i]);
	for (int i = 0; i < 3000; i++)
		CHECK((find(&t, all[i].name) != NULL) == (i % 2 == 1));
	while (table_each(&t, &at) != NULL)
		n++;
	CHECK(n == 1500 && t.n == 1500);
	table_clear(&t);
	CHECK(t.n == 0 && find(&t, "n1") == NULL);
	table_fini(&t);
}

T(table_keeps_equal_hashes_apart)
{
	struct named a = {.name = "a"}, b = {.name = "b"};
	struct table t;
	size_t at = 0;

	table_init(&t);
	table_add(&t, 7, &a);
	table_add(&t, 7, &b);
	table_add(&t, 8, &a);
	table_remove(&t, 7, &a);
	CHECK(table_probe(&t, 7, &at) == &b);
	CHECK(table_probe(&t, 7, &at) == NULL);
	at = 0;
	CHECK(table_probe(&t, 8, &at) == &a);
	table_fini(&t);
}

T(table_hash_tells_where_one_text_ends)
{
	CHECK(table_hash(SLICE_LIT("ab"), SLICE_LIT("c")) !=
	      table_hash(SLICE_LIT("a"), SLICE_LIT("bc")));
	CHECK(table_hash(SLICE_LIT("a"), SLICE_LIT("b")) ==
	      table_hash(SLICE_LIT("a"), SLICE_LIT("b")));
}

T(alarms_come_in_order)
{
	struct named all[200];
	struct alarms h;
	struct alarm *a;
	int64_t last = -1;
	int n = 0;

	memset(all, 0, sizeof(all));
	alarms_init(&h);
	for (int i = 0; i < 200; i++)
		alarm_set(&h, &all[i].alarm, (i * 7919) % 211);
	for (int i = 0; i < 200; i += 3)
		alarm_clear(&h, &all[i].alarm);
	for (int i = 1; i < 200; i += 3)
		alarm_set(&h, &all[i].alarm, 1000 - i);
	alarm_clear(&h, &all[0].alarm); /* not set: nothing */
	while ((a = alarms_first(&h)) != NULL) {
		CHECK(a->due >= last);
		last = a->due;
		CHECK(ALARM_OWNER(a, struct named, alarm) >= all);
		alarm_clear(&h, a);
		n++;
	}
	CHECK(n == 200 - 67);
	alarms_fini(&h);
}

T(backoff_grows_fourfold_to_its_ceiling)
{
	struct retry_rule r = {1000, 3600000, 30};

	CHECK(delivery_backoff(&r, 1, 0) == 800);
	CHECK(delivery_backoff(&r, 1, 500) == 1000);
	CHECK(delivery_backoff(&r, 1, 999) <= 1200);
	CHECK(delivery_backoff(&r, 2, 500) == 4000);
	CHECK(delivery_backoff(&r, 6, 500) == 1024000);
	CHECK(delivery_backoff(&r, 7, 500) == 3600000);
	CHECK(delivery_backoff(&r, 4000000000u, 500) == 3600000);
}

static bool
exceeds(void (*put)(struct buf *, int), int a, int b)
{
	struct buf x, y;
	bool r;

	buf_init(&x, 100);
	buf_init(&y, 100);
	put(&x, a);
	put(&y, b);
	r = again_exceeds(buf_all(&x), buf_all(&y));
	buf_fini(&x);
	buf_fini(&y);
	return r;
}

static void
put_time(struct buf *b, int v)
{
	mp_put_time(b, (int64_t)v * 1000000000);
}

static void
put_text(struct buf *b, int v)
{
	mp_put_str(b, slice_of("abcdef", (size_t)v));
}

static void
put_decimal(struct buf *b, int v)
{
	if (v == 10)
		mp_put_decimal(b, SLICE_LIT("10.0"));
	else
		mp_put_int(b, v);
}

static void
put_mixed(struct buf *b, int v)
{
	if (v == 0)
		mp_put_int(b, v);
	else
		mp_put_cstr(b, "1");
}

T(again_compares_within_a_kind)
{
	CHECK(exceeds(put_time, 2, 1) && !exceeds(put_time, 1, 2));
	CHECK(!exceeds(put_time, 1, 1));
	CHECK(exceeds(put_text, 2, 1) && !exceeds(put_text, 2, 2));
	CHECK(exceeds(put_decimal, 10, 9)); /* not as texts */
	CHECK(!exceeds(put_decimal, 9, 10) && !exceeds(put_decimal, 10, 10));
	CHECK(!exceeds(put_mixed, 0, 1) && !exceeds(put_mixed, 1, 0));
	CHECK(!again_exceeds(SLICE_EMPTY, SLICE_EMPTY));
}

T(names_of_sessions)
{
	CHECK(name_is_good(SLICE_LIT("shop")));
	CHECK(name_is_good(SLICE_LIT("a-b_9")));
	CHECK(!name_is_good(SLICE_LIT("")));
	CHECK(!name_is_good(SLICE_LIT("9a")));
	CHECK(!name_is_good(SLICE_LIT("Shop")));
	CHECK(!name_is_good(SLICE_LIT("a/b")));
	CHECK(!name_is_good(SLICE_LIT("abcdefghijklmnopqrstuvwxyz0123456")));
	CHECK(role_by_name(SLICE_LIT("receiver")) == ROLE_RECEIVER);
	CHECK(role_by_name(SLICE_LIT("root")) == ROLE_NONE);
}

T(sessions_are_exclusive_but_for_operators)
{
	static const struct access_user who = {.key = "k"};
	struct sessions t;
	struct session *s;

	sessions_init(&t);
	s = session_add(
	    &t, SLICE_LIT("p1"), &who, ROLE_CONNECTOR, SLICE_LIT("books"));
	CHECK(session_find(&t, SLICE_LIT("p1")) == s);
	CHECK(session_find(&t, SLICE_LIT("p2")) == NULL);
	CHECK(session_is_of(s, "k") && !session_is_of(s, "l") &&
	      !session_is_of(s, NULL));
	CHECK(session_holder(&t, ROLE_CONNECTOR, SLICE_LIT("books")) == s);
	CHECK(session_holder(&t, ROLE_RECEIVER, SLICE_LIT("books")) == NULL);
	(void)session_add(
	    &t, SLICE_LIT("p3"), &who, ROLE_OPERATOR, SLICE_LIT("x"));
	CHECK(session_holder(&t, ROLE_OPERATOR, SLICE_LIT("x")) == NULL);
	session_remove(&t, s);
	CHECK(session_find(&t, SLICE_LIT("p1")) == NULL && t.n == 1);
	for (int i = 0; i < SESSIONS_MAX - 1; i++) {
		char peer[16];

		snprintf(peer, sizeof(peer), "q%d", i);
		CHECK(session_add(&t, slice_str(peer), &who, ROLE_OPERATOR,
			  SLICE_LIT("y")) != NULL);
	}
	CHECK(session_add(&t, SLICE_LIT("z"), &who, ROLE_OPERATOR,
		  SLICE_LIT("y")) == NULL);
	sessions_fini(&t);
}

/* A crash is a guard that is not closed after guard_enter(). */
static void
crash_at(const char *path, const char *id)
{
	struct guard *g;

	CHECK_OK(guard_open(&g, path));
	CHECK(guard_enter(g, SLICE_LIT("shop"), slice_str(id)));
	guard_close(g);
}

T(guard_counts_deaths)
{
	char path[PATH_MAX], *dir = tmp_make();
	int keep = tmp_quiet();
	struct guard *g;

	snprintf(path, sizeof(path), "%s/guard", dir);
	crash_at(path, "1");
	crash_at(path, "other");
	crash_at(path, "1");
	CHECK_OK(guard_open(&g, path));
	CHECK(!guard_enter(g, SLICE_LIT("shop"), SLICE_LIT("1")));
	CHECK(guard_enter(g, SLICE_LIT("shop"), SLICE_LIT("other")));
	guard_leave(g);
	CHECK(guard_enter(g, SLICE_LIT("shop"), SLICE_LIT("2")));
	guard_leave(g);
	guard_forget(g, SLICE_LIT("shop"), SLICE_LIT("1"));
	CHECK(guard_enter(g, SLICE_LIT("shop"), SLICE_LIT("1")));
	guard_leave(g);
	guard_close(g);
	tmp_loud(keep);
	tmp_free(dir);
}

T_MAIN(T_RUN(table_finds_what_is_in_it) T_RUN(table_keeps_equal_hashes_apart)
	T_RUN(table_hash_tells_where_one_text_ends) T_RUN(alarms_come_in_order)
	    T_RUN(backoff_grows_fourfold_to_its_ceiling)
		T_RUN(again_compares_within_a_kind) T_RUN(names_of_sessions)
		    T_RUN(sessions_are_exclusive_but_for_operators)
			T_RUN(guard_counts_deaths))
