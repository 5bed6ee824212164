/*
 * guard - the page: a head that says whether an evaluation is on and of what,
 * and 64 places for those at which we died. When all are taken, the one with
 * the fewest deaths is given up.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/say.h"
#include "broker/core/guard.h"

#define GUARD_PLACES 64
#define GUARD_MAGIC UINT32_C(0x56594731) /* "VYG1" */

struct guard_death {
	uint8_t name[32];
	uint32_t count;
};

struct guard_page {
	uint32_t magic;
	volatile uint32_t active;
	uint8_t name[32];
	struct guard_death deaths[GUARD_PLACES];
};

struct guard {
	struct guard_page *page;
	bool deaths; /* any at all */
};

static struct guard_death *
death_find(struct guard_page *p, const uint8_t name[32])
{
	for (int i = 0; i < GUARD_PLACES; i++)
		if (p->deaths[i].count > 0 &&
		    memcmp(p->deaths[i].name, name, 32) == 0)
			return &p->deaths[i];
	return NULL;
}

static void
death_count(struct guard_page *p)
{
	struct guard_death *d = death_find(p, p->name);

	if (d == NULL) {
		d = &p->deaths[0];
		for (int i = 1; i < GUARD_PLACES; i++)
			if (p->deaths[i].count < d->count)
				d = &p->deaths[i];
		memcpy(d->name, p->name, 32);
		d->count = 0;
	}
	d->count++;
	say(SAY_WARN, "guard",
	    "the last run ended while an event was mapped "
	    "(%u times now at this one)",
	    d->count);
}

enum err
guard_open(struct guard **out, const char *path)
{
	struct guard *g;
	void *p;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(ERR_IO, "cannot open %s", path);
	if (ftruncate(fd, sizeof(struct guard_page)) != 0) {
		close(fd);
		return err_errno(ERR_IO, "cannot size %s", path);
	}
	p = mmap(NULL, sizeof(struct guard_page), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return err_errno(ERR_IO, "cannot map %s", path);
	g = malloc(sizeof(*g));
	if (g == NULL)
		err_die("no memory");
	g->page = p;
	g->deaths = false;
	if (g->page->magic != GUARD_MAGIC) {
		memset(g->page, 0, sizeof(*g->page));
		g->page->magic = GUARD_MAGIC;
	}
	if (g->page->active != 0)
		death_count(g->page);
	g->page->active = 0;
	for (int i = 0; i < GUARD_PLACES; i++)
		g->deaths |= g->page->deaths[i].count > 0;
	*out = g;
	return ERR_OK;
}

void
guard_close(struct guard *g)
{
	if (g == NULL)
		return;
	munmap(g->page, sizeof(*g->page));
	free(g);
}

/* A name of fixed size; not secret, so no key. */
static void
name_of(struct slice source, struct slice id, uint8_t out[32])
{
	uint8_t text[1024];
	size_t n = source.n < 500 ? source.n : 500, left;

	memcpy(text, source.p, n);
	text[n++] = 0;
	left = id.n < 1000 - n ? id.n : 1000 - n;
	memcpy(text + n, id.p, left);
	n += left;
	sha256(slice_of(text, n), out);
}

bool
guard_enter(struct guard *g, struct slice source, struct slice id)
{
	struct guard_page *p = g->page;
	struct guard_death *d;

	name_of(source, id, p->name);
	d = g->deaths ? death_find(p, p->name) : NULL;
	if (d != NULL && d->count >= GUARD_CRASHES)
		return false;
	/* one thread and one page: only the compiler must keep the order */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	p->active = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

void
guard_leave(struct guard *g)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	g->page->active = 0;
}

void
guard_forget(struct guard *g, struct slice source, struct slice id)
{
	struct guard_death *d;
	uint8_t name[32];

	name_of(source, id, name);
	d = death_find(g->page, name);
	if (d != NULL)
		memset(d, 0, sizeof(*d));
}
